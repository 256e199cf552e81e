/*
 * libxml2's errors, kept instead of printed: the first one's text and place.
 */
#include "frontend/model/xml_listener.h"

#include <string.h>

#include <libxml/xmlerror.h>

/* xmlStructuredErrorFunc of libxml2 before 2.12; later ones add a const to the second parameter. */
#if LIBXML_VERSION >= 21200
static void hear(void *user, const xmlError *error) {
#else
static void hear(void *user, xmlErrorPtr error) {
#endif
    xml_listener *listener = user;
    if (listener->heard || error->level < XML_ERR_ERROR) return;
    listener->heard = true;
    const char *text = error->message ? error->message : "";
    size_t n = strcspn(text, "\n");
    if (n >= sizeof listener->text) n = sizeof listener->text - 1;
    while (n && ((unsigned char)text[n] & 0xC0) == 0x80) n--; /* not within a character */
    memcpy(listener->text, text, n);
    listener->text[n] = 0;
    listener->line = error->line > 0 ? (size_t)error->line : 0;
    const bool has_column = error->domain == XML_FROM_PARSER || error->domain == XML_FROM_NAMESPACE;
    listener->column = has_column && error->int2 > 0 ? (size_t)error->int2 : 0;
}

void xml_listener_begin(xml_listener *listener) {
    *listener = (xml_listener){.old_receiver_data = xmlStructuredErrorContext, .old_receiver = (void (*)(void))xmlStructuredError};
    xmlSetStructuredErrorFunc(listener, hear);
}

void xml_listener_end(xml_listener *listener) {
    xmlSetStructuredErrorFunc(listener->old_receiver_data, (xmlStructuredErrorFunc)listener->old_receiver);
}
