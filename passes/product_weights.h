/*
 * Which states of a graph are weights of linears and nothing else: what may be pruned or locked.
 */
#ifndef POFAC_PASSES_PRODUCT_WEIGHTS_H
#define POFAC_PASSES_PRODUCT_WEIGHTS_H

#include "ir/graph.h"

/* Is the weight of a linear node a trainable matrix of f32 in rows, [N,K], that is state? */
bool is_product_weight(const ir_graph *g, const ir_node *linear);

/* Is it such a matrix of a teacher (IR_FROZEN), which is not trained? */
bool is_teacher_weight(const ir_graph *g, const ir_node *linear);

/* Which values somebody but a linear reads as its weight, outputs among them: into others[values]. */
void find_other_readers(const ir_graph *g, bool *others);

/* Is any leaf of the state `name` read so? A tied weight has a leaf for each of its readers. */
bool has_other_readers(const ir_graph *g, const bool *others, const char *name);

#endif
