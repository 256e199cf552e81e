#!/bin/bash
# A quantized model's classes in integers beside those of the simulation that its training computes, and of fp32: agreement and accuracy on a real dev set. The model
# is a small BERT (2 layers, width 128) that learns SST-2 from nothing, and then quantization-aware; or one that is there. Fails below 99.5 % agreement.
#
#   tests/bench/integers.sh [--option=value...] SST-2 VOCAB
#
#   SST-2               directory with train.tsv and dev.tsv; a train.tsv.gz is unpacked
#   VOCAB               a vocabulary, one token a line
#   --build=DIR         where pofac is, default build/release
#   --out=DIR           where everything goes, default build/integers; a model that is finished there is taken again
#   --model=DIR         a quantized model's directory instead
#   --epochs=2          of fp32 training; one more is quantization-aware
#   --sparsity=0        share of zeros that training ends with and the last epoch locks
#   --threads=0         as pofac train has it
set -euo pipefail
export LC_ALL=C.UTF-8
build=build/release
out=build/integers
model=
epochs=2
sparsity=0
threads=0
files=()
for option; do
    case $option in
    --build=* | --out=* | --model=* | --epochs=* | --sparsity=* | --threads=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    -*)
        echo "error: unknown option $option; see the comment on top of tests/bench/integers.sh" >&2
        exit 2
        ;;
    *) files+=("$(realpath "$option")") ;;
    esac
done
[ ${#files[@]} = 2 ] || {
    echo "error: found ${#files[@]} arguments, wanted SST-2 and VOCAB; see the comment on top of tests/bench/integers.sh" >&2
    exit 2
}
[ -z "$model" ] || model=$(realpath "$model")
cd "$(dirname "$0")/../.."
pofac=$(realpath "$build/pofac")
mkdir -p "$out" && cd "$out"
mkdir -p data
if [ -f "${files[0]}/train.tsv.gz" ]; then gzip -dc "${files[0]}/train.tsv.gz" >data/train.tsv; else cp -f "${files[0]}/train.tsv" data/; fi
cp -f "${files[0]}/dev.tsv" data/
chmod u+w data/*
tail -n +2 data/dev.tsv | cut -f 1 >data/sentences.txt

# train NAME MODEL OPTION...: into the directory NAME, unless it is finished.
train() {
    local name=$1 from=$2
    shift 2
    [ ! -f "$name.done" ] || return 0
    echo "$name" >&2
    "$pofac" train "$from" --task sst2 --train data --output_dir "$name" --max_seq_length 64 --per_device_train_batch_size 32 --threads "$threads" \
        --group_by_length --logging_steps 500 --save_steps 1000000 --seed 42 --overwrite_output_dir "$@" >"$name.txt"
    touch "$name.done"
}

if [ -z "$model" ]; then
    cat >small.xml <<END
<pofac xmlns="urn:pofac:1">
  <model name="small" head="sequence-classification">
    <bert num_hidden_layers="2" hidden_size="128" num_attention_heads="2" intermediate_size="512" vocab_size="$(wc -l <"${files[1]}")"/>
    <label name="negative"/><label name="positive"/>
    <tokenizer vocab="${files[1]}"/>
  </model>
</pofac>
END
    echo '{"quantization_begin": 0, "not_to_quantize": [], "not_to_requantize_output": ["output.dense", "value", "classifier"]}' >quantization.json
    prunes=()
    locks=()
    if [ "$sparsity" != 0 ]; then
        steps=$((($(wc -l <data/train.tsv) - 1) * epochs / 32))
        prunes=(--pruning_fn unstructured_magnitude --target_sparsity "$sparsity" --pruning_frequency 100 --end_pruning_step $((steps * 3 / 4)) --policy_end_step $((steps / 2)))
        locks=(--pruning_fn pattern_lock)
    fi
    train fp32 small.xml --num_train_epochs "$epochs" --learning_rate 5e-4 "${prunes[@]}"
    train quantized fp32 --num_train_epochs 1 --learning_rate 1e-4 --quantization_config quantization.json "${locks[@]}"
    model=quantized
fi

# classes MODE: one a line.
classes() {
    "$pofac" predict "$model" data/sentences.txt --quantization "$1" --threads "$threads" | sed 's/.*"label": "\([^"]*\)".*/\1/' >"$1.classes"
}

# share FILE FILE: percent of lines that are equal.
share() { paste "$1" "$2" | awk -F'\t' '{ n++; same += $1 == $2 } END { printf "%.2f", 100 * same / n }'; }

accuracy() { "$pofac" eval "$model" --task sst2 --eval data/dev.tsv --quantization "$1" --threads "$threads" --output_dir "$1.eval" | sed 's/.*"\(eval_\)\?accuracy": \([0-9.]*\).*/\2/'; }

for mode in integer simulate off; do classes "$mode"; done
printf '%d examples\n\n| | same class as the simulation | accuracy |\n| --- | --- | --- |\n' "$(wc -l <integer.classes)"
for mode in integer simulate off; do printf '| %s | %s %% | %s |\n' "$mode" "$(share "$mode.classes" simulate.classes)" "$(accuracy "$mode")"; done
awk -v share="$(share integer.classes simulate.classes)" 'BEGIN { exit !(share >= 99.5) }' || {
    echo "error: integers agree with the simulation in less than 99.5 %" >&2
    exit 1
}
