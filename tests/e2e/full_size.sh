#!/bin/bash
# BERT-Base, DistilBERT and BERT-Large at full size with random weights: they compile, predict on texts and tensors, give the same bytes on
# one and two threads, and agree with the interpreter. Prints what it took.
# label: long
. "$(dirname "$0")/harness.bash"
cp "$source_dir"/examples/*.xml .
ok "$build_dir/demo_model" demo
ok "$build_dir/make_tensors" in.safetensors input_ids:i64:2,16:101,2023,2003,1037,3185,1012,102,30521,999,1 \
    attention_mask:i64:2,16:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,0,0
cache=$work_dir/cache

number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" out | head -n 1; }
for model in distilbert bert-base bert-large; do
    run compile $model.xml --cache_dir "$cache"
    wants_status 0
    cold=$(sed -n 's/^compiled  in //p' out)
    run compile $model.xml --cache_dir "$cache"
    wants_status 0
    warm=$(sed -n 's/^compiled  in //p' out)
    for threads in 1 2; do
        run predict $model.xml --tensors in.safetensors -o $model-t$threads.safetensors --threads $threads --cache_dir "$cache" --last_hidden_state
        wants_status 0
    done
    ok cmp $model-t1.safetensors $model-t2.safetensors
    run predict $model.xml --tensors in.safetensors -o $model-i.safetensors --interpreter --last_hidden_state
    wants_status 0
    ok "$build_dir/compare_tensors" $model-t1.safetensors $model-i.safetensors --tolerance=1e-5 --mask=in.safetensors && cat ok.log
    INPUT=$'good film\twhich film' run predict $model.xml --vocab demo/vocab.txt --format tsv --cache_dir "$cache"
    wants_status 0
    ok "$build_dir/json_has" --lines=1 out :object
    run bench $model.xml --batch 1 --sequence 128 --iterations 10 --cache_dir "$cache" --json
    wants_status 0
    ok "$build_dir/json_has" out median_ms:positive peak_memory_bytes:positive
    echo "$model: compiled in $cold, from the object cache in $warm; a sequence of 128 tokens in $(number median_ms) ms on" \
        "$(number threads) threads; peak memory $(number peak_memory_bytes) bytes"
done
finish
