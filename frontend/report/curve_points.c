/* Thinning and means of curves; see curve_points.h. */
#include "frontend/report/curve_points.h"

#include <math.h>
#include <stdbool.h>

/* Keeps the points of [from, to) that the drawing needs. */
static size_t keep_stretch(const double *y, size_t from, size_t to, size_t *kept) {
    size_t least = from, greatest = from, n = 0;
    bool after_gap = false;
    if (to - from <= 4) {
        for (size_t i = from; i < to; i++) kept[n++] = i;
        return n;
    }
    for (size_t i = from; i < to; i++) {
        if (isnan(y[least]) || y[i] < y[least]) least = i;
        if (isnan(y[greatest]) || y[i] > y[greatest]) greatest = i;
    }
    for (size_t i = from; i < to; i++) {
        const bool gap = isnan(y[i]);
        if (i == from || i == to - 1 || i == least || i == greatest || (gap && !after_gap)) kept[n++] = i;
        after_gap = gap;
    }
    return n;
}

size_t curve_thin(const double *x, const double *y, size_t n, size_t stretches, size_t *kept) {
    size_t n_kept = 0;
    if (n == 0) return 0;
    const double width = (x[n - 1] - x[0]) / (double)(stretches ? stretches : 1);
    for (size_t from = 0, to; from < n; from = to) {
        const double stretch = width > 0 ? floor((x[from] - x[0]) / width) : 0;
        for (to = from + 1; to < n && (width > 0 ? floor((x[to] - x[0]) / width) : 0) <= stretch; to++) continue;
        n_kept += keep_stretch(y, from, to, kept + n_kept);
    }
    return n_kept;
}

void curve_smooth(const double *y, size_t n, size_t half, double *out) {
    for (size_t i = 0; i < n; i++) {
        size_t reach = half < i ? half : i;
        if (n - 1 - i < reach) reach = n - 1 - i;
        double sum = 0;
        size_t count = 0;
        for (size_t k = i - reach; k <= i + reach; k++)
            if (!isnan(y[k])) sum += y[k], count++;
        out[i] = isnan(y[i]) ? NAN : sum / (double)count;
    }
}
