/*
 * Prediction from texts to JSON lines: one object a record, in the records' order, whatever the head.
 *
 *   sequence-classification  {"label": "positive", "score": 0.98, "probabilities": {"negative": 0.02, "positive": 0.98}};
 *                            a regression {"score": 3.2}, of several numbers {"scores": {"LABEL_0": 3.2, "LABEL_1": 0.5}}
 *   token-classification     {"tokens": [{"token": "paris", "label": "B-LOC", "score": 0.9, "begin": 0, "end": 5}, ...]}
 *   question-answering       {"answer": "...", "score": 0.8, "begin": 12, "end": 20}
 *                            offsets in bytes of the context; long contexts are read in windows; "" where there is no context
 *   masked-lm, pretraining   {"masks": [{"begin": 3, "end": 9, "candidates": [{"token": "cat", "id": 4937, "score": 0.4}, ...]}]},
 *                            and of a pair, with BERT's pretraining head, "is_next": 0.99
 *   none                     {"embedding": [...]}  the pooled output, or the first token's hidden state where there is no pooler
 *
 * Files of any size: a window of records is held at a time (text_window.h). Its sequences run longest first, in batches of texts of
 * about one length; which texts share a batch changes no bit of their answers. Answers are given out as soon as those of all records
 * before them have been. Input that comes slowly is answered as it comes.
 *
 * Answers to questions of SQuAD's can go to files in Hugging Face's layout instead (frontend/data/qa_output.h).
 *
 * A record that is wrong ends the work with an error, after the answers to all records before it; so does one for which the model gives
 * numbers that are not finite (POFAC_ERR_NUMERIC). Texts are cut to the model's
 * length (longest of a pair first); offsets are bytes of the record's text, with "pair": true of its second one.
 */
#ifndef POFAC_FRONTEND_PREDICT_TEXT_H
#define POFAC_FRONTEND_PREDICT_TEXT_H

#include "frontend/data/qa_output.h"
#include "frontend/data/qa_windows.h"
#include "frontend/driver/answer_content.h"
#include "frontend/driver/executor.h"
#include "frontend/driver/records.h"

/* How far the work has got. */
typedef struct predict_progress {
    uint64_t answers;    /* given out */
    double bytes;        /* of the input, about */
    int64_t total_bytes; /* -1: not known */
} predict_progress;

typedef struct predict_text_options {
    int64_t batch_size, batch_tokens; /* most texts, and most tokens, of a batch; one text always runs */
    int64_t max_memory;               /* bound for batch_memory_bytes; 0: none */
    int64_t max_seq_length;           /* 0: as much as the model takes */
    int64_t top_k;                    /* candidates of a mask */
    qa_window_options windows;        /* question answering; max_seq_length is taken from above */
    qa_answer_options answers;
    qa_output *output; /* question answering: where answers go instead of lines, or NULL */
    executor_kind kind;
    bool report_memory;                                      /* a note says what the largest batch needs, before the first */
    run_profile *profile;                                    /* takes in all runs; may be NULL */
    interruption *stop;                                      /* looked at between batches; may be NULL */
    void (*progress)(void *user, const predict_progress *p); /* after each batch; may be NULL */
    void *progress_user;
} predict_text_options;

/* Takes complete lines; a status other than POFAC_OK ends the work. */
typedef pofac_status (*predict_write)(void *user, const char *lines, size_t n);

/* Takes the answer to a record, from 0, as numbers that live during the call, in the order in which they are made. */
typedef pofac_status (*predict_take)(void *user, size_t record, const answer_content *content, const diag_sink *sink);

/* POFAC_ERR_INTERRUPTED, without a message, when a signal has come: the batch that ran is finished, and what is complete was given
 * out. */
POFAC_MUST_USE pofac_status predict_text(loaded_model *model, const road_options *road, const predict_text_options *options,
                                         record_reader *records, predict_write write, void *user, const diag_sink *sink);

/*
 * The same in parts, for those who predict again and again: what is made of the options once, for records on an executor of the model's
 * graph for texts. One thread uses it at a time; any number of them may share a model whose tokenizer was read before.
 */
typedef struct text_predictor text_predictor;

/* Options as above, but that kind, max_memory, report_memory and profile are the executor's. They outlive it, as the model does. */
POFAC_MUST_USE pofac_status text_predictor_create(loaded_model *model, const predict_text_options *options, const diag_sink *sink,
                                                  text_predictor **out);
void text_predictor_destroy(text_predictor *t); /* NULL is fine */

/* The graph that it wants. */
model_graph_options predict_text_graph(const loaded_model *model, model_graph_options rest);

/* Where answers go: one of the two is not NULL. */
typedef struct predict_target {
    predict_write write;
    predict_take take;
    void *user;
} predict_target;

POFAC_MUST_USE pofac_status text_predictor_run(text_predictor *t, executor *e, record_reader *records, const predict_target *target,
                                               const diag_sink *sink);

#endif
