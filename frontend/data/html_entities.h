/* Characters written as &name; &#1234; &#x12AB; in HTML. */
#ifndef POFAC_FRONTEND_DATA_HTML_ENTITIES_H
#define POFAC_FRONTEND_DATA_HTML_ENTITIES_H

#include <stddef.h>
#include <stdint.h>

/* The character that text[0] = '&' begins: the bytes read with the semicolon, and its code point; 0 bytes when it is none (an unknown
 * name, no semicolon, a number that is no character). Names are those of HTML 4.01 and apos (html_entities.def). */
size_t html_entity_read(const char *text, size_t bytes, uint32_t *code_point);

/* Writes the UTF-8 form of a code point (no surrogate, at most 0x10FFFF); returns its bytes. */
size_t utf8_write(uint32_t code_point, char out[4]);

#endif
