/* pofac report: runs and models as one page of HTML. */
#include "frontend/cli/arguments.h"
#include "frontend/driver/report.h"

static const option_row rows[] = {
    {"output", OPTION_WRITES, "FILE", "report.html", 0, 0, "where the page goes; -: stdout. One that is there is replaced"},
    {"layer", OPTION_TEXT, "NAME", NULL, 0, 0,
     "part of the name of the weight whose non-zeros are shown; else the first with a share of zeros"},
    {"bench", OPTION_FLAG, NULL, "true", 0, 0, "measure models on made-up tokens, for the time by kernel"},
    {"batch", OPTION_WHOLE, "B", "1", 1, 65536, "sequences per batch that is measured"},
    {"sequence", OPTION_WHOLE, "S", "128", 1, 1 << 24, "tokens per sequence, at most as many as the model takes"},
    {"iterations", OPTION_WHOLE, "N", "20", 1, 1000000, "runs that count"},
    OPTIONS_THREADS,
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
};

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const report_options options = {.paths = o->arguments,
                                    .n_paths = o->n_arguments,
                                    .layer = option_text(o, "layer"),
                                    .bench = option_flag(o, "bench"),
                                    .batch = option_whole(o, "batch"),
                                    .sequence = option_whole(o, "sequence"),
                                    .warmup = 3,
                                    .iterations = option_whole(o, "iterations"),
                                    .model = arguments_model(o),
                                    .road = arguments_road(o),
                                    .stop = in->stop};
    strbuf page = STRBUF_INIT;
    TRY(interruption_begin(in->stop, in->sink));
    pofac_status status = report_make(&options, in->sink, &page);
    if (status == POFAC_OK) status = arguments_write(in, strbuf_str(&page), page.size);
    if (status == POFAC_ERR_INTERRUPTED) diag_note(in->sink, NULL, "interrupted, no page was written");
    strbuf_free(&page);
    return status;
}

const command command_report = {
    .name = "report",
    .arguments = "RUN...",
    .min_arguments = 1,
    .max_arguments = 64,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "show runs and models as one page of HTML: curves, sparsity, scores, sizes, kernels, graphs",
    .details =
        "RUN is a directory of `pofac train`, a model, a compiled model, a file that `pofac bench --json` has printed, or a\n"
        "directory of `pofac run`, whose table of results comes first and whose stages follow. Several stand beside each other.\n"
        "The page is one file and needs no network; what a run lacks is left out, and the page says what would give it.\n"};
