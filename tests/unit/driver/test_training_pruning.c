/*
 * Training under masks that change: compiled steps against interpreted ones through a schedule on which products go from dense to sparse, in one run a step and
 * in several; the same bits from 1, 2 and 3 threads; masks are those of the method, pruned entries keep their value and come back; a run that goes on from
 * a checkpoint in any phase has the same bits; what is saved as a model has the masks' zeros; memory does not grow from update to update.
 *
 * Masks of two trainings are only compared where the weights are the same, bit for bit: those of the compiled one are copied to the other after each step,
 * once they were compared. Epsilon is large and so are bounds, as in test_training.c.
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

#include "frontend/driver/run_checkpoint.h"
#include "frontend/driver/training_memory.h"
#include "ir/op.h"
#include "ir/support/directory.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/made_run.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/temporary_folder.h"

#define BOUND 2e-4
#define LOSS_BOUND 1e-4
enum { B = 3, S = 7, N_WEIGHTS = 7, STEPS = 6 };

/* Of the second step on, every other step: 0, then dense products, then sparse ones. */
static const double progress_of[STEPS] = {0, 0.2, -1, 0.5, 0.8, 1};
#define TARGET 0.9

static char folder[] = "/tmp/pofac_pruning_XXXXXX", cache_folder[64], model_folder[64], run_folder[64];

typedef struct prune_case {
    const char *method;
    bool accumulate, sgd;
    double decay; /* of thresholds */
} prune_case;

typedef struct prune_run {
    const prune_case *test;
    pruned_parameter weights[N_WEIGHTS];
    training_pruning pruning;
    loaded_model *model;
    training *training;
    strbuf said, choices;
    diag_sink sink;
} prune_run;

static double number(const char *name, int64_t row, int64_t column) {
    const double random = rng_uniform(rng_key_make(5, name), (uint64_t)(row * 4096 + column)) - 0.5;
    return strstr(name, "LayerNorm.weight") ? 1 + 0.25 * random : 0.4 * random;
}

static int make_folder(void **unused) {
    (void)unused;
    tiny_model m = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = number};
    if (!mkdtemp(folder)) return -1;
    snprintf(cache_folder, sizeof cache_folder, "%s/objects", folder);
    snprintf(model_folder, sizeof model_folder, "%s/model", folder);
    snprintf(run_folder, sizeof run_folder, "%s/run", folder);
    m.spec.num_labels = 3;
    tiny_model_write(&m, model_folder);
    return 0;
}

static int remove_folder(void **unused) {
    (void)unused;
    folder_remove(folder);
    return 0;
}

static void want(prune_run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s: %s", r->test->method, what, strbuf_str(&r->said));
}

static training_options options_of(prune_run *r, executor_kind kind, size_t threads) {
    return (training_options){
        .road = {.cache_dir = cache_folder, .tune = ROAD_TUNE_OFF, .threads = threads, .kernel_choices = &r->choices},
        .kind = kind,
        .optim = r->test->sgd ? "sgd" : "adamw_torch",
        .beta1 = 0.9,
        .beta2 = 0.99,
        .epsilon = 1e-4,
        .momentum = r->test->sgd ? 0.5 : 0,
        .weight_decay = 0.01,
        .max_grad_norm = 1,
        .accumulate = r->test->accumulate,
        .pruning = &r->pruning};
}

/* The weights of the encoder's only layer and the pooler. */
static void begin(prune_run *r, const prune_case *test) {
    static const char *const names[N_WEIGHTS] = {"bert.encoder.layer.0.attention.self.query.weight",
                                                 "bert.encoder.layer.0.attention.self.key.weight",
                                                 "bert.encoder.layer.0.attention.self.value.weight",
                                                 "bert.encoder.layer.0.attention.output.dense.weight",
                                                 "bert.encoder.layer.0.intermediate.dense.weight",
                                                 "bert.encoder.layer.0.output.dense.weight",
                                                 "bert.pooler.dense.weight"};
    *r = (prune_run){.test = test, .said = STRBUF_INIT, .choices = STRBUF_INIT};
    r->sink = diag_sink_to_strbuf(&r->said);
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        r->weights[i] = (pruned_parameter){.name = names[i], .parameters = pruning_parameters_default()};
        r->weights[i].parameters.target_sparsity = TARGET;
        r->weights[i].parameters.block_size = 16;
        r->weights[i].parameters.block_rows = r->weights[i].parameters.block_columns = 4;
        r->weights[i].parameters.threshold_decay = test->decay;
    }
    r->pruning = (training_pruning){pruning_method_find(test->method), r->weights, N_WEIGHTS};
    assert_non_null(r->pruning.method);
}

static void open_training(prune_run *r, executor_kind kind, size_t threads, const char *chosen) {
    training_options o = options_of(r, kind, threads);
    o.chosen = chosen;
    want(r, loaded_model_open(model_folder, &(loaded_model_options){.num_labels = 3}, &r->sink, &r->model), "model");
    want(r, training_create(r->model, &o, &r->sink, &r->training), "training");
}

static void end(prune_run *r) {
    training_destroy(r->training);
    loaded_model_close(r->model);
    strbuf_free(&r->said);
    strbuf_free(&r->choices);
}

/* ---- inputs: functions of step and run ---- */

static double scalar_of(const char *name, int64_t step, int64_t run) {
    if (strcmp(name, "learning_rate") == 0) return 0.01;
    if (strcmp(name, "step") == 0) return (double)step + 1;
    if (strcmp(name, "keep") == 0) return run > 0;
    return 1.0 / B;
}

static double element_of(const char *name, int64_t number, int64_t i) {
    if (strcmp(name, "attention_mask") == 0) return i % S < S - i / S;
    if (strcmp(name, "token_type_ids") == 0) return i % S > 2;
    return (double)rng_below(rng_key_make(8, name), (uint64_t)(number * 64 + i),
                             strcmp(name, "input_ids") == 0 ? TINY_VOCAB_SIZE : 3);
}

static void make_inputs(const ir_graph *g, int64_t step, int64_t run, named_tensors *to) {
    const int64_t dims[2] = {B, S};
    *to = (named_tensors){.what = "input"};
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op != OP_input) continue;
        const ir_type *type = graph_type(g, n->first_result);
        const char *name = node_string(n, "name");
        ir_tensor *t = named_tensors_add(to, name, type->dtype, type->rank, dims);
        for (int64_t k = 0; k < tensor_elements(t); k++)
            tensor_set(t, k, type->rank ? element_of(name, step * 2 + run, k) : scalar_of(name, step, run));
    }
}

static double loss_of(prune_run *r) {
    ir_tensor found;
    want(r, training_output(r->training, "loss", &r->sink, &found), "loss");
    return tensor_get(&found, 0);
}

/* One optimizer step, of one run or two; the loss of the last run. */
static double step_once(prune_run *r, int64_t step) {
    named_tensors inputs;
    const int64_t runs = r->test->accumulate ? 2 : 1;
    double loss = 0;
    for (int64_t run = 0; run < runs; run++) {
        make_inputs(training_graph(r->training), step, run, &inputs);
        const tensor_source source = named_tensors_source(&inputs);
        want(r, training_run(r->training, &source, &r->sink), "run");
        named_tensors_free(&inputs);
        loss = loss_of(r);
    }
    if (!r->test->accumulate) return loss;
    inputs = (named_tensors){.what = "input"};
    tensor_set(named_tensors_add(&inputs, "learning_rate", IR_F32, 0, NULL), 0, scalar_of("learning_rate", step, 0));
    tensor_set(named_tensors_add(&inputs, "step", IR_I64, 0, NULL), 0, scalar_of("step", step, 0));
    const tensor_source source = named_tensors_source(&inputs);
    want(r, training_apply(r->training, &source, &r->sink), "apply");
    named_tensors_free(&inputs);
    return loss;
}

/* The masks behind a step, where they change. */
static mask_update update_masks(prune_run *r, int64_t step) {
    mask_update done = {0};
    if (progress_of[step] >= 0) want(r, training_update_masks(r->training, progress_of[step], &r->sink, &done), "masks");
    return done;
}

/* ---- state ---- */

static state_entry *find(prune_run *r, const char *weight, const char *ending) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", weight, ending);
    state_entry *e = state_store_find(training_state(r->training), name);
    if (!e) fail_msg("there is no state %s", name);
    return e;
}

/* All state of both but sums, within the bound. */
static void compare_state(prune_run *found, prune_run *wanted, double bound) {
    state_store *of = training_state(wanted->training);
    size_t compared = 0;
    for (size_t i = 0; i < state_store_size(of); i++) {
        const state_entry *w = state_store_at(of, i), *f = state_store_find(training_state(found->training), w->name);
        if (strncmp(w->name, "gradient.", 9) == 0) continue;
        assert_non_null(f);
        assert_int_equal(tensor_elements(&f->tensor), tensor_elements(&w->tensor));
        for (int64_t k = 0; k < tensor_elements(&w->tensor); k++) {
            const double a = tensor_get(&f->tensor, k), b = tensor_get(&w->tensor, k);
            compared++;
            if (!(fabs(a - b) <= bound)) fail_msg("%s: %s[%d] is %.9g, wanted %.9g", wanted->test->method, w->name, (int)k, a, b);
        }
    }
    assert_true(compared > 20000);
}

static void copy_state(prune_run *from, prune_run *to) {
    state_store *of = training_state(from->training);
    for (size_t i = 0; i < state_store_size(of); i++) {
        const state_entry *e = state_store_at(of, i);
        state_entry *other = state_store_find(training_state(to->training), e->name);
        if (strncmp(e->name, "gradient.", 9) != 0) memcpy(other->tensor.data, e->tensor.data, tensor_bytes(&e->tensor));
    }
}

/* ---- steps ---- */

static void want_kernels(const prune_run *r) {
    const plan *p = training_runnable(r->training, false)->plan;
    assert_true(p->n_steps > 50);
    for (size_t i = 0; i < p->n_steps; i++)
        if (plan_step_is_evaluator(&p->steps[i]))
            fail_msg("%s: %s runs through its evaluator", r->test->method, p->steps[i].variant);
}

static void compiled_is_interpreted(const prune_case *test) {
    prune_run compiled, interpreted;
    int rebuilt = 0;
    begin(&compiled, test);
    begin(&interpreted, test);
    open_training(&compiled, EXECUTOR_COMPILED, 1, NULL);
    open_training(&interpreted, EXECUTOR_INTERPRETER, 1, NULL);
    for (int64_t step = 0; step < STEPS; step++) {
        const double found = step_once(&compiled, step), wanted = step_once(&interpreted, step);
        if (!(fabs(found - wanted) <= LOSS_BOUND * wanted))
            fail_msg("%s: the loss of step %d is %.9g, wanted %.9g", test->method, (int)step, found, wanted);
        compare_state(&compiled, &interpreted, BOUND);
        copy_state(&compiled, &interpreted);
        const mask_update a = update_masks(&compiled, step), b = update_masks(&interpreted, step);
        assert_int_equal(a.kept, b.kept);
        rebuilt += a.rebuilt;
        compare_state(&compiled, &interpreted, 0);
    }
    want_kernels(&compiled);
    assert_int_equal(rebuilt, 1); /* from dense products to sparse ones */
    end(&compiled);
    end(&interpreted);
}

static void steps_are_those_of_the_interpreter(void **unused) {
    (void)unused;
    static const prune_case cases[] = {{.method = "unstructured_magnitude"},
                                       {.method = "uniform_magnitude", .sgd = true},
                                       {.method = "global_unstructured_magnitude", .accumulate = true},
                                       {.method = "block_structured_magnitude"},
                                       {.method = "unstructured_neural_wiring"},
                                       {.method = "block_structured_neural_wiring", .sgd = true, .accumulate = true},
                                       {.method = "movement"},
                                       {.method = "movement", .accumulate = true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) compiled_is_interpreted(&cases[i]);
}

static void threads_have_the_same_bits(void **unused) {
    (void)unused;
    static const prune_case test = {.method = "unstructured_magnitude", .decay = 0.25, .accumulate = true};
    prune_run by[3];
    for (size_t i = 0; i < 3; i++) {
        begin(&by[i], &test);
        open_training(&by[i], EXECUTOR_COMPILED, i + 1, NULL);
        for (int64_t step = 0; step < STEPS; step++) {
            step_once(&by[i], step);
            update_masks(&by[i], step);
        }
        if (i > 0) compare_state(&by[i], &by[0], 0);
    }
    for (size_t i = 0; i < 3; i++) end(&by[i]);
}

/* ---- masks ---- */

/* k of n entries go, by magnitude; pruned ones keep their value, move by decay and moments, and come back with another mask. */
static void masks_are_those_of_the_method(void **unused) {
    (void)unused;
    static const prune_case test = {.method = "unstructured_magnitude"};
    prune_run r;
    begin(&r, &test);
    open_training(&r, EXECUTOR_COMPILED, 1, NULL);
    for (int64_t step = 0; step < STEPS; step++) {
        step_once(&r, step);
        const mask_update done = update_masks(&r, step);
        if (progress_of[step] < 0) continue;
        int64_t kept = 0, entries = 0;
        for (size_t i = 0; i < N_WEIGHTS; i++) {
            const state_entry *w = find(&r, r.weights[i].name, ""), *m = find(&r, r.weights[i].name, ".mask");
            const int64_t n = tensor_elements(&w->tensor), pruned = (int64_t)(TARGET * progress_of[step] * (double)n);
            double least = INFINITY, most = 0;
            int64_t of_this = 0;
            for (int64_t k = 0; k < n; k++) {
                const double magnitude = fabs(tensor_get(&w->tensor, k));
                const bool is_kept = tensor_get_int(&m->tensor, k);
                of_this += is_kept;
                if (is_kept && magnitude < least) least = magnitude;
                if (!is_kept && magnitude > most) most = magnitude;
                if (!is_kept) assert_true(magnitude > 0);
            }
            assert_int_equal(of_this, n - pruned);
            assert_true(least > most);
            if (fabs(training_sparsity(r.training, i) - (double)pruned / (double)n) > 1e-12)
                fail_msg("the sparsity is %g, wanted %g", training_sparsity(r.training, i), (double)pruned / (double)n);
            kept += of_this;
            entries += n;
        }
        assert_int_equal(done.kept, kept);
        assert_int_equal(done.entries, entries);
    }
    want(&r, training_update_masks(r.training, 0.1, &r.sink, &(mask_update){0}), "more entries again");
    assert_true(fabs(training_sparsity(r.training, 4) - 0.09) < 1e-3);
    step_once(&r, STEPS);
    end(&r);
}

/* ---- going on ---- */

static void save(prune_run *r, int64_t step) {
    const run_checkpoint_options o = {.dir = run_folder,
                                      .model = r->model,
                                      .settings = "of=masks\n",
                                      .kernel_choices = r->choices.size ? strbuf_str(&r->choices) : NULL};
    run_position at = {.step = step};
    want(r, run_checkpoint_save(&o, &at, training_state(r->training), &r->sink), "save");
}

static void load(prune_run *r, int64_t step) {
    char path[128];
    run_position at = {0};
    snprintf(path, sizeof path, "%s/checkpoint-%d", run_folder, (int)step);
    want(r, run_checkpoint_load(path, "of=masks\n", &at, training_state(r->training), &r->sink), "load");
    assert_int_equal(at.step, step);
}

/* Nothing is measured here: kernels that a run has written are in kernels_of_before_are_for_masks_of_before. */
static void goes_on(const prune_case *test) {
    prune_run whole;
    begin(&whole, test);
    open_training(&whole, EXECUTOR_COMPILED, 2, NULL);
    for (int64_t step = 0; step < STEPS; step++) {
        step_once(&whole, step);
        update_masks(&whole, step);
        save(&whole, step);
    }
    for (int64_t from = 0; from < STEPS - 1; from++) {
        prune_run r;
        begin(&r, test);
        assert_int_equal(whole.choices.size, 0);
        open_training(&r, EXECUTOR_COMPILED, 1, NULL);
        load(&r, from);
        for (int64_t step = from + 1; step < STEPS; step++) {
            step_once(&r, step);
            update_masks(&r, step);
        }
        compare_state(&r, &whole, 0);
        end(&r);
    }
    end(&whole);
}

static void runs_go_on_in_every_phase(void **unused) {
    (void)unused;
    static const prune_case cases[] = {{.method = "unstructured_magnitude", .decay = 0.5},
                                       {.method = "global_unstructured_magnitude", .accumulate = true}};
    assert_int_equal(directory_make(run_folder, NULL), POFAC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) goes_on(&cases[i]);
}

/* Linears of the step that runs with the text in their variant. */
static int count_variants(prune_run *r, const char *text) {
    const ir_graph *g = training_graph(r->training);
    int n = 0;
    for (size_t i = 0; i < g->nodes.size; i++)
        n += g->nodes.data[i].op == OP_linear && strstr(node_string(&g->nodes.data[i], "variant"), text) != NULL;
    return n;
}

/* The kernels that a run had chosen serve for the masks that it is given, and are told again; when an update makes others, kernels are chosen for those. */
static void kernels_of_before_are_for_masks_of_before(void **unused) {
    (void)unused;
    static const prune_case test = {.method = "unstructured_magnitude"};
    prune_run r, whole;
    assert_int_equal(directory_make(run_folder, NULL), POFAC_OK);
    begin(&whole, &test);
    open_training(&whole, EXECUTOR_COMPILED, 1, NULL);
    want(&whole, training_update_masks(whole.training, 1, &whole.sink, &(mask_update){0}), "masks");
    save(&whole, 7);
    begin(&r, &test);
    strbuf_puts(&r.choices, "pooler:sparse_linear layout=stream k_block=16");
    open_training(&r, EXECUTOR_COMPILED, 1, strbuf_str(&r.choices));
    load(&r, 7);
    step_once(&r, 0);
    assert_int_equal(count_variants(&r, "k_block=16"), 1);
    assert_non_null(strstr(strbuf_str(&r.choices), "bert\\.pooler\\.dense\\.weight$:sparse_linear"));
    want(&r, training_update_masks(r.training, 1, &r.sink, &(mask_update){0}), "as many entries");
    assert_int_equal(count_variants(&r, "k_block=16"), 1);
    mask_update done;
    want(&r, training_update_masks(r.training, 0, &r.sink, &done), "all entries");
    assert_true(done.rebuilt);
    assert_int_equal(count_variants(&r, "k_block=16"), 0);
    assert_string_equal(strbuf_str(&r.choices), "");
    step_once(&r, 1);
    end(&r);
    end(&whole);
}

/* What is saved as a model has zeros where the mask has; the state keeps the originals. */
static void saved_models_are_pruned(void **unused) {
    (void)unused;
    static const prune_case test = {.method = "unstructured_magnitude"};
    prune_run r;
    char path[128];
    begin(&r, &test);
    open_training(&r, EXECUTOR_COMPILED, 1, NULL);
    want(&r, training_update_masks(r.training, 1, &r.sink, &(mask_update){0}), "masks");
    assert_int_equal(directory_make(run_folder, NULL), POFAC_OK);
    save(&r, 99);
    snprintf(path, sizeof path, "%s/checkpoint-99", run_folder);
    loaded_model *model;
    want(&r, loaded_model_open(path, &(loaded_model_options){0}, &r.sink, &model), "the saved model");
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        const checkpoint_tensor *t = checkpoint_get(loaded_model_checkpoint(model), r.weights[i].name);
        const state_entry *w = find(&r, r.weights[i].name, ""), *m = find(&r, r.weights[i].name, ".mask");
        int64_t zeros = 0;
        ir_tensor saved;
        assert_non_null(t);
        want(&r, checkpoint_load(t, IR_F32, &r.sink, &saved), "a weight");
        for (int64_t k = 0; k < tensor_elements(&saved); k++) {
            const double wanted = tensor_get_int(&m->tensor, k) ? tensor_get(&w->tensor, k) : 0;
            if (tensor_get(&saved, k) != wanted)
                fail_msg("%s[%d] is %g, wanted %g", w->name, (int)k, tensor_get(&saved, k), wanted);
            zeros += tensor_get(&saved, k) == 0;
        }
        assert_int_equal(zeros, (int64_t)(TARGET * (double)tensor_elements(&saved)));
        tensor_free(&saved);
    }
    loaded_model_close(model);
    end(&r);
}

/* ---- memory ---- */

static int64_t masks_of(prune_run *r) {
    int64_t bytes = 0;
    for (size_t i = 0; i < N_WEIGHTS; i++) bytes += tensor_elements(&find(r, r->weights[i].name, ".mask")->tensor) + 4;
    return bytes;
}

/* Masks count by the byte, positions where sums of gradients have them; before there is a run, and behind it. */
static void masks_are_counted(void **unused) {
    (void)unused;
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        const prune_case test = {.method = "unstructured_magnitude", .accumulate = accumulate};
        const batch_shape shape = {.sequences = B, .length = S, .tokens = B * S, .predictions = B * S};
        prune_run r;
        step_memory before, behind;
        begin(&r, &test);
        open_training(&r, EXECUTOR_COMPILED, 1, NULL);
        training_options o = options_of(&r, EXECUTOR_COMPILED, 1);
        want(&r, training_fit_memory(r.model, &o, shape, 0, &r.sink, &before), "memory before");
        want(&r, training_update_masks(r.training, 1, &r.sink, &(mask_update){0}), "masks");
        want(&r, step_memory_of_training(r.training, shape, &r.sink, &behind), "memory behind");
        if (!accumulate) assert_int_equal(before.patterns, masks_of(&r));
        if (!accumulate) assert_int_equal(behind.patterns, masks_of(&r));
        assert_true(before.gradient_sums == 0 || behind.gradient_sums < before.gradient_sums);
        assert_int_equal(before.gradient_sums > 0, accumulate);
        assert_int_equal(before.patterns - masks_of(&r) > 4 * 32 * 48, accumulate);
        assert_true(behind.kernels > 0);
        end(&r);
    }
}

static int64_t packed_bytes(prune_run *r) { return training_memory(r->training).packed_weight_bytes; }

/* Updates to and fro leave what the first ones took, sessions that were made anew among them. */
static void updates_take_no_memory(void **unused) {
    (void)unused;
    static const prune_case test = {.method = "unstructured_magnitude", .accumulate = true};
    prune_run r;
    int64_t dense = 0, sparse = 0;
    begin(&r, &test);
    open_training(&r, EXECUTOR_COMPILED, 2, NULL);
    for (int i = 0; i < 4; i++) {
        mask_update done;
        want(&r, training_update_masks(r.training, 1, &r.sink, &done), "sparse");
        assert_true(done.rebuilt);
        if (i > 0) assert_int_equal(packed_bytes(&r), sparse);
        sparse = packed_bytes(&r);
        want(&r, training_update_masks(r.training, 1, &r.sink, &done), "the same masks");
        assert_false(done.rebuilt);
        assert_int_equal(packed_bytes(&r), sparse);
        want(&r, training_update_masks(r.training, 0, &r.sink, &done), "dense");
        assert_true(done.rebuilt);
        if (i > 0) assert_int_equal(packed_bytes(&r), dense);
        dense = packed_bytes(&r);
    }
    end(&r);
}

/* ---- what can go wrong ---- */

/* Whatever allocation of an update fails, the error says so, and the next update makes good. */
static void updates_may_lack_memory(void **unused) {
    (void)unused;
    static const prune_case test = {.method = "unstructured_magnitude", .accumulate = true};
    prune_run r;
    mask_update done;
    int failed = 0;
    begin(&r, &test);
    open_training(&r, EXECUTOR_COMPILED, 1, NULL);
    for (size_t n = 1; n < 100000; n += n < 20 ? 1 : 331) {
        want(&r, training_update_masks(r.training, 0.9, &r.sink, &done), "an update behind one that failed");
        fail_alloc_after(n);
        const pofac_status status = training_update_masks(r.training, n % 2, &r.sink, &done);
        const bool has_failed = fail_alloc_stop();
        failed += status != POFAC_OK;
        if (status != POFAC_OK && status != POFAC_ERR_RUNTIME)
            fail_msg("allocation %d: status %d: %s", (int)n, (int)status, strbuf_str(&r.said));
        strbuf_clear(&r.said);
        if (!has_failed) break;
    }
    assert_true(failed > 25);
    want(&r, training_update_masks(r.training, 0.9, &r.sink, &done), "the last update");
    step_once(&r, 0);
    end(&r);
}

static void refusals(void **unused) {
    (void)unused;
    static const prune_case test = {.method = "unstructured_magnitude"};
    prune_run r;
    begin(&r, &test);
    training_options o = options_of(&r, EXECUTOR_COMPILED, 1);
    want(&r, loaded_model_open(model_folder, &(loaded_model_options){.num_labels = 3}, &r.sink, &r.model), "model");
    r.weights[1].name = "bert.encoder.layer.7.output.dense.weight";
    assert_int_equal(training_create(r.model, &o, &r.sink, &r.training), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&r.said), "error: pruning: found no \"bert.encoder.layer.7.output.dense.weight\" in the model, "
                                             "wanted a weight f32 [N,K] of a linear\n");
    strbuf_clear(&r.said);
    r.weights[1].name = "bert.embeddings.word_embeddings.weight";
    assert_int_equal(training_create(r.model, &o, &r.sink, &r.training), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&r.said),
                        "error: pruning: \"bert.embeddings.word_embeddings.weight\" is read by others than linears, "
                        "wanted a weight of linears alone\n");
    strbuf_clear(&r.said);
    o.pruning = NULL;
    want(&r, training_create(r.model, &o, &r.sink, &r.training), "a step without masks");
    assert_int_equal(training_update_masks(r.training, 1, &r.sink, &(mask_update){0}), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&r.said), "error: the step prunes no weight, there are no masks to update\n");
    assert_true(training_sparsity(r.training, 0) == 0);
    end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_the_interpreter),
        cmocka_unit_test(threads_have_the_same_bits),
        cmocka_unit_test(masks_are_those_of_the_method),
        cmocka_unit_test(runs_go_on_in_every_phase),
        cmocka_unit_test(kernels_of_before_are_for_masks_of_before),
        cmocka_unit_test(saved_models_are_pruned),
        cmocka_unit_test(masks_are_counted),
        cmocka_unit_test(updates_take_no_memory),
        cmocka_unit_test(updates_may_lack_memory),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
