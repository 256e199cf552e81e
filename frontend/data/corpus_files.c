/* Walking directories: a list of those still to be read stands in for recursion, so that depth costs no stack. */
#include "frontend/data/corpus_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ir/support/strbuf.h"
#include "ir/support/vector.h"

typedef VEC(char *) path_list;

static pofac_status unreadable(const char *path, int error, const diag_sink *sink) {
    char text[128]; /* the longest text of strerror in glibc has 50 bytes */
    const bool short_of_something = error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
    return diag_error(sink, short_of_something ? POFAC_ERR_RUNTIME : POFAC_ERR_INPUT, &(diag_place){.file = path},
                      "cannot be read: %s", strerror_r(error, text, sizeof text));
}

/* Takes `path` over. */
static pofac_status push_file(corpus_paths *out, char *path, const struct stat *st, bool from_directory, const diag_sink *sink) {
    const corpus_path file = {path, (uint64_t)st->st_size, from_directory};
    if (path && VEC_PUSH(out, file)) return POFAC_OK;
    free(path);
    return diag_out_of_memory(sink);
}

static pofac_status push_directory(path_list *list, char *path, const diag_sink *sink) {
    if (path && VEC_PUSH(list, path)) return POFAC_OK;
    free(path);
    return diag_out_of_memory(sink);
}

static char *joined(const char *directory, const char *name) {
    strbuf path = STRBUF_INIT;
    const size_t n = strlen(directory);
    strbuf_printf(&path, "%s%s%s", directory, n > 0 && directory[n - 1] == '/' ? "" : "/", name);
    char *text = strbuf_ok(&path) ? strdup(strbuf_str(&path)) : NULL;
    strbuf_free(&path);
    return text;
}

/* An entry of a directory. Its type is looked up as it stands, links are followed to files alone. */
static pofac_status take_entry(const char *directory, const char *name, corpus_paths *out, path_list *directories,
                               const diag_sink *sink) {
    char *path = joined(directory, name);
    struct stat st;
    if (!path) return diag_out_of_memory(sink);
    pofac_status status = POFAC_OK;
    const bool is_there = lstat(path, &st) == 0;
    if (is_there && S_ISDIR(st.st_mode)) return push_directory(directories, path, sink);
    if (!is_there || stat(path, &st) != 0) status = unreadable(path, errno, sink);
    else if (S_ISREG(st.st_mode)) return push_file(out, path, &st, true, sink);
    free(path);
    return status;
}

static pofac_status read_directory(const char *path, corpus_paths *out, path_list *directories, const diag_sink *sink) {
    DIR *entries = opendir(path);
    if (!entries) return unreadable(path, errno, sink);
    pofac_status status = POFAC_OK;
    while (status == POFAC_OK) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (!entry) {
            if (errno) status = unreadable(path, errno, sink);
            break;
        }
        if (entry->d_name[0] != '.') status = take_entry(path, entry->d_name, out, directories, sink);
    }
    closedir(entries);
    return status;
}

static int by_path(const void *a, const void *b) { return strcmp(((const corpus_path *)a)->path, ((const corpus_path *)b)->path); }

static pofac_status walk(const char *path, corpus_paths *out, const diag_sink *sink) {
    path_list directories = {0};
    const size_t before = out->size;
    pofac_status status = push_directory(&directories, strdup(path), sink);
    while (status == POFAC_OK && directories.size > 0) {
        char *directory = directories.data[--directories.size];
        status = read_directory(directory, out, &directories, sink);
        free(directory);
    }
    while (directories.size > 0) free(directories.data[--directories.size]);
    VEC_FREE(&directories);
    if (status == POFAC_OK && out->size == before)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "found no files in the directory, wanted some");
    if (status == POFAC_OK) qsort(out->data + before, out->size - before, sizeof *out->data, by_path);
    return status;
}

static pofac_status take_path(const char *path, corpus_paths *out, const diag_sink *sink) {
    struct stat st;
    if (stat(path, &st) != 0) return unreadable(path, errno, sink);
    if (S_ISDIR(st.st_mode)) return walk(path, out, sink);
    return push_file(out, strdup(path), &st, false, sink); /* what is no regular file is refused where it is opened */
}

pofac_status corpus_paths_find(const char *const *paths, size_t n_paths, const diag_sink *sink, corpus_paths *out) {
    *out = (corpus_paths){0};
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < n_paths; i++) status = take_path(paths[i], out, sink);
    if (status != POFAC_OK) corpus_paths_free(out);
    return status;
}

void corpus_paths_free(corpus_paths *p) {
    for (size_t i = 0; i < p->size; i++) free(p->data[i].path);
    VEC_FREE(p);
}
