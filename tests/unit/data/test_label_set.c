/* pitfall 8: labels are mapped by name where a model, a teacher or data order them differently; sets that differ are an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/data/task_dump.h"
#include "tests/unit/fail_alloc.h"

#define OWNER(...)                                                                                                                 \
    &(label_owner) {                                                                                                               \
        "config.json", sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]) { __VA_ARGS__ }                    \
    }

static int32_t find(const label_set *s, const char *text) { return label_set_find(s, text, strlen(text)); }

static void a_model_in_another_order(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    label_set s;
    assert_int_equal(label_set_make(find_task("mnli"), OWNER("contradiction", "neutral", "entailment"), &a, NULL, &s), POFAC_OK);
    assert_int_equal(s.n, 3);
    assert_int_equal(find(&s, "contradiction"), 0);
    assert_int_equal(find(&s, "neutral"), 1);
    assert_int_equal(find(&s, "entailment"), 2);
    assert_int_equal(find(&s, "0"), 2); /* the task's 0 is entailment, which is the model's 2 */
    assert_int_equal(find(&s, "1"), 1);
    assert_int_equal(find(&s, "2"), 0);
    assert_int_equal(find(&s, "3"), -1);
    assert_int_equal(find(&s, "-1"), -1);
    assert_int_equal(find(&s, ""), -1);
    assert_string_equal(s.names[0], "contradiction");
    arena_free(&a);
}

static void names_in_other_spellings(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    label_set s;
    assert_int_equal(label_set_make(find_task("rte"), OWNER("NOT-ENTAILMENT", "Entailment"), &a, NULL, &s), POFAC_OK);
    assert_int_equal(find(&s, "not_entailment"), 0);
    assert_int_equal(find(&s, "not entailment"), 0);
    assert_int_equal(find(&s, "entailment"), 1);
    assert_int_equal(find(&s, "0"), 1);
    arena_free(&a);
}

static void a_model_without_names(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    label_set s;
    assert_int_equal(label_set_make(find_task("qnli"), OWNER("LABEL_0", "LABEL_1"), &a, &sink, &s), POFAC_OK);
    assert_string_equal(strbuf_str(&said), "config.json: note: id2label has no names: its labels are taken to be, in this order, "
                                           "\"entailment\", \"not_entailment\"\n");
    assert_int_equal(find(&s, "not_entailment"), 1);
    strbuf_free(&said);
    arena_free(&a);
}

static void expect_differ(const char *task, const label_owner *owner, const char *wanted) {
    arena a = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    label_set s;
    assert_int_equal(label_set_make(find_task(task), owner, &a, &sink, &s), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
    arena_free(&a);
}

static void sets_that_differ(void **state) {
    (void)state;
    expect_differ("sst2", OWNER("negative", "neutral", "positive"),
                  "config.json: error: id2label: found \"negative\", \"neutral\", \"positive\", wanted the labels of task sst2: "
                  "\"negative\", \"positive\"\n");
    expect_differ(
        "mnli", OWNER("entailment", "neutral", "contradictory"),
        "config.json: error: id2label: found \"entailment\", \"neutral\", \"contradictory\", wanted the labels of task mnli: "
        "\"entailment\", \"neutral\", \"contradiction\"\n");
    expect_differ(
        "qnli", OWNER("entailment", "entailment"),
        "config.json: error: id2label: found \"entailment\", \"entailment\", wanted the labels of task qnli: \"entailment\", "
        "\"not_entailment\"\n");
    expect_differ("qnli", OWNER("LABEL_0", "LABEL_1", "LABEL_2"),
                  "config.json: error: id2label: found \"LABEL_0\", \"LABEL_1\", \"LABEL_2\", wanted the labels of task qnli: "
                  "\"entailment\", \"not_entailment\"\n");
}

static void open_labels(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    label_set s;
    assert_int_equal(label_set_make(find_task("classification"), NULL, &a, NULL, &s), POFAC_OK);
    assert_int_equal(s.n, 0);
    assert_int_equal(label_set_make(find_task("classification"), OWNER("cat", "Cat", "dog"), &a, NULL, &s), POFAC_OK);
    assert_int_equal(find(&s, "cat"), 0);
    assert_int_equal(find(&s, "Cat"), 1);
    assert_int_equal(find(&s, "CAT"), -1); /* either */
    assert_int_equal(find(&s, "DOG"), 2);
    assert_int_equal(find(&s, "2"), 2);
    assert_int_equal(label_set_make(find_task("classification"), OWNER("1", "2", "5"), &a, NULL, &s), POFAC_OK);
    assert_int_equal(find(&s, "1"), 0);
    assert_int_equal(find(&s, "5"), 2);
    assert_int_equal(find(&s, "0"), -1); /* no place where names are numbers */
    arena_free(&a);
}

static void expect_sorted(const char *const *words, size_t n, const char *wanted) {
    label_collector c = LABEL_COLLECTOR_INIT;
    arena a = ARENA_INIT;
    label_set s;
    strbuf found = STRBUF_INIT;
    for (size_t i = 0; i < n; i++) assert_true(label_collector_add(&c, words[i], strlen(words[i])));
    assert_true(label_collector_sort(&c, &a, &s));
    label_set_put(&s, &found);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
    arena_free(&a);
    label_collector_free(&c);
}

static void found_labels_are_sorted(void **state) {
    (void)state;
    static const char *const words[] = {"dog", "cat", "dog", "10", "9"}, *const numbers[] = {"10", "9", "0", "9"};
    static const char *const many[] = {"k", "j", "i", "h", "g", "f", "e", "d", "c", "b", "a"};
    expect_sorted(words, 5, "\"10\", \"9\", \"cat\" or \"dog\"");
    expect_sorted(numbers, 4, "\"0\", \"9\" or \"10\"");
    expect_sorted(many, 11, "\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\" and 3 more");
    expect_sorted(words, 0, "");
}

static void failing_allocations(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        arena a = ARENA_INIT;
        label_set s;
        fail_alloc_after(n);
        pofac_status status = label_set_make(find_task("mnli"), OWNER("contradiction", "neutral", "entailment"), &a, NULL, &s);
        bool failed = fail_alloc_stop();
        arena_free(&a);
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_in_another_order),
        cmocka_unit_test(names_in_other_spellings),
        cmocka_unit_test(a_model_without_names),
        cmocka_unit_test(sets_that_differ),
        cmocka_unit_test(open_labels),
        cmocka_unit_test(found_labels_are_sorted),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
