/* Bands of shares; see share_map.h. */
#include "frontend/report/share_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/report/axis_ticks.h"
#include "frontend/report/png_image.h"
#include "ir/support/json_text.h"

#define COLUMNS 256u /* of the image */
#define WIDTH 400
#define LEFT 108
#define RIGHT 44
#define ROW_HEIGHT 13
#define BOTTOM 20
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)

/* A row's colours: at each column the share of the last step that is not after it. */
static void fill_row(const share_map *m, size_t row, uint8_t *pixels) {
    const double first = m->steps[0], width = m->last_step - first;
    double share = 0;
    for (size_t c = 0, at = 0; c < COLUMNS; c++) {
        const double step = first + width * ((double)c / (COLUMNS - 1));
        for (; at < m->n_steps && m->steps[at] <= step; at++)
            if (!isnan(m->shares[row * m->n_steps + at])) share = m->shares[row * m->n_steps + at];
        pixels[c] = (uint8_t)lround(255 * fmin(fmax(share, 0), 1));
    }
}

static pofac_status put_image(const share_map *m, const diag_sink *sink, strbuf *out) {
    uint8_t *pixels = malloc(m->n_rows * COLUMNS);
    png_image image = {.width = COLUMNS, .height = (uint32_t)m->n_rows, .pixels = pixels};
    if (!pixels) return diag_out_of_memory(sink);
    for (size_t r = 0; r < m->n_rows; r++) fill_row(m, r, pixels + r * COLUMNS);
    png_set_ramp(&image);
    strbuf_printf(out, "<image x=\"%d\" y=\"0\" width=\"%d\" height=\"%zu\" preserveAspectRatio=\"none\" href=\"", LEFT, PLOT_WIDTH,
                  m->n_rows * ROW_HEIGHT);
    const pofac_status status = png_put_data_uri(&image, sink, out);
    strbuf_puts(out, "\"/>");
    free(pixels);
    return status;
}

static void put_row(const share_map *m, size_t row, strbuf *out) {
    const double *shares = m->shares + row * m->n_steps;
    const double y = (double)row * ROW_HEIGHT + 9.5, last = shares[m->n_steps - 1];
    strbuf_puts(out, "<g class=\"band\" data-run=\"");
    strbuf_put_html(out, m->run, strlen(m->run));
    strbuf_puts(out, "\" data-metric=\"");
    strbuf_put_html(out, m->rows[row], strlen(m->rows[row]));
    strbuf_puts(out, "\" data-steps=\"");
    for (size_t i = 0; i < m->n_steps; i++) strbuf_printf(out, "%s%.0f", i ? " " : "", m->steps[i]);
    strbuf_puts(out, "\" data-values=\"");
    for (size_t i = 0; i < m->n_steps; i++) {
        if (i) strbuf_putc(out, ' ');
        json_put_real(shares[i], out);
    }
    strbuf_printf(out, "\"><text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\"><title>", LEFT - 4, y);
    strbuf_put_html(out, m->rows[row], strlen(m->rows[row]));
    strbuf_puts(out, "</title>");
    strbuf_put_html(out, m->labels[row], strlen(m->labels[row]));
    strbuf_puts(out, "</text>");
    if (!isnan(last))
        strbuf_printf(out, "<text class=\"tick\" x=\"%d\" y=\"%.1f\">%.1f %%</text>", WIDTH - RIGHT + 4, y, 100 * last);
    strbuf_puts(out, "</g>");
}

static void put_steps(const share_map *m, strbuf *out) {
    const double low = m->steps[0], high = m->last_step;
    axis a = axis_make(low, high, false, 4);
    a.low = low;
    a.high = high > low ? high : low + 1;
    for (int i = 0; i < a.n; i++) {
        if (a.ticks[i] < a.low || a.ticks[i] > a.high) continue;
        strbuf_printf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%zu\" text-anchor=\"middle\">",
                      LEFT + PLOT_WIDTH * axis_place(&a, a.ticks[i]), m->n_rows * ROW_HEIGHT + 14);
        axis_put_label(&a, a.ticks[i], false, out);
        strbuf_puts(out, "</text>");
    }
}

pofac_status share_map_put(const share_map *m, const diag_sink *sink, strbuf *out) {
    if (m->n_rows == 0 || m->n_steps == 0) return POFAC_OK;
    strbuf_puts(out, "<figure class=\"chart\"><figcaption><b>Sparsity by layer</b> <span class=\"quiet\">");
    strbuf_put_html(out, m->run, strlen(m->run));
    strbuf_puts(out, ", by step; white: 0 %, darkest: 100 %; at the right the last</span></figcaption>");
    strbuf_printf(out, "<svg class=\"plot\" viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"sparsity by layer and step\">", WIDTH,
                  m->n_rows * ROW_HEIGHT + BOTTOM);
    TRY(put_image(m, sink, out));
    for (size_t r = 0; r < m->n_rows; r++) put_row(m, r, out);
    put_steps(m, out);
    strbuf_puts(out, "</svg></figure>\n");
    return POFAC_OK;
}
