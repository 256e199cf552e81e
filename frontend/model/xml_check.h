/*
 * From libxml2's tree to elements with typed attributes, checked against the table.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_CHECK_H
#define POFAC_FRONTEND_MODEL_XML_CHECK_H

#include "frontend/model/xml_document.h"
#include "frontend/model/xml_report.h"
#include "frontend/model/xml_source.h"

struct _xmlDoc;

/* Checks the whole document, telling every error, and builds its elements in `a`. */
POFAC_MUST_USE pofac_status xml_check_document(struct _xmlDoc *document, const xml_source *source, arena *a, xml_report *report,
                                               xml_element **root);

#endif
