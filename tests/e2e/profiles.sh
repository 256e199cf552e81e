#!/bin/bash
# Profiles of predict and bench as text, JSON and trace; the doctor's report.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
ok "$build_dir/make_tensors" in.safetensors input_ids:i64:2,3:2,5,3
printf 'A good film.\nbad\n' >texts.txt
has() { ok "$build_dir/json_has" "$@"; }
run predict demo texts.txt
cp out plain

run predict demo texts.txt --profile
wants_status 0
ok cmp out plain
grep -q '^profile of 1 run of .* ms on average; .* threads\{0,1\}$' err || fail "$last: $(head -n 1 err)"
grep -q '^ *[0-9.]* *[0-9.]*% *[0-9.]* *[0-9.]* *[0-9]*  sparse_linear gelu$' err || fail "$last: no kernel sparse_linear gelu: $(cat err)"
grep -q '  encoder.layer.0.attention.self  *attention heads=4 D=16$' err || fail "$last: no step of attention: $(cat err)"
run predict demo texts.txt --profile=json --profile_output profile.json
wants_status 0
wants_quiet err
ok cmp out plain
has profile.json runs=1 threads:positive target:string ms:positive kernels.0.kernel:string kernels.0.variant:string kernels.0.steps:positive \
    kernels.0.ms:positive kernels.0.share:positive kernels.0.gflops:number kernels.0.gbytes:number steps.0.scope:string steps.30.kernel:string
run predict demo texts.txt --profile=trace --profile_output trace.json
wants_status 0
has trace.json traceEvents.1.name=thread_name traceEvents.1.ph=M traceEvents.9.name:string traceEvents.9.ph=X traceEvents.9.ts:positive \
    traceEvents.9.dur:number otherData.runs=1
grep -q '^{"name": "run", "ph": "X", "pid": 1, "tid": 1, "ts": [0-9.]*, "dur": [0-9.]*}' trace.json || fail "$last: no event for the run"
grep -q '"scope": "encoder.layer.0.attention.self"' trace.json || fail "$last: no event with its scope"
run predict demo --tensors in.safetensors -o out.safetensors --batch_size 1 --profile=json
wants_status 0
has err runs=2
run bench demo --sequence 8 --iterations 4 --profile=json --profile_output profile.json --memory
wants_status 0
has profile.json runs=4
grep -q '^note: weights .*; batch of 1 x 8 tokens: ' err || fail "$last: $(cat err)"
run bench demo --sequence 8 --iterations 4 --profile --json
has out kernels.0.gbytes:number scratch_bytes:positive
grep -q '^profile of 4 runs of ' err || fail "$last: $(cat err)"
run bench demo --sequence 8
grep -q '^ *ms  share   GFLOP/s     GB/s  steps  kernel$' out || fail "$last: $(cat out)"
run bench demo --sequence 8 --batch 1000 --max_memory 1M
wants_status 2
grep -q '^error: --batch is 1000, --max_memory leaves room for [0-9]* sequences of 8 tokens$' err || fail "$last: $(cat err)"

# refused MESSAGE ARGUMENT...
refused() {
    local message=$1
    shift
    run "$@"
    wants_status 2
    [ "$(cat err)" = "error: $message" ] || fail "$last: found $(cat err), wanted $message"
}
refused '--profile_output needs --profile, which says what to write' predict demo texts.txt --profile_output x
refused '--profile=trace needs --profile_output FILE' bench demo --profile=trace
refused '--profile is "xml", wanted text|json|trace' bench demo --profile=xml
refused 'the interpreter has no kernels that a profile could show' predict demo texts.txt --interpreter --profile
run predict demo texts.txt --profile --profile_output nosuch/file
wants_status 1
ok cmp out plain

# ---- doctor ----

run doctor --cache_dir objects
wants_status 0
wants_quiet err
for topic in cpu threads cache memory library objects; do grep -qx $topic out || fail "$last: no $topic: $(cat out)"; done
tail -n 1 out | grep -qE '^(no warnings|[0-9]+ warnings?)$' || fail "$last: $(tail -n 1 out)"
run doctor --json --threads 1
wants_status 0
has out version:string warnings:number rows.0.topic=cpu rows.0.name=model rows.0.found:string rows.0.level:string rows.0.meaning:string
grep -q '"topic": "threads", "name": "used", "found": "1", "number": 1, "level": "fine", "meaning": "by --threads"' out || fail "$last: $(cat out)"
run doctor --isa x86-65
wants_status 2
run doctor x
wants_status 2
finish
