/*
 * The rows of frontend/xml.def as constant tables, and the reading of a value by its row.
 *
 * Numbers have the lexical form of XML Schema's `integer` and `double` (without NaN and infinities), so that the reader and the
 * RELAX NG schema made from the same rows agree: [+-]digits, and [+-]digits[.digits][e[+-]digits] with digits on one side of the
 * point.
 */
#include "frontend/model/xml_table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const xml_element_row elements[] = {
#define XML_ELEMENT(name, parent, occurs, help) {#name, #parent, XML_OCCURS_##occurs, help},
#define XML_ATTRIBUTE(element, name, type, range, need, help)
#define XML_ONE_OF(element, names)
#define XML_HOLDS(element, names)
#include "frontend/xml.def"
#undef XML_ELEMENT
#undef XML_ATTRIBUTE
#undef XML_ONE_OF
#undef XML_HOLDS
};

static const xml_attribute_row attributes[] = {
#define REQUIRED true, NULL
#define ABSENT false, NULL
#define DEFAULT(text) false, text
#define XML_ELEMENT(name, parent, occurs, help)
#define XML_ATTRIBUTE(element, name, type, range, need, help) {#element, #name, XML_TYPE_##type, range, need, help},
#define XML_ONE_OF(element, names)
#define XML_HOLDS(element, names)
#include "frontend/xml.def"
#undef XML_ELEMENT
#undef XML_ATTRIBUTE
#undef XML_ONE_OF
#undef XML_HOLDS
#undef REQUIRED
#undef ABSENT
#undef DEFAULT
};

static const xml_one_of_row one_ofs[] = {
#define XML_ELEMENT(name, parent, occurs, help)
#define XML_ATTRIBUTE(element, name, type, range, need, help)
#define XML_ONE_OF(element, names) {#element, names},
#define XML_HOLDS(element, names)
#include "frontend/xml.def"
#undef XML_ELEMENT
#undef XML_ATTRIBUTE
#undef XML_ONE_OF
#undef XML_HOLDS
};

/* What elements hold beside their own children. */
static const xml_one_of_row holdings[] = {
#define XML_ELEMENT(name, parent, occurs, help)
#define XML_ATTRIBUTE(element, name, type, range, need, help)
#define XML_ONE_OF(element, names)
#define XML_HOLDS(element, names) {#element, names},
#include "frontend/xml.def"
#undef XML_ELEMENT
#undef XML_ATTRIBUTE
#undef XML_ONE_OF
#undef XML_HOLDS
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

size_t xml_element_count(void) { return COUNT(elements); }
size_t xml_attribute_count(void) { return COUNT(attributes); }
size_t xml_one_of_count(void) { return COUNT(one_ofs); }
const xml_element_row *xml_element_at(size_t i) { return &elements[i]; }
const xml_attribute_row *xml_attribute_at(size_t i) { return &attributes[i]; }
const xml_one_of_row *xml_one_of_at(size_t i) { return &one_ofs[i]; }

const xml_element_row *xml_element_row_find(const char *name) {
    for (size_t i = 0; i < COUNT(elements); i++)
        if (strcmp(elements[i].name, name) == 0) return &elements[i];
    return NULL;
}

const xml_attribute_row *xml_attribute_row_find(const char *element, const char *name) {
    for (size_t i = 0; i < COUNT(attributes); i++)
        if (strcmp(attributes[i].name, name) == 0 && strcmp(attributes[i].element, element) == 0) return &attributes[i];
    return NULL;
}

bool xml_element_holds(const char *element, const xml_element_row *child) {
    if (strcmp(child->parent, element) == 0) return true;
    for (size_t i = 0; i < COUNT(holdings); i++)
        if (strcmp(holdings[i].element, element) == 0 &&
            xml_words_find(holdings[i].names, child->name, strlen(child->name)) != SIZE_MAX)
            return true;
    return false;
}

size_t xml_words_count(const char *words) {
    if (!*words) return 0;
    size_t n = 1;
    for (; *words; words++) n += *words == '|';
    return n;
}

const char *xml_words_at(const char *words, size_t i, size_t *bytes) {
    for (; i > 0; i--) words = strchr(words, '|') + 1;
    *bytes = strcspn(words, "|");
    return words;
}

size_t xml_words_find(const char *words, const char *word, size_t word_bytes) {
    size_t n = xml_words_count(words);
    for (size_t i = 0; i < n; i++) {
        size_t bytes;
        const char *at = xml_words_at(words, i, &bytes);
        if (bytes == word_bytes && memcmp(at, word, bytes) == 0) return i;
    }
    return SIZE_MAX;
}

/* The bytes of `text` without blanks around them. */
typedef struct slice {
    const char *at;
    size_t n;
} slice;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static slice trim(const char *text) {
    while (is_blank(*text)) text++;
    size_t n = strlen(text);
    while (n && is_blank(text[n - 1])) n--;
    return (slice){text, n};
}

static size_t skip_sign(slice s) { return s.n && (s.at[0] == '+' || s.at[0] == '-'); }

static size_t skip_digits(slice s, size_t i) {
    while (i < s.n && is_digit(s.at[i])) i++;
    return i;
}

static bool is_integer(slice s) {
    size_t begin = skip_sign(s), end = skip_digits(s, begin);
    return end > begin && end == s.n;
}

static bool is_number(slice s) {
    size_t begin = skip_sign(s), i = skip_digits(s, begin), digits = i - begin;
    if (i < s.n && s.at[i] == '.') {
        size_t fraction = i + 1;
        i = skip_digits(s, fraction);
        digits += i - fraction;
    }
    if (!digits) return false;
    if (i < s.n && (s.at[i] == 'e' || s.at[i] == 'E')) {
        i++;
        if (i < s.n && (s.at[i] == '+' || s.at[i] == '-')) i++;
        size_t exponent = i;
        i = skip_digits(s, i);
        if (i == exponent) return false;
    }
    return i == s.n;
}

/* An end of an interval; the table's are shorter than 31 bytes. */
static const char *copy_end(const char *from, size_t n, char out[32]) {
    if (n > 31) n = 31;
    memcpy(out, from, n);
    out[n] = 0;
    return from + n;
}

xml_interval xml_interval_parse(const char *range) {
    xml_interval in = {.low = "", .high = "", .items = 1};
    if (!*range) return in;
    in.low_open = *range++ == '(';
    range = copy_end(range, strcspn(range, ","), in.low);
    if (*range == ',') range++;
    range = copy_end(range, strcspn(range, ")]"), in.high);
    in.high_open = *range == ')';
    if (*range) range++;
    if (*range == '*') in.items = strtoul(range + 1, NULL, 10);
    return in;
}

/* `s` has the form of an integer. Out of 64 bits is out of every range. */
static xml_reading read_integer(slice s, const xml_interval *in, int64_t *out) {
    errno = 0;
    long long x = strtoll(s.at, NULL, 10);
    if (errno == ERANGE || x < strtoll(in->low, NULL, 10) || x > strtoll(in->high, NULL, 10)) return XML_OUT_OF_RANGE;
    *out = x;
    return XML_READ;
}

static xml_reading read_integers(slice s, const xml_interval *in, arena *a, xml_value *out) {
    int64_t *items = ARENA_ARRAY(a, int64_t, in->items);
    if (!items) return XML_NO_MEMORY;
    size_t n = 0;
    for (size_t i = 0; i < s.n; n++) {
        size_t end = i;
        while (end < s.n && !is_blank(s.at[end])) end++;
        slice item = {s.at + i, end - i};
        if (!is_integer(item)) return XML_WRONG_TYPE;
        if (n == in->items) return XML_OUT_OF_RANGE;
        xml_reading r = read_integer(item, in, &items[n]);
        if (r != XML_READ) return r;
        while (end < s.n && is_blank(s.at[end])) end++;
        i = end;
    }
    if (!n) return XML_WRONG_TYPE;
    out->as.integers.items = items;
    out->as.integers.n = n;
    return XML_READ;
}

static xml_reading read_number(slice s, const xml_interval *in, double *out) {
    double x = strtod(s.at, NULL), low = strtod(in->low, NULL), high = strtod(in->high, NULL);
    if (x < low || x > high || (x == low && in->low_open) || (x == high && in->high_open)) return XML_OUT_OF_RANGE;
    *out = x;
    return XML_READ;
}

static xml_reading read_string(slice s, arena *a, xml_value *out) {
    out->as.string = arena_strndup(a, s.at, s.n);
    return out->as.string ? XML_READ : XML_NO_MEMORY;
}

xml_reading xml_value_read(const xml_attribute_row *row, const char *text, arena *a, xml_value *out) {
    const slice s = trim(text);
    const xml_interval in = xml_interval_parse(row->type == XML_TYPE_WORD ? "" : row->range);
    switch (row->type) {
    case XML_TYPE_STRING:
    case XML_TYPE_PATH:
        if (!*text) return XML_WRONG_TYPE;
        return read_string((slice){text, strlen(text)}, a, out);
    case XML_TYPE_INT: return is_integer(s) ? read_integer(s, &in, &out->as.integer) : XML_WRONG_TYPE;
    case XML_TYPE_INTS: return read_integers(s, &in, a, out);
    case XML_TYPE_FLOAT: return is_number(s) ? read_number(s, &in, &out->as.number) : XML_WRONG_TYPE;
    case XML_TYPE_BOOL:
        out->as.truth = s.n == 4;
        return xml_words_find("false|true", s.at, s.n) == SIZE_MAX ? XML_WRONG_TYPE : XML_READ;
    case XML_TYPE_WORD:
        if (xml_words_find(row->range, s.at, s.n) == SIZE_MAX) return XML_OUT_OF_RANGE;
        return read_string(s, a, out);
    }
    return XML_WRONG_TYPE;
}

static void put_interval(const xml_interval *in, strbuf *out) {
    strbuf_printf(out, in->low_open ? "above %s" : "from %s", in->low);
    strbuf_printf(out, in->high_open ? " to below %s" : in->low_open ? " up to %s" : " to %s", in->high);
}

void xml_value_wanted(const xml_attribute_row *row, strbuf *out) {
    const xml_interval in = xml_interval_parse(row->type == XML_TYPE_WORD ? "" : row->range);
    switch (row->type) {
    case XML_TYPE_STRING: strbuf_puts(out, "a text that is not empty"); break;
    case XML_TYPE_PATH: strbuf_puts(out, "a path"); break;
    case XML_TYPE_INT:
        strbuf_puts(out, "an integer ");
        put_interval(&in, out);
        break;
    case XML_TYPE_INTS:
        strbuf_printf(out, "up to %zu integers ", in.items);
        put_interval(&in, out);
        break;
    case XML_TYPE_FLOAT:
        strbuf_puts(out, "a number ");
        put_interval(&in, out);
        break;
    case XML_TYPE_BOOL: strbuf_puts(out, "true or false"); break;
    case XML_TYPE_WORD: {
        size_t n = xml_words_count(row->range);
        if (n > 1) strbuf_puts(out, "one of ");
        for (size_t i = 0; i < n; i++) {
            size_t bytes;
            const char *word = xml_words_at(row->range, i, &bytes);
            strbuf_printf(out, "%s%.*s", i ? ", " : "", (int)bytes, word);
        }
        break;
    }
    }
}

const char *xml_type_name(xml_type type) {
    static const char *const names[] = {
        [XML_TYPE_STRING] = "string", [XML_TYPE_PATH] = "path",    [XML_TYPE_INT] = "integer", [XML_TYPE_INTS] = "integers",
        [XML_TYPE_FLOAT] = "number",  [XML_TYPE_BOOL] = "boolean", [XML_TYPE_WORD] = "word",
    };
    return names[type];
}

const char *xml_occurs_name(xml_occurs occurs) {
    static const char *const names[] = {[XML_OCCURS_ONE] = "one", [XML_OCCURS_OPTIONAL] = "optional", [XML_OCCURS_MANY] = "many"};
    return names[occurs];
}

static void list_attributes(const char *element, strbuf *out) {
    for (size_t i = 0; i < COUNT(attributes); i++) {
        const xml_attribute_row *row = &attributes[i];
        if (strcmp(row->element, element) != 0) continue;
        strbuf_printf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", row->element, row->name, xml_type_name(row->type),
                      *row->range ? row->range : "-",
                      row->required   ? "required"
                      : row->standard ? row->standard
                                      : "-",
                      row->help);
    }
}

void xml_table_list(strbuf *out) {
    for (size_t i = 0; i < COUNT(elements); i++) {
        const xml_element_row *row = &elements[i];
        strbuf_printf(out, "%s\t-\telement\t%s\t%s\t%s\n", row->name, row->parent, xml_occurs_name(row->occurs), row->help);
        list_attributes(row->name, out);
    }
}
