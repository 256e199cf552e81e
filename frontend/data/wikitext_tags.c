/*
 * Finds tags. Names are compared without regard to case; attributes are skipped unread, up to '>', and never over a '<', so that a
 * text of many '<' costs no more than its length.
 */
#include "frontend/data/wikitext_tags.h"

#include <string.h>

typedef struct tag_row {
    const char *name;
    unsigned char bytes; /* of the name */
    unsigned char action;
} tag_row;

static const tag_row rows[] = {
#define TAG(name, action) {name, sizeof name - 1, TAG_##action},
#include "frontend/data/wikitext_tags.def"
#undef TAG
};

static char lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

static bool is_name(char c) { return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9'); }

static bool same_name(const char *text, const tag_row *row) {
    for (size_t i = 0; i < row->bytes; i++)
        if (lower(text[i]) != row->name[i]) return false;
    return true;
}

/* The row of a name, by halving: the table is in the order of the alphabet. */
static bool find_row(const char *name, size_t bytes, size_t *out) {
    size_t low = 0, high = WIKITEXT_N_TAGS;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const tag_row *row = &rows[middle];
        int order = 0;
        for (size_t i = 0; order == 0 && i < bytes && i < row->bytes; i++) order = lower(name[i]) - row->name[i];
        if (order == 0) order = (int)bytes - (int)row->bytes;
        if (order == 0) return *out = middle, true;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return false;
}

bool wikitext_tag_read(const char *text, size_t bytes, wikitext_tag *out) {
    size_t at = 1;
    out->end = bytes > 1 && text[1] == '/';
    if (out->end) at++;
    const size_t name = at;
    while (at < bytes && at - name < 16 && is_name(text[at])) at++;
    if (at == name || !find_row(text + name, at - name, &out->row)) return false;
    if (at < bytes && !strchr(" \t\n\r/>", text[at])) return false;
    while (at < bytes && text[at] != '>' && text[at] != '<') at++;
    if (at == bytes || text[at] == '<') return false;
    out->closed = text[at - 1] == '/';
    out->action = (wikitext_tag_action)rows[out->row].action;
    out->bytes = at + 1;
    return true;
}

bool wikitext_tag_find_end(size_t row, const char *text, size_t bytes, size_t *begin, size_t *end, size_t *visited) {
    const tag_row *wanted = &rows[row];
    const char *at = text, *stop = text + bytes;
    while ((at = memchr(at, '<', (size_t)(stop - at)))) {
        const bool is_end = stop - at > 1 && at[1] == '/';
        const char *name = at + 1 + is_end;
        if ((is_end || wanted->action == TAG_REFERENCE) && stop - name > wanted->bytes && same_name(name, wanted) &&
            !is_name(name[wanted->bytes])) {
            const char *close = memchr(name, '>', (size_t)(stop - name));
            *visited += (size_t)((close ? close : stop) - text);
            *begin = (size_t)(at - text);
            *end = close ? (size_t)(close + 1 - text) : bytes;
            return is_end;
        }
        at++;
    }
    *visited += bytes;
    return false;
}
