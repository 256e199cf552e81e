/* model_spec and config.json: what is read, what is refused and with which words, what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/model/model_spec.h"
#include "ir/support/file_map.h"
#include "tests/unit/fail_alloc.h"

static void *counted_malloc(size_t n) { return malloc(n); }
static void counted_free(void *p) { free(p); }

static int set_up(void **state) {
    static char folder[] = "/tmp/pofac-config-XXXXXX";
    if (!mkdtemp(folder)) return -1;
    json_set_alloc_funcs(counted_malloc, counted_free); /* jansson's allocations fail as well */
    *state = folder;
    return 0;
}

static int tear_down(void **state) {
    char path[256];
    snprintf(path, sizeof path, "%s/config.json", (char *)*state);
    remove(path);
    return remove(*state);
}

typedef struct outcome {
    pofac_status status;
    model_spec spec;
    arena memory;
    char said[4096]; /* with the folder's name cut from the messages */
} outcome;

static void cut_all(char *text, const char *what) {
    for (char *at; (at = strstr(text, what));) memmove(at, at + strlen(what), strlen(at + strlen(what)) + 1);
}

static void read_text(void **state, const char *json, outcome *out) {
    char path[300], folder[256];
    snprintf(folder, sizeof folder, "%s/", (char *)*state);
    snprintf(path, sizeof path, "%sconfig.json", folder);
    assert_int_equal(file_write_all(path, json, strlen(json), NULL), POFAC_OK);
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    *out = (outcome){.memory = ARENA_INIT};
    out->status = config_json_read(path, &out->memory, &sink, &out->spec);
    snprintf(out->said, sizeof out->said, "%s", strbuf_str(&said));
    cut_all(out->said, folder);
    strbuf_free(&said);
}

static void expect_error(void **state, const char *json, const char *said) {
    outcome o;
    read_text(state, json, &o);
    if (strcmp(o.said, said) != 0) print_error("%s\n", json);
    assert_string_equal(o.said, said);
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    arena_free(&o.memory);
}

static void expect_spec(void **state, const char *json, outcome *o) {
    read_text(state, json, o);
    assert_string_equal(o->said, "");
    assert_int_equal(o->status, POFAC_OK);
}

static void test_bert_keys(void **state) {
    outcome o;
    expect_spec(
        state,
        "{\"model_type\": \"bert\", \"vocab_size\": 11, \"hidden_size\": 12, \"num_hidden_layers\": 3, \"num_attention_heads\": 4,"
        "\"intermediate_size\": 5, \"max_position_embeddings\": 6, \"type_vocab_size\": 7, \"pad_token_id\": 8,"
        "\"hidden_act\": \"gelu_new\", \"layer_norm_eps\": 1e-5, \"initializer_range\": 0.5, \"hidden_dropout_prob\": 0,"
        "\"attention_probs_dropout_prob\": 0.25, \"classifier_dropout\": 0.125, \"tie_word_embeddings\": false,"
        "\"num_labels\": 3, \"architectures\": [\"BertForTokenClassification\"], \"unknown\": [1]}",
        &o);
    const model_spec *s = &o.spec;
    assert_int_equal(s->arch, MODEL_BERT);
    assert_int_equal(s->head, HEAD_TOKEN_CLASSIFICATION);
    assert_int_equal(s->vocab_size, 11);
    assert_int_equal(s->hidden_size, 12);
    assert_int_equal(s->num_hidden_layers, 3);
    assert_int_equal(s->num_attention_heads, 4);
    assert_int_equal(s->intermediate_size, 5);
    assert_int_equal(s->max_position_embeddings, 6);
    assert_int_equal(s->type_vocab_size, 7);
    assert_int_equal(s->pad_token_id, 8);
    assert_int_equal(s->hidden_act, ACTIVATION_GELU_NEW);
    assert_true(s->layer_norm_eps == 1e-5 && s->initializer_range == 0.5 && s->hidden_dropout_prob == 0);
    assert_true(s->attention_probs_dropout_prob == 0.25 && s->classifier_dropout == 0.125 && s->qa_dropout == 0);
    assert_false(s->tie_word_embeddings);
    assert_int_equal(s->num_labels, 3);
    assert_null(s->labels);
    assert_false(s->regression);
    arena_free(&o.memory);
}

static void test_distilbert_keys(void **state) {
    outcome o;
    expect_spec(state,
                "{\"vocab_size\": 11, \"dim\": 12, \"n_layers\": 3, \"num_attention_heads\": 4, \"hidden_dim\": 5,"
                "\"max_position_embeddings\": 6, \"activation\": \"relu\", \"initializer_range\": 0.5, \"dropout\": 0.0,"
                "\"attention_dropout\": 0.25, \"seq_classif_dropout\": 0.125, \"qa_dropout\": 0.5, \"tie_weights_\": false,"
                "\"problem_type\": \"regression\", \"architectures\": [\"DistilBertForMaskedLM\"], \"pad_token_id\": null}",
                &o);
    const model_spec *s = &o.spec;
    assert_int_equal(s->arch, MODEL_DISTILBERT);
    assert_int_equal(s->head, HEAD_MASKED_LM);
    assert_int_equal(s->vocab_size, 11);
    assert_int_equal(s->hidden_size, 12);
    assert_int_equal(s->num_hidden_layers, 3);
    assert_int_equal(s->num_attention_heads, 4); /* under BERT's name */
    assert_int_equal(s->intermediate_size, 5);
    assert_int_equal(s->max_position_embeddings, 6);
    assert_int_equal(s->type_vocab_size, 0);
    assert_int_equal(s->pad_token_id, 0);
    assert_int_equal(s->hidden_act, ACTIVATION_RELU);
    assert_true(s->layer_norm_eps == 1e-12 && s->initializer_range == 0.5 && s->hidden_dropout_prob == 0);
    assert_true(s->attention_probs_dropout_prob == 0.25 && s->classifier_dropout == 0.125 && s->qa_dropout == 0.5);
    assert_false(s->tie_word_embeddings);
    assert_true(s->regression);
    arena_free(&o.memory);
}

static void test_defaults(void **state) {
    outcome o;
    expect_spec(state,
                "{\"model_type\": \"bert\", \"hidden_dropout_prob\": 0.5, \"classifier_dropout\": null, \"architectures\": null}",
                &o);
    assert_int_equal(o.spec.head, HEAD_AUTO);
    assert_int_equal(o.spec.vocab_size, 30522);
    assert_int_equal(o.spec.hidden_size, 768);
    assert_int_equal(o.spec.num_hidden_layers, 12);
    assert_int_equal(o.spec.num_attention_heads, 12);
    assert_int_equal(o.spec.intermediate_size, 3072);
    assert_int_equal(o.spec.max_position_embeddings, 512);
    assert_int_equal(o.spec.type_vocab_size, 2);
    assert_int_equal(o.spec.num_labels, 2);
    assert_true(o.spec.layer_norm_eps == 1e-12 && o.spec.initializer_range == 0.02 && o.spec.attention_probs_dropout_prob == 0.1);
    assert_true(o.spec.classifier_dropout == 0.5); /* follows hidden_dropout_prob */
    assert_true(o.spec.tie_word_embeddings);
    arena_free(&o.memory);
    expect_spec(state, "{\"model_type\": \"distilbert\", \"architectures\": []}", &o);
    assert_int_equal(o.spec.num_hidden_layers, 6);
    assert_int_equal(o.spec.type_vocab_size, 0);
    assert_true(o.spec.classifier_dropout == 0.2 && o.spec.qa_dropout == 0.1 && o.spec.hidden_dropout_prob == 0.1);
    arena_free(&o.memory);
}

static void test_labels(void **state) {
    outcome o;
    expect_spec(state,
                "{\"hidden_size\": 12, \"id2label\": {\"1\": \"yes\", \"0\": \"n\\u00f6\", \"2\": \"maybe\"}, \"num_labels\": 3}",
                &o);
    assert_int_equal(o.spec.num_labels, 3);
    assert_string_equal(o.spec.labels[0], "n\xc3\xb6");
    assert_string_equal(o.spec.labels[1], "yes");
    assert_string_equal(o.spec.labels[2], "maybe");
    assert_false(o.spec.regression);
    arena_free(&o.memory);
    expect_spec(state, "{\"model_type\": \"bert\", \"id2label\": {\"0\": \"score\"}}", &o);
    assert_int_equal(o.spec.num_labels, 1);
    assert_true(o.spec.regression);
    arena_free(&o.memory);
}

/* pitfall 8: the order of labels is that of id2label, and label2id may not say another one unnoticed. */
static void test_label2id(void **state) {
    static const struct {
        const char *label2id, *said;
    } cases[] = {
        {"{\"yes\": 1, \"no\": 0}", ""},
        {"null", ""},
        {"{\"no\": 0}", ""},
        {"{\"no\": 1, \"yes\": 0}", "found 1 for \"no\""},
        {"{\"no\": 0, \"yes\": 2}", "found 2 for \"yes\""},
        {"{\"no\": 0, \"yes\": \"1\"}", "found \"1\" for \"yes\""},
        {"{\"no\": 0, \"maybe\": 1}", "found 1 for \"maybe\""},
        {"{\"no\": -1}", "found -1 for \"no\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[300], wanted[300] = "";
        snprintf(json, sizeof json, "{\"model_type\": \"bert\", \"id2label\": {\"1\": \"yes\", \"0\": \"no\"}, \"label2id\": %s}",
                 cases[i].label2id);
        if (cases[i].said[0])
            snprintf(wanted, sizeof wanted,
                     "config.json: warning: label2id: %s, which id2label does not have there: labels are those of id2label\n",
                     cases[i].said);
        outcome o;
        read_text(state, json, &o);
        assert_string_equal(o.said, wanted);
        assert_int_equal(o.status, POFAC_OK);
        assert_string_equal(o.spec.labels[0], "no");
        assert_string_equal(o.spec.labels[1], "yes");
        arena_free(&o.memory);
    }
}

static void test_every_head(void **state) {
    size_t n;
    const model_head_row *rows = model_heads(&n);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        model_head parsed = HEAD_AUTO;
        assert_true(model_head_parse(rows[i].name, &parsed));
        assert_int_equal(parsed, rows[i].head);
        assert_string_equal(model_head_name(rows[i].head), rows[i].name);
        assert_ptr_equal(model_head_find(rows[i].head), &rows[i]);
        for (int arch = MODEL_BERT; arch <= MODEL_DISTILBERT; arch++) {
            char json[200];
            snprintf(json, sizeof json, "{\"architectures\": [\"%s\"]}", rows[i].classes[arch]);
            outcome o;
            expect_spec(state, json, &o);
            assert_int_equal(o.spec.arch, arch);
            bool shared = arch == MODEL_DISTILBERT && rows[i].head == HEAD_PRETRAINING; /* masked LM alone */
            assert_int_equal(o.spec.head, shared ? HEAD_MASKED_LM : rows[i].head);
            arena_free(&o.memory);
        }
    }
    assert_null(model_head_name(HEAD_AUTO));
    assert_null(model_head_find(HEAD_AUTO));
    model_head head;
    assert_false(model_head_parse("classification", &head));
}

static void test_activations(void **state) {
    (void)state;
    static const struct {
        model_activation activation;
        const char *name;
    } rows[] = {{ACTIVATION_GELU, "gelu"}, {ACTIVATION_GELU_NEW, "gelu_new"}, {ACTIVATION_RELU, "relu"}};
    for (size_t i = 0; i < 3; i++) {
        model_activation parsed;
        assert_true(model_activation_parse(rows[i].name, &parsed));
        assert_int_equal(parsed, rows[i].activation);
        assert_string_equal(model_activation_name(rows[i].activation), rows[i].name);
    }
    model_activation parsed;
    assert_false(model_activation_parse("swish", &parsed));
    assert_null(model_activation_name((model_activation)3));
}

/* Keys that pofac does not know may hold anything that is JSON. */
static void test_unknown_keys(void **state) {
    outcome o;
    expect_spec(state,
                "{\"model_type\": \"bert\", \"hidden_act\": \"relu\", \"\": 0, \"use_cache\": true, \"label2id\": {\"a\": 1}, "
                "\"task_specific_params\": {\"x\": [[], {}, null, -1e300]}, \"transformers_version\": \"4.6.0.dev0\", "
                "\"torch_dtype\": \"float16\", \"position_embedding_type\": \"absolute\", \"is_decoder\": false}",
                &o);
    assert_int_equal(o.spec.hidden_act, ACTIVATION_RELU);
    assert_int_equal(o.spec.hidden_size, 768);
    arena_free(&o.memory);
    expect_spec(state, "{\"model_type\": \"distilbert\", \"activation\": \"gelu_new\", \"hidden_act\": 3}", &o); /* BERT's key */
    assert_int_equal(o.spec.hidden_act, ACTIVATION_GELU_NEW);
    arena_free(&o.memory);
}

/* Nesting is bounded, so that no document ends in a deep recursion. */
static void test_deep_nesting(void **state) {
    enum { DEPTH = 100000 };
    outcome o;
    strbuf json = STRBUF_INIT;
    strbuf_puts(&json, "{\"model_type\": \"bert\", \"x\": ");
    for (int i = 0; i < DEPTH; i++) strbuf_putc(&json, '[');
    read_text(state, strbuf_str(&json), &o);
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    assert_non_null(strstr(o.said, "config.json:1:2076: error: invalid JSON: maximum parsing depth reached"));
    arena_free(&o.memory);
    strbuf_free(&json);
}

static void test_unknown_class(void **state) {
    outcome o;
    read_text(state, "{\"model_type\": \"bert\", \"architectures\": [\"BertForMultipleChoice\"]}", &o);
    assert_int_equal(o.status, POFAC_OK);
    assert_int_equal(o.spec.head, HEAD_AUTO);
    assert_string_equal(o.said,
                        "config.json: warning: architectures[0]: found \"BertForMultipleChoice\", which is unknown: the head "
                        "follows from the tensors' names\n");
    arena_free(&o.memory);
}

static void test_syntax_errors(void **state) {
    expect_error(state, "", "config.json:1:1: error: invalid JSON: unexpected token near end of file\n  \n  ^\n");
    expect_error(state, "{\"a\": 1,\n  oops}",
                 "config.json:2:3: error: invalid JSON: string or '}' expected near 'oops'\n    oops}\n    ^\n");
    expect_error(
        state, "{\"a\": 1, \"a\": 2}",
        "config.json:1:10: error: invalid JSON: duplicate object key near '\"a\"'\n  {\"a\": 1, \"a\": 2}\n           ^\n");
    expect_error(state, "{\"a\": 99999999999999999999}",
                 "config.json:1:7: error: invalid JSON: too big integer near '99999999999999999999'\n  {\"a\": "
                 "99999999999999999999}\n        ^\n");
    expect_error(state, "{\"a\": 1e999}",
                 "config.json:1:7: error: invalid JSON: real number overflow near '1e999'\n  {\"a\": 1e999}\n        ^\n");
    expect_error(state, "{\"a\": NaN}",
                 "config.json:1:7: error: invalid JSON: invalid token near 'NaN'\n  {\"a\": NaN}\n        ^\n");
    expect_error(state, "[1]", "config.json: error: found an array, wanted an object\n");
    expect_error(state, "7", "config.json: error: found 7, wanted an object\n");
}

static void test_wrong_values(void **state) {
    static const char *const rows[][2] = {
        {"\"vocab_size\": 0", "vocab_size: found 0, wanted an integer from 1 to 16777216"},
        {"\"hidden_size\": -3", "hidden_size: found -3, wanted an integer from 1 to 16777216"},
        {"\"hidden_size\": \"x\"", "hidden_size: found \"x\", wanted an integer from 1 to 16777216"},
        {"\"hidden_size\": null", "hidden_size: found null, wanted an integer from 1 to 16777216"},
        {"\"hidden_size\": 1099511627776", "hidden_size: found 1099511627776, wanted an integer from 1 to 16777216"},
        {"\"vocab_size\": 9223372036854775807", "vocab_size: found 9223372036854775807, wanted an integer from 1 to 16777216"},
        {"\"hidden_size\": 768.0", "hidden_size: found 768.0, wanted an integer from 1 to 16777216"},
        {"\"num_hidden_layers\": 1001", "num_hidden_layers: found 1001, wanted an integer from 1 to 1000"},
        {"\"num_attention_heads\": true", "num_attention_heads: found true, wanted an integer from 1 to 16777216"},
        {"\"num_attention_heads\": 5", "num_attention_heads: found 5, wanted a divisor of hidden_size, which is 768"},
        {"\"intermediate_size\": 16777217", "intermediate_size: found 16777217, wanted an integer from 1 to 16777216"},
        {"\"max_position_embeddings\": {}", "max_position_embeddings: found an object, wanted an integer from 1 to 16777216"},
        {"\"type_vocab_size\": 0", "type_vocab_size: found 0, wanted an integer from 1 to 16777216"},
        {"\"type_vocab_size\": -1", "type_vocab_size: found -1, wanted an integer from 0 to 16777216"},
        {"\"pad_token_id\": -1", "pad_token_id: found -1, wanted an integer from 0 to 16777215"},
        {"\"pad_token_id\": 30522", "pad_token_id: found 30522, wanted less than vocab_size, which is 30522"},
        {"\"layer_norm_eps\": -1e-12", "layer_norm_eps: found -1e-12, wanted a number from 0 to below 1"},
        {"\"initializer_range\": 1000", "initializer_range: found 1000, wanted a number from 0 to below 1000"},
        {"\"hidden_dropout_prob\": 1.0", "hidden_dropout_prob: found 1.0, wanted a number from 0 to below 1"},
        {"\"attention_probs_dropout_prob\": false", "attention_probs_dropout_prob: found false, wanted a number from 0 to below 1"},
        {"\"classifier_dropout\": 2", "classifier_dropout: found 2, wanted a number from 0 to below 1"},
        {"\"tie_word_embeddings\": 1", "tie_word_embeddings: found 1, wanted true or false"},
        {"\"hidden_act\": \"swish\"", "hidden_act: found \"swish\", wanted \"gelu\", \"gelu_new\" or \"relu\""},
        {"\"architectures\": \"BertModel\"", "architectures: found \"BertModel\", wanted an array with the name of a class"},
        {"\"architectures\": [3]", "architectures[0]: found 3, wanted the name of a class"},
        {"\"architectures\": [\"DistilBertModel\"]", "architectures[0]: found \"DistilBertModel\", wanted a class of BERT"},
        {"\"num_labels\": 0", "num_labels: found 0, wanted an integer from 1 to 16777216"},
        {"\"num_labels\": 3, \"id2label\": {\"0\": \"a\", \"1\": \"b\"}",
         "num_labels: found 3, wanted 2, the number of labels in id2label"},
        {"\"id2label\": [\"a\"]", "id2label: found an array, wanted an object that gives a label to each id"},
        {"\"id2label\": {}", "id2label: found an object, wanted an object that gives a label to each id"},
        {"\"id2label\": {\"0\": \"a\", \"2\": \"b\"}", "id2label: found the id \"2\", wanted the ids 0 to 1, each once"},
        {"\"id2label\": {\"0\": \"a\", \"00\": \"b\"}", "id2label: found the id \"00\", wanted the ids 0 to 1, each once"},
        {"\"id2label\": {\"x\": \"a\"}", "id2label: found the id \"x\", wanted the ids 0 to 0, each once"},
        {"\"id2label\": {\"\": \"a\"}", "id2label: found the id \"\", wanted the ids 0 to 0, each once"},
        {"\"id2label\": {\"0\": 5}", "id2label: 0: found 5, wanted a string"},
        {"\"problem_type\": \"multi_label_classification\"",
         "problem_type: found \"multi_label_classification\", wanted \"regression\" or \"single_label_classification\""},
        {"\"position_embedding_type\": \"relative_key\"", "position_embedding_type: found \"relative_key\", wanted \"absolute\""},
        {"\"is_decoder\": true", "is_decoder: found true, wanted false"},
        {"\"add_cross_attention\": 1", "add_cross_attention: found 1, wanted false"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[300], said[300];
        snprintf(json, sizeof json, "{\"model_type\": \"bert\", %s}", rows[i][0]);
        snprintf(said, sizeof said, "config.json: error: %s\n", rows[i][1]);
        expect_error(state, json, said);
    }
}

static void test_wrong_distilbert_values(void **state) {
    expect_error(state, "{\"model_type\": \"distilbert\", \"dim\": 0, \"qa_dropout\": 1, \"activation\": 1}",
                 "config.json: error: dim: found 0, wanted an integer from 1 to 16777216\n"
                 "config.json: error: qa_dropout: found 1, wanted a number from 0 to below 1\n"
                 "config.json: error: activation: found 1, wanted \"gelu\", \"gelu_new\" or \"relu\"\n");
    expect_error(state, "{\"model_type\": \"distilbert\", \"architectures\": [\"BertModel\"]}",
                 "config.json: error: architectures[0]: found \"BertModel\", wanted a class of DistilBERT\n");
}

static void test_model_type(void **state) {
    expect_error(state, "{\"model_type\": \"roberta\"}",
                 "config.json: error: model_type: found \"roberta\", wanted \"bert\" or \"distilbert\"\n");
    expect_error(state, "{\"model_type\": 4}", "config.json: error: model_type: found 4, wanted \"bert\" or \"distilbert\"\n");
    expect_error(state, "{}", "config.json: error: model_type: found nothing, wanted \"bert\" or \"distilbert\"\n");
    expect_error(state, "{\"architectures\": [\"RobertaModel\"], \"hidden_size\": 8}",
                 "config.json: error: model_type: found nothing, wanted \"bert\" or \"distilbert\"\n");
}

static void test_check(void **state) {
    (void)state;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    model_spec spec = model_spec_default(MODEL_BERT);
    assert_int_equal(model_spec_check(&spec, "m.xml", &sink), POFAC_OK);
    assert_string_equal(strbuf_str(&said), "");
    spec.hidden_size = -3;
    spec.num_attention_heads = 0;
    spec.layer_norm_eps = 1.5;
    spec.qa_dropout = -0.0 / 0.0;
    spec.num_labels = 0;
    assert_int_equal(model_spec_check(&spec, "m.xml", &sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), "m.xml: error: hidden_size: found -3, wanted an integer from 1 to 16777216\n"
                                           "m.xml: error: num_attention_heads: found 0, wanted an integer from 1 to 16777216\n"
                                           "m.xml: error: layer_norm_eps: found 1.5, wanted a number from 0 to below 1\n"
                                           "m.xml: error: qa_dropout: found null, wanted a number from 0 to below 1\n"
                                           "m.xml: error: num_labels: found 0, wanted an integer from 1 to 16777216\n");
    strbuf_clear(&said);
    spec = model_spec_default(MODEL_DISTILBERT);
    assert_int_equal(model_spec_check(&spec, "m.xml", &sink), POFAC_OK);
    spec.type_vocab_size = 2;
    assert_int_equal(model_spec_check(&spec, "m.xml", &sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), "m.xml: error: type_vocab_size: found 2, wanted 0\n");
    strbuf_free(&said);
}

static void test_written_text(void **state) {
    (void)state;
    static const char *const labels[] = {"no", "y\"es"};
    model_spec spec = model_spec_default(MODEL_BERT);
    spec.head = HEAD_SEQUENCE_CLASSIFICATION;
    spec.labels = labels;
    strbuf text = STRBUF_INIT;
    config_json_write(&spec, &text);
    assert_true(strbuf_ok(&text));
    assert_string_equal(strbuf_str(&text),
                        "{\n  \"architectures\": [\n    \"BertForSequenceClassification\"\n  ],\n"
                        "  \"attention_probs_dropout_prob\": 0.1,\n  \"hidden_act\": \"gelu\",\n  \"hidden_dropout_prob\": 0.1,\n"
                        "  \"hidden_size\": 768,\n  \"id2label\": {\n    \"0\": \"no\",\n    \"1\": \"y\\\"es\"\n  },\n"
                        "  \"initializer_range\": 0.02,\n  \"intermediate_size\": 3072,\n"
                        "  \"label2id\": {\n    \"no\": 0,\n    \"y\\\"es\": 1\n  },\n  \"layer_norm_eps\": 1e-12,\n"
                        "  \"max_position_embeddings\": 512,\n  \"model_type\": \"bert\",\n  \"num_attention_heads\": 12,\n"
                        "  \"num_hidden_layers\": 12,\n  \"num_labels\": 2,\n  \"pad_token_id\": 0,\n"
                        "  \"tie_word_embeddings\": true,\n  \"type_vocab_size\": 2,\n  \"vocab_size\": 30522\n}\n");
    strbuf_free(&text);
}

static void assert_specs_equal(const model_spec *a, const model_spec *b) {
#define SPEC_INTEGER(field, bert, distilbert, least, most) assert_int_equal(a->field, b->field);
#define SPEC_REAL(field, bert, distilbert, limit) assert_true(a->field == b->field);
#include "frontend/model/spec_fields.def"
#undef SPEC_INTEGER
#undef SPEC_REAL
    assert_int_equal(a->arch, b->arch);
    assert_int_equal(a->head, b->head);
    assert_int_equal(a->hidden_act, b->hidden_act);
    assert_int_equal(a->tie_word_embeddings, b->tie_word_embeddings);
    assert_int_equal(a->num_labels, b->num_labels);
    assert_int_equal(a->regression, b->regression);
    assert_int_equal(!a->labels, !b->labels);
    for (int64_t i = 0; a->labels && i < a->num_labels; i++) assert_string_equal(a->labels[i], b->labels[i]);
}

static void test_round_trip(void **state) {
    static const char *const labels[] = {"a", "b", "a"}; /* no inverse */
    static const char *const one_label[] = {"score"};
    for (int arch = MODEL_BERT; arch <= MODEL_DISTILBERT; arch++) {
        for (int i = 0; i < 4; i++) {
            model_spec spec = model_spec_default((model_arch)arch);
            spec.head = i == 0 ? HEAD_NONE : i == 1 ? HEAD_TOKEN_CLASSIFICATION : i == 2 ? HEAD_SEQUENCE_CLASSIFICATION : HEAD_AUTO;
            if (i == 1) spec.labels = labels, spec.num_labels = 3;
            if (i == 2) spec.labels = one_label, spec.num_labels = 1, spec.regression = true;
            if (i == 3) spec.tie_word_embeddings = false, spec.num_labels = 7, spec.hidden_act = ACTIVATION_GELU_NEW;
            spec.attention_probs_dropout_prob = 0.1 + 1e-17 * i;
            spec.classifier_dropout = 1.0 / 3;
            strbuf text = STRBUF_INIT;
            config_json_write(&spec, &text);
            outcome o;
            expect_spec(state, strbuf_str(&text), &o);
            assert_specs_equal(&spec, &o.spec);
            strbuf_free(&text);
            arena_free(&o.memory);
        }
    }
}

static void test_head_guess(void **state) {
    (void)state;
    static const struct {
        const char *names[3];
        model_head head;
    } rows[] = {
        {{"bert.pooler.dense.weight", "classifier.weight", "x"}, HEAD_SEQUENCE_CLASSIFICATION},
        {{"module.classifier.weight", "module.pre_classifier.weight", "x"}, HEAD_SEQUENCE_CLASSIFICATION},
        {{"classifier.weight", "classifier.bias", "bert.embeddings.word_embeddings.weight"}, HEAD_TOKEN_CLASSIFICATION},
        {{"qa_outputs.weight", "bert.pooler.dense.weight", "x"}, HEAD_QUESTION_ANSWERING},
        {{"cls.predictions.transform.dense.weight", "cls.seq_relationship.weight", "x"}, HEAD_PRETRAINING},
        {{"cls.predictions.transform.dense.weight", "bert.pooler.dense.weight", "x"}, HEAD_MASKED_LM},
        {{"distilbert.x", "vocab_transform.weight", "x"}, HEAD_MASKED_LM},
        {{"bert.pooler.dense.weight", "my_classifier.weight", "x"}, HEAD_NONE},
        {{"", "weight", "x"}, HEAD_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(model_head_guess(rows[i].names, 3), rows[i].head);
    assert_int_equal(model_head_guess(NULL, 0), HEAD_NONE);
}

static void test_failing_allocations(void **state) {
    char path[256];
    snprintf(path, sizeof path, "%s/config.json", (char *)*state);
    static const char json[] =
        "{\"model_type\": \"bert\", \"id2label\": {\"0\": \"a\", \"1\": \"b\"}, \"architectures\": [\"BertModel\"]}";
    assert_int_equal(file_write_all(path, json, strlen(json), NULL), POFAC_OK);
    for (size_t n = 1;; n++) {
        arena memory = ARENA_INIT;
        model_spec spec;
        fail_alloc_after(n);
        pofac_status status = config_json_read(path, &memory, NULL, &spec);
        bool failed = fail_alloc_stop();
        arena_free(&memory);
        assert_int_equal(status != POFAC_OK, failed); /* jansson reports some of its failed allocations as wrong syntax */
        if (!failed) break;
    }
    static const char *const labels[] = {"a", "b"};
    model_spec spec = model_spec_default(MODEL_BERT);
    spec.labels = labels;
    for (size_t n = 1;; n++) {
        strbuf text = STRBUF_INIT;
        fail_alloc_after(n);
        config_json_write(&spec, &text);
        bool failed = fail_alloc_stop();
        assert_int_equal(strbuf_ok(&text), !failed);
        strbuf_free(&text);
        if (!failed) break;
    }
}

static void test_missing_file(void **state) {
    (void)state;
    arena memory = ARENA_INIT;
    model_spec spec;
    assert_int_equal(config_json_read("/nonexistent/config.json", &memory, NULL, &spec), POFAC_ERR_INPUT);
}

/* The head by the names of the tensors in the directory's checkpoint. */
static model_head guess_from_checkpoint(const char *directory) {
    checkpoint *c;
    assert_int_equal(checkpoint_open(directory, NULL, &c), POFAC_OK);
    const size_t n = checkpoint_size(c);
    const char **names = malloc(n * sizeof *names);
    for (size_t i = 0; i < n; i++) names[i] = checkpoint_at(c, i)->name;
    model_head head = model_head_guess(names, n);
    free(names);
    checkpoint_close(c);
    return head;
}

static void load_shared(const char *directory, model_arch arch, model_head head, model_head guess, int64_t num_labels) {
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    char path[1000];
    snprintf(path, sizeof path, "%s/%s/config.json", shared, directory);
    arena memory = ARENA_INIT;
    model_spec spec;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    pofac_status status = config_json_read(path, &memory, &sink, &spec);
    assert_string_equal(strbuf_str(&said), "");
    assert_int_equal(status, POFAC_OK);
    assert_int_equal(spec.arch, arch);
    assert_int_equal(spec.head, head);
    assert_int_equal(spec.num_labels, num_labels);
    *strrchr(path, '/') = 0;
    assert_int_equal(guess_from_checkpoint(path), guess);
    strbuf_free(&said);
    arena_free(&memory);
}

static void test_shared_files(void **state) {
    (void)state;
    load_shared("data/bert_tiny_encoders/sst2", MODEL_BERT, HEAD_AUTO, HEAD_SEQUENCE_CLASSIFICATION, 2);
    load_shared("fixtures/forward/bert-pretraining", MODEL_BERT, HEAD_PRETRAINING, HEAD_PRETRAINING, 2);
    load_shared("fixtures/forward/bert-sequence-classification", MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION,
                HEAD_SEQUENCE_CLASSIFICATION, 3);
    load_shared("fixtures/forward/bert-token-classification", MODEL_BERT, HEAD_TOKEN_CLASSIFICATION, HEAD_TOKEN_CLASSIFICATION, 3);
    load_shared("fixtures/forward/bert-question-answering", MODEL_BERT, HEAD_QUESTION_ANSWERING, HEAD_QUESTION_ANSWERING, 2);
    load_shared("fixtures/forward/distilbert-pretraining", MODEL_DISTILBERT, HEAD_MASKED_LM, HEAD_MASKED_LM, 2);
    load_shared("fixtures/forward/distilbert-sequence-classification", MODEL_DISTILBERT, HEAD_SEQUENCE_CLASSIFICATION,
                HEAD_SEQUENCE_CLASSIFICATION, 3);
    load_shared("fixtures/forward/distilbert-token-classification", MODEL_DISTILBERT, HEAD_TOKEN_CLASSIFICATION,
                HEAD_TOKEN_CLASSIFICATION, 3);
    load_shared("fixtures/forward/distilbert-question-answering", MODEL_DISTILBERT, HEAD_QUESTION_ANSWERING,
                HEAD_QUESTION_ANSWERING, 2);
    load_shared("fixtures/train/distilbert-pruning-85/student", MODEL_DISTILBERT, HEAD_MASKED_LM, HEAD_MASKED_LM, 2);
    load_shared("fixtures/train/transfer-qa-lock/teacher", MODEL_BERT, HEAD_QUESTION_ANSWERING, HEAD_QUESTION_ANSWERING, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bert_keys),     cmocka_unit_test(test_distilbert_keys),
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_labels),
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_label2id),
        cmocka_unit_test(test_every_head),    cmocka_unit_test(test_activations),
        cmocka_unit_test(test_unknown_keys),  cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_unknown_class), cmocka_unit_test(test_syntax_errors),
        cmocka_unit_test(test_wrong_values),  cmocka_unit_test(test_wrong_distilbert_values),
        cmocka_unit_test(test_model_type),    cmocka_unit_test(test_check),
        cmocka_unit_test(test_written_text),  cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_head_guess),    cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_missing_file),  cmocka_unit_test(test_shared_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
