/*
 * The brackets of a wikitext and their partners: templates, links, tables, comments, and the elements whose content is not markup.
 * Found in one walk over the text before anything is written, so that whoever writes can go over a span in one step, and knows which
 * brackets have no partner.
 */
#ifndef POFAC_FRONTEND_DATA_WIKITEXT_SPANS_H
#define POFAC_FRONTEND_DATA_WIKITEXT_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum wikitext_span_kind {
    SPAN_UNMATCHED, /* holds no text: a place that was kept for a bracket that found no partner */
    SPAN_TEMPLATE,  /* {{ }} */
    SPAN_PARAMETER, /* {{{ }}} */
    SPAN_LINK,      /* [[ ]] */
    SPAN_TABLE,     /* {| |} and <table> </table> */
    SPAN_COMMENT,   /* <!-- -->; one that has no end goes to the end of the text, as in MediaWiki */
    SPAN_ELEMENT,   /* an element that is dropped, or the tag of one without an end */
    SPAN_LITERAL,   /* <nowiki> </nowiki> */
    SPAN_FORMULA    /* <math> </math> */
} wikitext_span_kind;

/* text[begin, end) with its brackets. Spans nest or are apart. */
typedef struct wikitext_span {
    uint32_t begin, end;
    uint8_t kind; /* wikitext_span_kind */
} wikitext_span;

/* Brackets that wait for their partners; for the walk alone. */
typedef struct wikitext_open {
    uint32_t begin;
    uint32_t count;     /* brackets of the run that have no partner yet */
    uint32_t slot;      /* the first of `n_slots` spans kept for the run; the innermost takes the last */
    uint32_t n_slots;   /* still free */
    uint32_t structure; /* 1 + the next entry below that is not of square brackets; 0: none */
    uint8_t kind;
} wikitext_open;

typedef struct wikitext_spans {
    wikitext_span *spans; /* in the order of `begin`; owned */
    size_t n_spans, span_capacity;
    wikitext_open *open; /* owned */
    size_t n_open, open_capacity;
    uint64_t visited;    /* bytes looked at, by the last walk */
    uint64_t unbalanced; /* brackets without partner, in the last walk */
} wikitext_spans;

#define WIKITEXT_SPANS_INIT                                                                                                        \
    { 0 }

/* Texts have fewer bytes than this, so that offsets take 32 bits. */
#define WIKITEXT_MAX_BYTES (UINT32_MAX - 1024)

/* Replaces the spans by those of the text. False when memory is short. */
bool wikitext_spans_find(wikitext_spans *s, const char *text, size_t bytes);
void wikitext_spans_free(wikitext_spans *s);

#endif
