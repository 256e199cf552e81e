/* Whole numbers times scales -> floats; see scaled_tensors.h. */
#include "frontend/checkpoint/scaled_tensors.h"

#include <math.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint_build.h"

/* ---- joining ---- */

POFAC_PRINTF(3, 4)
static pofac_status wrong(const checkpoint_tensor *t, const diag_sink *sink, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const pofac_status status = checkpoint_tensor_error(t->file, t->name, sink, format, args);
    va_end(args);
    return status;
}

static bool ends_with(const char *text, size_t n, const char *ending) {
    const size_t e = strlen(ending);
    return n > e && memcmp(text + n - e, ending, e) == 0;
}

/* The tensor whose scale `scale` is, by its name; NULL: there is none. */
static checkpoint_tensor *find_numbers(checkpoint_tensor *tensors, size_t n, const checkpoint_tensor *scale) {
    const size_t length = strlen(scale->name), stem = length - strlen(SCALED_TENSOR_ENDING);
    size_t low = 0, high = n;
    if (!ends_with(scale->name, length, SCALED_TENSOR_ENDING)) return NULL;
    while (low < high) { /* the first name that is not before the stem */
        const size_t middle = low + (high - low) / 2;
        const int order = strncmp(tensors[middle].name, scale->name, stem);
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    if (low == n || strncmp(tensors[low].name, scale->name, stem) != 0 || tensors[low].name[stem]) return NULL;
    return tensors[low].dtype == IR_I8 || tensors[low].dtype == IR_U8 ? &tensors[low] : NULL;
}

/* The shape that the numbers and their scales have, as floats; false when it is neither form. */
static bool find_form(const checkpoint_tensor *numbers, const checkpoint_tensor *scale, struct checkpoint_scales *out,
                      int64_t *n_columns) {
    if (numbers->rank != 2 || !checkpoint_is_packed(numbers)) return false;
    const int64_t rows = numbers->dims[0], bytes = numbers->dims[1];
    *n_columns = bytes;
    if (numbers->dtype == IR_I8) {
        *out = (struct checkpoint_scales){.bits = 8, .n_rows = scale->rank ? scale->dims[0] : 1, .n_columns = 1};
        return scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == rows);
    }
    if (scale->rank != 2 || bytes > INT64_MAX / 4) return false;
    *n_columns = 2 * bytes;
    *out = (struct checkpoint_scales){.bits = 4, .n_rows = scale->dims[0], .n_columns = scale->dims[1]};
    return scale->dims[0] == rows && scale->dims[1] == (*n_columns + SCALED_TENSOR_COLUMNS - 1) / SCALED_TENSOR_COLUMNS;
}

static pofac_status read_scales(const checkpoint_tensor *t, arena *a, const diag_sink *sink, const float **out) {
    const int64_t n = checkpoint_elements(t);
    float *values = ARENA_ARRAY(a, float, (size_t)n + 1);
    if (!values) return diag_out_of_memory(sink);
    checkpoint_read_f32(t, values);
    for (int64_t i = 0; i < n; i++)
        if (!(values[i] > 0) || isinf(values[i]))
            return wrong(t, sink, "found %g among the scales, wanted numbers above 0", (double)values[i]);
    *out = values;
    return POFAC_OK;
}

static pofac_status join(checkpoint_tensor *numbers, const checkpoint_tensor *scale, arena *a, const diag_sink *sink) {
    struct checkpoint_scales *s = ARENA_NEW(a, struct checkpoint_scales);
    int64_t n_columns, n_elements, n_bytes;
    if (!s) return diag_out_of_memory(sink);
    if (dtype_class(scale->dtype) != DTYPE_FLOAT || !find_form(numbers, scale, s, &n_columns))
        return wrong(
            scale, sink,
            "found scales that do not fit the tensor \"%s\", wanted floats [] or [N] of i8 [N,K], or [N,K/32] of u8 [N,K/2]",
            numbers->name);
    TRY(read_scales(scale, a, sink, &s->values));
    s->bytes = checkpoint_bytes(scale);
    checkpoint_tensor joined = *numbers;
    joined.dtype = IR_F32;
    joined.dims[1] = n_columns;
    joined.scales = s;
    if (!checkpoint_pack(&joined, &n_elements, &n_bytes)) return wrong(numbers, sink, "found more elements than can be counted");
    *numbers = joined;
    return POFAC_OK;
}

pofac_status scaled_tensors_join(checkpoint_tensor *tensors, size_t n, arena *a, const diag_sink *sink, size_t *n_left) {
    size_t left = 0;
    for (size_t i = 0; i < n; i++) { /* NAME stands before NAME.scale: it is among those that are kept already */
        checkpoint_tensor *numbers = find_numbers(tensors, left, &tensors[i]);
        if (numbers) TRY(join(numbers, &tensors[i], a, sink));
        else tensors[left++] = tensors[i];
    }
    *n_left = left;
    return POFAC_OK;
}

/* ---- reading ---- */

static int number_at(const checkpoint_tensor *t, int64_t i) {
    if (t->scales->bits == 8) return (int)(signed char)t->data[i];
    return (i % 2 ? t->data[i / 2] >> 4 : t->data[i / 2] & 15) - SCALED_TENSOR_MIDDLE;
}

void scaled_tensor_read(const checkpoint_tensor *t, float *out) {
    const struct checkpoint_scales *s = t->scales;
    const int64_t columns = t->dims[1], shared = s->bits == 8 ? columns : SCALED_TENSOR_COLUMNS;
    for (int64_t row = 0; row < t->dims[0]; row++) {
        const float *scale = s->values + (s->n_rows == 1 ? 0 : row * s->n_columns);
        for (int64_t first = 0; first < columns; first += shared, scale++) {
            const int64_t end = first + shared < columns ? first + shared : columns;
            for (int64_t k = first; k < end; k++) out[row * columns + k] = (float)number_at(t, row * columns + k) * *scale;
        }
    }
}

int64_t scaled_tensor_bytes(const checkpoint_tensor *t) { return checkpoint_elements(t) * t->scales->bits / 8; }
