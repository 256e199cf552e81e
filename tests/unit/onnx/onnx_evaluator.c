/* Reading and running models of ONNX; see onnx_evaluator.h. Every tensor is doubles, whatever its type; whole numbers of models are small enough for that. */
#include "tests/unit/onnx/onnx_evaluator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"

#define MOST_RANK 4

/* ---- reading ---- */

const Onnx__TensorProto *onnx_file_tensor(const onnx_file *f, const char *name) {
    const Onnx__GraphProto *g = f->model->graph;
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(g->initializer[i]->name, name) == 0) return g->initializer[i];
    return NULL;
}

size_t onnx_file_count(const onnx_file *f, const char *op) {
    size_t n = 0;
    for (size_t i = 0; i < f->model->graph->n_node; i++) n += strcmp(f->model->graph->node[i]->op_type, op) == 0;
    return n;
}

static size_t element_bytes(int type) { return type == 7 ? 8 : type == 1 || type == 6 ? 4 : 1; }

static size_t tensor_elements_of(const Onnx__TensorProto *t) {
    size_t n = 1;
    for (size_t i = 0; i < t->n_dims; i++) n *= (size_t)t->dims[i];
    return n;
}

static const char *external_value(const Onnx__TensorProto *t, const char *key) {
    for (size_t i = 0; i < t->n_external_data; i++)
        if (strcmp(t->external_data[i]->key, key) == 0) return t->external_data[i]->value;
    fail_msg("%s: no %s of its external data", t->name, key);
    return "";
}

/* The elements' bytes, all of which are there. */
static const unsigned char *tensor_data(const onnx_file *f, const Onnx__TensorProto *t) {
    const size_t bytes = tensor_elements_of(t) * element_bytes(t->data_type);
    if (!t->has_data_location || t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT) {
        if (t->raw_data.len != bytes) fail_msg("%s has %zu bytes, wanted %zu", t->name, t->raw_data.len, bytes);
        return t->raw_data.data;
    }
    const size_t offset = strtoull(external_value(t, "offset"), NULL, 10), length = strtoull(external_value(t, "length"), NULL, 10);
    if (length != bytes || offset % 4096 || offset + length > f->outside_bytes)
        fail_msg("%s: %zu bytes at %zu of %zu, wanted %zu", t->name, length, offset, f->outside_bytes, bytes);
    return f->outside + offset;
}

/* Names that values have so far. */
typedef struct name_set {
    const char **names;
    size_t n;
} name_set;

static bool is_in(const name_set *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0) return true;
    return false;
}

static void add_name(name_set *s, const char *name) {
    if (is_in(s, name)) fail_msg("%s is made twice", name);
    s->names[s->n++] = name;
}

static void check_form(const onnx_file *f) {
    const Onnx__GraphProto *g = f->model->graph;
    name_set s = {calloc(g->n_input + g->n_initializer + g->n_node + 1, sizeof *s.names), 0};
    assert_int_equal(f->model->ir_version, 8);
    assert_int_equal(f->model->n_opset_import, 1);
    assert_int_equal(f->model->opset_import[0]->version, 17);
    for (size_t i = 0; i < g->n_input; i++) add_name(&s, g->input[i]->name);
    for (size_t i = 0; i < g->n_initializer; i++) {
        add_name(&s, g->initializer[i]->name);
        (void)tensor_data(f, g->initializer[i]);
    }
    for (size_t i = 0; i < g->n_node; i++) {
        for (size_t k = 0; k < g->node[i]->n_input; k++)
            if (!is_in(&s, g->node[i]->input[k]))
                fail_msg("%s reads %s, which nobody made", g->node[i]->name, g->node[i]->input[k]);
        add_name(&s, g->node[i]->output[0]);
    }
    for (size_t i = 0; i < g->n_output; i++)
        if (!is_in(&s, g->output[i]->name)) fail_msg("nobody makes the output %s", g->output[i]->name);
    free(s.names);
}

onnx_file onnx_file_read(const char *path) {
    onnx_file f = {NULL, NULL, 0};
    file_map map;
    char data[600];
    snprintf(data, sizeof data, "%s.data", path);
    assert_int_equal(file_map_open(path, NULL, &map), POFAC_OK);
    f.model = onnx__model_proto__unpack(NULL, map.size_bytes, map.data);
    file_map_close(&map);
    assert_non_null(f.model);
    if (file_exists(data)) {
        assert_int_equal(file_map_open(data, NULL, &map), POFAC_OK);
        f.outside = malloc(map.size_bytes + 1);
        if (map.size_bytes) memcpy(f.outside, map.data, map.size_bytes); /* a file without tensors is empty, and not mapped */
        f.outside_bytes = map.size_bytes;
        file_map_close(&map);
    }
    check_form(&f);
    return f;
}

void onnx_file_free(onnx_file *f) {
    onnx__model_proto__free_unpacked(f->model, NULL);
    free(f->outside);
}

/* ---- values ---- */

typedef struct value {
    const char *name;
    size_t rank;
    int64_t dims[MOST_RANK];
    double *x;
} value;

typedef struct evaluation {
    const onnx_file *f;
    value *values;
    size_t n;
} evaluation;

static int64_t size_of(const value *v) {
    int64_t n = 1;
    for (size_t i = 0; i < v->rank; i++) n *= v->dims[i];
    return n;
}

static value new_value(size_t rank, const int64_t *dims) {
    value v = {.rank = rank};
    assert_true(rank <= MOST_RANK);
    if (rank) memcpy(v.dims, dims, rank * sizeof *dims);
    v.x = calloc((size_t)size_of(&v) + 1, sizeof *v.x);
    assert_non_null(v.x);
    return v;
}

static const value *find(const evaluation *e, const char *name) {
    for (size_t i = e->n; i-- > 0;)
        if (strcmp(e->values[i].name, name) == 0) return &e->values[i];
    fail_msg("%s has no value", name);
    return NULL;
}

static void keep(evaluation *e, const char *name, value v) {
    v.name = name;
    e->values[e->n++] = v;
}

static double element(const unsigned char *data, int type, size_t i) {
    int64_t whole;
    int32_t half;
    float real;
    switch (type) {
    case 1: memcpy(&real, data + 4 * i, 4); return (double)real;
    case 2: return data[i];
    case 3: return (signed char)data[i];
    case 6: memcpy(&half, data + 4 * i, 4); return half;
    case 7: memcpy(&whole, data + 8 * i, 8); return (double)whole;
    default: fail_msg("found tensors of type %d", type); return 0;
    }
}

/* ---- operations ---- */

typedef struct call {
    const Onnx__NodeProto *node;
    const value *in[5];
    evaluation *e;
} call;

static const Onnx__AttributeProto *attribute(const call *c, const char *name) {
    for (size_t i = 0; i < c->node->n_attribute; i++)
        if (strcmp(c->node->attribute[i]->name, name) == 0) return c->node->attribute[i];
    return NULL;
}

static int64_t whole_attribute(const call *c, const char *name, int64_t fallback) {
    const Onnx__AttributeProto *a = attribute(c, name);
    return a ? a->i : fallback;
}

/* The place in `v` of an element of a larger shape, by which v is repeated (broadcasting). */
static int64_t broadcast_place(const value *v, const value *to, int64_t i) {
    int64_t place = 0, step = 1;
    for (size_t d = to->rank; d-- > 0;) {
        const int64_t at = i % to->dims[d];
        i /= to->dims[d];
        if (d + v->rank < to->rank) continue;
        const int64_t own = v->dims[d + v->rank - to->rank];
        if (own != 1) place += at * step;
        step *= own;
    }
    return place;
}

static value broadcast_shape(const value *a, const value *b) {
    int64_t dims[MOST_RANK];
    const size_t rank = a->rank > b->rank ? a->rank : b->rank;
    for (size_t d = 0; d < rank; d++) {
        const int64_t p = d + a->rank < rank ? 1 : a->dims[d + a->rank - rank],
                      q = d + b->rank < rank ? 1 : b->dims[d + b->rank - rank];
        assert_true(p == q || p == 1 || q == 1);
        dims[d] = p == 1 ? q : p;
    }
    return new_value(rank, dims);
}

static double binary_number(const char *op, double a, double b) {
    if (strcmp(op, "Add") == 0) return a + b;
    if (strcmp(op, "Sub") == 0) return a - b;
    if (strcmp(op, "Mul") == 0) return a * b;
    if (strcmp(op, "Div") == 0) return a / b;
    if (strcmp(op, "Pow") == 0) return pow(a, b);
    return strcmp(op, "Min") == 0 ? fmin(a, b) : fmax(a, b);
}

static value run_binary(const call *c) {
    value out = broadcast_shape(c->in[0], c->in[1]);
    for (int64_t i = 0; i < size_of(&out); i++)
        out.x[i] = binary_number(c->node->op_type, c->in[0]->x[broadcast_place(c->in[0], &out, i)],
                                 c->in[1]->x[broadcast_place(c->in[1], &out, i)]);
    return out;
}

static double unary_number(const char *op, double x) {
    if (strcmp(op, "Sqrt") == 0) return sqrt(x);
    if (strcmp(op, "Relu") == 0) return x > 0 ? x : 0;
    if (strcmp(op, "Tanh") == 0) return tanh(x);
    if (strcmp(op, "Erf") == 0) return erf(x);
    if (strcmp(op, "Round") == 0) return rint(x);
    return x; /* Identity */
}

static value run_unary(const call *c) {
    value out = new_value(c->in[0]->rank, c->in[0]->dims);
    for (int64_t i = 0; i < size_of(&out); i++) out.x[i] = unary_number(c->node->op_type, c->in[0]->x[i]);
    return out;
}

static value run_cast(const call *c) {
    const int64_t to = whole_attribute(c, "to", 0);
    value out = new_value(c->in[0]->rank, c->in[0]->dims);
    for (int64_t i = 0; i < size_of(&out); i++)
        out.x[i] = to == 1 ? c->in[0]->x[i] : to == 9 ? c->in[0]->x[i] != 0 : trunc(c->in[0]->x[i]);
    return out;
}

static value run_clip(const call *c) {
    value out = new_value(c->in[0]->rank, c->in[0]->dims);
    for (int64_t i = 0; i < size_of(&out); i++) out.x[i] = fmin(fmax(c->in[0]->x[i], c->in[1]->x[0]), c->in[2]->x[0]);
    return out;
}

static value run_shape(const call *c) {
    const int64_t start = whole_attribute(c, "start", 0), end = whole_attribute(c, "end", (int64_t)c->in[0]->rank), n = end - start;
    value out = new_value(1, &n);
    for (int64_t i = 0; i < n; i++) out.x[i] = (double)c->in[0]->dims[start + i];
    return out;
}

static value run_concat(const call *c) {
    int64_t n = 0;
    for (size_t i = 0; i < c->node->n_input; i++) {
        assert_int_equal(c->in[i]->rank, 1); /* of shapes alone */
        n += c->in[i]->dims[0];
    }
    value out = new_value(1, &n);
    for (size_t i = 0, at = 0; i < c->node->n_input; at += (size_t)c->in[i++]->dims[0])
        memcpy(out.x + at, c->in[i]->x, (size_t)c->in[i]->dims[0] * sizeof *out.x);
    return out;
}

static value run_reshape(const call *c) {
    int64_t dims[MOST_RANK], known = 1, open = -1;
    const size_t rank = (size_t)c->in[1]->dims[0];
    assert_true(rank <= MOST_RANK);
    for (size_t i = 0; i < rank; i++) {
        dims[i] = (int64_t)c->in[1]->x[i];
        assert_true(dims[i] > 0 || dims[i] == -1);
        if (dims[i] == -1) open = (int64_t)i;
        else known *= dims[i];
    }
    if (open >= 0) dims[open] = size_of(c->in[0]) / known;
    value out = new_value(rank, dims);
    if (size_of(&out) != size_of(c->in[0]))
        fail_msg("%s: %lld elements, wanted %lld", c->node->name, (long long)size_of(&out), (long long)size_of(c->in[0]));
    memcpy(out.x, c->in[0]->x, (size_t)size_of(&out) * sizeof *out.x);
    return out;
}

static value run_expand(const call *c) {
    int64_t dims[MOST_RANK];
    value shape = {.rank = (size_t)c->in[1]->dims[0], .dims = {0}};
    for (size_t i = 0; i < shape.rank; i++) dims[i] = (int64_t)c->in[1]->x[i];
    memcpy(shape.dims, dims, sizeof dims);
    value out = broadcast_shape(c->in[0], &shape);
    for (int64_t i = 0; i < size_of(&out); i++) out.x[i] = c->in[0]->x[broadcast_place(c->in[0], &out, i)];
    return out;
}

static value run_transpose(const call *c) {
    const Onnx__AttributeProto *perm = attribute(c, "perm");
    const value *x = c->in[0];
    int64_t dims[MOST_RANK], steps[MOST_RANK], step = 1;
    for (size_t d = x->rank; d-- > 0; step *= x->dims[d]) steps[d] = step;
    for (size_t d = 0; d < x->rank; d++) dims[d] = x->dims[perm->ints[d]];
    value out = new_value(x->rank, dims);
    for (int64_t i = 0; i < size_of(&out); i++) {
        int64_t rest = i, place = 0;
        for (size_t d = x->rank; d-- > 0; rest /= dims[d]) place += rest % dims[d] * steps[perm->ints[d]];
        out.x[i] = x->x[place];
    }
    return out;
}

/* [before, axis, behind] of a value. */
static void around(const value *v, size_t axis, int64_t *before, int64_t *behind) {
    *before = *behind = 1;
    for (size_t d = 0; d < axis; d++) *before *= v->dims[d];
    for (size_t d = axis + 1; d < v->rank; d++) *behind *= v->dims[d];
}

static value run_slice(const call *c) {
    const value *x = c->in[0];
    const int64_t begin = (int64_t)c->in[1]->x[0], end = (int64_t)c->in[2]->x[0];
    const size_t axis = (size_t)(c->in[3]->x[0] < 0 ? (double)x->rank + c->in[3]->x[0] : c->in[3]->x[0]);
    int64_t dims[MOST_RANK], before, behind;
    assert_true(begin >= 0 && begin <= end && end <= x->dims[axis]);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = end - begin;
    around(x, axis, &before, &behind);
    value out = new_value(x->rank, dims);
    for (int64_t i = 0; i < before; i++)
        memcpy(out.x + i * dims[axis] * behind, x->x + (i * x->dims[axis] + begin) * behind,
               (size_t)(dims[axis] * behind) * sizeof *out.x);
    return out;
}

static value run_gather(const call *c) {
    const value *x = c->in[0], *index = c->in[1];
    const size_t axis = (size_t)whole_attribute(c, "axis", 0);
    int64_t dims[MOST_RANK], before, behind;
    size_t rank = 0;
    for (size_t d = 0; d < axis; d++) dims[rank++] = x->dims[d];
    for (size_t d = 0; d < index->rank; d++) dims[rank++] = index->dims[d];
    for (size_t d = axis + 1; d < x->rank; d++) dims[rank++] = x->dims[d];
    around(x, axis, &before, &behind);
    value out = new_value(rank, dims);
    const int64_t n = size_of(index);
    for (int64_t i = 0; i < before; i++)
        for (int64_t k = 0; k < n; k++) {
            const int64_t at = (int64_t)index->x[k];
            assert_true(at >= 0 && at < x->dims[axis]);
            memcpy(out.x + (i * n + k) * behind, x->x + (i * x->dims[axis] + at) * behind, (size_t)behind * sizeof *out.x);
        }
    return out;
}

static value run_gemm(const call *c) {
    const value *a = c->in[0], *b = c->in[1];
    const int64_t dims[] = {a->dims[0], b->dims[0]}, k = a->dims[1];
    assert_int_equal(whole_attribute(c, "transB", 0), 1);
    assert_true(a->rank == 2 && b->rank == 2 && b->dims[1] == k);
    value out = new_value(2, dims);
    for (int64_t i = 0; i < dims[0]; i++)
        for (int64_t j = 0; j < dims[1]; j++) {
            double sum = c->in[2] ? c->in[2]->x[j] : 0;
            for (int64_t p = 0; p < k; p++) sum += a->x[i * k + p] * b->x[j * k + p];
            out.x[i * dims[1] + j] = sum;
        }
    return out;
}

static value run_matmul(const call *c) {
    const value *a = c->in[0], *b = c->in[1];
    assert_true(a->rank == 4 && b->rank == 4 && a->dims[0] == b->dims[0] && a->dims[1] == b->dims[1] && a->dims[3] == b->dims[2]);
    const int64_t n = a->dims[2], k = a->dims[3], m = b->dims[3], dims[] = {a->dims[0], a->dims[1], n, m};
    value out = new_value(4, dims);
    for (int64_t s = 0; s < dims[0] * dims[1]; s++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < m; j++) {
                double sum = 0;
                for (int64_t p = 0; p < k; p++) sum += a->x[(s * n + i) * k + p] * b->x[(s * k + p) * m + j];
                out.x[(s * n + i) * m + j] = sum;
            }
    return out;
}

static value run_softmax(const call *c) {
    const value *x = c->in[0];
    const int64_t n = x->dims[x->rank - 1];
    value out = new_value(x->rank, x->dims);
    assert_int_equal(whole_attribute(c, "axis", 0), -1);
    for (int64_t r = 0; r < size_of(x) / n; r++) {
        double top = -INFINITY, sum = 0;
        for (int64_t i = 0; i < n; i++) top = fmax(top, x->x[r * n + i]);
        for (int64_t i = 0; i < n; i++) sum += out.x[r * n + i] = exp(x->x[r * n + i] - top);
        for (int64_t i = 0; i < n; i++) out.x[r * n + i] /= sum;
    }
    return out;
}

static value run_layer_norm(const call *c) {
    const value *x = c->in[0];
    const int64_t n = x->dims[x->rank - 1];
    const Onnx__AttributeProto *eps = attribute(c, "epsilon");
    value out = new_value(x->rank, x->dims);
    for (int64_t r = 0; r < size_of(x) / n; r++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < n; i++) mean += x->x[r * n + i] / (double)n;
        for (int64_t i = 0; i < n; i++) variance += pow(x->x[r * n + i] - mean, 2) / (double)n;
        for (int64_t i = 0; i < n; i++)
            out.x[r * n + i] = (x->x[r * n + i] - mean) / sqrt(variance + (double)eps->f) * c->in[1]->x[i] + c->in[2]->x[i];
    }
    return out;
}

static value run_reduce(const call *c) {
    const value *x = c->in[0];
    const bool greatest = strcmp(c->node->op_type, "ReduceMax") == 0;
    const int64_t n = x->dims[x->rank - 1];
    int64_t dims[MOST_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = 1;
    value out = new_value(whole_attribute(c, "keepdims", 1) ? x->rank : x->rank - 1, dims);
    for (int64_t r = 0; r < size_of(x) / n; r++) {
        out.x[r] = x->x[r * n];
        for (int64_t i = 1; i < n; i++) out.x[r] = greatest ? fmax(out.x[r], x->x[r * n + i]) : fmin(out.x[r], x->x[r * n + i]);
    }
    return out;
}

/* Of all rows, or of the row that element i belongs to. */
static double row_number(const value *scales, const value *x, int64_t i) {
    if (!scales) return 0;
    if (scales->rank == 0) return scales->x[0];
    assert_int_equal(scales->dims[0], x->dims[0]);
    return scales->x[i / (size_of(x) / x->dims[0])];
}

static value run_quantize(const call *c) {
    value out = new_value(c->in[0]->rank, c->in[0]->dims);
    for (int64_t i = 0; i < size_of(&out); i++) {
        const float x = (float)c->in[0]->x[i], scale = (float)row_number(c->in[1], c->in[0], i);
        out.x[i] = fmin(fmax((double)rintf(x / scale) + row_number(c->in[2], c->in[0], i), 0), 255);
    }
    return out;
}

static value run_dequantize(const call *c) {
    value out = new_value(c->in[0]->rank, c->in[0]->dims);
    for (int64_t i = 0; i < size_of(&out); i++)
        out.x[i] = (c->in[0]->x[i] - row_number(c->in[2], c->in[0], i)) * row_number(c->in[1], c->in[0], i);
    return out;
}

static const struct {
    const char *op;
    value (*run)(const call *c);
} operations[] = {{"Add", run_binary},
                  {"Sub", run_binary},
                  {"Mul", run_binary},
                  {"Div", run_binary},
                  {"Pow", run_binary},
                  {"Min", run_binary},
                  {"Max", run_binary},
                  {"Sqrt", run_unary},
                  {"Relu", run_unary},
                  {"Tanh", run_unary},
                  {"Erf", run_unary},
                  {"Round", run_unary},
                  {"Identity", run_unary},
                  {"Cast", run_cast},
                  {"Clip", run_clip},
                  {"Shape", run_shape},
                  {"Concat", run_concat},
                  {"Reshape", run_reshape},
                  {"Expand", run_expand},
                  {"Transpose", run_transpose},
                  {"Slice", run_slice},
                  {"Gather", run_gather},
                  {"Gemm", run_gemm},
                  {"MatMul", run_matmul},
                  {"Softmax", run_softmax},
                  {"ReduceMax", run_reduce},
                  {"ReduceMin", run_reduce},
                  {"LayerNormalization", run_layer_norm},
                  {"QuantizeLinear", run_quantize},
                  {"DequantizeLinear", run_dequantize}};

static void run_node(evaluation *e, const Onnx__NodeProto *n) {
    call c = {.node = n, .e = e};
    assert_true(n->n_input <= 5 && n->n_output == 1);
    for (size_t i = 0; i < n->n_input; i++) c.in[i] = find(e, n->input[i]);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(operations[i].op, n->op_type) != 0) continue;
        keep(e, n->output[0], operations[i].run(&c));
        return;
    }
    fail_msg("%s: unknown operation %s", n->name, n->op_type);
}

/* ---- running ---- */

/* Numbers of named dimensions, found as they come. */
typedef struct named_dims {
    const char *name[8];
    int64_t size[8];
    size_t n;
} named_dims;

static void check_shape(const Onnx__ValueInfoProto *info, const value *v, named_dims *names) {
    const Onnx__TensorShapeProto *shape = info->type->tensor_type->shape;
    if (shape->n_dim != v->rank) fail_msg("%s has %zu dimensions, wanted %zu", info->name, v->rank, shape->n_dim);
    for (size_t i = 0; i < v->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
        int64_t wanted = d->dim_value;
        if (!d->has_dim_value) {
            size_t k = 0;
            while (k < names->n && strcmp(names->name[k], d->dim_param) != 0) k++;
            assert_true(k < 8);
            if (k == names->n) names->name[names->n++] = d->dim_param, names->size[k] = v->dims[i];
            wanted = names->size[k];
        }
        if (v->dims[i] != wanted)
            fail_msg("%s: dimension %zu is %lld, wanted %lld", info->name, i, (long long)v->dims[i], (long long)wanted);
    }
}

static void take_inputs(evaluation *e, const tensor_source *inputs, named_dims *names) {
    const Onnx__GraphProto *g = e->f->model->graph;
    for (size_t i = 0; i < g->n_input; i++) {
        ir_tensor t;
        assert_int_equal(inputs->get(inputs->user, g->input[i]->name, NULL, &t), POFAC_OK);
        value v = new_value(t.rank, t.dims);
        for (int64_t k = 0; k < size_of(&v); k++) v.x[k] = tensor_get(&t, k);
        check_shape(g->input[i], &v, names);
        keep(e, g->input[i]->name, v);
    }
}

static void take_tensors(evaluation *e) {
    const Onnx__GraphProto *g = e->f->model->graph;
    for (size_t i = 0; i < g->n_initializer; i++) {
        const Onnx__TensorProto *t = g->initializer[i];
        value v = new_value(t->n_dims, t->dims);
        const unsigned char *data = tensor_data(e->f, t);
        for (int64_t k = 0; k < size_of(&v); k++) v.x[k] = element(data, t->data_type, (size_t)k);
        keep(e, t->name, v);
    }
}

void onnx_file_run(const onnx_file *f, const tensor_source *inputs, const char *output, ir_tensor *out) {
    const Onnx__GraphProto *g = f->model->graph;
    evaluation e = {.f = f, .values = calloc(g->n_input + g->n_initializer + g->n_node + 1, sizeof *e.values)};
    named_dims names = {.n = 0};
    assert_non_null(e.values);
    take_inputs(&e, inputs, &names);
    take_tensors(&e);
    for (size_t i = 0; i < g->n_node; i++) run_node(&e, g->node[i]);
    const value *v = find(&e, output);
    for (size_t i = 0; i < g->n_output; i++)
        if (strcmp(g->output[i]->name, output) == 0) check_shape(g->output[i], v, &names);
    assert_int_equal(tensor_alloc(IR_F32, (uint32_t)v->rank, v->dims, out), POFAC_OK);
    for (int64_t i = 0; i < size_of(v); i++) tensor_set(out, i, v->x[i]);
    for (size_t i = 0; i < e.n; i++) free(e.values[i].x);
    free(e.values);
}
