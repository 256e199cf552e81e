/*
 * What the steps of training run as: the graphs of every head and architecture, with dropout, losses, gradients and updates, compiled.
 * Nothing goes through evaluators, and elementwise work is where the numbers are made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/codegen.h"
#include "frontend/model/model_graph.h"
#include "ir/op.h"
#include "passes/pass.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/temporary_folder.h"

/* Of code: most kernels of one model are those of another one. */
static char folder[] = "/tmp/pofac_training_steps_XXXXXX";

static int make_folder(void **unused) {
    (void)unused;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **unused) {
    (void)unused;
    folder_remove(folder);
    return 0;
}

typedef struct step_case {
    ir_context *context;
    strbuf text;
    diag_sink sink;
    plan *plan;
} step_case;

static void want(const step_case *c, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s", what, strbuf_str(&c->text));
}

static void compile_in(step_case *c, const model_spec *spec, const model_graph_options *options, const char *pipeline,
                       const pass_environment *environment) {
    arena memory = ARENA_INIT;
    pass_pipeline p;
    cg_options code = {.cache_dir = folder, .threads = 2};
    *c = (step_case){.context = context_create(), .text = STRBUF_INIT};
    c->sink = diag_sink_to_strbuf(&c->text);
    ir_module *m = module_create(c->context, &c->sink);
    assert_non_null(m);
    want(c, model_graph_build(m, "step", spec, options), "graph");
    want(c, pipeline_parse(pipeline, &memory, &c->sink, &p), "pipeline");
    want(c, pipeline_run(&p, m, environment, NULL, &c->sink, &m), "passes");
    want(c, cg_target_host(NULL, &memory, &c->sink, &code.target), "target");
    want(c, cg_compile(m, "step", &code, &c->sink, &c->plan), "compile");
    arena_free(&memory);
}

static void compile(step_case *c, const model_spec *spec, const model_graph_options *options, const char *pipeline) {
    compile_in(c, spec, options, pipeline, NULL);
}

static void end(step_case *c) {
    plan_destroy(c->plan);
    context_destroy(c->context);
    strbuf_free(&c->text);
}

/* Every node that is worth a kernel has one. */
static void check_steps(const step_case *c, const char *what) {
    for (size_t i = 0; i < c->plan->n_steps; i++) {
        const plan_step *s = &c->plan->steps[i];
        if (plan_step_is_evaluator(s)) fail_msg("%s: %s in scope \"%s\" runs through its evaluator", what, s->variant, s->scope);
    }
}

static size_t count_steps(const plan *p, ir_op first, const char *kernel, const char *part) {
    size_t n = 0;
    for (size_t i = 0; i < p->n_steps; i++)
        n += p->graph->nodes.data[p->steps[i].node].op == first && strcmp(p->steps[i].kernel, kernel) == 0 &&
             strstr(p->steps[i].variant, part) != NULL;
    return n;
}

static model_spec spec_of(model_arch arch, model_head head) {
    model_spec s = tiny_spec(arch, head);
    s.hidden_dropout_prob = s.attention_probs_dropout_prob = s.classifier_dropout = s.qa_dropout = 0.1;
    return s;
}

static void check_head(model_arch arch, model_head head, const model_graph_options *options, bool regression,
                       const char *pipeline) {
    model_spec s = spec_of(arch, head);
    step_case c;
    char what[128];
    if (regression) s.regression = true, s.num_labels = 1;
    snprintf(what, sizeof what, "%s %s%s", model_arch_name(arch), model_head_name(head), regression ? " (regression)" : "");
    compile(&c, &s, options, pipeline);
    check_steps(&c, what);
    end(&c);
}

static const model_graph_options usual = {.with_loss = true, .training = true, .dropout = true, .mask_padded_logits = true};

static void steps_of_every_head_are_kernels(void **unused) {
    (void)unused;
    size_t n;
    const model_head_row *heads = model_heads(&n);
    for (int arch = MODEL_BERT; arch <= MODEL_DISTILBERT; arch++)
        for (size_t h = 0; h < n; h++) {
            if (heads[h].head == HEAD_NONE) continue; /* has no loss */
            check_head((model_arch)arch, heads[h].head, &usual, false, "train");
        }
    check_head(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, &usual, true, "train");
}

static void steps_of_other_settings_are_kernels(void **unused) {
    (void)unused;
    model_graph_options o = usual;
    o.chosen_rows = true;
    check_head(MODEL_BERT, HEAD_PRETRAINING, &o, false, "train");
    o = usual;
    o.dropout = false;
    check_head(MODEL_BERT, HEAD_QUESTION_ANSWERING, &o, false, "train-step,optimizer{accumulate=1},train-kernels,fuse,plan-memory");
}

/* A layer's dropout, residual sums and slopes of activations go through no memory of their own. */
static void passes_over_memory_are_few(void **unused) {
    (void)unused;
    const model_spec s = spec_of(MODEL_BERT, HEAD_QUESTION_ANSWERING);
    step_case c;
    compile(&c, &s, &usual, "train-step,optimizer,train-kernels,fuse,plan-memory"); /* nothing is computed again */
    const plan *p = c.plan;
    assert_int_equal(count_steps(p, OP_linear, "linear", "dropout"), 2); /* both of the layer, each with the residual sum */
    assert_int_equal(count_steps(p, OP_linear, "linear", "gelu"), 1);
    assert_int_equal(count_steps(p, OP_linear_input_gradient, "linear", "gelu_gradient"), 1);
    assert_int_equal(count_steps(p, OP_linear_input_gradient, "linear", "add"), 4); /* feed-forward, query, key, value */
    assert_int_equal(count_steps(p, OP_layer_norm_gradient, "layer_norm_gradient", "dropout"), 2);
    assert_int_equal(count_steps(p, OP_dropout, "elementwise", ""), 1); /* behind the embeddings' layer norm */
    end(&c);
}

/* `user`: bits of what is wanted of all modules; results of output.dense stay as they are, and those of decoders, whose loss then is one op with them. */
static pass_quantized quantize_all(void *user, const char *module) {
    const bool whole = !strstr(module, "output.dense") && !strstr(module, "decoder");
    return (whole ? PASS_QUANTIZED_WHOLE : PASS_QUANTIZED_OPERANDS) | *(const pass_quantized *)user;
}

/* Quantization-aware: ranges, values in 8 bits and their gradients are kernels too, however activations are kept. */
static void steps_in_8_bits_are_kernels(void **unused) {
    (void)unused;
    static const struct {
        model_head head;
        pass_quantized more;
        const char *pipeline;
    } cases[] = {
        {HEAD_PRETRAINING, PASS_QUANTIZED_NOT, "quantize{begin=2},train"},
        {HEAD_SEQUENCE_CLASSIFICATION, PASS_QUANTIZED_CHANNELS,
         "quantize,train-step,optimizer,train-kernels,recompute{mode=partial},fuse,plan-memory"},
        {HEAD_QUESTION_ANSWERING, PASS_QUANTIZED_NOT,
         "quantize,train-step,optimizer,train-kernels,recompute,store-bf16,fuse,plan-memory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const pass_environment environment = {.quantizes = quantize_all, .quantizes_user = (void *)(uintptr_t)&cases[i].more};
        const model_spec s = spec_of(MODEL_BERT, cases[i].head);
        step_case c;
        compile_in(&c, &s, &usual, cases[i].pipeline, &environment);
        check_steps(&c, cases[i].pipeline);
        size_t n = 0;
        for (size_t k = 0; k < c.plan->n_steps; k++) n += strncmp(c.plan->steps[k].kernel, "observe_r", 9) == 0;
        assert_true(n > 13); /* of a layer: 4 inputs, 6 weights, 4 outputs; heads */
        end(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_of_every_head_are_kernels),
        cmocka_unit_test(steps_of_other_settings_are_kernels),
        cmocka_unit_test(passes_over_memory_are_few),
        cmocka_unit_test(steps_in_8_bits_are_kernels),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
