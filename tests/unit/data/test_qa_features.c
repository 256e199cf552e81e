/*
 * Windows and labels of questions, held against a slow, separate reference on generated contexts: words of one to four bytes a
 * character, white space of all kinds, pieces of words, long questions, answers at borders and within words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/qa_examples.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

static const char vocabulary[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n##a\n##b\nab\nba\n##ab\n.\n\u6771\n\u4eac\ne\n##e\ne\u0301\n\U0001F600\nx\n##x\n";

static tokenizer *make_tokenizer(void) {
    tokenizer *t;
    assert_int_equal(tokenizer_create_from_memory("vocabulary", vocabulary, sizeof vocabulary - 1, NULL, NULL, &t), POFAC_OK);
    return t;
}

/* ---- the reference ---- */

typedef struct window {
    size_t first, size; /* tokens of the context */
} window;

/* Slides token by token: a window begins at 0; the next begins `step` behind it as long as a token is left that none has held. */
static size_t slide(size_t n_context, size_t room, size_t step, window *out, size_t most) {
    size_t n = 0, first = 0;
    bool done = false;
    while (!done) {
        assert_true(n < most);
        out[n].first = first;
        out[n].size = 0;
        for (size_t i = first; i < n_context && out[n].size < room; i++) out[n].size++;
        done = first + out[n].size == n_context;
        n++;
        first += step;
    }
    return n;
}

/* BERT's run_squad.py, _check_is_max_context, in its own arithmetic. */
static size_t best_window(const window *w, size_t n, size_t token) {
    double best_score = -1.0;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        const size_t end = w[i].first + w[i].size - 1;
        if (w[i].size == 0 || token < w[i].first || token > end) continue;
        const size_t left = token - w[i].first, right = end - token;
        const double score = (double)(left < right ? left : right) + 0.01 * (double)w[i].size;
        if (best == SIZE_MAX || score > best_score) best = i;
        if (best == i) best_score = score;
    }
    return best;
}

typedef struct qa_case {
    strbuf context, question;
    size_t begin, end; /* bytes of the answer; equal: there is none */
} qa_case;

/* Which tokens have a byte of the answer, byte by byte. */
static bool answer_tokens(const encoding *context, const qa_case *c, size_t *first, size_t *last) {
    bool found = false;
    for (size_t i = 0; i < context->size; i++)
        for (size_t at = c->begin; at < c->end; at++) {
            if (at < context->tokens[i].begin || at >= context->tokens[i].end) continue;
            if (!found) *first = i;
            *last = i;
            found = true;
        }
    return found;
}

/* ---- generated cases ---- */

static void put_words(rng_key key, uint64_t at, size_t n, strbuf *out) {
    static const char *const words[] = {"a",       "ab",      "abab",       "ba.", "b.a",    "\u6771", "\u6771\u4eac",
                                        "\u00e9a", "e\u0301", "\U0001F600", "xxx", "\u200b", "zz",     "A"};
    static const char *const spaces[] = {" ", " ", "  ", "\n", "\u00a0", "\u3000", ""};
    for (size_t i = 0; i < n; i++) {
        strbuf_puts(out, words[rng_below(key, at + 2 * i, sizeof words / sizeof *words)]);
        strbuf_puts(out, spaces[rng_below(key, at + 2 * i + 1, sizeof spaces / sizeof *spaces)]);
    }
}

static bool begins_character(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

/* The first place of a character from `at` on. */
static size_t next_character(const strbuf *text, size_t at) {
    while (at < text->size && !begins_character(text->data[at])) at++;
    return at;
}

static void make_case(rng_key key, uint64_t number, qa_case *c) {
    const uint64_t at = number * 4096;
    *c = (qa_case){STRBUF_INIT, STRBUF_INIT, 0, 0};
    put_words(key, at, rng_below(key, at + 4000, 120), &c->context);
    put_words(key, at + 1000, rng_below(key, at + 4001, rng_below(key, at + 4002, 4) ? 6 : 40), &c->question);
    if (c->context.size == 0 || rng_below(key, at + 4003, 5) == 0) return;
    /* of any length, often at the end or the beginning */
    const uint64_t kind = rng_below(key, at + 4004, 4);
    c->begin = kind == 0 ? 0 : next_character(&c->context, rng_below(key, at + 4005, c->context.size));
    c->end = kind == 1 ? c->context.size : next_character(&c->context, c->begin + rng_below(key, at + 4006, 24));
}

static void check_feature(const qa_feature *f, const window *w, const encoding *question, size_t n_question,
                          const encoding *context) {
    const encoding *e = f->input;
    assert_int_equal(e->size, n_question + w->size + 3);
    assert_int_equal(f->context_at, n_question + 2);
    assert_int_equal(f->n_context, w->size);
    assert_int_equal(f->first, w->first);
    for (size_t i = 0; i < e->size; i++) {
        const bool in_context = i >= n_question + 2, special = i == 0 || i == n_question + 1 || i + 1 == e->size;
        const encoding_token wanted = special      ? (encoding_token){.id = i == 0 ? 2 : 3}
                                      : in_context ? context->tokens[w->first + i - n_question - 2]
                                                   : question->tokens[i - 1];
        if (e->tokens[i].id != wanted.id || e->tokens[i].begin != wanted.begin || e->tokens[i].end != wanted.end ||
            e->tokens[i].type_id != in_context)
            fail_msg("token %zu of %zu: id %d at %zu, wanted %d at %zu", i, e->size, e->tokens[i].id, e->tokens[i].begin, wanted.id,
                     wanted.begin);
    }
}

typedef struct tally {
    size_t features, labelled, split, cut, refused, unaligned;
} tally;

static void check_case(const tokenizer *t, const qa_window_options *o, const qa_case *c, uint64_t number, tally *sum) {
    const squad_answer answer = {{strbuf_str(&c->context) + c->begin, c->end - c->begin}, c->begin};
    const squad_question q = {.id = {"id", 2},
                              .context = {strbuf_str(&c->context), c->context.size},
                              .question = {strbuf_str(&c->question), c->question.size},
                              .answers = &answer,
                              .n_answers = c->end > c->begin,
                              .paragraph = number};
    encoding question = ENCODING_INIT, context = ENCODING_INIT;
    static window windows[4096];
    qa_features *f;
    size_t n_windows, first = 0, last = 0, labelled = 0;
    assert_int_equal(tokenizer_encode(t, q.question.text, q.question.bytes, NULL, &question), POFAC_OK);
    assert_int_equal(tokenizer_encode(t, q.context.text, q.context.bytes, NULL, &context), POFAC_OK);
    assert_int_equal(qa_features_create(t, o, NULL, &f), POFAC_OK);
    const size_t n_question = question.size < o->max_query_length ? question.size : o->max_query_length;
    const pofac_status status = qa_features_begin(f, "f", &q, NULL, &n_windows);
    const size_t room = o->max_seq_length > n_question + 3 ? o->max_seq_length - n_question - 3 : 0;
    const bool overlaps = o->stride == QA_STRIDE_OVERLAP;
    if (room == 0 || (overlaps && context.size > room && o->doc_stride >= room)) {
        assert_int_equal(status, POFAC_ERR_INPUT);
        sum->refused++;
    } else {
        assert_int_equal(status, POFAC_OK);
        const size_t step = !overlaps              ? (o->doc_stride < room ? o->doc_stride : room)
                            : room > o->doc_stride ? room - o->doc_stride
                                                   : 1;
        assert_int_equal(n_windows, slide(context.size, room, step, windows, 4096));
        const bool has_answer = answer_tokens(&context, c, &first, &last);
        for (size_t i = 0; i < n_windows; i++) {
            qa_feature feature;
            assert_int_equal(qa_features_get(f, i, NULL, &feature), POFAC_OK);
            check_feature(&feature, &windows[i], &question, n_question, &context);
            const bool whole = has_answer && first >= windows[i].first && last < windows[i].first + windows[i].size;
            if (feature.has_answer != whole) fail_msg("case %d, window %zu: has_answer %d", (int)number, i, feature.has_answer);
            assert_int_equal(feature.start, whole ? n_question + 2 + first - windows[i].first : 0);
            assert_int_equal(feature.end, whole ? n_question + 2 + last - windows[i].first : 0);
            labelled += whole;
            for (size_t token = windows[i].first; token < windows[i].first + windows[i].size; token++)
                if (qa_windows_has_most_context(qa_features_windows(f), i, token) != (best_window(windows, n_windows, token) == i))
                    fail_msg("case %d, window %zu: token %zu's most context", (int)number, i, token);
        }
        const qa_feature_counts counts = qa_features_counts(f);
        assert_int_equal(counts.features, n_windows);
        assert_int_equal(counts.with_answer, labelled);
        assert_int_equal(counts.cut_questions, question.size > n_question);
        assert_int_equal(counts.split, has_answer && labelled == 0);
        assert_int_equal(counts.unaligned, c->end > c->begin && !has_answer);
        sum->features += n_windows;
        sum->labelled += labelled;
        sum->split += counts.split;
        sum->cut += counts.cut_questions;
        sum->unaligned += counts.unaligned;
    }
    qa_features_destroy(f);
    encoding_free(&question);
    encoding_free(&context);
}

static void generated_contexts(void **state) {
    (void)state;
    tokenizer *t = make_tokenizer();
    const rng_key key = rng_key_make(7, "contexts");
    tally sum = {0};
    for (uint64_t i = 0; i < 3000; i++) {
        qa_window_options o = {.max_seq_length = 8 + rng_below(key, i * 4096 + 4010, 60),
                               .max_query_length = 3 + rng_below(key, i * 4096 + 4011, 12),
                               .stride = rng_below(key, i * 4096 + 4012, 3) ? QA_STRIDE_STARTS : QA_STRIDE_OVERLAP};
        o.doc_stride = 1 + rng_below(key, i * 4096 + 4013, o.max_seq_length - 1);
        qa_case c;
        make_case(key, i, &c);
        check_case(t, &o, &c, i, &sum);
        strbuf_free(&c.context);
        strbuf_free(&c.question);
    }
    /* every kind of case was there */
    assert_true(sum.features > 10000 && sum.labelled > 1000 && sum.split > 100 && sum.cut > 100 && sum.refused > 10 &&
                sum.unaligned > 10);
    tokenizer_destroy(t);
}

/* All sizes around the borders: nothing is dropped at the end, whatever the stride. */
static void every_small_size(void **state) {
    (void)state;
    static window windows[64];
    for (size_t n = 0; n <= 20; n++)
        for (size_t room = 1; room <= 8; room++)
            for (size_t stride = 1; stride < room + 4; stride++) {
                const qa_window_options o = {.max_seq_length = room + 4, .doc_stride = stride, .max_query_length = 64};
                qa_windows w;
                assert_int_equal(qa_windows_cut(&o, 1, n, NULL, NULL, &w), POFAC_OK);
                assert_int_equal(w.count, slide(n, room, stride < room ? stride : room, windows, 64));
                for (size_t i = 0; i < w.count; i++) {
                    assert_int_equal(qa_windows_first(&w, i), windows[i].first);
                    assert_int_equal(qa_windows_size(&w, i), windows[i].size);
                }
            }
}

/* ---- what is refused ---- */

static void expect_options(size_t max_seq_length, size_t doc_stride, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    qa_window_options o = {.max_seq_length = max_seq_length, .doc_stride = doc_stride};
    assert_int_equal(qa_window_options_check(&o, &sink), *wanted ? POFAC_ERR_USAGE : POFAC_OK);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
}

static void options_that_make_no_windows(void **state) {
    (void)state;
    expect_options(384, 128, "");
    expect_options(384, 383, "");
    expect_options(384, 384, "error: --doc_stride is 384, wanted less than the 384 tokens of a window (--max_seq_length)\n");
    expect_options(4, 1, "");
    expect_options(3, 1, "error: --max_seq_length is 3, wanted at least 4 for a question and its context\n");
    qa_window_options o = {.max_seq_length = 384};
    assert_int_equal(qa_window_options_check(&o, NULL), POFAC_OK);
    assert_int_equal(o.doc_stride, 128);
    assert_int_equal(o.max_query_length, 64);
    o = (qa_window_options){.max_seq_length = 32};
    assert_int_equal(qa_window_options_check(&o, NULL), POFAC_OK);
    assert_int_equal(o.doc_stride, 11);
}

static void expect_cut(const qa_window_options *o, size_t n_question, size_t n_context, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    qa_windows w;
    assert_int_equal(qa_windows_cut(o, n_question, n_context, &(diag_place){.file = "f", .line = 3}, &sink, &w),
                     *wanted ? POFAC_ERR_INPUT : POFAC_OK);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
}

static void questions_that_leave_no_room(void **state) {
    (void)state;
    qa_window_options o = {.max_seq_length = 12, .doc_stride = 4, .max_query_length = 64};
    expect_cut(&o, 8, 100, "");
    expect_cut(&o, 9, 100, "f:3: error: the question has 9 tokens, which leaves no room for the context in 12\n");
    o.max_query_length = 8;
    expect_cut(&o, 4000, 100, "");
    o.stride = QA_STRIDE_OVERLAP;
    expect_cut(&o, 4, 100, "");
    expect_cut(&o, 5, 4, "");
    expect_cut(&o, 5, 5,
               "f:3: error: the question has 5 tokens, which leaves windows of 4 tokens of the context, wanted more than "
               "--doc_stride 4\n");
}

static void messages_name_the_question(void **state) {
    (void)state;
    tokenizer *t = make_tokenizer();
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    const qa_window_options o = {.max_seq_length = 5};
    const squad_question q = {.id = {"5733", 4}, .question = {"a a", 3}, .context = {"a", 1}};
    qa_features *f;
    size_t n;
    assert_int_equal(qa_features_create(t, &o, &sink, &f), POFAC_OK);
    assert_int_equal(qa_features_begin(f, "dev.json", &q, &sink, &n), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said),
                        "dev.json: question 5733: error: the question has 2 tokens, which leaves no room for the context in 5\n");
    qa_features_destroy(f);
    strbuf_free(&said);
    tokenizer_destroy(t);
}

static void failing_allocations(void **state) {
    (void)state;
    tokenizer *t = make_tokenizer();
    const qa_window_options o = {.max_seq_length = 8, .doc_stride = 2};
    const squad_answer answer = {{"ab", 2}, 2};
    const squad_question q = {
        .id = {"1", 1}, .question = {"a b", 3}, .context = {"a ab b a b ab", 13}, .answers = &answer, .n_answers = 1};
    for (size_t n = 1;; n++) {
        qa_features *f = NULL;
        size_t n_windows = 0;
        fail_alloc_after(n);
        pofac_status status = qa_features_create(t, &o, NULL, &f);
        if (status == POFAC_OK) status = qa_features_begin(f, "f", &q, NULL, &n_windows);
        for (size_t i = 0; i < n_windows && status == POFAC_OK; i++) {
            qa_feature feature;
            status = qa_features_get(f, i, NULL, &feature);
        }
        const bool failed = fail_alloc_stop();
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK)) fail_msg("allocation %zu fails: status %d", n, status);
        qa_features_destroy(f);
        if (!failed) break;
    }
    tokenizer_destroy(t);
}

/* ---- features for training ---- */

/* The store has the features one after the other, of two files whose first paragraphs are different ones. */
static void features_in_memory(void **state) {
    static const char first[] = "{\"data\": [{\"paragraphs\": [{\"context\": \"a b ab ba a b\", \"qas\": [{\"id\": \"1\", "
                                "\"question\": \"b\", \"answers\": "
                                "[{\"text\": \"ab\", \"answer_start\": 4}]}]}]}]}",
                      second[] = "{\"data\": [{\"paragraphs\": [{\"context\": \"b\", \"qas\": [{\"id\": \"2\", \"question\": \"a "
                                 "a\", \"answers\": [{\"text\": "
                                 "\"b\", \"answer_start\": 0}]}, {\"id\": \"3\", \"question\": \"\"}, {}]}]}]}";
    static const struct {
        size_t n_tokens;
        int32_t context; /* its first token */
        double start, end;
    } wanted[] = {{8, 4, 5, 5}, {8, 5, 4, 4}, {8, 8, 3, 3}, {6, 5, 4, 4}, {4, 5, 0, 0}};
    tokenizer *t = make_tokenizer();
    char a[4096], b[4096];
    put_file(state, "a.json", first, sizeof first - 1);
    put_file(state, "b.json", second, sizeof second - 1);
    snprintf(a, sizeof a, "%s", file_path(state, "a.json"));
    snprintf(b, sizeof b, "%s", file_path(state, "b.json"));
    const char *const paths[] = {a, b};
    const qa_examples_options o = {t, {.max_seq_length = 8, .doc_stride = 1}, SQUAD_BAD_ROWS_SKIP};
    for (size_t n = 0;; n++) { /* the first time without a failure */
        token_store *store;
        qa_examples_counts counts;
        if (n > 0) fail_alloc_after(n);
        const pofac_status status = qa_examples_load(paths, 2, &o, NULL, &store, &counts);
        const bool failed = n > 0 && fail_alloc_stop();
        if (n == 0) {
            assert_int_equal(counts.rows.questions, 3);
            assert_int_equal(counts.rows.skipped, 1);
            assert_int_equal(counts.features.features, sizeof wanted / sizeof *wanted);
            const example_source source = token_store_source(store);
            assert_int_equal(source.n_examples, sizeof wanted / sizeof *wanted);
            assert_string_equal(source.fields[0].name, "start_positions");
            assert_string_equal(source.fields[1].name, "end_positions");
            for (size_t i = 0; i < source.n_examples; i++) {
                int32_t ids[8];
                uint8_t types[8];
                example_buffer e = {.ids = ids, .types = types};
                assert_int_equal(source.read(source.user, 0, i, NULL, &e), POFAC_OK);
                const size_t context =
                    e.types[e.n_tokens - 1] ? (size_t)((const uint8_t *)memchr(types, 1, e.n_tokens) - types) : 0;
                if (e.n_tokens != wanted[i].n_tokens || ids[context] != wanted[i].context ||
                    (size_t)e.values[0] != (size_t)wanted[i].start || (size_t)e.values[1] != (size_t)wanted[i].end)
                    fail_msg("feature %zu: %zu tokens, context from %d, labels %g and %g", i, e.n_tokens, ids[context], e.values[0],
                             e.values[1]);
            }
        }
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK) && !(failed && status == POFAC_ERR_INPUT)) /* jansson's */
            fail_msg("allocation %zu fails: status %d", n, status);
        if (status == POFAC_OK) token_store_destroy(store);
        if (n > 0 && !failed) break;
    }
    tokenizer_destroy(t);
}

/* ---- SQuAD itself ---- */

typedef struct shared_case {
    const char *file;
    qa_stride stride;
    uint64_t questions, features;
} shared_case;

/* Every question of SQuAD has a feature, every answer tokens; and the text of the labelled tokens is the answer, give or take the rest of
 * the words that it begins and ends in. */
static void check_shared(const shared_case *s) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char path[4096], vocab[4096];
    snprintf(path, sizeof path, "%s/data/squad_v1.1/%s", shared, s->file);
    snprintf(vocab, sizeof vocab, "%s/data/vocab/bert-base-uncased-vocab.txt", shared);
    const qa_window_options o = {.max_seq_length = 384, .doc_stride = 128, .stride = s->stride};
    tokenizer *t;
    squad_reader *r;
    qa_features *f;
    const squad_question *q;
    size_t exact = 0, labelled = 0;
    assert_int_equal(tokenizer_create(vocab, NULL, NULL, &t), POFAC_OK);
    assert_int_equal(squad_reader_open(path, SQUAD_BAD_ROWS_FAIL, NULL, &r), POFAC_OK);
    assert_int_equal(qa_features_create(t, &o, NULL, &f), POFAC_OK);
    for (;;) {
        size_t n;
        assert_int_equal(squad_reader_next(r, NULL, &q), POFAC_OK);
        if (!q) break;
        assert_int_equal(qa_features_begin(f, path, q, NULL, &n), POFAC_OK);
        for (size_t i = 0; i < n; i++) {
            qa_feature feature;
            assert_int_equal(qa_features_get(f, i, NULL, &feature), POFAC_OK);
            if (!feature.has_answer) continue;
            const size_t begin = feature.input->tokens[feature.start].begin, end = feature.input->tokens[feature.end].end;
            const squad_answer *a = &q->answers[0];
            labelled++;
            exact += begin == a->begin && end == a->begin + a->text.bytes;
            assert_true(begin <= a->begin + 2 && end + 2 >= a->begin + a->text.bytes);
        }
    }
    const qa_feature_counts c = qa_features_counts(f);
    print_message("%s, %s: %d questions, %d features, %d tokens, %d with answer, %d cut, %d split, %d unaligned, %d exact\n",
                  s->file, s->stride == QA_STRIDE_STARTS ? "starts" : "overlap", (int)c.questions, (int)c.features, (int)c.tokens,
                  (int)c.with_answer, (int)c.cut_questions, (int)c.split, (int)c.unaligned, (int)exact);
    assert_int_equal(c.questions, s->questions);
    assert_int_equal(c.features, s->features);
    assert_int_equal(c.unaligned, 0);
    assert_int_equal(c.longest, 384);
    assert_true((double)exact > 0.98 * (double)labelled);
    qa_features_destroy(f);
    squad_reader_close(r);
    tokenizer_destroy(t);
}

static void squad_dev(void **state) {
    (void)state;
    check_shared(&(shared_case){"dev-A-v1.1.reconstructed.json.gz", QA_STRIDE_STARTS, 5665, 5859});
    check_shared(&(shared_case){"dev-A-v1.1.reconstructed.json.gz", QA_STRIDE_OVERLAP, 5665, 5814});
}

/* As many features as run_squad.py and run_qa.py report. */
static void squad_train(void **state) {
    (void)state;
    check_shared(&(shared_case){"train-v1.1.reconstructed.json.gz", QA_STRIDE_STARTS, 87599, 88641});
    check_shared(&(shared_case){"train-v1.1.reconstructed.json.gz", QA_STRIDE_OVERLAP, 87599, 88524});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_contexts),
        cmocka_unit_test(every_small_size),
        cmocka_unit_test(options_that_make_no_windows),
        cmocka_unit_test(questions_that_leave_no_room),
        cmocka_unit_test(messages_name_the_question),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(features_in_memory),
        cmocka_unit_test(squad_dev),
        cmocka_unit_test(squad_train),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
