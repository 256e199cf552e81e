/* pofac tokenize: lines of text in, one JSON object per line out. */
#include "frontend/cli/arguments.h"
#include "frontend/driver/tokenize_file.h"

static const option_row rows[] = {
    {"vocab", OPTION_READS, "FILE", NULL, 0, 0, "vocabulary, one token per line (required)"},
    {"cased", OPTION_FLAG, NULL, NULL, 0, 0, "keep case and accents, for cased vocabularies"},
    {"no_special_tokens", OPTION_FLAG, NULL, NULL, 0, 0, "leave out [CLS] and [SEP]"},
};

static pofac_status write_out(void *user, const char *bytes, size_t n) { return arguments_print(user, bytes, n); }

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const tokenize_file_options t = {
        .vocab = option_text(o, "vocab"),
        .do_lower_case = option_flag(o, "cased") ? TOKENIZER_OFF : TOKENIZER_ON,
        .mode = option_flag(o, "no_special_tokens") ? TOKENIZE_WITHOUT_SPECIALS : TOKENIZE_WITH_SPECIALS,
    };
    if (!t.vocab) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "pofac tokenize needs --vocab FILE");
    return tokenize_file(o->n_arguments ? o->arguments[0] : "-", &t, write_out, (void *)in->sink, in->sink);
}

const command command_tokenize = {
    .name = "tokenize",
    .arguments = "[FILE]",
    .max_arguments = 1,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "split lines of text (FILE or standard input) into WordPiece tokens, as JSON lines",
    .details =
        "Each line gives {\"tokens\": [...], \"ids\": [...], \"offsets\": [[begin, end], ...]}, offsets in bytes of the line."};
