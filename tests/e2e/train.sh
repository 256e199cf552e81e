#!/bin/bash
# Training from the command line: a tiny BERT learns a toy task, the same bits whenever and with however many threads, through evaluations, early stopping,
# signals, and numbers that go wrong.
. "$(dirname "$0")/harness.bash"

# A sentence of six letters is positive when it has an x. 128 sentences to learn from, 48 others to measure with, by a fixed rule.
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c d e f g x . >vocab.txt
sentences() { # FIRST LAST
    echo "sentence	label"
    for ((i = $1; i <= $2; i++)); do
        local text="" k seed=$((i * 7919 % 65537))
        for k in 1 2 3 4 5 6; do
            seed=$(((seed * 75 + 74) % 65537))
            text+="$(printf %c "${letters:$((seed % 7)):1}") "
        done
        if ((i % 2)); then text="${text:0:$((seed % 6 * 2))}x${text:$((seed % 6 * 2 + 1))}"; fi
        printf '%s\t%d\n' "${text% }" $((i % 2))
    done
}
letters=abcdefg
sentences 1 128 >train.tsv
sentences 129 176 >dev.tsv
cat >recipe.xml <<'XML'
<pofac xmlns="urn:pofac:1">
  <model><bert vocab_size="14" hidden_size="16" num_hidden_layers="1" num_attention_heads="2" intermediate_size="32" max_position_embeddings="16"/>
    <tokenizer vocab="vocab.txt"/></model>
  <data kind="glue" task="sst2" train="train.tsv" eval="dev.tsv"/>
  <train max_steps="60" per_device_train_batch_size="16" learning_rate="1e-2" warmup_ratio="0.1" logging_steps="1" eval_steps="20" save_steps="25"
         group_by_length="true" output_dir="toy"/>
</pofac>
XML
# the lines of metrics without what a clock says
curve() { sed 's/, "tokens_per_second".*//; s/, "eval_runtime".*//' "$1/metrics.jsonl"; }
value() { sed -n "s/.*\"$2\": \([0-9.e-]*\).*/\1/p" "$1" | tail -1; }
above() { awk "BEGIN { exit !($1 > $2) }" || fail "$3: $1, wanted more than $2"; }

# ---- it learns; the directory is Hugging Face's ----

run train recipe.xml --threads 1
wants_status 0
grep -q '^eval_accuracy  *[01]' out || fail "$last: no table"
for file in config.json model.safetensors vocab.txt tokenizer_config.json trainer_state.json train_results.json eval_results.json all_results.json \
    checkpoint-25/model.safetensors checkpoint-50/state.safetensors; do
    [ -s "toy/$file" ] || fail "$last: no $file"
done
ls toy/runs/events.out.tfevents.* >/dev/null || fail "$last: no event file"
above "$(value toy/eval_results.json eval_accuracy)" 0.9 "accuracy of the toy task"
above "$(sed -n '1s/.*"loss": \([0-9.e-]*\), "task.*/\1/p' toy/metrics.jsonl)" "$(value toy/eval_results.json eval_loss)" "loss before, and after"
[ "$(grep -c '"loss"' toy/metrics.jsonl)" = 60 ] || fail "metrics.jsonl has not a line for each step"
[ "$(grep -c '"eval_loss"' toy/metrics.jsonl)" = 3 ] || fail "metrics.jsonl has not three evaluations"
run eval toy --task sst2 --eval dev.tsv
wants_status 0
[ "$(value out accuracy)" = "$(value toy/eval_results.json eval_accuracy)" ] || fail "eval of the result is not that of the run"
run eval toy --task sst2 --eval dev.tsv --interpreter --output_dir scores
[ "$(value out accuracy)" = "$(value scores/eval_results.json eval_accuracy)" ] || fail "$last: eval_results.json"
printf 'a b x c d\na b c d e\n' >texts.txt
run predict toy texts.txt
grep -q '"label": "positive"' out || fail "$last: the result cannot be asked"

# ---- the same bits: repeated, on two threads, interrupted and resumed ----

run train recipe.xml --threads 2 --output_dir again
wants_status 0
ok cmp toy/model.safetensors again/model.safetensors
diff <(curve toy) <(curve again) >difference || fail "two threads: another curve: $(head -3 difference)"
rm -rf again/checkpoint-50
run train recipe.xml --output_dir again --resume_from_checkpoint last
wants_status 0
ok cmp toy/model.safetensors again/model.safetensors
diff <(curve toy) <(curve again) >difference || fail "resumed: another curve: $(head -3 difference)"
run train recipe.xml --output_dir again --resume_from_checkpoint again/checkpoint-25 --learning-rate 1e-3
wants_status 3
grep -q learning_rate err || fail "$last: does not say what differs"

"$POFAC" train recipe.xml --output_dir stopped --max_steps 100000 --lr_scheduler_type constant --save_steps 1000000 --eval_steps 1000000 >out 2>err &
pid=$!
for _ in $(seq 200); do
    [ "$(cat stopped/metrics.jsonl 2>/dev/null | wc -l)" -ge 3 ] && break
    sleep 0.05
done
kill -TERM $pid
wait $pid
rc=$?
last="train, interrupted"
wants_status 143
ls -d stopped/checkpoint-* >/dev/null || fail "$last: no checkpoint"
wants_err_part() { grep -q -- "$1" err || fail "$last: stderr has not: $1"; }
wants_err_part "--resume_from_checkpoint last goes on"

# ---- steps of several batches, early stopping, the best model, no evaluation ----

run train recipe.xml --output_dir parts --per_device_train_batch_size 8 --gradient_accumulation_steps 2 --group_by_length=false --max_steps 8
wants_status 0
run train recipe.xml --output_dir early --learning_rate 0 --eval_steps 2 --early_stopping_patience 2 --load_best_model_at_end --report_to none
wants_status 0
wants_err_part "stopped early: no gain in 2 evaluations"
[ "$(grep -c '"loss"' early/metrics.jsonl)" = 6 ] || fail "early stopping: $(grep -c '"loss"' early/metrics.jsonl) steps, wanted 6"
[ -d early/runs ] && fail "event files though report_to is none"
[ -d early/checkpoint-2 ] || fail "the best model has no checkpoint"

# ---- numbers that go wrong ----

for more in "" "--gradient_accumulation_steps 2"; do
    read -ra words <<<"$more"
    run train recipe.xml --output_dir wrong --overwrite_output_dir --learning_rate 1e6 --max_grad_norm 0 --warmup_ratio 0 "${words[@]}"
    wants_status 4
    failed=$(echo wrong/failed-step-*)
    [ -s "$failed/inputs-0.safetensors" ] && [ -s "$failed/step.pir" ] || fail "$last: no dump in $failed"
    ls -d wrong/checkpoint-* >/dev/null || fail "$last: no state before the step"
    [ -e wrong/model.safetensors ] && fail "$last: wrote a model"
    rm -rf wrong
done

# ---- the step's graph: written, edited, run ----

run train recipe.xml --emit=ir -o step.pir
wants_status 0
run train recipe.xml --step_graph step.pir --output_dir own --max_steps 5 --lr_scheduler_type constant
wants_status 0
run train recipe.xml --output_dir plain --max_steps 5 --lr_scheduler_type constant
diff <(curve own) <(curve plain) >difference || fail "the step's own graph gives another curve: $(head -3 difference)"
sed 's/max_norm = 1\b/max_norm = 1e-6/' step.pir >edited.pir
cmp -s step.pir edited.pir && fail "the graph has no max_norm = 1"
run train recipe.xml --step_graph edited.pir --output_dir edited --max_steps 5 --lr_scheduler_type constant
wants_status 0
diff <(curve edited) <(curve plain) >/dev/null && fail "the edited graph gives the same curve"

# ---- zeros stay zeros ----

run train recipe.xml --output_dir locked --pruning_fn pattern_lock --max_steps 3
wants_status 0
finish
