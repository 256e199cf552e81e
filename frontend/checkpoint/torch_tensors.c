/*
 * A pickled dictionary -> tensors of the checkpoint: views of their storages.
 *
 * A tensor is element (i0, i1, ...) = storage[offset + i0 * stride[0] + i1 * stride[1] + ...]. All of them must lie within the
 * storage; strides are not negative, as torch has none, so the last element is the farthest. Views may overlap, and repeat elements
 * (stride 0); a view that has more elements than its storage may have REPEATED_ELEMENTS at most, so that a small file cannot ask for
 * huge memory.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "frontend/checkpoint/torch_forms.h"

#define REPEATED_ELEMENTS (INT64_C(1) << 24) /* a mask of 4096 x 4096 that repeats one row */

pofac_status torch_wrong(const torch_file *f, const char *format, ...) {
    strbuf message = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&message, format, args);
    va_end(args);
    diag_place place = {.file = f->name};
    pofac_status status = strbuf_ok(&message) ? diag_error(f->sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&message))
                                              : diag_out_of_memory(f->sink);
    strbuf_free(&message);
    return status;
}

POFAC_PRINTF(3, 4) static pofac_status wrong_tensor(const torch_file *f, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    pofac_status status = checkpoint_tensor_error(f->name, name, f->sink, format, args);
    va_end(args);
    return status;
}

/* The sizes, with strides as if packed, which stay where a stride is never used. */
static pofac_status read_size(const torch_file *f, const pickle_tensor *from, checkpoint_tensor *t, int64_t *n_elements) {
    if (from->size->items.n > CHECKPOINT_MAX_RANK)
        return wrong_tensor(f, t->name, "found %zu dimensions, wanted at most %d", from->size->items.n, CHECKPOINT_MAX_RANK);
    t->rank = (uint32_t)from->size->items.n;
    for (uint32_t i = 0; i < t->rank; i++) {
        t->dims[i] = from->size->items.data[i]->integer;
        if (t->dims[i] < 0) return wrong_tensor(f, t->name, "found dimension %" PRId64 ", wanted one from 0", t->dims[i]);
    }
    int64_t n_bytes;
    if (checkpoint_pack(t, n_elements, &n_bytes)) return POFAC_OK;
    strbuf shape = STRBUF_INIT;
    checkpoint_print_shape(t->rank, t->dims, &shape);
    pofac_status status = wrong_tensor(f, t->name, "found shape %s, wanted fewer than 2^63 bytes", strbuf_str(&shape));
    strbuf_free(&shape);
    return status;
}

static pofac_status read_stride(const torch_file *f, const pickle_tensor *from, checkpoint_tensor *t) {
    if (from->stride->items.n != t->rank)
        return wrong_tensor(f, t->name, "found %zu strides, wanted %u, one for each dimension", from->stride->items.n, t->rank);
    for (uint32_t i = 0; i < t->rank; i++) {
        const int64_t stride = from->stride->items.data[i]->integer;
        if (stride < 0) return wrong_tensor(f, t->name, "found stride %" PRId64 ", wanted one from 0", stride);
        if (t->dims[i] > 1) t->strides[i] = stride;
    }
    return POFAC_OK;
}

/* The last element's place in the storage; false when it overflows. */
static bool find_last(const checkpoint_tensor *t, int64_t offset, int64_t *out) {
    int64_t last = offset;
    for (uint32_t i = 0; i < t->rank; i++) {
        int64_t step;
        if (t->dims[i] < 2) continue;
        if (__builtin_mul_overflow(t->dims[i] - 1, t->strides[i], &step) || __builtin_add_overflow(last, step, &last)) return false;
    }
    *out = last;
    return true;
}

static pofac_status check_range(const torch_file *f, const pickle_tensor *from, const checkpoint_tensor *t, int64_t n_elements) {
    const int64_t has = from->storage->n_elements;
    int64_t last;
    if (from->offset < 0 || !find_last(t, from->offset, &last) || last >= has)
        return wrong_tensor(
            f, t->name, "found a view from element %" PRId64 " on that reaches out of the %" PRId64 " elements of storage \"%s\"",
            from->offset, has, from->storage->key);
    if (n_elements > has && n_elements > REPEATED_ELEMENTS)
        return wrong_tensor(f, t->name,
                            "found %" PRId64 " elements that repeat the %" PRId64 " of storage \"%s\", wanted at most %" PRId64,
                            n_elements, has, from->storage->key, REPEATED_ELEMENTS);
    return POFAC_OK;
}

static pofac_status add_tensor(torch_file *f, const pickle_value *key, const pickle_tensor *from, const torch_storages *storages) {
    if (key->kind != PICKLE_STRING || memchr(key->text.bytes, 0, key->text.n))
        return torch_wrong(f, "found a tensor whose name is %s, wanted a text",
                           key->kind == PICKLE_STRING ? "a string with a zero byte" : pickle_describe(key));
    const pickle_storage *s = from->storage;
    checkpoint_tensor t = {
        .name = arena_strndup(checkpoint_memory(f->c), key->text.bytes, key->text.n), .file = f->name, .dtype = s->dtype};
    if (!t.name) return diag_out_of_memory(f->sink);
    int64_t n_elements = 0;
    TRY(read_size(f, from, &t, &n_elements));
    TRY(read_stride(f, from, &t));
    if (n_elements) {
        const unsigned char *data = NULL;
        TRY(check_range(f, from, &t, n_elements));
        TRY(storages->find(storages->user, s, &data));
        t.data = data + (size_t)(s->first + from->offset) * (dtype_bits(t.dtype) / 8);
    }
    if (f->filter && !f->filter->wants(f->filter->user, t.name)) return POFAC_OK;
    return checkpoint_add(f->c, &t, f->sink);
}

static bool has_tensor(const pickle_value *dict) {
    if (!dict || dict->kind != PICKLE_DICT) return false;
    for (size_t i = 1; i < dict->items.n; i += 2)
        if (dict->items.data[i]->kind == PICKLE_TENSOR) return true;
    return false;
}

/* The dictionary with the model's tensors, NULL where there is none. */
static const pickle_value *find_state(const pickle_value *root) {
    static const char *const keys[] = {"state_dict", "model"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const pickle_value *inner = pickle_get(root, keys[i]);
        if (has_tensor(inner)) return inner;
    }
    return has_tensor(root) ? root : NULL;
}

pofac_status torch_add_tensors(torch_file *f, const pickle_value *root, const torch_storages *storages) {
    const pickle_value *state = find_state(root);
    if (!state)
        return torch_wrong(f, "found %s without tensors, wanted a dictionary of them, or one under \"state_dict\" or \"model\"",
                           pickle_describe(root));
    for (size_t i = 0; i < state->items.n; i += 2) {
        const pickle_value *value = state->items.data[i + 1];
        if (value->kind == PICKLE_TENSOR) TRY(add_tensor(f, state->items.data[i], value->tensor, storages));
    }
    return POFAC_OK;
}
