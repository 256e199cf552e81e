/*
 * What kernels cost: the interface through which passes choose between kernels that compute the same. The driver fills it from
 * measurements on the machine (frontend/driver/measured_cost.h), which are cached on disk; a choice is recorded as the attribute
 * `variant` of the node, so that a plan's text repeats itself without measuring again.
 */
#ifndef POFAC_IR_COST_H
#define POFAC_IR_COST_H

#include "ir/zero_structure.h"

/* What a weight [N,K] is multiplied in: y = x w^T, dx = dy w, dw = dy^T x; y = x w^T in integers (op linear_int8). */
typedef enum linear_product {
    PRODUCT_FORWARD,
    PRODUCT_INPUT_GRADIENT,
    PRODUCT_WEIGHT_GRADIENT,
    PRODUCT_INT8,
    N_PRODUCTS
} linear_product;

/* The products of x [R,K] with a weight [N,K]. */
typedef struct linear_problem {
    const char *name; /* of the weight, for messages and pins */
    int64_t N, K;
    int64_t n_rows;           /* R that the choice is made for */
    int64_t nnz;              /* non-zeros of the weight; N K where nobody has counted them */
    bool may_be_sparse;       /* false: the choice must be a dense one */
    zero_structure structure; /* of its zeros; none where the choice must be dense, or where values change from run to run */
    unsigned gradients;       /* 1 << linear_product of those that are computed as well; 0: the forward product alone */
    bool integers;            /* the forward product is PRODUCT_INT8, the only one */
} linear_problem;

#define COST_MAX_VARIANT 160
typedef struct linear_choice {
    char variant
        [COST_MAX_VARIANT]; /* text of the attribute: kernel row and parameters, "tile=64" among them; "": codegen's default */
    char input_gradient[COST_MAX_VARIANT], weight_gradient[COST_MAX_VARIANT]; /* likewise, of the products that the problem has */
    bool sparse;                                                              /* the variant reads the non-zeros alone */
    bool measured;                                                            /* false: from a rule, not from a clock */
    double seconds, dense_seconds,
        sparse_seconds; /* of its products together, one thread: as chosen, of the best dense and sparse ones; 0 when not known */
} linear_choice;

typedef struct cost_source {
    /* Chooses for all weights of a graph, with one tile width for all of them; the products of one weight are all sparse or all dense. */
    pofac_status (*choose)(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out);
    void *user;
} cost_source;

/*
 * The choice that needs no clock: sparse from COST_RULE_SPARSITY percent of zeros on, no variant. Half is on the safe side of the
 * break-even of the kernels (25 to 40 % in measurements on AVX2), and of that of memory: a non-zero costs 6 bytes with its offset, so
 * that below a third of zeros a sparse weight is even the larger one.
 * The products of training have theirs at 40 %. In integers, processors that have it take four columns with one instruction, dense, and sparse where one of
 * them is not zero, which three of five such groups are at 80 % of zeros: COST_RULE_INT8_SPARSITY is theirs. Where zeros come in blocks of four columns, a
 * group is one or not, and half of them pays again. Processors without the instruction break even earlier: there the rule is on the safe side, and a clock
 * better.
 */
#define COST_RULE_SPARSITY 50
#define COST_RULE_INT8_SPARSITY 80
linear_choice cost_by_rule(const linear_problem *p);

/* The variant of one of the products. */
char *cost_choice_variant(linear_choice *c, linear_product product);
bool cost_problem_has(const linear_problem *p, linear_product product);

/* The number behind "tile=" in a variant's text; 0 when it names none. */
int64_t cost_variant_tile(const char *variant);

#endif
