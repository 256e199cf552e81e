#!/bin/bash
# pofac run: stages are passed over as long as nothing that determines them has changed, whatever times and names of files say; results, sweeps and
# --from; what fails is never taken as done; directories that are none of a pipeline's stay as they are.
. "$(dirname "$0")/harness.bash"

printf 'a b c d e f\nthe cat sat on the mat\n' >corpus.txt
mkdir documents && printf 'x y z\n' >documents/other.txt
# pipeline ARGUMENT FILE: its second stage reads FILE of the first's directory.
pipeline() {
    cat <<EOF
<pofac xmlns="urn:pofac:1">
  <pipeline name="small">
    <parameter name="size" value="40"/>
    <parameter name="data" value="$1"/>
    <stage name="vocabulary" command="data vocab"><argument value="\${data}"/><option name="vocab_size" value="\${size}"/></stage>
    <stage name="tokens" command="tokenize"><argument value="corpus.txt"/><option name="vocab" value="\${stage:vocabulary}/$2"/></stage>
    <stage name="alone" command="list"><argument value="commands"/></stage>
    <results>
      <row name="a|b"><cell column="size" stage="vocabulary" file="vocab.txt" format="number"/></row>
    </results>
  </pipeline>
</pofac>
EOF
}
pipeline corpus.txt vocab.txt >small.xml

# wants_stages WORDS: what the last run said of its stages, without numbers and times, with ; behind each.
wants_stages() {
    [ "$(sed -n 's/^\[[0-9]*\/[0-9]*\] //; t told; d; :told; s/ in [0-9.]* s$//; s/  */ /g; p' err | tr '\n' ';')" = "$1" ] && return
    fail "$last: wanted the stages $1, found: $(cat err)"
}
wants_line() { grep -qF -- "$1" err || fail "$last: wanted the message \"$1\", found: $(cat err)"; }

# ---- what runs and what does not ----
run run small.xml --list
wants_status 0
[ "$(sed 's/  */ /' out)" = $'vocabulary data vocab\ntokens tokenize, reads vocabulary\nalone list' ] || fail "--list: $(cat out)"
run run small.xml -o out1 --dry_run
wants_status 0
[ ! -e out1 ] || fail "a dry run has written"
run run small.xml -o out1
wants_status 0
wants_stages 'vocabulary done;tokens done;alone done;'
size=$(wc -c <out1/vocabulary/vocab.txt)
[ "$(cat out)" = "$(printf '| | size |\n| --- | ---: |\n| a\\|b | %s |' "$size")" ] || fail "table: $(cat out)"
cmp -s out out1/results.md || fail "results.md is not the table"
grep -q "\"value\": $size, \"values\": \[$size\], \"sweep\": \[\"\"\]" out1/results.json || fail "results.json: $(cat out1/results.json)"
grep -q '^  *list\|run' out1/alone/stdout.txt || fail "stdout.txt: $(cat out1/alone/stdout.txt)"
run run small.xml -o out1
wants_stages 'vocabulary unchanged;tokens unchanged;alone unchanged;'
run run small.xml -o out1 --from tokens
wants_stages 'vocabulary unchanged;tokens done;alone done;'
run run small.xml -o out1 --from tokns
wants_status 2
wants_line 'error: --from: unknown stage tokns; did you mean tokens?'
run run small.xml -o out1 --parameter size=41 --dry_run
wants_stages 'vocabulary would run: changed: vocab_size 41;tokens would run: changed: vocab vocabulary@'"$(sed -n 's/.*changed: vocab vocabulary@//p' err);alone unchanged;"
rm out1/vocabulary/vocab.txt
run run small.xml -o out1
wants_stages 'vocabulary done;tokens unchanged;alone unchanged;'

# The contents count, also where size and time are the same ones; the place does not.
touch -d 2020-01-01 corpus.txt
sleep 2.1
run run small.xml -o out1
wants_stages 'vocabulary unchanged;tokens unchanged;alone unchanged;'
printf 'a b c d e g\nthe cat sat on the mat\n' >corpus.txt
touch -d 2020-01-01 corpus.txt
run run small.xml -o out1
wants_stages 'vocabulary done;tokens done;alone unchanged;'
mkdir moved && cp corpus.txt moved/of_another_name.txt
run run small.xml -o out1 --parameter data=.//moved/of_another_name.txt
wants_stages 'vocabulary unchanged;tokens unchanged;alone unchanged;'

# A file in a directory that is read; shards of an index.
pipeline documents vocab.txt >folder.xml
run run folder.xml -o out2
printf 'x y q\n' >documents/other.txt
run run folder.xml -o out2 --dry_run
wants_line 'vocabulary                       would run: changed: argument '
mkdir sharded && echo one >sharded/one.safetensors
echo '{"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}}' >sharded/model.safetensors.index.json
pipeline sharded/model.safetensors.index.json vocab.txt >index.xml
run run index.xml -o out3
wants_stages 'vocabulary failed;'
run run index.xml -o out3 --dry_run
wants_line 'vocabulary                       would run: failed before'
echo two >sharded/one.safetensors
run run index.xml -o out3 --dry_run
wants_line 'vocabulary                       would run: changed: argument '

# ---- sweeps ----
run run small.xml -o swept --sweep size=40,20
wants_status 0
wants_stages 'vocabulary size=40 done;tokens size=40 done;alone done;vocabulary size=20 done;tokens size=20 done;'
few=$(wc -c <swept/size=20/vocabulary/vocab.txt) many=$(wc -c <swept/size=40/vocabulary/vocab.txt)
[ "$few" -lt "$many" ] || fail "vocabularies of 20 and of 40 tokens have $few and $many bytes"
grep -q "\"values\": \[$many, $few\], \"sweep\": \[\"size=40\", \"size=20\"\]" swept/results.json || fail "swept: $(cat swept/results.json)"
[ -f swept/shared/alone/stdout.txt ] || fail "what no parameter changes is not in shared"
run run small.xml -o swept --sweep size=20,20
wants_status 2
run run small.xml -o swept --sweep size=../x
wants_status 2

# ---- what fails ----
pipeline corpus.txt none.txt >broken.xml
run run broken.xml -o broken
wants_status 3
wants_line 'broken/tokens/log.txt: error: the stage tokens failed with exit status 3; it said:'
run run broken.xml -o broken
wants_status 3
wants_stages 'vocabulary unchanged;tokens failed;'
# A process that was started to ignore the ends of its children must learn of them nevertheless.
env --ignore-signal=CHLD "$POFAC" run broken.xml -o ignoring >out 2>err
rc=$? last='pofac run, SIGCHLD ignored'
wants_status 3
wants_stages 'vocabulary done;tokens failed;'
for cell in 'file="gone.txt":found no file small/vocabulary/gone.txt, wanted one' \
    'file="vocab.txt" key="accuracy":found no number accuracy in small/vocabulary/vocab.txt, wanted one' \
    'file="blanks":found small/vocabulary/blanks, which is no file, wanted one'; do
    mkdir -p small/vocabulary/blanks
    sed "s/file=\"vocab.txt\"/${cell%%:*}/" small.xml >cell.xml
    [ -d small/tokens ] || { rm -rf small && run run small.xml && mkdir small/vocabulary/blanks; }
    run run cell.xml
    wants_status 3
    wants_line "error: column size: ${cell#*:}"
done
head -c 4096 /dev/zero | tr '\0' ' ' >small/vocabulary/page.txt
sed 's/file="vocab.txt"/file="page.txt" key="a"/' small.xml >page.xml
run run page.xml
wants_status 3

# ---- documents ----
wrong() {
    sed "$1" small.xml >wrong.xml
    run run wrong.xml -o wrong
    wants_status 3
    wants_line "$2"
    [ ! -e wrong/vocabulary ] || fail "$2: something was written"
}
# shellcheck disable=SC2016
{
    wrong '/<stage/d;/<results>/,/<\/results>/d' 'wrong.xml:2:3: error: found no <stage> in <pipeline>, wanted one'
    wrong 's/stage:vocabulary/stage:alone/' 'error: found the stage alone in tokens, which comes before it; stages read earlier ones only'
    wrong 's/stage:vocabulary/stage:tokens/' 'error: found the stage tokens in itself, wanted an earlier one; ${out} is its own directory'
    wrong 's/stage:vocabulary/stage:vocabulery/' 'error: found the stage vocabulery, wanted an earlier one; did you mean vocabulary?'
    wrong 's/${size}/${sise}/' 'wrong.xml:5:111: error: found ${sise}, wanted ${size}'
    wrong 's/name="alone"/name="tokens"/' 'error: found a second stage tokens, wanted one (the first is in line 6)'
    wrong 's/name="alone"/name="..\/alone"/' 'error: found the stage ../alone, wanted a name of letters'
    wrong 's/name="vocab_size" value="${size}"/name="output" value="elsewhere"/' 'error: output: found elsewhere, wanted a path in the stage'
    wrong 's/corpus.txt/gone.txt/' 'error: argument: found no file or directory gone.txt, wanted one'
}

# ---- directories ----
mkdir strange && echo '{"mine": 1}' >strange/manifest.json
run run small.xml -o strange
wants_status 2
wants_line 'strange: error: found a directory with something in it that no pipeline has made, wanted an empty one or none'
[ "$(ls -A strange) $(cat strange/manifest.json)" = 'manifest.json {"mine": 1}' ] || fail "a directory that is none of a pipeline's has changed"
# What a process leaves that was killed before the manifests were there.
mkdir killed && : >killed/.hashes && : >killed/manifest.json.tmp.1.0
run run small.xml -o killed
wants_status 0
rm -r killed/alone && mkdir -p killed/alone killed/.alone.removed/some && : >killed/alone/manifest.json.tmp.1.0
run run small.xml -o killed
wants_stages 'vocabulary unchanged;tokens unchanged;alone done;'
[ ! -e killed/.alone.removed ] || fail "the half of a directory that was to be removed is still there"
rm -r killed/alone/* && echo mine >killed/alone/mine
run run small.xml -o killed
wants_status 2
wants_line 'killed/alone: error: found a directory with something in it that no stage has made, wanted an empty one or none'
[ "$(cat killed/alone/mine)" = mine ] || fail "a foreign file is gone"
exec 9<killed && flock 9
run run small.xml -o killed
wants_status 1
wants_line 'killed: error: another `pofac run` is at work in this directory, or a stage of one is ending'
finish
