/* Texts to lines through the whole road: order, what ends the work and what is given out before, progress, failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/predict_text.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"

typedef struct predict_case {
    loaded_model *model;
    road_options road;
    predict_text_options options;
    char cache_dir[128];
    strbuf lines, messages;
    diag_sink sink;
    size_t n_writes, fail_write; /* the write of that number, from 1, fails */
    predict_progress progress[64];
    size_t n_progress;
    int raise_after; /* a signal is raised after that many batches; 0: never */
} predict_case;

static void note_errors(void *user, const diag *d) {
    if (d->severity == DIAG_ERROR) diag_render(d, user);
}

static pofac_status take(void *user, const char *lines, size_t n) {
    predict_case *c = user;
    assert_true(n > 0 && lines[n - 1] == '\n');
    if (++c->n_writes == c->fail_write) return POFAC_ERR_RUNTIME;
    strbuf_append(&c->lines, lines, n);
    return POFAC_OK;
}

static void note_progress(void *user, const predict_progress *p) {
    predict_case *c = user;
    if (c->n_progress < 64) c->progress[c->n_progress++] = *p;
    if (c->raise_after && --c->raise_after == 0) raise(SIGINT); /* to this thread: nobody has to hand it on, which takes time */
}

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\n";

static void begin(predict_case *c, void **state, model_head head) {
    static const char description[] =
        "<pofac xmlns=\"urn:pofac:1\"><model num_labels=\"2\"><bert vocab_size=\"9\" hidden_size=\"16\" num_hidden_layers=\"1\" "
        "num_attention_heads=\"2\" intermediate_size=\"16\" max_position_embeddings=\"12\" initializer_range=\"0.5\"/>"
        "<tokenizer vocab=\"vocab.txt\"/></model></pofac>";
    const loaded_model_options options = {.head = head, .seed = 3};
    put_file(state, "model.xml", description, sizeof description - 1);
    put_file(state, "vocab.txt", vocabulary, sizeof vocabulary - 1);
    *c = (predict_case){.lines = STRBUF_INIT, .messages = STRBUF_INIT};
    c->sink = (diag_sink){note_errors, &c->messages};
    snprintf(c->cache_dir, sizeof c->cache_dir, "%s", file_path(state, "objects"));
    c->road = (road_options){.cache_dir = c->cache_dir, .threads = 1};
    c->options = (predict_text_options){.batch_size = 2,
                                        .batch_tokens = 1000,
                                        .top_k = 2,
                                        .windows = {.doc_stride = 3},
                                        .answers = {.n_best = 1, .max_answer_length = 5},
                                        .progress = note_progress,
                                        .progress_user = c};
    assert_int_equal(loaded_model_open(file_path(state, "model.xml"), &options, &c->sink, &c->model), POFAC_OK);
}

static void end(predict_case *c) {
    loaded_model_close(c->model);
    strbuf_free(&c->lines);
    strbuf_free(&c->messages);
}

static pofac_status predict(predict_case *c, void **state, const char *name, const char *texts) {
    record_reader *records;
    strbuf_clear(&c->lines);
    strbuf_clear(&c->messages);
    c->n_writes = c->n_progress = 0;
    put_file(state, name, texts, strlen(texts));
    assert_int_equal(record_reader_open(file_path(state, name), NULL, NULL, &records), POFAC_OK);
    pofac_status status = predict_text(c->model, &c->road, &c->options, records, take, c, &c->sink);
    record_reader_close(records);
    if (c->messages.data) cut_directory(state, c->messages.data);
    return status;
}

static size_t count_lines(const strbuf *text) {
    size_t n = 0;
    for (size_t i = 0; i < text->size; i++) n += text->data[i] == '\n';
    return n;
}

static const char texts[] = "a\na b c d a b\n\nb c\nd d d d d d d d d d d d d d\nc\na b\nd c b\n";

static void order_and_batches(void **state) {
    predict_case c;
    strbuf first = STRBUF_INIT;
    begin(&c, state, HEAD_SEQUENCE_CLASSIFICATION);
    c.options.batch_size = 1;
    assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_OK);
    assert_int_equal(count_lines(&c.lines), 8);
    assert_int_equal(c.n_progress, 8);
    strbuf_append(&first, c.lines.data, c.lines.size);
    for (int64_t size = 2; size <= 9; size++)
        for (int64_t tokens = 1; tokens <= 64; tokens *= 8) {
            c.options.batch_size = size;
            c.options.batch_tokens = tokens;
            assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_OK);
            if (strcmp(strbuf_str(&c.lines), strbuf_str(&first)) != 0)
                fail_msg("batches of %lld texts and %lld tokens: found\n%s, wanted\n%s", (long long)size, (long long)tokens,
                         strbuf_str(&c.lines), strbuf_str(&first));
            if (tokens == 1) assert_int_equal(c.n_progress, 8); /* each text alone */
        }
    strbuf_free(&first);
    end(&c);
}

static void progress_is_told(void **state) {
    predict_case c;
    begin(&c, state, HEAD_NONE);
    assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_OK);
    assert_int_equal(c.n_progress, 4);
    double before = 0;
    for (size_t i = 0; i < c.n_progress; i++) {
        assert_true(c.progress[i].bytes > before);
        before = c.progress[i].bytes;
        assert_int_equal(c.progress[i].total_bytes, sizeof texts - 1);
    }
    assert_true(before == sizeof texts - 1);
    assert_int_equal(c.progress[3].answers, 8);
    end(&c);
}

static void nothing_to_do(void **state) {
    predict_case c;
    begin(&c, state, HEAD_NONE);
    assert_int_equal(predict(&c, state, "a.txt", ""), POFAC_OK);
    assert_int_equal(c.n_writes, 0);
    assert_int_equal(predict(&c, state, "a.tsv", "\n\n"), POFAC_OK);
    assert_int_equal(c.n_writes, 0);
    end(&c);
}

static void a_wrong_record_ends_the_work(void **state) {
    predict_case c;
    begin(&c, state, HEAD_QUESTION_ANSWERING);
    assert_int_equal(predict(&c, state, "a.tsv", "a\tb c\nb\ta a a a a a a a a a a a a\nc\nd\ta\n"), POFAC_ERR_INPUT);
    assert_int_equal(count_lines(&c.lines), 2);
    assert_string_equal(strbuf_str(&c.messages),
                        "a.tsv:3: error: found one text, wanted a question and a context: two TSV columns, "
                        "or a JSON object with both keys (--format)\n");
    assert_int_equal(predict(&c, state, "a.tsv", "a\tb c\na b c d a b c d a\tb\n"), POFAC_ERR_INPUT);
    assert_int_equal(count_lines(&c.lines), 1);
    assert_string_equal(strbuf_str(&c.messages),
                        "a.tsv:2: error: the question has 9 tokens, which leaves no room for the context in 12\n");
    end(&c);
}

/* Of token d alone; layer norms of NaN stay NaN. */
static double nan_for_d(const char *name, int64_t row, int64_t column) {
    if (strstr(name, "word_embeddings") && row == 8) return NAN;
    return strstr(name, "norm.weight") || strstr(name, "Norm.weight") ? 1.0 : 0.01 * (double)((row * 7 + column * 3) % 11);
}

/* Whatever the batches, and though longer texts run first. */
static void numbers_that_are_none_end_the_work(void **state) {
    static const char *const messages[] = {"a.txt:3: error: logits: found NaN, wanted finite numbers\n",
                                           "a.txt:3: error: pooler_output: found NaN, wanted finite numbers\n"};
    static const model_head heads[] = {HEAD_SEQUENCE_CLASSIFICATION, HEAD_NONE};
    for (size_t h = 0; h < 2; h++)
        for (int64_t size = 1; size <= 8; size++) {
            predict_case c;
            begin(&c, state, heads[h]);
            loaded_model_close(c.model);
            tiny_model_write(&(tiny_model){.spec = tiny_spec(MODEL_BERT, heads[h]), .value = nan_for_d}, file_path(state, "nan"));
            assert_int_equal(loaded_model_open(file_path(state, "nan"), &(loaded_model_options){.seed = 3}, &c.sink, &c.model),
                             POFAC_OK);
            c.options.batch_size = size;
            for (int kind = EXECUTOR_COMPILED; kind <= EXECUTOR_INTERPRETER; kind++) {
                c.options.kind = (executor_kind)kind;
                assert_int_equal(predict(&c, state, "a.txt", "a\na b c\nb d\na\na b c a b c d\nb c\n"), POFAC_ERR_NUMERIC);
                assert_int_equal(count_lines(&c.lines), 2);
                assert_string_equal(strbuf_str(&c.messages), messages[h]);
                assert_null(strstr(strbuf_str(&c.lines), "null"));
            }
            end(&c);
        }
}

static void a_failing_write_ends_the_work(void **state) {
    predict_case c;
    begin(&c, state, HEAD_SEQUENCE_CLASSIFICATION);
    assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_OK);
    size_t n_writes = c.n_writes;
    assert_true(n_writes > 1);
    for (c.fail_write = 1; c.fail_write <= n_writes; c.fail_write++) {
        assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_ERR_RUNTIME);
        assert_int_equal(c.n_writes, c.fail_write);
    }
    end(&c);
}

/* The batch that runs is finished; what was given out is a beginning of all answers. */
static void signals_end_the_work(void **state) {
    predict_case c;
    strbuf all = STRBUF_INIT;
    begin(&c, state, HEAD_SEQUENCE_CLASSIFICATION);
    c.options.batch_size = 1;
    assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_OK);
    strbuf_append(&all, c.lines.data, c.lines.size);
    for (int after = 1; after < 8; after++) {
        interruption stop;
        assert_int_equal(interruption_begin(&stop, NULL), POFAC_OK);
        c.options.stop = &stop;
        c.raise_after = after;
        assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_ERR_INTERRUPTED);
        interruption_end(&stop);
        assert_int_equal(stop.signal, SIGINT);
        assert_int_equal(c.n_progress, after);
        if (c.lines.size) assert_memory_equal(c.lines.data, all.data, c.lines.size);
        assert_true(c.lines.size < all.size);
        assert_string_equal(strbuf_str(&c.messages), "");
    }
    strbuf_free(&all);
    end(&c);
}

static void bounds_that_cannot_be_kept(void **state) {
    predict_case c;
    begin(&c, state, HEAD_SEQUENCE_CLASSIFICATION);
    c.options.max_memory = 1;
    assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_ERR_USAGE);
    assert_non_null(strstr(strbuf_str(&c.messages), "which does not hold one sequence"));
    c.options.kind = EXECUTOR_INTERPRETER;
    assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_ERR_USAGE);
    c.options.max_memory = 0;
    c.options.max_seq_length = 13;
    assert_int_equal(predict(&c, state, "a.txt", texts), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&c.messages),
                        "error: --max_seq_length is 13, the model takes at most 12 (max_position_embeddings)\n");
    end(&c);
}

/* Masks of several texts of one batch find their own predictions; a batch without masks runs. */
static void masks(void **state) {
    predict_case c;
    strbuf alone = STRBUF_INIT;
    begin(&c, state, HEAD_MASKED_LM);
    c.options.batch_size = 1;
    static const char masked[] = "a [MASK] b\nno\n[MASK] c [MASK] d\na\n[MASK]\n";
    assert_int_equal(predict(&c, state, "a.txt", masked), POFAC_OK);
    strbuf_append(&alone, c.lines.data, c.lines.size);
    c.options.batch_size = 5;
    assert_int_equal(predict(&c, state, "a.txt", masked), POFAC_OK);
    assert_string_equal(strbuf_str(&c.lines), strbuf_str(&alone));
    assert_int_equal(count_lines(&c.lines), 5);
    assert_non_null(strstr(strbuf_str(&c.lines), "\n{\"masks\": []}\n"));
    strbuf_free(&alone);
    end(&c);
}

/* A context that once lacked memory stays failed, so every try has a model of its own. */
static void failing_allocations(void **state) {
    static const model_head heads[] = {HEAD_QUESTION_ANSWERING, HEAD_MASKED_LM};
    static const char pairs[] = "a b\ta b [MASK] c d a b c d a b\nb\tc\n";
    for (size_t h = 0; h < 2; h++)
        for (size_t n = 1;; n += 1 + n / 20) {
            predict_case c;
            record_reader *records;
            begin(&c, state, heads[h]);
            put_file(state, "a.tsv", pairs, sizeof pairs - 1);
            fail_alloc_after(n);
            pofac_status status = record_reader_open(file_path(state, "a.tsv"), NULL, NULL, &records);
            if (status == POFAC_OK) status = predict_text(c.model, &c.road, &c.options, records, take, &c, NULL);
            record_reader_close(records);
            bool failed = fail_alloc_stop();
            end(&c);
            if (!failed) {
                assert_int_equal(status, POFAC_OK);
                break;
            }
            if (status != POFAC_OK && status != POFAC_ERR_RUNTIME) fail_msg("allocation %zu fails: status %d", n, status);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_batches),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(a_wrong_record_ends_the_work),
        cmocka_unit_test(numbers_that_are_none_end_the_work),
        cmocka_unit_test(a_failing_write_ends_the_work),
        cmocka_unit_test(signals_end_the_work),
        cmocka_unit_test(bounds_that_cannot_be_kept),
        cmocka_unit_test(masks),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
