/*
 * State of a run -> a model in Hugging Face's layout, which loads there, and here, unchanged:
 *
 *   config.json        the original's, with what the model is now: sizes, class of the head, labels, dtype
 *   model.safetensors  parameters under the names of Hugging Face's classes, of tied ones the first; sparse weights dense, with their
 *                      zeros, and weights under masks with zeros where these say so; buffers of the original as it has them; metadata format=pt
 *   vocab.txt, tokenizer_config.json, special_tokens_map.json, added_tokens.json, tokenizer.json: the original's, where it has them
 */
#ifndef POFAC_FRONTEND_MODEL_SAVE_H
#define POFAC_FRONTEND_MODEL_SAVE_H

#include "frontend/driver/loaded_model.h"
#include "frontend/driver/stored_weights.h"
#include "runtime/state_store.h"

/*
 * Writes them into `dir`, which is there; each file takes the place of an old one at once, model.safetensors last. Before that, ranges of 8 bits go that
 * lay there (QUANTIZATION_FILE): they are of other weights, and whoever has some of these writes them afterwards. `dtype` of the
 * parameters: IR_F32, IR_BF16 or IR_F16, rounded to nearest even. `state` has all parameters of the model's head. The original is read
 * again; `dir` may be its own. POFAC_ERR_RUNTIME: it cannot be written.
 */
POFAC_MUST_USE pofac_status run_model_save(const char *dir, loaded_model *model, state_store *state, ir_dtype dtype,
                                           const diag_sink *sink);

/* What of the parameters stands in the file as whole numbers and scales, which loads here alone. */
typedef struct model_storage {
    /* Of the weight of that name, which is dense, f32 [N,K]; false: as floats. */
    bool (*find)(void *user, const char *weight, weight_storage *out);
    void *user;
    thread_pool *pool;
} model_storage;
POFAC_MUST_USE pofac_status run_model_save_stored(const char *dir, loaded_model *model, state_store *state, ir_dtype dtype,
                                                  const model_storage *storage, const diag_sink *sink);

/* Whether the entry is a parameter, not a moment, a sum of gradients, a range of 8 bits, or no floats (a mask, say): what model.safetensors has. */
bool run_state_is_parameter(const state_entry *e);

#endif
