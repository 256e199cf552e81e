/*
 * vocab.txt into a vocabulary. The format: UTF-8, one token per line, ended by \n or \r\n (the last line's end may be missing); the
 * id of a token is the number of its line from 0. The reference reads a repeated token as its last line and an empty line as the
 * empty token; both come from damaged files and shift or lose ids, so here they are errors.
 */
#include "frontend/text/vocabulary.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>

static const char byte_order_mark[] = "\xEF\xBB\xBF";

static bool is_utf8(const char *bytes, size_t n) {
    for (size_t i = 0; i < n;) {
        UChar32 c;
        U8_NEXT(bytes, i, n, c);
        if (c < 0) return false;
    }
    return true;
}

static pofac_status check_token(const char *name, size_t line, const char *token, size_t n, const diag_sink *sink) {
    diag_place place = {.file = name, .line = (uint32_t)line};
    if (n == 0) return diag_error(sink, POFAC_ERR_INPUT, &place, "found an empty line, wanted a token");
    if (memchr(token, 0, n)) return diag_error(sink, POFAC_ERR_INPUT, &place, "found a 0 byte, wanted a token in UTF-8");
    if (!is_utf8(token, n))
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found bytes that are not UTF-8, wanted a token in UTF-8");
    return POFAC_OK;
}

/* Copies the lines into pool and offset, which are large enough. */
static pofac_status split_lines(vocabulary *v, const char *name, const char *bytes, size_t n_bytes, const diag_sink *sink) {
    uint32_t used = 0;
    for (size_t begin = 0; begin < n_bytes;) {
        const char *newline = memchr(bytes + begin, '\n', n_bytes - begin);
        size_t end = newline ? (size_t)(newline - bytes) : n_bytes;
        size_t n = end - begin;
        if (newline && n > 0 && bytes[end - 1] == '\r') n--;
        TRY(check_token(name, v->size + 1, bytes + begin, n, sink));
        v->offset[v->size++] = used;
        memcpy(v->pool + used, bytes + begin, n);
        v->pool[used + n] = '\0';
        used += (uint32_t)n + 1;
        begin = end + 1;
    }
    v->offset[v->size] = used;
    return POFAC_OK;
}

/* Of all tokens that appear twice, names the one whose second line comes first in the file. */
static pofac_status check_duplicates(const vocabulary *v, const trie_key *keys, const char *name, const diag_sink *sink) {
    int32_t first = -1, second = -1;
    for (size_t i = 1; i < v->size; i++) {
        if (trie_key_compare(&keys[i - 1], &keys[i]) != 0) continue;
        int32_t low = keys[i - 1].id < keys[i].id ? keys[i - 1].id : keys[i].id;
        int32_t high = keys[i - 1].id < keys[i].id ? keys[i].id : keys[i - 1].id;
        if (second < 0 || high < second) first = low, second = high;
    }
    if (second < 0) return POFAC_OK;
    diag_place place = {.file = name, .line = (uint32_t)second + 1};
    return diag_error(sink, POFAC_ERR_INPUT, &place, "found token \"%s\" again, which line %d has already; wanted each token once",
                      vocabulary_token(v, second), (int)first + 1);
}

static pofac_status build_trie(vocabulary *v, const char *name, const diag_sink *sink) {
    trie_key *keys = malloc(v->size * sizeof *keys);
    if (!keys) return diag_out_of_memory(sink);
    for (size_t i = 0; i < v->size; i++) {
        int32_t id = (int32_t)i;
        keys[i] = (trie_key){vocabulary_token(v, id), (uint32_t)vocabulary_token_bytes(v, id), id};
    }
    qsort(keys, v->size, sizeof *keys, trie_key_compare);
    pofac_status status = check_duplicates(v, keys, name, sink);
    if (status == POFAC_OK && !token_trie_build(&v->trie, keys, v->size)) status = diag_out_of_memory(sink);
    free(keys);
    return status;
}

static pofac_status find_specials(vocabulary *v, const char *name, const diag_sink *sink) {
    diag_place place = {.file = name};
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++) {
        const char *token = tokenizer_special_name((tokenizer_special)s);
        v->special_id[s] = token_trie_find(&v->trie, token, strlen(token));
        if (v->special_id[s] >= 0 || s == TOKENIZER_PAD || s == TOKENIZER_MASK) continue;
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found no %s among %zu tokens, wanted [UNK], [CLS] and [SEP]", token,
                          v->size);
    }
    return POFAC_OK;
}

static pofac_status fill(vocabulary *v, const char *name, const char *bytes, size_t n_bytes, const diag_sink *sink) {
    TRY(split_lines(v, name, bytes, n_bytes, sink));
    TRY(build_trie(v, name, sink));
    return find_specials(v, name, sink);
}

static size_t count_lines(const char *bytes, size_t n_bytes) {
    size_t lines = 0;
    const char *end = bytes + n_bytes;
    for (const char *at = bytes; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    return lines;
}

pofac_status vocabulary_parse(const char *name, const char *bytes, size_t n_bytes, const diag_sink *sink, vocabulary *out) {
    diag_place place = {.file = name};
    memset(out, 0, sizeof *out);
    if (n_bytes == 0) return diag_error(sink, POFAC_ERR_INPUT, &place, "found an empty file, wanted one token per line");
    if (n_bytes >= INT32_MAX) return diag_error(sink, POFAC_ERR_INPUT, &place, "found %zu bytes, wanted less than 2 GiB", n_bytes);
    if (n_bytes >= 3 && memcmp(bytes, byte_order_mark, 3) == 0)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = name, .line = 1},
                          "found a byte order mark, wanted UTF-8 that begins with the first token");
    out->pool = malloc(n_bytes + 1);
    out->offset = malloc((count_lines(bytes, n_bytes) + 1) * sizeof *out->offset);
    pofac_status status = out->pool && out->offset ? fill(out, name, bytes, n_bytes, sink) : diag_out_of_memory(sink);
    if (status != POFAC_OK) vocabulary_free(out);
    return status;
}

void vocabulary_free(vocabulary *v) {
    free(v->pool);
    free(v->offset);
    token_trie_free(&v->trie);
    memset(v, 0, sizeof *v);
}
