/* pofac score: predictions beside a task's data -> the task's metrics. */
#include <string.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/score.h"

static const option_row rows[] = {
    {"task", OPTION_TEXT, "NAME", NULL, 0, 0,
     "whose metrics are wanted: squad, squad_v2, or a row of `pofac list tasks` (required)"},
    {"data", OPTION_READS, "FILE", NULL, 0, 0, "the task's data with answers or labels (required)"},
    {"predictions", OPTION_READS, "FILE", NULL, 0, 0,
     "SQuAD: {\"ID\": \"text\", ...}; else JSON lines of `pofac predict`, INDEX<TAB>PREDICTION, or one a line (required)"},
    {"format", OPTION_CHOICE, "tsv|csv|jsonl|conll", NULL, 0, 0, "of the data; absent: by the task and the file's ending"},
    {"null_odds", OPTION_READS, "FILE", NULL, 0, 0, "squad_v2: odds of no answer, {\"ID\": X, ...}, for the best thresholds"},
    {"no_answer_threshold", OPTION_REAL, "X", "1", 0, 0, "squad_v2: odds above it mean no answer, where --null_odds is given"},
    {"missing", OPTION_CHOICE, "error|zero", NULL, 0, 0,
     "rows without a prediction; zero: they are wrong; absent: SQuAD zero, else error"},
    {"extra", OPTION_CHOICE, "error|ignore", NULL, 0, 0, "predictions without a row; absent: SQuAD ignore, else error"},
    {"skip_bad_rows", OPTION_FLAG, NULL, NULL, 0, 0, "pass over rows of the data that are malformed, and say how many"},
    {"output_dir", OPTION_WRITES, "DIR", NULL, 0, 0, "write SPLIT_results.json and all_results.json there, too"},
    {"split", OPTION_TEXT, "NAME", "eval", 0, 0, "with --output_dir: what the results are of"},
};

static pofac_status check(const option_values *o, const diag_sink *sink) {
    static const char *const required[] = {"task", "data", "predictions"};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (!option_given(o, required[i])) return diag_error(sink, POFAC_ERR_USAGE, NULL, "pofac score needs --%s", required[i]);
    if (option_given(o, "no_answer_threshold") && !option_given(o, "null_odds"))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "--no_answer_threshold needs --null_odds FILE");
    if (strchr(option_text(o, "split"), '/'))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "--split is \"%s\", wanted a name without '/'", option_text(o, "split"));
    return POFAC_OK;
}

static pofac_status print_line(const score_result *r, const diag_sink *sink) {
    strbuf line = STRBUF_INIT;
    results_put_line(r->values, r->n, &line);
    strbuf_putc(&line, '\n');
    pofac_status status = strbuf_ok(&line) ? arguments_print(sink, strbuf_str(&line), line.size) : diag_out_of_memory(sink);
    strbuf_free(&line);
    return status;
}

static score_missing missing_of(const char *word) {
    if (!word) return SCORE_MISSING_BY_TASK;
    return strcmp(word, "zero") == 0 ? SCORE_MISSING_IS_WRONG : SCORE_MISSING_FAILS;
}

static score_extra extra_of(const char *word) {
    if (!word) return SCORE_EXTRA_BY_TASK;
    return strcmp(word, "ignore") == 0 ? SCORE_EXTRA_IS_IGNORED : SCORE_EXTRA_FAILS;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    TRY(check(o, in->sink));
    score_options s = {.task = option_text(o, "task"),
                       .data = option_text(o, "data"),
                       .predictions = option_text(o, "predictions"),
                       .null_odds = option_text(o, "null_odds"),
                       .no_answer_threshold = option_real(o, "no_answer_threshold"),
                       .missing = missing_of(option_text(o, "missing")),
                       .extra = extra_of(option_text(o, "extra")),
                       .skip_bad_rows = option_flag(o, "skip_bad_rows")};
    if (option_given(o, "format") && !task_format_parse(option_text(o, "format"), &s.format)) return POFAC_ERR_USAGE;
    score_result result;
    TRY(score_file(&s, in->sink, &result));
    if (result.skipped > 0)
        diag_warning(in->sink, &(diag_place){.file = s.data}, "passed over %llu bad row%s", (unsigned long long)result.skipped,
                     result.skipped == 1 ? "" : "s");
    if (option_given(o, "output_dir"))
        TRY(results_file_save(option_text(o, "output_dir"), option_text(o, "split"), result.values, result.n, in->sink));
    return print_line(&result, in->sink);
}

const command command_score = {.name = "score",
                               .arguments = "",
                               .rows = rows,
                               .n_rows = sizeof rows / sizeof *rows,
                               .run = run,
                               .meaning = "compare predictions with a task's data: one JSON object of metrics",
                               .details = "pofac score --task squad --data dev.json --predictions predictions.json\n"
                                          "pofac score --task sst2 --data dev.tsv --predictions predictions.jsonl"};
