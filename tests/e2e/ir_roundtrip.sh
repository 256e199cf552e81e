#!/bin/bash
# The IR of every head as text: `opt` reads back what `compile` wrote and prints it byte by byte the same; passes run on the text give what
# they give on the module; and what the switches for dumps, stopping and timing show.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
cp "$source_dir/examples/distilbert.xml" "$source_dir/examples/tiny.xml" .

# ---- round trips ----

for model in tiny.xml distilbert.xml; do
    for head in pretraining masked-lm sequence-classification token-classification question-answering none; do
        for loss in "" --with_loss; do
            [ "$head$loss" = none--with_loss ] && continue
            name=${model%.xml}-$head$loss
            # shellcheck disable=SC2086 # $loss is one option or none
            run compile $model --head $head $loss --pipeline "" --emit ir -o "$name.pir"
            wants_status 0
            run opt "$name.pir"
            wants_status 0
            wants_quiet err
            ok cmp "$name.pir" out
            run opt "$name.pir" --print_locations -o located.pir
            wants_status 0
            run opt located.pir
            ok cmp "$name.pir" out
            # shellcheck disable=SC2086
            run compile $model --head $head $loss --tune off --emit ir -o "$name-optimized.pir"
            wants_status 0
            run opt "$name-optimized.pir"
            wants_status 0
            ok cmp "$name-optimized.pir" out
            run opt "$name.pir" --pipeline infer
            wants_status 0
            ok cmp "$name-optimized.pir" out
        done
    done
done
run compile tiny.xml --head none --with_loss --emit ir
wants_status 2
grep -qx "error: --with_loss: the head none has no loss" err || fail "$last: $(cat err)"

# Standard input is as good as a file.
"$POFAC" opt - <tiny-none.pir >out || fail "pofac opt - failed"
ok cmp tiny-none.pir out

# ---- dumps ----

titles() { sed -n 's/^; ---- \(.*\) ----$/\1/p' "$1" | paste -sd ,; }
wants_titles() { [ "$(titles out)" = "$1" ] || fail "$last: dumps $(titles out), wanted $1"; }
dumps() { run compile demo --graph_only "$@" && wants_status 0; }

dumps
wants_quiet out
dumps --print_before fuse
wants_titles "before fuse"
dumps --pipeline cse,layout,cse,fuse --print_after cse,fuse
wants_titles "after cse,after cse,after fuse"
dumps --print_before layout --print_after layout
wants_titles "before layout,after layout"
dumps --pipeline layout,cse,fuse --print_after all
wants_titles "after layout,after cse,after fuse"
dumps --pipeline layout,cse,fuse --print_before all
wants_titles "before layout,before cse,before fuse"
dumps --pipeline dce,layout,dce,fuse --print_changed
wants_titles "after layout,after fuse"
dumps --print_after all --stop_after layout
[ "$(titles out | sed 's/.*,//')" = "after layout" ] || fail "$last: dumps $(titles out)"
dumps --print_after fuse --print_scope encoder.layer.1.output
grep '^  scope' out >scopes
[ -s scopes ] && ! grep -v 'scope "encoder\.layer\.1\.output\.' scopes || fail "$last: found $(cat scopes)"

# What is dumped last is what is emitted, and a dump of the whole module can be read back.
run compile demo --emit ir
cp out emitted
dumps --print_after plan-memory --full_layers
sed 1d out | sed '$d' >dumped
ok diff emitted dumped

# ---- times ----

run compile demo --graph_only --time_passes
wants_status 0
wants_quiet out
grep -qE '^plan-memory +[0-9]+\.[0-9]{3} ms$' err || fail "$last: no line for plan-memory: $(cat err)"
[ "$(grep -cE ' +[0-9]+\.[0-9]{3} ms$' err)" -ge 7 ] || fail "$last: $(cat err)"

finish
