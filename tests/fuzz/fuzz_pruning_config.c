/* Any bytes as a configuration of pruning: either refused with a message, or layers are chosen with parameters in their ranges, or the choice is refused with a
 * message. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/model/pruning_config.h"
#include "tests/fuzz/input_file.h"

static const prunable_layer layers[] = {{"bert.encoder.layer.0.output.dense", 128, 512},
                                        {"bert.encoder.layer.11.attention.self.query", 128, 128},
                                        {"cls.seq_relationship", 2, 128}};

static bool is_share(double x) { return x >= 0 && x <= 1; }

static void check(const pruning_config *c, const pruning_choice *chosen, size_t n) {
    if (n > sizeof layers / sizeof *layers) abort();
    for (size_t i = 0; i < n; i++) {
        const pruning_parameters *p = &chosen[i].parameters;
        const bool by_shape = c->init != PRUNING_INIT_UNIFORM;
        if (!is_share(p->initial_sparsity) || (!by_shape && !is_share(p->target_sparsity)) || !(p->threshold_decay < 1)) abort();
        if (p->block_size < 1 || p->block_rows < 1 || p->block_columns < 1 || !p->group) abort();
    }
    for (int64_t step = 0; step < 3000; step += 37) {
        const double progress = pruning_config_progress(c, step);
        if (!is_share(progress)) abort();
        (void)pruning_config_is_due(c, step);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena memory = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    pruning_config config;
    pruning_choice *chosen;
    size_t n;
    put(data, size);
    pofac_status status = pruning_config_read(path, &memory, &sink, &config);
    if (status == POFAC_OK) {
        status = pruning_config_select(&config, layers, sizeof layers / sizeof *layers, &memory, &sink, &chosen, &n);
        if (status == POFAC_OK) check(&config, chosen, n);
    }
    if (status != POFAC_OK && said.size == 0) abort();
    arena_free(&memory);
    strbuf_free(&said);
    return 0;
}
