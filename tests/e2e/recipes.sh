#!/bin/bash
# The recipes of examples/recipes are read and planned, with models of their kinds and names but of small width (recipes_full_size.sh takes them as they
# are): the steps that are published, what is refused, and no recipe that is left out here or in the README beside them.
. "$(dirname "$0")/harness.bash"
. "$source_dir/tests/e2e/recipes.bash"
recipe_models tiny
recipe_sparse_models tiny
recipe_data

seen=0
for file in teacher-preparation-*.xml; do
    dry_runs "$file" 100000 'epochs'
    seen=$((seen + 1))
done
for file in student-pruning-*.xml; do
    dry_runs "$file" 100000
    seen=$((seen + 1))
done
# epochs x batches: of all tasks one batch an epoch
for task in mnli qqp qnli sst2; do
    dry_runs transfer-$task.xml 9
    seen=$((seen + 1))
done
dry_runs transfer-squad.xml 8
seen=$((seen + 1))
for task in mnli qqp qnli sst2; do
    dry_runs transfer-$task-qat.xml 3 '^8 bits  *14 layers$'
    seen=$((seen + 1))
done
dry_runs transfer-squad-qat.xml 2 '^8 bits  *13 layers$'
seen=$((seen + 1))

all=("$source_dir"/examples/recipes/*.xml)
[ "$seen" = "${#all[@]}" ] || fail "tried $seen recipes of ${#all[@]}"
# README.md names each as its table does: PREFIX-{NAME,...}.xml or PREFIX-{NAME,...}-qat.xml
names=$(grep -o '`[a-z-]*{[a-z0-9,-]*}[a-z-]*[.]xml`' "$source_dir/examples/recipes/README.md" | tr '`\n' '  ')
for name in $(eval "echo $names"); do
    [ -f "$name" ] || fail "README.md of the recipes names $name, which is not there"
    seen=$((seen - 1))
done
[ "$seen" = 0 ] || fail "README.md of the recipes leaves out $seen of them"
finish
