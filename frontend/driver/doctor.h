/*
 * What pofac finds on this machine, and what that means for it: processor and instruction sets, threads, caches, memory, libraries,
 * the object cache. Nothing is changed and nothing is an error: a file that is not there is a row that says so.
 */
#ifndef POFAC_FRONTEND_DOCTOR_H
#define POFAC_FRONTEND_DOCTOR_H

#include "frontend/driver/road.h"

typedef enum doctor_level { DOCTOR_FINE, DOCTOR_WARNING } doctor_level;

typedef struct doctor_row {
    const char *topic, *name; /* "memory", "available" */
    const char *found;        /* "3.2 GB" */
    const char *meaning;      /* one line on what it means for pofac */
    doctor_level level;
    int64_t number; /* what was found as a number (bytes, threads); -1 where it is none */
} doctor_row;

typedef struct doctor_report {
    doctor_row *rows; /* in `a` */
    size_t n_rows, n_warnings;
} doctor_report;

/* `road`: target and cache that are asked about. `root`: what stands before /proc and /sys, "" but in tests. Everything lives in `a`.
 * POFAC_ERR_USAGE: an instruction set that the machine lacks; POFAC_ERR_RUNTIME: memory is short. */
POFAC_MUST_USE pofac_status doctor_examine(const road_options *road, const char *root, arena *a, const diag_sink *sink,
                                           doctor_report *out);

/* Appends the report: a line and its meaning for each row / {"version", "warnings", "rows": [{"topic", "name", "found", "number"?,
 * "level", "meaning"}]}. */
void doctor_put_text(const doctor_report *r, strbuf *out);
void doctor_put_json(const doctor_report *r, const char *version, strbuf *out);

#endif
