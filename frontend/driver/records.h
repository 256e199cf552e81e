/*
 * A file -> texts to predict on, one after the other. Four forms:
 *   text   a line is one text
 *   tsv    columns 1 and 2 are the text and, where there is one, the second text of a pair
 *   jsonl  a JSON object a line; the texts are found by key: text | sentence1 | premise | question1 | question | sentence, and
 *          text_pair | sentence2 | hypothesis | question2 | context (| sentence, beside a question)
 *   squad  SQuAD's JSON (frontend/data/squad_reader.h), plain or gzip: the question and its context
 */
#ifndef POFAC_FRONTEND_RECORDS_H
#define POFAC_FRONTEND_RECORDS_H

#include "frontend/data/squad_reader.h"
#include "frontend/driver/line_reader.h"
#include "ir/support/arena.h"

typedef enum record_format { RECORDS_TEXT, RECORDS_TSV, RECORDS_JSONL, RECORDS_SQUAD } record_format;

typedef struct record {
    const char *text, *pair; /* UTF-8, 0-terminated; pair is NULL for single texts */
    size_t text_bytes, pair_bytes;
    const char *id; /* of a question of SQuAD's; else NULL */
    uint64_t line;  /* from 1; 0: the form has none */
} record;

typedef struct record_reader record_reader;

/* Reads `path`, or standard input for "-". The format by the path's ending where `format` is NULL (.jsonl, .json, .tsv, else text);
 * else "text", "tsv", "jsonl", "squad". `path` outlives the reader. */
POFAC_MUST_USE pofac_status record_reader_open(const char *path, const char *format, const diag_sink *sink, record_reader **out);
/* Gives n records that somebody holds, one after the other; they outlive the reader. Messages count them from 1: "text 3". */
POFAC_MUST_USE pofac_status record_reader_of(const record *records, size_t n, const diag_sink *sink, record_reader **out);
void record_reader_close(record_reader *r); /* NULL is fine */

/* Signals that `stop` notes end waiting for lines; it must outlive the reader. */
void record_reader_watch(record_reader *r, interruption *stop);

/* Can a record, or the end, be had without waiting for whoever writes the input? Always so of SQuAD's files. */
bool record_reader_is_ready(record_reader *r);

const char *record_reader_name(const record_reader *r);    /* for messages: the path, "standard input", or "texts" */
uint64_t record_reader_bytes(const record_reader *r);      /* of the file, of what was read; given records are counted instead */
int64_t record_reader_total_bytes(const record_reader *r); /* of the whole file; -1: not known */
/* Where a record stands, for messages; `a` takes what is made for it. */
diag_place record_reader_place(const record_reader *r, const record *at, arena *a);

/* The next record, in `a`; *found is false at the end. Empty lines of text are records; empty ones among TSV lines and blank ones
 * among JSON lines are passed over. POFAC_ERR_INPUT with file and line: not JSON, no text in it, a NUL byte; and as line_reader_next and squad_reader_next. */
POFAC_MUST_USE pofac_status record_reader_next(record_reader *r, arena *a, const diag_sink *sink, record *out, bool *found);

#endif
