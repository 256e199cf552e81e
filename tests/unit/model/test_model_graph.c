/*
 * Graphs of every architecture, head and option: they verify, want exactly the parameters that Hugging Face's classes have, take the
 * inputs and give the outputs that model_graph.h says, and their losses are those of a plain computation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/model/model_graph.h"
#include "ir/op.h"
#include "ir/support/rng.h"
#include "ir/verify.h"
#include "runtime/interpreter.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"
#include "tests/unit/text_case.h"

enum { B = 2, S = 4, E = 6, H = 2, F = 10, V = 11, L = 2, P = 9, N_LABELS = 3 };

static model_spec small_spec(model_arch arch, model_head head) {
    model_spec s = model_spec_default(arch);
    s.head = head;
    s.vocab_size = V;
    s.hidden_size = E;
    s.num_hidden_layers = L;
    s.num_attention_heads = H;
    s.intermediate_size = F;
    s.max_position_embeddings = P;
    s.num_labels = N_LABELS;
    return s;
}

typedef struct graph_case {
    ir_context *context;
    ir_module *module;
    ir_graph *graph;
    strbuf text;
    diag_sink sink;
} graph_case;

static void begin(graph_case *c, const model_spec *spec, const model_graph_options *options) {
    *c = (graph_case){.context = context_create(), .text = STRBUF_INIT};
    c->sink = message_sink(&c->text);
    c->module = module_create(c->context, &c->sink);
    assert_non_null(c->module);
    if (model_graph_build(c->module, "g", spec, options) != POFAC_OK)
        fail_msg("%s %s: %s", model_arch_name(spec->arch), model_head_name(spec->head), strbuf_str(&c->text));
    c->graph = module_find_graph(c->module, "g");
    if (verify_module(c->module, &c->sink) != POFAC_OK) fail_msg("%s", strbuf_str(&c->text));
}

static void end(graph_case *c) {
    module_destroy(c->module);
    context_destroy(c->context);
    strbuf_free(&c->text);
}

/* Appends "NAME TYPE" of all leaves of an op, each once, in the graph's order; or of all outputs. */
static void list_leaves(const graph_case *c, ir_op op, strbuf *out) {
    for (size_t i = 0; i < c->graph->nodes.size; i++) {
        const ir_node *n = &c->graph->nodes.data[i];
        if (n->op != op) continue;
        strbuf line = STRBUF_INIT;
        strbuf_printf(&line, "%s ", node_string(n, "name"));
        type_print(c->context, graph_type(c->graph, n->first_result), NULL, NULL, &line);
        strbuf_putc(&line, '\n');
        if (!strstr(strbuf_str(out), strbuf_str(&line))) strbuf_puts(out, strbuf_str(&line));
        strbuf_free(&line);
    }
}

static void list_outputs(const graph_case *c, strbuf *out) {
    for (size_t i = 0; i < c->graph->outputs.size; i++) {
        strbuf_printf(out, "%s ", c->graph->outputs.data[i].name);
        type_print(c->context, graph_type(c->graph, c->graph->outputs.data[i].value), NULL, NULL, out);
        strbuf_putc(out, '\n');
    }
}

/* ---- parameters ---- */

#define WEIGHTED(name, n, k) name ".weight f32[" #n "," #k "]\n" name ".bias f32[" #n "]\n"
#define NORMED(name) name ".weight f32[6]\n" name ".bias f32[6]\n"
#define BERT_LAYER(i)                                                                                                              \
    WEIGHTED("bert.encoder.layer." i ".attention.self.query", 6, 6)                                                                \
    WEIGHTED("bert.encoder.layer." i ".attention.self.key", 6, 6)                                                                  \
    WEIGHTED("bert.encoder.layer." i ".attention.self.value", 6, 6)                                                                \
    WEIGHTED("bert.encoder.layer." i ".attention.output.dense", 6, 6)                                                              \
    NORMED("bert.encoder.layer." i ".attention.output.LayerNorm")                                                                  \
    WEIGHTED("bert.encoder.layer." i ".intermediate.dense", 10, 6)                                                                 \
    WEIGHTED("bert.encoder.layer." i ".output.dense", 6, 10)                                                                       \
    NORMED("bert.encoder.layer." i ".output.LayerNorm")
#define DISTILBERT_LAYER(i)                                                                                                        \
    WEIGHTED("distilbert.transformer.layer." i ".attention.q_lin", 6, 6)                                                           \
    WEIGHTED("distilbert.transformer.layer." i ".attention.k_lin", 6, 6)                                                           \
    WEIGHTED("distilbert.transformer.layer." i ".attention.v_lin", 6, 6)                                                           \
    WEIGHTED("distilbert.transformer.layer." i ".attention.out_lin", 6, 6)                                                         \
    NORMED("distilbert.transformer.layer." i ".sa_layer_norm")                                                                     \
    WEIGHTED("distilbert.transformer.layer." i ".ffn.lin1", 10, 6)                                                                 \
    WEIGHTED("distilbert.transformer.layer." i ".ffn.lin2", 6, 10)                                                                 \
    NORMED("distilbert.transformer.layer." i ".output_layer_norm")
#define BERT_EMBEDDINGS                                                                                                            \
    "bert.embeddings.word_embeddings.weight f32[11,6]\n"                                                                           \
    "bert.embeddings.position_embeddings.weight f32[9,6]\n"                                                                        \
    "bert.embeddings.token_type_embeddings.weight f32[2,6]\n" NORMED("bert.embeddings.LayerNorm")
#define DISTILBERT_EMBEDDINGS                                                                                                      \
    "distilbert.embeddings.word_embeddings.weight f32[11,6]\n"                                                                     \
    "distilbert.embeddings.position_embeddings.weight f32[9,6]\n" NORMED("distilbert.embeddings.LayerNorm")
#define BERT BERT_EMBEDDINGS BERT_LAYER("0") BERT_LAYER("1")
#define DISTILBERT DISTILBERT_EMBEDDINGS DISTILBERT_LAYER("0") DISTILBERT_LAYER("1")
#define POOLER WEIGHTED("bert.pooler.dense", 6, 6)
#define BERT_LM                                                                                                                    \
    WEIGHTED("cls.predictions.transform.dense", 6, 6)                                                                              \
    NORMED("cls.predictions.transform.LayerNorm")                                                                                  \
    "cls.predictions.bias f32[11]\n"
#define DISTILBERT_LM WEIGHTED("vocab_transform", 6, 6) NORMED("vocab_layer_norm") "vocab_projector.bias f32[11]\n"

typedef struct head_case {
    model_arch arch;
    model_head head;
    const char *parameters, *outputs, *labels, *losses;
} head_case;

static const head_case cases[] = {
    {MODEL_BERT, HEAD_MASKED_LM, BERT BERT_LM, "prediction_logits f32[B,S,11]\n", "labels i64[B,S]\n", "loss.labels f32[]\n"},
    {MODEL_BERT, HEAD_PRETRAINING, BERT BERT_LM POOLER WEIGHTED("cls.seq_relationship", 2, 6),
     "prediction_logits f32[B,S,11]\nseq_relationship_logits f32[B,2]\n", "labels i64[B,S]\nnext_sentence_label i64[B]\n",
     "loss.labels f32[]\nloss.next_sentence_label f32[]\n"},
    {MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION, BERT POOLER WEIGHTED("classifier", 3, 6), "logits f32[B,3]\n", "labels i64[B]\n",
     "loss.labels f32[]\n"},
    {MODEL_BERT, HEAD_TOKEN_CLASSIFICATION, BERT WEIGHTED("classifier", 3, 6), "logits f32[B,S,3]\n", "labels i64[B,S]\n",
     "loss.labels f32[]\n"},
    {MODEL_BERT, HEAD_QUESTION_ANSWERING, BERT WEIGHTED("qa_outputs", 2, 6), "start_logits f32[B,S]\nend_logits f32[B,S]\n",
     "start_positions i64[B]\nend_positions i64[B]\n", "loss.start_positions f32[]\nloss.end_positions f32[]\n"},
    {MODEL_BERT, HEAD_NONE, BERT POOLER, "last_hidden_state f32[B,S,6]\npooler_output f32[B,6]\n", "", ""},
    {MODEL_DISTILBERT, HEAD_MASKED_LM, DISTILBERT DISTILBERT_LM, "prediction_logits f32[B,S,11]\n", "labels i64[B,S]\n",
     "loss.labels f32[]\n"},
    {MODEL_DISTILBERT, HEAD_PRETRAINING, DISTILBERT DISTILBERT_LM, "prediction_logits f32[B,S,11]\n", "labels i64[B,S]\n",
     "loss.labels f32[]\n"},
    {MODEL_DISTILBERT, HEAD_SEQUENCE_CLASSIFICATION, DISTILBERT WEIGHTED("pre_classifier", 6, 6) WEIGHTED("classifier", 3, 6),
     "logits f32[B,3]\n", "labels i64[B]\n", "loss.labels f32[]\n"},
    {MODEL_DISTILBERT, HEAD_TOKEN_CLASSIFICATION, DISTILBERT WEIGHTED("classifier", 3, 6), "logits f32[B,S,3]\n",
     "labels i64[B,S]\n", "loss.labels f32[]\n"},
    {MODEL_DISTILBERT, HEAD_QUESTION_ANSWERING, DISTILBERT WEIGHTED("qa_outputs", 2, 6),
     "start_logits f32[B,S]\nend_logits f32[B,S]\n", "start_positions i64[B]\nend_positions i64[B]\n",
     "loss.start_positions f32[]\nloss.end_positions f32[]\n"},
    {MODEL_DISTILBERT, HEAD_NONE, DISTILBERT, "last_hidden_state f32[B,S,6]\n", "", ""},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Ends the test unless both have the same lines, in any order. */
static void assert_same_lines(const char *what, const char *found, const char *wanted) {
    char *lines[2][128], *texts[2] = {strdup(found), strdup(wanted)};
    size_t n[2] = {0};
    for (int side = 0; side < 2; side++) {
        assert_non_null(texts[side]);
        for (char *line = strtok(texts[side], "\n"); line && n[side] < 128; line = strtok(NULL, "\n"))
            lines[side][n[side]++] = line;
        qsort(lines[side], n[side], sizeof lines[side][0], compare_lines);
    }
    for (size_t i = 0; i < n[0] || i < n[1]; i++) {
        const char *x = i < n[0] ? lines[0][i] : "nothing", *y = i < n[1] ? lines[1][i] : "nothing";
        if (strcmp(x, y) != 0) fail_msg("%s: found %s, wanted %s", what, x, y);
    }
    free(texts[0]);
    free(texts[1]);
}

static const char *case_name(const head_case *h, char text[96]) {
    snprintf(text, 96, "%s %s", model_arch_name(h->arch), model_head_name(h->head));
    return text;
}

/* Every row of the table of heads, for both architectures, is a case. */
static void all_heads_are_tested(void **unused) {
    (void)unused;
    size_t n;
    const model_head_row *heads = model_heads(&n);
    assert_int_equal(2 * n, N_CASES);
    for (size_t i = 0; i < n; i++)
        for (int arch = MODEL_BERT; arch <= MODEL_DISTILBERT; arch++) {
            size_t k = 0;
            while (k < N_CASES && (cases[k].head != heads[i].head || cases[k].arch != (model_arch)arch)) k++;
            if (k == N_CASES) fail_msg("head %s has no case", heads[i].name);
        }
}

static void parameters_and_outputs(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES; i++) {
        const head_case *h = &cases[i];
        char name[96];
        graph_case c;
        model_spec spec = small_spec(h->arch, h->head);
        strbuf found = STRBUF_INIT;
        begin(&c, &spec, &(model_graph_options){0});
        list_leaves(&c, OP_state, &found);
        assert_same_lines(case_name(h, name), strbuf_str(&found), h->parameters);
        strbuf_clear(&found);
        list_outputs(&c, &found);
        if (strcmp(strbuf_str(&found), h->outputs) != 0) fail_msg("%s: found outputs %s", name, strbuf_str(&found));
        strbuf_clear(&found);
        list_leaves(&c, OP_input, &found);
        assert_same_lines(name, strbuf_str(&found),
                          h->arch == MODEL_BERT ? "attention_mask i64[B,S]\ninput_ids i64[B,S]\ntoken_type_ids i64[B,S]\n"
                                                : "attention_mask i64[B,S]\ninput_ids i64[B,S]\n");
        strbuf_free(&found);
        end(&c);
    }
}

/* All options at once: each changes what it says and nothing else. */
static void every_option(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES; i++)
        for (unsigned bits = 0; bits < 64; bits++) {
            const head_case *h = &cases[i];
            const model_graph_options o = {.from_embedding_output = bits & 1,
                                           .with_loss = bits & 2,
                                           .last_hidden_state = bits & 4,
                                           .hidden_states = bits & 8,
                                           .mask_padded_logits = bits & 16,
                                           .without_pooler = bits & 32};
            char name[96];
            graph_case c;
            model_spec spec = small_spec(h->arch, h->head);
            strbuf found = STRBUF_INIT, wanted = STRBUF_INIT;
            begin(&c, &spec, &o);
            list_outputs(&c, &found);
            if (o.hidden_states)
                strbuf_puts(&wanted, "hidden_states.0 f32[B,S,6]\nhidden_states.1 f32[B,S,6]\nhidden_states.2 f32[B,S,6]\n");
            if (o.last_hidden_state && h->head != HEAD_NONE) strbuf_puts(&wanted, "last_hidden_state f32[B,S,6]\n");
            strbuf_puts(&wanted, h->head == HEAD_NONE && o.without_pooler ? "last_hidden_state f32[B,S,6]\n" : h->outputs);
            if (o.with_loss) strbuf_puts(&wanted, h->losses);
            assert_same_lines(case_name(h, name), strbuf_str(&found), strbuf_str(&wanted));
            strbuf_clear(&found);
            strbuf_clear(&wanted);
            list_leaves(&c, OP_input, &found);
            strbuf_puts(&wanted, "attention_mask i64[B,S]\n");
            if (o.from_embedding_output) strbuf_puts(&wanted, "embedding_output f32[B,S,6]\n");
            else
                strbuf_puts(&wanted,
                            h->arch == MODEL_BERT ? "input_ids i64[B,S]\ntoken_type_ids i64[B,S]\n" : "input_ids i64[B,S]\n");
            if (o.with_loss) strbuf_puts(&wanted, h->labels);
            assert_same_lines(name, strbuf_str(&found), strbuf_str(&wanted));
            strbuf_free(&found);
            strbuf_free(&wanted);
            end(&c);
        }
}

/* Without embeddings no table is wanted, but for the decoder that is tied to one. */
static void graphs_from_embeddings(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES; i++) {
        const head_case *h = &cases[i];
        char name[96];
        graph_case c;
        model_spec spec = small_spec(h->arch, h->head);
        bool decodes = h->head == HEAD_MASKED_LM || h->head == HEAD_PRETRAINING;
        strbuf found = STRBUF_INIT, wanted = STRBUF_INIT;
        begin(&c, &spec, &(model_graph_options){.from_embedding_output = true});
        list_leaves(&c, OP_state, &found);
        const char *embeddings = h->arch == MODEL_BERT ? BERT_EMBEDDINGS : DISTILBERT_EMBEDDINGS,
                   *words = strchr(embeddings, '\n') + 1;
        if (decodes) strbuf_append(&wanted, embeddings, (size_t)(words - embeddings));
        strbuf_puts(&wanted, h->parameters + strlen(embeddings));
        assert_same_lines(case_name(h, name), strbuf_str(&found), strbuf_str(&wanted));
        strbuf_free(&found);
        strbuf_free(&wanted);
        end(&c);
    }
}

static void untied_decoders_and_missing_types(void **unused) {
    (void)unused;
    strbuf found = STRBUF_INIT;
    graph_case c;
    model_spec spec = small_spec(MODEL_BERT, HEAD_MASKED_LM);
    spec.tie_word_embeddings = false;
    spec.type_vocab_size = 0;
    begin(&c, &spec, &(model_graph_options){0});
    list_leaves(&c, OP_state, &found);
    assert_non_null(strstr(strbuf_str(&found), "cls.predictions.decoder.weight f32[11,6]\n"));
    assert_null(strstr(strbuf_str(&found), "token_type"));
    strbuf_clear(&found);
    list_leaves(&c, OP_input, &found);
    assert_null(strstr(strbuf_str(&found), "token_type_ids"));
    end(&c);
    strbuf_clear(&found);
    spec = small_spec(MODEL_DISTILBERT, HEAD_MASKED_LM);
    spec.tie_word_embeddings = false;
    begin(&c, &spec, &(model_graph_options){0});
    list_leaves(&c, OP_state, &found);
    assert_non_null(strstr(strbuf_str(&found), "vocab_projector.weight f32[11,6]\n"));
    end(&c);
    strbuf_free(&found);
}

/* The models of the fixtures have these parameters and, but for the decoder's second copies, no others. */
static void parameters_of_saved_models(void **unused) {
    (void)unused;
    static const char *const names[] = {"bert-pretraining",
                                        "bert-question-answering",
                                        "bert-sequence-classification",
                                        "bert-token-classification",
                                        "distilbert-pretraining",
                                        "distilbert-question-answering",
                                        "distilbert-sequence-classification",
                                        "distilbert-token-classification"};
    const char *shared = getenv("POFAC_SHARED");
    if (!shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        arena memory = ARENA_INIT;
        checkpoint *file;
        model_spec spec;
        graph_case c;
        strbuf found = STRBUF_INIT, wanted = STRBUF_INIT;
        snprintf(path, sizeof path, "%s/fixtures/forward/%s/config.json", shared, names[i]);
        assert_int_equal(config_json_read(path, &memory, NULL, &spec), POFAC_OK);
        *strrchr(path, '/') = 0;
        assert_int_equal(checkpoint_open(path, NULL, &file), POFAC_OK);
        for (size_t k = 0; k < checkpoint_size(file); k++) {
            const checkpoint_tensor *t = checkpoint_at(file, k);
            bool again = strncmp(t->name, "cls.predictions.decoder.", 24) == 0 || strcmp(t->name, "vocab_projector.weight") == 0;
            if (again || strstr(t->name, "position_ids")) continue;
            strbuf_printf(&wanted, "%s f32", t->name);
            checkpoint_print_shape(t->rank, t->dims, &wanted);
            strbuf_putc(&wanted, '\n');
        }
        begin(&c, &spec, &(model_graph_options){0});
        list_leaves(&c, OP_state, &found);
        assert_same_lines(names[i], strbuf_str(&found), strbuf_str(&wanted));
        strbuf_free(&found);
        strbuf_free(&wanted);
        end(&c);
        checkpoint_close(file);
        arena_free(&memory);
    }
}

/* ---- shape of the graph ---- */

static void symbols_are_bounded(void **unused) {
    (void)unused;
    graph_case c;
    model_spec spec = small_spec(MODEL_BERT, HEAD_NONE);
    begin(&c, &spec, &(model_graph_options){0});
    assert_int_equal(graph_symbol_bound(c.graph, symbol_named(c.context, "S")), P);
    assert_int_equal(graph_symbol_bound(c.graph, symbol_named(c.context, "B")), 65536);
    end(&c);
    begin(&c, &spec, &(model_graph_options){.max_sequences = 7});
    assert_int_equal(graph_symbol_bound(c.graph, symbol_named(c.context, "B")), 7);
    end(&c);
}

/* Scopes are Hugging Face's module names, without the model's own prefix; all layers have the same ones. */
static void scopes(void **unused) {
    (void)unused;
    static const struct {
        model_arch arch;
        const char *scope;
    } wanted[] = {{MODEL_BERT, "embeddings.word_embeddings"},
                  {MODEL_BERT, "embeddings.LayerNorm"},
                  {MODEL_BERT, "encoder.layer.0.attention.self"},
                  {MODEL_BERT, "encoder.layer.1.attention.self.query"},
                  {MODEL_BERT, "encoder.layer.1.attention.output.LayerNorm"},
                  {MODEL_BERT, "encoder.layer.0.intermediate.dense"},
                  {MODEL_BERT, "pooler.dense"},
                  {MODEL_BERT, "cls.seq_relationship"},
                  {MODEL_BERT, "loss"},
                  {MODEL_DISTILBERT, "transformer.layer.1.ffn.lin2"},
                  {MODEL_DISTILBERT, "vocab_projector"}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        graph_case c;
        bool found = false;
        model_spec spec = small_spec(wanted[i].arch, HEAD_PRETRAINING);
        begin(&c, &spec, &(model_graph_options){.with_loss = true});
        for (size_t k = 0; k < c.graph->nodes.size; k++) found |= strcmp(c.graph->nodes.data[k].scope, wanted[i].scope) == 0;
        if (!found) fail_msg("no node has the scope %s", wanted[i].scope);
        end(&c);
    }
}

static void activations_and_attributes(void **unused) {
    (void)unused;
    static const struct {
        model_activation act;
        ir_op op;
        const char *form;
    } acts[] = {{ACTIVATION_GELU, OP_gelu, "erf"}, {ACTIVATION_GELU_NEW, OP_gelu, "tanh"}, {ACTIVATION_RELU, OP_relu, NULL}};
    for (size_t i = 0; i < 3; i++) {
        graph_case c;
        size_t n = 0;
        model_spec spec = small_spec(MODEL_BERT, HEAD_MASKED_LM);
        spec.hidden_act = acts[i].act;
        spec.layer_norm_eps = 0.125;
        begin(&c, &spec, &(model_graph_options){0});
        for (size_t k = 0; k < c.graph->nodes.size; k++) {
            const ir_node *node = &c.graph->nodes.data[k];
            if (node->op == OP_layer_norm) assert_true(node_float(node, "eps") == 0.125);
            if (node->op == OP_attention) assert_int_equal(node_int(node, "heads"), H);
            if (node->op == OP_attention) assert_true(node_float(node, "scale") == 1 / sqrt(3));
            if (node->op != acts[i].op) continue;
            n++;
            if (acts[i].form) assert_string_equal(node_string(node, "form"), acts[i].form);
        }
        assert_int_equal(n, L + 1); /* one a layer, one in the head */
        end(&c);
    }
}

/* ---- losses ---- */

static void add_random(named_tensors *to, const char *name, const ir_type *type) {
    int64_t dims[IR_MAX_RANK] = {0};
    for (uint32_t d = 0; d < type->rank; d++) dim_is_const(type->dims[d], &dims[d]);
    ir_tensor *t = named_tensors_add(to, name, type->dtype, type->rank, dims);
    rng_key key = rng_key_make(1, name);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, rng_normal(key, (uint64_t)i));
}

static void add_inputs(named_tensors *to, const ir_graph *g) {
    static const double labels[B * S] = {-100, 2, -100, 0, 1, -100, 1, -100}, mask[B * S] = {1, 1, 1, 0, 1, 1, 1, 1};
    const int64_t dims[2] = {B, S};
    for (size_t i = 0; i < g->nodes.size; i++) {
        const ir_node *n = &g->nodes.data[i];
        const ir_type *type = graph_type(g, n->first_result);
        if (n->op != OP_input || named_tensors_find(to, node_string(n, "name"))) continue;
        const char *name = node_string(n, "name");
        ir_tensor *t = named_tensors_add(to, name, type->dtype, type->rank, dims);
        for (int64_t k = 0; k < tensor_elements(t); k++) {
            if (strcmp(name, "attention_mask") == 0) tensor_set(t, k, mask[k]);
            else if (strcmp(name, "labels") == 0) tensor_set(t, k, type->rank == 2 ? labels[k] : (double)(k + 1));
            else if (strcmp(name, "end_positions") == 0) tensor_set(t, k, k == 0 ? 2 : S); /* the second does not count */
            else tensor_set(t, k, (double)(k % 2));
        }
    }
}

/* -log softmax(x)[label] of n logits, of which keep[i] = 0 is left out. */
static double cross_entropy(const ir_tensor *x, int64_t first, int64_t n, int64_t label, const ir_tensor *keep) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (!keep || tensor_get_int(keep, first + i)) sum += exp(tensor_get(x, first + i));
    return log(sum) - tensor_get(x, first + label);
}

/* The mean over the rows that count, from the head's own logits. */
static double plain_loss(const model_loss *loss, const interp_results *r, const named_tensors *inputs, bool masked) {
    const ir_tensor *labels = named_tensors_find(inputs, loss->labels), *mask = named_tensors_find(inputs, "attention_mask");
    bool next = strcmp(loss->labels, "next_sentence_label") == 0, starts = strcmp(loss->labels, "start_positions") == 0;
    const ir_tensor *logits = loss->is_position ? interp_find(r, starts ? "start_logits" : "end_logits")
                              : next            ? interp_find(r, "seq_relationship_logits")
                                                : interp_find(r, "logits");
    if (!logits) logits = interp_find(r, "prediction_logits");
    int64_t n = logits->dims[logits->rank - 1], rows = tensor_elements(labels), counted = 0;
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) {
        int64_t label = tensor_get_int(labels, i);
        if (loss->is_position ? label >= n : label == -100) continue;
        sum += cross_entropy(logits, i * n, n, label, loss->is_position && masked ? mask : NULL);
        counted++;
    }
    return sum / (double)counted;
}

static void losses_equal_a_plain_computation(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES; i++)
        for (int masked = 0; masked < 2; masked++) {
            const head_case *h = &cases[i];
            char name[96];
            graph_case c;
            model_spec spec = small_spec(h->arch, h->head);
            named_tensors inputs = {.what = "input"}, state = {.what = "state"};
            interp_results r;
            size_t n;
            const model_loss *losses = model_graph_losses(&spec, &n);
            begin(&c, &spec, &(model_graph_options){.with_loss = true, .mask_padded_logits = masked});
            for (size_t k = 0; k < c.graph->nodes.size; k++) {
                const ir_node *node = &c.graph->nodes.data[k];
                if (node->op == OP_state && !named_tensors_find(&state, node_string(node, "name")))
                    add_random(&state, node_string(node, "name"), graph_type(c.graph, node->first_result));
            }
            add_inputs(&inputs, c.graph);
            tensor_source in = named_tensors_source(&inputs), st = named_tensors_source(&state);
            if (interpret_graph(c.graph, &in, &st, NULL, &c.sink, &r) != POFAC_OK) fail_msg("%s", strbuf_str(&c.text));
            for (size_t k = 0; k < n; k++) {
                double found = tensor_get(interp_find(&r, losses[k].output), 0),
                       wanted = plain_loss(&losses[k], &r, &inputs, masked);
                if (fabs(found - wanted) > 1e-5)
                    fail_msg("%s, %s: found %.7g, wanted %.7g", case_name(h, name), losses[k].output, found, wanted);
                assert_int_equal(losses[k].per_token, strstr(h->labels, "[B,S]") && strcmp(losses[k].labels, "labels") == 0);
            }
            interp_results_free(&r);
            named_tensors_free(&inputs);
            named_tensors_free(&state);
            end(&c);
        }
}

static bool makes(const ir_graph *g, ir_op op) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == op) return true;
    return false;
}

/* In training, heads that predict tokens compute the rows with labels alone; the loss is the sum of theirs. */
static void training_reads_labelled_rows(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES; i++) {
        const head_case *h = &cases[i];
        double loss[2] = {0, 0};
        if (!strstr(h->labels, "labels i64[B,S]")) continue;
        for (int training = 0; training < 2; training++) {
            graph_case c;
            model_spec spec = small_spec(h->arch, h->head);
            named_tensors inputs = {.what = "input"}, state = {.what = "state"};
            interp_results r;
            begin(&c, &spec, &(model_graph_options){.with_loss = true, .training = training});
            for (size_t k = 0; k < c.graph->nodes.size; k++) {
                const ir_node *node = &c.graph->nodes.data[k];
                if (node->op == OP_state && !named_tensors_find(&state, node_string(node, "name")))
                    add_random(&state, node_string(node, "name"), graph_type(c.graph, node->first_result));
            }
            if (training) tensor_set(named_tensors_add(&inputs, "scale.labels", IR_F32, 0, NULL), 0, 0.25); /* 4 of 8 have one */
            add_inputs(&inputs, c.graph);
            assert_int_equal(makes(c.graph, OP_labelled_rows), training);
            tensor_source in = named_tensors_source(&inputs), st = named_tensors_source(&state);
            if (interpret_graph(c.graph, &in, &st, NULL, &c.sink, &r) != POFAC_OK) fail_msg("%s", strbuf_str(&c.text));
            loss[training] = tensor_get(interp_find(&r, "loss.labels"), 0);
            assert_true((interp_find(&r, "logits") || interp_find(&r, "prediction_logits")) == !training);
            interp_results_free(&r);
            named_tensors_free(&inputs);
            named_tensors_free(&state);
            end(&c);
        }
        if (fabs(loss[0] - loss[1]) > 1e-6) fail_msg("case %zu: %.9g of labelled rows, %.9g of all", i, loss[1], loss[0]);
    }
}

static void regressions(void **unused) {
    (void)unused;
    for (int64_t labels = 1; labels <= 3; labels += 2) {
        graph_case c;
        strbuf found = STRBUF_INIT;
        model_spec spec = small_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION);
        spec.num_labels = labels;
        spec.regression = true;
        begin(&c, &spec, &(model_graph_options){.with_loss = true});
        list_leaves(&c, OP_input, &found);
        assert_non_null(strstr(strbuf_str(&found), labels == 1 ? "labels f32[B]\n" : "labels f32[B,3]\n"));
        strbuf_clear(&found);
        list_outputs(&c, &found);
        assert_string_equal(strbuf_str(&found),
                            labels == 1 ? "logits f32[B,1]\nloss.labels f32[]\n" : "logits f32[B,3]\nloss.labels f32[]\n");
        bool squared = false;
        for (size_t k = 0; k < c.graph->nodes.size; k++) squared |= c.graph->nodes.data[k].op == OP_mean_squared_error;
        assert_true(squared);
        strbuf_free(&found);
        end(&c);
    }
}

static void loss_terms(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES; i++) {
        model_spec spec = small_spec(cases[i].arch, cases[i].head);
        strbuf outputs = STRBUF_INIT;
        size_t n;
        const model_loss *losses = model_graph_losses(&spec, &n);
        for (size_t k = 0; k < n; k++) {
            strbuf_printf(&outputs, "%s f32[]\n", losses[k].output);
            assert_true(losses[k].factor == (cases[i].head == HEAD_QUESTION_ANSWERING ? 0.5 : 1));
            assert_int_equal(losses[k].is_position, cases[i].head == HEAD_QUESTION_ANSWERING);
            assert_non_null(strstr(cases[i].labels, losses[k].labels));
        }
        assert_string_equal(strbuf_str(&outputs), cases[i].losses);
        strbuf_free(&outputs);
    }
    model_spec spec = small_spec(MODEL_BERT, HEAD_AUTO);
    size_t n = 1;
    assert_null(model_graph_losses(&spec, &n));
    assert_int_equal(n, 0);
}

/* ---- failures ---- */

static void a_name_that_is_taken(void **unused) {
    (void)unused;
    graph_case c;
    model_spec spec = small_spec(MODEL_BERT, HEAD_NONE);
    begin(&c, &spec, &(model_graph_options){0});
    assert_int_equal(model_graph_build(c.module, "g", &spec, &(model_graph_options){0}), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.text), "graph @g is there already, wanted a new name");
    end(&c);
}

static void failing_allocations(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_CASES; i += 5) {
        model_spec spec = small_spec(cases[i].arch, cases[i].head);
        spec.num_hidden_layers = 1;
        for (size_t n = 1;; n++) {
            pofac_status status = POFAC_ERR_RUNTIME;
            fail_alloc_after(n);
            ir_context *c = context_create();
            ir_module *m = c ? module_create(c, NULL) : NULL;
            if (m) status = model_graph_build(m, "g", &spec, &(model_graph_options){.with_loss = true, .hidden_states = true});
            bool failed = fail_alloc_stop();
            if (status != (failed ? POFAC_ERR_RUNTIME : POFAC_OK))
                fail_msg("case %zu, allocation %zu fails: status %d", i, n, status);
            module_destroy(m);
            context_destroy(c);
            if (!failed) break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_heads_are_tested),
        cmocka_unit_test(parameters_and_outputs),
        cmocka_unit_test(every_option),
        cmocka_unit_test(graphs_from_embeddings),
        cmocka_unit_test(untied_decoders_and_missing_types),
        cmocka_unit_test(parameters_of_saved_models),
        cmocka_unit_test(symbols_are_bounded),
        cmocka_unit_test(scopes),
        cmocka_unit_test(activations_and_attributes),
        cmocka_unit_test(losses_equal_a_plain_computation),
        cmocka_unit_test(regressions),
        cmocka_unit_test(training_reads_labelled_rows),
        cmocka_unit_test(loss_terms),
        cmocka_unit_test(a_name_that_is_taken),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
