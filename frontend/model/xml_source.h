/*
 * The text of a description and the places in it: where each start tag and each attribute stands, found by one scan beside
 * libxml2's parser, which gives lines only. The i-th tag here is the i-th element of the parsed document in document order.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_SOURCE_H
#define POFAC_FRONTEND_MODEL_XML_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"

/* More than a description ever needs; the limits keep offsets in 32 bits and the worst document cheap. */
#define XML_SOURCE_MAX_BYTES 1048576u
#define XML_SOURCE_MAX_ELEMENTS 10000u
#define XML_SOURCE_MAX_ATTRIBUTES 1000u /* of one element; libxml2 compares each with each */

typedef struct xml_spot {
    uint32_t offset, line, line_begin; /* bytes; line from 1 */
} xml_spot;

typedef struct xml_tag_attribute {
    xml_spot name, value; /* value: behind the quote */
    uint32_t name_bytes;
} xml_tag_attribute;

typedef struct xml_tag {
    xml_spot begin; /* of the < */
    const xml_tag_attribute *attributes;
    size_t n_attributes;
} xml_tag;

typedef struct xml_source {
    const char *file; /* as messages name it */
    const char *bytes;
    size_t n_bytes;
    const xml_tag *tags;
    size_t n_tags;
    xml_spot document_type; /* of <!DOCTYPE; line 0: none */
} xml_source;

/* Copies `file` and the `n` bytes into `a` and finds the tags, up to where a text stops being XML. Refuses with POFAC_ERR_INPUT:
 * more than XML_SOURCE_MAX_BYTES, bytes that are not UTF-8 or that XML forbids, another declared encoding, more elements or
 * attributes than above. */
POFAC_MUST_USE pofac_status xml_source_open(const char *file, const char *bytes, size_t n, arena *a, const diag_sink *sink,
                                            xml_source *out);

/* For messages: the place of a spot; the place of a line and column as libxml2 counts them. Line 0: the file alone; column 0: no
 * caret. */
diag_place xml_source_place(const xml_source *source, xml_spot spot);
diag_place xml_source_place_at(const xml_source *source, size_t line, size_t column);

#endif
