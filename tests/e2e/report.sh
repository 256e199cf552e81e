#!/bin/bash
# `pofac report` on real runs: the page has every number of metrics.jsonl as it stands there, all that the models give, and nothing of the network; what is
# missing, damaged or cannot be written is told.
. "$(dirname "$0")/harness.bash"
. "$source_dir/tests/e2e/report_runs.bash"
make_runs

# drawn PAGE RUN METRIC: the numbers of a curve's attributes, one a line.
drawn() {
    grep -o "data-run=\"$2\" data-metric=\"$3\" data-steps=\"[^\"]*\" data-values=\"[^\"]*\"" "$1" | head -1 | sed 's/.*data-values="//; s/"$//' | tr ' ' '\n'
}
has() { grep -qF -- "$2" "$1" || fail "$1 has not: $2"; }
has_not() { ! grep -qF -- "$2" "$1" || fail "$1 has: $2"; }

# ---- two runs beside each other ----

mv pruned '<script>bad<'
run report dense '<script>bad<' -o page.html --threads 1 --iterations 3
wants_status 0
wants_quiet out
wants_quiet err
compared=0
for name in dense '<script>bad<'; do
    shown=${name//</'&lt;'}
    shown=${shown//>/'&gt;'}
    for metric in loss learning_rate grad_norm sparsity tokens_per_second eval_loss eval_accuracy pruning/target_sparsity mask_update_runtime \
        sparsity_per_layer/bert.encoder.layer.0.attention.self.query sparsity_per_layer/bert.encoder.layer.1.output.dense; do
        logged "$name" "$metric" >wanted
        drawn page.html "$shown" "$metric" >found
        [ "$metric" = learning_rate ] || [ -s wanted ] || [ "$name" = dense ] || fail "$name has no $metric"
        [ -s wanted ] || continue
        cmp -s wanted found || fail "$name, $metric: found $(paste -sd ' ' found | head -c 200), wanted $(paste -sd ' ' wanted | head -c 200)"
        compared=$((compared + $(wc -l <wanted)))
    done
done
[ $compared -ge 270 ] || fail "$compared numbers were compared, wanted 270"
has_not page.html '<script>bad'
has_not page.html 'http:'
has_not page.html 'https:'
has_not page.html 'src="/'
accuracy=$(sed -n 's/.*"eval_accuracy": \([^,]*\),*/\1/p' dense/eval_results.json)
has page.html "<td data-value=\"$accuracy\">"
has page.html '<th scope="row"><code>learning_rate</code></th><td>0.001</td><td>0.002</td>'
has page.html '<tr><th scope="row">encoder.layer.1</th>'
has page.html '<code>bert.encoder.layer.0.attention.self.query.weight</code>'
has page.html 'src="data:image/png;base64,'
has page.html '<table class="kernels">'
has page.html '<b>before all passes</b>'
has page.html '<b>after unpad</b>'
has page.html '<b>after fuse</b>'
has page.html "model.safetensors $(wc -c <dense/model.safetensors | awk '{ printf "%.3g", $1 / 1000 }') kB"
[ "$(grep -c '<figure class="graph">' page.html)" -ge 12 ] || fail "found $(grep -c '<figure class="graph">' page.html) graphs, wanted 12"
[ "$(tail -c 8 page.html)" = "</html>" ] || fail "page.html does not end"

# the same input gives the same page, where nothing is measured
run report dense --bench=false --threads 1 -o -
wants_status 0
mv out first.html
run report dense --bench=false --threads 2 -o -
ok cmp first.html out

# ---- compiled models, what bench prints, a pipeline's directory ----

run compile '<script>bad<' -o small.pofac --tune off
run bench small.pofac --sequence 8 --iterations 2 --json
mv out measured.json
run report small.pofac measured.json --bench=false --threads 1 --layer 1.output.dense
wants_status 0
has report.html '<code>bert.encoder.layer.1.output.dense.weight</code>'
has report.html "$(sed -n 's/.*"median_ms": \([0-9.e-]*\),.*/\1/p' measured.json | awk '{ printf "<b>%.2f ms</b>", $1 }')"
has report.html '<b>small.pofac</b>: No lines of metrics.jsonl'
mkdir -p out_dir && cp -r dense out_dir/teacher
cat >out_dir/results.json <<'JSON'
{"columns": [{"name": "accuracy", "format": "percent"}], "rows": [{"name": "dense", "cells": {"accuracy": {"value": 0.75, "values": [0.75], "sweep": [""]}}}]}
JSON
run report out_dir --bench=false --threads 1
wants_status 0
has report.html '<th scope="row">dense</th><td data-value="0.75">75.00 %</td>'
has report.html 'data-run="teacher" data-metric="loss"'

# ---- what is not there ----

mkdir cut empty
head -c -20 dense/metrics.jsonl >cut/metrics.jsonl
run report cut
wants_status 0
last_line=$(wc -l <dense/metrics.jsonl)
has report.html "cut/metrics.jsonl: line $last_line is damaged and was left out."
grep -q "^cut/metrics.jsonl:$last_line: warning: " err || fail "$last: no warning: $(cat err)"
cp -r dense unfinished && rm unfinished/model.safetensors unfinished/*_results.json
run report unfinished --bench=false
wants_status 0
has report.html 'The run has not ended; its model is that of unfinished/checkpoint-24.'
has report.html '<b>unfinished</b>: No *_results.json, so no scores'
run report nowhere
wants_status 3
[ "$(cat err)" = "nowhere: error: is not there" ] || fail "$last: found $(cat err)"
run report empty
wants_status 3
run report dense --bench=false -o nowhere/page.html
wants_status 1
[ "$(cat err)" = "nowhere/page.html: error: cannot be written: No such file or directory" ] || fail "$last: found $(cat err)"
run report dense --bench=false --layer nothing
wants_status 2
run report
wants_status 2
finish
