#!/bin/bash
# Pruning and distillation from the command line: the reference's steps of student pruning, by configurations of all forms; what is told of masks; zeros
# that stay where they are locked; teachers that do not fit, word for word.
. "$(dirname "$0")/harness.bash"
has() { ok "$build_dir/json_has" "$@"; }

# ---- the reference's steps ----

# steps NAME HEAD STEPS: a line of each step is the fixture's; so are the weights in the end, and the names of those that are pruned are in `layers`.
plain="--per_device_train_batch_size 4 --learning_rate 1e-3 --weight_decay 0.01 --logging_steps 1 --hidden_dropout_prob 0 --attention_probs_dropout_prob 0"
values='s/.*"step": \([0-9]*\), .*"loss": \([0-9.e-]*\), "KD_A": \([0-9.e-]*\), "KD_B": \([0-9.e-]*\), "RATE": \([0-9.e-]*\), "grad_norm": \([0-9.e-]*\), "sparsity": \([0-9.e-]*\).*/\1 \2 \3 \4 \5 \6 \7/p'
check_fixture() {
    local name=$1 steps=$2 fixture=$POFAC_SHARED/fixtures/train/$1
    sed -n "$(sed 's/KD_A/task_loss/; s/KD_B/distill_loss/; s/RATE/learning_rate/' <<<"$values")" "$name/metrics.jsonl" >found
    sed -n "$(sed 's/, \.\*"loss/, "loss/; s/KD_A/ce/; s/KD_B/kd/; s/RATE/lr/' <<<"$values")" "$fixture/expected.jsonl" >wanted
    paste -d ' ' found wanted >both
    [ "$(awk 'NF == 14' both | wc -l)" = "$steps" ] || fail "$name: $(awk 'NF == 14' both | wc -l) steps, wanted $steps: $(head -2 both)"
    # a divergence near 0 is a difference of numbers near 1 in the reference, and of f32: 4 * 2^-23
    awk 'function far(x, y, bound) { d = x - y; if (d < 0) d = -d; return d > bound * y }
        $1 != $8 || far($2, $9, 2e-5) || far($3, $10, 2e-5) || far($4, $11, 2e-5 + 5e-7 / $11) || far($5, $12, 1e-9) || far($6, $13, 2e-5) || $7 != $14 { print }' both >far
    wants_quiet far
    grep -o '"sparsity_per_layer/[^"]*"' "$name/metrics.jsonl" | tr -d '"' | cut -d/ -f2 | sort -u >layers
    ok "$build_dir/compare_tensors" "$name/model.safetensors" "$fixture/final.safetensors" --tolerance=5e-3
}

if [ -n "${POFAC_SHARED:-}" ]; then
    fixture=$POFAC_SHARED/fixtures/train/student-pruning-90
    cat >pruning.json <<'JSON'
{"scheduler": "iterative", "pruning_fn": "unstructured_magnitude", "pruning_frequency": 3, "begin_pruning_step": 0, "end_pruning_step": 20,
 "policy_begin_step": 0, "policy_end_step": 15, "pruning_fn_default_kwargs": {"target_sparsity": 0.9, "initial_sparsity": 0.0},
 "prune_layer_types": {"Linear": {"name": "weight"}}, "not_to_prune": ["cls", "teacher"]}
JSON
    run train "$fixture/student" --kind tensors --train "$fixture/batches.safetensors" --head pretraining --output_dir student-pruning-90 --max_steps 30 \
        --warmup_steps 3 $plain --pruning_config pruning.json --lr_scheduler_type linear_rewind --teacher "$fixture/teacher" --temperature 2
    wants_status 0
    check_fixture student-pruning-90 30
    [ "$(wc -l <layers)" = 13 ] || fail "student-pruning-90: pruned $(wc -l <layers) layers, wanted 13"
    [ "$(grep -c '"pruning/target_sparsity"' student-pruning-90/metrics.jsonl)" = 7 ] || fail "student-pruning-90: not 7 lines of new masks"
    for tag in pruning/average_model_sparsity pruning/target_sparsity sparsity_per_layer/bert.encoder.layer.1.output.dense train/distill_loss; do
        grep -aq "$tag" student-pruning-90/runs/events.out.tfevents.* || fail "student-pruning-90: no scalars $tag for TensorBoard"
    done

    fixture=$POFAC_SHARED/fixtures/train/distilbert-pruning-85
    cat >distilbert.xml <<XML
<pofac xmlns="urn:pofac:1">
  <model from="$fixture/student"/>
  <teacher from="$fixture/teacher"/>
  <prune pruning_fn="unstructured_magnitude" target_sparsity="0.85" pruning_frequency="3" end_pruning_step="20" policy_end_step="15">
    <not_to_prune pattern="vocab_"/>
  </prune>
  <distill cross_entropy_alpha="0.5" knowledge_distillation_alpha="0.5" temperature="2"/>
  <data kind="tensors" train="$fixture/batches.safetensors"/>
  <train max_steps="24" warmup_steps="2" lr_rewind="true" output_dir="distilbert-pruning-85" report_to="none"/>
</pofac>
XML
    run train distilbert.xml $plain
    wants_status 0
    check_fixture distilbert-pruning-85 24
    [ "$(wc -l <layers)" = 12 ] || fail "distilbert-pruning-85: pruned $(wc -l <layers) layers, wanted 12"

    # transfer NAME HEAD STEPS OPTION...: zeros stay, but those of the head, and of the pooler that question answering has none of
    transfer() {
        local name=$1 head=$2 steps=$3 fixture=$POFAC_SHARED/fixtures/train/$1
        shift 3
        run train "$fixture/student" --kind tensors --train "$fixture/batches.safetensors" --head "$head" --output_dir "$name" --max_steps "$steps" \
            --warmup_steps 2 $plain --learning_rate 5e-4 --classifier_dropout 0 --pruning_fn pattern_lock --teacher "$fixture/teacher" --temperature 2 "$@"
        wants_status 0
        check_fixture "$name" "$steps"
    }
    transfer transfer-classification-lock sequence-classification 20 --not_to_prune classifier
    transfer transfer-qa-lock question-answering 16 --not_to_prune qa_outputs --not_to_prune pooler --mask_padded_logits=false
else
    echo "SKIP: ../shared is absent"
fi

# ---- a toy task: every scheduler, accumulation, evaluations of what masks leave ----

printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c d e f g x . >vocab.txt
{
    printf 'sentence\tlabel\n'
    for i in $(seq 40); do printf 'a b %s c d\t%d\n' "$(cut -d' ' -f$((i % 5 + 1)) <<<'x e f x g')" $((i % 5 == 0 || i % 5 == 3)); done
} >train.tsv
toy() { # NAME LABELS VOCAB
    cat >"$1.xml" <<XML
<pofac xmlns="urn:pofac:1">
  <model head="sequence-classification">
    <bert vocab_size="$3" hidden_size="16" num_hidden_layers="1" num_attention_heads="2" intermediate_size="32" max_position_embeddings="16"/>
    $2<tokenizer vocab="vocab.txt"/>
  </model>
  <data kind="glue" task="sst2" train="train.tsv" eval="train.tsv"/>
  <train max_steps="8" per_device_train_batch_size="8" logging_steps="1" learning_rate="1e-2" report_to="none"/>
</pofac>
XML
}
toy student '<label name="negative"/><label name="positive"/>' 14
run train student.xml --output_dir teacher
wants_status 0
schedule="--target_sparsity 0.75 --pruning_frequency 2 --policy_end_step 4 --not_to_prune classifier"
run train student.xml --output_dir sparse $schedule --gradient_accumulation_steps 2 --eval_steps 3 --teacher teacher --temperature 2
wants_status 0
grep -q '^train_sparsity  *0.75$' out || fail "$last: $(grep train_sparsity out)"
run eval sparse --task sst2 --eval train.tsv
wants_status 0
loss() { sed -n 's/.*loss": \([0-9.]*\).*/\1/p' "$1" | tail -1 | cut -c1-7; }
[ -n "$(loss out)" ] && [ "$(loss out)" = "$(loss sparse/eval_results.json)" ] || fail "$last: loss $(loss out), in the run $(loss sparse/eval_results.json)"
run train student.xml --output_dir once --target_sparsity 0.5 --scheduler one_shot --not_to_prune classifier --max_steps 2 --save_steps 1
wants_status 0
grep -q '"step": 1,.*"sparsity": 0.5,' once/metrics.jsonl || fail "$last: $(head -1 once/metrics.jsonl)"
for method in movement unstructured_neural_wiring "second_order --fisher_gradients 3"; do
    run train student.xml --output_dir "by-${method%% *}" --pruning_fn $method $schedule
    wants_status 0
    grep -q '^train_sparsity  *0.75$' out || fail "$last: $(grep train_sparsity out)"
done
run train student.xml --output_dir given --pruning_fn custom_mask --scheduler one_shot --pruning_masks sparse/model.safetensors --not_to_prune classifier
wants_status 0
ok "$build_dir/compare_tensors" sparse/model.safetensors given/model.safetensors --tolerance=1
grep -q '^train_sparsity  *0.75' out || fail "$last: $(grep train_sparsity out)"

# The best model has its own masks: those of its step.
run train student.xml --output_dir best $schedule --learning_rate 0.3 --eval_steps 1 --load_best_model_at_end
wants_status 0
step=$(sed -n 's/^best_step *//p' out)
ok cmp best/model.safetensors "best/checkpoint-$step/model.safetensors"

# ---- zeros that stay, but for layers that are left out ----

run train sparse --vocab vocab.txt --task sst2 --train train.tsv --output_dir locked --max_steps 4 --learning_rate 1e-2 --pruning_fn pattern_lock --not_to_prune pooler
wants_status 0
run inspect sparse
run inspect locked
run prune locked --target_sparsity 0 -o same
zeros() { grep -o "\"name\": \"[^\"]*$1\"[^}]*" out | grep -o '"zeros": [0-9]*' | cut -d' ' -f2; }
[ "$(zeros layer.0.output.dense)" = 384 ] || fail "a locked weight has $(zeros layer.0.output.dense) zeros, wanted 384"
[ "$(zeros pooler.dense)" = 0 ] || fail "a weight that was left out has $(zeros pooler.dense) zeros, wanted 0"

# ---- what would be done ----

run train student.xml --dry_run $schedule --teacher teacher
wants_status 0
grep -q '^masks  *7 weights of 2304 entries, changed 4 times, 75 % zeros at the end$' out || fail "$last: $(grep masks out)"
grep -q '^teacher  *teacher, [0-9]* parameters of [0-9.]* kB, [0-9]* % of a step' out || fail "$last: $(grep teacher out)"
grep -q '^time .*if all entries of weights were kept$' out || fail "$last: $(grep time out)"
run train sparse --vocab vocab.txt --task sst2 --train train.tsv --dry_run --pruning_fn pattern_lock
grep -q '^locked  *8 weights of 2336 entries$' out || fail "$last: $(grep locked out)"

# ---- labels in another order: a new head takes the teacher's, an old one is refused ----

toy reversed '<label name="positive"/><label name="negative"/>' 14
run train reversed.xml --output_dir reversed
wants_status 0
toy unnamed '' 14
run train unnamed.xml --output_dir of-teacher --teacher reversed --max_steps 1
wants_status 0
has of-teacher/config.json id2label.0=positive

# ---- what is refused, and what is warned of ----

rm -f transcript
shows train student.xml --output_dir new --target_sparsity 0.5 --not_to_prune .
shows train student.xml --output_dir new --pruning_fn nothing
shows train student.xml --output_dir new --pruning_config missing.json
shows train student.xml --output_dir new --temperature 2
shows train student.xml --output_dir new --lr_rewind
shows train student.xml --output_dir new --teacher missing
shows train student.xml --output_dir new --teacher reversed
toy large '' 15
run train large.xml --output_dir large --max_steps 1
shows train student.xml --output_dir new --teacher large
sed 's/sequence-classification/question-answering/; s/<data .*//' unnamed.xml >headless.xml
run prune headless.xml --target_sparsity 0 -o headless
shows train student.xml --output_dir new --teacher headless
sed 's/max_position_embeddings="16"/max_position_embeddings="8"/' student.xml >short.xml
run train short.xml --output_dir short --max_steps 1 --max_seq_length 8
shows train student.xml --output_dir new --teacher short
sed 's/^x$/y/' vocab.txt >other.txt
run train student.xml --vocab other.txt --output_dir other --max_steps 1
shows train student.xml --output_dir new --teacher other
[ -e new/model.safetensors ] && fail "something that was refused wrote a model"
run train student.xml --output_dir short-run --target_sparsity 0.5 --policy_end_step 100 --pruning_frequency 4 --max_steps 6
wants_status 0
cat err >>transcript
run train student.xml --output_dir blocks --pruning_fn uniform_magnitude --block_size 8 --target_sparsity 0.85 --policy_end_step 2 --pruning_frequency 2 --not_to_prune classifier
wants_status 0
cat err >>transcript
wants_golden transcript train_pruning.txt
finish
