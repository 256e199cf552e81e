/* The directory that shards are built in; see build_stages.h. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/build_stages.h"
#include "ir/support/directory.h"

#define REASON_BYTES 128

static pofac_status fault(const char *path, const char *what, const diag_sink *sink) {
    char text[REASON_BYTES];
    const diag_place place = {.file = path};
    return diag_error(sink, POFAC_ERR_RUNTIME, &place, "%s: %s", what, strerror_r(errno, text, sizeof text));
}

/* What a file of a build is: its kind and number. */
typedef enum build_file { OTHER_FILE, MANIFEST, SPOOL, TRAIN_SHARD, VALIDATION_SHARD, TEMPORARY } build_file;

static build_file classify(const char *name, uint64_t *number) {
    static const struct {
        const char *prefix, *suffix;
        build_file kind;
    } forms[] = {{"documents-", ".spool", SPOOL}, {"train-", ".shard", TRAIN_SHARD}, {"validation-", ".shard", VALIDATION_SHARD}};
    const size_t n_manifest = strlen(MANIFEST_FILE);
    *number = 0;
    if (strcmp(name, MANIFEST_FILE) == 0) return MANIFEST;
    if (strncmp(name, MANIFEST_FILE ".tmp.", n_manifest + 5) == 0) return TEMPORARY;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const size_t n = strlen(forms[i].prefix), n_suffix = strlen(forms[i].suffix);
        if (strncmp(name, forms[i].prefix, n) != 0) continue;
        const size_t digits = strspn(name + n, "0123456789");
        const char *rest = name + n + digits;
        if (digits < 5 || digits > 18 || strncmp(rest, forms[i].suffix, n_suffix) != 0) continue;
        for (size_t k = 0; k < digits; k++) *number = 10 * *number + (uint64_t)(name[n + k] - '0');
        if (rest[n_suffix] == 0) return forms[i].kind;
        if (strncmp(rest + n_suffix, ".tmp.", 5) == 0) return TEMPORARY;
    }
    return OTHER_FILE;
}

static uint64_t count_shards(const shard_manifest *m, shard_split split) {
    uint64_t n = 0;
    for (size_t i = 0; i < m->shards.size; i++) n += m->shards.data[i].split == split;
    return n;
}

static bool is_listed(const shard_manifest *m, build_file kind, uint64_t number) {
    switch (kind) {
    case OTHER_FILE: return true; /* none of ours */
    case MANIFEST: return m != NULL;
    case SPOOL: return m && !m->is_complete && number < m->spools.size;
    case TRAIN_SHARD: return m && number < count_shards(m, SHARD_TRAIN);
    case VALIDATION_SHARD: return m && number < count_shards(m, SHARD_VALIDATION);
    case TEMPORARY: break;
    }
    return false;
}

pofac_status shard_directory_clean(const char *dir, const shard_manifest *m, const diag_sink *sink) {
    uint64_t number;
    DIR *d = opendir(dir);
    if (!d) return fault(dir, "cannot be read", sink);
    pofac_status status = POFAC_OK;
    for (struct dirent *e = readdir(d); e && status == POFAC_OK; e = readdir(d)) {
        const build_file kind = classify(e->d_name, &number);
        if (is_listed(m, kind, number)) continue;
        if (unlinkat(dirfd(d), e->d_name, 0) != 0) status = fault(dir, "a file of an earlier build cannot be removed", sink);
    }
    closedir(d);
    return status;
}

/* Counts entries that are not ours, and says whether there is a manifest. */
static pofac_status look(const char *dir, const diag_sink *sink, size_t *n_all, size_t *n_others, bool *manifest) {
    uint64_t number;
    DIR *d = opendir(dir);
    *n_all = *n_others = 0;
    *manifest = false;
    if (!d) return fault(dir, "cannot be read", sink);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        const build_file kind = classify(e->d_name, &number);
        ++*n_all;
        *n_others += kind == OTHER_FILE;
        if (kind == MANIFEST) *manifest = true;
    }
    closedir(d);
    return POFAC_OK;
}

static pofac_status take_hold(const char *dir, const diag_sink *sink, int *lock) {
    const diag_place place = {.file = dir};
    TRY(directory_lock(dir, sink, lock));
    return *lock >= 0 ? POFAC_OK : diag_error(sink, POFAC_ERR_RUNTIME, &place, "another process is building here");
}

static pofac_status decide(const build_shards_options *o, const diag_sink *sink, bool *found) {
    const diag_place place = {.file = o->output_dir};
    size_t n_all, n_others;
    TRY(look(o->output_dir, sink, &n_all, &n_others, found));
    if (o->directory == BUILD_NEW && n_all > 0)
        return diag_error(sink, POFAC_ERR_USAGE, &place,
                          "the directory is not empty; --resume goes on with a build, --overwrite_output_dir replaces it");
    if (o->directory == BUILD_RESUME && !*found && n_others > 0)
        return diag_error(sink, POFAC_ERR_INPUT, &place,
                          "found no " MANIFEST_FILE ", wanted the directory of a build to go on with");
    if (o->directory == BUILD_RESUME && *found) return POFAC_OK;
    *found = false;
    return shard_directory_clean(o->output_dir, NULL, sink);
}

pofac_status shard_directory_open(const build_shards_options *options, const diag_sink *sink, int *lock, bool *found) {
    *lock = -1;
    *found = false;
    TRY(directory_make(options->output_dir, sink));
    TRY(take_hold(options->output_dir, sink, lock));
    pofac_status status = decide(options, sink, found);
    if (status == POFAC_OK) return POFAC_OK;
    close(*lock);
    *lock = -1;
    return status;
}
