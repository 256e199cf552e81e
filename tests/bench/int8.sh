#!/bin/bash
# BERT-Base with 90 % zeros in 8 bits against other engines in 8 and in 32 bits: batches of 1, 8 and 32 sequences of 128 and 384 tokens. The model is
# quantized after training with ranges that random tokens give (`pofac quantize`); ONNX Runtime and PyTorch quantize activations as they come, with
# the same weights dense. Logits are compared first. Prints tables in Markdown.
#
#   tests/bench/int8.sh [OPTION...]     options as tests/bench/peers.sh has them, which win over those below
set -euo pipefail
exec "$(dirname "$0")/peers.sh" --quantize="--method=static --requantize_outputs --not_to_requantize_output=output.dense --not_to_requantize_output=value --not_to_requantize_output=classifier" --sparsity=0.9 --texts=none \
    --shapes="1x128 8x128 32x128 1x384 8x384 32x384" --engines="onnxruntime int8 torch torch_int8 pofac_f32" "$@"
