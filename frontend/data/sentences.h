/*
 * Sentences of a text: Unicode's default boundaries (UAX #29, by ICU), less those that follow an abbreviation, an initial or an ellipsis
 * without ending the sentence (sentence_abbreviations.def; English).
 *
 * A line of the text is a paragraph: a sentence never goes over a line's end.
 */
#ifndef POFAC_FRONTEND_DATA_SENTENCES_H
#define POFAC_FRONTEND_DATA_SENTENCES_H

#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/status.h"

/* Used by one thread at a time. */
typedef struct sentence_splitter sentence_splitter;

/* `locale` as ICU writes it ("en", "de_AT"); NULL: "en". One that ICU does not know has the rules of the root locale. Abbreviations
 * and initials are taken into account for English alone. POFAC_ERR_RUNTIME when ICU lacks its data or memory is short. */
POFAC_MUST_USE pofac_status sentence_splitter_create(const char *locale, const diag_sink *sink, sentence_splitter **out);
void sentence_splitter_destroy(sentence_splitter *s); /* may be NULL */

/* One sentence: text[begin, end), without white space around it, never empty. Another status than POFAC_OK ends the splitting. */
typedef pofac_status (*sentence_fn)(void *context, size_t begin, size_t end);

/* Calls back for each sentence of the text (UTF-8; other bytes count as letters of no case), in order. Every byte that is not white
 * space lies in one of them. Returns what the callback returned, or POFAC_ERR_RUNTIME when ICU fails. */
POFAC_MUST_USE pofac_status sentences_split(sentence_splitter *s, const char *text, size_t bytes, const diag_sink *sink,
                                            sentence_fn fn, void *context);

#endif
