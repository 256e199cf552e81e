/*
 * Autodiff: the gradients of every op that has a rule against central differences of the loss, in f64; an op without a case fails the
 * suite. Then whole BERT layers, and what an update by `optimizer` makes of gradients.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/rng.h"
#include "passes/pass.h"
#include "tests/unit/text_case.h"

/* ---- states and inputs ---- */

#define ROWS 5 /* tokens: sequences of 3 and 2 */
#define E 4    /* features of x */

static ir_tensor *add_random(named_tensors *to, const char *name, uint32_t rank, int64_t a, int64_t b) {
    const int64_t dims[2] = {a, b};
    const rng_key key = rng_key_make(5, name);
    ir_tensor *t = named_tensors_add(to, name, IR_F64, rank, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, 2 * rng_uniform(key, (uint64_t)i) - 1);
    return t;
}

static void add_integers(named_tensors *to, const char *name, ir_dtype dtype, uint32_t rank, int64_t n, const double *values) {
    named_tensors_add_doubles(to, name, dtype, rank, &n, values);
}

/* x [5,4], y [5,4], matrices w [4,4] and s [4,4] with zeros, vectors g and b [4], a table of 7 rows; parameters are states. */
static void make_tensors(named_tensors *inputs, named_tensors *state) {
    static const double ids[] = {3, 0, 6, 3, 1}, offsets[] = {0, 3, 5}, labels[] = {2, -100, 0, 3, 1}, keep[] = {1, 0, 1, 1, 1},
                        random[] = {77, 4}, index[] = {4, 0, 2}, first[] = {9};
    *inputs = (named_tensors){.what = "input"};
    *state = (named_tensors){.what = "state"};
    add_random(inputs, "target", 2, ROWS, E);
    add_integers(inputs, "ids", IR_I64, 1, ROWS, ids);
    add_integers(inputs, "offsets", IR_I32, 1, 3, offsets);
    add_integers(inputs, "labels", IR_I64, 1, ROWS, labels);
    add_integers(inputs, "keep", IR_I64, 1, ROWS, keep);
    add_integers(inputs, "random", IR_I64, 1, 2, random);
    add_integers(inputs, "index", IR_I32, 1, 3, index);
    add_integers(inputs, "first", IR_I64, 0, 1, first);
    add_random(state, "x", 2, ROWS, E);
    add_random(state, "y", 2, ROWS, E);
    add_random(state, "w", 2, E, E);
    add_random(state, "g", 1, E, 0);
    add_random(state, "b", 1, E, 0);
    add_random(state, "table", 2, 7, E);
    ir_tensor *s = add_random(state, "s", 2, E, E);
    for (int64_t i = 0; i < E * E; i++)
        if (i % 3 == 1 || i / E == 2) tensor_set(s, i, 0); /* row 2 is empty */
}

#define X "%1 = state {name = \"x\"} : f64[5,4]\n"
#define TARGET "%2 = input {name = \"target\"} : f64[5,4]\n"
#define X_TARGET X TARGET
#define Y "%3 = state {name = \"y\"} : f64[5,4]\n"
#define OFFSETS "%3 = input {name = \"offsets\"} : i32[3]\n"
#define SQUARED(n, next) "%" next " = mean_squared_error %" n ", %2 : f64[]\n return \"loss\" = %" next "\n"
#define KEYS                                                                                                                       \
    OFFSETS "%4 = input {name = \"ids\"} : i64[5]\n"                                                                               \
            "%5 = input {name = \"first\"} : i64[]\n"                                                                              \
            "%6 = input {name = \"random\"} : i64[2]\n"                                                                            \
            "%7 = row_keys %3, %4, %5 : i64[5]\n"

typedef struct gradient_case {
    ir_op op; /* that the case is about */
    const char *nodes;
} gradient_case;

static const gradient_case cases[] = {
    {OP_reshape,
     X "%2 = input {name = \"target\"} : f64[5,4]\n %3 = reshape %1 : f64[4,5]\n %4 = reshape %3 : f64[5,4]\n" SQUARED("4", "5")},
    {OP_slice, X_TARGET "%3 = slice %1 {begin = 1, end = 3} : f64[5,2]\n %4 = slice %2 {begin = 0, end = 2} : f64[5,2]\n"
                        "%5 = mean_squared_error %3, %4 : f64[]\n return \"loss\" = %5\n"},
    {OP_gather_rows,
     X_TARGET "%3 = input {name = \"index\"} : i32[3]\n %4 = gather_rows %1, %3 : f64[3,4]\n"
              "%5 = gather_rows %2, %3 : f64[3,4]\n %6 = mean_squared_error %4, %5 : f64[]\n return \"loss\" = %6\n"},
    {OP_scatter_rows, X_TARGET "%3 = input {name = \"index\"} : i32[3]\n %4 = gather_rows %1, %3 : f64[3,4]\n"
                               "%5 = scatter_rows %4, %3, %1 : f64[5,4]\n" SQUARED("5", "6")},
    {OP_cast, X_TARGET "%3 = cast %1 : f64[5,4]\n" SQUARED("3", "4")},
    {OP_relayout, X_TARGET "%3 = relayout %1 : f64[5,4] tiles<4>\n %4 = relayout %3 : f64[5,4]\n" SQUARED("4", "5")},
    {OP_add, X_TARGET Y "%4 = add %1, %3 : f64[5,4]\n %5 = add %4, %1 : f64[5,4]\n" SQUARED("5", "6")},
    {OP_sub, X_TARGET Y "%4 = sub %1, %3 : f64[5,4]\n" SQUARED("4", "5")},
    {OP_mul, X_TARGET Y "%4 = mul %1, %3 : f64[5,4]\n %5 = mul %4, %4 : f64[5,4]\n" SQUARED("5", "6")},
    {OP_relu, X_TARGET "%3 = relu %1 : f64[5,4]\n" SQUARED("3", "4")},
    {OP_tanh, X_TARGET "%3 = tanh %1 : f64[5,4]\n" SQUARED("3", "4")},
    {OP_gelu, X_TARGET "%3 = gelu %1 : f64[5,4]\n" SQUARED("3", "4")},
    {OP_gelu, X_TARGET "%3 = gelu %1 {form = \"tanh\"} : f64[5,4]\n" SQUARED("3", "4")},
    {OP_fake_quantize, /* before it begins; past that it is a staircase, whose gradient tests of its values have */
     X_TARGET "%3 = constant {value = [-1, 1]} : f32[2]\n %4 = constant {value = [3]} : i64[]\n"
              "%5 = fake_quantize %1, %3, %4 {begin = 4} : f64[5,4]\n" SQUARED("5", "6")},
    {OP_embedding, "%1 = state {name = \"table\"} : f64[7,4]\n" TARGET "%3 = input {name = \"ids\"} : i64[5]\n"
                   "%4 = embedding %1, %3 : f64[5,4]\n" SQUARED("4", "5")},
    {OP_linear, X_TARGET "%3 = state {name = \"w\"} : f64[4,4]\n %4 = state {name = \"b\"} : f64[4]\n"
                         "%5 = linear %1, %3, %4 : f64[5,4]\n" SQUARED("5", "6")},
    {OP_linear, X_TARGET "%3 = pattern {name = \"s\"} : pattern[4,4]\n %4 = state {name = \"s\"} : f64[nnz(%3)]\n"
                         "%5 = linear %1, %4, _, %3 : f64[5,4]\n" SQUARED("5", "6")},
    {OP_layer_norm, X_TARGET "%3 = state {name = \"g\"} : f64[4]\n %4 = state {name = \"b\"} : f64[4]\n"
                             "%5:3 = layer_norm %1, %3, %4 {eps = 1e-5} : f64[5,4], f64[5], f64[5]\n" SQUARED("5", "6")},
    {OP_dense_to_sparse,
     X_TARGET "%3 = pattern {name = \"s\"} : pattern[4,4]\n %4 = state {name = \"w\"} : f64[4,4]\n"
              "%5 = dense_to_sparse %4, %3 : f64[nnz(%3)]\n %6 = linear %1, %5, _, %3 : f64[5,4]\n" SQUARED("6", "7")},
    {OP_sparse_to_dense, X_TARGET "%3 = pattern {name = \"s\"} : pattern[4,4]\n %4 = state {name = \"s\"} : f64[nnz(%3)]\n"
                                  "%5 = sparse_to_dense %4, %3 : f64[4,4]\n %6 = linear %1, %5 : f64[5,4]\n" SQUARED("6", "7")},
    {OP_dropout, X_TARGET KEYS "%8 = dropout %1, %7, %6 {rate = 0.4, stream = 3} : f64[5,4]\n" SQUARED("8", "9")},
    {OP_attention,
     X_TARGET OFFSETS "%4 = state {name = \"y\"} : f64[5,4]\n %5 = state {name = \"w\"} : f64[4,4]\n"
                      "%6 = linear %1, %5 : f64[5,4]\n %7 = input {name = \"keep\"} : i64[5]\n"
                      "%8:2 = attention %1, %4, %6, %3, %7 {heads = 2, scale = 0.7} : f64[5,4], f64[5,2]\n" SQUARED("8", "9")},
    {OP_attention, X_TARGET KEYS "%8 = state {name = \"y\"} : f64[5,4]\n"
                                 "%9:2 = attention %1, %8, %1, %3, _, _, %7, %6 {heads = 2, rate = 0.3, scale = 0.7, stream = 2} : "
                                 "f64[5,4], f64[5,2]\n" SQUARED("9", "10")},
    {OP_attention, /* queries of their own, one for each sequence */
     X_TARGET OFFSETS "%4 = state {name = \"y\"} : f64[5,4]\n %5 = first_rows %3 : i32[2]\n %6 = gather_rows %4, %5 : f64[2,4]\n"
                      "%7 = constant {value = [0, 1, 2]} : i32[3]\n %8 = gather_rows %2, %5 : f64[2,4]\n"
                      "%9:2 = attention %6, %1, %1, %3, _, %7 {heads = 1, scale = 0.7} : f64[2,4], f64[2,1]\n"
                      "%10 = mean_squared_error %9, %8 : f64[]\n return \"loss\" = %10\n"},
    {OP_cross_entropy, X "%2 = input {name = \"labels\"} : i64[5]\n %3 = cross_entropy %1, %2 : f64[]\n"
                         "%4 = constant {value = [0.3]} : f64[]\n %5 = mul %3, %4 : f64[]\n return \"loss\" = %5\n"},
    {OP_cross_entropy,
     X "%2 = input {name = \"labels\"} : i64[5]\n %3 = constant {value = [1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, "
       "1, 1, 1, 1, 1, 1]} : bool[5,4]\n"
       "%4 = cross_entropy %1, %2, %3 {labels = \"clamp\", reduction = \"sum\"} : f64[]\n return \"loss\" = %4\n"},
    {OP_linear_cross_entropy, /* the loss goes on, through a factor of its own */
     X
     "%2 = input {name = \"labels\"} : i64[5]\n %3 = state {name = \"w\"} : f64[4,4]\n %4 = state {name = \"b\"} : f64[4]\n"
     "%5 = constant {value = [0.3]} : f64[]\n %6:4 = linear_cross_entropy %1, %3, %2, %4, %5 : f64[], f64[5,4], f64[4,4], f64[4]\n"
     "%7 = constant {value = [7]} : f64[]\n %8 = mul %6, %7 : f64[]\n return \"loss\" = %8\n"},
    {OP_linear_cross_entropy, /* a tied table of 7 classes, no bias */
     "%1 = state {name = \"table\"} : f64[7,4]\n %2 = input {name = \"ids\"} : i64[5]\n %3 = input {name = \"labels\"} : i64[5]\n"
     "%4 = embedding %1, %2 : f64[5,4]\n"
     "%5:4 = linear_cross_entropy %4, %1, %3 {reduction = \"sum\"} : f64[], f64[5,4], f64[7,4], f64[7]\n"
     "return \"loss\" = %5\n"},
    {OP_kl_divergence, X_TARGET "%3 = input {name = \"keep\"} : i64[5]\n %4 = constant {value = [0.3]} : f64[]\n"
                                "%5 = kl_divergence %1, %2, %3, %4 {temperature = 2} : f64[]\n"
                                "%6 = mul %5, %4 : f64[]\n return \"loss\" = %6\n"},
    {OP_kl_divergence, X_TARGET "%3 = constant {value = [1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0]} : bool[5,4]\n"
                                "%4 = kl_divergence %1, %2, %3 {temperature = 0.7} : f64[]\n return \"loss\" = %4\n"},
    {OP_squared_distance, /* the teacher's side is not trained; the loss goes on, through a factor of its own */
     X_TARGET "%3 = input {name = \"keep\"} : i64[5]\n %4 = constant {value = [0.3]} : f64[]\n"
              "%5:2 = squared_distance %1, %2, %3, %4 : f64[], f64[5,4]\n %6 = constant {value = [7]} : f64[]\n"
              "%7 = mul %5, %6 : f64[]\n return \"loss\" = %7\n"},
    {OP_cosine_distance, X_TARGET "%3:2 = cosine_distance %1, %2 : f64[], f64[5,4]\n return \"loss\" = %3\n"},
    {OP_attention_distance, /* the log-sum-exp changes with q and k; padded queries count */
     X_TARGET OFFSETS
     "%4 = state {name = \"y\"} : f64[5,4]\n %5 = input {name = \"keep\"} : i64[5]\n"
     "%6:2 = attention %1, %4, %2, %3, %5 {heads = 2, scale = 0.7} : f64[5,4], f64[5,2]\n"
     "%7:2 = attention %2, %2, %2, %3, %5 {heads = 2, scale = 0.7} : f64[5,4], f64[5,2]\n"
     "%8 = constant {value = [0.3]} : f64[]\n"
     "%9:3 = attention_distance %1, %4, %2, %3, %6#1, %2, %7#1, %5, %8 {heads = 2, queries = \"all\", scale = 0.7} : "
     "f64[], f64[5,4], f64[5,4]\n return \"loss\" = %9\n"},
    {OP_attention_distance,
     X_TARGET OFFSETS "%4 = input {name = \"keep\"} : i64[5]\n"
                      "%5:2 = attention %1, %1, %2, %3, %4 {heads = 1, scale = 0.7} : f64[5,4], f64[5,1]\n"
                      "%6:2 = attention %2, %2, %2, %3, %4 {heads = 1, scale = 0.7} : f64[5,4], f64[5,1]\n"
                      "%7:3 = attention_distance %1, %1, %2, %3, %5#1, %2, %6#1, %4 {heads = 1, scale = 0.7} : "
                      "f64[], f64[5,4], f64[5,4]\n return \"loss\" = %7\n"},
    {OP_linear_kl_divergence, /* a teacher whose weight is frozen, of other rows; some rows are left out */
     X_TARGET "%3 = state {name = \"w\"} : f64[4,4]\n %4 = state {name = \"s\", frozen = true} : f64[4,4]\n"
              "%5 = state {name = \"b\"} : f64[4]\n %6 = input {name = \"keep\"} : i64[5]\n"
              "%7 = constant {value = [0.3]} : f64[]\n"
              "%8:4 = linear_kl_divergence %1, %3, %2, %4, %5, _, %6, %7 {temperature = 2} : f64[], f64[5,4], f64[4,4], f64[4]\n"
              "%9 = mul %8, %7 : f64[]\n return \"loss\" = %9\n"},
    {OP_linear_soft_cross_entropy,
     X "%2 = state {name = \"w\"} : f64[4,4]\n %3 = state {name = \"b\"} : f64[4]\n %4 = input {name = \"keep\"} : i64[5]\n"
       "%5 = constant {value = [0, 1, 3, 2, 1, 0, 3, 0, 1, 2]} : i32[5,2]\n"
       "%6 = constant {value = [1, 2, 0.5, -1, 3, 1, 0, 0, -2, 1]} : f64[5,2]\n"
       "%7:4 = linear_soft_cross_entropy %1, %2, %5, %6, %3, %4 {temperature = 1.5} : f64[], f64[5,4], f64[4,4], f64[4]\n"
       "return \"loss\" = %7\n"},
    {OP_mean_squared_error, X TARGET Y "%4 = mean_squared_error %1, %3 : f64[]\n %5 = mean_squared_error %3, %2 : f64[]\n"
                                       "%6 = add %4, %5 : f64[]\n return \"loss\" = %6\n"},
};
#define N_CASES (sizeof cases / sizeof cases[0])

/* ---- differences ---- */

static ir_module *differentiated(text_case *c, const char *pipeline) {
    arena memory = ARENA_INIT;
    pass_pipeline p;
    ir_module *out = NULL;
    assert_int_equal(pipeline_parse(pipeline, &memory, &c->sink, &p), POFAC_OK);
    if (pipeline_run(&p, c->module, NULL, NULL, &c->sink, &out) != POFAC_OK) fail_msg("%s", strbuf_str(&c->messages));
    c->module = out; /* the old one is taken over */
    c->graph = out->graphs.data[0];
    arena_free(&memory);
    return out;
}

static double loss_of(const char *nodes, named_tensors *inputs, named_tensors *state) {
    text_case c;
    text_case_begin(&c, nodes);
    if (text_case_run(&c, inputs, state) != POFAC_OK) fail_msg("%s\n%s", strbuf_str(&c.messages), nodes);
    const double loss = tensor_get(interp_find(&c.results, "loss"), 0);
    text_case_end(&c);
    return loss;
}

/* The gradient of one state; `sparse`: of its non-zeros alone. Returns the number of elements compared. */
static size_t check_state(const char *nodes, named_tensors *inputs, named_tensors *state, const char *name,
                          const ir_tensor *gradient) {
    ir_tensor *t = NULL;
    for (size_t i = 0; i < state->entries.size; i++)
        if (strcmp(state->entries.data[i].name, name) == 0) t = &state->entries.data[i].tensor;
    assert_non_null(t);
    const bool sparse = gradient->rank != t->rank;
    const double h = 1e-5;
    int64_t at = 0;
    for (int64_t i = 0; i < tensor_elements(t); i++) {
        const double value = tensor_get(t, i);
        if (sparse && value == 0) continue;
        tensor_set(t, i, value + h);
        const double above = loss_of(nodes, inputs, state);
        tensor_set(t, i, value - h);
        const double below = loss_of(nodes, inputs, state), wanted = (above - below) / (2 * h), found = tensor_get(gradient, at);
        tensor_set(t, i, value);
        if (!(fabs(found - wanted) <= 1e-8 * (1 + fabs(wanted))))
            fail_msg("gradient of %s[%d] is %.12g, differences give %.12g\n%s", name, (int)i, found, wanted, nodes);
        at++;
    }
    assert_int_equal(at, tensor_elements(gradient));
    return (size_t)at;
}

static size_t check_gradients(const char *nodes, named_tensors *inputs, named_tensors *state) {
    text_case c;
    size_t compared = 0;
    text_case_begin(&c, nodes);
    if (!c.module) fail_msg("%s\n%s", strbuf_str(&c.messages), nodes);
    differentiated(&c, "autodiff");
    if (text_case_run(&c, inputs, state) != POFAC_OK) fail_msg("%s\n%s", strbuf_str(&c.messages), nodes);
    for (size_t i = 0; i < c.results.n_outputs; i++) {
        const char *name = c.results.outputs[i].name;
        if (strncmp(name, "gradient.", 9) == 0)
            compared += check_state(nodes, inputs, state, name + 9, &c.results.outputs[i].tensor);
    }
    text_case_end(&c);
    return compared;
}

static void gradients_are_differences(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    make_tensors(&inputs, &state);
    for (size_t i = 0; i < N_CASES; i++) assert_true(check_gradients(cases[i].nodes, &inputs, &state) >= E);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

static void every_rule_has_a_case(void **unused) {
    (void)unused;
    for (int op = 0; op < IR_N_OPS; op++) {
        bool found = false;
        for (size_t i = 0; i < N_CASES; i++) found = found || cases[i].op == (ir_op)op;
        if (found != (op_info((ir_op)op)->gradient != NULL))
            fail_msg("op %s has %s and %s", op_info((ir_op)op)->name, found ? "a case" : "no case",
                     op_info((ir_op)op)->gradient ? "a gradient" : "no gradient");
    }
}

/* ---- a layer ---- */

/* Shared inputs, a residual, a tied table, a sparse and a dense weight, dropout, two losses. */
static const char layer[] =
    "%1 = state {name = \"table\"} : f64[7,4]\n"
    "%2 = input {name = \"ids\"} : i64[5]\n"
    "%3 = input {name = \"offsets\"} : i32[3]\n"
    "%4 = input {name = \"first\"} : i64[]\n"
    "%5 = input {name = \"random\"} : i64[2]\n"
    "%6 = row_keys %3, %2, %4 : i64[5]\n"
    "%7 = embedding %1, %2 : f64[5,4]\n"
    "%8 = state {name = \"g\"} : f64[4]\n"
    "%9 = state {name = \"b\"} : f64[4]\n"
    "%10:3 = layer_norm %7, %8, %9 {eps = 1e-5} : f64[5,4], f64[5], f64[5]\n"
    "%11 = pattern {name = \"s\"} : pattern[4,4]\n"
    "%12 = state {name = \"s\"} : f64[nnz(%11)]\n"
    "%13 = linear %10, %12, %9, %11 : f64[5,4]\n"
    "%14 = state {name = \"w\"} : f64[4,4]\n"
    "%15 = linear %10, %14 : f64[5,4]\n"
    "%16:2 = attention %13, %15, %10, %3, _, _, %6, %5 {heads = 2, rate = 0.2, scale = 0.7} : f64[5,4], f64[5,2]\n"
    "%17 = linear %16, %14, %9 : f64[5,4]\n"
    "%18 = dropout %17, %6, %5 {rate = 0.2, stream = 1} : f64[5,4]\n"
    "%19 = add %18, %10 : f64[5,4]\n"
    "%20:3 = layer_norm %19, %8, %9 {eps = 1e-5} : f64[5,4], f64[5], f64[5]\n"
    "%21 = gelu %20 : f64[5,4]\n"
    "%22 = state {name = \"table\"} : f64[7,4]\n"
    "%23 = linear %21, %22 : f64[5,7]\n"
    "%24 = input {name = \"labels\"} : i64[5]\n"
    "%25 = cross_entropy %23, %24 : f64[]\n"
    "%26 = first_rows %3 : i32[2]\n"
    "%27 = gather_rows %20, %26 : f64[2,4]\n"
    "%28 = input {name = \"target\"} : f64[5,4]\n"
    "%29 = gather_rows %28, %26 : f64[2,4]\n"
    "%30 = mean_squared_error %27, %29 : f64[]\n"
    "%31 = add %25, %30 : f64[]\n"
    "return \"loss\" = %31, \"logits\" = %23\n";

static void gradients_of_a_layer_are_differences(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    make_tensors(&inputs, &state);
    assert_int_equal(check_gradients(layer, &inputs, &state), 28 + 4 + 4 + 16 + 8); /* table, g, b, w, non-zeros of s */
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

/* ---- updates ---- */

static const char regression[] = "%1 = input {name = \"target\"} : f32[5,4]\n"
                                 "%2 = state {name = \"w\"} : f32[4,4]\n"
                                 "%3 = state {name = \"b\"} : f32[4]\n"
                                 "%4 = linear %1, %2, %3 : f32[5,4]\n"
                                 "%5 = mean_squared_error %4, %1 : f32[]\n"
                                 "return \"loss\" = %5\n";

static void add_f32(named_tensors *to, const char *name, uint32_t rank, const int64_t *dims, double value) {
    ir_tensor *t = named_tensors_add(to, name, IR_F32, rank, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, value);
}

/* Two halves of a step, accumulated, give the update of the whole step. */
static void accumulated_steps_are_whole_steps(void **unused) {
    (void)unused;
    static const int64_t matrix[] = {4, 4}, vector[] = {4}, rows[] = {5, 4};
    named_tensors inputs = {.what = "input"}, state = {.what = "state"};
    const double one[] = {1};
    ir_tensor *target = named_tensors_add(&inputs, "target", IR_F32, 2, rows);
    for (int64_t i = 0; i < 20; i++) tensor_set(target, i, sin((double)i));
    add_f32(&inputs, "learning_rate", 0, NULL, 0.1);
    add_f32(&inputs, "keep", 0, NULL, 0);
    named_tensors_add_doubles(&inputs, "step", IR_I64, 0, NULL, one);
    add_f32(&state, "w", 2, matrix, 0.5);
    add_f32(&state, "b", 1, vector, 0.25);
    const char *const moments[] = {"exp_avg", "exp_avg_sq"};
    for (size_t i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "w.%s", moments[i]);
        add_f32(&state, name, 2, matrix, 0);
        snprintf(name, sizeof name, "b.%s", moments[i]);
        add_f32(&state, name, 1, vector, 0);
    }
    text_case whole, part;
    text_case_begin(&whole, regression);
    differentiated(&whole, "autodiff,optimizer{weight_decay=0.01}");
    if (text_case_run(&whole, &inputs, &state) != POFAC_OK) fail_msg("%s", strbuf_str(&whole.messages));
    add_f32(&state, "gradient.w", 2, matrix, 100); /* what an earlier step left there */
    add_f32(&state, "gradient.b", 1, vector, 100);
    text_case_begin(&part, regression);
    differentiated(&part, "autodiff,optimizer{accumulate=1,weight_decay=0.01}");
    assert_int_equal(part.module->graphs.size, 2);
    named_tensors sums = {.what = "state"};
    if (text_case_run(&part, &inputs, &state) != POFAC_OK) fail_msg("%s", strbuf_str(&part.messages));
    for (size_t i = 0; i < state.entries.size; i++) {
        const named_tensor *t = &state.entries.data[i];
        const ir_tensor *sum = interp_find(&part.results, t->name);
        ir_tensor *copy = named_tensors_add(&sums, t->name, t->tensor.dtype, t->tensor.rank, t->tensor.dims);
        for (int64_t k = 0; k < tensor_elements(copy); k++) tensor_set(copy, k, tensor_get(sum ? sum : &t->tensor, k));
    }
    interp_results_free(&part.results);
    part.graph = part.module->graphs.data[1];
    if (text_case_run(&part, &inputs, &sums) != POFAC_OK) fail_msg("%s", strbuf_str(&part.messages));
    static const char *const compared[] = {"w", "b", "w.exp_avg", "b.exp_avg_sq", "grad_norm"};
    for (size_t i = 0; i < 5; i++)
        assert_tensors_close(compared[i], interp_find(&part.results, compared[i]), interp_find(&whole.results, compared[i]), 0, 0);
    assert_true(tensor_get(interp_find(&whole.results, "w"), 0) != 0.5);
    text_case_end(&whole);
    text_case_end(&part);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
    named_tensors_free(&sums);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_differences),
        cmocka_unit_test(every_rule_has_a_case),
        cmocka_unit_test(gradients_of_a_layer_are_differences),
        cmocka_unit_test(accumulated_steps_are_whole_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
