#!/bin/bash
# From a fresh Debian 12 machine to a sparse model in 8 bits, without a download but packages, in minutes: installs what is missing, builds pofac into
# build/release, and goes the whole road of examples/quickstart/pipeline.xml on a generated language (examples/generated_language.c): vocabulary,
# pre-training, teacher, 90 % zeros with distillation, two tasks with locked zeros, 8 bits, compiled models. Then it asks them, shows a piece of the IR
# before and after the passes, and ends with a table of scores, sizes and speed, and a report page.
#
#   examples/quickstart.sh [OPTION...] [SENTENCE...]      other sentences than the embedded ones
#
#   --output_dir DIR          where everything goes [build/quickstart]
#   --parameter NAME=VALUE    of the pipeline, like polarity_steps=1000; may be given several times
#
# Needs root, sudo or a network only where packages are missing. May be run again at any time, from anywhere: stages whose inputs are the same are not
# repeated, and one that was interrupted goes on.
set -euo pipefail
export LC_ALL=C.UTF-8
begun=$SECONDS
from=$PWD
cd "$(dirname "$0")/.."
work=$PWD/build/quickstart
parameters=()
sentences=()

usage_error() {
    echo "error: $1; see examples/quickstart.sh --help" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
    --help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "examples/${0##*/}" && exit 0 ;;
    --output_dir | --parameter) [ -n "${2-}" ] || usage_error "$1 without a value" ;;&
    --output_dir) work=$(cd "$from" && realpath -m -- "$2") && shift ;;
    --parameter) parameters+=(--parameter "$2") && shift ;;
    -*) usage_error "unknown option $1" ;;
    *) sentences+=("$1") ;;
    esac
    shift
done
[ ${#sentences[@]} -gt 0 ] || sentences=(
    "the soup is lovely ."
    "the soup is not lovely ."
    "the kettle is never very useful ."
    "the map is not bad ."
    "the coat is splendid but it is quite ugly ."
    "although the coat is quite ugly it is splendid ."
    "although the berry is not stale it is hardly fresh ."
)
context="the old farmer lifted the bucket in the barn . the cook burned the soup near the cellar . the poet borrowed the small map behind the library . the diver painted the anchor near the harbour ."
questions=("who burned the soup ?" "what has the poet borrowed ?" "where has the farmer lifted the bucket ?")

title() { printf '\n== %s\n\n' "$1"; }

# logged COMMAND...: its output goes to a file, and is shown when it fails.
logged() {
    "$@" >>"$log" 2>&1 && return
    tail -n 40 "$log" >&2
    echo "error: failed: $*; everything it said is in $log" >&2
    exit 1
}

# text JSON-KEY, number JSON-KEY: the first of that name in standard input.
text() { sed -n "s/^[^:]*\"$1\": \"\([^\"]*\)\".*/\1/p" | head -n 1; }
number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" | head -n 1; }

# writable DIRECTORY WHAT: makes it; says what for where that is not allowed.
writable() {
    mkdir -p "$1" && [ -w "$1" ] && return
    echo "error: $1: found a folder that cannot be written, wanted one for $2" >&2
    exit 1
}
trap 'echo "interrupted; the same command goes on from here" >&2; exit 130' INT

title "1. packages and build"
writable "$PWD/build" "what is built of this checkout"
writable "$work" "data, models and results (--output_dir)"
tests/install_packages.sh
log=$work/build.log
: >"$log"
echo "building pofac into build/release (the first time takes a minute or two)"
logged cmake --preset release
logged cmake --build build/release --target pofac generated_language
pofac=$PWD/build/release/pofac
"$pofac" version
export XDG_CACHE_HOME=$work/cache # compiled kernels

title "2. a language, and two tasks in it"
logged build/release/generated_language "$work/data"
echo "an article of $work/data/corpus.txt:"
sed '/^$/,$d; s/^/    /' "$work/data/corpus.txt"
echo "sentences with their polarity:"
sed -n '2,4s/^/    /p' "$work/data/polarity/train.tsv"

title "3. vocabulary, pre-training, teacher, 90 % zeros, two tasks, 8 bits, compiled models: examples/quickstart/pipeline.xml"
trap - INT # it says itself where it was interrupted
status=0
"$pofac" run examples/quickstart/pipeline.xml --output_dir "$work/run" --parameter data="$work/data" "${parameters[@]}" >"$work/run.txt" || status=$?
case $status in
0) ;;
2 | 130 | 143) exit "$status" ;; # parameters that are none; a signal
*)
    echo "error: the pipeline has failed; all that a stage said is in $work/run/STAGE/log.txt, and the same command goes on with the one that failed" >&2
    exit "$status"
    ;;
esac

title "4. asked, 90 % sparse and in 8 bits"
polarity=$work/run/polarity-int8-compiled/model.pofac
printf '%s\n' "${sentences[@]}" >"$work/sentences.txt"
"$pofac" predict "$polarity" "$work/sentences.txt" --format text -o "$work/answers.jsonl"
width=8
for sentence in "${sentences[@]}"; do [ ${#sentence} -le "$width" ] || width=${#sentence}; done
printf '%-*s  %-9s %s\n' "$width" sentence label probability
i=0
while read -r answer; do
    printf '%-*s  %-9s %.3f\n' "$width" "${sentences[i]}" "$(text label <<<"$answer")" "$(number score <<<"$answer")"
    i=$((i + 1))
done <"$work/answers.jsonl"
printf '\n%s\n' "$context"
for question in "${questions[@]}"; do printf '{"question": "%s", "context": "%s"}\n' "$question" "$context"; done >"$work/questions.jsonl"
"$pofac" predict "$work/run/questions-int8-compiled/model.pofac" "$work/questions.jsonl" -o "$work/spans.jsonl"
i=0
while read -r answer; do
    printf '    %-42s %s\n' "${questions[i]}" "$(text answer <<<"$answer")"
    i=$((i + 1))
done <"$work/spans.jsonl"

title "5. one linear layer of it as IR: as it was trained, and compiled - quantized, sparse, in tiles of tokens, fused, with memory slots"
layer=(--graph_only --print_scope encoder.layer.0.intermediate)
"$pofac" compile "$work/run/polarity-int8" "${layer[@]}" --print_before canonicalize --stop_after canonicalize
"$pofac" compile "$work/run/polarity-int8" "${layer[@]}" --print_after plan-memory

title "6. results"
cat "$work/run.txt"
echo
echo "scores are those of 1,000 sentences and 1,000 questions that nothing was chosen by; size, compression and speed are those of the polarity models; one thread: a sentence alone, of 11 tokens, the mean of the development set, and batches of 32"
"$pofac" report "$work/run" -o "$work/report.html"
echo
echo "report: $work/report.html"
echo "took $((SECONDS - begun)) s"
printf 'Next: %s predict MODEL FILE, where MODEL is a Hugging Face directory or an XML description like examples/bert-base.xml\n' "build/release/pofac"
