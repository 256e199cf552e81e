/* The tables of wikitext: their order, which halving needs, and that each row does what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/data/html_entities.h"
#include "frontend/data/wikitext.h"
#include "frontend/data/wikitext_tags.h"
#include "frontend/data/wikitext_templates.h"

static wikitext_counts convert(const strbuf *text, strbuf *prose) {
    wikitext *w = NULL;
    wikitext_counts counts;
    assert_int_equal(wikitext_create(NULL, NULL, &w), POFAC_OK);
    strbuf_clear(prose);
    assert_int_equal(wikitext_to_prose(w, strbuf_str(text), text->size, NULL, prose, &counts), POFAC_OK);
    wikitext_destroy(w);
    return counts;
}

static void expect_order(const char *before, const char *name) {
    if (strcmp(before, name) >= 0) fail_msg("\"%s\" stands behind \"%s\", wanted the order of bytes", name, before);
}

typedef struct template_row_text {
    const char *name;
    int args;
    const char *text;
} template_row_text;

static const template_row_text template_rows[] = {
#define TEMPLATE(name, args, text) {name, args, text},
#include "frontend/data/wikitext_templates.def"
#undef TEMPLATE
};

static void templates_are_in_order(void **state) {
    (void)state;
    for (size_t i = 1; i < sizeof template_rows / sizeof *template_rows; i++) {
        const template_row_text *before = &template_rows[i - 1], *row = &template_rows[i];
        if (strcmp(before->name, row->name) != 0) expect_order(before->name, row->name);
        else if (before->args <= row->args)
            fail_msg("{{%s}} with %d arguments stands behind %d, wanted many to few", row->name, row->args, before->args);
    }
}

/* Arguments "1a", "2b", ... come out where the row says, once each. */
static void templates_show_what_they_say(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT, prose = STRBUF_INIT, wanted = STRBUF_INIT;
    for (size_t i = 0; i < sizeof template_rows / sizeof *template_rows; i++) {
        const template_row_text *row = &template_rows[i];
        const bool colon = row->name[strlen(row->name) - 1] == ':';
        strbuf_clear(&text);
        strbuf_clear(&wanted);
        strbuf_printf(&text, "x{{%s", row->name);
        for (int a = 1; a <= row->args; a++) strbuf_printf(&text, "%s%d%c", colon ? "" : "|", a, 'a' + a - 1);
        strbuf_puts(&text, "}}y");
        strbuf_puts(&wanted, "x");
        unsigned seen = 0;
        for (const char *c = row->text; *c; c++) {
            if (*c != '$' || c[1] == '$') {
                c += *c == '$';
                strbuf_putc(&wanted, *c);
            } else if (*++c == '*') {
                for (int a = 1; a <= row->args; a++) strbuf_printf(&wanted, "%d%c", a, 'a' + a - 1);
            } else {
                const int a = *c - '0';
                if (a < 1 || a > row->args || (seen & 1u << a))
                    fail_msg("{{%s}}: $%d: wanted arguments up to %d, each once", row->name, a, row->args);
                seen |= 1u << a;
                strbuf_printf(&wanted, "%d%c", a, 'a' + a - 1);
            }
        }
        strbuf_puts(&wanted, "y\n");
        const wikitext_counts counts = convert(&text, &prose);
        if (strcmp(row->text, "@disambiguation") == 0) {
            if (counts.disambiguations != 1) fail_msg("%s: found no disambiguation", text.data);
        } else if (row->text[0] == '@') {
            if (counts.kept_templates != 1 && strcmp(row->text, "@music") != 0) fail_msg("%s: dropped", text.data);
        } else if (strcmp(strbuf_str(&prose), wanted.data) != 0) {
            fail_msg("%s: found %s, wanted %s", text.data, strbuf_str(&prose), wanted.data);
        }
    }
    strbuf_free(&text);
    strbuf_free(&prose);
    strbuf_free(&wanted);
}

typedef struct pair_row {
    const char *name, *text;
} pair_row;

static void languages_and_units(void **state) {
    (void)state;
    static const pair_row languages[] = {
#define LANGUAGE(code, name) {code, name},
#include "frontend/data/wikitext_languages.def"
#undef LANGUAGE
    };
    static const pair_row units[] = {
#define UNIT(name, text) {name, text},
#include "frontend/data/wikitext_units.def"
#undef UNIT
    };
    strbuf text = STRBUF_INIT, prose = STRBUF_INIT, wanted = STRBUF_INIT;
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++) {
        if (i) expect_order(languages[i - 1].name, languages[i].name);
        strbuf_clear(&text);
        strbuf_clear(&wanted);
        strbuf_printf(&text, "{{lang-%s|x}} {{langx|%s|y}}", languages[i].name, languages[i].name);
        strbuf_printf(&wanted, "%s: x %s: y\n", languages[i].text, languages[i].text);
        convert(&text, &prose);
        assert_string_equal(strbuf_str(&prose), wanted.data);
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        strbuf_clear(&text);
        strbuf_clear(&wanted);
        strbuf_printf(&text, "{{convert|5|%s|m}}", units[i].name);
        strbuf_printf(&wanted, "5 %s\n", units[i].text);
        convert(&text, &prose);
        assert_string_equal(strbuf_str(&prose), wanted.data);
    }
    strbuf_free(&text);
    strbuf_free(&prose);
    strbuf_free(&wanted);
}

static void sections(void **state) {
    (void)state;
    static const char *const headings[] = {
#define SECTION(heading) heading,
#include "frontend/data/wikitext_sections.def"
#undef SECTION
    };
    strbuf text = STRBUF_INIT, prose = STRBUF_INIT;
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) {
        if (i) expect_order(headings[i - 1], headings[i]);
        strbuf_clear(&text);
        strbuf_printf(&text, "a\n== %s ==\nb\n== c ==\nd", headings[i]);
        text.data[5] = (char)(text.data[5] - 32); /* a capital letter */
        convert(&text, &prose);
        if (strcmp(strbuf_str(&prose), "a\nd\n") != 0) fail_msg("section \"%s\" was kept", headings[i]);
    }
    strbuf_free(&text);
    strbuf_free(&prose);
}

static void tags(void **state) {
    (void)state;
    static const struct {
        const char *name, *prose;
    } rows[] = {
#define SHOWN_KEEP "xabyz\n"
#define SHOWN_SPACE "xa by z\n"
#define SHOWN_PARAGRAPH "xa\nby\nz\n"
#define SHOWN_DROP "xaz\n"
#define SHOWN_REFERENCE "xaz\n"
#define SHOWN_TABLE "xa\nz\n"
#define SHOWN_LITERAL "xabyz\n"
#define SHOWN_FORMULA "xabyz\n"
#define TAG(name, action) {name, SHOWN_##action},
#include "frontend/data/wikitext_tags.def"
#undef TAG
    };
    strbuf text = STRBUF_INIT, prose = STRBUF_INIT;
    for (size_t i = 0; i < WIKITEXT_N_TAGS; i++) {
        if (i) expect_order(rows[i - 1].name, rows[i].name);
        strbuf_clear(&text);
        strbuf_printf(&text, "xa<%s>by</%s>z", rows[i].name, rows[i].name);
        convert(&text, &prose);
        if (strcmp(strbuf_str(&prose), rows[i].prose) != 0)
            fail_msg("%s: found %s, wanted %s", text.data, strbuf_str(&prose), rows[i].prose);
    }
    strbuf_free(&text);
    strbuf_free(&prose);
}

static void entities(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t code_point;
    } rows[] = {
#define ENTITY(name, code_point) {name, code_point},
#include "frontend/data/html_entities.def"
#undef ENTITY
    };
    assert_int_equal(sizeof rows / sizeof *rows, 253); /* 252 of HTML 4.01, and apos */
    strbuf text = STRBUF_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i) expect_order(rows[i - 1].name, rows[i].name);
        uint32_t c = 0;
        strbuf_clear(&text);
        strbuf_printf(&text, "&%s;", rows[i].name);
        assert_int_equal(html_entity_read(text.data, text.size, &c), text.size);
        assert_int_equal(c, rows[i].code_point);
        assert_int_equal(html_entity_read(text.data, text.size - 1, &c), 0);
    }
    strbuf_free(&text);
}

static void list_of_templates(void **state) {
    (void)state;
    strbuf list = STRBUF_INIT;
    wikitext_templates_put(&list);
    assert_non_null(strstr(strbuf_str(&list), "\nfrac                     2 \"$1/$2\"\n"));
    size_t n_lines = 0;
    for (const char *c = list.data; *c; c++) n_lines += *c == '\n';
    assert_int_equal(n_lines, sizeof template_rows / sizeof *template_rows);
    strbuf_free(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_in_order),
        cmocka_unit_test(templates_show_what_they_say),
        cmocka_unit_test(languages_and_units),
        cmocka_unit_test(sections),
        cmocka_unit_test(tags),
        cmocka_unit_test(entities),
        cmocka_unit_test(list_of_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
