/* The manifest of shards; see shard_manifest.h. */
#include "frontend/data/shard_manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

#define FORMAT "pofac shards"

void shard_manifest_free(shard_manifest *m) {
    strbuf_free(&m->options);
    VEC_FREE(&m->spools);
    VEC_FREE(&m->shards);
    *m = (shard_manifest){.options = STRBUF_INIT};
}

void shard_manifest_put_shard_path(const char *dir, shard_split split, uint64_t number, strbuf *out) {
    strbuf_printf(out, "%s/%s-%05" PRIu64 ".shard", dir, shard_split_name(split), number);
}

void shard_manifest_put_spool_path(const char *dir, uint64_t number, strbuf *out) {
    strbuf_printf(out, "%s/documents-%05" PRIu64 ".spool", dir, number);
}

static const char *truth(bool value) { return value ? "true" : "false"; }

void shard_manifest_put(const shard_manifest *m, strbuf *out) {
    strbuf_printf(out, "{\"format\": \"" FORMAT "\", \"version\": %d, \"complete\": %s,\n \"options\": ", SHARD_VERSION,
                  truth(m->is_complete));
    strbuf_append(out, strbuf_str(&m->options), m->options.size);
    strbuf_printf(out,
                  ",\n \"documents\": {\"parts\": %" PRIu64 ", \"complete\": %s, \"documents\": %" PRIu64
                  ", \"sentences\": %" PRIu64 ", \"tokens\": %" PRIu64 ", \"empty\": %" PRIu64 "},\n \"counts\": {",
                  m->parts, truth(m->documents_complete), m->n_documents, m->n_sentences, m->n_tokens, m->n_empty);
    const char *separator = "";
#define PUT_COUNT(name, meaning)                                                                                                   \
    strbuf_printf(out, "%s\"" #name "\": %" PRIu64, separator, m->counts.name);                                                    \
    separator = ", ";
    CORPUS_COUNTS(PUT_COUNT)
#undef PUT_COUNT
    strbuf_puts(out, "},\n \"spools\": [");
    for (size_t i = 0; i < m->spools.size; i++)
        strbuf_printf(out, "%s{\"documents\": %" PRIu64 "}", i ? ", " : "", m->spools.data[i]);
    strbuf_puts(out, "],\n \"shards\": [");
    for (size_t i = 0; i < m->shards.size; i++) {
        const manifest_shard *s = &m->shards.data[i];
        strbuf_printf(out,
                      "%s\n  {\"split\": \"%s\", \"first_document\": %" PRIu64 ", \"documents\": %" PRIu64
                      ", \"examples\": %" PRIu64 ", \"random\": %" PRIu64 ", \"tokens\": %" PRIu64 "}",
                      i ? "," : "", shard_split_name(s->split), s->first_document, s->n_documents, s->n_examples, s->n_random,
                      s->n_tokens);
    }
    strbuf_puts(out, "]}\n");
}

pofac_status shard_manifest_write(const char *dir, const shard_manifest *m, const diag_sink *sink) {
    strbuf path = STRBUF_INIT, text = STRBUF_INIT;
    strbuf_printf(&path, "%s/" MANIFEST_FILE, dir);
    shard_manifest_put(m, &text);
    pofac_status status = strbuf_ok(&path) && strbuf_ok(&text)
                              ? file_write_all(strbuf_str(&path), strbuf_str(&text), text.size, sink)
                              : diag_out_of_memory(sink);
    strbuf_free(&path);
    strbuf_free(&text);
    return status;
}

/* ---- reading ---- */

typedef struct reader {
    const char *file;
    const diag_sink *sink;
} reader;

static pofac_status wrong(const reader *r, const char *where, const json_t *value, const char *wanted) {
    const diag_place place = {.file = r->file};
    strbuf text = STRBUF_INIT;
    pofac_status status =
        value ? diag_error(r->sink, POFAC_ERR_INPUT, &place, "%s: found %s, wanted %s", where, json_describe(value, &text), wanted)
              : diag_error(r->sink, POFAC_ERR_INPUT, &place, "%s: found nothing, wanted %s", where, wanted);
    strbuf_free(&text);
    return status;
}

static pofac_status read_count(const reader *r, const json_t *object, const char *key, uint64_t *out) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return wrong(r, key, value, "a number from 0 on");
    *out = (uint64_t)json_integer_value(value);
    return POFAC_OK;
}

static pofac_status read_truth(const reader *r, const json_t *object, const char *key, bool *out) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value)) return wrong(r, key, value, "true or false");
    *out = json_is_true(value);
    return POFAC_OK;
}

static pofac_status read_part(const reader *r, const json_t *root, const char *key, json_type type, const json_t **out) {
    *out = json_object_get(root, key);
    if (*out && json_typeof(*out) == type) return POFAC_OK;
    return wrong(r, key, *out, type == JSON_OBJECT ? "an object" : "an array");
}

static pofac_status read_format(const reader *r, const json_t *root) {
    const json_t *format = json_object_get(root, "format"), *version = json_object_get(root, "version");
    if (!json_is_string(format) || strcmp(json_string_value(format), FORMAT) != 0)
        return wrong(r, "format", format, "\"" FORMAT "\"");
    if (!json_is_integer(version) || json_integer_value(version) != SHARD_VERSION) return wrong(r, "version", version, "1");
    return POFAC_OK;
}

static pofac_status read_options(const reader *r, const json_t *root, shard_manifest *m) {
    const json_t *options;
    TRY(read_part(r, root, "options", JSON_OBJECT, &options));
    char *text = json_dumps(options, JSON_ENSURE_ASCII);
    if (text) strbuf_puts(&m->options, text);
    const bool is_read = text && strbuf_ok(&m->options);
    free(text);
    return is_read ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status read_documents(const reader *r, const json_t *root, shard_manifest *m) {
    const json_t *documents, *counts;
    TRY(read_part(r, root, "documents", JSON_OBJECT, &documents));
    TRY(read_part(r, root, "counts", JSON_OBJECT, &counts));
    TRY(read_count(r, documents, "parts", &m->parts));
    TRY(read_truth(r, documents, "complete", &m->documents_complete));
    TRY(read_count(r, documents, "documents", &m->n_documents));
    TRY(read_count(r, documents, "sentences", &m->n_sentences));
    TRY(read_count(r, documents, "tokens", &m->n_tokens));
    TRY(read_count(r, documents, "empty", &m->n_empty));
#define READ_COUNT(name, meaning) TRY(read_count(r, counts, #name, &m->counts.name));
    CORPUS_COUNTS(READ_COUNT)
#undef READ_COUNT
    return POFAC_OK;
}

static pofac_status read_spools(const reader *r, const json_t *root, shard_manifest *m) {
    const json_t *spools;
    TRY(read_part(r, root, "spools", JSON_ARRAY, &spools));
    for (size_t i = 0; i < json_array_size(spools); i++) {
        uint64_t n;
        TRY(read_count(r, json_array_get(spools, i), "documents", &n));
        if (!VEC_PUSH(&m->spools, n)) return diag_out_of_memory(r->sink);
    }
    return POFAC_OK;
}

static pofac_status read_shard(const reader *r, const json_t *object, manifest_shard *out) {
    const json_t *split = json_object_get(object, "split");
    if (!json_is_string(split) || !shard_split_parse(json_string_value(split), &out->split))
        return wrong(r, "split", split, "\"train\" or \"validation\"");
    TRY(read_count(r, object, "first_document", &out->first_document));
    TRY(read_count(r, object, "documents", &out->n_documents));
    TRY(read_count(r, object, "examples", &out->n_examples));
    TRY(read_count(r, object, "random", &out->n_random));
    return read_count(r, object, "tokens", &out->n_tokens);
}

static pofac_status read_shards(const reader *r, const json_t *root, shard_manifest *m) {
    const json_t *shards;
    TRY(read_part(r, root, "shards", JSON_ARRAY, &shards));
    for (size_t i = 0; i < json_array_size(shards); i++) {
        manifest_shard s;
        TRY(read_shard(r, json_array_get(shards, i), &s));
        if (!VEC_PUSH(&m->shards, s)) return diag_out_of_memory(r->sink);
    }
    return POFAC_OK;
}

static pofac_status read_root(const reader *r, const json_t *root, shard_manifest *m) {
    if (!json_is_object(root)) return wrong(r, "the file", root, "an object");
    TRY(read_format(r, root));
    TRY(read_truth(r, root, "complete", &m->is_complete));
    TRY(read_options(r, root, m));
    TRY(read_documents(r, root, m));
    TRY(read_spools(r, root, m));
    return read_shards(r, root, m);
}

static pofac_status read_file(const char *path, const diag_sink *sink, shard_manifest *m) {
    const reader r = {path, sink};
    file_map map;
    json_t *root;
    TRY(file_map_open(path, sink, &map));
    pofac_status status = json_parse(path, NULL, map.data, map.size_bytes, sink, &root);
    file_map_close(&map);
    if (status != POFAC_OK) return status;
    status = read_root(&r, root, m);
    json_decref(root);
    return status;
}

pofac_status shard_manifest_read(const char *dir, const diag_sink *sink, shard_manifest *out) {
    strbuf path = STRBUF_INIT;
    *out = (shard_manifest){.options = STRBUF_INIT};
    strbuf_printf(&path, "%s/" MANIFEST_FILE, dir);
    pofac_status status = strbuf_ok(&path) ? read_file(strbuf_str(&path), sink, out) : diag_out_of_memory(sink);
    strbuf_free(&path);
    if (status != POFAC_OK) shard_manifest_free(out);
    return status;
}

static pofac_status differs(const char *dir, const char *key, const json_t *then, const json_t *now, const diag_sink *sink) {
    const diag_place place = {.file = dir};
    strbuf a = STRBUF_INIT, b = STRBUF_INIT;
    pofac_status status = diag_error(sink, POFAC_ERR_INPUT, &place, "the build was begun with %s %s, and shall go on with %s", key,
                                     then ? json_describe(then, &a) : "not set", now ? json_describe(now, &b) : "not set");
    strbuf_free(&a);
    strbuf_free(&b);
    return status;
}

/* The first key of `a` whose value is another one in `b`; NULL: there is none. */
static const char *find_difference(json_t *a, const json_t *b) {
    const char *key;
    json_t *value;
    json_object_foreach(a, key, value) {
        if (!json_equal(value, json_object_get(b, key))) return key;
    }
    return NULL;
}

pofac_status shard_manifest_compare(const char *dir, const shard_manifest *m, const char *options, const diag_sink *sink) {
    json_t *then, *now;
    TRY(json_parse(MANIFEST_FILE, NULL, strbuf_str(&m->options), m->options.size, sink, &then));
    pofac_status status = json_parse("options", NULL, options, strlen(options), sink, &now);
    if (status == POFAC_OK) {
        const char *key = find_difference(now, then);
        if (!key) key = find_difference(then, now);
        if (key) status = differs(dir, key, json_object_get(then, key), json_object_get(now, key), sink);
        json_decref(now);
    }
    json_decref(then);
    return status;
}
