/*
 * Coded sections; see section_code.h. Numbers of weights have few repetitions by chance, short ones, so that zstd makes them a fifth
 * shorter than codes of one width do, and takes several times as long to decode.
 */
#include "frontend/driver/section_code.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* How zstd looks for repetitions: of numbers as little as possible, since Huffman codes alone decode faster; of texts all. */
typedef enum search { SEARCH_LONG, SEARCH_ALL, N_SEARCHES } search;

#define ALL_LEVEL 5
#define LONG_LEVEL 1
#define LONG_LEAST 7           /* bytes */
#define SLOW_SAVES_AT_LEAST 16 /* one part in so many of a chunk, else it is not searched for all */
#define ZSTD_SAVES_AT_LEAST 3  /* likewise, else zstd is not used where codes of one width are, or none */
#define NARROW_SAVES_AT_LEAST                                                                                                      \
    4 /* likewise, else codes of 4 bits leave too many numbers without one, each of which is a branch that goes wrong */
#define CODED_SAVES_AT_LEAST 32 /* likewise, else a chunk stays as it is */
#define SAVED_AT_LEAST 4        /* of a section, else coding is not worth its time when a model is loaded */

#define SIZE_BITS 24 /* of a chunk's bytes in the table */

typedef enum chunk_coding {
    CHUNK_AS_IT_IS,
    CHUNK_GAPS_8,
    CHUNK_GAPS_4,
    CHUNK_NON_ZEROS,
    CHUNK_ZSTD,
    CHUNK_ZSTD_DELTAS,
    CHUNK_ZSTD_NON_ZEROS,
    N_CHUNK_CODINGS
} chunk_coding;

#define PLAIN_ROOM (2 * SECTION_CHUNK_BYTES) /* of a chunk before zstd, in any coding */

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

/* ---- gaps ---- */

#define MOST_SHIFT 7
#define LANES UINT64_C(0x0001000100010001) /* times a number of 16 bits: that four times */

static unsigned top_code(unsigned bits) { return (1u << bits) - 1; }

/* The code of a number: its distance from the one before, in steps of 2^shift, less 1; the greatest code where that is none. */
static unsigned code_of(unsigned here, unsigned before, unsigned bits, unsigned shift) {
    const unsigned gap = here - before, top = top_code(bits);
    const bool has_code = here > before && gap % (1u << shift) == 0 && gap >> shift <= top;
    return has_code ? (gap >> shift) - 1 : top;
}

static size_t count_without_code(const unsigned char *from, size_t numbers, unsigned bits, unsigned shift) {
    unsigned before = 0;
    size_t count = 0;
    for (size_t i = 0; i < numbers; i++) {
        const unsigned here = read16(from + 2 * i);
        count += code_of(here, before, bits, shift) == top_code(bits);
        before = here;
    }
    return count;
}

static unsigned best_shift(const unsigned char *from, size_t numbers, unsigned bits) {
    size_t least = SIZE_MAX;
    unsigned best = 0;
    for (unsigned shift = 0; shift <= MOST_SHIFT; shift++) {
        const size_t count = count_without_code(from, numbers, bits, shift);
        if (count < least) best = shift;
        if (count < least) least = count;
    }
    return best;
}

static size_t codes_bytes(size_t numbers, unsigned bits) { return (numbers * bits + 7) / 8; }

/* Returns how many bytes there are in all. */
static size_t to_gaps(const unsigned char *from, size_t n, unsigned bits, unsigned char *to) {
    const size_t numbers = n / 2, per_byte = 8 / bits;
    const unsigned shift = best_shift(from, numbers, bits);
    unsigned char *codes = to + 1;
    size_t end = 1 + codes_bytes(numbers, bits);
    unsigned before = 0;
    to[0] = (unsigned char)shift;
    memset(codes, 0, end - 1);
    for (size_t i = 0; i < numbers; i++) {
        const unsigned here = read16(from + 2 * i), code = code_of(here, before, bits, shift), gap = here - before;
        codes[i / per_byte] |= (unsigned char)(code << bits * (i % per_byte));
        if (code == top_code(bits)) {
            to[end++] = (unsigned char)gap;
            to[end++] = (unsigned char)(gap >> 8);
        }
        before = here;
    }
    if (n % 2) to[end++] = from[n - 1];
    return end;
}

/* Four codes from number i on, a multiple of 4, 16 bits for each. */
static uint64_t four_codes(const unsigned char *codes, size_t i, unsigned bits) {
    uint32_t packed = 0;
    if (bits == 8) {
        memcpy(&packed, codes + i, sizeof packed); /* little-endian */
    } else {
        packed = codes[i / 2] | (uint32_t)codes[i / 2 + 1] << 16;
        packed = (packed | packed << 4) & 0x0f0f0f0f;
    }
    const uint64_t pairs = (packed | (uint64_t)packed << 16) & UINT64_C(0x0000ffff0000ffff);
    return (pairs | pairs << 8) & UINT64_C(0x00ff00ff00ff00ff);
}

static bool has_lane(uint64_t lanes, unsigned value) {
    const uint64_t zero_where = lanes ^ value * LANES;
    return ((zero_where - LANES) & ~zero_where & LANES << 15) != 0;
}

typedef struct gap_reader {
    const unsigned char *codes, *rest, *end; /* rest: gaps without a code that are not read yet, up to end */
    unsigned bits, shift, before;
} gap_reader;

/* Number i into `to`; false: there are fewer gaps than codes call for. */
static bool read_number(gap_reader *r, size_t i, unsigned char *to) {
    const size_t per_byte = 8 / r->bits;
    const unsigned code = r->codes[i / per_byte] >> r->bits * (i % per_byte) & top_code(r->bits);
    unsigned gap = (code + 1) << r->shift;
    if (code == top_code(r->bits)) {
        if (r->end - r->rest < 2) return false;
        gap = read16(r->rest);
        r->rest += 2;
    }
    r->before = (r->before + gap) & 0xffff;
    to[2 * i] = (unsigned char)r->before;
    to[2 * i + 1] = (unsigned char)(r->before >> 8);
    return true;
}

static bool from_gaps(const unsigned char *from, size_t from_bytes, unsigned bits, unsigned char *to, size_t n) {
    const size_t numbers = n / 2, codes = 1 + codes_bytes(numbers, bits), odd = n % 2;
    if (from_bytes < codes + odd || from[0] > MOST_SHIFT) return false;
    gap_reader r = {.codes = from + 1, .rest = from + codes, .end = from + from_bytes - odd, .bits = bits, .shift = from[0]};
    const unsigned top = top_code(bits), shift = r.shift;
    uint64_t before = 0;
    size_t i = 0;
    for (; i + 4 <= numbers; i += 4) {
        const uint64_t four = four_codes(from + 1, i, bits);
        if (!has_lane(four, top)) { /* sums of gaps by one product: no number with a code is beyond 16 bits */
            const uint64_t sums = (((four + LANES) << shift) + before) * LANES;
            memcpy(to + 2 * i, &sums, sizeof sums); /* little-endian */
            before = sums >> 48;
            continue;
        }
        r.before = (unsigned)before;
        for (size_t k = i; k < i + 4; k++)
            if (!read_number(&r, k, to)) return false;
        before = r.before;
    }
    r.before = (unsigned)before;
    for (; i < numbers; i++)
        if (!read_number(&r, i, to)) return false;
    if (odd) to[n - 1] = *r.end;
    return r.rest == r.end;
}

/* ---- non-zeros ---- */

/* How the first bytes of eight go to the places that the bits of a byte name: some of them up by four places, then by two, by one ("expand", H. Warren,
 * Hacker's Delight, 7-5). */
typedef struct spread {
    uint64_t moved[3]; /* bytes that come from 4, 2, 1 places below */
    uint64_t kept;     /* those that count in the end */
    size_t bytes;      /* how many they are */
} spread;

static spread make_spread(unsigned bits) {
    spread s = {.bytes = 0};
    for (unsigned place = 0; place < 8; place++) {
        if (!(bits >> place & 1)) continue;
        unsigned at = (unsigned)s.bytes++;
        const unsigned way = place - at;
        for (unsigned k = 0; k < 3; k++) {
            const unsigned step = 4u >> k;
            if (!(way & step)) continue;
            at += step;
            s.moved[k] |= UINT64_C(0xff) << 8 * at;
        }
        s.kept |= UINT64_C(0xff) << 8 * place;
    }
    return s;
}

static uint64_t spread_bytes(const spread *s, uint64_t bytes) {
    for (unsigned k = 0; k < 3; k++) bytes ^= (bytes << (32u >> k) ^ bytes) & s->moved[k];
    return bytes & s->kept;
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

/* False: there are not as many bytes as the bits say. */
static bool from_non_zeros(const spread *spreads, const unsigned char *from, size_t from_bytes, unsigned char *to, size_t n) {
    const size_t bits = (n + 7) / 8;
    if (from_bytes < bits) return false;
    const unsigned char *at = from + bits, *const end = from + from_bytes;
    size_t i = 0;
    for (; i < n / 8 && end - at >= 8; i++) {
        const spread *s = &spreads[from[i]];
        uint64_t bytes;
        memcpy(&bytes, at, sizeof bytes); /* little-endian */
        bytes = spread_bytes(s, bytes);
        memcpy(to + 8 * i, &bytes, sizeof bytes);
        at += s->bytes;
    }
    for (size_t k = 8 * i; k < 8 * bits; k++) {
        const bool is_set = from[k / 8] >> k % 8 & 1;
        if (is_set && (k >= n || at == end)) return false;
        if (k < n) to[k] = is_set ? *at++ : 0;
    }
    return at == end;
}

/* ---- writing ---- */

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

/* A chunk in a coding, or what zstd is given of it. */
static const unsigned char *prepare(encoder *e, chunk_coding coding, const unsigned char *from, size_t *n) {
    if (coding == CHUNK_AS_IT_IS || coding == CHUNK_ZSTD) return from;
    if (coding == CHUNK_ZSTD_DELTAS) to_deltas(from, *n, e->plain);
    else if (coding == CHUNK_GAPS_4 || coding == CHUNK_GAPS_8) *n = to_gaps(from, *n, coding == CHUNK_GAPS_4 ? 4 : 8, e->plain);
    else *n = to_non_zeros(from, *n, e->plain);
    return e->plain;
}

/* The form of a chunk that is the best by now, in encoder.best. */
typedef struct form {
    chunk_coding coding;
    size_t bytes;
} form;

static void try_form(encoder *e, chunk_coding coding, const unsigned char *bytes, size_t n, size_t gain, form *best) {
    if (n + gain >= best->bytes) return;
    *best = (form){coding, n};
    memcpy(e->best, bytes, n);
}

/* By how much a form must be shorter than the best by now. */
static size_t least_gain(chunk_coding coding, search s, const form *best) {
    if (coding >= CHUNK_ZSTD && best->coding < CHUNK_ZSTD) return best->bytes / ZSTD_SAVES_AT_LEAST;
    if (coding >= CHUNK_ZSTD) return s == SEARCH_ALL ? best->bytes / SLOW_SAVES_AT_LEAST : 0;
    if (best->coding == CHUNK_AS_IT_IS) return best->bytes / CODED_SAVES_AT_LEAST;
    return coding == CHUNK_GAPS_4 ? best->bytes / NARROW_SAVES_AT_LEAST : 0;
}

/* Forms of codes of one width. */
static void try_plain(encoder *e, const unsigned char *from, size_t n, form *best) {
    for (chunk_coding c = CHUNK_GAPS_8; c < CHUNK_ZSTD; c++) {
        size_t bytes = n;
        const unsigned char *plain = prepare(e, c, from, &bytes);
        try_form(e, c, plain, bytes, least_gain(c, N_SEARCHES, best), best);
    }
}

/* Forms that zstd makes; false when memory is short. */
static bool try_zstd(encoder *e, search s, const unsigned char *from, size_t n, form *best) {
    for (chunk_coding c = CHUNK_ZSTD; c < N_CHUNK_CODINGS; c++) {
        size_t plain_bytes = n;
        const unsigned char *plain = prepare(e, c, from, &plain_bytes);
        const size_t coded = ZSTD_compress2(e->zstd[s], e->coded, e->coded_room, plain, plain_bytes);
        if (ZSTD_isError(coded)) return false; /* the room is what the library asks for: memory */
        try_form(e, c, e->coded, coded, least_gain(c, s, best), best);
    }
    return true;
}

/* The form of a chunk, the shortest but for what takes long to decode; false when memory is short. */
static bool encode_chunk(encoder *e, const unsigned char *from, size_t n, form *best) {
    *best = (form){CHUNK_AS_IT_IS, n};
    memcpy(e->best, from, n);
    try_plain(e, from, n, best);
    return try_zstd(e, SEARCH_LONG, from, n, best) && try_zstd(e, SEARCH_ALL, from, n, best);
}

static pofac_status encode_chunks(encoder *e, const unsigned char *bytes, size_t n_bytes, const diag_sink *sink, strbuf *out) {
    const size_t chunks = section_chunks(n_bytes);
    const uint32_t none = 0;
    for (size_t i = 0; i < chunks; i++) strbuf_append(out, &none, sizeof none);
    for (size_t i = 0; i < chunks && strbuf_ok(out); i++) {
        form best;
        if (!encode_chunk(e, bytes + i * SECTION_CHUNK_BYTES, chunk_bytes(i, n_bytes), &best)) return diag_out_of_memory(sink);
        const uint32_t entry = (uint32_t)best.coding << SIZE_BITS | (uint32_t)best.bytes;
        strbuf_append(out, e->best, best.bytes);
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
    spread spreads[256];  /* by bits */
};

section_decoder *section_decoder_create(void) {
    section_decoder *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->zstd = ZSTD_createDCtx();
    d->plain = malloc(PLAIN_ROOM);
    for (unsigned bits = 0; bits < 256; bits++) d->spreads[bits] = make_spread(bits);
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
    }
    if (begin > coded_bytes || size > coded_bytes - begin) return false;
    *at = coded + begin;
    *n = size;
    *coding = entry >> SIZE_BITS;
    return true;
}

/* Chunks that zstd has no part in. */
static bool decode_plain(const section_decoder *d, uint32_t coding, const unsigned char *from, size_t from_bytes, unsigned char *to,
                         size_t n) {
    if (coding == CHUNK_GAPS_4 || coding == CHUNK_GAPS_8) return from_gaps(from, from_bytes, coding == CHUNK_GAPS_4 ? 4 : 8, to, n);
    if (coding == CHUNK_NON_ZEROS) return from_non_zeros(d->spreads, from, from_bytes, to, n);
    if (from_bytes == n) memcpy(to, from, n);
    return from_bytes == n;
}

bool section_decode(section_decoder *d, const unsigned char *coded, size_t coded_bytes, size_t chunk, unsigned char *out,
                    size_t n_bytes) {
    const size_t n = chunk_bytes(chunk, n_bytes);
    const unsigned char *from;
    size_t from_bytes;
    uint32_t coding;
    if (!find_chunk(coded, coded_bytes, chunk, section_chunks(n_bytes), &from, &from_bytes, &coding)) return false;
    unsigned char *to = out + chunk * SECTION_CHUNK_BYTES;
    if (coding < CHUNK_ZSTD) return decode_plain(d, coding, from, from_bytes, to, n);
    const size_t plain = ZSTD_decompressDCtx(d->zstd, coding == CHUNK_ZSTD ? to : d->plain,
                                             coding == CHUNK_ZSTD_NON_ZEROS ? PLAIN_ROOM : n, from, from_bytes);
    if (ZSTD_isError(plain)) return false;
    if (coding == CHUNK_ZSTD_NON_ZEROS) return from_non_zeros(d->spreads, d->plain, plain, to, n);
    if (coding == CHUNK_ZSTD_DELTAS && plain == n) from_deltas(d->plain, n, to);
    return coding <= CHUNK_ZSTD_DELTAS && plain == n;
}
