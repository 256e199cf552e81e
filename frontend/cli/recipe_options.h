/*
 * Options of `train` and `eval` that are attributes of a description: the rows of frontend/xml.def for <data> and <train>, and of `train` for <prune> and
 * <distill>, by the same names (of <prune>'s paths and override with "pruning_" before them), with the same defaults and help. Ranges are checked where the recipe is
 * read (frontend/driver/recipe.h).
 */
#ifndef POFAC_FRONTEND_CLI_RECIPE_OPTIONS_H
#define POFAC_FRONTEND_CLI_RECIPE_OPTIONS_H

#include "frontend/cli/command.h"
#include "frontend/driver/recipe.h"

/* RECIPE_ROWS expands to the rows within a command's table, where xml.def is included with the macros below. An element that is no option has an
 * empty macro. */
#define RECIPE_ROW_STRING(name, range, standard, help) {#name, RECIPE_KIND_##name, "TEXT", standard, 0, 0, help},
#define RECIPE_ROW_PATH(name, range, standard, help) {#name, OPTION_READS, "PATH", standard, 0, 0, help},
#define RECIPE_ROW_INT(name, range, standard, help) {#name, OPTION_TEXT, "N", standard, 0, 0, help},
#define RECIPE_ROW_INTS(name, range, standard, help) {#name, OPTION_TEXT, "N...", standard, 0, 0, help},
#define RECIPE_ROW_FLOAT(name, range, standard, help) {#name, OPTION_TEXT, "X", standard, 0, 0, help},
#define RECIPE_ROW_BOOL(name, range, standard, help) {#name, OPTION_FLAG, NULL, standard, 0, 0, help},
#define RECIPE_ROW_WORD(name, range, standard, help) {#name, OPTION_CHOICE, range, standard, 0, 0, help},

#define RECIPE_PRUNING_PATH(name, range, standard, help) {"pruning_" #name, OPTION_READS, "PATH", standard, 0, 0, help},
#define RECIPE_PRUNING_STRING(name, range, standard, help) {"pruning_" #name, OPTION_TEXT, "JSON", standard, 0, 0, help},
#define RECIPE_PRUNING_INT RECIPE_ROW_INT
#define RECIPE_PRUNING_INTS RECIPE_ROW_INTS
#define RECIPE_PRUNING_FLOAT RECIPE_ROW_FLOAT
#define RECIPE_PRUNING_BOOL RECIPE_ROW_BOOL
#define RECIPE_PRUNING_WORD RECIPE_ROW_WORD

#define RECIPE_OF_data(name, type, range, need, help) RECIPE_ROW_##type(name, range, need, help)
#define RECIPE_OF_train(name, type, range, need, help) RECIPE_ROW_##type(name, range, need, help)
#define RECIPE_OF_pofac(name, type, range, need, help)
#define RECIPE_OF_model(name, type, range, need, help)
#define RECIPE_OF_bert(name, type, range, need, help)
#define RECIPE_OF_distilbert(name, type, range, need, help)
#define RECIPE_OF_label(name, type, range, need, help)
#define RECIPE_OF_checkpoint(name, type, range, need, help)
#define RECIPE_OF_tokenizer(name, type, range, need, help)
#define RECIPE_OF_teacher(name, type, range, need, help)
#define RECIPE_OF_prune(name, type, range, need, help) RECIPE_PRUNING_##type(name, range, need, help)
#define RECIPE_OF_not_to_prune(name, type, range, need, help)
#define RECIPE_OF_prune_layer_types(name, type, range, need, help)
#define RECIPE_OF_weight_sparsity_map(name, type, range, need, help)
#define RECIPE_OF_explicit_prune(name, type, range, need, help)
#define RECIPE_OF_distill(name, type, range, need, help) RECIPE_ROW_##type(name, range, need, help)
#define RECIPE_OF_quantize(name, type, range, need, help)
#define RECIPE_OF_not_to_quantize(name, type, range, need, help)
#define RECIPE_OF_not_to_requantize_output(name, type, range, need, help)
#define RECIPE_OF_pipeline(name, type, range, need, help)
#define RECIPE_OF_parameter(name, type, range, need, help)
#define RECIPE_OF_stage(name, type, range, need, help)
#define RECIPE_OF_argument(name, type, range, need, help)
#define RECIPE_OF_option(name, type, range, need, help)
#define RECIPE_OF_set(name, type, range, need, help)
#define RECIPE_OF_results(name, type, range, need, help)
#define RECIPE_OF_row(name, type, range, need, help)
#define RECIPE_OF_cell(name, type, range, need, help)

/* What the texts of <train> are. */
#define RECIPE_KIND_output_dir OPTION_WRITES
#define RECIPE_KIND_resume_from_checkpoint OPTION_READS
#define RECIPE_KIND_logging_dir OPTION_WRITES
#define RECIPE_KIND_max_memory OPTION_TEXT
#define RECIPE_KIND_metric_for_best_model OPTION_TEXT

#define RECIPE_NEED_REQUIRED NULL
#define RECIPE_NEED_ABSENT NULL
#define RECIPE_NEED_DEFAULT(text) text

/* The options that were given, for recipe_read; in the command's arena. */
POFAC_MUST_USE pofac_status recipe_options(const command_input *in, const recipe_option **out, size_t *n);

#endif
