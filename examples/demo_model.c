/*
 * Writes a small BERT that tells positive from negative sentences, as a Hugging Face directory: config.json, vocab.txt, model.safetensors.
 *
 *   demo_model DIRECTORY
 *
 * Nobody trained it: every weight is set by hand, so that each part of the encoder does something that can be followed in its IR.
 *
 * Vectors. A hidden state of 64 features holds 32 channels v as (v, -v). So its mean is 0, and layer norm only scales it; as the carrier
 * channel fills every embedding up to the same length, and gamma undoes the scale, layer norm leaves embeddings as they are.
 *
 *   channel     CARRIER   fills the vector up to length RADIUS
 *               POLARITY  of a word: "great" 1, "boring" -0.8, "film" 0
 *               POLAR     1 where POLARITY is not 0
 *               NEGATOR   1 for "not", "never", ...          NEGATED   1 where a negator stands shortly before
 *               BOOSTER   1 for "very", "really", ...        BOOSTED   1 where a booster stands right before
 *               FIRST     1 for [CLS]                        VERDICT   the mean polarity of the polar words
 *               WAVES     cos(w t), sin(w t) for 7 frequencies w = 2 pi f / 32: the position t; [CLS] has none
 *
 * Layer 0, attention: head 0 looks back for negators, head 1 for boosters. The query is the position's waves turned back by `offset`
 * positions, so that query and key agree best at the token `offset` before: their product is the Dirichlet kernel
 * (1/7) sum over f of cos(w_f d), 1 at d = 0, 0.65 at |d| = 1, below 0.07 elsewhere. Two more features add a bonus for the words that are
 * looked for, and for [CLS], which is where attention goes when there is no such word near. The value is the word's flag.
 *
 * Layer 0, feed-forward: POLARITY += BOOST POLARITY BOOSTED - 2 POLARITY NEGATED. For -1 <= p <= 1 and a flag g of 0 or 1,
 * p g = relu(p + g - 1) - relu(-p + g - 1), and gelu(k x) / k is as good as relu(x) for large k.
 *
 * Layer 1, attention: every token attends to the polar words alike; the value is POLARITY, and its mean becomes VERDICT.
 *
 * Head: the pooler takes tanh of [CLS]'s VERDICT; the classifier weighs it against 0.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/model/model_spec.h"
#include "ir/support/file_map.h"

enum { HIDDEN = 64, CHANNELS = 32, HEADS = 4, HEAD_DIM = 16, LAYERS = 2, INTERMEDIATE = 128, POSITIONS = 32, LABELS = 2 };
enum { CARRIER, POLARITY, POLAR, NEGATOR, BOOSTER, FIRST, NEGATED, BOOSTED, VERDICT, WAVES, N_FREQUENCIES = 7 };

/* Twice the longest of the other channels' lengths or more, so that layer norm changes little when channels are added. */
#define RADIUS 8.0
/* Scores of attention, in units that softmax sees: the kernel's height, the bonus of the flag, the bonus of [CLS]. Within the window a
 * flag's token wins over [CLS] by KERNEL 0.65 + FLAG - SINK = 7, outside of it it loses by as much, e^-7 = 0.1 %. */
#define KERNEL 24.0
#define FLAG 20.0
#define SINK 28.6
#define POLAR_BONUS 8.0
#define BOOST 0.5
#define HINGE 16.0 /* k in gelu(k x) / k */
#define POOLER_GAIN 1.5
#define CLASSIFIER_GAIN 1.8

static const struct {
    const char *word;
    double polarity;
} polar_words[] = {
    {"great", 1},          {"wonderful", 1},      {"excellent", 1},   {"brilliant", 1},
    {"perfect", 1},        {"amazing", 1},        {"masterpiece", 1}, {"superb", 1},
    {"beautiful", 0.9},    {"moving", 0.7},       {"love", 0.9},      {"loved", 0.9},
    {"enjoy", 0.8},        {"enjoyed", 0.8},      {"good", 0.7},      {"fun", 0.7},
    {"funny", 0.7},        {"clever", 0.7},       {"charming", 0.8},  {"fresh", 0.6},
    {"like", 0.6},         {"liked", 0.6},        {"nice", 0.6},      {"recommend", 0.8},
    {"delight", 0.9},      {"warm", 0.5},         {"happy", 0.7},     {"better", 0.4},
    {"best", 1},           {"interesting", 0.6},  {"thrilling", 0.8}, {"smart", 0.7},
    {"pleasant", 0.6},     {"worth", 0.6},        {"works", 0.5},     {"terrible", -1},
    {"awful", -1},         {"horrible", -1},      {"worst", -1},      {"disaster", -1},
    {"boring", -0.8},      {"dull", -0.8},        {"bad", -0.7},      {"poor", -0.7},
    {"weak", -0.6},        {"slow", -0.4},        {"hate", -0.9},     {"hated", -0.9},
    {"dislike", -0.7},     {"disliked", -0.7},    {"ugly", -0.7},     {"stupid", -0.8},
    {"silly", -0.5},       {"annoying", -0.8},    {"waste", -0.9},    {"fails", -0.8},
    {"mess", -0.8},        {"predictable", -0.6}, {"cheap", -0.5},    {"tired", -0.5},
    {"empty", -0.6},       {"worse", -0.8},       {"painful", -0.8},  {"disappointing", -0.8},
    {"forgettable", -0.7}, {"confusing", -0.6},   {"clumsy", -0.6},   {"lifeless", -0.8},
    {"wooden", -0.6},
};

/* "didn't" is cut into "didn", "'" and "t": both words negate, so that the window holds one of them. */
static const char negators[] = "not never no without hardly cannot nothing isn wasn didn doesn don couldn wouldn t";
static const char boosters[] = "very really so extremely truly absolutely incredibly deeply such";
static const char other_words[] =
    ". , ! ? ' \" - ( ) : ; the a an and or but if of in on at to for from with by about as into over after before this that these "
    "those it its "
    "i you he she we they me him her us them my your his our their is are was were be been being am has have had do does did will "
    "would can "
    "could should may might must one two three four five ten first last new old long short big small young little more most less "
    "least much "
    "many few some any all every each other another same own only also just even still again then there here now when where why "
    "how what who "
    "which while because through during until than too up down out off watch watched watching see saw seen seeing make made making "
    "go went "
    "going come came think thought feel felt say said tell told give gave find found take took know knew want wanted get got film "
    "films movie "
    "movies show series story stories plot script scene scenes ending end start beginning middle part parts actor actors actress "
    "cast director "
    "acting performance performances role character characters dialogue music score song songs sound camera picture image images "
    "effects "
    "action comedy drama horror thriller romance history war book novel game play stage screen audience critic critics review "
    "people man woman men women boy girl child children family friend friends life world city town house home road day night year "
    "years hour "
    "hours minute minutes time times moment moments thing things way lot bit kind sort side idea ideas work job money ticket seat "
    "evening "
    "summer winter weekend ##s ##ed ##ing ##ly ##er ##est ##ness";

static const char *const special_tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
#define N_SPECIAL (sizeof special_tokens / sizeof *special_tokens)
#define N_POLAR (sizeof polar_words / sizeof *polar_words)

typedef struct demo {
    arena memory;
    const char *directory;
    const diag_sink *sink;
    strbuf vocabulary;
    int64_t vocab_size;
    float *words; /* [V,HIDDEN] */
    safetensors_item items[64];
    size_t n_items;
    bool out_of_memory;
} demo;

/* ---- tensors ---- */

/* A new tensor of zeros; columns 0: a vector. */
static float *add_tensor(demo *d, const char *name, int64_t rows, int64_t columns) {
    float *data = ARENA_ARRAY(&d->memory, float, (size_t)(rows * (columns ? columns : 1)));
    const char *kept = arena_strdup(&d->memory, name);
    if (!data || !kept) d->out_of_memory = true;
    else
        d->items[d->n_items++] =
            (safetensors_item){.name = kept, .dtype = IR_F32, .rank = columns ? 2 : 1, .dims = {rows, columns}, .data = data};
    return data;
}

/* A linear layer: weight [N,K] and bias [N], all zero. */
typedef struct linear {
    float *weight, *bias;
    int64_t n, k;
} linear;

static linear add_linear(demo *d, const char *name, int64_t n, int64_t k) {
    const char *weight = arena_printf(&d->memory, "%s.weight", name), *bias = arena_printf(&d->memory, "%s.bias", name);
    if (!weight || !bias) d->out_of_memory = true;
    if (d->out_of_memory) return (linear){0};
    return (linear){add_tensor(d, weight, n, k), add_tensor(d, bias, n, 0), n, k};
}

/* Output `row` reads input `column`; a channel is read from its positive half. */
static void read_feature(linear *l, int64_t row, int64_t column, double factor) {
    if (l->weight) l->weight[row * l->k + column] += (float)factor;
}

/* Output channel `channel`, both halves, reads input `column`. */
static void write_channel(linear *l, int64_t channel, int64_t column, double factor) {
    read_feature(l, channel, column, factor);
    read_feature(l, channel + CHANNELS, column, -factor);
}

static void set_bias(linear *l, int64_t row, double value) {
    if (l->bias) l->bias[row] = (float)value;
}

/* Layer norm that undoes its own scale: features (v, -v) with |v| = RADIUS have the variance 2 RADIUS^2 / HIDDEN. */
static void add_layer_norm(demo *d, const char *name) {
    linear norm = add_linear(d, name, HIDDEN, 0);
    for (int64_t i = 0; norm.weight && i < HIDDEN; i++) norm.weight[i] = (float)(RADIUS * sqrt(2.0 / HIDDEN));
}

/* ---- embeddings ---- */

static double frequency(int64_t f) { return 2.0 * acos(-1.0) * (double)(f + 1) / POSITIONS; }

/* The next word of the vocabulary: one channel has a value, and perhaps POLAR is set. */
static void add_word(demo *d, const char *word, size_t n, int channel, double value) {
    double v[CHANNELS] = {0}, used = channel == FIRST ? 0.0 : N_FREQUENCIES; /* squared length; the position brings its waves */
    v[channel] = value;
    v[POLAR] = channel == POLARITY;
    for (int i = 0; i < CHANNELS; i++) used += v[i] * v[i];
    v[CARRIER] = sqrt(RADIUS * RADIUS - used);
    for (int i = 0; d->words && i < CHANNELS; i++) {
        d->words[d->vocab_size * HIDDEN + i] = (float)v[i];
        d->words[d->vocab_size * HIDDEN + CHANNELS + i] = (float)-v[i];
    }
    strbuf_printf(&d->vocabulary, "%.*s\n", (int)n, word);
    d->vocab_size++;
}

/* Words with a space between them, all alike. */
static void add_words(demo *d, const char *words, int channel, double value) {
    while (*words) {
        size_t n = strcspn(words, " ");
        add_word(d, words, n, channel, value);
        words += n + (words[n] == ' ');
    }
}

static size_t count_words(const char *words) {
    size_t n = 1;
    for (; *words; words++) n += *words == ' ';
    return n;
}

static void add_embeddings(demo *d) {
    size_t n = N_SPECIAL + N_POLAR + count_words(negators) + count_words(boosters) + count_words(other_words);
    d->words = add_tensor(d, "bert.embeddings.word_embeddings.weight", (int64_t)n, HIDDEN);
    for (size_t i = 0; i < N_SPECIAL; i++) {
        bool first = strcmp(special_tokens[i], "[CLS]") == 0;
        add_word(d, special_tokens[i], strlen(special_tokens[i]), first ? FIRST : CARRIER, first ? 1.0 : 0.0);
    }
    for (size_t i = 0; i < N_POLAR; i++)
        add_word(d, polar_words[i].word, strlen(polar_words[i].word), POLARITY, polar_words[i].polarity);
    add_words(d, negators, NEGATOR, 1.0);
    add_words(d, boosters, BOOSTER, 1.0);
    add_words(d, other_words, CARRIER, 0.0);
    float *positions = add_tensor(d, "bert.embeddings.position_embeddings.weight", POSITIONS, HIDDEN);
    for (int64_t t = 1; positions && t < POSITIONS; t++)
        for (int64_t f = 0; f < N_FREQUENCIES; f++) {
            float *at = positions + t * HIDDEN + WAVES + 2 * f;
            at[0] = (float)cos(frequency(f) * (double)t);
            at[1] = (float)sin(frequency(f) * (double)t);
            at[CHANNELS] = -at[0];
            at[CHANNELS + 1] = -at[1];
        }
    add_tensor(d, "bert.embeddings.token_type_embeddings.weight", 2, HIDDEN);
    add_layer_norm(d, "bert.embeddings.LayerNorm");
}

/* ---- encoder ---- */

typedef struct attention {
    linear query, key, value, output;
} attention;

static attention add_attention(demo *d, int layer) {
    static const char *const parts[] = {"self.query", "self.key", "self.value", "output.dense"};
    linear made[4] = {{0}};
    for (int i = 0; i < 4; i++) {
        const char *name = arena_printf(&d->memory, "bert.encoder.layer.%d.attention.%s", layer, parts[i]);
        if (name) made[i] = add_linear(d, name, HIDDEN, HIDDEN);
        else d->out_of_memory = true;
    }
    const char *norm = arena_printf(&d->memory, "bert.encoder.layer.%d.attention.output.LayerNorm", layer);
    if (norm) add_layer_norm(d, norm);
    return (attention){made[0], made[1], made[2], made[3]};
}

/* Head `head` writes into channel `found` whether a word with `flag` stands within one position of the token `offset` before. */
static void look_back(attention *a, int64_t head, int64_t flag, int64_t offset, int64_t found) {
    const double unscale = sqrt(HEAD_DIM); /* attention divides by it */
    const int64_t first = head * HEAD_DIM, flag_row = first + 2 * N_FREQUENCIES, sink_row = flag_row + 1;
    for (int64_t f = 0; f < N_FREQUENCIES; f++) {
        const int64_t row = first + 2 * f, wave = WAVES + 2 * f;
        const double turn = frequency(f) * (double)offset, height = unscale * KERNEL / N_FREQUENCIES;
        read_feature(&a->query, row, wave, height * cos(turn)); /* cos(w (t - offset)) */
        read_feature(&a->query, row, wave + 1, height * sin(turn));
        read_feature(&a->query, row + 1, wave + 1, height * cos(turn)); /* sin(w (t - offset)) */
        read_feature(&a->query, row + 1, wave, -height * sin(turn));
        read_feature(&a->key, row, wave, 1.0);
        read_feature(&a->key, row + 1, wave + 1, 1.0);
    }
    set_bias(&a->query, flag_row, unscale * FLAG);
    read_feature(&a->key, flag_row, flag, 1.0);
    set_bias(&a->query, sink_row, unscale * SINK);
    read_feature(&a->key, sink_row, FIRST, 1.0);
    read_feature(&a->value, first, flag, 1.0);
    write_channel(&a->output, found, first, 1.0);
}

/* Head 0 writes into VERDICT the mean POLARITY of the polar words. */
static void gather_polarity(attention *a) {
    set_bias(&a->query, 0, sqrt(HEAD_DIM) * POLAR_BONUS);
    read_feature(&a->key, 0, POLAR, 1.0);
    read_feature(&a->value, 0, POLARITY, 1.0);
    write_channel(&a->output, VERDICT, 0, 1.0);
}

typedef struct feed_forward {
    linear up, down;
} feed_forward;

static feed_forward add_feed_forward(demo *d, int layer) {
    const char *up = arena_printf(&d->memory, "bert.encoder.layer.%d.intermediate.dense", layer);
    const char *down = arena_printf(&d->memory, "bert.encoder.layer.%d.output.dense", layer);
    const char *norm = arena_printf(&d->memory, "bert.encoder.layer.%d.output.LayerNorm", layer);
    if (!up || !down || !norm) d->out_of_memory = true;
    if (d->out_of_memory) return (feed_forward){{0}, {0}};
    feed_forward made = {add_linear(d, up, INTERMEDIATE, HIDDEN), add_linear(d, down, HIDDEN, INTERMEDIATE)};
    add_layer_norm(d, norm);
    return made;
}

/* POLARITY += factor * POLARITY * flag, with the two units from `unit` on. */
static void add_product(feed_forward *f, int64_t unit, int64_t flag, double factor) {
    for (int64_t i = 0; i < 2; i++) {
        const double sign = i ? -1.0 : 1.0;
        read_feature(&f->up, unit + i, POLARITY, sign * HINGE);
        read_feature(&f->up, unit + i, flag, HINGE);
        set_bias(&f->up, unit + i, -HINGE);
        write_channel(&f->down, POLARITY, unit + i, sign * factor / HINGE);
    }
}

static void add_encoder(demo *d) {
    attention words = add_attention(d, 0);
    look_back(&words, 0, NEGATOR, 2, NEGATED);
    look_back(&words, 1, BOOSTER, 1, BOOSTED);
    feed_forward signs = add_feed_forward(d, 0);
    add_product(&signs, 0, NEGATED, -2.0);
    add_product(&signs, 2, BOOSTED, BOOST);
    attention sentence = add_attention(d, 1);
    gather_polarity(&sentence);
    (void)add_feed_forward(d, 1);
}

static void add_head(demo *d) {
    linear pooler = add_linear(d, "bert.pooler.dense", HIDDEN, HIDDEN), classifier = add_linear(d, "classifier", LABELS, HIDDEN);
    read_feature(&pooler, 0, VERDICT, POOLER_GAIN);
    read_feature(&classifier, 0, 0, -CLASSIFIER_GAIN);
    read_feature(&classifier, 1, 0, CLASSIFIER_GAIN);
}

/* ---- files ---- */

static pofac_status write_text(demo *d, const char *name, const strbuf *text) {
    const char *path = arena_printf(&d->memory, "%s/%s", d->directory, name);
    if (!path || !strbuf_ok(text)) return diag_out_of_memory(d->sink);
    return file_write_all(path, strbuf_str(text), text->size, d->sink);
}

static pofac_status write_config(demo *d) {
    static const char *const labels[LABELS] = {"negative", "positive"};
    model_spec spec = model_spec_default(MODEL_BERT);
    spec.head = HEAD_SEQUENCE_CLASSIFICATION;
    spec.vocab_size = d->vocab_size;
    spec.hidden_size = HIDDEN;
    spec.num_hidden_layers = LAYERS;
    spec.num_attention_heads = HEADS;
    spec.intermediate_size = INTERMEDIATE;
    spec.max_position_embeddings = POSITIONS;
    spec.num_labels = LABELS;
    spec.labels = labels;
    strbuf text = STRBUF_INIT;
    config_json_write(&spec, &text);
    pofac_status status = write_text(d, "config.json", &text);
    strbuf_free(&text);
    return status;
}

static pofac_status write_model(demo *d) {
    if (mkdir(d->directory, 0777) != 0 && errno != EEXIST)
        return diag_error(d->sink, POFAC_ERR_RUNTIME, &(diag_place){.file = d->directory}, "cannot be made: %s", strerror(errno));
    add_embeddings(d);
    add_encoder(d);
    add_head(d);
    const char *path = arena_printf(&d->memory, "%s/model.safetensors", d->directory);
    if (d->out_of_memory || !path) return diag_out_of_memory(d->sink);
    TRY(write_config(d));
    TRY(write_text(d, "vocab.txt", &d->vocabulary));
    return safetensors_write(path, d->items, d->n_items, NULL, 0, d->sink);
}

static void print_diag(void *user, const diag *diagnostic) {
    strbuf text = STRBUF_INIT;
    diag_render(diagnostic, &text);
    fputs(strbuf_str(&text), user);
    strbuf_free(&text);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: demo_model DIRECTORY\n");
        return POFAC_ERR_USAGE;
    }
    const diag_sink sink = {print_diag, stderr};
    demo d = {.directory = argv[1], .sink = &sink, .memory = ARENA_INIT, .vocabulary = STRBUF_INIT};
    pofac_status status = write_model(&d);
    strbuf_free(&d.vocabulary);
    arena_free(&d.memory);
    return (int)status;
}
