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
#include "passes/pass.h"

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

/* POFAC_ERR_INPUT: the head's results are no logits (a regression), or head, vocabulary, classes or lengths of the teacher are not the student's; the
 * message begins with the teacher's place. POFAC_ERR_USAGE: a number out of range. */
POFAC_MUST_USE pofac_status distillation_check(const distillation *d, const loaded_model *student, const diag_sink *sink);

/* What the graph of a step needs for its student. */
void distillation_set_student(const distillation *d, model_graph_options *student);

/* Checks, adds the teacher's graph to `m`, whose context is the student's, and binds the teacher's parameters. `graph` is what the student's graph was
 * built with. Nothing is added where the teacher's logits are inputs. */
POFAC_MUST_USE pofac_status distillation_add_teacher(const distillation *d, const loaded_model *student,
                                                     const model_graph_options *graph, ir_module *m, const diag_sink *sink);

/* The pass `distill` with its options, as an item of a pipeline; `graph` as above: with mask_padded_logits, padding's attention does not count. */
void distillation_put_pass(const distillation *d, const model_graph_options *graph, strbuf *out);

/* The weights that the checkpoint of the teacher has; NULL: there is no teacher, or `d` is NULL. */
const tensor_source *distillation_stored(const distillation *d);

/* Parameters of a student, and of its teacher as teacher.NAME. */
typedef struct joined_weights {
    const tensor_source *student, *teacher;
    tensor_source source; /* what to use; it points to this struct */
} joined_weights;

/* `teacher` may be NULL. Both must outlive it. */
void joined_weights_init(joined_weights *w, const tensor_source *student, const tensor_source *teacher);

#endif
