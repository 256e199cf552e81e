#!/bin/bash
# pitfall 23: code and the time to make it depend on the kinds of kernels, not on the depth of a model. The time has much room: it is
# to tell seconds from the minutes of a compiler that looks at everything again and again.
. "$(dirname "$0")/harness.bash"

# measure MODEL: sets kernels, bytes and ms.
measure() {
    run compile "$source_dir/examples/$1.xml" --no_cache
    wants_status 0
    kernels=$(sed -n 's/^kernels  *\([0-9]*\) distinct.*/\1/p' out)
    bytes=$(sed -n 's/^code  *\([0-9]*\) bytes$/\1/p' out)
    ms=$(sed -n 's/^compiled  *in \([0-9]*\)\..* ms$/\1/p' out)
    [ "${kernels:-0}" -ge 5 ] || fail "$last: $kernels kernels, wanted at least 5"
    [ "${kernels:-99}" -le 40 ] || fail "$last: $kernels kernels, wanted at most 40: equal layers share theirs"
    [ "${bytes:-999999}" -lt 150000 ] || fail "$last: $bytes bytes of code, wanted fewer than 150000"
    [ "${ms:-99999}" -lt 30000 ] || fail "$last: compiled in $ms ms, wanted fewer than 30000"
}

measure bert-base
base=$kernels
measure bert-large
[ "$kernels" = "$base" ] || fail "bert-large has $kernels kernels, bert-base $base: wanted as many for 24 layers as for 12"
finish
