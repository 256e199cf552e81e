/* Weights that linears alone read; see product_weights.h. */
#include "passes/product_weights.h"

#include <string.h>

#include "ir/op.h"

static bool is_matrix(const ir_graph *g, const ir_node *linear) {
    const ir_type *t = graph_type(g, linear->inputs[1]);
    return graph_node_of(g, linear->inputs[1])->op == OP_state && t->rank == 2 && t->dtype == IR_F32 && t->layout == LAYOUT_ROWS;
}

bool is_product_weight(const ir_graph *g, const ir_node *linear) {
    return is_matrix(g, linear) && node_int(graph_node_of(g, linear->inputs[1]), "frozen") == 0;
}

bool is_teacher_weight(const ir_graph *g, const ir_node *linear) {
    const ir_node *leaf = graph_node_of(g, linear->inputs[1]);
    return is_matrix(g, linear) && node_int(leaf, "frozen") != 0 &&
           strncmp(node_string(leaf, "name"), IR_FROZEN, sizeof IR_FROZEN - 1) == 0;
}

void find_other_readers(const ir_graph *g, bool *others) {
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        for (uint32_t k = 0; k < n->n_inputs; k++)
            if (n->inputs[k] != IR_NO_VALUE && !(n->op == OP_linear && k == 1)) others[n->inputs[k]] = true;
    }
    for (size_t i = 0; i < g->outputs.size; i++) others[g->outputs.data[i].value] = true;
}

bool has_other_readers(const ir_graph *g, const bool *others, const char *name) {
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op == OP_state && others[n->first_result] && strcmp(node_string(n, "name"), name) == 0) return true;
    }
    return false;
}
