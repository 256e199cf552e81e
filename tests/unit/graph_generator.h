/*
 * Random valid graphs over all ops, with state and inputs to run them: what passes and kernels are tested with. The same seed gives
 * the same graph, state and inputs. Sizes are small and odd: one token, one head, one feature, one class occur.
 *
 * A graph is a batch, padded (ids [B,S]) or ragged (ids [T], offsets [B+1]), embedded, and then a chain of random steps over
 * whatever there is so far. Among them are things for passes to find: arithmetic on constants, nodes whose results nobody uses,
 * nodes that are there twice, steps that change nothing. Values stay small, so that results can be compared.
 */
#ifndef POFAC_TESTS_UNIT_GRAPH_GENERATOR_H
#define POFAC_TESTS_UNIT_GRAPH_GENERATOR_H

#include "ir/graph.h"
#include "tests/unit/named_tensors.h"

typedef struct graph_options {
    uint32_t n_steps;    /* random steps after the embedding */
    bool without_sparse; /* no patterns */
    bool without_tiles;  /* all values in rows */
    bool without_casts;  /* all floats f32 */
    bool without_losses;
    bool without_kept_rows; /* padding stays in padded batches */
} graph_options;

typedef struct generated_graph {
    ir_context *context;
    ir_module *module;
    ir_graph *graph;
    named_tensors inputs, state;
} generated_graph;

/* `options` may be NULL: 12 steps of all kinds. */
void graph_generate(uint64_t seed, const graph_options *options, generated_graph *out);

/* Other inputs, of other numbers for the symbols, for the same graph. */
void graph_generate_inputs(generated_graph *g, uint64_t seed);

void generated_graph_free(generated_graph *g);

#endif
