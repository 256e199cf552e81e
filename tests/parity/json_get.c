/*
 * Prints one member of every line of a file of JSON objects: strings as they are, ended by one newline, everything else as compact JSON.
 *
 *   json_get FILE KEY
 *
 * Exit status: 0, 1 a line is no JSON object with this key, 2 usage, 3 the file cannot be read.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_member(const char *line, size_t n, const char *key) {
    json_t *object = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
    const json_t *value = json_object_get(object, key);
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (json_is_string(value)) {
        size_t bytes = json_string_length(value);
        fwrite(json_string_value(value), 1, bytes, stdout);
        if (bytes == 0 || json_string_value(value)[bytes - 1] != '\n') putchar('\n');
    } else if (text) {
        puts(text);
    } else {
        printf("no \"%s\" in this line: %s", key, line);
    }
    int status = text || json_is_string(value) ? 0 : 1;
    free(text);
    json_decref(object);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: json_get FILE KEY\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "re");
    if (!file) {
        fprintf(stderr, "%s: error: cannot open: %s\n", argv[1], strerror(errno));
        return 3;
    }
    char *line = NULL;
    size_t capacity = 0;
    int status = 0;
    for (ssize_t n; (n = getline(&line, &capacity, file)) > 0;) status |= print_member(line, (size_t)n, argv[2]);
    free(line);
    fclose(file);
    return status;
}
