/* pofac data vocab: a WordPiece vocabulary of a corpus. */
#include "frontend/cli/arguments.h"
#include "frontend/cli/progress_bar.h"
#include "frontend/driver/train_vocabulary.h"

static const option_row rows[] = {
    {"output", OPTION_WRITES, "FILE", "vocab.txt", 0, 0, "file that is written; -o FILE does the same"},
    {"kind", OPTION_TEXT, "KIND", NULL, 0, 0, "kind of corpus (`pofac list corpora`); absent: told from the files"},
    {"vocab_size", OPTION_WHOLE, "N", "30522", 5, 1 << 24,
     "tokens, the five special ones included; fewer where the words give no more"},
    {"min_frequency", OPTION_WHOLE, "N", "2", 1, INT64_MAX, "pieces that occur less often side by side are not joined"},
    {"limit_alphabet", OPTION_WHOLE, "N", "1000", 1, 1 << 21, "characters that are kept, the most frequent ones"},
    {"cased", OPTION_FLAG, NULL, NULL, 0, 0, "keep case and accents"},
    {"skip_damage", OPTION_FLAG, NULL, NULL, 0, 0, "go on behind places where the corpus is damaged"},
    OPTIONS_THREADS,
};

static pofac_status train(const command_input *in, train_vocabulary_options *t, strbuf *result) {
    progress_bar bar;
    TRY(interruption_begin(in->stop, in->sink));
    progress_bar_begin(&bar, true, in->sink);
    const diag_sink above = progress_bar_sink(&bar);
    t->stop = in->stop;
    t->progress = progress_bar_show;
    t->progress_user = &bar;
    pofac_status status = train_vocabulary(t, &above, result);
    progress_bar_end(&bar);
    return status;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    train_vocabulary_options t = {.corpora = o->arguments,
                                  .n_corpora = o->n_arguments,
                                  .kind = option_text(o, "kind"),
                                  .skip_damage = option_flag(o, "skip_damage"),
                                  .output = option_text(o, "output"),
                                  .tokenizer = {.do_lower_case = option_flag(o, "cased") ? TOKENIZER_OFF : TOKENIZER_ON,
                                                .strip_accents = option_flag(o, "cased") ? TOKENIZER_OFF : TOKENIZER_ON,
                                                .tokenize_chinese_chars = TOKENIZER_ON},
                                  .training = {.vocab_size = (size_t)option_whole(o, "vocab_size"),
                                               .min_frequency = (uint64_t)option_whole(o, "min_frequency"),
                                               .limit_alphabet = (size_t)option_whole(o, "limit_alphabet")},
                                  .most_words = VOCABULARY_MOST_WORDS,
                                  .threads = (size_t)option_whole(o, "threads")};
    strbuf result = STRBUF_INIT;
    pofac_status status = train(in, &t, &result);
    if (status == POFAC_OK) status = arguments_print(in->sink, strbuf_str(&result), result.size);
    strbuf_free(&result);
    return status;
}

const command command_data_vocab = {.name = "data vocab",
                                    .arguments = "CORPUS...",
                                    .min_arguments = 1,
                                    .max_arguments = SIZE_MAX,
                                    .rows = rows,
                                    .n_rows = sizeof rows / sizeof *rows,
                                    .run = run,
                                    .meaning = "make a WordPiece vocabulary of a corpus (files or directories)",
                                    .details =
                                        "The same corpus and options give the same file, for any number of threads. What was made "
                                        "is printed as one JSON object."};
