/* Records to sequences: parts of long contexts, held against what every way of cutting must have, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/text_window.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"

typedef struct window_case {
    tokenizer *tokenizer;
    record_reader *reader;
    text_window window;
    text_window_options options;
    strbuf said;
    diag_sink sink;
} window_case;

static void begin(window_case *c, void **state, const char *lines, size_t n) {
    *c = (window_case){.window = TEXT_WINDOW_INIT, .said = STRBUF_INIT};
    c->sink = diag_sink_to_strbuf(&c->said);
    assert_int_equal(
        tokenizer_create_from_memory("vocabulary", tiny_vocabulary, strlen(tiny_vocabulary), NULL, NULL, &c->tokenizer), POFAC_OK);
    put_file(state, "in.tsv", lines, n);
    assert_int_equal(record_reader_open(file_path(state, "in.tsv"), NULL, NULL, &c->reader), POFAC_OK);
    c->options = (text_window_options){
        .tokenizer = c->tokenizer, .max_length = 12, .is_answering = true, .windows = {.doc_stride = 4}, .most_records = 100};
}

static pofac_status read_window(window_case *c) {
    c->options.windows.max_seq_length = c->options.max_length;
    assert_int_equal(qa_window_options_check(&c->options.windows, NULL), POFAC_OK);
    return text_window_read(&c->window, &c->options, c->reader, &c->sink);
}

static void end(window_case *c) {
    text_window_free(&c->window);
    record_reader_close(c->reader);
    tokenizer_destroy(c->tokenizer);
    strbuf_free(&c->said);
}

/* The sequence with the number `part`. */
static const text_sequence *part_of(const window_case *c, size_t part) {
    for (size_t i = 0; i < c->window.sequences.size; i++)
        if (c->window.sequences.data[i].part == part) return &c->window.sequences.data[i];
    fail_msg("part %zu is missing", part);
    return NULL;
}

/* `n` letters with a space after each; letter number i is i * 7 modulo 26. */
static void put_letters(strbuf *out, size_t n) {
    for (size_t i = 0; i < n; i++) strbuf_printf(out, "%c ", (char)('a' + i * 7 % 26));
}

static int32_t letter_id(size_t i) { return 5 + (int32_t)(i * 7 % 26); }

/* [CLS] question [SEP] letters [first, first + n) of the context [SEP], with the places of the letters in their texts. */
static void check_part(const text_sequence *s, size_t n_question, size_t first, size_t n) {
    assert_int_equal(s->encoding.size, n_question + n + 3);
    assert_int_equal(s->context_first, n_question + 2);
    for (size_t i = 0; i < s->encoding.size; i++) {
        const encoding_token *t = &s->encoding.tokens[i];
        bool in_context = i >= n_question + 2;
        bool added = i == 0 || i == n_question + 1 || i + 1 == s->encoding.size;
        size_t letter = in_context ? first + i - n_question - 2 : i - 1;
        int32_t wanted = i == 0 ? 2 : added ? 3 : letter_id(letter);
        if (t->id != wanted) fail_msg("part %zu, token %zu: id %d, wanted %d", s->part, i, t->id, wanted);
        assert_int_equal(t->type_id, in_context);
        assert_int_equal(t->begin, added ? 0 : 2 * letter);
        assert_int_equal(t->end, added ? 0 : 2 * letter + 1);
    }
}

/* Parts begin `stride` apart, or as far as one reaches; every token of the context is in one, and none is in vain. */
static void check_parts(void **state, size_t n_question, size_t n_context, size_t max_length, size_t doc_stride) {
    window_case c;
    strbuf lines = STRBUF_INIT;
    put_letters(&lines, n_question);
    strbuf_putc(&lines, '\t');
    put_letters(&lines, n_context);
    strbuf_putc(&lines, '\n');
    begin(&c, state, lines.data, lines.size);
    c.options.max_length = max_length;
    c.options.windows.doc_stride = doc_stride;
    if (read_window(&c) != POFAC_OK) fail_msg("%s", strbuf_str(&c.said));
    size_t room = max_length - n_question - 3, step = doc_stride < room ? doc_stride : room, n_parts = c.window.sequences.size,
           reached = 0;
    for (size_t part = 0; part < n_parts; part++) {
        const text_sequence *s = part_of(&c, part);
        size_t first = part * step, n = s->encoding.size - n_question - 3;
        if (first > reached) fail_msg("tokens %zu to %zu are in no part", reached, first);
        if (part > 0 && reached == n_context) fail_msg("part %zu comes after the end", part);
        if (n > room) fail_msg("part %zu has %zu tokens of the context, and room for %zu", part, n, room);
        if (n < room && first + n != n_context) fail_msg("part %zu has %zu tokens, wanted %zu", part, n, room);
        check_part(s, n_question, first, n);
        reached = first + n;
    }
    assert_int_equal(reached, n_context);
    assert_int_equal(c.window.answers.data[0].waiting, n_parts);
    end(&c);
    strbuf_free(&lines);
}

static void parts_of_contexts(void **state) {
    for (size_t question = 0; question <= 2; question += 2)
        for (size_t context = 0; context <= 14; context++)
            for (size_t length = question + 4; length <= question + 9; length++)
                for (size_t stride = 1; stride <= 8 && stride < length; stride += 1 + stride / 2)
                    check_parts(state, question, context, length, stride);
}

static void parts_of_random_sizes(void **state) {
    rng_key key = rng_key_make(1, "parts");
    for (uint64_t i = 0; i < 60; i++) {
        size_t question = rng_below(key, 4 * i, 30), context = rng_below(key, 4 * i + 1, 700),
               length = question + 4 + rng_below(key, 4 * i + 2, 100);
        check_parts(state, question, context, length, 1 + rng_below(key, 4 * i + 3, (uint32_t)length - 1));
    }
}

/* Longest first, then in the order of records and parts. */
static void order_of_sequences(void **state) {
    static const char lines[] = "a\tb c d e f g h i j k l m\na b\tc\na b\tc d\nb\tc d\n";
    static const struct { size_t index, part, size; } wanted[] = {{0, 0, 12}, {0, 1, 12}, {2, 0, 7}, {1, 0, 6}, {3, 0, 6}};
    window_case c;
    begin(&c, state, lines, sizeof lines - 1);
    assert_int_equal(read_window(&c), POFAC_OK);
    assert_int_equal(c.window.sequences.size, 5);
    for (size_t i = 0; i < 5; i++) {
        const text_sequence *s = &c.window.sequences.data[i];
        if (s->index != wanted[i].index || s->part != wanted[i].part || s->encoding.size != wanted[i].size)
            fail_msg("sequence %zu is part %zu of record %zu with %zu tokens", i, s->part, s->index, s->encoding.size);
        assert_ptr_equal(s->record, &c.window.records.data[s->index]);
    }
    assert_int_equal(read_window(&c), POFAC_OK);
    assert_int_equal(c.window.records.size, 0);
    end(&c);
}

static void texts_and_pairs_are_cut(void **state) {
    static const char lines[] = "a b c d e f g h i j k l m n\na b c d e f g h\ti j k l m n o p\n\n";
    window_case c;
    begin(&c, state, lines, sizeof lines - 1);
    c.options.is_answering = false;
    assert_int_equal(read_window(&c), POFAC_OK);
    assert_int_equal(c.window.records.size, 2); /* the empty line is passed over */
    for (size_t i = 0; i < 2; i++) assert_int_equal(c.window.sequences.data[i].encoding.size, 12);
    static const char wanted[] = "abcdeijkl";
    const encoding *pair = &c.window.sequences.data[1].encoding; /* 9 letters fit: of equal ones the second gives way first */
    for (size_t i = 1, at = 0; i < 11; i++)
        if (pair->tokens[i].id != 3) assert_int_equal(pair->tokens[i].id, wanted[at++] - 'a' + 5);
    end(&c);
}

static void records_that_are_wrong(void **state) {
    static const struct {
        const char *lines, *said;
    } cases[] = {
        {"a\tb\na b c d e f g h i\tx\n",
         "in.tsv:2: error: the question has 9 tokens, which leaves no room for the context in 12\n"},
        {"a\tb\nno context\n",
         "in.tsv:2: error: found one text, wanted a question and a context: two TSV columns, or a JSON object with "
         "both keys (--format)\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        window_case c;
        begin(&c, state, cases[i].lines, strlen(cases[i].lines));
        assert_int_equal(read_window(&c), POFAC_ERR_INPUT);
        cut_directory(state, c.said.data);
        assert_string_equal(strbuf_str(&c.said), cases[i].said);
        assert_int_equal(c.window.records.size, 1); /* the one before is there */
        assert_int_equal(c.window.sequences.size, 1);
        assert_int_equal(c.window.answers.size, 1);
        end(&c);
    }
}

/* Contexts without a word are one sequence without a place for an answer. */
static void empty_contexts(void **state) {
    window_case c;
    static const char lines[] = "a\t\nb\t   \n\t\n";
    begin(&c, state, lines, sizeof lines - 1);
    assert_int_equal(read_window(&c), POFAC_OK);
    assert_int_equal(c.window.sequences.size, 3);
    for (size_t i = 0; i < 3; i++) {
        const text_sequence *s = &c.window.sequences.data[i];
        assert_int_equal(s->context_first + 1, s->encoding.size);
    }
    end(&c);
}

static void windows_end_with_enough_records(void **state) {
    window_case c;
    strbuf lines = STRBUF_INIT;
    for (int i = 0; i < 10; i++) strbuf_puts(&lines, "a\tb\n");
    begin(&c, state, lines.data, lines.size);
    c.options.most_records = 4;
    static const size_t wanted[] = {4, 4, 2, 0};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(read_window(&c), POFAC_OK);
        assert_int_equal(c.window.records.size, wanted[i]);
        for (size_t k = 0; k < wanted[i]; k++) assert_int_equal(c.window.records.data[k].line, 4 * (size_t)i + k + 1);
    }
    end(&c);
    strbuf_free(&lines);
}

static void failing_allocations(void **state) {
    static const char lines[] = "a b\tc d e f g h i j k l m n o p\nq r\ts\n";
    for (size_t n = 1;; n++) {
        window_case c;
        begin(&c, state, lines, sizeof lines - 1);
        fail_alloc_after(n);
        pofac_status status = read_window(&c);
        bool failed = fail_alloc_stop();
        if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK)) fail_msg("allocation %zu fails: status %d", n, status);
        assert_int_equal(c.window.records.size, c.window.answers.size);
        end(&c);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_contexts),
        cmocka_unit_test(parts_of_random_sizes),
        cmocka_unit_test(order_of_sequences),
        cmocka_unit_test(texts_and_pairs_are_cut),
        cmocka_unit_test(records_that_are_wrong),
        cmocka_unit_test(empty_contexts),
        cmocka_unit_test(windows_end_with_enough_records),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
