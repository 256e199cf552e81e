/*
 * Lock: which weights become patterns, that the graph means the same before and after, and that steps of training leave every zero a zero
 * (pitfall 1: zeros drift in fine-tuning).
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
#include "passes/pass.h"
#include "tests/unit/text_case.h"

static const int64_t square[] = {6, 6}, rows[] = {5, 6}, width[] = {6}, table[] = {9, 6};

/* sparse: 2 of 3 are zero; few: one zero; full: none; table: all but one row, and read by an embedding too. */
static const char nodes[] = "%1 = input {name = \"x\"} : f32[T,6]\n"
                            "%2 = state {name = \"sparse\"} : f32[6,6]\n"
                            "%3 = state {name = \"bias\"} : f32[6]\n"
                            "%4 = linear %1, %2, %3 : f32[T,6]\n"
                            "%5 = state {name = \"few\"} : f32[6,6]\n"
                            "%6 = linear %4, %5 : f32[T,6]\n"
                            "%7 = state {name = \"full\"} : f32[6,6]\n"
                            "%8 = linear %6, %7 : f32[T,6]\n"
                            "%9 = state {name = \"table\"} : f32[9,6]\n"
                            "%10 = input {name = \"ids\"} : i64[T]\n"
                            "%11 = embedding %9, %10 : f32[T,6]\n"
                            "%12 = add %8, %11 : f32[T,6]\n"
                            "%13 = state {name = \"table\"} : f32[9,6]\n"
                            "%14 = linear %12, %13 : f32[T,9]\n"
                            "%15 = cross_entropy %14, %10 : f32[]\n"
                            "return \"loss\" = %15\n";

static ir_tensor *add_random(named_tensors *to, const char *name, uint32_t rank, const int64_t *dims) {
    const rng_key key = rng_key_make(11, name);
    ir_tensor *t = named_tensors_add(to, name, IR_F32, rank, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, 0.1 + rng_uniform(key, (uint64_t)i));
    return t;
}

static void make_tensors(named_tensors *inputs, named_tensors *state) {
    static const double ids[] = {0, 8, 3, 3, 1}, one[] = {1};
    *inputs = (named_tensors){.what = "input"};
    *state = (named_tensors){.what = "state"};
    add_random(inputs, "x", 2, rows);
    named_tensors_add_doubles(inputs, "ids", IR_I64, 1, &rows[0], ids);
    tensor_set(named_tensors_add(inputs, "learning_rate", IR_F32, 0, NULL), 0, 0.1);
    named_tensors_add_doubles(inputs, "step", IR_I64, 0, NULL, one);
    ir_tensor *sparse = add_random(state, "sparse", 2, square), *few, *words;
    for (int64_t i = 0; i < 36; i++)
        if (i % 3) tensor_set(sparse, i, 0);
    add_random(state, "bias", 1, width);
    few = add_random(state, "few", 2, square);
    tensor_set(few, 7, -0.0);
    add_random(state, "full", 2, square);
    words = add_random(state, "table", 2, table);
    for (int64_t i = 6; i < 54; i++) tensor_set(words, i, 0);
}

static bool not_few(void *user, const char *weight) {
    ++*(size_t *)user;
    return strcmp(weight, "few") != 0;
}

/* The module after `pipeline`, in place of the one before. */
static void run_passes(text_case *c, const char *pipeline, const pass_environment *environment) {
    arena memory = ARENA_INIT;
    pass_pipeline p;
    ir_module *out = NULL;
    assert_int_equal(pipeline_parse(pipeline, &memory, &c->sink, &p), POFAC_OK);
    if (pipeline_run(&p, c->module, environment, NULL, &c->sink, &out) != POFAC_OK) fail_msg("%s", strbuf_str(&c->messages));
    c->module = out;
    c->graph = out->graphs.data[0];
    arena_free(&memory);
}

/* How many nodes of the op there are whose attribute `name` is this (NULL: any). */
static size_t count(const ir_graph *g, ir_op op, const char *name) {
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *node = &g->nodes.data[i];
        n += node->op == op && (!name || strcmp(node_string(node, "name"), name) == 0); /* ops without the attribute: NULL */
    }
    return n;
}

static void weights_with_zeros_become_patterns(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    make_tensors(&inputs, &state);
    const tensor_source source = named_tensors_source(&state);
    size_t asked = 0;
    const pass_environment all = {.state = &source}, chosen = {.state = &source, .locks = not_few, .locks_user = &asked};
    text_case before, after, without_few;
    text_case_begin(&before, nodes);
    assert_int_equal(text_case_run(&before, &inputs, &state), POFAC_OK);

    text_case_begin(&after, nodes);
    run_passes(&after, "lock", &all);
    assert_int_equal(count(after.graph, OP_pattern, NULL), 2);
    assert_int_equal(count(after.graph, OP_pattern, "sparse"), 1);
    assert_int_equal(count(after.graph, OP_pattern, "few"), 1);
    assert_int_equal(count(after.graph, OP_sparse_to_dense, NULL), 1); /* few: a sparse kernel is not worth it */
    assert_int_equal(text_case_run(&after, &inputs, &state), POFAC_OK);
    assert_tensors_close("loss", interp_find(&after.results, "loss"), interp_find(&before.results, "loss"), 0, 0);

    text_case_begin(&without_few, nodes);
    run_passes(&without_few, "lock{min_sparsity=70}", &chosen);
    assert_int_equal(asked, 3); /* table is tied, and not asked for */
    assert_int_equal(count(without_few.graph, OP_pattern, NULL), 1);
    assert_int_equal(count(without_few.graph, OP_sparse_to_dense, NULL), 1); /* sparse has 67 percent */
    text_case_end(&before);
    text_case_end(&after);
    text_case_end(&without_few);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

/* The weight that a parameter or a moment belongs to. */
static const ir_tensor *weight_of(const named_tensors *state, const char *name) {
    char weight[32];
    snprintf(weight, sizeof weight, "%.*s", (int)strcspn(name, "."), name);
    return named_tensors_find(state, weight);
}

/* The next state, dense, from the outputs of a step. What stands beside the pattern stays as it was. */
static void put_back(named_tensors *state, const interp_results *r) {
    for (size_t i = 0; i < state->entries.size; i++) {
        ir_tensor *t = &state->entries.data[i].tensor;
        const ir_tensor *next = interp_find(r, state->entries.data[i].name),
                        *weight = weight_of(state, state->entries.data[i].name);
        if (!next) continue;
        int64_t at = 0;
        for (int64_t k = 0; k < tensor_elements(t); k++) {
            if (next->rank != t->rank && tensor_get(weight, k) == 0) continue; /* non-zeros alone */
            tensor_set(t, k, tensor_get(next, at++));
        }
        assert_int_equal(at, tensor_elements(next));
    }
}

/* Moments at the beginning are those of a training that was dense: large, and not zero where the weight is, so that any step that used them there would show. */
static void zeros_stay_zeros(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    make_tensors(&inputs, &state);
    static const char *const names[] = {"sparse", "few", "full"}, *const endings[] = {".exp_avg", ".exp_avg_sq"};
    for (size_t e = 0; e < 2; e++) {
        for (size_t i = 0; i < 5; i++) {
            char name[32];
            snprintf(name, sizeof name, "%s%s", i < 3 ? names[i] : i == 3 ? "bias" : "table", endings[e]);
            ir_tensor *t = add_random(&state, name, i == 3 ? 1 : 2, i < 3 ? square : i == 3 ? width : table);
            size_t beside = 0;
            for (int64_t k = 0; k < tensor_elements(t); k++)
                beside += i < 2 && tensor_get(weight_of(&state, name), k) == 0 && tensor_get(t, k) != 0;
            assert_int_equal(beside, i == 0 ? 24 : i == 1 ? 1 : 0);
        }
    }
    double first = 0, last = 0;
    for (int step = 1; step <= 8; step++) {
        const tensor_source source = named_tensors_source(&state);
        const pass_environment environment = {.state = &source};
        text_case c;
        text_case_begin(&c, nodes);
        run_passes(&c, "lock,autodiff,optimizer{weight_decay=0.1}", &environment);
        if (text_case_run(&c, &inputs, &state) != POFAC_OK) fail_msg("%s", strbuf_str(&c.messages));
        last = tensor_get(interp_find(&c.results, "loss"), 0);
        if (step == 1) first = last;
        assert_int_equal(tensor_elements(interp_find(&c.results, "sparse")), 12);
        assert_int_equal(tensor_elements(interp_find(&c.results, "sparse.exp_avg")), 12);
        assert_int_equal(tensor_elements(interp_find(&c.results, "few")), 35);
        put_back(&state, &c.results);
        text_case_end(&c);
        const ir_tensor *sparse = named_tensors_find(&state, "sparse");
        for (int64_t i = 0; i < 36; i++) assert_int_equal(tensor_get(sparse, i) == 0, i % 3 != 0);
        assert_true(tensor_get(named_tensors_find(&state, "few"), 7) == 0);
    }
    assert_true(last < first);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_with_zeros_become_patterns),
        cmocka_unit_test(zeros_stay_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
