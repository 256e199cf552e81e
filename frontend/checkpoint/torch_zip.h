/*
 * A zip archive in a mapping: its entries by name, and their bytes.
 *
 * torch.save writes entries that are stored, not compressed, so their bytes are views of the mapping; archives that other programs
 * packed again may have deflated ones, which are inflated when they are asked for.
 */
#ifndef POFAC_FRONTEND_TORCH_ZIP_H
#define POFAC_FRONTEND_TORCH_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/strmap.h"

typedef struct zip_entry {
    const char *name;              /* 0-terminated */
    uint64_t begin, end;           /* in the file: from its local header to behind its data */
    uint64_t packed_bytes, bytes;  /* equal where it is stored */
    uint16_t method, flags;        /* 0: stored, 8: deflated; bit 0 of the flags: encrypted */
    uint32_t crc;                  /* checked where the entry is inflated: torch.save may leave it out */
    const unsigned char *inflated; /* of a deflated entry once it was asked for */
} zip_entry;

typedef struct zip_archive {
    const char *file;
    const unsigned char *bytes;
    size_t n_bytes;
    zip_entry *entries; /* in the directory's order */
    size_t n_entries;
    strmap by_name;          /* name -> number of the entry */
    uint64_t inflated_bytes; /* of all entries that were inflated */
    arena *memory;           /* of what is inflated */
    const diag_sink *sink;
} zip_archive;

/*
 * Reads the directory. `memory` takes what is inflated later, and must outlive its use. POFAC_ERR_INPUT: no zip archive, cut short,
 * entries that overlap or reach out of the file, a name twice. The caller ends it with zip_close, also after an error.
 */
POFAC_MUST_USE pofac_status zip_open(const char *file, const void *bytes, size_t n_bytes, arena *memory, const diag_sink *sink,
                                     zip_archive *out);
void zip_close(zip_archive *z);

zip_entry *zip_find(const zip_archive *z, const char *name); /* NULL where there is none */

/* The entry's bytes: a view of the mapping, or memory of the arena. POFAC_ERR_INPUT: encrypted, packed by another method, or
 * malformed; or more is inflated than ZIP_MAX_RATIO times the file has, and ZIP_FREE_BYTES. */
#define ZIP_MAX_RATIO 100 /* weights shrink to a tenth when nine of ten are zero */
#define ZIP_FREE_BYTES ((uint64_t)1 << 26)
POFAC_MUST_USE pofac_status zip_read(zip_archive *z, zip_entry *entry, const unsigned char **out);

/* Sends `FILE: error: ENTRY: ...` and returns POFAC_ERR_INPUT. */
POFAC_PRINTF(3, 4) pofac_status zip_wrong(const zip_archive *z, const char *entry, const char *format, ...);

#endif
