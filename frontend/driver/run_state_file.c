/* The state of a run in files; see run_state_file.h. */
#include "frontend/driver/run_state_file.h"

#include <string.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/model_save.h"
#include "ir/support/arena.h"
#include "ir/support/vector.h"

#define PATTERN_PREFIX "pattern."
#define SUM_PREFIX "gradient."

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static int64_t bytes_of_row(const ir_pattern *p) { return (p->n_columns + 7) / 8; }

/* ---- writing ---- */

/* Bytes [first, first + count) of a pattern's bits. */
static pofac_status fill_bits(void *user, int64_t first, int64_t count, void *out) {
    const ir_pattern *p = user;
    const int64_t width = bytes_of_row(p);
    unsigned char *bytes = out;
    memset(bytes, 0, (size_t)count);
    for (int64_t row = first / width; row < p->n_rows && row * width < first + count; row++) {
        for (int64_t i = p->row_start[row]; i < p->row_start[row + 1]; i++) {
            const int64_t at = row * width + p->column[i] / 8 - first;
            if (at >= 0 && at < count) bytes[at] |= (unsigned char)(1u << (p->column[i] % 8));
        }
    }
    return POFAC_OK;
}

typedef struct item_list {
    VEC(safetensors_item) list;
    arena memory;
} item_list;

static pofac_status add_pattern(const state_entry *e, const diag_sink *sink, item_list *items) {
    const ir_pattern *p = e->tensor.pattern;
    safetensors_item item = {.name = arena_printf(&items->memory, PATTERN_PREFIX "%s", e->name),
                             .dtype = IR_U8,
                             .rank = 2,
                             .dims = {p->n_rows, bytes_of_row(p)},
                             .fill = fill_bits,
                             .user = (void *)(uintptr_t)p};
    return item.name && VEC_PUSH(&items->list, item) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status add_entry(const state_entry *e, const diag_sink *sink, item_list *items) {
    static const unsigned char nothing = 0; /* what an empty tensor's data are */
    const ir_tensor *t = &e->tensor;
    safetensors_item item = {.name = e->name, .dtype = t->dtype, .rank = t->rank, .data = t->data ? t->data : &nothing};
    memcpy(item.dims, t->dims, t->rank * sizeof *t->dims);
    return VEC_PUSH(&items->list, item) ? POFAC_OK : diag_out_of_memory(sink);
}

/* Is the entry kept in state.safetensors? Parameters are in the model's file, but for what their masks leave out. */
static bool is_kept(const state_store *state, const state_entry *e, bool with_sums) {
    if (run_state_is_parameter(e)) return state_store_mask(state, e->name) != NULL;
    return with_sums || !starts_with(e->name, SUM_PREFIX);
}

pofac_status run_state_write(const char *dir, state_store *state, bool with_sums, const diag_sink *sink) {
    item_list items = {.memory = ARENA_INIT};
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/" RUN_STATE_FILE, dir);
    pofac_status status = strbuf_ok(&path) ? POFAC_OK : diag_out_of_memory(sink);
    for (size_t i = 0; i < state_store_size(state) && status == POFAC_OK; i++) {
        const state_entry *e = state_store_at(state, i);
        if (is_kept(state, e, with_sums)) status = add_entry(e, sink, &items);
        else if (e->tensor.pattern && run_state_is_parameter(e)) status = add_pattern(e, sink, &items);
    }
    if (status == POFAC_OK) status = safetensors_write(strbuf_str(&path), items.list.data, items.list.size, NULL, 0, sink);
    VEC_FREE(&items.list);
    arena_free(&items.memory);
    strbuf_free(&path);
    return status;
}

/* ---- reading ---- */

typedef struct reading {
    checkpoint *model, *rest; /* rest: NULL where it is not needed */
    const char *model_path, *rest_path;
    state_store *state;
    strbuf text;
    const diag_sink *sink;
} reading;

static pofac_status misfit(reading *r, const char *file, const char *name, const char *what) {
    return diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = file}, "tensor \"%s\": %s", name, what);
}

/* The tensor of that name, of shape `dims`; a bare encoder's file has no prefix. */
static pofac_status find_tensor(reading *r, const checkpoint *c, const char *path, const char *name, uint32_t rank,
                                const int64_t *dims, const checkpoint_tensor **out) {
    const checkpoint_tensor *t = checkpoint_get(c, name);
    const char *dot = strchr(name, '.');
    if (!t && dot && (starts_with(name, "bert.") || starts_with(name, "distilbert."))) t = checkpoint_get(c, dot + 1);
    if (!t) return misfit(r, path, name, "found none, the run has one");
    bool same = t->rank == rank;
    for (uint32_t i = 0; same && i < rank; i++) same = t->dims[i] == dims[i];
    *out = t;
    if (same && checkpoint_is_packed(t)) return POFAC_OK;
    strbuf_clear(&r->text);
    strbuf_puts(&r->text, "found ");
    checkpoint_print_shape(t->rank, t->dims, &r->text);
    strbuf_puts(&r->text, ", wanted ");
    checkpoint_print_shape(rank, dims, &r->text);
    return strbuf_ok(&r->text) ? misfit(r, path, name, strbuf_str(&r->text)) : diag_out_of_memory(r->sink);
}

/* Elements into a tensor of another dtype of floats: exact, as the file has been made from it. */
static void convert(const checkpoint_tensor *from, int64_t i, ir_tensor *to, int64_t k) {
    const size_t width = dtype_bits(from->dtype) / 8;
    const int64_t one = 1;
    _Alignas(8) unsigned char bits[8];
    memcpy(bits, from->data + (size_t)i * width, width);
    if (from->dtype == to->dtype) {
        memcpy((unsigned char *)to->data + (size_t)k * width, bits, width);
        return;
    }
    const ir_tensor value = tensor_view(from->dtype, 1, &one, bits);
    tensor_set(to, k, tensor_get(&value, 0));
}

static pofac_status take_dense(reading *r, const checkpoint_tensor *from, const char *path, ir_tensor *to) {
    const int64_t n = tensor_elements(to);
    if (dtype_class(from->dtype) != dtype_class(to->dtype))
        return misfit(r, path, from->name, "found another kind of elements than wanted");
    if (from->dtype == to->dtype) {
        if (n) memcpy(to->data, from->data, tensor_bytes(to));
        return POFAC_OK;
    }
    for (int64_t i = 0; i < n; i++) convert(from, i, to, i);
    return POFAC_OK;
}

/* Are the bits of the file those of the pattern? */
static bool same_bits(const checkpoint_tensor *bits, const ir_pattern *p) {
    const int64_t width = bytes_of_row(p);
    for (int64_t row = 0; row < p->n_rows; row++) {
        int64_t n = 0;
        for (int64_t b = 0; b < width; b++) n += __builtin_popcount(bits->data[row * width + b]);
        if (n != p->row_start[row + 1] - p->row_start[row]) return false;
        for (int64_t i = p->row_start[row]; i < p->row_start[row + 1]; i++)
            if (!(bits->data[row * width + p->column[i] / 8] >> (p->column[i] % 8) & 1)) return false;
    }
    return true;
}

static pofac_status check_pattern(reading *r, const char *name, const ir_pattern *p) {
    const int64_t dims[2] = {p->n_rows, bytes_of_row(p)};
    const checkpoint_tensor *bits;
    arena memory = ARENA_INIT;
    const char *key = arena_printf(&memory, PATTERN_PREFIX "%s", name);
    pofac_status status = key ? find_tensor(r, r->rest, r->rest_path, key, 2, dims, &bits) : diag_out_of_memory(r->sink);
    if (status == POFAC_OK && (bits->dtype != IR_U8 || !same_bits(bits, p)))
        status = misfit(r, r->rest_path, key, "found other positions of non-zeros than the run has: it began with another model");
    arena_free(&memory);
    return status;
}

static pofac_status take_sparse(reading *r, const checkpoint_tensor *from, ir_tensor *to) {
    const ir_pattern *p = to->pattern;
    if (dtype_class(from->dtype) != DTYPE_FLOAT) return misfit(r, r->model_path, from->name, "found no floats");
    for (int64_t row = 0; row < p->n_rows; row++)
        for (int64_t i = p->row_start[row]; i < p->row_start[row + 1]; i++) convert(from, row * p->n_columns + p->column[i], to, i);
    return POFAC_OK;
}

static pofac_status read_parameter(reading *r, state_entry *e) {
    const checkpoint_tensor *from;
    ir_tensor *t = &e->tensor;
    if (!t->pattern) {
        TRY(find_tensor(r, r->model, r->model_path, e->name, t->rank, t->dims, &from));
        const pofac_status status = take_dense(r, from, r->model_path, t);
        checkpoint_release(r->model, from);
        return status;
    }
    const int64_t dims[2] = {t->pattern->n_rows, t->pattern->n_columns};
    TRY(find_tensor(r, r->model, r->model_path, e->name, 2, dims, &from));
    TRY(check_pattern(r, e->name, t->pattern));
    const pofac_status status = take_sparse(r, from, t);
    checkpoint_release(r->model, from);
    return status;
}

static pofac_status read_kept(reading *r, state_entry *e) {
    const checkpoint_tensor *from;
    TRY(find_tensor(r, r->rest, r->rest_path, e->name, e->tensor.rank, e->tensor.dims, &from));
    if (from->dtype != e->tensor.dtype) return misfit(r, r->rest_path, e->name, "found another dtype than wanted");
    const pofac_status status = take_dense(r, from, r->rest_path, &e->tensor);
    checkpoint_release(r->rest, from);
    return status;
}

/* Tensors that nobody would take: of another optimizer, or of another lock. */
static pofac_status refuse_others(reading *r, bool with_sums) {
    for (size_t i = 0; i < checkpoint_size(r->rest); i++) {
        const char *name = checkpoint_at(r->rest, i)->name;
        const bool is_pattern = starts_with(name, PATTERN_PREFIX);
        const state_entry *e = state_store_find(r->state, is_pattern ? name + strlen(PATTERN_PREFIX) : name);
        if (!e || (is_pattern ? !e->tensor.pattern : !is_kept(r->state, e, with_sums)))
            return misfit(r, r->rest_path, name, "the run has none");
    }
    return POFAC_OK;
}

/* Masks come first: how many sums of gradients there are is theirs to say. */
static pofac_status read_masks(reading *r) {
    bool has_masks = false;
    for (size_t i = 0; i < state_store_size(r->state); i++) {
        state_entry *e = state_store_at(r->state, i);
        if (!state_is_mask(e->name)) continue;
        TRY(read_kept(r, e));
        has_masks = true;
    }
    return has_masks ? state_store_masks_changed(r->state, r->sink) : POFAC_OK;
}

static pofac_status read_all(reading *r, bool all, bool with_sums) {
    TRY(read_masks(r));
    for (size_t i = 0; i < state_store_size(r->state); i++) {
        state_entry *e = state_store_at(r->state, i);
        const bool is_parameter = run_state_is_parameter(e), in_rest = is_kept(r->state, e, with_sums);
        if (is_parameter && !in_rest) TRY(read_parameter(r, e));
        else if (in_rest && (all || is_parameter || state_is_range(e->name)) && !state_is_mask(e->name)) TRY(read_kept(r, e));
    }
    return all ? refuse_others(r, with_sums) : POFAC_OK;
}

pofac_status run_state_read(const char *dir, state_store *state, bool all, bool with_sums, const diag_sink *sink) {
    arena memory = ARENA_INIT;
    reading r = {.model_path = arena_printf(&memory, "%s/" RUN_MODEL_FILE, dir),
                 .rest_path = arena_printf(&memory, "%s/" RUN_STATE_FILE, dir),
                 .state = state,
                 .text = STRBUF_INIT,
                 .sink = sink};
    pofac_status status = r.model_path && r.rest_path ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = checkpoint_open(r.model_path, sink, &r.model);
    if (status == POFAC_OK) status = checkpoint_open(r.rest_path, sink, &r.rest);
    if (status == POFAC_OK) status = read_all(&r, all, with_sums);
    checkpoint_close(r.model);
    checkpoint_close(r.rest);
    strbuf_free(&r.text);
    arena_free(&memory);
    return status;
}
