/*
 * A description: one model, and optionally what to do to it (the XML of frontend/xml.def, namespace urn:pofac:1).
 *
 * The reader checks documents against the table and has libxml2 validate what it accepts by the RELAX NG schema made from the same
 * table. Document types, entities, other encodings than UTF-8 and the network are off. Everything is POFAC_ERR_INPUT with the place
 * of what was found and what was wanted; up to 20 errors of a document are told. Threads may read documents at the same time.
 *
 * A document may be a pipeline instead (frontend/driver/pipeline.h); then it has no model.
 *
 * A document and all that hangs on it live in the arena that it was read into, and never change.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_DOCUMENT_H
#define POFAC_FRONTEND_MODEL_XML_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/model/model_spec.h"
#include "frontend/model/xml_table.h"
#include "ir/support/arena.h"
#include "ir/support/diag.h"

/* An attribute that has a value: written in the document, or else the table's default. */
typedef struct xml_attr {
    const xml_attribute_row *row;
    bool written;
    diag_place place; /* of the value; of the element for a default */
    const char *text; /* as written */
    xml_value value;  /* paths: relative ones start at the document's folder */
} xml_attr;

typedef struct xml_element {
    const xml_element_row *row;
    diag_place place; /* of the tag */
    const xml_attr *attrs;
    size_t n_attrs;
    const struct xml_element *first_child, *next; /* in the document's order */
} xml_element;

/* The model section. Paths are NULL where the document has none. */
typedef struct xml_model {
    const char *name;          /* NULL: none */
    const char *from;          /* a Hugging Face directory, or NULL: then `spec` is the model */
    bool has_spec;             /* the document has <bert> or <distilbert> */
    model_spec spec;           /* with head, num_labels and labels filled in; undefined without has_spec */
    model_head head;           /* HEAD_AUTO: not said */
    int64_t num_labels;        /* 0: not said, neither as a number nor by <label> */
    const char *const *labels; /* [num_labels], or NULL */
    bool has_problem_type, regression;
    const char *checkpoint; /* file of the weights */
    const char *vocab;      /* tokenizer; the three settings below hold only with it */
    bool do_lower_case, strip_accents, tokenize_chinese_chars;
} xml_model;

typedef struct xml_document {
    const char *path;
    const xml_element *root;
    xml_model model;
} xml_document;

/* A parameter of a pipeline. */
typedef struct xml_parameter {
    const char *name, *value;
} xml_parameter;

/* Reads the file `path`, which is a model's: a pipeline is refused. */
POFAC_MUST_USE pofac_status xml_document_read(const char *path, arena *a, const diag_sink *sink, xml_document **out);

/* Reads `n` bytes that came from `path`: the name in messages, and where relative paths start. */
POFAC_MUST_USE pofac_status xml_document_parse(const char *path, const char *bytes, size_t n, arena *a, const diag_sink *sink,
                                               xml_document **out);

/* The same of a pipeline: a model is refused. ${NAME} is replaced everywhere, by what is `given` [n_given] and else by its <parameter>; ${stage:NAME} and
 * ${out} stay. Paths that begin with ./ start at the document's folder. */
POFAC_MUST_USE pofac_status xml_pipeline_read(const char *path, const xml_parameter *given, size_t n_given, arena *a,
                                              const diag_sink *sink, xml_document **out);
POFAC_MUST_USE pofac_status xml_pipeline_parse(const char *path, const char *bytes, size_t n, const xml_parameter *given,
                                               size_t n_given, arena *a, const diag_sink *sink, xml_document **out);

/* The first child of that name, the next sibling of the same name; NULL where there is none. `element` may be NULL. */
const xml_element *xml_child(const xml_element *element, const char *name);
const xml_element *xml_next(const xml_element *element);

/* The attribute `name`, or NULL where it is neither written nor has a default. `element` may be NULL. */
const xml_attr *xml_attr_get(const xml_element *element, const char *name);
bool xml_attr_written(const xml_element *element, const char *name);

/* Values by name; of an attribute without a value, of another type or of no element: NULL, 0, 0.0, false. */
const char *xml_attr_string(const xml_element *element, const char *name); /* STRING, PATH, WORD */
int64_t xml_attr_int(const xml_element *element, const char *name);
double xml_attr_float(const xml_element *element, const char *name);
bool xml_attr_bool(const xml_element *element, const char *name);
const int64_t *xml_attr_ints(const xml_element *element, const char *name, size_t *n);

#endif
