#!/bin/bash
# A small BERT (2 layers, width 128) from scratch: vocabulary, pairs of segments and training on a corpus, in some ten minutes on two cores. What it predicts of held-out
# text is set against what the frequencies of tokens alone would (unigram_entropy), and against the larger share of next or random pairs.
#
#   tests/bench/pretrain.sh [--option=value...] CORPUS...
#
#   --build=DIR        where pofac is, default build/release
#   --out=DIR          where everything goes, default build/pretrain; what is there is written anew
#   --steps=2600       of 64 pairs of up to 128 tokens
#   --vocab_size=8192
#   --learning_rate=1e-3
#   --threads=0        as pofac train has it
set -euo pipefail
export LC_ALL=C.UTF-8
build=build/release
out=build/pretrain
steps=2600
vocab_size=8192
learning_rate=1e-3
threads=0
corpora=()
for option; do
    case $option in
    --build=* | --out=* | --steps=* | --vocab_size=* | --learning_rate=* | --threads=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    -*)
        echo "error: unknown option $option; see the comment on top of tests/bench/pretrain.sh" >&2
        exit 2
        ;;
    *) corpora+=("$(realpath "$option")") ;;
    esac
done
cd "$(dirname "$0")/../.."
[ ${#corpora[@]} -gt 0 ] || {
    echo "error: no corpus; see the comment on top of tests/bench/pretrain.sh" >&2
    exit 2
}
pofac=$(realpath "$build/pofac")
json_get=$(realpath "$build/json_get")
mkdir -p "$out" && cd "$out"

"$pofac" data vocab "${corpora[@]}" --vocab_size "$vocab_size" -o vocab.txt
"$pofac" data build "${corpora[@]}" --vocab vocab.txt -o shards --overwrite_output_dir
"$pofac" data inspect shards --split validation >validation.json
cat >small.xml <<END
<pofac xmlns="urn:pofac:1">
  <model name="small" head="pretraining">
    <bert vocab_size="$(wc -l <vocab.txt)" hidden_size="128" num_hidden_layers="2" num_attention_heads="2" intermediate_size="512" max_position_embeddings="128"/>
    <tokenizer vocab="vocab.txt"/>
  </model>
  <data kind="segment_pair_nsp" train="shards" max_eval_samples="2000"/>
  <train output_dir="run" per_device_train_batch_size="64" per_device_eval_batch_size="64" warmup_ratio="0.05" weight_decay="0.01"
         group_by_length="true" logging_steps="100" eval_steps="400" save_steps="1000000"/>
</pofac>
END
begin=$SECONDS
"$pofac" train small.xml --max_steps "$steps" --learning_rate "$learning_rate" --threads "$threads" --overwrite_output_dir
seconds=$((SECONDS - begin))

# value FILE KEY: of a file of one JSON object.
value() {
    tr -d '\n' <"$1" >one.json
    "$json_get" one.json "$2"
}
printf '\n| step | loss | held-out MLM loss | NSP accuracy |\n| --- | --- | --- | --- |\n'
awk -F'[{},:]+ *' '
    function field(name,   i) { for (i = 2; i < NF; i++) if ($i == "\"" name "\"") return $(i + 1); return "" }
    field("eval_mlm_loss") != "" { printf "| %d | %.3f | %.3f | %.3f |\n", field("step"), loss, field("eval_mlm_loss"), field("eval_nsp_accuracy") }
    field("loss") != "" { loss = field("loss") }' run/metrics.jsonl
printf '\n%d steps in %d s; held-out MLM loss %.3f, entropy of single tokens %.3f; NSP accuracy %.3f, larger class %.3f\n' "$steps" "$seconds" \
    "$(value run/eval_results.json eval_mlm_loss)" "$(value validation.json unigram_entropy)" "$(value run/eval_results.json eval_nsp_accuracy)" \
    "$(awk -v r="$(value validation.json random_share)" 'BEGIN { print (r > 0.5 ? r : 1 - r) }')"
