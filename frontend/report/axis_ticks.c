/* Round numbers for axes; see axis_ticks.h. */
#include "frontend/report/axis_ticks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The least of 1, 2, 5, 10 times a power of ten that is not below x. */
static double round_up(double x) {
    const double power = pow(10, floor(log10(x))), part = x / power;
    if (part <= 1.0 + 1e-9) return power;
    if (part <= 2.0 + 1e-9) return 2 * power;
    if (part <= 5.0 + 1e-9) return 5 * power;
    return 10 * power;
}

static void add_tick(axis *a, double value) {
    if (a->n < AXIS_MOST_TICKS) a->ticks[a->n++] = value;
}

static void make_linear(axis *a, int wanted) {
    a->step = round_up((a->high - a->low) / wanted);
    const double first = floor(a->low / a->step + 1e-9), last = ceil(a->high / a->step - 1e-9);
    for (int i = 0; i < AXIS_MOST_TICKS && first + i <= last; i++) add_tick(a, (first + i) * a->step);
    a->low = a->ticks[0];
    a->high = a->ticks[a->n - 1];
}

/* Powers of ten, every so many of them; of less than two decades 2 and 5 times these too. */
static void make_logarithmic(axis *a, int wanted) {
    const int first = (int)floor(log10(a->low)), last = (int)ceil(log10(a->high));
    const bool dense = log10(a->high / a->low) <= 2;
    const int every = dense ? 1 : 1 + (last - first) / (wanted + 1);
    static const double parts[] = {1, 2, 5};
    for (int e = first; e <= last; e += every)
        for (int i = 0; i < (dense ? 3 : 1); i++) {
            const double value = parts[i] * pow(10, e);
            if (value >= a->low * (1 - 1e-9) && value <= a->high * (1 + 1e-9)) add_tick(a, value);
        }
}

axis axis_make(double low, double high, bool is_log, int wanted) {
    axis a = {.low = low, .high = high, .is_log = is_log && low > 0};
    if (!(high - low > 1e-12 * fmax(fabs(low), fabs(high)))) {
        const double space = low != 0 ? fabs(low) * 0.1 : 1;
        a.low = low - space;
        a.high = high + space;
    }
    if (!isfinite(a.high - a.low)) { /* beyond what a double holds the difference of */
        a.low /= 4;
        a.high /= 4;
    }
    if (wanted < 2) wanted = 2;
    if (a.is_log) make_logarithmic(&a, wanted);
    if (a.n < 2) { /* too narrow for powers */
        a.is_log = false;
        a.n = 0;
        make_linear(&a, wanted);
    }
    return a;
}

double axis_place(const axis *a, double value) {
    const double at = a->is_log ? log(value / a->low) / log(a->high / a->low) : (value - a->low) / (a->high - a->low);
    return fmin(fmax(at, 0), 1);
}

/* Decimals that tell numbers apart that differ by `step`. */
static int decimals_of(double step) {
    const int n = (int)ceil(-log10(step) - 1e-9);
    return n < 0 ? 0 : n > 12 ? 12 : n;
}

/* A number without the zeros at its end that say nothing: 0.50 is 0.5. */
static void put_decimals(double value, int decimals, strbuf *out) {
    char text[400];
    int n = snprintf(text, sizeof text, "%.*f", decimals, value);
    if (strchr(text, '.')) {
        while (text[n - 1] == '0') n--;
        if (text[n - 1] == '.') n--;
    }
    strbuf_append(out, text, (size_t)n);
}

void axis_put_label(const axis *a, double tick, bool percent, strbuf *out) {
    const double size = fabs(tick), step = a->step > 0 ? a->step : size;
    if (percent) {
        put_decimals(100 * tick, decimals_of(100 * step), out);
        strbuf_puts(out, " %");
    } else if (size < 1e-9 * step || tick == 0) {
        strbuf_putc(out, '0');
    } else if (size >= 1e9 || (size < 1e-3 && step < 1e-3)) {
        strbuf_printf(out, "%.3g", tick);
    } else if (size >= 1e6) {
        put_decimals(tick / 1e6, decimals_of(step / 1e6), out);
        strbuf_putc(out, 'M');
    } else if (size >= 1e4 || (size >= 1e3 && step >= 100)) {
        put_decimals(tick / 1e3, decimals_of(step / 1e3), out);
        strbuf_putc(out, 'k');
    } else {
        put_decimals(tick, decimals_of(step), out);
    }
}
