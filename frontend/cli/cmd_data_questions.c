/* pofac data questions: files of SQuAD's are read through, and what is in them is printed as one JSON object. */
#include <stdlib.h>
#include <string.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/check_questions.h"

static const option_row rows[] = {
    {"model", OPTION_READS, "MODEL", NULL, 0, 0, "make features with this model's tokenizer"},
    {"vocab", OPTION_READS, "FILE", NULL, 0, 0, "make features with this vocabulary"},
    {"cased", OPTION_FLAG, NULL, NULL, 0, 0, "keep case and accents, for cased vocabularies"},
    {"max_seq_length", OPTION_WHOLE, "N", "384", 4, 1 << 20, "tokens of a window, special ones included"},
    {"doc_stride", OPTION_WHOLE, "N", NULL, 1, 1 << 20,
     "tokens between the starts of windows; absent: 128, or a third of a window where that is less"},
    {"doc_stride_is", OPTION_CHOICE, "starts|overlap", "starts", 0, 0,
     "what --doc_stride counts; overlap: tokens that windows share, as in Hugging Face's run_qa.py"},
    {"max_query_length", OPTION_WHOLE, "N", "64", 1, 1 << 20, "longer questions lose their last tokens"},
    {"skip_bad_rows", OPTION_FLAG, NULL, NULL, 0, 0, "bad rows are counted, and no failure"},
    {"realign", OPTION_FLAG, NULL, NULL, 0, 0,
     "answers that are not where they say count from the nearest place where they are; other bad rows are counted"},
};

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const check_questions_options options = {
        .model = option_text(o, "model"),
        .vocab = option_text(o, "vocab"),
        .do_lower_case = option_flag(o, "cased") ? TOKENIZER_OFF : TOKENIZER_UNSET,
        .windows = {.max_seq_length = (size_t)option_whole(o, "max_seq_length"),
                    .doc_stride = (size_t)option_whole(o, "doc_stride"),
                    .max_query_length = (size_t)option_whole(o, "max_query_length"),
                    .stride = strcmp(option_text(o, "doc_stride_is"), "overlap") == 0 ? QA_STRIDE_OVERLAP : QA_STRIDE_STARTS},
        .bad_rows = option_flag(o, "realign")         ? SQUAD_BAD_ROWS_REALIGN
                    : option_flag(o, "skip_bad_rows") ? SQUAD_BAD_ROWS_SKIP
                                                      : SQUAD_BAD_ROWS_FAIL};
    strbuf text = STRBUF_INIT;
    pofac_status status = check_questions(o->arguments, o->n_arguments, &options, in->sink, &text);
    if (status == POFAC_OK) status = arguments_print(in->sink, strbuf_str(&text), text.size);
    strbuf_free(&text);
    return status;
}

const command command_data_questions = {
    .name = "data questions",
    .arguments = "FILE...",
    .min_arguments = 1,
    .max_arguments = SIZE_MAX,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "read files of SQuAD's through: questions, answers, bad rows, and the features that they make, as JSON",
    .details = "pofac data questions train-v1.1.json.gz --vocab vocab.txt"};
