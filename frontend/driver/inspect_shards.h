/* What is in shards: counts, shares and lengths of all examples, and single examples as text. JSON objects on one line. */
#ifndef POFAC_FRONTEND_DRIVER_INSPECT_SHARDS_H
#define POFAC_FRONTEND_DRIVER_INSPECT_SHARDS_H

#include "frontend/driver/interruption.h"
#include "frontend/text/tokenizer.h"
#include "ir/support/strbuf.h"

typedef struct inspect_shards_options {
    const char *split;             /* of a directory: "train" or "validation" */
    const char *vocab, *tokenizer; /* for text: a vocabulary file or a Hugging Face directory; both NULL: ids alone */
    tokenizer_flag do_lower_case;
    bool masked, whole_words; /* as the model sees an example in `epoch` */
    uint32_t epoch;
    uint64_t mask_seed;
    interruption *stop; /* may be NULL */
} inspect_shards_options;

/*
 * Appends what the shards of a directory's split, or one shard, are, after looking at every example and every checksum:
 * {"path", "split", "mode", "seed", "max_length", "vocab_size", "vocabulary", "shards", "documents", "examples", "tokens", "labels": {"next", "random", "none"},
 * "random_share", "unigram_entropy", "lengths": {"mean", "shortest", "longest", "histogram": [{"from", "to", "examples"}, ...]}}; the histogram has eight parts of the length S. unigram_entropy is that
 * of the distribution of single tokens of text, in nats: what a masked LM's loss comes to that knows how frequent tokens are and no more.
 * POFAC_ERR_INPUT: damage; a vocabulary that the shards were not made with.
 */
POFAC_MUST_USE pofac_status inspect_shards(const char *path, const inspect_shards_options *options, const diag_sink *sink,
                                           strbuf *out);

/*
 * Appends one example: {"example", "label": "next" | "random" | null, "n_tokens", "second", "ids", "tokens", "text_a", "text_b"}; masked, with "labels" of the
 * chosen tokens beside: {"position": id, ...}. POFAC_ERR_USAGE: there are fewer examples.
 */
POFAC_MUST_USE pofac_status inspect_shards_example(const char *path, uint64_t example, const inspect_shards_options *options,
                                                   const diag_sink *sink, strbuf *out);

#endif
