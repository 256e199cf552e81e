#!/bin/bash
# Output that cannot be written: one message with the reason, exit status 1, and no half-written files. Results go to stdout alone,
# messages to stderr alone.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
printf 'good\nbad\n' >texts.txt
ok "$build_dir/make_tensors" in.safetensors input_ids:i64:2,3:2,5,3

commands=("--help" "list ops" "version" "list xml" "compile demo" "compile demo --emit ir" "compile demo --emit asm"
    "compile demo --graph_only --print_after all" "inspect demo" "inspect demo --json" "bench demo --sequence 8" "bench demo --sequence 8 --json"
    "predict demo texts.txt" "tokenize --vocab demo/vocab.txt texts.txt")

# refused MESSAGE: the last command line failed with that message as the last line, and wrote nothing else.
refused() {
    [ "$rc" = 1 ] || fail "$last: exit status $rc, wanted 1"
    [ "$(tail -n 1 err)" = "$1" ] || fail "$last: found $(tail -n 1 err), wanted $1"
    [ "$(grep -c error: err)" = 1 ] || fail "$last: more than one message: $(cat err)"
}
for line in "${commands[@]}"; do
    read -ra words <<<"$line"
    last="pofac $line >/dev/full"
    "$POFAC" "${words[@]}" >/dev/full 2>err
    rc=$?
    refused "error: cannot write to standard output: No space left on device"
    last="pofac $line >&-"
    "$POFAC" "${words[@]}" >&- 2>err
    rc=$?
    refused "error: cannot write to standard output: Bad file descriptor"
    # A reader that leaves ends the program by SIGPIPE, without a message.
    "$POFAC" "${words[@]}" 2>err | true
    rc=${PIPESTATUS[0]}
    [ "$rc" = 141 ] || [ "$rc" = 0 ] || fail "pofac $line | true: exit status $rc, wanted 141 or 0: $(cat err)"
    last="pofac $line 2>&-"
    "$POFAC" "${words[@]}" >out 2>&-
    rc=$?
    wants_status 0
done

outputs=("compile demo --emit obj" "compile demo --emit ir" "predict demo texts.txt" "predict demo --tensors in.safetensors"
    "opt text.pir")
"$POFAC" compile demo --emit ir >text.pir
mkdir directory
for line in "${outputs[@]}"; do
    read -ra words <<<"$line"
    run "${words[@]}" -o /dev/full
    refused "/dev/full: error: cannot be written: No space left on device"
    wants_quiet out
    run "${words[@]}" -o nosuch/file
    refused "nosuch/file: error: cannot be written: No such file or directory"
    run "${words[@]}" -o directory
    refused "directory: error: cannot be written: Is a directory"
    run "${words[@]}" -o result
    wants_status 0
    wants_quiet out
    wants_quiet err
    [ -s result ] || fail "$last: result is empty"
    # The new file replaces the old one at once, and standard output is not needed for that.
    last="pofac $line -o result >&-"
    cp result first
    "$POFAC" "${words[@]}" -o result >&- 2>err
    rc=$?
    wants_status 0
    ok cmp first result
done
[ -z "$(ls directory)" ] || fail "something was written into directory"
ls -- *.tmp.* 2>/dev/null && fail "temporary files are left"

# An input that turns out to be wrong leaves the old result as it is.
echo old >result
printf '{"text": "good"}\n{"text": 1}\n' >texts.jsonl
run predict demo texts.jsonl -o result
wants_status 3
[ "$(cat result)" = old ] || fail "$last: the old result is gone"
finish
