/* pofac train: a recipe -> a directory with a trained model, its checkpoints and its metrics. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "frontend/cli/arguments.h"
#include "frontend/cli/progress_bar.h"
#include "frontend/cli/recipe_options.h"
#include "frontend/driver/train_run.h"

static const option_row rows[] = {
    {"dry_run", OPTION_FLAG, NULL, NULL, 0, 0,
     "print steps, parameters, memory and time of the run, and whether it fits; nothing is written"},
    {"emit", OPTION_CHOICE, "ir", NULL, 0, 0, "write the IR of a step, which --step_graph runs, instead of training"},
    {"output", OPTION_WRITES, "FILE", NULL, 0, 0, "where --emit writes; -o FILE does the same"},
    {"step_graph", OPTION_READS, "FILE", NULL, 0, 0,
     "the IR of a step to run instead of the one that is made, as --emit=ir writes it"},
    {"interpreter", OPTION_FLAG, NULL, NULL, 0, 0, "run by the reference interpreter instead of compiled code: slow and exact"},
#include "frontend/cli/recipe_rows.def"
    {"not_to_prune", OPTION_LINES, "REGEX", NULL, 0, 0,
     "layers that stay dense, instead of the description's; may be given several times"},
    {"quantization_config", OPTION_READS, "PATH", NULL, 0, 0,
     "linears learn to compute in 8 bits, as a JSON configuration of the pruning package says; instead of the description's "
     "<quantize>"},
    {"quantization_begin", OPTION_TEXT, "N", "0", 0, 0, "training forwards before quantization begins"},
    {"weight_scales", OPTION_CHOICE, "per_tensor|per_channel", "per_tensor", 0, 0,
     "one scale for a weight, or one for each output"},
    {"observe_padding", OPTION_FLAG, NULL, "false", 0, 0,
     "ranges are learned of padding as well, as the pruning package does; steps then compute it"},
    {"not_to_quantize", OPTION_LINES, "TEXT", NULL, 0, 0,
     "layers whose names have this in them stay in floating point; may be given several times"},
    {"not_to_requantize_output", OPTION_LINES, "TEXT", NULL, 0, 0, "likewise their outputs"},
    {"teacher", OPTION_READS, "PATH", NULL, 0, 0, "the frozen model that the model learns from: a directory or a description"},
    {"teacher_logits", OPTION_READS, "PATH", NULL, 0, 0,
     "its answers, as `pofac data logits` has written them, instead of the teacher"},
    {"head", OPTION_CHOICE, "auto|pretraining|masked-lm|sequence-classification|token-classification|question-answering", "auto", 0,
     0, "auto: as the description says, or what the data are for"},
    {"num_labels", OPTION_WHOLE, "N", NULL, 1, 1 << 24, "labels of a new head; absent: the task's"},
    {"vocab", OPTION_READS, "FILE", NULL, 0, 0, "vocabulary, instead of the model's own"},
    {"isa", OPTION_TEXT, "NAME", "native", 0, 0, "instruction set of the kernels (`pofac list targets`)"},
    {"cache_dir", OPTION_TEXT, "DIR", NULL, 0, 0, "object cache; default $XDG_CACHE_HOME/pofac/objects"},
    {"no_cache", OPTION_FLAG, NULL, NULL, 0, 0, "compile every kernel anew and keep none"},
    {"tune", OPTION_CHOICE, "auto|off|again", "auto", 0, 0, "how kernels of linear layers are chosen, as in `pofac compile`"},
    {"kernel_variant", OPTION_LINES, "[REGEX:]VARIANT", NULL, 0, 0,
     "kernel of linear layers, as in `pofac compile`; may be given several times"},
    OPTIONS_THREADS,
};

/* ---- options ---- */

static loaded_model_options model_options(const option_values *o) {
    loaded_model_options m = {.num_labels = option_whole(o, "num_labels"),
                              .threads = (size_t)option_whole(o, "threads"),
                              .vocab = option_text(o, "vocab")};
    if (!model_head_parse(option_text(o, "head"), &m.head)) m.head = HEAD_AUTO;
    return m;
}

static road_options road_of(const option_values *o) {
    const char *tune = option_text(o, "tune");
    return (road_options){.isa = option_text(o, "isa"),
                          .cache_dir = option_text(o, "cache_dir"),
                          .no_cache = option_flag(o, "no_cache"),
                          .tune = strcmp(tune, "off") == 0     ? ROAD_TUNE_OFF
                                  : strcmp(tune, "again") == 0 ? ROAD_TUNE_AGAIN
                                                               : ROAD_TUNE_AUTO,
                          .kernel_variants = option_text(o, "kernel_variant"),
                          .threads = (size_t)option_whole(o, "threads")};
}

static pofac_status check(const option_values *o, const diag_sink *sink) {
    if (option_given(o, "output") && !option_given(o, "emit"))
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "--output needs --emit, which says what to write; weights go to --output_dir");
    if (option_given(o, "emit") && option_given(o, "dry_run") && option_flag(o, "dry_run"))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found --emit and --dry_run, wanted one of them");
    if (option_flag(o, "interpreter") && option_flag(o, "dry_run"))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found --interpreter and --dry_run: the interpreter has no memory plan");
    return POFAC_OK;
}

/* ---- the table at the end ---- */

static void put_row(strbuf *out, const char *name, double value) {
    strbuf_printf(out, "%-24s ", name);
    strbuf_printf(out, "%.6g\n", value);
}

static void put_result(const train_result *r, strbuf *out) {
    put_row(out, "epoch", r->epoch);
    if (r->steps > 0) put_row(out, "train_loss", r->loss);
    if (r->sparsity > 0) put_row(out, "train_sparsity", r->sparsity);
    put_row(out, "train_runtime", r->seconds);
    put_row(out, "train_steps", (double)r->steps);
    if (r->seconds > 0) put_row(out, "train_tokens_per_second", (double)r->tokens / r->seconds);
    if (r->has_best) put_row(out, "best_step", (double)r->best_step);
    if (r->has_best) put_row(out, "best_metric", r->best_metric);
    for (size_t i = 0; r->has_evaluation && i < r->evaluation.scores.n; i++) {
        char name[80];
        snprintf(name, sizeof name, "eval_%s", r->evaluation.scores.values[i].name);
        put_row(out, name, r->evaluation.scores.values[i].value);
    }
}

static void show(void *user, const train_progress *p) {
    char unit[40] = "tokens";
    if (p->prunes) snprintf(unit, sizeof unit, "tokens  %.1f %% zeros", 100 * p->sparsity);
    progress_bar_update(user, unit, p->tokens, p->max_steps ? (double)p->step / (double)p->max_steps : -1.0);
}

/* ---- running ---- */

static pofac_status print(const command_input *in, const strbuf *text) {
    if (!strbuf_ok(text)) return diag_out_of_memory(in->sink);
    return arguments_print(in->sink, strbuf_str(text), text->size);
}

static pofac_status train(const command_input *in, const recipe *r, train_options *o) {
    progress_bar bar;
    train_result result;
    strbuf table = STRBUF_INIT;
    TRY(interruption_begin(in->stop, in->sink));
    progress_bar_begin(&bar, true, in->sink);
    const diag_sink above = progress_bar_sink(&bar);
    o->stop = in->stop;
    o->progress = show;
    o->progress_user = &bar;
    pofac_status status = train_run(r, o, &above, &result);
    progress_bar_end(&bar);
    if (status == POFAC_ERR_INTERRUPTED)
        diag_note(in->sink, NULL, "interrupted; --resume_from_checkpoint last goes on from the checkpoint in %s",
                  r->train.output_dir);
    if (status == POFAC_OK && result.stopped_early)
        diag_note(in->sink, NULL, "stopped early: no gain in %" PRId64 " evaluations", r->train.early_stopping_patience);
    if (status == POFAC_OK) put_result(&result, &table);
    if (status == POFAC_OK) status = print(in, &table);
    strbuf_free(&table);
    return status;
}

static pofac_status dry_run(const command_input *in, const recipe *r, const train_options *o) {
    strbuf text = STRBUF_INIT;
    const pofac_status found = train_dry_run(r, o, in->sink, &text), status = print(in, &text);
    strbuf_free(&text);
    return found != POFAC_OK ? found : status;
}

static pofac_status emit(const command_input *in, const recipe *r, const train_options *o) {
    strbuf text = STRBUF_INIT;
    pofac_status status = train_put_graph(r, o, in->sink, &text);
    if (status == POFAC_OK) status = arguments_write(in, strbuf_str(&text), text.size);
    strbuf_free(&text);
    return status;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const bool writes = !option_flag(o, "dry_run") && !option_given(o, "emit");
    const recipe_option *given;
    recipe r;
    size_t n;
    TRY(check(o, in->sink));
    TRY(recipe_options(in, &given, &n));
    TRY(recipe_read(o->arguments[0], given, n, writes ? RECIPE_FOR_TRAINING : RECIPE_FOR_PLANNING, in->memory, in->sink, &r));
    train_options options = {.road = road_of(o),
                             .kind = option_flag(o, "interpreter") ? EXECUTOR_INTERPRETER : EXECUTOR_COMPILED,
                             .model = model_options(o),
                             .step_graph = option_text(o, "step_graph")};
    if (option_flag(o, "dry_run")) return dry_run(in, &r, &options);
    return writes ? train(in, &r, &options) : emit(in, &r, &options);
}

const command command_train = {
    .name = "train",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "train a model as a description's <data>, <train>, <prune>, <quantize>, <teacher> and <distill> say, or these "
               "options, which "
               "win over them",
    .details = "pofac train recipe.xml --learning_rate 3e-5\n"
               "pofac train bert-base --task sst2 --train SST-2 --output_dir sst2 --max_seq_length 128 --num_train_epochs 3\n"
               "DIR gets model.safetensors with config.json and the tokenizer, metrics.jsonl, train_results.json, "
               "eval_results.json and checkpoints.\n"
               "SIGINT and SIGTERM end a run after its step with a checkpoint; --resume_from_checkpoint last goes on bit for bit."};
