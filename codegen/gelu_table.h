/*
 * GELU as a table of short polynomials, for instruction sets that look up 32 numbers in registers.
 *
 *   gelu(x) = max(x, 0) - T(|x|),   T(a) = a (1 - P(a)),
 *
 * where P is the normal distribution function, or the logistic curve that the tanh form puts in its place. T is below 0.18, smooth,
 * and so small beyond 5.7 that it is taken as 0 there. Interval n has its middle at n * GELU_TABLE_STEP; on it
 *
 *   T(a) = c[0][n] + c[1][n] d + ... + c[4][n] d^4,   d = a - n * GELU_TABLE_STEP
 *
 * within 1.6e-8. The last interval is 0. In the first, T(a) / a is fitted, so that T(0) is 0. Minimax fits made for this file with
 * the exchange algorithm (Remez 1934) in double and rounded to f32; the cut adds 3.1e-8 for the erf form and 1e-9 for tanh.
 *
 * The derivative is odd around 1/2, gelu'(x) = 1/2 + sign(x) U(|x|), U(a) = 1/2 - T'(a), with tables of U on the same intervals: polynomials
 * through the zeros of Chebyshev's, in the first interval odd ones. The last interval is 1/2, which cuts 1.8e-7 off for the erf form; the
 * tanh form is within 4.8e-8.
 */
#ifndef POFAC_CODEGEN_GELU_TABLE_H
#define POFAC_CODEGEN_GELU_TABLE_H

#define GELU_TABLE_STEP 0.1875
#define GELU_TABLE_TERMS 5
#define GELU_TABLE_INTERVALS 32

extern const float gelu_erf_table[GELU_TABLE_TERMS][GELU_TABLE_INTERVALS];
extern const float gelu_tanh_table[GELU_TABLE_TERMS][GELU_TABLE_INTERVALS];
extern const float gelu_erf_slope_table[GELU_TABLE_TERMS][GELU_TABLE_INTERVALS];
extern const float gelu_tanh_slope_table[GELU_TABLE_TERMS][GELU_TABLE_INTERVALS];

#endif
