"""Tensors of safetensors files for PyTorch, for the peers that run it."""

import json

import numpy
import torch

DTYPES = {"F32": numpy.float32, "I64": numpy.int64}


def read_safetensors(path):
    """All tensors of a file, by name."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    return {
        name: torch.from_numpy(
            numpy.frombuffer(
                data, DTYPES[t["dtype"]], int(numpy.prod(t["shape"], dtype=numpy.int64)), t["data_offsets"][0]
            )
            .reshape(t["shape"])
            .copy()
        )
        for name, t in header.items()
    }
