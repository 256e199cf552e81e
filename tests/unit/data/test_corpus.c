/* Corpora of text, WikiText, books and JSON lines: documents, kinds, places of messages, damage, any size of parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/data/corpus_case.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

static const size_t part_sizes[] = {1, 7, 64, 1000, 0};

#define N_PART_SIZES (sizeof part_sizes / sizeof part_sizes[0])

/* The same outcome, however the file is cut and compressed. */
static void expect_in_all_forms(void **state, const char *name, const char *kind, const char *text, const char *documents,
                                corpus_counts counts) {
    static const char *const endings[] = {"", ".gz", ".bz2", ".zst"};
    for (size_t f = 0; f < sizeof endings / sizeof endings[0]; f++) {
        for (size_t i = 0; i < N_PART_SIZES; i++) {
            const corpus_options options = {.kind = kind, .part_bytes = part_sizes[i]};
            strbuf bytes = packed((compression)f, text, strlen(text), i % 2 ? 0 : 50);
            char file[100];
            snprintf(file, sizeof file, "%s%s", name, endings[f]);
            put_corpus_file(state, file, bytes.data, bytes.size);
            expect_corpus(state, file, &options, POFAC_OK, documents, "", counts);
            strbuf_free(&bytes);
        }
    }
}

/* ---- plain text ---- */

static void a_blank_line_ends_a_document(void **state) {
    static const char text[] = "\xef\xbb\xbfOne.\nTwo.\n\n\n \t\nThree.\r\n\r\n  Four \xc3\xa9.  \nFive.";
    expect_in_all_forms(state, "a.txt", "text", text, "|One.|Two.|\n|Three.|\n|Four \xc3\xa9.|Five.|\n",
                        (corpus_counts){.documents = 3});
    expect_in_all_forms(state, "b.txt", NULL, "One.\n", "|One.|\n", (corpus_counts){.documents = 1});
    expect_in_all_forms(state, "c.txt", NULL, "\n\n \n", "", (corpus_counts){0});
}

static void text_that_is_not_utf8_has_a_place(void **state) {
    static const char text[] = "One.\n\nTwo\n  \xc3\xa9 \xff!\n\nThree.\n\n\x80\n";
    const corpus_options skip = {.skip_damage = true};
    put_corpus_text(state, "bad.txt", text);
    expect_corpus(state, "bad.txt", NULL, POFAC_ERR_INPUT, "|One.|\n", "bad.txt:4:6: error: found the byte 0xFF, wanted UTF-8\n",
                  (corpus_counts){.documents = 1});
    expect_corpus(
        state, "bad.txt", &skip, POFAC_OK, "|One.|\n|Three.|\n",
        "bad.txt:4:6: warning: found the byte 0xFF, wanted UTF-8\nbad.txt:8:1: warning: found the byte 0x80, wanted UTF-8\n",
        (corpus_counts){.documents = 2, .damages = 2});
    for (size_t i = 0; i < N_PART_SIZES; i++) {
        const corpus_options options = {.part_bytes = part_sizes[i]};
        strbuf zipped = packed(COMPRESSION_GZIP, text, strlen(text), 0);
        put_corpus_file(state, "bad.txt.gz", zipped.data, zipped.size);
        strbuf_free(&zipped);
        expect_corpus(state, "bad.txt.gz", &options, POFAC_ERR_INPUT, "|One.|\n",
                      "bad.txt.gz:4:6: error: found the byte 0xFF, wanted UTF-8\n", (corpus_counts){.documents = 1});
    }
}

static void documents_beyond_the_limit_are_skipped(void **state) {
    strbuf text = STRBUF_INIT, zipped;
    strbuf_puts(&text, "Before.\n\n");
    for (int i = 0; i < 40000; i++) strbuf_puts(&text, "A line of a long document.\n");
    strbuf_puts(&text, "\nBehind.\n\nEnd.\n");
    for (size_t i = 0; i < N_PART_SIZES; i++) {
        const corpus_options options = {.part_bytes = part_sizes[i] * 10, .max_document_bytes = 200};
        put_corpus_file(state, "long.txt", text.data, text.size);
        expect_corpus(state, "long.txt", &options, POFAC_OK, "|Before.|\n|Behind.|\n|End.|\n",
                      "long.txt:3: warning: found a document of more than 200 bytes, which is skipped\n",
                      (corpus_counts){.documents = 3, .too_large = 1});
        zipped = packed(COMPRESSION_ZSTD, text.data, text.size, 0);
        put_corpus_file(state, "long.zst", zipped.data, zipped.size);
        expect_corpus(state, "long.zst", &options, POFAC_OK, "|Before.|\n|Behind.|\n|End.|\n",
                      "long.zst:3: warning: found a document of more than 200 bytes, which is skipped\n",
                      (corpus_counts){.documents = 3, .too_large = 1});
        strbuf_free(&zipped);
    }
    zipped = packed(COMPRESSION_GZIP, text.data, text.size - 16, 0); /* it ends with the long one */
    put_corpus_file(state, "long.gz", zipped.data, zipped.size);
    expect_corpus(state, "long.gz", &(corpus_options){.part_bytes = 100, .max_document_bytes = 200}, POFAC_OK, "|Before.|\n",
                  "long.gz:3: warning: found a document of more than 200 bytes, which is skipped\n",
                  (corpus_counts){.documents = 1, .too_large = 1});
    strbuf_free(&zipped);
    strbuf_free(&text);
}

/* ---- WikiText ---- */

static const char wikitext[] =
    " \n = Homarus gammarus = \n \n It weighs 0 @.@ 7 kg ( 1 lb ) , or so . \n Two . \n \n = = Description = = \n \n"
    " x = y \n = 5 = \n Three . \n \n = Frank <unk> = \n \n = = = Deep = = = \n \n Four . \n";

static void wikitext_is_detokenized(void **state) {
    static const char wanted[] = "Homarus gammarus|It weighs 0.7 kg (1 lb), or so.|Two.|x = y|Three.|\nFrank [UNK]|Four.|\n";
    expect_in_all_forms(state, "wiki.valid.tokens", NULL, wikitext, wanted, (corpus_counts){.documents = 2});
    expect_in_all_forms(state, "wiki.train.tokens", "wikitext", " No title . \n \n = A = \n \n", "|No title.|\n",
                        (corpus_counts){.documents = 1, .without_text = 1});
}

/* ---- books ---- */

static void files_of_a_directory_are_books(void **state) {
    static const char wanted[] = "A Tale|Chapter 1|It was a dark and stormy night.|The end.|\nb|One.|Two.|\nz|Packed.|\n";
    const corpus_options books = {.kind = "bookcorpus"};
    strbuf zipped = packed(COMPRESSION_GZIP, "Packed.\n", 8, 0);
    put_corpus_text(state, "books/A Tale.epub.txt",
                    "\xef\xbb\xbf"
                    "Chapter 1\r\n\r\nIt was a dark\r\nand stormy night.\r\n\r\n\r\nThe end.\r\n");
    put_corpus_text(state, "books/b.txt", "One.\nTwo.");
    put_corpus_text(state, "books/deep/er/c.txt", "");
    put_corpus_file(state, "books/z.txt.gz", zipped.data, zipped.size);
    strbuf_free(&zipped);
    put_corpus_text(state, "books/.hidden.txt", "Hidden.");
    put_corpus_text(state, "books/.git/x.txt", "Hidden.");
    expect_corpus(state, "books", NULL, POFAC_OK, wanted, "", (corpus_counts){.documents = 3, .without_text = 1});
    put_corpus_text(state, "books/urls.lst", "not a book");
    expect_corpus(state, "books", &books, POFAC_OK, wanted, "", (corpus_counts){.documents = 3, .without_text = 1});
    expect_corpus(state, "books/b.txt", &books, POFAC_OK, "b|One.|Two.|\n", "", (corpus_counts){.documents = 1});
}

static void long_lines_of_a_book_are_paragraphs(void **state) {
    const corpus_options books = {.kind = "bookcorpus"};
    char text[300], wanted[300];
    snprintf(text, sizeof text, "%0101d\nTwo.\n\nThree.\n", 0);
    snprintf(wanted, sizeof wanted, "long|%0101d|Two.|Three.|\n", 0);
    put_corpus_text(state, "long.txt", text);
    expect_corpus(state, "long.txt", &books, POFAC_OK, wanted, "", (corpus_counts){.documents = 1});
    snprintf(text, sizeof text, "%099d\nTwo.\n\nThree.\n", 0);
    snprintf(wanted, sizeof wanted, "long|%099d Two.|Three.|\n", 0);
    put_corpus_text(state, "long.txt", text);
    expect_corpus(state, "long.txt", &books, POFAC_OK, wanted, "", (corpus_counts){.documents = 1});
}

static void a_book_may_be_too_large_or_damaged(void **state) {
    strbuf text = STRBUF_INIT;
    for (int i = 0; i < 30000; i++) strbuf_puts(&text, "A line of a long book.\n");
    const corpus_options small = {.kind = "bookcorpus", .part_bytes = 1000, .max_document_bytes = 10000};
    const corpus_options skip = {.kind = "bookcorpus", .skip_damage = true};
    strbuf zipped = packed(COMPRESSION_GZIP, text.data, text.size, 0);
    put_corpus_file(state, "shelf/a.txt", text.data, text.size);
    put_corpus_file(state, "shelf/b.txt.gz", zipped.data, zipped.size);
    put_corpus_text(state, "shelf/c.txt", "Last.");
    expect_corpus(state, "shelf", &small, POFAC_OK, "c|Last.|\n",
                  "shelf/a.txt:1: warning: found a document of more than 10000 bytes, which is skipped\n"
                  "shelf/b.txt.gz:1: warning: found a document of more than 10000 bytes, which is skipped\n",
                  (corpus_counts){.documents = 1, .too_large = 2});
    put_corpus_file(state, "shelf/a.txt", "x\xff", 2);
    put_corpus_file(state, "shelf/b.txt.gz", zipped.data, zipped.size - 9);
    char messages[300];
    snprintf(messages, sizeof messages,
             "shelf/a.txt:1:2: warning: found the byte 0xFF, wanted UTF-8\n"
             "shelf/b.txt.gz: warning: found the end of the file within gzip data, wanted more than its %zu bytes\n",
             zipped.size - 9);
    expect_corpus(state, "shelf", &skip, POFAC_OK, "c|Last.|\n", messages, (corpus_counts){.documents = 1, .damages = 2});
    strbuf_free(&zipped);
    strbuf_free(&text);
}

/* ---- JSON lines ---- */

static void json_lines_have_text_and_title(void **state) {
    static const char text[] = "\xef\xbb\xbf{\"text\": \"One.\\n\\nTwo \\u00e9.\", \"title\": \"T\"}\n\n{\"id\": 1, \"text\": \" "
                               "Three. \"}\r\n{\"text\": \"\"}";
    expect_in_all_forms(state, "a.jsonl", NULL, text, "T|One.|Two \xc3\xa9.|\n|Three.|\n",
                        (corpus_counts){.documents = 2, .without_text = 1});
}

static void wrong_json_lines_have_a_place(void **state) {
    static const struct {
        const char *line, *said;
    } cases[] = {
        {"{\"text\": \"x}", "l.jsonl:2:10: error: invalid JSON: premature end of input near '\"x}'\n"},
        {"{\"text\": 1}", "l.jsonl:2: error: found 1, wanted an object with a string \"text\"\n"},
        {"{\"txt\": \"a\"}", "l.jsonl:2: error: found an object without \"text\", wanted an object with a string \"text\"\n"},
        {"[\"text\"]", "l.jsonl:2: error: found an array, wanted an object with a string \"text\"\n"},
        {"{\"text\": \"a\", \"text\": \"b\"}", "l.jsonl:2:15: error: invalid JSON: duplicate object key near '\"text\"'\n"},
        {"{\"text\": \"\xff\"}", "l.jsonl:2:11: error: found the byte 0xFF, wanted UTF-8\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        const corpus_options skip = {.kind = "jsonl", .skip_damage = true, .part_bytes = 1 + 10 * i};
        snprintf(text, sizeof text, "{\"text\": \"One.\"}\n%s\n{\"text\": \"Two.\"}\n", cases[i].line);
        put_corpus_text(state, "l.jsonl", text);
        expect_corpus(state, "l.jsonl", NULL, POFAC_ERR_INPUT, "|One.|\n", cases[i].said, (corpus_counts){.documents = 1});
        corpus_outcome o = read_corpus(state, "l.jsonl", &skip);
        expect_documents(cases[i].line, strbuf_str(&o.documents), "|One.|\n|Two.|\n");
        assert_int_equal(o.status, POFAC_OK);
        assert_int_equal(o.counts.damages, 1);
        outcome_free(&o);
    }
}

/* ---- all kinds ---- */

static void paths_are_read_in_order(void **state) {
    put_corpus_text(state, "many/b.txt", "B.\n");
    put_corpus_text(state, "many/a/z.txt", "Z.\n");
    put_corpus_text(state, "many/a.txt", "A.\n");
    put_corpus_text(state, "single.jsonl", "{\"text\": \"J.\"}\n");
    const char *paths[3];
    char copies[3][512];
    static const char *const names[] = {"single.jsonl", "many", "single.jsonl"};
    for (int i = 0; i < 3; i++) {
        snprintf(copies[i], sizeof copies[i], "%s", corpus_path_of(state, names[i]));
        paths[i] = copies[i];
    }
    corpus *c = NULL;
    corpus_part *parts[8] = {NULL};
    size_t n = 0;
    assert_int_equal(corpus_open(paths, 3, NULL, NULL, &c), POFAC_OK);
    do assert_int_equal(corpus_next_part(c, NULL, &parts[n]), POFAC_OK);
    while (parts[n++]);
    assert_int_equal(n, 6);
    corpus_close(c); /* before its parts */
    for (size_t i = 0; i + 1 < n; i++) corpus_part_destroy(parts[i]);
    expect_corpus(state, "many", NULL, POFAC_OK, "a|A.|\nz|Z.|\nb|B.|\n", "", (corpus_counts){.documents = 3});
}

static void wrong_calls_and_files_are_refused(void **state) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    corpus *c = (corpus *)&said; /* must become NULL */
    assert_int_equal(corpus_open(NULL, 0, NULL, &sink, &c), POFAC_ERR_USAGE);
    assert_null(c);
    assert_string_equal(strbuf_str(&said), "error: found no file, wanted at least one to read a corpus from\n");
    strbuf_free(&said);
    expect_corpus(state, "", &(corpus_options){.kind = "wikipdia"}, POFAC_ERR_USAGE, "",
                  "error: found \"wikipdia\", wanted a kind of corpus; did you mean \"wikipedia\"?\n", (corpus_counts){0});
    expect_corpus(state, "", &(corpus_options){.max_document_bytes = SIZE_MAX}, POFAC_ERR_USAGE, "",
                  "error: found 18446744073709551615 bytes for the largest document, wanted at most 1073741824\n",
                  (corpus_counts){0});
    expect_corpus(state, "missing", NULL, POFAC_ERR_INPUT, "", "missing: error: cannot be read: No such file or directory\n",
                  (corpus_counts){0});
    put_corpus_text(state, "nothing/.hidden", "x");
    expect_corpus(state, "nothing", NULL, POFAC_ERR_INPUT, "", "nothing: error: found no files in the directory, wanted some\n",
                  (corpus_counts){0});
    put_corpus_text(state, "empty.txt", "");
    expect_corpus(state, "empty.txt", NULL, POFAC_ERR_INPUT, "", "empty.txt: error: found an empty file, wanted text\n",
                  (corpus_counts){0});
    expect_corpus(state, "empty.txt", &(corpus_options){.skip_damage = true}, POFAC_OK, "",
                  "empty.txt: warning: found an empty file, wanted text\n", (corpus_counts){.damages = 1});
    strbuf zipped = packed(COMPRESSION_BZIP2, "", 0, 0);
    put_corpus_file(state, "empty.bz2", zipped.data, zipped.size);
    strbuf_free(&zipped);
    expect_corpus(state, "empty.bz2", NULL, POFAC_ERR_INPUT, "", "empty.bz2: error: found an empty file, wanted text\n",
                  (corpus_counts){0});
}

/* Every cut of compressed text: the documents before it are read. */
static void cut_compressed_text_is_damage(void **state) {
    static const compression forms[] = {COMPRESSION_GZIP, COMPRESSION_BZIP2, COMPRESSION_ZSTD};
    static const char text[] = "Ones.\n\nTwos.\n\nThre.\n\nFour.\n\nFive.\n";
    static const char wanted[] = "|Ones.|\n|Twos.|\n|Thre.|\n|Four.|\n|Five.|\n";
    const corpus_options skip = {.skip_damage = true, .part_bytes = 8}, stop = {.part_bytes = 8};
    for (size_t f = 0; f < 3; f++) {
        strbuf zipped = packed(forms[f], text, sizeof text - 1, 14) /* two documents each */;
        for (size_t n = 4; n < zipped.size; n++) {
            put_corpus_file(state, "cut", zipped.data, n);
            corpus_outcome strict = read_corpus(state, "cut", &stop), lenient = read_corpus(state, "cut", &skip);
            const bool is_whole_member = strict.status == POFAC_OK;
            if (strncmp(wanted, strbuf_str(&strict.documents), strict.documents.size) != 0)
                fail_msg("cut at %zu: found %s", n, strbuf_str(&strict.documents));
            expect_documents("with skip_damage", strbuf_str(&lenient.documents), strbuf_str(&strict.documents));
            assert_int_equal(lenient.status, POFAC_OK);
            assert_int_equal(lenient.counts.damages, !is_whole_member);
            if (!is_whole_member) assert_int_equal(strict.status, POFAC_ERR_INPUT);
            assert_int_equal(strict.messages.size == 0, is_whole_member);
            outcome_free(&strict);
            outcome_free(&lenient);
        }
        strbuf_free(&zipped);
    }
}

static void what_stands_behind_compressed_data_is_damage(void **state) {
    strbuf zipped = packed(COMPRESSION_GZIP, "One.\n", 5, 0);
    strbuf_append(&zipped, "\0\0\0\0", 4);
    put_corpus_file(state, "tail.gz", zipped.data, zipped.size);
    expect_corpus(state, "tail.gz", NULL, POFAC_OK, "|One.|\n", "", (corpus_counts){.documents = 1});
    strbuf_append(&zipped, "junk", 4);
    put_corpus_file(state, "tail.gz", zipped.data, zipped.size);
    expect_corpus(state, "tail.gz", &(corpus_options){.skip_damage = true, .part_bytes = 1}, POFAC_OK, "",
                  "tail.gz: warning: found other bytes than gzip's from byte 25 on, wanted the end of the file there\n",
                  (corpus_counts){.damages = 1});
    strbuf_free(&zipped);
}

/* A callback that wants no more ends the reading with its status. */
static pofac_status refuse(void *context, const corpus_document *document) {
    (void)document;
    return *(int *)context -= 1, *(int *)context == 0 ? POFAC_ERR_INTERRUPTED : POFAC_OK;
}

static void a_callback_can_end_the_reading(void **state) {
    put_corpus_text(state, "four.txt", "1\n\n2\n\n3\n\n4\n");
    const char *path = corpus_path_of(state, "four.txt");
    corpus *c = NULL;
    corpus_part *part = NULL;
    corpus_counts counts = {0};
    int left = 3;
    assert_int_equal(corpus_open(&path, 1, NULL, NULL, &c), POFAC_OK);
    assert_int_equal(corpus_next_part(c, NULL, &part), POFAC_OK);
    assert_int_equal(corpus_part_read(part, refuse, &left, NULL, &counts), POFAC_ERR_INTERRUPTED);
    assert_int_equal(counts.documents, 2);
    corpus_part_destroy(part);
    corpus_close(c);
}

static void counts_are_printed(void **state) {
    (void)state;
    strbuf out = STRBUF_INIT;
    corpus_counts total = {.bytes = 10, .documents = 1}, more = {.documents = 2, .text_bytes = 5};
    corpus_counts_add(&total, &more);
    corpus_counts_put(&total, &out);
    assert_string_equal(strbuf_str(&out), "10 decompressed bytes\n3 documents given to the caller\n5 bytes of their prose\n");
    strbuf_free(&out);
}

static void kinds_are_listed(void **state) {
    static const char *const wanted[] = {"wikipedia", "jsonl", "wikitext", "bookcorpus",
                                         "text"}; /* each has tests here or in test_corpus_dump */
    const char *name = NULL, *meaning = NULL;
    size_t n = 0;
    (void)state;
    for (; corpus_kind_row(n, &name, &meaning); n++) {
        assert_true(n < sizeof wanted / sizeof wanted[0]);
        assert_string_equal(name, wanted[n]);
        assert_true(strlen(meaning) > 10);
    }
    assert_int_equal(n, sizeof wanted / sizeof wanted[0]);
}

/* ---- failing calls ---- */

static const struct {
    const char *name, *text;
    compression form;
} inputs[] = {
    {"f.txt", "One.\n\nTwo.\n\nThree.\n", COMPRESSION_NONE},
    {"f.txt.gz", "One.\n\nTwo.\n\nThree.\n", COMPRESSION_GZIP},
    {"f.txt.bz2", "One.\n\nTwo.\n\nThree.\n", COMPRESSION_BZIP2},
    {"f.jsonl", "{\"text\": \"One.\"}\n{\"text\": 1}\n{\"text\": \"Two.\"}\n", COMPRESSION_NONE},
    {"f.tokens", wikitext, COMPRESSION_NONE},
    {"shelf/c.txt", "One.\nTwo.", COMPRESSION_NONE},
};

static void failing_allocations_are_reported(void **state) {
    const corpus_options options = {.part_bytes = 8, .skip_damage = true};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        strbuf bytes = packed(inputs[i].form, inputs[i].text, strlen(inputs[i].text), 0);
        put_corpus_file(state, inputs[i].name, bytes.data, bytes.size);
        strbuf_free(&bytes);
        for (size_t n = 1;; n++) {
            corpus_counts counts = {0};
            corpus *c = NULL;
            corpus_part *part = NULL;
            const char *path = corpus_path_of(state, inputs[i].name);
            int left = -1;
            fail_alloc_after(n);
            pofac_status status = corpus_open(&path, 1, &options, NULL, &c);
            while (status == POFAC_OK) {
                status = corpus_next_part(c, NULL, &part);
                if (status != POFAC_OK || !part) break;
                status = corpus_part_read(part, refuse, &left, NULL, &counts);
                corpus_part_destroy(part);
            }
            corpus_close(c);
            if (!fail_alloc_stop()) {
                assert_int_equal(status, POFAC_OK);
                break;
            }
            if (status != POFAC_ERR_RUNTIME) fail_msg("%s, allocation %zu: found status %d", inputs[i].name, n, status);
        }
    }
}

static void failing_reads_are_reported(void **state) {
    put_corpus_text(state, "r.txt", "One.\n");
    for (size_t n = 1;; n++) {
        fail_read_after(n);
        corpus_outcome o = read_corpus(state, "r.txt", NULL);
        const bool failed = fail_read_stop();
        assert_int_equal(o.status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_int_equal(o.messages.size > 0, failed);
        outcome_free(&o);
        if (!failed) break;
        assert_true(n < 10);
    }
}

/* ---- real files ---- */

static void expect_shared(const char *shared, const char *name, uint64_t documents, uint64_t bytes) {
    char path[512];
    snprintf(path, sizeof path, "%s/data/wikipedia/%s", shared, name);
    const char *paths[] = {path};
    corpus *c = NULL;
    corpus_part *part = NULL;
    corpus_counts counts = {0};
    int left = -1;
    assert_int_equal(corpus_open(paths, 1, NULL, NULL, &c), POFAC_OK);
    while (corpus_next_part(c, NULL, &part) == POFAC_OK && part) {
        assert_int_equal(corpus_part_read(part, refuse, &left, NULL, &counts), POFAC_OK);
        corpus_part_destroy(part);
    }
    corpus_close(c);
    assert_int_equal(counts.documents, documents);
    assert_int_equal(counts.bytes, bytes);
}

static void real_files_have_their_documents(void **state) {
    const char *shared = getenv("POFAC_SHARED");
    (void)state;
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    expect_shared(shared, "squad_train_articles_paragraphs.txt.gz", 442, 13950630);
    expect_shared(shared, "wikitext-2-valid.txt.gz", 60, 1121681);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blank_line_ends_a_document),
        cmocka_unit_test(text_that_is_not_utf8_has_a_place),
        cmocka_unit_test(documents_beyond_the_limit_are_skipped),
        cmocka_unit_test(wikitext_is_detokenized),
        cmocka_unit_test(files_of_a_directory_are_books),
        cmocka_unit_test(long_lines_of_a_book_are_paragraphs),
        cmocka_unit_test(a_book_may_be_too_large_or_damaged),
        cmocka_unit_test(json_lines_have_text_and_title),
        cmocka_unit_test(wrong_json_lines_have_a_place),
        cmocka_unit_test(paths_are_read_in_order),
        cmocka_unit_test(wrong_calls_and_files_are_refused),
        cmocka_unit_test(cut_compressed_text_is_damage),
        cmocka_unit_test(what_stands_behind_compressed_data_is_damage),
        cmocka_unit_test(a_callback_can_end_the_reading),
        cmocka_unit_test(counts_are_printed),
        cmocka_unit_test(kinds_are_listed),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(failing_reads_are_reported),
        cmocka_unit_test(real_files_have_their_documents),
    };
    return cmocka_run_group_tests(tests, corpus_set_up, corpus_tear_down);
}
