/*
 * The teacher of a recipe's run, opened for the model that learns from it: with the same head, and classes in the same order.
 *
 * Both read the same inputs, so the teacher must have the model's vocabulary, take sequences as long, and answer with the same classes. Labels are
 * compared by their names (pitfall: orders that differ); a new head gets the teacher's order (run_model.h), so only a model that has labels of its own can
 * have another.
 */
#ifndef POFAC_FRONTEND_RUN_TEACHER_H
#define POFAC_FRONTEND_RUN_TEACHER_H

#include "frontend/driver/distillation.h"
#include "frontend/driver/recipe.h"

/* What a step is told of the recipe's teacher, which the caller closes, also after an error. *out has no teacher where its logits are kept
 * (teacher_logits.h), and is zero where there is neither. POFAC_ERR_INPUT: the
 * teacher cannot be opened, or does not fit the model. */
POFAC_MUST_USE pofac_status run_teacher_open(const recipe *r, loaded_model *model, const diag_sink *sink, distillation *out);

#endif
