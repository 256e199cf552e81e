/*
 * Parameters of a pipeline: ${NAME} in the attributes below <pipeline> becomes the value of the <parameter> of that name, before anything else
 * looks at them. ${stage:NAME} and ${out} stay as they are, since they are directories that are not known here. Names of the pipeline, of
 * parameters and of stages are taken as they are written.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_EXPAND_H
#define POFAC_FRONTEND_MODEL_XML_EXPAND_H

#include "frontend/model/xml_document.h"
#include "frontend/model/xml_report.h"
#include "frontend/model/xml_source.h"

struct _xmlDoc;

/* Changes the tree, whose elements are tied to their tags. `given` [n] win over the values of <parameter> elements, and become them. */
POFAC_MUST_USE pofac_status xml_expand(struct _xmlDoc *document, const xml_source *source, const xml_parameter *given, size_t n,
                                       xml_report *report);

#endif
