#!/bin/bash
# Compiled models: how large their files are, and how long it takes until a model can run, beside the directory that it was made from. Prints a table in
# Markdown: bytes of the file, of the encoder's part of it (all but the embeddings' tables, which lie in f32), how many times smaller that is than the
# encoder's parameters dense in f32, the time to open the file (checksums, decoding), to make it ready (graph, code, weights), their sum, and the time until
# the directory is ready with a warm object cache. Times are the least of ROUNDS processes, files in the page cache.
#
# The default is BERT-Base from a seed: dense, with 90 % zeros by magnitude, and that in 8 bits with ranges of rows as they come. Sizes do not change from run to
# run; the exit status is 1 when the last of the three is less than 18 times smaller than dense f32.
#
#   tests/bench/compiled.sh [--option=value...] [MODEL...]      other models instead
#
#   --build=DIR             where the programs are, default build/release
#   --model=MODEL           which the default ones are made of, default examples/bert-base.xml
#   --head=NAME             its head, default sequence-classification
#   --sparsity=X            share of zeros, default 0.9
#   --rounds=N              processes per model, default 15
#   --threads=N             default: all
#   --tune=auto             kernels as this machine measures them, default off: by a rule, so that sizes are the same wherever they are measured
#   --work=DIR              where models are written, default build/compiled
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=build/release
model=examples/bert-base.xml
head=sequence-classification
sparsity=0.9
rounds=15
threads=0
tune=off
work=build/compiled
models=()
least_ratio=0 # of the last model
for option; do
    case $option in
    --build=* | --model=* | --head=* | --sparsity=* | --rounds=* | --threads=* | --tune=* | --work=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    -*)
        echo "unknown option $option; the options are in the first lines of $0" >&2
        exit 2
        ;;
    *) models+=("$option") ;;
    esac
done
pofac=$build/pofac
mkdir -p "$work"

# quiet COMMAND...: what it says is shown when it fails
quiet() {
    "$@" >"$work/log" 2>&1 && return
    cat "$work/log" >&2
    exit 1
}

if [ ${#models[@]} = 0 ]; then
    quiet "$pofac" prune "$model" --head "$head" --target_sparsity 0 --output_dir "$work/dense" --overwrite_output_dir
    quiet "$pofac" prune "$work/dense" --target_sparsity "$sparsity" --output_dir "$work/sparse" --overwrite_output_dir
    quiet "$pofac" quantize "$work/sparse" --method dynamic --output_dir "$work/int8" --overwrite_output_dir
    models=("$work/dense" "$work/sparse" "$work/int8")
    least_ratio=18
fi

# least FIELD MODEL: of open_ms, build_ms and pack_ms those of the round in which their sum was least, and the sum
least() {
    local i
    for ((i = 0; i < rounds; i++)); do
        "$pofac" bench "$1" --batch 1 --sequence 16 --iterations 1 --warmup 0 --threads "$threads" --tune "$tune" --json 2>/dev/null
    done | sed 's/.*"open_ms": \([0-9.e+-]*\), "build_ms": \([0-9.e+-]*\), "pack_ms": \([0-9.e+-]*\),.*/\1 \2 \3/' |
        awk '{ sum = $1 + $2 + $3 } NR == 1 || sum < best { best = sum; open = $1; ready = $2 + $3 } END { printf "%.1f %.1f %.1f\n", open, ready, best }'
}

echo "| model | file MB | encoder MB | smaller than dense f32 | open ms | ready ms | both ms | directory ms |"
echo "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
for m in "${models[@]}"; do
    file=$work/$(basename "$m").pofac
    quiet "$pofac" compile "$m" --output "$file" --tune "$tune"
    # parameters by `pofac inspect`: name, shape, ...; tables of embeddings are named so
    read -r encoder tables < <("$pofac" inspect "$m" --json 2>/dev/null | grep -o '"name": "[^"]*", "shape": \[[0-9, ]*\]' |
        sed 's/"name": "\([^"]*\)", "shape": \[\(.*\)\]/\1 \2/; s/, */*/g' |
        awk '{ n = split($2, d, "*"); e = 1; for (i = 1; i <= n; i++) e *= d[i] }
             /embeddings\.[a-z_]*embeddings\.weight/ { t += 4 * e; next } /encoder\.layer|transformer\.layer/ { s += 4 * e } END { print s + 0, t + 0 }')
    bytes=$(stat -c %s "$file")
    read -r open ready both < <(least "$file")
    read -r _ _ directory < <(least "$m")
    awk -v name="$(basename "$m")" -v bytes="$bytes" -v tables="$tables" -v encoder="$encoder" -v o="$open" -v r="$ready" -v b="$both" -v d="$directory" 'BEGIN {
        printf "| %s | %.1f | %.1f | %.1f x | %s | %s | %s | %s |\n", name, bytes / 1e6, (bytes - tables) / 1e6, encoder / (bytes - tables), o, r, b, d }'
done
if ! awk -v e="$encoder" -v n=$((bytes - tables)) -v wanted="$least_ratio" 'BEGIN { exit !(wanted == 0 || (n > 0 && e >= wanted * n)) }'; then
    echo "the encoder of $(basename "$m") is less than $least_ratio times smaller than in dense f32: $((bytes - tables)) bytes of $encoder" >&2
    exit 1
fi
