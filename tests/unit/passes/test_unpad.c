/*
 * pitfall 28: unpadding over generated graphs with padded outputs: the same numbers, bit for bit, at every place that the mask keeps and at the
 * first of each sequence, and 0 elsewhere. A graph that is left as it is gives the same numbers everywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "tests/unit/graph_generator.h"
#include "tests/unit/passes/pass_case.h"

#define N_GRAPHS 5000

/* ---- graphs with padded outputs ---- */

/* [B,S,...] for a type [B*S,...]; NULL for any other. */
static const ir_type *padded_type(const ir_graph *g, const ir_type *t) {
    bool ok;
    ir_symbol b = symbol_named(g->module->context, "B"), s = symbol_named(g->module->context, "S");
    ir_dim dims[3] = {dim_symbol(b), dim_symbol(s), t->rank == 2 ? t->dims[1] : dim_const(0)};
    if (t->rank < 1 || t->rank > 2 || !dim_equal(t->dims[0], dim_mul(dims[0], dims[1], &ok))) return NULL;
    return type_tensor(g->module->context, t->dtype, t->rank + 1, dims);
}

static pofac_status put_back(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size; i++) rewrite_copy(&rw, &from->nodes.data[i]);
    for (size_t i = 0; i < from->outputs.size; i++) {
        ir_value old = from->outputs.data[i].value, v = rewrite_value(&rw, old);
        const ir_type *padded = padded_type(rw.to, graph_type(rw.to, v));
        if (padded) rewrite_map(&rw, old, build_declared(rw.to, OP_reshape, v, padded));
    }
    return rewrite_finish(&rw);
}

static bool is_unpadded(const ir_module *m) {
    const ir_graph *g = m->graphs.data[0];
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_kept_rows) return true;
    return false;
}

static bool is_padded(const ir_module *m) { return graph_symbol_bound(m->graphs.data[0], symbol_named(m->context, "S")) > 0; }

/* ---- comparing ---- */

static interp_results interpret(uint64_t seed, const ir_module *m, generated_graph *g) {
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    tensor_source inputs = named_tensors_source(&g->inputs), state = named_tensors_source(&g->state);
    interp_results results;
    if (interpret_graph(m->graphs.data[0], &inputs, &state, NULL, &sink, &results) != POFAC_OK)
        fail_msg("graph %" PRIu64 ": %s", seed, strbuf_str(&messages));
    strbuf_free(&messages);
    return results;
}

/* `mask` NULL: every element of `after` equals that of `before`; else 0 at places that are not kept. */
static void compare(uint64_t seed, const char *name, const ir_tensor *before, const ir_tensor *after, const ir_tensor *mask) {
    int64_t n = tensor_elements(before), places = mask ? tensor_elements(mask) : 1;
    assert_int_equal(tensor_elements(after), n);
    for (int64_t i = 0; i < n; i++) {
        int64_t place = i / (n / places);
        bool kept = !mask || place % mask->dims[1] == 0 || tensor_get_int(mask, place) != 0;
        double wanted = kept ? tensor_get(before, i) : 0, found = tensor_get(after, i);
        if (memcmp(&wanted, &found, sizeof wanted) != 0)
            fail_msg("graph %" PRIu64 ": output %s, element %" PRId64 ", %s: %.17g, wanted %.17g", seed, name, i,
                     kept ? "kept" : "padding", found, wanted);
    }
}

static void compare_all(uint64_t seed, generated_graph *g, const ir_module *before, const ir_module *after) {
    interp_results a = interpret(seed, before, g), b = interpret(seed, after, g);
    const ir_tensor *mask = is_unpadded(after) ? named_tensors_find(&g->inputs, "attention_mask") : NULL;
    assert_int_equal(a.n_outputs, b.n_outputs);
    for (size_t i = 0; i < a.n_outputs; i++) {
        const ir_type *t = graph_type(before->graphs.data[0], before->graphs.data[0]->outputs.data[i].value);
        bool padded = t->rank >= 2 && dim_equal(t->dims[1], dim_symbol(symbol_named(g->context, "S")));
        compare(seed, a.outputs[i].name, &a.outputs[i].tensor, &b.outputs[i].tensor, padded ? mask : NULL);
    }
    interp_results_free(&a);
    interp_results_free(&b);
}

/* ---- tests ---- */

static void check_generated(const char *pipeline, size_t wanted) {
    size_t n_unpadded = 0;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        const graph_options options = {
            .n_steps = 6 + (uint32_t)(seed % 8), .without_tiles = true, .without_losses = true, .without_kept_rows = true};
        generated_graph g;
        ir_module *padded;
        graph_generate(seed, &options, &g);
        if (is_padded(g.module)) {
            if (rewrite_module(g.module, put_back, NULL, NULL, &padded) != POFAC_OK) fail_msg("graph %" PRIu64, seed);
            ir_module *after = run_pipeline(padded, pipeline);
            n_unpadded += is_unpadded(after);
            compare_all(seed, &g, padded, after);
            graph_generate_inputs(&g, seed + N_GRAPHS);
            compare_all(seed, &g, padded, after);
            module_destroy(padded);
            module_destroy(after);
        }
        generated_graph_free(&g);
    }
    if (n_unpadded < wanted) fail_msg("%s: %zu graphs were unpadded, wanted at least %zu", pipeline, n_unpadded, wanted);
}

static void test_unpad(void **state) {
    (void)state;
    check_generated("unpad", 30);
}

static void test_unpad_and_dead_tokens(void **state) {
    (void)state;
    check_generated("dce,unpad,dead-tokens", 30);
}

static void test_unpad_of_unpadded(void **state) {
    (void)state;
    check_generated("unpad,unpad,dce", 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpad),
        cmocka_unit_test(test_unpad_and_dead_tokens),
        cmocka_unit_test(test_unpad_of_unpadded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
