/*
 * Any bytes as a file of predictions for rows, plain or gzip: refused with a message, or every prediction belongs to one row, has a text and
 * is found again by the row's number.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/score_predictions.h"
#include "tests/fuzz/input_file.h"

#define CHECK(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition)) abort();                                                                                                 \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    row_predictions p = ROW_PREDICTIONS_INIT;
    put(data, size);
    const pofac_status status = row_predictions_read(path, &sink, &p);
    CHECK(status == POFAC_OK || said.size > 0);
    CHECK(status != POFAC_OK || p.by_row.size == p.rows.size);
    for (size_t i = 0; i < p.by_row.size && status == POFAC_OK; i++) {
        const row_prediction *found = row_predictions_take(&p, strtoull(p.by_row.entries[i].key, NULL, 10));
        CHECK(found == &p.rows.data[i] && found->used && found->text && found->line >= 1);
        CHECK(strlen(found->text) <= size * 1100); /* gzip's most */
    }
    row_predictions_free(&p);
    strbuf_free(&said);
    return 0;
}
