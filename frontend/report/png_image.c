/* Chunks of PNG; see png_image.h. */
#include "frontend/report/png_image.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MOST_SIDE 16384u

void png_set_ramp(png_image *p) {
    static const uint8_t stops[4][3] = {{255, 255, 255}, {158, 202, 225}, {33, 102, 172}, {8, 24, 58}};
    for (int i = 0; i < 256; i++) {
        const int part = i / 86, at = i - 86 * part; /* thirds of the ramp */
        for (int k = 0; k < 3; k++) p->palette[i][k] = (uint8_t)(stops[part][k] + (stops[part + 1][k] - stops[part][k]) * at / 85);
    }
}

static void put_number(uint32_t n, strbuf *out) {
    const uint8_t bytes[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    strbuf_append(out, bytes, sizeof bytes);
}

static void put_chunk(const char *type, const void *data, size_t n, strbuf *out) {
    uLong crc = crc32(0, (const Bytef *)type, 4);
    put_number((uint32_t)n, out);
    strbuf_append(out, type, 4);
    if (n) {
        strbuf_append(out, data, n);
        crc = crc32(crc, data, (uInt)n);
    }
    put_number((uint32_t)crc, out);
}

static void put_header(const png_image *p, strbuf *out) {
    uint8_t header[13] = {(uint8_t)(p->width >> 24),  (uint8_t)(p->width >> 16),  (uint8_t)(p->width >> 8),  (uint8_t)p->width,
                          (uint8_t)(p->height >> 24), (uint8_t)(p->height >> 16), (uint8_t)(p->height >> 8), (uint8_t)p->height};
    header[8] = 8; /* bits */
    header[9] = 3; /* numbers of colours */
    strbuf_append(out, "\x89PNG\r\n\x1a\n", 8);
    put_chunk("IHDR", header, sizeof header, out);
    put_chunk("PLTE", p->palette, sizeof p->palette, out);
}

/* The rows, each behind the number of its filter, 0, compressed. */
static pofac_status put_rows(const png_image *p, const diag_sink *sink, strbuf *out) {
    const size_t n = (size_t)p->height * (p->width + 1u);
    uLongf packed = compressBound(n);
    uint8_t *rows = calloc(n, 1), *data = malloc(packed);
    pofac_status status = rows && data ? POFAC_OK : diag_out_of_memory(sink);
    for (uint32_t y = 0; y < p->height && status == POFAC_OK; y++)
        memcpy(rows + (size_t)y * (p->width + 1u) + 1, p->pixels + (size_t)y * p->width, p->width);
    if (status == POFAC_OK && compress2(data, &packed, rows, n, Z_BEST_COMPRESSION) != Z_OK) status = diag_out_of_memory(sink);
    if (status == POFAC_OK) put_chunk("IDAT", data, packed, out);
    free(rows);
    free(data);
    return status;
}

pofac_status png_write(const png_image *p, const diag_sink *sink, strbuf *out) {
    if (p->width == 0 || p->height == 0 || p->width > MOST_SIDE || p->height > MOST_SIDE)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "picture: found %u x %u pixels, wanted 1 to %u each", p->width, p->height,
                          MOST_SIDE);
    put_header(p, out);
    TRY(put_rows(p, sink, out));
    put_chunk("IEND", NULL, 0, out);
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

static void put_base64(const unsigned char *bytes, size_t n, strbuf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    for (size_t i = 0; i < n; i += 3) {
        const uint32_t group =
            (uint32_t)bytes[i] << 16 | (i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0) | (i + 2 < n ? bytes[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) strbuf_putc(out, digits[i + k < n + 1 ? group >> (18 - 6 * k) & 63 : 64]);
    }
}

pofac_status png_put_data_uri(const png_image *p, const diag_sink *sink, strbuf *out) {
    strbuf file = STRBUF_INIT;
    const pofac_status status = png_write(p, sink, &file);
    if (status == POFAC_OK) {
        strbuf_puts(out, "data:image/png;base64,");
        put_base64((const unsigned char *)file.data, file.size, out);
    }
    strbuf_free(&file);
    return status == POFAC_OK && !strbuf_ok(out) ? diag_out_of_memory(sink) : status;
}
