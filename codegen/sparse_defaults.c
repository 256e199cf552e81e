/* Parameters of linear kernels, and the variants that are worth measuring; see sparse_defaults.h and codegen.h. */
#include "codegen/sparse_defaults.h"

#include <string.h>

#define BLOCK_BYTES 32768 /* of activations */
#define MOST_ROWS 768     /* 192 KB of sums at W = 64, which stay in L2 */

/* Narrow tiles are for few tokens: long visits, of which one token has half as many then, and units enough for two threads. */
#define NARROW_TILE 16
#define NARROW_BLOCK_BYTES 49152
#define NARROW_MOST_ROWS 384

/* n cut into the fewest parts of at most `most`, all about equal. */
static int64_t equal_parts(int64_t n, int64_t most) {
    int64_t parts = (n + most - 1) / most;
    return parts > 1 ? (n + parts - 1) / parts : n > 0 ? n : 1;
}

int64_t sparse_default_k_block(int64_t W, int64_t K) {
    const int64_t bytes = W <= NARROW_TILE ? NARROW_BLOCK_BYTES : BLOCK_BYTES;
    return equal_parts(K, bytes / (4 * W) > 0 ? bytes / (4 * W) : 1);
}

int64_t sparse_default_rows(int64_t W, int64_t N) { return equal_parts(N, W <= NARROW_TILE ? NARROW_MOST_ROWS : MOST_ROWS); }

/* Code for U steps has U (U + 1) / 2 + U^2 of them in a kernel and takes as long to make (U = 8: 30 ms for four vectors, and 2 to 5 %
 * faster than U = 4, which takes 10), so that tiles which are not full get less of it. */
unsigned sparse_default_unroll(unsigned kind, unsigned keep, unsigned vectors, unsigned most) {
    if (kind != SPARSE_STREAM) return kind == SPARSE_N_M && keep == 1 ? 4 : 2;
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

/* Number i of the layouts that may pay for a weight, a stream first; false past the end. */
static bool layout_candidate(const zero_structure *s, size_t i, sparse_layout *out) {
    const uint8_t R = s->block_rows, C = s->block_columns, flat = C < 4 ? C : 4;
    const sparse_layout candidates[] = {
        {.kind = SPARSE_N_M, .keep = s->keep, .of = s->of},
        /* a column of weights that share the vectors of x; taller than 8 they leave room for one vector of x alone */
        {.kind = SPARSE_BLOCKS, .block_rows = R < 8 ? R : 8, .block_columns = 1},
        {.kind = SPARSE_BLOCKS, .block_rows = 4, .block_columns = 1},
        /* fewer offsets, which few tokens wait for */
        {.kind = SPARSE_BLOCKS, .block_rows = R < 4 ? R : 4, .block_columns = flat},
    };
    const bool pays[] = {s->of > 0, s->fill && R >= 2, s->fill && R >= 8, s->fill && C >= 2};
    *out = (sparse_layout){.kind = SPARSE_STREAM};
    if (i == 0) return true;
    for (size_t k = 0; k < sizeof pays / sizeof pays[0]; k++) {
        *out = candidates[k];
        if (pays[k] && --i == 0) return true;
    }
    return false;
}

static bool sparse_variant(int64_t tile, int64_t N, int64_t K, const zero_structure *structure, size_t i, strbuf *out) {
    sparse_layout l;
    if (!layout_candidate(structure, i, &l)) return false;
    strbuf_printf(out, "sparse_linear layout=%s tile=%lld k_block=%lld rows=%lld", sparse_layout_name((sparse_layout_kind)l.kind),
                  (long long)tile, (long long)sparse_default_k_block(tile, K), (long long)sparse_default_rows(tile, N));
    if (l.kind == SPARSE_BLOCKS) strbuf_printf(out, " block_rows=%u block_columns=%u", l.block_rows, l.block_columns);
    if (l.kind == SPARSE_N_M) strbuf_printf(out, " keep=%u of=%u", l.keep, l.of);
    return true;
}

/* Gradients have the stream alone, since values change; that of the weight walks the forward product's index, so with its parameters. */
static bool sparse_gradient_variant(linear_product product, int64_t tile, int64_t N, int64_t K, size_t i, strbuf *out) {
    const bool of_input = product == PRODUCT_INPUT_GRADIENT;
    if (i > 0) return false;
    strbuf_printf(out, "%s tile=%lld k_block=%lld rows=%lld", of_input ? "sparse_linear layout=stream" : "sparse_weight_gradient",
                  (long long)tile, (long long)sparse_default_k_block(tile, of_input ? N : K),
                  (long long)sparse_default_rows(tile, of_input ? K : N));
    return true;
}

/* Over activations in quads, groups of four columns with a non-zero; in tiles, any four non-zeros of a row, or pairs of them where processors have no sums of
 * four products. */
static bool sparse_int8_variant(int64_t tile, size_t i, strbuf *out) {
    static const char *const bytes[] = {"quads", "tiles"};
    if (i >= 2) return false;
    strbuf_printf(out, "sparse_int8_linear tile=%lld bytes=%s", (long long)tile, bytes[i]);
    return true;
}

static bool dense_variant(linear_product product, int64_t tile, size_t i, strbuf *out) {
    static const char *const kernels[N_PRODUCTS][2] = {
        {"linear", "blas_linear"}, {"linear", NULL}, {"weight_gradient", NULL}, {"int8_linear", NULL}};
    if (i >= 2 || !kernels[product][i]) return false;
    strbuf_printf(out, "%s tile=%lld", kernels[product][i], (long long)tile);
    return true;
}

bool cg_linear_variant(const cg_target *t, linear_product product, int64_t N, int64_t K, bool sparse,
                       const zero_structure *structure, size_t i, strbuf *out) {
    const int64_t lanes = t->vector_bytes / 4;
    /* four vectors a tile for throughput; one or two for few tokens, where a wider tile would be empty */
    const int64_t tiles[] = {lanes >= 16 ? 64 : 32, lanes >= 16 ? 32 : 16, 16};
    const size_t n_tiles = lanes >= 16 ? 3 : 2;
    const int64_t tile = tiles[i % n_tiles];
    if (!sparse) return dense_variant(product, tile, i / n_tiles, out);
    if (product == PRODUCT_INT8) return sparse_int8_variant(tile, i / n_tiles, out);
    if (product != PRODUCT_FORWARD) return sparse_gradient_variant(product, tile, N, K, i / n_tiles, out);
    return sparse_variant(tile, N, K, structure, i / n_tiles, out);
}
