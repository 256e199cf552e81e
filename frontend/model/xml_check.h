/*
 * From libxml2's tree to elements with typed attributes, checked against the table.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_CHECK_H
#define POFAC_FRONTEND_MODEL_XML_CHECK_H

#include "frontend/model/xml_document.h"
#include "frontend/model/xml_report.h"
#include "frontend/model/xml_source.h"

struct _xmlDoc;

/* Where relative paths start: at the document's folder; in a pipeline only those that begin with ./ do, others where the program is started. */
typedef enum xml_paths { XML_PATHS_OF_DOCUMENT, XML_PATHS_OF_PIPELINE } xml_paths;

/* Checks the whole document, telling every error, and builds its elements in `a`. Its elements are tied to their tags (xml_places.h). */
POFAC_MUST_USE pofac_status xml_check_document(struct _xmlDoc *document, const xml_source *source, xml_paths paths, arena *a,
                                               xml_report *report, xml_element **root);

#endif
