# What the end-to-end tests share; sourced by tests/e2e/*.sh, which CMake runs with POFAC (the program), POFAC_SOURCE_DIR, POFAC_BUILD_DIR
# and, where it is there, POFAC_SHARED.
#
#   run ARGUMENT...            runs pofac; its streams are in the files `out` and `err`, its exit status in $rc
#   wants_status N             the status of the last run
#   shows ARGUMENT...          runs pofac and adds what can be seen of it to the file `transcript`; INPUT is its standard input
#   wants_golden FILE NAME     FILE is tests/e2e/golden/NAME (with UPDATE_GOLDEN=1 it becomes that file)
#   wants_quiet out|err        the stream is empty
#   ok COMMAND...              a command that must succeed, and whose output is shown when it does not
#   fail MESSAGE...            notes a failure; the test goes on
#   finish                     the last line of a test
#
# A test runs in its own empty folder, so messages name files without folders. NO_COLOR, terminals and locales play no part.
set -u
export LC_ALL=C
source_dir=${POFAC_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
build_dir=${POFAC_BUILD_DIR:-$source_dir/build/release}
POFAC=${POFAC:-$build_dir/pofac}
golden_dir=$source_dir/tests/e2e/golden
work_dir=$build_dir/e2e/$(basename "$0" .sh)
export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$build_dir/test-cache}
failures=0
rc=0
last=

rm -rf "$work_dir" && mkdir -p "$work_dir" && cd "$work_dir" || exit 1

need_shared() {
    [ -n "${POFAC_SHARED:-}" ] && return
    echo "SKIP: ../shared is absent"
    exit 77
}

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

INPUT=
run() {
    last="pofac $*"
    "$POFAC" "$@" >out 2>err < <(printf %s "$INPUT")
    rc=$?
}

shows() {
    run "$@"
    {
        echo "$ $last"
        sed 's/^/  out: /' out
        sed 's/^/  err: /' err
        echo "  exit $rc"
    } >>transcript
}

wants_status() {
    [ "$rc" = "$1" ] && return
    fail "$last: exit status $rc, wanted $1; stderr:"
    head -c 2000 err
}

wants_golden() {
    if [ "${UPDATE_GOLDEN:-}" = 1 ]; then cp "$1" "$golden_dir/$2"; fi
    diff -u "$golden_dir/$2" "$1" >difference && return
    fail "$1 is not tests/e2e/golden/$2:"
    head -c 8000 difference
}

wants_quiet() {
    [ ! -s "$1" ] && return
    fail "$last: std$1 is not empty:"
    head -c 2000 "$1"
}

ok() {
    "$@" >ok.log 2>&1 && return
    fail "$*: exit status $?:"
    head -c 4000 ok.log
    return 1
}

finish() {
    if [ $failures = 0 ]; then
        cd "$build_dir" && rm -rf "$work_dir"
        exit 0
    fi
    echo "$failures failures; files are in $work_dir"
    exit 1
}
