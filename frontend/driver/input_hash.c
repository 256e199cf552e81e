/* Hashes of inputs; see input_hash.h. A line of the file: HASH SIZE INODE NANOSECONDS PATH. */
#include "frontend/driver/input_hash.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <jansson.h>

#include "frontend/model/xml_document.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"
#include "ir/support/text_ends.h"

#define HASH_DIGITS 32
#define PIECE_BYTES ((size_t)4 << 20)  /* so much of a file is in memory at a time */
#define SETTLED_NS INT64_C(2000000000) /* a file that changed this shortly before may change again within its time's last digit */
#define MOST_DEPTH 32                  /* of directories in directories, and of descriptions that name others */

static int64_t nanoseconds(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

/* ---- the file ---- */

/* False where the line is none of ours. */
static bool read_hex(const char *text, hash128 *out) {
    char half[17] = "";
    if (strspn(text, "0123456789abcdef") != HASH_DIGITS) return false;
    memcpy(half, text, 16);
    out->high = strtoull(half, NULL, 16);
    memcpy(half, text + 16, 16);
    out->low = strtoull(half, NULL, 16);
    char again[33];
    hash_to_hex(*out, again);
    return memcmp(again, text, HASH_DIGITS) == 0;
}

static pofac_status read_line(input_hashes *h, const char *line, size_t n, const diag_sink *sink) {
    char *text = arena_strndup(&h->texts, line, n);
    input_hash_row row = {0};
    int path = 0;
    if (!text) return diag_out_of_memory(sink);
    if (!read_hex(text, &row.hash)) return POFAC_OK;
    if (sscanf(text + HASH_DIGITS, " %" SCNu64 " %" SCNu64 " %" SCNd64 " %n", &row.size, &row.inode, &row.changed_ns, &path) != 3 ||
        text[HASH_DIGITS + path] != '/')
        return POFAC_OK;
    row.path = text + HASH_DIGITS + path;
    return VEC_PUSH(&h->rows, row) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status input_hashes_open(const char *file, const diag_sink *sink, input_hashes *out) {
    struct timespec now;
    file_map map;
    *out = (input_hashes){.texts = ARENA_INIT};
    clock_gettime(CLOCK_REALTIME, &now);
    out->opened_ns = nanoseconds(now);
    if (!file || !file_exists(file)) return POFAC_OK;
    TRY(file_map_open(file, sink, &map));
    pofac_status status = POFAC_OK;
    const char *text = (const char *)map.data; /* NULL: an empty file */
    for (size_t at = 0; status == POFAC_OK && at < map.size_bytes;) {
        const char *newline = memchr(text + at, '\n', map.size_bytes - at);
        if (!newline) break;
        const size_t n = (size_t)(newline - text) - at;
        status = read_line(out, text + at, n, sink);
        at += n + 1;
    }
    file_map_close(&map);
    return status;
}

pofac_status input_hashes_save(const input_hashes *h, const char *file, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    for (size_t i = 0; i < h->rows.size; i++) {
        const input_hash_row *row = &h->rows.data[i];
        char hex[33];
        if (!row->used || row->changed_ns > h->opened_ns - SETTLED_NS || strchr(row->path, '\n')) continue;
        hash_to_hex(row->hash, hex);
        strbuf_printf(&text, "%s %" PRIu64 " %" PRIu64 " %" PRId64 " %s\n", hex, row->size, row->inode, row->changed_ns, row->path);
    }
    const pofac_status status =
        strbuf_ok(&text) ? file_write_all(file, strbuf_str(&text), text.size, sink) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

void input_hashes_close(input_hashes *h) {
    VEC_FREE(&h->rows);
    arena_free(&h->texts);
}

/* ---- hashing ---- */

static pofac_status fault(const char *path, const diag_sink *sink) {
    const diag_place place = {.file = path};
    return diag_error(sink, POFAC_ERR_INPUT, &place, "cannot be read: %s", strerror(errno));
}

static pofac_status hash_content(const char *path, const diag_sink *sink, hash128 *out) {
    file_map map;
    strbuf hashes = STRBUF_INIT;
    TRY(file_map_open(path, sink, &map));
    for (size_t at = 0; at < map.size_bytes; at += PIECE_BYTES) {
        const size_t left = map.size_bytes - at, n = left < PIECE_BYTES ? left : PIECE_BYTES;
        const hash128 piece = hash_bytes128(map.data + at, n);
        strbuf_append(&hashes, &piece, sizeof piece);
        file_map_release(&map, map.data + at, n);
    }
    file_map_close(&map);
    *out = hash_bytes128(strbuf_str(&hashes), hashes.size);
    const bool fine = strbuf_ok(&hashes);
    strbuf_free(&hashes);
    return fine ? POFAC_OK : diag_out_of_memory(sink);
}

static bool is_same(const input_hash_row *row, const char *path, const struct stat *s) {
    return row->size == (uint64_t)s->st_size && row->inode == (uint64_t)s->st_ino && row->changed_ns == nanoseconds(s->st_ctim) &&
           strcmp(row->path, path) == 0;
}

static pofac_status hash_file(input_hashes *h, const char *path, const struct stat *s, const diag_sink *sink, hash128 *out) {
    char *whole = realpath(path, NULL);
    if (!whole) return fault(path, sink);
    pofac_status status = POFAC_OK;
    size_t i = 0;
    while (i < h->rows.size && !is_same(&h->rows.data[i], whole, s)) i++;
    if (i == h->rows.size) {
        input_hash_row row = {.path = arena_strdup(&h->texts, whole),
                              .size = (uint64_t)s->st_size,
                              .inode = (uint64_t)s->st_ino,
                              .changed_ns = nanoseconds(s->st_ctim)};
        status = row.path ? hash_content(path, sink, &row.hash) : diag_out_of_memory(sink);
        if (status == POFAC_OK && !VEC_PUSH(&h->rows, row)) status = diag_out_of_memory(sink);
    }
    free(whole);
    if (status != POFAC_OK) return status;
    h->rows.data[i].used = true;
    *out = h->rows.data[i].hash;
    return POFAC_OK;
}

typedef struct file_id {
    dev_t device;
    ino_t inode;
} file_id;

typedef struct walk {
    input_hashes *h;
    const diag_sink *sink;
    strbuf *found; /* names and hashes */
    uint64_t bytes;
    file_id around[MOST_DEPTH]; /* what the current file is in: directories, and descriptions that name it */
    unsigned depth;
} walk;

static pofac_status walk_path(walk *w, const char *path, const char *name);

static int is_wanted(const struct dirent *e) {
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strncmp(e->d_name, "checkpoint-", 11) != 0 &&
           strcmp(e->d_name, "runs") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static pofac_status walk_directory(walk *w, const char *path, const char *name) {
    struct dirent **entries;
    const int n = scandir(path, &entries, is_wanted, by_bytes);
    if (n < 0) return fault(path, w->sink);
    pofac_status status = POFAC_OK;
    for (int i = 0; i < n; i++) {
        strbuf inner = STRBUF_INIT, inner_name = STRBUF_INIT;
        strbuf_printf(&inner, "%s/%s", path, entries[i]->d_name);
        strbuf_printf(&inner_name, "%s/%s", name, entries[i]->d_name);
        if (status == POFAC_OK && !(strbuf_ok(&inner) && strbuf_ok(&inner_name))) status = diag_out_of_memory(w->sink);
        if (status == POFAC_OK) status = walk_path(w, strbuf_str(&inner), strbuf_str(&inner_name));
        strbuf_free(&inner);
        strbuf_free(&inner_name);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* The files that a description names. Of what is no description nothing is said: whoever reads it will. */
static pofac_status walk_element(walk *w, const xml_element *e) {
    for (size_t i = 0; i < e->n_attrs; i++)
        if (e->attrs[i].row->type == XML_TYPE_PATH && e->attrs[i].written)
            TRY(walk_path(w, e->attrs[i].value.as.string, e->attrs[i].row->name));
    for (const xml_element *child = e->first_child; child; child = child->next) TRY(walk_element(w, child));
    return POFAC_OK;
}

static pofac_status walk_description(walk *w, const char *path) {
    arena a = ARENA_INIT;
    xml_document *document;
    pofac_status status = POFAC_OK;
    const pofac_status is_read = xml_document_read(path, &a, NULL, &document);
    if (is_read == POFAC_OK) status = walk_element(w, document->root);
    if (is_read == POFAC_ERR_RUNTIME) status = diag_out_of_memory(w->sink); /* its bytes have been read already */
    arena_free(&a);
    return status;
}

/* The files of a sharded checkpoint, which its index names. Of what is no index nothing is said, as above. */
static pofac_status walk_index(walk *w, const char *path) {
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash + 1 - path) : 0;
    const char *tensor, *last = "";
    json_t *root, *file;
    file_map map;
    TRY(file_map_open(path, w->sink, &map));
    const bool is_json = json_parse(path, NULL, map.data, map.size_bytes, NULL, &root) == POFAC_OK;
    file_map_close(&map);
    if (!is_json) return POFAC_OK;
    pofac_status status = POFAC_OK;
    json_object_foreach(json_object_get(root, "weight_map"), tensor, file) {
        const char *name = json_string_value(file);
        if (status != POFAC_OK || !name || strcmp(name, last) == 0) continue;
        strbuf whole = STRBUF_INIT;
        strbuf_printf(&whole, "%.*s%s", (int)folder, path, name);
        if (!strbuf_ok(&whole)) status = diag_out_of_memory(w->sink);
        else if (file_exists(strbuf_str(&whole))) status = walk_path(w, strbuf_str(&whole), name);
        strbuf_free(&whole);
        last = name;
    }
    json_decref(root);
    return status;
}

/* A link to a directory around it, or a description that names itself: what is there counts where it was met first. */
static bool is_around(const walk *w, const struct stat *s) {
    for (unsigned i = 0; i < w->depth; i++)
        if (w->around[i].device == s->st_dev && w->around[i].inode == s->st_ino) return true;
    return false;
}

static pofac_status walk_path(walk *w, const char *path, const char *name) {
    const diag_place place = {.file = path};
    struct stat s;
    hash128 hash;
    char hex[33];
    if (stat(path, &s) != 0) return fault(path, w->sink);
    if (w->depth == MOST_DEPTH)
        return diag_error(w->sink, POFAC_ERR_INPUT, &place, "found more than %d directories or descriptions in each other",
                          MOST_DEPTH);
    if (!S_ISDIR(s.st_mode) && !S_ISREG(s.st_mode))
        return diag_error(w->sink, POFAC_ERR_INPUT, &place, "found something else, wanted a file or a directory");
    if (is_around(w, &s)) {
        strbuf_printf(w->found, "again %s\n", name);
        return POFAC_OK;
    }
    w->around[w->depth++] = (file_id){s.st_dev, s.st_ino};
    if (S_ISDIR(s.st_mode)) {
        TRY(walk_directory(w, path, name));
    } else {
        TRY(hash_file(w->h, path, &s, w->sink, &hash));
        hash_to_hex(hash, hex);
        strbuf_printf(w->found, "%s %s\n", hex, name);
        w->bytes += (uint64_t)s.st_size;
        if (text_ends_with(path, ".xml")) TRY(walk_description(w, path));
        if (text_ends_with(path, ".index.json")) TRY(walk_index(w, path));
    }
    w->depth--;
    return POFAC_OK;
}

pofac_status input_hash(input_hashes *h, const char *path, const diag_sink *sink, hash128 *out, uint64_t *bytes) {
    strbuf found = STRBUF_INIT;
    walk w = {.h = h, .sink = sink, .found = &found};
    pofac_status status = walk_path(&w, path, "");
    if (status == POFAC_OK && !strbuf_ok(&found)) status = diag_out_of_memory(sink);
    *out = hash_bytes128(strbuf_str(&found), found.size);
    *bytes = w.bytes;
    strbuf_free(&found);
    return status;
}
