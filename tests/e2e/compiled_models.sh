#!/bin/bash
# Compiled models: every command that takes a model takes one, with the same answers, without its original and without compiling, in 8 bits too; files that are
# not whole, not of this version or not of this machine are refused or made anew, with a message.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
printf '%s\n' "A wonderful film with a great cast." "The plot is boring." "It is not good." "Héros: großartig, (great)!" >sentences.txt
printf 'sentence\tlabel\n%s\t1\n%s\t0\n' "A wonderful film." "The plot is boring." >dev.tsv

# answers NAME ARGUMENT...: what predict says about the sentences
answers() {
    local name=$1
    shift
    run predict "$@" sentences.txt --threads 2
    wants_status 0
    cp out "$name"
    [ "$(wc -l <"$name")" = 4 ] || fail "$last: found $(wc -l <"$name") answers, wanted 4"
}

answers original demo
run compile demo -o demo.pofac --tune off
wants_status 0
wants_quiet err
grep -q "^demo.pofac: .* MB; .* parameters in rows, .* packed parts; code of .* kernels for 1 target, .* bytes$" out || fail "$last: said $(cat out)"

# ---- alone: no original, no cache ----

mv demo away
answers compiled demo.pofac --no_cache
wants_quiet err
ok cmp original compiled
answers interpreted demo.pofac --interpreter
paste <(tr -c '0-9.\n' ' ' <interpreted) <(tr -c '0-9.\n' ' ' <original) |
    awk '{ for (i = 1; i <= NF / 2; i++) if ($i - $(i + NF / 2) > 1e-4 || $(i + NF / 2) - $i > 1e-4) exit 1 }' ||
    fail "the interpreter's answers are others than those of compiled code"
run bench demo.pofac --batch 2 --sequence 16 --iterations 2 --json --no_cache
wants_status 0
wants_quiet err
grep -q '"cached": false' out && fail "$last: compiled kernels, wanted those of the file"
run eval demo.pofac --task sst2 --eval dev.tsv --no_cache
wants_status 0
grep -q '"accuracy": 1.0' out || fail "$last: said $(cat out)"
run inspect demo.pofac
wants_status 0
grep -qx "files: demo.pofac $(stat -c %s demo.pofac) bytes, of which code [0-9]*" out || fail "$last: said $(grep '^files' out)"
sed '/^layer /,$d' out >compiled_parameters # and not how large files are
run inspect away
sed '/^layer /,$d' out >inspected
ok cmp inspected compiled_parameters

# ---- other machines, other choices ----

mv away demo
run compile demo --isa avx2 --tune off
if [ $rc = 0 ]; then
    run compile demo -o least.pofac --target x86-64 --tune off
    wants_status 0
    answers least least.pofac --no_cache
    wants_quiet err
    answers least_isa demo --isa x86-64 --tune off
    ok cmp least least_isa
    run compile demo -o both.pofac --target avx2,x86-64 --tune off
    wants_status 0
    answers both_least both.pofac --isa x86-64 --no_cache
    wants_quiet err
    ok cmp both_least least_isa
    answers anew least.pofac --isa avx2 --no_cache
    grep -q "least.pofac: note: compiled for x86-64, which is not what runs here: its code is made anew for avx2$" err ||
        fail "$last: said $(cat err)"
    answers anew_isa demo --isa avx2 --tune off
    ok cmp anew anew_isa
    answers both_anew both.pofac --isa avx2 --no_cache
    wants_quiet err
    ok cmp both_anew anew_isa
    run compile demo -o other.pofac --target neon
    wants_status 2
    grep -qx "error: --target: found neon, wanted a target of this machine's architecture (x86_64-[^ ]*)" err || fail "$last: said $(cat err)"
    [ -e other.pofac ] && fail "a file was left after an error"
else
    wants_status 2
    echo "SKIP: this machine has no avx2, so targets beside its own were not tried"
fi

# ---- 8 bits ----

run quantize demo -o demo8 --method dynamic
wants_status 0
run compile demo8 -o demo8.pofac --tune off
wants_status 0
# each way to run it: options, and those of the model that it was made from
answers integers demo8 --tune off
answers simulated demo8 --tune off --quantization simulate
answers interpreted8 demo8 --interpreter
cmp -s integers original && fail "8 bits and floats give the same answers"
mv demo8 away8
answers compiled8 demo8.pofac --no_cache
wants_quiet err
ok cmp compiled8 integers
answers compiled8 demo8.pofac --quantization simulate
ok cmp compiled8 simulated
answers compiled8 demo8.pofac --interpreter
ok cmp compiled8 interpreted8
if [ "$(uname -m)" = x86_64 ]; then
    answers integers_least away8 --tune off --isa x86-64
    answers compiled8 demo8.pofac --isa x86-64
    ok cmp compiled8 integers_least
else
    echo "SKIP: x86-64 is not this machine's architecture, so 8 bits were not tried there"
fi

# ---- files that are not whole ----

: >transcript
shows compile demo.pofac -o again.pofac
[ -e again.pofac ] && fail "a compiled model was compiled again"
head -c 20000 demo.pofac >short.pofac
shows predict short.pofac sentences.txt
cp demo.pofac flipped.pofac
printf '\xff' | dd of=flipped.pofac bs=1 seek=100 conv=notrunc status=none
shows predict flipped.pofac sentences.txt
cp demo.pofac newer.pofac
printf '\x63' | dd of=newer.pofac bs=1 seek=8 conv=notrunc status=none
shows predict newer.pofac sentences.txt
printf 'POFACMDL' >stub.pofac
shows predict stub.pofac sentences.txt
echo "this is no model" >garbage.pofac
shows predict garbage.pofac sentences.txt
: >empty.pofac
shows predict empty.pofac sentences.txt
shows eval empty.pofac --task sst2 --eval dev.tsv
shows predict demo.pofac sentences.txt --head question-answering
shows predict demo.pofac sentences.txt --num_labels 5
shows compile demo -o none/there.pofac
shows compile demo -o other.pofac --target vax
[ -e other.pofac ] && fail "a file was left after an error"
ls | grep -q tmp && fail "a temporary file was left: $(ls)"
shows compile demo -o other.pofac --graph_only
wants_golden transcript compiled_models.txt
finish
