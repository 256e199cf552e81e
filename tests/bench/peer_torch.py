"""PyTorch as one of the engines that bench_peers compares: reads commands, a line each, from standard input (bench_peers.c).

    peer_torch.py VARIANT DIRECTORY

DIRECTORY holds config.json and model.safetensors of a BertForSequenceClassification, in f32. PEER_THREADS is the number of threads. With
PEER_CLOCK=cpu, times are those that the process spent on processors. Variants:

    eager    one call of PyTorch per operation, as Hugging Face's model makes them; queries, keys and values by one linear layer
    layer    torch.nn.TransformerEncoderLayer, whose fast path is one call per layer
    nested   the same in a torch.nn.TransformerEncoder, which drops the padding of batches that have some (nested tensors)
    onednn   eager, with the linear layers of oneDNN instead of OpenBLAS and weights packed beforehand
    int8     eager, with linear layers whose weights are in 8 bits and whose inputs are quantized as they come (oneDNN's)
"""
import json
import os
import sys
import time
import warnings

import torch
import torch.nn.functional as F
import torch.utils.mkldnn
from torch import nn

from torch_files import read_safetensors

CLOCK = time.process_time if os.environ.get("PEER_CLOCK") == "cpu" else time.perf_counter


class Embeddings:
    """Ids and types -> the sum of three embeddings, normalized."""

    def __init__(self, config, weights):
        self.words, self.positions, self.types = (
            weights[f"bert.embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        self.gamma, self.beta = (weights[f"bert.embeddings.LayerNorm.{name}"] for name in ("weight", "bias"))
        self.eps = config["layer_norm_eps"]

    def __call__(self, ids, types):
        x = F.embedding(ids, self.words) + F.embedding(types, self.types) + self.positions[: ids.shape[1]]
        return F.layer_norm(x, self.gamma.shape, self.gamma, self.beta, self.eps)


def joined_projection(weights, prefix, kind):
    """The weights, or the biases, of queries, keys and values, one below the other."""
    return torch.cat([weights[f"{prefix}.attention.self.{name}.{kind}"] for name in ("query", "key", "value")])


def plain_linear(weight, bias):
    """A linear layer of ATen, which calls OpenBLAS."""
    return lambda x: F.linear(x, weight, bias)


def onednn_linear(weight, bias):
    """A linear layer of oneDNN on a weight that it has packed."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
    layer = torch.utils.mkldnn.to_mkldnn(layer.eval())
    return lambda x: layer(x.contiguous())


def int8_linear(weight, bias):
    """A linear layer of PyTorch's dynamic quantization."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
    return torch.quantization.quantize_dynamic(nn.Sequential(layer.eval()), {nn.Linear}, torch.qint8)


class EagerLayer:
    """One layer of the encoder, operation by operation."""

    def __init__(self, config, weights, prefix, make_linear):
        def linear(name):
            return make_linear(weights[f"{prefix}.{name}.weight"], weights[f"{prefix}.{name}.bias"])

        def norm(name):
            gamma, beta = weights[f"{prefix}.{name}.LayerNorm.weight"], weights[f"{prefix}.{name}.LayerNorm.bias"]
            return lambda x: F.layer_norm(x, gamma.shape, gamma, beta, config["layer_norm_eps"])

        self.heads = config["num_attention_heads"]
        self.qkv = make_linear(joined_projection(weights, prefix, "weight"), joined_projection(weights, prefix, "bias"))
        self.attended, self.attended_norm = linear("attention.output.dense"), norm("attention.output")
        self.up, self.down, self.norm = linear("intermediate.dense"), linear("output.dense"), norm("output")

    def __call__(self, x, added_mask, _padding):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = torch.matmul(q * (width // self.heads) ** -0.5, k.transpose(-1, -2))
        if added_mask is not None:
            scores = scores + added_mask
        mixed = torch.matmul(scores.softmax(-1), v).transpose(1, 2).reshape(batch, length, width)
        x = self.attended_norm(self.attended(mixed) + x)
        return self.norm(self.down(F.gelu(self.up(x))) + x)


def encoder_layer(config, weights, prefix):
    """One layer of the encoder as torch.nn has it."""
    layer = nn.TransformerEncoderLayer(
        config["hidden_size"],
        config["num_attention_heads"],
        config["intermediate_size"],
        0.0,
        "gelu",
        config["layer_norm_eps"],
        batch_first=True,
    )
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm1": "attention.output.LayerNorm",
        "norm2": "output.LayerNorm",
    }
    state = {f"{to}.{kind}": weights[f"{prefix}.{name}.{kind}"] for to, name in names.items() for kind in ("weight", "bias")}
    state.update({f"self_attn.in_proj_{kind}": joined_projection(weights, prefix, kind) for kind in ("weight", "bias")})
    layer.load_state_dict(state)
    return layer.eval()


def make_encoder(variant, config, weights):
    """A function (x, added mask, padding) -> x; either mask is None for a batch without padding."""
    prefixes = [f"bert.encoder.layer.{i}" for i in range(config["num_hidden_layers"])]
    if variant in ("eager", "onednn", "int8"):
        make_linear = {"eager": plain_linear, "onednn": onednn_linear, "int8": int8_linear}[variant]
        layers = [EagerLayer(config, weights, prefix, make_linear) for prefix in prefixes]
    elif variant in ("layer", "nested"):
        modules = [encoder_layer(config, weights, prefix) for prefix in prefixes]
        layers = [lambda x, _mask, padding, m=m: m(x, src_key_padding_mask=padding) for m in modules]
    else:
        sys.exit(f"error: the variant is {variant}, wanted eager, layer, nested, onednn or int8")
    if variant == "nested":
        encoder = nn.TransformerEncoder(modules[0], len(modules), enable_nested_tensor=True)
        encoder.layers = nn.ModuleList(modules)
        encoder.eval()
        return lambda x, _mask, padding: encoder(x, src_key_padding_mask=padding)

    def run(x, added_mask, padding):
        for layer in layers:
            x = layer(x, added_mask, padding)
        return x

    return run


class Engine:
    """A model and the batches that it runs."""

    def __init__(self, variant, directory):
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        weights = read_safetensors(os.path.join(directory, "model.safetensors"))
        self.embed = Embeddings(config, weights)
        self.encode = make_encoder(variant, config, weights)
        self.pooler = [weights[f"bert.pooler.dense.{kind}"] for kind in ("weight", "bias")]
        self.classifier = [weights[f"classifier.{kind}"] for kind in ("weight", "bias")]
        self.batches = []

    def load(self, path):
        """Batches of a file; returns how many."""
        tensors = read_safetensors(path)
        names = ("input_ids", "attention_mask", "token_type_ids")
        self.batches = [[tensors[f"{i}.{name}"] for name in names] for i in range(len(tensors) // len(names))]
        return len(self.batches)

    def run_batch(self, ids, mask, types):
        """The logits of one batch. A mask that keeps everything is left out, which spares the engine work."""
        padding = added_mask = None
        if not mask.all():
            padding = mask == 0
            added_mask = torch.zeros(mask.shape).masked_fill(padding, torch.finfo(torch.float32).min)[:, None, None, :]
        x = self.encode(self.embed(ids, types), added_mask, padding)
        return F.linear(torch.tanh(F.linear(x[:, 0], *self.pooler)), *self.classifier)

    def run(self):
        """Milliseconds of all batches, one after the other."""
        start = CLOCK()
        for batch in self.batches:
            self.run_batch(*batch)
        return (CLOCK() - start) * 1e3

    def logits(self):
        """Of all batches, flat."""
        return torch.cat([self.run_batch(*batch).flatten() for batch in self.batches]).tolist()


def main():
    """Answers commands until standard input ends."""
    warnings.filterwarnings("ignore", message=".*nested tensors.*")
    torch.set_num_threads(int(os.environ["PEER_THREADS"]))
    torch.backends.quantized.engine = "onednn"
    with torch.inference_mode():
        engine = Engine(sys.argv[1], sys.argv[2])
        print("ready", flush=True)
        for line in sys.stdin:
            command, _, argument = line.rstrip("\n").partition(" ")
            if command == "load":
                print("loaded", engine.load(argument), flush=True)
            elif command == "run":
                print(f"ms {engine.run():.6f}", flush=True)
            elif command == "logits":
                print("logits", *(f"{x:.9g}" for x in engine.logits()), flush=True)
            else:
                sys.exit(f'error: found the command "{line.strip()}", wanted load FILE, run or logits')


main()
