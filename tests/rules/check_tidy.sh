#!/bin/bash
# Runs clang-tidy, as .clang-tidy says, over the sources of the libraries and of pofac, but not the tests; skipped where it is not installed.
# label: long
set -u
cd "${POFAC_SOURCE_DIR:-$(dirname "$0")/../..}" || exit 1
build=${POFAC_BUILD_DIR:-build/release}
tidy=$(command -v clang-tidy-14 || command -v clang-tidy)
if [ -z "$tidy" ]; then
    echo "SKIP: clang-tidy is not installed"
    exit 77
fi
find ir passes codegen runtime frontend -name '*.c' -print0 2>/dev/null |
    xargs -0 -n 4 -P "$(nproc)" "$tidy" --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option 2> >(grep -vE '^[0-9]+ warnings? generated\.$' >&2)
