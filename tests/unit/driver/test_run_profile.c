/* Profiles: names in short, sums over runs of several shapes, kernels that several steps share, the three forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "frontend/driver/run_profile.h"
#include "ir/support/json_text.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/plan_case.h"

static void names_in_short(void **unused) {
    (void)unused;
    static const char *const cases[][2] = {
        {"padded_offsets", "padded_offsets"},
        {"linear N=768 K=3072 W=32 panel=8 rows=64 blocks=2 k_block=512 group=4 bias=1 v0=computed:0 v1=full:3 v2=add(v1,v0) "
         "store:4=v2",
         "linear N=768 K=3072 add"},
        {"linear N=3072 K=768 W=32 panel=12 v0=computed:0 v1=gelu(v0) store:3=v1", "linear N=3072 K=768 gelu"},
        {"attention heads=12 D=64 W=32 scale=0x1p-3 keep_dtype=i64", "attention heads=12 D=64"},
        {"layer_norm E=768 W=32 eps=0x1.19799812dea11p-40 y=3", "layer_norm E=768"},
        {"embedding V0=30522 ids0=i64 tables=3 E=128 W=32 v0=computed:0 v3=add(v0,v2)", "embedding tables=3 E=128 add"},
        {"", ""},
        {"one  two=2 N= K", "one N="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf name = STRBUF_INIT;
        profile_shorten(cases[i][0], &name);
        assert_string_equal(strbuf_str(&name), cases[i][1]);
        strbuf_free(&name);
    }
}

/* Three kernels over [T]; the first and the last are the same one. */
typedef struct profile_case {
    plan_case plan;
    runnable runnable;
    run_profile *profile;
} profile_case;

static void wait_a_little(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    (void)buffers, (void)dims, (void)scratch;
    for (volatile int64_t i = 0; i < 20000 * (end - begin); i = i + 1) continue;
}

static void begin(profile_case *c) {
    static const char *const variants[] = {"wait N=1 W=3 v1=gelu(v0)", "other", "wait N=1 W=3 v1=gelu(v0)"};
    static const char *const scopes[] = {"a", "b.\"c\"", "d"};
    plan_case_begin(&c->plan, "  %1 = input {name = \"x\"} : f32[T]\n  %2 = relu %1 : f32[T]\n  %3 = tanh %2 : f32[T]\n"
                              "  %4 = relu %3 : f32[T]\n  return \"y\" = %4\n");
    ir_dim rows = c->plan.plan.buffers[0].type->dims[0];
    bool ok;
    for (size_t i = 0; i < 3; i++) {
        plan_step *step = plan_case_step(&c->plan, i);
        plan_case_set_kernel(&c->plan, i, wait_a_little, rows, 1);
        step->kernel = i == 1 ? "other" : "wait";
        step->variant = variants[i];
        step->scope = scopes[i];
        step->flops = i == 1 ? dim_const(0) : dim_mul(rows, dim_const(1000), &ok);
        step->bytes = dim_mul(rows, dim_const(8), &ok);
    }
    c->plan.plan.target = "made-up target";
    c->profile = run_profile_create();
    assert_non_null(c->profile);
}

static void run(profile_case *c, int64_t rows) {
    const double zeros[64] = {0};
    named_tensors_free(&c->plan.inputs);
    named_tensors_add_doubles(&c->plan.inputs, "x", IR_F32, 1, &rows, zeros);
    assert_int_equal(session_run(c->plan.session, &c->plan.input_source, &c->plan.text.sink), POFAC_OK);
    assert_int_equal(run_profile_add(c->profile, &c->runnable, &c->plan.text.sink), POFAC_OK);
}

static void attach(profile_case *c) {
    const double zeros[64] = {0};
    int64_t rows = 1;
    named_tensors_add_doubles(&c->plan.inputs, "x", IR_F32, 1, &rows, zeros);
    plan_case_run(&c->plan);
    c->runnable = (runnable){.plan = &c->plan.plan, .pool = c->plan.pool, .session = c->plan.session};
    assert_int_equal(run_profile_attach(c->profile, &c->runnable, &c->plan.text.sink), POFAC_OK);
}

static void end(profile_case *c) {
    run_profile_destroy(c->profile);
    plan_case_end(&c->plan);
}

static void sums_over_runs(void **unused) {
    (void)unused;
    profile_case c;
    size_t n_steps, n_kernels;
    begin(&c);
    attach(&c);
    run(&c, 10);
    run(&c, 20);
    run(&c, 30);
    const profile_row *steps = run_profile_steps(c.profile, &n_steps), *kernels = run_profile_kernels(c.profile, &n_kernels);
    assert_int_equal(run_profile_runs(c.profile), 3);
    assert_int_equal(n_steps, 3);
    assert_int_equal(n_kernels, 2);
    for (size_t i = 0; i < 3; i++) {
        assert_true(steps[i].ns > 0);
        assert_true(steps[i].flops == (i == 1 ? 0 : 60000));
        assert_true(steps[i].bytes == 480);
    }
    assert_int_equal(kernels[0].n_steps, 2);
    assert_int_equal(kernels[0].ns, steps[0].ns + steps[2].ns);
    assert_true(kernels[0].flops == 120000);
    assert_string_equal(kernels[0].name, "wait N=1 gelu");
    assert_null(kernels[0].scope);
    assert_int_equal(kernels[1].ns, steps[1].ns);
    double share = profile_row_share(c.profile, &kernels[0]) + profile_row_share(c.profile, &kernels[1]);
    assert_true(fabs(share - 1.0) < 1e-9);
    assert_true(fabs(profile_row_ms(c.profile, &steps[0]) * 3e6 - (double)steps[0].ns) < 1e-3);
    assert_true(fabs(profile_row_gflops(&steps[0]) * (double)steps[0].ns - 60000) < 1e-3);
    assert_true(fabs(profile_row_gbytes(&steps[1]) * (double)steps[1].ns - 480) < 1e-3);
    assert_true(profile_row_gflops(&steps[1]) == 0);
    end(&c);
}

/* Attaching again forgets. */
static void attaching_again(void **unused) {
    (void)unused;
    profile_case c;
    size_t n;
    begin(&c);
    attach(&c);
    run(&c, 10);
    assert_int_equal(run_profile_attach(c.profile, &c.runnable, NULL), POFAC_OK);
    assert_int_equal(run_profile_runs(c.profile), 0);
    const profile_row *steps = run_profile_steps(c.profile, &n);
    assert_int_equal(n, 3);
    assert_int_equal(steps[0].ns, 0);
    assert_true(profile_row_ms(c.profile, &steps[0]) == 0 && profile_row_share(c.profile, &steps[0]) == 0);
    end(&c);
}

static json_t *parse(const strbuf *text) {
    json_t *tree;
    assert_int_equal(json_parse("profile", NULL, text->data, text->size, NULL, &tree), POFAC_OK);
    return tree;
}

static void as_json(void **unused) {
    (void)unused;
    profile_case c;
    strbuf text = STRBUF_INIT;
    begin(&c);
    attach(&c);
    run(&c, 10);
    run_profile_put_json(c.profile, &text);
    json_t *tree = parse(&text), *steps = json_object_get(tree, "steps"), *kernels = json_object_get(tree, "kernels");
    assert_int_equal(json_integer_value(json_object_get(tree, "runs")), 1);
    assert_int_equal(json_array_size(steps), 3);
    assert_int_equal(json_array_size(kernels), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(steps, 1), "scope")), "b.\"c\"");
    assert_string_equal(json_string_value(json_object_get(json_array_get(steps, 0), "variant")), "wait N=1 W=3 v1=gelu(v0)");
    assert_true(json_real_value(json_object_get(json_array_get(steps, 0), "gflops")) > 0);
    /* most time first */
    assert_true(json_number_value(json_object_get(json_array_get(kernels, 0), "ms")) >=
                json_number_value(json_object_get(json_array_get(kernels, 1), "ms")));
    json_decref(tree);
    strbuf_free(&text);
    end(&c);
}

/* Lane 1: runs, and steps within them, one after the other; each thread's spans lie within the step's. */
static void as_a_trace(void **unused) {
    (void)unused;
    profile_case c;
    strbuf text = STRBUF_INIT;
    begin(&c);
    attach(&c);
    run(&c, 10);
    run(&c, 20);
    run_profile_put_trace(c.profile, &text);
    json_t *tree = parse(&text), *events = json_object_get(tree, "traceEvents");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(tree, "otherData"), "runs_in_trace")), 2);
    double step_begin[6] = {0}, step_end[6] = {0}, run_begin[2], run_end[2], thread_ms = 0;
    size_t n_steps = 0, n_runs = 0, n_threads = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        double ts = json_number_value(json_object_get(e, "ts")), dur = json_number_value(json_object_get(e, "dur"));
        if (strcmp(json_string_value(json_object_get(e, "ph")), "X") != 0) continue;
        if (json_integer_value(json_object_get(e, "tid")) > 1) {
            n_threads++;
            thread_ms += 1e-3 * dur;
        } else if (strcmp(json_string_value(json_object_get(e, "name")), "run") == 0) {
            assert_true(n_runs < 2);
            run_begin[n_runs] = ts;
            run_end[n_runs++] = ts + dur;
        } else {
            assert_true(n_steps < 6);
            assert_string_equal(json_string_value(json_object_get(e, "name")), n_steps % 3 == 1 ? "other" : "wait N=1 gelu");
            step_begin[n_steps] = ts;
            step_end[n_steps++] = ts + dur;
        }
    }
    assert_int_equal(n_runs, 2);
    assert_int_equal(n_steps, 6);
    assert_in_range(n_threads, 6, 12); /* a thread may find nothing left to do */
    assert_true(thread_ms > 0);
    for (size_t i = 0; i < 6; i++) {
        assert_true(step_begin[i] < step_end[i]);
        if (i > 0 && step_begin[i] + 0.002 < step_end[i - 1])
            fail_msg("step %zu begins at %f, before %f", i, step_begin[i], step_end[i - 1]);
        if (step_begin[i] + 0.002 < run_begin[i / 3] || step_end[i] > run_end[i / 3] + 0.002)
            fail_msg("step %zu, [%f, %f], is not within run [%f, %f]", i, step_begin[i], step_end[i], run_begin[i / 3],
                     run_end[i / 3]);
    }
    json_decref(tree);
    strbuf_free(&text);
    end(&c);
}

static void as_text(void **unused) {
    (void)unused;
    profile_case c;
    strbuf text = STRBUF_INIT;
    begin(&c);
    attach(&c);
    run(&c, 10);
    run_profile_put_text(c.profile, &text);
    assert_memory_equal(text.data, "profile of 1 run of ", 20);
    assert_non_null(
        strstr(text.data, " ms on average; made-up target, 2 threads\n\n       ms  share   GFLOP/s     GB/s  steps  kernel\n"));
    assert_non_null(strstr(text.data, "      2  wait N=1 gelu\n"));
    assert_non_null(strstr(text.data, "      1  other\n"));
    assert_non_null(strstr(text.data, "  b.\"c\"  other\n"));
    strbuf_free(&text);
    end(&c);
}

static void failing_allocations(void **unused) {
    (void)unused;
    profile_case c;
    begin(&c);
    attach(&c);
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        pofac_status status = run_profile_attach(c.profile, &c.runnable, NULL);
        if (status == POFAC_OK) status = run_profile_add(c.profile, &c.runnable, NULL);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (!failed) break;
    }
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_in_short),      cmocka_unit_test(sums_over_runs),
        cmocka_unit_test(attaching_again),     cmocka_unit_test(as_json),
        cmocka_unit_test(as_a_trace),          cmocka_unit_test(as_text),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
