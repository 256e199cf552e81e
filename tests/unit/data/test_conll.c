/* Sentences of words with labels: CoNLL's columns and JSON lists; tags from scheme to scheme. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/data/task_dump.h"

#define OPTIONS(...)                                                                                                               \
    (task_reader_options) { .task = find_task("token-classification"), __VA_ARGS__ }
#define EXPECT(name, bytes, options, wanted) expect_task(state, name, bytes, sizeof(bytes) - 1, options, wanted)

static void sentences(void **state) {
    EXPECT("a.conll", "-DOCSTART- -X- -X- O\n\nEU NNP B-NP I-ORG\nrejects VBZ B-VP O\n\n\nPeter NNP B-NP I-PER\n",
           OPTIONS(.tag_column = 4), "3 EU/I-ORG rejects/O\n7 Peter/I-PER\n");
    EXPECT("a.txt", "a\tO\r\nb\tB-X\r\n \t\r\nc\tO", OPTIONS(.scheme = TAGS_AS_THEY_ARE), "1 a/O b/B-X\n4 c/O\n");
    EXPECT("a.conll", "EU NNP B-NP I-ORG\n", OPTIONS(.tag_column = 2), "1 EU/NNP\n");
    EXPECT("a.conll", "a\nb\n\nc\n", OPTIONS(.tag_column = 0), "1 a b\n4 c\n");
    EXPECT("a.conll", "a O\n-DOCSTART- O\nb O\n", OPTIONS(.tag_column = 0), "1 a/O\n3 b/O\n");
    EXPECT("a.conll", "", OPTIONS(.tag_column = 0), "");
    EXPECT("a.conll", "\n\n-DOCSTART-\n\n", OPTIONS(.tag_column = 0), "");
}

static void sentences_that_are_wrong(void **state) {
    EXPECT("a.conll", "a O\nb\nc O\n\nd O\n", OPTIONS(.tag_column = 0),
           "a.conll:2: error: found 1 columns, wanted 2, as the first line has\n");
    EXPECT("a.conll", "a O\nb\nc O\n\nd O\n", OPTIONS(.skip_bad_rows = true),
           "5 d/O\na.conll:2: warning: row skipped: found 1 columns, wanted 2, as the first line has\nbad 1\n");
    EXPECT("a.conll", "a O\n", OPTIONS(.tag_column = 3), "a.conll:1: error: found 2 columns, wanted labels in column 3\n");
    EXPECT("a.conll", "a O\n\nb\0 O\n", OPTIONS(.tag_column = 0), "1 a/O\na.conll:3: error: found a NUL byte, wanted text\n");
    EXPECT("a.conll", "a O\n\nb O\n\xff O\n", OPTIONS(.tag_column = 0),
           "1 a/O\na.conll:3: error: word: found the byte 0xff at byte 1, wanted UTF-8\n");
    EXPECT("a.conll", "a\n", OPTIONS(.needs_labels = true), "a.conll:1: error: label: found none, wanted one in every row\n");
    EXPECT("a.conll", "a NN\n", OPTIONS(.scheme = TAGS_IOB2),
           "a.conll:1: error: label: found \"NN\" for word 1, wanted O or a tag like B-PER\n");
    EXPECT("a.conll", "a O\n", OPTIONS(.format = TASK_FORMAT_CSV),
           "error: found the format csv, wanted conll or jsonl for task token-classification\n");
}

static void lists_in_json(void **state) {
    EXPECT("a.jsonl", "{\"tokens\": [\"EU\", \"is\"], \"ner_tags\": [\"B-ORG\", \"O\"]}\n{\"words\": [\"a\"]}\n",
           OPTIONS(.tag_column = 0), "1 EU/B-ORG is/O\n2 a\n");
    EXPECT("a.json", "{\"tokens\": [\"EU\", \"is\"], \"ner_tags\": [3, 0]}\n", OPTIONS(.tag_column = 0), "1 EU/3 is/0\n");
    EXPECT("a.jsonl", "{\"tokens\": [\"EU\", \"is\"], \"tags\": [\"O\"]}\n", OPTIONS(.tag_column = 0),
           "a.jsonl:1: error: found 2 words and 1 labels, wanted a label for each word\n");
    EXPECT("a.jsonl", "{\"tokens\": [], \"tags\": []}\n", OPTIONS(.tag_column = 0),
           "a.jsonl:1: error: found no words, wanted at least one\n");
    EXPECT("a.jsonl", "{\"tokens\": [1], \"tags\": []}\n", OPTIONS(.tag_column = 0),
           "a.jsonl:1: error: text: found 1, wanted strings in the array\n");
    EXPECT("a.jsonl", "{\"tokens\": \"a b\", \"tags\": []}\n", OPTIONS(.tag_column = 0),
           "a.jsonl:1: error: text: found \"a b\", wanted an array\n");
    EXPECT("a.jsonl", "{\"tags\": []}\n", OPTIONS(.tag_column = 0),
           "a.jsonl:1: error: found no key for the text, wanted tokens or words\n");
    EXPECT("a.jsonl", "{\"tokens\": [\"\"], \"tags\": [\"O\"]}\n", OPTIONS(.tag_column = 0),
           "a.jsonl:1: error: word: found an empty cell, wanted text\n");
}

static void labels_of_words(void **state) {
    static const char *const names[] = {"O", "B-ORG", "I-ORG"};
    arena a = ARENA_INIT;
    label_set labels;
    assert_true(label_set_from_names(names, 3, &a, &labels));
    EXPECT("a.conll", "EU I-ORG\nis O\n\nU.S. I-ORG\nArmy I-ORG\n", OPTIONS(.labels = &labels, .scheme = TAGS_IOB2),
           "1 EU/B-ORG(1) is/O(0)\n4 U.S./B-ORG(1) Army/I-ORG(2)\n");
    EXPECT("a.jsonl", "{\"tokens\": [\"EU\", \"is\"], \"ner_tags\": [1, 0]}\n", OPTIONS(.labels = &labels), "1 EU/1(1) is/0(0)\n");
    EXPECT("a.conll", "EU I-PER\n", OPTIONS(.labels = &labels),
           "a.conll:1: error: label: found \"I-PER\", wanted \"O\", \"B-ORG\" or \"I-ORG\"\n");
    arena_free(&a);
}

/* The sentence's tags in another scheme, joined by blanks. */
static void expect_tags(const char *tags, tag_scheme scheme, const char *wanted) {
    arena a = ARENA_INIT;
    const char *list[16];
    size_t n = 0;
    strbuf found = STRBUF_INIT;
    char *rest = arena_strdup(&a, tags);
    for (char *tag = strtok(rest, " "); tag; tag = strtok(NULL, " ")) list[n++] = tag;
    assert_true(tags_convert(list, n, scheme, &a));
    for (size_t i = 0; i < n; i++) strbuf_printf(&found, "%s%s", i ? " " : "", list[i]);
    if (strcmp(strbuf_str(&found), wanted) != 0) fail_msg("%s: found %s, wanted %s", tags, strbuf_str(&found), wanted);
    strbuf_free(&found);
    arena_free(&a);
}

static void tags_of_all_schemes(void **state) {
    (void)state;
    static const char *const same[][3] = {/* iob1, iob2, bioes of the same spans */
                                          {"O I-A I-A O", "O B-A I-A O", "O B-A E-A O"},
                                          {"I-A B-A I-B O I-B", "B-A B-A B-B O B-B", "S-A S-A S-B O S-B"},
                                          {"I-A I-A I-A B-A I-A", "B-A I-A I-A B-A I-A", "B-A I-A E-A B-A E-A"},
                                          {"O O", "O O", "O O"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        for (int from = 0; from < 3; from++) {
            expect_tags(same[i][from], TAGS_IOB1, same[i][0]);
            expect_tags(same[i][from], TAGS_IOB2, same[i][1]);
            expect_tags(same[i][from], TAGS_BIOES, same[i][2]);
            expect_tags(same[i][from], TAGS_AS_THEY_ARE, same[i][from]);
        }
    expect_tags("B-A L-A U-B B-C M-C L-C", TAGS_BIOES, "B-A E-A S-B B-C I-C E-C");
    expect_tags("E-A E-A I-A", TAGS_IOB2, "B-A B-A B-A"); /* an end is the end */
    expect_tags("I-A S-B I-B", TAGS_IOB2, "B-A B-B B-B");
}

static void names_of_schemes_and_tags(void **state) {
    (void)state;
    tag_scheme scheme;
    assert_true(tag_scheme_parse("bio", &scheme) && scheme == TAGS_IOB2);
    assert_true(tag_scheme_parse("bioes", &scheme) && scheme == TAGS_BIOES);
    assert_false(tag_scheme_parse("BIO", &scheme));
    assert_true(tag_is_span("O"));
    assert_true(tag_is_span("B-X"));
    assert_false(tag_is_span("B-"));
    assert_false(tag_is_span("X-PER"));
    assert_false(tag_is_span("OO"));
    assert_false(tag_is_span(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences),       cmocka_unit_test(sentences_that_are_wrong), cmocka_unit_test(lists_in_json),
        cmocka_unit_test(labels_of_words), cmocka_unit_test(tags_of_all_schemes),      cmocka_unit_test(names_of_schemes_and_tags),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
