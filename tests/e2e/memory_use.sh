#!/bin/bash
# BERT-Base's resident memory on one sequence of 128 tokens, whatever its weights come from: never more than 1.15 times the weights (in f32,
# as kernels read them), activations, scratch, and 90 MB for the program, its libraries (LLVM's has 60) and what malloc keeps. Weights that
# kernels want packed are in memory once, so are those in rows; of tables in the file only the rows that were used are.
# label: long
. "$(dirname "$0")/harness.bash"
[ -z "${POFAC_SANITIZE:-}" ] || { echo "SKIP: sanitizers have memory of their own" && exit 77; }
program_bytes=90000000

number() { "$build_dir/json_get" out "$1"; }

# model NAME HEAD FILE: BERT-Base's description with that head; FILE is its checkpoint, or empty.
model() {
    sed -e "s/head=\"[a-z-]*\"/head=\"$2\"/" -e "s#</model>#${3:+<checkpoint path=\"$3\"/>}&#" "$source_dir/examples/bert-base.xml" >"$1.xml"
}

# check NAME WEIGHT_BYTES: both before the first run and at any time.
check() {
    run bench "$1.xml" --sequence 128 --warmup 0 --iterations 2 --json --cache_dir cache "${@:3}"
    wants_status 0
    local most=$(($2 * 115 / 100 + $(number activation_bytes) + $(number scratch_bytes) + program_bytes)) peak ready
    peak=$(number peak_memory_bytes) ready=$(number ready_memory_bytes)
    echo "$1 ${*:3}: weights $2 bytes, resident $ready before the first run, at most $peak, bound $most, packed in $(number pack_ms) ms"
    [ "$peak" -le "$most" ] || fail "$1: at most $peak bytes were resident, wanted at most $most"
    [ "$ready" -le "$peak" ] || fail "$1: $ready bytes were resident before the first run, at most $peak at any time"
}

model drawn sequence-classification ""
model lm masked-lm ""
run bench drawn.xml --sequence 16 --warmup 0 --iterations 1 --json --cache_dir cache
wants_status 0
weights=$(number weight_bytes)
[ "$weights" -gt 430000000 ] || fail "weight_bytes is $weights, wanted BERT-Base's 438 MB"
check drawn "$weights"
for dtype in f32 bf16 f16; do
    model $dtype sequence-classification $dtype.safetensors
    ok "$build_dir/make_checkpoint" drawn.xml $dtype.safetensors $dtype
    check $dtype "$weights"
    check $dtype "$weights" --threads 1
    rm $dtype.safetensors
done
# The decoder is the table of words: packed for the one, in the file for the other.
ok "$build_dir/make_checkpoint" lm.xml lm.safetensors
model tied masked-lm lm.safetensors
check tied "$weights"
finish
