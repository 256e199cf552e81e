/*
 * Any bytes as a file of SQuAD's, plain or gzip: refused with a message, or every answer stands where it says, windows hold every token, labels lie
 * in the context and have the answer's bytes, and an answer compared with itself is right. Passing over bad rows reads no less than
 * refusing them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/data/metrics.h"
#include "frontend/data/qa_features.h"

#define CHECK(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition)) abort();                                                                                                 \
    } while (0)

static char path[64];
static int fd = -1;
static tokenizer *words;

static void clean_up(void) {
    remove(path);
    tokenizer_destroy(words);
}

static void put(const void *bytes, size_t n) {
    static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##a\nb\n##b\nthe\n.\n,\n?\n";
    if (fd < 0) {
        strcpy(path, "/tmp/pofac-fuzz-XXXXXX");
        fd = mkstemp(path);
        CHECK(tokenizer_create_from_memory("vocabulary", vocabulary, sizeof vocabulary - 1, NULL, NULL, &words) == POFAC_OK);
        atexit(clean_up);
    }
    if (fd < 0 || pwrite(fd, bytes, n, 0) != (ssize_t)n || ftruncate(fd, (off_t)n) != 0) {
        perror(path);
        exit(1);
    }
}

/* The windows of a question cover its context; the label of the first that has the answer covers the answer's words. */
static void check_features(qa_features *f, const squad_question *q) {
    size_t n, reached = 0;
    if (qa_features_begin(f, "fuzz", q, NULL, &n) != POFAC_OK) return;
    const qa_windows *w = qa_features_windows(f);
    CHECK(n == w->count && n >= 1);
    if (n > 64) return;
    for (size_t i = 0; i < n; i++) {
        qa_feature feature;
        CHECK(qa_features_get(f, i, NULL, &feature) == POFAC_OK);
        CHECK(feature.first <= reached && feature.input->size == w->n_question + feature.n_context + 3);
        reached = feature.first + feature.n_context;
        CHECK(feature.start <= feature.end && feature.end + 1 < feature.input->size);
        CHECK(feature.has_answer ? feature.start >= feature.context_at : feature.end == 0);
        if (!feature.has_answer) continue;
        const size_t begin = q->answers[0].begin, end = begin + q->answers[0].text.bytes;
        CHECK(feature.input->tokens[feature.start].end > begin && feature.input->tokens[feature.end].begin < end);
    }
    CHECK(reached == w->n_context);
}

static void check_answers(metrics *m, const squad_question *q) {
    for (size_t i = 0; i < q->n_answers; i++) {
        const squad_answer *a = &q->answers[i];
        const answer_text text = {a->text.text, a->text.bytes};
        CHECK(a->begin + a->text.bytes <= q->context.bytes && memcmp(q->context.text + a->begin, a->text.text, a->text.bytes) == 0);
        CHECK(metrics_add_answer(m, &text, &text, 1, NULL, NULL) == POFAC_OK);
    }
}

static uint64_t read_all(squad_bad_rows bad_rows, size_t size, squad_counts *counts, pofac_status *status) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    const qa_window_options o = {.max_seq_length = 5 + size % 40,
                                 .doc_stride = 1 + size % 4,
                                 .max_query_length = 1 + size % 9,
                                 .stride = size % 3 ? QA_STRIDE_STARTS : QA_STRIDE_OVERLAP};
    metrics m = metrics_begin(METRIC_ANSWERS);
    squad_reader *r;
    qa_features *f;
    const squad_question *q = NULL;
    m.rules = ANSWER_RULES_V2;
    CHECK(qa_features_create(words, &o, NULL, &f) == POFAC_OK && squad_reader_open(path, bad_rows, NULL, &r) == POFAC_OK);
    do {
        *status = squad_reader_next(r, &sink, &q);
        if (q) check_features(f, q);
        if (q) check_answers(&m, q);
    } while (*status == POFAC_OK && q);
    CHECK(*status == POFAC_OK || said.size > 0);
    *counts = squad_reader_counts(r);
    for (size_t i = 0; i < m.answers.size; i++) CHECK(m.answers.data[i].exact && m.answers.data[i].f1 >= 1.0);
    squad_reader_close(r);
    qa_features_destroy(f);
    metrics_free(&m);
    strbuf_free(&said);
    return counts->questions;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    squad_counts fail, skip, realign;
    pofac_status status, skip_status;
    put(data, size);
    const uint64_t n = read_all(SQUAD_BAD_ROWS_FAIL, size, &fail, &status),
                   n_skip = read_all(SQUAD_BAD_ROWS_SKIP, size, &skip, &skip_status);
    CHECK(n <= n_skip && fail.skipped == 0);
    if (status == POFAC_OK) CHECK(skip_status == POFAC_OK && n == n_skip && skip.skipped == 0);
    CHECK(n_skip <= read_all(SQUAD_BAD_ROWS_REALIGN, size, &realign, &status) && realign.skipped <= skip.skipped);
    return 0;
}
