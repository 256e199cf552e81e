/*
 * Memory of training steps: what BERT-Base keeps for each token and layer in every mode, by counting alone; what fits into a bound, and
 * what is said when nothing does; kinds against what a compiled step takes; and that steps which compute again, or store in bf16, learn
 * as others do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/training_memory.h"
#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/temporary_folder.h"

#define B 8
#define S 24
#define BATCHES 4
#define STEPS (8 * BATCHES)

static char folder[] = "/tmp/pofac_training_memory_XXXXXX", objects[64];

static int make_folder(void **unused) {
    (void)unused;
    if (!mkdtemp(folder)) return -1;
    snprintf(objects, sizeof objects, "%s/objects", folder);
    return 0;
}

static int remove_folder(void **unused) {
    (void)unused;
    folder_remove(folder);
    return 0;
}

typedef struct fixture {
    strbuf messages;
    diag_sink sink;
    loaded_model *model;
} fixture;

static void want(fixture *f, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s", what, strbuf_str(&f->messages));
}

static void open_model(fixture *f, const char *path, model_head head) {
    *f = (fixture){.messages = STRBUF_INIT};
    f->sink = diag_sink_to_strbuf(&f->messages);
    want(f, loaded_model_open(path, &(loaded_model_options){.head = head}, &f->sink, &f->model), path);
    strbuf_clear(&f->messages);
}

static void close_model(fixture *f) {
    loaded_model_close(f->model);
    strbuf_free(&f->messages);
}

static training_options usual(const char *recompute, bool bf16) {
    return (training_options){.road = {.cache_dir = objects, .tune = ROAD_TUNE_OFF, .threads = 1, .graph.dropout = true},
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .epsilon = 1e-8,
                              .weight_decay = 0.01,
                              .max_grad_norm = 1,
                              .recompute = recompute,
                              .bf16 = bf16};
}

/* ---- BERT-Base, counted ---- */

#define KIB 1024.0

static const batch_shape base_batch = {.sequences = 16, .length = 128, .tokens = 16 * 128, .predictions = 16 * 128 * 15 / 100};

static void open_base(fixture *f) {
    char path[512];
    const char *root = getenv("POFAC_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/examples/bert-base.xml", root ? root : ".");
    open_model(f, path, HEAD_PRETRAINING);
}

static void expect_nodes(const ir_graph *g, const char *mode, ir_op op, size_t wanted) {
    size_t found = 0;
    for (size_t i = 0; i < g->nodes.size; i++) found += g->nodes.data[i].op == op;
    if (found != wanted) fail_msg("%s: the graph has %zu %s, wanted %zu", mode, found, op_info(op)->name, wanted);
}

/* The head's products are never run again: they are as much work as two layers. */
static void expect_one_head(const ir_graph *g, const char *mode) { expect_nodes(g, mode, OP_linear_cross_entropy, 1); }

static step_memory count_base(fixture *f, const char *recompute, bool bf16) {
    const training_options o = usual(recompute, bf16);
    ir_module *m;
    step_memory counted;
    want(f, training_build(f->model, &o, &f->sink, &m), "build");
    expect_one_head(m->graphs.data[0], recompute);
    want(f, step_memory_of_module(m, base_batch, NULL, &f->sink, &counted), "count");
    module_destroy(m);
    return counted;
}

/* Bounds of the kept bytes per token and layer, and of the whole arena in MB. */
static void test_base_keeps(void **unused) {
    (void)unused;
    static const struct {
        const char *mode;
        bool bf16;
        double most_kib, most_arena;
    } cases[] = {{"none", false, 52, 1450}, {"cheap", false, 34, 1050}, {"partial", false, 12, 650},
                 {"full", false, 3.2, 600}, {"cheap", true, 17, 750},   {"partial", true, 12, 620}};
    fixture f;
    open_base(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const step_memory m = count_base(&f, cases[i].mode, cases[i].bf16);
        const double kib = m.kept_per_token_in_layer / KIB, mb = 1e-6 * (double)(m.kept + m.gradients + m.working);
        print_message("%s%s: %.2f KiB per token and layer, kept %.1f MB of an arena of %.1f MB\n", cases[i].mode,
                      cases[i].bf16 ? ", bf16" : "", kib, 1e-6 * (double)m.kept, mb);
        if (kib > cases[i].most_kib) fail_msg("%.2f KiB per token and layer, wanted at most %.2f", kib, cases[i].most_kib);
        if (mb > cases[i].most_arena) fail_msg("an arena of %.1f MB, wanted at most %.1f", mb, cases[i].most_arena);
        assert_int_equal(m.layers, 12);
        assert_int_equal(m.moments, 2 * m.parameters);
        assert_int_equal(m.parameters / 4, 110106428);
    }
    close_model(&f);
}

/* With a teacher all tokens go through its head and the student's, and no logits of a vocabulary, 250 MB each, are in memory. */
static void test_base_with_teacher(void **unused) {
    (void)unused;
    fixture f, t;
    open_base(&f);
    open_base(&t);
    const distillation d = {.teacher = t.model, .task_alpha = 0.5, .teacher_alpha = 0.5, .temperature = 2, .token_share = 1};
    training_options o = usual("cheap", false);
    o.distillation = &d;
    ir_module *m;
    step_memory with;
    want(&f, training_build(f.model, &o, &f.sink, &m), "build");
    expect_one_head(m->graphs.data[0], "with a teacher");
    expect_nodes(m->graphs.data[0], "with a teacher", OP_linear_kl_divergence, 1);
    expect_nodes(m->graphs.data[0], "with a teacher", OP_kl_divergence, 1); /* of next sentences */
    want(&f, step_memory_of_module(m, base_batch, NULL, &f.sink, &with), "count");
    const step_memory alone = count_base(&f, "cheap", false);
    const double more = 1e-6 * (double)(with.kept + with.gradients + with.working - alone.kept - alone.gradients - alone.working);
    print_message("with a teacher: %.1f MB more of an arena\n", more);
    if (more > 190) fail_msg("%.1f MB more with a teacher, wanted at most 190", more);
    module_destroy(m);
    close_model(&t);
    close_model(&f);
}

/* ---- bounds ---- */

static int64_t need_of(fixture *f, const char *mode) {
    const step_memory m = count_base(f, mode, false);
    return step_memory_bytes(&m);
}

static void expect_mode(fixture *f, const char *asked, int64_t bytes, const char *mode) {
    training_options o = usual(asked, false);
    step_memory m;
    want(f, training_fit_memory(f->model, &o, base_batch, bytes, &f->sink, &m), "fit");
    if (strcmp(o.recompute, mode) != 0) fail_msg("%.1f MB: %s, wanted %s", 1e-6 * (double)bytes, o.recompute, mode);
    assert_int_equal(step_memory_bytes(&m), need_of(f, mode));
}

static void expect_refusal(fixture *f, const char *asked, int64_t bytes, const char *mode) {
    training_options o = usual(asked, false);
    step_memory m;
    strbuf wanted = STRBUF_INIT;
    strbuf_puts(&wanted, "--max_memory is ");
    batch_memory_print_bytes(bytes, &wanted);
    strbuf_printf(&wanted, ", but a step on 16 x 128 tokens with recompute=%s needs ", mode);
    batch_memory_print_bytes(need_of(f, mode), &wanted);
    strbuf_puts(&wanted, ": state 1.32 GB, activations kept ");
    strbuf_clear(&f->messages);
    assert_int_equal(training_fit_memory(f->model, &o, base_batch, bytes, &f->sink, &m), POFAC_ERR_USAGE);
    if (!strstr(strbuf_str(&f->messages), strbuf_str(&wanted)))
        fail_msg("\"%s\", wanted \"%s\"", strbuf_str(&f->messages), strbuf_str(&wanted));
    strbuf_free(&wanted);
}

/* Each mode is chosen from what it needs up to what the one before it needs. */
static void test_fitting(void **unused) {
    (void)unused;
    fixture f;
    open_base(&f);
    const int64_t cheap = need_of(&f, "cheap"), partial = need_of(&f, "partial"), full = need_of(&f, "full");
    expect_mode(&f, NULL, 0, "cheap");
    expect_mode(&f, "auto", cheap, "cheap");
    expect_mode(&f, NULL, cheap - 1, "partial");
    expect_mode(&f, "auto", partial - 1, "full");
    expect_mode(&f, "partial", cheap, "partial");
    expect_refusal(&f, NULL, full - 1, "full");
    expect_refusal(&f, "none", cheap, "none");
    close_model(&f);
}

/* ---- kinds as text ---- */

static void test_print(void **unused) {
    (void)unused;
    const step_memory m = {.parameters = 1000000,
                           .moments = 2000000,
                           .inputs = 100,
                           .kept = 4096000,
                           .working = 500,
                           .layers = 2,
                           .kept_per_token_in_layer = 2048};
    strbuf text = STRBUF_INIT;
    step_memory_print(&m, "  ", &text);
    assert_string_equal(strbuf_str(&text), "  parameters        1.0 MB\n"
                                           "  moments           2.0 MB\n"
                                           "  batch             0.1 kB\n"
                                           "  activations kept  4.1 MB, 2.0 KiB per token and layer\n"
                                           "  working memory    0.5 kB\n"
                                           "  in all            7.1 MB\n");
    strbuf_free(&text);
}

/* ---- small models that learn ---- */

static void open_tiny(fixture *f) {
    char path[128];
    snprintf(path, sizeof path, "%s/model", folder);
    tiny_model m = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)};
    m.spec.num_hidden_layers = 2;
    m.spec.hidden_size = 64;
    m.spec.intermediate_size = 128;
    tiny_model_write(&m, path);
    open_model(f, path, HEAD_SEQUENCE_CLASSIFICATION);
}

/* Sequences of letters; the label says in which half of the alphabet the second one is. */
static double element(const char *name, int64_t step, int64_t i, int64_t place) {
    const rng_key key = rng_key_make((uint64_t)(step % BATCHES), "letters");
    const double letter = 5 + (double)rng_below(key, (uint64_t)(i * S + place), 26);
    if (strcmp(name, "input_ids") == 0) return letter;
    if (strcmp(name, "attention_mask") == 0) return 1;
    if (strcmp(name, "labels") == 0) return element("input_ids", step, i, 1) >= 18;
    return 0;
}

static double scalar(const char *name, int64_t step) {
    if (strcmp(name, "scale.labels") == 0) return 1.0 / B;
    if (strcmp(name, "learning_rate") == 0) return 2e-3;
    return strcmp(name, "step") == 0 ? (double)step + 1 : 0;
}

static void make_inputs(const ir_graph *g, int64_t step, named_tensors *to) {
    *to = (named_tensors){.what = "input"};
    for (size_t n = 0; n < g->nodes.size; n++) {
        const ir_node *node = &g->nodes.data[n];
        if (node->op != OP_input) continue;
        const ir_type *type = graph_type(g, node->first_result);
        const char *name = node_string(node, "name");
        const bool is_random = strcmp(name, "random") == 0;
        const int64_t dims[2] = {is_random ? 2 : B, S}, places = type->rank == 2 ? S : 1;
        ir_tensor *t = named_tensors_add(to, name, type->dtype, type->rank, dims);
        for (int64_t i = 0; i < tensor_elements(t); i++)
            tensor_set(t, i,
                       type->rank == 0 ? scalar(name, step)
                       : is_random     ? 7 + (double)(i * step)
                                       : element(name, step, i / places, i % places));
    }
}

static void learn(fixture *f, const char *recompute, bool bf16, double losses[STEPS], step_memory *need) {
    const training_options o = usual(recompute, bf16);
    const batch_shape shape = {.sequences = B, .length = S, .tokens = B * S};
    training *t;
    ir_tensor loss;
    want(f, training_create(f->model, &o, &f->sink, &t), "create");
    for (int64_t step = 0; step < STEPS; step++) {
        named_tensors inputs;
        make_inputs(training_graph(t), step, &inputs);
        const tensor_source source = named_tensors_source(&inputs);
        want(f, training_run(t, &source, &f->sink), "run");
        want(f, training_output(t, "loss", &f->sink, &loss), "loss");
        losses[step] = tensor_get(&loss, 0);
        named_tensors_free(&inputs);
    }
    want(f, step_memory_of_training(t, shape, &f->sink, need), "memory");
    const session_memory used = training_memory(t);
    assert_int_equal(need->kept + need->gradients + need->working, used.arena_bytes);
    assert_int_equal(need->kernels, used.packed_weight_bytes + used.scratch_bytes);
    assert_int_equal(need->parameters + need->moments, state_store_bytes(training_state(t)));
    if (!(training_flops(t, shape) > 1e6)) fail_msg("a run has %g operations", training_flops(t, shape));
    if (!(training_seconds(t, shape) > 0)) fail_msg("a run takes %g seconds", training_seconds(t, shape));
    training_destroy(t);
}

/* The loss of an epoch, which is as many batches. */
static double epoch_loss(const double *losses, int epoch) {
    double sum = 0;
    for (int i = 0; i < BATCHES; i++) sum += losses[epoch * BATCHES + i];
    return sum / BATCHES;
}

/* Largest relative difference of two curves. */
static double largest_difference(const double *a, const double *b) {
    double most = 0;
    for (int epoch = 0; epoch < STEPS / BATCHES; epoch++) {
        const double x = epoch_loss(a, epoch), y = epoch_loss(b, epoch);
        if (fabs(x - y) > most * y) most = fabs(x - y) / y;
    }
    return most;
}

static void test_curves(void **unused) {
    (void)unused;
    static const struct {
        const char *mode;
        bool bf16;
        double bound;
    } cases[] = {{"cheap", false, 0}, {"partial", false, 0}, {"full", false, 0}, {"cheap", true, 1e-2}, {"none", true, 1e-2}};
    double plain[STEPS], losses[STEPS];
    step_memory all, need;
    fixture f;
    open_tiny(&f);
    learn(&f, "none", false, plain, &all);
    const double last = epoch_loss(plain, STEPS / BATCHES - 1);
    if (!(last < 0.8 * plain[0])) fail_msg("the loss goes from %g to %g only", plain[0], last);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        learn(&f, cases[i].mode, cases[i].bf16, losses, &need);
        const double difference = largest_difference(losses, plain);
        print_message("%s%s: losses differ by up to %.2g\n", cases[i].mode, cases[i].bf16 ? ", bf16" : "", difference);
        if (!(difference <= cases[i].bound)) fail_msg("losses differ by %g, wanted at most %g", difference, cases[i].bound);
        if (cases[i].bf16 && difference == 0) fail_msg("bf16 changes nothing");
        if (need.kept >= all.kept) fail_msg("%d bytes are kept, %d without", (int)need.kept, (int)all.kept);
    }
    close_model(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_keeps), cmocka_unit_test(test_base_with_teacher),
        cmocka_unit_test(test_fitting),    cmocka_unit_test(test_print),
        cmocka_unit_test(test_curves),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
