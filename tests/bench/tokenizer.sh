#!/bin/bash
# How fast text becomes tokens on one thread, beside Hugging Face's tokenizers where they are (tests/bench/install_peers.sh): MB/s of processor time, both in turns, median
# of the rounds, and the ratio. Both must give the same number of tokens.
#
#   tests/bench/tokenizer.sh [--option=value...] [FILE]      default FILE: the articles of ../shared/data/wikipedia
#
#   --build=DIR          where bench_tokenizer is, default build/release (cmake --build DIR --target benchmarks)
#   --vocab=FILE         default: bert-base-uncased's in ../shared/data/vocab
#   --tokenizer=FILE     tokenizer.json with the same vocabulary, default: that of all-MiniLM-L6-v2 there
#   --rounds=N           default 5, each of three passes over the file
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."
shared=${POFAC_SHARED:-../shared}
build=build/release
vocab=$shared/data/vocab/bert-base-uncased-vocab.txt
tokenizer=$shared/data/vocab/all-MiniLM-L6-v2-tokenizer.json
rounds=5
file=
for option; do
    case $option in
    --build=* | --vocab=* | --tokenizer=* | --rounds=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    -*)
        echo "error: unknown option $option; see the comment on top of tests/bench/tokenizer.sh" >&2
        exit 2
        ;;
    *) file=$option ;;
    esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$file" ]; then
    file=$work/text
    zcat "$shared/data/wikipedia/squad_train_articles_paragraphs.txt.gz" >"$file"
fi
peer=build/peers/node_modules/tokenizers
[ -d "$peer" ] || echo "Hugging Face's tokenizers are absent; tests/bench/install_peers.sh installs them" >&2
median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }
for ((i = 0; i < rounds; i++)); do
    "$build/bench_tokenizer" "$vocab" "$file" 3 >>"$work/ours"
    [ ! -d "$peer" ] || node tests/bench/peer_tokenizers.js "$peer" "$tokenizer" "$file" 3 >>"$work/theirs"
done
ours=$(sed 's/.*: \(.*\) MB\/s.*/\1/' "$work/ours" | median)
echo "pofac: $(sed -n '1s/: .*//p' "$work/ours"), $ours MB/s"
[ -d "$peer" ] || exit 0
[ "$(sed 's/:.*//' "$work/ours" "$work/theirs" | sort -u | wc -l)" = 1 ] || {
    echo "error: the numbers of tokens differ" >&2
    sed 's/:.*//' "$work/ours" "$work/theirs" | sort -u >&2
    exit 1
}
theirs=$(sed 's/.*: \(.*\) MB\/s.*/\1/' "$work/theirs" | median)
echo "tokenizers: $theirs MB/s; pofac is $(awk "BEGIN {printf \"%.1f\", $ours / $theirs}") times as fast"
