/* The table of tasks: every row is complete and fits the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/data/tasks.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/data/task_dump.h"

static void rows_are_complete(void **state) {
    (void)state;
    size_t n = 0;
    for (const task_info *task; (task = task_row(n)); n++) {
        const task_layout *layout;
        assert_ptr_equal(find_task(task->name), task);
        if (!*task->columns[TASK_TEXT_A] || !*task->columns[TASK_LABEL] || !*task->metrics || !*task->meaning)
            fail_msg("%s: a column is empty", task->name);
        if (task->kind == TASK_REGRESSION && !(task->low < task->high)) fail_msg("%s: the range is empty", task->name);
        if (task->kind == TASK_CLASSIFICATION && *task->labels && task_name_count(task->labels) < 2)
            fail_msg("%s: fewer than two labels", task->name);
        for (size_t i = 0; (layout = task_layout_row(task, i)); i++) {
            if (task_layout_find(task, layout->n_columns) != layout)
                fail_msg("%s: two layouts of %zu columns", task->name, layout->n_columns);
            for (int c = 0; c < TASK_N_COLUMNS; c++)
                if (layout->place[c] >= (int)layout->n_columns || (c != TASK_TEXT_A && layout->place[c] == layout->place[0]))
                    fail_msg("%s, %zu columns: column %d is at %d", task->name, layout->n_columns, c, layout->place[c]);
            if (layout->place[TASK_TEXT_A] < 0) fail_msg("%s, %zu columns: no text", task->name, layout->n_columns);
        }
        assert_non_null(task_split_row(task, 0));
    }
    assert_true(n >= 13);
}

static void tasks_are_found_by_name(void **state) {
    (void)state;
    const task_info *task;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    assert_string_equal(find_task("SST-2")->name, "sst2");
    assert_string_equal(find_task("sts_b")->name, "stsb");
    assert_string_equal(find_task("CoLA")->name, "cola");
    assert_string_equal(find_task("token_classification")->name, "token-classification");
    assert_int_equal(task_find("mnlj", &sink, &task), POFAC_ERR_USAGE);
    assert_int_equal(task_find("translation of poems", &sink, &task), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&said), "error: unknown task \"mnlj\"; did you mean \"mnli\"?\n"
                                           "error: unknown task \"translation of poems\"; `pofac list tasks` names them\n");
    assert_null(task);
    strbuf_free(&said);
}

static void lists_of_names(void **state) {
    (void)state;
    const char *name;
    size_t n;
    arena a = ARENA_INIT;
    assert_int_equal(task_name_count(""), 0);
    assert_int_equal(task_name_count("a"), 1);
    assert_int_equal(task_name_count("a|b c|d"), 3);
    assert_true(task_name_at("a|b c|d", 1, &name, &n));
    assert_int_equal(n, 3);
    assert_memory_equal(name, "b c", 3);
    assert_false(task_name_at("a|b c|d", 3, &name, &n));
    assert_int_equal(task_name_find("a|b c|d", "B C", 3), 1);
    assert_int_equal(task_name_find("a|b c|d", "b", 1), -1);
    assert_int_equal(task_name_find("", "", 0), -1);
    const char **names = task_names_split("x|yz", &a, &n);
    assert_int_equal(n, 2);
    assert_string_equal(names[1], "yz");
    arena_free(&a);
}

static void expect_split(void **state, const char *task, const char *split, const char *wanted) {
    arena a = ARENA_INIT;
    const char *path;
    char directory[512];
    snprintf(directory, sizeof directory, "%s", file_path(state, "splits"));
    assert_int_equal(task_split_file(find_task(task), directory, split, &a, NULL, &path), POFAC_OK);
    if (!wanted) assert_null(path);
    else if (!path || strcmp(strrchr(path, '/') + 1, wanted) != 0)
        fail_msg("%s, %s: found %s, wanted %s", task, split, path ? path : "nothing", wanted);
    arena_free(&a);
}

static void files_of_splits(void **state) {
    assert_int_equal(mkdir(file_path(state, "splits"), 0700), 0);
    expect_split(state, "sst2", "train", NULL);
    static const char *const names[] = {"train.tsv.gz", "validation.jsonl", "dev_matched.tsv", "dev_mismatched.csv",
                                        "msr_paraphrase_test.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        snprintf(name, sizeof name, "splits/%s", names[i]);
        put_file(state, name, "", 0);
    }
    expect_split(state, "sst2", "train", "train.tsv.gz");
    expect_split(state, "sst2", "dev", "validation.jsonl");
    expect_split(state, "sst2", "test", NULL);
    expect_split(state, "sst2", "dev_matched", NULL);
    expect_split(state, "mnli", "dev_matched", "dev_matched.tsv");
    expect_split(state, "mnli", "dev_mismatched", "dev_mismatched.csv");
    expect_split(state, "mrpc", "test", "msr_paraphrase_test.txt");
    put_file(state, "splits/train.tsv", "", 0);
    expect_split(state, "sst2", "train", "train.tsv");
}

static void the_table_as_text(void **state) {
    (void)state;
    strbuf out = STRBUF_INIT;
    tasks_put(&out);
    assert_non_null(strstr(strbuf_str(&out), "\nstsb                     STS-B: how alike are two sentences, from 0 to 5?\n"
                                             "  text                   sentence1, text_a\n"
                                             "  second text            sentence2, text_b\n"
                                             "  label                  score, label, labels, similarity_score\n"
                                             "  without a header       10 columns: text 8, second text 9, label 10\n"
                                             "                         9 columns: text 8, second text 9\n"
                                             "                         4 columns: text 3, second text 4, label 2\n"
                                             "  score                  from 0 to 5\n"
                                             "  metrics                pearson, spearmanr\n"
                                             "  splits                 train, dev, test\n"));
    for (size_t i = 0; task_row(i); i++) assert_non_null(strstr(strbuf_str(&out), task_row(i)->meaning));
    strbuf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete), cmocka_unit_test(tasks_are_found_by_name), cmocka_unit_test(lists_of_names),
        cmocka_unit_test(files_of_splits),   cmocka_unit_test(the_table_as_text),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
