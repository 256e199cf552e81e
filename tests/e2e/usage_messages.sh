#!/bin/bash
# Help texts, and what is said about wrong command lines: exactly as in golden/usage_messages.txt, exit status 2, nothing on stdout.
. "$(dirname "$0")/harness.bash"
cp "$source_dir/examples/tiny.xml" model.xml

# ---- help: on stdout, complete, and nothing else ----

commands=$("$POFAC" list commands | cut -d' ' -f1)
[ "$(wc -w <<<"$commands")" -ge 8 ] || fail "pofac list commands: found $commands"
for command in $commands; do
    run "$command" --help
    wants_status 0
    wants_quiet err
    [ "$(head -n 1 out | cut -d' ' -f1-3)" = "usage: pofac $command" ] || fail "$last: first line: $(head -n 1 out)"
    grep -q '^  --help, -h  *[a-z]' out || fail "$last: --help is not among the options"
    awk 'length > 200' out | grep . && fail "$last: lines of more than 200 columns"
    cp out help
    run "$command" nosuch -h
    wants_status 0
    ok cmp out help
done
for word in --help -h help; do
    run "$word"
    wants_status 0
    wants_quiet err
    for command in $commands; do grep -q "^  $command  *[a-z]" out || fail "$last: $command is missing"; done
done
cp out overview
run
wants_status 2
wants_quiet out
ok cmp err overview

run version
wants_status 0
wants_quiet err
cp out version
for name in 'pofac [0-9]' 'LLVM 19\.' 'OpenBLAS ' 'instruction set '; do grep -q "^$name" out || fail "$last: no line $name"; done
run --version
ok cmp out version

# ---- both - and _ in names, = or a space before the value, options anywhere, -- before arguments ----

run compile --graph-only --print_after=canonicalize --stop-after canonicalize model.xml
wants_status 0
cp out spelling
run compile model.xml --graph_only --print-after canonicalize --stop_after=canonicalize
wants_status 0
ok cmp out spelling
run compile --graph_only=true --print_after canonicalize --stop_after canonicalize -- model.xml
wants_status 0
ok cmp out spelling

# ---- wrong command lines ----

shows predcit
shows qqqqqqqq
shows -v
shows list opz
shows list nonsense
shows compile
shows compile a b
shows version now
shows predict --batchsize 3 model.xml
shows predict --batch-sise=3 model.xml
shows predict --qqqqqqqqqq model.xml
shows predict -x model.xml
shows predict model.xml --threads
shows predict model.xml -o
shows predict model.xml --threads=many
shows predict model.xml --threads=-1
shows predict model.xml --threads=4097
shows predict model.xml --threads=1.5
shows predict model.xml --batch_size=99999999999999999999
shows predict model.xml --batch_size=
shows predict model.xml --interpreter=maybe
shows predict model.xml --head=classification
shows compile model.xml --emit=exe
shows compile model.xml --output=-
shows compile model.xml --isa=avx9
shows compile model.xml -o m.pofac --target=avx2 --tune=again
shows compile model.xml --target=neon
shows compile model.xml --target=neon --emit=ir
shows compile model.xml --target=neon --isa=avx2 --emit=asm
shows compile model.xml --target=avx-2 --emit=asm
shows compile model.xml --target=aarch64-linux-gnu:neoverse-z1 --emit=asm
shows compile model.xml --target=x86_64-linux-gnu:avx,fma --emit=asm
shows predict model.xml --target=neon
shows compile model.xml --pipeline=infre
shows compile model.xml --pipeline='layout{tile=7}'
shows compile model.xml --graph_only --stop_after=fuze
shows compile model.xml --graph_only --print_before=fuze
shows predict model.xml --tensors=x.safetensors
shows predict model.xml text.txt --tensors=x.safetensors --output=y.safetensors
shows bench model.xml --sequence=513
shows tokenize
[ "$(grep -c '^  exit 2$' transcript)" = "$(grep -c '^\$ ' transcript)" ] || fail "a wrong command line has another exit status than 2"
grep -q '^  out: ' transcript && fail "a message went to stdout"
wants_golden transcript usage_messages.txt
finish
