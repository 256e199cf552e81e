/* From nodes to boxes and arrows; see ir_picture.h. */
#include "frontend/report/ir_picture.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "frontend/report/graph_layout.h"
#include "ir/op.h"
#include "ir/support/strmap.h"
#include "ir/text.h"

#define LETTER_WIDTH 6.1 /* of the page's fixed-width letters at 10 pixels */
#define LINE_HEIGHT 13.0
#define BOX_SPACE 8.0
#define MOST_LETTERS 34
#define FROM "from " /* before the op of a box outside of the layer */
#define GAP_X 14.0
#define GAP_Y 22.0
#define GROUP_COLOURS 6

/* ---- which nodes ---- */

/* What stands behind "layer.0." of a scope, "" for the layer itself; NULL: it is of no first layer. */
static const char *place_in_layer(const char *scope) {
    static const char layer[] = "layer.0";
    for (const char *at = strstr(scope, layer); at; at = strstr(at + 1, layer)) {
        const char end = at[sizeof layer - 1];
        if ((at == scope || at[-1] == '.') && (end == 0 || end == '.')) return at + sizeof layer - 1 + (end == '.');
    }
    return NULL;
}

static bool has_layer(const ir_graph *g) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (place_in_layer(g->nodes.data[i].scope)) return true;
    return false;
}

static bool is_leaf(const ir_node *n) { return n->n_inputs == 0; }

typedef struct viewing {
    const ir_graph *g;
    bool whole;  /* no layers: all nodes */
    size_t *box; /* [nodes] box + 1, 0: none */
    strbuf text; /* scratch */
    arena *a;
    ir_view *out;
} viewing;

static bool is_shown(const viewing *v, const ir_node *n) { return !is_leaf(n) && (v->whole || place_in_layer(n->scope)); }

/* ---- the texts of a box ---- */

/* The scratch text so far, in the arena, and the scratch empty; NULL when memory is short. */
static const char *take_text(viewing *v) {
    const char *text = strbuf_ok(&v->text) ? arena_strndup(v->a, strbuf_str(&v->text), v->text.size) : NULL;
    strbuf_clear(&v->text);
    return text;
}

static void put_leaf(viewing *v, const ir_node *leaf) {
    const char *name = leaf->op == OP_state || leaf->op == OP_input ? node_string(leaf, "name") : op_info(leaf->op)->name;
    const char *point = strrchr(name, '.');
    strbuf_printf(&v->text, "%s%s ", v->text.size ? ", " : "", point ? point + 1 : name);
    type_print(v->g->module->context, graph_type(v->g, leaf->first_result), graph_print_value, v->g, &v->text);
}

static const char *leaves_of(viewing *v, const ir_node *n) {
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] != IR_NO_VALUE && is_leaf(graph_node_of(v->g, n->inputs[i])))
            put_leaf(v, graph_node_of(v->g, n->inputs[i]));
    return take_text(v);
}

/* The text without the numbers of values: "%12#1" is "%". */
static void put_without_numbers(const char *text, strbuf *out) {
    for (const char *at = text; *at; at++) {
        strbuf_putc(out, *at);
        if (*at != '%') continue;
        while (isdigit((unsigned char)at[1])) at++;
    }
}

/* Attributes of a node as they stand in its text: between braces. */
static const char *details_of(viewing *v, const char *text) {
    const char *open = strchr(text, '{'), *close = strrchr(text, '}');
    if (open && close && close > open) strbuf_append(&v->text, open + 1, (size_t)(close - open - 1));
    return take_text(v);
}

static bool fill(viewing *v, const ir_node *n, ir_view_node *out) {
    const ir_type *type = n->n_results ? graph_type(v->g, n->first_result) : NULL;
    const char *place = place_in_layer(n->scope);
    const ir_attr *group = node_find_attr(n, "group");
    out->op = op_info(n->op)->name;
    out->place = arena_strdup(v->a, !v->whole && place ? place : n->scope);
    out->group = group ? group->as.i : -1;
    if (type) type_print(v->g->module->context, type, graph_print_value, v->g, &v->text);
    out->type = take_text(v);
    text_print_node(v->g, n, &v->text);
    out->text = take_text(v);
    out->leaves = leaves_of(v, n);
    if (!out->text || !out->leaves) return false;
    out->details = details_of(v, out->text);
    strbuf_printf(&v->text, "%s | ", n->scope);
    put_without_numbers(out->text, &v->text);
    strbuf_puts(&v->text, " | ");
    put_without_numbers(out->leaves, &v->text);
    out->signature = take_text(v);
    return out->place && out->type && out->details && out->signature;
}

/* ---- boxes and edges ---- */

static bool add_node(viewing *v, size_t index, bool outside) {
    ir_view_node *box = &v->out->nodes[v->out->n_nodes];
    if (!fill(v, &v->g->nodes.data[index], box)) return false;
    box->outside = outside;
    if (outside) box->group = -1, box->leaves = box->details = "";
    v->box[index] = ++v->out->n_nodes;
    return true;
}

static bool add_nodes(viewing *v) {
    for (size_t i = 0; i < v->g->nodes.size; i++) {
        const ir_node *n = &v->g->nodes.data[i];
        if (!is_shown(v, n)) continue;
        for (uint32_t k = 0; k < n->n_inputs; k++) {
            if (n->inputs[k] == IR_NO_VALUE) continue;
            const size_t from = v->g->values.data[n->inputs[k]].node;
            const ir_node *read = &v->g->nodes.data[from];
            if (!is_leaf(read) && !v->box[from] && !add_node(v, from, !is_shown(v, read))) return false;
        }
        if (!v->box[i] && !add_node(v, i, false)) return false;
    }
    return true;
}

static size_t count_edges(const viewing *v, size_t (*edges)[2]) {
    size_t n = 0;
    for (size_t i = 0; i < v->g->nodes.size; i++) {
        const ir_node *node = &v->g->nodes.data[i];
        if (!v->box[i] || !is_shown(v, node)) continue;
        for (uint32_t k = 0; k < node->n_inputs; k++) {
            const size_t from = node->inputs[k] == IR_NO_VALUE ? 0 : v->box[v->g->values.data[node->inputs[k]].node];
            if (!from) continue;
            if (edges) edges[n][0] = from - 1, edges[n][1] = v->box[i] - 1;
            n++;
        }
    }
    return n;
}

static bool collect(viewing *v, const char *title) {
    const size_t n = v->g->nodes.size;
    v->box = ARENA_ARRAY(v->a, size_t, n + 1);
    v->out->nodes = ARENA_ARRAY(v->a, ir_view_node, n + 1);
    v->out->title = arena_strdup(v->a, title);
    if (!v->box || !v->out->nodes || !v->out->title || !add_nodes(v)) return false;
    v->out->n_edges = count_edges(v, NULL);
    v->out->edges = arena_alloc_array(v->a, sizeof *v->out->edges, v->out->n_edges + 1);
    if (!v->out->edges) return false;
    (void)count_edges(v, v->out->edges);
    return true;
}

pofac_status ir_view_make(const ir_graph *g, const char *title, arena *a, const diag_sink *sink, ir_view *out) {
    viewing v = {.g = g, .whole = !has_layer(g), .text = STRBUF_INIT, .a = a, .out = out};
    size_t n = 0;
    *out = (ir_view){0};
    for (size_t i = 0; i < g->nodes.size; i++) n += is_shown(&v, &g->nodes.data[i]);
    if (n > IR_VIEW_MOST_NODES)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "picture of a graph: found %zu nodes, wanted at most %d", n,
                          IR_VIEW_MOST_NODES);
    const bool ok = collect(&v, title);
    strbuf_free(&v.text);
    return ok ? POFAC_OK : diag_out_of_memory(sink);
}

/* ---- what a pass has changed ---- */

/* Marks nodes of `of` beyond as many as `in` has of their signature; returns how many. SIZE_MAX: memory is short. */
static size_t mark_others(const ir_view *in, ir_view *of, bool as_new) {
    strmap seen = STRMAP_INIT;
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; i < in->n_nodes && ok; i++) {
        strmap_entry *e = strmap_put(&seen, in->nodes[i].signature, strlen(in->nodes[i].signature), 0, NULL);
        if (e) e->value++;
        else ok = false;
    }
    for (size_t i = 0; i < of->n_nodes && ok; i++) {
        ir_view_node *node = &of->nodes[i];
        strmap_entry *e = (strmap_entry *)(uintptr_t)strmap_get(&seen, node->signature, strlen(node->signature));
        const bool other = !e || e->value == 0;
        if (!other) e->value--;
        if (!other || node->outside) continue;
        if (as_new) node->is_new = true;
        else node->goes = true;
        n++;
    }
    strmap_free(&seen);
    return ok ? n : SIZE_MAX;
}

pofac_status ir_view_compare(ir_view *before, ir_view *after, const diag_sink *sink) {
    after->n_new = mark_others(before, after, true);
    after->n_gone = mark_others(after, before, false);
    return after->n_new == SIZE_MAX || after->n_gone == SIZE_MAX ? diag_out_of_memory(sink) : POFAC_OK;
}

/* ---- drawing ---- */

/* The first letters of a line, in columns of UTF-8's bytes (names and types are ASCII). */
static int shown_letters(const char *line) {
    const size_t n = strlen(line);
    return n > MOST_LETTERS ? MOST_LETTERS : (int)n;
}

static size_t lines_of(const ir_view_node *n, const char *lines[5]) {
    const char *all[5] = {n->op, n->place, n->type, n->leaves, n->details};
    size_t k = 0;
    for (size_t i = 0; i < 5; i++)
        if (*all[i]) lines[k++] = all[i];
    return k;
}

static layout_box box_of(const ir_view_node *n) {
    const char *lines[5];
    const size_t k = lines_of(n, lines);
    int letters = n->outside ? (int)strlen(FROM) + shown_letters(n->op) : 6;
    for (size_t i = 0; i < k; i++)
        if (shown_letters(lines[i]) > letters) letters = shown_letters(lines[i]);
    return (layout_box){.width = letters * LETTER_WIDTH + 2 * BOX_SPACE, .height = (double)k * LINE_HEIGHT + BOX_SPACE};
}

static void put_node(const ir_view_node *n, const layout_box *b, strbuf *out) {
    const char *lines[5];
    const size_t k = lines_of(n, lines);
    strbuf_printf(out, "<g class=\"node%s%s%s", n->outside ? " outside" : "", n->is_new ? " new" : "", n->goes ? " goes" : "");
    if (n->group >= 0) strbuf_printf(out, " k%d", (int)(n->group % GROUP_COLOURS));
    strbuf_puts(out, "\"><title>");
    strbuf_put_html(out, n->text, strlen(n->text));
    strbuf_printf(out, "</title><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"4\"/>", b->x, b->y, b->width,
                  b->height);
    for (size_t i = 0; i < k; i++) {
        const int letters = shown_letters(lines[i]);
        strbuf_printf(out, "<text%s x=\"%.1f\" y=\"%.1f\">", i == 0 ? " class=\"op\"" : "", b->x + BOX_SPACE,
                      b->y + BOX_SPACE / 2 + (double)(i + 1) * LINE_HEIGHT - 3);
        if (i == 0 && n->outside) strbuf_puts(out, FROM);
        strbuf_put_html(out, lines[i], (size_t)(lines[i][letters] ? letters - 1 : letters));
        if (lines[i][letters]) strbuf_puts(out, "\xE2\x80\xA6"); /* an ellipsis */
        strbuf_puts(out, "</text>");
    }
    strbuf_puts(out, "</g>");
}

/* Straight down where it stays in its column, in a curve otherwise; an arrow's head at the end. */
static void put_edge(const layout_edge *e, strbuf *out) {
    const layout_point *p = e->points, *end = &p[e->n_points - 1];
    strbuf_printf(out, "<path class=\"edge\" d=\"M%.1f %.1f", p[0].x, p[0].y);
    for (size_t i = 1; i < e->n_points; i++) {
        const double middle = (p[i - 1].y + p[i].y) / 2;
        if (fabs(p[i].x - p[i - 1].x) < 0.05) strbuf_printf(out, "V%.1f", p[i].y);
        else strbuf_printf(out, "C%.1f %.1f %.1f %.1f %.1f %.1f", p[i - 1].x, middle, p[i].x, middle, p[i].x, p[i].y);
    }
    strbuf_printf(out, "\"/><path class=\"head\" d=\"M%.1f %.1fl-3.5 -6h7z\"/>", end->x, end->y);
}

static pofac_status lay_out(const ir_view *v, arena *a, const diag_sink *sink, graph_layout *out) {
    *out = (graph_layout){.n_boxes = v->n_nodes, .n_edges = v->n_edges, .gap_x = GAP_X, .gap_y = GAP_Y};
    out->boxes = ARENA_ARRAY(a, layout_box, v->n_nodes + 1);
    out->edges = ARENA_ARRAY(a, layout_edge, v->n_edges + 1);
    if (!out->boxes || !out->edges) return diag_out_of_memory(sink);
    for (size_t i = 0; i < v->n_nodes; i++) out->boxes[i] = box_of(&v->nodes[i]);
    for (size_t i = 0; i < v->n_edges; i++) out->edges[i] = (layout_edge){.from = v->edges[i][0], .to = v->edges[i][1]};
    return graph_layout_make(out, a, sink);
}

pofac_status ir_view_put(const ir_view *v, const diag_sink *sink, strbuf *out) {
    arena a = ARENA_INIT;
    graph_layout g;
    const pofac_status status = lay_out(v, &a, sink, &g);
    if (status == POFAC_OK) {
        strbuf_puts(out, "<figure class=\"graph\"><figcaption><b>");
        strbuf_put_html(out, v->title, strlen(v->title));
        strbuf_printf(out, "</b> <span class=\"quiet\">%zu nodes", v->n_nodes);
        if (v->n_new || v->n_gone) strbuf_printf(out, "; %zu new or changed, in place of %zu", v->n_new, v->n_gone);
        strbuf_printf(
            out, "</span></figcaption><svg width=\"%.0f\" height=\"%.0f\" viewBox=\"-2 -2 %.1f %.1f\" role=\"img\" aria-label=\"",
            g.width + 4, g.height + 4, g.width + 4, g.height + 4);
        strbuf_put_html(out, v->title, strlen(v->title));
        strbuf_puts(out, "\">");
        for (size_t i = 0; i < g.n_edges; i++) put_edge(&g.edges[i], out);
        for (size_t i = 0; i < g.n_boxes; i++) put_node(&v->nodes[i], &g.boxes[i], out);
        strbuf_puts(out, "</svg></figure>\n");
    }
    arena_free(&a);
    return status;
}
