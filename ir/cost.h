/*
 * What kernels cost: the interface through which passes choose between kernels that compute the same. The driver fills it from
 * measurements on the machine (frontend/driver/measured_cost.h), which are cached on disk; a choice is recorded as the attribute
 * `variant` of the node, so that a plan's text repeats itself without measuring again.
 */
#ifndef POFAC_IR_COST_H
#define POFAC_IR_COST_H

#include "ir/zero_structure.h"

/* One product x [R,K] with a weight [N,K]. */
typedef struct linear_problem {
    const char *name; /* of the weight, for messages and pins */
    int64_t N, K;
    int64_t n_rows;           /* R that the choice is made for */
    int64_t nnz;              /* non-zeros of the weight; N K where nobody has counted them */
    bool may_be_sparse;       /* false: the choice must be a dense one */
    zero_structure structure; /* of its zeros; none where the choice must be dense */
} linear_problem;

#define COST_MAX_VARIANT 160
typedef struct linear_choice {
    char variant
        [COST_MAX_VARIANT]; /* text of the attribute: kernel row and parameters, "tile=64" among them; "": codegen's default */
    bool sparse;            /* the variant reads the non-zeros alone */
    bool measured;          /* false: from a rule, not from a clock */
    double seconds, dense_seconds; /* per product, one thread; 0 when not known */
} linear_choice;

typedef struct cost_source {
    /* Chooses for all products of a graph, with one tile width for all of them. */
    pofac_status (*choose)(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out);
    void *user;
} cost_source;

/*
 * The choice that needs no clock: sparse from COST_RULE_SPARSITY percent of zeros on, no variant. Half is on the safe side of the
 * break-even of the kernels (25 to 40 % in measurements on AVX2), and of that of memory: a non-zero costs 6 bytes with its offset, so
 * that below a third of zeros a sparse weight is even the larger one.
 */
#define COST_RULE_SPARSITY 50
linear_choice cost_by_rule(const linear_problem *p);

/* The number behind "tile=" in a variant's text; 0 when it names none. */
int64_t cost_variant_tile(const char *variant);

#endif
