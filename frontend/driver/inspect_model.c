/* Walking over a model's parameters; see inspect_model.h. */
#include "frontend/driver/inspect_model.h"

#include <string.h>

#include "ir/op.h"

/* The step of the plan that reads parameter `name`. */
static const char *kernel_of(const plan *p, const char *name) {
    for (size_t i = 0; i < p->n_steps; i++)
        for (uint32_t b = 0; b < p->steps[i].n_buffers; b++) {
            uint32_t index = p->steps[i].buffers[b];
            if (index == UINT32_MAX || p->buffers[index].kind != PLAN_STATE) continue;
            if (strcmp(p->buffers[index].name, name) == 0) return p->steps[i].variant;
        }
    return "-";
}

static bool is_linear_weight(const ir_graph *g, const char *name) {
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (!op_has(n->op, TRAIT_WEIGHTED)) continue;
        const ir_node *weight = graph_node_of(g, n->inputs[1]);
        if (weight->op == OP_state && strcmp(node_string(weight, "name"), name) == 0) return true;
    }
    return false;
}

/* Is a parameter there already? A pipeline may leave several leaves of one name. */
static bool is_known(const inspect_result *r, const char *name) {
    for (size_t i = 0; i < r->n_rows; i++)
        if (strcmp(r->rows[i].name, name) == 0) return true;
    return false;
}

static pofac_status inspect_parameter(const plan *p, const ir_node *leaf, const tensor_source *state, arena *a,
                                      const diag_sink *sink, inspect_row *row) {
    ir_tensor t;
    const char *name = node_string(leaf, "name");
    TRY(state->get(state->user, name, sink, &t));
    strbuf shape = STRBUF_INIT;
    for (uint32_t i = 0; i < t.rank; i++) strbuf_printf(&shape, "%s%lld", i ? "," : "", (long long)t.dims[i]);
    *row = (inspect_row){
        .name = arena_strdup(a, name), .shape = arena_printf(a, "[%s]", strbuf_str(&shape)), .dtype = dtype_name(t.dtype)};
    strbuf_free(&shape);
    row->kernel = arena_strdup(a, kernel_of(p, name));
    row->elements = tensor_elements(&t);
    row->zeros = tensor_count_zeros(&t);
    row->bytes = (int64_t)tensor_bytes(&t);
    row->prunable = is_linear_weight(p->graph, name);
    return row->name && row->shape && row->kernel ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status inspect_plan(loaded_model *model, const plan *p, arena *a, const diag_sink *sink, inspect_result *out) {
    const ir_graph *g = p->graph;
    out->rows = ARENA_ARRAY(a, inspect_row, g->nodes.size + 1);
    out->target = arena_strdup(a, p->target);
    if (!out->rows || !out->target) return diag_out_of_memory(sink);
    for (size_t i = 0; i < g->nodes.size; i++) {
        if (g->nodes.data[i].op != OP_state || is_known(out, node_string(&g->nodes.data[i], "name"))) continue;
        inspect_row *row = &out->rows[out->n_rows];
        TRY(inspect_parameter(p, &g->nodes.data[i], loaded_model_state(model), a, sink, row));
        out->n_rows++;
        out->elements += row->elements;
        out->zeros += row->zeros;
        out->bytes += row->bytes;
        if (row->prunable) out->linear_elements += row->elements, out->linear_zeros += row->zeros;
    }
    return POFAC_OK;
}

pofac_status inspect_model(loaded_model *model, const road_options *road, arena *a, const diag_sink *sink, inspect_result *out) {
    *out = (inspect_result){0};
    cg_options codegen;
    ir_module *m;
    plan *p = NULL;
    TRY(road_codegen_options(road, a, sink, &codegen));
    TRY(road_build(model, road, sink, &m));
    TRY(road_optimize(model, m, road, sink, &m));
    TRY(cg_compile(m, ROAD_GRAPH, &codegen, sink, &p));
    pofac_status status = inspect_plan(model, p, a, sink, out);
    plan_destroy(p);
    return status;
}
