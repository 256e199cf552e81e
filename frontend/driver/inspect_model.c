/* Walking over a model's parameters; see inspect_model.h. */
#include "frontend/driver/inspect_model.h"

#include <stdio.h>
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
        if (!op_has(n->op, TRAIT_WEIGHTED) && n->op != OP_linear_int8) continue;
        const ir_node *read = graph_node_of(g, n->inputs[n->op == OP_linear_int8 ? 2 : 1]),
                      *weight = read->op == OP_fake_quantize ? graph_node_of(g, read->inputs[0]) : read;
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

/* What all parameters are inspected with. */
typedef struct inspection {
    const plan *plan;
    const tensor_source *state;
    const session *session; /* which has packed the weights */
    arena *a;
    const diag_sink *sink;
} inspection;

/* ---- in memory ---- */

/* "stream k_block=128 rows=768", "blocks 4x1 k_block=...", "n_m 2:4 k_block=..." */
static const char *sparse_layout_text(const sparse_layout *l, arena *a) {
    char entry[24] = "";
    if (l->kind == SPARSE_BLOCKS) snprintf(entry, sizeof entry, " %ux%u", l->block_rows, l->block_columns);
    if (l->kind == SPARSE_N_M) snprintf(entry, sizeof entry, " %u:%u", l->keep, l->of);
    return arena_printf(a, "%s%s k_block=%u rows=%u", sparse_layout_name((sparse_layout_kind)l->kind), entry, l->k_block,
                        l->row_group);
}

static const char *layout_text(const plan_buffer *b, arena *a) {
    const char *name = plan_packing_name(b->packing);
    if (b->packing == PACKING_SPARSE_VALUES) return sparse_layout_text(&b->sparse, a);
    if (b->packing == PACKING_INT8_SPARSE) return arena_printf(a, "%s %s", name, sparse_layout_text(&b->sparse, a));
    return b->packing_parameter ? arena_printf(a, "%s %u", name, b->packing_parameter) : name;
}

/* Adds what a buffer of the parameter takes to the row: positions are there where they are packed. */
static pofac_status inspect_buffer(const inspection *in, size_t i, const ir_tensor *t, inspect_row *row) {
    const plan_buffer *b = &in->plan->buffers[i];
    const bool positions = b->type->kind == TYPE_PATTERN;
    size_t packed = 0;
    (void)session_packed_weight(in->session, i, &packed);
    if (b->packing == PACKING_NONE && !positions) row->memory_bytes += tensor_elements(t) * (int64_t)dtype_bits(b->type->dtype) / 8;
    else row->memory_bytes += (int64_t)packed;
    if (!positions && !row->layout) row->layout = layout_text(b, in->a);
    return positions || row->layout ? POFAC_OK : diag_out_of_memory(in->sink);
}

/* Buffers with the same content and packing are one in memory. */
static bool is_twin(const plan *p, size_t i) {
    const plan_buffer *b = &p->buffers[i];
    for (size_t k = 0; k < i; k++) {
        const plan_buffer *o = &p->buffers[k];
        if (o->kind == b->kind && o->type->kind == b->type->kind && o->packing == b->packing &&
            o->packing_parameter == b->packing_parameter && sparse_layout_equal(&o->sparse, &b->sparse) &&
            strcmp(o->name, b->name) == 0)
            return true;
    }
    return false;
}

static pofac_status inspect_memory(const inspection *in, const ir_tensor *t, inspect_row *row) {
    for (size_t i = 0; i < in->plan->n_buffers; i++) {
        const plan_buffer *b = &in->plan->buffers[i];
        if (b->kind != PLAN_STATE || strcmp(b->name, row->name) != 0 || is_twin(in->plan, i)) continue;
        TRY(inspect_buffer(in, i, t, row));
    }
    if (!row->layout) row->layout = "-";
    return POFAC_OK;
}

/* ---- parameters ---- */

static pofac_status inspect_tensor(const inspection *in, const char *name, const ir_tensor *t, inspect_row *row) {
    strbuf shape = STRBUF_INIT;
    for (uint32_t i = 0; i < t->rank; i++) strbuf_printf(&shape, "%s%lld", i ? "," : "", (long long)t->dims[i]);
    *row = (inspect_row){
        .name = arena_strdup(in->a, name), .shape = arena_printf(in->a, "[%s]", strbuf_str(&shape)), .dtype = dtype_name(t->dtype)};
    strbuf_free(&shape);
    row->kernel = arena_strdup(in->a, kernel_of(in->plan, name));
    row->elements = tensor_elements(t);
    row->zeros = tensor_count_zeros(t);
    row->bytes = (int64_t)tensor_bytes(t);
    row->element_bits = dtype_bits(t->dtype);
    row->prunable = is_linear_weight(in->plan->graph, name);
    if (!row->name || !row->shape || !row->kernel) return diag_out_of_memory(in->sink);
    return inspect_memory(in, t, row);
}

static pofac_status inspect_parameter(const inspection *in, const ir_node *leaf, inspect_row *row) {
    ir_tensor t;
    const char *name = node_string(leaf, "name");
    TRY(in->state->get(in->state->user, name, in->sink, &t));
    pofac_status status = inspect_tensor(in, name, &t, row);
    tensor_source_release(in->state, name);
    return status;
}

/* Ranges of 8 bits are state too, but no parameters. */
static bool is_parameter(const ir_node *n) { return n->op == OP_state && !node_int(n, "frozen"); }

static pofac_status inspect_plan(const inspection *in, inspect_result *out) {
    const ir_graph *g = in->plan->graph;
    out->rows = ARENA_ARRAY(in->a, inspect_row, g->nodes.size + 1);
    out->target = arena_strdup(in->a, in->plan->target);
    if (!out->rows || !out->target) return diag_out_of_memory(in->sink);
    for (size_t i = 0; i < g->nodes.size; i++) {
        if (!is_parameter(&g->nodes.data[i]) || is_known(out, node_string(&g->nodes.data[i], "name"))) continue;
        inspect_row *row = &out->rows[out->n_rows];
        TRY(inspect_parameter(in, &g->nodes.data[i], row));
        out->n_rows++;
        out->elements += row->elements;
        out->zeros += row->zeros;
        out->bytes += row->bytes;
        if (row->prunable) out->linear_elements += row->elements, out->linear_zeros += row->zeros;
    }
    return POFAC_OK;
}

/* Packs the weights as a session does, from rows, also of a compiled model. */
static pofac_status inspect_packed(loaded_model *model, const plan *p, size_t threads, arena *a, const diag_sink *sink,
                                   inspect_result *out) {
    tensor_source rows = *loaded_model_state(model);
    thread_pool *pool = NULL;
    session *s = NULL;
    rows.packed = NULL;
    pofac_status status = thread_pool_create(threads, sink, &pool);
    if (status == POFAC_OK) status = session_create(p, &rows, pool, sink, &s);
    const inspection in = {.plan = p, .state = &rows, .session = s, .a = a, .sink = sink};
    if (status == POFAC_OK) status = inspect_plan(&in, out);
    session_destroy(s);
    thread_pool_destroy(pool);
    return status;
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
    const pofac_status status = inspect_packed(model, p, road->threads, a, sink, out);
    plan_destroy(p);
    return status;
}
