#!/bin/bash
# Masks that need more than weights, along a run: scores of movement, curvature of batches, a file of masks. Shares of zeros are those of the schedule, and a run that
# goes on from a checkpoint between two masks has the bits of one that was not interrupted; what is missing or wrong is told.
. "$(dirname "$0")/harness.bash"

{
    printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n'
    for letter in {a..z}; do printf '%s\n##%s\n' "$letter" "$letter"; done
} >vocab.txt
cat >model.xml <<'END'
<pofac xmlns="urn:pofac:1">
  <model head="sequence-classification" num_labels="2">
    <bert vocab_size="64" hidden_size="64" num_hidden_layers="1" num_attention_heads="2" intermediate_size="128" max_position_embeddings="32"/>
    <tokenizer vocab="vocab.txt"/>
  </model>
</pofac>
END
{
    printf 'sentence\tlabel\n'
    awk 'BEGIN { srand(3)
        for (i = 0; i < 40; i++) {
            text = ""
            for (n = 2 + int(rand() * 12); n > 0; n--) text = text sprintf("%c ", 97 + int(rand() * 26))
            print text "\t" (i % 3 == 0) } }'
} >train.tsv

common=(model.xml --task sst2 --train train.tsv --max_steps 8 --per_device_train_batch_size 4 --learning_rate 1e-3 --save_steps 4 --logging_steps 1 --tune=off
    --not_to_prune classifier)
schedule=(--target_sparsity 0.8 --policy_end_step 6 --pruning_frequency 2)

# goes_on NAME ARGUMENT...: a run, and one that goes on from its fifth step, end with the same bits.
goes_on() {
    local name=$1
    shift
    run train "${common[@]}" "$@" --output_dir "$name"
    wants_status 0
    cp -r "$name" "$name-again"
    rm -r "$name-again/checkpoint-8"
    run train "${common[@]}" "$@" --output_dir "$name-again" --resume_from_checkpoint "$name-again/checkpoint-4"
    wants_status 0
    for file in "$name"/checkpoint-8/*.safetensors; do ok cmp "$file" "$name-again/checkpoint-8/${file##*/}"; done
}

# has_sparsity NAME SHARE: the last share of zeros of the metrics.
has_sparsity() {
    local found
    found=$(grep -o '"sparsity": [0-9.e-]*' "$1/metrics.jsonl" | tail -1 | cut -d' ' -f2)
    awk -v found="$found" -v wanted="$2" 'BEGIN { exit !(found != "" && found > wanted - 0.002 && found < wanted + 0.002) }' ||
        fail "$1: the share of zeros is \"$found\", wanted $2"
}

goes_on movement --pruning_fn movement "${schedule[@]}"
has_sparsity movement 0.8
goes_on accumulated --pruning_fn movement "${schedule[@]}" --gradient_accumulation_steps 2
has_sparsity accumulated 0.8
goes_on wiring --pruning_fn unstructured_neural_wiring "${schedule[@]}"
has_sparsity wiring 0.8
goes_on curvature --pruning_fn second_order "${schedule[@]}" --fisher_gradients 12 --fisher_block_size 40
has_sparsity curvature 0.8
cmp -s movement/checkpoint-8/model.safetensors curvature/checkpoint-8/model.safetensors && fail "two methods with the same weights"
run train "${common[@]}" --pruning_fn second_order "${schedule[@]}" --output_dir none --dry_run
wants_status 0
grep -q '^curvature  *1024 gradients for each mask; .* while they are made$' out || fail "no curvature in the dry run: $(cat out)"

# The masks of one run, in another one.
run prune model.xml -o pruned --target_sparsity 0.7 --not_to_prune classifier --seed 5
wants_status 0
goes_on custom --pruning_fn custom_mask --pruning_masks pruned/model.safetensors --scheduler one_shot
has_sparsity custom 0.7
run train "${common[@]}" --pruning_fn custom_mask --pruning_masks pruned/model.safetensors --scheduler one_shot --output_dir none --dry_run
wants_status 0
grep -q '^masks .* entries, \(70\|69\.9[0-9]*\) % zeros at the end$' out || fail "no zeros of the masks in the dry run: $(cat out)"
for case in "--pruning_fn custom_mask --scheduler one_shot" "--pruning_fn custom_mask --scheduler one_shot --pruning_masks none.safetensors" \
    "--pruning_fn movement --scheduler one_shot" "--pruning_fn second_order --fisher_gradients 0"; do
    # shellcheck disable=SC2086
    shows train "${common[@]}" $case --output_dir refused
done
wants_golden transcript train_scores.transcript
finish
