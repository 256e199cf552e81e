/* Coded sections, by zstd; see section_code.h. */
#include "frontend/driver/section_code.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* How zstd looks for repetitions. Numbers of weights have few by chance, short ones, which save little and take several times as long to decode as Huffman codes
 * alone; what they are good for, runs of one byte, is found in any case. Texts have many. */
typedef enum search { SEARCH_LONG, SEARCH_ALL, N_SEARCHES } search;

#define ALL_LEVEL 5
#define LONG_LEVEL 1
#define LONG_LEAST 7            /* bytes */
#define SLOW_SAVES_AT_LEAST 16  /* one part in so many of a chunk, else it is not searched for all */
#define CODED_SAVES_AT_LEAST 32 /* likewise, else it stays as it is */
#define SAVED_AT_LEAST 4        /* of a section, else coding is not worth its time when a model is loaded */

#define SIZE_BITS 24 /* of a chunk's bytes in the table */

typedef enum chunk_coding { CHUNK_AS_IT_IS, CHUNK_BYTES, CHUNK_DELTAS, CHUNK_NON_ZEROS, N_CHUNK_CODINGS } chunk_coding;

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
        const uint16_t number = (uint16_t)here;
        memcpy(to + 2 * i, &number, sizeof number); /* little-endian */
    }
    if (n % 2) to[n - 1] = from[n - 1];
}

/* Bits of non-zero bytes, and those bytes; returns how many there are in all. */
static size_t to_non_zeros(const unsigned char *from, size_t n, unsigned char *to) {
    const size_t bits = (n + 7) / 8;
    size_t end = bits;
    memset(to, 0, bits);
    for (size_t i = 0; i < n; i++) {
        if (!from[i]) continue;
        to[i / 8] |= (unsigned char)(1u << i % 8);
        to[end++] = from[i];
    }
    return end;
}

/* Bits [64 i, 64 i + 64) of `bits` bytes, those behind the last as 0. */
static uint64_t read_bits(const unsigned char *from, size_t bits, size_t i) {
    uint64_t word = 0;
    memcpy(&word, from + 8 * i, bits - 8 * i < sizeof word ? bits - 8 * i : sizeof word); /* little-endian */
    return word;
}

/* False: there are not as many bytes as the bits say. */
static bool from_non_zeros(const unsigned char *from, size_t from_bytes, unsigned char *to, size_t n) {
    const size_t bits = (n + 7) / 8;
    size_t at = bits;
    if (from_bytes < bits) return false;
    memset(to, 0, n);
    for (size_t i = 0; 64 * i < n; i++) {
        uint64_t set = read_bits(from, bits, i);
        if (n - 64 * i < 64 && set >> (n - 64 * i)) return false;
        if ((size_t)__builtin_popcountll(set) > from_bytes - at) return false;
        for (; set; set &= set - 1) to[64 * i + (size_t)__builtin_ctzll(set)] = from[at++];
    }
    return at == from_bytes;
}

/* ---- writing ---- */

#define PLAIN_ROOM (SECTION_CHUNK_BYTES + SECTION_CHUNK_BYTES / 8 + 1) /* of a chunk before zstd */

typedef struct encoder {
    ZSTD_CCtx *zstd[N_SEARCHES];
    unsigned char *plain, *coded, *best; /* of one chunk */
    size_t coded_room;
} encoder;

static ZSTD_CCtx *make_zstd(search s) {
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t failed = c ? ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, s == SEARCH_ALL ? ALL_LEVEL : LONG_LEVEL) : 0;
    if (c && s == SEARCH_LONG && !ZSTD_isError(failed)) failed = ZSTD_CCtx_setParameter(c, ZSTD_c_strategy, ZSTD_fast);
    if (c && s == SEARCH_LONG && !ZSTD_isError(failed)) failed = ZSTD_CCtx_setParameter(c, ZSTD_c_minMatch, LONG_LEAST);
    if (!ZSTD_isError(failed)) return c;
    ZSTD_freeCCtx(c);
    return NULL;
}

static bool encoder_make(encoder *e) {
    e->coded_room = ZSTD_compressBound(PLAIN_ROOM);
    for (search s = SEARCH_LONG; s < N_SEARCHES; s++) e->zstd[s] = make_zstd(s);
    e->plain = malloc(PLAIN_ROOM);
    e->coded = malloc(e->coded_room);
    e->best = malloc(SECTION_CHUNK_BYTES);
    return e->zstd[SEARCH_LONG] && e->zstd[SEARCH_ALL] && e->plain && e->coded && e->best;
}

static void encoder_free(encoder *e) {
    for (search s = SEARCH_LONG; s < N_SEARCHES; s++) ZSTD_freeCCtx(e->zstd[s]);
    free(e->plain);
    free(e->coded);
    free(e->best);
}

/* What zstd is given of a chunk. */
static const unsigned char *prepare(encoder *e, chunk_coding coding, const unsigned char *from, size_t *n) {
    if (coding == CHUNK_BYTES) return from;
    if (coding == CHUNK_DELTAS) to_deltas(from, *n, e->plain);
    else *n = to_non_zeros(from, *n, e->plain);
    return e->plain;
}

/* Takes a form of a chunk that is shorter than the best, by what is worth its time; false when memory is short. */
static bool try_form(encoder *e, search s, chunk_coding c, const unsigned char *plain, size_t n, size_t *best,
                     chunk_coding *coding) {
    const size_t coded = ZSTD_compress2(e->zstd[s], e->coded, e->coded_room, plain, n);
    const size_t gain = *coding == CHUNK_AS_IT_IS ? n / CODED_SAVES_AT_LEAST : s == SEARCH_ALL ? *best / SLOW_SAVES_AT_LEAST : 0;
    if (ZSTD_isError(coded)) return false; /* the room is what the library asks for: memory */
    if (coded + gain >= *best) return true;
    *best = coded;
    *coding = c;
    memcpy(e->best, e->coded, coded);
    return true;
}

/* The form of a chunk into e->best, the shortest but for what takes long to decode; returns its bytes, 0 when memory is short. */
static size_t encode_chunk(encoder *e, const unsigned char *from, size_t n, chunk_coding *coding) {
    size_t best = n;
    *coding = CHUNK_AS_IT_IS;
    memcpy(e->best, from, n);
    for (search s = SEARCH_LONG; s < N_SEARCHES; s++)
        for (chunk_coding c = CHUNK_BYTES; c < N_CHUNK_CODINGS; c++) {
            size_t plain_bytes = n;
            const unsigned char *plain = prepare(e, c, from, &plain_bytes);
            if (!try_form(e, s, c, plain, plain_bytes, &best, coding)) return 0;
        }
    return best;
}

static pofac_status encode_chunks(encoder *e, const unsigned char *bytes, size_t n_bytes, const diag_sink *sink, strbuf *out) {
    const size_t chunks = section_chunks(n_bytes);
    const uint32_t none = 0;
    for (size_t i = 0; i < chunks; i++) strbuf_append(out, &none, sizeof none);
    for (size_t i = 0; i < chunks && strbuf_ok(out); i++) {
        chunk_coding coding;
        const size_t n = encode_chunk(e, bytes + i * SECTION_CHUNK_BYTES, chunk_bytes(i, n_bytes), &coding);
        if (n == 0) return diag_out_of_memory(sink);
        const uint32_t entry = (uint32_t)coding << SIZE_BITS | (uint32_t)n;
        strbuf_append(out, e->best, n);
        if (strbuf_ok(out)) memcpy(out->data + i * sizeof entry, &entry, sizeof entry);
    }
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status section_encode(const void *bytes, size_t n_bytes, const diag_sink *sink, section_coding *coding, strbuf *out) {
    encoder e = {0};
    strbuf coded = STRBUF_INIT;
    *coding = SECTION_RAW;
    pofac_status status = encoder_make(&e) ? encode_chunks(&e, bytes, n_bytes, sink, &coded) : diag_out_of_memory(sink);
    encoder_free(&e);
    if (status == POFAC_OK && coded.size < n_bytes - n_bytes / SAVED_AT_LEAST) {
        *coding = SECTION_CODED;
        strbuf_append(out, coded.data, coded.size);
        if (!strbuf_ok(out)) status = diag_out_of_memory(sink);
    }
    strbuf_free(&coded);
    return status;
}

/* ---- reading ---- */

struct section_decoder {
    ZSTD_DCtx *zstd;
    unsigned char *plain; /* of one chunk */
};

section_decoder *section_decoder_create(void) {
    section_decoder *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->zstd = ZSTD_createDCtx();
    d->plain = malloc(PLAIN_ROOM);
    if (d->zstd && d->plain) return d;
    section_decoder_destroy(d);
    return NULL;
}

void section_decoder_destroy(section_decoder *d) {
    if (!d) return;
    ZSTD_freeDCtx(d->zstd);
    free(d->plain);
    free(d);
}

/* Where a coded chunk lies, and how it is coded; false: the table is not whole, or says what cannot be. */
static bool find_chunk(const unsigned char *coded, size_t coded_bytes, size_t chunk, size_t chunks, const unsigned char **at,
                       size_t *n, uint32_t *coding) {
    if (chunks > coded_bytes / sizeof(uint32_t)) return false;
    size_t begin = chunks * sizeof(uint32_t);
    uint32_t entry = 0, size = 0;
    for (size_t i = 0; i <= chunk; i++) {
        begin += size;
        memcpy(&entry, coded + i * sizeof entry, sizeof entry);
        size = entry & ((1u << SIZE_BITS) - 1);
        if (begin > coded_bytes || size > coded_bytes - begin) return false;
    }
    *at = coded + begin;
    *n = size;
    *coding = entry >> SIZE_BITS;
    return true;
}

bool section_decode(section_decoder *d, const unsigned char *coded, size_t coded_bytes, size_t chunk, unsigned char *out,
                    size_t n_bytes) {
    const size_t n = chunk_bytes(chunk, n_bytes);
    const unsigned char *from;
    size_t from_bytes;
    uint32_t coding;
    if (!find_chunk(coded, coded_bytes, chunk, section_chunks(n_bytes), &from, &from_bytes, &coding)) return false;
    unsigned char *to = out + chunk * SECTION_CHUNK_BYTES;
    if (coding == CHUNK_AS_IT_IS) {
        if (from_bytes == n) memcpy(to, from, n);
        return from_bytes == n;
    }
    const size_t plain = ZSTD_decompressDCtx(d->zstd, coding == CHUNK_BYTES ? to : d->plain,
                                             coding == CHUNK_NON_ZEROS ? PLAIN_ROOM : n, from, from_bytes);
    if (ZSTD_isError(plain)) return false;
    if (coding == CHUNK_NON_ZEROS) return from_non_zeros(d->plain, plain, to, n);
    if (coding == CHUNK_DELTAS && plain == n) from_deltas(d->plain, n, to);
    return coding <= CHUNK_DELTAS && plain == n;
}
