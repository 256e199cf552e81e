/* The tables that pofac is made of, as text: what `pofac list` prints. */
#ifndef POFAC_FRONTEND_TABLES_H
#define POFAC_FRONTEND_TABLES_H

#include "ir/support/strbuf.h"

typedef struct table_row {
    const char *name, *meaning;
    void (*print)(strbuf *out); /* a line for each row of the table */
} table_row;

/* The tables; NULL past the end. */
const table_row *tables_row(size_t i);

/* "NAME    MEANING\n", as all tables print it. */
void tables_put(strbuf *out, const char *name, const char *meaning);

/* Versions of pofac, LLVM and BLAS, and the instruction set that kernels are made for. */
POFAC_MUST_USE pofac_status tables_version(const char *version, strbuf *out);

#endif
