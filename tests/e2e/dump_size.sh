#!/bin/bash
# pitfall 25: BERT-Large as IR stays readable: constants are names, equal layers are printed once, and no dump has a megabyte.
. "$(dirname "$0")/harness.bash"
cp "$source_dir/examples/bert-large.xml" model.xml
megabyte=1000000

for options in "--emit ir" "--emit ir --pipeline canonicalize" "--emit ir --with_loss --print_locations" "--graph_only --print_after all" \
    "--graph_only --print_before all" "--graph_only --print_after plan-memory --full_layers"; do
    for head in sequence-classification pretraining; do
        read -ra words <<<"$options"
        run compile model.xml --head $head "${words[@]}"
        wants_status 0
        bytes=$(stat -c %s out)
        [ "$bytes" -gt 1000 ] || fail "$last: found $bytes bytes, wanted more"
        [ "$bytes" -lt $megabyte ] || fail "$last: found $bytes bytes, wanted fewer than $megabyte"
    done
done
# Layer 23 is in the text that is read back, but not in the one for people.
run compile model.xml --emit ir
grep -q 'encoder\.layer\.23\.' out || fail "$last: no layer 23"
run compile model.xml --graph_only --print_after plan-memory
grep -q 'encoder\.layer\.12\.' out && fail "$last: layer 12 is printed, wanted it folded"
run compile model.xml --graph_only --print_after plan-memory --print_scope encoder.layer.12
grep -q 'encoder\.layer\.12\.' out || fail "$last: no layer 12"
finish
