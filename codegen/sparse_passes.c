/* Fields of sparse indexes, and passes over vectors; see sparse_passes.h. */
#include "codegen/sparse_passes.h"

#include <stddef.h>

cg_val sparse_header_field(emitter *e, cg_val header, size_t at) {
    return em_load_unsigned(e, 4, em_at_int(e, header, (int64_t)at));
}

sparse_index_code sparse_index_read(emitter *e, cg_val h) {
    sparse_index_code c;
    c.n_groups = sparse_header_field(e, h, offsetof(sparse_header, n_groups));
    c.n_k_blocks = sparse_header_field(e, h, offsetof(sparse_header, n_k_blocks));
    c.k_block = sparse_header_field(e, h, offsetof(sparse_header, k_block));
    c.row_group = sparse_header_field(e, h, offsetof(sparse_header, row_group));
    c.segments = em_at(e, h, sparse_header_field(e, h, offsetof(sparse_header, segments)));
    c.buckets = em_at(e, h, sparse_header_field(e, h, offsetof(sparse_header, buckets)));
    c.rows = em_at(e, h, sparse_header_field(e, h, offsetof(sparse_header, rows)));
    c.offsets = em_at(e, h, sparse_header_field(e, h, offsetof(sparse_header, offsets)));
    return c;
}

void emit_sparse_passes(emitter *e, unsigned most, cg_val n_vectors, int64_t stride, sparse_pass_emit emit, const void *user) {
    em_loop passes;
    em_if is[SPARSE_MOST_VECTORS];
    em_loop_begin(e, &passes, em_int(e, 0), n_vectors, most, NULL, 0);
    cg_val from = em_mul_int(e, passes.index, stride), count = em_sub(e, n_vectors, passes.index);
    for (unsigned v = most; v > 1; v--) {
        em_if_begin(e, &is[v - 1], em_less(e, em_int(e, v - 1), count));
        emit(e, user, v, from);
        em_else(e, &is[v - 1]);
    }
    emit(e, user, 1, from);
    for (unsigned v = 2; v <= most; v++) em_if_end(e, &is[v - 1]);
    em_loop_end(e, &passes, NULL);
}
