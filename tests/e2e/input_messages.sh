#!/bin/bash
# What is said about input files that are missing, cut, malformed or do not fit: exactly as in golden/input_messages.txt, exit status 3,
# nothing on stdout but answers to the records before the wrong one.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
make() { ok "$build_dir/make_tensors" "$@"; }

# changed NAME: a copy of the demo model to break something in.
changed() { cp -r demo "$1"; }

# ---- models ----

shows predict nosuch
mkdir empty
shows predict empty
shows compile demo/vocab.txt
shows inspect demo/config.json

changed no-weights && rm no-weights/model.safetensors
shows inspect no-weights
changed cut-header && head -c 1000 demo/model.safetensors >cut-header/model.safetensors
shows inspect cut-header
changed cut-length && head -c 5 demo/model.safetensors >cut-length/model.safetensors
shows inspect cut-length
changed cut-data && head -c 300000 demo/model.safetensors >cut-data/model.safetensors
shows bench cut-data
changed no-bytes && : >no-bytes/model.safetensors
shows bench no-bytes
changed not-weights && head -c 100000 /dev/zero | tr '\0' x >not-weights/model.safetensors
shows compile not-weights --emit ir
changed weights-directory && rm weights-directory/model.safetensors && mkdir weights-directory/model.safetensors
shows compile weights-directory --emit ir
changed wider && sed -i 's/"hidden_size": 64/"hidden_size": 128/' wider/config.json
shows predict wider demo/vocab.txt
changed deeper && sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 3/' deeper/config.json
shows predict deeper demo/vocab.txt

changed config-syntax && sed -i 's/"hidden_size": 64/"hidden_size" 64/' config-syntax/config.json
shows predict config-syntax
changed config-type && sed -i 's/"hidden_size": 64/"hidden_size": "64"/' config-type/config.json
shows predict config-type
changed config-range && sed -i 's/"hidden_size": 64/"hidden_size": 63/; s/"num_hidden_layers": 2/"num_hidden_layers": 0/' config-range/config.json
shows predict config-range
changed config-other && sed -i 's/"model_type": "bert"/"model_type": "gpt2"/' config-other/config.json
shows predict config-other

changed no-vocabulary && rm no-vocabulary/vocab.txt
shows predict no-vocabulary
shows predict demo --vocab nosuch.txt
shows predict demo --vocab demo
shows tokenize --vocab nosuch.txt
printf 'a\nb\n' >short.txt
shows tokenize --vocab short.txt
{ cat demo/vocab.txt && echo one-too-many; } >long.txt
shows predict demo --vocab long.txt

# ---- descriptions ----

description() { printf '%s\n' "$@" >model.xml; }
description '<pofac xmlns="urn:pofac:1">' '  <model name="m">' '    <bert hidden_size="128"/>' '  </model'
shows compile model.xml
description '<pofac xmlns="urn:pofac:1">' '  <model name="m">' '    <bert hidden_sise="128"/>' '  </model>' '</pofac>'
shows compile model.xml
description '<pofac xmlns="urn:pofac:1">' '  <model name="m">' '    <bert hidden_size="many" num_hidden_layers="0"/>' '  </model>' '</pofac>'
shows compile model.xml
description '<pofac xmlns="urn:pofac:1">' '  <model name="m" from="demo"><bert/></model>' '  <bert/>' '</pofac>'
shows compile model.xml
description '<pofac><model from="demo"/></pofac>'
shows compile model.xml
description '<pofac xmlns="urn:pofac:1"><model from="nosuch"/></pofac>'
shows compile model.xml
description '<pofac xmlns="urn:pofac:1"><model><bert/><checkpoint path="nosuch.safetensors"/></model></pofac>'
shows compile model.xml
description '<pofac xmlns="urn:pofac:1"><model><bert/><tokenizer vocab="nosuch.txt"/></model></pofac>'
shows predict model.xml
description '<!DOCTYPE pofac [<!ENTITY x SYSTEM "/etc/passwd">]>' '<pofac xmlns="urn:pofac:1"><model name="&x;"><bert/></model></pofac>'
shows compile model.xml
: >model.xml
shows compile model.xml
description '<pofac xmlns="urn:pofac:1"><model><bert/></model></pofac>'
shows predict model.xml

# ---- IR ----

ir() { printf '%s\n' "$@" >text.pir; }
shows opt nosuch.pir
shows opt demo
ir 'graph @g (T <= 4) {' '  %1 = input {name = "x"} : f32[T,8]' '  %2 = geluu %1 : f32[T,8]' '  return "y" = %2' '}'
shows opt text.pir
ir 'graph @g (T <= 4) {' '  %1 = input {name = "x"} : f32[T,8]' '  %2 = gelu %1 : f32[T,9]' '  return "y" = %2' '}'
shows opt text.pir
ir 'graph @g (T <= 4) {' '  %1 = input {name = "x"} : f32[T,8]' '  %2 = gelu %3 : f32[T,8]'
shows opt text.pir
INPUT='graph @g {' shows opt -

# ---- texts ----

shows predict demo nosuch.txt
shows predict demo empty
INPUT=$'good\nbad\ngo\0od' # the shell drops the zero byte
printf 'good\nbad\ngo\0od\ngood\n' >texts.txt
shows predict demo texts.txt
printf '{"text": "good"}\n\n{"text": "bad"\n' >texts.jsonl
shows predict demo texts.jsonl
printf '{"sentence": "bad"}\n{"text": 7}\n' >texts.jsonl
shows predict demo texts.jsonl --batch_size 1
printf '{"label": "good"}\n' >texts.jsonl
shows predict demo texts.jsonl
printf '["good"]\n' >texts.jsonl
shows predict demo texts.jsonl
INPUT=good shows predict demo --head question-answering
INPUT=$'good good good good good\tbad' shows predict demo --head question-answering --format tsv --max_seq_length 8
INPUT=

# ---- tensors ----

shows predict demo --tensors nosuch.safetensors -o out.safetensors
shows predict demo --tensors demo/vocab.txt -o out.safetensors
wrong() {
    make in.safetensors "$@"
    shows predict demo --tensors in.safetensors -o out.safetensors
    [ -e out.safetensors ] && fail "$last: left out.safetensors behind"
}
wrong labels:i64:2:1
wrong input_ids:i64:6:2,5,3
wrong input_ids:i64:0,3:
wrong input_ids:f32:2,3:2,5,3
wrong input_ids:i64:2,33:2,5,3
wrong input_ids:i64:2,3:2,5,386
wrong input_ids:i64:2,3:2,-1,3
wrong input_ids:i64:2,3:2,5,3 attention_mask:i64:2,4:1
wrong input_ids:i64:2,3:2,5,3 token_type_ids:i64:2,3:2
wrong input_ids:i64:2,3:2,5,3 labels:i64:3:1
wrong input_ids:i64:2,3:2,5,3 labels:i64:2:2
wrong embedding_output:f32:2,3,60:1
make in.safetensors input_ids:i64:2,3:2,5,3
truncate -s -8 in.safetensors
shows predict demo --tensors in.safetensors -o out.safetensors

[ "$(grep -c '^  exit 3$' transcript)" = "$(grep -c '^\$ ' transcript)" ] || fail "a wrong input has another exit status than 3"
wants_golden transcript input_messages.txt

if [ "$(id -u)" != 0 ]; then # root may read everything
    changed unreadable && chmod 0 unreadable/model.safetensors
    run inspect unreadable
    wants_status 3
    grep -q 'unreadable/model.safetensors: error: cannot be opened: Permission denied' err || fail "$last: $(cat err)"
fi
finish
