/*
 * Training steps of small models, compiled against interpreted: losses and all state after several steps whose batches have different
 * shapes, for every head, both architectures, dropout, locked zeros, accumulation and both optimizers; the same bits from 1, 2 and 3
 * threads; several runs of a step against one of all rows.
 *
 * Epsilon is large (1e-4), so that a gradient of rounding noise stays noise in the update. Sums of a few hundred products differ by up
 * to about 1e-6 of their magnitude, gradients are below 1, so that a step of rate 1e-2 moves a weight by at most 1e-2 times 1e-6 / 1e-4
 * off; BOUND allows that for all steps, and LOSS_BOUND what it makes of the loss.
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

#include "frontend/driver/training.h"
#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/temporary_folder.h"

#define BOUND 2e-4
#define LOSS_BOUND 1e-4
#define STEPS 4

typedef struct step_case {
    model_arch arch;
    model_head head;
    bool regression, dropout, lock, accumulate, sgd, bf16, tiled_loss;
    const char *recompute;
    double zeros; /* share in the matrices of linears */
} step_case;

static char folder[] = "/tmp/pofac_training_XXXXXX", cache_folder[64];

static int make_folder(void **unused) {
    (void)unused;
    if (!mkdtemp(folder)) return -1;
    snprintf(cache_folder, sizeof cache_folder, "%s/objects", folder);
    return 0;
}

static int remove_folder(void **unused) {
    (void)unused;
    folder_remove(folder);
    return 0;
}

/* ---- the model ---- */

static double number(const char *name, int64_t row, int64_t column, double zeros) {
    const uint64_t i = (uint64_t)(row * 4096 + column);
    const double random = rng_uniform(rng_key_make(5, name), i) - 0.5;
    if (strstr(name, "LayerNorm.weight") || strstr(name, "layer_norm.weight")) return 1 + 0.25 * random;
    if (column > 0 && zeros > 0 && strstr(name, "embeddings") == NULL && rng_uniform(rng_key_make(6, name), i) < zeros) return 0;
    return 0.4 * random;
}

static double dense_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 0); }
static double sparse_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 0.9); }
static double denser_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 0.2); }

typedef struct step_run {
    const step_case *test;
    strbuf messages;
    diag_sink sink;
    loaded_model *model;
} step_run;

static void want(step_run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK)
        fail_msg("%s, %s: %s: %s", model_arch_name(r->test->arch), model_head_name(r->test->head), what, strbuf_str(&r->messages));
}

static void begin(step_run *r, const step_case *test) {
    char path[128];
    *r = (step_run){.test = test, .messages = STRBUF_INIT};
    r->sink = diag_sink_to_strbuf(&r->messages);
    snprintf(path, sizeof path, "%s/model", folder);
    tiny_model m = {.spec = tiny_spec(test->arch, test->head)};
    m.value = test->zeros > 0.5 ? sparse_number : test->zeros > 0 ? denser_number : dense_number;
    m.spec.num_labels = test->regression ? 1 : 3;
    m.spec.regression = test->regression;
    m.spec.num_hidden_layers = 2;
    tiny_model_write(&m, path);
    want(r,
         loaded_model_open(path, &(loaded_model_options){.head = test->head, .num_labels = m.spec.num_labels}, &r->sink, &r->model),
         "model");
}

static void end(step_run *r) {
    loaded_model_close(r->model);
    strbuf_free(&r->messages);
}

/* The usual pipeline for a vocabulary that is large. */
static const char tiled_pipeline[] =
    "simplify,unpad,dead-tokens,simplify,tile-loss{min_classes=3},autodiff,"
    "optimizer{beta2=0.99,epsilon=1e-4,weight_decay=0.01},train-kernels,recompute{mode=cheap},fuse,plan-memory";

static training_options options_of(const step_run *r, executor_kind kind, size_t threads, bool accumulate) {
    return (training_options){
        .road = {.cache_dir = cache_folder, .tune = ROAD_TUNE_OFF, .threads = threads, .graph.dropout = r->test->dropout},
        .kind = kind,
        .optim = r->test->sgd ? "sgd" : "adamw_torch",
        .beta1 = 0.9,
        .beta2 = 0.99,
        .epsilon = 1e-4,
        .momentum = r->test->sgd ? 0.5 : 0,
        .weight_decay = 0.01,
        .max_grad_norm = 1,
        .accumulate = accumulate,
        .lock = r->test->lock,
        .recompute = r->test->recompute,
        .pipeline = r->test->tiled_loss && kind == EXECUTOR_COMPILED ? tiled_pipeline : NULL,
        .bf16 = r->test->bf16};
}

static training *create(step_run *r, executor_kind kind, size_t threads, bool accumulate) {
    training *t;
    const training_options options = options_of(r, kind, threads, accumulate);
    want(r, training_create(r->model, &options, &r->sink, &t), "create");
    return t;
}

/* ---- batches ---- */

typedef struct batch_rows {
    int64_t step, first, B, S, all; /* sequences [first, first + B) of `all` of the step */
    int64_t run;                    /* of the step */
} batch_rows;

/* The length of a sequence, at least 3. */
static int64_t length_of(const batch_rows *b, int64_t i) {
    return 3 + (int64_t)rng_below(rng_key_make(7, "length"), (uint64_t)(b->step * 64 + b->first + i), (uint64_t)(b->S - 2));
}

static int64_t below(const batch_rows *b, const char *name, int64_t i, int64_t place, int64_t n) {
    return (int64_t)rng_below(rng_key_make(8, name), (uint64_t)(((b->step * 64 + b->first + i) * 64 + place)), (uint64_t)n);
}

/* The label at a place of sequence i; -100: none. */
static double label(const step_run *r, const batch_rows *b, const char *name, int64_t i, int64_t place) {
    const bool per_token =
        r->test->head == HEAD_PRETRAINING || r->test->head == HEAD_MASKED_LM || r->test->head == HEAD_TOKEN_CLASSIFICATION;
    if (strcmp(name, "next_sentence_label") == 0) return (double)below(b, name, i, 0, 2);
    if (strstr(name, "_positions")) return (double)below(b, name, i, 0, length_of(b, i));
    if (!per_token) return r->test->regression ? (double)below(b, name, i, 0, 100) / 25 : (double)below(b, name, i, 0, 3);
    if (place >= length_of(b, i) || below(b, "chosen", i, place, 3) > 0) return -100;
    return (double)below(b, name, i, place, r->test->head == HEAD_TOKEN_CLASSIFICATION ? 3 : TINY_VOCAB_SIZE);
}

static double element(const step_run *r, const batch_rows *b, const char *name, int64_t i, int64_t place) {
    if (strcmp(name, "input_ids") == 0)
        return place < length_of(b, i) ? (double)(5 + below(b, name, i, place, TINY_VOCAB_SIZE - 5)) : 0;
    if (strcmp(name, "attention_mask") == 0) return place < length_of(b, i);
    if (strcmp(name, "token_type_ids") == 0) return place > 2 && place < length_of(b, i);
    return label(r, b, name, i, place);
}

/* 1 / labels of the whole step that count; of a regression, the run's share of them. */
static double scale_of(const step_run *r, const batch_rows *b, const char *labels, bool per_token) {
    if (r->test->regression) return (double)b->B / (double)b->all;
    const batch_rows all = {.step = b->step, .B = b->all, .S = b->S};
    int64_t n = 0;
    for (int64_t i = 0; i < all.B; i++)
        for (int64_t k = 0; k < (per_token ? all.S : 1); k++) n += label(r, &all, labels, i, k) != -100;
    return 1 / (double)n;
}

static double scalar_of(const step_run *r, const batch_rows *b, const char *name) {
    const bool per_token =
        r->test->head == HEAD_PRETRAINING || r->test->head == HEAD_MASKED_LM || r->test->head == HEAD_TOKEN_CLASSIFICATION;
    if (strcmp(name, "learning_rate") == 0) return 0.01 / (double)(b->step + 1);
    if (strcmp(name, "step") == 0) return (double)b->step + 1;
    if (strcmp(name, "keep") == 0) return b->run > 0;
    if (strcmp(name, "first_example") == 0) return (double)b->first;
    if (strncmp(name, "scale.", 6) == 0) return scale_of(r, b, name + 6, per_token && strcmp(name, "scale.labels") == 0);
    fail_msg("the graph has an unknown input %s", name);
    return 0;
}

static void add_input(const step_run *r, const batch_rows *b, const char *name, const ir_type *type, named_tensors *to) {
    const int64_t dims[2] = {b->B, b->S};
    if (type->rank == 0) {
        tensor_set(named_tensors_add(to, name, type->dtype, 0, NULL), 0, scalar_of(r, b, name));
    } else if (strcmp(name, "random") == 0) {
        const double random[2] = {42, (double)b->step};
        named_tensors_add_doubles(to, name, type->dtype, 1, (int64_t[]){2}, random);
    } else {
        ir_tensor *t = named_tensors_add(to, name, type->dtype, type->rank, dims);
        const int64_t places = type->rank == 2 ? b->S : 1;
        for (int64_t i = 0; i < b->B; i++)
            for (int64_t k = 0; k < places; k++) tensor_set(t, i * places + k, element(r, b, name, i, k));
    }
}

static void make_inputs(const step_run *r, const ir_graph *g, const batch_rows *b, named_tensors *to) {
    *to = (named_tensors){.what = "input"};
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_input)
            add_input(r, b, node_string(&g->nodes.data[i], "name"), graph_type(g, g->nodes.data[i].first_result), to);
}

/* ---- steps ---- */

static double output(step_run *r, training *t, const char *name) {
    ir_tensor found;
    want(r, training_output(t, name, &r->sink, &found), name);
    return tensor_get(&found, 0);
}

/* One run, and, where the step is several, its update if it is the last. Returns the loss of the run. */
static double run(step_run *r, training *t, const batch_rows *b) {
    named_tensors inputs;
    make_inputs(r, training_graph(t), b, &inputs);
    tensor_source source = named_tensors_source(&inputs);
    want(r, training_run(t, &source, &r->sink), "run");
    named_tensors_free(&inputs);
    return output(r, t, "loss");
}

static void update(step_run *r, training *t, int64_t step) {
    named_tensors inputs = {.what = "input"};
    const batch_rows b = {.step = step};
    tensor_set(named_tensors_add(&inputs, "learning_rate", IR_F32, 0, NULL), 0, scalar_of(r, &b, "learning_rate"));
    tensor_set(named_tensors_add(&inputs, "step", IR_I64, 0, NULL), 0, scalar_of(r, &b, "step"));
    tensor_source source = named_tensors_source(&inputs);
    want(r, training_apply(t, &source, &r->sink), "update");
    named_tensors_free(&inputs);
}

static batch_rows rows_of_step(int64_t step) {
    static const int64_t shapes[STEPS][2] = {{3, 7}, {4, 12}, {2, 5}, {6, 24}};
    return (batch_rows){.step = step, .B = shapes[step][0], .S = shapes[step][1], .all = shapes[step][0]};
}

/* A step in one run, or in one for each sequence. */
static double one_step(step_run *r, training *t, int64_t step, bool in_parts) {
    const batch_rows all = rows_of_step(step);
    if (!in_parts) return run(r, t, &all);
    double loss = 0;
    for (int64_t i = 0; i < all.all; i++) {
        batch_rows one = all;
        one.first = one.run = i;
        one.B = 1;
        loss += run(r, t, &one);
    }
    update(r, t, step);
    return loss;
}

static bool is_gradient_sum(const char *name) { return strncmp(name, "gradient.", 9) == 0; }

/* All state but sums of gradients, of which a step in one run has none. */
static void compare_state(step_run *r, training *found, training *wanted, double bound) {
    size_t compared = 0;
    for (size_t i = 0; i < state_store_size(training_state(wanted)); i++) {
        const state_entry *w = state_store_at(training_state(wanted), i), *f = state_store_find(training_state(found), w->name);
        if (is_gradient_sum(w->name)) continue;
        if (!f) fail_msg("there is no state %s", w->name);
        assert_int_equal(tensor_elements(&f->tensor), tensor_elements(&w->tensor));
        compared++;
        for (int64_t k = 0; k < tensor_elements(&w->tensor); k++) {
            const double a = tensor_get(&f->tensor, k), b = tensor_get(&w->tensor, k);
            if (fabs(a - b) <= bound) continue;
            fail_msg("%s, %s: %s[%d] is %.9g, wanted %.9g", model_arch_name(r->test->arch), model_head_name(r->test->head), w->name,
                     (int)k, a, b);
        }
    }
    assert_true(compared > 0);
}

static void compare_loss(step_run *r, int64_t step, double found, double wanted) {
    if (!(fabs(found - wanted) <= LOSS_BOUND * fabs(wanted)))
        fail_msg("%s, %s: the loss of step %d is %.9g, wanted %.9g", model_arch_name(r->test->arch), model_head_name(r->test->head),
                 (int)step + 1, found, wanted);
}

/* The store must have only what is compared: a lock keeps non-zeros alone. */
static void check_lock(const step_run *r, training *t) {
    const char *name = r->test->arch == MODEL_BERT ? "bert.encoder.layer.1.intermediate.dense.weight"
                                                   : "distilbert.transformer.layer.1.ffn.lin1.weight";
    const state_entry *e = state_store_find(training_state(t), name);
    assert_non_null(e);
    const bool locks = r->test->lock && r->test->zeros > 0;
    assert_int_equal(e->tensor.rank, locks ? 1 : 2);
    assert_int_equal(e->tensor.pattern != NULL, locks);
    if (locks) assert_true(tensor_elements(&e->tensor) < 32 * 48);
}

static void compiled_is_interpreted(const step_case *test) {
    step_run r;
    begin(&r, test);
    training *compiled = create(&r, EXECUTOR_COMPILED, 1, test->accumulate),
             *interpreted = create(&r, EXECUTOR_INTERPRETER, 1, test->accumulate);
    check_lock(&r, compiled);
    for (int64_t step = 0; step < STEPS; step++) {
        const double found = one_step(&r, compiled, step, test->accumulate),
                     wanted = one_step(&r, interpreted, step, test->accumulate);
        compare_loss(&r, step, found, wanted);
        const double norm = output(&r, interpreted, "grad_norm");
        if (!(fabs(output(&r, compiled, "grad_norm") - norm) <= LOSS_BOUND * norm))
            fail_msg("the norm of step %d is %.9g, wanted %.9g", (int)step + 1, output(&r, compiled, "grad_norm"), norm);
    }
    compare_state(&r, compiled, interpreted, BOUND);
    training_destroy(compiled);
    training_destroy(interpreted);
    end(&r);
}

/* ---- the tests ---- */

static void every_head(void **unused) {
    (void)unused;
    static const step_case cases[] = {
        {.head = HEAD_PRETRAINING},
        {.head = HEAD_MASKED_LM},
        {.head = HEAD_TOKEN_CLASSIFICATION},
        {.head = HEAD_QUESTION_ANSWERING},
        {.head = HEAD_SEQUENCE_CLASSIFICATION},
        {.head = HEAD_SEQUENCE_CLASSIFICATION, .regression = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) compiled_is_interpreted(&cases[i]);
}

static void distilbert(void **unused) {
    (void)unused;
    static const step_case cases[] = {
        {.arch = MODEL_DISTILBERT, .head = HEAD_MASKED_LM},
        {.arch = MODEL_DISTILBERT, .head = HEAD_SEQUENCE_CLASSIFICATION, .dropout = true},
        {.arch = MODEL_DISTILBERT, .head = HEAD_QUESTION_ANSWERING, .lock = true, .zeros = 0.9, .dropout = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) compiled_is_interpreted(&cases[i]);
}

static void with_dropout(void **unused) {
    (void)unused;
    static const step_case cases[] = {
        {.head = HEAD_PRETRAINING, .dropout = true, .tiled_loss = true},
        {.head = HEAD_PRETRAINING, .dropout = true},
        {.head = HEAD_SEQUENCE_CLASSIFICATION, .dropout = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) compiled_is_interpreted(&cases[i]);
}

static void with_locked_zeros(void **unused) {
    (void)unused;
    static const step_case cases[] = {
        {.head = HEAD_PRETRAINING, .lock = true, .zeros = 0.9, .dropout = true},
        {.head = HEAD_SEQUENCE_CLASSIFICATION, .lock = true, .zeros = 0.2}, /* below break-even: products are dense */
        {.head = HEAD_SEQUENCE_CLASSIFICATION, .lock = true},               /* no zeros: nothing is locked */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) compiled_is_interpreted(&cases[i]);
}

static void by_momentum(void **unused) {
    (void)unused;
    static const step_case cases[] = {
        {.head = HEAD_SEQUENCE_CLASSIFICATION, .sgd = true},
        {.head = HEAD_TOKEN_CLASSIFICATION, .sgd = true, .lock = true, .zeros = 0.9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) compiled_is_interpreted(&cases[i]);
}

static void in_several_runs(void **unused) {
    (void)unused;
    static const step_case cases[] = {
        {.head = HEAD_PRETRAINING, .accumulate = true, .dropout = true},
        {.head = HEAD_SEQUENCE_CLASSIFICATION, .accumulate = true, .lock = true, .zeros = 0.9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) compiled_is_interpreted(&cases[i]);
}

/* What is computed again is what was kept, to the last bit. */
static void recomputation_changes_no_bit(void **unused) {
    (void)unused;
    static const char *const modes[] = {"none", "cheap", "partial", "full"};
    step_case test = {.head = HEAD_PRETRAINING, .dropout = true, .lock = true, .zeros = 0.9};
    step_run r;
    training *by[4];
    begin(&r, &test);
    for (size_t n = 0; n < 4; n++) {
        test.recompute = modes[n];
        by[n] = create(&r, EXECUTOR_COMPILED, 1, false);
        for (int64_t step = 0; step < STEPS; step++) one_step(&r, by[n], step, false);
        compare_state(&r, by[n], by[0], 0);
    }
    assert_true(training_memory(by[3]).arena_bytes < training_memory(by[0]).arena_bytes);
    for (size_t n = 0; n < 4; n++) training_destroy(by[n]);
    end(&r);
}

/* Losses with activations in bf16 are within 1 % of those without. */
static void bf16_is_close(void **unused) {
    (void)unused;
    step_case test = {.head = HEAD_PRETRAINING, .dropout = true};
    step_run r;
    bool differs = false;
    begin(&r, &test);
    training *wide = create(&r, EXECUTOR_COMPILED, 1, false);
    test.bf16 = true;
    training *narrow = create(&r, EXECUTOR_COMPILED, 1, false);
    for (int64_t step = 0; step < STEPS; step++) {
        const double found = one_step(&r, narrow, step, false), wanted = one_step(&r, wide, step, false);
        differs = differs || found != wanted;
        if (!(fabs(found - wanted) <= 0.01 * wanted)) fail_msg("step %d: the loss is %g, wanted %g", (int)step + 1, found, wanted);
    }
    assert_true(differs);
    training_destroy(wide);
    training_destroy(narrow);
    end(&r);
}

/* Runs of a step add up to the step: its means are over all of its rows. */
static void several_runs_are_one(void **unused) {
    (void)unused;
    static const step_case cases[] = {
        {.head = HEAD_PRETRAINING, .dropout = true, .lock = true, .zeros = 0.9},
        {.head = HEAD_QUESTION_ANSWERING},
        {.head = HEAD_SEQUENCE_CLASSIFICATION, .regression = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        step_run r;
        begin(&r, &cases[i]);
        training *parts = create(&r, EXECUTOR_COMPILED, 2, true), *whole = create(&r, EXECUTOR_COMPILED, 2, false);
        for (int64_t step = 0; step < STEPS; step++)
            compare_loss(&r, step, one_step(&r, parts, step, true), one_step(&r, whole, step, false));
        compare_state(&r, parts, whole, BOUND);
        training_destroy(parts);
        training_destroy(whole);
        end(&r);
    }
}

static void threads_change_no_bit(void **unused) {
    (void)unused;
    static const step_case cases[] = {
        {.head = HEAD_PRETRAINING, .dropout = true},
        {.head = HEAD_PRETRAINING, .dropout = true, .lock = true, .zeros = 0.9},
        {.arch = MODEL_DISTILBERT, .head = HEAD_QUESTION_ANSWERING, .dropout = true, .accumulate = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        step_run r;
        training *by[3];
        begin(&r, &cases[i]);
        for (size_t n = 0; n < 3; n++) {
            by[n] = create(&r, EXECUTOR_COMPILED, n + 1, cases[i].accumulate);
            for (int64_t step = 0; step < STEPS; step++) one_step(&r, by[n], step, cases[i].accumulate);
            compare_state(&r, by[n], by[0], 0);
        }
        for (size_t n = 0; n < 3; n++) training_destroy(by[n]);
        end(&r);
    }
}

/* Whatever allocation fails, nothing is lost, and it is said; some are of the object cache, which can do without. */
static void allocations_may_fail(void **unused) {
    (void)unused;
    static const step_case test = {.head = HEAD_SEQUENCE_CLASSIFICATION, .lock = true, .zeros = 0.9, .accumulate = true};
    bool failed = true;
    for (size_t n = 1; failed; n += n / 3 + 1) {
        step_run r;
        begin(&r, &test);
        training *t;
        const training_options options = options_of(&r, EXECUTOR_COMPILED, 1, true);
        fail_alloc_after(n);
        const pofac_status status = training_create(r.model, &options, &r.sink, &t);
        failed = fail_alloc_stop();
        if (status != POFAC_OK && (!failed || status != POFAC_ERR_RUNTIME))
            fail_msg("allocation %d: status %d, %s", (int)n, (int)status, strbuf_str(&r.messages));
        assert_int_equal(t != NULL, status == POFAC_OK);
        training_destroy(t);
        end(&r);
    }
}

/* What is asked for too early, or is not there. */
static void misuse_is_refused(void **unused) {
    (void)unused;
    static const step_case test = {.head = HEAD_SEQUENCE_CLASSIFICATION};
    step_run r;
    ir_tensor found;
    begin(&r, &test);
    training *t = create(&r, EXECUTOR_COMPILED, 1, false);
    const tensor_source nothing = {0};
    assert_null(training_runnable(t, true));
    assert_non_null(training_runnable(t, false));
    strbuf_clear(&r.messages);
    assert_int_equal(training_apply(t, &nothing, &r.sink), POFAC_ERR_USAGE);
    assert_int_equal(training_output(t, "loss", &r.sink, &found), POFAC_ERR_USAGE);
    assert_int_equal(training_output(t, "logits", &r.sink, &found), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&r.messages), "error: a step is one run, which updates by itself\n"
                                                 "error: output \"loss\" was asked for before a successful run\n"
                                                 "error: a training step has no output \"logits\"\n");
    one_step(&r, t, 0, false);
    assert_true(output(&r, t, "loss.labels") > 0);
    assert_true(training_memory(t).arena_bytes > 0);
    assert_int_equal(training_memory(t).mapped_weight_bytes, state_store_bytes(training_state(t)));
    training_destroy(t);
    end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_head),
        cmocka_unit_test(distilbert),
        cmocka_unit_test(with_dropout),
        cmocka_unit_test(with_locked_zeros),
        cmocka_unit_test(by_momentum),
        cmocka_unit_test(in_several_runs),
        cmocka_unit_test(recomputation_changes_no_bit),
        cmocka_unit_test(bf16_is_close),
        cmocka_unit_test(several_runs_are_one),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(allocations_may_fail),
        cmocka_unit_test(misuse_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
