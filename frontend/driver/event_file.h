/*
 * Event files of TensorBoard: scalars by tag and step.
 *
 * A file DIR/events.out.tfevents.SECONDS.pofac holds TFRecords - u64 length, u32 masked CRC-32C of it, bytes, u32 masked CRC-32C of them,
 * little-endian (tensorflow/core/lib/io/record_writer.h) - of Event messages (tensorflow/core/util/event.proto): wall_time = 1 (double),
 * step = 2 (varint), file_version = 3 ("brain.Event:2", the first record), summary = 5 { value = 1 { tag = 1, simple_value = 2 (float) } }.
 */
#ifndef POFAC_FRONTEND_EVENT_FILE_H
#define POFAC_FRONTEND_EVENT_FILE_H

#include "ir/support/diag.h"

typedef struct event_file event_file;

/* Makes the file in `directory`, which is there; `wall_seconds` since 1970 is in its name. One that is there already goes on. */
POFAC_MUST_USE pofac_status event_file_open(const char *directory, double wall_seconds, const diag_sink *sink, event_file **out);

/* Adds a number; it is in the file when the call returns. */
POFAC_MUST_USE pofac_status event_file_add(event_file *f, double wall_seconds, int64_t step, const char *tag, double value,
                                           const diag_sink *sink);

void event_file_close(event_file *f); /* NULL is fine */

/* The parts, for readers too: CRC-32C (Castagnoli) of bytes, and the form in which TFRecords keep it. */
uint32_t event_crc32c(const void *bytes, size_t n);
uint32_t event_masked_crc32c(const void *bytes, size_t n);

#endif
