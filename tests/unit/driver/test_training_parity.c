/*
 * Training against the reference: the steps of fixtures/train/teacher-preparation (pre-training with masked LM and next sentences,
 * AdamW, clipping, linear rates), by the passes autodiff and optimizer and the interpreter: loss and gradient norm of each step, and the
 * weights in the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/driver/loaded_model.h"
#include "passes/pass.h"
#include "runtime/interpreter.h"
#include "runtime/learning_rate.h"
#include "tests/unit/named_tensors.h"

#define STEPS 20
#define BATCH 4
#define RATE 1e-3

typedef struct training {
    char folder[400];
    strbuf messages;
    diag_sink sink;
    loaded_model *model;
    ir_module *module;
    checkpoint *batches;
    named_tensors state, inputs;
} training;

static void want(training *t, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s", what, strbuf_str(&t->messages));
}

static const char *in_folder(training *t, const char *name, char path[512]) {
    snprintf(path, 512, "%s/%s", t->folder, name);
    return path;
}

static void build_step(training *t, const char *pipeline) {
    const model_graph_options options = {.with_loss = true, .training = true};
    arena memory = ARENA_INIT;
    pass_pipeline p;
    ir_module *m = module_create(loaded_model_context(t->model), &t->sink);
    want(t, model_graph_build(m, "step", loaded_model_spec(t->model), &options), "graph");
    want(t, loaded_model_bind(t->model, m->graphs.data[0], &t->sink), "bind");
    want(t, pipeline_parse(pipeline, &memory, &t->sink, &p), "pipeline");
    want(t, pipeline_run(&p, m, NULL, NULL, &t->sink, &t->module), "passes");
    arena_free(&memory);
}

/* The weights of the model, and moments of 0. */
static void make_state(training *t) {
    const ir_graph *g = t->module->graphs.data[0];
    const tensor_source *source = loaded_model_state(t->model);
    t->state.what = "state";
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        const ir_type *type = graph_type(g, n->first_result);
        int64_t dims[IR_MAX_RANK];
        ir_tensor from;
        if (n->op != OP_state || named_tensors_find(&t->state, node_string(n, "name"))) continue;
        for (uint32_t d = 0; d < type->rank; d++) assert_true(dim_is_const(type->dims[d], &dims[d]));
        ir_tensor *to = named_tensors_add(&t->state, node_string(n, "name"), IR_F32, type->rank, dims);
        if (strstr(node_string(n, "name"), ".exp_avg")) continue;
        want(t, source->get(source->user, node_string(n, "name"), &t->sink, &from), "weight");
        memcpy(to->data, from.data, tensor_bytes(to));
        tensor_source_release(source, node_string(n, "name"));
    }
}

static void add_scalar(training *t, const char *name, ir_dtype dtype, double value) {
    tensor_set(named_tensors_add(&t->inputs, name, dtype, 0, NULL), 0, value);
}

/* Rows step * BATCH and on of every tensor of the batches; rows that count give the scales. */
static void make_inputs(training *t, int64_t step) {
    const rate_plan rates = {.schedule = RATE_LINEAR, .warmup_steps = 3, .max_steps = STEPS, .frequency = 1};
    named_tensors_free(&t->inputs);
    t->inputs.what = "input";
    for (size_t i = 0; i < checkpoint_size(t->batches); i++) {
        const checkpoint_tensor *from = checkpoint_at(t->batches, i);
        ir_tensor all;
        want(t, checkpoint_load(from, IR_I64, &t->sink, &all), from->name);
        const int64_t row = tensor_elements(&all) / all.dims[0];
        int64_t dims[2] = {BATCH, row}, counted = 0;
        ir_tensor *to = named_tensors_add(&t->inputs, from->name, IR_I64, all.rank, dims);
        for (int64_t k = 0; k < BATCH * row; k++) {
            tensor_set_int(to, k, tensor_get_int(&all, step * BATCH * row + k));
            counted += tensor_get_int(to, k) != -100;
        }
        char scale[64];
        snprintf(scale, sizeof scale, "scale.%s", from->name);
        if (strstr(from->name, "label")) add_scalar(t, scale, IR_F32, 1 / (double)counted);
        tensor_free(&all);
    }
    add_scalar(t, "learning_rate", IR_F32, RATE * rate_factor(&rates, step));
    add_scalar(t, "step", IR_I64, (double)step + 1);
}

static void check_number(const interp_results *r, const char *output, const char *line, const char *key, int64_t step,
                         double bound) {
    const double found = tensor_get(interp_find(r, output), 0), wanted = strtod(strstr(line, key) + strlen(key), NULL);
    if (!(fabs(found - wanted) <= bound * fabs(wanted)))
        fail_msg("step %d: %s is %.9g, wanted %.9g", (int)step + 1, output, found, wanted);
}

static void run_step(training *t, int64_t step, const char *expected) {
    interp_results r;
    make_inputs(t, step);
    const tensor_source inputs = named_tensors_source(&t->inputs), state = named_tensors_source(&t->state);
    want(t, interpret_graph(t->module->graphs.data[0], &inputs, &state, NULL, &t->sink, &r), "step");
    check_number(&r, "loss", expected, "\"loss\": ", step, 2e-5);
    check_number(&r, "grad_norm", expected, "\"grad_norm\": ", step, 2e-5);
    for (size_t i = 0; i < t->state.entries.size; i++) {
        ir_tensor *to = &t->state.entries.data[i].tensor;
        const ir_tensor *next = interp_find(&r, t->state.entries.data[i].name);
        assert_non_null(next);
        memcpy(to->data, next->data, tensor_bytes(to));
    }
    interp_results_free(&r);
}

/* Final weights, but for those that the loss does not depend on: their gradient is rounding noise, which Adam magnifies. */
static void check_weights(training *t) {
    char path[512];
    checkpoint *final;
    want(t, checkpoint_open(in_folder(t, "final.safetensors", path), &t->sink, &final), "final weights");
    size_t compared = 0;
    for (size_t i = 0; i < checkpoint_size(final); i++) {
        const checkpoint_tensor *wanted = checkpoint_at(final, i);
        const ir_tensor *found = named_tensors_find(&t->state, wanted->name);
        const double bound = strstr(wanted->name, "key.bias") ? 5e-3 : 5e-5;
        ir_tensor values;
        if (!found) continue; /* the stored copy of a tied weight */
        want(t, checkpoint_load(wanted, IR_F32, &t->sink, &values), wanted->name);
        assert_int_equal(tensor_elements(found), tensor_elements(&values));
        for (int64_t k = 0; k < tensor_elements(found); k++)
            if (!(fabs(tensor_get(found, k) - tensor_get(&values, k)) <= bound))
                fail_msg("%s[%d] is %.9g, wanted %.9g", wanted->name, (int)k, tensor_get(found, k), tensor_get(&values, k));
        tensor_free(&values);
        compared++;
    }
    assert_int_equal(compared * 3, t->state.entries.size); /* each with two moments */
    checkpoint_close(final);
}

static void run_teacher_preparation(const char *pipeline) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared || !*shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    training t = {.messages = STRBUF_INIT};
    char path[512], line[1024];
    t.sink = diag_sink_to_strbuf(&t.messages);
    snprintf(t.folder, sizeof t.folder, "%s/fixtures/train/teacher-preparation", shared);
    want(&t,
         loaded_model_open(in_folder(&t, "student", path), &(loaded_model_options){.head = HEAD_PRETRAINING}, &t.sink, &t.model),
         "model");
    want(&t, checkpoint_open(in_folder(&t, "batches.safetensors", path), &t.sink, &t.batches), "batches");
    build_step(&t, pipeline);
    make_state(&t);
    FILE *expected = fopen(in_folder(&t, "expected.jsonl", path), "r");
    assert_non_null(expected);
    for (int64_t step = 0; step < STEPS; step++) {
        assert_non_null(fgets(line, sizeof line, expected));
        run_step(&t, step, line);
    }
    fclose(expected);
    check_weights(&t);
    module_destroy(t.module);
    named_tensors_free(&t.state);
    named_tensors_free(&t.inputs);
    checkpoint_close(t.batches);
    loaded_model_close(t.model);
    strbuf_free(&t.messages);
}

static void teacher_preparation_goes_as_the_references(void **unused) {
    (void)unused;
    run_teacher_preparation("simplify,autodiff,optimizer{weight_decay=0.01},canonicalize,cse,dce");
}

/* Without padding, and without logits of the vocabulary. */
static void steps_of_real_tokens_do_so_too(void **unused) {
    (void)unused;
    run_teacher_preparation("simplify,unpad,tile-loss{min_classes=3},autodiff,optimizer{weight_decay=0.01},canonicalize,cse,dce");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(teacher_preparation_goes_as_the_references),
        cmocka_unit_test(steps_of_real_tokens_do_so_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
