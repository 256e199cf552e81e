/*
 * The results of a pipeline: cells of its <results>, read out of what stages have written.
 *
 *   OUT/results.json   {"columns": [{"name", "format"}], "rows": [{"name", "cells": {COLUMN: {"value": MEAN, "values": [...], "sweep": ["seed=1", ...]}}}]}
 *   OUT/results.md     the same as a table
 *
 * A cell has one value for each directory that its stage has: without sweeps one, of "", and one of "shared" where no swept parameter changes it.
 */
#ifndef POFAC_FRONTEND_PIPELINE_RESULTS_H
#define POFAC_FRONTEND_PIPELINE_RESULTS_H

#include "frontend/driver/pipeline_plan.h"

/* Writes both files into `directory` and appends the table to `table`; nothing of a pipeline without rows. POFAC_ERR_INPUT: a file that is not there, or
 * has no number where the cell says. */
POFAC_MUST_USE pofac_status pipeline_results_write(const pipeline_plan *plan, const char *directory, arena *a,
                                                   const diag_sink *sink, strbuf *table);

/* Appends a value as the table has it: "95.83 %", "12.3 MB", "10.2x", "3.21 ms", "61.2". */
void pipeline_results_put_value(const char *format, double value, strbuf *out);

#endif
