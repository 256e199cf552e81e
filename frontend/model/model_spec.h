/*
 * The definition of a BERT-like model: its sizes and settings, without weights. Filled by the config.json reader and by the XML
 * reader; read by the graph builder. Field names are those of Hugging Face's config.json of BERT; DistilBERT's names (dim,
 * n_layers, ...) are mapped onto them.
 */
#ifndef POFAC_FRONTEND_MODEL_SPEC_H
#define POFAC_FRONTEND_MODEL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"

typedef enum model_arch { MODEL_BERT, MODEL_DISTILBERT } model_arch;

/* HEAD_AUTO: from `architectures`, else from the checkpoint's tensor names (model_head_guess). The others: rows of
 * frontend/heads.def. */
typedef enum model_head {
    HEAD_AUTO,
#define HEAD(id, name, bert_class, distilbert_class, has_labels, meaning) HEAD_##id,
#include "frontend/heads.def"
#undef HEAD
} model_head;

typedef enum model_activation { ACTIVATION_GELU, ACTIVATION_GELU_NEW, ACTIVATION_RELU } model_activation;

typedef struct model_spec {
    model_arch arch;
    model_head head;
    int64_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    int64_t max_position_embeddings, type_vocab_size; /* DistilBERT: type_vocab_size 0 */
    int64_t pad_token_id;
    model_activation hidden_act;
    double layer_norm_eps, initializer_range;
    double hidden_dropout_prob, attention_probs_dropout_prob; /* in training */
    double classifier_dropout, qa_dropout;                    /* before the head; qa_dropout is DistilBERT's alone */
    bool tie_word_embeddings;
    int64_t num_labels;        /* of heads with labels; default: length of id2label, else 2 */
    const char *const *labels; /* [num_labels] from id2label, or NULL */
    bool regression;           /* problem_type = "regression", or num_labels = 1 */
} model_spec;

/* A rate of dropout that may be left as it is. */
typedef struct model_rate {
    bool is_given;
    double rate;
} model_rate;

/* The defaults of Hugging Face's BertConfig / DistilBertConfig. */
model_spec model_spec_default(model_arch arch);

/* Checks ranges (positive sizes, heads divide the hidden size, nothing so large that it cannot be meant: a dimension over 2^24,
 * more than 1,000 layers, eps or dropout outside of [0, 1), ...). `file` names the document in messages: `FILE: error:
 * hidden_size: found -3, wanted an integer from 1 to 16777216`. One message for each wrong field; POFAC_ERR_INPUT. */
POFAC_MUST_USE pofac_status model_spec_check(const model_spec *spec, const char *file, const diag_sink *sink);

/* The table of heads, in the order of frontend/heads.def. */
typedef struct model_head_row {
    model_head head;
    const char *name;       /* as users write it: "sequence-classification" */
    const char *classes[2]; /* of Hugging Face, by model_arch */
    bool has_labels;        /* sized by num_labels */
    const char *meaning;
} model_head_row;
const model_head_row *model_heads(size_t *n);
const model_head_row *model_head_find(model_head head); /* NULL for HEAD_AUTO */

/* Names as users write them. NULL (for HEAD_AUTO too) / false when unknown. */
const char *model_head_name(model_head head);
bool model_head_parse(const char *name, model_head *out);

/* The head that a checkpoint with these tensors was saved with, whatever prefixes its names carry; HEAD_NONE when it has none
 * that is known. */
model_head model_head_guess(const char *const *tensor_names, size_t n);

const char *model_arch_name(model_arch arch); /* model_type of config.json: "bert", "distilbert" */
const char *model_activation_name(model_activation a);
bool model_activation_parse(const char *name, model_activation *out);

/*
 * config.json of BERT or DistilBERT (frontend/model/config_json.c). `architectures` may be missing (head stays HEAD_AUTO), unknown
 * keys are ignored, known keys with values of another type or out of range are errors with file and path (`hidden_size: found
 * ...`), syntax errors carry line and column. What would make another network than the one that is built (decoders, relative
 * positions) is an error; an unknown class in `architectures` is a warning. Strings live in `a`. POFAC_ERR_INPUT.
 */
POFAC_MUST_USE pofac_status config_json_read(const char *path, arena *a, const diag_sink *sink, model_spec *out);

/* The same of n bytes; `file` stands for them in messages. */
POFAC_MUST_USE pofac_status config_json_parse(const char *file, const void *bytes, size_t n, arena *a, const diag_sink *sink,
                                              model_spec *out);

/* Appends config.json with the names that Hugging Face expects for this architecture and head, keys sorted; HEAD_AUTO leaves
 * `architectures` out. */
void config_json_write(const model_spec *spec, strbuf *out);

#endif
