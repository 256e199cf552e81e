/* Selection and histograms over scores; see score_threshold.h. */
#include "runtime/score_threshold.h"

#include <math.h>
#include <string.h>

#define SIGN UINT32_C(0x80000000)
#define INFINITY_BITS UINT32_C(0x7f800000)
#define BINS 1024
#define TAIL 1e-3 /* share of the largest magnitudes that the second histogram leaves out */

/* ---- selection ---- */

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Floats as integers of the same order: one for both zeros, NaN on top, whatever its sign. */
static uint32_t key_of(float x, bool magnitude) {
    const uint32_t bits = bits_of(x), absolute = bits & ~SIGN;
    return bits & SIGN && !magnitude && absolute != 0 && absolute <= INFINITY_BITS ? ~bits : absolute | SIGN;
}

static float value_of(uint32_t key) {
    const uint32_t bits = key & SIGN ? key & ~SIGN : ~key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* How many keys are looked at before the few that matter are counted: small enough for L1. */
#define RUN 2048

/* The keys of scores [i, i + n) whose bits under `mask` are `prefix`, into out[n]; returns how many. Every key is written, and kept or not without a branch. */
static size_t take_keys(score_span s, int64_t i, size_t n, uint32_t mask, uint32_t prefix, uint32_t *out) {
    size_t taken = 0;
    for (size_t k = 0; k < n; k++) {
        out[taken] = key_of(s.data[i + (int64_t)k], s.magnitude);
        taken += (out[taken] & mask) == prefix;
    }
    return taken;
}

/* Counts the digits at `shift` of the keys whose bits under `mask` are `prefix`. */
static void count_digits(score_span s, uint32_t mask, uint32_t prefix, unsigned shift, uint32_t digits, int64_t *count) {
    uint32_t keys[RUN];
    memset(count, 0, digits * sizeof *count);
    for (int64_t i = 0; i < s.n; i += RUN) {
        const size_t n = take_keys(s, i, (size_t)(s.n - i < RUN ? s.n - i : RUN), mask, prefix, keys);
        for (size_t k = 0; k < n; k++) count[keys[k] >> shift & (digits - 1)]++;
    }
}

float score_select(score_span s, int64_t k) {
    static const unsigned shifts[3] = {21, 10, 0}, bits[3] = {11, 11, 10};
    int64_t count[1 << 11];
    uint32_t mask = 0, prefix = 0;
    for (int pass = 0; pass < 3; pass++) {
        const uint32_t digits = UINT32_C(1) << bits[pass];
        uint32_t digit = 0;
        count_digits(s, mask, prefix, shifts[pass], digits, count);
        while (digit + 1 < digits && k > count[digit]) k -= count[digit++];
        prefix |= digit << shifts[pass];
        mask |= (digits - 1) << shifts[pass];
    }
    return value_of(prefix);
}

float score_least(score_span s) { return score_select(s, 1); }

void score_keep_above(score_span s, float threshold, uint8_t *mask) {
    const uint32_t key = key_of(threshold, false), infinite = key_of(INFINITY, false);
    for (int64_t i = 0; i < s.n; i++) {
        const uint32_t found = key_of(s.data[i], s.magnitude);
        mask[i] = found > key && found <= infinite;
    }
}

/* ---- histogram ---- */

static float largest(const score_span *spans, size_t n) {
    float most = 0;
    for (size_t i = 0; i < n; i++)
        for (int64_t k = 0; k < spans[i].n; k++) most = fmaxf(most, fabsf(spans[i].data[k]));
    return most;
}

/* Adds up the shares of magnitudes in equal parts of [0, most]; those above it do not count. */
static void cumulate(const score_span *spans, size_t n, float most, float *cumulative) {
    float count[BINS] = {0};
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t of_span[BINS] = {0};
        for (int64_t k = 0; k < spans[i].n && most > 0; k++) {
            const float x = fabsf(spans[i].data[k]);
            if (!(x <= most)) continue;
            const int bin = (int)(x * BINS / most);
            of_span[bin < BINS ? bin : BINS - 1]++;
        }
        for (int b = 0; b < BINS; b++) count[b] += (float)of_span[b];
    }
    for (int b = 0; b < BINS; b++) {
        sum += (double)count[b];
        cumulative[b] = (float)sum;
    }
}

float score_histogram_threshold(const score_span *spans, size_t n, double sparsity) {
    float most = largest(spans, n), cumulative[BINS];
    int below = 0;
    cumulate(spans, n, most, cumulative);
    const float all = cumulative[BINS - 1];
    if (!(all > 0)) return 0;
    for (int b = 0; b < BINS; b++) below += cumulative[b] / all <= (float)(1 - TAIL);
    if (below < BINS / 2) {
        most = (float)below / BINS * most;
        cumulate(spans, n, most, cumulative);
        cumulative[BINS - 1] = all;
    }
    below = 0;
    for (int b = 0; b < BINS; b++) below += cumulative[b] / all < (float)sparsity;
    return (float)below * most / BINS;
}
