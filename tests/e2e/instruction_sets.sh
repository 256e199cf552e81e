#!/bin/bash
# pitfall 10: a lower instruction set that is asked for is what the code is made of, and gives the same answers; code of a richer one is
# never taken for it from the cache; one that the machine lacks is refused with a message.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo
printf 'A wonderful film.\nThe plot is boring, and I did not enjoy the music.\n' >texts.txt
cache="$work_dir/cache"
run predict demo texts.txt --cache_dir "$cache"
wants_status 0
cp out answers

# numbers FILE: the probabilities, one line for each answer.
numbers() { tr -c '0-9.\n' ' ' <"$1"; }

supported=0
for isa in $("$POFAC" list targets | cut -d' ' -f1); do
    run predict demo texts.txt --isa "$isa" --no_cache
    if [ $rc != 0 ]; then
        wants_status 2
        wants_quiet out
        grep -qx "error: \(this machine does not support $isa: it lacks .*\|instruction set $isa is not one of this machine's architecture\); it supports .*" err ||
            fail "$last: $(cat err)"
        continue
    fi
    supported=$((supported + 1))
    paste <(numbers out) <(numbers answers) | awk '{ for (i = 1; i <= NF / 2; i++) if (($i - $(i + NF / 2)) ^ 2 > 1e-11) print NR ": " $0 }' >wrong
    [ -s wrong ] && fail "$last: other numbers than those of the native instruction set: $(cat wrong)"
    run compile demo --isa "$isa" --emit asm -o code.s
    wants_status 0
    case $isa in # registers and prefixes that the instruction set does not have
    x86-64) foreign='%[yz]mm|%k[0-7]|^[[:space:]]v[a-z0-9]+[[:space:]]' ;;
    avx2) foreign='%zmm|%k[0-7]|%xmm(1[6-9]|2[0-9]|3[01])|%ymm(1[6-9]|2[0-9]|3[01])' ;;
    *) foreign='there is none' ;;
    esac
    grep -m 1 -E "$foreign" code.s >found && fail "$last: found$(cat found)"
    if [ "$("$POFAC" version | sed -n 's/^instruction set \([^ ]*\).*/\1/p')" != "$isa" ]; then
        rm -rf "$cache.$isa" && cp -r "$cache" "$cache.$isa"
        run compile demo --isa "$isa" --cache_dir "$cache.$isa"
        grep -qE '^kernels +[0-9]+ distinct, 0 from the object cache$' out || fail "$last: $(cat out)"
    fi
done
[ $supported -ge 1 ] || fail "no instruction set is supported"

# The program itself runs everywhere: what it is made of is the least instruction set, but for functions that are called where the processor has theirs. The
# files of those have one name each that others can see, so the linker takes nothing else from them.
if command -v objdump >/dev/null && [ "$(uname -m)" = x86_64 ] && [ -z "${POFAC_SANITIZE:-}" ]; then
    objects=0
    while read -r object; do
        objects=$((objects + 1))
        case $object in
        */hash_avx2.c.o | */hash_avx512.c.o)
            name=$(basename "$object" .c.o)
            [ "$(nm --defined-only --extern-only --format=posix "$object" | cut -d' ' -f1)" = "$name" ] || fail "$object: shows more than $name"
            ;;
        *) objdump -d --no-show-raw-insn "$object" | grep -m 1 -E '%[yz]mm' >found && fail "$object: code of a richer CPU: $(cat found)" ;;
        esac
    done < <(find "$build_dir/CMakeFiles" -path '*/pofac*.dir/*' -name '*.c.o')
    [ $objects -gt 100 ] || fail "found $objects object files of the program, wanted more than 100"
    calls=$(objdump -d --no-show-raw-insn "$POFAC" | grep -cE '(call|jmp) .*<hash_avx(2|512)>')
    [ "$calls" = 2 ] || fail "$calls places call functions of a richer CPU, wanted the 2 in hash_bytes that ask the processor first"
fi
finish
