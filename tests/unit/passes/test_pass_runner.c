/*
 * Pipelines as text, with every message; the runner and what its observer gets; failing allocations. Every pass, option and
 * pipeline of the tables is read, printed and run here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/rewrite.h"
#include "ir/text.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/passes/pass_case.h"

/* ---- pipelines as text ---- */

static void expect_pipeline(const char *text, const char *wanted) {
    arena memory = ARENA_INIT;
    strbuf messages = STRBUF_INIT, printed = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    pass_pipeline p;
    if (pipeline_parse(text, &memory, &sink, &p) != POFAC_OK) fail_msg("%s: %s", text, strbuf_str(&messages));
    pipeline_print(&p, 0, &printed);
    assert_string_equal(strbuf_str(&printed), wanted);
    assert_string_equal(strbuf_str(&messages), "");
    strbuf_free(&printed);
    strbuf_free(&messages);
    arena_free(&memory);
}

static void test_pipelines_read_and_print(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"", ""},
        {" \t\r\n", ""},
        {"fuse", "fuse"},
        {" canonicalize ,\n\tcse\r\n", "canonicalize,cse"},
        {"layout{tile=16},fuse", "layout{tile=16},fuse"},
        {"layout { tile = 64 } , fuse", "layout{tile=64},fuse"},
        {"layout{}", "layout"},
        {"fuse{ }", "fuse"},
        {"fold{max_elements=0},fold{max_elements=1099511627776}", "fold{max_elements=0},fold{max_elements=1099511627776}"},
        {"simplify", "canonicalize,fold,canonicalize,cse,dce"},
        {"dce,simplify", "dce,canonicalize,fold,canonicalize,cse,dce"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_pipeline(cases[i].text, cases[i].printed);
        expect_pipeline(cases[i].printed, cases[i].printed);
    }
}

static void test_rest_of_a_pipeline(void **state) {
    (void)state;
    arena memory = ARENA_INIT;
    strbuf printed = STRBUF_INIT;
    pass_pipeline p;
    assert_int_equal(pipeline_parse("cse,layout{tile=16},fuse", &memory, NULL, &p), POFAC_OK);
    assert_int_equal(p.n_steps, 3);
    pipeline_print(&p, 1, &printed);
    strbuf_putc(&printed, '|');
    pipeline_print(&p, 3, &printed);
    assert_string_equal(strbuf_str(&printed), "layout{tile=16},fuse|");
    strbuf_free(&printed);
    arena_free(&memory);
}

static void expect_refusal(const char *text, const char *wanted) {
    arena memory = ARENA_INIT;
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    pass_pipeline p;
    assert_int_equal(pipeline_parse(text, &memory, &sink, &p), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&messages), wanted);
    assert_null(p.steps);
    assert_int_equal(p.n_steps, 0);
    strbuf_free(&messages);
    arena_free(&memory);
}

static void test_every_message_about_text(void **state) {
    (void)state;
    expect_refusal("cse,fold2", "pipeline:1:5: error: found \"fold2\", wanted a pass or a pipeline; did you mean \"fold\"?\n"
                                "  cse,fold2\n"
                                "      ^\n");
    expect_refusal("plan_memory",
                   "pipeline:1:1: error: found \"plan_memory\", wanted a pass or a pipeline; did you mean \"plan-memory\"?\n"
                   "  plan_memory\n"
                   "  ^\n");
    expect_refusal("something", "pipeline:1:1: error: found \"something\", wanted a pass or a pipeline\n"
                                "  something\n"
                                "  ^\n");
    expect_refusal("cse,", "pipeline:1:5: error: found the end, wanted a pass or a pipeline\n"
                           "  cse,\n"
                           "      ^\n");
    expect_refusal(",cse", "pipeline:1:1: error: found \",\", wanted a pass or a pipeline\n"
                           "  ,cse\n"
                           "  ^\n");
    expect_refusal("cse\n  dce\n", "pipeline:2:3: error: found \"dce\", wanted \",\" or the end\n"
                                   "    dce\n"
                                   "    ^\n");
    expect_refusal("cse \xc3\xa9", "pipeline:1:5: error: found \"\xc3\xa9\", wanted \",\" or the end\n"
                                   "  cse \xc3\xa9\n"
                                   "      ^\n");
    expect_refusal("simplify{}", "pipeline:1:9: error: found \"{\", wanted \",\" or the end\n"
                                 "  simplify{}\n"
                                 "          ^\n");
}

static void test_every_message_about_options(void **state) {
    (void)state;
    expect_refusal("layout{title=16}", "pipeline:1:8: error: found \"title\", wanted an option of layout; did you mean \"tile\"?\n"
                                       "  layout{title=16}\n"
                                       "         ^\n");
    expect_refusal("layout{width=16}", "pipeline:1:8: error: found \"width\", wanted an option of layout\n"
                                       "  layout{width=16}\n"
                                       "         ^\n");
    expect_refusal("cse{tile=16}", "pipeline:1:5: error: found \"tile\", wanted \"}\", as cse has no options\n"
                                   "  cse{tile=16}\n"
                                   "      ^\n");
    expect_refusal("layout{tile=16,tile=32}", "pipeline:1:16: error: found \"tile\", wanted each option once\n"
                                              "  layout{tile=16,tile=32}\n"
                                              "                 ^\n");
    expect_refusal("layout{tile}", "pipeline:1:12: error: found \"}\", wanted \"=\"\n"
                                   "  layout{tile}\n"
                                   "             ^\n");
    expect_refusal("layout{tile=}", "pipeline:1:13: error: found \"}\", wanted 0|16|32|64\n"
                                    "  layout{tile=}\n"
                                    "              ^\n");
    expect_refusal("layout{tile=48}", "pipeline:1:13: error: found \"48\", wanted 0|16|32|64\n"
                                      "  layout{tile=48}\n"
                                      "              ^\n");
    expect_refusal("fold{max_elements=-1}", "pipeline:1:19: error: found \"-1\", wanted 0..1099511627776\n"
                                            "  fold{max_elements=-1}\n"
                                            "                    ^\n");
    expect_refusal("layout{tile=16", "pipeline:1:15: error: found the end, wanted \",\" or \"}\"\n"
                                     "  layout{tile=16\n"
                                     "                ^\n");
    expect_refusal("layout{tile=16,}", "pipeline:1:16: error: found \"}\", wanted an option of layout\n"
                                       "  layout{tile=16,}\n"
                                       "                 ^\n");
    expect_refusal("layout{tile=16}}", "pipeline:1:16: error: found \"}\", wanted \",\" or the end\n"
                                       "  layout{tile=16}}\n"
                                       "                 ^\n");
}

static void test_number_of_passes_is_bounded(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT, messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    arena memory = ARENA_INIT;
    pass_pipeline p;
    for (int i = 0; i < 1000; i++) strbuf_puts(&text, i ? ",cse" : "cse");
    assert_int_equal(pipeline_parse(strbuf_str(&text), &memory, &sink, &p), POFAC_OK);
    assert_int_equal(p.n_steps, 1000);
    strbuf_puts(&text, ",dce");
    assert_int_equal(pipeline_parse(strbuf_str(&text), &memory, &sink, &p), POFAC_ERR_USAGE);
    assert_non_null(strstr(strbuf_str(&messages), "pipeline:1:4001: error: found \"dce\", wanted the end after 1000 passes\n"));
    arena_free(&memory);
    strbuf_free(&text);
    strbuf_free(&messages);
}

/* ---- the tables ---- */

static void test_every_row(void **state) {
    (void)state;
    assert_null(pass_find("simplify"));
    for (size_t i = 0; pass_row(i); i++) {
        assert_ptr_equal(pass_find(pass_row(i)->name), pass_row(i));
        assert_true(strlen(pass_row(i)->meaning) > 0);
        expect_pipeline(pass_row(i)->name, pass_row(i)->name);
    }
    for (size_t i = 0; pass_option_row(i); i++) {
        const pass_option_schema *option = pass_option_row(i);
        char text[256];
        assert_non_null(pass_find(option->pass));
        assert_ptr_equal(pass_option_find(option->pass, option->name), option);
        assert_true(pass_option_takes(option, option->fallback, NULL));
        assert_true(strlen(option->meaning) > 0);
        snprintf(text, sizeof text, "%s{%s=%s}", option->pass, option->name, option->fallback);
        expect_pipeline(text, text);
    }
    for (size_t i = 0; pipeline_row(i); i++) {
        arena memory = ARENA_INIT;
        pass_pipeline p;
        assert_null(pass_find(pipeline_row(i)->name)); /* the name is free */
        assert_true(strlen(pipeline_row(i)->meaning) > 0);
        strbuf around = STRBUF_INIT, wanted = STRBUF_INIT;
        assert_int_equal(pipeline_parse(pipeline_row(i)->name, &memory, NULL, &p), POFAC_OK);
        assert_true(p.n_steps > 1);
        strbuf_printf(&around, "cse,%s,layout{tile=16}", pipeline_row(i)->name);
        strbuf_puts(&wanted, "cse,");
        pipeline_print(&p, 0, &wanted);
        strbuf_puts(&wanted, ",layout{tile=16}");
        expect_pipeline(strbuf_str(&around), strbuf_str(&wanted));
        strbuf_free(&around);
        strbuf_free(&wanted);
        arena_free(&memory);
    }
}

static void test_values_of_options(void **state) {
    (void)state;
    static const struct {
        const char *values, *value;
        bool taken;
    } cases[] = {
        {"16|32|64", "16", true},
        {"16|32|64", "32", true},
        {"16|32|64", "64", true},
        {"16|32|64", "48", false},
        {"16|32|64", "", false},
        {"16|32|64", "6", false},
        {"16|32|64", "16.0", false},
        {"16|32|64", "sixteen", false},
        {"7", "7", true},
        {"7", "8", false},
        {"-3..5", "-3", true},
        {"-3..5", "5", true},
        {"-3..5", "-4", false},
        {"-3..5", "6", false},
        {"0..9223372036854775807", "9223372036854775807", true},
        {"0..9223372036854775807", "9223372036854775808", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pass_option_schema option = {.values = cases[i].values};
        int64_t number = -1;
        if (pass_option_takes(&option, cases[i].value, &number) != cases[i].taken)
            fail_msg("%s is %staken by %s", cases[i].value, cases[i].taken ? "not " : "", cases[i].values);
        if (cases[i].taken) assert_int_equal(number, strtoll(cases[i].value, NULL, 10));
    }
}

static void test_lists(void **state) {
    (void)state;
    static const struct {
        const char *value;
        bool taken;
    } cases[] = {{"none", true}, {"0", true},     {"5-0-3", true}, {"", false},         {"6", false},  {"1-", false},
                 {"-1", false},  {"1--2", false}, {"1-x", false},  {"1-2-none", false}, {"1,2", false}};
    const pass_option_schema option = {.values = "[0..5]"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (pass_option_takes(&option, cases[i].value, NULL) != cases[i].taken)
            fail_msg("%s is %staken by [0..5]", cases[i].value, cases[i].taken ? "not " : "");
    strbuf many = STRBUF_INIT;
    for (size_t i = 0; i < PASS_MAX_LIST; i++) strbuf_puts(&many, i ? "-1" : "1");
    assert_true(pass_option_takes(&option, strbuf_str(&many), NULL));
    strbuf_puts(&many, "-1");
    assert_false(pass_option_takes(&option, strbuf_str(&many), NULL));
    strbuf_free(&many);
}

/* ---- the runner ---- */

/* x * 1 goes with canonicalize, the dead node with dce, the equal one with cse, the sum of constants with fold; linear and gelu
 * fuse. */
static const char module_of_all[] = "graph @g (T <= 64) {\n"
                                    "  %1 = input {name = \"x\"} : f32[T,4]\n"
                                    "  %2 = constant {value = [1]} : f32[4]\n"
                                    "  %3 = add %2, %2 : f32[4]\n"
                                    "  %4 = mul %1, %2 : f32[T,4]\n"
                                    "  %5 = state {name = \"w\"} : f32[4,4]\n"
                                    "  %6 = linear %4, %5, %3 : f32[T,4]\n"
                                    "  %7 = gelu %6 : f32[T,4]\n"
                                    "  %8 = relu %7 : f32[T,4]\n"
                                    "  %9 = relu %7 : f32[T,4]\n"
                                    "  %10 = sub %8, %9 : f32[T,4]\n"
                                    "  %11 = tanh %7 : f32[T,4]\n"
                                    "  return \"y\" = %10\n"
                                    "}\n";

/* The observer's calls as text. */
typedef struct record {
    strbuf calls, reproducer;
} record;

static void note_dump(void *user, const char *title, const ir_module *m) {
    record *r = user;
    strbuf_printf(&r->calls, "%s: %zu nodes\n", title, m->graphs.data[0]->nodes.size);
}

static void note_time(void *user, const char *pass, double seconds) {
    record *r = user;
    assert_true(seconds >= 0 && seconds < 60);
    strbuf_printf(&r->calls, "time of %s\n", pass);
}

static void note_reproducer(void *user, const char *pass, const char *text) {
    record *r = user;
    strbuf_printf(&r->calls, "reproducer of %s\n", pass);
    strbuf_puts(&r->reproducer, text);
}

static pass_observer observer_of(record *r) {
    *r = (record){.calls = STRBUF_INIT, .reproducer = STRBUF_INIT};
    return (pass_observer){.dump = note_dump, .reproducer = note_reproducer, .user = r};
}

static void free_record(record *r) {
    strbuf_free(&r->calls);
    strbuf_free(&r->reproducer);
}

/* Runs a pipeline on module_of_all under the observer; the messages must be these. */
static ir_module *run_observed(ir_context *c, const char *pipeline, const pass_observer *o, const char *messages) {
    strbuf found = STRBUF_INIT;
    ir_module *out;
    try_pipeline(module_from_text(c, "all.pir", module_of_all), pipeline, o, &found, &out);
    assert_string_equal(strbuf_str(&found), messages);
    strbuf_free(&found);
    return out;
}

static void expect_calls(const char *pipeline, pass_observer o, const char *calls) {
    record *r = o.user;
    ir_context *c = context_create();
    module_destroy(run_observed(c, pipeline, &o, ""));
    assert_string_equal(strbuf_str(&r->calls), calls);
    free_record(r);
    context_destroy(c);
}

static void test_dumps(void **state) {
    (void)state;
    record r;
    pass_observer o = observer_of(&r);
    o.print_before = "fold,dce";
    expect_calls("simplify", o, "before fold: 10 nodes\nbefore dce: 9 nodes\n");
    o = observer_of(&r);
    o.print_after = "dce";
    expect_calls("simplify", o, "after dce: 7 nodes\n");
    o = observer_of(&r);
    o.print_before = o.print_after = "all";
    expect_calls("dce,cse", o, "before dce: 11 nodes\nafter dce: 10 nodes\nbefore cse: 10 nodes\nafter cse: 9 nodes\n");
    o = observer_of(&r);
    o.print_changed = true;
    expect_calls("dce,dce,fuse,cse,cse,plan-memory", o, "after dce: 10 nodes\nafter cse: 9 nodes\nafter plan-memory: 9 nodes\n");
    o = observer_of(&r);
    o.print_changed = true;
    o.print_after = "dce";
    expect_calls("dce,dce", o, "after dce: 10 nodes\nafter dce: 10 nodes\n");
    o = observer_of(&r);
    expect_calls("infer", o, "");
}

static void test_stop_after(void **state) {
    (void)state;
    record r;
    pass_observer o = observer_of(&r);
    o.print_after = "all";
    o.stop_after = "cse";
    expect_calls("dce,cse,cse,fuse", o, "after dce: 10 nodes\nafter cse: 9 nodes\n");
    o = observer_of(&r);
    o.stop_after = "fuse";
    o.print_before = "all";
    expect_calls("cse", o, "before cse: 11 nodes\n");
}

static void test_times(void **state) {
    (void)state;
    record r;
    pass_observer o = observer_of(&r);
    o.timed = note_time;
    expect_calls("simplify", o, "time of canonicalize\ntime of fold\ntime of canonicalize\ntime of cse\ntime of dce\n");
}

static void test_observer_without_callbacks(void **state) {
    (void)state;
    ir_context *c = context_create();
    pass_observer o = {.print_before = "all", .print_after = "all", .print_changed = true};
    module_destroy(run_observed(c, "infer", &o, ""));
    context_destroy(c);
}

static void expect_unknown_name(pass_observer o, const char *message) {
    ir_context *c = context_create();
    assert_null(run_observed(c, "infer", &o, message));
    context_destroy(c);
}

static void test_observer_names_unknown_passes(void **state) {
    (void)state;
    expect_unknown_name((pass_observer){.print_before = "cse,fold2"},
                        "error: print_before: found \"fold2\", wanted names of passes or \"all\"\n");
    expect_unknown_name((pass_observer){.print_after = "cse,"},
                        "error: print_after: found \"\", wanted names of passes or \"all\"\n");
    expect_unknown_name((pass_observer){.print_after = "all,cse"},
                        "error: print_after: found \"all\", wanted names of passes or \"all\"\n");
    expect_unknown_name((pass_observer){.print_after = ""}, "error: print_after: found \"\", wanted names of passes or \"all\"\n");
    expect_unknown_name((pass_observer){.stop_after = "simplify"},
                        "error: stop_after: found \"simplify\", wanted the name of a pass\n");
    expect_unknown_name((pass_observer){.stop_after = "all"}, "error: stop_after: found \"all\", wanted the name of a pass\n");
}

static void test_no_passes_and_no_graphs(void **state) {
    (void)state;
    ir_context *c = context_create();
    ir_module *m = module_from_text(c, "all.pir", module_of_all), *out = run_pipeline(m, "");
    assert_same_module("no passes", out, m);
    module_destroy(m);
    module_destroy(out);
    m = module_from_text(c, "empty.pir", "");
    out = run_pipeline(m, "infer");
    assert_int_equal(out->graphs.size, 0);
    module_destroy(m);
    module_destroy(out);
    context_destroy(c);
}

/* ---- failures ---- */

static const char state_read_late[] = "graph @g (T <= 64) {\n"
                                      "  %1 = state {name = \"w\"} : f32[4]\n"
                                      "  %2 = input {name = \"x\"} : f32[T,4]\n"
                                      "  %3 = tanh %1 : f32[4]\n"
                                      "  %4 = relu %1 : f32[4]\n"
                                      "  %5 = add %2, %4 : f32[T,4]\n"
                                      "  return \"w\" = %3, \"y\" = %5\n"
                                      "}\n";

#define READ_LATE_MESSAGE "error: %1 = state: plan-memory: \"w\" is read after %3, its next content, wanted all reads before\n"

/* Runs a module out of text; the messages without their places must be these. */
static void expect_failure(ir_context *c, const char *text, const char *pipeline, const pass_observer *o, const char *message) {
    strbuf found = STRBUF_INIT;
    ir_module *out;
    assert_int_equal(try_pipeline(module_from_text(c, "f.pir", text), pipeline, o, &found, &out), POFAC_ERR_INPUT);
    const char *error = strstr(strbuf_str(&found), "error: ");
    assert_non_null(error);
    assert_string_equal(error, message);
    strbuf_free(&found);
}

/* The pipeline in a reproducer's first line; the caller frees. */
static char *pipeline_of(const char *reproducer) {
    static const char before[] = "; pofac opt --pipeline='", after[] = "' THIS_FILE\n";
    size_t n = sizeof before - 1;
    assert_int_equal(strncmp(reproducer, before, n), 0);
    const char *end = strstr(reproducer, after);
    assert_non_null(end);
    char *pipeline = strndup(reproducer + n, (size_t)(end - reproducer) - n);
    assert_non_null(pipeline);
    return pipeline;
}

static void test_reproducer_of_a_pass(void **state) {
    (void)state;
    ir_context *c = context_create();
    record r, again;
    pass_observer o = observer_of(&r), o_again = observer_of(&again);
    expect_failure(c, state_read_late, "dce,layout{tile=16},plan-memory,layout{tile=64},cse", &o, READ_LATE_MESSAGE);
    assert_string_equal(strbuf_str(&r.calls), "reproducer of plan-memory\n");
    char *pipeline = pipeline_of(strbuf_str(&r.reproducer));
    assert_string_equal(pipeline, "plan-memory,layout{tile=64},cse");
    expect_failure(c, strbuf_str(&r.reproducer), pipeline, &o_again, READ_LATE_MESSAGE);
    assert_string_equal(strbuf_str(&again.reproducer), strbuf_str(&r.reproducer));
    free(pipeline);
    free_record(&r);
    free_record(&again);
    context_destroy(c);
}

static pofac_status copy_graph(void *user, const ir_graph *from, ir_module *to) {
    (void)user;
    rewriter rw;
    TRY(rewrite_begin(&rw, from, to));
    for (size_t i = 0; i < from->nodes.size; i++) rewrite_copy(&rw, &from->nodes.data[i]);
    return rewrite_finish(&rw);
}

/* A pass whose result is malformed: an output has no name. */
static pofac_status run_broken(const pass_input *in, ir_module **out) {
    TRY(rewrite_module(in->module, copy_graph, NULL, in->sink, out));
    (*out)->graphs.data[0]->outputs.data[0].name = "";
    return POFAC_OK;
}

static const pass_info broken = {"broken", run_broken, KEEPS_MEANING, "a pass with a fault"};

/* The verifier's verdict stops the pipeline as a pass's own does. */
static void test_reproducer_of_the_verifier(void **state) {
    (void)state;
    ir_context *c = context_create();
    record r;
    pass_observer o = observer_of(&r);
    strbuf messages = STRBUF_INIT, text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    const pass_step steps[] = {{.pass = pass_find("cse")}, {.pass = &broken}, {.pass = pass_find("dce")}};
    const pass_pipeline p = {steps, 3};
    ir_module *m = module_from_text(c, "all.pir", module_of_all), *before = run_pipeline(m, "cse"), *out;
    o.print_after = "all";
    assert_int_equal(pipeline_run(&p, m, NULL, &o, &sink, &out), POFAC_ERR_INPUT);
    assert_null(out);
    assert_string_equal(strbuf_str(&messages),
                        "error: graph @g: malformed output name \"\", wanted one or more printable characters\n");
    assert_string_equal(strbuf_str(&r.calls), "after cse: 10 nodes\nreproducer of broken\n");
    strbuf_puts(&text, "; pofac opt --pipeline='broken,dce' THIS_FILE\n");
    text_print_module(before, (text_print_options){0}, &text);
    assert_string_equal(strbuf_str(&r.reproducer), strbuf_str(&text));
    module_destroy(before);
    strbuf_free(&messages);
    strbuf_free(&text);
    free_record(&r);
    context_destroy(c);
}

/* What is wrong before the first pass is nobody's fault but the caller's. */
static void test_malformed_module(void **state) {
    (void)state;
    ir_context *c = context_create();
    record r;
    pass_observer o = observer_of(&r);
    strbuf messages = STRBUF_INIT;
    ir_module *m = module_from_text(c, "all.pir", module_of_all), *out;
    m->graphs.data[0]->outputs.data[0].name = "";
    assert_int_equal(try_pipeline(m, "infer", &o, &messages, &out), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&messages),
                        "error: graph @g: malformed output name \"\", wanted one or more printable characters\n");
    assert_string_equal(strbuf_str(&r.calls), "");
    strbuf_free(&messages);
    free_record(&r);
    context_destroy(c);
}

/* Options of steps that no text was read for are checked by the passes. */
static void test_options_without_text(void **state) {
    (void)state;
    static const struct {
        const char *pass;
        pass_option option;
        const char *message;
    } cases[] = {
        {"layout", {"tile", "7"}, "error: layout: option tile is \"7\", wanted 0|16|32|64\n"},
        {"fold", {"max_elements", "many"}, "error: fold: option max_elements is \"many\", wanted 0..1099511627776\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ir_context *c = context_create();
        strbuf messages = STRBUF_INIT;
        diag_sink sink = diag_sink_to_strbuf(&messages);
        const pass_step step = {pass_find(cases[i].pass), &cases[i].option, 1};
        const pass_pipeline p = {&step, 1};
        ir_module *out;
        assert_int_equal(pipeline_run(&p, module_from_text(c, "all.pir", module_of_all), NULL, NULL, &sink, &out), POFAC_ERR_USAGE);
        assert_string_equal(strbuf_str(&messages), cases[i].message);
        strbuf_free(&messages);
        context_destroy(c);
    }
}

/* ---- failing allocations ---- */

static void count_diag(void *user, const diag *d) {
    size_t *count = user;
    if (d->status != POFAC_ERR_RUNTIME) fail_msg("%s", d->message);
    (*count)++;
}

static void ignore_dump(void *user, const char *title, const ir_module *m) { (void)user, (void)title, (void)m; }
static void ignore_reproducer(void *user, const char *pass, const char *text) { (void)user, (void)pass, (void)text; }

/* Reads and runs "infer" with allocation n failing; false when it needed fewer. */
static bool run_with_failure(size_t n, const pass_observer *o) {
    arena memory = ARENA_INIT;
    size_t n_errors = 0;
    const diag_sink sink = {count_diag, &n_errors};
    pass_pipeline p;
    ir_module *out = NULL;
    ir_context *c = context_create();
    ir_module *m = module_from_text(c, "all.pir", module_of_all);
    fail_alloc_after(n);
    pofac_status status = pipeline_parse("infer,layout{tile=16}", &memory, &sink, &p);
    if (status == POFAC_OK) status = pipeline_run(&p, m, NULL, o, &sink, &out);
    else module_destroy(m);
    bool failed = fail_alloc_stop();
    if (!failed && status != POFAC_OK) fail_msg("allocation %zu does not fail, but the pipeline does", n);
    if (status != POFAC_OK && (status != POFAC_ERR_RUNTIME || n_errors != 1 || out))
        fail_msg("allocation %zu fails: status %d, %zu messages", n, status, n_errors);
    module_destroy(out);
    arena_free(&memory);
    context_destroy(c);
    return failed;
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    const pass_observer o = {.print_changed = true, .dump = ignore_dump, .reproducer = ignore_reproducer};
    size_t n = 1;
    while (run_with_failure(n, &o)) n++;
    assert_true(n > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipelines_read_and_print),
        cmocka_unit_test(test_rest_of_a_pipeline),
        cmocka_unit_test(test_every_message_about_text),
        cmocka_unit_test(test_every_message_about_options),
        cmocka_unit_test(test_number_of_passes_is_bounded),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_values_of_options),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_dumps),
        cmocka_unit_test(test_stop_after),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_observer_without_callbacks),
        cmocka_unit_test(test_observer_names_unknown_passes),
        cmocka_unit_test(test_no_passes_and_no_graphs),
        cmocka_unit_test(test_reproducer_of_a_pass),
        cmocka_unit_test(test_reproducer_of_the_verifier),
        cmocka_unit_test(test_malformed_module),
        cmocka_unit_test(test_options_without_text),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
