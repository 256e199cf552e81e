/*
 * The container of compiled models (.pofac): sections of bytes with names, in one file that is mapped. What the sections mean is compiled_model.h's.
 *
 *     head       64 bytes: "POFACMDL", version u32, zeros
 *     sections   each from a multiple of 64 on, zeros behind it up to the next; as it is, or coded (section_code.h)
 *     directory  from a multiple of 64 on: an entry of 128 bytes for each section, then the texts that entries speak of, each 0-terminated
 *     foot       64 bytes: begin and bytes of the directory u64, sections u64, bytes of the file u64, checksum of the directory u64, checksum of the
 *                head and the 40 bytes before it u64, zeros, "POFACEND"
 *
 * Numbers are little-endian, as on all machines that pofac runs on. The checksum of a section is XXH3-64 of the XXH3-64s of its blocks of 1 MiB, zeros
 * behind it included; so threads check a file side by side, and no byte of it can change unseen. The version counts up with every change of this form, of a
 * packing (ir/packings.def) or of a sparse layout.
 *
 * Opening checks all checksums and decodes what is coded, on several threads.
 */
#ifndef POFAC_FRONTEND_COMPILED_FILE_H
#define POFAC_FRONTEND_COMPILED_FILE_H

#include "ir/sparse_layout.h"
#include "ir/tensor.h"

#define COMPILED_FILE_VERSION 2

/* What the bytes of a section are. The numbers stand in files. */
typedef enum compiled_kind {
    COMPILED_TEXT = 0,     /* a text or file of that name */
    COMPILED_TENSOR = 1,   /* a parameter in rows */
    COMPILED_PACKED = 2,   /* a parameter as kernels read it */
    COMPILED_PATTERN = 3,  /* no bytes: dims say rows, columns and non-zeros of the parameter */
    COMPILED_CONSTANT = 4, /* a constant of the graph in rows */
    COMPILED_OBJECT = 5,   /* object code of a kernel; the name is the hash of its key */
    N_COMPILED_KINDS
} compiled_kind;

typedef struct compiled_section {
    compiled_kind kind;
    const char *name, *packing; /* packing: its name in ir/packings.def; "" where it is none */
    ir_dtype dtype;             /* of tensors and constants */
    uint32_t rank, parameter;   /* parameter: of the packing */
    int64_t dims[IR_MAX_RANK];
    sparse_layout sparse;
    const void *data; /* 64-byte aligned; NULL where there are no bytes */
    size_t bytes;
    size_t stored_bytes; /* in the file; when writing it is not looked at */
} compiled_section;

/* ---- writing ---- */

typedef struct compiled_writer compiled_writer;

/* The file appears whole, when it is committed, or not at all. */
POFAC_MUST_USE pofac_status compiled_writer_open(const char *path, const diag_sink *sink, compiled_writer **out);
/* Its bytes are coded where that saves a quarter; texts always try, and tensors in rows never, so that they are read where the file is mapped. */
POFAC_MUST_USE pofac_status compiled_writer_add(compiled_writer *w, const compiled_section *section);
POFAC_MUST_USE pofac_status compiled_writer_commit(compiled_writer *w, uint64_t *file_bytes); /* frees w in any case */
void compiled_writer_abandon(compiled_writer *w);                                             /* frees w; NULL is fine */

/* ---- reading ---- */

typedef struct compiled_file compiled_file;

/* Does the file begin as compiled models do, or end its name in .pofac? False for directories, and where there is nothing that can be read. */
bool compiled_file_is_one(const char *path);

/* `threads` at most; 0: as many as the process may use. POFAC_ERR_INPUT: it is cut short, damaged, of another version, or malformed. */
POFAC_MUST_USE pofac_status compiled_file_open(const char *path, size_t threads, const diag_sink *sink, compiled_file **out);
void compiled_file_close(compiled_file *f); /* NULL is fine */

const char *compiled_file_path(const compiled_file *f);
size_t compiled_file_size(const compiled_file *f); /* sections */
const compiled_section *compiled_file_at(const compiled_file *f, size_t i);

/* The first section of that kind and name; NULL: there is none. */
const compiled_section *compiled_file_find(const compiled_file *f, compiled_kind kind, const char *name);

/* The section of the same kind and name behind `section`; NULL: it is the last one. */
const compiled_section *compiled_file_next(const compiled_file *f, const compiled_section *section);

#endif
