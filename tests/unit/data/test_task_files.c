/* The files of tasks as they are found in the wild: all load, with the counts of their PROVENANCE, and give the reference's tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/example_tokens.h"
#include "tests/unit/data/task_dump.h"

typedef struct file_row {
    const char *task, *path; /* below POFAC_SHARED/data */
    uint64_t examples;
    int64_t of_label[3]; /* in the task's order; -1: not known */
    uint64_t unlabelled, bad_rows;
} file_row;

static const file_row files[] = {
    {"sst2", "glue/SST-2/train.tsv.gz", 67349, {29780, 37569}, 0, 0},
    {"sst2", "glue/SST-2/dev.tsv", 872, {428, 444}, 0, 0},
    {"sst2", "glue/SST-2-sentence/train.tsv", 6920, {-1, -1}, 0, 0},
    {"sst2", "glue/SST-2-sentence/dev.tsv", 872, {428, 444}, 0, 0},
    {"qnli", "glue/QNLI/dev.tsv", 4433, {-1, -1}, 0, 0},
    {"qnli", "glue/QNLI/test.tsv", 5463, {0, 0}, 5463, 0},
    {"rte", "glue/RTE/train.tsv", 2490, {-1, -1}, 0, 0},
    {"rte", "glue/RTE/dev.tsv", 277, {-1, -1}, 0, 0},
    {"rte", "glue/RTE/test.tsv", 3000, {0, 0}, 3000, 0},
    {"mrpc", "glue/MRPC/msr_paraphrase_train.txt", 4076, {1323, 2753}, 0, 0},
    {"mrpc", "glue/MRPC/msr_paraphrase_test.txt", 1725, {578, 1147}, 0, 0},
    {"mnli", "glue/MNLI/dev_matched.tsv", 7776, {2747, 2476, 2553}, 0, 0},
    {"mnli", "glue/MNLI/dev_mismatched_1000_tokenized.tsv", 1000, {-1, -1, -1}, 0, 0},
    {"mnli", "glue/MNLI/snli_1000_tokenized.tsv", 1000, {-1, -1, -1}, 0, 0},
    {"qqp", "glue/QQP/dev.tsv", 9917, {-1, -1}, 0, 83}, /* 10000, of which 83 have invalid UTF-8 */
#define SAMPLE(task, name, labelled)                                                                                               \
    { task, "glue_samples/mt-dnn/tests/sample_data/input/" name, 1, {-1, -1, -1}, !(labelled), 0 }
    {"cola", "glue_samples/mt-dnn/tests/sample_data/input/CoLA/train.tsv", 2, {-1, -1}, 0, 0},
    {"cola", "glue_samples/mt-dnn/tests/sample_data/input/CoLA/dev.tsv", 2, {-1, -1}, 0, 0},
    SAMPLE("cola", "CoLA/test.tsv", false),
    SAMPLE("mnli", "MNLI/train.tsv", true),
    SAMPLE("mnli", "MNLI/dev_matched.tsv", true),
    SAMPLE("mnli", "MNLI/dev_mismatched.tsv", true),
    SAMPLE("mnli", "MNLI/test_matched.tsv", false),
    SAMPLE("mnli", "MNLI/test_mismatched.tsv", false),
    SAMPLE("mrpc", "MRPC/train.tsv", true),
    SAMPLE("mrpc", "MRPC/dev.tsv", true),
    SAMPLE("mrpc", "MRPC/test.tsv", false),
    SAMPLE("qnli", "QNLI/train.tsv", true),
    SAMPLE("qnli", "QNLI/dev.tsv", true),
    SAMPLE("qnli", "QNLI/test.tsv", false),
    SAMPLE("qqp", "QQP/train.tsv", true),
    SAMPLE("qqp", "QQP/dev.tsv", true),
    SAMPLE("qqp", "QQP/test.tsv", false),
    SAMPLE("rte", "RTE/train.tsv", true),
    SAMPLE("rte", "RTE/dev.tsv", true),
    SAMPLE("rte", "RTE/test.tsv", false),
    SAMPLE("sst2", "SST-2/train.tsv", true),
    SAMPLE("sst2", "SST-2/dev.tsv", true),
    SAMPLE("sst2", "SST-2/test.tsv", false),
    SAMPLE("stsb", "STS-B/train.tsv", true),
    SAMPLE("stsb", "STS-B/dev.tsv", true),
    SAMPLE("stsb", "STS-B/test.tsv", false),
    SAMPLE("wnli", "WNLI/train.tsv", true),
    SAMPLE("wnli", "WNLI/dev.tsv", true),
    SAMPLE("wnli", "WNLI/test.tsv", false),
#undef SAMPLE
};

static const char *shared_data(void) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    return shared;
}

static void check_file(const char *shared, const file_row *row) {
    char path[4096];
    arena a = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    label_set labels;
    task_reader *r;
    task_example e;
    bool found = true;
    int64_t of_label[3] = {0};
    const task_reader_options options = {.task = find_task(row->task), .labels = &labels, .skip_bad_rows = row->bad_rows > 0};
    snprintf(path, sizeof path, "%s/data/%s", shared, row->path);
    assert_int_equal(label_set_make(options.task, NULL, &a, &sink, &labels), POFAC_OK);
    if (task_reader_open(path, &options, &sink, &r) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    while (found) {
        if (task_reader_next(r, &sink, &e, &found) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
        if (found && e.label >= 0) of_label[e.label]++;
    }
    const task_counts counts = task_reader_counts(r);
    if (counts.examples != row->examples || counts.unlabelled != row->unlabelled || counts.bad_rows != row->bad_rows)
        fail_msg("%s: found %d examples, %d unlabelled, %d bad rows; wanted %d, %d, %d", row->path, (int)counts.examples,
                 (int)counts.unlabelled, (int)counts.bad_rows, (int)row->examples, (int)row->unlabelled, (int)row->bad_rows);
    for (size_t i = 0; i < labels.n; i++)
        if (row->of_label[i] >= 0 && of_label[i] != row->of_label[i])
            fail_msg("%s: label %s: found %d, wanted %d", row->path, labels.names[i], (int)of_label[i], (int)row->of_label[i]);
    task_reader_close(r);
    strbuf_free(&said);
    arena_free(&a);
}

static void all_files_load(void **state) {
    (void)state;
    const char *shared = shared_data();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) check_file(shared, &files[i]);
}

/* Every task of GLUE, which are those that say what their labels or scores are, has files here. */
static void every_task_has_files(void **state) {
    (void)state;
    const task_info *task;
    for (size_t i = 0; (task = task_row(i)); i++) {
        bool found = !*task->labels && !(task->kind == TASK_REGRESSION && task->low == 0);
        for (size_t k = 0; k < sizeof files / sizeof *files; k++) found = found || strcmp(files[k].task, task->name) == 0;
        if (!found) fail_msg("task %s: no file is read", task->name);
    }
}

/* QQP's rows with invalid UTF-8 are an error with their line when nobody asks for them to be skipped. */
static void invalid_utf8_has_its_line(void **state) {
    (void)state;
    char path[4096];
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    task_reader *r;
    task_example e;
    bool found = true;
    snprintf(path, sizeof path, "%s/data/glue/QQP/dev.tsv", shared_data());
    assert_int_equal(task_reader_open(path, &(task_reader_options){.task = find_task("qqp")}, &sink, &r), POFAC_OK);
    pofac_status status = POFAC_OK;
    while (found && status == POFAC_OK) status = task_reader_next(r, &sink, &e, &found);
    assert_int_equal(status, POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&said), "QQP/dev.tsv:"));
    assert_non_null(strstr(strbuf_str(&said), ", wanted UTF-8\n"));
    task_reader_close(r);
    strbuf_free(&said);
}

/* ---- tokens ---- */

static void expect_example(const char *name, const task_example *e, const example_tokens *t, const json_t *wanted) {
    const json_t *ids = json_object_get(wanted, "token_id"), *types = json_object_get(wanted, "type_id");
    const json_t *label = json_object_get(wanted, "label");
    assert_int_equal(json_array_size(ids), json_array_size(types));
    if (t->built.size != json_array_size(ids))
        fail_msg("%s:%d: found %zu tokens, wanted %zu", name, (int)e->line, t->built.size, json_array_size(ids));
    for (size_t i = 0; i < t->built.size; i++) {
        const encoding_token *token = &t->built.tokens[i];
        const int id = (int)json_integer_value(json_array_get(ids, i)), type = (int)json_integer_value(json_array_get(types, i));
        if (token->id != id || token->type_id != type)
            fail_msg("%s:%d: token %zu: found %d of type %d, wanted %d of type %d", name, (int)e->line, i, (int)token->id,
                     (int)token->type_id, id, type);
    }
    if (json_is_real(label) ? e->score != json_real_value(label) : e->label != json_integer_value(label))
        fail_msg("%s:%d: found label %d, score %g, wanted %g", name, (int)e->line, (int)e->label, e->score,
                 json_number_value(label));
}

static void expect_tokens(const char *shared, const char *name, const char *task, const tokenizer *tok, const label_owner *owner) {
    char path[4096], *line = NULL;
    size_t capacity = 0, n = 0;
    arena a = ARENA_INIT;
    label_set labels;
    task_reader *r;
    task_example e;
    bool found = true;
    example_tokens tokens = EXAMPLE_TOKENS_INIT;
    snprintf(path, sizeof path,
             "%s/data/glue_samples/mt-dnn/int_test_data/glue/expected/prepro_std/bert_base_uncased_lower/%s.json", shared, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    snprintf(path, sizeof path, "%s/data/glue_samples/mt-dnn/int_test_data/glue/input/prepro_std/%s.tsv", shared, name);
    assert_int_equal(label_set_make(find_task(task), owner, &a, NULL, &labels), POFAC_OK);
    assert_int_equal(task_reader_open(path, &(task_reader_options){.task = find_task(task), .labels = &labels}, NULL, &r),
                     POFAC_OK);
    for (; assert_int_equal(task_reader_next(r, NULL, &e, &found), POFAC_OK), found; n++) {
        assert_true(getline(&line, &capacity, f) > 0);
        json_t *wanted = json_loads(line, 0, NULL);
        assert_non_null(wanted);
        assert_int_equal(example_tokens_encode(&tokens, tok, &e, 512, NULL), POFAC_OK);
        assert_int_equal(tokens.full_length, tokens.built.size);
        expect_example(name, &e, &tokens, wanted);
        json_decref(wanted);
    }
    assert_int_equal(n, 5);
    fclose(f);
    free(line);
    task_reader_close(r);
    example_tokens_free(&tokens);
    arena_free(&a);
}

static void tokens_equal_the_reference(void **state) {
    (void)state;
    const char *shared = shared_data();
    char path[4096];
    tokenizer *tok;
    snprintf(path, sizeof path, "%s/data/vocab/bert-base-uncased-vocab.txt", shared);
    assert_int_equal(tokenizer_create(path, &(tokenizer_options){0}, NULL, &tok), POFAC_OK);
    /* that program numbers MNLI's labels as the model of this order would */
    static const char *const order[] = {"contradiction", "neutral", "entailment"};
    expect_tokens(shared, "cola_train", "cola", tok, NULL);
    expect_tokens(shared, "stsb_train", "stsb", tok, NULL);
    expect_tokens(shared, "mnli_train", "mnli", tok, &(label_owner){"glue_task_def.yml", 3, order});
    tokenizer_destroy(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_files_load),
        cmocka_unit_test(every_task_has_files),
        cmocka_unit_test(invalid_utf8_has_its_line),
        cmocka_unit_test(tokens_equal_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
