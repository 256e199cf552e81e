/*
 * A line chart as inline SVG: axes with round ticks, one line for each series, told apart by colour, dashes and marks alike. What is drawn is thinned and, of noisy
 * series, has its mean on top; the attributes data-steps and data-values of each series have every point, as metrics.jsonl writes numbers.
 */
#ifndef POFAC_FRONTEND_REPORT_LINE_CHART_H
#define POFAC_FRONTEND_REPORT_LINE_CHART_H

#include <stdbool.h>

#include "ir/support/diag.h"

#define CHART_STYLES                                                                                                               \
    8 /* colours, dashes and marks; after these colours come again with other dashes and marks, so 64 series differ */

typedef struct chart_series {
    const char *run, *metric; /* as the legend has them */
    const double *x, *y;      /* [n], x not falling and finite; where y is NaN, there is a gap */
    size_t n;
    unsigned style; /* of the run */
    bool marked;    /* drawn thin, with marks at its points, of many at about 60 */
} chart_series;

typedef enum chart_scale { CHART_LINEAR, CHART_LOG_WHERE_WIDE, CHART_PERCENT } chart_scale;

typedef struct chart {
    const char *title; /* "Loss" */
    const char *unit;  /* "tokens per second"; "" where the title says all */
    bool noisy;        /* long series have their mean on top */
    chart_scale scale; /* log where wide: where the greatest value is 30 times the least, which is above 0 */
    const chart_series *series;
    size_t n_series;
} chart;

/* Appends a <figure> with title, legend and drawing; nothing where no series has a point. */
POFAC_MUST_USE pofac_status chart_put(const chart *c, const diag_sink *sink, strbuf *out);

/* Appends the look of a series as a small drawing, for legends. */
void chart_put_swatch(unsigned style, bool marked, strbuf *out);

#endif
