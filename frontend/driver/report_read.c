/* Directories and files -> runs of a report; see report_parts.h. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/pipeline_manifest.h"
#include "frontend/driver/report_parts.h"
#include "frontend/driver/run_checkpoint.h"
#include "frontend/driver/run_directory.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"
#include "ir/support/text_ends.h"

pofac_status report_miss(report *r, report_run *run, const char *format, ...) {
    strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    const char *kept = strbuf_ok(&text) ? arena_strdup(&r->memory, strbuf_str(&text)) : NULL;
    strbuf_free(&text);
    return kept && VEC_PUSH(&run->missing, kept) ? POFAC_OK : diag_out_of_memory(r->sink);
}

static const char *join_path(report *r, const char *directory, const char *name) {
    return arena_printf(&r->memory, "%s/%s", directory, name);
}

/* ---- results ---- */

static pofac_status add_result(report *r, report_run *run, const char *name, const json_t *value) {
    strbuf text = STRBUF_INIT;
    report_entry e = {arena_strdup(&r->memory, name), NULL};
    for (size_t i = 0; i < run->results.size; i++)
        if (strcmp(run->results.data[i].name, name) == 0) return POFAC_OK;
    if (json_is_integer(value)) strbuf_printf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else json_put_real(json_real_value(value), &text);
    e.text = strbuf_ok(&text) ? arena_strdup(&r->memory, strbuf_str(&text)) : NULL;
    strbuf_free(&text);
    return e.name && e.text && VEC_PUSH(&run->results, e) ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status read_results(report *r, report_run *run, const char *path) {
    file_map file;
    json_t *root = NULL, *value;
    const char *name;
    TRY(file_map_open(path, r->sink, &file));
    pofac_status status = json_parse(path, NULL, file.data, file.size_bytes, NULL, &root);
    file_map_close(&file);
    if (status == POFAC_ERR_RUNTIME) return diag_out_of_memory(r->sink);
    if (!json_is_object(root)) {
        json_decref(root);
        return report_miss(r, run, "%s is no JSON object and was left out.", path);
    }
    status = POFAC_OK;
    json_object_foreach(root, name, value) if (status == POFAC_OK && json_is_number(value)) status =
        add_result(r, run, name, value);
    json_decref(root);
    return status;
}

static int is_results_file(const struct dirent *e) {
    return text_ends_with(e->d_name, "_results.json") && strcmp(e->d_name, "all_results.json") != 0;
}

static pofac_status read_all_results(report *r, report_run *run, const char *directory) {
    struct dirent **names = NULL;
    const int n = scandir(directory, &names, is_results_file, alphasort);
    pofac_status status =
        n < 0 ? diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = directory}, "cannot be read: %s", strerror(errno))
              : POFAC_OK;
    for (int i = 0; i < n; i++) {
        const char *path = status == POFAC_OK ? join_path(r, directory, names[i]->d_name) : NULL;
        if (status == POFAC_OK) status = path ? read_results(r, run, path) : diag_out_of_memory(r->sink);
        free(names[i]);
    }
    free(names);
    return status;
}

/* ---- metrics ---- */

/* The bytes that a file has now. It is not mapped: a run that is resumed meanwhile cuts it back. */
static pofac_status read_growing(report *r, const char *path, strbuf *out) {
    const diag_place place = {.file = path};
    char part[1 << 14];
    struct stat s;
    if (stat(path, &s) == 0 && !S_ISREG(s.st_mode)) /* a pipe without a writer must not block */
        return diag_error(r->sink, POFAC_ERR_INPUT, &place, "found a device or pipe, wanted a regular file");
    FILE *f = fopen(path, "rbe");
    if (!f && errno == ENOMEM) return diag_out_of_memory(r->sink);
    if (!f) return diag_error(r->sink, POFAC_ERR_INPUT, &place, "cannot be opened: %s", strerror(errno));
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0 && strbuf_ok(out);) strbuf_append(out, part, n);
    const int error = ferror(f) ? errno : 0;
    fclose(f);
    if (error) return diag_error(r->sink, POFAC_ERR_INPUT, &place, "cannot be read: %s", strerror(error));
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status read_metrics(report *r, report_run *run, const char *path) {
    strbuf text = STRBUF_INIT;
    pofac_status status = read_growing(r, path, &text);
    if (status == POFAC_OK) status = metrics_table_read(path, text.data, text.size, r->sink, &run->metrics);
    strbuf_free(&text);
    run->has_metrics = status == POFAC_OK && run->metrics.n_lines > 0;
    for (size_t i = 0; i < run->metrics.damaged.size && status == POFAC_OK; i++) {
        if (i == 10) return report_miss(r, run, "%s has %zu damaged lines in all.", path, run->metrics.damaged.size);
        status = report_miss(r, run, "%s: line %zu is damaged and was left out.", path, run->metrics.damaged.data[i]);
    }
    return status;
}

/* ---- settings ---- */

static pofac_status add_setting(report *r, report_run *run, const char *line, size_t n) {
    const char *equals = memchr(line, '=', n);
    if (!equals) return POFAC_OK;
    report_entry e = {arena_strndup(&r->memory, line, (size_t)(equals - line)),
                      arena_strndup(&r->memory, equals + 1, (size_t)(line + n - equals - 1))};
    return e.name && e.text && VEC_PUSH(&run->settings, e) ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status read_settings(report *r, report_run *run, const char *saved) {
    strbuf text = STRBUF_INIT;
    pofac_status status = run_checkpoint_peek(saved, NULL, &text, NULL, r->sink);
    for (const char *at = strbuf_str(&text); *at && status == POFAC_OK;) {
        const size_t n = strcspn(at, "\n");
        status = add_setting(r, run, at, n);
        at += n + (at[n] == '\n');
    }
    strbuf_free(&text);
    return status;
}

/* A stage of a pipeline has them in its manifest, as "NAME VALUE"; what is determined otherwise - by files, by a recipe's lines - is left out. */
static pofac_status add_stage_setting(report *r, report_run *run, const char *text) {
    static const char *const others[] = {"pofac ", "instruction set ", "command ", "argument ", "data "};
    const size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(text, others[i], strlen(others[i])) == 0) return POFAC_OK;
    if (n == 0 || text[n] != ' ') return POFAC_OK;
    const report_entry e = {arena_strndup(&r->memory, text, n), arena_strdup(&r->memory, text + n + 1)};
    return e.name && e.text && VEC_PUSH(&run->settings, e) ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status read_stage_settings(report *r, report_run *run, const char *path) {
    file_map file;
    json_t *root = NULL;
    TRY(file_map_open(path, r->sink, &file));
    pofac_status status = json_parse(path, NULL, file.data, file.size_bytes, NULL, &root);
    file_map_close(&file);
    if (status == POFAC_ERR_RUNTIME) return diag_out_of_memory(r->sink);
    status = POFAC_OK;
    const json_t *lines = json_object_get(root, "determined_by");
    for (size_t i = 0; i < json_array_size(lines) && status == POFAC_OK; i++) {
        const char *text = json_string_value(json_array_get(lines, i));
        if (text) status = add_stage_setting(r, run, text);
    }
    json_decref(root);
    return status;
}

/* Settings of the newest checkpoint, which is the model, too, where the run has not come to its end. */
static pofac_status read_checkpoint(report *r, report_run *run, const char *directory) {
    strbuf path = STRBUF_INIT;
    bool found = false;
    pofac_status status = run_checkpoint_find(directory, &path, &found, r->sink);
    const char *saved = status == POFAC_OK && found ? arena_strdup(&r->memory, strbuf_str(&path)) : NULL;
    strbuf_free(&path);
    if (status == POFAC_OK && found && !saved) status = diag_out_of_memory(r->sink);
    if (status != POFAC_OK || !found) return status;
    if (!run->model_path) {
        run->model_path = saved;
        TRY(report_miss(r, run, "The run has not ended; its model is that of %s.", saved));
    }
    return read_settings(r, run, saved);
}

/* ---- a run ---- */

static pofac_status read_bench_file(report *r, report_run *run, const char *path) {
    file_map file;
    TRY(file_map_open(path, r->sink, &file));
    const pofac_status status = report_bench_read(file.data, file.size_bytes, &r->memory, r->sink, &run->bench);
    file_map_close(&file);
    return status;
}

/* The path of the file NAME of a directory; NULL: it is not there. */
static pofac_status find_file(report *r, const char *directory, const char *name, const char **out) {
    const char *path = join_path(r, directory, name);
    *out = path && file_exists(path) && !file_is_directory(path) ? path : NULL;
    return path ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status find_model(report *r, report_run *run, const char *path) {
    static const char *const weights[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                          "pytorch_model.bin.index.json"};
    const char *config, *file = NULL;
    TRY(find_file(r, path, "config.json", &config));
    for (size_t i = 0; config && !file && i < sizeof weights / sizeof *weights; i++) TRY(find_file(r, path, weights[i], &file));
    if (file) run->model_path = path;
    return POFAC_OK;
}

static pofac_status read_directory(report *r, report_run *run, const char *path) {
    static const char *const benches[] = {"bench.json", "stdout.txt"};
    const char *file;
    TRY(find_model(r, run, path));
    TRY(find_file(r, path, RUN_METRICS_FILE, &file));
    if (file) TRY(read_metrics(r, run, file));
    TRY(read_all_results(r, run, path));
    TRY(read_checkpoint(r, run, path));
    TRY(find_file(r, path, PIPELINE_MANIFEST_FILE, &file));
    if (file && run->has_metrics && run->settings.size == 0) TRY(read_stage_settings(r, run, file));
    for (size_t i = 0; i < sizeof benches / sizeof *benches && !run->bench.is_there; i++) {
        TRY(find_file(r, path, benches[i], &file));
        if (file) TRY(read_bench_file(r, run, file));
    }
    return POFAC_OK;
}

/* What is not there, and what would give it. */
static pofac_status note_missing(report *r, report_run *run) {
    if (!run->has_metrics)
        TRY(report_miss(r, run, "No lines of metrics.jsonl, so no curves: `pofac train` writes them into its --output_dir."));
    if (run->has_metrics && run->settings.size == 0)
        TRY(report_miss(r, run, "No checkpoint, so its options are not known: `pofac train --save_steps N` writes checkpoints."));
    if (run->results.size == 0)
        TRY(report_miss(
            r, run,
            "No *_results.json, so no scores: `pofac train` with --eval, or `pofac eval --output_dir`, writes eval_results.json."));
    if (!run->model_path && !run->bench.is_there)
        TRY(report_miss(
            r, run,
            "No model, so neither sizes nor kernels nor a graph: the end of a run writes config.json and model.safetensors."));
    return POFAC_OK;
}

void report_free_run(report_run *run) {
    metrics_table_free(&run->metrics);
    VEC_FREE(&run->results);
    VEC_FREE(&run->settings);
    VEC_FREE(&run->missing);
    strbuf_free(&run->model);
}

pofac_status report_read_run(report *r, const char *path, const char *name, bool *found) {
    report_run run = {.path = arena_strdup(&r->memory, path),
                      .name = arena_strdup(&r->memory, name),
                      .metrics = METRICS_TABLE_INIT,
                      .model = STRBUF_INIT};
    pofac_status status = run.path && run.name ? POFAC_OK : diag_out_of_memory(r->sink);
    if (status == POFAC_OK && file_is_directory(path)) status = read_directory(r, &run, run.path);
    else if (status == POFAC_OK && text_ends_with(path, ".json")) status = read_bench_file(r, &run, path);
    else if (status == POFAC_OK && text_ends_with(path, ".jsonl")) status = read_metrics(r, &run, path);
    else if (status == POFAC_OK) run.model_path = run.path;
    *found = run.has_metrics || run.metrics.damaged.size || run.results.size || run.settings.size || run.model_path ||
             run.bench.is_there;
    if (status == POFAC_OK && *found && !VEC_PUSH(&r->runs, run)) status = diag_out_of_memory(r->sink);
    if (status != POFAC_OK || !*found) report_free_run(&run);
    return status;
}

/* The last part of a path: what it is called. */
static const char *last_part(report *r, const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/') from--;
    return from < n ? arena_strndup(&r->memory, path + from, n - from) : arena_strdup(&r->memory, path);
}

pofac_status report_read(report *r, const char *path) {
    const diag_place place = {.file = path};
    bool found = false;
    if (!file_exists(path)) return diag_error(r->sink, POFAC_ERR_INPUT, &place, "is not there");
    if (file_is_directory(path)) TRY(report_read_pipeline(r, path, &found));
    if (found) return POFAC_OK;
    const char *name = last_part(r, path);
    if (!name) return diag_out_of_memory(r->sink);
    TRY(report_read_run(r, path, name, &found));
    if (found) {
        report_run *run = &r->runs.data[r->runs.size - 1];
        run->is_only_model = run->model_path && !file_is_directory(path);
        return note_missing(r, run);
    }
    if (file_is_directory(path)) TRY(report_read_folder(r, path, name, &found));
    if (found) return POFAC_OK;
    return diag_error(r->sink, POFAC_ERR_INPUT, &place,
                      "found nothing of a run, wanted metrics.jsonl, *_results.json, checkpoints, a model, the results.json of "
                      "`pofac run`, or a file that "
                      "`pofac bench --json` has printed");
}
