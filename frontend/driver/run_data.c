/* Opening the data of a recipe; see run_data.h. */
#include "frontend/driver/run_data.h"

#include <inttypes.h>
#include <string.h>

#include "frontend/data/qa_examples.h"
#include "ir/support/file_map.h"
#include "ir/support/hash.h"

typedef struct data_opening {
    const recipe *recipe;
    loaded_model *model;
    run_data_split split;
    int64_t max_length;
    run_data *out;
    const diag_sink *sink;
} data_opening;

static const char *split_attribute(run_data_split split) { return split == RUN_DATA_TRAIN ? "train" : "eval"; }

/* ---- paths ---- */

/* The split's name among the task's: "train", or the first that begins with "dev". */
static const char *split_name(const task_info *task, run_data_split split) {
    const char *name = NULL, *wanted = split == RUN_DATA_TRAIN ? "train" : "dev";
    for (size_t i = 0; (name = task_split_row(task, i)); i++)
        if (strncmp(name, wanted, strlen(wanted)) == 0) return name;
    return wanted;
}

pofac_status run_data_task_file(const recipe *r, const task_info *task, run_data_split split, arena *a, const diag_sink *sink,
                                const char **out) {
    const char *path = split == RUN_DATA_TRAIN ? r->data.train : r->data.eval;
    const bool is_beside = !path; /* of eval: the directory of train may have it */
    if (is_beside && r->data.train && file_is_directory(r->data.train)) path = r->data.train;
    *out = path;
    if (!path || !file_is_directory(path)) return POFAC_OK;
    TRY(task_split_file(task, path, split_name(task, split), a, sink, out));
    if (*out || is_beside) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path},
                      "found no file of the split %s of task %s, wanted one like %s.tsv", split_name(task, split), task->name,
                      split_name(task, split));
}

/* ---- length ---- */

pofac_status run_data_max_length(const recipe *r, const loaded_model *model, const diag_sink *sink, int64_t *out) {
    const int64_t wanted = r->data.max_seq_length, most = loaded_model_spec(model)->max_position_embeddings;
    *out = wanted > 0 ? wanted : most;
    if (wanted > most)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "max_seq_length is %" PRId64 ", wanted at most %" PRId64
                          ", what the model takes (max_position_embeddings)",
                          wanted, most);
    return POFAC_OK;
}

static pofac_status check_length(const data_opening *o) {
    const example_source *s = &o->out->source;
    if ((int64_t)s->max_length <= o->max_length) return POFAC_OK;
    return diag_error(o->sink, POFAC_ERR_INPUT, &(diag_place){.file = o->out->path},
                      "found examples of up to %zu tokens, wanted at most %" PRId64 " (max_seq_length, or what the model takes)",
                      s->max_length, o->max_length);
}

/* ---- kinds ---- */

static pofac_status open_task(data_opening *o) {
    run_data *d = o->out;
    const model_spec *spec = loaded_model_spec(o->model);
    const label_owner owner = {o->recipe->path, (size_t)spec->num_labels, spec->labels};
    task_examples_options options = {.max_length = (size_t)o->max_length};
    task_examples_counts counts;
    TRY(task_find(o->recipe->data.task, o->sink, &d->task));
    TRY(run_data_task_file(o->recipe, d->task, o->split, &d->memory, o->sink, &d->path));
    if (!d->path) return POFAC_OK;
    TRY(loaded_model_tokenizer(o->model, o->sink, &options.tokenizer));
    if (d->task->kind != TASK_REGRESSION)
        TRY(label_set_make(d->task, spec->labels ? &owner : NULL, &d->memory, o->sink, &d->labels));
    options.reading = (task_reader_options){.task = d->task,
                                            .labels = d->task->kind == TASK_REGRESSION ? NULL : &d->labels,
                                            .needs_labels = true,
                                            .skip_bad_rows = o->recipe->data.skip_bad_rows};
    TRY(task_examples_load(&d->path, 1, &options, o->sink, &d->store, &counts));
    d->source = token_store_source(d->store);
    return POFAC_OK;
}

static pofac_status open_questions(data_opening *o) {
    run_data *d = o->out;
    const recipe_data *r = &o->recipe->data;
    const task_info *task;
    qa_examples_counts counts;
    qa_examples_options options = {.bad_rows = r->skip_bad_rows ? SQUAD_BAD_ROWS_SKIP : SQUAD_BAD_ROWS_FAIL,
                                   .windows = {.max_seq_length = (size_t)o->max_length,
                                               .doc_stride = (size_t)r->doc_stride,
                                               .max_query_length = (size_t)r->max_query_length}};
    TRY(task_find("squad", o->sink, &task));
    TRY(run_data_task_file(o->recipe, task, o->split, &d->memory, o->sink, &d->path));
    if (!d->path) return POFAC_OK;
    TRY(loaded_model_tokenizer(o->model, o->sink, &options.tokenizer));
    TRY(qa_examples_load(&d->path, 1, &options, o->sink, &d->store, &counts));
    d->source = token_store_source(d->store);
    return POFAC_OK;
}

static pofac_status check_mode(const data_opening *o) {
    const char *found = pair_mode_name((pair_mode)shard_set_info(o->out->shards)->mode),
               *wanted = recipe_kind_name(o->recipe->data.kind);
    if (strcmp(found, wanted) == 0) return POFAC_OK;
    return diag_error(o->sink, POFAC_ERR_INPUT, &(diag_place){.file = o->out->path}, "found shards of kind %s, wanted kind %s",
                      found, wanted);
}

static pofac_status open_shards(data_opening *o) {
    run_data *d = o->out;
    const recipe_data *r = &o->recipe->data;
    const model_spec *spec = loaded_model_spec(o->model);
    const bool with_next = spec->head == HEAD_PRETRAINING && spec->arch == MODEL_BERT,
               is_beside = o->split == RUN_DATA_EVAL && !r->eval;
    const tokenizer *t;
    d->path = o->split == RUN_DATA_TRAIN ? r->train : r->eval;
    if (is_beside && r->train && file_is_directory(r->train)) d->path = r->train;
    if (!d->path) return POFAC_OK;
    const bool evaluates_split = o->split == RUN_DATA_EVAL && file_is_directory(d->path);
    TRY(shard_set_open(d->path, evaluates_split ? SHARD_VALIDATION : SHARD_TRAIN, o->sink, &d->shards));
    if (shard_set_size(d->shards) == 0 && is_beside) {
        d->path = NULL;
        return POFAC_OK;
    }
    if (shard_set_size(d->shards) > 0) TRY(check_mode(o));
    const shard_examples_options options = {.labels = SHARD_LABELS_MASKED | (with_next ? SHARD_LABELS_NEXT_SENTENCE : 0u),
                                            .masking = {.seed = o->recipe->train.seed,
                                                        .probability = r->mlm_probability,
                                                        .unit = r->use_wwm ? MASK_WHOLE_WORDS : MASK_TOKENS}};
    TRY(loaded_model_tokenizer(o->model, o->sink, &t));
    TRY(shard_examples_create(d->shards, t, &options, o->sink, &d->masked));
    d->source = shard_examples_source(d->masked);
    return POFAC_OK;
}

static pofac_status open_tensors(data_opening *o) {
    run_data *d = o->out;
    const recipe_data *r = &o->recipe->data;
    d->path = o->split == RUN_DATA_TRAIN ? r->train : r->eval;
    if (!d->path) return POFAC_OK;
    TRY(tensor_examples_open(d->path, loaded_model_spec(o->model)->vocab_size, o->sink, &d->tensors));
    d->source = tensor_examples_source(d->tensors);
    d->fixed_length = tensor_examples_padded_length(d->tensors);
    return POFAC_OK;
}

static pofac_status open_kind(data_opening *o) {
    switch (o->recipe->data.kind) {
    case RECIPE_GLUE: return open_task(o);
    case RECIPE_SQUAD: return open_questions(o);
    case RECIPE_TENSORS: return open_tensors(o);
    case RECIPE_SEGMENT_PAIRS:
    case RECIPE_DOC_SENTENCES:
    case RECIPE_CONCATENATE:
    case RECIPE_NO_DATA: break;
    }
    return open_shards(o);
}

/* ---- what the head learns from ---- */

static const char *field_text(const example_field *f) {
    if (f->per_token) return "a number for each token";
    return f->dtype == IR_F32 ? "a real number for each sequence" : "a whole number for each sequence";
}

static pofac_status check_field(const data_opening *o, const model_loss *loss, ir_dtype dtype) {
    const example_source *s = &o->out->source;
    const example_field wanted = {loss->labels, dtype, loss->per_token};
    const diag_place place = {.file = o->out->path};
    for (size_t i = 0; i < s->n_fields; i++) {
        const example_field *f = &s->fields[i];
        if (strcmp(f->name, loss->labels) != 0) continue;
        if (f->per_token == loss->per_token && f->dtype == dtype) return POFAC_OK;
        return diag_error(o->sink, POFAC_ERR_INPUT, &place, "%s: found %s, wanted %s, which the head %s learns from", f->name,
                          field_text(f), field_text(&wanted), model_head_name(loaded_model_spec(o->model)->head));
    }
    return diag_error(o->sink, POFAC_ERR_INPUT, &place, "found no %s, wanted %s, which the head %s learns from", loss->labels,
                      field_text(&wanted), model_head_name(loaded_model_spec(o->model)->head));
}

static pofac_status check_fields(const data_opening *o) {
    const model_spec *spec = loaded_model_spec(o->model);
    size_t n;
    const model_loss *losses = model_graph_losses(spec, &n);
    const bool is_real = spec->head == HEAD_SEQUENCE_CLASSIFICATION && spec->regression;
    for (size_t i = 0; i < n; i++) TRY(check_field(o, &losses[i], is_real ? IR_F32 : IR_I64));
    return POFAC_OK;
}

/* ---- opening ---- */

static pofac_status finish(data_opening *o, int64_t max_samples) {
    run_data *d = o->out;
    const bool pads = o->recipe->data.pad_to_max_length;
    if (d->source.n_examples == 0)
        return diag_error(o->sink, POFAC_ERR_INPUT, &(diag_place){.file = d->path}, "found no examples in %s",
                          split_attribute(o->split));
    TRY(check_length(o));
    TRY(check_fields(o));
    if (max_samples > 0 && (uint64_t)max_samples < d->source.n_examples) {
        d->source.n_examples = (uint64_t)max_samples;
        d->source.fingerprint = hash_combine(d->source.fingerprint, (uint64_t)max_samples);
    }
    if (pads) d->fixed_length = (size_t)o->max_length;
    return POFAC_OK;
}

pofac_status run_data_open(const recipe *r, loaded_model *model, run_data_split split, const diag_sink *sink, run_data *out,
                           bool *found) {
    data_opening o = {.recipe = r, .model = model, .split = split, .out = out, .sink = sink};
    *out = (run_data){.memory = ARENA_INIT};
    *found = false;
    pofac_status status = run_data_max_length(r, model, sink, &o.max_length);
    if (status == POFAC_OK) status = open_kind(&o);
    if (status == POFAC_OK && out->path) {
        status = finish(&o, split == RUN_DATA_TRAIN ? r->data.max_train_samples : r->data.max_eval_samples);
        *found = status == POFAC_OK;
    }
    if (!*found) run_data_close(out);
    return status;
}

void run_data_close(run_data *d) {
    shard_examples_destroy(d->masked);
    shard_set_close(d->shards);
    token_store_destroy(d->store);
    tensor_examples_close(d->tensors);
    arena_free(&d->memory);
    *d = (run_data){.memory = ARENA_INIT};
}
