/*
 * The weights of a plan in memory: state and constants as the plan's steps want them - in place where the bytes are aligned and of
 * the dtype wanted, else converted or packed, each (name, packing) once. Made when a session is created.
 */
#ifndef POFAC_RUNTIME_BOUND_WEIGHTS_H
#define POFAC_RUNTIME_BOUND_WEIGHTS_H

#include "ir/plan.h"
#include "runtime/pattern_state.h"
#include "runtime/thread_pool.h"

typedef struct bound_weights {
    ir_tensor *tensors; /* [n_buffers] of state and constants in rows: what evaluators see; owned where converted */
    void **pointers;    /* [n_buffers] what kernels see */
    size_t *own;        /* [n_buffers] bytes of the pointer's own memory (weight_memory.h); 0: it is the tensor's */
    bool *held;         /* [n_buffers] the tensor is a view that is released at the end */
    const tensor_source *state;
    int64_t *counts; /* [n_symbols] numbers of the nnz symbols of the plan's graph, by ir_symbol; -1 for other symbols */
    size_t n_symbols;
    pattern_state *patterns;
    int64_t mapped_bytes; /* of state as its source holds it, each name once */
    int64_t own_bytes;    /* packed, converted and copied */
} bound_weights;

/* Packs on all threads of the pool, one weight after the other from the largest on, and releases each before the next is taken: so
 * the most memory at any time is that of the result, or of the largest weight twice. Floats of another width are converted; state declared with nnz(%p) elements may be given dense,
 * [N,K], of which the entries at the pattern's positions are taken. But what runs replace (plan_buffer.written) is bound where it lies, in
 * memory that the source lets be written, and is POFAC_ERR_INPUT where it would have to be converted or copied. POFAC_ERR_INPUT: state of another shape or kind. *out is to be
 * freed, also after an error; `state` must outlive it. */
POFAC_MUST_USE pofac_status bound_weights_make(const plan *p, const tensor_source *state, thread_pool *pool, const diag_sink *sink,
                                               bound_weights *out);

/*
 * Reads the patterns anew whose names end in `ending`, and packs again what depends on them, pattern by pattern: the memory of one is there
 * twice. After an error *w is only to be freed.
 */
POFAC_MUST_USE pofac_status bound_weights_renew(const plan *p, const char *ending, thread_pool *pool, const diag_sink *sink,
                                                bound_weights *w);
void bound_weights_free(const plan *p, bound_weights *w);

#endif
