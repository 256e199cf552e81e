#!/bin/bash
# The pipeline of examples/real-data. As it stands, planned and not run: every stage of the document would run and nothing is written, and a directory
# without the data is one message. Then run whole, of a tiny model, on generated files that lie as the data does: each stage finds what it reads, results have a
# number in every cell, and a second run does nothing. On ../shared/data, where that is, it is planned as well.
. "$(dirname "$0")/harness.bash"
pipeline=$source_dir/examples/real-data/pipeline.xml

# ---- data: sentences of a few words, nothing to be learned ----
mkdir -p data/vocab data/wikipedia data/glue/SST-2 data/glue/RTE data/glue/MRPC data/squad_v1.1
dump=data/wikipedia/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2
awk 'BEGIN {
    for (d = 0; d < 12; d++) {
        for (s = 0; s < 8; s++) printf "word%d follows word%d and ends here. ", (d * s) % 7, (d + s) % 5
        print "\n"
    }
}' >articles.txt
gzip -c articles.txt >data/wikipedia/squad_train_articles_paragraphs.txt.gz
{
    echo '<mediawiki xml:lang="en"><siteinfo><namespaces><namespace key="0" /></namespaces></siteinfo>'
    awk 'NF { printf "<page><title>T%d</title><ns>0</ns><id>%d</id><revision><id>%d</id><text>%s</text></revision></page>\n", NR, NR, NR, $0 }' articles.txt
    echo '</mediawiki>'
} | bzip2 >$dump
# rows TASK N
rows() {
    awk -v task="$1" -v n="$2" 'BEGIN {
        if (task == "sst2") print "sentence\tlabel"
        if (task == "rte") print "index\tsentence1\tsentence2\tlabel"
        if (task == "mrpc") print "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
        for (i = 0; i < n; i++) {
            first = "word" i % 7 " follows word" i % 5
            second = "word" i % 3 " ends"
            if (task == "sst2") print first "\t" i % 2
            if (task == "rte") print i "\t" first "\t" second "\t" (i % 2 ? "entailment" : "not_entailment")
            if (task == "mrpc") print i % 2 "\t" i "\t" i "\t" first "\t" second
        }
    }'
}
rows sst2 64 | gzip >data/glue/SST-2/train.tsv.gz
rows sst2 16 >data/glue/SST-2/dev.tsv
rows rte 32 >data/glue/RTE/train.tsv
rows rte 8 >data/glue/RTE/dev.tsv
rows mrpc 32 >data/glue/MRPC/msr_paraphrase_train.txt
rows mrpc 8 >data/glue/MRPC/msr_paraphrase_test.txt
# questions N
questions() {
    awk -v n="$1" 'BEGIN {
        printf "{\"version\":\"1.1\",\"data\":[{\"title\":\"t\",\"paragraphs\":["
        for (i = 0; i < n; i++)
            printf "%s{\"context\":\"word1 follows word%d and ends here\",\"qas\":[{\"id\":\"q%d\",\"question\":\"what follows word%d\"," \
                   "\"answers\":[{\"text\":\"word1\",\"answer_start\":0}]}]}", i ? "," : "", i % 5, i, i % 5
        print "]}]}"
    }'
}
questions 32 | gzip >data/squad_v1.1/train-v1.1.reconstructed.json.gz
questions 8 | gzip >data/squad_v1.1/dev-A-v1.1.reconstructed.json.gz
run data vocab articles.txt --kind text --vocab_size 80 -o data/vocab/bert-base-uncased-vocab.txt
wants_status 0

# ---- the plan ----
mapfile -t stages < <(sed -n 's/^ *<stage name="\([^"]*\)".*/\1/p' "$pipeline")
[ ${#stages[@]} = 66 ] || fail "the pipeline has ${#stages[@]} stages, wanted 66"
for where in data ${POFAC_SHARED:+"$POFAC_SHARED/data"}; do
    run run "$pipeline" --parameter data="$where" --parameter teacher_steps=20000 --output_dir made --dry_run
    wants_status 0
    for stage in "${stages[@]}"; do
        grep -q "\] $stage  *would run: new$" err || fail "--dry_run on $where does not list the stage $stage"
    done
    [ ! -e made ] || fail "--dry_run has written something"
done
run run "$pipeline" --parameter data=data --sweep seed=1,2 --output_dir made --dry_run
wants_status 0
n=$(grep -c 'would run: new$' err)
[ "$n" = 131 ] || fail "of two seeds $n stages would run, wanted 131: all but the corpus depend on the seed"

run run "$pipeline" --parameter data=nowhere --output_dir made --dry_run
wants_status 3
wants_quiet out
[ "$(grep -c 'error:' err)" = 1 ] && grep -q 'found no file or directory nowhere/wikipedia/enwiki' err || {
    fail "a directory without data, wanted one error that names the first file:"
    cat err
}

# ---- the run ----
sizes='vocab_size="30522" hidden_size="256" num_hidden_layers="4" num_attention_heads="4" intermediate_size="1024" max_position_embeddings="512"'
small='vocab_size="80" hidden_size="16" num_hidden_layers="1" num_attention_heads="2" intermediate_size="32" max_position_embeddings="256"'
grep -q "$sizes" "$pipeline" || fail "the model of the pipeline has other sizes than this test knows"
sed "s/$sizes/$small/" "$pipeline" >small.xml
budget=(--parameter data=data --parameter teacher_steps=4 --parameter pruning_steps=10 --parameter pruning_frequency=2 --parameter policy_end_step=5
    --parameter end_pruning_step=8)
run run small.xml "${budget[@]}" -o made
wants_status 0
[ "$(grep -c '\] .* done in' err)" = 66 ] || fail "not all stages are done: $(cat err)"
[ "$(wc -l <out)" = 12 ] || fail "wanted a table of 10 models, found: $(cat out)"
[ "$(awk -F'|' 'NR > 2 { for (i = 3; i < NF; i++) n += $i ~ /^ [0-9.]+( %)? $/ } END { print n }' out)" = 60 ] || fail "wanted 60 numbers, found: $(cat out)"
run run small.xml "${budget[@]}" -o made
wants_status 0
[ "$(grep -c '\] .* unchanged$' err)" = 66 ] || fail "a second run has done something: $(cat err)"
for zeros in 90 85; do
    run inspect made/squad-$zeros-alone-int8
    wants_status 0
done
run report made -o page.html
wants_status 0
wants_quiet err
finish
