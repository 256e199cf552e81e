/*
 * What the kinds of corpora offer to corpus.c, and what it offers to them: parts, and a reading, which is one call of
 * corpus_part_read.
 */
#ifndef POFAC_FRONTEND_DATA_CORPUS_READER_H
#define POFAC_FRONTEND_DATA_CORPUS_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/data/corpus.h"
#include "ir/support/diag.h"
#include "ir/support/file_map.h"
#include "ir/support/status.h"
#include "ir/support/strbuf.h"

/* A file that the corpus and parts of it hold; the last one closes it. */
typedef struct corpus_file {
    char *path;
    bool from_directory; /* found in a directory, not named by the user */
    file_map map;
    atomic_size_t holders;
} corpus_file;

typedef struct corpus_reading corpus_reading;

/* Behind the last byte: no place to cut. */
#define CORPUS_NO_CUT SIZE_MAX

/* One kind. All functions are pure. */
typedef struct corpus_reader {
    /* Whether a file that begins with these bytes is of this kind; n is 0 when it does not decompress. */
    bool (*recognises)(const corpus_file *file, const char *head, size_t n);
    /* What its files begin with, where other beginnings are an error; or NULL. */
    const char *wanted;
    /* The first place in [from, n) where a document may begin behind another one, or CORPUS_NO_CUT. */
    size_t (*cut)(const char *bytes, size_t n, size_t from);
    /* Reads a part; `bytes` are whole documents, but a document that is larger than the limit may end anywhere. */
    pofac_status (*read)(corpus_reading *r);
    /* The same for the part's range of a bzip2 file; or NULL: the corpus decompresses. */
    pofac_status (*read_bz2)(corpus_reading *r);
    /* Knows where a document ends: what damage has left of a file may end within one. */
    bool may_be_cut;
    /* A file is a document: it may be empty. */
    bool file_is_document;
} corpus_reader;

#define CORPUS(id, meaning) extern const corpus_reader corpus_reader_##id;
#include "frontend/corpora.def"
#undef CORPUS

struct corpus_part {
    corpus_file *file;
    const corpus_reader *reader;
    size_t max_document_bytes;
    bool skip_damage;
    bool is_first, is_last; /* of its file */
    const char *bytes;      /* decompressed; NULL for a range of a bzip2 file */
    size_t n_bytes;
    char *owned;         /* `bytes` where they are not the mapping's; or NULL */
    size_t begin, end;   /* range of the mapping that the part comes from */
    uint64_t line;       /* of the first byte, from 1 */
    corpus_counts found; /* by who cut the part: damage before it, bytes of documents that are too large */
};

struct corpus_reading {
    const corpus_part *part;
    corpus_document_fn take;
    void *context;
    const diag_sink *sink;
    corpus_counts *counts;
    unsigned n_warnings;
    strbuf text; /* of the document at hand */
};

/* Hands r->text over, if there is any. */
POFAC_MUST_USE pofac_status reading_give(corpus_reading *r, const char *title, size_t title_bytes);

/* Damage at a place of the file: an error, or, where damage is skipped, counted and told by a warning. */
POFAC_PRINTF(3, 4) POFAC_MUST_USE pofac_status reading_damage(corpus_reading *r, const diag_place *place, const char *format, ...);

/* A warning, unless this part has given enough of them. */
POFAC_PRINTF(3, 4) void reading_warning(corpus_reading *r, const diag_place *place, const char *format, ...);

/* The place of bytes[at] of the part, with its line. */
diag_place reading_place(const corpus_reading *r, size_t at);

/* A document that begins at bytes[at]: whether it has at most max_document_bytes; else counts it and warns. */
bool reading_fits(corpus_reading *r, size_t at, size_t n_bytes);

/* Whether bytes[at, at + n) of the part are UTF-8, in *valid; else it is damage. */
POFAC_MUST_USE pofac_status reading_check_utf8(corpus_reading *r, size_t at, size_t n, bool *valid);

/* Appends a line of text as a paragraph: without blanks around it, with a newline; nothing for a blank one. */
void reading_put_paragraph(corpus_reading *r, const char *line, size_t n);

/* ---- lines ---- */

/* Where the line that begins at `at` ends: at its newline or at n. */
size_t line_end(const char *bytes, size_t n, size_t at);

/* Nothing but blanks, tabs and carriage returns. */
bool line_is_blank(const char *line, size_t n);

/* 3 where the bytes begin with UTF-8's byte order mark, else 0. */
size_t byte_order_mark(const char *bytes, size_t n);

#endif
