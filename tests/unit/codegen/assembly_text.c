/* Words and loops of assembly; see assembly_text.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/codegen/assembly_text.h"

assembly_span assembly_whole(const strbuf *assembly) {
    const char *text = strbuf_str(assembly);
    return (assembly_span){text, text + strlen(text)};
}

size_t assembly_count(assembly_span s, const char *word) {
    size_t n = 0;
    for (const char *at = s.begin; (at = memmem(at, (size_t)(s.end - at), word, strlen(word))) != NULL; at++) n++;
    return n;
}

size_t assembly_count_lines(assembly_span s, const char *a, const char *b) {
    size_t n = 0;
    for (const char *line = s.begin; line < s.end; line += strcspn(line, "\n") + 1) {
        const assembly_span whole = {line, line + strcspn(line, "\n")};
        n += assembly_count(whole, a) > 0 && assembly_count(whole, b) > 0;
    }
    return n;
}

const char *assembly_next_label(const char *line) {
    if (strncmp(line, ".LBB", 4) == 0) return line;
    const char *before = strstr(line, "\n.LBB");
    return before ? before + 1 : NULL;
}

assembly_span assembly_loop_at(const char *label) {
    char jump_target[32];
    snprintf(jump_target, sizeof jump_target, "\t%.*s\n", (int)strcspn(label, ":"), label);
    const char *next = strstr(label + 1, "\n.LBB"), *jump = strstr(label, jump_target);
    return (assembly_span){label, !jump || (next && jump > next) ? label : jump};
}

/* other: NULL for any number of it. */
static assembly_span best_loop(const strbuf *assembly, const char *word, const char *other, size_t n) {
    const char *text = strbuf_str(assembly);
    assembly_span best = {text, text};
    size_t most = 0;
    for (const char *label = assembly_next_label(text); label; label = assembly_next_label(label + 1)) {
        const assembly_span s = assembly_loop_at(label);
        const size_t found = assembly_count(s, word);
        if (found <= most || (other && assembly_count(s, other) != n)) continue;
        best = s;
        most = found;
    }
    return best;
}

assembly_span assembly_inner_loop(const strbuf *assembly, const char *word) { return best_loop(assembly, word, NULL, 0); }

assembly_span assembly_inner_loop_with(const strbuf *assembly, const char *word, const char *other, size_t n) {
    return best_loop(assembly, word, other, n);
}

void assembly_want_count(const char *what, assembly_span s, const char *word, size_t wanted) {
    const size_t n = assembly_count(s, word);
    if (n != wanted) fail_msg("%s: %zu of \"%s\", wanted %zu, in\n%.*s", what, n, word, wanted, (int)(s.end - s.begin), s.begin);
}

void assembly_want_no_vector_on_stack(const char *what, const strbuf *assembly) {
    if (assembly_count_lines(assembly_whole(assembly), "mm", "(%rsp") > 0)
        fail_msg("%s: a vector goes to the stack:\n%s", what, strbuf_str(assembly));
}
