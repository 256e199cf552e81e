/*
 * Reads a description: text -> places (xml_source.c) -> libxml2's tree (xml_tree.c) -> elements checked by the table (xml_check.c)
 * -> libxml2's own opinion by the generated schema (xml_schema.c) -> the model section.
 *
 * Numbers are read in the C locale of this thread, by the table's reader and by libxml2's.
 */
#include "frontend/model/xml_document.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "frontend/model/xml_check.h"
#include "frontend/model/xml_expand.h"
#include "frontend/model/xml_places.h"
#include "frontend/model/xml_report.h"
#include "frontend/model/xml_schema.h"
#include "frontend/model/xml_source.h"
#include "frontend/model/xml_tree.h"
#include "ir/support/file_map.h"

static pofac_status check_by_schema(struct _xmlDoc *tree, const xml_source *source, xml_report *report) {
    strbuf text = STRBUF_INIT;
    xml_schema *schema = NULL;
    xml_schema_write(&text);
    pofac_status status =
        strbuf_ok(&text) ? xml_schema_compile(text.data, text.size, source, report, &schema) : diag_out_of_memory(report->sink);
    if (status == POFAC_OK) status = xml_schema_validate(schema, tree, source, report);
    xml_schema_free(schema);
    strbuf_free(&text);
    return status;
}

/* What a document is read as. */
typedef struct reading {
    xml_paths paths;
    const xml_parameter *given; /* [n_given] of a pipeline */
    size_t n_given;
} reading;

static bool is_of_pipeline(const reading *r) { return r->paths == XML_PATHS_OF_PIPELINE; }

static pofac_status read_elements(const xml_source *source, const reading *r, arena *a, xml_report *report, xml_element **root) {
    struct _xmlDoc *tree = xml_tree_parse(source, report);
    if (!tree) return POFAC_ERR_INPUT;
    xml_tie_tags(tree, source);
    pofac_status status = is_of_pipeline(r) ? xml_expand(tree, source, r->given, r->n_given, report) : POFAC_OK;
    if (status == POFAC_OK) status = xml_check_document(tree, source, r->paths, a, report, root);
    if (status == POFAC_OK) status = check_by_schema(tree, source, report);
    xml_tree_free(tree);
    return status;
}

/* ---- the model section ---- */

static pofac_status complain_number(xml_report *report, xml_message message, const xml_attr *attr, int64_t wanted) {
    char found_text[24], wanted_text[24];
    snprintf(found_text, sizeof found_text, "%lld", (long long)attr->value.as.integer);
    snprintf(wanted_text, sizeof wanted_text, "%lld", (long long)wanted);
    return xml_report_error(report, message, &attr->place, found_text, wanted_text, "", "");
}

/* What no row says alone. */
static pofac_status check_sizes(const xml_element *sizes, const char *path, const model_spec *spec, xml_report *report) {
    if (spec->hidden_size % spec->num_attention_heads != 0)
        return complain_number(report, XML_MESSAGE_HEADS, xml_attr_get(sizes, "num_attention_heads"), spec->hidden_size);
    if (spec->pad_token_id >= spec->vocab_size)
        return complain_number(report, XML_MESSAGE_PADDING, xml_attr_get(sizes, "pad_token_id"), spec->vocab_size);
    return model_spec_check(spec, path, report->sink);
}

static pofac_status fill_labels(const xml_element *section, arena *a, xml_report *report, xml_model *model) {
    size_t n = 0;
    for (const xml_element *label = xml_child(section, "label"); label; label = xml_next(label)) n++;
    model->num_labels = xml_attr_int(section, "num_labels");
    if (!n) return POFAC_OK;
    if (model->num_labels && (size_t)model->num_labels != n)
        return complain_number(report, XML_MESSAGE_LABELS, xml_attr_get(section, "num_labels"), (int64_t)n);
    const char **labels = ARENA_ARRAY(a, const char *, n);
    if (!labels) return diag_out_of_memory(report->sink);
    n = 0;
    for (const xml_element *label = xml_child(section, "label"); label; label = xml_next(label))
        labels[n++] = xml_attr_string(label, "name");
    model->labels = labels;
    model->num_labels = (int64_t)n;
    return POFAC_OK;
}

/* The attributes of <bert> and <distilbert>; what one of them lacks keeps its default. */
static void fill_sizes(const xml_element *sizes, model_spec *spec) {
    spec->vocab_size = xml_attr_int(sizes, "vocab_size");
    spec->hidden_size = xml_attr_int(sizes, "hidden_size");
    spec->num_hidden_layers = xml_attr_int(sizes, "num_hidden_layers");
    spec->num_attention_heads = xml_attr_int(sizes, "num_attention_heads");
    spec->intermediate_size = xml_attr_int(sizes, "intermediate_size");
    spec->max_position_embeddings = xml_attr_int(sizes, "max_position_embeddings");
    if (xml_attr_get(sizes, "type_vocab_size")) spec->type_vocab_size = xml_attr_int(sizes, "type_vocab_size");
    spec->pad_token_id = xml_attr_int(sizes, "pad_token_id");
    spec->layer_norm_eps = xml_attr_float(sizes, "layer_norm_eps");
    spec->initializer_range = xml_attr_float(sizes, "initializer_range");
    spec->hidden_dropout_prob = xml_attr_float(sizes, "hidden_dropout_prob");
    spec->attention_probs_dropout_prob = xml_attr_float(sizes, "attention_probs_dropout_prob");
    spec->classifier_dropout =
        xml_attr_get(sizes, "classifier_dropout") ? xml_attr_float(sizes, "classifier_dropout") : spec->hidden_dropout_prob;
    if (xml_attr_get(sizes, "qa_dropout")) spec->qa_dropout = xml_attr_float(sizes, "qa_dropout");
    spec->tie_word_embeddings = xml_attr_bool(sizes, "tie_word_embeddings");
}

static pofac_status fill_spec(const xml_element *section, const char *path, xml_report *report, xml_model *model) {
    const xml_element *bert = xml_child(section, "bert"), *distilbert = xml_child(section, "distilbert");
    const xml_element *sizes = bert ? bert : distilbert;
    if (!sizes) return POFAC_OK;
    model_spec *spec = &model->spec;
    *spec = model_spec_default(bert ? MODEL_BERT : MODEL_DISTILBERT);
    fill_sizes(sizes, spec);
    if (!model_activation_parse(xml_attr_string(sizes, "hidden_act"), &spec->hidden_act))
        return POFAC_ERR_INPUT; /* a word of the table */
    spec->head = model->head;
    if (model->num_labels) spec->num_labels = model->num_labels;
    spec->labels = model->labels;
    spec->regression = model->regression || spec->num_labels == 1;
    model->has_spec = true;
    return check_sizes(sizes, path, spec, report);
}

static pofac_status fill_model(const xml_element *section, const char *path, arena *a, xml_report *report, xml_model *model) {
    const xml_element *tokenizer = xml_child(section, "tokenizer");
    model->name = xml_attr_string(section, "name");
    model->from = xml_attr_string(section, "from");
    const char *head = xml_attr_string(section, "head"), *problem = xml_attr_string(section, "problem_type");
    if (head && !model_head_parse(head, &model->head)) return POFAC_ERR_INPUT; /* a word of the table */
    model->has_problem_type = problem != NULL;
    model->regression = problem && strcmp(problem, "regression") == 0;
    model->checkpoint = xml_attr_string(xml_child(section, "checkpoint"), "path");
    model->vocab = xml_attr_string(tokenizer, "vocab");
    model->do_lower_case = xml_attr_bool(tokenizer, "do_lower_case");
    model->strip_accents = xml_attr_bool(tokenizer, xml_attr_get(tokenizer, "strip_accents") ? "strip_accents" : "do_lower_case");
    model->tokenize_chinese_chars = xml_attr_bool(tokenizer, "tokenize_chinese_chars");
    TRY(fill_labels(section, a, report, model));
    return fill_spec(section, path, report, model);
}

/* ---- reading ---- */

/* A document has a model or a pipeline, whose stages have all that models have beside them. */
static pofac_status check_kind(const xml_element *root, const reading *r, xml_report *report) {
    const xml_element *pipeline = xml_child(root, "pipeline"), *model = xml_child(root, "model");
    if (!is_of_pipeline(r))
        return pipeline ? xml_report_error(report, XML_MESSAGE_A_PIPELINE, &pipeline->place, "", "", "", "") : POFAC_OK;
    if (model) return xml_report_error(report, XML_MESSAGE_NO_PIPELINE, &model->place, "", "", "", "");
    for (const xml_element *e = root->first_child; e; e = e->next)
        if (e != pipeline) return xml_report_error(report, XML_MESSAGE_BESIDE_PIPELINE, &e->place, e->row->name, "", "", "");
    return POFAC_OK;
}

/* What no row says alone of the models in stages. */
static pofac_status check_stages(const xml_element *pipeline, const char *path, arena *a, xml_report *report) {
    for (const xml_element *stage = xml_child(pipeline, "stage"); stage; stage = xml_next(stage)) {
        xml_model model = {0};
        const xml_element *section = xml_child(stage, "model");
        if (section) TRY(fill_model(section, path, a, report, &model));
    }
    return POFAC_OK;
}

static pofac_status parse(const char *path, const char *bytes, size_t n, const reading *r, arena *a, const diag_sink *sink,
                          xml_document **out) {
    xml_report report = {sink, 0};
    xml_source source;
    xml_element *root = NULL;
    TRY(xml_source_open(path, bytes, n, a, sink, &source));
    TRY(read_elements(&source, r, a, &report, &root));
    xml_document *document = ARENA_NEW(a, xml_document);
    if (!document) return diag_out_of_memory(sink);
    document->path = source.file;
    document->root = root;
    TRY(check_kind(root, r, &report));
    if (is_of_pipeline(r)) TRY(check_stages(xml_child(root, "pipeline"), source.file, a, &report));
    else TRY(fill_model(xml_child(root, "model"), source.file, a, &report, &document->model));
    *out = document;
    return POFAC_OK;
}

/* Numbers are read in the C locale. */
static pofac_status parse_in_c(const char *path, const char *bytes, size_t n, const reading *r, arena *a, const diag_sink *sink,
                               xml_document **out) {
    *out = NULL;
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale) return diag_out_of_memory(sink);
    locale_t old = uselocale(c_locale);
    pofac_status status = parse(path, bytes, n, r, a, sink, out);
    uselocale(old);
    freelocale(c_locale);
    return status;
}

static pofac_status read_file(const char *path, const reading *r, arena *a, const diag_sink *sink, xml_document **out) {
    file_map map;
    *out = NULL;
    TRY(file_map_open(path, sink, &map));
    pofac_status status = parse_in_c(path, (const char *)map.data, map.size_bytes, r, a, sink, out);
    file_map_close(&map);
    return status;
}

pofac_status xml_document_read(const char *path, arena *a, const diag_sink *sink, xml_document **out) {
    const reading r = {.paths = XML_PATHS_OF_DOCUMENT};
    return read_file(path, &r, a, sink, out);
}

pofac_status xml_document_parse(const char *path, const char *bytes, size_t n, arena *a, const diag_sink *sink,
                                xml_document **out) {
    const reading r = {.paths = XML_PATHS_OF_DOCUMENT};
    return parse_in_c(path, bytes, n, &r, a, sink, out);
}

pofac_status xml_pipeline_read(const char *path, const xml_parameter *given, size_t n_given, arena *a, const diag_sink *sink,
                               xml_document **out) {
    const reading r = {.paths = XML_PATHS_OF_PIPELINE, .given = given, .n_given = n_given};
    return read_file(path, &r, a, sink, out);
}

pofac_status xml_pipeline_parse(const char *path, const char *bytes, size_t n, const xml_parameter *given, size_t n_given, arena *a,
                                const diag_sink *sink, xml_document **out) {
    const reading r = {.paths = XML_PATHS_OF_PIPELINE, .given = given, .n_given = n_given};
    return parse_in_c(path, bytes, n, &r, a, sink, out);
}

/* ---- access ---- */

static const xml_element *first_named(const xml_element *element, const char *name) {
    while (element && strcmp(element->row->name, name) != 0) element = element->next;
    return element;
}

const xml_element *xml_child(const xml_element *element, const char *name) {
    return element ? first_named(element->first_child, name) : NULL;
}

const xml_element *xml_next(const xml_element *element) { return element ? first_named(element->next, element->row->name) : NULL; }

const xml_attr *xml_attr_get(const xml_element *element, const char *name) {
    for (size_t i = 0; element && i < element->n_attrs; i++)
        if (strcmp(element->attrs[i].row->name, name) == 0) return &element->attrs[i];
    return NULL;
}

bool xml_attr_written(const xml_element *element, const char *name) {
    const xml_attr *attr = xml_attr_get(element, name);
    return attr && attr->written;
}

const char *xml_attr_string(const xml_element *element, const char *name) {
    const xml_attr *attr = xml_attr_get(element, name);
    if (!attr) return NULL;
    const xml_type type = attr->row->type;
    return type == XML_TYPE_STRING || type == XML_TYPE_PATH || type == XML_TYPE_WORD ? attr->value.as.string : NULL;
}

int64_t xml_attr_int(const xml_element *element, const char *name) {
    const xml_attr *attr = xml_attr_get(element, name);
    return attr && attr->row->type == XML_TYPE_INT ? attr->value.as.integer : 0;
}

double xml_attr_float(const xml_element *element, const char *name) {
    const xml_attr *attr = xml_attr_get(element, name);
    return attr && attr->row->type == XML_TYPE_FLOAT ? attr->value.as.number : 0.0;
}

bool xml_attr_bool(const xml_element *element, const char *name) {
    const xml_attr *attr = xml_attr_get(element, name);
    return attr && attr->row->type == XML_TYPE_BOOL && attr->value.as.truth;
}

const int64_t *xml_attr_ints(const xml_element *element, const char *name, size_t *n) {
    const xml_attr *attr = xml_attr_get(element, name);
    const bool right = attr && attr->row->type == XML_TYPE_INTS;
    *n = right ? attr->value.as.integers.n : 0;
    return right ? attr->value.as.integers.items : NULL;
}
