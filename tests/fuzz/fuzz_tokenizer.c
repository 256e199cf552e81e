/*
 * Any bytes as text, and as a vocabulary. The first byte chooses the options; the rest is the text and, with the highest bit, the
 * vocabulary as well; with both of the lowest bits, tokens are added that are found in text. Checked: offsets in order and within the text, ids within the vocabulary, the same tokens on the fast and on the
 * general path, inputs within their length.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/text/basic_tokenizer.h"
#include "frontend/text/tokenizer.h"
#include "tests/unit/text/small_vocabulary.h"

#define CHECK(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition)) __builtin_trap();                                                                                        \
    } while (0)

static tokenizer_flag flag_of(unsigned bits) {
    static const tokenizer_flag flags[4] = {TOKENIZER_UNSET, TOKENIZER_OFF, TOKENIZER_ON, TOKENIZER_UNSET};
    return flags[bits & 3];
}

/* Some of each kind, one within the other, and of a vocabulary the first line. */
static void add_tokens(tokenizer *t) {
    const added_token tokens[] = {
        {.content = "<e>", .id = -1, .lstrip = true, .rstrip = true},
        {.content = "e>", .id = -1, .normalized = true, .single_word = true},
        {.content = "un", .id = -1, .single_word = true, .rstrip = true},
        {.content = "É ", .id = -1, .normalized = true, .lstrip = true},
        {.content = "東京", .id = -1, .normalized = true, .rstrip = true},
        {.content = "\u1100\u1161", .id = -1, .normalized = true},
        {.content = " ", .id = -1, .normalized = true},
        {.content = tokenizer_token(t, 0), .id = 0, .normalized = true},
    };
    CHECK(tokenizer_add(t, "fuzz", tokens, sizeof tokens / sizeof *tokens, NULL) == POFAC_OK);
}

static void check_encoding(const tokenizer *t, const encoding *e, size_t n_bytes) {
    for (size_t i = 0; i < e->size; i++) {
        const encoding_token *token = &e->tokens[i];
        CHECK(token->id >= 0 && (size_t)token->id < tokenizer_vocab_size(t));
        CHECK(token->begin <= token->end && token->end <= n_bytes && token->type_id == 0);
        CHECK(token->begin < token->end || strcmp(tokenizer_token(t, token->id), " ") == 0); /* beside an ideograph */
        CHECK(i == 0 || (token[-1].begin <= token->begin && token[-1].end <= token->end));
    }
}

static void check_paths(const tokenizer *t, const vocabulary *v, const char *text, size_t n_bytes) {
    basic_tokenizer fast, general;
    encoding a = ENCODING_INIT, b = ENCODING_INIT;
    CHECK(basic_tokenizer_init(&fast, v, tokenizer_get_options(t), NULL) == POFAC_OK);
    general = fast;
    memset(general.kind_of, BYTE_OTHER, sizeof general.kind_of);
    CHECK(basic_tokenizer_run(&fast, text, 0, n_bytes, &a));
    CHECK(basic_tokenizer_run(&general, text, 0, n_bytes, &b));
    CHECK(a.size == b.size);
    for (size_t i = 0; i < a.size; i++)
        CHECK(a.tokens[i].id == b.tokens[i].id && a.tokens[i].begin == b.tokens[i].begin && a.tokens[i].end == b.tokens[i].end);
    encoding_free(&a);
    encoding_free(&b);
}

static void check_inputs(const tokenizer *t, const encoding *e, size_t max_length) {
    encoding out = ENCODING_INIT;
    CHECK(tokenizer_build_single(t, e, max_length, NULL, &out) == (max_length < 2 ? POFAC_ERR_USAGE : POFAC_OK));
    CHECK(out.size <= max_length);
    CHECK(tokenizer_build_pair(t, e, e, max_length, NULL, &out) == (max_length < 3 ? POFAC_ERR_USAGE : POFAC_OK));
    CHECK(max_length < 3 || (out.size <= max_length && out.size <= 2 * e->size + 3));
    encoding_free(&out);
}

static void check_decoding(const tokenizer *t, const encoding *e) {
    strbuf text = STRBUF_INIT;
    for (size_t i = 0; i < e->size; i++) tokenizer_decode(t, &e->tokens[i].id, 1, TOKENIZER_KEEP_SPECIALS, &text);
    CHECK(strbuf_ok(&text));
    strbuf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const unsigned choice = data[0];
    const char *text = (const char *)data + 1, *words = choice & 0x80 ? text : small_vocabulary;
    size_t n_bytes = size - 1, n_words = choice & 0x80 ? n_bytes : sizeof small_vocabulary - 1;
    tokenizer_options options = {.do_lower_case = flag_of(choice),
                                 .strip_accents = flag_of(choice >> 2),
                                 .tokenize_chinese_chars = flag_of(choice >> 4),
                                 .max_input_chars_per_word = choice & 0x40 ? 3 : 0};
    tokenizer *t = NULL;
    vocabulary v;
    pofac_status status = tokenizer_create_from_memory("fuzz", words, n_words, &options, NULL, &t);
    CHECK(status == vocabulary_parse("fuzz", words, n_words, NULL, &v));
    if (status != POFAC_OK) return 0;
    if ((choice & 3) == 3) add_tokens(t);
    encoding e = ENCODING_INIT;
    CHECK(tokenizer_encode(t, text, n_bytes, NULL, &e) == POFAC_OK);
    check_encoding(t, &e, n_bytes);
    check_paths(t, &v, text, n_bytes);
    check_inputs(t, &e, choice);
    check_decoding(t, &e);
    encoding_free(&e);
    vocabulary_free(&v);
    tokenizer_destroy(t);
    return 0;
}
