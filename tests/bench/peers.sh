#!/bin/bash
# Compares whole models with other engines, PyTorch and ONNX Runtime (tests/bench/install_peers.sh installs them): one random BERT-Base with a
# classifier, the same weights for all, on full batches and on SST-2's sentences in batches of 32 in the order of the file. Logits must agree before
# anything is timed. Prints tables in Markdown. Weights that --sparsity makes zero are zero for all engines; only pofac has kernels that know it.
#
# The texts: a batch is padded to its longest sentence, and PyTorch and ONNX Runtime compute it so; pofac gets the same padded batches, and leaves
# out the padding itself. What else may be asked of the others stands beside them, and is not taken for the better one:
#   int8     ONNX Runtime with the encoder's linear layers in int8, quantized dynamically; its logits may differ by a quarter of the largest
#   torch_int8  PyTorch's dynamic quantization of the linear layers, likewise
#   pofac_f32   pofac itself without quantization, of a model that is quantized
#   nested   PyTorch's TransformerEncoder, which drops the padding as well (nested tensors); for texts
#
# Every engine is a process of its own, in its best configuration: of each engine's variants (peer_torch.py, onnx_bert.js) the fastest is taken for
# every shape. Debian's OpenBLAS, which does PyTorch's linear layers, is told the kernels that fit the processor, and waits without spinning.
#
#   tests/bench/peers.sh [--option=value...]
#
#   --build=DIR             where the programs are, default build/release
#   --peers=DIR             where install_peers.sh has put ONNX Runtime, default build/peers
#   --engines="torch onnxruntime int8 nested"   the engines to compare with
#   --threads="1 2"         numbers of threads
#   --shapes="1x128 ..."    sequences x tokens; default 1, 8 x 128 and 1 x 384; none: texts alone
#   --texts=FILE            texts, one per line before a tab; default SST-2's dev.tsv in ../shared; none: shapes alone
#   --vocab=FILE            the vocabulary for them, default bert-base-uncased's in ../shared
#   --texts_limit=N         the first N texts alone, default 64; all: every text
#   --rounds=N              turns that each engine takes for a shape, default 9
#   --seconds=S             end the rounds of a shape, but not before the third, after S seconds; default 600
#   --times=FILE            append each turn's time to this file
#   --clock=wall|cpu        cpu: the time that an engine spends on processors, which says more on a busy machine; for one thread
#   --pofac_model=MODEL     a model instead of examples/bert-base.xml; pofac reads it as it is, the others its parameters in f32
#   --sparsity=P            zero the smallest magnitudes, a share of P, of each linear weight of the encoder, for all engines
#   --quantize="..."        pofac's model quantized by `pofac quantize` with these options, in integers; all logits may then differ from its own by
#                           the largest, since those of one random sequence may be close to 0
#   --pofac_options="..."   further options of pofac, as `pofac bench` takes them
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=build/release
peers=build/peers
engines="torch onnxruntime int8 nested"
threads="1 2"
shapes="1x128 8x128 1x384"
shared=${POFAC_SHARED:-../shared}
texts=$shared/data/glue/SST-2/dev.tsv
vocab=$shared/data/vocab/bert-base-uncased-vocab.txt
texts_limit=64
rounds=9
seconds=600
times=
clock=wall
pofac_model=
sparsity=0
pofac_options=
quantize=
for option; do
    name=${option%%=*}
    case $name in
    --build | --peers | --engines | --threads | --shapes | --texts | --vocab | --texts_limit | --rounds | --seconds | --times | --clock | --pofac_model | --sparsity | --pofac_options | --quantize)
        [[ $option == *=* ]] || { echo "error: $option has no value, wanted $name=VALUE" >&2 && exit 2; }
        printf -v "${name#--}" %s "${option#*=}"
        ;;
    *)
        echo "error: unknown option $option; see the comment on top of tests/bench/peers.sh" >&2
        exit 2
        ;;
    esac
done

case $clock in
wall | cpu) export PEER_CLOCK=$clock ;;
*) echo "error: --clock is \"$clock\", wanted wall or cpu" >&2 && exit 2 ;;
esac
python=${PYTHON:-/usr/bin/python3} # Debian's, which has Debian's PyTorch
for program in bench_peers bench_peer_files bench_peer_pofac; do
    [ -x "$build/$program" ] || {
        echo "error: there is no $build/$program; make it: cmake --preset release && cmake --build $build --target benchmarks" >&2
        exit 1
    }
done
present=
for engine in $engines; do
    case $engine in
    torch | nested | torch_int8) "$python" -c 'import torch' 2>/dev/null || engine_missing=PyTorch ;;
    pofac_f32) ;;
    onnxruntime | int8) [ -d "$peers/node_modules/onnxruntime-node" ] && command -v node >/dev/null || engine_missing="ONNX Runtime" ;;
    *) echo "error: found the engine $engine, wanted torch, onnxruntime, int8, torch_int8, pofac_f32 or nested" >&2 && exit 2 ;;
    esac
    if [ -n "${engine_missing:-}" ]; then echo "note: $engine_missing is not there and left out; tests/bench/install_peers.sh installs it" >&2
    else present="$present $engine"; fi
    engine_missing=
done
[ "$shapes" = none ] && shapes=
[ "$texts" = none ] && texts=
if [ -n "$texts" ] && [ ! -f "$texts" ]; then
    echo "SKIP: texts: there is no $texts; --texts=FILE names others" >&2
    texts=
fi

# The model and the batches.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
[ "$texts_limit" = all ] && texts_limit=
# shellcheck disable=SC2086 # shapes are split on purpose
"$build/bench_peer_files" --sparsity="$sparsity" ${texts:+--texts="$texts" --vocab="$vocab"} ${texts_limit:+--texts_limit="$texts_limit"} \
    ${quantize:+--calibration} --head=sequence-classification "${pofac_model:-examples/bert-base.xml}" "$work" $shapes
model=$work
[ -n "$pofac_model" ] && [ "$sparsity" = 0 ] && model=$pofac_model
if [ -n "$quantize" ]; then
    case " $quantize" in *"method=dynamic"* | *"method dynamic"*) calibration=() ;; *) calibration=(--calibration="$work/calibration.safetensors") ;; esac
    # shellcheck disable=SC2086 # options are split on purpose
    "$build/pofac" quantize "$model" --head=sequence-classification "${calibration[@]}" $quantize --output_dir="$work/quantized" >&2
    model=$work/quantized
fi

# The kernels of OpenBLAS that fit.
if grep -qw avx512f /proc/cpuinfo; then coretype=SkylakeX; else coretype=Haswell; fi

# add_torch THREADS FAMILY VARIANT, add_onnxruntime THREADS FAMILY PRECISION: options --engine for bench_peers, in the array `engine_options`.
add_torch() {
    local command
    printf -v command 'export PEER_THREADS=%d OMP_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d OMP_WAIT_POLICY=passive OPENBLAS_THREAD_TIMEOUT=16 OPENBLAS_CORETYPE=%s; exec %q tests/bench/peer_torch.py %s %q' \
        "$1" "$1" "$1" "$coretype" "$python" "$3" "$work"
    engine_options+=("--engine=$2:$3:$command")
}

add_onnxruntime() {
    local variant spinning command
    for variant in fused plain; do
        for spinning in 0 1; do
            [ "$1" = 1 ] && [ $spinning = 1 ] && continue # one thread waits for nobody
            printf -v command 'export PEER_THREADS=%d; exec node tests/bench/peer_onnxruntime.js %s %s %d %q %q' "$1" $variant "$3" $spinning \
                "$peers" "$work"
            if [ $spinning = 1 ]; then engine_options+=("--engine=$2:$variant, spinning:$command")
            else engine_options+=("--engine=$2:$variant:$command"); fi
        done
    done
}

# list_engines THREADS shapes|texts
list_engines() {
    local engine variant pofac f32
    printf -v pofac 'exec %q --threads=%d --head=sequence-classification %s %q' "$build/bench_peer_pofac" "$1" "$pofac_options" "$model"
    engine_options=("--engine=pofac:-:$pofac" --beside="ONNX Runtime int8:0.25" --beside="PyTorch without padding:0.001" --beside="PyTorch int8:0.25")
    [ -f "$model/quantization.safetensors" ] && engine_options+=(--beside="PyTorch:1" --beside="ONNX Runtime:1" --beside="pofac f32:1" --beside="PyTorch int8:1" --beside="ONNX Runtime int8:1")
    for engine in $present; do
        case $engine in
        torch) for variant in eager layer onednn; do add_torch "$1" PyTorch $variant; done ;;
        onnxruntime) add_onnxruntime "$1" "ONNX Runtime" f32 ;;
        torch_int8) add_torch "$1" "PyTorch int8" int8 ;;
        pofac_f32)
            printf -v f32 'exec %q --threads=%d --head=sequence-classification %s %q' "$build/bench_peer_pofac" "$1" "--quantization=off $pofac_options" "$model"
            engine_options+=("--engine=pofac f32:-:$f32")
            ;;
        int8) add_onnxruntime "$1" "ONNX Runtime int8" int8 ;;
        nested) [ "$2" = shapes ] || add_torch "$1" "PyTorch without padding" nested ;;
        esac
    done
}

compare() {
    "$build/bench_peers" --rounds="$rounds" --seconds="$seconds" ${times:+--times="$times"} "${engine_options[@]}" "$@"
}

grep -m 1 'model name' /proc/cpuinfo | sed 's/.*: //'
for n in $threads; do
    echo
    echo "$n thread$([ "$n" = 1 ] || echo s):"
    echo
    files=()
    for shape in $shapes; do files+=("$work/$shape.batches.safetensors"); done
    list_engines "$n" shapes
    [ ${#files[@]} = 0 ] || compare "${files[@]}"
    [ -n "$texts" ] || continue
    [ ${#files[@]} = 0 ] || echo
    list_engines "$n" texts
    compare "$work/texts.batches.safetensors"
done
