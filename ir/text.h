/*
 * The text form of modules. Law: parse(print(m)) equals m bit for bit, for every module that the verifier accepts.
 *
 *   module    = { graph }
 *   graph     = "graph" "@" name "(" [ symbol "<=" number { "," symbol "<=" number } ] ")" "{" { scope | node } return "}"
 *   scope     = "scope" string                        holds for the nodes after it, until the next
 *   node      = "%" N [ ":" results ] "=" op [ operand { "," operand } ] [ "{" attributes "}" ] ":" type { "," type } [ location ]
 *   operand   = value | "_"                           "_" is an absent optional input
 *   value     = "%" N [ "#" result ]                  result number from 0, left out for 0
 *   attributes= [ name "=" attribute { "," name "=" attribute } ]
 *   attribute = number | string | "true" | "false" | "[" [ number { "," number } ] "]"        what the op's schema asks for
 *   type      = ( dtype | "pattern" ) "[" [ dim { "," dim } ] "]" [ ( "tiles" | "quads" ) "<" rows ">" ]
 *   dim       = factor { "*" factor } [ ( "+" | "-" ) number ]
 *   factor    = number | symbol | "nnz" "(" value ")"
 *   location  = "loc" "(" string ":" line ":" column ")"
 *   return    = "return" [ string "=" value { "," string "=" value } ]
 *
 * White space separates tokens and means nothing else; comments run from ";" to the end of the line. Strings have the escapes \"
 * \\ \n \t and \xNN. Numbers of values are any that differ within a graph, defined before use; printing numbers nodes from 1 in
 * order. Printed attributes are sorted by name and left out where they equal their default; floats print so that they read back
 * exactly ("inf", "-inf", "nan").
 *
 * A constant has its elements in the attribute `value`, or, when they are many (builders keep at most 64 inline), in the module
 * under the name in the attribute `data`. Text has the name only; the elements come from a tensor_source when parsing.
 */
#ifndef POFAC_IR_TEXT_H
#define POFAC_IR_TEXT_H

#include "ir/graph.h"

typedef struct text_print_options {
    bool locations;    /* print loc(...) */
    const char *scope; /* only nodes of this scope and those below it (not readable back); NULL: all */
    bool fold_layers;  /* one comment line for layers that equal the one before them, but for numbers (not readable back) */
} text_print_options;

/* Each appends to `out`, whose failure is sticky. */
void text_print_module(const ir_module *m, text_print_options options, strbuf *out);
void text_print_graph(const ir_graph *g, text_print_options options, strbuf *out);
/* One node on one line as in the full text, without indentation, padding and newline. */
void text_print_node(const ir_graph *g, const ir_node *n, strbuf *out);
/* The printed number of a node's results: its place in the graph, from 1. */
uint32_t text_node_number(const ir_graph *g, const ir_node *n);

/* Reads a module and verifies it; `file` names the text in messages. `constants` gives data of constants that name them (NULL:
 * they stay unbound, which the verifier allows and evaluation refuses). Nodes get the location that the text gives them, else
 * their place in the text. Every error of the text, POFAC_ERR_INPUT, has FILE:LINE:COL, the line and a caret. *out is NULL on
 * error. */
POFAC_MUST_USE pofac_status text_parse_module(ir_context *c, const char *file, const char *text, size_t n,
                                              const tensor_source *constants, const diag_sink *sink, ir_module **out);

/* True when both print the same text (without locations) and hold the same constants; false when memory is short. */
bool module_equal(const ir_module *a, const ir_module *b);

#endif
