/* The list of a checkpoint's files; see run_manifest.h. */
#include "frontend/driver/run_manifest.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/arena.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "ir/support/hash.h"
#include "ir/support/vector.h"

#define HASH_DIGITS 32
#define TITLE "pofac checkpoint "
#define PIECE_BYTES ((size_t)4 << 20) /* so much of a file is in memory at a time */

typedef VEC(const char *) name_list;

/* In hexadecimal. Lets go of each piece of the mapping behind it. */
static pofac_status hash_file(const file_map *file, const diag_sink *sink, char out[HASH_DIGITS + 1]) {
    VEC(hash128) hashes = {0};
    hash128 all = {0, 0};
    bool ok = true;
    for (size_t at = 0; ok && file->size_bytes > PIECE_BYTES && at < file->size_bytes; at += PIECE_BYTES) {
        const size_t left = file->size_bytes - at, n = left < PIECE_BYTES ? left : PIECE_BYTES;
        ok = VEC_PUSH(&hashes, hash_bytes128(file->data + at, n));
        file_map_release(file, file->data + at, n);
    }
    if (ok)
        all = hashes.size ? hash_bytes128(hashes.data, hashes.size * sizeof *hashes.data)
                          : hash_bytes128(file->data, file->size_bytes);
    VEC_FREE(&hashes);
    hash_to_hex(all, out);
    return ok ? POFAC_OK : diag_out_of_memory(sink);
}

/* ---- writing ---- */

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static pofac_status list_files(const char *dir, arena *memory, const diag_sink *sink, name_list *out) {
    DIR *d = opendir(dir);
    const diag_place place = {.file = dir};
    pofac_status status = POFAC_OK;
    if (!d) return diag_error(sink, POFAC_ERR_RUNTIME, &place, "cannot be read: %s", strerror(errno));
    for (struct dirent *e = readdir(d); e && status == POFAC_OK; e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, RUN_MANIFEST_FILE) == 0) continue;
        const char *name = arena_strdup(memory, e->d_name);
        if (!name || !VEC_PUSH(out, name)) status = diag_out_of_memory(sink);
    }
    closedir(d);
    if (out->size) qsort(out->data, out->size, sizeof *out->data, compare_names);
    return status;
}

static pofac_status map_file(const char *dir, const char *name, const diag_sink *sink, file_map *out) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/%s", dir, name);
    pofac_status status = strbuf_ok(&path) ? file_map_open(strbuf_str(&path), sink, out) : diag_out_of_memory(sink);
    strbuf_free(&path);
    return status;
}

static pofac_status put_file(const char *dir, const char *name, const diag_sink *sink, strbuf *out) {
    char hash[HASH_DIGITS + 1];
    file_map file;
    TRY(map_file(dir, name, sink, &file));
    const pofac_status status = hash_file(&file, sink, hash);
    strbuf_printf(out, "%zu %s %s\n", file.size_bytes, hash, name);
    file_map_close(&file);
    return status;
}

static pofac_status put_manifest(const char *dir, const name_list *names, const diag_sink *sink, strbuf *out) {
    char hash[HASH_DIGITS + 1];
    strbuf_printf(out, TITLE "%d\n", RUN_MANIFEST_FORMAT);
    for (size_t i = 0; i < names->size; i++) TRY(put_file(dir, names->data[i], sink, out));
    if (!strbuf_ok(out)) return diag_out_of_memory(sink);
    hash_to_hex(hash_bytes128(out->data, out->size), hash);
    strbuf_printf(out, "end %s\n", hash);
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status run_manifest_write(const char *dir, const diag_sink *sink) {
    arena memory = ARENA_INIT;
    name_list names = {0};
    strbuf text = STRBUF_INIT, path = STRBUF_INIT;
    strbuf_printf(&path, "%s/" RUN_MANIFEST_FILE, dir);
    pofac_status status = strbuf_ok(&path) ? list_files(dir, &memory, sink, &names) : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = put_manifest(dir, &names, sink, &text);
    if (status == POFAC_OK) status = file_write_all(strbuf_str(&path), text.data, text.size, sink);
    if (status == POFAC_OK) directory_sync(dir);
    VEC_FREE(&names);
    arena_free(&memory);
    strbuf_free(&text);
    strbuf_free(&path);
    return status;
}

/* ---- checking ---- */

typedef struct checking {
    const char *dir, *path; /* path: of the manifest */
    const char *const *only;
    bool seen[16]; /* of `only` */
    const diag_sink *sink;
} checking;

static pofac_status wrong(const checking *c, const char *what) {
    return diag_error(c->sink, POFAC_ERR_INPUT, &(diag_place){.file = c->path}, "%s", what);
}

/* Is this one to be looked at? */
static bool is_wanted(checking *c, const char *name) {
    if (!c->only) return true;
    for (size_t i = 0; c->only[i]; i++)
        if (strcmp(c->only[i], name) == 0) return c->seen[i] = true;
    return false;
}

static pofac_status check_file(const checking *c, const char *name, size_t bytes, const char *wanted) {
    char hash[HASH_DIGITS + 1];
    file_map file;
    strbuf path = STRBUF_INIT;
    TRY(map_file(c->dir, name, c->sink, &file));
    strbuf_printf(&path, "%s/%s", c->dir, name);
    const diag_place place = {.file = strbuf_str(&path)};
    pofac_status status = strbuf_ok(&path) ? POFAC_OK : diag_out_of_memory(c->sink);
    if (status == POFAC_OK && file.size_bytes != bytes)
        status = diag_error(c->sink, POFAC_ERR_INPUT, &place, "found %zu bytes, wanted %zu", file.size_bytes, bytes);
    if (status == POFAC_OK) status = hash_file(&file, c->sink, hash);
    if (status == POFAC_OK && strncmp(hash, wanted, HASH_DIGITS) != 0)
        status = diag_error(c->sink, POFAC_ERR_INPUT, &place, "found the hash %s, wanted %.*s: its content was changed", hash,
                            HASH_DIGITS, wanted);
    strbuf_free(&path);
    file_map_close(&file);
    return status;
}

/* One line, without its end: BYTES HASH NAME. */
static pofac_status check_line(checking *c, char *line) {
    char *end;
    errno = 0;
    const unsigned long long bytes = strtoull(line, &end, 10);
    if (errno || end == line || *end != ' ' || strspn(end + 1, "0123456789abcdef") != HASH_DIGITS || end[1 + HASH_DIGITS] != ' ')
        return wrong(c, "found a line that is no file's");
    const char *hash = end + 1, *name = hash + HASH_DIGITS + 1;
    if (!*name || strchr(name, '/') || strcmp(name, "..") == 0) return wrong(c, "found the name of no file of the directory");
    return is_wanted(c, name) ? check_file(c, name, (size_t)bytes, hash) : POFAC_OK;
}

static pofac_status check_title(const checking *c, const char *text) {
    const size_t n = strlen(TITLE);
    if (strncmp(text, TITLE, n) != 0) return wrong(c, "found no \"" TITLE "\", wanted the list of a checkpoint's files");
    const size_t digits = strcspn(text + n, "\n");
    if (digits == 1 && text[n] == '0' + RUN_MANIFEST_FORMAT) return POFAC_OK;
    return diag_error(c->sink, POFAC_ERR_INPUT, &(diag_place){.file = c->path},
                      "found a checkpoint of version %.*s, wanted version %d", (int)(digits < 20 ? digits : 20), text + n,
                      RUN_MANIFEST_FORMAT);
}

/* The line behind the files: "end HASH". Its begin, or NULL when it is not what it should be. */
static char *check_end(char *text, size_t n) {
    const size_t tail = strlen("end \n") + HASH_DIGITS;
    char hash[HASH_DIGITS + 1];
    if (n < tail || text[n - 1] != '\n') return NULL;
    char *end = text + n - tail;
    hash_to_hex(hash_bytes128(text, n - tail), hash);
    if (strncmp(end, "end ", 4) != 0 || strncmp(end + 4, hash, HASH_DIGITS) != 0) return NULL;
    return end > text && end[-1] == '\n' ? end : NULL;
}

static pofac_status check_text(checking *c, char *text, size_t n) {
    if (strlen(text) != n) return wrong(c, "found a byte 0, wanted text");
    TRY(check_title(c, text));
    char *const end = check_end(text, n);
    if (!end) return wrong(c, "its last line does not fit what is before: it was cut short or changed");
    for (char *line = strchr(text, '\n') + 1; line < end;) {
        char *stop = strchr(line, '\n');
        *stop = 0;
        TRY(check_line(c, line));
        line = stop + 1;
    }
    for (size_t i = 0; c->only && c->only[i]; i++)
        if (!c->seen[i])
            return diag_error(c->sink, POFAC_ERR_INPUT, &(diag_place){.file = c->path}, "found no %s, wanted it listed",
                              c->only[i]);
    return POFAC_OK;
}

pofac_status run_manifest_check(const char *dir, const char *const *only, const diag_sink *sink) {
    strbuf path = STRBUF_INIT, text = STRBUF_INIT;
    file_map file = {NULL, 0};
    char nothing[1] = "";
    strbuf_printf(&path, "%s/" RUN_MANIFEST_FILE, dir);
    checking c = {.dir = dir, .path = strbuf_str(&path), .only = only, .sink = sink};
    pofac_status status;
    if (!strbuf_ok(&path)) status = diag_out_of_memory(sink);
    else if (!file_exists(c.path))
        status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = dir},
                            "found no " RUN_MANIFEST_FILE ", wanted a checkpoint that pofac has written");
    else status = file_map_open(c.path, sink, &file);
    if (status == POFAC_OK) {
        strbuf_append(&text, file.data, file.size_bytes);
        status = strbuf_ok(&text) ? check_text(&c, text.data ? text.data : nothing, text.size) : diag_out_of_memory(sink);
    }
    file_map_close(&file);
    strbuf_free(&text);
    strbuf_free(&path);
    return status;
}
