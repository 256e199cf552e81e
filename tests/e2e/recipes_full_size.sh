#!/bin/bash
# The recipes of examples/recipes at full size with random weights: each is planned with memory and time, and fits a machine of 24 GB.
# label: long
. "$(dirname "$0")/harness.bash"
. "$source_dir/tests/e2e/recipes.bash"
recipe_models full
recipe_data

for file in teacher-preparation-*.xml student-pruning-*.xml; do dry_runs "$file" 100000 'time  *about'; done
for task in mnli qqp qnli sst2; do dry_runs transfer-$task.xml 9 'time  *about'; done
dry_runs transfer-squad.xml 8 'time  *about'
finish
