/*
 * Doubles to decimal text and back through the C library, in the "C" locale. More and more digits are tried until the text reads
 * back to the same number, which 17 digits always do (Steele and White 1990). What 15 digits or fewer say of a normal number %.15g
 * says as well, since it drops zeros at the end; numbers below the normal ones have fewer digits of precision and start at 1.
 */
#include "ir/support/decimal.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The thread's locale becomes "C", which the C library has built in, so that newlocale takes no memory; were it to fail, the
 * locale stays. */
static locale_t enter_c_locale(void) {
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return c != (locale_t)0 ? uselocale(c) : (locale_t)0;
}

static void leave_c_locale(locale_t before) {
    if (before == (locale_t)0) return;
    locale_t c = uselocale(before);
    freelocale(c);
}

void decimal_put(strbuf *out, double value) {
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
    for (int digits = fabs(value) < DBL_MIN ? 1 : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    leave_c_locale(before);
    strbuf_puts(out, text);
}

/* [ "-" ] digits, with a point among them, and an exponent: not the hexadecimal numbers, words and spaces that strtod takes too. */
static bool is_decimal(const char *text) {
    if (*text == '-') text++;
    size_t digits = strspn(text, "0123456789");
    text += digits;
    if (*text == '.') {
        size_t more = strspn(text + 1, "0123456789");
        digits += more;
        text += 1 + more;
    }
    if (digits == 0) return false;
    if (*text != 'e' && *text != 'E') return *text == '\0';
    text++;
    if (*text == '+' || *text == '-') text++;
    size_t exponent = strspn(text, "0123456789");
    return exponent > 0 && text[exponent] == '\0';
}

bool decimal_read(const char *text, size_t n, double *out) {
    char copy[DECIMAL_MAX_BYTES + 1];
    if (n > DECIMAL_MAX_BYTES || memchr(text, '\0', n)) return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (!is_decimal(copy)) return false;
    locale_t before = enter_c_locale();
    double value = strtod(copy, NULL);
    leave_c_locale(before);
    if (!isfinite(value)) return false;
    *out = value;
    return true;
}

bool decimal_read_bytes(const char *text, int64_t *out) {
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || errno) return false;
    const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
    if (*end && (!unit || end[1])) return false;
    int64_t factor = unit ? (int64_t)1 << (10 * (unit - units + 1)) : 1;
    return !__builtin_mul_overflow((int64_t)number, factor, out);
}
