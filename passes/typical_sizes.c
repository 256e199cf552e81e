/* Numbers for symbols that kernels are chosen for; see pass.h. */
#include <string.h>

#include "passes/pass.h"

pofac_status pass_typical_sizes(const pass_input *in, const ir_graph *g, int64_t rows, arena *a, ir_binding *out) {
    const ir_context *c = g->module->context;
    const size_t n = context_n_symbols(c) + 1;
    int64_t *value = ARENA_ARRAY(a, int64_t, n);
    if (!value) return diag_out_of_memory(in->sink);
    for (ir_symbol symbol = 1; symbol < n; symbol++) {
        const char *name = symbol_name(c, symbol);
        const int64_t bound = graph_symbol_bound(g, symbol);
        value[symbol] = name && strcmp(name, "B") == 0 ? 1 : bound > 0 && bound < rows ? bound : rows;
    }
    *out = (ir_binding){value, n};
    return POFAC_OK;
}
