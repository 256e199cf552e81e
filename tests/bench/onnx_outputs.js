'use strict';
/*
 * Runs a model of ONNX in ONNX Runtime and compares its outputs with those of a file.
 *
 *   node onnx_outputs.js PACKAGES MODEL.onnx INPUTS.safetensors OUTPUTS.safetensors [LEVEL]
 *
 * PACKAGES: the directory whose node_modules has onnxruntime-node. INPUTS: the model's inputs by name, i64; others are ignored. OUTPUTS: what is compared with, f32. LEVEL: of
 * ONNX Runtime's optimizer, all (default) or disabled. Prints for each output its name, the largest difference, the largest magnitude, the number of elements, and the number of rows
 * whose greatest element stands at the same place in both, of how many: in a line, separated by blanks. Values of padded positions do not count: those whose attention_mask is 0, of
 * outputs that begin with its shape.
 */
const fs = require('fs');
const path = require('path');

/** All tensors of a safetensors file of i64, i32 and f32: name -> {shape, data}. */
function readSafetensors(file) {
    const bytes = fs.readFileSync(file);
    const start = 8 + Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, start));
    const tensors = {};
    delete header.__metadata__;
    for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(header)) {
        const Elements = { F32: Float32Array, I64: BigInt64Array, I32: Int32Array }[dtype];
        if (!Elements) continue;
        const own = new Uint8Array(bytes.subarray(start + begin, start + end)); // a copy, which is aligned
        tensors[name] = { shape, data: new Elements(own.buffer) };
    }
    return tensors;
}

/** Rows of an output, each with the places of its elements that count: of logits [..,C] a row for each sequence or token; of places [B,S] one for each sequence. */
function rowsOf(shape, mask) {
    const perToken = shape.length >= 2 && shape[0] === mask.shape[0] && shape[1] === mask.shape[1];
    const isKept = (token) => !perToken || mask.data[token] !== 0n;
    const range = (begin, n) => Array.from({ length: n }, (_, i) => begin + i);
    if (perToken && shape.length === 2) return range(0, shape[0]).map((b) => range(b * shape[1], shape[1]).filter(isKept));
    const width = shape[shape.length - 1], n = shape.slice(0, -1).reduce((x, y) => x * y, 1);
    return range(0, n).filter(isKept).map((row) => range(row * width, width));
}

/** The first of the greatest. */
const greatest = (data, places) => places.reduce((at, i) => (data[i] > data[at] ? i : at), places[0]);

function compare(name, found, wanted, mask) {
    if (found.dims.join() !== wanted.shape.join()) throw new Error(`${name} is [${found.dims}], wanted [${wanted.shape}]`);
    const rows = rowsOf(wanted.shape, mask).filter((places) => places.length > 0);
    let difference = 0, magnitude = 0, elements = 0, same = 0;
    for (const places of rows) {
        for (const i of places) {
            const d = Math.abs(found.data[i] - wanted.data[i]);
            if (!(d <= difference)) difference = d; // a NaN shows
            magnitude = Math.max(magnitude, Math.abs(wanted.data[i]));
        }
        elements += places.length;
        same += greatest(found.data, places) === greatest(wanted.data, places);
    }
    console.log(`${name} ${difference.toExponential(2)} ${magnitude.toExponential(2)} ${elements} ${same} ${rows.length}`);
}

async function main() {
    const [packages, model, inputs, outputs, level = 'all'] = process.argv.slice(2);
    const ort = require(path.resolve(packages, 'node_modules', 'onnxruntime-node'));
    const session = await ort.InferenceSession.create(model, { executionProviders: ['cpu'], graphOptimizationLevel: level, intraOpNumThreads: 1, logSeverityLevel: 3 });
    const given = readSafetensors(inputs), wanted = readSafetensors(outputs), feeds = {};
    for (const name of session.inputNames) {
        if (!given[name]) throw new Error(`${inputs} has no "${name}", which the model takes`);
        feeds[name] = new ort.Tensor('int64', given[name].data, given[name].shape);
    }
    const found = await session.run(feeds);
    for (const name of session.outputNames) {
        if (!wanted[name]) throw new Error(`${outputs} has no "${name}", which the model gives`);
        compare(name, found[name], wanted[name], given.attention_mask);
    }
}

main().catch((error) => {
    console.error(`error: ${error.message}`);
    process.exit(1);
});
