/* Gradients of losses of rows of a few classes, row by row: those of rows that do not count are 0. Units of such a kernel are LOSS_ROWS rows; dims: R, C. */
#ifndef POFAC_CODEGEN_LOSS_ROWS_H
#define POFAC_CODEGEN_LOSS_ROWS_H

#include "codegen/kernel.h"

#define LOSS_ROWS 64

typedef struct loss_rows {
    cg_val dlogits;                                          /* [R,C] */
    cg_val (*begin_row)(emitter *e, void *user, cg_val row); /* i1: does it count? */
    void (*emit_row)(emitter *e, void *user, cg_val to);     /* the gradient of the row begun last, where it counts */
    void *user;
} loss_rows;

void loss_rows_work(cg_kernel *k);
void loss_rows_emit(emitter *e, const loss_rows *r);

#endif
