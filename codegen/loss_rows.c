/* Rows of losses' gradients; see loss_rows.h. */
#include "codegen/loss_rows.h"

void loss_rows_work(cg_kernel *k) {
    k->work = k->dims[0];
    k->work_per_unit = LOSS_ROWS;
}

void loss_rows_emit(emitter *e, const loss_rows *r) {
    cg_val n_classes = em_dim(e, 1);
    cg_val begin = em_mul_int(e, em_begin_unit(e), LOSS_ROWS),
           end = em_min(e, em_mul_int(e, em_end_unit(e), LOSS_ROWS), em_dim(e, 0));
    em_loop rows, clear;
    em_loop_begin(e, &rows, begin, end, 1, NULL, 0);
    cg_val to = em_index(e, r->dlogits, em_mul(e, rows.index, n_classes), 4);
    em_if counts;
    em_if_begin(e, &counts, r->begin_row(e, r->user, rows.index));
    r->emit_row(e, r->user, to);
    em_else(e, &counts);
    em_loop_begin(e, &clear, em_int(e, 0), n_classes, 1, NULL, 0);
    em_store(e, em_const(e, 1, 0), em_index(e, to, clear.index, 4), 4);
    em_loop_end(e, &clear, NULL);
    em_if_end(e, &counts);
    em_loop_end(e, &rows, NULL);
}
