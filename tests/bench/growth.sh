#!/bin/bash
# How the time of a sparse BERT grows with tokens, layers, hidden size, non-zeros and threads, one of them at a time: models with random weights of which
# the smallest are zero, timed by `pofac bench`. Writes the data as DIRECTORY/growth.tsv and a picture with logarithmic axes as DIRECTORY/growth.svg, and
# prints the exponents of least-squares fits on logarithms in Markdown. Fails when the time of the encoder's linear layers is not linear in non-zeros x
# tokens: the fit over all points of one thread has an exponent outside of 0.9 to 1.1.
#
#   tests/bench/growth.sh [--option=value...] [DIRECTORY]      default: build/growth
#
#   --build=DIR             where the programs are, default build/release
#   --tokens="32 ..."       in sequences of at most 128; default from 32 to 8192, larger ones up to the memory's limit: --tokens="8192 65536 524288"
#   --layers="1 ..."        default from 1 to 16
#   --hidden="128 ..."      hidden sizes, multiples of 64; four times as many in the middle of the FFN; default from 128 to 1536
#   --sparsity="0.5 ..."    shares of zeros; default from 0.5 to 0.98
#   --threads="1 ..."       default 1, 2, 4, ... processors
#   --base="512 2 768 0.9"  tokens, layers, hidden size and sparsity of what does not vary
#   --iterations=N          runs of each point, of which the median counts; default 9
#   --max_memory=SIZE       points whose batch needs more are left out with a note; default: most of what is free
#   --from=FILE             no measuring: the table and the picture of an earlier growth.tsv
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=build/release
tokens="32 64 128 256 512 1024 2048 4096 8192"
layers="1 2 4 8 16"
hidden="128 256 512 768 1024 1536"
sparsity="0.5 0.7 0.8 0.9 0.95 0.98"
threads=
base="512 2 768 0.9"
iterations=9
max_memory=$(awk '/^MemAvailable:/ { printf "%d\n", $2 * 1024 * 0.8 }' /proc/meminfo)
from=
directory=build/growth
for option; do
    case $option in
    --build=* | --tokens=* | --layers=* | --hidden=* | --sparsity=* | --threads=* | --base=* | --iterations=* | --max_memory=* | --from=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    -*)
        echo "error: unknown option $option; see the comment on top of tests/bench/growth.sh" >&2
        exit 2
        ;;
    *) directory=$option ;;
    esac
done
read -r base_tokens base_layers base_hidden base_sparsity <<<"$base"
mkdir -p "$directory"
if [ -n "$from" ]; then exec awk -v svg="$directory/growth.svg" -f tests/bench/growth.awk "$from"; fi
for program in pofac bench_peer_files; do
    [ -x "$build/$program" ] || {
        echo "error: there is no $build/$program; make it: cmake --preset release && cmake --build $build --target pofac benchmarks" >&2
        exit 1
    }
done
if [ -z "$threads" ]; then
    for ((n = 1; n <= $(nproc); n *= 2)); do threads="$threads $n"; done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# make_model LAYERS HIDDEN SPARSITY: $work/model, unless it is that already.
made=
make_model() {
    [ "$made" = "$*" ] && return
    rm -rf "$work/model"
    mkdir "$work/model"
    cat >"$work/model.xml" <<END
<pofac xmlns="urn:pofac:1">
  <model name="growth" head="sequence-classification">
    <bert vocab_size="512" num_hidden_layers="$1" hidden_size="$2" num_attention_heads="$(($2 / 64))" intermediate_size="$((4 * $2))"/>
  </model>
</pofac>
END
    "$build/bench_peer_files" --head=sequence-classification --sparsity="$3" "$work/model.xml" "$work/model" 2>"$work/messages" || {
        cat "$work/messages" >&2
        exit 1
    }
    made=$*
}

# linear_share: of all time in kernels, the share of the encoder's linear layers; from the JSON of pofac bench.
linear_share() {
    tr '{' '\n' <"$work/bench.json" | awk -F '"share": ' '
        /"kernel": "(sparse_)?linear"/ && /"scope": "encoder[.]layer[.]/ {
            split($2, value, ",")
            sum += value[1]
        }
        END { printf "%.6f\n", sum }'
}

# measure SERIES TOKENS LAYERS HIDDEN SPARSITY THREADS: a line of the data.
measure() {
    local batch=$((($2 + 127) / 128)) sequence median
    sequence=$(($2 / batch))
    make_model "$3" "$4" "$5"
    "$build/pofac" bench "$work/model" --head none --batch "$batch" --sequence "$sequence" --threads "$6" --warmup 2 --iterations "$iterations" \
        --max_memory "$max_memory" --json >"$work/bench.json" 2>"$work/messages" || {
        echo "note: $1: $2 tokens, $3 layers, hidden size $4, $5 zeros, $6 threads are left out:" >&2
        cat "$work/messages" >&2
        return
    }
    median=$(sed -n 's/.*"median_ms": \([0-9.e+-]*\).*/\1/p' "$work/bench.json" | head -n 1)
    awk -v OFS='\t' -v series="$1" -v tokens=$((batch * sequence)) -v layers="$3" -v hidden="$4" -v sparsity="$5" -v threads="$6" \
        -v ms="$median" -v share="$(linear_share)" \
        'BEGIN { print series, tokens, layers, hidden, sparsity, threads, 12 * layers * hidden * hidden * (1 - sparsity), ms, ms * share }' \
        | tee -a "$directory/growth.tsv" >&2
}

printf 'series\ttokens\tlayers\thidden\tsparsity\tthreads\tnon_zeros\tms\tlinear_ms\n' >"$directory/growth.tsv"
for n in $tokens; do measure tokens "$n" "$base_layers" "$base_hidden" "$base_sparsity" 1; done
for n in $threads; do measure threads "$base_tokens" "$base_layers" "$base_hidden" "$base_sparsity" "$n"; done
for n in $sparsity; do measure non-zeros "$base_tokens" "$base_layers" "$base_hidden" "$n" 1; done
for n in $layers; do measure layers "$base_tokens" "$n" "$base_hidden" "$base_sparsity" 1; done
for n in $hidden; do measure hidden "$base_tokens" "$base_layers" "$n" "$base_sparsity" 1; done
exec awk -v svg="$directory/growth.svg" -f tests/bench/growth.awk "$directory/growth.tsv"
