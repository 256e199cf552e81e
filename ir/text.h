/*
 * The text form of modules. Law: parse(print(m)) equals m bit for bit, for every module that the verifier accepts.
 *
 *   module    = { graph }
 *   graph     = "graph" "@" name "(" [ symbol "<=" number { "," symbol "<=" number } ] ")" "{" { node } return "}"
 *   node      = "%" N [ ":" results ] "=" op [ operand { "," operand } ] [ "{" attributes "}" ] ":" type { "," type } [ location ]
 *   operand   = "%" N [ "#" result ] | "_"            result number from 0, left out for 0; "_" is an absent optional input
 *   scope     = "scope" string                        a line of its own: holds for the nodes after it, until the next
 *   return    = "return" [ string "=" operand { "," string "=" operand } ]
 *   location  = "loc" "(" string ":" line ":" column ")"
 * Comments run from ";" to the end of the line. Attributes are sorted by name, floats print so that they read back exactly (shortest decimal
 * form; "inf", "-inf", "nan"). Constants larger than `max_constant_elements` appear as {data = "name"}; their data come from a
 * tensor_source when parsing.
 */
#ifndef POFAC_IR_TEXT_H
#define POFAC_IR_TEXT_H

#include "ir/graph.h"

typedef struct text_print_options {
    bool locations;       /* print loc(...) */
    const char *scope;    /* only nodes whose scope starts with it (not readable back); NULL: all */
    bool fold_layers;     /* print a layer that equals the one before it (up to numbers) as one comment line (not readable back) */
} text_print_options;

void text_print_module(const ir_module *m, text_print_options options, strbuf *out);
void text_print_graph(const ir_graph *g, text_print_options options, strbuf *out);
/* One node on one line, as in the full text, without a newline. */
void text_print_node(const ir_graph *g, const ir_node *n, strbuf *out);
/* The printed number of a node's results: its place in the graph, from 1. */
uint32_t text_node_number(const ir_graph *g, const ir_node *n);

/* Reads a module; `file` names the text in messages. `constants` gives data of elided constants (NULL: they stay unbound, which the verifier allows and
 * evaluation refuses). Every error has FILE:LINE:COL, the line and a caret. *out is NULL on error. */
POFAC_MUST_USE pofac_status text_parse_module(ir_context *c, const char *file, const char *text, size_t n,
                                              const tensor_source *constants, const diag_sink *sink, ir_module **out);

/* True when both print the same text and hold the same constants. */
bool module_equal(const ir_module *a, const ir_module *b);

#endif
