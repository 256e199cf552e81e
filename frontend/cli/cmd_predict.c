/* pofac predict: texts to JSON lines, or tensors to tensors. */
#include <string.h>
#include <unistd.h>

#include "frontend/cli/arguments.h"
#include "frontend/cli/profiling.h"
#include "frontend/cli/progress_bar.h"
#include "frontend/driver/predict_tensors.h"
#include "frontend/driver/predict_text.h"
#include "ir/support/file_map.h"

static const option_row rows[] = {
    {"tensors", OPTION_READS, "FILE", NULL, 0, 0, "predict on the tensors of this file; --output names the result"},
    {"output", OPTION_WRITES, "FILE", NULL, 0, 0, "where results go; -o FILE does the same; texts: default stdout"},
    {"format", OPTION_CHOICE, "text|tsv|jsonl|squad", NULL, 0, 0, "of text input; absent: by the file's ending"},
    {"task", OPTION_CHOICE, "squad|squad_v2", NULL, 0, 0,
     "FILE is SQuAD's; --output names predictions.json, beside which stand nbest_predictions.json and of v2 null_odds.json"},
    {"batch_size", OPTION_WHOLE, "N", "32", 1, 65536, "most rows or texts of a run"},
    {"batch_tokens", OPTION_WHOLE, "N", "4096", 1, INT64_MAX, "texts: most tokens of a run, unless it is one text"},
    {"max_memory", OPTION_SIZE, "SIZE", NULL, 1, INT64_MAX,
     "bound of packed weights, activations and scratch, e.g. 512M: runs are kept smaller"},
    {"memory", OPTION_FLAG, NULL, NULL, 0, 0, "say what the largest run needs, before the first"},
    {"max_seq_length", OPTION_WHOLE, "N", NULL, 3, 1 << 24, "longer texts are cut; absent: what the model takes"},
    {"top_k", OPTION_WHOLE, "N", "5", 1, 1 << 24, "candidates of a mask"},
    {"doc_stride", OPTION_WHOLE, "N", NULL, 1, 1 << 24,
     "question answering: tokens between the starts of windows; absent: 128, or a third of a window where that is less"},
    {"doc_stride_is", OPTION_CHOICE, "starts|overlap", "starts", 0, 0,
     "question answering: what --doc_stride counts; overlap: tokens that windows share, as in Hugging Face's run_qa.py"},
    {"max_query_length", OPTION_WHOLE, "N", "64", 1, 1 << 24, "question answering: longer questions lose their last tokens"},
    {"max_answer_length", OPTION_WHOLE, "N", "30", 1, 1 << 24, "question answering: tokens of an answer"},
    {"n_best_size", OPTION_WHOLE, "N", "20", 1, 1000, "--task squad: answers of a question in nbest_predictions.json"},
    {"null_score_diff_threshold", OPTION_REAL, "X", "0", 0, 0,
     "--task squad_v2: no answer is given where its score is higher than the best answer's by more"},
    {"last_hidden_state", OPTION_FLAG, NULL, NULL, 0, 0, "tensors: write last_hidden_state too"},
    {"hidden_states", OPTION_FLAG, NULL, NULL, 0, 0, "tensors: write hidden_states.0 (embeddings) to hidden_states.L too"},
    {"mask_padded_logits", OPTION_FLAG, NULL, NULL, 0, 0, "tensors: question answering's loss leaves padded positions out"},
    {"interpreter", OPTION_FLAG, NULL, NULL, 0, 0, "run by the reference interpreter instead of compiled code: slow and exact"},
    OPTIONS_PROFILE,
    OPTIONS_THREADS,
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
};

static executor_kind kind_of(const option_values *o) {
    return option_flag(o, "interpreter") ? EXECUTOR_INTERPRETER : EXECUTOR_COMPILED;
}

static pofac_status run_tensors(const command_input *in, loaded_model *model, run_profile *profile) {
    const option_values *o = in->options;
    road_options road = arguments_road(o);
    predict_tensors_options p = {.batch_size = option_whole(o, "batch_size"),
                                 .max_memory = option_size(o, "max_memory"),
                                 .kind = kind_of(o),
                                 .last_hidden_state = option_flag(o, "last_hidden_state"),
                                 .hidden_states = option_flag(o, "hidden_states"),
                                 .mask_padded_logits = option_flag(o, "mask_padded_logits"),
                                 .report_memory = option_flag(o, "memory"),
                                 .profile = profile,
                                 .stop = in->stop};
    const char *result = option_text(o, "output");
    pofac_status status = predict_tensors(model, &road, &p, option_text(o, "tensors"), result, in->sink);
    if (status == POFAC_ERR_INTERRUPTED) diag_note(in->sink, NULL, "interrupted: %s is not written", result);
    return status;
}

static qa_window_options window_options(const option_values *o) {
    return (qa_window_options){.doc_stride = (size_t)option_whole(o, "doc_stride"),
                               .max_query_length = (size_t)option_whole(o, "max_query_length"),
                               .stride =
                                   strcmp(option_text(o, "doc_stride_is"), "overlap") == 0 ? QA_STRIDE_OVERLAP : QA_STRIDE_STARTS};
}

static qa_answer_options answer_options(const option_values *o) {
    const char *task = option_text(o, "task");
    return (qa_answer_options){.n_best = task ? (size_t)option_whole(o, "n_best_size") : 1,
                               .max_answer_length = (size_t)option_whole(o, "max_answer_length"),
                               .may_be_null = task && strcmp(task, "squad_v2") == 0,
                               .null_score_diff_threshold = option_real(o, "null_score_diff_threshold")};
}

/* Lines go to a file that appears whole, or to stdout as they come; answers to SQuAD to files that appear whole. */
typedef struct line_output {
    const command_input *in;
    file_writer *file;
    qa_output *squad;
    progress_bar bar;
    uint64_t answers;
} line_output;

static bool writes_file(const option_values *o) {
    const char *path = option_text(o, "output");
    return path && strcmp(path, "-") != 0;
}

static pofac_status write_lines(void *user, const char *lines, size_t n) {
    line_output *out = user;
    if (out->file) return file_writer_write(out->file, lines, n);
    return arguments_print(out->in->sink, lines, n);
}

static void show_progress(void *user, const predict_progress *p) {
    line_output *out = user;
    out->answers = p->answers;
    progress_bar_update(&out->bar, "texts", p->answers, p->total_bytes > 0 ? p->bytes / (double)p->total_bytes : -1.0);
}

static pofac_status predict_lines(line_output *out, loaded_model *model, run_profile *profile, record_reader *records,
                                  const diag_sink *sink) {
    const option_values *o = out->in->options;
    road_options road = arguments_road(o);
    predict_text_options p = {.batch_size = option_whole(o, "batch_size"),
                              .batch_tokens = option_whole(o, "batch_tokens"),
                              .max_memory = option_size(o, "max_memory"),
                              .max_seq_length = option_whole(o, "max_seq_length"),
                              .top_k = option_whole(o, "top_k"),
                              .windows = window_options(o),
                              .answers = answer_options(o),
                              .output = out->squad,
                              .kind = kind_of(o),
                              .report_memory = option_flag(o, "memory"),
                              .profile = profile,
                              .stop = out->in->stop,
                              .progress = show_progress,
                              .progress_user = out};
    return predict_text(model, &road, &p, records, write_lines, out, sink);
}

static void say_interrupted(const line_output *out) {
    if (out->file || out->squad)
        diag_note(out->in->sink, NULL, "interrupted: %s is not written", option_text(out->in->options, "output"));
    else
        diag_note(out->in->sink, NULL, "interrupted after %llu answer%s", (unsigned long long)out->answers,
                  out->answers == 1 ? "" : "s");
}

static pofac_status open_output(const option_values *o, line_output *out) {
    const qa_answer_options answers = answer_options(o);
    const char *path = option_text(o, "output");
    if (option_given(o, "task")) return qa_output_open(path, &answers, out->in->sink, &out->squad);
    return writes_file(o) ? file_writer_open(path, out->in->sink, &out->file) : POFAC_OK;
}

static pofac_status close_output(line_output *out, pofac_status status) {
    if (status == POFAC_OK && out->file) return file_writer_commit(out->file);
    if (status == POFAC_OK && out->squad) return qa_output_commit(out->squad);
    file_writer_abandon(out->file);
    qa_output_abandon(out->squad);
    return status;
}

static pofac_status run_text(const command_input *in, loaded_model *model, run_profile *profile) {
    const option_values *o = in->options;
    const char *path = o->n_arguments > 1 ? o->arguments[1] : "-";
    record_reader *records;
    line_output out = {.in = in};
    TRY(record_reader_open(path, option_given(o, "task") ? "squad" : option_text(o, "format"), in->sink, &records));
    pofac_status status = open_output(o, &out);
    progress_bar_begin(&out.bar, writes_file(o) || !isatty(STDOUT_FILENO), in->sink);
    const diag_sink above = progress_bar_sink(&out.bar);
    if (status == POFAC_OK) status = predict_lines(&out, model, profile, records, &above);
    progress_bar_end(&out.bar);
    if (status == POFAC_ERR_INTERRUPTED) say_interrupted(&out);
    status = close_output(&out, status);
    record_reader_close(records);
    return status;
}

static pofac_status run_model(const command_input *in, run_profile *profile) {
    const option_values *o = in->options;
    loaded_model_options model_options = arguments_model(o);
    loaded_model *model;
    TRY(loaded_model_open(o->arguments[0], &model_options, in->sink, &model));
    pofac_status status = interruption_begin(in->stop, in->sink);
    if (status == POFAC_OK) status = option_given(o, "tensors") ? run_tensors(in, model, profile) : run_text(in, model, profile);
    loaded_model_close(model);
    return status;
}

static pofac_status check_task(const command_input *in) {
    const option_values *o = in->options;
    const char *task = option_text(o, "task"), *format = option_text(o, "format");
    if (!task) return POFAC_OK;
    if (option_given(o, "tensors"))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "found --task and --tensors, wanted one of them");
    if (format && strcmp(format, "squad") != 0)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "found --task %s and --format %s, wanted squad or none", task, format);
    if (!writes_file(o))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--task %s needs --output FILE for the predictions", task);
    return POFAC_OK;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    bool tensors = option_given(o, "tensors");
    if (tensors && !option_given(o, "output"))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--tensors needs --output FILE for the results");
    if (tensors && o->n_arguments > 1)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "found --tensors and a file of texts, wanted one of them");
    TRY(check_task(in));
    TRY(profiling_check(in));
    if (!profiling_is_on(in)) return run_model(in, NULL);
    run_profile *profile = run_profile_create();
    if (!profile) return diag_out_of_memory(in->sink);
    pofac_status status = run_model(in, profile), written = profiling_write(in, profile);
    run_profile_destroy(profile);
    return status != POFAC_OK ? status : written;
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
