/* Names in files onto names of a model: each rule, what is missing, unexpected and of another shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/checkpoint/tensor_names.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

/* A file of [2]-shaped f32 tensors of these names. */
static checkpoint *open_names(void **state, const char *const *names, size_t n) {
    static const float values[2] = {1, 2};
    safetensors_item items[16];
    for (size_t i = 0; i < n; i++)
        items[i] = (safetensors_item){.name = names[i], .dtype = IR_F32, .rank = 1, .dims = {2}, .data = values};
    assert_int_equal(safetensors_write(file_path(state, "n.safetensors"), items, n, NULL, 0, NULL), POFAC_OK);
    return expect_open(state, "n.safetensors");
}

typedef struct outcome {
    checkpoint *c;
    arena memory;
    tensor_match match;
    pofac_status status;
    strbuf said;
} outcome;

static void run(void **state, const char *const *files, size_t n_files, const char *const *models, size_t n_models, outcome *o) {
    *o = (outcome){.c = open_names(state, files, n_files), .memory = ARENA_INIT, .said = STRBUF_INIT};
    wanted_tensor wanted[16];
    for (size_t i = 0; i < n_models; i++) wanted[i] = (wanted_tensor){models[i], 1, {2}};
    diag_sink sink = diag_sink_to_strbuf(&o->said);
    o->status = tensor_names_match(o->c, wanted, n_models, &o->memory, &sink, &o->match);
    if (o->said.data) cut_directory(state, o->said.data);
}

static void end(outcome *o) {
    checkpoint_close(o->c);
    arena_free(&o->memory);
    strbuf_free(&o->said);
}

/* One name in the file, one in the model: do they meet? */
static void expect_meet(void **state, const char *file, const char *model, bool meet) {
    outcome o;
    run(state, &file, 1, &model, 1, &o);
    assert_string_equal(strbuf_str(&o.said), "");
    assert_int_equal(o.status, POFAC_OK);
    if ((o.match.tensors[0] != NULL) != meet)
        print_error("%s and %s: wanted %s\n", file, model, meet ? "one tensor" : "two tensors");
    assert_int_equal(o.match.tensors[0] != NULL, meet);
    assert_int_equal(o.match.n_missing, !meet);
    assert_int_equal(o.match.n_unexpected, !meet);
    assert_int_equal(o.match.n_redundant, 0);
    end(&o);
}

static void test_rewriting(void **state) {
    static const struct {
        const char *file, *model;
        bool meet;
    } rows[] = {
        {"bert.x.weight", "bert.x.weight", true},
        {"module.bert.x.weight", "bert.x.weight", true},
        {"_orig_mod.bert.x.weight", "bert.x.weight", true},
        {"module._orig_mod.bert.x.weight", "bert.x.weight", true},
        {"bert.x.LayerNorm.gamma", "bert.x.LayerNorm.weight", true},
        {"bert.x.LayerNorm.beta", "bert.x.LayerNorm.bias", true},
        {"module.x.LayerNorm.beta", "bert.x.LayerNorm.bias", true},
        {"x.weight", "bert.x.weight", true},
        {"x.weight", "distilbert.x.weight", true},
        {"bert.x.weight", "x.weight", true},
        {"distilbert.x.weight", "x.weight", true},
        {"distilbert.x.weight", "bert.x.weight", false},
        {"y.weight", "bert.x.weight", false},
        {"albert.x.weight", "bert.x.weight", false},
        {"gamma", "weight", false},
        {"modulex.weight", "x.weight", false},
        {"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight", true}, /* tied, both ways */
        {"cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight", true},
        {"cls.predictions.decoder.bias", "cls.predictions.bias", true},
        {"cls.predictions.bias", "cls.predictions.decoder.bias", true},
        {"vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight", true},
        {"distilbert.embeddings.word_embeddings.weight", "vocab_projector.weight", true},
        {"module.vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) expect_meet(state, rows[i].file, rows[i].model, rows[i].meet);
}

static void test_lists(void **state) {
    static const char *const files[] = {"z.weight",
                                        "bert.a.weight",
                                        "bert.embeddings.position_ids",
                                        "embeddings.token_type_ids",
                                        "bert.embeddings.word_embeddings.weight",
                                        "cls.predictions.decoder.weight",
                                        "cls.predictions.decoder.bias",
                                        "cls.predictions.bias",
                                        "vocab_projector.weight",
                                        "b.weight"};
    static const char *const models[] = {"bert.c.weight", "bert.b.weight", "bert.embeddings.word_embeddings.weight",
                                         "cls.predictions.bias", "bert.d.weight"};
    outcome o;
    run(state, files, 10, models, 5, &o);
    assert_int_equal(o.status, POFAC_OK);
    const tensor_match *m = &o.match;
    assert_null(m->tensors[0]);
    assert_string_equal(m->tensors[1]->name, "b.weight");
    assert_string_equal(m->tensors[2]->name, "bert.embeddings.word_embeddings.weight");
    assert_string_equal(m->tensors[3]->name, "cls.predictions.bias");
    assert_null(m->tensors[4]);
    assert_int_equal(m->n_missing, 2);
    assert_int_equal(m->missing[0], 0);
    assert_int_equal(m->missing[1], 4);
    assert_int_equal(m->n_unexpected, 3);
    assert_string_equal(m->unexpected[0]->name, "bert.a.weight");
    assert_string_equal(m->unexpected[1]->name,
                        "vocab_projector.weight"); /* tied to DistilBERT's embedding, which this model has not */
    assert_string_equal(m->unexpected[2]->name, "z.weight");
    assert_int_equal(m->n_redundant, 4);
    assert_string_equal(m->redundant[0]->name, "bert.embeddings.position_ids");
    assert_string_equal(m->redundant[1]->name, "cls.predictions.decoder.bias");
    assert_string_equal(m->redundant[2]->name, "cls.predictions.decoder.weight");
    assert_string_equal(m->redundant[3]->name, "embeddings.token_type_ids");
    end(&o);
}

/* Without tied embeddings both are parameters; where the file has one alone, both are that one. */
static void test_untied(void **state) {
    static const char *const files[] = {"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"};
    for (size_t n_files = 1; n_files <= 2; n_files++) {
        outcome o;
        run(state, files, n_files, files, 2, &o);
        assert_int_equal(o.status, POFAC_OK);
        assert_int_equal(o.match.n_missing + o.match.n_unexpected + o.match.n_redundant, 0);
        assert_string_equal(o.match.tensors[0]->name, files[0]);
        assert_string_equal(o.match.tensors[1]->name, files[n_files - 1]);
        end(&o);
    }
}

static void test_two_for_one(void **state) {
    static const char *const files[] = {"bert.x.LayerNorm.gamma", "module.bert.x.LayerNorm.weight"};
    static const char *const models[] = {"bert.x.LayerNorm.weight"};
    outcome o;
    run(state, files, 2, models, 1, &o);
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&o.said), "n.safetensors: error: found tensor \"bert.x.LayerNorm.gamma\" and tensor "
                                             "\"module.bert.x.LayerNorm.weight\", wanted one of them: both stand for "
                                             "bert.x.LayerNorm.weight\n");
    end(&o);
}

static void test_shapes(void **state) {
    static const float values[6];
    const safetensors_item items[] = {
        {.name = "a", .dtype = IR_F32, .rank = 2, .dims = {2, 3}, .data = values},
        {.name = "b", .dtype = IR_F16, .rank = 1, .dims = {2}, .data = values},
        {.name = "module.c", .dtype = IR_F32, .rank = 1, .dims = {6}, .data = values},
        {.name = "d", .dtype = IR_I8, .rank = 1, .dims = {2}, .data = values},
        {.name = "e", .dtype = IR_F64, .rank = 0, .data = values},
    };
    assert_int_equal(safetensors_write(file_path(state, "n.safetensors"), items, 5, NULL, 0, NULL), POFAC_OK);
    checkpoint *c = expect_open(state, "n.safetensors");
    const wanted_tensor wanted[] = {{"a", 2, {3, 2}}, {"b", 1, {2}}, {"c", 2, {6, 1}}, {"d", 1, {2}}, {"e", 0, {0}}, {"f", 1, {1}}};
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    arena memory = ARENA_INIT;
    tensor_match m;
    assert_int_equal(tensor_names_match(c, wanted, 6, &memory, &sink, &m), POFAC_ERR_INPUT);
    cut_directory(state, said.data);
    assert_string_equal(said.data, "n.safetensors: error: tensor \"a\": found f32[2,3], wanted f32[3,2]\n"
                                   "n.safetensors: error: tensor \"module.c\" (c): found f32[6], wanted f32[6,1]\n"
                                   "n.safetensors: error: tensor \"d\": found i8[2], wanted floats [2]\n");
    assert_int_equal(m.n_missing, 1);
    strbuf_free(&said);
    arena_free(&memory);
    checkpoint_close(c);
}

static void test_nothing(void **state) {
    outcome o;
    run(state, NULL, 0, NULL, 0, &o);
    assert_int_equal(o.status, POFAC_OK);
    assert_int_equal(o.match.n_missing + o.match.n_unexpected + o.match.n_redundant, 0);
    end(&o);
}

/* Every row of names.def is met by a case above. */
static void test_table(void **state) {
    (void)state;
    size_t n;
    const tensor_rule *rules = tensor_rules(&n);
    static const char *const tested[] = {"module.",
                                         "_orig_mod.",
                                         ".gamma",
                                         ".beta",
                                         "bert.",
                                         "distilbert.",
                                         "embeddings.position_ids",
                                         "embeddings.token_type_ids",
                                         "bert.embeddings.word_embeddings.weight",
                                         "cls.predictions.bias",
                                         "distilbert.embeddings.word_embeddings.weight"};
    assert_int_equal(n, sizeof tested / sizeof *tested);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(rules[i].text, tested[i]);
        assert_int_equal(rules[i].other != NULL, rules[i].kind == RULE_ENDING || rules[i].kind == RULE_TIED);
        assert_true(rules[i].meaning[0]);
    }
    static const char *const kinds[] = {"prefix", "ending", "optional prefix", "ignored", "tied"};
    for (int kind = RULE_PREFIX; kind <= RULE_TIED; kind++)
        assert_string_equal(tensor_rule_kind_name((tensor_rule_kind)kind), kinds[kind]);
}

static void test_failing_allocations(void **state) {
    static const char *const files[] = {"bert.x.gamma", "y", "z"};
    const wanted_tensor wanted[] = {{"bert.x.weight", 1, {2}}, {"bert.y", 1, {2}}};
    checkpoint *c = open_names(state, files, 3);
    for (size_t n = 1;; n++) {
        arena memory = ARENA_INIT;
        tensor_match m;
        fail_alloc_after(n);
        pofac_status status = tensor_names_match(c, wanted, 2, &memory, NULL, &m);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        arena_free(&memory);
        if (!failed) break;
    }
    checkpoint_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewriting), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_untied),    cmocka_unit_test(test_two_for_one),
        cmocka_unit_test(test_shapes),    cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_table),     cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
