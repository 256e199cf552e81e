/*
 * pitfall 9: products of u8 with s8 are exact on every instruction set, with the numbers that saturate 16 bits and those that wrap 32; and
 * where a machine has instructions for them, those are used: in the assembly for machines elsewhere, and run where this one has them, a test for each row of
 * codegen/extensions.def, which is skipped where there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/child_process.h"
#include "codegen/cross_target.h"
#include "codegen/dot_product.h"
#include "codegen/jit.h"
#include "codegen/machine.h"
#include "codegen/target.h"
#include "ir/support/rng.h"

/* buffers: sums i32 [lanes], u [units][4 lanes], s [units][4 lanes]: the sum over all units. */
static void emit_dots(emitter *e, unsigned lanes) {
    em_loop loop;
    em_begin_function(e, "dots");
    cg_val sums = em_buffer(e, 0), sum = em_load_i32(e, lanes, sums, 4);
    em_loop_begin(e, &loop, em_begin_unit(e), em_end_unit(e), 1, &sum, 1);
    cg_val at = em_mul_int(e, loop.index, 4 * lanes);
    cg_val u = em_load_i32(e, lanes, em_at(e, em_buffer(e, 1), at), 1), s = em_load_i32(e, lanes, em_at(e, em_buffer(e, 2), at), 1);
    sum = em_dot_u8s8(e, loop.carried[0], u, s);
    em_loop_end(e, &loop, &sum);
    em_store(e, loop.carried[0], sums, 4);
    em_end_function(e);
}

/*
 * buffers: sums i32 [16][16], u [16][64], s [16][64], and more sums from_zero, turned: u times s is added to sums and to a tile of zeros, s times u, read the
 * other way round, to turned.
 */
static void emit_tiles(emitter *e) {
    em_begin_function(e, "dots");
    cg_val stride = em_int(e, EM_TILE_ROW_BYTES);
    const em_tiles t = em_tiles_begin(e);
    em_tile_load(e, &t, 0, em_buffer(e, 0), stride);
    em_tile_load(e, &t, 6, em_buffer(e, 1), stride);
    em_tile_load(e, &t, 7, em_buffer(e, 2), stride);
    em_tile_zero(e, &t, 1);
    em_tile_dot_u8s8(e, &t, 0, 6, 7);
    em_tile_dot_u8s8(e, &t, 1, 6, 7);
    em_tile_load(e, &t, 2, em_buffer(e, 4), stride);
    em_tile_dot_s8u8(e, &t, 2, 7, 6);
    em_tile_store(e, &t, 0, em_buffer(e, 0), stride);
    em_tile_store(e, &t, 1, em_buffer(e, 3), stride);
    em_tile_store(e, &t, 2, em_buffer(e, 4), stride);
    em_tiles_end(e, &t);
    em_end_function(e);
}

/* buffers: table [256] at a multiple of 64, places in it u8 [16][4], what stands there [16][4]. */
static void emit_table(emitter *e) {
    em_begin_function(e, "dots");
    em_store(e, em_table_u8(e, em_buffer(e, 0), em_load_i32(e, 16, em_buffer(e, 1), 4)), em_buffer(e, 2), 4);
    em_end_function(e);
}

typedef enum code_part { VECTORS, TILES, TABLE } code_part;

typedef struct code_wish {
    cg_target target;
    code_part part;
    unsigned lanes; /* of VECTORS */
    cg_emit_kind kind;
} code_wish;

static pofac_status generate(void *user, const diag_sink *sink, strbuf *out) {
    const code_wish *w = user;
    machine *m;
    emitter e;
    TRY(machine_create(&w->target, sink, &m));
    em_begin_module(&e, &w->target, "dots");
    if (w->part == VECTORS) emit_dots(&e, w->lanes);
    else if (w->part == TILES) emit_tiles(&e);
    else emit_table(&e);
    pofac_status status = machine_generate(m, &e, w->kind, sink, out);
    em_end_module(&e);
    machine_destroy(m);
    return status;
}

static pofac_status generate_elsewhere(void *user, const diag_sink *sink, strbuf *out) {
    cross_target_initialize();
    return generate(user, sink, out);
}

/* ---- what the code looks like ---- */

#define WITH_TILES (CG_DOT_U8S8 | CG_TILES_U8S8 | CG_TABLE_U8) /* a machine that has tiles has all */

static void instructions_of_every_machine(void **state) {
    (void)state;
    static const struct {
        const char *target;
        unsigned extensions, lanes; /* lanes 0: tiles */
        const char *instruction;    /* per 4 lanes bytes; on x86 none may saturate */
    } cases[] = {
        {"x86-64", 0, 4, "\tpmaddwd\t"},
        {"avx2", 0, 8, "\tvpmaddwd\t"},
        {"avx2", 0, 4, "\tvpmaddwd\t"},
        {"avx512", 0, 16, "\tvpmaddwd\t"},
        {"neon", 0, 4, "\tmla\t"},
        {"x86_64-linux-gnu:znver3", 0, 8, "\tvpmaddwd\t"},
        {"x86_64-linux-gnu:alderlake", CG_DOT_U8S8, 8, "{vex}\tvpdpbusd\t"},
        {"x86_64-linux-gnu:alderlake", CG_DOT_U8S8, 4, "{vex}\tvpdpbusd\t"},
        {"x86_64-linux-gnu:x86-64-v3,+avxvnni", CG_DOT_U8S8, 8, "{vex}\tvpdpbusd\t"},
        {"x86_64-linux-gnu:skylake-avx512", 0, 16, "\tvpmaddwd\t"},
        {"x86_64-linux-gnu:cascadelake", CG_DOT_U8S8, 16, "\tvpdpbusd\t"},
        {"x86_64-linux-gnu:znver4", CG_DOT_U8S8 | CG_TABLE_U8, 16, "\tvpdpbusd\t"},
        {"x86_64-linux-gnu:sapphirerapids", WITH_TILES, 16, "\tvpdpbusd\t"},
        {"x86_64-linux-gnu:sapphirerapids", WITH_TILES, 8, "\tvpdpbusd\t"},
        {"x86_64-linux-gnu:sapphirerapids", WITH_TILES, 0, "\ttdpbusd\t%tmm7, %tmm6, %tmm0\n"},
        {"x86_64-linux-gnu:sapphirerapids", WITH_TILES, 0, "\ttdpbsud\t%tmm6, %tmm7, %tmm2\n"},
        {"x86_64-linux-gnu:sapphirerapids,-amx-int8", CG_DOT_U8S8 | CG_TABLE_U8, 16, "\tvpdpbusd\t"},
        {"aarch64-linux-gnu:neoverse-n1", 0, 4, "\tmla\t"},
        {"aarch64-linux-gnu:neoverse-v1", CG_DOT_U8S8, 4, "\tusdot\t"},
        {"riscv64-linux-gnu:+v", 0, 4, "\tvmadd.vv\t"},
    };
    size_t rows_seen = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena memory = ARENA_INIT;
        strbuf messages = STRBUF_INIT, assembly = STRBUF_INIT, said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&messages);
        code_wish w = {.part = cases[i].lanes ? VECTORS : TILES, .lanes = cases[i].lanes, .kind = CG_EMIT_ASM};
        if (cg_target_elsewhere(cases[i].target, &memory, &sink, &w.target) != POFAC_OK ||
            child_run(generate_elsewhere, &w, cases[i].target, 60, &sink, &assembly, &said) != POFAC_OK)
            fail_msg("%s: %s", cases[i].target, strbuf_str(&messages));
        if (w.target.extensions != cases[i].extensions)
            fail_msg("%s has extensions %u, wanted %u", cases[i].target, w.target.extensions, cases[i].extensions);
        if (!strstr(strbuf_str(&assembly), cases[i].instruction))
            fail_msg("%s, %u lanes: no \"%s\" in\n%s", cases[i].target, cases[i].lanes, cases[i].instruction,
                     strbuf_str(&assembly));
        if (strstr(strbuf_str(&assembly), "maddubs")) fail_msg("%s: vpmaddubsw saturates", cases[i].target);
        if (cases[i].lanes == 0) {
            static const char *const others[] = {"\tldtilecfg\t", "\ttileloadd\t", "\ttilezero\t%tmm1\n", "\ttilestored\t",
                                                 "\ttilerelease\n"};
            for (size_t k = 0; k < sizeof others / sizeof *others; k++)
                if (!strstr(strbuf_str(&assembly), others[k])) fail_msg("no \"%s\" in\n%s", others[k], strbuf_str(&assembly));
        }
        rows_seen |= (size_t)w.target.extensions;
        strbuf_free(&messages);
        strbuf_free(&assembly);
        strbuf_free(&said);
        arena_free(&memory);
    }
    assert_int_equal(rows_seen, WITH_TILES);
}

/* Every row goes with an instruction set, and features name it. */
static void every_extension_is_found_by_its_features(void **state) {
    (void)state;
    static const struct {
        const char *name, *features;
    } rows[] = {{"avxvnni", "+avx2,+avxvnni"},
                {"avx512vnni", "+avx512vnni,-avxvnni"},
                {"amx-int8", "+amx-bf16,+amx-tile,+amx-int8"},
                {"avx512vbmi", "+avx512vbmi,+avx512vbmi2"},
                {"i8mm", "+i8mm"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!cg_extension_row(i)) fail_msg("codegen/extensions.def has %zu rows, this test %zu", i, sizeof rows / sizeof *rows);
        cg_target t;
        const char *isa = cg_extension_isa(i);
        assert_string_equal(cg_extension_row(i)->name, rows[i].name);
        assert_true(strlen(cg_extension_row(i)->meaning) > 0);
        assert_int_equal(target_of_row(isa, NULL, &t), POFAC_OK);
        assert_int_equal(t.extensions, 0); /* the least machine of a row has none */
        assert_int_equal(target_extensions(isa, rows[i].features), target_extension_bit(i));
        assert_int_equal(target_extensions(isa, ""), 0);
        assert_int_equal(target_extensions("x86-64", rows[i].features), 0);
    }
    if (cg_extension_row(5)) fail_msg("%s of codegen/extensions.def has no test", cg_extension_row(5)->name);
    assert_int_equal(target_extensions("avx512", "+amx-tile,-amx-int8,+avx512vnni"), CG_DOT_U8S8);
}

/* ---- what it computes ---- */

#define UNITS 37
#define MOST_BYTES 64

typedef struct bytes {
    const char *what;
    uint8_t u[UNITS * MOST_BYTES];
    int8_t s[UNITS * MOST_BYTES];
    int32_t start;
} bytes;

static void fill(bytes *b, int kind) {
    static const char *const names[] = {"255 * 127",
                                        "255 * -128",
                                        "255 * 127 and 255 * -128 in turns",
                                        "pairs of each sign",
                                        "one byte of each four",
                                        "random",
                                        "beyond 32 bits",
                                        "zeros"};
    const rng_key key = rng_key_make(5, "bytes");
    b->what = names[kind];
    b->start = kind == 6 ? INT32_MAX - 1000 : kind == 5 ? -12345 : 0;
    for (size_t i = 0; i < sizeof b->u; i++) {
        b->u[i] = kind == 5   ? (uint8_t)rng_below(key, 2 * i, 256)
                  : kind == 7 ? 0
                  : kind == 4 ? (i % 4 == i / 4 % 4 ? 255 : 0)
                              : 255;
        b->s[i] = (int8_t)(kind == 1   ? -128
                           : kind == 2 ? (i % 2 ? -128 : 127)
                           : kind == 3 ? (i / 2 % 2 ? -128 : 127)
                           : kind == 5 ? (int)rng_below(key, 2 * i + 1, 256) - 128
                                       : 127);
    }
}

static void check_dots(const char *name, plan_kernel run, unsigned lanes) {
    static bytes b;
    for (int kind = 0; kind < 8; kind++)
        for (int64_t units = 0; units <= UNITS; units += kind == 5 ? 1 : 12) {
            int32_t sums[16];
            fill(&b, kind);
            for (unsigned l = 0; l < lanes; l++) sums[l] = b.start;
            void *buffers[] = {sums, b.u, b.s};
            run(buffers, NULL, 0, units, NULL);
            for (unsigned l = 0; l < lanes; l++) {
                uint32_t wanted = (uint32_t)b.start;
                for (int64_t i = 0; i < units; i++)
                    for (unsigned k = 0; k < 4; k++) {
                        const size_t at = (size_t)i * 4 * lanes + 4 * l + k;
                        wanted += (uint32_t)((int32_t)b.u[at] * b.s[at]);
                    }
                if ((uint32_t)sums[l] != wanted)
                    fail_msg("%s, %u lanes, %lld times %s: lane %u is %d, wanted %d", name, lanes, (long long)units, b.what, l,
                             sums[l], (int32_t)wanted);
            }
        }
}

static void check_tiles(plan_kernel run) {
    static bytes b;
    for (int kind = 0; kind < 8; kind++) {
        int32_t sums[16][16], from_zero[16][16], turned[16][16];
        fill(&b, kind);
        for (int i = 0; i < 256; i++) sums[i / 16][i % 16] = turned[i / 16][i % 16] = b.start;
        void *buffers[] = {sums, b.u, b.s, from_zero, turned};
        run(buffers, NULL, 0, 1, NULL);
        for (int m = 0; m < 16; m++)
            for (int n = 0; n < 16; n++) {
                uint32_t wanted = 0, other = (uint32_t)b.start;
                for (int k = 0; k < 64; k++) {
                    const int at = 64 * m + k, across = 64 * (k / 4) + 4 * n + k % 4;
                    wanted += (uint32_t)((int32_t)b.u[at] * b.s[across]);
                    other += (uint32_t)((int32_t)b.s[at] * b.u[across]);
                }
                if ((uint32_t)from_zero[m][n] != wanted || (uint32_t)sums[m][n] != wanted + (uint32_t)b.start)
                    fail_msg("tiles of %s: [%d][%d] is %d, wanted %d", b.what, m, n, from_zero[m][n], (int32_t)wanted);
                if ((uint32_t)turned[m][n] != other)
                    fail_msg("tiles of %s, s8 times u8: [%d][%d] is %d, wanted %d", b.what, m, n, turned[m][n], (int32_t)other);
            }
    }
}

static void check_table(plan_kernel run) {
    static _Alignas(64) uint8_t table[EM_TABLE_U8_BYTES];
    uint8_t places[64], found[64];
    for (int i = 0; i < EM_TABLE_U8_BYTES; i++) table[i] = (uint8_t)(167 * i + 13);
    for (int first = 0; first < EM_TABLE_U8_BYTES; first += 64) {
        for (int i = 0; i < 64; i++) places[i] = (uint8_t)(first + 63 - i);
        void *buffers[] = {table, places, found};
        run(buffers, NULL, 0, 1, NULL);
        for (int i = 0; i < 64; i++)
            if (found[i] != table[places[i]]) fail_msg("table[%d] is %d, wanted %d", places[i], found[i], table[places[i]]);
    }
}

static void run_on(const char *name, const cg_target *t, code_part part, unsigned lanes) {
    strbuf object = STRBUF_INIT, messages = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&messages);
    static const char *const parts[] = {"products of pairs", "tiles", "tables"};
    code_wish w = {.target = *t, .part = part, .lanes = lanes, .kind = CG_EMIT_OBJ};
    jit *j = NULL;
    plan_kernel run;
    if (generate(&w, &sink, &object) != POFAC_OK || jit_create(0, &sink, &j) != POFAC_OK ||
        jit_add(j, object.data, object.size, "dots", 0, &sink, &run) != POFAC_OK)
        fail_msg("%s: %s", name, strbuf_str(&messages));
    if (part == VECTORS) check_dots(name, run, lanes);
    else if (part == TILES) check_tiles(run);
    else check_table(run);
    print_message("%s, %s\n", name, part == VECTORS && t->extensions & CG_DOT_U8S8 ? "dot products" : parts[part]);
    jit_destroy(j);
    strbuf_free(&object);
    strbuf_free(&messages);
}

/* Every instruction set that this machine has, each with and without its extensions. */
static void sums_are_exact_where_this_machine_runs(void **state) {
    (void)state;
    arena memory = ARENA_INIT;
    size_t n = 0;
    for (size_t i = 0; cg_target_row(i); i++) {
        cg_target t;
        if (cg_target_host(cg_target_row(i)->name, &memory, NULL, &t) != POFAC_OK) continue;
        for (unsigned lanes = 1; lanes <= t.vector_bytes / 4; lanes *= 2) run_on(t.isa, &t, VECTORS, lanes), n++;
        cg_target plain = t;
        plain.extensions = 0;
        if (t.extensions) run_on("without extensions", &plain, VECTORS, t.vector_bytes / 4);
        run_on("tiles in memory", &plain, TILES, 0);
    }
    assert_true(n > 0);
    arena_free(&memory);
}

/* *name: of a row of codegen/extensions.def. */
static void an_extension_is_exact(void **name) {
    arena memory = ARENA_INIT;
    const char *lacks;
    cg_target t;
    char features[80];
    size_t i = 0;
    while (strcmp(cg_extension_row(i)->name, *name) != 0) i++;
    assert_int_equal(cg_host_lacks_extension(i, &memory, NULL, &lacks), POFAC_OK);
    if (lacks) {
        print_message("SKIP: this machine lacks %s of %s\n", lacks, cg_extension_row(i)->name);
        arena_free(&memory);
        skip();
    }
    assert_int_equal(cg_target_host(cg_extension_isa(i), &memory, NULL, &t), POFAC_OK);
    snprintf(features, sizeof features, "%s%s+%s", t.features, *t.features ? "," : "", cg_extension_row(i)->name);
    if (!t.extensions) t.features = features; /* a row below the machine's best */
    t.extensions |= target_extension_bit(i);
    const unsigned bit = target_extension_bit(i);
    run_on(cg_extension_row(i)->name, &t, bit == CG_TILES_U8S8 ? TILES : bit == CG_TABLE_U8 ? TABLE : VECTORS, t.vector_bytes / 4);
    arena_free(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_extension_is_found_by_its_features),
        cmocka_unit_test(instructions_of_every_machine),
        cmocka_unit_test(sums_are_exact_where_this_machine_runs),
#define EXTENSION(id, name, isa, needs, meaning) {name " is exact", an_extension_is_exact, NULL, NULL, (void *)name},
#include "codegen/extensions.def"
#undef EXTENSION
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
