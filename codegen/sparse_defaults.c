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

unsigned sparse_default_unroll(unsigned kind, unsigned vectors) {
    if (kind == SPARSE_BLOCKS) return 2;
    return vectors == 1 ? 8 : 4;
}

/* Two loads a cycle of whole vectors, of which Zen makes one per weight too many; Intel's broadcasts take a third port. */
bool sparse_default_quad(const cg_target *t) { return sparse_can_quad(t) && strncmp(t->cpu, "znver", strlen("znver")) == 0; }

bool sparse_can_quad(const cg_target *t) { return strcmp(t->isa, "avx2") == 0; }

bool cg_linear_variant(const cg_target *t, int64_t N, int64_t K, bool sparse, size_t i, strbuf *out) {
    const int64_t lanes = t->vector_bytes / 4;
    /* four vectors a tile for throughput; one or two for few tokens, where a wider tile would be empty */
    const int64_t tiles[] = {lanes >= 16 ? 64 : 32, lanes >= 16 ? 32 : 16, 16};
    const size_t n_tiles = lanes >= 16 ? 3 : 2;
    const long long tile = (long long)tiles[i % n_tiles];
    if (i >= n_tiles && (sparse || i >= 2 * n_tiles)) return false;
    if (sparse)
        strbuf_printf(out, "sparse_linear layout=stream tile=%lld k_block=%lld rows=%lld unroll=4", tile,
                      (long long)sparse_default_k_block(tile, K), (long long)sparse_default_rows(N));
    else strbuf_printf(out, i < n_tiles ? "linear tile=%lld" : "blas_linear tile=%lld", tile);
    return true;
}
