/*
 * The op table: ops.def -> one static row per op with its attribute schema, and what the table says about a node.
 *
 * Everything here asks the row; no op is known by name. Checks send one message of the form "OP: what was found, what was wanted".
 */
#include "ir/gradient.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

/* Traits as ops.def writes them. */
enum {
    LEAF = TRAIT_LEAF,
    DECLARED = TRAIT_DECLARED,
    ELEMENTWISE = TRAIT_ELEMENTWISE,
    ROWWISE = TRAIT_ROWWISE,
    COMMUTATIVE = TRAIT_COMMUTATIVE,
    WEIGHTED = TRAIT_WEIGHTED,
    TILED = TRAIT_TILED,
    PRODUCT = TRAIT_PRODUCT,
    ACCUMULATES = TRAIT_ACCUMULATES
};

/* One array of attributes per op, ended by a row without a name. The op's row ends the array before it and opens its own. */
#define ATTRS_END                                                                                                                  \
    { NULL, ATTR_INT, NULL, NULL, NULL }
#define OP(id, min_in, max_in, n_results, traits, infer, eval, gradient, meaning)                                                  \
    ATTRS_END                                                                                                                      \
    }                                                                                                                              \
    ;                                                                                                                              \
    static const ir_attr_schema attrs_of_##id[] = {
#define OP_ATTR(op, name, kind, fallback, choices, meaning) {#name, ATTR_##kind, fallback, choices, meaning},
static const ir_attr_schema common_attrs[] = {{"group", ATTR_INT, "-1", NULL, "number of the fused group of the node"},
                                              {"slot", ATTR_INTS, "[]", NULL, "memory slot of each result, -1 for none"},
#include "ir/ops.def"
                                              ATTRS_END};
#undef OP
#undef OP_ATTR

#define N_ATTRS(array) (sizeof(array) / sizeof((array)[0]) - 1)

static const ir_op_info op_rows[IR_N_OPS] = {
#define OP(id, min_in, max_in, n_results, traits, infer, eval, gradient, meaning)                                                  \
    {#id, min_in, max_in, n_results, traits, attrs_of_##id, N_ATTRS(attrs_of_##id), infer, eval, gradient, meaning},
#define OP_ATTR(op, name, kind, fallback, choices, meaning)
#include "ir/ops.def"
#undef OP
#undef OP_ATTR
};

/* ---- messages ---- */

static pofac_status send_message(const diag_sink *sink, const diag_place *place, ir_op op, const char *format, va_list args) {
    strbuf text = STRBUF_INIT;
    strbuf_vprintf(&text, format, args);
    pofac_status status = strbuf_ok(&text) ? diag_error(sink, POFAC_ERR_INPUT, place, "%s: %s", op_rows[op].name, strbuf_str(&text))
                                           : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

pofac_status infer_error(const ir_infer *in, const char *format, ...) {
    va_list args;
    va_start(args, format);
    pofac_status status = send_message(in->sink, in->place, in->node->op, format, args);
    va_end(args);
    return status;
}

void gradient_error(const ir_gradient *g, const char *format, ...) {
    va_list args;
    strbuf text = STRBUF_INIT;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    module_error(g->graph->module, &g->node->location, "%s: %s", op_rows[g->node->op].name, strbuf_str(&text));
    strbuf_free(&text);
}

pofac_status eval_error(const ir_eval *e, const char *format, ...) {
    diag_place place = location_place(e->node->location);
    va_list args;
    va_start(args, format);
    pofac_status status = send_message(e->sink, &place, e->node->op, format, args);
    va_end(args);
    return status;
}

pofac_status node_error(const ir_graph *g, const ir_node *n, const diag_sink *sink, const char *format, ...) {
    diag_place place = location_place(n->location);
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "%%%zu = %s: ", (size_t)(n - g->nodes.data) + 1, op_rows[n->op].name);
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    pofac_status status =
        strbuf_ok(&text) ? diag_error(sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&text)) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

/* ---- looking up ---- */

const ir_op_info *op_info(ir_op op) { return &op_rows[op]; }

bool op_parse(const char *name, size_t n, ir_op *out) {
    for (size_t i = 0; i < IR_N_OPS; i++) {
        if (strlen(op_rows[i].name) != n || memcmp(op_rows[i].name, name, n) != 0) continue;
        *out = (ir_op)i;
        return true;
    }
    return false;
}

static const ir_attr_schema *find_schema(const ir_attr_schema *rows, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    }
    return NULL;
}

const ir_attr_schema *op_attr_schema(ir_op op, const char *name) {
    const ir_attr_schema *own = find_schema(op_rows[op].attrs, op_rows[op].n_attrs, name);
    return own ? own : find_schema(common_attrs, N_ATTRS(common_attrs), name);
}

/* ---- attributes ---- */

const char *attr_kind_name(ir_attr_kind kind) {
    static const char *const names[] = {
        [ATTR_INT] = "an integer",           [ATTR_FLOAT] = "a number", [ATTR_BOOL] = "true or false",
        [ATTR_STRING] = "a string",          [ATTR_ENUM] = "a choice",  [ATTR_INTS] = "a list of integers",
        [ATTR_FLOATS] = "a list of numbers",
    };
    return names[kind];
}

int64_t attr_schema_int(const ir_attr_schema *schema) {
    if (!schema || !schema->fallback) return 0;
    return schema->kind == ATTR_BOOL ? strcmp(schema->fallback, "true") == 0 : strtoll(schema->fallback, NULL, 10);
}

double attr_schema_float(const ir_attr_schema *schema) { return schema && schema->fallback ? strtod(schema->fallback, NULL) : 0.0; }

static bool same_bits(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

/* The default of a list is the empty one, "[]". */
bool attr_is_default(const ir_attr_schema *schema, const ir_attr *attr) {
    if (!schema->fallback) return false;
    switch (schema->kind) {
    case ATTR_INT:
    case ATTR_BOOL: return attr->as.i == attr_schema_int(schema);
    case ATTR_FLOAT: return same_bits(attr->as.f, attr_schema_float(schema));
    case ATTR_STRING:
    case ATTR_ENUM: return strcmp(attr->as.s, schema->fallback) == 0;
    case ATTR_INTS: return attr->as.ints.n == 0;
    case ATTR_FLOATS: return attr->as.floats.n == 0;
    }
    return false;
}

static bool is_choice(const char *choices, const char *word) {
    size_t n = strlen(word);
    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        if (strcspn(at, "|") == n && strncmp(at, word, n) == 0) return true;
    }
    return false;
}

static pofac_status unknown_attr(ir_op op, const char *name, const diag_place *place, const diag_sink *sink) {
    const ir_op_info *row = &op_rows[op];
    const char *known[OP_MAX_ATTRS];
    size_t n = 0;
    for (size_t i = 0; i < row->n_attrs && n < OP_MAX_ATTRS; i++) known[n++] = row->attrs[i].name;
    for (size_t i = 0; i < N_ATTRS(common_attrs) && n < OP_MAX_ATTRS; i++) known[n++] = common_attrs[i].name;
    const char *nearest = diag_nearest(name, known, n);
    if (!nearest) return diag_error(sink, POFAC_ERR_INPUT, place, "%s: unknown attribute \"%s\"", row->name, name);
    return diag_error(sink, POFAC_ERR_INPUT, place, "%s: unknown attribute \"%s\"; did you mean \"%s\"?", row->name, name, nearest);
}

/* ---- what must hold of a node ---- */

pofac_status op_check_arity(ir_op op, size_t n_inputs, const diag_place *place, const diag_sink *sink) {
    const ir_op_info *row = &op_rows[op];
    if (n_inputs >= row->min_inputs && n_inputs <= row->max_inputs) return POFAC_OK;
    const char *plural = n_inputs == 1 ? "" : "s";
    if (row->min_inputs == row->max_inputs) {
        return diag_error(sink, POFAC_ERR_INPUT, place, "%s: %zu input%s, wanted %u", row->name, n_inputs, plural, row->min_inputs);
    }
    return diag_error(sink, POFAC_ERR_INPUT, place, "%s: %zu input%s, wanted %u to %u", row->name, n_inputs, plural,
                      row->min_inputs, row->max_inputs);
}

pofac_status op_check_attr(ir_op op, const ir_attr *attr, const diag_place *place, const diag_sink *sink) {
    const ir_attr_schema *schema = op_attr_schema(op, attr->name);
    if (!schema) return unknown_attr(op, attr->name, place, sink);
    if (attr->kind != schema->kind) {
        return diag_error(sink, POFAC_ERR_INPUT, place, "%s: attribute \"%s\" is %s, wanted %s", op_rows[op].name, attr->name,
                          attr_kind_name(attr->kind), schema->choices ? schema->choices : attr_kind_name(schema->kind));
    }
    if (attr->kind == ATTR_ENUM && !is_choice(schema->choices, attr->as.s)) {
        return diag_error(sink, POFAC_ERR_INPUT, place, "%s: attribute \"%s\" is \"%s\", wanted one of %s", op_rows[op].name,
                          attr->name, attr->as.s, schema->choices);
    }
    return POFAC_OK;
}

pofac_status op_check_complete(const ir_node *n, const diag_place *place, const diag_sink *sink) {
    const ir_op_info *row = &op_rows[n->op];
    for (size_t i = 0; i < row->n_attrs; i++) {
        const ir_attr_schema *schema = &row->attrs[i];
        if (schema->fallback || node_find_attr(n, schema->name)) continue;
        return diag_error(sink, POFAC_ERR_INPUT, place, "%s: attribute \"%s\" is missing, wanted %s", row->name, schema->name,
                          schema->choices ? schema->choices : attr_kind_name(schema->kind));
    }
    return POFAC_OK;
}

/* The rules that hold for all ops: required inputs are present, a type is declared where the op asks for one and nowhere else. */
static pofac_status check_inputs(const ir_node *n, const ir_type *declared, const diag_place *place, const diag_sink *sink) {
    const ir_op_info *row = &op_rows[n->op];
    for (uint32_t i = 0; i < row->min_inputs; i++) {
        if (node_input(n, i) == IR_NO_VALUE) {
            return diag_error(sink, POFAC_ERR_INPUT, place, "%s: input %u is absent, wanted a value", row->name, i);
        }
    }
    if ((row->traits & TRAIT_DECLARED) != 0 && !declared) {
        return diag_error(sink, POFAC_ERR_INPUT, place, "%s: no type is declared, wanted that of the result", row->name);
    }
    if ((row->traits & TRAIT_DECLARED) == 0 && declared) {
        return diag_error(sink, POFAC_ERR_INPUT, place, "%s: a type is declared, wanted none: it follows from the inputs",
                          row->name);
    }
    return POFAC_OK;
}

pofac_status op_infer(const ir_graph *g, const ir_node *n, const ir_type *declared, const diag_sink *sink, const ir_type **result) {
    const ir_op_info *row = &op_rows[n->op];
    diag_place place = location_place(n->location);
    if (context_failed(g->module->context)) return diag_out_of_memory(sink); /* a type or symbol may be missing for want of it */
    TRY(op_check_arity(n->op, n->n_inputs, &place, sink));
    TRY(check_inputs(n, declared, &place, sink));
    const ir_type *input[UINT8_MAX] = {NULL};
    for (uint32_t i = 0; i < n->n_inputs; i++) input[i] = n->inputs[i] == IR_NO_VALUE ? NULL : graph_type(g, n->inputs[i]);
    for (uint32_t r = 0; r < row->n_results; r++) result[r] = NULL;
    ir_infer in = {.context = g->module->context,
                   .graph = g,
                   .node = n,
                   .input = input,
                   .declared = declared,
                   .result = result,
                   .sink = sink,
                   .place = &place};
    TRY(row->infer(&in));
    for (uint32_t r = 0; r < row->n_results; r++) {
        if (!result[r]) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}
