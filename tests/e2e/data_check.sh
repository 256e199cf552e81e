#!/bin/bash
# pofac data check: what files of tasks hold, as golden/data_check.txt shows it; bad rows, wrong options, and the whole of SST-2 and QQP as they
# are found in the wild.
. "$(dirname "$0")/harness.bash"
ok "$build_dir/demo_model" demo

mkdir sst2
printf 'sentence\tlabel\na lovely film\t1\nnot so good\t0\n' >sst2/train.tsv
printf '{"sentence": "dull", "label": "negative"}\n' >sst2/validation.jsonl
shows data check --task sst2 sst2
shows data check --task SST-2 sst2/train.tsv --vocab demo/vocab.txt --max-seq-length 5
gzip -nk sst2/train.tsv
shows data check --task sst2 sst2/train.tsv.gz --model demo
printf 'id,tweet,mood\n1,"so, so",glad\n2,"oh ""no""",sad\n3,,sad\n' >own.csv
shows data check --task classification own.csv --text_column tweet --label_column mood
shows data check --task classification own.csv --text_column tweet --label_column mood --skip_bad_rows
shows data check --task classification own.csv --text_column text
printf 'EU NNP I-ORG\nis VBZ O\n\nPeter NNP I-PER\n' >words.conll
shows data check --task token-classification words.conll --tag_scheme iob2
shows data check --task token-classification words.conll --label_column 2
printf '0\t6\tA\tB\n' >scores.tsv
shows data check --task stsb scores.tsv
shows data check --task mnli sst2/train.tsv
shows data check --task mnli sst2
shows data check --task squad sst2/train.tsv
shows data check --task sst sst2
shows data check sst2
shows data check --task sst2 nosuch.tsv
wants_golden transcript data_check.txt

if [ -n "${POFAC_SHARED:-}" ]; then
    run data check --task sst2 "$POFAC_SHARED/data/glue/SST-2" --vocab "$POFAC_SHARED/data/vocab/bert-base-uncased-vocab.txt"
    wants_status 0
    grep -q '"rows": 68221, "unlabelled": 0, "bad_rows": 0, "labels": {"negative": 30208, "positive": 38013}' out || fail "SST-2: $(cat out)"
    run data check --task qqp "$POFAC_SHARED/data/glue/QQP/dev.tsv" --skip_bad_rows
    wants_status 0
    grep -q '"rows": 9917, "unlabelled": 0, "bad_rows": 83' out || fail "QQP: $(cat out)"
fi
finish
