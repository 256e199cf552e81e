/* pofac tokenize: lines of text in, one JSON object per line out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "frontend/cli/command.h"
#include "frontend/text/tokenize_lines.h"

static const option_row rows[] = {
    {"vocab", OPTION_TEXT, "FILE", NULL, 0, 0, "vocabulary, one token per line (required)"},
    {"cased", OPTION_FLAG, NULL, NULL, 0, 0, "keep case and accents, for cased vocabularies"},
    {"no_special_tokens", OPTION_FLAG, NULL, NULL, 0, 0, "leave out [CLS] and [SEP]"},
};

static pofac_status write_out(void *user, const char *bytes, size_t n) {
    if (fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0) return POFAC_OK;
    return diag_error(user, POFAC_ERR_RUNTIME, NULL, "cannot write to standard output: %s", strerror(errno));
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const char *vocab = option_text(o, "vocab"), *path = o->n_arguments ? o->arguments[0] : "-";
    if (!vocab) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "pofac tokenize needs --vocab FILE");
    tokenizer_options settings = {.do_lower_case = option_flag(o, "cased") ? TOKENIZER_OFF : TOKENIZER_ON};
    tokenizer *t;
    TRY(tokenizer_create(vocab, &settings, in->sink, &t));
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    pofac_status status;
    if (fd < 0) {
        status = diag_error(in->sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "cannot open: %s", strerror(errno));
    } else {
        tokenize_lines_mode mode = option_flag(o, "no_special_tokens") ? TOKENIZE_WITHOUT_SPECIALS : TOKENIZE_WITH_SPECIALS;
        status = tokenize_lines(t, fd, standard ? "standard input" : path, mode, in->sink, write_out, (void *)in->sink);
        if (!standard) close(fd);
    }
    tokenizer_destroy(t);
    return status;
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
