#!/bin/bash
# The pages for users, followed literally: every block of ```console is typed in, command by command, in one folder per page, and must print what the
# page shows. "$ " begins a command, "> " goes on with it; what follows is its output, both streams. In output, "..." is any text, and a line "..."
# any lines. A command without output may print nothing, and must succeed; one that fails says so in its output ("error:").
# What a page takes for granted is made here: models and data of the same layout, but small.
. "$(dirname "$0")/harness.bash"
mkdir bin && ln -s "$POFAC" bin/pofac
PATH=$PWD/bin:$PATH
export COLUMNS=80 OMP_NUM_THREADS=2
root=$PWD

commands=0
lines=0

# Typed in: `typed` is the command, `wanted` its output on the page.
follow() {
    local pattern found status
    commands=$((commands + 1))
    eval "$typed" >"$root/printed" 2>&1 </dev/null
    status=$?
    found=$(cat "$root/printed")
    wanted=${wanted%$'\n'}
    pattern=$(sed 's/[^A-Za-z0-9 ]/\\&/g; s/\\\.\\\.\\\./*/g' <<<"$wanted")
    lines=$((lines + $(grep -c . <<<"$wanted")))
    # shellcheck disable=SC2053 # a pattern
    [[ $found == $pattern ]] || fail "$page:$at: $typed"$'\n'"$(diff <(echo "$wanted") <(echo "$found") | head -n 40)"
    [ $status = 0 ] || [[ $wanted == *error:* ]] || fail "$page:$at: $typed: exit status $status"
}

# follow_page PAGE: its commands, in the folder at hand.
follow_page() {
    local line number=0 inside=0 typed='' wanted='' at=0
    page=$1
    while IFS= read -r line; do
        number=$((number + 1))
        case $inside$line in
        '0```console') inside=1 ;;
        '1```')
            [ -z "$typed" ] || follow
            typed='' wanted='' inside=0
            ;;
        '1$ '*)
            [ -z "$typed" ] || follow
            typed=${line#\$ } wanted='' at=$number
            ;;
        '1> '* | '1>')
            line=${line#>}
            typed+=$'\n'${line# }
            ;;
        1*) wanted+=$line$'\n' ;;
        esac
    done <"$source_dir/$page"
    [ $inside = 0 ] || fail "$page: the last block has no end"
}

for page in README.md docs/ir.md; do
    mkdir -p "$root/${page//\//-}" && cd "$root/${page//\//-}" || exit 1
    ln -s "$source_dir/examples" examples
    commands=0 lines=0
    follow_page "$page"
    [ $commands -ge 4 ] && [ $lines -ge 15 ] || fail "$page: found $commands commands and $lines lines of output, wanted at least 4 and 15"
done
cd "$root" || exit 1
finish
