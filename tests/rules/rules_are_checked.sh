#!/bin/bash
# The checks themselves can fail: small trees and libraries that break one rule each.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# A tree that keeps all rules, in $work/tree.
make_tree() {
    rm -rf "$work/tree"
    mkdir -p "$work"/tree/{ir/support,passes,codegen,runtime,frontend/{model,text,driver,cli},tests/unit}
    (
        cd "$work/tree" || exit 1
        touch LICENSE .gitignore
        echo '#include <stddef.h>' >ir/support/arena.h
        echo '#include "ir/support/arena.h"' >ir/graph.h
        echo '#include "ir/graph.h"' >passes/fold.h
        printf '#include "ir/graph.h"\n#include <llvm-c/Core.h>\n' >codegen/jit.c
        printf '#include "ir/graph.h"\n#include <cblas.h>\n' >runtime/gemm.c
        touch ir/support/json_text.h runtime/session.h frontend/heads.def frontend/model/spec.h
        printf '#include "frontend/heads.def"\n#include "frontend/model/spec.h"\n#include <libxml/parser.h>\n' >frontend/model/xml_model.c
        echo '#include <unicode/uchar.h>' >frontend/text/tokenizer.c
        printf '#include "runtime/session.h"\n#include "passes/fold.h"\n' >frontend/driver/road.h
        echo '#include "frontend/driver/road.h"' >frontend/cli/main.c
        printf '#include <cmocka.h>\n#include "runtime/session.h"\n' >tests/unit/test_x.c
    )
}

# expect NAME WANTED STATUS OUTPUT: the status is 0 where nothing is wanted, else 1, with a line that begins as wanted.
expect() {
    local name=$1 wanted=$2 status=$3 output=$4
    if [ -z "$wanted" ] && [ "$status" = 0 ]; then return; fi
    if [ -n "$wanted" ] && [ "$status" = 1 ] && grep -qF -- "$wanted" <<<"$output" && [ "$(wc -l <<<"$output")" = 1 ]; then return; fi
    printf '%s: status %s, output:\n%s\nwanted: %s\n' "$name" "$status" "$output" "${wanted:-status 0}"
    failed=1
}

# breaks WANTED FILE LINE: with LINE added to FILE, the tree breaks the rule whose complaint is WANTED.
breaks() {
    local output
    make_tree
    mkdir -p "$work/tree/$(dirname "$2")"
    printf '%s\n' "$3" >>"$work/tree/$2"
    output=$("$here/check_tree.sh" "$work/tree" 2>&1)
    expect "$2: $3" "$1" $? "$output"
}

breaks '' ir/support/arena.c '#include "ir/support/arena.h"'
breaks 'notes.txt: not one of the entries' notes.txt ''
breaks 'cmake: not one of the entries' cmake/find.cmake ''
breaks 'arena.h: more than one file has this name: ir/support/arena.h runtime/arena.h' runtime/arena.h ''
breaks 'runtime/utils.c: the name says nothing' runtime/utils.c ''
breaks 'ir/long.c: found 801 lines, wanted at most 800' ir/long.c "$(yes '' | head -800; echo x)"
breaks 'ir/graph.h:2: "arena.h" is no file of the tree' ir/graph.h '#include "arena.h"'
breaks 'ir/graph.h:2: ir may not include "passes/fold.h"' ir/graph.h '#include "passes/fold.h"'
breaks 'passes/fold.h:2: passes may not include "runtime/session.h"' passes/fold.h '#include "runtime/session.h"'
breaks 'codegen/jit.c:3: codegen may not include "runtime/session.h"' codegen/jit.c '# include "runtime/session.h"'
breaks 'runtime/gemm.c:3: runtime may not include "passes/fold.h"' runtime/gemm.c '#include "passes/fold.h"'
breaks 'frontend/text may not include "frontend/model/spec.h"' frontend/text/tokenizer.c '#include "frontend/model/spec.h"'
breaks 'frontend/text may not include "runtime/session.h"' frontend/text/tokenizer.c '#include "runtime/session.h"'
breaks 'ir/graph.h:2: "passes/gone.h" is no file of the tree' ir/graph.h '#include "passes/gone.h"'
breaks 'frontend/driver may not include "frontend/cli/main.c"' frontend/driver/road.h '#include "frontend/cli/main.c"'
breaks 'frontend/api may not include "runtime/session.h"' frontend/api/api.c '#include "runtime/session.h"'
breaks '<llvm-c/Core.h> may not be included here' runtime/gemm.c '#include <llvm-c/Core.h>'
breaks 'cblas.h: wanted in one file, found in runtime/gemm.c runtime/second.c' runtime/second.c '#include <cblas.h>'
breaks '<libxml/parser.h> may not be included here' frontend/model/spec.h '#include <libxml/parser.h>'
breaks '<unicode/uchar.h> may not be included here' frontend/model/spec.h '#include <unicode/uchar.h>'
breaks '<jansson.h> may not be included here' frontend/model/spec.h '#include <jansson.h>'
breaks '' frontend/text/tokenizer.c '#include <jansson.h>
#include "ir/support/json_text.h"'
breaks '<boost/any.hpp> may not be included here' frontend/driver/road.h '#include <boost/any.hpp>'

# symbols WANTED CODE: the same for a library made of CODE.
symbols() {
    local output
    printf '%s\n' "$2" >"$work/part.c"
    if ! cc -O1 -fPIC -c "$work/part.c" -o "$work/part.o"; then
        failed=1
        return
    fi
    rm -f "$work/libpart.a"
    ar rcs "$work/libpart.a" "$work/part.o"
    output=$(POFAC_SANITIZE='' "$here/check_symbols.sh" "$work/libpart.a" 2>&1)
    expect "$2" "$1" $? "$output"
}

symbols '' 'static const int table[] = {1, 2}; const char *const names[] = {"a", "b"}; int f(int i) { return table[i]; }'
symbols 'libpart.a(part.o): variable counter can change' 'int counter = 1;'
symbols 'variable calls.' 'int f(void) { static int calls; return ++calls; }'
symbols 'variable names can change' 'const char *names[] = {"a", "b"};'
symbols 'variable left can change' '_Thread_local int left;'
symbols 'variable common can change' '__attribute__((common)) int common;'
symbols 'abort may not be used in a library' 'void abort(void); void f(void) { abort(); }'
symbols 'LLVMRunPasses: no passes of LLVM' 'int LLVMRunPasses(void); int f(void) { return LLVMRunPasses(); }'
symbols 'stderr may not be used in a library' 'extern void *stderr; void *f(void) { return stderr; }'

# links WANTED TEXT: a page with this text, beside one with the headings "Two words" and "C & D".
links() {
    local output
    rm -rf "$work/pages" && mkdir -p "$work/pages/docs"
    printf '# Two words\n\n## `C` & D\n\n```\n# none\n```\n' >"$work/pages/docs/other.md"
    printf '%s\n' "$2" >"$work/pages/page.md"
    output=$("$here/check_links.sh" "$work/pages" 2>&1)
    expect "$2" "$1" $? "$output"
}

links '' '[a](docs/other.md), [b](docs/other.md#two-words) and [c](docs/other.md#c--d), [d](docs), [e](https://nowhere.invalid/x)'
links '' 'code: `[a](nowhere.md)`'
links '' '```
[a](nowhere.md)
```'
links 'page.md:1: the link to nowhere.md names no file of the tree' '[a](docs/other.md) [b](nowhere.md)'
links 'page.md:1: the link to docs/other.md#none names no heading of that page' '[a](docs/other.md#none)'
links 'page.md:2: the link to #there names no heading of that page' '# Here
[a](#there) [b](#here)'

# map WANTED ROW TEXT: a page of 28 pitfalls and a convention, whose tests are all there but for row ROW, which has this text instead; "first" shows pitfall 3.
map() {
    local output i
    rm -rf "$work/map"
    mkdir -p "$work"/map/tests/{unit,e2e,fuzz,rules}
    printf '/* pitfall 3: a first test */\nint main(void) {\n    cmocka_unit_test(first);\n}\n' >"$work/map/tests/unit/test_first.c"
    touch "$work/map/tests/e2e/second.sh"
    for i in {1..28} C1; do
        [ "$i" = "$2" ] && printf '%s\n' "$3" && continue
        echo "| $i | what went wrong | \`second.sh\`; \`test_first.c\` first |"
    done >"$work/map/tests/README.md"
    output=$("$here/check_test_map.sh" "$work/map" 2>&1)
    expect "map $2: $3" "$1" $? "$output"
}

map '' 0 ''
map 'row 5: there is no test gone.sh' 5 '| 5 | x | `gone.sh` |'
map 'row 5: test_first.c runs no second' 5 '| 5 | x | `test_first.c` first, second |'
map 'row 5: test_first.c is named without a function' 5 '| 5 | x | `test_first.c` |'
map 'row 5: found " second.sh ", wanted `FILE`' 5 '| 5 | x | second.sh |'
map 'row 5 says nothing' 5 '| 5 | | `second.sh` |'
map 'row 6 follows row 4' 5 ''
map 'row 3: wanted test_first.c, which says that it shows it' 3 '| 3 | x | `second.sh` |'
map 'C1: there is no test gone.sh' C1 '| C1 | x | `gone.sh` |'
map 'found 27 pitfalls, wanted at least 28' 28 ''
exit $failed
