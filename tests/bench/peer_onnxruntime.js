'use strict';
/*
 * ONNX Runtime as one of the engines that bench_peers compares: reads commands, a line each, from standard input (bench_peers.c).
 *
 *   node peer_onnxruntime.js STYLE PRECISION SPINNING PACKAGES DIRECTORY
 *
 * STYLE: plain or fused (onnx_bert.js). PRECISION: f32, or int8 for the encoder's linear layers. SPINNING: 1 if threads wait for work by spinning, else 0. PACKAGES: the directory whose node_modules has
 * onnxruntime-node. DIRECTORY holds config.json and model.safetensors, in f32. PEER_THREADS is the number of threads. With
 * PEER_CLOCK=cpu, times are those that the process spent on processors.
 */
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { makeModel } = require('./onnx_bert.js');

const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids'];

/** Milliseconds. */
function clock() {
    if (process.env.PEER_CLOCK !== 'cpu') return Number(process.hrtime.bigint()) / 1e6;
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e3;
}

/** All tensors of a safetensors file: name -> {shape, data}. */
function readSafetensors(file) {
    const bytes = fs.readFileSync(file);
    const start = 8 + Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, start));
    const tensors = {};
    delete header.__metadata__;
    for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(header)) {
        const Elements = { F32: Float32Array, I64: BigInt64Array }[dtype];
        const own = new Uint8Array(bytes.subarray(start + begin, start + end)); // a copy, which is aligned
        tensors[name] = { shape, data: new Elements(own.buffer) };
    }
    return tensors;
}

/** The largest magnitude of s8 weights: without VNNI, products are added in pairs in 16 bits, which full weights could saturate. */
const largestWeight = () => (/\b(avx512_vnni|avx_vnni)\b/.test(fs.readFileSync('/proc/cpuinfo', 'utf8')) ? 127 : 63);

class Engine {
    static async create(ort, style, precision, spinning, directory) {
        const config = JSON.parse(fs.readFileSync(path.join(directory, 'config.json'), 'utf8'));
        const engine = new Engine();
        engine.ort = ort;
        engine.batches = [];
        engine.session = await ort.InferenceSession.create(
            makeModel(config, readSafetensors(path.join(directory, 'model.safetensors')), style, precision === 'int8' ? largestWeight() : 0), {
                executionProviders: ['cpu'],
                executionMode: 'sequential',
                graphOptimizationLevel: 'all',
                intraOpNumThreads: Number(process.env.PEER_THREADS),
                interOpNumThreads: 1,
                extra: { session: { intra_op: { allow_spinning: spinning } } },
            });
        return engine;
    }

    /** Batches of a file; returns how many. */
    load(file) {
        const tensors = readSafetensors(file), n = Object.keys(tensors).length / INPUTS.length;
        const input = (i, name) => new this.ort.Tensor('int64', tensors[`${i}.${name}`].data, tensors[`${i}.${name}`].shape);
        this.batches = Array.from({ length: n }, (_, i) => Object.fromEntries(INPUTS.map((name) => [name, input(i, name)])));
        return n;
    }

    /** Milliseconds of all batches, one after the other. */
    async run() {
        const start = clock();
        for (const batch of this.batches) await this.session.run(batch);
        return clock() - start;
    }

    /** Of all batches, flat. */
    async logits() {
        const all = [];
        for (const batch of this.batches) all.push(...(await this.session.run(batch)).logits.data);
        return all;
    }
}

async function main() {
    const [style, precision, spinning, packages, directory] = process.argv.slice(2);
    const ort = require(path.resolve(packages, 'node_modules', 'onnxruntime-node'));
    const engine = await Engine.create(ort, style, precision, spinning, directory);
    console.log('ready');
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [command, argument] = line.split(/ (.*)/s);
        if (command === 'load') console.log(`loaded ${engine.load(argument)}`);
        else if (command === 'run') console.log(`ms ${(await engine.run()).toFixed(6)}`);
        else if (command === 'logits') console.log(`logits ${(await engine.logits()).map((x) => x.toPrecision(9)).join(' ')}`);
        else throw new Error(`found the command "${line}", wanted load FILE, run or logits`);
    }
}

main().catch((error) => {
    console.error(`error: ${error.message}`);
    process.exit(1);
});
