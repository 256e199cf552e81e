/*
 * The file by which Linux' perf names code that was made at run time: /tmp/perf-PID.map, lines "ADDRESS SIZE NAME" in hexadecimal
 * (tools/perf/Documentation/jit-interface.txt in Linux).
 */
#ifndef POFAC_CODEGEN_PERF_MAP_H
#define POFAC_CODEGEN_PERF_MAP_H

#include "ir/support/diag.h"

/* The file of this process, at its end; what an earlier process of the same number left is dropped. -1 with a warning when it cannot be
 * written. */
int perf_map_open(const diag_sink *sink);
void perf_map_add(int fd, uintptr_t address, size_t bytes, const char *name);

#endif
