#!/bin/sh
# Checks that the code is laid out as .clang-format says; skipped where clang-format 14 is not installed, as others differ.
set -u
cd "${POFAC_SOURCE_DIR:-$(dirname "$0")/../..}" || exit 1
for tool in clang-format-14 clang-format; do
    command -v "$tool" >/dev/null && "$tool" --version | grep -q 'version 14\.' && break
    tool=
done
if [ -z "$tool" ]; then
    echo "SKIP: clang-format 14 is not installed"
    exit 77
fi
find ir passes codegen runtime frontend tests examples -name '*.[ch]' -exec "$tool" --dry-run -Werror {} + 2>&1 | grep -E -A2 'error:' && exit 1
exit 0
