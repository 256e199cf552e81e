/*
 * Sparse packing: what a kernel finds when it walks the blobs as ir/sparse_layout.h says is the matrix, for generated patterns of all
 * densities, all kinds of layouts, transposed or not, any dtype and number of threads; limits and what does not fit; failing
 * allocations are those of bound weights' tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/rng.h"
#include "runtime/pattern_state.h"
#include "runtime/sparse_packing.h"
#include "runtime/weight_memory.h"

typedef struct matrix {
    int64_t n, k;
    float *dense; /* [N,K] */
    ir_pattern pattern;
    int64_t *row_start;
    int32_t *column;
    float *values; /* [nnz] */
} matrix;

/* Random non-zeros; `keep` of every `of` columns at most, `of` 0: any number. Row 0 is empty and row 1 full where `extremes`. */
static matrix make_matrix(int64_t n, int64_t k, double density, int keep, int of, bool extremes) {
    matrix m = {.n = n, .k = k};
    rng_key key = rng_key_make(11, "sparse packing");
    m.dense = calloc((size_t)(n * k) + 1, sizeof *m.dense);
    m.row_start = calloc((size_t)n + 1, sizeof *m.row_start);
    m.column = calloc((size_t)(n * k) + 1, sizeof *m.column);
    m.values = calloc((size_t)(n * k) + 1, sizeof *m.values);
    assert_true(m.dense && m.row_start && m.column && m.values);
    int64_t nnz = 0;
    for (int64_t r = 0; r < n; r++) {
        int in_group = 0;
        for (int64_t c = 0; c < k; c++) {
            if (of && c % of == 0) in_group = 0;
            bool some = rng_uniform(key, (uint64_t)(r * k + c)) < density;
            if (extremes && r < 2) some = r == 1;
            if (!some || (of && in_group == keep)) continue;
            in_group++;
            m.dense[r * k + c] = (float)(nnz % 255 + 1); /* exact in every float dtype */
            m.values[nnz] = m.dense[r * k + c];
            m.column[nnz++] = (int32_t)c;
        }
        m.row_start[r + 1] = nnz;
    }
    m.pattern = (ir_pattern){n, k, nnz, m.row_start, m.column};
    return m;
}

static void free_matrix(matrix *m) {
    free(m->dense);
    free(m->row_start);
    free(m->column);
    free(m->values);
}

typedef struct packed {
    sparse_header *index;
    float *values;
    uint32_t *order;
    int64_t value_bytes, n_order;
} packed;

static packed pack(const sparse_layout *l, const matrix *m, const ir_tensor *values, size_t threads) {
    packed p;
    thread_pool *pool;
    assert_int_equal(thread_pool_create(threads, NULL, &pool), POFAC_OK);
    assert_int_equal(sparse_index_make(l, &m->pattern, "w", pool, NULL, &p.index), POFAC_OK);
    assert_int_equal(sparse_values_make(l, &m->pattern, values, "w", pool, NULL, &p.values, &p.value_bytes), POFAC_OK);
    assert_int_equal(sparse_order_make(l, &m->pattern, "w", pool, NULL, &p.order, &p.n_order), POFAC_OK);
    thread_pool_destroy(pool);
    return p;
}

static void free_packed(packed *p) {
    weight_memory_give(p->index, p->index->bytes);
    weight_memory_give(p->values, (size_t)p->value_bytes);
    weight_memory_give(p->order, (size_t)p->n_order * sizeof *p->order);
}

/* ---- walking ---- */

typedef struct walk {
    const sparse_layout *l;
    const matrix *m;
    const packed *p;
    const char *what;
    int64_t n, k;      /* of the matrix at hand */
    float *found;      /* [n][k] */
    uint64_t n_visits; /* seen */
} walk;

#define WANT(w, condition, ...)                                                                                                    \
    do {                                                                                                                           \
        if (!(condition)) {                                                                                                        \
            print_error("%s: ", (w)->what);                                                                                        \
            fail_msg(__VA_ARGS__);                                                                                                 \
        }                                                                                                                          \
    } while (0)

static const void *part(const walk *w, uint32_t at) { return (const char *)w->p->index + at; }

/* Entry e of a visit of n entries: its column, from its offset. */
static int64_t column_of(const walk *w, int64_t block, uint32_t e, int64_t i) {
    const sparse_layout *l = w->l;
    const int64_t unit = l->tile / 2, k0 = block * l->k_block;
    if (l->kind != SPARSE_N_M) return k0 + ((const uint16_t *)part(w, w->p->index->offsets))[e] / unit;
    return k0 + i / l->keep * l->of + ((const uint8_t *)part(w, w->p->index->offsets))[e] / unit;
}

static void walk_visit(walk *w, int64_t group, int64_t block, uint32_t visit, uint32_t entry, uint32_t n) {
    const sparse_layout *l = w->l;
    const int64_t row = group * l->row_group + ((const uint16_t *)part(w, w->p->index->rows))[visit],
                  k_end = (block + 1) * l->k_block, size = l->block_rows * l->block_columns;
    int64_t last = -1;
    for (uint32_t i = 0; i < n; i++) {
        int64_t column = column_of(w, block, entry + i, i);
        WANT(w, column >= block * l->k_block && column < k_end && column < w->k, "column %d of block %d", (int)column, (int)block);
        WANT(w, column % l->block_columns == 0, "column %d of a block", (int)column);
        if (l->kind != SPARSE_N_M) WANT(w, column > last, "column %d behind column %d", (int)column, (int)last);
        last = column;
        for (int64_t c = 0; c < l->block_columns; c++)
            for (int64_t r = 0; r < l->block_rows; r++) {
                int64_t place = (entry + i) * size + c * l->block_rows + r;
                float value = w->p->values[place];
                uint32_t order = w->p->order[place];
                WANT(w, value == (order == SPARSE_NO_VALUE ? 0 : w->m->values[order]), "place %d: value %g, order %u", (int)place,
                     (double)value, order);
                if (value == 0) continue;
                WANT(w, row + r < w->n && column + c < w->k, "value %g at row %d, column %d", (double)value, (int)(row + r),
                     (int)(column + c));
                WANT(w, w->found[(row + r) * w->k + column + c] == 0, "row %d, column %d twice", (int)(row + r), (int)(column + c));
                w->found[(row + r) * w->k + column + c] = value;
            }
    }
    w->n_visits++;
}

/* All buckets of one segment. */
static void walk_segment(walk *w, int64_t group, int64_t block) {
    const sparse_header *h = w->p->index;
    const sparse_segment *s = (const sparse_segment *)part(w, h->segments) + group * h->n_k_blocks + block;
    const sparse_bucket *buckets = part(w, h->buckets);
    const uint16_t *rows = part(w, h->rows);
    const uint32_t *firsts = h->firsts ? part(w, h->firsts) : NULL;
    uint32_t visit = s->visit, entry = s->entry;
    for (uint32_t b = s->bucket; b < s[1].bucket; b++) {
        WANT(w, b == s->bucket || buckets[b].entries < buckets[b - 1].entries, "bucket %u is not smaller than the one before", b);
        WANT(w, buckets[b].entries > 0 && buckets[b].visits > 0, "bucket %u is empty", b);
        for (uint32_t v = 0; v < buckets[b].visits; v++, visit++, entry += buckets[b].entries) {
            WANT(w, v == 0 || rows[visit] > rows[visit - 1], "rows of bucket %u do not rise", b);
            walk_visit(w, group, block, visit, entry, buckets[b].entries);
            for (uint32_t i = 0; firsts && !w->l->transposed && i < buckets[b].entries; i++)
                WANT(w, w->p->order[entry + i] == firsts[visit] + i, "visit %u: first %u", visit, firsts[visit]);
        }
    }
    WANT(w, visit == s[1].visit && entry == s[1].entry, "segment %d,%d ends at visit %u, entry %u; the next starts at %u, %u",
         (int)group, (int)block, visit, entry, s[1].visit, s[1].entry);
}

static void check_walk(const sparse_layout *l, const matrix *m, const packed *p, const char *what) {
    walk w = {.l = l, .m = m, .p = p, .what = what, .n = l->transposed ? m->k : m->n, .k = l->transposed ? m->n : m->k};
    const sparse_header *h = p->index;
    w.found = calloc((size_t)(w.n * w.k) + 1, sizeof *w.found);
    assert_non_null(w.found);
    WANT(&w, h->n_groups == (w.n + l->row_group - 1) / l->row_group, "%u groups", h->n_groups);
    WANT(&w, h->n_k_blocks == (w.k + l->k_block - 1) / l->k_block, "%u blocks of columns", h->n_k_blocks);
    for (int64_t g = 0; g < h->n_groups; g++)
        for (int64_t b = 0; b < h->n_k_blocks; b++) walk_segment(&w, g, b);
    for (int64_t r = 0; r < w.n; r++)
        for (int64_t c = 0; c < w.k; c++) {
            float wanted = l->transposed ? m->dense[c * m->k + r] : m->dense[r * m->k + c];
            WANT(&w, w.found[r * w.k + c] == wanted, "row %d, column %d: %g, wanted %g", (int)r, (int)c,
                 (double)w.found[r * w.k + c], (double)wanted);
        }
    WANT(&w, w.n_visits == h->n_visits, "%u visits, walked %u", h->n_visits, (unsigned)w.n_visits);
    const int64_t places = (int64_t)h->n_entries * l->block_rows * l->block_columns;
    WANT(&w, p->value_bytes == 4 * (places + 16) && p->n_order == places + 16, "%d bytes of values, %d of order",
         (int)p->value_bytes, (int)p->n_order);
    for (int i = 0; i < 16; i++)
        WANT(&w, p->values[places + i] == 0 && p->order[places + i] == SPARSE_NO_VALUE, "value %d behind the end", i);
    const uint16_t *rows = part(&w, h->rows);
    for (int i = 0; i < 8 && h->n_visits; i++) WANT(&w, rows[h->n_visits + i] == rows[h->n_visits - 1], "row %d behind the end", i);
    WANT(&w, h->segments % 64 == 0 && h->buckets % 64 == 0 && h->rows % 64 == 0 && h->firsts % 64 == 0 && h->offsets % 64 == 0,
         "parts are not aligned");
    free(w.found);
}

static void check(const sparse_layout *l, const matrix *m) {
    char what[200];
    snprintf(what, sizeof what, "%s %ux%u %u:%u%s tile %u, k_block %u, row_group %u of [%d,%d] with %d",
             sparse_layout_name(l->kind), l->block_rows, l->block_columns, l->keep, l->of, l->transposed ? " transposed" : "",
             l->tile, l->k_block, l->row_group, (int)m->n, (int)m->k, (int)m->pattern.nnz);
    const int64_t dims[2] = {m->n, m->k};
    const ir_tensor dense = tensor_view(IR_F32, 2, dims, m->dense), values = tensor_view(IR_F32, 1, &m->pattern.nnz, m->values);
    packed a = pack(l, m, &values, 1), b = pack(l, m, &dense, 3);
    check_walk(l, m, &a, what);
    const size_t n_order = (size_t)a.n_order * sizeof *a.order;
    if (a.index->bytes != b.index->bytes || memcmp(a.index, b.index, a.index->bytes) != 0)
        fail_msg("%s: the index differs between 1 and 3 threads", what);
    if (a.value_bytes != b.value_bytes || memcmp(a.values, b.values, (size_t)a.value_bytes) != 0)
        fail_msg("%s: the values differ between 1 thread with non-zeros and 3 threads with a dense weight", what);
    if (a.n_order != b.n_order || memcmp(a.order, b.order, n_order) != 0) fail_msg("%s: the order differs with threads", what);
    free_packed(&a);
    free_packed(&b);
}

static const int64_t shapes[][2] = {{1, 1}, {1, 40}, {37, 1}, {3, 65}, {70, 50}, {129, 200}};
static const double densities[] = {0, 0.02, 0.1, 0.5, 1};
#define N_OF(list) (sizeof list / sizeof list[0])

static void check_layouts(const sparse_layout *layouts, size_t n, int keep, int of) {
    for (size_t s = 0; s < N_OF(shapes); s++)
        for (size_t d = 0; d < N_OF(densities) + 1; d++) {
            bool extremes = d == N_OF(densities);
            matrix m = make_matrix(shapes[s][0], shapes[s][1], extremes ? 0.3 : densities[d], keep, of, extremes);
            for (size_t i = 0; i < n; i++) {
                sparse_layout l = layouts[i];
                check(&l, &m);
                if (of) continue; /* few of M columns do not make few of M rows */
                l.transposed = 1;
                check(&l, &m);
            }
            free_matrix(&m);
        }
}

static void streams(void **unused) {
    (void)unused;
    static const sparse_layout layouts[] = {{SPARSE_STREAM, 16, 16, 8, 1, 1, 0, 0, 0, 0},
                                            {SPARSE_STREAM, 32, 50, 64, 1, 1, 0, 0, 0, 0},
                                            {SPARSE_STREAM, 64, 1024, 1000, 1, 1, 0, 0, 0, 0},
                                            {SPARSE_STREAM, 2, 1, 1, 1, 1, 0, 0, 0, 0}};
    check_layouts(layouts, N_OF(layouts), 0, 0);
}

static void blocks(void **unused) {
    (void)unused;
    static const sparse_layout layouts[] = {{SPARSE_BLOCKS, 32, 16, 8, 4, 1, 0, 0, 0, 0},
                                            {SPARSE_BLOCKS, 16, 16, 12, 1, 4, 0, 0, 0, 0},
                                            {SPARSE_BLOCKS, 64, 48, 64, 4, 4, 0, 0, 0, 0},
                                            {SPARSE_BLOCKS, 16, 9, 66, 2, 3, 0, 0, 0, 0},
                                            {SPARSE_BLOCKS, 32, 128, 96, 16, 8, 0, 0, 0, 0}};
    check_layouts(layouts, N_OF(layouts), 0, 0);
}

static void n_of_m(void **unused) {
    (void)unused;
    static const sparse_layout two_of_four[] = {{SPARSE_N_M, 32, 16, 8, 1, 1, 2, 4, 0, 0},
                                                {SPARSE_N_M, 64, 100, 64, 1, 1, 2, 4, 0, 0}};
    static const sparse_layout one_of_eight[] = {{SPARSE_N_M, 64, 64, 100, 1, 1, 1, 8, 0, 0}};
    static const sparse_layout all[] = {{SPARSE_N_M, 16, 33, 7, 1, 1, 3, 3, 0, 0}};
    check_layouts(two_of_four, N_OF(two_of_four), 2, 4);
    check_layouts(one_of_eight, 1, 1, 8);
    check_layouts(all, 1, 3, 3);
}

static void values_of_all_dtypes(void **unused) {
    (void)unused;
    static const ir_dtype dtypes[] = {IR_F64, IR_F16, IR_BF16};
    const sparse_layout l = {SPARSE_STREAM, 32, 16, 8, 1, 1, 0, 0, 0, 0};
    matrix m = make_matrix(20, 30, 0.3, 0, 0, true);
    const int64_t dims[2] = {20, 30};
    const ir_tensor exact = tensor_view(IR_F32, 2, dims, m.dense);
    packed wanted = pack(&l, &m, &exact, 1);
    for (size_t i = 0; i < N_OF(dtypes); i++) {
        ir_tensor t;
        assert_int_equal(tensor_alloc(dtypes[i], 2, dims, &t), POFAC_OK);
        for (int64_t e = 0; e < 600; e++) tensor_set(&t, e, (double)m.dense[e]);
        packed found = pack(&l, &m, &t, 2);
        if (memcmp(found.values, wanted.values, (size_t)wanted.value_bytes) != 0)
            fail_msg("values of %s differ", dtype_name(dtypes[i]));
        free_packed(&found);
        tensor_free(&t);
    }
    free_packed(&wanted);
    free_matrix(&m);
}

/* ---- what does not fit ---- */

static void want_message(const sparse_layout *l, const matrix *m, const char *message) {
    strbuf text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&text);
    thread_pool *pool;
    sparse_header *index;
    assert_int_equal(thread_pool_create(2, NULL, &pool), POFAC_OK);
    assert_int_equal(sparse_index_make(l, &m->pattern, "w", pool, &sink, &index), POFAC_ERR_INPUT);
    assert_null(index);
    assert_string_equal(strbuf_str(&text), message);
    thread_pool_destroy(pool);
    strbuf_free(&text);
}

static void what_does_not_fit(void **unused) {
    (void)unused;
    static const struct {
        sparse_layout layout;
        const char *message;
    } cases[] = {
        {{SPARSE_NONE, 32, 16, 8, 1, 1, 0, 0, 0, 0}, "error: w: its sparse layout is of no known kind\n"},
        {{99, 32, 16, 8, 1, 1, 0, 0, 0, 0}, "error: w: its sparse layout is of no known kind\n"},
        {{SPARSE_STREAM, 0, 16, 8, 1, 1, 0, 0, 0, 0}, "error: w: its sparse layout wants an even tile\n"},
        {{SPARSE_STREAM, 31, 16, 8, 1, 1, 0, 0, 0, 0}, "error: w: its sparse layout wants an even tile\n"},
        {{SPARSE_STREAM, 32, 0, 8, 1, 1, 0, 0, 0, 0},
         "error: w: its sparse layout wants blocks of at least one column and groups of at least one row\n"},
        {{SPARSE_STREAM, 32, 16, 0, 1, 1, 0, 0, 0, 0},
         "error: w: its sparse layout wants blocks of at least one column and groups of at least one row\n"},
        {{SPARSE_STREAM, 32, 16, 8, 2, 1, 0, 0, 0, 0}, "error: w: its sparse layout has blocks of a wrong size\n"},
        {{SPARSE_BLOCKS, 32, 16, 8, 0, 1, 0, 0, 0, 0}, "error: w: its sparse layout has blocks of a wrong size\n"},
        {{SPARSE_BLOCKS, 32, 16, 9, 2, 1, 0, 0, 0, 0}, "error: w: its sparse layout cuts blocks in two\n"},
        {{SPARSE_BLOCKS, 32, 17, 8, 2, 2, 0, 0, 0, 0}, "error: w: its sparse layout cuts blocks in two\n"},
        {{SPARSE_STREAM, 64, 2050, 8, 1, 1, 0, 0, 0, 0}, "error: w: its sparse layout has offsets above 65535\n"},
        {{SPARSE_N_M, 32, 16, 8, 1, 1, 5, 4, 0, 0}, "error: w: its sparse layout keeps a wrong number of columns\n"},
        {{SPARSE_STREAM, 32, 16, 8, 1, 1, 2, 4, 0, 0}, "error: w: its sparse layout keeps a wrong number of columns\n"},
        {{SPARSE_N_M, 32, 18, 8, 1, 1, 2, 4, 0, 0}, "error: w: its sparse layout cuts groups of columns in two\n"},
        {{SPARSE_N_M, 64, 16, 8, 1, 1, 2, 16, 0, 0}, "error: w: its sparse layout has offsets above 255\n"},
        {{SPARSE_N_M, 32, 16, 8, 1, 1, 2, 4, 0, 0}, "error: w: row 1 has more than 2 non-zeros in the 4 columns from 0\n"},
    };
    matrix m = make_matrix(20, 30, 0.05, 0, 0, true);
    for (size_t i = 0; i < N_OF(cases); i++) want_message(&cases[i].layout, &m, cases[i].message);
    m.pattern.nnz = INT64_C(1) << 32;
    want_message(&(sparse_layout){SPARSE_STREAM, 32, 16, 8, 1, 1, 0, 0, 0, 0}, &m,
                 "error: w has 4294967296 non-zeros, a sparse layout holds fewer than 2^32\n");
    want_message(&(sparse_layout){SPARSE_STREAM, 32, 16, 8, 1, 1, 0, 0, 1, 0}, &m,
                 "error: w has 4294967296 non-zeros, a sparse layout holds fewer than 2^32\n");
    free_matrix(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {

        cmocka_unit_test(streams),
        cmocka_unit_test(blocks),
        cmocka_unit_test(n_of_m),
        cmocka_unit_test(values_of_all_dtypes),
        cmocka_unit_test(what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
