/* The rewriting helper: copies are equal, values and types are mapped, mistakes of a pass have messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "tests/unit/fail_alloc.h"

typedef struct fixture {
    strbuf messages;
    diag_sink sink;
    ir_context *c;
    ir_module *m;
} fixture;

static void open_fixture(fixture *f) {
    *f = (fixture){.messages = STRBUF_INIT};
    f->sink = diag_sink_to_strbuf(&f->messages);
    f->c = context_create();
    f->m = module_create(f->c, &f->sink);
}

static void close_fixture(fixture *f) {
    module_destroy(f->m);
    context_destroy(f->c);
    strbuf_free(&f->messages);
}

/* ---- generated modules ---- */

#define WIDTH 4

/* Numbers drawn one after the other. */
typedef struct draws {
    rng_key key;
    uint64_t at;
} draws;

static uint64_t draw(draws *d, uint64_t bound) { return rng_below(d->key, d->at++, bound); }

typedef struct generator {
    draws d;
    ir_graph *g;
    const ir_type *row; /* f32[WIDTH] */
    VEC(ir_value) rows; /* values f32[T,WIDTH] */
} generator;

static ir_value any_rows(generator *gen) { return gen->rows.data[draw(&gen->d, gen->rows.size)]; }

static ir_value new_leaf(generator *gen, ir_op op, const char *stem, const ir_type *type) {
    char name[32];
    snprintf(name, sizeof name, "%s.%zu", stem, gen->g->nodes.size);
    return build_leaf(gen->g, op, name, type);
}

/* A linear with a dense or a sparse weight, with or without a bias. */
static ir_value new_linear(generator *gen) {
    ir_context *c = gen->g->module->context;
    ir_value inputs[4] = {any_rows(gen)};
    if (draw(&gen->d, 2)) {
        ir_dim n = dim_const(WIDTH);
        inputs[3] = new_leaf(gen, OP_pattern, "p", type_pattern(c, n, n));
        ir_dim nnz = dim_symbol(symbol_nnz(c, inputs[3]));
        inputs[1] = new_leaf(gen, OP_state, "s", type_tensor(c, IR_F32, 1, &nnz));
    } else {
        ir_dim dims[2] = {dim_const(WIDTH), dim_const(WIDTH)};
        inputs[1] = new_leaf(gen, OP_state, "w", type_tensor(c, IR_F32, 2, dims));
    }
    if (draw(&gen->d, 2)) inputs[2] = new_leaf(gen, OP_state, "b", gen->row);
    return node_add(gen->g, OP_linear, inputs, 4, NULL, 0, NULL);
}

static ir_value new_constant(generator *gen) {
    float data[WIDTH];
    const int64_t n = WIDTH;
    for (int i = 0; i < WIDTH; i++) data[i] = (float)draw(&gen->d, 1000) / 7;
    ir_tensor t = tensor_view(IR_F32, 1, &n, data);
    ir_attr attr = attr_string("data", module_add_constant(gen->g->module, NULL, &t));
    double value = (double)draw(&gen->d, 1000) / 7;
    if (draw(&gen->d, 2)) attr = attr_floats("value", &value, 1);
    return node_add(gen->g, OP_constant, NULL, 0, &attr, 1, gen->row);
}

static ir_value new_layer_norm(generator *gen) {
    ir_value inputs[3] = {any_rows(gen), new_constant(gen), new_leaf(gen, OP_state, "beta", gen->row)};
    ir_attr attrs[2] = {attr_float("eps", (double)draw(&gen->d, 1000) / 1e12), attr_int("group", -1)};
    return node_add(gen->g, OP_layer_norm, inputs, 3, attrs, 2, NULL);
}

static ir_value new_gelu(generator *gen) {
    ir_value x = any_rows(gen);
    ir_attr form = attr_enum("form", draw(&gen->d, 2) ? "erf" : "tanh");
    return node_add(gen->g, OP_gelu, &x, 1, &form, 1, NULL);
}

static ir_value new_rows(generator *gen) {
    switch (draw(&gen->d, 6)) {
    case 0: return new_linear(gen);
    case 1: return new_layer_norm(gen);
    case 2: return new_gelu(gen);
    case 3: return build_binary(gen->g, OP_add, any_rows(gen), new_constant(gen));
    case 4: return build_binary(gen->g, OP_mul, any_rows(gen), any_rows(gen));
    default: return build_unary(gen->g, OP_tanh, any_rows(gen));
    }
}

static void generate_graph(ir_module *m, const char *name, uint64_t seed) {
    generator gen = {.d = {rng_key_make(seed, name), 0}, .g = module_add_graph(m, name)};
    ir_dim dims[2] = {dim_symbol(graph_declare_symbol(gen.g, "T", 100)), dim_const(WIDTH)};
    graph_declare_symbol(gen.g, "B", 7);
    gen.row = type_tensor(m->context, IR_F32, 1, &dims[1]);
    assert_true(VEC_PUSH(&gen.rows, build_leaf(gen.g, OP_input, "x", type_tensor(m->context, IR_F32, 2, dims))));
    size_t n = 1 + draw(&gen.d, 20);
    for (size_t i = 0; i < n; i++) {
        char scope[32];
        snprintf(scope, sizeof scope, "encoder.layer.%u", (unsigned)draw(&gen.d, 3));
        graph_set_scope(gen.g, draw(&gen.d, 4) ? scope : "");
        graph_set_location(gen.g, (ir_location){"made", (uint32_t)i + 1, 2});
        assert_true(VEC_PUSH(&gen.rows, new_rows(&gen)));
    }
    graph_add_output(gen.g, "y", gen.rows.data[gen.rows.size - 1]);
    graph_add_output(gen.g, "z", any_rows(&gen));
    VEC_FREE(&gen.rows);
    assert_int_equal(graph_finish(gen.g), POFAC_OK);
}

/* ---- copying ---- */

static pofac_status copy_graph(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size; i++) rewrite_copy(&rw, &from->nodes.data[i]);
    return rewrite_finish(&rw);
}

static void print_with_locations(const ir_module *m, strbuf *out) {
    text_print_module(m, (text_print_options){.locations = true}, out);
}

static void copies_of_generated_modules_are_equal(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        fixture f;
        open_fixture(&f);
        generate_graph(f.m, "step", seed);
        generate_graph(f.m, "eval", seed + 1000);
        ir_module *copy;
        assert_int_equal(rewrite_module(f.m, copy_graph, NULL, &f.sink, &copy), POFAC_OK);
        strbuf wanted = STRBUF_INIT, found = STRBUF_INIT;
        print_with_locations(f.m, &wanted);
        print_with_locations(copy, &found);
        assert_string_equal(strbuf_str(&found), strbuf_str(&wanted));
        assert_true(module_equal(f.m, copy));
        assert_int_equal(verify_module(copy, &f.sink), POFAC_OK);
        strbuf_free(&wanted);
        strbuf_free(&found);
        module_destroy(copy);
        close_fixture(&f);
    }
}

/* x -> relu -> linear over a pattern, as a small subject of rewriting. Values 1 x, 2 relu, 3 pattern, 4 weights, 5 linear. */
static ir_graph *small_graph(ir_module *m) {
    ir_graph *g = module_add_graph(m, "g");
    ir_context *c = m->context;
    ir_dim dims[2] = {dim_symbol(graph_declare_symbol(g, "T", 10)), dim_const(WIDTH)};
    graph_set_location(g, (ir_location){"g.pir", 4, 2});
    graph_set_scope(g, "top");
    ir_value x = build_leaf(g, OP_input, "x", type_tensor(c, IR_F32, 2, dims)), r = build_unary(g, OP_relu, x);
    ir_value inputs[4] = {r, 0, 0, build_leaf(g, OP_pattern, "w", type_pattern(c, dims[1], dims[1]))};
    ir_dim nnz = dim_symbol(symbol_nnz(c, inputs[3]));
    inputs[1] = build_leaf(g, OP_state, "w", type_tensor(c, IR_F32, 1, &nnz));
    graph_add_output(g, "y", node_add(g, OP_linear, inputs, 4, NULL, 0, NULL));
    assert_int_equal(graph_finish(g), POFAC_OK);
    return g;
}

/* Drops relu, so that every value after it gets another number. */
static pofac_status drop_relu(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size; i++) {
        const ir_node *n = &from->nodes.data[i];
        if (n->op == OP_relu) rewrite_map(&rw, n->first_result, rewrite_value(&rw, n->inputs[0]));
        else rewrite_copy(&rw, n);
    }
    return rewrite_finish(&rw);
}

static void types_follow_the_new_numbers(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    small_graph(f.m);
    ir_module *out;
    assert_int_equal(rewrite_module(f.m, drop_relu, NULL, &f.sink, &out), POFAC_OK);
    strbuf text = STRBUF_INIT;
    text_print_module(out, (text_print_options){0}, &text);
    assert_non_null(strstr(strbuf_str(&text), "f32[nnz(%2)]"));
    const ir_graph *g = module_find_graph(out, "g");
    assert_int_equal(g->nodes.size, 4);
    assert_int_equal(graph_symbol_bound(g, symbol_named(f.c, "T")), 10);
    assert_int_equal(symbol_value(f.c, graph_type(g, 3)->dims[0].symbol[0]), 2);
    strbuf_free(&text);
    module_destroy(out);
    close_fixture(&f);
}

static void products_of_symbols_stay_sorted(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_symbol third = symbol_nnz(f.c, 3); /* before T in the context, nnz of the new value after it */
    ir_graph *g = small_graph(f.m);
    ir_module *to = module_create(f.c, &f.sink);
    rewriter rw;
    assert_int_equal(rewrite_begin(&rw, g, to), POFAC_OK);
    build_scalar(rw.to, IR_F32, 1); /* shifts the numbers */
    for (size_t i = 0; i < g->nodes.size; i++) rewrite_copy(&rw, &g->nodes.data[i]);
    bool ok;
    ir_dim both = dim_mul(dim_symbol(third), dim_symbol(symbol_named(f.c, "T")), &ok), sixteen = dim_const(16);
    const ir_type *mapped = rewrite_type(&rw, type_tensor(f.c, IR_F32, 1, &both));
    assert_int_equal(mapped->dims[0].symbol[0], symbol_named(f.c, "T"));
    assert_int_equal(mapped->dims[0].symbol[1], symbol_nnz(f.c, 4));
    const ir_type *plain = type_tensor(f.c, IR_F32, 1, &sixteen);
    assert_ptr_equal(rewrite_type(&rw, plain), plain);
    assert_null(rewrite_type(&rw, NULL));
    assert_int_equal(rewrite_value(&rw, IR_NO_VALUE), IR_NO_VALUE);
    assert_int_equal(rewrite_value(&rw, 1), 2);
    assert_int_equal(rewrite_finish(&rw), POFAC_OK);
    module_destroy(to);
    close_fixture(&f);
}

static void attributes_are_set_and_dropped(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_graph *g = small_graph(f.m);
    ir_attr attrs[2] = {attr_enum("form", "tanh"), attr_int("group", 5)};
    ir_value x = 1, gelu = node_add(g, OP_gelu, &x, 1, attrs, 2, NULL);
    ir_module *to = module_create(f.c, &f.sink);
    rewriter rw;
    assert_int_equal(rewrite_begin(&rw, g, to), POFAC_OK);
    rewrite_copy(&rw, &g->nodes.data[0]);
    const ir_node *n = graph_node_of(g, gelu);
    const ir_attr seven = attr_int("group", 7), slot = attr_ints("slot", (const int64_t[]){3}, 1);
    rewrite_copy_with(&rw, n, &seven, NULL);
    const ir_node *made = graph_node_of(rw.to, rewrite_value(&rw, gelu));
    assert_int_equal(node_int(made, "group"), 7);
    assert_string_equal(node_string(made, "form"), "tanh");
    rewrite_copy_with(&rw, n, &slot, "form");
    made = graph_node_of(rw.to, rewrite_value(&rw, gelu));
    assert_int_equal(node_int(made, "group"), 5);
    assert_string_equal(node_string(made, "form"), "erf");
    assert_int_equal(node_find_attr(made, "slot")->as.ints.data[0], 3);
    rewrite_copy_with(&rw, n, NULL, "group");
    made = graph_node_of(rw.to, rewrite_value(&rw, gelu));
    assert_int_equal(made->n_attrs, 1);
    assert_string_equal(made->scope, "top");
    assert_string_equal(made->location.file, "g.pir");
    for (size_t i = 1; i < 5; i++) rewrite_copy(&rw, &g->nodes.data[i]);
    assert_int_equal(rewrite_finish(&rw), POFAC_ERR_INPUT); /* the verifier's verdict on what was made here */
    assert_string_equal(strbuf_str(&f.messages), "g.pir:4:2: error: %3 = gelu: group 5 has one node, wanted at least two\n");
    module_destroy(to);
    close_fixture(&f);
}

static void marks_are_dropped(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_graph *g = small_graph(f.m);
    ir_attr attrs[3] = {attr_enum("form", "tanh"), attr_int("group", 5), attr_ints("slot", (const int64_t[]){3}, 1)};
    ir_value x = 1, gelu = node_add(g, OP_gelu, &x, 1, attrs, 3, NULL);
    const ir_type *tiles = type_with_layout(f.c, graph_type(g, x), LAYOUT_TILES, 16);
    ir_value relayout = build_declared(g, OP_relayout, gelu, tiles);
    ir_module *to = module_create(f.c, &f.sink);
    rewriter rw;
    assert_int_equal(rewrite_begin(&rw, g, to), POFAC_OK);
    rewrite_copy(&rw, &g->nodes.data[0]);
    ir_value other = build_unary(rw.to, OP_relu, rewrite_value(&rw, x));
    rewrite_copy_unmarked(&rw, graph_node_of(g, gelu), &other, NULL);
    const ir_node *made = graph_node_of(rw.to, rewrite_value(&rw, gelu));
    assert_int_equal(made->n_attrs, 1);
    assert_string_equal(node_string(made, "form"), "tanh");
    assert_int_equal(made->inputs[0], other);
    rewrite_copy_unmarked(&rw, graph_node_of(g, relayout), NULL, NULL);
    made = graph_node_of(rw.to, rewrite_value(&rw, relayout));
    assert_int_equal(made->inputs[0], rewrite_value(&rw, gelu));
    assert_ptr_equal(graph_type(rw.to, made->first_result), tiles);
    rewrite_copy_unmarked(&rw, graph_node_of(g, relayout), NULL, graph_type(g, x));
    assert_ptr_equal(graph_type(rw.to, rewrite_value(&rw, relayout)), graph_type(g, x));
    for (size_t i = 1; i < 5; i++) rewrite_copy(&rw, &g->nodes.data[i]);
    assert_int_equal(rewrite_finish(&rw), POFAC_OK);
    assert_string_equal(strbuf_str(&f.messages), "");
    module_destroy(to);
    close_fixture(&f);
}

/* ---- mistakes ---- */

static pofac_status skip_relu(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size; i++)
        if (from->nodes.data[i].op != OP_relu) rewrite_copy(&rw, &from->nodes.data[i]);
    return rewrite_finish(&rw);
}

static pofac_status ask_for_too_much(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    rewrite_value(&rw, 77);
    return rewrite_finish(&rw);
}

static pofac_status copy_twice(void *user, const ir_graph *from, ir_module *to) {
    TRY(copy_graph(user, from, to));
    return copy_graph(user, from, to);
}

static pofac_status break_a_rule(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size; i++) rewrite_copy(&rw, &from->nodes.data[i]);
    rewrite_copy(&rw, &from->nodes.data[0]);
    return rewrite_finish(&rw);
}

static void mistakes_of_a_pass_have_messages(void **state) {
    (void)state;
    const struct {
        rewrite_graph_fn rewrite;
        const char *message;
    } cases[] = {
        {skip_relu, "g.pir:4:2: error: graph @g: %2 = relu has no new value, wanted one where the pass uses it\n"},
        {ask_for_too_much, "error: graph @g: the pass asks for value 77, wanted one of the 5 old values\n"},
        {copy_twice, "error: graph @g is there already, wanted a new name\n"},
        {break_a_rule, "g.pir:4:2: error: %6 = input: the name \"x\" is that of %1, wanted another\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        open_fixture(&f);
        small_graph(f.m);
        ir_module *out = f.m;
        assert_int_equal(rewrite_module(f.m, cases[i].rewrite, NULL, &f.sink, &out), POFAC_ERR_INPUT);
        assert_string_equal(strbuf_str(&f.messages), cases[i].message);
        assert_null(out);
        close_fixture(&f);
    }
}

static void modules_share_one_context(void **state) {
    (void)state;
    fixture f, other;
    open_fixture(&f);
    open_fixture(&other);
    rewriter rw;
    assert_int_equal(rewrite_begin(&rw, small_graph(f.m), other.m), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&other.messages), "error: graph @g is of another context, wanted that of the new module\n");
    assert_int_equal(rewrite_finish(&rw), POFAC_ERR_RUNTIME);
    close_fixture(&other);
    close_fixture(&f);
}

static void count_diag(void *user, const diag *d) {
    (void)d;
    (*(int *)user)++;
}

static void failing_allocations_are_reported_once(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        fixture f;
        open_fixture(&f);
        small_graph(f.m);
        generate_graph(f.m, "eval", 4);
        int n_errors = 0;
        diag_sink sink = {count_diag, &n_errors};
        ir_module *out;
        fail_alloc_after(n);
        pofac_status status = rewrite_module(f.m, drop_relu, NULL, &sink, &out);
        bool hit = fail_alloc_stop();
        if (status != (hit ? POFAC_ERR_RUNTIME : POFAC_OK) || n_errors != hit || (out == NULL) != hit)
            fail_msg("allocation %zu fails: status %d, %d errors", n, status, n_errors);
        module_destroy(out);
        close_fixture(&f);
        if (!hit) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_of_generated_modules_are_equal),
        cmocka_unit_test(types_follow_the_new_numbers),
        cmocka_unit_test(products_of_symbols_stay_sorted),
        cmocka_unit_test(attributes_are_set_and_dropped),
        cmocka_unit_test(marks_are_dropped),
        cmocka_unit_test(mistakes_of_a_pass_have_messages),
        cmocka_unit_test(modules_share_one_context),
        cmocka_unit_test(failing_allocations_are_reported_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
