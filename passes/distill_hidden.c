/* Terms of distillation between layers; see distill_hidden.h. */
#include "passes/distill_hidden.h"

#include <stdio.h>
#include <string.h>

#include "ir/op.h"

pofac_status distill_hidden_read(const pass_input *in, double task_alpha, double teacher_alpha, distill_hidden *out) {
    int64_t kind, padded;
    *out = (distill_hidden){.weight = 1 - task_alpha - teacher_alpha};
    TRY(pass_int_option(in, "hidden", &kind));
    TRY(pass_int_option(in, "padded_queries", &padded));
    TRY(pass_list_option(in, "layer_map", DISTILL_MAX_LAYERS, out->map, &out->n_map));
    out->kind = (distill_hidden_kind)kind;
    out->counts_padding = padded != 0;
    return POFAC_OK;
}

/* ---- what is compared ---- */

/* The output of that name without the reshape to [B,S,E]; IR_NO_VALUE: there is none. */
static ir_value rows_of_output(const ir_graph *g, const char *name) {
    for (size_t i = 0; i < g->outputs.size; i++) {
        if (strcmp(g->outputs.data[i].name, name) != 0) continue;
        const ir_node *maker = graph_node_of(g, g->outputs.data[i].value);
        const bool reshaped = maker->op == OP_reshape && graph_type(g, maker->inputs[0])->rank == 2;
        return reshaped ? maker->inputs[0] : g->outputs.data[i].value;
    }
    return IR_NO_VALUE;
}

static size_t find_attentions(const ir_graph *g, const ir_node **out) {
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.size && n < DISTILL_MAX_LAYERS; i++) {
        if (g->nodes.data[i].op != OP_attention) continue;
        if (out) out[n] = &g->nodes.data[i];
        n++;
    }
    return n;
}

static bool map_layers(distill_graph *d, distill_hidden *h, int64_t of_teacher) {
    const int64_t n = (int64_t)h->n_student;
    if (h->n_map != 0 && h->n_map != h->n_student) {
        distill_error(d, IR_NO_VALUE, "layer_map has %zu layers, wanted %zu, one for each of the student's", h->n_map,
                      h->n_student);
        return false;
    }
    for (int64_t i = 0; i < n && h->n_map == 0; i++) h->map[i] = ((i + 1) * of_teacher + n - 1) / n - 1;
    for (int64_t i = 0; i < n; i++) {
        if (h->map[i] < of_teacher) continue;
        distill_error(d, IR_NO_VALUE, "layer_map names layer %lld, wanted one of the teacher's %lld, from 0", (long long)h->map[i],
                      (long long)of_teacher);
        return false;
    }
    return true;
}

/* The hidden states 0 .. n of a graph, or with n = 0 its last one. */
static bool find_states(distill_graph *d, const ir_graph *g, const char *whose, size_t n, ir_value *out) {
    for (size_t i = 0; i <= n; i++) {
        char name[40];
        if (n == 0) snprintf(name, sizeof name, "last_hidden_state");
        else snprintf(name, sizeof name, "hidden_states.%zu", i);
        out[i] = rows_of_output(g, name);
        if (out[i] != IR_NO_VALUE) continue;
        distill_error(d, IR_NO_VALUE, "the %s has no output \"%s\", wanted one to compare", whose, name);
        return false;
    }
    return true;
}

static bool find_layers(distill_graph *d, distill_hidden *h) {
    const ir_graph *student = d->student.from, *teacher = d->teacher.from;
    const size_t n = find_attentions(student, h->attentions), of_teacher = find_attentions(teacher, NULL);
    if (n == 0 || of_teacher == 0) {
        distill_error(d, IR_NO_VALUE, "the %s has no attention, wanted layers to compare", n == 0 ? "student" : "teacher");
        return false;
    }
    h->n_student = n;
    return map_layers(d, h, (int64_t)of_teacher) && find_states(d, student, "student", n, h->student_states) &&
           find_states(d, teacher, "teacher", of_teacher, h->teacher_states);
}

void distill_hidden_begin(distill_graph *d, distill_hidden *h) {
    const ir_graph *student = d->student.from, *teacher = d->teacher.from;
    bool can = false;
    if (h->kind == DISTILL_HIDDEN_NONE) return;
    if (!teacher)
        distill_error(d, IR_NO_VALUE,
                      "the module has no graph \"" DISTILL_TEACHER_GRAPH "\", wanted one whose hidden states are compared");
    else if (h->kind == DISTILL_HIDDEN_TINYBERT) can = find_layers(d, h);
    else can = find_states(d, student, "student", 0, h->student_states) && find_states(d, teacher, "teacher", 0, h->teacher_states);
    if (can) h->keep = distill_keep(d);
    if (h->keep == IR_NO_VALUE) h->kind = DISTILL_HIDDEN_NONE;
}

/* ---- terms ---- */

static void add(distill_graph *d, distill_hidden *h, ir_value term) {
    graph_set_scope(d->student.to, "loss");
    if (term != IR_NO_VALUE) h->sum = h->sum == IR_NO_VALUE ? term : build_binary(d->student.to, OP_add, h->sum, term);
}

/* Hidden state `number` of the student beside the teacher's rows `theirs` of the joined graph. */
static void add_state(distill_graph *d, distill_hidden *h, size_t number, ir_value theirs) {
    ir_graph *g = d->student.to;
    const ir_value own = rewrite_value(&d->student, h->student_states[number]);
    if (own == IR_NO_VALUE || theirs == IR_NO_VALUE) return;
    const ir_type *wanted = graph_type(g, own), *found = graph_type(g, theirs);
    if (wanted != found) {
        strbuf text = STRBUF_INIT;
        type_print(g->module->context, found, NULL, NULL, &text);
        strbuf_puts(&text, ", wanted ");
        type_print(g->module->context, wanted, NULL, NULL, &text);
        distill_error(d, theirs, "hidden states of the teacher are %s, as the student's", strbuf_str(&text));
        strbuf_free(&text);
        return;
    }
    const bool is_cosine = h->kind == DISTILL_HIDDEN_DISTILBERT;
    graph_set_scope(g, graph_node_of(g, own)->scope);
    ir_value scale = distill_scale(d, "hidden_states");
    if (is_cosine) scale = build_binary(g, OP_mul, scale, build_scalar(g, IR_F32, h->weight));
    const ir_value inputs[] = {own, theirs, h->keep, scale};
    add(d, h, node_add(g, is_cosine ? OP_cosine_distance : OP_squared_distance, inputs, 4, NULL, 0, NULL));
}

static void add_attention(distill_graph *d, distill_hidden *h, const ir_node *own, const ir_node *theirs) {
    ir_graph *g = d->student.to;
    const int64_t heads = node_int(own, "heads"), found = node_int(theirs, "heads");
    const ir_value result = rewrite_value(&d->student, own->first_result),
                   teacher = rewrite_value(&d->teacher, theirs->first_result);
    if (heads != found || node_float(own, "scale") != node_float(theirs, "scale")) {
        distill_error(d, teacher,
                      "the teacher's attention has %lld heads and scores times %g, wanted %lld and %g, as the student's",
                      (long long)found, node_float(theirs, "scale"), (long long)heads, node_float(own, "scale"));
        return;
    }
    graph_set_scope(g, own->scope);
    const ir_value inputs[] = {rewrite_value(&d->student, own->inputs[0]),
                               rewrite_value(&d->student, own->inputs[1]),
                               rewrite_value(&d->teacher, theirs->inputs[1]),
                               rewrite_value(&d->student, own->inputs[3]),
                               result + 1,
                               rewrite_value(&d->teacher, theirs->inputs[0]),
                               teacher + 1,
                               h->keep,
                               distill_scale(d, h->counts_padding ? "padded_attentions" : "attentions")};
    const ir_attr attrs[] = {attr_int("heads", heads), attr_float("scale", node_float(own, "scale")),
                             attr_enum("queries", h->counts_padding ? "all" : "kept")};
    if (result != IR_NO_VALUE && teacher != IR_NO_VALUE) add(d, h, node_add(g, OP_attention_distance, inputs, 9, attrs, 3, NULL));
}

/* Does the node make hidden state `number` of the teacher? */
static bool makes_state(const distill_hidden *h, const ir_node *copied, int64_t number) {
    return copied->n_results > 0 && copied->first_result == h->teacher_states[number];
}

void distill_hidden_visit(distill_graph *d, distill_hidden *h, const ir_node *copied) {
    if (h->kind == DISTILL_HIDDEN_NONE) return;
    const ir_value copy = rewrite_value(&d->teacher, copied->first_result);
    if (h->kind == DISTILL_HIDDEN_DISTILBERT && h->weight == 0) return;
    if (makes_state(h, copied, 0)) add_state(d, h, 0, copy);
    for (size_t i = 0; i < h->n_student; i++) {
        if (makes_state(h, copied, h->map[i] + 1)) add_state(d, h, i + 1, copy);
        if (copied->op == OP_attention && h->map[i] == (int64_t)h->n_teacher) add_attention(d, h, h->attentions[i], copied);
    }
    h->n_teacher += copied->op == OP_attention;
}
