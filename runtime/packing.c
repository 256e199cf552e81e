/*
 * Packing of weights; see packing.h. One chunk of the pool's work is one panel (or one block of rows), so that the bytes never
 * depend on the number of threads.
 */
#include "runtime/packing.h"

#include <string.h>

int64_t packing_bytes(plan_packing packing, uint32_t parameter, int64_t n_rows, int64_t n_columns) {
    const bool transposed = packing == PACKING_TRANSPOSED_PANELS;
    int64_t rows = transposed ? n_columns : n_rows, others = transposed ? n_rows : n_columns, elements, bytes;
    if (transposed || packing == PACKING_PANELS) {
        int64_t r = parameter;
        if (r == 0 || __builtin_add_overflow(rows, r - 1, &rows)) return -1;
        rows = rows / r * r;
    }
    if (__builtin_mul_overflow(rows, others, &elements) || __builtin_mul_overflow(elements, (int64_t)sizeof(float), &bytes))
        return -1;
    return bytes;
}

typedef struct pack_job {
    const ir_tensor *weight; /* [N,K] */
    int64_t n_rows, n_columns, rows_per_chunk;
    float *out;
} pack_job;

#define PACK_BLOCK 64 /* elements that are read at a time: with their places in a panel, they stay in the first cache */

/* Columns [k, k+n) of row `row` as floats, n at most PACK_BLOCK. */
static void read_run(const ir_tensor *w, int64_t row, int64_t k, int64_t n, float *out) {
    size_t element_bytes = dtype_bits(w->dtype) / 8;
    const char *from = (const char *)w->data + (size_t)(row * w->dims[1] + k) * element_bytes;
    uint16_t half[PACK_BLOCK];
    double wide[PACK_BLOCK];
    switch (w->dtype) {
    case IR_F32: memcpy(out, from, (size_t)n * sizeof *out); break;
    case IR_BF16:
        memcpy(half, from, (size_t)n * sizeof *half);
        for (int64_t i = 0; i < n; i++) out[i] = bf16_to_float(half[i]);
        break;
    case IR_F16:
        memcpy(half, from, (size_t)n * sizeof *half);
        for (int64_t i = 0; i < n; i++) out[i] = f16_to_float(half[i]);
        break;
    default: /* f64 */
        memcpy(wide, from, (size_t)n * sizeof *wide);
        for (int64_t i = 0; i < n; i++) out[i] = (float)wide[i];
    }
}

static void pack_rows(void *user, size_t worker, size_t chunk) {
    (void)worker;
    const pack_job *job = user;
    int64_t first = (int64_t)chunk * job->rows_per_chunk, last = first + job->rows_per_chunk;
    if (last > job->n_rows) last = job->n_rows;
    for (int64_t row = first; row < last; row++)
        for (int64_t k = 0; k < job->n_columns; k += PACK_BLOCK) {
            int64_t n = job->n_columns - k < PACK_BLOCK ? job->n_columns - k : PACK_BLOCK;
            read_run(job->weight, row, k, n, job->out + row * job->n_columns + k);
        }
}

/* One panel: rows_per_chunk rows side by side for each k. */
static void pack_panel(void *user, size_t worker, size_t chunk) {
    (void)worker;
    const pack_job *job = user;
    int64_t r = job->rows_per_chunk, first = (int64_t)chunk * r;
    float *panel = job->out + first * job->n_columns; /* [K][R] */
    float room[PACK_BLOCK];
    for (int64_t i = 0; i < r; i++) {
        for (int64_t k = 0; k < job->n_columns; k += PACK_BLOCK) {
            int64_t n = job->n_columns - k < PACK_BLOCK ? job->n_columns - k : PACK_BLOCK;
            if (first + i < job->n_rows) read_run(job->weight, first + i, k, n, room);
            else memset(room, 0, sizeof room);
            for (int64_t j = 0; j < n; j++) panel[(k + j) * r + i] = room[j];
        }
    }
}

/* One panel of the transposed weight: rows_per_chunk columns side by side for each row. */
static void pack_transposed_panel(void *user, size_t worker, size_t chunk) {
    (void)worker;
    const pack_job *job = user;
    const int64_t r = job->rows_per_chunk, first = (int64_t)chunk * r, rest = job->n_columns - first, n = rest < r ? rest : r;
    float *panel = job->out + first * job->n_rows; /* [N][R] */
    for (int64_t row = 0; row < job->n_rows; row++) {
        for (int64_t i = 0; i < n; i += PACK_BLOCK)
            read_run(job->weight, row, first + i, n - i < PACK_BLOCK ? n - i : PACK_BLOCK, panel + row * r + i);
        for (int64_t i = n; i < r; i++) panel[row * r + i] = 0;
    }
}

void packing_make(plan_packing packing, uint32_t parameter, const ir_tensor *weight, thread_pool *pool, float *out) {
    pack_job job = {.weight = weight, .n_rows = weight->dims[0], .n_columns = weight->dims[1], .out = out};
    if (job.n_rows == 0 || job.n_columns == 0) return;
    const bool transposed = packing == PACKING_TRANSPOSED_PANELS, panels = transposed || packing == PACKING_PANELS;
    job.rows_per_chunk = panels ? (int64_t)parameter : 64;
    int64_t rows = transposed ? job.n_columns : job.n_rows, chunks = (rows + job.rows_per_chunk - 1) / job.rows_per_chunk;
    thread_pool_run(pool, transposed ? pack_transposed_panel : panels ? pack_panel : pack_rows, &job, (size_t)chunks);
}
