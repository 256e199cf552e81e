/* Features of SQuAD's files in memory; see qa_examples.h. */
#include "frontend/data/qa_examples.h"

static const example_field fields[] = {{"start_positions", IR_I64, false}, {"end_positions", IR_I64, false}};
#define N_FIELDS (sizeof fields / sizeof *fields)

typedef struct loading {
    const qa_examples_options *options;
    qa_features *features;
    token_store *store;
    qa_examples_counts *counts;
} loading;

static pofac_status add_question(loading *l, const char *path, const squad_question *q, const diag_sink *sink) {
    size_t n;
    TRY(qa_features_begin(l->features, path, q, sink, &n));
    for (size_t i = 0; i < n; i++) {
        qa_feature f;
        TRY(qa_features_get(l->features, i, sink, &f));
        const token_store_values values = {.values = {(double)f.start, (double)f.end}};
        TRY(token_store_add(l->store, f.input, &values, sink));
    }
    return POFAC_OK;
}

static pofac_status read_questions(loading *l, const char *path, squad_reader *r, const diag_sink *sink) {
    const squad_question *q;
    for (;;) {
        TRY(squad_reader_next(r, sink, &q));
        if (!q) return POFAC_OK;
        TRY(add_question(l, path, q, sink));
    }
}

static void add_counts(squad_counts *sum, squad_counts c) {
    sum->articles += c.articles;
    sum->paragraphs += c.paragraphs;
    sum->questions += c.questions;
    sum->answers += c.answers;
    sum->impossible += c.impossible;
    sum->skipped += c.skipped;
    sum->realigned += c.realigned;
}

/* Paragraphs count from 0 in each file. */
static pofac_status load_file(loading *l, const char *path, const diag_sink *sink) {
    squad_reader *r;
    TRY(squad_reader_open(path, l->options->bad_rows, sink, &r));
    qa_features_forget(l->features);
    pofac_status status = read_questions(l, path, r, sink);
    add_counts(&l->counts->rows, squad_reader_counts(r));
    squad_reader_close(r);
    return status;
}

static pofac_status load(loading *l, const char *const *paths, size_t n, const diag_sink *sink) {
    TRY(qa_features_create(l->options->tokenizer, &l->options->windows, sink, &l->features));
    TRY(token_store_create(tokenizer_vocab_size(l->options->tokenizer), fields, N_FIELDS, sink, &l->store));
    for (size_t i = 0; i < n; i++) TRY(load_file(l, paths[i], sink));
    l->counts->features = qa_features_counts(l->features);
    return POFAC_OK;
}

pofac_status qa_examples_load(const char *const *paths, size_t n, const qa_examples_options *options, const diag_sink *sink,
                              token_store **out, qa_examples_counts *counts) {
    loading l = {.options = options, .counts = counts};
    *counts = (qa_examples_counts){.rows = {0}};
    pofac_status status = load(&l, paths, n, sink);
    qa_features_destroy(l.features);
    *out = status == POFAC_OK ? l.store : NULL;
    if (status != POFAC_OK) token_store_destroy(l.store);
    return status;
}
