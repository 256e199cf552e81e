/*
 * The object cache: a directory of compiled kernels, one file each, shared by concurrent processes.
 *
 * File <32 hexadecimal digits of the key's hash>.o, all numbers little-endian:
 *   "POFACOBJ"   8 bytes
 *   version      u32, OBJECT_CACHE_VERSION
 *   key bytes    u32
 *   object bytes u64
 *   checksum     XXH3-128 of key and object: low u64, high u64
 *   key          everything that the code depends on, as text
 *   object       ELF
 */
#ifndef POFAC_CODEGEN_OBJECT_CACHE_H
#define POFAC_CODEGEN_OBJECT_CACHE_H

#include "ir/support/diag.h"
#include "ir/support/strbuf.h"

#define OBJECT_CACHE_VERSION 1

typedef struct object_cache object_cache;

/* Opens the directory, made (0700, with its parents) where missing. *out is NULL, with a warning, when it cannot be made or used,
 * belongs to somebody else, or others may write to it: compiling goes on without a cache. An error only when memory is short. */
POFAC_MUST_USE pofac_status object_cache_open(const char *dir, const diag_sink *sink, object_cache **out);
/* The same for other things that are dear to make: `what` stands in warnings, `suffix` ends the names of files (".o" above); both are
 * literals. */
POFAC_MUST_USE pofac_status object_cache_open_named(const char *dir, const char *what, const char *suffix, const diag_sink *sink,
                                                    object_cache **out);
void object_cache_close(object_cache *c); /* NULL is fine */

/* Appends the object stored under `key`; false when there is none, or its file is damaged or holds another key. */
bool object_cache_get(const object_cache *c, const char *key, strbuf *out);

/* Stores an object: a temporary file that is renamed, so that a reader sees all of it or nothing. Failure is silent: the next
 * process compiles again. */
void object_cache_put(const object_cache *c, const char *key, const void *object, size_t n);

#endif
