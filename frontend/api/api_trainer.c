/* pofac_trainer: a train_loop with the recipe and the options that it reads; see pofac.h. */
#include <stdlib.h>
#include <string.h>

#include "frontend/api/api_parts.h"
#include "frontend/driver/train_run.h"

typedef enum trainer_state { TRAINER_RUNS, TRAINER_FAILED, TRAINER_FINISHED } trainer_state;

struct pofac_trainer {
    pofac_log log;
    diag_sink sink; /* of the log */
    arena memory;   /* of the recipe and its texts */
    recipe recipe;
    train_options options;
    atomic_bool asked; /* to stop */
    interruption stop; /* looks at it */
    train_loop *loop;
    trainer_state state;
    pofac_metric metrics[SCORE_MAX_VALUES];
};

/* ---- options ---- */

/* A copy that lives with the trainer; NULL stays NULL. */
static pofac_status keep(pofac_trainer *t, const char *text, const char **out) {
    *out = text ? arena_strdup(&t->memory, text) : NULL;
    return *out || !text ? POFAC_OK : diag_out_of_memory(&t->sink);
}

static pofac_status keep_options(pofac_trainer *t, const pofac_trainer_options *o, const recipe_option **out) {
    recipe_option *kept = ARENA_ARRAY(&t->memory, recipe_option, o->n_options + 1);
    *out = NULL;
    if (!kept) return diag_out_of_memory(&t->sink);
    if (!o->options && o->n_options) return api_null("options", &t->sink);
    for (size_t i = 0; i < o->n_options; i++) {
        if (!o->options[i].name || !o->options[i].value) return api_null("name or value of an option", &t->sink);
        TRY(keep(t, o->options[i].name, &kept[i].name));
        TRY(keep(t, o->options[i].value, &kept[i].text));
    }
    *out = kept;
    return recipe_check_options(kept, o->n_options, &t->sink);
}

static pofac_status read_options(pofac_trainer *t, const pofac_trainer_options *o) {
    train_options *to = &t->options;
    TRY(api_check_range("num_labels", o->num_labels, 0, (int64_t)1 << 24, &t->sink));
    if (o->threads > THREAD_POOL_MOST)
        return diag_error(&t->sink, POFAC_ERR_USAGE, NULL, "threads: found %zu, wanted 0 to %d", o->threads, THREAD_POOL_MOST);
    TRY(api_parse_head(o->head, &t->sink, &to->model.head));
    TRY(api_parse_tune(o->tune, &t->sink, &to->road.tune));
    TRY(keep(t, o->vocab, &to->model.vocab));
    TRY(keep(t, o->isa, &to->road.isa));
    TRY(keep(t, o->cache_dir, &to->road.cache_dir));
    to->model.num_labels = o->num_labels;
    to->model.threads = to->road.threads = o->threads;
    to->road.no_cache = o->no_cache != 0;
    to->kind = EXECUTOR_COMPILED;
    to->stop = &t->stop;
    return POFAC_OK;
}

static pofac_status read_recipe(pofac_trainer *t, const char *path, const pofac_trainer_options *o) {
    const recipe_option *options = NULL;
    const char *own_path = NULL, *text = NULL;
    TRY(keep(t, path, &own_path));
    TRY(keep(t, o->recipe_text, &text));
    TRY(keep_options(t, o, &options));
    if (text)
        return recipe_read_text(own_path, text, strlen(text), options, o->n_options, RECIPE_FOR_TRAINING, &t->memory, &t->sink,
                                &t->recipe);
    return recipe_read(own_path, options, o->n_options, RECIPE_FOR_TRAINING, &t->memory, &t->sink, &t->recipe);
}

/* ---- life ---- */

static pofac_status open_trainer(pofac_trainer *t, const char *path, const pofac_trainer_options *options) {
    pofac_trainer_options o = POFAC_TRAINER_OPTIONS_INIT;
    TRY(api_take_options("pofac_trainer_options", options, sizeof o, &t->sink, &o));
    TRY(read_options(t, &o));
    TRY(read_recipe(t, path, &o));
    return train_loop_open(&t->recipe, &t->options, &t->sink, &t->loop);
}

pofac_status pofac_trainer_create(const char *path, const pofac_trainer_options *options, const pofac_log *log,
                                  pofac_trainer **out) {
    API_IN_C_LOCALE;
    const pofac_log own = api_log_of(log);
    const diag_sink before = api_sink(&own);
    if (!out) return api_null("out", &before);
    *out = NULL;
    if (!path) return api_null("path", &before);
    pofac_trainer *t = calloc(1, sizeof *t);
    if (!t) return diag_out_of_memory(&before);
    t->log = own;
    t->sink = api_sink(&t->log);
    atomic_init(&t->asked, false);
    t->stop = (interruption){.fd = -1, .asked = &t->asked};
    const pofac_status status = open_trainer(t, path, options);
    if (status == POFAC_OK) *out = t;
    else pofac_trainer_destroy(t);
    return status;
}

void pofac_trainer_destroy(pofac_trainer *trainer) {
    if (!trainer) return;
    train_loop_close(trainer->loop);
    arena_free(&trainer->memory);
    free(trainer);
}

int64_t pofac_trainer_steps_done(const pofac_trainer *trainer) { return trainer ? train_loop_step_number(trainer->loop) : 0; }

int64_t pofac_trainer_max_steps(const pofac_trainer *trainer) { return trainer ? train_loop_max_steps(trainer->loop) : 0; }

int pofac_trainer_is_done(const pofac_trainer *trainer) { return !trainer || train_loop_is_done(trainer->loop); }

void pofac_trainer_stop(pofac_trainer *trainer) {
    if (trainer) atomic_store(&trainer->asked, true);
}

/* ---- work ---- */

static pofac_status check_state(const pofac_trainer *t) {
    if (t->state == TRAINER_RUNS) return POFAC_OK;
    return diag_error(&t->sink, POFAC_ERR_USAGE, NULL, "found a run that %s, wanted one that goes on",
                      t->state == TRAINER_FAILED ? "ended in an error" : "is finished");
}

/* Being asked to stop is over when it was done; other errors end the run. */
static pofac_status note(pofac_trainer *t, pofac_status status) {
    if (status == POFAC_ERR_INTERRUPTED) atomic_store(&t->asked, false);
    else if (status != POFAC_OK) t->state = TRAINER_FAILED;
    return status;
}

pofac_status pofac_trainer_step(pofac_trainer *trainer, pofac_step *out) {
    API_IN_C_LOCALE;
    train_step_report r;
    if (!trainer) return POFAC_ERR_USAGE;
    TRY(check_state(trainer));
    const pofac_step nothing = {0};
    if (out) TRY(api_give("pofac_step", &nothing, sizeof nothing, &trainer->sink, out));
    if (train_loop_is_done(trainer->loop))
        return diag_error(&trainer->sink, POFAC_ERR_USAGE, NULL, "found no step left, wanted one");
    const pofac_status status = note(trainer, train_loop_step(trainer->loop, &r));
    if (!out || (status != POFAC_OK && status != POFAC_ERR_INTERRUPTED)) return status;
    const pofac_step step = {.step = r.step,
                             .epoch = r.epoch,
                             .loss = r.loss,
                             .task_loss = r.task_loss,
                             .distill_loss = r.distill_loss,
                             .hidden_loss = r.hidden_loss,
                             .learning_rate = r.learning_rate,
                             .grad_norm = r.grad_norm,
                             .sparsity = r.sparsity,
                             .tokens = r.tokens,
                             .examples = r.examples};
    TRY(api_give("pofac_step", &step, sizeof step, &trainer->sink, out));
    return status;
}

pofac_status pofac_trainer_evaluate(pofac_trainer *trainer, const pofac_metric **metrics, size_t *n) {
    API_IN_C_LOCALE;
    evaluation_result result;
    if (!trainer) return POFAC_ERR_USAGE;
    if (!metrics || !n) return api_null(metrics ? "n" : "metrics", &trainer->sink);
    TRY(check_state(trainer));
    const pofac_status status = train_loop_evaluate(trainer->loop, &result);
    if (status == POFAC_ERR_USAGE) return status; /* no data: the run goes on */
    TRY(note(trainer, status));
    for (size_t i = 0; i < result.scores.n; i++)
        trainer->metrics[i] = (pofac_metric){result.scores.values[i].name, result.scores.values[i].value};
    *metrics = trainer->metrics;
    *n = result.scores.n;
    return POFAC_OK;
}

pofac_status pofac_trainer_save_checkpoint(pofac_trainer *trainer) {
    API_IN_C_LOCALE;
    if (!trainer) return POFAC_ERR_USAGE;
    TRY(check_state(trainer));
    return train_loop_save(trainer->loop);
}

pofac_status pofac_trainer_save_model(pofac_trainer *trainer, const char *directory) {
    API_IN_C_LOCALE;
    if (!trainer) return POFAC_ERR_USAGE;
    if (!directory) return api_null("directory", &trainer->sink);
    TRY(check_state(trainer));
    return train_loop_save_model(trainer->loop, directory);
}

pofac_status pofac_trainer_finish(pofac_trainer *trainer) {
    API_IN_C_LOCALE;
    train_result result;
    if (!trainer) return POFAC_ERR_USAGE;
    TRY(check_state(trainer));
    if (!train_loop_is_done(trainer->loop))
        return diag_error(&trainer->sink, POFAC_ERR_USAGE, NULL, "found %lld steps of %lld, wanted all before the run is finished",
                          (long long)train_loop_step_number(trainer->loop), (long long)train_loop_max_steps(trainer->loop));
    TRY(note(trainer, train_loop_finish(trainer->loop, &result)));
    trainer->state = TRAINER_FINISHED;
    return POFAC_OK;
}
