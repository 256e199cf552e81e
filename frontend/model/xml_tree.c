/*
 * The text of a description to libxml2's tree.
 *
 * libxml2 reads from memory, in UTF-8 whatever is declared (xml_source.c has refused the rest), with its limits of depth and size
 * on. It never opens another file: no network, no document type, no inclusion.
 */
#include "frontend/model/xml_tree.h"

#include <stdbool.h>

#include <libxml/parser.h>

#include "frontend/model/xml_listener.h"

/* libxml2 calls this with the name of a document type, before it reads what is declared there: no entity comes to be. */
static void refuse_document_type(void *user, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
    xmlParserCtxtPtr parser = user;
    (void)name, (void)external, (void)system;
    *(bool *)parser->_private = true;
    xmlStopParser(parser);
}

static xmlDocPtr parse(const xml_source *source, bool *has_document_type) {
    xmlParserCtxtPtr parser = xmlNewParserCtxt();
    if (!parser) return NULL;
    parser->_private = has_document_type;
    parser->sax->internalSubset = refuse_document_type;
    xmlDocPtr tree =
        xmlCtxtReadMemory(parser, source->bytes, (int)source->n_bytes, NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
    xmlFreeParserCtxt(parser);
    return tree;
}

struct _xmlDoc *xml_tree_parse(const xml_source *source, xml_report *report) {
    xml_listener listener;
    bool has_document_type = false;
    xmlInitParser();
    xml_listener_begin(&listener);
    xmlDocPtr tree = parse(source, &has_document_type);
    xml_listener_end(&listener);
    if (tree && !listener.heard && !has_document_type) return tree;
    xmlFreeDoc(tree);
    diag_place place = has_document_type ? xml_source_place(source, source->document_type)
                                         : xml_source_place_at(source, listener.line, listener.column);
    if (has_document_type) (void)!xml_report_error(report, XML_MESSAGE_DOCUMENT_TYPE, &place, "", "", "", "");
    else
        (void)!xml_report_error(report, XML_MESSAGE_MALFORMED, &place, listener.heard ? listener.text : "no reason is given", "",
                                "", "");
    return NULL;
}

void xml_tree_free(struct _xmlDoc *tree) { xmlFreeDoc(tree); }
