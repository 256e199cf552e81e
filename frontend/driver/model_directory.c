/* Files that appear together; see model_directory.h. */
#include "frontend/driver/model_directory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/model_quantization.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"

#define DEFINITION "config.json"

static pofac_status fault(const char *path, const char *what, const diag_sink *sink) {
    return diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = path}, "%s: %s", what, strerror(errno));
}

/* What stays is no failure. */
static void discard(const model_directory *d, const diag_sink *sink) {
    const char *path = d->made ? d->path : strbuf_str(&d->new);
    if (directory_remove(path, NULL) != POFAC_OK)
        diag_warning(sink, &(diag_place){.file = path}, "cannot be removed: %s", strerror(errno));
}

pofac_status model_directory_open(const char *path, const diag_sink *sink, model_directory *out) {
    *out = (model_directory){.path = path, .new = STRBUF_INIT, .made = !file_exists(path)};
    TRY(directory_make(path, sink));
    strbuf_printf(&out->new, "%s/" MODEL_DIRECTORY_NEW, path);
    pofac_status status = strbuf_ok(&out->new) ? directory_remove(strbuf_str(&out->new), sink) : diag_out_of_memory(sink);
    if (status == POFAC_OK && mkdir(strbuf_str(&out->new), 0777) != 0)
        status = fault(strbuf_str(&out->new), "the directory cannot be made", sink);
    if (status == POFAC_OK) return POFAC_OK;
    if (out->made) (void)rmdir(path);
    strbuf_free(&out->new);
    return status;
}

/* ---- putting in place ---- */

static pofac_status put_file(const model_directory *d, const char *name, const diag_sink *sink) {
    strbuf from = STRBUF_INIT, to = STRBUF_INIT;
    strbuf_printf(&from, "%s/%s", strbuf_str(&d->new), name);
    strbuf_printf(&to, "%s/%s", d->path, name);
    pofac_status status = strbuf_ok(&from) && strbuf_ok(&to) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK && rename(strbuf_str(&from), strbuf_str(&to)) != 0)
        status = fault(strbuf_str(&to), "cannot be put in its place", sink);
    strbuf_free(&from);
    strbuf_free(&to);
    return status;
}

/* What would say something else of the files to come. */
static pofac_status remove_file(const model_directory *d, const char *name, const diag_sink *sink) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/%s", d->path, name);
    pofac_status status = strbuf_ok(&path) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK && unlink(strbuf_str(&path)) != 0 && errno != ENOENT)
        status = fault(strbuf_str(&path), "cannot be removed", sink);
    strbuf_free(&path);
    return status;
}

static pofac_status put_all_but_definition(const model_directory *d, const diag_sink *sink) {
    DIR *files = opendir(strbuf_str(&d->new));
    pofac_status status = files ? POFAC_OK : fault(strbuf_str(&d->new), "cannot be read", sink);
    for (struct dirent *e = files ? readdir(files) : NULL; e && status == POFAC_OK; e = readdir(files))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, DEFINITION) != 0)
            status = put_file(d, e->d_name, sink);
    if (files) closedir(files);
    return status;
}

static pofac_status put_in_place(const model_directory *d, const diag_sink *sink) {
    TRY(remove_file(d, DEFINITION, sink));
    TRY(remove_file(d, QUANTIZATION_FILE, sink));
    TRY(put_all_but_definition(d, sink));
    TRY(put_file(d, DEFINITION, sink));
    directory_sync(d->path);
    return POFAC_OK;
}

pofac_status model_directory_close(model_directory *d, pofac_status status, const diag_sink *sink) {
    if (status == POFAC_OK) {
        status = put_in_place(d, sink);
        d->made &= status != POFAC_OK;
    }
    discard(d, sink);
    strbuf_free(&d->new);
    return status;
}
