/*
 * Diagnostics: what was found, what was wanted, and where.
 *
 * A diag_sink receives diagnostics; the command line's sink prints them, tests collect them. The texts that a diag points to
 * live until the sink's emit returns. One sink is used by one thread at a time.
 *
 * Rendered form:    FILE:LINE:COL: error: what was found, what was wanted
 *                     the source line, if known
 *                            ^
 * with the parts of the place that are known (`FILE: error: ...`, or `error: ...`).
 */
#ifndef POFAC_IR_SUPPORT_DIAG_H
#define POFAC_IR_SUPPORT_DIAG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/status.h"
#include "ir/support/strbuf.h"

typedef enum diag_severity { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE } diag_severity;

/* A place in a user's file. NULL or 0 means unknown. `text` is the source line (not 0-terminated), for the caret. */
typedef struct diag_place {
    const char *file;
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in bytes */
    const char *text;
    size_t text_bytes;
} diag_place;

typedef struct diag {
    diag_severity severity;
    pofac_status status; /* POFAC_OK for warnings and notes */
    diag_place place;
    const char *message;
} diag;

typedef struct diag_sink {
    void (*emit)(void *user, const diag *d);
    void *user;
} diag_sink;

/* Each sends one diagnostic; `sink` may be NULL (nobody listens). `place` may be NULL. diag_error returns `status`. */
POFAC_PRINTF(4, 5)
pofac_status diag_error(const diag_sink *sink, pofac_status status, const diag_place *place, const char *format, ...);
POFAC_PRINTF(4, 0)
pofac_status diag_verror(const diag_sink *sink, pofac_status status, const diag_place *place, const char *format, va_list args);
POFAC_PRINTF(3, 4) void diag_warning(const diag_sink *sink, const diag_place *place, const char *format, ...);
POFAC_PRINTF(3, 4) void diag_note(const diag_sink *sink, const diag_place *place, const char *format, ...);

/* The one message for a failed allocation; returns POFAC_ERR_RUNTIME. */
pofac_status diag_out_of_memory(const diag_sink *sink);

#ifdef __clang_analyzer__ /* which sees one file at a time: what the two return */
#define diag_error(sink, status, ...) ((void)diag_error(sink, status, __VA_ARGS__), (status))
#define diag_out_of_memory(sink) ((void)diag_out_of_memory(sink), POFAC_ERR_RUNTIME)
#endif

/* Appends the rendered form, ending in a newline. */
void diag_render(const diag *d, strbuf *out);

/* A sink that renders everything it gets into a strbuf, one after the other. */
diag_sink diag_sink_to_strbuf(strbuf *out);

/* Sends on to `to` with lines counted from `lines_before` on: for what reads a line of a file as if it were a file. */
typedef struct diag_moved {
    const diag_sink *to; /* NULL: nobody listens */
    uint32_t lines_before;
} diag_moved;
diag_sink diag_sink_moved(diag_moved *m); /* lives as `m` */

/* The candidate nearest to `word` by edit distance, for "unknown X; did you mean Y?"; NULL when none is near. */
const char *diag_nearest(const char *word, const char *const *candidates, size_t n);

#endif
