/*
 * Pruning once, without training (`pofac prune`): the weights of a model, or the matrices of a plain file of tensors, are set to zero where a configuration's
 * method says so, at its target.
 */
#ifndef POFAC_FRONTEND_PRUNE_ONCE_H
#define POFAC_FRONTEND_PRUNE_ONCE_H

#include "frontend/driver/loaded_model.h"
#include "frontend/model/pruning_config.h"
#include "runtime/thread_pool.h"

typedef struct prune_once_options {
    const pruning_config *config;
    const char *output; /* a directory for a model, which is made where it is missing; a safetensors file for tensors */
    ir_dtype dtype;     /* of a model's parameters: IR_F32, IR_BF16 or IR_F16. Plain tensors keep theirs */
    thread_pool *pool;
    bool of_options; /* the configuration is what options say, not a file: what is wrong with it is POFAC_ERR_USAGE */
} prune_once_options;

/*
 * A model: the linear layers of its graph by the names of their modules; weights that stand elsewhere too (a tied decoder) are never pruned. The result is in
 * Hugging Face's layout (model_save.h). Appends to `report` one JSON object: {"method", "output", "layers": [{"name", "shape", "zeros", "sparsity"}],
 * "sparsity"}; shares of zeros are of each chosen weight, and of all of them. POFAC_ERR_USAGE: parameters that do not fit a weight;
 * POFAC_ERR_INPUT: the configuration chooses nothing, or has no such method.
 */
POFAC_MUST_USE pofac_status prune_once_model(loaded_model *model, const prune_once_options *options, const diag_sink *sink,
                                             strbuf *report);

/* A checkpoint's file: its matrices of floats are layers, called by their names without an ending ".weight". All tensors and metadata are written. */
POFAC_MUST_USE pofac_status prune_once_file(const char *path, const prune_once_options *options, const diag_sink *sink,
                                            strbuf *report);

/* Is it a file of tensors, and no model? */
bool prune_once_is_file(const char *path);

#endif
