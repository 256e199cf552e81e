/* State and constants -> memory of steps; see bound_weights.h. */
#include "runtime/bound_weights.h"

#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/text_ends.h"
#include "runtime/int8_packing.h"
#include "runtime/int8_sparse_packing.h"
#include "runtime/packing.h"
#include "runtime/sparse_packing.h"
#include "runtime/weight_memory.h"

typedef struct binder {
    const plan *plan;
    const tensor_source *state;
    thread_pool *pool;
    const diag_sink *sink;
    bound_weights *out;
    sparse_packer *packer; /* of the pattern whose buffers are bound one after the other; NULL: they are bound as they come */
} binder;

/* ---- patterns ---- */

static const char *pattern_name(const ir_graph *g, ir_value v) {
    if (v == IR_NO_VALUE || v >= g->values.size || graph_node_of(g, v)->op != OP_pattern) return NULL;
    return node_string(graph_node_of(g, v), "name");
}

/* The pattern whose non-zeros a symbol of the graph counts, by name; NULL: it counts none. */
static const char *counted_pattern(const binder *b, ir_symbol symbol) {
    const ir_context *c = b->plan->module->context;
    return symbol_kind(c, symbol) == SYMBOL_NNZ ? pattern_name(b->plan->graph, symbol_value(c, symbol)) : NULL;
}

/* What a source of packed weights says of a pattern: rows, columns, non-zeros. */
static bool count_packed(const binder *b, const char *name, int64_t shape[3]) {
    const packed_source *packed = b->state->packed;
    return packed && packed->count(packed->user, name, shape);
}

static pofac_status count_pattern(const binder *b, ir_symbol symbol) {
    const char *name = counted_pattern(b, symbol);
    int64_t shape[3];
    ir_tensor pattern;
    if (count_packed(b, name, shape)) {
        b->out->counts[symbol] = shape[2];
        return POFAC_OK;
    }
    TRY(pattern_state_pattern(b->out->patterns, name, b->state, b->sink, &pattern));
    b->out->counts[symbol] = pattern.pattern->nnz;
    return POFAC_OK;
}

/* Counts the non-zeros that the types of the graph speak of. */
static pofac_status count_patterns(const binder *b) {
    for (size_t i = 0; i < b->out->n_symbols; i++) b->out->counts[i] = -1;
    for (ir_symbol symbol = 1; symbol < b->out->n_symbols; symbol++)
        if (counted_pattern(b, symbol)) TRY(count_pattern(b, symbol));
    return POFAC_OK;
}

/* The name of the pattern whose non-zeros a vector type counts; NULL when it is no such type. */
static const char *pattern_name_of_type(const binder *b, const ir_type *t) {
    const ir_symbol symbol = t->kind == TYPE_TENSOR && t->rank == 1 ? t->dims[0].symbol[0] : 0;
    return symbol ? counted_pattern(b, symbol) : NULL;
}

static pofac_status pattern_of_type(const binder *b, const ir_type *t, const ir_pattern **out) {
    const char *name = pattern_name_of_type(b, t);
    ir_tensor pattern;
    *out = NULL;
    if (!name) return POFAC_OK;
    TRY(pattern_state_pattern(b->out->patterns, name, b->state, b->sink, &pattern));
    *out = pattern.pattern;
    return POFAC_OK;
}

/* ---- what fits ---- */

/* Dtype and shape that the graph declares for a state buffer; a dimension that only inputs tell is -1. */
static ir_tensor declared_tensor(const binder *b, const plan_buffer *buffer) {
    ir_tensor t = {.dtype = buffer->type->dtype, .rank = buffer->type->rank};
    for (uint32_t i = 0; i < t.rank; i++)
        t.dims[i] = dim_eval(buffer->type->dims[i], (ir_binding){b->out->counts, b->out->n_symbols});
    return t;
}

static bool same_dims(const ir_tensor *a, const ir_tensor *b) {
    bool same = a->rank == b->rank;
    for (uint32_t i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    return same;
}

static void print_tensor_type(const ir_tensor *t, bool is_pattern, strbuf *out) {
    strbuf_printf(out, "%s[", is_pattern ? "pattern" : dtype_name(t->dtype));
    for (uint32_t i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0) strbuf_puts(out, i ? ",?" : "?");
        else strbuf_printf(out, "%s%lld", i ? "," : "", (long long)t->dims[i]);
    }
    strbuf_putc(out, ']');
}

/* "state w is f32[2,3], wanted f32[3,2]" */
static pofac_status state_unfit(const binder *b, const plan_buffer *buffer, const ir_tensor *found, const ir_tensor *wanted) {
    bool is_pattern = buffer->type->kind == TYPE_PATTERN;
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "%s %s is ", is_pattern ? "pattern" : "state", buffer->name);
    print_tensor_type(found, is_pattern, &text);
    strbuf_puts(&text, ", wanted ");
    print_tensor_type(wanted, is_pattern, &text);
    pofac_status status = diag_error(b->sink, POFAC_ERR_INPUT, NULL, "%s", strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

/* ---- contents ---- */

/* The non-zeros of a dense `content`, in place of it. */
static pofac_status take_non_zeros(const binder *b, const ir_pattern *pattern, ir_dtype dtype, ir_tensor *content) {
    ir_tensor values;
    pofac_status status = tensor_alloc(dtype, 1, &pattern->nnz, &values);
    if (status == POFAC_OK) pattern_take(pattern, content, &values);
    tensor_free(content);
    *content = values;
    return status == POFAC_OK ? POFAC_OK : diag_out_of_memory(b->sink);
}

/* State that runs replace is read and written where it lies. */
static pofac_status check_place(const binder *b, const plan_buffer *buffer, const ir_tensor *found, bool converts) {
    const char *why = !b->state->writable         ? "cannot be written"
                      : converts                  ? "has another form"
                      : !tensor_is_aligned(found) ? "lies where no element may lie"
                                                  : NULL;
    if (!why) return POFAC_OK;
    return diag_error(b->sink, POFAC_ERR_INPUT, NULL, "state %s %s, wanted %s elements that a run can replace where they lie",
                      buffer->name, why, dtype_name(buffer->type->dtype));
}

/* The content of a state buffer, aligned, in the dtype that it is stored in: a view of `found`, or a copy that *out owns. */
static pofac_status take_state(const binder *b, const plan_buffer *buffer, const ir_tensor *found, ir_tensor *out) {
    ir_tensor wanted = declared_tensor(b, buffer);
    const ir_pattern *pattern;
    TRY(pattern_of_type(b, buffer->type, &pattern));
    bool floats = dtype_class(found->dtype) == DTYPE_FLOAT && dtype_class(wanted.dtype) == DTYPE_FLOAT;
    bool dense = pattern && found->rank == 2 && found->dims[0] == pattern->n_rows && found->dims[1] == pattern->n_columns;
    if ((found->dtype != wanted.dtype && !floats) || (!dense && !same_dims(found, &wanted)))
        return state_unfit(b, buffer, found, &wanted);
    *out = *found;
    out->owned = false;
    out->pattern = NULL; /* that of non-zeros, which the plan has as a buffer of its own */
    if (buffer->written) return check_place(b, buffer, found, dense || found->dtype != wanted.dtype);
    if (!tensor_is_aligned(found) && tensor_clone(found, out) != POFAC_OK) return diag_out_of_memory(b->sink);
    const bool takes_dense = buffer->packing == PACKING_SPARSE_VALUES;
    return dense && !takes_dense ? take_non_zeros(b, pattern, wanted.dtype, out) : POFAC_OK;
}

/* The value of a constant node, with or without data in the module. */
static pofac_status get_constant(const binder *b, const plan_buffer *buffer, ir_tensor *out) {
    const ir_node *node = graph_node_of(b->plan->graph, buffer->value);
    int64_t dims[IR_MAX_RANK];
    for (uint32_t i = 0; i < buffer->type->rank; i++) dims[i] = dim_eval(buffer->type->dims[i], (ir_binding){NULL, 0});
    if (tensor_alloc(buffer->type->dtype, buffer->type->rank, dims, out) != POFAC_OK) return diag_out_of_memory(b->sink);
    ir_tensor *result = out;
    ir_eval e = {.module = b->plan->module, .graph = b->plan->graph, .node = node, .result = &result, .sink = b->sink};
    pofac_status status = op_info(node->op)->eval(&e);
    if (status != POFAC_OK) tensor_free(out);
    return status;
}

/* All of `from` as floats of another width. */
static pofac_status convert(const binder *b, const ir_tensor *from, ir_dtype dtype, ir_tensor *out) {
    enum { RUN = 1024 };
    double run[RUN];
    if (tensor_alloc(dtype, from->rank, from->dims, out) != POFAC_OK) return diag_out_of_memory(b->sink);
    int64_t n = tensor_elements(from);
    if (dtype == IR_F32 && n > 0) { /* by all threads */
        const int64_t dims[2] = {from->rank > 1 ? from->dims[0] : 1, from->rank > 1 ? n / from->dims[0] : n};
        const ir_tensor matrix = tensor_view(from->dtype, 2, dims, from->data);
        packing_make(PACKING_NONE, 0, &matrix, b->pool, out->data);
        return POFAC_OK;
    }
    for (int64_t i = 0; i < n; i += RUN) {
        int64_t count = n - i < RUN ? n - i : RUN;
        tensor_get_run(from, i, count, run);
        tensor_set_run(out, i, count, run);
    }
    return POFAC_OK;
}

/* The range of the buffer's weight, f32 [2] or [N,2], which *out owns or its source holds until *name is released; *name: of state. */
static pofac_status get_range(const binder *b, const plan_buffer *buffer, ir_tensor *out, const char **name) {
    const ir_graph *g = b->plan->graph;
    const ir_node *leaf = graph_node_of(g, buffer->range);
    const plan_buffer range = {.kind = leaf->op == OP_state ? PLAN_STATE : PLAN_CONSTANT,
                               .name = leaf->op == OP_state ? node_string(leaf, "name") : NULL,
                               .value = buffer->range,
                               .type = graph_type(g, buffer->range)};
    *name = range.name;
    if (range.kind == PLAN_CONSTANT) return get_constant(b, &range, out);
    ir_tensor found, wanted = declared_tensor(b, &range);
    TRY(b->state->get(b->state->user, range.name, b->sink, &found));
    pofac_status status = POFAC_OK;
    if (found.dtype != IR_F32 || !same_dims(&found, &wanted)) status = state_unfit(b, &range, &found, &wanted);
    else if (tensor_is_aligned(&found)) *out = found, out->owned = false;
    else if (tensor_clone(&found, out) != POFAC_OK) status = diag_out_of_memory(b->sink);
    if (status != POFAC_OK) tensor_source_release(b->state, range.name);
    return status;
}

/* ---- buffers ---- */

/* The first buffer with the same content and packing: often the buffer itself. */
static size_t find_twin(const plan *p, size_t index) {
    const plan_buffer *b = &p->buffers[index];
    for (size_t i = 0; b->name && i < index; i++) {
        const plan_buffer *o = &p->buffers[i];
        if (o->kind == b->kind && o->type == b->type && o->packing == b->packing && o->packing_parameter == b->packing_parameter &&
            o->range == b->range && sparse_layout_equal(&o->sparse, &b->sparse) && o->name && strcmp(o->name, b->name) == 0)
            return i;
    }
    return index;
}

/* Is there no state of this name in the buffers before? */
static bool is_first_of_name(const plan *p, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (p->buffers[i].kind == PLAN_STATE && strcmp(p->buffers[i].name, p->buffers[index].name) == 0) return false;
    return true;
}

/* The buffer's pointer is memory of its own from now on. */
static void own_memory(const binder *b, size_t index, void *memory, size_t bytes) {
    b->out->pointers[index] = memory;
    b->out->own[index] = bytes;
    b->out->own_bytes += (int64_t)bytes;
}

/* The memory is somebody else's from now on. */
static void disown_memory(bound_weights *w, size_t index) {
    w->own_bytes -= (int64_t)w->own[index];
    w->own[index] = 0;
}

/* Packs a pattern, in the memory of before where that will do. */
static pofac_status pack_pattern(const binder *b, sparse_packer *packer, size_t index) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    const bool is_order = buffer->packing == PACKING_SPARSE_ORDER;
    sparse_memory memory = {b->out->own[index] ? b->out->pointers[index] : NULL, b->out->own[index]};
    disown_memory(b->out, index);
    TRY(is_order ? sparse_packer_order(packer, &buffer->sparse, &memory) : sparse_packer_index(packer, &buffer->sparse, &memory));
    own_memory(b, index, memory.data, memory.bytes);
    return POFAC_OK;
}

static pofac_status bind_pattern(const binder *b, size_t index) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    ir_tensor wanted = declared_tensor(b, buffer), *t = &b->out->tensors[index];
    TRY(pattern_state_pattern(b->out->patterns, buffer->name, b->state, b->sink, t));
    if (!same_dims(t, &wanted)) return state_unfit(b, buffer, t, &wanted);
    if (buffer->packing == PACKING_NONE) return POFAC_OK;
    sparse_packer *packer = b->packer;
    const ir_pattern *pattern = t->pattern;
    *t = (ir_tensor){0}; /* no evaluator sees it */
    if (packer) return pack_pattern(b, packer, index);
    TRY(sparse_packer_create(pattern, buffer->name, b->pool, b->sink, &packer));
    const pofac_status status = pack_pattern(b, packer, index);
    sparse_packer_destroy(packer);
    return status;
}

/* Takes over `content`: the non-zeros or the dense weight. */
static pofac_status keep_non_zeros(const binder *b, size_t index, ir_tensor *content) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    const ir_pattern *pattern;
    float *values = NULL;
    int64_t bytes = 0;
    pofac_status status = pattern_of_type(b, buffer->type, &pattern);
    if (status == POFAC_OK)
        status = sparse_values_make(&buffer->sparse, pattern, content, buffer->name, b->pool, b->sink, &values, &bytes);
    if (status == POFAC_OK) own_memory(b, index, values, (size_t)bytes);
    tensor_free(content);
    return status;
}

/* Takes over `content`. */
static pofac_status keep_rows(const binder *b, size_t index, ir_tensor *content) {
    ir_tensor *t = &b->out->tensors[index];
    ir_dtype dtype = b->plan->buffers[index].type->dtype;
    *t = *content;
    if (content->dtype != dtype) {
        pofac_status status = convert(b, content, dtype, t);
        tensor_free(content);
        TRY(status);
    }
    if (t->owned) b->out->own_bytes += (int64_t)tensor_bytes(t);
    b->out->pointers[index] = t->data;
    return POFAC_OK;
}

/* Likewise. */
static pofac_status keep_packed(const binder *b, size_t index, ir_tensor *content) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    bool is_matrix = content->rank == 2 && dtype_class(content->dtype) == DTYPE_FLOAT;
    int64_t bytes = is_matrix ? packing_bytes(buffer->packing, buffer->packing_parameter, content->dims[0], content->dims[1]) : -1;
    size_t room = bytes > 0 ? (size_t)bytes : WEIGHT_MEMORY_ALIGNMENT;
    void *memory = NULL;
    pofac_status status = POFAC_OK;
    if (bytes < 0) {
        strbuf text = STRBUF_INIT;
        print_tensor_type(content, false, &text);
        status = diag_error(b->sink, POFAC_ERR_INPUT, NULL, "%s is %s, packing \"%s\" wants a matrix of floats below 2^63 bytes",
                            buffer->name ? buffer->name : "a constant", strbuf_str(&text), plan_packing_name(buffer->packing));
        strbuf_free(&text);
    } else if (!(memory = weight_memory_take(room))) {
        status = diag_out_of_memory(b->sink);
    } else {
        own_memory(b, index, memory, room);
        packing_make(buffer->packing, buffer->packing_parameter, content, b->pool, memory);
    }
    tensor_free(content);
    return status;
}

static pofac_status pack_int8_panels(const binder *b, size_t index, const char *name, const ir_tensor *content,
                                     const ir_tensor *range) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    const bool is_matrix = content->rank == 2 && dtype_class(content->dtype) == DTYPE_FLOAT;
    const int64_t bytes =
        is_matrix ? int8_panels_bytes(buffer->packing, buffer->packing_parameter, content->dims[0], content->dims[1]) : -1;
    const size_t room = bytes > 0 ? (size_t)bytes : WEIGHT_MEMORY_ALIGNMENT;
    if (bytes < 0) return diag_error(b->sink, POFAC_ERR_INPUT, NULL, "%s: wanted a matrix of floats below 2^63 bytes", name);
    void *memory = weight_memory_take(room);
    if (!memory) return diag_out_of_memory(b->sink);
    own_memory(b, index, memory, room);
    int8_panels_make(buffer->packing, buffer->packing_parameter, content, range, b->pool, memory);
    return POFAC_OK;
}

/* content: the non-zeros. */
static pofac_status pack_int8_sparse(const binder *b, size_t index, const char *name, const ir_tensor *content,
                                     const ir_tensor *range) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    const ir_pattern *pattern;
    sparse_header *packed;
    TRY(pattern_of_type(b, buffer->type, &pattern));
    if (!pattern) return diag_error(b->sink, POFAC_ERR_INPUT, NULL, "%s: wanted the non-zeros of a pattern", name);
    TRY(int8_sparse_make(&buffer->sparse, pattern, content, range, name, b->pool, b->sink, &packed));
    own_memory(b, index, packed, packed->bytes);
    return POFAC_OK;
}

static pofac_status pack_quantized(const binder *b, size_t index, const ir_tensor *content, const ir_tensor *range) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    const char *name = buffer->name ? buffer->name : "a constant";
    if (int8_range_is_none(range))
        return diag_error(b->sink, POFAC_ERR_INPUT, NULL,
                          "%s: its range is empty, wanted the least and the greatest of its numbers", name);
    return buffer->packing == PACKING_INT8_SPARSE ? pack_int8_sparse(b, index, name, content, range)
                                                  : pack_int8_panels(b, index, name, content, range);
}

/* Takes over `content`. */
static pofac_status keep_quantized(const binder *b, size_t index, ir_tensor *content) {
    ir_tensor range = {0};
    const char *range_name;
    pofac_status status = get_range(b, &b->plan->buffers[index], &range, &range_name);
    if (status == POFAC_OK) {
        status = pack_quantized(b, index, content, &range);
        tensor_free(&range);
        if (range_name) tensor_source_release(b->state, range_name);
    }
    tensor_free(content);
    return status;
}

/* Takes over `content`. */
static pofac_status keep(const binder *b, size_t index, ir_tensor *content) {
    switch (b->plan->buffers[index].packing) {
    case PACKING_NONE: return keep_rows(b, index, content);
    case PACKING_INT8_PANELS:
    case PACKING_INT8_TILES:
    case PACKING_INT8_SPARSE: return keep_quantized(b, index, content);
    case PACKING_SPARSE_VALUES: return keep_non_zeros(b, index, content);
    default: return keep_packed(b, index, content);
    }
}

/* A view that stays in use is held; what was packed, converted or copied is released. */
static pofac_status bind_state(const binder *b, size_t index) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    const ir_tensor *kept = &b->out->tensors[index];
    ir_tensor found, content;
    TRY(b->state->get(b->state->user, buffer->name, b->sink, &found));
    pofac_status status = take_state(b, buffer, &found, &content);
    if (status == POFAC_OK && is_first_of_name(b->plan, index)) b->out->mapped_bytes += (int64_t)tensor_bytes(&found);
    if (status == POFAC_OK) status = keep(b, index, &content);
    b->out->held[index] = status == POFAC_OK && kept->data && !kept->owned;
    if (!b->out->held[index]) tensor_source_release(b->state, buffer->name);
    return status;
}

static pofac_status bind_constant(const binder *b, size_t index) {
    ir_tensor content;
    TRY(get_constant(b, &b->plan->buffers[index], &content));
    return keep(b, index, &content);
}

/* Takes what is packed already; false: it is not. */
static bool bind_packed(const binder *b, size_t index) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    const packed_source *packed = b->state->packed;
    size_t n_bytes = 0;
    if (!packed || buffer->kind != PLAN_STATE || buffer->packing == PACKING_NONE || buffer->written) return false;
    const void *content = packed->find(packed->user, buffer, &n_bytes);
    if (!content) return false;
    b->out->pointers[index] = (void *)content; /* kernels only read it */
    b->out->mapped_bytes += (int64_t)n_bytes;
    return true;
}

static pofac_status bind_buffer(const binder *b, size_t index) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    if (bind_packed(b, index)) return POFAC_OK;
    if (buffer->type->kind == TYPE_PATTERN) return bind_pattern(b, index);
    return buffer->kind == PLAN_STATE ? bind_state(b, index) : bind_constant(b, index);
}

static void bind_twin(const binder *b, size_t index, size_t twin) {
    b->out->pointers[index] = b->out->pointers[twin];
    b->out->tensors[index] = b->out->tensors[twin];
    b->out->tensors[index].owned = false;
}

/* ---- order ---- */

/* A buffer to be bound, and what it takes. */
typedef struct bound_size {
    size_t index;
    double bytes; /* a declared shape may be beyond 63 bits */
    bool packed;
} bound_size;

/* The largest first. Rows before what is packed from them, so that they need not be made again. */
static int by_size(const void *a, const void *b) {
    const bound_size *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    if (x->packed != y->packed) return x->packed ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static bool is_bound(const plan *p, size_t index) {
    return p->buffers[index].kind == PLAN_STATE || p->buffers[index].kind == PLAN_CONSTANT;
}

/* Buffers without a twin among those before them, in the order in which they are bound; returns how many. */
static size_t order_buffers(const binder *b, bound_size *order) {
    const plan *p = b->plan;
    size_t n = 0;
    for (size_t i = 0; i < p->n_buffers; i++) {
        if (!is_bound(p, i) || find_twin(p, i) != i) continue;
        const ir_tensor t = declared_tensor(b, &p->buffers[i]);
        bound_size *s = &order[n++];
        *s = (bound_size){.index = i, .bytes = dtype_bits(t.dtype) / 8.0, .packed = p->buffers[i].packing != PACKING_NONE};
        for (uint32_t d = 0; d < t.rank; d++) s->bytes *= (double)t.dims[d];
    }
    qsort(order, n, sizeof *order, by_size);
    return n;
}

static pofac_status bind_all(const binder *b) {
    const plan *p = b->plan;
    bound_size *order = calloc(p->n_buffers + 1, sizeof *order);
    if (!order) return diag_out_of_memory(b->sink);
    size_t n = order_buffers(b, order);
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < n; i++) status = bind_buffer(b, order[i].index);
    free(order);
    TRY(status);
    for (size_t i = 0; i < p->n_buffers; i++)
        if (is_bound(p, i)) {
            size_t twin = find_twin(p, i);
            if (twin != i) bind_twin(b, i, twin);
        }
    return POFAC_OK;
}

/* Does an evaluator see the pattern? */
static bool is_pattern_seen(const plan *p, const char *name) {
    for (size_t i = 0; i < p->n_buffers; i++)
        if (p->buffers[i].type->kind == TYPE_PATTERN && p->buffers[i].packing == PACKING_NONE &&
            strcmp(p->buffers[i].name, name) == 0)
            return true;
    return false;
}

/* Positions that are packed by now, or were only counted, need no memory any more. */
static void release_patterns(const binder *b) {
    for (ir_symbol symbol = 1; symbol < b->out->n_symbols; symbol++) {
        const char *name = counted_pattern(b, symbol);
        if (name && !is_pattern_seen(b->plan, name)) pattern_state_release(b->out->patterns, name);
    }
    for (size_t i = 0; i < b->plan->n_buffers; i++) {
        const plan_buffer *buffer = &b->plan->buffers[i];
        if (buffer->type->kind == TYPE_PATTERN && !is_pattern_seen(b->plan, buffer->name))
            pattern_state_release(b->out->patterns, buffer->name);
    }
}

pofac_status bound_weights_make(const plan *p, const tensor_source *state, thread_pool *pool, const diag_sink *sink,
                                bound_weights *out) {
    size_t n = p->n_buffers ? p->n_buffers : 1;
    *out = (bound_weights){.n_symbols = context_n_symbols(p->module->context) + 1, .state = state};
    out->tensors = calloc(n, sizeof *out->tensors);
    out->pointers = calloc(n, sizeof *out->pointers);
    out->own = calloc(n, sizeof *out->own);
    out->held = calloc(n, sizeof *out->held);
    out->counts = calloc(out->n_symbols, sizeof *out->counts);
    out->patterns = pattern_state_create();
    if (!out->tensors || !out->pointers || !out->own || !out->held || !out->counts || !out->patterns)
        return diag_out_of_memory(sink);
    const binder b = {p, state, pool, sink, out, NULL};
    TRY(count_patterns(&b));
    TRY(bind_all(&b));
    release_patterns(&b);
    return POFAC_OK;
}

/* ---- again ---- */

static void free_buffer(const plan *p, bound_weights *w, size_t index) {
    if (w->tensors && w->tensors[index].owned) w->own_bytes -= (int64_t)tensor_bytes(&w->tensors[index]);
    if (w->own && w->own[index]) {
        weight_memory_give(w->pointers[index], w->own[index]);
        disown_memory(w, index);
    }
    if (w->held && w->held[index]) {
        if (is_first_of_name(p, index)) w->mapped_bytes -= (int64_t)tensor_bytes(&w->tensors[index]);
        tensor_source_release(w->state, p->buffers[index].name);
        w->held[index] = false;
    }
    if (w->tensors) tensor_free(&w->tensors[index]);
}

/* The name of the pattern that a buffer is, or whose non-zeros it has. */
static const char *pattern_of_buffer(const binder *b, size_t index) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    if (buffer->kind != PLAN_STATE) return NULL;
    return buffer->type->kind == TYPE_PATTERN ? buffer->name : pattern_name_of_type(b, buffer->type);
}

static bool is_packed_pattern(const plan_buffer *buffer) {
    return buffer->type->kind == TYPE_PATTERN && buffer->packing != PACKING_NONE;
}

/* Is there a buffer before with the layout of this one, of the same pattern? It was bound with that. */
static bool has_layout_before(const binder *b, const char *name, size_t index) {
    const plan_buffer *buffer = &b->plan->buffers[index];
    for (size_t i = 0; i < index; i++) {
        const plan_buffer *other = &b->plan->buffers[i];
        if (is_packed_pattern(other) && strcmp(other->name, name) == 0 && sparse_layout_equal(&other->sparse, &buffer->sparse))
            return true;
    }
    return false;
}

static pofac_status renew_buffer(const binder *b, size_t index) {
    const size_t twin = find_twin(b->plan, index);
    if (!is_packed_pattern(&b->plan->buffers[index])) free_buffer(b->plan, b->out, index);
    if (twin == index) return bind_buffer(b, index);
    bind_twin(b, index, twin);
    return POFAC_OK;
}

/* The buffers that have to do with a pattern whose positions are known again; those of one layout follow each other. */
static pofac_status renew_buffers(const binder *b, const char *name) {
    const plan *p = b->plan;
    for (size_t i = 0; i < p->n_buffers; i++) {
        const char *of_buffer = pattern_of_buffer(b, i);
        if (!of_buffer || strcmp(of_buffer, name) != 0) continue;
        if (!is_packed_pattern(&p->buffers[i])) {
            TRY(renew_buffer(b, i));
            continue;
        }
        if (has_layout_before(b, name, i)) continue;
        for (size_t k = i; k < p->n_buffers; k++)
            if (is_packed_pattern(&p->buffers[k]) && strcmp(p->buffers[k].name, name) == 0 &&
                sparse_layout_equal(&p->buffers[k].sparse, &p->buffers[i].sparse))
                TRY(renew_buffer(b, k));
    }
    return POFAC_OK;
}

static pofac_status renew_pattern(const binder *b, const char *name) {
    binder packing = *b;
    ir_tensor pattern;
    pattern_state_release(b->out->patterns, name);
    for (ir_symbol symbol = 1; symbol < b->out->n_symbols; symbol++) {
        const char *counted = counted_pattern(b, symbol);
        if (counted && strcmp(counted, name) == 0) TRY(count_pattern(b, symbol));
    }
    TRY(pattern_state_pattern(b->out->patterns, name, b->state, b->sink, &pattern));
    TRY(sparse_packer_create(pattern.pattern, name, b->pool, b->sink, &packing.packer));
    const pofac_status status = renew_buffers(&packing, name);
    sparse_packer_destroy(packing.packer);
    TRY(status);
    if (!is_pattern_seen(b->plan, name)) pattern_state_release(b->out->patterns, name);
    return POFAC_OK;
}

/* Is the pattern of buffer `index` not that of one before it? */
static bool is_first_of_pattern(const binder *b, size_t index) {
    const char *name = pattern_of_buffer(b, index);
    for (size_t i = 0; i < index; i++) {
        const char *other = pattern_of_buffer(b, i);
        if (other && strcmp(other, name) == 0) return false;
    }
    return true;
}

pofac_status bound_weights_renew(const plan *p, const char *ending, thread_pool *pool, const diag_sink *sink, bound_weights *w) {
    const binder b = {p, w->state, pool, sink, w, NULL};
    for (size_t i = 0; i < p->n_buffers; i++) {
        const char *name = pattern_of_buffer(&b, i);
        if (!name || !text_ends_with(name, ending)) continue;
        if (is_first_of_pattern(&b, i)) TRY(renew_pattern(&b, name));
    }
    return POFAC_OK;
}

void bound_weights_free(const plan *p, bound_weights *w) {
    for (size_t i = 0; i < p->n_buffers; i++) free_buffer(p, w, i);
    pattern_state_destroy(w->patterns);
    free(w->tensors);
    free(w->pointers);
    free(w->own);
    free(w->held);
    free(w->counts);
    *w = (bound_weights){0};
}
