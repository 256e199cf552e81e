/* How the sections of a recipe are read: between recipe.c, which has values and most sections, and recipe_pruning.c, which has <prune>, <teacher> and <distill>, and
 * recipe_quantization.c, which has <quantize>. */
#ifndef POFAC_FRONTEND_RECIPE_READER_H
#define POFAC_FRONTEND_RECIPE_READER_H

#include "frontend/driver/recipe.h"
#include "frontend/model/xml_document.h"

typedef struct recipe_reader {
    const recipe_option *options;
    size_t n_options;
    const xml_element *root; /* NULL: no document */
    arena *a;
    const diag_sink *sink;
    pofac_status status; /* of the first value that is wrong */
} recipe_reader;

/* A value and where it comes from. */
typedef struct recipe_setting {
    bool is_there; /* given, or a default */
    bool is_option, is_written;
    diag_place place; /* of what a document wrote */
    const char *name; /* of the option, or of the attribute */
    xml_value value;
} recipe_setting;

/* The text that was given for an option; NULL: none. */
const char *recipe_option_text(const recipe_reader *r, const char *name);

/* The option's value where one is given, else the document's, else the table's default. */
recipe_setting recipe_get(recipe_reader *r, const char *element, const char *name);

/* The setting as messages call it: with two dashes where it is an option. */
pofac_status recipe_wrong(const recipe_reader *r, const recipe_setting *s, const char *what);

/* <prune> and its options, with the configuration that they name; <teacher> and <distill>. */
POFAC_MUST_USE pofac_status recipe_read_pruning(recipe_reader *r, recipe *out);
POFAC_MUST_USE pofac_status recipe_read_distillation(recipe_reader *r, recipe *out);

/* <quantize> and its options, with the configuration that they name; <prune> is read. */
POFAC_MUST_USE pofac_status recipe_read_quantization(recipe_reader *r, recipe *out);

/* Parts of names: lines of the option, else the patterns of the parent's children of that name; *out stays where both are silent. The parent may be NULL. */
POFAC_MUST_USE pofac_status recipe_read_parts(recipe_reader *r, const xml_element *parent, const char *name,
                                              const char *const **out, size_t *n);

/* Lines NAME=VALUE of settings. */
void recipe_put_int(strbuf *out, const char *name, int64_t value);
void recipe_put_text(strbuf *out, const char *name, const char *value); /* NULL: empty */
void recipe_put_real(strbuf *out, const char *name, double value);
void recipe_put_pruning(const recipe *r, strbuf *out);
void recipe_put_quantization(const recipe *r, strbuf *out);
void recipe_put_distillation(const recipe *r, strbuf *out);

#endif
