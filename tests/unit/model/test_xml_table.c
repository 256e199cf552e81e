/*
 * The table of elements and attributes, row by row: every row is tried in documents made for it, with values that it takes, values
 * of another type and values beyond its ends, and every document is judged by the reader's own check and by libxml2 with the
 * generated schema. Both must agree. Documents of tests/golden/xml and random values are judged in the same way.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/model/model_spec.h"
#include "frontend/model/xml_check.h"
#include "frontend/model/xml_document.h"
#include "frontend/model/xml_places.h"
#include "frontend/model/xml_reference.h"
#include "frontend/model/xml_report.h"
#include "frontend/model/xml_schema.h"
#include "frontend/model/xml_source.h"
#include "frontend/model/xml_table.h"
#include "frontend/model/xml_tree.h"
#include "ir/support/rng.h"

/* ---- judging ---- */

typedef enum verdict { ACCEPTED, REFUSED, MALFORMED } verdict;

static strbuf schema_text;
static xml_schema *schema;

static int compile_schema(void **state) {
    (void)state;
    const xml_source nowhere = {.file = "schema"};
    xml_report report = {NULL, 0};
    xml_schema_write(&schema_text);
    if (!strbuf_ok(&schema_text)) return 1;
    return xml_schema_compile(schema_text.data, schema_text.size, &nowhere, &report, &schema) == POFAC_OK ? 0 : 1;
}

static int free_schema(void **state) {
    (void)state;
    xml_schema_free(schema);
    strbuf_free(&schema_text);
    return 0;
}

/* The verdict of the table and of the schema on a text, which must be the same; `said` gets the table's messages. */
static verdict judge(const char *text, size_t n, strbuf *said) {
    arena a = ARENA_INIT;
    diag_sink sink = diag_sink_to_strbuf(said);
    xml_report report = {&sink, 0}, silent = {NULL, 0};
    xml_source source;
    xml_element *root;
    verdict result = MALFORMED;
    struct _xmlDoc *tree = NULL;
    if (xml_source_open("d.xml", text, n, &a, &sink, &source) == POFAC_OK) tree = xml_tree_parse(&source, &report);
    if (tree) {
        xml_tie_tags(tree, &source);
        const bool table = xml_check_document(tree, &source, XML_PATHS_OF_DOCUMENT, &a, &report, &root) == POFAC_OK;
        const bool opinion = xml_schema_validate(schema, tree, &source, &silent) == POFAC_OK;
        if (table != opinion)
            fail_msg("the table %s and the schema %s: %.*s\n%s", table ? "accepts" : "refuses", opinion ? "accepts" : "refuses",
                     (int)n, text, strbuf_str(said));
        result = table ? ACCEPTED : REFUSED;
    }
    xml_tree_free(tree);
    arena_free(&a);
    return result;
}

/* ---- making documents ---- */

/* A document with as little as the table allows, and one thing in it: `copies` of `element`, with `attribute` set to `value` in it
 * (NULL: as in the rest) and `content` behind its children. */
typedef struct plan {
    const char *element, *attribute, *value, *content;
    size_t copies;
    bool without_required;
} plan;

static bool is_on_path(const char *element, const char *target) {
    for (const xml_element_row *row = xml_element_row_find(target); row; row = xml_element_row_find(row->parent))
        if (strcmp(row->name, element) == 0) return true;
    return false;
}

/* A value that the row takes. */
static void put_sample(strbuf *out, const xml_attribute_row *row) {
    size_t bytes;
    const xml_interval in = xml_interval_parse(row->type == XML_TYPE_WORD ? "" : row->range);
    const char *word = row->type == XML_TYPE_WORD ? xml_words_at(row->range, 0, &bytes) : "";
    switch (row->type) {
    case XML_TYPE_STRING:
    case XML_TYPE_PATH: strbuf_puts(out, "x"); break;
    case XML_TYPE_BOOL: strbuf_puts(out, "true"); break;
    case XML_TYPE_WORD: strbuf_printf(out, "%.*s", (int)bytes, word); break;
    default: strbuf_puts(out, in.low_open ? in.high : in.low); break;
    }
}

/* In double quotes. */
static void put_quoted(strbuf *out, const char *value) {
    for (; *value; value++) {
        if (strchr("<&\"\t\n\r", *value)) strbuf_printf(out, "&#%d;", *value);
        else strbuf_putc(out, *value);
    }
}

static void put_planned_attributes(strbuf *out, const char *element, const plan *p) {
    const bool here = strcmp(element, p->element) == 0;
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        const bool planned = here && p->attribute && strcmp(row->name, p->attribute) == 0;
        if (strcmp(row->element, element) != 0 || (planned && !p->value)) continue;
        if (!planned && (!row->required || (here && p->without_required))) continue;
        strbuf_printf(out, " %s=\"", row->name);
        if (planned) put_quoted(out, p->value);
        else put_sample(out, row);
        strbuf_putc(out, '"');
    }
}

/* Is something of the choice planned? */
static bool is_choice_planned(const xml_one_of_row *row, const plan *p) {
    bool planned = false;
    for (size_t w = 0; w < xml_words_count(row->names); w++) {
        size_t bytes;
        const char *word = xml_words_at(row->names, w, &bytes);
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)bytes, word);
        planned |= strcmp(row->element, p->element) == 0 && p->attribute && strcmp(name, p->attribute) == 0;
        planned |= xml_element_row_find(name) && is_on_path(name, p->element);
    }
    return planned;
}

/* Is `name` the first of the choice? Where nothing of one is planned, that stands for it. */
static bool is_first(const xml_one_of_row *row, const char *name) {
    size_t bytes;
    const char *first = xml_words_at(row->names, 0, &bytes);
    return strlen(name) == bytes && memcmp(name, first, bytes) == 0;
}

static void put_choices(strbuf *out, const char *element, const plan *p) {
    for (size_t i = 0; i < xml_one_of_count(); i++) {
        const xml_one_of_row *row = xml_one_of_at(i);
        if (strcmp(row->element, element) != 0 || is_choice_planned(row, p)) continue;
        for (size_t k = 0; k < xml_attribute_count(); k++)
            if (strcmp(xml_attribute_at(k)->element, element) == 0 && is_first(row, xml_attribute_at(k)->name))
                strbuf_printf(out, " %s=\"x\"", xml_attribute_at(k)->name);
    }
}

/* Is it the element that stands for a choice of its parent of which nothing is planned? */
static bool is_stand_in(const xml_element_row *child, const plan *p) {
    for (size_t i = 0; i < xml_one_of_count(); i++) {
        const xml_one_of_row *row = xml_one_of_at(i);
        if (strcmp(row->element, child->parent) == 0 && !is_choice_planned(row, p) && is_first(row, child->name)) return true;
    }
    return false;
}

static void put_planned(strbuf *out, const char *element, const plan *p) {
    strbuf_printf(out, "<%s", element);
    if (strcmp(element, "pofac") == 0) strbuf_puts(out, " xmlns=\"" XML_NAMESPACE "\"");
    put_planned_attributes(out, element, p);
    put_choices(out, element, p);
    strbuf_putc(out, '>');
    for (size_t i = 0; i < xml_element_count(); i++) {
        const xml_element_row *row = xml_element_at(i);
        if (strcmp(row->parent, element) != 0) continue;
        const bool planned = is_on_path(row->name, p->element), self = strcmp(row->name, p->element) == 0;
        const size_t copies = self ? p->copies : planned || row->occurs == XML_OCCURS_ONE || is_stand_in(row, p);
        for (size_t copy = 0; copy < copies; copy++) put_planned(out, row->name, p);
    }
    if (strcmp(element, p->element) == 0 && p->content) strbuf_puts(out, p->content);
    strbuf_printf(out, "</%s>\n", element);
}

static void assert_verdict(const plan *p, verdict wanted, const char *message) {
    strbuf text = STRBUF_INIT, said = STRBUF_INIT;
    put_planned(&text, "pofac", p);
    verdict found = judge(text.data, text.size, &said);
    if (found != wanted)
        fail_msg("%s, wanted %s: %s%s", found == ACCEPTED ? "accepted" : "refused", wanted == ACCEPTED ? "accepted" : "refused",
                 strbuf_str(&text), strbuf_str(&said));
    if (message && !strstr(strbuf_str(&said), message))
        fail_msg("wanted \"%s\" in: %s%s", message, strbuf_str(&text), strbuf_str(&said));
    strbuf_free(&said);
    strbuf_free(&text);
}

/* ---- the table itself ---- */

static void test_rows_are_well_formed(void **state) {
    (void)state;
    assert_string_equal(xml_element_at(0)->parent, "none");
    for (size_t i = 0; i < xml_element_count(); i++) {
        const xml_element_row *row = xml_element_at(i), *parent = xml_element_row_find(row->parent);
        assert_ptr_equal(xml_element_row_find(row->name), row); /* no name twice */
        if (i && (!parent || parent >= row)) fail_msg("<%s>: wanted its parent <%s> before it", row->name, row->parent);
        if (!*row->help) fail_msg("<%s>: wanted a line of help", row->name);
    }
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        assert_ptr_equal(xml_attribute_row_find(row->element, row->name), row);
        if (!xml_element_row_find(row->element)) fail_msg("%s: no element <%s>", row->name, row->element);
        if (!*row->help) fail_msg("%s of <%s>: wanted a line of help", row->name, row->element);
        if (row->required) assert_null(row->standard);
    }
    for (size_t i = 0; i < xml_one_of_count(); i++) {
        const xml_one_of_row *row = xml_one_of_at(i);
        for (size_t w = 0; w < xml_words_count(row->names); w++) {
            size_t bytes;
            const char *word = xml_words_at(row->names, w, &bytes);
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)bytes, word);
            const xml_attribute_row *attribute = xml_attribute_row_find(row->element, name);
            const xml_element_row *element = xml_element_row_find(name);
            assert_true(attribute || element);
            if (attribute) assert_true(!attribute->required && !attribute->standard);
            if (!attribute) assert_int_equal(element->occurs, XML_OCCURS_OPTIONAL);
        }
    }
}

/* Ends of intervals are numbers in order, defaults and samples are read. */
static void test_ranges_and_defaults(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        xml_value value;
        strbuf sample = STRBUF_INIT;
        const bool numeric = row->type == XML_TYPE_INT || row->type == XML_TYPE_INTS || row->type == XML_TYPE_FLOAT;
        if (numeric) {
            const xml_interval in = xml_interval_parse(row->range);
            char *end;
            assert_true(strtod(in.low, &end) < strtod(in.high, NULL));
            assert_true(*in.low && !*end);
            assert_true(in.items == 1 || row->type == XML_TYPE_INTS);
        } else if ((row->type == XML_TYPE_WORD) != (*row->range != 0)) {
            fail_msg("%s of <%s>: range \"%s\"", row->name, row->element, row->range);
        }
        if (row->standard && xml_value_read(row, row->standard, &a, &value) != XML_READ)
            fail_msg("%s of <%s>: the default \"%s\" is not read", row->name, row->element, row->standard);
        put_sample(&sample, row);
        assert_int_equal(xml_value_read(row, strbuf_str(&sample), &a, &value), XML_READ);
        strbuf_free(&sample);
    }
    arena_free(&a);
}

/* Names that other tables own. */
static void test_words_of_other_tables(void **state) {
    (void)state;
    const xml_attribute_row *row = xml_attribute_row_find("model", "head");
    size_t n;
    const model_head_row *heads = model_heads(&n);
    assert_int_equal(xml_words_count(row->range), n);
    for (size_t i = 0; i < n; i++)
        if (xml_words_find(row->range, heads[i].name, strlen(heads[i].name)) == SIZE_MAX)
            fail_msg("head: no word %s", heads[i].name);
    static const char *const models[] = {"bert", "distilbert"};
    for (size_t m = 0; m < 2; m++) {
        const char *words = xml_attribute_row_find(models[m], "hidden_act")->range;
        for (n = 0; model_activation_name((model_activation)n); n++) {
            const char *name = model_activation_name((model_activation)n);
            if (xml_words_find(words, name, strlen(name)) == SIZE_MAX) fail_msg("hidden_act: no word %s", name);
        }
        assert_int_equal(xml_words_count(words), n);
    }
}

static void test_words(void **state) {
    (void)state;
    size_t bytes;
    assert_int_equal(xml_words_count(""), 0);
    assert_int_equal(xml_words_count("a"), 1);
    assert_int_equal(xml_words_count("a|bc|d"), 3);
    assert_memory_equal(xml_words_at("a|bc|d", 1, &bytes), "bc", 2);
    assert_int_equal(bytes, 2);
    assert_int_equal(xml_words_find("a|bc|d", "d", 1), 2);
    assert_int_equal(xml_words_find("a|bc|d", "b", 1), SIZE_MAX);
    assert_int_equal(xml_words_find("a|bc|d", "a|bc", 4), SIZE_MAX);
    assert_int_equal(xml_words_find("", "", 0), SIZE_MAX);
}

static void test_intervals(void **state) {
    (void)state;
    xml_interval in = xml_interval_parse("(0,1.5]");
    assert_string_equal(in.low, "0");
    assert_string_equal(in.high, "1.5");
    assert_true(in.low_open && !in.high_open && in.items == 1);
    in = xml_interval_parse("[-1,9223372036854775807)*12");
    assert_string_equal(in.low, "-1");
    assert_string_equal(in.high, "9223372036854775807");
    assert_true(!in.low_open && in.high_open && in.items == 12);
}

/* ---- each attribute ---- */

static void try_value(const xml_attribute_row *row, const char *value, verdict wanted) {
    char message[64];
    snprintf(message, sizeof message, "error: %s: found ", row->name);
    plan p = {.element = row->element, .attribute = row->name, .value = value, .copies = 1};
    assert_verdict(&p, wanted, wanted == ACCEPTED ? NULL : message);
}

static void try_values(const xml_attribute_row *row, const char *const *values, verdict wanted) {
    for (; *values; values++) try_value(row, *values, wanted);
}

/* As many integers as there may be, and one more. */
static void try_lengths(const xml_attribute_row *row) {
    const size_t items = xml_interval_parse(row->range).items;
    strbuf text = STRBUF_INIT;
    for (size_t i = 0; i < items; i++) strbuf_puts(&text, "1 ");
    try_value(row, strbuf_str(&text), ACCEPTED);
    strbuf_puts(&text, "1");
    try_value(row, strbuf_str(&text), REFUSED);
    strbuf_free(&text);
}

/* The ends, the integers beside them, and some outside of 64 bits. */
static void try_integer_ends(const xml_attribute_row *row) {
    const xml_interval in = xml_interval_parse(row->range);
    char beyond[64];
    try_value(row, in.low, ACCEPTED);
    try_value(row, in.high, ACCEPTED);
    snprintf(beyond, sizeof beyond, "%lld", strtoll(in.low, NULL, 10) - 1);
    try_value(row, beyond, REFUSED);
    snprintf(beyond, sizeof beyond, "%llu", strtoull(in.high, NULL, 10) + 1);
    try_value(row, beyond, REFUSED);
    try_value(row, "-9223372036854775809", REFUSED);
    try_value(row, "18446744073709551617", REFUSED);
}

static void try_number_ends(const xml_attribute_row *row) {
    const xml_interval in = xml_interval_parse(row->range);
    char beyond[64];
    try_value(row, in.low, in.low_open ? REFUSED : ACCEPTED);
    try_value(row, in.high, in.high_open ? REFUSED : ACCEPTED);
    snprintf(beyond, sizeof beyond, "%.17g", strtod(in.low, NULL) - 1e-9);
    try_value(row, beyond, REFUSED);
    snprintf(beyond, sizeof beyond, "%.17g", strtod(in.high, NULL) + 1e-6);
    try_value(row, beyond, REFUSED);
    try_value(row, "1e300", REFUSED);
    try_value(row, "-1e300", REFUSED);
}

static void try_attribute(const xml_attribute_row *row) {
    static const char *const not_integers[] = {"",    " ", "x",   "1.0",  "1e2",      "0x10", "1 2",
                                               "--1", "+", "1,2", "true", "\xd9\xa3", NULL};
    static const char *const not_numbers[] = {"",    " ",   "x",   ".",   "1e",  "e1",  "1e+", "0x1p1", "NaN",
                                              "INF", "nan", "inf", "1,5", "1 2", "+-1", "1f",  NULL};
    static const char *const not_booleans[] = {"", "yes", "1", "0", "True", "TRUE", "true false", "t", "tru", "falsey", NULL};
    static const char *const not_lists[] = {"", " ", "x", "1.5", "1,2", "1 x", "[1]", NULL};
    strbuf sample = STRBUF_INIT;
    put_sample(&sample, row);
    try_value(row, strbuf_str(&sample), ACCEPTED);
    if (row->standard) try_value(row, row->standard, ACCEPTED);
    if (row->type != XML_TYPE_STRING && row->type != XML_TYPE_PATH) {
        char blanks[256];
        snprintf(blanks, sizeof blanks, " \t%s\n ", strbuf_str(&sample));
        try_value(row, blanks, ACCEPTED);
    }
    switch (row->type) {
    case XML_TYPE_STRING:
    case XML_TYPE_PATH:
        try_values(row, (const char *const[]){"", NULL}, REFUSED);
        try_values(row, (const char *const[]){" ", "a b", "<&\">", "\xc3\xa9", NULL}, ACCEPTED);
        break;
    case XML_TYPE_INT:
        try_values(row, not_integers, REFUSED);
        try_integer_ends(row);
        break;
    case XML_TYPE_INTS:
        try_values(row, not_lists, REFUSED);
        try_values(row, (const char *const[]){"1 1", "3\t\n4 ", NULL}, ACCEPTED);
        try_value(row, "1 -1", REFUSED);
        try_lengths(row);
        try_integer_ends(row);
        break;
    case XML_TYPE_FLOAT:
        try_values(row, not_numbers, REFUSED);
        try_number_ends(row);
        break;
    case XML_TYPE_BOOL:
        try_values(row, not_booleans, REFUSED);
        try_value(row, "false", ACCEPTED);
        break;
    case XML_TYPE_WORD:
        try_values(row, (const char *const[]){"", "no-such-word", "|", NULL}, REFUSED);
        try_value(row, row->range, xml_words_count(row->range) > 1 ? REFUSED : ACCEPTED);
        break;
    }
    strbuf_free(&sample);
}

static void test_every_word(void **state) {
    (void)state;
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        for (size_t w = 0; row->type == XML_TYPE_WORD && w < xml_words_count(row->range); w++) {
            size_t bytes;
            const char *word = xml_words_at(row->range, w, &bytes);
            char value[64];
            snprintf(value, sizeof value, "%.*s", (int)bytes, word);
            try_value(row, value, ACCEPTED);
            value[bytes - 1]++;
            try_value(row, value, REFUSED);
        }
    }
}

static void test_every_attribute(void **state) {
    (void)state;
    for (size_t i = 0; i < xml_attribute_count(); i++) try_attribute(xml_attribute_at(i));
}

static void test_required_attributes(void **state) {
    (void)state;
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        if (!row->required) continue;
        char message[160];
        snprintf(message, sizeof message, "found no %s in <%s>", row->name, row->element);
        plan p = {.element = row->element, .attribute = row->name, .copies = 1};
        assert_verdict(&p, REFUSED, message);
    }
}

/* Random texts of the characters that numbers are made of. */
static void test_random_values(void **state) {
    (void)state;
    static const char letters[] = "0011234567899..--++eE  \t";
    const rng_key key = rng_key_make(7, "values of attributes");
    uint64_t at = 0;
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        if (row->type != XML_TYPE_INT && row->type != XML_TYPE_FLOAT && row->type != XML_TYPE_INTS) continue;
        for (size_t round = 0; round < 60; round++) {
            char value[32];
            const size_t n = rng_below(key, at++, round < 30 ? 5 : 24);
            for (size_t k = 0; k < n; k++) value[k] = letters[rng_below(key, at++, sizeof letters - 1)];
            value[n] = 0;
            strbuf text = STRBUF_INIT, said = STRBUF_INIT;
            plan p = {.element = row->element, .attribute = row->name, .value = value, .copies = 1};
            put_planned(&text, "pofac", &p);
            assert_int_not_equal(judge(text.data, text.size, &said), MALFORMED);
            strbuf_free(&said);
            strbuf_free(&text);
        }
    }
}

/* ---- each element ---- */

static void test_every_element(void **state) {
    (void)state;
    for (size_t i = 0; i < xml_element_count(); i++) {
        const xml_element_row *row = xml_element_at(i);
        plan p = {.element = row->name, .copies = 1};
        assert_verdict(&p, ACCEPTED, NULL);
        p.content = " <!-- a comment --><?an instruction?><![CDATA[ ]]>&#32;";
        assert_verdict(&p, ACCEPTED, NULL);
        p.content = "text";
        assert_verdict(&p, REFUSED, "error: found text in <");
        p.content = "<nothing-known/>";
        assert_verdict(&p, REFUSED, "nothing-known");
        p.content = "<pofac xmlns=\"\"/>";
        assert_verdict(&p, REFUSED, "in no namespace");
        if (i == 0) continue;
        p = (plan){.element = row->name, .copies = 2};
        assert_verdict(&p, row->occurs == XML_OCCURS_MANY ? ACCEPTED : REFUSED,
                       row->occurs == XML_OCCURS_MANY ? NULL : "found a second <");
    }
}

/* An element within any other one than its parent. */
static void test_every_wrong_parent(void **state) {
    (void)state;
    for (size_t i = 1; i < xml_element_count(); i++)
        for (size_t k = 0; k < xml_element_count(); k++) {
            const xml_element_row *row = xml_element_at(i), *other = xml_element_at(k);
            if (xml_element_holds(other->name, row)) continue;
            char content[128], message[128];
            snprintf(content, sizeof content, "<%s/>", row->name);
            snprintf(message, sizeof message, "found <%s> in <%s>, wanted it in <%s>", row->name, other->name, row->parent);
            plan p = {.element = other->name, .content = content, .copies = 1};
            assert_verdict(&p, REFUSED, message);
        }
}

static void test_choices(void **state) {
    (void)state;
    plan p = {.element = "model", .content = "<bert/>", .copies = 1};
    assert_verdict(&p, REFUSED, "found both from and <bert> in <model>");
    p = (plan){.element = "bert", .content = "", .copies = 1};
    assert_verdict(&p, ACCEPTED, NULL);
    p = (plan){.element = "model", .attribute = "from", .copies = 1};
    assert_verdict(&p, REFUSED, "found none of from, <bert>, <distilbert> in <model>");
    p.content = "<bert/><distilbert/>";
    assert_verdict(&p, REFUSED, "found both <bert> and <distilbert> in <model>");
    p = (plan){.element = "prune", .attribute = "pruning_fn", .value = "pattern_lock", .copies = 1};
    assert_verdict(&p, ACCEPTED, NULL);
    p.attribute = "config";
    assert_verdict(&p, ACCEPTED, NULL);
    p = (plan){.element = "pipeline", .copies = 1};
    assert_verdict(&p, ACCEPTED, NULL);
    p = (plan){.element = "pofac", .content = "<pipeline name=\"x\"/>", .copies = 1};
    assert_verdict(&p, REFUSED, "found both <model> and <pipeline> in <pofac>");
}

/* A stage holds what stands beside a model, once each, and is checked as it is there. */
static void test_stages_hold_recipes(void **state) {
    (void)state;
    size_t held = 0;
    for (size_t i = 1; i < xml_element_count(); i++) {
        const xml_element_row *row = xml_element_at(i);
        if (!xml_element_holds("stage", row) || strcmp(row->parent, "stage") == 0) continue;
        const char *attributes = strcmp(row->name, "model") == 0   ? "from=\"x\""
                                 : strcmp(row->name, "prune") == 0 ? "config=\"x\""
                                 : strcmp(row->name, "data") == 0  ? "kind=\"glue\""
                                                                   : "";
        char content[160];
        snprintf(content, sizeof content, "<%s %s/>", row->name, attributes);
        plan p = {.element = "stage", .content = content, .copies = 1};
        assert_verdict(&p, ACCEPTED, NULL);
        snprintf(content, sizeof content, "<%s %s/><%s %s/>", row->name, attributes, row->name, attributes);
        assert_verdict(&p, REFUSED, "found a second <");
        snprintf(content, sizeof content, "<%s %s nothing=\"x\"/>", row->name, attributes);
        assert_verdict(&p, REFUSED, "found an unknown attribute nothing of <");
        held++;
    }
    assert_int_equal(held, 7);
}

/* ---- golden documents ---- */

static verdict judge_file(const char *path) {
    char *text = calloc(1, 1 << 20);
    FILE *file = fopen(path, "rb");
    assert_true(text && file);
    size_t n = fread(text, 1, 1 << 20, file);
    fclose(file);
    strbuf said = STRBUF_INIT;
    verdict found = judge(text, n, &said);
    strbuf_free(&said);
    free(text);
    return found;
}

static void test_golden_documents(void **state) {
    (void)state;
    char path[8192];
    const char *source = getenv("POFAC_SOURCE_DIR");
    size_t n[3] = {0};
    snprintf(path, sizeof path, "%s/tests/golden/xml", source ? source : ".");
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 4, ".xml") != 0) continue;
        snprintf(path, sizeof path, "%s/tests/golden/xml/%s", source ? source : ".", entry->d_name);
        n[judge_file(path)]++;
    }
    closedir(dir);
    assert_true(n[ACCEPTED] >= 5 && n[REFUSED] > 30 && n[MALFORMED] > 20);
}

/* ---- what is made from the table ---- */

/* Every row stands in the text, between `before` and `after`. */
static void assert_names_rows(const char *text, const char *before_element, const char *before_attribute, const char *after) {
    char wanted[160];
    for (size_t i = 0; i < xml_element_count(); i++) {
        snprintf(wanted, sizeof wanted, "%s%s%s", before_element, xml_element_at(i)->name, after);
        if (!strstr(text, wanted)) fail_msg("no element: %s", wanted);
    }
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        snprintf(wanted, sizeof wanted, "%s%s%s", before_attribute, xml_attribute_at(i)->name, after);
        if (!strstr(text, wanted)) fail_msg("no attribute: %s", wanted);
    }
}

static void test_schema_names_rows(void **state) {
    (void)state;
    assert_names_rows(schema_text.data, "<element name=\"", "<attribute name=\"", "\">");
}

static void test_reference(void **state) {
    (void)state;
    strbuf page = STRBUF_INIT;
    xml_reference_write(&page);
    assert_true(strbuf_ok(&page));
    assert_names_rows(page.data, "\n## `<", "\n| `", "");
    assert_non_null(strstr(
        page.data, "\n## `<teacher>`\n\nIn `<pofac>` and `<stage>`, at most once: the frozen model that the model learns from.\n\n"
                   "| attribute | value | default | meaning |\n| --- | --- | --- | --- |\n"
                   "| `from` | a path | none | a Hugging Face directory or another description |\n"));
    assert_non_null(strstr(page.data, "\nExactly one of `from`, `<bert>`, `<distilbert>` is written.\n"));
    assert_non_null(strstr(page.data, "| `temperature` | a number above 0 up to 1000000 | `1` | "));
    strbuf_free(&page);
}

static void test_list(void **state) {
    (void)state;
    strbuf list = STRBUF_INIT;
    xml_table_list(&list);
    assert_true(strbuf_ok(&list));
    size_t lines = 0;
    for (const char *at = list.data; *at; at++) lines += *at == '\n';
    assert_int_equal(lines, xml_element_count() + xml_attribute_count());
    assert_names_rows(list.data, "", "\t", "\t");
    assert_non_null(strstr(list.data, "teacher\t-\telement\tpofac\toptional\tthe frozen model that the model learns from\n"
                                      "teacher\tfrom\tpath\t-\t-\ta Hugging Face directory or another description\n"));
    assert_non_null(strstr(list.data, "data\tmlm_probability\tnumber\t[0,1]\t0.15\t"));
    strbuf_free(&list);
}

static void test_wanted(void **state) {
    (void)state;
    static const struct {
        xml_attribute_row row;
        const char *wanted;
    } cases[] = {
        {{.type = XML_TYPE_STRING, .range = ""}, "a text that is not empty"},
        {{.type = XML_TYPE_PATH, .range = ""}, "a path"},
        {{.type = XML_TYPE_INT, .range = "[-1,5]"}, "an integer from -1 to 5"},
        {{.type = XML_TYPE_INTS, .range = "[1,5]*2"}, "up to 2 integers from 1 to 5"},
        {{.type = XML_TYPE_FLOAT, .range = "[0,1)"}, "a number from 0 to below 1"},
        {{.type = XML_TYPE_FLOAT, .range = "(0,1]"}, "a number above 0 up to 1"},
        {{.type = XML_TYPE_FLOAT, .range = "(0,1)"}, "a number above 0 to below 1"},
        {{.type = XML_TYPE_BOOL, .range = ""}, "true or false"},
        {{.type = XML_TYPE_WORD, .range = "a"}, "a"},
        {{.type = XML_TYPE_WORD, .range = "a|b|c"}, "one of a, b, c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strbuf found = STRBUF_INIT;
        xml_value_wanted(&cases[i].row, &found);
        assert_string_equal(strbuf_str(&found), cases[i].wanted);
        strbuf_free(&found);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_well_formed),
        cmocka_unit_test(test_ranges_and_defaults),
        cmocka_unit_test(test_words_of_other_tables),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_every_word),
        cmocka_unit_test(test_every_attribute),
        cmocka_unit_test(test_required_attributes),
        cmocka_unit_test(test_random_values),
        cmocka_unit_test(test_every_element),
        cmocka_unit_test(test_every_wrong_parent),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_stages_hold_recipes),
        cmocka_unit_test(test_golden_documents),
        cmocka_unit_test(test_schema_names_rows),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_wanted),
    };
    return cmocka_run_group_tests_name("xml_table", tests, compile_schema, free_schema);
}
