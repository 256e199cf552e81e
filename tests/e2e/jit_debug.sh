#!/bin/bash
# Kernels under gdb and perf: a breakpoint on a kernel's name is hit, the address has that name, and the program then ends as without
# gdb; the map for perf names the kernels that the code has. The part with gdb is skipped where gdb is absent or may not trace.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
printf 'a very good film\nnot bad\n' >texts.txt
run compile demo --emit asm
names=$(sed -n 's/^\([a-z_]*_[0-9a-f]\{32\}\):.*/\1/p' out | sort)
linear=$(grep -m 1 'linear_' <<<"$names") # or sparse_linear_
[ -n "$linear" ] || fail "$last: no linear kernel"

# ---- perf ----

"$POFAC" predict demo texts.txt --threads 1 --jit_debug=perf >out 2>err &
pid=$!
wait $pid || fail "predict --jit_debug=perf: exit status $?"
wants_quiet err
map=/tmp/perf-$pid.map
for name in $names; do
    grep -qx "[0-9a-f]* [0-9a-f]* $name" "$map" || fail "$map has no line for $name"
done
[ "$(wc -l <"$map")" = "$(wc -l <<<"$names")" ] || fail "$map: $(wc -l <"$map") lines, wanted one for each kernel"
rm -f "$map"
run predict demo texts.txt --jit_debug=perf,lldb
wants_status 2
[ "$(tail -n 1 err)" = 'error: jit_debug: found "lldb", wanted perf, gdb or perf,gdb' ] || fail "$last: $(cat err)"

# ---- gdb ----

gdb_runs() { gdb -nx -batch -ex run --args /bin/true 2>&1 </dev/null | grep -q 'exited normally'; }
if [ -n "${POFAC_SANITIZE:-}" ]; then
    echo "built with sanitizers: nothing was run under gdb"
elif ! command -v gdb >gdb.log || ! gdb_runs; then
    echo "gdb is absent or may not trace: nothing was run under it"
else
    timeout 100 gdb -nx -batch -iex 'set auto-load off' -iex 'set debuginfod enabled off' -ex 'set breakpoint pending on' \
        -ex "break $linear" -ex run -ex 'info symbol $pc' -ex delete -ex continue \
        --args "$POFAC" predict demo texts.txt --threads 1 --jit_debug=gdb </dev/null >gdb.log 2>&1
    grep -q "^$linear + [0-9]* in section .text of \|^$linear in section .text" gdb.log ||
        fail "gdb does not know $linear at its address: $(tail -n 20 gdb.log)"
    grep -q 'exited normally' gdb.log || fail "the program does not end under gdb: $(tail -n 20 gdb.log)"
fi
finish
