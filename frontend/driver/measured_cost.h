/*
 * The cost source of ir/cost.h that measures: each distinct question (a product, sizes of a weight, its share of non-zeros and their
 * structure, tokens) is answered by a clock once per machine, target and state of codegen/, and from then on by a file.
 *
 * Answers are times of all variants that are worth trying (cg_linear_variant), kept in a directory of private files that are checked when
 * they are read (codegen/object_cache.h). A choice is a function of answers:
 *
 *   for each tile width: the dense variant is the default one, unless another is 5 % faster; the sparse variant is the fastest one, and
 *   chosen where it is 5 % faster than the dense one; of a weight with gradients, the sums over its products are compared
 *   the width of the graph is the layout's default, unless the sum over all weights is 5 % smaller for another
 *
 * Weights of less than MEASURED_LEAST elements are not worth the time, and those of more than MEASURED_MOST take too much of it: the
 * rule of ir/cost.h decides. When the time is up, a weight gets the times of the next denser one of its shape and structure, which are kept as its
 * own, so that the next run chooses the same; one density of each shape is measured in any case.
 */
#ifndef POFAC_FRONTEND_MEASURED_COST_H
#define POFAC_FRONTEND_MEASURED_COST_H

#include "frontend/driver/kernel_timer.h"
#include "ir/cost.h"

#define MEASURED_LEAST ((int64_t)1 << 18) /* elements: a product with 128 tokens takes a dense kernel about a millisecond */
#define MEASURED_MOST ((int64_t)1 << 24)
#define MEASURED_STEP 25 /* densities are rounded to multiples of this, per mille */

typedef struct measured_cost measured_cost;

typedef struct measured_cost_options {
    const cg_options *codegen; /* outlives it; its cache_dir has the directory of answers within, NULL: none is kept */
    const kernel_timer *timer; /* NULL: the clock */
    bool again;                /* answers on disk are measured anew */
    int64_t tile;              /* the one width to choose from; 0: any */
    double budget_seconds;     /* of all measurements of one choice; 0: MEASURED_SECONDS */
} measured_cost_options;

#define MEASURED_SECONDS 1.0

POFAC_MUST_USE pofac_status measured_cost_create(const measured_cost_options *options, const diag_sink *sink, measured_cost **out);
void measured_cost_destroy(measured_cost *m); /* NULL is fine */

/* Notes say when something is measured, and where it is kept. */
cost_source measured_cost_source(measured_cost *m);

/* Variants that were timed so far. */
size_t measured_cost_timed(const measured_cost *m);

#endif
