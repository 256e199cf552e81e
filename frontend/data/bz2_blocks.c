/*
 * Blocks of bzip2 files. libbz2 knows whole streams only, so a block is handed to it as a stream of one block: a stream's header,
 * the block's bits moved to the beginning of a byte, and a stream's end, whose checksum is the block's own.
 */
#include "frontend/data/bz2_blocks.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MARK UINT64_C(0x314159265359)
#define END_MARK UINT64_C(0x177245385090)
#define MARK_MASK UINT64_C(0xffffffffffff)

enum {
    HEADER_BYTES = 4,
    CRC_BITS = 32,
    TRAILER_BYTES = 11, /* 80 bits that begin anywhere in a byte */
    MAX_TRIES = 4,      /* marks that may stand by chance in one block; one is rarer than 1 in 1000 in all of Wikipedia */
    OUT_STEP_BYTES = 1 << 20,
    FIRST_STEP_BITS = 1 << 16 /* looked back on at once, then twice as many */
};

/* 900,000 symbols of at most 20 bits, and 18,002 selectors, tables and the rest in less than 64 KiB. */
#define MAX_BLOCK_BYTES ((uint64_t)900000 * 20 / 8 + 65536)

/* possible[k][b]: the shifts 0..7 (as bits) with which byte k + 1 of eight can be b where a mark begins in byte 0: bits 0-7 for the
 * mark of blocks, 8-15 for that of ends. Both bytes lie wholly within a mark whatever the shift. */
void bz2_file_init(const unsigned char *bytes, size_t n, bz2_file *out) {
    memset(out, 0, sizeof *out);
    out->bytes = bytes;
    out->n = n;
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned shift = 0; shift < 8; shift++) {
            const unsigned down = BZ2_MARK_BITS - 16 - 8 * k + shift; /* brings byte k + 1 of the shifted mark to the bottom */
            out->possible[k][BLOCK_MARK >> down & 0xff] |= (uint16_t)(1u << shift);
            out->possible[k][END_MARK >> down & 0xff] |= (uint16_t)(256u << shift);
        }
    }
}

/* 48 bits from a bit on, zeros behind the file's end. */
static uint64_t bits48(const bz2_file *f, uint64_t bit) {
    const size_t at = (size_t)(bit / 8);
    uint64_t word = 0;
    for (size_t i = 0; i < 7; i++) word = word << 8 | (at + i < f->n ? f->bytes[at + i] : 0);
    return word >> (8 - bit % 8) & MARK_MASK;
}

bool bz2_next_mark(const bz2_file *f, uint64_t from, uint64_t to, bz2_mark *out) {
    const uint64_t n_bits = (uint64_t)f->n * 8;
    if (n_bits < BZ2_MARK_BITS) return false;
    if (to > n_bits - BZ2_MARK_BITS + 1) to = n_bits - BZ2_MARK_BITS + 1;
    for (uint64_t at = from / 8; at * 8 < to; at++) {
        unsigned shifts = f->possible[0][f->bytes[at + 1]] & f->possible[1][f->bytes[at + 2]];
        for (; shifts; shifts &= shifts - 1) {
            const unsigned shift = (unsigned)__builtin_ctz(shifts) & 7;
            const uint64_t bit = at * 8 + shift, found = bits48(f, bit);
            if (bit < from || bit >= to || (found != BLOCK_MARK && found != END_MARK)) continue;
            *out = (bz2_mark){bit, found == BLOCK_MARK};
            return true;
        }
    }
    return false;
}

bool bz2_previous_mark(const bz2_file *f, uint64_t bit, bz2_mark *out) {
    const uint64_t reach = bit < MAX_BLOCK_BYTES * 8 ? 0 : bit - MAX_BLOCK_BYTES * 8;
    uint64_t to = bit;
    for (uint64_t step = FIRST_STEP_BITS; to > reach; step *= 2) {
        const uint64_t from = to - reach > step ? to - step : reach;
        bool found = false;
        bz2_mark mark;
        for (uint64_t at = from; bz2_next_mark(f, at, to, &mark); at = mark.bit + 1) {
            *out = mark;
            found = true;
        }
        if (found) return true;
        to = from;
    }
    return false;
}

/* ---- one block as a stream ---- */

static void put_bits(unsigned char *bytes, uint64_t at, uint64_t value, unsigned n) {
    for (unsigned i = 0; i < n; i++, at++) {
        const unsigned char one = (unsigned char)(0x80u >> (at % 8));
        if (value >> (n - 1 - i) & 1) bytes[at / 8] |= one;
        else bytes[at / 8] &= (unsigned char)~one;
    }
}

/* The bits [from, to) of the file as a stream, in *out, which the caller frees. NULL when memory is short. */
static unsigned char *stream_of(const bz2_file *f, uint64_t from, uint64_t to, size_t *n) {
    const uint64_t n_bits = to - from;
    const size_t n_bytes = (size_t)((n_bits + 7) / 8);
    unsigned char *stream = malloc(HEADER_BYTES + n_bytes + TRAILER_BYTES);
    if (!stream) return NULL;
    memcpy(stream, "BZh9", HEADER_BYTES);
    const unsigned char *in = f->bytes + from / 8;
    unsigned char *out = stream + HEADER_BYTES;
    const unsigned shift = (unsigned)(from % 8);
    const size_t left = f->n - (size_t)(from / 8);
    for (size_t i = 0; i < n_bytes; i++) out[i] = (unsigned char)(in[i] << shift | (i + 1 < left ? in[i + 1] : 0) >> (8 - shift));
    const uint64_t crc = bits48(f, from + BZ2_MARK_BITS) >> (BZ2_MARK_BITS - CRC_BITS);
    put_bits(out, n_bits, END_MARK, BZ2_MARK_BITS);
    put_bits(out, n_bits + BZ2_MARK_BITS, crc, CRC_BITS);
    *n = (size_t)(HEADER_BYTES + (n_bits + BZ2_END_BITS + 7) / 8);
    return stream;
}

static void *take_memory(void *user, int count, int size) {
    (void)user;
    return malloc((size_t)count * (size_t)size);
}

static void give_memory(void *user, void *p) {
    (void)user;
    free(p);
}

static bool make_room(strbuf *out, size_t n) {
    if (out->capacity - out->size > n) return true;
    const size_t before = out->size, wanted = 2 * (out->size + n);
    char *data = realloc(out->data, wanted);
    if (!data) return false;
    *out = (strbuf){.data = data, .size = before, .capacity = wanted};
    return true;
}

/* Appends the decompressed stream; libbz2's status. */
static int decompress(const unsigned char *stream, size_t n, strbuf *out) {
    bz_stream s = {.bzalloc = take_memory, .bzfree = give_memory};
    int status = BZ2_bzDecompressInit(&s, 0, 0);
    if (status != BZ_OK) return status;
    s.next_in = (char *)(uintptr_t)stream; /* libbz2 reads only */
    s.avail_in = (unsigned)n;
    do {
        if (!make_room(out, OUT_STEP_BYTES)) {
            status = BZ_MEM_ERROR;
            break;
        }
        s.next_out = out->data + out->size;
        s.avail_out = OUT_STEP_BYTES;
        status = BZ2_bzDecompress(&s);
        out->size += OUT_STEP_BYTES - s.avail_out;
        out->data[out->size] = 0;
        if (status == BZ_OK && s.avail_out > 0) status = BZ_UNEXPECTED_EOF; /* it wants more input */
    } while (status == BZ_OK);
    BZ2_bzDecompressEnd(&s);
    return status;
}

/* bzip2's checksum: polynomial 0x04c11db7, highest bit first. */
static uint32_t checksum(const char *bytes, size_t n) {
    uint32_t table[256], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i << 24;
        for (int bit = 0; bit < 8; bit++) table[i] = table[i] << 1 ^ (table[i] >> 31 ? UINT32_C(0x04c11db7) : 0);
    }
    for (size_t i = 0; i < n; i++) crc = crc << 8 ^ table[crc >> 24 ^ (unsigned char)bytes[i]];
    return ~crc;
}

/* Tries the bits [from, to) as one block. */
static pofac_status try_block(const bz2_file *f, uint64_t from, uint64_t to, const diag_sink *sink, strbuf *out,
                              bz2_block_state *state) {
    const size_t before = out->size;
    size_t n = 0;
    unsigned char *stream = stream_of(f, from, to, &n);
    if (!stream) return diag_out_of_memory(sink);
    const int status = decompress(stream, n, out);
    free(stream);
    if (status == BZ_MEM_ERROR) return diag_out_of_memory(sink);
    const uint32_t wanted = (uint32_t)(bits48(f, from + BZ2_MARK_BITS) >> (BZ2_MARK_BITS - CRC_BITS));
    if (status == BZ_STREAM_END) {
        *state = BZ2_BLOCK_WHOLE;
    } else if (out->size > before && checksum(out->data + before, out->size - before) == wanted) {
        *state = BZ2_BLOCK_NO_END;
    } else {
        *state = BZ2_BLOCK_DAMAGED;
        out->size = before;
    }
    return POFAC_OK;
}

pofac_status bz2_block_decode(const bz2_file *f, uint64_t bit, const diag_sink *sink, strbuf *out, uint64_t *end,
                              bz2_block_state *state) {
    const uint64_t n_bits = (uint64_t)f->n * 8, limit = n_bits - bit < MAX_BLOCK_BYTES * 8 ? n_bits : bit + MAX_BLOCK_BYTES * 8;
    uint64_t from = bit + BZ2_MARK_BITS;
    bz2_mark mark;
    *state = BZ2_BLOCK_DAMAGED;
    *end = from;
    for (int i = 0; i < MAX_TRIES && bz2_next_mark(f, from, limit, &mark); i++) {
        TRY(try_block(f, bit, mark.bit, sink, out, state));
        *end = mark.bit;
        if (*state != BZ2_BLOCK_DAMAGED) return POFAC_OK;
        from = mark.bit + 1;
    }
    const bool has_mark = from > bit + BZ2_MARK_BITS;
    if (!has_mark) {
        TRY(try_block(f, bit, limit, sink, out, state));
        *end = limit;
        if (*state == BZ2_BLOCK_WHOLE) *state = BZ2_BLOCK_NO_END; /* the end was made up */
        if (*state == BZ2_BLOCK_DAMAGED && limit == n_bits) *state = BZ2_BLOCK_CUT;
    } else if (*state == BZ2_BLOCK_DAMAGED) {
        *end = bit + BZ2_MARK_BITS; /* the nearest mark may be a block's that is sound */
    }
    return POFAC_OK;
}

pofac_status bz2_mark_is_false(const bz2_file *f, uint64_t bit, const diag_sink *sink, bool *is_false) {
    strbuf bytes = STRBUF_INIT;
    bz2_mark mark = {bit, true};
    pofac_status status = POFAC_OK;
    bz2_block_state state = BZ2_BLOCK_DAMAGED;
    *is_false = false;
    for (int i = 0; i < MAX_TRIES && status == POFAC_OK && state != BZ2_BLOCK_WHOLE && bz2_previous_mark(f, mark.bit, &mark); i++) {
        uint64_t end = 0;
        if (!mark.is_block) continue;
        strbuf_clear(&bytes);
        status = bz2_block_decode(f, mark.bit, sink, &bytes, &end, &state);
        *is_false = status == POFAC_OK && state == BZ2_BLOCK_WHOLE && end > bit;
    }
    strbuf_free(&bytes);
    return status;
}
