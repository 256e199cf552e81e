/*
 * A zip archive's central directory -> entries with their ranges in the file.
 *
 * The end of the central directory stands at the file's end; where a zip64 locator stands before it, the zip64 record has the
 * directory's place. Each entry of the directory has sizes and the place of a local header, behind which the data stand. Everything
 * is checked before anything is used: the local header's name is the directory's, no entry reaches into the directory or into
 * another one, no name stands twice; so there is one way alone to read the file.
 *
 * Source: PKWARE's APPNOTE.TXT 6.3, sections 4.3 (layout), 4.4 (fields) and 4.5.3 (zip64).
 *
 * Left out: archives in several parts, behind other data, encrypted, or packed by anything but deflate.
 */
#include "frontend/checkpoint/torch_zip.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL_SIGNATURE = 0x04034b50,
    ENTRY_SIGNATURE = 0x02014b50,
    END_SIGNATURE = 0x06054b50,
    LOCATOR_SIGNATURE = 0x07064b50,
    END64_SIGNATURE = 0x06064b50,
    LOCAL_BYTES = 30,
    ENTRY_BYTES = 46,
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    MAX_COMMENT_BYTES = 65535,
    ZIP64_FIELD = 1, /* id of the extra field with 64-bit sizes */
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1 /* bit of an entry's flags */
};

#define SHOWN_NAME_BYTES 200u  /* torch's names have up to 20 beside the file's own */
#define IN_ZIP64_16 UINT16_MAX /* a field that is too small says so */
#define IN_ZIP64_32 UINT32_MAX

/* Where the central directory is. */
typedef struct directory {
    uint64_t begin, n_bytes, n_entries;
} directory;

static uint16_t u16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t u32(const unsigned char *p) { return u16(p) | (uint32_t)u16(p + 2) << 16; }
static uint64_t u64(const unsigned char *p) { return u32(p) | (uint64_t)u32(p + 4) << 32; }

pofac_status zip_wrong(const zip_archive *z, const char *entry, const char *format, ...) {
    strbuf message = STRBUF_INIT;
    const size_t n = strlen(entry);
    strbuf_put_json(&message, entry, n > SHOWN_NAME_BYTES ? SHOWN_NAME_BYTES : n);
    strbuf_puts(&message, n > SHOWN_NAME_BYTES ? "...: " : ": ");
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&message, format, args);
    va_end(args);
    diag_place place = {.file = z->file};
    pofac_status status = strbuf_ok(&message) ? diag_error(z->sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&message))
                                              : diag_out_of_memory(z->sink);
    strbuf_free(&message);
    return status;
}

POFAC_PRINTF(2, 3) static pofac_status wrong_directory(const zip_archive *z, const char *format, ...) {
    strbuf message = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&message, format, args);
    va_end(args);
    diag_place place = {.file = z->file};
    pofac_status status = strbuf_ok(&message)
                              ? diag_error(z->sink, POFAC_ERR_INPUT, &place, "zip archive's directory: %s", strbuf_str(&message))
                              : diag_out_of_memory(z->sink);
    strbuf_free(&message);
    return status;
}

/* ---- the directory's place ---- */

/* The end of the central directory, whose comment ends where the file does. */
static pofac_status find_end(const zip_archive *z, size_t *out) {
    const size_t most = END_BYTES + MAX_COMMENT_BYTES;
    for (size_t back = END_BYTES; back <= z->n_bytes && back <= most; back++) {
        const unsigned char *p = z->bytes + (z->n_bytes - back);
        if (u32(p) != END_SIGNATURE || u16(p + 20) != back - END_BYTES) continue;
        *out = z->n_bytes - back;
        return POFAC_OK;
    }
    return wrong_directory(z, "not found at the end of the %zu bytes: the file is cut short", z->n_bytes);
}

/* A field of the end record, which a zip64 record has too, in 64 bits: either both agree, or the small one refers to the other. */
static bool fields_agree(uint64_t small, uint64_t says_see_other, uint64_t wide) {
    return small == says_see_other || small == wide;
}

/* Reads the zip64 record, if there is one; *end becomes where it begins. */
static pofac_status read_end64(const zip_archive *z, const unsigned char *small, directory *d, size_t *end) {
    if (*end < LOCATOR_BYTES) return POFAC_OK;
    const unsigned char *locator = z->bytes + (*end - LOCATOR_BYTES);
    if (u32(locator) != LOCATOR_SIGNATURE) return POFAC_OK;
    const uint64_t at = u64(locator + 8), limit = *end - LOCATOR_BYTES;
    if (u32(locator + 4) != 0 || u32(locator + 16) > 1) return wrong_directory(z, "found an archive of several parts, wanted one");
    if (limit < END64_BYTES || at > limit - END64_BYTES || u32(z->bytes + at) != END64_SIGNATURE)
        return wrong_directory(z, "found no zip64 record at byte %" PRIu64 ", where its locator has it", at);
    const unsigned char *p = z->bytes + at;
    if (u32(p + 16) != 0 || u32(p + 20) != 0) return wrong_directory(z, "found an archive of several parts, wanted one");
    *d = (directory){.begin = u64(p + 48), .n_bytes = u64(p + 40), .n_entries = u64(p + 32)};
    if (!fields_agree(u16(small + 10), IN_ZIP64_16, d->n_entries) || !fields_agree(u32(small + 12), IN_ZIP64_32, d->n_bytes) ||
        !fields_agree(u32(small + 16), IN_ZIP64_32, d->begin))
        return wrong_directory(z, "found a zip64 record that contradicts the end record");
    *end = (size_t)at;
    return POFAC_OK;
}

static pofac_status find_directory(const zip_archive *z, directory *d) {
    size_t end = 0;
    TRY(find_end(z, &end));
    const unsigned char *p = z->bytes + end;
    if (u16(p + 4) != 0 || u16(p + 6) != 0) return wrong_directory(z, "found an archive of several parts, wanted one");
    *d = (directory){.begin = u32(p + 16), .n_bytes = u32(p + 12), .n_entries = u16(p + 10)};
    TRY(read_end64(z, p, d, &end));
    if (d->begin > end || d->n_bytes > end - d->begin)
        return wrong_directory(z, "found bytes %" PRIu64 " and %" PRIu64 " more, wanted a range within the first %zu", d->begin,
                               d->n_bytes, end);
    if (d->n_entries > d->n_bytes / ENTRY_BYTES)
        return wrong_directory(z, "found %" PRIu64 " bytes for %" PRIu64 " entries, wanted at least %d for each", d->n_bytes,
                               d->n_entries, ENTRY_BYTES);
    return POFAC_OK;
}

/* ---- entries ---- */

/* The next 8 bytes of a zip64 field, where the small field refers to them. */
static bool widen(const unsigned char **field, size_t *n, uint64_t *value) {
    if (*value != IN_ZIP64_32) return true;
    if (*n < 8) return false;
    *value = u64(*field);
    *field += 8;
    *n -= 8;
    return true;
}

/* Sizes and place that do not fit in 32 bits stand in an extra field. Without it the small fields are what they say. */
static pofac_status read_zip64_field(const zip_archive *z, zip_entry *e, const unsigned char *extra, size_t n) {
    while (n >= 4) {
        const uint16_t id = u16(extra);
        size_t size = u16(extra + 2);
        if (size > n - 4) break;
        const unsigned char *field = extra + 4;
        extra += 4 + size;
        n -= 4 + size;
        if (id != ZIP64_FIELD) continue;
        if (widen(&field, &size, &e->bytes) && widen(&field, &size, &e->packed_bytes) && widen(&field, &size, &e->begin))
            return POFAC_OK;
        return zip_wrong(z, e->name, "found a zip64 field that is cut short");
    }
    return POFAC_OK;
}

/* The local header has the same name, and the data behind it end before the directory. */
static pofac_status find_data(const zip_archive *z, zip_entry *e, size_t name_bytes, uint64_t limit) {
    if (limit < LOCAL_BYTES || e->begin > limit - LOCAL_BYTES || u32(z->bytes + e->begin) != LOCAL_SIGNATURE)
        return zip_wrong(z, e->name, "found no header at byte %" PRIu64 ", where the directory has it", e->begin);
    const unsigned char *p = z->bytes + e->begin;
    const uint64_t header_bytes = LOCAL_BYTES + (uint64_t)u16(p + 26) + u16(p + 28);
    if (header_bytes > limit - e->begin)
        return zip_wrong(z, e->name, "found a header at byte %" PRIu64 " that reaches into the directory", e->begin);
    if (u16(p + 26) != name_bytes || memcmp(p + LOCAL_BYTES, e->name, name_bytes) != 0)
        return zip_wrong(z, e->name, "found another name in the header at byte %" PRIu64, e->begin);
    if (e->packed_bytes > limit - e->begin - header_bytes)
        return zip_wrong(z, e->name, "found %" PRIu64 " bytes from byte %" PRIu64 " on, wanted %" PRIu64,
                         limit - e->begin - header_bytes, e->begin + header_bytes, e->packed_bytes);
    e->end = e->begin + header_bytes + e->packed_bytes;
    return POFAC_OK;
}

/* Reads the entry at *at of the directory, which ends at `end`, and moves *at behind it. */
static pofac_status read_entry(zip_archive *z, const directory *d, uint64_t *at, zip_entry *e) {
    const uint64_t left = d->begin + d->n_bytes - *at;
    const unsigned char *p = z->bytes + *at;
    if (left < ENTRY_BYTES || u32(p) != ENTRY_SIGNATURE) return wrong_directory(z, "found no entry at byte %" PRIu64, *at);
    const size_t name_bytes = u16(p + 28), extra_bytes = u16(p + 30);
    const uint64_t all_bytes = ENTRY_BYTES + (uint64_t)name_bytes + extra_bytes + u16(p + 32);
    if (all_bytes > left) return wrong_directory(z, "found an entry at byte %" PRIu64 " that reaches over its end", *at);
    const char *name = (const char *)p + ENTRY_BYTES;
    if (name_bytes == 0 || memchr(name, 0, name_bytes))
        return wrong_directory(z, "found an entry at byte %" PRIu64 " without a name, or with one that has a zero byte", *at);
    bool is_new;
    const strmap_entry *key = strmap_put(&z->by_name, name, name_bytes, z->n_entries, &is_new);
    if (!key) return diag_out_of_memory(z->sink);
    *e = (zip_entry){.name = key->key,
                     .flags = u16(p + 8),
                     .method = u16(p + 10),
                     .crc = u32(p + 16),
                     .packed_bytes = u32(p + 20),
                     .bytes = u32(p + 24),
                     .begin = u32(p + 42)};
    if (!is_new) return zip_wrong(z, e->name, "found twice, wanted once");
    TRY(read_zip64_field(z, e, p + ENTRY_BYTES + name_bytes, extra_bytes));
    TRY(find_data(z, e, name_bytes, d->begin));
    *at += all_bytes;
    return POFAC_OK;
}

static int by_begin(const void *a, const void *b) {
    const zip_entry *x = *(const zip_entry *const *)a, *y = *(const zip_entry *const *)b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static pofac_status check_overlaps(const zip_archive *z) {
    const zip_entry **order = malloc((z->n_entries + 1) * sizeof *order);
    if (!order) return diag_out_of_memory(z->sink);
    for (size_t i = 0; i < z->n_entries; i++) order[i] = &z->entries[i];
    qsort(order, z->n_entries, sizeof *order, by_begin);
    pofac_status status = POFAC_OK;
    for (size_t i = 1; status == POFAC_OK && i < z->n_entries; i++)
        if (order[i]->begin < order[i - 1]->end)
            status =
                zip_wrong(z, order[i]->name, "found at byte %" PRIu64 ", wanted it from byte %" PRIu64 ", where another entry ends",
                          order[i]->begin, order[i - 1]->end);
    free(order);
    return status;
}

pofac_status zip_open(const char *file, const void *bytes, size_t n_bytes, arena *memory, const diag_sink *sink, zip_archive *out) {
    *out = (zip_archive){.file = file, .bytes = bytes, .n_bytes = n_bytes, .by_name = STRMAP_INIT, .memory = memory, .sink = sink};
    directory d = {0};
    TRY(find_directory(out, &d));
    out->entries = calloc((size_t)d.n_entries + 1, sizeof *out->entries);
    if (!out->entries) return diag_out_of_memory(sink);
    uint64_t at = d.begin;
    for (; out->n_entries < d.n_entries; out->n_entries++) TRY(read_entry(out, &d, &at, &out->entries[out->n_entries]));
    return check_overlaps(out);
}

void zip_close(zip_archive *z) {
    free(z->entries);
    strmap_free(&z->by_name);
    *z = (zip_archive){.by_name = STRMAP_INIT};
}

zip_entry *zip_find(const zip_archive *z, const char *name) {
    const strmap_entry *found = strmap_get(&z->by_name, name, strlen(name));
    return found ? &z->entries[found->value] : NULL;
}

/* ---- data ---- */

static void *take_memory(void *user, unsigned count, unsigned size) {
    (void)user;
    return calloc(count, size);
}

static void give_memory(void *user, void *p) {
    (void)user;
    free(p);
}

/* zlib counts what it takes in 32 bits: hands over the next piece of what is left. */
static void hand_over(unsigned *piece, uint64_t *left) {
    if (*piece) return;
    *piece = *left < UINT_MAX ? (unsigned)*left : UINT_MAX;
    *left -= *piece;
}

/* Inflates exactly into `out`; Z_STREAM_END when that went well, Z_MEM_ERROR, or anything else for data that are malformed, shorter
 * or longer. */
static int inflate_all(z_stream *s, const unsigned char *packed, const zip_entry *e, unsigned char *out) {
    uint64_t in_left = e->packed_bytes, out_left = e->bytes;
    unsigned char nothing;
    int result = Z_OK;
    s->next_in = (unsigned char *)(uintptr_t)packed; /* zlib reads only */
    s->next_out = e->bytes ? out : &nothing;
    while (result == Z_OK) {
        hand_over(&s->avail_in, &in_left);
        hand_over(&s->avail_out, &out_left);
        result = inflate(s, Z_NO_FLUSH);
    }
    const bool exact = in_left + s->avail_in == 0 && out_left + s->avail_out == 0;
    return result == Z_STREAM_END && !exact ? Z_DATA_ERROR : result;
}

static bool has_crc(const unsigned char *bytes, uint64_t n, uint32_t wanted) {
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, (size_t)n) == wanted;
}

static pofac_status inflate_entry(zip_archive *z, zip_entry *e, const unsigned char *packed) {
    if (e->bytes > ZIP_MAX_RATIO * (uint64_t)z->n_bytes + ZIP_FREE_BYTES - z->inflated_bytes)
        return zip_wrong(z, e->name,
                         "found %" PRIu64 " bytes in %" PRIu64 " compressed ones, wanted at most %d times as many in all", e->bytes,
                         e->packed_bytes, ZIP_MAX_RATIO);
    unsigned char *out = arena_alloc(z->memory, (size_t)e->bytes);
    z_stream s = {.zalloc = take_memory, .zfree = give_memory};
    if (!out || inflateInit2(&s, -MAX_WBITS) != Z_OK) return diag_out_of_memory(z->sink); /* negative: no header of zlib's */
    const int result = inflate_all(&s, packed, e, out);
    inflateEnd(&s);
    if (result == Z_MEM_ERROR) return diag_out_of_memory(z->sink);
    if (result != Z_STREAM_END)
        return zip_wrong(z, e->name, "found malformed compressed data, wanted %" PRIu64 " bytes in them", e->bytes);
    if (!has_crc(out, e->bytes, e->crc)) return zip_wrong(z, e->name, "found data with another checksum: the file is damaged");
    z->inflated_bytes += e->bytes;
    e->inflated = out;
    return POFAC_OK;
}

pofac_status zip_read(zip_archive *z, zip_entry *e, const unsigned char **out) {
    const unsigned char *packed = z->bytes + (e->end - e->packed_bytes);
    if (e->flags & ENCRYPTED) return zip_wrong(z, e->name, "found encrypted data, wanted them plain");
    if (e->method != STORED && e->method != DEFLATED)
        return zip_wrong(z, e->name, "found compression method %d, wanted 0 (stored) or 8 (deflated)", e->method);
    if (e->method == STORED && e->packed_bytes != e->bytes)
        return zip_wrong(z, e->name, "found %" PRIu64 " bytes stored, wanted %" PRIu64, e->packed_bytes, e->bytes);
    if (e->method == DEFLATED && !e->inflated) TRY(inflate_entry(z, e, packed));
    *out = e->method == DEFLATED ? e->inflated : packed;
    return POFAC_OK;
}
