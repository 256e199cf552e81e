#!/bin/bash
# examples/quickstart/pipeline.xml: its stages, commands, options and recipes are what the program has, and `quickstart.sh` runs them.
. "$(dirname "$0")/harness.bash"
mkdir -p data/polarity data/questions
for file in corpus.txt polarity/{train,dev,test}.tsv questions/{train,dev,test}.json; do echo some text >"data/$file"; done
run run "$source_dir/examples/quickstart/pipeline.xml" --dry_run --output_dir run --parameter data=data
wants_status 0
[ "$(cat out err | grep -c '^\[[0-9]*/32\] .* would run: new')" = 32 ] || fail "not 32 stages would run: $(cat out err)"
run run "$source_dir/examples/quickstart/pipeline.xml" --dry_run --output_dir run
wants_status 3
finish
