/*
 * pitfall 14: one model in every way that its tensors are named, and in every format: all give the same logits, bit for bit; what is drawn
 * from the seed and what is not used is listed; what does not fit is refused, all of it at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/executor.h"
#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/checkpoint/torch_files.h"
#include "tests/unit/named_tensors.h"

#define BERT_SIZES                                                                                                                 \
    "\"model_type\": \"bert\", \"vocab_size\": 11, \"hidden_size\": 8, \"num_hidden_layers\": 2, \"num_attention_heads\": 2, "     \
    "\"intermediate_size\": 12, \"max_position_embeddings\": 6, \"type_vocab_size\": 2"
#define BERT_CONFIG "{" BERT_SIZES ", \"architectures\": [\"BertForPreTraining\"]}"
#define DISTILBERT_CONFIG                                                                                                          \
    "{\"model_type\": \"distilbert\", \"vocab_size\": 11, \"dim\": 8, \"n_layers\": 2, \"n_heads\": 2, \"hidden_dim\": 12, "       \
    "\"max_position_embeddings\": 6, \"architectures\": [\"DistilBertForMaskedLM\"]}"

/* ---- a model, and how it is written ---- */

/* Tensors of a model as its graph names them, with elements of every size drawn from their names. */
static void take_parameters(executor *e, named_tensors *out) {
    const ir_graph *g = executor_graph(e);
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *node = &g->nodes.data[i];
        if (node->op != OP_state || named_tensors_find(out, node_string(node, "name"))) continue;
        const ir_type *type = graph_type(g, node->first_result);
        int64_t dims[IR_MAX_RANK];
        for (uint32_t d = 0; d < type->rank; d++) dims[d] = dim_eval(type->dims[d], (ir_binding){NULL, 0});
        ir_tensor *t = named_tensors_add(out, node_string(node, "name"), IR_F32, type->rank, dims);
        rng_normals(rng_key_make(7, node_string(node, "name")), 0, (size_t)tensor_elements(t), 0.3, t->data);
    }
}

static loaded_model *open_model(const char *path, strbuf *said) {
    const diag_sink sink = diag_sink_to_strbuf(said);
    const loaded_model_options options = {.seed = 42};
    loaded_model *m;
    pofac_status status = loaded_model_open(path, &options, &sink, &m);
    if (status != POFAC_OK) fail_msg("%s", strbuf_str(said));
    return m;
}

/* Parameters for the model of `config`, whose names and shapes are read off a description of the same model. */
static void make_parameters(void **state, const char *config, named_tensors *out) {
    strbuf said = STRBUF_INIT;
    static const char bert[] =
        "<pofac xmlns=\"urn:pofac:1\"><model head=\"pretraining\"><bert vocab_size=\"11\" hidden_size=\"8\" "
        "num_hidden_layers=\"2\" num_attention_heads=\"2\" intermediate_size=\"12\" max_position_embeddings=\"6\" "
        "type_vocab_size=\"2\"/></model></pofac>";
    static const char distilbert[] =
        "<pofac xmlns=\"urn:pofac:1\"><model head=\"masked-lm\"><distilbert vocab_size=\"11\" hidden_size=\"8\" "
        "num_hidden_layers=\"2\" num_attention_heads=\"2\" intermediate_size=\"12\" "
        "max_position_embeddings=\"6\"/></model></pofac>";
    if (strstr(config, "distilbert")) put_file(state, "model.xml", distilbert, sizeof distilbert - 1);
    else put_file(state, "model.xml", bert, sizeof bert - 1);
    loaded_model *m = open_model(file_path(state, "model.xml"), &said);
    const road_options road = {0};
    executor *e;
    assert_int_equal(executor_create(m, &road, EXECUTOR_INTERPRETER, NULL, &e), POFAC_OK);
    take_parameters(e, out);
    executor_destroy(e);
    loaded_model_close(m);
    strbuf_free(&said);
}

/* What a variant does to the names; and which further tensors it has. */
typedef struct variant {
    const char *what;
    const char *prefix, *without; /* put before every name; taken off those that begin so */
    bool gamma_beta;
    const char *drop;               /* tensors whose names begin so are left out */
    const char *const (*copies)[2]; /* pairs: name of a further tensor, and the one that it copies; ends with NULL */
    const char *const *extra;       /* names of tensors [3] that no model has; ends with NULL */
    const char *said;               /* the messages */
} variant;

static const char *renamed(const variant *v, const char *name, arena *a) {
    if (v->without && strncmp(name, v->without, strlen(v->without)) == 0) name += strlen(v->without);
    char *text = arena_printf(a, "%s%s", v->prefix ? v->prefix : "", name);
    assert_non_null(text);
    char *weight = strstr(text, "LayerNorm.weight"), *bias = strstr(text, "LayerNorm.bias");
    if (v->gamma_beta && weight) memcpy(weight, "LayerNorm.gamma", sizeof "LayerNorm.gamma");
    if (v->gamma_beta && bias) memcpy(bias, "LayerNorm.beta", sizeof "LayerNorm.beta");
    return text;
}

typedef struct written {
    VEC(safetensors_item) items;
    arena memory;
} written;

static void add_item(written *w, const char *name, const ir_tensor *t) {
    safetensors_item item = {.name = name, .dtype = t->dtype, .rank = t->rank, .data = t->data};
    memcpy(item.dims, t->dims, sizeof *t->dims * t->rank);
    assert_true(VEC_PUSH(&w->items, item));
}

static void collect(written *w, const named_tensors *parameters, const variant *v) {
    static const float three[3] = {1, 2, 3};
    for (size_t i = 0; i < parameters->entries.size; i++) {
        const named_tensor *p = &parameters->entries.data[i];
        if (v->drop && strncmp(p->name, v->drop, strlen(v->drop)) == 0) continue;
        add_item(w, renamed(v, p->name, &w->memory), &p->tensor);
    }
    for (size_t i = 0; v->copies && v->copies[i][0]; i++)
        add_item(w, renamed(v, v->copies[i][0], &w->memory), named_tensors_find(parameters, v->copies[i][1]));
    for (size_t i = 0; v->extra && v->extra[i]; i++) {
        const safetensors_item item = {.name = v->extra[i], .dtype = IR_F32, .rank = 1, .dims = {3}, .data = three};
        assert_true(VEC_PUSH(&w->items, item));
    }
}

static void end_written(written *w) {
    VEC_FREE(&w->items);
    arena_free(&w->memory);
}

static void put_items_safetensors(void **state, const char *name, const written *w) {
    assert_int_equal(safetensors_write(file_path(state, name), w->items.data, w->items.size, NULL, 0, NULL), POFAC_OK);
}

/* Every tensor a storage of its own, except those of the same elements, which share one. `transposed`: matrices stand column by
 * column, and are views of that. */
static void put_items_torch(void **state, const char *name, const written *w, bool stream, bool transposed) {
    torch_view *views = calloc(w->items.size + 1, sizeof *views);
    torch_stored *storages = calloc(w->items.size + 1, sizeof *storages);
    arena memory = ARENA_INIT;
    strbuf pickle = STRBUF_INIT;
    size_t n = 0;
    assert_true(views && storages);
    for (size_t i = 0; i < w->items.size; i++) {
        const safetensors_item *item = &w->items.data[i];
        const int64_t rows = item->rank ? item->dims[0] : 1, columns = item->rank == 2 ? item->dims[1] : 1;
        views[i] =
            (torch_view){item->name, "FloatStorage", NULL, rows * columns, 0, (int)item->rank, {rows, columns}, {columns, 1}};
        for (size_t j = 0; j < i && !views[i].key; j++)
            if (w->items.data[j].data == item->data) views[i].key = views[j].key;
        if (transposed && item->rank == 2) views[i].stride[0] = 1, views[i].stride[1] = rows;
        if (views[i].key) continue;
        views[i].key = arena_printf(&memory, "%zu", n);
        float *elements = arena_alloc(&memory, (size_t)(rows * columns) * sizeof *elements);
        assert_true(views[i].key && elements);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++)
                elements[r * views[i].stride[0] + c * views[i].stride[1]] = ((const float *)item->data)[r * columns + c];
        storages[n++] =
            (torch_stored){views[i].key, rows * columns, elements, (size_t)(rows * columns) * sizeof *elements, ZIP_STORED};
    }
    put_state(&pickle, views, w->items.size);
    if (stream) put_stream(state, name, &pickle, storages, n);
    else put_archive(state, name, &pickle, storages, n);
    strbuf_free(&pickle);
    arena_free(&memory);
    free(views);
    free(storages);
}

/* ---- running ---- */

static void make_inputs(named_tensors *inputs) {
    static const double ids[10] = {1, 4, 9, 2, 10, 3, 3, 8, 5, 0}, mask[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                        types[10] = {0, 0, 1, 1, 1, 0, 1, 1, 1, 0};
    const int64_t dims[2] = {2, 5};
    inputs->what = "input";
    named_tensors_add_doubles(inputs, "input_ids", IR_I64, 2, dims, ids);
    named_tensors_add_doubles(inputs, "attention_mask", IR_I64, 2, dims, mask);
    named_tensors_add_doubles(inputs, "token_type_ids", IR_I64, 2, dims, types);
}

/* Runs the directory; every output of its graph is added to `out`, and what was said to `said`. */
static void predict(void **state, const char *directory, executor_kind kind, strbuf *said, named_tensors *out) {
    named_tensors inputs = {0};
    const diag_sink sink = diag_sink_to_strbuf(said);
    const road_options road = {.no_cache = true, .threads = 1};
    executor *e;
    make_inputs(&inputs);
    loaded_model *m = open_model(file_path(state, directory), said);
    pofac_status status = executor_create(m, &road, kind, &sink, &e);
    if (status != POFAC_OK) fail_msg("%s", strbuf_str(said));
    const tensor_source source = named_tensors_source(&inputs);
    assert_int_equal(executor_run(e, &source, &sink), POFAC_OK);
    const ir_graph *g = executor_graph(e);
    for (size_t i = 0; i < g->outputs.size; i++) {
        ir_tensor t;
        assert_int_equal(executor_output(e, g->outputs.data[i].name, &sink, &t), POFAC_OK);
        ir_tensor *copy = named_tensors_add(out, g->outputs.data[i].name, t.dtype, t.rank, t.dims);
        memcpy(copy->data, t.data, (size_t)tensor_elements(&t) * sizeof(float));
    }
    executor_destroy(e);
    loaded_model_close(m);
    named_tensors_free(&inputs);
}

static void expect_equal(const char *what, const named_tensors *found, const named_tensors *wanted) {
    assert_int_equal(found->entries.size, wanted->entries.size);
    for (size_t i = 0; i < wanted->entries.size; i++) {
        const named_tensor *w = &wanted->entries.data[i];
        const ir_tensor *f = named_tensors_find(found, w->name);
        if (!f) fail_msg("%s: %s is missing", what, w->name);
        char text[200];
        snprintf(text, sizeof text, "%s: %s", what, w->name);
        assert_tensors_close(text, f, &w->tensor, 0, 0);
    }
}

static void make_directory(void **state, const char *name, const char *config) {
    char path[100];
    assert_int_equal(mkdir(file_path(state, name), 0777), 0);
    snprintf(path, sizeof path, "%s/config.json", name);
    put_file(state, path, config, strlen(config));
}

static void remove_one(void **state, const char *directory, const char *name) {
    char path[100];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    remove(file_path(state, path));
}

/* Compares what a directory gives and says with what is wanted. */
static void expect_outputs(void **state, const char *directory, const char *what, const char *messages,
                           const named_tensors *wanted) {
    strbuf said = STRBUF_INIT;
    named_tensors found = {0};
    predict(state, directory, EXECUTOR_INTERPRETER, &said, &found);
    if (said.data) cut_directory(state, said.data);
    if (strcmp(strbuf_str(&said), messages) != 0) print_error("%s\n", what);
    assert_string_equal(strbuf_str(&said), messages);
    expect_equal(what, &found, wanted);
    named_tensors_free(&found);
    strbuf_free(&said);
}

/* ---- tests ---- */

static const char *const bert_decoder[][2] = {{"cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"}, {0}};
static const char *const bert_decoder_and_bias[][2] = {{"cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"},
                                                       {"cls.predictions.decoder.bias", "cls.predictions.bias"},
                                                       {0}};
static const char *const buffers[] = {"bert.embeddings.position_ids", NULL};
static const char *const other_heads[] = {"classifier.bias", "classifier.weight", "qa_outputs.bias", NULL};

static const variant bert_variants[] = {
    {.what = "as Hugging Face names them", .said = ""},
    {.what = "decoder stored", .copies = bert_decoder, .said = ""},
    {.what = "decoder and its bias stored", .copies = bert_decoder_and_bias, .said = ""},
    {.what = "module. before all", .prefix = "module.", .said = ""},
    {.what = "_orig_mod. before all", .prefix = "_orig_mod.", .copies = bert_decoder, .said = ""},
    {.what = "bert. missing", .without = "bert.", .said = ""},
    {.what = "gamma and beta", .gamma_beta = true, .copies = bert_decoder, .said = ""},
    {.what = "all at once",
     .prefix = "module.",
     .without = "bert.",
     .gamma_beta = true,
     .copies = bert_decoder_and_bias,
     .said = ""},
    {.what = "buffers", .extra = buffers, .said = ""},
    {.what = "superfluous heads",
     .extra = other_heads,
     .said = "v: note: not used: classifier.bias, classifier.weight, qa_outputs.bias\n"},
};

static void expect_variants(void **state, const char *config, const variant *variants, size_t n) {
    named_tensors parameters = {0}, wanted = {0};
    strbuf said = STRBUF_INIT;
    make_parameters(state, config, &parameters);
    make_directory(state, "v", config);
    for (size_t i = 0; i < n; i++) {
        written w = {0};
        collect(&w, &parameters, &variants[i]);
        put_items_safetensors(state, "v/model.safetensors", &w);
        if (i == 0) predict(state, "v", EXECUTOR_INTERPRETER, &said, &wanted);
        expect_outputs(state, "v", variants[i].what, variants[i].said, &wanted);
        remove_one(state, "v", "model.safetensors");
        for (int form = 0; form < 4; form++) {
            put_items_torch(state, "v/pytorch_model.bin", &w, form & 1, form & 2);
            expect_outputs(state, "v", variants[i].what, variants[i].said, &wanted);
        }
        remove_one(state, "v", "pytorch_model.bin");
        end_written(&w);
    }
    remove_one(state, "v", "config.json");
    remove(file_path(state, "v"));
    strbuf_free(&said);
    named_tensors_free(&wanted);
    named_tensors_free(&parameters);
}

static void test_bert(void **state) {
    expect_variants(state, BERT_CONFIG, bert_variants, sizeof bert_variants / sizeof *bert_variants);
}

static void test_distilbert(void **state) {
    static const char *const projector[][2] = {{"vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"}, {0}};
    static const variant variants[] = {
        {.what = "as Hugging Face names them", .said = ""},
        {.what = "projector stored", .copies = projector, .said = ""},
        {.what = "distilbert. missing", .without = "distilbert.", .said = ""},
        {.what = "all at once", .prefix = "module.", .without = "distilbert.", .gamma_beta = true, .copies = projector, .said = ""},
        {.what = "superfluous heads",
         .extra = other_heads,
         .said = "v: note: not used: classifier.bias, classifier.weight, qa_outputs.bias\n"},
    };
    expect_variants(state, DISTILBERT_CONFIG, variants, sizeof variants / sizeof *variants);
}

/* A BertModel alone, with and without its prefix: the heads are drawn from the seed, the same in both, and listed. */
static void test_missing_heads(void **state) {
    static const char said[] =
        "v: note: initialised from seed 42: cls.predictions.transform.dense.weight, cls.predictions.transform.dense.bias, "
        "cls.predictions.transform.LayerNorm.weight, cls.predictions.transform.LayerNorm.bias, cls.predictions.bias, "
        "cls.seq_relationship.weight, cls.seq_relationship.bias\n";
    static const variant variants[] = {
        {.what = "no heads", .drop = "cls.", .said = said},
        {.what = "no heads, no prefix", .drop = "cls.", .without = "bert.", .said = said},
        {.what = "no heads, gamma", .drop = "cls.", .prefix = "module.", .gamma_beta = true, .said = said}};
    expect_variants(state, BERT_CONFIG, variants, sizeof variants / sizeof *variants);
}

/* Two tensors of the decoder, where the model does not tie them. */
static void test_untied_decoder(void **state) {
    named_tensors parameters = {0}, tied = {0}, untied = {0};
    strbuf said = STRBUF_INIT;
    make_parameters(state, BERT_CONFIG, &parameters);
    make_directory(state, "u", "{" BERT_SIZES ", \"architectures\": [\"BertForPreTraining\"], \"tie_word_embeddings\": false}");
    const variant both = {.what = "untied", .copies = bert_decoder};
    written w = {0};
    collect(&w, &parameters, &both);
    put_items_safetensors(state, "u/model.safetensors", &w);
    predict(state, "u", EXECUTOR_INTERPRETER, &said, &tied); /* equal by their elements */
    ir_tensor other = *named_tensors_find(&parameters, "bert.embeddings.word_embeddings.weight");
    float *elements = calloc((size_t)tensor_elements(&other), sizeof *elements);
    assert_non_null(elements);
    w.items.data[w.items.size - 1].data = elements; /* decoder.weight = 0: the logits are the bias */
    put_items_torch(state, "u/pytorch_model.bin", &w, false, false);
    remove_one(state, "u", "model.safetensors");
    predict(state, "u", EXECUTOR_INTERPRETER, &said, &untied);
    assert_string_equal(strbuf_str(&said), "");
    const ir_tensor *bias = named_tensors_find(&parameters, "cls.predictions.bias");
    const ir_tensor *logits = named_tensors_find(&untied, "prediction_logits");
    for (int64_t i = 0; i < tensor_elements(logits); i++) assert_true(tensor_get(logits, i) == tensor_get(bias, i % 11));
    assert_true(tensor_get(named_tensors_find(&tied, "prediction_logits"), 0) != tensor_get(logits, 0));
    free(elements);
    end_written(&w);
    strbuf_free(&said);
    named_tensors_free(&tied);
    named_tensors_free(&untied);
    named_tensors_free(&parameters);
}

/* Compiled code gives the same for every format, whose tensors lie differently in memory. */
static void test_compiled(void **state) {
    named_tensors parameters = {0}, wanted = {0};
    strbuf said = STRBUF_INIT;
    make_parameters(state, BERT_CONFIG, &parameters);
    make_directory(state, "c", BERT_CONFIG);
    written w = {0};
    collect(&w, &parameters, &bert_variants[1]);
    put_items_safetensors(state, "c/model.safetensors", &w);
    predict(state, "c", EXECUTOR_COMPILED, &said, &wanted);
    remove_one(state, "c", "model.safetensors");
    for (int form = 0; form < 4; form++) {
        named_tensors found = {0};
        put_items_torch(state, "c/pytorch_model.bin", &w, form & 1, form & 2);
        predict(state, "c", EXECUTOR_COMPILED, &said, &found);
        expect_equal("compiled", &found, &wanted);
        named_tensors_free(&found);
    }
    assert_string_equal(strbuf_str(&said), "");
    end_written(&w);
    strbuf_free(&said);
    named_tensors_free(&wanted);
    named_tensors_free(&parameters);
}

/* Each of config.json's activations computes something else, and compiled code the same as the interpreter. */
static void test_activations(void **state) {
    static const char *const names[] = {"gelu", "gelu_new", "relu"};
    named_tensors parameters = {0};
    double first[3];
    make_parameters(state, BERT_CONFIG, &parameters);
    written w = {0};
    collect(&w, &parameters, &bert_variants[0]);
    make_directory(state, "a", "");
    put_items_torch(state, "a/pytorch_model.bin", &w, false, false);
    for (size_t i = 0; i < 3; i++) {
        char config[400];
        strbuf said = STRBUF_INIT;
        named_tensors exact = {0}, fast = {0};
        snprintf(config, sizeof config, "{" BERT_SIZES ", \"hidden_act\": \"%s\", \"architectures\": [\"BertForPreTraining\"]}",
                 names[i]);
        put_file(state, "a/config.json", config, strlen(config));
        predict(state, "a", EXECUTOR_INTERPRETER, &said, &exact);
        predict(state, "a", EXECUTOR_COMPILED, &said, &fast);
        assert_string_equal(strbuf_str(&said), "");
        for (size_t j = 0; j < exact.entries.size; j++) {
            const named_tensor *t = &exact.entries.data[j];
            assert_tensors_close(names[i], named_tensors_find(&fast, t->name), &t->tensor, 1e-5, 0);
        }
        first[i] = tensor_get(named_tensors_find(&exact, "prediction_logits"), 0);
        named_tensors_free(&exact);
        named_tensors_free(&fast);
        strbuf_free(&said);
    }
    assert_true(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
    end_written(&w);
    named_tensors_free(&parameters);
}

/* ---- what does not fit ---- */

static void expect_refused(void **state, const char *directory, const char *messages) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    const road_options road = {0};
    executor *e = NULL;
    loaded_model *m = open_model(file_path(state, directory), &said);
    assert_int_equal(executor_create(m, &road, EXECUTOR_INTERPRETER, &sink, &e), POFAC_ERR_INPUT);
    assert_null(e);
    if (said.data) cut_directory(state, said.data);
    assert_string_equal(strbuf_str(&said), messages);
    loaded_model_close(m);
    strbuf_free(&said);
}

static void test_mismatches(void **state) {
    named_tensors parameters = {0};
    make_parameters(state, BERT_CONFIG, &parameters);
    make_directory(state, "m",
                   "{\"model_type\": \"bert\", \"vocab_size\": 13, \"hidden_size\": 8, \"num_hidden_layers\": 2, "
                   "\"num_attention_heads\": 2, \"intermediate_size\": 16, \"max_position_embeddings\": 6, "
                   "\"architectures\": [\"BertForPreTraining\"]}");
    written w = {0};
    collect(&w, &parameters, &bert_variants[6]);
    put_items_torch(state, "m/pytorch_model.bin", &w, false, false);
#define FILE_SAYS "m/pytorch_model.bin: error: tensor "
    expect_refused(state, "m",
                   FILE_SAYS "\"bert.embeddings.word_embeddings.weight\": found f32[11,8], wanted f32[13,8]\n" FILE_SAYS
                             "\"bert.encoder.layer.0.intermediate.dense.weight\": found f32[12,8], wanted f32[16,8]\n" FILE_SAYS
                             "\"bert.encoder.layer.0.intermediate.dense.bias\": found f32[12], wanted f32[16]\n" FILE_SAYS
                             "\"bert.encoder.layer.0.output.dense.weight\": found f32[8,12], wanted f32[8,16]\n" FILE_SAYS
                             "\"bert.encoder.layer.1.intermediate.dense.weight\": found f32[12,8], wanted f32[16,8]\n" FILE_SAYS
                             "\"bert.encoder.layer.1.intermediate.dense.bias\": found f32[12], wanted f32[16]\n" FILE_SAYS
                             "\"bert.encoder.layer.1.output.dense.weight\": found f32[8,12], wanted f32[8,16]\n" FILE_SAYS
                             "\"cls.predictions.bias\": found f32[11], wanted f32[13]\n");
    end_written(&w);
    named_tensors_free(&parameters);
}

static void test_missing_encoder(void **state) {
    named_tensors parameters = {0};
    make_parameters(state, BERT_CONFIG, &parameters);
    make_directory(state, "e", BERT_CONFIG);
    const variant v = {.drop = "bert.encoder.layer.1.attention.output."};
    written w = {0};
    collect(&w, &parameters, &v);
    put_items_torch(state, "e/pytorch_model.bin", &w, true, false);
    expect_refused(
        state, "e",
        "e: error: the checkpoint lacks 4 parameters of the encoder: bert.encoder.layer.1.attention.output.dense.weight, "
        "bert.encoder.layer.1.attention.output.dense.bias, bert.encoder.layer.1.attention.output.LayerNorm.weight, "
        "bert.encoder.layer.1.attention.output.LayerNorm.bias\n");
    end_written(&w);
    named_tensors_free(&parameters);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bert),           cmocka_unit_test(test_distilbert),      cmocka_unit_test(test_missing_heads),
        cmocka_unit_test(test_untied_decoder), cmocka_unit_test(test_compiled),        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_mismatches),     cmocka_unit_test(test_missing_encoder),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
