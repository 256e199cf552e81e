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

# The program itself runs everywhere: what it is made of is the least instruction set.
if command -v objdump >/dev/null && [ "$(uname -m)" = x86_64 ] && [ -z "${POFAC_SANITIZE:-}" ]; then
    objdump -d --no-show-raw-insn "$POFAC" | grep -m 1 -E '%[yz]mm' >found && fail "the program has code of a richer CPU: $(cat found)"
fi
finish
