/*
 * The bytes of a file, front to back, as they were before gzip: a file that begins with gzip's two bytes is inflated while it is read
 * (RFC 1952; members that follow each other are one text), any other is given as it is. Memory does not grow with the file.
 */
#ifndef POFAC_FRONTEND_INFLATED_FILE_H
#define POFAC_FRONTEND_INFLATED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/strbuf.h"

typedef struct inflated_file inflated_file;

/* Opens `path`, which must outlive the file, or standard input for "-". POFAC_ERR_INPUT when it cannot be opened. */
POFAC_MUST_USE pofac_status inflated_file_open(const char *path, const diag_sink *sink, inflated_file **out);
void inflated_file_close(inflated_file *f); /* NULL is fine */

/* The next bytes, at most n and at least one; *got is 0 at the end. POFAC_ERR_INPUT with the file: it cannot be read, is damaged, ends
 * in the middle of its compressed data, or has something behind them. */
POFAC_MUST_USE pofac_status inflated_file_read(inflated_file *f, void *bytes, size_t n, const diag_sink *sink, size_t *got);

/* For messages: the path, or "standard input". */
const char *inflated_file_name(const inflated_file *f);

/* Bytes that were read, as they lie in the file, and all of them; -1: not known. */
uint64_t inflated_file_position(const inflated_file *f);
int64_t inflated_file_total_bytes(const inflated_file *f);

/* Appends a whole file. POFAC_ERR_INPUT when it has more than max_bytes. */
POFAC_MUST_USE pofac_status inflated_file_read_all(const char *path, size_t max_bytes, const diag_sink *sink, strbuf *out);

#endif
