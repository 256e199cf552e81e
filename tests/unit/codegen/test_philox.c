/*
 * Random words of kernels are those of ir/support/rng.h, bit for bit, and dropout keeps what the op's evaluator keeps: on every instruction set
 * of the machine, and for every number of lanes that a tile may want.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codegen/jit.h"
#include "codegen/machine.h"
#include "codegen/philox.h"
#include "ir/support/rng.h"
#include "tests/unit/codegen/kernel_case.h"

#define N_ROWS 21
#define N_BLOCKS 9
#define MAX_LANES 16

typedef struct compiled {
    jit *jit;
    plan_kernel
        run; /* buffers: random, keys, words u32 [blocks][4][lanes], kept f32 [blocks][4][lanes]; dims: first row, first block */
    unsigned lanes;
} compiled;

static void emit_words(emitter *e, unsigned lanes, uint32_t stream, double rate) {
    em_loop loop;
    em_begin_function(e, "words");
    const philox numbers = philox_begin(e, em_buffer(e, 0), em_int(e, (int64_t)stream));
    const philox_rows rows = philox_rows_begin(e, &numbers, lanes, em_buffer(e, 1), em_dim(e, 0), em_int(e, N_ROWS));
    em_loop_begin(e, &loop, em_begin_unit(e), em_end_unit(e), 1, NULL, 0);
    cg_val word[PHILOX_WORDS];
    philox_words(e, &rows, em_add(e, loop.index, em_dim(e, 1)), word);
    for (unsigned i = 0; i < PHILOX_WORDS; i++) {
        cg_val at = em_mul_int(e, em_add_int(e, em_mul_int(e, loop.index, PHILOX_WORDS), i), 4 * (int64_t)lanes);
        cg_val kept = em_select(e, philox_keeps(e, word[i], rate), em_const(e, lanes, 1), em_const(e, lanes, 0));
        em_store(e, word[i], em_at(e, em_buffer(e, 2), at), 4);
        em_store(e, kept, em_at(e, em_buffer(e, 3), at), 4);
    }
    em_loop_end(e, &loop, NULL);
    em_end_function(e);
}

static compiled compile(const char *isa, unsigned lanes, uint32_t stream, double rate) {
    arena memory = ARENA_INIT;
    cg_target target;
    machine *m;
    emitter e;
    compiled c = {.lanes = lanes};
    strbuf object = STRBUF_INIT;
    assert_int_equal(cg_target_host(isa, &memory, NULL, &target), POFAC_OK);
    assert_int_equal(machine_create(&target, NULL, &m), POFAC_OK);
    assert_int_equal(jit_create(0, NULL, &c.jit), POFAC_OK);
    em_begin_module(&e, &target, "test");
    if (lanes <= e.lanes) emit_words(&e, lanes, stream, rate);
    else c.lanes = 0;
    if (c.lanes) assert_int_equal(machine_generate(m, &e, CG_EMIT_OBJ, NULL, &object), POFAC_OK);
    em_end_module(&e);
    machine_destroy(m);
    if (c.lanes) assert_int_equal(jit_add(c.jit, object.data, object.size, "words", 0, NULL, &c.run), POFAC_OK);
    strbuf_free(&object);
    arena_free(&memory);
    return c;
}

static void check_words(const char *isa, const compiled *c, uint32_t stream, double rate, int64_t seed, int64_t step,
                        int64_t first_row, int64_t first_block) {
    int64_t keys[N_ROWS], random[2] = {seed, step}, dims[2] = {first_row, first_block};
    uint32_t words[N_BLOCKS * PHILOX_WORDS * MAX_LANES];
    float kept[N_BLOCKS * PHILOX_WORDS * MAX_LANES];
    for (int64_t r = 0; r < N_ROWS; r++)
        keys[r] = (int64_t)((((uint64_t)r * 977 + (uint64_t)seed) << 32) + (uint64_t)r * 3 - (r % 5 == 0));
    void *buffers[] = {random, keys, words, kept};
    c->run(buffers, dims, 0, N_BLOCKS, NULL);
    const rng_key key = rng_key_numbered((uint64_t)seed, stream);
    for (int64_t block = 0; block < N_BLOCKS; block++)
        for (unsigned l = 0; l < c->lanes; l++) {
            const int64_t row = first_row + l < N_ROWS ? first_row + l : N_ROWS - 1;
            const uint64_t high = (uint64_t)step << 32 | (uint64_t)(first_block + block);
            const rng_block wanted = rng_philox(key, (uint64_t)keys[row], high);
            for (unsigned i = 0; i < PHILOX_WORDS; i++) {
                const size_t at = ((size_t)block * PHILOX_WORDS + i) * c->lanes + l;
                if (words[at] != wanted.word[i])
                    fail_msg("%s, %u lanes, seed %" PRIx64 ", row %" PRId64 ", block %" PRIx64 ": word %u is %08x, wanted %08x",
                             isa, c->lanes, (uint64_t)seed, row, high, i, words[at], wanted.word[i]);
                if (kept[at] != (wanted.word[i] >= rng_drop_below(rate) ? 1.0f : 0.0f))
                    fail_msg("%s, rate %g: %08x is kept %g", isa, rate, wanted.word[i], (double)kept[at]);
            }
        }
}

static void words_are_those_of_rng(void **state) {
    (void)state;
    static const uint32_t streams[] = {0, 7, UINT32_MAX};
    static const double rates[] = {0.1, 0, 0.75};
    for (size_t i = 0; kernel_case_isa(i); i++)
        for (unsigned lanes = 4; lanes <= MAX_LANES; lanes *= 2)
            for (size_t s = 0; s < 3; s++) {
                const compiled c = compile(kernel_case_isa(i), lanes, streams[s], rates[s]);
                for (int64_t row = 0; row < N_ROWS && c.lanes; row += 10) {
                    check_words(kernel_case_isa(i), &c, streams[s], rates[s], 42, 1, row, 0);
                    check_words(kernel_case_isa(i), &c, streams[s], rates[s], INT64_C(-0x123456789abcdef), 0x1ffffffff, row,
                                15 << 20);
                    check_words(kernel_case_isa(i), &c, streams[s], rates[s], INT64_MAX, 0, row, INT64_C(0xfffffff0));
                }
                jit_destroy(c.jit);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_are_those_of_rng)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
