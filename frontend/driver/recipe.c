/*
 * Description and options -> recipe; see recipe.h. A value is the option's where one is given, else the document's, else the table's
 * default; then come the rules that hold between values.
 */
#include "frontend/driver/recipe_reader.h"

#include <inttypes.h>
#include <locale.h>
#include <string.h>

#include "frontend/driver/compiled_file.h"
#include "ir/support/decimal.h"
#include "ir/support/file_map.h"

/* ---- kinds ---- */

static const char *const kind_names[] = {"none", "segment_pair_nsp", "doc_sentences", "concatenate", "glue", "squad", "tensors"};
#define N_KINDS (sizeof kind_names / sizeof *kind_names)

const char *recipe_kind_name(recipe_kind kind) { return kind_names[kind]; }

bool recipe_kind_is_shards(recipe_kind kind) {
    return kind == RECIPE_SEGMENT_PAIRS || kind == RECIPE_DOC_SENTENCES || kind == RECIPE_CONCATENATE;
}

static recipe_kind kind_of(const char *name) {
    for (size_t i = 1; i < N_KINDS; i++)
        if (strcmp(kind_names[i], name) == 0) return (recipe_kind)i;
    return RECIPE_NO_DATA;
}

/* ---- values ---- */

const char *recipe_option_name(const char *element, const char *attribute) {
    static const struct {
        const char *element, *attribute, *option;
    } rows[] = {{"prune", "config", "pruning_config"},
                {"prune", "override", "pruning_override"},
                {"prune", "masks", "pruning_masks"},
                {"teacher", "from", "teacher"},
                {"teacher", "logits", "teacher_logits"},
                {"quantize", "config", "quantization_config"},
                {"quantize", "calibration", "calibration_method"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].element, element) == 0 && strcmp(rows[i].attribute, attribute) == 0) return rows[i].option;
    return attribute;
}

const char *recipe_option_text(const recipe_reader *r, const char *name) {
    for (size_t i = 0; i < r->n_options; i++)
        if (strcmp(r->options[i].name, name) == 0) return r->options[i].text;
    return NULL;
}

static void read_text(recipe_reader *r, const xml_attribute_row *row, const char *text, recipe_setting *s) {
    const xml_reading reading = xml_value_read(row, text, r->a, &s->value);
    s->is_there = reading == XML_READ;
    if (reading == XML_READ || r->status != POFAC_OK) return;
    if (reading == XML_NO_MEMORY) {
        r->status = diag_out_of_memory(r->sink);
        return;
    }
    strbuf wanted = STRBUF_INIT;
    xml_value_wanted(row, &wanted);
    r->status = diag_error(r->sink, POFAC_ERR_USAGE, NULL, "--%s is \"%s\", wanted %s", s->name, text, strbuf_str(&wanted));
    strbuf_free(&wanted);
}

recipe_setting recipe_get(recipe_reader *r, const char *element, const char *name) {
    const xml_attribute_row *row = xml_attribute_row_find(element, name);
    const char *option = recipe_option_name(element, name), *text = recipe_option_text(r, option);
    recipe_setting s = {.name = text ? option : name, .is_option = text != NULL, .is_written = text != NULL};
    const xml_attr *attr = xml_attr_get(xml_child(r->root, element), name);
    if (text) {
        read_text(r, row, text, &s);
    } else if (attr) {
        s.is_there = true;
        s.is_written = attr->written;
        s.place = attr->place;
        s.value = attr->value;
    } else if (row->standard) {
        read_text(r, row, row->standard, &s);
    }
    return s;
}

static const char *get_text(recipe_reader *r, const char *element, const char *name) {
    const recipe_setting s = recipe_get(r, element, name);
    return s.is_there ? s.value.as.string : NULL;
}

static int64_t get_int(recipe_reader *r, const char *element, const char *name) {
    const recipe_setting s = recipe_get(r, element, name);
    return s.is_there ? s.value.as.integer : 0;
}

static double get_real(recipe_reader *r, const char *element, const char *name) {
    const recipe_setting s = recipe_get(r, element, name);
    return s.is_there ? s.value.as.number : 0;
}

static bool get_flag(recipe_reader *r, const char *element, const char *name) {
    const recipe_setting s = recipe_get(r, element, name);
    return s.is_there && s.value.as.truth;
}

static model_rate get_dropout(recipe_reader *r, const char *name) {
    const recipe_setting s = recipe_get(r, "train", name);
    return (model_rate){s.is_there, s.is_there ? s.value.as.number : 0};
}

/* ---- contradictions ---- */

/* The setting as messages call it: with two dashes where it is an option. */
pofac_status recipe_wrong(const recipe_reader *r, const recipe_setting *s, const char *what) {
    const pofac_status status = s->is_option || !s->is_written ? POFAC_ERR_USAGE : POFAC_ERR_INPUT;
    return diag_error(r->sink, status, s->is_written && !s->is_option ? &s->place : NULL, "%s%s: %s", s->is_option ? "--" : "",
                      s->name, what);
}

/* Attributes that mean something for some kinds of data alone. */
static pofac_status check_belongs(recipe_reader *r, recipe_kind kind) {
    static const struct {
        const char *name;
        unsigned kinds; /* by bit */
        const char *wanted;
    } rows[] = {
        {"doc_stride", 1u << RECIPE_SQUAD, "found without kind squad, which it belongs to"},
        {"max_query_length", 1u << RECIPE_SQUAD, "found without kind squad, which it belongs to"},
        {"max_answer_length", 1u << RECIPE_SQUAD, "found without kind squad, which it belongs to"},
        {"n_best_size", 1u << RECIPE_SQUAD, "found without kind squad, which it belongs to"},
        {"task", 1u << RECIPE_SQUAD | 1u << RECIPE_GLUE, "found without kind glue or squad, which it belongs to"},
        {"skip_bad_rows", 1u << RECIPE_SQUAD | 1u << RECIPE_GLUE, "found without kind glue or squad, which it belongs to"},
        {"use_wwm", 1u << RECIPE_SEGMENT_PAIRS | 1u << RECIPE_DOC_SENTENCES | 1u << RECIPE_CONCATENATE,
         "found without data for pre-training, which it belongs to"},
        {"mlm_probability", 1u << RECIPE_SEGMENT_PAIRS | 1u << RECIPE_DOC_SENTENCES | 1u << RECIPE_CONCATENATE,
         "found without data for pre-training, which it belongs to"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const recipe_setting s = recipe_get(r, "data", rows[i].name);
        if (s.is_written && !(rows[i].kinds >> kind & 1)) return recipe_wrong(r, &s, rows[i].wanted);
    }
    return POFAC_OK;
}

/* What `pofac data build` decides, and a run only finds. */
static pofac_status check_built(recipe_reader *r) {
    static const char *const names[] = {"short_seq_probability", "nsp_probability", "dataset_seed", "validation_split_percentage"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const recipe_setting s = recipe_get(r, "data", names[i]);
        if (s.is_option) return recipe_wrong(r, &s, "is decided when shards are made (`pofac data build`), not when they are read");
    }
    return POFAC_OK;
}

static pofac_status check_task(recipe_reader *r, const recipe_data *d) {
    const recipe_setting task = recipe_get(r, "data", "task");
    const bool is_squad = d->task && strncmp(d->task, "squad", 5) == 0;
    if (d->kind == RECIPE_GLUE && !d->task) {
        const recipe_setting kind = recipe_get(r, "data", "kind");
        return recipe_wrong(r, &kind, "glue needs a task");
    }
    if (d->kind == RECIPE_GLUE && is_squad) return recipe_wrong(r, &task, "found squad with kind glue, wanted kind squad");
    if (d->kind == RECIPE_SQUAD && d->task && !is_squad)
        return recipe_wrong(r, &task, "found another with kind squad, wanted squad or squad_v2");
    return POFAC_OK;
}

/* Rewinding goes back by the intervals of a schedule of pruning. */
static pofac_status check_schedule(recipe_reader *r, recipe *c) {
    const recipe_setting type = recipe_get(r, "train", "lr_scheduler_type"), rewind = recipe_get(r, "train", "lr_rewind");
    const bool rewinds = rewind.is_there && rewind.value.as.truth,
               has_schedule = c->prunes && c->prune.scheduler == PRUNING_SCHEDULE_ITERATIVE;
    if (rewinds && type.is_written && c->train.schedule != RATE_LINEAR_REWIND)
        return recipe_wrong(r, &type, "found another than linear_rewind, which lr_rewind means");
    if (rewinds) c->train.schedule = RATE_LINEAR_REWIND;
    if (c->train.schedule != RATE_LINEAR_REWIND || has_schedule) return POFAC_OK;
    if (rewinds) return recipe_wrong(r, &rewind, "needs a schedule of pruning, whose masks it goes back to");
    return recipe_wrong(r, &type, "linear_rewind needs a schedule of pruning, whose masks it goes back to");
}

static pofac_status check_optimizer(recipe_reader *r, const recipe_train *t) {
    static const char *const adam[] = {"adam_beta1", "adam_beta2", "adam_epsilon"};
    const bool is_sgd = strcmp(t->optim, "sgd") == 0;
    const recipe_setting momentum = recipe_get(r, "train", "momentum");
    if (momentum.is_written && !is_sgd) return recipe_wrong(r, &momentum, "found without optim sgd, which it belongs to");
    for (size_t i = 0; is_sgd && i < sizeof adam / sizeof *adam; i++) {
        const recipe_setting s = recipe_get(r, "train", adam[i]);
        if (s.is_written) return recipe_wrong(r, &s, "found with optim sgd, which has no moments");
    }
    return POFAC_OK;
}

static pofac_status check_order(recipe_reader *r, const recipe *c) {
    const recipe_setting group = recipe_get(r, "train", "group_by_length"), samples = recipe_get(r, "data", "max_train_samples"),
                         pads = recipe_get(r, "data", "pad_to_max_length");
    if (c->train.group_by_length && c->data.kind == RECIPE_TENSORS)
        return recipe_wrong(r, &group, "found with kind tensors, whose rows are taken in order");
    if (samples.is_written && c->train.max_tokens > 0 && samples.value.as.integer == 0)
        return recipe_wrong(r, &samples, "found 0, wanted examples");
    if (c->train.group_by_length && c->data.pad_to_max_length)
        return recipe_wrong(r, &pads, "found with group_by_length, which has nothing to group then");
    return POFAC_OK;
}

static pofac_status check_stopping(recipe_reader *r, const recipe *c) {
    const recipe_setting patience = recipe_get(r, "train", "early_stopping_patience"),
                         threshold = recipe_get(r, "train", "early_stopping_threshold");
    if (patience.is_written && c->train.eval_steps == 0)
        return recipe_wrong(r, &patience, "found without eval_steps, wanted evaluations to stop by");
    if (threshold.is_written && !patience.is_written)
        return recipe_wrong(r, &threshold, "found without early_stopping_patience, which it belongs to");
    return POFAC_OK;
}

static pofac_status check_outputs(recipe_reader *r, const recipe *c, recipe_use use) {
    const recipe_setting output = recipe_get(r, "train", "output_dir"), dir = recipe_get(r, "train", "logging_dir");
    if (use == RECIPE_FOR_TRAINING && !c->train.output_dir)
        return diag_error(r->sink, POFAC_ERR_USAGE, NULL, "training needs --output_dir DIR, for weights, checkpoints and metrics");
    if (output.is_there && file_exists(output.value.as.string) && !file_is_directory(output.value.as.string))
        return recipe_wrong(r, &output, "is a file, wanted a directory");
    if (dir.is_written && !c->train.tensorboard)
        return recipe_wrong(r, &dir, "found with report_to none, which writes no event files");
    return POFAC_OK;
}

/* ---- sections ---- */

static pofac_status read_data(recipe_reader *r, recipe_use use, recipe_data *d) {
    const char *kind = get_text(r, "data", "kind");
    *d = (recipe_data){.kind = kind ? kind_of(kind) : RECIPE_NO_DATA,
                       .task = get_text(r, "data", "task"),
                       .train = get_text(r, "data", "train"),
                       .eval = get_text(r, "data", "eval"),
                       .skip_bad_rows = get_flag(r, "data", "skip_bad_rows"),
                       .use_wwm = get_flag(r, "data", "use_wwm"),
                       .pad_to_max_length = get_flag(r, "data", "pad_to_max_length"),
                       .max_seq_length = get_int(r, "data", "max_seq_length"),
                       .doc_stride = get_int(r, "data", "doc_stride"),
                       .max_query_length = get_int(r, "data", "max_query_length"),
                       .max_answer_length = get_int(r, "data", "max_answer_length"),
                       .n_best_size = get_int(r, "data", "n_best_size"),
                       .mlm_probability = get_real(r, "data", "mlm_probability"),
                       .max_train_samples = get_int(r, "data", "max_train_samples"),
                       .max_eval_samples = get_int(r, "data", "max_eval_samples")};
    const recipe_setting stride = recipe_get(r, "data", "doc_stride");
    if (!stride.is_written) d->doc_stride = 0; /* what fits the length */
    if (r->status != POFAC_OK) return r->status;
    if (!kind && d->task) d->kind = strncmp(d->task, "squad", 5) == 0 ? RECIPE_SQUAD : RECIPE_GLUE;
    if (d->kind == RECIPE_NO_DATA)
        return diag_error(r->sink, POFAC_ERR_USAGE, NULL,
                          "found neither <data> nor --kind: wanted what examples are made of (segment_pair_nsp, doc_sentences, "
                          "concatenate, glue, squad or tensors)");
    if (use != RECIPE_FOR_EVALUATION && !d->train)
        return diag_error(r->sink, POFAC_ERR_USAGE, NULL,
                          "found no examples to learn from: wanted --train PATH, or train in <data>");
    if (use == RECIPE_FOR_EVALUATION && !d->eval && !d->train)
        return diag_error(r->sink, POFAC_ERR_USAGE, NULL,
                          "found no examples to measure with: wanted --eval PATH, or eval in <data>");
    TRY(check_task(r, d));
    TRY(check_belongs(r, d->kind));
    return check_built(r);
}

static pofac_status read_memory(recipe_reader *r, int64_t *out) {
    const recipe_setting s = recipe_get(r, "train", "max_memory");
    *out = 0;
    if (!s.is_there || decimal_read_bytes(s.value.as.string, out)) return POFAC_OK;
    return recipe_wrong(r, &s, "wanted a number of bytes like 512M or 8G");
}

/* "eval_accuracy" and "accuracy" are one metric. */
static const char *bare_metric(const char *name) { return strncmp(name, "eval_", 5) == 0 ? name + 5 : name; }

static bool ends_in_loss(const char *name) {
    const size_t n = strlen(name);
    return n >= 4 && strcmp(name + n - 4, "loss") == 0;
}

static void read_rates(recipe_reader *r, recipe_train *t) {
    const char *schedule = get_text(r, "train", "lr_scheduler_type");
    if (!schedule || !rate_schedule_parse(schedule, &t->schedule)) t->schedule = RATE_LINEAR;
    t->learning_rate = get_real(r, "train", "learning_rate");
    t->warmup_ratio = get_real(r, "train", "warmup_ratio");
    t->warmup_steps = get_int(r, "train", "warmup_steps");
    t->optim = get_text(r, "train", "optim");
    t->momentum = get_real(r, "train", "momentum");
    t->weight_decay = get_real(r, "train", "weight_decay");
    t->beta1 = get_real(r, "train", "adam_beta1");
    t->beta2 = get_real(r, "train", "adam_beta2");
    t->epsilon = get_real(r, "train", "adam_epsilon");
    t->max_grad_norm = get_real(r, "train", "max_grad_norm");
}

static void read_graph(recipe_reader *r, recipe_train *t) {
    t->mask_padded_logits = get_flag(r, "train", "mask_padded_logits");
    t->hidden_dropout = get_dropout(r, "hidden_dropout_prob");
    t->attention_dropout = get_dropout(r, "attention_probs_dropout_prob");
    t->classifier_dropout = get_dropout(r, "classifier_dropout");
    t->bf16 = get_flag(r, "train", "bf16");
    t->recompute = get_text(r, "train", "recompute");
    t->seed = (uint64_t)get_int(r, "train", "seed");
}

static void read_rhythm(recipe_reader *r, recipe_train *t) {
    const recipe_setting greater = recipe_get(r, "train", "greater_is_better");
    const char *metric = get_text(r, "train", "metric_for_best_model");
    t->max_steps = get_int(r, "train", "max_steps");
    t->num_train_epochs = get_real(r, "train", "num_train_epochs");
    t->batch_size = get_int(r, "train", "per_device_train_batch_size");
    t->eval_batch_size = get_int(r, "train", "per_device_eval_batch_size");
    t->accumulation_steps = get_int(r, "train", "gradient_accumulation_steps");
    t->max_tokens = get_int(r, "train", "max_tokens");
    t->group_by_length = get_flag(r, "train", "group_by_length");
    t->logging_steps = get_int(r, "train", "logging_steps");
    t->eval_steps = get_int(r, "train", "eval_steps");
    t->save_steps = get_int(r, "train", "save_steps");
    t->save_total_limit = get_int(r, "train", "save_total_limit");
    t->load_best_model_at_end = get_flag(r, "train", "load_best_model_at_end");
    t->metric_for_best_model = metric ? bare_metric(metric) : "loss";
    t->greater_is_better = greater.is_there ? greater.value.as.truth : !ends_in_loss(t->metric_for_best_model);
    t->early_stopping_patience = get_int(r, "train", "early_stopping_patience");
    t->early_stopping_threshold = get_real(r, "train", "early_stopping_threshold");
}

static pofac_status read_train(recipe_reader *r, recipe_train *t) {
    const char *report = get_text(r, "train", "report_to");
    t->output_dir = get_text(r, "train", "output_dir");
    t->resume_from_checkpoint = get_text(r, "train", "resume_from_checkpoint");
    t->overwrite_output_dir = get_flag(r, "train", "overwrite_output_dir");
    t->tensorboard = report && strcmp(report, "tensorboard") == 0;
    t->logging_dir = get_text(r, "train", "logging_dir");
    read_rhythm(r, t);
    read_rates(r, t);
    read_graph(r, t);
    if (r->status != POFAC_OK) return r->status;
    TRY(read_memory(r, &t->max_memory));
    return check_optimizer(r, t);
}

/* What training alone wants to know. */
static pofac_status read_learning(recipe_reader *r, recipe *out) {
    TRY(recipe_read_pruning(r, out));
    TRY(recipe_read_quantization(r, out));
    TRY(recipe_read_distillation(r, out));
    TRY(check_schedule(r, out));
    TRY(check_order(r, out));
    return check_stopping(r, out);
}

static pofac_status read_sections(recipe_reader *r, recipe_use use, recipe *out) {
    TRY(read_data(r, use, &out->data));
    TRY(read_train(r, &out->train));
    if (use != RECIPE_FOR_EVALUATION) TRY(read_learning(r, out));
    TRY(check_outputs(r, out, use));
    return r->status;
}

/* `document`: the description; NULL: there is none. */
static pofac_status read_recipe(const char *path, const xml_document *document, const recipe_option *options, size_t n,
                                recipe_use use, arena *a, const diag_sink *sink, recipe *out) {
    recipe_reader r = {.options = options, .n_options = n, .a = a, .sink = sink};
    *out = (recipe){.path = path, .head = HEAD_AUTO};
    if (document) {
        r.root = document->root;
        out->head = document->model.head;
        out->leaves_labels = document->model.has_spec && document->model.num_labels == 0;
    }
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale) return diag_out_of_memory(sink);
    locale_t old = uselocale(c_locale);
    pofac_status status = read_sections(&r, use, out);
    uselocale(old);
    freelocale(c_locale);
    return status;
}

pofac_status recipe_read(const char *path, const recipe_option *options, size_t n, recipe_use use, arena *a, const diag_sink *sink,
                         recipe *out) {
    xml_document *document = NULL;
    if (!file_is_directory(path) && !compiled_file_is_one(path)) TRY(xml_document_read(path, a, sink, &document));
    return read_recipe(path, document, options, n, use, a, sink, out);
}

pofac_status recipe_read_text(const char *path, const char *text, size_t n_bytes, const recipe_option *options, size_t n,
                              recipe_use use, arena *a, const diag_sink *sink, recipe *out) {
    xml_document *document;
    TRY(xml_document_parse(path, text, n_bytes, a, sink, &document));
    TRY(read_recipe(path, document, options, n, use, a, sink, out));
    out->text = text;
    out->text_bytes = n_bytes;
    return POFAC_OK;
}

/* ---- names of options ---- */

static bool is_recipe_element(const char *element) {
    static const char *const elements[] = {"data", "train", "prune", "quantize", "teacher", "distill"};
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (strcmp(elements[i], element) == 0) return true;
    return false;
}

static bool is_option(const char *name) {
    static const char *const lists[] = {"not_to_prune", "not_to_quantize", "not_to_requantize_output"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (strcmp(lists[i], name) == 0) return true;
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        if (is_recipe_element(row->element) && strcmp(recipe_option_name(row->element, row->name), name) == 0) return true;
    }
    return false;
}

pofac_status recipe_check_options(const recipe_option *options, size_t n, const diag_sink *sink) {
    for (size_t i = 0; i < n; i++)
        if (!is_option(options[i].name))
            return diag_error(sink, POFAC_ERR_USAGE, NULL,
                              "found the option \"%s\", wanted an option of a recipe (pofac train --help)", options[i].name);
    return POFAC_OK;
}

/* ---- settings as text ---- */

void recipe_put_int(strbuf *out, const char *name, int64_t value) { strbuf_printf(out, "%s=%" PRId64 "\n", name, value); }

void recipe_put_text(strbuf *out, const char *name, const char *value) { strbuf_printf(out, "%s=%s\n", name, value ? value : ""); }

void recipe_put_real(strbuf *out, const char *name, double value) {
    strbuf_printf(out, "%s=", name);
    decimal_put(out, value);
    strbuf_putc(out, '\n');
}

static void put_dropout(strbuf *out, const char *name, model_rate d) {
    if (d.is_given) recipe_put_real(out, name, d.rate);
}

static void put_data_settings(const recipe_data *d, strbuf *out) {
    recipe_put_text(out, "kind", recipe_kind_name(d->kind));
    recipe_put_text(out, "task", d->task);
    recipe_put_text(out, "train", d->train);
    recipe_put_int(out, "max_seq_length", d->max_seq_length);
    recipe_put_int(out, "doc_stride", d->doc_stride);
    recipe_put_int(out, "max_query_length", d->max_query_length);
    recipe_put_int(out, "pad_to_max_length", d->pad_to_max_length);
    recipe_put_int(out, "max_train_samples", d->max_train_samples);
    recipe_put_int(out, "skip_bad_rows", d->skip_bad_rows);
    recipe_put_real(out, "mlm_probability", d->mlm_probability);
    recipe_put_int(out, "use_wwm", d->use_wwm);
}

void recipe_put_settings(const recipe *r, strbuf *out) {
    const recipe_train *t = &r->train;
    put_data_settings(&r->data, out);
    recipe_put_pruning(r, out);
    recipe_put_quantization(r, out);
    recipe_put_distillation(r, out);
    recipe_put_int(out, "max_steps", t->max_steps);
    recipe_put_real(out, "num_train_epochs", t->num_train_epochs);
    recipe_put_int(out, "per_device_train_batch_size", t->batch_size);
    recipe_put_int(out, "gradient_accumulation_steps", t->accumulation_steps);
    recipe_put_int(out, "max_tokens", t->max_tokens);
    recipe_put_int(out, "group_by_length", t->group_by_length);
    recipe_put_real(out, "learning_rate", t->learning_rate);
    recipe_put_real(out, "warmup_ratio", t->warmup_ratio);
    recipe_put_int(out, "warmup_steps", t->warmup_steps);
    recipe_put_text(out, "lr_scheduler_type", rate_schedule_name(t->schedule));
    recipe_put_text(out, "optim", t->optim);
    recipe_put_real(out, "momentum", t->momentum);
    recipe_put_real(out, "weight_decay", t->weight_decay);
    recipe_put_real(out, "adam_beta1", t->beta1);
    recipe_put_real(out, "adam_beta2", t->beta2);
    recipe_put_real(out, "adam_epsilon", t->epsilon);
    recipe_put_real(out, "max_grad_norm", t->max_grad_norm);
    recipe_put_int(out, "mask_padded_logits", t->mask_padded_logits);
    put_dropout(out, "hidden_dropout_prob", t->hidden_dropout);
    put_dropout(out, "attention_probs_dropout_prob", t->attention_dropout);
    put_dropout(out, "classifier_dropout", t->classifier_dropout);
    recipe_put_int(out, "bf16", t->bf16);
    recipe_put_int(out, "seed", (int64_t)t->seed);
}
