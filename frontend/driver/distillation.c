/*
 * A teacher for a training step; see distillation.h. What could go wrong later with a message about types is found here, where it is known
 * which model is the teacher.
 */
#include "frontend/driver/distillation.h"

#include <math.h>
#include <string.h>

#include "passes/distill_graph.h"

/* ---- checks ---- */

static pofac_status check_numbers(const distillation *d, const diag_sink *sink) {
    const struct {
        const char *name;
        double value;
        bool fits;
        const char *wanted;
    } numbers[] = {
        {"cross_entropy_alpha", d->task_alpha, d->task_alpha >= 0, "a number of at least 0"},
        {"knowledge_distillation_alpha", d->teacher_alpha, d->teacher_alpha >= 0, "a number of at least 0"},
        {"temperature", d->temperature, d->temperature > 0, "a number above 0"},
        {"token_share", d->token_share, d->token_share > 0 && d->token_share <= 1, "a number above 0 and at most 1"},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!numbers[i].fits || !isfinite(numbers[i].value))
            return diag_error(sink, POFAC_ERR_USAGE, NULL, "%s of distillation is %g, wanted %s", numbers[i].name, numbers[i].value,
                              numbers[i].wanted);
    if (d->top_k < 0)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "top_k of distillation is %lld, wanted 0 for whole logits, or how many are kept", (long long)d->top_k);
    if (d->task_alpha == 0 && d->teacher_alpha == 0 && d->hidden == DISTILL_NO_HIDDEN)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "cross_entropy_alpha and knowledge_distillation_alpha are both 0, wanted something to learn from");
    return POFAC_OK;
}

static pofac_status check_logits(const loaded_model *student, const diag_sink *sink) {
    size_t n;
    const model_spec *spec = loaded_model_spec(student);
    const diag_place place = {.file = loaded_model_path(student)};
    (void)model_graph_logits(spec, &n);
    if (n == 0)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "the model %s, wanted logits, whose distribution a teacher can give",
                          spec->head == HEAD_NONE ? "has no head" : "predicts numbers (regression)");
    if (spec->head != HEAD_QUESTION_ANSWERING && spec->head != HEAD_PRETRAINING && spec->head != HEAD_MASKED_LM &&
        spec->num_labels < 2)
        return diag_error(sink, POFAC_ERR_INPUT, &place,
                          "the model has %lld class, wanted two or more, whose distribution a teacher can give",
                          (long long)spec->num_labels);
    return POFAC_OK;
}

static pofac_status check_teacher(const loaded_model *teacher, const loaded_model *student, const diag_sink *sink) {
    const model_spec *t = loaded_model_spec(teacher), *s = loaded_model_spec(student);
    const diag_place place = {.file = loaded_model_path(teacher)};
    const bool has_labels = s->head == HEAD_SEQUENCE_CLASSIFICATION || s->head == HEAD_TOKEN_CLASSIFICATION;
    if (t->head != s->head)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "the teacher's head is %s, wanted %s, as the student's",
                          model_head_name(t->head), model_head_name(s->head));
    if (t->vocab_size != s->vocab_size)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "the teacher's vocabulary has %lld tokens, wanted %lld, as the student's",
                          (long long)t->vocab_size, (long long)s->vocab_size);
    if (has_labels && (t->num_labels != s->num_labels || t->regression))
        return diag_error(sink, POFAC_ERR_INPUT, &place, "the teacher has %lld class%s%s, wanted %lld, as the student",
                          (long long)t->num_labels, t->num_labels == 1 ? "" : "es", t->regression ? " of a regression" : "",
                          (long long)s->num_labels);
    if (t->max_position_embeddings < s->max_position_embeddings)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "the teacher takes sequences of %lld tokens, wanted %lld, as the student",
                          (long long)t->max_position_embeddings, (long long)s->max_position_embeddings);
    if (!loaded_model_has_embeddings(teacher))
        return diag_error(sink, POFAC_ERR_INPUT, &place, "the teacher has no embeddings, wanted a whole model");
    return POFAC_OK;
}

/* Terms on what lies between layers want what is compared to be of one size. */
static pofac_status check_hidden(const distillation *d, const loaded_model *student, const diag_sink *sink) {
    const model_spec *s = loaded_model_spec(student), *t = d->teacher ? loaded_model_spec(d->teacher) : NULL;
    const double used = d->task_alpha + d->teacher_alpha;
    if (d->hidden == DISTILL_NO_HIDDEN) return POFAC_OK;
    if (!t)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "cross_model_distillation compares hidden states, wanted a teacher that has some, found logits alone");
    const diag_place place = {.file = loaded_model_path(d->teacher)};
    if (t->hidden_size != s->hidden_size)
        return diag_error(sink, POFAC_ERR_INPUT, &place,
                          "the teacher's hidden size is %lld, wanted %lld, as the student's, for cross_model_distillation",
                          (long long)t->hidden_size, (long long)s->hidden_size);
    if (d->hidden == DISTILL_DISTILBERT) {
        if (used > 1)
            return diag_error(
                sink, POFAC_ERR_USAGE, NULL,
                "cross_entropy_alpha and knowledge_distillation_alpha add up to %g, wanted at most 1, as distilbert's "
                "cosine of hidden states has the rest",
                used);
        if (used == 1)
            diag_warning(
                sink, NULL,
                "cross_entropy_alpha and knowledge_distillation_alpha add up to 1, which leaves nothing for distilbert's cosine "
                "of hidden states");
        return POFAC_OK;
    }
    if (t->num_attention_heads != s->num_attention_heads)
        return diag_error(
            sink, POFAC_ERR_INPUT, &place,
            "the teacher has %lld attention heads, wanted %lld, as the student, for cross_model_distillation tinybert",
            (long long)t->num_attention_heads, (long long)s->num_attention_heads);
    if (d->n_layer_map != 0 && d->n_layer_map != (size_t)s->num_hidden_layers)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "layer_map has %zu layers, wanted %lld, one for each of the student's",
                          d->n_layer_map, (long long)s->num_hidden_layers);
    for (size_t i = 0; i < d->n_layer_map; i++)
        if (d->layer_map[i] < 0 || d->layer_map[i] >= t->num_hidden_layers)
            return diag_error(sink, POFAC_ERR_USAGE, NULL, "layer_map names layer %lld, wanted one of the teacher's %lld, from 0",
                              (long long)d->layer_map[i], (long long)t->num_hidden_layers);
    return POFAC_OK;
}

pofac_status distillation_check(const distillation *d, const loaded_model *student, const diag_sink *sink) {
    TRY(check_numbers(d, sink));
    TRY(check_logits(student, sink));
    if (d->teacher) TRY(check_teacher(d->teacher, student, sink));
    return check_hidden(d, student, sink);
}

/* ---- graphs ---- */

/* Outputs that terms between layers compare. */
static void set_hidden(const distillation *d, model_graph_options *graph) {
    graph->last_hidden_state = d->hidden == DISTILL_DISTILBERT;
    graph->hidden_states = d->hidden == DISTILL_TINYBERT;
}

void distillation_set_student(const distillation *d, model_graph_options *student) {
    student->all_logits = d != NULL;
    if (d) set_hidden(d, student);
}

/* The graph with its state under the names that it will have beside the student's, whose sizes may be others. */
static pofac_status add_frozen(const ir_graph *from, ir_module *m, const diag_sink *sink) {
    rewriter rw;
    arena memory = ARENA_INIT;
    TRY(rewrite_begin(&rw, from, m));
    for (size_t i = 0; i < from->nodes.size && m->status == POFAC_OK; i++) {
        const ir_node *n = &from->nodes.data[i];
        if (n->op != OP_state) {
            rewrite_copy_unmarked(&rw, n, NULL, NULL);
            continue;
        }
        const char *name = arena_printf(&memory, IR_FROZEN "%s", node_string(n, "name"));
        if (!name) {
            m->status = diag_out_of_memory(sink);
            break;
        }
        const ir_attr attrs[] = {attr_string("name", name), attr_bool("frozen", true)};
        rewrite_visit(&rw, n);
        const ir_type *type = graph_type(from, n->first_result);
        rewrite_map(&rw, n->first_result, node_add(rw.to, OP_state, NULL, 0, attrs, 2, type));
    }
    arena_free(&memory);
    return rewrite_finish(&rw);
}

pofac_status distillation_add_teacher(const distillation *d, const loaded_model *student, const model_graph_options *graph,
                                      ir_module *m, const diag_sink *sink) {
    TRY(distillation_check(d, student, sink));
    if (!d->teacher) return POFAC_OK;
    model_graph_options options = {.max_sequences = graph->max_sequences};
    set_hidden(d, &options);
    ir_module *own = module_create(m->context, sink);
    if (!own) return diag_out_of_memory(sink);
    pofac_status status = model_graph_build(own, DISTILL_TEACHER_GRAPH, loaded_model_spec(d->teacher), &options);
    const ir_graph *teacher = module_find_graph(own, DISTILL_TEACHER_GRAPH);
    if (status == POFAC_OK) status = loaded_model_bind(d->teacher, teacher, sink);
    if (status == POFAC_OK) status = add_frozen(teacher, m, sink);
    module_destroy(own);
    return status;
}

void distillation_put_pass(const distillation *d, const model_graph_options *graph, strbuf *out) {
    static const char *const hidden[] = {"none", "distilbert", "tinybert"}; /* ORDER: distillation_hidden */
    strbuf_printf(out, "distill{task_alpha=%.17g,teacher_alpha=%.17g,temperature=%.17g", d->task_alpha, d->teacher_alpha,
                  d->temperature);
    if (d->token_share != 1) strbuf_printf(out, ",token_share=%.17g", d->token_share);
    if (!d->teacher && d->top_k > 0) strbuf_printf(out, ",top_k=%lld", (long long)d->top_k);
    if (d->hidden != DISTILL_NO_HIDDEN) strbuf_printf(out, ",hidden=%s", hidden[d->hidden]);
    if (d->hidden == DISTILL_TINYBERT && !graph->mask_padded_logits) strbuf_puts(out, ",padded_queries=counted");
    for (size_t i = 0; i < d->n_layer_map && d->hidden == DISTILL_TINYBERT; i++)
        strbuf_printf(out, "%s%lld", i ? "-" : ",layer_map=", (long long)d->layer_map[i]);
    strbuf_putc(out, '}');
}

/* ---- weights ---- */

const tensor_source *distillation_stored(const distillation *d) { return d && d->teacher ? loaded_model_stored(d->teacher) : NULL; }

/* The source that has `name`, and its name there. */
static const tensor_source *owner_of(const joined_weights *w, const char **name) {
    const size_t n = sizeof IR_FROZEN - 1;
    if (!w->teacher || strncmp(*name, IR_FROZEN, n) != 0) return w->student;
    *name += n;
    return w->teacher;
}

static pofac_status get_weight(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const tensor_source *of = owner_of(user, &name);
    return of->get(of->user, name, sink, out);
}

static void release_weight(void *user, const char *name) {
    const tensor_source *of = owner_of(user, &name);
    tensor_source_release(of, name);
}

void joined_weights_init(joined_weights *w, const tensor_source *student, const tensor_source *teacher) {
    *w = (joined_weights){student, teacher, {.get = get_weight, .release = release_weight, .user = w}};
}
