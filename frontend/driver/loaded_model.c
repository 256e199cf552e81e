/* Opening models and binding their parameters; see loaded_model.h. */
#include "frontend/driver/loaded_model.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/tensor_names.h"
#include "frontend/model/xml_document.h"
#include "frontend/text/tokenizer_config.h"
#include "ir/op.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "ir/support/strmap.h"
#include "ir/support/text_ends.h"
#include "runtime/thread_pool.h"

/*
 * A bound parameter: a tensor of the checkpoint, or one that is drawn from the seed. What is not a view of the checkpoint's mapping is
 * made when somebody asks for it and freed when nobody uses it any more; of a view, the pages are let go of.
 */
typedef struct parameter {
    const char *name;              /* the map's copy */
    const checkpoint_tensor *from; /* NULL: drawn, or of a compiled model: */
    bool is_compiled;
    size_t number; /* of it, in the compiled model */
    bool waits;    /* not made yet: the tensor has its shape alone */
    size_t uses;   /* gets that are not released */
    ir_tensor tensor;
} parameter;

struct loaded_model {
    arena memory;
    const char *path, *directory, *vocab; /* directory: of Hugging Face's files, or NULL; vocab: a file, or NULL */
    tokenizer_options tokenizer_options;
    ir_context *context;
    model_spec spec;
    checkpoint *weights; /* NULL, and no compiled model: every parameter is drawn from the seed */
    compiled_model *compiled;
    model_quantization *quantization;
    uint64_t seed;
    strmap bound; /* name -> place in parameters */
    VEC(parameter) parameters;
    pthread_mutex_t lock; /* of what the source changes: parameters, pool */
    thread_pool *pool;    /* draws parameters; made when the first one is drawn */
    tensor_source source, stored;
    tokenizer *tokenizer;
};

/* ---- opening ---- */

static tokenizer_flag flag_of(bool on) { return on ? TOKENIZER_ON : TOKENIZER_OFF; }

static pofac_status read_directory(loaded_model *m, const char *directory, const diag_sink *sink) {
    m->directory = directory;
    const char *config = arena_printf(&m->memory, "%s/config.json", directory);
    if (!config) return diag_out_of_memory(sink);
    return config_json_read(config, &m->memory, sink, &m->spec);
}

static pofac_status read_description(loaded_model *m, const loaded_model_options *o, const char **checkpoint_path,
                                     const diag_sink *sink) {
    xml_document *document;
    TRY(o->description ? xml_document_parse(m->path, o->description, o->description_bytes, &m->memory, sink, &document)
                       : xml_document_read(m->path, &m->memory, sink, &document));
    const xml_model *x = &document->model;
    if (x->from) {
        TRY(read_directory(m, x->from, sink));
        if (x->head != HEAD_AUTO) m->spec.head = x->head;
        if (x->num_labels && x->num_labels != m->spec.num_labels) m->spec.num_labels = x->num_labels, m->spec.labels = NULL;
        if (x->labels) m->spec.labels = x->labels;
        if (x->has_problem_type) m->spec.regression = x->regression;
        else if (x->num_labels) m->spec.regression = x->num_labels == 1;
    } else {
        m->spec = x->spec;
    }
    *checkpoint_path = x->checkpoint;
    m->vocab = x->vocab;
    if (x->vocab)
        m->tokenizer_options = (tokenizer_options){.do_lower_case = flag_of(x->do_lower_case),
                                                   .strip_accents = flag_of(x->strip_accents),
                                                   .tokenize_chinese_chars = flag_of(x->tokenize_chinese_chars)};
    return POFAC_OK;
}

static pofac_status guess_head(loaded_model *m, const diag_sink *sink) {
    size_t n = m->weights ? checkpoint_size(m->weights) : 0;
    const char **names = ARENA_ARRAY(&m->memory, const char *, n + 1);
    if (!names) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) names[i] = checkpoint_at(m->weights, i)->name;
    m->spec.head = model_head_guess(names, n);
    return POFAC_OK;
}

static pofac_status copy_labels(loaded_model *m, const char *const *labels, const diag_sink *sink) {
    const char **copy = ARENA_ARRAY(&m->memory, const char *, m->spec.num_labels);
    if (!copy) return diag_out_of_memory(sink);
    for (int64_t i = 0; i < m->spec.num_labels; i++)
        if (!(copy[i] = arena_strdup(&m->memory, labels[i]))) return diag_out_of_memory(sink);
    m->spec.labels = copy;
    return POFAC_OK;
}

static void apply_dropout(model_spec *s, const loaded_model_options *o) {
    const bool follows = s->arch == MODEL_BERT && s->classifier_dropout == s->hidden_dropout_prob;
    if (o->hidden_dropout.is_given) s->hidden_dropout_prob = o->hidden_dropout.rate;
    if (o->hidden_dropout.is_given && follows) s->classifier_dropout = o->hidden_dropout.rate;
    if (o->attention_dropout.is_given) s->attention_probs_dropout_prob = o->attention_dropout.rate;
    if (o->classifier_dropout.is_given) s->classifier_dropout = o->classifier_dropout.rate;
}

static pofac_status apply_options(loaded_model *m, const loaded_model_options *o, const diag_sink *sink) {
    if (o->head != HEAD_AUTO) m->spec.head = o->head;
    if (m->spec.head == HEAD_AUTO) TRY(guess_head(m, sink));
    if (o->num_labels && o->num_labels != m->spec.num_labels) {
        m->spec.num_labels = o->num_labels;
        m->spec.labels = NULL;
        m->spec.regression = o->num_labels == 1;
    }
    if (o->labels) TRY(copy_labels(m, o->labels, sink));
    apply_dropout(&m->spec, o);
    if (o->vocab) m->vocab = o->vocab;
    m->seed = o->seed;
    return POFAC_OK;
}

static pofac_status draw_parameter(loaded_model *m, const parameter *p, const diag_sink *sink, ir_tensor *out);

static parameter *find_parameter(const loaded_model *m, const char *name) {
    const strmap_entry *e = strmap_get(&m->bound, name, strlen(name));
    return e ? &m->parameters.data[e->value] : NULL;
}

static pofac_status make_parameter(loaded_model *m, parameter *p, const diag_sink *sink) {
    ir_tensor t;
    TRY(p->from          ? checkpoint_load(p->from, p->from->dtype, sink, &t)
        : p->is_compiled ? compiled_model_tensor(m->compiled, p->number, sink, &t)
                         : draw_parameter(m, p, sink, &t));
    p->tensor = t;
    p->waits = false;
    return POFAC_OK;
}

/* A range of a quantized model. */
static bool get_range(const loaded_model *m, const char *name, ir_tensor *out) {
    const tensor_source *ranges = m->quantization ? model_quantization_ranges(m->quantization) : NULL;
    return ranges && ranges->get(ranges->user, name, NULL, out) == POFAC_OK;
}

static pofac_status get_parameter(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    loaded_model *m = user;
    parameter *p = find_parameter(m, name);
    if (!p && get_range(m, name, out)) return POFAC_OK;
    if (!p) return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = m->path}, "the model has no parameter \"%s\"", name);
    pthread_mutex_lock(&m->lock);
    pofac_status status = p->waits ? make_parameter(m, p, sink) : POFAC_OK;
    if (status == POFAC_OK) {
        p->uses++;
        *out = p->tensor;
        out->owned = false;
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

static pofac_status get_stored(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const loaded_model *m = user;
    const parameter *p = find_parameter(m, name);
    if (p && (p->from || p->is_compiled)) return get_parameter(user, name, sink, out);
    if (!p && get_range(m, name, out)) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = m->path}, "the checkpoint has no parameter \"%s\"", name);
}

/* Pages of a mapping may go while others read them; memory of its own may not. */
static void release_parameter(void *user, const char *name) {
    loaded_model *m = user;
    parameter *p = find_parameter(m, name);
    if (!p) return;
    pthread_mutex_lock(&m->lock);
    if (p->uses > 0) p->uses--;
    if (p->uses == 0 && p->tensor.owned) {
        ir_tensor shape = p->tensor;
        tensor_free(&p->tensor);
        shape.data = NULL;
        shape.owned = false;
        p->tensor = shape;
        p->waits = true;
    } else if (p->from) {
        checkpoint_release(m->weights, p->from);
    }
    pthread_mutex_unlock(&m->lock);
}

static pofac_status keep_parameter(loaded_model *m, const parameter *p, const diag_sink *sink);

/* A compiled model is what it was compiled as. */
static pofac_status check_compiled_options(const loaded_model *m, const loaded_model_options *o, const diag_sink *sink) {
    const diag_place place = {.file = m->path};
    if (o->head != HEAD_AUTO && o->head != m->spec.head)
        return diag_error(sink, POFAC_ERR_USAGE, &place, "found head %s, wanted %s, which the model was compiled with",
                          model_head_name(o->head), model_head_name(m->spec.head));
    if (o->num_labels && o->num_labels != m->spec.num_labels)
        return diag_error(sink, POFAC_ERR_USAGE, &place, "found %lld labels, wanted %lld, which the model was compiled with",
                          (long long)o->num_labels, (long long)m->spec.num_labels);
    return POFAC_OK;
}

static pofac_status read_compiled_quantization(loaded_model *m, const diag_sink *sink) {
    const compiled_section *s = compiled_file_find(compiled_model_file(m->compiled), COMPILED_TEXT, COMPILED_QUANTIZATION);
    const char *name = arena_printf(&m->memory, "%s/" COMPILED_QUANTIZATION, m->path);
    if (!name) return diag_out_of_memory(sink);
    return s && s->bytes ? model_quantization_read_memory(name, s->data, s->bytes, sink, &m->quantization) : POFAC_OK;
}

static pofac_status open_compiled(loaded_model *m, const loaded_model_options *o, const diag_sink *sink) {
    TRY(compiled_model_open(m->path, o->threads, sink, &m->compiled));
    TRY(compiled_model_spec(m->compiled, &m->memory, sink, &m->spec));
    if (m->spec.head == HEAD_AUTO) m->spec.head = HEAD_NONE;
    TRY(check_compiled_options(m, o, sink));
    for (size_t i = 0; i < compiled_model_size(m->compiled); i++) {
        parameter p = {.name = compiled_model_name(m->compiled, i), .is_compiled = true, .number = i, .waits = true};
        compiled_model_shape(m->compiled, i, &p.tensor);
        TRY(keep_parameter(m, &p, sink));
    }
    m->source.packed = compiled_model_packed(m->compiled);
    TRY(read_compiled_quantization(m, sink));
    TRY(apply_options(m, o, sink));
    return model_spec_check(&m->spec, m->path, sink);
}

/* What is no directory and no compiled model. */
static pofac_status read_file(loaded_model *m, const loaded_model_options *o, const char **weights, const diag_sink *sink) {
    static const char wanted[] = "wanted a Hugging Face directory, an XML description or a compiled model",
                      ending[] = ".safetensors";
    const diag_place place = {.file = m->path};
    const size_t n = strlen(m->path);
    if (!file_exists(m->path)) {
        if (errno == ENOENT || errno == ENOTDIR)
            return diag_error(sink, POFAC_ERR_INPUT, &place, "no such file or directory, %s", wanted);
        return diag_error(sink, POFAC_ERR_INPUT, &place, "cannot be opened: %s", strerror(errno));
    }
    if (n >= sizeof ending && strcmp(m->path + n - (sizeof ending - 1), ending) == 0)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found a file of tensors alone, %s", wanted);
    return read_description(m, o, weights, sink);
}

static pofac_status open_parts(loaded_model *m, const loaded_model_options *o, const diag_sink *sink) {
    const char *weights = NULL;
    m->context = context_create();
    if (!m->path || !m->context) return diag_out_of_memory(sink);
    if (!o->description && compiled_file_is_one(m->path)) return open_compiled(m, o, sink);
    if (o->description) TRY(read_description(m, o, &weights, sink));
    else if (file_is_directory(m->path)) TRY(read_directory(m, m->path, sink));
    else TRY(read_file(m, o, &weights, sink));
    if (!weights && m->directory) {
        weights = m->directory;
        TRY(model_quantization_read(m->directory, sink, &m->quantization));
    }
    if (weights) TRY(checkpoint_open(weights, sink, &m->weights));
    TRY(apply_options(m, o, sink));
    return model_spec_check(&m->spec, m->path, sink);
}

pofac_status loaded_model_open(const char *path, const loaded_model_options *options, const diag_sink *sink, loaded_model **out) {
    *out = NULL;
    loaded_model *m = calloc(1, sizeof *m);
    if (!m) return diag_out_of_memory(sink);
    if (pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        return diag_out_of_memory(sink);
    }
    m->path = arena_strdup(&m->memory, path);
    m->source = (tensor_source){.get = get_parameter, .user = m, .release = release_parameter};
    m->stored = (tensor_source){.get = get_stored, .user = m, .release = release_parameter};
    pofac_status status = open_parts(m, options, sink);
    if (status == POFAC_OK) *out = m;
    else loaded_model_close(m);
    return status;
}

void loaded_model_close(loaded_model *m) {
    if (!m) return;
    for (size_t i = 0; i < m->parameters.size; i++) tensor_free(&m->parameters.data[i].tensor);
    thread_pool_destroy(m->pool);
    VEC_FREE(&m->parameters);
    strmap_free(&m->bound);
    tokenizer_destroy(m->tokenizer);
    checkpoint_close(m->weights);
    compiled_model_close(m->compiled);
    model_quantization_close(m->quantization);
    context_destroy(m->context);
    arena_free(&m->memory);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

const model_spec *loaded_model_spec(const loaded_model *m) { return &m->spec; }

ir_context *loaded_model_context(loaded_model *m) { return m->context; }

const char *loaded_model_path(const loaded_model *m) { return m->path; }

const char *loaded_model_directory(const loaded_model *m) { return m->directory; }

const char *loaded_model_vocabulary(const loaded_model *m) { return m->vocab; }

const checkpoint *loaded_model_checkpoint(const loaded_model *m) { return m->weights; }

const compiled_model *loaded_model_compiled(const loaded_model *m) { return m->compiled; }

const model_quantization *loaded_model_quantization(const loaded_model *m) { return m->quantization; }

const checkpoint_tensor *loaded_model_tensor(const loaded_model *m, const char *name) {
    const parameter *p = find_parameter(m, name);
    return p ? p->from : NULL;
}

static bool has_tensor(const loaded_model *m, const char *ending) {
    if (m->compiled) {
        for (size_t i = 0; i < m->parameters.size; i++)
            if (text_ends_with(m->parameters.data[i].name, ending)) return true;
        return false;
    }
    size_t n = m->weights ? checkpoint_size(m->weights) : 0;
    for (size_t i = 0; i < n; i++)
        if (text_ends_with(checkpoint_at(m->weights, i)->name, ending)) return true;
    return !m->weights;
}

bool loaded_model_has_embeddings(const loaded_model *m) {
    return has_tensor(m, "embeddings.word_embeddings.weight") || has_tensor(m, "embeddings.position_embeddings.weight");
}

bool loaded_model_has_pooler(const loaded_model *m) { return has_tensor(m, "pooler.dense.weight"); }

/* ---- parameters ---- */

typedef struct draw_job {
    rng_key key;
    double scale;
    float *out;
    int64_t n;
} draw_job;

#define DRAW_CHUNK 65536

static void draw_chunk(void *user, size_t worker, size_t chunk) {
    (void)worker;
    const draw_job *job = user;
    int64_t first = (int64_t)chunk * DRAW_CHUNK, n = job->n - first < DRAW_CHUNK ? job->n - first : DRAW_CHUNK;
    rng_normals(job->key, (uint64_t)first, (size_t)n, job->scale, job->out + first);
}

/* Hugging Face's initialisation: biases 0, layer norms 1, the rest N(0, initializer_range), the padding token's embedding 0. */
static pofac_status draw_parameter(loaded_model *m, const parameter *p, const diag_sink *sink, ir_tensor *out) {
    ir_tensor t;
    if (tensor_alloc(IR_F32, p->tensor.rank, p->tensor.dims, &t) != POFAC_OK) return diag_out_of_memory(sink);
    float *data = t.data;
    int64_t n = tensor_elements(&t);
    if (text_ends_with(p->name, "LayerNorm.weight") || text_ends_with(p->name, "layer_norm.weight")) {
        for (int64_t i = 0; i < n; i++) data[i] = 1.0f;
    } else if (!text_ends_with(p->name, ".bias")) {
        draw_job job = {rng_key_make(m->seed, p->name), m->spec.initializer_range, data, n};
        pofac_status status = m->pool ? POFAC_OK : thread_pool_create(0, sink, &m->pool);
        if (status != POFAC_OK) {
            tensor_free(&t);
            return status;
        }
        thread_pool_run(m->pool, draw_chunk, &job, (size_t)((n + DRAW_CHUNK - 1) / DRAW_CHUNK));
        if (text_ends_with(p->name, "word_embeddings.weight") && m->spec.pad_token_id < t.dims[0])
            memset(data + m->spec.pad_token_id * t.dims[1], 0, (size_t)t.dims[1] * sizeof(float));
    }
    *out = t;
    return POFAC_OK;
}

/* Parameters without which the encoder itself is not what was trained. */
static bool is_encoder_parameter(const char *name) {
    return (strncmp(name, "bert.", 5) == 0 && strncmp(name, "bert.pooler.", 12) != 0) || strncmp(name, "distilbert.", 11) == 0;
}

static pofac_status list_parameters(loaded_model *m, const ir_graph *g, arena *a, wanted_tensor **out, size_t *n_out,
                                    const diag_sink *sink) {
    wanted_tensor *wanted = ARENA_ARRAY(a, wanted_tensor, g->nodes.size + 1);
    strmap seen = STRMAP_INIT;
    size_t n = 0;
    if (!wanted) return diag_out_of_memory(sink);
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *node = &g->nodes.data[i];
        if (node->op != OP_state) continue;
        const char *name = node_string(node, "name");
        const ir_type *type = graph_type(g, node->first_result);
        bool fresh;
        if (strmap_get(&m->bound, name, strlen(name))) continue;
        if (!strmap_put(&seen, name, strlen(name), 0, &fresh)) {
            strmap_free(&seen);
            return diag_out_of_memory(sink);
        }
        if (!fresh) continue;
        wanted[n] = (wanted_tensor){.name = name, .rank = type->rank};
        for (uint32_t d = 0; d < type->rank; d++) wanted[n].dims[d] = dim_eval(type->dims[d], (ir_binding){NULL, 0});
        n++;
    }
    strmap_free(&seen);
    *out = wanted;
    *n_out = n;
    return POFAC_OK;
}

static pofac_status keep_parameter(loaded_model *m, const parameter *p, const diag_sink *sink) {
    const strmap_entry *e = NULL;
    if (VEC_PUSH(&m->parameters, *p)) e = strmap_put(&m->bound, p->name, strlen(p->name), m->parameters.size - 1, NULL);
    if (!e) return diag_out_of_memory(sink);
    m->parameters.data[m->parameters.size - 1].name = e->key;
    return POFAC_OK;
}

/* The first names of a list, and how many more there are. */
static void list_names(strbuf *text, const char *const *names, size_t n) {
    enum { FEW = 8 };
    for (size_t i = 0; i < n && i < FEW; i++) strbuf_printf(text, "%s%s", i ? ", " : "", names[i]);
    if (n > FEW) strbuf_printf(text, " and %zu more", n - FEW);
}

static pofac_status report_missing(const loaded_model *m, const wanted_tensor *wanted, const tensor_match *match, arena *a,
                                   const diag_sink *sink) {
    const char **encoder = ARENA_ARRAY(a, const char *, match->n_missing + 1),
               **head = ARENA_ARRAY(a, const char *, match->n_missing + 1);
    size_t n_encoder = 0, n_head = 0;
    if (!encoder || !head) return diag_out_of_memory(sink);
    for (size_t i = 0; i < match->n_missing; i++) {
        const char *name = wanted[match->missing[i]].name;
        if (is_encoder_parameter(name)) encoder[n_encoder++] = name;
        else head[n_head++] = name;
    }
    strbuf text = STRBUF_INIT;
    const diag_place place = {.file = m->path};
    pofac_status status = POFAC_OK;
    if (n_encoder) {
        list_names(&text, encoder, n_encoder);
        status = diag_error(sink, POFAC_ERR_INPUT, &place, "the checkpoint lacks %zu parameter%s of the encoder: %s", n_encoder,
                            n_encoder == 1 ? "" : "s", strbuf_str(&text));
    } else if (n_head) {
        list_names(&text, head, n_head);
        diag_note(sink, &place, "initialised from seed %llu: %s", (unsigned long long)m->seed, strbuf_str(&text));
    }
    if (!strbuf_ok(&text)) status = diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static pofac_status report_unexpected(const loaded_model *m, const tensor_match *match, arena *a, const diag_sink *sink) {
    const char **names = ARENA_ARRAY(a, const char *, match->n_unexpected + 1);
    if (!names) return diag_out_of_memory(sink);
    if (match->n_unexpected == 0) return POFAC_OK;
    for (size_t i = 0; i < match->n_unexpected; i++) names[i] = match->unexpected[i]->name;
    strbuf text = STRBUF_INIT;
    list_names(&text, names, match->n_unexpected);
    pofac_status status = strbuf_ok(&text) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) diag_note(sink, &(diag_place){.file = m->path}, "not used: %s", strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

static pofac_status bind_wanted(loaded_model *m, const wanted_tensor *wanted, size_t n, bool first, arena *a,
                                const diag_sink *sink) {
    tensor_match match = {0};
    if (m->compiled)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = m->path},
                          "the compiled model lacks %s, which this graph wants", wanted[0].name);
    if (m->weights) {
        TRY(tensor_names_match(m->weights, wanted, n, a, sink, &match));
        TRY(report_missing(m, wanted, &match, a, sink));
        if (first) TRY(report_unexpected(m, &match, a, sink));
    } else if (first) {
        diag_note(sink, &(diag_place){.file = m->path}, "no checkpoint: all %zu parameters are initialised from seed %llu", n,
                  (unsigned long long)m->seed);
    }
    for (size_t i = 0; i < n; i++) {
        parameter p = {.name = wanted[i].name,
                       .from = match.tensors ? match.tensors[i] : NULL,
                       .waits = true,
                       .tensor = {.dtype = IR_F32, .rank = wanted[i].rank}};
        memcpy(p.tensor.dims, wanted[i].dims, sizeof p.tensor.dims);
        TRY(keep_parameter(m, &p, sink));
    }
    return POFAC_OK;
}

pofac_status loaded_model_bind(loaded_model *m, const ir_graph *g, const diag_sink *sink) {
    arena a = ARENA_INIT;
    wanted_tensor *wanted;
    size_t n;
    bool first = m->parameters.size == 0;
    pofac_status status = list_parameters(m, g, &a, &wanted, &n, sink);
    if (status == POFAC_OK && n) status = bind_wanted(m, wanted, n, first, &a, sink);
    arena_free(&a);
    return status;
}

const tensor_source *loaded_model_state(const loaded_model *m) { return &m->source; }

const tensor_source *loaded_model_stored(const loaded_model *m) { return &m->stored; }

/* ---- tokenizer ---- */

/* Settings of a vocabulary that is not the directory's own: still the directory's, where the description has none. */
static pofac_status find_settings(loaded_model *m, const diag_sink *sink, tokenizer_options *out) {
    const tokenizer_options *said = &m->tokenizer_options;
    *out = (tokenizer_options){0};
    if (m->compiled) return compiled_model_tokenizer_settings(m->compiled, sink, out);
    if (m->directory) {
        const char *path = arena_printf(&m->memory, "%s/tokenizer_config.json", m->directory);
        if (!path) return diag_out_of_memory(sink);
        if (file_exists(path)) TRY(tokenizer_config_read(path, sink, out));
    }
    if (said->do_lower_case != TOKENIZER_UNSET) out->do_lower_case = said->do_lower_case;
    if (said->strip_accents != TOKENIZER_UNSET) out->strip_accents = said->strip_accents;
    if (said->tokenize_chinese_chars != TOKENIZER_UNSET) out->tokenize_chinese_chars = said->tokenize_chinese_chars;
    return POFAC_OK;
}

static pofac_status read_tokenizer(loaded_model *m, const diag_sink *sink, tokenizer **out) {
    tokenizer_options settings;
    if (!m->vocab && m->compiled) return compiled_model_tokenizer(m->compiled, sink, out);
    if (!m->vocab && m->directory) return tokenizer_load_directory(m->directory, &m->tokenizer_options, sink, out);
    if (!m->vocab)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = m->path},
                          "the model has no vocabulary; give one with <tokenizer vocab=\"...\"/> or --vocab");
    TRY(find_settings(m, sink, &settings));
    return tokenizer_create(m->vocab, &settings, sink, out);
}

pofac_status loaded_model_tokenizer(loaded_model *m, const diag_sink *sink, const tokenizer **out) {
    tokenizer *t = NULL;
    *out = m->tokenizer;
    if (*out) return POFAC_OK; /* nothing is written, so threads may ask at the same time */
    TRY(read_tokenizer(m, sink, &t));
    size_t n = tokenizer_vocab_size(t);
    if (n > (size_t)m->spec.vocab_size) {
        tokenizer_destroy(t);
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = m->path},
                          "the vocabulary has %zu tokens, the model's embeddings have %lld rows", n, (long long)m->spec.vocab_size);
    }
    *out = m->tokenizer = t;
    return POFAC_OK;
}

pofac_status loaded_model_tokenizer_settings(loaded_model *m, const diag_sink *sink, tokenizer_options *out) {
    return find_settings(m, sink, out);
}
