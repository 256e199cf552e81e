/*
 * The model that a recipe's run trains or measures: with the head that its data ask for, the labels of its task, and its rates of dropout.
 *
 * The head is the option's, else the description's, else what the data are for: sequences or tokens of a task, questions, pairs of segments.
 * A model whose own head that is keeps its labels, which must be the task's, in whatever order (pitfall: orders that differ); a new head
 * gets those of a teacher with that head, else the task's, and those of own data are the ones that stand in its file.
 */
#ifndef POFAC_FRONTEND_RUN_MODEL_H
#define POFAC_FRONTEND_RUN_MODEL_H

#include "frontend/driver/loaded_model.h"
#include "frontend/driver/recipe.h"

/* `options` are the command line's: head, num_labels, vocabulary; seed and dropout are the recipe's. POFAC_ERR_INPUT: labels that are not the task's; a
 * model without a head, of tensors. POFAC_ERR_USAGE: a head that cannot learn from such data. */
POFAC_MUST_USE pofac_status run_model_open(const recipe *r, const loaded_model_options *options, const diag_sink *sink,
                                           loaded_model **out);

#endif
