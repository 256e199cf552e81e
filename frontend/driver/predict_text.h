/*
 * Prediction from texts to JSON lines: one object a record, in the records' order, whatever the head.
 *
 *   sequence-classification  {"label": "positive", "score": 0.98, "probabilities": {"negative": 0.02, "positive": 0.98}}; a regression {"score": 3.2}
 *   token-classification     {"tokens": [{"token": "paris", "label": "B-LOC", "score": 0.9, "begin": 0, "end": 5}, ...]}
 *   question-answering       {"answer": "...", "score": 0.8, "begin": 12, "end": 20}  offsets in bytes of the context; long contexts are read in windows
 *   masked-lm, pretraining   {"masks": [{"begin": 3, "end": 9, "candidates": [{"token": "cat", "id": 4937, "score": 0.4}, ...]}], "is_next": 0.99 (pretraining, pairs)}
 *   none                     {"embedding": [...]}  the pooled output, or the first token's hidden state where there is no pooler
 *
 * A record that is wrong ends the work with an error, after the answers to all records before it. Texts are cut to the model's
 * length (longest of a pair first); offsets are bytes of the record's text. Batches are padded to their longest text.
 */
#ifndef POFAC_FRONTEND_PREDICT_TEXT_H
#define POFAC_FRONTEND_PREDICT_TEXT_H

#include "frontend/driver/executor.h"
#include "frontend/driver/records.h"

typedef struct predict_text_options {
    int64_t batch_size, max_seq_length; /* max_seq_length 0: as much as the model takes */
    int64_t top_k;                      /* candidates of a mask */
    int64_t doc_stride, max_answer_length;
    executor_kind kind;
} predict_text_options;

/* Takes complete lines; a status other than POFAC_OK ends the work. */
typedef pofac_status (*predict_write)(void *user, const char *lines, size_t n);

POFAC_MUST_USE pofac_status predict_text(loaded_model *model, const road_options *road, const predict_text_options *options,
                                         record_reader *records, predict_write write, void *user, const diag_sink *sink);

#endif
