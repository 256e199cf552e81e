/* Evaluating a model on a recipe's data; see evaluation.h. */
#include "frontend/driver/evaluation.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/data/batcher.h"
#include "frontend/driver/evaluation_parts.h"

#define PREFETCH 4 /* batches */

/* Where weights change, zeros of the checkpoint are no reason for kernels: `infer` without sparsify. */
#define CHANGING_PIPELINE "simplify,unpad,dead-tokens,simplify,layout,canonicalize,cse,dce,fuse,plan-memory"

struct evaluation {
    const recipe *recipe;
    loaded_model *model;
    run_data data;
    executor *executor;
    train_inputs *inputs;
};

static bool is_squad_v2(const recipe *r) { return r->data.task && strcmp(r->data.task, "squad_v2") == 0; }

static pofac_status compile(evaluation *e, const evaluation_options *o, const diag_sink *sink) {
    const model_spec *spec = loaded_model_spec(e->model);
    road_options road = o->road;
    if (!road.pipeline && o->weights_change) road.pipeline = CHANGING_PIPELINE;
    road.graph = (model_graph_options){.with_loss = true,
                                       .chosen_rows = spec->head == HEAD_PRETRAINING || spec->head == HEAD_MASKED_LM,
                                       .mask_padded_logits = e->recipe->train.mask_padded_logits};
    TRY(train_inputs_create(spec, e->recipe->train.seed, sink, &e->inputs));
    return executor_compile(e->model, &road, o->kind, sink, &e->executor);
}

pofac_status evaluation_create(const recipe *r, loaded_model *model, const evaluation_options *o, const diag_sink *sink,
                               evaluation **out) {
    bool found;
    *out = NULL;
    evaluation *e = calloc(1, sizeof *e);
    if (!e) return diag_out_of_memory(sink);
    e->recipe = r;
    e->model = model;
    pofac_status status = run_data_open(r, model, RUN_DATA_EVAL, sink, &e->data, &found);
    if (status == POFAC_OK && found) status = compile(e, o, sink);
    if (status == POFAC_OK && found) *out = e;
    else evaluation_destroy(e);
    return status;
}

void evaluation_destroy(evaluation *e) {
    if (!e) return;
    executor_destroy(e->executor);
    train_inputs_destroy(e->inputs);
    run_data_close(&e->data);
    free(e);
}

uint64_t evaluation_examples(const evaluation *e) { return e->data.source.n_examples; }

/* ---- batches ---- */

static pofac_status run_batch(evaluation *e, const batch *b, const diag_sink *sink, evaluation_scores *s) {
    const tensor_source *inputs;
    train_inputs_begin(e->inputs, 1, 0);
    TRY(train_inputs_add(e->inputs, b, sink));
    TRY(train_inputs_select(e->inputs, 0, sink, &inputs));
    TRY(executor_run(e->executor, inputs, sink));
    TRY(evaluation_scores_add_losses(s, e->executor, e->inputs, sink));
    return evaluation_scores_add(s, e->executor, b, sink);
}

static pofac_status run_batches(evaluation *e, const batch_source *source, const evaluation_run_options *o, const diag_sink *sink,
                                evaluation_scores *s, int64_t *tokens) {
    uint64_t done = 0;
    for (;;) {
        const batch *b;
        if (interruption_check(o->stop)) return POFAC_ERR_INTERRUPTED;
        TRY(source->next(source->user, sink, &b));
        if (!b) return POFAC_OK;
        TRY(run_batch(e, b, sink, s));
        done += (uint64_t)b->n_sequences;
        *tokens += b->n_tokens;
        if (o->progress) o->progress(o->progress_user, done, e->data.source.n_examples);
    }
}

static pofac_status evaluate_batches(evaluation *e, const evaluation_run_options *o, const diag_sink *sink, evaluation_scores *s,
                                     int64_t *tokens) {
    batcher *b;
    const batcher_options options = {.order = {.arrangement = BATCH_IN_ORDER,
                                               .batch_size = (uint64_t)e->recipe->train.eval_batch_size,
                                               .fixed_length = e->data.fixed_length},
                                     .pad_id = (int32_t)loaded_model_spec(e->model)->pad_token_id,
                                     .n_epochs = 1,
                                     .prefetch = PREFETCH};
    TRY(batcher_create(&e->data.source, &options, sink, &b));
    const batch_source source = batcher_source(b);
    pofac_status status = run_batches(e, &source, o, sink, s, tokens);
    batcher_destroy(b);
    return status;
}

static pofac_status evaluate_answers(evaluation *e, const evaluation_run_options *o, const diag_sink *sink, evaluation_scores *s,
                                     int64_t *tokens) {
    question_evaluation q = {.recipe = e->recipe,
                             .model = e->model,
                             .executor = e->executor,
                             .inputs = e->inputs,
                             .path = e->data.path,
                             .fixed_length = e->data.fixed_length,
                             .options = o,
                             .all = e->data.source.n_examples};
    int64_t length;
    TRY(run_data_max_length(e->recipe, e->model, sink, &length));
    q.max_length = (size_t)length;
    pofac_status status = evaluate_questions(&q, s, sink);
    *tokens = q.tokens;
    return status;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Metrics of question answering, or NULL. */
static const char *answer_metrics(const evaluation *e) {
    if (e->recipe->data.kind != RECIPE_SQUAD) return NULL;
    return is_squad_v2(e->recipe) ? "exact|f1|total|HasAns_exact|HasAns_f1|HasAns_total|NoAns_exact|NoAns_f1|NoAns_total"
                                  : "exact_match|f1";
}

pofac_status evaluation_names(const evaluation *e, const diag_sink *sink, score_result *out) {
    const char *names = answer_metrics(e);
    evaluation_scores s;
    evaluation_scores_begin(&s, loaded_model_spec(e->model), e->data.task, names != NULL, is_squad_v2(e->recipe));
    pofac_status status = evaluation_scores_finish(&s, names, sink, out);
    evaluation_scores_free(&s);
    return status;
}

pofac_status evaluation_run(evaluation *e, const tensor_source *weights, const evaluation_run_options *o, const diag_sink *sink,
                            evaluation_result *out) {
    const char *names = answer_metrics(e);
    const double begin = seconds();
    evaluation_scores s;
    *out = (evaluation_result){.tokens = 0};
    evaluation_scores_begin(&s, loaded_model_spec(e->model), e->data.task, names != NULL, is_squad_v2(e->recipe));
    pofac_status status = executor_bind(e->executor, weights, sink);
    if (status == POFAC_OK) status = (names ? evaluate_answers : evaluate_batches)(e, o, sink, &s, &out->tokens);
    if (status == POFAC_OK) status = evaluation_scores_finish(&s, names, sink, &out->scores);
    if (executor_bind(e->executor, NULL, sink) != POFAC_OK && status == POFAC_OK) status = POFAC_ERR_RUNTIME;
    evaluation_scores_free(&s);
    out->seconds = seconds() - begin;
    return status;
}

const result_value *evaluation_value(const evaluation_result *r, const char *name) {
    for (size_t i = 0; i < r->scores.n; i++)
        if (strcmp(r->scores.values[i].name, name) == 0) return &r->scores.values[i];
    return NULL;
}
