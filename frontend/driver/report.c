/* Reads runs, looks at their models, and writes the page; see report.h. */
#include "frontend/driver/report.h"

#include <string.h>

#include "frontend/driver/report_parts.h"
#include "frontend/report/page_style.h"

/* ---- names ---- */

static bool is_taken(const report *r, size_t before, const char *name) {
    for (size_t i = 0; i < before; i++)
        if (strcmp(r->runs.data[i].name, name) == 0) return true;
    return false;
}

/* Paths that were given twice, and names that look like another's path, get a number. */
static pofac_status number_the_same(report *r) {
    for (size_t i = 1; i < r->runs.size; i++) {
        const char *name = r->runs.data[i].name;
        for (int n = 2; r->runs.data[i].name && is_taken(r, i, r->runs.data[i].name); n++)
            r->runs.data[i].name = arena_printf(&r->memory, "%s (%d)", name, n);
        if (!r->runs.data[i].name) return diag_out_of_memory(r->sink);
    }
    return POFAC_OK;
}

/* Runs whose names are the same are called by their paths. */
static pofac_status tell_apart(report *r) {
    for (size_t i = 0; i < r->runs.size; i++)
        for (size_t k = i + 1; k < r->runs.size; k++) {
            report_run *a = &r->runs.data[i], *b = &r->runs.data[k];
            if (strcmp(a->name, b->name) != 0) continue;
            a->name = a->path;
            b->name = b->path;
        }
    return number_the_same(r);
}

/* ---- the page ---- */

static void put_title(const report *r, strbuf *out) {
    for (size_t i = 0; i < r->runs.size && i < 4; i++) {
        if (i) strbuf_puts(out, i + 1 == r->runs.size ? " and " : ", ");
        report_put_text(r->runs.data[i].name, out);
    }
    if (r->runs.size > 4) strbuf_printf(out, " and %zu more", r->runs.size - 4);
    if (r->runs.size == 0 && r->results.size > 0) report_put_text(r->results.data[0].path, out);
}

static void put_head(const report *r, strbuf *out) {
    strbuf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                     "content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>");
    put_title(r, out);
    strbuf_puts(out, " - pofac</title>\n<style>\n");
    strbuf_puts(out, page_style);
    strbuf_puts(out, "</style>\n</head>\n<body>\n<header><p class=\"quiet\">pofac report</p>\n<h1>");
    put_title(r, out);
    strbuf_puts(out, "</h1></header>\n");
}

static void put_link(const char *id, const char *text, bool is_there, strbuf *out) {
    if (is_there) strbuf_printf(out, "<a href=\"#%s\">%s</a>", id, text);
}

/* Links to the parts that the page has. */
static void put_contents(const report *r, strbuf *out) {
    bool scores = false, options = false, curves = false, missing = r->is_full;
    for (size_t i = 0; i < r->runs.size; i++) {
        const report_run *run = &r->runs.data[i];
        scores = scores || run->results.size;
        options = options || run->settings.size;
        curves = curves || run->has_metrics;
        missing = missing || run->missing.size;
    }
    strbuf_puts(out, "<nav aria-label=\"contents\">");
    put_link("results-0", "Results", r->results.size > 0, out);
    put_link("runs", "Runs", r->runs.size > 0, out);
    put_link("scores", "Scores", scores, out);
    put_link("options", "Options", options, out);
    put_link("curves", "Curves", curves, out);
    for (size_t i = 0; i < r->runs.size; i++) {
        if (r->runs.data[i].model.size == 0) continue;
        strbuf_printf(out, "<a href=\"#model-%zu\">Model ", i);
        report_put_text(r->runs.data[i].name, out);
        strbuf_puts(out, "</a>");
    }
    put_link("missing", "What is not here", missing, out);
    put_link("values", "Values", curves, out);
    strbuf_puts(out, "</nav>\n");
}

static void put_models(const report *r, strbuf *out) {
    for (size_t i = 0; i < r->runs.size; i++) {
        const report_run *run = &r->runs.data[i];
        if (run->model.size == 0) continue;
        strbuf_printf(out, "<section><h2 id=\"model-%zu\">Model ", i);
        report_put_text(run->name, out);
        strbuf_puts(out, "</h2>\n");
        strbuf_append(out, run->model.data, run->model.size);
        strbuf_puts(out, "</section>\n");
    }
}

static void put_missing(const report *r, strbuf *out) {
    bool any = r->is_full;
    if (any)
        strbuf_printf(out,
                      "<h2 id=\"missing\">What is not here</h2>\n<p class=\"note\">More runs than these %zu: a page shows no "
                      "more of a pipeline. `pofac report` on folders below it shows others.</p>\n",
                      r->runs.size);
    for (size_t i = 0; i < r->runs.size; i++) {
        const report_run *run = &r->runs.data[i];
        for (size_t k = 0; k < run->missing.size; k++) {
            if (!any) strbuf_puts(out, "<h2 id=\"missing\">What is not here</h2>\n");
            any = true;
            strbuf_puts(out, "<p class=\"note\"><b>");
            report_put_text(run->name, out);
            strbuf_puts(out, "</b>: ");
            report_put_text(run->missing.data[k], out);
            strbuf_puts(out, "</p>\n");
        }
    }
}

static pofac_status put_page(const report *r, strbuf *out) {
    put_head(r, out);
    put_contents(r, out);
    strbuf_puts(out, "<main>\n");
    for (size_t i = 0; i < r->results.size; i++) {
        strbuf_printf(out, "<h2 id=\"results-%zu\">Results of ", i);
        report_put_text(r->results.data[i].path, out);
        strbuf_puts(out, "</h2>\n");
        strbuf_append(out, r->results.data[i].table.data, r->results.data[i].table.size);
    }
    if (r->runs.size > 0) report_put_overview(r, out);
    strbuf_puts(out, "<div class=\"two\">\n<section>");
    report_put_results(r, out);
    strbuf_puts(out, "</section>\n<section>");
    report_put_settings(r, out);
    strbuf_puts(out, "</section>\n</div>\n");
    TRY(report_put_curves(r, out));
    put_models(r, out);
    put_missing(r, out);
    TRY(report_put_values(r, out));
    strbuf_puts(out, "</main>\n<div id=\"tip\" role=\"status\"></div>\n<script>\n");
    strbuf_puts(out, page_script);
    strbuf_puts(out, "</script>\n</body>\n</html>\n");
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(r->sink);
}

/* ---- all of it ---- */

static pofac_status check_layer(const report *r) {
    bool any = false, has_model = false;
    for (size_t i = 0; i < r->runs.size; i++) {
        any = any || r->runs.data[i].has_layer;
        has_model = has_model || r->runs.data[i].has_size;
    }
    if (!r->options->layer || any || !has_model) return POFAC_OK;
    return diag_error(r->sink, POFAC_ERR_USAGE, NULL,
                      "layer: found \"%s\", wanted part of the name of a linear layer's weight (`pofac inspect` lists them)",
                      r->options->layer);
}

static pofac_status make(report *r, strbuf *out) {
    for (size_t i = 0; i < r->options->n_paths; i++) TRY(report_read(r, r->options->paths[i]));
    TRY(tell_apart(r));
    for (size_t i = 0; i < r->runs.size; i++) {
        if (interruption_check(r->options->stop)) return POFAC_ERR_INTERRUPTED;
        TRY(report_model(r, &r->runs.data[i]));
        if (!strbuf_ok(&r->runs.data[i].model)) return diag_out_of_memory(r->sink);
    }
    TRY(check_layer(r));
    return put_page(r, out);
}

pofac_status report_make(const report_options *o, const diag_sink *sink, strbuf *out) {
    report r = {.options = o, .sink = sink, .memory = ARENA_INIT};
    const pofac_status status = make(&r, out);
    for (size_t i = 0; i < r.runs.size; i++) report_free_run(&r.runs.data[i]);
    for (size_t i = 0; i < r.results.size; i++) strbuf_free(&r.results.data[i].table);
    VEC_FREE(&r.runs);
    VEC_FREE(&r.results);
    arena_free(&r.memory);
    return status;
}
