/* A directory of `pofac run` -> the table of its results.json, and the runs of its stages; see report_parts.h. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/pipeline_manifest.h"
#include "frontend/driver/pipeline_results.h"
#include "frontend/driver/report_parts.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"
#include "ir/support/text_ends.h"

#define DEEPEST 4     /* folders below the pipeline's that runs are looked for in */
#define MOST_RUNS 256 /* of a pipeline */

/* ---- the table ---- */

/* The mean, and behind it the values of a sweep. */
static void put_cell(const json_t *cell, const char *format, strbuf *out) {
    const json_t *value = json_object_get(cell, "value"), *values = json_object_get(cell, "values");
    if (!json_is_number(value)) {
        strbuf_puts(out, "<td></td>");
        return;
    }
    strbuf_puts(out, "<td data-value=\"");
    if (json_is_integer(value)) strbuf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else json_put_real(json_real_value(value), out);
    strbuf_puts(out, "\">");
    pipeline_results_put_value(format, json_number_value(value), out);
    if (json_array_size(values) > 1) {
        strbuf_puts(out, " <span class=\"quiet\">(");
        for (size_t i = 0; i < json_array_size(values); i++) {
            if (i) strbuf_puts(out, ", ");
            pipeline_results_put_value(format, json_number_value(json_array_get(values, i)), out);
        }
        strbuf_puts(out, ")</span>");
    }
    strbuf_puts(out, "</td>");
}

static void put_row(const json_t *columns, const json_t *row, strbuf *out) {
    const char *name = json_string_value(json_object_get(row, "name"));
    const json_t *cells = json_object_get(row, "cells");
    strbuf_puts(out, "<tr><th scope=\"row\">");
    report_put_text(name ? name : "", out);
    strbuf_puts(out, "</th>");
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const json_t *column = json_array_get(columns, i);
        const char *of = json_string_value(json_object_get(column, "name")),
                   *format = json_string_value(json_object_get(column, "format"));
        put_cell(of ? json_object_get(cells, of) : NULL, format ? format : "", out);
    }
    strbuf_puts(out, "</tr>\n");
}

static void put_table(const json_t *columns, const json_t *rows, strbuf *out) {
    strbuf_puts(out, "<div class=\"scroll\" tabindex=\"0\"><table class=\"pipeline\"><thead><tr><td></td>");
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(columns, i), "name"));
        strbuf_puts(out, "<th scope=\"col\">");
        report_put_text(name ? name : "", out);
        strbuf_puts(out, "</th>");
    }
    strbuf_puts(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < json_array_size(rows); i++) put_row(columns, json_array_get(rows, i), out);
    strbuf_puts(out, "</tbody></table></div>\n");
}

static pofac_status keep_table(report *r, const char *path, const json_t *columns, const json_t *rows) {
    report_results results = {arena_strdup(&r->memory, path), STRBUF_INIT};
    put_table(columns, rows, &results.table);
    if (results.path && strbuf_ok(&results.table) && VEC_PUSH(&r->results, results)) return POFAC_OK;
    strbuf_free(&results.table);
    return diag_out_of_memory(r->sink);
}

static pofac_status read_table(report *r, const char *path, const char *file, bool *found) {
    file_map map;
    json_t *root = NULL;
    TRY(file_map_open(file, r->sink, &map));
    pofac_status status = json_parse(file, NULL, map.data, map.size_bytes, r->sink, &root);
    const json_t *columns = json_object_get(root, "columns"), *rows = json_object_get(root, "rows");
    *found = status == POFAC_OK && json_is_array(columns) && json_is_array(rows);
    if (status == POFAC_OK && *found) status = keep_table(r, path, columns, rows);
    json_decref(root);
    file_map_close(&map);
    return status;
}

/* ---- the runs below ---- */

static int is_shown(const struct dirent *e) { return e->d_name[0] != '.'; }

static pofac_status read_below(report *r, const char *path, const char *name, int depth);

/* One name of a directory: a run, or folders with runs in them. */
static pofac_status read_entry(report *r, const char *path, const char *name, int depth) {
    bool found = false;
    const bool is_folder = file_is_directory(path);
    if (!is_folder && !text_ends_with(path, ".pofac")) return POFAC_OK;
    if (r->is_full) return POFAC_OK;
    TRY(report_read_run(r, path, name, &found));
    if (found && r->runs.size > MOST_RUNS) {
        r->is_full = true;
        report_free_run(&r->runs.data[--r->runs.size]);
        diag_warning(r->sink, &(diag_place){.file = path}, "found more than %d runs, wanted fewer; this and the rest are left out",
                     MOST_RUNS);
        return POFAC_OK;
    }
    return found || !is_folder || depth >= DEEPEST ? POFAC_OK : read_below(r, path, name, depth + 1);
}

static pofac_status read_below(report *r, const char *path, const char *name, int depth) {
    struct dirent **entries = NULL;
    const int n = scandir(path, &entries, is_shown, versionsort);
    pofac_status status = POFAC_OK;
    if (n < 0) return diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "cannot be read: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *entry = arena_printf(&r->memory, "%s/%s", path, entries[i]->d_name);
        const char *title = arena_printf(&r->memory, "%s%s%s", name, *name ? "/" : "", entries[i]->d_name);
        if (status == POFAC_OK) status = entry && title ? read_entry(r, entry, title, depth) : diag_out_of_memory(r->sink);
        free(entries[i]);
    }
    free(entries);
    return status;
}

pofac_status report_read_folder(report *r, const char *path, const char *name, bool *found) {
    const size_t before = r->runs.size;
    TRY(read_below(r, path, name, DEEPEST));
    *found = r->runs.size > before || r->is_full;
    return POFAC_OK;
}

/* ---- the order of stages ---- */

/* Is `name` one of the parts of the path? */
static bool has_part(const char *path, const char *name) {
    const size_t n = strlen(name);
    for (const char *at = path; *at; at += strcspn(at, "/"), at += *at == '/')
        if (strcspn(at, "/") == n && memcmp(at, name, n) == 0) return true;
    return false;
}

/* The place of the stage that a run is of, by its path below the pipeline's; behind all where it is of none. */
static size_t rank_of(const json_t *stages, const report_run *run) {
    for (size_t i = 0; i < json_array_size(stages); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(stages, i), "name"));
        if (name && has_part(run->name, name)) return i;
    }
    return json_array_size(stages);
}

/* Runs from `first` on in the order of the pipeline's stages; those of one stage stay as they are. */
static void order_runs(report *r, size_t first, const json_t *stages) {
    for (size_t i = first + 1; i < r->runs.size; i++)
        for (size_t k = i; k > first && rank_of(stages, &r->runs.data[k]) < rank_of(stages, &r->runs.data[k - 1]); k--) {
            const report_run other = r->runs.data[k];
            r->runs.data[k] = r->runs.data[k - 1];
            r->runs.data[k - 1] = other;
        }
}

/* manifest.json of a pipeline's directory, an object with "stages"; NULL: there is none. */
static pofac_status read_manifest(report *r, const char *path, json_t **out) {
    const char *name = arena_printf(&r->memory, "%s/" PIPELINE_MANIFEST_FILE, path);
    file_map map;
    *out = NULL;
    if (!name) return diag_out_of_memory(r->sink);
    if (!file_exists(name) || file_is_directory(name)) return POFAC_OK;
    TRY(file_map_open(name, r->sink, &map));
    const pofac_status status = json_parse(name, NULL, map.data, map.size_bytes, NULL, out);
    file_map_close(&map);
    if (status == POFAC_ERR_RUNTIME) return diag_out_of_memory(r->sink);
    if (*out && !json_is_array(json_object_get(*out, "stages"))) {
        json_decref(*out);
        *out = NULL;
    }
    return POFAC_OK;
}

pofac_status report_read_pipeline(report *r, const char *path, bool *found) {
    const char *file = arena_printf(&r->memory, "%s/results.json", path);
    const size_t first = r->runs.size;
    json_t *manifest = NULL;
    pofac_status status = POFAC_OK;
    *found = false;
    if (!file) return diag_out_of_memory(r->sink);
    TRY(read_manifest(r, path, &manifest));
    if (file_exists(file)) status = read_table(r, path, file, found);
    *found = *found || manifest;
    if (status == POFAC_OK && *found) status = read_below(r, path, "", 0);
    if (status == POFAC_OK && manifest) order_runs(r, first, json_object_get(manifest, "stages"));
    json_decref(manifest);
    return status;
}
