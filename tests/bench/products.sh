#!/bin/bash
# Sparse linears of BERT's shapes against OpenBLAS, oneDNN and LIBXSMM (tests/bench/install_peers.sh installs the last two): tables in Markdown with the
# share of the machine's peak of multiply-adds, and the peers' times by pofac's. bench_sparse.c says how they are measured. Meant for a quiet machine.
#
#   tests/bench/products.sh [--option=value...] [short|layers|all]
#
#   short    the three shapes of BERT-Base at 90 % zeros and 1, 16, 128, 384 tokens, on one thread and on two; two or three minutes. The default
#   layers   the products of twelve layers of BERT-Base with distinct weights, which do not stay in L2, for 1, 16 and 128 tokens
#   all      six shapes of BERT-Base and BERT-Large, six shares of zeros, seven numbers of tokens: tens of minutes for each number of threads
#
#   --build=DIR        where bench_sparse is, default build/release
#   --threads=1,2      numbers of threads
#   --rounds=9
#   --structure=RxC    zeros in blocks, or --structure=N:M: N of every M columns kept; with --variant, beside the kernel for any zeros ("stream")
#   --shapes=NxK,...   --sparsity=PERCENT,...   --tokens=N,...   instead of those above
#   --peers=NAME,...   of stream, OpenBLAS, oneDNN, LIBXSMM, C (pofac's kernel in C with intrinsics); default all
#   --isa=avx2         for pofac and all peers
#   --tile=W --variant=TEXT      of pofac's kernel, instead of its own choice (codegen/variants.def)
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=build/release
selection=short
threads=1,2
rounds=9
shapes=
sparsity=
tokens=
peers=
isa=
tile=
variant=
structure=
for option; do
    case $option in
    short | layers | all) selection=$option ;;
    --build=* | --threads=* | --rounds=* | --shapes=* | --sparsity=* | --tokens=* | --peers=* | --isa=* | --tile=* | --variant=* | --structure=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    *)
        echo "error: unknown option $option; see the comment on top of tests/bench/products.sh" >&2
        exit 2
        ;;
    esac
done
[ -x "$build/bench_sparse" ] || {
    echo "error: there is no $build/bench_sparse; make it: cmake --preset release && cmake --build $build --target benchmarks" >&2
    exit 1
}
layers=1
case $selection in
short) defaults=("768x768,3072x768,768x3072" 90 "1,16,128,384") ;;
layers)
    defaults=(layer 90 "1,16,128")
    layers=12
    ;;
all) defaults=("768x768,3072x768,768x3072,1024x1024,4096x1024,1024x4096" "50,70,80,85,90,95" "1,8,16,128,384,1024,4096") ;;
esac
grep -m 1 'model name' /proc/cpuinfo | sed 's/.*: //'
exec "$build/bench_sparse" shapes="${shapes:-${defaults[0]}}" sparsity="${sparsity:-${defaults[1]}}" tokens="${tokens:-${defaults[2]}}" \
    layers=$layers threads="$threads" rounds="$rounds" ${peers:+peers="$peers"} ${isa:+isa="$isa"} ${tile:+tile="$tile"} \
    ${variant:+variant="$variant"} ${structure:+structure="$structure"}
