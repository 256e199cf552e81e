/* Reading IR text; see text_file.h. */
#include "frontend/driver/text_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "ir/support/file_map.h"
#include "ir/text.h"

typedef struct constant_file {
    checkpoint *file;
    VEC(ir_tensor) loaded; /* freed when the module has its own copies */
} constant_file;

static pofac_status get_constant(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    constant_file *c = user;
    const checkpoint_tensor *t = checkpoint_get(c->file, name);
    if (!t) return diag_error(sink, POFAC_ERR_INPUT, NULL, "the file of constants has no tensor \"%s\"", name);
    TRY(checkpoint_load(t, t->dtype, sink, out));
    if (out->owned && !VEC_PUSH(&c->loaded, *out)) {
        tensor_free(out);
        return diag_out_of_memory(sink);
    }
    out->owned = false;
    return POFAC_OK;
}

pofac_status text_file_save_constants(const ir_module *m, const char *path, const diag_sink *sink) {
    arena a = ARENA_INIT;
    size_t n = m->constants.size;
    safetensors_item *items = ARENA_ARRAY(&a, safetensors_item, n + 1);
    if (!items) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) {
        const ir_constant_data *c = &m->constants.data[i];
        items[i] = (safetensors_item){.name = c->name, .dtype = c->tensor.dtype, .rank = c->tensor.rank, .data = c->tensor.data};
        memcpy(items[i].dims, c->tensor.dims, sizeof c->tensor.dims);
    }
    pofac_status status = safetensors_write(path, items, n, NULL, 0, sink);
    arena_free(&a);
    return status;
}

pofac_status text_file_slurp(int fd, const char *name, const diag_sink *sink, strbuf *out) {
    char block[65536];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = name}, "cannot read: %s", strerror(errno));
        if (n == 0) break;
        strbuf_append(out, block, (size_t)n);
        if (!strbuf_ok(out)) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

static pofac_status parse(ir_context *c, const char *path, const tensor_source *source, const diag_sink *sink, ir_module **out) {
    if (strcmp(path, "-") == 0) {
        strbuf text = STRBUF_INIT;
        pofac_status status = text_file_slurp(STDIN_FILENO, "standard input", sink, &text);
        if (status == POFAC_OK) status = text_parse_module(c, "standard input", strbuf_str(&text), text.size, source, sink, out);
        strbuf_free(&text);
        return status;
    }
    file_map map;
    TRY(file_map_open(path, sink, &map));
    pofac_status status = text_parse_module(c, path, (const char *)map.data, map.size_bytes, source, sink, out);
    file_map_close(&map);
    return status;
}

pofac_status text_file_read(ir_context *c, const char *path, const char *constants, const diag_sink *sink, ir_module **out) {
    constant_file file = {0};
    *out = NULL;
    if (constants) TRY(checkpoint_open(constants, sink, &file.file));
    const tensor_source source = {.get = get_constant, .user = &file};
    pofac_status status = parse(c, path, constants ? &source : NULL, sink, out);
    for (size_t i = 0; i < file.loaded.size; i++) {
        file.loaded.data[i].owned = true;
        tensor_free(&file.loaded.data[i]);
    }
    VEC_FREE(&file.loaded);
    checkpoint_close(file.file);
    return status;
}
