/*
 * Examples for pre-training: a corpus by hand with the pairs that it gives, generated documents against a slow implementation with one
 * array per sentence, shares of labels and lengths, and corners: one sentence, one document, long sentences (pitfall 24).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/segment_pairs.h"
#include "frontend/text/tokenizer.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"

enum { CLS = 60001, SEP = 60002 };

/* ---- documents ---- */

typedef struct corpus_case {
    pair_document *documents;
    size_t n;
    size_t token_bytes;
} corpus_case;

/* Document d has n_sentences[d] sentences; their lengths come from `length`, and tokens are numbered through the document from 100 * d. */
static corpus_case make_corpus(size_t n, size_t token_bytes, size_t (*sentences)(size_t d),
                               uint32_t (*length)(size_t d, size_t s)) {
    corpus_case c = {calloc(n, sizeof *c.documents), n, token_bytes};
    for (size_t d = 0; d < n; d++) {
        pair_document *doc = &c.documents[d];
        doc->n_sentences = sentences(d);
        uint32_t *lengths = calloc(doc->n_sentences, sizeof *lengths);
        for (size_t s = 0; s < doc->n_sentences; s++) doc->n_tokens += lengths[s] = length(d, s);
        unsigned char *tokens = calloc(doc->n_tokens, token_bytes);
        for (size_t t = 0; t < doc->n_tokens; t++) {
            const uint32_t wide = (uint32_t)((100 * d + t) % 60000);
            const uint16_t narrow = (uint16_t)wide;
            memcpy(tokens + t * token_bytes, token_bytes == 2 ? (const void *)&narrow : (const void *)&wide, token_bytes);
        }
        doc->lengths = lengths;
        doc->tokens = tokens;
    }
    return c;
}

static void free_corpus(corpus_case *c) {
    for (size_t d = 0; d < c->n; d++) {
        free((void *)c->documents[d].lengths);
        free((void *)c->documents[d].tokens);
    }
    free(c->documents);
}

static uint32_t token_at(const unsigned char *tokens, size_t width, size_t i) {
    uint32_t id = 0;
    memcpy(&id, tokens + i * width, width);
    return id;
}

static void make_all(const corpus_case *c, const segment_pairs_options *o, uint64_t first, pair_list *out) {
    const pair_pool pool = {c->documents, c->n, first};
    for (size_t i = 0; i < c->n; i++) assert_int_equal(segment_pairs_make(o, &pool, i, NULL, out), POFAC_OK);
}

/* ---- the slow implementation: the reference's steps one by one, on one array per sentence ---- */

typedef struct sentence {
    uint32_t ids[400];
    size_t n;
} sentence;

typedef struct slow_document {
    sentence *sentences;
    size_t n;
} slow_document;

typedef struct slow_state {
    rng_key key;
    uint64_t draw, document;
} slow_state;

static uint64_t slow_bits(slow_state *s) {
    rng_block b = rng_philox(s->key, s->draw++, s->document);
    return ((uint64_t)b.word[0] << 32) + b.word[1];
}

/* Like Python's random.randint(low, high) and random.random(). */
static size_t slow_int(slow_state *s, size_t low, size_t high) {
    const unsigned __int128 product = (unsigned __int128)slow_bits(s) * (high - low + 1);
    return low + (size_t)(product >> 64);
}
static double slow_unit(slow_state *s) { return ldexp((double)(slow_bits(s) >> 11), -53); }

static slow_document slow_copy(const pair_document *d, size_t width) {
    slow_document out = {calloc(d->n_sentences, sizeof(sentence)), d->n_sentences};
    size_t at = 0;
    for (size_t s = 0; s < d->n_sentences; s++)
        for (size_t t = 0; t < d->lengths[s]; t++) out.sentences[s].ids[out.sentences[s].n++] = token_at(d->tokens, width, at++);
    return out;
}

typedef struct slow_example {
    uint32_t ids[800];
    size_t n, second;
    int label;
} slow_example;

typedef struct slow_list {
    slow_example *examples;
    size_t n;
} slow_list;

typedef struct text_buffer {
    uint32_t ids[100000];
    size_t n;
} text_buffer;

static void extend(text_buffer *b, const sentence *s) {
    for (size_t i = 0; i < s->n; i++) b->ids[b->n++] = s->ids[i];
}

static void slow_add(slow_list *l, const text_buffer *a, const text_buffer *b, int label) {
    l->examples = realloc(l->examples, (l->n + 1) * sizeof *l->examples);
    slow_example *e = &l->examples[l->n++];
    *e = (slow_example){.label = label};
    e->ids[e->n++] = CLS;
    for (size_t i = 0; i < a->n; i++) e->ids[e->n++] = a->ids[i];
    e->ids[e->n++] = SEP;
    e->second = e->n;
    if (!b) return;
    for (size_t i = 0; i < b->n; i++) e->ids[e->n++] = b->ids[i];
    e->ids[e->n++] = SEP;
}

static void slow_pairs(const slow_document *documents, size_t n_documents, size_t index, size_t max_length, slow_state *s,
                       slow_list *out) {
    const slow_document *document = &documents[index];
    const size_t max_num_tokens = max_length - 3;
    size_t target = max_num_tokens, chunk[400], n_chunk = 0, length = 0;
    static text_buffer a, b;
    if (slow_unit(s) < 0.1) target = slow_int(s, 2, max_num_tokens);
    for (size_t i = 0; i < document->n; i++) {
        chunk[n_chunk++] = i;
        length += document->sentences[i].n;
        if (i != document->n - 1 && length < target) continue;
        size_t a_end = 1;
        if (n_chunk >= 2) a_end = slow_int(s, 1, n_chunk - 1);
        a.n = b.n = 0;
        for (size_t j = 0; j < a_end; j++) extend(&a, &document->sentences[chunk[j]]);
        int label;
        if (n_chunk == 1 || slow_unit(s) < 0.5) {
            label = 1;
            size_t other = 0;
            for (int t = 0; t < 10; t++) {
                other = slow_int(s, 0, n_documents - 1);
                if (other != index) break;
            }
            for (size_t j = slow_int(s, 0, documents[other].n - 1); j < documents[other].n; j++) {
                extend(&b, &documents[other].sentences[j]);
                if (b.n + a.n >= target) break;
            }
            i -= n_chunk - a_end;
        } else {
            label = 0;
            for (size_t j = a_end; j < n_chunk; j++) extend(&b, &document->sentences[chunk[j]]);
        }
        while (a.n + b.n > max_num_tokens) {
            if (a.n > b.n) a.n--;
            else b.n--;
        }
        slow_add(out, &a, &b, label);
        n_chunk = length = 0;
    }
}

static void slow_sentences(const slow_document *d, size_t max_length, slow_list *out) {
    const sentence separator = {{SEP}, 1};
    static text_buffer a;
    a.n = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (a.n && a.n + 1 + d->sentences[i].n > max_length - 2) {
            slow_add(out, &a, NULL, -1);
            a.n = 0;
        }
        if (a.n) extend(&a, &separator);
        extend(&a, &d->sentences[i]);
        if (a.n > max_length - 2) a.n = max_length - 2;
    }
    slow_add(out, &a, NULL, -1);
}

static void slow_running_text(const slow_document *documents, size_t n, size_t max_length, slow_list *out) {
    const sentence separator = {{SEP}, 1};
    static text_buffer all, piece;
    all.n = 0;
    for (size_t d = 0; d < n; d++) {
        if (d) extend(&all, &separator);
        for (size_t s = 0; s < documents[d].n; s++) extend(&all, &documents[d].sentences[s]);
    }
    for (size_t at = 0; at < all.n; at += max_length - 2) {
        piece.n = all.n - at < max_length - 2 ? all.n - at : max_length - 2;
        memcpy(piece.ids, all.ids + at, piece.n * sizeof *piece.ids);
        slow_add(out, &piece, NULL, -1);
    }
}

static slow_list slow_all(const corpus_case *c, const segment_pairs_options *o, uint64_t first) {
    slow_document *documents = calloc(c->n, sizeof *documents);
    slow_list out = {NULL, 0};
    for (size_t d = 0; d < c->n; d++) documents[d] = slow_copy(&c->documents[d], c->token_bytes);
    for (size_t d = 0; d < c->n; d++) {
        slow_state s = {rng_key_make(o->seed, "segment pairs"), 0, first + d};
        if (o->mode == PAIR_MODE_segment_pair_nsp) slow_pairs(documents, c->n, d, o->max_length, &s, &out);
        if (o->mode == PAIR_MODE_doc_sentences) slow_sentences(&documents[d], o->max_length, &out);
    }
    if (o->mode == PAIR_MODE_concatenate) slow_running_text(documents, c->n, o->max_length, &out);
    for (size_t d = 0; d < c->n; d++) free(documents[d].sentences);
    free(documents);
    return out;
}

static void check_equal(const pair_list *found, const slow_list *wanted, size_t width) {
    for (size_t i = 0; i < wanted->n && i < found->examples.size; i++) {
        const pair_example *f = &found->examples.data[i];
        const slow_example *w = &wanted->examples[i];
        if (f->n_tokens != w->n || f->second != w->second || f->label != w->label)
            fail_msg("example %zu: found %d tokens, second %d, label %d; wanted %zu, %zu, %d", i, f->n_tokens, f->second, f->label,
                     w->n, w->second, w->label);
        for (size_t t = 0; t < w->n; t++) {
            const uint32_t id = token_at(found->tokens.data, width, f->begin + t);
            if (id != w->ids[t]) fail_msg("example %zu, token %zu: found %u, wanted %u", i, t, id, w->ids[t]);
        }
    }
    assert_int_equal(found->examples.size, wanted->n);
}

/* ---- tests ---- */

static size_t three(size_t d) { return 2 + d % 3; }
static uint32_t short_lengths(size_t d, size_t s) { return (uint32_t)(1 + (d + 2 * s) % 4); }

/* Ten documents of two to four sentences of one to four tokens; S = 11. */
static void documents_by_hand_give_these_pairs(void **state) {
    (void)state;
    static const char *const wanted[] = {
        "[CLS] 0 [SEP] 100 101 102 103 104 105 [SEP]: random",
        "[CLS] 1 2 3 [SEP] 502 503 504 505 [SEP]: random",
        "[CLS] 100 101 [SEP] 102 103 104 105 106 107 [SEP]: next",
        "[CLS] 200 201 202 203 [SEP] 204 205 206 207 [SEP]: next",
        "[CLS] 300 301 302 303 [SEP] 805 806 807 [SEP]: random",
        "[CLS] 304 305 [SEP] 700 701 702 703 704 705 [SEP]: random",
        "[CLS] 400 401 402 403 [SEP] 404 [SEP]: next",
        "[CLS] 500 501 502 503 504 505 [SEP] 506 507 [SEP]: next",
        "[CLS] 508 509 510 511 [SEP] 0 1 2 3 [SEP]: random",
        "[CLS] 600 601 602 [SEP] 401 402 403 404 [SEP]: random",
        "[CLS] 603 [SEP] 704 705 706 707 708 709 [SEP]: random",
        "[CLS] 700 701 702 703 [SEP] 300 301 302 303 [SEP]: random",
        "[CLS] 704 705 [SEP] 706 707 708 709 [SEP]: next",
        "[CLS] 800 801 802 803 804 [SEP] 805 806 807 [SEP]: next",
        "[CLS] 900 901 [SEP] 902 903 904 905 [SEP]: next",
    };
    corpus_case c = make_corpus(10, 2, three, short_lengths);
    const segment_pairs_options o = {PAIR_MODE_segment_pair_nsp, 42, 11, 2, CLS, SEP};
    pair_list list = {0};
    make_all(&c, &o, 0, &list);
    for (size_t i = 0; i < list.examples.size; i++) {
        const pair_example *e = &list.examples.data[i];
        char line[200] = "";
        for (size_t t = 0; t < e->n_tokens; t++) {
            const uint32_t id = token_at(list.tokens.data, 2, e->begin + t);
            if (id == CLS) strcat(line, "[CLS]");
            else if (id == SEP) strcat(line, " [SEP]");
            else snprintf(line + strlen(line), 20, " %u", id);
        }
        strcat(line, e->label == PAIR_IS_NEXT ? ": next" : ": random");
        if (i < sizeof wanted / sizeof *wanted) assert_string_equal(line, wanted[i]);
    }
    assert_int_equal(list.examples.size, sizeof wanted / sizeof *wanted);
    pair_list_free(&list);
    free_corpus(&c);
}

static uint64_t generator_seed;

static size_t any_sentences(size_t d) {
    const uint64_t kind = rng_below(rng_key_make(generator_seed, "kind"), d, 4);
    return kind == 0 ? 1 : 1 + (size_t)rng_below(rng_key_make(generator_seed, "sentences"), d, kind == 1 ? 3 : 40);
}
static uint32_t any_length(size_t d, size_t s) {
    const uint64_t kind = rng_below(rng_key_make(generator_seed, "long"), d * 1000 + s, 20);
    return 1 + (uint32_t)rng_below(rng_key_make(generator_seed, "length"), d * 1000 + s, kind == 0 ? 300 : 30);
}

static void generated_documents_equal_the_slow_implementation(void **state) {
    (void)state;
    static const size_t lengths[] = {5, 6, 9, 16, 32, 64, 128, 384};
    for (generator_seed = 0; generator_seed < 24; generator_seed++) {
        const size_t width = generator_seed % 2 ? 4 : 2, n = generator_seed % 5 == 0 ? 1 : 10 + generator_seed;
        corpus_case c = make_corpus(n, width, any_sentences, any_length);
        for (int mode = 0; mode < N_PAIR_MODES; mode++) {
            const segment_pairs_options o = {(pair_mode)mode, generator_seed, lengths[generator_seed % 8], width, CLS, SEP};
            pair_list found = {0};
            slow_list wanted = slow_all(&c, &o, 1000 * generator_seed);
            make_all(&c, &o, 1000 * generator_seed, &found);
            check_equal(&found, &wanted, width);
            free(wanted.examples);
            pair_list_free(&found);
        }
        free_corpus(&c);
    }
}

static size_t many_sentences(size_t d) { return 20 + d % 30; }
static uint32_t usual_length(size_t d, size_t s) { return 15 + (uint32_t)((7 * d + 13 * s) % 21); }

/* Half of the pairs that could be either are random ones, and a tenth of the documents has another target. */
static void shares_are_those_of_the_specification(void **state) {
    (void)state;
    corpus_case c = make_corpus(1000, 2, many_sentences, usual_length);
    const segment_pairs_options o = {PAIR_MODE_segment_pair_nsp, 42, 128, 2, CLS, SEP};
    const pair_pool pool = {c.documents, c.n, 0};
    size_t n_random = 0, n_all = 0, n_short = 0;
    for (size_t d = 0; d < c.n; d++) {
        pair_list list = {0};
        assert_int_equal(segment_pairs_make(&o, &pool, d, NULL, &list), POFAC_OK);
        size_t most = 0;
        for (size_t i = 0; i < list.examples.size; i++) {
            n_random += list.examples.data[i].label == PAIR_IS_RANDOM;
            if (list.examples.data[i].n_tokens > most) most = list.examples.data[i].n_tokens;
        }
        n_all += list.examples.size;
        n_short += most < 100; /* with the usual target, pairs have nearly 128 tokens */
        pair_list_free(&list);
    }
    const double share = (double)n_random / (double)n_all, bound = 4 * sqrt(0.25 / (double)n_all);
    if (n_all < 5000) fail_msg("found %zu pairs, wanted more than 5000", n_all);
    /* The last sentence of a document alone is always random: a little more than one half. */
    if (share < 0.5 - bound || share > 0.55 + bound) fail_msg("found %.4f random pairs of %zu, wanted 0.50 to 0.55", share, n_all);
    /* 10 % of 1000 documents, of which those with a target of 100 and more are not seen: 7.6 %, +- 4 standard deviations. */
    if (n_short < 43 || n_short > 110) fail_msg("found %zu of 1000 documents with short pairs, wanted 43 to 110", n_short);
    free_corpus(&c);
}

static size_t one(size_t d) {
    (void)d;
    return 1;
}

static void documents_of_one_sentence_give_one_random_pair_each(void **state) {
    (void)state;
    corpus_case c = make_corpus(10, 2, one, usual_length);
    const segment_pairs_options o = {PAIR_MODE_segment_pair_nsp, 1, 64, 2, CLS, SEP};
    pair_list list = {0};
    make_all(&c, &o, 0, &list);
    assert_int_equal(list.examples.size, 10);
    for (size_t i = 0; i < 10; i++) {
        const pair_example *e = &list.examples.data[i];
        assert_int_equal(e->label, PAIR_IS_RANDOM);
        const uint32_t a = token_at(list.tokens.data, 2, e->begin + 1) / 100,
                       b = token_at(list.tokens.data, 2, e->begin + e->second) / 100;
        assert_int_equal(a, i);
        assert_int_not_equal(b, i);
    }
    pair_list_free(&list);
    free_corpus(&c);
}

static uint32_t thousand(size_t d, size_t s) {
    (void)d, (void)s;
    return 1000;
}

/* A sentence longer than S; a pool of one document takes its other segments from itself. */
static void long_sentences_and_single_documents(void **state) {
    (void)state;
    corpus_case c = make_corpus(1, 4, three, thousand);
    for (size_t length = PAIR_LEAST_LENGTH; length < 20; length++) {
        const segment_pairs_options o = {PAIR_MODE_segment_pair_nsp, length, length, 4, CLS, SEP};
        pair_list list = {0};
        make_all(&c, &o, 0, &list);
        assert_true(list.examples.size > 0);
        for (size_t i = 0; i < list.examples.size; i++) {
            const pair_example *e = &list.examples.data[i];
            assert_int_equal(e->n_tokens, length);
            const size_t a = e->second - 2u, b = e->n_tokens - e->second - 1u;
            assert_true(a >= 1 && b >= 1 && (a == b || a + 1 == b || b + 1 == a));
        }
        pair_list_free(&list);
    }
    free_corpus(&c);
}

static void a_document_does_not_depend_on_the_others_being_made(void **state) {
    (void)state;
    corpus_case c = make_corpus(30, 2, many_sentences, usual_length);
    const segment_pairs_options o = {PAIR_MODE_segment_pair_nsp, 7, 128, 2, CLS, SEP};
    const pair_pool pool = {c.documents, c.n, 5};
    pair_list all = {0};
    size_t at = 0;
    make_all(&c, &o, 5, &all);
    for (size_t d = 0; d < c.n; d++) {
        pair_list alone = {0};
        assert_int_equal(segment_pairs_make(&o, &pool, d, NULL, &alone), POFAC_OK);
        const size_t begin = (size_t)all.examples.data[at].begin;
        assert_memory_equal(alone.tokens.data, all.tokens.data + 2 * begin, alone.tokens.size);
        at += alone.examples.size;
        pair_list_free(&alone);
    }
    assert_int_equal(at, all.examples.size);
    pair_list_free(&all);
    free_corpus(&c);
}

static void pools_are_blocks_of_a_thousand(void **state) {
    (void)state;
    static const struct {
        uint64_t n, document, begin, end;
    } cases[] = {
        {10, 0, 0, 10},           {10, 9, 0, 10},       {1000, 999, 0, 1000},     {1009, 0, 0, 1009},
        {1009, 1008, 0, 1009},    {1010, 999, 0, 1000}, {1010, 1000, 1000, 1010}, {2000, 999, 0, 1000},
        {2000, 1999, 1000, 2000}, {2003, 999, 0, 1000}, {2003, 1000, 1000, 2003}, {2003, 2002, 1000, 2003},
        {2500, 2100, 2000, 2500}, {3, 1, 0, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t begin, end;
        segment_pairs_pool(cases[i].n, cases[i].document, &begin, &end);
        if (begin != cases[i].begin || end != cases[i].end)
            fail_msg("document %llu of %llu: found [%llu,%llu)", (unsigned long long)cases[i].document,
                     (unsigned long long)cases[i].n, (unsigned long long)begin, (unsigned long long)end);
    }
}

static void modes_have_names(void **state) {
    (void)state;
    pair_mode mode;
    for (int i = 0; i < N_PAIR_MODES; i++) {
        assert_true(pair_mode_parse(pair_mode_name((pair_mode)i), &mode));
        assert_int_equal(mode, i);
        assert_true(strlen(pair_mode_meaning((pair_mode)i)) > 10);
    }
    assert_false(pair_mode_parse("pairs", &mode));
    assert_false(pair_mode_parse("", &mode));
}

static void short_memory_is_reported(void **state) {
    (void)state;
    corpus_case c = make_corpus(10, 2, three, usual_length);
    const pair_pool pool = {c.documents, c.n, 0};
    for (int mode = 0; mode < N_PAIR_MODES; mode++) {
        const segment_pairs_options o = {(pair_mode)mode, 7, 32, 2, CLS, SEP};
        for (size_t n = 1;; n++) {
            pair_list list = {0};
            fail_alloc_after(n);
            pofac_status status = segment_pairs_make(&o, &pool, 2, NULL, &list);
            const bool failed = fail_alloc_stop();
            pair_list_free(&list);
            assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
            if (!failed) break;
        }
    }
    free_corpus(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_by_hand_give_these_pairs),
        cmocka_unit_test(generated_documents_equal_the_slow_implementation),
        cmocka_unit_test(shares_are_those_of_the_specification),
        cmocka_unit_test(documents_of_one_sentence_give_one_random_pair_each),
        cmocka_unit_test(long_sentences_and_single_documents),
        cmocka_unit_test(a_document_does_not_depend_on_the_others_being_made),
        cmocka_unit_test(pools_are_blocks_of_a_thousand),
        cmocka_unit_test(modes_have_names),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
