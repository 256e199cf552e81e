/* Density of blocks as pixels; see weight_picture.h. */
#include "frontend/report/weight_picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/report/png_image.h"

#define SIDE_SHOWN INT64_C(384) /* of the page's pixels: two for each of the picture */
#define LEAST_SHOWN INT64_C(16)

/* What counts entries: by block, and by column. */
typedef struct counting {
    weight_picture *p;
    int64_t *columns; /* [K] non-zeros */
} counting;

static void count_entry(const counting *c, int64_t row, int64_t column) {
    weight_picture *p = c->p;
    p->share[row / p->block_rows * p->width + column / p->block_columns]++;
    p->nonzeros++;
    c->columns[column]++;
}

static void count_pattern(const counting *c, const ir_pattern *pattern) {
    for (int64_t r = 0; r < pattern->n_rows; r++) {
        if (pattern->row_start[r] == pattern->row_start[r + 1]) c->p->empty_rows++;
        for (int64_t i = pattern->row_start[r]; i < pattern->row_start[r + 1]; i++) count_entry(c, r, pattern->column[i]);
    }
}

static void count_dense(const counting *c, const ir_tensor *t, double *row) {
    for (int64_t r = 0; r < t->dims[0]; r++) {
        const int64_t before = c->p->nonzeros;
        tensor_get_run(t, r * t->dims[1], t->dims[1], row);
        for (int64_t k = 0; k < t->dims[1]; k++)
            if (row[k] != 0) count_entry(c, r, k);
        if (c->p->nonzeros == before) c->p->empty_rows++;
    }
}

/* Counts become shares; blocks at the end are smaller. */
static void divide(weight_picture *p) {
    p->least = 1;
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t x = 0; x < p->width; x++) {
            const int64_t rows = y + 1 < p->height ? p->block_rows : p->rows - y * p->block_rows;
            const int64_t columns = x + 1 < p->width ? p->block_columns : p->columns - x * p->block_columns;
            double *share = &p->share[y * p->width + x];
            *share /= (double)(rows * columns);
            p->least = fmin(p->least, *share);
            p->greatest = fmax(p->greatest, *share);
        }
}

static int64_t parts_of(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

pofac_status weight_picture_make(const ir_tensor *t, const diag_sink *sink, weight_picture *out) {
    const ir_pattern *pattern = t->pattern;
    *out = (weight_picture){.rows = pattern ? pattern->n_rows : t->dims[0], .columns = pattern ? pattern->n_columns : t->dims[1]};
    if ((!pattern && t->rank != 2) || out->rows <= 0 || out->columns <= 0)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "picture of a weight: found %u dimensions, wanted a matrix with entries",
                          t->rank);
    out->block_rows = parts_of(out->rows, WEIGHT_PICTURE_SIDE);
    out->block_columns = parts_of(out->columns, WEIGHT_PICTURE_SIDE);
    out->height = parts_of(out->rows, out->block_rows);
    out->width = parts_of(out->columns, out->block_columns);
    out->share = calloc((size_t)(out->height * out->width), sizeof *out->share);
    const counting c = {out, calloc((size_t)out->columns, sizeof *c.columns)};
    double *row = calloc((size_t)out->columns, sizeof *row);
    pofac_status status = out->share && c.columns && row ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) {
        if (pattern) count_pattern(&c, pattern);
        else count_dense(&c, t, row);
        for (int64_t k = 0; k < out->columns; k++) out->empty_columns += c.columns[k] == 0;
        divide(out);
    }
    free(c.columns);
    free(row);
    if (status != POFAC_OK) weight_picture_free(out);
    return status;
}

void weight_picture_free(weight_picture *p) {
    free(p->share);
    *p = (weight_picture){0};
}

/* Neither side is shown longer than SIDE_SHOWN, and none so thin that it cannot be seen. */
static void put_shown_size(const weight_picture *p, strbuf *out) {
    const int64_t most = p->width > p->height ? p->width : p->height;
    const int64_t width = SIDE_SHOWN * p->width / most, height = SIDE_SHOWN * p->height / most;
    strbuf_printf(out, " style=\"width:min(100%%,%" PRId64 "px)", width < LEAST_SHOWN ? LEAST_SHOWN : width);
    if (width < LEAST_SHOWN || height < LEAST_SHOWN)
        strbuf_printf(out, ";height:%" PRId64 "px", height < LEAST_SHOWN ? LEAST_SHOWN : height);
    strbuf_putc(out, '"');
}

pofac_status weight_picture_put(const weight_picture *p, const char *name, const diag_sink *sink, strbuf *out) {
    const size_t n = (size_t)(p->height * p->width);
    uint8_t *pixels = malloc(n);
    png_image image = {.width = (uint32_t)p->width, .height = (uint32_t)p->height, .pixels = pixels};
    if (!pixels) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) /* a block that has any entry is not white */
        pixels[i] = p->share[i] > 0 ? (uint8_t)(24 + lround(231 * p->share[i] / p->greatest)) : 0;
    png_set_ramp(&image);
    strbuf_printf(out, "<img class=\"weight\" width=\"%u\" height=\"%u\" alt=\"non-zeros of ", image.width, image.height);
    strbuf_put_html(out, name, strlen(name));
    strbuf_puts(out, "\" src=\"");
    const pofac_status status = png_put_data_uri(&image, sink, out);
    strbuf_putc(out, '"');
    put_shown_size(p, out);
    strbuf_putc(out, '>');
    free(pixels);
    return status;
}
