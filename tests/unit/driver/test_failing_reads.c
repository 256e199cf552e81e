/*
 * Every reader of files, with the n-th read failing for every n: an error that names the file and the system's reason, or where the read
 * was not needed the same result as without a failure; and every file is closed. And every text of settings cut at every byte: an
 * error, or nothing was lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/loaded_model.h"
#include "frontend/driver/records.h"
#include "frontend/driver/text_file.h"
#include "frontend/model/xml_document.h"
#include "frontend/text/tokenize_lines.h"
#include "frontend/text/tokenizer_config.h"
#include "ir/text.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/checkpoint/torch_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_read.h"

static size_t open_files(void) {
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* ---- readers: each appends to `out` what it has read ---- */

static pofac_status read_checkpoint(const char *path, const diag_sink *sink, strbuf *out) {
    checkpoint *c;
    TRY(checkpoint_open(path, sink, &c));
    for (size_t i = 0; i < checkpoint_size(c); i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        float *values = calloc((size_t)checkpoint_elements(t) + 1, sizeof *values);
        assert_non_null(values);
        checkpoint_read_f32(t, values);
        strbuf_printf(out, "%s %g\n", t->name, (double)values[0]);
        free(values);
    }
    checkpoint_close(c);
    return POFAC_OK;
}

static pofac_status read_config(const char *path, const diag_sink *sink, strbuf *out) {
    arena memory = ARENA_INIT;
    model_spec spec;
    pofac_status status = config_json_read(path, &memory, sink, &spec);
    if (status == POFAC_OK) config_json_write(&spec, out);
    arena_free(&memory);
    return status;
}

static pofac_status take_tokenizer(pofac_status status, tokenizer *t, strbuf *out) {
    if (status != POFAC_OK) return status;
    for (int32_t id = 0; (size_t)id < tokenizer_vocab_size(t); id++) strbuf_printf(out, "%s\n", tokenizer_token(t, id));
    tokenizer_destroy(t);
    return POFAC_OK;
}

static pofac_status read_vocabulary(const char *path, const diag_sink *sink, strbuf *out) {
    tokenizer *t;
    pofac_status status = tokenizer_create(path, NULL, sink, &t);
    return take_tokenizer(status, t, out);
}

static pofac_status read_tokenizer(const char *path, const diag_sink *sink, strbuf *out) {
    tokenizer *t;
    pofac_status status = tokenizer_load_directory(path, NULL, sink, &t);
    return take_tokenizer(status, t, out);
}

static pofac_status read_xml(const char *path, const diag_sink *sink, strbuf *out) {
    arena memory = ARENA_INIT;
    xml_document *document;
    pofac_status status = xml_document_read(path, &memory, sink, &document);
    if (status == POFAC_OK) config_json_write(&document->model.spec, out);
    arena_free(&memory);
    return status;
}

static pofac_status read_ir(const char *path, const diag_sink *sink, strbuf *out) {
    ir_context *c = context_create();
    ir_module *m;
    assert_non_null(c);
    pofac_status status = text_file_read(c, path, NULL, sink, &m);
    if (status == POFAC_OK) text_print_module(m, (text_print_options){false, NULL, false}, out);
    module_destroy(m);
    context_destroy(c);
    return status;
}

static pofac_status read_records(const char *path, const diag_sink *sink, strbuf *out) {
    arena memory = ARENA_INIT;
    record_reader *r;
    record found;
    bool more = true;
    TRY(record_reader_open(path, NULL, sink, &r));
    pofac_status status = record_reader_next(r, &memory, sink, &found, &more);
    for (; status == POFAC_OK && more; status = record_reader_next(r, &memory, sink, &found, &more))
        strbuf_printf(out, "%s\n", found.text);
    record_reader_close(r);
    arena_free(&memory);
    return status;
}

static pofac_status append(void *user, const char *bytes, size_t n) {
    strbuf_append(user, bytes, n);
    return POFAC_OK;
}

static pofac_status read_lines(const char *path, const diag_sink *sink, strbuf *out) {
    tokenizer *t;
    assert_int_equal(tokenizer_create_from_memory("v", "[UNK]\n[CLS]\n[SEP]\na\nb\n", 22, NULL, NULL, &t), POFAC_OK);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    pofac_status status = fd < 0 ? diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "Input/output error")
                                 : tokenize_lines(t, fd, path, TOKENIZE_WITHOUT_SPECIALS, sink, append, out);
    if (fd >= 0) close(fd);
    tokenizer_destroy(t);
    return status;
}

/* A model whole: description, weights, vocabulary. */
static pofac_status read_model(const char *path, const diag_sink *sink, strbuf *out) {
    const loaded_model_options options = {.seed = 42};
    const tokenizer *t = NULL;
    loaded_model *m;
    TRY(loaded_model_open(path, &options, sink, &m));
    pofac_status status = loaded_model_tokenizer(m, sink, &t);
    if (status == POFAC_OK) strbuf_printf(out, "%zu tokens\n", tokenizer_vocab_size(t));
    loaded_model_close(m);
    return status;
}

/* ---- every read fails once ---- */

typedef pofac_status (*reader)(const char *path, const diag_sink *sink, strbuf *out);

/* `least` reads at least, so that no failure passes by. */
static void expect_reported(void **state, reader read_it, const char *name, size_t least) {
    strbuf good = STRBUF_INIT;
    const char *path = file_path(state, name);
    assert_int_equal(read_it(path, NULL, &good), POFAC_OK);
    assert_true(good.size > 0);
    const size_t files = open_files();
    for (size_t n = 1;; n++) {
        strbuf said = STRBUF_INIT, out = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        fail_read_after(n);
        pofac_status status = read_it(path, &sink, &out);
        const bool failed = fail_read_stop();
        if (status == POFAC_OK) {
            assert_string_equal(strbuf_str(&out), strbuf_str(&good));
        } else {
            assert_true(failed);
            if (!strstr(strbuf_str(&said), "Input/output error\n") || strncmp(strbuf_str(&said), *state, strlen(*state)) != 0 ||
                strchr(strbuf_str(&said), '\n')[1])
                fail_msg("%s, read %zu: said \"%s\", wanted one message with file and reason", name, n, strbuf_str(&said));
        }
        assert_int_equal(open_files(), files);
        strbuf_free(&said);
        strbuf_free(&out);
        if (failed) continue;
        if (n <= least) fail_msg("%s: found %zu reads, wanted at least %zu", name, n - 1, least);
        break;
    }
    strbuf_free(&good);
}

static const char config[] = "{\"model_type\": \"bert\", \"hidden_size\": 8, \"num_attention_heads\": 2, \"vocab_size\": 11,\n"
                             " \"id2label\": {\"0\": \"no\", \"1\": \"yes\"}, \"hidden_act\": \"gelu_new\"}";
static const char vocabulary[] = "[UNK]\n[CLS]\n[SEP]\nthe\n";
static const char tokenizer_json[] =
    "{\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\",\n"
    " \"max_input_chars_per_word\": 100, \"vocab\": {\"the\": 3, \"[UNK]\": 0, \"[SEP]\": 2, \"[CLS]\": 1}},\n"
    " \"normalizer\": {\"type\": \"BertNormalizer\", \"lowercase\": false}, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},\n"
    " \"added_tokens\": [{\"id\": 4, \"content\": \"<e>\", \"special\": true}]}";
static const char shard_index[] = "{\"weight_map\": {\"x\": \"m-2.safetensors\", \"y\": \"m-1.safetensors\"}}";
static const char description[] =
    "<pofac xmlns=\"urn:pofac:1\"><model head=\"none\"><bert vocab_size=\"11\" hidden_size=\"8\" num_attention_heads=\"2\"/>\n"
    "</model></pofac>";

static void put_string(void **state, const char *name, const char *text) { put_file(state, name, text, strlen(text)); }

static void put_shard(void **state, const char *name, const char *tensor, float value) {
    char header[100];
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", tensor);
    put_safetensors(state, name, header, &value, 4);
}

static void make_folder(void **state, const char *name) {
    if (mkdir(file_path(state, name), 0777) != 0) assert_true(access(file_path(state, name), W_OK) == 0);
}

static void checkpoints(void **state) {
    put_shard(state, "x.safetensors", "x", 1);
    expect_reported(state, read_checkpoint, "x.safetensors", 3);
    make_folder(state, "sharded");
    put_shard(state, "sharded/m-1.safetensors", "y", 1);
    put_shard(state, "sharded/m-2.safetensors", "x", 2);
    put_string(state, "sharded/model.safetensors.index.json", shard_index);
    expect_reported(state, read_checkpoint, "sharded", 9);
    strbuf pickle = STRBUF_INIT;
    torch_stored storage;
    make_small_state(&pickle, &storage, ZIP_DEFLATED);
    put_archive(state, "archive.bin", &pickle, &storage, 1);
    put_stream(state, "stream.bin", &pickle, &storage, 1);
    strbuf_free(&pickle);
    expect_reported(state, read_checkpoint, "archive.bin", 3);
    expect_reported(state, read_checkpoint, "stream.bin", 3);
}

static void settings(void **state) {
    put_string(state, "config.json", config);
    expect_reported(state, read_config, "config.json", 3);
    put_string(state, "model.xml", description);
    expect_reported(state, read_xml, "model.xml", 3);
    put_string(state, "vocab.txt", vocabulary);
    expect_reported(state, read_vocabulary, "vocab.txt", 3);
    make_folder(state, "words");
    put_string(state, "words/tokenizer.json", tokenizer_json);
    put_string(state, "words/tokenizer_config.json", "{\"do_lower_case\": true}");
    put_string(state, "words/special_tokens_map.json", "{\"additional_special_tokens\": [\"<f>\"]}");
    put_string(state, "words/added_tokens.json", "{\"<g>\": 6}");
    expect_reported(state, read_tokenizer, "words", 12);
    put_string(state, "module.pir", "graph @g (B <= 4) {\n  %1 = input {name = \"x\"} : f32[B]\n  return \"y\" = %1\n}\n");
    expect_reported(state, read_ir, "module.pir", 3);
}

static void texts(void **state) {
    static char lines[200001]; /* of several blocks */
    for (size_t i = 0; i < sizeof lines - 1; i++) lines[i] = i % 50 == 49 ? '\n' : i % 3 ? 'a' : ' ';
    put_string(state, "lines.txt", lines);
    expect_reported(state, read_records, "lines.txt", 4);
    expect_reported(state, read_lines, "lines.txt", 4);
}

static void models(void **state) {
    const tiny_model tiny = {.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)};
    make_folder(state, "model");
    tiny_model_write(&tiny, file_path(state, "model"));
    expect_reported(state, read_model, "model", 9);
}

/* ---- every text is cut ---- */

static void expect_cuts(void **state, reader read_it, const char *name, const char *place, const char *text) {
    char *cut = strdup(text);
    strbuf good = STRBUF_INIT;
    put_string(state, place, text);
    assert_int_equal(read_it(file_path(state, name), NULL, &good), POFAC_OK);
    for (size_t n = strlen(text); n-- > 0;) {
        strbuf said = STRBUF_INIT, out = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        put_file(state, place, cut, n);
        pofac_status status = read_it(file_path(state, name), &sink, &out);
        if (status == POFAC_OK ? strcmp(strbuf_str(&out), strbuf_str(&good)) != 0 : status != POFAC_ERR_INPUT || said.size == 0)
            fail_msg("%s cut to %zu bytes: status %d, \"%s\"", place, n, (int)status, strbuf_str(&said));
        strbuf_free(&said);
        strbuf_free(&out);
    }
    put_string(state, place, text);
    free(cut);
    strbuf_free(&good);
}

static void texts_that_are_cut(void **state) {
    expect_cuts(state, read_config, "config.json", "config.json", config);
    expect_cuts(state, read_xml, "model.xml", "model.xml", description);
    expect_cuts(state, read_tokenizer, "words", "words/tokenizer.json", tokenizer_json);
    expect_cuts(state, read_tokenizer, "words", "words/tokenizer_config.json", "{\"do_lower_case\": true}");
    expect_cuts(state, read_tokenizer, "words", "words/added_tokens.json", "{\"<g>\": 6}");
    expect_cuts(state, read_checkpoint, "sharded", "sharded/model.safetensors.index.json", shard_index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints), cmocka_unit_test(settings),           cmocka_unit_test(texts),
        cmocka_unit_test(models),      cmocka_unit_test(texts_that_are_cut),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
