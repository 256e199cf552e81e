/* Checks of operands' types and contents, see operands.h. */
#include "ir/ops/operands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static type_text take_text(strbuf *b) {
    type_text out;
    const char *text = strbuf_ok(b) ? strbuf_str(b) : "?";
    size_t n = strlen(text);
    if (n >= sizeof out.text) n = sizeof out.text - 1;
    memcpy(out.text, text, n);
    out.text[n] = 0;
    strbuf_free(b);
    return out;
}

type_text type_text_of(const ir_infer *in, const ir_type *t) {
    strbuf b = STRBUF_INIT;
    type_print(in->context, t, graph_print_value, in->graph, &b);
    return take_text(&b);
}

type_text dim_text_of(const ir_infer *in, ir_dim d) {
    strbuf b = STRBUF_INIT;
    dim_print(in->context, d, graph_print_value, in->graph, &b);
    return take_text(&b);
}

pofac_status infer_result(ir_infer *in, uint32_t r, const ir_type *t) {
    if (!t) return diag_out_of_memory(in->sink);
    in->result[r] = t;
    return POFAC_OK;
}

static pofac_status unwanted(const ir_infer *in, const ir_type *t, const char *name, const char *wanted) {
    return infer_error(in, "%s is %s, wanted %s", name, type_text_of(in, t).text, wanted);
}

pofac_status want_tensor(const ir_infer *in, const ir_type *t, const char *name) {
    return t->kind == TYPE_TENSOR ? POFAC_OK : unwanted(in, t, name, "a tensor");
}

pofac_status want_rank(const ir_infer *in, const ir_type *t, const char *name, uint32_t rank, const char *shape) {
    return t->kind == TYPE_TENSOR && t->rank == rank ? POFAC_OK : unwanted(in, t, name, shape);
}

pofac_status want_float(const ir_infer *in, const ir_type *t, const char *name) {
    TRY(want_tensor(in, t, name));
    return dtype_class(t->dtype) == DTYPE_FLOAT ? POFAC_OK : unwanted(in, t, name, "floats");
}

pofac_status want_integer(const ir_infer *in, const ir_type *t, const char *name) {
    TRY(want_tensor(in, t, name));
    ir_dtype_class c = dtype_class(t->dtype);
    return c == DTYPE_SIGNED || c == DTYPE_UNSIGNED ? POFAC_OK : unwanted(in, t, name, "integers");
}

pofac_status want_integer_or_bool(const ir_infer *in, const ir_type *t, const char *name) {
    TRY(want_tensor(in, t, name));
    return dtype_class(t->dtype) != DTYPE_FLOAT ? POFAC_OK : unwanted(in, t, name, "integers or bool");
}

pofac_status want_type(const ir_infer *in, const ir_type *t, const char *name, const ir_type *wanted) {
    if (!wanted) return diag_out_of_memory(in->sink);
    return t == wanted ? POFAC_OK : unwanted(in, t, name, type_text_of(in, wanted).text);
}

pofac_status want_offsets_type(const ir_infer *in, const ir_type *t) {
    int64_t n;
    bool ok = t->kind == TYPE_TENSOR && t->dtype == IR_I32 && t->rank == 1 && !(dim_is_const(t->dims[0], &n) && n < 1);
    return ok ? POFAC_OK : unwanted(in, t, "offsets", "i32[B+1]");
}

pofac_status want_declared(const ir_infer *in) {
    const ir_type *t = in->declared;
    TRY(want_tensor(in, t, "the declared type"));
    if (type_is_tiled(t) && (t->rank != 2 || t->tile == 0)) return unwanted(in, t, "the declared type", "rank 2 for tiles");
    if (t->layout == LAYOUT_QUADS && dtype_bits(t->dtype) != 8) return unwanted(in, t, "the declared type", "8 bits for quads");
    return POFAC_OK;
}

pofac_status want_offsets(const ir_eval *e, const ir_tensor *offsets, int64_t n_rows) {
    int64_t n = offsets->dims[0];
    if (n < 1) return eval_error(e, "offsets are empty, wanted B+1 numbers");
    int64_t last = tensor_get_int(offsets, 0);
    if (last != 0) return eval_error(e, "offset 0 is %" PRId64 ", wanted 0", last);
    for (int64_t b = 1; b < n; b++) {
        int64_t next = tensor_get_int(offsets, b);
        if (next < last) return eval_error(e, "offset %" PRId64 " is %" PRId64 ", wanted at least %" PRId64, b, next, last);
        last = next;
    }
    if (n_rows >= 0 && last != n_rows)
        return eval_error(e, "the last offset is %" PRId64 ", wanted %" PRId64 ", the number of rows", last, n_rows);
    return POFAC_OK;
}

void copy_elements(ir_tensor *to, int64_t to_first, const ir_tensor *from, int64_t from_first, int64_t n) {
    if (n <= 0) return;
    unsigned bits = dtype_bits(from->dtype);
    if (bits % 8 == 0) {
        size_t bytes = bits / 8;
        memcpy((char *)to->data + (size_t)to_first * bytes, (const char *)from->data + (size_t)from_first * bytes,
               (size_t)n * bytes);
        return;
    }
    for (int64_t i = 0; i < n; i++) tensor_set_int(to, to_first + i, tensor_get_int(from, from_first + i));
}

double *alloc_doubles(int64_t a, int64_t b) {
    size_t n, bytes;
    if (__builtin_mul_overflow(a, b, &n) || __builtin_mul_overflow(n, sizeof(double), &bytes)) return NULL;
    return malloc(bytes > 0 ? bytes : 1);
}
