/*
 * The zip form of torch.save -> tensors (torch_forms.h). All names begin with that of the folder that the first entry is in, which is
 * the name of the file when it was saved. Storages that are stored, as torch.save writes them, are views of the mapping.
 */
#include <inttypes.h>
#include <string.h>

#include "frontend/checkpoint/torch_forms.h"
#include "frontend/checkpoint/torch_zip.h"

typedef struct archive {
    torch_file *file;
    zip_archive zip;
    const char *folder; /* not 0-terminated */
    size_t folder_bytes;
    strbuf name;
} archive;

/* The entry of that name in the folder; NULL when there is none. False when memory is short. */
static bool find_entry(archive *a, const char *folder, const char *name, zip_entry **out) {
    strbuf_clear(&a->name);
    strbuf_append(&a->name, a->folder, a->folder_bytes);
    strbuf_puts(&a->name, folder);
    strbuf_puts(&a->name, name);
    if (!strbuf_ok(&a->name)) return false;
    *out = zip_find(&a->zip, strbuf_str(&a->name));
    return true;
}

static pofac_status find_storage(void *user, const pickle_storage *s, const unsigned char **out) {
    archive *a = user;
    zip_entry *entry;
    int64_t n_bytes;
    if (!find_entry(a, "data/", s->key, &entry)) return diag_out_of_memory(a->file->sink);
    if (!entry) return zip_wrong(&a->zip, strbuf_str(&a->name), "not found in the archive, where a tensor needs it");
    if (__builtin_mul_overflow(s->n_stored, (int64_t)(dtype_bits(s->dtype) / 8), &n_bytes) || entry->bytes != (uint64_t)n_bytes)
        return zip_wrong(&a->zip, entry->name, "found %" PRIu64 " bytes, wanted as many as %" PRId64 " elements of %s take",
                         entry->bytes, s->n_stored, dtype_name(s->dtype));
    return zip_read(&a->zip, entry, out);
}

/* Numbers are little-endian where nothing is said. */
static pofac_status check_byte_order(archive *a) {
    zip_entry *entry;
    const unsigned char *bytes;
    if (!find_entry(a, "", "byteorder", &entry)) return diag_out_of_memory(a->file->sink);
    if (!entry) return POFAC_OK;
    TRY(zip_read(&a->zip, entry, &bytes));
    if (entry->bytes == 6 && memcmp(bytes, "little", 6) == 0) return POFAC_OK;
    return zip_wrong(&a->zip, entry->name, "found another order of bytes, wanted \"little\"");
}

static pofac_status find_folder(archive *a) {
    if (a->zip.n_entries == 0) return torch_wrong(a->file, "found an empty zip archive, wanted one with data.pkl");
    a->folder = a->zip.entries[0].name;
    const char *slash = strchr(a->folder, '/');
    a->folder_bytes = slash ? (size_t)(slash + 1 - a->folder) : 0;
    return POFAC_OK;
}

static pofac_status read_object(archive *a, pickle *out) {
    zip_entry *entry, *constants;
    const unsigned char *bytes;
    if (!find_entry(a, "", "constants.pkl", &constants) || !find_entry(a, "", "data.pkl", &entry))
        return diag_out_of_memory(a->file->sink);
    if (!entry) return zip_wrong(&a->zip, strbuf_str(&a->name), "not found in the archive: it is not one that torch.save wrote");
    if (constants) return torch_wrong(a->file, "found a TorchScript program, wanted tensors: save the model's state_dict()");
    TRY(zip_read(&a->zip, entry, &bytes));
    const pickle_source from = {
        .file = a->file->name, .part = "data.pkl", .bytes = bytes, .n_bytes = (size_t)entry->bytes, .first = 0};
    return torch_unpickle(&from, &a->file->scratch, a->file->sink, out);
}

static pofac_status read_archive(archive *a) {
    pickle object = {0};
    TRY(find_folder(a));
    TRY(check_byte_order(a));
    TRY(read_object(a, &object));
    const torch_storages storages = {find_storage, a};
    return torch_add_tensors(a->file, object.root, &storages);
}

pofac_status torch_read_archive(torch_file *f) {
    archive a = {.file = f, .name = STRBUF_INIT};
    pofac_status status = zip_open(f->name, f->map.data, f->map.size_bytes, checkpoint_memory(f->c), f->sink, &a.zip);
    if (status == POFAC_OK) status = read_archive(&a);
    zip_close(&a.zip);
    strbuf_free(&a.name);
    return status;
}
