/* From elements of the tree to their tags; see xml_places.h. */
#include "frontend/model/xml_places.h"

#include <string.h>

#include <libxml/tree.h>

void xml_tie_tags(struct _xmlDoc *document, const xml_source *source) {
    xmlNode *root = xmlDocGetRootElement(document);
    size_t i = 0;
    for (xmlNode *node = root; node && i < source->n_tags;) {
        if (node->type == XML_ELEMENT_NODE) node->_private = (void *)&source->tags[i++];
        if (node->type == XML_ELEMENT_NODE && node->children) {
            node = node->children;
            continue;
        }
        while (node != root && !node->next) node = node->parent;
        node = node == root ? NULL : node->next;
    }
}

diag_place xml_element_place(const xml_source *source, const xmlNode *node) {
    const xml_tag *tag = node->_private;
    return tag ? xml_source_place(source, tag->begin) : (diag_place){.file = source->file};
}

static const xml_tag_attribute *find_tag_attribute(const xml_source *source, const xmlNode *node, const char *prefix,
                                                   const char *name) {
    const xml_tag *tag = node->_private;
    const size_t prefix_bytes = prefix ? strlen(prefix) + 1 : 0, n = prefix_bytes + strlen(name);
    for (size_t i = 0; tag && i < tag->n_attributes; i++) {
        const char *at = source->bytes + tag->attributes[i].name.offset;
        if (tag->attributes[i].name_bytes != n || memcmp(at + prefix_bytes, name, n - prefix_bytes) != 0) continue;
        if (!prefix || memcmp(at, prefix, prefix_bytes - 1) == 0) return &tag->attributes[i];
    }
    return NULL;
}

diag_place xml_attribute_name_place(const xml_source *source, const xmlNode *node, const char *prefix, const char *name) {
    const xml_tag_attribute *at = find_tag_attribute(source, node, prefix, name);
    return at ? xml_source_place(source, at->name) : xml_element_place(source, node);
}

diag_place xml_attribute_value_place(const xml_source *source, const xmlNode *node, const char *name) {
    const xml_tag_attribute *at = find_tag_attribute(source, node, NULL, name);
    return at ? xml_source_place(source, at->value) : xml_element_place(source, node);
}
