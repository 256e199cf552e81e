/* pofac predict: texts to JSON lines, or tensors to tensors. */
#include <string.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/predict_tensors.h"
#include "frontend/driver/predict_text.h"
#include "ir/support/file_map.h"

static const option_row rows[] = {
    {"tensors", OPTION_TEXT, "FILE", NULL, 0, 0, "predict on the tensors of this file; --output names the result"},
    {"output", OPTION_TEXT, "FILE", NULL, 0, 0, "where results go; -o FILE does the same; texts: default stdout"},
    {"format", OPTION_CHOICE, "text|tsv|jsonl", NULL, 0, 0, "of text input; absent: by the file's ending"},
    {"batch_size", OPTION_WHOLE, "N", "32", 1, 65536, "rows or texts per run"},
    {"max_seq_length", OPTION_WHOLE, "N", NULL, 3, 1 << 24, "longer texts are cut; absent: what the model takes"},
    {"top_k", OPTION_WHOLE, "N", "5", 1, 1 << 24, "candidates of a mask"},
    {"doc_stride", OPTION_WHOLE, "N", "128", 1, 1 << 24, "question answering: tokens between the starts of windows"},
    {"max_answer_length", OPTION_WHOLE, "N", "30", 1, 1 << 24, "question answering: tokens of an answer"},
    {"last_hidden_state", OPTION_FLAG, NULL, NULL, 0, 0, "tensors: write last_hidden_state too"},
    {"hidden_states", OPTION_FLAG, NULL, NULL, 0, 0, "tensors: write hidden_states.0 (embeddings) to hidden_states.L too"},
    {"mask_padded_logits", OPTION_FLAG, NULL, NULL, 0, 0, "tensors: question answering's loss leaves padded positions out"},
    {"interpreter", OPTION_FLAG, NULL, NULL, 0, 0, "run by the reference interpreter instead of compiled code: slow and exact"},
    OPTIONS_THREADS,
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
};

static executor_kind kind_of(const option_values *o) {
    return option_flag(o, "interpreter") ? EXECUTOR_INTERPRETER : EXECUTOR_COMPILED;
}

static pofac_status run_tensors(const command_input *in, loaded_model *model) {
    const option_values *o = in->options;
    road_options road = arguments_road(o);
    predict_tensors_options p = {.batch_size = option_whole(o, "batch_size"),
                                 .kind = kind_of(o),
                                 .last_hidden_state = option_flag(o, "last_hidden_state"),
                                 .hidden_states = option_flag(o, "hidden_states"),
                                 .mask_padded_logits = option_flag(o, "mask_padded_logits")};
    return predict_tensors(model, &road, &p, option_text(o, "tensors"), option_text(o, "output"), in->sink);
}

/* Lines go to a file that appears whole, or to stdout as they come. */
typedef struct line_output {
    file_writer *file;
    const diag_sink *sink;
} line_output;

static pofac_status write_lines(void *user, const char *lines, size_t n) {
    line_output *out = user;
    if (out->file) return file_writer_write(out->file, lines, n);
    return arguments_print(out->sink, lines, n);
}

static pofac_status run_text(const command_input *in, loaded_model *model) {
    const option_values *o = in->options;
    road_options road = arguments_road(o);
    predict_text_options p = {.batch_size = option_whole(o, "batch_size"),
                              .max_seq_length = option_whole(o, "max_seq_length"),
                              .top_k = option_whole(o, "top_k"),
                              .doc_stride = option_whole(o, "doc_stride"),
                              .max_answer_length = option_whole(o, "max_answer_length"),
                              .kind = kind_of(o)};
    const char *path = o->n_arguments > 1 ? o->arguments[1] : "-", *result = option_text(o, "output");
    record_reader *records;
    line_output out = {.sink = in->sink};
    TRY(record_reader_open(path, option_text(o, "format"), in->sink, &records));
    pofac_status status = POFAC_OK;
    if (result && strcmp(result, "-") != 0) status = file_writer_open(result, in->sink, &out.file);
    if (status == POFAC_OK) status = predict_text(model, &road, &p, records, write_lines, &out, in->sink);
    if (out.file && status == POFAC_OK) status = file_writer_commit(out.file);
    else file_writer_abandon(out.file);
    record_reader_close(records);
    return status;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    bool tensors = option_given(o, "tensors");
    if (tensors && !option_given(o, "output"))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--tensors needs --output FILE for the results");
    if (tensors && o->n_arguments > 1)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "found --tensors and a file of texts, wanted one of them");
    loaded_model_options model_options = arguments_model(o);
    loaded_model *model;
    TRY(loaded_model_open(o->arguments[0], &model_options, in->sink, &model));
    pofac_status status = tensors ? run_tensors(in, model) : run_text(in, model);
    loaded_model_close(model);
    return status;
}

const command command_predict = {
    .name = "predict",
    .arguments = "MODEL [FILE]",
    .min_arguments = 1,
    .max_arguments = 2,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "predict on texts (FILE or standard input: lines, TSV or JSON lines), as JSON lines, or on tensors",
    .details = "JSON lines in: text or sentence, pairs as sentence1/sentence2, premise/hypothesis, question/context, ...\n"
               "Fill-mask: write [MASK] in the text, with --head masked-lm."};
