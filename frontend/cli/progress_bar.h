/*
 * A line on stderr that says how far long work has got: share, rate, time left. Only on a terminal; without colours where NO_COLOR is
 * set to something (no-color.org); messages appear above it.
 */
#ifndef POFAC_FRONTEND_CLI_PROGRESS_BAR_H
#define POFAC_FRONTEND_CLI_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/support/diag.h"

typedef struct progress_view {
    const char *unit; /* "texts" */
    uint64_t count;   /* of them */
    double share;     /* of the work, 0 to 1; negative: not known */
    double seconds;   /* since the beginning */
} progress_view;

/* Appends the line, without control characters but colours: "[######      ]  50%  1234 texts  617/s  0:02 left". It has at most `columns`
 * columns, of which it needs about 60. */
void progress_bar_render(const progress_view *v, int columns, bool colors, strbuf *out);

typedef struct progress_bar {
    bool is_on, colors, drawn;
    double begin, last;    /* seconds */
    const diag_sink *sink; /* where messages go */
} progress_bar;

/* Off where `show` is false or stderr is no terminal. */
void progress_bar_begin(progress_bar *bar, bool show, const diag_sink *sink);
/* A sink that passes messages on, above the bar; lives as long as the bar. */
diag_sink progress_bar_sink(progress_bar *bar);
/* Draws at most ten times a second. */
void progress_bar_update(progress_bar *bar, const char *unit, uint64_t count, double share);
/* The same with the bar as the `user` of drivers' options. */
void progress_bar_show(void *bar, const char *unit, uint64_t count, double share);
/* Takes the bar away. */
void progress_bar_end(progress_bar *bar);

#endif
