#!/bin/bash
# Exports models to ONNX and runs them in ONNX Runtime (tests/bench/install_peers.sh installs it), with its optimizer and without, beside pofac on the same inputs: prints the largest difference of every
# output and how many rows have their greatest element at the same place, and fails where a bound is passed:
#
#   in f32        differences of 1e-5 at most, every row's greatest element at the same place
#   quantized     against pofac's simulation (--quantization=simulate): a twentieth of the largest magnitude (a rounding that goes the other way moves a value by a step of its
#                 8 bits, and those behind it); 99.5 % of the rows
#
#   tests/bench/onnx.sh [--build=DIR] [--peers=DIR] [--inputs=FILE] [MODEL...]
#
#   --build=DIR     where pofac and make_tensors are, default build/release
#   --peers=DIR     where install_peers.sh has put ONNX Runtime, default build/peers
#   --inputs=FILE   input_ids, attention_mask and token_type_ids for the models given; default: 2 made-up sequences of 16 tokens, the second padded
#
# Models: without any those of ../shared/fixtures/forward with their inputs, the quantized ones of ../shared/fixtures/train, and examples/bert-base.xml with random weights.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=build/release
peers=build/peers
inputs=
shared=${POFAC_SHARED:-../shared}
while [ $# -gt 0 ] && [[ $1 == --* ]]; do
    case $1 in
    --build=* | --peers=* | --inputs=*)
        name=${1%%=*}
        printf -v "${name#--}" %s "${1#*=}"
        ;;
    *)
        echo "error: unknown option $1; see the comment on top of tests/bench/onnx.sh" >&2
        exit 2
        ;;
    esac
    shift
done
for program in pofac make_tensors; do
    [ -x "$build/$program" ] || { echo "error: there is no $build/$program" >&2 && exit 1; }
done
[ -d "$peers/node_modules/onnxruntime-node" ] && command -v node >/dev/null || {
    echo "error: ONNX Runtime is not in $peers; tests/bench/install_peers.sh installs it" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# numbers COUNT MOST: whole numbers below MOST, made up.
numbers() { awk -v n="$1" -v most="$2" 'BEGIN { for (i = 0; i < n; i++) printf "%s%d", i ? "," : "", (i * 7919 + 3) % most }'; }

# compare MODEL INPUTS: both kinds of numbers of a line "NAME difference magnitude elements same rows" within their bounds.
compare() {
    local model=$1 given=$2 quantized=0 level options=()
    [ -f "$model/quantization.safetensors" ] && quantized=1 options=(--quantization simulate)
    "$build/pofac" export "$model" --format onnx -o "$work/model.onnx" --overwrite >"$work/report" 2>"$work/notes" || { cat "$work/notes" && failures=$((failures + 1)) && return; }
    "$build/pofac" predict "$model" "${options[@]}" --tensors "$given" -o "$work/wanted.safetensors" 2>"$work/notes" || { cat "$work/notes" && failures=$((failures + 1)) && return; }
    for level in disabled all; do
        if ! node tests/bench/onnx_outputs.js "$peers" "$work/model.onnx" "$given" "$work/wanted.safetensors" $level >"$work/lines"; then
            failures=$((failures + 1))
            continue
        fi
        awk -v model="${model##*/}" -v quantized=$quantized -v level=$level '
            {
                bound = quantized ? $3 / 20 : 1e-5
                good = $2 <= bound && $4 > 0 && $5 >= (quantized ? 0.995 : 1) * $6
                printf "%-36s optimizer %-8s %-26s differs by %s of %s (at most %.1e), same %d of %d: %s\n", model, level, $1, $2, $3, bound, $5, $6, good ? "good" : "BAD"
                if (!good) bad = 1
            }
            END { exit bad }' "$work/lines" || failures=$((failures + 1))
    done
}

ones=$(awk 'BEGIN { for (i = 0; i < 32; i++) printf "%s%d", i ? "," : "", i < 25 }')
"$build/make_tensors" "$work/made.safetensors" "input_ids:i64:2,16:$(numbers 32 500)" "attention_mask:i64:2,16:$ones" "token_type_ids:i64:2,16:$(numbers 32 2)"
if [ $# -gt 0 ]; then
    for model; do compare "$model" "${inputs:-$work/made.safetensors}"; done
else
    for model in "$shared"/fixtures/forward/*; do compare "$model" "$model/inputs.safetensors"; done
    for run in "$shared"/fixtures/train/*-qat; do # what the reference's training ended with
        model=$work/$(basename "$run")
        mkdir "$model"
        cp "$run"/student/* "$run/quantization.safetensors" "$model"
        cp "$run/final.safetensors" "$model/model.safetensors"
        compare "$model" "$shared/fixtures/forward/bert-sequence-classification/inputs.safetensors"
    done
    compare examples/bert-base.xml "$work/made.safetensors"
fi
[ $failures = 0 ] || { echo "$failures failures" && exit 1; }
