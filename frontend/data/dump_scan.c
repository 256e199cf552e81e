/* Tags of pages; see dump_scan.h. A page tag in a comment or a CDATA section would be taken for one: MediaWiki writes neither. */
#include "frontend/data/dump_scan.h"

#include <string.h>

#define BEGIN_TAG "<page"
#define END_TAG "</page>"
#define BEGIN_BYTES (sizeof BEGIN_TAG) /* with the byte behind it */
#define END_BYTES (sizeof END_TAG - 1)

static bool ends_name(char c) { return c == '>' || c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool begins_page(const char *tag, size_t n) {
    return n >= BEGIN_BYTES && memcmp(tag, BEGIN_TAG, BEGIN_BYTES - 1) == 0 && ends_name(tag[BEGIN_BYTES - 1]);
}

static bool ends_page(const char *tag, size_t n) { return n >= END_BYTES && memcmp(tag, END_TAG, END_BYTES) == 0; }

dump_event dump_scan_next(dump_scan *s, const char *bytes, size_t n, size_t *begin, size_t *end) {
    while (s->at < n) {
        const char *found = memchr(bytes + s->at, '<', n - s->at);
        s->at = found ? (size_t)(found - bytes) : n;
        if (s->begin == DUMP_NO_PAGE && s->at >= s->limit) return DUMP_STOP;
        if (!found) break;
        if (begins_page(found, n - s->at)) {
            const bool was_open = s->begin != DUMP_NO_PAGE;
            *begin = s->begin;
            *end = s->at;
            s->begin = s->at < s->limit ? s->at : DUMP_NO_PAGE;
            s->at += BEGIN_BYTES;
            if (was_open) return DUMP_UNCLOSED;
        } else if (ends_page(found, n - s->at)) {
            s->at += END_BYTES;
            if (s->begin == DUMP_NO_PAGE) continue;
            *begin = s->begin;
            *end = s->at;
            s->begin = DUMP_NO_PAGE;
            return DUMP_PAGE;
        } else if (n - s->at < END_BYTES) { /* as long as <page and a byte, and one more */
            return DUMP_MORE;
        } else {
            s->at++;
        }
    }
    return DUMP_MORE;
}

bool dump_may_begin_page(const char *bytes, size_t n) {
    return n > 0 && n < BEGIN_BYTES && memcmp(bytes, BEGIN_TAG, n < BEGIN_BYTES - 1 ? n : BEGIN_BYTES - 1) == 0;
}

size_t dump_find_page(const char *bytes, size_t n, size_t from) {
    while (from < n) {
        const char *found = memmem(bytes + from, n - from, BEGIN_TAG, BEGIN_BYTES - 1);
        if (!found) break;
        from = (size_t)(found - bytes);
        if (begins_page(found, n - from)) return from;
        from++;
    }
    return n;
}
