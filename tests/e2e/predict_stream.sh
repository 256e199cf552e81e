#!/bin/bash
# Prediction over streams: files of many windows, pipes that are slow, readers that leave, signals, bounds of tokens and memory, and
# memory that does not grow with the file.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
has() { ok "$build_dir/json_has" "$@"; }

# wait_for WHAT COMMAND...: until the command succeeds, for a minute at most.
wait_for() {
    local what=$1 i
    shift
    for i in $(seq 600); do
        "$@" && return 0
        sleep 0.1
    done
    fail "$what: waited a minute"
    return 1
}
watches_signals() { ls -l /proc/"$1"/fd 2>/dev/null | grep -q signalfd; }
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

# ---- batches of any size and form give the same bytes, in the records' order ----

awk 'BEGIN {
    split("a an the film movie plot good bad great awful boring wonderful not very is was", word, " ")
    for (i = 1; i <= 1500; i++) {
        line = ""
        for (k = (i * 7919) % 41; k > 0; k--) line = line word[(i * k * 31) % 16 + 1] " "
        print line
    }
}' >lines.txt
run predict demo lines.txt --batch_size 1
wants_status 0
wants_quiet err
cp out alone
[ "$(wc -l <alone)" = 1500 ] || fail "$last: found $(wc -l <alone) answers, wanted 1500"
for options in "" "--batch_size 7" "--batch_size 500" "--batch_size 500 --batch_tokens 1" "--batch_tokens 100" "--max_memory 600k" "--max_memory 1M"; do
    read -ra words <<<"$options"
    run predict demo lines.txt "${words[@]}"
    wants_status 0
    wants_quiet err
    ok cmp out alone
done
cat lines.txt | "$POFAC" predict demo >out || fail "a pipe: exit status $?"
ok cmp out alone

# ---- memory ----

run predict demo lines.txt --memory --max_memory 1M --batch_size 1000
wants_status 0
grep -q '^note: weights .* mapped, .* packed; batch of [0-9]* x 32 tokens: activations .*; in all .* beside mapped weights$' err || fail "$last: $(cat err)"
run predict demo lines.txt --max_memory 100k
wants_status 2
wants_quiet out
grep -q '^error: --max_memory is 102.4 kB, which does not hold one sequence: weights .*; batch of 1 x 32 tokens: ' err || fail "$last: $(cat err)"
run predict demo lines.txt --max_memory 1M --interpreter
wants_status 2
grep -qx 'error: the interpreter has no memory plan, which --memory and --max_memory need' err || fail "$last: $(cat err)"

# ---- a slow writer gets each answer as it asks; Ctrl-C while waiting ----

mkfifo questions
env --default-signal=INT "$POFAC" predict demo questions >answers 2>err & # jobs of scripts are started to ignore SIGINT
pid=$!
exec 3>questions
for i in 1 2 3; do
    sed -n "${i}p" lines.txt >&3
    wait_for "answer $i" has_lines answers $i
done
printf 'half a line' >&3
kill -INT $pid
wait $pid
rc=$?
last="predict, interrupted while it waits"
exec 3>&-
wants_status 130
ok cmp answers <(head -n 3 alone)
[ "$(cat err)" = "note: interrupted after 3 answers" ] || fail "$last: $(cat err)"

# ---- SIGTERM at work: whole lines on stdout, nothing at --output ----

for _ in $(seq 20); do cat lines.txt; done >many.txt
for output in "" "-o result"; do
    echo old >result
    last="predict $output, terminated"
    read -ra words <<<"$output"
    (cat questions && cat many.txt) | "$POFAC" predict demo --interpreter "${words[@]}" >answers 2>err &
    pid=$!
    exec 3>questions
    sed -n 1p lines.txt >&3
    if [ -z "$output" ]; then
        wait_for "the first answer" has_lines answers 1
    else
        wait_for "signals to be watched" watches_signals $pid
    fi
    exec 3>&-
    sleep 0.5
    kill -TERM $pid
    wait $pid
    rc=$?
    wants_status 143
    if [ -z "$output" ]; then
        [ -z "$(tail -c 1 answers | tr -d '\n')" ] || fail "$last: the last line is not whole"
        grep -qx 'note: interrupted after [0-9]* answers*' err || fail "$last: $(cat err)"
    else
        wants_quiet answers
        [ "$(cat result)" = old ] || fail "$last: the old result is gone"
        grep -qx 'note: interrupted: result is not written' err || fail "$last: $(cat err)"
        ls -- result.tmp.* 2>/dev/null && fail "$last: a temporary file is left"
    fi
done

# ---- a reader that leaves ----

"$POFAC" predict demo many.txt 2>err | head -n 1 >out
rc=${PIPESTATUS[0]}
last="predict | head"
wants_status 141
wants_quiet err
ok cmp out <(head -n 1 alone)

# ---- memory does not grow with the file ----

peak() { sed -n 's/^VmHWM: *\([0-9]*\) kB/\1/p' /proc/$1/status; }
rm questions && mkfifo questions
"$POFAC" predict demo questions >answers 2>err &
pid=$!
exec 3>questions
cat lines.txt lines.txt >&3
wait_for "3000 answers" has_lines answers 3000
before=$(peak $pid)
cat many.txt >&3
wait_for "33000 answers" has_lines answers 33000
after=$(peak $pid)
exec 3>&-
wait $pid || fail "a long stream: exit status $?: $(cat err)"
# AddressSanitizer keeps freed memory for a while.
[ -n "${POFAC_SANITIZE:-}" ] || [ $((after - before)) -lt 4096 ] || fail "a long stream: memory grew from $before to $after kB"

# ---- the bar, on a terminal only ----

if command -v script >/dev/null; then
    bar() { TERM=xterm script -qec "$1" /dev/null </dev/null | tr '\r' '\n' >seen; }
    unset NO_COLOR
    bar "'$POFAC' predict demo many.txt -o result"
    grep -q 'texts  .*/s  .* left' seen || fail "no progress on a terminal: $(head -c 300 seen)"
    grep -q $'\033\\[32m' seen || fail "no colour on a terminal: $(head -c 300 seen)"
    tail -n 1 seen | grep -q texts && fail "the bar is left on the terminal"
    NO_COLOR=1 bar "'$POFAC' predict demo many.txt -o result"
    grep -q 'texts  .*/s' seen || fail "no progress with NO_COLOR"
    grep -q $'\033\\[[0-9]*m' seen && fail "colours with NO_COLOR"
    TERM=dumb script -qec "'$POFAC' predict demo many.txt -o result" /dev/null </dev/null >seen
    [ ! -s seen ] || fail "a bar on a terminal that cannot erase: $(head -c 300 seen)"
else
    echo "SKIP of one part: there is no program \"script\" to run things on a terminal"
fi
run predict demo lines.txt -o result
wants_quiet err
finish
