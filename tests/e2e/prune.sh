#!/bin/bash
# Pruning once: plain tensors by each kind of method against masks written here by hand, models with the layers that a configuration chooses, and what is refused.
. "$(dirname "$0")/harness.bash"
here=$PWD

ok "$build_dir/make_tensors" in.safetensors w:f32:2,4:1,-8,3,4,-5,6,7,2 dense.weight:bf16:2,2:1,2,3,4 ids:i64:2,2:1,2,3,4 b:f32:3:1,2,3

# pruned NAME:DTYPE:SHAPE:VALUES,... OPTION...: the file that comes of in.safetensors.
pruned() {
    local wanted=$1
    shift
    run prune in.safetensors -o out.safetensors --overwrite_output_dir "$@"
    wants_status 0
    ok "$build_dir/make_tensors" wanted.safetensors "$wanted" ids:i64:2,2:1,2,3,4 b:f32:3:1,2,3
    ok "$build_dir/compare_tensors" out.safetensors wanted.safetensors
}
pruned w:f32:2,4:0,-8,0,0,-5,6,7,0 --target_sparsity 0.5 --not_to_prune '^dense$'
wants_quiet err
ok "$build_dir/json_has" out method=unstructured_magnitude layers.0.name=w layers.0.zeros=4 layers.0.sparsity=0.5 sparsity=0.5 output=out.safetensors
pruned dense.weight:bf16:2,2:0,0,0,4 --target_sparsity 0.75 --threads 2
ok "$build_dir/json_has" out layers.0.name=dense layers.1.name=w layers.0.zeros=3 layers.1.zeros=6 sparsity=0.75
pruned w:f32:2,4:0,-8,0,4,0,6,7,0 --pruning_fn uniform_magnitude --block_size 4 --target_sparsity 0.5
pruned w:f32:2,4:1,-8,0,0,-5,6,0,0 --pruning_fn block_structured_magnitude --block_dims 2 --target_sparsity 0.5 --pooling_type max --not_to_prune dense
pruned w:f32:2,4:0,0,0,0,-5,6,7,2 --pruning_fn block_structured_magnitude --block_dims 4,1 --target_sparsity 0.5 --not_to_prune dense
pruned w:f32:2,4:1,-8,3,4,-5,6,7,2 --pruning_fn pattern_lock
ok cmp in.safetensors out.safetensors
ok "$build_dir/make_tensors" masks.safetensors w.mask:u8:2,4:1,0,0,1,1,0,255,0 dense.weight:f32:2,2:-1,0,0,0.5
pruned w:f32:2,4:1,0,0,4,-5,0,7,0 --pruning_fn custom_mask --pruning_masks masks.safetensors --not_to_prune dense
run prune in.safetensors -o out.safetensors --overwrite_output_dir --pruning_fn custom_mask --pruning_masks masks.safetensors
wants_status 0
ok "$build_dir/json_has" out method=custom_mask layers.0.name=dense layers.0.zeros=2 layers.1.zeros=4
echo '{"pruning_fn": "custom_mask", "masks": "masks.safetensors"}' >custom.json # beside the configuration
run prune in.safetensors -o out.safetensors --overwrite_output_dir --pruning_config "$PWD/custom.json"
wants_status 0
ok "$build_dir/json_has" out method=custom_mask layers.1.zeros=4

cat >config.json <<'END'
{"pruning_fn": "unstructured_magnitude", "scheduler": "one_shot", "not_to_prune": ["dense"], "policy_steps": 1,
 "pruning_fn_default_kwargs": {"target_sparsity": 0.25, "initial_sparsity": 0.5}}
END
pruned w:f32:2,4:0,-8,3,4,-5,6,7,0 --pruning_config config.json
grep -q '^config.json: warning: policy_steps is unknown, and ignored$' err || fail "no warning of policy_steps: $(cat err)"
grep -q 'warning: w is pruned to target_sparsity 0.25; initial_sparsity is 0.5, to which the reference prunes at once' err || fail "no warning of the target: $(cat err)"
pruned w:f32:2,4:0,-8,0,0,0,0,7,0 --pruning_config config.json --target_sparsity 0.75
run prune in.safetensors -o out.safetensors --overwrite_output_dir --pruning_fn uniform_magnitude --block_size 4 --target_sparsity 0.6
wants_status 0
grep -q 'warning: blocks of 4 entries cannot have a share of 0.6 zeros, they get 0.5' err || fail "no warning of blocks: $(cat err)"
run prune in.safetensors -o out.safetensors --overwrite_output_dir --pruning_fn block_structured_magnitude --block_dims 2 --target_sparsity 0.6
wants_status 0
grep -q 'warning: blocks of 2 inputs and 2 outputs of dense cannot have a share of 0.6 zeros, they get 0$' err || fail "no warning of blocks: $(cat err)"

# ---- models ----

bert='<bert hidden_size="32" intermediate_size="48" num_attention_heads="4" num_hidden_layers="2" vocab_size="50"/>'
echo "<pofac xmlns=\"urn:pofac:1\"><model name=\"m\" head=\"pretraining\">$bert</model></pofac>" >model.xml
run prune model.xml -o sparse --target_sparsity 0.9 --not_to_prune cls
wants_status 0
cp out report.json
for file in config.json model.safetensors; do [ -f "sparse/$file" ] || fail "sparse has no $file"; done
ok "$build_dir/json_has" report.json sparsity:number layers.0.name=bert.encoder.layer.0.attention.self.query layers.12.name=bert.pooler.dense
grep -q 'cls\|embeddings' report.json && fail "report.json: layers that are not to be pruned"
awk -F'"sparsity": ' '{ for (i = 2; i <= NF; i++) if ($i + 0 < 0.89 || $i + 0 > 0.9) exit 1 }' report.json || fail "report.json: $(cat report.json)"
run compile sparse --emit=ir -o sparse.pir
wants_status 0
[ "$(grep -c '= pattern ' sparse.pir)" = 13 ] || fail "sparse.pir has $(grep -c '= pattern ' sparse.pir) patterns, wanted 13"
run prune model.xml -o all --target_sparsity 0.5 --dtype bf16 # the decoder, which is the table of embeddings, stays
wants_status 0
grep -q 'cls.predictions.transform.dense' out || fail "no cls.predictions.transform.dense: $(cat out)"
grep -q 'decoder\|embeddings' out && fail "a tied decoder is pruned"
run prune model.xml -o sparse
wants_status 2
grep -q 'sparse: error: found something there, wanted a new one, or --overwrite_output_dir' err || fail "$(cat err)"

# ---- refused ----

ok "$build_dir/make_tensors" other.safetensors w:f32:4,2:1,0,0,1,1,0,1,0 dense.weight:f32:2,2:1,0,0,1
ok "$build_dir/make_tensors" missing.safetensors w:f32:2,4:1,0,0,1,1,0,1,0
for arguments in "in.safetensors" "in.safetensors -o out.safetensors" "in.safetensors -o x --pruning_fn magnitude" "in.safetensors -o x --target_sparsity 2" \
    "in.safetensors -o x --pruning_fn movement" "in.safetensors -o x --pruning_fn second_order" "in.safetensors -o x --pruning_fn custom_mask" \
    "in.safetensors -o x --pruning_fn custom_mask --pruning_masks none.safetensors" "in.safetensors -o x --pruning_fn custom_mask --pruning_masks other.safetensors" \
    "in.safetensors -o x --pruning_fn custom_mask --pruning_masks missing.safetensors" \
    "in.safetensors -o x --pruning_fn uniform_magnitude --block_size 3" "in.safetensors -o x --block_dims 1,2,3" "in.safetensors -o x --not_to_prune (" \
    "in.safetensors -o x --not_to_prune ." "in.safetensors -o x --pruning_config none.json" "none -o x" "in.safetensors -o none/x.safetensors"; do
    # shellcheck disable=SC2086
    shows prune $arguments
    [ -e x ] && fail "pofac prune $arguments: x is there"
done
wants_golden transcript prune.transcript
cd "$here" || exit 1
finish
