/*
 * config.json <-> model_spec, for BERT and DistilBERT.
 *
 * Plain numbers are read and written by the rows of spec_fields.def; the rest has a function each. The keys and their meaning are
 * those of BertConfig and DistilBertConfig in Hugging Face's transformers 4.x. DistilBERT's file may also use BERT's name of a
 * field, which transformers accepts. Every wrong key has its message, not the first one alone.
 *
 * Left out on purpose: keys about generation and about other architectures, which are ignored.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/model/model_spec.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"
#include "ir/support/strmap.h"

#define MAX_LABELS 16777216 /* as in model_spec_check */

typedef struct reader {
    const char *file;
    const json_t *root;
    arena *memory;
    const diag_sink *sink;
    pofac_status status; /* the first error; its message is out */
    strbuf text;
    model_spec *spec;
} reader;

static void fail(reader *r, pofac_status status) {
    if (r->status == POFAC_OK) r->status = status;
}

static void wrong(reader *r, const char *key, const json_t *value, const char *wanted) {
    diag_place place = {.file = r->file};
    const char *found = value ? json_describe(value, &r->text) : "nothing";
    fail(r, diag_error(r->sink, POFAC_ERR_INPUT, &place, "%s: found %s, wanted %s", key, found, wanted));
}

/* A value that is there and is not null. */
static const json_t *get(const reader *r, const char *key) {
    const json_t *value = json_object_get(r->root, key);
    return value && json_is_null(value) ? NULL : value;
}

static const char *first_class(const reader *r) { return json_string_value(json_array_get(get(r, "architectures"), 0)); }

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

/* Without model_type: from the class, else from names that only one of the two has. */
static bool guess_arch(const reader *r, model_arch *out) {
    const char *class = first_class(r);
    if (class && starts_with(class, "DistilBert")) *out = MODEL_DISTILBERT;
    else if (class && starts_with(class, "Bert")) *out = MODEL_BERT;
    else if (class) return false;
    else if (get(r, "dim") || get(r, "n_layers") || get(r, "hidden_dim")) *out = MODEL_DISTILBERT;
    else if (get(r, "hidden_size") || get(r, "num_hidden_layers") || get(r, "intermediate_size")) *out = MODEL_BERT;
    else return false;
    return true;
}

static void read_arch(reader *r, model_arch *out) {
    const json_t *type = get(r, "model_type");
    const char *name = json_string_value(type);
    if (name && strcmp(name, "bert") == 0) *out = MODEL_BERT;
    else if (name && strcmp(name, "distilbert") == 0) *out = MODEL_DISTILBERT;
    else if (type || !guess_arch(r, out)) wrong(r, "model_type", type, "\"bert\" or \"distilbert\"");
}

/* The value of a field's key; NULL when it is not there, so that the default stays. */
static const json_t *get_field(const reader *r, const char *key, const char *bert_key, bool may_be_null) {
    const json_t *value = json_object_get(r->root, key);
    if (!value && bert_key) value = json_object_get(r->root, bert_key);
    return value && json_is_null(value) && may_be_null ? NULL : value;
}

static void read_integer(reader *r, const char *key, const json_t *value, int64_t least, int64_t most, int64_t *out) {
    if (!value) return;
    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= least && *out <= most) return;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "an integer from %" PRId64 " to %" PRId64, least, most);
    wrong(r, key, value, wanted);
}

static void read_real(reader *r, const char *key, const json_t *value, double limit, double *out) {
    if (!value) return;
    *out = json_number_value(value);
    if (json_is_number(value) && *out >= 0 && *out < limit) return;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "a number from 0 to below %g", limit);
    wrong(r, key, value, wanted);
}

static void read_bool(reader *r, const char *key, bool *out) {
    const json_t *value = json_object_get(r->root, key);
    if (!value) return;
    if (json_is_boolean(value)) *out = json_is_true(value);
    else wrong(r, key, value, "true or false");
}

static void read_numbers(reader *r) {
    model_spec *spec = r->spec;
    const bool bert = spec->arch == MODEL_BERT;
#define SPEC_INTEGER(field, bert_key, distilbert_key, least, most)                                                                 \
    {                                                                                                                              \
        const char *key = bert ? bert_key : distilbert_key;                                                                        \
        if (key) read_integer(r, key, get_field(r, key, bert_key, strcmp(key, "pad_token_id") == 0), least, most, &spec->field);   \
    }
#define SPEC_REAL(field, bert_key, distilbert_key, limit)                                                                          \
    {                                                                                                                              \
        const char *key = bert ? bert_key : distilbert_key;                                                                        \
        if (key) read_real(r, key, get_field(r, key, bert_key, strcmp(key, "classifier_dropout") == 0), limit, &spec->field);      \
    }
#include "frontend/model/spec_fields.def"
#undef SPEC_INTEGER
#undef SPEC_REAL
    /* BertForSequenceClassification: config.classifier_dropout if it is not None, else config.hidden_dropout_prob */
    if (bert && !get(r, "classifier_dropout")) spec->classifier_dropout = spec->hidden_dropout_prob;
    read_bool(r, "tie_weights_", &spec->tie_word_embeddings); /* DistilBERT's own name */
    read_bool(r, "tie_word_embeddings", &spec->tie_word_embeddings);
}

static void read_activation(reader *r) {
    const char *key = r->spec->arch == MODEL_BERT ? "hidden_act" : "activation";
    const json_t *value = json_object_get(r->root, key);
    if (!value) return;
    const char *name = json_string_value(value);
    if (!name || !model_activation_parse(name, &r->spec->hidden_act)) wrong(r, key, value, "\"gelu\", \"gelu_new\" or \"relu\"");
}

/* Another class than the known ones is no error: the head may be named by the user, or follow from the tensors. */
static void read_class(reader *r, const json_t *value) {
    const char *class = json_string_value(value);
    if (!class) {
        wrong(r, "architectures[0]", value, "the name of a class");
        return;
    }
    size_t n;
    const model_head_row *rows = model_heads(&n);
    const model_arch arch = r->spec->arch, other = arch == MODEL_BERT ? MODEL_DISTILBERT : MODEL_BERT;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].classes[arch], class) == 0) {
            r->spec->head = rows[i].head;
            return;
        }
        if (strcmp(rows[i].classes[other], class) == 0) {
            wrong(r, "architectures[0]", value, arch == MODEL_BERT ? "a class of BERT" : "a class of DistilBERT");
            return;
        }
    }
    diag_place place = {.file = r->file};
    diag_warning(r->sink, &place, "architectures[0]: found %s, which is unknown: the head follows from the tensors' names",
                 json_describe(value, &r->text));
}

static void read_architectures(reader *r) {
    const json_t *value = get(r, "architectures");
    if (!value) return;
    if (!json_is_array(value)) wrong(r, "architectures", value, "an array with the name of a class");
    else if (json_array_size(value)) read_class(r, json_array_get(value, 0));
}

/* Decimal digits without leading zeros; false for anything else. */
static bool parse_id(const char *text, size_t n, size_t *out) {
    size_t id = 0, digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9'; digits++) {
        if (digits > 8 || (digits && text[0] == '0')) return false;
        id = id * 10 + (size_t)(text[digits] - '0');
    }
    *out = id;
    return digits && !text[digits] && id < n;
}

/* Fills labels[0..n); the ids must be 0 to n-1, and keys do not repeat, so each slot is filled once. */
static void read_labels(reader *r, const json_t *id2label, const char **labels, size_t n) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)id2label, key, value) {
        size_t id;
        diag_place place = {.file = r->file};
        if (!parse_id(key, n, &id)) {
            fail(r, diag_error(r->sink, POFAC_ERR_INPUT, &place,
                               "id2label: found the id \"%s\", wanted the ids 0 to %zu, each once", key, n - 1));
            return;
        }
        if (!json_is_string(value)) {
            fail(r, diag_error(r->sink, POFAC_ERR_INPUT, &place, "id2label: %s: found %s, wanted a string", key,
                               json_describe(value, &r->text)));
            return;
        }
        labels[id] = arena_strndup(r->memory, json_string_value(value), json_string_length(value));
        if (!labels[id]) {
            fail(r, diag_out_of_memory(r->sink));
            return;
        }
    }
}

/* The reference writes both; where they differ, data and model would be put together in different ways. */
static void check_label2id(const reader *r, const char *const *labels, size_t n) {
    const diag_place place = {.file = r->file};
    strbuf text = STRBUF_INIT;
    const char *label;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)get(r, "label2id"), label, value) {
        const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id >= 0 && id < (json_int_t)n && strcmp(labels[id], label) == 0) continue;
        diag_warning(r->sink, &place,
                     "label2id: found %s for \"%s\", which id2label does not have there: labels are those of id2label",
                     json_describe(value, &text), label);
        break;
    }
    strbuf_free(&text);
}

static void read_id2label(reader *r) {
    const json_t *value = get(r, "id2label");
    if (!value) return;
    const size_t n = json_object_size(value); /* 0 when it is no object */
    if (n == 0 || n > MAX_LABELS) {
        wrong(r, "id2label", value, "an object that gives a label to each id");
        return;
    }
    const char **labels = ARENA_ARRAY(r->memory, const char *, n);
    if (!labels) {
        fail(r, diag_out_of_memory(r->sink));
        return;
    }
    read_labels(r, value, labels, n);
    if (r->status == POFAC_OK) check_label2id(r, labels, n);
    r->spec->labels = labels;
    r->spec->num_labels = (int64_t)n;
}

static void read_num_labels(reader *r) {
    const json_t *value = get(r, "num_labels");
    if (!value) return;
    int64_t n = 0;
    read_integer(r, "num_labels", value, 1, MAX_LABELS, &n);
    if (r->status != POFAC_OK) return;
    if (r->spec->labels && n != r->spec->num_labels) {
        diag_place place = {.file = r->file};
        fail(r, diag_error(r->sink, POFAC_ERR_INPUT, &place,
                           "num_labels: found %" PRId64 ", wanted %" PRId64 ", the number of labels in id2label", n,
                           r->spec->num_labels));
        return;
    }
    r->spec->num_labels = n;
}

static void read_problem_type(reader *r) {
    r->spec->regression = r->spec->num_labels == 1;
    const json_t *value = get(r, "problem_type");
    if (!value) return;
    const char *name = json_string_value(value);
    if (name && strcmp(name, "regression") == 0) r->spec->regression = true;
    else if (!name || strcmp(name, "single_label_classification") != 0)
        wrong(r, "problem_type", value, "\"regression\" or \"single_label_classification\"");
}

/* Settings that would make another network. */
static void refuse_others(reader *r) {
    const json_t *positions = get(r, "position_embedding_type");
    const char *name = json_string_value(positions);
    if (positions && (!name || strcmp(name, "absolute") != 0)) wrong(r, "position_embedding_type", positions, "\"absolute\"");
    static const char *const off[] = {"is_decoder", "add_cross_attention"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        const json_t *value = get(r, off[i]);
        if (value && !json_is_false(value)) wrong(r, off[i], value, "false");
    }
}

static void read_all(reader *r) {
    model_arch arch = MODEL_BERT;
    if (!json_is_object(r->root)) {
        diag_place place = {.file = r->file};
        fail(r, diag_error(r->sink, POFAC_ERR_INPUT, &place, "found %s, wanted an object", json_describe(r->root, &r->text)));
        return;
    }
    read_arch(r, &arch);
    if (r->status != POFAC_OK) return;
    *r->spec = model_spec_default(arch);
    read_numbers(r);
    read_activation(r);
    read_architectures(r);
    read_id2label(r);
    read_num_labels(r);
    read_problem_type(r);
    refuse_others(r);
    if (r->status == POFAC_OK) fail(r, model_spec_check(r->spec, r->file, r->sink));
}

pofac_status config_json_read(const char *path, arena *a, const diag_sink *sink, model_spec *out) {
    file_map map;
    TRY(file_map_open(path, sink, &map));
    pofac_status status = config_json_parse(path, map.data, map.size_bytes, a, sink, out);
    file_map_close(&map);
    return status;
}

pofac_status config_json_parse(const char *file, const void *bytes, size_t n, arena *a, const diag_sink *sink, model_spec *out) {
    json_t *root;
    TRY(json_parse(file, NULL, bytes, n, sink, &root));
    reader r = {.file = file, .root = root, .memory = a, .sink = sink, .status = POFAC_OK, .text = STRBUF_INIT, .spec = out};
    read_all(&r);
    strbuf_free(&r.text);
    json_decref(root);
    return r.status;
}

/* One key and its value's text. */
typedef struct row {
    const char *key;
    strbuf value;
} row;

typedef struct writer {
    row rows[32]; /* more than there are keys */
    size_t n;
} writer;

/* A new key's value, to be appended to. */
static strbuf *add(writer *w, const char *key) {
    row *r = &w->rows[w->n++];
    *r = (row){key, STRBUF_INIT};
    return &r->value;
}

static void add_text(writer *w, const char *key, const char *text) { strbuf_put_json(add(w, key), text, strlen(text)); }

static void add_numbers(writer *w, const model_spec *spec) {
    const bool bert = spec->arch == MODEL_BERT;
    const bool own_dropout = spec->classifier_dropout != spec->hidden_dropout_prob;
#define SPEC_INTEGER(field, bert_key, distilbert_key, least, most)                                                                 \
    {                                                                                                                              \
        const char *key = bert ? bert_key : distilbert_key;                                                                        \
        if (key) strbuf_printf(add(w, key), "%" PRId64, spec->field);                                                              \
    }
#define SPEC_REAL(field, bert_key, distilbert_key, limit)                                                                          \
    {                                                                                                                              \
        const char *key = bert ? bert_key : distilbert_key;                                                                        \
        if (key && (own_dropout || strcmp(key, "classifier_dropout") != 0)) json_put_real(spec->field, add(w, key));               \
    }
#include "frontend/model/spec_fields.def"
#undef SPEC_INTEGER
#undef SPEC_REAL
}

static void put_id2label(const model_spec *spec, strbuf *out) {
    for (int64_t i = 0; i < spec->num_labels; i++) {
        strbuf_printf(out, "%s    \"%" PRId64 "\": ", i ? ",\n" : "{\n", i);
        strbuf_put_json(out, spec->labels[i], strlen(spec->labels[i]));
    }
    strbuf_puts(out, "\n  }");
}

static void put_label2id(const model_spec *spec, strbuf *out) {
    for (int64_t i = 0; i < spec->num_labels; i++) {
        strbuf_puts(out, i ? ",\n    " : "{\n    ");
        strbuf_put_json(out, spec->labels[i], strlen(spec->labels[i]));
        strbuf_printf(out, ": %" PRId64, i);
    }
    strbuf_puts(out, "\n  }");
}

/* A label that stands for two ids has no inverse. False when memory is short. */
static bool labels_distinct(const model_spec *spec, bool *distinct) {
    strmap seen = STRMAP_INIT;
    bool ok = true, inserted = true;
    for (int64_t i = 0; ok && inserted && i < spec->num_labels; i++)
        ok = strmap_put(&seen, spec->labels[i], strlen(spec->labels[i]), 0, &inserted) != NULL;
    strmap_free(&seen);
    *distinct = inserted;
    return ok;
}

static void add_labels(writer *w, const model_spec *spec) {
    strbuf_printf(add(w, "num_labels"), "%" PRId64, spec->num_labels);
    if (spec->regression) add_text(w, "problem_type", "regression");
    if (!spec->labels) return;
    strbuf *text = add(w, "id2label");
    put_id2label(spec, text);
    bool distinct;
    if (!labels_distinct(spec, &distinct)) text->failed = true;
    else if (distinct) put_label2id(spec, add(w, "label2id"));
}

static int by_key(const void *a, const void *b) { return strcmp(((const row *)a)->key, ((const row *)b)->key); }

void config_json_write(const model_spec *spec, strbuf *out) {
    writer w = {.n = 0};
    add_numbers(&w, spec);
    add_text(&w, "model_type", model_arch_name(spec->arch));
    add_text(&w, spec->arch == MODEL_BERT ? "hidden_act" : "activation", model_activation_name(spec->hidden_act));
    strbuf_puts(add(&w, "tie_word_embeddings"), spec->tie_word_embeddings ? "true" : "false");
    const model_head_row *head = model_head_find(spec->head);
    if (head) strbuf_printf(add(&w, "architectures"), "[\n    \"%s\"\n  ]", head->classes[spec->arch]);
    if (!head || head->has_labels) add_labels(&w, spec);
    qsort(w.rows, w.n, sizeof *w.rows, by_key);
    for (size_t i = 0; i < w.n; i++) {
        strbuf_printf(out, "%s  \"%s\": %s", i ? ",\n" : "{\n", w.rows[i].key, strbuf_str(&w.rows[i].value));
        if (!strbuf_ok(&w.rows[i].value)) out->failed = true;
        strbuf_free(&w.rows[i].value);
    }
    strbuf_puts(out, "\n}\n");
}
