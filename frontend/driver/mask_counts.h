/*
 * How many entries of each pruned weight are kept, as the passes that choose kernels ask for it: by a source of tensors that has a pattern NAME.mask,
 * of which its size and its number of entries alone are known, and else what another source has.
 *
 * What is told is rounded to a multiple of MASK_COUNT_STEP per mille of the weight: a choice then is a function of few numbers, and the same for masks that differ little,
 * before and after a run is resumed.
 */
#ifndef POFAC_FRONTEND_MASK_COUNTS_H
#define POFAC_FRONTEND_MASK_COUNTS_H

#include "frontend/driver/training_pruning.h"
#include "ir/graph.h"

#define MASK_COUNT_STEP 25 /* that of measurements (measured_cost.h) */

typedef struct mask_counts mask_counts;

/* The weights are state f32 [N,K] of the module's graphs; their masks have what initial_sparsity keeps. `rest` outlives it. POFAC_ERR_USAGE: the module has no
 * such weight. */
POFAC_MUST_USE pofac_status mask_counts_create(const training_pruning *pruning, const ir_module *m, const tensor_source *rest,
                                               const diag_sink *sink, mask_counts **out);
void mask_counts_destroy(mask_counts *c); /* NULL is fine */

/* Weight i of the pruning has so many entries, and as many are kept from now on. */
int64_t mask_counts_entries(const mask_counts *c, size_t i);
int64_t mask_counts_kept(const mask_counts *c, size_t i);
void mask_counts_set(mask_counts *c, size_t i, int64_t kept);

/* Does the source tell other numbers than when this was asked last? Yes, the first time. */
bool mask_counts_changed(mask_counts *c);

const tensor_source *mask_counts_source(const mask_counts *c);

#endif
