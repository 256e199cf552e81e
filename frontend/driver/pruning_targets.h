/*
 * Warnings of targets that blocks cannot express: a share of 0.85 zeros in blocks of 8 entries is one of 0.75.
 */
#ifndef POFAC_FRONTEND_PRUNING_TARGETS_H
#define POFAC_FRONTEND_PRUNING_TARGETS_H

#include "frontend/model/pruning_config.h"
#include "runtime/pruning_masks.h"

/* One warning, at the configuration's place, for the first of the chosen layers whose blocks cannot have its target. Returns how many such
 * layers there are. */
size_t pruning_targets_warn(const pruning_config *c, const pruning_method *method, const prunable_layer *layers,
                            const pruning_choice *chosen, size_t n_chosen, const diag_sink *sink);

#endif
