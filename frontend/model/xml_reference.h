/* The reference page of descriptions, made from the table. */
#ifndef POFAC_FRONTEND_MODEL_XML_REFERENCE_H
#define POFAC_FRONTEND_MODEL_XML_REFERENCE_H

#include "ir/support/strbuf.h"

/* Appends the page as Markdown: for each element where it stands, how often and what for, and a table of its attributes. */
void xml_reference_write(strbuf *out);

#endif
