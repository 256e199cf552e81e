#!/bin/bash
# The eight models of the fixtures: outputs and loss within 1e-5 of the reference (pitfall 18), by the interpreter and by compiled code,
# in one batch and one by one, and the same bytes with 1 and with 2 threads (pitfall 21).
. "$(dirname "$0")/harness.bash"
need_shared

# check NAME FIXTURE OPTION...: predicts into NAME.safetensors and compares.
check() {
    local name=$1.safetensors fixture=$2
    shift 2
    run predict "$fixture" --tensors "$fixture/inputs.safetensors" -o "$name" --last_hidden_state "$@"
    wants_status 0
    wants_quiet out
    [ $rc = 0 ] || return
    ok "$build_dir/compare_tensors" "$name" "$fixture/expected.safetensors" --tolerance=1e-5 --mask="$fixture/inputs.safetensors"
}

models=0
for fixture in "$POFAC_SHARED"/fixtures/forward/*/; do
    fixture=${fixture%/}
    model=$(basename "$fixture")
    models=$((models + 1))
    check "$model-interpreter" "$fixture" --interpreter
    check "$model-interpreter-1" "$fixture" --interpreter --batch_size 1
    for threads in 1 2; do
        check "$model-t$threads" "$fixture" --threads $threads
        check "$model-1-t$threads" "$fixture" --threads $threads --batch_size 1
    done
    ok cmp "$model-t1.safetensors" "$model-t2.safetensors"
    ok cmp "$model-1-t1.safetensors" "$model-1-t2.safetensors"
done
[ $models = 8 ] || fail "found $models models in fixtures/forward, wanted 8"
finish
