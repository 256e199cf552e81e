#!/bin/bash
# examples/quickstart.sh as a newcomer runs it, from another folder and twice, with few steps: every stage runs once, the table has its rows and columns,
# zeros are 90 % where they should be, sentences and questions are answered, and a page is made. What is learned in all steps is in README.md.
# label: long
. "$(dirname "$0")/harness.bash"
few=(--output_dir here)
for setting in pretraining_steps=2 teacher_steps=2 pruning_steps=4 mask_every=1 sparse_by=2 last_mask=2 polarity_steps=2 questions_steps=2 questions_transfer_steps=2 int8_steps=2; do
    few+=(--parameter "$setting")
done

# quick ARGUMENT...: runs it with a few steps.
quick() {
    "$source_dir/examples/quickstart.sh" "${few[@]}" "$@" >out 2>err </dev/null || fail "examples/quickstart.sh $*: exit status $?: $(cat out err)"
    grep -q "$(printf '\033')" out && fail "examples/quickstart.sh: escape sequences in a file"
}

# shape FILE: the table in it, with # for numbers that learning and the machine decide.
shape() {
    grep '^|' "$1" | sed -E 's/[0-9.]+ (ms|[kM]?B) /# \1 /g; s/\| [0-9]+\.[0-9]+ % \|/| # % |/g; s/\| [0-9.]+ \|/| # |/g; s/\| [0-9.]+ \|/| # |/g'
}
cat >wanted <<'END'
| | polarity | questions F1 | exact match | size on disk | nominal compression | per sentence | sentences/s |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| dense teacher | # % | # | # | # MB | 1.0x | # ms | # |
| 90 % sparse | # % | # | # | # kB | 10.0x | # ms | # |
| 90 % sparse + int8 | # % | # | # | # kB | 40.0x | # ms | # |
END

quick
[ "$(grep -c '^\[[0-9]*/32\] .* done in ' err)" = 32 ] || fail "not 32 stages were done: $(cat err)"
for line in 'the soup is not lovely \. *\(positive\|negative\) *[01]\.[0-9]*' '    who burned the soup ? *[a-z. ]*' '  %[0-9]* = fake_quantize .*' \
    '  %[0-9]* = linear_int8 .*' 'report: .*/here/report.html' 'took [0-9]* s'; do
    grep -q "^$line$" out || fail "examples/quickstart.sh: no line $line: $(cat out)"
done
diff wanted <(shape out) >difference || fail "the table: $(cat difference out)"
grep -q '</html>' here/report.html || fail "here/report.html is no page"

# The zeros of the sparse model are those of both tasks, before and behind 8 bits.
zeros() { "$POFAC" inspect "$1" --json | tr '{' '\n' | grep 'attention.self.query.weight' | sed 's/.*"sparsity": \([0-9.]*\),.*/\1/' | sort -u; }
for model in sparse polarity-sparse polarity-int8 questions-sparse questions-int8; do
    [[ $(zeros "here/run/$model") =~ ^0\.(8999|9000)[0-9]*$ ]] || fail "$model: shares of zeros: $(zeros "here/run/$model")"
done
[ "$(zeros here/run/polarity-dense)" = 0.000000 ] || fail "polarity-dense: shares of zeros: $(zeros here/run/polarity-dense)"
for task in polarity questions; do
    [ -f "here/run/$task-int8/quantization.safetensors" ] || fail "$task-int8 is not quantized"
done

quick "the old anchor is dreadful ."
grep -q 'done in' err && fail "stages ran again: $(cat err)"
diff wanted <(shape out) >difference || fail "the second table: $(cat difference)"
grep -q '^the old anchor is dreadful \.  ' out || fail "examples/quickstart.sh SENTENCE: $(cat out)"

"$source_dir/examples/quickstart.sh" --help >out 2>err || fail "--help: exit status $?"
grep -q -- '--parameter NAME=VALUE' out || fail "--help: $(cat out)"
"$source_dir/examples/quickstart.sh" --steps 3 >out 2>err
[ $? = 2 ] || fail "--steps 3: not exit status 2"
wants_quiet out
[ "$(cat err)" = "error: unknown option --steps; see examples/quickstart.sh --help" ] || fail "--steps 3: $(cat err)"
"$source_dir/examples/quickstart.sh" --output_dir=here --parameter=stepz=3 >out 2>err
[ $? = 2 ] || fail "--parameter=stepz=3: not exit status 2"
grep -q stepz err || fail "--parameter=stepz=3: $(cat err)"
grep -q 'pipeline has failed' err && fail "--parameter=stepz=3: says that a stage failed: $(cat err)"
finish
