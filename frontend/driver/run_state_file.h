/*
 * The state of a run <-> the two files of tensors of a checkpoint: model.safetensors, whose parameters are part of the state, and
 * state.safetensors with the rest:
 *
 *   NAME.exp_avg, ...   moments, as the store has them: of a sparse weight [nnz]
 *   NAME                what is no floats; of weights under masks NAME, the original, of which model.safetensors has what the mask keeps,
 *                       NAME.mask u8 [N,K], NAME.threshold, and NAME.scores where there are any
 *   MODULE.input_range, .weight_range, .output_range    of what computes in 8 bits
 *   gradient.NAME       sums of gradients, where they are asked for
 *   pattern.WEIGHT      u8 [N, (K+7)/8] of a sparse weight [N,K]: bit c%8 of byte c/8 says that (row, c) may be non-zero, whatever its value is
 */
#ifndef POFAC_FRONTEND_RUN_STATE_FILE_H
#define POFAC_FRONTEND_RUN_STATE_FILE_H

#include "runtime/state_store.h"

#define RUN_STATE_FILE "state.safetensors"
#define RUN_MODEL_FILE "model.safetensors"

/* Writes DIR/state.safetensors. POFAC_ERR_RUNTIME: it cannot be written. */
POFAC_MUST_USE pofac_status run_state_write(const char *dir, state_store *state, bool with_sums, const diag_sink *sink);

/*
 * Fills the store's tensors, bit for bit: the parameters, ranges and masks (state_store_masks_changed is called), and with `all` the moments and, with_sums, the sums of gradients. POFAC_ERR_INPUT: a
 * tensor is missing, has another shape or dtype, or another pattern; with `all`, state.safetensors has one that the store has not.
 */
POFAC_MUST_USE pofac_status run_state_read(const char *dir, state_store *state, bool all, bool with_sums, const diag_sink *sink);

#endif
