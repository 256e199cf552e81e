/*
 * Where the entries of a weight that are not zero lie, as a picture: a pixel is an entry, or of a large weight a block of them, the darker the larger
 * the share of entries in it that are not zero.
 */
#ifndef POFAC_FRONTEND_REPORT_WEIGHT_PICTURE_H
#define POFAC_FRONTEND_REPORT_WEIGHT_PICTURE_H

#include "ir/tensor.h"

#define WEIGHT_PICTURE_SIDE 192 /* pixels, at most, each way */

typedef struct weight_picture {
    int64_t rows, columns;             /* of the weight [N,K] */
    int64_t block_rows, block_columns; /* of it in a pixel */
    int64_t height, width;             /* pixels */
    double *share;                     /* [height][width], 0 to 1: entries of the block that are not zero */
    int64_t nonzeros;
    int64_t empty_rows, empty_columns; /* without any */
    double least, greatest;            /* share */
} weight_picture;

/* Of a matrix of any dtype; share is malloc'd. POFAC_ERR_USAGE: it is none, or has no entries. */
POFAC_MUST_USE pofac_status weight_picture_make(const ir_tensor *t, const diag_sink *sink, weight_picture *out);
void weight_picture_free(weight_picture *p);

/* Appends an <img>, at most 384 pixels of the page each way; `name` for those who do not see it. */
POFAC_MUST_USE pofac_status weight_picture_put(const weight_picture *p, const char *name, const diag_sink *sink, strbuf *out);

#endif
