#!/bin/bash
# What `pofac reference` makes of the tables: the pages of docs/ are current (UPDATE_GOLDEN=1 writes them), manual pages name every command and
# option and pass groff and mandoc where those are installed, and completion for bash offers what the tables have (that for zsh: where it is installed).
. "$(dirname "$0")/harness.bash"

# ---- the pages of docs/ ----

for page in xml ir; do
    run reference "$page"
    wants_status 0
    wants_quiet err
    if [ "${UPDATE_GOLDEN:-}" = 1 ]; then cp out "$source_dir/docs/$page-reference.md"; fi
    diff "$source_dir/docs/$page-reference.md" out >difference || fail "docs/$page-reference.md is behind the tables (pofac reference $page): $(head -n 5 difference)"
    run reference "$page" -o page.md
    wants_status 0
    wants_quiet out
    ok cmp page.md "$source_dir/docs/$page-reference.md"
done
for table in ops passes; do
    for name in $("$POFAC" list "$table" | grep -o '^[^ ]\+'); do
        grep -qE "^### (Pass )?$name\$" "$source_dir/docs/ir-reference.md" || fail "docs/ir-reference.md has no heading for $name of $table"
    done
done
"$POFAC" reference schema >schema.rng || fail "pofac reference schema: exit status $?"
if command -v xmllint >/dev/null; then
    ok xmllint --noout --relaxng schema.rng "$source_dir/examples/tiny.xml"
    sed 's/num_hidden_layers="2"/num_hidden_layers="two"/' "$source_dir/examples/tiny.xml" >wrong.xml
    xmllint --noout --relaxng schema.rng wrong.xml >xmllint.log 2>&1 && fail "the schema takes num_hidden_layers=\"two\""
fi

# ---- manual pages ----

declare -A option_names # of each command, as its help shows them

run reference man --output manual
wants_status 0
wants_quiet out
wants_quiet err
commands=$("$POFAC" list commands | sed 's/^  /data /; s/^\(data [^ ]*\|[^ ]*\).*/\1/')
pages=1
options=0
while read -r command; do
    page=manual/pofac-${command// /-}.1
    pages=$((pages + 1))
    [ -f "$page" ] || { fail "no page of $command" && continue; }
    if [ "$command" = data ]; then continue; fi
    # shellcheck disable=SC2086 # "data build" is two words
    option_names[$command]=$("$POFAC" $command --help | sed -n 's/^  --\([a-z0-9_]*\).*/\1/p')
    for name in ${option_names[$command]}; do
        grep -q "^\\\\fB\\\\-\\\\-$name\\\\fR" "$page" || fail "$page has no option $name"
        options=$((options + 1))
    done
done <<<"$commands"
for command in '' compile 'data build'; do
    # shellcheck disable=SC2086
    "$POFAC" reference man $command >page || fail "pofac reference man $command: exit status $?"
    page=manual/pofac${command:+-${command// /-}}.1
    ok cmp page "$page"
done
[ "$(ls manual | wc -l)" = $pages ] || fail "manual: found $(ls manual | wc -l) pages, wanted $pages"
[ $options -ge 300 ] || fail "found $options options in the help of all commands, wanted at least 300"
for page in manual/*.1; do
    if command -v groff >/dev/null; then
        groff -ww -man -Tascii -P-cbou "$page" >page.txt 2>page.err || fail "$page: groff fails"
        [ ! -s page.err ] || fail "$page: groff: $(head -n 3 page.err)"
        grep -q '^EXIT STATUS' page.txt || fail "$page: groff prints no section EXIT STATUS"
    fi
    if command -v mandoc >/dev/null; then mandoc -T lint -W error "$page" | grep . && fail "$page: mandoc finds errors"; fi
done
grep -q '^.TH pofac\\-data\\-build 1 "" "pofac [0-9]' manual/pofac-data-build.1 || fail "pofac-data-build.1: $(grep '^.TH' manual/pofac-data-build.1)"

# ---- wrong command lines ----

# refused WANTED ARGUMENT...
refused() {
    local wanted=$1
    shift
    run reference "$@"
    wants_status 2
    wants_quiet out
    [ "$(cat err)" = "error: $wanted" ] || fail "$last: found $(cat err), wanted $wanted"
}
refused 'unknown page "ban"; did you mean "man"?' ban
refused 'unknown page "nothing like it"; see `pofac reference --help`' 'nothing like it'
refused 'unknown command "trian"; see `pofac --help`' man trian
refused 'unknown command "biuld"; see `pofac --help`' man data biuld
refused 'pofac reference ir: found "train", wanted nothing more' ir train
touch file
run reference man -o file
wants_status 1
grep -q '^file/pofac.1' err || fail "$last: found $(cat err)"
run reference man -o no/such/folder
wants_status 1
[ "$(cat err)" = "no/such/folder: error: cannot make the folder: No such file or directory" ] || fail "$last: found $(cat err)"

# ---- completion for bash ----

"$POFAC" reference bash >completion.bash || fail "pofac reference bash: exit status $?"
ok bash -n completion.bash
mkdir -p folder/below
touch folder/file.xml
. ./completion.bash
# offers LINE WANTED: what completing the last word of the line gives; a line that ends with a blank has an empty last word.
offers() {
    read -ra COMP_WORDS <<<"$1"
    case $1 in *' ') COMP_WORDS+=('') ;; esac
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _pofac 2>offers.log
    [ "${COMPREPLY[*]}" = "$2" ] || fail "completing \"$1\": found \"${COMPREPLY[*]}\", wanted \"$2\""
    [ ! -s offers.log ] || fail "completing \"$1\": $(head -c 1000 offers.log)"
}
offers 'pofac comp' compile
offers 'pofac data ' "$("$POFAC" list commands | sed -n 's/^  \([^ ]*\).*/\1/p' | paste -sd ' ') --help"
offers 'pofac data b' build
offers 'pofac compile --em' --emit
offers 'pofac compile --graph-' --graph_only
offers 'pofac compile --emit ' 'ir llvm asm obj'
offers 'pofac compile --emit = o' obj
offers 'pofac compile --emit =' 'ir llvm asm obj'
offers 'pofac compile --emit=o' --emit=obj
offers 'pofac compile --isa av' 'avx2 avx512'
offers 'pofac compile --pipeline simplify,layo' simplify,layout
offers 'pofac opt --print-after fus' fuse
offers 'pofac compile --cache_dir fold' folder
offers 'pofac compile folder/f' folder/file.xml
offers 'pofac compile folder/b' folder/below
offers 'pofac compile --cache_dir folder/' folder/below
offers 'pofac compile -o folder/f' folder/file.xml
offers 'pofac train --output_dir folder/' folder/below
offers 'pofac compile --no_cache folder/f' folder/file.xml
offers 'pofac compile --num_labels ' ''
offers 'pofac bench --profile = t' 'text trace'
offers 'pofac bench --profile folder/f' folder/file.xml
offers 'pofac list pipel' pipelines
offers 'pofac data check --task sst' sst2
offers 'pofac data build --kind wiki' 'wikipedia wikitext'
offers 'pofac train --pruning_fn second' second_order
offers 'pofac reference b' bash
offers 'pofac nothing --' --help
# Every option of every command, and of a choice every word.
names=0
while read -r command; do
    [ "$command" = data ] && continue
    for name in ${option_names[$command]}; do
        [ "$name" = help ] && continue
        names=$((names + 1))
        case " $(_pofac_value "$command" names) " in *" --$name "*) ;; *) fail "completion of $command has no --$name" ;; esac
    done
done <<<"$commands"
[ $names -ge 300 ] || fail "found $names options, wanted at least 300"

# ---- completion for zsh ----

"$POFAC" reference zsh >_pofac || fail "pofac reference zsh: exit status $?"
[ "$(head -n 1 _pofac)" = '#compdef pofac' ] || fail "_pofac: first line: $(head -n 1 _pofac)"
while read -r command; do
    [ "$command" = data ] && continue
    grep -qxF "    '$command')" _pofac || fail "_pofac has no case of $command"
done <<<"$commands"
if command -v zsh >/dev/null; then ok zsh -n _pofac; fi
finish
