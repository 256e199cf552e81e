/*
 * Descriptions of any content: read or refused with a message, and what is read can be walked.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/model/xml_document.h"
#include "ir/support/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Looks at every place and value; the sum keeps the reads. */
static size_t walk(const xml_element *element) {
    size_t sum = element->place.column;
    for (size_t i = 0; i < element->n_attrs; i++) {
        const xml_attr *attr = &element->attrs[i];
        sum += strlen(attr->text) + attr->place.line;
        if (attr->place.text_bytes) sum += (unsigned char)attr->place.text[attr->place.text_bytes - 1];
        const char *text = xml_attr_string(element, attr->row->name);
        if (text) sum += strlen(text);
    }
    for (const xml_element *child = element->first_child; child; child = child->next) sum += walk(child);
    return sum;
}

/* Counts messages. The reader's check and libxml2's must not differ. */
static void take(void *user, const diag *d) {
    static const char disagreement[] = "found a document that the schema refuses";
    if (strncmp(d->message, disagreement, sizeof disagreement - 1) == 0) abort();
    strbuf rendered = STRBUF_INIT;
    diag_render(d, &rendered);
    strbuf_free(&rendered);
    ++*(size_t *)user;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena a = ARENA_INIT;
    size_t messages = 0;
    diag_sink sink = {take, &messages};
    xml_document *document;
    pofac_status status = xml_document_parse("folder/fuzz.xml", (const char *)data, size, &a, &sink, &document);
    if ((status == POFAC_OK) != (messages == 0)) abort(); /* an error without a message, or a message without an error */
    if (document && walk(document->root) == 0) abort();
    arena_free(&a);
    return 0;
}
