/* pofac quantize: a trained model -> one of few bits, without training. */
#include <string.h>
#include <sys/stat.h>

#include "frontend/cli/arguments.h"
#include "frontend/cli/progress_bar.h"
#include "frontend/driver/prune_once.h"
#include "frontend/driver/quantize_once.h"
#include "frontend/driver/run_model.h"

static const option_row rows[] = {
    {"method", OPTION_CHOICE, "static|dynamic|weights", NULL, 0, 0,
     "activations by ranges that calibration finds (standard), by those of each row as it comes, or not at all"},
    {"calibration", OPTION_READS, "PATH", NULL, 0, 0,
     "examples to observe activations in: a file of tensors (input_ids, attention_mask, token_type_ids), or what --task or --kind "
     "reads"},
    {"calibration_method", OPTION_CHOICE, "minmax|percentile|mse", NULL, 0, 0,
     "ranges hold all that was seen (standard), all but the furthest share, or what loses least in squares; mse is for weights, "
     "too"},
    {"percentile", OPTION_TEXT, "X", NULL, 0, 0,
     "calibration_method percentile: share of values that a range ends behind; standard 99.99"},
    {"calibration_samples", OPTION_TEXT, "N", NULL, 0, 0,
     "examples that are observed, of a task in whole batches; 0: all; standard 128"},
    {"calibration_batch_size", OPTION_WHOLE, "N", "8", 1, 1 << 16, "of them at once"},
    {"weight_bits", OPTION_CHOICE, "8|4", NULL, 0, 0,
     "method weights: bits of a stored weight; of 4, 32 columns share a scale; standard 8"},
    {"weight_scales", OPTION_CHOICE, "per_tensor|per_channel", NULL, 0, 0,
     "one scale for a weight (standard), or one for each output"},
    {"quantize_embeddings", OPTION_FLAG, NULL, NULL, 0, 0, "store tables of embeddings in 8 bits"},
    {"store_weights", OPTION_FLAG, NULL, NULL, 0, 0,
     "methods static and dynamic: weights in model.safetensors in 8 bits, which pofac alone reads, instead of floats"},
    {"requantize_outputs", OPTION_FLAG, NULL, NULL, 0, 0, "method static: results of layers in 8 bits as well"},
    {"not_to_quantize", OPTION_LINES, "TEXT", NULL, 0, 0,
     "layers whose names have this in them stay in floating point; may be given several times"},
    {"not_to_requantize_output", OPTION_LINES, "TEXT", NULL, 0, 0, "likewise their outputs"},
    {"quantization_config", OPTION_READS, "FILE", NULL, 0, 0,
     "JSON configuration of the pruning package's quantizer; what is given beside it wins"},
    {"kind", OPTION_CHOICE, "segment_pair_nsp|doc_sentences|concatenate|glue|squad|tensors", NULL, 0, 0,
     "what the examples are, where --task does not say it"},
    {"task", OPTION_TEXT, "NAME", NULL, 0, 0, "task of the examples (`pofac list tasks`)"},
    {"max_seq_length", OPTION_TEXT, "N", NULL, 0, 0, "tokens of the longest example"},
    {"doc_stride", OPTION_TEXT, "N", NULL, 0, 0, "questions: tokens between the beginnings of windows"},
    {"max_query_length", OPTION_TEXT, "N", NULL, 0, 0, "questions: tokens of the question, at most"},
    {"skip_bad_rows", OPTION_FLAG, NULL, NULL, 0, 0, "rows of a task that cannot be read are left out"},
    {"dtype", OPTION_CHOICE, "f32|bf16|f16", "f32", 0, 0, "of the parameters that stay floats"},
    {"output_dir", OPTION_WRITES, "DIR", NULL, 0, 0, "where the model goes (required); -o does the same"},
    {"overwrite_output_dir", OPTION_FLAG, NULL, NULL, 0, 0, "write into a directory that is not empty"},
    {"interpreter", OPTION_FLAG, NULL, NULL, 0, 0, "run by the reference interpreter instead of compiled code: slow and exact"},
    {"isa", OPTION_TEXT, "NAME", "native", 0, 0, "instruction set of the kernels (`pofac list targets`)"},
    {"cache_dir", OPTION_TEXT, "DIR", NULL, 0, 0, "object cache; default $XDG_CACHE_HOME/pofac/objects"},
    {"no_cache", OPTION_FLAG, NULL, NULL, 0, 0, "compile every kernel anew and keep none"},
    OPTIONS_MODEL,
    OPTIONS_THREADS,
};

/* Options that the driver reads by the names of attributes. */
static const char *const of_settings[] = {"method",
                                          "calibration_method",
                                          "percentile",
                                          "calibration_samples",
                                          "weight_bits",
                                          "weight_scales",
                                          "quantize_embeddings",
                                          "requantize_outputs",
                                          "not_to_quantize",
                                          "not_to_requantize_output",
                                          "quantization_config"};
static const char *const of_data[] = {"kind", "task", "max_seq_length", "doc_stride", "max_query_length", "skip_bad_rows", "seed"};

static size_t collect(const command_input *in, const char *const *names, size_t n, recipe_option *out) {
    size_t given = 0;
    for (size_t i = 0; i < n; i++)
        if (option_given(in->options, names[i])) out[given++] = (recipe_option){names[i], option_text(in->options, names[i])};
    return given;
}

static void show(void *user, uint64_t done, uint64_t all) {
    progress_bar_update(user, "examples", done, all ? (double)done / (double)all : -1.0);
}

/* ---- where examples come from ---- */

static bool is_description(const char *model) {
    struct stat s;
    return stat(model, &s) == 0 && S_ISREG(s.st_mode);
}

/* Tensors, unless options or a description name another kind. */
static bool is_tensors(const command_input *in, const char *model, const char *path) {
    const char *kind = option_text(in->options, "kind");
    if (option_given(in->options, "task")) return false;
    return kind ? strcmp(kind, "tensors") == 0 : !is_description(model) || prune_once_is_file(path);
}

/* Examples of --calibration, or those that the description learns from. */
static pofac_status read_recipe(const command_input *in, const char *model, const char *examples, quantize_once_options *o) {
    recipe_option given[sizeof of_data / sizeof *of_data + 1];
    recipe *r = ARENA_NEW(in->memory, recipe);
    size_t n = collect(in, of_data, sizeof of_data / sizeof *of_data, given);
    if (!r) return diag_out_of_memory(in->sink);
    if (examples) given[n++] = (recipe_option){"eval", examples};
    TRY(recipe_read(model, given, n, RECIPE_FOR_EVALUATION, in->memory, in->sink, r));
    if (r->data.kind == RECIPE_TENSORS) { /* whose labels are not needed */
        o->tensors = examples ? examples : r->data.train;
        return POFAC_OK;
    }
    o->recipe = r;
    o->split = examples ? RUN_DATA_EVAL : RUN_DATA_TRAIN;
    return POFAC_OK;
}

/* Options of what the method does not do. */
static pofac_status check_options(const command_input *in, const quantize_settings *s) {
    static const char *const of_examples[] = {
        "calibration",    "calibration_samples", "calibration_batch_size", "kind",         "task",
        "max_seq_length", "doc_stride",          "max_query_length",       "skip_bad_rows"};
    const option_values *o = in->options;
    const bool observes = s->plan.activations == QUANTIZE_STATIC;
    for (size_t i = 0; i < sizeof of_examples / sizeof *of_examples && !observes; i++)
        if (option_given(o, of_examples[i]))
            return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--%s: found with method %s, which observes no activations",
                              of_examples[i], s->method);
    if (option_flag(o, "store_weights") && s->plan.activations == QUANTIZE_WEIGHTS_ONLY)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--store_weights: found with method weights, which stores them anyway");
    if (option_given(o, "not_to_requantize_output") && !s->outputs)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL,
                          "--not_to_requantize_output: found without --requantize_outputs, which it makes exceptions of");
    return POFAC_OK;
}

static pofac_status find_examples(const command_input *in, const quantize_settings *s, const char *model,
                                  quantize_once_options *o) {
    const char *examples = option_text(in->options, "calibration");
    if (s->plan.activations != QUANTIZE_STATIC) return POFAC_OK;
    if (examples && is_tensors(in, model, examples)) {
        o->tensors = examples;
        return POFAC_OK;
    }
    return examples || is_description(model) ? read_recipe(in, model, examples, o) : POFAC_OK;
}

/* ---- the command ---- */

static pofac_status quantize(const command_input *in, const quantize_once_options *o, const diag_sink *sink, strbuf *report) {
    const loaded_model_options options = arguments_model(in->options);
    loaded_model *model;
    TRY(o->recipe ? run_model_open(o->recipe, &options, sink, &model)
                  : loaded_model_open(in->options->arguments[0], &options, sink, &model));
    const pofac_status status = quantize_once(model, o, sink, report);
    loaded_model_close(model);
    return status;
}

static pofac_status check_paths(const command_input *in, const char *output) {
    if (!output) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--output_dir is missing: where the result goes");
    return arguments_check_output(in, output, ARGUMENT_DIRECTORY, "overwrite_output_dir");
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    recipe_option given[sizeof of_settings / sizeof *of_settings];
    quantize_settings settings;
    progress_bar bar;
    strbuf report = STRBUF_INIT;
    quantize_once_options options = {.settings = &settings,
                                     .output = option_text(o, "output_dir"),
                                     .dtype = arguments_dtype(o),
                                     .store_weights = option_flag(o, "store_weights"),
                                     .data = {.batch_size = option_whole(o, "calibration_batch_size"),
                                              .stop = in->stop,
                                              .progress = show,
                                              .progress_user = &bar},
                                     .road = {.isa = option_text(o, "isa"),
                                              .cache_dir = option_text(o, "cache_dir"),
                                              .no_cache = option_flag(o, "no_cache"),
                                              .tune = ROAD_TUNE_OFF,
                                              .threads = (size_t)option_whole(o, "threads")},
                                     .kind = option_flag(o, "interpreter") ? EXECUTOR_INTERPRETER : EXECUTOR_COMPILED};
    TRY(check_paths(in, options.output));
    const size_t n = collect(in, of_settings, sizeof of_settings / sizeof *of_settings, given);
    TRY(quantize_settings_read(o->arguments[0], given, n, in->memory, in->sink, &settings));
    TRY(check_options(in, &settings));
    TRY(find_examples(in, &settings, o->arguments[0], &options));
    TRY(interruption_begin(in->stop, in->sink));
    progress_bar_begin(&bar, true, in->sink);
    const diag_sink above = progress_bar_sink(&bar);
    pofac_status status = quantize(in, &options, &above, &report);
    progress_bar_end(&bar);
    if (status == POFAC_OK) status = arguments_print(in->sink, strbuf_str(&report), report.size);
    strbuf_free(&report);
    return status;
}

const command command_quantize = {.name = "quantize",
                                  .arguments = "MODEL",
                                  .min_arguments = 1,
                                  .max_arguments = 1,
                                  .rows = rows,
                                  .n_rows = sizeof rows / sizeof *rows,
                                  .run = run,
                                  .meaning = "put a trained model into 8 or 4 bits, without training",
                                  .details = "pofac quantize sst2 -o sst2.int8 --task sst2 --calibration SST-2/train.tsv\n"
                                             "MODEL is a Hugging Face directory, or a description, whose <quantize> says how and "
                                             "whose <data> have examples to learn from.\n"
                                             "Ranges are printed as one JSON object."};
