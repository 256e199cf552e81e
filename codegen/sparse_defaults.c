/* Parameters of linear kernels, and the variants that are worth measuring; see sparse_defaults.h and codegen.h. */
#include "codegen/sparse_defaults.h"

#include <string.h>

#define BLOCK_BYTES 32768 /* of activations */
#define MOST_ROWS 768     /* 192 KB of sums at W = 64, which stay in L2 */

/* n cut into the fewest parts of at most `most`, all about equal. */
static int64_t equal_parts(int64_t n, int64_t most) {
    int64_t parts = (n + most - 1) / most;
    return parts > 1 ? (n + parts - 1) / parts : n > 0 ? n : 1;
}

int64_t sparse_default_k_block(int64_t W, int64_t K) {
    return equal_parts(K, BLOCK_BYTES / (4 * W) > 0 ? BLOCK_BYTES / (4 * W) : 1);
}

int64_t sparse_default_rows(int64_t N) { return equal_parts(N, MOST_ROWS); }

/* Code for U steps has U (U + 1) / 2 + U^2 of them in a kernel and takes as long to make (U = 8: 30 ms for four vectors, and 2 to 5 %
 * faster than U = 4, which takes 10), so that tiles which are not full get less of it. */
unsigned sparse_default_unroll(unsigned kind, unsigned vectors, unsigned most) {
    if (kind != SPARSE_STREAM) return 2;
    if (most == 1) return 8;
    return vectors == most || vectors == 1 ? 4 : 2;
}

/*
 * Loads and multiply-adds share the time, two of each a cycle at most: for vectors of 64 bytes a weight's broadcast costs as much as a
 * load of x, and a shuffle as much as a multiply-add; with three of four shuffled both are busy for 9.5 cycles in four entries of four
 * vectors. For 32 bytes Intel has a third port for loads, Zen has not.
 */
unsigned sparse_default_shuffled(const cg_target *t) {
    if (!sparse_can_shuffle(t)) return 0;
    if (t->vector_bytes == 64) return 3;
    return strncmp(t->cpu, "znver", strlen("znver")) == 0 ? 4 : 0;
}

bool sparse_can_shuffle(const cg_target *t) { return strcmp(t->isa, "avx2") == 0 || strcmp(t->isa, "avx512") == 0; }

/* Processors with AVX-512 look 500 instructions ahead themselves, and there a fetch costs as much as a load. */
unsigned sparse_default_ahead(const cg_target *t) { return t->vector_bytes == 64 ? 0 : 2; }

bool sparse_can_pack_offsets(const cg_target *t) { return strncmp(t->triple, "x86_64", strlen("x86_64")) == 0; }

bool cg_linear_variant(const cg_target *t, int64_t N, int64_t K, bool sparse, size_t i, strbuf *out) {
    const int64_t lanes = t->vector_bytes / 4;
    /* four vectors a tile for throughput; one or two for few tokens, where a wider tile would be empty */
    const int64_t tiles[] = {lanes >= 16 ? 64 : 32, lanes >= 16 ? 32 : 16, 16};
    const size_t n_tiles = lanes >= 16 ? 3 : 2;
    const long long tile = (long long)tiles[i % n_tiles];
    if (i >= n_tiles && (sparse || i >= 2 * n_tiles)) return false;
    if (sparse)
        strbuf_printf(out, "sparse_linear layout=stream tile=%lld k_block=%lld rows=%lld", tile,
                      (long long)sparse_default_k_block(tile, K), (long long)sparse_default_rows(N));
    else strbuf_printf(out, i < n_tiles ? "linear tile=%lld" : "blas_linear tile=%lld", tile);
    return true;
}
