/* Plans of evaluators, see plan_case.h. */
#include "tests/unit/plan_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ir/op.h"

static plan_buffer_kind kind_of(ir_op op) {
    switch (op) {
    case OP_input: return PLAN_INPUT;
    case OP_state:
    case OP_pattern: return PLAN_STATE;
    case OP_constant: return PLAN_CONSTANT;
    default: return PLAN_SLOT;
    }
}

static plan_step evaluator_step(const ir_graph *g, uint32_t index, arena *a) {
    const ir_node *n = &g->nodes.data[index];
    uint32_t *buffers = ARENA_ARRAY(a, uint32_t, (size_t)n->n_inputs + n->n_results);
    if (!buffers) fail_msg("memory is short");
    for (uint32_t i = 0; i < n->n_inputs; i++) buffers[i] = n->inputs[i] == IR_NO_VALUE ? UINT32_MAX : n->inputs[i] - 1;
    for (uint32_t r = 0; r < n->n_results; r++) buffers[n->n_inputs + r] = node_result(n, r) - 1;
    return (plan_step){.kernel = "evaluator",
                       .variant = op_info(n->op)->name,
                       .scope = n->scope,
                       .node = index,
                       .n_buffers = n->n_inputs + n->n_results,
                       .buffers = buffers,
                       .work = dim_const(1),
                       .work_per_unit = 1,
                       .grain = 1};
}

void plan_of_graph(ir_graph *g, arena *a, plan *out) {
    *out = (plan){.module = g->module, .graph = g, .target = "none", .n_outputs = g->outputs.size};
    out->buffers = ARENA_ARRAY(a, plan_buffer, g->values.size);
    out->steps = ARENA_ARRAY(a, plan_step, g->nodes.size + 1);
    out->outputs = ARENA_ARRAY(a, plan_output, g->outputs.size + 1);
    if (!out->buffers || !out->steps || !out->outputs) fail_msg("memory is short");
    for (ir_value v = 1; v < g->values.size; v++) {
        const ir_node *n = graph_node_of(g, v);
        plan_buffer *b = &out->buffers[out->n_buffers++];
        *b = (plan_buffer){
            .kind = kind_of(n->op), .value = v, .type = type_with_layout(g->module->context, graph_type(g, v), LAYOUT_ROWS, 0)};
        if (n->op == OP_constant) b->name = node_string(n, "data")[0] ? node_string(n, "data") : NULL;
        else if (b->kind == PLAN_SLOT) b->slot = out->n_slots++;
        else b->name = node_string(n, "name");
    }
    for (uint32_t i = 0; i < g->nodes.size; i++)
        if (!op_has(g->nodes.data[i].op, TRAIT_LEAF)) out->steps[out->n_steps++] = evaluator_step(g, i, a);
    for (size_t i = 0; i < out->n_outputs; i++)
        out->outputs[i] = (plan_output){g->outputs.data[i].name, g->outputs.data[i].value - 1};
}

void plan_case_begin(plan_case *c, const char *nodes) {
    *c = (plan_case){.inputs = {.what = "input"}, .state = {.what = "state"}};
    text_case_begin(&c->text, nodes);
    if (!c->text.graph) fail_msg("the text was refused: %s", strbuf_str(&c->text.messages));
    plan_of_graph(c->text.graph, &c->memory, &c->plan);
    c->input_source = named_tensors_source(&c->inputs);
    c->state_source = named_tensors_source(&c->state);
    if (thread_pool_create(2, &c->text.sink, &c->pool) != POFAC_OK) fail_msg("%s", strbuf_str(&c->text.messages));
}

void plan_case_end(plan_case *c) {
    session_destroy(c->session);
    thread_pool_destroy(c->pool);
    arena_free(&c->memory);
    named_tensors_free(&c->inputs);
    named_tensors_free(&c->state);
    text_case_end(&c->text);
}

plan_buffer *plan_case_buffer(plan_case *c, const char *leaf) {
    for (size_t i = 0; i < c->plan.n_buffers; i++)
        if (c->plan.buffers[i].name && strcmp(c->plan.buffers[i].name, leaf) == 0) return &c->plan.buffers[i];
    fail_msg("the graph has no leaf \"%s\"", leaf);
    return NULL;
}

plan_step *plan_case_step(plan_case *c, size_t i) {
    if (i >= c->plan.n_steps) fail_msg("found %zu steps, wanted number %zu", c->plan.n_steps, i);
    return &c->plan.steps[i];
}

void plan_case_set_kernel(plan_case *c, size_t step, plan_kernel run, ir_dim work, int64_t grain) {
    plan_step *s = plan_case_step(c, step);
    ir_dim *dims = arena_copy(&c->memory, &work, sizeof work);
    if (!dims) fail_msg("memory is short");
    s->run = run;
    s->work = work;
    s->grain = grain;
    s->n_dims = 1;
    s->dims = dims;
}

pofac_status plan_case_try(plan_case *c) {
    strbuf_clear(&c->text.messages);
    session_destroy(c->session);
    TRY(session_create(&c->plan, &c->state_source, c->pool, &c->text.sink, &c->session));
    return session_run(c->session, &c->input_source, &c->text.sink);
}

void plan_case_run(plan_case *c) {
    if (plan_case_try(c) != POFAC_OK) fail_msg("%s", strbuf_str(&c->text.messages));
}

void assert_output(plan_case *c, const char *name, const double *elements, size_t n) {
    ir_tensor found;
    if (session_output(c->session, name, &c->text.sink, &found) != POFAC_OK) fail_msg("%s", strbuf_str(&c->text.messages));
    if ((size_t)tensor_elements(&found) != n) fail_msg("%s: found %d elements, wanted %zu", name, (int)tensor_elements(&found), n);
    for (size_t i = 0; i < n; i++)
        if (tensor_get(&found, (int64_t)i) != elements[i])
            fail_msg("%s: element %zu is %.9g, wanted %.9g", name, i, tensor_get(&found, (int64_t)i), elements[i]);
}
