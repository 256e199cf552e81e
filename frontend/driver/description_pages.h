/* Reference pages in Markdown, and the schema, as `pofac reference` prints them; docs/ holds the pages. */
#ifndef POFAC_FRONTEND_DESCRIPTION_PAGES_H
#define POFAC_FRONTEND_DESCRIPTION_PAGES_H

#include "ir/support/strbuf.h"

/* Elements and attributes of descriptions (frontend/xml.def), and their RELAX NG schema. */
void description_reference_write(strbuf *out);
void description_schema_write(strbuf *out);

/* Element types, operations with their attributes, passes with their options, pipelines (ir/dtypes.def, ops.def, passes.def, pipelines.def). */
void ir_reference_write(strbuf *out);

#endif
