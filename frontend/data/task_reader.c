/* Rows to examples: what must be true of texts, labels, scores and words; see task_reader.h. */
#include "frontend/data/task_reader.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/data/task_rows.h"
#include "frontend/data/utf8_check.h"
#include "ir/support/decimal.h"

#define WARNINGS_SHOWN 5u /* of bad rows that are skipped: what is wrong, without a line for each of a large file */

struct task_reader {
    task_reader_options options;
    task_rows rows;
    task_counts counts;
    VEC(int32_t) tag_labels;
};

static pofac_status open_reader(task_reader *r, const char *path, const diag_sink *sink) {
    const task_info *task = r->options.task;
    if (task->kind == TASK_REGRESSION && r->options.labels && r->options.labels->n > 1)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "task %s predicts a number: found a model with %zu labels, wanted one",
                          task->name, r->options.labels->n);
    return task_rows_open(&r->rows, path, &r->options, sink);
}

pofac_status task_reader_open(const char *path, const task_reader_options *options, const diag_sink *sink, task_reader **out) {
    *out = NULL;
    task_reader *r = calloc(1, sizeof *r);
    if (!r) return diag_out_of_memory(sink);
    r->options = *options;
    pofac_status status = open_reader(r, path, sink);
    if (status == POFAC_OK) *out = r;
    else task_reader_close(r);
    return status;
}

void task_reader_close(task_reader *r) {
    if (!r) return;
    task_rows_close(&r->rows);
    VEC_FREE(&r->tag_labels);
    free(r);
}

task_counts task_reader_counts(const task_reader *r) { return r->counts; }

task_format task_reader_format(const task_reader *r) { return r->rows.format; }

bool task_reader_has_header(const task_reader *r) { return r->rows.has_header; }

/* ---- what must be true of a row ---- */

static pofac_status check_text(task_reader *r, const char *what, const char *text, size_t n, const diag_sink *sink) {
    const size_t valid = utf8_valid_bytes(text, n);
    if (valid < n)
        return task_rows_error(&r->rows, sink, "%s: found the byte 0x%02x at byte %zu, wanted UTF-8", what,
                               (unsigned)(unsigned char)text[valid], valid + 1);
    if (memchr(text, 0, n)) return task_rows_error(&r->rows, sink, "%s: found a NUL byte, wanted text", what);
    if (n == 0 || strspn(text, " \t") == n) return task_rows_error(&r->rows, sink, "%s: found an empty cell, wanted text", what);
    return POFAC_OK;
}

/* A message that says a label or score is none, its text cut to a readable length. */
static pofac_status label_error(task_reader *r, const char *text, size_t n, const diag_sink *sink) {
    const label_set *set = r->options.labels;
    strbuf said = STRBUF_INIT;
    strbuf_put_json(&said, text, n > 60 ? 60 : n);
    strbuf_puts(&said, ", wanted ");
    if (r->options.task->kind == TASK_REGRESSION && r->options.task->high < 1e300)
        strbuf_printf(&said, "a number from %g to %g", r->options.task->low, r->options.task->high);
    else if (r->options.task->kind == TASK_REGRESSION) strbuf_puts(&said, "a number");
    else label_set_put(set, &said);
    pofac_status status =
        strbuf_ok(&said) ? task_rows_error(&r->rows, sink, "label: found %s", strbuf_str(&said)) : diag_out_of_memory(sink);
    strbuf_free(&said);
    return status;
}

static pofac_status missing_label(task_reader *r, const diag_sink *sink) {
    if (r->options.needs_labels) return task_rows_error(&r->rows, sink, "label: found none, wanted one in every row");
    return POFAC_OK;
}

static row_cell without_blanks(row_cell cell) {
    while (cell.bytes > 0 && (cell.text[0] == ' ' || cell.text[0] == '\t')) cell.text++, cell.bytes--;
    return cell;
}

/* -1 stands for no label where it can be none itself: own data may well have it. */
static bool is_absent(const task_info *task, row_cell cell) {
    bool may_be_label = task->kind == TASK_REGRESSION ? task->low < 0 : !*task->labels;
    return !cell.text || (!may_be_label && cell.bytes == 2 && memcmp(cell.text, "-1", 2) == 0);
}

static pofac_status take_label(task_reader *r, row_cell found, const diag_sink *sink, task_example *out) {
    if (is_absent(r->options.task, found)) return missing_label(r, sink);
    const row_cell cell = without_blanks(found);
    TRY(check_text(r, "label", cell.text, cell.bytes, sink));
    out->has_label = true;
    out->label_text = cell.text;
    if (r->options.task->kind == TASK_REGRESSION) {
        const task_info *task = r->options.task;
        if (decimal_read(cell.text, cell.bytes, &out->score) && out->score >= task->low && out->score <= task->high)
            return POFAC_OK;
        return label_error(r, cell.text, cell.bytes, sink);
    }
    if (!r->options.labels || r->options.labels->n == 0) return POFAC_OK;
    out->label = label_set_find(r->options.labels, cell.text, cell.bytes);
    return out->label >= 0 ? POFAC_OK : label_error(r, cell.text, cell.bytes, sink);
}

static pofac_status take_texts(task_reader *r, const diag_sink *sink, task_example *out) {
    const row_cell *cells = r->rows.cells;
    TRY(check_text(r, "text", cells[TASK_TEXT_A].text, cells[TASK_TEXT_A].bytes, sink));
    out->text_a = cells[TASK_TEXT_A].text;
    out->text_a_bytes = cells[TASK_TEXT_A].bytes;
    if (cells[TASK_TEXT_B].text) {
        TRY(check_text(r, "second text", cells[TASK_TEXT_B].text, cells[TASK_TEXT_B].bytes, sink));
        out->text_b = cells[TASK_TEXT_B].text;
        out->text_b_bytes = cells[TASK_TEXT_B].bytes;
    }
    return take_label(r, cells[TASK_LABEL], sink, out);
}

/* ---- token classification ---- */

static pofac_status convert_tags(task_reader *r, const diag_sink *sink) {
    task_rows *rows = &r->rows;
    if (r->options.scheme == TAGS_AS_THEY_ARE) return POFAC_OK;
    for (size_t i = 0; i < rows->tags.size; i++)
        if (!tag_is_span(rows->tags.data[i]))
            return task_rows_error(rows, sink, "label: found \"%.60s\" for word %zu, wanted O or a tag like B-PER",
                                   rows->tags.data[i], i + 1);
    return tags_convert(rows->tags.data, rows->tags.size, r->options.scheme, &rows->memory) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status find_tags(task_reader *r, const diag_sink *sink, task_example *out) {
    const label_set *set = r->options.labels;
    r->tag_labels.size = 0;
    for (size_t i = 0; set && set->n > 0 && i < out->n_words; i++) {
        int32_t label = label_set_find(set, out->tags[i], strlen(out->tags[i]));
        if (label < 0) return label_error(r, out->tags[i], strlen(out->tags[i]), sink);
        if (!VEC_PUSH(&r->tag_labels, label)) return diag_out_of_memory(sink);
    }
    out->tag_labels = r->tag_labels.size > 0 ? r->tag_labels.data : NULL;
    return POFAC_OK;
}

static pofac_status take_words(task_reader *r, const diag_sink *sink, task_example *out) {
    task_rows *rows = &r->rows;
    out->words = rows->words.data;
    out->n_words = rows->words.size;
    if (out->n_words == 0) return task_rows_error(rows, sink, "found no words, wanted at least one");
    for (size_t i = 0; i < out->n_words; i++) TRY(check_text(r, "word", out->words[i], strlen(out->words[i]), sink));
    if (rows->tags.size == 0) return missing_label(r, sink);
    for (size_t i = 0; i < out->n_words; i++) TRY(check_text(r, "label", rows->tags.data[i], strlen(rows->tags.data[i]), sink));
    TRY(convert_tags(r, sink));
    out->has_label = true;
    out->tags = rows->tags.data;
    return find_tags(r, sink, out);
}

/* ---- reading ---- */

/* Errors of rows that are skipped: the first few are warnings, the others are only counted. */
typedef struct skipping_sink {
    const diag_sink *to;
    const task_reader *reader;
} skipping_sink;

static void emit_skipped(void *user, const diag *d) {
    const skipping_sink *s = user;
    diag_sink none = {NULL, NULL};
    const diag_sink to = s->to ? *s->to : none;
    if (!to.emit) return;
    if (!s->reader->rows.is_fault_in_row || d->status != POFAC_ERR_INPUT) {
        to.emit(to.user, d);
    } else if (s->reader->counts.bad_rows < WARNINGS_SHOWN) {
        diag_warning(&to, &d->place, "row skipped: %s", d->message);
    }
}

static pofac_status next_example(task_reader *r, const diag_sink *sink, task_example *out, bool *found) {
    *out = (task_example){.label = -1};
    TRY(task_rows_next(&r->rows, sink, found));
    if (!*found) return POFAC_OK;
    out->line = r->rows.line;
    return r->options.task->kind == TASK_TOKEN_CLASSIFICATION ? take_words(r, sink, out) : take_texts(r, sink, out);
}

pofac_status task_reader_next(task_reader *r, const diag_sink *sink, task_example *out, bool *found) {
    skipping_sink skipping = {sink, r};
    const diag_sink skip_sink = {emit_skipped, &skipping};
    const bool skips = r->options.skip_bad_rows;
    pofac_status status;
    while ((status = next_example(r, skips ? &skip_sink : sink, out, found)) == POFAC_ERR_INPUT && skips && r->rows.is_fault_in_row)
        r->counts.bad_rows++;
    if (status != POFAC_OK) *found = false;
    if (!*found) return status;
    r->counts.examples++;
    if (!out->has_label) r->counts.unlabelled++;
    return POFAC_OK;
}

static pofac_status collect(task_reader *r, const diag_sink *sink, label_collector *collector) {
    for (;;) {
        task_example e;
        bool found;
        TRY(task_reader_next(r, sink, &e, &found));
        if (!found) return POFAC_OK;
        if (e.label_text && !label_collector_add(collector, e.label_text, strlen(e.label_text))) return diag_out_of_memory(sink);
        for (size_t i = 0; e.tags && i < e.n_words; i++)
            if (!label_collector_add(collector, e.tags[i], strlen(e.tags[i]))) return diag_out_of_memory(sink);
    }
}

pofac_status task_labels_collect(const char *path, const task_reader_options *options, const diag_sink *sink,
                                 label_collector *collector) {
    task_reader_options open_labels = *options;
    task_reader *r;
    open_labels.labels = NULL;
    TRY(task_reader_open(path, &open_labels, sink, &r));
    pofac_status status = collect(r, sink, collector);
    task_reader_close(r);
    return status;
}
