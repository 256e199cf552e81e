/*
 * Weights of few bits in a file: whole numbers and the scales that make floats of them again.
 *
 *   8 bits    NAME i8 [N,K],    NAME.scale [] or [N], of a weight or of each of its rows      w = NAME * scale
 *   4 bits    NAME u8 [N,K/2],  NAME.scale [N, K/32 rounded up], of 32 columns                 w = (nibble - 8) * scale
 *
 * Of 4 bits two columns share a byte, the first one in its low half; K is even. Scales are floats of any width. To readers, NAME is a tensor of floats
 * [N,K] that is not packed, and its scale is none of the tensors.
 */
#ifndef POFAC_FRONTEND_SCALED_TENSORS_H
#define POFAC_FRONTEND_SCALED_TENSORS_H

#include "frontend/checkpoint/checkpoint.h"

#define SCALED_TENSOR_ENDING ".scale"
#define SCALED_TENSOR_COLUMNS 32 /* of 4 bits, that share a scale */
#define SCALED_TENSOR_MIDDLE 8   /* of 4 bits: the nibble of 0 */

struct checkpoint_scales {
    int bits;                  /* 8 or 4 */
    const float *values;       /* [n_rows,n_columns] */
    int64_t n_rows, n_columns; /* 1 or N; 1 or K/32 */
    int64_t bytes;             /* in the file */
};

/* Joins whole numbers and scales among n tensors, sorted by name. *n_left: how many there are then. POFAC_ERR_INPUT: scales whose shape fits neither form, or
 * that are not above 0; a scale beside whole numbers of another kind. Tensors without a scale stay as they are. */
POFAC_MUST_USE pofac_status scaled_tensors_join(checkpoint_tensor *tensors, size_t n, arena *a, const diag_sink *sink,
                                                size_t *n_left);

/* Elements [N,K], and bytes in the file without scales. */
void scaled_tensor_read(const checkpoint_tensor *t, float *out);
int64_t scaled_tensor_bytes(const checkpoint_tensor *t);

#endif
