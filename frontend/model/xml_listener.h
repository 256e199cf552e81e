/*
 * Catches libxml2's messages: while one listens, nothing that libxml2 says in this thread is printed.
 *
 * libxml2 keeps the receiver of messages per thread; a listener takes its place and puts the old one back.
 */
#ifndef POFAC_FRONTEND_MODEL_XML_LISTENER_H
#define POFAC_FRONTEND_MODEL_XML_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

/* libxml2's first error: its text, cut to the buffer, and its place, 0 where libxml2 has none. Warnings are dropped. */
typedef struct xml_listener {
    bool heard;
    char text[256];
    size_t line, column;
    void *old_receiver_data;
    void (*old_receiver)(void);
} xml_listener;

void xml_listener_begin(xml_listener *listener); /* the listener must not move until its end */
void xml_listener_end(xml_listener *listener);

#endif
