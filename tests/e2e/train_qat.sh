#!/bin/bash
# Training in 8 bits from the command line: the reference's steps, by a recipe and by a configuration; a run with a teacher and locked zeros, which begins in
# floats, and which goes on bit for bit when it is interrupted, or from before it computes in 8 bits; evaluations are those of the quantized model; a quantized
# model's ranges are learned on; what is refused.
. "$(dirname "$0")/harness.bash"

# ---- the reference's steps ----

# check_fixture NAME FIXTURE LOSS NORM WEIGHT: a line of each step is the fixture's, within these bounds, outside of which training without quantization is
# (tests/unit/driver/test_quantization_parity.c); so are weights, scales and zero points in the end.
check_fixture() {
    local name=$1 fixture=$2
    sed -n 's/.*"step": \([0-9]*\), .*"loss": \([0-9.e-]*\), "task_loss": .*"learning_rate": \([0-9.e-]*\), "grad_norm": \([0-9.e-]*\), "sparsity": \([0-9.e-]*\).*/\1 \2 \3 \4 \5/p' \
        "$name/metrics.jsonl" >found
    sed -n 's/.*"step": \([0-9]*\), "loss": \([0-9.e-]*\), .*"lr": \([0-9.e-]*\), "grad_norm": \([0-9.e-]*\), "sparsity": \([0-9.e-]*\).*/\1 \2 \3 \4 \5/p' \
        "$fixture/expected.jsonl" >wanted
    paste -d ' ' found wanted >both
    [ "$(awk 'NF == 10' both | wc -l)" = 16 ] || fail "$name: $(awk 'NF == 10' both | wc -l) steps, wanted 16: $(head -2 both)"
    awk -v loss="$3" -v norm="$4" 'function far(x, y, bound) { d = x - y; if (d < 0) d = -d; return d > bound * y }
        $1 != $6 || far($2, $7, loss) || far($3, $8, 1e-9) || far($4, $9, norm) || $5 != $10 { print }' both >far
    wants_quiet far
    ok "$build_dir/compare_tensors" "$name/model.safetensors" "$fixture/final.safetensors" --tolerance="$5"
    ok "$build_dir/compare_tensors" "$name/quantization.safetensors" "$fixture/quantization.safetensors" --ending=_scale --relative=1e-3
    ok "$build_dir/compare_tensors" "$name/quantization.safetensors" "$fixture/quantization.safetensors" --ending=_zero_point --tolerance=1
}

if [ -n "${POFAC_SHARED:-}" ]; then
    fixture=$POFAC_SHARED/fixtures/train/transfer-classification-lock-qat
    cat >classification.xml <<XML
<pofac xmlns="urn:pofac:1">
  <model from="$fixture/student" head="sequence-classification"/>
  <prune pruning_fn="pattern_lock"><not_to_prune pattern="classifier"/></prune>
  <quantize observe_padding="true">
    <not_to_requantize_output pattern="output.dense"/><not_to_requantize_output pattern="value"/><not_to_requantize_output pattern="classifier"/>
  </quantize>
  <data kind="tensors" train="$fixture/batches.safetensors"/>
  <train output_dir="classification" max_steps="16" warmup_steps="2" per_device_train_batch_size="4" learning_rate="2e-4" weight_decay="0.01" logging_steps="1"
         hidden_dropout_prob="0" attention_probs_dropout_prob="0" classifier_dropout="0" report_to="none"/>
</pofac>
XML
    run train classification.xml
    wants_status 0
    check_fixture classification "$fixture" 1e-5 1e-4 1e-4

    fixture=$POFAC_SHARED/fixtures/train/transfer-qa-lock-qat
    echo '{"quantization_begin": 0, "not_to_requantize_output": ["output.dense", "value", "qa_outputs"], "not_to_quantize": ["teacher"]}' >quantization.json
    run train "$fixture/student" --kind tensors --train "$fixture/batches.safetensors" --head question-answering --output_dir questions --max_steps 16 \
        --warmup_steps 2 --per_device_train_batch_size 4 --learning_rate 2e-4 --weight_decay 0.01 --logging_steps 1 --hidden_dropout_prob 0 \
        --attention_probs_dropout_prob 0 --report_to none --pruning_fn pattern_lock --not_to_prune qa_outputs --not_to_prune pooler \
        --mask_padded_logits=false --quantization_config quantization.json --observe_padding
    wants_status 0
    check_fixture questions "$fixture" 3e-4 1e-3 6e-4
else
    echo "SKIP: ../shared is absent"
fi

# ---- a toy task ----

printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c d e f g x . >vocab.txt
{
    printf 'sentence\tlabel\n'
    for i in $(seq 40); do printf 'a b %s c d\t%d\n' "$(cut -d' ' -f$((i % 5 + 1)) <<<'x e f x g')" $((i % 5 == 0 || i % 5 == 3)); done
} >train.tsv
cat >student.xml <<'XML'
<pofac xmlns="urn:pofac:1">
  <model head="sequence-classification">
    <bert vocab_size="14" hidden_size="16" num_hidden_layers="1" num_attention_heads="2" intermediate_size="32" max_position_embeddings="16"/>
    <label name="negative"/><label name="positive"/><tokenizer vocab="vocab.txt"/>
  </model>
</pofac>
XML
toy="--vocab vocab.txt --task sst2 --train train.tsv --eval train.tsv --per_device_train_batch_size 8 --learning_rate 1e-2 --report_to none --logging_steps 1 --threads 2"
run train student.xml $toy --max_steps 6 --output_dir teacher
wants_status 0
run prune teacher --target_sparsity 0.5 --not_to_prune classifier -o sparse
wants_status 0

# interrupt DIR LINES ARGUMENT...: a run that goes on until metrics.jsonl has so many lines, and then gets SIGTERM.
interruptions=0
interrupt() {
    local dir=$1 until=$2 pid
    shift 2
    "$POFAC" train "$@" --output_dir "$dir" --resume_from_checkpoint last >out 2>err &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ "$(cat "$dir/metrics.jsonl" 2>/dev/null | wc -l)" -lt "$until" ]; do sleep 0.005; done
    kill -s TERM $pid 2>/dev/null
    wait $pid 2>/dev/null
    case $? in
    143) interruptions=$((interruptions + 1)) ;;
    0) ;; # it was done before
    *) fail "train $*: exit status $? after SIGTERM: $(head -c 2000 err)" ;;
    esac
}
locked="$toy --pruning_fn pattern_lock --not_to_prune classifier --teacher teacher --temperature 2 --gradient_accumulation_steps 2 --eval_steps 5"
keeps="--not_to_requantize_output output.dense --not_to_requantize_output classifier" # logits beyond a range that is learned slowly have no gradient
learns="$locked $keeps --quantization_begin 3 --max_steps 60 --save_steps 10 --save_total_limit 2"
run train sparse $learns --output_dir whole
wants_status 0
interrupt part 2 sparse $learns # before ranges are observed, or soon after
interrupt part 20 sparse $learns
run train sparse $learns --output_dir part --resume_from_checkpoint last
wants_status 0
[ $interruptions -ge 1 ] || fail "no run was interrupted before it was done"
for file in model.safetensors quantization.safetensors checkpoint-60/state.safetensors checkpoint-60/quantization.safetensors; do ok cmp "whole/$file" "part/$file"; done
curve() { sed 's/, "\(eval_\)\?\(tokens_per_second\|samples_per_second\|runtime\)": [^,}]*//g' "$1/metrics.jsonl"; }
[ "$(curve whole)" = "$(curve part)" ] || fail "metrics of the resumed run differ: $(diff <(curve whole) <(curve part) | head -4)"
# The teacher is learned from in every step.
grep -v '"eval_loss"' whole/metrics.jsonl >steps
ok "$build_dir/json_has" --lines=60 steps task_loss:positive distill_loss:positive grad_norm:positive

# A run whose 8 bits begin with forward 25, after 15 steps, of which three make an epoch of five forwards: until then it is one without quantization, but for
# rounding; and it is the same when it goes on from a checkpoint of before.
across="$locked --max_steps 20 --save_steps 5 $keeps --quantization_begin 25"
run train sparse $across --output_dir across
wants_status 0
run train sparse $locked --max_steps 20 --output_dir floats
wants_status 0
steps() { sed -n 's/.*"step": \([0-9]*\), .*"loss": \([0-9.e-]*\), "task_loss": .*"grad_norm": \([0-9.e-]*\),.*/\1 \2 \3/p' "$1/metrics.jsonl"; }
paste -d ' ' <(steps across) <(steps floats) >both
awk 'function far(x, y, bound) { d = x - y; if (d < 0) d = -d; return d > bound * y }
    NF == 6 && $1 == $4 { print $1, (far($2, $5, 1e-5) || far($3, $6, 1e-4)) }' both >apart
[ "$(awk '$2 == 0' apart | wc -l)" = 15 ] && [ "$(awk '$2 == 1 && $1 > 15' apart | wc -l)" = 5 ] ||
    fail "wanted steps 1 to 15 as without quantization, and 16 to 20 others: $(cat both)"
cp -r across early && rm -r early/checkpoint-1? early/checkpoint-20 early/model.safetensors early/quantization.safetensors
run train sparse $across --output_dir early --resume_from_checkpoint last
wants_status 0
for file in model.safetensors quantization.safetensors checkpoint-15/state.safetensors checkpoint-20/state.safetensors; do ok cmp "across/$file" "early/$file"; done
[ "$(curve across)" = "$(curve early)" ] || fail "metrics of the run from step 5 differ: $(diff <(curve across) <(curve early) | head -4)"
grep -aq '"bert.pooler.dense.input_range"' early/quantization.safetensors || fail "$last: learned no ranges"
run prune whole --target_sparsity 0 -o same
wants_status 0
zeros() { grep -o "\"name\": \"[^\"]*$1\"[^}]*" out | grep -o '"zeros": [0-9]*' | cut -d' ' -f2 | head -1; }
[ "$(zeros layer.0.output.dense)" = 256 ] || fail "a locked weight has $(zeros layer.0.output.dense) zeros, wanted 256"

# Evaluated as the run has evaluated it, and in integers.
loss() { sed -n 's/.*loss": \([0-9.]*\).*/\1/p' "$1" | tail -1 | cut -c1-7; }
for way in simulate integer; do
    run eval whole --task sst2 --eval train.tsv --quantization $way
    wants_status 0
    [ -n "$(loss out)" ] && [ "$(loss out)" = "$(loss whole/eval_results.json)" ] || fail "$last: loss $(loss out), in the run $(loss whole/eval_results.json)"
done

# Ranges of a quantized model are learned on: with a rate of 0 a moving average comes nearer to what it sees, and weights keep theirs.
run train whole $toy --max_steps 2 --learning_rate 0 $keeps --output_dir further
wants_status 0
ok "$build_dir/compare_tensors" further/model.safetensors whole/model.safetensors --tolerance=0
cmp -s further/quantization.safetensors whole/quantization.safetensors && fail "ranges did not move"
# Masks that change, made from runs that leave no trace in ranges, of modules with the names of their weights.
for method in unstructured_magnitude 'second_order --fisher_gradients 2'; do
    run train sparse $toy --max_steps 4 --target_sparsity 0.75 --pruning_frequency 2 --policy_end_step 4 --pruning_fn $method --quantization_begin 0 \
        --output_dir "by-${method%% *}"
    wants_status 0
    run eval "by-${method%% *}" --task sst2 --eval train.tsv
    wants_status 0
    grep -aq '"bert.encoder.layer.0.output.dense.weight_range"' "by-${method%% *}/quantization.safetensors" || fail "$last: no range of that weight"
done
# A step whose numbers are none leaves ranges as they were: those of the run that ends before it.
explodes="--vocab vocab.txt --task sst2 --train train.tsv --per_device_train_batch_size 8 --report_to none --threads 2 --learning_rate 1e6 --weight_decay 1
    --lr_scheduler_type constant --quantization_begin 0"
run train sparse $explodes --max_steps 12 --save_steps 100 --output_dir exploded
wants_status 4
before=$(($(ls -d exploded/failed-step-* | sed 's/.*-//') - 1))
run train sparse $explodes --max_steps "$before" --save_steps "$before" --output_dir before
wants_status 0
for file in state quantization; do ok cmp "exploded/checkpoint-$before/$file.safetensors" "before/checkpoint-$before/$file.safetensors"; done
# One range for each row of a weight.
run train sparse $toy --max_steps 2 --weight_scales per_channel --output_dir channels
wants_status 0
run train sparse $toy --max_steps 2 --quantization_begin 100 --output_dir never
wants_status 0
[ -e never/quantization.safetensors ] && fail "ranges were written that nobody has learned"
cat err >transcript

# Training, or pruning, a quantized model in floats keeps no ranges, and leaves none of what lay there before.
run train whole $toy --max_steps 1 --output_dir channels --overwrite_output_dir
wants_status 0
grep -qx 'whole: warning: found a model in 8 bits, which is trained in floats: its ranges are not kept' err || fail "$last: said $(cat err)"
run prune whole --target_sparsity 0 -o further --overwrite_output_dir
wants_status 0
grep -qx 'whole: warning: found a model in 8 bits, which is pruned in floats: its ranges are not kept' err || fail "$last: said $(cat err)"
for dir in channels further; do
    [ -e $dir/quantization.safetensors ] && fail "$dir has ranges of other weights"
    run eval $dir --task sst2 --eval train.tsv
    wants_status 0
done
# Other weights than those of the quantized model have none of its ranges; a compiled model has its own.
sed 's|<model .*|<model from="whole" head="sequence-classification"><checkpoint path="sparse/model.safetensors"/></model></pofac>|; /<bert/,$d' student.xml >other.xml
run train other.xml $toy --max_steps 2 --quantization_begin 100 --output_dir others
wants_status 0
[ -e others/quantization.safetensors ] && fail "ranges of a model with other weights were learned on"
run compile whole -o whole.pofac --tune off
wants_status 0
run train whole.pofac $toy --max_steps 1 --learning_rate 0 --quantization_begin 100 --output_dir others --overwrite_output_dir
wants_status 0
[ -e others/quantization.safetensors ] || fail "ranges of a compiled model were not learned on"

# ---- what would be done, and what is refused ----

run train sparse $toy --dry_run --max_steps 2 --quantization_begin 100 --not_to_quantize pooler
wants_status 0
grep -q '^8 bits  *7 layers, from forward 100 on$' out || fail "$last: $(grep '8 bits' out)"
echo '{"quantization_begin": -1, "not_to_quantize": "x", "bits": 3}' >wrong.json
shows train sparse $toy --output_dir new --quantization_config wrong.json
shows train sparse $toy --output_dir new --quantization_config missing.json
echo '{"activations": "dynamic"}' >dynamic.json
shows train sparse $toy --output_dir new --quantization_config dynamic.json
shows train sparse $toy --output_dir new --quantization_begin 1 --pruning_fn movement --target_sparsity 0.5
head -c 60 whole/quantization.safetensors >torn && cp -r whole damaged && cp torn damaged/quantization.safetensors
run train damaged $toy --output_dir new --quantization_begin 0
wants_status 3
[ -e new/model.safetensors ] && fail "something that was refused wrote a model"
wants_golden transcript train_qat.txt
finish
