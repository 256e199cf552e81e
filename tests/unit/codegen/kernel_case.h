/*
 * One graph, compiled for one instruction set and run, against the interpreter: what tests of kernels are made of.
 */
#ifndef POFAC_TESTS_UNIT_CODEGEN_KERNEL_CASE_H
#define POFAC_TESTS_UNIT_CODEGEN_KERNEL_CASE_H

#include "codegen/codegen.h"
#include "tests/unit/named_tensors.h"

typedef struct kernel_case {
    const char *text;     /* a module with one graph, @g */
    const char *pipeline; /* run over it before compiling; NULL: none */
    const char *kernel;   /* row of kernels.def that a step must run; NULL: any */
    bool evaluators;      /* steps without a kernel are allowed */
    named_tensors *inputs, *state;
    const ir_module *constants; /* has the data that the text leaves out; NULL: none */
    bool plain;                 /* each instruction set with extensions of codegen/extensions.def also without them */
    double absolute, relative;  /* bound of |kernel - interpreter| */
} kernel_case;

/* Every instruction set that this machine runs: 0, 1, ... until NULL. */
const char *kernel_case_isa(size_t i);

/*
 * Runs the case for every instruction set of the machine, for the best one with 1 and with 3 threads. Ends the test when a result
 * differs from the interpreter's by more than the bound, when the numbers of threads differ in a bit, or when the wanted kernel is not
 * used. Outputs are in rows. Returns the number of elements that one run compared.
 */
int64_t kernel_case_run(const kernel_case *c);

/* A case that is put together piece by piece. */
typedef struct kernel_fixture {
    named_tensors inputs, state;
    strbuf text;
} kernel_fixture;
kernel_fixture kernel_fixture_begin(void);

/* Runs it, and frees all. Returns what kernel_case_run does. */
int64_t kernel_fixture_run(kernel_fixture *f, const char *kernel, double absolute, double relative);

/* Random numbers in [-1, 1), and integers in [0, bound), under a new name. */
ir_tensor *kernel_case_reals(named_tensors *to, const char *name, uint32_t rank, const int64_t *dims);
ir_tensor *kernel_case_integers(named_tensors *to, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims,
                                int64_t bound);

#endif
