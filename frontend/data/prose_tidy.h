/*
 * The last step to prose: paragraphs with single spaces, without what dropped markup leaves behind.
 */
#ifndef POFAC_FRONTEND_DATA_PROSE_TIDY_H
#define POFAC_FRONTEND_DATA_PROSE_TIDY_H

#include <stddef.h>
#include <stdint.h>

#include "ir/support/strbuf.h"

/* Stands in raw prose where something was dropped. No text holds it: control characters become spaces before. */
#define PROSE_DROPPED '\x1a'

/*
 * Appends the paragraphs of `raw` (newlines between them; spaces of any number; PROSE_DROPPED), each with a newline. White space
 * becomes one space, and none at a paragraph's ends. Where something was dropped, the space before punctuation goes, and so do
 * punctuation that begins or ends parentheses, and parentheses that nothing is left in. Paragraphs without a letter or digit go. Invalid
 * UTF-8 becomes U+FFFD. Returns the number of paragraphs.
 */
uint64_t prose_tidy(const char *raw, size_t bytes, strbuf *prose);

#endif
