/* The pass train-products with weights and costs: what it asks, what it makes of the answers, that meaning stays, and that the text of a
 * graph repeats its choices without asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/passes/pass_case.h"

/* What costs answer for a weight: products of training. */
typedef struct answer {
    const char *name;
    bool sparse;
    const char *variants[PRODUCT_INT8];
} answer;

typedef struct products_case {
    ir_context *context;
    ir_module *module;
    named_tensors state, inputs;
    tensor_source source;
    cost_source costs;
    pass_environment environment;
    strbuf asked; /* "w 4x6 rows 9 nnz 16 gradients 6; " */
    const answer *answers;
    pofac_status status;
} products_case;

static pofac_status choose(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out) {
    products_case *c = user;
    if (c->status != POFAC_OK) return diag_error(sink, c->status, NULL, "the clock stands still");
    for (size_t i = 0; i < n; i++) {
        const linear_problem *p = &problems[i];
        strbuf_printf(&c->asked, "%s %lldx%lld rows %lld nnz %lld%s gradients %u; ", p->name, (long long)p->N, (long long)p->K,
                      (long long)p->n_rows, (long long)p->nnz, p->may_be_sparse ? "" : " dense", p->gradients);
        for (const answer *a = c->answers; a && a->name; a++) {
            if (strcmp(a->name, p->name) != 0) continue;
            out[i].sparse = a->sparse;
            for (int k = 0; k < PRODUCT_INT8; k++)
                snprintf(cost_choice_variant(&out[i], (linear_product)k), COST_MAX_VARIANT, "%s", a->variants[k]);
        }
    }
    return POFAC_OK;
}

/* ---- graphs ---- */

#define HEAD "graph @step (T <= 64) {\n  %1 = input {name = \"x\"} : f32[T,6]\n  %2 = input {name = \"dy\"} : f32[T,4]\n"

static const char on_pattern[] =
    HEAD "  %3 = pattern {name = \"w\"} : pattern[4,6]\n"
         "  %4 = state {name = \"w\"} : f32[nnz(%3)]\n"
         "  %5 = linear %1, %4, _, %3 : f32[T,4]\n"
         "  %6 = linear_input_gradient %2, %4, %3 : f32[T,6]\n"
         "  %7:2 = linear_weight_gradient %1, %2, %3 : f32[nnz(%3)], f32[4]\n"
         "  return \"y\" = %5,\n         \"dx\" = %6,\n         \"gradient.w\" = %7,\n         \"db\" = %7#1\n}\n";

static const char made_dense[] =
    HEAD "  %3 = pattern {name = \"w\"} : pattern[4,6]\n"
         "  %4 = state {name = \"w\"} : f32[nnz(%3)]\n"
         "  %5 = sparse_to_dense %4, %3 : f32[4,6]\n"
         "  %6 = linear %1, %5 : f32[T,4]\n"
         "  %7 = linear_input_gradient %2, %5 : f32[T,6]\n"
         "  %8:2 = linear_weight_gradient %1, %2 : f32[4,6], f32[4]\n"
         "  %9 = dense_to_sparse %8, %3 : f32[nnz(%3)]\n"
         "  return \"y\" = %6,\n         \"dx\" = %7,\n         \"gradient.w\" = %9,\n         \"db\" = %8#1\n}\n";

static const char dense[] = HEAD "  %3 = state {name = \"w\"} : f32[4,6]\n"
                                 "  %4 = linear %1, %3 : f32[T,4]\n"
                                 "  %5 = linear_input_gradient %2, %3 : f32[T,6]\n"
                                 "  %6:2 = linear_weight_gradient %1, %2 : f32[4,6], f32[4]\n"
                                 "  return \"y\" = %4,\n         \"dx\" = %5,\n         \"gradient.w\" = %6\n}\n";

/* Weights in 8 bits; one state by two ranges. */
#define IN_8_BITS                                                                                                                  \
    "  %3 = pattern {name = \"w\"} : pattern[4,6]\n"                                                                               \
    "  %4 = state {name = \"w\"} : f32[nnz(%3)]\n"                                                                                 \
    "  %5 = constant {value = [-1, 1]} : f32[2]\n"                                                                                 \
    "  %6 = fake_quantize %4, %5 {scheme = \"symmetric\"} : f32[nnz(%3)]\n"

static const char quantized[] = HEAD IN_8_BITS "  %7 = linear %1, %6, _, %3 : f32[T,4]\n"
                                               "  %8 = linear_input_gradient %2, %6, %3 : f32[T,6]\n"
                                               "  %9:2 = linear_weight_gradient %1, %2, %3 : f32[nnz(%3)], f32[4]\n"
                                               "  return \"y\" = %7,\n         \"dx\" = %8,\n         \"gradient.w\" = %9\n}\n";

static const char quantized_dense[] =
    HEAD IN_8_BITS "  %7 = sparse_to_dense %6, %3 : f32[4,6]\n"
                   "  %8 = linear %1, %7 : f32[T,4]\n"
                   "  %9 = linear_input_gradient %2, %7 : f32[T,6]\n"
                   "  %10:2 = linear_weight_gradient %1, %2 : f32[4,6], f32[4]\n"
                   "  %11 = dense_to_sparse %10, %3 : f32[nnz(%3)]\n"
                   "  return \"y\" = %8,\n         \"dx\" = %9,\n         \"gradient.w\" = %11\n}\n";

static const char quantized_twice[] = HEAD IN_8_BITS "  %7 = fake_quantize %4, %5 : f32[nnz(%3)]\n"
                                                     "  %8 = linear %1, %6, _, %3 : f32[T,4]\n"
                                                     "  %9 = linear_input_gradient %2, %7, %3 : f32[T,6]\n"
                                                     "  return \"y\" = %8,\n         \"dx\" = %9\n}\n";

static void begin(products_case *c, const char *text, int64_t zeros) {
    const int64_t x[] = {9, 6}, dy[] = {9, 4}, w[] = {4, 6};
    *c = (products_case){.state.what = "state", .inputs.what = "input", .context = context_create(), .asked = STRBUF_INIT};
    c->module = module_from_text(c->context, "in.pir", text);
    ir_tensor *tensors[] = {named_tensors_add(&c->inputs, "x", IR_F32, 2, x), named_tensors_add(&c->inputs, "dy", IR_F32, 2, dy),
                            named_tensors_add(&c->state, "w", IR_F32, 2, w)};
    for (size_t t = 0; t < 3; t++)
        for (int64_t i = 0; i < tensor_elements(tensors[t]); i++)
            tensor_set(tensors[t], i, t < 2 || i >= zeros ? (double)(1 + (7 * i + (int64_t)t) % 11) : 0);
    c->source = named_tensors_source(&c->state);
    c->costs = (cost_source){choose, c};
    c->environment = (pass_environment){.state = &c->source};
}

static void end(products_case *c) {
    named_tensors_free(&c->state);
    named_tensors_free(&c->inputs);
    strbuf_free(&c->asked);
    module_destroy(c->module);
    context_destroy(c->context);
}

static pofac_status try_pass(const products_case *c, const ir_module *m, strbuf *messages, ir_module **out) {
    arena memory = ARENA_INIT;
    diag_sink sink = diag_sink_to_strbuf(messages);
    pass_pipeline p;
    *out = NULL;
    pofac_status status = pipeline_parse("train-products", &memory, &sink, &p);
    if (status == POFAC_OK) status = pipeline_run(&p, module_copy(m), &c->environment, NULL, &sink, out);
    arena_free(&memory);
    if (*out) (*out)->sink = NULL;
    return status;
}

static ir_module *run(const products_case *c, const ir_module *m) {
    strbuf messages = STRBUF_INIT;
    ir_module *out;
    if (try_pass(c, m, &messages, &out) != POFAC_OK) fail_msg("%s", strbuf_str(&messages));
    strbuf_free(&messages);
    return out;
}

static void expect(products_case *c, const char *wanted) {
    ir_module *found = run(c, c->module), *want = module_from_text(c->context, "wanted.pir", wanted);
    assert_same_module("train-products", found, want);
    module_destroy(found);
    module_destroy(want);
}

/* ---- tests ---- */

static void weights_in_8_bits(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted;
        int64_t zeros;
    } cases[] = {{quantized, quantized, 12}, {quantized, quantized_dense, 11}, {quantized_twice, quantized_twice, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        products_case c;
        begin(&c, cases[i].text, cases[i].zeros);
        expect(&c, cases[i].wanted);
        end(&c);
    }
}

/* Half of the elements; the number of each form is exact. */
static void the_rule_wants_half_zeros(void **state) {
    (void)state;
    for (int64_t zeros = 0; zeros <= 24; zeros++) {
        products_case c;
        begin(&c, on_pattern, zeros);
        expect(&c, zeros >= 12 ? on_pattern : made_dense);
        end(&c);
    }
}

static const char on_mask[] = HEAD "  %3 = pattern {name = \"w.mask\"} : pattern[4,6]\n"
                                   "  %4 = state {name = \"w\"} : f32[4,6]\n"
                                   "  %5 = dense_to_sparse %4, %3 : f32[nnz(%3)]\n"
                                   "  %6 = linear %1, %5, _, %3 : f32[T,4]\n"
                                   "  %7 = linear_input_gradient %2, %5, %3 : f32[T,6]\n"
                                   "  %8:2 = linear_weight_gradient %1, %2, %3 : f32[nnz(%3)], f32[4]\n"
                                   "  return \"y\" = %6,\n         \"dx\" = %7,\n         \"gradient.w\" = %8\n}\n";

static const char masked_dense[] = HEAD "  %3 = pattern {name = \"w.mask\"} : pattern[4,6]\n"
                                        "  %4 = state {name = \"w\"} : f32[4,6]\n"
                                        "  %5 = dense_to_sparse %4, %3 : f32[nnz(%3)]\n"
                                        "  %6 = sparse_to_dense %5, %3 : f32[4,6]\n"
                                        "  %7 = linear %1, %6 : f32[T,4]\n"
                                        "  %8 = linear_input_gradient %2, %6 : f32[T,6]\n"
                                        "  %9:2 = linear_weight_gradient %1, %2 : f32[4,6], f32[4]\n"
                                        "  %10 = dense_to_sparse %9, %3 : f32[nnz(%3)]\n"
                                        "  return \"y\" = %7,\n         \"dx\" = %8,\n         \"gradient.w\" = %10\n}\n";

/* What counts is the mask's share, not the original's, which has no zeros. */
static void weights_under_masks(void **state) {
    (void)state;
    static const answer rows[] = {{"w", true, {"sparse_linear", "sparse_linear", "sparse_weight_gradient"}}, {0}};
    for (int64_t zeros = 0; zeros <= 24; zeros += 4) {
        const int64_t dims[] = {4, 6};
        products_case c;
        begin(&c, on_mask, 0);
        ir_tensor *mask = named_tensors_add(&c.state, "w.mask", IR_F32, 2, dims);
        for (int64_t i = zeros; i < 24; i++) tensor_set(mask, i, 1);
        expect(&c, zeros >= 12 ? on_mask : masked_dense);
        c.environment.costs = &c.costs;
        c.answers = rows;
        ir_module *found = run(&c, c.module);
        char wanted[80];
        snprintf(wanted, sizeof wanted, "w 4x6 rows 64 nnz %d gradients 6; ", (int)(24 - zeros));
        assert_string_equal(strbuf_str(&c.asked), wanted);
        assert_same_meaning("under a mask", c.module, found, &c.inputs, &c.state, ZERO_SIGNS_DO_NOT_COUNT);
        module_destroy(found);
        end(&c);
    }
}

/* Sums of few whole numbers are exact, in any order and form. */
static void both_forms_mean_the_same(void **state) {
    (void)state;
    products_case c;
    begin(&c, on_pattern, 8);
    ir_module *found = run(&c, c.module);
    assert_same_meaning("made dense", c.module, found, &c.inputs, &c.state, ZERO_SIGNS_DO_NOT_COUNT);
    module_destroy(found);
    end(&c);
}

/* Each product has its variant in the text; read again it stays, and nobody is asked. */
static void choices_are_recorded_and_repeated(void **state) {
    (void)state;
    static const answer rows[] = {
        {"w", true, {"sparse_linear tile=64", "sparse_linear tile=64 rows=3", "sparse_weight_gradient tile=64"}}, {0}};
    static const answer others[] = {{"w", false, {"linear tile=32", "linear tile=32", "weight_gradient tile=32"}}, {0}};
    products_case c;
    begin(&c, on_pattern, 6);
    c.environment.costs = &c.costs;
    c.answers = rows;
    ir_module *first = run(&c, c.module);
    assert_string_equal(strbuf_str(&c.asked), "w 4x6 rows 64 nnz 18 gradients 6; ");
    strbuf text = module_text(first);
    for (int k = 0; k < PRODUCT_INT8; k++)
        if (!strstr(strbuf_str(&text), rows[0].variants[k])) fail_msg("no \"%s\" in %s", rows[0].variants[k], strbuf_str(&text));
    strbuf_clear(&c.asked);
    c.answers = others;
    c.status = POFAC_ERR_RUNTIME; /* whoever asks fails */
    ir_module *read = module_from_text(c.context, "again.pir", strbuf_str(&text)), *again = run(&c, read);
    assert_same_module("again", again, first);
    strbuf_free(&text);
    module_destroy(first);
    module_destroy(read);
    module_destroy(again);
    end(&c);
}

/* A sparse answer for it would be one to another question. */
static void dense_weights_get_variants_alone(void **state) {
    (void)state;
    static const answer rows[] = {{"w", false, {"blas_linear tile=32", "", "weight_gradient tile=32"}}, {0}},
                        wrong[] = {{"w", true, {"sparse_linear", "sparse_linear", "sparse_weight_gradient"}}, {0}};
    products_case c;
    begin(&c, dense, 20);
    c.environment.costs = &c.costs;
    c.answers = rows;
    expect(&c, HEAD "  %3 = state {name = \"w\"} : f32[4,6]\n"
                    "  %4 = linear %1, %3 {variant = \"blas_linear tile=32\"} : f32[T,4]\n"
                    "  %5 = linear_input_gradient %2, %3 : f32[T,6]\n"
                    "  %6:2 = linear_weight_gradient %1, %2 {variant = \"weight_gradient tile=32\"} : f32[4,6], f32[4]\n"
                    "  return \"y\" = %4,\n         \"dx\" = %5,\n         \"gradient.w\" = %6\n}\n");
    assert_string_equal(strbuf_str(&c.asked), "w 4x6 rows 64 nnz 24 dense gradients 6; ");
    c.answers = wrong;
    expect(&c, dense);
    end(&c);
}

/* Without a tensor of that name and shape nothing is known of zeros; a product that has a variant closes its weight. */
static void what_is_not_known_stays(void **state) {
    (void)state;
    static const char pinned[] = HEAD "  %3 = pattern {name = \"w\"} : pattern[4,6]\n"
                                      "  %4 = state {name = \"w\"} : f32[nnz(%3)]\n"
                                      "  %5 = linear %1, %4, _, %3 {variant = \"sparse_linear\"} : f32[T,4]\n"
                                      "  %6 = linear_input_gradient %2, %4, %3 : f32[T,6]\n"
                                      "  return \"y\" = %5,\n         \"dx\" = %6\n}\n";
    products_case c;
    begin(&c, pinned, 0);
    expect(&c, pinned);
    end(&c);
    begin(&c, on_pattern, 0);
    c.environment.state = NULL;
    expect(&c, on_pattern);
    named_tensors_free(&c.state);
    c.state = (named_tensors){.what = "state"};
    const int64_t other[] = {6, 4};
    named_tensors_add(&c.state, "w", IR_F32, 2, other);
    c.source = named_tensors_source(&c.state);
    c.environment.state = &c.source;
    expect(&c, on_pattern);
    end(&c);
}

static void costs_that_fail_are_reported(void **state) {
    (void)state;
    products_case c;
    strbuf messages = STRBUF_INIT;
    ir_module *out;
    begin(&c, on_pattern, 6);
    c.environment.costs = &c.costs;
    c.status = POFAC_ERR_RUNTIME;
    assert_int_equal(try_pass(&c, c.module, &messages, &out), POFAC_ERR_RUNTIME);
    assert_null(out);
    assert_string_equal(strbuf_str(&messages), "error: the clock stands still\n");
    strbuf_free(&messages);
    end(&c);
}

static void memory_may_end(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        products_case c; /* a context that lacked memory once is not used again */
        begin(&c, on_pattern, 6);
        const pass_input in = {.module = c.module, .environment = &c.environment, .pass = "train-products"};
        ir_module *out = NULL;
        fail_alloc_after(n);
        const pofac_status status = pass_train_products(&in, &out);
        const bool hit = fail_alloc_stop();
        assert_int_equal(status == POFAC_OK, out != NULL);
        if (!hit) assert_int_equal(status, POFAC_OK);
        module_destroy(out);
        end(&c);
        if (!hit) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_in_8_bits),
        cmocka_unit_test(the_rule_wants_half_zeros),
        cmocka_unit_test(weights_under_masks),
        cmocka_unit_test(both_forms_mean_the_same),
        cmocka_unit_test(choices_are_recorded_and_repeated),
        cmocka_unit_test(dense_weights_get_variants_alone),
        cmocka_unit_test(what_is_not_known_stays),
        cmocka_unit_test(costs_that_fail_are_reported),
        cmocka_unit_test(memory_may_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
