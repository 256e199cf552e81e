/*
 * The RELAX NG schema of descriptions, made from the table, and libxml2's judgement by it: the second opinion on every document.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_SCHEMA_H
#define POFAC_FRONTEND_MODEL_XML_SCHEMA_H

#include "frontend/model/xml_report.h"
#include "frontend/model/xml_source.h"
#include "ir/support/strbuf.h"

struct _xmlDoc;

/* Appends the schema in RELAX NG's XML syntax. It says all that the table says. */
void xml_schema_write(strbuf *out);

/* Validates a parsed document of `source` against the `n` bytes of a schema. A document that it refuses is an error with libxml2's first
 * message; a schema that cannot be compiled is one too. */
POFAC_MUST_USE pofac_status xml_schema_validate(const char *schema, size_t n, struct _xmlDoc *document, const xml_source *source,
                                                xml_report *report);

#endif
