/*
 * A window of records: what prediction on texts holds of a file at one time. Records become sequences of tokens - one each, or for
 * question answering one for each window of the context -, which are sorted by length, so that a batch has sequences of about one
 * length; answers come out in the records' order.
 */
#ifndef POFAC_FRONTEND_TEXT_WINDOW_H
#define POFAC_FRONTEND_TEXT_WINDOW_H

#include "frontend/data/qa_windows.h"
#include "frontend/driver/text_answer.h"
#include "ir/support/vector.h"

typedef struct text_answer {
    size_t waiting; /* sequences of the record that have not run */
    qa_answers spans;
    text_fault fault; /* of one of its sequences: there is no answer */
    strbuf text;
} text_answer;

typedef struct text_window_options {
    const tokenizer *tokenizer;
    size_t max_length;         /* tokens of a sequence */
    bool is_answering;         /* records are question and context */
    qa_window_options windows; /* of contexts; checked */
    size_t most_records;       /* about as many sequences are read */
} text_window_options;

typedef struct text_window {
    arena memory; /* of the records */
    VEC(record) records;
    VEC(text_answer) answers;
    VEC(text_sequence) sequences;
    encoding first, second; /* scratch */
} text_window;

#define TEXT_WINDOW_INIT                                                                                                           \
    { .memory = ARENA_INIT, .first = ENCODING_INIT, .second = ENCODING_INIT }

/* Replaces what the window holds by the next records: until there are enough, the input ends (then there may be none), or more would
 * have to be waited for while some are there. Sequences come out longest first. After an error the records before the one at fault
 * are there. */
POFAC_MUST_USE pofac_status text_window_read(text_window *w, const text_window_options *options, record_reader *reader,
                                             const diag_sink *sink);
void text_window_free(text_window *w);

#endif
