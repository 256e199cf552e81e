/* The output of `pofac bench --json` -> time by kernel, and its table; see report_parts.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/report_parts.h"
#include "ir/support/json_text.h"

static double number_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : 0;
}

static int64_t whole_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : 0;
}

/* The row of a kernel and variant, a new one where there is none; NULL: memory is short. */
static report_kernel *row_of(report_bench *b, const char *kernel, const char *variant, arena *a) {
    const char *name = arena_printf(a, "%s%s%s", kernel, *variant ? " " : "", variant);
    if (!name) return NULL;
    for (size_t i = 0; i < b->n_kernels; i++)
        if (strcmp(b->kernels[i].name, name) == 0) return &b->kernels[i];
    b->kernels[b->n_kernels] = (report_kernel){.name = name};
    return &b->kernels[b->n_kernels++];
}

/* Rates are those of all steps of a kernel: their means over time. */
static bool add_step(report_bench *b, const json_t *step, arena *a) {
    const char *kernel = json_string_value(json_object_get(step, "kernel")),
               *variant = json_string_value(json_object_get(step, "variant"));
    if (!kernel) return true;
    report_kernel *row = row_of(b, kernel, variant ? variant : "", a);
    if (!row) return false;
    const double ms = number_of(step, "ms"), all = row->ms + ms;
    row->gflops = all > 0 ? (row->gflops * row->ms + number_of(step, "gflops") * ms) / all : 0;
    row->gbytes = all > 0 ? (row->gbytes * row->ms + number_of(step, "gbytes") * ms) / all : 0;
    row->ms = all;
    row->share += number_of(step, "share");
    row->steps++;
    return true;
}

static pofac_status read_object(const json_t *root, arena *a, const diag_sink *sink, report_bench *out) {
    const json_t *kernels = json_object_get(root, "kernels");
    const char *target = json_string_value(json_object_get(root, "target"));
    if (!json_is_array(kernels) || !json_is_number(json_object_get(root, "median_ms"))) return POFAC_OK;
    *out = (report_bench){.is_there = true,
                          .target = arena_strdup(a, target ? target : "unknown target"),
                          .threads = whole_of(root, "threads"),
                          .batch = whole_of(root, "batch"),
                          .sequence = whole_of(root, "sequence"),
                          .median_ms = number_of(root, "median_ms"),
                          .p90_ms = number_of(root, "p90_ms"),
                          .tokens_per_second = number_of(root, "tokens_per_second"),
                          .kernels = ARENA_ARRAY(a, report_kernel, json_array_size(kernels) + 1)};
    bool ok = out->target && out->kernels;
    for (size_t i = 0; ok && i < json_array_size(kernels); i++) ok = add_step(out, json_array_get(kernels, i), a);
    if (!ok) return diag_out_of_memory(sink);
    report_bench_sort(out);
    return POFAC_OK;
}

pofac_status report_bench_read(const void *bytes, size_t n, arena *a, const diag_sink *sink, report_bench *out) {
    json_t *root = NULL;
    *out = (report_bench){0};
    if (n == 0 || *(const char *)bytes != '{') return POFAC_OK; /* what a command prints is read here, too */
    if (json_parse("bench", NULL, bytes, n, NULL, &root) == POFAC_ERR_RUNTIME) return diag_out_of_memory(sink);
    const pofac_status status = root ? read_object(root, a, sink, out) : POFAC_OK;
    json_decref(root);
    return status;
}

static int by_time(const void *a, const void *b) {
    const report_kernel *x = a, *y = b;
    return x->ms < y->ms ? 1 : x->ms > y->ms ? -1 : strcmp(x->name, y->name);
}

void report_bench_sort(report_bench *b) { qsort(b->kernels, b->n_kernels, sizeof *b->kernels, by_time); }

static void put_kernel(const report_kernel *k, strbuf *out) {
    strbuf_puts(out, "<tr><th scope=\"row\">");
    report_put_text(k->name, out);
    strbuf_printf(out,
                  "</th><td>%" PRId64 "</td><td data-value=\"%.6g\">%.3f</td><td class=\"barbox\"><span class=\"bar\" "
                  "style=\"width:%.1fpx\"></span> %.1f %%</td>",
                  k->steps, k->ms, k->ms, 60 * k->share, 100 * k->share);
    if (k->gflops > 0) strbuf_printf(out, "<td>%.1f</td>", k->gflops);
    else strbuf_puts(out, "<td></td>");
    strbuf_printf(out, "<td>%.2f</td></tr>\n", k->gbytes);
}

void report_put_bench(const report_bench *b, strbuf *out) {
    if (!b->is_there) return;
    strbuf_printf(out,
                  "<h3>Time by kernel</h3>\n<p>A batch of %" PRId64 " x %" PRId64
                  " made-up tokens takes <b>%.2f ms</b> (median; 90 %% of runs within %.2f), "
                  "%.0f tokens/s, %" PRId64 " thread%s, ",
                  b->batch, b->sequence, b->median_ms, b->p90_ms, b->tokens_per_second, b->threads, b->threads == 1 ? "" : "s");
    report_put_text(b->target, out);
    strbuf_puts(out, ".</p>\n<div class=\"scroll\" tabindex=\"0\"><table "
                     "class=\"kernels\"><thead><tr><th scope=\"col\">kernel</th><th scope=\"col\">steps</th><th "
                     "scope=\"col\">ms</th><th scope=\"col\" class=\"text\">share</th>"
                     "<th scope=\"col\">GFLOP/s</th><th scope=\"col\">GB/s</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < b->n_kernels; i++) put_kernel(&b->kernels[i], out);
    strbuf_puts(out, "</tbody></table></div>\n");
}
