/* Running a teacher over examples; see make_logits.h. */
#include "frontend/driver/make_logits.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend/data/batcher.h"
#include "frontend/driver/finite_check.h"
#include "frontend/driver/largest_logits.h"
#include "frontend/driver/teacher_logits.h"
#include "frontend/driver/train_parts.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"

#define FILE_BYTES ((uint64_t)64 << 20) /* of a file, at most, if an example is no larger */
#define MOST_IN_FILE ((uint64_t)1 << 16)
#define BATCH_TOKENS 4096     /* of a batch, padded; a longer sequence is a batch */
#define VOCABULARY_TOKENS 512 /* the same where each token has a number for each word: 62 MB at BERT's size */
#define PREFETCH 4            /* batches */
#define ROWS_OF_CHUNK 8       /* tokens whose largest logits a thread finds at once */

typedef struct logits_maker {
    const make_logits_options *options;
    const diag_sink *sink;
    train_parts parts;     /* the student's model and data */
    loaded_model *teacher; /* of the parts */
    executor *executor;
    thread_pool *pool; /* the executor's */
    logits_output outputs[LOGITS_MOST_OUTPUTS];
    size_t n_outputs;
    hash128 identity;      /* the teacher's */
    logits_file_info info; /* of the file that is made */
    uint64_t epochs, done; /* done: examples */
    const batch *batch;
    tensor_source inputs; /* of the run: the batch and prediction_rows */
    VEC(int64_t) kept;    /* rows (sequence * S + token) that the attention mask keeps */
    VEC(uint64_t) starts;
    VEC(float) sequences, tokens; /* tokens: of a file in f32, or one batch's */
    VEC(uint16_t) halves;
    VEC(int32_t) ids;
    strbuf path;
    make_logits_result *result;
} logits_maker;

/* ---- who the teacher is ---- */

static hash128 mix(hash128 h, const void *bytes, size_t n) {
    const hash128 more = hash_bytes128(bytes, n);
    const uint64_t both[4] = {h.low, h.high, more.low, more.high};
    return hash_bytes128(both, sizeof both);
}

/* All that its answers depend on: settings of the network, and the parameters that its graph reads, by name. */
static pofac_status hash_leaves(logits_maker *m, const ir_graph *g, hash128 *h) {
    const tensor_source *state = loaded_model_state(m->teacher);
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *leaf = &g->nodes.data[i];
        ir_tensor t;
        if (leaf->op != OP_state) continue;
        const char *name = node_string(leaf, "name");
        TRY(state->get(state->user, name, m->sink, &t));
        *h = mix(mix(*h, name, strlen(name)), t.data, tensor_bytes(&t));
        tensor_source_release(state, name);
    }
    return POFAC_OK;
}

static pofac_status hash_teacher(logits_maker *m, const road_options *road) {
    strbuf settings = STRBUF_INIT;
    ir_module *plain;
    config_json_write(loaded_model_spec(m->teacher), &settings);
    m->identity = mix((hash128){0, 0}, strbuf_str(&settings), settings.size);
    pofac_status status = strbuf_ok(&settings) ? POFAC_OK : diag_out_of_memory(m->sink);
    strbuf_free(&settings);
    TRY(status);
    TRY(road_build(m->teacher, road, m->sink, &plain));
    status = hash_leaves(m, module_find_graph(plain, ROAD_GRAPH), &m->identity);
    module_destroy(plain);
    return status;
}

/* ---- what is run ---- */

static pofac_status open_teacher(logits_maker *m) {
    const model_spec *spec = loaded_model_spec(m->parts.model);
    road_options road = m->options->road;
    m->n_outputs = logits_outputs(spec, m->outputs);
    if (m->n_outputs == 0)
        return diag_error(m->sink, POFAC_ERR_USAGE, NULL,
                          "found a regression, wanted a head whose classes a teacher can tell apart");
    if (spec->head == HEAD_QUESTION_ANSWERING && !m->parts.recipe->train.mask_padded_logits)
        return diag_error(m->sink, POFAC_ERR_USAGE, NULL,
                          "mask_padded_logits: found false, wanted true: logits of padding depend on the batch, and are not kept");
    m->teacher = m->parts.distillation.teacher;
    road.graph = (model_graph_options){.chosen_rows = m->outputs[0].is_vocabulary};
    TRY(hash_teacher(m, &road));
    TRY(executor_create(m->teacher, &road, EXECUTOR_COMPILED, m->sink, &m->executor));
    m->pool = executor_runnable(m->executor)->pool;
    return POFAC_OK;
}

/* ---- the plan of files ---- */

/* The most examples of which a file has at most FILE_BYTES. */
static uint64_t choose_per_file(const logits_maker *m) {
    const logits_file_info *i = &m->info;
    const uint64_t token = (uint64_t)i->token_width * (i->is_half ? sizeof(uint16_t) : sizeof(float)) + i->top_k * sizeof(int32_t),
                   example = sizeof(uint64_t) + i->sequence_width * sizeof(float) + token * m->parts.data.source.max_length;
    const uint64_t n = FILE_BYTES / example;
    return n < 1 ? 1 : n > MOST_IN_FILE ? MOST_IN_FILE : n;
}

static pofac_status plan_files(logits_maker *m) {
    const example_source *s = &m->parts.data.source;
    const make_logits_options *o = m->options;
    const bool changes = recipe_kind_is_shards(m->parts.recipe->data.kind); /* masked anew */
    logits_info_of(loaded_model_spec(m->parts.model), s->fingerprint, s->n_examples, o->top_k, o->is_half, &m->info);
    m->info.per_file = choose_per_file(m);
    m->info.every_epoch = !changes;
    m->epochs = 1;
    if (changes && o->epochs > 0) m->epochs = (uint64_t)o->epochs;
    else if (changes) TRY(train_count_epochs(&m->parts, &m->epochs));
    m->info.teacher = m->identity;
    m->result->epochs = m->epochs;
    m->result->examples = s->n_examples;
    m->result->files = m->epochs * ((s->n_examples + m->info.per_file - 1) / m->info.per_file);
    return POFAC_OK;
}

/* ---- one batch ---- */

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const logits_maker *m = user;
    const batch *b = m->batch;
    const int64_t n = (int64_t)m->kept.size;
    for (size_t i = 0; i < b->n_tensors; i++)
        if (strcmp(b->names[i], name) == 0) {
            *out = b->tensors[i];
            return POFAC_OK;
        }
    if (strcmp(name, "prediction_rows") != 0) return diag_error(sink, POFAC_ERR_INPUT, NULL, "the data have no input \"%s\"", name);
    *out = tensor_view(IR_I64, 1, &n, m->kept.data);
    return POFAC_OK;
}

/* Rows of the batch that have tokens; the starts of the examples behind its own go on. */
static pofac_status find_kept(logits_maker *m) {
    const batch *b = m->batch;
    const int64_t length = b->tensors[0].dims[1], *mask = NULL;
    const uint64_t before = m->starts.data[m->starts.size - 1];
    m->kept.size = 0;
    for (size_t i = 0; i < b->n_tensors; i++)
        if (strcmp(b->names[i], "attention_mask") == 0) mask = b->tensors[i].data;
    for (int64_t row = 0; row < b->n_sequences; row++) {
        for (int64_t k = row * length; k < (row + 1) * length; k++)
            if ((!mask || mask[k]) && !VEC_PUSH(&m->kept, k)) return diag_out_of_memory(m->sink);
        if (!VEC_PUSH(&m->starts, before + m->kept.size)) return diag_out_of_memory(m->sink);
    }
    return POFAC_OK;
}

static pofac_status check_finite(const logits_maker *m, const ir_tensor *t, const char *output) {
    const int64_t n = tensor_elements(t), at = find_not_finite(t, 0, n);
    if (at == n) return POFAC_OK;
    const int64_t row = m->outputs[0].is_vocabulary && t->rank == 2 && t->dims[0] == (int64_t)m->kept.size
                            ? m->kept.data[at / t->dims[1]] / m->batch->tensors[0].dims[1]
                            : at / (n / t->dims[0]);
    return diag_error(m->sink, POFAC_ERR_NUMERIC, &(diag_place){.file = m->parts.recipe->teacher},
                      "%s of example %" PRIu64 ": found %s, wanted a finite number", output,
                      m->info.first + m->batch->examples[row], not_finite_name(tensor_get(t, at)));
}

/* Logits of all kept tokens of the batch, whole, and where they go. */
typedef struct largest_task {
    const float *logits; /* [tokens, classes] */
    int64_t tokens, classes, k;
    float *values; /* [tokens, k] */
    int32_t *ids;
} largest_task;

static void find_largest(void *user, size_t worker, size_t chunk) {
    const largest_task *t = user;
    (void)worker;
    const int64_t begin = (int64_t)chunk * ROWS_OF_CHUNK,
                  end = begin + ROWS_OF_CHUNK < t->tokens ? begin + ROWS_OF_CHUNK : t->tokens;
    for (int64_t i = begin; i < end; i++)
        largest_logits(t->logits + i * t->classes, t->classes, t->k, t->values + i * t->k, t->ids + i * t->k);
}

/* The vocabulary's logits of the batch's tokens, into m->tokens from `at` on, and their ids. */
static pofac_status take_vocabulary(logits_maker *m, const ir_tensor *logits, size_t at) {
    const size_t n = m->kept.size, k = m->info.top_k;
    if (!k) {
        memcpy(m->tokens.data + at, logits->data, n * (size_t)logits->dims[1] * sizeof(float));
        return POFAC_OK;
    }
    if (!VEC_RESERVE(&m->ids, m->ids.size + n * k)) return diag_out_of_memory(m->sink);
    largest_task task = {logits->data, (int64_t)n, logits->dims[1], (int64_t)k, m->tokens.data + at, m->ids.data + m->ids.size};
    m->ids.size += n * k;
    thread_pool_run(m->pool, find_largest, &task, (n + ROWS_OF_CHUNK - 1) / ROWS_OF_CHUNK);
    return POFAC_OK;
}

/* What the batch's tokens have of one output, side by side with the others. */
static void take_tokens(logits_maker *m, const ir_tensor *logits, size_t classes, size_t in_token, size_t at) {
    const float *from = logits->data;
    for (size_t i = 0; i < m->kept.size; i++)
        memcpy(m->tokens.data + at + i * m->info.token_width + in_token, from + (size_t)m->kept.data[i] * classes,
               classes * sizeof(float));
}

static pofac_status take_output(logits_maker *m, const logits_output *o, const ir_tensor *logits, size_t in_token, size_t at) {
    TRY(check_finite(m, logits, o->output));
    if (o->is_vocabulary) return take_vocabulary(m, logits, at);
    if (o->per_token) {
        take_tokens(m, logits, (size_t)o->classes, in_token, at);
        return POFAC_OK;
    }
    const size_t n = (size_t)tensor_elements(logits);
    if (!VEC_RESERVE(&m->sequences, m->sequences.size + n)) return diag_out_of_memory(m->sink);
    memcpy(m->sequences.data + m->sequences.size, logits->data, n * sizeof(float));
    m->sequences.size += n;
    return POFAC_OK;
}

/* The f32 of a batch become the file's f16. */
static pofac_status halve(logits_maker *m) {
    if (!m->info.is_half) return POFAC_OK;
    if (!VEC_RESERVE(&m->halves, m->halves.size + m->tokens.size)) return diag_out_of_memory(m->sink);
    for (size_t i = 0; i < m->tokens.size; i++) {
        const uint16_t half = float_to_f16(m->tokens.data[i]);
        if ((half & 0x7c00u) == 0x7c00u)
            return diag_error(m->sink, POFAC_ERR_NUMERIC, &(diag_place){.file = m->parts.recipe->teacher},
                              "found a logit of %g, wanted one that f16 can hold, or --dtype f32", (double)m->tokens.data[i]);
        m->halves.data[m->halves.size++] = half;
    }
    m->tokens.size = 0;
    return POFAC_OK;
}

static pofac_status run_batch(logits_maker *m) {
    TRY(find_kept(m));
    TRY(executor_run(m->executor, &m->inputs, m->sink));
    const size_t at = m->tokens.size, more = m->kept.size * m->info.token_width;
    size_t in_token = 0;
    if (!VEC_RESERVE(&m->tokens, at + more)) return diag_out_of_memory(m->sink);
    for (size_t i = 0; i < m->n_outputs; i++) {
        ir_tensor logits;
        TRY(executor_output(m->executor, m->outputs[i].output, m->sink, &logits));
        TRY(take_output(m, &m->outputs[i], &logits, in_token, at));
        if (m->outputs[i].per_token) in_token += (size_t)m->outputs[i].classes;
    }
    m->tokens.size = at + more;
    return halve(m);
}

/* ---- one file ---- */

/* The examples of a file, as one epoch of a source of their own. */
typedef struct file_examples {
    example_source all;
    uint64_t epoch, first;
} file_examples;

static pofac_status measure_example(void *user, uint64_t i, const diag_sink *sink, size_t *n_tokens) {
    const file_examples *f = user;
    return f->all.measure(f->all.user, f->first + i, sink, n_tokens);
}

static pofac_status read_example(void *user, uint64_t epoch, uint64_t i, const diag_sink *sink, example_buffer *out) {
    const file_examples *f = user;
    (void)epoch;
    return f->all.read(f->all.user, f->epoch, f->first + i, sink, out);
}

static pofac_status open_batches(const logits_maker *m, const example_source *examples, batcher **out) {
    const size_t fixed = m->parts.data.fixed_length, longest = fixed ? fixed : examples->max_length,
                 most = m->outputs[0].is_vocabulary ? VOCABULARY_TOKENS : BATCH_TOKENS;
    const batcher_options options = {
        .order = {.arrangement = BATCH_IN_ORDER, .token_budget = most > longest ? most : longest, .fixed_length = fixed},
        .pad_id = (int32_t)loaded_model_spec(m->parts.model)->pad_token_id,
        .n_epochs = 1,
        .prefetch = PREFETCH};
    return batcher_create(examples, &options, m->sink, out);
}

static pofac_status run_batches(logits_maker *m, const batch_source *source) {
    const uint64_t all = m->epochs * m->info.n_examples;
    for (;;) {
        if (interruption_check(m->options->stop)) return POFAC_ERR_INTERRUPTED;
        TRY(source->next(source->user, m->sink, &m->batch));
        if (!m->batch) return POFAC_OK;
        TRY(run_batch(m));
        m->done += (uint64_t)m->batch->n_sequences;
        if (m->options->progress) m->options->progress(m->options->progress_user, m->done, all);
    }
}

static pofac_status run_examples(logits_maker *m) {
    file_examples own = {m->parts.data.source, m->info.epoch, m->info.first};
    example_source examples = own.all;
    batcher *b;
    examples.n_examples = m->info.n;
    examples.measure = measure_example;
    examples.read = read_example;
    examples.user = &own;
    m->starts.size = m->sequences.size = m->tokens.size = m->halves.size = m->ids.size = 0;
    if (!VEC_PUSH(&m->starts, 0)) return diag_out_of_memory(m->sink);
    TRY(open_batches(m, &examples, &b));
    const batch_source source = batcher_source(b);
    pofac_status status = run_batches(m, &source);
    batcher_destroy(b);
    return status;
}

static pofac_status make_file(logits_maker *m) {
    TRY(run_examples(m));
    m->info.n_tokens = m->starts.data[m->info.n];
    const logits_file_content content = {.starts = m->starts.data,
                                         .sequences = m->sequences.data,
                                         .tokens = m->info.is_half ? (const void *)m->halves.data : m->tokens.data,
                                         .ids = m->ids.data};
    const uint64_t token =
        m->info.token_width * (m->info.is_half ? sizeof(uint16_t) : sizeof(float)) + m->info.top_k * sizeof(int32_t);
    TRY(logits_file_write(strbuf_str(&m->path), &m->info, &content, m->sink));
    m->result->tokens += m->info.n_tokens;
    m->result->bytes += m->info.n * m->info.sequence_width * sizeof(float) + m->info.n_tokens * token;
    m->result->files_made++;
    return POFAC_OK;
}

/* What is there already must be what would be made. */
static pofac_status check_file(logits_maker *m) {
    logits_file_info found;
    logits_file_content content;
    block_file *f;
    TRY(logits_file_open(strbuf_str(&m->path), m->sink, &f, &found, &content));
    block_file_close(f);
    const char *difference = logits_file_difference(&found, &m->info);
    m->done += m->info.n;
    if (!difference && (found.first != m->info.first || found.epoch != m->info.epoch)) difference = "its place";
    if (!difference) return POFAC_OK;
    return diag_error(m->sink, POFAC_ERR_INPUT, &(diag_place){.file = strbuf_str(&m->path)},
                      "found logits that differ from those to be made in %s, wanted another directory", difference);
}

static pofac_status make_files(logits_maker *m) {
    for (uint64_t e = 0; e < m->epochs; e++)
        for (uint64_t first = 0, file = 0; first < m->info.n_examples; first += m->info.per_file, file++) {
            const uint64_t rest = m->info.n_examples - first;
            m->info.epoch = e;
            m->info.first = first;
            m->info.n = rest < m->info.per_file ? rest : m->info.per_file;
            logits_file_path(m->options->dir, e, file, &m->path);
            if (!strbuf_ok(&m->path)) return diag_out_of_memory(m->sink);
            TRY(file_exists(strbuf_str(&m->path)) ? check_file(m) : make_file(m));
        }
    return POFAC_OK;
}

/* ---- all of it ---- */

static pofac_status make_in_directory(logits_maker *m) {
    const char *dir = m->options->dir;
    int lock;
    TRY(directory_make(dir, m->sink));
    TRY(directory_lock(dir, m->sink, &lock));
    if (lock < 0)
        return diag_error(m->sink, POFAC_ERR_RUNTIME, &(diag_place){.file = dir}, "another process is making logits in it");
    pofac_status status = make_files(m);
    close(lock);
    return status;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void free_maker(logits_maker *m) {
    VEC_FREE(&m->kept);
    VEC_FREE(&m->starts);
    VEC_FREE(&m->sequences);
    VEC_FREE(&m->tokens);
    VEC_FREE(&m->halves);
    VEC_FREE(&m->ids);
    strbuf_free(&m->path);
    executor_destroy(m->executor);
    train_close(&m->parts);
}

pofac_status make_logits(const recipe *r, const make_logits_options *o, const diag_sink *sink, make_logits_result *out) {
    const train_options run = {.road = o->road, .kind = EXECUTOR_COMPILED, .model = o->model};
    const double begin = seconds();
    recipe running = *r; /* the teacher itself */
    running.teacher_logits = NULL;
    running.prunes = running.lock = false; /* masks play no part here */
    logits_maker m = {.options = o,
                      .sink = sink,
                      .parts = {.recipe = &running, .options = &run, .sink = sink, .directory = RUN_DIRECTORY_INIT},
                      .inputs = {.get = get_input, .user = &m},
                      .path = STRBUF_INIT,
                      .result = out};
    *out = (make_logits_result){0};
    pofac_status status = train_open_data(&m.parts);
    if (status == POFAC_OK) status = open_teacher(&m);
    if (status == POFAC_OK) status = plan_files(&m);
    if (status == POFAC_OK) status = make_in_directory(&m);
    free_maker(&m);
    out->seconds = seconds() - begin;
    return status;
}
