/*
 * Modules, graphs, nodes: the SSA form that every pass reads and writes.
 *
 * A module holds graphs over one set of named state, and constants by name. A graph is an array of nodes in topological order; a
 * node has any number of results; a value is one result of one node, named by a 32-bit id. Nothing is edited in place once a graph
 * is finished: a pass reads module A and builds module B (rewrite.h).
 *
 * Building never needs a check after each call: the first error is sent to the module's sink and kept, node_add then returns
 * IR_NO_VALUE, operations on IR_NO_VALUE do nothing, and graph_finish returns the first error, which the module keeps as its status.
 *
 * Ownership: a module owns its graphs and everything in them; strings and types belong to the context, which must outlive its
 * modules.
 */
#ifndef POFAC_IR_GRAPH_H
#define POFAC_IR_GRAPH_H

#include "ir/support/vector.h"
#include "ir/tensor.h"
#include "ir/type.h"

typedef enum ir_op {
#define OP(id, min_in, max_in, n_results, traits, infer, eval, gradient, meaning) OP_##id,
#define OP_ATTR(op, name, kind, fallback, choices, meaning)
#include "ir/ops.def"
#undef OP
#undef OP_ATTR
    IR_N_OPS
} ir_op;

typedef enum ir_attr_kind { ATTR_INT, ATTR_FLOAT, ATTR_BOOL, ATTR_STRING, ATTR_ENUM, ATTR_INTS, ATTR_FLOATS } ir_attr_kind;

/* Names that speak of another state: of a weight NAME the mask NAME.mask, a pattern, and the scores NAME.scores that it is made by; frozen parameters
 * teacher.NAME, which no step changes and no gradient reaches. */
#define IR_MASK ".mask"
#define IR_SCORES ".scores"
#define IR_FROZEN "teacher."
/* What is known of the values of a linear's module MODULE: f32 [2], least and greatest. */
#define IR_INPUT_RANGE ".input_range"
#define IR_WEIGHT_RANGE ".weight_range"
#define IR_OUTPUT_RANGE ".output_range"

typedef struct ir_attr {
    const char *name; /* interned */
    ir_attr_kind kind;
    union {
        int64_t i; /* INT, BOOL */
        double f;
        const char *s; /* STRING, ENUM; interned */
        struct {
            const int64_t *data;
            size_t n;
        } ints;
        struct {
            const double *data;
            size_t n;
        } floats;
    } as;
} ir_attr;

/* Where a node comes from, for messages. */
typedef struct ir_location {
    const char *file; /* interned, NULL: unknown */
    uint32_t line, column;
} ir_location;

typedef struct ir_node {
    ir_op op;
    uint32_t n_inputs, n_results, n_attrs;
    const ir_value *inputs; /* optional inputs in the middle are IR_NO_VALUE, never the last one */
    const ir_attr *attrs;   /* sorted by name; defaults are not stored */
    ir_value first_result;  /* results are first_result .. first_result + n_results - 1 */
    const char *scope;      /* interned: "encoder.layer.3.output"; "" at the top */
    ir_location location;
} ir_node;

typedef struct ir_value_info {
    uint32_t node;   /* index into the graph's nodes */
    uint32_t result; /* which result of it */
    const ir_type *type;
} ir_value_info;

/* A result of the graph. Where the graph has a state leaf of that name, the value is that state's next content. */
typedef struct ir_output {
    const char *name; /* interned */
    ir_value value;
} ir_output;

typedef struct ir_symbol_bound {
    ir_symbol symbol;
    int64_t upper; /* 1 .. upper */
} ir_symbol_bound;

typedef struct ir_module ir_module;

typedef struct ir_graph {
    ir_module *module;
    const char *name; /* interned */
    ir_symbol_bound *bounds;
    size_t n_bounds;
    VEC(ir_node) nodes;
    VEC(ir_value_info) values; /* index 0 unused */
    VEC(ir_output) outputs;
    const char *scope;    /* of nodes added next */
    ir_location location; /* of nodes added next */
} ir_graph;

typedef struct ir_constant_data {
    const char *name; /* interned */
    ir_tensor tensor;
} ir_constant_data;

struct ir_module {
    ir_context *context;
    const diag_sink *sink;
    arena memory;
    pofac_status status; /* first error of building */
    VEC(ir_graph *) graphs;
    VEC(ir_constant_data) constants;
};

/* ---- modules ---- */
ir_module *module_create(ir_context *c, const diag_sink *sink); /* NULL when memory is short */
void module_destroy(ir_module *m);
ir_graph *module_add_graph(ir_module *m, const char *name); /* NULL when memory is short; a taken name is the module's error */
ir_graph *module_find_graph(const ir_module *m, const char *name);
/* Keeps `tensor` (a clone) under `name`, or under a name made from its contents when `name` is NULL; returns the name kept, NULL on
 * error. The same name with the same contents is fine; with others it is an error. */
const char *module_add_constant(ir_module *m, const char *name, const ir_tensor *tensor);
const ir_tensor *module_find_constant(const ir_module *m, const char *name);

/* Sets the module's first error (POFAC_ERR_INPUT unless it has one) with a message at `location`. */
POFAC_PRINTF(3, 4) void module_error(ir_module *m, const ir_location *location, const char *format, ...);

/* ---- building a graph ---- */
ir_symbol graph_declare_symbol(ir_graph *g, const char *name, int64_t upper);
int64_t graph_symbol_bound(const ir_graph *g, ir_symbol s); /* 0: not declared */
void graph_set_scope(ir_graph *g, const char *scope);
void graph_set_location(ir_graph *g, ir_location location);

/* Attributes for node_add. */
ir_attr attr_int(const char *name, int64_t value);
ir_attr attr_float(const char *name, double value);
ir_attr attr_bool(const char *name, bool value);
ir_attr attr_string(const char *name, const char *value);
ir_attr attr_enum(const char *name, const char *value);
ir_attr attr_ints(const char *name, const int64_t *values, size_t n);
ir_attr attr_floats(const char *name, const double *values, size_t n);

/* Adds a node; strings and arrays are copied. Checks arity and attributes against the op's row, and infers the result types.
 * `declared`: the result type of ops with the trait DECLARED, else NULL. Returns the first result, or IR_NO_VALUE. */
ir_value node_add(ir_graph *g, ir_op op, const ir_value *inputs, size_t n_inputs, const ir_attr *attrs, size_t n_attrs,
                  const ir_type *declared);

/* Shorthands of node_add. */
ir_value build_leaf(ir_graph *g, ir_op op, const char *name, const ir_type *type);
ir_value build_scalar(ir_graph *g, ir_dtype dtype, double value);
ir_value build_unary(ir_graph *g, ir_op op, ir_value x);
ir_value build_binary(ir_graph *g, ir_op op, ir_value x, ir_value y);
ir_value build_declared(ir_graph *g, ir_op op, ir_value x, const ir_type *type); /* reshape, cast, relayout */

/* The value becomes a result of the graph; it may stand under several names. */
void graph_add_output(ir_graph *g, const char *name, ir_value value);

/* The module's first error so far, or the verifier's verdict on the graph (verify.h). */
POFAC_MUST_USE pofac_status graph_finish(ir_graph *g);

/* ---- reading a graph ---- */
static inline diag_place location_place(ir_location at) {
    return (diag_place){.file = at.file, .line = at.line, .column = at.column};
}
/* The number that messages and text give a value: that of its node, from 1. */
uint32_t graph_value_number(const void *graph, ir_value v);
/* An ir_value_printer (type.h) for values of `graph`: "%3", or "%3#1" for result 1. */
void graph_print_value(const void *graph, ir_value v, strbuf *out);
static inline const ir_node *graph_node_of(const ir_graph *g, ir_value v) { return &g->nodes.data[g->values.data[v].node]; }
static inline const ir_type *graph_type(const ir_graph *g, ir_value v) { return g->values.data[v].type; }
/* Result number r of a node, counted from 0. */
static inline ir_value node_result(const ir_node *n, uint32_t r) { return n->first_result + r; }
/* Input number i, IR_NO_VALUE when it is absent. */
static inline ir_value node_input(const ir_node *n, uint32_t i) { return i < n->n_inputs ? n->inputs[i] : IR_NO_VALUE; }
/* How often each value is used by nodes and outputs: count[v], g->values.size entries, from `a`; NULL when memory is short. */
uint32_t *graph_count_uses(const ir_graph *g, arena *a);

/* Attributes of a node by name: the written one or the op's default. They must exist in the op's schema (or be `group`/`slot`,
 * whose default is -1); anything else is a programming error and gives 0, 0.0, "". */
const ir_attr *node_find_attr(const ir_node *n, const char *name); /* NULL: not written */
int64_t node_int(const ir_node *n, const char *name);
double node_float(const ir_node *n, const char *name);
const char *node_string(const ir_node *n, const char *name);

#endif
