/* Files of torch.save for tests, see torch_files.h. */
#include "tests/unit/checkpoint/torch_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/unit/checkpoint/checkpoint_files.h"

void put_bytes(strbuf *b, const void *bytes, size_t n) {
    strbuf_append(b, bytes, n);
    assert_true(strbuf_ok(b));
}

static void put_number(strbuf *b, uint64_t number, size_t n_bytes) { put_bytes(b, &number, n_bytes); }

void put_text(strbuf *b, const char *text) {
    PUT(b, "X");
    put_number(b, strlen(text), 4);
    put_bytes(b, text, strlen(text));
}

void put_integer(strbuf *b, int64_t n) {
    if (n >= 0 && n < 256) {
        PUT(b, "K");
        put_number(b, (uint64_t)n, 1);
    } else if (n >= INT32_MIN && n <= INT32_MAX) {
        PUT(b, "J");
        put_number(b, (uint64_t)n, 4);
    } else {
        PUT(b, "\x8a\x08");
        put_number(b, (uint64_t)n, 8);
    }
}

void put_storage(strbuf *b, const char *class, const char *key, int64_t n) {
    PUT(b, "(");
    put_text(b, "storage");
    strbuf_printf(b, "ctorch\n%s\n", class);
    put_text(b, key);
    put_text(b, "cpu");
    put_integer(b, n);
    PUT(b, "tQ");
}

static void put_tuple(strbuf *b, const int64_t *numbers, int n) {
    PUT(b, "(");
    for (int i = 0; i < n; i++) put_integer(b, numbers[i]);
    PUT(b, "t");
}

void put_tensor(strbuf *b, const torch_view *v) {
    PUT(b, "ctorch._utils\n_rebuild_tensor_v2\n(");
    put_storage(b, v->class, v->key, v->n_stored);
    put_integer(b, v->offset);
    put_tuple(b, v->size, v->rank);
    put_tuple(b, v->stride, v->rank);
    PUT(b, "\x89"
           "ccollections\nOrderedDict\n)RtR");
}

void put_state(strbuf *b, const torch_view *views, size_t n) {
    PUT(b, "\x80\x02}(");
    for (size_t i = 0; i < n; i++) {
        put_text(b, views[i].name);
        put_tensor(b, &views[i]);
    }
    PUT(b, "u.");
}

/* ---- zip archives ---- */

static void deflate_all(const void *bytes, size_t n, strbuf *out) {
    z_stream s = {0};
    assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const size_t room = deflateBound(&s, n);
    unsigned char *packed = malloc(room);
    assert_non_null(packed);
    s.next_in = (unsigned char *)(uintptr_t)bytes;
    s.avail_in = (unsigned)n;
    s.next_out = packed;
    s.avail_out = (unsigned)room;
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    put_bytes(out, packed, s.total_out);
    deflateEnd(&s);
    free(packed);
}

void zip_put(zip_writer *z, const char *name, zip_how how, const void *bytes, size_t n) {
    strbuf data = STRBUF_INIT;
    const uint64_t at = z->file.size;
    const uint32_t crc = (uint32_t)crc32(0, bytes, (unsigned)n), wide = UINT32_MAX;
    if (how == ZIP_DEFLATED) deflate_all(bytes, n, &data);
    else put_bytes(&data, bytes, n);
    const uint64_t method = how == ZIP_DEFLATED ? 8 : 0, name_bytes = strlen(name), extra_bytes = z->zip64 ? 28 : 0;

    PUT(&z->file, "PK\3\4\x2d\0\0\0");
    put_number(&z->file, method, 2);
    PUT(&z->file, "\0\0\0\0");
    put_number(&z->file, crc, 4);
    put_number(&z->file, data.size, 4);
    put_number(&z->file, n, 4);
    put_number(&z->file, name_bytes, 2);
    put_number(&z->file, 3, 2); /* extra bytes, as torch aligns data with */
    put_bytes(&z->file, name, name_bytes);
    PUT(&z->file, "FBZ");
    put_bytes(&z->file, data.data, data.size);

    PUT(&z->directory, "PK\1\2\x2d\0\x2d\0\0\0");
    put_number(&z->directory, method, 2);
    PUT(&z->directory, "\0\0\0\0");
    put_number(&z->directory, crc, 4);
    put_number(&z->directory, z->zip64 ? wide : data.size, 4);
    put_number(&z->directory, z->zip64 ? wide : n, 4);
    put_number(&z->directory, name_bytes, 2);
    put_number(&z->directory, extra_bytes, 2);
    PUT(&z->directory, "\0\0\0\0\0\0\0\0\0\0");
    put_number(&z->directory, z->zip64 ? wide : at, 4);
    put_bytes(&z->directory, name, name_bytes);
    if (z->zip64) {
        PUT(&z->directory, "\1\0\x18\0");
        put_number(&z->directory, n, 8);
        put_number(&z->directory, data.size, 8);
        put_number(&z->directory, at, 8);
    }
    z->n_entries++;
    strbuf_free(&data);
}

void zip_finish(zip_writer *z) {
    const uint64_t at = z->file.size, n_bytes = z->directory.size, end = at + n_bytes;
    put_bytes(&z->file, z->directory.data, z->directory.size);
    if (z->zip64) {
        PUT(&z->file, "PK\6\6");
        put_number(&z->file, 44, 8);
        PUT(&z->file, "\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        put_number(&z->file, z->n_entries, 8);
        put_number(&z->file, z->n_entries, 8);
        put_number(&z->file, n_bytes, 8);
        put_number(&z->file, at, 8);
        PUT(&z->file, "PK\6\7\0\0\0\0");
        put_number(&z->file, end, 8);
        PUT(&z->file, "\1\0\0\0");
    }
    PUT(&z->file, "PK\5\6\0\0\0\0");
    put_number(&z->file, z->zip64 ? UINT16_MAX : z->n_entries, 2);
    put_number(&z->file, z->zip64 ? UINT16_MAX : z->n_entries, 2);
    put_number(&z->file, z->zip64 ? UINT32_MAX : n_bytes, 4);
    put_number(&z->file, z->zip64 ? UINT32_MAX : at, 4);
    PUT(&z->file, "\0\0");
}

void zip_discard(zip_writer *z) {
    strbuf_free(&z->file);
    strbuf_free(&z->directory);
    *z = (zip_writer){0};
}

void zip_patch(zip_writer *z, const char *signature, size_t number, size_t offset, const void *bytes, size_t n) {
    char *at = z->file.data, *end = z->file.data + z->file.size;
    for (size_t i = 0;; i++, at++) {
        at = memmem(at, (size_t)(end - at), signature, 4);
        assert_non_null(at);
        if (i == number) break;
    }
    assert_true(offset + n <= (size_t)(end - at));
    memcpy(at + offset, bytes, n);
}

/* ---- streams ---- */

void put_preamble(strbuf *b) {
    PUT(b, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}(");
    put_text(b, "little_endian");
    PUT(b, "\x88u.");
}

void put_keys(strbuf *b, const char *const *keys, size_t n) {
    PUT(b, "\x80\x02](");
    for (size_t i = 0; i < n; i++) put_text(b, keys[i]);
    PUT(b, "e.");
}

void put_elements(strbuf *b, int64_t n, const void *bytes, size_t n_bytes) {
    put_number(b, (uint64_t)n, 8);
    put_bytes(b, bytes, n_bytes);
}

/* ---- files in either form ---- */

void make_archive(zip_writer *z, const strbuf *pickle, const torch_stored *storages, size_t n) {
    zip_put(z, "m/data.pkl", ZIP_STORED, pickle->data, pickle->size);
    zip_put(z, "m/byteorder", ZIP_STORED, BYTES("little"));
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "m/data/%s", storages[i].key);
        zip_put(z, name, storages[i].how, storages[i].bytes, storages[i].n_bytes);
    }
    zip_put(z, "m/version", ZIP_STORED, BYTES("3\n"));
    zip_finish(z);
}

void put_archive(void **state, const char *name, const strbuf *pickle, const torch_stored *storages, size_t n) {
    zip_writer z = {0};
    make_archive(&z, pickle, storages, n);
    put_file(state, name, z.file.data, z.file.size);
    zip_discard(&z);
}

void make_stream(strbuf *b, const strbuf *pickle, const torch_stored *storages, size_t n) {
    const char **keys = calloc(n + 1, sizeof *keys);
    assert_non_null(keys);
    for (size_t i = 0; i < n; i++) keys[i] = storages[i].key;
    put_preamble(b);
    put_bytes(b, pickle->data, pickle->size);
    put_keys(b, keys, n);
    free(keys);
    for (size_t i = 0; i < n; i++) put_elements(b, storages[i].n, storages[i].bytes, storages[i].n_bytes);
}

void put_stream(void **state, const char *name, const strbuf *pickle, const torch_stored *storages, size_t n) {
    strbuf b = STRBUF_INIT;
    make_stream(&b, pickle, storages, n);
    put_file(state, name, b.data, b.size);
    strbuf_free(&b);
}

const float torch_six[6] = {1, 2, 3, 4, 5, 6};
const torch_view torch_small_views[TORCH_N_SMALL] = {
    {"w", "FloatStorage", "0", 6, 0, 2, {2, 3}, {3, 1}},
    {"wt", "FloatStorage", "0", 6, 0, 2, {3, 2}, {1, 3}},
    {"row", "FloatStorage", "0", 6, 3, 1, {3}, {1}},
    {"column", "FloatStorage", "0", 6, 1, 2, {2, 1}, {3, 77}},
    {"scalar", "FloatStorage", "0", 6, 5, 0, {0}, {0}},
    {"repeat", "FloatStorage", "0", 6, 2, 2, {3, 2}, {0, 1}},
    {"nothing", "FloatStorage", "0", 6, 99, 2, {0, 5}, {5, 1}},
};

void make_small_state(strbuf *pickle, torch_stored *storage, zip_how how) {
    put_state(pickle, torch_small_views, TORCH_N_SMALL);
    *storage = (torch_stored){"0", 6, torch_six, sizeof torch_six, how};
}
