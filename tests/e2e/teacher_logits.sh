#!/bin/bash
# A teacher's logits kept on disk by `pofac data logits`: training gives the losses that it gives with the teacher in the graph, to 1e-6, with every kind of head and
# over epochs whose masking differs; what was kept of other data, another masking or too few epochs is refused; an interrupted run of it goes on.
. "$(dirname "$0")/harness.bash"
. "$source_dir/tests/e2e/recipes.bash"
recipe_words >vocab.txt
recipe_data
printf '{"tokens": ["a", "b", "d"], "ner_tags": ["B-X", "I-X", "O"]}\n{"tokens": ["e", "x"], "ner_tags": ["O", "B-Y"]}\n' >tags.jsonl

# made NAME HEAD SEED [LABEL...]: a model with random weights.
made() {
    local name=$1 head=$2 seed=$3 label labels=
    shift 3
    for label; do labels+="<label name=\"$label\"/>"; done
    echo "<pofac xmlns=\"urn:pofac:1\"><model head=\"$head\"><bert vocab_size=\"$recipe_vocab\" hidden_size=\"16\" num_hidden_layers=\"1\" num_attention_heads=\"2\"
      intermediate_size=\"32\" max_position_embeddings=\"64\"/>$labels<tokenizer vocab=\"vocab.txt\"/></model></pofac>" >description.xml
    ok "$POFAC" prune description.xml -o "$name" --target_sparsity 0 --seed "$seed"
}

# close RUN RUN [TOLERANCE]: the same losses of every logged step, to 1e-6 of their size; at least four numbers of each.
close() {
    awk -v name="$1" -v tolerance="${3:-1e-6}" '
        function number(key,   text) { text = $0; return sub(".*\"" key "\": ", "", text) ? text + 0 : "" }
        { n = split("loss task_loss distill_loss", keys, " ")
          for (i = 1; i <= n; i++) if (number(keys[i]) != "") { where = FNR " " keys[i]
              if (FNR == NR) wanted[where] = number(keys[i])
              else { seen++; difference = number(keys[i]) - wanted[where]; size = wanted[where] < 1 ? 1 : wanted[where]
                     if (!(where in wanted) || difference > tolerance * size || -difference > tolerance * size) { print name ", line " where ": found " number(keys[i]) ", wanted " wanted[where]; bad = 1 } } } }
        END { if (seen < 4) print name ": compared " seen + 0 " numbers, wanted at least 4"; exit bad || seen < 4 }' "$2/metrics.jsonl" "$1/metrics.jsonl" || fail "$1 differs from $2"
}

# the lines of metrics without what a clock says
curve() { sed 's/, "tokens_per_second".*//; s/, "eval_runtime".*//' "$1/metrics.jsonl"; }

# with_both NAME TEACHER ARGUMENT...: the same run with the teacher in the graph and with its kept logits.
with_both() {
    local name=$1 teacher=$2
    shift 2
    run data logits student "$@" --teacher "$teacher" --top_k 0 -o "$name.logits"
    wants_status 0
    "$build_dir/json_has" --lines=1 out files_made:positive tokens:positive >ok.log 2>&1 || fail "$last: $(cat ok.log)"
    run train student "$@" --teacher "$teacher" --output_dir "$name-graph"
    wants_status 0
    run train student "$@" --teacher "$teacher" --teacher_logits "$name.logits" --output_dir "$name-kept"
    wants_status 0
    close "$name-kept" "$name-graph"
}

common=(--logging_steps 1 --save_steps 1000 --report_to none --learning_rate 1e-3 --temperature 2 --per_device_train_batch_size 4)
made student pretraining 1
made words pretraining 2
shards=(--kind segment_pair_nsp --train wikipedia --max_seq_length 64 "${common[@]}" --max_steps 9)
ok "$POFAC" data build corpus.txt -o wikipedia --vocab vocab.txt --max_seq_length 48 --validation_share 0.2 --overwrite_output_dir
with_both words words "${shards[@]}" --gradient_accumulation_steps 2
rm -rf student && made student sequence-classification 1 entailment neutral contradiction
made classes sequence-classification 2 entailment neutral contradiction
with_both classes classes --task mnli --train glue/MNLI "${common[@]}" --max_steps 4
rm -rf student && made student token-classification 1 O B-X I-X B-Y
made tags token-classification 2 O B-X I-X B-Y
with_both tags tags --task token-classification --train tags.jsonl "${common[@]}" --max_steps 4
rm -rf student && made student question-answering 1
made answers question-answering 2
with_both answers answers --task squad --train squad/train-v1.1.json --max_seq_length 32 --doc_stride 8 "${common[@]}" --max_steps 4

# ---- words enough for losses in tiles: compiled as interpreted, over tokens of several chunks ----

recipe_vocab=1200
recipe_words >vocab.txt
rm -rf student words
made student pretraining 1
made words pretraining 2
ok "$POFAC" data build corpus.txt -o wikipedia --vocab vocab.txt --max_seq_length 48 --validation_share 0.2 --overwrite_output_dir
tiles=(--kind segment_pair_nsp --train wikipedia --max_seq_length 64 "${common[@]}" --per_device_train_batch_size 12 --max_steps 2 --hidden_dropout_prob 0 --attention_probs_dropout_prob 0)
run train student "${tiles[@]}" --teacher words --output_dir tiles-compiled
wants_status 0
run train student "${tiles[@]}" --teacher words --output_dir tiles --interpreter
wants_status 0
close tiles-compiled tiles 1e-5

# ---- a part of the words ----

recipe_vocab=100
recipe_words >vocab.txt
rm -rf words && made words pretraining 2
ok "$POFAC" data build corpus.txt -o wikipedia --vocab vocab.txt --max_seq_length 48 --validation_share 0.2 --overwrite_output_dir

rm -rf student && made student pretraining 1
run data logits student "${shards[@]}" --teacher words --top_k $recipe_vocab -o all.logits
wants_status 0
run data logits student "${shards[@]}" --teacher words --top_k 12 --dtype f16 -o part.logits
wants_status 0
run train student "${shards[@]}" --teacher_logits part.logits --output_dir part
wants_status 0
grep -q '"distill_loss": [0-9]' part/metrics.jsonl || fail "no distill_loss in $(head -n 1 part/metrics.jsonl)"

# ---- what goes on, and what is refused ----

rm part.logits/epoch-001-00000.logits
run train student "${shards[@]}" --teacher_logits part.logits --output_dir new
wants_status 3
cp err part.err
run data logits student "${shards[@]}" --teacher words --top_k 12 --dtype f16 -o part.logits
ok "$build_dir/json_has" --lines=1 out files_made=1
run train student "${shards[@]}" --teacher_logits part.logits --output_dir part-again
wants_status 0
ok cmp <(curve part) <(curve part-again)

rm -f transcript
cat part.err >>transcript
shows data logits student "${shards[@]}" -o other.logits
shows data logits student "${shards[@]}" --teacher words
shows data logits student "${shards[@]}" --teacher words --top_k 13 -o part.logits
shows data logits student "${shards[@]}" --teacher classes -o other.logits
shows train student "${shards[@]}" --teacher_logits part.logits --output_dir new --max_steps 1000
shows train student "${shards[@]}" --teacher_logits part.logits --output_dir new --seed 43
shows train student "${shards[@]}" --teacher_logits part.logits --output_dir new --max_train_samples 5
shows train student "${shards[@]}" --teacher_logits classes.logits --output_dir new
shows train student "${shards[@]}" --teacher_logits glue --output_dir new
shows train student "${shards[@]}" --teacher_logits part.logits --output_dir new --cross_model_distillation tinybert
wants_golden transcript teacher_logits.txt
finish
