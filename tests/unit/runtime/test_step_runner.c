/*
 * Series of steps: the same numbers for any number of rows and threads, block by block where that keeps the threads busy, with areas
 * of the workers for what lives within the series, and times for each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/plan_case.h"

#define BLOCK 4

static const char chain[] = "%1 = input {name = \"x\"} : f32[T]\n"
                            "%2 = relu %1 : f32[T]\n"
                            "%3 = tanh %2 : f32[T]\n"
                            "%4 = relu %3 : f32[T]\n"
                            "return \"y\" = %4\n";

/* y = 2 x + 1 for rows [begin, end). */
static void one_row(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    if (end > dims[0]) end = dims[0];
    for (int64_t i = begin; i < end; i++) ((float *)buffers[1])[i] = 2 * ((const float *)buffers[0])[i] + 1;
    for (int volatile pause = 0; pause < 2000; pause++) continue;
}

/* The same in units of two rows. */
static void two_rows(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    one_row(buffers, dims, 2 * begin, 2 * end, scratch);
}

typedef struct call {
    int64_t begin, end;
    const void *to;
} call;
static call calls[64]; /* by one thread */
static size_t n_calls;

static void log_call(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    if (n_calls < 64) calls[n_calls++] = (call){begin, end, (const float *)buffers[1] + begin};
    one_row(buffers, dims, begin, end, scratch);
}

/* Three steps; what the first two make lives within their series. */
static void begin_chain(plan_case *c, size_t threads, plan_kernel kernel, int64_t n) {
    plan_case_begin(c, chain);
    thread_pool_destroy(c->pool);
    assert_int_equal(thread_pool_create(threads, NULL, &c->pool), POFAC_OK);
    const ir_dim rows = c->plan.buffers[0].type->dims[0];
    for (size_t i = 0; i < 3; i++) {
        plan_case_set_kernel(c, i, kernel, rows, 3);
        c->plan.steps[i].rows = rows;
        c->plan.steps[i].block_rows = BLOCK;
        c->plan.steps[i].block_units = BLOCK;
        if (i < 2) c->plan.buffers[1 + i].series_row_bytes = 4;
    }
    c->plan.steps[0].series = 3;
    ir_tensor *x = named_tensors_add(&c->inputs, "x", IR_F32, 1, (int64_t[]){n});
    for (int64_t i = 0; i < n; i++) tensor_set(x, i, (double)(i * 7 % 13));
}

static void want_results(plan_case *c, int64_t n) {
    double wanted[64];
    for (int64_t i = 0; i < n; i++) wanted[i] = (double)(8 * (i * 7 % 13) + 7);
    assert_output(c, "y", wanted, (size_t)n);
}

static void numbers_do_not_depend_on_threads(void **unused) {
    (void)unused;
    for (size_t threads = 1; threads <= 5; threads++)
        for (int64_t n = 1; n <= 64; n++) {
            plan_case c;
            begin_chain(&c, threads, one_row, n);
            c.plan.steps[1].run = two_rows; /* in blocks twice as large */
            c.plan.steps[1].work_per_unit = 2;
            c.plan.steps[1].block_rows = 2 * BLOCK;
            plan_case_run(&c);
            want_results(&c, n);
            session_profile(c.session, true);
            assert_int_equal(session_run(c.session, &c.input_source, NULL), POFAC_OK);
            want_results(&c, n);
            plan_case_end(&c);
        }
}

static void a_block_goes_through_all_steps(void **unused) {
    (void)unused;
    plan_case c;
    begin_chain(&c, 1, log_call, 10);
    n_calls = 0;
    plan_case_run(&c);
    want_results(&c, 10);
    assert_int_equal(n_calls, 9);
    for (size_t i = 0; i < 9; i++) {
        const int64_t begin = (int64_t)(i / 3) * BLOCK, end = begin + BLOCK < 10 ? begin + BLOCK : 10;
        if (calls[i].begin != begin || calls[i].end != end)
            fail_msg("call %zu: units %d to %d, wanted %d to %d", i, (int)calls[i].begin, (int)calls[i].end, (int)begin, (int)end);
        const ptrdiff_t moved = (const float *)calls[i].to - (const float *)calls[i % 3].to;
        if (moved != (i % 3 < 2 ? 0 : begin)) fail_msg("call %zu writes %d rows further than for block 0", i, (int)moved);
    }
    plan_case_end(&c);
}

/* Two blocks for four threads: steps one after the other, in chunks of their grain. */
static void few_blocks_are_shared_by_step(void **unused) {
    (void)unused;
    plan_case c;
    begin_chain(&c, 4, one_row, 8);
    plan_case_run(&c);
    want_results(&c, 8);
    plan_case_end(&c);
    begin_chain(&c, 1, log_call, 8); /* one thread takes them by block */
    n_calls = 0;
    plan_case_run(&c);
    assert_int_equal(n_calls, 6);
    plan_case_end(&c);
}

static void steps_of_a_series_share_its_time(void **unused) {
    (void)unused;
    for (size_t threads = 1; threads <= 3; threads++) {
        plan_case c;
        begin_chain(&c, threads, one_row, 64);
        plan_case_run(&c);
        session_profile(c.session, true);
        assert_int_equal(session_run(c.session, &c.input_source, NULL), POFAC_OK);
        const session_span *spans = session_spans(c.session);
        for (size_t i = 0; i < 3; i++) {
            assert_true(session_times_ns(c.session)[i] > 0);
            for (size_t w = 0; w < threads; w++) {
                const session_span *span = &spans[i * threads + w];
                if (span->begin_ns == 0) continue;
                assert_true(span->end_ns > span->begin_ns);
                if (i > 0) assert_int_equal(span->begin_ns, span[-(ptrdiff_t)threads].end_ns);
            }
        }
        plan_case_end(&c);
    }
}

/* The number of the round in the last dim: y = x + round for rows [8 round, 8 round + 8). */
static void one_round(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    (void)scratch;
    for (int64_t i = 8 * dims[1] + begin; i < 8 * dims[1] + end && i < dims[0]; i++)
        ((float *)buffers[1])[i] = ((const float *)buffers[0])[i] + (float)dims[1];
}

/* Both steps of a loop run in each round before the next one begins; there is a round even for no work. */
static void loops_go_round_by_round(void **unused) {
    (void)unused;
    for (size_t threads = 1; threads <= 3; threads++)
        for (int64_t n = 1; n <= 33; n++) {
            plan_case c;
            begin_chain(&c, threads, one_row, n);
            const ir_dim rows = c.plan.buffers[0].type->dims[0], loop_dims[2] = {rows, dim_const(0)};
            for (size_t i = 0; i < 2; i++) {
                plan_step *step = &c.plan.steps[i];
                plan_case_set_kernel(&c, i, one_round, dim_const(8), 3);
                step->dims = loop_dims;
                step->n_dims = 2;
                step->block_rows = 0;
            }
            c.plan.steps[0].series = 0;
            c.plan.steps[0].loop = 2;
            c.plan.steps[0].loop_work = rows;
            c.plan.steps[0].loop_work_per_round = 8;
            plan_case_run(&c);
            double wanted[64];
            for (int64_t i = 0; i < n; i++) wanted[i] = (double)(2 * (i * 7 % 13 + 2 * (i / 8)) + 1);
            assert_output(&c, "y", wanted, (size_t)n);
            session_profile(c.session, true);
            assert_int_equal(session_run(c.session, &c.input_source, NULL), POFAC_OK);
            assert_output(&c, "y", wanted, (size_t)n);
            assert_true(session_times_ns(c.session)[0] > 0 && session_times_ns(c.session)[1] > 0);
            c.plan.steps[0].loop_work = dim_const(0);
            plan_case_run(&c);
            if (n <= 8) assert_output(&c, "y", wanted, (size_t)n);
            plan_case_end(&c);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_do_not_depend_on_threads), cmocka_unit_test(a_block_goes_through_all_steps),
        cmocka_unit_test(few_blocks_are_shared_by_step),    cmocka_unit_test(steps_of_a_series_share_its_time),
        cmocka_unit_test(loops_go_round_by_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
