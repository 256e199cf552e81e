#!/bin/bash
# examples/generated_language.c: the same seed gives the same files with any compiler, splits have nothing in common, each label and each answer
# is what its text says, by rules of their own here, and articles retell what they have told.
. "$(dirname "$0")/harness.bash"
generator=$build_dir/generated_language

ok "$generator" one 1
ok "$generator" again
ok "$generator" two 2
diff -r one again >difference || fail "seed 1, which is that of no seed, gives two results: $(head -c 500 difference)"
sum=$(cat one/corpus.txt one/polarity/*.tsv one/questions/*.json | cksum)
[ "$sum" = "2056511624 5632259" ] || fail "seed 1 gives other files than with other compilers: $sum"
for file in corpus.txt polarity/{train,dev,test}.tsv questions/{train,dev,test}.json; do
    cmp -s "one/$file" "two/$file" && fail "$file: seeds 1 and 2 give the same"
done

# same FILE... : lines that more than one of the files has.
same() { sort -m -- "$@" | uniq -d | wc -l; }
for seed in one two; do
    for split in dev test train; do
        tail -n +2 "$seed/polarity/$split.tsv" | cut -f1 | sort -u >"$seed.$split.sentences"
        sed -n 's/^{"context": "\([^"]*\)".*/\1/p' "$seed/questions/$split.json" | sort -u >"$seed.$split.contexts"
    done
    for texts in sentences contexts; do
        for wanted in dev=500 test=1000; do
            n=$(wc -l <"$seed.${wanted%=*}.$texts")
            [ "$n" = "${wanted#*=}" ] || fail "$seed: ${wanted%=*} has $n different $texts, wanted ${wanted#*=}"
        done
        [ "$(wc -l <"$seed.train.$texts")" -gt 3500 ] || fail "$seed: train has $(wc -l <"$seed.train.$texts") different $texts"
        for pair in "dev train" "test train" "dev test"; do
            n=$(same "$seed.${pair% *}.$texts" "$seed.${pair#* }.$texts")
            [ "$n" = 0 ] || fail "$seed: $n $texts of ${pair% *} are in ${pair#* }"
        done
    done
    sed -n -E 's/ and (we like it|nobody wants it) \.$/ ./p' "$seed/corpus.txt" | sort -u >"$seed.opinions"
    [ "$(same "$seed.train.sentences" "$seed.opinions")" -gt 500 ] || fail "$seed: opinions of the corpus are not read as those of train are"
    n=$(sort -u "$seed".{dev,test}.sentences | sort -m - "$seed.opinions" | uniq -d | wc -l)
    [ "$n" = 0 ] || fail "$seed: the corpus says how $n sentences of dev and test are meant"
done

# The clause behind "but", the second one behind "although", or the only one decides; a negator in it turns its word.
cat >polarity.awk <<'END'
BEGIN {
    split("good lovely fine useful charming perfect fresh brilliant pleasant splendid", good)
    split("bad awful poor useless boring dreadful stale ugly nasty terrible", bad)
    for (i in good) says[good[i]] = 1
    for (i in bad) says[bad[i]] = -1
    FS = "\t"
}
FNR > 1 {
    clause = $1
    sub(/.* but it /, "", clause)
    if (clause ~ /^although /) sub(/.* it /, "", clause)
    polarity = 0
    turned = 1
    n = split(clause, words, " ")
    for (i = 1; i <= n; i++) {
        if (words[i] in says) polarity += says[words[i]]
        if (words[i] ~ /^(not|never|hardly)$/) turned = -turned
    }
    if (polarity * turned != ($2 == 1 ? 1 : -1)) { print FILENAME ":" FNR ": label " $2 " of: " $1; wrong++ }
    positive += $2
    rows++
}
END {
    print rows, "rows,", wrong + 0, "wrong"
    if (positive < 0.47 * rows || positive > 0.53 * rows) print "positive:", positive
}
END
awk -f polarity.awk one/polarity/*.tsv two/polarity/*.tsv >polarity.txt
[ "$(cat polarity.txt)" = "15000 rows, 0 wrong" ] || fail "polarity: $(tail -n 5 polarity.txt)"

# One fact of the context has the question's words, and the rest of it answers; the answer stands where it says.
cat >questions.awk <<'END'
function value(key, rest) {
    rest = $0
    if (!sub(".*\"" key "\": \"", "", rest)) return ""
    sub(/".*/, "", rest)
    return rest
}
/^{"context"/ {
    n = split(value("context"), facts, / \. | \.$/)
    question = value("question")
    m = split(question, words, " ")
    found = 0
    for (i = 1; i < n; i++) {
        place = facts[i]
        sub(/.* (in|near|behind) the /, "", place)
        before = substr(facts[i], 1, length(facts[i]) - length(place) - 1)
        sub(/ the$/, "", before)
        preposition = before
        sub(/.* /, "", preposition)
        sub(/ [a-z]+$/, "", before)
        split(before, parts, / the /)
        thing = parts[2]
        person = parts[1]
        verb = person
        sub(/.* /, "", verb)
        sub(/ [a-z]+$/, "", person)
        sub(/^the /, "", person)
        if (question ~ /^who / && verb == words[2] && thing ~ "(^| )" words[4] "$") { wanted = person; found++ }
        if (question ~ /^what / && verb == words[5] && person ~ "(^| )" words[4] "$") { wanted = thing; found++ }
        if (question ~ /^where / && verb == words[5] && person ~ "(^| )" words[4] "$" && thing ~ "(^| )" words[7] "$") {
            wanted = preposition " the " place
            found++
        }
    }
    start = $0
    sub(/.*"answer_start": /, "", start)
    text = value("text")
    if (n != 5 || found != 1 || text != wanted || substr(value("context"), start + 1, length(text)) != text) {
        print FILENAME ":" FNR ": " question " " text " (" found " facts answer, the last: " wanted ")"
        wrong++
    }
    kinds[words[1]]++
    rows++
}
END {
    print rows, "rows,", wrong + 0, "wrong"
    for (kind in kinds)
        if (kinds[kind] < 0.3 * rows || kinds[kind] > 0.37 * rows) print kind, kinds[kind]
}
END
awk -f questions.awk one/questions/*.json two/questions/*.json >questions.txt
[ "$(cat questions.txt)" = "15000 rows, 0 wrong" ] || fail "questions: $(tail -n 5 questions.txt)"

# Four facts, an opinion, and each fact again: its verb stands once more.
awk -v RS= -F'\n' '
    NF != 9 || $5 !~ /(nobody wants|we like) it \.$/ { print "article " NR ": " $0; next }
    {
        told = $1 " " $2 " " $3 " " $4
        n = split($6 " " $7 " " $8 " " $9, words, " ")
        again = 0
        for (i = 1; i <= n; i++)
            if (words[i] ~ /[a-z][a-z]ed$/ && index(told, " " words[i] " ")) again++
        if (again != 4) print "article " NR " retells " again " facts: " $0
    }
    END { print NR " articles" }' one/corpus.txt >articles.txt
[ "$(cat articles.txt)" = "6000 articles" ] || fail "articles: $(head -n 12 articles.txt)"

# says STATUS MESSAGE ARGUMENT...: the generator ends so.
says() {
    local wanted=$1 message=$2
    shift 2
    "$generator" "$@" >out 2>err
    [ $? = "$wanted" ] || fail "generated_language $*: not exit status $wanted: $(cat err)"
    grep -qxF "$message" err || fail "generated_language $*: $(cat err)"
}
: >file
says 2 "usage: generated_language DIRECTORY [SEED]"
says 2 "usage: generated_language DIRECTORY [SEED]" three 1x
says 2 "usage: generated_language DIRECTORY [SEED]" three ""
says 1 "generated_language: file/polarity: Not a directory" file
mkdir -p full/polarity full/questions && ln -s /dev/full full/corpus.txt
says 1 "generated_language: full/corpus.txt: could not be written: No space left on device" full
finish
