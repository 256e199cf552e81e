/* Noting what was chosen; see kernel_choices.h. */
#include "frontend/driver/kernel_choices.h"

#include <string.h>

#include "frontend/driver/kernel_pins.h"

/* A line that begins with the name as an extended regular expression that fits it alone. */
static void begin_line(const char *name, strbuf *out) {
    strbuf_puts(out, out->size ? "\n^" : "^");
    for (; *name; name++) {
        if (strchr("\\^$.[]|()*+?{}", *name)) strbuf_putc(out, '\\');
        strbuf_putc(out, *name);
    }
    strbuf_puts(out, "$:");
}

/* The input gradient would go by the forward product's pin otherwise, so that it is always said. */
static void put_choice(const linear_problem *p, const linear_choice *c, strbuf *out) {
    if (!c->variant[0] && !c->input_gradient[0] && !c->weight_gradient[0]) return;
    if (c->variant[0]) {
        begin_line(p->name, out);
        strbuf_puts(out, c->variant);
    }
    if (cost_problem_has(p, PRODUCT_INPUT_GRADIENT)) {
        begin_line(p->name, out);
        strbuf_puts(out, KERNEL_PIN_INPUT_GRADIENT);
        if (c->input_gradient[0]) strbuf_printf(out, " %s", c->input_gradient);
    }
    if (c->weight_gradient[0]) {
        begin_line(p->name, out);
        strbuf_puts(out, c->weight_gradient);
    }
}

static pofac_status choose(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out) {
    const kernel_choices *c = user;
    TRY(c->rest->choose(c->rest->user, problems, n, sink, out));
    for (size_t i = 0; i < n; i++) put_choice(&problems[i], &out[i], c->out);
    return strbuf_ok(c->out) ? POFAC_OK : diag_out_of_memory(sink);
}

cost_source kernel_choices_source(kernel_choices *c) { return (cost_source){choose, c}; }
