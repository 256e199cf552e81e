/* Normal forms of answers, and their comparison; see answer_text.h. */
#include "frontend/data/answer_text.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/text/unicode_words.h"

/* Python's string.punctuation. */
static bool is_punctuation(char c) { return c && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c); }

static bool is_article(const char *word, size_t n) {
    return (n == 1 && *word == 'a') || (n == 2 && memcmp(word, "an", 2) == 0) || (n == 3 && memcmp(word, "the", 3) == 0);
}

/* Removes punctuation in place. */
static void remove_punctuation(strbuf *text) {
    size_t write = 0;
    for (size_t read = 0; read < text->size; read++)
        if (!is_punctuation(text->data[read])) text->data[write++] = text->data[read];
    text->size = write;
}

/* Appends `text` with articles and white space made single spaces, none at either end. An article is a run of the characters of
 * words (\b(a|an|the)\b); it parts what stands beside it. */
static void put_words(const strbuf *text, strbuf *out) {
    bool space = false;
    for (size_t at = 0; at < text->size;) {
        size_t begin = at;
        const int32_t c = unicode_next(text->data, text->size, &at);
        if (unicode_is_word(c)) {
            for (size_t next = at; next < text->size; at = next)
                if (!unicode_is_word(unicode_next(text->data, text->size, &next))) break;
        }
        if (unicode_is_space(c) || is_article(text->data + begin, at - begin)) {
            space = true;
            continue;
        }
        if (space && out->size > 0) strbuf_putc(out, ' ');
        space = false;
        strbuf_append(out, text->data + begin, at - begin);
    }
}

static pofac_status normalize(const answer_text *text, strbuf *scratch, const diag_sink *sink, strbuf *out) {
    strbuf_clear(scratch);
    strbuf_clear(out);
    TRY(unicode_put_lower(text->text, text->bytes, sink, scratch));
    if (scratch->size > 0) remove_punctuation(scratch);
    put_words(scratch, out);
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status answer_text_normalize(const answer_text *text, const diag_sink *sink, strbuf *out) {
    strbuf scratch = STRBUF_INIT;
    pofac_status status = normalize(text, &scratch, sink, out);
    strbuf_free(&scratch);
    return status;
}

void answer_texts_free(answer_texts *t) {
    strbuf_free(&t->predicted);
    strbuf_free(&t->wanted);
    strbuf_free(&t->words);
    VEC_FREE(&t->predicted_words);
    VEC_FREE(&t->wanted_words);
}

static int compare_words(const void *a, const void *b) {
    const answer_text *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->bytes < y->bytes ? x->bytes : y->bytes);
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The words of a normal form, sorted. A macro's type has no name, so the vector comes in as its parts. */
static bool split(const strbuf *text, answer_text **words, size_t *capacity, size_t *n) {
    *n = 0;
    for (size_t at = 0; at < text->size; at++) {
        const size_t length = strcspn(text->data + at, " ");
        if (!vector_reserve((void **)words, capacity, sizeof **words, *n + 1)) return false;
        (*words)[(*n)++] = (answer_text){text->data + at, length};
        at += length;
    }
    if (*n > 0) qsort(*words, *n, sizeof **words, compare_words);
    return true;
}

static double f1_of_words(const answer_texts *t, answer_rules rules) {
    const size_t n_predicted = t->predicted_words.size, n_wanted = t->wanted_words.size;
    size_t same = 0;
    if (rules == ANSWER_RULES_V2 && n_predicted == 0 && n_wanted == 0) return 1.0;
    for (size_t i = 0, k = 0; i < n_predicted && k < n_wanted;) {
        const int order = compare_words(&t->predicted_words.data[i], &t->wanted_words.data[k]);
        same += order == 0;
        i += order <= 0;
        k += order >= 0;
    }
    if (same == 0) return 0.0;
    const double precision = (double)same / (double)n_predicted, recall = (double)same / (double)n_wanted;
    return 2 * precision * recall / (precision + recall);
}

/* Compares with the text in t->wanted. */
static pofac_status take_best(answer_texts *t, answer_rules rules, const diag_sink *sink, answer_match *best) {
    if (!split(&t->wanted, &t->wanted_words.data, &t->wanted_words.capacity, &t->wanted_words.size))
        return diag_out_of_memory(sink);
    const double f1 = f1_of_words(t, rules);
    if (f1 > best->f1) best->f1 = f1;
    if (strcmp(strbuf_str(&t->wanted), strbuf_str(&t->predicted)) == 0) best->exact = true;
    return POFAC_OK;
}

pofac_status answer_texts_match(answer_texts *t, answer_rules rules, const answer_text *predicted, const answer_text *wanted,
                                size_t n_wanted, const diag_sink *sink, answer_match *out) {
    *out = (answer_match){0};
    TRY(normalize(predicted, &t->words, sink, &t->predicted));
    if (!split(&t->predicted, &t->predicted_words.data, &t->predicted_words.capacity, &t->predicted_words.size))
        return diag_out_of_memory(sink);
    for (size_t i = 0; i < n_wanted; i++) {
        TRY(normalize(&wanted[i], &t->words, sink, &t->wanted));
        if (rules == ANSWER_RULES_V2 && t->wanted.size == 0) continue;
        out->has_answer = true;
        TRY(take_best(t, rules, sink, out));
    }
    if (out->has_answer) return POFAC_OK;
    strbuf_clear(&t->wanted);
    return take_best(t, rules, sink, out);
}
