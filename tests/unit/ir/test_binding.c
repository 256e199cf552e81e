/* Binding of symbols: what shapes tell, and every message about shapes that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ir/binding.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text_case.h"

/* Binds a graph of the given nodes; returns the numbers, to be freed, or NULL with the message in c->messages. */
static int64_t *bind(text_case *c, const char *nodes, named_tensors *inputs) {
    text_case_begin(c, nodes);
    if (!c->graph) fail_msg("%s", strbuf_str(&c->messages));
    size_t n = context_n_symbols(c->context) + 1;
    int64_t *values = calloc(n, sizeof *values);
    assert_non_null(values);
    tensor_source source = named_tensors_source(inputs);
    symbol_named(c->context, "of_another_graph"); /* what the context learns later is not this graph's */
    pofac_status status = binding_from_inputs(c->graph, &source, &c->sink, values, n);
    if (status == POFAC_OK) return values;
    assert_int_equal(status, POFAC_ERR_INPUT);
    free(values);
    return NULL;
}

static int64_t number_of(const text_case *c, const int64_t *values, const char *symbol) {
    return values[symbol_named(c->context, symbol)];
}

static void add(named_tensors *to, const char *name, ir_dtype dtype, uint32_t rank, int64_t a, int64_t b) {
    int64_t dims[2] = {a, b};
    named_tensors_add(to, name, dtype, rank, dims);
}

static void solves_for_one_unknown(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"};
    text_case c;
    add(&inputs, "offsets", IR_I32, 1, 4, 0);
    add(&inputs, "x", IR_F32, 2, 24, 7);
    int64_t *values = bind(&c,
                           "%1 = input {name = \"x\"} : f32[2*T,7]\n"
                           "%2 = input {name = \"offsets\"} : i32[B+1]\n"
                           "return\n",
                           &inputs);
    assert_non_null(values);
    assert_int_equal(number_of(&c, values, "B"), 3);
    assert_int_equal(number_of(&c, values, "T"), 12);
    assert_int_equal(number_of(&c, values, "S"), -1); /* declared, and in no input */
    free(values);
    text_case_end(&c);
    named_tensors_free(&inputs);
}

/* B*S is seen first; S becomes known when B does. */
static void solves_products_in_any_order(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"};
    text_case c;
    add(&inputs, "x", IR_F32, 1, 15, 0);
    add(&inputs, "offsets", IR_I32, 1, 4, 0);
    int64_t *values = bind(&c,
                           "%1 = input {name = \"x\"} : f32[B*S]\n"
                           "%2 = input {name = \"offsets\"} : i32[B+1]\n"
                           "return\n",
                           &inputs);
    assert_non_null(values);
    assert_int_equal(number_of(&c, values, "S"), 5);
    free(values);
    text_case_end(&c);
    named_tensors_free(&inputs);
}

/* Neither B nor S is told: both stay unknown. */
static void leaves_what_is_not_told(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"};
    text_case c;
    add(&inputs, "x", IR_F32, 1, 15, 0);
    int64_t *values = bind(&c, "%1 = input {name = \"x\"} : f32[B*S]\n return\n", &inputs);
    assert_non_null(values);
    assert_int_equal(number_of(&c, values, "B"), -1);
    assert_int_equal(number_of(&c, values, "S"), -1);
    free(values);
    text_case_end(&c);
    named_tensors_free(&inputs);
}

#define IDS "%1 = input {name = \"ids\"} : i64[B,S]\n"

static void errors_name_input_found_and_wanted(void **unused) {
    (void)unused;
    static const struct {
        const char *nodes;
        ir_dtype dtype;
        uint32_t rank;
        int64_t a, b; /* shape of "ids" */
        const char *message;
    } cases[] = {
        {IDS, IR_I32, 2, 2, 8, "input ids is i32[2,8], wanted i64[B,S]"},
        {IDS, IR_I64, 1, 2, 0, "input ids is i64[2], wanted i64[B,S]"},
        {IDS, IR_I64, 2, 9, 8, "input ids: dimension 0 (B) is 9, wanted 1 to 8 for B"},
        {IDS, IR_I64, 2, 2, 0, "input ids: dimension 1 (S) is 0, wanted 1 to 16 for S"},
        {IDS, IR_I64, 2, 4, 8, "input mask: dimension 0 (B) is 3, wanted 4"},
        {"%1 = input {name = \"ids\"} : i64[B,B]\n", IR_I64, 2, 2, 3, "input ids: dimension 1 (B) is 3, wanted 2"},
        {"%1 = input {name = \"ids\"} : i64[B,4]\n", IR_I64, 2, 2, 3, "input ids: dimension 1 is 3, wanted 4"},
        {"%1 = input {name = \"ids\"} : i64[2*B,4]\n", IR_I64, 2, 3, 4, "input ids: dimension 0 is 3, wanted 2*B"},
        {"%1 = input {name = \"ids\"} : i64[2*B,4]\n", IR_I64, 2, 20, 4, "input ids: dimension 0 (2*B) is 20, wanted 1 to 8 for B"},
        {"%1 = input {name = \"ids\"} : i64[S,B*S]\n", IR_I64, 2, 4, 6, "input ids: dimension 1 is 6, wanted B*S"},
        {"%1 = input {name = \"other\"} : i64[S]\n", IR_I64, 2, 4, 6, "input other is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        named_tensors inputs = {.what = "input"};
        text_case c;
        strbuf nodes = STRBUF_INIT;
        add(&inputs, "ids", cases[i].dtype, cases[i].rank, cases[i].a, cases[i].b);
        add(&inputs, "mask", IR_I64, 1, 3, 0);
        strbuf_printf(&nodes, "%s%s", cases[i].nodes, "%2 = input {name = \"mask\"} : i64[B]\nreturn\n");
        int64_t *values = bind(&c, strbuf_str(&nodes), &inputs);
        if (values) fail_msg("case %zu is accepted, wanted: %s", i, cases[i].message);
        assert_string_equal(strbuf_str(&c.messages), cases[i].message);
        strbuf_free(&nodes);
        text_case_end(&c);
        named_tensors_free(&inputs);
    }
}

/* Rows that a mask keeps, and an input that says how many they are. */
static void masks_and_inputs_agree(void **unused) {
    (void)unused;
    for (int64_t rows = 2; rows < 4; rows++) {
        named_tensors inputs = {.what = "input"};
        text_case c;
        add(&inputs, "mask", IR_I64, 2, 2, 4); /* zeros: the first row of each sequence is kept */
        add(&inputs, "x", IR_F32, 1, rows, 0);
        int64_t *values = bind(&c,
                               "%1 = input {name = \"mask\"} : i64[B,S]\n"
                               "%2 = input {name = \"x\"} : f32[T]\n"
                               "%3:2 = kept_rows %1 {rows = \"T\"} : i32[T], i32[B+1]\n"
                               "return\n",
                               &inputs);
        if (rows == 2) assert_int_equal(number_of(&c, values, "T"), 2);
        else assert_string_equal(strbuf_str(&c.messages), "input mask keeps 2 rows, other inputs say that T is 3");
        free(values);
        text_case_end(&c);
        named_tensors_free(&inputs);
    }
}

/* Rows with labels, of all tokens and of those that a mask keeps, and an input that says how many they are. */
static void labels_are_counted(void **unused) {
    (void)unused;
    static const double numbers[] = {-100, 3, -100, 0, -100, -100, 7, -100}, mask[] = {1, 1, 0, 0, 1, 1, 0, 0};
    const int64_t dims[2] = {2, 4};
    for (int64_t rows = 1; rows < 3; rows++) {
        named_tensors inputs = {.what = "input"};
        text_case c;
        named_tensors_add_doubles(&inputs, "labels", IR_I64, 2, dims, numbers);
        named_tensors_add_doubles(&inputs, "mask", IR_I64, 2, dims, mask);
        add(&inputs, "x", IR_F32, 1, rows, 0);
        int64_t *values = bind(&c,
                               "%1 = input {name = \"labels\"} : i64[B,S]\n"
                               "%2 = reshape %1 : i64[B*S]\n"
                               "%3 = labelled_rows %2 {rows = \"N\"} : i32[N]\n"
                               "%4 = input {name = \"mask\"} : i64[B,S]\n"
                               "%5:2 = kept_rows %4 {rows = \"M\"} : i32[M], i32[B+1]\n"
                               "%6 = gather_rows %2, %5 : i64[M]\n"
                               "%7 = labelled_rows %6 {rows = \"T\"} : i32[T]\n"
                               "%8 = input {name = \"x\"} : f32[T]\n"
                               "return\n",
                               &inputs);
        if (rows == 1) {
            assert_int_equal(number_of(&c, values, "N"), 3);
            assert_int_equal(number_of(&c, values, "T"), 1);
        } else {
            assert_string_equal(strbuf_str(&c.messages), "input labels labels 1 rows, other inputs say that T is 2");
        }
        free(values);
        text_case_end(&c);
        named_tensors_free(&inputs);
    }
}

#define DRAWN                                                                                                                      \
    "%1 = input {name = \"labels\"} : i64[B,S]\n"                                                                                  \
    "%2 = reshape %1 : i64[B*S]\n"                                                                                                 \
    "%3 = padded_offsets %1 : i32[B+1]\n"                                                                                          \
    "%4 = input {name = \"first\"} : i64[]\n"                                                                                      \
    "%5 = row_keys %3, %2, %4 : i64[B*S]\n"                                                                                        \
    "%6 = input {name = \"random\"} : i64[2]\n"

/* Each allocation fails once, and is told. */
static void count_without_memory(text_case *c, named_tensors *inputs) {
    const size_t n_values = context_n_symbols(c->context) + 1;
    int64_t *values = calloc(n_values, sizeof *values);
    tensor_source source = named_tensors_source(inputs);
    size_t n = 1;
    assert_non_null(values);
    for (;; n++) {
        fail_alloc_after(n);
        const pofac_status status = binding_from_inputs(c->graph, &source, &c->sink, values, n_values);
        if (!fail_alloc_stop()) break;
        assert_int_equal(status, POFAC_ERR_RUNTIME);
    }
    assert_true(n > 3); /* operands were worked out */
    free(values);
}

/* Rows with labels and drawn ones, of all rows and of those that a mask keeps: keys name places of the padded batch. */
static void drawn_rows_are_counted(void **unused) {
    (void)unused;
    enum { SEQUENCES = 8, LENGTH = 16 };
    const int64_t dims[2] = {SEQUENCES, LENGTH}, two = 2;
    const double random[] = {77, 5}, first[] = {9};
    named_tensors inputs = {.what = "input"};
    text_case c;
    ir_tensor *labels = named_tensors_add(&inputs, "labels", IR_I64, 2, dims),
              *mask = named_tensors_add(&inputs, "mask", IR_I32, 2, dims);
    named_tensors_add_doubles(&inputs, "random", IR_I64, 1, &two, random);
    named_tensors_add_doubles(&inputs, "first", IR_I64, 0, NULL, first);
    int64_t all = 0, kept = 0, drawn = 0;
    for (int64_t r = 0; r < SEQUENCES * LENGTH; r++) {
        const int64_t b = r / LENGTH, p = r % LENGTH;
        const bool is_drawn = rng_draws(77, 5, ((uint64_t)(9 + b) << 32) + (uint64_t)p, 0.3);
        tensor_set_int(labels, r, r % 7 == 0 ? 3 : -100);
        tensor_set_int(mask, r, p < 4 + b);
        drawn += is_drawn;
        all += r % 7 == 0 || is_drawn;
        kept += p < 4 + b && (r % 7 == 0 || is_drawn);
    }
    assert_in_range(drawn, 23, 54); /* three standard deviations of 128 draws are 16 */
    for (int only_kept = 0; only_kept < 2; only_kept++) {
        int64_t *values = bind(&c,
                               only_kept ? DRAWN "%7 = input {name = \"mask\"} : i32[B,S]\n"
                                                 "%8:2 = kept_rows %7 {rows = \"T\"} : i32[T], i32[B+1]\n"
                                                 "%9 = gather_rows %2, %8 : i64[T]\n"
                                                 "%10 = gather_rows %5, %8 : i64[T]\n"
                                                 "%11 = sampled_rows %9, %10, %6 {rows = \"M\", share = 0.3} : i32[M]\n"
                                                 "return\n"
                                         : DRAWN "%7 = sampled_rows %2, %5, %6 {rows = \"M\", share = 0.3} : i32[M]\n"
                                                 "return\n",
                               &inputs);
        if (!values) fail_msg("%s", strbuf_str(&c.messages));
        assert_int_equal(number_of(&c, values, "M"), only_kept ? kept : all);
        count_without_memory(&c, &inputs);
        free(values);
        text_case_end(&c);
    }
    named_tensors_free(&inputs);
}

/* Labels that more than inputs go into are left to whoever runs the graph. */
static void what_is_computed_is_not_counted(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"};
    text_case c;
    add(&inputs, "labels", IR_I64, 1, 5, 0);
    int64_t *values = bind(&c,
                           "%1 = input {name = \"labels\"} : i64[T]\n"
                           "%2 = scatter_rows %1, %1, %1 : i64[T]\n"
                           "%3 = labelled_rows %2 {rows = \"M\"} : i32[M]\n"
                           "%4 = labelled_rows %1 {rows = \"N\"} : i32[N]\n"
                           "return\n",
                           &inputs);
    if (!values) fail_msg("%s", strbuf_str(&c.messages));
    assert_int_equal(number_of(&c, values, "M"), -1);
    assert_int_equal(number_of(&c, values, "N"), 5);
    free(values);
    text_case_end(&c);
    named_tensors_free(&inputs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solves_for_one_unknown),  cmocka_unit_test(solves_products_in_any_order),
        cmocka_unit_test(leaves_what_is_not_told), cmocka_unit_test(errors_name_input_found_and_wanted),
        cmocka_unit_test(masks_and_inputs_agree),  cmocka_unit_test(labels_are_counted),
        cmocka_unit_test(drawn_rows_are_counted),  cmocka_unit_test(what_is_computed_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
