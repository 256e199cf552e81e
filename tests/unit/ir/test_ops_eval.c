/*
 * Every op's evaluator: values worked out by hand or by an independent formula in more digits, one table of cases; an op without a
 * row fails the suite. Then the exact messages of everything that evaluators refuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "tests/unit/text_case.h"

#define MAX_VALUES 24

typedef struct value_case {
    ir_op op; /* that the case is about */
    const char *nodes;
    size_t n;
    double wanted[MAX_VALUES]; /* the elements of all outputs, one after the other */
} value_case;

/* Input x is f32[2,3] = 1 .. 6, m is i64[2,3] = 1 1 0 / 0 0 1; state w is f32[2,3] = 1 0 2 / 0 0 3. */
static const value_case value_cases[] = {
    {OP_input, "%1 = input {name = \"x\"} : f32[N,3]\n return \"y\" = %1\n", 6, {1, 2, 3, 4, 5, 6}},
    {OP_state, "%1 = state {name = \"w\"} : f32[2,3]\n return \"y\" = %1\n", 6, {1, 0, 2, 0, 0, 3}},
    {OP_state, "%1 = state {name = \"w\"} : f64[2,3]\n return \"y\" = %1\n", 6, {1, 0, 2, 0, 0, 3}},
    {OP_pattern,
     "%1 = pattern {name = \"w\"} : pattern[2,3]\n"
     "%2 = state {name = \"w\"} : f32[nnz(%1)]\n"
     "return \"y\" = %2\n",
     3,
     {1, 2, 3}},

    {OP_constant, "%1 = constant {value = [1, 2.5, -3]} : f32[3]\n return \"y\" = %1\n", 3, {1, 2.5, -3}},
    {OP_constant, "%1 = constant {value = [7]} : i32[2,2]\n return \"y\" = %1\n", 4, {7, 7, 7, 7}},
    {OP_constant, "%1 = constant : f32[0]\n return \"y\" = %1\n", 0, {0}},
    {OP_constant, "%1 = constant {value = [0.1]} : f16[]\n return \"y\" = %1\n", 1, {0.0999755859375}},
    {OP_constant, "%1 = constant {value = [300, -300]} : i8[2]\n return \"y\" = %1\n", 2, {127, -128}},

    {OP_reshape,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[2,3]\n"
     "%2 = reshape %1 : f32[3,2,1]\n"
     "return \"y\" = %2\n",
     6,
     {1, 2, 3, 4, 5, 6}},
    {OP_reshape,
     "%1 = constant {value = [-8, 7, 1]} : i4[3]\n"
     "%2 = reshape %1 : i4[3,1]\n"
     "return \"y\" = %2\n",
     3,
     {-8, 7, 1}},
    {OP_slice,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[2,3]\n"
     "%2 = slice %1 {begin = 1, end = 3} : f32[2,2]\n"
     "return \"y\" = %2\n",
     4,
     {2, 3, 5, 6}},
    {OP_slice,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : i4[2,3]\n"
     "%2 = slice %1 {begin = 2, end = 3} : i4[2,1]\n"
     "return \"y\" = %2\n",
     2,
     {3, 6}},
    {OP_gather_rows,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[3,2]\n"
     "%2 = constant {value = [2, 0, 2]} : u8[3]\n"
     "%3 = gather_rows %1, %2 : f32[3,2]\n"
     "return \"y\" = %3\n",
     6,
     {5, 6, 1, 2, 5, 6}},
    {OP_gather_rows,
     "%1 = constant {value = [10, 20, 30]} : i64[3]\n"
     "%2 = constant {value = [1, 1]} : i32[2]\n"
     "%3 = gather_rows %1, %2 : i64[2]\n"
     "return \"y\" = %3\n",
     2,
     {20, 20}},
    {OP_cast,
     "%1 = constant {value = [0.5, 1.5, 2.5, -3.7, 1e10, nan]} : f32[6]\n"
     "%2 = cast %1 : i32[6]\n"
     "return \"y\" = %2\n",
     6,
     {0, 2, 2, -4, 2147483647, 0}},
    {OP_cast,
     "%1 = constant {value = [-300, 5, 300]} : i64[3]\n"
     "%2 = cast %1 : u8[3]\n"
     "return \"y\" = %2\n",
     3,
     {0, 5, 255}},
    {OP_cast,
     "%1 = constant {value = [0, 0.25, -1]} : f32[3]\n"
     "%2 = cast %1 : bool[3]\n"
     "%3 = cast %2 : f32[3]\n"
     "return \"y\" = %3\n",
     3,
     {0, 1, 1}},
    {OP_cast, /* bf16 has 8 bits: 1 + 1/256 is half way and goes to even, a little more goes up */
     "%1 = constant {value = [1.00390625, 1.004]} : f32[2]\n"
     "%2 = cast %1 : bf16[2]\n"
     "return \"y\" = %2\n",
     2,
     {1, 1.0078125}},
    {OP_relayout,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[3,2]\n"
     "%2 = relayout %1 : f32[3,2] tiles<4>\n"
     "%3 = relayout %2 : f32[3,2]\n"
     "return \"t\" = %2, \"y\" = %3\n",
     12,
     {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}},

    {OP_padded_offsets,
     "%1 = constant {value = [9]} : i64[3,2]\n"
     "%2 = padded_offsets %1 : i32[4]\n"
     "return \"y\" = %2\n",
     4,
     {0, 2, 4, 6}},
    {OP_row_positions,
     "%1 = constant {value = [0, 2, 2, 5]} : i32[4]\n"
     "%2 = constant {value = [9]} : i64[5]\n"
     "%3 = row_positions %1, %2 : i32[5]\n"
     "return \"y\" = %3\n",
     5,
     {0, 1, 0, 1, 2}},
    {OP_first_rows,
     "%1 = constant {value = [0, 2, 2, 5]} : i32[4]\n"
     "%2 = first_rows %1 : i32[3]\n"
     "return \"y\" = %2\n",
     3,
     {0, 2, 2}},
    {OP_kept_rows, /* the mask of the inputs: 1 1 0 / 0 0 1; the first row of the second sequence is kept all the same */
     "%1 = input {name = \"m\"} : i64[N,S]\n"
     "%2:2 = kept_rows %1 {rows = \"T\"} : i32[T], i32[N+1]\n"
     "return \"rows\" = %2, \"offsets\" = %2#1\n",
     7,
     {0, 1, 3, 5, 0, 2, 4}},
    {OP_labelled_rows, /* the mask of the inputs as labels: each has one */
     "%1 = input {name = \"m\"} : i64[N,S]\n"
     "%2 = reshape %1 : i64[N*S]\n"
     "%3 = labelled_rows %2 {rows = \"T\"} : i32[T]\n"
     "return \"rows\" = %3\n",
     6,
     {0, 1, 2, 3, 4, 5}},
    {OP_sampled_rows, /* none is drawn */
     "%1 = constant {value = [7, -100, -100, 0, -100]} : i64[5]\n"
     "%2 = constant {value = [3, 4, 5, 6, 7]} : i64[5]\n"
     "%3 = constant {value = [1, 2]} : i64[2]\n"
     "%4 = sampled_rows %1, %2, %3 {rows = \"T\", share = 0} : i32[T]\n"
     "return \"rows\" = %4\n",
     2,
     {0, 3}},
    {OP_scatter_rows,
     "%1 = constant {value = [1, 2, 3, 4]} : f32[2,2]\n"
     "%2 = constant {value = [3, 1]} : i32[2]\n"
     "%3 = constant {value = [9]} : i64[4]\n"
     "%4 = scatter_rows %1, %2, %3 : f32[4,2]\n"
     "return \"y\" = %4\n",
     8,
     {0, 0, 3, 4, 0, 0, 1, 2}},
    {OP_scatter_rows,
     "%1 = constant {value = [7]} : i8[1]\n"
     "%2 = constant {value = [1]} : i64[1]\n"
     "%3 = constant {value = [0]} : f32[3]\n"
     "%4 = scatter_rows %1, %2, %3 : i8[3]\n"
     "return \"y\" = %4\n",
     3,
     {0, 7, 0}},

    {OP_add,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[2,3]\n"
     "%2 = constant {value = [10, 20, 30, 40, 50, 60]} : f32[2,3]\n"
     "%3 = add %1, %2 : f32[2,3]\n"
     "return \"y\" = %3\n",
     6,
     {11, 22, 33, 44, 55, 66}},
    {OP_add,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[2,3]\n"
     "%2 = constant {value = [10, 20, 30]} : f32[3]\n"
     "%3 = add %1, %2 : f32[2,3]\n"
     "return \"y\" = %3\n",
     6,
     {11, 22, 33, 14, 25, 36}},
    {OP_add,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6, 7, 8]} : f64[2,2,2]\n"
     "%2 = constant {value = [10, 20, 30, 40]} : f64[2,2]\n"
     "%3 = add %1, %2 : f64[2,2,2]\n"
     "return \"y\" = %3\n",
     8,
     {11, 22, 33, 44, 15, 26, 37, 48}},
    {OP_sub,
     "%1 = constant {value = [1, 2, 3]} : f32[3]\n"
     "%2 = constant {value = [0.5]} : f32[]\n"
     "%3 = sub %1, %2 : f32[3]\n"
     "return \"y\" = %3\n",
     3,
     {0.5, 1.5, 2.5}},
    {OP_mul,
     "%1 = constant {value = [1, -2, 3, inf]} : bf16[2,2]\n"
     "%2 = constant {value = [3, 0]} : bf16[2]\n"
     "%3 = mul %1, %2 : bf16[2,2]\n"
     "return \"y\" = %3\n",
     4,
     {3, 0, 9, NAN}},
    {OP_relu,
     "%1 = constant {value = [-1, 0, 2, -inf, inf, nan]} : f32[6]\n"
     "%2 = relu %1 : f32[6]\n"
     "return \"y\" = %2\n",
     6,
     {0, 0, 2, 0, INFINITY, NAN}},
    {OP_tanh,
     "%1 = constant {value = [-30, -0.5, 0, 1e-5, 1]} : f64[5]\n"
     "%2 = tanh %1 : f64[5]\n"
     "return \"y\" = %2\n",
     5,
     {-1, -0.46211715726000975850, 0, 9.9999999996666666667e-6, 0.76159415595576488812}},
    {OP_gelu, /* x/2 (1 + erf(x/sqrt 2)) */
     "%1 = constant {value = [-3, -1, 0, 0.5, 1, 4]} : f64[6]\n"
     "%2 = gelu %1 : f64[6]\n"
     "return \"y\" = %2\n",
     6,
     {-0.0040496940948902835800, -0.15865525393145705141, 0, 0.34573123063700655182, 0.84134474606854294859,
      3.9998733150326675203}},
    {OP_gelu, /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
     "%1 = constant {value = [-3, -1, 0, 0.5, 1, 4]} : f64[6]\n"
     "%2 = gelu %1 {form = \"tanh\"} : f64[6]\n"
     "return \"y\" = %2\n",
     6,
     {-0.0036373920817730188378, -0.15880800939172329522, 0, 0.34571400982514392204, 0.84119199060827670478,
      3.9999297540518076273}},

    {OP_embedding,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[3,2]\n"
     "%2 = constant {value = [2, 0]} : i64[2]\n"
     "%3 = embedding %1, %2 : f32[2,2]\n"
     "return \"y\" = %3\n",
     4,
     {5, 6, 1, 2}},
    {OP_linear,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[2,3]\n"
     "%2 = constant {value = [1, 0, 2, 0, 0, 3]} : f32[2,3]\n"
     "%3 = constant {value = [100, 200]} : f32[2]\n"
     "%4 = linear %1, %2, %3 : f32[2,2]\n"
     "%5 = linear %1, %2 : f32[2,2]\n"
     "return \"y\" = %4, \"z\" = %5\n",
     8,
     {107, 209, 116, 218, 7, 9, 16, 18}},
    {OP_linear,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[2,3]\n"
     "%2 = pattern {name = \"w\"} : pattern[2,3]\n"
     "%3 = state {name = \"w\"} : f32[nnz(%2)]\n"
     "%4 = constant {value = [100, 200]} : f32[2]\n"
     "%5 = linear %1, %3, %4, %2 : f32[2,2]\n"
     "%6 = linear %1, %3, _, %2 : f32[2,2]\n"
     "return \"y\" = %5, \"z\" = %6\n",
     8,
     {107, 209, 116, 218, 7, 9, 16, 18}},
    {OP_layer_norm, /* variance 1.25 */
     "%1 = constant {value = [1, 2, 3, 4]} : f64[1,4]\n"
     "%2 = constant {value = [1, 1, 2, 1]} : f64[4]\n"
     "%3 = constant {value = [0, 0, 0, 10]} : f64[4]\n"
     "%4:3 = layer_norm %1, %2, %3 {eps = 0} : f64[1,4], f64[1], f64[1]\n"
     "return \"y\" = %4, \"mean\" = %4#1, \"rstd\" = %4#2\n",
     6,
     {-1.3416407864998738178, -0.44721359549995793928, 0.89442719099991587856, 11.341640786499873818, 2.5, 0.89442719099991587856}},
    {OP_layer_norm, /* one feature: y is beta */
     "%1 = constant {value = [5, 7]} : f32[2,1]\n"
     "%2 = constant {value = [3]} : f32[1]\n"
     "%3 = constant {value = [0.25]} : f32[1]\n"
     "%4:3 = layer_norm %1, %2, %3 {eps = 0.25} : f32[2,1], f32[2], f32[2]\n"
     "return \"y\" = %4, \"mean\" = %4#1, \"rstd\" = %4#2\n",
     6,
     {0.25, 0.25, 5, 7, 2, 2}},

    {OP_linear_input_gradient,
     "%1 = constant {value = [1, 10, 100, 1000]} : f32[2,2]\n"
     "%2 = constant {value = [1, 0, 2, 0, 0, 3]} : f32[2,3]\n"
     "%3 = linear_input_gradient %1, %2 : f32[2,3]\n"
     "return \"y\" = %3\n",
     6,
     {1, 0, 32, 100, 0, 3200}},
    {OP_linear_input_gradient,
     "%1 = constant {value = [1, 10, 100, 1000]} : f32[2,2]\n"
     "%2 = pattern {name = \"u\"} : pattern[2,3]\n"
     "%3 = state {name = \"u\"} : f32[nnz(%2)]\n"
     "%4 = linear_input_gradient %1, %3, %2 : f32[2,3]\n"
     "return \"y\" = %4\n",
     6,
     {1, 40, 32, 100, 4000, 3200}},
    {OP_linear_weight_gradient,
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[2,3]\n"
     "%2 = constant {value = [1, 10, 100, 1000]} : f32[2,2]\n"
     "%3:2 = linear_weight_gradient %1, %2 : f32[2,3], f32[2]\n"
     "return \"dw\" = %3, \"db\" = %3#1\n",
     8,
     {401, 502, 603, 4010, 5020, 6030, 101, 1010}},
    {OP_linear_weight_gradient, /* at the positions [0,0], [0,2], [1,1], [1,2] */
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[2,3]\n"
     "%2 = constant {value = [1, 10, 100, 1000]} : f32[2,2]\n"
     "%3 = pattern {name = \"u\"} : pattern[2,3]\n"
     "%4:2 = linear_weight_gradient %1, %2, %3 : f32[nnz(%3)], f32[2]\n"
     "return \"dw\" = %4, \"db\" = %4#1\n",
     6,
     {401, 603, 5020, 6030, 101, 1010}},

    {OP_attention, /* scores 0 and ln 3: weights 1/4 and 3/4 for row 1; the second sequence has one row */
     "%1 = constant {value = [0, 1, 5]} : f64[3,1]\n"
     "%2 = constant {value = [0, 1.0986122886681097821, 2]} : f64[3,1]\n"
     "%3 = constant {value = [4, 8, -1]} : f64[3,1]\n"
     "%4 = constant {value = [0, 2, 3]} : i32[3]\n"
     "%5:2 = attention %1, %2, %3, %4 {heads = 1, scale = 1} : f64[3,1], f64[3,1]\n"
     "return \"y\" = %5, \"lse\" = %5#1\n",
     6,
     {6, 7, -1, 0.69314718055994530942, 1.3862943611198906188, 10}},
    {OP_attention, /* one query of its own for each sequence: the first sees scores 0 and ln 3, the second one key alone */
     "%1 = constant {value = [1, 0]} : f64[2,1]\n"
     "%2 = constant {value = [0, 1.0986122886681098, 5]} : f64[3,1]\n"
     "%3 = constant {value = [4, 8, 9]} : f64[3,1]\n"
     "%4 = constant {value = [0, 2, 3]} : i32[3]\n"
     "%5 = constant {value = [0, 1, 2]} : i32[3]\n"
     "%6:2 = attention %1, %2, %3, %4, _, %5 {heads = 1, scale = 1} : f64[2,1], f64[2,1]\n"
     "return \"context\" = %6, \"lse\" = %6#1\n",
     4,
     {7, 9, 1.3862943611198906, 0}},
    {OP_attention, /* key 1 is left out of the first sequence, all of the second; an empty one between them; two heads; scale 1/2 */
     "%1 = constant {value = [2, 4, 6, 8, 1, 1]} : f64[3,2]\n"
     "%2 = constant {value = [1, 1, 9, 9, 3, 3]} : f64[3,2]\n"
     "%3 = constant {value = [10, 20, 30, 40, 50, 60]} : f64[3,2]\n"
     "%4 = constant {value = [0, 2, 2, 3]} : i32[4]\n"
     "%5 = constant {value = [1, 0, 0]} : i64[3]\n"
     "%6:2 = attention %1, %2, %3, %4, %5 {heads = 2, scale = 0.5} : f64[3,2], f64[3,2]\n"
     "return \"y\" = %6, \"lse\" = %6#1\n",
     12,
     {10, 20, 10, 20, 0, 0, 1, 2, 3, 4, 0, 0}},

    /* ---- of training ---- */
    {OP_widen,
     "%1 = constant {value = [1, 2, 3, 4]} : f32[2,2]\n"
     "%2 = widen %1 {begin = 1, features = 4} : f32[2,4]\n"
     "return \"y\" = %2\n",
     8,
     {0, 1, 2, 0, 0, 3, 4, 0}},
    {OP_div,
     "%1 = constant {value = [1, 3]} : f32[2]\n"
     "%2 = constant {value = [2, 4]} : f32[2]\n"
     "%3 = div %1, %2 : f32[2]\n"
     "return \"y\" = %3\n",
     2,
     {0.5, 0.75}},
    {OP_sqrt, "%1 = constant {value = [4, 2.25]} : f32[2]\n %2 = sqrt %1 : f32[2]\n return \"y\" = %2\n", 2, {2, 1.5}},
    {OP_relu_gradient, /* at 0 the slope is 0 */
     "%1 = constant {value = [-1, 0, 2]} : f32[3]\n"
     "%2 = constant {value = [5, 6, 7]} : f32[3]\n"
     "%3 = relu_gradient %1, %2 : f32[3]\n"
     "return \"y\" = %3\n",
     3,
     {0, 0, 7}},
    {OP_tanh_gradient,
     "%1 = constant {value = [0, 0.5, -1]} : f32[3]\n"
     "%2 = constant {value = [2]} : f32[3]\n"
     "%3 = tanh_gradient %1, %2 : f32[3]\n"
     "return \"y\" = %3\n",
     3,
     {2, 1.5, 0}},
    {OP_gelu_gradient, /* Phi(1) + phi(1) */
     "%1 = constant {value = [0, 1]} : f64[2]\n"
     "%2 = constant {value = [4, 1]} : f64[2]\n"
     "%3 = gelu_gradient %1, %2 : f64[2]\n"
     "%4 = gelu_gradient %1, %2 {form = \"tanh\"} : f64[2]\n"
     "return \"erf\" = %3, \"tanh\" = %4\n",
     4,
     {2, 1.0833154705876862984, 2, 1.0829640838457826}},
    {OP_clip_factor,
     "%1 = constant {value = [0, 1, 3]} : f64[3]\n"
     "%2 = clip_factor %1 {max_norm = 1.5} : f64[3]\n"
     "return \"y\" = %2\n",
     3,
     {1, 1, 0.4999998333333889}},
    {OP_embedding_gradient, /* id 2 stands twice */
     "%1 = constant {value = [1, 2, 3, 4, 5, 6]} : f32[3,2]\n"
     "%2 = constant {value = [2, 0, 2]} : i64[3]\n"
     "%3 = embedding_gradient %1, %2 : f32[3,2]\n"
     "%4 = embedding_gradient %1, %2 {padding_id = 0} : f32[3,2]\n"
     "return \"y\" = %3, \"without padding\" = %4\n",
     12,
     {3, 4, 0, 0, 6, 8, 0, 0, 0, 0, 6, 8}},
    {OP_layer_norm_gradient, /* z is -2, 0, 2; dy gamma is 1, 2, 0, of mean 1, and -2/3 with z */
     "%1 = constant {value = [1, 2, 3]} : f64[1,3]\n"
     "%2 = constant {value = [1, 1, 0]} : f64[1,3]\n"
     "%3 = constant {value = [1, 2, 3]} : f64[3]\n"
     "%4 = constant {value = [2]} : f64[1]\n"
     "%5:3 = layer_norm_gradient %1, %2, %3, %4, %4 : f64[1,3], f64[3], f64[3]\n"
     "return \"dx\" = %5, \"dgamma\" = %5#1, \"dbeta\" = %5#2\n",
     9,
     {-8.0 / 3, 2, 2.0 / 3, -2, 0, 0, 1, 1, 0}},
    {OP_dense_to_sparse, /* of u at the places where w is not 0 */
     "%1 = pattern {name = \"w\"} : pattern[2,3]\n"
     "%2 = state {name = \"u\"} : f32[2,3]\n"
     "%3 = dense_to_sparse %2, %1 : f32[nnz(%1)]\n"
     "return \"y\" = %3\n",
     3,
     {1, 2, 3}},
    {OP_sparse_to_dense,
     "%1 = pattern {name = \"w\"} : pattern[2,3]\n"
     "%2 = state {name = \"w\"} : f32[nnz(%1)]\n"
     "%3 = sparse_to_dense %2, %1 : f32[2,3]\n"
     "return \"y\" = %3\n",
     6,
     {1, 0, 2, 0, 0, 3}},
    {OP_row_keys, /* examples 5 and 7; the one between them has no rows */
     "%1 = constant {value = [0, 2, 2, 3]} : i32[4]\n"
     "%2 = constant {value = [9]} : i64[3]\n"
     "%3 = constant {value = [5]} : i64[]\n"
     "%4 = row_keys %1, %2, %3 : i64[3]\n"
     "return \"y\" = %4\n",
     3,
     {5 * 0x1p32, 5 * 0x1p32 + 1, 7 * 0x1p32}},
    {OP_dropout, /* Philox of key and counter 0, from Random123's known answers: 6627e8d5 e169c58d bc57ac4c 9b00dbd8 */
     "%1 = constant {value = [1, 2, 3, 4]} : f32[1,4]\n"
     "%2 = constant {value = [0]} : i64[1]\n"
     "%3 = constant {value = [0]} : i64[2]\n"
     "%4 = dropout %1, %2, %3 {rate = 0.5, stream = 0} : f32[1,4]\n"
     "%5 = dropout %1, %2, %3 {rate = 0.75, stream = 0} : f32[1,4]\n"
     "%6 = dropout %1, %2, %3 {rate = 0, stream = 0} : f32[1,4]\n"
     "return \"half\" = %4, \"quarter\" = %5, \"all\" = %6\n",
     12,
     {0, 4, 6, 8, 0, 8, 0, 0, 1, 2, 3, 4}},
    {OP_attention, /* the same random words drop key 0 */
     "%1 = constant {value = [1]} : f64[1,1]\n"
     "%2 = constant {value = [0, 1.0986122886681098]} : f64[2,1]\n"
     "%3 = constant {value = [4, 8]} : f64[2,1]\n"
     "%4 = constant {value = [0, 2]} : i32[2]\n"
     "%5 = constant {value = [0, 1]} : i32[2]\n"
     "%6 = constant {value = [0]} : i64[1]\n"
     "%7 = constant {value = [0]} : i64[2]\n"
     "%8:2 = attention %1, %2, %3, %4, _, %5, %6, %7 {heads = 1, rate = 0.5, scale = 1} : f64[1,1], f64[1,1]\n"
     "return \"context\" = %8, \"lse\" = %8#1\n",
     2,
     {12, 1.3862943611198906}},
    {OP_attention_gradient, /* P = 1/4, 3/4; dP = 8, 16; D = 14 */
     "%1 = constant {value = [1]} : f64[1,1]\n"
     "%2 = constant {value = [0, 1.0986122886681098]} : f64[2,1]\n"
     "%3 = constant {value = [4, 8]} : f64[2,1]\n"
     "%4 = constant {value = [0, 2]} : i32[2]\n"
     "%5 = constant {value = [7]} : f64[1,1]\n"
     "%6 = constant {value = [1.3862943611198906]} : f64[1,1]\n"
     "%7 = constant {value = [2]} : f64[1,1]\n"
     "%8 = constant {value = [0, 1]} : i32[2]\n"
     "%9:3 = attention_gradient %1, %2, %3, %4, %5, %6, %7, _, %8 {heads = 1, scale = 1} : f64[1,1], f64[2,1], f64[2,1]\n"
     "return \"dq\" = %9, \"dk\" = %9#1, \"dv\" = %9#2\n",
     5,
     {1.6479184330021646, -1.5, 1.5, 0.5, 1.5}},
    {OP_sum_of_squares,
     "%1 = constant {value = [1, -2, 3]} : f32[3]\n %2 = sum_of_squares %1 : f32[]\n return \"y\" = %2\n",
     1,
     {14}},
#define MASKED /* places (0,0), (0,2), (1,2) */                                                                                    \
    "%1 = pattern {name = \"w\"} : pattern[2,3]\n%2 = state {name = \"w\"} : f32[nnz(%1)]\n"                                       \
    "%3 = state {name = \"u\"} : f32[2,3]\n%4 = constant {value = [0.5]} : f32[]\n"
#define UPDATED                                                                                                                    \
    "%1 = constant {value = [1]} : f64[1]\n"                                                                                       \
    "%2 = constant {value = [2]} : f64[1]\n"                                                                                       \
    "%3 = constant {value = [0]} : f64[1]\n"                                                                                       \
    "%4 = constant {value = [0.1]} : f64[]\n"                                                                                      \
    "%5 = constant {value = [0.5]} : f64[]\n"                                                                                      \
    "%6 = constant {value = [1]} : i64[]\n"
    {OP_adamw, /* p = 1, scaled gradient 1, moments 0, rate 0.1 */
     UPDATED "%7:3 = adamw %1, %2, %3, %3, %4, %5, %6 {weight_decay = 0.1} : f64[1], f64[1], f64[1]\n"
             "%8:3 = adamw %1, %2, %3, %3, %4, %5, %6 {form = \"hf\", weight_decay = 0.1} : f64[1], f64[1], f64[1]\n"
             "return \"p\" = %7, \"m\" = %7#1, \"v\" = %7#2, \"hf\" = %8\n",
     4,
     {0.890000001, 0.1, 0.001, 0.8910000313065389}},
    {OP_adamw, /* as with the dense gradient 1, 0, 2, 0, 0, 3 */
     MASKED "%5 = constant {value = [4]} : i64[]\n"
            "%6 = sparse_to_dense %2, %1 : f32[2,3]\n %7:3 = adamw %3, %2, %3, %3, %4, %4, %5, %1 {weight_decay = 0.1} : f32[2,3], "
            "f32[2,3], f32[2,3]\n"
            "%8:3 = adamw %3, %6, %3, %3, %4, %4, %5 {weight_decay = 0.1} : f32[2,3], f32[2,3], f32[2,3]\n"
            "%9 = sub %7, %8 : f32[2,3]\n %10 = sub %7#2, %8#2 : f32[2,3]\n"
            "return \"p\" = %9, \"v\" = %10, \"m\" = %7#1\n",
     18,
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.95, 0, 1.9, 0, 3.6, 2.85}},
    {OP_sgd, /* the same: d = g / 2 + 0.1 p with g = 1, 0, 2, 0, 0, 3 and p = 1, 0, 2, 0, 4, 3 */
     MASKED "%5:2 = sgd %3, %2, %3, %4, %4, %1 {momentum = 0.5, weight_decay = 0.1} : f32[2,3], f32[2,3]\n"
            "return \"u\" = %5#1\n",
     6,
     {1.1, 0, 2.2, 0, 2.4, 3.3}},
    {OP_sgd, /* u = 3 before, weight decay 0.1: d = 1.1, u = 2.6 */
     UPDATED "%7 = constant {value = [3]} : f64[1]\n"
             "%8:2 = sgd %1, %2, %7, %4, %5 {momentum = 0.5, weight_decay = 0.1} : f64[1], f64[1]\n"
             "%9:2 = sgd %1, %2, %7, %4, %5 {momentum = 0.5, nesterov = true, weight_decay = 0.1} : f64[1], f64[1]\n"
             "return \"p\" = %8, \"u\" = %8#1, \"nesterov\" = %9\n",
     3,
     {0.74, 2.6, 0.76}},
    {OP_descend, /* 1 - 0.1 * 0.5 * 2 */
     UPDATED "%7 = descend %1, %2, %4, %5 : f64[1]\nreturn \"x\" = %7\n",
     1,
     {0.9}},
    {OP_dense_to_sparse, /* scores change nothing */
     MASKED "%5 = dense_to_sparse %3, %1, %3 {gradient = \"straight\"} : f32[nnz(%1)]\n return \"y\" = %5\n",
     3,
     {1, 2, 3}},
#include "tests/unit/ir/distance_value_cases.def"
#include "tests/unit/ir/loss_value_cases.def"
#include "tests/unit/ir/quantize_value_cases.def"
};

#define N_CASES(table) (sizeof(table) / sizeof((table)[0]))

static void add_inputs(named_tensors *inputs, named_tensors *state) {
    const int64_t dims[2] = {2, 3};
    const double x[6] = {1, 2, 3, 4, 5, 6}, w[6] = {1, 0, 2, 0, 0, 3}, u[6] = {1, 0, 2, 0, 4, 3};
    static const double mask[] = {1, 1, 0, 0, 0, 1};
    *inputs = (named_tensors){.what = "input"}, *state = (named_tensors){.what = "state"};
    named_tensors_add_doubles(inputs, "x", IR_F32, 2, dims, x);
    named_tensors_add_doubles(inputs, "m", IR_I64, 2, dims, mask);
    named_tensors_add_doubles(state, "w", IR_F32, 2, dims, w);
    named_tensors_add_doubles(state, "u", IR_F32, 2, dims, u);
}

/* One unit in the last place of f32; in f64 as near as a few roundings leave it. */
static bool is_near(ir_dtype dtype, double found, double wanted) {
    if (found == wanted || (isnan(found) && isnan(wanted))) return true;
    return fabs(found - wanted) <= (dtype == IR_F32 ? 0x1p-23 : 4e-15) * fabs(wanted);
}

static void check_values(size_t row, const value_case *v, const interp_results *r) {
    size_t at = 0;
    for (size_t o = 0; o < r->n_outputs; o++) {
        const ir_tensor *t = &r->outputs[o].tensor;
        for (int64_t i = 0; i < tensor_elements(t); i++, at++) {
            if (at < v->n && is_near(t->dtype, tensor_get(t, i), v->wanted[at])) continue;
            fail_msg("case %zu (%s): element %zu is %.17g, wanted %.17g", row, op_info(v->op)->name, at, tensor_get(t, i),
                     at < v->n ? v->wanted[at] : NAN);
        }
    }
    if (at != v->n) fail_msg("case %zu (%s): %zu elements, wanted %zu", row, op_info(v->op)->name, at, v->n);
}

static void values_are_those_worked_out(void **unused) {
    (void)unused;
    named_tensors inputs, state;
    add_inputs(&inputs, &state);
    for (size_t i = 0; i < N_CASES(value_cases); i++) {
        text_case c;
        text_case_begin(&c, value_cases[i].nodes);
        if (text_case_run(&c, &inputs, &state) != POFAC_OK)
            fail_msg("case %zu (%s): %s", i, op_info(value_cases[i].op)->name, strbuf_str(&c.messages));
        check_values(i, &value_cases[i], &c.results);
        text_case_end(&c);
    }
    named_tensors_free(&inputs);
    named_tensors_free(&state);
}

static void every_op_has_a_case(void **unused) {
    (void)unused;
    for (int op = 0; op < IR_N_OPS; op++) {
        bool found = false;
        for (size_t i = 0; i < N_CASES(value_cases); i++) {
            text_case c;
            if (value_cases[i].op != (ir_op)op) continue;
            text_case_begin(&c, value_cases[i].nodes); /* and the case is about the op */
            for (size_t k = 0; c.graph && k < c.graph->nodes.size; k++) found = found || c.graph->nodes.data[k].op == (ir_op)op;
            text_case_end(&c);
        }
        if (!found) fail_msg("op %s has no row in value_cases", op_info((ir_op)op)->name);
    }
}

/* ---- what evaluators refuse ---- */

typedef struct error_case {
    const char *nodes, *message;
} error_case;

#define QKV                                                                                                                        \
    "%1 = constant {value = [1]} : f32[3,2]\n"                                                                                     \
    "%2 = constant {value = [1]} : f32[3,2]\n"                                                                                     \
    "%3 = constant {value = [1]} : f32[3,2]\n"

static const error_case error_cases[] = {
    {"%1 = constant {data = \"nowhere\"} : f32[2]\n return \"y\" = %1\n", "constant: there are no data named \"nowhere\""},
    {"%1 = constant {value = [1]} : f32[30522,1]\n"
     "%2 = constant {value = [0, 30521, 5, 31000]} : i64[4]\n"
     "%3 = embedding %1, %2 : f32[4,1]\n return \"y\" = %3\n",
     "embedding: row 3 has id 31000, wanted 0 to 30521"},
    {"%1 = constant {value = [1]} : f32[4,1]\n"
     "%2 = constant {value = [-1]} : i8[1]\n"
     "%3 = embedding %1, %2 : f32[1,1]\n return \"y\" = %3\n",
     "embedding: row 0 has id -1, wanted 0 to 3"},
    {"%1 = constant {value = [1]} : f32[4,1]\n"
     "%2 = constant {value = [0, 4]} : i32[2]\n"
     "%3 = gather_rows %1, %2 : f32[2,1]\n return \"y\" = %3\n",
     "gather_rows: index 1 is 4, wanted 0 to 3"},
    {"%1 = constant {value = [1]} : f32[4]\n"
     "%2 = constant {value = [-2]} : i32[1]\n"
     "%3 = gather_rows %1, %2 : f32[1]\n return \"y\" = %3\n",
     "gather_rows: index 0 is -2, wanted 0 to 3"},
    {"%1 = constant {value = [1, 3]} : i32[2]\n"
     "%2 = constant {value = [1]} : i64[3]\n"
     "%3 = row_positions %1, %2 : i32[3]\n return \"y\" = %3\n",
     "row_positions: offset 0 is 1, wanted 0"},
    {"%1 = constant {value = [0, 4]} : i32[2]\n"
     "%2 = constant {value = [1]} : i64[3]\n"
     "%3 = row_positions %1, %2 : i32[3]\n return \"y\" = %3\n",
     "row_positions: the last offset is 4, wanted 3, the number of rows"},
    {"%1 = constant {value = [0, 4, 2]} : i32[3]\n"
     "%2 = first_rows %1 : i32[2]\n return \"y\" = %2\n",
     "first_rows: offset 2 is 2, wanted at least 4"},
    {"%1 = constant {value = [1]} : f32[1,2]\n"
     "%2 = constant {value = [4]} : i32[1]\n"
     "%3 = constant {value = [0]} : i64[4]\n"
     "%4 = scatter_rows %1, %2, %3 : f32[4,2]\n return \"y\" = %4\n",
     "scatter_rows: index 0 is 4, wanted 0 to 3"},
    {QKV "%4 = constant {value = [0, 2]} : i32[2]\n"
         "%5:2 = attention %1, %2, %3, %4 {heads = 1, scale = 1} : f32[3,2], f32[3,1]\n return \"y\" = %5\n",
     "attention: the last offset is 2, wanted 3, the number of rows"},
    {"%1 = constant {value = [1]} : f32[2,3]\n"
     "%2 = constant {value = [0, 3]} : i64[2]\n"
     "%3 = cross_entropy %1, %2 : f32[]\n return \"y\" = %3\n",
     "cross_entropy: row 1 has label 3, wanted 0 to 2, or -100 to leave it out"},
    {"%1 = constant {value = [1]} : f32[1,3]\n"
     "%2 = constant {value = [-1]} : i64[1]\n"
     "%3 = cross_entropy %1, %2 : f32[]\n return \"y\" = %3\n",
     "cross_entropy: row 0 has label -1, wanted 0 to 2, or -100 to leave it out"},
    {"%1 = constant {value = [1]} : f32[1,3]\n"
     "%2 = constant {value = [1]} : f32[4,3]\n"
     "%3 = constant {value = [4]} : i64[1]\n"
     "%4:4 = linear_cross_entropy %1, %2, %3 : f32[], f32[1,3], f32[4,3], f32[4]\n return \"y\" = %4\n",
     "linear_cross_entropy: row 0 has label 4, wanted 0 to 3, or -100 to leave it out"},
    {"%1 = constant {value = [1]} : f32[2,3]\n"
     "%2 = constant {value = [1]} : f32[4,3]\n"
     "%3 = constant {value = [0, 3, 1, -1]} : i32[2,2]\n"
     "%4 = constant {value = [1]} : f32[2,2]\n"
     "%5:4 = linear_soft_cross_entropy %1, %2, %3, %4 : f32[], f32[2,3], f32[4,3], f32[4]\n return \"y\" = %5\n",
     "linear_soft_cross_entropy: row 1 has id -1, wanted 0 to 3"},
};

static void errors_say_what_was_found_and_wanted(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES(error_cases); i++) {
        text_case c;
        text_case_begin(&c, error_cases[i].nodes);
        assert_int_equal(text_case_run(&c, NULL, NULL), POFAC_ERR_INPUT);
        assert_string_equal(strbuf_str(&c.messages), error_cases[i].message);
        text_case_end(&c);
    }
}

/* Evaluators called by themselves, for what no small graph can bring about. */
static void refuses_more_rows_than_i32_counts(void **unused) {
    (void)unused;
    const int64_t dims[2] = {65536, 32768}, n = 65537;
    ir_tensor ids = tensor_view(IR_I64, 2, dims, NULL), out = tensor_view(IR_I32, 1, &n, NULL);
    const ir_tensor *input[1] = {&ids};
    ir_tensor *result[1] = {&out};
    ir_value operand = 1;
    ir_node node = {.op = OP_padded_offsets, .n_inputs = 1, .n_results = 1, .inputs = &operand};
    strbuf messages = STRBUF_INIT;
    diag_sink sink = message_sink(&messages);
    ir_eval e = {.node = &node, .input = input, .result = result, .sink = &sink};
    assert_int_equal(eval_padded_offsets(&e), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&messages), "padded_offsets: ids are [65536,32768], wanted at most 2147483647 rows in all");
    strbuf_free(&messages);
}

static void refuses_empty_offsets(void **unused) {
    (void)unused;
    named_tensors inputs = {.what = "input"};
    const int64_t one = 1, none = 0;
    named_tensors_add(&inputs, "n", IR_F32, 1, &one);
    named_tensors_add(&inputs, "offsets", IR_I32, 1, &none);
    text_case c;
    text_case_begin(&c, "%1 = input {name = \"n\"} : f32[N]\n"
                        "%2 = input {name = \"offsets\"} : i32[N-1]\n"
                        "%3 = constant {value = [1]} : i64[3]\n"
                        "%4 = row_positions %2, %3 : i32[3]\n"
                        "return \"y\" = %4\n");
    assert_int_equal(text_case_run(&c, &inputs, NULL), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.messages), "row_positions: offsets are empty, wanted B+1 numbers");
    text_case_end(&c);
    named_tensors_free(&inputs);
}

/* Data of a constant come from the module. */
static void constants_by_name(void **unused) {
    (void)unused;
    const int64_t n = 3;
    const double elements[3] = {1, 2, 3};
    for (int good = 0; good < 2; good++) {
        text_case c;
        ir_tensor t;
        text_case_begin(&c, good ? "%1 = constant {data = \"d\"} : f32[3]\n return \"y\" = %1\n"
                                 : "%1 = constant {data = \"d\"} : f32[4]\n return \"y\" = %1\n");
        assert_non_null(c.graph);
        assert_int_equal(tensor_alloc(IR_F32, 1, &n, &t), POFAC_OK);
        tensor_set_run(&t, 0, n, elements);
        assert_string_equal(module_add_constant(c.module, "d", &t), "d");
        pofac_status status = text_case_run(&c, NULL, NULL);
        assert_int_equal(status, good ? POFAC_OK : POFAC_ERR_INPUT);
        if (good) assert_tensors_close("y", interp_find(&c.results, "y"), &t, 0, 0);
        else
            assert_string_equal(strbuf_str(&c.messages),
                                "constant: the data named \"d\" differ in type or shape from the constant");
        tensor_free(&t);
        text_case_end(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_worked_out),
        cmocka_unit_test(every_op_has_a_case),
        cmocka_unit_test(errors_say_what_was_found_and_wanted),
        cmocka_unit_test(refuses_more_rows_than_i32_counts),
        cmocka_unit_test(refuses_empty_offsets),
        cmocka_unit_test(constants_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
