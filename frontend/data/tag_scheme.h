/*
 * Tags of words that name spans: O, and PREFIX-TYPE with prefixes by scheme.
 *   iob1    I-; B- only where a span follows another of its type at once (CoNLL-2003 as it is distributed)
 *   iob2    B- for a span's first word, I- for the others (BIO)
 *   bioes   B- first, I- inner, E- last, S- a span of one word
 * What spans tags of any of these, or of BILOU (L = E, U = S), or of a mixture mean is read as conlleval and seqeval read it: a span begins at B and S, and
 * wherever an inner or last tag follows O, the end of another span or another type.
 */
#ifndef POFAC_FRONTEND_DATA_TAG_SCHEME_H
#define POFAC_FRONTEND_DATA_TAG_SCHEME_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/support/arena.h"

typedef enum tag_scheme { TAGS_AS_THEY_ARE, TAGS_IOB1, TAGS_IOB2, TAGS_BIOES } tag_scheme;

/* "as_is", "iob1", "iob2" or "bio", "bioes"; false when unknown. */
bool tag_scheme_parse(const char *name, tag_scheme *out);

/* Is it O, or a prefix that some scheme has, '-' and a type? */
bool tag_is_span(const char *tag);

/* Replaces the tags [n] of a sentence, for each of which tag_is_span, by those of `scheme`, in `a`. False when memory is short. */
bool tags_convert(const char **tags, size_t n, tag_scheme scheme, arena *a);

#endif
