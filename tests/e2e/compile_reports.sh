#!/bin/bash
# What is reported about models and code: inspect and bench as text and as JSON, the summary of compile, the object cache, LLVM IR,
# assembly and object code, every instruction set that the machine has, and the tables of `pofac list`.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
has() { ok "$build_dir/json_has" "$@"; }
printf 'a very good film\nnot bad\nboring\n' >texts.txt
cache="$work_dir/cache"

# ---- the object cache: cold, warm, damaged, refused, shared by processes ----

kernels() { sed -n 's/^kernels  *\([0-9]*\) distinct, \([0-9]*\) from the object cache$/\1 \2/p' out; }
run compile demo --cache_dir "$cache"
wants_status 0
wants_quiet err
for line in 'target    .*' 'steps     [0-9]*, 0 of them by reference evaluators' 'kernels   [0-9]* distinct, 0 from the object cache' \
    'code      [0-9]* bytes' 'slots     [0-9]*' 'compiled  in [0-9]*\.[0-9] ms'; do
    grep -qx "$line" out || fail "$last: no line $line: $(cat out)"
done
read -r all _ < <(kernels)
table=$(sed -n '/^   bytes  compile ms  kernel$/,$p' out)
[ "$(grep -cE '^ *[0-9]+ +[0-9]+\.[0-9]{2}  [a-z_]+' <<<"$table")" = "$all" ] || fail "$last: no table of $all kernels: $table"
[ "$(awk 'NR > 1 { n += $1 } END { print n }' <<<"$table")" = "$(sed -n 's/^code  *\([0-9]*\) bytes$/\1/p' out)" ] ||
    fail "$last: the kernels' bytes are not those of the code: $table"
run compile demo --cache_dir "$cache"
[ "$(kernels)" = "$all $all" ] || fail "$last: $(kernels) kernels, wanted all $all from the cache"
run predict demo texts.txt --cache_dir "$cache"
cp out answers
run compile demo --cache_dir "$cache" --no_cache
[ "$(kernels)" = "$all 0" ] || fail "$last: $(kernels) kernels, wanted none from the cache"
objects=("$cache"/*)
[ ${#objects[@]} -ge "$all" ] || fail "the cache has ${#objects[@]} objects, wanted $all"
for object in "${objects[@]}"; do head -c 100 "$object" >cut && cat cut >"$object"; done
run predict demo texts.txt --cache_dir "$cache"
wants_status 0
ok cmp out answers
for object in "${objects[@]}"; do printf garbage >"$object"; done
run predict demo texts.txt --cache_dir "$cache"
wants_status 0
ok cmp out answers
rm -rf "$cache"
for i in 1 2 3 4; do "$POFAC" predict demo texts.txt --cache_dir "$cache" >out$i 2>err$i & done
wait
for i in 1 2 3 4; do ok cmp out$i answers && ok test ! -s err$i; done
ls "$cache" | grep -q tmp && fail "temporary files in the cache: $(ls "$cache")"
mkdir open && chmod 777 open
run compile demo --cache_dir open
wants_status 0
[ "$(cat err)" = "open: warning: the object cache is not used: others may write to it" ] || fail "$last: $(cat err)"
[ -z "$(ls open)" ] || fail "$last: wrote into open"
run compile demo --cache_dir texts.txt
wants_status 0
[ "$(cat err)" = "texts.txt: warning: the object cache is not used: it is not a directory" ] || fail "$last: $(cat err)"

# ---- code ----

run compile demo --emit llvm
wants_status 0
grep -q '^define void @sparse_linear' out || fail "$last: no function of a sparse linear layer"
run compile demo --emit asm
wants_status 0
grep -q '^sparse_linear.*:$' out || fail "$last: no label of a sparse linear layer"
run compile demo --emit obj -o demo.o
wants_status 0
[ "$(head -c 4 demo.o)" = $'\x7fELF' ] || fail "$last: no ELF object"
if command -v nm >nm.log; then
    nm demo.o | grep -q ' T sparse_linear' || fail "$last: no function of a sparse linear layer"
    [ -z "$(nm -u demo.o)" ] || fail "$last: calls $(nm -u demo.o)"
fi
# The same twice.
for kind in llvm asm obj; do
    run compile demo --emit $kind -o once
    run compile demo --emit $kind -o twice --cache_dir "$cache"
    ok cmp once twice
done

# ---- code for machines elsewhere: each object names its own architecture ----

while read -r target low high word; do
    run compile demo --emit obj --target "$target" -o elsewhere.o
    wants_status 0
    wants_quiet err
    [ "$(od -A n -t u1 -j 18 -N 2 elsewhere.o | tr -s ' ')" = " $low $high" ] || fail "$last: another machine's object"
    run compile demo --emit asm --target "$target"
    wants_status 0
    grep -q "$word" out || fail "$last: no $word"
done <<'END'
neon 183 0 fmla
aarch64-linux-gnu:neoverse-n1 183 0 fmla
riscv64-linux-gnu 243 0 fmadd.s
x86_64-linux-gnu:znver4 62 0 %zmm
END

# ---- instruction sets: those that the machine lacks are refused, all others answer alike ----

for isa in $("$POFAC" list targets | cut -d' ' -f1); do
    run predict demo texts.txt --isa "$isa"
    if [ $rc = 0 ]; then
        ok diff <(sed 's/, .*//' out) <(sed 's/, .*//' answers)
    else
        wants_status 2
        grep -q "^error: instruction set $isa " err || fail "$last: $(cat err)"
    fi
done

# ---- inspect ----

run inspect demo
wants_status 0
wants_quiet err
head -n 1 out | grep -qx 'bert, 2 layers, hidden 64, 4 heads, intermediate 128, vocabulary [0-9]*; head sequence-classification' ||
    fail "$last: $(head -n 1 out)"
grep -qE '^bert\.encoder\.layer\.1\.output\.dense\.weight +\[64,128\] +100\.00% f32 +32768 +[0-9.]+  stream k_block=[0-9]+ rows=[0-9]+ +sparse_linear W=' out ||
    fail "$last: $(grep layer.1.output.dense.weight out)"
[ "$(grep -c '^bert\.\|^classifier\.' out)" = 41 ] || fail "$last: $(grep -c '^bert\.\|^classifier\.' out) parameters, wanted 41"
run inspect demo --json
has out architecture=bert head=sequence-classification target:string parameters.40.name:string parameters.0.shape.1=64 parameters.0.dtype=f32 \
    parameters.0.bytes:positive parameters.0.sparsity:positive parameters.0.kernel:string total.parameters:positive total.zeros:positive \
    total.sparsity:positive total.bytes:positive total.linear_parameters:positive total.linear_sparsity:positive
bytes=$(($(stat -c %s demo/model.safetensors) - $(od -A n -t u8 -N 8 demo/model.safetensors) - 8))
has out total.bytes=$bytes total.parameters=$((bytes / 4)) size.all.file_bytes=$bytes size.all.dense_bytes=$bytes size.all.memory_bytes:positive \
    size.encoder.parameters:positive size.nominal_compression:positive size.file_compression=1.0 layers.0.name=embeddings layers.1.name=encoder.layer.0 \
    layers.4.name=classifier files.0.name=model.safetensors files.0.bytes="$(stat -c %s demo/model.safetensors)"

# ---- bench ----

run bench demo --batch 2 --sequence 16 --threads 1 --json
wants_status 0
wants_quiet err
has out batch=2 sequence=16 threads=1 target:string median_ms:positive p90_ms:positive p99_ms:positive sequences_per_second:positive \
    tokens_per_second:positive peak_memory_bytes:positive kernels.0.kernel:string kernels.0.variant:string kernels.0.scope:string \
    kernels.0.ms:number kernels.0.share:number code.bytes:positive code.compile_ms:number code.kernels.0.kernel:string \
    code.kernels.0.bytes:positive code.kernels.0.compile_ms:number
run bench demo --sequence 8 --threads 2 --iterations 3 --warmup 0
wants_status 0
grep -qE '^code of [0-9]+ kernels: [0-9]+ bytes, compiled in [0-9.]+ ms of processor time, [0-9]+ from the object cache$' out ||
    fail "$last: nothing about the code"
head -n 1 out | grep -q ', 2 threads, batch 1 x 8$' || fail "$last: $(head -n 1 out)"
OMP_NUM_THREADS=1 "$POFAC" bench demo --sequence 8 --json >out || fail "bench with OMP_NUM_THREADS=1: exit status $?"
has out threads=1

# ---- tables ----

run list
wants_status 0
tables=$(cut -d' ' -f1 out)
for table in ops passes pipelines dtypes packings kernels targets extensions architectures heads checkpoints names corpora wikitext_templates pair_modes xml commands; do
    grep -qx $table <<<"$tables" || fail "$last: no table $table"
done
for table in $tables; do
    run list "$table"
    wants_status 0
    wants_quiet err
    [ -s out ] || fail "$last: nothing"
done
finish
