/* Directories of small models, see tiny_model.h. What parameters there are is read off the model's graph. */
#include "tests/unit/driver/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/model/model_graph.h"
#include "ir/op.h"
#include "ir/support/rng.h"
#include "tests/unit/named_tensors.h"

const char tiny_vocabulary[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nu\nv\nw\nx\ny\nz\n.\n?\n";

model_spec tiny_spec(model_arch arch, model_head head) {
    model_spec s = model_spec_default(arch);
    s.head = head;
    s.vocab_size = TINY_VOCAB_SIZE;
    s.hidden_size = 32;
    s.num_hidden_layers = 1;
    s.num_attention_heads = 2;
    s.intermediate_size = 48;
    s.max_position_embeddings = 24;
    s.num_labels = 2;
    return s;
}

static bool is_among(const char *name, const char *const *names) {
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

static double default_value(const char *name, int64_t i) {
    double random = rng_uniform(rng_key_make(11, name), (uint64_t)i) - 0.5;
    return (strstr(name, "LayerNorm.weight") || strstr(name, "layer_norm.weight")) ? 1 + 0.25 * random : 0.25 * random;
}

static void add_parameter(const tiny_model *m, named_tensors *to, const char *name, const ir_type *type) {
    int64_t dims[2] = {1, 1};
    for (uint32_t d = 0; d < type->rank; d++) assert_true(dim_is_const(type->dims[d], &dims[d]));
    ir_tensor *t = named_tensors_add(to, name, m->dtype, type->rank, dims);
    int64_t columns = type->rank == 2 ? dims[1] : 1;
    for (int64_t i = 0; i < tensor_elements(t); i++)
        tensor_set(t, i, m->value ? m->value(name, i / columns, i % columns) : default_value(name, i));
}

static void add_parameters(const tiny_model *m, named_tensors *to) {
    ir_context *c = context_create();
    ir_module *module = module_create(c, NULL);
    assert_int_equal(model_graph_build(module, "g", &m->spec, &(model_graph_options){0}), POFAC_OK);
    const ir_graph *g = module_find_graph(module, "g");
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        const char *name = n->op == OP_state ? node_string(n, "name") : NULL;
        if (name && !is_among(name, m->omitted) && !named_tensors_find(to, name))
            add_parameter(m, to, name, graph_type(g, n->first_result));
    }
    for (const char *const *name = m->extra; name && *name; name++) named_tensors_add(to, *name, IR_F32, 1, (int64_t[]){2});
    module_destroy(module);
    context_destroy(c);
}

static void write_weights(const tiny_model *m, const char *directory) {
    char path[512];
    safetensors_item items[96] = {{0}};
    named_tensors tensors = {.what = "tensor"};
    add_parameters(m, &tensors);
    size_t n = tensors.entries.size;
    assert_true(n <= sizeof items / sizeof *items);
    for (size_t i = 0; i < n; i++) {
        const ir_tensor *t = &tensors.entries.data[i].tensor;
        items[i] = (safetensors_item){.name = tensors.entries.data[i].name, .dtype = t->dtype, .rank = t->rank, .data = t->data};
        memcpy(items[i].dims, t->dims, sizeof t->dims);
    }
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    assert_int_equal(safetensors_write(path, items, n, NULL, 0, NULL), POFAC_OK);
    named_tensors_free(&tensors);
}

static void write_text(const char *directory, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

void tiny_model_write(const tiny_model *m, const char *directory) {
    model_spec spec = m->spec;
    strbuf config = STRBUF_INIT;
    mkdir(directory, 0700);
    if (m->without_architectures) spec.head = HEAD_AUTO;
    config_json_write(&spec, &config);
    write_text(directory, "config.json", strbuf_str(&config));
    strbuf_free(&config);
    if (!m->without_vocabulary) write_text(directory, "vocab.txt", tiny_vocabulary);
    if (!m->without_weights) write_weights(m, directory);
}
