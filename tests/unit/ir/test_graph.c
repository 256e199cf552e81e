/* The op table, and building graphs: what is kept, what is inferred, and every message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "tests/unit/fail_alloc.h"

/* A module with one graph @g (T <= 64) whose first values are x: f32[T,4] and w: f32[3,4]. */
typedef struct fixture {
    strbuf messages;
    diag_sink sink;
    ir_context *c;
    ir_module *m;
    ir_graph *g;
    ir_symbol t;
    ir_value x, w;
} fixture;

static const ir_type *matrix(fixture *f, ir_dim rows, int64_t columns) {
    ir_dim dims[2] = {rows, dim_const(columns)};
    return type_tensor(f->c, IR_F32, 2, dims);
}

static void open_fixture(fixture *f) {
    *f = (fixture){.messages = STRBUF_INIT};
    f->sink = diag_sink_to_strbuf(&f->messages);
    f->c = context_create();
    f->m = module_create(f->c, &f->sink);
    f->g = module_add_graph(f->m, "g");
    f->t = graph_declare_symbol(f->g, "T", 64);
    graph_set_location(f->g, (ir_location){"in.pir", 3, 5});
    f->x = build_leaf(f->g, OP_input, "x", matrix(f, dim_symbol(f->t), 4));
    f->w = build_leaf(f->g, OP_state, "w", matrix(f, dim_const(3), 4));
    assert_int_equal(f->m->status, POFAC_OK);
    assert_int_equal(f->w, 2);
}

static void close_fixture(fixture *f) {
    module_destroy(f->m);
    context_destroy(f->c);
    strbuf_free(&f->messages);
}

/* The module has failed with exactly this message. */
static void expect_error(fixture *f, const char *message) {
    assert_string_equal(strbuf_str(&f->messages), message);
    assert_int_equal(f->m->status, POFAC_ERR_INPUT);
}

/* ---- the table ---- */

static void every_op_is_described(void **state) {
    (void)state;
    for (int i = 0; i < IR_N_OPS; i++) {
        const ir_op_info *row = op_info((ir_op)i);
        ir_op back = IR_N_OPS;
        assert_true(op_parse(row->name, strlen(row->name), &back));
        assert_int_equal(back, i);
        assert_true(row->min_inputs <= row->max_inputs);
        assert_true(row->n_results >= 1);
        assert_non_null(row->infer);
        assert_true(row->meaning[0] != 0);
        assert_int_equal(op_has((ir_op)i, TRAIT_LEAF), row->max_inputs == 0);
        assert_true(row->eval != NULL || op_has((ir_op)i, TRAIT_LEAF));
        assert_true(!op_has((ir_op)i, TRAIT_DECLARED) || row->n_results == 1);
        assert_true(!op_has((ir_op)i, TRAIT_COMMUTATIVE) || row->min_inputs >= 2);
        assert_true(!op_has((ir_op)i, TRAIT_WEIGHTED) || row->min_inputs >= 2);
        assert_true(row->n_attrs + 2 <= OP_MAX_ATTRS); /* group and slot */
    }
    ir_op op;
    assert_false(op_parse("gel", 3, &op));
    assert_false(op_parse("gelux", 5, &op));
}

static bool is_word_of(const char *choices, const char *word) {
    size_t n = strlen(word);
    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, word, n) == 0 && (at[n] == 0 || at[n] == '|')) return true;
    return false;
}

/* Attributes have names of their own and defaults that read in every locale: no decimal point. */
static void every_attribute_is_described(void **state) {
    (void)state;
    for (int i = 0; i < IR_N_OPS; i++) {
        const ir_op_info *row = op_info((ir_op)i);
        for (size_t a = 0; a < row->n_attrs; a++) {
            const ir_attr_schema *s = &row->attrs[a];
            assert_ptr_equal(op_attr_schema((ir_op)i, s->name), s);
            assert_string_not_equal(s->name, "group");
            assert_string_not_equal(s->name, "slot");
            assert_true(s->meaning[0] != 0);
            assert_int_equal(s->kind == ATTR_ENUM, s->choices != NULL);
            if (!s->fallback) continue;
            assert_true(s->kind != ATTR_ENUM || is_word_of(s->choices, s->fallback));
            assert_true(s->kind != ATTR_FLOAT || !strchr(s->fallback, '.'));
            assert_true(s->kind != ATTR_INTS || strcmp(s->fallback, "[]") == 0);
            assert_true(s->kind != ATTR_FLOATS || strcmp(s->fallback, "[]") == 0);
        }
        assert_int_equal(op_attr_schema((ir_op)i, "group")->kind, ATTR_INT);
        assert_int_equal(op_attr_schema((ir_op)i, "slot")->kind, ATTR_INTS);
        assert_null(op_attr_schema((ir_op)i, "grou"));
    }
}

/* ---- modules ---- */

static void graphs_are_found_by_name(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_graph *other = module_add_graph(f.m, "eval");
    assert_ptr_equal(module_find_graph(f.m, "eval"), other);
    assert_ptr_equal(module_find_graph(f.m, "g"), f.g);
    assert_null(module_find_graph(f.m, "ev"));
    assert_non_null(module_add_graph(f.m, "g"));
    expect_error(&f, "error: graph @g is there already, wanted a new name\n");
    close_fixture(&f);
}

static void constants_are_kept_once(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    float data[2] = {1, 2};
    const int64_t n = 2, square[2] = {2, 1};
    ir_tensor t = tensor_view(IR_F32, 1, &n, data), same_data = tensor_view(IR_F32, 2, square, data);
    const char *a = module_add_constant(f.m, NULL, &t), *b = module_add_constant(f.m, NULL, &same_data);
    assert_int_equal(strlen(a), 34);
    assert_memory_equal(a, "c.", 2);
    assert_string_not_equal(a, b); /* the shape counts */
    assert_ptr_equal(module_add_constant(f.m, NULL, &t), a);
    assert_string_equal(module_add_constant(f.m, "table", &t), "table");
    assert_string_equal(module_add_constant(f.m, "table", &t), "table");
    assert_int_equal(f.m->constants.size, 3);
    data[0] = 9;
    assert_true(tensor_get(module_find_constant(f.m, "table"), 0) == 1);
    assert_null(module_find_constant(f.m, "tables"));
    assert_null(module_add_constant(f.m, "table", &t));
    expect_error(&f, "error: constant \"table\" is there already with other contents, wanted the same or a new name\n");
    assert_null(module_add_constant(f.m, "later", &t));
    close_fixture(&f);

    open_fixture(&f);
    const ir_pattern pattern = {0};
    const ir_tensor p = {.rank = 2, .pattern = &pattern};
    assert_null(module_add_constant(f.m, "p", &p));
    expect_error(&f, "error: constant \"p\" is a pattern, wanted a tensor\n");
    close_fixture(&f);
}

static void module_error_keeps_the_first(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_location at = {"a.pir", 2, 0};
    module_error(f.m, &at, "%d things, wanted %s", 3, "none");
    module_error(f.m, NULL, "another");
    expect_error(&f, "a.pir:2: error: 3 things, wanted none\n");
    close_fixture(&f);
}

/* ---- symbols ---- */

static void symbols_are_declared_with_bounds(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    static const char *const names[] = {"B", "S", "M", "N", "P", "Q"};
    ir_symbol symbols[6];
    for (int i = 0; i < 6; i++) symbols[i] = graph_declare_symbol(f.g, names[i], 10 + i);
    for (int i = 0; i < 6; i++) assert_int_equal(graph_symbol_bound(f.g, symbols[i]), 10 + i);
    assert_int_equal(f.g->n_bounds, 7);
    assert_int_equal(graph_symbol_bound(f.g, f.t), 64);
    assert_int_equal(graph_symbol_bound(f.g, 99), 0);
    assert_int_equal(graph_declare_symbol(f.g, "T", 64), 0);
    expect_error(&f, "in.pir:3:5: error: symbol T is declared twice in graph @g\n");
    assert_int_equal(graph_declare_symbol(f.g, "later", 1), 0);
    close_fixture(&f);

    open_fixture(&f);
    assert_int_equal(graph_declare_symbol(f.g, "B", 0), 0);
    expect_error(&f, "in.pir:3:5: error: symbol B has the bound 0, wanted at least 1\n");
    close_fixture(&f);
}

/* ---- nodes ---- */

static void nodes_keep_copies(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    char name[] = "y", scope[] = "encoder.layer.0";
    graph_set_scope(f.g, scope);
    ir_value y = build_leaf(f.g, OP_input, name, matrix(&f, dim_symbol(f.t), 4));
    ir_value inputs[2] = {f.x, y};
    ir_value sum = node_add(f.g, OP_add, inputs, 2, NULL, 0, NULL);
    name[0] = scope[0] = '!';
    inputs[0] = IR_NO_VALUE;
    const ir_node *leaf = graph_node_of(f.g, y), *add = graph_node_of(f.g, sum);
    assert_string_equal(node_string(leaf, "name"), "y");
    assert_string_equal(add->scope, "encoder.layer.0");
    assert_string_equal(graph_node_of(f.g, f.x)->scope, "");
    assert_string_equal(add->location.file, "in.pir");
    assert_int_equal(add->location.line, 3);
    assert_int_equal(node_input(add, 0), f.x);
    assert_int_equal(node_input(add, 1), y);
    assert_int_equal(node_input(add, 2), IR_NO_VALUE);
    assert_ptr_equal(graph_type(f.g, sum), graph_type(f.g, f.x));
    assert_int_equal(graph_value_number(f.g, sum), 4);
    assert_int_equal(graph_value_number(f.g, IR_NO_VALUE), 0);
    assert_int_equal(graph_value_number(f.g, 77), 0);
    close_fixture(&f);
}

static void results_follow_each_other(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_dim four = dim_const(4);
    const ir_type *row = type_tensor(f.c, IR_F32, 1, &four);
    ir_value inputs[3] = {f.x, build_leaf(f.g, OP_state, "gamma", row), build_leaf(f.g, OP_state, "beta", row)};
    ir_attr eps = attr_float("eps", 1e-12);
    ir_value first = node_add(f.g, OP_layer_norm, inputs, 3, &eps, 1, NULL), next = build_unary(f.g, OP_relu, first);
    const ir_node *n = graph_node_of(f.g, first + 2);
    assert_int_equal(n->op, OP_layer_norm);
    assert_int_equal(n->n_results, 3);
    assert_int_equal(node_result(n, 1), first + 1);
    assert_int_equal(f.g->values.data[first + 2].result, 2);
    assert_int_equal(next, first + 3);
    assert_int_equal(graph_type(f.g, first + 1)->rank, 1);
    strbuf text = STRBUF_INIT;
    graph_print_value(f.g, first, &text);
    graph_print_value(f.g, first + 2, &text);
    assert_string_equal(strbuf_str(&text), "%5%5#2");
    strbuf_free(&text);

    arena a = ARENA_INIT;
    graph_add_output(f.g, "y", next);
    graph_add_output(f.g, "again", next);
    uint32_t *uses = graph_count_uses(f.g, &a);
    assert_int_equal(uses[f.x], 1);
    assert_int_equal(uses[f.w], 0);
    assert_int_equal(uses[first], 1);
    assert_int_equal(uses[first + 1], 0);
    assert_int_equal(uses[next], 2);
    arena_free(&a);
    assert_int_equal(graph_finish(f.g), POFAC_OK);
    assert_string_equal(strbuf_str(&f.messages), "");
    close_fixture(&f);
}

static void absent_inputs_stay_in_the_middle_only(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_value inputs[4] = {f.x, f.w};
    ir_value y = node_add(f.g, OP_linear, inputs, 4, NULL, 0, NULL);
    assert_int_equal(graph_node_of(f.g, y)->n_inputs, 2);
    inputs[3] = build_leaf(f.g, OP_pattern, "p", type_pattern(f.c, dim_const(3), dim_const(4)));
    ir_dim nnz = dim_symbol(symbol_nnz(f.c, inputs[3]));
    inputs[1] = build_leaf(f.g, OP_state, "v", type_tensor(f.c, IR_F32, 1, &nnz));
    ir_value z = node_add(f.g, OP_linear, inputs, 4, NULL, 0, NULL);
    assert_int_equal(graph_node_of(f.g, z)->n_inputs, 4);
    assert_int_equal(graph_node_of(f.g, z)->inputs[2], IR_NO_VALUE);
    assert_ptr_equal(graph_type(f.g, y), graph_type(f.g, z));
    assert_int_equal(graph_finish(f.g), POFAC_OK);

    arena a = ARENA_INIT;
    assert_int_equal(graph_count_uses(f.g, &a)[IR_NO_VALUE], 0);
    arena_free(&a);
    close_fixture(&f);
}

static void attributes_are_sorted_converted_and_without_defaults(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    const int64_t slots[1] = {4};
    ir_attr attrs[3] = {attr_ints("slot", slots, 1), attr_int("group", 2), attr_string("form", "tanh")};
    const ir_node *n = graph_node_of(f.g, node_add(f.g, OP_gelu, &f.x, 1, attrs, 3, NULL));
    assert_int_equal(n->n_attrs, 3);
    assert_string_equal(n->attrs[0].name, "form");
    assert_int_equal(n->attrs[0].kind, ATTR_ENUM);
    assert_string_equal(n->attrs[1].name, "group");
    assert_string_equal(n->attrs[2].name, "slot");
    assert_int_equal(n->attrs[2].as.ints.data[0], 4);
    assert_ptr_not_equal(n->attrs[2].as.ints.data, slots);
    assert_int_equal(node_int(n, "group"), 2);
    assert_string_equal(node_string(n, "form"), "tanh");

    ir_attr defaults[3] = {attr_enum("form", "erf"), attr_int("group", -1), attr_ints("slot", NULL, 0)};
    n = graph_node_of(f.g, node_add(f.g, OP_gelu, &f.x, 1, defaults, 3, NULL));
    assert_int_equal(n->n_attrs, 0);
    assert_int_equal(node_int(n, "group"), -1);
    assert_string_equal(node_string(n, "form"), "erf");
    assert_null(node_find_attr(n, "form"));
    assert_int_equal(node_int(n, "unheard of"), 0);
    assert_true(node_float(n, "unheard of") == 0);
    assert_string_equal(node_string(n, "unheard of"), "");

    ir_dim four = dim_const(4);
    const ir_type *row = type_tensor(f.c, IR_F32, 1, &four);
    const int64_t ints[4] = {1, 2, 3, 4};
    ir_attr value = attr_ints("value", ints, 4), eps = attr_int("eps", 1);
    n = graph_node_of(f.g, node_add(f.g, OP_constant, NULL, 0, &value, 1, row));
    assert_int_equal(n->attrs[0].kind, ATTR_FLOATS);
    assert_true(n->attrs[0].as.floats.data[3] == 4);
    ir_value inputs[3] = {f.x, n->first_result, n->first_result};
    n = graph_node_of(f.g, node_add(f.g, OP_layer_norm, inputs, 3, &eps, 1, NULL));
    assert_int_equal(n->attrs[0].kind, ATTR_FLOAT);
    assert_true(node_float(n, "eps") == 1);
    value = attr_floats("slot", NULL, 0);
    n = graph_node_of(f.g, node_add(f.g, OP_relu, &f.x, 1, &value, 1, NULL));
    assert_int_equal(n->n_attrs, 0);
    n = graph_node_of(f.g, build_scalar(f.g, IR_F64, -0.0));
    assert_true(signbit(n->attrs[0].as.floats.data[0]));
    assert_int_equal(graph_type(f.g, n->first_result)->dtype, IR_F64);
    assert_int_equal(f.m->status, POFAC_OK);
    close_fixture(&f);
}

static void defaults_are_compared_by_bits(void **state) {
    (void)state;
    const ir_attr_schema zero = {"a", ATTR_FLOAT, "0", NULL, ""}, yes = {"b", ATTR_BOOL, "true", NULL, ""};
    const ir_attr_schema none = {"c", ATTR_FLOAT, NULL, NULL, ""}, not_a_number = {"d", ATTR_FLOAT, "nan", NULL, ""};
    ir_attr plus = attr_float("a", 0.0), minus = attr_float("a", -0.0), nan = attr_float("d", strtod("nan", NULL));
    assert_true(attr_is_default(&zero, &plus));
    assert_false(attr_is_default(&zero, &minus));
    assert_false(attr_is_default(&none, &plus));
    assert_true(attr_is_default(&not_a_number, &nan));
    ir_attr t = attr_bool("b", true), f = attr_bool("b", false);
    assert_true(attr_is_default(&yes, &t));
    assert_false(attr_is_default(&yes, &f));
}

/* ---- messages ---- */

typedef struct bad_node {
    ir_op op;
    size_t n_inputs;
    ir_value inputs[5];
    size_t n_attrs;
    ir_attr attrs[2];
    bool declared; /* as f32[T,4] */
    const char *message;
} bad_node;

static void bad_nodes_are_refused_with_exact_messages(void **state) {
    (void)state;
    const bad_node cases[] = {
        {OP_gelu, 0, {0}, 0, {{0}}, false, "gelu: 0 inputs, wanted 1"},
        {OP_add, 1, {1}, 0, {{0}}, false, "add: 1 input, wanted 2"},
        {OP_linear, 1, {1}, 0, {{0}}, false, "linear: 1 input, wanted 2 to 4"},
        {OP_linear, 5, {1, 2, 0, 0, 1}, 0, {{0}}, false, "linear: 5 inputs, wanted 2 to 4"},
        {OP_relu, 1, {3}, 0, {{0}}, false, "relu: input 0 is value 3, wanted one of the 2 values so far"},
        {OP_add, 2, {1, 0}, 0, {{0}}, false, "add: input 1 is absent, wanted a value"},
        {OP_gelu, 1, {1}, 1, {attr_string("frm", "erf")}, false, "gelu: unknown attribute \"frm\"; did you mean \"form\"?"},
        {OP_gelu, 1, {1}, 1, {attr_int("grop", 1)}, false, "gelu: unknown attribute \"grop\"; did you mean \"group\"?"},
        {OP_gelu, 1, {1}, 1, {attr_int("bananas", 1)}, false, "gelu: unknown attribute \"bananas\""},
        {OP_gelu, 1, {1}, 1, {attr_enum("form", "er")}, false, "gelu: attribute \"form\" is \"er\", wanted one of erf|tanh"},
        {OP_gelu, 1, {1}, 1, {attr_enum("form", "rf|t")}, false, "gelu: attribute \"form\" is \"rf|t\", wanted one of erf|tanh"},
        {OP_gelu, 1, {1}, 1, {attr_int("form", 1)}, false, "gelu: attribute \"form\" is an integer, wanted erf|tanh"},
        {OP_gelu, 1, {1}, 1, {attr_float("group", 1)}, false, "gelu: attribute \"group\" is a number, wanted an integer"},
        {OP_gelu,
         1,
         {1},
         1,
         {attr_bool("slot", true)},
         false,
         "gelu: attribute \"slot\" is true or false, wanted a list of integers"},
        {OP_gelu, 1, {1}, 2, {attr_int("group", 1), attr_int("group", 1)}, false, "gelu: attribute \"group\" is written twice"},
        {OP_gelu,
         1,
         {1},
         2,
         {attr_enum("form", "erf"), attr_enum("form", "erf")},
         false,
         "gelu: attribute \"form\" is written twice"},
        {OP_slice, 1, {1}, 1, {attr_int("begin", 1)}, false, "slice: attribute \"end\" is missing, wanted an integer"},
        {OP_slice, 1, {1}, 1, {attr_string("begin", "1")}, false, "slice: attribute \"begin\" is a string, wanted an integer"},
        {OP_input, 0, {0}, 0, {{0}}, true, "input: attribute \"name\" is missing, wanted a string"},
        {OP_input, 0, {0}, 1, {attr_string("name", "y")}, false, "input: no type is declared, wanted that of the result"},
        {OP_relu, 1, {1}, 0, {{0}}, true, "relu: a type is declared, wanted none: it follows from the inputs"},
        {OP_add, 2, {1, 2}, 0, {{0}}, false, "add: y is f32[3,4], wanted f32[T,4]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const bad_node *b = &cases[i];
        fixture f;
        open_fixture(&f);
        ir_value v = node_add(f.g, b->op, b->inputs, b->n_inputs, b->attrs, b->n_attrs, b->declared ? graph_type(f.g, f.x) : NULL);
        strbuf wanted = STRBUF_INIT;
        strbuf_printf(&wanted, "in.pir:3:5: error: %s\n", b->message);
        expect_error(&f, strbuf_str(&wanted));
        strbuf_free(&wanted);
        assert_int_equal(v, IR_NO_VALUE);
        assert_int_equal(f.g->nodes.size, 2);
        assert_int_equal(f.g->values.size, 3);
        close_fixture(&f);
    }
}

static void the_first_error_stays(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_value bad = build_binary(f.g, OP_add, f.x, f.w);
    ir_value more = build_declared(f.g, OP_reshape, build_unary(f.g, OP_relu, bad), NULL);
    assert_int_equal(more, IR_NO_VALUE);
    assert_int_equal(build_scalar(f.g, IR_F32, 1), IR_NO_VALUE);
    graph_add_output(f.g, "y", more);
    assert_int_equal(f.g->outputs.size, 0);
    assert_int_equal(graph_finish(f.g), POFAC_ERR_INPUT);
    expect_error(&f, "in.pir:3:5: error: add: y is f32[3,4], wanted f32[T,4]\n");
    close_fixture(&f);
}

static void outputs_are_values(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture f;
        open_fixture(&f);
        graph_add_output(f.g, "y", i == 0 ? IR_NO_VALUE : 3);
        expect_error(&f, i == 0 ? "in.pir:3:5: error: output \"y\" is value 0, wanted one of the 2 values of graph @g\n"
                                : "in.pir:3:5: error: output \"y\" is value 3, wanted one of the 2 values of graph @g\n");
        close_fixture(&f);
    }
}

/* graph_finish verifies, and what it finds becomes the module's error. */
static void finishing_verifies(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    build_leaf(f.g, OP_input, "x", graph_type(f.g, f.x));
    assert_int_equal(graph_finish(f.g), POFAC_ERR_INPUT);
    expect_error(&f, "in.pir:3:5: error: %3 = input: the name \"x\" is that of %1, wanted another\n");
    close_fixture(&f);
}

static void evaluation_errors_name_the_place(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    ir_eval e = {.module = f.m, .graph = f.g, .node = graph_node_of(f.g, f.x), .sink = &f.sink};
    assert_int_equal(eval_error(&e, "%d is too much", 7), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&f.messages), "in.pir:3:5: error: input: 7 is too much\n");
    close_fixture(&f);
}

/* ---- memory ---- */

static void count_diag(void *user, const diag *d) {
    if (d->severity == DIAG_ERROR) (*(int *)user)++;
}

/* Builds a small graph of every kind of thing; the module's status. */
static pofac_status build_all(ir_context *c, const diag_sink *sink) {
    ir_module *m = module_create(c, sink);
    if (!m) return diag_out_of_memory(sink);
    ir_graph *g = module_add_graph(m, "all");
    pofac_status status = m->status;
    if (g) {
        ir_symbol t = graph_declare_symbol(g, "T", 64), b = graph_declare_symbol(g, "B", 8);
        ir_dim rows[2] = {dim_symbol(t), dim_const(4)}, offsets = dim_add(dim_symbol(b), 1);
        graph_set_scope(g, "encoder");
        graph_set_location(g, (ir_location){"file", 1, 1});
        ir_value x = build_leaf(g, OP_input, "x", type_tensor(c, IR_F32, 2, rows));
        build_leaf(g, OP_input, "offsets", type_tensor(c, IR_I32, 1, &offsets));
        ir_value inputs[4] = {x, 0, 0, build_leaf(g, OP_pattern, "w", type_pattern(c, dim_const(4), dim_const(4)))};
        ir_dim nnz = dim_symbol(symbol_nnz(c, inputs[3]));
        inputs[1] = build_leaf(g, OP_state, "w", type_tensor(c, IR_F32, 1, &nnz));
        ir_attr group = attr_int("group", 0);
        ir_value y = node_add(g, OP_linear, inputs, 4, &group, 1, NULL);
        ir_value z = node_add(g, OP_gelu, &y, 1, &group, 1, NULL);
        float data[4] = {1, 2, 3, 4};
        const int64_t four = 4;
        ir_tensor constant = tensor_view(IR_F32, 1, &four, data);
        const char *name = module_add_constant(m, NULL, &constant);
        ir_attr attr = attr_string("data", name);
        ir_value k = node_add(g, OP_constant, NULL, 0, &attr, name ? 1 : 0, type_tensor(c, IR_F32, 1, &rows[1]));
        graph_add_output(g, "y", build_binary(g, OP_add, z, k));
        status = graph_finish(g);
    }
    module_destroy(m);
    return status;
}

static void failing_allocations_are_reported_once(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        int n_errors = 0;
        diag_sink sink = {count_diag, &n_errors};
        ir_context *c = context_create();
        fail_alloc_after(n);
        pofac_status status = build_all(c, &sink);
        bool hit = fail_alloc_stop();
        context_destroy(c);
        if (status != (hit ? POFAC_ERR_RUNTIME : POFAC_OK) || n_errors != hit)
            fail_msg("allocation %zu fails: status %d, %d errors", n, status, n_errors);
        if (!hit) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_is_described),
        cmocka_unit_test(every_attribute_is_described),
        cmocka_unit_test(graphs_are_found_by_name),
        cmocka_unit_test(constants_are_kept_once),
        cmocka_unit_test(module_error_keeps_the_first),
        cmocka_unit_test(symbols_are_declared_with_bounds),
        cmocka_unit_test(nodes_keep_copies),
        cmocka_unit_test(results_follow_each_other),
        cmocka_unit_test(absent_inputs_stay_in_the_middle_only),
        cmocka_unit_test(attributes_are_sorted_converted_and_without_defaults),
        cmocka_unit_test(defaults_are_compared_by_bits),
        cmocka_unit_test(bad_nodes_are_refused_with_exact_messages),
        cmocka_unit_test(the_first_error_stays),
        cmocka_unit_test(outputs_are_values),
        cmocka_unit_test(finishing_verifies),
        cmocka_unit_test(evaluation_errors_name_the_place),
        cmocka_unit_test(failing_allocations_are_reported_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
