/*
 * The teacher of a recipe's run, opened for the model that learns from it: with the same head, and classes in the same order.
 *
 * Both read the same inputs, so the teacher must have the model's vocabulary, take sequences as long, and answer with the same classes. Labels are
 * compared by their names (pitfall: orders that differ); a new head gets the teacher's order (run_model.h), so only a model that has labels of its own can
 * have another.
 */
#ifndef POFAC_FRONTEND_RUN_TEACHER_H
#define POFAC_FRONTEND_RUN_TEACHER_H

#include "frontend/driver/loaded_model.h"
#include "frontend/driver/recipe.h"

/* `longest`: tokens of the longest sequence that comes. *out NULL: the recipe has no teacher that is run. POFAC_ERR_INPUT: it cannot be opened, or does not
 * fit the model. */
POFAC_MUST_USE pofac_status run_teacher_open(const recipe *r, loaded_model *model, int64_t longest, const diag_sink *sink,
                                             loaded_model **out);

#endif
