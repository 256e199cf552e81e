/*
 * Distillation between layers, and from teachers of other widths, in training steps of small models: compiled against interpreted, losses in each step and all state in the
 * end, with 1 and 2 threads bit for bit; teachers of other depth, dropout, padding that counts; a step in two runs against one; what is
 * refused. A teacher that is the student's own copy differs from it by nothing.
 *
 * Epsilon is large, so that gradients of rounding noise stay noise in the update, as in test_training.c, whose bounds these are.
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

#include "frontend/driver/train_inputs.h"
#include "frontend/driver/training.h"
#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/temporary_folder.h"

#define BOUND 2e-4
#define LOSS_BOUND 1e-4
#define STEPS 3
#define SEQUENCES 4
#define LENGTH 9

typedef struct hidden_case {
    model_arch arch;
    model_head head;
    distillation_hidden hidden;
    int64_t student_layers, teacher_layers;
    const int64_t *layer_map; /* [student_layers], or NULL */
    double task_alpha, teacher_alpha;
    bool dropout, mask_padded, accumulate;
    int64_t teacher_width; /* 0: as the student's */
} hidden_case;

static char folder[] = "/tmp/pofac_hidden_XXXXXX", cache_folder[64];

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

/* ---- models ---- */

static double number(const char *name, int64_t row, int64_t column, uint64_t seed) {
    const double random = rng_uniform(rng_key_make(seed, name), (uint64_t)(row * 4096 + column)) - 0.5;
    return strstr(name, "LayerNorm.weight") || strstr(name, "layer_norm.weight") ? 1 + 0.25 * random : 0.4 * random;
}

static double student_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 5); }
static double teacher_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 6); }

typedef struct hidden_run {
    const hidden_case *test;
    strbuf messages;
    diag_sink sink;
    loaded_model *model, *teacher;
    train_inputs *inputs;
    named_tensors rows;
    distillation distillation;
} hidden_run;

static void want(hidden_run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s, %s: %s", model_head_name(r->test->head), what, strbuf_str(&r->messages));
}

static void open_model(hidden_run *r, const char *name, const tiny_model *m, loaded_model **out) {
    char path[128];
    const loaded_model_options options = {.head = m->spec.head, .num_labels = m->spec.num_labels};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    tiny_model_write(m, path);
    want(r, loaded_model_open(path, &options, &r->sink, out), name);
}

static tiny_model model_of(const hidden_case *test, int64_t layers) {
    tiny_model m = {.spec = tiny_spec(test->arch, test->head)};
    m.spec.num_labels = 3;
    m.spec.num_hidden_layers = layers;
    return m;
}

static void begin(hidden_run *r, const hidden_case *test) {
    *r = (hidden_run){.test = test, .messages = STRBUF_INIT, .rows.what = "input"};
    r->sink = diag_sink_to_strbuf(&r->messages);
    tiny_model student = model_of(test, test->student_layers), teacher = model_of(test, test->teacher_layers);
    student.value = student_number;
    teacher.value = teacher_number;
    teacher.spec.intermediate_size = 64; /* another one than the student's */
    if (test->teacher_width) teacher.spec.hidden_size = test->teacher_width;
    open_model(r, "student", &student, &r->model);
    open_model(r, "teacher", &teacher, &r->teacher);
    want(r, train_inputs_create(loaded_model_spec(r->model), 42, &r->sink, &r->inputs), "inputs");
    r->distillation = (distillation){.teacher = r->teacher,
                                     .task_alpha = test->task_alpha,
                                     .teacher_alpha = test->teacher_alpha,
                                     .temperature = 2,
                                     .hidden = test->hidden,
                                     .layer_map = test->layer_map,
                                     .n_layer_map = test->layer_map ? (size_t)test->student_layers : 0,
                                     .token_share = 1};
}

static void end(hidden_run *r) {
    named_tensors_free(&r->rows);
    train_inputs_destroy(r->inputs);
    loaded_model_close(r->teacher);
    loaded_model_close(r->model);
    strbuf_free(&r->messages);
}

static training_options options_of(const hidden_run *r, executor_kind kind, size_t threads) {
    return (training_options){.road = {.cache_dir = cache_folder,
                                       .tune = ROAD_TUNE_OFF,
                                       .threads = threads,
                                       .graph = {.dropout = r->test->dropout, .mask_padded_logits = r->test->mask_padded}},
                              .kind = kind,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-4,
                              .weight_decay = 0.01,
                              .max_grad_norm = 1,
                              .accumulate = r->test->accumulate,
                              .distillation = &r->distillation};
}

static pofac_status try_create(hidden_run *r, executor_kind kind, size_t threads, training **out) {
    const training_options options = options_of(r, kind, threads);
    return training_create(r->model, &options, &r->sink, out);
}

static training *create(hidden_run *r, executor_kind kind, size_t threads) {
    training *t;
    want(r, try_create(r, kind, threads, &t), "create");
    return t;
}

/* ---- batches ---- */

static int64_t below(const char *name, int64_t step, int64_t i, int64_t place, int64_t n) {
    return (int64_t)rng_below(rng_key_make(8, name), (uint64_t)((step * 64 + i) * 64 + place), (uint64_t)n);
}

static int64_t length_of(int64_t step, int64_t i) { return 3 + below("length", step, i, 0, LENGTH - 2); }

static int64_t element(const hidden_run *r, const char *name, int64_t step, int64_t i, int64_t place) {
    const bool is_there = place < length_of(step, i);
    const model_head head = r->test->head;
    if (strcmp(name, "input_ids") == 0) return is_there ? 5 + below(name, step, i, place, TINY_VOCAB_SIZE - 5) : 0;
    if (strcmp(name, "attention_mask") == 0) return is_there;
    if (strcmp(name, "token_type_ids") == 0) return is_there && place > 2;
    if (strstr(name, "_positions")) return below(name, step, i, 0, length_of(step, i));
    if (head == HEAD_SEQUENCE_CLASSIFICATION) return below(name, step, i, 0, 3);
    if (!is_there || below("chosen", step, i, place, 3) > 0) return -100;
    return below(name, step, i, place, head == HEAD_TOKEN_CLASSIFICATION ? 3 : TINY_VOCAB_SIZE);
}

/* Sequences [first, first + n) of a step. */
static void add_batch(hidden_run *r, int64_t step, int64_t first, int64_t n) {
    static const char *const names[] = {"input_ids", "attention_mask",  "token_type_ids",
                                        "labels",    "start_positions", "end_positions"};
    const bool questions = r->test->head == HEAD_QUESTION_ANSWERING;
    batch b = {.n_sequences = n};
    named_tensors_free(&r->rows);
    r->rows.what = "input";
    for (size_t k = 0; k < 6; k++) {
        if ((k == 2 && r->test->arch != MODEL_BERT) || (k >= 3 && questions != (k >= 4))) continue;
        const int64_t places = k >= 4 || (k == 3 && r->test->head == HEAD_SEQUENCE_CLASSIFICATION) ? 1 : LENGTH,
                      dims[] = {n, places};
        ir_tensor *t = named_tensors_add(&r->rows, names[k], IR_I64, places == 1 ? 1 : 2, dims);
        for (int64_t i = 0; i < n * places; i++) tensor_set_int(t, i, element(r, names[k], step, first + i / places, i % places));
        b.names[b.n_tensors++] = names[k];
    }
    for (size_t k = 0; k < b.n_tensors; k++) b.tensors[k] = *named_tensors_find(&r->rows, b.names[k]);
    for (int64_t i = first; i < first + n; i++) b.n_tokens += length_of(step, i);
    want(r, train_inputs_add(r->inputs, &b, &r->sink), "batch");
}

/* ---- steps ---- */

static const char *const losses[] = {"loss", "loss.task", "loss.distill", "loss.hidden"};
#define N_LOSSES (sizeof losses / sizeof losses[0])

/* 0 for the term that the case has not. */
static double output(hidden_run *r, training *t, const char *name) {
    ir_tensor found;
    if (r->test->hidden == DISTILL_NO_HIDDEN && strcmp(name, "loss.hidden") == 0) return 0;
    want(r, training_output(t, name, &r->sink, &found), name);
    return tensor_get(&found, 0);
}

/* A step in one run, or in two of unequal size where it accumulates; the losses of its runs are added up. */
static void run_step(hidden_run *r, training *t, int64_t step, bool in_parts, double found[N_LOSSES]) {
    const tensor_source *inputs = NULL;
    train_inputs_begin(r->inputs, step + 1, 0.01 / (double)(step + 1));
    if (in_parts) add_batch(r, step, 0, 1);
    add_batch(r, step, in_parts, SEQUENCES - in_parts);
    for (size_t l = 0; l < N_LOSSES; l++) found[l] = 0;
    for (size_t i = 0; i < train_inputs_size(r->inputs); i++) {
        want(r, train_inputs_select(r->inputs, i, &r->sink, &inputs), "inputs");
        want(r, training_run(t, inputs, &r->sink), "run");
        for (size_t l = 0; l < N_LOSSES; l++) found[l] += output(r, t, losses[l]);
    }
    if (r->test->accumulate) want(r, training_apply(t, inputs, &r->sink), "apply");
}

static void compare_losses(const hidden_run *r, int64_t step, const double *found, const double *wanted, double bound) {
    for (size_t l = 0; l < N_LOSSES; l++)
        if (!(fabs(found[l] - wanted[l]) <= bound * (1 + fabs(wanted[l]))))
            fail_msg("%s, step %d: %s is %.9g, wanted %.9g", model_head_name(r->test->head), (int)step + 1, losses[l], found[l],
                     wanted[l]);
}

static void compare_state(training *found, training *wanted, double bound) {
    size_t n = state_store_size(training_state(wanted));
    assert_true(n > 20);
    assert_int_equal(state_store_size(training_state(found)), n);
    for (size_t i = 0; i < n; i++) {
        const state_entry *w = state_store_at(training_state(wanted), i), *f = state_store_find(training_state(found), w->name);
        assert_non_null(f);
        assert_null(strstr(w->name, "teacher."));
        assert_tensors_close(w->name, &f->tensor, &w->tensor, bound, 0);
    }
}

static void compiled_is_interpreted(const hidden_case *test) {
    hidden_run r;
    double wanted[N_LOSSES], found[2][N_LOSSES];
    begin(&r, test);
    training *interpreted = create(&r, EXECUTOR_INTERPRETER, 1), *one = create(&r, EXECUTOR_COMPILED, 1),
             *two = create(&r, EXECUTOR_COMPILED, 2);
    for (int64_t step = 0; step < STEPS; step++) {
        run_step(&r, interpreted, step, test->accumulate, wanted);
        run_step(&r, one, step, test->accumulate, found[0]);
        run_step(&r, two, step, test->accumulate, found[1]);
        compare_losses(&r, step, found[0], wanted, LOSS_BOUND);
        assert_memory_equal(found[0], found[1], sizeof found[0]);
        assert_true(wanted[2] > 0.001 && (wanted[3] > 0.01 || test->hidden == DISTILL_NO_HIDDEN)); /* there is something to learn */
        assert_true(fabs(wanted[0] - test->task_alpha * wanted[1] - test->teacher_alpha * wanted[2] - wanted[3]) <
                    1e-5 * wanted[0]);
    }
    compare_state(one, interpreted, BOUND);
    compare_state(two, one, 0);
    training_destroy(interpreted);
    training_destroy(one);
    training_destroy(two);
    end(&r);
}

/* ---- tests ---- */

static void cosines_of_last_states(void **unused) {
    (void)unused;
    compiled_is_interpreted(&(hidden_case){.head = HEAD_MASKED_LM,
                                           .arch = MODEL_BERT,
                                           .hidden = DISTILL_DISTILBERT,
                                           .student_layers = 1,
                                           .teacher_layers = 2,
                                           .task_alpha = 0.25,
                                           .teacher_alpha = 0.5,
                                           .mask_padded = true});
}

static void states_and_attentions(void **unused) {
    (void)unused;
    static const int64_t turned[] = {1, 0};
    static const hidden_case cases[] = {
        {MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, DISTILL_TINYBERT, 2, 4, NULL, 0.5, 0.5, true, true, false, 0},
        {MODEL_DISTILBERT, HEAD_QUESTION_ANSWERING, DISTILL_TINYBERT, 2, 2, turned, 0.5, 0.5, false, false, false, 0},
        {MODEL_BERT, HEAD_TOKEN_CLASSIFICATION, DISTILL_TINYBERT, 3, 2, NULL, 0, 0, false, true, true, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) compiled_is_interpreted(&cases[i]);
}

/* Logits alone are compared, so that layers may have any width. */
static void teachers_of_other_widths(void **unused) {
    (void)unused;
    static const hidden_case cases[] = {
        {MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, DISTILL_NO_HIDDEN, 1, 2, NULL, 0.5, 0.5, false, true, false, 48},
        {MODEL_DISTILBERT, HEAD_MASKED_LM, DISTILL_NO_HIDDEN, 2, 1, NULL, 0, 1, false, true, false, 24},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) compiled_is_interpreted(&cases[i]);
}

/* Means are over the rows, and pairs of rows, of the whole step. */
static void two_runs_are_one(void **unused) {
    (void)unused;
    const hidden_case test = {MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, DISTILL_TINYBERT, 1, 2, NULL, 0.5, 0.5, false, true, true,
                              0};
    hidden_run r;
    double whole[N_LOSSES], parts[N_LOSSES];
    begin(&r, &test);
    training *one = create(&r, EXECUTOR_INTERPRETER, 1), *two = create(&r, EXECUTOR_INTERPRETER, 1);
    for (int64_t step = 0; step < STEPS; step++) {
        run_step(&r, one, step, false, whole);
        run_step(&r, two, step, true, parts);
        compare_losses(&r, step, parts, whole, 1e-6);
    }
    compare_state(two, one, 1e-5);
    training_destroy(one);
    training_destroy(two);
    end(&r);
}

/* Products of the teacher in a step. */
static size_t teacher_products(const ir_graph *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.size; i++)
        n += strncmp(g->nodes.data[i].scope, "teacher.", 8) == 0 && op_has(g->nodes.data[i].op, TRAIT_PRODUCT);
    return n;
}

/* Whatever is computed again, the teacher is not, and no bit changes. */
static void teachers_run_once(void **unused) {
    (void)unused;
    static const hidden_case test = {
        MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, DISTILL_TINYBERT, 2, 2, NULL, 0.5, 0.5, true, true, false, 0};
    static const char *const modes[] = {"none", "cheap", "partial", "full"};
    hidden_run r;
    double wanted[N_LOSSES], found[N_LOSSES];
    begin(&r, &test);
    training *first = NULL;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        training_options options = options_of(&r, EXECUTOR_COMPILED, 1);
        training *t;
        options.recompute = modes[i];
        want(&r, training_create(r.model, &options, &r.sink, &t), modes[i]);
        assert_int_equal(teacher_products(training_graph(t)),
                         2 * 7 + 2); /* six linears and attention in each layer, pooler, classifier */
        for (int64_t step = 0; step < 2; step++) run_step(&r, t, step, false, first ? found : wanted);
        if (first) {
            assert_memory_equal(found, wanted, sizeof found);
            compare_state(t, first, 0);
            training_destroy(t);
        } else first = t;
    }
    training_destroy(first);
    end(&r);
}

static void a_copy_has_no_distance(void **unused) {
    (void)unused;
    for (distillation_hidden hidden = DISTILL_DISTILBERT; hidden <= DISTILL_TINYBERT; hidden++) {
        const hidden_case test = {MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, hidden, 2, 2, NULL, 0.5, 0.25, false, true, false, 0};
        hidden_run r;
        double found[N_LOSSES];
        begin(&r, &test);
        r.distillation.teacher = NULL;
        loaded_model_close(r.teacher);
        tiny_model copy = model_of(&test, 2);
        copy.value = student_number;
        open_model(&r, "teacher", &copy, &r.teacher);
        r.distillation.teacher = r.teacher;
        training *t = create(&r, EXECUTOR_COMPILED, 1);
        run_step(&r, t, 0, false, found);
        assert_true(fabs(found[2]) < 1e-6);
        assert_true(fabs(found[3]) < 1e-6);
        training_destroy(t);
        end(&r);
    }
}

static void allocations_may_fail(void **unused) {
    (void)unused;
    static const hidden_case test = {
        MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, DISTILL_TINYBERT, 1, 2, NULL, 0.5, 0.5, false, true, false, 0};
    bool failed = true;
    for (size_t n = 1; failed; n += n / 3 + 1) {
        hidden_run r;
        training *t;
        begin(&r, &test);
        fail_alloc_after(n);
        const pofac_status status = try_create(&r, EXECUTOR_INTERPRETER, 1, &t);
        failed = fail_alloc_stop();
        if (status != POFAC_OK && (!failed || status != POFAC_ERR_RUNTIME))
            fail_msg("allocation %d: status %d, %s", (int)n, (int)status, strbuf_str(&r.messages));
        assert_int_equal(t != NULL, status == POFAC_OK);
        training_destroy(t);
        end(&r);
    }
}

static void refuses(hidden_run *r, const char *message) {
    training *t;
    strbuf_clear(&r->messages);
    assert_int_not_equal(try_create(r, EXECUTOR_INTERPRETER, 1, &t), POFAC_OK);
    assert_null(t);
    if (!strstr(strbuf_str(&r->messages), message)) fail_msg("found %swanted %s", strbuf_str(&r->messages), message);
}

static void what_cannot_be_compared(void **unused) {
    (void)unused;
    static const int64_t map[] = {0, 2};
    const hidden_case test = {MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, DISTILL_TINYBERT, 2, 2, NULL, 0.5, 0.5, false, true, false,
                              0};
    hidden_run r;
    begin(&r, &test);
    distillation *d = &r.distillation;
    d->layer_map = map, d->n_layer_map = 1;
    refuses(&r, "error: layer_map has 1 layers, wanted 2, one for each of the student's\n");
    d->n_layer_map = 2;
    refuses(&r, "error: layer_map names layer 2, wanted one of the teacher's 2, from 0\n");
    d->layer_map = NULL, d->n_layer_map = 0;
    d->hidden = DISTILL_DISTILBERT, d->task_alpha = 1;
    refuses(&r, "error: cross_entropy_alpha and knowledge_distillation_alpha add up to 1.5, wanted at most 1, as distilbert's "
                "cosine of hidden "
                "states has the rest\n");
    d->task_alpha = 0.5;
    training *t = create(&r, EXECUTOR_COMPILED, 1);
    double found[N_LOSSES];
    run_step(&r, t, 0, false, found);
    assert_true(found[0] > 0.1 && found[3] == 0);
    assert_non_null(strstr(strbuf_str(&r.messages),
                           "warning: cross_entropy_alpha and knowledge_distillation_alpha add up to 1, which leaves "
                           "nothing for distilbert's cosine of hidden states\n"));
    training_destroy(t);
    tiny_model other = model_of(&test, 2);
    loaded_model *wide, *few;
    other.spec.hidden_size = 48;
    open_model(&r, "wide", &other, &wide);
    other.spec.hidden_size = 32, other.spec.num_attention_heads = 4;
    open_model(&r, "few", &other, &few);
    d->hidden = DISTILL_TINYBERT, d->teacher = wide;
    refuses(&r, "/wide: error: the teacher's hidden size is 48, wanted 32, as the student's, for cross_model_distillation\n");
    d->teacher = few;
    refuses(&r,
            "/few: error: the teacher has 4 attention heads, wanted 2, as the student, for cross_model_distillation tinybert\n");
    d->teacher = NULL;
    refuses(&r, "error: cross_model_distillation compares hidden states, wanted a teacher that has some, found logits alone\n");
    loaded_model_close(wide);
    loaded_model_close(few);
    end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosines_of_last_states),   cmocka_unit_test(states_and_attentions),
        cmocka_unit_test(teachers_of_other_widths), cmocka_unit_test(two_runs_are_one),
        cmocka_unit_test(teachers_run_once),        cmocka_unit_test(a_copy_has_no_distance),
        cmocka_unit_test(allocations_may_fail),     cmocka_unit_test(what_cannot_be_compared),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
