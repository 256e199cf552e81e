#!/bin/bash
# Compares the head of masked language models, BERT-Base's by default, with PyTorch (tests/bench/install_peers.sh installs it): the loss over the
# vocabulary and the gradients of hidden states, weight and bias. PyTorch computes the tokens that have labels (gathered), and all of them, as Hugging
# Face's models do. With a teacher the loss is all tokens' divergence from it, which PyTorch computes as it is usually written, and 256 tokens at a
# time. Loss and gradients must agree before anything is timed (bench_peers.c). Prints a table in Markdown for each number of threads;
# engines say in the end how much memory they needed beside weights and inputs.
#
#   tests/bench/loss.sh [--option=value...]
#
#   --build=DIR            where the programs are, default build/release
#   --threads="1 2"        numbers of threads
#   --tokens=2048 --labelled=307 --width=768 --vocabulary=30522
#   --teacher=0            the hidden size of a teacher; 0: none
#   --likely=0             the classes that a teacher finds likeliest, instead; 0: none
#   --rounds=N             turns that each engine takes, default 9
#   --clock=wall|cpu       cpu: the time that an engine spends on processors, which says more on a busy machine; for one thread
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=build/release
threads="1 2"
tokens=2048
labelled=307
width=768
vocabulary=30522
teacher=0
likely=0
rounds=9
clock=wall
for option; do
    name=${option%%=*}
    case $name in
    --build | --threads | --tokens | --labelled | --width | --vocabulary | --teacher | --likely | --rounds | --clock)
        [[ $option == *=* ]] || { echo "error: $option has no value, wanted $name=VALUE" >&2 && exit 2; }
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    *)
        echo "error: unknown option $option; see the comment on top of tests/bench/loss.sh" >&2
        exit 2
        ;;
    esac
done
case $clock in
wall | cpu) export PEER_CLOCK=$clock ;;
*) echo "error: --clock is \"$clock\", wanted wall or cpu" >&2 && exit 2 ;;
esac
python=${PYTHON:-/usr/bin/python3} # Debian's, which has Debian's PyTorch
"$python" -c 'import torch' 2>/dev/null || { echo "error: PyTorch is not there; tests/bench/install_peers.sh installs it" >&2 && exit 1; }
for program in bench_peers bench_loss; do
    [ -x "$build/$program" ] || {
        echo "error: there is no $build/$program; make it: cmake --preset release && cmake --build $build --target benchmarks" >&2
        exit 1
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if grep -q avx512f /proc/cpuinfo; then core=SkylakeX; elif grep -q avx2 /proc/cpuinfo; then core=Haswell; else core=; fi

file=$work/$labelled-of-$tokens.bin
variants=("PyTorch, gathered:gathered" "PyTorch, all tokens:all")
if [ "$teacher" -gt 0 ] || [ "$likely" -gt 0 ]; then
    file=$work/$tokens.bin
    variants=("PyTorch, chunked:chunked" "PyTorch:all")
fi
"$build/bench_loss" tokens="$tokens" labelled="$labelled" width="$width" vocabulary="$vocabulary" teacher="$teacher" \
    likely="$likely" write="$file"
for n in $threads; do
    echo "$n thread(s):"
    torch="export PEER_THREADS=$n OMP_NUM_THREADS=$n OPENBLAS_NUM_THREADS=$n OMP_WAIT_POLICY=passive OPENBLAS_THREAD_TIMEOUT=16 OPENBLAS_CORETYPE=$core"
    engines=(--engine="pofac::exec $build/bench_loss serve=1 threads=$n")
    for v in "${variants[@]}"; do engines+=(--engine="$v:$torch; exec $python tests/bench/peer_torch_loss.py ${v#*:}"); done
    "$build/bench_peers" --rounds="$rounds" --tolerance=0.02 "${engines[@]}" "$file"
    sleep 1
done
