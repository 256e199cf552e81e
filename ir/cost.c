/* The rule that stands in for measurements; see cost.h. */
#include "ir/cost.h"

#include <stdlib.h>
#include <string.h>

linear_choice cost_by_rule(const linear_problem *p) {
    /* N K is the number of elements of a tensor, and a hundred times that fits into a double exactly enough */
    double zeros = (double)(p->N * p->K - p->nnz);
    const bool by_fours = p->structure.fill > 0 && p->structure.block_columns % 4 == 0;
    const double least = p->integers && !by_fours ? COST_RULE_INT8_SPARSITY : COST_RULE_SPARSITY;
    return (linear_choice){.sparse = p->may_be_sparse && 100 * zeros >= least * ((double)p->N * (double)p->K)};
}

char *cost_choice_variant(linear_choice *c, linear_product product) {
    if (product == PRODUCT_FORWARD || product == PRODUCT_INT8) return c->variant;
    return product == PRODUCT_INPUT_GRADIENT ? c->input_gradient : c->weight_gradient;
}

bool cost_problem_has(const linear_problem *p, linear_product product) {
    if (product == PRODUCT_FORWARD || product == PRODUCT_INT8) return p->integers == (product == PRODUCT_INT8);
    return p->gradients >> product & 1;
}

int64_t cost_variant_tile(const char *variant) {
    static const char word[] = "tile=";
    for (const char *at = variant; *at; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strncmp(at, word, sizeof word - 1) == 0) return strtoll(at + sizeof word - 1, NULL, 10);
    }
    return 0;
}
