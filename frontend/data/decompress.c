/*
 * Compressed bytes -> bytes: one loop over three libraries (zlib, libbz2, libzstd), each behind a step function that takes what
 * it can from the input and writes what it can to the output.
 *
 * What stands behind a finished member and begins none is damage, unless it is zeros, with which tapes and block devices fill up.
 */
#include "frontend/data/decompress.h"

#include <bzlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "ir/support/strbuf.h"

typedef enum step_result { STEP_OK, STEP_MEMBER_ENDS, STEP_DAMAGED, STEP_NO_MEMORY } step_result;

/* What a step may read and write; it moves both on. */
typedef struct step_io {
    const unsigned char *in;
    size_t n_in;
    unsigned char *out;
    size_t n_out;
} step_io;

typedef struct format {
    const char *name;
    unsigned char mark[4]; /* its first bytes */
    size_t mark_bytes;
    bool (*begin)(decompressor *d); /* false when memory is short */
    step_result (*step)(decompressor *d, step_io *io);
    void (*end)(decompressor *d);
} format;

struct decompressor {
    const format *format;
    const unsigned char *bytes;
    size_t n, taken;
    bool in_member, ended;
    strbuf damage;
    union {
        z_stream gzip;
        bz_stream bzip2;
        ZSTD_DStream *zstd;
    } state;
};

/* ---- gzip ---- */

static void *take_memory(void *user, unsigned count, unsigned size) {
    (void)user;
    return calloc(count, size);
}

static void give_memory(void *user, void *p) {
    (void)user;
    free(p);
}

static unsigned at_most_unsigned(size_t n) { return n < UINT_MAX ? (unsigned)n : UINT_MAX; }

static bool gzip_begin(decompressor *d) {
    d->state.gzip = (z_stream){.zalloc = take_memory, .zfree = give_memory};
    return inflateInit2(&d->state.gzip, MAX_WBITS + 16) == Z_OK; /* + 16: with gzip's header and checksum */
}

static step_result gzip_step(decompressor *d, step_io *io) {
    z_stream *s = &d->state.gzip;
    const unsigned in = at_most_unsigned(io->n_in), out = at_most_unsigned(io->n_out);
    s->next_in = (unsigned char *)(uintptr_t)io->in; /* zlib reads only */
    s->avail_in = in;
    s->next_out = io->out;
    s->avail_out = out;
    const int result = inflate(s, Z_NO_FLUSH);
    *io = (step_io){s->next_in, io->n_in - (in - s->avail_in), s->next_out, io->n_out - (out - s->avail_out)};
    if (result == Z_STREAM_END) return STEP_MEMBER_ENDS;
    if (result == Z_MEM_ERROR) return STEP_NO_MEMORY;
    return result == Z_OK || result == Z_BUF_ERROR ? STEP_OK : STEP_DAMAGED;
}

static void gzip_end(decompressor *d) { inflateEnd(&d->state.gzip); }

/* ---- bzip2 ---- */

static void *take_bz_memory(void *user, int count, int size) {
    (void)user;
    return calloc((size_t)count, (size_t)size);
}

static bool bzip2_begin(decompressor *d) {
    d->state.bzip2 = (bz_stream){.bzalloc = take_bz_memory, .bzfree = give_memory};
    return BZ2_bzDecompressInit(&d->state.bzip2, 0, 0) == BZ_OK;
}

static step_result bzip2_step(decompressor *d, step_io *io) {
    bz_stream *s = &d->state.bzip2;
    const unsigned in = at_most_unsigned(io->n_in), out = at_most_unsigned(io->n_out);
    s->next_in = (char *)(uintptr_t)io->in; /* libbz2 reads only */
    s->avail_in = in;
    s->next_out = (char *)io->out;
    s->avail_out = out;
    const int result = BZ2_bzDecompress(s);
    io->in += in - s->avail_in;
    io->n_in -= in - s->avail_in;
    io->out += out - s->avail_out;
    io->n_out -= out - s->avail_out;
    if (result == BZ_STREAM_END) return STEP_MEMBER_ENDS;
    if (result == BZ_MEM_ERROR) return STEP_NO_MEMORY;
    return result == BZ_OK ? STEP_OK : STEP_DAMAGED;
}

static void bzip2_end(decompressor *d) { BZ2_bzDecompressEnd(&d->state.bzip2); }

/* ---- zstd ---- */

static bool zstd_begin(decompressor *d) {
    d->state.zstd = ZSTD_createDStream();
    return d->state.zstd != NULL;
}

static step_result zstd_step(decompressor *d, step_io *io) {
    ZSTD_inBuffer in = {io->in, io->n_in, 0};
    ZSTD_outBuffer out = {io->out, io->n_out, 0};
    const size_t result = ZSTD_decompressStream(d->state.zstd, &out, &in);
    *io = (step_io){io->in + in.pos, io->n_in - in.pos, io->out + out.pos, io->n_out - out.pos};
    if (ZSTD_isError(result)) return strstr(ZSTD_getErrorName(result), "memory") ? STEP_NO_MEMORY : STEP_DAMAGED;
    return result == 0 ? STEP_MEMBER_ENDS : STEP_OK;
}

static void zstd_end(decompressor *d) { ZSTD_freeDStream(d->state.zstd); }

/* ---- all of them ---- */

static const format formats[] = {
    [COMPRESSION_GZIP] = {"gzip", {0x1f, 0x8b}, 2, gzip_begin, gzip_step, gzip_end},
    [COMPRESSION_BZIP2] = {"bzip2", {'B', 'Z', 'h'}, 3, bzip2_begin, bzip2_step, bzip2_end},
    [COMPRESSION_ZSTD] = {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, zstd_begin, zstd_step, zstd_end},
};

#define N_FORMATS ((int)(sizeof formats / sizeof formats[0]))

static bool begins_member(const format *f, const unsigned char *bytes, size_t n) {
    return n >= f->mark_bytes && memcmp(bytes, f->mark, f->mark_bytes) == 0;
}

compression compression_of(const unsigned char *bytes, size_t n) {
    for (int i = COMPRESSION_GZIP; i < N_FORMATS; i++)
        if (begins_member(&formats[i], bytes, n)) return (compression)i;
    return COMPRESSION_NONE;
}

pofac_status decompressor_open(compression kind, const unsigned char *bytes, size_t n, const diag_sink *sink, decompressor **out) {
    *out = NULL;
    decompressor *d = calloc(1, sizeof *d);
    if (!d) return diag_out_of_memory(sink);
    *d = (decompressor){.format = &formats[kind], .bytes = bytes, .n = n, .damage = STRBUF_INIT};
    *out = d;
    return POFAC_OK;
}

static bool only_zeros(const unsigned char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (bytes[i]) return false;
    return true;
}

/* Begins the next member, or ends where there is none. False when memory is short. */
static bool begin_member(decompressor *d) {
    const unsigned char *at = d->bytes + d->taken;
    const size_t left = d->n - d->taken;
    d->ended = true;
    if (left == 0 || (d->taken > 0 && only_zeros(at, left))) return true;
    /* zstd's frames that hold nothing for decompression begin otherwise; the library skips them */
    if (d->format != &formats[COMPRESSION_ZSTD] && !begins_member(d->format, at, left)) {
        strbuf_printf(&d->damage, "found other bytes than %s's from byte %zu on, wanted the end of the file there", d->format->name,
                      d->taken);
        return true;
    }
    if (!d->format->begin(d)) return false;
    d->ended = false;
    d->in_member = true;
    return true;
}

static void end_member(decompressor *d) {
    d->format->end(d);
    d->in_member = false;
}

/* One step into the n bytes at `out`; *got is what came. False when memory is short. */
static bool step(decompressor *d, unsigned char *out, size_t n, size_t *got) {
    step_io io = {d->bytes + d->taken, d->n - d->taken, out, n};
    const step_result result = d->format->step(d, &io);
    const bool stands_still = io.n_out == n && io.n_in == d->n - d->taken;
    *got = n - io.n_out;
    d->taken = d->n - io.n_in;
    if (result == STEP_NO_MEMORY) return false;
    if (result == STEP_MEMBER_ENDS) {
        end_member(d);
    } else if (result == STEP_DAMAGED || stands_still) {
        if (result == STEP_DAMAGED)
            strbuf_printf(&d->damage, "found damaged %s data at about byte %zu, wanted data that fit their checksums",
                          d->format->name, d->taken);
        else
            strbuf_printf(&d->damage, "found the end of the file within %s data, wanted more than its %zu bytes", d->format->name,
                          d->n);
        end_member(d);
        d->ended = true;
    }
    return true;
}

pofac_status decompressor_read(decompressor *d, void *out, size_t n, const diag_sink *sink, size_t *got) {
    *got = 0;
    while (*got < n && !d->ended) {
        size_t more = 0;
        if (!(d->in_member ? step(d, (unsigned char *)out + *got, n - *got, &more) : begin_member(d)))
            return diag_out_of_memory(sink);
        *got += more;
    }
    return strbuf_ok(&d->damage) ? POFAC_OK : diag_out_of_memory(sink);
}

const char *decompressor_damage(const decompressor *d) { return d->damage.size ? strbuf_str(&d->damage) : NULL; }

size_t decompressor_taken(const decompressor *d) { return d->taken; }

void decompressor_close(decompressor *d) {
    if (!d) return;
    if (d->in_member) end_member(d);
    strbuf_free(&d->damage);
    free(d);
}
