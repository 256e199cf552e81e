#!/bin/bash
# Texts that are none: empty lines, questions and contexts without tokens, lines of 10 MB, bytes that are not UTF-8, NUL bytes, lines
# beyond the limit, outputs that cannot be written. An answer for each line, or one message and whole lines before it.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
has() { ok "$build_dir/json_has" "$@"; }
message() { [ "$(cat err)" = "$1" ] || fail "$last: wanted '$1': $(head -c 1000 err)"; }

# ---- nothing to read ----

printf '\n \n\t\n\x01\n\xff\xfe\n' >nothing.txt
run predict demo nothing.txt
wants_status 0
wants_quiet err
has --lines=5 out probabilities.positive=0.5 # [CLS] [SEP]
: >empty.txt
for format in text tsv jsonl; do
    run predict demo empty.txt --format $format
    wants_status 0
    wants_quiet out
    wants_quiet err
done

# ---- long lines ----

{ head -c 10000000 /dev/zero | tr '\0' x && printf '\ngood\n'; } >word.txt # one word, hence [UNK]
run predict demo word.txt
wants_status 0
has <(head -n 1 out) probabilities.positive=0.5
has <(tail -n 1 out) label=positive
{ yes 'a good film' | head -n 900000 | tr '\n' ' ' && printf '\nbad\n'; } >words.txt
run predict demo words.txt
wants_status 0
has --lines=2 out label:string
has <(head -n 1 out) label=positive
has <(tail -n 1 out) label=negative
run tokenize word.txt --vocab demo/vocab.txt --no_special_tokens
wants_status 0
[ "$(head -n 1 out)" = '{"tokens": ["[UNK]"], "ids": [1], "offsets": [[0, 10000000]]}' ] || fail "$last: $(head -c 300 out)"
{ printf 'good\n' && head -c 70000000 /dev/zero | tr '\0' x; } >huge.txt
run predict demo huge.txt
wants_status 3
has --lines=1 out label=positive
message 'huge.txt:2: error: found a line of more than 67108864 bytes, wanted shorter ones'

# ---- bytes that are no text ----

printf '\xff\xfe good \xc3\n\xed\xa0\x80 bad\xf5\n' >broken.txt # dropped
run predict demo broken.txt
wants_status 0
wants_quiet err
has <(head -n 1 out) label=positive
has <(tail -n 1 out) label=negative
printf 'good\nbad\na\0b\ngood\n' >nul.txt
for options in "" "--batch_size 1"; do
    read -ra words <<<"$options"
    run predict demo nul.txt "${words[@]}"
    wants_status 3
    has --lines=2 out label:string
    message 'nul.txt:3: error: found a NUL byte, wanted text'
done
echo old >result
run predict demo nul.txt -o result
wants_status 3
wants_quiet out
[ "$(cat result)" = old ] || fail "$last: the old result is gone"
rm result
run predict demo nul.txt -o result
ls result* 2>/dev/null && fail "$last: something is left"
printf '{"text": "good"}\n{"text": "\xff good"}\n' >broken.jsonl
run predict demo broken.jsonl
wants_status 3
has --lines=1 out label=positive
grep -q '^broken.jsonl:2:[0-9]*: error: invalid JSON: ' err || fail "$last: $(cat err)"

# ---- questions and contexts without tokens ----

mkdir answers && cp demo/vocab.txt demo/model.safetensors answers/
sed 's/BertForSequenceClassification/BertForQuestionAnswering/' demo/config.json >answers/config.json
printf '{"question": "", "context": "a good film"}\n{"question": " ", "context": ""}\n{"question": "which?", "context": "\\u0001"}\n' >questions.jsonl
run predict answers questions.jsonl
wants_status 0
has --lines=3 out answer:string score:number begin:number end:number
has --lines=2 <(tail -n 2 out) answer= begin=0 end=0
yes 'which? ' | head -n 2000 | tr '\n' ' ' >long.tsv
printf '\ta good film\n' >>long.tsv
run predict answers long.tsv
wants_status 3
wants_quiet out
[ "$(tail -n 1 err)" = 'long.tsv:1: error: the question has 4000 tokens, which leaves no room for the context in 32' ] || fail "$last: $(cat err)"

# ---- outputs that cannot be written ----

printf 'good\n' >good.txt
mkdir folder
run predict demo good.txt -o folder
wants_status 1
message 'folder: error: cannot be written: Is a directory'
run predict demo good.txt -o missing/result
wants_status 1
message 'missing/result: error: cannot be written: No such file or directory'
run predict demo folder
wants_status 3
message 'folder: error: cannot read: Is a directory'
if [ -w /dev/full ]; then
    "$POFAC" predict demo good.txt >/dev/full 2>err
    rc=$?
    last="predict >/dev/full"
    wants_status 1
    message 'error: cannot write to standard output: No space left on device'
fi
cp good.txt both.txt
run predict demo both.txt -o both.txt # the input is read before its place is taken
wants_status 0
has --lines=1 both.txt label=positive
finish
