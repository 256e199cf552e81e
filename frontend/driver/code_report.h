/*
 * What a plan's code amounts to: bytes and compile time of each distinct kernel, as a table or as JSON.
 */
#ifndef POFAC_FRONTEND_CODE_REPORT_H
#define POFAC_FRONTEND_CODE_REPORT_H

#include "ir/plan.h"

typedef struct code_report {
    const plan_code *codes; /* [n], the largest first */
    size_t n, n_cached, bytes;
    double compile_ms; /* processor time of all kernels */
} code_report;

/* A copy in `a`; the plan may go. */
POFAC_MUST_USE pofac_status code_report_make(const plan *p, arena *a, const diag_sink *sink, code_report *out);

void code_report_put_table(const code_report *r, strbuf *out);
/* {"bytes": N, "compile_ms": X, "kernels": [{"kernel": "...", "bytes": N, "compile_ms": X, "cached": false}, ...]} */
void code_report_put_json(const code_report *r, strbuf *out);

#endif
