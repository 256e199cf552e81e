#!/bin/bash
# label: long
# pitfall 23: 1,000 rounds of compiling and freeing with flat memory, and 100 generated graphs through passes, kernels and interpreter.
set -e
POFAC_COMPILE_ROUNDS=1000 POFAC_GENERATED_GRAPHS=100 "$POFAC_BUILD_DIR/test_compile"
