/*
 * Any bytes as a compiled model: refused with a message, or its definition, graph, tokenizer, ranges of 8 bits and parameters can be read; once as they are,
 * once with all checksums made right. Its code is never run: whoever makes code and checksums of it may do what a program may.
 */
#include <stdint.h>

#include "frontend/driver/compiled_model.h"
#include "frontend/driver/model_quantization.h"
#include "ir/support/hash.h"
#include "tests/fuzz/input_file.h"

enum { HEAD = 64, FOOT = 64, ENTRY = 128, BLOCK = 1 << 20 };

static pofac_status read_quantization(const compiled_model *c, const diag_sink *sink) {
    const compiled_section *s = compiled_file_find(compiled_model_file(c), COMPILED_TEXT, COMPILED_QUANTIZATION);
    model_quantization *q = NULL;
    if (!s || !s->bytes) return POFAC_OK;
    const pofac_status status = model_quantization_read_memory(COMPILED_QUANTIZATION, s->data, s->bytes, sink, &q);
    if ((status == POFAC_OK) != (q != NULL)) abort();
    model_quantization_close(q);
    return status;
}

static void read_parts(const compiled_model *c, const diag_sink *sink, strbuf *said) {
    arena a = ARENA_INIT;
    model_spec spec;
    tokenizer *t = NULL;
    ir_module *m = NULL;
    ir_context *context = context_create();
    cg_target target = {.isa = "generic"};
    for (int part = 0; part < 5; part++) {
        strbuf_clear(said);
        const pofac_status status = part == 0   ? compiled_model_spec(c, &a, sink, &spec)
                                    : part == 1 ? compiled_model_tokenizer(c, sink, &t)
                                    : part == 2 ? compiled_model_graph(c, context, sink, &m)
                                    : part == 3 ? read_quantization(c, sink)
                                                : compiled_model_target(c, NULL, &a, sink, &target);
        if (status != POFAC_OK && said->size == 0) abort();
    }
    for (size_t i = 0; i < compiled_model_size(c); i++) {
        ir_tensor shape, tensor;
        compiled_model_shape(c, i, &shape);
        if (tensor_elements(&shape) > 1 << 20) continue;
        if (compiled_model_tensor(c, i, sink, &tensor) != POFAC_OK) continue;
        (void)tensor_count_zeros(&tensor);
        tensor_free(&tensor);
    }
    (void)strlen(compiled_model_kernels(c));
    tokenizer_destroy(t);
    module_destroy(m);
    context_destroy(context);
    arena_free(&a);
}

static void try_bytes(const uint8_t *data, size_t size) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    compiled_model *c;
    put(data, size);
    const pofac_status status = compiled_model_open(path, 1, &sink, &c);
    if ((status == POFAC_OK) != (c != NULL)) abort();
    if (status != POFAC_OK && said.size == 0) abort(); /* an error without a message */
    if (c) read_parts(c, &sink, &said);
    compiled_model_close(c);
    strbuf_free(&said);
}

static uint64_t hash_padded(const uint8_t *bytes, size_t n) {
    uint64_t sums[8];
    size_t blocks = 0;
    for (size_t at = 0; at < n && blocks < 8; at += BLOCK) sums[blocks++] = hash_bytes(bytes + at, n - at < BLOCK ? n - at : BLOCK);
    return hash_bytes(sums, blocks * sizeof *sums);
}

/* Computes the checksums as compiled_file.h says, wherever the numbers in the foot and the entries allow. */
static void make_right(uint8_t *data, size_t size) {
    uint64_t begin, bytes, entries, sum;
    uint8_t ends[HEAD + 40];
    if (size < HEAD + FOOT || size % 64 != 0 || size > 4 * BLOCK) return;
    uint8_t *foot = data + size - FOOT;
    const uint64_t end = size - FOOT, whole = size;
    memcpy(data, "POFACMDL\2\0\0", 12);
    memcpy(foot + 56, "POFACEND", 8);
    memcpy(foot + 24, &whole, sizeof whole);
    memcpy(&begin, foot, sizeof begin);
    memcpy(&bytes, foot + 8, sizeof bytes);
    memcpy(&entries, foot + 16, sizeof entries);
    if (begin <= end && begin % 64 == 0 && bytes <= end - begin) {
        for (uint64_t i = 0; i < entries && (i + 1) * ENTRY <= bytes; i++) {
            uint64_t at, n;
            memcpy(&at, data + begin + i * ENTRY, sizeof at);
            memcpy(&n, data + begin + i * ENTRY + 8, sizeof n);
            if (at > end || n > end - at || (n + 63) / 64 * 64 > end - at) continue;
            sum = hash_padded(data + at, (n + 63) / 64 * 64);
            memcpy(data + begin + i * ENTRY + 24, &sum, sizeof sum);
        }
        sum = hash_padded(data + begin, (bytes + 63) / 64 * 64);
        memcpy(foot + 32, &sum, sizeof sum);
    }
    memset(foot + 48, 0, 8);
    memcpy(ends, data, HEAD);
    memcpy(ends + HEAD, foot, 40);
    sum = hash_bytes(ends, sizeof ends);
    memcpy(foot + 40, &sum, sizeof sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_bytes(data, size);
    uint8_t *copy = malloc(size + 1);
    if (!copy) return 0;
    memcpy(copy, data, size);
    make_right(copy, size);
    try_bytes(copy, size);
    free(copy);
    return 0;
}
