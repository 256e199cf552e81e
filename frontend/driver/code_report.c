/* Reports on code; see code_report.h. */
#include "frontend/driver/code_report.h"

#include <stdlib.h>

#include "frontend/driver/run_profile.h"

static int larger_first(const void *x, const void *y) {
    const plan_code *a = x, *b = y;
    return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

pofac_status code_report_make(const plan *p, arena *a, const diag_sink *sink, code_report *out) {
    *out = (code_report){.n = p->n_kernels, .n_cached = p->n_kernels_cached, .bytes = p->code_bytes};
    plan_code *codes = ARENA_ARRAY(a, plan_code, out->n + 1);
    if (!codes) return diag_out_of_memory(sink);
    for (size_t i = 0; i < out->n; i++) {
        codes[i] = p->codes[i];
        codes[i].variant = arena_strdup(a, p->codes[i].variant);
        codes[i].symbol = arena_strdup(a, p->codes[i].symbol);
        if (!codes[i].variant || !codes[i].symbol) return diag_out_of_memory(sink);
        out->compile_ms += 1e3 * codes[i].compile_seconds;
    }
    qsort(codes, out->n, sizeof *codes, larger_first);
    out->codes = codes;
    return POFAC_OK;
}

void code_report_put_table(const code_report *r, strbuf *out) {
    strbuf_puts(out, "   bytes  compile ms  kernel\n");
    for (size_t i = 0; i < r->n; i++) {
        if (r->codes[i].cached) strbuf_printf(out, "%8zu  %10s  ", r->codes[i].bytes, "cached");
        else strbuf_printf(out, "%8zu  %10.2f  ", r->codes[i].bytes, 1e3 * r->codes[i].compile_seconds);
        profile_shorten(r->codes[i].variant, out);
        strbuf_putc(out, '\n');
    }
}

void code_report_put_json(const code_report *r, strbuf *out) {
    strbuf_printf(out, "{\"bytes\": %zu, \"compile_ms\": %.6g, \"kernels\": [", r->bytes, r->compile_ms);
    for (size_t i = 0; i < r->n; i++)
        strbuf_printf(out, "%s{\"kernel\": \"%s\", \"bytes\": %zu, \"compile_ms\": %.6g, \"cached\": %s}", i ? ", " : "",
                      r->codes[i].variant, r->codes[i].bytes, 1e3 * r->codes[i].compile_seconds,
                      r->codes[i].cached ? "true" : "false");
    strbuf_puts(out, "]}");
}
