/*
 * The table of elements and attributes as a page for people, in Markdown.
 */
#include "frontend/model/xml_reference.h"

#include <string.h>

#include "frontend/model/xml_table.h"

/* Within a cell of a table a bar would end it. */
static void put_cell(strbuf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|') strbuf_putc(out, '\\');
        strbuf_putc(out, *text);
    }
}

static void put_default(strbuf *out, const xml_attribute_row *row) {
    if (row->required) strbuf_puts(out, "required");
    else if (row->standard) strbuf_printf(out, "`%s`", row->standard);
    else strbuf_puts(out, "none");
}

static void put_attribute_row(strbuf *out, const xml_attribute_row *row) {
    strbuf wanted = STRBUF_INIT;
    xml_value_wanted(row, &wanted);
    strbuf_printf(out, "| `%s` | ", row->name);
    put_cell(out, strbuf_str(&wanted));
    strbuf_puts(out, " | ");
    put_default(out, row);
    strbuf_puts(out, " | ");
    put_cell(out, row->help);
    strbuf_puts(out, " |\n");
    out->failed |= wanted.failed;
    strbuf_free(&wanted);
}

static void put_attribute_table(strbuf *out, const char *element) {
    bool begun = false;
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        if (strcmp(row->element, element) != 0) continue;
        if (!begun) strbuf_puts(out, "\n| attribute | value | default | meaning |\n| --- | --- | --- | --- |\n");
        begun = true;
        put_attribute_row(out, row);
    }
}

/* "Exactly one of `from`, `<bert>`, `<distilbert>` is written." */
static void put_choices(strbuf *out, const char *element) {
    for (size_t i = 0; i < xml_one_of_count(); i++) {
        const xml_one_of_row *row = xml_one_of_at(i);
        if (strcmp(row->element, element) != 0) continue;
        strbuf_puts(out, "\nExactly one of ");
        for (size_t w = 0; w < xml_words_count(row->names); w++) {
            size_t bytes;
            const char *word = xml_words_at(row->names, w, &bytes);
            char name[64] = "";
            strncat(name, word, bytes < sizeof name - 1 ? bytes : sizeof name - 1);
            const bool attribute = xml_attribute_row_find(element, name) != NULL;
            strbuf_printf(out, attribute ? "%s`%s`" : "%s`<%s>`", w ? ", " : "", name);
        }
        strbuf_puts(out, " is written.\n");
    }
}

void xml_reference_write(strbuf *out) {
    static const char *const occurs[] = {
        [XML_OCCURS_ONE] = "exactly once", [XML_OCCURS_OPTIONAL] = "at most once", [XML_OCCURS_MANY] = "any number of times"};
    strbuf_puts(
        out, "# Descriptions\n\nA description is an XML document in the namespace `" XML_NAMESPACE
             "`, in UTF-8, without a document type. Relative paths start at its folder.\nElements and attributes may come in any "
             "order.\n");
    for (size_t i = 0; i < xml_element_count(); i++) {
        const xml_element_row *row = xml_element_at(i);
        strbuf_printf(out, "\n## `<%s>`\n\n", row->name);
        if (i) strbuf_printf(out, "In `<%s>`", row->parent);
        for (size_t k = 1; k < xml_element_count(); k++)
            if (strcmp(xml_element_at(k)->name, row->parent) != 0 && xml_element_holds(xml_element_at(k)->name, row))
                strbuf_printf(out, " and `<%s>`", xml_element_at(k)->name);
        if (i) strbuf_printf(out, ", %s: ", occurs[row->occurs]);
        strbuf_printf(out, "%s%s.\n", i ? "" : "The document: ", row->help);
        put_choices(out, row->name);
        put_attribute_table(out, row->name);
    }
}
