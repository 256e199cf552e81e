/* Floats -> whole numbers and scales for files; see stored_weights.h. */
#include "frontend/driver/stored_weights.h"

#include <math.h>

#include "frontend/checkpoint/scaled_tensors.h"
#include "frontend/driver/model_quantization.h"
#include "ir/tensor.h"

typedef struct storing {
    const float *weights;                /* [n_rows,n_columns] */
    int64_t n_rows, n_columns, n_groups; /* groups of columns of a row that share a scale */
    value_range *ranges;                 /* [n_rows,n_groups], of 8 bits without by_row [1] */
    arena *memory;
    const diag_sink *sink;
    thread_pool *pool;
    const char *name;
} storing;

static int whole_number(float w, float scale, int bits) {
    const float half = (float)(1 << (bits - 1)), place = rintf(w * (1 / scale));
    return (int)(place < -half ? -half : place > half - 1 ? half - 1 : place);
}

static pofac_status check_ranges(const storing *s, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (value_range_is_none(s->ranges[i]))
            return diag_error(s->sink, POFAC_ERR_NUMERIC, NULL, "%s: found a weight that is NaN or infinite, wanted numbers",
                              s->name);
    return POFAC_OK;
}

/* ---- 8 bits ---- */

static pofac_status find_ranges(storing *s, const weight_storage *storage, int64_t n) {
    s->ranges = ARENA_ARRAY(s->memory, value_range, (size_t)n + 1);
    if (!s->ranges) return diag_out_of_memory(s->sink);
    for (int64_t i = 0; storage->ranges && i < n; i++) s->ranges[i] = (value_range){storage->ranges[i][0], storage->ranges[i][1]};
    if (storage->ranges) return check_ranges(s, n);
    if (storage->by_row) weight_ranges(s->weights, s->n_rows, s->n_columns, storage->method, 8, s->pool, s->ranges);
    else s->ranges[0] = weight_range(s->weights, s->n_rows * s->n_columns, storage->method, 8);
    return check_ranges(s, n);
}

static pofac_status store_8(storing *s, const weight_storage *storage, safetensors_item out[2]) {
    const int64_t n_scales = storage->by_row ? s->n_rows : 1;
    TRY(find_ranges(s, storage, n_scales));
    int8_t *numbers = ARENA_ARRAY(s->memory, int8_t, (size_t)(s->n_rows * s->n_columns) + 1);
    float *scales = ARENA_ARRAY(s->memory, float, (size_t)n_scales + 1);
    if (!numbers || !scales) return diag_out_of_memory(s->sink);
    for (int64_t i = 0; i < n_scales; i++) {
        const float range[2] = {s->ranges[i].min, s->ranges[i].max};
        scales[i] = quantization_weight_scale(range, 8);
    }
    for (int64_t row = 0; row < s->n_rows; row++)
        for (int64_t k = row * s->n_columns; k < (row + 1) * s->n_columns; k++)
            numbers[k] = (int8_t)whole_number(s->weights[k], scales[storage->by_row ? row : 0], 8);
    out[0].dtype = IR_I8;
    out[0].dims[1] = s->n_columns;
    out[0].data = numbers;
    out[1].dtype = IR_F32;
    out[1].rank = storage->by_row ? 1 : 0;
    out[1].data = scales;
    return POFAC_OK;
}

/* ---- 4 bits ---- */

typedef struct row_job {
    const storing *s;
    calibration_method method;
    unsigned char *numbers; /* [n_rows,n_columns/2] */
    uint16_t *scales;       /* bf16 [n_rows,n_groups] */
} row_job;

static void store_row_4(void *user, size_t worker, size_t chunk) {
    const row_job *j = user;
    const storing *s = j->s;
    const int64_t row = (int64_t)chunk;
    const float *weights = s->weights + row * s->n_columns;
    (void)worker;
    for (int64_t group = 0; group < s->n_groups; group++) {
        const int64_t first = group * SCALED_TENSOR_COLUMNS,
                      n = s->n_columns - first < SCALED_TENSOR_COLUMNS ? s->n_columns - first : SCALED_TENSOR_COLUMNS;
        const value_range r = weight_range(weights + first, n, j->method, 4);
        const float range[2] = {r.min, r.max};
        s->ranges[row * s->n_groups + group] = r;
        if (value_range_is_none(r)) continue;
        const uint16_t scale = float_to_bf16(quantization_weight_scale(range, 4));
        j->scales[row * s->n_groups + group] = scale;
        for (int64_t k = first; k < first + n; k += 2) {
            const int low = whole_number(weights[k], bf16_to_float(scale), 4) + SCALED_TENSOR_MIDDLE,
                      high = whole_number(weights[k + 1], bf16_to_float(scale), 4) + SCALED_TENSOR_MIDDLE;
            j->numbers[(row * s->n_columns + k) / 2] = (unsigned char)(low | high << 4);
        }
    }
}

static pofac_status store_4(storing *s, calibration_method method, safetensors_item out[2]) {
    s->n_groups = (s->n_columns + SCALED_TENSOR_COLUMNS - 1) / SCALED_TENSOR_COLUMNS;
    const int64_t n_scales = s->n_rows * s->n_groups;
    s->ranges = ARENA_ARRAY(s->memory, value_range, (size_t)n_scales + 1);
    row_job j = {s, method, ARENA_ARRAY(s->memory, unsigned char, (size_t)(s->n_rows * s->n_columns / 2) + 1),
                 ARENA_ARRAY(s->memory, uint16_t, (size_t)n_scales + 1)};
    if (!s->ranges || !j.numbers || !j.scales) return diag_out_of_memory(s->sink);
    thread_pool_run(s->pool, store_row_4, &j, (size_t)s->n_rows);
    TRY(check_ranges(s, n_scales));
    out[0].dtype = IR_U8;
    out[0].dims[1] = s->n_columns / 2;
    out[0].data = j.numbers;
    out[1].dtype = IR_BF16;
    out[1].rank = 2;
    out[1].dims[1] = s->n_groups;
    out[1].data = j.scales;
    return POFAC_OK;
}

pofac_status stored_weight_make(const char *name, const float *weights, int64_t n_rows, int64_t n_columns,
                                const weight_storage *storage, thread_pool *pool, arena *a, const diag_sink *sink,
                                safetensors_item out[2]) {
    storing s = {
        .weights = weights, .n_rows = n_rows, .n_columns = n_columns, .memory = a, .sink = sink, .pool = pool, .name = name};
    out[0] = (safetensors_item){.name = name, .rank = 2, .dims = {n_rows}};
    out[1] = (safetensors_item){.name = arena_printf(a, "%s" SCALED_TENSOR_ENDING, name), .dims = {n_rows}};
    if (!out[1].name) return diag_out_of_memory(sink);
    if (storage->bits == 4 && n_columns % 2 == 0) return store_4(&s, storage->method, out);
    return store_8(&s, storage, out);
}
