/* Histograms of values with bins that grow; see value_histogram.h. */
#include "frontend/driver/value_histogram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS VALUE_HISTOGRAM_BINS
#define HALF (BINS / 2)
#define HALF_EXPONENT 13      /* of HALF */
#define LEAST_EXPONENT (-120) /* 2^120 is a float; smaller numbers are next to nothing beside the least scale, 2^-23 */
#define SEARCH_STEPS 64
#define SEARCH_LEAST 13 /* of them: a range below a fifth of all cuts off more than it gains */
#define SEARCH_ROUNDS 4

_Static_assert(1 << HALF_EXPONENT == HALF, "the exponent is that of half of the bins");

pofac_status value_histogram_create(const diag_sink *sink, value_histogram *out) {
    *out = (value_histogram){.range = VALUE_RANGE_NONE, .exponent = LEAST_EXPONENT, .bins = calloc(BINS, sizeof *out->bins)};
    return out->bins ? POFAC_OK : diag_out_of_memory(sink);
}

void value_histogram_free(value_histogram *h) {
    free(h->bins);
    h->bins = NULL;
}

/* ---- counting ---- */

static bool find_range(const float *values, int64_t n, value_range *out) {
    value_range r = *out;
    bool finite = true;
    for (int64_t i = 0; i < n; i++) {
        const float x = values[i];
        finite = finite && fabsf(x) <= FLT_MAX;
        r.min = x < r.min ? x : r.min;
        r.max = x > r.max ? x : r.max;
    }
    if (finite) *out = r;
    return finite;
}

/* Bins become 2^by times as wide. From zero outwards, so that no bin is written before it is read. */
static void widen(value_histogram *h, int by) {
    const int shift = by < HALF_EXPONENT ? by : HALF_EXPONENT;
    for (int64_t i = 0; i < HALF; i++) {
        const uint64_t above = h->bins[HALF + i], below = h->bins[HALF - 1 - i];
        h->bins[HALF + i] = h->bins[HALF - 1 - i] = 0;
        h->bins[HALF + (i >> shift)] += above;
        h->bins[HALF - 1 - (i >> shift)] += below;
    }
    h->exponent += by;
}

bool value_histogram_add(value_histogram *h, const float *values, int64_t n) {
    value_range range = h->range;
    int exponent;
    if (!find_range(values, n, &range)) return false;
    if (n <= 0) return true;
    h->range = range;
    h->n += (uint64_t)n;
    const float most = fmaxf(-range.min, range.max);
    (void)frexpf(most, &exponent); /* all magnitudes are below 2^exponent */
    exponent -= HALF_EXPONENT;
    if (most > 0 && exponent > h->exponent) widen(h, exponent - h->exponent);
    const float per_bin = ldexpf(1, -h->exponent);
    for (int64_t i = 0; i < n; i++) h->bins[HALF + (int)floorf(values[i] * per_bin)]++;
    return true;
}

/* ---- percentiles ---- */

static float edge(const value_histogram *h, int64_t i) { return ldexpf((float)(i - HALF), h->exponent); }

value_range value_histogram_percentile(const value_histogram *h, double percentile) {
    const double out_of_range =
        (1 - percentile / 100) * (double)h->n * (1 + 1e-9); /* 20.0 of 99.9 and 20,000, which binary fractions make less */
    value_range r = h->range;
    if (h->n == 0) return r;
    uint64_t below = 0, above = 0;
    int64_t first = 0, last = BINS - 1;
    while (first < last && (double)(below + h->bins[first]) <= out_of_range) below += h->bins[first++];
    while (last > first && (double)(above + h->bins[last]) <= out_of_range) above += h->bins[last--];
    if (edge(h, first) > r.min) r.min = edge(h, first);
    if (edge(h, last + 1) < r.max) r.max = edge(h, last + 1);
    return r;
}

/* ---- least error ---- */

double value_histogram_error(const value_histogram *h, value_range range, quantization_scheme scheme) {
    const quantization q = quantization_of(range, scheme);
    double sum = 0;
    for (int64_t i = 0; i < BINS; i++) {
        if (h->bins[i] == 0) continue;
        const float x = ldexpf((float)(i - HALF) + 0.5f, h->exponent);
        const double lost = (double)x - quantization_apply(q, x);
        sum += (double)h->bins[i] * lost * lost;
    }
    return sum;
}

static value_range part_of(const value_histogram *h, int below, int above) {
    const float all = SEARCH_STEPS;
    return (value_range){h->range.min * ((float)below / all), h->range.max * ((float)above / all)};
}

typedef struct search {
    const value_histogram *h;
    quantization_scheme scheme;
    int below, above; /* the best so far, in steps */
    double error;
} search;

static bool try_part(search *s, int below, int above) {
    const double error = value_histogram_error(s->h, part_of(s->h, below, above), s->scheme);
    if (!(error < s->error)) return false;
    *s = (search){s->h, s->scheme, below, above, error};
    return true;
}

static value_range least_of_symmetric(search *s) {
    for (int part = SEARCH_STEPS - 1; part >= SEARCH_LEAST; part--) (void)try_part(s, part, part);
    return part_of(s->h, s->below, s->above);
}

static value_range least_of_affine(search *s) {
    bool better = true;
    for (int round = 0; round < SEARCH_ROUNDS && better; round++) {
        better = false;
        for (int part = SEARCH_STEPS; part >= SEARCH_LEAST; part--) better = try_part(s, s->below, part) || better;
        for (int part = SEARCH_STEPS; part >= SEARCH_LEAST; part--) better = try_part(s, part, s->above) || better;
    }
    return part_of(s->h, s->below, s->above);
}

value_range value_histogram_least_error(const value_histogram *h, quantization_scheme scheme) {
    search s = {h, scheme, SEARCH_STEPS, SEARCH_STEPS, 0};
    if (h->n == 0) return h->range;
    s.error = value_histogram_error(h, h->range, scheme);
    return scheme == QUANTIZE_SYMMETRIC ? least_of_symmetric(&s) : least_of_affine(&s);
}
