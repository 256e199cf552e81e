/*
 * The tokenizer as its users see it: finds special tokens literally in the text and hands what lies between them to the basic
 * tokenizer; builds model inputs; and goes back from ids to text. What it does is the reference's: transformers' BertTokenizer, with
 * the options of the same names. One difference is meant: text between special tokens is lower-cased as a whole, so a Greek word ends
 * in the final sigma, as in BERT's own code, where some versions of the reference lower-case character by character.
 */
#include "frontend/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/text/basic_tokenizer.h"
#include "frontend/text/vocabulary.h"
#include "ir/support/file_map.h"
#include "ir/support/vector.h"

struct tokenizer {
    vocabulary vocab;
    basic_tokenizer basic;
    tokenizer_options options; /* with the defaults filled in */
};

static const char *const special_names[TOKENIZER_N_SPECIALS] = {
    [TOKENIZER_PAD] = "[PAD]", [TOKENIZER_UNK] = "[UNK]",   [TOKENIZER_CLS] = "[CLS]",
    [TOKENIZER_SEP] = "[SEP]", [TOKENIZER_MASK] = "[MASK]",
};

/* ---- encodings ---- */

void encoding_free(encoding *e) {
    free(e->tokens);
    *e = (encoding)ENCODING_INIT;
}

static bool reserve(encoding *e, size_t wanted) {
    return vector_reserve((void **)&e->tokens, &e->capacity, sizeof *e->tokens, wanted);
}

bool encoding_add(encoding *e, encoding_token token) {
    if (e->size == e->capacity && !reserve(e, e->size + 1)) return false;
    e->tokens[e->size++] = token;
    return true;
}

/* ---- creation ---- */

static tokenizer_options resolve(const tokenizer_options *given) {
    tokenizer_options o = given ? *given : (tokenizer_options){0};
    if (o.do_lower_case == TOKENIZER_UNSET) o.do_lower_case = TOKENIZER_ON;
    if (o.strip_accents == TOKENIZER_UNSET) o.strip_accents = o.do_lower_case;
    if (o.tokenize_chinese_chars == TOKENIZER_UNSET) o.tokenize_chinese_chars = TOKENIZER_ON;
    if (o.max_input_chars_per_word == 0) o.max_input_chars_per_word = TOKENIZER_MAX_WORD_CHARACTERS;
    return o;
}

pofac_status tokenizer_create(const char *vocab_path, const tokenizer_options *options, const diag_sink *sink, tokenizer **out) {
    file_map file;
    *out = NULL;
    TRY(file_map_open(vocab_path, sink, &file));
    pofac_status status = tokenizer_create_from_memory(vocab_path, (const char *)file.data, file.size_bytes, options, sink, out);
    file_map_close(&file);
    return status;
}

pofac_status tokenizer_create_from_memory(const char *name, const char *bytes, size_t n_bytes, const tokenizer_options *options,
                                          const diag_sink *sink, tokenizer **out) {
    *out = NULL;
    if (options && options->max_input_chars_per_word > TOKENIZER_MAX_WORD_CHARACTERS)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "max_input_chars_per_word: found %zu, wanted 1 to %d",
                          options->max_input_chars_per_word, TOKENIZER_MAX_WORD_CHARACTERS);
    tokenizer *t = calloc(1, sizeof *t);
    if (!t) return diag_out_of_memory(sink);
    t->options = resolve(options);
    pofac_status status = vocabulary_parse(name, bytes, n_bytes, sink, &t->vocab);
    if (status == POFAC_OK) status = basic_tokenizer_init(&t->basic, &t->vocab, &t->options, sink);
    if (status == POFAC_OK) *out = t;
    else tokenizer_destroy(t);
    return status;
}

void tokenizer_destroy(tokenizer *t) {
    if (!t) return;
    vocabulary_free(&t->vocab);
    free(t);
}

/* ---- text to tokens ---- */

/* The special token that stands literally at text[at,end); TOKENIZER_N_SPECIALS if none does. */
static tokenizer_special special_at(const tokenizer *t, const char *text, size_t at, size_t end) {
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++) {
        size_t n = strlen(special_names[s]);
        if (t->vocab.special_id[s] >= 0 && end - at >= n && memcmp(text + at, special_names[s], n) == 0)
            return (tokenizer_special)s;
    }
    return TOKENIZER_N_SPECIALS;
}

/* The first special token in text[from,end) and where it begins; TOKENIZER_N_SPECIALS and `end` when there is none. */
static tokenizer_special find_special(const tokenizer *t, const char *text, size_t from, size_t end, size_t *where) {
    while (from < end) {
        const char *bracket = memchr(text + from, '[', end - from);
        if (!bracket) break;
        *where = (size_t)(bracket - text);
        tokenizer_special s = special_at(t, text, *where, end);
        if (s != TOKENIZER_N_SPECIALS) return s;
        from = *where + 1;
    }
    *where = end;
    return TOKENIZER_N_SPECIALS;
}

static bool encode(const tokenizer *t, const char *text, size_t n_bytes, encoding *out) {
    for (size_t at = 0; at < n_bytes;) {
        size_t where;
        tokenizer_special s = find_special(t, text, at, n_bytes, &where);
        if (!basic_tokenizer_run(&t->basic, text, at, where, out)) return false;
        at = where;
        if (s == TOKENIZER_N_SPECIALS) continue;
        at += strlen(special_names[s]);
        if (!encoding_add(out, (encoding_token){.id = t->vocab.special_id[s], .begin = where, .end = at})) return false;
    }
    return true;
}

pofac_status tokenizer_encode(const tokenizer *t, const char *text, size_t n_bytes, const diag_sink *sink, encoding *out) {
    out->size = 0;
    return encode(t, text, n_bytes, out) ? POFAC_OK : diag_out_of_memory(sink);
}

/* ---- inputs of a model ---- */

/* Appends the first n tokens of `e` and [SEP] to `out`, which has room for them. */
static void append_segment(const tokenizer *t, const encoding *e, size_t n, int32_t type_id, encoding *out) {
    for (size_t i = 0; i < n; i++) {
        encoding_token token = e->tokens[i];
        token.type_id = type_id;
        out->tokens[out->size++] = token;
    }
    out->tokens[out->size++] = (encoding_token){.id = t->vocab.special_id[TOKENIZER_SEP], .type_id = type_id};
}

static void append_cls(const tokenizer *t, encoding *out) {
    out->tokens[out->size++] = (encoding_token){.id = t->vocab.special_id[TOKENIZER_CLS]};
}

pofac_status tokenizer_build_single(const tokenizer *t, const encoding *a, size_t max_length, const diag_sink *sink,
                                    encoding *out) {
    if (max_length < 2)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "found a maximum length of %zu tokens, wanted at least 2 for [CLS] and [SEP]", max_length);
    size_t n_a = a->size < max_length - 2 ? a->size : max_length - 2;
    out->size = 0;
    if (!reserve(out, n_a + 2)) return diag_out_of_memory(sink);
    append_cls(t, out);
    append_segment(t, a, n_a, 0, out);
    return POFAC_OK;
}

pofac_status tokenizer_build_pair(const tokenizer *t, const encoding *a, const encoding *b, size_t max_length,
                                  const diag_sink *sink, encoding *out) {
    if (max_length < 3)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "found a maximum length of %zu tokens, wanted at least 3 for [CLS] and two times [SEP]", max_length);
    size_t n_a = a->size, n_b = b->size;
    tokenizer_truncate_longest_first(max_length - 3, &n_a, &n_b);
    out->size = 0;
    if (!reserve(out, n_a + n_b + 3)) return diag_out_of_memory(sink);
    append_cls(t, out);
    append_segment(t, a, n_a, 0, out);
    append_segment(t, b, n_b, 1, out);
    return POFAC_OK;
}

/* Closed form of the reference's loop "drop from A if it is longer than B, else from B": first the longer one shrinks to the length of
 * the other, then they shrink in turns, B first. */
void tokenizer_truncate_longest_first(size_t budget, size_t *n_a, size_t *n_b) {
    size_t *longer = *n_a > *n_b ? n_a : n_b, shorter = *n_a > *n_b ? *n_b : *n_a;
    if (*n_a <= budget && *n_b <= budget - *n_a) return;
    if (shorter <= budget / 2) {
        *longer = budget - shorter;
        return;
    }
    *n_a = budget - budget / 2;
    *n_b = budget / 2;
}

/* ---- the vocabulary ---- */

size_t tokenizer_vocab_size(const tokenizer *t) { return t->vocab.size; }

const char *tokenizer_token(const tokenizer *t, int32_t id) {
    return id >= 0 && (size_t)id < t->vocab.size ? vocabulary_token(&t->vocab, id) : NULL;
}

int32_t tokenizer_id(const tokenizer *t, const char *token, size_t n) { return token_trie_find(&t->vocab.trie, token, n); }

int32_t tokenizer_special_id(const tokenizer *t, tokenizer_special s) { return t->vocab.special_id[s]; }

const char *tokenizer_special_name(tokenizer_special s) { return special_names[s]; }

const tokenizer_options *tokenizer_get_options(const tokenizer *t) { return &t->options; }

/* ---- tokens to text ---- */

/* Replaces each `from` in b[begin,...) by `to`, which is shorter, from left to right. */
static void replace_all(strbuf *b, size_t begin, const char *from, const char *to) {
    const size_t n_from = strlen(from), n_to = strlen(to);
    size_t write = begin;
    for (size_t read = begin; read < b->size;) {
        if (b->size - read >= n_from && memcmp(b->data + read, from, n_from) == 0) {
            memcpy(b->data + write, to, n_to);
            write += n_to;
            read += n_from;
        } else {
            b->data[write++] = b->data[read++];
        }
    }
    b->size = write;
    b->data[write] = 0;
}

static bool is_special(const tokenizer *t, int32_t id) {
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++)
        if (id == t->vocab.special_id[s]) return true;
    return false;
}

void tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n, tokenizer_decoding mode, strbuf *out) {
    /* The reference's clean_up_tokenization, in its order. */
    static const char *const cleanup[][2] = {{" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
                                             {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    size_t begin = out->size;
    for (size_t i = 0; i < n; i++) {
        if (mode == TOKENIZER_SKIP_SPECIALS && is_special(t, ids[i])) continue;
        const char *token = tokenizer_token(t, ids[i]);
        if (!token) token = special_names[TOKENIZER_UNK];
        bool first = out->size == begin;
        if (!first && strncmp(token, "##", 2) == 0) token += 2;
        else if (!first) strbuf_putc(out, ' ');
        strbuf_puts(out, token);
    }
    if (!strbuf_ok(out) || out->size == begin) return;
    for (size_t i = 0; i < sizeof cleanup / sizeof *cleanup; i++) replace_all(out, begin, cleanup[i][0], cleanup[i][1]);
}
