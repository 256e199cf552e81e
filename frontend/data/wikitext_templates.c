/*
 * Writes template calls by the rows of wikitext_templates.def: a text with places for arguments, or one of the functions below. Names are
 * found by halving the sorted tables.
 */
#include "frontend/data/wikitext_templates.h"

#include <stdint.h>
#include <string.h>

#include "frontend/data/prose_tidy.h"

struct template_row {
    const char *name;
    size_t args;
    const char *text;
};

static const struct template_row rows[] = {
#define TEMPLATE(name, args, text) {name, args, text},
#include "frontend/data/wikitext_templates.def"
#undef TEMPLATE
};

typedef struct name_pair {
    const char *name, *text;
} name_pair;

static const name_pair languages[] = {
#define LANGUAGE(code, name) {code, name},
#include "frontend/data/wikitext_languages.def"
#undef LANGUAGE
};

static const name_pair units[] = {
#define UNIT(name, text) {name, text},
#include "frontend/data/wikitext_units.def"
#undef UNIT
};

enum {
    N_ROWS = sizeof rows / sizeof *rows,
    N_UNITS = sizeof units / sizeof *units,
    N_LANGUAGES = sizeof languages / sizeof *languages
};
enum { LONGEST_NAME = 63 };

/* ---- names ---- */

static template_text trimmed(template_text t) {
    while (t.bytes && strchr(" \n\t", t.text[0]) && t.text[0]) t.text++, t.bytes--;
    while (t.bytes && strchr(" \n\t", t.text[t.bytes - 1]) && t.text[t.bytes - 1]) t.bytes--;
    return t;
}

/* The name as the table writes it; false when it is longer than any of the table. */
static bool normal_name(template_text name, char out[LONGEST_NAME + 1]) {
    name = trimmed(name);
    if (name.bytes == 0 || name.bytes > LONGEST_NAME) return false;
    for (size_t i = 0; i < name.bytes; i++) {
        const char c = name.text[i];
        out[i] = (char)(c == '_' ? ' ' : c >= 'A' && c <= 'Z' ? c + 32 : c);
        if (!out[i]) return false;
    }
    out[name.bytes] = 0;
    return true;
}

static bool find_rows(const char *name, wikitext_template *out) {
    size_t low = 0, high = N_ROWS; /* the first row that is not before the name */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(rows[middle].name, name) < 0) low = middle + 1;
        else high = middle;
    }
    out->rows = &rows[low];
    for (out->n_rows = 0; low + out->n_rows < N_ROWS && strcmp(rows[low + out->n_rows].name, name) == 0;) out->n_rows++;
    return out->n_rows > 0;
}

bool wikitext_template_find(const char *name, size_t bytes, wikitext_template *out) {
    char normal[LONGEST_NAME + 1];
    out->suffix[0] = 0;
    if (!normal_name((template_text){name, bytes}, normal)) return false;
    if (find_rows(normal, out)) return true;
    const size_t n = strlen(normal);
    if (strncmp(normal, "lang-", 5) != 0 || n - 5 >= sizeof out->suffix) return false;
    memcpy(out->suffix, normal + 5, n - 5 + 1);
    return find_rows("lang-", out);
}

bool wikitext_template_disambiguates(const wikitext_template *t) { return strcmp(t->rows->text, "@disambiguation") == 0; }

template_name wikitext_template_argument(const char *name, size_t bytes, size_t *position) {
    static const struct {
        const char *text;
        template_name name;
    } names[] = {{"text", TEMPLATE_FIRST}, {"quote", TEMPLATE_FIRST}, {"content", TEMPLATE_FIRST},
                 {"alt", TEMPLATE_ALT},    {"lc", TEMPLATE_LC},       {"df", TEMPLATE_DF},
                 {"e", TEMPLATE_E},        {"u", TEMPLATE_U},         {"ul", TEMPLATE_U}};
    char normal[LONGEST_NAME + 1];
    *position = SIZE_MAX;
    if (!normal_name((template_text){name, bytes}, normal)) return TEMPLATE_OTHER;
    if (normal[0] >= '1' && normal[0] <= '9' && !normal[1]) {
        *position = (size_t)(normal[0] - '1');
        return TEMPLATE_OTHER;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(normal, names[i].text) == 0) return names[i].name;
    return TEMPLATE_OTHER;
}

/* ---- text with places ---- */

static template_text argument(const template_arguments *a, size_t i) {
    if (i >= a->n_positional || !a->positional[i].text) return (template_text){"", 0};
    return trimmed(a->positional[i]);
}

static void put_text(strbuf *out, template_text t) {
    if (t.bytes) strbuf_append(out, t.text, t.bytes);
    else strbuf_putc(out, PROSE_DROPPED);
}

static void render_text(const char *text, const template_arguments *a, strbuf *out) {
    for (; *text; text++) {
        if (*text != '$') {
            strbuf_putc(out, *text);
        } else if (*++text == '$') {
            strbuf_putc(out, '$');
        } else if (*text == '*') {
            for (size_t i = 0; i < a->n_positional; i++) put_text(out, argument(a, i));
        } else {
            put_text(out, argument(a, (size_t)(*text - '1')));
        }
    }
}

/* ---- functions ---- */

static bool is_text(template_text t, const char *wanted) {
    return t.bytes == strlen(wanted) && memcmp(t.text, wanted, t.bytes) == 0;
}

static const char *find_name(const name_pair *table, size_t n, template_text name) {
    for (size_t i = 0; i < n; i++)
        if (is_text(name, table[i].name)) return table[i].text;
    return NULL;
}

static bool is_number(template_text t) {
    size_t digits = 0;
    for (size_t i = 0; i < t.bytes; i++) {
        const char c = t.text[i];
        if (c >= '0' && c <= '9') digits++;
        else if (!strchr("+-.,/", c) || !c) return false;
    }
    return digits > 0;
}

/* A value; one of digits alone with commas between the thousands, as {{convert|1300|mi}} and {{formatnum:1300}} show it. */
static void put_number(strbuf *out, template_text t) {
    size_t digits = 0;
    while (digits < t.bytes && t.text[digits] >= '0' && t.text[digits] <= '9') digits++;
    if (digits < 4 || digits > 15 || (digits < t.bytes && t.text[digits] != '.')) {
        put_text(out, t);
        return;
    }
    for (size_t i = 0; i < digits; i++) {
        if (i && (digits - i) % 3 == 0) strbuf_putc(out, ',');
        strbuf_putc(out, t.text[i]);
    }
    strbuf_append(out, t.text + digits, t.bytes - digits);
}

static void put_unit(strbuf *out, template_text unit) {
    static const char *const powers[] = {"e3", " thousand", "e6", " million", "e9", " billion", "e12", " trillion"};
    for (size_t i = 0; i < sizeof powers / sizeof *powers; i += 2) {
        const size_t n = strlen(powers[i]);
        if (unit.bytes <= n || memcmp(unit.text, powers[i], n) != 0 || (unit.text[n] >= '0' && unit.text[n] <= '9')) continue;
        strbuf_puts(out, powers[i + 1]);
        unit.text += n;
        unit.bytes -= n;
        break;
    }
    const char *text = find_name(units, N_UNITS, unit);
    if (!text && unit.bytes == 0) return;
    if (unit.text[0] != '%') strbuf_putc(out, ' ');
    if (text) strbuf_puts(out, text);
    else strbuf_append(out, unit.text, unit.bytes);
}

/* {{convert|5|km}}, {{convert|5|-|10|km}}, {{convert|6|ft|2|in}}: the original value; the converted one is not in the text. */
static void render_convert(const template_arguments *a, strbuf *out) {
    static const name_pair ranges[] = {
        {"-", "–"},   {"–", "–"},        {"to", " to "},      {"and", " and "}, {"or", " or "},    {"to about", " to about "},
        {"x", " × "}, {"×", " × "},      {"*", " × "},        {"by", " by "},   {"+/-", " ± "},    {"±", " ± "},
        {"+", " + "}, {"to(-)", " to "}, {"and(-)", " and "}, {"xx", " × "},    {"by(x)", " by "}, {"&", " & "}};
    size_t i = 0;
    put_number(out, argument(a, i++));
    for (const char *range; i + 1 < a->n_positional; i += 2) {
        range = find_name(ranges, sizeof ranges / sizeof *ranges, argument(a, i));
        if (!range) break;
        strbuf_puts(out, range);
        put_number(out, argument(a, i + 1));
    }
    put_unit(out, argument(a, i++));
    if (i + 1 < a->n_positional && is_number(argument(a, i)) && !is_number(argument(a, i + 1)) && argument(a, i + 1).bytes) {
        strbuf_putc(out, ' '); /* a value of two units; a third argument that is alone rounds the converted value */
        put_number(out, argument(a, i));
        put_unit(out, argument(a, i + 1));
    }
}

/* {{val|1.5|0.2|e=6|u=m}}: "1.5±0.2×10^6 m". */
static void render_value(const template_arguments *a, strbuf *out) {
    put_text(out, argument(a, 0));
    if (argument(a, 1).bytes) {
        strbuf_puts(out, "±");
        put_text(out, argument(a, 1));
    }
    if (a->named[TEMPLATE_E].text) {
        strbuf_puts(out, "×10^");
        put_text(out, trimmed(a->named[TEMPLATE_E]));
    }
    if (a->named[TEMPLATE_U].text) put_unit(out, trimmed(a->named[TEMPLATE_U]));
}

static const char *month_name(template_text t) {
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    size_t n = 0;
    if (t.bytes == 0 || t.bytes > 2) return NULL;
    for (size_t i = 0; i < t.bytes; i++) {
        if (t.text[i] < '0' || t.text[i] > '9') return NULL;
        n = n * 10 + (size_t)(t.text[i] - '0');
    }
    return n >= 1 && n <= 12 ? months[n - 1] : NULL;
}

/* Year, month, day as arguments; the day first where `day_first`. A month that is no number stays as it is. */
static void put_date(const template_arguments *a, int day_first, strbuf *out) {
    const template_text year = argument(a, 0), month = argument(a, 1), day = argument(a, 2);
    const char *name = month_name(month);
    if (day.bytes && day_first) {
        put_text(out, day);
        strbuf_putc(out, ' ');
    }
    if (month.bytes) {
        if (name) strbuf_puts(out, name);
        else put_text(out, month);
        strbuf_putc(out, ' ');
    }
    if (day.bytes && !day_first) {
        put_text(out, day);
        strbuf_puts(out, ", ");
    }
    put_text(out, year);
}

/* {{birth date|1809|2|12}}: "February 12, 1809", and with df=yes "12 February 1809". */
static void render_date(const template_arguments *a, strbuf *out) { put_date(a, a->named[TEMPLATE_DF].text != NULL, out); }

/* {{as of|2009|4|5|lc=on}}: "as of 5 April 2009", and with df=US "as of April 5, 2009". */
static void render_as_of(const template_arguments *a, strbuf *out) {
    const template_text df = a->named[TEMPLATE_DF];
    if (a->named[TEMPLATE_ALT].text) {
        put_text(out, trimmed(a->named[TEMPLATE_ALT]));
        return;
    }
    strbuf_puts(out, a->named[TEMPLATE_LC].text ? "as of " : "As of ");
    put_date(a, !(df.text && is_text(trimmed(df), "US")), out);
}

/* {{lang-fr|mot}}, {{langx|fr|mot}}: "French: mot". */
static void put_language(template_text code, template_text word, strbuf *out) {
    const char *name = find_name(languages, N_LANGUAGES, code);
    if (name) {
        strbuf_puts(out, name);
        strbuf_puts(out, ": ");
    }
    put_text(out, word);
}

static void render_music(const template_arguments *a, strbuf *out) {
    static const name_pair signs[] = {{"flat", "♭"}, {"b", "♭"}, {"sharp", "♯"}, {"#", "♯"}, {"natural", "♮"}};
    const char *sign = find_name(signs, sizeof signs / sizeof *signs, argument(a, 0));
    strbuf_puts(out, sign ? sign : "\x1a");
}

void wikitext_template_render(const wikitext_template *t, const template_arguments *arguments, strbuf *out) {
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct template_row *row = &t->rows[i];
        if (row->args > arguments->n_positional) continue;
        if (row->text[0] != '@') {
            if (strcmp(row->text, "$1") == 0) /* with the spaces around it */
                put_text(out, arguments->positional[0].text ? arguments->positional[0] : (template_text){"", 0});
            else render_text(row->text, arguments, out);
        } else if (strcmp(row->text, "@convert") == 0) {
            render_convert(arguments, out);
        } else if (strcmp(row->text, "@number") == 0) {
            put_number(out, argument(arguments, 0));
        } else if (strcmp(row->text, "@value") == 0) {
            render_value(arguments, out);
        } else if (strcmp(row->text, "@date") == 0) {
            render_date(arguments, out);
        } else if (strcmp(row->text, "@as_of") == 0) {
            render_as_of(arguments, out);
        } else if (strcmp(row->text, "@language") == 0) {
            put_language((template_text){t->suffix, strlen(t->suffix)}, argument(arguments, 0), out);
        } else if (strcmp(row->text, "@langx") == 0) {
            put_language(argument(arguments, 0), argument(arguments, 1), out);
        } else if (strcmp(row->text, "@music") == 0) {
            render_music(arguments, out);
        }
        return;
    }
}

void wikitext_templates_put(strbuf *out) {
    for (size_t i = 0; i < N_ROWS; i++) {
        strbuf_printf(out, "%-24s %zu ", rows[i].name, rows[i].args);
        strbuf_put_json(out, rows[i].text, strlen(rows[i].text));
        strbuf_putc(out, '\n');
    }
}
