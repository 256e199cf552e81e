/* Weights -> the ranges of their whole numbers; see weight_ranges.h. */
#include "frontend/driver/weight_ranges.h"

#include <float.h>
#include <math.h>

#include "frontend/driver/model_quantization.h"

#define PARTS 64
#define LEAST_PART 20

/* Added and taken away, it rounds what is small beside it to the nearest whole number, ties to even, in a few instructions for many numbers at once. */
#define ROUNDER 0x1.8p23f

static float lost(const float *weights, int64_t n, float scale, float least, float greatest) {
    const float per_step = 1 / scale;
    float sum[8] = {0};
    for (int64_t i = 0; i < n; i++) {
        float q = (weights[i] * per_step + ROUNDER) - ROUNDER;
        q = q < least ? least : q > greatest ? greatest : q;
        const float error = weights[i] - q * scale;
        sum[i % 8] += error * error;
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* In pieces, so that sums in single precision stay exact enough. */
static double error_of(const float *weights, int64_t n, float c, int bits) {
    enum { PIECE = 4096 };
    const float range[2] = {-c, c}, half = (float)(1 << (bits - 1)), scale = quantization_weight_scale(range, bits);
    double sum = 0;
    for (int64_t at = 0; at < n; at += PIECE)
        sum += (double)lost(weights + at, n - at < PIECE ? n - at : PIECE, scale, -half, half - 1);
    return sum;
}

value_range weight_range(const float *weights, int64_t n, calibration_method method, int bits) {
    float most = 0;
    bool finite = true;
    for (int64_t i = 0; i < n; i++) {
        const float x = fabsf(weights[i]);
        finite = finite && x <= FLT_MAX;
        most = x > most ? x : most;
    }
    if (!finite) return VALUE_RANGE_NONE;
    if (method != CALIBRATE_MSE || most == 0) return (value_range){-most, most};
    float best = most;
    double least = error_of(weights, n, most, bits);
    for (int part = PARTS - 1; part >= LEAST_PART; part--) {
        const float c = most * ((float)part / PARTS);
        const double error = error_of(weights, n, c, bits);
        if (error < least) least = error, best = c;
    }
    return (value_range){-best, best};
}

typedef struct row_job {
    const float *weights;
    int64_t n_columns;
    calibration_method method;
    int bits;
    value_range *out;
} row_job;

static void range_of_row(void *user, size_t worker, size_t row) {
    const row_job *j = user;
    (void)worker;
    j->out[row] = weight_range(j->weights + (int64_t)row * j->n_columns, j->n_columns, j->method, j->bits);
}

void weight_ranges(const float *weights, int64_t n_rows, int64_t n_columns, calibration_method method, int bits, thread_pool *pool,
                   value_range *out) {
    row_job j = {weights, n_columns, method, bits, out};
    thread_pool_run(pool, range_of_row, &j, (size_t)n_rows);
}

void weight_ranges_widen(value_range *ranges, int64_t n) {
    value_range whole = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        if (value_range_is_none(ranges[i])) ranges[i] = (value_range){0, 0};
        whole = (value_range){fminf(whole.min, ranges[i].min), fmaxf(whole.max, ranges[i].max)};
    }
    if (whole.min == 0 && whole.max == 0) whole = (value_range){-1, 1};
    for (int64_t i = 0; i < n; i++)
        if (ranges[i].min == 0 && ranges[i].max == 0) ranges[i] = whole;
}
