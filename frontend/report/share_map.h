/*
 * Shares of rows over steps as a map: one band for each row (a layer), steps from left to right, the darker the larger the share. What is drawn is an image within
 * inline SVG; the attributes data-steps and data-values have every number.
 */
#ifndef POFAC_FRONTEND_REPORT_SHARE_MAP_H
#define POFAC_FRONTEND_REPORT_SHARE_MAP_H

#include "ir/support/diag.h"

typedef struct share_map {
    const char *run;
    const char *const *rows;   /* [n_rows] full names */
    const char *const *labels; /* [n_rows] short ones */
    size_t n_rows, n_steps;
    const double *steps;  /* [n_steps] rising */
    double last_step;     /* where the map ends: not before the last of steps */
    const double *shares; /* [n_rows][n_steps] 0 to 1, NaN: not known */
} share_map;

/* Appends a <figure>; nothing where there are no rows or steps. A share holds until the next step that has one. */
POFAC_MUST_USE pofac_status share_map_put(const share_map *m, const diag_sink *sink, strbuf *out);

#endif
