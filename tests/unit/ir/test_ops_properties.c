/*
 * Laws of the evaluators over random tensors: plain loops in the same formula give the same numbers, a row's result does not depend
 * on the rows beside it, a sequence's not on the batch, a sparse weight gives what the dense one gives, softmax does not see a
 * shift.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "ir/support/rng.h"
#include "tests/unit/text_case.h"

/* A tensor of random numbers in [-1, 1], the same for the same name and shape. */
static ir_tensor *add_random(named_tensors *to, const char *name, ir_dtype dtype, int64_t rows, int64_t columns) {
    int64_t dims[2] = {rows, columns};
    ir_tensor *t = named_tensors_add(to, name, dtype, columns ? 2 : 1, dims);
    rng_key key = rng_key_make(1, name);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, 2 * rng_uniform(key, (uint64_t)i) - 1);
    return t;
}

static void add_integers(named_tensors *to, const char *name, ir_dtype dtype, int64_t n, const int64_t *values) {
    ir_tensor *t = named_tensors_add(to, name, dtype, 1, &n);
    for (int64_t i = 0; i < n; i++) tensor_set_int(t, i, values[i]);
}

/* Rows first .. first + n of `from` under a name. */
static void add_rows(named_tensors *to, const char *name, const ir_tensor *from, int64_t first, int64_t n) {
    int64_t dims[2] = {n, from->dims[1]};
    ir_tensor *t = named_tensors_add(to, name, from->dtype, 2, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, tensor_get(from, first * from->dims[1] + i));
}

static void run(text_case *c, const char *nodes, named_tensors *inputs, named_tensors *state) {
    text_case_begin(c, nodes);
    if (text_case_run(c, inputs, state) != POFAC_OK) fail_msg("%s", strbuf_str(&c->messages));
}

static double at(const ir_tensor *t, int64_t row, int64_t column) { return tensor_get(t, row * t->dims[1] + column); }

static void assert_near(const char *what, int64_t row, int64_t column, double found, double wanted, double tolerance) {
    if (fabs(found - wanted) <= tolerance) return;
    fail_msg("%s: element [%d,%d] is %.17g, wanted %.17g", what, (int)row, (int)column, found, wanted);
}

/* ---- linear ---- */

#define R 37 /* more than two blocks of rows, and a part of one */
#define K 29
#define N 23

static const char linear_nodes[] = "%1 = input {name = \"x\"} : f32[T,29]\n"
                                   "%2 = state {name = \"w\"} : f32[23,29]\n"
                                   "%3 = state {name = \"b\"} : f32[23]\n"
                                   "%4 = linear %1, %2, %3 : f32[T,23]\n"
                                   "return \"y\" = %4\n";

static void linear_equals_plain_loops(void **unused) {
    (void)unused;
    named_tensors inputs = {0}, state = {0};
    add_random(&inputs, "x", IR_F32, R, K);
    add_random(&state, "w", IR_F32, N, K);
    add_random(&state, "b", IR_F32, N, 0);
    text_case c;
    run(&c, linear_nodes, &inputs, &state);
    const ir_tensor *x = named_tensors_find(&inputs, "x"), *w = named_tensors_find(&state, "w"),
                    *b = named_tensors_find(&state, "b");
    for (int64_t r = 0; r < R; r++) {
        for (int64_t n = 0; n < N; n++) {
            long double sum = 0;
            for (int64_t k = 0; k < K; k++) sum += (long double)at(x, r, k) * (long double)at(w, n, k);
            double wanted = (double)(sum + (long double)tensor_get(b, n));
            assert_near("linear", r, n, at(interp_find(&c.results, "y"), r, n), wanted, fabs(wanted) * 0x1p-23);
        }
    }
    text_case_end(&c);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

static void a_row_of_linear_does_not_depend_on_its_neighbours(void **unused) {
    (void)unused;
    named_tensors inputs = {0}, state = {0};
    ir_tensor *x = add_random(&inputs, "x", IR_F32, R, K);
    add_random(&state, "w", IR_F32, N, K);
    add_random(&state, "b", IR_F32, N, 0);
    text_case all;
    run(&all, linear_nodes, &inputs, &state);
    for (int64_t r = 0; r < R; r++) {
        named_tensors one = {0}, wanted = {0};
        text_case c;
        add_rows(&one, "x", x, r, 1);
        add_rows(&wanted, "y", interp_find(&all.results, "y"), r, 1);
        run(&c, linear_nodes, &one, &state);
        assert_tensors_close("a row alone", interp_find(&c.results, "y"), named_tensors_find(&wanted, "y"), 0, 0);
        text_case_end(&c);
        named_tensors_free(&one);
        named_tensors_free(&wanted);
    }
    text_case_end(&all);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

static void sparse_linear_equals_dense(void **unused) {
    (void)unused;
    named_tensors inputs = {0}, state = {0};
    add_random(&inputs, "x", IR_F32, R, K);
    ir_tensor *w = add_random(&state, "w", IR_F32, N, K);
    for (int64_t i = 0; i < N * K; i++)
        if (i % 5 != 0 || i / K == 3) tensor_set(w, i, 0); /* row 3 has no weight at all */
    add_random(&state, "b", IR_F32, N, 0);
    text_case dense, sparse;
    run(&dense, linear_nodes, &inputs, &state);
    run(&sparse,
        "%1 = input {name = \"x\"} : f32[T,29]\n"
        "%2 = pattern {name = \"w\"} : pattern[23,29]\n"
        "%3 = state {name = \"w\"} : f32[nnz(%2)]\n"
        "%4 = state {name = \"b\"} : f32[23]\n"
        "%5 = linear %1, %3, %4, %2 : f32[T,23]\n"
        "return \"y\" = %5\n",
        &inputs, &state);
    assert_tensors_close("sparse", interp_find(&sparse.results, "y"), interp_find(&dense.results, "y"), 0, 0);
    text_case_end(&dense);
    text_case_end(&sparse);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

/* ---- gradients of linear ---- */

/*
 * L = sum of c * y with y = x w^T + b has dy = c. It is linear in each number of x, w and b alone, so a difference over [-1, 1] is
 * the gradient but for rounding.
 */
static const char gradient_nodes[] = "%1 = input {name = \"x\"} : f64[T,7]\n"
                                     "%2 = state {name = \"w\"} : f64[5,7]\n"
                                     "%3 = state {name = \"b\"} : f64[5]\n"
                                     "%4 = input {name = \"c\"} : f64[T,5]\n"
                                     "%5 = linear %1, %2, %3 : f64[T,5]\n"
                                     "%6 = linear_input_gradient %4, %2 : f64[T,7]\n"
                                     "%7:2 = linear_weight_gradient %1, %4 : f64[5,7], f64[5]\n"
                                     "return \"y\" = %5, \"dx\" = %6, \"dw\" = %7, \"db\" = %7#1\n";
static const char sparse_gradient_nodes[] = "%1 = input {name = \"x\"} : f64[T,7]\n"
                                            "%2 = pattern {name = \"w\"} : pattern[5,7]\n"
                                            "%3 = state {name = \"w\"} : f64[nnz(%2)]\n"
                                            "%4 = state {name = \"b\"} : f64[5]\n"
                                            "%5 = input {name = \"c\"} : f64[T,5]\n"
                                            "%6 = linear %1, %3, %4, %2 : f64[T,5]\n"
                                            "%7 = linear_input_gradient %5, %3, %2 : f64[T,7]\n"
                                            "%8:2 = linear_weight_gradient %1, %5, %2 : f64[nnz(%2)], f64[5]\n"
                                            "return \"y\" = %6, \"dx\" = %7, \"dw\" = %8, \"db\" = %8#1\n";

static double loss(const char *nodes, named_tensors *inputs, named_tensors *state) {
    text_case c;
    run(&c, nodes, inputs, state);
    const ir_tensor *y = interp_find(&c.results, "y"), *weight = named_tensors_find(inputs, "c");
    double sum = 0;
    for (int64_t i = 0; i < tensor_elements(y); i++) sum += tensor_get(y, i) * tensor_get(weight, i);
    text_case_end(&c);
    return sum;
}

/* The gradient against the differences for every element of `of`, of those that are not 0 when it is sparse. */
static void check_differences(const char *nodes, named_tensors *inputs, named_tensors *state, ir_tensor *of, const char *name,
                              bool sparse) {
    text_case c;
    run(&c, nodes, inputs, state);
    const ir_tensor *gradient = interp_find(&c.results, name);
    int64_t found = 0;
    for (int64_t i = 0; i < tensor_elements(of); i++) {
        double value = tensor_get(of, i);
        if (sparse && value == 0) continue;
        tensor_set(of, i, value + 1);
        double up = loss(nodes, inputs, state);
        tensor_set(of, i, value - 1);
        double down = loss(nodes, inputs, state);
        tensor_set(of, i, value);
        assert_near(name, 0, i, tensor_get(gradient, found++), (up - down) / 2, 1e-12);
    }
    assert_int_equal(found, tensor_elements(gradient));
    text_case_end(&c);
}

static void gradients_of_linear_are_its_differences(void **unused) {
    (void)unused;
    for (int sparse = 0; sparse < 2; sparse++) {
        const char *nodes = sparse ? sparse_gradient_nodes : gradient_nodes;
        named_tensors inputs = {0}, state = {0};
        ir_tensor *x = add_random(&inputs, "x", IR_F64, 18, 7), *w = add_random(&state, "w", IR_F64, 5, 7),
                  *b = add_random(&state, "b", IR_F64, 5, 0);
        add_random(&inputs, "c", IR_F64, 18, 5);
        for (int64_t i = 0; i < 35 && sparse; i++)
            if (i % 3 || i / 7 == 2) tensor_set(w, i, 0);                        /* row 2 has no weight at all */
        for (int64_t i = 0; i < 35; i++) tensor_set(w, i, 2 * tensor_get(w, i)); /* differences by 1 leave the pattern alone */
        check_differences(nodes, &inputs, &state, x, "dx", false);
        check_differences(nodes, &inputs, &state, w, "dw", sparse);
        check_differences(nodes, &inputs, &state, b, "db", false);
        named_tensors_free(&inputs);
        named_tensors_free(&state);
    }
}

/* ---- layer norm ---- */

static void layer_norm_gives_mean_0_and_variance_1(void **unused) {
    (void)unused;
    named_tensors inputs = {0};
    add_random(&inputs, "x", IR_F64, 7, 19);
    text_case c;
    run(&c,
        "%1 = input {name = \"x\"} : f64[T,19]\n"
        "%2 = constant {value = [1]} : f64[19]\n"
        "%3 = constant {value = [0]} : f64[19]\n"
        "%4:3 = layer_norm %1, %2, %3 {eps = 0} : f64[T,19], f64[T], f64[T]\n"
        "%5 = constant {value = [8]} : f64[]\n"
        "%6 = mul %1, %5 : f64[T,19]\n"
        "%7 = add %6, %5 : f64[T,19]\n"
        "%8:3 = layer_norm %7, %2, %3 {eps = 0} : f64[T,19], f64[T], f64[T]\n"
        "return \"y\" = %4, \"of scaled and shifted\" = %8\n",
        &inputs, NULL);
    const ir_tensor *y = interp_find(&c.results, "y");
    for (int64_t r = 0; r < 7; r++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < 19; i++) {
            mean += at(y, r, i) / 19;
            square += at(y, r, i) * at(y, r, i) / 19;
        }
        assert_near("mean", r, 0, mean, 0, 1e-14);
        assert_near("variance", r, 0, square, 1, 1e-14);
    }
    assert_tensors_close("scaled and shifted", interp_find(&c.results, "of scaled and shifted"), y, 1e-13, 0);
    text_case_end(&c);
    named_tensors_free(&inputs);
}

/* ---- attention ---- */

#define TOKENS 11
#define WIDTH 6
#define HEADS 3
#define DEPTH 2
#define SCALE 0.7

static const int64_t bounds[4] = {0, 5, 6, TOKENS};
static const int64_t keeps[TOKENS] = {1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1};

static const char attention_nodes[] = "%1 = input {name = \"q\"} : f64[T,6]\n"
                                      "%2 = input {name = \"k\"} : f64[T,6]\n"
                                      "%3 = input {name = \"v\"} : f64[T,6]\n"
                                      "%4 = input {name = \"offsets\"} : i32[B+1]\n"
                                      "%5 = input {name = \"keep\"} : i64[T]\n"
                                      "%6:2 = attention %1, %2, %3, %4, %5 {heads = 3, scale = 0.7} : f64[T,6], f64[T,3]\n"
                                      "return \"y\" = %6, \"lse\" = %6#1\n";

static void add_batch(named_tensors *inputs) {
    add_random(inputs, "q", IR_F64, TOKENS, WIDTH);
    add_random(inputs, "k", IR_F64, TOKENS, WIDTH);
    add_random(inputs, "v", IR_F64, TOKENS, WIDTH);
    add_integers(inputs, "offsets", IR_I32, 4, bounds);
    add_integers(inputs, "keep", IR_I64, TOKENS, keeps);
}

static double score(const named_tensors *in, int64_t i, int64_t j, int64_t head) {
    double dot = 0;
    for (int64_t d = head * DEPTH; d < (head + 1) * DEPTH; d++)
        dot += at(named_tensors_find(in, "q"), i, d) * at(named_tensors_find(in, "k"), j, d);
    return dot * SCALE;
}

static void attention_equals_plain_loops(void **unused) {
    (void)unused;
    named_tensors inputs = {0};
    add_batch(&inputs);
    text_case c;
    run(&c, attention_nodes, &inputs, NULL);
    for (int64_t i = 0; i < TOKENS; i++) {
        int64_t b = i < 5 ? 0 : i < 6 ? 1 : 2;
        for (int64_t d = 0; d < WIDTH; d++) {
            double total = 0, sum = 0;
            for (int64_t j = bounds[b]; j < bounds[b + 1]; j++) {
                double p = keeps[j] ? exp(score(&inputs, i, j, d / DEPTH)) : 0;
                total += p;
                sum += p * at(named_tensors_find(&inputs, "v"), j, d);
            }
            assert_near("context", i, d, at(interp_find(&c.results, "y"), i, d), sum / total, 1e-14);
            assert_near("log-sum-exp", i, d / DEPTH, at(interp_find(&c.results, "lse"), i, d / DEPTH), log(total), 1e-14);
        }
    }
    text_case_end(&c);
    named_tensors_free(&inputs);
}

static void a_sequence_does_not_depend_on_its_batch(void **unused) {
    (void)unused;
    named_tensors inputs = {0};
    text_case all;
    add_batch(&inputs);
    run(&all, attention_nodes, &inputs, NULL);
    for (int b = 0; b < 3; b++) {
        named_tensors one = {0}, wanted = {0};
        int64_t first = bounds[b], n = bounds[b + 1] - first, ends[2] = {0, n};
        const char *const names[] = {"q", "k", "v"};
        for (int i = 0; i < 3; i++) add_rows(&one, names[i], named_tensors_find(&inputs, names[i]), first, n);
        add_integers(&one, "offsets", IR_I32, 2, ends);
        add_integers(&one, "keep", IR_I64, n, keeps + first);
        add_rows(&wanted, "y", interp_find(&all.results, "y"), first, n);
        add_rows(&wanted, "lse", interp_find(&all.results, "lse"), first, n);
        text_case c;
        run(&c, attention_nodes, &one, NULL);
        assert_tensors_close("context", interp_find(&c.results, "y"), named_tensors_find(&wanted, "y"), 0, 0);
        assert_tensors_close("log-sum-exp", interp_find(&c.results, "lse"), named_tensors_find(&wanted, "lse"), 0, 0);
        text_case_end(&c);
        named_tensors_free(&one);
        named_tensors_free(&wanted);
    }
    text_case_end(&all);
    named_tensors_free(&inputs);
}

/* Adding one vector to every key shifts a row's scores by one number: the context stays, log-sum-exp moves by it. */
static void softmax_does_not_see_a_shift(void **unused) {
    (void)unused;
    named_tensors inputs = {0}, shifted = {0};
    text_case a, b;
    add_batch(&inputs);
    add_batch(&shifted);
    ir_tensor *k = named_tensors_find(&shifted, "k");
    for (int64_t i = 0; i < TOKENS * WIDTH; i++) tensor_set(k, i, tensor_get(k, i) + 300);
    run(&a, attention_nodes, &inputs, NULL);
    run(&b, attention_nodes, &shifted, NULL);
    assert_tensors_close("context", interp_find(&b.results, "y"), interp_find(&a.results, "y"), 1e-11, 0);
    for (int64_t i = 0; i < TOKENS; i++) {
        for (int64_t h = 0; h < HEADS; h++) {
            double shift = 0;
            for (int64_t d = h * DEPTH; d < (h + 1) * DEPTH; d++) shift += at(named_tensors_find(&inputs, "q"), i, d) * 300 * SCALE;
            double before = at(interp_find(&a.results, "lse"), i, h);
            assert_near("log-sum-exp", i, h, at(interp_find(&b.results, "lse"), i, h), before + shift, 1e-10);
        }
    }
    text_case_end(&a);
    text_case_end(&b);
    named_tensors_free(&inputs);
    named_tensors_free(&shifted);
}

/* The weights add up to 1: equal values come out as they are. */
static void attention_to_equal_values_gives_the_value(void **unused) {
    (void)unused;
    named_tensors inputs = {0};
    text_case c;
    add_batch(&inputs);
    ir_tensor *v = named_tensors_find(&inputs, "v");
    for (int64_t i = 0; i < TOKENS * WIDTH; i++) tensor_set(v, i, (double)(i % WIDTH));
    run(&c, attention_nodes, &inputs, NULL);
    assert_tensors_close("context", interp_find(&c.results, "y"), v, 1e-14, 0);
    text_case_end(&c);
    named_tensors_free(&inputs);
}

/* ---- losses ---- */

static double loss_of(named_tensors *inputs, int64_t label) {
    text_case c;
    for (int64_t r = 0; r < 4; r++) tensor_set_int(named_tensors_find(inputs, "labels"), r, r == 2 ? label : -100);
    run(&c,
        "%1 = input {name = \"x\"} : f64[T,5]\n"
        "%2 = input {name = \"labels\"} : i64[T]\n"
        "%3 = cross_entropy %1, %2 : f64[]\n"
        "return \"y\" = %3\n",
        inputs, NULL);
    double loss = tensor_get(interp_find(&c.results, "y"), 0);
    text_case_end(&c);
    return loss;
}

static void cross_entropy_is_of_a_distribution(void **unused) {
    (void)unused;
    named_tensors inputs = {0};
    const int64_t n = 4;
    double total = 0, loss[5];
    add_random(&inputs, "x", IR_F64, 4, 5);
    named_tensors_add(&inputs, "labels", IR_I64, 1, &n);
    ir_tensor *x = named_tensors_find(&inputs, "x");
    for (int64_t label = 0; label < 5; label++) {
        loss[label] = loss_of(&inputs, label);
        total += exp(-loss[label]);
    }
    assert_near("sum of probabilities", 0, 0, total, 1, 1e-14);
    for (int64_t i = 0; i < 20; i++) tensor_set(x, i, tensor_get(x, i) + 1000);
    for (int64_t label = 0; label < 5; label++) assert_near("shifted", 2, label, loss_of(&inputs, label), loss[label], 1e-12);
    named_tensors_free(&inputs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_equals_plain_loops),
        cmocka_unit_test(a_row_of_linear_does_not_depend_on_its_neighbours),
        cmocka_unit_test(sparse_linear_equals_dense),
        cmocka_unit_test(gradients_of_linear_are_its_differences),
        cmocka_unit_test(layer_norm_gives_mean_0_and_variance_1),
        cmocka_unit_test(attention_equals_plain_loops),
        cmocka_unit_test(a_sequence_does_not_depend_on_its_batch),
        cmocka_unit_test(softmax_does_not_see_a_shift),
        cmocka_unit_test(attention_to_equal_values_gives_the_value),
        cmocka_unit_test(cross_entropy_is_of_a_distribution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
