/*
 * The data of a recipe -> examples for batches, of one split: rows of a task, windows of questions, shards, rows of tensors.
 *
 * The examples must have what the model's head learns from: a field for each of its labels.
 */
#ifndef POFAC_FRONTEND_RUN_DATA_H
#define POFAC_FRONTEND_RUN_DATA_H

#include "frontend/data/shard_examples.h"
#include "frontend/data/task_examples.h"
#include "frontend/driver/loaded_model.h"
#include "frontend/driver/recipe.h"
#include "frontend/driver/tensor_examples.h"

typedef enum run_data_split { RUN_DATA_TRAIN, RUN_DATA_EVAL } run_data_split;

typedef struct run_data {
    example_source source;
    const char *path;      /* the file or directory that was read */
    size_t fixed_length;   /* what batches are padded to; 0: their longest */
    const task_info *task; /* of kind glue, else NULL */
    arena memory;
    label_set labels; /* of a classification */
    token_store *store;
    shard_set *shards;
    shard_examples *masked;
    tensor_examples *tensors;
} run_data;

/* The file of a task's split: the recipe's path, or the split's file where that is a directory. `eval` that is not given: the split dev beside a
 * directory `train`. POFAC_ERR_INPUT: a directory without the file; *out NULL: there is no such split to be had, which only of RUN_DATA_EVAL is
 * no error. */
POFAC_MUST_USE pofac_status run_data_task_file(const recipe *r, const task_info *task, run_data_split split, arena *a,
                                               const diag_sink *sink, const char **out);

/* *found false, and nothing is open: there is no split to measure with. The model and the recipe outlive the data. POFAC_ERR_INPUT: what reading finds
 * wrong; no examples; examples that lack what the head learns from, or are longer than the model takes. POFAC_ERR_USAGE: max_seq_length. */
POFAC_MUST_USE pofac_status run_data_open(const recipe *r, loaded_model *model, run_data_split split, const diag_sink *sink,
                                          run_data *out, bool *found);
void run_data_close(run_data *d); /* fine when nothing is open */

/* The longest sequence that the recipe lets the model see. */
POFAC_MUST_USE pofac_status run_data_max_length(const recipe *r, const loaded_model *model, const diag_sink *sink, int64_t *out);

#endif
