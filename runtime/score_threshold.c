/* Selection and histograms over scores; see score_threshold.h. */
#include "runtime/score_threshold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIGN UINT32_C(0x80000000)
#define INFINITY_BITS INT32_C(0x7f800000)
#define BINS 1024
#define TAIL 1e-3 /* share of the largest magnitudes that the second histogram leaves out */

/* ---- keys ---- */

/* A score as an integer of the same order: one for both zeros, NaN on top, whatever its sign. */
static inline int32_t key_of_bits(uint32_t bits, bool magnitude) {
    const int32_t absolute = (int32_t)(bits & ~SIGN), sign = (int32_t)(bits & SIGN) >> 31 & -(absolute <= INFINITY_BITS);
    return magnitude ? absolute : (absolute ^ sign) - sign;
}

static int32_t key_of(float x, bool magnitude) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return key_of_bits(bits, magnitude);
}

static float value_of(int32_t key) {
    const uint32_t bits = key < 0 ? (uint32_t)-key | SIGN : (uint32_t)key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Scores that are looked at side by side: loops over them have no branch and become vector code. */
#define BLOCK 16

static inline void keys_of_block(const float *x, bool magnitude, int32_t *out) {
    uint32_t bits[BLOCK];
    memcpy(bits, x, sizeof bits);
    for (int i = 0; i < BLOCK; i++) out[i] = key_of_bits(bits[i], magnitude);
}

/* ---- selection ---- */

/* How many keys are looked at before the few that matter are counted: small enough for L1. */
#define RUN 2048

/* The keys of scores [i, i + n), as unsigned numbers, whose bits under `mask` are `prefix`, into out[n]; returns how many. Every key is written, and kept or
 * not without a branch. */
static size_t take_keys(score_span s, int64_t i, size_t n, uint32_t mask, uint32_t prefix, uint32_t *out) {
    size_t taken = 0;
    for (size_t k = 0; k < n; k++) {
        out[taken] = (uint32_t)key_of(s.data[i + (int64_t)k], s.magnitude) ^ SIGN;
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

static int32_t select_by_digits(score_span s, int64_t k) {
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
    return (int32_t)(prefix ^ SIGN);
}

/* Of so many scores as a block of N:M has. */
#define FEW 64

static int32_t select_of_few(score_span s, int64_t k) {
    int32_t sorted[FEW] = {0};
    for (int64_t i = 0; i < s.n; i++) {
        const int32_t key = key_of(s.data[i], s.magnitude);
        int64_t at = i;
        for (; at > 0 && sorted[at - 1] > key; at--) sorted[at] = sorted[at - 1];
        sorted[at] = key;
    }
    return sorted[k - 1];
}

/* ---- selection between bounds ---- */

#define MANY (1 << 15) /* scores for which a sample is worth its time */
#define SAMPLE 8192
#define DEVIATIONS 4 /* of the sample's shares, that bounds are apart from the one that is sought */

/* Scores between two keys, and how many lie below. */
typedef struct bounded {
    int32_t low, high; /* both are between */
    int64_t below, n, room;
    float *scores; /* [room + 1]; those beyond room are counted alone */
} bounded;

/* Bounds between which the k-th smallest very likely lies, from scores that are spread over all by a multiplicative hash. */
static void guess_bounds(score_span s, int64_t k, int32_t *low, int32_t *high) {
    float sample[SAMPLE];
    const int64_t stride = s.n / SAMPLE;
    for (int64_t i = 0; i < SAMPLE; i++)
        sample[i] = s.data[i * stride + (int64_t)((uint32_t)i * UINT32_C(2654435769) >> 8) % stride];
    const double share = (double)k / (double)s.n, deviation = sqrt(share * (1 - share) * SAMPLE);
    const int64_t apart = (int64_t)(DEVIATIONS * deviation) + 2, at = (int64_t)(share * SAMPLE);
    const score_span of_sample = {sample, SAMPLE, s.magnitude};
    *low = at - apart < 1 ? INT32_MIN : select_by_digits(of_sample, at - apart);
    *high = at + apart > SAMPLE ? INT32_MAX : select_by_digits(of_sample, at + apart);
}

/* Without a branch on what a score is: one that is not between is written over by the next. */
static void take_between(bounded *b, float x, int32_t key) {
    b->scores[b->n < b->room ? b->n : b->room] = x;
    b->n += (key >= b->low) & (key <= b->high);
}

/* Four keys side by side, in the vectors that every target of the compiler has. */
typedef int32_t four_keys __attribute__((vector_size(16)));
#define FOUR 4

static inline four_keys load_keys(const float *x, bool magnitude) {
    four_keys bits;
    memcpy(&bits, x, sizeof bits);
    const four_keys absolute = bits & INT32_MAX, sign = (bits >> 31) & (absolute <= INFINITY_BITS);
    return magnitude ? absolute : (absolute ^ sign) - sign;
}

static inline bool any_of(four_keys lanes) {
    uint64_t halves[2];
    memcpy(halves, &lanes, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

static inline void divide_by_bounds(score_span s, bool magnitude, bounded *b) {
    const int32_t low = b->low, high = b->high;
    int64_t i = 0;
    while (i + BLOCK <= s.n) {
        four_keys below = {0};
        const int64_t end = s.n - i > RUN ? i + RUN : s.n;
        for (; i + BLOCK <= end; i += BLOCK) {
            four_keys between = {0};
            for (int64_t k = i; k < i + BLOCK; k += FOUR) {
                const four_keys keys = load_keys(s.data + k, magnitude), is_below = keys < low;
                below -= is_below;
                between |= ~is_below & (keys <= high);
            }
            if (!any_of(between)) continue;
            for (int64_t k = i; k < i + BLOCK; k++) take_between(b, s.data[k], key_of(s.data[k], magnitude));
        }
        for (int k = 0; k < FOUR; k++) b->below += below[k];
    }
    for (; i < s.n; i++) {
        const int32_t key = key_of(s.data[i], magnitude);
        b->below += key < low;
        take_between(b, s.data[i], key);
    }
}

/* False when the bounds do not hold it, or hold too many. */
static bool select_between(score_span s, int64_t k, int32_t *out) {
    bounded b = {.room = s.n / 16 + SAMPLE};
    guess_bounds(s, k, &b.low, &b.high);
    b.scores = malloc((size_t)(b.room + 1) * sizeof *b.scores);
    if (!b.scores) return false;
    if (s.magnitude) divide_by_bounds(s, true, &b);
    else divide_by_bounds(s, false, &b);
    const int64_t rank = k - b.below;
    const bool is_single = b.low == b.high, found = rank >= 1 && rank <= b.n && (is_single || b.n <= b.room);
    if (found) *out = is_single ? b.low : select_by_digits((score_span){b.scores, b.n, s.magnitude}, rank);
    free(b.scores);
    return found;
}

float score_select(score_span s, int64_t k) {
    int32_t key;
    if (s.n <= FEW) key = select_of_few(s, k);
    else if (s.n < MANY || !select_between(s, k, &key)) key = select_by_digits(s, k);
    return value_of(key);
}

float score_least(score_span s) { return score_select(s, 1); }

/* ---- masks ---- */

static inline void keep_block(const float *x, bool magnitude, int32_t threshold, uint8_t *mask) {
    int32_t keys[BLOCK];
    keys_of_block(x, magnitude, keys);
    for (int k = 0; k < BLOCK; k++) mask[k] = (keys[k] > threshold) & (keys[k] <= INFINITY_BITS);
}

void score_keep_above(score_span s, float threshold, uint8_t *mask) {
    const int32_t key = key_of(threshold, false);
    int64_t i = 0;
    if (s.magnitude)
        for (; i + BLOCK <= s.n; i += BLOCK) keep_block(s.data + i, true, key, mask + i);
    else
        for (; i + BLOCK <= s.n; i += BLOCK) keep_block(s.data + i, false, key, mask + i);
    for (; i < s.n; i++) {
        const int32_t found = key_of(s.data[i], s.magnitude);
        mask[i] = found > key && found <= INFINITY_BITS;
    }
}

int64_t mask_ones(const uint8_t *mask, int64_t n) {
    const uint64_t lanes = UINT64_C(0x0101010101010101);
    int64_t ones = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, mask + i, sizeof bytes);
        ones += (int64_t)((bytes & lanes) * lanes >> 56);
    }
    for (; i < n; i++) ones += mask[i] & 1;
    return ones;
}

/* ---- histogram ---- */

static float largest(const score_span *spans, size_t n) {
    float most = 0;
    for (size_t i = 0; i < n; i++)
        for (int64_t k = 0; k < spans[i].n; k++)
            if (isfinite(spans[i].data[k])) most = fmaxf(most, fabsf(spans[i].data[k]));
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
            const float at = x * BINS / most; /* too large for a float, or no number: the last bin */
            of_span[at < BINS ? (int)at : BINS - 1]++;
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
