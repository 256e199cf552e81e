/*
 * model.safetensors.index.json or pytorch_model.bin.index.json -> one checkpoint of the tensors of all its files:
 *
 *     {"metadata": {...}, "weight_map": {"TENSOR": "FILE", ...}}
 *
 * Files are read in the order of their names. FILE is a name in the index's own folder; anything with a slash is refused, so that
 * an index cannot reach other folders. Every tensor of the map must stand in its file; tensors that the map does not name are left
 * out with a warning.
 */
#include "frontend/checkpoint/shard_index.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/json_text.h"
#include "ir/support/strmap.h"

typedef struct index_reader {
    const char *path; /* of the index */
    shard_reader *read_file;
    const json_t *weight_map;
    strmap shards; /* names of files */
    strbuf text;   /* path of the file being read */
    strbuf found;
    checkpoint *c;
    const diag_sink *sink;
} index_reader;

/* What the filter needs: whose tensors are wanted, and what was left out. */
typedef struct shard {
    const json_t *weight_map;
    const char *name;
    size_t n_unnamed;
} shard;

static bool is_in_map(void *user, const char *name) {
    shard *s = user;
    const char *file = json_string_value(json_object_get(s->weight_map, name));
    if (!file) s->n_unnamed++;
    return file && strcmp(file, s->name) == 0;
}

static pofac_status check_file_name(index_reader *r, const char *tensor, const json_t *value) {
    const char *name = json_string_value(value);
    diag_place place = {.file = r->path};
    if (name && name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) return POFAC_OK;
    return diag_error(r->sink, POFAC_ERR_INPUT, &place, "weight_map: %s: found %s, wanted the name of a file in the same directory",
                      tensor, json_describe(value, &r->found));
}

static pofac_status collect_shards(index_reader *r) {
    const char *tensor;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)r->weight_map, tensor, value) {
        TRY(check_file_name(r, tensor, value));
        if (!strmap_put(&r->shards, json_string_value(value), json_string_length(value), 0, NULL))
            return diag_out_of_memory(r->sink);
    }
    return POFAC_OK;
}

static int by_key(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static pofac_status read_shard(index_reader *r, const char *name) {
    const char *slash = strrchr(r->path, '/');
    strbuf_clear(&r->text);
    strbuf_append(&r->text, r->path, slash ? (size_t)(slash + 1 - r->path) : 0);
    strbuf_puts(&r->text, name);
    if (!strbuf_ok(&r->text)) return diag_out_of_memory(r->sink);
    shard s = {r->weight_map, name, 0};
    const checkpoint_filter filter = {is_in_map, &s};
    TRY(r->read_file(strbuf_str(&r->text), &filter, r->sink, r->c));
    diag_place place = {.file = strbuf_str(&r->text)};
    if (s.n_unnamed)
        diag_warning(r->sink, &place, "found %zu tensors that the index does not name, which are left out", s.n_unnamed);
    return POFAC_OK;
}

static pofac_status read_shards(index_reader *r) {
    const char **names = malloc((r->shards.size ? r->shards.size : 1) * sizeof *names);
    if (!names) return diag_out_of_memory(r->sink);
    for (size_t i = 0; i < r->shards.size; i++) names[i] = r->shards.entries[i].key;
    qsort(names, r->shards.size, sizeof *names, by_key);
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < r->shards.size; i++) status = read_shard(r, names[i]);
    free(names);
    return status;
}

/* Every tensor of the map was found: names are looked up in what the files gave. */
static pofac_status check_complete(index_reader *r) {
    if (checkpoint_size(r->c) == json_object_size(r->weight_map)) return POFAC_OK;
    strmap found = STRMAP_INIT;
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < checkpoint_size(r->c); i++) {
        const char *name = checkpoint_at(r->c, i)->name;
        if (!strmap_put(&found, name, strlen(name), 0, NULL)) status = diag_out_of_memory(r->sink);
    }
    const char *tensor;
    json_t *file;
    diag_place place = {.file = r->path};
    json_object_foreach((json_t *)(uintptr_t)r->weight_map, tensor, file) {
        if (status != POFAC_OK || strmap_get(&found, tensor, strlen(tensor))) continue;
        status = diag_error(r->sink, POFAC_ERR_INPUT, &place, "weight_map: %s: not found in %s, where it is wanted", tensor,
                            json_string_value(file));
    }
    strmap_free(&found);
    return status;
}

static pofac_status read_index(index_reader *r, const json_t *root) {
    r->weight_map = json_object_get(root, "weight_map");
    diag_place place = {.file = r->path};
    if (!json_is_object(r->weight_map))
        return diag_error(r->sink, POFAC_ERR_INPUT, &place,
                          "weight_map: found %s, wanted an object that names the file of each tensor",
                          r->weight_map ? json_describe(r->weight_map, &r->found) : "nothing");
    TRY(collect_shards(r));
    TRY(read_shards(r));
    return check_complete(r);
}

pofac_status shard_index_read(const char *path, shard_reader *read_file, const diag_sink *sink, checkpoint *c) {
    file_map map;
    TRY(file_map_open(path, sink, &map));
    json_t *root;
    pofac_status status = json_parse(path, NULL, map.data, map.size_bytes, sink, &root);
    file_map_close(&map);
    TRY(status);
    index_reader r = {.path = path,
                      .read_file = read_file,
                      .shards = STRMAP_INIT,
                      .text = STRBUF_INIT,
                      .found = STRBUF_INIT,
                      .c = c,
                      .sink = sink};
    status = read_index(&r, root);
    strmap_free(&r.shards);
    strbuf_free(&r.text);
    strbuf_free(&r.found);
    json_decref(root);
    return status;
}
