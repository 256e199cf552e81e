/*
 * State of a training run: all tensors that its graphs read and replace - parameters, moments, sums of gradients -, writable, by name.
 *
 * A session that is bound to the store (state_store_source) writes what a step changes where it lies, so the store has the state as it is
 * after each run; sessions of several graphs share one store. Non-zeros of a sparse weight, of its moments and of its gradient carry
 * their pattern, which the store owns and of which there is one per weight.
 *
 * A weight NAME under a mask (a pattern leaf NAME.mask) stays dense; its mask is state as well: NAME.mask u8 [N,K], 1 kept and 0 pruned, and
 * NAME.threshold f32 [], above which scores are kept. Whoever writes masks says so, and sessions read them anew.
 *
 * Ranges of 8 bits (pass quantize: MODULE.input_range, .weight_range, .output_range) are state that forward passes replace. They begin as VALUE_RANGE_NONE.
 */
#ifndef POFAC_RUNTIME_STATE_STORE_H
#define POFAC_RUNTIME_STATE_STORE_H

#include "ir/graph.h"
#include "ir/tensor.h"

typedef struct state_store state_store;

#define STATE_THRESHOLD ".threshold"

typedef struct state_entry {
    const char *name;
    ir_tensor tensor; /* 64-byte aligned, the store's; non-zeros: [nnz], with .pattern set, the store's too */
} state_entry;

/*
 * Room for every state leaf of the graphs of `m`, in the dtypes that they declare: parameters copied from `initial` (converted where the
 * dtypes of floats differ; of a leaf of nnz(pattern) elements, the elements of the dense weight [N,K] at the non-zeros of the pattern's
 * own weight), zeros for what state_parameter_of knows, ones for masks and no range yet for ranges, which `initial` is not asked for. Frozen state (IR_FROZEN) gets no
 * room: whoever asks for it is given what `initial` has, which then must outlive the store. What is copied is released at once (tensor_source.release). POFAC_ERR_INPUT: a tensor of another shape or kind, or a
 * leaf whose shape is neither numbers nor non-zeros; two leaves of one name with different types; memory that cannot be counted.
 */
POFAC_MUST_USE pofac_status state_store_create(const ir_module *m, const tensor_source *initial, const diag_sink *sink,
                                               state_store **out);
void state_store_destroy(state_store *s); /* NULL is fine */

/* Views of the store's memory by name, as long as it lives, and frozen state; POFAC_ERR_INPUT: there is none of that name. */
const tensor_source *state_store_source(state_store *s);

/*
 * Somebody has written masks: what the store holds of their elements alone, sums of gradients, gets room for as many, zeros; so that happens between the
 * runs of two steps. The version, from 0, counts these calls: sessions made before the last one have other masks. After an error, which is short memory,
 * the store has no sums.
 */
POFAC_MUST_USE pofac_status state_store_masks_changed(state_store *s, const diag_sink *sink);
uint64_t state_store_masks_version(const state_store *s);

/* The entries in the order of the leaves. */
size_t state_store_size(const state_store *s);
state_entry *state_store_at(state_store *s, size_t i);
state_entry *state_store_find(state_store *s, const char *name); /* NULL: there is none */

/* The mask of the weight `name`, u8 [N,K]; NULL: it has none. */
const uint8_t *state_store_mask(const state_store *s, const char *name);

/* Bytes of all tensors, and of the positions of non-zeros. */
int64_t state_store_bytes(const state_store *s);
int64_t state_store_pattern_bytes(const state_store *s);

/* The weight NAME of a moment NAME.exp_avg, NAME.exp_avg_sq, NAME.momentum_buffer, of NAME.mask, NAME.scores, NAME.threshold, or of a sum gradient.NAME:
 * its begin in `name` and its length in *length; NULL: the name is none of these. */
const char *state_parameter_of(const char *name, size_t *length);

/* Is it the name of a mask, of a range? Those of IR_FROZEN state are none. */
bool state_is_mask(const char *name);
bool state_is_range(const char *name);

/* All ranges, one after the other: so many numbers, f32 [n]; copied out of the store; put back. For runs whose forward pass shall leave no trace. */
int64_t state_store_count_ranges(const state_store *s);
void state_store_save_ranges(const state_store *s, float *out);
void state_store_restore_ranges(state_store *s, const float *ranges);

#endif
