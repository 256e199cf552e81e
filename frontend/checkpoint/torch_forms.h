/*
 * The two forms of the files that torch.save writes, and what they have in common: a pickled dictionary of tensors, each a view of
 * a storage.
 *
 *     zip form (since PyTorch 1.6)                     stream form (before)
 *         NAME/data.pkl      the object                    pickle of the number 0x1950a86a20f9469cfc6c
 *         NAME/data/KEY      a storage's elements          pickle of 1001, the form's version
 *         NAME/byteorder     "little", if there            pickle of a dictionary: sizes of the writer's integers
 *         NAME/version, ...  not needed                    pickle of the object
 *                                                          pickle of the list of the storages' keys, and in its order for each:
 *                                                              8 bytes   number of elements, little-endian
 *                                                              the elements
 *
 * Source: torch/serialization.py (_save and _legacy_save), caffe2/serialize/inline_container.h.
 */
#ifndef POFAC_FRONTEND_TORCH_FORMS_H
#define POFAC_FRONTEND_TORCH_FORMS_H

#include "frontend/checkpoint/shard_index.h"
#include "frontend/checkpoint/torch_pickle.h"

/* A file being read. */
typedef struct torch_file {
    const char *name; /* for messages; lives as long as the checkpoint */
    file_map map;
    const checkpoint_filter *filter; /* NULL: all tensors */
    checkpoint *c;
    arena scratch; /* the pickle's values */
    const diag_sink *sink;
} torch_file;

POFAC_MUST_USE pofac_status torch_read_archive(torch_file *f); /* the zip form */
POFAC_MUST_USE pofac_status torch_read_stream(torch_file *f);

/* Where the elements of storages are. */
typedef struct torch_storages {
    /* The n_stored elements of `s`, after a check that they are there. */
    pofac_status (*find)(void *user, const pickle_storage *s, const unsigned char **out);
    void *user;
} torch_storages;

/*
 * Adds the tensors of the state dictionary in `root`: under its key `state_dict` or `model`, where a dictionary with tensors is
 * there, else the root itself. Entries that are no tensors are ignored. POFAC_ERR_INPUT: no tensors at all; one with dimensions
 * that are negative or overflow, or whose view reaches out of its storage.
 */
POFAC_MUST_USE pofac_status torch_add_tensors(torch_file *f, const pickle_value *root, const torch_storages *storages);

/* Sends `FILE: error: ...` and returns POFAC_ERR_INPUT. */
POFAC_PRINTF(2, 3) pofac_status torch_wrong(const torch_file *f, const char *format, ...);

#endif
