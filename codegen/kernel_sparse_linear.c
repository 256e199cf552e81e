/*
 * linear with a pattern [+ elementwise]: y = f(x weight^T + bias), x [R,K] and y [R,N] in tiles<W>, weight by its non-zeros alone, in
 * the order of ir/sparse_layout.h. Its input gradient likewise: the product with the transposed weight, whose [N,K] is the pattern's
 * [K,N].
 *
 * One unit is a group of rows of the weight with one tile. Its sums, [row_group][W], lie where the result goes, or in scratch, and stay
 * in L2; they start as the bias, and as a residual where one is all that follows. A block of x, [k_block][W], lies in L1 while all
 * visits of the block pass: a visit loads a row's sums, adds its entries and stores the sums, and meanwhile the sums of a later visit
 * are fetched, and into L2 a part of the next block of x and of the rows that follow. For each entry the vectors of x at its column are
 * operands in memory of multiply-adds with the broadcast weight. All visits of a bucket have the same number of entries n: the loop over
 * n / U rounds of U entries and the code of the n % U remaining ones, of which there are U copies, are chosen once for the bucket. Sums
 * of one visit run in chains of their own, so that two multiply-adds a cycle need not wait for each other. Then elementwise work runs
 * over the sums.
 *
 * The last tile may have few rows: the code for each number of vectors that hold any is a copy of its own, and the others are not
 * touched; one row alone goes another way through the same streams (sparse_one_token.h). Shapes, and how many groups and blocks there
 * are, come from dims and header, so that layers share code.
 *
 * operands: x, index, values, [bias], what the expression reads, what it stores. dims: R, N, K.
 */
#include "codegen/kernel.h"
#include "codegen/sparse_defaults.h"
#include "codegen/sparse_one_token.h"
#include "codegen/sparse_passes.h"

#define MAX_SUMS 32       /* vectors: chains, rows, vectors of x */
#define SUMS_IN_FLIGHT 8  /* two multiply-adds a cycle times their latency of four */
#define STREAM_AHEAD 8192 /* bytes of values, and half as many of offsets, that are fetched into L2 where one vector of x passes */
#define VISIT_FETCHES 64  /* bytes of each thing, that a visit fetches into L2: the visits of 512 rows fetch a block of x, 32 KB */
#define MAX_ROWS_AHEAD 3  /* tensors */

typedef struct sparse_shape {
    int64_t N, K, W;
    sparse_layout layout;
    unsigned unroll;  /* steps: entries, or groups of M; 0: by the number of vectors */
    unsigned vectors; /* of a pass, at most */
    unsigned shuffled, ahead;
    bool packed_offsets;
    unsigned chains; /* of sums: alike for any number of vectors, so that a token's bits do not depend on what stands beside it */
    bool gathers;    /* x, where a tile holds one token */
} sparse_shape;

/* The product that a node is. */
typedef struct sparse_product {
    ir_value x, values, bias, pattern; /* bias: IR_NO_VALUE where there is none */
    bool transposed, fixed;            /* fixed: the values stay from run to run */
} sparse_product;

static bool find_product(const cg_group *g, const ir_node *n, sparse_product *p) {
    const ir_graph *graph = g->graph;
    if (n->op == OP_linear) *p = (sparse_product){.bias = node_input(n, 2), .pattern = node_input(n, 3)};
    else if (n->op == OP_linear_input_gradient) *p = (sparse_product){.pattern = node_input(n, 2), .transposed = true};
    else return false;
    if (!p->pattern) return false;
    p->x = n->inputs[0];
    p->values = n->inputs[1];
    p->fixed = kernel_keeps_state(graph, p->values);
    const ir_type *pattern = graph_type(graph, p->pattern), *w = graph_type(graph, p->values);
    int64_t rows, columns;
    return is_f32_tiles(graph_type(graph, p->x)) && w->rank == 1 && w->dtype == IR_F32 && dim_is_const(pattern->dims[0], &rows) &&
           dim_is_const(pattern->dims[1], &columns) && rows > 0 && columns > 0 &&
           graph_node_of(graph, p->pattern)->op == OP_pattern;
}

/* Vectors side by side that leave room for the sums of R rows, x, and a weight. */
static unsigned choose_vectors(const cg_target *t, int64_t rows) {
    unsigned vectors = SPARSE_MOST_VECTORS;
    while (vectors > 0 && (vectors * (rows + 1) + 2 > t->vector_registers || vectors * rows > MAX_SUMS)) vectors /= 2;
    return vectors;
}

/*
 * Chains of sums: as many as keep the multiply-adds busy when all vectors pass, and a divisor of every round's steps, so that an entry
 * goes to the same chain however many vectors pass.
 */
static unsigned choose_chains(const cg_target *t, const sparse_shape *s) {
    const sparse_layout *l = &s->layout;
    const unsigned places = l->kind == SPARSE_N_M ? l->keep : 1;
    /* without multiply-adds an entry takes as long as its sum, and products want the registers */
    const unsigned in_flight = t->has_fma ? SUMS_IN_FLIGHT : SUMS_IN_FLIGHT / 2;
    unsigned chains = 1;
    for (bool divides = true; divides && chains * l->block_rows * s->vectors < in_flight;) {
        for (unsigned v = 1; v <= s->vectors; v++)
            divides &=
                (s->unroll ? s->unroll : sparse_default_unroll(l->kind, l->keep, v, s->vectors)) * places % (2 * chains) == 0;
        if (divides) chains *= 2;
    }
    return chains;
}

static bool choose_shape(const cg_kernel *k, const cg_target *t, const sparse_product *p, sparse_shape *s) {
    sparse_layout *l = &s->layout;
    const int64_t kind = SPARSE_STREAM + kernel_option(k, "layout", 0), R = kernel_option(k, "block_rows", 1),
                  C = kernel_option(k, "block_columns", 1), keep = kernel_option(k, "keep", 0), of = kernel_option(k, "of", 0);
    int64_t k_block = kernel_option(k, "k_block", sparse_default_k_block(s->W, s->K)),
            rows = kernel_option(k, "rows", sparse_default_rows(s->W, s->N)), multiple = kind == SPARSE_N_M ? of : C;
    const bool is_n_m = kind == SPARSE_N_M;
    if (kernel_option(k, "tile", s->W) != s->W || (is_n_m != (keep > 0 && of > 0)) || keep > of || (keep > 0) != (of > 0))
        return false;
    if ((kind == SPARSE_BLOCKS) != (R * C > 1) || s->K % C != 0) return false;
    k_block = (k_block + multiple - 1) / multiple * multiple;
    rows = (rows + R - 1) / R * R;
    if (k_block > UINT16_MAX || rows > UINT16_MAX || (!is_n_m && (k_block - 1) * (s->W / 2) > UINT16_MAX)) return false;
    if (is_n_m && (of - 1) * (s->W / 2) > UINT8_MAX) return false;
    *l = (sparse_layout){.kind = (uint16_t)kind,
                         .tile = (uint16_t)s->W,
                         .k_block = (uint16_t)k_block,
                         .row_group = (uint16_t)rows,
                         .block_rows = (uint8_t)R,
                         .block_columns = (uint8_t)C,
                         .keep = (uint8_t)keep,
                         .of = (uint8_t)of};
    l->transposed = p->transposed;
    if (!p->fixed && kind != SPARSE_STREAM) return false; /* whose number of places is known beforehand */
    const unsigned lanes = tile_lanes(t->vector_bytes / 4, s->W);
    s->vectors = choose_vectors(t, R);
    if (s->vectors * lanes > s->W) s->vectors = (unsigned)(s->W / lanes);
    s->unroll = (unsigned)kernel_option(k, "unroll", 0);
    /* what the target cannot do is left out: a variant may have been measured elsewhere */
    if (sparse_can_shuffle(t)) s->shuffled = (unsigned)kernel_option(k, "shuffled", sparse_default_shuffled(t));
    if (sparse_can_pack_offsets(t)) s->packed_offsets = kernel_option(k, "offsets", 1) == 1;
    s->ahead = (unsigned)kernel_option(k, "ahead", sparse_default_ahead(t));
    if (s->vectors == 0) return false;
    s->chains = choose_chains(t, s);
    s->gathers = kind == SPARSE_STREAM && sparse_can_gather(t, s->chains, s->W) && kernel_option(k, "one_token", 1) == 1;
    return true;
}

/* Can the sums lie where the first result goes? Not if other rows of it are read as inputs, or the last block of rows ends past it. */
static bool works_in_place(const cg_kernel *k, const sparse_shape *s) {
    for (unsigned i = 0; i < k->expression.n_inputs; i++)
        if (k->expression.inputs[i].source == SOURCE_FULL) return false;
    return s->N % s->layout.block_rows == 0;
}

/* The operand that is added to the product, where the expression does that and no more; else 0. */
static unsigned residual_operand(const cg_expression *x) {
    if (x->n_ops != 1 || x->ops[0].op != OP_add || x->n_inputs != 2 || x->n_stores != 1 || x->stores[0].value != 2) return 0;
    const unsigned sum = x->inputs[0].source == SOURCE_COMPUTED ? 0 : 1;
    return x->inputs[sum].source == SOURCE_COMPUTED && x->inputs[1 - sum].source == SOURCE_FULL ? x->inputs[1 - sum].operand : 0;
}

bool describe_sparse_linear(const cg_group *g, const cg_target *target, cg_kernel *k) {
    const ir_node *n = group_node(g, 0);
    sparse_product p;
    if (!find_product(g, n, &p)) return false;
    const ir_type *x = graph_type(g->graph, p.x), *y = graph_type(g->graph, n->first_result);
    sparse_shape s = {.N = type_features(y), .K = type_features(x), .W = x->tile};
    if (s.W > 1024 || !choose_shape(k, target, &p, &s)) return false;
    kernel_operand(k, p.x);
    kernel_sparse_operand(k, p.pattern, PACKING_SPARSE_INDEX, &s.layout);
    kernel_sparse_operand(k, p.values, PACKING_SPARSE_VALUES, &s.layout);
    if (p.bias) kernel_operand(k, p.bias);
    kernel_set(k, "W", s.W);
    kernel_set(k, "layout", s.layout.kind);
    kernel_set(k, "block_rows", s.layout.block_rows);
    kernel_set(k, "block_columns", s.layout.block_columns);
    kernel_set(k, "keep", s.layout.keep);
    kernel_set(k, "of", s.layout.of);
    kernel_set(k, "unroll", s.unroll);
    kernel_set(k, "vectors", s.vectors);
    kernel_set(k, "shuffled", s.shuffled);
    kernel_set(k, "packed_offsets", s.packed_offsets);
    kernel_set(k, "ahead", s.ahead);
    kernel_set(k, "chains", s.chains);
    kernel_set(k, "gathers", s.gathers);
    kernel_set(k, "bias", p.bias != IR_NO_VALUE);
    kernel_computed(k, n->first_result);
    if (!kernel_express(k, g, 1, y) || k->expression.n_stores == 0) return false;
    const unsigned residual = s.N % s.layout.block_rows == 0 ? residual_operand(&k->expression) : 0;
    const bool in_place = residual || works_in_place(k, &s);
    kernel_set(k, "in_place", in_place);
    kernel_set(k, "residual", residual);

    /* groups * ceil(R / W) units: the quotient below is that or up to `groups` more, which do nothing */
    bool ok = true, fits;
    ir_dim R = x->dims[0];
    const int64_t n_groups = (s.N + s.layout.row_group - 1) / s.layout.row_group;
    kernel_dim(k, R);
    kernel_dim(k, dim_const(s.N));
    kernel_dim(k, dim_const(s.K));
    k->work_per_unit = s.W;
    k->work = kernel_scaled(dim_add(R, s.W - 1), n_groups, 0, &ok);
    kernel_by_block(k, R, s.W, n_groups);
    k->scratch_bytes =
        dim_const((in_place ? 0 : 4 * s.layout.row_group * s.W) + (s.gathers ? sparse_one_token_bytes(&s.layout, s.K) : 0));
    ir_dim products = dim_mul(R, graph_type(g->graph, p.values)->dims[0], &fits);
    k->flops = fits ? kernel_scaled(products, 2, 0, NULL) : dim_const(0);
    k->bytes = kernel_scaled(R, 4 * (s.N + s.K), 0, NULL);
    return ok;
}

typedef struct sparse_code {
    int64_t W;
    unsigned kind, R, C, keep, of; /* R and C: 1 where entries are not blocks */
    unsigned unroll, vectors, lanes, shuffled, ahead, chains;
    bool packed_offsets, gathers;
    cg_val N, K, x, bias;
    cg_val residual; /* [ceil(R/W)][N][W] that the sums start as, or NULL */
    cg_val result;   /* where sums lie in place, [ceil(R/W)][N][W]; or NULL, and they lie in scratch */
    sparse_index_code index;
    cg_val values;
    cg_val operand[KERNEL_MAX_OPERANDS];
    const cg_expression *expression;
    expression_random random;
} sparse_code;

/* What the visits of a block of columns fetch into L2, a part each: nothing foresees in which order they read the next block of x, and the
 * rows that are read and written before or after the visits would be waited for. */
typedef struct sparse_ahead {
    cg_val from[1 + MAX_ROWS_AHEAD]; /* the next block of x; rows */
    unsigned n;
} sparse_ahead;

/* A pass over the visits of one (group, tile) with `vectors` of the tile's vectors. */
typedef struct sparse_pass {
    const sparse_code *code;
    unsigned vectors, chains, unroll;
    cg_val x;                    /* of the block of columns, at the first of the vectors */
    const sparse_ahead *fetch;   /* what visits fetch meanwhile */
    cg_val sums;                 /* [row_group][W], likewise */
    const sparse_one_token *one; /* or else NULL */
} sparse_pass;

/* Where a visit stands in the streams. */
typedef struct sparse_place {
    cg_val offsets, values, x;
} sparse_place;

static unsigned places_per_step(const sparse_code *c) { return c->kind == SPARSE_N_M ? c->keep : 1; }

static int64_t offset_bytes(const sparse_code *c) { return c->kind == SPARSE_N_M ? 1 : 2; }

static unsigned n_sums(const sparse_pass *p) { return p->chains * p->code->R * p->vectors; }

/* ---- entries ---- */

/* Weights that are read one after the other. */
typedef struct sparse_weights {
    unsigned next, n; /* behind the place */
    cg_val quad;      /* the four of which the next one is, or NULL */
} sparse_weights;

/* The next weight, in all lanes. Blocks of several rows wait for multiply-adds, which shuffles would only keep from running. */
static cg_val next_weight(emitter *e, const sparse_pass *p, const sparse_place *at, sparse_weights *w) {
    const sparse_code *c = p->code;
    const unsigned i = w->next++;
    cg_val from = em_at_int(e, at->values, 4 * (int64_t)i);
    if (i % 4 == 0) w->quad = c->shuffled && c->R == 1 && i + 4 <= w->n ? em_load_quad(e, c->lanes, from) : NULL;
    return w->quad && i % 4 >= 4 - c->shuffled ? em_quad_splat(e, w->quad, i % 4, c->lanes) : em_load_splat(e, c->lanes, from);
}

/* Adds the entry of the next weights to chain `chain`. x: where the entry's offset counts from; offset: of the entry. */
static void emit_entry(emitter *e, const sparse_pass *p, const sparse_place *at, cg_val x, cg_val offset, sparse_weights *weights,
                       unsigned chain, cg_val sum[MAX_SUMS]) {
    const sparse_code *c = p->code;
    const unsigned align = 4 * c->lanes;
    cg_val column = em_at(e, x, em_mul_int(e, offset, 8));
    for (unsigned j = 0; j < c->C; j++) {
        cg_val vector[SPARSE_MOST_VECTORS];
        for (unsigned v = 0; v < p->vectors; v++)
            vector[v] = em_load(e, c->lanes, em_at_int(e, column, 4 * (int64_t)(j * c->W + v * c->lanes)), align);
        for (unsigned r = 0; r < c->R; r++) {
            cg_val w = next_weight(e, p, at, weights), *s = &sum[(chain * c->R + r) * p->vectors];
            for (unsigned v = 0; v < p->vectors; v++) s[v] = em_fma(e, vector[v], w, s[v]);
        }
    }
}

/* Offset of entry i behind the place, of n that are read together. *four: the offsets of entries i / 4 * 4 to i / 4 * 4 + 3. */
static cg_val offset_of(emitter *e, const sparse_code *c, const sparse_place *at, unsigned i, unsigned n, cg_val *four) {
    const int64_t bytes = offset_bytes(c);
    if (!c->packed_offsets || i / 4 * 4 + 1 >= n) /* one alone */
        return em_load_unsigned(e, (unsigned)bytes, em_at_int(e, at->offsets, i * bytes));
    if (i % 4 == 0) *four = em_load_packed(e, 4 * (unsigned)bytes, em_at_int(e, at->offsets, i * bytes), (unsigned)bytes);
    return em_packed(e, *four, i % 4, (unsigned)bytes);
}

/* `n` steps from the place on. */
static void emit_steps(emitter *e, const sparse_pass *p, const sparse_place *at, unsigned n, cg_val sum[MAX_SUMS]) {
    const sparse_code *c = p->code;
    const unsigned places = places_per_step(c);
    sparse_weights weights = {.n = n * places * c->R * c->C};
    cg_val four = NULL;
    for (unsigned i = 0; i < n * places; i++) {
        cg_val x = em_at_int(e, at->x, c->kind == SPARSE_N_M ? 4 * (int64_t)(i / places * c->of) * c->W : 0);
        cg_val offset = offset_of(e, c, at, i, n * places, &four);
        emit_entry(e, p, at, x, offset, &weights, i % p->chains, sum);
    }
}

/* The place `steps` steps (a value) further. */
static sparse_place advance(emitter *e, const sparse_code *c, const sparse_place *at, cg_val steps) {
    const int64_t places = places_per_step(c);
    return (sparse_place){em_index(e, at->offsets, steps, places * offset_bytes(c)),
                          em_index(e, at->values, steps, 4 * places * c->C * c->R),
                          c->kind == SPARSE_N_M ? em_index(e, at->x, steps, 4 * c->of * c->W) : at->x};
}

/* ---- visits ---- */

static cg_val row_sums(emitter *e, const sparse_pass *p, cg_val rows, unsigned visit) {
    return em_index(e, p->sums, em_load_unsigned(e, 2, em_at_int(e, rows, 2 * visit)), 4 * p->code->W);
}

static void fetch_sums(emitter *e, const sparse_pass *p, cg_val rows) {
    const sparse_code *c = p->code;
    if (c->ahead == 0) return;
    cg_val later = row_sums(e, p, rows, c->ahead);
    for (unsigned r = 0; r < c->R; r++)
        for (int64_t line = 0; line < 4 * (int64_t)(p->vectors * c->lanes); line += 64)
            em_prefetch_near(e, em_at_int(e, later, 4 * r * c->W + line));
}

/* What a visit fetches; at: bytes from where its block begins to fetch. */
static void fetch_ahead(emitter *e, const sparse_pass *p, cg_val at) {
    for (unsigned i = 0; i < p->fetch->n; i++) em_prefetch(e, em_at(e, p->fetch->from[i], at));
}

/* The whole rounds of a visit: `rounds` times `unroll` steps. */
static void emit_rounds(emitter *e, const sparse_pass *p, sparse_place *at, cg_val rounds, cg_val sum[MAX_SUMS]) {
    const sparse_code *c = p->code;
    const unsigned n = n_sums(p);
    em_loop loop;
    cg_val state[EM_MAX_CARRIED];
    for (unsigned i = 0; i < n; i++) state[i] = sum[i];
    state[n] = at->offsets;
    state[n + 1] = at->values;
    state[n + 2] = at->x;
    const bool moves = c->kind == SPARSE_N_M; /* with the groups of columns */
    em_loop_begin(e, &loop, em_int(e, 0), rounds, 1, state, moves ? n + 3 : n + 2);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
    sparse_place here = {loop.carried[n], loop.carried[n + 1], moves ? loop.carried[n + 2] : at->x};
    if (p->vectors == 1 && c->kind == SPARSE_STREAM) {
        em_prefetch(e, em_at_int(e, here.values, STREAM_AHEAD));
        em_prefetch(e, em_at_int(e, here.offsets, STREAM_AHEAD / 2));
    }
    emit_steps(e, p, &here, p->unroll, sum);
    sparse_place next = advance(e, c, &here, em_int(e, p->unroll));
    for (unsigned i = 0; i < n; i++) state[i] = sum[i];
    state[n] = next.offsets;
    state[n + 1] = next.values;
    state[n + 2] = next.x;
    em_loop_end(e, &loop, state);
    for (unsigned i = 0; i < n; i++) sum[i] = loop.carried[i];
    *at = (sparse_place){loop.carried[n], loop.carried[n + 1], moves ? loop.carried[n + 2] : at->x};
}

/* One visit: rounds * unroll + rest steps; *at moves behind it. */
static void emit_visit(emitter *e, const sparse_pass *p, sparse_place *at, cg_val rows, cg_val rounds, unsigned rest) {
    const sparse_code *c = p->code;
    const unsigned n = n_sums(p), per_chain = c->R * p->vectors, align = 4 * c->lanes;
    cg_val sum[MAX_SUMS], to[MAX_SUMS], first = row_sums(e, p, rows, 0);
    fetch_sums(e, p, rows);
    for (unsigned i = 0; i < n; i++) {
        if (i < per_chain) to[i] = em_at_int(e, first, 4 * (i / p->vectors * c->W + i % p->vectors * c->lanes));
        sum[i] = i < per_chain ? em_load(e, c->lanes, to[i], align) : em_const(e, c->lanes, 0);
    }
    emit_rounds(e, p, at, rounds, sum);
    emit_steps(e, p, at, rest, sum);
    *at = advance(e, c, at, em_int(e, rest));
    for (unsigned chains = p->chains; chains > 1; chains = (chains + 1) / 2) /* pairwise */
        for (unsigned i = 0; i < chains / 2 * per_chain; i++) sum[i] = em_fadd(e, sum[i], sum[(chains + 1) / 2 * per_chain + i]);
    for (unsigned i = 0; i < per_chain; i++) em_store(e, sum[i], to[i], align);
}

/* All visits of a bucket, with `rest` remaining steps each. */
static void emit_visits(emitter *e, const sparse_pass *p, const sparse_place *at, cg_val rows, cg_val fetched, cg_val n_visits,
                        cg_val rounds, unsigned rest) {
    em_loop visits;
    const cg_val state[] = {rows, at->offsets, at->values, fetched};
    em_loop_begin(e, &visits, em_int(e, 0), n_visits, 1, state, p->fetch->n ? 4 : 3);
    sparse_place here = {visits.carried[1], visits.carried[2], at->x};
    if (p->fetch->n) fetch_ahead(e, p, visits.carried[3]);
    emit_visit(e, p, &here, visits.carried[0], rounds, rest);
    cg_val later = p->fetch->n ? em_add_int(e, visits.carried[3], VISIT_FETCHES) : fetched;
    em_loop_end(e, &visits, (cg_val[]){em_at_int(e, visits.carried[0], 2), here.offsets, here.values, later});
}

/* The copy of the visits' code for the bucket's remainder. */
static void emit_bucket(emitter *e, const sparse_pass *p, const sparse_place *at, cg_val rows, cg_val fetched, cg_val n_visits,
                        cg_val steps) {
    const unsigned U = p->unroll;
    cg_val rest = em_rem_int(e, steps, U), rounds = em_div_int(e, steps, U);
    em_if is[8];
    for (unsigned r = 0; r + 1 < U; r++) {
        em_if_begin(e, &is[r], em_equal(e, rest, em_int(e, r)));
        emit_visits(e, p, at, rows, fetched, n_visits, rounds, r);
        em_else(e, &is[r]);
    }
    emit_visits(e, p, at, rows, fetched, n_visits, rounds, U - 1);
    for (unsigned r = U - 1; r-- > 0;) em_if_end(e, &is[r]);
}

/* One block of columns: the buckets of its segment. */
static void emit_segment(emitter *e, const sparse_pass *p, cg_val number) {
    const sparse_code *c = p->code;
    cg_val segment = em_index(e, c->index.segments, number, sizeof(sparse_segment));
    cg_val begin = em_load_unsigned(e, 4, em_at_int(e, segment, offsetof(sparse_segment, bucket)));
    cg_val end =
        em_load_unsigned(e, 4, em_at_int(e, segment, (int64_t)(sizeof(sparse_segment) + offsetof(sparse_segment, bucket))));
    cg_val visit = em_load_unsigned(e, 4, em_at_int(e, segment, offsetof(sparse_segment, visit)));
    cg_val entry = em_load_unsigned(e, 4, em_at_int(e, segment, offsetof(sparse_segment, entry)));
    const cg_val state[] = {em_index(e, c->index.rows, visit, 2), em_index(e, c->index.offsets, entry, offset_bytes(c)),
                            em_index(e, c->values, entry, 4 * c->R * c->C), em_int(e, 0)};
    em_loop buckets;
    em_loop_begin(e, &buckets, begin, end, 1, state, 4);
    cg_val bucket = em_index(e, c->index.buckets, buckets.index, sizeof(sparse_bucket));
    cg_val entries = em_load_unsigned(e, 2, em_at_int(e, bucket, offsetof(sparse_bucket, entries)));
    cg_val n_visits = em_load_unsigned(e, 2, em_at_int(e, bucket, offsetof(sparse_bucket, visits)));
    sparse_place at = {buckets.carried[1], buckets.carried[2], p->x};
    cg_val steps = em_div_int(e, entries, places_per_step(c)), rows = buckets.carried[0];
    if (p->one) sparse_one_token_visits(e, p->one, rows, at.offsets, at.values, n_visits, steps);
    else emit_bucket(e, p, &at, rows, buckets.carried[3], n_visits, steps);
    sparse_place next = advance(e, c, &at, em_mul(e, steps, n_visits));
    cg_val later = em_add(e, buckets.carried[3], em_mul_int(e, n_visits, VISIT_FETCHES));
    em_loop_end(e, &buckets, (cg_val[]){em_index(e, rows, n_visits, 2), next.offsets, next.values, later});
}

/* ---- units ---- */

typedef struct sparse_unit {
    const sparse_code *code;
    cg_val tile, group;
    cg_val row0, n_rows; /* of weight */
    cg_val first;        /* row of W numbers where the results start */
    cg_val sums;         /* [row_group][W] */
} sparse_unit;

/* Sums start as residual and bias, or 0; rows of the last block past the matrix as anything. */
static void emit_start(emitter *e, const sparse_pass *p, const sparse_unit *u, cg_val part) {
    const sparse_code *c = p->code;
    cg_val residual = c->residual ? em_at(e, em_index(e, c->residual, u->first, 4 * c->W), part) : NULL;
    em_loop rows;
    em_loop_begin(e, &rows, em_int(e, 0), u->n_rows, 1, NULL, 0);
    cg_val to = em_index(e, p->sums, rows.index, 4 * c->W), start = em_const(e, c->lanes, 0);
    if (c->bias) start = em_load_splat(e, c->lanes, em_index(e, c->bias, em_add(e, u->row0, rows.index), 4));
    for (unsigned v = 0; v < p->vectors; v++) {
        const int64_t at = 4 * (int64_t)(v * c->lanes);
        cg_val sum = start;
        if (residual) {
            sum = em_load(e, c->lanes, em_at_int(e, em_index(e, residual, rows.index, 4 * c->W), at), 4 * c->lanes);
            if (c->bias) sum = em_fadd(e, sum, start);
        }
        em_store(e, sum, em_at_int(e, to, at), 4 * c->lanes);
    }
    em_loop_end(e, &rows, NULL);
}

/* Rows that expression or sums touch: the unit's own, or of sums in place the next unit's, which stand behind. From rows[1] on; in front of
 * them stands the block of x. */
static void place_rows_ahead(emitter *e, const sparse_code *c, const sparse_unit *u, cg_val *rows, unsigned *n) {
    const cg_expression *x = c->expression;
    cg_val first = c->result ? em_add(e, u->first, u->n_rows) : u->first;
    *n = 1;
    for (unsigned i = 0; i < x->n_stores && *n <= MAX_ROWS_AHEAD; i++)
        rows[(*n)++] = em_index(e, c->operand[x->stores[i].operand], first, 4 * c->W);
    for (unsigned i = 0; i < x->n_inputs && *n <= MAX_ROWS_AHEAD; i++)
        if (x->inputs[i].source == SOURCE_FULL) rows[(*n)++] = em_index(e, c->operand[x->inputs[i].operand], first, 4 * c->W);
}

/* Where a block's visits begin to fetch rows, in bytes: one behind the other until all rows are there, then the first ones again. */
static cg_val fetched_rows(emitter *e, const sparse_code *c, const sparse_unit *u, cg_val block) {
    cg_val at = em_mul(e, em_mul_int(e, block, VISIT_FETCHES), u->n_rows), all = em_mul_int(e, u->n_rows, 4 * c->W);
    return em_select(e, em_less(e, at, all), at, em_int(e, 0));
}

/* Sums of the unit for `vectors` vectors of its tile, from byte `part` of each row of the tile on. */
static void emit_pass(emitter *e, const void *user, unsigned vectors, cg_val part) {
    const sparse_unit *u = user;
    const sparse_code *c = u->code;
    sparse_pass p = {.code = c, .vectors = vectors, .chains = c->chains, .sums = em_at(e, u->sums, part)};
    p.unroll = c->unroll ? c->unroll : sparse_default_unroll(c->kind, c->keep, vectors, c->vectors);
    emit_start(e, &p, u, part);
    cg_val x0 = em_index(e, c->x, em_mul(e, u->tile, c->K), 4 * c->W), x = em_at(e, x0, part), rows[1 + MAX_ROWS_AHEAD];
    sparse_ahead fetch = {.n = 0};
    if (vectors == SPARSE_MOST_VECTORS) place_rows_ahead(e, c, u, rows, &fetch.n); /* visits of fewer are too short */
    p.fetch = &fetch;
    em_loop blocks;
    em_loop_begin(e, &blocks, em_int(e, 0), c->index.n_k_blocks, 1, NULL, 0);
    p.x = em_index(e, x, em_mul(e, blocks.index, c->index.k_block), 4 * c->W);
    fetch.from[0] = em_index(e, x0, em_mul(e, em_add_int(e, blocks.index, 1), c->index.k_block), 4 * c->W);
    for (unsigned i = 1; i < fetch.n; i++) fetch.from[i] = em_at(e, rows[i], fetched_rows(e, c, u, blocks.index));
    emit_segment(e, &p, em_add(e, em_mul(e, u->group, c->index.n_k_blocks), blocks.index));
    em_loop_end(e, &blocks, NULL);
}

/* Sums of the unit for one token in the first lane of its tile. first: the tile's first unit of this call. */
static void emit_one_token(emitter *e, const sparse_code *c, const sparse_unit *u, cg_val first) {
    sparse_one_token one = {.chains = c->chains, .W = c->W};
    sparse_pass p = {.code = c, .one = &one};
    sparse_one_token_place(e, &one, c->result ? em_scratch(e) : em_index(e, em_scratch(e), c->index.row_group, 4 * c->W),
                           c->index.row_group);
    sparse_one_token_start(e, &one, c->bias ? em_index(e, c->bias, u->row0, 4) : NULL,
                           c->residual ? em_index(e, c->residual, u->first, 4 * c->W) : NULL, u->n_rows);
    em_if is_first;
    em_if_begin(e, &is_first, first);
    sparse_one_token_copy(e, &one, em_index(e, c->x, em_mul(e, u->tile, c->K), 4 * c->W), c->K);
    em_if_end(e, &is_first);
    em_loop blocks;
    cg_val x = one.x;
    em_loop_begin(e, &blocks, em_int(e, 0), c->index.n_k_blocks, 1, NULL, 0);
    one.x = em_index(e, x, em_mul(e, blocks.index, c->index.k_block), c->W / 2);
    emit_segment(e, &p, em_add(e, em_mul(e, u->group, c->index.n_k_blocks), blocks.index));
    em_loop_end(e, &blocks, NULL);
    sparse_one_token_spread(e, &one, u->n_rows, u->sums, c->lanes);
}

static void load_code(emitter *e, const cg_kernel *k, sparse_code *c) {
    *c = (sparse_code){.W = kernel_get(k, "W"),
                       .kind = (unsigned)kernel_get(k, "layout"),
                       .R = (unsigned)kernel_get(k, "block_rows"),
                       .C = (unsigned)kernel_get(k, "block_columns"),
                       .keep = (unsigned)kernel_get(k, "keep"),
                       .of = (unsigned)kernel_get(k, "of"),
                       .unroll = (unsigned)kernel_get(k, "unroll"),
                       .shuffled = (unsigned)kernel_get(k, "shuffled"),
                       .packed_offsets = kernel_get(k, "packed_offsets"),
                       .gathers = kernel_get(k, "gathers"),
                       .ahead = (unsigned)kernel_get(k, "ahead"),
                       .chains = (unsigned)kernel_get(k, "chains"),
                       .N = em_dim(e, 1),
                       .K = em_dim(e, 2)};
    c->lanes = tile_lanes(e->lanes, c->W);
    c->vectors = (unsigned)kernel_get(k, "vectors");
    kernel_operands(e, k, c->operand);
    expression_begin(e, &k->expression, c->operand, c->W, c->lanes, &c->random);
    c->expression = &k->expression;
    c->x = c->operand[0];
    c->values = c->operand[2];
    c->bias = kernel_get(k, "bias") ? c->operand[3] : NULL;
    c->residual = kernel_get(k, "residual") ? c->operand[kernel_get(k, "residual")] : NULL;
    c->result = kernel_get(k, "in_place") ? c->operand[k->expression.stores[0].operand] : NULL;
    cg_val h = c->operand[1];
    c->index = sparse_index_read(e, h);
}

/* Elementwise work on the sums, and results where they belong. */
static void emit_results(emitter *e, const cg_kernel *k, const sparse_code *c, const sparse_unit *u, cg_val live) {
    const cg_expression *x = &k->expression;
    if (c->residual || (c->result && x->n_ops == 0 && x->n_stores == 1)) return; /* they are there */
    const expression_tile results = {.expression = x,
                                     .operand = c->operand,
                                     .width = c->W,
                                     .lanes = c->lanes,
                                     .live = live,
                                     .computed = u->sums,
                                     .random = &c->random,
                                     .token = em_mul_int(e, u->tile, c->W),
                                     .n_tokens = em_dim(e, 0)};
    expression_begin_tile(e, &results);
    expression_emit_tile(e, &results, u->first, u->row0, u->n_rows);
}

void emit_sparse_linear(emitter *e, const cg_kernel *k) {
    sparse_code c;
    load_code(e, k, &c);
    cg_val R = em_dim(e, 0), n_units = em_mul(e, em_div_int_up(e, R, c.W), c.index.n_groups);
    em_loop units;
    em_loop_begin(e, &units, em_begin_unit(e), em_min(e, em_end_unit(e), n_units), 1, NULL, 0);
    sparse_unit u = {
        .code = &c, .tile = em_div(e, units.index, c.index.n_groups), .group = em_rem(e, units.index, c.index.n_groups)};
    u.row0 = em_mul(e, u.group, c.index.row_group);
    u.n_rows = em_min(e, c.index.row_group, em_sub(e, c.N, u.row0));
    u.first = em_add(e, em_mul(e, u.tile, c.N), u.row0);
    u.sums = c.result ? em_index(e, c.result, u.first, 4 * c.W) : em_scratch(e);
    cg_val live = tile_live_lanes(e, R, u.tile, c.W, c.lanes);
    em_if is_one;
    if (c.gathers) {
        em_if_begin(e, &is_one, em_equal(e, em_sub(e, R, em_mul_int(e, u.tile, c.W)), em_int(e, 1)));
        cg_val begun = em_sub(e, units.index, em_begin_unit(e)); /* units of this call before this one */
        emit_one_token(e, &c, &u, em_equal(e, em_mul(e, begun, u.group), em_int(e, 0)));
        em_else(e, &is_one);
    }
    emit_sparse_passes(e, c.vectors, em_div_int(e, live, c.lanes), 4 * c.lanes, emit_pass, &u);
    if (c.gathers) em_if_end(e, &is_one);
    emit_results(e, k, &c, &u, live);
    em_loop_end(e, &units, NULL);
}
