/* pofac data inspect: what is in shards, as JSON. */
#include "frontend/cli/arguments.h"
#include "frontend/driver/inspect_shards.h"

static const option_row rows[] = {
    {"split", OPTION_CHOICE, "train|validation", "train", 0, 0, "which shards of a directory"},
    {"example", OPTION_WHOLE, "N", NULL, 0, INT64_MAX, "show this example, numbered from 0, instead of counts"},
    {"vocab", OPTION_READS, "FILE", NULL, 0, 0, "vocabulary that the shards were made with, to show text"},
    {"tokenizer", OPTION_READS, "DIR", NULL, 0, 0, "instead of --vocab: the model's directory"},
    {"cased", OPTION_FLAG, NULL, NULL, 0, 0, "as when the shards were made"},
    {"masked", OPTION_FLAG, NULL, NULL, 0, 0, "show the example as it is masked in an epoch"},
    {"epoch", OPTION_WHOLE, "N", "0", 0, UINT32_MAX, "which epoch, from 0"},
    {"whole_words", OPTION_FLAG, NULL, NULL, 0, 0, "mask whole words"},
    {"seed", OPTION_WHOLE, "N", "42", 0, INT64_MAX, "seed of masking"},
};

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const inspect_shards_options options = {.split = option_text(o, "split"),
                                            .vocab = option_text(o, "vocab"),
                                            .tokenizer = option_text(o, "tokenizer"),
                                            .do_lower_case = option_flag(o, "cased") ? TOKENIZER_OFF : TOKENIZER_UNSET,
                                            .masked = option_flag(o, "masked"),
                                            .whole_words = option_flag(o, "whole_words"),
                                            .epoch = (uint32_t)option_whole(o, "epoch"),
                                            .mask_seed = (uint64_t)option_whole(o, "seed"),
                                            .stop = in->stop};
    strbuf text = STRBUF_INIT;
    TRY(interruption_begin(in->stop, in->sink));
    if (options.masked && !option_given(o, "example"))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--masked needs --example N");
    pofac_status status = option_given(o, "example") ? inspect_shards_example(o->arguments[0], (uint64_t)option_whole(o, "example"),
                                                                              &options, in->sink, &text)
                                                     : inspect_shards(o->arguments[0], &options, in->sink, &text);
    if (status == POFAC_OK) status = arguments_print(in->sink, strbuf_str(&text), text.size);
    strbuf_free(&text);
    return status;
}

const command command_data_inspect = {.name = "data inspect",
                                      .arguments = "DIR|SHARD",
                                      .min_arguments = 1,
                                      .max_arguments = 1,
                                      .rows = rows,
                                      .n_rows = sizeof rows / sizeof *rows,
                                      .run = run,
                                      .meaning =
                                          "say what is in shards, after checking all of it, or show one example with its text"};
