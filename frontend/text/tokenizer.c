/*
 * The tokenizer as its users see it: finds added tokens in the text, those with a role among them, and hands what lies between them to
 * the basic tokenizer; builds model inputs; and goes back from ids to text. What it does is the reference's: transformers' BertTokenizer, with
 * the options of the same names. One difference is meant: text between added tokens is lower-cased as a whole, so a Greek word ends
 * in the final sigma, as in BERT's own code, where some versions of the reference lower-case character by character.
 */
#include "frontend/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/text/added_tokens.h"
#include "frontend/text/basic_tokenizer.h"
#include "frontend/text/vocabulary.h"
#include "ir/support/file_map.h"
#include "ir/support/vector.h"

struct tokenizer {
    vocabulary vocab;
    basic_tokenizer basic;
    tokenizer_options options; /* with the defaults filled in */
    added_tokens added;
    size_t size; /* V: behind the last id */
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

static pofac_status add_specials(tokenizer *t, const diag_sink *sink) {
    t->size = t->vocab.size;
    for (int s = 0; s < TOKENIZER_N_SPECIALS; s++) {
        const added_token token = {.content = special_names[s], .id = t->vocab.special_id[s], .special = true};
        if (token.id >= 0 && !added_tokens_put(&t->added, &token)) return diag_out_of_memory(sink);
    }
    return added_tokens_index(&t->added, &t->basic.normalizer) ? POFAC_OK : diag_out_of_memory(sink);
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
    if (status == POFAC_OK) status = add_specials(t, sink);
    if (status == POFAC_OK) *out = t;
    else tokenizer_destroy(t);
    return status;
}

/* Finds the id of a token that is to be added, and checks the one that it came with. */
static pofac_status resolve_id(const tokenizer *t, const diag_place *place, const added_token *token, const diag_sink *sink,
                               int32_t *out) {
    const int32_t known = tokenizer_id(t, token->content, strlen(token->content));
    *out = known >= 0 ? known : token->id >= 0 ? token->id : (int32_t)t->size;
    if (token->content[0] == 0) return diag_error(sink, POFAC_ERR_INPUT, place, "found an added token \"\", wanted text");
    if (known >= 0 && token->id >= 0 && known != token->id)
        return diag_error(sink, POFAC_ERR_INPUT, place, "found id %d for the added token \"%s\", wanted %d as in the vocabulary",
                          token->id, token->content, known);
    if (known < 0 && token->id >= 0 && (size_t)token->id < t->vocab.size)
        return diag_error(sink, POFAC_ERR_INPUT, place,
                          "found id %d for the added token \"%s\", which the vocabulary has for \"%s\"", token->id, token->content,
                          vocabulary_token(&t->vocab, token->id));
    if (known < 0 && token->id < 0 && t->size >= INT32_MAX)
        return diag_error(sink, POFAC_ERR_INPUT, place, "found no id for the added token \"%s\": all are taken", token->content);
    return POFAC_OK;
}

/* No two tokens have one id. */
static pofac_status check_ids(const added_tokens *a, const diag_place *place, const diag_sink *sink) {
    for (size_t i = 0; i < a->n; i++) {
        const added_token *first = added_tokens_by_id(a, a->tokens[i].id);
        if (first == &a->tokens[i]) continue;
        return diag_error(sink, POFAC_ERR_INPUT, place, "found id %d for the added token \"%s\", which \"%s\" has already",
                          first->id, a->tokens[i].content, first->content);
    }
    return POFAC_OK;
}

pofac_status tokenizer_add(tokenizer *t, const char *file, const added_token *tokens, size_t n, const diag_sink *sink) {
    const diag_place place = {.file = file};
    for (size_t i = 0; i < n; i++) {
        added_token token = tokens[i];
        TRY(resolve_id(t, &place, &tokens[i], sink, &token.id));
        if (!added_tokens_put(&t->added, &token)) return diag_out_of_memory(sink);
        if ((size_t)token.id >= t->size) t->size = (size_t)token.id + 1;
    }
    if (!added_tokens_index(&t->added, &t->basic.normalizer)) return diag_out_of_memory(sink);
    return check_ids(&t->added, &place, sink);
}

void tokenizer_destroy(tokenizer *t) {
    if (!t) return;
    added_tokens_free(&t->added);
    vocabulary_free(&t->vocab);
    free(t);
}

/* ---- text to tokens ---- */

static bool add_match(const added_match *m, encoding *out) {
    return encoding_add(out, (encoding_token){.id = m->token->id, .begin = m->begin, .end = m->end});
}

/* Tokens of the normal form get their place in the text. */
static void go_back(const normal_text *normal, encoding *out, size_t first) {
    for (size_t i = first; i < out->size; i++) {
        encoding_token *token = &out->tokens[i];
        token->begin = normal->origin[token->begin].begin;
        token->end = normal->origin[token->end - 1].end;
    }
}

/* Appends the tokens of a text in normal form; places are those of this form. */
static bool encode_normal(const tokenizer *t, const text_range *r, encoding *out) {
    for (size_t at = r->begin; at < r->end;) {
        const added_match m = added_tokens_find(&t->added, &t->added.normal, r, at);
        if (!basic_tokenizer_run(&t->basic, (const char *)r->text, at, m.begin, out)) return false;
        if (m.token && !add_match(&m, out)) return false;
        at = m.end;
    }
    return true;
}

static bool encode_by_normal_form(const tokenizer *t, const text_range *r, normal_text *normal, encoding *out) {
    const size_t first = out->size;
    if (!normalizer_run(&t->basic.normalizer, r, normal)) return false;
    const text_range n = {(const uint8_t *)strbuf_str(&normal->bytes), 0, normal->bytes.size};
    if (!added_tokens_find(&t->added, &t->added.normal, &n, 0).token)
        return basic_tokenizer_run(&t->basic, (const char *)r->text, r->begin, r->end, out);
    if (!encode_normal(t, &n, out)) return false;
    go_back(normal, out, first);
    return true;
}

/* Appends the tokens of a range without literal tokens. Only where tokens are looked for in the normal form is that made. */
static bool encode_between(const tokenizer *t, const char *text, size_t begin, size_t end, encoding *out) {
    if (t->added.normal.n == 0 || begin == end) return basic_tokenizer_run(&t->basic, text, begin, end, out);
    normal_text normal = NORMAL_TEXT_INIT;
    bool ok = encode_by_normal_form(t, &(text_range){(const uint8_t *)text, begin, end}, &normal, out);
    normal_text_free(&normal);
    return ok;
}

static bool encode(const tokenizer *t, const char *text, size_t n_bytes, encoding *out) {
    const text_range r = {(const uint8_t *)text, 0, n_bytes};
    for (size_t at = 0; at < n_bytes;) {
        const added_match m = added_tokens_find(&t->added, &t->added.literal, &r, at);
        if (!encode_between(t, text, at, m.begin, out)) return false;
        if (m.token && !add_match(&m, out)) return false;
        at = m.end;
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

size_t tokenizer_vocab_size(const tokenizer *t) { return t->size; }

const char *tokenizer_token(const tokenizer *t, int32_t id) {
    if (id < 0 || (size_t)id >= t->size) return NULL;
    if ((size_t)id < t->vocab.size) return vocabulary_token(&t->vocab, id);
    const added_token *token = added_tokens_by_id(&t->added, id);
    return token ? token->content : special_names[TOKENIZER_UNK];
}

int32_t tokenizer_id(const tokenizer *t, const char *token, size_t n) {
    const added_token *added = added_tokens_by_content(&t->added, token, n);
    return added ? added->id : token_trie_find(&t->vocab.trie, token, n);
}

const added_token *tokenizer_added(const tokenizer *t, const char *content, size_t n) {
    return added_tokens_by_content(&t->added, content, n);
}

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
    const added_token *token = added_tokens_by_id(&t->added, id);
    return token && token->special;
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
