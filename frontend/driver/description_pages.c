/*
 * Tables of the IR and of descriptions -> reference pages in Markdown; see description_pages.h. A page has an index, and a heading for each row, so that
 * others can link to it.
 */
#include "frontend/driver/description_pages.h"

#include <string.h>

#include "frontend/model/xml_reference.h"
#include "frontend/model/xml_schema.h"
#include "ir/op.h"
#include "passes/pass.h"

void description_reference_write(strbuf *out) { xml_reference_write(out); }

void description_schema_write(strbuf *out) { xml_schema_write(out); }

/* Within a cell of a table a bar would end it; asterisks would begin emphasis. */
static void put_cell(strbuf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|' || *text == '*') strbuf_putc(out, '\\');
        strbuf_putc(out, *text);
    }
}

static void put_prose(strbuf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '*' || *text == '<') strbuf_putc(out, '\\');
        strbuf_putc(out, *text);
    }
}

static void put_dtypes(strbuf *out) {
    strbuf_puts(out, "\n## Element types\n\n| type | bits | meaning |\n| --- | --- | --- |\n");
    for (int d = 0; d < IR_N_DTYPES; d++) {
        strbuf_printf(out, "| `%s` | %u | ", dtype_name((ir_dtype)d), dtype_bits((ir_dtype)d));
        put_cell(out, dtype_meaning((ir_dtype)d));
        strbuf_puts(out, " |\n");
    }
}

typedef struct trait_text {
    ir_trait trait;
    const char *text;
} trait_text;

static const trait_text trait_texts[] = {
    {TRAIT_LEAF, "a leaf"},
    {TRAIT_DECLARED, "the type of its result is written, and checked"},
    {TRAIT_ELEMENTWISE, "elementwise: the result has the first input's shape, and others of fewer dimensions are repeated"},
    {TRAIT_ROWWISE, "row by row"},
    {TRAIT_COMMUTATIVE, "its first two inputs may be swapped"},
    {TRAIT_WEIGHTED, "its second input is a weight"},
    {TRAIT_TILED, "runs in tiles"},
    {TRAIT_PRODUCT, "multiplies matrices"},
    {TRAIT_ACCUMULATES, "its result may lie in the last input's memory, to which it is added"},
};

static void put_arity(strbuf *out, const ir_op_info *op) {
    if (op->max_inputs == 0) strbuf_puts(out, "No input, ");
    else if (op->min_inputs == op->max_inputs)
        strbuf_printf(out, "%u input%s, ", (unsigned)op->min_inputs, op->min_inputs == 1 ? "" : "s");
    else strbuf_printf(out, "%u to %u inputs, ", (unsigned)op->min_inputs, (unsigned)op->max_inputs);
    strbuf_printf(out, "%u result%s", (unsigned)op->n_results, op->n_results == 1 ? "" : "s");
    for (size_t i = 0; i < sizeof trait_texts / sizeof *trait_texts; i++)
        if (op->traits & trait_texts[i].trait) strbuf_printf(out, "; %s", trait_texts[i].text);
    strbuf_puts(out, op->gradient ? "; has a gradient.\n" : ".\n");
}

static void put_attribute(strbuf *out, const ir_attr_schema *a) {
    strbuf_printf(out, "| `%s` | ", a->name);
    put_cell(out, a->choices ? a->choices : attr_kind_name(a->kind));
    if (!a->fallback) strbuf_puts(out, " | required | ");
    else if (*a->fallback) strbuf_printf(out, " | `%s` | ", a->fallback);
    else strbuf_puts(out, " | empty | ");
    put_cell(out, a->meaning);
    strbuf_puts(out, " |\n");
}

static void put_ops(strbuf *out) {
    strbuf_puts(out, "\n## Operations\n\n");
    for (int op = 0; op < IR_N_OPS; op++)
        strbuf_printf(out, "%s[`%s`](#%s)", op ? ", " : "", op_info((ir_op)op)->name, op_info((ir_op)op)->name);
    strbuf_puts(out, ".\n\nEvery node may carry `group` and `slot` besides, which change no value ([passes](#passes) `fuse` and "
                     "`plan-memory`).\n");
    for (int op = 0; op < IR_N_OPS; op++) {
        const ir_op_info *info = op_info((ir_op)op);
        strbuf_printf(out, "\n### %s\n\n", info->name);
        put_prose(out, info->meaning);
        strbuf_puts(out, "\n\n");
        put_arity(out, info);
        if (info->n_attrs) strbuf_puts(out, "\n| attribute | value | default | meaning |\n| --- | --- | --- | --- |\n");
        for (size_t i = 0; i < info->n_attrs; i++) put_attribute(out, &info->attrs[i]);
    }
}

static void put_pass_options(strbuf *out, const char *pass) {
    bool begun = false;
    for (size_t i = 0; pass_option_row(i); i++) {
        const pass_option_schema *o = pass_option_row(i);
        if (strcmp(o->pass, pass) != 0) continue;
        if (!begun) strbuf_puts(out, "\n| option | value | default | meaning |\n| --- | --- | --- | --- |\n");
        begun = true;
        strbuf_printf(out, "| `%s` | ", o->name);
        put_cell(out, o->values);
        strbuf_printf(out, " | `%s` | ", o->fallback);
        put_cell(out, o->meaning);
        strbuf_puts(out, " |\n");
    }
}

static void put_passes(strbuf *out) {
    strbuf_puts(out, "\n## Passes\n\nA pass takes a module and gives a module. Of those that keep the meaning, the interpreter "
                     "gives the same numbers before and "
                     "behind.\n");
    for (size_t i = 0; pass_row(i); i++) {
        strbuf_printf(out, "\n### Pass %s\n\n", pass_row(i)->name);
        put_prose(out, pass_row(i)->meaning);
        strbuf_puts(out, pass_row(i)->effect == KEEPS_MEANING ? ". Keeps the meaning.\n" : ". Changes the meaning.\n");
        put_pass_options(out, pass_row(i)->name);
    }
}

static void put_pipelines(strbuf *out) {
    strbuf_puts(out, "\n## Pipelines\n\n| name | passes | meaning |\n| --- | --- | --- |\n");
    for (size_t i = 0; pipeline_row(i); i++) {
        strbuf_printf(out, "| `%s` | `%s` | ", pipeline_row(i)->name, pipeline_row(i)->passes);
        put_cell(out, pipeline_row(i)->meaning);
        strbuf_puts(out, " |\n");
    }
}

void ir_reference_write(strbuf *out) {
    strbuf_puts(out, "# IR: types, operations, passes, pipelines\n\nMade from the tables by `pofac reference ir`. [ir.md](ir.md) "
                     "has the text form, and says what "
                     "types, patterns and layouts are.\n\nShapes are in brackets; letters are those of the "
                     "[glossary](../ARCHITECTURE.md#10-glossary). "
                     "`x [R,K] -> [R,N]` reads: of an input x of shape [R,K] a result of shape [R,N].\n");
    put_dtypes(out);
    put_ops(out);
    put_passes(out);
    put_pipelines(out);
}
