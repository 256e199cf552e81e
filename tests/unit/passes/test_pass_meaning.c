/*
 * Properties of passes over generated graphs: interp(pass(A)) = interp(A) bit for bit for every pass that keeps meaning and every
 * named pipeline; a pass run twice does what it does once; and what each pass leaves behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/graph_generator.h"
#include "tests/unit/passes/pass_case.h"

#define N_GRAPHS 250

/* Every fourth graph is a deep one. */
static void generate(uint64_t seed, generated_graph *g) {
    graph_options options = {.n_steps = seed % 4 == 0 ? 40 : 12};
    graph_generate(seed, &options, g);
}

/* canonicalize may turn the sign of a zero (x + 0), and so may what contains it. */
static zero_signs zeros_of(const char *pipeline) {
    static const char *const exact[] = {"fold", "cse", "dce", "layout", "fuse", "plan-memory"};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (strcmp(exact[i], pipeline) == 0) return ZERO_SIGNS_COUNT;
    return ZERO_SIGNS_DO_NOT_COUNT;
}

static void check_meaning(uint64_t seed, generated_graph *g, const char *pipeline) {
    char what[256];
    ir_module *after = run_pipeline(g->module, pipeline);
    snprintf(what, sizeof what, "%s, graph %llu", pipeline, (unsigned long long)seed);
    assert_same_meaning(what, g->module, after, &g->inputs, &g->state, zeros_of(pipeline));
    graph_generate_inputs(g, seed + N_GRAPHS);
    assert_same_meaning(what, g->module, after, &g->inputs, &g->state, zeros_of(pipeline));
    module_destroy(after);
}

static void test_passes_keep_meaning(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        generate(seed, &g);
        for (size_t i = 0; pass_row(i); i++)
            if (pass_row(i)->effect == KEEPS_MEANING) check_meaning(seed, &g, pass_row(i)->name);
        generated_graph_free(&g);
    }
}

static void test_pipelines_keep_meaning(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        generate(seed, &g);
        check_meaning(seed, &g, "simplify");
        check_meaning(seed, &g, "infer");
        check_meaning(seed, &g, "layout{tile=16},infer");
        check_meaning(seed, &g, "fuse,plan-memory,cse,canonicalize,layout,plan-memory,fold,dce");
        generated_graph_free(&g);
    }
}

/* Ten passes in an order that the seed draws. */
static void random_pipeline(uint64_t seed, strbuf *out) {
    const rng_key key = rng_key_make(seed, "pipeline");
    size_t n_passes = 0;
    while (pass_row(n_passes)) n_passes++;
    strbuf_clear(out);
    for (uint64_t i = 0; out->size == 0 || i < 10; i++) {
        const pass_info *pass = pass_row((size_t)rng_below(key, i, n_passes));
        if (pass->effect == KEEPS_MEANING) strbuf_printf(out, "%s%s", out->size ? "," : "", pass->name);
    }
}

static void test_any_order_keeps_meaning(void **state) {
    (void)state;
    strbuf pipeline = STRBUF_INIT;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        generate(seed, &g);
        random_pipeline(seed, &pipeline);
        check_meaning(seed, &g, strbuf_str(&pipeline));
        generated_graph_free(&g);
    }
    strbuf_free(&pipeline);
}

/* ---- twice is once ---- */

static void check_twice(uint64_t seed, const generated_graph *g, const char *pipeline) {
    char what[128];
    ir_module *once = run_pipeline(g->module, pipeline), *twice = run_pipeline(once, pipeline);
    snprintf(what, sizeof what, "%s twice and once, graph %llu", pipeline, (unsigned long long)seed);
    assert_same_module(what, twice, once);
    module_destroy(once);
    module_destroy(twice);
}

static void test_twice_is_once(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        generate(seed, &g);
        for (size_t i = 0; pass_row(i); i++) check_twice(seed, &g, pass_row(i)->name);
        check_twice(seed, &g, "canonicalize,dce");
        generated_graph_free(&g);
    }
}

/* ---- what is left behind ---- */

static void expect_layouts(uint64_t seed, const ir_graph *g, uint32_t tile) {
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        const ir_type *t = graph_type(g, n->first_result), *x = n->n_inputs > 0 ? graph_type(g, n->inputs[0]) : NULL;
        if (op_has(n->op, TRAIT_TILED) && x->dtype == IR_F32 && x->layout != LAYOUT_TILES)
            fail_msg("graph %llu: %%%zu = %s is not in tiles", (unsigned long long)seed, i + 1, op_info(n->op)->name);
        if (t->layout == LAYOUT_TILES && t->tile != tile)
            fail_msg("graph %llu: %%%zu is in tiles<%u>", (unsigned long long)seed, i + 1, t->tile);
        if (n->op == OP_relayout && (x == t || graph_node_of(g, n->inputs[0])->op == OP_relayout))
            fail_msg("graph %llu: the relayout %%%zu is not needed", (unsigned long long)seed, i + 1);
    }
    for (size_t i = 0; i < g->outputs.size; i++)
        if (graph_type(g, g->outputs.data[i].value)->layout != LAYOUT_ROWS)
            fail_msg("graph %llu: output %s is in tiles", (unsigned long long)seed, g->outputs.data[i].name);
}

static void test_layout_leaves(void **state) {
    (void)state;
    static const struct {
        const char *pipeline;
        uint32_t tile;
    } cases[] = {{"layout", 32}, {"layout{tile=16}", 16}, {"layout{tile=64}", 64}, {"layout{tile=16},layout{tile=64}", 64}};
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        generate(seed, &g);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            ir_module *m = run_pipeline(g.module, cases[i].pipeline);
            expect_layouts(seed, m->graphs.data[0], cases[i].tile);
            module_destroy(m);
        }
        generated_graph_free(&g);
    }
}

static bool same_attrs(const ir_node *a, const ir_node *b) {
    if (a->n_attrs != b->n_attrs) return false;
    for (uint32_t i = 0; i < a->n_attrs; i++) {
        const ir_attr *x = &a->attrs[i], *y = &b->attrs[i];
        bool same = x->name == y->name;
        if (x->kind == ATTR_FLOAT) same = same && x->as.f == y->as.f;
        else if (x->kind == ATTR_FLOATS)
            same = same && x->as.floats.n == y->as.floats.n &&
                   memcmp(x->as.floats.data, y->as.floats.data, x->as.floats.n * sizeof(double)) == 0;
        else same = same && x->as.i == y->as.i;
        if (!same) return false;
    }
    return true;
}

static bool same_inputs(const ir_node *a, const ir_node *b) {
    return a->n_inputs == b->n_inputs && (a->n_inputs == 0 || memcmp(a->inputs, b->inputs, a->n_inputs * sizeof *a->inputs) == 0);
}

/* No two nodes are equal. */
static void test_cse_leaves(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        generate(seed, &g);
        ir_module *m = run_pipeline(g.module, "cse");
        const ir_graph *after = m->graphs.data[0];
        for (size_t i = 0; i < after->nodes.size; i++)
            for (size_t j = 0; j < i; j++) {
                const ir_node *a = &after->nodes.data[i], *b = &after->nodes.data[j];
                if (a->op != b->op || !same_inputs(a, b) || !same_attrs(a, b)) continue;
                if (graph_type(after, a->first_result) == graph_type(after, b->first_result))
                    fail_msg("graph %llu: %%%zu equals %%%zu", (unsigned long long)seed, i + 1, j + 1);
            }
        module_destroy(m);
        generated_graph_free(&g);
    }
}

/* Every node is an input, or used. */
static void test_dce_leaves(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        arena memory = ARENA_INIT;
        generate(seed, &g);
        ir_module *m = run_pipeline(g.module, "dce");
        const ir_graph *after = m->graphs.data[0];
        const uint32_t *uses = graph_count_uses(after, &memory);
        for (size_t i = 0; i < after->nodes.size; i++) {
            const ir_node *n = &after->nodes.data[i];
            uint32_t used = n->op == OP_input || n->op == OP_pattern; /* a pattern may be used by types alone */
            for (uint32_t r = 0; r < n->n_results; r++) used += uses[node_result(n, r)];
            if (used == 0) fail_msg("graph %llu: nobody uses %%%zu", (unsigned long long)seed, i + 1);
        }
        arena_free(&memory);
        module_destroy(m);
        generated_graph_free(&g);
    }
}

/* No node has constants alone for inputs, but those that fold leaves to running. */
static void test_fold_leaves(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        generate(seed, &g);
        ir_module *m = run_pipeline(g.module, "fold");
        const ir_graph *after = m->graphs.data[0];
        for (size_t i = 0; i < after->nodes.size; i++) {
            const ir_node *n = &after->nodes.data[i];
            bool constant =
                n->n_inputs > 0 && !op_has(n->op, TRAIT_TILED) && graph_type(after, n->first_result)->layout == LAYOUT_ROWS;
            for (uint32_t k = 0; k < n->n_inputs; k++)
                constant = constant && n->inputs[k] && graph_node_of(after, n->inputs[k])->op == OP_constant;
            if (constant) fail_msg("graph %llu: %%%zu depends on constants alone", (unsigned long long)seed, i + 1);
        }
        module_destroy(m);
        generated_graph_free(&g);
    }
}

/* What a group makes is used outside only behind its last node. */
static void test_fuse_leaves(void **state) {
    (void)state;
    size_t n_groups = 0;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        generate(seed, &g);
        ir_module *m = run_pipeline(g.module, "simplify,layout,fuse");
        const ir_graph *after = m->graphs.data[0];
        for (size_t i = 0; i < after->nodes.size; i++) {
            const ir_node *n = &after->nodes.data[i];
            for (uint32_t k = 0; k < n->n_inputs; k++) {
                if (n->inputs[k] == IR_NO_VALUE) continue;
                const ir_node *maker = graph_node_of(after, n->inputs[k]);
                int64_t group = node_int(maker, "group");
                if (group < 0 || group == node_int(n, "group")) continue;
                for (const ir_node *later = n + 1; later < after->nodes.data + after->nodes.size; later++)
                    if (node_int(later, "group") == group)
                        fail_msg("graph %llu: %%%zu uses %%%zu before the end of group %lld", (unsigned long long)seed, i + 1,
                                 (size_t)(maker - after->nodes.data) + 1, (long long)group);
            }
            if (node_int(n, "group") > (int64_t)n_groups) n_groups++;
        }
        module_destroy(m);
        generated_graph_free(&g);
    }
    if (n_groups == 0) fail_msg("no graph has a group");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_keep_meaning),
        cmocka_unit_test(test_pipelines_keep_meaning),
        cmocka_unit_test(test_any_order_keeps_meaning),
        cmocka_unit_test(test_twice_is_once),
        cmocka_unit_test(test_layout_leaves),
        cmocka_unit_test(test_cse_leaves),
        cmocka_unit_test(test_dce_leaves),
        cmocka_unit_test(test_fold_leaves),
        cmocka_unit_test(test_fuse_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
