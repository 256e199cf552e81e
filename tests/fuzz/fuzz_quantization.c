/* Any bytes as a plan of quantization, if they begin with a brace, and else as quantization.safetensors: either refused with a message, or what is read can be
 * put and asked for, with ranges that make scales. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/model_quantization.h"
#include "tests/fuzz/input_file.h"

static char directory[64], place[128];

static void remove_directory(void) {
    remove(place);
    rmdir(directory);
}

/* A folder whose quantization.safetensors is the input. */
static void make_directory(void) {
    if (directory[0]) return;
    strcpy(directory, "/tmp/pofac-fuzz-XXXXXX");
    if (!mkdtemp(directory)) exit(1);
    snprintf(place, sizeof place, "%s/" QUANTIZATION_FILE, directory);
    if (symlink(path, place) != 0) exit(1);
    atexit(remove_directory);
}

static void check_range(const float *range, int64_t n, int bits) {
    for (int64_t i = 0; range && i < n; i++) {
        const float scale = quantization_weight_scale(range + 2 * i, bits);
        if (!(range[2 * i] <= range[2 * i + 1]) || !(scale > 0)) abort();
    }
}

static void check_plan(quantization_plan *p) {
    strbuf text = STRBUF_INIT;
    quantization_plan_put(p, &text);
    (void)quantization_plan_of(p, "bert.encoder.layer.0.output.dense");
    if ((p->weight_bits != 8 && p->weight_bits != 4) || p->begin < 0 || text.size == 0) abort();
    strbuf_free(&text);
}

static void check_model(model_quantization *q) {
    for (size_t i = 0; i < model_quantization_size(q); i++) {
        const quantized_module *m = model_quantization_at(q, i);
        const int bits = model_quantization_plan(q)->weight_bits;
        if (model_quantization_find(q, m->name) != m || !m->weight) abort();
        check_range(m->input, 1, bits);
        check_range(m->output, 1, bits);
        check_range(m->weight, m->n_weight_ranges, bits);
        (void)model_quantization_of(q, m->name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena memory = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    quantization_plan plan;
    model_quantization *q = NULL;
    pofac_status status;
    put(data, size);
    if (size > 0 && data[0] == '{') {
        status = quantization_plan_read(path, &memory, &sink, &plan);
        if (status == POFAC_OK) check_plan(&plan);
    } else {
        make_directory();
        status = model_quantization_read(directory, &sink, &q);
        if (q) check_model(q);
    }
    if (status != POFAC_OK && said.size == 0) abort();
    model_quantization_close(q);
    arena_free(&memory);
    strbuf_free(&said);
    return 0;
}
