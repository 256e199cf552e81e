/*
 * Packing of weights; see packing.h. One chunk of the pool's work is one panel (or one block of rows), so that the bytes never depend on the number of threads.
 */
#include "runtime/packing.h"

#include <string.h>

int64_t packing_bytes(plan_packing packing, uint32_t parameter, int64_t n_rows, int64_t n_columns) {
    int64_t rows = n_rows, elements, bytes;
    if (packing == PACKING_PANELS) {
        int64_t r = parameter;
        rows = (n_rows + r - 1) / r * r;
    }
    if (__builtin_mul_overflow(rows, n_columns, &elements) || __builtin_mul_overflow(elements, (int64_t)sizeof(float), &bytes))
        return -1;
    return bytes;
}

typedef struct pack_job {
    const ir_tensor *weight; /* [N,K] */
    int64_t n_rows, n_columns, rows_per_chunk;
    float *out;
} pack_job;

/* Columns k0 .. k0+n of row `row` as floats: in place where they are f32, else converted into `room`. */
#define PACK_BLOCK 256
static const float *row_run(const ir_tensor *w, int64_t row, int64_t k0, int64_t n, float room[PACK_BLOCK]) {
    int64_t first = row * w->dims[1] + k0;
    if (w->dtype == IR_F32) {
        memcpy(room, (const float *)w->data + first, (size_t)n * sizeof(float)); /* the file's bytes may be unaligned */
        return room;
    }
    for (int64_t i = 0; i < n; i++) room[i] = (float)tensor_get(w, first + i);
    return room;
}

static void pack_rows(void *user, size_t worker, size_t chunk) {
    (void)worker;
    const pack_job *job = user;
    float room[PACK_BLOCK];
    int64_t first = (int64_t)chunk * job->rows_per_chunk, last = first + job->rows_per_chunk;
    if (last > job->n_rows) last = job->n_rows;
    for (int64_t row = first; row < last; row++)
        for (int64_t k = 0; k < job->n_columns; k += PACK_BLOCK) {
            int64_t n = job->n_columns - k < PACK_BLOCK ? job->n_columns - k : PACK_BLOCK;
            memcpy(job->out + row * job->n_columns + k, row_run(job->weight, row, k, n, room), (size_t)n * sizeof(float));
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
            if (first + i < job->n_rows) {
                const float *run = row_run(job->weight, first + i, k, n, room);
                for (int64_t j = 0; j < n; j++) panel[(k + j) * r + i] = run[j];
            } else {
                for (int64_t j = 0; j < n; j++) panel[(k + j) * r + i] = 0.0f;
            }
        }
    }
}

void packing_make(plan_packing packing, uint32_t parameter, const ir_tensor *weight, thread_pool *pool, float *out) {
    pack_job job = {.weight = weight, .n_columns = weight->dims[weight->rank - 1], .out = out};
    job.n_rows = weight->rank == 2 ? weight->dims[0] : 1;
    if (job.n_rows == 0 || job.n_columns == 0) return;
    job.rows_per_chunk = packing == PACKING_PANELS ? (int64_t)parameter : 64;
    int64_t chunks = (job.n_rows + job.rows_per_chunk - 1) / job.rows_per_chunk;
    thread_pool_run(pool, packing == PACKING_PANELS ? pack_panel : pack_rows, &job, (size_t)chunks);
}
