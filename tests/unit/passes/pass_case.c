/* Passes on modules for tests, see pass_case.h. */
#include "tests/unit/passes/pass_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "ir/rewrite.h"
#include "ir/text.h"

static void emit_failure(void *user, const diag *d) {
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    print_error("%s: %s", (const char *)user, strbuf_str(&text));
    strbuf_free(&text);
}

static diag_sink failing_sink(const char *what) { return (diag_sink){.emit = emit_failure, .user = (void *)(uintptr_t)what}; }

ir_module *module_from_text(ir_context *c, const char *file, const char *text) {
    diag_sink sink = failing_sink(file);
    ir_module *m;
    if (text_parse_module(c, file, text, strlen(text), NULL, &sink, &m) != POFAC_OK) fail_msg("%s does not parse", file);
    m->sink = NULL;
    return m;
}

static pofac_status copy_graph(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size; i++) rewrite_copy(&rw, &from->nodes.data[i]);
    return rewrite_finish(&rw);
}

ir_module *module_copy(const ir_module *m) {
    ir_module *copy;
    if (rewrite_module(m, copy_graph, NULL, NULL, &copy) != POFAC_OK) fail_msg("a module cannot be copied");
    return copy;
}

strbuf module_text(const ir_module *m) {
    strbuf text = STRBUF_INIT;
    text_print_module(m, (text_print_options){0}, &text);
    assert_true(strbuf_ok(&text));
    return text;
}

static bool is_pruned(void *user, const char *weight) {
    (void)user;
    return strncmp(weight, "pruned", strlen("pruned")) == 0;
}

/* Modules of texts that are quantized: all but float.NAME; results of whole.NAME too. */
static pass_quantized quantized_part(void *user, const char *module) {
    (void)user;
    if (strncmp(module, "float.", 6) == 0) return PASS_QUANTIZED_NOT;
    if (strncmp(module, "channels.", 9) == 0) return PASS_QUANTIZED_OPERANDS | PASS_QUANTIZED_CHANNELS;
    return strncmp(module, "whole.", 6) == 0 ? PASS_QUANTIZED_WHOLE : PASS_QUANTIZED_OPERANDS;
}

pofac_status try_pipeline(ir_module *m, const char *pipeline, const pass_observer *observer, strbuf *messages, ir_module **out) {
    arena memory = ARENA_INIT;
    diag_sink sink = diag_sink_to_strbuf(messages);
    const pass_environment environment = {.prunes = is_pruned, .quantizes = quantized_part};
    pass_pipeline p;
    *out = NULL;
    pofac_status status = pipeline_parse(pipeline, &memory, &sink, &p);
    if (status == POFAC_OK) status = pipeline_run(&p, m, &environment, observer, &sink, out);
    else module_destroy(m);
    arena_free(&memory);
    if (*out) (*out)->sink = NULL;
    assert_int_equal(status == POFAC_OK, *out != NULL);
    return status;
}

ir_module *run_pipeline(const ir_module *m, const char *pipeline) {
    strbuf messages = STRBUF_INIT;
    ir_module *out;
    if (try_pipeline(module_copy(m), pipeline, NULL, &messages, &out) != POFAC_OK) {
        strbuf text = module_text(m);
        print_error("%s%s", strbuf_str(&text), strbuf_str(&messages));
        strbuf_free(&text);
        fail_msg("%s fails", pipeline);
    }
    strbuf_free(&messages);
    return out;
}

/* ---- meaning ---- */

static bool same_element(const ir_tensor *a, const ir_tensor *b, int64_t i, zero_signs zeros) {
    if (dtype_class(a->dtype) != DTYPE_FLOAT) return tensor_get_int(a, i) == tensor_get_int(b, i);
    double x = tensor_get(a, i), y = tensor_get(b, i);
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    return x == y && (zeros == ZERO_SIGNS_DO_NOT_COUNT || signbit(x) == signbit(y));
}

static void assert_same_tensor(const char *what, const char *name, const ir_tensor *a, const ir_tensor *b, zero_signs zeros) {
    bool same_shape = a->dtype == b->dtype && a->rank == b->rank;
    for (uint32_t d = 0; d < a->rank && same_shape; d++) same_shape = a->dims[d] == b->dims[d];
    if (!same_shape) fail_msg("%s: output %s has another shape or element type", what, name);
    for (int64_t i = 0; i < tensor_elements(a); i++) {
        if (same_element(a, b, i, zeros)) continue;
        fail_msg("%s: output %s differs in element %lld: %.17g before, %.17g after", what, name, (long long)i, tensor_get(a, i),
                 tensor_get(b, i));
    }
}

static interp_results interpret(const char *what, const ir_module *m, named_tensors *inputs, named_tensors *state) {
    diag_sink sink = failing_sink(what);
    tensor_source from_inputs = named_tensors_source(inputs), from_state = named_tensors_source(state);
    interp_results results;
    if (interpret_graph(m->graphs.data[0], &from_inputs, &from_state, NULL, &sink, &results) != POFAC_OK)
        fail_msg("%s: the graph cannot be run", what);
    return results;
}

void assert_same_meaning(const char *what, const ir_module *a, const ir_module *b, named_tensors *inputs, named_tensors *state,
                         zero_signs zeros) {
    interp_results before = interpret(what, a, inputs, state), after = interpret(what, b, inputs, state);
    assert_int_equal(before.n_outputs, after.n_outputs);
    for (size_t i = 0; i < before.n_outputs; i++) {
        assert_string_equal(before.outputs[i].name, after.outputs[i].name);
        assert_same_tensor(what, before.outputs[i].name, &before.outputs[i].tensor, &after.outputs[i].tensor, zeros);
    }
    interp_results_free(&before);
    interp_results_free(&after);
}

void assert_same_module(const char *what, const ir_module *found, const ir_module *wanted) {
    if (module_equal(found, wanted)) return;
    strbuf a = module_text(found), b = module_text(wanted);
    print_error("found:\n%swanted:\n%s", strbuf_str(&a), strbuf_str(&b));
    strbuf_free(&a);
    strbuf_free(&b);
    fail_msg("%s: the modules differ", what);
}
