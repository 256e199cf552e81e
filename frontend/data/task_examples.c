/* Reading a task's files into memory; see task_examples.h. The first example says whether all have labels. */
#include "frontend/data/task_examples.h"

#include "frontend/data/example_tokens.h"

typedef struct loading {
    const task_examples_options *options;
    token_store *store; /* NULL before the first example */
    bool has_labels;
    example_tokens tokens;
    task_examples_counts counts;
} loading;

static example_field label_field(task_kind kind) {
    return (example_field){"labels", kind == TASK_REGRESSION ? IR_F32 : IR_I64, kind == TASK_TOKEN_CLASSIFICATION};
}

static pofac_status begin_store(loading *l, bool has_labels, const diag_sink *sink) {
    const example_field field = label_field(l->options->reading.task->kind);
    l->has_labels = has_labels;
    return token_store_create(tokenizer_vocab_size(l->options->tokenizer), &field, has_labels ? 1 : 0, sink, &l->store);
}

static pofac_status add(loading *l, const char *path, const task_example *e, const diag_sink *sink) {
    const task_kind kind = l->options->reading.task->kind;
    if (!l->store) TRY(begin_store(l, e->has_label, sink));
    if (e->has_label != l->has_labels)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path, .line = (uint32_t)e->line},
                          "label: found %s, wanted %s as the first example has", e->has_label ? "one" : "none",
                          l->has_labels ? "one" : "none");
    TRY(example_tokens_encode(&l->tokens, l->options->tokenizer, e, l->options->max_length, sink));
    if (l->tokens.full_length > l->tokens.built.size) l->counts.truncated++;
    const token_store_values values = {.values = {kind == TASK_REGRESSION ? e->score : e->label},
                                       .token_values = {l->tokens.labels.data}};
    return token_store_add(l->store, &l->tokens.built, &values, sink);
}

static pofac_status read_rows(loading *l, const char *path, task_reader *r, const diag_sink *sink) {
    for (;;) {
        task_example e;
        bool found;
        TRY(task_reader_next(r, sink, &e, &found));
        if (!found) return POFAC_OK;
        TRY(add(l, path, &e, sink));
    }
}

static pofac_status load_file(loading *l, const char *path, const diag_sink *sink) {
    task_reader *r;
    TRY(task_reader_open(path, &l->options->reading, sink, &r));
    pofac_status status = read_rows(l, path, r, sink);
    const task_counts counts = task_reader_counts(r);
    l->counts.rows.examples += counts.examples;
    l->counts.rows.unlabelled += counts.unlabelled;
    l->counts.rows.bad_rows += counts.bad_rows;
    task_reader_close(r);
    return status;
}

static pofac_status load(loading *l, const char *const *paths, size_t n, const diag_sink *sink) {
    const task_reader_options *reading = &l->options->reading;
    const task_kind kind = reading->task->kind;
    const bool needs_set = kind == TASK_CLASSIFICATION || kind == TASK_TOKEN_CLASSIFICATION;
    if (needs_set && (!reading->labels || reading->labels->n == 0))
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "found no labels for task %s, wanted those of the data or the model",
                          reading->task->name);
    for (size_t i = 0; i < n; i++) TRY(load_file(l, paths[i], sink));
    return l->store ? POFAC_OK : begin_store(l, false, sink);
}

pofac_status task_examples_load(const char *const *paths, size_t n, const task_examples_options *options, const diag_sink *sink,
                                token_store **out, task_examples_counts *counts) {
    loading l = {.options = options, .tokens = EXAMPLE_TOKENS_INIT};
    pofac_status status = load(&l, paths, n, sink);
    example_tokens_free(&l.tokens);
    *counts = l.counts;
    *out = status == POFAC_OK ? l.store : NULL;
    if (status != POFAC_OK) token_store_destroy(l.store);
    return status;
}
