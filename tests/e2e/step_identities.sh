#!/bin/bash
# Steps that must be the same whoever computes them. pitfall 6: K batches of a step are one batch of all their examples, with other numbers of masked tokens in
# each, in an epoch's last step too, which has fewer. pitfall 19: a teacher that is the model itself differs from it by nothing in the first step; dropout is the
# student's alone.
. "$(dirname "$0")/harness.bash"
{
    printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n'
    for letter in {a..z}; do printf '%s\n##%s\n' "$letter" "$letter"; done
} >vocab.txt
cat >model.xml <<'XML'
<pofac xmlns="urn:pofac:1">
  <model head="pretraining">
    <bert vocab_size="64" hidden_size="32" num_hidden_layers="2" num_attention_heads="2" intermediate_size="64" max_position_embeddings="32" initializer_range="0.3"/>
    <tokenizer vocab="vocab.txt"/>
  </model>
</pofac>
XML
awk 'BEGIN { srand(5)
    for (i = 0; i < 120; i++) {
        text = ""
        for (n = 2 + int(rand() * 12); n > 0; n--) text = text sprintf("%c ", 97 + int(rand() * 26))
        print text "." (i % 8 == 7 ? "\n" : "") } }' >corpus.txt
run data build corpus.txt -o shards --vocab vocab.txt --max_seq_length 32
wants_status 0
field() { sed -n "s/.*\"$2\": \([0-9.e-]*\).*/\1/p" "$1/metrics.jsonl"; }

# ---- batches of a step ----

# pretrain DIR BATCH RUNS: steps of 12 examples, an epoch of 29. AdamW would make steps of what rounding leaves of gradients that are 0, as those of keys' biases.
pretrain() {
    run train model.xml --kind segment_pair_nsp --train shards --max_train_samples 29 --num_train_epochs 2 --logging_steps 1 --optim sgd --momentum 0.9 --learning_rate 1e-2 --output_dir "$1" \
        --per_device_train_batch_size "$2" --gradient_accumulation_steps "$3" --report_to none
    wants_status 0
    field "$1" task_loss >"$1.losses"
    field "$1" grad_norm >"$1.norms"
    [ "$(wc -l <"$1.losses")" = 6 ] || fail "$last: $(wc -l <"$1.losses") steps, wanted 6, of which the third and the sixth have 5 examples"
}
pretrain whole 12 1
for runs in 2 3 4; do
    pretrain "runs-$runs" $((12 / runs)) $runs
    for what in losses norms; do
        paste whole.$what "runs-$runs.$what" | awk 'NF != 2 || $1 <= 0 || ($1 - $2) ^ 2 > (2e-5 * $1) ^ 2 { print NR ": " $0 }' >far
        [ -s far ] && fail "$runs batches in a step: other $what than with one: $(cat far)"
    done
    ok "$build_dir/compare_tensors" whole/model.safetensors "runs-$runs/model.safetensors" --tolerance=2e-6
done
paste whole.losses runs-3.losses | awk '{ print $1 }' | sort -u >distinct
[ "$(wc -l <distinct)" = 6 ] || fail "steps have the same loss: $(tr '\n' ' ' <distinct)"

# ---- a teacher that is the model ----

# distilled DIR OPTION...: divergences of the first two steps
distilled() {
    local dir=$1
    shift
    run train whole --kind segment_pair_nsp --train shards --max_steps 2 --logging_steps 1 --learning_rate 1e-2 --output_dir "$dir" --teacher whole --temperature 2 \
        --per_device_train_batch_size 4 --report_to none "$@"
    wants_status 0
    read -r -d '' first second < <(field "$dir" distill_loss)
}
less() { awk "BEGIN { exit !($1 < $2) }"; }
plain="--hidden_dropout_prob 0 --attention_probs_dropout_prob 0"
distilled same $plain
less "${first#-}" 1e-6 || fail "$last: the divergence of a model from itself is $first"
less 1e-4 "$second" || fail "$last: after a step at a rate of 0.01 the divergence is $second, wanted one that is no longer 0"
distilled dropped
less 1e-3 "$first" || fail "$last: with dropout in the student alone the divergence is $first, wanted more"
distilled padded $plain --pad_to_max_length
less "${first#-}" 1e-6 || fail "$last: with padding the divergence of a model from itself is $first"
task() { field "$1" task_loss | head -1; }
paste <(task same) <(task padded) | awk '($1 - $2) ^ 2 > (1e-5 * $1) ^ 2 { exit 1 }' || fail "padding changes the loss: $(task same), $(task padded)"
finish
