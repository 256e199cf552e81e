#!/bin/bash
# Installs what is missing, builds pofac and runs its tests: release with gcc, then with AddressSanitizer and
# UndefinedBehaviorSanitizer under clang. Builds go to build/ and are reused. Everything is run in any case; the last lines
# give ctest's closing counts and say what failed.
#
#   tests/run.sh [--long] [--fuzz_seconds=N]
#
#   --long            also: tests labelled long, the tests under ThreadSanitizer, every fuzzer
#   --fuzz_seconds=N  for each fuzzer (60); implies --long
set -u
source_dir=$(cd "$(dirname "$0")/.." && pwd)
cd "$source_dir" || exit 1

long=0
fuzz_seconds=60
while [ $# -gt 0 ]; do
    case $1 in
    --long) long=1 ;;
    --fuzz_seconds=*) long=1 fuzz_seconds=${1#*=} ;;
    --fuzz_seconds) long=1 fuzz_seconds=${2-} && shift ;;
    --help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    *) echo "error: unknown option $1; wanted --long or --fuzz_seconds=N" >&2 && exit 2 ;;
    esac
    shift
done
case $fuzz_seconds in
'' | *[!0-9]*) echo "error: --fuzz_seconds: found '$fuzz_seconds', wanted a number of seconds" >&2 && exit 2 ;;
esac

failures=()
summary=()
jobs=$(nproc)

# build PRESET [CMAKE OPTION...]: configures and builds; false, and noted, when that fails.
build() {
    local preset=$1
    shift
    echo "=== $preset: build"
    if cmake --preset "$preset" "$@" && cmake --build "build/$preset" -j "$jobs"; then return 0; fi
    failures+=("$preset: build")
    return 1
}

# run_tests NAME PRESET CTEST-OPTION...
run_tests() {
    local name=$1 preset=$2 log=build/ctest-$1.log rc counts skipped
    shift 2
    echo "=== $name: tests"
    ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --no-tests=error "$@" 2>&1 | tee "$log"
    rc=${PIPESTATUS[0]}
    counts=$(grep -E '^[0-9]+% tests passed' "$log" || echo "no test was run")
    skipped=$(sed -n 's/^\t *[0-9]* - \([^ ]*\) (Skipped)$/\1/p' "$log" | paste -sd ' ')
    summary+=("$name: $counts${skipped:+; skipped: $skipped}")
    [ "$rc" = 0 ] && return
    failures+=("$name: tests: $(sed -n '/^The following tests FAILED/,$s/^\t *[0-9]* - \([^ ]*\).*/\1/p' "$log" | paste -sd ' ')")
}

fuzz() {
    local fuzzer name
    for fuzzer in tests/fuzz/fuzz_*.c; do
        name=$(basename "$fuzzer" .c)
        name=${name#fuzz_}
        fuzzer=build/fuzz/fuzz_$name
        echo "=== fuzz $name: $fuzz_seconds s"
        mkdir -p "build/fuzz/corpus/$name" "build/fuzz/findings"
        if "$fuzzer" -max_total_time="$fuzz_seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0 \
            -artifact_prefix="build/fuzz/findings/$name-" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"; then
            summary+=("fuzz $name: $fuzz_seconds s without a finding")
        else
            failures+=("fuzz $name: the input is build/fuzz/findings/$name-*")
        fi
    done
}

if ! tests/install_packages.sh; then
    echo "FAILED: packages of tests/packages.txt are missing" >&2
    exit 1
fi
mkdir -p build
build release && run_tests release release --label-exclude long
build asan-ubsan && run_tests asan-ubsan asan-ubsan --label-exclude long
if [ $long = 1 ]; then
    [ -x build/release/pofac ] && run_tests long release --label-regex long
    build tsan && run_tests tsan tsan --label-exclude long
    build fuzz && fuzz
fi

echo "=== result"
[ ${#summary[@]} = 0 ] || printf '%s\n' "${summary[@]}"
if [ ${#failures[@]} != 0 ]; then
    printf 'FAILED: %s\n' "${failures[@]}"
    exit 1
fi
echo "everything passed"
