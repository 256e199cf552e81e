/* pofac eval: a model and data with labels -> loss and metrics, as one JSON object. */
#include <string.h>
#include <unistd.h>

#include "frontend/cli/arguments.h"
#include "frontend/cli/progress_bar.h"
#include "frontend/cli/recipe_options.h"
#include "frontend/driver/evaluation.h"
#include "frontend/driver/run_model.h"

#define SPLIT "eval"

static const option_row rows[] = {
    {"interpreter", OPTION_FLAG, NULL, NULL, 0, 0, "run by the reference interpreter instead of compiled code: slow and exact"},
#undef RECIPE_OF_train
#undef RECIPE_OF_prune
#undef RECIPE_OF_distill
#define RECIPE_OF_train(name, type, range, need, help)
#define RECIPE_OF_prune(name, type, range, need, help)
#define RECIPE_OF_distill(name, type, range, need, help)
#include "frontend/cli/recipe_rows.def"
    {"output_dir", OPTION_WRITES, "DIR", NULL, 0, 0, "write eval_results.json and all_results.json there, too"},
    {"per_device_eval_batch_size", OPTION_TEXT, "N", "8", 0, 0, "sequences in a batch"},
    {"mask_padded_logits", OPTION_FLAG, NULL, "true", 0, 0, "question answering leaves padded positions out of the softmax"},
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
    OPTIONS_THREADS,
};

static void show(void *user, uint64_t done, uint64_t all) {
    progress_bar_update(user, "examples", done, all ? (double)done / (double)all : -1.0);
}

static pofac_status evaluate(const command_input *in, const recipe *r, loaded_model *model, const diag_sink *sink,
                             progress_bar *bar, evaluation_result *out) {
    const evaluation_options options = {.road = arguments_road(in->options),
                                        .kind = option_flag(in->options, "interpreter") ? EXECUTOR_INTERPRETER : EXECUTOR_COMPILED};
    const evaluation_run_options run_options = {.stop = in->stop, .progress = show, .progress_user = bar};
    evaluation *e;
    TRY(evaluation_create(r, model, &options, sink, &e));
    if (!e)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found no examples to measure with: wanted --eval PATH, or eval in <data>");
    pofac_status status = evaluation_run(e, loaded_model_state(model), &run_options, sink, out);
    evaluation_destroy(e);
    return status;
}

static pofac_status print_result(const command_input *in, const recipe *r, const evaluation_result *e) {
    strbuf line = STRBUF_INIT;
    results_put_line(e->scores.values, e->scores.n, &line);
    strbuf_putc(&line, '\n');
    pofac_status status = strbuf_ok(&line) ? POFAC_OK : diag_out_of_memory(in->sink);
    if (status == POFAC_OK && r->train.output_dir)
        status = results_file_save(r->train.output_dir, SPLIT, e->scores.values, e->scores.n, in->sink);
    if (status == POFAC_OK) status = arguments_print(in->sink, strbuf_str(&line), line.size);
    strbuf_free(&line);
    return status;
}

static pofac_status run_recipe(const command_input *in, const recipe *r) {
    const loaded_model_options options = arguments_model(in->options);
    progress_bar bar;
    loaded_model *model;
    evaluation_result result;
    TRY(interruption_begin(in->stop, in->sink));
    progress_bar_begin(&bar, true, in->sink);
    const diag_sink above = progress_bar_sink(&bar);
    pofac_status status = run_model_open(r, &options, &above, &model);
    if (status == POFAC_OK) {
        status = evaluate(in, r, model, &above, &bar, &result);
        loaded_model_close(model);
    }
    progress_bar_end(&bar);
    return status == POFAC_OK ? print_result(in, r, &result) : status;
}

static pofac_status run(const command_input *in) {
    const recipe_option *given;
    recipe r;
    size_t n;
    TRY(recipe_options(in, &given, &n));
    TRY(recipe_read(in->options->arguments[0], given, n, RECIPE_FOR_EVALUATION, in->memory, in->sink, &r));
    return run_recipe(in, &r);
}

const command command_eval = {.name = "eval",
                              .arguments = "MODEL",
                              .min_arguments = 1,
                              .max_arguments = 1,
                              .rows = rows,
                              .n_rows = sizeof rows / sizeof *rows,
                              .run = run,
                              .meaning = "measure a model on data with labels: loss and the task's metrics, as one JSON object",
                              .details = "pofac eval sst2 --task sst2 --eval SST-2/dev.tsv\n"
                                         "MODEL may be a description, whose <data> say what to measure with."};
