/* pofac data build: a corpus to shards of examples for pre-training. */
#include "frontend/cli/arguments.h"
#include "frontend/cli/progress_bar.h"
#include "frontend/driver/build_shards.h"

static const option_row rows[] = {
    {"output_dir", OPTION_WRITES, "DIR", NULL, 0, 0, "where shards go (required); -o DIR does the same"},
    {"kind", OPTION_TEXT, "KIND", NULL, 0, 0, "kind of corpus (`pofac list corpora`); absent: told from the files"},
    {"vocab", OPTION_READS, "FILE", NULL, 0, 0, "vocabulary, one token per line"},
    {"tokenizer", OPTION_READS, "DIR", NULL, 0, 0, "instead of --vocab: a model's directory, with its vocabulary and settings"},
    {"cased", OPTION_FLAG, NULL, NULL, 0, 0, "keep case and accents, for cased vocabularies"},
    {"mode", OPTION_TEXT, "MODE", "segment_pair_nsp", 0, 0, "how documents become examples (`pofac list pair_modes`)"},
    {"max_seq_length", OPTION_WHOLE, "N", "128", PAIR_LEAST_LENGTH, PAIR_MOST_LENGTH,
     "tokens of an example, special ones included"},
    {"seed", OPTION_WHOLE, "N", "42", 0, INT64_MAX, "seed of all random choices"},
    {"validation_share", OPTION_REAL, "SHARE", "0.05", 0, 0,
     "share of the documents, the first ones, that are held out for validation"},
    {"shard_tokens", OPTION_SIZE, "N", "16M", 1, INT64_MAX, "tokens of a shard, about"},
    {"skip_damage", OPTION_FLAG, NULL, NULL, 0, 0, "go on behind places where the corpus is damaged"},
    {"resume", OPTION_FLAG, NULL, NULL, 0, 0, "go on with the build in the output directory"},
    {"overwrite_output_dir", OPTION_FLAG, NULL, NULL, 0, 0, "remove an earlier build in the output directory"},
    OPTIONS_THREADS,
};

static pofac_status build(const command_input *in, build_shards_options *b, strbuf *result) {
    progress_bar bar;
    TRY(interruption_begin(in->stop, in->sink));
    progress_bar_begin(&bar, true, in->sink);
    const diag_sink above = progress_bar_sink(&bar);
    b->stop = in->stop;
    b->progress = progress_bar_show;
    b->progress_user = &bar;
    pofac_status status = build_shards(b, &above, result);
    progress_bar_end(&bar);
    if (status == POFAC_ERR_INTERRUPTED) diag_note(in->sink, NULL, "interrupted: --resume goes on with %s", b->output_dir);
    return status;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const bool resume = option_flag(o, "resume"), overwrite = option_flag(o, "overwrite_output_dir");
    build_shards_options b = {.corpora = o->arguments,
                              .n_corpora = o->n_arguments,
                              .kind = option_text(o, "kind"),
                              .skip_damage = option_flag(o, "skip_damage"),
                              .output_dir = option_text(o, "output_dir"),
                              .vocab = option_text(o, "vocab"),
                              .tokenizer = option_text(o, "tokenizer"),
                              .do_lower_case = option_flag(o, "cased") ? TOKENIZER_OFF : TOKENIZER_UNSET,
                              .mode = option_text(o, "mode"),
                              .max_seq_length = (size_t)option_whole(o, "max_seq_length"),
                              .seed = (uint64_t)option_whole(o, "seed"),
                              .validation_share = option_real(o, "validation_share"),
                              .shard_tokens = (uint64_t)option_size(o, "shard_tokens"),
                              .threads = (size_t)option_whole(o, "threads"),
                              .directory = resume      ? BUILD_RESUME
                                           : overwrite ? BUILD_OVERWRITE
                                                       : BUILD_NEW};
    if (!b.output_dir) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "pofac data build needs --output_dir DIR");
    if (resume && overwrite)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "found --resume and --overwrite_output_dir, wanted one of them");
    strbuf result = STRBUF_INIT;
    pofac_status status = build(in, &b, &result);
    if (status == POFAC_OK) status = arguments_print(in->sink, strbuf_str(&result), result.size);
    strbuf_free(&result);
    return status;
}

const command command_data_build = {.name = "data build",
                                    .arguments = "CORPUS...",
                                    .min_arguments = 1,
                                    .max_arguments = SIZE_MAX,
                                    .rows = rows,
                                    .n_rows = sizeof rows / sizeof *rows,
                                    .run = run,
                                    .meaning = "make shards of examples for pre-training of a corpus (files or directories)",
                                    .details = "What was made is printed as one JSON object. A build that was interrupted goes on "
                                               "with --resume; its files are the same then, byte for\n"
                                               "byte, as they are for any number of threads."};
