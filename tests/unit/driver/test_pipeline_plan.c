/* Plans of pipelines: stages of each combination of swept values, what they share, and what their keys depend on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "frontend/driver/pipeline_plan.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

static pofac_status check_option(const void *row, const char *value, const diag_place *place, const diag_sink *sink) {
    if (strcmp(row, "number") != 0 || value[strspn(value, "0123456789")] == 0) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_INPUT, place, "found \"%s\", wanted a number", value);
}

static const pipeline_option build_options[] = {{"vocab", PIPELINE_READS, NULL, ""},
                                                {"output_dir", PIPELINE_WRITES, NULL, ""},
                                                {"size", PIPELINE_VALUE, NULL, "number"},
                                                {"quiet", PIPELINE_FLAG, NULL, ""}};
static const pipeline_option train_options[] = {{"learning_rate", PIPELINE_VALUE, NULL, ""},
                                                {"seed", PIPELINE_VALUE, NULL, "number"}};
static const pipeline_command commands[] = {{"data build", build_options, 4, 1, 9, "CORPUS...", true},
                                            {"train", train_options, 2, 1, 1, "RECIPE", true}};
static const pipeline_program program = {.commands = commands, .n_commands = 2, .version = "1", .check_option = check_option};

static const char document[] =
    "<pofac xmlns=\"urn:pofac:1\"><pipeline name=\"p\">\n"
    "  <parameter name=\"seed\" value=\"1\"/>\n"
    "  <parameter name=\"rate\" value=\"1e-4\"/>\n"
    "  <stage name=\"corpus\" command=\"data build\">\n"
    "    <argument value=\"./text\"/>\n"
    "    <option name=\"output_dir\" value=\"${out}/shards\"/>\n"
    "  </stage>\n"
    "  <stage name=\"teacher\">\n"
    "    <model name=\"m\" head=\"pretraining\"><bert hidden_size=\"96\"/><tokenizer vocab=\"./vocab\"/></model>\n"
    "    <data kind=\"segment_pair_nsp\" train=\"${stage:corpus}/shards\"/>\n"
    "    <train seed=\"${seed}\" max_steps=\"2\"/>\n"
    "  </stage>\n"
    "  <stage name=\"student\">\n"
    "    <model name=\"m\" from=\"${stage:teacher}/model\"/>\n"
    "    <data kind=\"segment_pair_nsp\" train=\"${stage:corpus}/shards\"/>\n"
    "    <train learning_rate=\"${rate}\" max_steps=\"2\"/>\n"
    "  </stage>\n"
    "  <results><row name=\"r\"><cell column=\"c\" stage=\"student\" file=\"f.json\" key=\"k\"/></row></results>\n"
    "</pipeline></pofac>\n";

static void put_inputs(void **state) {
    put_file(state, "p.xml", document, sizeof document - 1);
    put_file(state, "text", "a text", 6);
    put_file(state, "vocab", "[PAD]", 5);
}

/* The plan with its keys; `a` and `r` last as long as it. */
static pofac_status make_plan(const pipeline_request *r, const char *version, arena *a, const diag_sink *sink, pipeline_plan *out) {
    pipeline_program p = program;
    input_hashes hashes;
    p.version = version;
    TRY(pipeline_plan_read(r, &p, a, sink, out));
    pofac_status status = input_hashes_open(NULL, sink, &hashes);
    if (status == POFAC_OK) status = pipeline_plan_jobs(out, &p, &hashes, a, sink);
    input_hashes_close(&hashes);
    return status;
}

enum { CORPUS, TEACHER, STUDENT, N_STAGES };

typedef struct keys {
    char of[N_STAGES][33];
} keys;

static void read_keys(void **state, const char *version, const xml_parameter *given, size_t n_given, keys *out) {
    char path[300];
    snprintf(path, sizeof path, "%s", file_path(state, "p.xml"));
    const pipeline_request request = {.path = path, .parameters = given, .n_parameters = n_given};
    pipeline_plan plan;
    arena a = ARENA_INIT;
    assert_int_equal(make_plan(&request, version, &a, NULL, &plan), POFAC_OK);
    assert_int_equal(plan.n_jobs, N_STAGES);
    for (int i = 0; i < N_STAGES; i++) snprintf(out->of[i], sizeof out->of[i], "%s", plan.variants[0].keys[i]);
    arena_free(&a);
}

/* Which keys differ: "" or some of "corpus teacher student". */
static void expect_changed(const keys *a, const keys *b, const char *wanted) {
    static const char *const names[] = {"corpus", "teacher", "student"};
    char changed[64] = "";
    for (int i = 0; i < N_STAGES; i++)
        if (strcmp(a->of[i], b->of[i]) != 0) snprintf(changed + strlen(changed), 32, "%s%s", *changed ? " " : "", names[i]);
    assert_string_equal(changed, wanted);
}

static void keys_follow_what_stages_read(void **state) {
    keys first, other;
    put_inputs(state);
    read_keys(state, "1", NULL, 0, &first);
    read_keys(state, "1", NULL, 0, &other);
    expect_changed(&first, &other, "");
    read_keys(state, "2", NULL, 0, &other);
    expect_changed(&first, &other, "corpus teacher student");
    read_keys(state, "1", &(xml_parameter){"seed", "2"}, 1, &other);
    expect_changed(&first, &other, "teacher student");
    read_keys(state, "1", &(xml_parameter){"rate", "2e-4"}, 1, &other);
    expect_changed(&first, &other, "student");
    put_file(state, "vocab", "[UNK]", 5);
    read_keys(state, "1", NULL, 0, &other);
    expect_changed(&first, &other, "teacher student");
    put_file(state, "vocab", "[PAD]", 5);
    put_file(state, "text", "another", 7);
    read_keys(state, "1", NULL, 0, &other);
    expect_changed(&first, &other, "corpus teacher student");
}

static void sweeps_share_what_they_do_not_change(void **state) {
    static const char *const seeds[] = {"1", "2", "3"}, *const rates[] = {"1e-4", "2e-4"};
    const pipeline_sweep sweeps[] = {{"seed", seeds, 3}, {"rate", rates, 2}};
    static const char *const wanted[] = {"o/shared/corpus",
                                         "o/seed=1/teacher",
                                         "o/seed=1,rate=1e-4/student",
                                         "o/seed=1,rate=2e-4/student",
                                         "o/seed=2/teacher",
                                         "o/seed=2,rate=1e-4/student",
                                         "o/seed=2,rate=2e-4/student",
                                         "o/seed=3/teacher",
                                         "o/seed=3,rate=1e-4/student",
                                         "o/seed=3,rate=2e-4/student"};
    enum { N_WANTED = sizeof wanted / sizeof *wanted };
    char path[300];
    put_inputs(state);
    snprintf(path, sizeof path, "%s", file_path(state, "p.xml"));
    const pipeline_request request = {.path = path, .output_dir = "o", .sweeps = sweeps, .n_sweeps = 2};
    pipeline_plan plan;
    arena a = ARENA_INIT;
    assert_int_equal(make_plan(&request, "1", &a, NULL, &plan), POFAC_OK);
    assert_int_equal(plan.n_variants, 6);
    assert_int_equal(plan.n_jobs, N_WANTED);
    for (size_t i = 0; i < N_WANTED; i++) {
        assert_string_equal(pipeline_job_directory(&plan.jobs[i]), wanted[i]);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(plan.jobs[i].determined_by, plan.jobs[k].determined_by);
    }
    assert_string_equal(plan.jobs[0].title, "corpus");
    assert_string_equal(plan.jobs[5].title, "student seed=2,rate=1e-4");
    assert_string_equal(plan.variants[3].label, "seed=2,rate=2e-4");
    assert_string_equal(plan.variants[3].directories[TEACHER], "o/seed=2/teacher");
    assert_ptr_equal(plan.variants[3].keys[TEACHER], plan.variants[2].keys[TEACHER]);
    char reads[100];
    snprintf(reads, sizeof reads, "corpus %s\nteacher %s\n", plan.variants[3].keys[CORPUS], plan.variants[3].keys[TEACHER]);
    assert_string_equal(plan.jobs[6].reads, reads);
    arena_free(&a);
}

static void expect_refusal(void **state, const pipeline_request *changes, pofac_status status, const char *wanted) {
    char path[300];
    snprintf(path, sizeof path, "%s", file_path(state, "p.xml"));
    pipeline_request request = *changes;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    pipeline_plan plan;
    arena a = ARENA_INIT;
    request.path = path;
    assert_int_equal(make_plan(&request, "1", &a, &sink, &plan), status);
    cut_directory(state, said.data);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
    arena_free(&a);
}

static void sweeps_that_make_no_sense(void **state) {
    static const char *const seeds[] = {"1", "2"}, *const twice[] = {"1", "1"}, *const paths[] = {"../x"}, *const nothing[] = {""};
    const char *many[40];
    char texts[40][4];
    for (int i = 0; i < 40; i++) snprintf(texts[i], sizeof texts[i], "%d", i), many[i] = texts[i];
    put_inputs(state);
#define REFUSED(sweeps_, n, wanted)                                                                                                \
    expect_refusal(state, &(pipeline_request){.sweeps = sweeps_, .n_sweeps = n}, POFAC_ERR_USAGE, wanted)
    REFUSED(((pipeline_sweep[]){{"seed", seeds, 2}, {"seed", seeds, 2}}), 2, "error: --sweep: found seed twice, wanted it once\n");
    REFUSED((&(pipeline_sweep){"seed", twice, 2}), 1, "error: --sweep seed: found 1 twice, wanted it once\n");
    REFUSED((&(pipeline_sweep){"seed", paths, 1}), 1,
            "error: --sweep seed: found \"../x\", wanted a value of letters, digits, _, ., + and -: it names a directory\n");
    REFUSED((&(pipeline_sweep){"seed", nothing, 1}), 1,
            "error: --sweep seed: found \"\", wanted a value of letters, digits, _, ., + and -: it names a directory\n");
    REFUSED(((pipeline_sweep[]){{"seed", many, 40}, {"rate", many, 40}}), 2,
            "error: --sweep: found more than 1000 combinations, wanted fewer\n");
    REFUSED((&(pipeline_sweep){"sed", seeds, 2}), 1, "p.xml: error: unknown parameter sed; did you mean seed?\n");
#undef REFUSED
    expect_refusal(state,
                   &(pipeline_request){.sweeps = &(pipeline_sweep){"seed", seeds, 2},
                                       .n_sweeps = 1,
                                       .parameters = &(xml_parameter){"seed", "3"},
                                       .n_parameters = 1},
                   POFAC_ERR_USAGE, "error: found seed in --sweep and in --parameter, wanted it in one of them\n");
}

/* Either there is no plan, and a message, or it is the one that there always is. */
static void failing_allocations(void **state) {
    static const char *const seeds[] = {"1", "2"};
    const pipeline_sweep sweep = {"seed", seeds, 2};
    char path[300];
    put_inputs(state);
    snprintf(path, sizeof path, "%s", file_path(state, "p.xml"));
    const pipeline_request request = {.path = path, .sweeps = &sweep, .n_sweeps = 1};
    arena whole = ARENA_INIT;
    pipeline_plan wanted;
    assert_int_equal(make_plan(&request, "1", &whole, NULL, &wanted), POFAC_OK);
    assert_int_equal(wanted.n_jobs, 5);
    size_t n = 1;
    for (;; n++) {
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        arena a = ARENA_INIT;
        pipeline_plan plan;
        fail_alloc_after(n);
        const pofac_status status = make_plan(&request, "1", &a, &sink, &plan);
        const bool has_failed = fail_alloc_stop();
        if (status == POFAC_OK) {
            assert_int_equal(plan.n_jobs, wanted.n_jobs);
            for (size_t i = 0; i < plan.n_jobs; i++) {
                assert_string_equal(pipeline_job_directory(&plan.jobs[i]), pipeline_job_directory(&wanted.jobs[i]));
                assert_string_equal(plan.jobs[i].determined_by, wanted.jobs[i].determined_by);
                assert_string_equal(plan.jobs[i].title, wanted.jobs[i].title);
                assert_string_equal(plan.jobs[i].reads, wanted.jobs[i].reads);
            }
        } else {
            assert_true(has_failed);
            assert_int_equal(status, POFAC_ERR_RUNTIME);
            assert_true(said.size > 0);
        }
        strbuf_free(&said);
        arena_free(&a);
        if (!has_failed) {
            assert_int_equal(status, POFAC_OK);
            break;
        }
    }
    assert_true(n > 20);
    arena_free(&whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_follow_what_stages_read),
        cmocka_unit_test(sweeps_share_what_they_do_not_change),
        cmocka_unit_test(sweeps_that_make_no_sense),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
