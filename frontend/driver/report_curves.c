/* Metrics of all runs -> charts, each with one line for each run, and maps of sparsity by layer; see report_parts.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/report_parts.h"
#include "frontend/report/line_chart.h"
#include "frontend/report/share_map.h"

#define OF_LAYER "sparsity_per_layer/"
#define OF_EVALUATION "eval_"

/* Charts whose metrics are known, in the order of the page; `also`: a second metric of the same chart. All others follow, each in a chart of its own. */
static const struct chart_row {
    const char *metric, *also, *title, *unit;
    chart_scale scale;
    bool noisy;
} rows[] = {
    {"loss", "eval_loss", "Loss", "", CHART_LOG_WHERE_WIDE, true},
    {"eval_accuracy", NULL, "Accuracy", "share of examples", CHART_LINEAR, false},
    {"task_loss", NULL, "Loss from labels", "", CHART_LOG_WHERE_WIDE, true},
    {"distill_loss", NULL, "Loss from the teacher's logits", "", CHART_LOG_WHERE_WIDE, true},
    {"hidden_loss", NULL, "Loss from the teacher's layers", "", CHART_LOG_WHERE_WIDE, true},
    {"learning_rate", NULL, "Learning rate", "", CHART_LINEAR, false},
    {"grad_norm", NULL, "Gradient norm", "before clipping", CHART_LOG_WHERE_WIDE, true},
    {"sparsity", "pruning/target_sparsity", "Sparsity", "share of zeros", CHART_PERCENT, false},
    {"tokens_per_second", NULL, "Throughput", "tokens per second", CHART_LINEAR, true},
    {"mask_update_runtime", NULL, "Time of a mask's update", "seconds", CHART_LINEAR, false},
};
#define N_ROWS (sizeof rows / sizeof *rows)

/* Metrics that are no curves: what is on another axis, or says the same as one that is shown. */
static const char *const left_out[] = {"epoch", "eval_samples", "eval_runtime", "eval_samples_per_second"};

static bool begins_with(const char *text, const char *beginning) { return strncmp(text, beginning, strlen(beginning)) == 0; }

static bool has_own_row(const char *name) {
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].metric, name) == 0 || (rows[i].also && strcmp(rows[i].also, name) == 0)) return true;
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (strcmp(left_out[i], name) == 0) return true;
    return begins_with(name, OF_LAYER);
}

static bool same_values(const metric_column *a, const metric_column *b) {
    if (!b || a->values.size != b->values.size) return false;
    for (size_t i = 0; i < a->values.size; i++)
        if (a->values.data[i] != b->values.data[i]) return false;
    return true;
}

/* Without a teacher, the loss from labels is the loss. */
static bool is_repeated(const metrics_table *t, const char *metric) {
    const metric_column *c = metrics_table_find(t, metric);
    return c && strcmp(metric, "task_loss") == 0 && same_values(c, metrics_table_find(t, "loss"));
}

/* Has the series marks? Those of a chart's second metric are what tells it from the first. */
static bool is_marked(const struct chart_row *row, const char *metric, size_t n) {
    if (row->also) return metric == row->also;
    return n <= 12 || (n <= 60 && begins_with(metric, OF_EVALUATION));
}

static void add_series(const report *r, const struct chart_row *row, const char *metric, chart *c, chart_series *series) {
    for (size_t i = 0; metric && i < r->runs.size; i++) {
        const report_run *run = &r->runs.data[i];
        const metric_column *column = metrics_table_find(&run->metrics, metric);
        if (!column || is_repeated(&run->metrics, metric)) continue;
        series[c->n_series++] = (chart_series){.run = run->name,
                                               .metric = metric,
                                               .x = column->steps.data,
                                               .y = column->values.data,
                                               .n = column->steps.size,
                                               .style = (unsigned)i,
                                               .marked = is_marked(row, metric, column->steps.size)};
    }
}

static pofac_status put_chart(const report *r, const struct chart_row *row, strbuf *out) {
    chart_series *series = calloc(2 * r->runs.size + 1, sizeof *series);
    chart c = {.title = row->title, .unit = row->unit, .noisy = row->noisy, .scale = row->scale, .series = series};
    if (!series) return diag_out_of_memory(r->sink);
    add_series(r, row, row->metric, &c, series);
    add_series(r, row, row->also, &c, series);
    const pofac_status status = chart_put(&c, r->sink, out);
    free(series);
    return status;
}

/* The first run that has the metric. */
static bool is_first(const report *r, size_t run, const char *metric) {
    for (size_t i = 0; i < run; i++)
        if (metrics_table_find(&r->runs.data[i].metrics, metric)) return false;
    return true;
}

static pofac_status put_others(const report *r, strbuf *out) {
    for (size_t i = 0; i < r->runs.size; i++) {
        const metrics_table *t = &r->runs.data[i].metrics;
        for (size_t k = 0; k < t->columns.size; k++) {
            const char *name = t->columns.data[k].name;
            if (has_own_row(name) || !is_first(r, i, name)) continue;
            TRY(put_chart(r, &(struct chart_row){name, NULL, name, "", CHART_LINEAR, false}, out));
        }
    }
    return POFAC_OK;
}

/* ---- sparsity by layer ---- */

/* "bert.encoder.layer.3.attention.self.query" in short: "3 self.query". */
static const char *short_name(const char *name, arena *a) {
    const char *layer = strstr(name, "layer.");
    if (!layer) {
        const size_t n = strlen(name);
        return n <= 20 ? name : arena_printf(a, "...%s", name + n - 17);
    }
    const char *number = layer + strlen("layer."), *rest = number + strspn(number, "0123456789");
    if (*rest == '.') rest++;
    const char *attention = "attention.self.";
    if (begins_with(rest, attention)) rest += strlen("attention.");
    const size_t n = strlen(rest), end = n > 6 && strcmp(rest + n - 6, ".dense") == 0 ? n - 6 : n;
    return arena_printf(a, "%.*s %.*s", (int)strspn(number, "0123456789"), number, (int)(end > 17 ? 17 : end), rest);
}

typedef struct bands {
    const char **rows, **labels;
    double *steps, *shares;
} bands;

/* Layers are logged together, so they have the same steps; one that lacks some is unknown there. */
static bool fill_bands(const metrics_table *t, const metric_column *first, bands *b, arena *a, share_map *m) {
    for (size_t k = 0; k < first->steps.size; k++) b->steps[k] = first->steps.data[k];
    for (size_t i = 0; i < t->columns.size; i++) {
        const metric_column *c = &t->columns.data[i];
        if (!begins_with(c->name, OF_LAYER)) continue;
        b->rows[m->n_rows] = c->name;
        b->labels[m->n_rows] = short_name(c->name + strlen(OF_LAYER), a);
        if (!b->labels[m->n_rows]) return false;
        for (size_t k = 0, at = 0; k < m->n_steps; k++) {
            while (at < c->steps.size && c->steps.data[at] < b->steps[k]) at++;
            const bool there = at < c->steps.size && c->steps.data[at] == b->steps[k];
            b->shares[m->n_rows * m->n_steps + k] = there ? c->values.data[at] : NAN;
        }
        m->n_rows++;
    }
    return true;
}

static pofac_status put_map(const report *r, const report_run *run, strbuf *out) {
    const metrics_table *t = &run->metrics;
    const metric_column *first = NULL;
    arena a = ARENA_INIT;
    size_t n = 0;
    for (size_t i = 0; i < t->columns.size; i++) {
        if (!begins_with(t->columns.data[i].name, OF_LAYER)) continue;
        if (!first || t->columns.data[i].steps.size > first->steps.size) first = &t->columns.data[i];
        n++;
    }
    if (!first) return POFAC_OK;
    bands b = {ARENA_ARRAY(&a, const char *, n), ARENA_ARRAY(&a, const char *, n), ARENA_ARRAY(&a, double, first->steps.size),
               n <= SIZE_MAX / first->steps.size ? ARENA_ARRAY(&a, double, n * first->steps.size) : NULL};
    share_map m = {.last_step = report_last_step(run),
                   .run = run->name,
                   .rows = b.rows,
                   .labels = b.labels,
                   .n_steps = first->steps.size,
                   .steps = b.steps,
                   .shares = b.shares};
    pofac_status status =
        b.rows && b.labels && b.steps && b.shares && fill_bands(t, first, &b, &a, &m) ? POFAC_OK : diag_out_of_memory(r->sink);
    if (status == POFAC_OK) status = share_map_put(&m, r->sink, out);
    arena_free(&a);
    return status;
}

pofac_status report_put_curves(const report *r, strbuf *out) {
    bool any = false;
    for (size_t i = 0; i < r->runs.size; i++) any = any || r->runs.data[i].has_metrics;
    if (!any) return POFAC_OK;
    strbuf_puts(out, "<h2 id=\"curves\">Curves</h2>\n<div class=\"charts\">\n");
    for (size_t i = 0; i < N_ROWS; i++) TRY(put_chart(r, &rows[i], out));
    TRY(put_others(r, out));
    for (size_t i = 0; i < r->runs.size; i++) TRY(put_map(r, &r->runs.data[i], out));
    strbuf_puts(out, "</div>\n");
    return POFAC_OK;
}
