/*
 * Correlations of numbers; see metrics.h. Pairs are sorted first, so the sums have one order whatever that of the rows. Pearson's
 * correlation takes two passes: means, then products of differences.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/metrics.h"

pofac_status metrics_add_values(metrics *m, const double *predicted, const double *wanted, size_t n, const diag_sink *sink) {
    for (size_t i = 0; i < n; i++)
        if (!VEC_PUSH(&m->values, ((value_pair){predicted[i], wanted[i]}))) return diag_out_of_memory(sink);
    return POFAC_OK;
}

static int compare(double x, double y) { return (x > y) - (x < y); }

static int by_predicted(const void *a, const void *b) {
    const value_pair *x = a, *y = b;
    const int order = compare(x->predicted, y->predicted);
    return order ? order : compare(x->wanted, y->wanted);
}

static int by_wanted(const void *a, const void *b) {
    const value_pair *x = a, *y = b;
    const int order = compare(x->wanted, y->wanted);
    return order ? order : compare(x->predicted, y->predicted);
}

static double correlate(const value_pair *v, size_t n) {
    double mean_x = 0.0, mean_y = 0.0, xx = 0.0, yy = 0.0, xy = 0.0;
    bool x_varies = false, y_varies = false;
    for (size_t i = 0; i < n; i++) {
        mean_x += v[i].predicted / (double)n;
        mean_y += v[i].wanted / (double)n;
        x_varies |= compare(v[i].predicted, v[0].predicted) != 0;
        y_varies |= compare(v[i].wanted, v[0].wanted) != 0;
    }
    if (!x_varies || !y_varies) return NAN;
    for (size_t i = 0; i < n; i++) {
        const double x = v[i].predicted - mean_x, y = v[i].wanted - mean_y;
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    const double r = (double)(xy / sqrtl((long double)xx * yy)); /* the product of two doubles has room in there */
    return r > 1.0 ? 1.0 : r < -1.0 ? -1.0 : r;
}

/* Replaces one side, by which the pairs are sorted, by its ranks from 1; equal numbers share the mean of theirs. */
static void rank_side(value_pair *v, size_t n, size_t side) {
    double *values = &v[0].predicted + side; /* of pair i: values[2 * i] */
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && compare(values[2 * end], values[2 * i]) == 0;) end++;
        const double rank = ((double)(i + 1) + (double)end) / 2.0;
        for (size_t k = i; k < end; k++) values[2 * k] = rank;
    }
}

static bool has_nan(const metrics *m) {
    for (size_t i = 0; i < m->values.size; i++)
        if (isnan(m->values.data[i].predicted) || isnan(m->values.data[i].wanted)) return true;
    return false;
}

pofac_status metrics_rank_values(metrics *m, const diag_sink *sink) {
    const size_t n = m->values.size;
    m->ranks.size = 0;
    if (n < 2 || has_nan(m)) return POFAC_OK;
    if (!VEC_RESERVE(&m->ranks, n)) return diag_out_of_memory(sink);
    qsort(m->values.data, n, sizeof *m->values.data, by_predicted);
    memcpy(m->ranks.data, m->values.data, n * sizeof *m->ranks.data);
    m->ranks.size = n;
    rank_side(m->ranks.data, n, 0);
    qsort(m->ranks.data, n, sizeof *m->ranks.data, by_wanted);
    rank_side(m->ranks.data, n, 1);
    return POFAC_OK;
}

double compute_pearson(const metrics *m) { return m->ranks.size ? correlate(m->values.data, m->values.size) : NAN; }

double compute_spearman(const metrics *m) { return m->ranks.size ? correlate(m->ranks.data, m->ranks.size) : NAN; }

double compute_mean_squared_error(const metrics *m) {
    double sum = 0.0;
    if (m->values.size == 0) return NAN;
    for (size_t i = 0; i < m->values.size; i++) {
        const double d = m->values.data[i].predicted - m->values.data[i].wanted;
        sum += d * d;
    }
    return sum / (double)m->values.size;
}
