/* Manual pages and completions of commands that have an option of each kind; and what is printed when memory is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/cli/completion_words.h"
#include "frontend/cli/reference_pages.h"
#include "frontend/driver/description_pages.h"
#include "tests/unit/fail_alloc.h"

static const option_row rows[] = {
    {"flag", OPTION_FLAG, NULL, NULL, 0, 0, "isn't - `bold` \\ \"x\" [a]: b"},
    {"output", OPTION_WRITES, "FILE", NULL, 0, 0, "where it goes."},
    {"work_dir", OPTION_WRITES, "PATH", NULL, 0, 0, "a place"},
    {"lines", OPTION_LINES, "REGEX", NULL, 0, 0, "several"},
    {"whole", OPTION_WHOLE, "N", "7", 1, 9, "how many"},
    {"large", OPTION_WHOLE, "N", NULL, 0, INT64_MAX, "how many"},
    {"choice", OPTION_CHOICE, "one|two", "one", 0, 0, "which"},
    {"form", OPTION_FORM, "text|json", NULL, 0, 0, "how"},
    {"size", OPTION_SIZE, "SIZE", NULL, 0, 0, "bytes"},
    {"isa", OPTION_TEXT, "NAME", "native", 0, 0, "of kernels (`pofac list targets`)"},
    {"none", OPTION_TEXT, "NAME", NULL, 0, 0, "of no table (`pofac list nothing`)"},
    {"stop", OPTION_TEXT, "PASS", NULL, 0, 0, "behind it"},
    {"passes", OPTION_TEXT, "PASSES", NULL, 0, 0, "passes or pipelines"},
    {"jit_debug", OPTION_TEXT, "perf,gdb", NULL, 0, 0, "names"},
};
static const command below = {.name = "group below", .arguments = "", .meaning = "is below"};
static const command *child(size_t i) { return i == 0 ? &below : NULL; }
static const command group = {.name = "group", .arguments = "COMMAND", .child = child, .meaning = "has commands"};
static const command all = {.name = "all",
                            .arguments = "MODEL [FILE]",
                            .rows = rows,
                            .n_rows = sizeof rows / sizeof *rows,
                            .meaning = "does all",
                            .details = "Prose\nthat goes on.\npofac all x\n'quoted'"};

/* The commands of this program; frontend/cli/main.c has those of pofac. */
const command *command_row(size_t i) { return i == 0 ? &all : i == 1 ? &group : NULL; }

static void assert_has(const strbuf *text, const char *wanted) {
    assert_true(strbuf_ok(text));
    if (!strstr(strbuf_str(text), wanted)) fail_msg("found:\n%s\nwanted in it:\n%s", strbuf_str(text), wanted);
}

static void test_man_page(void **state) {
    (void)state;
    strbuf page = STRBUF_INIT;
    man_page_write(&all, &page);
    assert_has(&page,
               ".SH NAME\npofac\\-all \\- does all\n.SH SYNOPSIS\n\\fBpofac all\\fR [\\fIOPTION\\fR...] \\fIMODEL [FILE]\\fR\n");
    assert_has(&page, ".PP\nProse\nthat goes on.\n.PP\n.nf\n.RS 4\npofac all x\n.RE\n.fi\n.PP\n\\&\\(aqquoted\\(aq\n");
    assert_has(&page, ".TP\n\\fB\\-\\-flag\\fR\nisn\\(aqt \\- \\fBbold\\fR \\e \\(dqx\\(dq [a]: b.\n");
    assert_has(&page, ".TP\n\\fB\\-\\-output\\fR \\fIFILE\\fR, \\fB\\-o\\fR \\fIFILE\\fR\nwhere it goes.\n.TP\n");
    assert_has(&page, ".TP\n\\fB\\-\\-whole\\fR \\fIN\\fR\nhow many.\nA whole number from 1 to 9.\nDefault: \\fB7\\fR.\n");
    assert_has(&page, "\nhow many.\nA whole number from 0.\n");
    assert_has(&page, "\\fICHOICE\\fR\nwhich.\nOne of \\fBone\\fR, \\fBtwo\\fR.\nDefault: \\fBone\\fR.\n");
    assert_has(&page, ".TP\n\\fB\\-\\-form\\fR[=\\fICHOICE\\fR]\nhow.\nOne of \\fBtext\\fR, \\fBjson\\fR.\n");
    assert_has(&page, "\nbytes.\nBytes: a number with K, M, G or T behind it, or without.\n");
    strbuf_clear(&page);
    man_page_write(&group, &page);
    assert_has(&page, ".SH COMMANDS\n.TP\n\\fBpofac\\-group\\-below\\fR(1)\nis below\n");
    strbuf_clear(&page);
    man_page_write(&below, &page);
    assert_has(&page, ".SH SEE ALSO\n\\fBpofac\\-group\\fR(1),\n\\fBpofac\\fR(1)\n");
    strbuf_clear(&page);
    man_page_write(NULL, &page);
    assert_has(&page, ".SH COMMANDS\n.TP\n\\fBpofac\\-all\\fR(1)\ndoes all\n.TP\n\\fBpofac\\-group\\fR(1)\nhas commands\n");
    strbuf_free(&page);
}

typedef struct words_case {
    const char *option;
    completion_kind kind;
    const char *words; /* NULL: not compared */
} words_case;

static void test_words(void **state) {
    (void)state;
    static const words_case cases[] = {
        {"flag", COMPLETE_NOTHING, ""},        {"output", COMPLETE_FILES, ""},
        {"work_dir", COMPLETE_FOLDERS, ""},    {"lines", COMPLETE_NOTHING, ""},
        {"whole", COMPLETE_NOTHING, ""},       {"large", COMPLETE_NOTHING, ""},
        {"choice", COMPLETE_WORDS, "one two"}, {"form", COMPLETE_WORDS, "text json"},
        {"size", COMPLETE_NOTHING, ""},        {"isa", COMPLETE_WORDS, "x86-64 avx2 avx512 neon"},
        {"none", COMPLETE_NOTHING, ""},        {"stop", COMPLETE_WORDS, NULL},
        {"passes", COMPLETE_LIST, NULL},       {"jit_debug", COMPLETE_LIST, "perf gdb"},
    };
    assert_int_equal(sizeof cases / sizeof *cases, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf words = STRBUF_INIT;
        assert_string_equal(rows[i].name, cases[i].option);
        const completion_kind kind = completion_of_option(&rows[i], &words);
        if (kind != cases[i].kind) fail_msg("--%s: found kind %d, wanted %d", rows[i].name, (int)kind, (int)cases[i].kind);
        if (cases[i].words) assert_string_equal(strbuf_str(&words), cases[i].words);
        else assert_true(strstr(strbuf_str(&words), "canonicalize fold cse dce ") != NULL);
        assert_int_equal(strstr(strbuf_str(&words), "infer-int8") != NULL, strcmp(rows[i].name, "passes") == 0);
        strbuf_free(&words);
    }
    strbuf words = STRBUF_INIT;
    assert_int_equal(completion_of_arguments(&all, &words), COMPLETE_FILES);
    assert_int_equal(completion_of_arguments(&below, &words), COMPLETE_NOTHING);
    assert_string_equal(strbuf_str(&words), "");
    strbuf_free(&words);
    assert_ptr_equal(completion_short_output(&all), &rows[1]);
    assert_null(completion_short_output(&below));
}

static void test_scripts(void **state) {
    (void)state;
    strbuf script = STRBUF_INIT;
    completion_bash_write(&script);
    assert_has(&script, "    '') echo 'all group' ;;\n    'group') echo 'below' ;;\n");
    assert_has(&script, "    'all')\n        case $2 in\n        names) echo '--flag --output --work_dir --lines --whole ");
    assert_has(&script,
               "        --output | --output= | -o) echo 'files' ;;\n        --work_dir | --work_dir=) echo 'folders' ;;\n");
    assert_has(&script, "        --lines | --lines= | --whole | --whole= | --large | --large= | --size | --size= | --none | "
                        "--none=) echo 'nothing' ;;\n");
    assert_has(&script, "        --form=) echo 'words text json' ;;\n");
    assert_has(&script, "    'group below')\n        case $2 in\n        names) echo '' ;;\n        arguments) echo 'nothing' ;;\n "
                        "       *) return 1 ;;\n");
    strbuf_clear(&script);
    completion_zsh_write(&script);
    assert_has(&script, "            '--flag[isn'\\''t - `bold` \\\\ \"x\" \\[a\\]\\: b]' \\\n");
    assert_has(&script, "            '--choice=[which]:CHOICE:(one two)' \\\n            '--form=-[how]::CHOICE:(text json)' \\\n");
    assert_has(&script, "            '*--lines=[several]:REGEX: ' \\\n");
    assert_has(&script, "            '-o[where it goes.]:FILE:_files' \\\n");
    assert_has(&script, "            '--jit_debug=[names]:perf,gdb:_values -s , word perf gdb' \\\n");
    assert_has(&script, "        if (( CURRENT == 3 )); then\n            commands=(\n                'below:is below'\n");
    strbuf_free(&script);
}

static void write_man(strbuf *out) { man_page_write(&all, out); }

/* Each page, with the n-th allocation failing for every n: it is whole, or says that it is not. */
static void test_failing_allocations(void **state) {
    (void)state;
    static void (*const pages[])(strbuf *) = {write_man,          completion_bash_write,       completion_zsh_write,
                                              ir_reference_write, description_reference_write, description_schema_write};
    for (size_t p = 0; p < sizeof pages / sizeof *pages; p++) {
        strbuf whole = STRBUF_INIT;
        pages[p](&whole);
        assert_true(strbuf_ok(&whole));
        bool failed = true;
        size_t n = 1;
        for (; failed; n++) {
            strbuf page = STRBUF_INIT;
            fail_alloc_after(n);
            pages[p](&page);
            failed = fail_alloc_stop();
            if (failed && strbuf_ok(&page)) fail_msg("page %zu, allocation %zu failed: found a page that does not say so", p, n);
            if (!failed) assert_string_equal(strbuf_str(&page), strbuf_str(&whole));
            strbuf_free(&page);
        }
        if (n < 5) fail_msg("page %zu: %zu allocations failed, wanted 3 at least", p, n - 2);
        strbuf_free(&whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_man_page),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
