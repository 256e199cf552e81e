/* Opening a model for a recipe; see run_model.h. The model is opened once to see what it is, and again with what the task makes of it. */
#include "frontend/driver/run_model.h"

#include <inttypes.h>
#include <string.h>

#include "frontend/data/task_reader.h"
#include "frontend/driver/run_data.h"

typedef struct model_choice {
    const recipe *recipe;
    const task_info *task; /* NULL: none */
    loaded_model_options options;
    model_head head;
    arena memory;
    label_collector collector;
} model_choice;

/* ---- heads ---- */

static model_head head_of_data(const recipe_data *d, const task_info *task) {
    switch (d->kind) {
    case RECIPE_SEGMENT_PAIRS: return HEAD_PRETRAINING;
    case RECIPE_DOC_SENTENCES:
    case RECIPE_CONCATENATE: return HEAD_MASKED_LM;
    case RECIPE_GLUE: return task->kind == TASK_TOKEN_CLASSIFICATION ? HEAD_TOKEN_CLASSIFICATION : HEAD_SEQUENCE_CLASSIFICATION;
    case RECIPE_SQUAD: return HEAD_QUESTION_ANSWERING;
    case RECIPE_TENSORS:
    case RECIPE_NO_DATA: break;
    }
    return HEAD_AUTO;
}

/* Whether examples of these data are what the head learns from. Of tensors, the fields tell. */
static bool head_fits(const recipe_data *d, const task_info *task, model_head head) {
    if (d->kind == RECIPE_TENSORS) return head != HEAD_NONE;
    if (recipe_kind_is_shards(d->kind)) return head == HEAD_PRETRAINING || head == HEAD_MASKED_LM;
    return head == head_of_data(d, task);
}

static pofac_status choose_head(model_choice *c, const diag_sink *sink) {
    const recipe *r = c->recipe;
    if (c->options.head != HEAD_AUTO) c->head = c->options.head;
    else c->head = r->head != HEAD_AUTO ? r->head : head_of_data(&r->data, c->task);
    if (c->head == HEAD_AUTO || head_fits(&r->data, c->task, c->head)) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "head: found %s, which cannot learn from data of kind %s%s%s",
                      model_head_name(c->head), recipe_kind_name(r->data.kind), r->data.task ? ", task " : "",
                      r->data.task ? r->data.task : "");
}

/* ---- labels ---- */

/* The labels of the task, or those that stand in the file to learn from. */
static pofac_status find_labels(model_choice *c, const diag_sink *sink, label_set *out) {
    const task_reader_options reading = {.task = c->task, .skip_bad_rows = c->recipe->data.skip_bad_rows};
    const char *path;
    TRY(label_set_make(c->task, NULL, &c->memory, sink, out));
    if (out->n > 0) return POFAC_OK;
    TRY(run_data_task_file(c->recipe, c->task, c->recipe->data.train ? RUN_DATA_TRAIN : RUN_DATA_EVAL, &c->memory, sink, &path));
    TRY(task_labels_collect(path, &reading, NULL, &c->collector));
    return label_collector_sort(&c->collector, &c->memory, out) ? POFAC_OK : diag_out_of_memory(sink);
}

/* Those of a teacher with the same head, in its order; *found false: it has none. */
static pofac_status find_teachers_labels(model_choice *c, const diag_sink *sink, bool *found, label_set *out) {
    const loaded_model_options plain = {.seed = c->recipe->train.seed, .threads = c->options.threads};
    loaded_model *teacher;
    TRY(loaded_model_open(c->recipe->teacher, &plain, sink, &teacher));
    const model_spec *spec = loaded_model_spec(teacher);
    const size_t n = (size_t)spec->num_labels;
    pofac_status status = POFAC_OK;
    *found = spec->head == c->head && spec->labels && label_set_has_names(spec->labels, n);
    if (*found) {
        const char **names = ARENA_ARRAY(&c->memory, const char *, n);
        bool ok = names != NULL;
        for (size_t i = 0; ok && i < n; i++) ok = (names[i] = arena_strdup(&c->memory, spec->labels[i])) != NULL;
        const label_owner owner = {c->recipe->teacher, n, names};
        status = ok ? label_set_make(c->task, &owner, &c->memory, sink, out) : diag_out_of_memory(sink);
    }
    loaded_model_close(teacher);
    return status;
}

static pofac_status wrong_labels(const recipe *r, int64_t found, size_t wanted, const diag_sink *sink) {
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = r->path},
                      "num_labels: found %" PRId64 ", wanted %zu, the labels of task %s", found, wanted, r->data.task);
}

/* A regression has one number and no names. */
static pofac_status choose_number(model_choice *c, const model_spec *spec, bool is_own, const diag_sink *sink) {
    if (c->options.num_labels > 1) return wrong_labels(c->recipe, c->options.num_labels, 1, sink);
    if (is_own && !c->recipe->leaves_labels && !(spec->regression && spec->num_labels == 1))
        return wrong_labels(c->recipe, spec->num_labels, 1, sink);
    c->options.num_labels = 1;
    return POFAC_OK;
}

static pofac_status choose_labels(model_choice *c, const model_spec *spec, const diag_sink *sink) {
    const bool is_own = spec->head == c->head;
    label_set labels;
    if (!c->task || (c->head != HEAD_SEQUENCE_CLASSIFICATION && c->head != HEAD_TOKEN_CLASSIFICATION)) return POFAC_OK;
    if (c->task->kind == TASK_REGRESSION) return choose_number(c, spec, is_own, sink);
    if (is_own && spec->labels && c->options.num_labels == 0) {
        const label_owner owner = {c->recipe->path, (size_t)spec->num_labels, spec->labels};
        return label_set_make(c->task, &owner, &c->memory, sink, &labels); /* they must be the task's */
    }
    bool found = false;
    if ((!is_own || (c->recipe->leaves_labels && !spec->labels)) && c->recipe->teacher)
        TRY(find_teachers_labels(c, sink, &found, &labels));
    if (!found) TRY(find_labels(c, sink, &labels));
    if (c->options.num_labels > 0 && (size_t)c->options.num_labels != labels.n)
        return wrong_labels(c->recipe, c->options.num_labels, labels.n, sink);
    if (is_own && !c->recipe->leaves_labels && c->options.num_labels == 0 && (size_t)spec->num_labels != labels.n)
        return wrong_labels(c->recipe, spec->num_labels, labels.n, sink);
    c->options.num_labels = (int64_t)labels.n;
    c->options.labels = labels.names;
    return POFAC_OK;
}

/* ---- opening ---- */

static pofac_status choose(model_choice *c, const diag_sink *sink) {
    const recipe *r = c->recipe;
    loaded_model *model;
    if (r->data.kind == RECIPE_GLUE) TRY(task_find(r->data.task, sink, &c->task));
    TRY(choose_head(c, sink));
    loaded_model_options plain = {.description = r->text,
                                  .description_bytes = r->text_bytes,
                                  .seed = r->train.seed,
                                  .threads = c->options.threads,
                                  .vocab = c->options.vocab};
    TRY(loaded_model_open(r->path, &plain, sink, &model));
    if (c->head == HEAD_AUTO) c->head = loaded_model_spec(model)->head;
    pofac_status status = choose_labels(c, loaded_model_spec(model), sink);
    loaded_model_close(model);
    if (status == POFAC_OK && c->head == HEAD_NONE)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = r->path},
                          "found a model without a head, wanted --head or one in the description");
    return status;
}

pofac_status run_model_open(const recipe *r, const loaded_model_options *options, const diag_sink *sink, loaded_model **out) {
    model_choice c = {.recipe = r, .options = *options, .collector = LABEL_COLLECTOR_INIT, .memory = ARENA_INIT};
    *out = NULL;
    pofac_status status = choose(&c, sink);
    c.options.description = r->text;
    c.options.description_bytes = r->text_bytes;
    c.options.head = c.head;
    c.options.seed = r->train.seed;
    c.options.hidden_dropout = r->train.hidden_dropout;
    c.options.attention_dropout = r->train.attention_dropout;
    c.options.classifier_dropout = r->train.classifier_dropout;
    if (status == POFAC_OK) status = loaded_model_open(r->path, &c.options, sink, out);
    if (status == POFAC_OK && !loaded_model_has_embeddings(*out)) {
        status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = r->path},
                            "the model has no embedding tables, wanted those of its checkpoint");
        loaded_model_close(*out);
        *out = NULL;
    }
    label_collector_free(&c.collector);
    arena_free(&c.memory);
    return status;
}
