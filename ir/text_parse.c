/*
 * The text form of modules (grammar in text.h) to modules: a recursive-descent parser over text_lex.c that stops at the first
 * error.
 *
 * Values, symbols and graphs are looked up in hash tables, so time is linear. While the text is read every node has its place in
 * the text as location, so that errors of shape rules and of the verifier point there; locations that the text itself gives are
 * set at the end.
 */
#include "ir/text.h"

#include <string.h>

#include "ir/op.h"
#include "ir/support/decimal.h"
#include "ir/support/strmap.h"
#include "ir/text_lex.h"
#include "ir/verify.h"

#define LEX_MESSAGE(id, format)
#define PARSE_MESSAGE(id, format) static const char message_##id[] = format;
#define WANTED(id, text) static const char wanted_##id[] = text;
#include "ir/text_messages.def"
#undef LEX_MESSAGE
#undef PARSE_MESSAGE
#undef WANTED

/* A location that the text gives to a node. */
typedef struct given_location {
    ir_graph *graph;
    uint32_t node;
    ir_location location;
} given_location;

/* A type in the text, and where it stands. */
typedef struct written_type {
    const ir_type *type;
    text_token token;
} written_type;

typedef struct parser {
    text_lexer lx;
    const diag_sink *user; /* of whoever parses */
    diag_sink sink;        /* the module's while it is read: completes places and passes on to `user` */
    text_token blame;      /* what an error without a place is about */
    ir_context *context;
    ir_module *module;
    ir_graph *graph;
    const tensor_source *constants;
    const char *file;      /* interned */
    strmap graphs;         /* names */
    strmap symbols;        /* of this graph: name -> ir_symbol */
    strmap values;         /* of this graph: bytes of the number in the text -> index of the node */
    VEC(uint32_t) numbers; /* of this graph: number in the text of each node */
    VEC(ir_value) operands;
    VEC(ir_attr) attrs;
    VEC(written_type) types;
    VEC(int64_t) ints;
    VEC(double) floats;
    VEC(given_location) locations;
    arena memory;
} parser;

/* ---- tokens ---- */

static pofac_status out_of_memory(const parser *p) { return diag_out_of_memory(p->user); }

static pofac_status unwanted(const parser *p, const char *wanted) { return text_lex_unwanted(&p->lx, wanted); }

static bool at(const parser *p, const char *text) { return text_lex_is(&p->lx, text); }

static pofac_status next(parser *p) { return text_lex_next(&p->lx); }

/* Steps over the mark or name `text`. */
static pofac_status take(parser *p, const char *text, const char *wanted) { return at(p, text) ? next(p) : unwanted(p, wanted); }

/* Steps over a name, number or string and gives its bytes, 0-terminated. */
static pofac_status take_text(parser *p, text_token_kind kind, const char *wanted, const char **out) {
    if (p->lx.token.kind != kind) return unwanted(p, wanted);
    *out = text_lex_string(&p->lx.token, &p->memory);
    return *out ? next(p) : out_of_memory(p);
}

/* Steps over [-] digits between low and high. */
static pofac_status take_integer(parser *p, int64_t low, int64_t high, const char *wanted, int64_t *out) {
    text_token start = p->lx.token;
    bool negative = low < 0 && at(p, "-");
    if (negative) TRY(next(p));
    const text_token *t = &p->lx.token;
    if (t->kind != TOKEN_NUMBER || memchr(t->text, '.', t->n) || memchr(t->text, 'e', t->n) || memchr(t->text, 'E', t->n))
        return unwanted(p, wanted);
    int64_t value = 0;
    bool fits = true;
    for (size_t i = 0; i < t->n && fits; i++) {
        int64_t digit = negative ? '0' - t->text[i] : t->text[i] - '0';
        fits = !__builtin_mul_overflow(value, 10, &value) && !__builtin_add_overflow(value, digit, &value);
    }
    if (!fits || value < low || value > high)
        return text_lex_error(&p->lx, &start, message_INTEGER, (long long)low, (long long)high);
    *out = value;
    return next(p);
}

/* Steps over [-] number, or inf, -inf, nan. */
static pofac_status take_double(parser *p, double *out) {
    text_token start = p->lx.token;
    bool negative = at(p, "-");
    if (negative) TRY(next(p));
    if (at(p, "inf")) {
        *out = __builtin_inf();
    } else if (at(p, "nan") && !negative) {
        *out = __builtin_nan("");
    } else if (p->lx.token.kind != TOKEN_NUMBER) {
        return unwanted(p, wanted_FLOAT);
    } else if (!decimal_read(p->lx.token.text, p->lx.token.n, out)) {
        return text_lex_error(&p->lx, &start, message_FLOAT, DECIMAL_MAX_BYTES);
    }
    if (negative) *out = -*out;
    return next(p);
}

/* ---- values ---- */

/* Steps over %N or %N#R. */
static pofac_status take_value(parser *p, const char *wanted, ir_value *out) {
    text_token start = p->lx.token;
    if (start.kind != TOKEN_VALUE) return unwanted(p, wanted);
    const strmap_entry *entry = strmap_get(&p->values, (const char *)&start.number, sizeof start.number);
    if (!entry) return text_lex_error(&p->lx, &start, message_UNDEFINED, start.number);
    const ir_node *n = &p->graph->nodes.data[entry->value];
    TRY(next(p));
    int64_t result = 0;
    if (at(p, "#")) {
        TRY(next(p));
        TRY(take_integer(p, 0, INT64_MAX, wanted_RESULT_NUMBER, &result));
    }
    if (result >= n->n_results)
        return text_lex_error(&p->lx, &start, message_NO_SUCH_RESULT, (long long)result, start.number, n->n_results);
    *out = node_result(n, (uint32_t)result);
    return POFAC_OK;
}

/* Writes a value with its number in the text that is read. */
static void put_text_value(const void *user, ir_value v, strbuf *out) {
    const parser *p = user;
    const ir_value_info *info = &p->graph->values.data[v];
    strbuf_printf(out, "%%%u", p->numbers.data[info->node]);
    if (info->result) strbuf_printf(out, "#%u", info->result);
}

static const char *type_text(const parser *p, const ir_type *type, strbuf *out) {
    type_print(p->context, type, put_text_value, p, out);
    return strbuf_str(out);
}

/* ---- types ---- */

/* Steps over the rest of nnz(%N). */
static pofac_status take_nnz(parser *p, ir_dim *out) {
    TRY(next(p));
    text_token token = p->lx.token;
    ir_value v;
    TRY(take_value(p, wanted_NNZ_VALUE, &v));
    if (graph_type(p->graph, v)->kind != TYPE_PATTERN) {
        strbuf found = STRBUF_INIT;
        pofac_status status =
            text_lex_error(&p->lx, &token, message_NNZ, token.number, type_text(p, graph_type(p->graph, v), &found));
        strbuf_free(&found);
        return status;
    }
    ir_symbol s = symbol_nnz(p->context, v);
    if (!s) return out_of_memory(p);
    *out = dim_symbol(s);
    return take(p, ")", wanted_NNZ_END);
}

/* Steps over a number, a symbol or nnz(%N). */
static pofac_status take_factor(parser *p, ir_dim *out) {
    text_token token = p->lx.token;
    if (token.kind != TOKEN_NAME) {
        int64_t number;
        TRY(take_integer(p, INT64_MIN, INT64_MAX, wanted_DIMENSION, &number));
        *out = dim_const(number);
        return POFAC_OK;
    }
    bool is_nnz = at(p, "nnz");
    const char *name;
    TRY(take_text(p, TOKEN_NAME, wanted_DIMENSION, &name));
    if (is_nnz && at(p, "(")) return take_nnz(p, out);
    const strmap_entry *entry = strmap_get(&p->symbols, name, token.n);
    if (!entry) return text_lex_error(&p->lx, &token, message_UNDECLARED, name, p->graph->name);
    *out = dim_symbol((ir_symbol)entry->value);
    return POFAC_OK;
}

/* FACTOR { "*" FACTOR } [ ("+"|"-") NUMBER ] */
static pofac_status take_dim(parser *p, ir_dim *out) {
    text_token start = p->lx.token;
    TRY(take_factor(p, out));
    bool fits = true;
    while (fits && at(p, "*")) {
        ir_dim factor;
        TRY(next(p));
        TRY(take_factor(p, &factor));
        *out = dim_mul(*out, factor, &fits);
    }
    if (fits && (at(p, "+") || at(p, "-"))) {
        int64_t offset;
        if (at(p, "+")) TRY(next(p));
        TRY(take_integer(p, INT64_MIN, INT64_MAX, wanted_OFFSET, &offset));
        fits = !__builtin_add_overflow(out->offset, offset, &out->offset);
    }
    if (!fits) return text_lex_error(&p->lx, &start, message_DIMENSION);
    int64_t number;
    if (dim_is_const(*out, &number) && number < 0)
        return text_lex_error(&p->lx, &start, message_NEGATIVE_DIMENSION, (long long)number);
    return POFAC_OK;
}

/* "[" [ DIM { "," DIM } ] "]" */
static pofac_status take_dims(parser *p, ir_type *type) {
    TRY(take(p, "[", wanted_DIMENSIONS));
    if (at(p, "]")) return next(p);
    for (;;) {
        if (type->rank == IR_MAX_RANK) return text_lex_error(&p->lx, &p->lx.token, message_RANK, IR_MAX_RANK);
        TRY(take_dim(p, &type->dims[type->rank]));
        type->rank++;
        if (at(p, "]")) return next(p);
        TRY(take(p, ",", wanted_DIMENSIONS_END));
    }
}

/* ( "tiles" | "quads" ) "<" W ">" */
static pofac_status take_tiles(parser *p, ir_type *type) {
    const ir_layout layout = at(p, "quads") ? LAYOUT_QUADS : LAYOUT_TILES;
    int64_t width;
    text_token start = p->lx.token;
    if (type->rank != 2) return text_lex_error(&p->lx, &start, message_TILES_RANK, (int)start.n, start.text, type->rank);
    if (layout == LAYOUT_QUADS && dtype_bits(type->dtype) != 8)
        return text_lex_error(&p->lx, &start, message_QUADS_BITS, dtype_bits(type->dtype));
    TRY(next(p));
    TRY(take(p, "<", layout == LAYOUT_QUADS ? wanted_QUADS : wanted_TILES));
    TRY(take_integer(p, 1, UINT32_MAX, wanted_TILE_WIDTH, &width));
    type->layout = layout;
    type->tile = (uint32_t)width;
    return take(p, ">", wanted_TILES_END);
}

static pofac_status take_type(parser *p, const ir_type **out) {
    text_token start = p->lx.token;
    if (start.kind != TOKEN_NAME) return unwanted(p, wanted_TYPE);
    ir_type type = {.kind = at(p, "pattern") ? TYPE_PATTERN : TYPE_TENSOR, .layout = LAYOUT_ROWS};
    if (type.kind == TYPE_TENSOR && !dtype_parse(start.text, start.n, &type.dtype))
        return text_lex_error(&p->lx, &start, message_UNKNOWN_TYPE, (int)start.n, start.text);
    TRY(next(p));
    TRY(take_dims(p, &type));
    if (type.kind == TYPE_PATTERN && type.rank != 2) return text_lex_error(&p->lx, &start, message_PATTERN_RANK, type.rank);
    if (type.kind == TYPE_TENSOR && (at(p, "tiles") || at(p, "quads"))) TRY(take_tiles(p, &type));
    *out = type_intern(p->context, &type);
    return *out ? POFAC_OK : out_of_memory(p);
}

/* ":" TYPE { "," TYPE } into p->types */
static pofac_status take_types(parser *p, const ir_op_info *info) {
    p->types.size = 0;
    TRY(take(p, ":", wanted_COLON));
    for (;;) {
        written_type written = {NULL, p->lx.token};
        TRY(take_type(p, &written.type));
        if (!VEC_PUSH(&p->types, written)) return out_of_memory(p);
        if (!at(p, ",")) break;
        TRY(next(p));
    }
    if (p->types.size == info->n_results) return POFAC_OK;
    return text_lex_error(&p->lx, &p->types.data[0].token, message_TYPES, p->types.size, info->n_results, info->name);
}

/* ---- attributes ---- */

static pofac_status take_list_item(parser *p, ir_attr_kind kind) {
    if (kind == ATTR_INTS) {
        int64_t value;
        TRY(take_integer(p, INT64_MIN, INT64_MAX, attr_kind_name(ATTR_INT), &value));
        return VEC_PUSH(&p->ints, value) ? POFAC_OK : out_of_memory(p);
    }
    double value;
    TRY(take_double(p, &value));
    return VEC_PUSH(&p->floats, value) ? POFAC_OK : out_of_memory(p);
}

/* "[" [ NUMBER { "," NUMBER } ] "]" */
static pofac_status take_list(parser *p, ir_attr *out) {
    p->ints.size = p->floats.size = 0;
    TRY(take(p, "[", attr_kind_name(out->kind)));
    while (!at(p, "]")) {
        TRY(take_list_item(p, out->kind));
        if (at(p, "]")) break;
        TRY(take(p, ",", wanted_LIST_END));
    }
    if (out->kind == ATTR_INTS) {
        out->as.ints.n = p->ints.size;
        out->as.ints.data = p->ints.size ? arena_copy(&p->memory, p->ints.data, p->ints.size * sizeof *p->ints.data) : NULL;
        if (p->ints.size && !out->as.ints.data) return out_of_memory(p);
    } else {
        out->as.floats.n = p->floats.size;
        out->as.floats.data =
            p->floats.size ? arena_copy(&p->memory, p->floats.data, p->floats.size * sizeof *p->floats.data) : NULL;
        if (p->floats.size && !out->as.floats.data) return out_of_memory(p);
    }
    return next(p);
}

static bool is_choice(const char *choices, const char *text) {
    size_t n = strlen(text);
    for (const char *c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
        if (strncmp(c, text, n) == 0 && (c[n] == '|' || c[n] == '\0') && n > 0) return true;
    return false;
}

static pofac_status take_attr_value(parser *p, const ir_attr_schema *schema, ir_attr *out) {
    const char *wanted = attr_kind_name(out->kind);
    text_token start = p->lx.token;
    switch (out->kind) {
    case ATTR_INT: return take_integer(p, INT64_MIN, INT64_MAX, wanted, &out->as.i);
    case ATTR_FLOAT: return take_double(p, &out->as.f);
    case ATTR_BOOL: out->as.i = at(p, "true"); return out->as.i || at(p, "false") ? next(p) : unwanted(p, wanted);
    case ATTR_STRING: return take_text(p, TOKEN_STRING, wanted, &out->as.s);
    case ATTR_ENUM:
        TRY(take_text(p, TOKEN_STRING, attr_kind_name(ATTR_STRING), &out->as.s));
        if (is_choice(schema->choices, out->as.s)) return POFAC_OK;
        return text_lex_error(&p->lx, &start, message_CHOICE, schema->name, out->as.s, schema->choices);
    case ATTR_INTS:
    case ATTR_FLOATS: break;
    }
    return take_list(p, out);
}

static pofac_status unknown_attribute(parser *p, const text_token *token, const ir_op_info *info, const char *name) {
    const char *known[OP_MAX_ATTRS];
    strbuf list = STRBUF_INIT;
    size_t n = 0;
    for (; n < info->n_attrs && n < OP_MAX_ATTRS - 2; n++) known[n] = info->attrs[n].name;
    known[n++] = "group";
    known[n++] = "slot";
    for (size_t i = 0; i < n; i++) strbuf_printf(&list, "%s%s", i ? ", " : "", known[i]);
    const char *near = diag_nearest(name, known, n);
    pofac_status status = near ? text_lex_error(&p->lx, token, message_UNKNOWN_ATTRIBUTE_NEAR, info->name, name, near)
                               : text_lex_error(&p->lx, token, message_UNKNOWN_ATTRIBUTE, info->name, name, strbuf_str(&list));
    strbuf_free(&list);
    return status;
}

static pofac_status take_attr(parser *p, ir_op op, const char *wanted) {
    text_token token = p->lx.token;
    const char *name;
    TRY(take_text(p, TOKEN_NAME, wanted, &name));
    const ir_attr_schema *schema = op_attr_schema(op, name);
    if (!schema) return unknown_attribute(p, &token, op_info(op), name);
    for (size_t i = 0; i < p->attrs.size; i++)
        if (strcmp(p->attrs.data[i].name, name) == 0) return text_lex_error(&p->lx, &token, message_ATTRIBUTE_TWICE, name);
    ir_attr attr = {.name = name, .kind = schema->kind};
    TRY(take(p, "=", wanted_ATTRIBUTE_EQUALS));
    TRY(take_attr_value(p, schema, &attr));
    return VEC_PUSH(&p->attrs, attr) ? POFAC_OK : out_of_memory(p);
}

/* [ "{" [ NAME "=" VALUE { "," NAME "=" VALUE } ] "}" ] into p->attrs */
static pofac_status take_attrs(parser *p, ir_op op) {
    p->attrs.size = 0;
    if (!at(p, "{")) return POFAC_OK;
    TRY(next(p));
    if (at(p, "}")) return next(p);
    for (const char *wanted = wanted_ATTRIBUTE;; wanted = wanted_NEXT_ATTRIBUTE) {
        TRY(take_attr(p, op, wanted));
        if (at(p, "}")) return next(p);
        TRY(take(p, ",", wanted_ATTRIBUTES_END));
    }
}

/* ---- nodes ---- */

static pofac_status unknown_op(parser *p) {
    const text_token *t = &p->lx.token;
    const char *known[IR_N_OPS], *name = text_lex_string(t, &p->memory);
    if (!name) return out_of_memory(p);
    for (int i = 0; i < IR_N_OPS; i++) known[i] = op_info((ir_op)i)->name;
    const char *near = diag_nearest(name, known, IR_N_OPS);
    if (!near) return text_lex_error(&p->lx, t, message_UNKNOWN_OP, (int)t->n, t->text);
    return text_lex_error(&p->lx, t, message_UNKNOWN_OP_NEAR, (int)t->n, t->text, near);
}

/* "%" N [ ":" RESULTS ] "=" OP; the current token is p->blame, %N */
static pofac_status take_result_and_op(parser *p, ir_op *op) {
    const text_token *value = &p->blame;
    int64_t written = 1;
    if (strmap_get(&p->values, (const char *)&value->number, sizeof value->number))
        return text_lex_error(&p->lx, value, message_DEFINED_TWICE, value->number);
    TRY(next(p));
    if (at(p, ":")) {
        TRY(next(p));
        TRY(take_integer(p, 1, UINT32_MAX, wanted_RESULT_COUNT, &written));
    }
    TRY(take(p, "=", wanted_EQUALS));
    if (p->lx.token.kind != TOKEN_NAME) return unwanted(p, wanted_OP);
    if (!op_parse(p->lx.token.text, p->lx.token.n, op)) return unknown_op(p);
    const ir_op_info *info = op_info(*op);
    if (written != info->n_results)
        return text_lex_error(&p->lx, value, message_RESULTS, (long long)written, written == 1 ? "" : "s", value->number,
                              (unsigned)info->n_results, info->name);
    return next(p);
}

/* [ OPERAND { "," OPERAND } ] into p->operands */
static pofac_status take_operands(parser *p, const ir_op_info *info) {
    p->operands.size = 0;
    if (p->lx.token.kind != TOKEN_VALUE && !at(p, "_")) return POFAC_OK;
    for (;;) {
        size_t i = p->operands.size;
        ir_value v = IR_NO_VALUE;
        if (i == info->max_inputs)
            return text_lex_error(&p->lx, &p->lx.token, message_TOO_MANY_OPERANDS, info->name, (unsigned)info->max_inputs);
        if (!at(p, "_")) {
            TRY(take_value(p, wanted_OPERAND, &v));
        } else if (i < info->min_inputs) {
            return text_lex_error(&p->lx, &p->lx.token, message_OPERAND_ABSENT, i, info->name);
        } else {
            TRY(next(p));
        }
        if (!VEC_PUSH(&p->operands, v)) return out_of_memory(p);
        if (!at(p, ",")) break;
        TRY(next(p));
    }
    while (p->operands.size && p->operands.data[p->operands.size - 1] == IR_NO_VALUE) p->operands.size--;
    return POFAC_OK;
}

/* [ "loc" "(" STRING ":" LINE ":" COLUMN ")" ], kept for the end */
static pofac_status take_location(parser *p) {
    if (!at(p, "loc")) return POFAC_OK;
    TRY(next(p));
    TRY(take(p, "(", wanted_LOCATION));
    const char *file;
    int64_t line, column;
    TRY(take_text(p, TOKEN_STRING, wanted_LOCATION_FILE, &file));
    TRY(take(p, ":", wanted_LOCATION_COLON));
    TRY(take_integer(p, 0, UINT32_MAX, wanted_LOCATION_NUMBER, &line));
    TRY(take(p, ":", wanted_LOCATION_COLON));
    TRY(take_integer(p, 0, UINT32_MAX, wanted_LOCATION_NUMBER, &column));
    TRY(take(p, ")", wanted_LOCATION_END));
    given_location given = {p->graph, (uint32_t)p->graph->nodes.size - 1, {NULL, (uint32_t)line, (uint32_t)column}};
    given.location.file = context_string(p->context, file);
    return given.location.file && VEC_PUSH(&p->locations, given) ? POFAC_OK : out_of_memory(p);
}

/* The types that were written are those that follow from the operands. */
static pofac_status check_types(parser *p, const ir_op_info *info, ir_value first) {
    for (uint32_t r = 0; r < info->n_results; r++) {
        const written_type *written = &p->types.data[r];
        const ir_type *wanted = graph_type(p->graph, first + r);
        if (written->type == wanted) continue;
        strbuf found_text = STRBUF_INIT, wanted_text = STRBUF_INIT;
        const char *found = type_text(p, written->type, &found_text), *want = type_text(p, wanted, &wanted_text);
        pofac_status status = info->n_results == 1
                                  ? text_lex_error(&p->lx, &written->token, message_TYPE, info->name, found, want)
                                  : text_lex_error(&p->lx, &written->token, message_TYPE_OF_RESULT, r, info->name, found, want);
        strbuf_free(&found_text);
        strbuf_free(&wanted_text);
        return status;
    }
    return POFAC_OK;
}

/* The type that a tensor has as it is; NULL when memory is short. */
static const ir_type *type_of_tensor(ir_context *c, const ir_tensor *t) {
    ir_dim dims[IR_MAX_RANK];
    for (uint32_t i = 0; i < t->rank; i++) dims[i] = dim_const(t->dims[i]);
    if (t->pattern) return type_pattern(c, dim_const(t->pattern->n_rows), dim_const(t->pattern->n_columns));
    return type_tensor(c, t->dtype, t->rank, dims);
}

/* Takes the data of a constant that names them into the module. */
static pofac_status load_constant(parser *p, const ir_node *n) {
    const char *name = node_string(n, "data");
    const written_type *written = &p->types.data[0];
    if (!*name || !p->constants) return POFAC_OK;
    ir_tensor data;
    TRY(p->constants->get(p->constants->user, name, &p->sink, &data));
    const ir_type *found = type_of_tensor(p->context, &data);
    if (!found) return out_of_memory(p);
    if (found != written->type) {
        strbuf found_text = STRBUF_INIT, wanted_text = STRBUF_INIT;
        pofac_status status = text_lex_error(&p->lx, &written->token, message_CONSTANT, name, type_text(p, found, &found_text),
                                             type_text(p, written->type, &wanted_text));
        strbuf_free(&found_text);
        strbuf_free(&wanted_text);
        return status;
    }
    return module_add_constant(p->module, name, &data) ? POFAC_OK : p->module->status;
}

static ir_location text_location(const parser *p, const text_token *t) { return (ir_location){p->file, t->line, t->column}; }

static pofac_status take_node(parser *p) {
    ir_op op;
    p->blame = p->lx.token;
    graph_set_location(p->graph, text_location(p, &p->blame));
    TRY(take_result_and_op(p, &op));
    const ir_op_info *info = op_info(op);
    TRY(take_operands(p, info));
    TRY(take_attrs(p, op));
    TRY(take_types(p, info));
    ir_value first = node_add(p->graph, op, p->operands.data, p->operands.size, p->attrs.data, p->attrs.size,
                              op_has(op, TRAIT_DECLARED) ? p->types.data[0].type : NULL);
    if (first == IR_NO_VALUE) return p->module->status != POFAC_OK ? p->module->status : out_of_memory(p);
    TRY(check_types(p, info, first));
    size_t node = p->graph->nodes.size - 1;
    if (op == OP_constant) TRY(load_constant(p, &p->graph->nodes.data[node]));
    uint32_t number = p->blame.number;
    if (!strmap_put(&p->values, (const char *)&number, sizeof number, node, NULL)) return out_of_memory(p);
    if (!VEC_PUSH(&p->numbers, number)) return out_of_memory(p);
    return take_location(p);
}

/* ---- graphs ---- */

/* NAME "<=" NUMBER */
static pofac_status take_symbol(parser *p, const char *wanted) {
    const char *name;
    int64_t bound;
    p->blame = p->lx.token;
    graph_set_location(p->graph, text_location(p, &p->blame));
    TRY(take_text(p, TOKEN_NAME, wanted, &name));
    if (strmap_get(&p->symbols, name, strlen(name))) return text_lex_error(&p->lx, &p->blame, message_SYMBOL_TWICE, name);
    TRY(take(p, "<=", wanted_BOUND));
    TRY(take_integer(p, 1, INT64_MAX, wanted_BOUND_NUMBER, &bound));
    ir_symbol symbol = graph_declare_symbol(p->graph, name, bound);
    TRY(p->module->status);
    return symbol && strmap_put(&p->symbols, name, strlen(name), symbol, NULL) ? POFAC_OK : out_of_memory(p);
}

/* "(" [ SYMBOL { "," SYMBOL } ] ")" */
static pofac_status take_symbols(parser *p) {
    TRY(take(p, "(", wanted_SYMBOLS));
    if (at(p, ")")) return next(p);
    for (const char *wanted = wanted_SYMBOL;; wanted = wanted_NEXT_SYMBOL) {
        TRY(take_symbol(p, wanted));
        if (at(p, ")")) return next(p);
        TRY(take(p, ",", wanted_SYMBOLS_END));
    }
}

static pofac_status take_scope(parser *p) {
    const char *scope;
    TRY(next(p));
    p->blame = p->lx.token;
    TRY(take_text(p, TOKEN_STRING, wanted_SCOPE, &scope));
    graph_set_scope(p->graph, scope);
    return p->module->status;
}

/* STRING "=" OPERAND */
static pofac_status take_output(parser *p, const char *wanted) {
    const char *name;
    ir_value v;
    p->blame = p->lx.token;
    graph_set_location(p->graph, text_location(p, &p->blame));
    TRY(take_text(p, TOKEN_STRING, wanted, &name));
    TRY(take(p, "=", wanted_OUTPUT_EQUALS));
    TRY(take_value(p, wanted_OUTPUT_VALUE, &v));
    graph_add_output(p->graph, name, v);
    return p->module->status;
}

/* "return" [ OUTPUT { "," OUTPUT } ] "}" */
static pofac_status take_return(parser *p) {
    TRY(next(p));
    if (at(p, "}")) return next(p);
    for (const char *wanted = wanted_OUTPUT;; wanted = wanted_NEXT_OUTPUT) {
        TRY(take_output(p, wanted));
        if (!at(p, ",")) return take(p, "}", wanted_BODY_END);
        TRY(next(p));
    }
}

static pofac_status take_body(parser *p) {
    TRY(take(p, "{", wanted_BODY));
    for (;;) {
        if (p->lx.token.kind == TOKEN_VALUE) TRY(take_node(p));
        else if (at(p, "scope")) TRY(take_scope(p));
        else if (at(p, "return")) return take_return(p);
        else return unwanted(p, wanted_NODE);
    }
}

/* Everything is new for a graph but the module. */
static void begin_graph(parser *p) {
    strmap_free(&p->symbols);
    strmap_free(&p->values);
    p->numbers.size = 0;
}

static pofac_status take_graph(parser *p) {
    TRY(take(p, "graph", wanted_GRAPH));
    text_token start = p->blame = p->lx.token;
    const char *name;
    bool inserted;
    TRY(take_text(p, TOKEN_GRAPH, wanted_NAME_OF_GRAPH, &name));
    if (!strmap_put(&p->graphs, name, strlen(name), 0, &inserted)) return out_of_memory(p);
    if (!inserted) return text_lex_error(&p->lx, &start, message_GRAPH_TWICE, name);
    begin_graph(p);
    p->graph = module_add_graph(p->module, name);
    if (!p->graph) return p->module->status != POFAC_OK ? p->module->status : out_of_memory(p);
    TRY(take_symbols(p));
    TRY(take_body(p));
    p->blame = start;
    return graph_finish(p->graph);
}

/* ---- modules ---- */

/* Gives errors of the graph's builder and verifier their source line, and their place where they have none. */
static void complete_place(void *user, const diag *d) {
    const parser *p = user;
    if (!p->user || !p->user->emit) return;
    diag full = *d;
    if (!full.place.file && full.status != POFAC_ERR_RUNTIME) full.place = text_lex_place(&p->lx, p->blame.line, p->blame.column);
    else if (full.place.file == p->file && full.place.line && !full.place.text)
        full.place = text_lex_place(&p->lx, full.place.line, full.place.column);
    p->user->emit(p->user->user, &full);
}

static void set_given_locations(parser *p) {
    for (size_t i = 0; i < p->locations.size; i++) {
        const given_location *l = &p->locations.data[i];
        l->graph->nodes.data[l->node].location = l->location;
    }
}

static pofac_status parse(parser *p, const char *file, const char *text, size_t n) {
    p->sink = (diag_sink){complete_place, p};
    p->file = context_string(p->context, file);
    p->module = module_create(p->context, &p->sink);
    if (!p->file || !p->module) return out_of_memory(p);
    TRY(text_lex_begin(&p->lx, p->file, text, n, p->user));
    while (p->lx.token.kind != TOKEN_END) TRY(take_graph(p));
    TRY(verify_module(p->module, &p->sink));
    set_given_locations(p);
    return POFAC_OK;
}

static void free_parser(parser *p) {
    strmap_free(&p->graphs);
    strmap_free(&p->symbols);
    strmap_free(&p->values);
    VEC_FREE(&p->numbers);
    VEC_FREE(&p->operands);
    VEC_FREE(&p->attrs);
    VEC_FREE(&p->types);
    VEC_FREE(&p->ints);
    VEC_FREE(&p->floats);
    VEC_FREE(&p->locations);
    arena_free(&p->memory);
}

pofac_status text_parse_module(ir_context *c, const char *file, const char *text, size_t n, const tensor_source *constants,
                               const diag_sink *sink, ir_module **out) {
    parser p = {.user = sink, .context = c, .constants = constants};
    *out = NULL;
    pofac_status status = parse(&p, file, text, n);
    if (status == POFAC_OK) {
        p.module->sink = sink;
        *out = p.module;
    } else {
        module_destroy(p.module);
    }
    free_parser(&p);
    return status;
}
