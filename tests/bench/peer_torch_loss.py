"""PyTorch's head of masked language models as one of the engines that bench_peers compares: loss over the vocabulary, and its gradients.

    peer_torch_loss.py gathered|all

Reads commands, a line each, from standard input (bench_peers.c); files are those of bench_loss.c. `gathered` computes the logits of the rows that
have a label, `all` those of every row, as Hugging Face's models do. PEER_THREADS is the number of threads. With PEER_CLOCK=cpu, times are those
that the process spent on processors. In the end it prints the most memory that it held beyond what it held before the first run.
"""
import os
import sys
import time

import numpy
import torch
import torch.nn.functional as F

CLOCK = time.process_time if os.environ.get("PEER_CLOCK") == "cpu" else time.perf_counter


def kilobytes(name):
    """Of a line of /proc/self/status."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))


class Head:
    """x, labels, weight and bias of a file."""

    def __init__(self, path, variant):
        with open(path, "rb") as file:
            self.tokens, self.labelled, self.width, self.vocabulary = (int(n) for n in numpy.fromfile(file, numpy.int64, 4))
            self.labels = torch.from_numpy(numpy.fromfile(file, numpy.int64, self.tokens))
            self.x = self.read(file, self.tokens, self.width)
            self.weight = self.read(file, self.vocabulary, self.width)
            self.bias = self.read(file, self.vocabulary)
        self.rows = (self.labels != -100).nonzero().flatten() if variant == "gathered" else None
        self.loss = None

    @staticmethod
    def read(file, *shape):
        """An f32 parameter."""
        data = numpy.fromfile(file, numpy.float32, int(numpy.prod(shape)))
        return torch.from_numpy(data).reshape(shape).requires_grad_()

    def run(self):
        """Loss and gradients."""
        for parameter in (self.x, self.weight, self.bias):
            parameter.grad = None
        if self.rows is None:
            x, labels = self.x, self.labels
        else:
            x, labels = self.x.index_select(0, self.rows), self.labels[self.rows]
        self.loss = F.cross_entropy(F.linear(x, self.weight, self.bias), labels)
        self.loss.backward()

    def numbers(self):
        """What engines are held together by."""
        found = [1000 * self.loss.item()]
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
