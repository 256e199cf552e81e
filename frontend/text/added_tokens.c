/*
 * Added tokens are looked for from left to right, the longest of those that begin at the first place, as the reference's
 * AddedVocabulary does (its Aho-Corasick automaton in the mode leftmost-longest): first those that the normal form does not concern, in
 * the text as it is; then, between them, the others, whose contents are brought into normal form like the text. A match that is not to
 * be part of a word but is one is passed over whole. White space beside a match belongs to it where its token strips that side.
 *
 * The search walks a trie from each byte that a token begins with. Tokens are few and short, and text that has the first byte of one has
 * mostly the whole token, so this takes a time linear in the text.
 */
#include "frontend/text/added_tokens.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "ir/support/vector.h"

/* ---- the list ---- */

static added_token *add_place(added_tokens *a, const char *content) {
    bool inserted;
    if (a->n >= INT32_MAX || !vector_reserve((void **)&a->tokens, &a->capacity, sizeof *a->tokens, a->n + 1)) return NULL;
    const strmap_entry *entry = strmap_put(&a->by_content, content, strlen(content), a->n, &inserted);
    if (!entry) return NULL;
    if (inserted) a->tokens[a->n++].content = entry->key;
    return &a->tokens[entry->value];
}

bool added_tokens_put(added_tokens *a, const added_token *token) {
    added_token *place = add_place(a, token->content);
    if (!place) return false;
    const char *content = place->content;
    *place = *token;
    place->content = content;
    return true;
}

const added_token *added_tokens_by_content(const added_tokens *a, const char *content, size_t n) {
    const strmap_entry *entry = strmap_get(&a->by_content, content, n);
    return entry ? &a->tokens[entry->value] : NULL;
}

const added_token *added_tokens_by_id(const added_tokens *a, int32_t id) {
    size_t first = 0, end = a->by_id ? a->n : 0;
    const uint64_t wanted = (uint64_t)(uint32_t)id << 32;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (a->by_id[middle] < wanted) first = middle + 1;
        else end = middle;
    }
    if (!a->by_id || first == a->n || a->by_id[first] >> 32 != (uint32_t)id) return NULL;
    return &a->tokens[(uint32_t)a->by_id[first]];
}

void added_tokens_free(added_tokens *a) {
    token_trie_free(&a->literal.trie);
    token_trie_free(&a->normal.trie);
    strmap_free(&a->by_content);
    free(a->tokens);
    free(a->by_id);
    memset(a, 0, sizeof *a);
}

/* ---- the sets ---- */

/* By content; of equal contents the one that was added first comes first. */
static int compare_keys(const void *a, const void *b) {
    const trie_key *x = a, *y = b;
    int order = trie_key_compare(x, y);
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* `keys` may have equal contents, which two tokens have when they differ in what the normal form lacks; the first one counts. */
static bool build_set(added_set *set, trie_key *keys, size_t n) {
    token_trie_free(&set->trie);
    *set = (added_set){.only_first = -1};
    if (n == 0) return true;
    qsort(keys, n, sizeof *keys, compare_keys);
    size_t kept = 1;
    for (size_t i = 1; i < n; i++)
        if (trie_key_compare(&keys[kept - 1], &keys[i]) != 0) keys[kept++] = keys[i];
    if (!token_trie_build(&set->trie, keys, kept)) return false;
    set->n = kept;
    if (keys[0].bytes[0] == keys[kept - 1].bytes[0]) set->only_first = (uint8_t)keys[0].bytes[0];
    return true;
}

/* The content in normal form, in `scratch`; *n is 0 where nothing is left of it. NULL when memory is short. */
static const char *normal_content(const text_normalizer *z, const char *content, arena *scratch, size_t *n) {
    normal_text normal = NORMAL_TEXT_INIT;
    const text_range r = {(const uint8_t *)content, 0, strlen(content)};
    const char *copy = normalizer_run(z, &r, &normal) ? arena_strndup(scratch, strbuf_str(&normal.bytes), normal.bytes.size) : NULL;
    *n = normal.bytes.size;
    normal_text_free(&normal);
    return copy;
}

/* Builds the set of the tokens with `normalized`. */
static bool build_from(added_tokens *a, bool normalized, const text_normalizer *z, arena *scratch) {
    trie_key *keys = arena_alloc_array(scratch, sizeof *keys, a->n + 1);
    size_t n_keys = 0;
    if (!keys) return false;
    for (size_t i = 0; i < a->n; i++) {
        const char *content = a->tokens[i].content;
        size_t n = strlen(content);
        if (a->tokens[i].normalized != normalized) continue;
        if (normalized) content = normal_content(z, content, scratch, &n);
        if (!content) return false;
        if (n > 0) keys[n_keys++] = (trie_key){content, (uint32_t)n, (int32_t)i};
    }
    return build_set(normalized ? &a->normal : &a->literal, keys, n_keys);
}

static int compare_numbers(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool order_by_id(added_tokens *a) {
    free(a->by_id);
    a->by_id = malloc((a->n + 1) * sizeof *a->by_id);
    if (!a->by_id) return false;
    for (size_t i = 0; i < a->n; i++) a->by_id[i] = (uint64_t)(uint32_t)a->tokens[i].id << 32 | i;
    qsort(a->by_id, a->n, sizeof *a->by_id, compare_numbers);
    return true;
}

bool added_tokens_index(added_tokens *a, const text_normalizer *z) {
    arena scratch = ARENA_INIT;
    bool ok = order_by_id(a) && build_from(a, false, z, &scratch) && build_from(a, true, z, &scratch);
    arena_free(&scratch);
    return ok;
}

/* ---- the search ---- */

/* A character that regular expressions call \w (Unicode, technical standard 18, annex C); c < 0 is none. */
static bool is_word_character(UChar32 c) {
    if (c < 0) return false;
    return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) ||
           (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

/* Whether text[begin,end) has no character of a word on either side. */
static bool stands_alone(const text_range *r, size_t begin, size_t end) {
    UChar32 before = -1, after = -1;
    if (begin > r->begin) text_previous_character(r, begin, &before);
    if (end < r->end) U8_NEXT(r->text, end, r->end, after);
    return !is_word_character(before) && !is_word_character(after);
}

/* The begin of the white space before `at`, not before `from`. */
static size_t strip_left(const text_range *r, size_t from, size_t at) {
    while (at > from) {
        UChar32 c;
        size_t begin = text_previous_character(r, at, &c);
        if (c < 0 || !u_isUWhiteSpace(c) || begin < from) break;
        at = begin;
    }
    return at;
}

static size_t strip_right(const text_range *r, size_t at) {
    while (at < r->end) {
        size_t next = at;
        UChar32 c;
        U8_NEXT(r->text, next, r->end, c);
        if (c < 0 || !u_isUWhiteSpace(c)) break;
        at = next;
    }
    return at;
}

/* The first byte at or behind `at` that a token begins with, or `end`. */
static size_t find_first_byte(const added_set *set, const uint8_t *text, size_t at, size_t end) {
    if (set->only_first >= 0) {
        const uint8_t *found = memchr(text + at, set->only_first, end - at);
        return found ? (size_t)(found - text) : end;
    }
    while (at < end && set->trie.word_start.child[text[at]] == 0) at++;
    return at;
}

/* The longest token at `at`, where *end is its end; -1 if there is none. */
static int32_t longest_at(const added_set *set, const uint8_t *text, size_t at, size_t range_end, size_t *end) {
    int32_t longest = -1;
    uint32_t node = set->trie.word_start.child[text[at++]];
    for (; node != 0; node = token_trie_step(&set->trie, node, text[at++])) {
        if (set->trie.id[node] >= 0) longest = set->trie.id[node], *end = at;
        if (at == range_end) break;
    }
    return longest;
}

added_match added_tokens_find(const added_tokens *a, const added_set *set, const text_range *r, size_t from) {
    for (size_t at = from; set->n > 0 && at < r->end;) {
        size_t end = 0;
        at = find_first_byte(set, r->text, at, r->end);
        if (at == r->end) break;
        int32_t found = longest_at(set, r->text, at, r->end, &end);
        if (found < 0) {
            at++;
            continue;
        }
        const added_token *token = &a->tokens[found];
        if (!token->single_word || stands_alone(r, at, end))
            return (added_match){token, token->lstrip ? strip_left(r, from, at) : at, token->rstrip ? strip_right(r, end) : end};
        at = end;
    }
    return (added_match){NULL, r->end, r->end};
}
