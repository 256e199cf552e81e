#!/bin/bash
# The forms that PyTorch's checkpoints come in: each directory predicts the same bytes as the one with safetensors, by the interpreter
# and by compiled code; f16 weights stay near; hostile files end in one message.
. "$(dirname "$0")/harness.bash"
need_shared
fixtures=$POFAC_SHARED/fixtures
model=$fixtures/forward/bert-pretraining

# predict NAME DIRECTORY OPTION...: into NAME.safetensors.
predict() {
    local name=$1.safetensors directory=$2
    shift 2
    run predict "$directory" --tensors "$model/inputs.safetensors" -o "$name" --last_hidden_state "$@"
    wants_status 0
    wants_quiet out
    wants_quiet err
}

# directory NAME FILE: with FILE as pytorch_model.bin.
directory() {
    mkdir "$1" && cp "$fixtures/checkpoints/config.json" "$1/config.json" && cp "$2" "$1/pytorch_model.bin"
}

predict wanted "$model"
predict wanted-interpreter "$model" --interpreter
for form in zip legacy-gamma-beta; do
    directory $form "$fixtures/checkpoints/$form-pytorch_model.bin"
    predict $form-out $form
    ok cmp $form-out.safetensors wanted.safetensors
    predict $form-interpreter $form --interpreter
    ok cmp $form-interpreter.safetensors wanted-interpreter.safetensors
done
directory f16 "$fixtures/checkpoints/zip-f16-pytorch_model.bin"
predict f16-out f16
ok "$build_dir/compare_tensors" f16-out.safetensors wanted.safetensors --tolerance=5e-3 --mask="$model/inputs.safetensors"
predict f16-interpreter f16 --interpreter
ok "$build_dir/compare_tensors" f16-interpreter.safetensors f16-out.safetensors --tolerance=1e-5 --mask="$model/inputs.safetensors"

# safetensors come first: the file beside them is not even opened.
directory both "$fixtures/checkpoints/config.json"
cp "$model/model.safetensors" both/
predict both-out both
ok cmp both-out.safetensors wanted.safetensors

# A file in several parts.
mkdir sharded && cp zip/config.json sharded/ && cp zip/pytorch_model.bin sharded/part.bin
"$POFAC" inspect zip --json >parameters.json 2>err || fail "inspect: $(cat err)"
{
    echo '{"weight_map": {'
    sed 's/, "total": .*//' parameters.json | grep -o '"name": *"[^"]*"' | sed 's/"name": *\("[^"]*"\)/\1: "part.bin",/'
    echo '"cls.predictions.decoder.weight": "part.bin"}}'
} >sharded/pytorch_model.bin.index.json
predict sharded-out sharded
ok cmp sharded-out.safetensors wanted.safetensors

# refused FILE MESSAGE: one message, and nothing that the file says is done.
refused() {
    rm -rf refused && directory refused "$1"
    run predict refused --tensors "$model/inputs.safetensors" -o refused.safetensors
    wants_status 3
    wants_quiet out
    echo "refused/pytorch_model.bin: error: $2" | diff - err >difference || fail "$1: wanted '$2': $(cat difference)"
    [ ! -e refused.safetensors ] || fail "$1: there is an output"
}

printf '\x80\x02cos\nsystem\nX\x0f\0\0\0touch was-called\x85R.' >evil
refused evil 'magic number: byte 2: found "os.system", wanted what tensors are made of: a checkpoint runs no code'
[ ! -e was-called ] || fail "code of a checkpoint was run"
head -c 300000 zip/pytorch_model.bin >cut
refused cut "zip archive's directory: not found at the end of the 300000 bytes: the file is cut short"
head -c 300000 legacy-gamma-beta/pytorch_model.bin >cut
refused cut 'storage "154004832": found 6392 bytes, wanted 4096 elements of f32: the file is cut short'
: >empty
refused empty 'found no file of torch.save, wanted a zip archive or a stream of pickles'
rm -rf refused && mkdir -p refused/pytorch_model.bin && cp zip/config.json refused/
run predict refused --tensors "$model/inputs.safetensors" -o refused.safetensors
wants_status 3
echo 'refused/pytorch_model.bin: error: found a directory, wanted a file' | diff - err || fail "a directory in place of a file"
finish
