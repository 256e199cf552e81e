/*
 * Distill: the graph of a teacher goes into the graph of a student's training step, and what the two differ by into the loss (spec of the
 * method: prune once for all, section 3).
 *
 *   loss         = task_alpha * loss.task + teacher_alpha * loss.distill + loss.hidden
 *   loss.task    = the student's loss as it was
 *   loss.distill = sum over logits of weight * kl_divergence(student, teacher, keep, scale.distill.OUTPUT) {temperature}
 *   loss.hidden  = terms on what lies between layers (distill_hidden.h), where the option `hidden` asks for them
 *
 * The graph "teacher" of the module, made for evaluation, is copied into every graph with an output "loss" and is no graph of its own
 * any more. Inputs of one name are one input; a parameter NAME becomes the frozen state teacher.NAME, which no gradient reaches; scopes
 * begin with "teacher."; what is computed for none of the losses goes, and so do all outputs but losses.
 *
 * Where the module has no teacher, its logits are inputs teacher_logits.OUTPUT; with top_k those over a vocabulary are [B,S,top_k], of the
 * classes in the input teacher_ids.OUTPUT, and their term is linear_soft_cross_entropy of the linear that makes the student's. Logits are
 * those of table `results` that the student's graph has: of tokens, those that the attention mask keeps, and with token_share below 1 of
 * these the ones with labels and a share of the others, drawn anew in each step; of places in a sequence, those that the task's own loss
 * keeps. A factor of 0 leaves a term out of the loss.
 */
#include <stdarg.h>
#include <string.h>

#include "ir/op.h"
#include "passes/distill_hidden.h"

/* ORDER: that of the sum. Weights: prune once for all, section 3. */
static const struct {
    const char *name;
    double weight;
} results[] = {{"prediction_logits", 1}, {"seq_relationship_logits", 1}, {"logits", 1}, {"start_logits", 0.5}, {"end_logits", 0.5}};

/* ---- what terms are made of ---- */

void distill_error(distill_graph *d, ir_value v, const char *format, ...) {
    ir_graph *g = d->student.to;
    strbuf text = STRBUF_INIT;
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&text, format, arguments);
    va_end(arguments);
    const ir_location at = v == IR_NO_VALUE ? (ir_location){0} : graph_node_of(g, v)->location;
    module_error(g->module, &at, "%s: %s", d->in->pass, strbuf_str(&text));
    strbuf_free(&text);
}

ir_value distill_output(rewriter *rw, const char *name) {
    for (size_t i = 0; i < rw->from->outputs.size; i++)
        if (strcmp(rw->from->outputs.data[i].name, name) == 0) return rewrite_value(rw, rw->from->outputs.data[i].value);
    return IR_NO_VALUE;
}

ir_value distill_rows(rewriter *rw, const char *name) {
    const ir_value v = distill_output(rw, name);
    if (v == IR_NO_VALUE || graph_type(rw->to, v)->rank != 3) return v;
    const ir_node *maker = graph_node_of(rw->to, v);
    const ir_type *t = graph_type(rw->to, v);
    if (maker->op == OP_reshape && graph_type(rw->to, maker->inputs[0])->rank == 2) return maker->inputs[0];
    bool ok;
    const ir_dim dims[2] = {dim_mul(t->dims[0], t->dims[1], &ok), t->dims[2]};
    return build_declared(rw->to, OP_reshape, v, type_tensor(rw->to->module->context, t->dtype, 2, dims));
}

/* The input of that name in the joined graph, as far as it is built. */
static ir_value find_input(const ir_graph *g, const char *name) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_input && strcmp(node_string(&g->nodes.data[i], "name"), name) == 0)
            return g->nodes.data[i].first_result;
    return IR_NO_VALUE;
}

ir_value distill_keep(distill_graph *d) {
    ir_graph *g = d->student.to;
    const ir_value mask = find_input(g, "attention_mask");
    if (mask == IR_NO_VALUE || graph_type(g, mask)->rank != 2) {
        distill_error(d, mask, "found no input attention_mask [B,S], wanted one for losses of tokens");
        return IR_NO_VALUE;
    }
    bool ok;
    const ir_type *t = graph_type(g, mask);
    const ir_dim rows = dim_mul(t->dims[0], t->dims[1], &ok);
    return build_declared(g, OP_reshape, mask, type_tensor(g->module->context, t->dtype, 1, &rows));
}

ir_value distill_scale(distill_graph *d, const char *output) {
    ir_graph *g = d->student.to;
    const char *name = arena_printf(&d->memory, "scale.distill.%s", output);
    if (!name) {
        if (g->module->status == POFAC_OK) g->module->status = diag_out_of_memory(d->in->sink);
        return IR_NO_VALUE;
    }
    const ir_value found = find_input(g, name);
    return found != IR_NO_VALUE ? found : build_leaf(g, OP_input, name, type_tensor(g->module->context, IR_F32, 0, NULL));
}

/* ---- the teacher ---- */

/* An input of the student's, or one of its own. */
static void share_input(distill_graph *d, const ir_node *n) {
    ir_graph *g = d->student.to;
    const char *name = node_string(n, "name");
    const ir_type *wanted = graph_type(d->teacher.from, n->first_result);
    const ir_value found = find_input(g, name);
    if (found == IR_NO_VALUE) {
        rewrite_copy(&d->teacher, n);
        return;
    }
    if (graph_type(g, found) != wanted)
        distill_error(d, found, "the teacher reads the input \"%s\" as another type than the student", name);
    rewrite_map(&d->teacher, n->first_result, found);
}

/* State NAME as teacher.NAME, where it has not that name, which is not trained, and its pattern likewise. */
static void copy_state(distill_graph *d, const ir_node *n) {
    const char *own = node_string(n, "name");
    const bool named = strncmp(own, IR_FROZEN, sizeof IR_FROZEN - 1) == 0;
    const char *name = named ? own : arena_printf(&d->memory, IR_FROZEN "%s", own);
    const ir_attr attrs[] = {attr_string("name", name ? name : ""), attr_bool("frozen", true)};
    if (!name && d->student.to->module->status == POFAC_OK) d->student.to->module->status = diag_out_of_memory(d->in->sink);
    rewrite_visit(&d->teacher, n);
    const ir_type *type = rewrite_type(&d->teacher, graph_type(d->teacher.from, n->first_result));
    rewrite_map(&d->teacher, n->first_result, node_add(d->student.to, n->op, NULL, 0, attrs, n->op == OP_state ? 2 : 1, type));
}

static void copy_teacher_node(distill_graph *d, const ir_node *from) {
    ir_graph *g = d->student.to;
    ir_node n = *from;
    const char *scope = arena_printf(&d->memory, n.scope[0] ? DISTILL_TEACHER_GRAPH ".%s" : DISTILL_TEACHER_GRAPH "%s", n.scope);
    graph_set_scope(g, scope ? scope : "");
    n.scope = g->scope; /* interned */
    if (n.op == OP_input) share_input(d, &n);
    else if (n.op == OP_state || n.op == OP_pattern) copy_state(d, &n);
    else rewrite_copy_unmarked(&d->teacher, &n, NULL, NULL);
}

/* Sizes that the student takes must be sizes that the teacher takes. */
static void join_bounds(distill_graph *d) {
    const ir_graph *from = d->teacher.from;
    for (size_t i = 0; i < from->n_bounds; i++) {
        const ir_symbol_bound *b = &from->bounds[i];
        const char *name = symbol_name(from->module->context, b->symbol);
        const int64_t taken = graph_symbol_bound(d->student.to, b->symbol);
        if (taken == 0) graph_declare_symbol(d->student.to, name, b->upper);
        else if (taken > b->upper)
            distill_error(d, IR_NO_VALUE, "the teacher takes %s up to %lld, wanted %lld, as the student does", name,
                          (long long)b->upper, (long long)taken);
    }
}

static void copy_teacher(distill_graph *d, distill_hidden *hidden) {
    const ir_graph *from = d->teacher.from;
    d->teacher.to = d->student.to;
    d->teacher.map = ARENA_ARRAY(&d->memory, ir_value, from->values.size);
    if (!d->teacher.map) {
        d->student.to->module->status = diag_out_of_memory(d->in->sink);
        return;
    }
    join_bounds(d);
    for (size_t i = 0; i < from->nodes.size && d->student.to->module->status == POFAC_OK; i++) {
        copy_teacher_node(d, &from->nodes.data[i]);
        distill_hidden_visit(d, hidden, &from->nodes.data[i]);
    }
}

/* ---- the loss ---- */

typedef struct distill_settings {
    double task_alpha, teacher_alpha, temperature, token_share;
    int64_t top_k;
    distill_hidden hidden;
} distill_settings;

/* What the task's loss of the logits [B,S] leaves out of its softmax; IR_NO_VALUE: nothing. */
static ir_value kept_places(distill_graph *d, ir_value logits) {
    const ir_graph *g = d->student.to;
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_cross_entropy && g->nodes.data[i].inputs[0] == logits)
            return node_input(&g->nodes.data[i], 2);
    return IR_NO_VALUE;
}

/* An input of the name, which the graph may have already. */
static ir_value input_named(ir_graph *g, const char *name, const ir_type *type) {
    const ir_value found = find_input(g, name);
    return found != IR_NO_VALUE ? found : build_leaf(g, OP_input, name, type);
}

/* The input PREFIX.OUTPUT of the type `like`, as the type `rows`. */
static ir_value given_rows(distill_graph *d, const char *prefix, const char *output, const ir_type *like, const ir_type *rows) {
    ir_graph *g = d->student.to;
    const char *name = arena_printf(&d->memory, "%s.%s", prefix, output);
    const ir_value given = name ? build_leaf(g, OP_input, name, like) : IR_NO_VALUE;
    if (!name && g->module->status == POFAC_OK) g->module->status = diag_out_of_memory(d->in->sink);
    return given != IR_NO_VALUE && like != rows ? build_declared(g, OP_reshape, given, rows) : given;
}

/* The teacher's logits, like the student's, `name`, which has the type `like` and the rows `rows`. */
static ir_value teacher_logits(distill_graph *d, const char *name, const ir_type *like, const ir_type *rows) {
    if (!d->teacher.from) return given_rows(d, "teacher_logits", name, like, rows);
    const ir_value found = distill_rows(&d->teacher, name);
    if (found == IR_NO_VALUE) distill_error(d, IR_NO_VALUE, "the teacher has no output \"%s\", wanted what the student has", name);
    return found;
}

/* Rows [D] of the padded batch: those with labels and a share of the others; IR_NO_VALUE: all. */
static ir_value drawn_rows(distill_graph *d, const distill_settings *s, ir_value keep) {
    ir_graph *g = d->student.to;
    const ir_value mask = find_input(g, "attention_mask"), labels = find_input(g, "labels");
    const ir_dim two = dim_const(2);
    if (s->token_share == 1 || keep == IR_NO_VALUE) return IR_NO_VALUE;
    if (labels == IR_NO_VALUE || graph_type(g, labels)->rank != 2) {
        distill_error(d, labels, "found no input labels [B,S], wanted one for a share of the tokens");
        return IR_NO_VALUE;
    }
    ir_context *c = g->module->context;
    const ir_dim *sizes = graph_type(g, mask)->dims;
    int64_t bound;
    if (__builtin_mul_overflow(graph_symbol_bound(g, sizes[0].symbol[0]), graph_symbol_bound(g, sizes[1].symbol[0]), &bound))
        bound = INT64_MAX;
    graph_declare_symbol(g, "D", bound);
    const ir_value first = input_named(g, "first_example", type_tensor(c, IR_I64, 0, NULL)),
                   random = input_named(g, "random", type_tensor(c, IR_I64, 1, &two)),
                   of[] = {build_unary(g, OP_padded_offsets, mask), keep, first},
                   keys = node_add(g, OP_row_keys, of, 3, NULL, 0, NULL),
                   rows = build_declared(g, OP_reshape, labels,
                                         type_tensor(c, graph_type(g, labels)->dtype, 1, graph_type(g, keep)->dims)),
                   inputs[] = {rows, keys, random};
    const ir_attr attrs[] = {attr_string("rows", "D"), attr_float("share", s->token_share)};
    return node_add(g, OP_sampled_rows, inputs, 3, attrs, 2, NULL);
}

static ir_value take_rows(ir_graph *g, ir_value x, ir_value rows) {
    return rows == IR_NO_VALUE || x == IR_NO_VALUE ? x : build_binary(g, OP_gather_rows, x, rows);
}

/* The divergence of the student's logits `logits` of tokens from the classes that a teacher finds likeliest, inputs teacher_ids.OUTPUT, teacher_logits.OUTPUT. */
static ir_value divergence_from_likeliest(distill_graph *d, const distill_settings *s, const char *name, ir_value logits,
                                          const ir_type *whole, ir_value rows, ir_value keep) {
    ir_graph *g = d->student.to;
    const ir_node linear = *graph_node_of(g, logits);
    if (linear.op != OP_linear || node_input(&linear, 3) != IR_NO_VALUE) {
        distill_error(d, logits, "%s is made by %s, wanted a linear with a dense weight for a teacher's likeliest classes", name,
                      op_info(linear.op)->name);
        return IR_NO_VALUE;
    }
    ir_context *c = g->module->context;
    const ir_dim like[3] = {whole->dims[0], whole->dims[1], dim_const(s->top_k)},
                 flat[2] = {graph_type(g, logits)->dims[0], like[2]};
    const ir_value ids = given_rows(d, "teacher_ids", name, type_tensor(c, IR_I32, 3, like), type_tensor(c, IR_I32, 2, flat)),
                   given = given_rows(d, "teacher_logits", name, type_tensor(c, IR_F32, 3, like), type_tensor(c, IR_F32, 2, flat)),
                   inputs[] = {take_rows(g, linear.inputs[0], rows),
                               linear.inputs[1],
                               take_rows(g, ids, rows),
                               take_rows(g, given, rows),
                               node_input(&linear, 2),
                               keep,
                               distill_scale(d, name)};
    const ir_attr temperature = attr_float("temperature", s->temperature);
    return node_add(g, OP_linear_soft_cross_entropy, inputs, 7, &temperature, 1, NULL);
}

/* The divergence of one kind of logits; IR_NO_VALUE: the student has none of that name. */
static ir_value divergence(distill_graph *d, const distill_settings *s, const char *name) {
    ir_graph *g = d->student.to;
    const ir_value whole = distill_output(&d->student, name), student = distill_rows(&d->student, name);
    int64_t n_classes;
    if (student == IR_NO_VALUE) return IR_NO_VALUE;
    const ir_type *like = graph_type(g, whole), *type = graph_type(g, student);
    const bool has_classes = dim_is_const(type->dims[type->rank - 1], &n_classes), of_tokens = like->rank == 3;
    if (has_classes && n_classes < 2) {
        distill_error(d, student, "%s has %lld class, wanted two or more to learn their distribution", name, (long long)n_classes);
        return IR_NO_VALUE;
    }
    ir_value keep = of_tokens ? distill_keep(d) : has_classes ? IR_NO_VALUE : kept_places(d, student);
    const ir_value rows = of_tokens ? drawn_rows(d, s, keep) : IR_NO_VALUE;
    keep = take_rows(g, keep, rows);
    if (!d->teacher.from && of_tokens && s->top_k > 0 && n_classes > s->top_k)
        return divergence_from_likeliest(d, s, name, student, like, rows, keep);
    const ir_value teacher = teacher_logits(d, name, like, type);
    const ir_value inputs[] = {take_rows(g, student, rows), take_rows(g, teacher, rows), keep, distill_scale(d, name)};
    const ir_attr temperature = attr_float("temperature", s->temperature);
    return node_add(g, OP_kl_divergence, inputs, 4, &temperature, 1, NULL);
}

static ir_value times(ir_graph *g, ir_value x, double factor) {
    return factor == 1 ? x : build_binary(g, OP_mul, x, build_scalar(g, IR_F32, factor));
}

/* sum + factor * term */
static ir_value add_term(ir_graph *g, ir_value sum, ir_value term, double factor) {
    if (factor == 0 || term == IR_NO_VALUE) return sum;
    term = times(g, term, factor);
    return sum == IR_NO_VALUE ? term : build_binary(g, OP_add, sum, term);
}

static void add_losses(distill_graph *d, const distill_settings *s) {
    ir_graph *g = d->student.to;
    const ir_value task = distill_output(&d->student, "loss");
    ir_value distilled = IR_NO_VALUE;
    graph_set_scope(g, "loss");
    graph_set_location(g, graph_node_of(g, task)->location);
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        distilled = add_term(g, distilled, divergence(d, s, results[i].name), results[i].weight);
    if (distilled == IR_NO_VALUE) {
        distill_error(d, task, "the graph @%s has no logits among its outputs, wanted what a teacher can be compared with",
                      d->student.from->name);
        return;
    }
    ir_value all = add_term(g, add_term(g, IR_NO_VALUE, task, s->task_alpha), distilled, s->teacher_alpha);
    all = add_term(g, all, s->hidden.sum, 1);
    if (all == IR_NO_VALUE) {
        distill_error(d, task, "task_alpha and teacher_alpha are both 0, wanted a loss");
        return;
    }
    graph_add_output(g, "loss", all);
    graph_add_output(g, "loss.task", task);
    graph_add_output(g, "loss.distill", distilled);
    if (s->hidden.kind != DISTILL_HIDDEN_NONE) /* a cosine without weight is not computed */
        graph_add_output(g, "loss.hidden", s->hidden.sum != IR_NO_VALUE ? s->hidden.sum : build_scalar(g, IR_F32, 0));
}

/* Outputs that the joined graph has from the student's. */
static bool is_term(const char *name) { return strncmp(name, "loss.", 5) == 0; }

/* ---- the pass ---- */

static pofac_status read_settings(const pass_input *in, distill_settings *s) {
    TRY(pass_real_option(in, "task_alpha", &s->task_alpha));
    TRY(pass_real_option(in, "teacher_alpha", &s->teacher_alpha));
    TRY(pass_real_option(in, "temperature", &s->temperature));
    TRY(pass_real_option(in, "token_share", &s->token_share));
    TRY(pass_int_option(in, "top_k", &s->top_k));
    return distill_hidden_read(in, s->task_alpha, s->teacher_alpha, &s->hidden);
}

static bool has_loss(const ir_graph *g) {
    for (size_t i = 0; i < g->outputs.size; i++)
        if (strcmp(g->outputs.data[i].name, "loss") == 0) return true;
    return false;
}

static pofac_status distill_graph_of(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    distill_graph d = {.in = in, .memory = ARENA_INIT, .teacher.from = module_find_graph(in->module, DISTILL_TEACHER_GRAPH)};
    distill_settings settings;
    if (from == d.teacher.from) return POFAC_OK;
    TRY(read_settings(in, &settings));
    TRY(rewrite_begin(&d.student, from, to));
    for (size_t i = 0; i < from->nodes.size && to->status == POFAC_OK; i++)
        rewrite_copy_unmarked(&d.student, &from->nodes.data[i], NULL, NULL);
    if (has_loss(from)) {
        if (to->status == POFAC_OK) distill_hidden_begin(&d, &settings.hidden);
        if (d.teacher.from && to->status == POFAC_OK) copy_teacher(&d, &settings.hidden);
        if (to->status == POFAC_OK) add_losses(&d, &settings);
    }
    const pofac_status status = rewrite_finish_with(&d.student, has_loss(from) ? is_term : NULL);
    arena_free(&d.memory);
    return status;
}

pofac_status pass_distill(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    ir_module *joined = NULL;
    *out = NULL;
    TRY(rewrite_module(in->module, distill_graph_of, &copy, in->sink, &joined));
    copy.module = joined;
    const pofac_status status = pass_dce(&copy, out); /* what no loss needs */
    module_destroy(joined);
    return status;
}
