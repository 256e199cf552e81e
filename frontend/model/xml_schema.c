/*
 * The table of elements and attributes as a RELAX NG schema, and validation by it.
 *
 * Each element is an <interleave> of what may stand in it, so order is free: attributes and children by their need and occurrence,
 * and one <choice> for each XML_ONE_OF row. Values are XML Schema's `long` and `double` with bounds, lists of them, or choices of
 * words. Blanks around values collapse in both readings. What no schema can say (a number that divides another) is checked after
 * it.
 */
#include "frontend/model/xml_schema.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/xmlschemastypes.h>

#include "frontend/model/xml_listener.h"
#include "frontend/model/xml_table.h"

static void put_indent(strbuf *out, unsigned depth) {
    for (unsigned i = 0; i < depth; i++) strbuf_puts(out, "  ");
}

static void put_escaped(strbuf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '&') strbuf_puts(out, "&amp;");
        else if (*text == '<') strbuf_puts(out, "&lt;");
        else strbuf_putc(out, *text);
    }
}

static void put_help(strbuf *out, unsigned depth, const char *help) {
    put_indent(out, depth);
    strbuf_puts(out, "<a:documentation>");
    put_escaped(out, help);
    strbuf_puts(out, "</a:documentation>\n");
}

/* One line: the wrapper's start or end tag. */
static void put_tag(strbuf *out, unsigned depth, const char *tag) {
    put_indent(out, depth);
    strbuf_printf(out, "<%s>\n", tag);
}

/* libxml2 takes "1e" for a double without the pattern; it is matched with the blanks around the value. */
#define NUMBER_PATTERN "\\s*[+\\-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+\\-]?[0-9]+)?\\s*"

/* "<data type=...>" with its bounds, open for further parameters. */
static void put_bounded(strbuf *out, const char *type, const xml_interval *in) {
    strbuf_printf(out, "<data type=\"%s\"><param name=\"%s\">%s</param>", type, in->low_open ? "minExclusive" : "minInclusive",
                  in->low);
    strbuf_printf(out, "<param name=\"%s\">%s</param>", in->high_open ? "maxExclusive" : "maxInclusive", in->high);
}

static void put_integer(strbuf *out, const xml_interval *in) {
    put_bounded(out, "long", in);
    strbuf_puts(out, "</data>");
}

static void put_number(strbuf *out, const xml_interval *in) {
    put_bounded(out, "double", in);
    strbuf_puts(out, "<param name=\"pattern\">" NUMBER_PATTERN "</param></data>");
}

static void put_words(strbuf *out, const char *words) {
    size_t n = xml_words_count(words);
    strbuf_puts(out, "<choice>");
    for (size_t i = 0; i < n; i++) {
        size_t bytes;
        const char *word = xml_words_at(words, i, &bytes);
        strbuf_printf(out, "<value>%.*s</value>", (int)bytes, word);
    }
    strbuf_puts(out, "</choice>");
}

/* One integer, and up to items - 1 more. */
static void put_list(strbuf *out, const xml_interval *in) {
    strbuf_puts(out, "<list>");
    for (size_t i = 0; i < in->items; i++) {
        if (i) strbuf_puts(out, "<optional>");
        put_integer(out, in);
        if (i) strbuf_puts(out, "</optional>");
    }
    strbuf_puts(out, "</list>");
}

static void put_value(strbuf *out, const xml_attribute_row *row) {
    const xml_interval in = xml_interval_parse(row->type == XML_TYPE_WORD ? "" : row->range);
    switch (row->type) {
    case XML_TYPE_STRING:
    case XML_TYPE_PATH: strbuf_puts(out, "<data type=\"string\"><param name=\"minLength\">1</param></data>"); break;
    case XML_TYPE_INT: put_integer(out, &in); break;
    case XML_TYPE_INTS: put_list(out, &in); break;
    case XML_TYPE_FLOAT: put_number(out, &in); break;
    case XML_TYPE_BOOL: put_words(out, "true|false"); break;
    case XML_TYPE_WORD: put_words(out, row->range); break;
    }
}

static void put_attribute(strbuf *out, unsigned depth, const xml_attribute_row *row) {
    put_indent(out, depth);
    strbuf_printf(out, "<attribute name=\"%s\">\n", row->name);
    put_help(out, depth + 1, row->help);
    put_indent(out, depth + 1);
    put_value(out, row);
    strbuf_putc(out, '\n');
    put_tag(out, depth, "/attribute");
}

/* Is `name` in a choice of `element`? It is written there and nowhere else. */
static bool is_in_choice(const char *element, const char *name) {
    for (size_t i = 0; i < xml_one_of_count(); i++) {
        const xml_one_of_row *row = xml_one_of_at(i);
        if (strcmp(row->element, element) == 0 && xml_words_find(row->names, name, strlen(name)) != SIZE_MAX) return true;
    }
    return false;
}

static void put_element(strbuf *out, unsigned depth, const xml_element_row *row);

static void put_choice(strbuf *out, unsigned depth, const xml_one_of_row *choice) {
    put_tag(out, depth, "choice");
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        if (strcmp(row->element, choice->element) == 0 && xml_words_find(choice->names, row->name, strlen(row->name)) != SIZE_MAX)
            put_attribute(out, depth + 1, row);
    }
    for (size_t i = 0; i < xml_element_count(); i++) {
        const xml_element_row *row = xml_element_at(i);
        if (strcmp(row->parent, choice->element) == 0 && xml_words_find(choice->names, row->name, strlen(row->name)) != SIZE_MAX)
            put_element(out, depth + 1, row);
    }
    put_tag(out, depth, "/choice");
}

static void put_attributes(strbuf *out, unsigned depth, const char *element) {
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        if (strcmp(row->element, element) != 0 || is_in_choice(element, row->name)) continue;
        if (!row->required) put_tag(out, depth, "optional");
        put_attribute(out, row->required ? depth : depth + 1, row);
        if (!row->required) put_tag(out, depth, "/optional");
    }
}

static void put_children(strbuf *out, unsigned depth, const char *element) {
    for (size_t i = 0; i < xml_element_count(); i++) {
        const xml_element_row *row = xml_element_at(i);
        if (!xml_element_holds(element, row) || is_in_choice(element, row->name)) continue;
        const bool one = row->occurs == XML_OCCURS_ONE, many = row->occurs == XML_OCCURS_MANY;
        if (!one) put_tag(out, depth, many ? "zeroOrMore" : "optional");
        put_element(out, one ? depth : depth + 1, row);
        if (!one) put_tag(out, depth, many ? "/zeroOrMore" : "/optional");
    }
}

/* Every element of the table has an attribute or a child, so the <interleave> is never empty. */
static void put_element(strbuf *out, unsigned depth, const xml_element_row *row) {
    put_indent(out, depth);
    strbuf_printf(out, "<element name=\"%s\">\n", row->name);
    put_help(out, depth + 1, row->help);
    put_tag(out, depth + 1, "interleave");
    put_attributes(out, depth + 2, row->name);
    for (size_t i = 0; i < xml_one_of_count(); i++)
        if (strcmp(xml_one_of_at(i)->element, row->name) == 0) put_choice(out, depth + 2, xml_one_of_at(i));
    put_children(out, depth + 2, row->name);
    put_tag(out, depth + 1, "/interleave");
    put_tag(out, depth, "/element");
}

void xml_schema_write(strbuf *out) {
    strbuf_puts(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<grammar xmlns=\"http://relaxng.org/ns/structure/1.0\" xmlns:a=\"http://relaxng.org/ns/compatibility/annotations/1.0\"\n"
        "         datatypeLibrary=\"http://www.w3.org/2001/XMLSchema-datatypes\" ns=\"" XML_NAMESPACE "\">\n");
    put_tag(out, 1, "start");
    put_element(out, 2, xml_element_at(0));
    put_tag(out, 1, "/start");
    put_tag(out, 0, "/grammar");
}

/* libxml2 writes 2.9.14 as "20914", with the name of its build behind it. */
void xml_library_version(strbuf *out) {
    long number = strtol(xmlParserVersion, NULL, 10);
    strbuf_printf(out, "%ld.%ld.%ld", number / 10000, number / 100 % 100, number % 100);
}

/* libxml2 builds the tables of its data types at first use, without a lock; the lock that it offers its users was seen to let two
 * threads in. */
static void build_types(void) {
    xmlInitParser();
    xmlSchemaInitTypes();
    xmlRelaxNGInitTypes();
}

static void init_types(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, build_types);
}

/* An xml_schema is libxml2's xmlRelaxNG; nothing is added to it. */

static pofac_status complain(const xml_listener *listener, const diag_place *place, xml_report *report) {
    const char *why = listener->heard ? listener->text : "no reason is given";
    return xml_report_error(report, XML_MESSAGE_SCHEMA, place, why, "", "", "");
}

pofac_status xml_schema_compile(const char *text, size_t n, const xml_source *source, xml_report *report, xml_schema **out) {
    xml_listener listener;
    init_types();
    xml_listener_begin(&listener);
    xmlRelaxNGParserCtxtPtr parser = xmlRelaxNGNewMemParserCtxt(text, (int)n);
    *out = parser ? (xml_schema *)xmlRelaxNGParse(parser) : NULL;
    xmlRelaxNGFreeParserCtxt(parser);
    xml_listener_end(&listener);
    diag_place place = {.file = source->file};
    return *out ? POFAC_OK : complain(&listener, &place, report);
}

void xml_schema_free(xml_schema *schema) { xmlRelaxNGFree((xmlRelaxNGPtr)schema); }

pofac_status xml_schema_validate(const xml_schema *schema, struct _xmlDoc *document, const xml_source *source, xml_report *report) {
    xml_listener listener;
    xml_listener_begin(&listener);
    xmlRelaxNGValidCtxtPtr validator = xmlRelaxNGNewValidCtxt((xmlRelaxNGPtr)schema);
    int result = validator ? xmlRelaxNGValidateDoc(validator, document) : -1;
    xmlRelaxNGFreeValidCtxt(validator);
    xml_listener_end(&listener);
    if (result == 0) return POFAC_OK;
    diag_place place = xml_source_place_at(source, listener.line, 0);
    return complain(&listener, &place, report);
}
