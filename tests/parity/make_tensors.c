/*
 * Writes a safetensors file with tensors as the command line gives them.
 *
 *   make_tensors OUT NAME:DTYPE:SHAPE:VALUES ...        input_ids:i64:2,3:2,7,3,2,9,3
 *
 * SHAPE and VALUES are numbers with commas between them; where there are fewer values than elements they are repeated.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/safetensors.h"

static void print_diag(void *user, const diag *d) {
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    fputs(strbuf_str(&text), user);
    strbuf_free(&text);
}

/* The next of some fields with colons between them, ended by 0; empty after the last. */
static char *next_field(char **text) {
    char *field = *text;
    *text += strcspn(*text, ":");
    if (**text) *(*text)++ = 0;
    return field;
}

static pofac_status fill(ir_tensor *t, const char *values, const diag_sink *sink) {
    double numbers[256];
    int64_t n = 0;
    for (char *end; *values && n < 256; n++) {
        numbers[n] = strtod(values, &end);
        if (end == values) return diag_error(sink, POFAC_ERR_USAGE, NULL, "found \"%s\", wanted a number", values);
        values = end + (*end == ',');
    }
    for (int64_t i = 0; n && i < tensor_elements(t); i++) tensor_set(t, i, numbers[i % n]);
    return POFAC_OK;
}

static pofac_status make(char *text, const diag_sink *sink, ir_tensor *t, safetensors_item *item) {
    int64_t dims[IR_MAX_RANK] = {0};
    uint32_t rank = 0;
    item->name = next_field(&text);
    const char *dtype = next_field(&text);
    if (!dtype_parse(dtype, strlen(dtype), &item->dtype)) return diag_error(sink, POFAC_ERR_USAGE, NULL, "%s: no dtype", dtype);
    for (char *shape = next_field(&text), *size; *item->name && (size = strsep(&shape, ",")) && rank < IR_MAX_RANK;)
        if (*size) dims[rank++] = strtoll(size, NULL, 10);
    if (tensor_alloc(item->dtype, rank, dims, t) != POFAC_OK) return diag_out_of_memory(sink);
    item->rank = rank;
    memcpy(item->dims, dims, sizeof dims);
    item->data = t->data;
    return fill(t, next_field(&text), sink);
}

int main(int argc, char **argv) {
    enum { MOST = 64 };
    const diag_sink sink = {print_diag, stderr};
    ir_tensor tensors[MOST] = {{0}};
    safetensors_item items[MOST] = {{0}};
    int n = argc - 2;
    if (n < 1 || n > MOST) {
        fprintf(stderr, "usage: make_tensors OUT NAME:DTYPE:SHAPE:VALUES ...\n");
        return POFAC_ERR_USAGE;
    }
    pofac_status status = POFAC_OK;
    for (int i = 0; status == POFAC_OK && i < n; i++) status = make(argv[2 + i], &sink, &tensors[i], &items[i]);
    if (status == POFAC_OK) status = safetensors_write(argv[1], items, (size_t)n, NULL, 0, &sink);
    for (int i = 0; i < n; i++) tensor_free(&tensors[i]);
    return (int)status;
}
