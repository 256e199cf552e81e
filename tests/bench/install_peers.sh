#!/bin/sh
# Installs what tests/bench compares pofac with. Optional: building and testing pofac need none of it.
#
#   PyTorch        Debian's package python3-torch, by apt-get, which needs root or sudo; for peers.sh
#   ONNX Runtime   npm's package onnxruntime-node, into build/peers; its scripts, which would load files for GPUs, are not run; for peers.sh
#   tokenizers     npm's package tokenizers (Hugging Face's, with its library), into build/peers; for tokenizer.sh
#   oneDNN, LIBXSMM   Debian's packages libdnnl-dev and libxsmm-dev; for bench_sparse, which is to be configured and built after that
#
# What is there already is left as it is. Removing: apt-get remove python3-torch libdnnl-dev libxsmm-dev; rm -r build/peers.
#
#   tests/bench/install_peers.sh
set -eu
cd "$(dirname "$0")/../.."
onnxruntime="onnxruntime-node@1.30.0"
tokenizers="tokenizers@0.23.2"
place=build/peers

# as_root COMMAND...
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "error: installing packages needs root or sudo; the command is: $*" >&2
        exit 1
    fi
}

# install_packages NAME...: Debian packages.
install_packages() {
    command -v apt-get >/dev/null || {
        echo "error: this is not a Debian system; wanted are the equivalents of: $*" >&2
        exit 1
    }
    echo "installing $* by apt-get"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    echo "PyTorch is there"
else
    install_packages python3-torch
fi

if [ -f /usr/include/oneapi/dnnl/dnnl.h ] && [ -f /usr/include/libxsmm.h ]; then
    echo "oneDNN and LIBXSMM are there"
else
    install_packages libdnnl-dev libxsmm-dev
fi

if [ -d "$place/node_modules/onnxruntime-node" ]; then
    echo "ONNX Runtime is there: $place"
else
    command -v npm >/dev/null || install_packages nodejs npm
    echo "installing $onnxruntime into $place by npm"
    mkdir -p "$place"
    npm install --prefix "$place" --ignore-scripts --no-audit --no-fund "$onnxruntime"
fi

if [ -d "$place/node_modules/tokenizers" ]; then
    echo "tokenizers are there: $place"
else
    command -v npm >/dev/null || install_packages nodejs npm
    echo "installing $tokenizers into $place by npm"
    mkdir -p "$place"
    npm install --prefix "$place" --ignore-scripts --no-audit --no-fund "$tokenizers"
fi
