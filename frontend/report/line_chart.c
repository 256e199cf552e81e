/* Drawing of line charts; see line_chart.h. Lengths are in the units of the view box, which is as wide as a phone in CSS pixels, so that letters stay readable there. */
#include "frontend/report/line_chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/report/axis_ticks.h"
#include "frontend/report/curve_points.h"
#include "ir/support/json_text.h"

#define WIDTH 400
#define HEIGHT 236
#define LEFT 46
#define RIGHT 8
#define TOP 8
#define BOTTOM 24
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)
#define MOST_MARKS 60         /* of a series */
#define SMOOTH_FROM 80        /* points: a mean is drawn over longer series */
#define SMOOTH_PARTS 40       /* half of its window is the 80th part of a series */
#define LOG_FROM 30.0         /* greatest over least */
#define LOG_LEAST_SHARE 1e-12 /* of the greatest: what lies below is as good as zero */

/* ---- what the axes show ---- */

typedef struct ranges {
    double x_low, x_high, y_low, y_high;
    bool any;
} ranges;

static ranges find_ranges(const chart *c) {
    ranges r = {INFINITY, -INFINITY, INFINITY, -INFINITY, false};
    for (size_t s = 0; s < c->n_series; s++)
        for (size_t i = 0; i < c->series[s].n; i++) {
            const double x = c->series[s].x[i], y = c->series[s].y[i];
            if (!isfinite(y)) continue;
            r.x_low = fmin(r.x_low, x);
            r.x_high = fmax(r.x_high, x);
            r.y_low = fmin(r.y_low, y);
            r.y_high = fmax(r.y_high, y);
            r.any = true;
        }
    return r;
}

static axis value_axis(const chart *c, const ranges *r) {
    const bool wide = r->y_low > LOG_LEAST_SHARE * r->y_high && r->y_high > LOG_FROM * r->y_low;
    if (r->y_low == 0 && r->y_high == 0) return axis_make(0, 1, false, 5);
    if (c->scale == CHART_PERCENT) return axis_make(fmin(0, r->y_low), fmax(0, r->y_high), false, 5);
    if (c->scale == CHART_LOG_WHERE_WIDE && r->y_low > 0 && wide) return axis_make(r->y_low, r->y_high, true, 5);
    const bool from_zero = r->y_low > 0 && r->y_low < 0.4 * r->y_high; /* a large part of the way down anyway */
    return axis_make(from_zero ? 0 : r->y_low, r->y_high, false, 5);
}

/* Steps end where the runs end, not at the next round number. */
static axis step_axis(const ranges *r) {
    axis a = axis_make(r->x_low, r->x_high, false, 5);
    if (r->x_low == r->x_high) { /* one step, in the middle */
        a.n = 1;
        a.ticks[0] = r->x_low;
        return a;
    }
    a.low = r->x_low;
    a.high = r->x_high;
    int n = 0;
    for (int i = 0; i < a.n; i++)
        if (a.ticks[i] >= a.low && a.ticks[i] <= a.high) a.ticks[n++] = a.ticks[i];
    a.n = n;
    return a;
}

static double place_x(const axis *x, double value) { return LEFT + PLOT_WIDTH * axis_place(x, value); }
static double place_y(const axis *y, double value) { return TOP + PLOT_HEIGHT * (1 - axis_place(y, value)); }

static void put_axes(const chart *c, const axis *x, const axis *y, strbuf *out) {
    for (int i = 0; i < y->n; i++) {
        const double at = place_y(y, y->ticks[i]);
        strbuf_printf(out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                      LEFT, at, WIDTH - RIGHT, LEFT - 5, at + 3.5);
        axis_put_label(y, y->ticks[i], c->scale == CHART_PERCENT, out);
        strbuf_puts(out, "</text>");
    }
    strbuf_printf(out, "<path class=\"axis\" d=\"M%d %dH%d\"/>", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT);
    for (int i = 0; i < x->n; i++) {
        const double at = place_x(x, x->ticks[i]);
        strbuf_printf(out, "<path class=\"axis\" d=\"M%.1f %dv4\"/><text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">",
                      at, HEIGHT - BOTTOM, at, HEIGHT - 7, at > WIDTH - RIGHT - 12 ? "end" : "middle");
        axis_put_label(x, x->ticks[i], false, out);
        strbuf_puts(out, "</text>");
    }
}

/* ---- lines ---- */

/* Marks of styles: drawn around 0,0. */
static const char *const marks[CHART_STYLES] = {"M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z",
                                                "M-3 -3h6v6h-6z",
                                                "M0 -4L4 3H-4z",
                                                "M0 -4L4 0L0 4L-4 0z",
                                                "M-3 -3L3 3M-3 3L3 -3",
                                                "M-4 0H4M0 -4V4",
                                                "M0 4L4 -3H-4z",
                                                "M-4 -2h8v4h-8z"};

/* The dashes and the mark of a style: another one at each turn of the colours. */
static unsigned shape_of(unsigned style) { return (style + style / CHART_STYLES) % CHART_STYLES; }

static void put_mark(unsigned style, double x, double y, strbuf *out) {
    strbuf_printf(out, "<path class=\"mark\" transform=\"translate(%.1f %.1f)\" d=\"%s\"/>", x, y, marks[shape_of(style)]);
}

void chart_put_swatch(unsigned style, bool marked, strbuf *out) {
    strbuf_printf(out,
                  "<svg class=\"swatch s%u d%u\" viewBox=\"0 0 30 10\" aria-hidden=\"true\"><path class=\"line\" d=\"M1 5H29\"/>",
                  style % CHART_STYLES, shape_of(style));
    if (marked) put_mark(style, 15, 5, out);
    strbuf_puts(out, "</svg>");
}

typedef struct line {
    const axis *x, *y;
    size_t *kept;   /* [n] */
    double *smooth; /* [n] */
} line;

/* The path through the points that are kept; parts of a line between gaps begin anew. */
static void put_path(const chart_series *s, const line *l, const double *values, const char *class, strbuf *out) {
    const size_t n = curve_thin(s->x, values, s->n, PLOT_WIDTH, l->kept);
    bool down = false;
    strbuf_printf(out, "<path class=\"%s\" d=\"", class);
    for (size_t i = 0; i < n; i++) {
        const double value = values[l->kept[i]];
        const bool there = isfinite(value);
        if (there) strbuf_printf(out, "%s%.1f %.1f", down ? "L" : "M", place_x(l->x, s->x[l->kept[i]]), place_y(l->y, value));
        down = there;
    }
    strbuf_puts(out, "\"/>");
}

static void put_values(const char *name, const double *values, size_t n, bool whole, strbuf *out) {
    strbuf_printf(out, " data-%s=\"", name);
    for (size_t i = 0; i < n; i++) {
        if (i) strbuf_putc(out, ' ');
        if (whole) strbuf_printf(out, "%.0f", values[i]);
        else json_put_real(values[i], out);
    }
    strbuf_putc(out, '"');
}

static bool has_mean(const chart *c, const chart_series *s) { return c->noisy && s->n >= SMOOTH_FROM && !s->marked; }

static void put_series(const chart *c, const chart_series *s, const line *l, strbuf *out) {
    strbuf_printf(out, "<g class=\"series s%u d%u\" data-run=\"", s->style % CHART_STYLES, shape_of(s->style));
    strbuf_put_html(out, s->run, strlen(s->run));
    strbuf_puts(out, "\" data-metric=\"");
    strbuf_put_html(out, s->metric, strlen(s->metric));
    strbuf_putc(out, '"');
    put_values("steps", s->x, s->n, true, out);
    put_values("values", s->y, s->n, false, out);
    strbuf_putc(out, '>');
    if (has_mean(c, s)) {
        curve_smooth(s->y, s->n, s->n / (2 * SMOOTH_PARTS), l->smooth);
        put_path(s, l, s->y, "raw", out);
        put_path(s, l, l->smooth, "line", out);
    } else {
        put_path(s, l, s->y, s->marked ? "line thin" : "line", out);
    }
    if (s->marked || s->n == 1)
        for (size_t i = 0; i < s->n; i += 1 + (s->n - 1) / MOST_MARKS)
            if (isfinite(s->y[i])) put_mark(s->style, place_x(l->x, s->x[i]), place_y(l->y, s->y[i]), out);
    strbuf_puts(out, "</g>");
}

static pofac_status put_lines(const chart *c, const axis *x, const axis *y, const diag_sink *sink, strbuf *out) {
    size_t most = 0;
    for (size_t i = 0; i < c->n_series; i++) most = c->series[i].n > most ? c->series[i].n : most;
    const line l = {x, y, calloc(most + 1, sizeof *l.kept), calloc(most + 1, sizeof *l.smooth)};
    const pofac_status status = l.kept && l.smooth ? POFAC_OK : diag_out_of_memory(sink);
    for (size_t i = 0; i < c->n_series && status == POFAC_OK; i++) put_series(c, &c->series[i], &l, out);
    free(l.kept);
    free(l.smooth);
    return status;
}

/* ---- the figure ---- */

static void put_legend(const chart *c, strbuf *out) {
    bool smooth = false;
    strbuf_puts(out, "<p class=\"legend\">");
    for (size_t i = 0; i < c->n_series; i++) {
        const chart_series *s = &c->series[i];
        smooth = smooth || has_mean(c, s);
        strbuf_puts(out, "<span>");
        chart_put_swatch(s->style, s->marked, out);
        strbuf_put_html(out, s->run, strlen(s->run));
        strbuf_puts(out, " <code>");
        strbuf_put_html(out, s->metric, strlen(s->metric));
        strbuf_puts(out, "</code></span> ");
    }
    if (smooth) strbuf_puts(out, "<span class=\"quiet\">pale: each value; bold: their mean</span>");
    strbuf_puts(out, "</p>");
}

pofac_status chart_put(const chart *c, const diag_sink *sink, strbuf *out) {
    const ranges r = find_ranges(c);
    if (!r.any) return POFAC_OK;
    const axis x = step_axis(&r), y = value_axis(c, &r);
    strbuf_puts(out, "<figure class=\"chart\"><figcaption><b>");
    strbuf_put_html(out, c->title, strlen(c->title));
    strbuf_puts(out, "</b> <span class=\"quiet\">");
    strbuf_put_html(out, c->unit, strlen(c->unit));
    strbuf_puts(out, *c->unit ? ", by step" : "by step");
    if (y.is_log) strbuf_puts(out, ", logarithmic");
    strbuf_puts(out, "</span></figcaption>");
    strbuf_printf(out, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    strbuf_put_html(out, c->title, strlen(c->title));
    strbuf_printf(out, "\" data-plot=\"%d %d %.17g %.17g\">", LEFT, PLOT_WIDTH, x.low, x.high);
    put_axes(c, &x, &y, out);
    TRY(put_lines(c, &x, &y, sink, out));
    strbuf_puts(out, "</svg>");
    put_legend(c, out);
    strbuf_puts(out, "</figure>\n");
    return POFAC_OK;
}
