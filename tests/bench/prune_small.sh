#!/bin/bash
# A small BERT (2 layers, width 128) is made a teacher on a corpus and pruned to 90 % zeros in training: by magnitude, movement and curvature (second order), with
# and without distillation from its dense self. What each predicts of held-out text stands beside the dense model, the dense model trained on for as many steps, and
# magnitude pruning at once, without training. The schedule has the published proportions: sparsity rises until half of the steps, masks are made anew until 80 %, and
# the rate goes back with each. Prints a table in Markdown; takes some 20 minutes on two quiet cores.
#
#   tests/bench/prune_small.sh [--option=value...] CORPUS...
#
#   --build=DIR          where pofac is, default build/release
#   --out=DIR            where everything goes, default build/prune_small; what is there is written anew, but for a teacher that is finished
#   --teacher_steps=1600 of 64 pairs of up to 128 tokens
#   --steps=400          of 32 pairs, of each pruned model; a multiple of 20
#   --sparsity=0.9
#   --gradients=64       batches of 16 pairs that a mask of second order looks at
#   --token_share=1      of tokens without labels that a teacher's words are learned from
#   --vocab_size=8192
#   --learning_rate=1e-3
#   --eval_samples=2000
#   --threads=0          as pofac train has it
#   --methods="..."      (unstructured_magnitude movement second_order)
set -euo pipefail
export LC_ALL=C.UTF-8
build=build/release
out=build/prune_small
teacher_steps=1600
steps=400
sparsity=0.9
gradients=64
token_share=1
vocab_size=8192
learning_rate=1e-3
eval_samples=2000
threads=0
methods="unstructured_magnitude movement second_order"
corpora=()
for option; do
    case $option in
    --build=* | --out=* | --teacher_steps=* | --steps=* | --sparsity=* | --gradients=* | --token_share=* | --vocab_size=* | --learning_rate=* | \
        --eval_samples=* | --threads=* | --methods=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    -*)
        echo "error: unknown option $option; see the comment on top of tests/bench/prune_small.sh" >&2
        exit 2
        ;;
    *) corpora+=("$(realpath "$option")") ;;
    esac
done
cd "$(dirname "$0")/../.."
[ ${#corpora[@]} -gt 0 ] || {
    echo "error: no corpus; see the comment on top of tests/bench/prune_small.sh" >&2
    exit 2
}
[ $((steps % 20)) = 0 ] || {
    echo "error: --steps is $steps, wanted a multiple of 20, of which masks are made at every one" >&2
    exit 2
}
pofac=$(realpath "$build/pofac")
json_get=$(realpath "$build/json_get")
mkdir -p "$out" && cd "$out"

# recipe NAME MODEL BATCH ACCUMULATION STEPS SECTION...: NAME.xml, which makes the directory NAME.
recipe() {
    local name=$1 model=$2 batch=$3 accumulation=$4 n=$5
    shift 5
    cat >"$name.xml" <<END
<pofac xmlns="urn:pofac:1">
  $model
  $*
  <data kind="segment_pair_nsp" train="shards" max_eval_samples="$eval_samples"/>
  <train output_dir="$name" max_steps="$n" per_device_train_batch_size="$batch" gradient_accumulation_steps="$accumulation" per_device_eval_batch_size="64"
         learning_rate="$learning_rate" lr_scheduler_type="$schedule" warmup_ratio="0.05" weight_decay="0.01" group_by_length="true" logging_steps="20"
         save_steps="1000000"/>
</pofac>
END
}

# value FILE KEY: of a file of one JSON object.
value() {
    tr -d '\n' <"$1" >one.json
    "$json_get" one.json "$2"
}

# train NAME: its seconds are in the file NAME.seconds.
train() {
    local begin=$SECONDS
    echo "$1" >&2
    "$pofac" train "$1.xml" --threads "$threads" --overwrite_output_dir >"$1.txt"
    echo $((SECONDS - begin)) >"$1.seconds"
}

# row TITLE SPARSITY RESULTS SECONDS
row() {
    printf '| %s | %s | %.3f | %.3f | %s |\n' "$1" "$2" "$(value "$3" eval_mlm_loss)" "$(value "$3" eval_nsp_accuracy)" "$4"
}

settings="$teacher_steps $vocab_size $learning_rate $eval_samples ${corpora[*]}"
if [ ! -f teacher.seconds ] || [ "$(cat teacher.settings)" != "$settings" ]; then
    rm -f teacher.seconds
    "$pofac" data vocab "${corpora[@]}" --vocab_size "$vocab_size" -o vocab.txt
    "$pofac" data build "${corpora[@]}" --vocab vocab.txt -o shards --overwrite_output_dir
    schedule=linear
    recipe teacher "<model name=\"small\" head=\"pretraining\"><bert vocab_size=\"$(wc -l <vocab.txt)\" hidden_size=\"128\" num_hidden_layers=\"2\" num_attention_heads=\"2\"
    intermediate_size=\"512\" max_position_embeddings=\"128\"/><tokenizer vocab=\"vocab.txt\"/></model>" 64 1 "$teacher_steps"
    train teacher
    echo "$settings" >teacher.settings
fi
"$pofac" data inspect shards --split validation >validation.json

student='<model name="student" from="teacher" head="pretraining"/>'
distills="<teacher from=\"teacher\"/><distill cross_entropy_alpha=\"0.5\" knowledge_distillation_alpha=\"0.5\" temperature=\"2\" token_share=\"$token_share\"/>"
schedule=linear
recipe dense "$student" 16 2 "$steps"
train dense

rm -rf at-once
"$pofac" prune teacher -o at-once --head pretraining --target_sparsity "$sparsity" --not_to_prune cls >at-once.json
"$pofac" eval at-once --kind segment_pair_nsp --eval shards --max_eval_samples "$eval_samples" --seed 42 --per_device_eval_batch_size 64 --threads "$threads" \
    --output_dir at-once.eval >at-once.line

schedule=linear_rewind
for method in $methods; do
    more=
    [ "$method" != second_order ] || more="fisher_gradients=\"$gradients\""
    prunes="<prune pruning_fn=\"$method\" target_sparsity=\"$sparsity\" pruning_frequency=\"$((steps / 20))\" begin_pruning_step=\"0\" end_pruning_step=\"$((steps * 4 / 5))\"
    policy_begin_step=\"0\" policy_end_step=\"$((steps / 2))\" $more><not_to_prune pattern=\"cls\"/></prune>"
    recipe "$method-alone" "$student" 16 2 "$steps" "$prunes"
    recipe "$method-taught" "$student" 16 2 "$steps" "$prunes" "$distills"
    train "$method-alone"
    train "$method-taught"
done

printf '\n%d steps of 64 pairs for the teacher, %d steps of 32 for each of the others; held-out text: entropy of single tokens %.3f, larger class of pairs %.3f\n\n' \
    "$teacher_steps" "$steps" "$(value validation.json unigram_entropy)" \
    "$(awk -v r="$(value validation.json random_share)" 'BEGIN { print (r > 0.5 ? r : 1 - r) }')"
printf '| model | zeros | held-out MLM loss | NSP accuracy | seconds |\n| --- | --- | --- | --- | --- |\n'
row "dense teacher" 0 teacher/eval_results.json "$(cat teacher.seconds)"
row "dense, trained on" 0 dense/eval_results.json "$(cat dense.seconds)"
row "magnitude, at once" "$sparsity" at-once.eval/eval_results.json -
for method in $methods; do
    row "$method" "$sparsity" "$method-alone/eval_results.json" "$(cat "$method-alone.seconds")"
    row "$method, distilled" "$sparsity" "$method-taught/eval_results.json" "$(cat "$method-taught.seconds")"
done
