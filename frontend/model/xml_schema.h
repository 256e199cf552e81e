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

/* Appends the version of libxml2: "2.9.14". */
void xml_library_version(strbuf *out);

/* A compiled schema. One thread at a time validates with it. */
typedef struct xml_schema xml_schema;

/* Compiles the `n` bytes of a schema; one that libxml2 cannot read is an error with its first message. `source`: the document that
 * messages name. */
POFAC_MUST_USE pofac_status xml_schema_compile(const char *text, size_t n, const xml_source *source, xml_report *report,
                                               xml_schema **out);
void xml_schema_free(xml_schema *schema); /* NULL is fine */

/* A parsed document of `source` that the schema refuses is an error with libxml2's first message. */
POFAC_MUST_USE pofac_status xml_schema_validate(const xml_schema *schema, struct _xmlDoc *document, const xml_source *source,
                                                xml_report *report);

#endif
