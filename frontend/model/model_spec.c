/*
 * The definition of a model: defaults, checks and the table of heads (frontend/heads.def).
 *
 * Defaults are those of BertConfig and DistilBertConfig in Hugging Face's transformers 4.x. Ranges stand in spec_fields.def.
 */
#include "frontend/model/model_spec.h"

#include <inttypes.h>
#include <string.h>

#include "ir/support/json_text.h"

#define MAX_LABELS 16777216

model_spec model_spec_default(model_arch arch) {
    model_spec spec = {
        .arch = arch,
        .head = HEAD_AUTO,
        .vocab_size = 30522,
        .hidden_size = 768,
        .num_hidden_layers = 12,
        .num_attention_heads = 12,
        .intermediate_size = 3072,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
        .pad_token_id = 0,
        .hidden_act = ACTIVATION_GELU,
        .layer_norm_eps = 1e-12,
        .initializer_range = 0.02,
        .hidden_dropout_prob = 0.1,
        .attention_probs_dropout_prob = 0.1,
        .classifier_dropout = 0.1,
        .tie_word_embeddings = true,
        .num_labels = 2,
    };
    if (arch == MODEL_DISTILBERT) {
        spec.num_hidden_layers = 6;
        spec.type_vocab_size = 0;
        spec.classifier_dropout = 0.2;
        spec.qa_dropout = 0.1;
    }
    return spec;
}

static pofac_status wrong_integer(const char *file, const char *field, int64_t found, int64_t least, int64_t most,
                                  const diag_sink *sink) {
    diag_place place = {.file = file};
    if (least == most)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "%s: found %" PRId64 ", wanted %" PRId64, field, found, least);
    return diag_error(sink, POFAC_ERR_INPUT, &place, "%s: found %" PRId64 ", wanted an integer from %" PRId64 " to %" PRId64, field,
                      found, least, most);
}

static pofac_status check_integer(const char *file, const char *field, int64_t found, int64_t least, int64_t most,
                                  const diag_sink *sink) {
    return found >= least && found <= most ? POFAC_OK : wrong_integer(file, field, found, least, most, sink);
}

static pofac_status check_real(const char *file, const char *field, double found, double limit, const diag_sink *sink) {
    if (found >= 0 && found < limit) return POFAC_OK; /* false for NaN */
    diag_place place = {.file = file};
    strbuf text = STRBUF_INIT;
    json_put_real(found, &text);
    pofac_status status = diag_error(sink, POFAC_ERR_INPUT, &place, "%s: found %s, wanted a number from 0 to below %g", field,
                                     strbuf_str(&text), limit);
    strbuf_free(&text);
    return status;
}

/* What one field alone does not show. */
static pofac_status check_together(const model_spec *spec, const char *file, const diag_sink *sink) {
    diag_place place = {.file = file};
    pofac_status status = POFAC_OK;
    if (spec->hidden_size % spec->num_attention_heads)
        status = diag_error(sink, POFAC_ERR_INPUT, &place,
                            "num_attention_heads: found %" PRId64 ", wanted a divisor of hidden_size, which is %" PRId64,
                            spec->num_attention_heads, spec->hidden_size);
    if (spec->pad_token_id >= spec->vocab_size)
        status = diag_error(sink, POFAC_ERR_INPUT, &place,
                            "pad_token_id: found %" PRId64 ", wanted less than vocab_size, which is %" PRId64, spec->pad_token_id,
                            spec->vocab_size);
    if (spec->arch == MODEL_BERT && spec->type_vocab_size == 0)
        status = wrong_integer(file, "type_vocab_size", 0, 1, MAX_LABELS, sink);
    if (spec->arch == MODEL_DISTILBERT && spec->type_vocab_size != 0)
        status = wrong_integer(file, "type_vocab_size", spec->type_vocab_size, 0, 0, sink);
    return status;
}

pofac_status model_spec_check(const model_spec *spec, const char *file, const diag_sink *sink) {
    pofac_status status = POFAC_OK, found;
#define CHECK(expr)                                                                                                                \
    if ((found = (expr)) != POFAC_OK) status = found;
#define SPEC_INTEGER(field, bert, distilbert, least, most) CHECK(check_integer(file, #field, spec->field, least, most, sink))
#define SPEC_REAL(field, bert, distilbert, limit) CHECK(check_real(file, #field, spec->field, limit, sink))
#include "frontend/model/spec_fields.def"
#undef SPEC_INTEGER
#undef SPEC_REAL
    CHECK(check_integer(file, "num_labels", spec->num_labels, 1, MAX_LABELS, sink))
#undef CHECK
    return status == POFAC_OK ? check_together(spec, file, sink) : status;
}

static const model_head_row head_rows[] = {
#define HEAD(id, name, bert_class, distilbert_class, has_labels, meaning)                                                          \
    {HEAD_##id, name, {[MODEL_BERT] = bert_class, [MODEL_DISTILBERT] = distilbert_class}, has_labels, meaning},
#include "frontend/heads.def"
#undef HEAD
};

#define N_HEADS (sizeof head_rows / sizeof *head_rows)

const model_head_row *model_heads(size_t *n) {
    *n = N_HEADS;
    return head_rows;
}

const model_head_row *model_head_find(model_head head) {
    for (size_t i = 0; i < N_HEADS; i++)
        if (head_rows[i].head == head) return &head_rows[i];
    return NULL;
}

const char *model_head_name(model_head head) {
    const model_head_row *row = model_head_find(head);
    return row ? row->name : NULL;
}

bool model_head_parse(const char *name, model_head *out) {
    for (size_t i = 0; i < N_HEADS; i++) {
        if (strcmp(head_rows[i].name, name) != 0) continue;
        *out = head_rows[i].head;
        return true;
    }
    return false;
}

/* `name` is `ending`, or ends in it behind a dot. */
static bool names_tensor(const char *name, const char *ending) {
    size_t n = strlen(name), ending_bytes = strlen(ending);
    if (n < ending_bytes || strcmp(name + n - ending_bytes, ending) != 0) return false;
    return n == ending_bytes || name[n - ending_bytes - 1] == '.';
}

static bool has_tensor(const char *const *tensor_names, size_t n, const char *ending) {
    for (size_t i = 0; i < n; i++)
        if (names_tensor(tensor_names[i], ending)) return true;
    return false;
}

/* A classifier stands on the pooled output (BERT's pooler, DistilBERT's pre_classifier) when there is one, else on each token. */
model_head model_head_guess(const char *const *tensor_names, size_t n) {
    if (has_tensor(tensor_names, n, "qa_outputs.weight")) return HEAD_QUESTION_ANSWERING;
    if (has_tensor(tensor_names, n, "cls.predictions.transform.dense.weight"))
        return has_tensor(tensor_names, n, "cls.seq_relationship.weight") ? HEAD_PRETRAINING : HEAD_MASKED_LM;
    if (has_tensor(tensor_names, n, "vocab_transform.weight")) return HEAD_MASKED_LM;
    if (!has_tensor(tensor_names, n, "classifier.weight")) return HEAD_NONE;
    bool pooled = has_tensor(tensor_names, n, "pooler.dense.weight") || has_tensor(tensor_names, n, "pre_classifier.weight");
    return pooled ? HEAD_SEQUENCE_CLASSIFICATION : HEAD_TOKEN_CLASSIFICATION;
}

const char *model_arch_name(model_arch arch) { return arch == MODEL_BERT ? "bert" : "distilbert"; }

static const char *const activation_names[] = {
    [ACTIVATION_GELU] = "gelu", [ACTIVATION_GELU_NEW] = "gelu_new", [ACTIVATION_RELU] = "relu"};

#define N_ACTIVATIONS (sizeof activation_names / sizeof *activation_names)

const char *model_activation_name(model_activation a) { return (size_t)a < N_ACTIVATIONS ? activation_names[a] : NULL; }

bool model_activation_parse(const char *name, model_activation *out) {
    for (size_t i = 0; i < N_ACTIVATIONS; i++) {
        if (strcmp(activation_names[i], name) != 0) continue;
        *out = (model_activation)i;
        return true;
    }
    return false;
}
