/*
 * Detokenizing: a pass over the tokens, each of which says whether a blank stands before and behind it. The rules are those that
 * language-model evaluations of WikiText use (Megatron-LM's and others' detokenizers), as a table over tokens instead of a row of
 * replacements.
 */
#include "frontend/data/detokenize.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

typedef enum fit { FIT_LEFT = 1, FIT_RIGHT = 2, FIT_BOTH = 3 } fit; /* no blank on these sides */

typedef struct token_rule {
    const char *token;
    fit fit;
    const char *text; /* NULL: the token itself */
} token_rule;

static const token_rule rules[] = {
    {"@-@", FIT_BOTH, "-"}, {"@,@", FIT_BOTH, ","}, {"@.@", FIT_BOTH, "."}, {",", FIT_LEFT, NULL},  {".", FIT_LEFT, NULL},
    {";", FIT_LEFT, NULL},  {":", FIT_LEFT, NULL},  {"!", FIT_LEFT, NULL},  {"?", FIT_LEFT, NULL},  {")", FIT_LEFT, NULL},
    {"]", FIT_LEFT, NULL},  {"}", FIT_LEFT, NULL},  {"%", FIT_LEFT, NULL},  {"”", FIT_LEFT, NULL},  {"’", FIT_LEFT, NULL},
    {"(", FIT_RIGHT, NULL}, {"[", FIT_RIGHT, NULL}, {"{", FIT_RIGHT, NULL}, {"“", FIT_RIGHT, NULL}, {"‘", FIT_RIGHT, NULL},
    {"$", FIT_RIGHT, NULL}, {"£", FIT_RIGHT, NULL}, {"€", FIT_RIGHT, NULL}, {"°", FIT_BOTH, NULL},
};

static const char *const word_endings[] = {"'s", "'t", "'m", "'d", "'re", "'ve", "'ll"};

typedef struct state {
    strbuf *out;
    bool has_text;     /* of the line, in `out` */
    bool fits_right;   /* the token before wants no blank behind it */
    bool in_quotation; /* between " and " */
    bool in_single;    /* between ' and ' */
} state;

static bool is_token(const char *token, size_t n, const char *wanted) {
    return strlen(wanted) == n && memcmp(token, wanted, n) == 0;
}

static bool is_word_ending(const char *token, size_t n) {
    for (size_t i = 0; i < sizeof word_endings / sizeof word_endings[0]; i++)
        if (strlen(word_endings[i]) == n && strncasecmp(token, word_endings[i], n) == 0) return true;
    return false;
}

static void put(state *s, const char *text, size_t n, fit how) {
    if (s->has_text && !s->fits_right && !(how & FIT_LEFT)) strbuf_putc(s->out, ' ');
    strbuf_append(s->out, text, n);
    s->has_text = true;
    s->fits_right = (how & FIT_RIGHT) != 0;
}

/* An opening or closing mark. */
static void put_quote(state *s, const char *token, bool *is_open) {
    put(s, token, 1, *is_open ? FIT_LEFT : FIT_RIGHT);
    *is_open = !*is_open;
}

/* ' behind an s, outside of quotations, is a plural's: the lobsters ' claws. */
static bool is_plural(const state *s) {
    return !s->in_single && s->has_text && s->out->size > 0 && s->out->data[s->out->size - 1] == 's';
}

/* Letters and digits of ASCII: no rule's token begins with one. */
static bool begins_word(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

static void put_token(state *s, const char *token, size_t n) {
    if (begins_word(*token)) {
        put(s, token, n, (fit)0);
        return;
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const token_rule *rule = &rules[i];
        if (!is_token(token, n, rule->token)) continue;
        put(s, rule->text ? rule->text : token, rule->text ? strlen(rule->text) : n, rule->fit);
        return;
    }
    if (is_token(token, n, "\"")) put_quote(s, token, &s->in_quotation);
    else if (is_token(token, n, "'") && is_plural(s)) put(s, token, n, FIT_LEFT);
    else if (is_token(token, n, "'")) put_quote(s, token, &s->in_single);
    else if (is_token(token, n, "<unk>")) put(s, "[UNK]", 5, (fit)0);
    else put(s, token, n, is_word_ending(token, n) ? FIT_LEFT : (fit)0);
}

void detokenize_line(const char *line, size_t n, strbuf *out) {
    state s = {.out = out};
    for (size_t at = 0; at < n;) {
        size_t end = at;
        while (end < n && line[end] != ' ') end++;
        if (end > at) put_token(&s, line + at, end - at);
        at = end + 1;
    }
}
