/* Opening what a run needs, in the order in which mistakes are cheapest to find; see train_parts.h. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/run_model.h"
#include "frontend/driver/run_teacher.h"
#include "frontend/driver/train_parts.h"
#include "ir/support/file_map.h"

#define PREFETCH 4        /* batches that are made ahead */
#define MOST_STEPS 9.0e15 /* more cannot be counted in a double */

/* ---- model, data, steps ---- */

static batch_arrangement arrangement_of(const recipe *r) {
    if (r->data.kind == RECIPE_TENSORS) return BATCH_IN_ORDER;
    return r->train.group_by_length ? BATCH_BY_LENGTH : BATCH_SHUFFLED;
}

static pofac_status open_batches(train_parts *p) {
    const recipe_train *t = &p->recipe->train;
    const batcher_options options = {.order = {.arrangement = arrangement_of(p->recipe),
                                               .seed = t->seed,
                                               .batch_size = (uint64_t)t->batch_size,
                                               .token_budget = (uint64_t)t->max_tokens,
                                               .fixed_length = p->data.fixed_length},
                                     .pad_id = (int32_t)loaded_model_spec(p->model)->pad_token_id,
                                     .prefetch = PREFETCH};
    TRY(batcher_create(&p->data.source, &options, p->sink, &p->batcher));
    p->source = batcher_source(p->batcher);
    return POFAC_OK;
}

static int64_t steps_of(uint64_t batches, int64_t accumulation) {
    return (int64_t)((batches + (uint64_t)accumulation - 1) / (uint64_t)accumulation);
}

pofac_status train_count_steps(const batch_source *source, double epochs, int64_t accumulation, bool is_constant,
                               const diag_sink *sink, int64_t *out) {
    const double whole = floor(epochs);
    const uint64_t n_whole = (uint64_t)whole;
    double steps = 0;
    uint64_t batches = 0;
    for (uint64_t e = 0; e < (is_constant && n_whole > 1 ? 1 : n_whole); e++) {
        TRY(source->count(source->user, e, sink, &batches));
        steps += (double)steps_of(batches, accumulation);
    }
    if (is_constant) steps *= whole;
    if (epochs > whole) {
        TRY(source->count(source->user, n_whole, sink, &batches));
        steps += ceil((epochs - whole) * (double)steps_of(batches, accumulation));
    }
    if (steps > MOST_STEPS) return diag_error(sink, POFAC_ERR_USAGE, NULL, "num_train_epochs: found %g steps, wanted fewer", steps);
    *out = (int64_t)steps;
    return POFAC_OK;
}

pofac_status train_count_epochs(const train_parts *p, uint64_t *out) {
    const bool is_constant = p->recipe->train.max_tokens == 0;
    uint64_t batches;
    int64_t steps = 0;
    TRY(p->source.count(p->source.user, 0, p->sink, &batches));
    const int64_t first = steps_of(batches, p->recipe->train.accumulation_steps);
    *out = 1;
    if (first == 0 || p->max_steps <= first) return POFAC_OK;
    *out = (uint64_t)((p->max_steps + first - 1) / first);
    if (is_constant) return POFAC_OK;
    for (*out = 0; steps < p->max_steps; ++*out) {
        TRY(p->source.count(p->source.user, *out, p->sink, &batches));
        steps += steps_of(batches, p->recipe->train.accumulation_steps);
    }
    return POFAC_OK;
}

static pofac_status plan_steps(train_parts *p) {
    const recipe_train *t = &p->recipe->train;
    const pruning_config *c = &p->recipe->prune; /* zeros where nothing is pruned */
    p->max_steps = t->max_steps;
    if (t->max_steps < 0)
        TRY(train_count_steps(&p->source, t->num_train_epochs, t->accumulation_steps, t->max_tokens == 0, p->sink, &p->max_steps));
    p->rates = (rate_plan){.schedule = t->schedule,
                           .warmup_steps = t->warmup_steps > 0 ? t->warmup_steps : rate_warmup_steps(t->warmup_ratio, p->max_steps),
                           .max_steps = p->max_steps,
                           .window_begin = c->policy_begin_step,
                           .window_end = c->policy_end_step,
                           .frequency = c->pruning_frequency > 0 ? c->pruning_frequency : 1};
    return POFAC_OK;
}

/* Tokens of the longest sequence that comes. */
static int64_t longest(const train_parts *p) {
    return p->data.fixed_length ? (int64_t)p->data.fixed_length : (int64_t)p->data.source.max_length;
}

static pofac_status open_logits(train_parts *p) {
    const model_spec *spec = loaded_model_spec(p->model);
    teacher_logits_use use = {spec, p->data.source.fingerprint, p->data.source.n_examples, 1};
    if (!p->recipe->teacher_logits) return POFAC_OK;
    if (spec->head == HEAD_QUESTION_ANSWERING && !p->recipe->train.mask_padded_logits)
        return diag_error(p->sink, POFAC_ERR_USAGE, NULL,
                          "mask_padded_logits: found false, wanted true: a teacher's kept logits have none of padding");
    TRY(train_count_epochs(p, &use.epochs));
    TRY(teacher_logits_open(p->recipe->teacher_logits, &use, p->sink, &p->teacher_logits));
    p->distillation.top_k = teacher_logits_info(p->teacher_logits)->top_k;
    return POFAC_OK;
}

pofac_status train_open_data(train_parts *p) {
    bool found;
    TRY(run_model_open(p->recipe, &p->options->model, p->sink, &p->model));
    TRY(run_data_open(p->recipe, p->model, RUN_DATA_TRAIN, p->sink, &p->data, &found));
    if (!found)
        return diag_error(p->sink, POFAC_ERR_USAGE, NULL,
                          "found no examples to learn from: wanted --train PATH, or train in <data>");
    TRY(open_batches(p));
    TRY(plan_steps(p));
    TRY(mask_schedule_open(p->recipe, p->model, p->sink, &p->masks));
    mask_schedule_check_length(&p->masks, p->max_steps, p->sink);
    TRY(run_teacher_open(p->recipe, p->model, p->sink, &p->distillation));
    return open_logits(p);
}

/* ---- the step ---- */

static training_options options_of(const train_parts *p) {
    const recipe_train *t = &p->recipe->train;
    training_options o = {.road = p->options->road,
                          .kind = p->options->kind,
                          .optim = t->optim,
                          .beta1 = t->beta1,
                          .beta2 = t->beta2,
                          .epsilon = t->epsilon,
                          .momentum = t->momentum,
                          .weight_decay = t->weight_decay,
                          .max_grad_norm = t->max_grad_norm,
                          .accumulate = t->accumulation_steps > 1 || mask_schedule_needs_gradients(&p->masks),
                          .lock = p->recipe->lock,
                          .pruning = p->recipe->prunes ? &p->masks.pruning : NULL,
                          .distillation = p->distillation.teacher || p->teacher_logits ? &p->distillation : NULL,
                          .quantization = p->recipe->quantizes ? &p->recipe->quantization : NULL,
                          .recompute = t->recompute,
                          .bf16 = t->bf16,
                          .step_file = p->options->step_graph};
    if (p->recipe->lock) {
        o.road.locks = mask_schedule_has;
        o.road.locks_user = (void *)(uintptr_t)&p->masks;
    }
    o.road.graph = (model_graph_options){.dropout = true, .mask_padded_logits = t->mask_padded_logits};
    return o;
}

/* The largest batch that can come. */
static batch_shape largest_batch(const train_parts *p) {
    const recipe_train *t = &p->recipe->train;
    const int64_t length = longest(p);
    int64_t sequences = t->batch_size;
    if (t->max_tokens > 0 && sequences * length > t->max_tokens)
        sequences = t->max_tokens / length > 0 ? t->max_tokens / length : 1;
    if ((uint64_t)sequences > p->data.source.n_examples) sequences = (int64_t)p->data.source.n_examples;
    return (batch_shape){.sequences = sequences, .length = length, .tokens = sequences * length, .predictions = sequences * length};
}

/* Kernels of a checkpoint. With masks others take their place in p->kernels. */
static pofac_status take_kernels(train_parts *p) {
    training_options *o = &p->step_options;
    if (p->kernels.size == 0) return POFAC_OK;
    if (!p->recipe->prunes) {
        o->road.kernel_variants = strbuf_str(&p->kernels);
        return POFAC_OK;
    }
    strbuf_clear(&p->first_kernels);
    strbuf_puts(&p->first_kernels, strbuf_str(&p->kernels));
    strbuf_clear(&p->kernels);
    o->chosen = strbuf_str(&p->first_kernels);
    return strbuf_ok(&p->first_kernels) ? POFAC_OK : diag_out_of_memory(p->sink);
}

pofac_status train_choose_step(train_parts *p) {
    p->step_options = options_of(p);
    p->shape = largest_batch(p);
    TRY(take_kernels(p));
    if (p->options->step_graph || p->options->kind != EXECUTOR_COMPILED) return POFAC_OK;
    return training_fit_memory(p->model, &p->step_options, p->shape, p->recipe->train.max_memory, p->sink, &p->memory);
}

pofac_status train_open_training(train_parts *p) {
    TRY(train_choose_step(p));
    if (p->kernels.size == 0 || p->recipe->prunes) p->step_options.road.kernel_choices = &p->kernels;
    TRY(training_create(p->model, &p->step_options, p->sink, &p->training));
    p->ranges = malloc((size_t)state_store_count_ranges(training_state(p->training)) * sizeof *p->ranges + 1);
    if (!p->ranges) return diag_out_of_memory(p->sink);
    if (p->options->kind == EXECUTOR_COMPILED && !p->options->step_graph)
        TRY(step_memory_of_training(p->training, p->shape, p->sink, &p->memory));
    TRY(train_inputs_create(loaded_model_spec(p->model), p->recipe->train.seed, p->sink, &p->inputs));
    train_inputs_set_teacher(p->inputs, p->teacher_logits);
    if (p->step_options.distillation) train_inputs_set_token_share(p->inputs, p->distillation.token_share);
    return POFAC_OK;
}

pofac_status train_open_step(train_parts *p) {
    TRY(train_open_data(p));
    return train_open_training(p);
}

/* ---- evaluation ---- */

static pofac_status check_metric(const train_parts *p) {
    const char *wanted = p->recipe->train.metric_for_best_model;
    score_result names;
    TRY(evaluation_names(p->evaluation, p->sink, &names));
    strbuf known = STRBUF_INIT;
    bool found = false;
    for (size_t i = 0; i < names.n; i++) {
        found = found || strcmp(names.values[i].name, wanted) == 0;
        strbuf_printf(&known, "%s%s", i ? ", " : "", names.values[i].name);
    }
    pofac_status status = POFAC_OK;
    if (!found)
        status = diag_error(p->sink, POFAC_ERR_USAGE, NULL, "metric_for_best_model: found \"%s\", wanted one of %s", wanted,
                            strbuf_str(&known));
    strbuf_free(&known);
    return status;
}

static pofac_status open_evaluation(train_parts *p) {
    const recipe_train *t = &p->recipe->train;
    evaluation_options options = {.road = p->options->road, .kind = p->options->kind, .weights_change = !p->recipe->lock};
    if (p->recipe->quantizes) {
        options.road.quantizes = quantization_plan_of;
        options.road.quantizes_user = (void *)(uintptr_t)&p->recipe->quantization;
    }
    TRY(evaluation_create(p->recipe, p->model, &options, p->sink, &p->evaluation));
    const char *asks = t->load_best_model_at_end        ? "load_best_model_at_end"
                       : t->early_stopping_patience > 0 ? "early_stopping_patience"
                       : t->eval_steps > 0              ? "eval_steps"
                                                        : NULL;
    if (!p->evaluation && asks)
        return diag_error(p->sink, POFAC_ERR_USAGE, NULL,
                          "%s: found no examples to measure with, wanted --eval PATH, or eval in <data>", asks);
    return p->evaluation && asks ? check_metric(p) : POFAC_OK;
}

/* ---- the directory, and going on ---- */

static pofac_status open_directory(train_parts *p) {
    const recipe_train *t = &p->recipe->train;
    const run_directory_mode mode = t->resume_from_checkpoint ? RUN_RESUME : t->overwrite_output_dir ? RUN_OVERWRITE : RUN_NEW;
    const char *from = loaded_model_directory(p->model);
    if (mode == RUN_OVERWRITE && from && run_directory_has_checkpoint(t->output_dir, from))
        return diag_error(
            p->sink, POFAC_ERR_USAGE, &(diag_place){.file = t->output_dir},
            "the model is from a checkpoint in it, which --overwrite_output_dir would remove; wanted another output_dir");
    return run_directory_open(t->output_dir, mode, p->sink, &p->directory);
}

/* Where the run goes on: the path that is named, or for "true" and "last" the newest whole checkpoint. */
static pofac_status find_checkpoint(train_parts *p, bool *found) {
    const char *from = p->recipe->train.resume_from_checkpoint;
    *found = false;
    if (!from) return POFAC_OK;
    if (strcmp(from, "true") == 0 || strcmp(from, "last") == 0)
        return run_checkpoint_find(p->recipe->train.output_dir, &p->path, found, p->sink);
    strbuf_clear(&p->path);
    strbuf_puts(&p->path, from);
    *found = true;
    return strbuf_ok(&p->path) ? POFAC_OK : diag_out_of_memory(p->sink);
}

static pofac_status go_on(train_parts *p) {
    const run_position *at = &p->position;
    TRY(run_checkpoint_load(strbuf_str(&p->path), strbuf_str(&p->settings), &p->position, training_state(p->training), p->sink));
    TRY(p->source.set_position(p->source.user, &at->data, p->sink));
    p->best = (best_model){at->has_best, at->best_metric, at->best_step, at->evaluations_without_gain};
    return run_directory_cut(p->recipe->train.output_dir, RUN_METRICS_FILE, at->metrics_bytes, p->sink);
}

/* A quantized model's ranges are learned on: its training is behind the run that makes them anew. */
static void take_ranges(train_parts *p) {
    const learned_ranges *ranges = training_ranges(p->training);
    const model_quantization *q = loaded_model_quantization(p->model);
    if (!q) return;
    if (!ranges)
        diag_warning(p->sink, &(diag_place){.file = loaded_model_path(p->model)},
                     "found a model in 8 bits, which is trained in floats: its ranges are not kept");
    else if (learned_ranges_take(ranges, q, training_state(p->training))) p->position.forwards = p->recipe->quantization.begin + 1;
}

/* The first masks; lines of a run that saved nothing go. */
static pofac_status begin(train_parts *p) {
    take_ranges(p);
    TRY(mask_schedule_begin(&p->masks, &(mask_step){p->training, &p->source, p->inputs}, p->sink));
    return run_directory_cut(p->recipe->train.output_dir, RUN_METRICS_FILE, 0, p->sink);
}

static pofac_status open_log(train_parts *p) {
    const recipe_train *t = &p->recipe->train;
    strbuf events = STRBUF_INIT;
    if (t->logging_dir) strbuf_puts(&events, t->logging_dir);
    else strbuf_printf(&events, "%s/runs", t->output_dir);
    pofac_status status = strbuf_ok(&events) ? POFAC_OK : diag_out_of_memory(p->sink);
    if (status == POFAC_OK) status = train_log_open(t->output_dir, t->tensorboard ? strbuf_str(&events) : NULL, p->sink, &p->log);
    strbuf_free(&events);
    return status;
}

/* Kept logits of another teacher are another run. */
static void put_kept_teacher(train_parts *p) {
    char hex[33];
    if (!p->teacher_logits) return;
    hash_to_hex(teacher_logits_info(p->teacher_logits)->teacher, hex);
    strbuf_printf(&p->settings, "teacher_hash=%s\n", hex);
}

pofac_status train_open_run(train_parts *p) {
    bool resumes;
    TRY(train_open_data(p));
    recipe_put_settings(p->recipe, &p->settings);
    strbuf_printf(&p->settings, "data=%016" PRIx64 "\n", p->data.source.fingerprint);
    put_kept_teacher(p);
    if (!strbuf_ok(&p->settings)) return diag_out_of_memory(p->sink);
    TRY(open_directory(p));
    TRY(find_checkpoint(p, &resumes));
    if (resumes) TRY(run_checkpoint_peek(strbuf_str(&p->path), NULL, NULL, &p->kernels, p->sink));
    TRY(open_evaluation(p));
    TRY(train_open_training(p));
    if (!strbuf_ok(&p->kernels)) return diag_out_of_memory(p->sink);
    TRY(dense_state_create(training_state(p->training), p->sink, &p->dense));
    if (resumes) TRY(go_on(p));
    else TRY(begin(p));
    return open_log(p);
}

void train_close(train_parts *p) {
    train_log_close(p->log);
    run_directory_close(&p->directory);
    dense_state_destroy(p->dense);
    evaluation_destroy(p->evaluation);
    train_inputs_destroy(p->inputs);
    free(p->ranges);
    training_destroy(p->training);
    mask_schedule_close(&p->masks);
    teacher_logits_close(p->teacher_logits);
    loaded_model_close(p->distillation.teacher);
    batcher_destroy(p->batcher);
    run_data_close(&p->data);
    loaded_model_close(p->model);
    strbuf_free(&p->settings);
    strbuf_free(&p->kernels);
    strbuf_free(&p->first_kernels);
    strbuf_free(&p->path);
}
