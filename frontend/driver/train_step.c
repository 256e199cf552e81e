/* One step of a run, and what is left when its numbers are none; see train_parts.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/finite_check.h"
#include "frontend/driver/train_parts.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "ir/text.h"

#define MOST_INPUTS 32 /* of a run, and its loss */

/* ---- batches ---- */

static pofac_status count_epoch(train_parts *p, uint64_t epoch) {
    if (p->epoch_batches > 0 && p->counted_epoch == epoch) return POFAC_OK;
    p->counted_epoch = epoch;
    if (p->epoch_batches > 0 && p->recipe->train.max_tokens == 0) return POFAC_OK; /* every epoch has as many */
    return p->source.count(p->source.user, epoch, p->sink, &p->epoch_batches);
}

/* All batches of the step, none of the next epoch. */
static pofac_status fetch(train_parts *p, run_position *next, step_outcome *out) {
    for (int64_t i = 0; i < p->recipe->train.accumulation_steps; i++) {
        const batch *b;
        TRY(p->source.next(p->source.user, p->sink, &b));
        if (!b) return diag_error(p->sink, POFAC_ERR_RUNTIME, NULL, "found no batch for step %" PRId64 ", wanted one", next->step);
        TRY(train_inputs_add(p->inputs, b, p->sink));
        TRY(count_epoch(p, b->epoch));
        next->epoch = (double)b->epoch + (double)(b->index + 1) / (double)p->epoch_batches;
        if (b->ends_epoch) break;
    }
    p->source.get_position(p->source.user, &next->data);
    out->batches = train_inputs_size(p->inputs);
    out->tokens = train_inputs_tokens(p->inputs);
    out->examples = train_inputs_examples(p->inputs);
    next->forwards += (int64_t)out->batches;
    next->tokens += out->tokens;
    next->examples += out->examples;
    return POFAC_OK;
}

/* ---- numbers that are none ---- */

static pofac_status dump_run(train_parts *p, const char *folder, size_t run, double loss) {
    safetensors_item items[MOST_INPUTS];
    const tensor_source *unused;
    const float value = (float)loss;
    size_t n = 0;
    TRY(train_inputs_select(p->inputs, run, p->sink, &unused));
    ir_tensor t;
    for (const char *name; n + 1 < MOST_INPUTS && train_inputs_at(p->inputs, n, &name, &t); n++) {
        items[n] = (safetensors_item){.name = name, .dtype = t.dtype, .rank = t.rank, .data = t.data};
        for (uint32_t d = 0; d < t.rank; d++) items[n].dims[d] = t.dims[d];
    }
    items[n++] = (safetensors_item){.name = "loss", .dtype = IR_F32, .rank = 0, .data = &value};
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/inputs-%zu.safetensors", folder, run);
    pofac_status status =
        strbuf_ok(&path) ? safetensors_write(strbuf_str(&path), items, n, NULL, 0, p->sink) : diag_out_of_memory(p->sink);
    strbuf_free(&path);
    return status;
}

static pofac_status dump_graph(const train_parts *p, const char *folder) {
    strbuf text = STRBUF_INIT, path = STRBUF_INIT;
    text_print_module(training_graph(p->training)->module, (text_print_options){0}, &text);
    strbuf_printf(&path, "%s/step.pir", folder);
    pofac_status status = strbuf_ok(&text) && strbuf_ok(&path) ? file_write_all(strbuf_str(&path), text.data, text.size, p->sink)
                                                               : diag_out_of_memory(p->sink);
    strbuf_free(&text);
    strbuf_free(&path);
    return status;
}

static pofac_status dump(train_parts *p, const char *folder, size_t n_runs, double loss) {
    TRY(directory_make(folder, p->sink));
    for (size_t i = 0; i < n_runs; i++) TRY(dump_run(p, folder, i, loss));
    return dump_graph(p, folder);
}

/* The step changed nothing but ranges, which go back: updates by a factor that is no number leave the state alone (ir/ops/op_optimizer.c). So it is saved as
 * it is. */
static pofac_status give_up(train_parts *p, const char *what, double value, double loss) {
    state_store_restore_ranges(training_state(p->training), p->ranges);
    const int64_t step = p->position.step + 1;
    strbuf folder = STRBUF_INIT;
    strbuf_printf(&folder, "%s/failed-step-%" PRId64, p->recipe->train.output_dir, step);
    pofac_status status =
        strbuf_ok(&folder) ? dump(p, strbuf_str(&folder), train_inputs_size(p->inputs), loss) : diag_out_of_memory(p->sink);
    if (status == POFAC_OK) status = train_save(p);
    if (status == POFAC_OK)
        status = diag_error(p->sink, POFAC_ERR_NUMERIC, NULL,
                            "step %" PRId64
                            ": the %s is %s, wanted a finite number; its batches and graph are in %s, the state before it in "
                            "%s/checkpoint-%" PRId64,
                            step, what, not_finite_name(value), strbuf_str(&folder), p->recipe->train.output_dir, step - 1);
    strbuf_free(&folder);
    return status;
}

/* ---- runs ---- */

static pofac_status output_number(const train_parts *p, const char *name, double *out) {
    ir_tensor t;
    TRY(training_output(p->training, name, p->sink, &t));
    *out = tensor_get(&t, 0);
    return POFAC_OK;
}

/* Adds the terms of a run's loss to those of the step. */
static pofac_status add_losses(const train_parts *p, step_outcome *out) {
    const struct {
        const char *output;
        double *sum;
        bool is_there;
    } terms[] = {{"loss", &out->loss, true},
                 {"loss.task", &out->task_loss, p->step_options.distillation != NULL},
                 {"loss.distill", &out->distill_loss, p->step_options.distillation != NULL},
                 {"loss.hidden", &out->hidden_loss, p->distillation.hidden != DISTILL_NO_HIDDEN}};
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        double part;
        if (!terms[i].is_there) continue;
        TRY(output_number(p, terms[i].output, &part));
        *terms[i].sum += part;
    }
    return POFAC_OK;
}

static pofac_status run_batches(train_parts *p, step_outcome *out) {
    for (size_t i = 0; i < train_inputs_size(p->inputs); i++) {
        const tensor_source *inputs;
        TRY(train_inputs_select(p->inputs, i, p->sink, &inputs));
        TRY(training_run(p->training, inputs, p->sink));
        TRY(add_losses(p, out));
    }
    if (!p->step_options.distillation) out->task_loss = out->loss;
    return POFAC_OK;
}

static pofac_status run_step(train_parts *p, step_outcome *out) {
    TRY(run_batches(p, out));
    if (p->step_options.accumulate) {
        const tensor_source *inputs;
        if (!isfinite(out->loss)) return give_up(p, "loss", out->loss, out->loss);
        TRY(train_inputs_select(p->inputs, 0, p->sink, &inputs));
        TRY(training_apply(p->training, inputs, p->sink));
    }
    TRY(output_number(p, "grad_norm", &out->grad_norm));
    if (!isfinite(out->loss)) return give_up(p, "loss", out->loss, out->loss);
    return isfinite(out->grad_norm) ? POFAC_OK : give_up(p, "gradients' norm", out->grad_norm, out->loss);
}

pofac_status train_step(train_parts *p, step_outcome *out) {
    run_position next = p->position;
    *out = (step_outcome){.learning_rate = p->recipe->train.learning_rate * rate_factor(&p->rates, next.step)};
    next.step++;
    train_inputs_begin(p->inputs, next.step, out->learning_rate);
    train_inputs_set_forwards(p->inputs, next.forwards);
    state_store_save_ranges(training_state(p->training), p->ranges);
    TRY(fetch(p, &next, out));
    TRY(run_step(p, out));
    const mask_step at = {p->training, &p->source, p->inputs};
    TRY(mask_schedule_after_step(&p->masks, next.step - 1, &at, p->sink, &out->new_masks, &out->masks));
    p->position = next;
    return POFAC_OK;
}

double train_sparsity(const train_parts *p) {
    return p->recipe->prunes ? mask_schedule_sparsity(&p->masks, p->training) : state_sparsity(training_state(p->training));
}

/* ---- checkpoints ---- */

run_checkpoint_options train_checkpoint_options(const train_parts *p) {
    const recipe_train *t = &p->recipe->train;
    return (run_checkpoint_options){.dir = t->output_dir,
                                    .model = p->model,
                                    .ranges = training_ranges(p->training),
                                    .settings = strbuf_str(&p->settings),
                                    .kernel_choices = p->kernels.size ? strbuf_str(&p->kernels) : NULL,
                                    .save_total_limit = t->save_total_limit,
                                    .max_steps = p->max_steps,
                                    .logging_steps = t->logging_steps,
                                    .save_steps = t->save_steps,
                                    .eval_steps = t->eval_steps,
                                    .train_batch_size = t->batch_size,
                                    .num_train_epochs = t->num_train_epochs};
}

void train_note_position(train_parts *p) {
    p->position.has_best = p->best.has_best;
    p->position.best_metric = p->best.metric;
    p->position.best_step = p->best.step;
    p->position.evaluations_without_gain = p->best.evaluations_without_gain;
    p->position.metrics_bytes = train_log_bytes(p->log);
}

pofac_status train_save(train_parts *p) {
    const run_checkpoint_options options = train_checkpoint_options(p);
    train_note_position(p);
    return run_checkpoint_save(&options, &p->position, training_state(p->training), p->sink);
}
