/* Kept logits: what is written comes back as inputs of a batch, what does not belong to the data is refused, and damage is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/teacher_logits.h"
#include "ir/support/directory.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

#define DATA 77u
#define EXAMPLES 5
#define PER_FILE 2
#define S 4

/* Tokens of the examples: 1, 2, 3, 4, 1. */
static uint64_t tokens_of(uint64_t example) { return 1 + example % 4; }

static model_spec spec_of(model_head head) {
    model_spec s = model_spec_default(MODEL_BERT);
    s.head = head;
    s.vocab_size = 100;
    s.num_labels = 3;
    return s;
}

/* What stands where. */
static float token_value(uint64_t epoch, uint64_t example, uint64_t token, uint64_t i) {
    return (float)(1000 * epoch + 100 * example + 10 * token + i) / 8;
}

static float sequence_value(uint64_t epoch, uint64_t example, uint64_t i) { return -(float)(100 * epoch + 10 * example + i); }

static int32_t id_value(uint64_t example, uint64_t token, uint64_t i) { return (int32_t)(20 * example + 4 * token + i); }

typedef struct written {
    model_spec spec;
    int64_t top_k;
    bool is_half, every_epoch;
    uint64_t epochs;
} written;

static void write_file(const char *dir, const written *w, uint64_t epoch, uint64_t file) {
    logits_file_info info;
    uint64_t starts[PER_FILE + 1] = {0};
    float sequences[PER_FILE * 8], tokens[PER_FILE * S * 100];
    uint16_t halves[PER_FILE * S * 100];
    int32_t ids[PER_FILE * S * 8];
    size_t n = 0, n_sequences = 0, n_ids = 0;
    strbuf path = STRBUF_INIT;
    logits_info_of(&w->spec, DATA, EXAMPLES, w->top_k, w->is_half, &info);
    info.teacher = (hash128){1, 2};
    info.per_file = PER_FILE;
    info.every_epoch = w->every_epoch;
    info.epoch = epoch;
    info.first = file * PER_FILE;
    info.n = EXAMPLES - info.first < PER_FILE ? EXAMPLES - info.first : PER_FILE;
    for (uint64_t e = 0; e < info.n; e++) {
        const uint64_t example = info.first + e;
        for (uint64_t i = 0; i < info.sequence_width; i++) sequences[n_sequences++] = sequence_value(epoch, example, i);
        for (uint64_t t = 0; t < tokens_of(example); t++) {
            for (uint64_t i = 0; i < info.token_width; i++) tokens[n++] = token_value(epoch, example, t, i);
            for (uint64_t i = 0; i < info.top_k; i++) ids[n_ids++] = id_value(example, t, i);
        }
        starts[e + 1] = starts[e] + tokens_of(example);
    }
    info.n_tokens = starts[info.n];
    for (size_t i = 0; i < n; i++) halves[i] = float_to_f16(tokens[i]);
    const logits_file_content content = {starts, sequences, info.is_half ? (const void *)halves : tokens, ids};
    logits_file_path(dir, epoch, file, &path);
    assert_int_equal(logits_file_write(strbuf_str(&path), &info, &content, NULL), POFAC_OK);
    strbuf_free(&path);
}

static const char *write_all(void **state, const written *w) {
    const char *dir = file_path(state, "logits");
    assert_int_equal(directory_remove(dir, NULL), POFAC_OK);
    assert_int_equal(directory_make(dir, NULL), POFAC_OK);
    for (uint64_t e = 0; e < w->epochs; e++)
        for (uint64_t f = 0; f < 3; f++) write_file(dir, w, e, f);
    return dir;
}

/* Examples 4, 1 and 3 in rows of S. */
static const uint64_t batch_examples[3] = {4, 1, 3};

static batch make_batch(uint64_t epoch, int64_t *ids, int64_t *mask) {
    static const int64_t dims[2] = {3, S};
    batch b = {
        .n_tensors = 2, .names = {"input_ids", "attention_mask"}, .n_sequences = 3, .examples = batch_examples, .epoch = epoch};
    for (int64_t row = 0; row < 3; row++)
        for (int64_t k = 0; k < S; k++) {
            ids[row * S + k] = 5;
            mask[row * S + k] = k < (int64_t)tokens_of(batch_examples[row]);
        }
    b.tensors[0] = tensor_view(IR_I64, 2, dims, ids);
    b.tensors[1] = tensor_view(IR_I64, 2, dims, mask);
    return b;
}

static const ir_tensor *find(const teacher_batch *b, const char *name, uint32_t rank) {
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->names[i], name) == 0) {
            assert_int_equal(b->tensors[i].rank, rank);
            return &b->tensors[i];
        }
    fail_msg("found no input %s", name);
    return NULL;
}

/* Numbers [3,S,width] of tokens, `first` of the file's on; padding has zeros. Returns how many were compared. */
static size_t expect_tokens(const ir_tensor *t, uint64_t epoch, uint64_t width, uint64_t first, bool are_ids) {
    size_t n = 0;
    assert_int_equal(tensor_elements(t), 3 * S * width);
    for (uint64_t row = 0; row < 3; row++)
        for (uint64_t k = 0; k < S; k++)
            for (uint64_t i = 0; i < width; i++, n++) {
                const uint64_t e = batch_examples[row];
                const double found = tensor_get(t, (int64_t)n), wanted = k >= tokens_of(e) ? 0
                                                                         : are_ids         ? id_value(e, k, i)
                                                                                   : (double)token_value(epoch, e, k, first + i);
                if (found != wanted)
                    fail_msg("row %d, token %d, number %d: found %g, wanted %g", (int)row, (int)k, (int)i, found, wanted);
            }
    return n;
}

static size_t expect_sequences(const ir_tensor *t, uint64_t epoch, uint64_t width) {
    size_t n = 0;
    assert_int_equal(tensor_elements(t), 3 * width);
    for (uint64_t row = 0; row < 3; row++)
        for (uint64_t i = 0; i < width; i++, n++)
            assert_true(tensor_get(t, (int64_t)n) == (double)sequence_value(epoch, batch_examples[row], i));
    return n;
}

/* Reads the batch of an epoch. */
static teacher_batch read_batch(void **state, const written *w, uint64_t epochs, uint64_t epoch) {
    const char *dir = write_all(state, w);
    const teacher_logits_use use = {&w->spec, DATA, EXAMPLES, epochs};
    teacher_logits *t;
    teacher_batch out = {0};
    int64_t ids[3 * S], mask[3 * S];
    const batch b = make_batch(epoch, ids, mask);
    assert_int_equal(teacher_logits_open(dir, &use, NULL, &t), POFAC_OK);
    assert_int_equal(teacher_logits_read(t, &b, NULL, &out), POFAC_OK);
    assert_int_equal(teacher_logits_read(t, &b, NULL, &out), POFAC_OK); /* memory is used again */
    teacher_logits_close(t);
    return out;
}

static void words_in_part_and_next_sentences(void **state) {
    for (int is_half = 0; is_half < 2; is_half++) {
        const written w = {.spec = spec_of(HEAD_PRETRAINING), .top_k = 4, .is_half = is_half, .epochs = 2};
        teacher_batch b = read_batch(state, &w, 2, 1);
        assert_int_equal(b.n, 3);
        assert_int_equal(expect_tokens(find(&b, "teacher_logits.prediction_logits", 3), 1, 4, 0, false), 3 * S * 4);
        assert_int_equal(expect_tokens(find(&b, "teacher_ids.prediction_logits", 3), 1, 4, 0, true), 3 * S * 4);
        assert_int_equal(expect_sequences(find(&b, "teacher_logits.seq_relationship_logits", 2), 1, 2), 6);
        teacher_batch_free(&b);
    }
}

static void few_words_are_kept_whole(void **state) {
    const written w = {.spec = spec_of(HEAD_MASKED_LM), .top_k = 100, .epochs = 1};
    teacher_batch b = read_batch(state, &w, 1, 0);
    assert_int_equal(b.n, 1);
    assert_int_equal(expect_tokens(find(&b, "teacher_logits.prediction_logits", 3), 0, 100, 0, false), 3 * S * 100);
    teacher_batch_free(&b);
}

static void labels_and_positions(void **state) {
    written w = {.spec = spec_of(HEAD_SEQUENCE_CLASSIFICATION), .top_k = 2, .is_half = true, .every_epoch = true, .epochs = 1};
    teacher_batch b = read_batch(state, &w, 9, 8); /* one epoch is kept, for all */
    assert_int_equal(b.n, 1);
    assert_int_equal(expect_sequences(find(&b, "teacher_logits.logits", 2), 0, 3), 9);
    teacher_batch_free(&b);
    w.spec.head = HEAD_TOKEN_CLASSIFICATION;
    b = read_batch(state, &w, 1, 0);
    assert_int_equal(expect_tokens(find(&b, "teacher_logits.logits", 3), 0, 3, 0, false), 3 * S * 3);
    teacher_batch_free(&b);
    w.spec.head = HEAD_QUESTION_ANSWERING;
    b = read_batch(state, &w, 1, 0);
    assert_int_equal(b.n, 2);
    assert_int_equal(expect_tokens(find(&b, "teacher_logits.start_logits", 2), 0, 1, 0, false), 3 * S);
    assert_int_equal(expect_tokens(find(&b, "teacher_logits.end_logits", 2), 0, 1, 1, false), 3 * S);
    teacher_batch_free(&b);
}

static void heads_without_classes_have_no_logits(void **unused) {
    (void)unused;
    logits_output outputs[LOGITS_MOST_OUTPUTS];
    model_spec s = spec_of(HEAD_SEQUENCE_CLASSIFICATION);
    s.regression = true;
    assert_int_equal(logits_outputs(&s, outputs), 0);
    s.head = HEAD_NONE;
    assert_int_equal(logits_outputs(&s, outputs), 0);
    s = spec_of(HEAD_PRETRAINING);
    s.arch = MODEL_DISTILBERT;
    assert_int_equal(logits_outputs(&s, outputs), 1);
}

/* ---- what is refused ---- */

static void expect_said(void **state, strbuf *said, const char *wanted) {
    if (said->data) cut_directory(state, said->data);
    assert_string_equal(strbuf_str(said), wanted);
    strbuf_free(said);
}

static void expect_refused(void **state, const teacher_logits_use *use, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    teacher_logits *t;
    assert_int_equal(teacher_logits_open(file_path(state, "logits"), use, &sink, &t), POFAC_ERR_INPUT);
    assert_null(t);
    expect_said(state, &said, wanted);
}

static void what_does_not_belong_to_the_data(void **state) {
    const written w = {.spec = spec_of(HEAD_MASKED_LM), .top_k = 4, .epochs = 2};
    model_spec other = w.spec;
    write_all(state, &w);
    expect_refused(state, &(teacher_logits_use){&w.spec, DATA + 1, EXAMPLES, 1},
                   "logits: error: found logits of other data, or of a masking by another seed or share, wanted those of what is "
                   "learned from\n");
    expect_refused(state, &(teacher_logits_use){&w.spec, DATA, EXAMPLES + 1, 1},
                   "logits: error: found logits of 5 examples, wanted 6, those that are learned from\n");
    expect_refused(state, &(teacher_logits_use){&w.spec, DATA, EXAMPLES, 3},
                   "logits: error: found logits of 2 epochs, wanted 3, which the run takes\n");
    other.vocab_size = 101;
    expect_refused(state, &(teacher_logits_use){&other, DATA, EXAMPLES, 1},
                   "logits: error: found logits of 100 classes, wanted 101, which the head masked-lm of the model has\n");
    other.head = HEAD_SEQUENCE_CLASSIFICATION;
    expect_refused(state, &(teacher_logits_use){&other, DATA, EXAMPLES, 1},
                   "logits: error: found logits of the head masked-lm, wanted sequence-classification\n");
    assert_int_equal(remove(file_path(state, "logits/epoch-001-00002.logits")), 0);
    expect_refused(state, &(teacher_logits_use){&w.spec, DATA, EXAMPLES, 2},
                   "logits: error: found no logits of the examples from 4 to 4 in epoch 1, wanted them; the same `pofac data "
                   "logits` goes on\n");
    assert_int_equal(directory_remove(file_path(state, "logits"), NULL), POFAC_OK);
    expect_refused(state, &(teacher_logits_use){&w.spec, DATA, EXAMPLES, 2},
                   "logits: error: found no logits of a teacher, wanted a directory that `pofac data logits` made\n");
}

/* Reading fails with this message. */
static void expect_unreadable(void **state, const model_spec *spec, uint64_t epoch, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    const teacher_logits_use use = {spec, DATA, EXAMPLES, 2};
    teacher_logits *t;
    teacher_batch out = {0};
    int64_t ids[3 * S], mask[3 * S];
    const batch b = make_batch(epoch, ids, mask);
    assert_int_equal(teacher_logits_open(file_path(state, "logits"), &use, &sink, &t), POFAC_OK);
    assert_int_equal(teacher_logits_read(t, &b, &sink, &out), POFAC_ERR_INPUT);
    teacher_batch_free(&out);
    teacher_logits_close(t);
    expect_said(state, &said, wanted);
}

static void damage_is_found_where_it_is_read(void **state) {
    const written w = {.spec = spec_of(HEAD_MASKED_LM), .top_k = 4, .epochs = 2};
    written other = w;
    write_all(state, &w);
    FILE *f = fopen(file_path(state, "logits/epoch-001-00002.logits"), "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    assert_int_equal(fputc(1, f), 1);
    assert_int_equal(fclose(f), 0);
    expect_unreadable(state, &w.spec, 1,
                      "logits/epoch-001-00002.logits: error: bytes 256 to 448 are damaged: their checksum is another\n");
    other.top_k = 5;
    write_file(file_path(state, "logits"), &other, 1, 2);
    expect_unreadable(state, &w.spec, 1,
                      "logits/epoch-001-00002.logits: error: found logits that differ from those beside it in top_k, wanted one "
                      "directory for each\n");
    write_file(file_path(state, "logits"), &w, 0, 2);
    assert_int_equal(rename(file_path(state, "logits/epoch-000-00002.logits"), file_path(state, "logits/epoch-001-00002.logits")),
                     0);
    write_file(file_path(state, "logits"), &w, 0, 2);
    expect_unreadable(state, &w.spec, 1,
                      "logits/epoch-001-00002.logits: error: found logits that differ from those beside it in its place, wanted "
                      "one directory for each\n");
    expect_unreadable(state, &w.spec, 2, "logits: error: found no logits of example 4 in epoch 2, wanted them\n");
}

static void other_lengths(void **state) {
    const written w = {.spec = spec_of(HEAD_MASKED_LM), .top_k = 4, .epochs = 1};
    const teacher_logits_use use = {&w.spec, DATA, EXAMPLES, 1};
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    teacher_logits *t;
    teacher_batch out = {0};
    int64_t ids[3 * S], mask[3 * S];
    const batch b = make_batch(0, ids, mask);
    mask[S + 2] = 1;
    assert_int_equal(teacher_logits_open(write_all(state, &w), &use, &sink, &t), POFAC_OK);
    assert_int_equal(teacher_logits_read(t, &b, &sink, &out), POFAC_ERR_INPUT);
    teacher_batch_free(&out);
    teacher_logits_close(t);
    expect_said(state, &said, "logits: error: found logits of 2 tokens of example 1, wanted 3, which it has\n");
}

static void failing_allocations(void **state) {
    const written w = {.spec = spec_of(HEAD_PRETRAINING), .top_k = 4, .epochs = 1};
    const teacher_logits_use use = {&w.spec, DATA, EXAMPLES, 1};
    const char *dir = write_all(state, &w);
    int64_t ids[3 * S], mask[3 * S];
    const batch b = make_batch(0, ids, mask);
    size_t n;
    for (n = 1;; n++) {
        teacher_logits *t;
        teacher_batch out = {0};
        fail_alloc_after(n);
        pofac_status status = teacher_logits_open(dir, &use, NULL, &t);
        if (status == POFAC_OK) status = teacher_logits_read(t, &b, NULL, &out);
        const bool failed = fail_alloc_stop();
        assert_true(failed ? status != POFAC_OK : status == POFAC_OK);
        teacher_batch_free(&out);
        teacher_logits_close(t);
        if (!failed) break;
    }
    assert_true(n > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_in_part_and_next_sentences),
        cmocka_unit_test(few_words_are_kept_whole),
        cmocka_unit_test(labels_and_positions),
        cmocka_unit_test(heads_without_classes_have_no_logits),
        cmocka_unit_test(what_does_not_belong_to_the_data),
        cmocka_unit_test(damage_is_found_where_it_is_read),
        cmocka_unit_test(other_lengths),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
