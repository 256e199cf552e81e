/*
 * Tensors: typed memory <-> doubles and 64-bit integers.
 *
 * Every conversion rounds once, to nearest with ties to even, also through a narrower step: a double that goes to 16 bits is first
 * made a float by rounding to odd (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008), after which the
 * second rounding is exact in effect. Integers saturate, NaN becomes 0 in an integer; a bool is 1 for anything but 0.
 */
#include "ir/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TENSOR_ALIGNMENT 64u /* one cache line, and the widest vector of any target */

int64_t tensor_elements(const ir_tensor *t) {
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        if (t->dims[i] == 0) return 0; /* the others may be large */
    for (uint32_t i = 0; i < t->rank; i++) n *= t->dims[i];
    return n;
}

/* Bytes of n elements; false when they do not fit. */
static bool count_bytes(ir_dtype dtype, int64_t n, size_t *bytes) {
    int64_t bits;
    if (__builtin_mul_overflow(n, (int64_t)dtype_bits(dtype), &bits) || bits > INT64_MAX - 7) return false;
    *bytes = (size_t)((bits + 7) / 8);
    return true;
}

size_t tensor_bytes(const ir_tensor *t) {
    size_t bytes = 0;
    if ((t->pattern && t->rank == 2) || !count_bytes(t->dtype, tensor_elements(t), &bytes)) return 0;
    return bytes;
}

/* Elements of a shape; false when a dimension is negative or the product overflows. */
static bool count_elements(uint32_t rank, const int64_t *dims, int64_t *out) {
    int64_t n = 1;
    bool empty = false, fits = true;
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < 0) return false;
        empty = empty || dims[i] == 0;
        fits = fits && !__builtin_mul_overflow(n, dims[i], &n);
    }
    *out = empty ? 0 : n;
    return empty || fits;
}

bool tensor_is_aligned(const ir_tensor *t) {
    size_t element_bytes = dtype_bits(t->dtype) >= 8 ? dtype_bits(t->dtype) / 8 : 1;
    return (uintptr_t)t->data % element_bytes == 0;
}

pofac_status tensor_alloc(ir_dtype dtype, uint32_t rank, const int64_t *dims, ir_tensor *out) {
    *out = (ir_tensor){.dtype = dtype, .rank = rank};
    int64_t n;
    size_t bytes;
    if (rank > IR_MAX_RANK || !count_elements(rank, dims, &n) || !count_bytes(dtype, n, &bytes)) return POFAC_ERR_RUNTIME;
    for (uint32_t i = 0; i < rank; i++) out->dims[i] = dims[i];
    if (bytes == 0) return POFAC_OK;
    if (bytes > PTRDIFF_MAX - TENSOR_ALIGNMENT) return POFAC_ERR_RUNTIME;
    size_t rounded = (bytes + TENSOR_ALIGNMENT - 1) / TENSOR_ALIGNMENT * TENSOR_ALIGNMENT;
    out->data = aligned_alloc(TENSOR_ALIGNMENT, rounded);
    if (!out->data) return POFAC_ERR_RUNTIME;
    memset(out->data, 0, rounded);
    out->owned = true;
    return POFAC_OK;
}

ir_tensor tensor_view(ir_dtype dtype, uint32_t rank, const int64_t *dims, const void *data) {
    ir_tensor t = {.dtype = dtype, .rank = rank, .data = (void *)(uintptr_t)data};
    for (uint32_t i = 0; i < rank && i < IR_MAX_RANK; i++) t.dims[i] = dims[i];
    return t;
}

void tensor_free(ir_tensor *t) {
    if (t->owned) {
        free(t->data);
        free((void *)(uintptr_t)t->pattern);
    }
    *t = (ir_tensor){0};
}

/* A pattern and its arrays in one block. */
static ir_pattern *clone_pattern(const ir_pattern *p) {
    size_t rows, columns, bytes;
    if (__builtin_mul_overflow((size_t)p->n_rows + 1, sizeof(int64_t), &rows) ||
        __builtin_mul_overflow((size_t)p->nnz, sizeof(int32_t), &columns) || __builtin_add_overflow(rows, columns, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(ir_pattern), &bytes)) {
        return NULL;
    }
    ir_pattern *copy = malloc(bytes);
    if (!copy) return NULL;
    char *row_start = (char *)(copy + 1), *column = row_start + rows;
    memcpy(row_start, p->row_start, rows);
    if (columns > 0) memcpy(column, p->column, columns);
    *copy = (ir_pattern){.n_rows = p->n_rows,
                         .n_columns = p->n_columns,
                         .nnz = p->nnz,
                         .row_start = (const int64_t *)(const void *)row_start,
                         .column = (const int32_t *)(const void *)column};
    return copy;
}

pofac_status tensor_clone(const ir_tensor *t, ir_tensor *out) {
    if (!t->pattern || t->rank == 1) {
        TRY(tensor_alloc(t->dtype, t->rank, t->dims, out));
        if (out->data) memcpy(out->data, t->data, tensor_bytes(t));
        return POFAC_OK;
    }
    *out = *t;
    out->pattern = clone_pattern(t->pattern);
    out->owned = out->pattern != NULL;
    return out->pattern ? POFAC_OK : POFAC_ERR_RUNTIME;
}

/* ---- integers ---- */

static int64_t clamp_int(int64_t value, int64_t low, int64_t high) { return value < low ? low : value > high ? high : value; }

/* Nearest integer, ties to even; saturates, NaN gives 0. 2^63 is the first double above INT64_MAX. */
static int64_t round_to_int(double value) {
    if (isnan(value)) return 0;
    if (value >= 0x1p63) return INT64_MAX;
    if (value <= -0x1p63) return INT64_MIN;
    return (int64_t)nearbyint(value);
}

static int64_t get_i4(const uint8_t *data, int64_t i) {
    unsigned nibble = i % 2 == 0 ? data[i / 2] & 15u : data[i / 2] >> 4;
    return nibble < 8 ? (int64_t)nibble : (int64_t)nibble - 16;
}

static void set_i4(uint8_t *data, int64_t i, int64_t value) {
    unsigned nibble = (unsigned)(clamp_int(value, -8, 7) & 15);
    unsigned other = i % 2 == 0 ? data[i / 2] & 0xf0u : data[i / 2] & 15u;
    data[i / 2] = (uint8_t)(other | (i % 2 == 0 ? nibble : nibble << 4));
}

/* ---- single numbers ---- */

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The float of odd last bit where `value` lies between two floats, so that a later rounding to fewer bits rounds as if from
 * `value`. */
static float round_to_odd(double value) {
    float nearest = (float)value;
    if (isnan(value) || (double)nearest == value) return nearest;
    uint32_t bits = float_bits(nearest);
    if (fabs((double)nearest) > fabs(value)) bits--; /* magnitude towards zero; infinity becomes the largest float */
    return bits_float(bits | 1u);
}

/* An integer as a double that rounds to fewer bits as the integer does: bits that a double cannot hold are or-ed into its last. */
static double int_to_odd_double(int64_t value) {
    if (value >= -(INT64_C(1) << 53) && value <= INT64_C(1) << 53) return (double)value;
    const int64_t lost = 1023; /* 63 bits less the 53 of a double */
    int64_t kept = value & ~lost;
    return (double)((value & lost) != 0 ? kept | (lost + 1) : kept);
}

/* ---- elements ---- */

double tensor_get(const ir_tensor *t, int64_t i) {
    switch (t->dtype) {
    case IR_F32: return (double)((const float *)t->data)[i];
    case IR_F64: return ((const double *)t->data)[i];
    case IR_BF16: return (double)bf16_to_float(((const uint16_t *)t->data)[i]);
    case IR_F16: return (double)f16_to_float(((const uint16_t *)t->data)[i]);
    default: return (double)tensor_get_int(t, i);
    }
}

void tensor_set(ir_tensor *t, int64_t i, double value) {
    switch (t->dtype) {
    case IR_F32: ((float *)t->data)[i] = (float)value; return;
    case IR_F64: ((double *)t->data)[i] = value; return;
    case IR_BF16: ((uint16_t *)t->data)[i] = float_to_bf16(round_to_odd(value)); return;
    case IR_F16: ((uint16_t *)t->data)[i] = float_to_f16(round_to_odd(value)); return;
    case IR_BOOL: ((uint8_t *)t->data)[i] = value != 0; return;
    default: tensor_set_int(t, i, round_to_int(value)); return;
    }
}

int64_t tensor_get_int(const ir_tensor *t, int64_t i) {
    switch (t->dtype) {
    case IR_I4: return get_i4(t->data, i);
    case IR_I8: return ((const int8_t *)t->data)[i];
    case IR_U8: return ((const uint8_t *)t->data)[i];
    case IR_I16: return ((const int16_t *)t->data)[i];
    case IR_I32: return ((const int32_t *)t->data)[i];
    case IR_I64: return ((const int64_t *)t->data)[i];
    case IR_BOOL: return ((const uint8_t *)t->data)[i] != 0;
    default: return round_to_int(tensor_get(t, i));
    }
}

void tensor_set_int(ir_tensor *t, int64_t i, int64_t value) {
    switch (t->dtype) {
    case IR_I4: set_i4(t->data, i, value); return;
    case IR_I8: ((int8_t *)t->data)[i] = (int8_t)clamp_int(value, INT8_MIN, INT8_MAX); return;
    case IR_U8: ((uint8_t *)t->data)[i] = (uint8_t)clamp_int(value, 0, UINT8_MAX); return;
    case IR_I16: ((int16_t *)t->data)[i] = (int16_t)clamp_int(value, INT16_MIN, INT16_MAX); return;
    case IR_I32: ((int32_t *)t->data)[i] = (int32_t)clamp_int(value, INT32_MIN, INT32_MAX); return;
    case IR_I64: ((int64_t *)t->data)[i] = value; return;
    case IR_BOOL: ((uint8_t *)t->data)[i] = value != 0; return;
    case IR_F64: ((double *)t->data)[i] = (double)value; return;
    default: tensor_set(t, i, int_to_odd_double(value)); return;
    }
}

void tensor_get_run(const ir_tensor *t, int64_t first, int64_t n, double *out) {
    if (n <= 0) return;
    if (t->dtype == IR_F64) {
        memcpy(out, (const double *)t->data + first, (size_t)n * sizeof *out);
    } else if (t->dtype == IR_F32) {
        const float *data = (const float *)t->data + first;
        for (int64_t i = 0; i < n; i++) out[i] = (double)data[i];
    } else {
        for (int64_t i = 0; i < n; i++) out[i] = tensor_get(t, first + i);
    }
}

void tensor_set_run(ir_tensor *t, int64_t first, int64_t n, const double *values) {
    if (n <= 0) return;
    if (t->dtype == IR_F64) {
        memcpy((double *)t->data + first, values, (size_t)n * sizeof *values);
    } else if (t->dtype == IR_F32) {
        float *data = (float *)t->data + first;
        for (int64_t i = 0; i < n; i++) data[i] = (float)values[i];
    } else {
        for (int64_t i = 0; i < n; i++) tensor_set(t, first + i, values[i]);
    }
}

/* ---- 16-bit floats ---- */

float bf16_to_float(uint16_t bits) { return bits_float((uint32_t)bits << 16); }

uint16_t float_to_bf16(float value) {
    uint32_t bits = float_bits(value);
    if (isnan(value)) return (uint16_t)(bits >> 16 | 0x40u); /* quiet, and never an infinity by losing its low bits */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

float f16_to_float(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, mantissa = bits & 0x3ffu;
    if (exponent == 31) return bits_float(sign | 0x7f800000u | mantissa << 13);
    if (exponent > 0) return bits_float(sign | (exponent + 112u) << 23 | mantissa << 13); /* biases 15 and 127 */
    float magnitude = (float)mantissa * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

/* `bits` without its low `shift` bits, rounded to nearest even; shift > 0. */
static uint32_t round_shift(uint32_t bits, unsigned shift) {
    return (bits + (1u << (shift - 1)) - 1u + (bits >> shift & 1u)) >> shift;
}

uint16_t float_to_f16(float value) {
    uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (bits >> 13 & 0x3ffu));
    if (bits >= 0x47800000u) return (uint16_t)(sign | 0x7c00u);                              /* 2^16 and above */
    if (bits >= 0x38800000u) return (uint16_t)(sign | round_shift(bits - (112u << 23), 13)); /* 2^-14: the least normal */
    unsigned shift = 126u - (bits >> 23);                                                    /* the result counts units of 2^-24 */
    if (shift > 24) return (uint16_t)sign;
    return (uint16_t)(sign | round_shift((bits & 0x7fffffu) | 0x800000u, shift));
}

void tensor_source_release(const tensor_source *s, const char *name) {
    if (s->release) s->release(s->user, name);
}
