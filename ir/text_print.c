/*
 * Modules to their text form (grammar in text.h), in one pass over the nodes.
 *
 * Layers are folded by comparing neighbouring runs of nodes of one layer ("encoder.layer.3") in a normal form, in which a layer's
 * own number reads "#", values made in the run are counted from its start, weights and constants from outside appear as what they
 * are, other values from outside as their type, and groups are named by their first node. Equal normal forms: the same computation
 * on the layer's own weights. Each run is compared with the one right before it only, so the time is linear.
 */
#include "ir/text.h"

#include <string.h>

#include "ir/op.h"
#include "ir/support/decimal.h"
#include "ir/support/strmap.h"
#include "ir/text_lex.h"

/* Types stand in this column where the node leaves room (one more than the example in ARCHITECTURE.md needs for a linear). */
#define TYPE_COLUMN 72

/* What scopes call a layer, before its number. */
static const char layer_word[] = "layer.";
#define LAYER_WORD_BYTES (sizeof layer_word - 1)

/* A layer named by a scope: "encoder.layer.3" of "encoder.layer.3.output". */
typedef struct layer {
    const char *scope;
    size_t path_bytes;   /* of "encoder.layer.3" */
    size_t prefix_bytes; /* of "encoder.layer." */
    uint32_t number;
} layer;

/* Nodes [first, end) of one layer. */
typedef struct layer_run {
    layer layer;
    size_t first, end;
    strmap groups; /* group number -> place of its first node in the run */
} layer_run;

typedef struct printer {
    const ir_graph *g;
    text_print_options options;
    strbuf *out;
    const char *scope; /* of the node printed last */
    layer_run *normal; /* normal form of this run; NULL: the plain text */
} printer;

static void put_attrs(printer *p, const ir_node *n);

/* ---- values and types ---- */

uint32_t text_node_number(const ir_graph *g, const ir_node *n) { return (uint32_t)(n - g->nodes.data) + 1; }

static void put_result(strbuf *out, size_t number, uint32_t result) {
    strbuf_printf(out, "%%%zu", number);
    if (result) strbuf_printf(out, "#%u", result);
}

static bool is_inside(const layer_run *run, size_t node) { return node >= run->first && node < run->end; }

/* A value in the normal form. */
static void put_normal_value(printer *p, ir_value v) {
    const ir_value_info *info = &p->g->values.data[v];
    const ir_node *n = &p->g->nodes.data[info->node];
    if (is_inside(p->normal, info->node)) {
        put_result(p->out, info->node - p->normal->first, info->result);
    } else if (op_has(n->op, TRAIT_LEAF) && n->op != OP_input) {
        strbuf_puts(p->out, op_info(n->op)->name);
        put_attrs(p, n);
    } else {
        strbuf_puts(p->out, "outside");
    }
}

static void put_value(const void *user, ir_value v, strbuf *out) {
    printer *p = (printer *)(uintptr_t)user;
    if (p->normal) {
        put_normal_value(p, v);
        return;
    }
    const ir_value_info *info = &p->g->values.data[v];
    put_result(out, (size_t)info->node + 1, info->result);
}

static void put_type(printer *p, const ir_type *type) { type_print(p->g->module->context, type, put_value, p, p->out); }

static void put_operand(printer *p, ir_value v) {
    if (v == IR_NO_VALUE) {
        strbuf_putc(p->out, '_');
        return;
    }
    put_value(p, v, p->out);
    if (!p->normal || is_inside(p->normal, p->g->values.data[v].node)) return;
    strbuf_putc(p->out, ':');
    put_type(p, graph_type(p->g, v));
}

/* ---- attributes ---- */

/* `text` with each "layer.N" of the run's own number N as "layer.#". */
static void put_normal_string(printer *p, const char *text) {
    const layer *l = &p->normal->layer;
    const char *own = l->scope + l->prefix_bytes - LAYER_WORD_BYTES; /* "layer.3" in the run's scope */
    size_t n = l->path_bytes - l->prefix_bytes + LAYER_WORD_BYTES;
    for (const char *at = text; *at; at++) {
        bool starts = at == text || at[-1] == '.';
        if (starts && strncmp(at, own, n) == 0 && (at[n] == '.' || at[n] == '\0')) {
            strbuf_puts(p->out, "layer.#");
            at += n - 1;
        } else {
            strbuf_putc(p->out, *at);
        }
    }
    strbuf_putc(p->out, '\0');
}

static void put_string(printer *p, const char *text) {
    if (p->normal) put_normal_string(p, text);
    else text_put_string(p->out, text);
}

static void put_ints(printer *p, const ir_attr *a) {
    for (size_t i = 0; i < a->as.ints.n; i++) strbuf_printf(p->out, "%s%lld", i ? ", " : "", (long long)a->as.ints.data[i]);
}

static void put_floats(printer *p, const ir_attr *a) {
    for (size_t i = 0; i < a->as.floats.n; i++) {
        if (i) strbuf_puts(p->out, ", ");
        decimal_put(p->out, a->as.floats.data[i]);
    }
}

static void put_attr_value(printer *p, const ir_attr *a) {
    switch (a->kind) {
    case ATTR_INT: strbuf_printf(p->out, "%lld", (long long)a->as.i); break;
    case ATTR_BOOL: strbuf_puts(p->out, a->as.i ? "true" : "false"); break;
    case ATTR_FLOAT: decimal_put(p->out, a->as.f); break;
    case ATTR_STRING:
    case ATTR_ENUM: put_string(p, a->as.s); break;
    case ATTR_INTS:
    case ATTR_FLOATS:
        strbuf_putc(p->out, '[');
        if (a->kind == ATTR_INTS) put_ints(p, a);
        else put_floats(p, a);
        strbuf_putc(p->out, ']');
        break;
    }
}

/* The numbers of groups and slots in the normal form: a group is named by its first node in the run, slots are counted. */
static bool put_normal_number(printer *p, const ir_node *n, const ir_attr *a) {
    if (strcmp(a->name, "slot") == 0) {
        strbuf_printf(p->out, "%zu slots", a->as.ints.n);
        return true;
    }
    if (strcmp(a->name, "group") != 0) return false;
    size_t place = (size_t)(n - p->g->nodes.data) - p->normal->first;
    strmap_entry *group = strmap_put(&p->normal->groups, (const char *)&a->as.i, sizeof a->as.i, place, NULL);
    if (!group) p->out->failed = true;
    strbuf_printf(p->out, "group of %llu", group ? (unsigned long long)group->value : 0);
    return true;
}

static void put_attrs(printer *p, const ir_node *n) {
    if (n->n_attrs == 0) return;
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        strbuf_puts(p->out, i ? ", " : " {");
        if (p->normal && put_normal_number(p, n, &n->attrs[i])) continue;
        strbuf_printf(p->out, "%s = ", n->attrs[i].name);
        put_attr_value(p, &n->attrs[i]);
    }
    strbuf_putc(p->out, '}');
}

/* ---- nodes ---- */

/* "%5 = linear %1, %3 {group = 1}" */
static void put_node_before_type(printer *p, const ir_node *n) {
    put_operand(p, n->first_result);
    if (n->n_results > 1) strbuf_printf(p->out, ":%u", n->n_results);
    strbuf_printf(p->out, " = %s", op_info(n->op)->name);
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        strbuf_puts(p->out, i ? ", " : " ");
        put_operand(p, n->inputs[i]);
    }
    put_attrs(p, n);
}

static void put_types(printer *p, const ir_node *n) {
    strbuf_puts(p->out, " : ");
    for (uint32_t r = 0; r < n->n_results; r++) {
        if (r) strbuf_puts(p->out, ", ");
        put_type(p, graph_type(p->g, node_result(n, r)));
    }
}

static void put_location(strbuf *out, const ir_location *l) {
    if (!l->file) return;
    strbuf_puts(out, " loc(");
    text_put_string(out, l->file);
    strbuf_printf(out, ":%u:%u)", l->line, l->column);
}

static void put_scope_line(printer *p, const ir_node *n) {
    if (strcmp(n->scope, p->scope) == 0) return;
    p->scope = n->scope;
    strbuf_puts(p->out, "  scope ");
    put_string(p, n->scope);
    strbuf_putc(p->out, '\n');
}

/* Spaces from the end of what was written since `start` to the column of types. */
static void pad_to_type(strbuf *out, size_t start) {
    size_t column = 0;
    for (const char *c = strbuf_str(out) + start; *c; c++) column += ((unsigned char)*c & 0xC0) != 0x80; /* characters of UTF-8 */
    for (; column < TYPE_COLUMN; column++) strbuf_putc(out, ' ');
}

static void put_node_line(printer *p, const ir_node *n) {
    put_scope_line(p, n);
    size_t start = p->out->size;
    strbuf_puts(p->out, "  ");
    put_node_before_type(p, n);
    if (!p->normal && strbuf_ok(p->out)) pad_to_type(p->out, start);
    put_types(p, n);
    if (p->options.locations) put_location(p->out, &n->location);
    strbuf_putc(p->out, '\n');
}

/* True when `scope` is `filter` or lies below it: encoder.layer.1 has encoder.layer.1.output, but not encoder.layer.10. */
static bool is_scope_below(const char *scope, const char *filter) {
    if (!filter || !*filter) return true;
    size_t n = strlen(filter);
    return strncmp(scope, filter, n) == 0 && (scope[n] == '.' || scope[n] == '\0');
}

static bool is_printed(const printer *p, const ir_node *n) { return is_scope_below(n->scope, p->options.scope); }

/* ---- layers ---- */

/* The outermost "layer.N" among a scope's components. */
static bool find_layer(const char *scope, layer *out) {
    for (const char *at = strstr(scope, layer_word); at; at = strstr(at + 1, layer_word)) {
        if (at != scope && at[-1] != '.') continue;
        const char *digits = at + LAYER_WORD_BYTES;
        size_t n = strspn(digits, "0123456789");
        if (n == 0 || n > 9 || (digits[0] == '0' && n > 1) || (digits[n] != '.' && digits[n] != '\0')) continue;
        *out = (layer){.scope = scope, .prefix_bytes = (size_t)(digits - scope), .path_bytes = (size_t)(digits + n - scope)};
        for (size_t i = 0; i < n; i++) out->number = out->number * 10 + (uint32_t)(digits[i] - '0');
        return true;
    }
    return false;
}

static bool is_same_prefix(const layer *a, const layer *b) {
    return a->prefix_bytes == b->prefix_bytes && memcmp(a->scope, b->scope, a->prefix_bytes) == 0;
}

/* The nodes from `first` on that are of its layer; false when it is of none. */
static bool find_run(const ir_graph *g, size_t first, layer_run *run) {
    *run = (layer_run){.first = first, .end = first + 1, .groups = STRMAP_INIT};
    if (!find_layer(g->nodes.data[first].scope, &run->layer)) return false;
    for (; run->end < g->nodes.size; run->end++) {
        layer next;
        if (!find_layer(g->nodes.data[run->end].scope, &next)) break;
        if (next.number != run->layer.number || !is_same_prefix(&next, &run->layer)) break;
    }
    return true;
}

static void put_run(printer *p, size_t first, size_t end) {
    for (size_t i = first; i < end; i++)
        if (is_printed(p, &p->g->nodes.data[i])) put_node_line(p, &p->g->nodes.data[i]);
}

/* The run's normal form. */
static void put_normal_run(const printer *plain, layer_run *run, strbuf *out) {
    printer p = *plain;
    p.out = out;
    p.normal = run;
    p.options.locations = false;
    p.scope = "";
    strbuf_clear(out);
    put_run(&p, run->first, run->end);
    strmap_free(&run->groups);
}

/* Layers that are left out: those after `shown` up to `last`. */
typedef struct folded_layers {
    layer shown, last;
} folded_layers;

static void put_folded(printer *p, folded_layers *f) {
    uint32_t first = f->shown.number + 1, last = f->last.number;
    int prefix = (int)f->shown.prefix_bytes;
    if (last >= first) {
        strbuf_printf(p->out, "  ; %.*s%u", prefix, f->shown.scope, first);
        if (last > first) strbuf_printf(p->out, " to %.*s%u", prefix, f->shown.scope, last);
        strbuf_printf(p->out, ": as %.*s%u\n", prefix, f->shown.scope, f->shown.number);
    }
    f->last = f->shown;
}

static bool is_fold(const folded_layers *f, const layer *next, const strbuf *before, const strbuf *now) {
    if (!f->shown.scope || !is_same_prefix(&f->shown, next) || next->number != f->last.number + 1) return false;
    return before->size == now->size && memcmp(strbuf_str(before), strbuf_str(now), now->size) == 0;
}

static void put_nodes_folded(printer *p) {
    strbuf now = STRBUF_INIT, before = STRBUF_INIT;
    folded_layers folded = {{NULL, 0, 0, 0}, {NULL, 0, 0, 0}};
    layer_run run;
    for (size_t i = 0; i < p->g->nodes.size; i = run.end) {
        bool layered = find_run(p->g, i, &run) && is_printed(p, &p->g->nodes.data[i]);
        if (layered) put_normal_run(p, &run, &now);
        if (layered && is_fold(&folded, &run.layer, &before, &now)) {
            folded.last = run.layer;
            continue;
        }
        put_folded(p, &folded);
        put_run(p, run.first, run.end);
        folded.shown = folded.last = layered ? run.layer : (layer){NULL, 0, 0, 0};
        strbuf swap = before;
        before = now;
        now = swap;
    }
    put_folded(p, &folded);
    if (!strbuf_ok(&now) || !strbuf_ok(&before)) p->out->failed = true;
    strbuf_free(&now);
    strbuf_free(&before);
}

/* ---- graphs and modules ---- */

static void put_header(printer *p) {
    const ir_graph *g = p->g;
    strbuf_puts(p->out, "graph @");
    if (text_is_graph_name(g->name)) strbuf_puts(p->out, g->name);
    else text_put_string(p->out, g->name);
    strbuf_puts(p->out, " (");
    for (size_t i = 0; i < g->n_bounds; i++) {
        const char *name = symbol_name(g->module->context, g->bounds[i].symbol);
        strbuf_printf(p->out, "%s%s <= %lld", i ? ", " : "", name ? name : "", (long long)g->bounds[i].upper);
    }
    strbuf_puts(p->out, ") {\n");
}

static void put_return(printer *p) {
    strbuf_puts(p->out, "  return");
    for (size_t i = 0; i < p->g->outputs.size; i++) {
        const ir_output *o = &p->g->outputs.data[i];
        strbuf_puts(p->out, i ? ",\n         " : " ");
        text_put_string(p->out, o->name);
        strbuf_puts(p->out, " = ");
        put_operand(p, o->value);
    }
    strbuf_putc(p->out, '\n');
}

void text_print_module(const ir_module *m, text_print_options options, strbuf *out) {
    for (size_t i = 0; i < m->graphs.size; i++) {
        if (i) strbuf_putc(out, '\n');
        text_print_graph(m->graphs.data[i], options, out);
    }
}

void text_print_graph(const ir_graph *g, text_print_options options, strbuf *out) {
    printer p = {.g = g, .options = options, .out = out, .scope = "", .normal = NULL};
    put_header(&p);
    if (options.fold_layers) put_nodes_folded(&p);
    else put_run(&p, 0, g->nodes.size);
    if (!options.scope || !*options.scope) put_return(&p);
    strbuf_puts(out, "}\n");
}

void text_print_node(const ir_graph *g, const ir_node *n, strbuf *out) {
    printer p = {.g = g, .options = {false, NULL, false}, .out = out, .scope = n->scope, .normal = NULL};
    put_node_before_type(&p, n);
    put_types(&p, n);
}

/* ---- equality ---- */

static bool is_tensor_equal(const ir_tensor *a, const ir_tensor *b) {
    if (a->dtype != b->dtype || a->rank != b->rank || !a->pattern != !b->pattern) return false;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    if (a->pattern) {
        const ir_pattern *x = a->pattern, *y = b->pattern;
        return x->n_rows == y->n_rows && x->n_columns == y->n_columns && x->nnz == y->nnz &&
               memcmp(x->row_start, y->row_start, (size_t)(x->n_rows + 1) * sizeof *x->row_start) == 0 &&
               (x->nnz == 0 || memcmp(x->column, y->column, (size_t)x->nnz * sizeof *x->column) == 0);
    }
    size_t n = tensor_bytes(a);
    return n == 0 || memcmp(a->data, b->data, n) == 0;
}

static bool has_constants_of(const ir_module *a, const ir_module *b) {
    for (size_t i = 0; i < a->constants.size; i++) {
        const ir_tensor *other = module_find_constant(b, a->constants.data[i].name);
        if (!other || !is_tensor_equal(&a->constants.data[i].tensor, other)) return false;
    }
    return true;
}

bool module_equal(const ir_module *a, const ir_module *b) {
    if (a->constants.size != b->constants.size || !has_constants_of(a, b)) return false;
    strbuf text_a = STRBUF_INIT, text_b = STRBUF_INIT;
    const text_print_options plain = {false, NULL, false};
    text_print_module(a, plain, &text_a);
    text_print_module(b, plain, &text_b);
    bool equal = strbuf_ok(&text_a) && strbuf_ok(&text_b) && text_a.size == text_b.size &&
                 memcmp(strbuf_str(&text_a), strbuf_str(&text_b), text_a.size) == 0;
    strbuf_free(&text_a);
    strbuf_free(&text_b);
    return equal;
}
