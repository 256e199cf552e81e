/*
 * The allow-list of a checkpoint's pickle: names -> plain data.
 *
 * A state dictionary as torch.save writes it needs an ordered dictionary, classes of storages, and the functions that put a tensor
 * together from a storage, an offset, sizes and strides. Dtypes, sizes and devices may stand beside the tensors. Nothing here runs
 * code of the file; tensors are only noted down, and checked against their storages when they are used (torch_tensors.c).
 *
 * Sources: torch/_utils.py (_rebuild_tensor and its like), torch/serialization.py (persistent_id of both forms).
 *
 * Left out: tensors of other kinds (sparse, quantized, complex, on meta devices), modules and anything else that is a class of the
 * program that saved it.
 */
#include "frontend/checkpoint/torch_objects.h"

#include <inttypes.h>
#include <string.h>

typedef pofac_status call_function(const pickle_place *place, arena *a, const pickle_value *arguments, pickle_value **out);

struct torch_global {
    const char *module, *name;
    call_function *call; /* NULL: not callable */
    bool is_storage;
    ir_dtype dtype; /* of a storage */
};

static call_function call_ordered_dict, call_rebuild_tensor, call_rebuild_parameter, call_size, call_device;

#define FUNCTION(module, name, call)                                                                                               \
    { module, name, call, false, IR_F32 }
#define STORAGE(name, element)                                                                                                     \
    { "torch", name, NULL, true, element }
#define DTYPE(name)                                                                                                                \
    { "torch", name, NULL, false, IR_F32 }

static const torch_global globals[] = {
    FUNCTION("collections", "OrderedDict", call_ordered_dict),
    FUNCTION("torch._utils", "_rebuild_tensor", call_rebuild_tensor),
    FUNCTION("torch._utils", "_rebuild_tensor_v2", call_rebuild_tensor),
    FUNCTION("torch._utils", "_rebuild_parameter", call_rebuild_parameter),
    FUNCTION("torch", "Size", call_size),
    FUNCTION("torch", "device", call_device),
    STORAGE("FloatStorage", IR_F32),
    STORAGE("DoubleStorage", IR_F64),
    STORAGE("HalfStorage", IR_F16),
    STORAGE("BFloat16Storage", IR_BF16),
    STORAGE("LongStorage", IR_I64),
    STORAGE("IntStorage", IR_I32),
    STORAGE("ShortStorage", IR_I16),
    STORAGE("CharStorage", IR_I8),
    STORAGE("ByteStorage", IR_U8),
    STORAGE("BoolStorage", IR_BOOL),
    DTYPE("float32"),
    DTYPE("float64"),
    DTYPE("float16"),
    DTYPE("bfloat16"),
    DTYPE("int64"),
    DTYPE("int32"),
    DTYPE("int16"),
    DTYPE("int8"),
    DTYPE("uint8"),
    DTYPE("bool"),
};

static bool same_text(const char *bytes, size_t n, const char *text) { return n == strlen(text) && memcmp(bytes, text, n) == 0; }

pofac_status torch_find_global(const pickle_place *place, const char *module, size_t module_bytes, const char *name,
                               size_t name_bytes, const torch_global **out) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (!same_text(module, module_bytes, globals[i].module) || !same_text(name, name_bytes, globals[i].name)) continue;
        *out = &globals[i];
        return POFAC_OK;
    }
    strbuf text = STRBUF_INIT;
    strbuf_append(&text, module, module_bytes);
    strbuf_putc(&text, '.');
    strbuf_append(&text, name, name_bytes);
    strbuf quoted = STRBUF_INIT;
    strbuf_put_json(&quoted, strbuf_str(&text), text.size);
    pofac_status status =
        strbuf_ok(&text) && strbuf_ok(&quoted)
            ? pickle_wrong(place, "found %s, wanted what tensors are made of: a checkpoint runs no code", strbuf_str(&quoted))
            : diag_out_of_memory(place->sink);
    strbuf_free(&text);
    strbuf_free(&quoted);
    return status;
}

static size_t n_items(const pickle_value *v) { return v->items.n; }
static const pickle_value *item(const pickle_value *v, size_t i) { return v->items.data[i]; }

static bool is_sequence(const pickle_value *v) { return v->kind == PICKLE_TUPLE || v->kind == PICKLE_LIST; }

static bool are_integers(const pickle_value *v) {
    if (!is_sequence(v)) return false;
    for (size_t i = 0; i < n_items(v); i++)
        if (item(v, i)->kind != PICKLE_INTEGER) return false;
    return true;
}

/* OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 writes it. */
static pofac_status call_ordered_dict(const pickle_place *place, arena *a, const pickle_value *arguments, pickle_value **out) {
    *out = pickle_new(a, PICKLE_DICT);
    if (!*out) return diag_out_of_memory(place->sink);
    if (n_items(arguments) == 0) return POFAC_OK;
    const pickle_value *pairs = item(arguments, 0);
    if (n_items(arguments) != 1 || !is_sequence(pairs))
        return pickle_wrong(place, "OrderedDict: found other arguments, wanted none or a list of pairs");
    for (size_t i = 0; i < n_items(pairs); i++) {
        const pickle_value *pair = item(pairs, i);
        if (!is_sequence(pair) || n_items(pair) != 2)
            return pickle_wrong(place, "OrderedDict: found %s as item %zu, wanted a pair", pickle_describe(pair), i);
        if (!pickle_append(a, *out, pair->items.data[0]) || !pickle_append(a, *out, pair->items.data[1]))
            return diag_out_of_memory(place->sink);
    }
    return POFAC_OK;
}

/* (storage, offset, size, stride[, requires_grad, hooks[, metadata]]) */
static pofac_status call_rebuild_tensor(const pickle_place *place, arena *a, const pickle_value *arguments, pickle_value **out) {
    if (n_items(arguments) < 4 || item(arguments, 0)->kind != PICKLE_STORAGE || item(arguments, 1)->kind != PICKLE_INTEGER ||
        !are_integers(item(arguments, 2)) || !are_integers(item(arguments, 3)))
        return pickle_wrong(place, "tensor: found other arguments, wanted a storage, an offset, a size and a stride");
    pickle_tensor *t = ARENA_NEW(a, pickle_tensor);
    *out = pickle_new(a, PICKLE_TENSOR);
    if (!t || !*out) return diag_out_of_memory(place->sink);
    *t = (pickle_tensor){item(arguments, 0)->storage, item(arguments, 1)->integer, item(arguments, 2), item(arguments, 3)};
    (*out)->tensor = t;
    return POFAC_OK;
}

/* (tensor, requires_grad, hooks): the tensor. */
static pofac_status call_rebuild_parameter(const pickle_place *place, arena *a, const pickle_value *arguments, pickle_value **out) {
    (void)a;
    if (n_items(arguments) == 0 || item(arguments, 0)->kind != PICKLE_TENSOR)
        return pickle_wrong(place, "parameter: found other arguments, wanted a tensor");
    *out = arguments->items.data[0];
    return POFAC_OK;
}

/* Size((2, 3)): the tuple. */
static pofac_status call_size(const pickle_place *place, arena *a, const pickle_value *arguments, pickle_value **out) {
    (void)a;
    if (n_items(arguments) != 1 || !are_integers(item(arguments, 0)))
        return pickle_wrong(place, "Size: found other arguments, wanted a tuple of integers");
    *out = arguments->items.data[0];
    return POFAC_OK;
}

/* device('cuda', 0): where a tensor was plays no part. */
static pofac_status call_device(const pickle_place *place, arena *a, const pickle_value *arguments, pickle_value **out) {
    (void)arguments;
    *out = pickle_new(a, PICKLE_DEVICE);
    return *out ? POFAC_OK : diag_out_of_memory(place->sink);
}

pofac_status torch_call(const pickle_place *place, arena *a, const pickle_value *function, const pickle_value *arguments,
                        pickle_value **out) {
    if (function->kind != PICKLE_GLOBAL)
        return pickle_wrong(place, "found a call of %s, wanted one of a function", pickle_describe(function));
    if (arguments->kind != PICKLE_TUPLE)
        return pickle_wrong(place, "found a call with %s, wanted a tuple of arguments", pickle_describe(arguments));
    const torch_global *g = function->global;
    if (!g->call) return pickle_wrong(place, "found a call of \"%s.%s\", wanted one of a function", g->module, g->name);
    return g->call(place, a, arguments, out);
}

/* Elements [first, first + n) of a storage, as (key, first, n). */
static bool read_view(const pickle_value *view, pickle_storage *s) {
    if (view->kind == PICKLE_NONE) return true;
    if (view->kind != PICKLE_TUPLE || n_items(view) != 3) return false;
    const pickle_value *first = item(view, 1), *n = item(view, 2);
    if (first->kind != PICKLE_INTEGER || n->kind != PICKLE_INTEGER) return false;
    s->first = first->integer;
    s->n_elements = n->integer;
    return s->first >= 0 && s->n_elements >= 0 && s->first <= s->n_stored && s->n_elements <= s->n_stored - s->first;
}

/* torch's keys are numbers; what could not stand in a message or in a zip entry's name is refused. */
static bool is_key(const pickle_value *v) {
    if (v->kind != PICKLE_STRING || v->text.n == 0 || v->text.n > PICKLE_MAX_NAME) return false;
    for (size_t i = 0; i < v->text.n; i++)
        if (v->text.bytes[i] <= ' ' || v->text.bytes[i] > '~' || strchr("\"\\/", v->text.bytes[i])) return false;
    return true;
}

pofac_status torch_find_storage(const pickle_place *place, arena *a, const pickle_value *id, const pickle_storage **list,
                                pickle_value **out) {
    if (id->kind != PICKLE_TUPLE || n_items(id) < 5 || n_items(id) > 6 || !pickle_is_text(item(id, 0), "storage"))
        return pickle_wrong(place, "found another persistent id, wanted the 5 or 6 parts of a storage");
    const pickle_value *class = item(id, 1), *key = item(id, 2), *n = item(id, 4);
    if (class->kind != PICKLE_GLOBAL || !class->global->is_storage)
        return pickle_wrong(place, "storage: found %s as its class, wanted one of torch's storages", pickle_describe(class));
    if (!is_key(key))
        return pickle_wrong(place, "storage: found %s as its key, wanted a short name",
                            key->kind == PICKLE_STRING ? "another string" : pickle_describe(key));
    if (n->kind != PICKLE_INTEGER || n->integer < 0)
        return pickle_wrong(place, "storage: found %s as its length, wanted a number of elements from 0",
                            n->kind == PICKLE_INTEGER ? "a negative number" : pickle_describe(n));
    pickle_storage *s = ARENA_NEW(a, pickle_storage);
    *out = pickle_new(a, PICKLE_STORAGE);
    if (!s || !*out) return diag_out_of_memory(place->sink);
    *s = (pickle_storage){.key = arena_strndup(a, key->text.bytes, key->text.n),
                          .dtype = class->global->dtype,
                          .n_stored = n->integer,
                          .n_elements = n->integer};
    if (!s->key) return diag_out_of_memory(place->sink);
    if (n_items(id) == 6 && !read_view(item(id, 5), s))
        return pickle_wrong(place, "storage: found another view, wanted a range of its %" PRId64 " elements", s->n_stored);
    s->next = *list;
    *list = s;
    (*out)->storage = s;
    return POFAC_OK;
}

pofac_status torch_set_state(const pickle_place *place, const pickle_value *object, const pickle_value *state) {
    if (object->kind == PICKLE_DICT && state->kind == PICKLE_DICT) return POFAC_OK;
    return pickle_wrong(place, "found attributes (%s) for %s, wanted a dictionary of them for an OrderedDict",
                        pickle_describe(state), pickle_describe(object));
}
