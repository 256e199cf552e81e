/*
 * Products of 8 bits for tests of kernels, and what stands behind them in a group: the text of the graph, and numbers for its inputs and state.
 */
#ifndef POFAC_TESTS_UNIT_CODEGEN_INT8_CASE_H
#define POFAC_TESTS_UNIT_CODEGEN_INT8_CASE_H

#include "tests/unit/codegen/kernel_case.h"

typedef struct int8_case {
    int64_t T, N, K;
    int W;
    bool bias, requantize, by_row, by_channel; /* by_row, by_channel: x, the weight have ranges of rows */
    const char *tail;                          /* elementwise op behind the product: "", "gelu", "relu", "tanh", "add" */
    const char *bytes;                         /* "quads", "tiles": of what is 8 bits behind that; NULL: nothing is */
    const char *variant;                       /* of the product, or NULL */
    bool sparse;                               /* the weight is the non-zeros of a pattern */
    bool tiles;                                /* x lies in tiles of bytes, else in quads */
} int8_case;

/* A range under a new name. */
void int8_case_range(named_tensors *to, const char *name, double min, double max);

/* The graph up to the product, %14 in tiles, which begins group 1 where something follows; and the rest, with the output y in rows. */
void int8_case_put_product(strbuf *text, const int8_case *c);
void int8_case_put_rest(strbuf *text, const int8_case *c);

/*
 * The text up to the product, with inputs x and r (what "add" adds) and state w, dense in either case, b, and x.range, w.range, out.range and
 * next.range, which the test may change.
 */
kernel_fixture int8_case_begin(const int8_case *c);

/*
 * x and weight at the ends of their ranges: 255, and 127 or -128 where the weight is not 0. Rows of the weight have one of four kinds in turns: all
 * 127, all -128, two of each in turns, one of each in turns.
 */
void int8_case_go_to_ends(kernel_fixture *f);

/* The bound of |kernel - interpreter|: none, but bytes may differ by one where a function of real numbers stands before them. */
double int8_case_bound(const int8_case *c);

typedef enum int8_case_machines {
    INT8_CASE_NATIVE,   /* each instruction set with all that the machine has */
    INT8_CASE_AND_PLAIN /* and without its instructions for bytes */
} int8_case_machines;

/* Runs what is in f, and frees it. Returns what kernel_case_run does. */
int64_t int8_case_run(kernel_fixture *f, const char *kernel, int8_case_machines on, double absolute);

#endif
