/*
 * The text form of modules: parse(print(m)) = m, exact diagnostics, and what printing leaves out.
 *
 * tests/golden/ir/NAME.pir prints back to itself, or to NAME.printed where that exists; with locations to NAME.located and with
 * layers folded to NAME.folded where these exist. NAME.pir beside NAME.err does not parse, with exactly that output.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "ir/text_lex.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/graph_generator.h"

static const text_print_options plain = {false, NULL, false};
static const text_print_options located = {true, NULL, false};
static const text_print_options folded = {false, NULL, true};

/* ---- goldens ---- */

static char *golden_path(const char *name, const char *suffix) {
    const char *root = getenv("POFAC_SOURCE_DIR");
    static char path[4096];
    assert_true((size_t)snprintf(path, sizeof path, "%s/tests/golden/ir/%s%s", root ? root : ".", name, suffix) < sizeof path);
    return path;
}

/* The contents of a golden file; false when there is none. */
static bool read_golden(const char *name, const char *suffix, strbuf *out) {
    file_map map;
    strbuf_clear(out);
    if (!file_exists(golden_path(name, suffix))) return false;
    assert_int_equal(file_map_open(golden_path(name, suffix), NULL, &map), POFAC_OK);
    strbuf_append(out, map.data, map.size_bytes);
    file_map_close(&map);
    assert_true(strbuf_ok(out));
    return true;
}

typedef void (*golden_fn)(const char *name, const strbuf *text, void *user);

static int is_pir(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n > 4 && strcmp(entry->d_name + n - 4, ".pir") == 0;
}

/* Calls `fn` for every NAME.pir, in the order of names: those that parse, or those with NAME.err. */
static void for_each_golden(bool with_errors, golden_fn fn, void *user) {
    struct dirent **entries;
    strbuf text = STRBUF_INIT;
    size_t called = 0;
    int n = scandir(golden_path("", ""), &entries, is_pir, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        entries[i]->d_name[strlen(entries[i]->d_name) - 4] = '\0';
        const char *name = entries[i]->d_name;
        if (file_exists(golden_path(name, ".err")) == with_errors) {
            assert_true(read_golden(name, ".pir", &text));
            fn(name, &text, user);
            called++;
        }
        free(entries[i]);
    }
    free(entries);
    strbuf_free(&text);
    assert_true(called > 0);
}

/* ---- parsing ---- */

/* The weight file of all goldens: "known", f32[2,3]. */
static pofac_status get_known(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    static const float numbers[6] = {1, 2, 3, 4, 5, 6};
    (void)user;
    if (strcmp(name, "known") != 0) return diag_error(sink, POFAC_ERR_INPUT, NULL, "no tensor \"%s\" here, wanted known", name);
    *out = tensor_view(IR_F32, 2, (const int64_t[]){2, 3}, numbers);
    return POFAC_OK;
}
static const tensor_source known_source = {.get = get_known};

/* Parses a copy of exactly n bytes, so that AddressSanitizer sees a read over its end. */
static pofac_status parse(ir_context *c, const char *name, const char *text, size_t n, const tensor_source *source,
                          const diag_sink *sink, ir_module **out) {
    char file[256], *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n) memcpy(copy, text, n);
    snprintf(file, sizeof file, "%s.pir", name);
    pofac_status status = text_parse_module(c, file, copy, n, source, sink, out);
    free(copy);
    assert_int_equal(status == POFAC_OK, *out != NULL);
    return status;
}

/* Parses text that must be fine. */
static ir_module *parse_good(ir_context *c, const char *name, const strbuf *text, const tensor_source *source) {
    strbuf errors = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&errors);
    ir_module *m;
    if (parse(c, name, strbuf_str(text), text->size, source, &sink, &m) != POFAC_OK) {
        print_error("%s", strbuf_str(&errors));
        fail_msg("%s does not parse", name);
    }
    strbuf_free(&errors);
    m->sink = NULL;
    return m;
}

static void expect_print(const ir_module *m, text_print_options options, const char *wanted, const char *name) {
    strbuf found = STRBUF_INIT;
    text_print_module(m, options, &found);
    assert_true(strbuf_ok(&found));
    if (strcmp(strbuf_str(&found), wanted) != 0) {
        print_error("found:\n%swanted:\n%s", strbuf_str(&found), wanted);
        fail_msg("%s prints differently", name);
    }
    strbuf_free(&found);
}

static pofac_status get_constant(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const ir_tensor *t = module_find_constant(user, name);
    if (!t) return diag_error(sink, POFAC_ERR_INPUT, NULL, "constant \"%s\" is not there", name);
    *out = tensor_view(t->dtype, t->rank, t->dims, t->data);
    return POFAC_OK;
}

/* The law, in a context of its own; also for the text with locations, where nodes have any. */
static void expect_round_trip(ir_module *m, const char *name) {
    const tensor_source source = {.get = get_constant, .user = m};
    strbuf text = STRBUF_INIT, text_located = STRBUF_INIT;
    ir_context *c = context_create();
    text_print_module(m, plain, &text);
    text_print_module(m, located, &text_located);
    assert_true(strbuf_ok(&text) && strbuf_ok(&text_located));
    ir_module *back = parse_good(c, name, &text, &source), *back_located = parse_good(c, name, &text_located, &source);
    expect_print(back, plain, strbuf_str(&text), name);
    if (text.size != text_located.size) expect_print(back_located, located, strbuf_str(&text_located), name);
    assert_true(module_equal(m, back));
    assert_true(module_equal(m, back_located));
    module_destroy(back);
    module_destroy(back_located);
    context_destroy(c);
    strbuf_free(&text);
    strbuf_free(&text_located);
}

static void check_good(const char *name, const strbuf *text, void *user) {
    static const struct {
        const char *suffix;
        const text_print_options *options;
    } prints[] = {{".located", &located}, {".folded", &folded}};
    ir_context *c = user;
    strbuf wanted = STRBUF_INIT;
    ir_module *m = parse_good(c, name, text, &known_source);
    expect_print(m, plain, read_golden(name, ".printed", &wanted) ? strbuf_str(&wanted) : strbuf_str(text), name);
    for (size_t i = 0; i < sizeof prints / sizeof *prints; i++)
        if (read_golden(name, prints[i].suffix, &wanted)) expect_print(m, *prints[i].options, strbuf_str(&wanted), name);
    expect_round_trip(m, name);
    module_destroy(m);
    strbuf_free(&wanted);
}

/* All in one context, so that what one text interned must not show in another. */
static void test_good_texts(void **state) {
    (void)state;
    ir_context *c = context_create();
    for_each_golden(false, check_good, c);
    context_destroy(c);
}

static void check_bad(const char *name, const strbuf *text, void *user) {
    (void)user;
    strbuf errors = STRBUF_INIT, wanted = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&errors);
    ir_context *c = context_create();
    ir_module *m;
    assert_int_equal(parse(c, name, strbuf_str(text), text->size, &known_source, &sink, &m), POFAC_ERR_INPUT);
    assert_true(read_golden(name, ".err", &wanted));
    assert_string_equal(strbuf_str(&errors), strbuf_str(&wanted));
    context_destroy(c);
    strbuf_free(&errors);
    strbuf_free(&wanted);
}

static void test_bad_texts(void **state) {
    (void)state;
    for_each_golden(true, check_bad, NULL);
}

/* ---- every message is shown by a golden ---- */

typedef struct message_row {
    const char *id, *format;
    bool shown;
    char pattern[512]; /* for fnmatch */
} message_row;

/* A printf format as a pattern for fnmatch: each conversion is "*". */
static void format_to_pattern(const char *format, char *out) {
    for (const char *c = format; *c; c++) {
        if (c[0] == '%' && c[1] != '%') {
            c += 1 + strspn(c + 1, "-+ #0123456789.*lhz");
            *out++ = '*';
            continue;
        }
        if (c[0] == '%') c++;
        if (strchr("*?[]\\", *c)) *out++ = '\\';
        *out++ = *c;
    }
    *out = '\0';
}

static void mark_shown(const char *name, const strbuf *text, void *user) {
    (void)text;
    strbuf err = STRBUF_INIT;
    assert_true(read_golden(name, ".err", &err));
    char *message = strstr(err.data, ": error: ");
    assert_non_null(message);
    message += strlen(": error: ");
    message[strcspn(message, "\n")] = '\0';
    for (message_row *row = user; row->id; row++) row->shown |= fnmatch(row->pattern, message, 0) == 0;
    strbuf_free(&err);
}

static void test_every_message_is_shown(void **state) {
    (void)state;
    message_row rows[] = {
#define LEX_MESSAGE(id, format) {"LEX_MESSAGE " #id, format, false, ""},
#define PARSE_MESSAGE(id, format) {"PARSE_MESSAGE " #id, format, false, ""},
#define WANTED(id, text) {"WANTED " #id, "found %s, wanted " text, false, ""},
#include "ir/text_messages.def"
#undef LEX_MESSAGE
#undef PARSE_MESSAGE
#undef WANTED
        {NULL, NULL, true, ""}};
    size_t missing = 0;
    for (message_row *row = rows; row->id; row++) format_to_pattern(row->format, row->pattern);
    for_each_golden(true, mark_shown, rows);
    for (const message_row *row = rows; row->id; row++) {
        if (row->shown) continue;
        print_error("%s: no tests/golden/ir/NAME.err shows \"%s\"\n", row->id, row->format);
        missing++;
    }
    assert_int_equal(missing, 0);
}

/* ---- damaged texts ---- */

typedef struct seen_diag {
    size_t n;
    diag_place place;
    pofac_status status;
} seen_diag;

static void see_diag(void *user, const diag *d) {
    seen_diag *seen = user;
    seen->n++;
    seen->place = d->place;
    seen->status = d->status;
}

/* Text either parses and keeps the law, or has one error with its place. */
static bool expect_law_or_error(const char *name, const char *text, size_t n) {
    seen_diag seen = {0};
    const diag_sink sink = {see_diag, &seen};
    ir_context *c = context_create();
    ir_module *m;
    pofac_status status = parse(c, name, text, n, &known_source, &sink, &m);
    if (status == POFAC_OK) {
        assert_int_equal(seen.n, 0);
        expect_round_trip(m, name);
        module_destroy(m);
    } else {
        assert_int_equal(status, POFAC_ERR_INPUT);
        assert_int_equal(seen.n, 1);
        assert_int_equal(seen.status, POFAC_ERR_INPUT);
        assert_non_null(seen.place.file);
        assert_non_null(seen.place.text);
        assert_true(seen.place.line > 0 && seen.place.column > 0);
    }
    context_destroy(c);
    return status == POFAC_OK;
}

/* Nothing but blanks and comments, or ends with the end of a graph. */
static bool may_be_whole(const char *text, size_t n) {
    char last = '}';
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ';')
            while (i + 1 < n && text[i + 1] != '\n') i++;
        else if (!strchr(" \t\n", text[i])) last = text[i];
    }
    return last == '}';
}

static void check_truncated(const char *name, const strbuf *text, void *user) {
    (void)user;
    if (text->size > 2500) return; /* the time grows with the square */
    for (size_t n = 0; n <= text->size; n++) {
        bool whole = expect_law_or_error(name, strbuf_str(text), n);
        if (whole && !may_be_whole(strbuf_str(text), n)) fail_msg("%s parses when cut after %zu bytes", name, n);
        if (n == text->size) assert_true(whole);
    }
}

static void test_truncated_texts(void **state) {
    (void)state;
    for_each_golden(false, check_truncated, NULL);
}

/* Bytes replaced, removed, and spans doubled. */
static void check_mutated(const char *name, const strbuf *text, void *user) {
    static const char bytes[] = "%#@\"{}()[]<>=:,*+-_;.0129Taefnx \\\n\x01\xff";
    (void)user;
    const rng_key key = rng_key_make(7, name);
    uint64_t draw = 0;
    for (int i = 0; i < 200; i++) {
        strbuf changed = STRBUF_INIT;
        size_t at = rng_below(key, draw++, text->size), span = rng_below(key, draw++, 12),
               end = at + span < text->size ? at + span : text->size;
        uint64_t kind = rng_below(key, draw++, 3);
        strbuf_append(&changed, text->data, kind == 2 ? end : at);
        if (kind == 0) strbuf_putc(&changed, bytes[rng_below(key, draw++, sizeof bytes - 1)]);
        strbuf_append(&changed,
                      text->data + (kind == 0   ? at + 1
                                    : kind == 1 ? end
                                                : at),
                      text->size - (kind == 0   ? at + 1
                                    : kind == 1 ? end
                                                : at));
        assert_true(strbuf_ok(&changed));
        expect_law_or_error(name, strbuf_str(&changed), changed.size);
        strbuf_free(&changed);
    }
}

static void test_mutated_texts(void **state) {
    (void)state;
    for_each_golden(false, check_mutated, NULL);
}

/* ---- failing allocations ---- */

static void check_failing(const char *name, const strbuf *text, void *user) {
    size_t *failures = user;
    if (text->size > 1500) return;
    for (size_t n = 1;; n++) {
        strbuf plain_text = STRBUF_INIT, folded_text = STRBUF_INIT;
        seen_diag seen = {0};
        const diag_sink sink = {see_diag, &seen};
        ir_context *c = context_create();
        ir_module *m = NULL;
        fail_alloc_after(n);
        pofac_status status = text_parse_module(c, "text.pir", text->data, text->size, &known_source, &sink, &m);
        bool parse_failed = fail_alloc_stop();
        if (parse_failed && status != POFAC_OK) {
            if (status != POFAC_ERR_RUNTIME || seen.n != 1)
                fail_msg("%s with allocation %zu failing: status %d and %zu errors, wanted 1 and 1", name, n, status, seen.n);
            assert_null(m);
        } else {
            assert_int_equal(status, POFAC_OK);
            fail_alloc_after(n);
            text_print_module(m, plain, &plain_text);
            text_print_module(m, folded, &folded_text);
            bool equal = module_equal(m, m);
            if (fail_alloc_stop()) assert_true(!strbuf_ok(&plain_text) || !strbuf_ok(&folded_text) || !equal);
            else assert_true(equal);
            module_destroy(m);
        }
        *failures += parse_failed;
        context_destroy(c);
        strbuf_free(&plain_text);
        strbuf_free(&folded_text);
        if (!parse_failed) break;
    }
}

static void test_failing_allocations(void **state) {
    (void)state;
    size_t failures = 0;
    for_each_golden(false, check_failing, &failures);
    assert_true(failures > 100);
}

/* An error whose own message has no memory, too. */
static void check_failing_bad(const char *name, const strbuf *text, void *user) {
    (void)user;
    for (size_t n = 1;; n++) {
        seen_diag seen = {0};
        const diag_sink sink = {see_diag, &seen};
        ir_context *c = context_create();
        ir_module *m = NULL;
        fail_alloc_after(n);
        pofac_status status = text_parse_module(c, "text.pir", text->data, text->size, &known_source, &sink, &m);
        bool failed = fail_alloc_stop();
        context_destroy(c);
        assert_null(m);
        if (seen.n != 1 || status == POFAC_OK || status != seen.status)
            fail_msg("%s with allocation %zu failing: status %d and %zu errors, wanted an error", name, n, status, seen.n);
        if (!failed) break;
    }
}

static void test_failing_allocations_in_errors(void **state) {
    (void)state;
    for_each_golden(true, check_failing_bad, NULL);
}

/* ---- large texts ---- */

/* Time is linear: hundred thousand nodes take well under a second, while the square of that would take minutes. */
static void test_many_nodes(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT;
    strbuf_puts(&text, "graph @g (T <= 8) {\n  %0 = input {name = \"x\"} : f32[T,4]\n");
    for (int i = 1; i < 100000; i++) strbuf_printf(&text, "%%%d = relu %%%d : f32[T,4]\n", i, i - 1);
    strbuf_puts(&text, "return \"y\" = %99999\n}\n");
    ir_context *c = context_create();
    ir_module *m = parse_good(c, "many_nodes", &text, NULL);
    assert_int_equal(m->graphs.data[0]->nodes.size, 100000);
    expect_round_trip(m, "many_nodes");
    module_destroy(m);
    context_destroy(c);
    strbuf_free(&text);
}

/* `head`, `n` times `part`, `tail`: one error, at the end of a bounded part. */
static void expect_refused(const char *head, const char *part, size_t n, const char *tail) {
    strbuf text = STRBUF_INIT;
    strbuf_puts(&text, head);
    for (size_t i = 0; i < n; i++) strbuf_puts(&text, part);
    strbuf_puts(&text, tail);
    assert_false(expect_law_or_error("refused", strbuf_str(&text), text.size));
    strbuf_free(&text);
}

static void test_too_much(void **state) {
    (void)state;
    expect_refused("graph @g () {\n %1 = input {name = \"x\"} : f32[", "1,", 100000, "1]\nreturn }");
    expect_refused("graph @g () {\n %1 = input {name = \"x\"} : f32[", "9223372036854775807*", 100000, "1]\nreturn }");
    expect_refused("graph @g (T <= ", "9", 100000, ") { return }");
    expect_refused("graph @g () {\n %", "9", 100000, " = input {name = \"x\"} : f32[1]\nreturn }");
    expect_refused("graph @g () {\n %1 = input {name = \"x\"} : f32[4]\n %2 = add %1", ", %1", 100000, " : f32[4]\nreturn }");
    expect_refused("graph @g () {\n %1 = input {name = \"x\"} : f32[4]", ", f32[4]", 100000, "\nreturn }");
    expect_refused("graph @g () {\n %1 = input {", "name = \"x\", ", 100000, "} : f32[4]\nreturn }");
    expect_refused("", "{", 100000, "");
    expect_refused("graph @g (", "A <= 1, ", 100000, ") { return }");
    expect_refused("graph @g () {\n %1 = constant {value = [", "1, ", 100000, "1]} : f32[4]\nreturn }");
}

/* ---- printing ---- */

static void test_strings(void **state) {
    (void)state;
    char every[256];
    for (int i = 0; i < 255; i++) every[i] = (char)(i + 1);
    every[255] = '\0';
    strbuf text = STRBUF_INIT;
    arena memory = ARENA_INIT;
    text_lexer lx;
    text_put_string(&text, every);
    assert_int_equal(text_lex_begin(&lx, "strings", strbuf_str(&text), text.size, NULL), POFAC_OK);
    assert_int_equal(lx.token.kind, TOKEN_STRING);
    assert_string_equal(text_lex_string(&lx.token, &memory), every);
    arena_free(&memory);
    strbuf_free(&text);
}

static ir_module *parse_golden(ir_context *c, const char *name) {
    strbuf text = STRBUF_INIT;
    assert_true(read_golden(name, ".pir", &text));
    ir_module *m = parse_good(c, name, &text, &known_source);
    strbuf_free(&text);
    return m;
}

static void test_one_scope(void **state) {
    (void)state;
    ir_context *c = context_create();
    ir_module *m = parse_golden(c, "layers");
    expect_print(m, (text_print_options){false, "encoder.layer.1.output", false},
                 "graph @bert (T <= 64) {\n"
                 "  scope \"encoder.layer.1.output\"\n"
                 "  %13 = state {name = \"bert.encoder.layer.1.output.dense.weight\"}        : f32[4,8]\n"
                 "  %14 = linear %12, %13 {group = 12}                                     : f32[T,4]\n"
                 "  %15 = add %14, %8 {group = 12}                                         : f32[T,4]\n"
                 "}\n",
                 "encoder.layer.1.output");
    expect_print(m, (text_print_options){false, "encoder.layer.1", true},
                 "graph @bert (T <= 64) {\n"
                 "  scope \"encoder.layer.1.intermediate\"\n"
                 "  %9 = pattern {name = \"bert.encoder.layer.1.intermediate.dense.weight\"} : pattern[8,4]\n"
                 "  %10 = state {name = \"bert.encoder.layer.1.intermediate.dense.weight\"}  : f32[nnz(%9)]\n"
                 "  %11 = linear %8, %10, _, %9 {group = 11, slot = [1]}                   : f32[T,8]\n"
                 "  %12 = gelu %11 {group = 11}                                            : f32[T,8]\n"
                 "  scope \"encoder.layer.1.output\"\n"
                 "  %13 = state {name = \"bert.encoder.layer.1.output.dense.weight\"}        : f32[4,8]\n"
                 "  %14 = linear %12, %13 {group = 12}                                     : f32[T,4]\n"
                 "  %15 = add %14, %8 {group = 12}                                         : f32[T,4]\n"
                 "}\n",
                 "encoder.layer.1");
    expect_print(m, (text_print_options){false, "encoder.laye", false}, "graph @bert (T <= 64) {\n}\n", "encoder.laye");
    module_destroy(m);
    context_destroy(c);
}

/* What folding must not hide: each pair of layers differs in one thing. */
static void test_layers_that_differ_are_shown(void **state) {
    (void)state;
    static const struct {
        const char *what, *leaf, *node;
        bool folds;
    } rows[] = {
        {"nothing", "state {name = \"layer.1.w\"} : f32[4]", "add %2, %3 {group = 2} : f32[T,4]", true},
        {"weight of the other layer", "state {name = \"layer.0.w\"} : f32[4]", "add %2, %3 {group = 2} : f32[T,4]", false},
        {"name", "state {name = \"layer.1.v\"} : f32[4]", "add %2, %3 {group = 2} : f32[T,4]", false},
        {"operand's place", "state {name = \"layer.1.w\"} : f32[4]", "add %2, %2 {group = 2} : f32[T,4]", false},
        {"op", "state {name = \"layer.1.w\"} : f32[4]", "mul %2, %3 {group = 2} : f32[T,4]", false},
        {"group", "state {name = \"layer.1.w\"} : f32[4]", "add %2, %3 : f32[T,4]", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strbuf text = STRBUF_INIT, found = STRBUF_INIT;
        strbuf_printf(&text,
                      "graph @g (T <= 8) {\n %%0 = input {name = \"x\"} : f32[T,4]\n scope \"layer.0\"\n %%1 = state {name = "
                      "\"layer.0.w\"} : f32[4]\n"
                      " %%2 = add %%0, %%1 {group = 1} : f32[T,4]\n %%20 = relu %%2 {group = 1} : f32[T,4]\n"
                      " scope \"layer.1\"\n %%3 = %s\n %%4 = %s\n %%5 = relu %%4 %s : f32[T,4]\n return \"y\" = %%5\n}\n",
                      rows[i].leaf, rows[i].node, strstr(rows[i].node, "group") ? "{group = 2}" : "");
        ir_context *c = context_create();
        ir_module *m = parse_good(c, rows[i].what, &text, NULL);
        text_print_module(m, folded, &found);
        bool folds = strstr(strbuf_str(&found), "; layer.1: as layer.0\n") != NULL;
        if (folds != rows[i].folds)
            fail_msg("layers that differ in %s: folded is %d, wanted %d", rows[i].what, folds, rows[i].folds);
        if (!folds) expect_print(m, plain, strbuf_str(&found), rows[i].what);
        module_destroy(m);
        context_destroy(c);
        strbuf_free(&text);
        strbuf_free(&found);
    }
}

static void test_one_node(void **state) {
    (void)state;
    ir_context *c = context_create();
    ir_module *m = parse_golden(c, "results_and_absent_operands");
    const ir_graph *g = m->graphs.data[0];
    strbuf text = STRBUF_INIT;
    text_print_node(g, &g->nodes.data[4], &text);
    assert_string_equal(strbuf_str(&text), "%5 = linear %1, %4, _, %3 {slot = [3]} : f32[T,4]");
    assert_int_equal(text_node_number(g, &g->nodes.data[4]), 5);
    strbuf_free(&text);
    module_destroy(m);
    context_destroy(c);
}

static void test_locations(void **state) {
    (void)state;
    ir_context *c = context_create();
    ir_module *m = parse_golden(c, "free_form");
    const ir_node *nodes = m->graphs.data[0]->nodes.data;
    assert_string_equal(nodes[0].location.file, "free_form.pir");
    assert_int_equal(nodes[0].location.line, 2);
    assert_int_equal(nodes[0].location.column, 26);
    assert_string_equal(nodes[1].location.file, "model.xml");
    assert_int_equal(nodes[1].location.line, 3);
    assert_int_equal(nodes[1].location.column, 7);
    module_destroy(m);
    context_destroy(c);
}

/* ---- equality, constants ---- */

static void test_equality(void **state) {
    (void)state;
    static const float numbers[6] = {1, 2, 3, 4, 5, 6}, others[6] = {1, 2, 3, 4, 5, 7};
    ir_context *c = context_create();
    ir_module *a = parse_golden(c, "numbers"), *b = parse_golden(c, "numbers"), *other = parse_golden(c, "ffn");
    assert_true(module_equal(a, b));
    assert_false(module_equal(a, other));
    assert_false(module_equal(other, a));
    const ir_tensor same = tensor_view(IR_F32, 2, (const int64_t[]){2, 3}, numbers),
                    different = tensor_view(IR_F32, 2, (const int64_t[]){2, 3}, others),
                    turned = tensor_view(IR_F32, 2, (const int64_t[]){3, 2}, numbers),
                    whole = tensor_view(IR_I32, 2, (const int64_t[]){2, 3}, numbers);
    const ir_tensor *const rows[] = {&different, &turned, &whole};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[2] = {(char)('a' + i), 0};
        assert_non_null(module_add_constant(a, name, &same));
        assert_false(module_equal(a, b));
        assert_non_null(module_add_constant(b, name, rows[i]));
        assert_false(module_equal(a, b));
        assert_false(module_equal(b, a));
        module_destroy(a);
        module_destroy(b);
        a = parse_golden(c, "numbers");
        b = parse_golden(c, "numbers");
    }
    assert_non_null(module_add_constant(a, "a", &same));
    assert_non_null(module_add_constant(b, "a", &same));
    assert_true(module_equal(a, b));
    module_destroy(a);
    module_destroy(b);
    module_destroy(other);
    context_destroy(c);
}

/* Without a weight file a constant that names its data stays unbound. */
static void test_unbound_constants(void **state) {
    (void)state;
    ir_context *c = context_create();
    strbuf text = STRBUF_INIT;
    assert_true(read_golden("numbers", ".pir", &text));
    ir_module *m = parse_good(c, "numbers", &text, NULL), *bound = parse_good(c, "numbers", &text, &known_source);
    assert_int_equal(m->constants.size, 0);
    assert_int_equal(bound->constants.size, 1);
    assert_true(tensor_get(module_find_constant(bound, "known"), 5) == 6.0);
    expect_print(m, plain, strbuf_str(&text), "numbers");
    assert_false(module_equal(m, bound));
    module_destroy(m);
    module_destroy(bound);
    context_destroy(c);
    strbuf_free(&text);
}

/* ---- generated graphs ---- */

static void test_generated_graphs(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        generated_graph g;
        char name[64];
        snprintf(name, sizeof name, "generated from seed %" PRIu64, seed);
        graph_generate(seed, NULL, &g);
        expect_round_trip(g.module, name);
        generated_graph_free(&g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_texts),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_every_message_is_shown),
        cmocka_unit_test(test_truncated_texts),
        cmocka_unit_test(test_mutated_texts),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_failing_allocations_in_errors),
        cmocka_unit_test(test_many_nodes),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_one_scope),
        cmocka_unit_test(test_layers_that_differ_are_shown),
        cmocka_unit_test(test_one_node),
        cmocka_unit_test(test_locations),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_unbound_constants),
        cmocka_unit_test(test_generated_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
