/* Which metrics a task has, and their values as results; see score.h. */
#include "frontend/driver/score.h"

#include <math.h>
#include <string.h>

#include "frontend/driver/score_parts.h"

#define SHOWN_IDS 3u

/* The official script's order. */
static const char squad_v2_metrics[] =
    "exact|f1|total|HasAns_exact|HasAns_f1|HasAns_total|NoAns_exact|NoAns_f1|NoAns_total|best_exact|best_exact_thresh|best_f1|"
    "best_f1_thresh";

/* ---- rows and predictions that do not meet ---- */

void id_list_add(id_list *l, const char *id) {
    if (l->n++ >= SHOWN_IDS) return;
    if (l->n > 1) strbuf_puts(&l->text, ", ");
    strbuf_put_json(&l->text, id, strlen(id));
}

void id_list_free(id_list *l) { strbuf_free(&l->text); }

static const char *more(const id_list *l) { return l->n > SHOWN_IDS ? ", ..." : ""; }

pofac_status score_report_missing(const score_options *o, const id_list *missing, uint64_t n_rows, const char *what,
                                  const diag_sink *sink) {
    const diag_place place = {.file = o->predictions};
    if (missing->n == 0) return POFAC_OK;
    if (!strbuf_ok(&missing->text)) return diag_out_of_memory(sink);
    if (o->missing == SCORE_MISSING_FAILS)
        return diag_error(
            sink, POFAC_ERR_INPUT, &place, "found no prediction for %llu of %llu %s: %s%s (--missing=zero counts them as wrong)",
            (unsigned long long)missing->n, (unsigned long long)n_rows, what, strbuf_str(&missing->text), more(missing));
    diag_warning(sink, &place, "%llu of %llu %s have no prediction and score 0: %s%s", (unsigned long long)missing->n,
                 (unsigned long long)n_rows, what, strbuf_str(&missing->text), more(missing));
    return POFAC_OK;
}

pofac_status score_report_extra(const score_options *o, const id_list *extra, const char *what, const diag_sink *sink) {
    const diag_place place = {.file = o->predictions};
    if (extra->n == 0) return POFAC_OK;
    if (!strbuf_ok(&extra->text)) return diag_out_of_memory(sink);
    if (o->extra == SCORE_EXTRA_IS_IGNORED) {
        diag_warning(sink, &place, "predictions for %llu %s that %s does not have are passed over: %s%s",
                     (unsigned long long)extra->n, what, o->data, strbuf_str(&extra->text), more(extra));
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_INPUT, &place,
                      "found predictions for %llu %s that %s does not have: %s%s (--extra=ignore passes over them)",
                      (unsigned long long)extra->n, what, o->data, strbuf_str(&extra->text), more(extra));
}

/* ---- metrics to results ---- */

/* Metrics of answers that have no sense are left out, as the official script does. */
void score_put_metrics(const metrics *m, const char *names, score_result *out) {
    const char *name;
    size_t length;
    const size_t before = out->n;
    double sum = 0.0;
    for (size_t i = 0; task_name_at(names, i, &name, &length); i++) {
        const metric_row *row = metrics_find(m->input, name, length);
        const double value = row->compute(m);
        if (m->input == METRIC_ANSWERS && isnan(value)) continue;
        out->values[out->n++] = (result_value){row->name, value, row->scale == METRIC_COUNT};
        sum += value;
    }
    const size_t n = out->n - before;
    if (n > 1 && (m->input == METRIC_CLASSES || m->input == METRIC_VALUES)) {
        out->values[out->n] = (result_value){"combined_score", sum / (double)n, false};
        out->n++;
    }
}

metric_input score_input_of(task_kind kind) {
    static const metric_input inputs[] = {[TASK_CLASSIFICATION] = METRIC_CLASSES,
                                          [TASK_REGRESSION] = METRIC_VALUES,
                                          [TASK_TOKEN_CLASSIFICATION] = METRIC_TAGS,
                                          [TASK_QUESTION_ANSWERING] = METRIC_ANSWERS};
    return inputs[kind];
}

static pofac_status check_options(const score_options *o, const task_info *task, bool is_v2, const diag_sink *sink) {
    if (o->null_odds && !is_v2)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "--null_odds is for --task squad_v2, found --task %s", o->task);
    if (o->missing == SCORE_MISSING_IS_WRONG && task->kind == TASK_REGRESSION)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "--missing=zero is not for --task %s: a correlation has no wrong rows",
                          o->task);
    return POFAC_OK;
}

static score_options resolve(const score_options *options, const task_info *task) {
    const bool is_squad = task->kind == TASK_QUESTION_ANSWERING;
    score_options o = *options;
    if (o.missing == SCORE_MISSING_BY_TASK) o.missing = is_squad ? SCORE_MISSING_IS_WRONG : SCORE_MISSING_FAILS;
    if (o.extra == SCORE_EXTRA_BY_TASK) o.extra = is_squad ? SCORE_EXTRA_IS_IGNORED : SCORE_EXTRA_FAILS;
    return o;
}

pofac_status score_file(const score_options *options, const diag_sink *sink, score_result *out) {
    const bool is_v2 = strcmp(options->task, "squad_v2") == 0;
    const task_info *task;
    *out = (score_result){.n = 0};
    TRY(task_find(is_v2 ? "squad" : options->task, sink, &task));
    TRY(check_options(options, task, is_v2, sink));
    const score_options o = resolve(options, task);
    metrics m = metrics_begin(score_input_of(task->kind));
    m.rules = is_v2 ? ANSWER_RULES_V2 : ANSWER_RULES_V1;
    m.no_answer_threshold = options->no_answer_threshold;
    pofac_status status =
        task->kind == TASK_QUESTION_ANSWERING ? score_questions(&o, &m, sink, out) : score_rows(&o, task, &m, sink, out);
    if (status == POFAC_OK) status = metrics_finish(&m, sink);
    if (status == POFAC_OK) score_put_metrics(&m, is_v2 ? squad_v2_metrics : task->metrics, out);
    metrics_free(&m);
    return status;
}
