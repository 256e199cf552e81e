/*
 * Writing compiled models; see compile_model.h. The file is written as things are made: code while it is linked, weights as a session has packed them, one
 * after the other.
 */
#include "frontend/driver/compile_model.h"

#include <string.h>

#include "frontend/driver/compiled_model.h"
#include "frontend/model/xml_document.h"
#include "frontend/text/tokenizer_config.h"
#include "ir/op.h"
#include "ir/support/file_map.h"
#include "ir/support/strmap.h"
#include "ir/text.h"

typedef struct compile_job {
    loaded_model *model;
    const road_options *road; /* with pins appended to `choices` */
    const diag_sink *sink;
    compiled_writer *writer;
    arena memory;
    strbuf choices, targets;
    strmap written; /* names of parameters in rows, and of patterns behind "/" */
    compiled_report report;
} compile_job;

static pofac_status add_text(compile_job *j, const char *name, const void *bytes, size_t n) {
    const compiled_section s = {.kind = COMPILED_TEXT, .name = name, .data = n ? bytes : NULL, .bytes = n};
    return compiled_writer_add(j->writer, &s);
}

/* ---- definition and tokenizer ---- */

static pofac_status add_config(compile_job *j) {
    strbuf text = STRBUF_INIT;
    config_json_write(loaded_model_spec(j->model), &text);
    pofac_status status = strbuf_ok(&text) ? add_text(j, COMPILED_CONFIG, text.data, text.size) : diag_out_of_memory(j->sink);
    strbuf_free(&text);
    return status;
}

static pofac_status add_file(compile_job *j, const char *path, const char *name) {
    const char *section = arena_printf(&j->memory, COMPILED_TOKENIZER "%s", name);
    file_map file;
    if (!section) return diag_out_of_memory(j->sink);
    TRY(file_map_open(path, j->sink, &file));
    pofac_status status = add_text(j, section, file.data, file.size_bytes);
    file_map_close(&file);
    return status;
}

/* The files of the model's directory, or the vocabulary that it has instead. */
static pofac_status add_tokenizer_files(compile_job *j) {
    const char *vocabulary = loaded_model_vocabulary(j->model), *directory = loaded_model_directory(j->model), *name;
    if (vocabulary) return add_file(j, vocabulary, "vocab.txt");
    for (size_t i = 0; directory && (name = tokenizer_file_name(i)) != NULL; i++) {
        const char *path = arena_printf(&j->memory, "%s/%s", directory, name);
        if (!path) return diag_out_of_memory(j->sink);
        if (file_exists(path)) TRY(add_file(j, path, name));
    }
    return POFAC_OK;
}

static pofac_status add_tokenizer(compile_job *j) {
    tokenizer_options settings;
    strbuf text = STRBUF_INIT;
    TRY(add_tokenizer_files(j));
    TRY(loaded_model_tokenizer_settings(j->model, j->sink, &settings));
    compiled_tokenizer_settings_print(&settings, &text);
    pofac_status status =
        strbuf_ok(&text) ? add_text(j, COMPILED_TOKENIZER_SETTINGS, text.data, text.size) : diag_out_of_memory(j->sink);
    strbuf_free(&text);
    return status;
}

/* What a quantized model's directory says of it; of one that is compiled as if it were none, nothing. */
static pofac_status add_quantization(compile_job *j) {
    const bool is_quantized = loaded_model_quantization(j->model) && j->road->quantization != ROAD_UNQUANTIZED;
    const char *directory = is_quantized ? loaded_model_directory(j->model) : NULL;
    const char *path = directory ? arena_printf(&j->memory, "%s/" QUANTIZATION_FILE, directory) : NULL;
    file_map file;
    if (!directory) return POFAC_OK;
    if (!path) return diag_out_of_memory(j->sink);
    TRY(file_map_open(path, j->sink, &file));
    pofac_status status = add_text(j, COMPILED_QUANTIZATION, file.data, file.size_bytes);
    file_map_close(&file);
    return status;
}

/* ---- graph ---- */

static pofac_status add_constants(compile_job *j, const ir_module *m) {
    for (size_t i = 0; i < m->constants.size; i++) {
        const ir_tensor *t = &m->constants.data[i].tensor;
        compiled_section s = {.kind = COMPILED_CONSTANT,
                              .name = m->constants.data[i].name,
                              .dtype = t->dtype,
                              .rank = t->rank,
                              .data = t->data,
                              .bytes = tensor_bytes(t)};
        memcpy(s.dims, t->dims, t->rank * sizeof *t->dims);
        TRY(compiled_writer_add(j->writer, &s));
    }
    return POFAC_OK;
}

static pofac_status add_graph(compile_job *j, const ir_module *m, const road_options *road) {
    strbuf text = STRBUF_INIT, said = STRBUF_INIT;
    text_print_module(m, (text_print_options){0}, &text);
    compiled_graph_options_print(&road->graph, road_arithmetic(j->model, road), &said);
    pofac_status status = strbuf_ok(&text) && strbuf_ok(&said) ? POFAC_OK : diag_out_of_memory(j->sink);
    if (status == POFAC_OK) status = add_text(j, COMPILED_GRAPH, text.data, text.size);
    if (status == POFAC_OK) status = add_text(j, COMPILED_GRAPH_OPTIONS, said.data, said.size);
    if (status == POFAC_OK) status = add_text(j, COMPILED_KERNELS, strbuf_str(&j->choices), j->choices.size + 1);
    strbuf_free(&text);
    strbuf_free(&said);
    return status == POFAC_OK ? add_constants(j, m) : status;
}

/* ---- parameters ---- */

/* True when `name` was not there before; *status: memory. */
static bool is_new(compile_job *j, const char *name, pofac_status *status) {
    bool fresh = false;
    *status = strmap_put(&j->written, name, strlen(name), 0, &fresh) ? POFAC_OK : diag_out_of_memory(j->sink);
    return fresh;
}

static pofac_status add_rows(compile_job *j, const char *name, const ir_tensor *t) {
    pofac_status status;
    if (!is_new(j, name, &status)) return status;
    compiled_section s = {
        .kind = COMPILED_TENSOR, .name = name, .dtype = t->dtype, .rank = t->rank, .data = t->data, .bytes = tensor_bytes(t)};
    memcpy(s.dims, t->dims, t->rank * sizeof *t->dims);
    j->report.n_parameters++;
    return compiled_writer_add(j->writer, &s);
}

static pofac_status add_pattern(compile_job *j, const char *name, const ir_tensor *t) {
    const char *key = arena_printf(&j->memory, "/%s", name);
    pofac_status status;
    if (!key) return diag_out_of_memory(j->sink);
    if (!is_new(j, key, &status)) return status;
    const compiled_section s = {.kind = COMPILED_PATTERN,
                                .name = name,
                                .rank = 3,
                                .dims = {t->dims[0], t->dims[1], tensor_elements(t) - tensor_count_zeros(t)}};
    return compiled_writer_add(j->writer, &s);
}

/* What the session has packed of buffer `i`; twins have it from the first of them. */
static pofac_status add_packed(compile_job *j, const session *s, const plan_buffer *b, size_t i, const ir_tensor *t) {
    compiled_section section = {.kind = COMPILED_PACKED,
                                .name = b->name,
                                .packing = plan_packing_name(b->packing),
                                .parameter = b->packing_parameter,
                                .sparse = b->sparse,
                                .rank = t->rank};
    section.data = session_packed_weight(s, i, &section.bytes);
    memcpy(section.dims, t->dims, t->rank * sizeof *t->dims);
    if (!section.data) return POFAC_OK;
    j->report.n_packed++;
    return compiled_writer_add(j->writer, &section);
}

static pofac_status add_weight(compile_job *j, const session *s, const plan_buffer *b, size_t i, const ir_tensor *t) {
    const bool has_pattern = b->type->kind == TYPE_PATTERN || b->type->rank == 1; /* it, or its non-zeros */
    if (t->rank == 2 && b->packing != PACKING_NONE && has_pattern) TRY(add_pattern(j, b->name, t));
    return b->packing == PACKING_NONE ? add_rows(j, b->name, t) : add_packed(j, s, b, i, t);
}

/* The range that a packed weight was quantized by, which whoever packs it anew wants. */
static pofac_status add_range(compile_job *j, const plan *p, const plan_buffer *b) {
    const ir_node *leaf = b->range == IR_NO_VALUE ? NULL : graph_node_of(p->graph, b->range);
    const tensor_source *state = loaded_model_state(j->model);
    ir_tensor t;
    if (!leaf || leaf->op != OP_state) return POFAC_OK;
    const char *name = node_string(leaf, "name");
    TRY(state->get(state->user, name, j->sink, &t));
    const pofac_status status = add_rows(j, name, &t);
    tensor_source_release(state, name);
    return status;
}

static pofac_status add_weights(compile_job *j, const plan *p, const session *s) {
    const tensor_source *state = loaded_model_state(j->model);
    for (size_t i = 0; i < p->n_buffers; i++) {
        const plan_buffer *b = &p->buffers[i];
        ir_tensor t;
        if (b->kind != PLAN_STATE) continue;
        TRY(state->get(state->user, b->name, j->sink, &t));
        pofac_status status = add_weight(j, s, b, i, &t);
        tensor_source_release(state, b->name);
        TRY(status);
        TRY(add_range(j, p, b));
    }
    return POFAC_OK;
}

/* ---- code ---- */

static pofac_status put_object(void *user, const char *key, const void *object, size_t n) {
    compile_job *j = user;
    char name[33];
    pofac_status status;
    compiled_object_name(key, name);
    if (!is_new(j, arena_strdup(&j->memory, name), &status)) return status;
    const compiled_section s = {.kind = COMPILED_OBJECT, .name = name, .data = object, .bytes = n};
    j->report.n_objects++;
    j->report.object_bytes += n;
    return compiled_writer_add(j->writer, &s);
}

/* The next name of a list with commas, in the job's memory. */
static pofac_status next_target(compile_job *j, const char **at, cg_target *out) {
    const size_t n = strcspn(*at, ",");
    const char *name = arena_strndup(&j->memory, *at, n);
    cg_target host;
    pofac_status status;
    if (!name) return diag_out_of_memory(j->sink);
    *at += n + ((*at)[n] == ',');
    const bool is_native = strcmp(name, "native") == 0; /* what this machine lacks is nothing to another */
    status = cg_target_host(NULL, &j->memory, is_native ? j->sink : NULL, &host);
    if (status != POFAC_OK && !is_native) status = cg_target_host(NULL, &j->memory, j->sink, &host); /* which says why */
    TRY(status);
    if (is_native) *out = host;
    else TRY(cg_target_named(name, j->sink, out));
    if (strcspn(out->triple, "-") != strcspn(host.triple, "-") || strncmp(out->triple, host.triple, strcspn(host.triple, "-")) != 0)
        return diag_error(j->sink, POFAC_ERR_USAGE, NULL, "--target: found %s, wanted a target of this machine's architecture (%s)",
                          name, host.triple);
    compiled_target_print(out, &j->targets);
    j->report.n_targets++;
    return POFAC_OK;
}

/* Code for the targets behind the first. */
static pofac_status make_other_code(compile_job *j, const ir_module *m, const char *rest, const cg_options *first) {
    cg_options codegen = *first;
    while (*rest) {
        TRY(next_target(j, &rest, &codegen.target));
        TRY(cg_make_objects(m, ROAD_GRAPH, &codegen, j->sink));
    }
    return POFAC_OK;
}

/* ---- all of it ---- */

static pofac_status pack_and_add(compile_job *j, const plan *p) {
    thread_pool *pool = NULL;
    session *s = NULL;
    pofac_status status = thread_pool_create(j->road->threads, j->sink, &pool);
    if (status == POFAC_OK) status = session_create(p, loaded_model_state(j->model), pool, j->sink, &s);
    if (status == POFAC_OK) status = add_weights(j, p, s);
    session_destroy(s);
    thread_pool_destroy(pool);
    return status;
}

static pofac_status compile_graph(compile_job *j, const char *targets) {
    const cg_objects objects = {.put = put_object, .user = j};
    const model_head head = loaded_model_spec(j->model)->head;
    road_options road = *j->road;
    cg_options codegen;
    ir_module *m = NULL;
    plan *p = NULL;
    road.graph = (model_graph_options){.chosen_rows = head == HEAD_PRETRAINING || head == HEAD_MASKED_LM};
    road.kernel_choices = &j->choices;
    TRY(road_codegen_options(&road, &j->memory, j->sink, &codegen));
    codegen.objects = &objects;
    TRY(next_target(j, &targets, &codegen.target));
    TRY(road_build(j->model, &road, j->sink, &m));
    TRY(road_optimize(j->model, m, &road, j->sink, &m));
    pofac_status status = add_graph(j, m, &road);
    if (status == POFAC_OK) status = make_other_code(j, m, targets, &codegen);
    if (status == POFAC_OK) status = cg_compile(m, ROAD_GRAPH, &codegen, j->sink, &p);
    else module_destroy(m);
    if (status == POFAC_OK) status = pack_and_add(j, p);
    plan_destroy(p);
    if (status == POFAC_OK)
        status =
            strbuf_ok(&j->targets) ? add_text(j, COMPILED_TARGETS, j->targets.data, j->targets.size) : diag_out_of_memory(j->sink);
    return status;
}

static pofac_status add_maker(compile_job *j) {
    strbuf text = STRBUF_INIT;
    compiled_maker_print(&text);
    pofac_status status = strbuf_ok(&text) ? add_text(j, COMPILED_MAKER, text.data, text.size) : diag_out_of_memory(j->sink);
    strbuf_free(&text);
    return status;
}

static pofac_status write_parts(compile_job *j, const char *targets) {
    TRY(add_config(j));
    TRY(add_tokenizer(j));
    TRY(add_quantization(j));
    TRY(add_maker(j));
    return compile_graph(j, targets);
}

/* A description may ask for 8 bits that are not there yet. */
static pofac_status check_description(compile_job *j) {
    const char *path = loaded_model_path(j->model);
    xml_document *document;
    if (file_is_directory(path) || loaded_model_quantization(j->model) || j->road->quantization == ROAD_UNQUANTIZED)
        return POFAC_OK;
    TRY(xml_document_read(path, &j->memory, j->sink, &document));
    const xml_attr *method = xml_attr_get(xml_child(document->root, "quantize"), "method");
    if (!method || !method->written || strcmp(method->value.as.string, "qat") == 0) return POFAC_OK;
    return diag_error(j->sink, POFAC_ERR_USAGE, &method->place,
                      "method: found %s, which compiling does not do, wanted --quantization off, or the directory that `pofac "
                      "quantize %s -o DIR` makes",
                      method->value.as.string, path);
}

static pofac_status check_job(compile_job *j) {
    if (loaded_model_compiled(j->model))
        return diag_error(j->sink, POFAC_ERR_USAGE, &(diag_place){.file = loaded_model_path(j->model)},
                          "found a compiled model, wanted the model that it was made from");
    if (j->road->quantization == ROAD_SIMULATED && loaded_model_quantization(j->model))
        return diag_error(j->sink, POFAC_ERR_USAGE, NULL,
                          "--quantization: found simulate, wanted integer or off, which a compiled model can be made for");
    return check_description(j);
}

pofac_status compile_model(loaded_model *model, const road_options *road, const char *targets, const char *path,
                           const diag_sink *sink, compiled_report *out) {
    compile_job j = {
        .model = model, .road = road, .sink = sink, .memory = ARENA_INIT, .choices = STRBUF_INIT, .targets = STRBUF_INIT};
    if (!targets) targets = road->isa ? road->isa : "native";
    pofac_status status = check_job(&j);
    if (status == POFAC_OK) status = compiled_writer_open(path, sink, &j.writer);
    if (status == POFAC_OK) status = write_parts(&j, targets);
    if (status == POFAC_OK) status = compiled_writer_commit(j.writer, &j.report.file_bytes);
    else compiled_writer_abandon(j.writer);
    *out = j.report;
    strmap_free(&j.written);
    strbuf_free(&j.choices);
    strbuf_free(&j.targets);
    arena_free(&j.memory);
    return status;
}
