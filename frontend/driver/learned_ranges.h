/*
 * Which ranges of a training's state are whose: the modules that compute in 8 bits, as the pass `quantize` named their ranges, of which linears that read one
 * value have one. From there to quantization.safetensors, and from it where a training goes on with a quantized model.
 */
#ifndef POFAC_FRONTEND_LEARNED_RANGES_H
#define POFAC_FRONTEND_LEARNED_RANGES_H

#include "frontend/driver/model_quantization.h"
#include "ir/graph.h"
#include "runtime/state_store.h"

typedef struct learned_ranges learned_ranges;

/* `g` is the graph behind the pass `quantize{trained=0}`; the plan outlives the ranges. */
POFAC_MUST_USE pofac_status learned_ranges_create(const ir_graph *g, const quantization_plan *plan, const diag_sink *sink,
                                                  learned_ranges **out);
void learned_ranges_destroy(learned_ranges *l); /* NULL is fine */

size_t learned_ranges_modules(const learned_ranges *l);

/* Puts the ranges of a quantized model into the state, where it has them. True: there are some. */
bool learned_ranges_take(const learned_ranges *l, const model_quantization *from, state_store *state);

/* DIRECTORY/quantization.safetensors (model_quantization_write) with the modules whose ranges are known, and a warning for each other one; *written false, and no
 * such file: none is known, since quantization has not begun. Rows of weights without non-zeros, which show no range, have the whole weight's. */
POFAC_MUST_USE pofac_status learned_ranges_write(const learned_ranges *l, state_store *state, const char *directory,
                                                 const diag_sink *sink, bool *written);

#endif
