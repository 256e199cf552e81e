#!/bin/bash
# From SQuAD's JSON to predictions to scores, and predictions of other tasks to scores: the files, their forms and what is said.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
has() { ok "$build_dir/json_has" "$@"; }
wants_out() { [ "$(cat out)" = "$1" ] || fail "$last: found $(cat out), wanted $1"; }
wants_err() { [ "$(cat err)" = "$1" ] || fail "$last: found on stderr $(cat err), wanted $1"; }

# ---- a model that points at the most positive word, in contexts of several windows ----

mkdir answers
cp demo/model.safetensors answers/model-00001-of-00002.safetensors
cp demo/vocab.txt answers
sed 's/BertForSequenceClassification/BertForQuestionAnswering/' demo/config.json >answers/config.json
pointer=0,20$(printf ',0%.0s' $(seq 62))
ok "$build_dir/make_tensors" answers/model-00002-of-00002.safetensors "qa_outputs.weight:f32:2,64:$pointer" qa_outputs.bias:f32:2:0
"$POFAC" inspect demo | sed -n 's/^\([a-z_.A-Z0-9]*\.\(weight\|bias\)\) .*/\1/p' >names
{
    echo '{"metadata": {}, "weight_map": {'
    sed 's/.*/"&": "model-00001-of-00002.safetensors",/' names
    echo '"qa_outputs.weight": "model-00002-of-00002.safetensors", "qa_outputs.bias": "model-00002-of-00002.safetensors"}}'
} >answers/model.safetensors.index.json

many() { for _ in $(seq "$1"); do printf '%s ' "$2"; done; }
# paragraph ID CONTEXT ANSWER: a question, and one that is cut; places count characters
paragraph() {
    local before=${2%%"$3"*}
    printf '{"context": "%s", "qas": [{"id": "%s", "question": "which word?", "answers": [{"text": "%s", "answer_start": %d}]},' \
        "$2" "$1" "$3" "$(LC_ALL=C.UTF-8 bash -c 'echo ${#1}' - "$before")"
    printf ' {"id": "%s-long", "question": "%s", "answers": [{"text": "%s", "answer_start": %d}]}]}\n' \
        "$1" "$(many 80 'which?')" "$3" "$(LC_ALL=C.UTF-8 bash -c 'echo ${#1}' - "$before")"
}
{
    echo '{"version": "1.1", "data": [{"title": "t", "paragraphs": ['
    paragraph begin "Great! $(many 70 'the film')" Great
    echo ,
    paragraph end "$(many 70 'é the film')great" great
    echo ,
    paragraph border "$(many 13 'the film')great $(many 50 'the film')" great
    echo ']}]}'
} >dev.json
run predict answers --task squad dev.json -o predictions.json --max_query_length 5
wants_status 0
wants_quiet out
cp predictions.json wanted.json
cp nbest_predictions.json wanted_nbest.json
[ -e null_odds.json ] && fail "$last: null_odds.json is there"
printf '{\n    "begin": "Great",\n    "begin-long": "Great",\n    "end": "great",\n    "end-long": "great",\n    "border": "great",\n    "border-long": "great"\n}\n' >plain.json
ok cmp plain.json predictions.json
has nbest_predictions.json begin.0.text=Great begin.0.probability:positive begin.0.start_logit:number begin.0.end_logit:number begin.19.text:string
run score --task squad --data dev.json --predictions predictions.json --output_dir results
wants_out '{"exact_match": 100.0, "f1": 100.0}'
wants_quiet err
printf '{\n    "eval_exact_match": 100.0,\n    "eval_f1": 100.0\n}\n' >wanted
ok cmp wanted results/eval_results.json
ok cmp wanted results/all_results.json

# The same answers whatever the windows, batches, threads, and the file's form; the same bytes where windows are the same.
gzip -k dev.json
for options in "--batch_size 1" "--batch_size 3 --threads 3"; do
    read -ra words <<<"$options"
    run predict answers --task squad dev.json.gz -o again_predictions.json --max_query_length 5 "${words[@]}"
    wants_status 0
    ok cmp again_predictions.json wanted.json
    ok cmp again_nbest_predictions.json wanted_nbest.json
done
for options in "--doc_stride 1" "--doc_stride 20" "--doc_stride 7 --doc_stride_is overlap" "--max_seq_length 11 --n_best_size 1"; do
    read -ra words <<<"$options"
    run predict answers --task squad dev.json -o again.json --max_query_length 5 "${words[@]}"
    wants_status 0
    ok cmp again.json wanted.json
done
rm -f again*

# ---- what is in a file, and the features that it makes ----

run data questions dev.json dev.json.gz --model answers --max_seq_length 32 --max_query_length 5
wants_status 0
has --lines=1 out files.1.file=dev.json.gz files.1.questions=6 questions=12 answers=12 bad_rows=0 features.doc_stride=11 features.longest=32 \
    features.cut_questions=6 features.split_answers=0 features.unaligned_answers=0 features.features:positive
run data questions dev.json
wants_out '{"files": [{"file": "dev.json", "articles": 1, "paragraphs": 3, "questions": 6, "answers": 6, "impossible": 0, "bad_rows": 0, "realigned": 0}], "articles": 1, "paragraphs": 3, "questions": 6, "answers": 6, "impossible": 0, "bad_rows": 0, "realigned": 0}'
sed 's/"answer_start": 0/"answer_start": 1/g' dev.json >misplaced.json
run data questions misplaced.json --realign
wants_status 0
has --lines=1 out questions=6 realigned=2 bad_rows=0
run data questions misplaced.json --skip_bad_rows
wants_status 0
has --lines=1 out questions=4 bad_rows=2
wants_err 'misplaced.json: warning: row skipped: data[0].paragraphs[0].qas[0].answers[0]: found "Great", which does not stand at character 1 of the context
misplaced.json: warning: row skipped: data[0].paragraphs[0].qas[1].answers[0]: found "Great", which does not stand at character 1 of the context'

# ---- no answer: [CLS] is a neutral place, so a threshold decides ----

sed 's/"version": "1.1"/"version": "v2.0"/; s/"answers": \[[^]]*\]}\]}$/"is_impossible": true, "answers": []}]}/' dev.json >dev2.json
run predict answers --task squad_v2 dev2.json -o eval_predictions.json --max_query_length 5 --null_score_diff_threshold -1000
wants_status 0
has eval_predictions.json begin= begin-long= end=
has eval_null_odds.json begin:number
has eval_nbest_predictions.json begin.0.text=Great
run score --task squad_v2 --data dev2.json --predictions eval_predictions.json --null_odds eval_null_odds.json
has --lines=1 out exact=50.0 total=6 HasAns_exact=0.0 NoAns_exact=100.0 best_exact:positive best_f1_thresh:number
run predict answers --task squad_v2 dev2.json -o eval_predictions.json --max_query_length 5 --null_score_diff_threshold=1e3
has eval_predictions.json begin=Great

# ---- what is refused leaves nothing behind ----

rm -f ./*predictions.json
shows predict answers --task squad dev.json
shows predict answers --task squad dev.json -o predictions.json --format tsv
shows predict answers --task squad dev.json -o predictions.json --tensors x.safetensors
shows predict answers --task squad dev.json -o predictions.json --doc_stride 32
shows predict answers --task squad dev.json -o predictions.json --max_seq_length 3
shows predict answers --task squad dev.json -o predictions.json --null_score_diff_threshold much
shows predict demo --task squad dev.json -o predictions.json
shows predict answers --task squad dev.json -o predictions.json --max_query_length 40
shows predict answers --task squad dev.json -o predictions.json --doc_stride 26 --doc_stride_is overlap
head -c 1000 dev.json >cut.json
shows predict answers --task squad cut.json -o predictions.json
shows predict answers --task squad misplaced.json -o predictions.json
shows predict answers --task squad missing.json -o predictions.json
ls ./*predictions.json 2>/dev/null && fail "predictions were left behind"
shows score
shows score --task squad --data dev.json
shows score --task sqaud --data dev.json --predictions plain.json
shows score --task sst2 --data dev.json --predictions plain.json extra
shows score --task squad --data dev.json --predictions missing.json
shows score --task squad --data missing.json --predictions plain.json
shows score --task squad --data dev.json --predictions plain.json --missing maybe
shows score --task squad --data dev.json --predictions plain.json --null_odds plain.json
shows score --task squad --data dev.json --predictions plain.json --no_answer_threshold 0.5
shows score --task squad --data dev.json --predictions plain.json --output_dir x --split a/b
shows score --task squad --data misplaced.json --predictions plain.json --skip_bad_rows
shows score --task squad --data dev2.json --predictions plain.json
sed '/"end"/d' plain.json >fewer.json
shows score --task squad --data dev.json --predictions fewer.json
shows score --task squad --data dev.json --predictions fewer.json --missing error
wants_golden transcript score_messages.txt

# ---- other tasks: what predict writes is what score reads ----

printf 'sentence\tlabel\nA wonderful film.\t1\nThe plot is boring.\t0\nNot bad at all.\t0\n' >sst2.tsv
cut -f1 sst2.tsv | sed 1d >texts.txt
run predict demo texts.txt -o labels.jsonl
run score --task sst2 --data sst2.tsv --predictions labels.jsonl
wants_out '{"accuracy": 0.6666666666666666}'
sed 's/.*"label": "\([a-z]*\)".*/\1/' labels.jsonl | awk 'BEGIN { print "index\tprediction" } { print NR - 1 "\t" $0 }' >labels.tsv
run score --task SST-2 --data sst2.tsv --predictions labels.tsv
wants_out '{"accuracy": 0.6666666666666666}'
sed -i 2d labels.tsv
run score --task sst2 --data sst2.tsv --predictions labels.tsv
wants_status 3
wants_err 'labels.tsv: error: found no prediction for 1 of 3 rows: "0" (--missing=zero counts them as wrong)'
run list metrics
wants_status 0
grep -q '^matthews_correlation  *labels  *[A-Z]' out || fail "$last: no matthews_correlation"
finish
