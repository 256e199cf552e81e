/*
 * Any bytes as a file of a task; the first byte chooses the task, the format and what is done with bad rows. What comes out keeps the
 * promises of task_reader.h: texts are UTF-8 without NUL and not empty, labels are of the set, lines rise, and with bad rows skipped
 * nothing but the file itself is an error. Reading twice gives the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/data/task_reader.h"
#include "frontend/data/utf8_check.h"
#include "ir/support/hash.h"
#include "tests/fuzz/input_file.h"

static uint64_t check_text(uint64_t sum, const char *text, size_t n) {
    if (n == 0 || strlen(text) != n || utf8_valid_bytes(text, n) != n) abort();
    return hash_combine(sum, hash_bytes(text, n));
}

static uint64_t check_example(uint64_t sum, const task_reader_options *options, const task_example *e) {
    if (e->words && e->n_words == 0) abort();
    for (size_t i = 0; i < e->n_words; i++) {
        sum = check_text(sum, e->words[i], strlen(e->words[i]));
        if (e->has_label) sum = check_text(sum, e->tags[i], strlen(e->tags[i]));
        if (e->has_label && options->scheme != TAGS_AS_THEY_ARE && !tag_is_span(e->tags[i])) abort();
    }
    if (e->words) return sum;
    sum = check_text(sum, e->text_a, e->text_a_bytes);
    if (e->text_b) sum = check_text(sum, e->text_b, e->text_b_bytes);
    if (options->task->kind == TASK_REGRESSION && e->has_label &&
        !(e->score >= options->task->low && e->score <= options->task->high))
        abort();
    if (options->labels->n > 0 && options->task->kind == TASK_CLASSIFICATION && e->has_label != (e->label >= 0)) abort();
    if (e->label >= (int32_t)options->labels->n && e->label >= 0) abort();
    return hash_combine(sum, (uint64_t)e->label);
}

static uint64_t read_all(const task_reader_options *options) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    task_reader *r;
    task_example e;
    bool found = true;
    uint64_t sum = 0, line = 0;
    pofac_status status = task_reader_open(path, options, &sink, &r);
    while (status == POFAC_OK && found) {
        status = task_reader_next(r, &sink, &e, &found);
        if (status != POFAC_OK || !found) continue;
        if (e.line <= line) abort();
        line = e.line;
        sum = check_example(hash_combine(sum, line), options, &e);
    }
    if (status != POFAC_OK && !strstr(strbuf_str(&said), "error: ")) abort();
    task_reader_close(r);
    strbuf_free(&said);
    return hash_combine(sum, (uint64_t)status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct {
        const char *task;
        task_format format;
    } kinds[] = {{"sst2", TASK_FORMAT_TSV},
                 {"mnli", TASK_FORMAT_TSV},
                 {"stsb", TASK_FORMAT_TSV},
                 {"classification", TASK_FORMAT_CSV},
                 {"mnli", TASK_FORMAT_JSONL},
                 {"regression", TASK_FORMAT_CSV},
                 {"token-classification", TASK_FORMAT_CONLL},
                 {"token-classification", TASK_FORMAT_JSONL}};
    arena a = ARENA_INIT;
    label_set labels;
    if (size == 0) return 0;
    task_reader_options options = {.format = kinds[data[0] % 8].format,
                                   .labels = &labels,
                                   .skip_bad_rows = data[0] & 8,
                                   .needs_labels = data[0] & 16,
                                   .scheme = data[0] & 32 ? TAGS_BIOES : TAGS_AS_THEY_ARE};
    if (task_find(kinds[data[0] % 8].task, NULL, &options.task) != POFAC_OK) abort();
    if (label_set_make(options.task, NULL, &a, NULL, &labels) != POFAC_OK) abort();
    put(data + 1, size - 1);
    if (read_all(&options) != read_all(&options)) abort();
    arena_free(&a);
    return 0;
}
