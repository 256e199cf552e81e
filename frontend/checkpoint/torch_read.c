/*
 * A file that torch.save wrote -> a checkpoint of views into its mapping: tells the two forms apart by how they begin (torch_forms.h).
 */
#include <string.h>

#include "frontend/checkpoint/torch_forms.h"

static bool begins_with(const file_map *map, const char *text, size_t n) {
    return map->size_bytes >= n && memcmp(map->data, text, n) == 0;
}

static pofac_status read_form(torch_file *f) {
    static const char pointer[] = "version https://git-lfs";
    if (begins_with(&f->map, "PK\3\4", 4) || begins_with(&f->map, "PK\5\6", 4)) return torch_read_archive(f);
    if (begins_with(&f->map, "\x80", 1)) return torch_read_stream(f);
    if (begins_with(&f->map, pointer, sizeof pointer - 1))
        return torch_wrong(f, "found a pointer of Git LFS, wanted the file that it stands for: `git lfs pull` fetches it");
    return torch_wrong(f, "found no file of torch.save, wanted a zip archive or a stream of pickles");
}

static pofac_status read_some(const char *path, const checkpoint_filter *filter, const diag_sink *sink, checkpoint *c) {
    torch_file f = {.filter = filter, .c = c, .scratch = ARENA_INIT, .sink = sink};
    TRY(checkpoint_map(c, path, sink, &f.map, &f.name));
    pofac_status status = read_form(&f);
    arena_free(&f.scratch);
    return status;
}

pofac_status torch_read(const char *path, const diag_sink *sink, checkpoint *c) { return read_some(path, NULL, sink, c); }

pofac_status torch_index_read(const char *path, const diag_sink *sink, checkpoint *c) {
    return shard_index_read(path, read_some, sink, c);
}
