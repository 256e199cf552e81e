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

/** Which of the rows (all dimensions but the last; of a matrix [B,S] of positions its elements) count. */
function keptRows(shape, mask) {
    const perToken = shape.length >= 2 && shape[0] === mask.shape[0] && shape[1] === mask.shape[1];
    const n = perToken ? shape[0] * shape[1] : shape[0];
    return Array.from({ length: n }, (_, i) => !perToken || mask.data[i] !== 0n);
}

function greatest(data, begin, end) {
    let at = begin;
    for (let i = begin; i < end; i++) if (data[i] > data[at]) at = i;
    return at - begin;
}

function compare(name, found, wanted, mask) {
    if (found.dims.join() !== wanted.shape.join()) throw new Error(`${name} is [${found.dims}], wanted [${wanted.shape}]`);
    const kept = keptRows(wanted.shape, mask), width = wanted.data.length / kept.length;
    let difference = 0, magnitude = 0, elements = 0, same = 0, rows = 0;
    kept.forEach((keep, row) => {
        if (!keep) return;
        for (let i = row * width; i < (row + 1) * width; i++) {
            const d = Math.abs(found.data[i] - wanted.data[i]);
            if (!(d <= difference)) difference = d; // a NaN shows
            magnitude = Math.max(magnitude, Math.abs(wanted.data[i]));
        }
        elements += width;
        rows++;
        same += greatest(found.data, row * width, (row + 1) * width) === greatest(wanted.data, row * width, (row + 1) * width);
    });
    console.log(`${name} ${difference.toExponential(2)} ${magnitude.toExponential(2)} ${elements} ${same} ${rows}`);
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
