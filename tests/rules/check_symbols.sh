#!/bin/bash
# Checks the object code of the libraries: no variable that can change outlives a call, also none in a function or per thread, but
# the guards of what is global in libraries: LLVM's registry of targets (codegen/target.c), libxml2's types (frontend/model/
# xml_schema.c); and nothing that prints or ends the process
# is called, nor LLVM's optimisation passes. Sanitizers add variables of their own, so their builds are skipped.
#
#   check_symbols.sh [LIBRARY...]        default: libpofac_*.a of the build directory
set -u
if [ -n "${POFAC_SANITIZE:-}" ]; then
    echo "SKIP: built with sanitizers"
    exit 77
fi
[ $# -gt 0 ] || set -- "${POFAC_BUILD_DIR:-.}"/libpofac_*.a
broken=0
for library in "$@"; do
    [ -f "$library" ] || { echo "$library: no such library" && broken=1 && continue; }
    # Lines of objdump: VALUE FLAGS SECTION SIZE NAME, below a line "MEMBER.o: file format ...".
    objdump -t "$library" | awk -v library="${library##*/}" '
        / file format / { member = $1; sub(/:$/, "", member); next }
        NF >= 4 {
            for (i = 2; i <= NF; i++) if ($i ~ /^[.*]/) break
            section = $i
            if ((member == "target.c.o" || member == "xml_schema.c.o") && $NF ~ /^once(\.|$)/) next
            if ($NF == section || $NF ~ /^\.L/) next # the section itself; a label
            if (section ~ /^\.(data\.rel\.ro|rodata)/ || section == "*UND*") next
            if (section ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*|\.lbss|\.ldata)/) {
                printf "%s(%s): variable %s can change (section %s)\n", library, member, $NF, section
                bad = 1
            }
        }
        END { exit bad }' || broken=1
    nm -u "$library" 2>/dev/null | awk -v library="${library##*/}" '
        /:$/ { member = $1; sub(/:$/, "", member); next }
        (member == "child_process.c.o" || member == "stage_process.c.o") && $2 == "_exit" { next } # ends the child that it made
        $2 ~ /^(abort|exit|_exit|_Exit|quick_exit|printf|__printf_chk|puts|putchar|vprintf|perror|stdout|stderr|system|rand|srand|random|strtok|setlocale|signal)$/ {
            printf "%s(%s): %s may not be used in a library\n", library, member, $2
            bad = 1
        }
        $2 ~ /^LLVM(Run|Create)Pass/ {
            printf "%s(%s): %s: no passes of LLVM run over the code of kernels, which emitters write as the code generator wants it\n", library, member, $2
            bad = 1
        }
        END { exit bad }' || broken=1
done
[ $broken = 0 ] && echo "$# libraries keep the rules"
exit $broken
