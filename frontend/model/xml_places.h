/*
 * Where the elements and attributes of libxml2's tree stand in the text: the i-th tag of xml_source is the i-th element in document order.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_PLACES_H
#define POFAC_FRONTEND_MODEL_XML_PLACES_H

#include "frontend/model/xml_source.h"

struct _xmlDoc;
struct _xmlNode;

/* Ties each element of the tree to its tag, for the functions below; the tree is not to change its elements afterwards. */
void xml_tie_tags(struct _xmlDoc *document, const xml_source *source);

/* Of an element's tag; of an attribute's name and value, and of the tag where the text does not have the attribute. `prefix` may be NULL. */
diag_place xml_element_place(const xml_source *source, const struct _xmlNode *node);
diag_place xml_attribute_name_place(const xml_source *source, const struct _xmlNode *node, const char *prefix, const char *name);
diag_place xml_attribute_value_place(const xml_source *source, const struct _xmlNode *node, const char *name);

#endif
