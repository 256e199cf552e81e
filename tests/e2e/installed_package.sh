#!/bin/bash
# The package as its users have it: installed into a folder of its own, the examples built there by pkg-config - with the shared and with the
# static library - and by find_package(pofac), and what they print held against the program's. The header is C99 and C++; the libraries have the
# names that it declares, and no other.
. "$(dirname "$0")/harness.bash"
if [ -n "${POFAC_SANITIZE:-}" ]; then
    echo "SKIP: built with sanitizers, which nobody installs; tests/unit/api runs the same code under them"
    exit 77
fi

ok env DESTDIR="$PWD/staged" cmake --install "$build_dir" --prefix /opt/pofac || finish
prefix=$PWD/staged/opt/pofac
pc=$(find "$prefix" -name pofac.pc)
[ -n "$pc" ] || { fail "pofac.pc is not installed" && finish; }
lib=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH=${pc%/*}
cc=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$build_dir/CMakeCache.txt")
examples=(classify predict_threads train_steps)
for name in "${examples[@]}"; do cp "$source_dir/examples/$name.c" .; done

# ---- names ----

tr '\n' ' ' <"$prefix/include/pofac.h" | sed 's|/\*[^*]*\*/||g' | grep -o 'POFAC_API [^;]*;' | grep -o 'pofac_[a-z_]*(' | tr -d '(' | sort -u >declared
[ "$(wc -l <declared)" -ge 20 ] || fail "found $(wc -l <declared) functions in pofac.h, wanted 20 or more"
nm -D --defined-only "$lib/libpofac.so" | awk '{ print $3 }' | sort >exported
nm -g --defined-only "$lib/libpofac.a" | awk 'NF == 3 { print $3 }' | sort >global
ok diff declared exported
ok diff declared global

# ---- built by pkg-config ----

read -ra flags <<<"$(pkg-config --cflags pofac)"
read -ra shared <<<"$(pkg-config --libs pofac)"
read -ra static <<<"$(pkg-config --static --libs pofac | sed 's/-lpofac/-l:libpofac.a/')"
mkdir shared static
build() { ok "$cc" -Wall -Wextra -Werror "$1.c" "${flags[@]}" "${@:3}" -pthread -o "$2/$1"; }
for name in "${examples[@]}"; do build "$name" shared "${shared[@]}"; done
for name in classify train_steps; do build "$name" static "${static[@]}"; done
readelf -d shared/classify | grep -q 'NEEDED.*libpofac' || fail "shared/classify does not need libpofac.so"
readelf -d static/classify | grep -q 'NEEDED.*libpofac' && fail "static/classify needs libpofac.so"

# ---- built by find_package ----

mkdir cmake
cat >cmake/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(uses_pofac LANGUAGES C)
find_package(pofac 0.1 REQUIRED)
find_package(Threads REQUIRED)
add_executable(predict_threads ../predict_threads.c)
target_link_libraries(predict_threads PRIVATE pofac::shared Threads::Threads)
add_executable(classify_static ../classify.c)
target_link_libraries(classify_static PRIVATE pofac::static)
END
ok cmake -S cmake -B cmake/build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc"
ok cmake --build cmake/build

# Without the packages of the static library the shared one is found all the same.
mkdir alone
cat >alone/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(uses_pofac LANGUAGES C)
set(CMAKE_DISABLE_FIND_PACKAGE_PkgConfig ON)
find_package(pofac 0.1 REQUIRED COMPONENTS ${WANTED})
add_executable(classify ../classify.c)
target_link_libraries(classify PRIVATE pofac::${LINKED})
END
alone() { cmake -S alone -B "alone/$1-$2" -DWANTED="$1" -DLINKED="$2" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" >alone_out 2>&1; }
alone shared shared || fail "pofac::shared without packages: $(cat alone_out)"
ok cmake --build alone/shared-shared
alone shared static && fail "pofac::static is linked without its packages"
grep -q 'pofac::packages_of_the_static_library' alone_out || fail "pofac::static without packages: $(cat alone_out)"
alone static shared && fail "the component static is found without its packages"
grep -q 'packages that it wants are missing' alone_out || fail "component static: $(cat alone_out)"

# ---- the code of docs/api.md ----

{
    printf '#include <pofac.h>\n#include <stdio.h>\nint main(void) {\n    pofac_status status;\n    pofac_log log = {NULL, NULL};\n    pofac_model *model = NULL;\n'
    printf '    pofac_predictor *predictor = NULL;\n    pofac_trainer *trainer = NULL;\n    pofac_text texts[] = {{"It is good.", NULL}};\n'
    printf '    const size_t n = 1;\n    const pofac_answer *const *answers;\n'
    awk '/^```c$/ { inside = 1; print "    {"; next } /^```/ { if (inside) print "    }"; inside = 0 } inside' "$source_dir/docs/api.md"
    printf '    return status;\n}\n'
} >page.c
[ "$(grep -c 'pofac_.*_OPTIONS_INIT' page.c)" = 2 ] || fail "docs/api.md: wanted two blocks of C, found $(cat page.c)"
ok "$cc" -std=c99 -pedantic -Wall -Wextra -Werror page.c "${flags[@]}" "${shared[@]}" -o page

# ---- the header by itself ----

printf '#include <pofac.h>\nint main(void) {\n    pofac_model_options a = POFAC_MODEL_OPTIONS_INIT;\n    pofac_predictor_options b = POFAC_PREDICTOR_OPTIONS_INIT;\n    pofac_trainer_options c = POFAC_TRAINER_OPTIONS_INIT;\n    pofac_model_info d = POFAC_MODEL_INFO_INIT;\n    pofac_step e = POFAC_STEP_INIT;\n    return !(pofac_version()[0] && a.size_bytes && b.size_bytes && c.size_bytes && d.size_bytes && e.size_bytes);\n}\n' >header.c
ok "$cc" -std=c99 -pedantic -Wall -Wextra -Werror header.c "${flags[@]}" "${shared[@]}" -o header_c && ok env LD_LIBRARY_PATH="$lib" ./header_c
if command -v g++ >/dev/null; then
    cp header.c header.cc
    ok g++ -std=c++11 -pedantic -Wall -Wextra -Werror header.cc "${flags[@]}" "${shared[@]}" -o header_cc && ok env LD_LIBRARY_PATH="$lib" ./header_cc
fi

# ---- elsewhere ----

# The package may be moved, also to where a name has a space.
mkdir 'moved here' && cp -r "$prefix" 'moved here/pofac'
moved=$PWD/moved\ here/pofac
eval "words=($(PKG_CONFIG_PATH=${PKG_CONFIG_PATH/#"$prefix"/$moved} pkg-config --cflags --libs pofac))"
ok "$cc" classify.c "${words[@]}" -o moved_classify && ok env LD_LIBRARY_PATH="${lib/#"$prefix"/$moved}" ldd moved_classify
[[ "${words[*]}" == *"-I$moved/"*"/include "* ]] || fail "pofac.pc with a space: found ${words[*]}"
ok cmake -S cmake -B cmake/moved -DCMAKE_PREFIX_PATH="$moved" -DCMAKE_C_COMPILER="$cc"
ok cmake --build cmake/moved

# ---- what they do ----

ok "$build_dir/demo_model" demo
for i in 1 2 3 4 5 6 7 8; do printf 'A wonderful film with a great cast.\nIt is not good.\nbad\nNot bad at all.\nThe %d. film\n' $i; done >texts.txt
run predict demo texts.txt
wants_status 0
cp out wanted.jsonl
run compile demo -o demo.pofac
wants_status 0
export LD_LIBRARY_PATH=$lib
for how in "shared/predict_threads demo texts.txt 1" "shared/predict_threads demo texts.txt 3" "cmake/build/predict_threads demo texts.txt 3" \
    "shared/predict_threads demo.pofac texts.txt 2"; do
    ok sh -c "./$how >found.jsonl" && ok cmp wanted.jsonl found.jsonl
done
head -n 5 texts.txt | sed 's/.*/"&"/' | xargs ./static/classify demo >labels || fail "classify: exit status $?"
sed 's/^{"label": "\([a-z]*\)".*/\1/' wanted.jsonl | head -n 5 >wanted_labels
ok diff <(cut -f1 labels) wanted_labels
cut -f1 labels | sort -u | wc -l | grep -qx 2 || fail "classify: wanted both labels among $(cut -f1 labels | paste -sd ' ')"
head -n 5 texts.txt | sed 's/.*/"&"/' | xargs ./cmake/build/classify_static demo >found || fail "classify_static: exit status $?"
ok cmp found labels

./shared/classify nothing text >found 2>err
[ $? = 3 ] || fail "classify nothing: wanted exit status 3"
grep -q '^nothing: error: no such file or directory, wanted a Hugging Face directory' err || fail "classify nothing: $(cat err)"

# ---- training ----

cat >recipe.xml <<'END'
<pofac xmlns="urn:pofac:1">
  <model head="sequence-classification" num_labels="2">
    <bert vocab_size="32" hidden_size="32" num_hidden_layers="1" num_attention_heads="2" intermediate_size="64" max_position_embeddings="16"/>
    <tokenizer vocab="letters.txt"/>
  </model>
  <data kind="glue" task="sst2" train="train.tsv" eval="dev.tsv" max_seq_length="16"/>
  <train output_dir="unused" max_steps="6" per_device_train_batch_size="4" learning_rate="1e-3" logging_steps="2" eval_steps="3"/>
</pofac>
END
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' {a..z} >letters.txt
{ echo $'sentence\tlabel' && for letter in {a..z}; do echo "$letter b $letter"$'\t'$((36#$letter % 2)); done; } >train.tsv
cp train.tsv dev.tsv
run train recipe.xml --output_dir by_program
wants_status 0
for program in shared static; do
    ok sh -c "./$program/train_steps recipe.xml by_$program >steps"
    [ "$(grep -c '^step . of 6: loss ' steps)" = 6 ] || fail "$program/train_steps: wanted 6 steps, found $(cat steps)"
    grep -q '^accuracy ' steps || fail "$program/train_steps: no accuracy in $(cat steps)"
    ok cmp "by_$program/model.safetensors" by_program/model.safetensors
done
./shared/train_steps recipe.xml by_nobody learn_rate=1 >steps 2>err
[ $? = 2 ] || fail "train_steps learn_rate=1: wanted exit status 2"
ok diff err - <<<'error: found the option "learn_rate", wanted an option of a recipe (pofac train --help)'
finish
