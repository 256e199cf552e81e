/*
 * From libxml2's tree to checked elements: each element of the tree meets its row, each of the row's attributes gets its value.
 *
 * The walk follows the table, so it is as deep as the table and an unknown element is told once, without what is in it. Places come
 * from the scan of the text: the i-th tag is the i-th element in document order. The checks go on after an error to tell all there
 * are.
 */
#include "frontend/model/xml_check.h"

#include <stdio.h>
#include <string.h>

#include <libxml/tree.h>

#include "frontend/model/xml_places.h"

/* A name or value in a message is cut behind this many bytes. */
#define SHOWN_BYTES 60u

/* Rows beyond which a message points to the list of rows instead of naming them. */
#define NAMED_ROWS 10u

/* More rows than any element has attributes or children. */
#define MAX_CANDIDATES 64u

typedef struct checker {
    const xml_source *source;
    xml_paths paths;
    arena *a;
    xml_report *report;
    bool no_memory;
} checker;

/* Nothing more can be read, or nothing more is told. */
static bool is_done(const checker *c) { return c->no_memory || c->report->n_errors > XML_REPORT_MAX_ERRORS; }

/* Passes text on, and notes where it is missing for want of memory. */
static const char *have(checker *c, const char *text) {
    if (!text) c->no_memory = true;
    return text ? text : "";
}

static void complain(checker *c, xml_message message, const diag_place *place, const char *a1, const char *a2, const char *a3,
                     const char *a4) {
    (void)!xml_report_error(c->report, message, place, a1, a2, a3, a4);
}

/* The text's first bytes, not cut within a character. */
static size_t shown_bytes(const char *text) {
    size_t n = strlen(text);
    if (n <= SHOWN_BYTES) return n;
    for (n = SHOWN_BYTES; ((unsigned char)text[n] & 0xC0) == 0x80;) n--;
    return n;
}

static const char *shown_name(checker *c, const xmlChar *name) {
    size_t n = shown_bytes((const char *)name);
    return have(c, arena_printf(c->a, "%.*s%s", (int)n, (const char *)name, name[n] ? "..." : ""));
}

/* In quotes, with control characters escaped. */
static const char *shown_value(checker *c, const char *text) {
    size_t n = shown_bytes(text);
    strbuf b = STRBUF_INIT;
    strbuf_put_json(&b, text, n);
    if (text[n]) strbuf_puts(&b, "...");
    const char *shown = have(c, strbuf_ok(&b) ? arena_strdup(c->a, strbuf_str(&b)) : NULL);
    strbuf_free(&b);
    return shown;
}

static const char *wanted_value(checker *c, const xml_attribute_row *row) {
    strbuf b = STRBUF_INIT;
    xml_value_wanted(row, &b);
    const char *wanted = have(c, strbuf_ok(&b) ? arena_strdup(c->a, strbuf_str(&b)) : NULL);
    strbuf_free(&b);
    return wanted;
}

/* ---- names that are wanted ---- */

typedef struct candidates {
    const char *names[MAX_CANDIDATES];
    size_t n;
} candidates;

static candidates attributes_of(const char *element) {
    candidates found = {.n = 0};
    for (size_t i = 0; i < xml_attribute_count() && found.n < MAX_CANDIDATES; i++)
        if (strcmp(xml_attribute_at(i)->element, element) == 0) found.names[found.n++] = xml_attribute_at(i)->name;
    return found;
}

static candidates children_of(const char *element) {
    candidates found = {.n = 0};
    for (size_t i = 0; i < xml_element_count() && found.n < MAX_CANDIDATES; i++)
        if (xml_element_holds(element, xml_element_at(i))) found.names[found.n++] = xml_element_at(i)->name;
    return found;
}

/* The nearest name, else all of them, else where they are listed; each within `format`. */
static const char *wanted_name(checker *c, const char *name, const candidates *all, const char *before, const char *after) {
    const char *nearest = diag_nearest(name, all->names, all->n);
    if (nearest) return have(c, arena_printf(c->a, "%s%s%s", before, nearest, after));
    if (all->n > NAMED_ROWS) return "one that `pofac list xml` shows";
    const char *text = all->n > 1 ? "one of " : "";
    for (size_t i = 0; i < all->n; i++)
        text = have(c, arena_printf(c->a, "%s%s%s%s%s", text, i ? ", " : "", before, all->names[i], after));
    return text;
}

/* ---- attributes ---- */

static const xmlAttr *find_property(const xmlNode *node, const char *name) {
    for (const xmlAttr *p = node->properties; p; p = p->next)
        if (!p->ns && strcmp((const char *)p->name, name) == 0) return p;
    return NULL;
}

/* A path that is meant from the folder of the document on. */
static const char *resolve_path(checker *c, const char *path) {
    const char *slash = strrchr(c->source->file, '/');
    if (path[0] == '/' || !slash) return path;
    if (c->paths == XML_PATHS_OF_PIPELINE && strncmp(path, "./", 2) != 0) return path;
    if (c->paths == XML_PATHS_OF_PIPELINE) path += 2;
    return have(c, arena_printf(c->a, "%.*s%s", (int)(slash - c->source->file) + 1, c->source->file, path));
}

/* Reads the text of `attr` as its row says; false where it cannot. */
static bool read_value(checker *c, xml_attr *attr) {
    switch (xml_value_read(attr->row, attr->text, c->a, &attr->value)) {
    case XML_READ: break;
    case XML_NO_MEMORY: c->no_memory = true; return false;
    default:
        complain(c, XML_MESSAGE_VALUE, &attr->place, attr->row->name, shown_value(c, attr->text), wanted_value(c, attr->row), "");
        return false;
    }
    if (attr->row->type == XML_TYPE_PATH) attr->value.as.string = resolve_path(c, attr->value.as.string);
    return true;
}

/* The attribute's text without its XML: libxml2 has replaced references and normalized blanks. */
static const char *property_text(checker *c, const xmlNode *node, const xmlAttr *p) {
    if (!p->children) return "";
    xmlChar *text = xmlNodeListGetString(node->doc, p->children, 1);
    const char *copy = have(c, text ? arena_strdup(c->a, (const char *)text) : NULL);
    xmlFree(text);
    return copy;
}

static void complain_attribute(checker *c, const xmlNode *node, const xml_element_row *row, const xmlAttr *p) {
    const char *name = (const char *)p->name, *prefix = p->ns ? (const char *)p->ns->prefix : NULL;
    const candidates all = attributes_of(row->name);
    const diag_place place = xml_attribute_name_place(c->source, node, prefix, name);
    const char *shown = shown_name(c, p->name);
    if (prefix) shown = have(c, arena_printf(c->a, "%s:%s", shown_name(c, p->ns->prefix), shown));
    if (all.n == 0) complain(c, XML_MESSAGE_NO_ATTRIBUTES, &place, shown, row->name, "", "");
    else complain(c, XML_MESSAGE_UNKNOWN_ATTRIBUTE, &place, shown, row->name, wanted_name(c, name, &all, "", ""), "");
}

/* The attributes that are written, in their order; false where one has no row. */
static bool read_attributes(checker *c, const xmlNode *node, xml_element *element, xml_attr *attrs) {
    bool all_known = true;
    for (const xmlAttr *p = node->properties; p && !is_done(c); p = p->next) {
        const char *name = (const char *)p->name;
        const xml_attribute_row *row = p->ns ? NULL : xml_attribute_row_find(element->row->name, name);
        if (!row) {
            complain_attribute(c, node, element->row, p);
            all_known = false;
            continue;
        }
        xml_attr attr = {.row = row,
                         .written = true,
                         .place = xml_attribute_value_place(c->source, node, name),
                         .text = property_text(c, node, p)};
        if (!c->no_memory && read_value(c, &attr)) attrs[element->n_attrs++] = attr;
    }
    return all_known;
}

/* The defaults of those that are not; a missing one is told unless it may hide behind an unknown name. */
static void add_defaults(checker *c, const xmlNode *node, xml_element *element, xml_attr *attrs, bool tell_missing) {
    for (size_t i = 0; i < xml_attribute_count() && !is_done(c); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        if (strcmp(row->element, element->row->name) != 0 || find_property(node, row->name)) continue;
        if (row->required && tell_missing)
            complain(c, XML_MESSAGE_MISSING_ATTRIBUTE, &element->place, row->name, row->element, wanted_value(c, row), "");
        xml_attr attr = {.row = row, .place = element->place, .text = row->standard};
        if (row->standard && read_value(c, &attr)) attrs[element->n_attrs++] = attr;
    }
}

/* False where the element has an attribute without a row. */
static bool make_attributes(checker *c, const xmlNode *node, xml_element *element) {
    const size_t n_rows = attributes_of(element->row->name).n;
    xml_attr *attrs = ARENA_ARRAY(c->a, xml_attr, n_rows + 1);
    if (!attrs) c->no_memory = true;
    if (!attrs) return true;
    element->attrs = attrs;
    const bool all_known = read_attributes(c, node, element, attrs);
    add_defaults(c, node, element, attrs, all_known);
    return all_known;
}

/* ---- elements ---- */

static bool check_namespace(checker *c, const xmlNode *node) {
    const char *namespace = node->ns ? (const char *)node->ns->href : NULL;
    if (namespace && strcmp(namespace, XML_NAMESPACE) == 0) return true;
    diag_place place = xml_element_place(c->source, node);
    const char *name = shown_name(c, node->name);
    if (namespace) complain(c, XML_MESSAGE_WRONG_NAMESPACE, &place, name, shown_name(c, node->ns->href), XML_NAMESPACE, "");
    else complain(c, XML_MESSAGE_NO_NAMESPACE, &place, name, XML_NAMESPACE, "", "");
    return false;
}

/* The row of a child, or NULL after saying why it cannot be one. */
static const xml_element_row *find_child_row(checker *c, const xmlNode *node, const xml_element_row *parent) {
    if (!check_namespace(c, node)) return NULL;
    const char *name = (const char *)node->name;
    const xml_element_row *row = xml_element_row_find(name);
    if (row && xml_element_holds(parent->name, row)) return row;
    const candidates all = children_of(parent->name);
    diag_place place = xml_element_place(c->source, node);
    if (row && row != xml_element_at(0)) complain(c, XML_MESSAGE_WRONG_PARENT, &place, name, parent->name, row->parent, "");
    else if (all.n == 0) complain(c, XML_MESSAGE_NO_ELEMENTS, &place, shown_name(c, node->name), parent->name, "", "");
    else
        complain(c, XML_MESSAGE_UNKNOWN_ELEMENT, &place, shown_name(c, node->name), parent->name,
                 wanted_name(c, name, &all, "<", ">"), "");
    return NULL;
}

static const xml_element *find_child(const xml_element *element, const char *name) {
    const xml_element *child = element->first_child;
    while (child && strcmp(child->row->name, name) != 0) child = child->next;
    return child;
}

static void check_second(checker *c, const xml_element *parent, const xml_element_row *row, const xmlNode *node) {
    if (row->occurs == XML_OCCURS_MANY) return;
    const xml_element *first = find_child(parent, row->name);
    if (!first) return;
    char line[16];
    snprintf(line, sizeof line, "%u", (unsigned)first->place.line);
    diag_place place = xml_element_place(c->source, node);
    complain(c, XML_MESSAGE_SECOND_ELEMENT, &place, row->name, parent->row->name, line, "");
}

static xml_element *check_element(checker *c, const xmlNode *node, const xml_element_row *row);

/* False where the element has a child without a row. */
static bool check_content(checker *c, const xmlNode *node, xml_element *element) {
    const xml_element **end = &element->first_child;
    bool text_told = false, all_known = true;
    for (const xmlNode *child = node->children; child && !is_done(c); child = child->next) {
        const bool is_text = child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE;
        if (is_text && !xmlIsBlankNode(child) && !text_told) {
            complain(c, XML_MESSAGE_TEXT, &element->place, element->row->name, "", "", "");
            text_told = true;
        }
        if (child->type != XML_ELEMENT_NODE) continue;
        const xml_element_row *row = find_child_row(c, child, element->row);
        if (!row) all_known = false;
        if (!row) continue;
        check_second(c, element, row, child);
        xml_element *made = check_element(c, child, row);
        if (!made) break;
        *end = made;
        end = &made->next;
    }
    return all_known;
}

/* One of a choice: how messages call it, and where it stands if it does. */
typedef struct choice {
    const char *shown;
    bool there;
    diag_place place;
} choice;

static choice find_choice(checker *c, const xmlNode *node, const xml_element *element, const char *name) {
    if (xml_attribute_row_find(element->row->name, name)) {
        const bool there = find_property(node, name) != NULL;
        return (choice){name, there, there ? xml_attribute_name_place(c->source, node, NULL, name) : element->place};
    }
    const xml_element *child = find_child(element, name);
    return (choice){have(c, arena_printf(c->a, "<%s>", name)), child != NULL, child ? child->place : element->place};
}

static void check_choice(checker *c, const xmlNode *node, const xml_element *element, const char *names, bool tell_missing) {
    choice first = {NULL, false, {0}};
    const char *all = "";
    for (size_t i = 0; i < xml_words_count(names); i++) {
        size_t bytes;
        const char *word = xml_words_at(names, i, &bytes);
        choice one = find_choice(c, node, element, have(c, arena_strndup(c->a, word, bytes)));
        all = have(c, arena_printf(c->a, "%s%s%s", all, i ? ", " : "", one.shown));
        if (!one.there) continue;
        if (first.there) complain(c, XML_MESSAGE_TWO_OF, &one.place, first.shown, one.shown, element->row->name, "");
        if (!first.there) first = one;
    }
    if (!first.there && tell_missing) complain(c, XML_MESSAGE_NONE_OF, &element->place, all, element->row->name, "", "");
}

/* NULL only where the check is done with. */
static xml_element *check_element(checker *c, const xmlNode *node, const xml_element_row *row) {
    xml_element *element = ARENA_NEW(c->a, xml_element);
    if (!element) c->no_memory = true;
    if (!element) return NULL;
    element->row = row;
    element->place = xml_element_place(c->source, node);
    bool all_known = make_attributes(c, node, element);
    all_known &= check_content(c, node, element);
    if (is_done(c)) return NULL;
    for (size_t i = 0; i < xml_one_of_count(); i++)
        if (strcmp(xml_one_of_at(i)->element, row->name) == 0) check_choice(c, node, element, xml_one_of_at(i)->names, all_known);
    return element;
}

pofac_status xml_check_document(struct _xmlDoc *document, const xml_source *source, xml_paths paths, arena *a, xml_report *report,
                                xml_element **root) {
    checker c = {.source = source, .paths = paths, .a = a, .report = report};
    xmlNode *node = xmlDocGetRootElement(document);
    const xml_element_row *row = xml_element_at(0);
    if (strcmp((const char *)node->name, row->name) != 0) {
        diag_place place = xml_element_place(c.source, node);
        complain(&c, XML_MESSAGE_WRONG_ROOT, &place, shown_name(&c, node->name), row->name, "", "");
    } else if (check_namespace(&c, node)) {
        *root = check_element(&c, node, row);
    }
    if (c.no_memory) return diag_out_of_memory(report->sink);
    return report->n_errors ? POFAC_ERR_INPUT : POFAC_OK;
}
