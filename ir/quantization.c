/* Ranges -> scales and zero points; see quantization.h. */
#include "ir/quantization.h"

#include <math.h>

#define MOST_BIAS 0x1p30f

quantization quantization_of(value_range range, quantization_scheme scheme) {
    const float below = fminf(range.min, 0), above = fmaxf(range.max, 0);
    if (scheme == QUANTIZE_SYMMETRIC)
        return (quantization){
            .scale = fmaxf(fmaxf(-below, above) / 127.5f, QUANTIZATION_LEAST_SCALE), .least = -128, .greatest = 127};
    quantization q = {.scale = fmaxf((above - below) / 255.0f, QUANTIZATION_LEAST_SCALE), .least = 0, .greatest = 255};
    const float zero = -rintf(below / q.scale);
    q.zero_point = !(zero > 0) ? 0 : zero > 255 ? 255 : (int32_t)zero;
    return q;
}

float quantization_place(quantization q, float x) { return rintf(x * (1 / q.scale)) + (float)q.zero_point; }

static float clamped(quantization q, float place) {
    if (isnan(place)) return place;
    return place < (float)q.least ? (float)q.least : place > (float)q.greatest ? (float)q.greatest : place;
}

float quantization_apply(quantization q, float x) { return (clamped(q, quantization_place(q, x)) - (float)q.zero_point) * q.scale; }

int32_t quantization_encode(quantization q, float x) {
    const float place = clamped(q, quantization_place(q, x));
    return isnan(place) ? q.zero_point : (int32_t)place;
}

int32_t quantization_bias(float bias, float scale) {
    const float place = rintf(bias * (1 / scale));
    return isnan(place) ? 0 : (int32_t)fmaxf(-MOST_BIAS, fminf(place, MOST_BIAS));
}

bool quantization_bias_fits(float bias, float scale) { return fabsf(bias * (1 / scale)) <= MOST_BIAS; }

float quantization_factor(float scale, float to) {
    const float s = scale / to;
    int exponent;
    if (!isfinite(s) || s <= 0) return s;
    const float mantissa = frexpf(s, &exponent); /* s = mantissa 2^exponent, log2 s in [exponent - 1, exponent) */
    const int n = mantissa > 0.5f ? 15 - exponent : 16 - exponent;
    return ldexpf(rintf(ldexpf(s, n)), -n);
}

float quantization_of_sum(int32_t sum, float scale) { return (float)sum * scale; }

float quantization_of_requantized_sum(int32_t sum, float factor, quantization output) {
    const float zero = (float)output.zero_point;
    return (clamped(output, rintf((float)sum * factor) + zero) - zero) * output.scale;
}
