#!/bin/bash
# Checks the links of the tree's pages (*.md): a relative link names a file or folder that is there, and a part after '#' a heading of that page.
# Links to other places are not followed.
#
#   check_links.sh [ROOT]
set -u
cd "${1:-${POFAC_SOURCE_DIR:-$(dirname "$0")/../..}}" || exit 1

broken=0
links=0
complain() {
    echo "$1"
    broken=1
}

list_pages() {
    if [ -e .git ] && git ls-files -co --exclude-standard -- '*.md' 2>/dev/null; then return; fi
    find . -name '*.md' -not -path './build*' | sed 's|^\./||'
}

# The anchors of a page's headings: lower case, without marks, '-' for blanks. Lines between ``` are no headings.
anchors() {
    awk '/^```/ { code = !code } !code && /^#+ / { sub(/^#+ +/, ""); print tolower($0) }' "$1" | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# LINE:TARGET of each [text](target), also of several in a line; not of code, between ``` or backquotes.
targets() {
    awk '/^```/ { code = !code }
        code { next }
        { line = $0; gsub(/`[^`]*`/, "", line)
          while (match(line, /\]\([^)]*\)/)) {
              print FNR ":" substr(line, RSTART + 2, RLENGTH - 3)
              line = substr(line, RSTART + RLENGTH) } }' "$1"
}

while read -r page; do
    [ -f "$page" ] || continue
    while IFS=: read -r line target; do
        case $target in http://* | https://* | mailto:*) continue ;; esac
        links=$((links + 1))
        file=${target%%#*}
        if [ -z "$file" ]; then file=$page; else file=$(dirname "$page")/$file; fi
        if [ ! -e "$file" ]; then
            complain "$page:$line: the link to $target names no file of the tree"
        elif [[ $target == *#* ]] && ! anchors "$file" | grep -qxF -- "${target#*#}"; then
            complain "$page:$line: the link to $target names no heading of that page"
        fi
    done < <(targets "$page")
done < <(list_pages | sort -u)
[ $broken = 0 ] && echo "$links links are whole"
exit $broken
