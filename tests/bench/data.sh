#!/bin/bash
# How fast `pofac data build` makes shards of a corpus, and how its time and memory grow with the corpus: the corpus is taken once, twice, four times ... Prints a
# table in Markdown: MB (of the corpus as it decompresses) per second of processor time, that is per core; the seconds that passed; peak memory; and what 90 GB of XML would take
# on 16 cores. Fails when processor time grows faster than linearly: the exponent of the least-squares fit on logarithms is above 1.15.
#
#   tests/bench/data.sh [--option=value...] [CORPUS...]      default: the dump and the articles of ../shared/data/wikipedia
#
#   --build=DIR          where the program is, default build/release
#   --vocab=FILE         default: bert-base-uncased's in ../shared/data/vocab
#   --times="1 2 ..."    how often the corpus is taken; default 4 8 16
#   --threads=N          default 1
#   --rounds=N           runs of each size, of which the one with the least processor time counts; default 3
#
# A CORPUS is a dump (.xml, .xml.bz2, or .bz2 of one), which is grown by repeating its pages, or plain text (.txt, .txt.gz).
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."
shared=${POFAC_SHARED:-../shared}

build=build/release
vocab=$shared/data/vocab/bert-base-uncased-vocab.txt
times="4 8 16"
threads=1
rounds=3
corpora=()
for option; do
    case $option in
    --build=* | --vocab=* | --times=* | --threads=* | --rounds=*)
        name=${option%%=*}
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    -*)
        echo "error: unknown option $option; see the comment on top of tests/bench/data.sh" >&2
        exit 2
        ;;
    *) corpora+=("$option") ;;
    esac
done
[ ${#corpora[@]} -gt 0 ] || corpora=("$shared"/data/wikipedia/enwiki-*.bz2 "$shared"/data/wikipedia/squad_train_articles_paragraphs.txt.gz)
for file in "$build/pofac" "$vocab" "${corpora[@]}"; do
    [ -e "$file" ] || {
        echo "error: there is no $file" >&2
        exit 1
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# repeat_xml FILE N: the dump with its pages N times.
repeat_xml() {
    local i first last
    first=$(grep -n -m 1 '<page>' "$1" | cut -d: -f1)
    last=$(grep -n '</page>' "$1" | tail -n 1 | cut -d: -f1)
    head -n $((first - 1)) "$1"
    sed -n "$first,${last}p" "$1" >"$work/pages"
    for ((i = 0; i < $2; i++)); do cat "$work/pages"; done
    tail -n +$((last + 1)) "$1"
}

# repeat_text FILE N
repeat_text() {
    local i
    for ((i = 0; i < $2; i++)); do
        cat "$1"
        echo
    done
}

# measure KIND FILE N: "KIND N BYTES PROCESSOR_SECONDS SECONDS PEAK_BYTES"
measure() {
    local round
    for ((round = 0; round < rounds; round++)); do
        rm -rf "$work/out"
        "$build/pofac" data build "$2" -o "$work/out" --vocab "$vocab" --threads "$threads" >"$work/result.json" 2>"$work/messages" || {
            cat "$work/messages" >&2
            exit 1
        }
        sed 's/.*"corpus": {"bytes": \([0-9]*\).*"seconds": \([0-9.]*\), "processor_seconds": \([0-9.]*\), "peak_memory_bytes": \([0-9]*\).*/\1 \3 \2 \4/' "$work/result.json"
    done | sort -k2,2g | head -n 1 | sed "s/^/$1 $3 /"
}

for corpus in "${corpora[@]}"; do
    case $corpus in
    *.bz2) bzip2 -dc "$corpus" >"$work/one" ;;
    *.gz) gzip -dc "$corpus" >"$work/one" ;;
    *) cp "$corpus" "$work/one" ;;
    esac
    kind=text
    if head -c 1000 "$work/one" | grep -q '<mediawiki'; then kind=xml; fi
    for n in $times; do
        repeat_$kind "$work/one" "$n" >"$work/corpus.$kind"
        [ $kind = text ] && mv "$work/corpus.text" "$work/corpus.txt" && measure text "$work/corpus.txt" "$n"
        [ $kind = xml ] && measure xml "$work/corpus.xml" "$n"
        if [ $kind = xml ]; then
            bzip2 -kf "$work/corpus.xml"
            measure xml.bz2 "$work/corpus.xml.bz2" "$n"
        fi
    done
done >"$work/table"

awk -v threads="$threads" '
    BEGIN {
        printf "| corpus | times | MB | MB/s per core | seconds, %d thread%s | peak memory, MB |\n|---|---|---|---|---|---|\n", threads, threads == 1 ? "" : "s"
    }
    {
        printf "| %s | %d | %.1f | %.1f | %.2f | %.0f |\n", $1, $2, $3 / 1e6, $3 / 1e6 / $4, $5, $6 / 1e6
        if (!($1 in n)) kinds[++n_kinds] = $1
        x = log($3); y = log($4)
        n[$1]++; sx[$1] += x; sy[$1] += y; sxx[$1] += x * x; sxy[$1] += x * y
        rate[$1] = $3 / $4
    }
    END {
        print ""
        for (i = 1; i <= n_kinds; i++) {
            k = kinds[i]
            d = n[k] * sxx[k] - sx[k] * sx[k]
            if (d > 0) {
                e = (n[k] * sxy[k] - sx[k] * sy[k]) / d
                printf "%s: processor time grows with exponent %.3f\n", k, e
                if (e > 1.15) bad = 1
            }
            if (k ~ /xml/) printf "%s: 90 GB on 16 cores at %.1f MB/s per core: %.1f minutes\n", k, rate[k] / 1e6, 90e9 / rate[k] / 16 / 60
        }
        exit bad
    }' "$work/table"
