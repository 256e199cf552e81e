#!/bin/bash
# pofac export: directories that load again and answer alike, also of a compiled model; files of ONNX; what is refused.
. "$(dirname "$0")/harness.bash"

ok "$build_dir/demo_model" demo
printf 'a lovely film\nan awful one\n' >texts

# answers FILE MODEL: predictions for the texts.
answers() {
    "$POFAC" predict "$2" texts --tune off >"$1" 2>err || fail "predict $2: $(cat err)"
    [ -s "$1" ] || fail "predict $2: no answers"
}
answers original demo

# ---- Hugging Face's directory ----

run export demo -o copy
wants_status 0
wants_quiet err
ok "$build_dir/json_has" out format=safetensors output=copy bytes="$(stat -c %s copy/model.safetensors)" external_bytes=0 quantized_weights=0
answers copied copy
ok cmp original copied
ok "$build_dir/compare_tensors" demo/model.safetensors copy/model.safetensors
run export demo -o copy --dtype f16 --overwrite
wants_status 0
"$POFAC" inspect copy | grep -q '^bert.pooler.dense.weight .* f16 ' || fail "the copy is not f16"
run compile demo -o demo.pofac --tune off
wants_status 0
run export demo.pofac -o back
wants_status 0
answers back_again back
ok cmp original back_again
ok "$build_dir/compare_tensors" demo/model.safetensors back/model.safetensors

# A quantized model's ranges go with it, out of a directory as out of a compiled model.
run quantize demo --method dynamic -o q
wants_status 0
answers integers q
for model in q q.pofac; do
    [ "$model" = q ] || ok "$POFAC" compile q -o q.pofac --tune off
    run export "$model" -o "from_$model"
    wants_status 0
    ok "$build_dir/json_has" out quantized_weights=14
    ok "$build_dir/compare_tensors" q/quantization.safetensors "from_$model/quantization.safetensors"
    answers again "from_$model"
    ok cmp integers again
done
run export q -o from_q --quantization off --overwrite
wants_status 0
[ ! -e from_q/quantization.safetensors ] || fail "ranges are left where they were not wanted"

# ---- ONNX ----

run export demo --format onnx -o demo.onnx
wants_status 0
wants_quiet err
ok "$build_dir/json_has" out format=onnx output=demo.onnx bytes="$(stat -c %s demo.onnx)" external_bytes=0 quantized_weights=0
run export demo --format onnx -o outside.onnx --external_data
wants_status 0
ok "$build_dir/json_has" out external_bytes="$(stat -c %s outside.onnx.data)"
[ "$(stat -c %s outside.onnx)" -lt "$(stat -c %s demo.onnx)" ] || fail "outside.onnx has its tensors inside"
grep -q 'encoder.layer.1.output.dense/Gemm' demo.onnx || fail "demo.onnx names no layer"
run export demo --format onnx -o outside.onnx --overwrite
wants_status 0
ok "$build_dir/json_has" out external_bytes=0 # what lies there is of before
run export demo.pofac --format onnx -o compiled.onnx
wants_status 0
ok cmp demo.onnx compiled.onnx

# A vocabulary that is given stands for the one in the file.
sed '$s/.*/another/' demo/vocab.txt >other.txt
run export demo.pofac --vocab other.txt -o renamed
wants_status 0
ok cmp other.txt renamed/vocab.txt
[ -f renamed/tokenizer_config.json ] || fail "renamed has no settings of its tokenizer"

# ---- what is refused ----

refused() {
    local said=$1 status=$2
    shift 2
    run export "$@"
    wants_status "$status"
    [ "$(cat err)" = "$said" ] || fail "$last: said $(cat err), wanted $said"
}
refused "error: --output is missing: where the model goes" 2 demo
refused "demo.onnx: error: found something there, wanted a new one, or --overwrite" 2 demo --format onnx -o demo.onnx
refused "copy: error: found something there, wanted a new one, or --overwrite" 2 demo -o copy
echo of another model >apart.onnx.data
refused "apart.onnx.data: error: found something there, wanted a new one, or --overwrite" 2 demo --format onnx --external_data -o apart.onnx
[ "$(cat apart.onnx.data)" = "of another model" ] || fail "apart.onnx.data was replaced"
refused "error: --dtype is given with --format onnx, which is in f32, wanted one of them" 2 demo --format onnx --dtype f16 -o x.onnx
refused "error: --external_data is given with --format safetensors, wanted --format onnx" 2 demo --external_data -o x
refused "none/x.onnx: error: cannot be written: No such file or directory" 1 demo --format onnx -o none/x.onnx
refused "none: error: no such file or directory, wanted a Hugging Face directory, an XML description or a compiled model" 3 none -o x
[ -e x ] || [ -e x.onnx ] && fail "something was written that was refused"
finish
