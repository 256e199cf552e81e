/* Examples to tokens; see example_tokens.h. */
#include "frontend/data/example_tokens.h"

#include <string.h>

void example_tokens_free(example_tokens *t) {
    encoding_free(&t->built);
    encoding_free(&t->first);
    encoding_free(&t->second);
    VEC_FREE(&t->labels);
    VEC_FREE(&t->word_of);
    VEC_FREE(&t->all_words);
}

/* The tokens of a word go behind those of the words before. */
static bool append_word(example_tokens *t, uint32_t word) {
    for (size_t i = 0; i < t->second.size; i++)
        if (!VEC_PUSH(&t->all_words, word)) return false;
    const size_t n = t->first.size + t->second.size;
    if (!vector_reserve((void **)&t->first.tokens, &t->first.capacity, sizeof *t->first.tokens, n)) return false;
    for (size_t i = 0; i < t->second.size; i++) t->first.tokens[t->first.size + i] = t->second.tokens[i];
    t->first.size = n;
    return true;
}

/* built = [CLS] first tokens of the words [SEP]: the word and label of each. */
static bool align(example_tokens *t, const task_example *e) {
    t->labels.size = t->word_of.size = 0;
    for (size_t i = 0; i < t->built.size; i++) {
        bool is_special = i == 0 || i + 1 == t->built.size;
        const uint32_t word = is_special ? UINT32_MAX : t->all_words.data[i - 1];
        bool is_first = !is_special && (i == 1 || t->all_words.data[i - 2] != word);
        if (!VEC_PUSH(&t->word_of, word)) return false;
        if (e->tag_labels && !VEC_PUSH(&t->labels, is_first ? e->tag_labels[word] : EXAMPLE_NO_LABEL)) return false;
    }
    return true;
}

static pofac_status encode_words(example_tokens *t, const tokenizer *tok, const task_example *e, size_t max_length,
                                 const diag_sink *sink) {
    t->first.size = t->all_words.size = 0;
    for (size_t i = 0; i < e->n_words; i++) {
        TRY(tokenizer_encode(tok, e->words[i], strlen(e->words[i]), sink, &t->second));
        if (!append_word(t, (uint32_t)i)) return diag_out_of_memory(sink);
    }
    t->full_length = t->first.size + 2;
    TRY(tokenizer_build_single(tok, &t->first, max_length, sink, &t->built));
    return align(t, e) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status example_tokens_encode(example_tokens *t, const tokenizer *tok, const task_example *e, size_t max_length,
                                   const diag_sink *sink) {
    if (max_length < EXAMPLE_MIN_LENGTH)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "max_seq_length: found %zu, wanted at least %u", max_length,
                          EXAMPLE_MIN_LENGTH);
    if (e->words) return encode_words(t, tok, e, max_length, sink);
    t->labels.size = t->word_of.size = 0;
    TRY(tokenizer_encode(tok, e->text_a, e->text_a_bytes, sink, &t->first));
    t->full_length = t->first.size + 2;
    if (!e->text_b) return tokenizer_build_single(tok, &t->first, max_length, sink, &t->built);
    TRY(tokenizer_encode(tok, e->text_b, e->text_b_bytes, sink, &t->second));
    t->full_length += t->second.size + 1;
    return tokenizer_build_pair(tok, &t->first, &t->second, max_length, sink, &t->built);
}
