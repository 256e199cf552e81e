/*
 * Reading descriptions: the pairs of tests/golden/xml (NAME.xml and the exact diagnostics in NAME.err; no NAME.err: accepted),
 * every message of the reader, values and defaults, truncation at every byte, failing allocations.
 *
 * POFAC_UPDATE_GOLDEN=1 rewrites the .err files.
 */
#include <dirent.h>
#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/model/xml_document.h"
#include "frontend/model/xml_report.h"
#include "frontend/model/xml_schema.h"
#include "frontend/model/xml_source.h"
#include "frontend/model/xml_tree.h"
#include "ir/support/file_map.h"
#include "tests/unit/fail_alloc.h"

#define HEAD_TAG "<pofac xmlns=\"urn:pofac:1\">"

/* ---- running ---- */

static const char *golden_dir(void) {
    static char path[4096];
    const char *source = getenv("POFAC_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/xml", source ? source : ".");
    return path;
}

static char *read_golden(const char *name, size_t *n) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", golden_dir(), name);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *bytes = calloc(1, 1 << 20);
    assert_non_null(bytes);
    *n = fread(bytes, 1, (1 << 20) - 1, file);
    fclose(file);
    return bytes;
}

/* Parses `text` and gives what was said. A name that begins with "pipeline" is read as one, with the parameter given=4. */
static pofac_status parse(const char *name, const char *text, size_t n, arena *a, strbuf *said, xml_document **out) {
    static const xml_parameter given = {"given", "4"};
    diag_sink sink = diag_sink_to_strbuf(said);
    if (strncmp(name, "pipeline", 8) == 0) return xml_pipeline_parse(name, text, n, &given, 1, a, &sink, out);
    return xml_document_parse(name, text, n, a, &sink, out);
}

static void assert_refused(const char *text, const char *wanted) {
    arena a = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    xml_document *document;
    assert_int_equal(parse("d.xml", text, strlen(text), &a, &said, &document), POFAC_ERR_INPUT);
    assert_null(document);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
    arena_free(&a);
}

/* ---- which messages were seen ---- */

static bool seen[XML_N_MESSAGES];

/* The bytes of `format` that are literally in `message`, 0 where it does not match. */
static size_t match_bytes(const char *format, const char *message) {
    size_t literal = 0;
    for (;;) {
        const char *hole = strstr(format, "%s");
        size_t n = hole ? (size_t)(hole - format) : strlen(format);
        if (strncmp(message, format, n) != 0) return 0;
        literal += n;
        message += n;
        if (!hole) return *message ? 0 : literal;
        format = hole + 2;
        const char *next = strstr(format, "%s");
        size_t between = next ? (size_t)(next - format) : strlen(format);
        if (!between) return literal; /* the rest of the message fills the hole */
        char piece[256];
        snprintf(piece, sizeof piece, "%.*s", (int)between, format);
        message = strstr(message, piece);
        if (!message) return 0;
    }
}

/* Notes of each line "...: error: MESSAGE" the message whose format fits it best. */
static void note_messages(const char *said) {
    for (const char *line = said; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        const char *error = strstr(line, ": error: "), *end = strchr(line, '\n');
        if (!error || (end && error > end)) continue;
        char message[2048];
        snprintf(message, sizeof message, "%.*s", (int)(end ? end - (error + 9) : 0), error + 9);
        size_t best = 0, best_bytes = 0;
        for (size_t i = 0; i < XML_N_MESSAGES; i++) {
            size_t bytes = match_bytes(xml_message_format((xml_message)i), message);
            if (bytes > best_bytes) best = i, best_bytes = bytes;
        }
        if (best_bytes) seen[best] = true;
    }
}

static void *find(const char *text, const char *part) { return strstr(text, part); }

/* ---- threads ---- */

static void *read_often(void *text) {
    for (int i = 0; i < 10; i++) {
        arena a = ARENA_INIT;
        strbuf said = STRBUF_INIT;
        xml_document *document;
        pofac_status status = parse("d.xml", text, strlen(text), &a, &said, &document);
        const bool right =
            status == POFAC_OK || strstr(strbuf_str(&said), "d.xml:1:43: error: found an unknown attribute hed of <model>");
        strbuf_free(&said);
        arena_free(&a);
        if (!right) return NULL;
    }
    return text;
}

/* Runs first, so that libxml2 is used for the first time by many threads at once. */
static void test_threads(void **state) {
    (void)state;
    static char good[] = HEAD_TAG "<model from='a'/><train learning_rate='0.5'/></pofac>";
    static char bad[] = HEAD_TAG "<model from='' hed='none'/></pofac>";
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, read_often, i % 2 ? good : bad), 0);
    for (size_t i = 0; i < 8; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, i % 2 ? good : bad);
    }
}

/* ---- golden pairs ---- */

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The names of the .xml files without their ending, sorted; NULL at the end. */
static char **golden_names(void) {
    static char *names[512];
    size_t n = 0;
    if (names[0]) return names;
    DIR *dir = opendir(golden_dir());
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 4, ".xml") != 0) continue;
        assert_true(n + 1 < sizeof names / sizeof names[0]);
        names[n++] = strndup(entry->d_name, length - 4);
    }
    closedir(dir);
    assert_true(n > 80);
    qsort(names, n, sizeof names[0], by_name);
    return names;
}

static int free_names(void **state) {
    (void)state;
    for (char **name = golden_names(); *name; name++) free(*name);
    return 0;
}

static void update_golden(const char *name, const char *said) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s.err", golden_dir(), name);
    remove(path);
    if (!*said) return;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(said, file);
    fclose(file);
}

/* 1 where the document or its diagnostics are not what the pair says. */
static int run_golden(const char *name) {
    char xml[300], err[300];
    snprintf(xml, sizeof xml, "%s.xml", name);
    snprintf(err, sizeof err, "%s.err", name);
    size_t n, wanted_bytes = 0;
    char *text = read_golden(xml, &n), *wanted = read_golden(err, &wanted_bytes);
    arena a = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    xml_document *document;
    pofac_status status = parse(xml, text, n, &a, &said, &document);
    int wrong = status != (wanted ? POFAC_ERR_INPUT : POFAC_OK) || strcmp(strbuf_str(&said), wanted ? wanted : "") != 0;
    if (getenv("POFAC_UPDATE_GOLDEN")) update_golden(name, strbuf_str(&said));
    else if (wrong)
        print_error("%s: status %d, found diagnostics\n%swanted\n%s", xml, (int)status, strbuf_str(&said),
                    wanted ? wanted : "(accepted)\n");
    if ((status == POFAC_OK) != (document != NULL)) wrong = 1;
    note_messages(strbuf_str(&said));
    strbuf_free(&said);
    arena_free(&a);
    free(text);
    free(wanted);
    return wrong;
}

static void test_golden_pairs(void **state) {
    (void)state;
    int wrong = 0;
    for (char **name = golden_names(); *name; name++) wrong += run_golden(*name);
    assert_int_equal(wrong, 0);
}

/* ---- messages that no small file can show ---- */

static void test_too_large(void **state) {
    (void)state;
    const size_t n = XML_SOURCE_MAX_BYTES + 1;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, ' ', n);
    text[n] = 0;
    const char *wanted = "d.xml: error: found 1048577 bytes, wanted at most 1048576 in a description\n";
    assert_refused(text, wanted);
    note_messages(wanted);
    free(text);
}

static void test_too_many_elements(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT;
    strbuf_puts(&text, HEAD_TAG "<model from='a'/><prune pruning_fn='pattern_lock'>\n");
    for (size_t i = 0; i < XML_SOURCE_MAX_ELEMENTS - 2; i++) strbuf_puts(&text, "<not_to_prune pattern='a'/>\n");
    strbuf_puts(&text, "</prune></pofac>");
    const char *wanted = "d.xml:9999:1: error: found more than 10000 elements, wanted fewer\n  <not_to_prune pattern='a'/>\n  ^\n";
    assert_refused(strbuf_str(&text), wanted);
    note_messages(wanted);
    strbuf_free(&text);
}

/* A mebibyte of errors is told in a short time: the first 20 of them. */
static void test_worst_errors(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT, said = STRBUF_INIT;
    arena a = ARENA_INIT;
    xml_document *document;
    strbuf_puts(&text, HEAD_TAG);
    while (text.size < XML_SOURCE_MAX_BYTES - 9000) {
        strbuf_puts(&text, "<train");
        for (size_t i = 0; i < 900; i++) strbuf_printf(&text, " a%zu=''", i);
        strbuf_puts(&text, "/>");
    }
    strbuf_puts(&text, "</pofac>");
    assert_int_equal(parse("d.xml", text.data, text.size, &a, &said, &document), POFAC_ERR_INPUT);
    size_t errors = 0;
    for (const char *at = strbuf_str(&said); (at = strstr(at, ": error: ")); at++) errors++;
    assert_int_equal(errors, XML_REPORT_MAX_ERRORS);
    strbuf_free(&said);
    strbuf_free(&text);
    arena_free(&a);
}

static void test_too_many_attributes(void **state) {
    (void)state;
    for (size_t n = XML_SOURCE_MAX_ATTRIBUTES; n <= XML_SOURCE_MAX_ATTRIBUTES + 1; n++) {
        strbuf text = STRBUF_INIT, said = STRBUF_INIT;
        arena a = ARENA_INIT;
        xml_document *document;
        strbuf_puts(&text, HEAD_TAG "\n<train");
        for (size_t i = 0; i < n; i++) strbuf_printf(&text, "\na%zu=''", i);
        strbuf_puts(&text, "/></pofac>");
        assert_int_equal(parse("d.xml", text.data, text.size, &a, &said, &document), POFAC_ERR_INPUT);
        if (n > XML_SOURCE_MAX_ATTRIBUTES)
            assert_string_equal(strbuf_str(&said),
                                "d.xml:2:1: error: found more than 1000 attributes in an element, wanted fewer\n  <train\n  ^\n");
        else assert_non_null(find(strbuf_str(&said), "d.xml:3:1: error: found an unknown attribute a0 of <train>"));
        strbuf_free(&said);
        strbuf_free(&text);
        arena_free(&a);
    }
}

static void test_as_many_elements_as_allowed(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT, said = STRBUF_INIT;
    arena a = ARENA_INIT;
    xml_document *document;
    strbuf_puts(&text, HEAD_TAG "<model from='a'/><prune pruning_fn='pattern_lock'>\n");
    for (size_t i = 0; i < XML_SOURCE_MAX_ELEMENTS - 3; i++) strbuf_printf(&text, "<not_to_prune pattern='%zu'/>\n", i);
    strbuf_puts(&text, "</prune></pofac>");
    assert_int_equal(parse("d.xml", text.data, text.size, &a, &said, &document), POFAC_OK);
    size_t n = 0;
    for (const xml_element *e = xml_child(xml_child(document->root, "prune"), "not_to_prune"); e; e = xml_next(e), n++)
        assert_int_equal(strtoul(xml_attr_string(e, "pattern"), NULL, 10), n);
    assert_int_equal(n, XML_SOURCE_MAX_ELEMENTS - 3);
    strbuf_free(&said);
    strbuf_free(&text);
    arena_free(&a);
}

/* One attribute of nearly a mebibyte is read whole; as a word it is refused in a short message. */
static void test_huge_attribute(void **state) {
    (void)state;
    const size_t n = 1000000;
    strbuf text = STRBUF_INIT, said = STRBUF_INIT;
    arena a = ARENA_INIT;
    xml_document *document;
    strbuf_puts(&text, HEAD_TAG "<model from='");
    for (size_t i = 0; i < n; i++) strbuf_putc(&text, 'x');
    strbuf_puts(&text, "'/></pofac>");
    assert_int_equal(parse("d.xml", text.data, text.size, &a, &said, &document), POFAC_OK);
    assert_int_equal(strlen(document->model.from), n);
    memcpy(find(text.data, "from"), "head", 4);
    assert_int_equal(parse("d.xml", text.data, text.size, &a, &said, &document), POFAC_ERR_INPUT);
    assert_true(said.size < 1000);
    assert_non_null(find(strbuf_str(&said), "d.xml:1:41: error: head: found \"xxxxxxxxxx"));
    strbuf_free(&said);
    strbuf_free(&text);
    arena_free(&a);
}

/* A disagreement can only be made with another schema than the table's. */
static void test_second_opinion(void **state) {
    (void)state;
    static const char other[] =
        "<element xmlns='http://relaxng.org/ns/structure/1.0' name='pofac' ns='urn:pofac:1'><empty/></element>";
    static const char text[] = HEAD_TAG "\n<model from='a'/></pofac>";
    arena a = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    xml_report report = {&sink, 0};
    xml_source source;
    assert_int_equal(xml_source_open("d.xml", text, sizeof text - 1, &a, &sink, &source), POFAC_OK);
    struct _xmlDoc *tree = xml_tree_parse(&source, &report);
    assert_non_null(tree);
    xml_schema *schema;
    assert_int_equal(xml_schema_compile(other, sizeof other - 1, &source, &report, &schema), POFAC_OK);
    assert_int_equal(xml_schema_validate(schema, tree, &source, &report), POFAC_ERR_INPUT);
    xml_schema_free(schema);
    assert_int_equal(xml_schema_compile("<nonsense></nonsense>", 21, &source, &report, &schema), POFAC_ERR_INPUT);
    assert_null(schema);
    xml_schema_free(schema);
    assert_string_equal(
        strbuf_str(&said),
        "d.xml:2: error: found a document that the schema refuses, wanted a valid one: Did not expect element model there\n"
        "  <model from='a'/></pofac>\n"
        "d.xml: error: found a document that the schema refuses, wanted a valid one: xmlRelaxNGParse: in_memory_buffer is empty\n");
    note_messages(strbuf_str(&said));
    xml_tree_free(tree);
    strbuf_free(&said);
    arena_free(&a);
}

static void test_every_message_was_seen(void **state) {
    (void)state;
    int missing = 0;
    for (size_t i = 0; i < XML_N_MESSAGES; i++) {
        const char *format = xml_message_format((xml_message)i);
        for (const char *at = strchr(format, '%'); at; at = strchr(at + 2, '%')) assert_int_equal(at[1], 's');
        if (!seen[i]) print_error("no example shows the message \"%s\"\n", format);
        missing += !seen[i];
    }
    assert_int_equal(missing, 0);
}

/* ---- values ---- */

static xml_document *read_good(const char *path, const char *text, arena *a) {
    strbuf said = STRBUF_INIT;
    xml_document *document;
    if (parse(path, text, strlen(text), a, &said, &document) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    assert_string_equal(strbuf_str(&said), "");
    strbuf_free(&said);
    return document;
}

static xml_document *read_good_golden(const char *name, arena *a) {
    size_t n;
    char *text = read_golden(name, &n);
    assert_non_null(text);
    xml_document *document = read_good("some/folder/d.xml", text, a);
    free(text);
    return document;
}

static void assert_patterns(const xml_element *e, const char *const *patterns) {
    for (; *patterns; patterns++, e = xml_next(e)) assert_string_equal(xml_attr_string(e, "pattern"), *patterns);
    assert_null(e);
}

static void test_whole_model(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const xml_model *m = &read_good_golden("whole.xml", &a)->model;
    assert_string_equal(m->name, "student");
    assert_null(m->from);
    assert_int_equal(m->head, HEAD_PRETRAINING);
    assert_int_equal(m->num_labels, 2);
    assert_null(m->labels);
    assert_true(m->has_spec);
    assert_int_equal(m->spec.arch, MODEL_BERT);
    assert_int_equal(m->spec.head, HEAD_PRETRAINING);
    assert_int_equal(m->spec.vocab_size, 30522);
    assert_int_equal(m->spec.hidden_size, 128);
    assert_int_equal(m->spec.num_hidden_layers, 2);
    assert_int_equal(m->spec.num_attention_heads, 2);
    assert_int_equal(m->spec.intermediate_size, 512);
    assert_int_equal(m->spec.num_labels, 2);
    assert_string_equal(m->checkpoint, "some/folder/model.safetensors");
    assert_string_equal(m->vocab, "some/folder/vocab.txt");
    assert_true(m->do_lower_case && m->strip_accents && m->tokenize_chinese_chars);
    arena_free(&a);
}

static void test_whole_sections(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const xml_document *document = read_good_golden("whole.xml", &a);
    const xml_element *prune = xml_child(document->root, "prune"), *data = xml_child(document->root, "data");
    const xml_element *train = xml_child(document->root, "train"), *quantize = xml_child(document->root, "quantize");
    assert_string_equal(document->path, "some/folder/d.xml");
    assert_string_equal(xml_attr_string(xml_child(document->root, "teacher"), "from"), "some/folder/DIR");
    assert_string_equal(xml_attr_string(prune, "pruning_fn"), "unstructured_magnitude");
    assert_true(xml_attr_float(prune, "target_sparsity") == 0.9);
    assert_int_equal(xml_attr_int(prune, "end_pruning_step"), 80000);
    assert_true(xml_attr_written(prune, "end_pruning_step"));
    assert_false(xml_attr_written(prune, "exponent"));
    assert_true(xml_attr_float(prune, "exponent") == 3.0);
    assert_patterns(xml_child(prune, "not_to_prune"), (const char *const[]){"cls", "teacher", NULL});
    assert_patterns(xml_child(quantize, "not_to_requantize_output"), (const char *const[]){"output.dense", NULL});
    assert_true(xml_attr_float(xml_child(document->root, "distill"), "temperature") == 2.0);
    assert_string_equal(xml_attr_string(data, "train"), "some/folder/PATH");
    assert_string_equal(xml_attr_string(data, "eval"), "/absolute/PATH");
    assert_true(xml_attr_float(train, "learning_rate") == 5e-5);
    assert_string_equal(xml_attr_string(train, "lr_scheduler_type"), "linear_rewind");
    assert_int_equal(xml_attr_int(train, "seed"), 42);
    arena_free(&a);
}

/* Places stay good for later stages: the value's, the tag's, and the element's for a default. */
/* What parameters make of a pipeline's attributes. */
static void test_parameters(void **state) {
    (void)state;
    static const char text[] =
        HEAD_TAG "<pipeline name='p'><parameter name='a' value='1e-'/><parameter name='given'/><parameter name='both' "
                 "value='${a}${given}'/><stage name='s' command='${given}'><train learning_rate='${both}' "
                 "output_dir='${out}/${stage:s}'/><data kind='glue' train='./x' eval='${given}/x$y'/></stage></pipeline></pofac>";
    arena a = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    xml_document *document;
    if (parse("pipeline/of/p.xml", text, strlen(text), &a, &said, &document) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    const xml_element *pipeline = xml_child(document->root, "pipeline"), *stage = xml_child(pipeline, "stage");
    const xml_element *given = xml_next(xml_child(pipeline, "parameter"));
    assert_string_equal(xml_attr_string(given, "value"), "4");
    assert_string_equal(xml_attr_string(xml_next(given), "value"), "1e-4");
    assert_string_equal(xml_attr_string(stage, "command"), "4");
    assert_true(xml_attr_float(xml_child(stage, "train"), "learning_rate") == 1e-4);
    assert_string_equal(xml_attr_string(xml_child(stage, "train"), "output_dir"), "${out}/${stage:s}");
    assert_string_equal(xml_attr_string(xml_child(stage, "data"), "train"), "pipeline/of/x");
    assert_string_equal(xml_attr_string(xml_child(stage, "data"), "eval"), "4/x$y");
    strbuf_free(&said);
    arena_free(&a);
}

static void test_places(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const xml_document *document = read_good_golden("whole.xml", &a);
    const xml_element *prune = xml_child(document->root, "prune");
    const xml_attr *written = xml_attr_get(prune, "end_pruning_step"), *standard = xml_attr_get(prune, "block_size");
    assert_int_equal(prune->place.line, 9);
    assert_int_equal(prune->place.column, 3);
    assert_int_equal(written->place.line, 10);
    assert_int_equal(written->place.column, 28);
    assert_memory_equal(written->place.text + written->place.column - 1, "80000\"", 6);
    assert_string_equal(written->text, "80000");
    assert_string_equal(written->place.file, "some/folder/d.xml");
    assert_int_equal(standard->place.line, 9);
    assert_string_equal(standard->text, "1");
    arena_free(&a);
}

static void test_prefixed(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const xml_document *document = read_good_golden("prefixed.xml", &a);
    const xml_model *m = &document->model;
    const xml_element *prune = xml_child(document->root, "prune");
    size_t n;
    assert_string_equal(m->name, "caf\xc3\xa9 <1>");
    assert_int_equal(m->spec.arch, MODEL_DISTILBERT);
    assert_int_equal(m->spec.num_hidden_layers, 3);
    assert_int_equal(m->spec.num_attention_heads, 12);
    assert_int_equal(m->spec.num_labels, 2);
    assert_string_equal(m->spec.labels[0], "negative");
    assert_string_equal(m->spec.labels[1], "positive");
    assert_null(m->vocab);
    const int64_t *dims = xml_attr_ints(prune, "block_dims", &n);
    assert_int_equal(n, 2);
    assert_int_equal(dims[0], 4);
    assert_int_equal(dims[1], 8);
    dims = xml_attr_ints(xml_child(prune, "explicit_prune"), "block_dims", &n);
    assert_int_equal(n, 1);
    assert_int_equal(dims[0], 2);
    assert_null(xml_attr_get(xml_child(prune, "weight_sparsity_map"), "block_dims"));
    assert_true(xml_attr_float(xml_child(prune, "weight_sparsity_map"), "target_sparsity") == 0.5);
    arena_free(&a);
}

static void assert_same_spec(const model_spec *found, const model_spec *wanted) {
    assert_int_equal(found->arch, wanted->arch);
    assert_int_equal(found->head, wanted->head);
    assert_int_equal(found->vocab_size, wanted->vocab_size);
    assert_int_equal(found->hidden_size, wanted->hidden_size);
    assert_int_equal(found->num_hidden_layers, wanted->num_hidden_layers);
    assert_int_equal(found->num_attention_heads, wanted->num_attention_heads);
    assert_int_equal(found->intermediate_size, wanted->intermediate_size);
    assert_int_equal(found->max_position_embeddings, wanted->max_position_embeddings);
    assert_int_equal(found->type_vocab_size, wanted->type_vocab_size);
    assert_int_equal(found->pad_token_id, wanted->pad_token_id);
    assert_int_equal(found->hidden_act, wanted->hidden_act);
    assert_true(found->layer_norm_eps == wanted->layer_norm_eps);
    assert_true(found->initializer_range == wanted->initializer_range);
    assert_true(found->hidden_dropout_prob == wanted->hidden_dropout_prob);
    assert_true(found->attention_probs_dropout_prob == wanted->attention_probs_dropout_prob);
    assert_true(found->classifier_dropout == wanted->classifier_dropout);
    assert_true(found->qa_dropout == wanted->qa_dropout);
    assert_int_equal(found->tie_word_embeddings, wanted->tie_word_embeddings);
    assert_int_equal(found->num_labels, wanted->num_labels);
    assert_int_equal(found->regression, wanted->regression);
}

static void test_defaults_are_those_of_the_spec(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    model_spec bert = model_spec_default(MODEL_BERT), distilbert = model_spec_default(MODEL_DISTILBERT);
    assert_same_spec(&read_good("d.xml", HEAD_TAG "<model><bert/></model></pofac>", &a)->model.spec, &bert);
    assert_same_spec(&read_good("d.xml", HEAD_TAG "<model><distilbert/></model></pofac>", &a)->model.spec, &distilbert);
    arena_free(&a);
}

static void test_every_field_reaches_the_spec(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const model_spec *spec =
        &read_good("d.xml",
                   HEAD_TAG
                   "<model head='token-classification' num_labels='5'><bert vocab_size='11' hidden_size='6' num_hidden_layers='1' "
                   "num_attention_heads='3' intermediate_size='7' max_position_embeddings='8' type_vocab_size='4' pad_token_id='9' "
                   "hidden_act='relu' layer_norm_eps='0.25' initializer_range='0.5' hidden_dropout_prob='0.125' "
                   "attention_probs_dropout_prob='0.375' tie_word_embeddings='false'/></model></pofac>",
                   &a)
             ->model.spec;
    const model_spec wanted = {.arch = MODEL_BERT,
                               .head = HEAD_TOKEN_CLASSIFICATION,
                               .vocab_size = 11,
                               .hidden_size = 6,
                               .num_hidden_layers = 1,
                               .num_attention_heads = 3,
                               .intermediate_size = 7,
                               .max_position_embeddings = 8,
                               .type_vocab_size = 4,
                               .pad_token_id = 9,
                               .hidden_act = ACTIVATION_RELU,
                               .layer_norm_eps = 0.25,
                               .initializer_range = 0.5,
                               .hidden_dropout_prob = 0.125,
                               .attention_probs_dropout_prob = 0.375,
                               .classifier_dropout = 0.125,
                               .num_labels = 5};
    assert_same_spec(spec, &wanted);
    spec = &read_good("d.xml", HEAD_TAG "<model><distilbert classifier_dropout='0.5' qa_dropout='0.25'/></model></pofac>", &a)
                ->model.spec;
    assert_true(spec->classifier_dropout == 0.5 && spec->qa_dropout == 0.25);
    arena_free(&a);
}

static void test_problem_type_and_labels(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const xml_model *m = &read_good("d.xml", HEAD_TAG "<model num_labels='1'><bert/></model></pofac>", &a)->model;
    assert_true(m->spec.regression && !m->has_problem_type);
    m = &read_good("d.xml", HEAD_TAG "<model num_labels='3' problem_type='regression'><bert/></model></pofac>", &a)->model;
    assert_true(m->spec.regression && m->has_problem_type && m->regression);
    m = &read_good("d.xml",
                   HEAD_TAG "<model from='x' num_labels='2' problem_type='single_label_classification'><label name='a'/><label "
                            "name='b'/></model></pofac>",
                   &a)
             ->model;
    assert_true(!m->has_spec && m->has_problem_type && !m->regression);
    assert_int_equal(m->num_labels, 2);
    assert_string_equal(m->labels[1], "b");
    assert_string_equal(m->from, "x");
    arena_free(&a);
}

static void test_tokenizer_settings(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const xml_model *m =
        &read_good("d.xml", HEAD_TAG "<model from='x'><tokenizer vocab='/v' do_lower_case='false'/></model></pofac>", &a)->model;
    assert_string_equal(m->vocab, "/v");
    assert_true(!m->do_lower_case && !m->strip_accents && m->tokenize_chinese_chars);
    m = &read_good("d.xml",
                   HEAD_TAG
                   "<model from='x'><tokenizer vocab='v' strip_accents='false' tokenize_chinese_chars='false'/></model></pofac>",
                   &a)
             ->model;
    assert_string_equal(m->vocab, "v");
    assert_true(m->do_lower_case && !m->strip_accents && !m->tokenize_chinese_chars);
    arena_free(&a);
}

/* What is not there, or is of another type, is nothing. */
static void test_access_without_value(void **state) {
    (void)state;
    arena a = ARENA_INIT;
    const xml_document *document = read_good("d.xml", HEAD_TAG "<model from='x'/><train/></pofac>", &a);
    const xml_element *train = xml_child(document->root, "train");
    size_t n = 7;
    assert_null(xml_child(document->root, "distill"));
    assert_null(xml_child(NULL, "distill"));
    assert_null(xml_next(NULL));
    assert_null(xml_attr_get(NULL, "seed"));
    assert_null(xml_attr_get(train, "eval_steps"));
    assert_null(xml_attr_string(train, "seed"));
    assert_int_equal(xml_attr_int(train, "learning_rate"), 0);
    assert_true(xml_attr_float(train, "seed") == 0.0);
    assert_false(xml_attr_bool(train, "seed"));
    assert_null(xml_attr_ints(train, "seed", &n));
    assert_int_equal(n, 0);
    assert_true(xml_attr_bool(train, "mask_padded_logits"));
    assert_false(xml_attr_bool(train, "greater_is_better"));
    arena_free(&a);
}

/* The decimal point is a point, whatever the process's locale says. */
static void test_locale(void **state) {
    (void)state;
    static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C.UTF-8"};
    arena a = ARENA_INIT;
    for (size_t i = 0; i < sizeof commas / sizeof commas[0]; i++)
        if (setlocale(LC_ALL, commas[i])) break;
    locale_t before = uselocale((locale_t)0);
    const xml_document *document = read_good("d.xml", HEAD_TAG "<model from='x'/><distill temperature='2.5'/></pofac>", &a);
    assert_true(xml_attr_float(xml_child(document->root, "distill"), "temperature") == 2.5);
    assert_true(uselocale((locale_t)0) == before);
    setlocale(LC_ALL, "C");
    arena_free(&a);
}

/* ---- files ---- */

static void test_files(void **state) {
    (void)state;
    char path[8192], message[9000];
    arena a = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    xml_document *document;
    snprintf(path, sizeof path, "%s/directory.xml", golden_dir());
    assert_int_equal(xml_document_read(path, &a, &sink, &document), POFAC_OK);
    snprintf(message, sizeof message, "%s/DIR", golden_dir());
    assert_string_equal(document->model.from, message);
    snprintf(path, sizeof path, "%s/empty.xml", golden_dir());
    assert_int_equal(xml_document_read(path, &a, &sink, &document), POFAC_ERR_INPUT);
    assert_null(document);
    assert_int_equal(xml_document_read("no/such/file.xml", &a, &sink, &document), POFAC_ERR_INPUT);
    assert_null(document);
    assert_non_null(find(strbuf_str(&said), "no/such/file.xml"));
    assert_int_equal(xml_document_read("no/such/file.xml", &a, NULL, &document), POFAC_ERR_INPUT);
    strbuf_free(&said);
    arena_free(&a);
}

static void test_truncated_at_every_byte(void **state) {
    (void)state;
    size_t n;
    char *text = read_golden("whole.xml", &n);
    const size_t last = n - 1; /* without the last line end it is whole */
    for (size_t i = 0; i < last; i++) {
        char *part = malloc(i ? i : 1); /* its own block, so that a sanitizer sees a read behind the end */
        assert_non_null(part);
        memcpy(part, text, i);
        arena a = ARENA_INIT;
        strbuf said = STRBUF_INIT;
        xml_document *document;
        if (parse("d.xml", part, i, &a, &said, &document) != POFAC_ERR_INPUT) fail_msg("accepted the first %zu bytes", i);
        assert_null(document);
        assert_non_null(find(strbuf_str(&said), "error: found malformed XML, wanted a well-formed document: "));
        strbuf_free(&said);
        arena_free(&a);
        free(part);
    }
    free(text);
}

/* The n-th allocation of pofac fails, for every n: said once, nothing leaks, and no error is mistaken for another. */
static void fail_every_allocation(const char *name, pofac_status wanted) {
    size_t bytes, failures = 0;
    char *text = read_golden(name, &bytes);
    for (size_t n = 1;; n++) {
        arena a = ARENA_INIT;
        char small[4096];
        strbuf said = STRBUF_INIT;
        xml_document *document;
        fail_alloc_after(n);
        pofac_status status = parse("d.xml", text, bytes, &a, &said, &document);
        const bool failed = fail_alloc_stop();
        snprintf(small, sizeof small, "%s", strbuf_str(&said));
        if (!failed) assert_int_equal(status, wanted);
        if (failed && status != wanted) assert_int_equal(status, POFAC_ERR_RUNTIME);
        if (failed && status == POFAC_ERR_RUNTIME && strbuf_ok(&said)) assert_non_null(find(small, "error: out of memory\n"));
        assert_true((status == POFAC_OK) == (document != NULL));
        strbuf_free(&said);
        arena_free(&a);
        failures += failed;
        if (!failed) break;
        assert_true(n < 100000);
    }
    assert_true(failures > 2);
    free(text);
}

static void test_failing_allocations(void **state) {
    (void)state;
    fail_every_allocation("whole.xml", POFAC_OK);
    fail_every_allocation("prefixed.xml", POFAC_OK);
    fail_every_allocation("several_errors.xml", POFAC_ERR_INPUT);
    fail_every_allocation("from_and_bert.xml", POFAC_ERR_INPUT);
    fail_every_allocation("unknown_element_far.xml", POFAC_ERR_INPUT);
    fail_every_allocation("labels.xml", POFAC_ERR_INPUT);
    fail_every_allocation("billion_laughs.xml", POFAC_ERR_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_golden_pairs),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_too_many_elements),
        cmocka_unit_test(test_worst_errors),
        cmocka_unit_test(test_too_many_attributes),
        cmocka_unit_test(test_as_many_elements_as_allowed),
        cmocka_unit_test(test_huge_attribute),
        cmocka_unit_test(test_second_opinion),
        cmocka_unit_test(test_every_message_was_seen),
        cmocka_unit_test(test_whole_model),
        cmocka_unit_test(test_whole_sections),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_prefixed),
        cmocka_unit_test(test_defaults_are_those_of_the_spec),
        cmocka_unit_test(test_every_field_reaches_the_spec),
        cmocka_unit_test(test_problem_type_and_labels),
        cmocka_unit_test(test_tokenizer_settings),
        cmocka_unit_test(test_access_without_value),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests_name("xml_document", tests, NULL, free_names);
}
