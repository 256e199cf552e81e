/*
 * Curvature by blocks; see second_order.h.
 *
 * Blocks lie LANES at a time side by side, element by element, so that every operation is one on vectors of doubles; of a block the lower triangle, row
 * by row. The last group is filled up with blocks of 0 gradients, the last block with entries of 0 gradients. Gradients wait until there are WAITING of
 * them: then each group takes all of them at once, while it lies in cache.
 */
#include "runtime/second_order.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/diag.h"

#define LANES 4
#define WAITING 16
#define GROUPS_PER_CHUNK 16 /* 0.7 MB of triangles at blocks of 50 */

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

struct second_order {
    second_order_options options;
    int64_t n_entries, n_groups;
    int64_t triangle; /* elements of a block */
    thread_pool *pool;
    lanes *inverse;    /* [n_groups][triangle] */
    lanes *products;   /* [threads][2][block_size] g and A g of a group */
    double *system;    /* [threads][block_size (block_size + 2)] the equations of a block, its right side and which entries go */
    float *waiting;    /* [WAITING][n_entries] */
    int64_t n_waiting; /* of them */
    const float *values;
    float *results;
    const uint8_t *mask;
};

static int64_t triangle_of(int64_t block) { return block * (block + 1) / 2; }

static int64_t groups_of(int64_t n_entries, int64_t block) {
    const int64_t blocks = n_entries / block + (n_entries % block != 0);
    return blocks / LANES + (blocks % LANES != 0);
}

int64_t second_order_bytes(int64_t n_entries, const second_order_options *o) {
    int64_t inverse, waiting, all;
    if (o->block_size < 1 || o->block_size > SECOND_ORDER_MOST_BLOCK || n_entries < 0) return INT64_MAX;
    if (__builtin_mul_overflow(groups_of(n_entries, o->block_size), triangle_of(o->block_size) * (int64_t)sizeof(lanes),
                               &inverse) ||
        __builtin_mul_overflow(n_entries, WAITING * (int64_t)sizeof(float), &waiting) ||
        __builtin_add_overflow(inverse, waiting, &all))
        return INT64_MAX;
    return all;
}

pofac_status second_order_check(const second_order_options *o, const diag_sink *sink) {
    if (o->block_size < 1 || o->block_size > SECOND_ORDER_MOST_BLOCK)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "fisher_block_size is %lld, wanted 1 to %d", (long long)o->block_size,
                          SECOND_ORDER_MOST_BLOCK);
    if (o->n_gradients < 1)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "fisher_gradients is %lld, wanted at least 1", (long long)o->n_gradients);
    if (!(o->damping > 0 && o->damping <= DBL_MAX))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "fisher_damping is %g, wanted a number above 0", o->damping);
    return POFAC_OK;
}

/* ---- life ---- */

/* I / damping everywhere. */
static void begin_inverse(second_order *s) {
    for (int64_t g = 0; g < s->n_groups; g++) {
        lanes *a = s->inverse + g * s->triangle;
        memset(a, 0, (size_t)s->triangle * sizeof *a);
        for (int64_t i = 0; i < s->options.block_size; i++)
            for (int l = 0; l < LANES; l++) a[triangle_of(i + 1) - 1][l] = 1 / s->options.damping;
    }
}

static void *take(size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(bytes, (size_t)128, &bytes)) return NULL;
    return aligned_alloc(64, bytes / 64 * 64);
}

pofac_status second_order_create(int64_t n_entries, const second_order_options *o, thread_pool *pool, const diag_sink *sink,
                                 second_order **out) {
    *out = NULL;
    TRY(second_order_check(o, sink));
    if (second_order_bytes(n_entries, o) == INT64_MAX) return diag_out_of_memory(sink);
    second_order *s = calloc(1, sizeof *s);
    if (!s) return diag_out_of_memory(sink);
    const size_t threads = thread_pool_threads(pool), block = (size_t)o->block_size;
    s->options = *o;
    s->n_entries = n_entries;
    s->n_groups = groups_of(n_entries, o->block_size);
    s->triangle = triangle_of(o->block_size);
    s->pool = pool;
    s->inverse = take((size_t)(s->n_groups * s->triangle), sizeof *s->inverse);
    s->products = take(threads * 2 * block, sizeof *s->products);
    s->system = take(threads * block * (block + 2), sizeof *s->system);
    s->waiting = take((size_t)n_entries * WAITING, sizeof *s->waiting);
    if (!s->inverse || !s->products || !s->system || !s->waiting) {
        second_order_destroy(s);
        return diag_out_of_memory(sink);
    }
    begin_inverse(s);
    *out = s;
    return POFAC_OK;
}

void second_order_destroy(second_order *s) {
    if (!s) return;
    free(s->inverse);
    free(s->products);
    free(s->system);
    free(s->waiting);
    free(s);
}

/* ---- gradients ---- */

/* Rows i to i + 3 of A, of elements before the diagonal block: their products with g, and g's of those rows with the columns. Four sums go side by side. */
static inline void multiply_four(const lanes *const row[4], const lanes *g, int64_t i, lanes *y) {
    const lanes g0 = g[i], g1 = g[i + 1], g2 = g[i + 2], g3 = g[i + 3];
    lanes sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
    for (int64_t j = 0; j < i; j++) {
        const lanes a0 = row[0][j], a1 = row[1][j], a2 = row[2][j], a3 = row[3][j];
        sum0 += a0 * g[j];
        sum1 += a1 * g[j];
        sum2 += a2 * g[j];
        sum3 += a3 * g[j];
        y[j] += (a0 * g0 + a1 * g1) + (a2 * g2 + a3 * g3);
    }
    y[i] = sum0;
    y[i + 1] = sum1;
    y[i + 2] = sum2;
    y[i + 3] = sum3;
}

/* Rows [first, end), columns from `first` on. */
static inline void multiply_corner(const lanes *a, const lanes *g, int64_t first, int64_t end, lanes *y) {
    for (int64_t i = first; i < end; i++) {
        const lanes *row = a + i * (i + 1) / 2;
        for (int64_t j = first; j < i; j++) {
            y[i] += row[j] * g[j];
            y[j] += row[j] * g[i];
        }
        y[i] += row[i] * g[i];
    }
}

/* A g of a group into y, and m + g^T A g into *sum. One pass over the triangle: an element below the diagonal counts for its row and its column. */
static inline void multiply(const lanes *a, const lanes *g, int64_t block, double m, lanes *y, lanes *sum) {
    int64_t i = 0;
    for (; i + 4 <= block; i += 4) {
        const lanes *const rows[4] = {a + i * (i + 1) / 2, a + (i + 1) * (i + 2) / 2, a + (i + 2) * (i + 3) / 2,
                                      a + (i + 3) * (i + 4) / 2};
        multiply_four(rows, g, i, y);
        multiply_corner(a, g, i, i + 4, y);
    }
    for (; i < block; i++) {
        const lanes *row = a + i * (i + 1) / 2;
        y[i] = row[i] * g[i];
        for (int64_t j = 0; j < i; j++) {
            y[i] += row[j] * g[j];
            y[j] += row[j] * g[i];
        }
    }
    *sum = (lanes){m, m, m, m};
    for (i = 0; i < block; i++) *sum += g[i] * y[i];
}

/* A -= y y^T / sum, two rows at a time. */
static inline void subtract(lanes *a, const lanes *y, int64_t block, const lanes *sum) {
    const lanes inverse = 1 / *sum;
    int64_t i = 0;
    for (; i + 2 <= block; i += 2) {
        lanes *row0 = a + i * (i + 1) / 2, *row1 = row0 + i + 1;
        const lanes share0 = y[i] * inverse, share1 = y[i + 1] * inverse;
        for (int64_t j = 0; j <= i; j++) {
            row0[j] -= share0 * y[j];
            row1[j] -= share1 * y[j];
        }
        row1[i + 1] -= share1 * y[i + 1];
    }
    for (lanes *row = a + i * (i + 1) / 2; i < block; i++)
        for (int64_t j = 0; j <= i; j++) row[j] -= y[i] * inverse * y[j];
}

/* One gradient g of a group, with room for A g behind it. Where the sum is not finite, nothing changes. */
static void add_rank_1(lanes *a, lanes *g, int64_t block, double m) {
    lanes *y = g + block, sum;
    multiply(a, g, block, m, y, &sum);
    for (int l = 0; l < LANES; l++) {
        if (isfinite(sum[l])) continue;
        sum[l] = 1;
        for (int64_t i = 0; i < block; i++) y[i][l] = 0;
    }
    subtract(a, y, block, &sum);
}

/* The group's part of a gradient: element i of all blocks. */
static void spread(const second_order *s, const float *gradient, int64_t group, lanes *out) {
    const int64_t block = s->options.block_size;
    const float *from = gradient + group * LANES * block;
    if ((group + 1) * LANES * block <= s->n_entries) {
        for (int64_t i = 0; i < block; i++)
            out[i] = (lanes){(double)from[i], (double)from[block + i], (double)from[2 * block + i], (double)from[3 * block + i]};
        return;
    }
    for (int64_t l = 0; l < LANES; l++)
        for (int64_t i = 0; i < block; i++)
            out[i][l] = (group * LANES + l) * block + i < s->n_entries ? (double)from[l * block + i] : 0;
}

static void add_waiting(void *user, size_t worker, size_t chunk) {
    second_order *s = user;
    const int64_t block = s->options.block_size, first = (int64_t)chunk * GROUPS_PER_CHUNK;
    lanes *g = s->products + (int64_t)worker * 2 * block;
    for (int64_t group = first; group < first + GROUPS_PER_CHUNK && group < s->n_groups; group++)
        for (int64_t w = 0; w < s->n_waiting; w++) {
            spread(s, s->waiting + w * s->n_entries, group, g);
            add_rank_1(s->inverse + group * s->triangle, g, block, (double)s->options.n_gradients);
        }
}

static void for_all_groups(second_order *s, thread_pool_task task) {
    thread_pool_run(s->pool, task, s, (size_t)((s->n_groups + GROUPS_PER_CHUNK - 1) / GROUPS_PER_CHUNK));
}

static void catch_up(second_order *s) {
    if (s->n_waiting > 0) for_all_groups(s, add_waiting);
    s->n_waiting = 0;
}

void second_order_add(second_order *s, const float *gradient, const ir_pattern *pattern) {
    float *to = s->waiting + s->n_waiting * s->n_entries;
    if (!pattern) {
        memcpy(to, gradient, (size_t)s->n_entries * sizeof *to);
    } else {
        memset(to, 0, (size_t)s->n_entries * sizeof *to);
        for (int64_t r = 0; r < pattern->n_rows; r++)
            for (int64_t p = pattern->row_start[r]; p < pattern->row_start[r + 1]; p++)
                to[r * pattern->n_columns + pattern->column[p]] = gradient[p];
    }
    if (++s->n_waiting == WAITING) catch_up(s);
}

/* ---- results ---- */

static double element(const second_order *s, int64_t block, int64_t i, int64_t j) {
    const int64_t row = i > j ? i : j, column = i > j ? j : i;
    return s->inverse[block / LANES * s->triangle + triangle_of(row) + column][block % LANES];
}

double second_order_inverse(second_order *s, int64_t i, int64_t j) {
    const int64_t block = s->options.block_size;
    catch_up(s);
    return i / block == j / block ? element(s, i / block, i % block, j % block) : 0;
}

static void find_saliency(void *user, size_t worker, size_t chunk) {
    second_order *s = user;
    const int64_t block = s->options.block_size, first = (int64_t)chunk * GROUPS_PER_CHUNK * LANES * block;
    (void)worker;
    for (int64_t i = first; i < first + GROUPS_PER_CHUNK * LANES * block && i < s->n_entries; i++) {
        const double w = (double)s->values[i], curvature = fmax(element(s, i / block, i % block, i % block), DBL_MIN);
        s->results[i] = (float)fmin(w * w / (2 * curvature), (double)FLT_MAX);
    }
}

void second_order_saliency(second_order *s, const float *values, float *scores) {
    catch_up(s);
    s->values = values;
    s->results = scores;
    for_all_groups(s, find_saliency);
}

/* Solves the n equations a x = b by the Cholesky decomposition, in place; x is b. False: a is not positive definite, as numbers go. */
static bool solve(double *a, int64_t n, double *b) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0)) return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
        for (int64_t k = 0; k < i; k++) b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (int64_t i = n; i-- > 0;) {
        for (int64_t k = i + 1; k < n; k++) b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
    return true;
}

/* What goes from a block takes the others along; entries that are 0 already move nobody, and count, so that they stay. */
static void prune_block(const second_order *s, int64_t block, double *a) {
    const int64_t size = s->options.block_size, first = block * size;
    const int64_t n = s->n_entries - first < size ? s->n_entries - first : size;
    const uint8_t *mask = s->mask + first;
    float *w = s->results + first;
    double *x = a + size * size, *gone = x + size; /* places are exact in double */
    int64_t n_gone = 0;
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        if (mask[i]) continue;
        any = any || w[i] != 0;
        x[n_gone] = (double)w[i];
        gone[n_gone++] = (double)i;
    }
    if (!any) return;
    for (int64_t i = 0; i < n_gone; i++)
        for (int64_t j = 0; j <= i; j++) a[i * n_gone + j] = element(s, block, (int64_t)gone[i], (int64_t)gone[j]);
    const bool solved = solve(a, n_gone, x);
    for (int64_t i = 0; i < n; i++) {
        double change = 0;
        for (int64_t k = 0; k < n_gone && mask[i] && solved; k++) change += element(s, block, i, (int64_t)gone[k]) * x[k];
        w[i] = mask[i] ? (float)((double)w[i] - change) : 0;
    }
}

static void prune_blocks(void *user, size_t worker, size_t chunk) {
    second_order *s = user;
    const int64_t size = s->options.block_size, first = (int64_t)chunk * GROUPS_PER_CHUNK * LANES;
    double *system = s->system + (int64_t)worker * size * (size + 2);
    for (int64_t b = first; b < first + GROUPS_PER_CHUNK * LANES && b * size < s->n_entries; b++) prune_block(s, b, system);
}

void second_order_prune(second_order *s, const uint8_t *mask, float *values) {
    catch_up(s);
    s->mask = mask;
    s->results = values;
    for_all_groups(s, prune_blocks);
}
