/* Numbers for a graph's symbols -> bytes; see batch_memory.h. Memory grows with the number of sequences, so the largest batch is found by halving. */
#include "frontend/driver/batch_memory.h"

#include <stdlib.h>
#include <string.h>

int64_t batch_symbol(batch_shape shape, const char *symbol) {
    if (!symbol) return -1;
    if (strcmp(symbol, "B") == 0) return shape.sequences;
    if (strcmp(symbol, "S") == 0) return shape.length;
    if (strcmp(symbol, "T") == 0 || strcmp(symbol, "D") == 0) return shape.tokens;
    if (strcmp(symbol, "M") == 0) return shape.predictions > 0 ? shape.predictions : 1;
    return -1;
}

pofac_status batch_memory_need(const runnable *r, batch_shape shape, const diag_sink *sink, session_memory *out) {
    const ir_context *c = r->plan->module->context;
    size_t n = context_n_symbols(c) + 1;
    int64_t *values = malloc(n * sizeof *values);
    if (!values) return diag_out_of_memory(sink);
    values[0] = -1;
    for (size_t i = 1; i < n; i++) values[i] = batch_symbol(shape, symbol_name(c, (ir_symbol)i));
    pofac_status status = session_memory_at(r->session, (ir_binding){values, n}, sink, out);
    free(values);
    return status;
}

int64_t batch_memory_bytes(session_memory m) { return m.packed_weight_bytes + m.arena_bytes + m.scratch_bytes; }

static batch_shape full_batch(int64_t sequences, int64_t length) {
    return (batch_shape){sequences, length, sequences * length, sequences};
}

static pofac_status fits(const runnable *r, int64_t sequences, int64_t length, int64_t max_bytes, const diag_sink *sink,
                         bool *out) {
    session_memory need;
    TRY(batch_memory_need(r, full_batch(sequences, length), sink, &need));
    *out = batch_memory_bytes(need) <= max_bytes;
    return POFAC_OK;
}

static pofac_status report_too_small(const runnable *r, int64_t length, int64_t max_bytes, const diag_sink *sink) {
    session_memory need;
    strbuf text = STRBUF_INIT;
    batch_shape shape = full_batch(1, length);
    TRY(batch_memory_need(r, shape, sink, &need));
    batch_memory_print_bytes(max_bytes, &text);
    strbuf_puts(&text, ", which does not hold one sequence: ");
    batch_memory_print(shape, need, &text);
    pofac_status status = diag_error(sink, POFAC_ERR_USAGE, NULL, "--max_memory is %s", strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

pofac_status batch_memory_fit(const runnable *r, int64_t length, int64_t most, int64_t max_bytes, const diag_sink *sink,
                              int64_t *out) {
    int64_t low = 0, high = most; /* low fits */
    bool ok;
    *out = most;
    if (max_bytes == 0) return POFAC_OK;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        TRY(fits(r, middle, length, max_bytes, sink, &ok));
        if (ok) low = middle;
        else high = middle - 1;
    }
    *out = low;
    return low > 0 ? POFAC_OK : report_too_small(r, length, max_bytes, sink);
}

void batch_memory_print(batch_shape shape, session_memory m, strbuf *out) {
    strbuf_puts(out, "weights ");
    batch_memory_print_bytes(m.mapped_weight_bytes, out);
    strbuf_puts(out, " mapped, ");
    batch_memory_print_bytes(m.packed_weight_bytes, out);
    strbuf_printf(out, " packed; batch of %lld x %lld tokens: activations ", (long long)shape.sequences, (long long)shape.length);
    batch_memory_print_bytes(m.arena_bytes, out);
    strbuf_puts(out, ", scratch ");
    batch_memory_print_bytes(m.scratch_bytes, out);
    strbuf_puts(out, "; in all ");
    batch_memory_print_bytes(batch_memory_bytes(m), out);
    strbuf_puts(out, " beside mapped weights");
}

pofac_status batch_memory_note(const runnable *r, int64_t sequences, int64_t length, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    session_memory need;
    batch_shape shape = full_batch(sequences, length);
    TRY(batch_memory_need(r, shape, sink, &need));
    batch_memory_print(shape, need, &text);
    if (strbuf_ok(&text)) diag_note(sink, NULL, "%s", strbuf_str(&text));
    strbuf_free(&text);
    return POFAC_OK;
}

void batch_memory_print_bytes(int64_t bytes, strbuf *out) {
    if (bytes >= 1000000000) strbuf_printf(out, "%.2f GB", 1e-9 * (double)bytes);
    else if (bytes >= 1000000) strbuf_printf(out, "%.1f MB", 1e-6 * (double)bytes);
    else strbuf_printf(out, "%.1f kB", 1e-3 * (double)bytes);
}
