/*
 * Masked language modelling; see token_masking.h.
 *
 * Random numbers: Philox under the key (seed, "token masking") at the counter (example, epoch and position): four words for each position. Word 0 says
 * whether the token, or the word that begins with it, is chosen, word 1 what becomes of the token, words 2 and 3 which random token it becomes.
 */
#include "frontend/data/token_masking.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/rng.h"

#define DEFAULT_PROBABILITY 0.15
#define MASK_SHARE 0.8
#define MASK_OR_RANDOM_SHARE 0.9

enum { IS_WORD, IS_CONTINUATION, IS_SPECIAL };

struct token_masking {
    rng_key key;
    double probability;
    masking_unit unit;
    int32_t mask_id;
    size_t vocab_size;
    unsigned char kind[]; /* [V] */
};

static void set_kinds(token_masking *m, const tokenizer *t) {
    for (size_t id = 0; id < m->vocab_size; id++)
        if (strncmp(tokenizer_token(t, (int32_t)id), "##", 2) == 0) m->kind[id] = IS_CONTINUATION;
    for (int i = 0; i < TOKENIZER_N_SPECIALS; i++) {
        const int32_t id = tokenizer_special_id(t, (tokenizer_special)i);
        if (id >= 0) m->kind[id] = IS_SPECIAL;
    }
}

pofac_status token_masking_create(const tokenizer *t, const masking_options *options, const diag_sink *sink, token_masking **out) {
    *out = NULL;
    const double probability = options->probability == 0 ? DEFAULT_PROBABILITY : options->probability;
    const int32_t mask_id = tokenizer_special_id(t, TOKENIZER_MASK);
    const size_t n = tokenizer_vocab_size(t);
    if (!(probability > 0 && probability <= 1))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found a masking probability of %g, wanted more than 0 and at most 1",
                          probability);
    if (mask_id < 0)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "the vocabulary has no %s, which masking needs",
                          tokenizer_special_name(TOKENIZER_MASK));
    token_masking *m = calloc(1, sizeof *m + n);
    if (!m) return diag_out_of_memory(sink);
    m->key = rng_key_make(options->seed, "token masking");
    m->probability = probability;
    m->unit = options->unit;
    m->mask_id = mask_id;
    m->vocab_size = n;
    set_kinds(m, t);
    *out = m;
    return POFAC_OK;
}

void token_masking_destroy(token_masking *m) { free(m); }

static rng_block numbers(rng_key key, uint32_t epoch, uint64_t example, size_t position) {
    return rng_philox(key, example, (uint64_t)epoch << 32 | (uint32_t)position);
}

static double unit(uint32_t word) { return (double)word * 0x1p-32; }

static uint64_t join(uint32_t high, uint32_t low) { return (uint64_t)high << 32 | low; }

/* A chosen token: its label, and what the model sees of it. */
static void mask_token(const token_masking *m, const rng_block *b, int32_t *id, int32_t *label) {
    const double what = unit(b->word[1]);
    *label = *id;
    if (what < MASK_SHARE) *id = m->mask_id;
    else if (what < MASK_OR_RANDOM_SHARE) *id = (int32_t)(((unsigned __int128)join(b->word[2], b->word[3]) * m->vocab_size) >> 64);
}

static size_t mask_tokens(const token_masking *m, uint32_t epoch, uint64_t example, int32_t *ids, int32_t *labels, size_t n) {
    size_t chosen = 0;
    for (size_t i = 0; i < n; i++) {
        labels[i] = MASKING_NO_LABEL;
        if (m->kind[ids[i]] == IS_SPECIAL) continue;
        const rng_block b = numbers(m->key, epoch, example, i);
        if (unit(b.word[0]) >= m->probability) continue;
        mask_token(m, &b, &ids[i], &labels[i]);
        chosen++;
    }
    return chosen;
}

/* The end of the word that begins at `begin`, which is no token with a role. */
static size_t word_end(const token_masking *m, const int32_t *ids, size_t n, size_t begin) {
    size_t end = begin + 1;
    while (end < n && m->kind[ids[end]] == IS_CONTINUATION) end++;
    return end;
}

static size_t count_words(const token_masking *m, const int32_t *ids, size_t n) {
    size_t words = 0;
    for (size_t begin = 0, end; begin < n; begin = end) {
        end = begin + 1;
        if (m->kind[ids[begin]] == IS_SPECIAL) continue;
        end = word_end(m, ids, n, begin);
        words++;
    }
    return words;
}

/* `left` words to look at, of which `wanted` are still to be chosen: this one is with probability wanted / left, which leaves each set of words equally likely
 * (Knuth, The Art of Computer Programming, volume 2, algorithm 3.4.2S). */
static bool choose_word(const rng_block *b, size_t left, size_t wanted) { return ((uint64_t)b->word[0] * left) >> 32 < wanted; }

static size_t mask_words(const token_masking *m, uint32_t epoch, uint64_t example, int32_t *ids, int32_t *labels, size_t n) {
    size_t left = count_words(m, ids, n), wanted = (size_t)nearbyint(m->probability * (double)left), chosen = 0;
    if (wanted == 0 && left > 0) wanted = 1;
    for (size_t i = 0; i < n; i++) labels[i] = MASKING_NO_LABEL;
    for (size_t begin = 0, end; begin < n; begin = end) {
        end = begin + 1;
        if (m->kind[ids[begin]] == IS_SPECIAL) continue;
        end = word_end(m, ids, n, begin);
        rng_block b = numbers(m->key, epoch, example, begin);
        if (!choose_word(&b, left--, wanted)) continue;
        wanted--;
        chosen += end - begin;
        for (size_t i = begin; i < end; i++) {
            b = numbers(m->key, epoch, example, i);
            mask_token(m, &b, &ids[i], &labels[i]);
        }
    }
    return chosen;
}

size_t token_masking_apply(const token_masking *m, uint32_t epoch, uint64_t example, int32_t *ids, int32_t *labels, size_t n) {
    return m->unit == MASK_WHOLE_WORDS ? mask_words(m, epoch, example, ids, labels, n)
                                       : mask_tokens(m, epoch, example, ids, labels, n);
}
