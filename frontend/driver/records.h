/*
 * Lines of a file -> texts to predict on. Three forms:
 *   text   a line is one text
 *   tsv    columns 1 and 2 are the text and, where there is one, the second text of a pair
 *   jsonl  a JSON object a line; the texts are found by key: text | sentence1 | premise | question1 | question | sentence, and
 *          text_pair | sentence2 | hypothesis | question2 | context (| sentence, beside a question)
 */
#ifndef POFAC_FRONTEND_RECORDS_H
#define POFAC_FRONTEND_RECORDS_H

#include "frontend/driver/line_reader.h"
#include "ir/support/arena.h"

typedef enum record_format { RECORDS_TEXT, RECORDS_TSV, RECORDS_JSONL } record_format;

typedef struct record {
    const char *text, *pair; /* UTF-8, 0-terminated; pair is NULL for single texts */
    size_t text_bytes, pair_bytes;
    uint64_t line; /* from 1 */
} record;

typedef struct record_reader record_reader;

/* Reads `path`, or standard input for "-". The format by the path's ending where `format` is NULL (.jsonl, .json, .tsv, else text);
 * else "text", "tsv", "jsonl". */
POFAC_MUST_USE pofac_status record_reader_open(const char *path, const char *format, const diag_sink *sink, record_reader **out);
void record_reader_close(record_reader *r); /* NULL is fine */

/* The lines that records come from: whether one is there, how far reading has got, and what ends it. */
line_reader *record_reader_lines(const record_reader *r);
const char *record_reader_name(const record_reader *r);

/* The next record, in `a`; *found is false at the end. Empty lines of text are records; empty ones among TSV lines and blank ones
 * among JSON lines are passed over. POFAC_ERR_INPUT with file and line: not JSON, no text in it, a NUL byte; and as line_reader_next. */
POFAC_MUST_USE pofac_status record_reader_next(record_reader *r, arena *a, const diag_sink *sink, record *out, bool *found);

#endif
