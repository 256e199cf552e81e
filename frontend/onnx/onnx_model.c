/*
 * Nodes, tensors, inputs and outputs -> a file of ONNX; see onnx_model.h. protobuf-c encodes: messages are structs of pointers, made here in one arena, and
 * tensors are read from where they lie while the file's bytes are made.
 */
#include "frontend/onnx/onnx_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"
#include "ir/support/strmap.h"
#include "ir/support/vector.h"
#include "onnx.pb-c.h"

#define IR_VERSION 8 /* of opset 17 (ONNX 1.12) */
#define OPSET 17
#define EXTERNAL_ALIGNMENT 4096 /* "offset" of ONNX's external data: pages, so that the file can be mapped */
#define LEAST_EXTERNAL_BYTES 1024

struct onnx_model {
    arena memory;
    bool failed;
    const char *name, *scope;
    uint64_t n_results;
    VEC(Onnx__NodeProto *) nodes;
    VEC(Onnx__TensorProto *) tensors;
    VEC(Onnx__ValueInfoProto *) inputs;
    VEC(Onnx__ValueInfoProto *) outputs;
    strmap tensor_of_name;
    int64_t tensor_bytes;
};

size_t onnx_type_bytes(onnx_type type) {
    switch (type) {
    case ONNX_FLOAT:
    case ONNX_INT32: return 4;
    case ONNX_INT64: return 8;
    case ONNX_UINT8:
    case ONNX_INT8:
    case ONNX_BOOL: break;
    }
    return 1;
}

/* Whether memory was there: a NULL makes the model fail. */
static bool got(onnx_model *m, const void *pointer) {
    if (!pointer) m->failed = true;
    return pointer != NULL;
}

/* A message of protobuf-c in the model's memory, initialized. */
#define NEW_MESSAGE(m, type, init) ((type *)new_message((m), &(const type)init, sizeof(type)))
static void *new_message(onnx_model *m, const void *initial, size_t bytes) {
    void *message = arena_copy(&m->memory, initial, bytes);
    (void)got(m, message);
    return message;
}

static char *copy_text(onnx_model *m, const char *text) {
    char *copy = arena_strdup(&m->memory, text);
    (void)got(m, copy);
    return copy;
}

onnx_model *onnx_model_create(const char *graph_name) {
    onnx_model *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->tensor_of_name = (strmap)STRMAP_INIT;
    m->name = copy_text(m, graph_name);
    m->scope = "";
    return m;
}

void onnx_model_destroy(onnx_model *m) {
    if (!m) return;
    VEC_FREE(&m->nodes);
    VEC_FREE(&m->tensors);
    VEC_FREE(&m->inputs);
    VEC_FREE(&m->outputs);
    strmap_free(&m->tensor_of_name);
    arena_free(&m->memory);
    free(m);
}

void onnx_set_scope(onnx_model *m, const char *scope) {
    if (strcmp(m->scope, scope) != 0) m->scope = copy_text(m, scope);
    if (!m->scope) m->scope = "";
}

/* ---- inputs and outputs ---- */

static Onnx__TensorShapeProto__Dimension *new_dim(onnx_model *m, const onnx_dim *d) {
    Onnx__TensorShapeProto__Dimension *dim =
        NEW_MESSAGE(m, Onnx__TensorShapeProto__Dimension, ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT);
    if (!dim) return NULL;
    if (d->name) dim->dim_param = copy_text(m, d->name);
    else {
        dim->has_dim_value = true;
        dim->dim_value = d->size;
    }
    return dim;
}

static Onnx__ValueInfoProto *new_value(onnx_model *m, const char *name, onnx_type type, const onnx_dim *dims, size_t rank) {
    Onnx__ValueInfoProto *value = NEW_MESSAGE(m, Onnx__ValueInfoProto, ONNX__VALUE_INFO_PROTO__INIT);
    Onnx__TypeProto *of = NEW_MESSAGE(m, Onnx__TypeProto, ONNX__TYPE_PROTO__INIT);
    Onnx__TypeProto__Tensor *tensor = NEW_MESSAGE(m, Onnx__TypeProto__Tensor, ONNX__TYPE_PROTO__TENSOR__INIT);
    Onnx__TensorShapeProto *shape = NEW_MESSAGE(m, Onnx__TensorShapeProto, ONNX__TENSOR_SHAPE_PROTO__INIT);
    if (!value || !of || !tensor || !shape) return NULL;
    shape->dim = ARENA_ARRAY(&m->memory, Onnx__TensorShapeProto__Dimension *, rank + 1);
    if (!got(m, shape->dim)) return NULL;
    for (; shape->n_dim < rank; shape->n_dim++)
        if (!(shape->dim[shape->n_dim] = new_dim(m, &dims[shape->n_dim]))) return NULL;
    tensor->has_elem_type = true;
    tensor->elem_type = type;
    tensor->shape = shape;
    of->tensor_type = tensor;
    value->type = of;
    value->name = copy_text(m, name);
    return value;
}

void onnx_add_input(onnx_model *m, const char *name, onnx_type type, const onnx_dim *dims, size_t rank) {
    Onnx__ValueInfoProto *value = new_value(m, name, type, dims, rank);
    if (value && !VEC_PUSH(&m->inputs, value)) m->failed = true;
}

/* ---- nodes ---- */

static Onnx__AttributeProto *new_attribute(onnx_model *m, const onnx_attr *a) {
    Onnx__AttributeProto *attribute = NEW_MESSAGE(m, Onnx__AttributeProto, ONNX__ATTRIBUTE_PROTO__INIT);
    if (!attribute) return NULL;
    attribute->name = copy_text(m, a->name);
    attribute->has_type = true;
    switch (a->kind) {
    case ONNX_ATTR_FLOAT:
        attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        attribute->has_f = true;
        attribute->f = a->f;
        break;
    case ONNX_ATTR_INT:
        attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        attribute->has_i = true;
        attribute->i = a->i;
        break;
    case ONNX_ATTR_INTS:
        attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        attribute->ints = arena_copy(&m->memory, a->ints, a->n_ints * sizeof *a->ints);
        attribute->n_ints = got(m, attribute->ints) ? a->n_ints : 0;
        break;
    }
    return attribute;
}

/* A node whose result is called `result`, in the model's memory. */
static void add_node(onnx_model *m, const char *op, const char *name, char *result, const char *const *inputs, size_t n_inputs,
                     const onnx_attr *attrs, size_t n_attrs) {
    Onnx__NodeProto *node = NEW_MESSAGE(m, Onnx__NodeProto, ONNX__NODE_PROTO__INIT);
    if (!node) return;
    node->op_type = copy_text(m, op);
    node->name = copy_text(m, name);
    node->input = ARENA_ARRAY(&m->memory, char *, n_inputs + 1);
    node->output = ARENA_ARRAY(&m->memory, char *, 1);
    node->attribute = ARENA_ARRAY(&m->memory, Onnx__AttributeProto *, n_attrs + 1);
    if (!got(m, node->input) || !got(m, node->output) || !got(m, node->attribute)) return;
    node->output[node->n_output++] = result;
    for (; node->n_input < n_inputs; node->n_input++)
        if (!(node->input[node->n_input] = copy_text(m, inputs[node->n_input]))) return;
    for (; node->n_attribute < n_attrs; node->n_attribute++)
        if (!(node->attribute[node->n_attribute] = new_attribute(m, &attrs[node->n_attribute]))) return;
    if (!VEC_PUSH(&m->nodes, node)) m->failed = true;
}

const char *onnx_add_node(onnx_model *m, const char *op, const char *const *inputs, size_t n_inputs, const onnx_attr *attrs,
                          size_t n_attrs) {
    for (size_t i = 0; i < n_inputs; i++)
        if (!inputs[i]) return NULL;
    char *result = arena_printf(&m->memory, "%s%s%s.%" PRIu64, m->scope, *m->scope ? "/" : "", op, ++m->n_results);
    if (got(m, result)) add_node(m, op, result, result, inputs, n_inputs, attrs, n_attrs);
    return m->failed ? NULL : result;
}

void onnx_add_output(onnx_model *m, const char *name, const char *value, onnx_type type, const onnx_dim *dims, size_t rank) {
    char *result = copy_text(m, name);
    Onnx__ValueInfoProto *info = new_value(m, name, type, dims, rank);
    if (!value || !result || !info) {
        m->failed = true;
        return;
    }
    add_node(m, "Identity", name, result, &value, 1, NULL, 0);
    if (!VEC_PUSH(&m->outputs, info)) m->failed = true;
}

/* ---- tensors ---- */

const char *onnx_find_tensor(const onnx_model *m, const char *name) {
    const strmap_entry *e = strmap_get(&m->tensor_of_name, name, strlen(name));
    return e ? e->key : NULL;
}

const char *onnx_add_tensor(onnx_model *m, const char *name, onnx_type type, const int64_t *dims, size_t rank, const void *data) {
    bool is_new = false;
    const strmap_entry *e = strmap_put(&m->tensor_of_name, name, strlen(name), m->tensors.size, &is_new);
    if (!got(m, e)) return NULL;
    const char *key = e->key;
    if (!is_new) return key;
    Onnx__TensorProto *tensor = NEW_MESSAGE(m, Onnx__TensorProto, ONNX__TENSOR_PROTO__INIT);
    if (!tensor) return NULL;
    tensor->name = copy_text(m, name);
    tensor->has_data_type = true;
    tensor->data_type = type;
    tensor->dims = arena_copy(&m->memory, dims, rank * sizeof *dims);
    if (!got(m, tensor->dims)) return NULL;
    size_t bytes = onnx_type_bytes(type);
    for (; tensor->n_dims < rank; tensor->n_dims++) bytes *= (size_t)dims[tensor->n_dims];
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){bytes, (uint8_t *)data};
    m->tensor_bytes += (int64_t)bytes;
    if (!VEC_PUSH(&m->tensors, tensor)) m->failed = true;
    return m->failed ? NULL : key;
}

const char *onnx_add_copy(onnx_model *m, const char *name, onnx_type type, const int64_t *dims, size_t rank, const void *data) {
    size_t bytes = onnx_type_bytes(type);
    if (onnx_find_tensor(m, name)) return onnx_find_tensor(m, name);
    for (size_t i = 0; i < rank; i++) bytes *= (size_t)dims[i];
    void *copy = arena_alloc(&m->memory, bytes + 1);
    if (!got(m, copy)) return NULL;
    memcpy(copy, data, bytes);
    return onnx_add_tensor(m, name, type, dims, rank, copy);
}

int64_t onnx_tensor_bytes(const onnx_model *m) { return m->tensor_bytes; }

/* ---- the file ---- */

static void put_entry(onnx_model *m, Onnx__TensorProto *t, const char *key, char *value) {
    Onnx__StringStringEntryProto *e = NEW_MESSAGE(m, Onnx__StringStringEntryProto, ONNX__STRING_STRING_ENTRY_PROTO__INIT);
    if (!e || !got(m, value)) return;
    e->key = copy_text(m, key);
    e->value = value;
    t->external_data[t->n_external_data++] = e;
}

/* Writes a tensor's bytes at a place of their own, and says in the tensor where they are. */
static pofac_status move_outside(onnx_model *m, Onnx__TensorProto *t, const char *location, file_writer *w, uint64_t *at) {
    static const char zeros[EXTERNAL_ALIGNMENT];
    const size_t gap = (size_t)((EXTERNAL_ALIGNMENT - *at % EXTERNAL_ALIGNMENT) % EXTERNAL_ALIGNMENT), n = t->raw_data.len;
    TRY(file_writer_write(w, zeros, gap));
    TRY(file_writer_write(w, t->raw_data.data, n));
    *at += gap;
    t->external_data = ARENA_ARRAY(&m->memory, Onnx__StringStringEntryProto *, 3);
    if (!got(m, t->external_data)) return POFAC_OK; /* told when the model is written */
    put_entry(m, t, "location", copy_text(m, location));
    put_entry(m, t, "offset", arena_printf(&m->memory, "%" PRIu64, *at));
    put_entry(m, t, "length", arena_printf(&m->memory, "%zu", n));
    t->has_data_location = true;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    t->has_raw_data = false;
    *at += n;
    return POFAC_OK;
}

static pofac_status write_outside(onnx_model *m, const char *path, const diag_sink *sink) {
    const char *data = arena_printf(&m->memory, "%s.data", path), *slash = data ? strrchr(data, '/') : NULL;
    file_writer *w;
    uint64_t at = 0;
    if (!data) return diag_out_of_memory(sink);
    TRY(file_writer_open(data, sink, &w));
    for (size_t i = 0; i < m->tensors.size; i++) {
        Onnx__TensorProto *t = m->tensors.data[i];
        const pofac_status status =
            t->raw_data.len < LEAST_EXTERNAL_BYTES ? POFAC_OK : move_outside(m, t, slash ? slash + 1 : data, w, &at);
        if (status == POFAC_OK) continue;
        file_writer_abandon(w);
        return status;
    }
    return file_writer_commit(w);
}

pofac_status onnx_model_write(onnx_model *m, const char *path, bool external, const diag_sink *sink) {
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    char standard[] = "", producer[] = "pofac", version[] = POFAC_VERSION;
    if (!m->failed && (external || m->tensor_bytes > ONNX_MOST_INSIDE_BYTES)) TRY(write_outside(m, path, sink));
    if (m->failed) return diag_out_of_memory(sink);
    graph.name = (char *)m->name;
    graph.node = m->nodes.data, graph.n_node = m->nodes.size;
    graph.initializer = m->tensors.data, graph.n_initializer = m->tensors.size;
    graph.input = m->inputs.data, graph.n_input = m->inputs.size;
    graph.output = m->outputs.data, graph.n_output = m->outputs.size;
    opset.domain = standard;
    opset.has_version = true, opset.version = OPSET;
    model.has_ir_version = true, model.ir_version = IR_VERSION;
    model.producer_name = producer, model.producer_version = version;
    model.graph = &graph;
    model.opset_import = opsets, model.n_opset_import = 1;
    const size_t n = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = malloc(n + 1);
    if (!bytes) return diag_out_of_memory(sink);
    (void)onnx__model_proto__pack(&model, bytes);
    const pofac_status status = file_write_all(path, bytes, n, sink);
    free(bytes);
    return status;
}
