/*
 * Runs a fuzzer's entry over every file of the directories and files named on the command line: the corpus as a regression test,
 * without libFuzzer. An empty directory is a failure, as it would test nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ir/support/file_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_diag(void *user, const diag *d) {
    (void)user;
    fprintf(stderr, "%s: %s\n", d->place.file ? d->place.file : "replay", d->message);
}

/* The input is copied to memory of exactly its size, so that AddressSanitizer sees a read over its end. */
static int replay_file(const char *path) {
    static const diag_sink sink = {print_diag, NULL};
    file_map map;
    if (file_map_open(path, &sink, &map) != POFAC_OK) return -1;
    uint8_t *copy = malloc(map.size_bytes ? map.size_bytes : 1);
    if (!copy) {
        fprintf(stderr, "%s: out of memory\n", path);
        file_map_close(&map);
        return -1;
    }
    const size_t size = map.size_bytes;
    if (size) memcpy(copy, map.data, size);
    file_map_close(&map);
    printf("%s\n", path); /* the last line names the input that crashed */
    fflush(stdout);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

static int replay_directory(const char *path) {
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort), replayed = 0, failed = 0;
    if (n < 0) {
        perror(path);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            char file[4096];
            snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
            replayed++;
            if (replay_file(file) != 0) failed = 1;
        }
        free(entries[i]);
    }
    free(entries);
    if (replayed == 0) fprintf(stderr, "%s: found no file, wanted at least one input\n", path);
    return replayed && !failed ? 0 : -1;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s DIRECTORY|FILE...\n", argv[0]);
        return 2;
    }
    int failed = 0;
    for (int i = 1; i < argc; i++)
        if ((file_is_directory(argv[i]) ? replay_directory(argv[i]) : replay_file(argv[i])) != 0) failed = 1;
    return failed;
}
