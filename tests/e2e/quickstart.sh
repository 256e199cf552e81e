#!/bin/bash
# examples/quickstart.sh as a newcomer runs it, from another folder and twice.
# label: long
. "$(dirname "$0")/harness.bash"
for _ in 1 2; do
    "$source_dir/examples/quickstart.sh" >out 2>err </dev/null || fail "examples/quickstart.sh: exit status $?: $(cat err)"
    wants_quiet err
    for line in 'It is good\. *positive *0\.[89]' 'It is not good\. *negative *0\.[89]' 'compile time, cold *[0-9.]* ms' 'kernels *[0-9]* distinct' \
        '  %[0-9]* = linear .*' '{"vocab_size": 160, .*' '{"output_dir": .*"documents": 24, .*' '{"example": 1, "label": .*' 'a sentence of 16 tokens (median) *[0-9.]* ms on [0-9]* threads*'; do
        grep -q "^$line" out || fail "examples/quickstart.sh: no line $line: $(cat out)"
    done
    grep -q "$(printf '\033')" out && fail "examples/quickstart.sh: escape sequences in a file"
done
"$source_dir/examples/quickstart.sh" "We saw a terrible mess." >out 2>err </dev/null || fail "examples/quickstart.sh: exit status $?: $(cat err)"
grep -q '^We saw a terrible mess\.  negative ' out || fail "examples/quickstart.sh SENTENCE: $(cat out)"
finish
