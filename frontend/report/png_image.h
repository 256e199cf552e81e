/*
 * Small pictures as PNG (ISO/IEC 15948) for pages that bring all they show: one byte for each pixel, which names a colour of a palette; no filters, one IDAT,
 * compressed by zlib.
 */
#ifndef POFAC_FRONTEND_REPORT_PNG_IMAGE_H
#define POFAC_FRONTEND_REPORT_PNG_IMAGE_H

#include <stdint.h>

#include "ir/support/diag.h"

typedef struct png_image {
    uint32_t width, height;  /* 1 to 16384 each */
    const uint8_t *pixels;   /* [height][width], numbers of colours */
    uint8_t palette[256][3]; /* red, green, blue */
} png_image;

/* A palette from white (0) over blue to almost black (255), darker with every number, so that it can be read without colours. */
void png_set_ramp(png_image *p);

/* Appends the file's bytes. POFAC_ERR_USAGE: the sizes are none. */
POFAC_MUST_USE pofac_status png_write(const png_image *p, const diag_sink *sink, strbuf *out);

/* Appends "data:image/png;base64,..." of the picture. */
POFAC_MUST_USE pofac_status png_put_data_uri(const png_image *p, const diag_sink *sink, strbuf *out);

#endif
