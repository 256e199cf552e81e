/*
 * Runs of training and models -> one page of HTML that needs nothing but itself: curves of metrics.jsonl, sparsity by layer, scores, sizes, where non-zeros lie, time by
 * kernel, the graph of one layer pass by pass; several runs beside each other.
 *
 * A run is named by a directory of `pofac train`, a model's directory or description, a compiled model, the output of `pofac bench --json`, or a directory of
 * `pofac run`, whose table stands first and whose stages follow. What a run lacks is left out, and a sentence says what would give it.
 */
#ifndef POFAC_FRONTEND_REPORT_H
#define POFAC_FRONTEND_REPORT_H

#include "frontend/driver/interruption.h"
#include "frontend/driver/road.h"

typedef struct report_options {
    const char *const *paths; /* [n_paths] */
    size_t n_paths;
    const char *layer; /* part of the name of the weight whose non-zeros are shown; NULL: the first with zeros */
    bool bench;        /* measure models; else none but what files say */
    int64_t batch, sequence, warmup, iterations; /* of bench_options; a sequence is cut to what the model takes */
    loaded_model_options model;
    road_options road;
    interruption *stop; /* may be NULL */
} report_options;

/* Appends the page. POFAC_ERR_INPUT: a path where nothing is, or nothing of a run. POFAC_ERR_USAGE: no run has a weight like `layer`. POFAC_ERR_INTERRUPTED. */
POFAC_MUST_USE pofac_status report_make(const report_options *o, const diag_sink *sink, strbuf *out);

#endif
