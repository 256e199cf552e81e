/* The verifier: each rule broken by itself, with its exact message, and the rules of groups against a slow reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ir/op.h"
#include "ir/support/rng.h"
#include "ir/verify.h"
#include "tests/unit/fail_alloc.h"

/*
 * A module with one sound graph, at in.pir:10:1 and on:
 *   %1 = input x : f32[T,4]         %4 = linear %1, %3, _, %2 : f32[T,4]
 *   %2 = pattern w : pattern[4,4]   %5 = gelu %4
 *   %3 = state w : f32[nnz(%2)]     %6 = layer_norm %5, %7... (values 6, 7, 8)
 */
typedef struct fixture {
    strbuf messages;
    diag_sink sink;
    ir_context *c;
    ir_module *m;
    ir_graph *g;
    ir_symbol t;
    const ir_type *rows, *row; /* f32[T,4], f32[4] */
    ir_value x, p, w, y, z, gamma, norm;
} fixture;

static void open_fixture(fixture *f) {
    *f = (fixture){.messages = STRBUF_INIT};
    f->sink = diag_sink_to_strbuf(&f->messages);
    f->c = context_create();
    f->m = module_create(f->c, &f->sink);
    f->g = module_add_graph(f->m, "g");
    f->t = graph_declare_symbol(f->g, "T", 64);
    ir_dim dims[2] = {dim_symbol(f->t), dim_const(4)};
    f->rows = type_tensor(f->c, IR_F32, 2, dims);
    f->row = type_tensor(f->c, IR_F32, 1, &dims[1]);
    graph_set_location(f->g, (ir_location){"in.pir", 10, 1});
    graph_set_scope(f->g, "encoder.layer.0");
    f->x = build_leaf(f->g, OP_input, "x", f->rows);
    f->p = build_leaf(f->g, OP_pattern, "w", type_pattern(f->c, dims[1], dims[1]));
    ir_dim nnz = dim_symbol(symbol_nnz(f->c, f->p));
    f->w = build_leaf(f->g, OP_state, "w", type_tensor(f->c, IR_F32, 1, &nnz));
    ir_value inputs[4] = {f->x, f->w, IR_NO_VALUE, f->p};
    f->y = node_add(f->g, OP_linear, inputs, 4, NULL, 0, NULL);
    f->z = build_unary(f->g, OP_gelu, f->y);
    f->gamma = build_leaf(f->g, OP_state, "gamma", f->row);
    ir_value normed[3] = {f->z, f->gamma, f->gamma};
    ir_attr eps = attr_float("eps", 1e-12);
    f->norm = node_add(f->g, OP_layer_norm, normed, 3, &eps, 1, NULL);
    graph_add_output(f->g, "out", f->norm);
    assert_int_equal(f->m->status, POFAC_OK);
    assert_int_equal(verify_graph(f->g, &f->sink), POFAC_OK);
    assert_int_equal(verify_module(f->m, &f->sink), POFAC_OK);
    assert_string_equal(strbuf_str(&f->messages), "");
}

static void close_fixture(fixture *f) {
    module_destroy(f->m);
    context_destroy(f->c);
    strbuf_free(&f->messages);
}

static ir_node *node_of(fixture *f, ir_value v) { return &f->g->nodes.data[f->g->values.data[v].node]; }

static ir_value *inputs_of(fixture *f, ir_value v) { return (ir_value *)(uintptr_t)node_of(f, v)->inputs; }

static void set_attrs(fixture *f, ir_value v, const ir_attr *attrs, uint32_t n) {
    node_of(f, v)->attrs = arena_copy(&f->m->memory, attrs, n * sizeof *attrs);
    node_of(f, v)->n_attrs = n;
}

static void set_attr(fixture *f, ir_value v, ir_attr attr) { set_attrs(f, v, &attr, 1); }

/* ---- one rule broken in the sound graph ---- */

static void graph_name(fixture *f) { f->g->name = "a b"; }
static void graph_name_with_digit(fixture *f) { f->g->name = "1"; }
static void graph_name_empty(fixture *f) { f->g->name = ""; }
static void bound_zero(fixture *f) { f->g->bounds[0].upper = 0; }
static void bound_of_nothing(fixture *f) { f->g->bounds[0].symbol = 0; }
static void bound_of_nnz(fixture *f) { f->g->bounds[0].symbol = symbol_nnz(f->c, f->p); }
static void bound_name(fixture *f) { f->g->bounds[0].symbol = symbol_named(f->c, "T-1"); }
static void bound_twice(fixture *f) {
    static ir_symbol_bound twice[2];
    twice[0] = twice[1] = f->g->bounds[0];
    f->g->bounds = twice;
    f->g->n_bounds = 2;
}
static void no_such_op(fixture *f) { node_of(f, f->z)->op = IR_N_OPS; }
static void results_counted_wrong(fixture *f) { node_of(f, f->norm)->n_results = 2; }
static void first_result_wrong(fixture *f) { node_of(f, f->z)->first_result = 9; }
static void result_not_entered(fixture *f) { f->g->values.data[f->norm + 1].result = 2; }
static void extra_value(fixture *f) { assert_true(VEC_PUSH(&f->g->values, f->g->values.data[1])); }
static void uses_itself(fixture *f) { inputs_of(f, f->z)[0] = f->z; }
static void uses_later(fixture *f) { inputs_of(f, f->z)[0] = f->norm; }
static void required_absent(fixture *f) { inputs_of(f, f->z)[0] = IR_NO_VALUE; }
static void last_absent(fixture *f) { inputs_of(f, f->y)[3] = IR_NO_VALUE; }
static void too_few_inputs(fixture *f) { node_of(f, f->y)->n_inputs = 1; }
static void scope_dots(fixture *f) { node_of(f, f->z)->scope = "encoder..0"; }
static void scope_end(fixture *f) { node_of(f, f->z)->scope = "encoder."; }
static void scope_start(fixture *f) { node_of(f, f->z)->scope = ".encoder"; }
static void scope_control(fixture *f) { node_of(f, f->z)->scope = "a\nb"; }
static void attr_unknown(fixture *f) { set_attr(f, f->z, attr_enum("frm", "tanh")); }
static void attr_kind(fixture *f) { set_attr(f, f->z, attr_int("form", 1)); }
static void attr_choice(fixture *f) { set_attr(f, f->z, attr_enum("form", "tan")); }
static void attr_default(fixture *f) { set_attr(f, f->z, attr_enum("form", "erf")); }
static void attr_missing(fixture *f) { node_of(f, f->norm)->n_attrs = 0; }
static void attrs_unsorted(fixture *f) {
    const ir_attr attrs[2] = {attr_int("group", 0), attr_enum("form", "tanh")};
    set_attrs(f, f->z, attrs, 2);
}
static void attr_twice(fixture *f) {
    const ir_attr attrs[2] = {attr_int("group", 0), attr_int("group", 1)};
    set_attrs(f, f->z, attrs, 2);
}
static void name_empty(fixture *f) { set_attr(f, f->x, attr_string("name", "")); }
static void name_control(fixture *f) { set_attr(f, f->x, attr_string("name", "a\x7f\t")); }
static void group_negative(fixture *f) { set_attr(f, f->z, attr_int("group", -2)); }
static void slot_count(fixture *f) {
    static const int64_t slots[2] = {0, 1};
    set_attr(f, f->z, attr_ints("slot", slots, 2));
}
static void slot_range(fixture *f) {
    static const int64_t slots[1] = {-2};
    set_attr(f, f->z, attr_ints("slot", slots, 1));
}
static void type_wrong(fixture *f) { f->g->values.data[f->z].type = f->row; }
static void second_type_wrong(fixture *f) { f->g->values.data[f->norm + 1].type = f->rows; }
static void declared_type_wrong(fixture *f) { f->g->values.data[f->p].type = f->row; }
static void shape_rule_refuses(fixture *f) { f->g->values.data[f->gamma].type = f->rows; }
static void size_negative(fixture *f) {
    const ir_dim d = dim_const(-4);
    f->g->values.data[f->gamma].type = type_tensor(f->c, IR_F32, 1, &d);
}
static void tiles_of_rank_1(fixture *f) { f->g->values.data[f->gamma].type = type_with_layout(f->c, f->row, LAYOUT_TILES, 16); }
static void quads_of_floats(fixture *f) { f->g->values.data[f->x].type = type_with_layout(f->c, f->rows, LAYOUT_QUADS, 16); }
static void tiles_without_rows(fixture *f) { f->g->values.data[f->x].type = type_with_layout(f->c, f->rows, LAYOUT_TILES, 0); }
static void symbol_undeclared(fixture *f) {
    ir_dim d = dim_symbol(symbol_named(f->c, "U"));
    f->g->values.data[f->gamma].type = type_tensor(f->c, IR_F32, 1, &d);
}
static void nnz_of_later(fixture *f) {
    ir_dim d = dim_symbol(symbol_nnz(f->c, f->y));
    f->g->values.data[f->w].type = type_tensor(f->c, IR_F32, 1, &d);
}
static void nnz_of_tensor(fixture *f) {
    ir_dim d = dim_symbol(symbol_nnz(f->c, f->x));
    f->g->values.data[f->w].type = type_tensor(f->c, IR_F32, 1, &d);
}
static void nnz_of_nothing(fixture *f) {
    ir_dim d = dim_symbol(symbol_nnz(f->c, IR_NO_VALUE));
    f->g->values.data[f->w].type = type_tensor(f->c, IR_F32, 1, &d);
}
static void input_twice(fixture *f) { build_leaf(f->g, OP_input, "x", f->row); }
static void state_of_two_types(fixture *f) { build_leaf(f->g, OP_state, "gamma", f->rows); }
static void pattern_of_two_types(fixture *f) { build_leaf(f->g, OP_pattern, "w", type_pattern(f->c, dim_const(5), dim_const(4))); }
static void state_over_other_pattern(fixture *f) {
    ir_value q = build_leaf(f->g, OP_pattern, "other", graph_type(f->g, f->p));
    ir_dim nnz = dim_symbol(symbol_nnz(f->c, q));
    build_leaf(f->g, OP_state, "w", type_tensor(f->c, IR_F32, 1, &nnz));
}
static void two_patterns_in_a_node(fixture *f) {
    ir_value q = build_leaf(f->g, OP_pattern, "other", graph_type(f->g, f->p));
    ir_value inputs[4] = {f->x, f->w, IR_NO_VALUE, f->p};
    ir_value v = node_add(f->g, OP_linear, inputs, 4, NULL, 0, NULL);
    inputs_of(f, v)[3] = q;
}
static void output_twice(fixture *f) { graph_add_output(f->g, "out", f->x); }
static void output_nowhere(fixture *f) { f->g->outputs.data[0].value = 99; }
static void output_of_nothing(fixture *f) { f->g->outputs.data[0].value = IR_NO_VALUE; }
static void output_unnamed(fixture *f) { graph_add_output(f->g, "", f->x); }
static void output_to_state(fixture *f) { graph_add_output(f->g, "gamma", f->x); }
static void output_to_pattern(fixture *f) {
    graph_add_output(f->g, "w", build_leaf(f->g, OP_pattern, "v", type_pattern(f->c, dim_const(4), dim_const(5))));
}
static void constant_of_other_shape(fixture *f) {
    static float data[3];
    const int64_t n = 3;
    ir_tensor t = tensor_view(IR_F32, 1, &n, data);
    ir_attr attr = attr_string("data", "table");
    module_add_constant(f->m, "table", &t);
    node_add(f->g, OP_constant, NULL, 0, &attr, 1, f->row);
}
static void group_of_one(fixture *f) { set_attr(f, f->z, attr_int("group", 3)); }
static void group_apart(fixture *f) {
    ir_attr group = attr_int("group", 3);
    ir_value a = node_add(f->g, OP_relu, &f->x, 1, &group, 1, NULL);
    set_attr(f, f->z, group);
    build_unary(f->g, OP_relu, a);
}
static void group_left_and_entered(fixture *f) {
    ir_attr group = attr_int("group", 3);
    ir_value a = node_add(f->g, OP_relu, &f->z, 1, &group, 1, NULL);
    ir_value b = build_unary(f->g, OP_tanh, a), inputs[2] = {a, b};
    node_add(f->g, OP_add, inputs, 2, &group, 1, NULL);
}
static void groups_that_wait_for_each_other(fixture *f) {
    ir_attr one = attr_int("group", 1), two = attr_int("group", 2);
    ir_value a1 = node_add(f->g, OP_relu, &f->z, 1, &one, 1, NULL), b1 = node_add(f->g, OP_tanh, &f->z, 1, &two, 1, NULL);
    ir_value to_b[2] = {a1, b1}, to_a[2] = {b1, a1};
    node_add(f->g, OP_add, to_b, 2, &two, 1, NULL);
    node_add(f->g, OP_sub, to_a, 2, &one, 1, NULL);
}

typedef struct broken {
    void (*breaks)(fixture *f);
    const char *message;
} broken;

#define AT "in.pir:10:1: error: "

static const broken rules[] = {
    {graph_name, "error: graph @a b: malformed name \"a b\", wanted a letter or _, then letters, digits or _"},
    {graph_name_with_digit, "error: graph @1: malformed name \"1\", wanted a letter or _, then letters, digits or _"},
    {graph_name_empty, "error: graph @: malformed name \"\", wanted a letter or _, then letters, digits or _"},
    {bound_zero, "error: graph @g: symbol T has the bound 0, wanted at least 1"},
    {bound_of_nothing, "error: graph @g: bound 0 is of no named symbol, wanted one"},
    {bound_of_nnz, "error: graph @g: bound 0 is of no named symbol, wanted one"},
    {bound_name, "error: graph @g: malformed symbol \"T-1\", wanted a letter or _, then letters, digits or _"},
    {bound_twice, "error: graph @g: symbol T is declared twice"},
    {no_such_op, "error: graph @g: node 5 has no op"},
    {results_counted_wrong, AT "%7 = layer_norm: 2 results, wanted 3"},
    {first_result_wrong, AT "%5 = gelu: first result is value 9, wanted 5"},
    {result_not_entered, AT "%7 = layer_norm: result 1 is not entered as value 8"},
    {extra_value, "error: graph @g: 10 values, wanted the 9 results of its nodes"},
    {uses_itself, AT "%5 = gelu: input 0 is value 5, wanted a result of an earlier node"},
    {uses_later, AT "%5 = gelu: input 0 is value 7, wanted a result of an earlier node"},
    {required_absent, AT "%5 = gelu: input 0 is absent, wanted a value"},
    {last_absent, AT "%4 = linear: the last input is absent, wanted it left out"},
    {too_few_inputs, AT "%4 = linear: 1 input, wanted 2 to 4"},
    {scope_dots, AT "%5 = gelu: malformed scope \"encoder..0\", wanted names joined by single dots"},
    {scope_end, AT "%5 = gelu: malformed scope \"encoder.\", wanted names joined by single dots"},
    {scope_start, AT "%5 = gelu: malformed scope \".encoder\", wanted names joined by single dots"},
    {scope_control, AT "%5 = gelu: malformed scope \"a\\nb\", wanted names joined by single dots"},
    {attr_unknown, AT "%5 = gelu: unknown attribute \"frm\"; did you mean \"form\"?"},
    {attr_kind, AT "%5 = gelu: attribute \"form\" is an integer, wanted erf|tanh"},
    {attr_choice, AT "%5 = gelu: attribute \"form\" is \"tan\", wanted one of erf|tanh"},
    {attr_default, AT "%5 = gelu: attribute \"form\" has its default, wanted it left out"},
    {attr_missing, AT "%7 = layer_norm: attribute \"eps\" is missing, wanted a number"},
    {attrs_unsorted, AT "%5 = gelu: attribute \"form\" stands after \"group\", wanted them sorted by name"},
    {attr_twice, AT "%5 = gelu: attribute \"group\" stands after \"group\", wanted them sorted by name"},
    {name_empty, AT "%1 = input: malformed name \"\", wanted one or more printable characters"},
    {name_control, AT "%1 = input: malformed name \"a\x7f\\t\", wanted one or more printable characters"},
    {group_negative, AT "%5 = gelu: group is -2, wanted 0 or more"},
    {slot_count, AT "%5 = gelu: slot has 2 numbers, wanted one for each of 1 results"},
    {slot_range, AT "%5 = gelu: slot 0 is -2, wanted -1 or more"},
    {type_wrong, AT "%5 = gelu: result 0 is f32[4], wanted f32[T,4] by the op's shape rule"},
    {second_type_wrong, AT "%7 = layer_norm: result 1 is f32[T,4], wanted f32[T] by the op's shape rule"},
    {declared_type_wrong, AT "%2 = pattern: the declared type is f32[4], wanted pattern[N,K] of numbers"},
    {shape_rule_refuses, AT "%7 = layer_norm: gamma is f32[T,4], wanted f32[4]"},
    {size_negative, AT "%6 = state: result 0 is f32[-4], wanted dimensions from 0, tiles of rank 2 only, and quads of 8 bits"},
    {tiles_of_rank_1,
     AT "%6 = state: result 0 is f32[4] tiles<16>, wanted dimensions from 0, tiles of rank 2 only, and quads of 8 bits"},
    {quads_of_floats,
     AT "%1 = input: result 0 is f32[T,4] quads<16>, wanted dimensions from 0, tiles of rank 2 only, and quads of 8 bits"},
    {tiles_without_rows,
     AT "%1 = input: result 0 is f32[T,4] tiles<0>, wanted dimensions from 0, tiles of rank 2 only, and quads of 8 bits"},
    {symbol_undeclared, AT "%6 = state: symbol U is not declared, wanted it with a bound in the head of graph @g"},
    {nnz_of_later, AT "%3 = state: type f32[nnz(%4)] counts the non-zeros of value 4, wanted an earlier pattern"},
    {nnz_of_tensor, AT "%3 = state: type f32[nnz(%1)] counts the non-zeros of value 1, wanted an earlier pattern"},
    {nnz_of_nothing, AT "%3 = state: type f32[nnz(%0)] counts the non-zeros of value 0, wanted an earlier pattern"},
    {input_twice, AT "%8 = input: the name \"x\" is that of %1, wanted another"},
    {state_of_two_types, AT "%8 = state: \"gamma\" is f32[T,4], wanted f32[4] as in %6 of graph @g"},
    {pattern_of_two_types, AT "%8 = pattern: \"w\" is pattern[5,4], wanted pattern[4,4] as in %2 of graph @g"},
    {state_over_other_pattern, AT "%9 = state: \"w\" is f32[nnz(%8)], wanted f32[nnz(%2)] as in %3 of graph @g"},
    {two_patterns_in_a_node, AT "%9 = linear: input 1 counts the non-zeros of %2, wanted those of the node's pattern %8"},
    {output_twice, "error: graph @g: two outputs are named \"out\", wanted different names"},
    {output_nowhere, "error: graph @g: output \"out\" is value 99, wanted one of its 9 values"},
    {output_of_nothing, "error: graph @g: output \"out\" is value 0, wanted one of its 9 values"},
    {output_unnamed, "error: graph @g: malformed output name \"\", wanted one or more printable characters"},
    {output_to_state, AT "%1 = input: an output named like a state is f32[T,4], wanted f32[4], the state's type"},
    {output_to_pattern, AT "%8 = pattern: an output named like a state is pattern[4,5], wanted pattern[4,4], the state's type"},
    {constant_of_other_shape, AT "%8 = constant: the data are f32[3], wanted f32[4]"},
    {group_of_one, AT "%5 = gelu: group 3 has one node, wanted at least two"},
    {group_apart, AT "%8 = relu: group 3 is not connected, wanted values that join this node to %5 = gelu"},
    {group_left_and_entered, AT "%10 = add: group 3 is not convex: input 1 (%9 = tanh) depends on the group and is not in it"},
    {groups_that_wait_for_each_other,
     AT "%11 = sub: group 1 is not convex: input 0 (%9 = tanh) depends on the group and is not in it"},
};

static void each_rule_has_its_message(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        fixture f;
        open_fixture(&f);
        rules[i].breaks(&f);
        assert_string_equal(strbuf_str(&f.messages), "");
        pofac_status status = verify_graph(f.g, &f.sink);
        strbuf wanted = STRBUF_INIT;
        strbuf_printf(&wanted, "%s\n", rules[i].message);
        assert_string_equal(strbuf_str(&f.messages), strbuf_str(&wanted));
        assert_int_equal(status, POFAC_ERR_INPUT);
        assert_int_equal(verify_graph(f.g, NULL), POFAC_ERR_INPUT);
        strbuf_free(&wanted);
        close_fixture(&f);
    }
}

/* ---- what is allowed ---- */

/* A mask update: the same weight comes out over a new pattern of its shape. */
static void states_leave_over_a_new_pattern(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_value q = build_leaf(f.g, OP_pattern, "w", graph_type(f.g, f.p));
    ir_dim nnz = dim_symbol(symbol_nnz(f.c, q));
    ir_value again = build_leaf(f.g, OP_state, "w", type_tensor(f.c, IR_F32, 1, &nnz));
    graph_add_output(f.g, "w", again);
    assert_int_equal(verify_graph(f.g, &f.sink), POFAC_OK);
    close_fixture(&f);
}

static void groups_may_share_an_operand_alone(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_attr group = attr_int("group", 0);
    node_add(f.g, OP_relu, &f.x, 1, &group, 1, NULL);
    node_add(f.g, OP_tanh, &f.x, 1, &group, 1, NULL);
    assert_int_equal(verify_graph(f.g, &f.sink), POFAC_OK);
    close_fixture(&f);
}

static void constants_may_lack_data(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_attr attr = attr_string("data", "elsewhere");
    node_add(f.g, OP_constant, NULL, 0, &attr, 1, f.row);
    assert_int_equal(verify_graph(f.g, &f.sink), POFAC_OK);
    close_fixture(&f);
}

/* ---- modules ---- */

static void states_agree_over_graphs(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_graph *g = module_add_graph(f.m, "eval");
    build_leaf(g, OP_state, "gamma", f.row);
    build_leaf(g, OP_input, "x", f.row); /* inputs are each graph's own */
    ir_value p = build_leaf(g, OP_pattern, "w", graph_type(f.g, f.p));
    ir_dim nnz = dim_symbol(symbol_nnz(f.c, p));
    assert_int_not_equal(p, f.p);
    build_leaf(g, OP_state, "w", type_tensor(f.c, IR_F32, 1, &nnz)); /* another value, the same pattern */
    assert_int_equal(verify_module(f.m, &f.sink), POFAC_OK);

    ir_graph *h = module_add_graph(f.m, "step");
    graph_set_location(h, (ir_location){"b.pir", 2, 7});
    ir_dim five = dim_const(5);
    build_leaf(h, OP_state, "gamma", type_tensor(f.c, IR_F32, 1, &five));
    assert_int_equal(verify_graph(h, &f.sink), POFAC_OK);
    assert_int_equal(verify_module(f.m, &f.sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&f.messages),
                        "b.pir:2:7: error: %1 = state: \"gamma\" is f32[5], wanted f32[4] as in %6 of graph @g\n");
    close_fixture(&f);

    open_fixture(&f);
    h = module_add_graph(f.m, "step");
    build_leaf(h, OP_pattern, "w", type_pattern(f.c, five, five));
    assert_int_equal(verify_module(f.m, &f.sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&f.messages),
                        "error: %1 = pattern: \"w\" is pattern[5,5], wanted pattern[4,4] as in %2 of graph @g\n");
    close_fixture(&f);

    open_fixture(&f);
    h = module_add_graph(f.m, "step");
    p = build_leaf(h, OP_pattern, "v", graph_type(f.g, f.p));
    nnz = dim_symbol(symbol_nnz(f.c, p));
    build_leaf(h, OP_state, "w", type_tensor(f.c, IR_F32, 1, &nnz));
    assert_int_equal(verify_module(f.m, &f.sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&f.messages),
                        "error: %2 = state: \"w\" is f32[nnz(%1)], wanted f32[nnz(%2)] as in %3 of graph @g\n");
    close_fixture(&f);
}

/* A matrix beside its non-zeros, in one graph or in two. */
static void states_may_stand_in_both_forms(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    const ir_dim four[2] = {dim_const(4), dim_const(4)}, other[2] = {dim_const(4), dim_const(5)};
    ir_graph *h = module_add_graph(f.m, "eval");
    build_leaf(h, OP_state, "w", type_tensor(f.c, IR_F32, 2, four));
    ir_value p = build_leaf(h, OP_pattern, "w", graph_type(f.g, f.p));
    ir_dim nnz = dim_symbol(symbol_nnz(f.c, p));
    build_leaf(h, OP_state, "w", type_tensor(f.c, IR_F32, 1, &nnz));
    assert_int_equal(verify_module(f.m, &f.sink), POFAC_OK);
    build_leaf(h, OP_state, "w", type_tensor(f.c, IR_F32, 2, other));
    assert_int_equal(verify_graph(h, &f.sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&f.messages), "error: %4 = state: \"w\" is f32[4,5], wanted f32[4,4] as in %1 of graph @eval\n");
    close_fixture(&f);
}

static void every_graph_is_verified(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_graph *g = module_add_graph(f.m, "eval");
    g->name = "e val";
    assert_int_equal(verify_module(f.m, &f.sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&f.messages),
                        "error: graph @e val: malformed name \"e val\", wanted a letter or _, then letters, digits or _\n");
    g->name = f.g->name;
    strbuf_clear(&f.messages);
    assert_int_equal(verify_module(f.m, &f.sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&f.messages), "error: graph @g: two graphs have this name, wanted different names\n");
    close_fixture(&f);
}

/* ---- groups against a slow reference ---- */

#define MAX_NODES 24

/* Random elementwise nodes in random groups over one input; group[i] of node i, -1 for none. */
static void random_groups(fixture *f, uint64_t seed, int64_t *group) {
    rng_key key = rng_key_make(seed, "groups");
    uint64_t at = 0;
    uint32_t n = 3 + (uint32_t)rng_below(key, at++, MAX_NODES - 4), n_groups = 1 + (uint32_t)rng_below(key, at++, 4);
    ir_graph *g = f->g = module_add_graph(f->m, "random");
    graph_declare_symbol(g, "T", 64);
    group[0] = -1;
    build_leaf(g, OP_input, "x", f->rows);
    for (uint32_t i = 1; i < n; i++) {
        uint64_t near = i < 4 ? i : 4; /* few of many: paths become long */
        ir_value inputs[2] = {(ir_value)(1 + i - 1 - rng_below(key, at, near)), (ir_value)(1 + rng_below(key, at + 1, i))};
        group[i] = rng_below(key, at + 2, 3) == 0 ? -1 : (int64_t)rng_below(key, at + 3, n_groups) * 1000000007;
        ir_attr attr = attr_int("group", group[i]);
        bool one = rng_below(key, at + 4, 2) == 0;
        node_add(g, one ? OP_relu : OP_add, inputs, one ? 1 : 2, &attr, 1, NULL);
        at += 5;
    }
}

static bool feeds(const ir_graph *g, size_t a, size_t b) {
    const ir_node *n = &g->nodes.data[b];
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (g->values.data[n->inputs[i]].node == a) return true;
    return false;
}

static bool share_operand(const ir_graph *g, size_t a, size_t b) {
    const ir_node *n = &g->nodes.data[a];
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (feeds(g, g->values.data[n->inputs[i]].node, b)) return true;
    return false;
}

typedef bool relation[MAX_NODES][MAX_NODES];

static void close_transitively(size_t n, relation r) {
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) r[i][j] = r[i][j] || (r[i][k] && r[k][j]);
}

/* By matrices: sizes, joints within a group, and that no node outside of a node's unit lies both behind and before that unit. */
static bool groups_are_sound(const ir_graph *g, const int64_t *group) {
    size_t n = g->nodes.size;
    relation joined = {{false}}, behind = {{false}};
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            bool same = i == j || (group[i] >= 0 && group[i] == group[j]);
            joined[i][j] = i == j || (same && (feeds(g, i, j) || feeds(g, j, i) || share_operand(g, i, j)));
            behind[i][j] = same || feeds(g, i, j); /* moving within a unit is free */
        }
    }
    close_transitively(n, joined);
    close_transitively(n, behind);
    for (size_t i = 0; i < n; i++) {
        size_t size = 0;
        for (size_t j = 0; j < n; j++) {
            bool same = group[i] >= 0 && group[i] == group[j];
            size += same;
            if (same && !joined[i][j]) return false;
            if (!same && i != j && behind[i][j] && behind[j][i]) return false;
        }
        if (group[i] >= 0 && size < 2) return false;
    }
    return true;
}

static void groups_agree_with_a_slow_reference(void **state) {
    (void)state;
    int n_sound = 0, n_unsound = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        fixture f;
        int64_t group[MAX_NODES];
        open_fixture(&f);
        random_groups(&f, seed, group);
        assert_int_equal(f.m->status, POFAC_OK);
        bool wanted = groups_are_sound(f.g, group);
        pofac_status status = verify_graph(f.g, &f.sink);
        if ((status == POFAC_OK) != wanted)
            fail_msg("seed %llu: verified %d, wanted %d: %s", (unsigned long long)seed, status == POFAC_OK, wanted,
                     strbuf_str(&f.messages));
        n_sound += wanted;
        n_unsound += !wanted;
        close_fixture(&f);
    }
    assert_true(n_sound > 100);
    assert_true(n_unsound > 100);
}

/* 200,000 nodes in one group and as many in pairs: seconds if anything were quadratic. */
static void large_groups_are_checked_in_linear_time(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_graph *g = f.g = module_add_graph(f.m, "large");
    graph_set_location(g, (ir_location){"in.pir", 9, 9});
    graph_declare_symbol(g, "T", 64);
    ir_value v = build_leaf(g, OP_input, "x", f.rows);
    for (int64_t i = 0; i < 400000; i++) {
        ir_attr group = attr_int("group", i < 200000 ? 0 : 1 + i / 2);
        v = node_add(g, OP_relu, &v, 1, &group, 1, NULL);
    }
    assert_int_equal(verify_groups(g, &f.sink), POFAC_OK);
    ir_value inputs[2] = {v, 1};
    ir_attr group = attr_int("group", 0);
    node_add(g, OP_add, inputs, 2, &group, 1, NULL); /* the first group takes what the last pair gives */
    assert_int_equal(verify_groups(g, &f.sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&f.messages), "in.pir:9:9: error: %400002 = add: group 0 is not convex: input 0 (%400001 = "
                                                 "relu) depends on the group and is not in it\n");
    close_fixture(&f);
}

/* ---- memory ---- */

static void failing_allocations_are_reported(void **state) {
    (void)state;
    for (int sound = 0; sound < 2; sound++) {
        for (size_t n = 1;; n++) {
            fixture f;
            open_fixture(&f);
            if (sound) {
                ir_attr group = attr_int("group", 0);
                set_attr(&f, f.z, group);
                node_add(f.g, OP_relu, &f.z, 1, &group, 1, NULL);
            } else {
                output_to_state(&f);
            }
            fail_alloc_after(n);
            pofac_status status = verify_module(f.m, NULL);
            bool hit = fail_alloc_stop();
            if (hit && status != POFAC_ERR_RUNTIME) fail_msg("allocation %zu fails: status %d", n, status);
            if (!hit) assert_int_equal(status, sound ? POFAC_OK : POFAC_ERR_INPUT);
            close_fixture(&f);
            if (!hit) break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_has_its_message),
        cmocka_unit_test(states_leave_over_a_new_pattern),
        cmocka_unit_test(groups_may_share_an_operand_alone),
        cmocka_unit_test(constants_may_lack_data),
        cmocka_unit_test(states_agree_over_graphs),
        cmocka_unit_test(every_graph_is_verified),
        cmocka_unit_test(states_may_stand_in_both_forms),
        cmocka_unit_test(groups_agree_with_a_slow_reference),
        cmocka_unit_test(large_groups_are_checked_in_linear_time),
        cmocka_unit_test(failing_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
