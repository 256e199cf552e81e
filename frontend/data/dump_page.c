/*
 * Pages of dumps by libxml2, which calls back for elements and text (SAX2) and builds no tree; from them the text of /page/title,
 * /page/ns, /page/redirect and /page/revision/text is taken. Elements are known by their names and depth, in any namespace.
 */
#include "frontend/data/dump_page.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_BYTES 200 /* libxml2's messages with a name cut to fit */

struct dump_page_parser {
    xmlParserCtxtPtr context;
    dump_page page;
    unsigned depth;
    bool in_page, in_revision; /* at depths 1 and 2 */
    strbuf *target;            /* where text goes; NULL: nowhere */
    unsigned target_depth;
    bool failed; /* memory */
    char reason[REASON_BYTES];
};

/* ---- libxml2's callbacks ---- */

static bool is_name(const xmlChar *found, const char *wanted) { return strcmp((const char *)found, wanted) == 0; }

static void begin_text(dump_page_parser *p, strbuf *target) {
    strbuf_clear(target);
    p->target = target;
    p->target_depth = p->depth;
}

static void begin_element(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int n_namespaces,
                          const xmlChar **namespaces, int n_attributes, int n_defaulted, const xmlChar **attributes) {
    (void)prefix, (void)uri, (void)n_namespaces, (void)namespaces, (void)n_attributes, (void)n_defaulted, (void)attributes;
    dump_page_parser *p = user;
    p->depth++;
    if (p->depth == 1) p->in_page = is_name(name, "page");
    if (p->depth == 2) p->in_revision = p->in_page && is_name(name, "revision");
    if (p->depth == 2 && p->in_page && is_name(name, "title")) begin_text(p, &p->page.title);
    if (p->depth == 2 && p->in_page && is_name(name, "ns")) begin_text(p, &p->page.ns);
    if (p->depth == 2 && p->in_page && is_name(name, "redirect")) p->page.redirects = true;
    if (p->depth == 3 && p->in_revision && is_name(name, "text")) begin_text(p, &p->page.text);
}

static void end_element(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
    (void)name, (void)prefix, (void)uri;
    dump_page_parser *p = user;
    if (p->target && p->depth == p->target_depth) p->target = NULL;
    p->depth--;
}

static void take_text(void *user, const xmlChar *text, int n) {
    dump_page_parser *p = user;
    if (!p->target || n <= 0) return;
    strbuf_append(p->target, text, (size_t)n);
    p->failed |= !strbuf_ok(p->target);
}

#if LIBXML_VERSION >= 21200
typedef const xmlError *xml_message;
#else
typedef xmlErrorPtr xml_message;
#endif

/* The first message is kept, on one line; later ones may come from it. */
static void take_error(void *user, xml_message error) {
    dump_page_parser *p = user;
    p->failed |= error->code == XML_ERR_NO_MEMORY;
    if (p->reason[0] || error->level < XML_ERR_ERROR) return;
    const char *message = error->message ? error->message : "not well-formed";
    size_t n = strcspn(message, "\n");
    while (n > 0 && message[n - 1] == ' ') n--;
    snprintf(p->reason, sizeof p->reason, "line %d of it: %.*s", error->line, (int)n, message);
}

/* What libxml2 says outside of a parser, which is that memory is short, goes to the thread's receiver, and without one to
 * stderr. */
typedef struct receiver {
    void *data;
    xmlStructuredErrorFunc function;
} receiver;

static void take_failure(void *user, xml_message error) {
    dump_page_parser *p = user;
    p->failed |= error->code == XML_ERR_NO_MEMORY;
}

static receiver begin_quiet(dump_page_parser *p) {
    const receiver before = {xmlStructuredErrorContext, xmlStructuredError};
    xmlSetStructuredErrorFunc(p, take_failure);
    return before;
}

static void end_quiet(receiver before) { xmlSetStructuredErrorFunc(before.data, before.function); }

/* ---- pages ---- */

pofac_status dump_page_parser_create(const diag_sink *sink, dump_page_parser **out) {
    *out = NULL;
    dump_page_parser *p = calloc(1, sizeof *p);
    if (!p) return diag_out_of_memory(sink);
    xmlInitParser();
    const receiver before = begin_quiet(p);
    p->context = xmlNewParserCtxt();
    end_quiet(before);
    if (!p->context) {
        free(p);
        return diag_out_of_memory(sink);
    }
    /* Only what is named here is called: no messages to stderr, no tree, no external documents. */
    *p->context->sax = (xmlSAXHandler){.initialized = XML_SAX2_MAGIC,
                                       .startElementNs = begin_element,
                                       .endElementNs = end_element,
                                       .characters = take_text,
                                       .cdataBlock = take_text,
                                       .serror = take_error};
    p->context->userData = p;
    *out = p;
    return POFAC_OK;
}

pofac_status dump_page_parse(dump_page_parser *p, const char *xml, size_t n, const diag_sink *sink, const dump_page **page,
                             const char **reason) {
    /* HUGE: a page may have more text than libxml2's default of 10 MB; max_document_bytes bounds it. */
    const int options = XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
    strbuf_clear(&p->page.title);
    strbuf_clear(&p->page.ns);
    strbuf_clear(&p->page.text);
    p->page.redirects = p->in_page = p->in_revision = p->failed = false;
    p->reason[0] = 0;
    p->target = NULL;
    p->depth = 0;
    *page = &p->page;
    *reason = NULL;
    const receiver before = begin_quiet(p);
    xmlDocPtr document = xmlCtxtReadMemory(p->context, xml, (int)n, NULL, NULL, options);
    if (document) xmlFreeDoc(document);
    end_quiet(before);
    const bool was_parsed = p->in_page || !p->context->wellFormed; /* else libxml2 had no memory to begin */
    if (p->failed || p->context->errNo == XML_ERR_NO_MEMORY || !was_parsed) return diag_out_of_memory(sink);
    if (!p->context->wellFormed) *reason = p->reason[0] ? p->reason : "it is not well-formed";
    return POFAC_OK;
}

void dump_page_parser_destroy(dump_page_parser *p) {
    if (!p) return;
    xmlFreeParserCtxt(p->context);
    strbuf_free(&p->page.title);
    strbuf_free(&p->page.ns);
    strbuf_free(&p->page.text);
    free(p);
}
