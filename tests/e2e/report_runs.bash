# Two small runs for tests of `pofac report`, made in the current folder: `dense`, and `pruned` with masks along a schedule; and what reads their pages. Sourced behind
# harness.bash.

make_runs() {
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c d x >vocab.txt
    {
        echo "sentence	label"
        for ((i = 0; i < 64; i++)); do
            case $((i % 4)) in
            0) echo "a b c d	0" ;;
            1) echo "a x c d	1" ;;
            2) echo "b b d a	0" ;;
            *) echo "x d c b	1" ;;
            esac
        done
    } >train.tsv
    cat >recipe.xml <<'XML'
<pofac xmlns="urn:pofac:1">
  <model><bert vocab_size="10" hidden_size="32" num_hidden_layers="2" num_attention_heads="2" intermediate_size="48" max_position_embeddings="16"/>
    <tokenizer vocab="vocab.txt"/></model>
  <data kind="glue" task="sst2" train="train.tsv" eval="train.tsv"/>
  <train max_steps="24" per_device_train_batch_size="8" learning_rate="1e-3" logging_steps="1" eval_steps="8" save_steps="12" report_to="none" output_dir="dense"/>
</pofac>
XML
    run train recipe.xml --threads 1
    wants_status 0
    run train recipe.xml --threads 1 --output_dir pruned --learning_rate 2e-3 --pruning_fn unstructured_magnitude --target_sparsity 0.9 --pruning_frequency 4 \
        --policy_end_step 16 --end_pruning_step 16
    wants_status 0
}

# logged RUN METRIC: the metric's numbers in metrics.jsonl as text, one a line, of lines with another one's step the later.
logged() {
    sed -n "s|^{\"step\": \([0-9]*\),.*\"$2\": \([^,}]*\)[,}].*|\1 \2|p" "$1/metrics.jsonl" | awk '{ if ($1 != last && n) print value; n++; last = $1; value = $2 } END { if (n) print value }'
}
