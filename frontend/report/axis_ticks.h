/*
 * Ticks of an axis: round numbers - 1, 2 or 5 times a power of ten, on a logarithmic axis powers of ten and what is between them - that cover what is
 * shown (Heckbert, "Nice Numbers for Graph Labels", Graphics Gems, 1990).
 */
#ifndef POFAC_FRONTEND_REPORT_AXIS_TICKS_H
#define POFAC_FRONTEND_REPORT_AXIS_TICKS_H

#include <stdbool.h>

#include "ir/support/strbuf.h"

#define AXIS_MOST_TICKS 24

typedef struct axis {
    double low, high; /* what the axis shows; low < high, on a logarithmic one 0 < low */
    bool is_log;
    int n;
    double ticks[AXIS_MOST_TICKS]; /* rising, within [low, high] */
    double step;                   /* between ticks; 0 on a logarithmic axis */
} axis;

/* The axis for values from `low` to `high`, both finite, with about `wanted` (2 to 10) ticks. Its ends are ticks where it is linear. Of one value alone it shows some space around it;
 * a logarithmic one becomes linear where low is not above 0, and where fewer than two of its ticks are in the range. */
axis axis_make(double low, double high, bool is_log, int wanted);

/* Where `value` lies, 0 to 1 from low to high. */
double axis_place(const axis *a, double value);

/* Appends a tick's label: as many decimals as the step needs, thousands as 12k and 3M, small ones as 1e-5; with `percent` 0.9 is 90 %. */
void axis_put_label(const axis *a, double tick, bool percent, strbuf *out);

#endif
