#!/bin/sh
# Installs the packages of tests/packages.txt that are missing. Where none is, it needs neither root nor a network.
set -eu
list=$(dirname "$0")/packages.txt
wanted=$(sed 's/#.*//' "$list")

if ! command -v dpkg-query >/dev/null; then
    echo "note: this is not a Debian system, so nothing is installed; needed are the equivalents of tests/packages.txt"
    exit 0
fi
# shellcheck disable=SC2086 # names are split on purpose
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p')
missing=
for package in $wanted; do
    printf '%s\n' "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "error: these packages are missing, and installing them needs root or sudo: apt-get install$missing" >&2
    exit 1
fi
$as_root apt-get update
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
