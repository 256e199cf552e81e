#!/bin/bash
# `pofac data build`: the same bytes for any number of threads, and for builds that were killed or interrupted and went on; what is refused and with which message;
# few, empty and one-sentence documents; a full disk; damaged shards; and what `pofac data inspect` says of it.
. "$(dirname "$0")/harness.bash"

{
    printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n'
    for c in {a..z}; do echo "$c"; done
    for c in {a..z}; do echo "##$c"; done
} >vocab.txt

# corpus DOCUMENTS SENTENCES: as many documents, each of one to SENTENCES sentences of words of two letters.
corpus() {
    awk -v n="$1" -v most="$2" 'BEGIN {
        x = 12345
        for (d = 0; d < n; d++) {
            x = (x * 1103515245 + 12345) % 2147483648
            for (s = int(x / 65536) % most; s >= 0; s--) {
                x = (x * 1103515245 + 12345) % 2147483648
                for (w = int(x / 65536) % 20; w >= 0; w--) {
                    x = (x * 1103515245 + 12345) % 2147483648
                    printf "%c%c ", 97 + int(x / 65536) % 26, 97 + int(x / 1048576) % 26
                }
                print "."
            }
            print ""
        }
    }'
}
build() { run data build corpus.txt --kind text --vocab vocab.txt --max_seq_length 64 "$@"; }
wants_same() { diff -r "$1" "$2" >difference || fail "$last: $2 is not as $1: $(cat difference)"; }
wants_message() {
    grep -qxF -- "$1" err && return
    fail "$last: wanted the message"
    echo "$1"
    head -c 2000 err
}

# made_of DIRECTORY: what a build says, without the directory, and what that took.
made_of() { sed "s/\"$1\"/DIR/; s/, \"seconds\": .*//"; }

# ---- any number of threads ----

corpus 3000 30 >corpus.txt
build -o one --threads 1 --shard_tokens 100K
wants_status 0
wants_quiet err
made_of one <out >first
ls one >names
[ "$(grep -c '^train-0000[0-9].shard$' names)" -ge 4 ] && grep -q '^validation-00000.shard$' names && grep -q '^shards.json$' names ||
    fail "$last: found the files $(cat names)"
grep -v '^train-\|^validation-\|^shards.json$' names && fail "$last: other files are left"
for threads in 2 3 16; do
    build -o "threads$threads" --threads "$threads" --shard_tokens 100K
    wants_status 0
    wants_same one "threads$threads"
done
build -o other_seed --seed 43 --shard_tokens 100K
ok test "$(cmp one/train-00000.shard other_seed/train-00000.shard | wc -l)" = 1

# ---- interrupted, killed, gone on with ----

go_on() { # DIRECTORY MODE-OPTION...: until it is done
    local i directory=$1
    for i in {1..5}; do
        build -o "$directory" --resume --shard_tokens 100K "${@:2}"
        [ "$rc" = 0 ] && return
    done
}
for i in {1..12}; do
    rm -rf killed
    threads=$((1 + i % 3))
    "$POFAC" data build corpus.txt --kind text --vocab vocab.txt --max_seq_length 64 -o killed --shard_tokens 100K --threads $threads >out 2>err &
    sleep "0.$(printf %03d $((i * i * 3 + 5)))"
    kill -9 $! 2>kill.log
    wait $! 2>kill.log
    if [ -e killed/train-00000.shard ]; then "$POFAC" data inspect killed/train-00000.shard >out 2>err || fail "a killed build left a broken shard: $(cat err)"; fi
    go_on killed --threads 2
    wants_status 0
    wants_same one killed
    made_of killed <out >found
    ok cmp found first
done
interrupted=0
for i in {1..12}; do
    rm -rf stopped
    signal=$([ $((i % 2)) = 0 ] && echo INT || echo TERM)
    wanted=$([ "$signal" = INT ] && echo 130 || echo 143)
    (
        trap - INT TERM
        exec "$POFAC" data build corpus.txt --kind text --vocab vocab.txt --max_seq_length 64 -o stopped --shard_tokens 100K --threads 2
    ) >out 2>err &
    pid=$!
    for wait in {1..200}; do [ -e stopped ] && break; sleep 0.01; done
    sleep "0.$(printf %03d $((i * i * 2)))"
    kill -s $signal $pid 2>kill.log
    wait $pid
    rc=$?
    last="pofac data build, $signal"
    if [ $rc != 0 ]; then
        [ $rc = $wanted ] || fail "$last: exit status $rc, wanted $wanted: $(cat err)"
        [ -s out ] && continue # it had said what was made: the signal ended the process on its way out
        wants_message "note: interrupted: --resume goes on with stopped"
        interrupted=$((interrupted + 1))
        ls stopped | grep -q '\.tmp\.' && fail "$last: left a temporary file"
    fi
    go_on stopped --threads 1
    wants_same one stopped
done
[ "$interrupted" -ge 1 ] || fail "no build was interrupted in time"

# ---- directories ----

build -o one
wants_status 2
wants_message "one: error: the directory is not empty; --resume goes on with a build, --overwrite_output_dir replaces it"
build -o one --resume --shard_tokens 100K
wants_status 0
made_of one <out >found
ok cmp found first
build -o one --resume --shard_tokens 100K --seed 43
wants_status 3
wants_message "one: error: the build was begun with seed 42, and shall go on with 43"
build -o one --resume --shard_tokens 100K --mode concatenate
wants_message 'one: error: the build was begun with mode "segment_pair_nsp", and shall go on with "concatenate"'
echo mine >one/notes.txt
build -o one --overwrite_output_dir --mode doc_sentences
wants_status 0
[ "$(cat one/notes.txt)" = mine ] || fail "$last: touched a file of somebody else"
build -o fresh --mode doc_sentences
rm one/notes.txt
wants_same fresh one
mkdir foreign
echo mine >foreign/notes.txt
build -o foreign --resume
wants_status 3
wants_message "foreign: error: found no shards.json, wanted the directory of a build to go on with"
build -o one --resume --overwrite_output_dir
wants_status 2
build -o deep/er/directory --threads 1 --mode concatenate
wants_status 0
build -o corpus.txt
wants_status 1
wants_message "corpus.txt: error: the directory cannot be made: File exists"

# ---- few, empty and one-sentence documents ----

corpus 9 5 >corpus.txt
build -o nine
wants_status 3
wants_message "error: found 9 documents with text, wanted at least 10: half of all pairs take a segment of another document"
build -o nine_alone --mode doc_sentences
wants_status 0
corpus 10 1 >corpus.txt # one sentence each
build -o ten
wants_status 0
wants_quiet err
run data inspect ten
wants_status 0
grep -q '"examples": 10, .*"labels": {"next": 0, "random": 10, "none": 0}' out || fail "$last: $(cat out)"
run data inspect ten --split validation
wants_status 0
grep -q '"shards": 0, "documents": 0, "examples": 0,' out || fail "$last: $(cat out)"
printf '\001\002\n\n' >>corpus.txt # a document without a token
build -o ten_and_empty
wants_status 0
grep -q '"documents": 10, .*"empty_documents": 1' out || fail "$last: $(cat out)"
ok cmp ten/train-00000.shard ten_and_empty/train-00000.shard
build -o half --validation_share 0.5
wants_status 3
wants_message "error: found 5 documents for training beside 5 for validation, wanted at least 10"
corpus 40 5 >corpus.txt
build -o forty
wants_status 0
wants_message "warning: only 2 documents are held out for validation: pairs take their random segments from these alone"
: >corpus.txt
build -o none
[ "$rc" = 3 ] || fail "$last: exit status $rc, wanted 3: $(cat err)"

# ---- options ----

corpus 20 5 >corpus.txt
for wrong in "--vocab=nosuch.txt" "--mode=pairs" "--max_seq_length=4" "--validation_share=1" "--validation_share=-0.1" "--kind=nosuch" "--tokenizer=."; do
    build -o wrong "$wrong"
    [ "$rc" = 2 ] || [ "$rc" = 3 ] || fail "$last: exit status $rc, wanted 2 or 3"
    wants_quiet out
    [ -s err ] || fail "$last: no message"
done
run data build corpus.txt -o wrong
wants_status 2
wants_message "error: wanted a vocabulary (--vocab FILE) or a model's tokenizer (--tokenizer DIR), and one of them"
run data build corpus.txt --vocab vocab.txt
wants_status 2
wants_message "error: pofac data build needs --output_dir DIR"
[ -e wrong ] && fail "a refused build has made its directory"

# ---- a disk that is full: a limit on the size of files stands for it ----

corpus 2000 30 >corpus.txt
last="pofac data build, on a full disk"
(
    trap '' XFSZ
    ulimit -f 300
    exec "$POFAC" data build corpus.txt --kind text --vocab vocab.txt --max_seq_length 64 -o full >out 2>err
)
rc=$?
wants_status 1
grep -q '^full/documents-00000.spool: error: cannot be written: File too large$' err || fail "$last: $(cat err)"
[ "$(ls full)" = shards.json ] || fail "$last: left $(ls full)"
build -o full --resume
wants_status 0
build -o enough
wants_same enough full

# ---- damage ----

cp enough/train-00000.shard damaged.shard
printf '\377' | dd of=damaged.shard bs=1 seek=70000 conv=notrunc 2>dd.log
run data inspect damaged.shard
wants_status 3
wants_quiet out
grep -q '^damaged.shard: error: bytes [0-9]* to [0-9]* are damaged: their checksum is another$' err || fail "$last: $(cat err)"
head -c 5000 enough/train-00000.shard >damaged.shard
run data inspect damaged.shard
wants_status 3
grep -q '^damaged.shard: error: .*truncated' err || fail "$last: $(cat err)"
run data inspect vocab.txt
wants_status 3
wants_message "vocab.txt: error: found another kind of file, wanted a shard of pofac"

# ---- examples as text ----

run data inspect enough --example 0 --vocab vocab.txt
wants_status 0
"$build_dir/json_get" out text_a >found
grep -q '[a-z]' found || fail "$last: no text: $(cat out)"
run data inspect enough --example 0 --vocab vocab.txt --masked --epoch 3
wants_status 0
grep -q '"labels": {"[0-9]*": [0-9]*' out || fail "$last: no labels: $(cat out)"
run data inspect enough --example 100000000 --vocab vocab.txt
wants_status 2
run data inspect enough --masked
wants_status 2
run data inspect enough --example 0 --vocab vocab.txt --cased
wants_status 3
wants_message "enough: error: the shards were made with another vocabulary, or with another treatment of case and accents"

finish
