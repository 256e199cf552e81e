/*
 * Points of a curve for drawing: fewer of a long one, so that it looks the same - each stretch of x keeps its first, least, greatest and last point -, and
 * a mean that shows where a noisy one goes. Values that are NaN are gaps.
 */
#ifndef POFAC_FRONTEND_REPORT_CURVE_POINTS_H
#define POFAC_FRONTEND_REPORT_CURVE_POINTS_H

#include <stddef.h>

/* Indices of points to draw into kept, which has room for n, rising; returns how many. x [n] does not fall; the range of x is cut into `stretches` (at least 1). Of each gap
 * one point is kept, so that it stays one. */
size_t curve_thin(const double *x, const double *y, size_t n, size_t stretches, size_t *kept);

/* out[i]: the mean of y[i - half .. i + half] as far as these are there and no NaN; NaN where y[i] is. At both ends the window shrinks to the same length on either side. */
void curve_smooth(const double *y, size_t n, size_t half, double *out);

#endif
