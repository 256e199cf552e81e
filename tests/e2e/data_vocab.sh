#!/bin/bash
# `pofac data vocab`: a vocabulary of a corpus that the tokenizer reads, the same bytes for any number of threads, in limits; what is refused and with which message.
. "$(dirname "$0")/harness.bash"

wants_message() { # part of a line
    grep -qF -- "$1" err && return
    fail "$last: wanted a message with"
    echo "$1"
    head -c 2000 err
}

# A generated language of some 3,000 words.
awk 'BEGIN {
    srand(7)
    split("ba be bi bo bu da de di do du ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu", syllable, " ")
    for (i = 0; i < 40000; i++) {
        n = 1 + int(rand() * 4)
        for (word = ""; n > 0; n--) word = word syllable[1 + int(30 * rand() * rand())]
        printf "%s%s", i % 9 ? word : toupper(substr(word, 1, 1)) substr(word, 2), i % 12 == 11 ? (i % 240 == 239 ? ".\n\n" : ".\n") : " "
    }
}' >corpus.txt

for threads in 1 2 3; do
    run data vocab corpus.txt --kind text --vocab_size 300 --threads $threads -o vocab.$threads
    wants_status 0
    cp out result.$threads
done
cmp vocab.1 vocab.2 && cmp vocab.1 vocab.3 && cmp result.1 result.3 || fail "vocabularies differ between numbers of threads"
[ "$(wc -l <vocab.1)" = 300 ] || fail "$(wc -l <vocab.1) tokens, wanted 300"
[ "$(head -n 5 vocab.1 | tr '\n' ' ')" = "[PAD] [UNK] [CLS] [SEP] [MASK] " ] || fail "the special tokens are not first"
grep -q '"vocab_size": 300' result.1 || fail "result: $(cat result.1)"
[ "$(sort vocab.1 | uniq -d | wc -l)" = 0 ] || fail "a token stands twice"
! grep -q '[A-Z]' <(tail -n +6 vocab.1) || fail "an upper-case token in an uncased vocabulary"

# what it is for: every word of the corpus can be spelled
run tokenize corpus.txt --vocab vocab.1
wants_status 0
! grep -q UNK out || fail "a word of the corpus is unknown"

run data vocab corpus.txt --cased --vocab_size 200 -o cased.txt
wants_status 0
grep -q '[A-Z]' <(tail -n +6 cased.txt) || fail "no upper-case token in a cased vocabulary"

run data vocab corpus.txt --vocab_size 20 -o small.txt
wants_status 3
wants_message "vocab_size is 20, wanted at least"
[ ! -e small.txt ] || fail "a file was written all the same"
printf ' \n\n' >empty.txt
run data vocab empty.txt --kind text -o none.txt
wants_status 3
wants_message "found no words, wanted text to make a vocabulary of"
run data vocab missing.txt -o none.txt
wants_status 3
run data vocab corpus.txt -o missing/vocab.txt --vocab_size 100
wants_status 1
run data vocab corpus.txt --vocab_sise 100
wants_status 2
wants_message 'did you mean --vocab_size?'
[ ! -e none.txt ] || fail "a file was written all the same"
finish
