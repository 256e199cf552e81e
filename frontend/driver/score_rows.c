/* Rows of a task's data beside their predictions; see score.h. The data stream by. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/score_parts.h"
#include "frontend/driver/score_predictions.h"
#include "ir/support/decimal.h"

#define NO_LABEL (-1) /* is never right */

typedef struct scored_rows {
    const score_options *options;
    const task_info *task;
    metrics *metrics;
    arena memory;
    label_set labels; /* n = 0: not of labels */
    row_predictions predictions;
    id_list missing, extra;
    VEC(const char *) tags; /* predicted, of the sentence at hand */
    strbuf words;           /* their texts */
    score_result *result;
} scored_rows;

static diag_place place_of(const scored_rows *s, const row_prediction *p) {
    return (diag_place){.file = s->predictions.path, .line = (uint32_t)p->line};
}

/* ---- labels ---- */

/* Names, numbers, and the LABEL_0, LABEL_1, ... of models whose labels have no names. */
static int32_t find_label(const label_set *labels, const char *text) {
    static const char nameless[] = "LABEL_";
    const size_t n = strlen(text), prefix = sizeof nameless - 1;
    const int32_t label = label_set_find(labels, text, n);
    return label < 0 && strncmp(text, nameless, prefix) == 0 ? label_set_find(labels, text + prefix, n - prefix) : label;
}

/* Labels that the task leaves open are those of the data; then another one predicted is wrong, but no mistake of the file's. */
static pofac_status add_label(scored_rows *s, const row_prediction *p, int32_t wanted, const diag_sink *sink) {
    const int32_t label = p ? find_label(&s->labels, p->text) : NO_LABEL;
    if (p && label < 0 && *s->task->labels) {
        const diag_place place = place_of(s, p);
        strbuf text = STRBUF_INIT;
        strbuf_puts(&text, "found ");
        strbuf_put_json(&text, p->text, strlen(p->text));
        strbuf_puts(&text, ", wanted ");
        label_set_put(&s->labels, &text);
        pofac_status status = diag_error(sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&text));
        strbuf_free(&text);
        return status;
    }
    return metrics_add_labels(s->metrics, &label, &wanted, 1, sink);
}

/* ---- numbers ---- */

static pofac_status add_value(scored_rows *s, const row_prediction *p, double wanted, const diag_sink *sink) {
    double value;
    if (!p) return POFAC_OK; /* score_report_missing refuses it */
    if (!decimal_read(p->text, strlen(p->text), &value)) {
        const diag_place place = place_of(s, p);
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found \"%s\", wanted a number", p->text);
    }
    return metrics_add_values(s->metrics, &value, &wanted, 1, sink);
}

/* ---- tags ---- */

/* The words of a line, in s->tags. */
static pofac_status split_tags(scored_rows *s, const char *text, const diag_sink *sink) {
    s->tags.size = 0;
    strbuf_clear(&s->words);
    strbuf_puts(&s->words, text);
    if (!strbuf_ok(&s->words)) return diag_out_of_memory(sink);
    char *rest = NULL, *words = s->words.data;
    for (char *tag = words ? strtok_r(words, " \t", &rest) : NULL; tag; tag = strtok_r(NULL, " \t", &rest))
        if (!VEC_PUSH(&s->tags, tag)) return diag_out_of_memory(sink);
    return POFAC_OK;
}

/* Words behind the last that was predicted - of a text that was cut - count as O where the options allow it. */
static pofac_status add_tags(scored_rows *s, const row_prediction *p, const task_example *e, const diag_sink *sink) {
    TRY(split_tags(s, p ? p->text : "", sink));
    const size_t found = s->tags.size;
    if (p && (found > e->n_words || (found < e->n_words && s->options->missing == SCORE_MISSING_FAILS))) {
        const diag_place place = place_of(s, p);
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found %zu labels, wanted %zu, as many as words in %s:%" PRIu64, found,
                          e->n_words, s->options->data, e->line);
    }
    while (s->tags.size < e->n_words)
        if (!VEC_PUSH(&s->tags, "O")) return diag_out_of_memory(sink);
    return metrics_add_tags(s->metrics, s->tags.data, e->tags, e->n_words, sink);
}

/* ---- rows ---- */

static pofac_status score_row(scored_rows *s, const task_example *e, const diag_sink *sink) {
    const uint64_t row = s->result->rows++;
    const row_prediction *p = row_predictions_take(&s->predictions, row);
    if (!p) {
        char id[24];
        snprintf(id, sizeof id, "%" PRIu64, row);
        id_list_add(&s->missing, id);
    }
    switch (s->task->kind) {
    case TASK_CLASSIFICATION: return add_label(s, p, e->label, sink);
    case TASK_REGRESSION: return add_value(s, p, e->score, sink);
    case TASK_TOKEN_CLASSIFICATION: return add_tags(s, p, e, sink);
    case TASK_QUESTION_ANSWERING: break;
    }
    return POFAC_OK;
}

static pofac_status read_all(scored_rows *s, const task_reader_options *options, const diag_sink *sink) {
    task_reader *r;
    bool found = false;
    pofac_status status;
    TRY(task_reader_open(s->options->data, options, sink, &r));
    do {
        task_example e;
        status = task_reader_next(r, sink, &e, &found);
        if (status == POFAC_OK && found) status = score_row(s, &e, sink);
    } while (status == POFAC_OK && found);
    s->result->skipped = task_reader_counts(r).bad_rows;
    task_reader_close(r);
    return status;
}

static pofac_status make_labels(scored_rows *s, const task_reader_options *options, const diag_sink *sink) {
    label_collector collector = LABEL_COLLECTOR_INIT;
    if (s->task->kind != TASK_CLASSIFICATION) return POFAC_OK;
    if (*s->task->labels) return label_set_make(s->task, NULL, &s->memory, sink, &s->labels);
    pofac_status status = task_labels_collect(s->options->data, options, sink, &collector);
    if (status == POFAC_OK && !label_collector_sort(&collector, &s->memory, &s->labels)) status = diag_out_of_memory(sink);
    label_collector_free(&collector);
    return status;
}

static pofac_status score_all(scored_rows *s, const diag_sink *sink) {
    task_reader_options options = {
        .task = s->task, .format = s->options->format, .needs_labels = true, .skip_bad_rows = s->options->skip_bad_rows};
    TRY(make_labels(s, &options, sink));
    options.labels = &s->labels;
    TRY(row_predictions_read(s->options->predictions, sink, &s->predictions));
    TRY(read_all(s, &options, sink));
    TRY(score_report_missing(s->options, &s->missing, s->result->rows, "rows", sink));
    for (size_t i = 0; i < s->predictions.by_row.size; i++)
        if (!s->predictions.rows.data[s->predictions.by_row.entries[i].value].used)
            id_list_add(&s->extra, s->predictions.by_row.entries[i].key);
    return score_report_extra(s->options, &s->extra, "rows", sink);
}

pofac_status score_rows(const score_options *o, const task_info *task, metrics *m, const diag_sink *sink, score_result *out) {
    scored_rows s = {.options = o,
                     .task = task,
                     .metrics = m,
                     .memory = ARENA_INIT,
                     .predictions = ROW_PREDICTIONS_INIT,
                     .missing = ID_LIST_INIT,
                     .extra = ID_LIST_INIT,
                     .result = out};
    pofac_status status = score_all(&s, sink);
    out->missing = s.missing.n;
    out->extra = s.extra.n;
    row_predictions_free(&s.predictions);
    arena_free(&s.memory);
    id_list_free(&s.missing);
    id_list_free(&s.extra);
    VEC_FREE(&s.tags);
    strbuf_free(&s.words);
    return status;
}
