#!/bin/bash
# Checks the tables of tests/README.md: every pitfall from 1 to the last has one row, every file that a row names is a test of the tree, and every function is run
# by it; and a test that says "pitfall N" stands in that row.
#
#   check_test_map.sh [ROOT]
set -u
cd "${1:-${POFAC_SOURCE_DIR:-$(dirname "$0")/../..}}" || exit 1
page=tests/README.md
broken=0
rows=0
functions=0
complain() {
    echo "$page: $1"
    broken=1
}
declare -A row_of path_of
while read -r path; do path_of[${path##*/}]=$path; done < <(find tests/unit tests/e2e tests/fuzz tests/rules -name '*.c' -o -name '*.sh')

# check_test ROW `FILE` FUNCTION, FUNCTION...
check_test() {
    local row=$1 text=$2 file function
    file=$(sed -n 's/^ *`\([^`]*\)`.*/\1/p' <<<"$text")
    [ -n "$file" ] || { complain "row $row: found \"$text\", wanted \`FILE\` and functions of it" && return; }
    [ -n "${path_of[$file]:-}" ] || { complain "row $row: there is no test $file" && return; }
    row_of["$row $file"]=1
    for function in $(sed 's/^ *`[^`]*`//; s/,/ /g' <<<"$text"); do
        functions=$((functions + 1))
        grep -qE "\b(cmocka_unit_test[a-z_]*|TEST)\($function\b" "${path_of[$file]}" || complain "row $row: $file runs no $function"
    done
    case $file in
    test_*.c) grep -q '^ *`[^`]*` *[a-z]' <<<"$text" || complain "row $row: $file is named without a function" ;;
    esac
}

last=0
while IFS='|' read -r _ row words tests _; do
    row=${row// /}
    [[ $row =~ ^C?[0-9]+$ ]] || continue
    rows=$((rows + 1))
    [ -n "${words// /}" ] || complain "row $row says nothing"
    if [[ $row != C* ]]; then
        [ "$row" = $((last + 1)) ] || complain "row $row follows row $last"
        last=$row
    fi
    while IFS= read -r text; do check_test "$row" "$text"; done < <(tr ';' '\n' <<<"$tests")
done <"$page"
[ $last -ge 28 ] || complain "found $last pitfalls, wanted at least 28"

while IFS=: read -r path text; do
    for row in $(grep -oE 'pitfalls? [0-9]+( and [0-9]+)?' <<<"$text" | grep -oE '[0-9]+'); do
        [ -n "${row_of["$row ${path##*/}"]:-}" ] || complain "row $row: wanted ${path##*/}, which says that it shows it"
    done
done < <(grep -rE 'pitfalls? [0-9]+' tests/unit tests/e2e --include='*.c' --include='*.sh')
[ $broken = 0 ] && echo "$rows rows and $functions functions are there"
exit $broken
