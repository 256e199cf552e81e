/* Masks from a file; see given_masks.h. */
#include "frontend/driver/given_masks.h"

#include <inttypes.h>
#include <stdlib.h>

pofac_status given_masks_open(const pruning_config *c, bool of_options, const diag_sink *sink, checkpoint **out) {
    *out = NULL;
    if (c->masks) return checkpoint_open(c->masks, sink, out);
    return diag_error(sink, of_options ? POFAC_ERR_USAGE : POFAC_ERR_INPUT, &c->place,
                      "masks: found nothing, %s wants a file of masks", c->method);
}

static pofac_status wrong_shape(const checkpoint_tensor *t, int64_t n_rows, int64_t n_columns, const diag_sink *sink) {
    const diag_place place = {.file = t->file};
    strbuf shape = STRBUF_INIT;
    checkpoint_print_shape(t->rank, t->dims, &shape);
    const pofac_status status = diag_error(sink, POFAC_ERR_INPUT, &place, "%s: found %s, wanted [%" PRId64 ",%" PRId64 "]", t->name,
                                           strbuf_str(&shape), n_rows, n_columns);
    strbuf_free(&shape);
    return status;
}

pofac_status given_mask_read(const checkpoint *masks, const char *weight, int64_t n_rows, int64_t n_columns, const diag_sink *sink,
                             uint8_t *mask) {
    strbuf name = STRBUF_INIT;
    strbuf_printf(&name, "%s.mask", weight);
    const checkpoint_tensor *t = strbuf_ok(&name) ? checkpoint_get(masks, strbuf_str(&name)) : NULL;
    strbuf_free(&name);
    if (!t) t = checkpoint_get(masks, weight);
    if (!t) {
        const diag_place place = {.file = checkpoint_size(masks) ? checkpoint_at(masks, 0)->file : NULL};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found no mask %s.mask or %s, wanted one of [%" PRId64 ",%" PRId64 "]",
                          weight, weight, n_rows, n_columns);
    }
    if (t->rank != 2 || t->dims[0] != n_rows || t->dims[1] != n_columns) return wrong_shape(t, n_rows, n_columns, sink);
    float *values = malloc((size_t)(n_rows * n_columns) * sizeof *values + 1);
    if (!values) return diag_out_of_memory(sink);
    checkpoint_read_f32(t, values);
    for (int64_t i = 0; i < n_rows * n_columns; i++) mask[i] = values[i] != 0;
    free(values);
    checkpoint_release(masks, t);
    return POFAC_OK;
}
