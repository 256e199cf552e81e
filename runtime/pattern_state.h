/*
 * Sparse weights out of dense ones: the pattern of a named weight is the positions of its non-zeros. A checkpoint stores pruned
 * weights dense, with zeros, and masks are matrices of bytes; graphs with pattern leaves read them through this. State that is held as non-zeros already
 * (ir_tensor.pattern) brings its positions along: they are the source's, and held until they are released.
 */
#ifndef POFAC_RUNTIME_PATTERN_STATE_H
#define POFAC_RUNTIME_PATTERN_STATE_H

#include "ir/tensor.h"

/* A cache of patterns by name. */
typedef struct pattern_state pattern_state;

pattern_state *pattern_state_create(void); /* NULL when memory is short */
void pattern_state_destroy(pattern_state *p);

/* The pattern of state `name`, as a tensor with `pattern` set; a view that lives as long as `p`. POFAC_ERR_INPUT when the state is
 * neither a matrix nor the
 * non-zeros of one. `state` must outlive the cache. */
POFAC_MUST_USE pofac_status pattern_state_pattern(pattern_state *p, const char *name, const tensor_source *state,
                                                  const diag_sink *sink, ir_tensor *out);

/* Frees the positions of `name`; whoever asks for them again makes the cache read them again. */
void pattern_state_release(pattern_state *p, const char *name);

/* The elements of `dense` [N,K] at the pattern's positions, in its order, into `values` [nnz], converted where the dtypes
 * differ. */
void pattern_take(const ir_pattern *pattern, const ir_tensor *dense, ir_tensor *values);

#endif
