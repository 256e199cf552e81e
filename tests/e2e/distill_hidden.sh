#!/bin/bash
# A student of one layer learns from a teacher of two between layers as well: by cosines of the last hidden states, and by hidden states and attentions
# of the layer that is given; the loss is in the metrics and falls, on any number of threads the same bits, and goes on after an interruption; nothing of
# the teacher is saved; what cannot be compared is refused.
. "$(dirname "$0")/harness.bash"

printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c d e . >vocab.txt
{
    echo "sentence	label"
    for i in {1..64}; do
        text=""
        for k in {1..5}; do text+=$(printf "\\x$(printf %x $((97 + (i * 7 + k * k * 3) % 5)))")" "; done
        printf '%s\t%d\n' "${text% }" $((i % 2))
    done
} >train.tsv
description() { # LAYERS HIDDEN HEADS
    cat <<XML
<pofac xmlns="urn:pofac:1">
  <model head="sequence-classification" num_labels="2"><bert vocab_size="11" hidden_size="$2" num_hidden_layers="$1" num_attention_heads="$3"
    intermediate_size="32" max_position_embeddings="16" initializer_range="0.5"/><tokenizer vocab="vocab.txt"/></model>
</pofac>
XML
}
description 2 16 2 >teacher.xml
description 2 24 2 >wide.xml
description 2 16 4 >more_heads.xml
description 1 16 2 >student.xml
# train DIR ARGUMENT...
train() {
    local dir=$1
    shift
    run train student.xml --kind glue --task sst2 --train train.tsv --output_dir "$dir" --max_steps 30 --per_device_train_batch_size 8 --logging_steps 1 \
        --learning_rate 1e-2 --seed 7 "$@"
}
# the values of a field in the lines of metrics
values() { sed -n "s/.*\"$2\": \([0-9.e-]*\).*/\1/p" "$1/metrics.jsonl"; }
curve() { sed 's/, "tokens_per_second".*//' "$1/metrics.jsonl"; }
# falls DIR: hidden_loss is there in every step, and ends far below where it began
falls() {
    values "$1" hidden_loss | awk 'NR == 1 { first = $1 } { last = $1 } END { exit !(NR == 30 && first > 0.01 && last < first * 0.8) }' \
        || fail "$last: hidden_loss: $(values "$1" hidden_loss | tr '\n' ' ')"
}

for terms in 'distilbert --cross_entropy_alpha 0.1 --knowledge_distillation_alpha 0.1' 'tinybert --layer_map 1'; do
    kind=${terms%% *}
    # shellcheck disable=SC2086 # options
    {
        train "$kind" --teacher teacher.xml --cross_model_distillation $terms --threads 1
        wants_status 0
        falls "$kind"
        train "$kind-2" --teacher teacher.xml --cross_model_distillation $terms --threads 2
        wants_status 0
        train "$kind-part" --teacher teacher.xml --cross_model_distillation $terms --save_steps 11 --threads 1
        wants_status 0
        rm -rf "$kind-part/checkpoint-22" "$kind-part/checkpoint-30" "$kind-part/model.safetensors"
        train "$kind-part" --teacher teacher.xml --cross_model_distillation $terms --save_steps 11 --threads 1 --resume_from_checkpoint "$kind-part/checkpoint-11"
        wants_status 0
    }
    cmp -s "$kind/model.safetensors" "$kind-2/model.safetensors" || fail "$kind: other weights on two threads"
    cmp -s "$kind/model.safetensors" "$kind-part/model.safetensors" || fail "$kind: other weights after an interruption"
    diff <(curve "$kind") <(curve "$kind-2") || fail "$kind: another curve on two threads"
    diff <(curve "$kind") <(curve "$kind-part") || fail "$kind: another curve after an interruption"
    run inspect "$kind"
    wants_status 0
    grep -q teacher out && fail "$kind: the result has tensors of the teacher"
    rm -rf "$kind-2" "$kind-part"
done

# refuses MESSAGE ARGUMENT...
refuses() {
    local message=$1
    shift
    train refused "$@"
    [ "$rc" = 0 ] && fail "$last: not refused"
    grep -qF "$message" err || fail "$last: found $(cat err), wanted $message"
    rm -rf refused
}
refuses 'layer_map names layer 2, wanted one of the teacher'"'"'s 2, from 0' --teacher teacher.xml --cross_model_distillation tinybert --layer_map 2
refuses 'layer_map has 2 layers, wanted 1' --teacher teacher.xml --cross_model_distillation tinybert --layer_map '0 1'
refuses "the teacher's hidden size is 24, wanted 16" --teacher wide.xml --cross_model_distillation tinybert
refuses "the teacher has 4 attention heads, wanted 2" --teacher more_heads.xml --cross_model_distillation tinybert
refuses 'add up to 1.5, wanted at most 1' --teacher teacher.xml --cross_model_distillation distilbert --cross_entropy_alpha 1
train with_wide --teacher wide.xml
wants_status 0
finish
