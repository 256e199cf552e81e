"""Steps of training by PyTorch as one of the engines that bench_peers compares: reads commands, a line each, from standard input.

    peer_torch_train.py VARIANT DIRECTORY

DIRECTORY holds config.json and model.safetensors of a BertForSequenceClassification or BertForPreTraining, in f32. PEER_THREADS is the
number of threads. With PEER_CLOCK=cpu, times are those that the process spent on processors. A step: forward with dropout, backward, clipping to a norm of 1, AdamW (foreach), the batch in memory. Variants:

    gathered    the head of masked language models computes the tokens that have labels alone
    all         it computes all tokens, as Hugging Face's model does
"""
import ctypes
import gc
import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from torch_files import read_safetensors

CLOCK = time.process_time if os.environ.get("PEER_CLOCK") == "cpu" else time.perf_counter
IGNORED = -100  # a label that does not count


class Layer(nn.Module):
    """One layer of the encoder; queries, keys and values by one linear layer."""

    def __init__(self, config):
        super().__init__()
        hidden, inner, eps = config["hidden_size"], config["intermediate_size"], config["layer_norm_eps"]
        self.heads = config["num_attention_heads"]
        self.qkv, self.attended = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, inner), nn.Linear(inner, hidden)
        self.attended_norm, self.norm = nn.LayerNorm(hidden, eps), nn.LayerNorm(hidden, eps)
        self.drop = nn.Dropout(config["hidden_dropout_prob"])
        self.drop_probabilities = nn.Dropout(config["attention_probs_dropout_prob"])

    def forward(self, x, added_mask):
        """[B,S,E] -> [B,S,E]; the mask may be None."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = torch.matmul(q * (width // self.heads) ** -0.5, k.transpose(-1, -2))
        if added_mask is not None:
            scores = scores + added_mask
        mixed = torch.matmul(self.drop_probabilities(scores.softmax(-1)), v).transpose(1, 2).reshape(batch, length, width)
        x = self.attended_norm(self.drop(self.attended(mixed)) + x)
        return self.norm(self.drop(self.down(F.gelu(self.up(x)))) + x)

    def load(self, weights, prefix):
        """Parameters under Hugging Face's names."""
        names = {
            "attended": "attention.output.dense",
            "attended_norm": "attention.output.LayerNorm",
            "up": "intermediate.dense",
            "down": "output.dense",
            "norm": "output.LayerNorm",
        }
        state = {f"{to}.{kind}": weights[f"{prefix}.{name}.{kind}"] for to, name in names.items() for kind in ("weight", "bias")}
        for kind in ("weight", "bias"):
            parts = [weights[f"{prefix}.attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
            state[f"qkv.{kind}"] = torch.cat(parts)
        self.load_state_dict(state)


class Bert(nn.Module):
    """The encoder, the pooler, and the head whose parameters the weights have."""

    def __init__(self, config, weights, gathered):
        super().__init__()
        hidden, eps = config["hidden_size"], config["layer_norm_eps"]
        self.gathered = gathered
        self.words, self.positions, self.types = (
            nn.Embedding.from_pretrained(weights[f"bert.embeddings.{name}_embeddings.weight"], freeze=False)
            for name in ("word", "position", "token_type")
        )
        self.norm, self.drop = nn.LayerNorm(hidden, eps), nn.Dropout(config["hidden_dropout_prob"])
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.pooler = nn.Linear(hidden, hidden)
        self.put(self.norm, weights, "bert.embeddings.LayerNorm")
        self.put(self.pooler, weights, "bert.pooler.dense")
        for i, layer in enumerate(self.layers):
            layer.load(weights, f"bert.encoder.layer.{i}")
        self.pretrains = "cls.predictions.bias" in weights
        if self.pretrains:
            self.transform, self.transform_norm = nn.Linear(hidden, hidden), nn.LayerNorm(hidden, eps)
            self.bias, self.classifier = nn.Parameter(weights["cls.predictions.bias"]), nn.Linear(hidden, 2)
            self.put(self.transform, weights, "cls.predictions.transform.dense")
            self.put(self.transform_norm, weights, "cls.predictions.transform.LayerNorm")
            self.put(self.classifier, weights, "cls.seq_relationship")
        else:
            self.classifier = nn.Linear(hidden, weights["classifier.weight"].shape[0])
            self.put(self.classifier, weights, "classifier")
            dropout = config.get("classifier_dropout")
            self.drop_pooled = nn.Dropout(config["hidden_dropout_prob"] if dropout is None else dropout)

    @staticmethod
    def put(module, weights, prefix):
        """Weight and bias of a module."""
        module.load_state_dict({kind: weights[f"{prefix}.{kind}"] for kind in ("weight", "bias")})

    def predictions_loss(self, x, labels):
        """Cross entropy of the tokens that have labels."""
        x, labels = x.flatten(0, 1), labels.flatten()
        if self.gathered:
            rows = (labels != IGNORED).nonzero().squeeze(1)
            x, labels = x[rows], labels[rows]
        return F.cross_entropy(self.predict(x), labels, ignore_index=IGNORED)

    def encode(self, batch):
        """Hidden states [B,S,E], and those of first tokens after the pooler [B,E]."""
        ids, mask = batch["input_ids"], batch["attention_mask"]
        added_mask = None
        if not mask.all():
            added_mask = torch.zeros(mask.shape).masked_fill(mask == 0, torch.finfo(torch.float32).min)[:, None, None, :]
        x = self.words(ids) + self.types(batch["token_type_ids"]) + self.positions.weight[: ids.shape[1]]
        x = self.drop(self.norm(x))
        for layer in self.layers:
            x = layer(x, added_mask)
        return x, torch.tanh(self.pooler(x[:, 0]))

    def predict(self, x):
        """Logits over the vocabulary; the decoder is the word embedding."""
        return F.linear(self.transform_norm(F.gelu(self.transform(x))), self.words.weight, self.bias)

    def forward(self, batch):
        """The loss."""
        x, pooled = self.encode(batch)
        if self.pretrains:
            return self.predictions_loss(x, batch["labels"]) + F.cross_entropy(
                self.classifier(pooled), batch["next_sentence_label"]
            )
        return F.cross_entropy(self.classifier(self.drop_pooled(pooled)), batch["labels"])


class Engine:
    """A model with its optimizer, and the batches that it trains on."""

    def __init__(self, variant, directory):
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        weights = read_safetensors(os.path.join(directory, "model.safetensors"))
        self.model = self.make_model(config, weights, variant)
        decayed, others = [], []
        for parameter in self.model.parameters():
            (decayed if parameter.dim() > 1 else others).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=1e-5, foreach=True
        )
        self.batches = []

    def make_model(self, config, weights, variant):
        """What gives the loss of a batch."""
        return Bert(config, weights, variant == "gathered")

    def load(self, path):
        """Batches of a file; returns how many."""
        tensors = read_safetensors(path)
        self.batches = [{} for _ in {name.partition(".")[0] for name in tensors}]
        for name, tensor in tensors.items():
            number, _, key = name.partition(".")
            self.batches[int(number)][key] = tensor
        return len(self.batches)

    def step(self, batch):
        """One step of AdamW."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if not math.isfinite(loss.item()):
            sys.exit("error: the loss is not finite")

    def run(self):
        """Milliseconds of a step for each batch."""
        self.model.train()
        start = CLOCK()
        for batch in self.batches:
            self.step(batch)
        return (CLOCK() - start) * 1e3

    def losses(self):
        """Of all batches, without dropout. Peaks of memory count from here on."""
        self.model.eval()
        with torch.no_grad():
            losses = [self.model(batch).item() for batch in self.batches]
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # VmHWM = VmRSS
        return losses


def peak_memory():
    """Kilobytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


def serve(engine):
    """Answers commands until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        command, _, argument = line.rstrip("\n").partition(" ")
        if command == "load":
            print("loaded", engine.load(argument), flush=True)
        elif command == "run":
            print(f"ms {engine.run():.6f}", flush=True)
        elif command == "logits":
            print("logits", *(f"{x:.9g}" for x in engine.losses()), flush=True)
        elif command == "memory":
            print("kb", peak_memory(), flush=True)
        else:
            sys.exit(f'error: found the command "{line.strip()}", wanted load FILE, run, logits or memory')


def main():
    """An engine of the variant and directory that the command line names."""
    if sys.argv[1] not in ("gathered", "all"):
        sys.exit(f"error: the variant is {sys.argv[1]}, wanted gathered or all")
    torch.set_num_threads(int(os.environ["PEER_THREADS"]))
    serve(Engine(sys.argv[1], sys.argv[2]))


if __name__ == "__main__":
    main()
