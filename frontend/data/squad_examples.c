/* Questions to windows to a store; see squad_examples.h. */
#include "frontend/data/squad_examples.h"

static pofac_status add_question(qa_features *features, const char *path, const squad_question *q, token_store *store,
                                 const diag_sink *sink) {
    size_t n_windows;
    TRY(qa_features_begin(features, path, q, sink, &n_windows));
    for (size_t window = 0; window < n_windows; window++) {
        qa_feature f;
        TRY(qa_features_get(features, window, sink, &f));
        const token_store_values values = {.values = {(double)f.start, (double)f.end}};
        TRY(token_store_add(store, f.input, &values, sink));
    }
    return POFAC_OK;
}

static pofac_status read_questions(squad_reader *r, const char *path, qa_features *features, token_store *store,
                                   const diag_sink *sink) {
    for (;;) {
        const squad_question *q;
        TRY(squad_reader_next(r, sink, &q));
        if (!q) return POFAC_OK;
        TRY(add_question(features, path, q, store, sink));
    }
}

static void add_rows(squad_counts *sum, squad_counts c) {
    sum->articles += c.articles;
    sum->paragraphs += c.paragraphs;
    sum->questions += c.questions;
    sum->answers += c.answers;
    sum->impossible += c.impossible;
    sum->skipped += c.skipped;
    sum->realigned += c.realigned;
}

static void add_features(qa_feature_counts *sum, qa_feature_counts c) {
    sum->questions += c.questions;
    sum->features += c.features;
    sum->with_answer += c.with_answer;
    sum->cut_questions += c.cut_questions;
    sum->unaligned += c.unaligned;
    sum->split += c.split;
    sum->tokens += c.tokens;
    if (c.longest > sum->longest) sum->longest = c.longest;
}

/* Each file has a builder of its own: it knows contexts by their numbers, which begin anew. */
static pofac_status load_file(const char *path, const squad_examples_options *options, token_store *store, const diag_sink *sink,
                              squad_examples_counts *counts) {
    squad_reader *r;
    qa_features *features;
    TRY(qa_features_create(options->tokenizer, &options->windows, sink, &features));
    pofac_status status = squad_reader_open(path, options->bad_rows, sink, &r);
    if (status == POFAC_OK) {
        status = read_questions(r, path, features, store, sink);
        add_rows(&counts->rows, squad_reader_counts(r));
        add_features(&counts->features, qa_features_counts(features));
        squad_reader_close(r);
    }
    qa_features_destroy(features);
    return status;
}

pofac_status squad_examples_load(const char *const *paths, size_t n, const squad_examples_options *options, const diag_sink *sink,
                                 token_store **out, squad_examples_counts *counts) {
    static const example_field fields[] = {{"start_positions", IR_I64, false}, {"end_positions", IR_I64, false}};
    token_store *store;
    *out = NULL;
    *counts = (squad_examples_counts){0};
    TRY(token_store_create(tokenizer_vocab_size(options->tokenizer), fields, 2, sink, &store));
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < n; i++) status = load_file(paths[i], options, store, sink, counts);
    if (status == POFAC_OK) *out = store;
    else token_store_destroy(store);
    return status;
}
