#!/bin/bash
# What users of such tools expect beyond single commands: names of options as elsewhere, the files of a run's directory, exit status by kind of failure, signals,
# numbers of threads, the cache's place. What other tests show in full is not repeated here (tests/README.md).
. "$(dirname "$0")/harness.bash"
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c d e f g x . >vocab.txt
{
    printf 'sentence\tlabel\n'
    for i in $(seq 40); do printf 'a b %s c d\t%d\n' "$(cut -d' ' -f$((i % 5 + 1)) <<<'x e f x g')" $((i % 5 == 0 || i % 5 == 3)); done
} >train.tsv
cat >recipe.xml <<'XML'
<pofac xmlns="urn:pofac:1">
  <model><bert vocab_size="14" hidden_size="16" num_hidden_layers="1" num_attention_heads="2" intermediate_size="32" max_position_embeddings="16"/>
    <tokenizer vocab="vocab.txt"/></model>
  <data kind="glue" task="sst2" train="train.tsv" eval="train.tsv"/>
  <train max_steps="4" per_device_train_batch_size="8" logging_steps="1" save_steps="2" learning_rate="1e-2"/>
</pofac>
XML
prunes="--not_to_prune classifier --policy_end_step 2 --pruning_frequency 1"

# ---- names of options: Trainer's and the pruning package's, with - and with _ ----

named=0
run train --help
cp out help
for name in learning_rate warmup_ratio max_steps num_train_epochs per_device_train_batch_size gradient_accumulation_steps weight_decay max_grad_norm \
    max_seq_length doc_stride seed save_steps save_total_limit logging_steps eval_steps load_best_model_at_end resume_from_checkpoint overwrite_output_dir \
    pruning_config pruning_override lr_rewind cross_entropy_alpha knowledge_distillation_alpha temperature quantization_config; do
    grep -q "^  --$name[ ,]" help || fail "pofac train --help: no --$name"
    for spelling in "$name" "${name//_/-}"; do # a value that nothing takes: of a name that is known, the message is about the value
        run train recipe.xml --output_dir named "--$spelling="
        [ $rc = 2 ] || [ $rc = 3 ] || fail "$last: exit status $rc"
        grep -q 'unknown option' err && fail "$last: $(cat err)"
        named=$((named + 1))
    done
done
[ $named = 50 ] || fail "tried $named names, wanted 50"
run train recipe.xml --output_dir named --learning-rat 1
wants_status 2
grep -qx 'error: unknown option --learning-rat; did you mean --learning-rate?' err || grep -qx 'error: unknown option --learning-rat; did you mean --learning_rate?' err ||
    fail "$last: $(cat err)"

# ---- the files of a run ----

run train recipe.xml --output_dir pruned $prunes --pruning_fn unstructured_magnitude --target_sparsity 0.5
wants_status 0
for file in config.json model.safetensors vocab.txt tokenizer_config.json checkpoint-2/model.safetensors trainer_state.json train_results.json eval_results.json \
    all_results.json pruning_config.json metrics.jsonl; do
    [ -s "pruned/$file" ] || fail "$last: no $file"
done
[ "$(grep -c '^{.*}$' pruned/metrics.jsonl)" = "$(wc -l <pruned/metrics.jsonl)" ] || fail "metrics.jsonl has lines that are no objects"
for tag in pruning/target_sparsity pruning/average_model_sparsity sparsity_per_layer/bert.encoder.layer.0.output.dense; do
    grep -aq "$tag" pruned/runs/events.out.tfevents.* || fail "$last: no scalars $tag for TensorBoard"
done

# The file says how the model was pruned: the same run by it has the same bits. What overrides it wins over all else.
run train recipe.xml --output_dir again --pruning_config pruned/pruning_config.json
wants_status 0
ok cmp pruned/model.safetensors again/model.safetensors
ok cmp pruned/pruning_config.json again/pruning_config.json
run train recipe.xml --output_dir other --pruning_config pruned/pruning_config.json --target_sparsity 0.6 \
    --pruning_override '{"pruning_fn_default_kwargs": {"target_sparsity": 0.25}, "pruning_frequency": 2}'
wants_status 0
grep -q '^train_sparsity  *0.25$' out || fail "$last: $(grep train_sparsity out)"
grep -q '"pruning_frequency": 2,' other/pruning_config.json || fail "$last: $(cat other/pruning_config.json)"
run train recipe.xml --output_dir wrong --pruning_override '{"pruning_frequency": 0}'
wants_status 2
grep -qx -- '--pruning_override: error: pruning_frequency: found 0, wanted an integer from 1 to 1000000000000' err || fail "$last: $(cat err)"
run prune pruned -o twice --pruning_config pruned/pruning_config.json --pruning_override '{"scheduler": "one_shot", "pruning_fn_default_kwargs": {"target_sparsity": 0.75}}'
wants_status 0
grep -q '"sparsity": 0.75}$' out || fail "$last: $(cat out)"
run train pruned --task sst2 --train train.tsv --max_steps 1 --output_dir locked --pruning_fn pattern_lock --not_to_prune classifier
wants_status 0
ok "$build_dir/json_has" locked/pruning_config.json pruning_fn=pattern_lock scheduler=one_shot

# ---- directories that are not empty are refused by whoever writes one, and left as they are ----

mkdir full && echo mine >full/file
for command in "train recipe.xml --output_dir" "prune pruned --target_sparsity 0.9 -o" "quantize pruned --method dynamic -o" "export pruned -o"; do
    run $command full
    wants_status 2
    [ "$(grep -c error: err)" = 1 ] && grep -q 'not empty\|something there' err && grep -q -- --overwrite err || fail "$last: $(cat err)"
    [ "$(ls -A full)" = file ] || fail "$last: the directory has now $(ls -A full)"
done

# ---- exit status: 0, 2 and 3 are above and in other tests; 1, 4, 130 and 143 ----

run train recipe.xml --output_dir /dev/null/run
wants_status 1
run train recipe.xml --output_dir numeric --learning_rate 1e6 --max_grad_norm 0 --max_steps 40
wants_status 4
[ "$(grep -c error: err)" = 1 ] || fail "$last: $(cat err)"

# stopped SIGNAL STATUS: a run that is sent a signal ends with it, after a checkpoint from which the run goes on.
stopped() {
    local dir=stopped-$1 pid
    "$POFAC" train recipe.xml --output_dir "$dir" --max_steps 1000000 --lr_scheduler_type constant --save_steps 1000000 --eval_steps 1000000 >out 2>err &
    pid=$!
    for _ in $(seq 600); do
        [ "$(cat "$dir/metrics.jsonl" 2>/dev/null | wc -l)" -ge 2 ] || ! kill -0 $pid 2>/dev/null && break
        sleep 0.05
    done
    kill -s "$1" $pid
    wait $pid
    rc=$?
    last="train, SIG$1"
    wants_status "$2"
    wants_quiet out
    ls -d "$dir"/checkpoint-* >/dev/null || fail "$last: no checkpoint"
    grep -q -- '--resume_from_checkpoint last goes on' err || fail "$last: $(cat err)"
    [ -e "$dir/model.safetensors" ] && fail "$last: wrote a result"
}
set -m # a job of its own gets SIGINT
stopped INT 130
stopped TERM 143
set +m

# ---- threads: the option, OMP_NUM_THREADS, affinity; OpenBLAS has none of its own ----

ok "$build_dir/demo_model" demo
threads() { "$@" | sed -n '1s/.* \([0-9]*\) threads\{0,1\},.*/\1/p'; }
bench="$POFAC bench demo --sequence 8 --iterations 1 --warmup 1"
found="$(threads $bench --threads 3) $(OMP_NUM_THREADS=1 threads $bench) $(OMP_NUM_THREADS=1 threads $bench --threads 2) $(threads taskset -c "$(taskset -cp $$ |
    sed 's/.*: \([0-9]*\).*/\1/')" $bench)"
[ "$found" = "3 1 2 1" ] || fail "threads: found $found, wanted 3 1 2 1"
mkfifo pipe
for wanted in 1 3; do
    OPENBLAS_NUM_THREADS=8 OMP_NUM_THREADS=8 "$POFAC" predict demo --threads $wanted pipe >out 2>err &
    pid=$!
    exec 3<>pipe # opens whether or not pofac lives to read
    for _ in $(seq 64); do echo good; done >&3
    for _ in $(seq 600); do
        [ -s out ] || ! kill -0 $pid 2>/dev/null && break
        sleep 0.05
    done
    alive=$(ls /proc/$pid/task 2>/dev/null | wc -l)
    exec 3>&-
    wait $pid || fail "predict --threads $wanted: exit status $?: $(cat err)"
    [ -n "${POFAC_SANITIZE:-}" ] || [ "$alive" -le $((wanted + 1)) ] || fail "predict --threads $wanted: $alive threads, wanted $wanted and a reader"
done

# ---- the cache: $XDG_CACHE_HOME, or .cache at home; without a place, a warning at most ----

echo good >text.txt
XDG_CACHE_HOME=$PWD/cache run predict demo text.txt
wants_status 0
wants_quiet err
[ -n "$(ls cache/pofac/objects)" ] || fail "XDG_CACHE_HOME: nothing in cache/pofac/objects"
mkdir home
XDG_CACHE_HOME= HOME=$PWD/home run predict demo text.txt
wants_status 0
[ -n "$(ls home/.cache/pofac/objects)" ] || fail "HOME: nothing in home/.cache/pofac/objects"
XDG_CACHE_HOME=/dev/null run predict demo text.txt
wants_status 0
[ "$(wc -l <err)" = 1 ] && grep -q '^/dev/null/pofac/objects: warning: the object cache is not used: ' err || fail "$last, no cache: $(cat err)"
finish
