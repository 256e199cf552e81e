/*
 * A teacher beside the model that learns from it: what <teacher> and <distill> say, and how the teacher comes into a training step.
 *
 * The teacher is a graph of its own, for evaluation, in the module of the student's step; the pass `distill` copies it into the step with
 * its parameters as frozen state teacher.NAME, and adds what the student differs by to the loss. Both read the same inputs, so the
 * teacher must know the same tokens, lengths and classes.
 */
#ifndef POFAC_FRONTEND_DISTILLATION_H
#define POFAC_FRONTEND_DISTILLATION_H

#include "frontend/driver/loaded_model.h"

/* Terms on the states between layers (passes/distill_hidden.c). */
typedef enum distillation_hidden { DISTILL_NO_HIDDEN, DISTILL_DISTILBERT, DISTILL_TINYBERT } distillation_hidden;

typedef struct distillation {
    loaded_model *teacher; /* NULL: its logits come as inputs */
    double task_alpha;     /* weight of the task's own loss (cross_entropy_alpha) */
    double teacher_alpha;  /* weight of the divergence from the teacher (knowledge_distillation_alpha) */
    double temperature;    /* of both softmaxes, above 0 */
    distillation_hidden hidden;
    const int64_t *layer_map; /* tinybert: teacher's layer of each student's layer; NULL: evenly spread */
    size_t n_layer_map;
    double token_share; /* of token logits: 1: all kept tokens; below: those with labels and this share of the others */
    int64_t top_k;      /* of token logits that are inputs: entries kept; 0: whole */
} distillation;

#endif
