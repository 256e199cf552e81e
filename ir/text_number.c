/*
 * Doubles to decimal text and back through the C library, in the "C" locale: precisions 15, 16, 17 are tried until the text reads back to the
 * same bits (17 digits always do: Steele and White 1990).
 */
#include "ir/text_number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers are written and read with '.', also where the program has set another locale. The C library has the "C" locale built in, so
 * newlocale allocates nothing here; were it to fail, the thread's locale stays. */
static locale_t enter_c_locale(void) {
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return c != (locale_t)0 ? uselocale(c) : (locale_t)0;
}

static void leave_c_locale(locale_t before) {
    if (before == (locale_t)0) return;
    locale_t c = uselocale(before);
    freelocale(c);
}

void text_put_double(strbuf *out, double value) {
    if (isnan(value)) {
        strbuf_puts(out, "nan");
        return;
    }
    if (isinf(value)) {
        strbuf_puts(out, value < 0 ? "-inf" : "inf");
        return;
    }
    char text[32]; /* sign, 17 digits, point, e-308 */
    locale_t before = enter_c_locale();
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    leave_c_locale(before);
    strbuf_puts(out, text);
}

bool text_read_double(const char *text, size_t n, double *out) {
    char copy[TEXT_MAX_NUMBER_BYTES + 1];
    if (n == 0 || n > TEXT_MAX_NUMBER_BYTES) return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    char *end;
    locale_t before = enter_c_locale();
    double value = strtod(copy, &end);
    leave_c_locale(before);
    if (end != copy + n || !isfinite(value)) return false;
    *out = value;
    return true;
}
