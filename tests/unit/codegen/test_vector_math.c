/*
 * pitfall 18: vector mathematics against libm in double, swept over all magnitudes, on every instruction set of the machine, with the bounds
 * that vector_math.h states; and what happens to NaN, infinities and numbers at the edges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/jit.h"
#include "codegen/machine.h"
#include "codegen/vector_math.h"
#include "tests/unit/codegen/kernel_case.h"

typedef struct function {
    const char *name;
    cg_val (*emit)(emitter *e, cg_val x);
    double (*exact)(double x);
    double low, high;             /* the sweep */
    double absolute, ulp, scaled; /* |error| <= absolute + ulp * ULP(exact) + scaled * max(1, |x|) */
} function;

static double gelu_erf(double x) { return 0.5 * x * erfc(-x * M_SQRT1_2); }
static double gelu_tanh(double x) { return x / (1 + exp(-2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x))); }
static double gelu_erf_slope(double x) { return 0.5 * erfc(-x * M_SQRT1_2) + x * 0.39894228040143267794 * exp(-0.5 * x * x); }
static double gelu_tanh_slope(double x) {
    const double a = 0.79788456080286535588, s = 1 / (1 + exp(-2 * a * (x + 0.044715 * x * x * x)));
    return s + x * 2 * a * (1 + 3 * 0.044715 * x * x) * s * (1 - s);
}
static double relu(double x) { return x > 0 ? x : 0; }
static double reciprocal_sqrt(double x) { return 1 / sqrt(x); }

static const function functions[] = {
    {"exp", math_exp, exp, -87.3, 88.3, 0, 2, 0},
    {"exp_nonpositive", math_exp_nonpositive, exp, -87.3, 0, 0, 2, 0},
    {"log", math_log, log, FLT_MIN, FLT_MAX, 1e-7, 2, 0},
    {"erf", math_erf, erf, -30, 30, 2e-7, 0, 0},
    {"tanh", math_tanh, tanh, -30, 30, 2e-7, 0, 0},
    {"tanh near 0", math_tanh, tanh, -0.625, 0.625, 0, 4, 0},
    {"gelu_erf", math_gelu_erf, gelu_erf, -50, 50, 0, 0, 3e-7},
    {"gelu_tanh", math_gelu_tanh, gelu_tanh, -50, 50, 0, 0, 3e-7},
    {"gelu_erf_slope", math_gelu_erf_slope, gelu_erf_slope, -50, 50, 6e-7, 0, 0},
    {"gelu_tanh_slope", math_gelu_tanh_slope, gelu_tanh_slope, -50, 50, 6e-7, 0, 0},
    {"relu", math_relu, relu, -1e30, 1e30, 0, 0, 0},
    {"reciprocal_sqrt", math_reciprocal_sqrt, reciprocal_sqrt, FLT_MIN, FLT_MAX, 0, 1.5, 0},
};
#define N_FUNCTIONS (sizeof functions / sizeof functions[0])

typedef struct compiled {
    jit *jit;
    plan_kernel run; /* buffers: x, y; units of one vector */
    size_t lanes;
} compiled;

static compiled compile(const function *f, const char *isa) {
    arena memory = ARENA_INIT;
    cg_target target;
    machine *m;
    emitter e;
    compiled c;
    strbuf object = STRBUF_INIT;
    assert_int_equal(cg_target_host(isa, &memory, NULL, &target), POFAC_OK);
    assert_int_equal(machine_create(&target, NULL, &m), POFAC_OK);
    assert_int_equal(jit_create(0, NULL, &c.jit), POFAC_OK);
    em_begin_module(&e, &target, "test");
    em_begin_function(&e, "sweep");
    em_loop loop;
    em_loop_begin(&e, &loop, em_begin_unit(&e), em_end_unit(&e), 1, NULL, 0);
    cg_val at = em_mul_int(&e, loop.index, 4 * (int64_t)e.lanes);
    em_store(&e, f->emit(&e, em_load(&e, e.lanes, em_at(&e, em_buffer(&e, 0), at), 4)), em_at(&e, em_buffer(&e, 1), at), 4);
    em_loop_end(&e, &loop, NULL);
    em_end_function(&e);
    c.lanes = e.lanes;
    assert_int_equal(machine_generate(m, &e, CG_EMIT_OBJ, NULL, &object), POFAC_OK);
    em_end_module(&e);
    machine_destroy(m);
    assert_int_equal(jit_add(c.jit, object.data, object.size, "sweep", 0, NULL, &c.run), POFAC_OK);
    strbuf_free(&object);
    arena_free(&memory);
    return c;
}

static double ulp_of(double y) { return (double)nextafterf(fabsf((float)y), INFINITY) - (double)fabsf((float)y); }

#define N 16384

static void check(const function *f, const char *isa, const float *x, const float *y, double *worst) {
    for (size_t i = 0; i < N; i++) {
        double exact = f->exact((double)x[i]), error = fabs((double)y[i] - exact);
        double bound = f->absolute + f->ulp * ulp_of(exact) + f->scaled * fmax(1, fabs((double)x[i]));
        if (bound > 0 && error / bound > *worst) *worst = error / bound;
        if (!(error <= bound))
            fail_msg("%s(%a) on %s is %a, wanted %a: off by %.3g, allowed %.3g", f->name, (double)x[i], isa, (double)y[i], exact,
                     error, bound);
    }
}

/* Uniform numbers of the range, then all magnitudes of both signs within it. */
static void sweep(const function *f, const char *isa, const compiled *c) {
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    double worst = 0;
    for (int round = 0; round < 8; round++) {
        for (size_t i = 0; i < N; i++) {
            double u = ((double)i + (double)round / 8) / N;
            x[i] = (float)(f->low + (f->high - f->low) * u);
            if (round < 4) continue;
            float magnitude = (float)(exp2(-126 + 253 * u) * (i % 2 ? 1 : -1));
            if (magnitude < f->low || magnitude > f->high) magnitude = fabsf(magnitude);
            if (magnitude >= f->low && magnitude <= f->high) x[i] = magnitude;
        }
        void *buffers[] = {x, y};
        c->run(buffers, NULL, 0, (int64_t)(N / c->lanes), NULL);
        check(f, isa, x, y, &worst);
    }
    print_message("%-16s %-7s largest error %.2f of the bound\n", f->name, isa, worst);
    free(x);
    free(y);
}

static void functions_keep_their_bounds(void **state) {
    (void)state;
    for (size_t i = 0; kernel_case_isa(i); i++)
        for (size_t f = 0; f < N_FUNCTIONS; f++) {
            compiled c = compile(&functions[f], kernel_case_isa(i));
            sweep(&functions[f], kernel_case_isa(i), &c);
            jit_destroy(c.jit);
        }
}

/* One number through a function. */
static float apply(const compiled *c, float number) {
    float x[64], y[64];
    for (size_t i = 0; i < 64; i++) x[i] = number;
    void *buffers[] = {x, y};
    c->run(buffers, NULL, 0, 1, NULL);
    return y[0];
}

static void want(const char *name, const char *isa, float x, float y, float wanted) {
    if (isnan(wanted) ? !isnan(y) : y != wanted)
        fail_msg("%s(%g) on %s is %g, wanted %g", name, (double)x, isa, (double)y, (double)wanted);
}

typedef struct edge {
    const char *name;
    float x, y;
} edge;

static const edge edges[] = {
    {"exp", 0, 1},
    {"exp", 100, INFINITY},
    {"exp", INFINITY, INFINITY},
    {"exp", -INFINITY, 0},
    {"exp", -100, 0},
    {"exp", FLT_MAX, INFINITY},
    {"exp", -FLT_MAX, 0},
    {"exp_nonpositive", -INFINITY, 0},
    {"log", 1, 0},
    {"log", INFINITY, INFINITY},
    {"erf", INFINITY, 1},
    {"erf", -INFINITY, -1},
    {"erf", 5, 1},
    {"erf", -5, -1},
    {"erf", 0, 0},
    {"tanh", INFINITY, 1},
    {"tanh", -INFINITY, -1},
    {"tanh", 20, 1},
    {"tanh", 0, 0},
    {"gelu_erf", INFINITY, INFINITY},
    {"gelu_erf", -1e30f, 0},
    {"gelu_erf", 1e30f, 1e30f},
    {"gelu_erf", 0, 0},
    {"gelu_tanh", INFINITY, INFINITY},
    {"gelu_tanh", -1e30f, 0},
    {"gelu_tanh", 1e30f, 1e30f},
    {"relu", INFINITY, INFINITY},
    {"relu", -INFINITY, 0},
    {"reciprocal_sqrt", 0, INFINITY},
    {"reciprocal_sqrt", INFINITY, 0},
    {"reciprocal_sqrt", -1, NAN},
};

static void edges_and_nan(void **state) {
    (void)state;
    for (size_t i = 0; kernel_case_isa(i); i++)
        for (size_t f = 0; f < N_FUNCTIONS; f++) {
            const char *name = functions[f].name, *isa = kernel_case_isa(i);
            compiled c = compile(&functions[f], isa);
            want(name, isa, NAN, apply(&c, NAN), NAN);
            for (size_t k = 0; k < sizeof edges / sizeof edges[0]; k++)
                if (strcmp(edges[k].name, name) == 0) want(name, isa, edges[k].x, apply(&c, edges[k].x), edges[k].y);
            jit_destroy(c.jit);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(functions_keep_their_bounds), cmocka_unit_test(edges_and_nan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
