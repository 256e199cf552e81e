/* Any bytes as config.json: either refused with a message, or what was read is written, read again and written to the same text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/model/model_spec.h"
#include "tests/fuzz/input_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena memory = ARENA_INIT;
    strbuf said = STRBUF_INIT, first = STRBUF_INIT, second = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    model_spec spec;
    put(data, size);
    pofac_status status = config_json_read(path, &memory, &sink, &spec);
    if (status != POFAC_OK && said.size == 0) abort();
    if (status == POFAC_OK) {
        config_json_write(&spec, &first);
        put(first.data, first.size);
        if (config_json_read(path, &memory, NULL, &spec) != POFAC_OK) abort();
        config_json_write(&spec, &second);
        if (strcmp(strbuf_str(&first), strbuf_str(&second)) != 0) abort();
    }
    arena_free(&memory);
    strbuf_free(&said);
    strbuf_free(&first);
    strbuf_free(&second);
    return 0;
}
