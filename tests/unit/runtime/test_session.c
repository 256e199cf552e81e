/* Sessions over plans made by hand: what a run computes, what it refuses, and that neither threads nor failures show in results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fail_alloc.h"
#include "tests/unit/graph_generator.h"
#include "tests/unit/plan_case.h"

static void expect_error(plan_case *c, pofac_status wanted, const char *message) {
    pofac_status status = plan_case_try(c);
    assert_string_equal(strbuf_str(&c->text.messages), message);
    assert_int_equal(status, wanted);
}

static void add_numbers(named_tensors *to, const char *name, ir_dtype dtype, int64_t n, const double *elements) {
    named_tensors_add_doubles(to, name, dtype, 1, &n, elements);
}

/* ---- what a run computes ---- */

/* One session for many batches, whose shapes differ: its plan is never made again. */
static void evaluator_plans_equal_the_interpreter(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        generated_graph g;
        plan p;
        arena memory = ARENA_INIT;
        strbuf messages = STRBUF_INIT;
        diag_sink sink = message_sink(&messages);
        thread_pool *pool;
        session *s;
        graph_generate(seed, NULL, &g);
        plan_of_graph(g.graph, &memory, &p);
        tensor_source state = named_tensors_source(&g.state);
        assert_int_equal(thread_pool_create(1 + seed % 2, &sink, &pool), POFAC_OK);
        if (session_create(&p, &state, pool, &sink, &s) != POFAC_OK) fail_msg("seed %d: %s", (int)seed, strbuf_str(&messages));
        for (uint64_t again = 0; again < 3; again++) {
            interp_results wanted;
            if (again > 0) graph_generate_inputs(&g, seed + again);
            tensor_source inputs = named_tensors_source(&g.inputs);
            assert_int_equal(interpret_graph(g.graph, &inputs, &state, NULL, &sink, &wanted), POFAC_OK);
            if (session_run(s, &inputs, &sink) != POFAC_OK) fail_msg("seed %d: %s", (int)seed, strbuf_str(&messages));
            for (size_t i = 0; i < wanted.n_outputs; i++) {
                ir_tensor found;
                assert_int_equal(session_output(s, wanted.outputs[i].name, &sink, &found), POFAC_OK);
                if (!found.pattern) assert_tensors_close(wanted.outputs[i].name, &found, &wanted.outputs[i].tensor, 0, 0);
            }
            interp_results_free(&wanted);
        }
        session_destroy(s);
        thread_pool_destroy(pool);
        arena_free(&memory);
        strbuf_free(&messages);
        generated_graph_free(&g);
    }
}

static void state_of_other_widths_is_converted(void **unused) {
    (void)unused;
    static const ir_dtype dtypes[] = {IR_F32, IR_F64, IR_F16, IR_BF16};
    static const double values[3] = {0.5, -2, 1.25};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        plan_case c;
        plan_case_begin(&c, "%1 = state {name = \"w\"} : f32[3]\n %2 = add %1, %1 : f32[3]\n return \"y\" = %2, \"w\" = %1\n");
        add_numbers(&c.state, "w", dtypes[i], 3, values);
        plan_case_run(&c);
        assert_output(&c, "y", (const double[]){1, -4, 2.5}, 3);
        assert_output(&c, "w", values, 3);
        plan_case_end(&c);
    }
}

/* A moment that belongs to a pattern may be dense or compacted, and slots may have as many elements as a pattern. */
static void sparse_state_is_dense_or_compacted(void **unused) {
    (void)unused;
    const double w[6] = {0, 5, 0, -1, 0, NAN}, dense[6] = {1, 2, 3, 4, 5, 6}, compacted[3] = {7, 8, 9};
    plan_case c;
    plan_case_begin(&c, "%1 = pattern {name = \"w\"} : pattern[2,3]\n"
                        "%2 = state {name = \"m\"} : f32[nnz(%1)]\n"
                        "%3 = state {name = \"v\"} : f32[nnz(%1)]\n"
                        "%4 = add %2, %3 : f32[nnz(%1)]\n"
                        "return \"m\" = %2, \"v\" = %3, \"sum\" = %4\n");
    named_tensors_add_doubles(&c.state, "w", IR_F16, 2, (int64_t[]){2, 3}, w);
    named_tensors_add_doubles(&c.state, "m", IR_F64, 2, (int64_t[]){2, 3}, dense);
    add_numbers(&c.state, "v", IR_F32, 3, compacted);
    plan_case_run(&c);
    assert_output(&c, "m", (const double[]){2, 4, 6}, 3);
    assert_output(&c, "v", compacted, 3);
    assert_output(&c, "sum", (const double[]){9, 12, 15}, 3);
    plan_case_end(&c);
}

static void constants_have_values_or_data(void **unused) {
    (void)unused;
    const double data[4] = {1, 2, 3, 4};
    ir_tensor t;
    plan_case c;
    plan_case_begin(&c, "%1 = constant {value = [2.5]} : f32[4]\n"
                        "%2 = constant {data = \"d\"} : f32[4]\n"
                        "%3 = add %1, %2 : f32[4]\n"
                        "return \"y\" = %3, \"d\" = %2\n");
    expect_error(&c, POFAC_ERR_INPUT, "constant: there are no data named \"d\"");
    assert_int_equal(tensor_alloc(IR_F32, 1, (int64_t[]){4}, &t), POFAC_OK);
    tensor_set_run(&t, 0, 4, data);
    assert_non_null(module_add_constant(c.text.module, "d", &t));
    tensor_free(&t);
    plan_case_run(&c);
    assert_output(&c, "y", (const double[]){3.5, 4.5, 5.5, 6.5}, 4);
    assert_output(&c, "d", data, 4);
    plan_case_end(&c);
}

/* pitfall 23: files put tensors at any address; kernels and evaluators read whole elements, so what is not aligned is copied. */
static void unaligned_tensors_are_copied(void **unused) {
    (void)unused;
    static const double ids[2] = {1, 0}, table[4] = {1, 2, 3, 4}, wanted[4] = {6, 8, 2, 4};
    static const struct {
        ir_dtype dtype;
        size_t shift; /* less than the element's bytes */
    } cases[] = {{IR_F32, 0}, {IR_F32, 2}, {IR_F64, 4}, {IR_F16, 1}, {IR_BF16, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _Alignas(16) char room[64], more[64];
        plan_case c;
        plan_case_begin(&c, "%1 = state {name = \"table\"} : f32[2,2]\n"
                            "%2 = input {name = \"ids\"} : i64[N]\n"
                            "%3 = embedding %1, %2 : f32[N,2]\n"
                            "%4 = add %3, %3 : f32[N,2]\n"
                            "return \"y\" = %4\n");
        named_tensors_add_doubles(&c.state, "table", cases[i].dtype, 2, (int64_t[]){2, 2}, table);
        add_numbers(&c.inputs, "ids", IR_I64, 2, ids);
        ir_tensor *t = named_tensors_find(&c.state, "table"), *x = named_tensors_find(&c.inputs, "ids"), owner[2] = {*t, *x};
        t->data = memcpy(room + cases[i].shift, t->data, tensor_bytes(t));
        x->data = memcpy(more + 4, x->data, tensor_bytes(x));
        plan_case_run(&c);
        assert_output(&c, "y", wanted, 4);
        *t = owner[0];
        *x = owner[1];
        plan_case_end(&c);
    }
}

/* Results are there until the next run, whatever became of the inputs. */
static void an_input_that_is_returned_is_kept(void **unused) {
    (void)unused;
    static const double x[3] = {1, 2, 3};
    plan_case c;
    plan_case_begin(&c, "%1 = input {name = \"x\"} : f32[N]\n return \"x\" = %1\n");
    add_numbers(&c.inputs, "x", IR_F32, 3, x);
    plan_case_run(&c);
    memset(named_tensors_find(&c.inputs, "x")->data, 0x55, 12);
    assert_output(&c, "x", x, 3);
    plan_case_end(&c);
}

/* A buffer of a result may lie where an input of the same step lies. */
static void evaluators_may_work_in_place(void **unused) {
    (void)unused;
    static const double x[3] = {1, -2, 3};
    plan_case c;
    plan_case_begin(&c, "%1 = input {name = \"x\"} : f32[N]\n"
                        "%2 = add %1, %1 : f32[N]\n"
                        "%3 = relu %2 : f32[N]\n"
                        "return \"y\" = %3\n");
    c.plan.buffers[2].slot = c.plan.buffers[1].slot;
    add_numbers(&c.inputs, "x", IR_F32, 3, x);
    plan_case_run(&c);
    assert_output(&c, "y", (const double[]){2, 0, 6}, 3);
    plan_case_end(&c);
}

/* A result that no step reads has no buffer. */
static void results_may_be_left_out(void **unused) {
    (void)unused;
    static const double x[4] = {1, 3, 5, 5}, ones[2] = {1, 1}, zeros[2] = {0, 0};
    plan_case c;
    plan_case_begin(&c, "%1 = input {name = \"x\"} : f32[N,2]\n"
                        "%2 = state {name = \"g\"} : f32[2]\n"
                        "%3 = state {name = \"b\"} : f32[2]\n"
                        "%4:3 = layer_norm %1, %2, %3 {eps = 0} : f32[N,2], f32[N], f32[N]\n"
                        "return \"mean\" = %4#1\n");
    plan_step *step = plan_case_step(&c, 0);
    uint32_t buffers[6];
    memcpy(buffers, step->buffers, sizeof buffers);
    buffers[3] = buffers[5] = UINT32_MAX;
    step->buffers = buffers;
    named_tensors_add_doubles(&c.inputs, "x", IR_F32, 2, (int64_t[]){2, 2}, x);
    add_numbers(&c.state, "g", IR_F32, 2, ones);
    add_numbers(&c.state, "b", IR_F32, 2, zeros);
    plan_case_run(&c);
    assert_output(&c, "mean", (const double[]){2, 5}, 2);
    plan_case_end(&c);
}

/* ---- kernels, chunks and threads ---- */

/* y[i] = x[i] + 1, by way of scratch that must be nobody else's. dims: N */
static void add_one(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    const float *x = buffers[0];
    float *y = buffers[1], *room = scratch;
    if (end > dims[0]) return;
    for (int64_t i = begin; i < end; i++) room[i - begin] = x[i];
    for (int volatile pause = 0; pause < 2000; pause++) continue;
    for (int64_t i = begin; i < end; i++) y[i] = room[i - begin] + 1;
}

static const char relu_nodes[] = "%1 = input {name = \"x\"} : f32[T]\n %2 = relu %1 : f32[T]\n return \"y\" = %2\n";

static ir_dim tokens_of(const plan_case *c) { return c->plan.buffers[0].type->dims[0]; }

static void kernels_run_in_chunks_on_all_threads(void **unused) {
    (void)unused;
    for (size_t threads = 1; threads <= 4; threads++)
        for (int64_t grain = 1; grain <= 9; grain += 4)
            for (int64_t per_unit = 1; per_unit <= 3; per_unit += 2) {
                plan_case c;
                double wanted[64];
                plan_case_begin(&c, relu_nodes);
                thread_pool_destroy(c.pool);
                assert_int_equal(thread_pool_create(threads, NULL, &c.pool), POFAC_OK);
                plan_case_set_kernel(&c, 0, add_one, tokens_of(&c), grain);
                c.plan.steps[0].scratch_bytes = dim_const(9 * 4 + 1);
                ir_tensor *x = named_tensors_add(&c.inputs, "x", IR_F32, 1, (int64_t[]){61});
                for (int i = 0; i < 61; i++) {
                    tensor_set(x, i, i * 7 % 13);
                    wanted[i] = i * 7 % 13 + 1;
                }
                plan_case_run(&c);
                assert_output(&c, "y", wanted, 61);
                assert_int_equal(session_memory_use(c.session).scratch_bytes, (int64_t)threads * 64);
                plan_case_end(&c);
            }
}

/* y[u] = begin of the chunk that unit u ran in. */
static void mark_units(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    (void)dims, (void)scratch;
    for (int64_t u = begin; u < end; u++) ((float *)buffers[1])[u] = (float)(begin * 100 + (end - begin));
}

static void work_is_cut_into_units_and_chunks(void **unused) {
    (void)unused;
    plan_case c;
    plan_case_begin(&c, relu_nodes);
    plan_case_set_kernel(&c, 0, mark_units, tokens_of(&c), 2);
    c.plan.steps[0].work_per_unit = 3; /* 13 rows: 5 units, 3 chunks */
    named_tensors_add(&c.inputs, "x", IR_F32, 1, (int64_t[]){13});
    plan_case_run(&c);
    ir_tensor y;
    assert_int_equal(session_output(c.session, "y", NULL, &y), POFAC_OK);
    static const double wanted[5] = {2, 2, 202, 202, 401};
    for (int i = 0; i < 5; i++)
        if (tensor_get(&y, i) != wanted[i]) fail_msg("unit %d: found %g, wanted %g", i, tensor_get(&y, i), wanted[i]);
    plan_case_end(&c);
}

typedef struct worker {
    const plan *plan;
    tensor_source state;
    named_tensors inputs;
    const char *error;
} worker;

/* A session and a pool of its own; batches of all sizes. */
static void *run_worker(void *user) {
    worker *w = user;
    thread_pool *pool;
    session *s = NULL;
    tensor_source inputs = named_tensors_source(&w->inputs);
    if (thread_pool_create(2, NULL, &pool) != POFAC_OK) return NULL;
    if (session_create(w->plan, &w->state, pool, NULL, &s) != POFAC_OK) w->error = "no session";
    ir_tensor *x = named_tensors_find(&w->inputs, "x"), y;
    for (int64_t n = 1; n <= 64 && !w->error; n++) {
        x->dims[0] = n;
        for (int64_t i = 0; i < n; i++) tensor_set(x, i, (double)(i + n));
        if (session_run(s, &inputs, NULL) != POFAC_OK || session_output(s, "y", NULL, &y) != POFAC_OK) w->error = "no run";
        for (int64_t i = 0; i < n && !w->error; i++)
            if (tensor_get(&y, i) != (double)(i + n + 1)) w->error = "another number";
    }
    session_destroy(s);
    thread_pool_destroy(pool);
    return NULL;
}

static void threads_share_a_plan(void **unused) {
    (void)unused;
    enum { N = 4 };
    plan_case c;
    pthread_t threads[N];
    worker workers[N];
    plan_case_begin(&c, relu_nodes);
    plan_case_set_kernel(&c, 0, add_one, tokens_of(&c), 8);
    c.plan.steps[0].scratch_bytes = dim_const(32);
    for (int i = 0; i < N; i++) {
        workers[i] = (worker){.plan = &c.plan, .state = c.state_source, .inputs = {.what = "input"}};
        named_tensors_add(&workers[i].inputs, "x", IR_F32, 1, (int64_t[]){64});
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].error) fail_msg("thread %d: %s", i, workers[i].error);
        named_tensors_free(&workers[i].inputs);
    }
    plan_case_end(&c);
}

/* ---- packed weights ---- */

/* y = the packed weight, as it lies. dims: elements */
static void copy_packed(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    (void)dims, (void)scratch;
    if (begin < end) memcpy(buffers[1], buffers[0], (size_t)(end - begin) * sizeof(float));
}

static void weights_are_packed_once(void **unused) {
    (void)unused;
    static const double w[6] = {1, 2, 3, 4, 5, 6};
    plan_case c;
    plan_case_begin(&c, "%1 = state {name = \"w\"} : f32[3,2]\n"
                        "%2 = state {name = \"w\"} : f32[3,2]\n"
                        "%3 = relu %1 : f32[3,2]\n"
                        "%4 = relu %2 : f32[3,2]\n"
                        "return \"y\" = %3, \"z\" = %4, \"w\" = %1\n");
    named_tensors_add_doubles(&c.state, "w", IR_F32, 2, (int64_t[]){3, 2}, w);
    for (uint32_t i = 0; i < 2; i++) {
        c.plan.buffers[i].packing = PACKING_PANELS;
        c.plan.buffers[i].packing_parameter = 3;
        plan_case_set_kernel(&c, i, copy_packed, dim_const(6), 6);
    }
    plan_case_run(&c);
    assert_output(&c, "y", (const double[]){1, 3, 5, 2, 4, 6}, 6);
    assert_output(&c, "z", (const double[]){1, 3, 5, 2, 4, 6}, 6);
    session_memory m = session_memory_use(c.session);
    assert_int_equal(m.packed_weight_bytes, 24);
    assert_int_equal(m.mapped_weight_bytes, 24);
    assert_int_equal(m.arena_bytes, 128);
    plan_case_end(&c);
}

/* State that counts who uses it: gets of each name that are not released, and the most of all names at a time. */
typedef struct counted_state {
    const named_tensors *state;
    int uses[3], in_use, most_in_use; /* of "a", "b", "c" */
} counted_state;

static pofac_status get_counted(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    counted_state *s = user;
    const ir_tensor *found = named_tensors_find(s->state, name);
    if (!found) return diag_error(sink, POFAC_ERR_INPUT, NULL, "state %s is missing", name);
    *out = *found;
    out->owned = false;
    s->uses[name[0] - 'a']++;
    if (++s->in_use > s->most_in_use) s->most_in_use = s->in_use;
    return POFAC_OK;
}

static void release_counted(void *user, const char *name) {
    counted_state *s = user;
    assert_true(--s->uses[name[0] - 'a'] >= 0);
    s->in_use--;
}

/* Packed and converted weights are released one by one; what is used in rows, by two steps here, is held as long as the session. */
static void weights_that_were_packed_are_released(void **unused) {
    (void)unused;
    static const double numbers[6] = {1, 2, 3, 4, 5, 6};
    for (int missing = 0; missing <= 1; missing++) {
        plan_case c;
        plan_case_begin(&c, "%1 = state {name = \"a\"} : f32[2,3]\n %2 = state {name = \"b\"} : f32[2,3]\n"
                            " %3 = state {name = \"c\"} : f32[2,3]\n %4 = add %1, %2 : f32[2,3]\n %5 = add %4, %3 : f32[2,3]\n"
                            " %6 = add %5, %3 : f32[2,3]\n return \"y\" = %6\n");
        const int64_t dims[2] = {2, 3};
        named_tensors_add_doubles(&c.state, "a", IR_F32, 2, dims, numbers);
        if (!missing) named_tensors_add_doubles(&c.state, "b", IR_BF16, 2, dims, numbers);
        named_tensors_add_doubles(&c.state, "c", IR_F32, 2, dims, numbers);
        plan_case_buffer(&c, "a")->packing = PACKING_PANELS;
        plan_case_buffer(&c, "a")->packing_parameter = 2;
        counted_state counted = {.state = &c.state};
        const tensor_source source = {.get = get_counted, .user = &counted, .release = release_counted};
        session *s;
        pofac_status status = session_create(&c.plan, &source, c.pool, NULL, &s);
        assert_int_equal(status, missing ? POFAC_ERR_INPUT : POFAC_OK);
        if (!missing) {
            assert_int_equal(counted.uses[0], 0);
            assert_int_equal(counted.uses[1], 0);
            assert_int_equal(counted.uses[2], 1);
            assert_true(counted.most_in_use <= 2);
        }
        session_destroy(s);
        assert_int_equal(counted.in_use, 0);
        plan_case_end(&c);
    }
}

static void constants_are_packed_too(void **unused) {
    (void)unused;
    plan_case c;
    plan_case_begin(&c, "%1 = constant {value = [1, 2, 3, 4]} : f64[2,2]\n %2 = cast %1 : f32[2,2]\n return \"y\" = %2\n");
    c.plan.buffers[0].packing = PACKING_PANELS;
    c.plan.buffers[0].packing_parameter = 2;
    plan_case_set_kernel(&c, 0, copy_packed, dim_const(4), 4);
    plan_case_run(&c);
    assert_output(&c, "y", (const double[]){1, 3, 2, 4}, 4);
    assert_int_equal(session_memory_use(c.session).packed_weight_bytes, 16);
    plan_case_end(&c);
}

static void memory_is_accounted(void **unused) {
    (void)unused;
    static const double w[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    plan_case c;
    plan_case_begin(&c, "%1 = state {name = \"same\"} : f32[8]\n"
                        "%2 = state {name = \"half\"} : f32[8]\n"
                        "%3 = input {name = \"x\"} : f32[T,8]\n"
                        "%4 = add %3, %1 : f32[T,8]\n"
                        "%5 = add %4, %2 : f32[T,8]\n"
                        "return \"y\" = %5\n");
    add_numbers(&c.state, "same", IR_F32, 8, w);
    add_numbers(&c.state, "half", IR_F16, 8, w);
    ir_tensor *x = named_tensors_add(&c.inputs, "x", IR_F32, 2, (int64_t[]){10, 8});
    static const int64_t rows[] = {10, 1, 3, 11, 64}, want[] = {640, 640, 640, 768, 4096};
    x->dims[0] = 64;
    ir_tensor large;
    assert_int_equal(tensor_alloc(IR_F32, 2, x->dims, &large), POFAC_OK);
    tensor_free(x);
    *x = large;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        x->dims[0] = rows[i];
        if (i == 0) plan_case_run(&c);
        else assert_int_equal(session_run(c.session, &c.input_source, NULL), POFAC_OK);
        session_memory m = session_memory_use(c.session);
        if (m.arena_bytes != want[i])
            fail_msg("%d rows: found an arena of %d bytes, wanted %d", (int)rows[i], (int)m.arena_bytes, (int)want[i]);
        assert_int_equal(m.mapped_weight_bytes, 32 + 16);
        assert_int_equal(m.packed_weight_bytes, 32);
        assert_int_equal(m.scratch_bytes, 2 * 64);
    }
    plan_case_end(&c);
}

/* ---- what is refused ---- */

static void state_that_does_not_fit(void **unused) {
    (void)unused;
    static const struct {
        const char *nodes, *message;
    } cases[] = {
        {"%1 = state {name = \"v\"} : f32[3]\n return \"y\" = %1\n", "state v is missing"},
        {"%1 = state {name = \"w\"} : f32[3,2]\n return \"y\" = %1\n", "state w is f32[2,3], wanted f32[3,2]"},
        {"%1 = state {name = \"w\"} : f32[6]\n return \"y\" = %1\n", "state w is f32[2,3], wanted f32[6]"},
        {"%1 = state {name = \"w\"} : i32[2,3]\n return \"y\" = %1\n", "state w is f32[2,3], wanted i32[2,3]"},
        {"%1 = state {name = \"w\"} : f32[T,3]\n return \"y\" = %1\n", "state w is f32[2,3], wanted f32[?,3]"},
        {"%1 = pattern {name = \"w\"} : pattern[3,3]\n return \"y\" = %1\n", "pattern w is pattern[2,3], wanted pattern[3,3]"},
        {"%1 = pattern {name = \"b\"} : pattern[3,3]\n return \"y\" = %1\n",
         "b: found a tensor of rank 1, a pattern needs a matrix"},
        {"%1 = pattern {name = \"w\"} : pattern[2,3]\n %2 = state {name = \"b\"} : f32[nnz(%1)]\n return \"y\" = %2\n",
         "state b is f32[4], wanted f32[2]"},
        {"%1 = pattern {name = \"v\"} : pattern[2,3]\n %2 = state {name = \"w\"} : f32[nnz(%1)]\n return \"y\" = %2\n",
         "state v is missing"},
    };
    const double w[6] = {1, 0, 0, 0, 0, 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plan_case c;
        plan_case_begin(&c, cases[i].nodes);
        named_tensors_add_doubles(&c.state, "w", IR_F32, 2, (int64_t[]){2, 3}, w);
        add_numbers(&c.state, "b", IR_F32, 4, w);
        expect_error(&c, POFAC_ERR_INPUT, cases[i].message);
        assert_null(c.session);
        plan_case_end(&c);
    }
}

static void packings_want_matrices(void **unused) {
    (void)unused;
    static const double w[6] = {1, 2, 3, 4, 5, 6};
    plan_case c;
    plan_case_begin(
        &c,
        "%1 = state {name = \"v\"} : f32[6]\n %2 = state {name = \"i\"} : i32[2,3]\n %3 = relu %1 : f32[6]\n return \"y\" = %3\n");
    add_numbers(&c.state, "v", IR_F32, 6, w);
    named_tensors_add_doubles(&c.state, "i", IR_I32, 2, (int64_t[]){2, 3}, w);
    c.plan.buffers[0].packing = PACKING_PANELS;
    c.plan.buffers[0].packing_parameter = 4;
    expect_error(&c, POFAC_ERR_INPUT, "v is f32[6], packing \"panels\" wants a matrix of floats below 2^63 bytes");
    c.plan.buffers[0].packing = PACKING_NONE;
    c.plan.buffers[1].packing = PACKING_PANELS;
    expect_error(&c, POFAC_ERR_INPUT, "i is i32[2,3], packing \"panels\" wants a matrix of floats below 2^63 bytes");
    plan_case_end(&c);
}

static void inputs_that_do_not_fit(void **unused) {
    (void)unused;
    static const double x[12] = {0};
    plan_case c;
    plan_case_begin(&c, "%1 = input {name = \"x\"} : f32[N,3]\n"
                        "%2 = input {name = \"y\"} : f32[N,3]\n"
                        "%3 = add %1, %2 : f32[N,3]\n"
                        "return \"y\" = %3\n");
    expect_error(&c, POFAC_ERR_INPUT, "input x is missing");
    named_tensors_add_doubles(&c.inputs, "x", IR_F32, 2, (int64_t[]){2, 3}, x);
    expect_error(&c, POFAC_ERR_INPUT, "input y is missing");
    ir_tensor *y = named_tensors_add(&c.inputs, "y", IR_F32, 2, (int64_t[]){4, 3});
    expect_error(&c, POFAC_ERR_INPUT, "input y: dimension 0 (N) is 4, wanted 2");
    y->dims[0] = 2;
    y->dims[1] = 4;
    expect_error(&c, POFAC_ERR_INPUT, "input y: dimension 1 is 4, wanted 3");
    y->dims[1] = 3;
    y->dtype = IR_I32;
    expect_error(&c, POFAC_ERR_INPUT, "input y is i32[2,3], wanted f32[N,3]");
    y->dtype = IR_F32;
    plan_case_run(&c);
    named_tensors_find(&c.inputs, "x")->dims[0] = 0;
    expect_error(&c, POFAC_ERR_INPUT, "input x: dimension 0 (N) is 0, wanted 1 to 8 for N");
    plan_case_end(&c);
}

static void numbers_outside_of_a_table(void **unused) {
    (void)unused;
    static const ir_dtype dtypes[] = {IR_I64, IR_I32, IR_I8};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        char nodes[512];
        plan_case c;
        snprintf(nodes, sizeof nodes,
                 "%%1 = state {name = \"words\"} : f32[3,1]\n"
                 "%%2 = input {name = \"ids\"} : %s[B,S]\n"
                 "%%3 = reshape %%2 : %s[B*S]\n"
                 "%%4 = cast %%3 : i16[B*S]\n"
                 "%%5 = embedding %%1, %%4 : f32[B*S,1]\n"
                 "return \"y\" = %%5\n",
                 dtype_name(dtypes[i]), dtype_name(dtypes[i]));
        plan_case_begin(&c, nodes);
        named_tensors_add(&c.state, "words", IR_F32, 2, (int64_t[]){3, 1});
        ir_tensor *ids = named_tensors_add(&c.inputs, "ids", dtypes[i], 2, (int64_t[]){2, 3});
        tensor_set_int(ids, 5, 2);
        plan_case_run(&c);
        tensor_set_int(ids, 5, 3);
        expect_error(&c, POFAC_ERR_INPUT, "ids: element 5 is 3, wanted 0 to 2 (rows of words)");
        tensor_set_int(ids, 0, -1);
        expect_error(&c, POFAC_ERR_INPUT, "ids: element 0 is -1, wanted 0 to 2 (rows of words)");
        plan_case_end(&c);
    }
}

static void labels_outside_of_the_classes(void **unused) {
    (void)unused;
    static const char *const losses[] = {
        "%3 = cross_entropy %1, %2 : f32[]\n return \"y\" = %3\n",
        "%3 = constant {value = [0.5]} : f32[3,3]\n %4 = labelled_rows %2 {rows = \"M\"} : i32[M]\n"
        "%5 = gather_rows %1, %4 : f32[M,3]\n %6 = gather_rows %2, %4 : i64[M]\n"
        "%7:4 = linear_cross_entropy %5, %3, %6 : f32[], f32[M,3], f32[3,3], f32[3]\n return \"y\" = %7\n"};
    for (size_t i = 0; i < 2; i++) {
        plan_case c;
        char nodes[1024];
        snprintf(nodes, sizeof nodes, "%%1 = input {name = \"logits\"} : f32[N,3]\n%%2 = input {name = \"labels\"} : i64[N]\n%s",
                 losses[i]);
        plan_case_begin(&c, nodes);
        named_tensors_add(&c.inputs, "logits", IR_F32, 2, (int64_t[]){2, 3});
        ir_tensor *labels = named_tensors_add(&c.inputs, "labels", IR_I64, 1, (int64_t[]){2});
        tensor_set_int(labels, 0, -100);
        tensor_set_int(labels, 1, 2);
        plan_case_run(&c);
        tensor_set_int(labels, 1, 3);
        expect_error(&c, POFAC_ERR_INPUT, "labels: element 1 is 3, wanted 0 to 2, or -100 to leave it out");
        plan_case_end(&c);
    }
}

static void ids_outside_of_the_classes(void **unused) {
    (void)unused;
    plan_case c;
    plan_case_begin(&c,
                    "%1 = input {name = \"x\"} : f32[N,3]\n%2 = input {name = \"ids\"} : i32[N,2]\n"
                    "%3 = input {name = \"likely\"} : f32[N,2]\n%4 = constant {value = [0.5]} : f32[5,3]\n"
                    "%5:4 = linear_soft_cross_entropy %1, %4, %2, %3 : f32[], f32[N,3], f32[5,3], f32[5]\n return \"y\" = %5\n");
    named_tensors_add(&c.inputs, "x", IR_F32, 2, (int64_t[]){2, 3});
    named_tensors_add(&c.inputs, "likely", IR_F32, 2, (int64_t[]){2, 2});
    ir_tensor *ids = named_tensors_add(&c.inputs, "ids", IR_I32, 2, (int64_t[]){2, 2});
    tensor_set_int(ids, 3, 4);
    plan_case_run(&c);
    tensor_set_int(ids, 3, 5);
    expect_error(&c, POFAC_ERR_INPUT, "ids: element 3 is 5, wanted 0 to 4 (rows of table)");
    plan_case_end(&c);
}

static void outputs_by_name(void **unused) {
    (void)unused;
    ir_tensor t;
    plan_case c;
    plan_case_begin(&c, relu_nodes);
    assert_int_equal(session_create(&c.plan, &c.state_source, c.pool, &c.text.sink, &c.session), POFAC_OK);
    assert_int_equal(session_output(c.session, "y", &c.text.sink, &t), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&c.text.messages), "output \"y\" was asked for before a successful run");
    named_tensors_add(&c.inputs, "x", IR_F32, 1, (int64_t[]){2});
    plan_case_run(&c);
    assert_int_equal(session_output(c.session, "z", &c.text.sink, &t), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&c.text.messages), "the plan has no output \"z\"");
    strbuf_clear(&c.text.messages);
    named_tensors_find(&c.inputs, "x")->dtype = IR_I8; /* a run that fails takes the results of the one before */
    assert_int_equal(session_run(c.session, &c.input_source, NULL), POFAC_ERR_INPUT);
    assert_int_equal(session_output(c.session, "y", &c.text.sink, &t), POFAC_ERR_USAGE);
    plan_case_end(&c);
}

static void memory_that_cannot_be_counted(void **unused) {
    (void)unused;
    static const char message[] = "the batch is too large: its memory cannot be counted in 63 bits";
    plan_case c;
    plan_case_begin(&c, relu_nodes);
    ir_dim tokens = tokens_of(&c), huge = dim_const(INT64_MAX / 2), unbound = dim_symbol(symbol_named(c.text.context, "other"));
    named_tensors_add(&c.inputs, "x", IR_F32, 1, (int64_t[]){2});
    plan_case_set_kernel(&c, 0, add_one, tokens, 8);
    c.plan.steps[0].scratch_bytes = huge;
    expect_error(&c, POFAC_ERR_INPUT, message);
    c.plan.steps[0].scratch_bytes = unbound;
    expect_error(&c, POFAC_ERR_INPUT, message);
    c.plan.steps[0].scratch_bytes = dim_const(32);
    plan_case_run(&c);
    c.plan.steps[0].work = unbound;
    expect_error(&c, POFAC_ERR_INPUT, message);
    c.plan.steps[0].work = tokens;
    plan_case_set_kernel(&c, 0, add_one, unbound, 8);
    c.plan.steps[0].work = tokens;
    expect_error(&c, POFAC_ERR_INPUT, message);
    plan_case_end(&c);
}

/* An arena that no machine has is an error, after which smaller batches run. */
static void arenas_that_are_too_large(void **unused) {
    (void)unused;
    const char *sanitizers = getenv("POFAC_SANITIZE");
    if (sanitizers && *sanitizers) {
        print_message("SKIP: sanitizers end the program at such an allocation\n");
        skip();
    }
    plan_case c;
    plan_case_begin(&c, "%1 = input {name = \"x\"} : f32[T]\n"
                        "%2 = relu %1 : f32[T]\n"
                        "%3 = input {name = \"wide\"} : f32[N,268435456,268435456]\n"
                        "%4 = relu %3 : f32[N,268435456,268435456]\n"
                        "return \"y\" = %2, \"z\" = %4\n");
    named_tensors_add(&c.inputs, "x", IR_F32, 1, (int64_t[]){2});
    ir_tensor *wide = named_tensors_add(&c.inputs, "wide", IR_F32, 1, (int64_t[]){1});
    wide->rank = 3;
    wide->dims[1] = wide->dims[2] = INT64_C(1) << 28;
    expect_error(&c, POFAC_ERR_RUNTIME, "out of memory: 288230376151711808 bytes of activations for this batch");
    wide->dims[0] = 8; /* 2^64 bits */
    expect_error(&c, POFAC_ERR_INPUT, "the batch is too large: its memory cannot be counted in 63 bits");
    wide->rank = 1;
    plan_case_end(&c);
}

/* ---- failures and times ---- */

static void failing_allocations(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        generated_graph g;
        plan p;
        arena memory = ARENA_INIT;
        thread_pool *pool;
        graph_generate(seed, NULL, &g);
        plan_of_graph(g.graph, &memory, &p);
        for (size_t i = 0; i < p.n_buffers; i++) /* an evaluator's operands stay in rows */
            if (p.buffers[i].kind == PLAN_CONSTANT && p.buffers[i].type->rank == 2) p.buffers[i].packing = PACKING_NONE;
        tensor_source in = named_tensors_source(&g.inputs), st = named_tensors_source(&g.state);
        assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
        for (size_t n = 1;; n++) {
            session *s;
            fail_alloc_after(n);
            pofac_status status = session_create(&p, &st, pool, NULL, &s);
            assert_int_equal(status == POFAC_OK, s != NULL);
            if (s) status = session_run(s, &in, NULL);
            bool failed = fail_alloc_stop();
            if (failed != (status == POFAC_ERR_RUNTIME)) fail_msg("seed %d, allocation %zu fails: status %d", (int)seed, n, status);
            session_destroy(s);
            if (!failed) break;
        }
        thread_pool_destroy(pool);
        arena_free(&memory);
        generated_graph_free(&g);
    }
}

static void failing_allocations_of_packed_weights(void **unused) {
    (void)unused;
    static const double w[6] = {1, 2, 3, 4, 5, 6};
    plan_case c;
    plan_case_begin(&c, "%1 = state {name = \"w\"} : f32[3,2]\n"
                        "%2 = constant {value = [1]} : f32[3,2]\n"
                        "%3 = relu %1 : f32[3,2]\n"
                        "%4 = relu %2 : f32[3,2]\n"
                        "return \"y\" = %3, \"z\" = %4\n");
    _Alignas(16) char room[64];
    named_tensors_add_doubles(&c.state, "w", IR_F16, 2, (int64_t[]){3, 2}, w);
    ir_tensor *t = named_tensors_find(&c.state, "w"), owner = *t;
    t->data = memcpy(room + 1, t->data, 12);
    for (size_t i = 0; i < 2; i++) {
        c.plan.buffers[i].packing = PACKING_PANELS;
        c.plan.buffers[i].packing_parameter = 4;
        plan_case_set_kernel(&c, i, copy_packed, dim_const(6), 6);
    }
    for (size_t n = 1;; n++) {
        session *s;
        fail_alloc_after(n);
        pofac_status status = session_create(&c.plan, &c.state_source, c.pool, NULL, &s);
        bool failed = fail_alloc_stop();
        if (failed != (status == POFAC_ERR_RUNTIME)) fail_msg("allocation %zu fails: status %d", n, status);
        session_destroy(s);
        if (!failed) break;
    }
    *t = owner;
    plan_case_end(&c);
}

static void wait_a_little(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    (void)buffers, (void)dims, (void)begin, (void)end, (void)scratch;
    for (int volatile i = 0; i < 200000; i++) continue;
}

static void times_add_up_while_profiling(void **unused) {
    (void)unused;
    plan_case c;
    plan_case_begin(&c, relu_nodes);
    plan_case_set_kernel(&c, 0, wait_a_little, dim_const(1), 1);
    named_tensors_add(&c.inputs, "x", IR_F32, 1, (int64_t[]){2});
    plan_case_run(&c);
    assert_int_equal(session_times_ns(c.session)[0], 0);
    session_profile(c.session, true);
    assert_int_equal(session_run(c.session, &c.input_source, NULL), POFAC_OK);
    int64_t once = session_times_ns(c.session)[0];
    assert_true(once > 0);
    assert_int_equal(session_run(c.session, &c.input_source, NULL), POFAC_OK);
    assert_true(session_times_ns(c.session)[0] > once);
    session_profile(c.session, false);
    assert_int_equal(session_run(c.session, &c.input_source, NULL), POFAC_OK);
    assert_int_equal(session_times_ns(c.session)[0], 0);
    plan_case_end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluator_plans_equal_the_interpreter),
        cmocka_unit_test(state_of_other_widths_is_converted),
        cmocka_unit_test(sparse_state_is_dense_or_compacted),
        cmocka_unit_test(constants_have_values_or_data),
        cmocka_unit_test(unaligned_tensors_are_copied),
        cmocka_unit_test(an_input_that_is_returned_is_kept),
        cmocka_unit_test(evaluators_may_work_in_place),
        cmocka_unit_test(results_may_be_left_out),
        cmocka_unit_test(kernels_run_in_chunks_on_all_threads),
        cmocka_unit_test(work_is_cut_into_units_and_chunks),
        cmocka_unit_test(threads_share_a_plan),
        cmocka_unit_test(weights_are_packed_once),
        cmocka_unit_test(weights_that_were_packed_are_released),
        cmocka_unit_test(constants_are_packed_too),
        cmocka_unit_test(memory_is_accounted),
        cmocka_unit_test(state_that_does_not_fit),
        cmocka_unit_test(packings_want_matrices),
        cmocka_unit_test(inputs_that_do_not_fit),
        cmocka_unit_test(numbers_outside_of_a_table),
        cmocka_unit_test(labels_outside_of_the_classes),
        cmocka_unit_test(ids_outside_of_the_classes),
        cmocka_unit_test(outputs_by_name),
        cmocka_unit_test(memory_that_cannot_be_counted),
        cmocka_unit_test(arenas_that_are_too_large),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(failing_allocations_of_packed_weights),
        cmocka_unit_test(times_add_up_while_profiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
