/* The pass sparsify with weights and costs: what it asks, what it makes of the answers, and that results stay the same bits. */
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
#include "tests/unit/fail_alloc.h"
#include "tests/unit/graph_generator.h"
#include "tests/unit/passes/pass_case.h"

/* ---- running ---- */

/* What `pipeline` makes of a copy of `m` in an environment; messages go to `messages`. */
static pofac_status try_in(const pass_environment *environment, const ir_module *m, const char *pipeline, strbuf *messages,
                           ir_module **out) {
    arena memory = ARENA_INIT;
    diag_sink sink = diag_sink_to_strbuf(messages);
    pass_pipeline p;
    *out = NULL;
    pofac_status status = pipeline_parse(pipeline, &memory, &sink, &p);
    if (status == POFAC_OK) status = pipeline_run(&p, module_copy(m), environment, NULL, &sink, out);
    arena_free(&memory);
    if (*out) (*out)->sink = NULL;
    return status;
}

static ir_module *run_in(const pass_environment *environment, const ir_module *m, const char *pipeline) {
    strbuf messages = STRBUF_INIT;
    ir_module *out;
    if (try_in(environment, m, pipeline, &messages, &out) != POFAC_OK) fail_msg("%s: %s", pipeline, strbuf_str(&messages));
    strbuf_free(&messages);
    return out;
}

/* One module, its weights, and costs that a test scripts. */
typedef struct sparsify_case {
    ir_context *context;
    ir_module *module;
    named_tensors state;
    tensor_source source;
    cost_source costs;
    pass_environment environment;
    /* of the costs: what was asked, "w 4x8 rows 64 nnz 16; ", and what they answer: "NAME=VARIANT" with '*' before a sparse one */
    strbuf asked;
    const char *answers[8];
    pofac_status status;
} sparsify_case;

static pofac_status answer(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out) {
    sparsify_case *c = user;
    if (c->status != POFAC_OK) return diag_error(sink, c->status, NULL, "the clock stands still");
    for (size_t i = 0; i < n; i++) {
        const linear_problem *p = &problems[i];
        strbuf_printf(&c->asked, "%s %lldx%lld rows %lld nnz %lld%s; ", p->name, (long long)p->N, (long long)p->K,
                      (long long)p->n_rows, (long long)p->nnz, p->may_be_sparse ? "" : " dense");
        for (size_t a = 0; a < 8 && c->answers[a]; a++) {
            const char *text = c->answers[a];
            size_t name = strlen(p->name);
            bool sparse = text[0] == '*';
            text += sparse;
            if (strncmp(text, p->name, name) != 0 || text[name] != '=') continue;
            out[i].sparse = sparse;
            snprintf(out[i].variant, sizeof out[i].variant, "%s", text + name + 1);
        }
    }
    return POFAC_OK;
}

static void begin(sparsify_case *c, const char *text) {
    *c = (sparsify_case){.state.what = "state", .context = context_create(), .asked = STRBUF_INIT};
    c->module = module_from_text(c->context, "in.pir", text);
    c->source = named_tensors_source(&c->state);
    c->costs = (cost_source){answer, c};
    c->environment = (pass_environment){.state = &c->source};
}

static void end(sparsify_case *c) {
    named_tensors_free(&c->state);
    strbuf_free(&c->asked);
    module_destroy(c->module);
    context_destroy(c->context);
}

/* A weight [N,K] of which the first `zeros` elements are zero, of either sign in turns. */
static void add_weight(sparsify_case *c, const char *name, ir_dtype dtype, int64_t N, int64_t K, int64_t zeros) {
    const int64_t dims[2] = {N, K};
    ir_tensor *t = named_tensors_add(&c->state, name, dtype, 2, dims);
    for (int64_t i = 0; i < N * K; i++) tensor_set(t, i, i >= zeros ? 0.5 : i % 2 ? -0.0 : 0.0);
}

static void expect(const sparsify_case *c, const char *pipeline, const char *wanted) {
    ir_module *found = run_in(&c->environment, c->module, pipeline), *want = module_from_text(c->context, "wanted.pir", wanted);
    assert_same_module(pipeline, found, want);
    module_destroy(found);
    module_destroy(want);
}

/* ---- tests ---- */

#define HEAD "graph @g (T <= 64, B <= 8) {\n  %1 = input {name = \"x\"} : f32[T,8]\n"

static const char one_linear[] = HEAD "  %2 = state {name = \"w\"} : f32[4,8]\n"
                                      "  %3 = linear %1, %2 : f32[T,4]\n"
                                      "  return \"y\" = %3\n}\n";
static const char one_sparse[] = HEAD "  %2 = pattern {name = \"w\"} : pattern[4,8]\n"
                                      "  %3 = state {name = \"w\"} : f32[nnz(%2)]\n"
                                      "  %4 = linear %1, %3, _, %2 : f32[T,4]\n"
                                      "  return \"y\" = %4\n}\n";

/* Half of the elements, exactly, and of every format. */
static void the_rule_wants_half_zeros(void **state) {
    (void)state;
    static const ir_dtype dtypes[] = {IR_F32, IR_F16, IR_BF16, IR_F64};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        for (int64_t zeros = 0; zeros <= 32; zeros++) {
            sparsify_case c;
            begin(&c, one_linear);
            add_weight(&c, "w", dtypes[i], 4, 8, zeros);
            expect(&c, "sparsify", zeros >= 16 ? one_sparse : one_linear);
            end(&c);
        }
    }
}

static const char one_int8[] = HEAD "  %2 = state {name = \"w\"} : f32[4,8]\n"
                                    "  %3 = state {name = \"r\"} : f32[2]\n"
                                    "  %4 = quantize %1, %3 : u8[T,8]\n"
                                    "  %5 = linear_int8 %4, %3, %2, %3, _, %3 : f32[T,4]\n"
                                    "  return \"y\" = %5\n}\n";
#define INT8_SPARSE(variant)                                                                                                       \
    HEAD "  %2 = pattern {name = \"w\"} : pattern[4,8]\n"                                                                          \
         "  %3 = state {name = \"w\"} : f32[nnz(%2)]\n"                                                                            \
         "  %4 = state {name = \"r\"} : f32[2]\n"                                                                                  \
         "  %5 = quantize %1, %4 : u8[T,8]\n"                                                                                      \
         "  %6 = linear_int8 %5, %4, %3, %4, _, %4, %2" variant " : f32[T,4]\n"                                                    \
         "  return \"y\" = %6\n}\n"

/* Linears in integers want more zeros, and get variants in the same way; of a weight that linears in floats read too, those choose that come first. */
static void linears_in_integers(void **state) {
    (void)state;
    sparsify_case c;
    for (int64_t zeros = 24; zeros <= 28; zeros++) {
        begin(&c, one_int8);
        add_weight(&c, "w", IR_F32, 4, 8, 32);
        for (int64_t i = 0; i < 32 - zeros; i++)
            tensor_set(named_tensors_find(&c.state, "w"), 5 * i % 32, 1); /* no two make a block */
        expect(&c, "sparsify", 100 * zeros >= 80 * 32 ? INT8_SPARSE("") : one_int8);
        end(&c);
    }
    begin(&c, one_int8);
    add_weight(&c, "w", IR_F32, 4, 8, 20);
    c.environment.costs = &c.costs;
    c.answers[0] = "*w=sparse_int8_linear tile=16";
    expect(&c, "sparsify", INT8_SPARSE(" {variant = \"sparse_int8_linear tile=16\"}"));
    assert_string_equal(strbuf_str(&c.asked), "w 4x8 rows 64 nnz 12; ");
    end(&c);
    begin(&c, HEAD "  %2 = state {name = \"w\"} : f32[8,8]\n"
                   "  %3 = linear %1, %2 : f32[T,8]\n"
                   "  %4 = state {name = \"r\"} : f32[2]\n"
                   "  %5 = quantize %3, %4 : u8[T,8]\n"
                   "  %6 = linear_int8 %5, %4, %2, %4 : f32[T,8]\n"
                   "  return \"y\" = %6\n}\n");
    add_weight(&c, "w", IR_F32, 8, 8, 60);
    expect(&c, "sparsify",
           HEAD "  %2 = state {name = \"w\"} : f32[8,8]\n"
                "  %3 = pattern {name = \"w\"} : pattern[8,8]\n"
                "  %4 = state {name = \"w\"} : f32[nnz(%3)]\n"
                "  %5 = linear %1, %4, _, %3 : f32[T,8]\n"
                "  %6 = state {name = \"r\"} : f32[2]\n"
                "  %7 = quantize %5, %6 : u8[T,8]\n"
                "  %8 = linear_int8 %7, %6, %2, %6 : f32[T,8]\n"
                "  return \"y\" = %8\n}\n");
    end(&c);
}

/* Zeros in blocks of four columns leave whole groups out, so that half of them is enough. */
static void blocks_of_four_want_half_zeros(void **state) {
    (void)state;
    linear_problem p = {.N = 100, .K = 100, .nnz = 5000, .may_be_sparse = true, .integers = true};
    assert_false(cost_by_rule(&p).sparse);
    p.structure = (zero_structure){.block_rows = 4, .block_columns = 1, .fill = 1000};
    assert_false(cost_by_rule(&p).sparse);
    p.structure = (zero_structure){.block_rows = 1, .block_columns = 4, .fill = 1000};
    assert_true(cost_by_rule(&p).sparse);
    p.nnz++;
    assert_false(cost_by_rule(&p).sparse);
}

static void min_sparsity_bounds_the_rule(void **state) {
    (void)state;
    sparsify_case c;
    begin(&c, one_linear);
    add_weight(&c, "w", IR_F32, 4, 8, 24);
    expect(&c, "sparsify{min_sparsity=75}", one_sparse);
    expect(&c, "sparsify{min_sparsity=76}", one_linear);
    expect(&c, "sparsify,sparsify", one_sparse);
    end(&c);
}

/* No such tensor, another shape, integers; a weight that the graph itself renews. */
static void what_does_not_fit_stays(void **state) {
    (void)state;
    static const char renewed[] = HEAD "  %2 = state {name = \"w\"} : f32[4,8]\n"
                                       "  %3 = linear %1, %2 : f32[T,4]\n"
                                       "  %4 = tanh %2 : f32[4,8]\n"
                                       "  return \"y\" = %3,\n         \"w\" = %4\n}\n";
    sparsify_case c;
    begin(&c, one_linear);
    expect(&c, "sparsify", one_linear);
    add_weight(&c, "w", IR_F32, 8, 4, 32);
    expect(&c, "sparsify", one_linear);
    end(&c);
    begin(&c, one_linear);
    add_weight(&c, "w", IR_I32, 4, 8, 32);
    expect(&c, "sparsify", one_linear);
    end(&c);
    begin(&c, renewed);
    add_weight(&c, "w", IR_F32, 4, 8, 32);
    expect(&c, "sparsify", renewed);
    end(&c);
}

/* Two linears of one weight share its leaves; who reads all of it keeps the dense one. */
static void leaves_are_shared(void **state) {
    (void)state;
    sparsify_case c;
    begin(&c, HEAD "  %2 = input {name = \"ids\"} : i64[T]\n"
                   "  %3 = state {name = \"w\"} : f32[8,8]\n"
                   "  %4 = state {name = \"b\"} : f32[8]\n"
                   "  %5 = linear %1, %3, %4 : f32[T,8]\n"
                   "  %6 = linear %5, %3 : f32[T,8]\n"
                   "  %7 = embedding %3, %2 : f32[T,8]\n"
                   "  %8 = add %6, %7 : f32[T,8]\n"
                   "  return \"y\" = %8\n}\n");
    add_weight(&c, "w", IR_F32, 8, 8, 40);
    expect(&c, "sparsify",
           HEAD "  %2 = input {name = \"ids\"} : i64[T]\n"
                "  %3 = state {name = \"w\"} : f32[8,8]\n"
                "  %4 = pattern {name = \"w\"} : pattern[8,8]\n"
                "  %5 = state {name = \"w\"} : f32[nnz(%4)]\n"
                "  %6 = state {name = \"b\"} : f32[8]\n"
                "  %7 = linear %1, %5, %6, %4 : f32[T,8]\n"
                "  %8 = linear %7, %5, _, %4 : f32[T,8]\n"
                "  %9 = embedding %3, %2 : f32[T,8]\n"
                "  %10 = add %8, %9 : f32[T,8]\n"
                "  return \"y\" = %10\n}\n");
    end(&c);
}

static const char three_linears[] =
    HEAD "  %2 = input {name = \"first\"} : f32[B,8]\n"
         "  %3 = state {name = \"a\"} : f32[4,8]\n"
         "  %4 = state {name = \"b\"} : f32[8,8]\n"
         "  %5 = state {name = \"c\"} : f32[8,8]\n"
         "  %6 = linear %1, %3 : f32[T,4]\n"
         "  %7 = linear %2, %4 : f32[B,8]\n"
         "  %8 = linear %2, %5 : f32[B,8]\n"
         "  %9 = linear %1, %5 : f32[T,8]\n"
         "  return \"p\" = %6,\n         \"q\" = %7,\n         \"r\" = %8,\n         \"s\" = %9\n}\n";

/* Sizes, the rows of the longest product, non-zeros; weights that nobody knows are dense. */
static void costs_are_asked_once_for_all(void **state) {
    (void)state;
    sparsify_case c;
    begin(&c, three_linears);
    c.environment.costs = &c.costs;
    add_weight(&c, "a", IR_F32, 4, 8, 8);
    add_weight(&c, "c", IR_F32, 8, 8, 12);
    expect(&c, "sparsify{rows=48}", three_linears);
    assert_string_equal(strbuf_str(&c.asked), "a 4x8 rows 48 nnz 24; b 8x8 rows 1 nnz 64 dense; c 8x8 rows 48 nnz 52 dense; ");
    strbuf_clear(&c.asked);
    expect(&c, "sparsify{rows=1000,min_sparsity=10}", three_linears);
    assert_string_equal(strbuf_str(&c.asked), "a 4x8 rows 64 nnz 24; b 8x8 rows 1 nnz 64 dense; c 8x8 rows 64 nnz 52; ");
    strbuf_clear(&c.asked);
    c.environment.tokens = 3; /* what the caller knows counts more than the option */
    expect(&c, "sparsify{rows=48}", three_linears);
    assert_string_equal(strbuf_str(&c.asked), "a 4x8 rows 3 nnz 24; b 8x8 rows 1 nnz 64 dense; c 8x8 rows 3 nnz 52 dense; ");
    end(&c);
}

/* Answers are recorded, of dense weights too; nothing is asked a second time. */
static void answers_are_recorded(void **state) {
    (void)state;
    sparsify_case c;
    begin(&c, three_linears);
    c.environment.costs = &c.costs;
    c.answers[0] = "*a=sparse_linear tile=64";
    c.answers[1] = "*b=sparse_linear tile=64"; /* of which no non-zeros are known: not followed */
    c.answers[2] = "c=blas_linear tile=64";
    add_weight(&c, "a", IR_F32, 4, 8, 8);
    add_weight(&c, "c", IR_F32, 8, 8, 64);
    static const char wanted[] = HEAD "  %2 = input {name = \"first\"} : f32[B,8]\n"
                                      "  %3 = pattern {name = \"a\"} : pattern[4,8]\n"
                                      "  %4 = state {name = \"a\"} : f32[nnz(%3)]\n"
                                      "  %5 = state {name = \"b\"} : f32[8,8]\n"
                                      "  %6 = state {name = \"c\"} : f32[8,8]\n"
                                      "  %7 = linear %1, %4, _, %3 {variant = \"sparse_linear tile=64\"} : f32[T,4]\n"
                                      "  %8 = linear %2, %5 : f32[B,8]\n"
                                      "  %9 = linear %2, %6 {variant = \"blas_linear tile=64\"} : f32[B,8]\n"
                                      "  %10 = linear %1, %6 {variant = \"blas_linear tile=64\"} : f32[T,8]\n"
                                      "  return \"p\" = %7,\n         \"q\" = %8,\n         \"r\" = %9,\n         \"s\" = %10\n}\n";
    expect(&c, "sparsify", wanted);
    strbuf_clear(&c.asked);
    ir_module *once = run_in(&c.environment, c.module, "sparsify"), *twice = run_in(&c.environment, once, "sparsify");
    assert_same_module("sparsify twice", twice, once);
    assert_non_null(strstr(strbuf_str(&c.asked), "b 8x8"));
    module_destroy(once);
    module_destroy(twice);
    end(&c);
}

static void errors_of_costs_end_the_pass(void **state) {
    (void)state;
    sparsify_case c;
    strbuf messages = STRBUF_INIT;
    ir_module *out;
    begin(&c, one_linear);
    c.environment.costs = &c.costs;
    c.status = POFAC_ERR_RUNTIME;
    assert_int_equal(try_in(&c.environment, c.module, "sparsify", &messages, &out), POFAC_ERR_RUNTIME);
    assert_null(out);
    assert_string_equal(strbuf_str(&messages), "error: the clock stands still\n");
    strbuf_free(&messages);
    end(&c);
}

/* ---- generated graphs ---- */

static pofac_status all_sparse(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out) {
    (void)user;
    (void)sink;
    for (size_t i = 0; i < n; i++) out[i] = (linear_choice){.sparse = problems[i].may_be_sparse};
    return POFAC_OK;
}

/* Makes three of four elements of every weight zero, whatever was there. */
static void prune(generated_graph *g, uint64_t seed) {
    const rng_key key = rng_key_make(seed, "zeros");
    uint64_t drawn = 0;
    for (size_t i = 0; i < g->state.entries.size; i++) {
        ir_tensor *t = &g->state.entries.data[i].tensor;
        if (!strstr(g->state.entries.data[i].name, "weight")) continue;
        for (int64_t k = 0; k < tensor_elements(t); k++)
            if (rng_below(key, drawn++, 4) > 0) tensor_set(t, k, 0);
    }
}

static size_t count_sparse(const ir_graph *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.size; i++) n += g->nodes.data[i].op == OP_linear && node_input(&g->nodes.data[i], 3);
    return n;
}

static void results_are_the_same_bits(void **state) {
    (void)state;
    size_t made_sparse = 0;
    for (uint64_t seed = 0; seed < 250; seed++) {
        generated_graph g;
        char what[64];
        graph_generate(seed, NULL, &g);
        prune(&g, seed);
        tensor_source source = named_tensors_source(&g.state);
        const cost_source costs = {all_sparse, NULL};
        const pass_environment by_rule = {.state = &source}, by_cost = {.state = &source, .costs = &costs};
        ir_module *rule = run_in(&by_rule, g.module, "sparsify"), *all = run_in(&by_cost, g.module, "sparsify{min_sparsity=0}");
        snprintf(what, sizeof what, "sparsify, graph %llu", (unsigned long long)seed);
        assert_same_meaning(what, g.module, rule, &g.inputs, &g.state, ZERO_SIGNS_COUNT);
        assert_same_meaning(what, g.module, all, &g.inputs, &g.state, ZERO_SIGNS_COUNT);
        made_sparse += count_sparse(all->graphs.data[0]) - count_sparse(g.graph);
        module_destroy(rule);
        module_destroy(all);
        generated_graph_free(&g);
    }
    if (made_sparse < 100) fail_msg("%zu linears were made sparse, wanted at least 100", made_sparse);
}

/* ---- memory ---- */

static void failing_allocations_are_reported(void **state) {
    (void)state;
    sparsify_case c;
    begin(&c, three_linears);
    c.environment.costs = &c.costs;
    c.answers[0] = "*a=sparse_linear";
    add_weight(&c, "a", IR_F32, 4, 8, 16);
    for (size_t n = 1;; n++) {
        const pass_input in = {.module = c.module, .environment = &c.environment, .pass = "sparsify"};
        ir_module *out;
        strbuf_free(&c.asked);
        fail_alloc_after(n);
        pofac_status status = pass_sparsify(&in, &out);
        bool hit = fail_alloc_stop();
        assert_int_equal(status == POFAC_OK, out != NULL);
        if (!hit) assert_int_equal(status, POFAC_OK);
        module_destroy(out);
        if (!hit) break;
    }
    end(&c);
}

/* ---- what ir/cost.h says of texts ---- */

static void variants_name_their_tile(void **state) {
    (void)state;
    assert_int_equal(cost_variant_tile(""), 0);
    assert_int_equal(cost_variant_tile("linear panel=6"), 0);
    assert_int_equal(cost_variant_tile("linear subtile=16"), 0);
    assert_int_equal(cost_variant_tile("linear tile=16 panel=6"), 16);
    assert_int_equal(cost_variant_tile("linear panel=6  tile=64"), 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_wants_half_zeros),        cmocka_unit_test(linears_in_integers),
        cmocka_unit_test(blocks_of_four_want_half_zeros),   cmocka_unit_test(min_sparsity_bounds_the_rule),
        cmocka_unit_test(what_does_not_fit_stays),          cmocka_unit_test(leaves_are_shared),
        cmocka_unit_test(costs_are_asked_once_for_all),     cmocka_unit_test(answers_are_recorded),
        cmocka_unit_test(errors_of_costs_end_the_pass),     cmocka_unit_test(results_are_the_same_bits),
        cmocka_unit_test(failing_allocations_are_reported), cmocka_unit_test(variants_name_their_tile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
