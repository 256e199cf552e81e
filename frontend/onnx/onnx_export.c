/*
 * A graph -> a model of ONNX; see onnx_export.h. Each node becomes the operations of its row in `lowerings`, in the order of the graph; names of nodes begin with the
 * module that they belong to. Parameters are made where the first node asks for them, so that a weight which is read in 8 bits alone is not stored in f32 too.
 *
 * Of sequences the graph knows offsets of rows; ONNX knows padded batches. Every op that reads offsets therefore asks which padded batch they are those of
 * (onnx_padded_batch), and brings rows [B*S,E] into the form [B,S,...] for as long as it needs that.
 */
#include "frontend/onnx/onnx_export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx/onnx_lowering.h"
#include "ir/op.h"

/* The ops that have a form in ONNX, each with the function that makes it. */
static const struct {
    ir_op op;
    onnx_lower lower;
} lowerings[] = {
    {OP_input, onnx_lower_nothing},           {OP_state, onnx_lower_nothing},      {OP_constant, onnx_lower_constant},
    {OP_reshape, onnx_lower_reshape},         {OP_slice, onnx_lower_slice},        {OP_cast, onnx_lower_cast},
    {OP_padded_offsets, onnx_lower_nothing},  {OP_first_rows, onnx_lower_nothing}, {OP_row_positions, onnx_lower_row_positions},
    {OP_gather_rows, onnx_lower_gather_rows}, {OP_add, onnx_lower_elementwise},    {OP_sub, onnx_lower_elementwise},
    {OP_mul, onnx_lower_elementwise},         {OP_div, onnx_lower_elementwise},    {OP_sqrt, onnx_lower_elementwise},
    {OP_relu, onnx_lower_elementwise},        {OP_tanh, onnx_lower_elementwise},   {OP_gelu, onnx_lower_gelu},
    {OP_embedding, onnx_lower_embedding},     {OP_linear, onnx_lower_linear},      {OP_layer_norm, onnx_lower_layer_norm},
    {OP_attention, onnx_lower_attention},     {OP_row_range, onnx_lower_nothing},  {OP_fake_quantize, onnx_lower_fake_quantize},
};

static onnx_lower lowering_of(ir_op op) {
    for (size_t i = 0; i < sizeof lowerings / sizeof *lowerings; i++)
        if (lowerings[i].op == op) return lowerings[i].lower;
    return NULL;
}

bool onnx_export_knows(ir_op op) { return lowering_of(op) != NULL; }

/* ---- values ---- */

pofac_status onnx_state_floats(onnx_lowering *l, const char *name, ir_tensor *out) {
    TRY(l->state->get(l->state->user, name, l->sink, out));
    const char *kept = arena_strdup(&l->memory, name);
    if (!kept || !VEC_PUSH(&l->held, kept)) {
        tensor_source_release(l->state, name);
        return diag_out_of_memory(l->sink);
    }
    if (out->dtype == IR_F32) return POFAC_OK;
    ir_tensor floats = *out;
    floats.dtype = IR_F32;
    floats.owned = false;
    floats.data = arena_alloc_array(&l->memory, sizeof(float), (size_t)tensor_elements(out));
    if (!floats.data) return diag_out_of_memory(l->sink);
    for (int64_t i = 0; i < tensor_elements(out); i++) ((float *)floats.data)[i] = (float)tensor_get(out, i);
    *out = floats;
    return POFAC_OK;
}

static pofac_status make_parameter(onnx_lowering *l, const ir_node *leaf) {
    const char *name = node_string(leaf, "name");
    ir_tensor t;
    if (!onnx_find_tensor(l->m, name)) {
        TRY(onnx_state_floats(l, name, &t));
        (void)onnx_add_tensor(l->m, name, ONNX_FLOAT, t.dims, t.rank, t.data);
    }
    return onnx_result(l, leaf, onnx_find_tensor(l->m, name));
}

pofac_status onnx_input_name(onnx_lowering *l, const ir_node *n, uint32_t i, const char **out) {
    const ir_value v = node_input(n, i);
    *out = NULL;
    if (v == IR_NO_VALUE) return node_error(l->g, n, l->sink, "found no input %" PRIu32 ", wanted one, which ONNX's form needs", i);
    const ir_node *maker = graph_node_of(l->g, v);
    if (!l->name[v] && maker->op == OP_state) TRY(make_parameter(l, maker));
    if (!l->name[v] && l->codes[v]) TRY(onnx_result(l, maker, onnx_from_codes(l, l->codes[v])));
    *out = l->name[v];
    if (!*out)
        return node_error(l->g, n, l->sink, "input %" PRIu32 " is result %" PRIu32 " of %s, which has no form in ONNX here", i,
                          l->g->values.data[v].result, op_info(maker->op)->name);
    return POFAC_OK;
}

pofac_status onnx_result(onnx_lowering *l, const ir_node *n, const char *name) {
    if (!name) return diag_out_of_memory(l->sink);
    l->name[n->first_result] = name;
    return POFAC_OK;
}

/* ---- operations in short ---- */

const char *onnx_unary(onnx_lowering *l, const char *op, const char *x) { return onnx_add_node(l->m, op, &x, 1, NULL, 0); }

const char *onnx_binary(onnx_lowering *l, const char *op, const char *x, const char *y) {
    return onnx_add_node(l->m, op, (const char *[]){x, y}, 2, NULL, 0);
}

const char *onnx_ternary(onnx_lowering *l, const char *op, const char *x, const char *y, const char *z) {
    return onnx_add_node(l->m, op, (const char *[]){x, y, z}, 3, NULL, 0);
}

const char *onnx_with_int(onnx_lowering *l, const char *op, const char *const *inputs, size_t n, const char *attr, int64_t value) {
    const onnx_attr a = {.name = attr, .kind = ONNX_ATTR_INT, .i = value};
    return onnx_add_node(l->m, op, inputs, n, &a, 1);
}

const char *onnx_transpose(onnx_lowering *l, const char *x, const int64_t *order, size_t n) {
    const onnx_attr a = {.name = "perm", .kind = ONNX_ATTR_INTS, .ints = order, .n_ints = n};
    return onnx_add_node(l->m, "Transpose", &x, 1, &a, 1);
}

const char *onnx_number(onnx_lowering *l, double value) {
    const float number = (float)value;
    const char *name = arena_printf(&l->memory, "number.%.9g", (double)number);
    return name ? onnx_add_copy(l->m, name, ONNX_FLOAT, NULL, 0, &number) : NULL;
}

const char *onnx_wholes(onnx_lowering *l, const int64_t *values, size_t n) {
    strbuf name = STRBUF_INIT;
    const int64_t size = (int64_t)n;
    strbuf_puts(&name, "numbers");
    for (size_t i = 0; i < n; i++) strbuf_printf(&name, ".%" PRId64, values[i]);
    const char *tensor = strbuf_ok(&name) ? onnx_add_copy(l->m, strbuf_str(&name), ONNX_INT64, &size, 1, values) : NULL;
    strbuf_free(&name);
    return tensor;
}

/* ---- shapes ---- */

/* The input that has the symbol by itself as a dimension, and which; NULL: none has. */
static const ir_node *input_with(const ir_graph *g, ir_symbol s, uint32_t *axis) {
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op != OP_input) continue;
        const ir_type *t = graph_type(g, n->first_result);
        for (*axis = 0; *axis < t->rank; ++*axis)
            if (dim_equal(t->dims[*axis], dim_symbol(s))) return n;
    }
    return NULL;
}

/* A vector that is made once: by `make`, under the text of `dims`. */
static const char *made_once(onnx_lowering *l, const ir_dim *dims, size_t rank,
                             const char *(*make)(onnx_lowering *l, const ir_dim *dims, size_t rank)) {
    strbuf key = STRBUF_INIT;
    for (size_t i = 0; i < rank; i++) {
        strbuf_putc(&key, ' ');
        dim_print(l->g->module->context, dims[i], graph_print_value, l->g, &key);
    }
    bool is_new = false;
    strmap_entry *e = strbuf_ok(&key) ? strmap_put(&l->shapes, strbuf_str(&key), key.size, 0, &is_new) : NULL;
    const char *name = e && !is_new ? (const char *)(uintptr_t)e->value : NULL;
    if (e && is_new) {
        name = make(l, dims, rank); /* may put others */
        e = strmap_put(&l->shapes, strbuf_str(&key), key.size, 0, &is_new);
        if (e) e->value = (uint64_t)(uintptr_t)name;
    }
    strbuf_free(&key);
    return name;
}

static const char *make_symbol(onnx_lowering *l, const ir_dim *dims, size_t rank) {
    uint32_t axis;
    const ir_node *input = rank == 1 ? input_with(l->g, dims[0].symbol[0], &axis) : NULL;
    const char *name = input ? node_string(input, "name") : NULL;
    if (!name) return NULL;
    const onnx_attr attrs[] = {{.name = "start", .kind = ONNX_ATTR_INT, .i = axis},
                               {.name = "end", .kind = ONNX_ATTR_INT, .i = (int64_t)axis + 1}};
    return onnx_add_node(l->m, "Shape", &name, 1, attrs, 2);
}

const char *onnx_symbol(onnx_lowering *l, ir_symbol s) {
    const ir_dim dim = dim_symbol(s);
    return made_once(l, &dim, 1, make_symbol);
}

/* scale * symbol * symbol + offset as a vector [1]. */
static const char *dim_value(onnx_lowering *l, ir_dim d) {
    int64_t number;
    if (dim_is_const(d, &number)) return onnx_wholes(l, &number, 1);
    const char *value = onnx_symbol(l, d.symbol[0]);
    if (d.symbol[1]) value = onnx_binary(l, "Mul", value, onnx_symbol(l, d.symbol[1]));
    if (d.scale != 1) value = onnx_binary(l, "Mul", value, onnx_wholes(l, &d.scale, 1));
    return d.offset ? onnx_binary(l, "Add", value, onnx_wholes(l, &d.offset, 1)) : value;
}

static const char *make_shape(onnx_lowering *l, const ir_dim *dims, size_t rank) {
    const char *parts[ONNX_MAX_RANK];
    for (size_t i = 0; i < rank; i++) parts[i] = dim_value(l, dims[i]);
    return onnx_with_int(l, "Concat", parts, rank, "axis", 0);
}

const char *onnx_reshape(onnx_lowering *l, const char *x, const ir_dim *dims, size_t rank) {
    int64_t numbers[ONNX_MAX_RANK] = {0};
    size_t open = 0;
    for (size_t i = 0; i < rank; i++)
        if (!dim_is_const(dims[i], &numbers[i])) numbers[i] = -1, open++;
    if (open <= 1) return onnx_binary(l, "Reshape", x, onnx_wholes(l, numbers, rank));
    return onnx_binary(l, "Reshape", x, made_once(l, dims, rank, make_shape));
}

pofac_status onnx_padded_batch(onnx_lowering *l, const ir_node *n, uint32_t input, const ir_type **out) {
    const ir_node *offsets = graph_node_of(l->g, n->inputs[input]);
    if (offsets->op != OP_padded_offsets)
        return node_error(l->g, n, l->sink, "the offsets are those of %s, wanted padded_offsets: batches of ONNX are padded",
                          op_info(offsets->op)->name);
    *out = graph_type(l->g, offsets->inputs[0]);
    return POFAC_OK;
}

/* ---- inputs, outputs, the graph ---- */

static pofac_status onnx_type_of(onnx_lowering *l, const ir_node *n, ir_dtype dtype, onnx_type *out) {
    switch (dtype) {
    case IR_F32: *out = ONNX_FLOAT; return POFAC_OK;
    case IR_I64: *out = ONNX_INT64; return POFAC_OK;
    case IR_I32: *out = ONNX_INT32; return POFAC_OK;
    default: return node_error(l->g, n, l->sink, "found %s, wanted f32, i64 or i32", dtype_name(dtype));
    }
}

/* Dimensions as the file has them: names are the text of what is no number, as "B" and "S". */
static pofac_status make_dims(onnx_lowering *l, const ir_type *t, onnx_dim *out) {
    strbuf text = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    for (uint32_t i = 0; i < t->rank; i++) {
        out[i] = (onnx_dim){0};
        if (dim_is_const(t->dims[i], &out[i].size)) continue;
        strbuf_clear(&text);
        dim_print(l->g->module->context, t->dims[i], graph_print_value, l->g, &text);
        out[i].name = strbuf_ok(&text) ? arena_strdup(&l->memory, strbuf_str(&text)) : NULL;
        if (!out[i].name) status = diag_out_of_memory(l->sink);
    }
    strbuf_free(&text);
    return status;
}

static pofac_status add_inputs(onnx_lowering *l) {
    for (size_t i = 0; i < l->g->nodes.size; i++) {
        const ir_node *n = &l->g->nodes.data[i];
        if (n->op != OP_input) continue;
        const ir_type *t = graph_type(l->g, n->first_result);
        onnx_dim dims[IR_MAX_RANK];
        onnx_type type = ONNX_FLOAT;
        TRY(onnx_type_of(l, n, t->dtype, &type));
        TRY(make_dims(l, t, dims));
        onnx_add_input(l->m, node_string(n, "name"), type, dims, t->rank);
        TRY(onnx_result(l, n, node_string(n, "name")));
    }
    return POFAC_OK;
}

static pofac_status add_nodes(onnx_lowering *l) {
    for (size_t i = 0; i < l->g->nodes.size; i++) {
        const ir_node *n = &l->g->nodes.data[i];
        const onnx_lower lower = lowering_of(n->op);
        if (!lower) return node_error(l->g, n, l->sink, "this operation has no form in ONNX here");
        onnx_set_scope(l->m, n->scope);
        TRY(lower(l, n));
    }
    return POFAC_OK;
}

static pofac_status add_outputs(onnx_lowering *l) {
    onnx_set_scope(l->m, "");
    for (size_t i = 0; i < l->g->outputs.size; i++) {
        const ir_output *o = &l->g->outputs.data[i];
        const ir_node *n = graph_node_of(l->g, o->value);
        const ir_type *t = graph_type(l->g, o->value);
        onnx_dim dims[IR_MAX_RANK];
        onnx_type type = ONNX_FLOAT;
        if (!l->name[o->value]) return node_error(l->g, n, l->sink, "the output \"%s\" has no form in ONNX here", o->name);
        TRY(onnx_type_of(l, n, t->dtype, &type));
        TRY(make_dims(l, t, dims));
        onnx_add_output(l->m, o->name, l->name[o->value], type, dims, t->rank);
    }
    return POFAC_OK;
}

static pofac_status lower_graph(onnx_lowering *l, const char *path, const onnx_export_options *options) {
    l->m = onnx_model_create(l->g->name);
    l->name = ARENA_ARRAY(&l->memory, const char *, l->g->values.size + 1);
    l->codes = ARENA_ARRAY(&l->memory, const onnx_codes *, l->g->values.size + 1);
    if (!l->m || !l->name || !l->codes) return diag_out_of_memory(l->sink);
    TRY(add_inputs(l));
    TRY(add_nodes(l));
    TRY(add_outputs(l));
    return onnx_model_write(l->m, path, options->external_data, l->sink);
}

pofac_status onnx_export(const ir_graph *g, const tensor_source *state, const char *path, const onnx_export_options *options,
                         const diag_sink *sink, onnx_export_result *out) {
    onnx_lowering l = {.g = g, .state = state, .sink = sink, .memory = ARENA_INIT, .shapes = STRMAP_INIT};
    const pofac_status status = lower_graph(&l, path, options);
    *out = (onnx_export_result){.tensor_bytes = l.m ? onnx_tensor_bytes(l.m) : 0, .n_quantized = l.n_quantized};
    onnx_model_destroy(l.m);
    for (size_t i = 0; i < l.held.size; i++) tensor_source_release(state, l.held.data[i]);
    VEC_FREE(&l.held);
    strmap_free(&l.shapes);
    arena_free(&l.memory);
    return status;
}
