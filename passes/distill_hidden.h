/*
 * Terms of distillation on what lies between a student's layers, for the pass `distill` (spec of the method: prune once for all, section 3).
 *
 *   distilbert  (1 - task_alpha - teacher_alpha) * mean over kept tokens of 1 - cos(student, teacher) of the last hidden states
 *               (Sanh et al. 2019)
 *   tinybert    sum over layers of the mean squared error of hidden states over kept tokens, and of attention probabilities before dropout
 *               (Jiao et al. 2020): over pairs of kept tokens, or over all S x S places of queries, padded ones too
 *
 * Hidden states are the outputs last_hidden_state and hidden_states.I of both graphs, I = 0 behind the embeddings; attentions are the
 * graphs' attention nodes in order. Layer i of the student is compared with layer layer_map[i] of the teacher, or evenly spread with
 * ceil((i + 1) teacher's / student's) - 1; embeddings with embeddings.
 *
 * A term stands where the teacher's part of it is made, so that nothing of the teacher waits, and in the scope of the student's layer, to which
 * what it gives to the gradient belongs (pass recompute).
 *
 * Means come from inputs scale.distill.OUTPUT (distill_scale): of hidden_states 1 / kept tokens of the step, of attentions 1 / pairs of kept
 * tokens within sequences, of padded_attentions 1 / (B S^2).
 */
#ifndef POFAC_PASSES_DISTILL_HIDDEN_H
#define POFAC_PASSES_DISTILL_HIDDEN_H

#include "passes/distill_graph.h"

#define DISTILL_MAX_LAYERS PASS_MAX_LIST

/* ORDER: that of the option `hidden`. */
typedef enum distill_hidden_kind { DISTILL_HIDDEN_NONE, DISTILL_HIDDEN_DISTILBERT, DISTILL_HIDDEN_TINYBERT } distill_hidden_kind;

typedef struct distill_hidden {
    distill_hidden_kind kind;
    bool counts_padding;             /* tinybert: padded queries' attention counts */
    double weight;                   /* distilbert: of the cosine */
    int64_t map[DISTILL_MAX_LAYERS]; /* teacher's layer of each of the student's */
    size_t n_map;                    /* given by layer_map; 0: evenly spread, until distill_hidden_begin */
    /* from there on; of the old graphs */
    ir_value student_states[DISTILL_MAX_LAYERS + 1], teacher_states[DISTILL_MAX_LAYERS + 1]; /* distilbert: the last one alone */
    const ir_node *attentions[DISTILL_MAX_LAYERS];                                           /* of the student */
    size_t n_student, n_teacher; /* layers that are compared; of the teacher those that were copied so far */
    ir_value keep, sum;          /* of the joined graph; IR_NO_VALUE: not there yet */
} distill_hidden;

/* Reads the options hidden, layer_map and padded_queries. */
POFAC_MUST_USE pofac_status distill_hidden_read(const pass_input *in, double task_alpha, double teacher_alpha, distill_hidden *out);

/* The student is copied, the teacher is about to be: checks what both graphs have. */
void distill_hidden_begin(distill_graph *d, distill_hidden *h);

/* A node of the teacher's graph was copied: adds the terms that it completes, so that what they read need not wait. */
void distill_hidden_visit(distill_graph *d, distill_hidden *h, const ir_node *copied);

#endif
