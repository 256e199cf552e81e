/*
 * Sparse weights of a session: a kernel gets index and values in the layout that its buffers name, from a dense checkpoint or from
 * non-zeros, once for each layout; failing allocations; positions that nobody reads are let go of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/pattern_state.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/plan_case.h"

enum { N = 3, K = 5 };

static const sparse_layout layout = {SPARSE_STREAM, 2, 2, 2, 1, 1, 0, 0, 0, 0};
static const double weight[N * K] = {0, 2, 0, 0, 3, 0, 0, 0, 0, 0, 5, 0, 7, 11, 0};
static const double numbers[2 * K] = {1, 10, 100, 1000, 10000, 2, 20, 200, 2000, 20000}, bias[N] = {0.5, 0.25, 0.125};
static const double wanted[2 * N] = {30020.5, 0.25, 11705.125, 60040.5, 0.25, 23410.125};

/* One visit: y row t of the group's row gets its entries. */
static void add_visit(const sparse_header *h, const float *values, int64_t row, int64_t k0, uint32_t entry, uint32_t n,
                      const float *x, float *y) {
    const uint16_t *offsets = (const uint16_t *)((const char *)h + h->offsets);
    for (int64_t t = 0; t < 2; t++)
        for (uint32_t i = entry; i < entry + n; i++)
            y[t * N + row] += values[i] * x[t * K + k0 + offsets[i]]; /* a tile of 2: an offset is a column */
}

/* y [2,N] = x [2,K] weight^T + bias, from buffers x, values, bias, index, y. */
static void run_sparse(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    (void)dims, (void)scratch;
    const sparse_header *h = buffers[3];
    const char *base = buffers[3];
    const uint16_t *rows = (const uint16_t *)(base + h->rows);
    const sparse_bucket *buckets = (const sparse_bucket *)(base + h->buckets);
    float *y = buffers[4];
    if (begin == end) return;
    for (int64_t i = 0; i < 2 * N; i++) y[i] = ((const float *)buffers[2])[i % N];
    for (uint32_t s = 0; s < h->n_groups * h->n_k_blocks; s++) {
        const sparse_segment *segment = (const sparse_segment *)(base + h->segments) + s;
        const int64_t row0 = s / h->n_k_blocks * h->row_group, k0 = s % h->n_k_blocks * h->k_block;
        uint32_t visit = segment->visit, entry = segment->entry;
        for (uint32_t b = segment->bucket; b < segment[1].bucket; b++)
            for (uint32_t v = 0; v < buckets[b].visits; v++, visit++, entry += buckets[b].entries)
                add_visit(h, buffers[1], row0 + rows[visit], k0, entry, buckets[b].entries, buffers[0], y);
    }
}

/* Two products with one pattern: one takes the weight from its dense form, one from non-zeros. */
static void begin(plan_case *c, ir_dtype dtype) {
    plan_case_begin(c, "%1 = pattern {name = \"w\"} : pattern[3,5]\n"
                       "%2 = state {name = \"w\"} : f32[nnz(%1)]\n"
                       "%3 = state {name = \"v\"} : f32[nnz(%1)]\n"
                       "%4 = state {name = \"b\"} : f32[3]\n"
                       "%5 = input {name = \"x\"} : f32[2,5]\n"
                       "%6 = linear %5, %2, %4, %1 : f32[2,3]\n"
                       "%7 = linear %5, %3, %4, %1 : f32[2,3]\n"
                       "return \"y\" = %6, \"z\" = %7\n");
    const double non_zeros[5] = {2, 3, 5, 7, 11};
    named_tensors_add_doubles(&c->state, "w", dtype, 2, (int64_t[]){N, K}, weight);
    named_tensors_add_doubles(&c->state, "v", dtype, 1, (int64_t[]){5}, non_zeros);
    named_tensors_add_doubles(&c->state, "b", IR_F32, 1, (int64_t[]){N}, bias);
    named_tensors_add_doubles(&c->inputs, "x", IR_F32, 2, (int64_t[]){2, K}, numbers);
    for (size_t i = 0; i < c->plan.n_buffers; i++) {
        plan_buffer *b = &c->plan.buffers[i];
        bool is_pattern = b->type->kind == TYPE_PATTERN;
        if (!is_pattern && (b->kind != PLAN_STATE || strcmp(b->name, "b") == 0)) continue;
        b->packing = is_pattern ? PACKING_SPARSE_INDEX : PACKING_SPARSE_VALUES;
        b->sparse = layout;
    }
    for (size_t i = 0; i < 2; i++) plan_case_set_kernel(c, i, run_sparse, dim_const(1), 1);
}

static void kernels_get_sparse_weights(void **unused) {
    (void)unused;
    static const ir_dtype dtypes[] = {IR_F32, IR_F64, IR_F16, IR_BF16};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        plan_case c;
        begin(&c, dtypes[i]);
        plan_case_run(&c);
        assert_output(&c, "y", wanted, 2 * N);
        assert_output(&c, "z", wanted, 2 * N);
        session_memory m = session_memory_use(c.session);
        /* header, 6 segments and an end, 5 buckets, 5 visits and 8, twice, 5 entries and 64; twice 5 values and 16 */
        assert_int_equal(m.packed_weight_bytes, 64 + 128 + 64 + 64 + 64 + 192 + 2 * 84);
        plan_case_end(&c);
    }
}

static void layouts_that_do_not_fit(void **unused) {
    (void)unused;
    plan_case c;
    begin(&c, IR_F32);
    for (size_t i = 0; i < c.plan.n_buffers; i++)
        if (c.plan.buffers[i].packing == PACKING_SPARSE_VALUES) c.plan.buffers[i].sparse.tile = 3;
    assert_int_equal(plan_case_try(&c), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.text.messages), "w: its sparse layout wants an even tile");
    plan_case_end(&c);
}

static void failing_allocations(void **unused) {
    (void)unused;
    plan_case c;
    begin(&c, IR_F16);
    for (size_t n = 1;; n++) {
        session *s;
        fail_alloc_after(n);
        pofac_status status = session_create(&c.plan, &c.state_source, c.pool, NULL, &s);
        bool failed = fail_alloc_stop();
        if (failed != (status == POFAC_ERR_RUNTIME)) fail_msg("allocation %zu fails: status %d", n, status);
        session_destroy(s);
        if (!failed) break;
    }
    plan_case_end(&c);
}

/* What was released is read again when somebody asks for it. */
static void released_positions_are_read_again(void **unused) {
    (void)unused;
    named_tensors state = {.what = "state"};
    named_tensors_add_doubles(&state, "w", IR_F32, 2, (int64_t[]){N, K}, weight);
    const tensor_source source = named_tensors_source(&state);
    pattern_state *p = pattern_state_create();
    assert_non_null(p);
    pattern_state_release(p, "w"); /* not known yet */
    for (int round = 0; round < 3; round++) {
        ir_tensor t;
        assert_int_equal(pattern_state_pattern(p, "w", &source, NULL, &t), POFAC_OK);
        assert_int_equal(t.pattern->nnz, 5);
        assert_int_equal(t.pattern->column[4], 3);
        pattern_state_release(p, "w");
        if (round == 1) pattern_state_release(p, "w");
    }
    pattern_state_destroy(p);
    named_tensors_free(&state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_get_sparse_weights),
        cmocka_unit_test(layouts_that_do_not_fit),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(released_positions_are_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
