"""PyTorch's heads of language models as one of the engines that bench_peers compares: a loss over the vocabulary, and its gradients.

    peer_torch_loss.py gathered|all|chunked

Reads commands, a line each, from standard input (bench_peers.c); files are those of bench_loss.c, which say what the loss is. Of tokens with labels,
`gathered` computes the logits of those rows, `all` those of every row, as Hugging Face's models do. Of a teacher, whole or its likeliest classes, `all`
is log_softmax, softmax, kl_div and backward as they are usually written; `chunked` takes 256 tokens at a time, so that logits of all of them never
exist. PEER_THREADS is the number of threads. With PEER_CLOCK=cpu, times are those that the process spent on processors. In the end it prints the most
memory that it held beyond what it held before the first run.
"""
import os
import sys
import time

import numpy
import torch
import torch.nn.functional as F

CLOCK = time.process_time if os.environ.get("PEER_CLOCK") == "cpu" else time.perf_counter
TEMPERATURE = 2
CHUNK = 256


def kilobytes(name):
    """Of a line of /proc/self/status."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))


class Head:
    """The tensors of a file."""

    def __init__(self, path, variant):
        with open(path, "rb") as file:
            sizes = (int(n) for n in numpy.fromfile(file, numpy.int64, 6))
            self.tokens, self.labelled, self.width, self.vocabulary, self.teacher, self.likely = sizes
            if self.teacher or self.likely:
                self.labelled = self.tokens
            else:
                self.labels = torch.from_numpy(numpy.fromfile(file, numpy.int64, self.tokens))
            if self.likely:
                ids = numpy.fromfile(file, numpy.int32, self.tokens * self.likely)
                self.ids = torch.from_numpy(ids).reshape(self.tokens, self.likely).long()
                self.logits = self.read(file, self.tokens, self.likely).detach()
            self.x = self.read(file, self.tokens, self.width)
            self.weight = self.read(file, self.vocabulary, self.width)
            self.bias = self.read(file, self.vocabulary)
            if self.teacher:
                self.teacher_x = self.read(file, self.tokens, self.teacher).detach()
                self.teacher_weight = self.read(file, self.vocabulary, self.teacher).detach()
                self.teacher_bias = self.read(file, self.vocabulary).detach()
        self.gathers = variant == "gathered"
        self.chunk = CHUNK if variant == "chunked" else self.tokens
        self.loss = 0

    @staticmethod
    def read(file, *shape):
        """An f32 parameter."""
        data = numpy.fromfile(file, numpy.float32, int(numpy.prod(shape)))
        return torch.from_numpy(data).reshape(shape).requires_grad_()

    def cross_entropy(self):
        """Of the tokens that have labels."""
        x, labels = self.x, self.labels
        if self.gathers:
            rows = (labels != -100).nonzero().flatten()
            x, labels = x.index_select(0, rows), labels[rows]
        return F.cross_entropy(F.linear(x, self.weight, self.bias), labels)

    def divergence(self, first, end):
        """Of tokens [first, end) from the teacher, their share of the mean over all tokens."""
        student = F.log_softmax(F.linear(self.x[first:end], self.weight, self.bias) / TEMPERATURE, -1)
        if self.likely:
            likely = F.log_softmax(self.logits[first:end] / TEMPERATURE, -1)
            loss = (likely.exp() * (likely - student.gather(1, self.ids[first:end]))).sum()
        else:
            with torch.no_grad():
                logits = F.linear(self.teacher_x[first:end], self.teacher_weight, self.teacher_bias)
                teacher = F.softmax(logits / TEMPERATURE, -1)
            loss = F.kl_div(student, teacher, reduction="sum")
        return loss * (TEMPERATURE**2 / self.tokens)

    def run(self):
        """Loss and gradients."""
        for parameter in (self.x, self.weight, self.bias):
            parameter.grad = None
        self.loss = 0
        for first in range(0, self.tokens, self.chunk):
            if self.teacher or self.likely:
                loss = self.divergence(first, first + self.chunk)
            else:
                loss = self.cross_entropy()
            loss.backward()
            self.loss += loss.item()

    def numbers(self):
        """What engines are held together by."""
        found = [1000 * self.loss]
        for parameter in (self.x, self.weight, self.bias):
            gradient = parameter.grad.flatten()
            found += (gradient[:: gradient.numel() // 997 + 1].double() * self.labelled * 100).tolist()
        return found


def main():
    torch.set_num_threads(int(os.environ.get("PEER_THREADS", "1")))
    variant, head, before = sys.argv[1], None, 0
    print("ready", flush=True)
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "load":
            head = Head(argument, variant)
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
            before = kilobytes("VmRSS:")
            print("loaded 1", flush=True)
        elif command == "run":
            start = CLOCK()
            head.run()
            print(f"ms {1e3 * (CLOCK() - start):.6f}", flush=True)
        elif command == "logits":
            head.run()
            print("logits", *(f"{number:.9g}" for number in head.numbers()), flush=True)
        else:
            sys.exit(f'error: found the command "{command}", wanted load FILE, run or logits')
    print(f"PyTorch {variant}: {(kilobytes('VmHWM:') - before) * 1024e-6:.0f} MB of extra memory", file=sys.stderr)


main()
