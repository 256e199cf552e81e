/*
 * Results of runs: the tensors that Hugging Face's classes want, by name and shape, whatever the original called them; a definition that keeps
 * what the original said; and a model that comes back as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/model_save.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/made_run.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_write.h"

/* ---- what classes want ---- */

/* Parameters that state_dict() of the class has without those that are tied, of one layer; sizes as letters: V, P, T, E, F, L labels, 2. */
#define BERT_LAYER                                                                                                                 \
    "bert.encoder.layer.0.attention.output.LayerNorm.bias E\nbert.encoder.layer.0.attention.output.LayerNorm.weight E\n"           \
    "bert.encoder.layer.0.attention.output.dense.bias E\nbert.encoder.layer.0.attention.output.dense.weight E,E\n"                 \
    "bert.encoder.layer.0.attention.self.key.bias E\nbert.encoder.layer.0.attention.self.key.weight E,E\n"                         \
    "bert.encoder.layer.0.attention.self.query.bias E\nbert.encoder.layer.0.attention.self.query.weight E,E\n"                     \
    "bert.encoder.layer.0.attention.self.value.bias E\nbert.encoder.layer.0.attention.self.value.weight E,E\n"                     \
    "bert.encoder.layer.0.intermediate.dense.bias F\nbert.encoder.layer.0.intermediate.dense.weight F,E\n"                         \
    "bert.encoder.layer.0.output.LayerNorm.bias E\nbert.encoder.layer.0.output.LayerNorm.weight E\n"                               \
    "bert.encoder.layer.0.output.dense.bias E\nbert.encoder.layer.0.output.dense.weight E,F\n"
#define BERT                                                                                                                       \
    "bert.embeddings.LayerNorm.bias E\nbert.embeddings.LayerNorm.weight E\nbert.embeddings.position_embeddings.weight P,E\n"       \
    "bert.embeddings.token_type_embeddings.weight T,E\nbert.embeddings.word_embeddings.weight V,E\n" BERT_LAYER
#define BERT_POOLER "bert.pooler.dense.bias E\nbert.pooler.dense.weight E,E\n"
#define MLM                                                                                                                        \
    "cls.predictions.transform.LayerNorm.bias E\ncls.predictions.transform.LayerNorm.weight E\n"                                   \
    "cls.predictions.transform.dense.bias E\ncls.predictions.transform.dense.weight E,E\n"
#define DISTILBERT_LAYER                                                                                                           \
    "distilbert.transformer.layer.0.attention.k_lin.bias E\ndistilbert.transformer.layer.0.attention.k_lin.weight E,E\n"           \
    "distilbert.transformer.layer.0.attention.out_lin.bias E\ndistilbert.transformer.layer.0.attention.out_lin.weight E,E\n"       \
    "distilbert.transformer.layer.0.attention.q_lin.bias E\ndistilbert.transformer.layer.0.attention.q_lin.weight E,E\n"           \
    "distilbert.transformer.layer.0.attention.v_lin.bias E\ndistilbert.transformer.layer.0.attention.v_lin.weight E,E\n"           \
    "distilbert.transformer.layer.0.ffn.lin1.bias F\ndistilbert.transformer.layer.0.ffn.lin1.weight F,E\n"                         \
    "distilbert.transformer.layer.0.ffn.lin2.bias E\ndistilbert.transformer.layer.0.ffn.lin2.weight E,F\n"                         \
    "distilbert.transformer.layer.0.output_layer_norm.bias E\ndistilbert.transformer.layer.0.output_layer_norm.weight E\n"         \
    "distilbert.transformer.layer.0.sa_layer_norm.bias E\ndistilbert.transformer.layer.0.sa_layer_norm.weight E\n"
#define DISTILBERT                                                                                                                 \
    "distilbert.embeddings.LayerNorm.bias E\ndistilbert.embeddings.LayerNorm.weight E\n"                                           \
    "distilbert.embeddings.position_embeddings.weight P,E\ndistilbert.embeddings.word_embeddings.weight V,E\n" DISTILBERT_LAYER

typedef struct wanted_class {
    model_arch arch;
    model_head head;
    bool untied;
    const char *tensors;
} wanted_class;

static const wanted_class classes[] = {
    {MODEL_BERT, HEAD_PRETRAINING, false,
     BERT BERT_POOLER "cls.predictions.bias V\n" MLM "cls.seq_relationship.bias 2\ncls.seq_relationship.weight 2,E\n"},
    {MODEL_BERT, HEAD_MASKED_LM, false, BERT "cls.predictions.bias V\n" MLM},
    {MODEL_BERT, HEAD_MASKED_LM, true, BERT "cls.predictions.bias V\ncls.predictions.decoder.weight V,E\n" MLM},
    {MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, false, BERT BERT_POOLER "classifier.bias L\nclassifier.weight L,E\n"},
    {MODEL_BERT, HEAD_TOKEN_CLASSIFICATION, false, BERT "classifier.bias L\nclassifier.weight L,E\n"},
    {MODEL_BERT, HEAD_QUESTION_ANSWERING, false, BERT "qa_outputs.bias 2\nqa_outputs.weight 2,E\n"},
    {MODEL_DISTILBERT, HEAD_MASKED_LM, false,
     DISTILBERT "vocab_layer_norm.bias E\nvocab_layer_norm.weight E\nvocab_projector.bias V\nvocab_transform.bias "
                "E\nvocab_transform.weight E,E\n"},
    {MODEL_DISTILBERT, HEAD_SEQUENCE_CLASSIFICATION, false,
     "classifier.bias L\nclassifier.weight L,E\n" DISTILBERT "pre_classifier.bias E\npre_classifier.weight E,E\n"},
    {MODEL_DISTILBERT, HEAD_TOKEN_CLASSIFICATION, false, "classifier.bias L\nclassifier.weight L,E\n" DISTILBERT},
    {MODEL_DISTILBERT, HEAD_QUESTION_ANSWERING, false, DISTILBERT "qa_outputs.bias 2\nqa_outputs.weight 2,E\n"},
};

static tiny_model model_of(model_arch arch, model_head head) {
    tiny_model m = {.spec = tiny_spec(arch, head)};
    m.spec.num_labels = 3;
    return m;
}

/* A model written as `from`, its run with random content, and the run's result as `to`. */
static made_run save_model(void **state, const tiny_model *m, const char *sparse, ir_dtype dtype) {
    char from[256], to[256];
    snprintf(from, sizeof from, "%s", file_path(state, "from"));
    snprintf(to, sizeof to, "%s", file_path(state, "to"));
    assert_int_equal(directory_remove(from, NULL), POFAC_OK);
    assert_int_equal(directory_remove(to, NULL), POFAC_OK);
    assert_int_equal(directory_make(to, NULL), POFAC_OK);
    tiny_model_write(m, from);
    made_run run = made_run_create(&(made_run_options){.path = from, .sparse = sparse, .seed = 5});
    assert_int_equal(run_model_save(to, run.model, run.state, dtype, NULL), POFAC_OK);
    return run;
}

static void put_letter(const model_spec *s, int64_t dim, strbuf *out) {
    const struct {
        int64_t size;
        const char *letter;
    } sizes[] = {{s->vocab_size, "V"},
                 {s->max_position_embeddings, "P"},
                 {s->hidden_size, "E"},
                 {s->intermediate_size, "F"},
                 {s->num_labels, "L"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i].size != dim) continue;
        strbuf_puts(out, sizes[i].letter);
        return;
    }
    strbuf_printf(out, "%lld", (long long)dim);
}

static char *list_tensors(void **state, const model_spec *spec) {
    strbuf out = STRBUF_INIT;
    checkpoint *c;
    assert_int_equal(checkpoint_open(file_path(state, "to/model.safetensors"), NULL, &c), POFAC_OK);
    assert_string_equal(checkpoint_metadata(c, "format"), "pt");
    for (size_t i = 0; i < checkpoint_size(c); i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        strbuf_printf(&out, "%s ", t->name);
        for (uint32_t d = 0; d < t->rank; d++) {
            if (d) strbuf_putc(&out, ',');
            if (strstr(t->name, "token_type_embeddings") && d == 0) strbuf_putc(&out, 'T');
            else put_letter(spec, t->dims[d], &out);
        }
        strbuf_putc(&out, '\n');
    }
    checkpoint_close(c);
    assert_true(strbuf_ok(&out));
    return out.data;
}

static void classes_get_their_tensors(void **state) {
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        tiny_model m = model_of(classes[i].arch, classes[i].head);
        m.spec.tie_word_embeddings = !classes[i].untied;
        made_run run = save_model(state, &m, NULL, IR_F32);
        char *found = list_tensors(state, &m.spec);
        assert_string_equal(found, classes[i].tensors);
        free(found);
        made_run_free(&run);
    }
}

/* BertModel and DistilBertModel have no prefix; what is saved so is found again. */
static void bare_encoders_have_no_prefix(void **state) {
    for (int arch = 0; arch < 2; arch++) {
        tiny_model m = model_of(arch ? MODEL_DISTILBERT : MODEL_BERT, HEAD_NONE);
        made_run run = save_model(state, &m, NULL, IR_F32);
        char *found = list_tensors(state, &m.spec);
        assert_null(strstr(found, "bert"));
        assert_non_null(strstr(found, "embeddings.word_embeddings.weight V,E\n"));
        made_run again = made_run_create(&(made_run_options){.path = file_path(state, "to"), .without_moments = true});
        assert_same_state(again.state, run.state, NULL);
        free(found);
        made_run_free(&again);
        made_run_free(&run);
    }
}

static void comes_back_as_it_was(void **state) {
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        tiny_model m = model_of(classes[i].arch, classes[i].head);
        made_run run = save_model(state, &m, NULL, IR_F32);
        made_run again = made_run_create(&(made_run_options){.path = file_path(state, "to"), .without_moments = true});
        const model_spec *a = loaded_model_spec(run.model), *b = loaded_model_spec(again.model);
        assert_same_state(again.state, run.state, NULL);
        strbuf x = STRBUF_INIT, y = STRBUF_INIT;
        config_json_write(a, &x);
        config_json_write(b, &y);
        assert_string_equal(strbuf_str(&x), strbuf_str(&y));
        strbuf_free(&x);
        strbuf_free(&y);
        made_run_free(&again);
        made_run_free(&run);
    }
}

/* ---- forms ---- */

/* The same model under the names of older files. */
static void rename_tensors(void **state, bool with_buffer) {
    checkpoint *c;
    safetensors_item items[96] = {{0}};
    char names[96][160];
    static const int64_t ids[3] = {0, 1, 2};
    size_t n = 0;
    char path[256];
    snprintf(path, sizeof path, "%s", file_path(state, "from/model.safetensors"));
    assert_int_equal(checkpoint_open(path, NULL, &c), POFAC_OK);
    for (; n < checkpoint_size(c); n++) {
        const checkpoint_tensor *t = checkpoint_at(c, n);
        const char *end = strstr(t->name, "LayerNorm.weight") ? "weight" : strstr(t->name, "LayerNorm.bias") ? "bias" : "";
        snprintf(names[n], sizeof *names, "module.%.*s%s", (int)(strlen(t->name) - strlen(end)), t->name,
                 *end == 'w' ? "gamma"
                 : *end      ? "beta"
                             : "");
        items[n] = (safetensors_item){.name = names[n], .dtype = t->dtype, .rank = t->rank, .data = t->data};
        memcpy(items[n].dims, t->dims, sizeof t->dims);
    }
    if (with_buffer)
        items[n++] = (safetensors_item){
            .name = "module.bert.embeddings.position_ids", .dtype = IR_I64, .rank = 2, .dims = {1, 3}, .data = ids};
    assert_int_equal(safetensors_write(path, items, n, NULL, 0, NULL), POFAC_OK);
    checkpoint_close(c);
}

static void old_names_become_new_ones(void **state) {
    tiny_model m = model_of(MODEL_BERT, HEAD_MASKED_LM);
    made_run first = save_model(state, &m, NULL, IR_F32);
    for (int with_buffer = 0; with_buffer < 2; with_buffer++) {
        char path[256];
        snprintf(path, sizeof path, "%s", file_path(state, "from"));
        tiny_model_write(&m, path);
        rename_tensors(state, with_buffer);
        made_run run = made_run_create(&(made_run_options){.path = path, .seed = 5});
        assert_int_equal(run_model_save(file_path(state, "to"), run.model, run.state, IR_F32, NULL), POFAC_OK);
        char *found = list_tensors(state, &m.spec);
        assert_string_equal(found, with_buffer
                                       ? "bert.embeddings.LayerNorm.bias E\nbert.embeddings.LayerNorm.weight E\n"
                                         "bert.embeddings.position_embeddings.weight P,E\nbert.embeddings.position_ids 1,L\n"
                                         "bert.embeddings.token_type_embeddings.weight T,E\n"
                                         "bert.embeddings.word_embeddings.weight V,E\n" BERT_LAYER "cls.predictions.bias V\n" MLM
                                       : classes[1].tensors);
        free(found);
        made_run_free(&run);
    }
    made_run_free(&first);
}

static double with_zeros(const char *name, int64_t row, int64_t column) {
    (void)name;
    return (row + column) % 3 == 0 ? 0 : 0.01 * (double)(row + 1) + 0.001 * (double)column;
}

/* Weights of the encoder are non-zeros in the run, and dense in the file, in each of its dtypes. */
static void sparse_weights_become_dense(void **state) {
    static const ir_dtype dtypes[] = {IR_F32, IR_BF16, IR_F16};
    static const char *const names[] = {"\"float32\"", "\"bfloat16\"", "\"float16\""};
    for (size_t i = 0; i < 3; i++) {
        tiny_model m = model_of(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION);
        m.value = with_zeros;
        made_run run = save_model(state, &m, "encoder", dtypes[i]);
        checkpoint *c;
        assert_int_equal(checkpoint_open(file_path(state, "to"), NULL, &c), POFAC_OK);
        const char *name = "bert.encoder.layer.0.output.dense.weight";
        const checkpoint_tensor *t = checkpoint_get(c, name);
        const state_entry *e = state_store_find(run.state, name);
        const ir_pattern *p = e->tensor.pattern;
        ir_tensor loaded;
        assert_int_equal(checkpoint_load(t, dtypes[i], NULL, &loaded), POFAC_OK);
        for (int64_t row = 0, at = 0; row < p->n_rows; row++) {
            for (int64_t column = 0; column < p->n_columns; column++) {
                double wanted = 0;
                if ((row + column) % 3 != 0) {
                    const float value = (float)tensor_get(&e->tensor, at++);
                    wanted = i == 0 ? value : i == 1 ? bf16_to_float(float_to_bf16(value)) : f16_to_float(float_to_f16(value));
                }
                const double found = tensor_get(&loaded, row * p->n_columns + column);
                if (found != wanted)
                    fail_msg("%s[%lld,%lld]: found %g, wanted %g", name, (long long)row, (long long)column, found, wanted);
            }
        }
        tensor_free(&loaded);
        checkpoint_close(c);
        file_map config;
        assert_int_equal(file_map_open(file_path(state, "to/config.json"), NULL, &config), POFAC_OK);
        assert_non_null(memmem(config.data, config.size_bytes, names[i], strlen(names[i])));
        file_map_close(&config);
        made_run_free(&run);
    }
}

/* ---- definition and tokenizer ---- */

static char *read_text(void **state, const char *name) {
    file_map file;
    assert_int_equal(file_map_open(file_path(state, name), NULL, &file), POFAC_OK);
    char *text = strndup(file.data ? (const char *)file.data : "", file.size_bytes);
    file_map_close(&file);
    return text;
}

static void expect_config(void **state, model_head head, const char *original, loaded_model_options options, const char *wanted) {
    char from[256];
    tiny_model m = model_of(MODEL_BERT, head);
    made_run run = save_model(state, &m, NULL, IR_F32);
    made_run_free(&run);
    put_file(state, "from/config.json", original, strlen(original));
    snprintf(from, sizeof from, "%s", file_path(state, "from"));
    run = made_run_create(&(made_run_options){.path = from, .model = options, .seed = 5});
    assert_int_equal(run_model_save(file_path(state, "to"), run.model, run.state, IR_F32, NULL), POFAC_OK);
    char *found = read_text(state, "to/config.json");
    assert_string_equal(found, wanted);
    free(found);
    made_run_free(&run);
}

#define SIZES_BEFORE "  \"hidden_size\": 32,\n"
#define SIZES_MIDDLE "  \"initializer_range\": 0.02,\n  \"intermediate_size\": 48,\n"
#define SIZES_OF_LAYERS                                                                                                            \
    "  \"max_position_embeddings\": 24,\n  \"model_type\": \"bert\",\n  \"num_attention_heads\": 2,\n  \"num_hidden_layers\": "    \
    "1,\n"

static void what_the_original_said_stays(void **state) {
    static const char original[] =
        "{\"architectures\": [\"BertForSequenceClassification\"], \"_name_or_path\": \"x/y\", \"task_specific_params\": {\"b\": "
        "[1, 0.1], \"a\": {}},"
        "\"classifier_dropout\": null, \"hidden_size\": 32, \"intermediate_size\": 48, \"max_position_embeddings\": 24, "
        "\"model_type\": \"bert\","
        "\"num_attention_heads\": 2, \"num_hidden_layers\": 1, \"vocab_size\": 33, \"id2label\": {\"0\": \"no\", \"1\": \"yes\", "
        "\"2\": \"maybe\"},"
        "\"problem_type\": \"single_label_classification\", \"torch_dtype\": \"float16\", \"transformers_version\": \"4.12.0\"}";
    expect_config(
        state, HEAD_SEQUENCE_CLASSIFICATION, original, (loaded_model_options){0},
        "{\n  \"_name_or_path\": \"x/y\",\n  \"architectures\": [\n    \"BertForSequenceClassification\"\n  ],\n"
        "  \"attention_probs_dropout_prob\": 0.1,\n  \"classifier_dropout\": null,\n  \"hidden_act\": \"gelu\",\n"
        "  \"hidden_dropout_prob\": 0.1,\n" SIZES_BEFORE
        "  \"id2label\": {\n    \"0\": \"no\",\n    \"1\": \"yes\",\n    \"2\": \"maybe\"\n  },\n" SIZES_MIDDLE
        "  \"label2id\": {\n    \"maybe\": 2,\n    \"no\": 0,\n    \"yes\": 1\n  },\n  \"layer_norm_eps\": 1e-12,\n" SIZES_OF_LAYERS
        "  \"num_labels\": 3,\n  \"pad_token_id\": 0,\n  \"problem_type\": \"single_label_classification\",\n"
        "  \"task_specific_params\": {\n    \"a\": {},\n    \"b\": [\n      1,\n      0.1\n    ]\n  },\n"
        "  \"tie_word_embeddings\": true,\n  \"torch_dtype\": \"float32\",\n  \"transformers_version\": \"4.12.0\",\n"
        "  \"type_vocab_size\": 2,\n  \"vocab_size\": 33\n}\n");
}

/* Another number of labels: names and the kind of problem of before would be wrong. Newer files call the dtype by another name. */
static void what_would_contradict_goes(void **state) {
    static const char original[] = "{\"architectures\": [\"BertForMaskedLM\"], \"dtype\": \"bfloat16\", \"hidden_size\": 32, "
                                   "\"intermediate_size\": 48, \"max_position_embeddings\": 24,"
                                   "\"model_type\": \"bert\", \"num_attention_heads\": 2, \"num_hidden_layers\": 1, "
                                   "\"vocab_size\": 33, \"id2label\": {\"0\": \"no\", \"1\": \"yes\"},"
                                   "\"label2id\": {\"no\": 0, \"yes\": 1}, \"problem_type\": \"single_label_classification\"}";
    expect_config(state, HEAD_MASKED_LM, original, (loaded_model_options){.head = HEAD_SEQUENCE_CLASSIFICATION, .num_labels = 1},
                  "{\n  \"architectures\": [\n    \"BertForSequenceClassification\"\n  ],\n"
                  "  \"attention_probs_dropout_prob\": 0.1,\n  \"dtype\": \"float32\",\n  \"hidden_act\": \"gelu\",\n"
                  "  \"hidden_dropout_prob\": 0.1,\n" SIZES_BEFORE SIZES_MIDDLE "  \"layer_norm_eps\": 1e-12,\n" SIZES_OF_LAYERS
                  "  \"num_labels\": 1,\n  \"pad_token_id\": 0,\n  \"problem_type\": \"regression\",\n"
                  "  \"tie_word_embeddings\": true,\n  \"type_vocab_size\": 2,\n  \"vocab_size\": 33\n}\n");
}

static void expect_text(void **state, const char *name, const char *wanted) {
    char *found = read_text(state, name);
    assert_string_equal(found, wanted);
    free(found);
}

static void the_tokenizer_comes_along(void **state) {
    tiny_model m = model_of(MODEL_BERT, HEAD_NONE);
    made_run run = save_model(state, &m, NULL, IR_F32);
    expect_text(state, "to/vocab.txt", tiny_vocabulary);
    assert_false(file_exists(file_path(state, "to/tokenizer_config.json")));
    static const char *const names[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.json"};
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "from/%s", names[i]);
        put_file(state, name, names[i], strlen(names[i]));
    }
    assert_int_equal(run_model_save(file_path(state, "to"), run.model, run.state, IR_F32, NULL), POFAC_OK);
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "to/%s", names[i]);
        expect_text(state, name, names[i]);
    }
    made_run_free(&run);
}

/* Nothing of the directory's tokenizer but its settings belongs to another vocabulary. */
static void another_vocabulary_gets_its_settings(void **state) {
    char from[256], vocabulary[256];
    static const char settings[] = "{\"do_lower_case\": false, \"strip_accents\": true}";
    tiny_model m = model_of(MODEL_DISTILBERT, HEAD_NONE);
    made_run run = save_model(state, &m, NULL, IR_F32);
    made_run_free(&run);
    put_file(state, "from/tokenizer.json", "{}", 2);
    put_file(state, "from/tokenizer_config.json", settings, strlen(settings));
    put_file(state, "other.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", 31);
    snprintf(from, sizeof from, "%s", file_path(state, "from"));
    snprintf(vocabulary, sizeof vocabulary, "%s", file_path(state, "other.txt"));
    run = made_run_create(&(made_run_options){.path = from, .model = {.vocab = vocabulary}});
    assert_int_equal(run_model_save(file_path(state, "to"), run.model, run.state, IR_F32, NULL), POFAC_OK);
    expect_text(state, "to/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    expect_text(
        state, "to/tokenizer_config.json",
        "{\n  \"cls_token\": \"[CLS]\",\n  \"do_lower_case\": false,\n  \"mask_token\": \"[MASK]\",\n  \"model_max_length\": 24,\n"
        "  \"pad_token\": \"[PAD]\",\n  \"sep_token\": \"[SEP]\",\n  \"strip_accents\": true,\n  \"tokenize_chinese_chars\": "
        "true,\n"
        "  \"tokenizer_class\": \"DistilBertTokenizer\",\n  \"unk_token\": \"[UNK]\"\n}\n");
    assert_false(file_exists(file_path(state, "to/tokenizer.json")));
    made_run_free(&run);
}

/* ---- failures ---- */

static void a_failure_leaves_the_old_model(void **state) {
    tiny_model m = model_of(MODEL_BERT, HEAD_NONE);
    made_run run = save_model(state, &m, NULL, IR_F32);
    char to[256];
    snprintf(to, sizeof to, "%s", file_path(state, "to"));
    for (int kind = 0; kind < 2; kind++) {
        for (size_t n = 1;; n++) {
            strbuf said = STRBUF_INIT;
            const diag_sink sink = diag_sink_to_strbuf(&said);
            if (kind) fail_write_after(n);
            else fail_alloc_after(n);
            const pofac_status status = run_model_save(to, run.model, run.state, IR_F32, &sink);
            const bool failed = kind ? fail_write_stop() : fail_alloc_stop();
            if (status != POFAC_OK && (!failed || said.size == 0))
                fail_msg("%zu: found status %d, \"%s\"", n, status, strbuf_str(&said));
            strbuf_free(&said);
            if (!failed) break;
            made_run again = made_run_create(&(made_run_options){.path = to, .without_moments = true});
            assert_same_state(again.state, run.state, NULL);
            made_run_free(&again);
        }
    }
    made_run_free(&run);
}

void *__real_malloc(size_t n);

/* jansson's own allocations succeed: it takes some that fail for wrong syntax. */
static int set_up(void **state) {
    const int failed = files_set_up(state);
    json_set_alloc_funcs(__real_malloc, free);
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_get_their_tensors),
        cmocka_unit_test(bare_encoders_have_no_prefix),
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(old_names_become_new_ones),
        cmocka_unit_test(sparse_weights_become_dense),
        cmocka_unit_test(what_the_original_said_stays),
        cmocka_unit_test(what_would_contradict_goes),
        cmocka_unit_test(the_tokenizer_comes_along),
        cmocka_unit_test(another_vocabulary_gets_its_settings),
        cmocka_unit_test(a_failure_leaves_the_old_model),
    };
    return cmocka_run_group_tests(tests, set_up, files_tear_down);
}
