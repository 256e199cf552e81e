/* Going on from a checkpoint: its position, settings, kernels and state; see run_checkpoint.h. */
#include <string.h>

#include "frontend/driver/run_checkpoint.h"
#include "frontend/driver/run_checkpoint_files.h"
#include "frontend/driver/run_manifest.h"
#include "frontend/driver/run_state_file.h"
#include "ir/support/file_map.h"

/* ---- files ---- */

static pofac_status append_file(const char *dir, const char *name, const diag_sink *sink, strbuf *out) {
    strbuf path = STRBUF_INIT;
    file_map file;
    strbuf_printf(&path, "%s/%s", dir, name);
    pofac_status status = strbuf_ok(&path) ? file_map_open(strbuf_str(&path), sink, &file) : diag_out_of_memory(sink);
    strbuf_free(&path);
    TRY(status);
    strbuf_append(out, file.data ? (const char *)file.data : "", file.size_bytes);
    file_map_close(&file);
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status read_position(const char *dir, const diag_sink *sink, run_position *out) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/" RUN_POSITION_FILE, dir);
    pofac_status status = strbuf_ok(&path) ? run_position_read(strbuf_str(&path), sink, out) : diag_out_of_memory(sink);
    strbuf_free(&path);
    return status;
}

static const char *const small_files[] = {RUN_POSITION_FILE, RUN_SETTINGS_FILE, RUN_KERNELS_FILE, NULL};

pofac_status run_checkpoint_peek(const char *path, run_position *position, strbuf *settings, strbuf *kernel_choices,
                                 const diag_sink *sink) {
    TRY(run_manifest_check(path, small_files, sink));
    if (position) TRY(read_position(path, sink, position));
    if (settings) TRY(append_file(path, RUN_SETTINGS_FILE, sink, settings));
    return kernel_choices ? append_file(path, RUN_KERNELS_FILE, sink, kernel_choices) : POFAC_OK;
}

/* ---- settings ---- */

/* A line KEY=VALUE; its end is before the line's. */
typedef struct setting {
    const char *key, *value;
    int n_key, n_value;
} setting;

/* The setting at *text, which moves behind it; false at the end. */
static bool next_setting(const char **text, setting *out) {
    const char *line = *text;
    if (!*line) return false;
    const size_t n = strcspn(line, "\n"), key = strcspn(line, "=\n");
    *out = (setting){.key = line, .n_key = (int)key, .value = line + key + (key < n), .n_value = (int)(n - key - (key < n))};
    *text = line + n + (line[n] == '\n');
    return true;
}

static bool find_setting(const char *text, const setting *like, setting *out) {
    while (next_setting(&text, out))
        if (out->n_key == like->n_key && strncmp(out->key, like->key, (size_t)like->n_key) == 0) return true;
    return false;
}

static pofac_status differs(const char *path, const setting *key, const setting *found, const setting *wanted,
                            const diag_sink *sink) {
    static const setting none = {.value = "nothing", .n_value = 7};
    if (!found) found = &none;
    if (!wanted) wanted = &none;
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path},
                      "%.*s: found %.*s, wanted %.*s: a run goes on with the settings that it began with", key->n_key, key->key,
                      found->n_value, found->value, wanted->n_value, wanted->value);
}

static pofac_status compare_settings(const char *path, const char *found, const char *wanted, const diag_sink *sink) {
    pofac_status status = POFAC_OK;
    setting a, b;
    for (const char *at = wanted; next_setting(&at, &a);) {
        if (!find_setting(found, &a, &b)) status = differs(path, &a, NULL, &a, sink);
        else if (a.n_value != b.n_value || strncmp(a.value, b.value, (size_t)a.n_value) != 0)
            status = differs(path, &a, &b, &a, sink);
    }
    for (const char *at = found; next_setting(&at, &a);)
        if (!find_setting(wanted, &a, &b)) status = differs(path, &a, &a, NULL, sink);
    return status;
}

/* ---- loading ---- */

pofac_status run_checkpoint_load(const char *path, const char *settings, run_position *position, state_store *state,
                                 const diag_sink *sink) {
    strbuf found = STRBUF_INIT;
    TRY(run_manifest_check(path, NULL, sink));
    pofac_status status = append_file(path, RUN_SETTINGS_FILE, sink, &found);
    if (status == POFAC_OK) status = compare_settings(path, strbuf_str(&found), settings ? settings : "", sink);
    if (status == POFAC_OK) status = read_position(path, sink, position);
    if (status == POFAC_OK) status = run_state_read(path, state, true, position->accumulated_runs > 0, sink);
    strbuf_free(&found);
    return status;
}

pofac_status run_checkpoint_load_parameters(const char *path, state_store *state, const diag_sink *sink) {
    TRY(run_manifest_check(path, NULL, sink));
    return run_state_read(path, state, false, false, sink);
}
