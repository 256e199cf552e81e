/* pofac data check: files of a task are read through, and what is in them is printed as one JSON object. */
#include <stdlib.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/check_task.h"

static const option_row rows[] = {
    {"task", OPTION_TEXT, "NAME", NULL, 0, 0, "which task the files are of (required; `pofac list tasks`)"},
    {"format", OPTION_CHOICE, "auto|tsv|csv|jsonl|conll", "auto", 0, 0, "format of the files; auto: by their names"},
    {"text_column", OPTION_TEXT, "NAME", NULL, 0, 0, "name of the column, or key, of the text, instead of the task's"},
    {"pair_column", OPTION_TEXT, "NAME", NULL, 0, 0, "likewise of the second text"},
    {"label_column", OPTION_TEXT, "NAME|N", NULL, 0, 0,
     "likewise of the label; of CoNLL's columns its number, from 1 (default: the last)"},
    {"tag_scheme", OPTION_CHOICE, "as_is|iob1|iob2|bioes", "as_is", 0, 0, "what tags of words are turned into"},
    {"model", OPTION_READS, "MODEL", NULL, 0, 0, "hold labels against this model's id2label, and use its tokenizer"},
    {"vocab", OPTION_READS, "FILE", NULL, 0, 0, "count tokens with this vocabulary"},
    {"cased", OPTION_FLAG, NULL, NULL, 0, 0, "keep case and accents, for cased vocabularies"},
    {"max_seq_length", OPTION_WHOLE, "N", "128", 5, 1 << 20, "tokens of a sequence, special ones included; longer ones are cut"},
    {"needs_labels", OPTION_FLAG, NULL, NULL, 0, 0, "a row without a label is a bad row, and so is a file without labels"},
    {"skip_bad_rows", OPTION_FLAG, NULL, NULL, 0, 0, "bad rows are counted, and no failure"},
};

/* Of CoNLL the label's column is a number. */
static pofac_status take_label_column(const option_values *o, const diag_sink *sink, check_task_options *out) {
    const char *text = option_text(o, "label_column");
    char *end = NULL;
    const long number = text ? strtol(text, &end, 10) : 0;
    if (text && *text && !*end && number >= 1 && number <= 4096) out->tag_column = (int)number;
    out->columns[TASK_LABEL] = text;
    return text && !*text ? diag_error(sink, POFAC_ERR_USAGE, NULL, "--label_column: found nothing, wanted a name or a number")
                          : POFAC_OK;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    check_task_options options = {
        .task = option_text(o, "task"),
        .format = option_text(o, "format"),
        .columns = {option_text(o, "text_column"), option_text(o, "pair_column")},
        .tag_scheme = option_text(o, "tag_scheme"),
        .model = option_text(o, "model"),
        .vocab = option_text(o, "vocab"),
        .do_lower_case = option_flag(o, "cased") ? TOKENIZER_OFF : TOKENIZER_UNSET,
        .max_seq_length = option_whole(o, "max_seq_length"),
        .needs_labels = option_flag(o, "needs_labels"),
        .skip_bad_rows = option_flag(o, "skip_bad_rows"),
    };
    strbuf text = STRBUF_INIT;
    if (!options.task) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "pofac data check needs --task NAME");
    TRY(take_label_column(o, in->sink, &options));
    pofac_status status = check_task(o->arguments, o->n_arguments, &options, in->sink, &text);
    pofac_status printed = text.size ? arguments_print(in->sink, strbuf_str(&text), text.size) : POFAC_OK;
    strbuf_free(&text);
    return status != POFAC_OK ? status : printed;
}

const command command_data_check = {
    .name = "data check",
    .arguments = "FILE|DIR...",
    .min_arguments = 1,
    .max_arguments = SIZE_MAX,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "read files of a task through: rows, labels, bad rows, and lengths in tokens, as JSON",
    .details =
        "A directory stands for the files of the task's splits in it. Bad rows are named on stderr, the first five of each file."};
