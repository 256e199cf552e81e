#!/bin/bash
# Training and evaluation on every kind of data - tensors, rows of a task, questions, shards -, what a dry run tells, and what is refused, word for word.
. "$(dirname "$0")/harness.bash"
has() { ok "$build_dir/json_has" "$@"; }

printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c d e f g x . '?' >vocab.txt
model='<model><bert vocab_size="15" hidden_size="16" num_hidden_layers="1" num_attention_heads="2" intermediate_size="32" max_position_embeddings="32"/><tokenizer vocab="vocab.txt"/></model>'
recipe() { printf '<pofac xmlns="urn:pofac:1">\n%s\n%s\n</pofac>\n' "$model" "$2" >"$1.xml"; } # NAME SECTIONS
train='<train max_steps="2" per_device_train_batch_size="2" logging_steps="1" save_steps="1000" report_to="none"'

# ---- rows of tasks: labels, numbers, tags ----

printf 'sentence1\tsentence2\tlabel\na b c\tc d\tentailment\nd e\tf g a\tneutral\na x\tx b\tcontradiction\n' >mnli.tsv
printf 'sentence1\tsentence2\tscore\na b c\tc d\t4.5\nd e\tf g a\t0.5\na x\tx b\t2\n' >stsb.tsv
printf '{"tokens": ["a", "bc", "d"], "ner_tags": ["B-X", "I-X", "O"]}\n{"tokens": ["e", "x"], "ner_tags": ["O", "B-Y"]}\n' >tags.jsonl
printf 'text\tlabel\na b\tfoo\nc d\tbar\ne f\tbaz\n' >own.tsv
for task in mnli:mnli.tsv:eval_accuracy stsb:stsb.tsv:eval_pearson token-classification:tags.jsonl:eval_f1 classification:own.tsv:eval_accuracy; do
    IFS=: read -r name file metric <<<"$task"
    recipe task "<data kind=\"glue\" task=\"$name\" train=\"$file\" eval=\"$file\"/>$train output_dir=\"$name\"/>"
    run train task.xml
    wants_status 0
    has "$name/eval_results.json" "$metric:number" eval_loss:positive
    run eval task.xml --seed 42
    wants_status 0
    run train "$name" --task "$name" --train "$file" --output_dir "$name-more" --max_steps 1 --report_to none
    wants_status 0
done
has classification/config.json id2label.0=bar id2label.2=foo

# ---- questions ----

printf '{"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "a b c d e f g a b c d e f g x", "qas": [{"id": "1", "question": "a b?", "answers": [{"text": "d e", "answer_start": 6}]}]}]}]}' >squad.json
recipe squad "<data kind=\"squad\" train=\"squad.json\" eval=\"squad.json\" max_seq_length=\"12\" doc_stride=\"4\"/>$train output_dir=\"squad\"/>"
run train squad.xml
wants_status 0
has squad/eval_results.json eval_f1:number eval_exact_match:number eval_loss:positive
run eval squad --task squad_v2 --eval squad.json --max_seq_length 16
has --lines=1 out exact:number HasAns_total=1

# ---- shards ----

for i in $(seq 24); do printf 'a b c d e f g x.\nb c d e f g a.\nc d e f a b.\n\n'; done >corpus.txt
for kind in segment_pair_nsp doc_sentences concatenate; do
    ok "$POFAC" data build corpus.txt -o "shards-$kind" --vocab vocab.txt --mode "$kind" --max_seq_length 24 --validation_share 0.2
    recipe shards "<data kind=\"$kind\" train=\"shards-$kind\"/>$train output_dir=\"out-$kind\"/>"
    run train shards.xml
    wants_status 0
    has "out-$kind/eval_results.json" eval_loss:positive eval_mlm_accuracy:number eval_perplexity:positive
done
has out-segment_pair_nsp/eval_results.json eval_nsp_accuracy:number eval_nsp_loss:positive eval_mlm_loss:positive

# ---- what would be done ----

recipe dry "<data kind=\"glue\" task=\"mnli\" train=\"mnli.tsv\"/><train num_train_epochs=\"2.5\" per_device_train_batch_size=\"2\"/>"
run train dry.xml --dry_run
wants_status 0
grep -q '^steps  *5$' out || fail "$last: not 5 steps: $(grep steps out)"
grep -q '^parameters  *[1-9]' out || fail "$last: no parameters"
grep -q 'in all' out || fail "$last: no memory"
run train dry.xml --dry_run --max_memory 10K
wants_status 2

# ---- what is refused ----

rm -f transcript
shows train
shows train dry.xml
shows train dry.xml --output_dir mnli
shows train dry.xml --output_dir new --learning_rat 1
shows train dry.xml --output_dir new --learning_rate much
shows train dry.xml --output_dir new --lr_scheduler_type polynomial
shows train dry.xml --output_dir new --eval_steps 1
shows train dry.xml --output_dir new --eval mnli.tsv --load_best_model_at_end --metric_for_best_model f1
shows train dry.xml --output_dir new --max_seq_length 33
shows train dry.xml --output_dir new --head question-answering
shows train dry.xml --output_dir new --num_labels 2
shows train dry.xml --output_dir new --train missing.tsv
shows train dry.xml --output_dir new --train stsb.tsv
shows train dry.xml --output_dir new --resume_from_checkpoint nowhere
shows train dry.xml --output_dir new --step_graph corpus.txt
shows train dry.xml --output_dir new --output x
shows train dry.xml --emit=ir --dry_run
shows train missing --task sst2 --train own.tsv --output_dir new
shows train stsb --task mnli --train mnli.tsv --output_dir new
shows eval dry.xml --kind segment_pair_nsp --eval shards-concatenate
shows eval dry.xml --kind segment_pair_nsp --task ''
[ -e new/model.safetensors ] && fail "something that was refused wrote a model"
recipe quantize "<quantize method=\"static\"/><data kind=\"glue\" task=\"mnli\" train=\"mnli.tsv\"/>"
shows train quantize.xml --output_dir new
wants_golden transcript train_messages.txt

# ---- the reference's steps ----

if [ -n "${POFAC_SHARED:-}" ]; then
    fixture=$POFAC_SHARED/fixtures/train/teacher-preparation
    run train "$fixture/student" --kind tensors --train "$fixture/batches.safetensors" --head pretraining --output_dir reference --max_steps 20 \
        --per_device_train_batch_size 4 --learning_rate 1e-3 --warmup_steps 3 --weight_decay 0.01 --logging_steps 1 --hidden_dropout_prob 0 \
        --attention_probs_dropout_prob 0 --report_to none
    wants_status 0
    numbers() { sed -n "s/.*\"step\": \([0-9]*\).*\"loss\": \([0-9.e-]*\),.*\"$2\": \([0-9.e-]*\).*\"grad_norm\": \([0-9.e-]*\).*/\1 \2 \3 \4/p" "$1"; }
    paste -d ' ' <(numbers reference/metrics.jsonl learning_rate) <(numbers "$fixture/expected.jsonl" lr) >both
    [ "$(wc -l <both)" = 20 ] || fail "$last: $(wc -l <both) steps, wanted 20"
    awk 'function far(x, y, bound) { d = x - y; if (d < 0) d = -d; return d > bound * y }
        $1 != $5 || far($2, $6, 2e-5) || far($3, $7, 1e-9) || far($4, $8, 2e-5) { print }' both >far
    wants_quiet far
else
    echo "SKIP: ../shared is absent"
fi
finish
