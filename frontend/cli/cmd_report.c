/* pofac report: runs and models as one page of HTML. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/report.h"

#define PAGE_BEGINS "<!DOCTYPE html>"

static const option_row rows[] = {
    {"output", OPTION_WRITES, "FILE", "report.html", 0, 0,
     "where the page goes; -: stdout. A page that is there is replaced, any other file stays"},
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

/* Can a file be made in the directory of `path`? Else errno says why not. */
static bool can_be_made(const char *path) {
    const char *slash = strrchr(path, '/');
    strbuf directory = STRBUF_INIT;
    if (!slash) strbuf_puts(&directory, ".");
    else strbuf_append(&directory, path, slash == path ? 1 : (size_t)(slash - path));
    const bool can = !strbuf_ok(&directory) || access(strbuf_str(&directory), W_OK | X_OK) == 0;
    strbuf_free(&directory);
    return can;
}

static bool is_page(const char *path) {
    char found[sizeof PAGE_BEGINS] = "";
    FILE *f = fopen(path, "rbe");
    const size_t n = f ? fread(found, 1, sizeof found - 1, f) : 0;
    if (f) fclose(f);
    return n == 0 ? f != NULL : strcmp(found, PAGE_BEGINS) == 0;
}

/* Tells before anything is measured that the page could not be written, or would take the place of something else: a model, the metrics of a run. */
static pofac_status check_output(const char *path, const diag_sink *sink) {
    const diag_place place = {.file = path};
    struct stat s;
    if (strcmp(path, "-") == 0) return POFAC_OK;
    if (stat(path, &s) != 0)
        return can_be_made(path) ? POFAC_OK : diag_error(sink, POFAC_ERR_RUNTIME, &place, "cannot be written: %s", strerror(errno));
    if (S_ISDIR(s.st_mode)) return diag_error(sink, POFAC_ERR_USAGE, &place, "found a directory, wanted a file");
    if (!S_ISREG(s.st_mode) || is_page(path)) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_USAGE, &place,
                      "found a file that is no page of HTML, wanted a new file or a page to replace");
}

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
    TRY(check_output(option_text(o, "output"), in->sink));
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
    .details = "RUN is a directory of `pofac train`, a model, a compiled model, a file that `pofac bench --json` has printed, a\n"
               "metrics.jsonl, or a directory of `pofac run`, whose table of results comes first and whose stages follow. Several "
               "stand beside each other.\n"
               "The page is one file and needs no network; what a run lacks is left out, and the page says what would give it."};
