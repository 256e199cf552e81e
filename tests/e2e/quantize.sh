#!/bin/bash
# Quantization after training: what each method writes, predictions beside those of fp32, a description that says how, and what is refused.
. "$(dirname "$0")/harness.bash"

bert='<bert hidden_size="32" intermediate_size="48" num_attention_heads="4" num_hidden_layers="2" vocab_size="50"/>'
model="<model name=\"m\" head=\"sequence-classification\" num_labels=\"2\">$bert</model>"
echo "<pofac xmlns=\"urn:pofac:1\">$model</pofac>" >model.xml
ok "$build_dir/make_tensors" in.safetensors input_ids:i64:3,4:1,8,3,4,5,6,7,2,9,49,0,0 attention_mask:i64:3,4:1,1,1,1,1,1,0,0,1,1,1,0
run predict model.xml --tensors in.safetensors -o fp32.safetensors
wants_status 0

# quantized DIRECTORY TOLERANCE OPTION...: the model quantized, and its logits, at most 0.0177, near those of fp32, but not the same, in integers or as $hows says.
hows='integer simulate'
quantized() {
    local to=$1 tolerance=$2
    shift 2
    run quantize model.xml -o "$to" --threads 2 "$@"
    wants_status 0
    cp out "$to.json"
    for how in $hows; do
        run predict "$to" --quantization "$how" --tensors in.safetensors -o "$to.$how.safetensors"
        wants_status 0
        ok "$build_dir/compare_tensors" "$to.$how.safetensors" fp32.safetensors --tolerance="$tolerance"
        cmp -s "$to.$how.safetensors" fp32.safetensors && fail "$last: logits are those of fp32"
    done
}
quantized static 1e-3 --calibration in.safetensors
ok "$build_dir/json_has" static.json method=static output=static calibration=minmax examples=3 tokens=9 weight_bits=8 weight_scales=per_tensor \
    modules.0.name=bert.encoder.layer.0.attention.self.query modules.0.input.0:number modules.0.weight:number modules.13.name=classifier
[ -f static/quantization.safetensors ] || fail "static has no ranges"
quantized percentile 8e-3 --calibration in.safetensors --calibration_method percentile --percentile 99.5 --calibration_samples 2 --calibration_batch_size 1
ok "$build_dir/json_has" percentile.json calibration=percentile examples=2 tokens=6
quantized mse 1e-3 --calibration in.safetensors --calibration_method mse --weight_scales per_channel --requantize_outputs --interpreter
ok "$build_dir/json_has" mse.json calibration=mse weight_scales=per_channel modules.0.output.0:number
quantized dynamic 2e-5 --method dynamic --not_to_quantize classifier --not_to_quantize pooler
ok "$build_dir/json_has" dynamic.json method=dynamic examples=0 modules.11.name=bert.encoder.layer.1.output.dense
grep -q 'pooler\|classifier' dynamic.json && fail "dynamic.json has layers that are not to be quantized: $(cat dynamic.json)"

hows=integer
# Whole numbers in the file give what the same ranges make of floats.
quantized stored 1e-3 --calibration in.safetensors --store_weights --quantize_embeddings
quantized weights 1e-3 --method weights --weight_scales per_channel
quantized weights4 8e-3 --method weights --weight_bits 4 --calibration_method mse
for dir in weights weights4; do [ -f $dir/quantization.safetensors ] && fail "$dir has ranges"; done
size() { stat -c %s "$1/model.safetensors"; }
[ "$(size weights)" -lt "$(size static)" ] && [ "$(size weights4)" -lt "$(size weights)" ] && [ "$(size stored)" -lt "$(size static)" ] ||
    fail "sizes: $(size static) as floats, $(size stored) with tables, $(size weights) in 8 bits, $(size weights4) in 4"
run quantize weights -o again --method weights --weight_scales per_channel # its weights are floats again
wants_status 0
run predict again --tensors in.safetensors -o again.safetensors
wants_status 0
ok "$build_dir/compare_tensors" again.safetensors weights.integer.safetensors --tolerance=1e-3

# Zeros stay zeros, whatever the method.
run prune model.xml -o sparse --target_sparsity 0.9
wants_status 0
run predict sparse --tensors in.safetensors -o sparse.safetensors
for method in "static --calibration in.safetensors --store_weights" "dynamic --weight_scales per_channel" "weights --weight_bits 4"; do
    run quantize sparse -o sparse8 --overwrite_output_dir --method $method
    wants_status 0
    run predict sparse8 --tensors in.safetensors -o sparse8.safetensors
    wants_status 0
    tolerance=$([[ $method = *bits* ]] && echo 2e-3 || echo 1e-3) # of logits that are 0.0101 at most
    ok "$build_dir/compare_tensors" sparse8.safetensors sparse.safetensors --tolerance="$tolerance"
    cmp -s sparse8.safetensors sparse.safetensors && fail "method $method: logits are those of fp32"
    run inspect sparse8
    awk '/self.query.weight|dense.weight/ { sub("%", "", $3); n++; if ($3 < 89.8) exit 1 } END { if (n != 9) exit 1 }' out ||
        fail "weights of method $method have lost zeros: $(grep 'weight' out | cut -c1-90)"
done

# ---- a description ----

here=$PWD
cat >recipe.xml <<END
<pofac xmlns="urn:pofac:1">$model
  <quantize method="static" calibration="mse" calibration_samples="2" weight_scales="per_channel">
    <not_to_quantize pattern="pooler"/>
  </quantize>
  <data kind="tensors" train="$here/in.safetensors"/>
</pofac>
END
run quantize recipe.xml -o described
wants_status 0
ok "$build_dir/json_has" out method=static calibration=mse examples=2 weight_scales=per_channel modules.12.name=classifier
grep -q pooler out && fail "the pooler is quantized"
run quantize recipe.xml -o described --overwrite_output_dir --method dynamic --calibration_method minmax --not_to_quantize classifier
wants_status 0
ok "$build_dir/json_has" out method=dynamic calibration=minmax modules.12.name=bert.pooler.dense

# ---- texts of a task ----

printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' good bad film no never >vocab.txt
{
    printf 'sentence\tlabel\n'
    for i in 1 2 3 4 5; do printf 'good film%.0s\t1\nnever no bad film\t0\n' $i; done
} >train.tsv
sed 's/vocab_size="50"/vocab_size="10"/' model.xml | sed "s|</model>|<tokenizer vocab=\"$here/vocab.txt\"/></model>|" >texts.xml
run quantize texts.xml -o texts --task sst2 --calibration train.tsv --calibration_samples 7 --calibration_batch_size 3 --max_seq_length 6
wants_status 0
ok "$build_dir/json_has" out examples=9 modules.0.input.0:number # batches are whole
cp out first.json
run quantize texts.xml -o texts --overwrite_output_dir --task sst2 --calibration train.tsv --calibration_samples 7 --calibration_batch_size 3 --max_seq_length 6 --threads 1
cmp -s out first.json || fail "the ranges of the same examples differ: $(diff out first.json)"
run predict texts train.tsv --threads 1
wants_status 0
echo '{"not_to_quantize": ["attention"], "not_to_requantize_output": ["dense"], "quantization_begin": 100}' >config.json
run quantize texts.xml -o texts --overwrite_output_dir --quantization_config config.json --task sst2 --calibration train.tsv --requantize_outputs
wants_status 0
ok "$build_dir/json_has" out modules.0.name=bert.encoder.layer.0.intermediate.dense modules.0.output=null modules.5.name=classifier modules.5.output.0:number examples=10

# A configuration says which activations where no method is given.
echo '{"activations": "dynamic"}' >config.json
run quantize model.xml -o configured --quantization_config config.json
wants_status 0
ok "$build_dir/json_has" out method=dynamic modules.0.input=null
run quantize model.xml -o configured --overwrite_output_dir --quantization_config config.json --method static --calibration in.safetensors
wants_status 0
ok "$build_dir/json_has" out method=static modules.0.input.0:number

# ---- what is refused ----

# refused MESSAGE OPTION...: usage, and nothing is written.
refused() {
    local message=$1
    shift
    run quantize model.xml -o refused "$@"
    [ "$rc" = 0 ] && fail "$last: exit status 0"
    grep -qF -e "$message" err || fail "$last: no \"$message\" in: $(cat err)"
    [ -e refused ] && fail "$last: something is written"
}
run quantize model.xml
grep -qF -e '--output_dir is missing: where the result goes' err || fail "no message of the output: $(cat err)"
run quantize static -o refused
grep -qF 'method static needs examples to observe activations in: wanted --calibration PATH, or method dynamic or weights' err || fail "no message of examples: $(cat err)"
refused '--method is "qat"' --method qat
refused '--calibration: found with method dynamic, which observes no activations' --method dynamic --calibration in.safetensors
refused '--weight_bits: found 4 bits with 8 bits of activations, wanted method weights' --calibration in.safetensors --weight_bits 4
refused '--weight_scales: found per_channel with weights of 4 bits, of which 32 columns share a scale, wanted per_tensor' --method weights --weight_bits 4 --weight_scales per_channel
refused '--calibration_samples: found with method dynamic, which observes no activations' --method dynamic --calibration_samples 3
refused '--task: found with method weights, which observes no activations' --method weights --task sst2
refused '--store_weights: found with method weights, which stores them anyway' --method weights --store_weights
refused '--not_to_requantize_output: found without --requantize_outputs, which it makes exceptions of' --method dynamic --not_to_requantize_output dense
refused '--percentile: found without the calibration percentile, which it belongs to' --calibration in.safetensors --percentile 99
refused '--percentile is "50"' --calibration in.safetensors --calibration_method percentile --percentile 50
refused '--calibration_method: found percentile without method static, whose activations it is for' --method weights --calibration_method percentile
refused '--requantize_outputs: found without method static, which has ranges of outputs' --method dynamic --requantize_outputs
refused 'found no linear layer that not_to_quantize leaves, wanted one' --method dynamic --not_to_quantize bert --not_to_quantize classifier
refused 'found neither <data> nor --kind' --calibration nowhere.tsv
run quantize static -o refused --calibration nowhere.safetensors
grep -qF 'nowhere.safetensors: error: ' err || fail "no message of the file: $(cat err)"
refused 'tensor "input_ids": found none, wanted what the model reads' --calibration static/model.safetensors
ok "$build_dir/make_tensors" wrong.safetensors input_ids:i64:1,2:1,50
refused 'wrong.safetensors: error: tensor "input_ids": found 50 in row 0, wanted numbers from 0 to 49' --calibration wrong.safetensors
run quantize model.xml -o static --method dynamic
grep -qF 'static: error: found something there, wanted a new one, or --overwrite_output_dir' err || fail "no message of the directory: $(cat err)"
run compile static -o static.pofac --tune off
wants_status 0
run quantize static.pofac -o refused --method dynamic
wants_status 2
grep -qx 'static.pofac: error: found a compiled model, wanted the model that it was made from' err || fail "no message of compiled models: $(cat err)"
run compile recipe.xml -o recipe.pofac
wants_status 2
grep -q '^recipe.xml:2:[0-9:]* error: method: found static, which compiling does not do, wanted --quantization off, or the directory that `pofac quantize recipe.xml -o DIR` makes$' err ||
    fail "no message of the description: $(cat err)"
[ -e recipe.pofac ] && fail "recipe.pofac is there"
sed 's/method="static"/method="qat"/' recipe.xml >qat.xml
run quantize qat.xml -o refused
wants_status 3
grep -qF 'method: found qat, which pofac train does, wanted static, dynamic or weights' err || fail "no message of qat: $(cat err)"
finish
