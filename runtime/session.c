/*
 * Plan + weights -> runs; see session.h.
 *
 * A run binds the inputs' shapes to the plan's symbols, sizes the arena and the workers' scratch (grown, never shrunk), sets one
 * pointer per buffer, and runs the steps in order, those with kernels on the pool (runtime/step_runner.h). A step without a kernel
 * calls its op's evaluator on tensors that view the same memory.
 */
#include "runtime/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "ir/binding.h"
#include "ir/op.h"
#include "runtime/blas.h"
#include "runtime/bound_weights.h"
#include "runtime/step_runner.h"
#include "runtime/tiled_tensor.h"

#define ALIGNMENT 64
#define HUGE_PAGE ((int64_t)1 << 21) /* of activations, which kernels reach in an order that misses in the table of small pages */

#define IGNORED_LABEL (-100) /* of rows that do not count (ir/ops/op_loss.c) */

/* An input whose numbers index a table or the classes of a loss: what embeddings and losses of the plan ask of it. */
typedef struct index_range {
    size_t buffer;     /* of the input */
    const char *table; /* its name */
    int64_t size;      /* numbers must be in [0, size) */
    bool labels;       /* or IGNORED_LABEL; table is NULL */
} index_range;

struct session {
    const plan *plan;
    thread_pool *pool;
    const bound_weights *weights; /* its own, or such as it shares */
    bound_weights own;            /* nothing where they are shared */
    ir_tensor *tensors;           /* [n_buffers] of weights and inputs: what evaluators see; owned where an input was copied */
    void **pointers;              /* [n_buffers] what kernels see */
    bool *returned;               /* [n_buffers] an output of the plan */
    index_range *ranges;
    size_t n_ranges;
    int64_t *binding; /* [weights->n_symbols] of the last run, by ir_symbol */
    int64_t *slot_bytes, *slot_start;
    char *arena;
    char *scratch; /* [threads][scratch_bytes] */
    step_runner runner;
    ir_tensor *values; /* of the evaluator that runs */
    const ir_tensor **evaluator_inputs;
    ir_tensor **evaluator_results;
    int64_t *times_ns;
    session_span *spans; /* [n_steps][threads] */
    bool profile, ran;
    bool alone; /* nobody took the processor from the last run: workers may stay awake between steps, which others would pay for */
    session_memory memory;
};

static ir_binding binding_of(const session *s) { return (ir_binding){s->binding, s->weights->n_symbols}; }

/* ---- indices ---- */

/* The buffer of the graph's input that a value is made of by ops that keep its numbers; n_buffers when there is none. */
static size_t index_input(const plan *p, ir_value v) {
    for (;;) {
        const ir_node *n = graph_node_of(p->graph, v);
        if (n->op == OP_input) break;
        if (n->op != OP_reshape && n->op != OP_gather_rows && n->op != OP_cast) return p->n_buffers;
        v = n->inputs[0];
    }
    size_t i = 0;
    while (i < p->n_buffers && (p->buffers[i].kind != PLAN_INPUT || p->buffers[i].value != v)) i++;
    return i;
}

/* Labels that a loss of the classes of its logits takes; false for other nodes. */
static bool find_labels(const session *s, const ir_node *n, index_range *range) {
    const ir_graph *g = s->plan->graph;
    const bool of_linear = n->op == OP_linear_cross_entropy;
    if (!of_linear && (n->op != OP_cross_entropy || strcmp(node_string(n, "labels"), "ignore") != 0)) return false;
    const ir_dim classes = of_linear ? graph_type(g, n->inputs[1])->dims[0] : graph_type(g, n->inputs[0])->dims[1];
    *range = (index_range){.buffer = index_input(s->plan, n->inputs[of_linear ? 2 : 1]), .labels = true};
    return dim_is_const(classes, &range->size) && range->buffer < s->plan->n_buffers;
}

static pofac_status find_ranges(session *s, const diag_sink *sink) {
    const ir_graph *g = s->plan->graph;
    s->ranges = calloc(g->nodes.size ? g->nodes.size : 1, sizeof *s->ranges);
    if (!s->ranges) return diag_out_of_memory(sink);
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        int64_t size;
        if (find_labels(s, n, &s->ranges[s->n_ranges])) s->n_ranges++;
        const bool of_classes = n->op == OP_linear_soft_cross_entropy; /* ids of the rows of its weight */
        if ((n->op != OP_embedding && !of_classes) || !dim_is_const(graph_type(g, n->inputs[of_classes])->dims[0], &size)) continue;
        size_t buffer = index_input(s->plan, n->inputs[of_classes ? 2 : 1]);
        const ir_node *table = graph_node_of(g, n->inputs[of_classes]);
        if (buffer == s->plan->n_buffers) continue;
        s->ranges[s->n_ranges++] = (index_range){buffer, table->op == OP_state ? node_string(table, "name") : "table", size, false};
    }
    return POFAC_OK;
}

/* The first element outside of [0, size); the number of elements when there is none. */
static int64_t first_outside(const ir_tensor *t, int64_t size) {
    int64_t n = tensor_elements(t), i = 0;
    if (t->dtype == IR_I64) {
        const int64_t *data = t->data;
        while (i < n && (uint64_t)data[i] < (uint64_t)size) i++;
        return i;
    }
    for (; i < n; i++) {
        int64_t id = tensor_get_int(t, i);
        if (id < 0 || id >= size) break;
    }
    return i;
}

static int64_t first_wrong_label(const ir_tensor *t, int64_t size) {
    const int64_t n = tensor_elements(t);
    for (int64_t i = 0; i < n; i++) {
        const int64_t label = tensor_get_int(t, i);
        if ((label < 0 || label >= size) && label != IGNORED_LABEL) return i;
    }
    return n;
}

static pofac_status check_ranges(const session *s, const diag_sink *sink) {
    for (size_t r = 0; r < s->n_ranges; r++) {
        const index_range *range = &s->ranges[r];
        const ir_tensor *t = &s->tensors[range->buffer];
        int64_t i = range->labels ? first_wrong_label(t, range->size) : first_outside(t, range->size);
        if (i == tensor_elements(t)) continue;
        if (range->labels)
            return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: element %lld is %lld, wanted 0 to %lld, or %d to leave it out",
                              s->plan->buffers[range->buffer].name, (long long)i, (long long)tensor_get_int(t, i),
                              (long long)range->size - 1, IGNORED_LABEL);
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: element %lld is %lld, wanted 0 to %lld (rows of %s)",
                          s->plan->buffers[range->buffer].name, (long long)i, (long long)tensor_get_int(t, i),
                          (long long)range->size - 1, range->table);
    }
    return POFAC_OK;
}

/* ---- life of a session ---- */

/* Room for the operands of any evaluator. */
static bool make_values(session *s) {
    const plan *p = s->plan;
    size_t most = 1;
    for (size_t i = 0; i < p->n_steps; i++) {
        const ir_node *node = &p->graph->nodes.data[p->steps[i].node];
        size_t values = !plan_step_is_evaluator(&p->steps[i]) ? 0 : (size_t)node->n_inputs + node->n_results;
        if (values > most) most = values;
    }
    s->values = calloc(most, sizeof *s->values);
    s->evaluator_inputs = calloc(most, sizeof *s->evaluator_inputs);
    s->evaluator_results = calloc(most, sizeof *s->evaluator_results);
    return s->values && s->evaluator_inputs && s->evaluator_results;
}

static bool make_arrays(session *s) {
    const plan *p = s->plan;
    size_t n = p->n_buffers ? p->n_buffers : 1, slots = p->n_slots ? p->n_slots : 1;
    s->tensors = calloc(n, sizeof *s->tensors);
    s->pointers = calloc(n, sizeof *s->pointers);
    s->returned = calloc(n, sizeof *s->returned);
    s->binding = calloc(s->weights->n_symbols, sizeof *s->binding);
    s->slot_bytes = calloc(slots, sizeof *s->slot_bytes);
    s->slot_start = calloc(slots, sizeof *s->slot_start);
    s->times_ns = calloc(p->n_steps + 1, sizeof *s->times_ns);
    s->spans = calloc((p->n_steps + 1) * thread_pool_threads(s->pool), sizeof *s->spans);
    return s->tensors && s->pointers && s->returned && s->binding && s->slot_bytes && s->slot_start && s->times_ns && s->spans &&
           make_values(s);
}

/* The weights as buffers of steps. */
static void take_weights(session *s) {
    for (size_t i = 0; i < s->plan->n_buffers; i++) {
        if (s->plan->buffers[i].kind == PLAN_INPUT || s->plan->buffers[i].kind == PLAN_SLOT) continue;
        s->tensors[i] = s->weights->tensors[i];
        s->tensors[i].owned = false;
        s->pointers[i] = s->weights->pointers[i];
    }
    s->memory.mapped_weight_bytes = s->weights->mapped_bytes;
    s->memory.packed_weight_bytes = s->weights->own_bytes;
}

static pofac_status session_build(session *s, const diag_sink *sink) {
    const plan *p = s->plan;
    if (!make_arrays(s)) return diag_out_of_memory(sink);
    TRY(step_runner_make(p, s->pool, sink, &s->runner));
    for (size_t i = 0; i < p->n_outputs; i++) s->returned[p->outputs[i].buffer] = true;
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].library == LIBRARY_BLAS_LINEAR) blas_begin();
    take_weights(s);
    return find_ranges(s, sink);
}

static session *make_session(const plan *p, thread_pool *pool) {
    session *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->plan = p;
    s->pool = pool;
    s->weights = &s->own;
    return s;
}

pofac_status session_create(const plan *p, const tensor_source *state, thread_pool *pool, const diag_sink *sink, session **out) {
    *out = NULL;
    session *s = make_session(p, pool);
    if (!s) return diag_out_of_memory(sink);
    pofac_status status = bound_weights_make(p, state, pool, sink, &s->own);
    if (status == POFAC_OK) status = session_build(s, sink);
    if (status != POFAC_OK) session_destroy(s);
    else *out = s;
    return status;
}

pofac_status session_create_sharing(const plan *p, const bound_weights *weights, thread_pool *pool, const diag_sink *sink,
                                    session **out) {
    *out = NULL;
    for (size_t i = 0; i < p->n_buffers; i++)
        if (p->buffers[i].written)
            return diag_error(sink, POFAC_ERR_USAGE, NULL,
                              "found state that runs replace (%s), wanted weights that sessions can share", p->buffers[i].name);
    session *s = make_session(p, pool);
    if (!s) return diag_out_of_memory(sink);
    s->weights = weights;
    pofac_status status = session_build(s, sink);
    if (status != POFAC_OK) session_destroy(s);
    else *out = s;
    return status;
}

void session_destroy(session *s) {
    if (!s) return;
    for (size_t i = 0; s->tensors && i < s->plan->n_buffers; i++) tensor_free(&s->tensors[i]);
    bound_weights_free(s->plan, &s->own);
    free(s->tensors);
    free(s->pointers);
    free(s->returned);
    free(s->ranges);
    free(s->binding);
    free(s->slot_bytes);
    free(s->slot_start);
    step_runner_free(&s->runner);
    free(s->values);
    free(s->evaluator_inputs);
    free(s->evaluator_results);
    free(s->times_ns);
    free(s->spans);
    free(s->arena);
    free(s->scratch);
    free(s);
}

const void *session_packed_weight(const session *s, size_t buffer, size_t *n_bytes) {
    *n_bytes = s->weights->own[buffer];
    return *n_bytes && s->plan->buffers[buffer].packing != PACKING_NONE ? s->weights->pointers[buffer] : NULL;
}

pofac_status session_renew_patterns(session *s, const char *ending, const diag_sink *sink) {
    s->ran = false;
    TRY(bound_weights_renew(s->plan, ending, s->pool, sink, &s->own));
    take_weights(s);
    return POFAC_OK;
}

/* ---- one run ---- */

/* Views of the inputs; copies of those that are not aligned to their element, and of those that are outputs as well, which must
 * outlive the run. */
static pofac_status take_inputs(session *s, const tensor_source *inputs, const diag_sink *sink) {
    for (size_t i = 0; i < s->plan->n_buffers; i++) {
        const plan_buffer *b = &s->plan->buffers[i];
        ir_tensor given, *t = &s->tensors[i];
        if (b->kind != PLAN_INPUT) continue;
        tensor_free(t);
        TRY(inputs->get(inputs->user, b->name, sink, &given));
        if (s->returned[i] || !tensor_is_aligned(&given)) {
            if (tensor_clone(&given, t) != POFAC_OK) return diag_out_of_memory(sink);
        } else {
            *t = given;
            t->owned = false;
        }
        s->pointers[i] = t->data;
    }
    return POFAC_OK;
}

/* The inputs as the session has taken them, and those that no step reads as they are given. */
typedef struct taken_inputs {
    const plan *plan;
    const ir_tensor *tensors;
    const tensor_source *given;
} taken_inputs;

static pofac_status get_taken(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const taken_inputs *t = user;
    for (size_t i = 0; i < t->plan->n_buffers; i++) {
        if (t->plan->buffers[i].kind != PLAN_INPUT || strcmp(t->plan->buffers[i].name, name) != 0) continue;
        *out = t->tensors[i];
        out->owned = false;
        return POFAC_OK;
    }
    return t->given->get(t->given->user, name, sink, out);
}

static pofac_status bind_symbols(session *s, const tensor_source *inputs, const diag_sink *sink) {
    taken_inputs taken = {s->plan, s->tensors, inputs};
    const tensor_source source = {.get = get_taken, .user = &taken};
    TRY(binding_from_inputs(s->plan->graph, &source, sink, s->binding, s->weights->n_symbols));
    for (size_t i = 0; i < s->weights->n_symbols; i++)
        if (s->weights->counts[i] >= 0) s->binding[i] = s->weights->counts[i];
    return POFAC_OK;
}

static pofac_status grow(char **memory, int64_t *have, int64_t want, const char *what, const diag_sink *sink) {
    if (want <= *have) return POFAC_OK;
    free(*memory);
    *memory = NULL;
    *have = 0;
    void *block;
    const bool is_large = want >= 4 * HUGE_PAGE;
    if (posix_memalign(&block, is_large ? HUGE_PAGE : ALIGNMENT, (size_t)want) != 0)
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "out of memory: %lld bytes of %s for this batch", (long long)want, what);
    if (is_large) (void)madvise(block, (size_t)want / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* else small pages do */
    *memory = block;
    *have = want;
    return POFAC_OK;
}

/* Scratch of one worker: the largest of any step; -1 when it cannot be counted, or a step's work or dims cannot. */
static int64_t count_scratch(const session *s, ir_binding binding) {
    int64_t most = ALIGNMENT;
    for (size_t i = 0; i < s->plan->n_steps; i++) {
        const plan_step *step = &s->plan->steps[i];
        int64_t bytes = dim_eval(step->scratch_bytes, binding);
        if (bytes < 0 || bytes > INT64_MAX / 65536 || dim_eval(step->work, binding) < 0) return -1;
        for (uint32_t d = 0; d < step->n_dims; d++)
            if (dim_eval(step->dims[d], binding) < 0) return -1;
        if (bytes > most) most = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return most;
}

/* Bytes of the arena, its slots, and the scratch of all workers. */
static pofac_status count_room(const session *s, ir_binding binding, const diag_sink *sink, int64_t *slot_bytes,
                               session_memory *out) {
    *out = s->memory;
    int64_t arena_bytes = plan_arena_bytes(s->plan, binding, slot_bytes), scratch = count_scratch(s, binding);
    bool overflow = scratch >= 0 && __builtin_mul_overflow(scratch, (int64_t)thread_pool_threads(s->pool), &out->scratch_bytes);
    if (arena_bytes < 0 || scratch < 0 || overflow)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "the batch is too large: its memory cannot be counted in 63 bits");
    out->arena_bytes = arena_bytes > 0 ? arena_bytes : ALIGNMENT;
    return POFAC_OK;
}

static pofac_status make_room(session *s, const diag_sink *sink) {
    const plan *p = s->plan;
    session_memory need;
    TRY(count_room(s, binding_of(s), sink, s->slot_bytes, &need));
    TRY(grow(&s->arena, &s->memory.arena_bytes, need.arena_bytes, "activations", sink));
    TRY(grow(&s->scratch, &s->memory.scratch_bytes, need.scratch_bytes, "scratch", sink));
    for (uint32_t i = 1; i < p->n_slots; i++) s->slot_start[i] = s->slot_start[i - 1] + s->slot_bytes[i - 1];
    for (size_t i = 0; i < p->n_buffers; i++)
        if (p->buffers[i].kind == PLAN_SLOT) s->pointers[i] = s->arena + s->slot_start[p->buffers[i].slot];
    step_runner_bind(&s->runner, binding_of(s), s->pointers, s->scratch,
                     need.scratch_bytes / (int64_t)thread_pool_threads(s->pool));
    return POFAC_OK;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* How often this thread had to leave a processor to somebody else; -1 when it is not known. */
static long preemptions(void) {
    struct rusage use;
    return getrusage(RUSAGE_THREAD, &use) == 0 ? use.ru_nivcsw : -1;
}

/* The tensor whose memory a buffer is. */
static ir_tensor buffer_tensor(const session *s, uint32_t index) {
    const plan_buffer *b = &s->plan->buffers[index];
    ir_tensor t = s->tensors[index];
    if (b->kind == PLAN_SLOT) {
        t = (ir_tensor){.dtype = b->type->dtype, .rank = b->type->rank, .data = s->pointers[index]};
        for (uint32_t i = 0; i < t.rank; i++) t.dims[i] = dim_eval(b->type->dims[i], binding_of(s));
    }
    t.owned = false;
    return t;
}

/* The tensor that a buffer holds, in rows: a copy of its own of what is in tiles. */
static pofac_status buffer_rows(const session *s, uint32_t index, const diag_sink *sink, ir_tensor *out) {
    const ir_type *type = s->plan->buffers[index].type;
    const ir_tensor t = buffer_tensor(s, index);
    *out = t;
    if (!type_is_tiled(type)) return POFAC_OK;
    if (tensor_alloc(t.dtype, t.rank, t.dims, out) != POFAC_OK) return diag_out_of_memory(sink);
    tensor_from_tiles(type, t.data, out);
    return POFAC_OK;
}

/* Zeroed memory for result number r of a step: its buffer's; memory of its own when nobody reads it, when an input
 * lies there, or when it is wanted in tiles. */
static pofac_status make_result(const session *s, const plan_step *step, const ir_node *node, uint32_t r, const diag_sink *sink,
                                ir_tensor *out) {
    uint32_t buffer = step->buffers[node->n_inputs + r];
    bool aside = buffer == UINT32_MAX || type_is_tiled(s->plan->buffers[buffer].type);
    for (uint32_t i = 0; i < node->n_inputs && !aside; i++)
        aside = step->buffers[i] != UINT32_MAX && s->pointers[step->buffers[i]] == s->pointers[buffer];
    if (!aside) {
        *out = buffer_tensor(s, buffer);
        if (out->data) memset(out->data, 0, tensor_bytes(out));
        return POFAC_OK;
    }
    const ir_type *type = graph_type(s->plan->graph, node_result(node, r));
    int64_t dims[IR_MAX_RANK] = {0};
    for (uint32_t d = 0; d < type->rank; d++) dims[d] = dim_eval(type->dims[d], binding_of(s));
    return tensor_alloc(type->dtype, type->rank, dims, out) == POFAC_OK ? POFAC_OK : diag_out_of_memory(sink);
}

/* What was made aside, to its place. */
static void write_result(const session *s, uint32_t buffer, const ir_tensor *t) {
    const ir_type *type = s->plan->buffers[buffer].type;
    if (type_is_tiled(type)) tensor_to_tiles(type, t, s->pointers[buffer]);
    else if (t->data) memcpy(s->pointers[buffer], t->data, tensor_bytes(t));
}

static pofac_status run_evaluator(session *s, const plan_step *step, const diag_sink *sink) {
    const ir_node *node = &s->plan->graph->nodes.data[step->node];
    ir_tensor *results = s->values + node->n_inputs;
    pofac_status status = POFAC_OK;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        s->evaluator_inputs[i] = NULL;
        s->values[i] = (ir_tensor){0};
        if (step->buffers[i] == UINT32_MAX) continue;
        if (status == POFAC_OK) status = buffer_rows(s, step->buffers[i], sink, &s->values[i]);
        s->evaluator_inputs[i] = &s->values[i];
    }
    for (uint32_t r = 0; r < node->n_results; r++) {
        results[r] = (ir_tensor){0};
        s->evaluator_results[r] = &results[r];
        if (status == POFAC_OK) status = make_result(s, step, node, r, sink, &results[r]);
    }
    ir_eval e = {.module = s->plan->module,
                 .graph = s->plan->graph,
                 .node = node,
                 .input = s->evaluator_inputs,
                 .result = s->evaluator_results,
                 .sink = sink};
    if (status == POFAC_OK) status = op_info(node->op)->eval(&e);
    for (uint32_t r = 0; r < node->n_results; r++) {
        uint32_t buffer = step->buffers[node->n_inputs + r];
        if (status == POFAC_OK && results[r].owned && buffer != UINT32_MAX) write_result(s, buffer, &results[r]);
        tensor_free(&results[r]);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) tensor_free(&s->values[i]);
    return status;
}

/* The evaluator of step i, with its times. */
static pofac_status profile_evaluator(session *s, size_t i, const diag_sink *sink) {
    session_span *spans = s->spans + i * thread_pool_threads(s->pool);
    memset(spans, 0, thread_pool_threads(s->pool) * sizeof *spans);
    int64_t start = now_ns();
    TRY(run_evaluator(s, &s->plan->steps[i], sink));
    int64_t end = now_ns();
    spans[0] = (session_span){start, end};
    s->times_ns[i] += end - start;
    return POFAC_OK;
}

/* Runs step i, and with it what is its series; *next is the step behind. */
static pofac_status run_from(session *s, size_t i, const diag_sink *sink, size_t *next) {
    const step_times times = {s->times_ns, s->spans};
    *next = i + 1;
    if (!plan_step_is_evaluator(&s->plan->steps[i]))
        *next = i + step_runner_run(&s->runner, i, s->alone, s->profile ? &times : NULL);
    else if (s->profile) return profile_evaluator(s, i, sink);
    else return run_evaluator(s, &s->plan->steps[i], sink);
    return POFAC_OK;
}

pofac_status session_run(session *s, const tensor_source *inputs, const diag_sink *sink) {
    s->ran = false;
    TRY(take_inputs(s, inputs, sink));
    TRY(bind_symbols(s, inputs, sink));
    TRY(check_ranges(s, sink));
    TRY(make_room(s, sink));
    pofac_status status = POFAC_OK;
    const long preempted = preemptions();
    for (size_t i = 0; status == POFAC_OK && i < s->plan->n_steps;) status = run_from(s, i, sink, &i);
    if (s->alone) thread_pool_rest(s->pool);
    s->alone = preempted >= 0 && preemptions() == preempted;
    s->ran = status == POFAC_OK;
    return status;
}

pofac_status session_output(const session *s, const char *name, const diag_sink *sink, ir_tensor *out) {
    for (size_t i = 0; s->ran && i < s->plan->n_outputs; i++) {
        if (strcmp(s->plan->outputs[i].name, name) != 0) continue;
        *out = buffer_tensor(s, s->plan->outputs[i].buffer);
        return POFAC_OK;
    }
    if (!s->ran) return diag_error(sink, POFAC_ERR_USAGE, NULL, "output \"%s\" was asked for before a successful run", name);
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "the plan has no output \"%s\"", name);
}

session_memory session_memory_use(const session *s) { return s->memory; }

pofac_status session_memory_at(const session *s, ir_binding binding, const diag_sink *sink, session_memory *out) {
    size_t slots = s->plan->n_slots, symbols = s->weights->n_symbols;
    int64_t *slot_bytes = calloc(slots + 1, sizeof *slot_bytes), *values = calloc(symbols, sizeof *values);
    for (size_t i = 0; values && i < symbols; i++)
        values[i] = s->weights->counts[i] >= 0 ? s->weights->counts[i] : i < binding.size ? binding.value[i] : -1;
    pofac_status status =
        slot_bytes && values ? count_room(s, (ir_binding){values, symbols}, sink, slot_bytes, out) : diag_out_of_memory(sink);
    free(slot_bytes);
    free(values);
    return status;
}

void session_profile(session *s, bool on) {
    s->profile = on;
    memset(s->times_ns, 0, s->plan->n_steps * sizeof *s->times_ns);
}

const int64_t *session_times_ns(const session *s) { return s->times_ns; }

const session_span *session_spans(const session *s) { return s->spans; }

ir_binding session_binding(const session *s) { return binding_of(s); }
