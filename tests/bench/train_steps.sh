#!/bin/bash
# Compares steps of training with PyTorch's (tests/bench/install_peers.sh installs it): steps per second and peak memory of BERT-Base in
# pre-training and in classification, dense and with zeros that are locked, the same weights and batches for both. Losses without dropout
# must agree before anything is timed. Prints tables in Markdown.
#
# A step: forward with dropout, backward, clipping, AdamW; of masked language models only tokens that have labels go through the head, of
# PyTorch too, and with --all_tokens also as Hugging Face's model does it. PyTorch computes weights with zeros as dense ones. Zeros are
# those of the smallest magnitudes of random weights, so at random places. Texts are SST-2's sentences in batches of 32, padded to the
# longest of each: PyTorch computes padding, pofac leaves it out.
#
# Every engine is a process of its own that lives as long as its table's row is measured. OpenBLAS, which does PyTorch's linear layers, is
# told the kernels that fit the processor, and waits without spinning.
#
#   tests/bench/train_steps.sh [--option=value...]
#   tests/bench/train_steps.sh --model=examples/bert-large.xml --heads=pretraining --pretraining=8x128 --sparsity=0.9 --torch=no
#
#   --build=DIR                directory of the release build (build/release)
#   --model=MODEL              (examples/bert-base.xml)
#   --heads="..."              (pretraining sequence-classification texts)
#   --pretraining="BxS ..."    batches of pre-training (16x128)
#   --classification="BxS ..." and of classification (32x128)
#   --masked=P                 percent of tokens with labels in pre-training (15)
#   --sparsity="P ..."         shares of zeros of the encoder's linear weights (0 0.9 0.85)
#   --threads="N ..."          (1 2)
#   --texts=FILE --vocab=FILE  ($POFAC_SHARED or ../shared has SST-2); --texts_limit=N: the first N texts (128)
#   --all_tokens=yes|no        PyTorch's head over all tokens as well (no)
#   --torch=yes|no             pofac alone (yes)
#   --quantization=yes|no      steps of quantization-aware training as well: all linears, input, weight and result (no)
#   --rounds=N --seconds=S     rounds of a row, and the time after which no more begin (5, 600)
#   --clock=wall|cpu           (wall); cpu: the time that an engine spends on processors, which says more on a busy machine; for one thread
#   --pofac_options="..."      further options of bench_peer_train
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=build/release
model=examples/bert-base.xml
heads="pretraining sequence-classification texts"
pretraining=16x128
classification=32x128
masked=15
sparsity="0 0.9 0.85"
threads="1 2"
shared=${POFAC_SHARED:-../shared}
texts=$shared/data/glue/SST-2/dev.tsv
vocab=$shared/data/vocab/bert-base-uncased-vocab.txt
texts_limit=128
all_tokens=no
torch=yes
quantization=no
rounds=5
seconds=600
clock=wall
pofac_options=
for option; do
    name=${option%%=*}
    case $name in
    --build | --model | --heads | --pretraining | --classification | --masked | --sparsity | --threads | --texts | --vocab | --texts_limit | --all_tokens | --torch | --quantization | --rounds | --seconds | --clock | --pofac_options)
        [[ $option == *=* ]] || { echo "error: $option has no value, wanted $name=VALUE" >&2 && exit 2; }
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    *)
        echo "error: unknown option $option; see the comment on top of tests/bench/train_steps.sh" >&2
        exit 2
        ;;
    esac
done

case $clock in
wall | cpu) export PEER_CLOCK=$clock ;;
*) echo "error: --clock is \"$clock\", wanted wall or cpu" >&2 && exit 2 ;;
esac
python=${PYTHON:-/usr/bin/python3} # Debian's, which has Debian's PyTorch
for program in bench_peers bench_peer_files bench_peer_train; do
    [ -x "$build/$program" ] || {
        echo "error: there is no $build/$program; make it: cmake --preset release && cmake --build $build --target benchmarks" >&2
        exit 1
    }
done
if [ "$torch" = yes ] && ! "$python" -c 'import torch' 2>/dev/null; then
    echo "note: PyTorch is not there and left out; tests/bench/install_peers.sh installs it" >&2
    torch=no
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
if grep -qw avx512f /proc/cpuinfo; then coretype=SkylakeX; else coretype=Haswell; fi

# add_torch THREADS FAMILY VARIANT: an option --engine for bench_peers, in the array `engines`.
add_torch() {
    local command
    printf -v command 'export PEER_THREADS=%d OMP_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d OMP_WAIT_POLICY=passive OPENBLAS_THREAD_TIMEOUT=16 OPENBLAS_CORETYPE=%s; exec %q tests/bench/peer_torch_train.py %s %q' \
        "$1" "$1" "$1" "$coretype" "$python" "$3" "$work"
    engines+=("--engine=$2:$3:$command")
}

# compare THREADS HEAD SHARE FILE...
compare() {
    local n=$1 head=$2 share=$3 pofac lock=
    shift 3
    [ "$share" = 0 ] || lock=--lock
    printf -v pofac 'exec %q --threads=%d --head=%s %s %s %q' "$build/bench_peer_train" "$n" "$head" "$lock" "$pofac_options" "$work"
    engines=("--engine=pofac:-:$pofac")
    [ "$quantization" = no ] || engines+=("--engine=pofac in 8 bits:-:${pofac/ --threads=/ --quantize --threads=}")
    [ "$torch" = no ] || add_torch "$n" PyTorch gathered
    [ "$torch$all_tokens$head" != yesyespretraining ] || add_torch "$n" "PyTorch, all tokens" all
    "$build/bench_peers" --steps --memory --rounds="$rounds" --seconds="$seconds" "${engines[@]}" "$@"
}

# Files of the head and the share of zeros; the list of batches in the array `files`.
make_files() {
    local head=$1 share=$2 shape shapes="" with_texts=()
    case $head in
    pretraining) shapes=$pretraining ;;
    sequence-classification) shapes=$classification ;;
    texts)
        head=sequence-classification
        with_texts=(--texts="$texts" --vocab="$vocab" --texts_limit="$texts_limit")
        ;;
    *) echo "error: found the head $head, wanted pretraining, sequence-classification or texts" >&2 && exit 2 ;;
    esac
    rm -f "$work"/*
    # shellcheck disable=SC2086 # shapes are split on purpose
    "$build/bench_peer_files" --head="$head" --labels --masked="$masked" --sparsity="$share" "${with_texts[@]}" "$model" "$work" $shapes
    files=()
    for shape in $shapes; do files+=("$work/$shape.batches.safetensors"); done
    [ ${#with_texts[@]} = 0 ] || files+=("$work/texts.batches.safetensors")
}

grep -m 1 'model name' /proc/cpuinfo | sed 's/.*: //'
for head in $heads; do
    if [ "$head" = texts ] && [ ! -f "$texts" ]; then
        echo "SKIP: texts: there is no $texts; --texts=FILE names others" >&2
        continue
    fi
    for share in $sparsity; do
        make_files "$head" "$share"
        for n in $threads; do
            echo
            echo "$head, zeros $share, $n thread$([ "$n" = 1 ] || echo s):"
            echo
            compare "$n" "$([ "$head" = texts ] && echo sequence-classification || echo "$head")" "$share" "${files[@]}"
        done
    done
done
