/*
 * Training of a WordPiece vocabulary; see wordpiece_trainer.h.
 *
 * Words are arrays of pieces. A pair of neighbours knows how often it occurs and in which words it did at some time. A heap gives the most
 * frequent pair; its counts may be old, in which case the pair goes back with the present one, which is never larger than what the heap
 * says since a pair enters the heap again whenever it grows. Joining a pair looks at its words alone and moves the counts of the pairs
 * beside each place. Words are sorted first, so that nothing depends on the order of the map.
 */
#include "frontend/text/wordpiece_trainer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>

#include "ir/support/arena.h"
#include "ir/support/vector.h"

static const char *const special_tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
#define N_SPECIAL (sizeof special_tokens / sizeof special_tokens[0])

typedef struct counted_word {
    const char *bytes;
    size_t n_bytes;
    uint64_t count;
    uint32_t first, n; /* of its pieces */
} counted_word;

/* Two pieces that stand side by side somewhere. */
typedef struct piece_pair {
    uint32_t a, b;
    uint64_t count;
    VEC(uint32_t) words; /* in which it was seen; a word may stand there again */
} piece_pair;

typedef struct heap_entry {
    uint64_t count; /* when it was put there */
    uint32_t pair;
} heap_entry;

typedef struct character {
    UChar32 c;
    uint64_t count;      /* in all words */
    bool begins, inside; /* of words that are kept */
} character;

typedef struct trainer {
    const wordpiece_training *training;
    arena memory;
    counted_word *words;
    size_t n_words;
    uint32_t *pieces;         /* of all words */
    VEC(const char *) tokens; /* text of each piece; special tokens first */
    strmap token_of;          /* text -> number */
    strmap pair_of;           /* both numbers -> number of the pair */
    VEC(piece_pair) pairs;
    VEC(heap_entry) heap;
} trainer;

/* ---- words and characters ---- */

static int compare_words(const void *a, const void *b) {
    const counted_word *x = a, *y = b;
    const size_t n = x->n_bytes < y->n_bytes ? x->n_bytes : y->n_bytes;
    const int order = memcmp(x->bytes, y->bytes, n);
    return order ? order : (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

static int compare_frequency(const void *a, const void *b) {
    const character *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return (x->c > y->c) - (x->c < y->c);
}

static int compare_code_points(const void *a, const void *b) {
    const character *x = a, *y = b;
    return (x->c > y->c) - (x->c < y->c);
}

static character *find_character(const character *all, size_t n, UChar32 c) {
    const character key = {.c = c};
    return bsearch(&key, all, n, sizeof *all, compare_code_points);
}

/* The characters of all words with their counts, by code point; NULL when memory is short. From malloc. */
static character *count_characters(const trainer *t, size_t *n_out) {
    uint64_t *counts = calloc(0x110000, sizeof *counts);
    character *all = NULL;
    size_t n = 0;
    if (!counts) return NULL;
    for (size_t w = 0; w < t->n_words; w++)
        for (size_t i = 0; i < t->words[w].n_bytes;) {
            UChar32 c;
            U8_NEXT_UNSAFE(t->words[w].bytes, i, c);
            counts[c] += t->words[w].count;
        }
    for (size_t c = 0; c < 0x110000; c++) n += counts[c] > 0;
    all = calloc(n + 1, sizeof *all);
    *n_out = 0;
    for (UChar32 c = 0; all && c < 0x110000; c++)
        if (counts[c]) all[(*n_out)++] = (character){.c = c, .count = counts[c]};
    free(counts);
    return all;
}

/* Leaves out words with characters that are not kept, and marks where in words characters stand. */
static void choose_words(trainer *t, character *kept, size_t n_kept) {
    size_t n = 0;
    for (size_t w = 0; w < t->n_words; w++) {
        const counted_word word = t->words[w];
        bool known = true;
        for (size_t i = 0; i < word.n_bytes && known;) {
            UChar32 c;
            U8_NEXT_UNSAFE(word.bytes, i, c);
            known = find_character(kept, n_kept, c) != NULL;
        }
        if (!known) continue;
        for (size_t i = 0; i < word.n_bytes;) {
            const bool begins = i == 0;
            UChar32 c;
            U8_NEXT_UNSAFE(word.bytes, i, c);
            character *found = find_character(kept, n_kept, c);
            if (begins) found->begins = true;
            else found->inside = true;
        }
        t->words[n++] = word;
    }
    t->n_words = n;
}

/* The number of a token, made where it is new; UINT32_MAX when memory is short. */
static uint32_t token_number(trainer *t, const char *text) {
    bool is_new = false;
    const strmap_entry *e = strmap_put(&t->token_of, text, strlen(text), t->tokens.size, &is_new);
    if (!e || (is_new && !VEC_PUSH(&t->tokens, e->key))) return UINT32_MAX;
    return (uint32_t)e->value;
}

static uint32_t character_token(trainer *t, UChar32 c, bool inside) {
    char text[8] = "##";
    size_t n = inside ? 2 : 0;
    U8_APPEND_UNSAFE(text, n, c);
    text[n] = 0;
    return token_number(t, text);
}

static bool add_characters(trainer *t, const character *kept, size_t n_kept) {
    bool ok = true;
    for (size_t i = 0; i < N_SPECIAL && ok; i++) ok = token_number(t, special_tokens[i]) != UINT32_MAX;
    for (size_t i = 0; i < n_kept && ok; i++) ok = !kept[i].begins || character_token(t, kept[i].c, false) != UINT32_MAX;
    for (size_t i = 0; i < n_kept && ok; i++) ok = !kept[i].inside || character_token(t, kept[i].c, true) != UINT32_MAX;
    return ok;
}

static pofac_status take_words(trainer *t, const strmap *words, const diag_sink *sink, wordpiece_report *report) {
    size_t n_characters = 0;
    t->words = arena_alloc_array(&t->memory, sizeof *t->words, words->size + 1);
    if (!t->words) return diag_out_of_memory(sink);
    for (size_t i = 0; i < words->size; i++) {
        const strmap_entry *e = &words->entries[i];
        if (e->key_bytes > 0) t->words[t->n_words++] = (counted_word){.bytes = e->key, .n_bytes = e->key_bytes, .count = e->value};
    }
    qsort(t->words, t->n_words, sizeof *t->words, compare_words);
    report->words = t->n_words;
    character *kept = count_characters(t, &n_characters);
    if (!kept) return diag_out_of_memory(sink);
    if (n_characters > t->training->limit_alphabet) {
        qsort(kept, n_characters, sizeof *kept, compare_frequency);
        n_characters = t->training->limit_alphabet;
        qsort(kept, n_characters, sizeof *kept, compare_code_points);
    }
    choose_words(t, kept, n_characters);
    report->words_left_out = report->words - t->n_words;
    const bool ok = add_characters(t, kept, n_characters);
    free(kept);
    report->characters = ok ? t->tokens.size - N_SPECIAL : 0;
    return ok ? POFAC_OK : diag_out_of_memory(sink);
}

/* ---- pairs ---- */

/* More frequent first, then the older pieces. */
static bool comes_before(const trainer *t, heap_entry x, heap_entry y) {
    const piece_pair *p = &t->pairs.data[x.pair], *q = &t->pairs.data[y.pair];
    if (x.count != y.count) return x.count > y.count;
    return p->a != q->a ? p->a < q->a : p->b < q->b;
}

static bool heap_push(trainer *t, heap_entry e) {
    if (!VEC_PUSH(&t->heap, e)) return false;
    size_t i = t->heap.size - 1;
    for (; i > 0 && comes_before(t, e, t->heap.data[(i - 1) / 2]); i = (i - 1) / 2) t->heap.data[i] = t->heap.data[(i - 1) / 2];
    t->heap.data[i] = e;
    return true;
}

static heap_entry heap_pop(trainer *t) {
    const heap_entry top = t->heap.data[0], last = t->heap.data[--t->heap.size];
    size_t i = 0;
    for (size_t child = 1; child < t->heap.size; child = 2 * i + 1) {
        if (child + 1 < t->heap.size && comes_before(t, t->heap.data[child + 1], t->heap.data[child])) child++;
        if (!comes_before(t, t->heap.data[child], last)) break;
        t->heap.data[i] = t->heap.data[child];
        i = child;
    }
    if (t->heap.size > 0) t->heap.data[i] = last;
    return top;
}

/* The pair of two pieces, made where it is new; NULL when memory is short. */
static piece_pair *find_pair(trainer *t, uint32_t a, uint32_t b) {
    const uint32_t key[2] = {a, b};
    bool is_new = false;
    const strmap_entry *e = strmap_put(&t->pair_of, (const char *)key, sizeof key, t->pairs.size, &is_new);
    if (!e || (is_new && !VEC_PUSH(&t->pairs, ((piece_pair){.a = a, .b = b})))) return NULL;
    return &t->pairs.data[e->value];
}

/* The pair occurs in the word once more. */
static bool add_place(trainer *t, uint32_t a, uint32_t b, uint32_t word) {
    piece_pair *p = find_pair(t, a, b);
    if (!p) return false;
    p->count += t->words[word].count;
    if (p->words.size > 0 && p->words.data[p->words.size - 1] == word) return true;
    return VEC_PUSH(&p->words, word);
}

static bool take_place(trainer *t, uint32_t a, uint32_t b, uint32_t word) {
    piece_pair *p = find_pair(t, a, b);
    if (p) p->count -= t->words[word].count;
    return p != NULL;
}

static bool spell_words(trainer *t) {
    size_t total = 0;
    for (size_t w = 0; w < t->n_words; w++) total += t->words[w].n_bytes;
    if (total > UINT32_MAX) return false;
    t->pieces = arena_alloc_array(&t->memory, sizeof *t->pieces, total + 1);
    if (!t->pieces) return false;
    uint32_t at = 0;
    for (size_t w = 0; w < t->n_words; w++) {
        counted_word *word = &t->words[w];
        word->first = at;
        for (size_t i = 0; i < word->n_bytes; at++) {
            const bool inside = i > 0;
            UChar32 c;
            U8_NEXT_UNSAFE(word->bytes, i, c);
            t->pieces[at] = character_token(t, c, inside);
            if (t->pieces[at] == UINT32_MAX) return false;
            if (inside && !add_place(t, t->pieces[at - 1], t->pieces[at], (uint32_t)w)) return false;
        }
        word->n = at - word->first;
    }
    for (size_t p = 0; p < t->pairs.size; p++)
        if (!heap_push(t, (heap_entry){t->pairs.data[p].count, (uint32_t)p})) return false;
    return true;
}

/* ---- joining ---- */

/* Joins a and b wherever they stand side by side in the word, from the left. Pairs that become more frequent are noted in `grown`. */
typedef VEC(uint32_t) pair_list;

static bool join_in_word(trainer *t, uint32_t w, uint32_t a, uint32_t b, uint32_t joined, pair_list *grown) {
    counted_word *word = &t->words[w];
    uint32_t *p = t->pieces + word->first, n = 0;
    bool ok = true;
    for (uint32_t i = 0; i < word->n && ok; i++) {
        if (i + 1 == word->n || p[i] != a || p[i + 1] != b) {
            p[n++] = p[i];
            continue;
        }
        /* p[n - 1] is the piece before, joined or not; p[i + 2] the one behind */
        const uint32_t pieces[2][2] = {{n > 0 ? p[n - 1] : 0, joined}, {joined, i + 2 < word->n ? p[i + 2] : 0}};
        ok = take_place(t, a, b, w);
        if (n > 0) ok = ok && take_place(t, p[n - 1], a, w);
        if (i + 2 < word->n) ok = ok && take_place(t, b, p[i + 2], w);
        for (int side = 0; side < 2 && ok; side++) {
            if (side == 0 ? n == 0 : i + 2 == word->n) continue;
            ok = add_place(t, pieces[side][0], pieces[side][1], w);
            const piece_pair *pair = ok ? find_pair(t, pieces[side][0], pieces[side][1]) : NULL;
            ok = pair && VEC_PUSH(grown, (uint32_t)(pair - t->pairs.data));
        }
        p[n++] = joined;
        i++;
    }
    word->n = n;
    return ok;
}

static int compare_numbers(const void *a, const void *b) {
    return (*(const uint32_t *)a > *(const uint32_t *)b) - (*(const uint32_t *)a < *(const uint32_t *)b);
}

/* "ab" of "a" and "##b". */
static uint32_t joined_token(trainer *t, uint32_t a, uint32_t b) {
    const char *first = t->tokens.data[a], *second = t->tokens.data[b] + 2;
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "%s%s", first, second);
    const uint32_t number = strbuf_ok(&text) ? token_number(t, strbuf_str(&text)) : UINT32_MAX;
    strbuf_free(&text);
    return number;
}

static bool join_pair(trainer *t, uint32_t number) {
    const uint32_t a = t->pairs.data[number].a, b = t->pairs.data[number].b;
    const uint32_t joined = joined_token(t, a, b);
    pair_list grown = {0};
    bool ok = joined != UINT32_MAX;
    /* the list may move while pairs are added: taken by index */
    for (size_t i = 0; i < t->pairs.data[number].words.size && ok; i++)
        ok = join_in_word(t, t->pairs.data[number].words.data[i], a, b, joined, &grown);
    if (ok) {
        VEC_FREE(&t->pairs.data[number].words);
        if (grown.size > 1) qsort(grown.data, grown.size, sizeof *grown.data, compare_numbers);
        for (size_t i = 0; i < grown.size && ok; i++)
            if (i == 0 || grown.data[i] != grown.data[i - 1])
                ok = heap_push(t, (heap_entry){t->pairs.data[grown.data[i]].count, grown.data[i]});
    }
    VEC_FREE(&grown);
    return ok;
}

static bool join_until_full(trainer *t) {
    const uint64_t least = t->training->min_frequency > 0 ? t->training->min_frequency : 1;
    while (t->tokens.size < t->training->vocab_size && t->heap.size > 0) {
        const heap_entry top = heap_pop(t);
        const uint64_t count = t->pairs.data[top.pair].count;
        if (count < least) continue;
        if (count != top.count) {
            if (count < top.count && !heap_push(t, (heap_entry){count, top.pair})) return false;
            continue; /* a pair that grew stands in the heap with its new count */
        }
        if (!join_pair(t, top.pair)) return false;
    }
    return true;
}

static void free_trainer(trainer *t) {
    for (size_t i = 0; i < t->pairs.size; i++) VEC_FREE(&t->pairs.data[i].words);
    VEC_FREE(&t->pairs);
    VEC_FREE(&t->heap);
    VEC_FREE(&t->tokens);
    strmap_free(&t->token_of);
    strmap_free(&t->pair_of);
    arena_free(&t->memory);
}

pofac_status wordpiece_train(const strmap *words, const wordpiece_training *training, const diag_sink *sink, strbuf *out,
                             wordpiece_report *report) {
    trainer t = {.training = training, .memory = ARENA_INIT, .token_of = STRMAP_INIT, .pair_of = STRMAP_INIT};
    *report = (wordpiece_report){0};
    pofac_status status = take_words(&t, words, sink, report);
    if (status == POFAC_OK && t.tokens.size > training->vocab_size)
        status = diag_error(sink, POFAC_ERR_INPUT, NULL,
                            "vocab_size is %zu, wanted at least %zu, for special tokens and single characters",
                            training->vocab_size, t.tokens.size);
    if (status == POFAC_OK && (!spell_words(&t) || !join_until_full(&t))) status = diag_out_of_memory(sink);
    for (size_t i = 0; i < t.tokens.size && status == POFAC_OK; i++) strbuf_printf(out, "%s\n", t.tokens.data[i]);
    if (status == POFAC_OK) report->pieces = t.tokens.size - N_SPECIAL - report->characters;
    if (status == POFAC_OK && !strbuf_ok(out)) status = diag_out_of_memory(sink);
    free_trainer(&t);
    return status;
}
