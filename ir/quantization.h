/*
 * Uniform quantization to 8 bits: the numbers that everybody who quantizes must agree on (spec: prune once for all, section 7; Jacob et al. 2018).
 *
 *   q = clamp(round(x / scale) + zero_point, least, greatest)          x' = (q - zero_point) * scale
 *
 * All of it in single precision, as PyTorch's fake quantization: x times 1 / scale, rounded to nearest even. Zero is always exact.
 */
#ifndef POFAC_IR_QUANTIZATION_H
#define POFAC_IR_QUANTIZATION_H

#include <stdbool.h>
#include <stdint.h>

typedef enum quantization_scheme {
    QUANTIZE_AFFINE,   /* 0 to 255, of activations: the range, widened to hold 0, is cut into 255 */
    QUANTIZE_SYMMETRIC /* -128 to 127 about 0, of weights: scale is the largest magnitude over 127.5 */
} quantization_scheme;

#define QUANTIZATION_LEAST_SCALE 0x1p-23f

typedef struct quantization {
    float scale; /* at least QUANTIZATION_LEAST_SCALE */
    int32_t zero_point, least, greatest;
} quantization;

/* What has been seen of a tensor; min above max: nothing yet. */
typedef struct value_range {
    float min, max;
} value_range;

#define VALUE_RANGE_NONE ((value_range){__builtin_inff(), -__builtin_inff()})
static inline bool value_range_is_none(value_range r) { return r.min > r.max; }

/* Of a range that is not none, has no NaN, and whose width is a finite float. */
quantization quantization_of(value_range range, quantization_scheme scheme);

/* The whole number nearest to x / scale + zero_point, before it is clamped; NaN of NaN. */
float quantization_place(quantization q, float x);

/* x as it comes back from 8 bits; NaN of NaN. */
float quantization_apply(quantization q, float x);

/* x in 8 bits; NaN counts as 0. */
int32_t quantization_encode(quantization q, float x);

/*
 * Products of 8 bits: sums of (u8 - zero point) * s8 over K columns and a bias, in 32 bits. With at most QUANTIZATION_MAX_COLUMNS columns and a bias
 * of at most 2^30 no sum overflows, in whatever order it is made.
 */
#define QUANTIZATION_MAX_COLUMNS 32768

/*
 * A bias in units of `scale`, that of input times that of weight: round(bias / scale), at most 2^30 from 0; 0 for NaN. It fits unless the scales are far below what
 * the bias is worth, as those of weights that are all zero.
 */
int32_t quantization_bias(float bias, float scale);
bool quantization_bias_fits(float bias, float scale);

/* By what a sum in units of `scale` is multiplied to become one in units of `to`: a / 2^n with a = round(s 2^n), n = floor(15 - log2 s), s = scale / to;
 * a has at most 16 bits. */
float quantization_factor(float scale, float to);

/* The value of a sum in units of `scale`: of a product whose result is not quantized, and of one that is, by `output`:
 * clamp(round(sum * factor) + zero_point) in 8 bits and back, in single precision. */
float quantization_of_sum(int32_t sum, float scale);
float quantization_of_requantized_sum(int32_t sum, float factor, quantization output);

#endif
