#!/bin/bash
# Texts in, JSON lines out: every head and every form of input, on the demo model, whose answers are known by construction.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
has() { ok "$build_dir/json_has" "$@"; }

# ---- sentiment: compiled and interpreted, in batches of any size, on any number of threads ----

cat >sentiment.tsv <<'END'
positive	A wonderful film with a great cast.
negative	The plot is boring and the acting is terrible.
positive	It is good.
negative	It is not good.
negative	It is not very good.
positive	Not bad at all.
negative	I didn't enjoy the music.
positive	The beginning was slow, but the ending was brilliant!
positive	There is not a dull moment in this charming, funny story.
negative	An ABSOLUTELY awful waste of two hours.
negative	bad
positive	Héros: großartig, (great)!
END
cut -f2 sentiment.tsv >sentences.txt
n=$(wc -l <sentences.txt)
run predict demo sentences.txt
wants_status 0
wants_quiet err
cp out answers.jsonl
has --lines="$n" answers.jsonl label:string score:positive probabilities.negative:positive probabilities.positive:positive
paste <(cut -f1 sentiment.tsv) <(sed 's/^{"label": "\([a-z]*\)".*/\1/' answers.jsonl) sentences.txt | awk -F'\t' '$1 != $2' >wrong
[ -s wrong ] && fail "$last: wanted the first label, found the second: $(cat wrong)"
for options in "--batch_size 1" "--batch_size 5" "--threads 1" "--threads 3 --batch_size 2" "--max_seq_length 32" "--no_cache"; do
    read -ra words <<<"$options"
    run predict demo sentences.txt "${words[@]}"
    wants_status 0
    ok cmp out answers.jsonl
done
run predict demo sentences.txt --interpreter
wants_status 0
paste <(tr -c '0-9.\n' ' ' <out) <(tr -c '0-9.\n' ' ' <answers.jsonl) |
    awk '{ for (i = 1; i <= 3; i++) if (($i - $(i + NF / 2)) ^ 2 > 1e-10) print NR ": " $0 }' >wrong
[ -s wrong ] && fail "$last: other probabilities than compiled: $(cat wrong)"
"$POFAC" predict demo <sentences.txt >out || fail "standard input: exit status $?"
ok cmp out answers.jsonl
"$POFAC" predict demo - -o written <sentences.txt || fail "-o: exit status $?"
ok cmp written answers.jsonl

# ---- forms of input ----

sed 's/.*/&\r/' sentences.txt >crlf.txt
run predict demo crlf.txt
ok cmp out answers.jsonl
head -c -1 sentences.txt >unended.txt
run predict demo unended.txt
ok cmp out answers.jsonl
sed 's/["\\]/\\&/g; s/.*/{"id": 7, "text": "&"}/' sentences.txt >texts.jsonl
run predict demo texts.jsonl
ok cmp out answers.jsonl
sed 's/"text"/"sentence"/; s/$/\n/' texts.jsonl >texts.json
run predict demo texts.json
ok cmp out answers.jsonl
cp sentences.txt sentences.tsv
run predict demo sentences.tsv
ok cmp out answers.jsonl
INPUT= run predict demo
wants_status 0
wants_quiet out
wants_quiet err
INPUT=$'good\n\nbad\n' run predict demo
wants_status 0
has --lines=3 out label:string
# A pair is [CLS] a [SEP] b [SEP], whatever it comes from; columns after the second are not read.
printf 'good\tbad\tx\n' >pair.tsv
run predict demo pair.tsv
cp out pair.out
has --lines=1 pair.out label:string
for keys in sentence1,sentence2 premise,hypothesis question1,question2 question,sentence text,text_pair question,context; do
    printf '{"%s": "good", "%s": "bad"}\n' "${keys%,*}" "${keys#*,}" >pair.jsonl
    run predict demo pair.jsonl
    wants_status 0
    ok cmp out pair.out
done
# Texts that are too long are cut: the end is not seen.
{ for _ in $(seq 40); do printf 'the '; done && echo great; } >long.txt
run predict demo long.txt
has --lines=1 out probabilities.positive=0.5
# Order is kept over many batches.
for _ in $(seq 40); do cat sentences.txt; done >many.txt
run predict demo many.txt --batch_size 7
for _ in $(seq 40); do cat answers.jsonl; done >wanted
ok cmp out wanted

# ---- question answering: a head that points at the most positive word, and contexts of several windows ----

mkdir answers
cp demo/model.safetensors answers/model-00001-of-00002.safetensors
cp demo/vocab.txt answers
sed 's/BertForSequenceClassification/BertForQuestionAnswering/' demo/config.json >answers/config.json
pointer=0,20,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
ok "$build_dir/make_tensors" answers/model-00002-of-00002.safetensors "qa_outputs.weight:f32:2,64:$pointer" qa_outputs.bias:f32:2:0
"$POFAC" inspect demo | sed -n 's/^\([a-z_.A-Z0-9]*\.\(weight\|bias\)\) .*/\1/p' >names
{
    echo '{"metadata": {}, "weight_map": {'
    sed 's/.*/"&": "model-00001-of-00002.safetensors",/' names
    echo '"qa_outputs.weight": "model-00002-of-00002.safetensors", "qa_outputs.bias": "model-00002-of-00002.safetensors"}}'
} >answers/model.safetensors.index.json
for before in 0 1 5 20 60 99; do
    after=$((99 - before))
    context="$(for _ in $(seq 1 $before); do printf 'the film '; done)great$(for _ in $(seq 1 $after); do printf ' the music'; done)"
    printf '{"question": "which word?", "context": "%s"}\n{"question": "which?", "context": "a good film"}\n' "$context"
done >questions.jsonl
for options in "" "--doc_stride 1" "--doc_stride 7 --batch_size 3" "--max_seq_length 9" "--max_seq_length 20 --interpreter" "--doc_stride 4 --doc_stride_is overlap" "--doc_stride 31"; do
    read -ra words <<<"$options"
    run predict answers questions.jsonl "${words[@]}"
    wants_status 0
    i=0
    for before in 0 1 5 20 60 99; do
        i=$((i + 1))
        has <(sed -n "$((2 * i - 1))p" out) answer=great begin=$((9 * before)) end=$((9 * before + 5)) score:positive
        has <(sed -n "$((2 * i))p" out) answer=good begin=2 end=6
    done
done
INPUT=$'which?\t\n' run predict answers --format tsv
wants_status 0
has --lines=1 out answer= score:number begin=0 end=0

# ---- masks, tokens, regression, embeddings ----

INPUT=$'A [MASK] film, é [MASK]\nno mask' run predict demo --head masked-lm --top_k 3
wants_status 0
has --lines=2 out masks:array
has <(head -n 1 out) masks.0.begin=2 masks.0.end=8 masks.0.candidates.2.token:string masks.0.candidates.0.id:number \
    masks.0.candidates.0.score:positive masks.1.begin=18 masks.1.end=24
has <(sed -n 2p out) 'masks=[]'
grep -q 'initialised from seed 42: cls.predictions.transform.dense.weight' err || fail "$last: the new head is not announced"
INPUT=$'A [MASK] film\tThe end' run predict demo --head pretraining --format tsv
has --lines=1 out masks.0.candidates.4.token:string is_next:positive
INPUT='A [MASK] film' run predict demo --head pretraining
grep -q is_next out && fail "$last: is_next of a single text"

INPUT=$'Great films, é!\ngood\tbad' run predict demo --head token-classification --format tsv
has --lines=2 out tokens:array
has <(head -n 1 out) tokens.0.token=great tokens.0.begin=0 tokens.0.end=5 tokens.0.label:string tokens.0.score:positive tokens.1.token=films \
    tokens.2.token=, tokens.3.begin=13 tokens.3.end=15 tokens.4.token=! tokens.4.end=16
has <(sed -n 2p out) tokens.0.token=good tokens.1.token=bad tokens.1.pair=true
cat >regression.xml <<'END'
<pofac xmlns="urn:pofac:1">
  <model head="sequence-classification" num_labels="1">
    <bert vocab_size="386" num_hidden_layers="1" hidden_size="16" num_attention_heads="1" intermediate_size="8"/>
    <tokenizer vocab="demo/vocab.txt"/>
  </model>
</pofac>
END
INPUT=good run predict regression.xml
has --lines=1 out score:number
cp out first
INPUT=good run predict regression.xml --seed 43
cmp -s out first && fail "$last: the seed makes no difference"
INPUT=good run predict regression.xml --num_labels 3
has --lines=1 out label:string probabilities.LABEL_2:positive
INPUT=good run predict demo --head none
has --lines=1 out embedding.0:number embedding.63:number
sed 's/bert /distilbert /; s/head="[^"]*" num_labels="1"/head="none"/' regression.xml >hidden.xml
INPUT=good run predict hidden.xml
wants_status 0
has --lines=1 out embedding.15:number
finish
