/* Checkpoints made on the spot in a temporary directory, for the tests of frontend/checkpoint. */
#ifndef POFAC_TESTS_UNIT_CHECKPOINT_FILES_H
#define POFAC_TESTS_UNIT_CHECKPOINT_FILES_H

#include <stddef.h>

#include "frontend/checkpoint/checkpoint.h"

/* For cmocka_run_group_tests: *state is the directory's path, removed with its files at the end. jansson's allocations fail
 * together with pofac's own (fail_alloc.h). */
int files_set_up(void **state);
int files_tear_down(void **state);

/* The path of a file in the directory; valid until the fourth next call. */
const char *file_path(void **state, const char *name);

/* Writes a file as it is; writes a safetensors file of a header and data. */
void put_file(void **state, const char *name, const void *bytes, size_t n);
void put_safetensors(void **state, const char *name, const char *header, const void *data, size_t n);

/* Opens and compares the status and all messages, the directory's name cut from them. */
void expect_open_fails(void **state, const char *name, const char *said);
checkpoint *expect_open(void **state, const char *name);

/* Cuts the directory's name from messages. */
void cut_directory(void **state, char *text);

#endif
