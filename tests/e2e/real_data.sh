#!/bin/bash
# The pipeline of examples/real-data on ../shared/data, planned and not run: all options, recipes and files are checked, every stage of the document would run and
# nothing is written, a changed budget is taken, results name stages that are there, and a directory without the data is one message.
. "$(dirname "$0")/harness.bash"
need_shared
data=$POFAC_SHARED/data
pipeline=$source_dir/examples/real-data/pipeline.xml

mapfile -t stages < <(sed -n 's/^ *<stage name="\([^"]*\)".*/\1/p' "$pipeline")
[ ${#stages[@]} = 66 ] || fail "the pipeline has ${#stages[@]} stages, wanted 66"
run run "$pipeline" --parameter data="$data" --parameter teacher_steps=20000 --output_dir made --dry_run
wants_status 0
n=$(grep -c 'would run: new$' err)
[ "$n" = 66 ] || fail "$n stages would run, wanted 66"
for stage in "${stages[@]}"; do
    grep -q "\] $stage  *would run" err || fail "--dry_run does not list the stage $stage"
done
[ ! -e made ] || fail "--dry_run has written something"

run run "$pipeline" --parameter data="$data" --sweep seed=1,2 --output_dir made --dry_run
wants_status 0
n=$(grep -c 'would run: new$' err)
[ "$n" = 131 ] || fail "of two seeds $n stages would run, wanted 131: all but the corpus depend on the seed"

run run "$pipeline" --parameter data=nowhere --output_dir made --dry_run
wants_status 3
wants_quiet out
[ "$(grep -c 'error:' err)" = 1 ] && grep -q 'found no file or directory nowhere/wikipedia/enwiki' err || {
    fail "a directory without data, wanted one error that names the first file:"
    cat err
}
finish
