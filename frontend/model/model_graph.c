/*
 * Building the forward graph; see model_graph.h. Every function below adds one of Hugging Face's modules, in the order in which a
 * token passes through them. All activations are matrices [R,E] with a row per token, R = B*S; attention is told by offsets which
 * rows belong together and by `keep` which of them are padding.
 */
#include "frontend/model/model_graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"

/* ---- losses ---- */

static const model_loss pretraining_losses[] = {{"labels", "loss.labels", 1.0, true, false},
                                                {"next_sentence_label", "loss.next_sentence_label", 1.0, false, false}};
static const model_loss token_losses[] = {{"labels", "loss.labels", 1.0, true, false}};
static const model_loss sequence_losses[] = {{"labels", "loss.labels", 1.0, false, false}};
static const model_loss position_losses[] = {{"start_positions", "loss.start_positions", 0.5, false, true},
                                             {"end_positions", "loss.end_positions", 0.5, false, true}};

const model_loss *model_graph_losses(const model_spec *spec, size_t *n) {
    *n = 1;
    switch (spec->head) {
    case HEAD_PRETRAINING:
        if (spec->arch == MODEL_BERT) {
            *n = 2;
            return pretraining_losses;
        }
        return token_losses;
    case HEAD_MASKED_LM:
    case HEAD_TOKEN_CLASSIFICATION: return token_losses;
    case HEAD_SEQUENCE_CLASSIFICATION: return sequence_losses;
    case HEAD_QUESTION_ANSWERING: *n = 2; return position_losses;
    case HEAD_AUTO:
    case HEAD_NONE: break;
    }
    *n = 0;
    return NULL;
}

/* ---- logits ---- */

static const model_logits pretraining_logits[] = {{"prediction_logits", true}, {"seq_relationship_logits", false}};
static const model_logits token_logits[] = {{"logits", true}};
static const model_logits sequence_logits[] = {{"logits", false}};
static const model_logits place_logits[] = {{"start_logits", false}, {"end_logits", false}};

const model_logits *model_graph_logits(const model_spec *spec, size_t *n) {
    *n = 1;
    switch (spec->head) {
    case HEAD_PRETRAINING: *n = spec->arch == MODEL_BERT ? 2 : 1; return pretraining_logits;
    case HEAD_MASKED_LM: return pretraining_logits;
    case HEAD_TOKEN_CLASSIFICATION: return token_logits;
    case HEAD_SEQUENCE_CLASSIFICATION:
        if (spec->regression) break;
        return sequence_logits;
    case HEAD_QUESTION_ANSWERING: *n = 2; return place_logits;
    case HEAD_AUTO:
    case HEAD_NONE: break;
    }
    *n = 0;
    return NULL;
}

/* ---- the builder ---- */

typedef struct builder {
    ir_graph *g;
    ir_context *c;
    const model_spec *spec;
    const model_graph_options *options;
    const char *base; /* "bert." or "distilbert." */
    ir_dim sequences, length, rows;
    ir_dim predictions;    /* M, of rows that a head predicts */
    ir_value mask;         /* i64 [B,S] */
    ir_value keep;         /* i64 [R] */
    ir_value offsets;      /* i32 [B+1] */
    ir_value chosen;       /* [M], rows that a head predicts, once it has asked for them; IR_NO_VALUE: all */
    ir_value loss;         /* of training: the sum of the terms so far */
    ir_value keys, random; /* of dropout: i64 [R], i64 [2] */
    int64_t n_streams;     /* places of dropout so far */
} builder;

static const ir_type *matrix(const builder *b, int64_t rows, int64_t columns) {
    ir_dim dims[2] = {dim_const(rows), dim_const(columns)};
    return type_tensor(b->c, IR_F32, 2, dims);
}

static const ir_type *vector_type(const builder *b, int64_t n) {
    ir_dim dim = dim_const(n);
    return type_tensor(b->c, IR_F32, 1, &dim);
}

static const ir_type *per_token(const builder *b, ir_dtype dtype, int64_t features) {
    ir_dim dims[3] = {b->sequences, b->length, dim_const(features)};
    return type_tensor(b->c, dtype, features ? 3 : 2, dims);
}

static const ir_type *per_sequence(const builder *b, ir_dtype dtype) { return type_tensor(b->c, dtype, 1, &b->sequences); }

/* PREFIX + NAME into a fixed buffer: every name here is short. */
typedef struct name_text {
    char text[160];
} name_text;

static name_text join(const char *prefix, const char *name) {
    name_text n;
    snprintf(n.text, sizeof n.text, "%s%s", prefix, name);
    return n;
}

/* The scope of what follows: PREFIX + NAME without the model's own prefix. */
static void enter(builder *b, const char *prefix, const char *name) {
    size_t n = strlen(b->base);
    name_text scope = join(strncmp(prefix, b->base, n) == 0 ? prefix + n : prefix, name);
    graph_set_scope(b->g, scope.text);
}

static ir_value parameter(builder *b, const char *prefix, const char *name, const ir_type *type) {
    return build_leaf(b->g, OP_state, join(prefix, name).text, type);
}

static ir_value reshape(builder *b, ir_value x, const ir_type *type) { return build_declared(b->g, OP_reshape, x, type); }

static ir_value rows_of(builder *b, ir_value x) { return reshape(b, x, type_tensor(b->c, IR_I64, 1, &b->rows)); }

/* PREFIX.NAME.weight [N,K], PREFIX.NAME.bias [N] */
static ir_value linear(builder *b, const char *prefix, const char *name, ir_value x, int64_t n, int64_t k) {
    name_text weight = join(name, ".weight"), bias = join(name, ".bias");
    enter(b, prefix, name);
    ir_value inputs[] = {x, parameter(b, prefix, weight.text, matrix(b, n, k)), parameter(b, prefix, bias.text, vector_type(b, n))};
    return node_add(b->g, OP_linear, inputs, 3, NULL, 0, NULL);
}

static ir_value layer_norm(builder *b, const char *prefix, const char *name, ir_value x) {
    name_text weight = join(name, ".weight"), bias = join(name, ".bias");
    const ir_type *type = vector_type(b, b->spec->hidden_size);
    enter(b, prefix, name);
    ir_value inputs[] = {x, parameter(b, prefix, weight.text, type), parameter(b, prefix, bias.text, type)};
    ir_attr eps = attr_float("eps", b->spec->layer_norm_eps);
    return node_add(b->g, OP_layer_norm, inputs, 3, &eps, 1, NULL);
}

static ir_value activation(builder *b, ir_value x) {
    ir_attr form = attr_enum("form", b->spec->hidden_act == ACTIVATION_GELU_NEW ? "tanh" : "erf");
    if (b->spec->hidden_act == ACTIVATION_RELU) return build_unary(b->g, OP_relu, x);
    return node_add(b->g, OP_gelu, &x, 1, &form, 1, NULL);
}

/* ---- dropout ---- */

/* Keys of the padded rows, and the numbers of the step. */
static void begin_dropout(builder *b, ir_value ids) {
    const ir_dim two = dim_const(2);
    if (!b->options->dropout) return;
    const ir_value first = build_leaf(b->g, OP_input, "first_example", type_tensor(b->c, IR_I64, 0, NULL));
    const ir_value inputs[] = {b->offsets, ids, first};
    b->random = build_leaf(b->g, OP_input, "random", type_tensor(b->c, IR_I64, 1, &two));
    b->keys = node_add(b->g, OP_row_keys, inputs, 3, NULL, 0, NULL);
}

/* `x` has a row for each key. */
static ir_value dropout(builder *b, ir_value x, ir_value keys, double rate) {
    const ir_value inputs[] = {x, keys, b->random};
    const ir_attr attrs[] = {attr_float("rate", rate), attr_int("stream", b->n_streams)};
    if (!b->options->dropout) return x;
    b->n_streams++; /* whatever the rate: the others keep their numbers */
    return rate > 0 ? node_add(b->g, OP_dropout, inputs, 3, attrs, 2, NULL) : x;
}

/* ---- embeddings ---- */

/* `padding`: the id whose row the lookup does not train; -1: none. */
static ir_value embedding(builder *b, const char *table, int64_t rows, ir_value ids, int64_t padding) {
    name_text prefix = join(b->base, "embeddings.");
    enter(b, prefix.text, table);
    const ir_value inputs[] = {parameter(b, prefix.text, join(table, ".weight").text, matrix(b, rows, b->spec->hidden_size)), ids};
    const ir_attr attr = attr_int("padding_id", b->options->training ? padding : -1);
    return node_add(b->g, OP_embedding, inputs, 2, &attr, 1, NULL);
}

static ir_value embeddings(builder *b) {
    const model_spec *s = b->spec;
    ir_dim dims[2] = {b->rows, dim_const(s->hidden_size)};
    b->mask = build_leaf(b->g, OP_input, "attention_mask", per_token(b, IR_I64, 0));
    b->keep = rows_of(b, b->mask);
    b->offsets = build_unary(b->g, OP_padded_offsets, b->mask);
    if (b->options->from_embedding_output) {
        ir_value x = build_leaf(b->g, OP_input, "embedding_output", per_token(b, IR_F32, s->hidden_size));
        begin_dropout(b, b->keep);
        return reshape(b, x, type_tensor(b->c, IR_F32, 2, dims));
    }
    ir_value ids = rows_of(b, build_leaf(b->g, OP_input, "input_ids", per_token(b, IR_I64, 0)));
    ir_value places = build_binary(b->g, OP_row_positions, b->offsets, ids);
    begin_dropout(b, ids);
    ir_value sum = embedding(b, "word_embeddings", s->vocab_size, ids, s->pad_token_id);
    ir_value position = embedding(b, "position_embeddings", s->max_position_embeddings, places, -1);
    if (s->arch == MODEL_BERT && s->type_vocab_size > 0) {
        graph_set_scope(b->g, "embeddings.token_type_embeddings");
        ir_value types = rows_of(b, build_leaf(b->g, OP_input, "token_type_ids", per_token(b, IR_I64, 0)));
        sum = build_binary(b->g, OP_add, sum, embedding(b, "token_type_embeddings", s->type_vocab_size, types, -1));
    }
    sum = build_binary(b->g, OP_add, sum, position);
    sum = layer_norm(b, join(b->base, "embeddings.").text, "LayerNorm", sum);
    return dropout(b, sum, b->keys, s->hidden_dropout_prob);
}

/* ---- encoder ---- */

/* Module names of one layer in each architecture. */
typedef struct layer_names {
    const char *layers, *query, *key, *value, *attention, *attended, *attended_norm, *up, *down, *out_norm;
} layer_names;

static const layer_names bert_names = {
    "encoder.layer",          "attention.self.query",       "attention.self.key", "attention.self.value", "attention.self",
    "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense",         "output.LayerNorm"};
static const layer_names distilbert_names = {"transformer.layer", "attention.q_lin",   "attention.k_lin", "attention.v_lin",
                                             "attention",         "attention.out_lin", "sa_layer_norm",   "ffn.lin1",
                                             "ffn.lin2",          "output_layer_norm"};

static ir_value encoder_layer(builder *b, int64_t index, ir_value x) {
    const model_spec *s = b->spec;
    const layer_names *n = s->arch == MODEL_BERT ? &bert_names : &distilbert_names;
    int64_t e = s->hidden_size, f = s->intermediate_size;
    char prefix[96];
    snprintf(prefix, sizeof prefix, "%s%s.%lld.", b->base, n->layers, (long long)index);
    ir_value q = linear(b, prefix, n->query, x, e, e), k = linear(b, prefix, n->key, x, e, e),
             v = linear(b, prefix, n->value, x, e, e);
    enter(b, prefix, n->attention);
    const double rate = b->options->dropout ? s->attention_probs_dropout_prob : 0;
    ir_value inputs[] = {q, k, v, b->offsets, b->keep, IR_NO_VALUE, b->keys, b->random};
    ir_attr attrs[] = {attr_int("heads", s->num_attention_heads),
                       attr_float("scale", 1.0 / sqrt((double)e / (double)s->num_attention_heads)), attr_float("rate", rate),
                       attr_int("stream", rate > 0 ? b->n_streams : 0)};
    b->n_streams += b->options->dropout;
    ir_value context = node_add(b->g, OP_attention, inputs, rate > 0 ? 8 : 5, attrs, 4, NULL);
    /* DistilBERT drops nothing of the attention's output (spec: prune-once-for-all.md, section 5) */
    const double after_attention = s->arch == MODEL_BERT ? s->hidden_dropout_prob : 0;
    ir_value attended = dropout(b, linear(b, prefix, n->attended, context, e, e), b->keys, after_attention);
    x = layer_norm(b, prefix, n->attended_norm, build_binary(b->g, OP_add, attended, x));
    ir_value up = activation(b, linear(b, prefix, n->up, x, f, e));
    ir_value down = dropout(b, linear(b, prefix, n->down, up, e, f), b->keys, s->hidden_dropout_prob);
    return layer_norm(b, prefix, n->out_norm, build_binary(b->g, OP_add, down, x));
}

/* ---- heads ---- */

static ir_value cross_entropy(builder *b, ir_value logits, ir_value labels, ir_value keep, const char *how) {
    ir_value inputs[] = {logits, labels, keep};
    ir_attr attrs[] = {attr_enum("labels", how), attr_enum("reduction", b->options->training ? "sum" : "mean")};
    return node_add(b->g, OP_cross_entropy, inputs, 3, attrs, 2, NULL);
}

/* The output loss.LABELS. In training that is the sum over rows times the input scale.LABELS, and the terms with their factors add up
 * to the output loss. */
static void add_loss(builder *b, const char *labels, double factor, ir_value term) {
    if (b->options->training) {
        const ir_value scale = build_leaf(b->g, OP_input, join("scale.", labels).text, type_tensor(b->c, IR_F32, 0, NULL));
        term = build_binary(b->g, OP_mul, term, scale);
    }
    graph_add_output(b->g, join("loss.", labels).text, term);
    if (!b->options->training) return;
    if (factor != 1) term = build_binary(b->g, OP_mul, term, build_scalar(b->g, IR_F32, factor));
    b->loss = b->loss == IR_NO_VALUE ? term : build_binary(b->g, OP_add, b->loss, term);
}

static ir_value first_tokens(builder *b, ir_value x) {
    return build_binary(b->g, OP_gather_rows, x, build_unary(b->g, OP_first_rows, b->offsets));
}

static ir_value pooler(builder *b, ir_value x) {
    int64_t e = b->spec->hidden_size;
    return build_unary(b->g, OP_tanh, linear(b, join(b->base, "pooler.").text, "dense", first_tokens(b, x), e, e));
}

/* [R,N] as the output [B,S,N] */
static void output_tokens(builder *b, const char *name, ir_value x, int64_t n) {
    graph_add_output(b->g, name, reshape(b, x, per_token(b, IR_F32, n)));
}

/* Does an input say which tokens the head predicts? */
static bool chooses_rows(const model_spec *spec, const model_graph_options *options) {
    return options->chosen_rows && (spec->head == HEAD_PRETRAINING || spec->head == HEAD_MASKED_LM);
}

/* Are logits of all tokens outputs of a training graph? */
static bool gives_all_logits(const builder *b) { return b->options->training && b->options->all_logits; }

/* In training a head that predicts tokens reads the rows that have a label: its logits are no outputs, unless all are asked for. */
static bool reads_labelled(const model_spec *spec, const model_graph_options *options) {
    const bool predicts = spec->head == HEAD_PRETRAINING || spec->head == HEAD_MASKED_LM || spec->head == HEAD_TOKEN_CLASSIFICATION;
    return predicts && options->training && !chooses_rows(spec, options);
}

/* What a head that predicts tokens reads: all rows, those that the input prediction_rows names, or those with labels. */
static ir_value predicted_rows(builder *b, ir_value x) {
    return b->chosen == IR_NO_VALUE ? x : build_binary(b->g, OP_gather_rows, x, b->chosen);
}

/* Decides on predicted_rows, and returns their labels, where the graph has a loss. */
static ir_value token_labels(builder *b) {
    const ir_attr rows = attr_string("rows", "M");
    if (chooses_rows(b->spec, b->options))
        b->chosen = build_leaf(b->g, OP_input, "prediction_rows", type_tensor(b->c, IR_I64, 1, &b->predictions));
    if (!b->options->with_loss) return IR_NO_VALUE;
    const ir_value labels = rows_of(b, build_leaf(b->g, OP_input, "labels", per_token(b, IR_I64, 0)));
    if (reads_labelled(b->spec, b->options)) b->chosen = node_add(b->g, OP_labelled_rows, &labels, 1, &rows, 1, NULL);
    return predicted_rows(b, labels);
}

/* The logits of tokens [R,N] as the output [B,S,N]; of chosen ones [M,N]. */
static void output_logits(builder *b, const char *name, ir_value logits, int64_t n) {
    if (gives_all_logits(b)) return; /* they are outputs already */
    if (chooses_rows(b->spec, b->options)) graph_add_output(b->g, name, logits);
    else if (!reads_labelled(b->spec, b->options)) output_tokens(b, name, logits, n);
}

/* The decoder, which is the word embedding unless the spec unties it. */
static ir_value decode(builder *b, ir_value t) {
    const model_spec *s = b->spec;
    const bool bert = s->arch == MODEL_BERT;
    const int64_t e = s->hidden_size, v = s->vocab_size;
    enter(b, "", bert ? "cls.predictions.decoder" : "vocab_projector");
    const char *own = bert ? "cls.predictions.decoder.weight" : "vocab_projector.weight";
    ir_value weight = s->tie_word_embeddings ? parameter(b, b->base, "embeddings.word_embeddings.weight", matrix(b, v, e))
                                             : parameter(b, "", own, matrix(b, v, e));
    ir_value inputs[] = {t, weight, parameter(b, "", bert ? "cls.predictions.bias" : "vocab_projector.bias", vector_type(b, v))};
    return node_add(b->g, OP_linear, inputs, 3, NULL, 0, NULL);
}

/* Transform, layer norm, and the decoder. */
static void language_model_head(builder *b, ir_value x) {
    const model_spec *s = b->spec;
    bool bert = s->arch == MODEL_BERT;
    int64_t e = s->hidden_size, v = s->vocab_size;
    enter(b, "", bert ? "cls.predictions" : "vocab_transform");
    const ir_value labels = token_labels(b);
    if (!gives_all_logits(b)) x = predicted_rows(b, x);
    ir_value t = bert ? linear(b, "cls.predictions.transform.", "dense", x, e, e) : linear(b, "", "vocab_transform", x, e, e);
    t = activation(b, t);
    t = bert ? layer_norm(b, "cls.predictions.transform.", "LayerNorm", t) : layer_norm(b, "", "vocab_layer_norm", t);
    if (gives_all_logits(b)) {
        output_tokens(b, "prediction_logits", decode(b, t), v);
        t = predicted_rows(b, t);
    }
    const ir_value logits = decode(b, t);
    output_logits(b, "prediction_logits", logits, v);
    if (!b->options->with_loss) return;
    enter(b, "loss", "");
    add_loss(b, "labels", 1, cross_entropy(b, logits, labels, IR_NO_VALUE, "ignore"));
}

static void pretraining_head(builder *b, ir_value x) {
    language_model_head(b, x);
    if (b->spec->arch != MODEL_BERT) return;
    ir_value pooled = pooler(b, x);
    ir_value logits = linear(b, "cls.", "seq_relationship", pooled, 2, b->spec->hidden_size);
    graph_add_output(b->g, "seq_relationship_logits", logits);
    if (!b->options->with_loss) return;
    enter(b, "loss", "");
    ir_value labels = build_leaf(b->g, OP_input, "next_sentence_label", per_sequence(b, IR_I64));
    add_loss(b, "next_sentence_label", 1, cross_entropy(b, logits, labels, IR_NO_VALUE, "ignore"));
}

static void sequence_head(builder *b, ir_value x) {
    const model_spec *s = b->spec;
    int64_t e = s->hidden_size, n = s->num_labels;
    ir_value pooled = s->arch == MODEL_BERT ? pooler(b, x)
                                            : build_unary(b->g, OP_relu, linear(b, "", "pre_classifier", first_tokens(b, x), e, e));
    if (b->options->dropout) {
        const ir_value keys = first_tokens(b, b->keys);
        pooled = dropout(b, pooled, keys, s->classifier_dropout);
    }
    ir_value logits = linear(b, "", "classifier", pooled, n, e);
    graph_add_output(b->g, "logits", logits);
    if (!b->options->with_loss) return;
    enter(b, "loss", "");
    if (!s->regression) {
        ir_value labels = build_leaf(b->g, OP_input, "labels", per_sequence(b, IR_I64));
        add_loss(b, "labels", 1, cross_entropy(b, logits, labels, IR_NO_VALUE, "ignore"));
        return;
    }
    ir_dim dims[2] = {b->sequences, dim_const(n)};
    const ir_type *type = n == 1 ? per_sequence(b, IR_F32) : type_tensor(b->c, IR_F32, 2, dims);
    ir_value labels = build_leaf(b->g, OP_input, "labels", type);
    if (n == 1) logits = reshape(b, logits, type);
    add_loss(b, "labels", 1, build_binary(b->g, OP_mean_squared_error, logits, labels));
}

static void token_head(builder *b, ir_value x) {
    const model_spec *s = b->spec;
    enter(b, "", "classifier");
    const ir_value labels = token_labels(b);
    x = dropout(b, x, b->keys, s->classifier_dropout);
    if (!gives_all_logits(b)) x = predicted_rows(b, x);
    ir_value logits = linear(b, "", "classifier", x, s->num_labels, s->hidden_size);
    if (gives_all_logits(b)) {
        output_tokens(b, "logits", logits, s->num_labels);
        logits = predicted_rows(b, logits);
    }
    output_logits(b, "logits", logits, s->num_labels);
    if (!b->options->with_loss) return;
    enter(b, "loss", "");
    add_loss(b, "labels", 1, cross_entropy(b, logits, labels, IR_NO_VALUE, "ignore"));
}

static void answer_head(builder *b, ir_value x) {
    static const struct {
        const char *logits, *labels;
    } ends[2] = {{"start_logits", "start_positions"}, {"end_logits", "end_positions"}};
    x = dropout(b, x, b->keys, b->spec->arch == MODEL_BERT ? 0 : b->spec->qa_dropout);
    ir_value both = linear(b, "", "qa_outputs", x, 2, b->spec->hidden_size);
    for (int i = 0; i < 2; i++) {
        ir_attr attrs[] = {attr_int("begin", i), attr_int("end", i + 1)};
        enter(b, "", "qa_outputs");
        ir_value logits = reshape(b, node_add(b->g, OP_slice, &both, 1, attrs, 2, NULL), per_token(b, IR_F32, 0));
        graph_add_output(b->g, ends[i].logits, logits);
        if (!b->options->with_loss) continue;
        enter(b, "loss", "");
        ir_value labels = build_leaf(b->g, OP_input, ends[i].labels, per_sequence(b, IR_I64));
        add_loss(b, ends[i].labels, 0.5,
                 cross_entropy(b, logits, labels, b->options->mask_padded_logits ? b->mask : IR_NO_VALUE, "clamp"));
    }
}

static void add_head(builder *b, ir_value x) {
    switch (b->spec->head) {
    case HEAD_PRETRAINING: pretraining_head(b, x); return;
    case HEAD_MASKED_LM: language_model_head(b, x); return;
    case HEAD_SEQUENCE_CLASSIFICATION: sequence_head(b, x); return;
    case HEAD_TOKEN_CLASSIFICATION: token_head(b, x); return;
    case HEAD_QUESTION_ANSWERING: answer_head(b, x); return;
    case HEAD_AUTO:
    case HEAD_NONE: break;
    }
    if (b->spec->arch == MODEL_BERT && !b->options->without_pooler) graph_add_output(b->g, "pooler_output", pooler(b, x));
}

/* ---- the graph ---- */

pofac_status model_graph_build(ir_module *m, const char *name, const model_spec *spec, const model_graph_options *options) {
    builder b = {.g = module_add_graph(m, name), .c = m->context, .spec = spec, .options = options};
    if (!b.g) return m->status != POFAC_OK ? m->status : diag_out_of_memory(m->sink);
    b.base = spec->arch == MODEL_BERT ? "bert." : "distilbert.";
    int64_t sequences = options->max_sequences ? options->max_sequences : 65536, rows;
    if (__builtin_mul_overflow(sequences, spec->max_position_embeddings, &rows)) rows = INT64_MAX;
    b.sequences = dim_symbol(graph_declare_symbol(b.g, "B", sequences));
    b.length = dim_symbol(graph_declare_symbol(b.g, "S", spec->max_position_embeddings));
    if (chooses_rows(spec, options) || reads_labelled(spec, options))
        b.predictions = dim_symbol(graph_declare_symbol(b.g, "M", rows));
    bool ok;
    b.rows = dim_mul(b.sequences, b.length, &ok);
    graph_set_scope(b.g, "embeddings");
    ir_value x = embeddings(&b);
    for (int64_t i = 0; i < spec->num_hidden_layers; i++) {
        char hidden[40];
        snprintf(hidden, sizeof hidden, "hidden_states.%lld", (long long)i);
        if (options->hidden_states) output_tokens(&b, hidden, x, spec->hidden_size);
        x = encoder_layer(&b, i, x);
    }
    char last[40];
    snprintf(last, sizeof last, "hidden_states.%lld", (long long)spec->num_hidden_layers);
    if (options->hidden_states) output_tokens(&b, last, x, spec->hidden_size);
    if (options->last_hidden_state || spec->head == HEAD_NONE) output_tokens(&b, "last_hidden_state", x, spec->hidden_size);
    add_head(&b, x);
    if (b.loss != IR_NO_VALUE) graph_add_output(b.g, "loss", b.loss);
    return graph_finish(b.g);
}
