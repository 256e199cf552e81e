/*
 * The table of elements and attributes of a description (frontend/xml.def), and how a row reads a value.
 *
 * All columns are text in the table; the interval of a row and its words are taken apart here. Nothing allocates but integer lists.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_TABLE_H
#define POFAC_FRONTEND_MODEL_XML_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/strbuf.h"

#define XML_NAMESPACE "urn:pofac:1"

typedef enum xml_occurs { XML_OCCURS_ONE, XML_OCCURS_OPTIONAL, XML_OCCURS_MANY } xml_occurs;

typedef enum xml_type {
    XML_TYPE_STRING,
    XML_TYPE_PATH,
    XML_TYPE_INT,
    XML_TYPE_INTS,
    XML_TYPE_FLOAT,
    XML_TYPE_BOOL,
    XML_TYPE_WORD
} xml_type;

typedef struct xml_element_row {
    const char *name, *parent; /* the document's element stands first and has the parent "none" */
    xml_occurs occurs;
    const char *help;
} xml_element_row;

typedef struct xml_attribute_row {
    const char *element, *name;
    xml_type type;
    const char *range; /* as in xml.def */
    bool required;
    const char *standard; /* the default; NULL: none */
    const char *help;
} xml_attribute_row;

/* Exactly one of `names` ("from|bert|distilbert") stands in `element`. */
typedef struct xml_one_of_row {
    const char *element, *names;
} xml_one_of_row;

typedef struct xml_value {
    union {
        const char *string; /* STRING, PATH, WORD */
        int64_t integer;    /* INT */
        double number;      /* FLOAT */
        bool truth;         /* BOOL */
        struct {
            const int64_t *items;
            size_t n;
        } integers; /* INTS */
    } as;
} xml_value;

typedef enum xml_reading { XML_READ, XML_WRONG_TYPE, XML_OUT_OF_RANGE, XML_NO_MEMORY } xml_reading;

size_t xml_element_count(void);
size_t xml_attribute_count(void);
size_t xml_one_of_count(void);
const xml_element_row *xml_element_at(size_t i);
const xml_attribute_row *xml_attribute_at(size_t i);
const xml_one_of_row *xml_one_of_at(size_t i);

/* Rows by name; NULL when there is none. */
const xml_element_row *xml_element_row_find(const char *name);
const xml_attribute_row *xml_attribute_row_find(const char *element, const char *name);

/* May `child` stand in `element`: is it its parent, or does a row XML_HOLDS say so? */
bool xml_element_holds(const char *element, const xml_element_row *child);

/* The number of words in "a|b|c", its i-th word, and where `word` stands in it (SIZE_MAX: nowhere). */
size_t xml_words_count(const char *words);
const char *xml_words_at(const char *words, size_t i, size_t *bytes);
size_t xml_words_find(const char *words, const char *word, size_t word_bytes);

/* Reads `text` as the row says. Blanks around anything but strings and paths are ignored, as XML Schema does. Strings are copied
 * into `a`. Needs the numbers of the C locale (xml_document.c sees to it). */
xml_reading xml_value_read(const xml_attribute_row *row, const char *text, arena *a, xml_value *out);

/* Appends what the row wants: "an integer from 1 to 512", "one of avg, max". */
void xml_value_wanted(const xml_attribute_row *row, strbuf *out);

/* The ends of an interval: `low` and `high` point into the range ("1" of "[1,512]*2"), *items is 2 there and 1 without a star. */
typedef struct xml_interval {
    char low[32], high[32];
    bool low_open, high_open;
    size_t items;
} xml_interval;
xml_interval xml_interval_parse(const char *range);

const char *xml_type_name(xml_type type);       /* "integer" */
const char *xml_occurs_name(xml_occurs occurs); /* "one" */

/* Appends one line per row: element, attribute, type, range, default and help, with tabs between them (`pofac list xml`). */
void xml_table_list(strbuf *out);

#endif
