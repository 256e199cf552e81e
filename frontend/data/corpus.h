/*
 * Corpora: files of running text -> parts -> documents of plain prose.
 *
 * One caller takes parts from the corpus, in the order of the files and of what stands in them. A part is a range of a file, small
 * against it; any thread may turn any part into its documents, and what comes out is a function of the part alone. So documents,
 * counts and messages do not depend on the number of threads, as long as the caller puts what parts give into the parts' order.
 *
 *     corpus_open(paths, n_paths, NULL, sink, &c);
 *     while (corpus_next_part(c, sink, &part) == POFAC_OK && part) {      one thread at a time
 *         corpus_part_read(part, take_document, context, sink, &counts);  any thread, any order
 *         corpus_part_destroy(part);                                      any thread
 *     }
 *     corpus_close(c);                                                    parts may live longer
 *
 * Memory: a corpus holds at most one part's bytes, a part that is being read at most a few times max_document_bytes; neither
 * depends on the size of the files.
 *
 * Damage is a compressed file that does not decompress, a file that ends too early, text that is not UTF-8, a line that is not
 * JSON, an empty file, one that is no dump where a dump is wanted. What stands before it is read and kept, then there is an error
 * with its place (POFAC_ERR_INPUT). With skip_damage it is a warning and counted, and reading goes on behind the damage: at the
 * next block of a bz2 dump, at the next document of a text, at the next file otherwise. Pages of a dump whose XML is broken, and
 * documents beyond max_document_bytes, are skipped and counted in any case.
 */
#ifndef POFAC_FRONTEND_DATA_CORPUS_H
#define POFAC_FRONTEND_DATA_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/status.h"
#include "ir/support/strbuf.h"

typedef struct corpus corpus;
typedef struct corpus_part corpus_part;

#define CORPUS_PART_BYTES ((size_t)2 << 20) /* default of part_bytes: some 10 blocks of a bz2 dump */
#define CORPUS_DOCUMENT_BYTES                                                                                                      \
    ((size_t)32 << 20) /* default of max_document_bytes; pages of Wikipedia have up to 2 MiB, novels 6 MiB */

/* All zero: the defaults. */
typedef struct corpus_options {
    const char *kind;          /* a row of frontend/corpora.def; NULL: told from the files' names and first bytes */
    size_t part_bytes;         /* of the file as it is stored, for a bz2 dump and for what is not compressed; else decompressed */
    size_t max_document_bytes; /* of a document's source, for instance the XML of a page */
    bool skip_damage;          /* go on behind damage, and count it */
} corpus_options;

/* What was found; COUNT(name, meaning). All add up over parts. */
#define CORPUS_COUNTS(COUNT)                                                                                                       \
    COUNT(bytes, "decompressed bytes")                                                                                             \
    COUNT(pages, "pages of a dump, of all kinds")                                                                                  \
    COUNT(redirects, "pages that lead to another page")                                                                            \
    COUNT(disambiguations, "pages that list what a title may mean")                                                                \
    COUNT(other_namespaces, "pages that are no articles: talk, users, templates, ...")                                             \
    COUNT(corrupt_pages, "pages whose XML is broken, or that lie where the file is damaged")                                       \
    COUNT(too_large, "documents larger than max_document_bytes, skipped")                                                          \
    COUNT(without_text, "articles and documents that have no prose")                                                               \
    COUNT(damages, "places that were skipped because the file is damaged there, or its text is")                                   \
    COUNT(documents, "documents given to the caller")                                                                              \
    COUNT(text_bytes, "bytes of their prose")

typedef struct corpus_counts {
#define COUNT_FIELD(name, meaning) uint64_t name;
    CORPUS_COUNTS(COUNT_FIELD)
#undef COUNT_FIELD
} corpus_counts;

/* Adds `more` to *total. */
void corpus_counts_add(corpus_counts *total, const corpus_counts *more);

/* Appends a line for each count that is not 0: "NUMBER MEANING\n". */
void corpus_counts_put(const corpus_counts *counts, strbuf *out);

/* A document: UTF-8 without a 0 behind it; text has one paragraph a line, no empty ones, a newline behind each. Lives until the
 * callback returns. */
typedef struct corpus_document {
    const char *title; /* "" where the corpus has none */
    size_t title_bytes;
    const char *text;
    size_t text_bytes;
} corpus_document;

/* Anything but POFAC_OK ends the reading of the part with that status. */
typedef pofac_status (*corpus_document_fn)(void *context, const corpus_document *document);

/*
 * Opens one corpus over all `paths`, each a file or a directory: then all regular files below it, sorted by the bytes of their
 * paths, but those whose names begin with a dot. Compression (gzip, bzip2, zstd) is told from a file's first bytes.
 * POFAC_ERR_USAGE: no path, unknown kind. POFAC_ERR_INPUT: a path that is missing or unreadable, a directory without files.
 * `options` may be NULL. The corpus keeps copies of everything.
 */
POFAC_MUST_USE pofac_status corpus_open(const char *const *paths, size_t n_paths, const corpus_options *options,
                                        const diag_sink *sink, corpus **out);

/* The next part in *out, owned by the caller; NULL behind the last one and on errors. After an error there are no more parts. */
POFAC_MUST_USE pofac_status corpus_next_part(corpus *c, const diag_sink *sink, corpus_part **out);

/* Bytes of all files as they are stored, and of those behind the parts that were given out: for progress. */
uint64_t corpus_total_bytes(const corpus *c);
uint64_t corpus_done_bytes(const corpus *c);

void corpus_close(corpus *c); /* NULL is fine */

/* Calls `take` for each document of the part, in order, and adds to *counts what was found. On an error the documents before it
 * were taken and counted. */
POFAC_MUST_USE pofac_status corpus_part_read(const corpus_part *part, corpus_document_fn take, void *context, const diag_sink *sink,
                                             corpus_counts *counts);

void corpus_part_destroy(corpus_part *part); /* NULL is fine */

/* Row i of frontend/corpora.def; false past the end. */
bool corpus_kind_row(size_t i, const char **name, const char **meaning);

#endif
