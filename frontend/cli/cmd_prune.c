/* pofac prune: weights to zero, once and without training. */
#include <stdlib.h>
#include <string.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/prune_once.h"

static const option_row rows[] = {
    {"pruning_config", OPTION_READS, "FILE", NULL, 0, 0, "JSON configuration of the pruning package; what is given beside it wins"},
    {"pruning_override", OPTION_TEXT, "JSON", NULL, 0, 0,
     "a JSON object whose keys take the place of what a configuration and options say"},
    {"pruning_fn", OPTION_TEXT, "NAME", NULL, 0, 0,
     "method (`pofac list pruning_methods`); without a configuration unstructured_magnitude"},
    {"target_sparsity", OPTION_REAL, "SHARE", NULL, 0, 0, "share of zeros, 0 to 1"},
    {"init_strategy", OPTION_CHOICE, "uniform|er|erk", NULL, 0, 0, "one target for all layers, or Erdos-Renyi targets by shape"},
    {"block_size", OPTION_WHOLE, "N", NULL, 1, 1 << 24, "uniform methods: entries that compete, the M of N:M"},
    {"block_dims", OPTION_TEXT, "IN[,OUT]", NULL, 0, 0,
     "block methods: entries along the inputs and the outputs; one number: a square"},
    {"pooling_type", OPTION_CHOICE, "avg|max", NULL, 0, 0, "block methods: how a block's entries make its magnitude"},
    {"fast_threshold", OPTION_FLAG, NULL, NULL, 0, 0, "threshold from a histogram"},
    {"pruning_masks", OPTION_READS, "FILE", NULL, 0, 0,
     "custom_mask: tensors NAME.mask or NAME for each weight NAME; what is not 0 is kept"},
    {"not_to_prune", OPTION_LINES, "REGEX", NULL, 0, 0,
     "layers that stay dense, instead of the configuration's; may be given several times"},
    {"dtype", OPTION_CHOICE, "f32|bf16|f16", "f32", 0, 0,
     "of the parameters of a model that is written; plain tensors keep theirs"},
    {"output_dir", OPTION_WRITES, "DIR", NULL, 0, 0,
     "where the model goes, or the file for plain tensors (required); -o does the same"},
    {"overwrite_output_dir", OPTION_FLAG, NULL, NULL, 0, 0, "write into a directory that is not empty, or over a file"},
    OPTIONS_MODEL,
    OPTIONS_THREADS,
};

static pofac_status read_block_dims(const command_input *in, const char *text, pruning_parameters *p) {
    char *end;
    const long long across = strtoll(text, &end, 10), down = *end == ',' ? strtoll(end + 1, &end, 10) : across;
    if (*end || end == text || across < 1 || down < 1)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--block_dims is \"%s\", wanted one or two numbers above 0, IN,OUT",
                          text);
    p->block_columns = across;
    p->block_rows = down;
    return POFAC_OK;
}

static pofac_status read_patterns(const command_input *in, const char *lines, pruning_rules *out) {
    size_t most = 2;
    for (const char *c = lines; *c; c++) most += *c == '\n';
    *out = (pruning_rules){ARENA_ARRAY(in->memory, pruning_rule, most), 0};
    if (!out->data) return diag_out_of_memory(in->sink);
    for (const char *at = lines; *at;) {
        const size_t n = strcspn(at, "\n");
        const char *pattern = arena_printf(in->memory, "%.*s", (int)n, at);
        if (!pattern) return diag_out_of_memory(in->sink);
        if (n) out->data[out->n++] = (pruning_rule){.pattern = pattern, .place = {.file = "--not_to_prune"}};
        at += n + (at[n] == '\n');
    }
    return POFAC_OK;
}

/* What is given beside the configuration, for all layers. */
static pofac_status override(const command_input *in, pruning_config *c) {
    const option_values *o = in->options;
    pruning_parameters *p = &c->defaults.values;
    if (!c->defaults.set) *p = pruning_parameters_default();
    if (option_given(o, "pruning_fn") || !c->method) {
        c->method = option_given(o, "pruning_fn") ? option_text(o, "pruning_fn") : "unstructured_magnitude";
        c->place = (diag_place){.file = "--pruning_fn"};
    }
    if (option_given(o, "target_sparsity")) {
        p->target_sparsity = option_real(o, "target_sparsity");
        c->defaults.set |= PRUNING_TARGET;
    }
    if (option_given(o, "block_size")) {
        p->block_size = option_whole(o, "block_size");
        c->defaults.set |= PRUNING_BLOCK_SIZE;
    }
    if (option_given(o, "block_dims")) {
        TRY(read_block_dims(in, option_text(o, "block_dims"), p));
        c->defaults.set |= PRUNING_BLOCK_DIMS;
    }
    if (option_given(o, "pooling_type")) {
        p->pooling = strcmp(option_text(o, "pooling_type"), "max") == 0 ? PRUNING_MAX : PRUNING_AVG;
        c->defaults.set |= PRUNING_POOLING;
    }
    if (option_given(o, "fast_threshold")) {
        p->fast_threshold = option_flag(o, "fast_threshold");
        c->defaults.set |= PRUNING_FAST;
    }
    if (option_given(o, "pruning_masks")) c->masks = option_text(o, "pruning_masks");
    if (option_given(o, "init_strategy")) c->init = (pruning_init)pruning_word(pruning_init_names, option_text(o, "init_strategy"));
    if (option_given(o, "not_to_prune")) TRY(read_patterns(in, option_text(o, "not_to_prune"), &c->not_to_prune));
    if (!option_given(o, "pruning_override")) return POFAC_OK;
    return pruning_config_override(option_text(o, "pruning_override"), "--pruning_override", in->memory, in->sink, c);
}

static pofac_status prune(const command_input *in, const prune_once_options *p, strbuf *report) {
    const char *path = in->options->arguments[0];
    const bool is_file = prune_once_is_file(path);
    const loaded_model_options options = arguments_model(in->options);
    loaded_model *model;
    TRY(arguments_check_output(in, p->output, is_file ? ARGUMENT_FILE : ARGUMENT_DIRECTORY, "overwrite_output_dir"));
    if (is_file) return prune_once_file(path, p, in->sink, report);
    TRY(loaded_model_open(path, &options, in->sink, &model));
    const pofac_status status = prune_once_model(model, p, in->sink, report);
    loaded_model_close(model);
    return status;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    pruning_config config = pruning_config_default();
    prune_once_options p = {.config = &config,
                            .output = option_text(o, "output_dir"),
                            .dtype = arguments_dtype(o),
                            .of_options = !option_given(o, "pruning_config")};
    strbuf report = STRBUF_INIT;
    if (!p.output) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--output_dir is missing: where the result goes");
    if (option_given(o, "pruning_config"))
        TRY(pruning_config_read(option_text(o, "pruning_config"), in->memory, in->sink, &config));
    TRY(override(in, &config));
    TRY(thread_pool_create((size_t)option_whole(o, "threads"), in->sink, &p.pool));
    pofac_status status = prune(in, &p, &report);
    if (status == POFAC_OK) status = arguments_print(in->sink, strbuf_str(&report), report.size);
    thread_pool_destroy(p.pool);
    strbuf_free(&report);
    return status;
}

const command command_prune = {
    .name = "prune",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "set weights to zero, once and without training",
    .details = "MODEL is a Hugging Face directory, an XML description, or a file of tensors (safetensors, .bin), whose "
               "matrices are the weights then. Shares of zeros are printed as one JSON object."};
