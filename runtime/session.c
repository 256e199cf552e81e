/*
 * Plan + weights -> runs; see session.h.
 *
 * Creating a session takes a view of every state buffer (in place where the bytes are aligned f32, else converted or packed, each (name, packing) once). A run binds
 * the inputs' shapes to the plan's symbols, sizes the arena and the workers' scratch (grown, never shrunk), sets one pointer per buffer, and runs the steps in
 * order, the chunks of a step on the pool. A step without a kernel calls its op's evaluator on tensors that view the same memory.
 *
 * Left out: sparse weights (a pattern's positions and values) reach evaluator steps only; kernels for them come with their packings.
 */
#include "runtime/session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/binding.h"
#include "ir/op.h"
#include "runtime/packing.h"
#include "runtime/pattern_state.h"

#define ALIGNMENT 64

/* An input whose numbers index a table: what embeddings of the plan ask of it. */
typedef struct index_range {
    const char *input, *table; /* names */
    int64_t size;              /* numbers must be in [0, size) */
} index_range;

struct session {
    const plan *plan;
    thread_pool *pool;
    const tensor_source *state;
    ir_tensor *weights; /* [n_buffers] of state and constants: what evaluators see; owned where converted */
    void **pointers;    /* [n_buffers] what kernels see */
    bool *packed;       /* [n_buffers] the pointer is this session's own memory */
    pattern_state *patterns;
    index_range *ranges;
    size_t n_ranges;
    int64_t *binding; /* [n_symbols + 1] of the last run */
    size_t n_binding;
    int64_t *slot_bytes, *slot_start;
    char *arena;
    int64_t arena_bytes;
    char *scratch; /* [threads][scratch_bytes] */
    int64_t scratch_bytes;
    int64_t *times_ns;
    bool profile, ran;
    session_memory memory;
};

/* ---- weights ---- */

static bool is_aligned(const void *p, size_t n) { return ((uintptr_t)p & (n - 1)) == 0; }

static pofac_status check_shape(const plan_buffer *b, const ir_tensor *t, const diag_sink *sink) {
    bool same = b->type->rank == t->rank;
    for (uint32_t i = 0; same && i < t->rank; i++) {
        int64_t n;
        if (dim_is_const(b->type->dims[i], &n) && n != t->dims[i]) same = false;
    }
    if (same) return POFAC_OK;
    strbuf found = STRBUF_INIT;
    for (uint32_t i = 0; i < t->rank; i++) strbuf_printf(&found, "%s%lld", i ? "," : "", (long long)t->dims[i]);
    pofac_status status =
        diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: found shape [%s], which is not what the compiled graph wants", b->name,
                   strbuf_str(&found));
    strbuf_free(&found);
    return status;
}

/* The tensor in the dtype that the graph declares: the view itself, or a converted copy that the session owns. */
static pofac_status convert(const ir_tensor *from, ir_dtype dtype, const diag_sink *sink, ir_tensor *out) {
    size_t natural = dtype_bits(dtype) >= 8 ? dtype_bits(dtype) / 8 : 1;
    if (from->dtype == dtype && is_aligned(from->data, natural)) {
        *out = *from;
        out->owned = false;
        return POFAC_OK;
    }
    if (tensor_alloc(dtype, from->rank, from->dims, out) != POFAC_OK) return diag_out_of_memory(sink);
    if (from->dtype == dtype) {
        memcpy(out->data, from->data, tensor_bytes(from));
        return POFAC_OK;
    }
    int64_t n = tensor_elements(from);
    bool floats = dtype_class(dtype) == DTYPE_FLOAT;
    for (int64_t i = 0; i < n; i++) {
        if (floats) tensor_set(out, i, tensor_get(from, i));
        else tensor_set_int(out, i, tensor_get_int(from, i));
    }
    return POFAC_OK;
}

/* The value of a constant node, with or without data in the module. */
static pofac_status constant_tensor(const plan *p, const plan_buffer *b, const diag_sink *sink, ir_tensor *out) {
    const ir_node *node = graph_node_of(p->graph, b->value);
    int64_t dims[IR_MAX_RANK];
    for (uint32_t i = 0; i < b->type->rank; i++) dims[i] = dim_eval(b->type->dims[i], (ir_binding){NULL, 0});
    if (tensor_alloc(b->type->dtype, b->type->rank, dims, out) != POFAC_OK) return diag_out_of_memory(sink);
    ir_tensor *result = out;
    ir_eval e = {.module = p->module, .graph = p->graph, .node = node, .result = &result, .sink = sink};
    return op_info(node->op)->eval(&e);
}

static bool is_sparse(const plan_buffer *b, const plan *p) {
    if (b->type->kind == TYPE_PATTERN) return true;
    return b->type->rank == 1 && b->type->dims[0].symbol[0] != 0 &&
           symbol_kind(p->module->context, b->type->dims[0].symbol[0]) == SYMBOL_NNZ;
}

/* A buffer with the same content and packing that was bound before, or NULL's index. */
static size_t find_bound(const session *s, size_t index) {
    const plan_buffer *b = &s->plan->buffers[index];
    for (size_t i = 0; i < index; i++) {
        const plan_buffer *o = &s->plan->buffers[i];
        if (o->kind == b->kind && o->packing == b->packing && o->packing_parameter == b->packing_parameter && o->name && b->name &&
            strcmp(o->name, b->name) == 0 && o->type == b->type)
            return i;
    }
    return index;
}

static pofac_status bind_weight(session *s, size_t index, const diag_sink *sink) {
    const plan *p = s->plan;
    const plan_buffer *b = &p->buffers[index];
    size_t twin = find_bound(s, index);
    if (twin != index) {
        s->pointers[index] = s->pointers[twin];
        s->weights[index] = s->weights[twin];
        s->weights[index].owned = false;
        return POFAC_OK;
    }
    if (b->kind == PLAN_STATE && is_sparse(b, p)) {
        const char *name = b->name;
        return b->type->kind == TYPE_PATTERN ? pattern_state_pattern(s->patterns, name, s->state, sink, &s->weights[index])
                                             : pattern_state_values(s->patterns, name, s->state, sink, &s->weights[index]);
    }
    ir_tensor stored;
    if (b->kind == PLAN_CONSTANT) {
        TRY(constant_tensor(p, b, sink, &s->weights[index]));
        stored = s->weights[index];
    } else {
        TRY(s->state->get(s->state->user, b->name, sink, &stored));
        TRY(check_shape(b, &stored, sink));
        s->memory.mapped_weight_bytes += (int64_t)tensor_bytes(&stored);
    }
    if (b->packing == PACKING_NONE) {
        if (b->kind == PLAN_STATE) TRY(convert(&stored, b->type->dtype, sink, &s->weights[index]));
        if (s->weights[index].owned) s->memory.packed_weight_bytes += (int64_t)tensor_bytes(&s->weights[index]);
        s->pointers[index] = s->weights[index].data;
        return POFAC_OK;
    }
    int64_t rows = stored.rank == 2 ? stored.dims[0] : 1, columns = stored.dims[stored.rank - 1];
    int64_t bytes = packing_bytes(b->packing, b->packing_parameter, rows, columns);
    if (bytes < 0 || posix_memalign(&s->pointers[index], ALIGNMENT, bytes > 0 ? (size_t)bytes : ALIGNMENT) != 0)
        return diag_out_of_memory(sink);
    s->packed[index] = true;
    s->memory.packed_weight_bytes += bytes;
    packing_make(b->packing, b->packing_parameter, &stored, s->pool, s->pointers[index]);
    if (b->kind == PLAN_STATE) s->weights[index] = stored, s->weights[index].owned = false;
    return POFAC_OK;
}

/* ---- indices ---- */

/* The graph's input that a value is made of by ops that keep its numbers, or NULL. */
static const char *index_input(const ir_graph *g, ir_value v) {
    for (;;) {
        const ir_node *n = graph_node_of(g, v);
        if (n->op == OP_input) return node_string(n, "name");
        if (n->op != OP_reshape && n->op != OP_gather_rows && n->op != OP_cast) return NULL;
        v = n->inputs[0];
    }
}

static pofac_status find_ranges(session *s, const diag_sink *sink) {
    const ir_graph *g = s->plan->graph;
    s->ranges = calloc(g->nodes.size ? g->nodes.size : 1, sizeof *s->ranges);
    if (!s->ranges) return diag_out_of_memory(sink);
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        int64_t size;
        if (n->op != OP_embedding || !dim_is_const(graph_type(g, n->inputs[0])->dims[0], &size)) continue;
        const char *input = index_input(g, n->inputs[1]);
        const ir_node *table = graph_node_of(g, n->inputs[0]);
        if (input)
            s->ranges[s->n_ranges++] = (index_range){input, table->op == OP_state ? node_string(table, "name") : "table", size};
    }
    return POFAC_OK;
}

static pofac_status check_ranges(const session *s, const tensor_source *inputs, const diag_sink *sink) {
    for (size_t r = 0; r < s->n_ranges; r++) {
        ir_tensor t;
        TRY(inputs->get(inputs->user, s->ranges[r].input, sink, &t));
        int64_t n = tensor_elements(&t);
        for (int64_t i = 0; i < n; i++) {
            int64_t id = tensor_get_int(&t, i);
            if (id >= 0 && id < s->ranges[r].size) continue;
            return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: element %lld is %lld, wanted 0 to %lld (rows of %s)",
                              s->ranges[r].input, (long long)i, (long long)id, (long long)s->ranges[r].size - 1,
                              s->ranges[r].table);
        }
    }
    return POFAC_OK;
}

/* ---- life of a session ---- */

static pofac_status session_build(session *s, const diag_sink *sink) {
    const plan *p = s->plan;
    size_t n = p->n_buffers ? p->n_buffers : 1, slots = p->n_slots ? p->n_slots : 1;
    s->n_binding = context_n_symbols(p->module->context) + 1;
    s->weights = calloc(n, sizeof *s->weights);
    s->pointers = calloc(n, sizeof *s->pointers);
    s->packed = calloc(n, sizeof *s->packed);
    s->binding = calloc(s->n_binding, sizeof *s->binding);
    s->slot_bytes = calloc(slots, sizeof *s->slot_bytes);
    s->slot_start = calloc(slots, sizeof *s->slot_start);
    s->times_ns = calloc(p->n_steps ? p->n_steps : 1, sizeof *s->times_ns);
    s->patterns = pattern_state_create();
    if (!s->weights || !s->pointers || !s->packed || !s->binding || !s->slot_bytes || !s->slot_start || !s->times_ns ||
        !s->patterns)
        return diag_out_of_memory(sink);
    for (size_t i = 0; i < p->n_buffers; i++)
        if (p->buffers[i].kind == PLAN_STATE || p->buffers[i].kind == PLAN_CONSTANT) TRY(bind_weight(s, i, sink));
    return find_ranges(s, sink);
}

pofac_status session_create(const plan *p, const tensor_source *state, thread_pool *pool, const diag_sink *sink, session **out) {
    *out = NULL;
    session *s = calloc(1, sizeof *s);
    if (!s) return diag_out_of_memory(sink);
    s->plan = p;
    s->pool = pool;
    s->state = state;
    pofac_status status = session_build(s, sink);
    if (status != POFAC_OK) session_destroy(s);
    else *out = s;
    return status;
}

void session_destroy(session *s) {
    if (!s) return;
    for (size_t i = 0; i < s->plan->n_buffers; i++) {
        if (s->packed && s->packed[i]) free(s->pointers[i]);
        if (s->weights) tensor_free(&s->weights[i]);
    }
    pattern_state_destroy(s->patterns);
    free(s->weights);
    free(s->pointers);
    free(s->packed);
    free(s->ranges);
    free(s->binding);
    free(s->slot_bytes);
    free(s->slot_start);
    free(s->times_ns);
    free(s->arena);
    free(s->scratch);
    free(s);
}

/* ---- one run ---- */

static pofac_status grow(char **memory, int64_t *have, int64_t want, const char *what, const diag_sink *sink) {
    if (want <= *have) return POFAC_OK;
    free(*memory);
    *memory = NULL;
    *have = 0;
    void *block;
    if (posix_memalign(&block, ALIGNMENT, (size_t)want) != 0)
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "out of memory: %lld bytes of %s for this batch", (long long)want, what);
    *memory = block;
    *have = want;
    return POFAC_OK;
}

static pofac_status make_room(session *s, const diag_sink *sink) {
    const plan *p = s->plan;
    ir_binding binding = {s->binding, s->n_binding};
    int64_t arena_bytes = plan_arena_bytes(p, binding, s->slot_bytes), scratch = ALIGNMENT;
    for (size_t i = 0; i < p->n_steps; i++) {
        int64_t bytes = dim_eval(p->steps[i].scratch_bytes, binding);
        if (bytes < 0 || bytes > INT64_MAX / 4096) arena_bytes = -1;
        else if (bytes > scratch) scratch = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    if (arena_bytes < 0)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "the batch is too large: its memory cannot be counted in 63 bits");
    int64_t total_scratch = scratch * (int64_t)thread_pool_threads(s->pool);
    TRY(grow(&s->arena, &s->arena_bytes, arena_bytes > 0 ? arena_bytes : ALIGNMENT, "activations", sink));
    TRY(grow(&s->scratch, &s->memory.scratch_bytes, total_scratch, "scratch", sink));
    s->scratch_bytes = scratch;
    s->memory.arena_bytes = s->arena_bytes;
    for (uint32_t i = 1; i < p->n_slots; i++) s->slot_start[i] = s->slot_start[i - 1] + s->slot_bytes[i - 1];
    return POFAC_OK;
}

static pofac_status point_at_buffers(session *s, const tensor_source *inputs, const diag_sink *sink) {
    for (size_t i = 0; i < s->plan->n_buffers; i++) {
        const plan_buffer *b = &s->plan->buffers[i];
        if (b->kind == PLAN_SLOT) s->pointers[i] = s->arena + s->slot_start[b->slot];
        if (b->kind != PLAN_INPUT) continue;
        ir_tensor t;
        TRY(inputs->get(inputs->user, b->name, sink, &t));
        s->pointers[i] = t.data;
    }
    return POFAC_OK;
}

typedef struct step_run {
    const session *session;
    const plan_step *step;
    void *const *buffers;
    const int64_t *dims;
    int64_t units;
} step_run;

static void run_chunk(void *user, size_t worker, size_t chunk) {
    const step_run *r = user;
    int64_t begin = (int64_t)chunk * r->step->grain, end = begin + r->step->grain;
    if (end > r->units) end = r->units;
    r->step->run(r->buffers, r->dims, begin, end, r->session->scratch + (int64_t)worker * r->session->scratch_bytes);
}

#define MAX_OPERANDS 64
#define MAX_DIMS 16

static pofac_status run_kernel(session *s, const plan_step *step, const diag_sink *sink) {
    void *buffers[MAX_OPERANDS];
    int64_t dims[MAX_DIMS];
    if (step->n_buffers > MAX_OPERANDS || step->n_dims > MAX_DIMS)
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "kernel %s has %u operands and %u dims, at most %d and %d are possible",
                          step->kernel, step->n_buffers, step->n_dims, MAX_OPERANDS, MAX_DIMS);
    ir_binding binding = {s->binding, s->n_binding};
    for (uint32_t i = 0; i < step->n_buffers; i++) buffers[i] = s->pointers[step->buffers[i]];
    for (uint32_t i = 0; i < step->n_dims; i++) dims[i] = dim_eval(step->dims[i], binding);
    int64_t work = dim_eval(step->work, binding);
    step_run run = {s, step, buffers, dims, (work + step->work_per_unit - 1) / step->work_per_unit};
    if (work > 0) thread_pool_run(s->pool, run_chunk, &run, (size_t)((run.units + step->grain - 1) / step->grain));
    return POFAC_OK;
}

/* The tensor that a buffer holds, in rows. */
static ir_tensor buffer_tensor(const session *s, uint32_t index) {
    const plan_buffer *b = &s->plan->buffers[index];
    if (b->kind == PLAN_STATE || b->kind == PLAN_CONSTANT) return s->weights[index];
    int64_t dims[IR_MAX_RANK] = {0};
    for (uint32_t i = 0; i < b->type->rank; i++) dims[i] = dim_eval(b->type->dims[i], (ir_binding){s->binding, s->n_binding});
    return tensor_view(b->type->dtype, b->type->rank, dims, s->pointers[index]);
}

static pofac_status run_evaluator(session *s, const plan_step *step, const diag_sink *sink) {
    const ir_node *node = &s->plan->graph->nodes.data[step->node];
    ir_tensor tensors[MAX_OPERANDS];
    const ir_tensor *inputs[MAX_OPERANDS];
    ir_tensor *results[MAX_OPERANDS];
    if (node->n_inputs + node->n_results > MAX_OPERANDS)
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "%s has too many operands", step->kernel);
    pofac_status status = POFAC_OK;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        inputs[i] = step->buffers[i] == UINT32_MAX ? NULL : &tensors[i];
        if (inputs[i]) tensors[i] = buffer_tensor(s, step->buffers[i]);
    }
    for (uint32_t i = 0; i < node->n_results; i++) {
        ir_tensor *t = &tensors[node->n_inputs + i];
        uint32_t buffer = step->buffers[node->n_inputs + i];
        *t = (ir_tensor){0};
        results[i] = t;
        if (buffer != UINT32_MAX) {
            *t = buffer_tensor(s, buffer);
            memset(t->data, 0, tensor_bytes(t));
            continue;
        }
        const ir_type *type = graph_type(s->plan->graph, node_result(node, i)); /* nobody reads it */
        int64_t dims[IR_MAX_RANK] = {0};
        for (uint32_t d = 0; d < type->rank; d++) dims[d] = dim_eval(type->dims[d], (ir_binding){s->binding, s->n_binding});
        if (status == POFAC_OK && tensor_alloc(type->dtype, type->rank, dims, t) != POFAC_OK) status = diag_out_of_memory(sink);
    }
    ir_eval e = {
        .module = s->plan->module, .graph = s->plan->graph, .node = node, .input = inputs, .result = results, .sink = sink};
    if (status == POFAC_OK) status = op_info(node->op)->eval(&e);
    for (uint32_t i = 0; i < node->n_results; i++) tensor_free(results[i]);
    return status;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

pofac_status session_run(session *s, const tensor_source *inputs, const diag_sink *sink) {
    s->ran = false;
    TRY(binding_from_inputs(s->plan->graph, inputs, sink, s->binding));
    TRY(check_ranges(s, inputs, sink));
    TRY(make_room(s, sink));
    TRY(point_at_buffers(s, inputs, sink));
    for (size_t i = 0; i < s->plan->n_steps; i++) {
        const plan_step *step = &s->plan->steps[i];
        int64_t start = s->profile ? now_ns() : 0;
        TRY(step->run ? run_kernel(s, step, sink) : run_evaluator(s, step, sink));
        if (s->profile) s->times_ns[i] += now_ns() - start;
    }
    s->ran = true;
    return POFAC_OK;
}

pofac_status session_output(const session *s, const char *name, const diag_sink *sink, ir_tensor *out) {
    for (size_t i = 0; s->ran && i < s->plan->n_outputs; i++) {
        if (strcmp(s->plan->outputs[i].name, name) != 0) continue;
        *out = buffer_tensor(s, s->plan->outputs[i].buffer);
        out->owned = false;
        return POFAC_OK;
    }
    if (!s->ran) return diag_error(sink, POFAC_ERR_USAGE, NULL, "output \"%s\" was asked for before a successful run", name);
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "the plan has no output \"%s\"", name);
}

session_memory session_memory_use(const session *s) { return s->memory; }

void session_profile(session *s, bool on) {
    s->profile = on;
    memset(s->times_ns, 0, s->plan->n_steps * sizeof *s->times_ns);
}

const int64_t *session_times_ns(const session *s) { return s->times_ns; }
