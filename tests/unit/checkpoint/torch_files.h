/*
 * Pickles, zip archives and streams as torch.save writes them, and as it never would, for the tests of its reader. Every function
 * appends; memory that is short ends the test.
 */
#ifndef POFAC_TESTS_UNIT_TORCH_FILES_H
#define POFAC_TESTS_UNIT_TORCH_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/strbuf.h"

/* ---- pickles ---- */

void put_bytes(strbuf *b, const void *bytes, size_t n);
#define PUT(b, text) put_bytes(b, text, sizeof(text) - 1) /* a literal, zero bytes included */
#define BYTES(text) text, sizeof(text) - 1                /* the same as two arguments */
void put_text(strbuf *b, const char *text);               /* a string */
void put_integer(strbuf *b, int64_t n);
void put_storage(strbuf *b, const char *class, const char *key, int64_t n); /* of the zip form */

/* A tensor that is a view of a storage; `class` is "FloatStorage" or another. */
typedef struct torch_view {
    const char *name, *class, *key;
    int64_t n_stored, offset;
    int rank;
    int64_t size[10], stride[10];
} torch_view;
void put_tensor(strbuf *b, const torch_view *v);

/* A dictionary of tensors, from PROTO to STOP. */
void put_state(strbuf *b, const torch_view *views, size_t n);

/* ---- zip archives ---- */

typedef enum zip_how { ZIP_STORED, ZIP_DEFLATED } zip_how;

typedef struct zip_writer {
    strbuf file, directory;
    size_t n_entries;
    bool zip64; /* sizes and places stand in zip64 fields alone, as in archives of more than 4 GiB */
} zip_writer;

void zip_put(zip_writer *z, const char *name, zip_how how, const void *bytes, size_t n);
void zip_finish(zip_writer *z); /* the archive is z->file */
void zip_discard(zip_writer *z);

/* Overwrites n bytes `offset` behind the number-th place (from 0) at which the signature "PK??" stands. */
void zip_patch(zip_writer *z, const char *signature, size_t number, size_t offset, const void *bytes, size_t n);

/* ---- streams ---- */

/* All before the object's pickle. */
void put_preamble(strbuf *b);

/* The pickle of keys, and a storage behind it. */
void put_keys(strbuf *b, const char *const *keys, size_t n);
void put_elements(strbuf *b, int64_t n, const void *bytes, size_t n_bytes);

/* ---- files in either form ---- */

/* A storage: n elements. */
typedef struct torch_stored {
    const char *key;
    int64_t n;
    const void *bytes;
    size_t n_bytes;
    zip_how how; /* in an archive */
} torch_stored;

/* A file of a pickle and storages; an archive's writer is left to be patched. */
void make_archive(zip_writer *z, const strbuf *pickle, const torch_stored *storages, size_t n);
void make_stream(strbuf *b, const strbuf *pickle, const torch_stored *storages, size_t n);

/* The same as a file of the test's directory (checkpoint_files.h). */
void put_archive(void **state, const char *name, const strbuf *pickle, const torch_stored *storages, size_t n);
void put_stream(void **state, const char *name, const strbuf *pickle, const torch_stored *storages, size_t n);

/* Views of all kinds of the storage "0", which holds 1 to 6. */
#define TORCH_N_SMALL 7
extern const float torch_six[6];
extern const torch_view torch_small_views[TORCH_N_SMALL];
void make_small_state(strbuf *pickle, torch_stored *storage, zip_how how);

#endif
