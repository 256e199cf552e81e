/* The loop of a run; see train_run.h. */
#include "frontend/driver/train_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "frontend/driver/locked_pattern.h"
#include "frontend/driver/model_save.h"
#include "frontend/driver/train_parts.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "ir/text.h"

#define MOST_STEP_VALUES 16 /* of a line of metrics */

struct train_loop {
    train_parts parts;
    train_result counted;                 /* so far */
    train_result *result;                 /* is that */
    double begin;                         /* seconds */
    double loss_sum;                      /* over the steps of this program */
    double logged_seconds, logged_tokens; /* of the steps since the last line */
    double learning_rate;                 /* of the last step */
    bool is_saved;                        /* a checkpoint has the position */
};

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double rate(double amount, double time) { return time > 0 ? amount / time : 0; }

/* ---- after a step ---- */

static pofac_status log_line(train_loop *l) {
    train_parts *p = &l->parts;
    run_position *at = &p->position;
    if (at->loss_steps == 0) return POFAC_OK;
    const double steps = (double)at->loss_steps;
    result_value values[MOST_STEP_VALUES];
    size_t n = 0;
    values[n++] = (result_value){"epoch", at->epoch, false};
    values[n++] = (result_value){"loss", at->loss_sum / steps, false};
    values[n++] = (result_value){"task_loss", at->task_loss_sum / steps, false};
    if (p->step_options.distillation) values[n++] = (result_value){"distill_loss", at->distill_loss_sum / steps, false};
    if (p->distillation.hidden != DISTILL_NO_HIDDEN)
        values[n++] = (result_value){"hidden_loss", at->hidden_loss_sum / steps, false};
    values[n++] = (result_value){"learning_rate", l->learning_rate, false};
    values[n++] = (result_value){"grad_norm", at->grad_norm, false};
    values[n++] = (result_value){"sparsity", l->result->sparsity, false};
    values[n++] = (result_value){"tokens_per_second", rate(l->logged_tokens, l->logged_seconds), false};
    at->loss_sum = at->task_loss_sum = at->distill_loss_sum = at->hidden_loss_sum = 0;
    at->loss_steps = 0;
    l->logged_seconds = l->logged_tokens = 0;
    return train_log_step(p->log, at->step, values, n, p->sink);
}

/* New masks: where the schedule stands, the share of zeros of each layer, and the time. */
static pofac_status log_masks(train_loop *l, const mask_update *update) {
    train_parts *p = &l->parts;
    const mask_schedule *s = &p->masks;
    arena memory = ARENA_INIT;
    result_value *values = ARENA_ARRAY(&memory, result_value, s->n + 3);
    pofac_status status = values ? POFAC_OK : diag_out_of_memory(p->sink);
    size_t n = 0;
    if (values) {
        values[n++] = (result_value){"sparsity", l->result->sparsity, false};
        values[n++] = (result_value){"pruning/target_sparsity",
                                     mask_schedule_wanted(s, mask_schedule_progress(s, p->position.step - 1)), false};
    }
    for (size_t i = 0; i < s->n && status == POFAC_OK; i++) {
        const char *name = arena_printf(&memory, "sparsity_per_layer/%s", s->layers[i]);
        if (name) values[n++] = (result_value){name, training_sparsity(p->training, i), false};
        else status = diag_out_of_memory(p->sink);
    }
    if (status == POFAC_OK) {
        values[n++] = (result_value){"mask_update_runtime", update->seconds, false};
        status = train_log_step(p->log, p->position.step, values, n, p->sink);
    }
    arena_free(&memory);
    return status;
}

/* The scores, and what Trainer reports beside them. */
static size_t evaluation_values(const train_loop *l, const evaluation_result *e, result_value *out) {
    const double samples = (double)evaluation_examples(l->parts.evaluation);
    size_t n = 0;
    out[n++] = (result_value){"epoch", l->parts.position.epoch, false};
    for (size_t i = 0; i < e->scores.n; i++) out[n++] = e->scores.values[i];
    out[n++] = (result_value){"samples", samples, true};
    out[n++] = (result_value){"runtime", e->seconds, false};
    out[n++] = (result_value){"samples_per_second", rate(samples, e->seconds), false};
    return n;
}

static pofac_status evaluate(train_loop *l, evaluation_result *out) {
    train_parts *p = &l->parts;
    const evaluation_run_options options = {.stop = p->options->stop};
    return evaluation_run(p->evaluation, dense_state_source(p->dense), &options, p->sink, out);
}

static pofac_status evaluate_and_judge(train_loop *l, best_verdict *verdict) {
    train_parts *p = &l->parts;
    const recipe_train *t = &p->recipe->train;
    const best_model_rule rule = {t->greater_is_better, t->early_stopping_threshold, t->early_stopping_patience};
    result_value values[SCORE_MAX_VALUES + 4];
    evaluation_result e;
    p->position.evaluation_due = true; /* when a signal ends it, the run goes on with it */
    TRY(evaluate(l, &e));
    p->position.evaluation_due = false;
    TRY(train_log_evaluation(p->log, p->position.step, values, evaluation_values(l, &e, values), p->sink));
    const result_value *metric = evaluation_value(&e, t->metric_for_best_model);
    *verdict = best_model_take(&p->best, &rule, p->position.step, metric ? metric->value : NAN);
    return POFAC_OK;
}

static bool is_turn(int64_t step, int64_t every) { return every > 0 && step % every == 0; }

static void take_in(train_loop *l, const step_outcome *s, double time) {
    train_parts *p = &l->parts;
    train_result *r = l->result;
    p->position.loss_sum += s->loss;
    p->position.task_loss_sum += s->task_loss;
    p->position.distill_loss_sum += s->distill_loss;
    p->position.hidden_loss_sum += s->hidden_loss;
    p->position.loss_steps++;
    p->position.grad_norm = s->grad_norm;
    l->learning_rate = s->learning_rate;
    l->logged_seconds += time;
    l->logged_tokens += (double)s->tokens;
    l->loss_sum += s->loss;
    r->steps++;
    r->tokens += (uint64_t)s->tokens;
    r->examples += (uint64_t)s->examples;
    if (s->new_masks) r->sparsity = train_sparsity(p);
    l->is_saved = false;
}

static void show_progress(const train_loop *l) {
    const train_options *o = l->parts.options;
    const train_progress at = {l->parts.position.step, l->parts.max_steps, l->result->tokens, l->parts.recipe->prunes,
                               l->result->sparsity};
    if (o->progress) o->progress(o->progress_user, &at);
}

static pofac_status save(train_loop *l) {
    if (l->is_saved) return POFAC_OK;
    TRY(train_save(&l->parts));
    l->is_saved = true;
    return POFAC_OK;
}

/* Evaluation and checkpoint, where it is their turn. */
static pofac_status judge_and_save(train_loop *l, bool evaluates) {
    const recipe_train *t = &l->parts.recipe->train;
    best_verdict verdict = {false, false};
    if (evaluates) TRY(evaluate_and_judge(l, &verdict));
    if (is_turn(l->parts.position.step, t->save_steps) || (verdict.is_best && t->load_best_model_at_end)) TRY(save(l));
    l->result->stopped_early = verdict.stops;
    return POFAC_OK;
}

static pofac_status after_step(train_loop *l, const step_outcome *s) {
    const recipe_train *t = &l->parts.recipe->train;
    const int64_t step = l->parts.position.step;
    if (s->new_masks) TRY(log_masks(l, &s->masks));
    if (is_turn(step, t->logging_steps) || step == l->parts.max_steps) TRY(log_line(l));
    return judge_and_save(l, is_turn(step, t->eval_steps));
}

/* A signal during an evaluation or a step: the state is that after the last step, and is kept. */
static pofac_status stop_for_signal(train_loop *l) {
    TRY(save(l));
    return POFAC_ERR_INTERRUPTED;
}

/* Where a run goes on that was ended in the evaluation of its last step, or after one that stops it. */
static pofac_status before_steps(train_loop *l) {
    train_parts *p = &l->parts;
    const int64_t patience = p->recipe->train.early_stopping_patience;
    l->result->stopped_early = patience > 0 && p->best.evaluations_without_gain >= patience;
    return p->position.evaluation_due ? judge_and_save(l, true) : POFAC_OK;
}

static bool is_done(const train_loop *l) { return l->parts.position.step >= l->parts.max_steps || l->result->stopped_early; }

static train_step_report report_of(const train_loop *l, const step_outcome *s) {
    const run_position *at = &l->parts.position;
    return (train_step_report){at->step,       at->epoch,        s->loss,      s->task_loss,        s->distill_loss,
                               s->hidden_loss, s->learning_rate, s->grad_norm, l->result->sparsity, s->tokens,
                               s->examples};
}

/* An evaluation that was interrupted comes first. */
static pofac_status settle(train_loop *l) {
    if (!l->parts.position.evaluation_due) return POFAC_OK;
    l->is_saved = false;
    const pofac_status status = judge_and_save(l, true);
    return status == POFAC_ERR_INTERRUPTED ? stop_for_signal(l) : status;
}

pofac_status train_loop_step(train_loop *l, train_step_report *out) {
    train_parts *p = &l->parts;
    step_outcome s;
    *out = (train_step_report){0};
    TRY(settle(l));
    const double begin = seconds();
    if (is_done(l)) return diag_error(p->sink, POFAC_ERR_USAGE, NULL, "found no step left, wanted one");
    TRY(train_step(p, &s));
    take_in(l, &s, seconds() - begin);
    *out = report_of(l, &s);
    show_progress(l);
    const pofac_status status = after_step(l, &s);
    if (status == POFAC_ERR_INTERRUPTED || (status == POFAC_OK && interruption_check(p->options->stop))) return stop_for_signal(l);
    return status;
}

/* ---- the end ---- */

static pofac_status load_best(train_loop *l) {
    train_parts *p = &l->parts;
    if (!p->recipe->train.load_best_model_at_end || !p->best.has_best) return POFAC_OK;
    l->result->is_best_loaded = true;
    if (p->best.step == p->position.step) return POFAC_OK;
    strbuf_clear(&p->path);
    run_checkpoint_path(p->recipe->train.output_dir, p->best.step, &p->path);
    if (!strbuf_ok(&p->path)) return diag_out_of_memory(p->sink);
    return run_checkpoint_load_parameters(strbuf_str(&p->path), training_state(p->training), p->sink);
}

static pofac_status write_results(train_loop *l) {
    train_parts *p = &l->parts;
    const train_result *r = l->result;
    const char *dir = p->recipe->train.output_dir;
    const double samples = (double)p->data.source.n_examples;
    const result_value values[] = {{"epoch", p->position.epoch, false},
                                   {"loss", r->loss, false},
                                   {"runtime", r->seconds, false},
                                   {"samples", samples, true},
                                   {"steps", (double)p->position.step, true},
                                   {"samples_per_second", rate((double)r->examples, r->seconds), false},
                                   {"steps_per_second", rate((double)r->steps, r->seconds), false},
                                   {"tokens_per_second", rate((double)r->tokens, r->seconds), false}};
    result_value of_evaluation[SCORE_MAX_VALUES + 4];
    TRY(results_file_save(dir, "train", values, sizeof values / sizeof *values, p->sink));
    if (!r->has_evaluation) return POFAC_OK;
    return results_file_save(dir, "eval", of_evaluation, evaluation_values(l, &r->evaluation, of_evaluation), p->sink);
}

/* Of the result. Its line is missing where the last step was not evaluated by its turn, and the result is what that step made. */
static pofac_status evaluate_result(train_loop *l) {
    train_parts *p = &l->parts;
    evaluation_result *e = &l->result->evaluation;
    const bool is_last = !l->result->is_best_loaded || p->best.step == p->position.step;
    result_value values[SCORE_MAX_VALUES + 4];
    const pofac_status status = evaluate(l, e);
    if (status == POFAC_ERR_INTERRUPTED && is_last) return stop_for_signal(l);
    TRY(status);
    l->result->has_evaluation = true;
    if (!is_last || is_turn(p->position.step, p->recipe->train.eval_steps)) return POFAC_OK;
    return train_log_evaluation(p->log, p->position.step, values, evaluation_values(l, e, values), p->sink);
}

/* quantization.safetensors beside weights that were written. */
static pofac_status write_ranges(const train_parts *p, const char *dir) {
    const learned_ranges *ranges = training_ranges(p->training);
    bool written;
    if (!ranges) return POFAC_OK;
    TRY(learned_ranges_write(ranges, training_state(p->training), dir, p->sink, &written));
    if (!written)
        diag_warning(p->sink, NULL,
                     "quantization_begin: found %" PRId64 " and %" PRId64 " forwards of training: no ranges were learned, the "
                     "result is not quantized",
                     p->recipe->quantization.begin, p->position.forwards);
    return POFAC_OK;
}

/* How the result was pruned, as a file that --pruning_config takes. What is locked is so from the start. */
static pofac_status write_pruning_config(const train_parts *p) {
    const recipe *r = p->recipe;
    pruning_config config = r->prune;
    strbuf path = STRBUF_INIT, text = STRBUF_INIT;
    if (!r->lock && !r->prunes) return POFAC_OK;
    char *masks = config.masks ? realpath(config.masks, NULL) : NULL; /* NULL too where the file is gone by now */
    if (masks) config.masks = masks;
    if (r->lock) config.scheduler = PRUNING_SCHEDULE_ONE_SHOT;
    strbuf_printf(&path, "%s/pruning_config.json", r->train.output_dir);
    pruning_config_print(&config, &text);
    const pofac_status status = strbuf_ok(&path) && strbuf_ok(&text)
                                    ? file_write_all(strbuf_str(&path), text.data, text.size, p->sink)
                                    : diag_out_of_memory(p->sink);
    free(masks);
    strbuf_free(&path);
    strbuf_free(&text);
    return status;
}

static pofac_status finish(train_loop *l) {
    train_parts *p = &l->parts;
    train_result *r = l->result;
    r->seconds = seconds() - l->begin;
    r->loss = l->loss_sum / (double)r->steps; /* NaN without any */
    r->epoch = p->position.epoch;
    r->max_steps = p->max_steps;
    r->has_best = p->best.has_best;
    r->best_step = p->best.step;
    r->best_metric = p->best.metric;
    TRY(load_best(l));
    r->sparsity = train_sparsity(p);
    TRY(run_model_save(p->recipe->train.output_dir, p->model, training_state(p->training), IR_F32, p->sink));
    TRY(write_ranges(p, p->recipe->train.output_dir));
    TRY(write_pruning_config(p));
    if (p->recipe->lock) TRY(locked_pattern_check(&p->masks, p->model, p->recipe->train.output_dir, p->sink));
    if (p->evaluation) TRY(evaluate_result(l));
    TRY(write_results(l));
    const run_checkpoint_options options = train_checkpoint_options(p);
    train_note_position(p);
    return run_trainer_state_save(&options, &p->position, p->sink);
}

/* ---- the whole ---- */

pofac_status train_loop_open(const recipe *r, const train_options *o, const diag_sink *sink, train_loop **out) {
    train_loop *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l) return diag_out_of_memory(sink);
    l->result = &l->counted;
    l->parts = (train_parts){.recipe = r, .options = o, .sink = sink, .directory = RUN_DIRECTORY_INIT};
    pofac_status status = train_open_run(&l->parts);
    l->begin = seconds();
    if (status == POFAC_OK) {
        l->result->sparsity = train_sparsity(&l->parts);
        status = before_steps(l);
        if (status == POFAC_ERR_INTERRUPTED) status = stop_for_signal(l);
    }
    if (status == POFAC_OK) *out = l;
    else train_loop_close(l);
    return status;
}

void train_loop_close(train_loop *l) {
    if (!l) return;
    train_close(&l->parts);
    free(l);
}

int64_t train_loop_step_number(const train_loop *l) { return l->parts.position.step; }

int64_t train_loop_max_steps(const train_loop *l) { return l->parts.max_steps; }

bool train_loop_is_done(const train_loop *l) { return is_done(l); }

pofac_status train_loop_evaluate(train_loop *l, evaluation_result *out) {
    if (!l->parts.evaluation)
        return diag_error(l->parts.sink, POFAC_ERR_USAGE, NULL, "found no data to evaluate on, wanted eval in <data>");
    const pofac_status status = evaluate(l, out);
    return status == POFAC_ERR_INTERRUPTED ? stop_for_signal(l) : status;
}

pofac_status train_loop_save(train_loop *l) { return save(l); }

pofac_status train_loop_save_model(train_loop *l, const char *dir) {
    TRY(directory_make(dir, l->parts.sink));
    TRY(run_model_save(dir, l->parts.model, training_state(l->parts.training), IR_F32, l->parts.sink));
    return write_ranges(&l->parts, dir);
}

pofac_status train_loop_finish(train_loop *l, train_result *out) {
    pofac_status status = settle(l);
    if (status == POFAC_OK) status = log_line(l);
    if (status == POFAC_OK) status = finish(l);
    *out = l->counted;
    return status;
}

pofac_status train_run(const recipe *r, const train_options *o, const diag_sink *sink, train_result *out) {
    train_loop *l;
    train_step_report report;
    *out = (train_result){0};
    TRY(train_loop_open(r, o, sink, &l));
    pofac_status status = POFAC_OK;
    while (status == POFAC_OK && !is_done(l)) status = train_loop_step(l, &report);
    if (status == POFAC_OK) status = train_loop_finish(l, out);
    else *out = l->counted;
    train_loop_close(l);
    return status;
}

/* ---- the graph ---- */

pofac_status train_put_graph(const recipe *r, const train_options *o, const diag_sink *sink, strbuf *out) {
    train_parts p = {.recipe = r, .options = o, .sink = sink, .directory = RUN_DIRECTORY_INIT};
    ir_module *module = NULL;
    pofac_status status = train_open_data(&p);
    if (status == POFAC_OK) status = train_choose_step(&p);
    if (status == POFAC_OK) status = training_build(p.model, &p.step_options, sink, &module);
    if (status == POFAC_OK) text_print_module(module, (text_print_options){0}, out);
    if (status == POFAC_OK && !strbuf_ok(out)) status = diag_out_of_memory(sink);
    module_destroy(module);
    train_close(&p);
    return status;
}
