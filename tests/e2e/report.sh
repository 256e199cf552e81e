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
has page.html '<th scope="row"><code>lr_scheduler_type</code></th><td>linear</td><td>linear</td>'
has page.html '<th scope="row"><code>pruning_scheduler</code></th><td></td><td>iterative</td>'
has page.html '<th scope="row"><code>pruning_parameters</code></th><td></td><td>target_sparsity 0.9</td>'
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
cat >pipeline.xml <<'XML'
<pofac xmlns="urn:pofac:1">
  <pipeline name="small">
    <parameter name="seed" value="1"/>
    <stage name="teacher" recipe="recipe.xml"><set name="max_steps" value="2"/><set name="seed" value="${seed}"/></stage>
    <stage name="bench" command="bench"><argument value="${stage:teacher}"/><option name="json" value="true"/><option name="sequence" value="8"/>
      <option name="iterations" value="2"/></stage>
    <results><row name="small"><cell column="accuracy" stage="teacher" file="eval_results.json" key="eval_accuracy" format="percent"/></row></results>
  </pipeline>
</pofac>
XML
run run pipeline.xml --output_dir stages --sweep seed=1,2
wants_status 0
run report stages --bench=false --threads 1
wants_status 0
cell=$(sed -n 's/^| small | \(.*\) |$/\1/p' stages/results.md)
[ -n "$cell" ] && [ "$(grep '^<tr><th scope="row">small<' report.html | sed 's/<[^>]*>//g')" = "small$cell" ] || fail "the pipeline's table is not that of results.md: $cell"
has report.html '<th scope="row"><code>seed</code></th><td>1</td><td>2</td><td></td><td></td></tr>'
for name in seed=1 seed=2; do
    has report.html "data-run=\"$name/teacher\" data-metric=\"loss\""
    has report.html "Model $name/bench</h2>"
done
[ "$(grep -o '<h2 id="model-[0-9]*">Model [^<]*' report.html | sed 's/.*Model //' | paste -sd ' ')" = "seed=1/teacher seed=2/teacher seed=1/bench seed=2/bench" ] ||
    fail "stages stand in another order: $(grep -o '<h2 id="model-[0-9]*">Model [^<]*' report.html)"

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
cp dense/metrics.jsonl kept.jsonl
run report dense -o dense/metrics.jsonl # told before anything is measured
wants_status 2
[ "$(cat err)" = "dense/metrics.jsonl: error: found a file that is no page of HTML, wanted a new file or a page to replace" ] || fail "$last: found $(cat err)"
cmp -s kept.jsonl dense/metrics.jsonl || fail "metrics.jsonl is another one"
run report dense -o empty
wants_status 2
[ "$(cat err)" = "empty: error: found a directory, wanted a file" ] || fail "$last: found $(cat err)"
run report dense --bench=false --layer nothing
wants_status 2
run report
wants_status 2
finish
