#!/bin/bash
# From a fresh Debian 12 machine to predictions: installs what is missing, builds pofac into build/release, makes a small model
# (examples/demo_model.c), shows one layer of it as IR before and after the passes, classifies sentences with the compiled model, and turns a
# small embedded corpus into a vocabulary and examples for pre-training.
#
#   examples/quickstart.sh [SENTENCE...]      other sentences than the embedded ones
#
# Needs root, sudo or a network only where packages are missing. May be run again at any time, from anywhere.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."
case ${1-} in
--help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "examples/${0##*/}" && exit 0 ;;
esac

sentences=(
    "A wonderful film with a great cast."
    "The plot is boring and the acting is terrible."
    "It is good."
    "It is very good."
    "It is not good."
    "It is not very good."
    "Not bad at all."
    "I didn't enjoy the music."
    "The beginning was slow, but the ending was brilliant!"
    "There is not a dull moment in this charming, funny story."
    "An absolutely awful waste of two hours."
    "We saw it in the summer."
)
corpus=("${sentences[@]}")
[ $# = 0 ] || sentences=("$@")

title() { printf '\n== %s\n\n' "$1"; }

# logged COMMAND...: its output goes to a file, and is shown when it fails.
logged() {
    "$@" >>"$log" 2>&1 && return
    tail -n 40 "$log" >&2
    echo "error: failed: $*; everything it said is in $log" >&2
    exit 1
}

# number JSON-KEY: the first number of that name in standard input.
number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" | head -n 1; }

title "1. packages and build"
tests/install_packages.sh
mkdir -p build
log=$PWD/build/quickstart.log
: >"$log"
echo "building pofac into build/release (the first time takes a minute or two)"
logged cmake --preset release
logged cmake --build build/release --target pofac demo_model
pofac=build/release/pofac
"$pofac" version

title "2. a model"
work=build/release/quickstart
model=$work/model
rm -rf "$work"
mkdir -p "$work"
build/release/demo_model "$model"
echo "$model holds a BERT whose weights are set by hand to tell positive from negative sentences (examples/demo_model.c says how):"
echo
ls -1 "$model"
"$pofac" inspect "$model" --cache_dir "$work/inspect" | sed -n '1p;$p'

title "3. one layer as IR: from the frontend"
"$pofac" compile "$model" --graph_only --print_before canonicalize --stop_after canonicalize --print_scope encoder.layer.0

title "4. the same layer after the passes: in tiles of 32 tokens, grouped into kernels, with memory slots"
"$pofac" compile "$model" --graph_only --print_after plan-memory --print_scope encoder.layer.0

title "5. compiled, and asked"
cold=$("$pofac" compile "$model" --cache_dir "$work/cache")
warm=$("$pofac" compile "$model" --cache_dir "$work/cache")
printf '%s\n' "${sentences[@]}" >"$work/sentences.txt"
"$pofac" predict "$model" "$work/sentences.txt" --cache_dir "$work/cache" -o "$work/answers.jsonl"
"$pofac" bench "$model" --cache_dir "$work/cache" --batch 1 --sequence 16 --iterations 200 --json >"$work/bench.json"

width=8
for sentence in "${sentences[@]}"; do [ ${#sentence} -le "$width" ] || width=${#sentence}; done
printf '%-*s  %-9s %s\n' "$width" sentence label probability
i=0
while read -r answer; do
    label=$(sed 's/.*"label": "\([^"]*\)".*/\1/' <<<"$answer")
    printf '%-*s  %-9s %.3f\n' "$width" "${sentences[i]}" "$label" "$(number score <<<"$answer")"
    i=$((i + 1))
done <"$work/answers.jsonl"

compiled() { sed -n 's/^compiled  in //p' <<<"$1"; }
printf '\n%-40s %s\n' "model size" "$(stat -c %s "$model/model.safetensors") bytes"
printf '%-40s %s\n' "kernels" "$(sed -n 's/^kernels *//p' <<<"$cold" | sed 's/,.*//'), $(sed -n 's/^code *//p' <<<"$cold")"
printf '%-40s %s\n' "compile time, cold" "$(compiled "$cold")"
printf '%-40s %s\n' "compile time, from the object cache" "$(compiled "$warm")"
printf '%-40s %.3f ms on %d thread%s\n' "a sentence of 16 tokens (median)" "$(number median_ms <"$work/bench.json")" \
    "$(number threads <"$work/bench.json")" "$([ "$(number threads <"$work/bench.json")" = 1 ] || echo s)"
title "6. text to a vocabulary, and to examples for pre-training"
for ((document = 0; document < 24; document++)); do # each a few of the embedded sentences
    for ((i = 0; i < 6; i++)); do echo "${corpus[(5 * document + 7 * i + document / 12) % ${#corpus[@]}]}"; done
    echo
done >"$work/corpus.txt"
"$pofac" data vocab "$work/corpus.txt" --kind text --vocab_size 160 -o "$work/vocab.txt"
"$pofac" data build "$work/corpus.txt" --kind text --vocab "$work/vocab.txt" --max_seq_length 48 --validation_share 0 -o "$work/shards"
echo
echo "an example of them, as it is masked in the first epoch:"
"$pofac" data inspect "$work/shards" --vocab "$work/vocab.txt" --example 1 --masked

printf '\nNext: %s predict MODEL FILE, where MODEL is a Hugging Face directory or an XML description like examples/bert-base.xml\n' "$pofac"
