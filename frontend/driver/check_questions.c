/* Reading SQuAD's files through; see check_questions.h. Nothing is kept but counts. */
#include "frontend/driver/check_questions.h"

#include <inttypes.h>
#include <string.h>

#include "frontend/driver/loaded_model.h"

typedef struct question_check {
    const check_questions_options *options;
    loaded_model *model;
    tokenizer *own_tokenizer;
    qa_features *features; /* NULL without a vocabulary */
    squad_counts sum;
} question_check;

static pofac_status open_features(question_check *c, const diag_sink *sink) {
    const check_questions_options *o = c->options;
    const tokenizer *t = NULL;
    if (o->model) {
        TRY(loaded_model_open(o->model, &(loaded_model_options){.vocab = o->vocab}, sink, &c->model));
        TRY(loaded_model_tokenizer(c->model, sink, &t));
    } else if (o->vocab) {
        TRY(tokenizer_create(o->vocab, &(tokenizer_options){.do_lower_case = o->do_lower_case}, sink, &c->own_tokenizer));
        t = c->own_tokenizer;
    }
    return t ? qa_features_create(t, &o->windows, sink, &c->features) : POFAC_OK;
}

static pofac_status make_features(question_check *c, const char *path, const squad_question *q, const diag_sink *sink) {
    size_t n;
    TRY(qa_features_begin(c->features, path, q, sink, &n));
    for (size_t i = 0; i < n; i++) {
        qa_feature f;
        TRY(qa_features_get(c->features, i, sink, &f));
    }
    return POFAC_OK;
}

static pofac_status read_questions(question_check *c, const char *path, squad_reader *r, const diag_sink *sink) {
    for (;;) {
        const squad_question *q;
        TRY(squad_reader_next(r, sink, &q));
        if (!q) return POFAC_OK;
        if (c->features) TRY(make_features(c, path, q, sink));
    }
}

static void put_counts(const squad_counts *n, strbuf *out) {
    strbuf_printf(out,
                  "\"articles\": %" PRIu64 ", \"paragraphs\": %" PRIu64 ", \"questions\": %" PRIu64 ", \"answers\": %" PRIu64
                  ", \"impossible\": %" PRIu64 ", \"bad_rows\": %" PRIu64 ", \"realigned\": %" PRIu64,
                  n->articles, n->paragraphs, n->questions, n->answers, n->impossible, n->skipped, n->realigned);
}

static void add_counts(squad_counts *sum, const squad_counts *n) {
    sum->articles += n->articles;
    sum->paragraphs += n->paragraphs;
    sum->questions += n->questions;
    sum->answers += n->answers;
    sum->impossible += n->impossible;
    sum->skipped += n->skipped;
    sum->realigned += n->realigned;
}

static pofac_status check_file(question_check *c, const char *path, const diag_sink *sink, strbuf *out) {
    squad_reader *r;
    TRY(squad_reader_open(path, c->options->bad_rows, sink, &r));
    if (c->features) qa_features_forget(c->features);
    pofac_status status = read_questions(c, path, r, sink);
    const squad_counts counts = squad_reader_counts(r);
    squad_reader_close(r);
    add_counts(&c->sum, &counts);
    strbuf_puts(out, "{\"file\": ");
    strbuf_put_json(out, path, strlen(path));
    strbuf_puts(out, ", ");
    put_counts(&counts, out);
    strbuf_putc(out, '}');
    return status;
}

static void put_features(const question_check *c, strbuf *out) {
    const qa_feature_counts n = qa_features_counts(c->features);
    const qa_window_options *o = qa_features_options(c->features);
    strbuf_printf(
        out,
        ", \"features\": {\"max_seq_length\": %zu, \"doc_stride\": %zu, \"doc_stride_is\": \"%s\", \"max_query_length\": %zu, ",
        o->max_seq_length, o->doc_stride, o->stride == QA_STRIDE_STARTS ? "starts" : "overlap", o->max_query_length);
    strbuf_printf(out,
                  "\"features\": %" PRIu64 ", \"with_answer\": %" PRIu64 ", \"tokens\": %" PRIu64 ", \"longest\": %" PRIu64
                  ", \"cut_questions\": %" PRIu64 ", \"split_answers\": %" PRIu64 ", \"unaligned_answers\": %" PRIu64 "}",
                  n.features, n.with_answer, n.tokens, n.longest, n.cut_questions, n.split, n.unaligned);
}

static pofac_status check(question_check *c, const char *const *paths, size_t n, const diag_sink *sink, strbuf *out) {
    TRY(open_features(c, sink));
    strbuf_puts(out, "{\"files\": [");
    for (size_t i = 0; i < n; i++) {
        if (i) strbuf_puts(out, ", ");
        TRY(check_file(c, paths[i], sink, out));
    }
    strbuf_puts(out, "], ");
    put_counts(&c->sum, out);
    if (c->features) put_features(c, out);
    strbuf_puts(out, "}\n");
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status check_questions(const char *const *paths, size_t n, const check_questions_options *options, const diag_sink *sink,
                             strbuf *out) {
    question_check c = {.options = options};
    pofac_status status = check(&c, paths, n, sink, out);
    if (status != POFAC_OK) strbuf_clear(out);
    qa_features_destroy(c.features);
    tokenizer_destroy(c.own_tokenizer);
    loaded_model_close(c.model);
    return status;
}
