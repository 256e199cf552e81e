/* Tags to spans to tags; see tag_scheme.h. */
#include "frontend/data/tag_scheme.h"

#include <string.h>

bool tag_scheme_parse(const char *name, tag_scheme *out) {
    static const struct {
        const char *name;
        tag_scheme scheme;
    } schemes[] = {
        {"as_is", TAGS_AS_THEY_ARE}, {"iob1", TAGS_IOB1}, {"iob2", TAGS_IOB2}, {"bio", TAGS_IOB2}, {"bioes", TAGS_BIOES}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strcmp(name, schemes[i].name) != 0) continue;
        *out = schemes[i].scheme;
        return true;
    }
    return false;
}

bool tag_is_span(const char *tag) { return strcmp(tag, "O") == 0 || (*tag && strchr("BIESLUM", *tag) && tag[1] == '-' && tag[2]); }

/* The prefix in the letters of BIOES. */
static char prefix(const char *tag) {
    switch (*tag) {
    case 'L': return 'E';
    case 'U': return 'S';
    case 'M': return 'I';
    default: return *tag;
    }
}

static bool has_same_type(const char *a, const char *b) { return *a != 'O' && *b != 'O' && strcmp(a + 2, b + 2) == 0; }

/* Does a span begin at `tag`, which follows `before`? */
static bool begins(const char *before, const char *tag) {
    if (*tag == 'O') return false;
    char p = prefix(tag), q = prefix(before);
    return p == 'B' || p == 'S' || q == 'E' || q == 'S' || !has_same_type(before, tag);
}

static char prefix_of(tag_scheme scheme, bool is_first, bool is_last, bool follows_its_type) {
    if (scheme == TAGS_IOB1) return is_first && follows_its_type ? 'B' : 'I';
    if (scheme == TAGS_IOB2) return is_first ? 'B' : 'I';
    if (is_first) return is_last ? 'S' : 'B';
    return is_last ? 'E' : 'I';
}

bool tags_convert(const char **tags, size_t n, tag_scheme scheme, arena *a) {
    const char *before = "O"; /* as it was */
    for (size_t i = 0; i < n; i++) {
        const char *tag = tags[i];
        if (*tag != 'O' && scheme != TAGS_AS_THEY_ARE) {
            bool is_last = i + 1 == n || tags[i + 1][0] == 'O' || begins(tag, tags[i + 1]);
            char wanted = prefix_of(scheme, begins(before, tag), is_last, has_same_type(before, tag));
            if (wanted != *tag) tags[i] = arena_printf(a, "%c%s", wanted, tag + 1);
            if (!tags[i]) return false;
        }
        before = tag;
    }
    return true;
}
