/* Opening a recipe's teacher; see run_teacher.h. */
#include "frontend/driver/run_teacher.h"

#include <inttypes.h>
#include <string.h>

#include "frontend/data/label_set.h"
#include "frontend/driver/road.h"
#include "ir/op.h"

typedef struct teacher_check {
    const recipe *recipe;
    loaded_model *teacher, *model;
    diag_place place; /* the teacher's */
    const diag_sink *sink;
} teacher_check;

/* ---- numbers ---- */

static pofac_status wants_number(const teacher_check *c, const char *what, int64_t found, int64_t wanted) {
    if (found == wanted) return POFAC_OK;
    return diag_error(c->sink, POFAC_ERR_INPUT, &c->place, "the teacher has %s %" PRId64 ", wanted %" PRId64 ", as %s has", what,
                      found, wanted, loaded_model_path(c->model));
}

/* Beside what distillation_check looks at. */
static pofac_status check_numbers(const teacher_check *c) {
    const model_spec *t = loaded_model_spec(c->teacher), *m = loaded_model_spec(c->model);
    TRY(wants_number(c, "pad_token_id", t->pad_token_id, m->pad_token_id));
    if (t->arch == MODEL_BERT && m->arch == MODEL_BERT && t->type_vocab_size < m->type_vocab_size)
        return diag_error(c->sink, POFAC_ERR_INPUT, &c->place,
                          "the teacher has type_vocab_size %" PRId64 ", wanted at least %" PRId64 ", as %s has", t->type_vocab_size,
                          m->type_vocab_size, loaded_model_path(c->model));
    return POFAC_OK;
}

/* ---- names ---- */

/* Without a vocabulary of either there is nothing to compare. */
static pofac_status check_tokens(const teacher_check *c) {
    const tokenizer *t, *m;
    if (loaded_model_tokenizer(c->teacher, NULL, &t) != POFAC_OK || loaded_model_tokenizer(c->model, NULL, &m) != POFAC_OK)
        return POFAC_OK;
    const size_t n = tokenizer_vocab_size(t) < tokenizer_vocab_size(m) ? tokenizer_vocab_size(t) : tokenizer_vocab_size(m);
    for (size_t i = 0; i < n; i++) {
        const char *found = tokenizer_token(t, (int32_t)i), *wanted = tokenizer_token(m, (int32_t)i);
        if (strcmp(found, wanted) == 0) continue;
        return diag_error(c->sink, POFAC_ERR_INPUT, &c->place,
                          "token %zu of the teacher's vocabulary is \"%s\", wanted \"%s\", as %s has", i, found, wanted,
                          loaded_model_path(c->model));
    }
    return POFAC_OK;
}

/* The labels of a model, in its order: without names in the task's. None (n = 0): nobody knows. */
static pofac_status find_labels(const teacher_check *c, const model_spec *s, arena *a, label_set *out) {
    const task_info *task;
    *out = (label_set){0};
    if (s->labels && label_set_has_names(s->labels, (size_t)s->num_labels))
        return label_set_from_names(s->labels, (size_t)s->num_labels, a, out) ? POFAC_OK : diag_out_of_memory(c->sink);
    if (c->recipe->data.kind != RECIPE_GLUE) return POFAC_OK;
    TRY(task_find(c->recipe->data.task, c->sink, &task));
    return task->kind == TASK_REGRESSION ? POFAC_OK : label_set_make(task, NULL, a, c->sink, out);
}

static pofac_status wrong_labels(const teacher_check *c, const label_set *found, const label_set *wanted) {
    strbuf a = STRBUF_INIT, b = STRBUF_INIT;
    label_set_put(found, &a);
    label_set_put(wanted, &b);
    pofac_status status = strbuf_ok(&a) && strbuf_ok(&b) ? POFAC_OK : diag_out_of_memory(c->sink);
    if (status == POFAC_OK)
        status = diag_error(c->sink, POFAC_ERR_INPUT, &c->place,
                            "id2label: found %s, wanted %s in this order, as %s has; a new head takes "
                            "the teacher's",
                            strbuf_str(&a), strbuf_str(&b), loaded_model_path(c->model));
    strbuf_free(&a);
    strbuf_free(&b);
    return status;
}

static pofac_status compare_labels(const teacher_check *c, arena *a) {
    label_set found, wanted;
    TRY(find_labels(c, loaded_model_spec(c->teacher), a, &found));
    TRY(find_labels(c, loaded_model_spec(c->model), a, &wanted));
    for (size_t i = 0; found.n > 0 && i < wanted.n; i++)
        if (label_set_find(&found, wanted.names[i], strlen(wanted.names[i])) != (int32_t)i) return wrong_labels(c, &found, &wanted);
    return POFAC_OK;
}

static pofac_status check_labels(const teacher_check *c) {
    arena a = ARENA_INIT;
    if (!model_head_find(loaded_model_spec(c->model)->head)->has_labels) return POFAC_OK;
    const pofac_status status = compare_labels(c, &a);
    arena_free(&a);
    return status;
}

/* ---- weights ---- */

/* A head from the seed has nothing to teach. */
static pofac_status check_stored(const teacher_check *c, const ir_graph *g) {
    const tensor_source *stored = loaded_model_stored(c->teacher);
    if (!loaded_model_checkpoint(c->teacher)) {
        diag_warning(c->sink, &c->place, "the teacher has no checkpoint: its weights are drawn from the seed");
        return POFAC_OK;
    }
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        ir_tensor t;
        if (n->op != OP_state) continue;
        const char *name = node_string(n, "name");
        const pofac_status status = stored->get(stored->user, name, NULL, &t);
        if (status == POFAC_ERR_INPUT)
            return diag_error(c->sink, status, &c->place, "the teacher's checkpoint has no %s, wanted a teacher with the head %s",
                              name, model_head_name(loaded_model_spec(c->teacher)->head));
        if (status != POFAC_OK) return diag_out_of_memory(c->sink);
        tensor_source_release(stored, name);
    }
    return POFAC_OK;
}

static pofac_status check_weights(const teacher_check *c) {
    const road_options road = {.graph = {.with_loss = false}};
    ir_module *m;
    TRY(road_build(c->teacher, &road, c->sink, &m));
    const pofac_status status = check_stored(c, module_find_graph(m, ROAD_GRAPH));
    module_destroy(m);
    return status;
}

static distillation_hidden hidden_of(const char *name) {
    if (!name) return DISTILL_NO_HIDDEN;
    return strcmp(name, "tinybert") == 0 ? DISTILL_TINYBERT : DISTILL_DISTILBERT;
}

static void set_terms(const recipe_distill *d, distillation *out) {
    out->task_alpha = d->task_alpha;
    out->teacher_alpha = d->teacher_alpha;
    out->temperature = d->temperature;
    out->hidden = hidden_of(d->cross_model);
    out->layer_map = d->layer_map;
    out->n_layer_map = d->n_layer_map;
    out->token_share = d->token_share;
}

pofac_status run_teacher_open(const recipe *r, loaded_model *model, const diag_sink *sink, distillation *out) {
    const loaded_model_options options = {.head = loaded_model_spec(model)->head, .seed = r->train.seed};
    *out = (distillation){0};
    if (!r->teacher && !r->teacher_logits) return POFAC_OK;
    set_terms(&r->distill, out);
    if (r->teacher_logits) return distillation_check(out, model, sink);
    TRY(loaded_model_open(r->teacher, &options, sink, &out->teacher));
    const teacher_check c = {r, out->teacher, model, {.file = r->teacher}, sink};
    TRY(distillation_check(out, model, sink));
    TRY(check_numbers(&c));
    TRY(check_tokens(&c));
    TRY(check_labels(&c));
    return check_weights(&c);
}
