/* The text form of modules: what parses prints, reads back and is equal; what does not has one error with a place in the text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ir/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(void *user, const diag *d) {
    size_t *errors = user;
    (*errors)++;
    if (d->status == POFAC_ERR_INPUT && (!d->place.file || !d->place.line || !d->place.column || !d->place.text)) abort();
}

static void check_round_trip(ir_context *c, const ir_module *m, text_print_options options) {
    strbuf text = STRBUF_INIT, again = STRBUF_INIT;
    ir_module *back;
    text_print_module(m, options, &text);
    if (text_parse_module(c, "printed.pir", strbuf_str(&text), text.size, NULL, NULL, &back) != POFAC_OK) abort();
    if (!module_equal(m, back)) abort();
    text_print_module(back, options, &again);
    if (strcmp(strbuf_str(&text), strbuf_str(&again)) != 0) abort();
    module_destroy(back);
    strbuf_free(&text);
    strbuf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t errors = 0;
    const diag_sink sink = {check_place, &errors};
    ir_context *c = context_create(), *other = context_create();
    ir_module *m;
    if (!c || !other) abort();
    pofac_status status = text_parse_module(c, "fuzz.pir", (const char *)data, size, NULL, &sink, &m);
    if (errors != (status != POFAC_OK) || (m != NULL) != (status == POFAC_OK)) abort();
    if (m) {
        strbuf folded = STRBUF_INIT;
        check_round_trip(c, m, (text_print_options){false, NULL, false});
        check_round_trip(other, m, (text_print_options){true, NULL, false});
        text_print_module(m, (text_print_options){false, "a", true}, &folded);
        text_print_module(m, (text_print_options){false, NULL, true}, &folded);
        strbuf_free(&folded);
    }
    module_destroy(m);
    context_destroy(c);
    context_destroy(other);
    return 0;
}
