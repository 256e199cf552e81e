#!/bin/bash
# A trained BERT-Tiny that has neither embedding tables nor a vocabulary: from given embedding outputs, the outputs of both layers and the
# logits within 1e-5 of the reference; each sentence by itself, and all of them padded in one batch.
. "$(dirname "$0")/harness.bash"
need_shared
model=$POFAC_SHARED/data/bert_tiny_encoders/sst2
reference=$model/reference_io.safetensors

# check NAME SENTENCES OPTION...: SENTENCES are the numbers of the reference's sentences in the batch NAME.
check() {
    local name=$1 row=0 pairs=() sentence
    for sentence in $2; do
        pairs+=("hidden_states.0[$row]=s$sentence.embeddings_output" "hidden_states.1[$row]=s$sentence.layer0_output"
            "hidden_states.2[$row]=s$sentence.layer1_output" "logits[$row]=s$sentence.logits")
        row=$((row + 1))
    done
    shift 2
    run predict "$model" --tensors "$name.safetensors" -o "$name-out.safetensors" --hidden_states "$@"
    wants_status 0
    [ $rc = 0 ] && ok "$build_dir/compare_tensors" "$name-out.safetensors" "$reference" --tolerance=1e-5 "${pairs[@]}"
}

for sentence in 0 1 2 3; do
    ok "$build_dir/stack_rows" "$reference" s$sentence.safetensors s$sentence.embeddings_output
    check s$sentence $sentence --interpreter
    check s$sentence $sentence
done
ok "$build_dir/stack_rows" "$reference" all.safetensors s0.embeddings_output s1.embeddings_output s2.embeddings_output s3.embeddings_output
check all "0 1 2 3" --interpreter
check all "0 1 2 3"

# Without embedding tables there is nothing to read token ids or text with.
run predict "$model" --tensors "$POFAC_SHARED/fixtures/forward/bert-pretraining/inputs.safetensors" -o ids.safetensors
wants_status 3
grep -q "the model has no embedding tables: wanted embedding_output \[B,S,E\] instead of input_ids" err || fail "$last: $(cat err)"
run predict "$model" /dev/null
wants_status 3
grep -q "the model has no embedding tables: found texts, wanted tensors with embedding_output (--tensors)" err || fail "$last: $(cat err)"
finish
