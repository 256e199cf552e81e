/*
 * Checks JSON against paths: is it valid, and does it have what is wanted?
 *
 *   json_has [--lines=N] FILE PATH:TYPE ... PATH=VALUE ...
 *
 * PATH: keys and indices with dots between ("kernels.0.ms"); "" is the whole document. TYPE: object, array, string, number, boolean, null,
 * or positive: a number above 0. VALUE: a string as it is, else the value as compact JSON. With --lines the file has N lines of one
 * document each, and every one is checked. FILE "-": standard input. Exit status: 0 all there, 1 not, 2 usage, 3 the file cannot be read.
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *follow(const json_t *value, const char *path, size_t n) {
    while (n && value) {
        size_t key_bytes = 0;
        while (key_bytes < n && path[key_bytes] != '.') key_bytes++;
        char key[256];
        if (key_bytes >= sizeof key) return NULL;
        memcpy(key, path, key_bytes);
        key[key_bytes] = 0;
        value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10)) : json_object_get(value, key);
        path += key_bytes;
        n -= key_bytes;
        if (n) path++, n--;
    }
    return value;
}

static const char *type_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "object";
    case JSON_ARRAY: return "array";
    case JSON_STRING: return "string";
    case JSON_INTEGER:
    case JSON_REAL: return "number";
    case JSON_TRUE:
    case JSON_FALSE: return "boolean";
    case JSON_NULL: break;
    }
    return "null";
}

static bool has_value(const json_t *value, const char *wanted) {
    if (json_is_string(value)) return strcmp(json_string_value(value), wanted) == 0;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    bool same = text && strcmp(text, wanted) == 0;
    free(text);
    return same;
}

static bool is_of_type(const json_t *value, const char *type) {
    if (strcmp(type, "positive") == 0) return json_is_number(value) && json_number_value(value) > 0.0;
    return strcmp(type, type_of(value)) == 0;
}

/* One PATH:TYPE or PATH=VALUE. The line names where: 0 for a file of one document. */
static bool check(const json_t *document, const char *wanted, size_t line) {
    size_t n = strcspn(wanted, ":=");
    const json_t *value = follow(document, wanted, n);
    if (value && wanted[n] == ':' && is_of_type(value, wanted + n + 1)) return true;
    if (value && wanted[n] == '=' && has_value(value, wanted + n + 1)) return true;
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (line) printf("line %zu: ", line);
    printf("%.*s is %s, wanted %s\n", (int)n, wanted, text ? text : "not there", wanted[n] ? wanted + n + 1 : "TYPE or VALUE");
    free(text);
    return false;
}

static bool check_document(const char *text, size_t n_bytes, char **wanted, int n, size_t line) {
    json_error_t error;
    json_t *document = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!document) {
        printf("line %zu: not JSON: %s\n", line ? line : (size_t)error.line, error.text);
        return false;
    }
    bool good = true;
    for (int i = 0; i < n; i++) good &= check(document, wanted[i], line);
    json_decref(document);
    return good;
}

static int check_file(FILE *file, bool by_line, size_t lines, char **wanted, int n) {
    char *text = NULL;
    size_t capacity = 0, found = 0;
    ssize_t bytes;
    bool good = true;
    while ((bytes = getdelim(&text, &capacity, by_line ? '\n' : EOF, file)) > 0) {
        found++;
        good &= check_document(text, (size_t)bytes, wanted, n, by_line ? found : 0);
    }
    if (found != lines) printf("found %zu documents, wanted %zu\n", found, lines);
    free(text);
    return good && found == lines ? 0 : 1;
}

int main(int argc, char **argv) {
    bool by_line = argc > 1 && strncmp(argv[1], "--lines=", 8) == 0;
    int first = by_line ? 2 : 1;
    if (argc <= first) {
        fprintf(stderr, "usage: json_has [--lines=N] FILE PATH:TYPE ... PATH=VALUE ...\n");
        return 2;
    }
    FILE *file = strcmp(argv[first], "-") == 0 ? stdin : fopen(argv[first], "re");
    if (!file) {
        fprintf(stderr, "%s: error: cannot open: %s\n", argv[first], strerror(errno));
        return 3;
    }
    int status = check_file(file, by_line, by_line ? strtoul(argv[1] + 8, NULL, 10) : 1, argv + first + 1, argc - first - 1);
    if (file != stdin) fclose(file);
    return status;
}
