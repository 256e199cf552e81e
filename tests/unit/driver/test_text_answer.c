/* Logits to answers: every head's object, numbers at their limits, ties, names, spans over windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/finite_check.h"
#include "frontend/driver/text_answer.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/text_case.h"

typedef struct answer_case {
    tokenizer *tokenizer;
    named_tensors outputs;
    tensor_source source;
    model_spec spec;
    record record;
    text_sequence sequence;
    strbuf text;
} answer_case;

static void begin(answer_case *c, model_head head) {
    static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n\"q\"\n";
    *c = (answer_case){.outputs = {.what = "output"}, .spec = model_spec_default(MODEL_BERT), .text = STRBUF_INIT};
    assert_int_equal(tokenizer_create_from_memory("vocabulary", vocabulary, sizeof vocabulary - 1, NULL, NULL, &c->tokenizer),
                     POFAC_OK);
    c->source = named_tensors_source(&c->outputs);
    c->spec.head = head;
    c->sequence = (text_sequence){.record = &c->record, .encoding = ENCODING_INIT};
}

static void end(answer_case *c) {
    tokenizer_destroy(c->tokenizer);
    named_tensors_free(&c->outputs);
    encoding_free(&c->sequence.encoding);
    strbuf_free(&c->text);
}

/* Encodes the record's text, or pair. */
static void set_text(answer_case *c, const char *text, const char *pair) {
    encoding a = ENCODING_INIT, b = ENCODING_INIT;
    c->record = (record){.text = text, .text_bytes = strlen(text), .pair = pair, .pair_bytes = pair ? strlen(pair) : 0};
    assert_int_equal(tokenizer_encode(c->tokenizer, text, strlen(text), NULL, &a), POFAC_OK);
    if (pair) assert_int_equal(tokenizer_encode(c->tokenizer, pair, strlen(pair), NULL, &b), POFAC_OK);
    if (pair) assert_int_equal(tokenizer_build_pair(c->tokenizer, &a, &b, 64, NULL, &c->sequence.encoding), POFAC_OK);
    else assert_int_equal(tokenizer_build_single(c->tokenizer, &a, 64, NULL, &c->sequence.encoding), POFAC_OK);
    c->sequence.context_first = a.size + 2;
    encoding_free(&a);
    encoding_free(&b);
}

static void add_output(answer_case *c, const char *name, uint32_t rank, const int64_t *dims, const double *numbers) {
    named_tensors_add_doubles(&c->outputs, name, IR_F32, rank, dims, numbers);
}

static void expect(answer_case *c, int64_t top_k, const char *wanted) {
    strbuf_clear(&c->text);
    assert_int_equal(text_answer_put(&c->spec, c->tokenizer, &c->source, &c->sequence, top_k, NULL, &c->text), POFAC_OK);
    assert_string_equal(strbuf_str(&c->text), wanted);
}

/* ---- classes ---- */

static void expect_classes(const double *logits, int64_t n, const char *const *labels, bool regression, const char *wanted) {
    answer_case c;
    double rows[32] = {0};
    begin(&c, HEAD_SEQUENCE_CLASSIFICATION);
    c.spec.num_labels = n;
    c.spec.labels = labels;
    c.spec.regression = regression;
    c.sequence.row = 1;
    memcpy(rows + n, logits, (size_t)n * sizeof *rows);
    add_output(&c, "logits", 2, (int64_t[]){3, n}, rows);
    expect(&c, 5, wanted);
    end(&c);
}

static void classes_with_names_and_without(void **unused) {
    (void)unused;
    static const double logits[2] = {0, 0.6931471805599453};
    static const char *const labels[2] = {"no", "\"yes\"\n"};
    expect_classes(logits, 2, labels, false,
                   "{\"label\": \"\\\"yes\\\"\\n\", \"score\": 0.6666667, \"probabilities\": {\"no\": 0.3333333, "
                   "\"\\\"yes\\\"\\n\": 0.6666667}}");
    expect_classes(
        logits, 2, NULL, false,
        "{\"label\": \"LABEL_1\", \"score\": 0.6666667, \"probabilities\": {\"LABEL_0\": 0.3333333, \"LABEL_1\": 0.6666667}}");
    expect_classes((double[]){0.5}, 1, NULL, false, "{\"label\": \"LABEL_0\", \"score\": 1, \"probabilities\": {\"LABEL_0\": 1}}");
}

static void regressions(void **unused) {
    (void)unused;
    static const char *const labels[2] = {"x", "y"};
    expect_classes((double[]){3.25}, 1, NULL, true, "{\"score\": 3.25}");
    expect_classes((double[]){-1e-8}, 1, labels, true, "{\"score\": -1e-08}");
    expect_classes((double[]){3.25, -2}, 2, NULL, true, "{\"scores\": {\"LABEL_0\": 3.25, \"LABEL_1\": -2}}");
    expect_classes((double[]){3.25, -2}, 2, labels, true, "{\"scores\": {\"x\": 3.25, \"y\": -2}}");
    expect_classes((double[]){NAN}, 1, NULL, true, "{\"score\": null}");
}

static void extreme_logits(void **unused) {
    (void)unused;
    static const char *const ab[3] = {"a", "b", "c"};
    static const struct {
        double logits[3];
        const char *wanted;
    } cases[] = {
        {{3e38, -3e38, 0}, "{\"label\": \"a\", \"score\": 1, \"probabilities\": {\"a\": 1, \"b\": 0, \"c\": 0}}"},
        {{-3e38, -3e38, -3e38},
         "{\"label\": \"a\", \"score\": 0.3333333, \"probabilities\": {\"a\": 0.3333333, \"b\": 0.3333333, \"c\": 0.3333333}}"},
        {{1000, 1000, -1000}, "{\"label\": \"a\", \"score\": 0.5, \"probabilities\": {\"a\": 0.5, \"b\": 0.5, \"c\": 0}}"},
        {{0, -100, 0}, "{\"label\": \"a\", \"score\": 0.5, \"probabilities\": {\"a\": 0.5, \"b\": 1.860038e-44, \"c\": 0.5}}"},
        {{-INFINITY, 1, -INFINITY}, "{\"label\": \"b\", \"score\": 1, \"probabilities\": {\"a\": 0, \"b\": 1, \"c\": 0}}"},
        {{INFINITY, 1, 1}, "{\"label\": \"a\", \"score\": null, \"probabilities\": {\"a\": null, \"b\": null, \"c\": null}}"},
        {{NAN, 1, 1}, "{\"label\": \"a\", \"score\": null, \"probabilities\": {\"a\": null, \"b\": null, \"c\": null}}"},
        {{1, NAN, 2}, "{\"label\": \"c\", \"score\": null, \"probabilities\": {\"a\": null, \"b\": null, \"c\": null}}"},
        {{-INFINITY, -INFINITY, -INFINITY},
         "{\"label\": \"a\", \"score\": null, \"probabilities\": {\"a\": null, \"b\": null, \"c\": null}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_classes(cases[i].logits, 3, ab, false, cases[i].wanted);
}

/* JSON's numbers have a point in every country. */
static void numbers_in_other_locales(void **unused) {
    (void)unused;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    bool found = false;
    for (size_t i = 0; i < 4 && !found; i++) found = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (!found) {
        print_message("SKIP: no locale with a decimal comma is installed\n");
        skip();
    }
    expect_classes((double[]){3.25}, 1, NULL, true, "{\"score\": 3.25}");
    expect_classes((double[]){-1.5e-30}, 1, NULL, true, "{\"score\": -1.5e-30}");
    setlocale(LC_NUMERIC, "C");
}

/* ---- tokens ---- */

static void tokens_of_the_text_alone(void **unused) {
    (void)unused;
    static const char *const labels[2] = {"O", "LOC"};
    answer_case c;
    double logits[2 * 7 * 2] = {0};
    begin(&c, HEAD_TOKEN_CLASSIFICATION);
    c.spec.num_labels = 2;
    c.spec.labels = labels;
    c.sequence.row = 1;
    set_text(&c, "a  b", "zz a");   /* [CLS] a b [SEP] [UNK] a [SEP] */
    logits[7 * 2 + 2 * 2 + 1] = 50; /* b */
    logits[7 * 2 + 5 * 2 + 1] = 50; /* the second a */
    add_output(&c, "logits", 3, (int64_t[]){2, 7, 2}, logits);
    expect(&c, 5,
           "{\"tokens\": [{\"token\": \"a\", \"label\": \"O\", \"score\": 0.5, \"begin\": 0, \"end\": 1}, "
           "{\"token\": \"b\", \"label\": \"LOC\", \"score\": 1, \"begin\": 3, \"end\": 4}, "
           "{\"token\": \"[UNK]\", \"label\": \"O\", \"score\": 0.5, \"begin\": 0, \"end\": 2, \"pair\": true}, "
           "{\"token\": \"a\", \"label\": \"LOC\", \"score\": 1, \"begin\": 3, \"end\": 4, \"pair\": true}]}");
    set_text(&c, "", NULL);
    expect(&c, 5, "{\"tokens\": []}");
    end(&c);
}

/* ---- masks ---- */

/* Rows of prediction_logits belong to masks, from the sequence's first one on. */
static void masks_and_their_candidates(void **unused) {
    (void)unused;
    answer_case c;
    double logits[4 * 8] = {0};
    begin(&c, HEAD_MASKED_LM);
    c.sequence.prediction = 1;
    for (int i = 0; i < 8; i++) logits[8 + i] = -INFINITY;
    logits[8 + 5] = logits[8 + 7] = 1;
    logits[8 + 6] = 1 + 0.6931471805599453;
    logits[2 * 8 + 3] = 99; /* of the next mask */
    add_output(&c, "prediction_logits", 2, (int64_t[]){4, 8}, logits);
    set_text(&c, "a [MASK]", NULL);
    expect(&c, 2,
           "{\"masks\": [{\"begin\": 2, \"end\": 8, \"candidates\": [{\"token\": \"b\", \"id\": 6, \"score\": 0.5}, "
           "{\"token\": \"a\", \"id\": 5, \"score\": 0.25}]}]}");
    expect(&c, 3,
           "{\"masks\": [{\"begin\": 2, \"end\": 8, \"candidates\": [{\"token\": \"b\", \"id\": 6, \"score\": 0.5}, "
           "{\"token\": \"a\", \"id\": 5, \"score\": 0.25}, {\"token\": \"\\\"q\\\"\", \"id\": 7, \"score\": 0.25}]}]}");
    set_text(&c, "[MASK]", "b [MASK]");
    expect(&c, 1,
           "{\"masks\": [{\"begin\": 0, \"end\": 6, \"candidates\": [{\"token\": \"b\", \"id\": 6, \"score\": 0.5}]}, "
           "{\"begin\": 2, \"end\": 8, \"pair\": true, \"candidates\": [{\"token\": \"[SEP]\", \"id\": 3, \"score\": 1}]}]}");
    set_text(&c, "a", NULL);
    expect(&c, 3, "{\"masks\": []}");
    end(&c);
}

/* The scores are those of the whole vocabulary of the model, the candidates those that the tokenizer knows. */
static void vocabularies_smaller_than_the_model(void **unused) {
    (void)unused;
    answer_case c;
    double logits[10] = {0};
    begin(&c, HEAD_MASKED_LM);
    set_text(&c, "[MASK]", NULL);
    for (int i = 0; i < 10; i++) logits[i] = i < 8 ? -INFINITY : 0;
    logits[5] = 0.6931471805599453;
    add_output(&c, "prediction_logits", 2, (int64_t[]){1, 10}, logits);
    expect(&c, 1, "{\"masks\": [{\"begin\": 0, \"end\": 6, \"candidates\": [{\"token\": \"a\", \"id\": 5, \"score\": 0.5}]}]}");
    end(&c);
}

static void next_sentences(void **unused) {
    (void)unused;
    answer_case c;
    double logits[8] = {0}, next[4] = {0, 0, 0.6931471805599453, 0};
    begin(&c, HEAD_PRETRAINING);
    c.sequence.row = 1;
    add_output(&c, "prediction_logits", 2, (int64_t[]){1, 8}, logits);
    set_text(&c, "a", NULL);
    expect(&c, 1, "{\"masks\": []}");
    add_output(&c, "seq_relationship_logits", 2, (int64_t[]){2, 2}, next);
    set_text(&c, "a", "[MASK]");
    expect(&c, 1,
           "{\"masks\": [{\"begin\": 0, \"end\": 6, \"pair\": true, \"candidates\": [{\"token\": \"[PAD]\", \"id\": 0, \"score\": "
           "0.125}]}], "
           "\"is_next\": 0.6666667}");
    c.spec.arch = MODEL_DISTILBERT; /* has no such logits */
    expect(&c, 1,
           "{\"masks\": [{\"begin\": 0, \"end\": 6, \"pair\": true, \"candidates\": [{\"token\": \"[PAD]\", \"id\": 0, \"score\": "
           "0.125}]}]}");
    end(&c);
}

/* The ids in the answer, against a search of all logits for one after the other. */
static void candidates_equal_a_slow_search(void **unused) {
    (void)unused;
    answer_case c;
    rng_key key = rng_key_make(5, "logits");
    begin(&c, HEAD_MASKED_LM);
    set_text(&c, "[MASK]", NULL);
    ir_tensor *t = named_tensors_add(&c.outputs, "prediction_logits", IR_F32, 2, (int64_t[]){1, 8});
    float *x = t->data;
    for (uint64_t round = 0; round < 300; round++) {
        for (uint64_t i = 0; i < 8; i++) {
            uint64_t r = rng_below(key, round * 8 + i, 6);
            x[i] = r == 0 ? NAN : r == 1 ? -INFINITY : (float)r;
        }
        for (int64_t k = 1; k <= 9; k++) {
            bool taken[8] = {false};
            strbuf_clear(&c.text);
            assert_int_equal(text_answer_put(&c.spec, c.tokenizer, &c.source, &c.sequence, k, NULL, &c.text), POFAC_OK);
            const char *at = strbuf_str(&c.text);
            for (int64_t i = 0; i < k; i++) {
                int best = -1;
                for (int id = 0; id < 8; id++)
                    if (!taken[id] && !isnan(x[id]) && (best < 0 || x[id] > x[best])) best = id;
                at = at ? strstr(at, "\"id\": ") : NULL;
                if ((at != NULL) != (best >= 0)) fail_msg("round %d, k %d: %s", (int)round, (int)k, strbuf_str(&c.text));
                if (!at) break;
                at += 6;
                if (atoi(at) != best)
                    fail_msg("round %d, k %d: candidate %d is %d, wanted %d", (int)round, (int)k, (int)i, atoi(at), best);
                taken[best] = true;
            }
            if (at && strstr(at, "\"id\": ")) fail_msg("round %d, k %d: more candidates than wanted", (int)round, (int)k);
        }
    }
    end(&c);
}

/* ---- embeddings ---- */

static void embeddings(void **unused) {
    (void)unused;
    answer_case c;
    begin(&c, HEAD_NONE);
    c.sequence.row = 1;
    strbuf_clear(&c.text);
    diag_sink sink = message_sink(&c.text);
    assert_int_equal(text_answer_put(&c.spec, c.tokenizer, &c.source, &c.sequence, 1, &sink, &c.text), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.text), "output last_hidden_state is missing");
    add_output(&c, "last_hidden_state", 3, (int64_t[]){2, 2, 2}, (double[]){1, 2, 3, 4, 5, -0.5, 7, 8});
    expect(&c, 1, "{\"embedding\": [5, -0.5]}");
    add_output(&c, "pooler_output", 2, (int64_t[]){2, 2}, (double[]){1, 2, 0.25, NAN});
    expect(&c, 1, "{\"embedding\": [0.25, null]}");
    end(&c);
}

/* ---- spans ---- */

enum { LENGTH = 8 };

static void set_logits(answer_case *c, const double *starts, const double *ends) {
    named_tensors_free(&c->outputs);
    add_output(c, "start_logits", 2, (int64_t[]){1, LENGTH}, starts);
    add_output(c, "end_logits", 2, (int64_t[]){1, LENGTH}, ends);
}

static const qa_answer_options one_answer = {.n_best = 1};

static void improve(answer_case *c, size_t max_answer_length, qa_answers *answers) {
    const qa_answer_options options = {.n_best = 1, .max_answer_length = max_answer_length};
    assert_int_equal(text_answer_improve(&c->source, &c->sequence, &options, NULL, answers), POFAC_OK);
}

static void expect_span(answer_case *c, const qa_answers *answers, const char *wanted) {
    strbuf_clear(&c->text);
    text_answer_put_span(&c->record, answers, &one_answer, &c->text);
    assert_string_equal(strbuf_str(&c->text), wanted);
}

static void spans_lie_in_the_context(void **unused) {
    (void)unused;
    answer_case c;
    qa_answers answers = QA_ANSWERS_INIT;
    begin(&c, HEAD_QUESTION_ANSWERING);
    set_text(&c, "a", " b a  b "); /* [CLS] a [SEP] b a b [SEP] and one place of padding */
    /* the highest logits stand outside: in the question, at [SEP], in the padding */
    set_logits(&c, (double[]){90, 90, 90, 0, 2, 0, 90, 900}, (double[]){90, 90, 90, 0, 0, 1, 90, 900});
    improve(&c, 30, &answers);
    assert_int_equal(answers.size, 1);
    assert_true(answers.spans[0].score == 3);
    assert_int_equal(answers.spans[0].begin_byte, 3);
    assert_int_equal(answers.spans[0].end_byte, 7);
    assert_true(answers.spans[0].probability > 0 &&
                answers.spans[0].probability < 1e-70); /* of all pairs of real tokens; padding does not count */
    answers.spans[0].probability = 0.5;
    expect_span(&c, &answers, "{\"answer\": \"a  b\", \"score\": 0.5, \"begin\": 3, \"end\": 7}");
    qa_answers_free(&answers);
    end(&c);
}

static void scores_are_of_real_tokens(void **unused) {
    (void)unused;
    answer_case c;
    qa_answers answers = QA_ANSWERS_INIT;
    begin(&c, HEAD_QUESTION_ANSWERING);
    set_text(&c, "a", "b a b");
    set_logits(&c, (double[]){0, 0, 0, 0, 0, 0, 0, 99}, (double[]){0, 0, 0, 0, 0, 0, 0, 99});
    improve(&c, 30, &answers);
    expect_span(&c, &answers,
                "{\"answer\": \"b\", \"score\": 0.02040816, \"begin\": 0, \"end\": 1}"); /* 1/49; of equal ones the first */
    qa_answers_free(&answers);
    end(&c);
}

static void answers_have_a_longest_length(void **unused) {
    (void)unused;
    static const char *const wanted[] = {"", "a", "a b", "b a b", "b a b"};
    answer_case c;
    begin(&c, HEAD_QUESTION_ANSWERING);
    set_text(&c, "a", "b a b");
    set_logits(&c, (double[]){0, 0, 0, 5, 3, 0, 0, 0}, (double[]){0, 0, 0, 0, 3, 9, 0, 0});
    for (size_t most = 2; most <= 4; most++) {
        qa_answers answers = QA_ANSWERS_INIT;
        improve(&c, most, &answers);
        assert_int_equal(answers.spans[0].end_byte - answers.spans[0].begin_byte, strlen(wanted[most]));
        qa_answers_free(&answers);
    }
    qa_answers answers = QA_ANSWERS_INIT;
    improve(&c, 1, &answers);
    assert_true(answers.spans[0].score == 9); /* the last b alone */
    qa_answers_free(&answers);
    improve(&c, (size_t)1 << 24, &answers);
    assert_true(answers.spans[0].score == 14);
    qa_answers_free(&answers);
    end(&c);
}

/* The end is never before the start, though both best places say so. */
static void ends_come_after_starts(void **unused) {
    (void)unused;
    answer_case c;
    qa_answers answers = QA_ANSWERS_INIT;
    begin(&c, HEAD_QUESTION_ANSWERING);
    set_text(&c, "a", "b a b");
    set_logits(&c, (double[]){0, 0, 0, 0, 1, 9, 0, 0}, (double[]){0, 0, 0, 9, 2, 0, 0, 0});
    improve(&c, 30, &answers);
    assert_true(answers.spans[0].score == 9);
    assert_int_equal(answers.spans[0].begin_byte, 0);
    assert_int_equal(answers.spans[0].end_byte, 1);
    qa_answers_free(&answers);
    end(&c);
}

/* The same span whichever part runs first: of equal ones that of the earlier part. */
static void the_best_of_several_parts(void **unused) {
    (void)unused;
    static const double none[LENGTH] = {0}, starts[3][LENGTH] = {{0, 0, 0, 0, 2}, {0, 0, 0, 2, 0}, {0, 0, 0, 1, 1}};
    static const size_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    answer_case c;
    begin(&c, HEAD_QUESTION_ANSWERING);
    set_text(&c, "a", "b a b");
    for (size_t i = 0; i < 6; i++) {
        qa_answers answers = QA_ANSWERS_INIT;
        for (size_t k = 0; k < 3; k++) {
            c.sequence.part = orders[i][k];
            set_logits(&c, starts[orders[i][k]], none);
            improve(&c, 30, &answers);
        }
        if (answers.spans[0].begin_byte != 2 || answers.spans[0].window != 0 || answers.spans[0].score != 2)
            fail_msg("order %zu: found the span of part %zu", i, answers.spans[0].window);
        qa_answers_free(&answers);
    }
    end(&c);
}

static void contexts_without_words_and_logits_without_numbers(void **unused) {
    (void)unused;
    static const char nothing[] = "{\"answer\": \"\", \"score\": 0, \"begin\": 0, \"end\": 0}";
    static const double none[LENGTH] = {0}, nan[LENGTH] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    answer_case c;
    qa_answers answers = QA_ANSWERS_INIT;
    begin(&c, HEAD_QUESTION_ANSWERING);
    set_text(&c, "a", "  ");
    set_logits(&c, none, none);
    improve(&c, 30, &answers);
    expect_span(&c, &answers, nothing);
    set_text(&c, "", "");
    improve(&c, 30, &answers);
    expect_span(&c, &answers, nothing);
    set_text(&c, "a", "b a b");
    set_logits(&c, nan, none);
    improve(&c, 30, &answers);
    expect_span(&c, &answers, nothing);
    qa_answers_free(&answers);
    end(&c);
}

/* ---- numbers that are none ---- */

/* Puts NaN at each place of an output in turn: it is found where the answer is made of it. */
static void check_places(answer_case *c, const char *name, int64_t begin_read, int64_t end_read) {
    ir_tensor *t = named_tensors_find(&c->outputs, name);
    for (int64_t i = 0; i < tensor_elements(t); i++) {
        static const double kinds[3] = {NAN, INFINITY, -INFINITY};
        text_fault fault;
        double before = tensor_get(t, i);
        tensor_set(t, i, kinds[i % 3]);
        assert_int_equal(text_answer_check(&c->spec, c->tokenizer, &c->source, &c->sequence, NULL, &fault), POFAC_OK);
        bool wanted = begin_read <= i && i < end_read;
        if ((fault.output != NULL) != wanted)
            fail_msg("%s, element %lld: %s, wanted %s", name, (long long)i, fault.output ? "found" : "not found",
                     wanted ? "it" : "none");
        if (wanted) assert_string_equal(fault.output, name);
        if (wanted) assert_string_equal(not_finite_name(fault.value), i % 3 == 0 ? "NaN" : i % 3 == 1 ? "Inf" : "-Inf");
        tensor_set(t, i, before);
    }
}

static void numbers_that_answers_are_made_of(void **unused) {
    (void)unused;
    static const double zeros[64] = {0};
    answer_case c;
    begin(&c, HEAD_SEQUENCE_CLASSIFICATION);
    set_text(&c, "a", "[MASK] b"); /* [CLS] a [SEP] [MASK] b [SEP] */
    c.sequence.row = 1;
    c.sequence.prediction = 2;
    add_output(&c, "logits", 3, (int64_t[]){2, 8, 2}, zeros);
    add_output(&c, "start_logits", 2, (int64_t[]){3, 8}, zeros);
    add_output(&c, "end_logits", 2, (int64_t[]){3, 8}, zeros);
    add_output(&c, "prediction_logits", 2, (int64_t[]){4, 8}, zeros);
    add_output(&c, "seq_relationship_logits", 2, (int64_t[]){2, 2}, zeros);
    add_output(&c, "last_hidden_state", 3, (int64_t[]){2, 8, 4}, zeros);
    check_places(&c, "logits", 16, 32);
    c.spec.head = HEAD_TOKEN_CLASSIFICATION;
    check_places(&c, "logits", 16, 16 + 6 * 2);
    c.spec.head = HEAD_QUESTION_ANSWERING;
    check_places(&c, "start_logits", 8, 8 + 6);
    check_places(&c, "end_logits", 8, 8 + 6);
    c.spec.head = HEAD_MASKED_LM;
    check_places(&c, "prediction_logits", 16, 24);
    check_places(&c, "seq_relationship_logits", 0, 0);
    c.spec.head = HEAD_PRETRAINING;
    check_places(&c, "prediction_logits", 16, 24);
    check_places(&c, "seq_relationship_logits", 2, 4);
    c.spec.head = HEAD_NONE;
    check_places(&c, "last_hidden_state", 32, 36);
    add_output(&c, "pooler_output", 2, (int64_t[]){2, 4}, zeros);
    check_places(&c, "last_hidden_state", 0, 0);
    check_places(&c, "pooler_output", 4, 8);
    end(&c);
}

static void failing_allocations(void **unused) {
    (void)unused;
    answer_case c;
    double logits[8] = {0};
    begin(&c, HEAD_MASKED_LM);
    set_text(&c, "[MASK]", NULL);
    add_output(&c, "prediction_logits", 2, (int64_t[]){1, 8}, logits);
    for (size_t n = 1;; n++) {
        strbuf text = STRBUF_INIT;
        fail_alloc_after(n);
        pofac_status status = text_answer_put(&c.spec, c.tokenizer, &c.source, &c.sequence, 5, NULL, &text);
        bool failed = fail_alloc_stop();
        if (failed) assert_true(status == POFAC_ERR_RUNTIME || !strbuf_ok(&text));
        else assert_int_equal(status, POFAC_OK);
        strbuf_free(&text);
        if (!failed) break;
    }
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_with_names_and_without),
        cmocka_unit_test(regressions),
        cmocka_unit_test(extreme_logits),
        cmocka_unit_test(numbers_in_other_locales),
        cmocka_unit_test(tokens_of_the_text_alone),
        cmocka_unit_test(masks_and_their_candidates),
        cmocka_unit_test(vocabularies_smaller_than_the_model),
        cmocka_unit_test(next_sentences),
        cmocka_unit_test(candidates_equal_a_slow_search),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(spans_lie_in_the_context),
        cmocka_unit_test(scores_are_of_real_tokens),
        cmocka_unit_test(answers_have_a_longest_length),
        cmocka_unit_test(ends_come_after_starts),
        cmocka_unit_test(the_best_of_several_parts),
        cmocka_unit_test(contexts_without_words_and_logits_without_numbers),
        cmocka_unit_test(numbers_that_answers_are_made_of),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
