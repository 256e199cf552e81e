/* The command line against a table: what is read, and the exact message of everything that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "frontend/cli/arguments.h"
#include "tests/unit/fail_alloc.h"

static const option_row rows[] = {
    {"output", OPTION_TEXT, "FILE", NULL, 0, 0, "where results go"},
    {"batch_size", OPTION_WHOLE, "N", "32", 1, 65536, "rows per run"},
    {"offset", OPTION_WHOLE, "N", NULL, INT64_MIN, INT64_MAX, "any number"},
    {"format", OPTION_CHOICE, "text|tsv|jsonl", "text", 0, 0, "of the input"},
    {"time_passes", OPTION_FLAG, NULL, NULL, 0, 0, "print times"},
    {"no_cache", OPTION_FLAG, NULL, "true", 0, 0, "compile anew"},
    {"profile", OPTION_FORM, "text|json|trace", NULL, 0, 0, "show times"},
    {"max_memory", OPTION_SIZE, "SIZE", NULL, 1, INT64_MAX, "bound of memory"},
};
#define N_ROWS (sizeof rows / sizeof *rows)
#define MOST_WORDS 8

typedef struct parsed {
    arena memory;
    strbuf text;
    option_values values;
    pofac_status status;
} parsed;

/* `words` end with NULL. */
static parsed parse_rows(const option_row *table, size_t n_rows, const char *const *words) {
    parsed p = {.memory = ARENA_INIT, .text = STRBUF_INIT};
    diag_sink sink = diag_sink_to_strbuf(&p.text);
    char *argv[MOST_WORDS + 1];
    int argc = 0;
    for (; words[argc]; argc++) argv[argc] = (char *)(uintptr_t)words[argc];
    p.status = options_parse(table, n_rows, argc, argv, &p.memory, &sink, &p.values);
    return p;
}

static parsed parse(const char *const *words) { return parse_rows(rows, N_ROWS, words); }

static void parsed_free(parsed *p) {
    arena_free(&p->memory);
    strbuf_free(&p->text);
}

static void forms_of_options(void **unused) {
    (void)unused;
    static const struct {
        const char *words[MOST_WORDS + 1], *option, *wanted;
    } cases[] = {
        {{NULL}, "output", NULL},
        {{NULL}, "batch_size", "32"},
        {{NULL}, "format", "text"},
        {{NULL}, "time_passes", NULL},
        {{"--output", "x", NULL}, "output", "x"},
        {{"--output=x", NULL}, "output", "x"},
        {{"--output=", NULL}, "output", ""},
        {{"--output=a=b", NULL}, "output", "a=b"},
        {{"--output", "-", NULL}, "output", "-"},
        {{"--output", "-x", NULL}, "output", "-x"},
        {{"--output=--", NULL}, "output", "--"},
        {{"-o", "x", NULL}, "output", "x"},
        {{"-o=x", NULL}, "output", "x"},
        {{"--batch_size", "8", NULL}, "batch_size", "8"},
        {{"--batch-size", "8", NULL}, "batch_size", "8"},
        {{"--batch-size=65536", NULL}, "batch_size", "65536"},
        {{"--batch_size", "8", "--batch-size", "9", NULL}, "batch_size", "9"},
        {{"--offset", "-7", NULL}, "offset", "-7"},
        {{"--offset", "+7", NULL}, "offset", "+7"},
        {{"--offset", "9223372036854775807", NULL}, "offset", "9223372036854775807"},
        {{"--offset=-9223372036854775808", NULL}, "offset", "-9223372036854775808"},
        {{"--format", "jsonl", NULL}, "format", "jsonl"},
        {{"--time-passes", NULL}, "time_passes", "true"},
        {{"--time_passes=true", NULL}, "time_passes", "true"},
        {{"--time_passes=false", NULL}, "time_passes", "false"},
        {{"--time_passes", "--time_passes=false", NULL}, "time_passes", "false"},
        {{NULL}, "profile", NULL},
        {{"--profile", NULL}, "profile", "text"},
        {{"--profile=trace", NULL}, "profile", "trace"},
        {{"--profile", "--time_passes", NULL}, "profile", "text"},
        {{"--max_memory", "2G", NULL}, "max_memory", "2G"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parsed p = parse(cases[i].words);
        if (p.status != POFAC_OK) fail_msg("case %zu: %s", i, strbuf_str(&p.text));
        const char *found = option_text(&p.values, cases[i].option);
        if (!found || !cases[i].wanted ? found != cases[i].wanted : strcmp(found, cases[i].wanted) != 0)
            fail_msg("case %zu: --%s is %s, wanted %s", i, cases[i].option, found ? found : "NULL",
                     cases[i].wanted ? cases[i].wanted : "NULL");
        assert_int_equal(option_given(&p.values, cases[i].option), cases[i].words[0] != NULL);
        assert_int_equal(p.values.n_arguments, 0);
        parsed_free(&p);
    }
}

static void arguments_stand_anywhere(void **unused) {
    (void)unused;
    parsed p = parse((const char *const[]){"model", "--time_passes", "false", "-", "--", "--output", "", NULL});
    assert_int_equal(p.status, POFAC_OK);
    static const char *const wanted[] = {"model", "false", "-", "--output", ""};
    assert_int_equal(p.values.n_arguments, 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(p.values.arguments[i], wanted[i]);
    assert_true(option_flag(&p.values, "time_passes"));
    assert_false(option_given(&p.values, "output"));
    parsed_free(&p);
}

static void values_by_kind(void **unused) {
    (void)unused;
    parsed p = parse((const char *const[]){"--batch_size", "17", "--no_cache=false", NULL});
    assert_int_equal(p.status, POFAC_OK);
    assert_int_equal(option_whole(&p.values, "batch_size"), 17);
    assert_int_equal(option_whole(&p.values, "offset"), 0);
    assert_int_equal(option_whole(&p.values, "there_is_none"), 0);
    assert_null(option_text(&p.values, "there_is_none"));
    assert_false(option_flag(&p.values, "time_passes"));
    assert_false(option_flag(&p.values, "no_cache"));
    parsed_free(&p);
    p = parse((const char *const[]){NULL});
    assert_true(option_flag(&p.values, "no_cache")); /* the fallback */
    assert_false(p.values.help);
    parsed_free(&p);
}

static void reals(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        double wanted;
    } cases[] = {{"0", 0}, {"-2.5", -2.5}, {"1e-3", 0.001}, {"5.", 5}};
    static const char *const refused[] = {"", "much", "1,5", "1.5x", " 1", "nan", "inf", "1e999", "+1"};
    static const option_row table[] = {{"rate", OPTION_REAL, "X", "0.5", 0, 0, "a number"},
                                       {"other", OPTION_REAL, "X", NULL, 0, 0, "another"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parsed p = parse_rows(table, 2, (const char *const[]){"--rate", cases[i].text, NULL});
        const double found = p.status == POFAC_OK ? option_real(&p.values, "rate") : -1e9;
        if (found < cases[i].wanted || found > cases[i].wanted)
            fail_msg("%s is %g, wanted %g", cases[i].text, found, cases[i].wanted);
        parsed_free(&p);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char word[32], wanted[100];
        snprintf(word, sizeof word, "--rate=%s", refused[i]);
        snprintf(wanted, sizeof wanted, "error: --rate is \"%s\", wanted a number\n", refused[i]);
        parsed p = parse_rows(table, 2, (const char *const[]){word, NULL});
        assert_int_equal(p.status, POFAC_ERR_USAGE);
        assert_string_equal(strbuf_str(&p.text), wanted);
        parsed_free(&p);
    }
    parsed p = parse_rows(table, 2, (const char *const[]){NULL});
    assert_true(option_real(&p.values, "rate") == 0.5);
    assert_true(option_real(&p.values, "other") == 0);
    parsed_free(&p);
}

static void sizes(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        int64_t wanted;
    } cases[] = {{"1", 1},
                 {"1000", 1000},
                 {"3k", 3072},
                 {"3K", 3072},
                 {"512M", 512 << 20},
                 {"2G", (int64_t)2 << 30},
                 {"2g", (int64_t)2 << 30},
                 {"4T", (int64_t)4 << 40},
                 {"9223372036854775807", INT64_MAX},
                 {"8388607T", (int64_t)8388607 << 40}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parsed p = parse((const char *const[]){"--max_memory", cases[i].text, NULL});
        if (p.status != POFAC_OK) fail_msg("%s: %s", cases[i].text, strbuf_str(&p.text));
        if (option_size(&p.values, "max_memory") != cases[i].wanted)
            fail_msg("%s is %lld, wanted %lld", cases[i].text, (long long)option_size(&p.values, "max_memory"),
                     (long long)cases[i].wanted);
        parsed_free(&p);
    }
    static const char *const refused[] = {"",    "0",    "M",  "-1",  "1X",   "1MB",      "1 M",
                                          " 1M", "1.5G", "+1", "0x1", "1M1M", "8388608T", "9223372036854775808"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char wanted[128];
        parsed p = parse((const char *const[]){"--max_memory", refused[i], NULL});
        snprintf(wanted, sizeof wanted, "error: --max_memory is \"%s\", wanted a number of bytes like 512M or 2G\n", refused[i]);
        assert_string_equal(strbuf_str(&p.text), wanted);
        assert_int_equal(p.status, POFAC_ERR_USAGE);
        parsed_free(&p);
    }
    parsed p = parse((const char *const[]){NULL});
    assert_int_equal(option_size(&p.values, "max_memory"), 0);
    parsed_free(&p);
}

static void help_is_always_known(void **unused) {
    (void)unused;
    static const char *const words[][3] = {{"--help", NULL}, {"-h", NULL}, {"x", "-h", NULL}};
    for (size_t i = 0; i < 3; i++) {
        parsed p = parse(words[i]);
        assert_int_equal(p.status, POFAC_OK);
        assert_true(p.values.help);
        parsed_free(&p);
    }
    parsed p = parse((const char *const[]){"--", "--help", NULL});
    assert_false(p.values.help);
    assert_int_equal(p.values.n_arguments, 1);
    parsed_free(&p);
}

static void what_is_refused(void **unused) {
    (void)unused;
    static const struct {
        const char *words[MOST_WORDS + 1], *message;
    } cases[] = {
        {{"--batchsize", "3", NULL}, "unknown option --batchsize; did you mean --batch_size?"},
        {{"--batch-sise=3", NULL}, "unknown option --batch-sise; did you mean --batch_size?"},
        {{"--tim-passes", NULL}, "unknown option --tim-passes; did you mean --time_passes?"},
        {{"--batch_size_and_more", NULL}, "unknown option --batch_size_and_more; see --help"},
        {{"--batch", NULL}, "unknown option --batch; see --help"},
        {{"--qqqqqq", NULL}, "unknown option --qqqqqq; see --help"},
        {{"--=x", NULL}, "unknown option --; see --help"},
        {{"---output", "x", NULL}, "unknown option ---output; did you mean --output?"},
        {{"--help=x", NULL}, "unknown option --help; see --help"},
        {{"-x", NULL}, "unknown option -x; see --help"},
        {{"-output", "x", NULL}, "unknown option -output; did you mean --output?"},
        {{"-ox", NULL}, "unknown option -ox; see --help"},
        {{"--output", NULL}, "--output needs a value: FILE"},
        {{"-o", NULL}, "--output needs a value: FILE"},
        {{"--format", NULL}, "--format needs a value: text|tsv|jsonl"},
        {{"--output", "--time_passes", NULL},
         "--output needs a value: FILE; found --time_passes (a value like this is written --output=--time_passes)"},
        {{"--batch_size", "--", NULL}, "--batch_size needs a value: N; found -- (a value like this is written --batch_size=--)"},
        {{"--batch_size", "0", NULL}, "--batch_size is \"0\", wanted a whole number from 1 to 65536"},
        {{"--batch_size", "65537", NULL}, "--batch_size is \"65537\", wanted a whole number from 1 to 65536"},
        {{"--batch-size", "-1", NULL}, "--batch_size is \"-1\", wanted a whole number from 1 to 65536"},
        {{"--batch_size=", NULL}, "--batch_size is \"\", wanted a whole number from 1 to 65536"},
        {{"--batch_size", " 8", NULL}, "--batch_size is \" 8\", wanted a whole number from 1 to 65536"},
        {{"--batch_size", "8 ", NULL}, "--batch_size is \"8 \", wanted a whole number from 1 to 65536"},
        {{"--batch_size", "8.5", NULL}, "--batch_size is \"8.5\", wanted a whole number from 1 to 65536"},
        {{"--batch_size", "1e2", NULL}, "--batch_size is \"1e2\", wanted a whole number from 1 to 65536"},
        {{"--batch_size", "0x10", NULL}, "--batch_size is \"0x10\", wanted a whole number from 1 to 65536"},
        {{"--offset", "9223372036854775808", NULL},
         "--offset is \"9223372036854775808\", wanted a whole number from -9223372036854775808 to 9223372036854775807"},
        {{"--format", "xml", NULL}, "--format is \"xml\", wanted text|tsv|jsonl"},
        {{"--format", "", NULL}, "--format is \"\", wanted text|tsv|jsonl"},
        {{"--format", "text|tsv", NULL}, "--format is \"text|tsv\", wanted text|tsv|jsonl"},
        {{"--format", "tex", NULL}, "--format is \"tex\", wanted text|tsv|jsonl"},
        {{"--format", "TEXT", NULL}, "--format is \"TEXT\", wanted text|tsv|jsonl"},
        {{"--time_passes=yes", NULL}, "--time_passes is \"yes\", wanted true or false"},
        {{"--time_passes=", NULL}, "--time_passes is \"\", wanted true or false"},
        {{"--profile=xml", NULL}, "--profile is \"xml\", wanted text|json|trace"},
        {{"--profile=", NULL}, "--profile is \"\", wanted text|json|trace"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[256];
        parsed p = parse(cases[i].words);
        snprintf(wanted, sizeof wanted, "error: %s\n", cases[i].message);
        assert_string_equal(strbuf_str(&p.text), wanted);
        assert_int_equal(p.status, POFAC_ERR_USAGE);
        parsed_free(&p);
    }
}

/* -o is short for --output where a command has that. */
static void short_option_without_output(void **unused) {
    (void)unused;
    parsed p = parse_rows(&rows[1], 1, (const char *const[]){"-o", "x", NULL});
    assert_string_equal(strbuf_str(&p.text), "error: unknown option -o; see --help\n");
    parsed_free(&p);
}

static void help_text(void **unused) {
    (void)unused;
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    options_help(rows, N_ROWS, f);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(text, "  --output FILE              where results go\n"
                              "  --batch_size N             rows per run [32]\n"
                              "  --offset N                 any number\n"
                              "  --format CHOICE            of the input (text|tsv|jsonl) [text]\n"
                              "  --time_passes              print times\n"
                              "  --no_cache                 compile anew [true]\n"
                              "  --profile[=CHOICE]         show times (text|json|trace)\n"
                              "  --max_memory SIZE          bound of memory\n"
                              "  --help, -h                 print this text\n");
    free(text);
}

static void failing_allocations(void **unused) {
    (void)unused;
    for (size_t n = 1;; n++) {
        arena memory = ARENA_INIT;
        option_values values;
        char *argv[] = {(char[]){"--nothing_like_it"}};
        fail_alloc_after(n);
        pofac_status status = options_parse(rows, N_ROWS, 1, argv, &memory, NULL, &values);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_ERR_USAGE);
        arena_free(&memory);
        if (!failed) break;
    }
}

/* ---- rows that commands share ---- */

static const option_row shared_rows[] = {OPTIONS_MODEL, OPTIONS_COMPILE, OPTIONS_PASSES, OPTIONS_THREADS};
#define N_SHARED (sizeof shared_rows / sizeof *shared_rows)

static void rows_are_well_formed(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_SHARED; i++) {
        const option_row *r = &shared_rows[i];
        if (strchr(r->name, '-')) fail_msg("--%s: names in tables are written with '_'", r->name);
        if (!r->value != (r->kind == OPTION_FLAG))
            fail_msg("--%s: a value's name is wanted exactly where there is a value", r->name);
        if (r->kind == OPTION_WHOLE && r->low >= r->high) fail_msg("--%s: empty range", r->name);
        if (!r->help || !*r->help) fail_msg("--%s: no help", r->name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(shared_rows[k].name, r->name) == 0) fail_msg("--%s stands twice", r->name);
        char word[64];
        if (!r->fallback || r->kind == OPTION_FLAG) continue;
        snprintf(word, sizeof word, "--%s=%s", r->name, r->fallback);
        parsed p = parse_rows(shared_rows, N_SHARED, (const char *const[]){word, NULL});
        if (p.status != POFAC_OK) fail_msg("%s: its own fallback is refused: %s", word, strbuf_str(&p.text));
        parsed_free(&p);
    }
}

static void heads_are_choices(void **unused) {
    (void)unused;
    size_t n;
    const model_head_row *heads = model_heads(&n);
    for (size_t i = 0; i < n; i++) {
        parsed p = parse_rows(shared_rows, N_SHARED, (const char *const[]){"--head", heads[i].name, NULL});
        if (p.status != POFAC_OK) fail_msg("%s", strbuf_str(&p.text));
        assert_int_equal(arguments_model(&p.values).head, heads[i].head);
        parsed_free(&p);
    }
}

static void options_of_the_driver(void **unused) {
    (void)unused;
    parsed p = parse_rows(shared_rows, N_SHARED, (const char *const[]){NULL});
    assert_int_equal(p.status, POFAC_OK);
    loaded_model_options m = arguments_model(&p.values);
    assert_int_equal(m.head, HEAD_AUTO);
    assert_int_equal(m.num_labels, 0);
    assert_int_equal(m.seed, 42);
    assert_null(m.vocab);
    road_options r = arguments_road(&p.values);
    assert_null(r.pipeline);
    assert_int_equal(r.quantization, ROAD_INTEGER);
    assert_string_equal(r.isa, "native");
    assert_null(r.cache_dir);
    assert_false(r.no_cache);
    assert_int_equal(r.threads, 0);
    parsed_free(&p);
    p = parse_rows(shared_rows, N_SHARED,
                   (const char *const[]){"--num-labels=3", "--seed=7", "--vocab=v", "--isa=avx2", "--cache-dir=d", "--no-cache",
                                         "--threads=2", NULL});
    assert_int_equal(p.status, POFAC_OK);
    m = arguments_model(&p.values);
    assert_int_equal(m.num_labels, 3);
    assert_int_equal(m.seed, 7);
    assert_string_equal(m.vocab, "v");
    r = arguments_road(&p.values);
    assert_string_equal(r.isa, "avx2");
    assert_string_equal(r.cache_dir, "d");
    assert_true(r.no_cache);
    assert_int_equal(r.threads, 2);
    parsed_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_options),
        cmocka_unit_test(arguments_stand_anywhere),
        cmocka_unit_test(values_by_kind),
        cmocka_unit_test(reals),
        cmocka_unit_test(sizes),
        cmocka_unit_test(help_is_always_known),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(short_option_without_output),
        cmocka_unit_test(help_text),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(rows_are_well_formed),
        cmocka_unit_test(heads_are_choices),
        cmocka_unit_test(options_of_the_driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
