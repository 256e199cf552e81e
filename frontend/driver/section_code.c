/* Coded sections, by zstd; see section_code.h. */
#include "frontend/driver/section_code.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* Higher levels look for longer repetitions, which weights do not have. */
#define LEVEL 5
#define SAVED_AT_LEAST 8 /* one part in so many, else coding is not worth its time when a model is loaded */

size_t section_chunks(size_t n_bytes) { return n_bytes / SECTION_CHUNK_BYTES + (n_bytes % SECTION_CHUNK_BYTES != 0); }

static size_t chunk_bytes(size_t chunk, size_t n_bytes) {
    const size_t left = n_bytes - chunk * SECTION_CHUNK_BYTES;
    return left < SECTION_CHUNK_BYTES ? left : SECTION_CHUNK_BYTES;
}

static unsigned read16(const unsigned char *at) { return at[0] | (unsigned)at[1] << 8; }

/* An odd byte at the end stays as it is. */
static void to_deltas(const unsigned char *from, size_t n, unsigned char *to) {
    const size_t numbers = n / 2;
    unsigned before = 0;
    for (size_t i = 0; i < numbers; i++) {
        const unsigned here = read16(from + 2 * i), delta = here - before;
        to[i] = (unsigned char)delta;
        to[numbers + i] = (unsigned char)(delta >> 8);
        before = here;
    }
    if (n % 2) to[n - 1] = from[n - 1];
}

static void from_deltas(const unsigned char *from, size_t n, unsigned char *to) {
    const size_t numbers = n / 2;
    unsigned here = 0;
    for (size_t i = 0; i < numbers; i++) {
        here += from[i] | (unsigned)from[numbers + i] << 8;
        to[2 * i] = (unsigned char)here;
        to[2 * i + 1] = (unsigned char)(here >> 8);
    }
    if (n % 2) to[n - 1] = from[n - 1];
}

/* ---- writing ---- */

typedef struct encoder {
    ZSTD_CCtx *zstd;
    unsigned char *deltas, *coded; /* of one chunk */
    size_t coded_room;
} encoder;

static bool encoder_make(encoder *e) {
    e->coded_room = ZSTD_compressBound(SECTION_CHUNK_BYTES);
    e->zstd = ZSTD_createCCtx();
    e->deltas = malloc(SECTION_CHUNK_BYTES);
    e->coded = malloc(e->coded_room);
    return e->zstd && e->deltas && e->coded;
}

static void encoder_free(encoder *e) {
    ZSTD_freeCCtx(e->zstd);
    free(e->deltas);
    free(e->coded);
}

/* Appends one coding of all bytes; false when memory is short. */
static bool encode_as(encoder *e, section_coding coding, const unsigned char *bytes, size_t n_bytes, strbuf *out) {
    const size_t chunks = section_chunks(n_bytes), table = out->size;
    const uint32_t none = 0;
    for (size_t i = 0; i < chunks; i++) strbuf_append(out, &none, sizeof none);
    for (size_t i = 0; i < chunks && strbuf_ok(out); i++) {
        const size_t n = chunk_bytes(i, n_bytes);
        const unsigned char *from = bytes + i * SECTION_CHUNK_BYTES;
        if (coding == SECTION_DELTAS) {
            to_deltas(from, n, e->deltas);
            from = e->deltas;
        }
        const size_t coded = ZSTD_compressCCtx(e->zstd, e->coded, e->coded_room, from, n, LEVEL);
        if (ZSTD_isError(coded)) return false; /* the room is what the library asks for: memory */
        strbuf_append(out, e->coded, coded);
        const uint32_t size = (uint32_t)coded;
        if (strbuf_ok(out)) memcpy(out->data + table + i * sizeof size, &size, sizeof size);
    }
    return strbuf_ok(out);
}

static pofac_status encode_best(encoder *e, const unsigned char *bytes, size_t n_bytes, const diag_sink *sink,
                                section_coding *coding, strbuf *out) {
    size_t best = n_bytes - n_bytes / SAVED_AT_LEAST;
    for (section_coding c = SECTION_BYTES; c < N_SECTION_CODINGS; c++) {
        strbuf coded = STRBUF_INIT;
        const bool ok = encode_as(e, c, bytes, n_bytes, &coded);
        if (ok && coded.size < best) {
            best = coded.size;
            *coding = c;
            strbuf_free(out);
            *out = coded;
        } else {
            strbuf_free(&coded);
        }
        if (!ok) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

pofac_status section_encode(const void *bytes, size_t n_bytes, const diag_sink *sink, section_coding *coding, strbuf *out) {
    encoder e = {0};
    strbuf best = STRBUF_INIT;
    *coding = SECTION_RAW;
    pofac_status status = encoder_make(&e) ? encode_best(&e, bytes, n_bytes, sink, coding, &best) : diag_out_of_memory(sink);
    encoder_free(&e);
    if (status == POFAC_OK && *coding != SECTION_RAW) {
        strbuf_append(out, best.data, best.size);
        if (!strbuf_ok(out)) status = diag_out_of_memory(sink);
    }
    strbuf_free(&best);
    return status;
}

/* ---- reading ---- */

struct section_decoder {
    ZSTD_DCtx *zstd;
    unsigned char *deltas; /* of one chunk */
};

section_decoder *section_decoder_create(void) {
    section_decoder *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->zstd = ZSTD_createDCtx();
    d->deltas = malloc(SECTION_CHUNK_BYTES);
    if (d->zstd && d->deltas) return d;
    section_decoder_destroy(d);
    return NULL;
}

void section_decoder_destroy(section_decoder *d) {
    if (!d) return;
    ZSTD_freeDCtx(d->zstd);
    free(d->deltas);
    free(d);
}

/* Where a coded chunk lies; false: the table is not whole, or says what cannot be. */
static bool find_chunk(const unsigned char *coded, size_t coded_bytes, size_t chunk, size_t chunks, const unsigned char **at,
                       size_t *n) {
    if (chunks > coded_bytes / sizeof(uint32_t)) return false;
    size_t begin = chunks * sizeof(uint32_t);
    uint32_t size = 0;
    for (size_t i = 0; i <= chunk; i++) {
        begin += size;
        memcpy(&size, coded + i * sizeof size, sizeof size);
        if (begin > coded_bytes || size > coded_bytes - begin) return false;
    }
    *at = coded + begin;
    *n = size;
    return true;
}

bool section_decode(section_decoder *d, section_coding coding, const unsigned char *coded, size_t coded_bytes, size_t chunk,
                    unsigned char *out, size_t n_bytes) {
    const size_t n = chunk_bytes(chunk, n_bytes);
    const unsigned char *from;
    size_t from_bytes;
    if (!find_chunk(coded, coded_bytes, chunk, section_chunks(n_bytes), &from, &from_bytes)) return false;
    unsigned char *to = out + chunk * SECTION_CHUNK_BYTES, *bytes = coding == SECTION_DELTAS ? d->deltas : to;
    if (ZSTD_decompressDCtx(d->zstd, bytes, n, from, from_bytes) != n) return false;
    if (coding == SECTION_DELTAS) from_deltas(bytes, n, to);
    return true;
}
