# What the tests of examples/recipes share; sourced after harness.bash. The folder gets the recipes with models and data of the names that they ask for.
#
#   recipe_models SIZE           directories of models with random weights: SIZE tiny (the encoders have width 16) or full
#   recipe_sparse_models SIZE    the results of stage 3, which learn to compute in 8 bits
#   recipe_data                  a few documents as shards, a few rows of each task, a few questions
#   dry_runs FILE STEPS LINE...  `pofac train FILE --dry_run` succeeds, has so many steps, and its output has these lines (regular expressions)
recipe_vocab=100 # tokens; of full size BERT's

cp "$source_dir"/examples/recipes/*.xml . || exit 1

# encoder SIZE NAME: the element that describes it.
encoder() {
    case $1-$2 in
    tiny-distilbert) echo "<distilbert vocab_size=\"$recipe_vocab\" hidden_size=\"16\" num_hidden_layers=\"2\" num_attention_heads=\"2\" intermediate_size=\"32\"/>" ;;
    tiny-bert-large) echo "<bert vocab_size=\"$recipe_vocab\" hidden_size=\"24\" num_hidden_layers=\"3\" num_attention_heads=\"2\" intermediate_size=\"32\"/>" ;;
    tiny-*) echo "<bert vocab_size=\"$recipe_vocab\" hidden_size=\"16\" num_hidden_layers=\"2\" num_attention_heads=\"2\" intermediate_size=\"32\"/>" ;;
    full-distilbert) echo '<distilbert/>' ;;
    full-bert-large) echo '<bert hidden_size="1024" num_hidden_layers="24" num_attention_heads="16" intermediate_size="4096"/>' ;;
    *) echo '<bert/>' ;;
    esac
}

# recipe_model SIZE ENCODER DIRECTORY ZEROS HEAD [LABEL...]
recipe_model() {
    local size=$1 name=$2 directory=$3 zeros=$4 head=$5 label labels=
    shift 5
    for label; do labels+="<label name=\"$label\"/>"; done
    echo "<pofac xmlns=\"urn:pofac:1\"><model head=\"$head\">$(encoder "$size" "$name")$labels<tokenizer vocab=\"vocab.txt\"/></model></pofac>" >description.xml
    ok "$POFAC" prune description.xml -o "$directory" --target_sparsity "$zeros" --not_to_prune 'cls|vocab_|classifier|qa_outputs'
}

recipe_words() {
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' . '?' a b c d e f g x
    seq -f 'word%.0f' $((recipe_vocab - 15))
}

recipe_models() {
    [ "$1" = tiny ] || recipe_vocab=30522
    recipe_words >vocab.txt
    recipe_model "$1" bert-base bert-base-uncased 0 pretraining
    recipe_model "$1" bert-large bert-large-uncased 0 pretraining
    recipe_model "$1" distilbert distilbert-base-uncased 0 masked-lm
    recipe_model "$1" bert-base bert-base-sparse-90 0.9 pretraining
    recipe_model "$1" distilbert distilbert-sparse-90 0.9 masked-lm
    recipe_model "$1" bert-base bert-base-mnli 0 sequence-classification entailment neutral contradiction
    recipe_model "$1" bert-base bert-base-qqp 0 sequence-classification not_duplicate duplicate
    recipe_model "$1" bert-base bert-base-qnli 0 sequence-classification entailment not_entailment
    recipe_model "$1" bert-base bert-base-sst2 0 sequence-classification negative positive
    recipe_model "$1" distilbert distilbert-squad 0 question-answering
    for name in bert-base bert-large; do ln -s "$name-uncased" "$name-teacher"; done
    ln -s distilbert-base-uncased distilbert-teacher
}

recipe_sparse_models() {
    recipe_model "$1" bert-base bert-base-sparse-90-mnli 0.9 sequence-classification entailment neutral contradiction
    recipe_model "$1" bert-base bert-base-sparse-90-qqp 0.9 sequence-classification not_duplicate duplicate
    recipe_model "$1" bert-base bert-base-sparse-90-qnli 0.9 sequence-classification entailment not_entailment
    recipe_model "$1" bert-base bert-base-sparse-90-sst2 0.9 sequence-classification negative positive
    recipe_model "$1" distilbert distilbert-sparse-90-squad 0.9 question-answering
}

recipe_data() {
    local i
    for i in $(seq 24); do printf 'a b c d e f g x.\nb c d e f g a.\nc d e f a b.\n\n'; done >corpus.txt
    ok "$POFAC" data build corpus.txt -o wikipedia --vocab vocab.txt --max_seq_length 512 --validation_share 0.2
    mkdir -p glue/MNLI glue/QQP glue/QNLI glue/SST-2 squad
    printf 'sentence1\tsentence2\tgold_label\na b c\tc d\tentailment\nd e\tf g a\tneutral\na x\tx b\tcontradiction\n' | tee glue/MNLI/train.tsv >glue/MNLI/dev_matched.tsv
    printf 'question1\tquestion2\tis_duplicate\na b ?\tb a ?\t1\nc ?\td ?\t0\n' | tee glue/QQP/train.tsv >glue/QQP/dev.tsv
    printf 'question\tsentence\tlabel\na b ?\tb a.\tentailment\nc ?\td.\tnot_entailment\n' | tee glue/QNLI/train.tsv >glue/QNLI/dev.tsv
    printf 'sentence\tlabel\na b\t1\nc d\t0\n' | tee glue/SST-2/train.tsv >glue/SST-2/dev.tsv
    printf '{"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "a b c d e f g x", "qas": [{"id": "1", "question": "a b?", "answers": [{"text": "d e", "answer_start": 6}]}]}]}]}' \
        | tee squad/train-v1.1.json >squad/dev-v1.1.json
}

dry_runs() {
    local file=$1 steps=$2 line
    shift 2
    run train "$file" --dry_run
    wants_status 0
    for line in "^steps  *$steps\$" '^parameters  *[1-9]' '  in all  *[1-9]' "$@"; do
        grep -q -e "$line" out || fail "$last: no line \"$line\" in $(cat out)"
    done
}
