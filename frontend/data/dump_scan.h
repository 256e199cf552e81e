/* Finds where pages of a dump begin and end, by the tags <page> and </page>: wikitext in a dump has no < of its own. */
#ifndef POFAC_FRONTEND_DATA_DUMP_SCAN_H
#define POFAC_FRONTEND_DATA_DUMP_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define DUMP_NO_PAGE ((size_t)-1)

/* A scan of bytes that may grow. */
typedef struct dump_scan {
    size_t at;    /* all tags that begin before were seen */
    size_t begin; /* of the page that is open, or DUMP_NO_PAGE */
    size_t limit; /* pages that begin here or behind are not wanted; DUMP_NO_PAGE: all are */
} dump_scan;

typedef enum dump_event {
    DUMP_PAGE,     /* [begin, end) is a page */
    DUMP_UNCLOSED, /* [begin, end) is a page without its end tag: another one begins at `end` */
    DUMP_MORE,     /* the bytes end; what stands at `at` may be the beginning of a tag */
    DUMP_STOP      /* behind `at` only pages begin that are not wanted */
} dump_event;

/* The next thing in the n bytes. */
dump_event dump_scan_next(dump_scan *s, const char *bytes, size_t n, size_t *begin, size_t *end);

/* Whether the n bytes could be the beginning of `<page>` and are too few to tell. */
bool dump_may_begin_page(const char *bytes, size_t n);

/* Where the next <page> begins, in [from, n); n when there is none. */
size_t dump_find_page(const char *bytes, size_t n, size_t from);

#endif
