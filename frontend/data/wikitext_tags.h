/* The tags of wikitext: which there are (wikitext_tags.def), and where one ends. */
#ifndef POFAC_FRONTEND_DATA_WIKITEXT_TAGS_H
#define POFAC_FRONTEND_DATA_WIKITEXT_TAGS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum wikitext_tag_action {
    TAG_KEEP,
    TAG_SPACE,
    TAG_PARAGRAPH,
    TAG_DROP,
    TAG_REFERENCE,
    TAG_TABLE,
    TAG_LITERAL,
    TAG_FORMULA
} wikitext_tag_action;

enum {
#define TAG(name, action) +1
    WIKITEXT_N_TAGS = 0
#include "frontend/data/wikitext_tags.def"
#undef TAG
};

typedef struct wikitext_tag {
    size_t row; /* of the table */
    wikitext_tag_action action;
    bool end;     /* </name> */
    bool closed;  /* <name/> */
    size_t bytes; /* from '<' to behind '>' */
} wikitext_tag;

/* Reads the tag that begins at text[0] = '<'; false when it is none of the table, or has no '>' before the next '<'. */
bool wikitext_tag_read(const char *text, size_t bytes, wikitext_tag *out);

/* The end tag of a row: the offset of the first "</name" in the text, and of the end of that tag; false when there is none. For a
 * REFERENCE, also when another one begins before. *visited grows by the bytes looked at. */
bool wikitext_tag_find_end(size_t row, const char *text, size_t bytes, size_t *begin, size_t *end, size_t *visited);

#endif
