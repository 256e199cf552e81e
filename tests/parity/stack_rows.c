/*
 * Makes one padded batch of matrices of different lengths: tensors [S_i,E] of a file become embedding_output [N,S,E], zeros where a row
 * is shorter than the longest, with attention_mask [N,S].
 *
 *   stack_rows IN OUT NAME...
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

static pofac_status stack(const checkpoint *in, const char *out, char **names, int64_t n, const diag_sink *sink) {
    int64_t length = 0, width = 0;
    for (int64_t i = 0; i < n; i++) {
        const checkpoint_tensor *t = checkpoint_get(in, names[i]);
        if (!t || t->rank != 2 || (width && t->dims[1] != width))
            return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: wanted a matrix as wide as the others", names[i]);
        width = t->dims[1];
        if (t->dims[0] > length) length = t->dims[0];
    }
    float *rows = calloc((size_t)(n * length * width), sizeof *rows); /* [N,S,E] */
    int64_t *mask = calloc((size_t)(n * length), sizeof *mask);       /* [N,S] */
    pofac_status status = rows && mask ? POFAC_OK : diag_out_of_memory(sink);
    for (int64_t i = 0; status == POFAC_OK && i < n; i++) {
        const checkpoint_tensor *t = checkpoint_get(in, names[i]);
        checkpoint_read_f32(t, rows + i * length * width);
        for (int64_t k = 0; k < t->dims[0]; k++) mask[i * length + k] = 1;
    }
    const safetensors_item items[2] = {
        {.name = "embedding_output", .dtype = IR_F32, .rank = 3, .dims = {n, length, width}, .data = rows},
        {.name = "attention_mask", .dtype = IR_I64, .rank = 2, .dims = {n, length}, .data = mask},
    };
    if (status == POFAC_OK) status = safetensors_write(out, items, 2, NULL, 0, sink);
    free(rows);
    free(mask);
    return status;
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, stderr};
    if (argc < 4) {
        fprintf(stderr, "usage: stack_rows IN OUT NAME...\n");
        return POFAC_ERR_USAGE;
    }
    checkpoint *in;
    TRY(checkpoint_open(argv[1], &sink, &in));
    pofac_status status = stack(in, argv[2], argv + 3, argc - 3, &sink);
    checkpoint_close(in);
    return (int)status;
}
