/*
 * Leaves of graphs -> writable tensors by name; see state_store.h.
 *
 * Each tensor has memory of its own, in huge pages where it is large: updates and packing stream through all of it in every step, and
 * it is made once for a whole run. Positions of patterns come from the dense weights, through the cache of runtime/pattern_state.h, so
 * a weight, its moments and its sum of gradients point to one pattern.
 */
#include "runtime/state_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ir/op.h"
#include "ir/quantization.h"
#include "ir/support/strmap.h"
#include "ir/support/vector.h"
#include "runtime/pattern_state.h"
#include "runtime/weight_memory.h"

#define HUGE_PAGE ((size_t)1 << 21)

/* What an entry is with what nobody else sees of it. */
typedef struct stored {
    state_entry entry;
    const char *mask; /* whose elements the tensor has; NULL: it has those of no mask */
} stored;

struct state_store {
    strmap index; /* name -> place in entries; its keys are their names */
    VEC(stored *) entries;
    pattern_state *patterns;
    const tensor_source *initial; /* of frozen state */
    tensor_source source;
    uint64_t masks_version;
};

typedef struct store_builder {
    state_store *store;
    const tensor_source *initial;
    const diag_sink *sink;
} store_builder;

/* ---- names ---- */

const char *state_parameter_of(const char *name, size_t *length) {
    static const char *const endings[] = {".exp_avg", ".exp_avg_sq", ".momentum_buffer", IR_MASK, IR_SCORES, STATE_THRESHOLD},
                             begin[] = "gradient.";
    *length = strlen(name);
    if (strncmp(name, begin, sizeof begin - 1) == 0 && *length > sizeof begin - 1) {
        *length -= sizeof begin - 1;
        return name + sizeof begin - 1;
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t ending = strlen(endings[i]);
        if (*length <= ending || strcmp(name + *length - ending, endings[i]) != 0) continue;
        *length -= ending;
        return name;
    }
    return NULL;
}

static bool ends_with(const char *name, const char *ending) {
    const size_t n = strlen(name), k = strlen(ending);
    return n > k && strcmp(name + n - k, ending) == 0;
}

static bool is_frozen(const char *name) { return strncmp(name, IR_FROZEN, sizeof IR_FROZEN - 1) == 0; }
bool state_is_mask(const char *name) { return ends_with(name, IR_MASK) && !is_frozen(name); }

bool state_is_range(const char *name) {
    return (ends_with(name, IR_INPUT_RANGE) || ends_with(name, IR_WEIGHT_RANGE) || ends_with(name, IR_OUTPUT_RANGE)) &&
           !is_frozen(name);
}

/* ---- memory ---- */

static size_t room_of(const ir_tensor *t) {
    const size_t bytes = tensor_bytes(t);
    return bytes ? bytes : WEIGHT_MEMORY_ALIGNMENT;
}

/* Undefined content. */
static pofac_status take_memory(const store_builder *b, ir_tensor *t) {
    const size_t room = room_of(t);
    t->data = weight_memory_take(room);
    if (!t->data) return diag_out_of_memory(b->sink);
    const uintptr_t first = ((uintptr_t)t->data + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, end = (uintptr_t)t->data + room;
    if (first + HUGE_PAGE <= end)
        (void)madvise((void *)first, (end - first) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* else small ones do */
    return POFAC_OK;
}

/* ---- shapes ---- */

static void print_shape(const ir_tensor *t, strbuf *out) {
    strbuf_printf(out, "%s[", dtype_name(t->dtype));
    for (uint32_t i = 0; i < t->rank; i++) strbuf_printf(out, i ? ",%lld" : "%lld", (long long)t->dims[i]);
    strbuf_putc(out, ']');
}

/* "state w is f32[2,3], wanted f32[3,2]" */
static pofac_status unfit(const store_builder *b, const char *name, const ir_tensor *found, const ir_tensor *wanted) {
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "state %s is ", name);
    print_shape(found, &text);
    strbuf_puts(&text, ", wanted ");
    print_shape(wanted, &text);
    pofac_status status = diag_error(b->sink, POFAC_ERR_INPUT, NULL, "%s", strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

static bool same_shape(const ir_tensor *a, const ir_tensor *b) {
    return a->rank == b->rank && (a->rank == 0 || memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0);
}

static pofac_status check_bytes(const store_builder *b, const char *name, const ir_tensor *t) {
    int64_t bits = dtype_bits(t->dtype); /* as tensor_bytes counts */
    for (uint32_t i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(bits, t->dims[i], &bits))
            return diag_error(b->sink, POFAC_ERR_INPUT, NULL, "state %s: its bytes cannot be counted in 63 bits", name);
    return POFAC_OK;
}

/* The tensor of a leaf of numbers, without memory. */
static pofac_status dense_shape_of(const store_builder *b, const char *name, ir_dtype dtype, const ir_type *type, ir_tensor *out) {
    *out = (ir_tensor){.dtype = dtype, .rank = type->rank};
    for (uint32_t i = 0; i < type->rank; i++)
        if (!dim_is_const(type->dims[i], &out->dims[i]))
            return diag_error(b->sink, POFAC_ERR_INPUT, NULL,
                              "state %s: dimension %u is no number and counts no pattern's non-zeros, wanted one of these", name,
                              i);
    return check_bytes(b, name, out);
}

/* The same of any leaf, with its pattern; *mask is the mask's name where the pattern is one. */
static pofac_status shape_of(const store_builder *b, const ir_graph *g, const ir_node *leaf, ir_tensor *out, const char **mask) {
    const ir_type *type = graph_type(g, leaf->first_result);
    const ir_context *c = g->module->context;
    const char *name = node_string(leaf, "name");
    const ir_symbol symbol = type->rank == 1 ? type->dims[0].symbol[0] : 0;
    const ir_node *maker = symbol && symbol_kind(c, symbol) == SYMBOL_NNZ ? graph_node_of(g, symbol_value(c, symbol)) : NULL;
    *mask = NULL;
    if (!maker || maker->op != OP_pattern || !dim_equal(type->dims[0], dim_symbol(symbol)))
        return dense_shape_of(b, name, type->dtype, type, out);
    const char *pattern_name = node_string(maker, "name");
    ir_tensor pattern;
    if (state_is_mask(pattern_name)) *mask = pattern_name;
    TRY(pattern_state_pattern(b->store->patterns, pattern_name, *mask ? &b->store->source : b->initial, b->sink, &pattern));
    *out = (ir_tensor){.dtype = type->dtype, .rank = 1, .dims = {pattern.pattern->nnz}, .pattern = pattern.pattern};
    return check_bytes(b, name, out);
}

/* ---- contents ---- */

static void copy_elements(const ir_tensor *from, ir_tensor *to) {
    enum { RUN = 1024 };
    double run[RUN];
    const int64_t n = tensor_elements(to);
    if (from->dtype == to->dtype) {
        if (n > 0) memcpy(to->data, from->data, tensor_bytes(to));
        return;
    }
    for (int64_t i = 0; i < n; i += RUN) {
        const int64_t count = n - i < RUN ? n - i : RUN;
        tensor_get_run(from, i, count, run);
        tensor_set_run(to, i, count, run);
    }
}

/* `to` has memory. */
static pofac_status copy_initial(const store_builder *b, const char *name, const ir_tensor *found, ir_tensor *to) {
    const ir_pattern *p = to->pattern;
    const bool floats = dtype_class(found->dtype) == DTYPE_FLOAT && dtype_class(to->dtype) == DTYPE_FLOAT;
    const bool dense = p && found->rank == 2 && found->dims[0] == p->n_rows && found->dims[1] == p->n_columns;
    if ((found->dtype != to->dtype && !floats) || (!dense && !same_shape(found, to))) return unfit(b, name, found, to);
    ir_tensor copy = {0};
    if (!tensor_is_aligned(found) && tensor_clone(found, &copy) != POFAC_OK) return diag_out_of_memory(b->sink);
    const ir_tensor *from = copy.data ? &copy : found;
    if (dense) pattern_take(p, from, to);
    else copy_elements(from, to);
    tensor_free(&copy);
    return POFAC_OK;
}

/* Pairs of least and greatest: nothing was seen. */
static void fill_ranges(ir_tensor *to) {
    for (int64_t i = 0; i < tensor_elements(to); i++) tensor_set(to, i, i % 2 ? VALUE_RANGE_NONE.max : VALUE_RANGE_NONE.min);
}

static pofac_status fill(const store_builder *b, const char *name, ir_tensor *to) {
    ir_tensor found;
    size_t length;
    if (state_is_range(name)) {
        fill_ranges(to);
        return POFAC_OK;
    }
    if (state_parameter_of(name, &length)) {
        memset(to->data, state_is_mask(name), tensor_bytes(to));
        return POFAC_OK;
    }
    TRY(b->initial->get(b->initial->user, name, b->sink, &found));
    const pofac_status status = copy_initial(b, name, &found, to);
    tensor_source_release(b->initial, name);
    return status;
}

/* ---- entries ---- */

static void free_data(ir_tensor *t) {
    if (t->data) weight_memory_give(t->data, room_of(t));
    t->data = NULL;
}

static void free_entry(stored *e) {
    free_data(&e->entry.tensor);
    free(e);
}

static stored *find_stored(const state_store *s, const char *name) {
    const strmap_entry *e = strmap_get(&s->index, name, strlen(name));
    return e ? s->entries.data[e->value] : NULL;
}

static pofac_status add_entry(const store_builder *b, const char *name, const ir_tensor *shape, const char *mask) {
    state_store *s = b->store;
    stored *e = calloc(1, sizeof *e);
    const bool has_room = e && VEC_RESERVE(&s->entries, s->entries.size + 1);
    const strmap_entry *entry = has_room ? strmap_put(&s->index, name, strlen(name), s->entries.size, NULL) : NULL;
    if (!entry) {
        free(e);
        return diag_out_of_memory(b->sink);
    }
    s->entries.data[s->entries.size++] = e;
    e->mask = mask ? find_stored(s, mask)->entry.name : NULL;
    e->entry = (state_entry){entry->key, *shape};
    TRY(take_memory(b, &e->entry.tensor));
    return fill(b, e->entry.name, &e->entry.tensor);
}

static pofac_status enter(const store_builder *b, const char *name, const ir_tensor *shape, const char *mask) {
    const state_entry *known = state_store_find(b->store, name);
    if (!known) return add_entry(b, name, shape, mask);
    if (known->tensor.dtype == shape->dtype && known->tensor.pattern == shape->pattern && same_shape(&known->tensor, shape))
        return POFAC_OK;
    return unfit(b, name, &known->tensor, shape);
}

/* A weight's mask and its threshold. */
static pofac_status add_mask(const store_builder *b, const ir_graph *g, const ir_node *leaf) {
    const char *name = node_string(leaf, "name");
    const ir_tensor scalar = {.dtype = IR_F32};
    ir_tensor shape;
    strbuf threshold = STRBUF_INIT;
    TRY(dense_shape_of(b, name, IR_U8, graph_type(g, leaf->first_result), &shape));
    TRY(enter(b, name, &shape, NULL));
    strbuf_printf(&threshold, "%.*s" STATE_THRESHOLD, (int)(strlen(name) - strlen(IR_MASK)), name);
    pofac_status status = strbuf_ok(&threshold) ? enter(b, strbuf_str(&threshold), &scalar, NULL) : diag_out_of_memory(b->sink);
    strbuf_free(&threshold);
    return status;
}

static pofac_status add_leaf(const store_builder *b, const ir_graph *g, const ir_node *leaf) {
    const char *name = node_string(leaf, "name"), *mask;
    ir_tensor shape;
    if (is_frozen(name) || (leaf->op == OP_pattern && !state_is_mask(name))) return POFAC_OK;
    if (leaf->op == OP_pattern) return add_mask(b, g, leaf);
    TRY(shape_of(b, g, leaf, &shape, &mask));
    return enter(b, name, &shape, mask);
}

static pofac_status add_leaves(const store_builder *b, const ir_module *m) {
    for (size_t i = 0; i < m->graphs.size; i++)
        for (size_t k = 0; k < m->graphs.data[i]->nodes.size; k++)
            if (m->graphs.data[i]->nodes.data[k].op == OP_state || m->graphs.data[i]->nodes.data[k].op == OP_pattern)
                TRY(add_leaf(b, m->graphs.data[i], &m->graphs.data[i]->nodes.data[k]));
    return POFAC_OK;
}

static pofac_status get_entry(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const state_store *s = user;
    const stored *e = find_stored(s, name);
    if (!e && is_frozen(name)) return s->initial->get(s->initial->user, name, sink, out);
    if (!e) return diag_error(sink, POFAC_ERR_INPUT, NULL, "there is no state \"%s\" in the training run", name);
    *out = e->entry.tensor;
    return POFAC_OK;
}

static void release_entry(void *user, const char *name) {
    const state_store *s = user;
    if (is_frozen(name) && !find_stored(s, name)) tensor_source_release(s->initial, name);
}

pofac_status state_store_create(const ir_module *m, const tensor_source *initial, const diag_sink *sink, state_store **out) {
    *out = NULL;
    state_store *s = calloc(1, sizeof *s);
    if (!s) return diag_out_of_memory(sink);
    s->index = (strmap)STRMAP_INIT;
    s->source = (tensor_source){.get = get_entry, .user = s, .release = release_entry, .writable = true};
    s->initial = initial;
    s->patterns = pattern_state_create();
    const store_builder b = {s, initial, sink};
    const pofac_status status = s->patterns ? add_leaves(&b, m) : diag_out_of_memory(sink);
    if (status == POFAC_OK) *out = s;
    else state_store_destroy(s);
    return status;
}

void state_store_destroy(state_store *s) {
    if (!s) return;
    for (size_t i = 0; i < s->entries.size; i++) free_entry(s->entries.data[i]);
    VEC_FREE(&s->entries);
    strmap_free(&s->index);
    pattern_state_destroy(s->patterns);
    free(s);
}

const tensor_source *state_store_source(state_store *s) { return &s->source; }

/* ---- masks ---- */

pofac_status state_store_masks_changed(state_store *s, const diag_sink *sink) {
    const store_builder b = {.store = s, .sink = sink};
    s->masks_version++;
    for (size_t i = 0; i < s->entries.size; i++) { /* all of them go before any comes back */
        if (!s->entries.data[i]->mask) continue;
        free_data(&s->entries.data[i]->entry.tensor);
        s->entries.data[i]->entry.tensor.dims[0] = 0;
        pattern_state_release(s->patterns, s->entries.data[i]->mask);
    }
    for (size_t i = 0; i < s->entries.size; i++) {
        stored *e = s->entries.data[i];
        ir_tensor pattern, *t = &e->entry.tensor;
        if (!e->mask) continue;
        TRY(pattern_state_pattern(s->patterns, e->mask, &s->source, sink, &pattern));
        t->pattern = pattern.pattern;
        t->dims[0] = pattern.pattern->nnz;
        TRY(take_memory(&b, t));
        memset(t->data, 0, tensor_bytes(t));
    }
    return POFAC_OK;
}

const uint8_t *state_store_mask(const state_store *s, const char *name) {
    for (size_t i = 0; i < s->entries.size; i++) {
        size_t length;
        const state_entry *e = &s->entries.data[i]->entry;
        const char *weight = state_is_mask(e->name) ? state_parameter_of(e->name, &length) : NULL;
        if (weight && strlen(name) == length && memcmp(weight, name, length) == 0) return e->tensor.data;
    }
    return NULL;
}

uint64_t state_store_masks_version(const state_store *s) { return s->masks_version; }

/* ---- ranges ---- */

static bool is_range(const stored *e) { return state_is_range(e->entry.name) && e->entry.tensor.dtype == IR_F32; }

int64_t state_store_count_ranges(const state_store *s) {
    int64_t n = 0;
    for (size_t i = 0; i < s->entries.size; i++)
        if (is_range(s->entries.data[i])) n += tensor_elements(&s->entries.data[i]->entry.tensor);
    return n;
}

void state_store_save_ranges(const state_store *s, float *out) {
    for (size_t i = 0; i < s->entries.size; i++) {
        const ir_tensor *t = &s->entries.data[i]->entry.tensor;
        if (!is_range(s->entries.data[i])) continue;
        memcpy(out, t->data, tensor_bytes(t));
        out += tensor_elements(t);
    }
}

void state_store_restore_ranges(state_store *s, const float *ranges) {
    for (size_t i = 0; i < s->entries.size; i++) {
        const ir_tensor *t = &s->entries.data[i]->entry.tensor;
        if (!is_range(s->entries.data[i])) continue;
        memcpy(t->data, ranges, tensor_bytes(t));
        ranges += tensor_elements(t);
    }
}

/* ---- sizes ---- */

size_t state_store_size(const state_store *s) { return s->entries.size; }

state_entry *state_store_at(state_store *s, size_t i) { return &s->entries.data[i]->entry; }

state_entry *state_store_find(state_store *s, const char *name) {
    stored *e = find_stored(s, name);
    return e ? &e->entry : NULL;
}

int64_t state_store_bytes(const state_store *s) {
    int64_t bytes = 0;
    for (size_t i = 0; i < s->entries.size; i++) bytes += (int64_t)tensor_bytes(&s->entries.data[i]->entry.tensor);
    return bytes;
}

/* A pattern counts with the first entry that points to it. */
int64_t state_store_pattern_bytes(const state_store *s) {
    int64_t bytes = 0;
    for (size_t i = 0; i < s->entries.size; i++) {
        const ir_pattern *p = s->entries.data[i]->entry.tensor.pattern;
        bool is_first = p != NULL;
        for (size_t k = 0; k < i && is_first; k++) is_first = s->entries.data[k]->entry.tensor.pattern != p;
        if (is_first) bytes += (p->n_rows + 1) * (int64_t)sizeof *p->row_start + p->nnz * (int64_t)sizeof *p->column;
    }
    return bytes;
}
