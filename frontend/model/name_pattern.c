/* Python's regular expressions through POSIX's; see name_pattern.h. */
#include "frontend/model/name_pattern.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct name_pattern {
    regex_t compiled;
};

static bool repeats(char c) { return c == '*' || c == '+' || c == '?' || c == '}'; }

/* What Python writes in another way; false where POSIX has no way. Within brackets everything stays. */
static bool translate(const char *text, strbuf *out) {
    bool in_brackets = false;
    for (const char *at = text; *at; at++) {
        if (in_brackets && *at == ']') in_brackets = false;
        if (in_brackets) {
            if (*at == '\\') return false; /* POSIX takes it for itself there */
            strbuf_putc(out, *at);
            continue;
        }
        if (*at == '\\' && (at[1] == 'd' || at[1] == 'D')) {
            strbuf_puts(out, *++at == 'd' ? "[0-9]" : "[^0-9]");
        } else if (*at == '\\' && (at[1] == 'A' || at[1] == 'Z' || (at[1] >= '0' && at[1] <= '9'))) {
            return false;
        } else if (*at == '\\' && at[1]) {
            strbuf_putc(out, *at++);
            strbuf_putc(out, *at);
        } else if (*at == '(' && at[1] == '?') {
            if (at[2] != ':') return false;
            strbuf_putc(out, '(');
            at += 2;
        } else if (*at == '?' && at > text && repeats(at[-1]) && (at < text + 2 || at[-2] != '\\')) {
            continue; /* lazy: finds the same names */
        } else {
            in_brackets = *at == '[';
            strbuf_putc(out, *at);
            if (in_brackets && at[1] == '^') strbuf_putc(out, *++at);
            if (in_brackets && at[1] == ']') strbuf_putc(out, *++at);
        }
    }
    return true;
}

pofac_status name_pattern_create(const char *text, const diag_place *place, const diag_sink *sink, name_pattern **out) {
    strbuf posix = STRBUF_INIT;
    char why[128] = "look-around, flags and back references are not supported";
    *out = NULL;
    name_pattern *p = malloc(sizeof *p);
    bool ok = translate(text, &posix);
    if (!p || !strbuf_ok(&posix)) {
        free(p);
        strbuf_free(&posix);
        return diag_out_of_memory(sink);
    }
    const int error = ok ? regcomp(&p->compiled, strbuf_str(&posix), REG_EXTENDED | REG_NOSUB) : 0;
    if (error) regerror(error, &p->compiled, why, sizeof why);
    strbuf_free(&posix);
    if (ok && error == 0) {
        *out = p;
        return POFAC_OK;
    }
    free(p);
    if (error == REG_ESPACE) return diag_out_of_memory(sink);
    return diag_error(sink, POFAC_ERR_INPUT, place, "found the pattern \"%s\" (%s), wanted a regular expression", text, why);
}

void name_pattern_destroy(name_pattern *p) {
    if (!p) return;
    regfree(&p->compiled);
    free(p);
}

bool name_pattern_found(const name_pattern *p, const char *name) { return regexec(&p->compiled, name, 0, NULL, 0) == 0; }
