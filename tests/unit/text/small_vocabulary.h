/*
 * A vocabulary for tests, small enough to see what must come out; and encodings as text, for comparing.
 */
#ifndef POFAC_TESTS_UNIT_TEXT_SMALL_VOCABULARY_H
#define POFAC_TESTS_UNIT_TEXT_SMALL_VOCABULARY_H

#include "frontend/text/tokenizer.h"

static const char small_vocabulary[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
    "hello\nworld\nHello\ncafe\ncaf\n##é\nCAF\n##É\nun\n##aff\n##able\na\n##b\n##c\nb\nc\nthe\nquick\nfox\n##s\n"
    ",\n.\n!\n?\n'\n\"\n#\n##\n[\n]\nmask\nMASK\n-\n`\n–\n¿\n~\n"
    "東\n京\nᄒ\n##ᅡ\n##ᆫ\nα\n##α\nσ\n##σ\n##ς\nΑ\ni\n##i\nx\n##x\né\n##e\ne\n##\u0301\n##\u0307\n"
    "##\U0001D165\n##\U0001D16D\nI\nİ\nß\ndon\nt\ns\nm\nn\n豈\n\uF900\n##+\n";

/* Appends "token@begin-end token@begin-end ...". */
static inline void put_encoding(const tokenizer *t, const encoding *e, strbuf *out) {
    for (size_t i = 0; i < e->size; i++)
        strbuf_printf(out, "%s%s@%zu-%zu", i ? " " : "", tokenizer_token(t, e->tokens[i].id), e->tokens[i].begin, e->tokens[i].end);
}

#endif
