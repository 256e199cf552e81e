/* Predictors, and prediction on texts: what predict_text.h gives out, as structures that live until the next call; see pofac.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/api/api_predictor.h"

#define MOST_BATCH 65536
#define MOST_NUMBER ((int64_t)1 << 24)
#define DEFAULT_BATCH_SIZE 32
#define DEFAULT_BATCH_TOKENS 4096
#define DEFAULT_TOP_K 5

/* ---- predictors ---- */

static int64_t or_default(int64_t value, int64_t standard) { return value ? value : standard; }

static pofac_status check_options(const pofac_predictor_options *o, const pofac_model *model, const diag_sink *sink) {
    if (o->threads > THREAD_POOL_MOST)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "threads: found %zu, wanted 0 to %d", o->threads, THREAD_POOL_MOST);
    TRY(api_check_range("batch_size", o->batch_size, 0, MOST_BATCH, sink));
    TRY(api_check_range("batch_tokens", o->batch_tokens, 0, INT64_MAX, sink));
    TRY(api_check_range("max_length", o->max_length, 0, loaded_model_spec(model->loaded)->max_position_embeddings, sink));
    if (o->max_length) TRY(api_check_range("max_length", o->max_length, 3, MOST_NUMBER, sink));
    TRY(api_check_range("top_k", o->top_k, 0, MOST_NUMBER, sink));
    TRY(api_check_range("doc_stride", o->doc_stride, 0, MOST_NUMBER, sink));
    TRY(api_check_range("max_query_length", o->max_query_length, 0, MOST_NUMBER, sink));
    return api_check_range("max_answer_length", o->max_answer_length, 0, MOST_NUMBER, sink);
}

static predict_text_options text_options(const pofac_predictor_options *o) {
    return (predict_text_options){
        .batch_size = or_default(o->batch_size, DEFAULT_BATCH_SIZE),
        .batch_tokens = or_default(o->batch_tokens, DEFAULT_BATCH_TOKENS),
        .max_seq_length = o->max_length,
        .top_k = or_default(o->top_k, DEFAULT_TOP_K),
        .windows = {.doc_stride = (size_t)o->doc_stride,
                    .max_query_length = (size_t)o->max_query_length,
                    .stride = o->doc_stride_is_overlap ? QA_STRIDE_OVERLAP : QA_STRIDE_STARTS},
        .answers = {.n_best = 1,
                    .max_answer_length = (size_t)or_default(o->max_answer_length, (int64_t)QA_DEFAULT_MAX_ANSWER_LENGTH)}};
}

static pofac_status open_predictor(pofac_predictor *p, const pofac_predictor_options *options, const diag_sink *sink) {
    pofac_predictor_options o = POFAC_PREDICTOR_OPTIONS_INIT;
    TRY(api_take_options("pofac_predictor_options", options, sizeof o, sink, &o));
    TRY(check_options(&o, p->model, sink));
    p->text_options = text_options(&o);
    if (p->model->has_tokenizer) TRY(text_predictor_create(p->model->loaded, &p->text_options, sink, &p->texts));
    TRY(shared_plan_executor(&p->model->shared, o.threads ? o.threads : 1, sink, &p->executor));
    p->outputs = calloc(executor_graph(p->executor)->outputs.size + 1, sizeof *p->outputs);
    return p->outputs ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status pofac_predictor_create(const pofac_model *model, const pofac_predictor_options *options, const pofac_log *log,
                                    pofac_predictor **out) {
    API_IN_C_LOCALE;
    const pofac_log own = api_log_of(log);
    const diag_sink before = api_sink(&own);
    if (!out) return api_null("out", &before);
    *out = NULL;
    if (!model) return api_null("model", &before);
    pofac_predictor *p = calloc(1, sizeof *p);
    if (!p) return diag_out_of_memory(&before);
    p->model = model;
    p->log = own;
    const diag_sink sink = api_sink(&p->log);
    const pofac_status status = open_predictor(p, options, &sink);
    if (status == POFAC_OK) *out = p;
    else pofac_predictor_destroy(p);
    return status;
}

void pofac_predictor_destroy(pofac_predictor *predictor) {
    if (!predictor) return;
    text_predictor_destroy(predictor->texts);
    executor_destroy(predictor->executor);
    arena_free(&predictor->inputs);
    arena_free(&predictor->answers);
    free(predictor->outputs);
    free(predictor);
}

int64_t pofac_predictor_memory_bytes(const pofac_predictor *predictor) {
    if (!predictor) return 0;
    const session_memory m = session_memory_use(executor_runnable(predictor->executor)->session);
    return m.arena_bytes + m.scratch_bytes;
}

/* ---- what is kept of an answer ---- */

typedef struct text_job {
    pofac_predictor *predictor;
    const pofac_text *texts;
    pofac_answer *answers; /* [n] */
} text_job;

/* A label's name is the model's, a token's the vocabulary's. */
static pofac_choice keep_choice(const pofac_model *m, const answer_choice *c) {
    return (pofac_choice){m->labels ? m->labels[c->id] : c->name, c->id, c->score};
}

static pofac_choice *keep_choices(const text_job *j, const answer_choice *choices, size_t n) {
    pofac_choice *kept = ARENA_ARRAY(&j->predictor->answers, pofac_choice, n + 1);
    for (size_t i = 0; kept && i < n; i++) kept[i] = keep_choice(j->predictor->model, &choices[i]);
    return kept;
}

/* The token, or what stands in the text. */
static bool keep_span(const text_job *j, const pofac_text *text, const answer_span *s, pofac_span *out) {
    arena *a = &j->predictor->answers;
    const char *whole = s->in_pair ? text->pair : text->text;
    *out = (pofac_span){.begin = s->begin,
                        .end = s->end,
                        .in_pair = s->in_pair,
                        .text = s->n_choices == 1 && s->text ? s->text : arena_strndup(a, whole + s->begin, s->end - s->begin),
                        .n_choices = s->n_choices,
                        .choices = keep_choices(j, s->choices, s->n_choices),
                        .score = s->score};
    return out->text && out->choices;
}

static pofac_status take(void *user, size_t index, const answer_content *c, const diag_sink *sink) {
    const text_job *j = user;
    arena *a = &j->predictor->answers;
    pofac_span *spans = ARENA_ARRAY(a, pofac_span, c->n_spans + 1);
    float *embedding = ARENA_ARRAY(a, float, c->n_embedding + 1);
    pofac_choice *labels = keep_choices(j, c->labels, c->n_labels);
    if (!spans || !embedding || !labels) return diag_out_of_memory(sink);
    for (size_t i = 0; i < c->n_spans; i++)
        if (!keep_span(j, &j->texts[index], &c->spans[i], &spans[i])) return diag_out_of_memory(sink);
    if (c->n_embedding) memcpy(embedding, c->embedding, c->n_embedding * sizeof *embedding);
    j->answers[index] = (pofac_answer){.n_labels = c->n_labels,
                                       .best = c->best,
                                       .labels = labels,
                                       .n_spans = c->n_spans,
                                       .spans = spans,
                                       .n_embedding = c->n_embedding,
                                       .embedding = embedding,
                                       .is_next = c->has_next ? c->is_next : -1.0};
    return POFAC_OK;
}

/* ---- runs ---- */

static pofac_status check_text(const pofac_predictor *p, const pofac_text *t, size_t i, const diag_sink *sink) {
    char name[40];
    const diag_place place = {.file = name};
    snprintf(name, sizeof name, "text %zu", i + 1);
    if (!t->text) return diag_error(sink, POFAC_ERR_USAGE, &place, "found NULL, wanted a text");
    if (t->pair || loaded_model_spec(p->model->loaded)->head != HEAD_QUESTION_ANSWERING) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_INPUT, &place, "found one text, wanted a question and, as its pair, a context");
}

static pofac_status make_records(pofac_predictor *p, const pofac_text *texts, size_t n, const diag_sink *sink, record **out) {
    *out = ARENA_ARRAY(&p->answers, record, n + 1);
    if (!*out) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) {
        const pofac_text *t = &texts[i];
        TRY(check_text(p, t, i, sink));
        (*out)[i] =
            (record){.text = t->text, .pair = t->pair, .text_bytes = strlen(t->text), .pair_bytes = t->pair ? strlen(t->pair) : 0};
    }
    return POFAC_OK;
}

static pofac_status run(pofac_predictor *p, const pofac_text *texts, size_t n, const diag_sink *sink) {
    arena *a = &p->answers;
    record *records;
    record_reader *reader;
    TRY(make_records(p, texts, n, sink, &records));
    text_job job = {p, texts, ARENA_ARRAY(a, pofac_answer, n + 1)};
    p->answer = ARENA_ARRAY(a, const pofac_answer *, n + 1);
    if (!job.answers || !p->answer) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) p->answer[i] = &job.answers[i];
    const predict_target target = {.take = take, .user = &job};
    TRY(record_reader_of(records, n, sink, &reader));
    const pofac_status status = text_predictor_run(p->texts, p->executor, reader, &target, sink);
    record_reader_close(reader);
    return status;
}

pofac_status pofac_predictor_answer(pofac_predictor *predictor, const pofac_text *texts, size_t n,
                                    const pofac_answer *const **answers) {
    API_IN_C_LOCALE;
    if (!predictor) return POFAC_ERR_USAGE;
    const diag_sink sink = api_sink(&predictor->log);
    if (!answers) return api_null("answers", &sink);
    if (!texts && n) return api_null("texts", &sink);
    if (!predictor->texts)
        return diag_error(&sink, POFAC_ERR_INPUT, &(diag_place){.file = loaded_model_path(predictor->model->loaded)},
                          "the model has no %s: found texts, wanted tensors",
                          predictor->model->has_embeddings ? "tokenizer" : "embedding tables");
    arena_free(&predictor->answers);
    predictor->answer = NULL;
    predictor->n_answers = 0;
    TRY(run(predictor, texts, n, &sink));
    predictor->n_answers = n;
    *answers = predictor->answer;
    return POFAC_OK;
}

/* ---- as JSON ---- */

static bool copy_choices(const pofac_choice *choices, size_t n, arena *a, const answer_choice **out) {
    answer_choice *copy = ARENA_ARRAY(a, answer_choice, n + 1);
    for (size_t i = 0; copy && i < n; i++) copy[i] = (answer_choice){choices[i].name, choices[i].id, choices[i].score};
    *out = copy;
    return copy != NULL;
}

static bool content_of(const pofac_answer *answer, arena *a, answer_content *out) {
    answer_span *spans = ARENA_ARRAY(a, answer_span, answer->n_spans + 1);
    *out = (answer_content){.n_labels = answer->n_labels,
                            .best = answer->best,
                            .n_spans = answer->n_spans,
                            .spans = spans,
                            .n_embedding = answer->n_embedding,
                            .embedding = answer->embedding,
                            .has_next = answer->is_next >= 0.0,
                            .is_next = answer->is_next};
    bool ok = spans && copy_choices(answer->labels, answer->n_labels, a, &out->labels);
    for (size_t i = 0; ok && i < answer->n_spans; i++) {
        const pofac_span *s = &answer->spans[i];
        spans[i] = (answer_span){.begin = s->begin,
                                 .end = s->end,
                                 .in_pair = s->in_pair != 0,
                                 .text = s->text,
                                 .text_bytes = strlen(s->text),
                                 .n_choices = s->n_choices,
                                 .score = s->score};
        ok = copy_choices(s->choices, s->n_choices, a, &spans[i].choices);
    }
    return ok;
}

pofac_status pofac_predictor_answer_json(pofac_predictor *predictor, size_t i, const char **json) {
    API_IN_C_LOCALE;
    if (!predictor) return POFAC_ERR_USAGE;
    const diag_sink sink = api_sink(&predictor->log);
    if (!json) return api_null("json", &sink);
    if (i >= predictor->n_answers)
        return diag_error(&sink, POFAC_ERR_USAGE, NULL, "found answer %zu, wanted one of %zu, from 0", i, predictor->n_answers);
    strbuf text = STRBUF_INIT;
    answer_content content;
    const bool ok = content_of(predictor->answer[i], &predictor->answers, &content);
    if (ok) answer_content_put_json(loaded_model_spec(predictor->model->loaded), &content, &text);
    *json = ok && strbuf_ok(&text) ? arena_strdup(&predictor->answers, strbuf_str(&text)) : NULL;
    strbuf_free(&text);
    return *json ? POFAC_OK : diag_out_of_memory(&sink);
}
