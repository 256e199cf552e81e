/* Examples out of files of every layout and format; what is wrong in them, with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/data/task_dump.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

#define EXPECT(task_name, name, bytes, wanted)                                                                                     \
    expect_task(state, name, bytes, sizeof(bytes) - 1, (task_reader_options){.task = find_task(task_name)}, wanted)
#define EXPECT_SKIPPED(task_name, name, bytes, wanted)                                                                             \
    expect_task(state, name, bytes, sizeof(bytes) - 1, (task_reader_options){.task = find_task(task_name), .skip_bad_rows = true}, \
                wanted)

static void official_layouts(void **state) {
    EXPECT("sst2", "a.tsv", "sentence\tlabel\nso good \t1\nbad\t0\n", "2 so good  -> 1\n3 bad -> 0\n");
    EXPECT("sst2", "a.tsv", "index\tsentence\n0\tgood\n", "2 good -> -\n");
    EXPECT("cola", "a.tsv", "gj04\t1\t\tIt is.\ngj04\t0\t*\tIs it it.\n", "1 It is. -> 1\n2 Is it it. -> 0\n");
    EXPECT("cola", "a.tsv", "index\tsentence\n0\tIt is.\n", "2 It is. -> -\n");
    EXPECT("mnli", "a.tsv",
           "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\t"
           "sentence1\tsentence2\tlabel1\tgold_label\n0\t1\t1n\tg\t( a )\t( b )\t(R a)\t(R b)\tA.\tB.\tneutral\tentailment\n",
           "2 A. | B. -> 0\n");
    EXPECT("mnli", "a.tsv",
           "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\t"
           "sentence1\tsentence2\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
           "0\t1\t1n\tg\t( a )\t( b )\t(R a)\t(R b)\tA.\tB.\tneutral\tneutral\tneutral\tneutral\tneutral\tcontradiction\n",
           "2 A. | B. -> 2\n");
    EXPECT("mnli", "a.tsv", "0\t1\t1n\tg\t( a )\t( b )\t(R a)\t(R b)\tA.\tB.\tneutral\tentailment\n", "1 A. | B. -> 0\n");
    EXPECT("mnli", "a.tsv", "0\t1\t1n\tg\t( a )\t( b )\t(R a)\t(R b)\tA.\tB.\n", "1 A. | B. -> -\n");
    EXPECT("mnli", "a.tsv", "index\tpremise\thypothesis\tgold_label\tn\n0\tA\tB\tneutral\t7\n", "2 A | B -> 1\n");
    EXPECT("mnli", "a.tsv", "neutral\tA\tB\n", "1 A | B -> 1\n");
    EXPECT("mnli", "a.tsv", "0\tneutral\tA\tB\n", "1 A | B -> 1\n");
    EXPECT("qqp", "a.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tA?\tB?\t1\n", "2 A? | B? -> 1\n");
    EXPECT("qqp", "a.tsv", "1\t2\t3\tA?\tB?\t0\n", "1 A? | B? -> 0\n");
    EXPECT("qqp", "a.tsv", "id\tquestion1\tquestion2\n1\tA?\tB?\n", "2 A? | B? -> -\n");
    EXPECT("qqp", "a.tsv", "1\tA?\tB?\t17\n", "1 A? | B? -> 1\n");
    EXPECT("qnli", "a.tsv", "index\tquestion\tsentence\tlabel\n0\tA?\tB.\tnot_entailment\n", "2 A? | B. -> 1\n");
    EXPECT("rte", "a.tsv", "index\tsentence1\tsentence2\tlabel\n0\tA\tB\tentailment\n", "2 A | B -> 0\n");
    EXPECT("wnli", "a.tsv", "index\tsentence1\tsentence2\tlabel\n0\tA\tB\t1\n", "2 A | B -> 1\n");
    EXPECT("stsb", "a.tsv",
           "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
           "0\tg\tf\t2012\t1\tnone\tnone\tA.\tB.\t3.800\n",
           "2 A. | B. -> 3.8\n");
    EXPECT("stsb", "a.tsv", "0\tg\tf\t2012\t1\tnone\tnone\tA.\tB.\n", "1 A. | B. -> -\n");
    EXPECT("mrpc", "a.txt", "\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\t\"A\" b.\tB.\r\n0\t7\t8\tC\tD",
           "2 \"A\" b. | B. -> 1\n3 C | D -> 0\n");
    EXPECT("mrpc", "a.tsv", "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tA\tB\n", "2 A | B -> -\n");
}

/* Every row of TASK_LAYOUT: a line without a header, with what belongs there in each place. */
static void every_layout(void **state) {
    const task_info *task;
    const task_layout *layout;
    for (size_t i = 0; (task = task_row(i)); i++)
        for (size_t k = 0; (layout = task_layout_row(task, k)); k++) {
            strbuf line = STRBUF_INIT, wanted = STRBUF_INIT;
            const char *label = task->kind == TASK_REGRESSION || *task->labels ? "1" : "cat";
            for (int c = 0; c < (int)layout->n_columns; c++)
                strbuf_printf(&line, "%s%s", c ? "\t" : "",
                              c == layout->place[TASK_TEXT_A]   ? "first"
                              : c == layout->place[TASK_TEXT_B] ? "second"
                              : c == layout->place[TASK_LABEL]  ? label
                                                                : "other");
            strbuf_puts(&line, "\n");
            strbuf_printf(&wanted, "1 first%s -> %s\n", layout->place[TASK_TEXT_B] < 0 ? "" : " | second",
                          layout->place[TASK_LABEL] < 0 ? "-" : label);
            expect_task(state, "a.tsv", line.data, line.size, (task_reader_options){.task = task}, strbuf_str(&wanted));
            strbuf_free(&line);
            strbuf_free(&wanted);
        }
}

static void line_ends_and_blank_lines(void **state) {
    EXPECT("sst2", "a.tsv", "", "");
    EXPECT("sst2", "a.tsv", "\n\n", "");
    EXPECT("sst2", "a.tsv", "sentence\tlabel\n", "");
    EXPECT("sst2", "a.tsv", "sentence\tlabel\r\n\r\na\t1\r\n\nb\t0", "3 a -> 1\n5 b -> 0\n");
    EXPECT("sst2", "a.tsv", "Sentence\t LABEL \na\t 1\n", "2 a -> 1\n");
    EXPECT("sst2", "a.tsv", "a \" b\t1\n\"\t0\n", "1 a \" b -> 1\n2 \" -> 0\n");
}

static void comma_separated(void **state) {
    EXPECT("sst2", "a.csv", "sentence,label\n\"a, b\",1\n\"a \"\"b\"\"\",0\na \"b\",1\n",
           "2 a, b -> 1\n3 a \"b\" -> 0\n4 a \"b\" -> 1\n");
    EXPECT("sst2", "a.csv", "label,sentence\r\n1,\"a\r\nb\"\r\n\"0\",\"c\"", "2 a\nb -> 1\n4 c -> 0\n");
    EXPECT("sst2", "a.csv", "label,sentence\n1,\"\"\"\"\n0,x,\n",
           "2 \" -> 1\na.csv:3: error: found 3 columns, wanted 2, as the header has\n");
    EXPECT("sst2", "a.csv", "label,sentence\n1,\"a\" b\n",
           "a.csv:2: error: found text behind a closing quote, wanted a comma or the end of the line\n");
    EXPECT("sst2", "a.csv", "label,sentence\n1,a\n0,\"b\nc\n",
           "2 a -> 1\na.csv:3: error: found no closing quote of a cell, wanted one before the end of the file\n");
    EXPECT_SKIPPED(
        "sst2", "a.csv", "label,sentence\n1,\"a\" b\n0,c\n1,\"\n",
        "3 c -> 0\na.csv:2: warning: row skipped: found text behind a closing quote, wanted a comma or the end of the line\n"
        "a.csv:4: warning: row skipped: found no closing quote of a cell, wanted one before the end of the file\nbad 2\n");
}

static void json_lines(void **state) {
    EXPECT("mnli", "a.jsonl",
           "{\"premise\": \"A\", \"hypothesis\": \"B\", \"label\": 2}\n\n{\"hypothesis\": \"D\", \"premise\": \"C\", \"label\": "
           "\"neutral\"}",
           "1 A | B -> 2\n3 C | D -> 1\n");
    EXPECT("mnli", "a.json",
           "{\"premise\": \"A\", \"hypothesis\": \"B\", \"label\": -1}\n{\"premise\": \"A\", \"hypothesis\": \"B\"}\n"
           "{\"premise\": \"A\", \"hypothesis\": \"B\", \"label\": null}",
           "1 A | B -> -\n2 A | B -> -\n3 A | B -> -\n");
    EXPECT("stsb", "a.jsonl",
           "{\"sentence1\": \"A\", \"sentence2\": \"B\", \"label\": 2.5}\n{\"sentence1\": \"A\", \"sentence2\": \"B\", \"score\": "
           "\"5\"}",
           "1 A | B -> 2.5\n2 A | B -> 5\n");
    EXPECT("regression", "a.jsonl", "{\"text\": \"A\", \"label\": -1}\n", "1 A -> -1\n");
    EXPECT("sst2", "a.jsonl", "{\"sentence\": \"A\n",
           "a.jsonl:1:14: error: invalid JSON: premature end of input near '\"A'\n  {\"sentence\": \"A\n               ^\n");
}

static void json_lines_that_are_wrong(void **state) {
    EXPECT("sst2", "a.jsonl", "{\"sentence\": \"A\", \"label\": 1}\n[1]\n",
           "1 A -> 1\na.jsonl:2: error: found an array, wanted an object\n");
    EXPECT("sst2", "a.jsonl", "{\"text\": 5}\n", "a.jsonl:1: error: text: found 5, wanted a string\n");
    EXPECT("sst2", "a.jsonl", "{\"texts\": \"A\"}\n", "a.jsonl:1: error: found no key for the text, wanted sentence or text\n");
    EXPECT("sst2", "a.jsonl", "{\"text\": \"A\", \"label\": [1]}\n",
           "a.jsonl:1: error: label: found an array, wanted a string or a number\n");
    EXPECT("sst2", "a.jsonl", "{\"text\": \"A\", \"label\": 1.5}\n",
           "a.jsonl:1: error: label: found \"1.5\", wanted \"negative\" or \"positive\"\n");
    EXPECT("rte", "a.jsonl", "{\"sentence1\": \"A\"}\n",
           "a.jsonl:1: error: found no key for the second text, wanted sentence2, hypothesis or text_b\n");
    EXPECT_SKIPPED("sst2", "a.jsonl", "{\n{\"text\": \"A\"}\n",
                   "2 A -> -\na.jsonl:1:2: warning: row skipped: invalid JSON: string or '}' expected near end of file\n"
                   "  {\n   ^\nbad 1\n");
}

static void own_data(void **state) {
    EXPECT("classification", "a.tsv", "text\tlabel\na\tcat\nb\tdog\n", "2 a -> cat\n3 b -> dog\n");
    EXPECT("classification", "a.tsv", "label\tquestion\tsentence\ncat\ta\tb\n", "2 a | b -> cat\n");
    EXPECT("classification", "a.tsv", "sentence\tlabel\na\t-1\n", "2 a -> -1\n");
    EXPECT("classification", "a.tsv", "a\tcat\n", "1 a -> cat\n");
    EXPECT("classification", "a.tsv", "a\tb\tcat\n", "1 a | b -> cat\n");
    EXPECT("regression", "a.csv", "review,rating\ngood,4.5\nbad,-1e3\n", "2 good -> 4.5\n3 bad -> -1000\n");
    static const char tweets[] = "id,tweet,reply,mood\n1,a,b,glad\n";
    task_reader_options options = {.task = find_task("classification"), .columns = {"tweet", NULL, "mood"}};
    expect_task(state, "a.csv", tweets, sizeof tweets - 1, options, "2 a -> glad\n");
    options.columns[TASK_TEXT_B] = "reply";
    expect_task(state, "a.csv", tweets, sizeof tweets - 1, options, "2 a | b -> glad\n");
    options.columns[TASK_TEXT_B] = "answer";
    expect_task(state, "a.csv", tweets, sizeof tweets - 1, options,
                "a.csv:1: error: found a header with the columns \"id\", \"tweet\", \"reply\", \"mood\", wanted one for the second "
                "text: answer\n");
    options.columns[TASK_TEXT_A] = "sentence";
    options.columns[TASK_LABEL] = NULL;
    expect_task(state, "a.csv", tweets, sizeof tweets - 1, options,
                "a.csv:1: error: found 4 columns and none of the names of columns, wanted a header with sentence\n");
}

static void labels_that_are_needed(void **state) {
    static const char none[] = "index\tsentence\n0\tgood\n", some[] = "{\"text\": \"A\", \"label\": null}\n";
    const task_reader_options options = {.task = find_task("sst2"), .needs_labels = true};
    expect_task(state, "a.tsv", none, sizeof none - 1, options,
                "a.tsv:1: error: found a header with the columns \"index\", \"sentence\", wanted one for the label: label, labels "
                "or sentiment\n");
    expect_task(state, "a.jsonl", some, sizeof some - 1, options, "a.jsonl:1: error: label: found none, wanted one in every row\n");
}

static void rows_that_are_wrong(void **state) {
    EXPECT("sst2", "a.tsv", "sentence\tlabel\na\t1\nb\n",
           "2 a -> 1\na.tsv:3: error: found 1 columns, wanted 2, as the header has\n");
    EXPECT("sst2", "a.tsv", "sentence\tlabel\na\tb\t1\n", "a.tsv:2: error: found 3 columns, wanted 2, as the header has\n");
    EXPECT("qqp", "a.tsv", "1\tA\tB\t7\n0\tA\n",
           "1 A | B -> 1\na.tsv:2: error: found 2 columns, wanted 4, as the first line has\n");
    EXPECT("sst2", "a.tsv", "sentence\tlabel\na\t2\n", "a.tsv:2: error: label: found \"2\", wanted \"negative\" or \"positive\"\n");
    EXPECT("sst2", "a.tsv", "sentence\tlabel\na\t\n", "a.tsv:2: error: label: found an empty cell, wanted text\n");
    EXPECT("sst2", "a.tsv", "sentence\tlabel\n \t1\n", "a.tsv:2: error: text: found an empty cell, wanted text\n");
    EXPECT("rte", "a.tsv", "0\tA\t\tentailment\n", "a.tsv:1: error: second text: found an empty cell, wanted text\n");
    EXPECT("sst2", "a.tsv", "sentence\tlabel\nab\xc3\x28\t1\n",
           "a.tsv:2: error: text: found the byte 0xc3 at byte 3, wanted UTF-8\n");
    EXPECT("sst2", "a.tsv", "sentence\tlabel\na\0b\t1\n", "a.tsv:2: error: text: found a NUL byte, wanted text\n");
    EXPECT("stsb", "a.tsv", "0\t5.1\tA\tB\n", "a.tsv:1: error: label: found \"5.1\", wanted a number from 0 to 5\n");
    EXPECT("stsb", "a.tsv", "0\tfive\tA\tB\n", "a.tsv:1: error: label: found \"five\", wanted a number from 0 to 5\n");
    EXPECT("regression", "a.tsv", "A\tnan\n", "a.tsv:1: error: label: found \"nan\", wanted a number\n");
    EXPECT("mnli", "a.tsv", "-\tA\tB\n",
           "a.tsv:1: error: label: found \"-\", wanted \"entailment\", \"neutral\" or \"contradiction\"\n");
    EXPECT("mnli", "a.tsv", "premise\thypotesis\tlabel\nA\tB\tneutral\n",
           "a.tsv:1: error: found a header with the columns \"premise\", \"hypotesis\", \"label\", wanted one for the second text: "
           "sentence2, hypothesis or text_b\n");
    EXPECT("sst2", "a.tsv", "a\tb\tc\td\n",
           "a.tsv:1: error: found 4 columns and none of the names of columns, wanted a header with sentence or text; or without a "
           "header, columns to the number of 2\n");
    EXPECT("squad", "a.tsv", "", "error: task squad has articles and answers, not rows: wanted a task of texts and labels\n");
    const task_reader_options conll = {.task = find_task("sst2"), .format = TASK_FORMAT_CONLL};
    expect_task(state, "a.tsv", "", 0, conll, "error: found the format conll, wanted tsv, csv or jsonl for task sst2\n");
}

static void other_columns_may_hold_anything(void **state) {
    EXPECT("qqp", "a.tsv", "id\tquestion1\tquestion2\n\xff\xfe\tA?\tB?\n", "2 A? | B? -> -\n");
}

static void bad_rows_are_skipped_and_counted(void **state) {
    EXPECT_SKIPPED("sst2", "a.tsv", "sentence\tlabel\na\t1\nb\nc\t7\n\xff\t1\nd\t0\n\t1\ne\nf\ng\t1\n",
                   "2 a -> 1\n6 d -> 0\n10 g -> 1\n"
                   "a.tsv:3: warning: row skipped: found 1 columns, wanted 2, as the header has\n"
                   "a.tsv:4: warning: row skipped: label: found \"7\", wanted \"negative\" or \"positive\"\n"
                   "a.tsv:5: warning: row skipped: text: found the byte 0xff at byte 1, wanted UTF-8\n"
                   "a.tsv:7: warning: row skipped: text: found an empty cell, wanted text\n"
                   "a.tsv:8: warning: row skipped: found 1 columns, wanted 2, as the header has\nbad 6\n");
}

static void compressed(void **state) {
    static const char text[] = "sentence\tlabel\ngood\t1\n", more[] = "bad\t0\n";
    const task_reader_options options = {.task = find_task("sst2")};
    strbuf found = STRBUF_INIT;
    put_gzip(state, "a.tsv.gz", text, sizeof text - 1, "wb");
    put_gzip(state, "a.tsv.gz", more, sizeof more - 1, "ab"); /* a second member */
    dump_task(state, file_path(state, "a.tsv.gz"), &options, &found);
    assert_string_equal(strbuf_str(&found), "2 good -> 1\n3 bad -> 0\n");
    strbuf_free(&found);
    put_gzip(state, "a.jsonl.gz", "{\"text\": \"A\", \"label\": 1}", 25, "wb");
    dump_task(state, file_path(state, "a.jsonl.gz"), &options, &found);
    assert_string_equal(strbuf_str(&found), "1 A -> 1\n");
    strbuf_free(&found);
}

/* Every cut of a compressed file is told from its end, and a changed byte from the data that were written. */
static void damaged_compression(void **state) {
    static const char text[] = "sentence\tlabel\ngood\t1\nnot so good\t0\n";
    const task_reader_options options = {.task = find_task("sst2")};
    unsigned char bytes[256];
    put_gzip(state, "whole.gz", text, sizeof text - 1, "wb");
    FILE *f = fopen(file_path(state, "whole.gz"), "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t cut = 2; cut < n; cut++) {
        strbuf found = STRBUF_INIT;
        put_file(state, "cut.tsv.gz", bytes, cut);
        dump_task(state, file_path(state, "cut.tsv.gz"), &options, &found);
        if (!strstr(strbuf_str(&found), "cut.tsv.gz: error: the gzip data end too early\n"))
            fail_msg("cut after %zu of %zu bytes: %s", cut, n, strbuf_str(&found));
        strbuf_free(&found);
    }
    for (size_t at = 10; at < n; at++) {
        strbuf found = STRBUF_INIT;
        bytes[at] ^= 0x10;
        put_file(state, "bit.tsv.gz", bytes, n);
        bytes[at] ^= 0x10;
        dump_task(state, file_path(state, "bit.tsv.gz"), &options, &found);
        if (!strstr(strbuf_str(&found), "error: ")) fail_msg("byte %zu changed: %s", at, strbuf_str(&found));
        strbuf_free(&found);
    }
}

static void files_that_cannot_be_read(void **state) {
    const task_reader_options options = {.task = find_task("sst2")};
    strbuf found = STRBUF_INIT;
    dump_task(state, file_path(state, "absent.tsv"), &options, &found);
    assert_string_equal(strbuf_str(&found), "absent.tsv: error: cannot open: No such file or directory\n");
    strbuf_free(&found);
    dump_task(state, file_path(state, "."), &options, &found);
    assert_string_equal(strbuf_str(&found), ".: error: cannot be read: Is a directory\n");
    strbuf_free(&found);
}

static void a_line_without_end(void **state) {
    const size_t n = TEXT_LINES_MAX_BYTES + 4096;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, 'a', n);
    EXPECT("sst2", "b.tsv", "", "");
    expect_task(state, "a.tsv", text, n, (task_reader_options){.task = find_task("sst2"), .skip_bad_rows = true},
                "a.tsv:1: error: found a line of more than 16777216 bytes, wanted shorter ones\n");
    text[0] = '"';
    for (size_t i = 1000; i < n; i += 1000) text[i] = '\n';
    expect_task(state, "a.csv", text, n, (task_reader_options){.task = find_task("sst2")},
                "a.csv:1: error: found a row of more than 16777216 bytes, wanted shorter ones\n");
    free(text);
}

static const struct {
    const char *task, *name, *text;
} kinds[] = {{"mnli", "f.tsv", "index\tpremise\thypothesis\tlabel\n0\tA\tB\tneutral\n1\tC\tD\t7\n1\tE\tF\tentailment\n"},
             {"classification", "f.csv", "text,label\n\"a \"\"b\"\",\nc\",x\nb,y\n"},
             {"mnli", "f.jsonl", "{\"premise\": \"A\", \"hypothesis\": \"B\", \"label\": 2}\n"},
             {"token-classification", "f.conll", "-DOCSTART- -X- O\n\nEU B-ORG\nis O\n\nin O\nU.S. B-LOC\n"},
             {"token-classification", "f.json", "{\"tokens\": [\"EU\", \"is\"], \"ner_tags\": [\"I-X\", \"O\"]}\n"}};

/* Everything there is to do with a file: its labels, then its examples with them. */
static pofac_status read_with_labels(const char *path, const task_info *task, const diag_sink *sink, size_t *n) {
    label_collector collector = LABEL_COLLECTOR_INIT;
    arena a = ARENA_INIT;
    label_set labels = {0};
    task_reader *r = NULL;
    bool found = true;
    task_example e;
    const bool skips = !strstr(path, ".json"); /* jansson says "invalid" too when it has no memory for a string */
    task_reader_options options = {.task = task, .skip_bad_rows = skips, .scheme = TAGS_IOB2, .labels = &labels};
    pofac_status status = label_set_make(task, NULL, &a, sink, &labels);
    if (status == POFAC_OK && labels.n == 0) {
        status = task_labels_collect(path, &options, sink, &collector);
        if (status == POFAC_OK && !label_collector_sort(&collector, &a, &labels)) status = diag_out_of_memory(sink);
    }
    if (status == POFAC_OK) status = task_reader_open(path, &options, sink, &r);
    for (*n = 0; status == POFAC_OK && found; *n += found) status = task_reader_next(r, sink, &e, &found);
    task_reader_close(r);
    label_collector_free(&collector);
    arena_free(&a);
    return status;
}

static void failing_allocations(void **state) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        put_file(state, kinds[k].name, kinds[k].text, strlen(kinds[k].text));
        char path[512];
        snprintf(path, sizeof path, "%s", file_path(state, kinds[k].name));
        for (size_t n = 1;; n++) {
            size_t count;
            fail_alloc_after(n);
            pofac_status status = read_with_labels(path, find_task(kinds[k].task), NULL, &count);
            if (!fail_alloc_stop()) {
                assert_int_equal(status, POFAC_OK);
                assert_true(count > 0 && n > 4);
                break;
            }
            if (status != POFAC_ERR_RUNTIME && !(status == POFAC_ERR_INPUT && strstr(path, ".json")))
                fail_msg("%s: allocation %zu failed: status %d", kinds[k].name, n, (int)status);
        }
    }
}

/* A read that fails is an error; but what only tells the size of a file may. */
static void failing_reads(void **state) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        size_t all, failures = 0;
        put_file(state, kinds[k].name, kinds[k].text, strlen(kinds[k].text));
        char path[512];
        snprintf(path, sizeof path, "%s", file_path(state, kinds[k].name));
        assert_int_equal(read_with_labels(path, find_task(kinds[k].task), NULL, &all), POFAC_OK);
        for (size_t n = 1;; n++) {
            size_t count;
            fail_read_after(n);
            pofac_status status = read_with_labels(path, find_task(kinds[k].task), NULL, &count);
            if (!fail_read_stop()) break;
            failures += status == POFAC_ERR_INPUT;
            if (status == POFAC_OK ? count != all : status != POFAC_ERR_INPUT)
                fail_msg("%s: read %zu failed: status %d, %zu of %zu examples", kinds[k].name, n, (int)status, count, all);
        }
        assert_true(failures >= 3); /* open, and both reads of a short file */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_layouts),
        cmocka_unit_test(every_layout),
        cmocka_unit_test(line_ends_and_blank_lines),
        cmocka_unit_test(comma_separated),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(json_lines_that_are_wrong),
        cmocka_unit_test(own_data),
        cmocka_unit_test(labels_that_are_needed),
        cmocka_unit_test(rows_that_are_wrong),
        cmocka_unit_test(other_columns_may_hold_anything),
        cmocka_unit_test(bad_rows_are_skipped_and_counted),
        cmocka_unit_test(compressed),
        cmocka_unit_test(damaged_compression),
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(a_line_without_end),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(failing_reads),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
