#!/bin/bash
# A real dump and 442 real articles to segment pairs: counts that add up, shares, lengths, held-out documents, time and memory; the same bytes for 1 and 3 threads.
. "$(dirname "$0")/harness.bash"
need_shared
vocab=$POFAC_SHARED/data/vocab/bert-base-uncased-vocab.txt
dump=("$POFAC_SHARED"/data/wikipedia/enwiki-*.bz2)
articles=$POFAC_SHARED/data/wikipedia/squad_train_articles_paragraphs.txt.gz

# value FILE KEY.KEY...: from a file of one JSON object.
value() {
    local key
    cp "$1" value.json
    for key in ${2//./ }; do
        "$build_dir/json_get" value.json "$key" >value.next || fail "$1: no $2"
        mv value.next value.json
    done
    cat value.json
}

# between FILE KEY LOW HIGH
between() {
    local found
    found=$(value "$1" "$2")
    awk -v low="$3" -v found="$found" -v high="$4" 'BEGIN { exit !(low + 0 <= found + 0 && found + 0 <= high + 0) }' ||
        fail "$1: $2: found $found, wanted $3 to $4"
}

# check NAME CORPUS: builds with 3 threads and with one, inspects both splits.
check() {
    local split
    run data build "$2" -o "$1.one" --vocab "$vocab" --threads 1
    wants_status 0
    run data build "$2" -o "$1" --vocab "$vocab" --threads 3
    wants_status 0
    diff -r "$1" "$1.one" >difference || fail "$last: other bytes than with one thread: $(cat difference)"
    cp out "$1.json"
    cat "$1.json"
    [ -n "${POFAC_SANITIZE:-}" ] || between "$1.json" peak_memory_bytes 1 1000000000
    for split in train validation; do
        run data inspect "$1" --split $split
        wants_status 0
        cp out "$1.$split"
        cat "$1.$split"
        # Half, and the last sentences of documents, which make pairs alone; a tenth of the documents is cut shorter.
        between "$1.$split" random_share 0.47 0.58
        between "$1.$split" lengths.mean 110 128
        ok "$build_dir/json_has" "$1.$split" mode=segment_pair_nsp max_length=128 lengths.longest=128 labels.none=0 \
            examples="$(value "$1.json" $split.examples)" labels.random="$(value "$1.json" $split.random)" documents="$(value "$1.json" $split.documents)"
    done
}

check articles "$articles"
ok "$build_dir/json_has" articles.json documents=442 empty_documents=0 validation.documents=22 train.documents=420
between articles.json tokens 2400000 3500000 # of 2.2 million words
between articles.json sentences 80000 120000
between articles.json train.examples 20000 40000

check dump "${dump[0]}"
ok "$build_dir/json_has" dump.json corpus.pages=206 corpus.redirects=100 corpus.corrupt_pages=0 corpus.damages=0 validation.documents=5
sum=0
for key in documents empty_documents corpus.redirects corpus.disambiguations corpus.other_namespaces corpus.too_large corpus.without_text; do
    sum=$((sum + $(value dump.json $key)))
done
[ $sum = 206 ] || fail "dump.json: documents and what was left out are $sum, wanted 206"

# The first example of the dump is the beginning of its first article.
run data inspect dump --split validation --example 0 --vocab "$vocab"
wants_status 0
[[ $(value out text_a) == anarchism* ]] || fail "$last: found $(value out text_a), wanted the first article's beginning"

# Examples decode to text, and hold [UNK] only where the text has strange letters.
unknown=0
for ((i = 0; i < 40; i++)); do
    run data inspect articles --example $((i * 37)) --vocab "$vocab"
    wants_status 0
    value out text_a >found
    grep -q '[a-z]' found || fail "$last: no text"
    grep -q '\[UNK\]' found && unknown=$((unknown + 1))
done
[ $unknown -lt 10 ] || fail "$unknown of 40 examples have unknown tokens"
finish
