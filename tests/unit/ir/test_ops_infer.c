/*
 * Every op's shape rule: result types over symbols, and the exact message of everything it refuses. An op without rows in both
 * tables fails the suite.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "ir/op.h"
#include "ir/text.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text_case.h"

#define N_CASES(table) (sizeof(table) / sizeof((table)[0]))

/* The text parser compares the written result type with the inferred one, so a good case is one that is accepted. */
typedef struct good_case {
    ir_op op;
    const char *nodes;
} good_case;

#define X "%1 = input {name = \"x\"} : f32[T,8]\n"
#define X_TILES X "%2 = relayout %1 : f32[T,8] tiles<16>\n"
#define PADDED "%1 = input {name = \"x\"} : i64[B,S]\n"
#define OFFSETS "%2 = input {name = \"offsets\"} : i32[B+1]\n"
#define DY "%1 = input {name = \"dy\"} : f32[T,5]\n"
#define SPARSE                                                                                                                     \
    "%2 = pattern {name = \"w\"} : pattern[5,8]\n"                                                                                 \
    "%3 = state {name = \"w\"} : f32[nnz(%2)]\n"

#define SPARSE_FIRST                                                                                                               \
    "%1 = pattern {name = \"w\"} : pattern[5,8]\n"                                                                                 \
    "%2 = state {name = \"w\"} : f32[nnz(%1)]\n"
#define SCALAR "%1 = input {name = \"s\"} : f32[]\n"
#define SCALARS "%3 = input {name = \"s\"} : f32[]\n %4 = input {name = \"n\"} : i64[]\n"
#define NORM "%3 = state {name = \"g\"} : f32[8]\n %4 = input {name = \"m\"} : f32[T]\n"
#define RANDOM "%3 = input {name = \"keys\"} : i64[T]\n %4 = input {name = \"random\"} : i64[2]\n"
#define RANDOM_2 "%2 = input {name = \"keys\"} : i64[T]\n %3 = input {name = \"random\"} : i64[2]\n"

static const good_case good_cases[] = {
    {OP_input, "%1 = input {name = \"x\"} : bf16[B,S,4] \n"},
    {OP_input, "%1 = input {name = \"x\"} : f32[T,8] tiles<16>\n"},
    {OP_state, "%1 = state {name = \"x\"} : f64[4,8]\n"},
    {OP_pattern, "%1 = pattern {name = \"x\"} : pattern[4,8]\n"},
    {OP_constant, "%1 = constant {value = [1, 2]} : f32[2,1]\n"},
    {OP_constant, "%1 = constant {value = [1]} : i8[3,3]\n"},
    {OP_constant, "%1 = constant {data = \"d\"} : f32[1000,1000]\n"},

    {OP_reshape, PADDED "%2 = reshape %1 : i64[B*S]\n"},
    {OP_reshape, PADDED "%2 = reshape %1 : i64[S,B]\n"},
    {OP_reshape, X "%2 = reshape %1 : f32[8*T]\n %3 = reshape %2 : f32[4*T,2] tiles<8>\n"},
    {OP_slice, X "%2 = slice %1 {begin = 2, end = 5} : f32[T,3]\n"},
    {OP_slice, X_TILES "%3 = slice %2 {begin = 0, end = 8} : f32[T,8] tiles<16>\n"},
    {OP_slice, "%1 = input {name = \"x\"} : i8[4]\n %2 = slice %1 {begin = 3, end = 4} : i8[1]\n"},
    {OP_gather_rows, X_TILES "%3 = input {name = \"i\"} : i32[B]\n %4 = gather_rows %2, %3 : f32[B,8] tiles<16>\n"},
    {OP_gather_rows,
     "%1 = input {name = \"x\"} : bool[T]\n %2 = input {name = \"i\"} : u8[2*B]\n %3 = gather_rows %1, %2 : bool[2*B]\n"},
    {OP_cast, X_TILES "%3 = cast %2 : i8[T,8] tiles<16>\n"},
    {OP_relayout, X_TILES "%3 = relayout %2 : f32[T,8] tiles<4>\n %4 = relayout %3 : f32[T,8]\n"},

    {OP_padded_offsets, PADDED "%2 = padded_offsets %1 : i32[B+1]\n"},
    {OP_row_positions, "%1 = input {name = \"x\"} : i64[T]\n" OFFSETS "%3 = row_positions %2, %1 : i32[T]\n"},
    {OP_first_rows, X OFFSETS "%3 = first_rows %2 : i32[B]\n"},
    {OP_kept_rows, PADDED "%2:2 = kept_rows %1 {rows = \"T\"} : i32[T], i32[B+1]\n"},
    {OP_labelled_rows, "%1 = input {name = \"x\"} : i64[B]\n %2 = labelled_rows %1 {rows = \"T\"} : i32[T]\n"},
    {OP_sampled_rows,
     "%1 = input {name = \"x\"} : i32[T]\n" RANDOM_2 "%4 = sampled_rows %1, %2, %3 {rows = \"N\", share = 0.5} : i32[N]\n"},
    {OP_scatter_rows, X "%2 = input {name = \"i\"} : i32[T]\n %3 = input {name = \"l\"} : bool[B]\n"
                        "%4 = scatter_rows %1, %2, %3 : f32[B,8]\n"},

    {OP_add, X_TILES "%3 = add %2, %2 : f32[T,8] tiles<16>\n"},
    {OP_add, X_TILES "%3 = input {name = \"v\"} : f32[8]\n %4 = add %2, %3 : f32[T,8] tiles<16>\n"},
    {OP_sub, X_TILES "%3 = constant {value = [1]} : f32[]\n %4 = sub %2, %3 : f32[T,8] tiles<16>\n"},
    {OP_mul, "%1 = input {name = \"x\"} : f16[B,S,8]\n %2 = input {name = \"y\"} : f16[S,8]\n %3 = mul %1, %2 : f16[B,S,8]\n"},
    {OP_relu, X_TILES "%3 = relu %2 : f32[T,8] tiles<16>\n"},
    {OP_tanh, "%1 = input {name = \"x\"} : f64[]\n %2 = tanh %1 : f64[]\n"},
    {OP_gelu, X "%2 = gelu %1 {form = \"tanh\"} : f32[T,8]\n"},

    {OP_embedding, X "%2 = input {name = \"i\"} : i32[B*S]\n %3 = embedding %1, %2 : f32[B*S,8]\n"},
    {OP_linear, X_TILES "%3 = state {name = \"w\"} : f32[5,8]\n %4 = linear %2, %3 : f32[T,5] tiles<16>\n"},
    {OP_linear,
     X "%2 = state {name = \"w\"} : f32[5,8]\n %3 = state {name = \"b\"} : f32[5]\n %4 = linear %1, %2, %3 : f32[T,5]\n"},
    {OP_linear, X SPARSE "%4 = linear %1, %3, _, %2 : f32[T,5]\n"},
    {OP_layer_norm, X_TILES "%3 = state {name = \"g\"} : f32[8]\n"
                            "%4:3 = layer_norm %2, %3, %3 {eps = 0} : f32[T,8] tiles<16>, f32[T], f32[T]\n"},
    {OP_linear_input_gradient, "%1 = input {name = \"dy\"} : f32[T,5]\n %2 = relayout %1 : f32[T,5] tiles<16>\n"
                               "%3 = state {name = \"w\"} : f32[5,8]\n %4 = linear_input_gradient %2, %3 : f32[T,8] tiles<16>\n"},
    {OP_linear_input_gradient, DY SPARSE "%4 = linear_input_gradient %1, %3, %2 : f32[T,8]\n"
                                         "%5 = linear_input_gradient %1, %3, %2 {variant = \"v\"} : f32[T,8]\n"},
    {OP_linear_weight_gradient, X "%2 = input {name = \"dy\"} : f32[T,5]\n"
                                  "%3:2 = linear_weight_gradient %1, %2 : f32[5,8], f32[5]\n"},
    {OP_linear_weight_gradient,
     X SPARSE "%4 = input {name = \"dy\"} : f32[T,5]\n %5:2 = linear_weight_gradient %1, %4, %2 : f32[nnz(%2)], f32[5]\n"
              "%6 = relayout %1 : f32[T,8] tiles<8>\n %7 = relayout %4 : f32[T,5] tiles<8>\n"
              "%8:2 = linear_weight_gradient %6, %7, %2 : f32[nnz(%2)], f32[5]\n"},
    {OP_attention, X OFFSETS "%3:2 = attention %1, %1, %1, %2 {heads = 2, scale = 0.5} : f32[T,8], f32[T,2]\n"},
    {OP_attention, X OFFSETS "%3 = input {name = \"q\"} : f32[B,8]\n"
                             "%4:2 = attention %3, %1, %1, %2, _, %2 {heads = 2, scale = 1} : f32[B,8], f32[B,2]\n"},
    {OP_attention,
     X OFFSETS "%3 = relayout %1 : f32[T,8] tiles<16>\n"
               "%4 = input {name = \"keep\"} : bool[T]\n"
               "%5:2 = attention %3, %3, %3, %2, %4 {heads = 8, scale = 1} : f32[T,8] tiles<16>, f32[T,8] tiles<16>\n"},
    {OP_cross_entropy, X "%2 = input {name = \"l\"} : i64[T]\n"
                         "%3 = input {name = \"k\"} : bool[T,8]\n"
                         "%4 = cross_entropy %1, %2, %3 {labels = \"clamp\"} : f32[]\n"},
    {OP_kl_divergence, X "%2 = input {name = \"k\"} : i64[T]\n %3 = input {name = \"s\"} : f32[]\n"
                         "%4 = kl_divergence %1, %1, %2, %3 {temperature = 2} : f32[]\n"
                         "%5 = input {name = \"c\"} : bool[T,8]\n %6 = kl_divergence %1, %1, %5 : f32[]\n"
                         "%7 = kl_divergence %1, %1, _, %3 : f32[]\n"},
    {OP_kl_divergence_gradient, X "%2 = input {name = \"s\"} : f32[]\n %3 = input {name = \"k\"} : i32[T]\n"
                                  "%4 = kl_divergence_gradient %1, %1, %2, %3, %2 {temperature = 0.5} : f32[T,8]\n"},
    {OP_mean_squared_error, X "%2 = mean_squared_error %1, %1 : f32[]\n"},

    {OP_widen, X "%2 = widen %1 {begin = 2, features = 10} : f32[T,10]\n"},
    {OP_div, X "%2 = div %1, %1 : f32[T,8]\n"},
    {OP_sqrt, X_TILES "%3 = sqrt %2 : f32[T,8] tiles<16>\n"},
    {OP_relu_gradient, X "%2 = relu_gradient %1, %1 : f32[T,8]\n"},
    {OP_tanh_gradient, X "%2 = tanh_gradient %1, %1 : f32[T,8]\n"},
    {OP_gelu_gradient, X_TILES "%3 = gelu_gradient %2, %2 {form = \"tanh\"} : f32[T,8] tiles<16>\n"},
    {OP_clip_factor, SCALAR "%2 = clip_factor %1 {max_norm = 1} : f32[]\n"},
    {OP_embedding_gradient,
     X "%2 = input {name = \"ids\"} : i64[T]\n %3 = embedding_gradient %1, %2 {padding_id = 0} : f32[99,8]\n"},
    {OP_layer_norm_gradient, X_TILES NORM "%5:3 = layer_norm_gradient %2, %2, %3, %4, %4 : f32[T,8] tiles<16>, f32[8], f32[8]\n"},
    {OP_dense_to_sparse, SPARSE_FIRST "%3 = state {name = \"v\"} : f32[5,8]\n %4 = dense_to_sparse %3, %1 : f32[nnz(%1)]\n"},
    {OP_dense_to_sparse, SPARSE_FIRST "%3 = state {name = \"v\"} : f32[5,8]\n"
                                      "%4 = dense_to_sparse %3, %1, %3 {gradient = \"straight\"} : f32[nnz(%1)]\n"},
    {OP_sparse_to_dense, SPARSE_FIRST "%3 = sparse_to_dense %2, %1 : f32[5,8]\n"},
    {OP_row_keys,
     "%1 = input {name = \"x\"} : i64[T]\n" OFFSETS "%3 = constant {value = [0]} : i64[]\n %4 = row_keys %2, %1, %3 : i64[T]\n"},
    {OP_dropout, X_TILES RANDOM "%5 = dropout %2, %3, %4 {rate = 0.5, stream = 7} : f32[T,8] tiles<16>\n"},
    {OP_attention, X_TILES RANDOM "%5 = input {name = \"o\"} : i32[B+1]\n"
                                  "%6:2 = attention %2, %2, %2, %5, _, _, %3, %4 {heads = 2, rate = 0.1, scale = 1, stream = 3} : "
                                  "f32[T,8] tiles<16>, f32[T,2] tiles<16>\n"},
    {OP_attention_gradient,
     X RANDOM_2 "%4 = input {name = \"o\"} : i32[B+1]\n %5 = input {name = \"l\"} : f32[T,2]\n"
                "%6:3 = attention_gradient %1, %1, %1, %4, %1, %5, %1, _, _, %2, %3 {heads = 2, rate = 0.1, scale = 1} : "
                "f32[T,8], f32[T,8], f32[T,8]\n"},
    {OP_linear_cross_entropy,
     X_TILES "%3 = input {name = \"l\"} : i16[T]\n %4 = state {name = \"w\"} : f32[30,8]\n %5 = state {name = \"b\"} : f32[30]\n"
             "%6 = input {name = \"s\"} : f32[]\n %7:4 = linear_cross_entropy %2, %4, %3, %5, %6 {reduction = \"sum\"} : "
             "f32[], f32[T,8] tiles<16>, f32[30,8], f32[30]\n"},
    {OP_linear_cross_entropy, X "%2 = input {name = \"l\"} : i64[T]\n %3 = state {name = \"w\"} : f32[B,8]\n"
                                "%4:4 = linear_cross_entropy %1, %3, %2 : f32[], f32[T,8], f32[B,8], f32[B]\n"},
    {OP_linear_kl_divergence,
     X_TILES "%3 = state {name = \"w\"} : f32[30,8]\n %4 = slice %2 {begin = 0, end = 5} : f32[T,5] tiles<16>\n"
             "%5 = state {name = \"v\"} : f32[30,5]\n %6 = state {name = \"b\"} : f32[30]\n %7 = input {name = \"k\"} : bool[T]\n"
             "%8 = input {name = \"s\"} : f32[]\n %9:4 = linear_kl_divergence %2, %3, %4, %5, %6, %6, %7, %8 {temperature = 2} : "
             "f32[], f32[T,8] tiles<16>, f32[30,8], f32[30]\n"},
    {OP_linear_kl_divergence, X "%2 = state {name = \"w\"} : f32[B,8]\n"
                                "%3:4 = linear_kl_divergence %1, %2, %1, %2 : f32[], f32[T,8], f32[B,8], f32[B]\n"},
    {OP_linear_soft_cross_entropy,
     X_TILES "%3 = state {name = \"w\"} : f32[30,8]\n %4 = input {name = \"i\"} : i32[T,3]\n %5 = input {name = \"l\"} : f32[T,3]\n"
             "%6 = input {name = \"k\"} : i64[T]\n %7 = input {name = \"s\"} : f32[]\n"
             "%8:4 = linear_soft_cross_entropy %2, %3, %4, %5, _, %6, %7 : f32[], f32[T,8] tiles<16>, f32[30,8], f32[30]\n"},
    {OP_cross_entropy_gradient,
     X "%2 = input {name = \"l\"} : i64[T]\n %3 = input {name = \"s\"} : f32[]\n %4 = input {name = \"k\"} : bool[T,8]\n"
       "%5 = cross_entropy_gradient %1, %2, %3, %4 {reduction = \"sum\"} : f32[T,8]\n"},
    {OP_mean_squared_error_gradient,
     X "%2 = input {name = \"s\"} : f32[]\n %3 = mean_squared_error_gradient %1, %1, %2 : f32[T,8]\n"},
#define DISTANCE                                                                                                                   \
    X OFFSETS "%3 = input {name = \"l\"} : f32[T,2]\n %4 = input {name = \"k\"} : bool[T]\n %5 = input {name = \"s\"} : f32[]\n"
    {OP_observe_range, X_TILES "%3 = input {name = \"r\"} : f32[2]\n %4 = input {name = \"n\"} : i64[]\n"
                               "%5 = observe_range %2, %3, %4 {begin = 5} : f32[2]\n"},
    {OP_fake_quantize,
     X_TILES "%3 = input {name = \"r\"} : f32[2]\n %4 = fake_quantize %2, %3 {scheme = \"symmetric\"} : f32[T,8] tiles<16>\n"},
    {OP_fake_quantize_gradient, X "%2 = input {name = \"r\"} : f32[2]\n %3 = fake_quantize_gradient %1, %1, %2 : f32[T,8]\n"},
    {OP_fake_quantize, X_TILES "%3 = row_range %1 : f32[T,2]\n %4 = row_range %2 : f32[T,2] tiles<16>\n"
                               "%5 = fake_quantize %2, %3 : f32[T,8] tiles<16>\n %6 = fake_quantize %2, %4 : f32[T,8] tiles<16>\n"
                               "%7 = observe_range %1, %3 : f32[T,2]\n"},
#define CHANNELS                                                                                                                   \
    "%1 = pattern {name = \"w\"} : pattern[4,8]\n %2 = state {name = \"w\"} : f32[nnz(%1)]\n %3 = state {name = \"r\"} : "         \
    "f32[4,2]\n"
    {OP_observe_range, CHANNELS "%4 = input {name = \"n\"} : i64[]\n %5 = observe_range %2, %3, %4, %1 : f32[4,2]\n"},
    {OP_fake_quantize, CHANNELS "%4 = fake_quantize %2, %3, _, %1 {scheme = \"symmetric\"} : f32[nnz(%1)]\n"},
    {OP_fake_quantize_gradient, CHANNELS "%4 = fake_quantize_gradient %2, %2, %3, _, %1 : f32[nnz(%1)]\n"},
#define QUANTIZED                                                                                                                  \
    X_TILES "%3 = input {name = \"r\"} : f32[2]\n %4 = quantize %2, %3 : u8[T,8] quads<16>\n"                                      \
            "%5 = state {name = \"w\"} : f32[5,8]\n %6 = state {name = \"b\"} : f32[5]\n"
    {OP_row_range, X_TILES "%3 = row_range %1 : f32[T,2]\n %4 = row_range %2 : f32[T,2] tiles<16>\n"},
    {OP_quantize, X_TILES "%3 = row_range %1 : f32[T,2]\n %4 = row_range %2 : f32[T,2] tiles<16>\n %5 = quantize %1, %3 : u8[T,8]\n"
                          "%6 = quantize %2, %3 : u8[T,8] tiles<16>\n %7 = quantize %2, %4 : u8[T,8] quads<16>\n"
                          "%8 = quantize %1, %3 : u8[T,8] quads<32>\n %9 = quantize %2, %4 : u8[T,8]\n"},
    {OP_linear_int8, QUANTIZED "%7 = linear_int8 %4, %3, %5, %3, %6, %3 : f32[T,5] tiles<16>\n"
                               "%8 = linear_int8 %4, %3, %5, %3 {variant = \"v\"} : f32[T,5] tiles<16>\n"
                               "%9 = state {name = \"v\"} : f32[5,2]\n %10 = row_range %2 : f32[T,2] tiles<16>\n"
                               "%11 = linear_int8 %4, %10, %5, %9, %6 : f32[T,5] tiles<16>\n"
                               "%12 = quantize %1, %3 : u8[T,8]\n %13 = linear_int8 %12, %3, %5, %9, %6, %3 : f32[T,5]\n"},
    {OP_linear_int8, X SPARSE "%4 = input {name = \"r\"} : f32[2]\n %5 = quantize %1, %4 : u8[T,8] tiles<32>\n"
                              "%6 = linear_int8 %5, %4, %3, %4, _, _, %2 : f32[T,5] tiles<32>\n"},
    {OP_squared_distance, X "%2:2 = squared_distance %1, %1 : f32[], f32[T,8]\n"},
    {OP_squared_distance, X_TILES "%3 = input {name = \"k\"} : i64[T]\n %4 = input {name = \"s\"} : f32[]\n"
                                  "%5:2 = squared_distance %2, %2, %3, %4 : f32[], f32[T,8] tiles<16>\n"},
    {OP_cosine_distance, X "%2 = input {name = \"s\"} : f32[]\n"
                           "%3:2 = cosine_distance %1, %1, _, %2 : f32[], f32[T,8]\n"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %3, %1, %3, %4, %5 {heads = 2, queries = \"all\", scale = 1} : f32[], "
              "f32[T,8], f32[T,8]\n"},
    {OP_sum_of_squares, X "%2 = sum_of_squares %1 : f32[]\n"},
    {OP_adamw, SPARSE_FIRST SCALARS "%5:3 = adamw %2, %2, %2, %2, %3, %3, %4 : f32[nnz(%1)], f32[nnz(%1)], f32[nnz(%1)]\n"},
    {OP_sgd, X "%2 = input {name = \"s\"} : f32[]\n %3:2 = sgd %1, %1, %1, %2, %2 {nesterov = true} : f32[T,8], f32[T,8]\n"},
    {OP_descend, X "%2 = input {name = \"s\"} : f32[]\n %3 = descend %1, %1, %2, %2 : f32[T,8]\n"},
    {OP_adamw, SPARSE_FIRST SCALARS "%5 = state {name = \"u\"} : f32[5,8]\n"
                                    "%6:3 = adamw %5, %2, %5, %5, %3, %3, %4, %1 : f32[5,8], f32[5,8], f32[5,8]\n"},
    {OP_sgd,
     SPARSE_FIRST SCALARS "%5 = state {name = \"u\"} : f32[5,8]\n %6:2 = sgd %5, %2, %5, %3, %3, %1 : f32[5,8], f32[5,8]\n"},
};

static void begin_case(text_case *c, const char *nodes) {
    char text[1024];
    snprintf(text, sizeof text, "%sreturn\n", nodes);
    text_case_begin(c, text);
}

static void result_types(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES(good_cases); i++) {
        text_case c;
        begin_case(&c, good_cases[i].nodes);
        if (!c.graph) fail_msg("case %zu (%s): %s", i, op_info(good_cases[i].op)->name, strbuf_str(&c.messages));
        text_case_end(&c);
    }
}

typedef struct bad_case {
    ir_op op;
    const char *nodes, *message;
} bad_case;

static const bad_case bad_cases[] = {
    {OP_input, "%1 = input {name = \"x\"} : pattern[4,8]\n", "input: the declared type is pattern[4,8], wanted a tensor"},
    {OP_input, "%1 = input {name = \"\"} : f32[4,8]\n", "input: name is empty, wanted a name"},
    {OP_state, "%1 = state {name = \"\"} : f32[4,8]\n", "state: name is empty, wanted a name"},
    {OP_pattern, "%1 = pattern {name = \"\"} : pattern[4,8]\n", "pattern: name is empty, wanted a name"},
    {OP_pattern, "%1 = pattern {name = \"x\"} : f32[4,8]\n",
     "pattern: the declared type is f32[4,8], wanted pattern[N,K] of numbers"},
    {OP_pattern, "%1 = pattern {name = \"x\"} : pattern[4,T]\n",
     "pattern: the declared type is pattern[4,T], wanted pattern[N,K] of numbers"},
    {OP_constant, "%1 = constant {value = [1]} : pattern[4,8]\n", "constant: the declared type is pattern[4,8], wanted a tensor"},
    {OP_constant, "%1 = constant {value = [1]} : f32[T]\n",
     "constant: the declared type is f32[T], wanted a known number of elements, at most 2147483648"},
    {OP_constant, "%1 = constant {value = [1]} : i8[65536,65536]\n",
     "constant: the declared type is i8[65536,65536], wanted a known number of elements, at most 2147483648"},
    {OP_constant, "%1 = constant {value = [1, 2]} : f32[3]\n", "constant: value has 2 elements, wanted 1 or 3 for f32[3]"},
    {OP_constant, "%1 = constant : f32[3]\n", "constant: value has 0 elements, wanted 1 or 3 for f32[3]"},
    {OP_constant, "%1 = constant {value = [1]} : f32[0]\n", "constant: value has 1 elements, wanted 1 or 0 for f32[0]"},
    {OP_constant, "%1 = constant {data = \"d\", value = [1]} : f32[]\n",
     "constant: value and data are both given, wanted one of them"},

    {OP_reshape, PADDED "%2 = reshape %1 : i64[B,T]\n",
     "reshape: x is i64[B,S] and the declared type i64[B,T], wanted the same element type and number of elements"},
    {OP_reshape, X "%2 = reshape %1 : f16[T,8]\n",
     "reshape: x is f32[T,8] and the declared type f16[T,8], wanted the same element type and number of elements"},
    {OP_reshape, X SPARSE "%4 = reshape %2 : f32[40]\n", "reshape: x is pattern[5,8], wanted a tensor"},
    {OP_slice, X "%2 = slice %1 {begin = 2, end = 9} : f32[T,7]\n", "slice: begin is 2 and end is 9, wanted 0 <= begin < end <= 8"},
    {OP_slice, X "%2 = slice %1 {begin = 3, end = 3} : f32[T,0]\n", "slice: begin is 3 and end is 3, wanted 0 <= begin < end <= 8"},
    {OP_slice, X "%2 = slice %1 {begin = -1, end = 3} : f32[T,4]\n",
     "slice: begin is -1 and end is 3, wanted 0 <= begin < end <= 8"},
    {OP_slice, PADDED "%2 = slice %1 {begin = 0, end = 1} : i64[B,1]\n",
     "slice: x is i64[B,S], wanted a tensor whose last dimension is a number"},
    {OP_slice, "%1 = input {name = \"x\"} : f32[]\n %2 = slice %1 {begin = 0, end = 1} : f32[1]\n",
     "slice: x is f32[], wanted a tensor whose last dimension is a number"},
    {OP_gather_rows, "%1 = input {name = \"x\"} : f32[B,S,8]\n" OFFSETS "%3 = gather_rows %1, %2 : f32[B+1,8]\n",
     "gather_rows: x is f32[B,S,8], wanted [R,E] or [R]"},
    {OP_gather_rows, X "%2 = gather_rows %1, %1 : f32[T,8]\n", "gather_rows: index is f32[T,8], wanted [M]"},
    {OP_gather_rows, X "%2 = input {name = \"i\"} : f32[B]\n %3 = gather_rows %1, %2 : f32[B,8]\n",
     "gather_rows: index is f32[B], wanted integers"},
    {OP_gather_rows, X "%2 = input {name = \"i\"} : bool[B]\n %3 = gather_rows %1, %2 : f32[B,8]\n",
     "gather_rows: index is bool[B], wanted integers"},
    {OP_gather_rows, X SPARSE "%4 = gather_rows %2, %1 : f32[T]\n", "gather_rows: x is pattern[5,8], wanted a tensor"},
    {OP_cast, X "%2 = cast %1 : f16[T,4]\n", "cast: the declared type is f16[T,4], wanted f16[T,8]"},
    {OP_cast, X "%2 = cast %1 : f16[T,8] tiles<4>\n", "cast: the declared type is f16[T,8] tiles<4>, wanted f16[T,8]"},
    {OP_cast, X SPARSE "%4 = cast %2 : f32[5,8]\n", "cast: x is pattern[5,8], wanted a tensor"},
    {OP_relayout, X "%2 = relayout %1 : f16[T,8] tiles<4>\n",
     "relayout: x is f32[T,8] and the declared type f16[T,8] tiles<4>, wanted the same in another layout"},
    {OP_relayout, X SPARSE "%4 = relayout %2 : f32[5,8]\n", "relayout: x is pattern[5,8], wanted a tensor"},

    {OP_padded_offsets, "%1 = input {name = \"x\"} : i64[T]\n %2 = padded_offsets %1 : i32[T+1]\n",
     "padded_offsets: ids is i64[T], wanted [B,S]"},
    {OP_row_positions, X "%2 = row_positions %1, %1 : i32[T]\n", "row_positions: offsets is f32[T,8], wanted i32[B+1]"},
    {OP_row_positions, X OFFSETS "%3 = row_positions %2, %1 : i32[T]\n", "row_positions: ids is f32[T,8], wanted [R]"},
    {OP_kept_rows, "%1 = input {name = \"x\"} : i64[B]\n %2:2 = kept_rows %1 {rows = \"T\"} : i32[T], i32[B+1]\n",
     "kept_rows: mask is i64[B], wanted [B,S]"},
    {OP_kept_rows, "%1 = input {name = \"x\"} : f32[B,S]\n %2:2 = kept_rows %1 {rows = \"T\"} : i32[T], i32[B+1]\n",
     "kept_rows: mask is f32[B,S], wanted integers or bool"},
    {OP_scatter_rows, "%1 = input {name = \"x\"} : f32[B,S,2]\n %2 = scatter_rows %1, %1, %1 : f32[B,2]\n",
     "scatter_rows: x is f32[B,S,2], wanted [T,E] or [T]"},
    {OP_scatter_rows, X "%2 = input {name = \"i\"} : i32[B]\n %3 = scatter_rows %1, %2, %2 : f32[B,8]\n",
     "scatter_rows: index is i32[B], wanted i32[T]"},
    {OP_scatter_rows,
     X "%2 = input {name = \"i\"} : i32[T]\n %3 = input {name = \"l\"} : f32[]\n %4 = scatter_rows %1, %2, %3 : f32[B,8]\n",
     "scatter_rows: like is f32[], wanted [R] or [R,E]"},
    {OP_first_rows, "%1 = input {name = \"x\"} : i64[B+1]\n %2 = first_rows %1 : i32[B]\n",
     "first_rows: offsets is i64[B+1], wanted i32[B+1]"},
    {OP_first_rows, "%1 = input {name = \"x\"} : i32[0]\n %2 = first_rows %1 : i32[0]\n",
     "first_rows: offsets is i32[0], wanted i32[B+1]"},

    {OP_add, PADDED "%2 = add %1, %1 : i64[B,S]\n", "add: x is i64[B,S], wanted floats"},
    {OP_add, X "%2 = input {name = \"y\"} : i64[T,8]\n %3 = add %1, %2 : f32[T,8]\n", "add: y is i64[T,8], wanted floats"},
    {OP_add, X "%2 = input {name = \"y\"} : f32[B,8]\n %3 = add %1, %2 : f32[T,8]\n", "add: y is f32[B,8], wanted f32[T,8]"},
    {OP_add, X_TILES "%3 = add %1, %2 : f32[T,8]\n", "add: y is f32[T,8] tiles<16>, wanted f32[T,8]"},
    {OP_sub, X "%2 = input {name = \"y\"} : f32[7]\n %3 = sub %1, %2 : f32[T,8]\n", "sub: y is f32[7], wanted f32[8]"},
    {OP_sub, X "%2 = input {name = \"y\"} : f32[1,T,8]\n %3 = sub %1, %2 : f32[T,8]\n", "sub: y is f32[1,T,8], wanted f32[T,8]"},
    {OP_mul, X "%2 = input {name = \"y\"} : f16[8]\n %3 = mul %1, %2 : f32[T,8]\n", "mul: y is f16[8], wanted f32[8]"},
    {OP_mul, X "%2 = constant {value = [1]} : f64[]\n %3 = mul %1, %2 : f32[T,8]\n", "mul: y is f64[], wanted f32[]"},
    {OP_relu, PADDED "%2 = relu %1 : i64[B,S]\n", "relu: x is i64[B,S], wanted floats"},
    {OP_tanh, X SPARSE "%4 = tanh %2 : f32[5,8]\n", "tanh: x is pattern[5,8], wanted a tensor"},
    {OP_gelu, PADDED "%2 = gelu %1 : i64[B,S]\n", "gelu: x is i64[B,S], wanted floats"},

    {OP_embedding, "%1 = input {name = \"x\"} : f32[T]\n %2 = embedding %1, %1 : f32[T,8]\n",
     "embedding: table is f32[T], wanted [V,E]"},
    {OP_embedding, PADDED "%2 = embedding %1, %1 : f32[T,8]\n", "embedding: table is i64[B,S], wanted floats"},
    {OP_embedding, X "%2 = embedding %1, %1 : f32[T,8]\n", "embedding: ids is f32[T,8], wanted [R]"},
    {OP_embedding, X "%2 = input {name = \"i\"} : f32[T]\n %3 = embedding %1, %2 : f32[T,8]\n",
     "embedding: ids is f32[T], wanted integers"},
    {OP_linear, "%1 = input {name = \"x\"} : f32[B,S,8]\n %2 = linear %1, %1 : f32[T,5]\n",
     "linear: x is f32[B,S,8], wanted [R,K]"},
    {OP_linear, PADDED "%2 = linear %1, %1 : f32[T,5]\n", "linear: x is i64[B,S], wanted floats"},
    {OP_linear, X "%2 = state {name = \"w\"} : f32[8]\n %3 = linear %1, %2 : f32[T,5]\n",
     "linear: weight is f32[8], wanted [N,K], or the non-zeros of a pattern"},
    {OP_linear, X "%2 = state {name = \"w\"} : f32[5,7]\n %3 = linear %1, %2 : f32[T,5]\n",
     "linear: weight is f32[5,7], wanted f32[5,8]"},
    {OP_linear, X "%2 = state {name = \"w\"} : f16[5,8]\n %3 = linear %1, %2 : f32[T,5]\n",
     "linear: weight is f16[5,8], wanted f32[5,8]"},
    {OP_linear, X "%2 = state {name = \"w\"} : f32[5,8]\n %3 = state {name = \"b\"} : f32[8]\n %4 = linear %1, %2, %3 : f32[T,5]\n",
     "linear: bias is f32[8], wanted f32[5]"},
    {OP_linear, X SPARSE "%4 = linear %1, %3 : f32[T,5]\n",
     "linear: weight is f32[nnz(%2)], wanted [N,K], or the non-zeros of a pattern"},
    {OP_linear, X SPARSE "%4 = state {name = \"v\"} : f32[5,8]\n %5 = linear %1, %4, _, %2 : f32[T,5]\n",
     "linear: weight is f32[5,8], wanted f32[nnz(%2)]"},
    {OP_linear, X SPARSE "%4 = pattern {name = \"v\"} : pattern[5,8]\n %5 = linear %1, %3, _, %4 : f32[T,5]\n",
     "linear: weight is f32[nnz(%2)], wanted f32[nnz(%4)]"},
    {OP_linear, X SPARSE "%4 = pattern {name = \"v\"} : pattern[5,7]\n %5 = linear %1, %3, _, %4 : f32[T,5]\n",
     "linear: pattern is pattern[5,7], wanted pattern[N,8]"},
    {OP_linear, X SPARSE "%4 = linear %1, %3, _, %1 : f32[T,5]\n", "linear: pattern is f32[T,8], wanted pattern[N,8]"},
    {OP_linear_input_gradient, PADDED "%2 = linear_input_gradient %1, %1 : f32[B,S]\n",
     "linear_input_gradient: dy is i64[B,S], wanted floats"},
    {OP_linear_input_gradient, "%1 = input {name = \"dy\"} : f32[T]\n %2 = linear_input_gradient %1, %1 : f32[T]\n",
     "linear_input_gradient: dy is f32[T], wanted [R,N]"},
    {OP_linear_input_gradient, DY "%2 = state {name = \"w\"} : f32[5]\n %3 = linear_input_gradient %1, %2 : f32[T,8]\n",
     "linear_input_gradient: weight is f32[5], wanted [N,K], or the non-zeros of a pattern"},
    {OP_linear_input_gradient, DY "%2 = state {name = \"w\"} : f32[4,8]\n %3 = linear_input_gradient %1, %2 : f32[T,8]\n",
     "linear_input_gradient: weight is f32[4,8], wanted f32[5,8]"},
    {OP_linear_input_gradient, DY SPARSE "%4 = linear_input_gradient %1, %3, %1 : f32[T,8]\n",
     "linear_input_gradient: pattern is f32[T,5], wanted pattern[5,K]"},
    {OP_linear_input_gradient, X SPARSE "%4 = linear_input_gradient %1, %3, %2 : f32[T,8]\n",
     "linear_input_gradient: pattern is pattern[5,8], wanted pattern[8,K]"},
    {OP_linear_input_gradient,
     DY SPARSE "%4 = state {name = \"v\"} : f32[5,8]\n %5 = linear_input_gradient %1, %4, %2 : f32[T,8]\n",
     "linear_input_gradient: weight is f32[5,8], wanted f32[nnz(%2)]"},
    {OP_linear_weight_gradient, PADDED "%2:2 = linear_weight_gradient %1, %1 : f32[S,S], f32[S]\n",
     "linear_weight_gradient: x is i64[B,S], wanted floats"},
    {OP_linear_weight_gradient, "%1 = input {name = \"x\"} : f32[T]\n %2:2 = linear_weight_gradient %1, %1 : f32[8,8], f32[8]\n",
     "linear_weight_gradient: x is f32[T], wanted [R,K]"},
    {OP_linear_weight_gradient, X "%2 = input {name = \"dy\"} : f32[T]\n %3:2 = linear_weight_gradient %1, %2 : f32[8,8], f32[8]\n",
     "linear_weight_gradient: dy is f32[T], wanted [R,N]"},
    {OP_linear_weight_gradient,
     X "%2 = input {name = \"dy\"} : f32[B,5]\n %3:2 = linear_weight_gradient %1, %2 : f32[5,8], f32[5]\n",
     "linear_weight_gradient: dy is f32[B,5], wanted f32[T,5]"},
    {OP_linear_weight_gradient,
     X_TILES "%3 = input {name = \"dy\"} : f32[T,5]\n %4:2 = linear_weight_gradient %2, %3 : f32[5,8], f32[5]\n",
     "linear_weight_gradient: dy is f32[T,5], wanted f32[T,5] tiles<16>"},
    {OP_linear_weight_gradient,
     X SPARSE "%4 = input {name = \"dy\"} : f32[T,6]\n %5:2 = linear_weight_gradient %1, %4, %2 : f32[nnz(%2)], f32[6]\n",
     "linear_weight_gradient: pattern is pattern[5,8], wanted pattern[6,8]"},
    {OP_linear_weight_gradient,
     X SPARSE "%4 = input {name = \"dy\"} : f32[T,5]\n %5:2 = linear_weight_gradient %1, %4, %3 : f32[5,8], f32[5]\n",
     "linear_weight_gradient: pattern is f32[nnz(%2)], wanted pattern[5,8]"},
    {OP_layer_norm, "%1 = input {name = \"x\"} : f32[8]\n %2:3 = layer_norm %1, %1, %1 {eps = 0} : f32[8], f32[], f32[]\n",
     "layer_norm: x is f32[8], wanted [R,E]"},
    {OP_layer_norm, PADDED "%2:3 = layer_norm %1, %1, %1 {eps = 0} : f32[8], f32[], f32[]\n",
     "layer_norm: x is i64[B,S], wanted floats"},
    {OP_layer_norm, X "%2 = state {name = \"g\"} : f32[7]\n %3:3 = layer_norm %1, %2, %2 {eps = 0} : f32[T,8], f32[T], f32[T]\n",
     "layer_norm: gamma is f32[7], wanted f32[8]"},
    {OP_layer_norm, X "%2 = state {name = \"g\"} : f32[8]\n %3:3 = layer_norm %1, %2, %1 {eps = 0} : f32[T,8], f32[T], f32[T]\n",
     "layer_norm: beta is f32[T,8], wanted f32[8]"},
    {OP_layer_norm, X "%2 = state {name = \"g\"} : f32[8]\n %3:3 = layer_norm %1, %2, %2 {eps = -1} : f32[T,8], f32[T], f32[T]\n",
     "layer_norm: eps is -1, wanted a number of at least 0"},
    {OP_layer_norm, X "%2 = state {name = \"g\"} : f32[8]\n %3:3 = layer_norm %1, %2, %2 {eps = nan} : f32[T,8], f32[T], f32[T]\n",
     "layer_norm: eps is nan, wanted a number of at least 0"},

    {OP_attention,
     "%1 = input {name = \"x\"} : f32[B,S]\n" OFFSETS
     "%3:2 = attention %1, %1, %1, %2 {heads = 2, scale = 1} : f32[B,S], f32[B,2]\n",
     "attention: q is f32[B,S], wanted [R,E] with a number for E"},
    {OP_attention,
     "%1 = input {name = \"x\"} : i8[T,8]\n" OFFSETS "%3:2 = attention %1, %1, %1, %2 {heads = 2, scale = 1} : i8[T,8], i8[T,2]\n",
     "attention: q is i8[T,8], wanted floats"},
    {OP_attention,
     X OFFSETS "%3 = input {name = \"k\"} : f32[B,8]\n"
               "%4:2 = attention %1, %3, %1, %2 {heads = 2, scale = 1} : f32[T,8], f32[T,2]\n",
     "attention: k is f32[B,8], wanted f32[T,8]"},
    {OP_attention,
     X OFFSETS "%3 = relayout %1 : f32[T,8] tiles<4>\n"
               "%4:2 = attention %1, %1, %3, %2 {heads = 2, scale = 1} : f32[T,8], f32[T,2]\n",
     "attention: v is f32[T,8] tiles<4>, wanted f32[T,8]"},
    {OP_attention, X "%2:2 = attention %1, %1, %1, %1 {heads = 2, scale = 1} : f32[T,8], f32[T,2]\n",
     "attention: offsets is f32[T,8], wanted i32[B+1]"},
    {OP_attention, X OFFSETS "%3:2 = attention %1, %1, %1, %2, %1 {heads = 2, scale = 1} : f32[T,8], f32[T,2]\n",
     "attention: keep is f32[T,8], wanted integers or bool"},
    {OP_attention, X OFFSETS "%3:2 = attention %1, %1, %1, %2, %2 {heads = 2, scale = 1} : f32[T,8], f32[T,2]\n",
     "attention: keep is i32[B+1], wanted i32[T]"},
    {OP_attention, X OFFSETS "%3:2 = attention %1, %1, %1, %2, _, %1 {heads = 2, scale = 1} : f32[T,8], f32[T,2]\n",
     "attention: query_offsets is f32[T,8], wanted i32[B+1]"},
    {OP_attention, X OFFSETS "%3:2 = attention %1, %1, %1, %2 {heads = 3, scale = 1} : f32[T,8], f32[T,3]\n",
     "attention: heads is 3, wanted a divisor of 8"},
    {OP_attention, X OFFSETS "%3:2 = attention %1, %1, %1, %2 {heads = 0, scale = 1} : f32[T,8], f32[T,0]\n",
     "attention: heads is 0, wanted a divisor of 8"},
    {OP_attention, X OFFSETS "%3:2 = attention %1, %1, %1, %2 {heads = 2, scale = inf} : f32[T,8], f32[T,2]\n",
     "attention: scale is inf, wanted a finite number"},

    {OP_observe_range, X "%2 = observe_range %1, %1 : f32[2]\n", "observe_range: range is f32[T,8], wanted f32[2] or f32[T,2]"},
    {OP_observe_range,
     "%1 = input {name = \"x\"} : f32[8]\n %2 = input {name = \"r\"} : f32[8,2]\n %3 = observe_range %1, %2 : f32[8,2]\n",
     "observe_range: range is f32[8,2], wanted f32[2]"},
    {OP_observe_range, X "%2 = input {name = \"r\"} : f32[2]\n %3 = observe_range %1, %2, _, %1 : f32[2]\n",
     "observe_range: pattern is f32[T,8], wanted pattern[N,K]"},
    {OP_fake_quantize,
     X "%2 = pattern {name = \"w\"} : pattern[4,8]\n %3 = input {name = \"r\"} : f32[4,2]\n %4 = fake_quantize %1, %3, _, %2 : "
       "f32[T,8]\n",
     "fake_quantize: x is f32[T,8], wanted f32[nnz(%2)]"},
    {OP_observe_range, X "%2 = input {name = \"r\"} : f32[2]\n %3 = observe_range %1, %2 {averaging = 2} : f32[2]\n",
     "observe_range: averaging is 2, wanted 0 to 1"},
    {OP_fake_quantize, X "%2 = input {name = \"r\"} : f32[2]\n %3 = fake_quantize %1, %2, %2 : f32[T,8]\n",
     "fake_quantize: forward is f32[2], wanted i64[]"},
    {OP_fake_quantize, X "%2 = input {name = \"r\"} : f32[2]\n %3 = fake_quantize %1, %2 {begin = -1} : f32[T,8]\n",
     "fake_quantize: begin is -1, wanted at least 0"},
    {OP_fake_quantize_gradient, X "%2 = input {name = \"r\"} : f32[2]\n %3 = fake_quantize_gradient %2, %1, %2 : f32[T,8]\n",
     "fake_quantize_gradient: dy is f32[2], wanted f32[T,8]"},
    {OP_row_range, "%1 = input {name = \"x\"} : f64[T,8]\n %2 = row_range %1 : f64[T,2]\n", "row_range: x is f64[T,8], wanted f32"},
    {OP_row_range, "%1 = input {name = \"x\"} : f32[8]\n %2 = row_range %1 : f32[2]\n", "row_range: x is f32[8], wanted [R,K]"},
    {OP_quantize, X "%2 = input {name = \"r\"} : f32[8,2]\n %3 = quantize %1, %2 : u8[T,8]\n",
     "quantize: range is f32[8,2], wanted f32[2] or f32[T,2]"},
    {OP_quantize, X "%2 = input {name = \"r\"} : f32[2]\n %3 = quantize %1, %2 : i8[T,8]\n",
     "quantize: x is f32[T,8] and the declared type i8[T,8], wanted u8 of the same dimensions, and of the same tiles"},
    {OP_quantize, X_TILES "%3 = input {name = \"r\"} : f32[2]\n %4 = quantize %2, %3 : u8[T,8] quads<32>\n",
     "quantize: x is f32[T,8] tiles<16> and the declared type u8[T,8] quads<32>, wanted u8 of the same dimensions, and of the same "
     "tiles"},
    {OP_quantize, "%1 = input {name = \"x\"} : i32[T,8]\n %2 = quantize %1, %1 : u8[T,8]\n", "quantize: x is i32[T,8], wanted f32"},
    {OP_linear_int8, X "%2 = linear_int8 %1, %1, %1, %1 : f32[T,8]\n", "linear_int8: x is f32[T,8], wanted u8"},
    {OP_linear_int8, "%1 = input {name = \"x\"} : u8[T,32769]\n %2 = linear_int8 %1, %1, %1, %1 : f32[T,8]\n",
     "linear_int8: x is u8[T,32769], wanted at most 32768 features, whose sums fit into 32 bits"},
    {OP_linear_int8, QUANTIZED "%7 = linear_int8 %4, %1, %5, %3 : f32[T,5] tiles<16>\n",
     "linear_int8: x_range is f32[T,8], wanted f32[2] or f32[T,2] tiles<16>"},
    {OP_linear_int8, QUANTIZED "%7 = linear_int8 %4, %3, %6, %3 : f32[T,5] tiles<16>\n",
     "linear_int8: weight is f32[5], wanted [N,K], or the non-zeros of a pattern"},
    {OP_linear_int8, QUANTIZED "%7 = linear_int8 %4, %3, %5, %6 : f32[T,5] tiles<16>\n",
     "linear_int8: w_range is f32[5], wanted f32[2] or f32[5,2]"},
    {OP_linear_int8, QUANTIZED "%7 = linear_int8 %4, %3, %5, %3, %3 : f32[T,5] tiles<16>\n",
     "linear_int8: bias is f32[2], wanted f32[5]"},
    {OP_linear_int8, QUANTIZED "%7 = linear_int8 %4, %3, %5, %3, _, %6 : f32[T,5] tiles<16>\n",
     "linear_int8: out_range is f32[5], wanted f32[2]"},
    {OP_linear_int8,
     QUANTIZED "%7 = row_range %2 : f32[T,2] tiles<16>\n %8 = linear_int8 %4, %7, %5, %3, _, %3 : f32[T,5] tiles<16>\n",
     "linear_int8: out_range is given, wanted none with ranges of rows"},
    {OP_linear_int8, QUANTIZED "%7 = linear_int8 %4, %3, %5, %3, _, _, %5 : f32[T,5] tiles<16>\n",
     "linear_int8: pattern is f32[5,8], wanted pattern[N,8]"},
    {OP_kl_divergence, "%1 = input {name = \"o\"} : i32[B+1]\n %2 = kl_divergence %1, %1 : f32[]\n",
     "kl_divergence: student is i32[B+1], wanted [R,C]"},
    {OP_kl_divergence, "%1 = input {name = \"o\"} : i32[B,2]\n %2 = kl_divergence %1, %1 : f32[]\n",
     "kl_divergence: student is i32[B,2], wanted floats"},
    {OP_kl_divergence, X "%2 = input {name = \"t\"} : f32[T,9]\n %3 = kl_divergence %1, %2 : f32[]\n",
     "kl_divergence: teacher is f32[T,9], wanted f32[T,8]"},
    {OP_kl_divergence, X "%2 = kl_divergence %1, %1, %1 : f32[]\n", "kl_divergence: keep is f32[T,8], wanted integers or bool"},
    {OP_kl_divergence, X "%2 = input {name = \"k\"} : i64[B]\n %3 = kl_divergence %1, %1, %2 : f32[]\n",
     "kl_divergence: keep is i64[B], wanted i64[T]"},
    {OP_kl_divergence, X "%2 = input {name = \"k\"} : i64[T,9]\n %3 = kl_divergence %1, %1, %2 : f32[]\n",
     "kl_divergence: keep is i64[T,9], wanted i64[T,8]"},
    {OP_kl_divergence, X "%2 = kl_divergence %1, %1, _, %1 : f32[]\n", "kl_divergence: scale is f32[T,8], wanted f32[]"},
    {OP_kl_divergence, X "%2 = kl_divergence %1, %1 {temperature = 0} : f32[]\n",
     "kl_divergence: temperature is 0, wanted a number above 0"},
    {OP_kl_divergence, X "%2 = kl_divergence %1, %1 {temperature = inf} : f32[]\n",
     "kl_divergence: temperature is inf, wanted a number above 0"},
    {OP_kl_divergence_gradient, X "%2 = kl_divergence_gradient %1, %1, %1 : f32[T,8]\n",
     "kl_divergence_gradient: dloss is f32[T,8], wanted f32[]"},
    {OP_kl_divergence_gradient, X "%2 = input {name = \"s\"} : f32[]\n %3 = kl_divergence_gradient %1, %1, %2, %2 : f32[T,8]\n",
     "kl_divergence_gradient: keep is f32[], wanted integers or bool"},
    {OP_labelled_rows, PADDED "%2 = labelled_rows %1 {rows = \"T\"} : i32[T]\n", "labelled_rows: labels is i64[B,S], wanted [R]"},
    {OP_labelled_rows, "%1 = input {name = \"x\"} : f32[B]\n %2 = labelled_rows %1 {rows = \"T\"} : i32[T]\n",
     "labelled_rows: labels is f32[B], wanted integers"},
    {OP_linear_cross_entropy,
     "%1 = input {name = \"o\"} : i32[B+1]\n %2:4 = linear_cross_entropy %1, %1, %1 : f32[], f32[T], f32[T], f32[T]\n",
     "linear_cross_entropy: x is i32[B+1], wanted [M,K]"},
    {OP_linear_cross_entropy,
     X "%2 = state {name = \"w\"} : f32[30,9]\n %3 = input {name = \"l\"} : i64[T]\n"
       "%4:4 = linear_cross_entropy %1, %2, %3 : f32[], f32[T,8], f32[30,9], f32[30]\n",
     "linear_cross_entropy: weight is f32[30,9], wanted f32[30,8]"},
    {OP_linear_cross_entropy,
     X "%2 = state {name = \"w\"} : f32[30,8]\n %3 = input {name = \"l\"} : i64[T]\n"
       "%4:4 = linear_cross_entropy %1, %2, %3, %3 : f32[], f32[T,8], f32[30,8], f32[30]\n",
     "linear_cross_entropy: bias is i64[T], wanted f32[30]"},
    {OP_linear_cross_entropy,
     X "%2 = state {name = \"w\"} : f32[30,8]\n"
       "%3:4 = linear_cross_entropy %1, %2, %1 : f32[], f32[T,8], f32[30,8], f32[30]\n",
     "linear_cross_entropy: labels is f32[T,8], wanted integers"},
    {OP_linear_cross_entropy,
     X "%2 = state {name = \"w\"} : f32[30,8]\n %3 = input {name = \"l\"} : i64[B]\n"
       "%4:4 = linear_cross_entropy %1, %2, %3 : f32[], f32[T,8], f32[30,8], f32[30]\n",
     "linear_cross_entropy: labels is i64[B], wanted i64[T]"},
    {OP_linear_cross_entropy,
     X "%2 = state {name = \"w\"} : f32[30,8]\n %3 = input {name = \"l\"} : i64[T]\n"
       "%4:4 = linear_cross_entropy %1, %2, %3, _, %1 : f32[], f32[T,8], f32[30,8], f32[30]\n",
     "linear_cross_entropy: scale is f32[T,8], wanted f32[]"},
#define KL "%2 = state {name = \"w\"} : f32[30,8]\n"
#define GIVES " : f32[], f32[T,8], f32[30,8], f32[30]\n"
    {OP_linear_kl_divergence, X KL "%3:4 = linear_kl_divergence %1, %2, %1, %2 {temperature = 0}" GIVES,
     "linear_kl_divergence: temperature is 0, wanted a number above 0"},
    {OP_linear_kl_divergence, X KL "%3:4 = linear_kl_divergence %2, %1, %1, %2" GIVES,
     "linear_kl_divergence: teacher's x is f32[T,8], wanted f32[30,8]"},
    {OP_linear_kl_divergence, X KL "%3 = input {name = \"l\"} : i64[T]\n %4:4 = linear_kl_divergence %1, %2, %3, %2" GIVES,
     "linear_kl_divergence: teacher's x is i64[T], wanted [M,J]"},
    {OP_linear_kl_divergence, X KL "%3 = state {name = \"v\"} : f32[29,8]\n %4:4 = linear_kl_divergence %1, %2, %1, %3" GIVES,
     "linear_kl_divergence: teacher's weight is f32[29,8], wanted f32[30,8]"},
    {OP_linear_kl_divergence, X KL "%3 = state {name = \"v\"} : f32[29]\n %4:4 = linear_kl_divergence %1, %2, %1, %2, _, %3" GIVES,
     "linear_kl_divergence: teacher's bias is f32[29], wanted f32[30]"},
    {OP_linear_kl_divergence, X KL "%3:4 = linear_kl_divergence %1, %2, %1, %2, %1" GIVES,
     "linear_kl_divergence: bias is f32[T,8], wanted f32[30]"},
    {OP_linear_kl_divergence,
     X KL "%3 = input {name = \"k\"} : i64[B]\n %4:4 = linear_kl_divergence %1, %2, %1, %2, _, _, %3" GIVES,
     "linear_kl_divergence: keep is i64[B], wanted i64[T]"},
    {OP_linear_kl_divergence, X KL "%3:4 = linear_kl_divergence %1, %2, %1, %2, _, _, _, %1" GIVES,
     "linear_kl_divergence: scale is f32[T,8], wanted f32[]"},
    {OP_linear_soft_cross_entropy, X KL "%3:4 = linear_soft_cross_entropy %1, %2, %1, %1" GIVES,
     "linear_soft_cross_entropy: ids is f32[T,8], wanted i32[T,8]"},
    {OP_linear_soft_cross_entropy,
     X KL "%3 = input {name = \"i\"} : i32[T,3]\n"
          "%4:4 = linear_soft_cross_entropy %1, %2, %3, %1" GIVES,
     "linear_soft_cross_entropy: logits is f32[T,8], wanted f32[T,3]"},
    {OP_sampled_rows,
     "%1 = input {name = \"x\"} : i32[T]\n" RANDOM_2 "%4 = sampled_rows %1, %2, %3 {rows = \"N\", share = 1} : i32[N]\n",
     "sampled_rows: share is 1, wanted a number of at least 0 and below 1"},
    {OP_sampled_rows,
     "%1 = input {name = \"x\"} : i32[T]\n" RANDOM_2 "%4 = sampled_rows %1, %3, %3 {rows = \"N\", share = 0} : i32[N]\n",
     "sampled_rows: keys is i64[2], wanted i64[T]"},
    {OP_cross_entropy, "%1 = input {name = \"x\"} : f32[T]\n %2 = cross_entropy %1, %1 : f32[]\n",
     "cross_entropy: logits is f32[T], wanted [R,C]"},
    {OP_cross_entropy, PADDED "%2 = cross_entropy %1, %1 : f32[]\n", "cross_entropy: logits is i64[B,S], wanted floats"},
    {OP_cross_entropy, X "%2 = cross_entropy %1, %1 : f32[]\n", "cross_entropy: labels is f32[T,8], wanted integers"},
    {OP_cross_entropy, X OFFSETS "%3 = cross_entropy %1, %2 : f32[]\n", "cross_entropy: labels is i32[B+1], wanted i32[T]"},
    {OP_cross_entropy, X "%2 = input {name = \"l\"} : i64[T]\n %3 = cross_entropy %1, %2, %1 : f32[]\n",
     "cross_entropy: keep is f32[T,8], wanted integers or bool"},
    {OP_cross_entropy, X "%2 = input {name = \"l\"} : i64[T]\n %3 = cross_entropy %1, %2, %2 : f32[]\n",
     "cross_entropy: keep is i64[T], wanted i64[T,8]"},
    {OP_mean_squared_error, PADDED "%2 = mean_squared_error %1, %1 : f32[]\n", "mean_squared_error: x is i64[B,S], wanted floats"},
    {OP_mean_squared_error, X_TILES "%3 = mean_squared_error %1, %2 : f32[]\n",
     "mean_squared_error: y is f32[T,8] tiles<16>, wanted f32[T,8]"},

    {OP_widen, X "%2 = widen %1 {begin = 2, features = 9} : f32[T,9]\n",
     "widen: begin is 2 and features is 9, wanted begin >= 0 and begin + 8 <= features"},
    {OP_widen, "%1 = input {name = \"x\"} : f32[8,T]\n %2 = widen %1 {begin = 0, features = 9} : f32[8,9]\n",
     "widen: x is f32[8,T], wanted a tensor whose last dimension is a number"},
    {OP_div, PADDED "%2 = div %1, %1 : i64[B,S]\n", "div: x is i64[B,S], wanted floats"},
    {OP_sqrt, PADDED "%2 = sqrt %1 : i64[B,S]\n", "sqrt: x is i64[B,S], wanted floats"},
    {OP_relu_gradient, X_TILES "%3 = relu_gradient %1, %2 : f32[T,8]\n", "relu_gradient: y is f32[T,8] tiles<16>, wanted f32[T,8]"},
    {OP_tanh_gradient, PADDED "%2 = tanh_gradient %1, %1 : i64[B,S]\n", "tanh_gradient: x is i64[B,S], wanted floats"},
    {OP_gelu_gradient, PADDED "%2 = gelu_gradient %1, %1 : i64[B,S]\n", "gelu_gradient: x is i64[B,S], wanted floats"},
    {OP_clip_factor, SCALAR "%2 = clip_factor %1 {max_norm = 0} : f32[]\n", "clip_factor: max_norm is 0, wanted a number above 0"},
    {OP_embedding_gradient, X "%2 = input {name = \"ids\"} : i64[B]\n %3 = embedding_gradient %1, %2 : f32[99,8]\n",
     "embedding_gradient: ids is i64[B], wanted i64[T]"},
    {OP_embedding_gradient, X "%2 = input {name = \"ids\"} : i64[T]\n %3 = embedding_gradient %1, %2 : f32[99,9]\n",
     "embedding_gradient: the declared type is f32[99,9], wanted f32[V,8]"},
    {OP_layer_norm_gradient, X_TILES NORM "%5:3 = layer_norm_gradient %2, %1, %3, %4, %4 : f32[T,8] tiles<16>, f32[8], f32[8]\n",
     "layer_norm_gradient: dy is f32[T,8], wanted f32[T,8] tiles<16>"},
    {OP_layer_norm_gradient, X_TILES NORM "%5:3 = layer_norm_gradient %2, %2, %4, %4, %4 : f32[T,8] tiles<16>, f32[8], f32[8]\n",
     "layer_norm_gradient: gamma is f32[T], wanted f32[8]"},
    {OP_dense_to_sparse, SPARSE_FIRST "%3 = state {name = \"v\"} : f32[8,5]\n %4 = dense_to_sparse %3, %1 : f32[nnz(%1)]\n",
     "dense_to_sparse: x is f32[8,5], wanted f32[5,8]"},
    {OP_dense_to_sparse, SPARSE_FIRST "%3 = state {name = \"v\"} : f32[5,8]\n %4 = dense_to_sparse %3, %1, %2 : f32[nnz(%1)]\n",
     "dense_to_sparse: scores is f32[nnz(%1)], wanted f32[5,8]"},
    {OP_dense_to_sparse, X "%2 = dense_to_sparse %1, %1 : f32[T]\n", "dense_to_sparse: pattern is f32[T,8], wanted pattern[N,K]"},
    {OP_sparse_to_dense, SPARSE_FIRST "%3 = input {name = \"x\"} : f32[40]\n %4 = sparse_to_dense %3, %1 : f32[5,8]\n",
     "sparse_to_dense: x is f32[40], wanted f32[nnz(%1)]"},
    {OP_row_keys, "%1 = input {name = \"x\"} : i64[T]\n" OFFSETS "%3 = row_keys %2, %1, %1 : i64[T]\n",
     "row_keys: first is i64[T], wanted i64[]"},
    {OP_dropout, X_TILES RANDOM "%5 = dropout %2, %3, %4 {rate = 1, stream = 7} : f32[T,8] tiles<16>\n",
     "dropout: rate is 1, wanted a number of at least 0 and below 1"},
    {OP_dropout, X_TILES RANDOM "%5 = dropout %2, %3, %4 {rate = 0, stream = -1} : f32[T,8] tiles<16>\n",
     "dropout: stream is -1, wanted 0 to 4294967295"},
    {OP_dropout, X_TILES RANDOM "%5 = dropout %2, %4, %4 {rate = 0, stream = 7} : f32[T,8] tiles<16>\n",
     "dropout: keys is i64[2], wanted i64[T]"},
    {OP_attention,
     X "%2 = input {name = \"o\"} : i32[B+1]\n"
       "%3:2 = attention %1, %1, %1, %2 {heads = 2, rate = 0.1, scale = 1} : f32[T,8], f32[T,2]\n",
     "attention: rate is 0.1 with keys absent and random absent, wanted a rate of 0 and neither, or both"},
    {OP_attention_gradient,
     X "%2 = input {name = \"o\"} : i32[B+1]\n %3 = input {name = \"l\"} : f32[T,2]\n"
       "%4:3 = attention_gradient %1, %1, %1, %2, %1, %3, %3 {heads = 2, scale = 1} : f32[T,8], f32[T,8], f32[T,8]\n",
     "attention_gradient: dcontext is f32[T,2], wanted f32[T,8]"},
    {OP_attention_gradient,
     X "%2 = input {name = \"o\"} : i32[B+1]\n"
       "%3:3 = attention_gradient %1, %1, %1, %2, %1, %1, %1 {heads = 2, scale = 1} : f32[T,8], f32[T,8], f32[T,8]\n",
     "attention_gradient: log-sum-exp is f32[T,8], wanted f32[T,2]"},
    {OP_cross_entropy_gradient, X "%2 = input {name = \"l\"} : i64[T]\n %3 = cross_entropy_gradient %1, %2, %1 : f32[T,8]\n",
     "cross_entropy_gradient: dloss is f32[T,8], wanted f32[]"},
    {OP_mean_squared_error_gradient, X "%2 = mean_squared_error_gradient %1, %1, %1 : f32[T,8]\n",
     "mean_squared_error_gradient: dloss is f32[T,8], wanted f32[]"},
    {OP_squared_distance, "%1 = input {name = \"x\"} : f32[T]\n %2:2 = squared_distance %1, %1 : f32[], f32[T]\n",
     "squared_distance: x is f32[T], wanted [R,E]"},
    {OP_squared_distance, PADDED "%2:2 = squared_distance %1, %1 : i64[], i64[B,S]\n",
     "squared_distance: x is i64[B,S], wanted floats"},
    {OP_cosine_distance, X_TILES "%3:2 = cosine_distance %1, %2 : f32[], f32[T,8]\n",
     "cosine_distance: y is f32[T,8] tiles<16>, wanted f32[T,8]"},
    {OP_cosine_distance, X "%2:2 = cosine_distance %1, %1, %1 : f32[], f32[T,8]\n",
     "cosine_distance: keep is f32[T,8], wanted integers or bool"},
    {OP_squared_distance, X OFFSETS "%3:2 = squared_distance %1, %1, %2 : f32[], f32[T,8]\n",
     "squared_distance: keep is i32[B+1], wanted i32[T]"},
    {OP_squared_distance, X "%2:2 = squared_distance %1, %1, _, %1 : f32[], f32[T,8]\n",
     "squared_distance: scale is f32[T,8], wanted f32[]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %4, %1, %1, %2, %3, %1, %3 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: q is bool[T], wanted [R,E] with a number for E"},
    {OP_attention_distance,
     "%1 = input {name = \"x\"} : i8[T,8]\n" OFFSETS
     "%3:3 = attention_distance %1, %1, %1, %2, %1, %1, %1 {heads = 2, scale = 1} : i8[], i8[T,8], i8[T,8]\n",
     "attention_distance: q is i8[T,8], wanted floats"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %3, %1, %2, %3, %1, %3 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: k is f32[T,2], wanted f32[T,8]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %3, %2, %3, %1, %3 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: the teacher's k is f32[T,2], wanted f32[T,8]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %4, %3, %1, %3 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: offsets is bool[T], wanted i32[B+1]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %1, %1, %3 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: log-sum-exp is f32[T,8], wanted f32[T,2]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %3, %3, %3 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: the teacher's q is f32[T,2], wanted f32[T,8]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %3, %1, %1 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: the teacher's log-sum-exp is f32[T,8], wanted f32[T,2]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %3, %1, %3, %3 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: keep is f32[T,2], wanted integers or bool"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %3, %1, %3, %2 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: keep is i32[B+1], wanted i32[T]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %3, %1, %3, %4, %4 {heads = 2, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: loss_scale is bool[T], wanted f32[]"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %3, %1, %3 {heads = 3, scale = 1} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: heads is 3, wanted a divisor of 8"},
    {OP_attention_distance,
     DISTANCE "%6:3 = attention_distance %1, %1, %1, %2, %3, %1, %3 {heads = 2, scale = inf} : f32[], f32[T,8], f32[T,8]\n",
     "attention_distance: scale is inf, wanted a finite number"},
    {OP_sum_of_squares, PADDED "%2 = sum_of_squares %1 : i64[]\n", "sum_of_squares: x is i64[B,S], wanted floats"},
    {OP_adamw, SPARSE_FIRST SCALARS "%5:3 = adamw %2, %3, %2, %2, %3, %3, %4 : f32[nnz(%1)], f32[nnz(%1)], f32[nnz(%1)]\n",
     "adamw: g is f32[], wanted f32[nnz(%1)]"},
    {OP_adamw, SPARSE_FIRST SCALARS "%5:3 = adamw %2, %2, %2, %2, %3, %3, %3 : f32[nnz(%1)], f32[nnz(%1)], f32[nnz(%1)]\n",
     "adamw: step is f32[], wanted i64[]"},
    {OP_adamw,
     SPARSE_FIRST SCALARS "%5:3 = adamw %2, %2, %2, %2, %3, %3, %4 {beta2 = 1} : f32[nnz(%1)], f32[nnz(%1)], f32[nnz(%1)]\n",
     "adamw: beta2 is 1, wanted a number of at least 0 and below 1"},
    {OP_adamw,
     SPARSE_FIRST SCALARS "%5 = state {name = \"u\"} : f32[5,8]\n"
                          "%6:3 = adamw %5, %5, %5, %5, %3, %3, %4, %1 : f32[5,8], f32[5,8], f32[5,8]\n",
     "adamw: g is f32[5,8], wanted f32[nnz(%1)]"},
    {OP_adamw,
     SPARSE_FIRST SCALARS "%5 = state {name = \"u\"} : f32[8,5]\n"
                          "%6:3 = adamw %5, %2, %5, %5, %3, %3, %4, %1 : f32[8,5], f32[8,5], f32[8,5]\n",
     "adamw: p is f32[8,5], wanted f32[5,8]"},
    {OP_sgd, SPARSE_FIRST SCALARS "%5:2 = sgd %2, %2, %2, %3, %3, %2 : f32[nnz(%1)], f32[nnz(%1)]\n",
     "sgd: pattern is f32[nnz(%1)], wanted pattern[N,K]"},
    {OP_descend, X "%2 = input {name = \"s\"} : f32[]\n %3 = descend %1, %2, %2, %2 : f32[T,8]\n",
     "descend: g is f32[], wanted f32[T,8]"},
    {OP_descend, X "%2 = input {name = \"s\"} : f32[]\n %3 = descend %1, %1, %2, %1 : f32[T,8]\n",
     "descend: scale is f32[T,8], wanted f32[]"},
    {OP_sgd, X "%2 = input {name = \"s\"} : f32[]\n %3:2 = sgd %1, %1, %1, %2, %2 {weight_decay = -1} : f32[T,8], f32[T,8]\n",
     "sgd: weight_decay is -1, wanted a number of at least 0"},
};

static void errors_say_what_was_found_and_wanted(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES(bad_cases); i++) {
        text_case c;
        begin_case(&c, bad_cases[i].nodes);
        if (c.graph) fail_msg("case %zu (%s) is accepted, wanted: %s", i, op_info(bad_cases[i].op)->name, bad_cases[i].message);
        assert_string_equal(strbuf_str(&c.messages), bad_cases[i].message);
        text_case_end(&c);
    }
}

/* Text cannot say such a type. */
static void tiles_have_rank_2(void **unused) {
    (void)unused;
    text_case c;
    begin_case(&c, X);
    ir_dim dims[3] = {dim_symbol(symbol_named(c.context, "T")), dim_const(2), dim_const(4)};
    const ir_type *t = type_with_layout(c.context, type_tensor(c.context, IR_F32, 3, dims), LAYOUT_TILES, 4);
    assert_true(build_declared(c.graph, OP_reshape, 1, t) == IR_NO_VALUE);
    assert_string_equal(strbuf_str(&c.messages), "reshape: the declared type is f32[T,2,4] tiles<4>, wanted rank 2 for tiles");
    text_case_end(&c);
    begin_case(&c, X);
    t = type_with_layout(c.context, graph_type(c.graph, 1), LAYOUT_QUADS, 4);
    assert_true(build_declared(c.graph, OP_relayout, 1, t) == IR_NO_VALUE);
    assert_string_equal(strbuf_str(&c.messages), "relayout: the declared type is f32[T,8] quads<4>, wanted 8 bits for quads");
    text_case_end(&c);
}

static void every_op_has_cases(void **unused) {
    (void)unused;
    for (int op = 0; op < IR_N_OPS; op++) {
        size_t good = 0, bad = 0;
        for (size_t i = 0; i < N_CASES(good_cases); i++) good += good_cases[i].op == (ir_op)op;
        for (size_t i = 0; i < N_CASES(bad_cases); i++) bad += bad_cases[i].op == (ir_op)op;
        if (good == 0 || bad == 0)
            fail_msg("op %s has %zu good and %zu bad cases, wanted both", op_info((ir_op)op)->name, good, bad);
    }
}

/* Reads the nodes with the n-th allocation failing, for every n; whatever fails, an error comes out. */
static void read_with_failures(size_t row, const char *nodes) {
    char text[1024];
    int size = snprintf(text, sizeof text, "graph @g (B <= 8, N <= 8, S <= 16, T <= 64) {\n%sreturn\n}\n", nodes);
    for (size_t n = 1;; n++) {
        ir_context *context = context_create();
        assert_non_null(context);
        ir_module *m = NULL;
        fail_alloc_after(n);
        pofac_status status = text_parse_module(context, "case", text, (size_t)size, NULL, NULL, &m);
        bool failed = fail_alloc_stop();
        if (failed && status == POFAC_OK) fail_msg("case %zu: allocation %zu fails and nothing is reported", row, n);
        module_destroy(m);
        context_destroy(context);
        if (!failed) return;
    }
}

static void failing_allocations(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES(good_cases); i++) read_with_failures(i, good_cases[i].nodes);
    for (size_t i = 0; i < N_CASES(bad_cases); i++) read_with_failures(i, bad_cases[i].nodes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(result_types),        cmocka_unit_test(errors_say_what_was_found_and_wanted),
        cmocka_unit_test(tiles_have_rank_2),   cmocka_unit_test(every_op_has_cases),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
