/* One walk over the tree; see xml_expand.h. Elements of no other than a pipeline are left alone: the check that follows will say what is wrong. */
#include "frontend/model/xml_expand.h"

#include <string.h>

#include <libxml/tree.h>

#include "frontend/model/xml_places.h"
#include "ir/support/vector.h"

#define STAGE_REFERENCE "stage:"
#define OWN_DIRECTORY "out"
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

typedef struct expander {
    const xml_source *source;
    const xml_parameter *given;
    size_t n_given;
    VEC(xml_parameter) known; /* texts belong to `texts` */
    arena texts;
    xml_report *report;
    bool no_memory;
} expander;

static void complain(expander *e, xml_message message, const diag_place *place, const char *a, const char *b) {
    (void)!xml_report_error(e->report, message, place, a, b, "", "");
}

static bool is_element(const xmlNode *node, const char *name) {
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static const char *known_value(const expander *e, const char *name, size_t n) {
    for (size_t i = 0; i < e->known.size; i++)
        if (strlen(e->known.data[i].name) == n && memcmp(e->known.data[i].name, name, n) == 0) return e->known.data[i].value;
    return NULL;
}

static void unknown_parameter(expander *e, const diag_place *place, const char *name, size_t n) {
    const char **names = ARENA_ARRAY(&e->texts, const char *, e->known.size + 1);
    char *found = arena_strndup(&e->texts, name, n);
    e->no_memory |= !names || !found;
    if (e->no_memory) return;
    for (size_t i = 0; i < e->known.size; i++) names[i] = e->known.data[i].name;
    const char *near = diag_nearest(found, names, e->known.size);
    const char *wanted = near ? arena_printf(&e->texts, "${%s}", near) : "the name of a <parameter> before it";
    e->no_memory |= !wanted;
    if (wanted) complain(e, XML_MESSAGE_UNKNOWN_PARAMETER, place, found, wanted);
}

/* Appends `text` with values in place of names; false after saying what is wrong. */
static bool expand_text(expander *e, const char *text, const diag_place *place, strbuf *out) {
    for (const char *at = text; *at;) {
        const char *hole = strstr(at, "${");
        strbuf_append(out, at, hole ? (size_t)(hole - at) : strlen(at));
        if (!hole) break;
        const size_t n = strcspn(hole + 2, "}");
        if (!hole[2 + n]) {
            complain(e, XML_MESSAGE_OPEN_PARAMETER, place, hole, "");
            return false;
        }
        const bool stays = strncmp(hole + 2, STAGE_REFERENCE, strlen(STAGE_REFERENCE)) == 0 ||
                           (n == strlen(OWN_DIRECTORY) && strncmp(hole + 2, OWN_DIRECTORY, n) == 0);
        const char *value = stays ? NULL : known_value(e, hole + 2, n);
        if (!stays && !value) {
            unknown_parameter(e, place, hole + 2, n);
            return false;
        }
        if (stays) strbuf_append(out, hole, n + 3);
        else strbuf_puts(out, value);
        at = hole + n + 3;
    }
    return true;
}

/* Puts `value` into the attribute. */
static void set_value(expander *e, xmlNode *node, const char *name, const char *value) {
    if (!xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value)) e->no_memory = true;
}

static void expand_attribute(expander *e, xmlNode *node, const char *name) {
    xmlChar *text = xmlGetNoNsProp(node, (const xmlChar *)name);
    if (!text || !strstr((const char *)text, "${")) {
        xmlFree(text);
        return;
    }
    const diag_place place = xml_attribute_value_place(e->source, node, name);
    strbuf expanded = STRBUF_INIT;
    const bool fine = expand_text(e, (const char *)text, &place, &expanded);
    xmlFree(text);
    if (!strbuf_ok(&expanded)) e->no_memory = true;
    else if (fine) set_value(e, node, name, strbuf_str(&expanded));
    strbuf_free(&expanded);
}

static bool is_done(const expander *e) { return e->no_memory || e->report->n_errors > XML_REPORT_MAX_ERRORS; }

/* Below <pipeline>, in document order; <parameter> elements have been there before. */
static void expand_elements(expander *e, xmlNode *pipeline) {
    for (xmlNode *node = pipeline->children; node && !is_done(e);) {
        if (node->type == XML_ELEMENT_NODE && !is_element(node, "parameter"))
            for (xmlAttr *p = node->properties; p; p = p->next)
                if (!p->ns && !(is_element(node, "stage") && strcmp((const char *)p->name, "name") == 0))
                    expand_attribute(e, node, (const char *)p->name);
        if (node->type == XML_ELEMENT_NODE && node->children) {
            node = node->children;
            continue;
        }
        while (node != pipeline && !node->next) node = node->parent;
        node = node == pipeline ? NULL : node->next;
    }
}

static const char *given_value(const expander *e, const char *name) {
    const char *value = NULL;
    for (size_t i = 0; i < e->n_given; i++)
        if (strcmp(e->given[i].name, name) == 0) value = e->given[i].value;
    return value;
}

/* The text of an attribute, in `texts`; NULL: there is none. */
static const char *take_attribute(expander *e, const xmlNode *node, const char *name) {
    xmlChar *text = xmlGetNoNsProp(node, (const xmlChar *)name);
    const char *copy = text ? arena_strdup(&e->texts, (const char *)text) : NULL;
    if (text && !copy) e->no_memory = true;
    xmlFree(text);
    return copy;
}

/* Is the name one that ${NAME} can be? Tells what is wrong. */
static bool check_name(expander *e, const xmlNode *node, const char *name) {
    const diag_place place = xml_attribute_value_place(e->source, node, "name");
    const bool good = *name && !name[strspn(name, NAME_BYTES)] && strcmp(name, OWN_DIRECTORY) != 0;
    if (!good) complain(e, XML_MESSAGE_PARAMETER_NAME, &place, name, "");
    else if (known_value(e, name, strlen(name))) complain(e, XML_MESSAGE_SECOND_PARAMETER, &place, name, "");
    return good && !known_value(e, name, strlen(name));
}

static void take_parameter(expander *e, xmlNode *node) {
    const char *name = take_attribute(e, node, "name");
    if (!name || !check_name(e, node, name)) return; /* without a name: the check says it */
    const char *given = given_value(e, name);
    if (given) set_value(e, node, "value", given);
    else expand_attribute(e, node, "value");
    const char *value = take_attribute(e, node, "value");
    const diag_place place = xml_element_place(e->source, node);
    if (!value && !e->no_memory) complain(e, XML_MESSAGE_NO_VALUE, &place, name, name);
    const xml_parameter parameter = {name, value ? value : ""};
    if (!VEC_PUSH(&e->known, parameter)) e->no_memory = true;
}

pofac_status xml_expand(struct _xmlDoc *document, const xml_source *source, const xml_parameter *given, size_t n,
                        xml_report *report) {
    expander e = {.source = source, .given = given, .n_given = n, .texts = ARENA_INIT, .report = report};
    const xmlNode *root = xmlDocGetRootElement(document);
    for (xmlNode *pipeline = root ? root->children : NULL; pipeline; pipeline = pipeline->next) {
        if (!is_element(pipeline, "pipeline")) continue;
        for (xmlNode *node = pipeline->children; node && !is_done(&e); node = node->next)
            if (is_element(node, "parameter")) take_parameter(&e, node);
        expand_elements(&e, pipeline);
    }
    VEC_FREE(&e.known);
    arena_free(&e.texts);
    if (e.no_memory) return diag_out_of_memory(report->sink);
    return report->n_errors ? POFAC_ERR_INPUT : POFAC_OK;
}
