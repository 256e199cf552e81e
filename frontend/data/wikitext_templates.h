/* What a reader sees of a template call: {{convert|5|km}} is "5 km". The templates that are known stand in wikitext_templates.def. */
#ifndef POFAC_FRONTEND_DATA_WIKITEXT_TEMPLATES_H
#define POFAC_FRONTEND_DATA_WIKITEXT_TEMPLATES_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/support/strbuf.h"

#define WIKITEXT_MAX_ARGUMENTS 16 /* without a name; more are dropped */

/* The arguments with a name that change what a reader sees. */
typedef enum template_name {
    TEMPLATE_OTHER = -1, /* changes nothing: dropped */
    TEMPLATE_FIRST,      /* text, quote, content, 1: the first argument */
    TEMPLATE_ALT,        /* shown instead of what the template would say */
    TEMPLATE_LC,         /* begins with a lower-case letter */
    TEMPLATE_DF,         /* the form of dates */
    TEMPLATE_E,          /* a power of ten */
    TEMPLATE_U,          /* a unit */
    TEMPLATE_N_NAMES
} template_name;

typedef struct template_text {
    const char *text; /* not 0-terminated; NULL: there is no such argument */
    size_t bytes;
} template_text;

typedef struct template_arguments {
    template_text positional[WIKITEXT_MAX_ARGUMENTS];
    size_t n_positional;
    template_text named[TEMPLATE_N_NAMES];
} template_arguments;

/* A name's rows of the table. */
typedef struct wikitext_template {
    const struct template_row *rows;
    size_t n_rows;
    char suffix[12]; /* of a name that a row gives the beginning of: "fr" of "lang-fr" */
} wikitext_template;

/* Looks a name up, as it is written in the text: in any case, with '_' for ' ', and spaces around it. False: dropped. */
bool wikitext_template_find(const char *name, size_t bytes, wikitext_template *out);

/* Whether the template says that a page lists the meanings of its title. */
bool wikitext_template_disambiguates(const wikitext_template *t);

/* Which argument a name ("text" of text=...) means. A number is the place of one without a name: then *position is set, from 0. */
template_name wikitext_template_argument(const char *name, size_t bytes, size_t *position);

/* Appends what a reader sees: nothing when the arguments are too few; PROSE_DROPPED stands for empty arguments. */
void wikitext_template_render(const wikitext_template *t, const template_arguments *arguments, strbuf *out);

/* Appends a line for each row of the table: the name, how many arguments it needs, what it shows. */
void wikitext_templates_put(strbuf *out);

#endif
