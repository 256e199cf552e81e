/*
 * Wikitext to plain prose: what a reader of the article sees of its running text, as UTF-8, one paragraph a line.
 *
 * Kept: paragraphs, the text of links, quotations, the content of inline HTML, and of the templates that carry prose
 * (wikitext_templates.def). Dropped: other templates, tables, references, files and categories, links to other languages, formulas that
 * need TeX, galleries, source code, comments, magic words, and the sections that hold no prose (wikitext_sections.def: References, See
 * also, ...). Parentheses that nothing is left in go as well.
 *
 * Lists (lines that begin with * # : ;) are dropped unless options ask for them, as extraction tools for language models do: most hold
 * names and links, no sentences.
 *
 * Any bytes are read: unbalanced markup loses its brackets and keeps its text, invalid UTF-8 becomes U+FFFD. Time is linear in the
 * length, whatever is nested; memory is a small multiple of it.
 */
#ifndef POFAC_FRONTEND_DATA_WIKITEXT_H
#define POFAC_FRONTEND_DATA_WIKITEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/status.h"
#include "ir/support/strbuf.h"

typedef struct wikitext_options {
    bool keep_headings; /* each heading is a line of its own */
    bool keep_lists;    /* each item is a line of its own, without its marker */
} wikitext_options;

/* What was found in one text. All of it can be added up over texts. */
typedef struct wikitext_counts {
    uint64_t bytes;            /* of wikitext */
    uint64_t prose_bytes;      /* appended, with the newlines */
    uint64_t visited;          /* bytes looked at by all stages together: the work done */
    uint64_t paragraphs;       /* lines appended */
    uint64_t sections;         /* headings */
    uint64_t dropped_sections; /* that hold no prose */
    uint64_t templates;        /* outside of what is dropped anyway */
    uint64_t kept_templates;   /* of them, those whose text was kept */
    uint64_t links;            /* whose text was kept */
    uint64_t files;            /* and categories and links to other languages: dropped */
    uint64_t tables;           /* dropped */
    uint64_t elements;         /* references, galleries, formulas, ...: dropped with their content */
    uint64_t unbalanced;       /* brackets without a partner */
    uint64_t redirects;        /* 1: the text is #REDIRECT, and its prose is empty */
    uint64_t disambiguations;  /* templates that say that the page only lists meanings of its title */
} wikitext_counts;

/* Buffers that are reused from text to text; used by one thread at a time. */
typedef struct wikitext wikitext;

/* `options` may be NULL: the defaults. POFAC_ERR_RUNTIME when memory is short. */
POFAC_MUST_USE pofac_status wikitext_create(const wikitext_options *options, const diag_sink *sink, wikitext **out);
void wikitext_destroy(wikitext *w); /* may be NULL */

/*
 * Appends the prose of `text` to `prose`, each paragraph followed by a newline, and sets `counts` (may be NULL). A pure function of
 * text and options. POFAC_ERR_INPUT for more than 4 GB less 1 KB, POFAC_ERR_RUNTIME when memory is short; `prose` then has its old
 * contents.
 */
POFAC_MUST_USE pofac_status wikitext_to_prose(wikitext *w, const char *text, size_t bytes, const diag_sink *sink, strbuf *prose,
                                              wikitext_counts *counts);

/* total += counts, field by field. */
void wikitext_counts_add(wikitext_counts *total, const wikitext_counts *counts);

#endif
