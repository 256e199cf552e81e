/* Manifests of stages; see stage_manifest.h. */
#include "frontend/driver/stage_manifest.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

static const char *const state_names[] = {[STAGE_RUNNING] = "running", [STAGE_DONE] = "done", [STAGE_FAILED] = "failed"};

/* ---- writing ---- */

static void put_text(strbuf *out, const char *text, size_t n) { strbuf_put_json(out, text, n); }

static void put_key(strbuf *out, const char *key) {
    strbuf_puts(out, ",\n  ");
    put_text(out, key, strlen(key));
    strbuf_puts(out, ": ");
}

/* Lines as an array. */
static void put_lines(strbuf *out, const char *lines) {
    strbuf_putc(out, '[');
    for (const char *at = lines; *at;) {
        const size_t n = strcspn(at, "\n");
        strbuf_puts(out, at == lines ? "\n    " : ",\n    ");
        put_text(out, at, n);
        at += n + (at[n] == '\n');
    }
    strbuf_putc(out, ']');
}

/* Lines NAME VALUE as an object. */
static void put_pairs(strbuf *out, const char *lines) {
    strbuf_putc(out, '{');
    for (const char *at = lines; *at;) {
        const size_t n = strcspn(at, "\n"), name = strcspn(at, " ");
        if (at != lines) strbuf_puts(out, ", ");
        put_text(out, at, name);
        strbuf_puts(out, ": ");
        put_text(out, at + name + 1, n - name - 1);
        at += n + (at[n] == '\n');
    }
    strbuf_putc(out, '}');
}

static int is_output(const struct dirent *e) {
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, STAGE_MANIFEST_FILE) != 0 &&
           strncmp(e->d_name, "checkpoint-", 11) != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* Files of `dir`, and of the directories in it. */
static pofac_status put_files(const char *dir, const char *prefix, const diag_sink *sink, bool *first, strbuf *out) {
    struct dirent **entries;
    const int n = scandir(dir, &entries, is_output, by_bytes);
    const diag_place place = {.file = dir};
    if (n < 0) return diag_error(sink, POFAC_ERR_RUNTIME, &place, "cannot be read: %s", strerror(errno));
    pofac_status status = POFAC_OK;
    for (int i = 0; i < n; i++) {
        struct stat s;
        strbuf path = STRBUF_INIT, name = STRBUF_INIT;
        strbuf_printf(&path, "%s/%s", dir, entries[i]->d_name);
        strbuf_printf(&name, "%s%s", prefix, entries[i]->d_name);
        const bool there = status == POFAC_OK && strbuf_ok(&path) && strbuf_ok(&name) && lstat(strbuf_str(&path), &s) == 0;
        if (!strbuf_ok(&path) || !strbuf_ok(&name)) status = diag_out_of_memory(sink);
        if (there && S_ISDIR(s.st_mode)) {
            strbuf_putc(&name, '/');
            status = put_files(strbuf_str(&path), strbuf_str(&name), sink, first, out);
        } else if (there && S_ISREG(s.st_mode)) {
            strbuf_puts(out, *first ? "\n    {\"name\": " : ",\n    {\"name\": ");
            put_text(out, strbuf_str(&name), name.size);
            strbuf_printf(out, ", \"bytes\": %" PRIu64 "}", (uint64_t)s.st_size);
            *first = false;
        }
        strbuf_free(&path);
        strbuf_free(&name);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static void put_command(strbuf *out, const char *const *words) {
    strbuf_putc(out, '[');
    for (size_t i = 0; words[i]; i++) {
        if (i) strbuf_puts(out, ", ");
        put_text(out, words[i], strlen(words[i]));
    }
    strbuf_putc(out, ']');
}

static pofac_status put_manifest(const char *dir, const stage_manifest *m, const diag_sink *sink, strbuf *out) {
    bool first = true;
    strbuf_puts(out, "{\n  \"stage\": ");
    put_text(out, m->stage, strlen(m->stage));
    put_key(out, "state");
    strbuf_printf(out, "\"%s\"", state_names[m->state]);
    put_key(out, "key");
    put_text(out, m->key, strlen(m->key));
    put_key(out, "determined_by");
    put_lines(out, m->determined_by);
    put_key(out, "command");
    put_command(out, m->command);
    put_key(out, "reads");
    put_pairs(out, m->reads);
    if (m->state != STAGE_RUNNING) {
        put_key(out, "exit_status");
        strbuf_printf(out, "%d", m->exit_status);
        put_key(out, "seconds");
        json_put_real(m->seconds, out);
    }
    if (m->state == STAGE_DONE) {
        put_key(out, "outputs");
        strbuf_putc(out, '[');
        TRY(put_files(dir, "", sink, &first, out));
        strbuf_putc(out, ']');
    }
    strbuf_puts(out, "\n}\n");
    return POFAC_OK;
}

pofac_status stage_manifest_write(const char *dir, const stage_manifest *m, const diag_sink *sink) {
    strbuf text = STRBUF_INIT, path = STRBUF_INIT;
    strbuf_printf(&path, "%s/" STAGE_MANIFEST_FILE, dir);
    pofac_status status = put_manifest(dir, m, sink, &text);
    if (status == POFAC_OK && !(strbuf_ok(&text) && strbuf_ok(&path))) status = diag_out_of_memory(sink);
    if (status == POFAC_OK) status = file_write_all(strbuf_str(&path), strbuf_str(&text), text.size, sink);
    strbuf_free(&text);
    strbuf_free(&path);
    return status;
}

/* ---- reading ---- */

/* Is each output there, with its size? */
static bool has_outputs(const char *dir, const json_t *outputs) {
    size_t i;
    const json_t *one;
    bool all = json_is_array(outputs);
    json_array_foreach(outputs, i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));
        struct stat s;
        strbuf path = STRBUF_INIT;
        strbuf_printf(&path, "%s/%s", dir, name ? name : "");
        all = all && name && strbuf_ok(&path) && stat(strbuf_str(&path), &s) == 0 &&
              (json_int_t)s.st_size == json_integer_value(json_object_get(one, "bytes"));
        strbuf_free(&path);
    }
    return all;
}

static pofac_status take_lines(const json_t *lines, arena *a, const diag_sink *sink, stage_manifest *out) {
    strbuf text = STRBUF_INIT;
    size_t i;
    const json_t *line;
    json_array_foreach(lines, i, line) {
        if (json_is_string(line)) strbuf_printf(&text, "%s\n", json_string_value(line));
    }
    out->determined_by = strbuf_ok(&text) ? arena_strdup(a, strbuf_str(&text)) : NULL;
    strbuf_free(&text);
    return out->determined_by ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status take(const char *dir, const json_t *root, arena *a, const diag_sink *sink, stage_manifest *out) {
    const char *state = json_string_value(json_object_get(root, "state")), *key = json_string_value(json_object_get(root, "key"));
    if (!state || !key) return POFAC_OK;
    out->key = arena_strdup(a, key);
    if (!out->key) return diag_out_of_memory(sink);
    for (stage_state s = STAGE_RUNNING; s <= STAGE_FAILED; s++)
        if (strcmp(state, state_names[s]) == 0) out->state = s;
    if (out->state == STAGE_DONE && !has_outputs(dir, json_object_get(root, "outputs"))) out->state = STAGE_FAILED;
    out->exit_status = (int)json_integer_value(json_object_get(root, "exit_status"));
    out->seconds = json_number_value(json_object_get(root, "seconds"));
    return take_lines(json_object_get(root, "determined_by"), a, sink, out);
}

pofac_status stage_manifest_read(const char *dir, arena *a, const diag_sink *sink, stage_manifest *out) {
    file_map map;
    json_t *root;
    *out = (stage_manifest){.state = STAGE_FOREIGN, .key = "", .determined_by = "", .reads = ""};
    static const char *const leftovers[] = {STAGE_MANIFEST_FILE ".tmp.",
                                            NULL}; /* of a process that was killed while it wrote the first */
    if (!file_exists(dir) || directory_has_only(dir, leftovers)) out->state = STAGE_ABSENT;
    const char *path = arena_printf(a, "%s/" STAGE_MANIFEST_FILE, dir);
    if (!path) return diag_out_of_memory(sink);
    if (!file_exists(path) || file_map_open(path, NULL, &map) != POFAC_OK) return POFAC_OK;
    pofac_status status = POFAC_OK;
    if (json_parse(path, NULL, map.data, map.size_bytes, NULL, &root) == POFAC_OK) {
        status = take(dir, root, a, sink, out);
        json_decref(root);
    }
    file_map_close(&map);
    return status;
}
