#!/bin/bash
# A model in 8 and 4 bits without training, by each method of `pofac quantize`: accuracy on a development set, predictions that agree with those of fp32, and bytes of
# its weights. The model is given, or a small BERT (2 layers, width 128) that is trained on the task first, in a few minutes on two quiet cores. Prints a table in Markdown.
#
#   tests/bench/quantize.sh [--option=value...] TRAIN.tsv DEV.tsv
#
#   --build=DIR        where pofac is, default build/release
#   --out=DIR          where everything goes, default build/quantize; a small model that is there already is not trained again
#   --model=DIR        a fine-tuned model, instead of the small one
#   --vocab=FILE       vocabulary of the small one
#   --task=sst2        a task of single sentences in the first column
#   --epochs=2
#   --samples=256      examples that activations are observed in
#   --max_seq_length=64
#   --threads=0        as pofac has it
set -euo pipefail
export LC_ALL=C.UTF-8
build=build/release
out=build/quantize
model=
vocab=
task=sst2
epochs=2
samples=256
max_seq_length=64
threads=0
data=()
for option; do
    case $option in
    --build=* | --out=* | --model=* | --vocab=* | --task=* | --epochs=* | --samples=* | --max_seq_length=* | --threads=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    -*)
        echo "error: unknown option $option; see the comment on top of tests/bench/quantize.sh" >&2
        exit 2
        ;;
    *) data+=("$(realpath "$option")") ;;
    esac
done
[ ${#data[@]} = 2 ] && { [ -n "$model" ] || [ -n "$vocab" ]; } || {
    echo "error: wanted TRAIN.tsv, DEV.tsv and --model or --vocab; see the comment on top of tests/bench/quantize.sh" >&2
    exit 2
}
[ -z "$model" ] || model=$(realpath "$model")
[ -z "$vocab" ] || vocab=$(realpath "$vocab")
cd "$(dirname "$0")/../.."
pofac=$(realpath "$build/pofac")
json_get=$(realpath "$build/json_get")
mkdir -p "$out" && cd "$out"
train=${data[0]}
dev=${data[1]}

if [ -z "$model" ]; then
    model=small
    cat >small.xml <<END
<pofac xmlns="urn:pofac:1">
  <model name="small" head="sequence-classification">
    <bert hidden_size="128" intermediate_size="512" num_attention_heads="2" num_hidden_layers="2" vocab_size="$(wc -l <"$vocab")"
          max_position_embeddings="$max_seq_length"/>
    <tokenizer vocab="$vocab"/>
  </model>
</pofac>
END
    [ -f small/model.safetensors ] ||
        "$pofac" train small.xml --task "$task" --train "$train" --max_seq_length "$max_seq_length" --output_dir small --num_train_epochs "$epochs" \
            --per_device_train_batch_size 32 --group_by_length --learning_rate 5e-4 --warmup_ratio 0.1 --logging_steps 500 --save_steps 1000000 --threads "$threads" >train.log
fi
tail -n +2 "$dev" | cut -f1 >texts

# labels DIRECTORY FILE [OPTION...]: the label of each text, a line each.
labels() {
    local from=$1 to=$2
    shift 2
    "$pofac" predict "$from" texts --threads "$threads" "$@" | sed 's/.*"label": *"\{0,1\}\([^",}]*\).*/\1/' >"$to"
}

# row NAME DIRECTORY [OPTION...]
row() {
    local name=$1 from=$2 accuracy agree n
    shift 2
    labels "$from" found "$@"
    "$pofac" eval "$from" --task "$task" --eval "$dev" --max_seq_length "$max_seq_length" --threads "$threads" "$@" >result.json
    accuracy=$("$json_get" result.json accuracy)
    n=$(wc -l <wanted)
    agree=$(paste wanted found | awk '$1 == $2' | wc -l)
    printf '| %s | %.2f %% | %.2f %% | %.2f MB |\n' "$name" "$(awk "BEGIN { print 100 * $accuracy }")" "$(awk "BEGIN { print 100 * $agree / $n }")" \
        "$(awk "BEGIN { print $(stat -L -c %s "$from/model.safetensors") / 1e6 }")"
}

# quantized NAME OPTION...: a row in integers.
quantized() {
    local name=$1
    shift
    "$pofac" quantize "$model" -o quantized --overwrite_output_dir --threads "$threads" "$@" >ranges.json
    row "$name" quantized
}
observed=(--task "$task" --calibration "$train" --calibration_samples "$samples" --max_seq_length "$max_seq_length")

labels "$model" wanted
echo "| $(wc -l <texts) examples | accuracy | labels as fp32 | model.safetensors |"
echo "| --- | --- | --- | --- |"
row fp32 "$model"
for method in minmax percentile mse; do
    quantized "static, $method" "${observed[@]}" --calibration_method $method
    quantized "static, $method, per channel" "${observed[@]}" --calibration_method $method --weight_scales per_channel
done
quantized "static, minmax, outputs too" "${observed[@]}" --requantize_outputs
quantized "static, minmax, stored in 8 bits" "${observed[@]}" --store_weights --quantize_embeddings --weight_scales per_channel
quantized "dynamic" --method dynamic
quantized "dynamic, per channel" --method dynamic --weight_scales per_channel
quantized "weights, 8 bits" --method weights --weight_scales per_channel
quantized "weights, 8 bits, and tables" --method weights --weight_scales per_channel --quantize_embeddings
quantized "weights, 4 bits, and tables in 8" --method weights --weight_bits 4 --weight_scales per_channel --quantize_embeddings
quantized "weights, 4 bits by mse, and tables in 8" --method weights --weight_bits 4 --weight_scales per_channel --calibration_method mse --quantize_embeddings
