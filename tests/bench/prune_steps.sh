#!/bin/bash
# Compares steps of student pruning with PyTorch's (tests/bench/install_peers.sh installs it): a BERT whose linear weights are under masks learns MLM and NSP
# from labels and, over all tokens, from a dense teacher of its size that runs beside it. Steps per second and peak memory at several shares of zeros, the
# same weights, masks and batches for both; losses without dropout must agree before anything is timed. Prints tables in Markdown.
#
# A step: forward of the student with dropout, forward of the teacher, both heads over all tokens, their divergence at temperature 2, backward, clipping, AdamW.
# PyTorch computes original * mask in every step, as the pruning package does, and dense products. A mask stays for 1,000 steps of the published
# schedule, so making masks anew is not in a step (tests/bench/bench_mask_update.c).
#
# Every engine is a process of its own that lives as long as its table's row is measured. OpenBLAS, which does PyTorch's linear layers, is told the kernels
# that fit the processor, and waits without spinning.
#
#   tests/bench/prune_steps.sh [--option=value...]
#
#   --build=DIR              directory of the release build (build/release)
#   --model=MODEL            of student and teacher (examples/bert-base.xml)
#   --shapes="BxS ..."       batches (16x128)
#   --masked=P               percent of tokens with labels (15)
#   --sparsity="P ..."       shares of zeros of the masked weights (0 0.5 0.8 0.9)
#   --threads="N ..."        (1 2)
#   --torch=yes|no           pofac alone (yes)
#   --rounds=N --seconds=S   rounds of a row, and the time after which no more begin (5, 600)
#   --clock=wall|cpu         (wall); cpu: the time that an engine spends on processors, which says more on a busy machine; for one thread
#   --pofac_options="..."    further options of bench_peer_train
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=build/release
model=examples/bert-base.xml
shapes=16x128
masked=15
sparsity="0 0.5 0.8 0.9"
threads="1 2"
torch=yes
rounds=5
seconds=600
clock=wall
pofac_options=
temperature=2
for option; do
    name=${option%%=*}
    case $name in
    --build | --model | --shapes | --masked | --sparsity | --threads | --torch | --rounds | --seconds | --clock | --pofac_options)
        [[ $option == *=* ]] || { echo "error: $option has no value, wanted $name=VALUE" >&2 && exit 2; }
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    *)
        echo "error: unknown option $option; see the comment on top of tests/bench/prune_steps.sh" >&2
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

# Two models of the same kind with other random weights, and the batches.
mkdir "$work/student" "$work/teacher"
# shellcheck disable=SC2086 # shapes are split on purpose
"$build/bench_peer_files" --head=pretraining --labels --masked="$masked" "$model" "$work/student" $shapes
"$build/bench_peer_files" --head=pretraining --seed=43 "$model" "$work/teacher"
files=()
for shape in $shapes; do files+=("$work/student/$shape.batches.safetensors"); done

# compare THREADS SHARE
compare() {
    local n=$1 share=$2 pofac torch_command
    printf -v pofac 'exec %q --threads=%d --head=pretraining --teacher=%q --temperature=%s --masks=%s %s %q' "$build/bench_peer_train" "$n" \
        "$work/teacher" "$temperature" "$share" "$pofac_options" "$work/student"
    engines=("--engine=pofac:-:$pofac")
    if [ "$torch" = yes ]; then
        printf -v torch_command 'export PEER_THREADS=%d OMP_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d OMP_WAIT_POLICY=passive OPENBLAS_THREAD_TIMEOUT=16 OPENBLAS_CORETYPE=%s; exec %q tests/bench/peer_torch_prune.py %q %q %s %s' \
            "$n" "$n" "$n" "$coretype" "$python" "$work/student" "$work/teacher" "$share" "$temperature"
        engines+=("--engine=PyTorch:-:$torch_command")
    fi
    "$build/bench_peers" --steps --memory --rounds="$rounds" --seconds="$seconds" "${engines[@]}" "${files[@]}"
}

grep -m 1 'model name' /proc/cpuinfo | sed 's/.*: //'
for share in $sparsity; do
    for n in $threads; do
        echo
        echo "zeros $share, $n thread$([ "$n" = 1 ] || echo s):"
        echo
        compare "$n" "$share"
    done
done
