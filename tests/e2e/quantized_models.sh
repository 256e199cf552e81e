#!/bin/bash
# Quantized models: commands compute them in integers, compiled and interpreted alike, as training simulates it, or as if they were not quantized; kernels of large
# products in integers are chosen by measurement, sparse or dense; a damaged file of ranges is named.
. "$(dirname "$0")/harness.bash"

# model NAME HIDDEN INTERMEDIATE ZEROS: a directory, quantized but for its classifier.
model() {
    local sizes="hidden_size=\"$2\" intermediate_size=\"$3\" num_attention_heads=\"4\" num_hidden_layers=\"1\" vocab_size=\"50\""
    mkdir "$1"
    echo "<pofac xmlns=\"urn:pofac:1\"><model name=\"m\" head=\"sequence-classification\" num_labels=\"3\"><bert $sizes/></model></pofac>" >drawn.xml
    ok "$build_dir/make_checkpoint" drawn.xml "$1/model.safetensors" f32 "$4"
    cat >"$1/config.json" <<END
{"model_type": "bert", "architectures": ["BertForSequenceClassification"], "hidden_size": $2, "intermediate_size": $3, "num_attention_heads": 4,
 "num_hidden_layers": 1, "vocab_size": 50, "max_position_embeddings": 512, "type_vocab_size": 2, "num_labels": 3}
END
    local ranges=() layer=bert.encoder.layer.0 module
    for module in $layer.attention.self.{query,key,value} $layer.attention.output.dense $layer.intermediate.dense $layer.output.dense bert.pooler.dense; do
        ranges+=("$module.input_range:f32:2:-4,5" "$module.weight_range:f32:2:-0.1,0.1")
        case $module in *query | *key | *intermediate.dense) ranges+=("$module.output_range:f32:2:-3,3") ;; esac
    done
    ok "$build_dir/make_tensors" "$1/quantization.safetensors" "${ranges[@]}"
}

ok "$build_dir/make_tensors" in.safetensors input_ids:i64:3,7:2,7,9,11,12,3,0,2,8,3,0,0,0,0,2,6,7,8,9,10,3 \
    attention_mask:i64:3,7:1,1,1,1,1,1,0,1,1,1,0,0,0,0,1,1,1,1,1,1,1

# predicts OUT MODEL OPTION...
predicts() {
    local out=$1.safetensors
    shift
    run predict "$1" --tensors in.safetensors -o "$out" --cache_dir cache "${@:2}"
    wants_status 0
}

# near A B TOLERANCE
near() { ok "$build_dir/compare_tensors" "$1.safetensors" "$2.safetensors" --tolerance="$3"; }

# apart A B MORE TOLERANCE: by more than MORE somewhere, and nowhere by more than TOLERANCE. Logits are 0.021 at most.
apart() {
    "$build_dir/compare_tensors" "$1.safetensors" "$2.safetensors" --tolerance="$3" >apart.log
    [ $? = 1 ] || fail "$1 and $2 are within $3: $(cat apart.log)"
    near "$1" "$2" "$4"
}

for zeros in 0 90; do
    model small$zeros 32 48 $zeros
    for threads in 1 2; do predicts integers$threads small$zeros --threads $threads; done
    predicts interpreted small$zeros --interpreter
    predicts simulation small$zeros --quantization simulate
    predicts simulation-interpreted small$zeros --quantization simulate --interpreter
    predicts fp32 small$zeros --quantization off
    ok cmp integers1.safetensors integers2.safetensors
    near integers1 interpreted 1e-6
    near simulation simulation-interpreted 1e-6
    near integers1 simulation 1e-6
    apart integers1 fp32 1e-5 2e-3
    run compile small$zeros --emit=ir -o small.pir --cache_dir cache
    wants_status 0
    [ "$(grep -c '= linear_int8 ' small.pir)" = 7 ] || fail "small$zeros: $(grep -c '= linear_int8 ' small.pir) linears in integers, wanted 7"
    [ "$(grep -c '= linear ' small.pir)" = 1 ] || fail "small$zeros: $(grep -c '= linear ' small.pir) linears in floats, wanted the classifier"
    grep -q fake_quantize small.pir && fail "small$zeros: something is simulated"
    wanted=$([ $zeros = 90 ] && echo 6 || echo 0) # of the encoder's linears, not the pooler's
    [ "$(grep -c '= pattern ' small.pir)" = "$wanted" ] || fail "small$zeros: $(grep -c '= pattern ' small.pir) patterns, wanted $wanted"
    run compile small$zeros --cache_dir cache
    wants_status 0
    grep -qx 'steps     [0-9]*, 0 of them by reference evaluators' out || fail "$last: $(cat out)"
done
run compile small0 --quantization off --emit=ir -o off.pir --cache_dir cache
wants_status 0
grep -q int8 off.pir && fail "--quantization off: there are integers"
# A compiled model is what it was compiled as.
predicts fp32 small90 --quantization off --tune off
run compile small90 -o off.pofac --quantization off --tune off --cache_dir cache
wants_status 0
predicts off off.pofac
ok cmp off.safetensors fp32.safetensors
run compile small90 -o no.pofac --quantization simulate --cache_dir cache
wants_status 2
grep -qx 'error: --quantization: found simulate, wanted integer or off, which a compiled model can be made for' err || fail "$last: $(cat err)"
[ -e no.pofac ] && fail "$last: wrote a model"
run compile small90 -o small90.pofac --tune off --cache_dir cache
wants_status 0
predicts piped small90.pofac --pipeline infer
predicts simulation small90 --pipeline infer --tune off
ok cmp piped.safetensors simulation.safetensors
run bench small90 --batch 2 --sequence 9 --iterations 2 --warmup 1 --cache_dir cache
wants_status 0
grep -q int8_linear out || fail "$last: no kernel in integers"
run inspect small90 --cache_dir cache
wants_status 0
grep -q "^nominal compression of the encoder's weights: 40\.[0-9]* (f32 over the bits of those that are not zero, 8.0 each;" out ||
    fail "$last: no nominal compression about 40: $(grep nominal out)"

# ---- large weights are measured, once ----

model large 512 1024 90
run compile large --emit=ir -o first.pir --cache_dir cache
wants_status 0
grep -q '^note: measuring [0-9]* kernels for [0-9]* kinds of weights' err || fail "$last: no note: $(cat err)"
[ "$(grep -c 'linear_int8.*variant = "[a-z_]*int8_linear ' first.pir)" = 7 ] || fail "first.pir: $(grep linear_int8 first.pir)"
run compile large --emit=ir -o second.pir --cache_dir cache
wants_status 0
wants_quiet err
ok cmp first.pir second.pir
run compile large --emit=ir -o sparse.pir --cache_dir cache --kernel_variant=sparse_int8_linear
wants_status 0
[ "$(grep -c 'linear_int8.*variant = "sparse_int8_linear' sparse.pir)" = 6 ] || fail "$last: wanted 6 sparse products in integers: $(grep linear_int8 sparse.pir)"
# What 8 bits gain is measured by bench, with and without them, and explained: both dense and sparse products were timed, and those in f32.
for how in integer off; do
    run bench large --batch 2 --sequence 9 --iterations 2 --warmup 1 --cache_dir cache --quantization $how
    wants_status 0
    grep -q '^median [0-9.]* ms' out || fail "$last: no median: $(cat out)"
    [ "$(grep -c 'int8_linear' out)" -gt 0 ] && found=integer || found=off
    [ $found = $how ] || fail "$last: wanted kernels for $how: $(cat out)"
done
run inspect large --explain --cache_dir cache
wants_status 0
awk '/^weights shape/ { on = 1; next } on && NF == 0 { exit } on && $3 + 0 > 50 && /int8_linear.*: measured, / { # chosen, dense, sparse, f32
        n += $1; least = $6 < $7 ? $6 : $7
        if (!($5 > 0 && $6 > 0 && $7 > 0 && $8 > 0) || $5 > 1.06 * least) print "odd times: " $0
        if ($8 != $5 && /slower here/ != ($8 < $5)) print "odd reason: " $0
    } END { if (n != 6) print n " weights of the encoder, wanted 6" }' out >odd
[ -s odd ] && fail "$last: $(cat odd; cat out)"
run inspect small90 --explain --json --cache_dir cache
wants_status 0
grep -q '"kernel_choices": \[{"weight": "bert\.encoder\.layer\.0\..*"shape": \[32, 32\], .*"f32_ms": null, "why": "by the rule that zeros are passed over from 80 % on; too small to measure"}' out ||
    fail "$last: $(cat out)"
predicts large large
predicts large-pinned large --kernel_variant=sparse_int8_linear
predicts large-interpreted large --interpreter
predicts large-fp32 large --quantization off
near large large-interpreted 1e-4
near large-pinned large-interpreted 1e-4
apart large large-fp32 1e-3 1e-2

# ---- what is wrong ----

cp -r small0 damaged
ok "$build_dir/make_tensors" damaged/quantization.safetensors classifier.input_range:f32:2:1,-1 classifier.weight_range:f32:2:-1,1
run predict damaged --tensors in.safetensors -o no.safetensors
wants_status 3
grep -q '^damaged/quantization.safetensors: error: tensor "classifier.input_range": ' err || fail "$last: $(cat err)"
[ -e no.safetensors ] && fail "$last: wrote a result"
run predict small0 --tensors in.safetensors -o no.safetensors --quantization exactly
wants_status 2
grep -q 'integer|simulate|off' err || fail "$last: $(cat err)"
finish
