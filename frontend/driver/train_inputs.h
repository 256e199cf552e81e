/*
 * The batches of one step -> the inputs of its runs.
 *
 * A step may have several batches, whose losses and gradients add up to those of all of their rows as one batch (pitfall 6): each sum over
 * rows is scaled by 1 / the rows that count in the whole step, so all batches of a step are taken in before the first one runs. Inputs that
 * are made here:
 *
 *   scale.LABELS f32 []      1 / rows of LABELS that count in the step, 0 where none does; of a regression this batch's share of the step's elements
 *   scale.distill.OUTPUT f32 []  of a head's logits: 1 / the step's tokens without padding, or its sequences; of a share of the tokens, those with
 *                         labels and those that are drawn (op sampled_rows)
 *   scale.distill.hidden_states, .attentions, .padded_attentions f32 []  1 / the step's tokens without padding, their pairs within sequences, B S^2
 *   prediction_rows i64 [M]  rows (sequence * S + token) with a label, the first row where there is none
 *   random i64 [2]           seed, step; first_example i64 []: sequences of the step before this batch
 *   learning_rate f32 [], step i64 [], keep f32 []: 0 in the first run of a step, else 1
 *   forward i64 []: runs of all steps before this one, for quantization
 */
#ifndef POFAC_FRONTEND_TRAIN_INPUTS_H
#define POFAC_FRONTEND_TRAIN_INPUTS_H

#include "frontend/driver/teacher_logits.h"
#include "frontend/model/model_graph.h"
#include "ir/batch_source.h"

#define TRAIN_MAX_LOSSES 4

typedef struct train_inputs train_inputs;

/* `spec` says which losses there are, and must outlive the inputs. */
POFAC_MUST_USE pofac_status train_inputs_create(const model_spec *spec, uint64_t seed, const diag_sink *sink, train_inputs **out);
void train_inputs_destroy(train_inputs *t); /* NULL is fine */

/* Batches that are added from now on have a teacher's kept logits beside them (teacher_logits.h), which outlive the inputs. */
void train_inputs_set_teacher(train_inputs *t, teacher_logits *teacher);

/* Of tokens without a label, the share that distillation draws (distillation.token_share): scales count those that are drawn. 1, as at first: all. */
void train_inputs_set_token_share(train_inputs *t, double share);

/* Another step begins, number `step` from 1, at this rate: its batches follow. */
void train_inputs_begin(train_inputs *t, int64_t step, double learning_rate);

/* Runs of all steps before this one, 0 until this is called. */
void train_inputs_set_forwards(train_inputs *t, int64_t forwards);

/* Takes a copy of a batch. POFAC_ERR_INPUT: it lacks labels of a loss. */
POFAC_MUST_USE pofac_status train_inputs_add(train_inputs *t, const batch *b, const diag_sink *sink);

size_t train_inputs_size(const train_inputs *t);      /* batches of the step */
int64_t train_inputs_tokens(const train_inputs *t);   /* of the step, without padding */
int64_t train_inputs_examples(const train_inputs *t); /* sequences of the step */

/* Rows of loss term `loss` (model_graph_losses) that count: in the whole step, or in batch i. Of a regression: elements. */
int64_t train_inputs_counted(const train_inputs *t, size_t loss);
int64_t train_inputs_counted_in(const train_inputs *t, size_t i, size_t loss);

/* The inputs of run i of the step, valid until the step ends or another run's are asked for. */
POFAC_MUST_USE pofac_status train_inputs_select(train_inputs *t, size_t i, const diag_sink *sink, const tensor_source **out);

/* All inputs of the selected run by place, for dumps; false past the last. */
bool train_inputs_at(const train_inputs *t, size_t place, const char **name, ir_tensor *out);

#endif
