/*
 * Writes the weights of a model that has none: drawn from the seed, as `pofac bench` draws them, in a safetensors file of any float dtype.
 *
 *   make_checkpoint MODEL OUT [DTYPE [ZEROS [STRUCTURE]]]
 *
 * ZEROS percent of the elements of each matrix of the encoder, drawn as well, are 0: one by one, or RxC: in blocks of R rows and C columns.
 * N:M: all but N of every M columns are 0, whatever ZEROS says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/road.h"
#include "ir/op.h"
#include "ir/support/rng.h"

static void print_diag(void *user, const diag *d) {
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    fputs(strbuf_str(&text), user);
    strbuf_free(&text);
}

/* A parameter of the model as an item that is written. */
typedef struct drawn {
    const tensor_source *state;
    const char *name;
    const diag_sink *sink;
    ir_tensor tensor;
    ir_dtype dtype;
    uint64_t zeros; /* percent */
    unsigned R, C, keep, of;
} drawn;

static bool is_zero(const drawn *d, rng_key key, int64_t i) {
    if (d->zeros == 0) return false;
    const int64_t K = d->tensor.dims[1], row = i / K, column = i % K;
    if (d->of == 0) return rng_below(key, (uint64_t)(row / d->R * K + column / d->C), 100) < d->zeros;
    const int64_t first = (int64_t)rng_below(key, (uint64_t)(row * K + column / d->of), d->of);
    return (column % d->of + d->of - first) % d->of >= d->keep; /* those kept follow each other, around the end */
}

static pofac_status fill(void *user, int64_t first, int64_t count, void *out) {
    drawn *d = user;
    ir_tensor to = tensor_view(d->dtype, 1, &count, out);
    double run[256];
    const rng_key key = rng_key_make(0, d->name);
    if (first == 0) TRY(d->state->get(d->state->user, d->name, d->sink, &d->tensor));
    for (int64_t i = 0; i < count; i += 256) {
        int64_t n = count - i < 256 ? count - i : 256;
        tensor_get_run(&d->tensor, first + i, n, run);
        for (int64_t k = 0; k < n; k++)
            if (is_zero(d, key, first + i + k)) run[k] = 0;
        tensor_set_run(&to, i, n, run);
    }
    if (first + count == tensor_elements(&d->tensor)) tensor_source_release(d->state, d->name);
    return POFAC_OK;
}

/* like: dtype, zeros and structure of the encoder's matrices. */
static pofac_status write_parameters(loaded_model *model, const ir_graph *g, const drawn *like, const char *path,
                                     const diag_sink *sink) {
    const size_t most = g->nodes.size + 1;
    safetensors_item *items = calloc(most, sizeof *items);
    drawn *parameters = calloc(most, sizeof *parameters);
    size_t n = 0;
    pofac_status status = items && parameters ? POFAC_OK : diag_out_of_memory(sink);
    for (size_t i = 0; status == POFAC_OK && i < g->nodes.size; i++) {
        const ir_node *node = &g->nodes.data[i];
        if (node->op != OP_state) continue;
        const ir_type *type = graph_type(g, node->first_result);
        parameters[n] = *like;
        parameters[n].state = loaded_model_state(model);
        parameters[n].name = node_string(node, "name");
        parameters[n].sink = sink;
        if (type->rank != 2 || !strstr(parameters[n].name, "encoder.")) parameters[n].zeros = 0;
        items[n] = (safetensors_item){
            .name = parameters[n].name, .dtype = like->dtype, .rank = type->rank, .fill = fill, .user = &parameters[n]};
        for (uint32_t d = 0; d < type->rank; d++) items[n].dims[d] = dim_eval(type->dims[d], (ir_binding){NULL, 0});
        bool known = false;
        for (size_t k = 0; k < n; k++) known = known || strcmp(items[k].name, items[n].name) == 0;
        n += !known;
    }
    if (status == POFAC_OK) status = safetensors_write(path, items, n, NULL, 0, sink);
    free(items);
    free(parameters);
    return status;
}

static bool read_structure(const char *text, drawn *d) {
    if (sscanf(text, "%u:%u", &d->keep, &d->of) == 2) return d->keep > 0 && d->keep <= d->of;
    d->keep = d->of = 0;
    return sscanf(text, "%ux%u", &d->R, &d->C) == 2 && d->R > 0 && d->C > 0;
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, stderr};
    drawn like = {.dtype = IR_F32, .zeros = argc >= 5 ? strtoull(argv[4], NULL, 10) : 0, .R = 1, .C = 1};
    loaded_model *model = NULL;
    ir_module *module = NULL;
    if (argc < 3 || argc > 6 ||
        (argc >= 4 && (!dtype_parse(argv[3], strlen(argv[3]), &like.dtype) || dtype_class(like.dtype) != DTYPE_FLOAT)) ||
        (argc == 6 && !read_structure(argv[5], &like))) {
        fprintf(stderr, "usage: make_checkpoint MODEL OUT [f64|f32|f16|bf16 [ZEROS [RxC|N:M]]]\n");
        return 2;
    }
    pofac_status status = loaded_model_open(argv[1], &(loaded_model_options){.seed = 42}, &sink, &model);
    if (status == POFAC_OK) status = road_build(model, &(road_options){0}, &sink, &module);
    if (status == POFAC_OK) status = write_parameters(model, module_find_graph(module, ROAD_GRAPH), &like, argv[2], &sink);
    module_destroy(module);
    loaded_model_close(model);
    return (int)status;
}
