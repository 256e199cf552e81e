/*
 * The stream form of torch.save -> tensors (torch_forms.h): five pickles one after the other, and the storages behind them.
 *
 * A storage in the stream has the number of its elements, not their size: that is known from the object's pickle, in which every
 * storage must be named with the same dtype and number each time. Elements are little-endian whatever machine wrote them, so the
 * sizes of its integers are not needed.
 */
#include <inttypes.h>
#include <string.h>

#include "frontend/checkpoint/torch_forms.h"
#include "ir/support/strmap.h"

#define STREAM_VERSION 1001

/* 0x1950a86a20f9469cfc6c, little-endian */
static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

typedef struct stored {
    const pickle_storage *storage;
    bool is_there;
    const unsigned char *data;
} stored;

typedef struct stream {
    torch_file *file;
    size_t at; /* of the next byte */
    strmap by_key;
    stored *storages; /* [by_key.size] */
} stream;

static pofac_status read_pickle(stream *s, const char *part, pickle *out) {
    const pickle_source from = {.file = s->file->name,
                                .part = part,
                                .bytes = s->file->map.data + s->at,
                                .n_bytes = s->file->map.size_bytes - s->at,
                                .first = s->at};
    TRY(torch_unpickle(&from, &s->file->scratch, s->file->sink, out));
    s->at += out->n_bytes;
    return POFAC_OK;
}

static pofac_status read_preamble(stream *s) {
    pickle p = {0};
    TRY(read_pickle(s, "magic number", &p));
    if (p.root->kind != PICKLE_LONG || p.root->text.n != sizeof magic || memcmp(p.root->text.bytes, magic, sizeof magic) != 0)
        return torch_wrong(s->file, "found a pickle of %s at the beginning, wanted torch.save's magic number",
                           pickle_describe(p.root));
    TRY(read_pickle(s, "version", &p));
    if (p.root->kind != PICKLE_INTEGER || p.root->integer != STREAM_VERSION)
        return torch_wrong(s->file, "version: found %s, wanted %d",
                           p.root->kind == PICKLE_INTEGER ? "another" : pickle_describe(p.root), STREAM_VERSION);
    return read_pickle(s, "system", &p);
}

static pofac_status wrong_storage(const stream *s, const char *key, const char *what) {
    return torch_wrong(s->file, "storage \"%s\": %s", key, what);
}

/* Notes the storages that the object names. */
static pofac_status collect_storages(stream *s, const pickle *object) {
    size_t n = 0;
    for (const pickle_storage *p = object->storages; p; p = p->next) n++;
    s->storages = ARENA_ARRAY(&s->file->scratch, stored, n);
    if (!s->storages) return diag_out_of_memory(s->file->sink);
    for (const pickle_storage *p = object->storages; p; p = p->next) {
        bool is_new;
        const strmap_entry *e = strmap_put(&s->by_key, p->key, strlen(p->key), s->by_key.size, &is_new);
        if (!e) return diag_out_of_memory(s->file->sink);
        stored *entry = &s->storages[e->value];
        if (is_new) entry->storage = p;
        else if (entry->storage->dtype != p->dtype || entry->storage->n_stored != p->n_stored)
            return wrong_storage(s, p->key, "found with two types or lengths, wanted one");
    }
    return POFAC_OK;
}

/* The count and the elements of the storage at s->at. */
static pofac_status read_storage(stream *s, const pickle_value *key) {
    if (key->kind != PICKLE_STRING)
        return torch_wrong(s->file, "keys of storages: found %s among them, wanted names", pickle_describe(key));
    const strmap_entry *e = strmap_get(&s->by_key, key->text.bytes, key->text.n);
    if (!e)
        return torch_wrong(s->file, "keys of storages: found one that no tensor has, so that the size of its elements is unknown");
    stored *entry = &s->storages[e->value];
    if (entry->is_there) return wrong_storage(s, e->key, "found twice, wanted once");
    const size_t left = s->file->map.size_bytes - s->at;
    const unsigned char *p = s->file->map.data + s->at;
    int64_t n = 0, n_bytes;
    if (left < sizeof n)
        return torch_wrong(s->file, "storage \"%s\": found %zu bytes, wanted 8 for its length: the file is cut short", e->key,
                           left);
    memcpy(&n, p, sizeof n);
    if (n != entry->storage->n_stored)
        return torch_wrong(s->file, "storage \"%s\": found %" PRId64 " elements at byte %zu, wanted %" PRId64, e->key, n, s->at,
                           entry->storage->n_stored);
    if (__builtin_mul_overflow(n, (int64_t)(dtype_bits(entry->storage->dtype) / 8), &n_bytes) ||
        (uint64_t)n_bytes > left - sizeof n)
        return torch_wrong(s->file, "storage \"%s\": found %zu bytes, wanted %" PRId64 " elements of %s: the file is cut short",
                           e->key, left - sizeof n, n, dtype_name(entry->storage->dtype));
    entry->data = p + sizeof n;
    entry->is_there = true;
    s->at += sizeof n + (size_t)n_bytes;
    return POFAC_OK;
}

static pofac_status read_storages(stream *s) {
    pickle p = {0};
    TRY(read_pickle(s, "keys of storages", &p));
    if (p.root->kind != PICKLE_LIST)
        return torch_wrong(s->file, "keys of storages: found %s, wanted a list", pickle_describe(p.root));
    for (size_t i = 0; i < p.root->items.n; i++) TRY(read_storage(s, p.root->items.data[i]));
    const size_t left = s->file->map.size_bytes - s->at;
    diag_place place = {.file = s->file->name};
    if (left) diag_warning(s->file->sink, &place, "found %zu bytes behind the last storage, which are left out", left);
    return POFAC_OK;
}

static pofac_status find_storage(void *user, const pickle_storage *wanted, const unsigned char **out) {
    const stream *s = user;
    const strmap_entry *e = strmap_get(&s->by_key, wanted->key, strlen(wanted->key));
    if (!e || !s->storages[e->value].is_there)
        return wrong_storage(s, wanted->key, "not found in the file, where a tensor needs it");
    *out = s->storages[e->value].data;
    return POFAC_OK;
}

static pofac_status read_stream(stream *s) {
    pickle object = {0};
    TRY(read_preamble(s));
    TRY(read_pickle(s, "object", &object));
    TRY(collect_storages(s, &object));
    TRY(read_storages(s));
    const torch_storages storages = {find_storage, s};
    return torch_add_tensors(s->file, object.root, &storages);
}

pofac_status torch_read_stream(torch_file *f) {
    stream s = {.file = f, .by_key = STRMAP_INIT};
    pofac_status status = read_stream(&s);
    strmap_free(&s.by_key);
    return status;
}
