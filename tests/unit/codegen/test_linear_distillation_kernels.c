/*
 * The steps of linear_kl_divergence and linear_soft_cross_entropy against the interpreter: vocabularies and widths of student and
 * teacher that nothing divides, tokens that fill no tile, or several chunks, or are none, rows that do not count, every choice of
 * results; on every instruction set of the machine, the same bits from 1 and 3 threads. Then the rows that such losses may be
 * computed for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "ir/support/rng.h"
#include "tests/unit/codegen/kernel_case.h"

#define N_OF(list) (sizeof list / sizeof list[0])
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

typedef struct distillation_case {
    int64_t R, V, K;
    int64_t teacher; /* K of the teacher, or likely classes */
    int W;
    double temperature;
    int64_t left_out; /* row r does not count where this divides r + 1; 0: all count */
    bool bias, teacher_bias, scale;
    const char *results; /* names of those that are wanted: l, x, w, b */
} distillation_case;

/* Operands that both ops have; those of `teacher` stand behind %5 and %6, "7" is the next one. */
static void begin(kernel_fixture *f, const distillation_case *s) {
    const long long K = s->K, V = s->V;
    kernel_case_reals(&f->inputs, "x", 2, DIMS(s->R, s->K));
    kernel_case_reals(&f->state, "w", 2, DIMS(s->V, s->K));
    kernel_case_reals(&f->state, "b", 1, &s->V);
    ir_tensor *keep = kernel_case_integers(&f->inputs, "keep", s->R % 2 ? IR_I32 : IR_I64, 1, &s->R, 2);
    for (int64_t r = 0; r < s->R; r++) tensor_set_int(keep, r, s->left_out == 0 || (r + 1) % s->left_out != 0);
    tensor_set(named_tensors_add(&f->inputs, "s", IR_F32, 0, NULL), 0, -0.75);
    strbuf_printf(&f->text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%lld]\n"
                  "  %%2 = state {name = \"w\"} : f32[%lld,%lld]\n"
                  "  %%3 = state {name = \"b\"} : f32[%lld]\n"
                  "  %%4 = input {name = \"keep\"} : %s[T]\n"
                  "  %%5 = input {name = \"s\"} : f32[]\n"
                  "  %%6 = constant {value = [1]} : f32[]\n"
                  "  %%7 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
                  "  %%8 = add %%7, %%6 : f32[T,%lld] tiles<%d>\n",
                  K, V, K, V, dtype_name(keep->dtype), K, s->W, K, s->W);
}

/*
 * Logits are sums of K products below 2 with one rounding each, so exps are relatively as exact as logits are absolutely, and so are
 * differences of logits and the losses of rows, times T^2. What a gradient adds up are R or V of them, times x or the weight, of at
 * most 2.
 */
static void end(kernel_fixture *f, const distillation_case *s, const char *loss, unsigned number) {
    const long long K = s->K, V = s->V;
    int64_t n_results = 0;
    strbuf_printf(&f->text, "  %%%u:4 = %s {temperature = %g} : f32[], f32[T,%lld] tiles<%d>, f32[%lld,%lld], f32[%lld]\n", number,
                  loss, s->temperature, K, s->W, V, K, V);
    strbuf_printf(&f->text, "  %%%u = relayout %%%u#1 : f32[T,%lld]\n  return", number + 1, number, K);
    for (const char *r = s->results; *r; r++) {
        strbuf_printf(&f->text, "%s \"d%c\" = ", r == s->results ? "" : ",", *r);
        if (*r == 'x') strbuf_printf(&f->text, "%%%u", number + 1);
        else strbuf_printf(&f->text, "%%%u#%d", number, *r == 'l' ? 0 : *r == 'w' ? 2 : 3);
        n_results += *r == 'l' ? 1 : *r == 'x' ? s->R * K : *r == 'w' ? V * K : V;
    }
    strbuf_puts(&f->text, "\n}\n");
    const double logit = (double)(s->K + 8) * 4 * 0x1p-24, t = s->temperature > 1 ? s->temperature * s->temperature : 1;
    kernel_case c = {.text = strbuf_str(&f->text),
                     .pipeline = "canonicalize,dce",
                     .kernel = "loss_exps",
                     .inputs = &f->inputs,
                     .state = &f->state,
                     .absolute = 4 * logit * t * (double)s->R + 1e-6,
                     .relative = 4 * logit};
    assert_int_equal(kernel_case_run(&c), n_results);
    strbuf_free(&f->text);
    named_tensors_free(&f->inputs);
    named_tensors_free(&f->state);
}

static void run_teacher(const distillation_case *s) {
    char loss[160];
    kernel_fixture f = kernel_fixture_begin();
    const long long J = s->teacher, V = s->V;
    begin(&f, s);
    kernel_case_reals(&f.inputs, "y", 2, DIMS(s->R, s->teacher));
    kernel_case_reals(&f.state, "v", 2, DIMS(s->V, s->teacher));
    kernel_case_reals(&f.state, "c", 1, &s->V);
    strbuf_printf(&f.text,
                  "  %%9 = input {name = \"y\"} : f32[T,%lld]\n"
                  "  %%10 = relayout %%9 : f32[T,%lld] tiles<%d>\n"
                  "  %%11 = state {frozen = true, name = \"v\"} : f32[%lld,%lld]\n"
                  "  %%12 = state {frozen = true, name = \"c\"} : f32[%lld]\n",
                  J, J, s->W, V, J, V);
    snprintf(loss, sizeof loss, "linear_kl_divergence %%8, %%2, %%10, %%11%s%s%s%s",
             s->bias                                          ? ", %3"
             : s->teacher_bias || s->left_out > 0 || s->scale ? ", _"
                                                              : "",
             s->teacher_bias               ? ", %12"
             : s->left_out > 0 || s->scale ? ", _"
                                           : "",
             s->left_out > 0 ? ", %4"
             : s->scale      ? ", _"
                             : "",
             s->scale ? ", %5" : "");
    end(&f, s, loss, 13);
}

static void run_likely(const distillation_case *s) {
    char loss[160];
    kernel_fixture f = kernel_fixture_begin();
    const long long n = s->teacher;
    begin(&f, s);
    ir_tensor *ids = kernel_case_integers(&f.inputs, "ids", IR_I32, 2, DIMS(s->R, s->teacher), s->V);
    ir_tensor *likely = kernel_case_reals(&f.inputs, "likely", 2, DIMS(s->R, s->teacher));
    for (int64_t i = 0; i < tensor_elements(likely); i++) tensor_set(likely, i, 9 * tensor_get(likely, i));
    tensor_set_int(ids, 0, 0); /* the first and the last class occur */
    tensor_set_int(ids, tensor_elements(ids) - 1, s->V - 1);
    strbuf_printf(&f.text,
                  "  %%9 = input {name = \"ids\"} : i32[T,%lld]\n"
                  "  %%10 = input {name = \"likely\"} : f32[T,%lld]\n",
                  n, n);
    snprintf(loss, sizeof loss, "linear_soft_cross_entropy %%8, %%2, %%9, %%10%s%s%s",
             s->bias                       ? ", %3"
             : s->left_out > 0 || s->scale ? ", _"
                                           : "",
             s->left_out > 0 ? ", %4"
             : s->scale      ? ", _"
                             : "",
             s->scale ? ", %5" : "");
    end(&f, s, loss, 11);
}

static void teachers_of_odd_sizes(void **unused) {
    (void)unused;
    static const distillation_case cases[] = {
        {1, 1, 1, 1, 16, 1, 0, true, true, true, "lxwb"},
        {16, 13, 20, 3, 4, 0.5, 3, false, false, true, "lxwb"},
        {65, 97, 33, 33, 64, 3, 7, false, true, false, "lxwb"},
        {300, 301, 24, 16, 32, 2, 6, true, true, true, "lxwb"},
    };
    for (size_t i = 0; i < N_OF(cases); i++) run_teacher(&cases[i]);
}

static void likely_classes_of_odd_sizes(void **unused) {
    (void)unused;
    static const distillation_case cases[] = {
        {7, 5, 2, 3, 8, 2, 0, false, false, false, "lxwb"},
        {16, 13, 20, 13, 4, 0.5, 3, false, false, true, "lxwb"},
        {65, 97, 33, 40, 64, 3, 7, false, false, true, "lxwb"},
        {300, 301, 24, 33, 32, 2, 6, true, false, true, "lxwb"},
    };
    for (size_t i = 0; i < N_OF(cases); i++) run_likely(&cases[i]);
}

/* Tokens are cut evenly: 321 into two chunks, 641 into three. */
static void several_chunks(void **unused) {
    (void)unused;
    const distillation_case two = {321, 61, 13, 7, 64, 2, 3, true, true, true, "lxwb"},
                            three = {641, 31, 6, 7, 32, 2, 0, true, true, true, "lxwb"};
    run_teacher(&three);
    run_likely(&two);
}

/* A vocabulary so large that few tokens are taken at a time. */
static void a_large_vocabulary(void **unused) {
    (void)unused;
    const distillation_case s = {70, 120000, 3, 2, 32, 2, 9, true, true, true, "lx"};
    run_teacher(&s);
}

/* What nobody reads is not computed. */
static void some_of_the_results(void **unused) {
    (void)unused;
    static const char *const results[] = {"l", "x", "w", "b", "lw", "xb"};
    for (size_t i = 0; i < N_OF(results); i++) {
        const distillation_case s = {37, 75, 20, 10, 32, 2, 4, true, true, true, results[i]};
        i % 2 ? run_teacher(&s) : run_likely(&s);
    }
}

static void nothing_counts(void **unused) {
    (void)unused;
    const distillation_case s = {20, 60, 8, 4, 32, 2, 1, true, true, true, "lxwb"};
    run_teacher(&s);
    run_likely(&s);
}

/* Student and teacher with the same logits: nothing is left but 0. */
static void the_same_logits_give_zero(void **unused) {
    (void)unused;
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_reals(&f.inputs, "x", 2, DIMS(50, 40));
    kernel_case_reals(&f.state, "w", 2, DIMS(200, 40));
    strbuf_puts(&f.text,
                "graph @g (T <= 4096) {\n  %1 = input {name = \"x\"} : f32[T,40]\n  %2 = state {name = \"w\"} : f32[200,40]\n"
                "  %3:4 = linear_kl_divergence %1, %2, %1, %2 {temperature = 2} : f32[], f32[T,40], f32[200,40], f32[200]\n"
                "  return \"loss\" = %3, \"dx\" = %3#1, \"dw\" = %3#2, \"db\" = %3#3\n}\n");
    kernel_case c = {.text = strbuf_str(&f.text),
                     .pipeline = "layout,canonicalize,cse,dce,fuse,plan-memory",
                     .kernel = "loss_gradients",
                     .inputs = &f.inputs,
                     .state = &f.state};
    assert_int_equal(kernel_case_run(&c), 1 + 50 * 40 + 200 * 40 + 200); /* to the bit */
    strbuf_free(&f.text);
    named_tensors_free(&f.inputs);
    named_tensors_free(&f.state);
}

/* Rows with labels and drawn ones, and back, of which there may be none. */
static void drawn_rows(void **unused) {
    (void)unused;
    static const int64_t sizes[] = {1, 7, 16, 303};
    static const double shares[] = {0, 0.3, 0.99};
    static const ir_dtype dtypes[] = {IR_I64, IR_I32, IR_I16};
    for (size_t i = 0; i < N_OF(sizes); i++) {
        for (size_t j = i % 2; j < N_OF(shares); j += 2) {
            kernel_fixture f = kernel_fixture_begin();
            int64_t chosen = 0;
            ir_tensor *labels = kernel_case_integers(&f.inputs, "labels", dtypes[j], 1, &sizes[i], 30000);
            ir_tensor *keys = named_tensors_add(&f.inputs, "keys", IR_I64, 1, &sizes[i]);
            ir_tensor *random = named_tensors_add(&f.inputs, "random", IR_I64, 1, DIMS(2));
            tensor_set_int(random, 0, INT64_C(0x123456789abcdef0));
            tensor_set_int(random, 1, 4000000000);
            for (int64_t r = 0; r < sizes[i]; r++) {
                const uint64_t key = (uint64_t)(1000 + r / 50) << 32 | (uint64_t)(r % 50);
                tensor_set_int(keys, r, (int64_t)key);
                if (r % 7 != 3) tensor_set_int(labels, r, -100);
                chosen += r % 7 == 3 || rng_draws(UINT64_C(0x123456789abcdef0), 4000000000, key, shares[j]);
            }
            kernel_case_reals(&f.inputs, "x", 2, DIMS(sizes[i], 3));
            strbuf_printf(&f.text,
                          "graph @g (M <= 4096, R <= 4096) {\n  %%1 = input {name = \"labels\"} : %s[R]\n"
                          "  %%2 = input {name = \"keys\"} : i64[R]\n  %%3 = input {name = \"random\"} : i64[2]\n"
                          "  %%4 = input {name = \"x\"} : f32[R,3]\n"
                          "  %%5 = sampled_rows %%1, %%2, %%3 {rows = \"M\", share = %g} : i32[M]\n"
                          "  %%6 = gather_rows %%4, %%5 : f32[M,3]\n  %%7 = scatter_rows %%6, %%5, %%1 : f32[R,3]\n"
                          "  return \"a\" = %%5, \"b\" = %%6, \"c\" = %%7\n}\n",
                          dtype_name(dtypes[j]), shares[j]);
            const int64_t compared = kernel_fixture_run(&f, j == 1 ? "scatter_rows" : "sampled_rows", 0, 0);
            assert_int_equal(compared, chosen * 4 + sizes[i] * 3);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(teachers_of_odd_sizes),
        cmocka_unit_test(likely_classes_of_odd_sizes),
        cmocka_unit_test(several_chunks),
        cmocka_unit_test(a_large_vocabulary),
        cmocka_unit_test(some_of_the_results),
        cmocka_unit_test(nothing_counts),
        cmocka_unit_test(the_same_logits_give_zero),
        cmocka_unit_test(drawn_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
