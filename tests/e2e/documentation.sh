#!/bin/bash
# The pages for users, followed literally: every block of ```console is typed in, command by command, in one folder per page, and must print what the
# page shows. "$ " begins a command, "> " goes on with it; what follows is its output, both streams. In output, "..." is any text, and a line "..."
# any lines. A command without output may print nothing, and must succeed; one that fails says so in its output ("error:").
# Commands elsewhere on pages, in blocks and between backquotes, are not run; that their sub-commands, options, scripts and their options exist is checked.
# What a page takes for granted is made here: models and data of the same layout, but small.
. "$(dirname "$0")/harness.bash"
mkdir bin && ln -s "$POFAC" bin/pofac
PATH=$PWD/bin:$PATH
export COLUMNS=80 OMP_NUM_THREADS=2
root=$PWD

commands=0
lines=0

# Numbers that the page has of its models, and those of the stand-ins: a script of sed.
sizes=

# Typed in: `typed` is the command, `wanted` its output on the page.
follow() {
    local pattern found status
    commands=$((commands + 1))
    eval "$typed" >"$root/printed" 2>&1 </dev/null
    status=$?
    found=$(cat "$root/printed")
    wanted=${wanted%$'\n'}
    pattern=$(sed -E "$sizes" <<<"$wanted" | sed 's/[^A-Za-z0-9 ]/\\&/g; s/\\\.\\\.\\\./*/g')
    lines=$((lines + $(grep -c . <<<"$wanted")))
    # shellcheck disable=SC2053 # a pattern
    [[ $found == $pattern ]] || fail "$page:$at: $typed"$'\n'"$(diff <(echo "$wanted") <(echo "$found") | cut -c1-160 | head -n 30)"
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

# A BERT of 2 layers and width 128, and 64 sentences, in the layout that docs/tutorial.md wants: bert-base-uncased and SST-2.
make_stand_ins() {
    local i words=(wonderful great charming brilliant funny boring terrible awful slow dull) things=(film plot story cast music ending)
    mkdir SST-2
    {
        printf 'sentence\tlabel\n'
        for ((i = 0; i < 64; i++)); do
            printf 'the %s is %s\t%d\n' "${things[i * 7 % 6]}" "${words[i * 3 % 10]}" $((i * 3 % 10 < 5))
        done
    } >SST-2/train.tsv
    head -n 17 SST-2/train.tsv >SST-2/dev.tsv
    { cut -f1 SST-2/train.tsv && echo 'the cat sat on the mat'; } >corpus.txt
    ok "$POFAC" data vocab corpus.txt --kind text --vocab_size 100 -o vocab.txt
    cat >stand-in.xml <<END
<pofac xmlns="urn:pofac:1">
  <model head="pretraining">
    <bert vocab_size="$(wc -l <vocab.txt)" num_hidden_layers="2" hidden_size="128" num_attention_heads="2" intermediate_size="512"/>
    <tokenizer vocab="vocab.txt"/>
  </model>
</pofac>
END
    ok "$POFAC" export stand-in.xml -o bert-base-uncased
    sizes="s/30522/$(wc -l <vocab.txt)/; s/3072/512/g; s/768/128/g; s/12 (layers|heads)/2 \\1/g"
}

for page in README.md docs/ir.md docs/tutorial.md; do
    mkdir -p "$root/${page//\//-}" && cd "$root/${page//\//-}" || exit 1
    ln -s "$source_dir/examples" examples
    commands=0 lines=0 sizes=
    [ $page != docs/tutorial.md ] || make_stand_ins
    follow_page "$page"
    [ $commands -ge 4 ] && [ $lines -ge 15 ] || fail "$page: found $commands commands and $lines lines of output, wanted at least 4 and 15"
done
cd "$root" || exit 1

# ---- commands that are not run ----

# PAGE:LINE<tab>COMMAND for each command line of a page: lines of blocks, what "\\" continues, and text between backquotes; without comments.
command_lines() {
    awk -v page="$1" '
        function put(text) { sub(/^\$ /, "", text); sub(/ +# .*/, "", text); print page ":" FNR "\t" text }
        /^```/ { code = !code; next }
        code && /\\$/ { held = held substr($0, 1, length($0) - 1); next }
        code { put(held $0); held = ""; next }
        { line = $0
          while (match(line, /`[^`]+`/)) { put(substr(line, RSTART + 1, RLENGTH - 2)); line = substr(line, RSTART + RLENGTH) } }' "$source_dir/$1"
}

"$POFAC" reference bash >completion.bash && . ./completion.bash

# check_pofac PLACE WORD...: what follows "pofac".
check_pofac() {
    local place=$1 command=${2-} names name word
    shift
    case $command in '' | COMMAND | --* | *'|'*) return ;; esac
    shift
    if names=$(_pofac_children "$command"); then
        case " $names " in *" ${1-COMMAND} "* | *' COMMAND '*) ;; *) return ;; esac
        command+=" ${1-}"
    fi
    names=$(_pofac_value "$command" names) || { fail "$place: pofac has no command $command" && return; }
    checked=$((checked + 1))
    for word in "$@"; do
        case $word in
        '|' | '||' | '&&' | ';' | '>' | '<') return ;;
        --) return ;;
        --[a-z]*)
            name=$(sed 's/^--//; s/=.*//; s/[^a-z0-9_-].*//; s/-/_/g' <<<"$word")
            case " $names --help " in *" --$name "*) ;; *) fail "$place: pofac $command has no option --$name" ;; esac
            checked_options=$((checked_options + 1))
            ;;
        esac
    done
}

# check_script PLACE SCRIPT WORD...: a script of tests/bench says in its head, or that of the script that it hands its options to, which it has.
check_script() {
    local place=$1 script=$2 word heads=$source_dir/$2
    shift 2
    [ -x "$heads" ] || { fail "$place: there is no script $script" && return; }
    checked=$((checked + 1))
    [ "$script" != tests/bench/int8.sh ] || heads+=" $source_dir/tests/bench/peers.sh"
    for word in "$@"; do
        case $word in
        --[a-z]*)
            # shellcheck disable=SC2086 # two files
            grep -q -e "^ *#.*${word%%=*}\\b" $heads || fail "$place: the head of $script has no option ${word%%=*}"
            checked_options=$((checked_options + 1))
            ;;
        esac
    done
}

checked=0 checked_options=0
while IFS=$'\t' read -r place line; do
    read -ra words <<<"$line"
    for ((i = 0; i < ${#words[@]}; i++)); do
        case ${words[i]} in
        pofac | build/release/pofac) check_pofac "$place" "${words[@]:i + 1}" ;;
        */NAME.sh) ;;
        tests/*.sh | examples/*.sh) check_script "$place" "${words[@]:i}" ;;
        build/release/bench_*)
            [ -f "$source_dir/tests/bench/${words[i]##*/}.c" ] || fail "$place: there is no benchmark ${words[i]##*/}"
            checked=$((checked + 1))
            ;;
        esac
    done
done < <(cd "$source_dir" && for page in *.md docs/*.md examples/*/*.md tests/*.md; do command_lines "$page"; done)
[ $checked -ge 150 ] && [ $checked_options -ge 150 ] || fail "found $checked commands with $checked_options options on all pages, wanted at least 150 of each"
finish
