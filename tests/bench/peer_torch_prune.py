"""Steps of pruning with distillation by PyTorch as one of the engines that bench_peers compares (peer_torch_train.py has the commands).

    peer_torch_prune.py DIRECTORY TEACHER SPARSITY TEMPERATURE

DIRECTORY and TEACHER hold config.json and model.safetensors of a BertForPreTraining each, in f32. Every linear layer of the student's encoder, and its pooler,
computes with original * mask, as the pruning package has it; a mask keeps what is above the threshold of its weight's magnitudes. The loss is half that of
the labels, over all tokens as Hugging Face's model has it, and half T^2 KL to the teacher, which runs without gradients, of all tokens that the attention mask
keeps, and of next sentences.
"""

import json
import os
import sys

import torch
import torch.nn.functional as F

from peer_torch_train import IGNORED, Bert, Engine, serve
from torch_files import read_safetensors


def mask_of(weight, sparsity):
    """1 where an entry is above the k-th smallest magnitude, k = floor(sparsity * n)."""
    k = int(sparsity * weight.numel())
    if k == 0:
        return torch.ones_like(weight)
    return (weight.abs() > weight.abs().flatten().kthvalue(k).values).to(weight.dtype)


class Masked(torch.nn.Module):
    """A linear layer under a mask; the weight may be several that lie one above the other, each with a threshold of its own."""

    def __init__(self, linear, sparsity, parts=1):
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        with torch.no_grad():
            self.register_buffer("mask", torch.cat([mask_of(part, sparsity) for part in linear.weight.chunk(parts)]))

    def forward(self, x):
        """[...,K] -> [...,N]"""
        return F.linear(x, self.weight * self.mask, self.bias)


class Student(torch.nn.Module):
    """A Bert under masks and the frozen one that it learns from; gives the loss."""

    def __init__(self, student, teacher, sparsity, temperature):
        super().__init__()
        for layer in student.layers:
            layer.qkv = Masked(layer.qkv, sparsity, 3)
            for name in ("attended", "up", "down"):
                setattr(layer, name, Masked(getattr(layer, name), sparsity))
        student.pooler = Masked(student.pooler, sparsity)
        self.student, self.temperature = student, temperature
        self.teacher = [teacher.eval().requires_grad_(False)]  # no child: it stays in evaluation

    def divergence(self, student, teacher):
        """T^2 KL, the mean over rows."""
        t = self.temperature
        return t * t * F.kl_div(F.log_softmax(student / t, -1), F.softmax(teacher / t, -1), reduction="batchmean")

    def forward(self, batch):
        """The loss."""
        kept = batch["attention_mask"].flatten() != 0
        x, pooled = self.student.encode(batch)
        words, following = self.student.predict(x).flatten(0, 1), self.student.classifier(pooled)
        with torch.no_grad():
            x, pooled = self.teacher[0].encode(batch)
            teacher_words = self.teacher[0].predict(x).flatten(0, 1)
            teacher_following = self.teacher[0].classifier(pooled)
        task = F.cross_entropy(words, batch["labels"].flatten(), ignore_index=IGNORED)
        task = task + F.cross_entropy(following, batch["next_sentence_label"])
        if not kept.all():
            words, teacher_words = words[kept], teacher_words[kept]
        learned = self.divergence(words, teacher_words) + self.divergence(following, teacher_following)
        return 0.5 * task + 0.5 * learned


class PruneEngine(Engine):
    """A student with its teacher."""

    def make_model(self, config, weights, variant):
        teacher, sparsity, temperature = variant
        with open(os.path.join(teacher, "config.json"), encoding="utf-8") as file:
            teacher_config = json.load(file)
        other = Bert(teacher_config, read_safetensors(os.path.join(teacher, "model.safetensors")), False)
        return Student(Bert(config, weights, False), other, sparsity, temperature)


def main():
    """An engine of what the command line names."""
    torch.set_num_threads(int(os.environ["PEER_THREADS"]))
    serve(PruneEngine((sys.argv[2], float(sys.argv[3]), float(sys.argv[4])), sys.argv[1]))


main()
