/* A page of a MediaWiki dump, as XML -> its title, namespace and wikitext. */
#ifndef POFAC_FRONTEND_DATA_DUMP_PAGE_H
#define POFAC_FRONTEND_DATA_DUMP_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/support/diag.h"
#include "ir/support/status.h"
#include "ir/support/strbuf.h"

/* Valid until the next page is read. */
typedef struct dump_page {
    strbuf title, ns, text; /* of the last revision where there are several; `ns` is a number, or "" where the dump has none */
    bool redirects;         /* has an element <redirect/> */
} dump_page;

/* Parses pages one after the other, reusing memory. Used by one thread at a time. */
typedef struct dump_page_parser dump_page_parser;

POFAC_MUST_USE pofac_status dump_page_parser_create(const diag_sink *sink, dump_page_parser **out);

/* `xml` is `<page>...</page>`. NULL in *reason when it is well-formed, else what is wrong with it; the page then holds what came
 * before. Nothing outside the bytes is read, and entities are XML's own alone: there is no document type in an element.
 * POFAC_ERR_RUNTIME when memory is short. */
POFAC_MUST_USE pofac_status dump_page_parse(dump_page_parser *p, const char *xml, size_t n, const diag_sink *sink,
                                            const dump_page **page, const char **reason);

void dump_page_parser_destroy(dump_page_parser *p); /* NULL is fine */

#endif
