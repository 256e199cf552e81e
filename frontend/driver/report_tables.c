/* Tables of a report in which runs stand beside each other; see report_parts.h. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/report_parts.h"
#include "frontend/report/line_chart.h"
#include "ir/support/decimal.h"
#include "ir/support/json_text.h"

#define MOST_ROWS 200 /* of a table of metrics: what a person may read; all values are in the charts' attributes */

/* ---- small things ---- */

void report_put_text(const char *text, strbuf *out) { strbuf_put_html(out, text, strlen(text)); }

void report_put_bytes(int64_t bytes, strbuf *out) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double size = (double)bytes;
    size_t unit = 0;
    for (; unit < 4 && size >= 999.5; unit++) size /= 1000;
    strbuf_printf(out, unit == 0 ? "%.0f %s" : "%.3g %s", size, units[unit]);
}

void report_put_number(const char *exact, strbuf *out) {
    double value;
    strbuf_puts(out, "<td data-value=\"");
    report_put_text(exact, out);
    strbuf_puts(out, "\">");
    if (strlen(exact) <= 7 || !decimal_read(exact, strlen(exact), &value)) report_put_text(exact, out);
    else if (!strpbrk(exact, ".e")) report_put_text(exact, out);
    else if (fabs(value) >= 1e4 && fabs(value) < 1e15) strbuf_printf(out, "%.0f", value);
    else strbuf_printf(out, "%.5g", value);
    strbuf_puts(out, "</td>");
}

static void put_run_name(const report *r, size_t run, strbuf *out) {
    chart_put_swatch((unsigned)run, false, out);
    report_put_text(r->runs.data[run].name, out);
}

static void put_run_names(const report *r, strbuf *out) {
    for (size_t i = 0; i < r->runs.size; i++) {
        strbuf_puts(out, "<th scope=\"col\">");
        put_run_name(r, i, out);
        strbuf_puts(out, "</th>");
    }
}

static const char *text_of(const report_entry *entries, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(entries[i].name, name) == 0) return entries[i].text;
    return NULL;
}

/* ---- runs ---- */

/* The last number of a metric. */
static void put_last(const report_run *run, const char *metric, double factor, const char *format, strbuf *out) {
    const metric_column *c = metrics_table_find(&run->metrics, metric);
    strbuf exact = STRBUF_INIT;
    if (c && c->values.size) json_put_real(c->values.data[c->values.size - 1], &exact);
    strbuf_printf(out, "<td data-metric=\"%s\" data-value=\"%s\">", metric, strbuf_str(&exact));
    if (c && c->values.size && isfinite(c->values.data[c->values.size - 1]))
        strbuf_printf(out, format[0] == '%' ? "%.1f %%" : "%.5g", factor * c->values.data[c->values.size - 1]);
    strbuf_puts(out, "</td>");
    if (!strbuf_ok(&exact)) out->failed = true;
    strbuf_free(&exact);
}

double report_last_step(const report_run *run) {
    double last = 0;
    for (size_t i = 0; i < run->metrics.columns.size; i++) {
        const metric_column *c = &run->metrics.columns.data[i];
        if (c->steps.size) last = fmax(last, c->steps.data[c->steps.size - 1]);
    }
    return last;
}

static void put_sizes(const report_run *run, strbuf *out) {
    if (!run->has_size) {
        strbuf_puts(out, "<td></td><td></td><td></td>");
        return;
    }
    strbuf_printf(out, "<td>%.1f %%</td><td data-value=\"%" PRId64 "\">",
                  100 * size_factor(run->size.encoder.zeros, run->size.encoder.parameters), run->size.all.file_bytes);
    report_put_bytes(run->size.all.file_bytes, out);
    strbuf_printf(out, "</td><td data-value=\"%" PRId64 "\">", run->size.all.memory_bytes);
    report_put_bytes(run->size.all.memory_bytes, out);
    strbuf_puts(out, "</td>");
}

static void put_overview_row(const report *r, size_t i, strbuf *out) {
    const report_run *run = &r->runs.data[i];
    strbuf_puts(out, "<tr><th scope=\"row\">");
    put_run_name(r, i, out);
    strbuf_puts(out, "</th>");
    if (run->has_metrics) strbuf_printf(out, "<td>%.0f</td>", report_last_step(run));
    else strbuf_puts(out, "<td></td>");
    put_last(run, "loss", 1, "", out);
    put_last(run, "eval_loss", 1, "", out);
    put_last(run, "eval_accuracy", 1, "", out);
    put_sizes(run, out);
    if (run->bench.is_there) strbuf_printf(out, "<td>%.2f ms</td>", run->bench.median_ms);
    else strbuf_puts(out, "<td></td>");
    strbuf_puts(out, "</tr>\n");
}

void report_put_overview(const report *r, strbuf *out) {
    strbuf_puts(out, "<h2 id=\"runs\">Runs</h2>\n<div class=\"scroll\" tabindex=\"0\"><table "
                     "class=\"runs\"><thead><tr><th scope=\"col\">run</th><th scope=\"col\">steps</th><th scope=\"col\">last "
                     "loss</th><th scope=\"col\">last eval "
                     "loss</th><th scope=\"col\">accuracy</th><th scope=\"col\">encoder's zeros</th><th scope=\"col\">in the "
                     "file</th><th scope=\"col\">in memory</th><th scope=\"col\">a batch "
                     "takes</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < r->runs.size; i++) put_overview_row(r, i, out);
    strbuf_puts(out, "</tbody></table></div>\n");
}

/* ---- results, settings ---- */

typedef struct entry_list {
    const report_entry *data;
    size_t size;
} entry_list;

static entry_list results_of(const report_run *run) { return (entry_list){run->results.data, run->results.size}; }
static entry_list settings_of(const report_run *run) { return (entry_list){run->settings.data, run->settings.size}; }

/* Is the name not one of an earlier run? */
static bool is_first(const report *r, size_t run, const char *name, entry_list (*of)(const report_run *)) {
    for (size_t i = 0; i < run; i++)
        if (text_of(of(&r->runs.data[i]).data, of(&r->runs.data[i]).size, name)) return false;
    return true;
}

static void begin_row(const char *name, strbuf *out) {
    strbuf_puts(out, "<tr><th scope=\"row\"><code>");
    report_put_text(name, out);
    strbuf_puts(out, "</code></th>");
}

static void put_result_row(const report *r, const char *name, strbuf *out) {
    begin_row(name, out);
    for (size_t i = 0; i < r->runs.size; i++) {
        const char *text = text_of(r->runs.data[i].results.data, r->runs.data[i].results.size, name);
        if (text) report_put_number(text, out);
        else strbuf_puts(out, "<td></td>");
    }
    strbuf_puts(out, "</tr>\n");
}

void report_put_results(const report *r, strbuf *out) {
    bool any = false;
    for (size_t i = 0; i < r->runs.size; i++)
        for (size_t k = 0; k < r->runs.data[i].results.size; k++) {
            const char *name = r->runs.data[i].results.data[k].name;
            if (!is_first(r, i, name, results_of)) continue;
            if (!any) {
                strbuf_puts(out, "<h2 id=\"scores\">Scores</h2>\n<div class=\"scroll\" tabindex=\"0\"><table "
                                 "class=\"results\"><thead><tr><th scope=\"col\">from *_results.json</th>");
                put_run_names(r, out);
                strbuf_puts(out, "</tr></thead><tbody>\n");
            }
            any = true;
            put_result_row(r, name, out);
        }
    if (any) strbuf_puts(out, "</tbody></table></div>\n");
}

/* Do runs that have settings differ in this one? */
static bool differs(const report *r, const char *name) {
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < r->runs.size; i++) {
        const report_run *run = &r->runs.data[i];
        if (run->settings.size == 0) continue;
        const char *text = text_of(run->settings.data, run->settings.size, name);
        if (n++ == 0) first = text;
        else if (!text != !first || (text && strcmp(text, first) != 0)) return true;
    }
    return false;
}

static void put_setting_row(const report *r, const char *name, strbuf *out) {
    begin_row(name, out);
    for (size_t i = 0; i < r->runs.size; i++) {
        const char *text = text_of(r->runs.data[i].settings.data, r->runs.data[i].settings.size, name);
        strbuf_puts(out, "<td>");
        report_put_text(text ? text : "", out);
        strbuf_puts(out, "</td>");
    }
    strbuf_puts(out, "</tr>\n");
}

/* The rows of settings that differ, or of those that do not; returns how many. */
static size_t put_setting_rows(const report *r, bool differing, strbuf *out) {
    size_t n = 0;
    for (size_t i = 0; i < r->runs.size; i++)
        for (size_t k = 0; k < r->runs.data[i].settings.size; k++) {
            const char *name = r->runs.data[i].settings.data[k].name;
            if (!is_first(r, i, name, settings_of) || differs(r, name) != differing) continue;
            put_setting_row(r, name, out);
            n++;
        }
    return n;
}

static void put_setting_table(const report *r, bool differing, const char *head, const char *tail, strbuf *out) {
    strbuf table = STRBUF_INIT;
    const size_t n = put_setting_rows(r, differing, &table);
    if (!strbuf_ok(&table)) out->failed = true;
    if (n) {
        strbuf_printf(
            out, "%s<div class=\"scroll\" tabindex=\"0\"><table class=\"settings\"><thead><tr><th scope=\"col\">option</th>", head);
        put_run_names(r, out);
        strbuf_puts(out, "</tr></thead><tbody>\n");
        strbuf_append(out, table.data, table.size);
        strbuf_printf(out, "</tbody></table></div>%s\n", tail);
    }
    strbuf_free(&table);
}

void report_put_settings(const report *r, strbuf *out) {
    size_t n = 0;
    for (size_t i = 0; i < r->runs.size; i++) n += r->runs.data[i].settings.size > 0;
    if (n == 0) return;
    strbuf_puts(out, "<h2 id=\"options\">Options</h2>\n");
    if (n > 1) put_setting_table(r, true, "<p>In these the runs differ.</p>", "", out);
    put_setting_table(r, false,
                      n > 1 ? "<details><summary>Options that are the same</summary>" : "<details><summary>All options</summary>",
                      "</details>", out);
}

/* ---- lines of metrics ---- */

static int by_number(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The steps of all columns, each once and rising, into steps [as many as all columns have]; how many they are. */
static size_t collect_steps(const metrics_table *t, double *steps) {
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < t->columns.size; i++)
        for (size_t k = 0; k < t->columns.data[i].steps.size; k++) steps[n++] = t->columns.data[i].steps.data[k];
    qsort(steps, n, sizeof *steps, by_number);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || steps[kept - 1] != steps[i]) steps[kept++] = steps[i];
    return kept;
}

static const double *value_at(const metric_column *c, double step) {
    const double *found = c->steps.size ? bsearch(&step, c->steps.data, c->steps.size, sizeof step, by_number) : NULL;
    return found ? &c->values.data[found - c->steps.data] : NULL;
}

static bool is_in_table(const metric_column *c) {
    return strncmp(c->name, "sparsity_per_layer/", strlen("sparsity_per_layer/")) != 0;
}

static void put_value_row(const metrics_table *t, double step, strbuf *out) {
    strbuf exact = STRBUF_INIT;
    strbuf_printf(out, "<tr><td>%.0f</td>", step);
    for (size_t i = 0; i < t->columns.size; i++) {
        const metric_column *c = &t->columns.data[i];
        const double *value = value_at(c, step);
        if (!is_in_table(c)) continue;
        strbuf_clear(&exact);
        if (value) json_put_real(*value, &exact);
        if (!strbuf_ok(&exact)) out->failed = true;
        if (value) report_put_number(strbuf_str(&exact), out);
        else strbuf_puts(out, "<td></td>");
    }
    strbuf_puts(out, "</tr>\n");
    strbuf_free(&exact);
}

static pofac_status put_run_values(const report *r, size_t index, strbuf *out) {
    const metrics_table *t = &r->runs.data[index].metrics;
    size_t n = 0;
    for (size_t i = 0; i < t->columns.size; i++) n += t->columns.data[i].steps.size;
    double *steps = calloc(n + 1, sizeof *steps);
    if (!steps) return diag_out_of_memory(r->sink);
    n = collect_steps(t, steps);
    const size_t shown = n < MOST_ROWS ? n : MOST_ROWS;
    strbuf_puts(out, "<details><summary>");
    report_put_text(r->runs.data[index].name, out);
    strbuf_printf(out, ": %zu steps", n);
    if (shown < n) strbuf_printf(out, ", of which %zu are shown; the page's charts have all", shown);
    strbuf_puts(out,
                "</summary><div class=\"scroll\" tabindex=\"0\"><table class=\"values\"><thead><tr><th scope=\"col\">step</th>");
    for (size_t i = 0; i < t->columns.size; i++) {
        if (!is_in_table(&t->columns.data[i])) continue;
        strbuf_puts(out, "<th scope=\"col\">");
        report_put_text(t->columns.data[i].name, out);
        strbuf_puts(out, "</th>");
    }
    strbuf_puts(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < shown; i++) put_value_row(t, steps[shown > 1 ? i * (n - 1) / (shown - 1) : 0], out);
    strbuf_puts(out, "</tbody></table></div></details>\n");
    free(steps);
    return POFAC_OK;
}

pofac_status report_put_values(const report *r, strbuf *out) {
    bool any = false;
    for (size_t i = 0; i < r->runs.size; i++) {
        if (!r->runs.data[i].has_metrics) continue;
        if (!any) strbuf_puts(out, "<h2 id=\"values\">Values</h2>\n");
        any = true;
        TRY(put_run_values(r, i, out));
    }
    return POFAC_OK;
}
