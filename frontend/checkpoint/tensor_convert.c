/*
 * Elements of a checkpoint's tensor -> packed floats or integers.
 *
 * A tensor is walked as rows of its last dimension: one loop per dtype converts a row, an odometer over the other dimensions finds
 * where the next one begins. A packed tensor is one row. Elements are fetched with memcpy, as a mapping need not be aligned.
 *
 * Little-endian machines alone are supported, as everywhere in pofac; files are little-endian.
 */
#include <stdint.h>
#include <string.h>

#include "frontend/checkpoint/scaled_tensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files hold little-endian numbers");

/* n elements, `stride` bytes apart. */
typedef void row_function(const unsigned char *from, ptrdiff_t stride, int64_t n, void *to);

/* ROW(name, type in the file, type of the result, expression of the element v) */
#define ROW(name, file_type, result_type, expression)                                                                              \
    static void name(const unsigned char *from, ptrdiff_t stride, int64_t n, void *to) {                                           \
        result_type *out = to;                                                                                                     \
        for (int64_t i = 0; i < n; i++, from += stride) {                                                                          \
            file_type v;                                                                                                           \
            memcpy(&v, from, sizeof v);                                                                                            \
            out[i] = (expression);                                                                                                 \
        }                                                                                                                          \
    }

ROW(f32_from_f32, uint32_t, uint32_t, v) /* as bits, so that no NaN changes */
ROW(f32_from_f64, double, float, (float)v)
ROW(f32_from_bf16, uint16_t, float, bf16_to_float(v))
ROW(f32_from_f16, uint16_t, float, f16_to_float(v))
ROW(f32_from_i8, int8_t, float, (float)v)
ROW(f32_from_u8, uint8_t, float, (float)v)
ROW(f32_from_i16, int16_t, float, (float)v)
ROW(f32_from_i32, int32_t, float, (float)v)
ROW(f32_from_i64, int64_t, float, (float)v)
ROW(f32_from_bool, uint8_t, float, v ? 1.0f : 0.0f)
ROW(i64_from_i8, int8_t, int64_t, +v) /* promoted: int8_t is a kind of char, whose conversion clang-tidy suspects */
ROW(i64_from_u8, uint8_t, int64_t, v)
ROW(i64_from_i16, int16_t, int64_t, v)
ROW(i64_from_i32, int32_t, int64_t, v)
ROW(i64_from_i64, int64_t, int64_t, v)
ROW(i64_from_bool, uint8_t, int64_t, v ? 1 : 0)
ROW(copy_1, uint8_t, uint8_t, v)
ROW(copy_2, uint16_t, uint16_t, v)
ROW(copy_4, uint32_t, uint32_t, v)
ROW(copy_8, uint64_t, uint64_t, v)

/* NULL: no conversion. i4, which no file holds, has none. */
static row_function *const to_f32[IR_N_DTYPES] = {
    [IR_F32] = f32_from_f32, [IR_F64] = f32_from_f64, [IR_BF16] = f32_from_bf16, [IR_F16] = f32_from_f16, [IR_I8] = f32_from_i8,
    [IR_U8] = f32_from_u8,   [IR_I16] = f32_from_i16, [IR_I32] = f32_from_i32,   [IR_I64] = f32_from_i64, [IR_BOOL] = f32_from_bool,
};
static row_function *const to_i64[IR_N_DTYPES] = {
    [IR_I8] = i64_from_i8,   [IR_U8] = i64_from_u8,   [IR_I16] = i64_from_i16,
    [IR_I32] = i64_from_i32, [IR_I64] = i64_from_i64, [IR_BOOL] = i64_from_bool,
};

static size_t element_bytes(ir_dtype dtype) { return dtype_bits(dtype) / 8; }

/* Moves to the next row: adds one to the last index but one, with carry. False behind the last row. */
static bool next_row(const checkpoint_tensor *t, int64_t *index, int64_t *offset) {
    for (uint32_t i = t->rank - 1; i-- > 0;) {
        *offset += t->strides[i];
        if (++index[i] < t->dims[i]) return true;
        *offset -= t->strides[i] * t->dims[i];
        index[i] = 0;
    }
    return false;
}

static void convert(const checkpoint_tensor *t, row_function *row, size_t out_bytes, void *out) {
    const int64_t n = checkpoint_elements(t);
    const ptrdiff_t size = (ptrdiff_t)element_bytes(t->dtype);
    if (n == 0) return;
    if (t->scales) { /* what is wanted of a tensor of floats is floats */
        scaled_tensor_read(t, out);
        return;
    }
    if (checkpoint_is_packed(t)) {
        row(t->data, size, n, out);
        return;
    }
    const int64_t row_elements = t->dims[t->rank - 1]; /* a tensor that is not packed has a dimension */
    const ptrdiff_t stride = (ptrdiff_t)t->strides[t->rank - 1] * size;
    int64_t index[CHECKPOINT_MAX_RANK] = {0}, offset = 0;
    unsigned char *to = out;
    do {
        row(t->data + offset * size, stride, row_elements, to);
        to += (size_t)row_elements * out_bytes;
    } while (next_row(t, index, &offset));
}

void checkpoint_read_f32(const checkpoint_tensor *t, float *out) { convert(t, to_f32[t->dtype], sizeof *out, out); }

pofac_status checkpoint_read_i64(const checkpoint_tensor *t, const diag_sink *sink, int64_t *out) {
    if (!to_i64[t->dtype]) {
        diag_place place = {.file = t->file};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "tensor \"%s\": found elements of type %s, wanted integers", t->name,
                          dtype_name(t->dtype));
    }
    convert(t, to_i64[t->dtype], sizeof *out, out);
    return POFAC_OK;
}

void checkpoint_read_bytes(const checkpoint_tensor *t, void *out) {
    const size_t size = element_bytes(t->dtype);
    convert(t, size == 1 ? copy_1 : size == 2 ? copy_2 : size == 4 ? copy_4 : copy_8, size, out);
}

static bool can_view(const checkpoint_tensor *t, ir_dtype dtype) {
    return t->dtype == dtype && checkpoint_is_packed(t) && (uintptr_t)t->data % element_bytes(dtype) == 0;
}

pofac_status checkpoint_load(const checkpoint_tensor *t, ir_dtype dtype, const diag_sink *sink, ir_tensor *out) {
    *out = (ir_tensor){.dtype = dtype};
    if (t->rank > IR_MAX_RANK) {
        diag_place place = {.file = t->file};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "tensor \"%s\": found %u dimensions, wanted at most %d", t->name, t->rank,
                          IR_MAX_RANK);
    }
    if (can_view(t, dtype)) {
        *out = tensor_view(dtype, t->rank, t->dims, t->data);
        return POFAC_OK;
    }
    if (tensor_alloc(dtype, t->rank, t->dims, out) != POFAC_OK) return diag_out_of_memory(sink);
    pofac_status status = POFAC_OK;
    if (dtype == t->dtype) checkpoint_read_bytes(t, out->data);
    else if (dtype == IR_F32) checkpoint_read_f32(t, out->data);
    else status = checkpoint_read_i64(t, sink, out->data);
    if (status != POFAC_OK) tensor_free(out);
    return status;
}
