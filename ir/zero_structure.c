/*
 * Weight -> the structure of its zeros; see zero_structure.h.
 *
 * The weight is walked in pieces of 16 rows and 64 columns, each row of a piece a word with a bit per non-zero. Rows that are joined by
 * "or" in pairs, and bits that are folded in pairs, give the blocks of twice the height and width that hold any non-zero: all 25 shapes
 * are counted from the same words.
 */
#include "ir/zero_structure.h"

#include <string.h>

#define LEVELS 5 /* 1, 2, 4, 8, 16 */
#define BAND 16  /* rows of a piece */
#define WORD 64  /* columns */
#define BANDS 8  /* about, whose blocks are counted */
#define LEAST_FILL 0.75
#define NEAR_FILL 0.6 /* which more rows may bring there, */
#define FEW 1000      /* or more than that many non-zeros */

_Static_assert(1 << (LEVELS - 1) == ZERO_STRUCTURE_MOST && BAND == ZERO_STRUCTURE_MOST, "the largest block is a power of two");

bool zero_structure_equal(const zero_structure *a, const zero_structure *b) { return memcmp(a, b, sizeof *a) == 0; }

void zero_structure_print(const zero_structure *s, strbuf *out) {
    if (s->fill) strbuf_printf(out, "%ux%u%s", s->block_rows, s->block_columns, s->of ? " " : "");
    if (s->of) strbuf_printf(out, "%u:%u", s->keep, s->of);
}

/* ---- words ---- */

/* Is the float of so many bytes something else than a zero of either sign? */
static uint64_t is_non_zero(const char *at, unsigned bytes) {
    uint64_t all = 0;
    uint32_t four;
    uint16_t two;
    switch (bytes) {
    case 2: memcpy(&two, at, sizeof two); return (uint16_t)(two << 1) != 0;
    case 4: memcpy(&four, at, sizeof four); return four << 1 != 0;
    default: memcpy(&all, at, sizeof all); return all << 1 != 0;
    }
}

/* Bit i: element first + i of the row is no zero. n <= WORD. */
static uint64_t read_word(const ir_tensor *w, int64_t row, int64_t first, int64_t n) {
    const unsigned bytes = dtype_bits(w->dtype) / 8;
    const char *data = (const char *)w->data + (row * w->dims[1] + first) * bytes;
    uint64_t word = 0;
    if (bytes == 4) /* the common case, by itself */
        for (int64_t i = 0; i < n; i++) word |= is_non_zero(data + 4 * i, 4) << i;
    else
        for (int64_t i = 0; i < n; i++) word |= is_non_zero(data + bytes * i, bytes) << i;
    return word;
}

/* Bits at multiples of 2^(level + 1), each the "or" of two at multiples of 2^level. */
static uint64_t fold(uint64_t word, unsigned level) {
    static const uint64_t keep[] = {0x5555555555555555, 0x1111111111111111, 0x0101010101010101, 0x0001000100010001};
    return (word | word >> (1u << level)) & keep[level];
}

/* ---- counting ---- */

typedef struct counts {
    int64_t blocks[LEVELS][LEVELS]; /* [rows][columns], with any non-zero */
    unsigned most[LEVELS];          /* non-zeros in a group of 2^level columns */
    bool open[LEVELS];              /* may still be N of M */
} counts;

static void count_blocks(counts *c, uint64_t rows[BAND]) {
    for (unsigned r = 0; r < LEVELS; r++) {
        const unsigned n = BAND >> r;
        for (unsigned i = 0; i < n; i++) {
            uint64_t word = rows[i];
            for (unsigned k = 0; k < LEVELS && word; k++) {
                c->blocks[r][k] += __builtin_popcountll(word);
                if (k + 1 < LEVELS) word = fold(word, k);
            }
        }
        for (unsigned i = 0; i < n / 2; i++) rows[i] = rows[2 * i] | rows[2 * i + 1];
    }
}

static void count_groups(counts *c, uint64_t word) {
    for (unsigned level = 2; level < LEVELS; level++) {
        if (!c->open[level]) continue;
        const unsigned M = 1u << level;
        for (uint64_t rest = word; rest; rest >>= M) {
            const unsigned n = (unsigned)__builtin_popcountll(rest & ((1u << M) - 1));
            if (n > c->most[level]) c->most[level] = n;
        }
        c->open[level] = 2 * c->most[level] <= M;
    }
}

static bool any_open(const counts *c) { return c->open[2] || c->open[3] || c->open[4]; }

static void count_band(counts *c, const ir_tensor *w, int64_t first, bool with_blocks) {
    const int64_t N = w->dims[0], K = w->dims[1], n = N - first < BAND ? N - first : BAND;
    for (int64_t k = 0; k < K; k += WORD) {
        uint64_t rows[BAND] = {0};
        for (int64_t i = 0; i < n; i++) {
            rows[i] = read_word(w, first + i, k, K - k < WORD ? K - k : WORD);
            count_groups(c, rows[i]);
        }
        if (with_blocks) count_blocks(c, rows);
    }
}

/* ---- judging ---- */

/*
 * What an element of a block costs: a multiply-add per vector of activations, and its share in what a block reads once for each column,
 * and once. The weights are those with which non-zeros one by one, blocks of 4 x 1, 8 x 1 and 1 x 4 were measured (docs/measurements.md).
 */
static double cost_of(unsigned rows, unsigned columns, double fill) { return (1 + 0.35 / rows + 0.15 / (rows * columns)) / fill; }

static void judge_blocks(const counts *c, int64_t K, zero_structure *out) {
    double least = 0.94 * cost_of(1, 1, 1);
    for (unsigned r = 0; r < LEVELS; r++)
        for (unsigned k = 0; k < LEVELS && K % (1 << k) == 0; k++) {
            if ((r == 0 && k == 0) || c->blocks[r][k] == 0) continue;
            const double fill = (double)c->blocks[0][0] / ((double)c->blocks[r][k] * (double)(1u << (r + k)));
            const double cost = cost_of(1u << r, 1u << k, fill);
            if (fill < LEAST_FILL || cost >= least) continue;
            least = cost;
            out->block_rows = (uint8_t)(1u << r);
            out->block_columns = (uint8_t)(1u << k);
            out->fill = (uint16_t)(1000 * fill + 0.5);
        }
}

/* The M with the fewest places, the smallest of them. density: of the non-zeros that were counted. */
static void judge_groups(const counts *c, double density, zero_structure *out) {
    double best = LEAST_FILL;
    for (unsigned level = 2; level < LEVELS; level++) {
        const double fill = c->most[level] ? density * (double)(1u << level) / c->most[level] : 0;
        if (!c->open[level] || fill <= best) continue;
        best = fill + 1e-6;
        out->keep = (uint8_t)c->most[level];
        out->of = (uint8_t)(1u << level);
    }
}

/* After some bands: is any shape of blocks full enough, or near it? */
static bool may_have_blocks(const counts *c) {
    if (c->blocks[0][0] < FEW) return true;
    for (unsigned r = 0; r < LEVELS; r++)
        for (unsigned k = 0; k < LEVELS; k++)
            if (r + k > 0 && (double)c->blocks[0][0] >= NEAR_FILL * (double)c->blocks[r][k] * (double)(1u << (r + k))) return true;
    return false;
}

/* After some rows: N of M whose N is much more than the non-zeros need is no such thing, and N only grows. */
static void close_groups(counts *c, int64_t rows, int64_t K) {
    const double density = (double)c->blocks[0][0] / ((double)rows * (double)K);
    for (unsigned level = 2; level < LEVELS && c->blocks[0][0] >= FEW; level++)
        c->open[level] = c->open[level] && density * (double)(1u << level) >= NEAR_FILL * c->most[level];
}

zero_structure zero_structure_find(const ir_tensor *w) {
    const int64_t N = w->dims[0], K = w->dims[1], n_bands = (N + BAND - 1) / BAND, step = (n_bands + BANDS - 1) / BANDS;
    counts c = {.open = {[2] = true, [3] = true, [4] = true}};
    int64_t rows = 0;
    bool open = true; /* blocks are still looked for */
    for (int64_t band = 0; band < n_bands; band++) {
        const bool counted = open && band % step == 0;
        if (!counted && !any_open(&c)) continue;
        count_band(&c, w, band * BAND, counted);
        if (!counted) continue;
        rows += N - band * BAND < BAND ? N - band * BAND : BAND;
        if (band < step) continue; /* two bands at least */
        close_groups(&c, rows, K);
        open = any_open(&c) || may_have_blocks(&c);
    }
    zero_structure s = {0};
    if (c.blocks[0][0] == 0) return s;
    judge_blocks(&c, K, &s);
    judge_groups(&c, (double)c.blocks[0][0] / ((double)rows * (double)K), &s);
    return s;
}
