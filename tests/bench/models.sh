#!/bin/bash
# What the models of examples/ cost: compiled cold and from the object cache, run on 1 x 128 and 8 x 128 tokens, and in memory. Weights are random, which changes
# nothing about time. Prints a table in Markdown.
#
#   tests/bench/models.sh [POFAC]      the program to measure; default build/release/pofac
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."
pofac=${1:-build/release/pofac}
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT

# number KEY: the first number of that name in standard input.
number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" | head -n 1; }

# milliseconds MODEL: graph, passes and code, as `pofac compile` tells.
milliseconds() { "$pofac" compile "$1" --cache_dir "$cache/objects" 2>/dev/null | sed -n 's/^compiled *in \([0-9.]*\) ms.*/\1/p'; }

"$pofac" version | tail -n 1
echo
echo "| model | compile, cold | from the object cache | 1 x 128, 1 thread | 8 x 128, 1 thread | 8 x 128, 2 threads | peak memory, 1 x 128 |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
for name in distilbert bert-base bert-large; do
    model=examples/$name.xml
    rm -rf "$cache/objects"
    cold=$(milliseconds "$model")
    warm=$(for _ in 1 2 3; do milliseconds "$model"; done | sort -g | sed -n 2p)
    runs=()
    for shape in "1 1" "8 1" "8 2"; do
        read -r batch threads <<<"$shape"
        "$pofac" bench "$model" --cache_dir "$cache/objects" --batch "$batch" --sequence 128 --threads "$threads" --iterations 9 --json \
            >"$cache/bench.json" 2>/dev/null
        runs+=("$(number median_ms <"$cache/bench.json")")
        [ "$batch" = 1 ] && memory=$(number peak_memory_bytes <"$cache/bench.json")
    done
    printf '| %s | %.0f ms | %.1f ms | %.0f ms | %.0f ms | %.0f ms | %.2f GB |\n' "$name" "$cold" "$warm" "${runs[@]}" \
        "$(awk "BEGIN { print $memory / 1e9 }")"
done
