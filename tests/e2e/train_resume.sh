#!/bin/bash
# pitfalls 3 and 4: runs that are interrupted again and again - SIGTERM, which saves, and SIGKILL, which does not -, within an epoch and at its
# end, have the curves of a run that is not, and end with its weights and moments, bit for bit: classification with accumulation, dropout and
# evaluations; the same with locked zeros; pre-training with dynamic masking; masks along a schedule, with rates that go back with them, and a teacher.
. "$(dirname "$0")/harness.bash"

{
    printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n'
    for letter in {a..z}; do printf '%s\n##%s\n' "$letter" "$letter"; done
} >vocab.txt
description() {
    cat <<EOF
<pofac xmlns="urn:pofac:1">
  <model $1>
    <bert vocab_size="64" hidden_size="64" num_hidden_layers="2" num_attention_heads="2" intermediate_size="128" max_position_embeddings="32"/>
    <tokenizer vocab="vocab.txt"/>
  </model>
</pofac>
EOF
}
description 'head="sequence-classification" num_labels="2"' >classifier.xml
description 'head="pretraining"' >pretraining.xml
letters() { awk -v seed="$1" -v rows="$2" "$3"'
    BEGIN { srand(seed)
        for (i = 0; i < rows; i++) {
            text = ""
            for (n = 2 + int(rand() * 12); n > 0; n--) text = text sprintf("%c ", 97 + int(rand() * 26))
            print row(text, i) } }'; }
{ printf 'sentence\tlabel\n' && letters 3 50 'function row(text, i) { return text "\t" (i % 3 == 0) }'; } >train.tsv
{ printf 'sentence\tlabel\n' && letters 4 20 'function row(text, i) { return text "\t" (i % 3 == 0) }'; } >dev.tsv
letters 5 80 'function row(text, i) { return text "." (i % 8 == 7 ? "\n" : "") }' >corpus.txt
run data build corpus.txt -o shards --vocab vocab.txt --max_seq_length 32
wants_status 0
run prune classifier.xml --pruning_fn unstructured_magnitude --target_sparsity 0.9 -o pruned
wants_status 0

# Memory instead of a disk where there is such a place: checkpoints are many, and nothing here asks whether a disk keeps them.
place=$(mktemp -d -p /dev/shm 2>/dev/null) || place=.
trap '[ "$place" = . ] || rm -rf "$place"' EXIT
steps=21
interruptions=0

lines() { cat "$1/metrics.jsonl" 2>/dev/null | wc -l; }

# Lines of metrics without what depends on the clock, and the position without the size of the file that has them.
curve() { sed 's/, "\(eval_\|mask_update_\)\?\(tokens_per_second\|samples_per_second\|runtime\)": [^,}]*//g' "$1/metrics.jsonl"; }
position() { grep -v metrics_bytes "$1/checkpoint-$steps/run_position.json"; }

# interrupt DIR LINES SIGNAL ARGUMENT...: a run that goes on until metrics.jsonl has so many lines, and then gets the signal.
interrupt() {
    local dir=$1 until=$2 signal=$3 pid status
    shift 3
    "$POFAC" train "$@" --output_dir "$dir" --resume_from_checkpoint last >out 2>err &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ "$(lines "$dir")" -lt "$until" ]; do sleep 0.005; done
    kill -s "$signal" $pid 2>/dev/null
    wait $pid 2>/dev/null
    status=$?
    case "$signal $status" in
    'TERM 143' | 'KILL 137') interruptions=$((interruptions + 1)) ;;
    *' 0') ;; # it was done before
    *) fail "train $*: exit status $status after SIG$signal: $(head -c 2000 err)" ;;
    esac
}

# goes_on NAME ARGUMENT...
goes_on() {
    local name=$1 whole=$place/$1-whole part=$place/$1-part file
    shift
    set -- "$@" --max_steps $steps --logging_steps 1 --save_steps 3 --save_total_limit 3 --per_device_train_batch_size 4 --learning_rate 1e-3 --threads 2
    run train "$@" --output_dir "$whole"
    wants_status 0
    if [ "$name" = classification ]; then
        interrupt "$part" 1 KILL "$@" # before the first checkpoint
        interrupt "$part" 4 TERM "$@"
    fi
    interrupt "$part" 10 KILL "$@"
    interrupt "$part" 15 TERM "$@"
    run train "$@" --output_dir "$part" --resume_from_checkpoint last
    wants_status 0
    diff <(curve "$whole") <(curve "$part") >difference || fail "$name: the curves differ: $(head -c 2000 difference)"
    for file in model.safetensors "checkpoint-$steps/state.safetensors" "checkpoint-$steps/model.safetensors"; do
        cmp "$whole/$file" "$part/$file" || fail "$name: $file differs"
    done
    diff <(position "$whole") <(position "$part") >difference || fail "$name: the positions differ: $(cat difference)"
    # without the luck of a signal
    local late=$place/$name-late
    cp -r "$whole" "$late"
    rm -r "$late/checkpoint-18" "$late/checkpoint-21" "$late/model.safetensors"
    run train "$@" --output_dir "$late" --resume_from_checkpoint "$late/checkpoint-15"
    wants_status 0
    diff <(curve "$whole") <(curve "$late") >difference || fail "$name: from step 15 the curves differ: $(head -c 2000 difference)"
    for file in model.safetensors "checkpoint-$steps/state.safetensors"; do
        cmp "$whole/$file" "$late/$file" || fail "$name: from step 15 $file differs"
    done
    rm -r "$late"
    [ -z "$(find "$part" -name '.*')" ] || fail "$name: hidden files are left: $(find "$part" -name '.*')"
}

# Under sanitizers, whose programs start slowly, one of them.
goes_on classification classifier.xml --task sst2 --train train.tsv --eval dev.tsv --eval_steps 2 --gradient_accumulation_steps 2
[ -n "${POFAC_SANITIZE:-}" ] || goes_on locked pruned --vocab vocab.txt --task sst2 --train train.tsv --pruning_fn pattern_lock --group_by_length --lr_scheduler_type cosine
[ -n "${POFAC_SANITIZE:-}" ] || goes_on masking pretraining.xml --kind segment_pair_nsp --train shards --optim sgd --momentum 0.9
# Masks of steps 1, 3, ... 17, until step 13 along the curve.
pruning() {
    local name=$1
    shift
    goes_on "$name" classifier.xml --task sst2 --train train.tsv --not_to_prune classifier --target_sparsity 0.8 --begin_pruning_step 1 --end_pruning_step 17 \
        --pruning_frequency 2 --policy_begin_step 1 --policy_end_step 13 --lr_rewind "$@"
}
pruning magnitude --threshold_decay 0.1 --teacher pruned --temperature 2 --gradient_accumulation_steps 2
[ -n "${POFAC_SANITIZE:-}" ] || pruning movement --pruning_fn movement --optim sgd
[ $interruptions -gt 0 ] || fail "no run was interrupted before it was done"

# The result and the last checkpoint are one model, which answers as one.
tail -n +2 dev.tsv | cut -f1 >texts.txt
for model in "$place/classification-part" "$place/classification-part/checkpoint-$steps"; do
    run predict "$model" texts.txt
    wants_status 0
    cat out >>answers
done
[ "$(wc -l <answers)" = 40 ] || fail "found $(wc -l <answers) answers, wanted 40"
cmp <(head -n 20 answers) <(tail -n 20 answers) || fail "the last checkpoint answers otherwise than the result"

# What was chosen by measuring is chosen again without, and without the cache that knows it.
sed 's/hidden_size="64" num_hidden_layers="2" num_attention_heads="2" intermediate_size="128"/hidden_size="512" num_hidden_layers="1" num_attention_heads="8" intermediate_size="512"/' \
    classifier.xml >wide.xml
wide() { run train wide.xml --task sst2 --train train.tsv --max_steps 3 --save_steps 2 --logging_steps 1 --threads 2 "$@"; }
wide --output_dir "$place/wide" --cache_dir "$place/first"
wants_status 0
grep -q '^note: measuring ' err || fail "nothing was measured: $(cat err)"
mkdir "$place/copy" && cp -r "$place/wide/checkpoint-2" "$place/wide/metrics.jsonl" "$place/copy"
wide --output_dir "$place/copy" --cache_dir "$place/second" --resume_from_checkpoint last
wants_status 0
! grep -q '^note: measuring ' err || fail "a resumed run measured: $(cat err)"
cmp "$place/wide/model.safetensors" "$place/copy/model.safetensors" || fail "with kernels of the checkpoint the model differs"

# Other settings are refused by name; the same directory without --resume_from_checkpoint too.
run train classifier.xml --task sst2 --train train.tsv --output_dir "$place/classification-part" --resume_from_checkpoint last --seed 7
wants_status 3
grep -q 'seed: found 42, wanted 7: a run goes on with the settings that it began with' err || fail "another seed: $(cat err)"
run train classifier.xml --task sst2 --train train.tsv --output_dir "$place/classification-part"
wants_status 2
grep -q 'the directory is not empty; --resume_from_checkpoint goes on with a run, --overwrite_output_dir replaces it' err || fail "not empty: $(cat err)"

# A run that begins with a checkpoint of the directory that it would empty.
run train "$place/classification-part/checkpoint-21" --task sst2 --train train.tsv --output_dir "$place/classification-part" --overwrite_output_dir
wants_status 2
grep -q 'the model is from a checkpoint in it, which --overwrite_output_dir would remove' err || fail "its own checkpoint: $(cat err)"
[ -f "$place/classification-part/checkpoint-21/model.safetensors" ] || fail "the checkpoint is gone"

# A run that stopped early stays stopped.
stops() { run train classifier.xml --task sst2 --train train.tsv --eval dev.tsv --output_dir "$place/early" --max_steps 20 --eval_steps 1 --logging_steps 1 \
    --save_steps 1 --early_stopping_patience 2 --early_stopping_threshold 100 --resume_from_checkpoint last; }
stops
wants_status 0
before=$(lines "$place/early")
stops
wants_status 0
[ "$before" -lt 20 ] || fail "the run did not stop early: $before lines"
[ "$(lines "$place/early")" = "$before" ] || fail "a run that stopped early went on: $(lines "$place/early") lines, wanted $before"
finish
