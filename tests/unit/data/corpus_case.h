/* Corpora made on the spot, for the tests of their readers. */
#ifndef POFAC_TESTS_UNIT_CORPUS_CASE_H
#define POFAC_TESTS_UNIT_CORPUS_CASE_H

#include <stddef.h>

#include "frontend/data/corpus.h"
#include "frontend/data/decompress.h"
#include "ir/support/strbuf.h"

/* For cmocka_run_group_tests: *state is the path of a directory, removed with all that is in it at the end.
 * Allocations of libxml2 fail together with pofac's own (fail_alloc.h). */
int corpus_set_up(void **state);
int corpus_tear_down(void **state);

/* The path of `name` in the directory; valid until the fourth next call. */
const char *corpus_path_of(void **state, const char *name);

/* Writes a file, and makes the directories that its name has. */
void put_corpus_file(void **state, const char *name, const void *bytes, size_t n);
void put_corpus_text(void **state, const char *name, const char *text);

/* The bytes compressed, in members of `member_bytes` each (0: one); bzip2 in blocks of 100,000 bytes. */
strbuf packed(compression kind, const void *bytes, size_t n, size_t member_bytes);

/* What came out of a corpus: "TITLE|TEXT" for each document with | for its newlines and a newline behind it; messages without the
 * directory's name. */
typedef struct corpus_outcome {
    pofac_status status;
    strbuf documents, messages;
    corpus_counts counts;
    size_t n_parts;
} corpus_outcome;

corpus_outcome read_corpus(void **state, const char *name, const corpus_options *options);
void outcome_free(corpus_outcome *o);

/* Reads and compares everything; `counts` without bytes and text_bytes. Prints what differs. */
void expect_corpus(void **state, const char *name, const corpus_options *options, pofac_status status, const char *documents,
                   const char *messages, corpus_counts counts);

/* Documents must be these, the name says where. */
void expect_documents(const char *where, const char *found, const char *wanted);

#endif
