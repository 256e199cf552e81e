#!/bin/bash
# pitfall 8: answers have the labels that the model's id2label gives to the rows of its classifier, in whatever order they stand there,
# and labels that are not as many as those rows are refused.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
printf 'A wonderful film.\nA terrible film.\n' >texts.txt
run predict demo texts.txt
wants_status 0
wants_quiet err
sed 's/^{"label": "\([a-z]*\)".*/\1/' out | paste -sd' ' >labels
[ "$(cat labels)" = "positive negative" ] || fail "$last: $(cat labels)"

# with_labels ID2LABEL LABEL2ID: the model under these names.
with_labels() {
    rm -rf renamed && cp -r demo renamed
    tr '\n' ' ' <demo/config.json | sed "s/\"id2label\": {[^}]*}/\"id2label\": {$1}/; s/\"label2id\": {[^}]*}/\"label2id\": {$2}/" >renamed/config.json
    run predict renamed texts.txt
}

with_labels '"1": "good", "0": "bad"' '"good": 1, "bad": 0'
wants_status 0
wants_quiet err
sed 's/^{"label": "\([a-z]*\)".*/\1/' out | paste -sd' ' >labels
[ "$(cat labels)" = "good bad" ] || fail "$last: $(cat labels)"
with_labels '"0": "good", "1": "bad"' '"bad": 1, "good": 0'
sed 's/^{"label": "\([a-z]*\)".*/\1/' out | paste -sd' ' >labels
[ "$(cat labels)" = "bad good" ] || fail "$last: $(cat labels)"
with_labels '"0": "negative", "1": "positive"' '"negative": 1, "positive": 0'
wants_status 0
grep -q '^renamed/config.json: warning: label2id: found 1 for "negative", which id2label does not have there' err || fail "$last: $(cat err)"
sed 's/"num_labels": 2,//' -i demo/config.json
with_labels '"0": "negative", "1": "positive", "2": "neutral"' ''
wants_status 3
wants_quiet out
grep -q 'error: tensor "classifier.weight": found f32\[2,64\], wanted f32\[3,64\]' err || fail "$last: $(cat err)"
finish
