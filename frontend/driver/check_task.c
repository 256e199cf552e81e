/* Reading files of a task through and counting; see check_task.h. */
#include "frontend/driver/check_task.h"

#include <float.h>
#include <string.h>

#include "frontend/data/example_tokens.h"
#include "frontend/driver/loaded_model.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

#define LONGEST_COUNTED ((size_t)1 << 16) /* tokens; longer texts count as so long in percentiles */

typedef struct length_counts {
    uint64_t *of; /* [LONGEST_COUNTED + 1] rows by number of tokens */
    uint64_t total, truncated, rows;
    size_t least, most;
} length_counts;

typedef struct task_check {
    const check_task_options *options;
    task_reader_options reading;
    arena memory;
    VEC(const char *) paths;
    loaded_model *model;
    tokenizer *own_tokenizer;
    const tokenizer *tokenizer; /* NULL: none */
    label_collector collector;
    label_set labels;
    uint64_t *of_label; /* [labels.n] */
    uint64_t words;
    double score_sum, least_score, most_score;
    task_counts counts;
    length_counts lengths;
    example_tokens tokens;
} task_check;

/* ---- what there is to do ---- */

static pofac_status add_directory(task_check *c, const char *path, const diag_sink *sink) {
    const char *split, *file;
    const size_t before = c->paths.size;
    for (size_t i = 0; (split = task_split_row(c->reading.task, i)); i++) {
        TRY(task_split_file(c->reading.task, path, split, &c->memory, sink, &file));
        if (file && !VEC_PUSH(&c->paths, file)) return diag_out_of_memory(sink);
    }
    if (c->paths.size > before) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path},
                      "found no file of a split of task %s, wanted one like %s.tsv", c->reading.task->name,
                      task_split_row(c->reading.task, 0));
}

static pofac_status add_paths(task_check *c, const char *const *paths, size_t n, const diag_sink *sink) {
    for (size_t i = 0; i < n; i++) {
        if (file_is_directory(paths[i])) TRY(add_directory(c, paths[i], sink));
        else if (!VEC_PUSH(&c->paths, paths[i])) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

static pofac_status take_options(task_check *c, const diag_sink *sink) {
    const check_task_options *o = c->options;
    TRY(task_find(o->task, sink, &c->reading.task));
    if (o->format && !task_format_parse(o->format, &c->reading.format))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "format: found \"%s\", wanted auto, tsv, csv, jsonl or conll", o->format);
    if (o->tag_scheme && !tag_scheme_parse(o->tag_scheme, &c->reading.scheme))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "tag_scheme: found \"%s\", wanted as_is, iob1, iob2 or bioes",
                          o->tag_scheme);
    memcpy(c->reading.columns, o->columns, sizeof o->columns);
    c->reading.tag_column = o->tag_column;
    c->reading.needs_labels = o->needs_labels;
    c->reading.skip_bad_rows = true;
    return POFAC_OK;
}

static pofac_status open_model(task_check *c, const diag_sink *sink) {
    const check_task_options *o = c->options;
    if (o->model) TRY(loaded_model_open(o->model, &(loaded_model_options){.vocab = o->vocab}, sink, &c->model));
    if (o->model && o->vocab) return loaded_model_tokenizer(c->model, sink, &c->tokenizer);
    if (o->model && loaded_model_tokenizer(c->model, NULL, &c->tokenizer) != POFAC_OK) c->tokenizer = NULL; /* it has none */
    if (o->model || !o->vocab) return POFAC_OK;
    TRY(tokenizer_create(o->vocab, &(tokenizer_options){.do_lower_case = o->do_lower_case}, sink, &c->own_tokenizer));
    c->tokenizer = c->own_tokenizer;
    return POFAC_OK;
}

/* Files whose labels are collected are read twice: warnings come the second time. */
static void emit_errors(void *user, const diag *d) {
    const diag_sink *to = user;
    if (to && d->severity == DIAG_ERROR) to->emit(to->user, d);
}

/* The labels that rows are held against: the task's, the model's, or those that the files turn out to have. */
static pofac_status find_labels(task_check *c, const diag_sink *sink) {
    const task_kind kind = c->reading.task->kind;
    const model_spec *spec = c->model ? loaded_model_spec(c->model) : NULL;
    const diag_sink errors = {emit_errors, (void *)sink};
    if (kind != TASK_CLASSIFICATION && kind != TASK_TOKEN_CLASSIFICATION) return POFAC_OK;
    label_owner owner = {c->options->model, spec && spec->labels ? (size_t)spec->num_labels : 0, spec ? spec->labels : NULL};
    TRY(label_set_make(c->reading.task, owner.n ? &owner : NULL, &c->memory, sink, &c->labels));
    for (size_t i = 0; c->labels.n == 0 && i < c->paths.size; i++)
        TRY(task_labels_collect(c->paths.data[i], &c->reading, &errors, &c->collector));
    if (c->labels.n == 0 && !label_collector_sort(&c->collector, &c->memory, &c->labels)) return diag_out_of_memory(sink);
    c->reading.labels = &c->labels;
    c->of_label = ARENA_ARRAY(&c->memory, uint64_t, c->labels.n + 1);
    return c->of_label ? POFAC_OK : diag_out_of_memory(sink);
}

/* ---- counting ---- */

static pofac_status count_tokens(task_check *c, const task_example *e, const diag_sink *sink) {
    length_counts *l = &c->lengths;
    TRY(example_tokens_encode(&c->tokens, c->tokenizer, e, (size_t)c->options->max_seq_length, sink));
    const size_t length = c->tokens.full_length;
    l->of[length < LONGEST_COUNTED ? length : LONGEST_COUNTED]++;
    l->total += length;
    l->truncated += length > c->tokens.built.size;
    if (l->rows == 0 || length < l->least) l->least = length;
    if (length > l->most) l->most = length;
    l->rows++;
    return POFAC_OK;
}

static pofac_status count_example(task_check *c, const task_example *e, const diag_sink *sink) {
    c->words += e->n_words;
    for (size_t i = 0; e->tag_labels && i < e->n_words; i++) c->of_label[e->tag_labels[i]]++;
    if (e->label >= 0) c->of_label[e->label]++;
    if (e->has_label && c->reading.task->kind == TASK_REGRESSION) {
        c->score_sum += e->score;
        if (e->score < c->least_score) c->least_score = e->score;
        if (e->score > c->most_score) c->most_score = e->score;
    }
    return c->tokenizer ? count_tokens(c, e, sink) : POFAC_OK;
}

static pofac_status count_rows(task_check *c, task_reader *r, const diag_sink *sink) {
    for (;;) {
        task_example e;
        bool found;
        TRY(task_reader_next(r, sink, &e, &found));
        if (!found) return POFAC_OK;
        TRY(count_example(c, &e, sink));
    }
}

static void put_counts(const task_counts *counts, strbuf *out) {
    strbuf_printf(out, "\"rows\": %llu, \"unlabelled\": %llu, \"bad_rows\": %llu", (unsigned long long)counts->examples,
                  (unsigned long long)counts->unlabelled, (unsigned long long)counts->bad_rows);
}

static pofac_status count_file(task_check *c, const char *path, const diag_sink *sink, strbuf *out) {
    task_reader *r;
    TRY(task_reader_open(path, &c->reading, sink, &r));
    pofac_status status = count_rows(c, r, sink);
    const task_counts counts = task_reader_counts(r);
    const task_format format = task_reader_format(r);
    strbuf_puts(out, "{\"file\": ");
    strbuf_put_json(out, path, strlen(path));
    strbuf_printf(out, ", \"format\": \"%s\"", task_format_name(format));
    if (format == TASK_FORMAT_TSV || format == TASK_FORMAT_CSV)
        strbuf_printf(out, ", \"header\": %s", task_reader_has_header(r) ? "true" : "false");
    strbuf_puts(out, ", ");
    put_counts(&counts, out);
    strbuf_putc(out, '}');
    c->counts.examples += counts.examples;
    c->counts.unlabelled += counts.unlabelled;
    c->counts.bad_rows += counts.bad_rows;
    task_reader_close(r);
    return status;
}

/* ---- the object ---- */

static void put_labels(const task_check *c, strbuf *out) {
    strbuf_puts(out, ", \"labels\": {");
    for (size_t i = 0; i < c->labels.n; i++) {
        strbuf_puts(out, i ? ", " : "");
        strbuf_put_json(out, c->labels.names[i], strlen(c->labels.names[i]));
        strbuf_printf(out, ": %llu", (unsigned long long)c->of_label[i]);
    }
    strbuf_putc(out, '}');
}

static void put_scores(const task_check *c, strbuf *out) {
    const uint64_t n = c->counts.examples - c->counts.unlabelled;
    if (n == 0) return;
    strbuf_puts(out, ", \"scores\": {\"min\": ");
    json_put_real(c->least_score, out);
    strbuf_puts(out, ", \"mean\": ");
    json_put_real(c->score_sum / (double)n, out);
    strbuf_puts(out, ", \"max\": ");
    json_put_real(c->most_score, out);
    strbuf_putc(out, '}');
}

/* The length that at least `share` of the rows do not exceed. */
static size_t percentile(const length_counts *l, double share) {
    uint64_t seen = 0;
    size_t length = 0;
    while (length < LONGEST_COUNTED && (double)(seen += l->of[length]) < share * (double)l->rows) length++;
    return length;
}

static void put_lengths(const task_check *c, strbuf *out) {
    const length_counts *l = &c->lengths;
    const double rows = l->rows ? (double)l->rows : 1;
    strbuf_printf(out, ", \"tokens\": {\"max_seq_length\": %lld, \"total\": %llu, \"min\": %zu, \"mean\": ",
                  (long long)c->options->max_seq_length, (unsigned long long)l->total, l->least);
    json_put_real((double)l->total / rows, out);
    strbuf_printf(out, ", \"median\": %zu, \"p90\": %zu, \"p99\": %zu, \"max\": %zu, \"truncated\": %llu, \"truncated_share\": ",
                  percentile(l, 0.5), percentile(l, 0.9), percentile(l, 0.99), l->most, (unsigned long long)l->truncated);
    json_put_real((double)l->truncated / rows, out);
    strbuf_putc(out, '}');
}

static pofac_status check(task_check *c, const char *const *paths, size_t n, const diag_sink *sink, strbuf *out) {
    TRY(take_options(c, sink));
    TRY(add_paths(c, paths, n, sink));
    TRY(open_model(c, sink));
    TRY(find_labels(c, sink));
    if (c->tokenizer && !(c->lengths.of = ARENA_ARRAY(&c->memory, uint64_t, LONGEST_COUNTED + 1))) return diag_out_of_memory(sink);
    strbuf_printf(out, "{\"task\": \"%s\", \"files\": [", c->reading.task->name);
    for (size_t i = 0; i < c->paths.size; i++) {
        strbuf_puts(out, i ? ", " : "");
        TRY(count_file(c, c->paths.data[i], sink, out));
    }
    strbuf_puts(out, "], ");
    put_counts(&c->counts, out);
    if (c->reading.task->kind == TASK_TOKEN_CLASSIFICATION) strbuf_printf(out, ", \"words\": %llu", (unsigned long long)c->words);
    if (c->reading.labels) put_labels(c, out);
    if (c->reading.task->kind == TASK_REGRESSION) put_scores(c, out);
    if (c->tokenizer) put_lengths(c, out);
    strbuf_puts(out, "}\n");
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status check_task(const char *const *paths, size_t n, const check_task_options *options, const diag_sink *sink, strbuf *out) {
    task_check c = {.options = options,
                    .memory = ARENA_INIT,
                    .collector = LABEL_COLLECTOR_INIT,
                    .least_score = DBL_MAX,
                    .most_score = -DBL_MAX,
                    .tokens = EXAMPLE_TOKENS_INIT};
    pofac_status status = check(&c, paths, n, sink, out);
    if (status != POFAC_OK) strbuf_clear(out);
    if (status == POFAC_OK && c.counts.bad_rows > 0 && !options->skip_bad_rows)
        status = diag_error(sink, POFAC_ERR_INPUT, NULL, "found %llu bad rows, wanted none (--skip_bad_rows leaves them out)",
                            (unsigned long long)c.counts.bad_rows);
    example_tokens_free(&c.tokens);
    label_collector_free(&c.collector);
    tokenizer_destroy(c.own_tokenizer);
    loaded_model_close(c.model);
    VEC_FREE(&c.paths);
    arena_free(&c.memory);
    return status;
}
