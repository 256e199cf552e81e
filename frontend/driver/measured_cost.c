/*
 * Questions -> answers -> choices; see measured_cost.h.
 *
 * The file of an answer has the question's text as its key, and one line "SECONDS VARIANT" per candidate. It counts when the variants are
 * those of today, in their order.
 */
#include "frontend/driver/measured_cost.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codegen/object_cache.h"
#include "runtime/blas.h"

#define MARGIN 0.95 /* what is not this much faster is not worth leaving the default for */
/* Each tile passes over the non-zeros. In a model they come from further away than between a measurement's rounds, which costs a tile
 * as much as so many tokens more (BERT-Base, 90 % zeros: tiles of 32 take 8 to 16 % longer than tiles of 64, alone 0 to 5 %). */
#define PASS_TOKENS 6.0
#define PREFERRED_TILE 32
#define MOST_TILES 8
#define FILL_STEP 50 /* per mille */

struct measured_cost {
    measured_cost_options options;
    kernel_timer timer;
    char *dir; /* NULL: none */
    object_cache *cache;
    char cpu[128];
    size_t n_timed;
};

/* A question, its candidates, and whether their times are known. */
typedef struct question {
    kernel_question q;
    kernel_candidate *candidates;
    size_t n_candidates;
    int64_t least_tile; /* of candidates */
    bool answered;
} question;

typedef struct choosing {
    measured_cost *m;
    const linear_problem *problems;
    size_t n;
    const diag_sink *sink;
    arena *memory;
    question *questions;
    size_t n_questions;
    size_t (*question_of)[N_PRODUCTS]; /* [n] index, or SIZE_MAX: the problem has no such product, or the rule decides */
} choosing;

/* ---- life ---- */

/* The processor's name; a file of another machine's answers says nothing about this one. */
static void read_cpu(char *out, size_t n) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    out[0] = 0;
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon) continue;
        snprintf(out, n, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
}

pofac_status measured_cost_create(const measured_cost_options *options, const diag_sink *sink, measured_cost **out) {
    *out = NULL;
    measured_cost *m = calloc(1, sizeof *m);
    if (!m) return diag_out_of_memory(sink);
    m->options = *options;
    if (m->options.budget_seconds <= 0) m->options.budget_seconds = MEASURED_SECONDS;
    m->timer = options->timer ? *options->timer : kernel_timer_on(options->codegen);
    read_cpu(m->cpu, sizeof m->cpu);
    if (options->codegen->cache_dir && asprintf(&m->dir, "%s/costs", options->codegen->cache_dir) < 0) {
        m->dir = NULL;
        measured_cost_destroy(m);
        return diag_out_of_memory(sink);
    }
    *out = m;
    return POFAC_OK;
}

void measured_cost_destroy(measured_cost *m) {
    if (!m) return;
    object_cache_close(m->cache);
    free(m->dir);
    free(m);
}

size_t measured_cost_timed(const measured_cost *m) { return m->n_timed; }

/* ---- questions ---- */

/* In tiles of least_tile or more. */
static pofac_status add_candidates(choosing *c, question *q, bool sparse, int64_t least_tile) {
    strbuf text = STRBUF_INIT;
    const cg_target *target = &c->m->options.codegen->target;
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK; i++) {
        strbuf_clear(&text);
        if (!cg_linear_variant(target, q->q.product, q->q.N, q->q.K, sparse, &q->q.structure, i, &text)) break;
        const int64_t tile = cost_variant_tile(strbuf_str(&text));
        if (text.size >= COST_MAX_VARIANT || (c->m->options.tile ? tile != c->m->options.tile : tile < least_tile)) continue;
        kernel_candidate *more = ARENA_ARRAY(c->memory, kernel_candidate, q->n_candidates + 1);
        const char *variant = arena_strdup(c->memory, strbuf_str(&text));
        if (!more || !variant || !strbuf_ok(&text)) {
            status = diag_out_of_memory(c->sink);
            break;
        }
        if (q->n_candidates) memcpy(more, q->candidates, q->n_candidates * sizeof *more);
        more[q->n_candidates++] = (kernel_candidate){.variant = variant, .sparse = sparse};
        q->candidates = more;
    }
    strbuf_free(&text);
    return status;
}

static bool is_measured(const linear_problem *p) {
    int64_t elements;
    return !__builtin_mul_overflow(p->N, p->K, &elements) && elements >= MEASURED_LEAST && elements <= MEASURED_MOST;
}

/* Per mille, rounded to a step. Dense ones have a step of their own. */
static int64_t density_of(const linear_problem *p) {
    if (!p->may_be_sparse) return 1000;
    const int64_t all = p->N * p->K, steps = (p->nnz * (1000 / MEASURED_STEP) + all / 2) / all, most = 1000 / MEASURED_STEP - 1;
    return MEASURED_STEP * (steps < 1 ? 1 : steps > most ? most : steps);
}

/* Blocks' share of non-zeros in steps. */
static zero_structure structure_of(const linear_problem *p) {
    zero_structure s = p->structure;
    if (!p->may_be_sparse) return (zero_structure){0};
    s.fill = (uint16_t)((s.fill + FILL_STEP / 2) / FILL_STEP * FILL_STEP);
    return s;
}

static bool same_shape(const kernel_question *a, const kernel_question *b) {
    return a->product == b->product && a->N == b->N && a->K == b->K && a->n_rows == b->n_rows;
}

/* The question for one product of a problem, entered where missing. Training has tokens for wide tiles. */
static pofac_status enter_question(choosing *c, const linear_problem *p, linear_product product, size_t *number) {
    const kernel_question q = {p->N, p->K, p->n_rows, density_of(p), structure_of(p), product};
    const int64_t least_tile = p->gradients ? PREFERRED_TILE : 0;
    size_t k = 0;
    for (; k < c->n_questions; k++) {
        const kernel_question *o = &c->questions[k].q;
        if (same_shape(o, &q) && o->per_mille == q.per_mille && zero_structure_equal(&o->structure, &q.structure) &&
            c->questions[k].least_tile == least_tile)
            break;
    }
    *number = k;
    if (k < c->n_questions) return POFAC_OK;
    c->questions[c->n_questions++] = (question){.q = q, .least_tile = least_tile};
    TRY(add_candidates(c, &c->questions[k], false, least_tile));
    return p->may_be_sparse ? add_candidates(c, &c->questions[k], true, least_tile) : POFAC_OK;
}

static pofac_status find_questions(choosing *c) {
    c->questions = ARENA_ARRAY(c->memory, question, N_PRODUCTS * c->n + 1);
    c->question_of = arena_alloc_array(c->memory, sizeof *c->question_of, c->n + 1);
    if (!c->questions || !c->question_of) return diag_out_of_memory(c->sink);
    for (size_t i = 0; i < c->n; i++)
        for (int product = 0; product < N_PRODUCTS; product++) {
            c->question_of[i][product] = SIZE_MAX;
            if (is_measured(&c->problems[i]) && cost_problem_has(&c->problems[i], (linear_product)product))
                TRY(enter_question(c, &c->problems[i], (linear_product)product, &c->question_of[i][product]));
        }
    return POFAC_OK;
}

/* ---- answers on disk ---- */

static void put_key(const measured_cost *m, const kernel_question *q, strbuf *out) {
    const cg_target *t = &m->options.codegen->target;
    static const char *const products[] = {"linear", "input gradient", "weight gradient", "linear in integers"};
    strbuf_printf(out, "pofac %s ", products[q->product]);
    if (q->structure.fill || q->structure.of) zero_structure_print(&q->structure, out);
    if (q->structure.fill) strbuf_printf(out, " of which %u per mille", q->structure.fill);
    strbuf_printf(out,
                  " N=%" PRId64 " K=%" PRId64 " rows=%" PRId64 " per_mille=%" PRId64
                  " target %s %s %s %s extensions=%u vector_bytes=%u vector_registers=%u codegen %s llvm %s blas %s cpu %s",
                  q->N, q->K, q->n_rows, q->per_mille, t->triple, t->cpu, t->features, t->isa, (unsigned)t->extensions,
                  (unsigned)t->vector_bytes, (unsigned)t->vector_registers, cg_sources_hash(), cg_llvm_version(), blas_kernels(),
                  m->cpu);
}

/* One line of an answer into the candidate that it is about; the next line, or NULL when it is about another. */
static const char *read_line(const char *line, kernel_candidate *c) {
    char *end;
    double seconds = strtod(line, &end);
    const size_t n = strlen(c->variant);
    if (end == line || *end != ' ' || !(seconds >= 0 && seconds < 1e6) || strncmp(end + 1, c->variant, n) != 0 ||
        end[1 + n] != '\n')
        return NULL;
    c->seconds = seconds;
    return end + 2 + n;
}

static bool read_answer(const measured_cost *m, question *q) {
    strbuf key = STRBUF_INIT, text = STRBUF_INIT;
    put_key(m, &q->q, &key);
    bool found = m->cache && strbuf_ok(&key) && object_cache_get(m->cache, strbuf_str(&key), &text);
    const char *at = strbuf_str(&text);
    for (size_t i = 0; i < q->n_candidates && found; i++) {
        at = read_line(at, &q->candidates[i]);
        found = at != NULL;
    }
    found = found && *at == 0;
    strbuf_free(&key);
    strbuf_free(&text);
    return found;
}

static void write_answer(const measured_cost *m, const question *q) {
    strbuf key = STRBUF_INIT, text = STRBUF_INIT;
    put_key(m, &q->q, &key);
    for (size_t i = 0; i < q->n_candidates; i++)
        strbuf_printf(&text, "%.9e %s\n", q->candidates[i].seconds, q->candidates[i].variant);
    if (m->cache && strbuf_ok(&key) && strbuf_ok(&text)) object_cache_put(m->cache, strbuf_str(&key), text.data, text.size);
    strbuf_free(&key);
    strbuf_free(&text);
}

/* ---- measuring ---- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The order of questions of one shape: the densest first, which others can be answered by, then the sparsest, where most is to be won,
 * and so on from both ends; dense weights last. `turn` counts the questions of the shape that were answered. */
static bool comes_before(const question *a, const question *b, size_t turn) {
    if ((a->q.per_mille == 1000) != (b->q.per_mille == 1000)) return b->q.per_mille == 1000;
    return (a->q.per_mille > b->q.per_mille) == (turn % 2 == 0);
}

/* The open question to ask next; shapes take turns. n_questions: none is open. */
static size_t next_question(const choosing *c, const size_t *turns) {
    size_t best = c->n_questions;
    for (size_t i = 0; i < c->n_questions; i++) {
        const question *q = &c->questions[i], *b = &c->questions[best];
        if (q->answered) continue;
        bool better = best == c->n_questions || turns[i] < turns[best];
        if (!better && same_shape(&q->q, &b->q)) better = comes_before(q, b, turns[i]);
        if (better) best = i;
    }
    return best;
}

static const kernel_candidate *find_candidate(const question *q, const char *variant) {
    for (size_t i = 0; i < q->n_candidates; i++)
        if (strcmp(q->candidates[i].variant, variant) == 0) return &q->candidates[i];
    return NULL;
}

/* Takes the times of the next denser answer of the shape and structure, of any one for a dense weight; false when there is none. */
static bool copy_answer(const choosing *c, question *q) {
    const question *from = NULL;
    for (size_t i = 0; i < c->n_questions; i++) {
        const question *o = &c->questions[i];
        const bool fits = q->q.per_mille == 1000 || (o->q.per_mille > q->q.per_mille && o->q.per_mille < 1000 &&
                                                     zero_structure_equal(&o->q.structure, &q->q.structure));
        if (!o->answered || !same_shape(&o->q, &q->q) || !fits) continue;
        if (!from || o->q.per_mille < from->q.per_mille) from = o;
    }
    for (size_t i = 0; from && i < q->n_candidates; i++) {
        const kernel_candidate *candidate = find_candidate(from, q->candidates[i].variant);
        q->candidates[i].seconds = candidate ? candidate->seconds : 0;
    }
    return from != NULL;
}

static pofac_status measure(choosing *c, size_t n_open) {
    measured_cost *m = c->m;
    const double end = now() + m->options.budget_seconds;
    size_t *turns = ARENA_ARRAY(c->memory, size_t, c->n_questions + 1);
    if (!turns) return diag_out_of_memory(c->sink);
    for (; n_open > 0; n_open--) {
        question *q = &c->questions[next_question(c, turns)];
        const double left = end - now();
        if (left > 0 || !copy_answer(c, q)) {
            TRY(m->timer.time(m->timer.user, &q->q, left > 0 ? left / (double)n_open : 0, c->sink, q->candidates, q->n_candidates));
            m->n_timed += q->n_candidates;
        }
        q->answered = true;
        write_answer(m, q);
        for (size_t i = 0; i < c->n_questions; i++) turns[i] += same_shape(&q->q, &c->questions[i].q);
    }
    return POFAC_OK;
}

static pofac_status answer_questions(choosing *c) {
    measured_cost *m = c->m;
    size_t n_open = 0, n_kernels = 0;
    if (c->n_questions && m->dir && !m->cache)
        TRY(object_cache_open_named(m->dir, "cache of kernels' times", ".times", c->sink, &m->cache));
    for (size_t i = 0; i < c->n_questions; i++) {
        question *q = &c->questions[i];
        q->answered = !m->options.again && read_answer(m, q);
        if (q->answered) continue;
        n_open++;
        n_kernels += q->n_candidates;
    }
    if (n_open == 0) return POFAC_OK;
    const char *kept = m->cache ? "kept in " : "not kept: there is no cache", *where = m->cache ? m->dir : "";
    diag_note(c->sink, NULL, "measuring %zu kernels for %zu kind%s of weights, %s%s", n_kernels, n_open, n_open == 1 ? "" : "s",
              kept, where);
    return measure(c, n_open);
}

/* ---- choosing ---- */

/* The fastest of the candidates of one kind at one tile width; of dense ones, the default unless another is faster by the margin. NULL
 * when none runs there. */
static const kernel_candidate *best_at(const question *q, int64_t tile, bool sparse) {
    const kernel_candidate *best = NULL;
    for (size_t i = 0; i < q->n_candidates; i++) {
        const kernel_candidate *c = &q->candidates[i];
        if (c->sparse != sparse || c->seconds <= 0 || cost_variant_tile(c->variant) != tile) continue;
        if (!best || c->seconds < (sparse ? 1 : MARGIN) * best->seconds) best = c;
    }
    return best;
}

/* What becomes of one weight at one tile width. */
typedef struct weight_choice {
    const kernel_candidate *candidate[N_PRODUCTS]; /* NULL: there is no such product */
    bool sparse;
    double seconds, dense_seconds, sparse_seconds; /* of all products; 0: there are none of that kind */
} weight_choice;

/* The products of a weight on its non-zeros, or dense: false when one of them has no kernel for that. */
static bool add_products(const choosing *c, size_t problem, int64_t tile, bool sparse, weight_choice *out) {
    *out = (weight_choice){.sparse = sparse};
    for (int p = 0; p < N_PRODUCTS; p++) {
        if (c->question_of[problem][p] == SIZE_MAX) continue;
        out->candidate[p] = best_at(&c->questions[c->question_of[problem][p]], tile, sparse);
        if (!out->candidate[p]) return false;
        out->seconds += out->candidate[p]->seconds;
    }
    return true;
}

/* Does a clock answer for the problem? Else the rule decides. */
static bool is_answered(const choosing *c, size_t problem) {
    return c->question_of[problem][c->problems[problem].integers ? PRODUCT_INT8 : PRODUCT_FORWARD] != SIZE_MAX;
}

/* false: there are no kernels for this width. */
static bool choose_weight(const choosing *c, size_t problem, int64_t tile, weight_choice *out) {
    weight_choice dense, sparse;
    const bool has_dense = add_products(c, problem, tile, false, &dense),
               has_sparse = add_products(c, problem, tile, true, &sparse);
    *out = has_sparse && (!has_dense || sparse.seconds < MARGIN * dense.seconds) ? sparse : dense;
    out->dense_seconds = has_dense ? dense.seconds : 0;
    out->sparse_seconds = has_sparse ? sparse.seconds : 0;
    return has_dense || has_sparse;
}

/* Seconds of all products at one width, as a model has them; negative when some have no kernel for it. */
static double total_at(const choosing *c, int64_t tile) {
    double total = 0;
    for (size_t i = 0; i < c->n; i++) {
        weight_choice w;
        if (!is_answered(c, i)) continue;
        if (!choose_weight(c, i, tile, &w)) return -1;
        total += w.sparse ? w.seconds * (1 + PASS_TOKENS / (double)tile) : w.seconds;
    }
    return total;
}

/* The widths that candidates have. */
static size_t list_tiles(const choosing *c, int64_t tiles[MOST_TILES]) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_questions; i++)
        for (size_t k = 0; k < c->questions[i].n_candidates; k++) {
            const int64_t tile = cost_variant_tile(c->questions[i].candidates[k].variant);
            size_t at = 0;
            while (at < n && tiles[at] != tile) at++;
            if (at == n && n < MOST_TILES) tiles[n++] = tile;
        }
    return n;
}

/* 0: no width serves all. */
static int64_t choose_tile(const choosing *c) {
    int64_t tiles[MOST_TILES], best = 0;
    double least = total_at(c, PREFERRED_TILE);
    const size_t n = list_tiles(c, tiles);
    if (least > 0) best = PREFERRED_TILE;
    for (size_t i = 0; i < n; i++) {
        const double total = tiles[i] == PREFERRED_TILE ? -1 : total_at(c, tiles[i]);
        if (total <= 0 || (best && total >= (best == PREFERRED_TILE ? MARGIN : 1) * least)) continue;
        best = tiles[i];
        least = total;
    }
    return best;
}

static void choose_each(const choosing *c, int64_t tile, linear_choice *out) {
    for (size_t i = 0; i < c->n; i++) {
        weight_choice w;
        out[i] = cost_by_rule(&c->problems[i]);
        if (!is_answered(c, i) || !choose_weight(c, i, tile, &w)) continue;
        out[i] = (linear_choice){.sparse = w.sparse,
                                 .measured = true,
                                 .seconds = w.seconds,
                                 .dense_seconds = w.dense_seconds,
                                 .sparse_seconds = w.sparse_seconds};
        for (int p = 0; p < N_PRODUCTS; p++)
            if (w.candidate[p])
                snprintf(cost_choice_variant(&out[i], (linear_product)p), COST_MAX_VARIANT, "%s", w.candidate[p]->variant);
    }
}

static pofac_status choose(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out) {
    arena memory = ARENA_INIT;
    choosing c = {.m = user, .problems = problems, .n = n, .sink = sink, .memory = &memory};
    pofac_status status = find_questions(&c);
    if (status == POFAC_OK) status = answer_questions(&c);
    if (status == POFAC_OK) choose_each(&c, choose_tile(&c), out);
    arena_free(&memory);
    return status;
}

cost_source measured_cost_source(measured_cost *m) { return (cost_source){choose, m}; }
