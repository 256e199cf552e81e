/*
 * What stands in assembly: words and loops that are counted. Every failure ends the test with a message.
 */
#ifndef POFAC_TESTS_UNIT_CODEGEN_ASSEMBLY_TEXT_H
#define POFAC_TESTS_UNIT_CODEGEN_ASSEMBLY_TEXT_H

#include <stddef.h>

#include "ir/support/strbuf.h"

typedef struct assembly_span {
    const char *begin, *end;
} assembly_span;

assembly_span assembly_whole(const strbuf *assembly);

/* How often the word stands in it; in how many of its lines both words do. */
size_t assembly_count(assembly_span s, const char *word);
size_t assembly_count_lines(assembly_span s, const char *a, const char *b);

/* The next line that is a label, from `line` on; NULL: there is none. */
const char *assembly_next_label(const char *line);

/* The body of the loop that a label begins: up to the jump back to it, without labels between; empty when it begins none. */
assembly_span assembly_loop_at(const char *label);

/* The one of all such bodies with most of the word, and among those with exactly n of `other`; empty when none has it. */
assembly_span assembly_inner_loop(const strbuf *assembly, const char *word);
assembly_span assembly_inner_loop_with(const strbuf *assembly, const char *word, const char *other, size_t n);

/* `what`: begins the message. */
void assembly_want_count(const char *what, assembly_span s, const char *word, size_t wanted);
void assembly_want_no_vector_on_stack(const char *what, const strbuf *assembly);

#endif
