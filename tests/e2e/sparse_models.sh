#!/bin/bash
# Pruned checkpoints: weights with enough zeros are read sparse, kernels of large ones are chosen by measurement, once; what was chosen is
# in the IR, can be pinned, and results are those of the interpreter.
. "$(dirname "$0")/harness.bash"

# model NAME HIDDEN INTERMEDIATE ZEROS [STRUCTURE]: one layer, with a checkpoint.
model() {
    local bert="hidden_size=\"$2\" intermediate_size=\"$3\" num_attention_heads=\"4\" num_hidden_layers=\"1\" vocab_size=\"50\""
    local start="<pofac xmlns=\"urn:pofac:1\"><model name=\"m\" head=\"sequence-classification\" num_labels=\"3\"><bert $bert/>"
    echo "$start</model></pofac>" >drawn.xml
    echo "$start<checkpoint path=\"$1.safetensors\"/></model></pofac>" >"$1.xml"
    ok "$build_dir/make_checkpoint" drawn.xml "$1.safetensors" f32 "$4" ${5:+"$5"}
}

ok "$build_dir/make_tensors" in.safetensors input_ids:i64:3,7:2,7,9,11,12,3,0,2,8,3,0,0,0,0,2,6,7,8,9,10,3 \
    attention_mask:i64:3,7:1,1,1,1,1,1,0,1,1,1,0,0,0,0,1,1,1,1,1,1,1

# parity NAME OPTION...: compiled code gives what the interpreter gives.
parity() {
    local name=$1
    shift
    [ -f "$name-wanted.safetensors" ] || { run predict "$name.xml" --tensors in.safetensors -o "$name-wanted.safetensors" --interpreter --last_hidden_state; wants_status 0; }
    for threads in 1 2; do
        run predict "$name.xml" --tensors in.safetensors -o out$threads.safetensors --last_hidden_state --threads $threads --cache_dir cache "$@"
        wants_status 0
    done
    ok "$build_dir/compare_tensors" out1.safetensors "$name-wanted.safetensors" --tolerance=1e-5 --mask=in.safetensors
    ok cmp out1.safetensors out2.safetensors
}

# ---- small weights: the rule ----

model small 32 48 60
run compile small.xml --emit=ir -o small.pir --cache_dir cache
wants_status 0
wants_quiet err
[ "$(grep -c '= pattern ' small.pir)" = 6 ] || fail "small.pir has $(grep -c '= pattern ' small.pir) patterns, wanted 6"
grep -q variant small.pir && fail "small.pir: a variant without a measurement"
parity small
run compile small.xml --cache_dir cache
wants_status 0
grep -qx 'steps     [0-9]*, 0 of them by reference evaluators' out || fail "$last: $(cat out)"
run compile small.xml --graph_only --print_after=sparsify --print_scope=encoder.layer.0.intermediate.dense
wants_status 0
grep -q '%[0-9]* = linear %[0-9]*, %[0-9]*, %[0-9]*, %[0-9]* ' out || fail "$last: no sparse linear"

model few 32 48 30
run compile few.xml --emit=ir -o few.pir --cache_dir cache
wants_status 0
grep -q 'pattern' few.pir && fail "few.pir: 30 % of zeros make a weight sparse by the rule"
run compile few.xml --emit=ir -o few.pir --pipeline='sparsify{min_sparsity=10}' --kernel_variant='value:sparse_linear layout=stream' --cache_dir cache
wants_status 0
[ "$(grep -c '= pattern ' few.pir)" = 1 ] || fail "$last: $(grep -c '= pattern ' few.pir) patterns, wanted 1"

# ---- large weights: measurements ----

model large 512 1024 90
run compile large.xml --emit=ir -o first.pir --cache_dir cache
wants_status 0
grep -qx 'note: measuring [0-9]* kernels for [0-9]* kinds of weights, kept in cache/costs' err || fail "$last: no note: $(cat err)"
[ "$(grep -c 'linear .*variant = "sparse_linear .*tile=' first.pir)" = 6 ] ||
    fail "$last: $(grep -c 'linear .*variant = "sparse_linear .*tile=' first.pir) sparse variants, wanted 6"
run compile large.xml --emit=ir -o second.pir --cache_dir cache
wants_status 0
wants_quiet err
ok cmp first.pir second.pir
parity large
run compile large.xml --emit=ir -o eight.pir --cache_dir cache --tune_tokens 8 # the products of all tokens are another question
wants_status 0
grep -qx 'note: measuring [0-9]* kernels for 1 kind of weights, kept in cache/costs' err || fail "$last: no note: $(cat err)"
parity large --tune_tokens 8
run bench large.xml --cache_dir cache --batch 2 --sequence 16 --iterations 2 --threads 1
wants_status 0
wants_quiet err
grep -q 'sparse_linear' out || fail "$last: no sparse_linear among the kernels"
run inspect large.xml --cache_dir cache
wants_status 0
grep -qE '^bert\.encoder\.layer\.0\.output\.dense\.weight +\[512,1024\] +(89|90)\.[0-9]*% f32 +2097152 +0\.[67][0-9]  stream k_block=' out ||
    fail "$last: $(grep output.dense.weight out)"

run compile large.xml --emit=ir -o rule.pir --cache_dir cache --tune off
wants_status 0
wants_quiet err
[ "$(grep -c '= pattern ' rule.pir)" = 6 ] || fail "rule.pir: $(grep -c '= pattern ' rule.pir) patterns, wanted 6"
grep -q variant rule.pir && fail "rule.pir: a variant without a measurement"
run compile large.xml --emit=ir -o again.pir --cache_dir cache --tune=again
wants_status 0
grep -q 'note: measuring' err || fail "$last: nothing is measured"

# The text says all: passes that run on it change no choice, and measure nothing.
run opt first.pir --pipeline=sparsify,layout,canonicalize,cse,dce,fuse,plan-memory -o again.pir
wants_status 0
wants_quiet err
ok cmp first.pir again.pir

# A file of times that is damaged is measured anew.
for file in cache/costs/*; do printf x >"$file"; done
run compile large.xml --emit=ir -o second.pir --cache_dir cache
wants_status 0
grep -q 'note: measuring' err || fail "$last: damaged files are believed"

# ---- structures ----

# Blocks and N of M are found, measured beside the stream of non-zeros, and read as what measured fastest: that is up to the machine, but the
# weights are structured enough that their layouts are asked about. Pinned, each runs, and inspect shows it.
structured() {
    local name=$1 zeros=$2 structure=$3 variant=$4 layout=$5
    model "$name" 512 512 "$zeros" "$structure"
    run compile "$name.xml" --emit=ir -o "$name.pir" --cache_dir "cache-$name"
    wants_status 0
    cat "cache-$name"/costs/* >times
    grep -aq "sparse_linear $variant" times || fail "$name: $variant was not measured"
    [ "$zeros" -lt 90 ] || [ "$(grep -c 'linear .*variant = "sparse_linear .*tile=' "$name.pir")" = 6 ] || fail "$name: $(grep -c sparse_linear "$name.pir") sparse variants, wanted 6"
    parity "$name"
    parity "$name" --kernel_variant="sparse_linear $variant" --tune=off
    run inspect "$name.xml" --cache_dir cache --kernel_variant="sparse_linear $variant" --tune=off
    wants_status 0
    [ "$(grep -c " $layout k_block=" out)" = 6 ] || fail "$last: $(grep encoder out)"
}
structured columns 90 4x1 'layout=blocks tile=32 k_block=256 rows=512 block_rows=4 block_columns=1' 'blocks 4x1'
structured tall 90 16x1 'layout=blocks tile=32 k_block=256 rows=512 block_rows=8 block_columns=1' 'blocks 8x1'
structured rows 90 1x4 'layout=blocks tile=32 k_block=256 rows=512 block_rows=1 block_columns=4' 'blocks 1x4'
structured squares 90 4x4 'layout=blocks tile=32 k_block=256 rows=512 block_rows=4 block_columns=4' 'blocks 4x4'
structured two_of_four 50 2:4 'layout=n_m tile=32 k_block=256 rows=512 keep=2 of=4' 'n_m 2:4'
structured one_of_eight 50 1:8 'layout=n_m tile=32 k_block=256 rows=512 keep=1 of=8' 'n_m 1:8'
run compile columns.xml --cache_dir cache-columns --graph_only --print_after=sparsify --print_scope=encoder.layer.0.intermediate.dense
wants_status 0
grep -q 'linear .*variant = "sparse_linear layout=' out || fail "$last: no variant is shown"
run predict large.xml --tensors in.safetensors -o none.safetensors --cache_dir cache --kernel_variant='sparse_linear layout=n_m keep=1 of=4' --tune=off
wants_status 3
grep -q ' has more than 1 non-zeros in the 4 columns from ' err || fail "$last: $(cat err)"

# ---- pins ----

parity large --kernel_variant='sparse_linear layout=stream tile=16 k_block=100 rows=200'
run compile large.xml --emit=ir -o pinned.pir --cache_dir cache --kernel_variant='sparse_linear layout=stream tile=16' \
    --kernel_variant='attention.*query:linear panel=4' --tune=off
wants_status 0
wants_quiet err
[ "$(grep -c 'variant = "sparse_linear layout=stream tile=16"' pinned.pir)" = 5 ] || fail "$last: $(grep variant pinned.pir)"
[ "$(grep -c 'variant = "linear panel=4"' pinned.pir)" = 1 ] || fail "$last: $(grep variant pinned.pir)"
grep -q 'tiles<16>' pinned.pir || fail "$last: no tiles of 16"
grep -q 'tiles<32>' pinned.pir && fail "$last: tiles of 32"
parity large --kernel_variant='blas_linear tile=32' --tune=off
parity large --kernel_variant='sparse_linear tile=64 layout=blocks block_rows=4 block_columns=1' --tune=off

run compile large.xml --cache_dir cache --kernel_variant='sparse_liner tile=16'
wants_status 2
grep -qx 'error: variant "sparse_liner tile=16": no kernel is called "sparse_liner"; did you mean "sparse_linear"?' err || fail "$last: $(cat err)"
run compile large.xml --cache_dir cache --tune=sometimes
wants_status 2
finish
