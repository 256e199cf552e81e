/* Opening models, whatever form they have, and binding their parameters: what is found, drawn, refused and said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/road.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"

typedef struct opened {
    loaded_model *model;
    ir_module *module;
    strbuf text;
    diag_sink sink;
    pofac_status status;
} opened;

static const loaded_model_options no_options = {.seed = 42};

/* Opens the model and builds its graph, which binds its parameters. */
static opened open_and_bind(void **state, const char *name, loaded_model_options options) {
    opened o = {.text = STRBUF_INIT};
    diag_sink sink = diag_sink_to_strbuf(&o.text);
    char path[512];
    snprintf(path, sizeof path, "%s", file_path(state, name));
    o.status = loaded_model_open(path, &options, &sink, &o.model);
    assert_int_equal(o.status == POFAC_OK, o.model != NULL);
    if (o.status == POFAC_OK) o.status = road_build(o.model, &(road_options){0}, &sink, &o.module);
    if (o.text.data) cut_directory(state, o.text.data);
    return o;
}

static void opened_free(opened *o) {
    module_destroy(o->module);
    loaded_model_close(o->model);
    strbuf_free(&o->text);
}

static void expect(void **state, const char *name, loaded_model_options options, pofac_status status, const char *said) {
    opened o = open_and_bind(state, name, options);
    assert_string_equal(strbuf_str(&o.text), said);
    assert_int_equal(o.status, status);
    opened_free(&o);
}

static void put_string(void **state, const char *name, const char *text) { put_file(state, name, text, strlen(text)); }

static void write_model(void **state, const char *name, tiny_model m) { tiny_model_write(&m, file_path(state, name)); }

static ir_tensor parameter_of(const opened *o, const char *name) {
    ir_tensor t;
    const tensor_source *source = loaded_model_state(o->model);
    if (source->get(source->user, name, NULL, &t) != POFAC_OK) fail_msg("%s is missing", name);
    return t;
}

static uint64_t sum_of(const ir_tensor *t) {
    uint64_t sum = 0;
    for (size_t i = 0; i < tensor_bytes(t); i++) sum = sum * 31 + ((const unsigned char *)t->data)[i];
    return sum;
}

/* ---- forms of models ---- */

static void directories(void **state) {
    for (int arch = MODEL_BERT; arch <= MODEL_DISTILBERT; arch++) {
        write_model(state, "plain", (tiny_model){.spec = tiny_spec((model_arch)arch, HEAD_SEQUENCE_CLASSIFICATION)});
        opened o = open_and_bind(state, "plain", no_options);
        assert_string_equal(strbuf_str(&o.text), "");
        assert_int_equal(o.status, POFAC_OK);
        assert_int_equal(loaded_model_spec(o.model)->arch, arch);
        assert_int_equal(loaded_model_spec(o.model)->head, HEAD_SEQUENCE_CLASSIFICATION);
        assert_true(loaded_model_has_embeddings(o.model));
        assert_int_equal(loaded_model_has_pooler(o.model), arch == MODEL_BERT);
        assert_string_equal(strrchr(loaded_model_path(o.model), '/'), "/plain");
        ir_tensor t = parameter_of(&o, "classifier.weight");
        assert_int_equal(t.dims[0], 2);
        assert_int_equal(t.dims[1], 32);
        opened_free(&o);
    }
}

/* Weights stay in the dtype of the file, as views of it. */
static void dtypes_of_files(void **state) {
    static const ir_dtype dtypes[] = {IR_F32, IR_F16, IR_BF16};
    for (size_t i = 0; i < 3; i++) {
        write_model(state, "dtype", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE), .dtype = dtypes[i]});
        opened o = open_and_bind(state, "dtype", no_options);
        assert_int_equal(o.status, POFAC_OK);
        ir_tensor t = parameter_of(&o, "bert.pooler.dense.weight");
        assert_int_equal(t.dtype, dtypes[i]);
        assert_false(t.owned);
        assert_true(tensor_is_aligned(&t));
        opened_free(&o);
    }
}

#define XML_HEAD "<pofac xmlns=\"urn:pofac:1\">\n"

static void descriptions(void **state) {
    write_model(state, "base", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)});
    put_string(state, "from.xml", XML_HEAD "  <model from=\"base\"/>\n</pofac>\n");
    expect(state, "from.xml", no_options, POFAC_OK, "");
    put_string(state, "inline.xml",
               XML_HEAD "  <model head=\"sequence-classification\">\n"
                        "    <bert vocab_size=\"33\" hidden_size=\"32\" num_hidden_layers=\"1\" num_attention_heads=\"2\" "
                        "intermediate_size=\"48\" max_position_embeddings=\"24\"/>\n"
                        "    <checkpoint path=\"base/model.safetensors\"/>\n"
                        "    <tokenizer vocab=\"base/vocab.txt\" do_lower_case=\"false\"/>\n"
                        "  </model>\n</pofac>\n");
    opened o = open_and_bind(state, "inline.xml", no_options);
    assert_string_equal(strbuf_str(&o.text), "");
    const tokenizer *t;
    assert_int_equal(loaded_model_tokenizer(o.model, NULL, &t), POFAC_OK);
    assert_int_equal(tokenizer_vocab_size(t), TINY_VOCAB_SIZE);
    assert_int_equal(tokenizer_get_options(t)->do_lower_case, TOKENIZER_OFF);
    opened_free(&o);
    put_string(state, "drawn.xml",
               XML_HEAD "  <model head=\"none\">\n"
                        "    <bert vocab_size=\"33\" hidden_size=\"32\" num_hidden_layers=\"1\" num_attention_heads=\"2\" "
                        "intermediate_size=\"48\"/>\n  </model>\n</pofac>\n");
    expect(state, "drawn.xml", no_options, POFAC_OK,
           "drawn.xml: note: no checkpoint: all 23 parameters are initialised from seed 42\n");
}

static void labels_of_descriptions(void **state) {
    write_model(state, "base", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)});
    put_string(
        state, "labels.xml",
        XML_HEAD
        "  <model from=\"base\" num_labels=\"2\">\n    <label name=\"no\"/>\n    <label name=\"yes\"/>\n  </model>\n</pofac>\n");
    opened o = open_and_bind(state, "labels.xml", no_options);
    assert_string_equal(strbuf_str(&o.text), "");
    assert_string_equal(loaded_model_spec(o.model)->labels[1], "yes");
    opened_free(&o);
    o = open_and_bind(state, "labels.xml", (loaded_model_options){.seed = 42, .num_labels = 2}); /* the same number: names stay */
    assert_non_null(loaded_model_spec(o.model)->labels);
    opened_free(&o);
    o = open_and_bind(state, "labels.xml", (loaded_model_options){.seed = 42, .num_labels = 5});
    assert_null(loaded_model_spec(o.model)->labels);
    assert_int_equal(loaded_model_spec(o.model)->num_labels, 5);
    assert_int_equal(o.status, POFAC_ERR_INPUT); /* the file's classifier has 2 */
    opened_free(&o);
}

static void models_that_are_not_there(void **state) {
    expect(state, "gone", no_options, POFAC_ERR_INPUT,
           "gone: error: no such file or directory, wanted a Hugging Face directory, an XML description or a compiled model\n");
    write_model(state, "no_weights", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE), .without_weights = true});
    opened o = open_and_bind(state, "no_weights", no_options);
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&o.text), "no_weights: error: "));
    opened_free(&o);
    char config[512];
    snprintf(config, sizeof config, "%s", file_path(state, "no_weights/config.json"));
    assert_int_equal(unlink(config), 0);
    o = open_and_bind(state, "no_weights", no_options);
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&o.text), "no_weights/config.json: error: "));
    opened_free(&o);
    put_string(state, "text.xml", "hello");
    o = open_and_bind(state, "text.xml", no_options);
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    assert_int_equal(strncmp(strbuf_str(&o.text), "text.xml:1:1: error: ", 21), 0);
    opened_free(&o);
    loaded_model_close(NULL);
}

/* ---- which head ---- */

/* An option goes before the description, that before `architectures`, and those before the names of tensors. */
static void heads_in_their_order(void **state) {
    write_model(state, "said", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_TOKEN_CLASSIFICATION)});
    write_model(state, "silent",
                (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_QUESTION_ANSWERING), .without_architectures = true});
    put_string(state, "said.xml", XML_HEAD "  <model from=\"said\" head=\"masked-lm\"/>\n</pofac>\n");
    put_string(state, "silent.xml", XML_HEAD "  <model from=\"silent\"/>\n</pofac>\n");
    put_string(state, "none.xml",
               XML_HEAD
               "  <model>\n    <bert vocab_size=\"33\" hidden_size=\"32\" num_attention_heads=\"2\"/>\n  </model>\n</pofac>\n");
    static const struct {
        const char *name;
        model_head option, wanted;
    } cases[] = {{"said", HEAD_AUTO, HEAD_TOKEN_CLASSIFICATION}, {"said", HEAD_NONE, HEAD_NONE},
                 {"said.xml", HEAD_AUTO, HEAD_MASKED_LM},        {"said.xml", HEAD_QUESTION_ANSWERING, HEAD_QUESTION_ANSWERING},
                 {"silent", HEAD_AUTO, HEAD_QUESTION_ANSWERING}, {"silent.xml", HEAD_AUTO, HEAD_QUESTION_ANSWERING},
                 {"silent", HEAD_MASKED_LM, HEAD_MASKED_LM},     {"none.xml", HEAD_AUTO, HEAD_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loaded_model *m;
        assert_int_equal(
            loaded_model_open(file_path(state, cases[i].name), &(loaded_model_options){.head = cases[i].option}, NULL, &m),
            POFAC_OK);
        if (loaded_model_spec(m)->head != cases[i].wanted)
            fail_msg("%s: found %s, wanted %s", cases[i].name, model_head_name(loaded_model_spec(m)->head),
                     model_head_name(cases[i].wanted));
        loaded_model_close(m);
    }
}

static void heads_of_tensor_names(void **state) {
    size_t n;
    const model_head_row *heads = model_heads(&n);
    for (size_t i = 0; i < n; i++)
        for (int arch = MODEL_BERT; arch <= MODEL_DISTILBERT; arch++) {
            model_head head = heads[i].head, wanted = arch == MODEL_DISTILBERT && head == HEAD_PRETRAINING ? HEAD_MASKED_LM : head;
            write_model(state, "guess", (tiny_model){.spec = tiny_spec((model_arch)arch, head), .without_architectures = true});
            opened o = open_and_bind(state, "guess", no_options);
            assert_string_equal(strbuf_str(&o.text), "");
            if (loaded_model_spec(o.model)->head != wanted)
                fail_msg("%s: found %s, wanted %s", model_arch_name((model_arch)arch),
                         model_head_name(loaded_model_spec(o.model)->head), model_head_name(wanted));
            opened_free(&o);
        }
}

/* ---- missing, unused and unfit parameters ---- */

static void a_head_that_is_not_there_is_drawn(void **state) {
    write_model(state, "encoder", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE)});
    expect(state, "encoder", (loaded_model_options){.seed = 7, .head = HEAD_TOKEN_CLASSIFICATION}, POFAC_OK,
           "encoder: note: initialised from seed 7: classifier.weight, classifier.bias\n"
           "encoder: note: not used: bert.pooler.dense.bias, bert.pooler.dense.weight\n");
    static const char *const pooler[] = {"bert.pooler.dense.weight", "bert.pooler.dense.bias", NULL};
    write_model(state, "no_pooler", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .omitted = pooler});
    expect(state, "no_pooler", no_options, POFAC_OK,
           "no_pooler: note: initialised from seed 42: bert.pooler.dense.weight, bert.pooler.dense.bias\n");
    write_model(state, "plain", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE), .omitted = pooler});
    opened o = open_and_bind(state, "plain", no_options); /* without a head, without a pooler: nothing is missing */
    assert_string_equal(strbuf_str(&o.text), "");
    assert_false(loaded_model_has_pooler(o.model));
    opened_free(&o);
}

/* Parameters that nobody uses may be gone, and are the same when they are asked for again: drawn, views and copies of a file. */
static void parameters_come_back(void **state) {
    static const char *const names[] = {"bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.output.dense.bias",
                                        "bert.embeddings.LayerNorm.weight", "classifier.weight"};
    write_model(state, "kept", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE)});
    opened o = open_and_bind(state, "kept", (loaded_model_options){.seed = 42, .head = HEAD_SEQUENCE_CLASSIFICATION});
    const tensor_source *source = loaded_model_state(o.model);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const ir_tensor first = parameter_of(&o, names[i]);
        const uint64_t sum = sum_of(&first);
        const ir_tensor second = parameter_of(&o, names[i]);
        assert_ptr_equal(first.data, second.data);
        tensor_source_release(source, names[i]);
        if (sum_of(&second) != sum) fail_msg("%s: another use's release changed it", names[i]);
        tensor_source_release(source, names[i]);
        tensor_source_release(source, names[i]); /* once too often does no harm */
        const ir_tensor again = parameter_of(&o, names[i]);
        assert_int_equal(again.rank, first.rank);
        assert_memory_equal(again.dims, first.dims, first.rank * sizeof *first.dims);
        if (sum_of(&again) != sum) fail_msg("%s: found other numbers after its release", names[i]);
    }
    tensor_source_release(source, "nothing of this name");
    opened_free(&o);
}

static void an_encoder_that_is_not_whole(void **state) {
    static const char *const one[] = {"bert.encoder.layer.0.output.dense.bias", NULL};
    static const char *const many[] = {"bert.encoder.layer.0.attention.self.query.weight",
                                       "bert.encoder.layer.0.attention.self.query.bias",
                                       "bert.encoder.layer.0.attention.self.key.weight",
                                       "bert.encoder.layer.0.attention.self.key.bias",
                                       "bert.encoder.layer.0.attention.self.value.weight",
                                       "bert.encoder.layer.0.attention.self.value.bias",
                                       "bert.encoder.layer.0.output.dense.weight",
                                       "bert.encoder.layer.0.output.dense.bias",
                                       "bert.embeddings.LayerNorm.weight",
                                       "classifier.weight",
                                       NULL};
    write_model(state, "cut", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .omitted = one});
    expect(state, "cut", no_options, POFAC_ERR_INPUT,
           "cut: error: the checkpoint lacks 1 parameter of the encoder: bert.encoder.layer.0.output.dense.bias\n");
    write_model(state, "cut", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .omitted = many});
    expect(state, "cut", no_options, POFAC_ERR_INPUT,
           "cut: error: the checkpoint lacks 9 parameters of the encoder: bert.embeddings.LayerNorm.weight, "
           "bert.encoder.layer.0.attention.self.query.weight, bert.encoder.layer.0.attention.self.query.bias, "
           "bert.encoder.layer.0.attention.self.key.weight, bert.encoder.layer.0.attention.self.key.bias, "
           "bert.encoder.layer.0.attention.self.value.weight, bert.encoder.layer.0.attention.self.value.bias, "
           "bert.encoder.layer.0.output.dense.weight and 1 more\n");
    static const char *const words[] = {"bert.embeddings.word_embeddings.weight", NULL};
    write_model(state, "cut", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE), .omitted = words});
    expect(state, "cut", no_options, POFAC_ERR_INPUT,
           "cut: error: the checkpoint lacks 1 parameter of the encoder: bert.embeddings.word_embeddings.weight\n");
}

static const char *const embeddings[] = {"bert.embeddings.word_embeddings.weight",
                                         "bert.embeddings.position_embeddings.weight",
                                         "bert.embeddings.token_type_embeddings.weight",
                                         "bert.embeddings.LayerNorm.weight",
                                         "bert.embeddings.LayerNorm.bias",
                                         NULL};

static void a_model_without_embeddings_starts_behind_them(void **state) {
    write_model(state, "behind",
                (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION),
                             .omitted = embeddings,
                             .without_vocabulary = true,
                             .without_architectures = true});
    opened o = open_and_bind(state, "behind", no_options);
    assert_string_equal(strbuf_str(&o.text), "");
    assert_false(loaded_model_has_embeddings(o.model));
    assert_int_equal(loaded_model_spec(o.model)->head, HEAD_SEQUENCE_CLASSIFICATION);
    const tokenizer *t;
    diag_sink sink = diag_sink_to_strbuf(&o.text);
    assert_int_equal(loaded_model_tokenizer(o.model, &sink, &t), POFAC_ERR_INPUT);
    opened_free(&o);
}

static void tensors_that_nobody_needs(void **state) {
    static const char *const extra[] = {"bert.embeddings.position_ids", "spare", "more.weights", NULL};
    write_model(state, "extra", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE), .extra = extra});
    expect(state, "extra", no_options, POFAC_OK, "extra: note: not used: more.weights, spare\n");
}

static void shapes_that_differ_are_all_told(void **state) {
    write_model(state, "shapes", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)});
    opened o = open_and_bind(state, "shapes", (loaded_model_options){.seed = 42, .num_labels = 3});
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    const char *weight = strstr(strbuf_str(&o.text), "classifier.weight"), *bias = strstr(strbuf_str(&o.text), "classifier.bias");
    if (!weight || !bias || !strstr(weight, "[2,32]") || !strstr(weight, "[3,32]")) fail_msg("found %s", strbuf_str(&o.text));
    opened_free(&o);
}

/* ---- drawn parameters ---- */

static const char drawn_xml[] =
    XML_HEAD "  <model head=\"sequence-classification\">\n"
             "    <bert vocab_size=\"33\" hidden_size=\"32\" num_hidden_layers=\"2\" num_attention_heads=\"2\" "
             "intermediate_size=\"48\" max_position_embeddings=\"24\"/>\n  </model>\n</pofac>\n";

static void initial_values(void **state) {
    put_string(state, "drawn.xml", drawn_xml);
    opened o = open_and_bind(state, "drawn.xml", no_options);
    ir_tensor words = parameter_of(&o, "bert.embeddings.word_embeddings.weight"),
              norm = parameter_of(&o, "bert.embeddings.LayerNorm.weight"), bias = parameter_of(&o, "classifier.bias"),
              dense = parameter_of(&o, "bert.encoder.layer.0.intermediate.dense.weight");
    for (int64_t i = 0; i < 32; i++) {
        assert_true(tensor_get(&words, i) == 0); /* of [PAD] */
        assert_true(tensor_get(&words, 32 + i) != 0);
        assert_true(tensor_get(&norm, i) == 1);
    }
    for (int64_t i = 0; i < 2; i++) assert_true(tensor_get(&bias, i) == 0);
    double sum = 0, squares = 0;
    int64_t n = tensor_elements(&dense);
    for (int64_t i = 0; i < n; i++) {
        sum += tensor_get(&dense, i);
        squares += tensor_get(&dense, i) * tensor_get(&dense, i);
    }
    double mean = sum / (double)n, deviation = sqrt(squares / (double)n);
    if (fabs(mean) > 0.002 || fabs(deviation - 0.02) > 0.002)
        fail_msg("found mean %g and deviation %g, wanted 0 and 0.02", mean, deviation);
    opened_free(&o);
}

/* A parameter depends on the seed and its own name: on no other parameter, on no order, and not on the number of layers. */
static void seeds(void **state) {
    static const char *const names[] = {"classifier.weight", "bert.encoder.layer.1.output.dense.weight", "bert.pooler.dense.weight",
                                        "bert.embeddings.word_embeddings.weight"};
    uint64_t sums[4];
    put_string(state, "drawn.xml", drawn_xml);
    opened o = open_and_bind(state, "drawn.xml", no_options);
    for (int i = 0; i < 4; i++) {
        ir_tensor t = parameter_of(&o, names[i]);
        sums[i] = sum_of(&t);
        for (int k = 0; k < i; k++) assert_true(sums[k] != sums[i]);
    }
    opened_free(&o);
    o = open_and_bind(state, "drawn.xml", no_options);
    for (int i = 3; i >= 0; i--) { /* in another order */
        ir_tensor t = parameter_of(&o, names[i]), again = parameter_of(&o, names[i]);
        assert_true(sum_of(&t) == sums[i]);
        assert_ptr_equal(t.data, again.data);
    }
    opened_free(&o);
    o = open_and_bind(state, "drawn.xml", (loaded_model_options){.seed = 43});
    for (int i = 0; i < 4; i++) {
        ir_tensor t = parameter_of(&o, names[i]);
        assert_true(sum_of(&t) != sums[i]);
    }
    opened_free(&o);
    write_model(state, "encoder", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE)});
    o = open_and_bind(state, "encoder", (loaded_model_options){.seed = 42, .head = HEAD_SEQUENCE_CLASSIFICATION});
    ir_tensor t = parameter_of(&o, names[0]);
    assert_true(sum_of(&t) == sums[0]);
    opened_free(&o);
}

/* Several graphs share parameters; what is said is said once. */
static void several_graphs(void **state) {
    write_model(state, "encoder", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE)});
    opened o = open_and_bind(state, "encoder", (loaded_model_options){.seed = 42, .head = HEAD_SEQUENCE_CLASSIFICATION});
    ir_tensor before = parameter_of(&o, "classifier.weight");
    size_t said = o.text.size;
    ir_module *again;
    assert_true(said > 0);
    diag_sink sink = diag_sink_to_strbuf(&o.text);
    assert_int_equal(road_build(o.model, &(road_options){.graph = {.hidden_states = true}}, &sink, &again), POFAC_OK);
    assert_int_equal(o.text.size, said);
    ir_tensor after = parameter_of(&o, "classifier.weight");
    assert_ptr_equal(before.data, after.data);
    module_destroy(again);
    ir_tensor t;
    strbuf_clear(&o.text);
    const tensor_source *source = loaded_model_state(o.model);
    assert_int_equal(source->get(source->user, "no.such", &sink, &t), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&o.text), "encoder: error: the model has no parameter \"no.such\"\n"));
    opened_free(&o);
}

/* ---- tokenizers ---- */

static void expect_tokenizer(void **state, const char *name, const char *vocab, const char *said) {
    strbuf text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&text);
    loaded_model *m;
    const tokenizer *t = NULL;
    char path[512];
    snprintf(path, sizeof path, "%s", vocab ? file_path(state, vocab) : "");
    loaded_model_options options = {.vocab = vocab ? path : NULL};
    assert_int_equal(loaded_model_open(file_path(state, name), &options, &sink, &m), POFAC_OK);
    for (int again = 0; again < 2; again++) { /* an error stays one */
        strbuf_clear(&text);
        pofac_status status = loaded_model_tokenizer(m, &sink, &t);
        if (text.data) cut_directory(state, text.data);
        assert_string_equal(strbuf_str(&text), said);
        assert_int_equal(status, *said ? POFAC_ERR_INPUT : POFAC_OK);
    }
    loaded_model_close(m);
    strbuf_free(&text);
}

static void tokenizers(void **state) {
    write_model(state, "words", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE)});
    expect_tokenizer(state, "words", NULL, "");
    put_string(state, "few.txt", "[UNK]\n[CLS]\n[SEP]\n");
    expect_tokenizer(state, "words", "few.txt", "");
    strbuf many = STRBUF_INIT;
    strbuf_printf(&many, "%sab\n", tiny_vocabulary);
    put_file(state, "many.txt", many.data, many.size);
    strbuf_free(&many);
    expect_tokenizer(state, "words", "many.txt",
                     "words: error: the vocabulary has 34 tokens, the model's embeddings have 33 rows\n");
    expect_tokenizer(state, "words", "gone.txt", "gone.txt: error: cannot be opened: No such file or directory\n");
    put_string(state, "drawn.xml", drawn_xml);
    expect_tokenizer(state, "drawn.xml", NULL,
                     "drawn.xml: error: the model has no vocabulary; give one with <tokenizer vocab=\"...\"/> or --vocab\n");
    expect_tokenizer(state, "drawn.xml", "few.txt", "");
}

/* Another vocabulary is read with the directory's settings, unless the description has its own. */
static void settings_of_tokenizers(void **state) {
    static const struct {
        const char *model;
        bool vocab;
        tokenizer_flag lower;
    } cases[] = {{"cased", false, TOKENIZER_OFF},
                 {"cased", true, TOKENIZER_OFF},
                 {"lower.xml", false, TOKENIZER_ON},
                 {"lower.xml", true, TOKENIZER_ON}};
    write_model(state, "cased", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE)});
    put_string(state, "cased/tokenizer_config.json", "{\"do_lower_case\": false, \"model_max_length\": 20}");
    put_string(state, "few.txt", "[UNK]\n[CLS]\n[SEP]\n");
    put_string(state, "lower.xml",
               XML_HEAD
               "  <model from=\"cased\">\n    <tokenizer vocab=\"few.txt\" do_lower_case=\"true\"/>\n  </model>\n</pofac>\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loaded_model *m;
        const tokenizer *t;
        char path[512];
        snprintf(path, sizeof path, "%s", file_path(state, "few.txt"));
        loaded_model_options options = {.vocab = cases[i].vocab ? path : NULL};
        assert_int_equal(loaded_model_open(file_path(state, cases[i].model), &options, NULL, &m), POFAC_OK);
        assert_int_equal(loaded_model_tokenizer(m, NULL, &t), POFAC_OK);
        assert_int_equal(tokenizer_get_options(t)->do_lower_case, cases[i].lower);
        assert_int_equal(tokenizer_get_options(t)->model_max_length, 20);
        loaded_model_close(m);
    }
}

/* ---- failures ---- */

void *__real_malloc(size_t n);

/* jansson's own allocations succeed: where its lexer has no memory it leaves characters out without a word. */
static void failing_allocations(void **state) {
    json_set_alloc_funcs(__real_malloc, free);
    static const char *const names[] = {"encoder", "drawn.xml", "f16"};
    write_model(state, "encoder", (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_NONE)});
    write_model(state, "f16",
                (tiny_model){.spec = tiny_spec(MODEL_DISTILBERT, HEAD_MASKED_LM), .dtype = IR_F16, .without_architectures = true});
    put_string(state, "drawn.xml", drawn_xml);
    for (size_t i = 0; i < 3; i++)
        for (size_t n = 1;; n++) {
            loaded_model *m;
            ir_module *module = NULL;
            ir_tensor t;
            char path[512];
            snprintf(path, sizeof path, "%s", file_path(state, names[i]));
            loaded_model_options options = {.seed = 42, .head = i == 2 ? HEAD_AUTO : HEAD_SEQUENCE_CLASSIFICATION};
            fail_alloc_after(n);
            pofac_status status = loaded_model_open(path, &options, NULL, &m);
            if (status == POFAC_OK) status = road_build(m, &(road_options){0}, NULL, &module);
            if (status == POFAC_OK && i < 2)
                status = loaded_model_state(m)->get(loaded_model_state(m)->user, "classifier.weight", NULL, &t);
            bool failed = fail_alloc_stop();
            if (failed != (status != POFAC_OK)) fail_msg("%s: allocation %zu fails: status %d", names[i], n, status);
            module_destroy(module);
            loaded_model_close(m);
            if (!failed) break;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directories),
        cmocka_unit_test(dtypes_of_files),
        cmocka_unit_test(descriptions),
        cmocka_unit_test(labels_of_descriptions),
        cmocka_unit_test(models_that_are_not_there),
        cmocka_unit_test(heads_in_their_order),
        cmocka_unit_test(heads_of_tensor_names),
        cmocka_unit_test(a_head_that_is_not_there_is_drawn),
        cmocka_unit_test(parameters_come_back),
        cmocka_unit_test(an_encoder_that_is_not_whole),
        cmocka_unit_test(a_model_without_embeddings_starts_behind_them),
        cmocka_unit_test(tensors_that_nobody_needs),
        cmocka_unit_test(shapes_that_differ_are_all_told),
        cmocka_unit_test(initial_values),
        cmocka_unit_test(seeds),
        cmocka_unit_test(several_graphs),
        cmocka_unit_test(tokenizers),
        cmocka_unit_test(settings_of_tokenizers),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
