/*
 * Prune: which weights get masks, that a step of training under them is that of the product original * mask, also for what is pruned - its value decays and
 * follows its moments -, and that no gradient is made dense for it; in one run, and accumulated over two. Straight through the mask, and scores of movement:
 * gradients are those of a dense weight that is 0 where the mask is, and steps are by their formulas.
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

/* %s: how the linear reads the weight "w". table is tied. */
static const char nodes[] = "%%1 = input {name = \"x\"} : f32[T,6]\n"
                            "%%2 = state {name = \"w\"} : f32[6,6]\n"
                            "%%3 = state {name = \"bias\"} : f32[6]\n"
                            "%s"
                            "%%5 = linear %%1, %%4, %%3 : f32[T,6]\n"
                            "%%6 = state {name = \"dense\"} : f32[6,6]\n"
                            "%%7 = linear %%5, %%6 : f32[T,6]\n"
                            "%%8 = state {name = \"table\"} : f32[9,6]\n"
                            "%%9 = input {name = \"ids\"} : i64[T]\n"
                            "%%10 = embedding %%8, %%9 : f32[T,6]\n"
                            "%%11 = add %%7, %%10 : f32[T,6]\n"
                            "%%12 = linear %%11, %%8 : f32[T,9]\n"
                            "%%13 = cross_entropy %%12, %%9 : f32[]\n"
                            "return \"loss\" = %%13\n";
static const char plain[] = "%4 = slice %2 {begin = 0, end = 6} : f32[6,6]\n"; /* takes the place of the reference's mul */
static const char product[] = "%14 = state {frozen = true, name = \"w.mask\"} : f32[6,6]\n%4 = mul %2, %14 : f32[6,6]\n";

static ir_tensor *add_random(named_tensors *to, const char *name, uint32_t rank, const int64_t *dims) {
    const rng_key key = rng_key_make(12, name);
    ir_tensor *t = named_tensors_add(to, name, IR_F32, rank, dims);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, rng_uniform(key, (uint64_t)i) - 0.3);
    return t;
}

static void make_tensors(named_tensors *inputs, named_tensors *state) {
    static const double ids[] = {0, 8, 3, 3, 1};
    static const struct {
        const char *name;
        uint32_t rank;
        const int64_t *dims;
    } parameters[] = {{"w", 2, square}, {"bias", 1, width}, {"dense", 2, square}, {"table", 2, table}};
    *inputs = (named_tensors){.what = "input"};
    *state = (named_tensors){.what = "state"};
    add_random(inputs, "x", 2, rows);
    named_tensors_add_doubles(inputs, "ids", IR_I64, 1, &rows[0], ids);
    tensor_set(named_tensors_add(inputs, "learning_rate", IR_F32, 0, NULL), 0, 0.1);
    tensor_set(named_tensors_add(inputs, "keep", IR_F32, 0, NULL), 0, 0);
    tensor_set_int(named_tensors_add(inputs, "step", IR_I64, 0, NULL), 0, 3);
    for (size_t i = 0; i < 4; i++) {
        char name[32];
        add_random(state, parameters[i].name, parameters[i].rank, parameters[i].dims);
        snprintf(name, sizeof name, "%s.exp_avg", parameters[i].name);
        add_random(state, name, parameters[i].rank, parameters[i].dims);
        snprintf(name, sizeof name, "%s.exp_avg_sq", parameters[i].name);
        ir_tensor *squares = add_random(state, name, parameters[i].rank, parameters[i].dims);
        for (int64_t k = 0; k < tensor_elements(squares); k++) tensor_set(squares, k, 0.5 + tensor_get(squares, k));
    }
    ir_tensor *mask = named_tensors_add(state, "w.mask", IR_F32, 2, square);
    for (int64_t i = 0; i < 36; i++) tensor_set(mask, i, i % 3 == 0 || i == 7);
}

static bool is_w_or_table(void *user, const char *weight) {
    (void)user;
    return strcmp(weight, "w") == 0 || strcmp(weight, "table") == 0;
}

static void begin(text_case *c, const char *reads, const char *pipeline) {
    const pass_environment environment = {.prunes = is_w_or_table};
    char text[2048];
    arena memory = ARENA_INIT;
    pass_pipeline p;
    ir_module *out = NULL;
    snprintf(text, sizeof text, nodes, reads);
    text_case_begin(c, text);
    if (!c->graph) fail_msg("%s", strbuf_str(&c->messages));
    assert_int_equal(pipeline_parse(pipeline, &memory, &c->sink, &p), POFAC_OK);
    if (pipeline_run(&p, c->module, &environment, NULL, &c->sink, &out) != POFAC_OK) fail_msg("%s", strbuf_str(&c->messages));
    c->module = out;
    c->graph = out->graphs.data[0];
    arena_free(&memory);
}

static size_t count(const ir_graph *g, ir_op op) {
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.size; i++) n += g->nodes.data[i].op == op;
    return n;
}

static void run(text_case *c, named_tensors *inputs, named_tensors *state) {
    if (text_case_run(c, inputs, state) != POFAC_OK) fail_msg("%s", strbuf_str(&c->messages));
}

/* Same outputs, but for the order in which a few numbers are added. */
static void compare(const text_case *found, const text_case *wanted) {
    assert_true(wanted->results.n_outputs > 1);
    for (size_t i = 0; i < wanted->results.n_outputs; i++) {
        const char *name = wanted->results.outputs[i].name;
        assert_non_null(interp_find(&found->results, name));
        assert_tensors_close(name, interp_find(&found->results, name), interp_find(&wanted->results, name), 1e-6, 1e-6);
    }
}

static void weights_get_masks(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    text_case pruned, wanted;
    make_tensors(&inputs, &state);
    begin(&wanted, product, "simplify");
    begin(&pruned, plain, "simplify,prune");
    assert_int_equal(count(pruned.graph, OP_pattern), 1); /* the table is tied, and stays */
    assert_int_equal(count(pruned.graph, OP_dense_to_sparse), 1);
    run(&pruned, &inputs, &state);
    run(&wanted, &inputs, &state);
    assert_tensors_close("loss", interp_find(&pruned.results, "loss"), interp_find(&wanted.results, "loss"), 0, 0);
    text_case_end(&pruned);
    text_case_end(&wanted);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

static void a_step_is_that_of_the_product(void **unused) {
    (void)unused;
    static const char *const rules[] = {"optimizer{weight_decay=0.1}",
                                        "optimizer{weight_decay=0.1,optim=adamw_hf,max_grad_norm=0}"};
    for (size_t r = 0; r < 2; r++) {
        named_tensors inputs, state;
        text_case pruned, wanted;
        char text[200];
        make_tensors(&inputs, &state);
        snprintf(text, sizeof text, "simplify,autodiff,%s,dce", rules[r]);
        begin(&wanted, product, text);
        snprintf(text, sizeof text, "simplify,prune,autodiff,%s,dce", rules[r]);
        begin(&pruned, plain, text);
        assert_int_equal(count(pruned.graph, OP_sparse_to_dense), 0);
        run(&pruned, &inputs, &state);
        run(&wanted, &inputs, &state);
        compare(&pruned, &wanted);
        const ir_tensor *w = named_tensors_find(&state, "w"), *next = interp_find(&pruned.results, "w");
        for (int64_t i = 0; i < 36; i++) /* pruned or not, it moves */
            if (tensor_get(next, i) == tensor_get(w, i)) fail_msg("w[%d] stays %g", (int)i, tensor_get(w, i));
        text_case_end(&pruned);
        text_case_end(&wanted);
        named_tensors_free(&inputs);
        named_tensors_free(&state);
    }
}

/* The sums of gradients have the mask's elements alone. */
static void accumulated_gradients(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    text_case pruned, wanted;
    make_tensors(&inputs, &state);
    const int64_t kept = 13;
    named_tensors_add(&state, "gradient.bias", IR_F32, 1, width);
    named_tensors_add(&state, "gradient.dense", IR_F32, 2, square);
    named_tensors_add(&state, "gradient.table", IR_F32, 2, table);
    named_tensors_add(&state, "gradient.w", IR_F32, 1, &kept);
    begin(&wanted, product, "simplify,autodiff,optimizer{weight_decay=0.1},dce");
    begin(&pruned, plain, "simplify,prune,autodiff,optimizer{weight_decay=0.1,accumulate=1},dce");
    run(&pruned, &inputs, &state);
    run(&wanted, &inputs, &state);
    assert_int_equal(tensor_elements(interp_find(&pruned.results, "gradient.w")), kept);
    for (size_t i = 0; i < pruned.results.n_outputs; i++) {
        ir_tensor *sum = named_tensors_find(&state, pruned.results.outputs[i].name);
        if (sum) memcpy(sum->data, pruned.results.outputs[i].tensor.data, tensor_bytes(sum));
    }
    const tensor_source input_source = named_tensors_source(&inputs), state_source = named_tensors_source(&state);
    interp_results update;
    if (interpret_graph(pruned.module->graphs.data[1], &input_source, &state_source, NULL, &pruned.sink, &update) != POFAC_OK)
        fail_msg("%s", strbuf_str(&pruned.messages));
    assert_tensors_close("w", interp_find(&update, "w"), interp_find(&wanted.results, "w"), 1e-6, 1e-6);
    assert_tensors_close("moments", interp_find(&update, "w.exp_avg"), interp_find(&wanted.results, "w.exp_avg"), 1e-6, 1e-6);
    assert_tensors_close("norm", interp_find(&update, "grad_norm"), interp_find(&wanted.results, "grad_norm"), 1e-6, 1e-6);
    interp_results_free(&update);
    text_case_end(&pruned);
    text_case_end(&wanted);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

/* The gradient of all elements of w: that of a dense weight which is 0 where nothing is kept. */
static void gradient_of_all(const named_tensors *inputs, named_tensors *state, ir_tensor *out) {
    text_case wanted;
    ir_tensor original, *w = named_tensors_find(state, "w");
    const ir_tensor *mask = named_tensors_find(state, "w.mask");
    assert_int_equal(tensor_clone(w, &original), POFAC_OK);
    for (int64_t i = 0; i < 36; i++) tensor_set(w, i, tensor_get(w, i) * tensor_get(mask, i));
    begin(&wanted, plain, "simplify,autodiff,dce");
    run(&wanted, (named_tensors *)inputs, state);
    assert_int_equal(tensor_clone(interp_find(&wanted.results, "gradient.w"), out), POFAC_OK);
    text_case_end(&wanted);
    memcpy(w->data, original.data, tensor_bytes(w));
    tensor_free(&original);
}

static void want_number(const char *what, int64_t i, double found, double wanted) {
    if (!(found - wanted <= 1e-6 && wanted - found <= 1e-6))
        fail_msg("%s: element %d is %.9g, wanted %.9g", what, (int)i, found, wanted);
}

static void gradients_of_all_elements(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    ir_tensor all;
    text_case straight, movement;
    make_tensors(&inputs, &state);
    add_random(&state, "w.scores", 2, square);
    gradient_of_all(&inputs, &state, &all);
    begin(&straight, plain, "simplify,prune{gradient=straight},autodiff,dce");
    begin(&movement, plain, "simplify,prune{gradient=movement},autodiff,dce");
    run(&straight, &inputs, &state);
    run(&movement, &inputs, &state);
    assert_null(interp_find(&straight.results, "gradient.w.scores"));
    for (int64_t i = 0; i < 36; i++) {
        const double w = tensor_get(named_tensors_find(&state, "w"), i), kept = tensor_get(named_tensors_find(&state, "w.mask"), i);
        want_number("straight", i, tensor_get(interp_find(&straight.results, "gradient.w"), i), tensor_get(&all, i));
        want_number("movement", i, tensor_get(interp_find(&movement.results, "gradient.w"), i), kept * tensor_get(&all, i));
        want_number("scores", i, tensor_get(interp_find(&movement.results, "gradient.w.scores"), i), w * tensor_get(&all, i));
    }
    tensor_free(&all);
    text_case_end(&straight);
    text_case_end(&movement);
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

/* Scores go down by the learning rate times the clipped gradient; weights are those of plain masks, and so is the norm. */
static void a_step_of_movement(void **unused) {
    (void)unused;
    static const char *const rules[] = {"optimizer{weight_decay=0.1,max_grad_norm=0.01}",
                                        "optimizer{optim=sgd,momentum=0.5,max_grad_norm=0}",
                                        "optimizer{max_grad_norm=0.01,accumulate=1}"};
    for (size_t r = 0; r < 3; r++) {
        const int64_t kept = 13;
        named_tensors inputs, state;
        ir_tensor all;
        text_case masked, movement;
        char text[200];
        make_tensors(&inputs, &state);
        add_random(&state, "w.scores", 2, square);
        named_tensors_add(&state, "gradient.bias", IR_F32, 1, width);
        named_tensors_add(&state, "gradient.dense", IR_F32, 2, square);
        named_tensors_add(&state, "gradient.table", IR_F32, 2, table);
        named_tensors_add(&state, "gradient.w", IR_F32, 1, &kept);
        named_tensors_add(&state, "gradient.w.scores", IR_F32, 2, square);
        static const char *const parameters[] = {"w", "bias", "dense", "table"};
        for (size_t i = 0; i < 4; i++) {
            const ir_tensor *p = named_tensors_find(&state, parameters[i]);
            snprintf(text, sizeof text, "%s.momentum_buffer", parameters[i]);
            add_random(&state, text, p->rank, p->dims);
        }
        gradient_of_all(&inputs, &state, &all);
        snprintf(text, sizeof text, "simplify,prune,autodiff,%s,dce", r == 2 ? "optimizer{max_grad_norm=0.01}" : rules[r]);
        begin(&masked, plain, text);
        snprintf(text, sizeof text, "simplify,prune{gradient=movement},autodiff,%s,dce", rules[r]);
        begin(&movement, plain, text);
        run(&masked, &inputs, &state);
        run(&movement, &inputs, &state);
        interp_results update = {0};
        if (r == 2) {
            for (size_t i = 0; i < movement.results.n_outputs; i++) {
                ir_tensor *sum = named_tensors_find(&state, movement.results.outputs[i].name);
                if (sum) memcpy(sum->data, movement.results.outputs[i].tensor.data, tensor_bytes(sum));
            }
            const tensor_source input_source = named_tensors_source(&inputs), state_source = named_tensors_source(&state);
            if (interpret_graph(movement.module->graphs.data[1], &input_source, &state_source, NULL, &movement.sink, &update) !=
                POFAC_OK)
                fail_msg("%s", strbuf_str(&movement.messages));
        }
        const interp_results *found = r == 2 ? &update : &movement.results;
        for (size_t i = 0; i < masked.results.n_outputs; i++) {
            const char *name = masked.results.outputs[i].name;
            if (strncmp(name, "loss", 4) == 0) continue;
            assert_non_null(interp_find(found, name));
            assert_tensors_close(name, interp_find(found, name), interp_find(&masked.results, name), 1e-6, 1e-6);
        }
        const double norm = tensor_get(interp_find(found, "grad_norm"), 0), scale = r == 1 ? 1 : 0.01 / (norm + 1e-6);
        const ir_tensor *next = interp_find(found, "w.scores"), *s = named_tensors_find(&state, "w.scores");
        assert_true(norm > 0.01);
        assert_non_null(next);
        for (int64_t i = 0; i < 36; i++)
            want_number("w.scores", i, tensor_get(next, i),
                        tensor_get(s, i) - 0.1 * scale * tensor_get(named_tensors_find(&state, "w"), i) * tensor_get(&all, i));
        for (size_t i = 0; i < movement.graph->nodes.size; i++) /* what only autodiff asked for is gone */
            if (movement.graph->nodes.data[i].op == OP_dense_to_sparse) assert_int_equal(movement.graph->nodes.data[i].n_inputs, 2);
        interp_results_free(&update);
        tensor_free(&all);
        text_case_end(&masked);
        text_case_end(&movement);
        named_tensors_free(&inputs);
        named_tensors_free(&state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_get_masks),     cmocka_unit_test(a_step_is_that_of_the_product),
        cmocka_unit_test(accumulated_gradients), cmocka_unit_test(gradients_of_all_elements),
        cmocka_unit_test(a_step_of_movement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
