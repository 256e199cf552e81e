#!/bin/bash
# Checks the rules that the source tree keeps, and says which file breaks which:
#
#   - the top level holds the folders and pages of ARCHITECTURE.md, dot files, and nothing else;
#   - names of .c, .h and .def files are unique in the tree, and say what is in the file; none has more than 800 lines;
#   - #include "..." is written from the root, names a file that exists, and follows the direction of dependencies;
#   - #include <...> of other projects stands in the few files that may know them.
#
#   check_tree.sh [ROOT]
set -u
cd "${1:-${POFAC_SOURCE_DIR:-$(dirname "$0")/../..}}" || exit 1

broken=0
complain() {
    echo "$1"
    broken=1
}

# Files of the tree, without what git ignores; where there is no git, without build directories.
list_files() {
    if [ -e .git ] && git ls-files -co --exclude-standard 2>/dev/null; then return; fi
    find . -type f -not -path './.git/*' -not -path './build*' | sed 's|^\./||'
}
mapfile -t files < <(list_files | sort -u | while read -r f; do [ -f "$f" ] && printf '%s\n' "$f"; done)
mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep -E '\.(c|h|def)$')
[ ${#sources[@]} -gt 0 ] || complain "$PWD: found no source, wanted some"

check_top_level() {
    local entry
    while read -r entry; do
        case $entry in
        ir | passes | codegen | runtime | frontend | tests | examples | docs | .*) ;;
        CMakeLists.txt | CMakePresets.json | README.md | ARCHITECTURE.md | CONTRIBUTING.md | LICENSE) ;;
        *) complain "$entry: not one of the entries that the top level may have" ;;
        esac
    done < <(printf '%s\n' "${files[@]}" | cut -d/ -f1 | sort -u)
}

check_names() {
    local name file lines
    while read -r name; do
        complain "$name: more than one file has this name: $(printf '%s\n' "${sources[@]}" | grep -E "(^|/)$name\$" | paste -sd ' ')"
    done < <(printf '%s\n' "${sources[@]}" | sed 's|.*/||' | sort | uniq -d)
    for file in "${sources[@]}"; do
        name=${file##*/}
        case ${name%.*} in
        util | utils | common | misc | helper | helpers) complain "$file: the name says nothing about what is in it" ;;
        esac
        lines=$(wc -l <"$file")
        [ "$lines" -le 800 ] || complain "$file: found $lines lines, wanted at most 800"
    done
}

# may_include FILE INCLUDED: the direction of dependencies (ARCHITECTURE.md, folders).
may_include() {
    local from=$1 to=$2 reader
    case $from in
    ir/*) [[ $to == ir/* ]] ;;
    passes/*) [[ $to == ir/* || $to == passes/* ]] ;;
    codegen/*) [[ $to == ir/* || $to == codegen/* ]] ;;
    runtime/*) [[ $to == ir/* || $to == runtime/* ]] ;;
    frontend/driver/*) [[ $to != frontend/cli/* && $to != tests/* ]] ;;
    frontend/cli/*) [[ $to == ir/* || $to == frontend/driver/* || $to == frontend/cli/* || $to == frontend/xml.def ]] ;;
    frontend/api/*) [[ $to == ir/* || $to == frontend/driver/* || $to == frontend/api/* ]] ;;
    frontend/data/*) [[ $to == ir/* || $to == frontend/text/* || $to == frontend/data/* || $to =~ ^frontend/[^/]*$ ]] ;;
    frontend/*/*) # a reader: ir, its own folder, and the tables in frontend/
        reader=${from#frontend/}
        [[ $to == ir/* || $to == frontend/"${reader%%/*}"/* || $to =~ ^frontend/[^/]*$ ]] ;;
    frontend/*) [[ $to == ir/* || $to =~ ^frontend/[^/]*$ ]] ;;
    tests/*) true ;;
    examples/*) [[ $to == pofac.h || $to == examples/* || $to == ir/* || $to == frontend/checkpoint/* || $to == frontend/model/* ]] ;;
    *) false ;;
    esac
}

# may_include_foreign FILE HEADER. Headers of the C library and of Linux are free.
may_include_foreign() {
    local from=$1 header=$2
    [[ $from == tests/* ]] && return 0
    case $header in
    llvm-c/* | llvm/Config/llvm-config.h) [[ $from == codegen/* ]] ;;
    cblas.h) [[ $from == runtime/* || $from == codegen/* ]] ;;
    pthreadpool.h) [[ $from == runtime/thread_pool.c ]] ;;
    sanitizer/tsan_interface.h) [[ $from == runtime/thread_pool.c ]] ;;
    xxhash.h) [[ $from == ir/support/hash*.c ]] ;;
    libxml/*) [[ $from == frontend/*xml*.[ch] || $from == frontend/data/*dump*.[ch] ]] ;;
    unicode/*) [[ $from == frontend/text/* || $from == frontend/data/sentences*.[ch] ]] ;;
    jansson.h) # where JSON is read: through json_text.h, or lines of records
        [[ $from == ir/support/json_text.c || $from == frontend/driver/records.c ]] ||
            { [[ $from == frontend/*.c ]] && grep -q '"ir/support/json_text.h"' "$from"; } ;;
    zlib.h) [[ $from == frontend/checkpoint/* || $from == frontend/data/* || $from == frontend/report/* ]] ;;
    bzlib.h) [[ $from == frontend/data/* ]] ;;
    zstd.h) [[ $from == frontend/data/* || $from == frontend/driver/section_code.c ]] ;;
    pofac.h) [[ $from == examples/* ]] ;;
    sys/*.h | linux/*.h | arpa/*.h | netinet/*.h) true ;;
    assert.h | complex.h | ctype.h | dirent.h | dlfcn.h | errno.h | fcntl.h | fenv.h | float.h | fnmatch.h | ftw.h | getopt.h | glob.h) ;;
    inttypes.h | langinfo.h | libgen.h | limits.h | locale.h | math.h | poll.h | pthread.h | pwd.h | regex.h | sched.h | setjmp.h) ;;
    signal.h | spawn.h | stdalign.h | stdarg.h | stdatomic.h | stdbool.h | stddef.h | stdint.h | stdio.h | stdlib.h) ;;
    stdnoreturn.h | string.h | strings.h | syscall.h | termios.h | threads.h | time.h | tgmath.h | ucontext.h | unistd.h | wchar.h | wctype.h) ;;
    *) false ;;
    esac
}

check_includes() {
    local file line kind name blas=()
    while IFS=$'\t' read -r file line kind name; do
        case "$file $name" in # made by the build
        "codegen/lower.c codegen_sources_hash.h" | "frontend/onnx/onnx_model.c onnx.pb-c.h" | tests/*" onnx.pb-c.h") continue ;;
        esac
        if [ "$kind" = '"' ]; then
            [ -f "$name" ] || { complain "$file:$line: \"$name\" is no file of the tree; includes are written from the root" && continue; }
            may_include "$file" "$name" || complain "$file:$line: ${file%/*} may not include \"$name\""
        else
            may_include_foreign "$file" "$name" || complain "$file:$line: <$name> may not be included here"
            [[ $name == cblas.h && $file != tests/* ]] && blas+=("$file")
        fi
    done < <(awk 'FNR == 1 { line = 0 } { line++ }
        match($0, /^[ \t]*#[ \t]*include[ \t]*["<][^">]*[">]/) {
            text = substr($0, RSTART, RLENGTH); sub(/^[ \t]*#[ \t]*include[ \t]*/, "", text)
            printf "%s\t%d\t%s\t%s\n", FILENAME, line, substr(text, 1, 1), substr(text, 2, length(text) - 2)
        }' "${sources[@]}")
    [ ${#blas[@]} -le 1 ] || complain "cblas.h: wanted in one file, found in ${blas[*]}"
}

check_top_level
if [ ${#sources[@]} -gt 0 ]; then
    check_names
    check_includes
fi
[ $broken = 0 ] && echo "${#files[@]} files keep the rules"
exit $broken
