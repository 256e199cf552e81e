/*
 * libxml2's tree of a description, parsed without network, document types and other files.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_TREE_H
#define POFAC_FRONTEND_MODEL_XML_TREE_H

#include "frontend/model/xml_report.h"
#include "frontend/model/xml_source.h"

struct _xmlDoc;

/* NULL after telling libxml2's first error. */
struct _xmlDoc *xml_tree_parse(const xml_source *source, xml_report *report);
void xml_tree_free(struct _xmlDoc *tree); /* NULL is fine */

#endif
