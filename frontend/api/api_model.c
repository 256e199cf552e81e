/*
 * pofac_model: a loaded model with its plan and one copy of its weights, which nothing changes once it is open; see pofac.h. What predictors need
 * of the loaded model is read here, so that none of them makes anything in it.
 */
#include <stdlib.h>
#include <string.h>

#include "frontend/api/api_parts.h"
#include "frontend/driver/compile_model.h"
#include "frontend/driver/predict_text.h"

/* ---- options ---- */

static pofac_status parse_quantization(const char *word, const diag_sink *sink, road_quantization *out) {
    *out = ROAD_INTEGER;
    if (!word || strcmp(word, "integer") == 0) return POFAC_OK;
    if (strcmp(word, "simulate") == 0) *out = ROAD_SIMULATED;
    else if (strcmp(word, "off") == 0) *out = ROAD_UNQUANTIZED;
    else return diag_error(sink, POFAC_ERR_USAGE, NULL, "quantization: found \"%s\", wanted integer, simulate or off", word);
    return POFAC_OK;
}

typedef struct open_options {
    loaded_model_options model;
    road_options road;
    bool last_hidden_state;
} open_options;

static pofac_status read_options(const pofac_model_options *given, const diag_sink *sink, open_options *out) {
    pofac_model_options o = POFAC_MODEL_OPTIONS_INIT;
    *out = (open_options){0};
    TRY(api_take_options("pofac_model_options", given, sizeof o, sink, &o));
    TRY(api_check_range("num_labels", o.num_labels, 0, (int64_t)1 << 24, sink));
    TRY(api_check_range("tune_tokens", o.tune_tokens, 0, (int64_t)1 << 24, sink));
    if (o.threads > THREAD_POOL_MOST)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "threads: found %zu, wanted 0 to %d", o.threads, THREAD_POOL_MOST);
    TRY(api_parse_head(o.head, sink, &out->model.head));
    TRY(api_parse_tune(o.tune, sink, &out->road.tune));
    TRY(parse_quantization(o.quantization, sink, &out->road.quantization));
    out->model.num_labels = o.num_labels;
    out->model.seed = o.seed;
    out->model.threads = o.threads;
    out->model.vocab = o.vocab;
    out->road.isa = o.isa;
    out->road.cache_dir = o.cache_dir;
    out->road.no_cache = o.no_cache != 0;
    out->road.tune_tokens = o.tune_tokens;
    out->road.threads = o.threads;
    out->last_hidden_state = o.last_hidden_state != 0;
    return POFAC_OK;
}

/* ---- opening ---- */

static void emit_as_note(void *user, const diag *d) {
    const diag_sink *sink = user;
    diag note = *d;
    note.severity = DIAG_NOTE;
    note.status = POFAC_OK;
    sink->emit(sink->user, &note);
}

/* A model without a tokenizer takes tensors. */
static pofac_status read_tokenizer(pofac_model *m, const diag_sink *sink) {
    const tokenizer *t;
    const diag_sink notes = {emit_as_note, (void *)(uintptr_t)sink};
    m->max_length = loaded_model_spec(m->loaded)->max_position_embeddings;
    if (!m->has_embeddings) return POFAC_OK;
    const pofac_status status = loaded_model_tokenizer(m->loaded, &notes, &t);
    if (status == POFAC_ERR_INPUT) return POFAC_OK;
    TRY(status);
    m->has_tokenizer = true;
    const size_t known = tokenizer_get_options(t)->model_max_length;
    if (known && known < (size_t)m->max_length) m->max_length = (int64_t)known;
    return POFAC_OK;
}

static pofac_status read_labels(pofac_model *m, const diag_sink *sink) {
    const model_spec *spec = loaded_model_spec(m->loaded);
    if (!model_head_find(spec->head)->has_labels) return POFAC_OK;
    m->n_labels = spec->num_labels;
    m->labels = ARENA_ARRAY(&m->memory, const char *, (size_t)m->n_labels);
    if (!m->labels) return diag_out_of_memory(sink);
    for (int64_t i = 0; i < m->n_labels; i++) {
        m->labels[i] = spec->labels ? spec->labels[i] : arena_printf(&m->memory, "LABEL_%lld", (long long)i);
        if (!m->labels[i]) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

static pofac_status open_model(pofac_model *m, const char *path, const pofac_model_options *options, const diag_sink *sink) {
    open_options o;
    TRY(read_options(options, sink, &o));
    TRY(loaded_model_open(path, &o.model, sink, &m->loaded));
    m->has_embeddings = loaded_model_has_embeddings(m->loaded);
    m->arithmetic = road_arithmetic(m->loaded, &o.road);
    o.road.graph = predict_text_graph(m->loaded, (model_graph_options){.last_hidden_state = o.last_hidden_state});
    TRY(read_tokenizer(m, sink));
    TRY(read_labels(m, sink));
    return shared_plan_create(m->loaded, &o.road, sink, &m->shared);
}

pofac_status pofac_model_open(const char *path, const pofac_model_options *options, const pofac_log *log, pofac_model **out) {
    API_IN_C_LOCALE;
    const pofac_log own = api_log_of(log);
    const diag_sink before = api_sink(&own);
    if (!out) return api_null("out", &before);
    *out = NULL;
    if (!path) return api_null("path", &before);
    pofac_model *m = calloc(1, sizeof *m);
    if (!m) return diag_out_of_memory(&before);
    m->log = own;
    const diag_sink sink = api_sink(&m->log);
    const pofac_status status = open_model(m, path, options, &sink);
    if (status == POFAC_OK) *out = m;
    else pofac_model_close(m);
    return status;
}

void pofac_model_close(pofac_model *model) {
    if (!model) return;
    shared_plan_destroy(&model->shared);
    loaded_model_close(model->loaded);
    arena_free(&model->memory);
    free(model);
}

/* ---- compiled models ---- */

pofac_status pofac_compile(const char *path, const pofac_model_options *options, const char *targets, const char *file,
                           const pofac_log *log) {
    API_IN_C_LOCALE;
    const pofac_log own = api_log_of(log);
    const diag_sink sink = api_sink(&own);
    open_options o;
    loaded_model *model;
    compiled_report report;
    if (!path) return api_null("path", &sink);
    if (!file) return api_null("file", &sink);
    TRY(read_options(options, &sink, &o));
    if (o.last_hidden_state)
        return diag_error(&sink, POFAC_ERR_USAGE, NULL,
                          "last_hidden_state: found it set, wanted 0: a compiled model has the graph for texts");
    if (targets && strcmp(targets, "native") != 0)
        o.road.tune = ROAD_TUNE_OFF; /* this machine's clock says nothing about another */
    TRY(loaded_model_open(path, &o.model, &sink, &model));
    const pofac_status status = compile_model(model, &o.road, targets, file, &sink, &report);
    loaded_model_close(model);
    return status;
}

/* ---- what it is ---- */

pofac_status pofac_model_get_info(const pofac_model *model, pofac_model_info *out) {
    if (!model) return POFAC_ERR_USAGE;
    const diag_sink sink = api_sink(&model->log);
    if (!out) return api_null("out", &sink);
    const model_spec *spec = loaded_model_spec(model->loaded);
    const pofac_model_info info = {.head = model_head_name(spec->head),
                                   .arithmetic = model->arithmetic,
                                   .target = model->shared.plan->target,
                                   .num_labels = model->n_labels,
                                   .vocab_size = spec->vocab_size,
                                   .hidden_size = spec->hidden_size,
                                   .num_layers = spec->num_hidden_layers,
                                   .num_heads = spec->num_attention_heads,
                                   .intermediate_size = spec->intermediate_size,
                                   .max_length = model->max_length,
                                   .has_tokenizer = model->has_tokenizer,
                                   .is_regression = spec->head == HEAD_SEQUENCE_CLASSIFICATION && spec->regression,
                                   .mapped_weight_bytes = model->shared.weights.mapped_bytes,
                                   .private_weight_bytes = model->shared.weights.own_bytes};
    return api_give("pofac_model_info", &info, sizeof info, &sink, out);
}

const char *pofac_model_label(const pofac_model *model, int64_t i) {
    return model && i >= 0 && i < model->n_labels ? model->labels[i] : NULL;
}
