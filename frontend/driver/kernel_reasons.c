/* Noting why; see kernel_reasons.h. */
#include "frontend/driver/kernel_reasons.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/measured_cost.h"
#include "ir/support/json_text.h"

/* ---- asking ---- */

static pofac_status ask(const kernel_reasons *r, const linear_problem *problems, size_t n, const diag_sink *sink,
                        linear_choice *out) {
    for (size_t i = 0; i < n; i++) out[i] = cost_by_rule(&problems[i]);
    return r->rest && n ? r->rest->choose(r->rest->user, problems, n, sink, out) : POFAC_OK;
}

/* What problems[i] would take in f32, where it is in integers, into seconds[i]. */
static pofac_status ask_in_f32(const kernel_reasons *r, const linear_problem *problems, size_t n, const diag_sink *sink,
                               double *seconds) {
    linear_problem *asked = malloc((n ? n : 1) * sizeof *asked);
    linear_choice *choices = malloc((n ? n : 1) * sizeof *choices);
    size_t n_asked = 0, at = 0;
    pofac_status status = asked && choices ? POFAC_OK : diag_out_of_memory(sink);
    for (size_t i = 0; i < n && status == POFAC_OK; i++) {
        if (!problems[i].integers) continue;
        asked[n_asked] = problems[i];
        asked[n_asked++].integers = false;
    }
    if (status == POFAC_OK) status = ask(r, asked, n_asked, sink, choices);
    for (size_t i = 0; i < n && status == POFAC_OK; i++) seconds[i] = problems[i].integers ? choices[at++].seconds : 0;
    free(asked);
    free(choices);
    return status;
}

static double zeros_of(const linear_problem *p) { return 1 - (double)p->nnz / ((double)p->N * (double)p->K); }

static bool is_alike(const kernel_reason *a, const kernel_reason *b) {
    return a->problem.N == b->problem.N && a->problem.K == b->problem.K && a->problem.n_rows == b->problem.n_rows &&
           a->problem.integers == b->problem.integers &&
           lround(100 * zeros_of(&a->problem)) == lround(100 * zeros_of(&b->problem)) && a->choice.sparse == b->choice.sparse &&
           a->choice.seconds == b->choice.seconds && strcmp(a->choice.variant, b->choice.variant) == 0;
}

static pofac_status note(kernel_reasons *r, const linear_problem *p, const linear_choice *choice, double f32_seconds,
                         const diag_sink *sink) {
    kernel_reason row = {.problem = *p, .n_weights = 1, .choice = *choice, .f32_seconds = f32_seconds};
    for (size_t i = 0; i < r->rows.size; i++) {
        if (!is_alike(&r->rows.data[i], &row)) continue;
        r->rows.data[i].n_weights++;
        return POFAC_OK;
    }
    row.problem.name = arena_strdup(r->memory, p->name);
    return row.problem.name && VEC_PUSH(&r->rows, row) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status choose(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out) {
    kernel_reasons *r = user;
    double *f32_seconds = calloc(n ? n : 1, sizeof *f32_seconds);
    pofac_status status = f32_seconds ? ask(r, problems, n, sink, out) : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = ask_in_f32(r, problems, n, sink, f32_seconds);
    for (size_t i = 0; i < n && status == POFAC_OK; i++) status = note(r, &problems[i], &out[i], f32_seconds[i], sink);
    free(f32_seconds);
    return status;
}

cost_source kernel_reasons_source(kernel_reasons *r) { return (cost_source){choose, r}; }

void kernel_reasons_free(kernel_reasons *r) { VEC_FREE(&r->rows); }

/* ---- saying ---- */

static void say_rule(const linear_problem *p, const linear_choice *c, strbuf *out) {
    int64_t elements;
    const bool is_huge = __builtin_mul_overflow(p->N, p->K, &elements) || elements > MEASURED_MOST;
    if (zeros_of(p) == 0) strbuf_puts(out, "it has no zeros");
    else
        strbuf_printf(out, "by the rule that zeros are passed over from %d %% on",
                      p->integers ? COST_RULE_INT8_SPARSITY : COST_RULE_SPARSITY);
    if (p->integers && c->sparse && 100 * zeros_of(p) < COST_RULE_INT8_SPARSITY)
        strbuf_printf(out, ", from %d %% on where they come in fours", COST_RULE_SPARSITY);
    if (is_huge || elements < MEASURED_LEAST) strbuf_printf(out, "; too %s to measure", is_huge ? "large" : "small");
    else strbuf_puts(out, "; not measured");
}

static void say_factor(const char *what, double seconds, double taken, strbuf *out) {
    if (seconds > 0 && taken > 0) strbuf_printf(out, ", %s takes %.2f times as long", what, seconds / taken);
}

static void say_measured(const kernel_reason *r, strbuf *out) {
    const linear_choice *c = &r->choice;
    strbuf_puts(out, "measured");
    if (c->sparse) say_factor("dense", c->dense_seconds, c->seconds, out);
    else say_factor("passing over zeros", c->sparse_seconds, c->seconds, out);
    say_factor("f32", r->f32_seconds, c->seconds, out);
    if (r->f32_seconds > 0 && r->f32_seconds < c->seconds) strbuf_puts(out, ": 8 bits are slower here");
}

void kernel_reason_say(const kernel_reason *r, strbuf *out) {
    if (r->choice.measured) say_measured(r, out);
    else if (r->choice.variant[0]) strbuf_puts(out, "asked for");
    else say_rule(&r->problem, &r->choice, out);
}

/* "-" where a time is not known. */
static void put_ms(double seconds, strbuf *out) {
    if (seconds > 0) strbuf_printf(out, " %9.4f", 1e3 * seconds);
    else strbuf_printf(out, " %9s", "-");
}

static const char *kernel_of(const linear_choice *c, bool integers) {
    if (c->variant[0]) return c->variant;
    if (integers) return c->sparse ? "sparse_int8_linear" : "int8_linear";
    return c->sparse ? "sparse_linear" : "linear";
}

void kernel_reasons_print(const kernel_reasons *r, strbuf *out) {
    strbuf_puts(out, "kernels of linear layers; ms on one thread: as chosen, of the fastest dense and sparse ones, and in f32\n"
                     "weights shape          zeros tokens    chosen     dense    sparse       f32  kernel, and why\n");
    for (size_t i = 0; i < r->rows.size; i++) {
        const kernel_reason *row = &r->rows.data[i];
        char shape[48];
        snprintf(shape, sizeof shape, "[%lld,%lld]", (long long)row->problem.N, (long long)row->problem.K);
        strbuf_printf(out, "%7lld %-12s %6.1f%% %6lld", (long long)row->n_weights, shape, 100 * zeros_of(&row->problem),
                      (long long)row->problem.n_rows);
        put_ms(row->choice.seconds, out);
        put_ms(row->choice.dense_seconds, out);
        put_ms(row->choice.sparse_seconds, out);
        put_ms(row->f32_seconds, out);
        strbuf_printf(out, "  %s: ", kernel_of(&row->choice, row->problem.integers));
        kernel_reason_say(row, out);
        strbuf_putc(out, '\n');
    }
}

static void put_member(const char *name, double seconds, strbuf *out) {
    strbuf_printf(out, ", \"%s\": ", name);
    json_put_real(seconds > 0 ? 1e3 * seconds : NAN, out);
}

void kernel_reasons_put_json(const kernel_reasons *r, strbuf *out) {
    strbuf why = STRBUF_INIT;
    strbuf_puts(out, ", \"kernel_choices\": [");
    for (size_t i = 0; i < r->rows.size; i++) {
        const kernel_reason *row = &r->rows.data[i];
        const char *kernel = kernel_of(&row->choice, row->problem.integers);
        strbuf_clear(&why);
        kernel_reason_say(row, &why);
        strbuf_printf(out, "%s{\"weight\": ", i ? ", " : "");
        strbuf_put_json(out, row->problem.name, strlen(row->problem.name));
        strbuf_printf(out, ", \"weights\": %lld, \"shape\": [%lld, %lld], \"sparsity\": %.6f, \"tokens\": %lld, \"kernel\": ",
                      (long long)row->n_weights, (long long)row->problem.N, (long long)row->problem.K, zeros_of(&row->problem),
                      (long long)row->problem.n_rows);
        strbuf_put_json(out, kernel, strlen(kernel));
        put_member("ms", row->choice.seconds, out);
        put_member("dense_ms", row->choice.dense_seconds, out);
        put_member("sparse_ms", row->choice.sparse_seconds, out);
        put_member("f32_ms", row->f32_seconds, out);
        strbuf_puts(out, ", \"why\": ");
        strbuf_put_json(out, strbuf_str(&why), why.size);
        strbuf_putc(out, '}');
    }
    strbuf_putc(out, ']');
    strbuf_free(&why);
}
