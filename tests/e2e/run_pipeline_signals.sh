#!/bin/bash
# pofac run: a stage of training that SIGINT, SIGTERM or SIGKILL ends goes on to the same bits when the same command is given again, and nobody else
# gets at its directory meanwhile. A stage writes where its recipe says, if that is in its directory.
. "$(dirname "$0")/harness.bash"

for d in $(seq 40); do
    for s in 1 2 3 4 5 6; do echo "word$(((d * s) % 7)) follows word$(((d + s) % 5)) and ends here."; done
    echo
done >corpus.txt
cat >training.xml <<'EOF'
<pofac xmlns="urn:pofac:1">
  <pipeline name="training">
    <stage name="vocabulary" command="data vocab"><argument value="corpus.txt"/><option name="vocab_size" value="60"/></stage>
    <stage name="shards" command="data build">
      <argument value="corpus.txt"/><option name="vocab" value="${stage:vocabulary}/vocab.txt"/><option name="max_seq_length" value="32"/>
    </stage>
    <stage name="model">
      <model head="pretraining">
        <bert vocab_size="60" hidden_size="16" num_hidden_layers="1" num_attention_heads="2" intermediate_size="32" max_position_embeddings="32"/>
        <tokenizer vocab="${stage:vocabulary}/vocab.txt"/>
      </model>
      <data kind="segment_pair_nsp" train="${stage:shards}" max_seq_length="32"/>
      <train max_steps="300" logging_steps="1" save_steps="20" save_total_limit="2" learning_rate="1e-3" report_to="none"/>
    </stage>
    <results><row name="model"><cell column="loss" stage="model" file="metrics.jsonl" key="loss"/><cell column="evaluation" stage="model" file="eval_results.json" key="eval_loss"/></row></results>
  </pipeline>
</pofac>
EOF
run run training.xml -o whole
wants_status 0
table=$(cat out)
[ "$(grep -c '"loss"' whole/model/metrics.jsonl)" -ge 300 ] || fail "metrics.jsonl has $(wc -l <whole/model/metrics.jsonl) lines"

# What metrics.jsonl has, without times.
losses() { sed 's/, *"[a-z_]*\(per_second\|runtime\)": [^,}]*//g' "$1/model/metrics.jsonl"; }

# interrupt SIGNAL STATUS: starts the pipeline in the directory SIGNAL, sends the signal when its training has saved something, and lets it go on; $hit counts how
# often the signal came before the end.
hit=0
interrupt() {
    local signal=$1 wanted=$2 child
    "$POFAC" run training.xml -o "$signal" >out 2>err &
    child=$!
    until compgen -G "$signal/model/checkpoint-*" >/dev/null || ! kill -0 $child 2>/dev/null; do sleep 0.01; done
    if [ "$signal" = INT ]; then
        run run training.xml -o INT --from model # while the other is at work
        if kill -0 $child 2>/dev/null && [ $rc = 1 ]; then
            grep -q 'INT: error: another `pofac run` is at work in this directory' err || fail "two at once: $(cat err)"
        fi
    fi
    kill -s "$signal" $child 2>/dev/null
    wait $child 2>/dev/null
    rc=$?
    last="pofac run ended by $signal"
    [ $rc = 0 ] && return
    wants_status "$wanted"
    hit=$((hit + 1))
    # the child of a parent that was killed saves what it has, and holds the directory until then
    until flock -n "$signal" true; do sleep 0.05; done
    run run training.xml -o "$signal" --dry_run
    grep -q 'model  *would run: goes on$' err || fail "after $signal: $(cat err)"
    run run training.xml -o "$signal"
    wants_status 0
    grep -q 'shards  *unchanged$' err || fail "after $signal: $(cat err)"
    [ "$(cat out)" = "$table" ] || fail "after $signal: found the table $(cat out), wanted $table"
    grep -q -- '--resume_from_checkpoint=last$' "$signal/model/log.txt" || fail "after $signal: $(cat "$signal/model/log.txt")"
    cmp "$signal/model/model.safetensors" whole/model/model.safetensors || fail "after $signal: another model"
    diff <(losses "$signal") <(losses whole) >difference || fail "after $signal: other metrics: $(head -5 difference)"
}
# a shell's children in the background ignore SIGINT, and so would this one
set -m
interrupt INT 130
interrupt TERM 143
interrupt KILL 137
set +m
[ $hit -gt 0 ] || fail "no run was interrupted before its end"
echo "$hit interrupted runs went on to the same model"

# The command line that the log begins with repeats the stage.
command=$(head -1 whole/model/log.txt)
[ "$command" = "pofac train whole/model/recipe.xml --output_dir=whole/model --overwrite_output_dir=true" ] || fail "log: $command"
cp whole/model/model.safetensors before.safetensors
run train whole/model/recipe.xml --output_dir=whole/model --overwrite_output_dir=true
wants_status 0
cmp whole/model/model.safetensors before.safetensors || fail "the stage repeated by hand gives another model"

# ---- where a recipe writes ----
sed 's/max_steps="300"/max_steps="2"/; s/<train /&output_dir="${out}\/weights" /; s/file="\(metrics\|eval\)/file="weights\/\1/g' training.xml >inner.xml
run run inner.xml -o inner
wants_status 0
[ -f inner/model/weights/config.json ] && [ ! -e inner/model/config.json ] || fail "a recipe that writes into \${out}/weights: $(ls inner/model inner/model/weights)"
sed 's/<train /&output_dir="elsewhere" /' training.xml >outer.xml
run run outer.xml -o outer
wants_status 3
grep -q 'outer.xml:13:26: error: output_dir: found elsewhere, wanted a path in the stage.s directory: ${out}/NAME$' err || fail "output_dir elsewhere: $(cat err)"
[ ! -e outer ] && [ ! -e elsewhere ] || fail "a refused pipeline has written something"
# A recipe in a file of its own may name a directory for when it is used alone.
cat >own.xml <<'EOF'
<pofac xmlns="urn:pofac:1">
  <model name="own" from="whole/model" head="pretraining"/>
  <data kind="segment_pair_nsp" train="whole/shards" max_seq_length="32"/>
  <train output_dir="elsewhere" max_steps="2" report_to="none"/>
</pofac>
EOF
echo '<pofac xmlns="urn:pofac:1"><pipeline name="with_own"><stage name="model" recipe="own.xml"/></pipeline></pofac>' >with_own.xml
run run with_own.xml -o with_own
wants_status 0
[ -f with_own/model/config.json ] && [ ! -e elsewhere ] || fail "a recipe with an output_dir of its own: $(ls with_own/model)"
sed -i 's/output_dir="elsewhere"/output_dir="${stage:model}\/in_another"/' own.xml
run run with_own.xml -o with_own
wants_status 3
grep -q 'own.xml:4:22: error: output_dir: found ${stage:model}/in_another, wanted a path in the stage.s directory: ${out}/NAME$' err || fail "a recipe that writes into a stage: $(cat err)"
finish
