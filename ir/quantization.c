/* Ranges -> scales and zero points; see quantization.h. */
#include "ir/quantization.h"

#include <math.h>

#define LEAST_SCALE 0x1p-23f

quantization quantization_of(value_range range, quantization_scheme scheme) {
    const float below = fminf(range.min, 0), above = fmaxf(range.max, 0);
    if (scheme == QUANTIZE_SYMMETRIC)
        return (quantization){.scale = fmaxf(fmaxf(-below, above) / 127.5f, LEAST_SCALE), .least = -128, .greatest = 127};
    quantization q = {.scale = fmaxf((above - below) / 255.0f, LEAST_SCALE), .least = 0, .greatest = 255};
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
