/* pofac data logits: a teacher runs once over the examples of a recipe, and its logits are kept for those who learn from it. */
#include <inttypes.h>
#include <string.h>

#include "frontend/cli/arguments.h"
#include "frontend/cli/progress_bar.h"
#include "frontend/cli/recipe_options.h"
#include "frontend/driver/make_logits.h"

static const option_row rows[] = {
    {"output", OPTION_WRITES, "DIR", NULL, 0, 0, "where logits go, or go on (required); -o DIR does the same"},
    {"top_k", OPTION_WHOLE, "K", "64", 0, 1 << 24, "of logits over a vocabulary, the largest of each token that are kept; 0: all"},
    {"dtype", OPTION_CHOICE, "f32|f16", "f32", 0, 0, "of logits over a vocabulary"},
    {"epochs", OPTION_WHOLE, "N", "0", 0, 1 << 20, "of shards, which are masked anew in each; 0: as many as the recipe takes"},
#include "frontend/cli/recipe_rows.def"
    {"not_to_prune", OPTION_LINES, "REGEX", NULL, 0, 0, "as in `pofac train`, whose options this takes; plays no part here"},
    {"teacher", OPTION_READS, "PATH", NULL, 0, 0, "the model that the recipe's learns from: a directory or a description"},
    {"teacher_logits", OPTION_READS, "PATH", NULL, 0, 0, "as in `pofac train`, whose options this takes; wanted is a teacher"},
    {"head", OPTION_CHOICE, "auto|pretraining|masked-lm|sequence-classification|token-classification|question-answering", "auto", 0,
     0, "auto: as the description says, or what the data are for"},
    {"num_labels", OPTION_WHOLE, "N", NULL, 1, 1 << 24, "labels of a new head; absent: the task's"},
    {"vocab", OPTION_READS, "FILE", NULL, 0, 0, "vocabulary, instead of the model's own"},
    OPTIONS_COMPILE,
    OPTIONS_THREADS,
};

static void show(void *user, uint64_t done, uint64_t all) {
    progress_bar_update(user, "examples", done, all ? (double)done / (double)all : -1.0);
}

static pofac_status make(const command_input *in, const recipe *r, make_logits_options *o, make_logits_result *out) {
    progress_bar bar;
    TRY(interruption_begin(in->stop, in->sink));
    progress_bar_begin(&bar, true, in->sink);
    const diag_sink above = progress_bar_sink(&bar);
    o->stop = in->stop;
    o->progress = show;
    o->progress_user = &bar;
    pofac_status status = make_logits(r, o, &above, out);
    progress_bar_end(&bar);
    if (status == POFAC_ERR_INTERRUPTED) diag_note(in->sink, NULL, "interrupted: the same command goes on with %s", o->dir);
    return status;
}

static pofac_status print_result(const command_input *in, const make_logits_result *r) {
    strbuf line = STRBUF_INIT;
    strbuf_printf(&line, "{\"epochs\": %" PRIu64 ", \"examples\": %" PRIu64 ", \"files\": %" PRIu64 ", \"files_made\": %" PRIu64,
                  r->epochs, r->examples, r->files, r->files_made);
    strbuf_printf(&line, ", \"tokens\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.3f}\n", r->tokens, r->bytes,
                  r->seconds);
    pofac_status status = strbuf_ok(&line) ? arguments_print(in->sink, strbuf_str(&line), line.size) : diag_out_of_memory(in->sink);
    strbuf_free(&line);
    return status;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const recipe_option *given;
    recipe r;
    size_t n;
    make_logits_result result;
    if (!option_given(o, "output")) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "pofac data logits needs --output DIR");
    TRY(recipe_options(in, &given, &n));
    TRY(recipe_read(o->arguments[0], given, n, RECIPE_FOR_PLANNING, in->memory, in->sink, &r));
    if (!r.teacher)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL,
                          "found no teacher, wanted --teacher MODEL, or <teacher from> in the recipe");
    make_logits_options options = {.dir = option_text(o, "output"),
                                   .top_k = option_whole(o, "top_k"),
                                   .is_half = strcmp(option_text(o, "dtype"), "f16") == 0,
                                   .epochs = option_whole(o, "epochs"),
                                   .road = arguments_road(o),
                                   .model = {.num_labels = option_whole(o, "num_labels"), .vocab = option_text(o, "vocab")}};
    if (!model_head_parse(option_text(o, "head"), &options.model.head)) options.model.head = HEAD_AUTO;
    TRY(make(in, &r, &options, &result));
    return print_result(in, &result);
}

const command command_data_logits = {
    .name = "data logits",
    .arguments = "RECIPE",
    .min_arguments = 1,
    .max_arguments = 1,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "run a recipe's teacher over its examples, and keep its logits for <teacher logits>",
    .details = "pofac data logits transfer-mnli.xml -o mnli-logits\n"
               "pofac train transfer-mnli.xml --teacher_logits mnli-logits\n"
               "What is in DIR already stays: an interrupted run goes on. What was made is printed as one JSON object."};
