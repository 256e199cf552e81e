/*
 * Code is bounded: every kernel of BERT-Base and of BERT-Tiny stays below the bound on every instruction set (sizes do not depend on the
 * machine that measures), plans say how large each kernel is, and a kernel beyond a bound is named in a warning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "codegen/code_bounds.h"
#include "codegen/lower.h"
#include "codegen/machine.h"
#include "codegen/target.h"
#include "frontend/model/model_graph.h"
#include "passes/pass.h"

static model_spec bert(int64_t hidden, int64_t layers, int64_t heads, int64_t intermediate) {
    model_spec s = model_spec_default(MODEL_BERT);
    s.head = HEAD_PRETRAINING;
    s.hidden_size = hidden;
    s.num_hidden_layers = layers;
    s.num_attention_heads = heads;
    s.intermediate_size = intermediate;
    return s;
}

static ir_module *optimized(ir_context *context, const model_spec *spec) {
    arena a = ARENA_INIT;
    pass_pipeline pipeline;
    ir_module *m = module_create(context, NULL);
    const model_graph_options options = {0};
    assert_int_equal(model_graph_build(m, "infer", spec, &options), POFAC_OK);
    assert_int_equal(pipeline_parse("infer", &a, NULL, &pipeline), POFAC_OK);
    assert_int_equal(pipeline_run(&pipeline, m, NULL, NULL, NULL, &m), POFAC_OK);
    arena_free(&a);
    return m;
}

static size_t bytes_of(machine *m, const cg_target *target, const lowered_kernel *k) {
    emitter e;
    strbuf object = STRBUF_INIT;
    em_begin_module(&e, target, k->symbol);
    lower_emit(&e, k);
    assert_int_equal(machine_generate(m, &e, CG_EMIT_OBJ, NULL, &object), POFAC_OK);
    em_end_module(&e);
    size_t bytes = code_bytes_of(object.data, object.size, k->symbol);
    strbuf_free(&object);
    return bytes;
}

static void want_small_kernels(const char *model, const ir_module *module, const char *isa) {
    cg_target target;
    arena memory = ARENA_INIT;
    lowering low;
    machine *m;
    size_t largest = 0, total = 0;
    assert_int_equal(target_of_row(isa, NULL, &target), POFAC_OK);
    assert_int_equal(lower_graph(&low, module_find_graph(module, "infer"), &target, &memory, NULL), POFAC_OK);
    assert_int_equal(machine_create(&target, NULL, &m), POFAC_OK);
    assert_true(low.kernels.size > 10);
    for (size_t i = 0; i < low.kernels.size; i++) {
        size_t bytes = bytes_of(m, &target, &low.kernels.data[i]);
        if (bytes == 0 || bytes > CODE_BOUND_BYTES)
            fail_msg("%s, %s: kernel \"%s\" is %zu bytes of code, wanted 1 to %d", model, isa, low.kernels.data[i].variant, bytes,
                     CODE_BOUND_BYTES);
        largest = bytes > largest ? bytes : largest;
        total += bytes;
    }
    print_message("%s, %s: %zu kernels, %zu bytes, the largest %zu\n", model, isa, low.kernels.size, total, largest);
    machine_destroy(m);
    lowering_free(&low);
    arena_free(&memory);
}

static void kernels_of_bert_are_small_on_every_instruction_set(void **state) {
    (void)state;
    const struct {
        const char *name;
        model_spec spec;
    } models[] = {{"BERT-Base", bert(768, 12, 12, 3072)}, {"BERT-Tiny", bert(128, 2, 2, 512)}};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        ir_context *context = context_create();
        ir_module *m = optimized(context, &models[i].spec);
        for (size_t row = 0; cg_target_row(row); row++) want_small_kernels(models[i].name, m, cg_target_row(row)->name);
        module_destroy(m);
        context_destroy(context);
    }
}

static void plans_say_how_large_code_is(void **state) {
    (void)state;
    ir_context *context = context_create();
    const model_spec spec = bert(32, 1, 2, 48);
    arena memory = ARENA_INIT;
    cg_options options = {0};
    plan *p;
    assert_int_equal(cg_target_host(NULL, &memory, NULL, &options.target), POFAC_OK);
    assert_int_equal(cg_compile(optimized(context, &spec), "infer", &options, NULL, &p), POFAC_OK);
    size_t total = 0;
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        const plan_code *code = &p->codes[i];
        size_t name_bytes = strcspn(code->variant, " ");
        assert_memory_equal(code->symbol, code->variant, name_bytes);
        assert_true(code->bytes > 0 && code->compile_seconds > 0 && !code->cached);
        total += code->bytes;
    }
    assert_int_equal(total, p->code_bytes);
    plan_destroy(p);
    arena_free(&memory);
    context_destroy(context);
}

static void want_warnings(const plan_code *code, const char *wanted) {
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    code_check_bounds(code, &sink);
    assert_string_equal(strbuf_str(&messages), wanted);
    strbuf_free(&messages);
}

static void kernels_beyond_bounds_are_named(void **state) {
    (void)state;
    plan_code code = {
        .variant = "linear N=8", .symbol = "linear_0", .bytes = CODE_BOUND_BYTES, .compile_seconds = CODE_BOUND_SECONDS};
    want_warnings(&code, "");
    code.bytes++;
    want_warnings(&code, "warning: kernel \"linear N=8\" is 262145 bytes of code, wanted at most 262144\n");
    code.compile_seconds = 7.25;
    want_warnings(&code, "warning: kernel \"linear N=8\" is 262145 bytes of code, wanted at most 262144\n"
                         "warning: kernel \"linear N=8\" took 7.2 seconds to compile, wanted at most 5\n");
}

static void sizes_of_damaged_objects(void **state) {
    (void)state;
    assert_int_equal(code_bytes_of("", 0, "f"), 0);
    assert_int_equal(code_bytes_of("\177ELF and no more", 16, "f"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_of_bert_are_small_on_every_instruction_set),
        cmocka_unit_test(plans_say_how_large_code_is),
        cmocka_unit_test(kernels_beyond_bounds_are_named),
        cmocka_unit_test(sizes_of_damaged_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
