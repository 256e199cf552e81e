/* Weights in 8 bits; see int8_packing.h. One chunk of the pool's work is one panel, so that the bytes never depend on the threads. */
#include "runtime/int8_packing.h"

#include <string.h>

#include "ir/quantization.h"

#define RUN 256 /* columns that are read at a time, a multiple of 4 */
#define ROUNDS                                                                                                                     \
    0x1.8p23f /* added and taken off again, it leaves the nearest whole number, the even one of two, of what is below 2^22 */

/* Columns of which a row has a whole number. */
static int64_t columns_at_once(plan_packing packing) { return packing == PACKING_INT8_TILES ? 64 : 4; }

int64_t int8_panels_bytes(plan_packing packing, uint32_t panel, int64_t n_rows, int64_t n_columns) {
    const int64_t at_once = columns_at_once(packing);
    int64_t rows, columns, weights, sums, bytes;
    if (panel == 0 || (packing == PACKING_INT8_TILES && panel % 16 != 0)) return -1;
    if (__builtin_add_overflow(n_rows, (int64_t)panel - 1, &rows) || __builtin_add_overflow(n_columns, at_once - 1, &columns))
        return -1;
    rows = rows / panel * panel;
    columns = columns / at_once * at_once;
    if (__builtin_mul_overflow(rows, columns, &weights) || __builtin_mul_overflow(rows, (int64_t)sizeof(int32_t), &sums)) return -1;
    return __builtin_add_overflow(weights, sums, &bytes) ? -1 : bytes;
}

static value_range range_of(const ir_tensor *range, int64_t row) {
    const int64_t at = range->rank == 2 ? 2 * row : 0;
    return (value_range){(float)tensor_get(range, at), (float)tensor_get(range, at + 1)};
}

bool int8_range_is_none(const ir_tensor *range) {
    for (int64_t i = 0; i < tensor_elements(range) / 2; i++) {
        const value_range r = range_of(range, i);
        if (!(r.min <= r.max)) return true;
    }
    return false;
}

void int8_encode_run(const float *x, int64_t n, float scale, int8_t *out) {
    const float inverse = 1 / scale;
    for (int64_t i = 0; i < n; i++) {
        float place = x[i] * inverse;
        place = place == place ? place : 0;
        place = place < -128 ? -128 : place;
        place = place > 127 ? 127 : place;
        out[i] = (int8_t)((place + ROUNDS) - ROUNDS);
    }
}

typedef struct panels_job {
    const ir_tensor *weight, *range;
    plan_packing packing;
    int64_t n_rows, n_columns, panel, quads; /* quads: of columns, in a row as it is packed */
    int8_t *weights;
    int32_t *sums;
} panels_job;

/* Columns [k, k + n) of a row, with zeros up to a multiple of 4. */
static void encode_columns(const panels_job *job, int64_t row, int64_t k, int64_t n, int8_t out[RUN]) {
    const quantization q = quantization_of(range_of(job->range, row), QUANTIZE_SYMMETRIC);
    double wide[RUN];
    float x[RUN];
    tensor_get_run(job->weight, row * job->n_columns + k, n, wide);
    for (int64_t i = 0; i < n; i++) x[i] = (float)wide[i];
    int8_encode_run(x, n, q.scale, out);
    for (int64_t i = n; i % 4 != 0; i++) out[i] = 0;
}

/* Where four columns of a row lie in the panel. */
static int64_t place_of_quad(const panels_job *job, int64_t row, int64_t quad) {
    if (job->packing == PACKING_INT8_PANELS) return (quad * job->panel + row) * 4;
    return row / 16 * 16 * job->quads * 4 + quad / 16 * 1024 + row % 16 * 64 + quad % 16 * 4;
}

static void pack_panel(void *user, size_t worker, size_t chunk) {
    (void)worker;
    const panels_job *job = user;
    const int64_t first = (int64_t)chunk * job->panel;
    int8_t *panel = job->weights + first * job->quads * 4, bytes[RUN];
    memset(panel, 0, (size_t)(job->panel * job->quads * 4));
    for (int64_t r = 0; r < job->panel; r++) {
        int32_t sum = 0;
        for (int64_t k = 0; first + r < job->n_rows && k < job->n_columns; k += RUN) {
            const int64_t n = job->n_columns - k < RUN ? job->n_columns - k : RUN;
            encode_columns(job, first + r, k, n, bytes);
            for (int64_t i = 0; i < n; i++) sum += bytes[i];
            for (int64_t i = 0; i < n; i += 4) memcpy(panel + place_of_quad(job, r, (k + i) / 4), bytes + i, 4);
        }
        job->sums[first + r] = sum;
    }
}

void int8_panels_make(plan_packing packing, uint32_t panel, const ir_tensor *weight, const ir_tensor *range, thread_pool *pool,
                      void *out) {
    const int64_t at_once = columns_at_once(packing);
    panels_job job = {.weight = weight,
                      .range = range,
                      .packing = packing,
                      .n_rows = weight->dims[0],
                      .n_columns = weight->dims[1],
                      .panel = panel,
                      .weights = out};
    const int64_t chunks = (job.n_rows + job.panel - 1) / job.panel;
    job.quads = (job.n_columns + at_once - 1) / at_once * at_once / 4;
    job.sums = (int32_t *)(void *)(job.weights + chunks * job.panel * job.quads * 4);
    thread_pool_run(pool, pack_panel, &job, (size_t)chunks);
}
