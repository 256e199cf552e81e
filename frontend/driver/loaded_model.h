/*
 * A model as the user names it - a Hugging Face directory, an XML description or a compiled model - with its definition, its weights and its
 * tokenizer.
 *
 * Opening reads the definition and maps the checkpoint. Which parameters are needed is read off a graph (loaded_model_bind); those
 * that the checkpoint lacks are drawn from the seed if they belong to the head (or if there is no checkpoint), and an error
 * otherwise. A loaded model owns the IR context of its graphs: modules and plans made from it must be destroyed before it.
 */
#ifndef POFAC_FRONTEND_LOADED_MODEL_H
#define POFAC_FRONTEND_LOADED_MODEL_H

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/driver/compiled_model.h"
#include "frontend/driver/model_quantization.h"
#include "frontend/model/model_graph.h"
#include "frontend/text/tokenizer.h"

typedef struct loaded_model loaded_model;

typedef struct loaded_model_options {
    model_head head;    /* HEAD_AUTO: as the model says */
    int64_t num_labels; /* 0: as the model says */
    uint64_t seed;
    size_t threads;          /* that open a compiled model, at most; 0: as many as the process may use */
    const char *description; /* the XML description itself, of description_bytes; `path` is its name; NULL: the file is read */
    size_t description_bytes;
    const char *vocab;         /* vocabulary instead of the model's own, or NULL */
    const char *const *labels; /* [num_labels] names instead of the model's, copied; or NULL */
    model_rate hidden_dropout, attention_dropout,
        classifier_dropout; /* instead of the model's. A classifier's that is BERT's hidden one follows it */
} loaded_model_options;

POFAC_MUST_USE pofac_status loaded_model_open(const char *path, const loaded_model_options *options, const diag_sink *sink,
                                              loaded_model **out);
void loaded_model_close(loaded_model *m); /* NULL is fine */

const model_spec *loaded_model_spec(const loaded_model *m); /* head resolved */
ir_context *loaded_model_context(loaded_model *m);
const char *loaded_model_path(const loaded_model *m);

/* The directory of Hugging Face's files that it came from, the vocabulary that it has instead of the directory's, and its checkpoint; each
 * NULL where there is none. */
const char *loaded_model_directory(const loaded_model *m);
const char *loaded_model_vocabulary(const loaded_model *m);
const checkpoint *loaded_model_checkpoint(const loaded_model *m);

/* The compiled model that it is; NULL: it is none. */
const compiled_model *loaded_model_compiled(const loaded_model *m);

/* What is in 8 bits of a quantized model, whose directory says so; NULL: nothing. */
const model_quantization *loaded_model_quantization(const loaded_model *m);

/* The tensor of the checkpoint that the bound parameter is; NULL: it is drawn, or of a compiled model. */
const checkpoint_tensor *loaded_model_tensor(const loaded_model *m, const char *name);

/* False when a checkpoint is there but holds neither word nor position embeddings: such a model starts at embedding_output. */
bool loaded_model_has_embeddings(const loaded_model *m);
/* False when a checkpoint is there but holds no pooler. */
bool loaded_model_has_pooler(const loaded_model *m);

/* Finds or makes the tensor of every state leaf of `g`. POFAC_ERR_INPUT: all mismatched shapes, or parameters of the encoder that
 * the checkpoint lacks. Says as notes what was drawn from the seed, and which tensors of the checkpoint nobody needs. May be called
 * for several graphs. */
POFAC_MUST_USE pofac_status loaded_model_bind(loaded_model *m, const ir_graph *g, const diag_sink *sink);

/* The bound parameters, and the ranges of a quantized model (model_quantization_ranges). Those of the checkpoint are views of its mapping where they can be. Others - of the seed, and copies of what is
 * unaligned or strided - are made when they are asked for, and freed when all who asked have released them. Several sessions may use
 * it at the same time, but not while another graph is bound. */
const tensor_source *loaded_model_state(const loaded_model *m);

/* The same without the parameters that the checkpoint lacks (POFAC_ERR_INPUT): for those who look at weights, and make none. */
const tensor_source *loaded_model_stored(const loaded_model *m);

/* The model's tokenizer, read at the first call, behind which threads may ask for it at the same time; POFAC_ERR_INPUT when it has none. */
POFAC_MUST_USE pofac_status loaded_model_tokenizer(loaded_model *m, const diag_sink *sink, const tokenizer **out);

/* How that tokenizer treats text: of a vocabulary that is not the directory's own. */
POFAC_MUST_USE pofac_status loaded_model_tokenizer_settings(loaded_model *m, const diag_sink *sink, tokenizer_options *out);

#endif
