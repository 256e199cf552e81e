/*
 * Choices by measurement, with a clock that tests script: what is asked, what answers lead to, and what files keep of them. The clock
 * itself is asked once, for a small product.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/kernel_pins.h"
#include "frontend/driver/measured_cost.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/temporary_folder.h"

/* ---- a scripted clock ---- */

/* Seconds of variants at a density; the first row that fits counts. */
typedef struct script_row {
    const char *part; /* of the variant's text */
    int64_t most_per_mille;
    double seconds;
} script_row;

typedef struct fixture {
    arena memory;
    char dir[64];
    strbuf messages;
    diag_sink sink;
    cg_options codegen;
    const script_row *script;
    double slow; /* seconds that a question takes */
    pofac_status status;
    size_t asked;
    strbuf questions;
    kernel_timer timer;
} fixture;

static pofac_status scripted(void *user, const kernel_question *q, double budget_seconds, const diag_sink *sink,
                             kernel_candidate *c, size_t n) {
    fixture *f = user;
    (void)budget_seconds;
    f->asked++;
    strbuf_printf(&f->questions, "%lldx%lld %lld %lld", (long long)q->N, (long long)q->K, (long long)q->n_rows,
                  (long long)q->per_mille);
    if (q->structure.fill || q->structure.of) strbuf_puts(&f->questions, " ");
    zero_structure_print(&q->structure, &f->questions);
    strbuf_puts(&f->questions, "; ");
    if (f->status != POFAC_OK) return diag_error(sink, f->status, NULL, "no clock");
    if (f->slow > 0) usleep((useconds_t)(1e6 * f->slow));
    for (size_t i = 0; i < n; i++) {
        c[i].seconds = 0;
        for (const script_row *r = f->script; r && r->part && c[i].seconds <= 0; r++)
            if (strstr(c[i].variant, r->part) && q->per_mille <= r->most_per_mille) c[i].seconds = r->seconds;
    }
    return POFAC_OK;
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/pofac-costs-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->sink = diag_sink_to_strbuf(&f->messages);
    f->timer = (kernel_timer){scripted, f};
    /* eight lanes: tiles of 32 and 16, on any machine */
    f->codegen = (cg_options){.target = {.triple = "x86_64-pc-linux-gnu",
                                         .cpu = "haswell",
                                         .features = "",
                                         .isa = "avx2",
                                         .vector_bytes = 32,
                                         .vector_registers = 16},
                              .cache_dir = f->dir};
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    folder_remove(f->dir);
    strbuf_free(&f->messages);
    strbuf_free(&f->questions);
    arena_free(&f->memory);
    free(f);
    return 0;
}

/* Asks a new source once; returns the number of variants that it timed. */
static size_t choose(fixture *f, const measured_cost_options *more, const linear_problem *problems, size_t n, linear_choice *out) {
    measured_cost_options options = more ? *more : (measured_cost_options){0};
    measured_cost *m;
    options.codegen = &f->codegen;
    options.timer = &f->timer;
    assert_int_equal(measured_cost_create(&options, &f->sink, &m), POFAC_OK);
    cost_source source = measured_cost_source(m);
    assert_int_equal(source.choose(source.user, problems, n, &f->sink, out), POFAC_OK);
    size_t timed = measured_cost_timed(m);
    measured_cost_destroy(m);
    return timed;
}

/* A weight of 1024 x 1024 with `percent` of zeros. */
static linear_problem weight(const char *name, int64_t percent) {
    const int64_t all = 1024 * 1024;
    return (linear_problem){
        .name = name, .N = 1024, .K = 1024, .n_rows = 128, .nnz = all * (100 - percent) / 100, .may_be_sparse = percent > 0};
}

static void expect_choice(const char *what, const linear_choice *c, bool sparse, const char *start) {
    if (c->sparse != sparse || strncmp(c->variant, start, strlen(start)) != 0 || (!*start && c->variant[0]))
        fail_msg("%s: found %s \"%s\", wanted %s \"%s\"", what, c->sparse ? "sparse" : "dense", c->variant,
                 sparse ? "sparse" : "dense", start);
}

/* ---- choices ---- */

/* 4.9 % faster is not enough, 5.1 % is. */
static void sparse_must_win_by_five_percent(void **state) {
    fixture *f = *state;
    static const script_row nearly[] = {{"sparse_linear", 1000, 0.951}, {"linear tile=32", 1000, 1}, {"linear", 1000, 9}, {0}},
                            enough[] = {{"sparse_linear", 1000, 0.949}, {"linear tile=32", 1000, 1}, {"linear", 1000, 9}, {0}};
    const linear_problem p = weight("w", 60);
    linear_choice c;
    f->script = nearly;
    choose(f, NULL, &p, 1, &c);
    expect_choice("4.9 %", &c, false, "linear tile=32");
    assert_true(c.measured && c.seconds == 1 && c.dense_seconds == 1);
    f->script = enough;
    choose(f, &(measured_cost_options){.again = true}, &p, 1, &c);
    expect_choice("5.1 %", &c, true, "sparse_linear layout=stream tile=");
    assert_true(c.measured && c.seconds == 0.949);
}

/* pitfall 11: whatever the times are, for any number of rows, share and structure of zeros, what is chosen takes no longer than dense. */
static void nothing_loses_to_dense(void **state) {
    fixture *f = *state;
    static const char *const parts[] = {"sparse_linear layout=blocks",
                                        "sparse_linear layout=n_m",
                                        "sparse_linear layout=stream tile=16",
                                        "sparse_linear",
                                        "linear tile=16",
                                        "linear"};
    static const int64_t rows[] = {1, 7, 128, 1024}, percents[] = {10, 50, 80, 90, 99};
    const rng_key key = rng_key_make(4, "times");
    size_t sparse = 0, all = 0;
    for (uint64_t round = 0; round < 40; round++) {
        script_row script[7] = {{0}};
        linear_problem p[5];
        linear_choice c[5];
        for (size_t i = 0; i < 6; i++) script[i] = (script_row){parts[i], 1000, 0.5 + rng_uniform(key, 100 * round + i)};
        for (size_t i = 0; i < 5; i++) {
            p[i] = weight("w", percents[i]);
            p[i].n_rows = rows[round % 4];
            if (rng_below(key, 100 * round + 20 + i, 3) == 0)
                p[i].structure = (zero_structure){.block_rows = 4, .block_columns = 4, .fill = 1000};
            if (rng_below(key, 100 * round + 30 + i, 5) == 0) p[i].structure = (zero_structure){.keep = 2, .of = 4};
        }
        f->script = script;
        choose(f, &(measured_cost_options){.again = true, .tile = round % 2 ? 32 : 0}, p, 5, c);
        for (size_t i = 0; i < 5; i++, all++) {
            assert_true(c[i].measured);
            sparse += c[i].sparse;
            if (!(c[i].seconds <= 1.05 * c[i].dense_seconds))
                fail_msg("round %d, %d %% zeros: \"%s\" takes %g s, dense %g s", (int)round, (int)percents[i], c[i].variant,
                         c[i].seconds, c[i].dense_seconds);
        }
    }
    assert_true(sparse > 40 && all - sparse > 40 && all == 200);
}

/* The layout's width stays, unless all products together gain by another. */
static void one_tile_for_all(void **state) {
    fixture *f = *state;
    static const script_row better[] = {{"sparse_linear layout=stream tile=16", 300, 1},
                                        {"sparse_linear", 300, 3},
                                        {"linear tile=32", 1000, 5},
                                        {"linear tile=16", 1000, 6},
                                        {0}};
    linear_problem p[3] = {weight("a", 90), weight("b", 90), weight("c", 0)};
    linear_choice c[3];
    f->script = better; /* sparse ones by 1 + 6 / tile; 16: 1.4 + 1.4 + 6 = 8.8, 32: 3.6 + 3.6 + 5 = 12.1 */
    choose(f, NULL, p, 3, c);
    expect_choice("a", &c[0], true, "sparse_linear layout=stream tile=16");
    expect_choice("b", &c[1], true, "sparse_linear layout=stream tile=16");
    expect_choice("c", &c[2], false, "linear tile=16");
    choose(f, &(measured_cost_options){.tile = 32, .again = true}, p, 3, c);
    expect_choice("a at 32", &c[0], true, "sparse_linear layout=stream tile=32");
    p[1] = p[2];
    p[1].name = "b"; /* 16: 1.4 + 6 + 6 = 13.4, 32: 3.6 + 5 + 5 = 13.6 */
    choose(f, NULL, p, 3, c);
    expect_choice("a, equal", &c[0], true, "sparse_linear layout=stream tile=32");
    expect_choice("b, equal", &c[1], false, "linear tile=32");
}

/* Twice as many passes over the non-zeros: at 0.83 of the time of 32 a width of 16 is not worth it, at 0.81 it is. */
static void narrow_tiles_pay_for_their_passes(void **state) {
    fixture *f = *state;
    static const script_row
        nearly[] = {{"sparse_linear layout=stream tile=16", 1000, 0.83}, {"sparse_linear", 1000, 1}, {"linear", 1000, 9}, {0}},
        enough[] = {{"sparse_linear layout=stream tile=16", 1000, 0.81}, {"sparse_linear", 1000, 1}, {"linear", 1000, 9}, {0}};
    const linear_problem p = weight("w", 90);
    linear_choice c;
    f->script = nearly;
    choose(f, NULL, &p, 1, &c);
    expect_choice("0.83", &c, true, "sparse_linear layout=stream tile=32");
    f->script = enough;
    choose(f, &(measured_cost_options){.again = true}, &p, 1, &c);
    expect_choice("0.81", &c, true, "sparse_linear layout=stream tile=16");
}

/* Small and huge weights; a clock that no variant runs on. */
static void the_rule_decides_the_rest(void **state) {
    fixture *f = *state;
    linear_problem p[4] = {{"small", 511, 512, 128, 1000, true, {0}, 0, false},
                           {"small_dense", 511, 512, 128, 511 * 512, false, {0}, 0, false},
                           {"huge", 30522, 768, 128, 1000, true, {0}, 0, false},
                           {"half", 1024, 1024, 128, 600000, true, {0}, 0, false}};
    linear_choice c[4];
    assert_int_equal(choose(f, NULL, p, 3, c), 0);
    assert_int_equal(f->asked, 0);
    expect_choice("small", &c[0], true, "");
    expect_choice("small_dense", &c[1], false, "");
    expect_choice("huge", &c[2], true, "");
    assert_false(c[0].measured);
    assert_string_equal(strbuf_str(&f->messages), "");
    choose(f, NULL, &p[3], 1, c);
    assert_int_equal(f->asked, 1);
    expect_choice("half", &c[0], false, "");
}

/* Equal weights are one question; densities are rounded in steps, tokens count. */
static void questions_are_distinct(void **state) {
    fixture *f = *state;
    static const script_row script[] = {{"linear", 1000, 1}, {0}};
    linear_problem p[6] = {weight("a", 90), weight("b", 91), weight("c", 92), weight("d", 99), weight("e", 0), weight("f", 90)};
    linear_choice c[6];
    p[5].n_rows = 1;
    f->script = script;
    choose(f, NULL, p, 6, c);
    assert_int_equal(f->asked, 5);
    assert_non_null(strstr(strbuf_str(&f->questions), "1024x1024 128 100; "));
    assert_non_null(strstr(strbuf_str(&f->questions), "1024x1024 128 75; "));
    assert_non_null(strstr(strbuf_str(&f->questions), "1024x1024 128 25; "));
    assert_non_null(strstr(strbuf_str(&f->questions), "1024x1024 128 1000; "));
    assert_non_null(strstr(strbuf_str(&f->questions), "1024x1024 1 100; "));
}

/* Structures are questions of their own, with their layouts among the candidates; each density of blocks' elements is rounded. */
static void structures_have_layouts_of_their_own(void **state) {
    fixture *f = *state;
    static const script_row script[] = {{"layout=blocks tile=32 k_block=256 rows=512 block_rows=8 block_columns=1", 1000, 1},
                                        {"layout=n_m tile=32 k_block=256 rows=512 keep=2 of=4", 1000, 2},
                                        {"layout=blocks tile=32 k_block=256 rows=512 block_rows=1 block_columns=4", 1000, 3},
                                        {"layout=blocks tile=32 k_block=256 rows=512 block_rows=4 block_columns=4", 1000, 4},
                                        {"layout=blocks tile=32 k_block=256 rows=512 block_rows=4 block_columns=1", 1000, 5},
                                        {"layout=stream tile=32", 1000, 6},
                                        {"linear", 1000, 9},
                                        {0}};
    linear_problem p[6];
    linear_choice c[6];
    for (size_t i = 0; i < 6; i++) p[i] = weight("w", 75);
    p[0].structure = (zero_structure){.block_rows = 16, .block_columns = 1, .fill = 987};
    p[1].structure = (zero_structure){.block_rows = 16, .block_columns = 1, .fill = 1000};
    p[2].structure = (zero_structure){.keep = 2, .of = 4};
    p[3].structure = (zero_structure){.block_rows = 1, .block_columns = 8, .fill = 1000};
    p[4].structure = (zero_structure){.block_rows = 4, .block_columns = 16, .fill = 1000};
    f->script = script;
    choose(f, NULL, p, 6, c);
    assert_int_equal(f->asked, 5);
    static const char *const asked[] = {" 16x1; ", " 2:4; ", " 1x8; ", " 4x16; ", "1024x1024 128 250; "};
    for (size_t i = 0; i < 5; i++) assert_non_null(strstr(strbuf_str(&f->questions), asked[i]));
    expect_choice("16x1", &c[0], true, "sparse_linear layout=blocks tile=32 k_block=256 rows=512 block_rows=8 block_columns=1");
    expect_choice("16x1, full", &c[1], true, c[0].variant);
    expect_choice("2:4", &c[2], true, "sparse_linear layout=n_m tile=32 k_block=256 rows=512 keep=2 of=4");
    expect_choice("1x8", &c[3], true, "sparse_linear layout=blocks tile=32 k_block=256 rows=512 block_rows=1 block_columns=4");
    expect_choice("4x16", &c[4], true, "sparse_linear layout=blocks tile=32 k_block=256 rows=512 block_rows=4 block_columns=4");
    expect_choice("no structure", &c[5], true, "sparse_linear layout=stream tile=32");
    assert_int_equal(choose(f, NULL, p, 6, c), 0); /* all are kept */
    expect_choice("2:4, kept", &c[2], true, "sparse_linear layout=n_m");
    /* a dense kernel that is 5 % faster still wins */
    static const script_row dense[] = {{"sparse_linear", 1000, 0.96}, {"linear", 1000, 1}, {0}};
    f->script = dense;
    choose(f, &(measured_cost_options){.again = true}, p, 3, c);
    expect_choice("blocks beside dense", &c[0], false, "linear tile=32");
    expect_choice("N of M beside dense", &c[2], false, "linear tile=32");
}

/* When the time is up, the next denser answer of the shape holds, on disk as well; each shape is asked about once at least. */
static void time_is_bounded(void **state) {
    fixture *f = *state;
    static const script_row script[] = {{"sparse_linear", 1000, 1}, {"linear", 1000, 9}, {0}};
    linear_problem p[13];
    linear_choice c[13];
    for (size_t i = 0; i < 12; i++) p[i] = weight("w", 40 + 4 * (int64_t)i);
    p[12] = weight("dense", 0);
    p[12].N = 512;
    f->script = script;
    f->slow = 0.02;
    choose(f, &(measured_cost_options){.budget_seconds = 0.05}, p, 13, c);
    assert_in_range(f->asked, 2, 5);
    assert_int_equal(strncmp(strbuf_str(&f->questions), "1024x1024 128 600; ", 19), 0); /* the densest comes first */
    for (size_t i = 0; i < 12; i++) expect_choice("any", &c[i], true, "sparse_linear layout=stream tile=32");
    expect_choice("dense", &c[12], false, "linear tile=32");
    assert_int_equal(choose(f, NULL, p, 13, c), 0);
    for (size_t i = 0; i < 12; i++) expect_choice("any, from disk", &c[i], true, "sparse_linear layout=stream tile=32");
}

static void errors_of_the_clock_are_errors(void **state) {
    fixture *f = *state;
    const linear_problem p = weight("w", 60);
    linear_choice c;
    measured_cost *m;
    f->status = POFAC_ERR_RUNTIME;
    assert_int_equal(measured_cost_create(&(measured_cost_options){.codegen = &f->codegen, .timer = &f->timer}, &f->sink, &m),
                     POFAC_OK);
    cost_source source = measured_cost_source(m);
    assert_int_equal(source.choose(source.user, &p, 1, &f->sink, &c), POFAC_ERR_RUNTIME);
    measured_cost_destroy(m);
}

/* ---- files ---- */

static size_t list_files(const fixture *f, char path[512]) {
    char dir[128];
    size_t n = 0;
    snprintf(dir, sizeof dir, "%s/costs", f->dir);
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, 512, "%s/%s", dir, entry->d_name);
        n++;
    }
    if (d) closedir(d);
    return n;
}

static const script_row fast_sparse[] = {{"sparse_linear", 1000, 0.125}, {"linear", 1000, 1}, {0}};
static const script_row fast_dense[] = {{"sparse_linear", 1000, 2}, {"linear", 1000, 1}, {0}};

/* Measured once, told once; another machine or other tokens are another question; `again` asks anew and keeps that. */
static void answers_are_kept(void **state) {
    fixture *f = *state;
    linear_problem p = weight("w", 90);
    linear_choice first, second;
    char path[512], note[256];
    f->script = fast_sparse;
    size_t timed = choose(f, NULL, &p, 1, &first);
    assert_true(timed > 0);
    snprintf(note, sizeof note, "note: measuring %zu kernels for 1 kind of weights, kept in %s/costs\n", timed, f->dir);
    assert_string_equal(strbuf_str(&f->messages), note);
    strbuf_clear(&f->messages);
    f->script = fast_dense;
    assert_int_equal(choose(f, NULL, &p, 1, &second), 0);
    assert_int_equal(f->asked, 1);
    assert_string_equal(second.variant, first.variant);
    assert_true(second.sparse && second.measured && second.seconds == first.seconds);
    assert_string_equal(strbuf_str(&f->messages), "");
    assert_int_equal(list_files(f, path), 1);

    f->codegen.target.cpu = "znver3";
    assert_int_equal(choose(f, NULL, &p, 1, &second), timed);
    expect_choice("another processor", &second, false, "linear tile=32");
    f->codegen.target.cpu = "haswell";
    assert_int_equal(choose(f, &(measured_cost_options){.again = true}, &p, 1, &second), timed);
    expect_choice("again", &second, false, "linear tile=32");
    assert_int_equal(choose(f, NULL, &p, 1, &second), 0);
    expect_choice("what again has kept", &second, false, "linear tile=32");
    assert_int_equal(list_files(f, path), 2);
}

/* Every byte of a file counts; a file cut anywhere, or of another question, is measured anew and put right. */
static void damaged_answers_are_measured_anew(void **state) {
    fixture *f = *state;
    linear_problem p = weight("w", 90);
    linear_choice c;
    char path[512];
    f->script = fast_sparse;
    size_t timed = choose(f, NULL, &p, 1, &c), size;
    assert_int_equal(list_files(f, path), 1);
    char whole[4096], changed[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    assert_in_range(size, 100, sizeof whole - 1);
    for (size_t at = 0; at < size; at += 37) {
        memcpy(changed, whole, size);
        changed[at] ^= 0x15;
        for (int cut = 0; cut < 2; cut++) {
            file = fopen(path, "wb");
            assert_non_null(file);
            fwrite(cut ? whole : changed, 1, cut ? at : size, file);
            fclose(file);
            assert_int_equal(choose(f, NULL, &p, 1, &c), timed);
            expect_choice("damaged", &c, true, "sparse_linear");
            assert_int_equal(choose(f, NULL, &p, 1, &c), 0);
        }
    }
}

/* Nothing can be kept: a warning where a directory was wanted, and measurements each time. */
static void no_place_for_answers(void **state) {
    fixture *f = *state;
    linear_problem p = weight("w", 90);
    linear_choice c;
    char dir[128], wanted[512];
    f->script = fast_sparse;
    f->codegen.cache_dir = NULL;
    size_t timed = choose(f, NULL, &p, 1, &c);
    assert_int_equal(choose(f, NULL, &p, 1, &c), timed);
    assert_non_null(strstr(strbuf_str(&f->messages), "kernels for 1 kind of weights, not kept: there is no cache\n"));
    strbuf_clear(&f->messages);

    f->codegen.cache_dir = f->dir;
    snprintf(dir, sizeof dir, "%s/costs", f->dir);
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(choose(f, NULL, &p, 1, &c), timed);
    expect_choice("others may write", &c, true, "sparse_linear");
    snprintf(wanted, sizeof wanted, "%s: warning: the cache of kernels' times is not used: others may write to it\n", dir);
    assert_int_equal(strncmp(strbuf_str(&f->messages), wanted, strlen(wanted)), 0);
    assert_int_equal(chmod(dir, 0500), 0);
    assert_int_equal(choose(f, NULL, &p, 1, &c), timed); /* nothing can be written there, but for root */
    expect_choice("read-only", &c, true, "sparse_linear");
    assert_int_equal(chmod(dir, 0700), 0);
}

static void failing_allocations_are_reported(void **state) {
    fixture *f = *state;
    const linear_problem p[2] = {weight("w", 90), weight("v", 0)};
    f->script = fast_sparse;
    for (size_t n = 1;; n++) {
        const measured_cost_options options = {.codegen = &f->codegen, .timer = &f->timer, .again = true};
        linear_choice c[2] = {{.sparse = false}};
        measured_cost *m;
        fail_alloc_after(n);
        pofac_status status = measured_cost_create(&options, NULL, &m);
        if (status == POFAC_OK) {
            cost_source source = measured_cost_source(m);
            status = source.choose(source.user, p, 2, NULL, c);
        }
        bool hit = fail_alloc_stop();
        if (!hit) assert_int_equal(status, POFAC_OK);
        if (status == POFAC_OK) expect_choice("w", &c[0], true, "sparse_linear");
        measured_cost_destroy(m);
        if (!hit) break;
    }
}

/* ---- the clock ---- */

/* ---- gradients ---- */

static linear_problem trained(const char *name, int64_t percent) {
    linear_problem p = weight(name, percent);
    p.gradients = 1u << PRODUCT_INPUT_GRADIENT | 1u << PRODUCT_WEIGHT_GRADIENT;
    return p;
}

static void expect_gradients(const linear_choice *c, const char *input, const char *of_weight) {
    assert_string_equal(c->input_gradient, input);
    assert_string_equal(c->weight_gradient, of_weight);
}

/* Forward and input gradient gain, the weight gradient loses: what counts is the sum, 3 against 3.15 and against 3.17; and nothing is
 * chosen that is slower than dense products. */
static void products_of_a_weight_are_chosen_in_sum(void **state) {
    fixture *f = *state;
    static const script_row
        less[] = {{"sparse_weight_gradient", 1000, 2.0}, {"sparse_linear", 1000, 0.5},  {"blas_linear", 1000, 1.2},
                  {"weight_gradient", 1000, 1.17},       {"linear tile=32", 1000, 1.0}, {0}},
        enough[] = {{"sparse_weight_gradient", 1000, 2.0}, {"sparse_linear", 1000, 0.5},  {"blas_linear", 1000, 1.2},
                    {"weight_gradient", 1000, 1.15},       {"linear tile=32", 1000, 1.0}, {0}};
    const linear_problem p = trained("w", 60);
    linear_choice c;
    f->script = less;
    choose(f, NULL, &p, 1, &c);
    expect_choice("5.3 % less", &c, true, "sparse_linear layout=stream tile=32 k_block=256 rows=512");
    expect_gradients(&c, "sparse_linear layout=stream tile=32 k_block=256 rows=512",
                     "sparse_weight_gradient tile=32 k_block=256 rows=512");
    assert_true(c.measured && c.seconds == 3.0);
    f->script = enough;
    choose(f, &(measured_cost_options){.again = true}, &p, 1, &c);
    expect_choice("4.8 % less", &c, false, "linear tile=32");
    expect_gradients(&c, "linear tile=32", "weight_gradient tile=32");
    assert_true(c.seconds == c.dense_seconds);
}

/* Each product is a question of its own, in wide tiles; the same weight without gradients shares no answer of other widths. */
static void products_are_questions(void **state) {
    fixture *f = *state;
    static const script_row rows[] = {{"sparse", 1000, 0.5}, {"linear", 1000, 1.0}, {"weight_gradient", 1000, 1.0}, {0}};
    linear_problem p[3] = {trained("a", 90), trained("b", 90), trained("c", 0)};
    linear_choice c[3];
    p[1].gradients = 1u << PRODUCT_INPUT_GRADIENT;
    f->script = rows;
    /* three sparse ones with 2 + 1, 1 + 1, 1 + 1 candidates, three dense ones with 2, 1, 1 */
    assert_int_equal(choose(f, NULL, p, 3, c), 11);
    assert_int_equal(f->asked, 6);
    expect_choice("trained", &c[0], true, "sparse_linear");
    expect_choice("without a weight gradient", &c[1], true, "sparse_linear");
    assert_string_equal(c[1].weight_gradient, "");
    expect_choice("dense", &c[2], false, "linear tile=32");
    expect_gradients(&c[2], "linear tile=32", "weight_gradient tile=32");
    f->asked = 0;
    assert_int_equal(choose(f, NULL, p, 3, c), 0); /* from files */
    assert_int_equal(f->asked, 0);
    expect_choice("again", &c[0], true, "sparse_linear");
}

/* Kernels of products pin forward and input gradient, and whether the weight is sparse; those of the weight gradient what fits. */
static void gradients_can_be_pinned(void **state) {
    fixture *f = *state;
    kernel_pins *p;
    const linear_problem problems[4] = {trained("both", 90), trained("gradient", 90), trained("blas", 90), weight("inference", 90)};
    linear_choice c[4];
    assert_int_equal(
        kernel_pins_parse("sparse_weight_gradient rows=64\nboth:sparse_linear rows=32\nblas:blas_linear", &f->sink, &p), POFAC_OK);
    const cost_source source = kernel_pins_source(p);
    assert_int_equal(source.choose(source.user, problems, 4, &f->sink, c), POFAC_OK);
    expect_choice("both", &c[0], true, "sparse_linear rows=32");
    expect_gradients(&c[0], "sparse_linear rows=32", "sparse_weight_gradient rows=64");
    expect_choice("gradient", &c[1], true, "");
    expect_gradients(&c[1], "", "sparse_weight_gradient rows=64");
    expect_choice("blas", &c[2], false, "blas_linear");
    expect_gradients(&c[2], "", "");
    expect_choice("by the rule", &c[3], true, "");
    kernel_pins_destroy(p);
}

static void the_clock_times_what_runs(void **state) {
    fixture *f = *state;
    cg_options options = {.cache_dir = NULL};
    assert_int_equal(cg_target_host(NULL, &f->memory, &f->sink, &options.target), POFAC_OK);
    const kernel_timer timer = kernel_timer_on(&options);
    const kernel_question q = {.N = 65, .K = 130, .n_rows = 40, .per_mille = 100};
    kernel_candidate c[3] = {
        {.variant = "linear tile=32"}, {.variant = "linear tile=16 k_block=64"}, {.variant = "no_such_kernel tile=16"}};
    assert_int_equal(timer.time(timer.user, &q, 0.01, &f->sink, c, 3), POFAC_OK);
    for (size_t i = 0; i < 2; i++)
        if (!(c[i].seconds > 0 && c[i].seconds < 1)) fail_msg("%s takes %g s", c[i].variant, c[i].seconds);
    assert_true(c[2].seconds == 0);
}

/* ---- pins ---- */

/* Both gradients, dense and on a pattern. */
static void the_clock_times_gradients(void **state) {
    fixture *f = *state;
    cg_options options = {.cache_dir = NULL};
    assert_int_equal(cg_target_host(NULL, &f->memory, &f->sink, &options.target), POFAC_OK);
    const kernel_timer timer = kernel_timer_on(&options);
    static const char *const variants[][2] = {{"linear tile=32", "sparse_linear tile=32"},
                                              {"weight_gradient tile=32", "sparse_weight_gradient tile=32"}};
    for (size_t p = 0; p < 2; p++) {
        const kernel_question q = {
            .N = 65, .K = 130, .n_rows = 40, .per_mille = 100, .product = p ? PRODUCT_WEIGHT_GRADIENT : PRODUCT_INPUT_GRADIENT};
        kernel_candidate c[2] = {{.variant = variants[p][0]}, {.variant = variants[p][1], .sparse = true}};
        assert_int_equal(timer.time(timer.user, &q, 0.01, &f->sink, c, 2), POFAC_OK);
        for (size_t i = 0; i < 2; i++)
            if (!(c[i].seconds > 0 && c[i].seconds < 1)) fail_msg("%s takes %g s", c[i].variant, c[i].seconds);
    }
}

/* Of bytes: with a dense weight, and with one of non-zeros over activations in either layout. */
static void the_clock_times_integers(void **state) {
    fixture *f = *state;
    cg_options options = {.cache_dir = NULL};
    assert_int_equal(cg_target_host(NULL, &f->memory, &f->sink, &options.target), POFAC_OK);
    const kernel_timer timer = kernel_timer_on(&options);
    const kernel_question q = {.N = 64, .K = 130, .n_rows = 40, .per_mille = 1000, .product = PRODUCT_INT8};
    kernel_candidate c[2] = {{.variant = "int8_linear tile=32"}, {.variant = "linear tile=32"}};
    assert_int_equal(timer.time(timer.user, &q, 0.01, &f->sink, c, 2), POFAC_OK);
    if (!(c[0].seconds > 0 && c[0].seconds < 1)) fail_msg("%s takes %g s", c[0].variant, c[0].seconds);
    assert_true(c[1].seconds == 0); /* which is no kernel of it */
    const kernel_question sparse = {.N = 64, .K = 130, .n_rows = 40, .per_mille = 100, .product = PRODUCT_INT8};
    kernel_candidate s[2] = {{.variant = "sparse_int8_linear tile=32 bytes=quads", .sparse = true},
                             {.variant = "sparse_int8_linear tile=32 bytes=tiles", .sparse = true}};
    assert_int_equal(timer.time(timer.user, &sparse, 0.01, &f->sink, s, 2), POFAC_OK);
    for (size_t i = 0; i < 2; i++)
        if (!(s[i].seconds > 0 && s[i].seconds < 1)) fail_msg("%s takes %g s", s[i].variant, s[i].seconds);
}

static void refuse(fixture *f, const char *lines, const char *message) {
    kernel_pins *p;
    strbuf_clear(&f->messages);
    assert_int_equal(kernel_pins_parse(lines, &f->sink, &p), POFAC_ERR_USAGE);
    assert_null(p);
    assert_string_equal(strbuf_str(&f->messages), message);
}

static void pins_are_checked(void **state) {
    fixture *f = *state;
    refuse(f, "", "error: --kernel_variant: found \"\", wanted a kernel and its parameters in less than 160 bytes\n");
    refuse(f, "query:", "error: --kernel_variant: found \"\", wanted a kernel and its parameters in less than 160 bytes\n");
    refuse(f, "(:linear", "error: --kernel_variant: \"(\" is no regular expression: Unmatched ( or \\(\n");
    refuse(f, "linear panel=x", "error: variant \"linear panel=x\": panel is \"x\", wanted a number from 1 to 16\n");
    refuse(f, "linear tile=16\nq:linear tile=32",
           "error: --kernel_variant: tiles of 16 and of 32, wanted one width for the whole graph\n");
}

static void pins_come_first(void **state) {
    fixture *f = *state;
    kernel_pins *p;
    const linear_problem problems[4] = {weight("layer.0.query", 90), weight("layer.0.key", 90), weight("layer.1.query", 0),
                                        weight("pooler", 90)};
    linear_choice c[4];
    measured_cost *m;
    f->script = fast_sparse;
    assert_int_equal(kernel_pins_parse("query:linear panel=4\n^layer\\.1:linear tile=16", &f->sink, &p), POFAC_OK);
    assert_int_equal(kernel_pins_tile(p), 16);
    cost_source source = kernel_pins_source(p);
    assert_int_equal(source.choose(source.user, problems, 4, &f->sink, c), POFAC_OK);
    expect_choice("pinned", &c[0], false, "linear panel=4");
    expect_choice("by the rule", &c[1], true, "");
    expect_choice("the last that fits", &c[2], false, "linear tile=16");
    const measured_cost_options options = {.codegen = &f->codegen, .timer = &f->timer, .tile = 16};
    assert_int_equal(measured_cost_create(&options, &f->sink, &m), POFAC_OK);
    cost_source rest = measured_cost_source(m);
    kernel_pins_set_rest(p, &rest);
    assert_int_equal(source.choose(source.user, problems, 4, &f->sink, c), POFAC_OK);
    expect_choice("pinned", &c[0], false, "linear panel=4");
    expect_choice("measured", &c[1], true, "sparse_linear layout=stream tile=16");
    expect_choice("measured too", &c[3], true, "sparse_linear layout=stream tile=16");
    measured_cost_destroy(m);
    kernel_pins_destroy(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(sparse_must_win_by_five_percent),
        TEST(nothing_loses_to_dense),
        TEST(one_tile_for_all),
        TEST(narrow_tiles_pay_for_their_passes),
        TEST(the_rule_decides_the_rest),
        TEST(questions_are_distinct),
        TEST(structures_have_layouts_of_their_own),
        TEST(time_is_bounded),
        TEST(errors_of_the_clock_are_errors),
        TEST(answers_are_kept),
        TEST(damaged_answers_are_measured_anew),
        TEST(no_place_for_answers),
        TEST(failing_allocations_are_reported),
        TEST(the_clock_times_what_runs),
        TEST(pins_are_checked),
        TEST(pins_come_first),
        TEST(products_of_a_weight_are_chosen_in_sum),
        TEST(products_are_questions),
        TEST(gradients_can_be_pinned),
        TEST(the_clock_times_gradients),
        TEST(the_clock_times_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
