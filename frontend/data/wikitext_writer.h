/*
 * The state in which wikitext becomes raw prose (prose_tidy.h says what that is), shared by wikitext_lines.c, which knows what a line
 * is, wikitext_inline.c, which knows what stands in one, and wikitext_calls.c, which knows what links and templates show.
 */
#ifndef POFAC_FRONTEND_DATA_WIKITEXT_WRITER_H
#define POFAC_FRONTEND_DATA_WIKITEXT_WRITER_H

#include "frontend/data/wikitext.h"
#include "frontend/data/wikitext_spans.h"
#include "frontend/data/wikitext_templates.h"

/* Links and templates within each other, as MediaWiki's limit for templates ($wgMaxTemplateDepth); deeper ones are dropped. An
 * enclosing template moves what it shows once more, so this also bounds how often a byte is moved. */
#define WIKITEXT_MAX_DEPTH 40

typedef struct raw_range {
    size_t begin, end; /* in the raw prose */
} raw_range;

/* A link or a template that is being written. */
typedef struct writer_frame {
    enum { FRAME_LINK, FRAME_TEMPLATE } kind;
    size_t close; /* where its closing brackets begin, in the text */
    size_t raw;   /* where what it shows begins */
    /* of a link */
    size_t target_begin, target_end; /* in the text */
    bool has_text;                   /* behind a '|' */
    bool broken;                     /* a newline in its target: it is text in brackets */
    /* of a template */
    wikitext_template template;
    size_t argument;     /* where the one at work begins, in the text */
    size_t argument_raw; /* and in the raw prose */
    raw_range positional[WIKITEXT_MAX_ARGUMENTS];
    size_t n_positional, n_unnamed; /* set in all; without a name */
    raw_range named[TEMPLATE_N_NAMES];
    bool has_named[TEMPLATE_N_NAMES];
} writer_frame;

/* Runs of quotes in a line. Where both italics and bold are left open, one ''' was an apostrophe before italics. */
typedef struct writer_quotes {
    size_t n_italic, n_bold;
    size_t after_letter, after_word, after_space; /* the first ''' of each kind, in the raw prose; SIZE_MAX: none */
} writer_quotes;

struct wikitext {
    wikitext_options options;
    wikitext_spans spans;
    strbuf raw;     /* raw prose */
    strbuf scratch; /* what a template shows */
    /* the text at work */
    const char *text;
    size_t bytes;
    size_t next_span; /* those before it have begun before the place at work */
    writer_frame frames[WIKITEXT_MAX_DEPTH];
    size_t depth;
    size_t external; /* [http://... that wait for their ']' */
    writer_quotes quotes;
    size_t n_blocks; /* open elements that are blocks: <div>, <blockquote>, ...; since the last heading */
    bool comment;    /* one was in the line at work */
    unsigned level;  /* of the heading whose section is dropped; 0: none is */
    wikitext_counts counts;
};

/* wikitext_lines.c: writes the whole text. */
void wikitext_write_lines(wikitext *w);

/* wikitext_inline.c: writes text[begin, end) up to the first newline outside of all brackets; returns where that is, or `end`. */
size_t wikitext_write_inline(wikitext *w, size_t begin, size_t end);

/* The span that begins at `at` and ends by `end`, or NULL. */
const wikitext_span *wikitext_span_at(wikitext *w, size_t at, size_t end);

/* wikitext_calls.c: what a template or link begins with; both return where the text goes on. */
size_t wikitext_begin_template(wikitext *w, const wikitext_span *span);
size_t wikitext_begin_link(wikitext *w, const wikitext_span *span);

/* A '|', or the closing brackets, of the innermost frame, at `at`. */
void wikitext_frame_pipe(wikitext *w, size_t at);
void wikitext_frame_end(wikitext *w, size_t at);

/* The bytes of the URL that begins here with one of MediaWiki's protocols; 0: none does. */
size_t wikitext_url_bytes(const char *text, size_t bytes);

/* Counts a template that is not written: disambiguations. */
void wikitext_note_template(wikitext *w, const wikitext_span *span);

#endif
