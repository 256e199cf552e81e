/* Graphs out of text, see text_case.h. */
#include "tests/unit/text_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/text.h"

static void append_message(void *user, const diag *d) {
    strbuf *out = user;
    if (out->size > 0) strbuf_puts(out, "; ");
    strbuf_puts(out, d->message);
}

diag_sink message_sink(strbuf *out) { return (diag_sink){.emit = append_message, .user = out}; }

void text_case_begin(text_case *c, const char *nodes) {
    *c = (text_case){.context = context_create(), .messages = STRBUF_INIT};
    c->sink = message_sink(&c->messages);
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "graph @g (B <= 8, M <= 64, N <= 8, S <= 16, T <= 64) {\n%s}\n", nodes);
    if (!c->context || !strbuf_ok(&text)) fail_msg("memory is short");
    if (text_parse_module(c->context, "case", strbuf_str(&text), text.size, NULL, &c->sink, &c->module) == POFAC_OK)
        c->graph = module_find_graph(c->module, "g");
    strbuf_free(&text);
}

pofac_status text_case_run(text_case *c, named_tensors *inputs, named_tensors *state) {
    named_tensors none = {.what = "tensor"};
    tensor_source given = named_tensors_source(inputs ? inputs : &none), known = named_tensors_source(state ? state : &none);
    if (!c->graph) fail_msg("the text was refused: %s", strbuf_str(&c->messages));
    interp_results_free(&c->results);
    return interpret_graph(c->graph, &given, &known, NULL, &c->sink, &c->results);
}

void text_case_end(text_case *c) {
    interp_results_free(&c->results);
    module_destroy(c->module);
    context_destroy(c->context);
    strbuf_free(&c->messages);
}
