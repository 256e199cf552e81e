/*
 * Steps with a teacher, compiled against interpreted: losses, and what plain gradient descent at rate 1 makes of the state, which is the whole
 * model's gradient, for every head, teachers of other sizes and architectures, logits that are inputs, drawn tokens, logits that never are
 * whole, locked zeros and accumulation; the same bits from 1 and 2 threads. Nothing runs through evaluators, nothing of the teacher is state, and no
 * mode of recomputation runs it again. And what is refused.
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
#include "frontend/driver/training_memory.h"
#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/temporary_folder.h"

#define LABELS 3
/* Of sums of up to some hundred products of numbers below 1, and of parameters below 2: their rounding. */
#define BOUND 4e-6
#define LOSS_BOUND 2e-5

static char folder[] = "/tmp/pofac_distillation_XXXXXX", cache_folder[64];

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

static double number(const char *name, int64_t row, int64_t column, uint64_t seed, double zeros) {
    const uint64_t i = (uint64_t)(row * 4096 + column);
    const double random = rng_uniform(rng_key_make(seed, name), i) - 0.5;
    if (strstr(name, "LayerNorm.weight") || strstr(name, "layer_norm.weight")) return 1 + 0.25 * random;
    if (column > 0 && !strstr(name, "embeddings") && rng_uniform(rng_key_make(seed + 1, name), i) < zeros) return 0;
    return 0.4 * random;
}

static double student_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 5, 0); }
static double sparse_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 5, 0.8); }
static double sparse_teacher_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 77, 0.8); }
static double teacher_number(const char *name, int64_t row, int64_t column) { return number(name, row, column, 77, 0); }

typedef struct distill_case {
    const char *what;
    model_arch arch, teacher_arch;
    model_head head;
    double token_share; /* 0: all */
    int64_t top_k;
    bool given, tiled, wide_teacher, sparse_teacher, lock, accumulate, padded_logits, dropout;
} distill_case;

typedef struct distill_run {
    const distill_case *test;
    strbuf messages;
    diag_sink sink;
    loaded_model *student, *teacher;
    distillation d;
    train_inputs *inputs;
    named_tensors rows, given; /* of the batch at hand; a teacher's logits */
    tensor_source source;      /* of both */
    const tensor_source *made;
} distill_run;

static void want(distill_run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s: %s", r->test->what, what, strbuf_str(&r->messages));
}

static loaded_model *open_model(distill_run *r, const char *name, const tiny_model *m) {
    char path[128];
    loaded_model *out;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    tiny_model_write(m, path);
    const loaded_model_options options = {.head = m->spec.head, .num_labels = m->spec.num_labels};
    want(r, loaded_model_open(path, &options, &r->sink, &out), name);
    return out;
}

static void begin(distill_run *r, const distill_case *test) {
    *r = (distill_run){.test = test, .messages = STRBUF_INIT, .rows.what = "input", .given.what = "input"};
    r->sink = diag_sink_to_strbuf(&r->messages);
    tiny_model student = {.spec = tiny_spec(test->arch, test->head), .value = test->lock ? sparse_number : student_number};
    tiny_model teacher = {.spec = tiny_spec(test->teacher_arch, test->head),
                          .value = test->sparse_teacher ? sparse_teacher_number : teacher_number};
    student.spec.num_labels = teacher.spec.num_labels = LABELS;
    if (test->wide_teacher) teacher.spec.hidden_size = 48, teacher.spec.num_hidden_layers = 2;
    r->student = open_model(r, "student", &student);
    if (!test->given) r->teacher = open_model(r, "teacher", &teacher);
    r->d = (distillation){.teacher = r->teacher,
                          .task_alpha = 0.3,
                          .teacher_alpha = 0.7,
                          .temperature = 2,
                          .token_share = test->token_share > 0 ? test->token_share : 1,
                          .top_k = test->top_k};
    want(r, train_inputs_create(loaded_model_spec(r->student), 11, &r->sink, &r->inputs), "inputs");
    train_inputs_set_token_share(r->inputs, r->d.token_share);
}

static void end(distill_run *r) {
    named_tensors_free(&r->rows);
    named_tensors_free(&r->given);
    train_inputs_destroy(r->inputs);
    loaded_model_close(r->teacher);
    loaded_model_close(r->student);
    strbuf_free(&r->messages);
}

static training *create(distill_run *r, executor_kind kind, size_t threads, const char *recompute) {
    training *t;
    strbuf text = STRBUF_INIT;
    training_options o = {.road = {.cache_dir = cache_folder,
                                   .tune = ROAD_TUNE_OFF,
                                   .threads = threads,
                                   .graph = {.mask_padded_logits = !r->test->padded_logits, .dropout = r->test->dropout}},
                          .kind = kind,
                          .optim = "sgd",
                          .accumulate = r->test->accumulate,
                          .lock = r->test->lock,
                          .recompute = recompute,
                          .distillation = &r->d};
    distillation_put_pass(&r->d, &o.road.graph, &text);
    strbuf_puts(&text, ",simplify,unpad,dead-tokens,simplify,tile-loss{min_classes=8},autodiff,"
                       "optimizer{optim=sgd,max_grad_norm=0},train-kernels,recompute,fuse,plan-memory");
    if (r->test->tiled && kind == EXECUTOR_COMPILED) o.pipeline = strbuf_str(&text);
    want(r, training_create(r->student, &o, &r->sink, &t), "create");
    strbuf_free(&text);
    return t;
}

/* ---- batches ---- */

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    distill_run *r = user;
    ir_tensor *given = strncmp(name, "teacher_", 8) == 0 ? named_tensors_find(&r->given, name) : NULL;
    if (!given) return r->made->get(r->made->user, name, sink, out);
    *out = *given;
    out->owned = false;
    return POFAC_OK;
}

static uint64_t draw(const char *name, int64_t i, uint64_t bound) { return rng_below(rng_key_make(3, name), (uint64_t)i, bound); }

static ir_tensor *add_integers(distill_run *r, batch *b, const char *name, uint32_t rank, const int64_t dims[2]) {
    ir_tensor *t = named_tensors_add(&r->rows, name, IR_I64, rank, dims);
    b->names[b->n_tensors] = name;
    b->tensors[b->n_tensors++] = *t;
    b->tensors[b->n_tensors - 1].owned = false;
    return t;
}

/* Ids, types, and a mask that keeps all but the ends of some sequences. */
static void add_tokens(distill_run *r, batch *b, const int64_t dims[2], int64_t step) {
    ir_tensor *ids = add_integers(r, b, "input_ids", 2, dims), *mask = add_integers(r, b, "attention_mask", 2, dims),
              *types = add_integers(r, b, "token_type_ids", 2, dims);
    for (int64_t i = 0; i < dims[0] * dims[1]; i++) {
        const int64_t sequence = i / dims[1], place = i % dims[1], length = dims[1] - 2 * (sequence % 3);
        tensor_set_int(ids, i, 1 + (int64_t)draw("ids", i + 1000 * step, TINY_VOCAB_SIZE - 1));
        tensor_set_int(types, i, place > 2);
        tensor_set_int(mask, i, place < length);
        b->n_tokens += place < length;
    }
}

static void add_labels(distill_run *r, batch *b, const int64_t dims[2], int64_t step) {
    size_t n;
    const model_spec *s = loaded_model_spec(r->student);
    const model_loss *losses = model_graph_losses(s, &n);
    for (size_t l = 0; l < n; l++) {
        ir_tensor *t = add_integers(r, b, losses[l].labels, losses[l].per_token ? 2 : 1, dims);
        const bool words = losses[l].per_token && s->head != HEAD_TOKEN_CLASSIFICATION;
        const int64_t classes = losses[l].is_position                     ? 4
                                : words                                   ? TINY_VOCAB_SIZE
                                : strcmp(losses[l].labels, "labels") == 0 ? LABELS
                                                                          : 2;
        const ir_tensor *mask = named_tensors_find(&r->rows, "attention_mask");
        for (int64_t i = 0; i < tensor_elements(t); i++) {
            const bool none = losses[l].per_token && (tensor_get_int(mask, i) == 0 || draw("chosen", i + 1000 * step, 3) != 0);
            tensor_set_int(t, i, none ? -100 : (int64_t)draw(losses[l].labels, i + 1000 * step, (uint64_t)classes));
        }
    }
}

/* What the step reads of a teacher that is not there. */
static void add_given(distill_run *r, const ir_graph *g, const int64_t dims[2], int64_t step) {
    named_tensors_free(&r->given);
    r->given.what = "input";
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        if (n->op != OP_input || strncmp(node_string(n, "name"), "teacher_", 8) != 0) continue;
        const ir_type *type = graph_type(g, n->first_result);
        int64_t sizes[3] = {dims[0], dims[1], 0};
        for (uint32_t k = 1; k < type->rank; k++) (void)dim_is_const(type->dims[k], &sizes[k]);
        const char *name = node_string(n, "name");
        ir_tensor *t = named_tensors_add(&r->given, name, type->dtype, type->rank, sizes);
        for (int64_t k = 0; k < tensor_elements(t); k++) {
            if (type->dtype == IR_F32) tensor_set(t, k, 3 * rng_uniform(rng_key_make(8, name), (uint64_t)(k + 1000 * step)) - 1);
            else tensor_set_int(t, k, k % TINY_VOCAB_SIZE); /* k different classes in each row */
        }
    }
}

static const int64_t shapes[][2] = {{3, 7}, {5, 12}, {1, 4}};

static void add_batch(distill_run *r, const ir_graph *g, int64_t step, size_t shape) {
    batch b = {.n_sequences = shapes[shape][0]};
    named_tensors_free(&r->rows);
    r->rows.what = "input";
    add_tokens(r, &b, shapes[shape], step);
    add_labels(r, &b, shapes[shape], step);
    if (r->test->given) add_given(r, g, shapes[shape], step);
    want(r, train_inputs_add(r->inputs, &b, &r->sink), "batch");
}

static void run(distill_run *r, training *t, size_t i) {
    want(r, train_inputs_select(r->inputs, i, &r->sink, &r->made), "inputs");
    r->source = (tensor_source){.get = get_input, .user = r};
    want(r, training_run(t, &r->source, &r->sink), "run");
}

static double output(distill_run *r, const training *t, const char *name) {
    ir_tensor out;
    want(r, training_output(t, name, &r->sink, &out), name);
    return tensor_get(&out, 0);
}

static const char *const terms[] = {"loss.task", "loss.distill", "loss"};

/* One step of all trainings, whose losses must agree; with accumulation a step of two batches. */
static void run_step(distill_run *r, training *const *t, size_t n, int64_t step) {
    const size_t n_batches = r->test->accumulate ? 2 : 1;
    train_inputs_begin(r->inputs, step + 1, 1);
    for (size_t b = 0; b < n_batches; b++) add_batch(r, training_graph(t[0]), step, ((size_t)step + b) % 3);
    for (size_t b = 0; b < n_batches; b++) {
        double loss[3][3];
        for (size_t i = 0; i < n; i++) {
            run(r, t[i], b);
            for (size_t k = 0; k < 3; k++) loss[i][k] = output(r, t[i], terms[k]);
        }
        for (size_t i = 1; i < n; i++)
            for (size_t k = 0; k < 3; k++)
                if (!(fabs(loss[i][k] - loss[0][k]) <= LOSS_BOUND * (1 + fabs(loss[0][k]))))
                    fail_msg("%s, step %d, training %zu: %s is %.9g, wanted %.9g", r->test->what, (int)step, i, terms[k],
                             loss[i][k], loss[0][k]);
        if (!(loss[0][1] > 1e-4)) fail_msg("%s: loss.distill is %.9g, wanted models that differ", r->test->what, loss[0][1]);
    }
    for (size_t i = 0; i < n && r->test->accumulate; i++) want(r, training_apply(t[i], r->made, &r->sink), "update");
}

/* ---- state ---- */

static int64_t compare_state(distill_run *r, training *wanted, training *found, double bound) {
    int64_t compared = 0;
    assert_int_equal(state_store_size(training_state(found)), state_store_size(training_state(wanted)));
    for (size_t i = 0; i < state_store_size(training_state(wanted)); i++) {
        const state_entry *a = state_store_at(training_state(wanted), i), *b = state_store_find(training_state(found), a->name);
        assert_non_null(b);
        assert_true(strncmp(a->name, "teacher.", 8) != 0);
        assert_int_equal(tensor_elements(&a->tensor), tensor_elements(&b->tensor));
        for (int64_t k = 0; k < tensor_elements(&a->tensor); k++, compared++) {
            const double x = tensor_get(&a->tensor, k), y = tensor_get(&b->tensor, k);
            if (!(fabs(x - y) <= bound)) fail_msg("%s: %s[%d] is %.9g, wanted %.9g", r->test->what, a->name, (int)k, y, x);
        }
    }
    return compared;
}

static void want_kernels(const distill_run *r, const training *t) {
    for (int apply = 0; apply < 2; apply++) {
        const runnable *run = training_runnable(t, apply);
        for (size_t i = 0; run && i < run->plan->n_steps; i++)
            if (plan_step_is_evaluator(&run->plan->steps[i]))
                fail_msg("%s: %s in scope \"%s\" runs through its evaluator", r->test->what, run->plan->steps[i].variant,
                         run->plan->steps[i].scope);
    }
}

/* A teacher's weights with many zeros are read by their non-zeros. */
static void want_sparse_teacher(const distill_run *r, const training *t) {
    const ir_graph *g = training_graph(t);
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.size; i++)
        n += g->nodes.data[i].op == OP_pattern && strncmp(node_string(&g->nodes.data[i], "name"), "teacher.", 8) == 0;
    if (n != (r->test->sparse_teacher ? 7 : 0)) fail_msg("%s: %zu of the teacher's weights are sparse", r->test->what, n);
}

/* Memory can be told beforehand, whatever rows are drawn. */
static void want_memory(distill_run *r, training *t) {
    step_memory m;
    const batch_shape shape = {.sequences = 4, .length = 12, .tokens = 48, .predictions = 48};
    want(r, step_memory_of_training(t, shape, &r->sink, &m), "memory");
    assert_true(step_memory_bytes(&m) > 0);
}

static const distill_case cases[] = {
    {"pre-training", .head = HEAD_PRETRAINING, .dropout = true},
    {"pre-training, logits in chunks", .head = HEAD_PRETRAINING, .tiled = true, .wide_teacher = true},
    {"pre-training, a share of the tokens", .head = HEAD_PRETRAINING, .token_share = 0.3, .tiled = true},
    {"masked words of DistilBERT, the likeliest given", .arch = MODEL_DISTILBERT, .head = HEAD_MASKED_LM, .given = true,
     .top_k = 4},
    {"masked words, the likeliest of a share", .head = HEAD_MASKED_LM, .given = true, .top_k = 4, .token_share = 0.3},
    {"pairs with zeros, DistilBERT from BERT", .arch = MODEL_DISTILBERT, .head = HEAD_SEQUENCE_CLASSIFICATION, .lock = true},
    {"pairs, several runs", .head = HEAD_SEQUENCE_CLASSIFICATION, .accumulate = true, .wide_teacher = true},
    {"tokens", .head = HEAD_TOKEN_CLASSIFICATION, .teacher_arch = MODEL_DISTILBERT, .dropout = true},
    {"tokens, a share of them, given", .head = HEAD_TOKEN_CLASSIFICATION, .given = true, .token_share = 0.5},
    {"answers", .head = HEAD_QUESTION_ANSWERING},
    {"answers of a teacher with zeros", .head = HEAD_QUESTION_ANSWERING, .sparse_teacher = true},
    {"answers, padding too, given", .head = HEAD_QUESTION_ANSWERING, .given = true, .padded_logits = true},
};

static void steps_equal_the_interpreters(void **unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        distill_run r;
        begin(&r, &cases[i]);
        training *t[] = {create(&r, EXECUTOR_INTERPRETER, 1, NULL), create(&r, EXECUTOR_COMPILED, 1, NULL),
                         create(&r, EXECUTOR_COMPILED, 2, NULL)};
        want_kernels(&r, t[1]);
        want_memory(&r, t[1]);
        want_sparse_teacher(&r, t[1]);
        for (int64_t step = 0; step < 2; step++) run_step(&r, t, 3, step);
        assert_true(compare_state(&r, t[0], t[1], BOUND) > 5000);
        (void)compare_state(&r, t[1], t[2], 0);
        for (size_t k = 0; k < 3; k++) training_destroy(t[k]);
        end(&r);
    }
}

/* ---- the teacher in the graph ---- */

static size_t count_teacher(const ir_graph *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.size; i++)
        n += strncmp(g->nodes.data[i].scope, "teacher", 7) == 0 && !op_has(g->nodes.data[i].op, TRAIT_LEAF);
    return n;
}

static void teachers_run_once(void **unused) {
    (void)unused;
    static const char *const modes[] = {"none", "cheap", "partial", "full"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n[4];
        distill_run r;
        if (cases[i].given || cases[i].tiled) continue;
        begin(&r, &cases[i]);
        for (size_t m = 0; m < 4; m++) {
            ir_module *module;
            const training_options o = {.road = {.tune = ROAD_TUNE_OFF, .graph.dropout = cases[i].dropout},
                                        .kind = EXECUTOR_COMPILED,
                                        .optim = "sgd",
                                        .recompute = modes[m],
                                        .distillation = &r.d};
            want(&r, training_build(r.student, &o, &r.sink, &module), "build");
            n[m] = count_teacher(module_find_graph(module, "step"));
            if (n[m] < 10 || n[m] != n[0])
                fail_msg("%s: with mode %s %zu nodes are the teacher's, wanted %zu", cases[i].what, modes[m], n[m], n[0]);
            module_destroy(module);
        }
        end(&r);
    }
}

/* ---- what is refused ---- */

typedef struct refused_case {
    model_head head;
    double task_alpha, teacher_alpha, temperature, token_share;
    int64_t labels, positions, hidden, top_k;
    bool regression;
    const char *message; /* after the path of the model that it names */
} refused_case;

static const refused_case refused[] = {
    {HEAD_SEQUENCE_CLASSIFICATION, -1, 0.5, 2, 1, 3, 24, 32, 0, false,
     "cross_entropy_alpha of distillation is -1, wanted a number of at least 0"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0.5, NAN, 2, 1, 3, 24, 32, 0, false,
     "knowledge_distillation_alpha of distillation is nan, wanted a number of at least 0"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0.5, 0.5, 0, 1, 3, 24, 32, 0, false,
     "temperature of distillation is 0, wanted a number above 0"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0.5, 0.5, INFINITY, 1, 3, 24, 32, 0, false,
     "temperature of distillation is inf, wanted a number above 0"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0.5, 0.5, 2, 1.5, 3, 24, 32, 0, false,
     "token_share of distillation is 1.5, wanted a number above 0 and at most 1"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0.5, 0.5, 2, 1, 3, 24, 32, -2, false,
     "top_k of distillation is -2, wanted 0 for whole logits, or how many are kept"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0, 0, 2, 1, 3, 24, 32, 0, false,
     "cross_entropy_alpha and knowledge_distillation_alpha are both 0, wanted something to learn from"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0.5, 0.5, 2, 1, 1, 24, 32, 0, true,
     "the model predicts numbers (regression), wanted logits, whose distribution a teacher can give"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0.5, 0.5, 2, 1, 5, 24, 32, 0, false, "the teacher has 5 classes, wanted 3, as the student"},
    {HEAD_SEQUENCE_CLASSIFICATION, 0.5, 0.5, 2, 1, 3, 20, 32, 0, false,
     "the teacher takes sequences of 20 tokens, wanted 24, as the student"},
    {HEAD_QUESTION_ANSWERING, 0.5, 0.5, 2, 1, 3, 24, 32, 0, false,
     "the teacher's head is question-answering, wanted sequence-classification, as the student's"},
};

static void misfits_are_refused(void **unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const refused_case *c = &refused[i];
        const distill_case none = {.what = c->message, .head = HEAD_SEQUENCE_CLASSIFICATION};
        distill_run r = {.test = &none, .messages = STRBUF_INIT};
        r.sink = diag_sink_to_strbuf(&r.messages);
        tiny_model student = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)},
                   teacher = {.spec = tiny_spec(MODEL_BERT, c->head)};
        student.spec.num_labels = c->regression ? 1 : 3;
        student.spec.regression = c->regression;
        teacher.spec.num_labels = c->labels;
        teacher.spec.max_position_embeddings = c->positions;
        r.student = open_model(&r, "student", &student);
        r.teacher = open_model(&r, "teacher", &teacher);
        strbuf_clear(&r.messages);
        r.d = (distillation){.teacher = r.teacher,
                             .task_alpha = c->task_alpha,
                             .teacher_alpha = c->teacher_alpha,
                             .temperature = c->temperature,
                             .token_share = c->token_share,
                             .top_k = c->top_k};
        if (distillation_check(&r.d, r.student, &r.sink) == POFAC_OK) fail_msg("case %zu is taken, wanted: %s", i, c->message);
        if (!strstr(strbuf_str(&r.messages), c->message))
            fail_msg("case %zu: %s\nwanted: %s", i, strbuf_str(&r.messages), c->message);
        end(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_equal_the_interpreters),
        cmocka_unit_test(teachers_run_once),
        cmocka_unit_test(misfits_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
