#!/bin/bash
# `pofac tokenize` on the fixtures' lines: tokens and ids equal to the reference's, line by line.
. "$(dirname "$0")/harness.bash"
need_shared
vocab=$POFAC_SHARED/data/vocab
tokenizer=$POFAC_SHARED/fixtures/tokenizer

# check FIXTURE VOCABULARY OPTION...
check() {
    local fixture=$tokenizer/$1.jsonl words=$vocab/$2 key
    shift 2
    "$build_dir/json_get" "$fixture" text >texts || fail "$fixture: $(head -n 1 texts)"
    run tokenize texts --vocab "$words" --no_special_tokens "$@"
    wants_status 0
    wants_quiet err
    for key in tokens ids; do
        head -n 1 "$fixture" | grep -q "\"$key\":" || continue # one of the fixtures has ids alone
        "$build_dir/json_get" "$fixture" $key >wanted || fail "$fixture: no $key"
        "$build_dir/json_get" out $key >found || fail "$last: no $key"
        ok diff wanted found
    done
    cp out without
    "$POFAC" tokenize --vocab "$words" --no_special_tokens "$@" <texts >out || fail "standard input: exit status $?"
    ok cmp without out
    # [CLS] is 101 and stands in front, [SEP] is 102 and stands behind.
    run tokenize texts --vocab "$words" "$@"
    wants_status 0
    "$build_dir/json_get" without ids | sed 's/^\[\(.*\)\]$/[101,\1,102]/; s/,,/,/' >wanted
    "$build_dir/json_get" out ids >found
    ok diff wanted found
}

check uncased bert-base-uncased-vocab.txt
check wikitext-uncased bert-base-uncased-vocab.txt
check cased bert-base-cased-vocab.txt --cased

# Offsets are bytes of the line.
INPUT=$'Héllo, unaffable Wörld' run tokenize --vocab "$vocab/bert-base-uncased-vocab.txt"
wants_status 0
[ "$(cat out)" = '{"tokens": ["[CLS]", "hello", ",", "una", "##ffa", "##ble", "world", "[SEP]"], "ids": [101, 7592, 1010, 14477, 20961, 3468, 2088, 102], "offsets": [[0, 0], [0, 6], [6, 7], [8, 11], [11, 14], [14, 17], [18, 24], [0, 0]]}' ] ||
    fail "$last: $(cat out)"
INPUT= run tokenize --vocab "$vocab/bert-base-uncased-vocab.txt"
wants_status 0
wants_quiet out
finish
