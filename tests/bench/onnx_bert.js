'use strict';
/*
 * A BertForSequenceClassification -> the bytes of an ONNX model, written by hand: ONNX files are protocol buffers, and few of their fields are
 * needed. Numbers of fields are those of onnx.proto3 (the ONNX project), operations those of opset 17 and of ONNX Runtime's own domain
 * com.microsoft (its ContribOperators.md).
 *
 * Two graphs compute the same. `plain` has standard operations, for ONNX Runtime's optimizer to join; `fused` has the operations of com.microsoft
 * that its optimizer for transformers would put in their place: Attention, SkipLayerNormalization, BiasGelu, EmbedLayerNormalization.
 *
 * Either also with the encoder's linear layers in int8, as ONNX Runtime's quantize_dynamic makes them: weights s8 with one scale a matrix,
 * activations u8 with a scale and a zero that are found anew in every run (DynamicQuantizeLinear, MatMulInteger; `fused`: QAttention,
 * DynamicQuantizeMatMul). Attention, norms, embedding and head stay in f32.
 *
 * A message is a list of buffers, so that weights are copied once, when the model is complete.
 */

const FLOAT = 1, INT8 = 3, INT32 = 6, INT64 = 7; // TensorProto.DataType
const LOWEST = -3.4028234663852886e38; // of f32: added to scores of padding

function varint(value) {
    const bytes = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    bytes.push(Number(rest));
    return Buffer.from(bytes);
}

const whole = (field, value) => [varint(field << 3), varint(value)];

function message(field, buffers) {
    const size = buffers.reduce((sum, b) => sum + b.length, 0);
    return [varint((field << 3) | 2), varint(size), ...buffers];
}

const text = (field, value) => message(field, [Buffer.from(value)]);

function real(field, value) {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return [varint((field << 3) | 5), bytes];
}

/** AttributeProto: numbers as {float: x}, whole numbers, and lists of whole numbers. */
function attribute(name, value) {
    const kind = { float: 1, int: 2, ints: 7 };
    if (Array.isArray(value)) return [...text(1, name), ...value.flatMap((v) => whole(8, v)), ...whole(20, kind.ints)];
    if (typeof value === 'object') return [...text(1, name), ...real(2, value.float), ...whole(20, kind.float)];
    return [...text(1, name), ...whole(3, value), ...whole(20, kind.int)];
}

/** ValueInfoProto: a tensor with dimensions that are numbers or names. */
function valueInfo(name, type, dims) {
    const shape = dims.flatMap((d) => message(1, typeof d === 'string' ? text(2, d) : whole(1, d)));
    return [...text(1, name), ...message(2, message(1, [...whole(1, type), ...message(2, shape)]))];
}

/** TensorProto. */
function tensor(name, type, dims, bytes) {
    return [...dims.flatMap((d) => whole(1, d)), ...whole(2, type), ...text(8, name), ...message(9, [bytes])];
}

const bytesOf = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** A GraphProto as it grows. Methods that add a node return the name of its result. */
class Graph {
    constructor(weights, most) {
        this.weights = weights; // name -> {shape, data: Float32Array}
        this.most = most; // the largest magnitude of an s8 weight; 0: weights stay f32
        this.quantized = new Map(); // name of an activation -> names of its u8, its scale and its zero
        this.nodes = [];
        this.initializers = new Map();
        this.count = 0;
    }

    /** `others`: results that nobody reads, but that the operation wants to have. */
    node(op, inputs, attributes = {}, domain = '', others = []) {
        const result = `v${this.count++}`;
        this.nodes.push([
            ...inputs.flatMap((i) => text(1, i)),
            ...[result, ...others].flatMap((r) => text(2, r)),
            ...text(3, `n${this.count}`),
            ...text(4, op),
            ...Object.entries(attributes).flatMap(([k, v]) => message(5, attribute(k, v))),
            ...(domain ? text(7, domain) : []),
        ]);
        return result;
    }

    contrib(op, inputs, attributes) {
        return this.node(op, inputs, attributes, 'com.microsoft');
    }

    add(name, type, dims, bytes) {
        if (!this.initializers.has(name)) this.initializers.set(name, tensor(name, type, dims, bytes));
        return name;
    }

    scalar(value) {
        return this.add(`float ${value}`, FLOAT, [], bytesOf(Float32Array.of(value)));
    }

    integers(values) {
        return this.add(`ints ${values}`, INT64, [values.length], bytesOf(BigInt64Array.from(values, BigInt)));
    }

    /** A parameter as it stands. */
    parameter(name) {
        return this.add(name, FLOAT, this.weights[name].shape, bytesOf(this.weights[name].data));
    }

    /** The weights [N,K] of linear layers of one input, side by side: [K, sum of N], as an array. */
    joined(names) {
        const sources = names.map((n) => this.weights[n]);
        const [rows, k] = [sources.map((s) => s.shape[0]), sources[0].shape[1]];
        const n = rows.reduce((a, b) => a + b);
        const out = new Float32Array(n * k);
        let first = 0;
        for (const { shape, data } of sources) {
            for (let i = 0; i < shape[0]; i++) for (let j = 0; j < k; j++) out[j * n + first + i] = data[i * k + j];
            first += shape[0];
        }
        return { shape: [k, n], data: out };
    }

    transposed(names) {
        const { shape, data } = this.joined(names);
        return this.add(`${names} transposed`, FLOAT, shape, bytesOf(data));
    }

    /** The same in s8, and its scale. */
    transposedInt8(names) {
        const { shape, data } = this.joined(names);
        const scale = data.reduce((a, x) => Math.max(a, Math.abs(x)), 1e-30) / this.most;
        const rounded = Int8Array.from(data, (x) => Math.round(x / scale));
        return {
            weight: this.add(`${names} s8`, INT8, shape, bytesOf(rounded)),
            scale: this.add(`${names} scale`, FLOAT, [], bytesOf(Float32Array.of(scale))),
        };
    }

    /** x in u8: names of its numbers, their scale and their zero. */
    quantize(x) {
        if (!this.quantized.has(x)) {
            const [scale, zero] = [`${x} scale`, `${x} zero`];
            this.quantized.set(x, [this.node('DynamicQuantizeLinear', [x], {}, '', [scale, zero]), scale, zero]);
        }
        return this.quantized.get(x);
    }

    inInt8(name) {
        return this.most > 0 && name.startsWith('bert.encoder.');
    }

    /** x W^T, without its bias. */
    product(x, name) {
        if (!this.inInt8(name)) return this.node('MatMul', [x, this.transposed([`${name}.weight`])]);
        const { weight, scale } = this.transposedInt8([`${name}.weight`]);
        const [numbers, xScale, zero] = this.quantize(x);
        const sums = this.node('Cast', [this.node('MatMulInteger', [numbers, weight, zero])], { to: FLOAT });
        return this.node('Mul', [sums, this.node('Mul', [xScale, scale])]);
    }

    /** The same in one operation of ONNX Runtime. */
    fusedProduct(x, name) {
        if (!this.inInt8(name)) return this.product(x, name);
        const { weight, scale } = this.transposedInt8([`${name}.weight`]);
        return this.contrib('DynamicQuantizeMatMul', [x, weight, scale], {});
    }

    linear(x, name) {
        return this.node('Add', [this.product(x, name), this.parameter(`${name}.bias`)]);
    }

    norm(name) {
        return [this.parameter(`${name}.weight`), this.parameter(`${name}.bias`)];
    }

    model(inputs, outputs) {
        const graph = [
            ...this.nodes.flatMap((n) => message(1, n)),
            ...text(2, 'bert'),
            ...[...this.initializers.values()].flatMap((t) => message(5, t)),
            ...inputs.flatMap((i) => message(11, i)),
            ...outputs.flatMap((o) => message(12, o)),
        ];
        const opset = (domain, version) => message(8, [...text(1, domain), ...whole(2, version)]);
        return Buffer.concat([...whole(1, 8), ...message(7, graph), ...opset('', 17), ...opset('com.microsoft', 1)]);
    }
}

const embedding = (name) => `bert.embeddings.${name}_embeddings.weight`;

/** Standard operations. */
const plain = {
    embeddings(g, config) {
        const length = g.node('Gather', [g.node('Shape', ['input_ids']), g.integers([1])], { axis: 0 });
        const positions = g.node('Slice', [g.parameter(embedding('position')), g.integers([0]), length, g.integers([0])]);
        const words = g.node('Gather', [g.parameter(embedding('word')), 'input_ids']);
        const types = g.node('Gather', [g.parameter(embedding('token_type')), 'token_type_ids']);
        const sum = g.node('Add', [g.node('Add', [words, types]), positions]);
        return this.normalize(g, config, sum, 'bert.embeddings.LayerNorm');
    },

    mask(g) {
        const kept = g.node('Cast', [g.node('Unsqueeze', ['attention_mask', g.integers([1, 2])])], { to: FLOAT });
        return g.node('Mul', [g.node('Sub', [g.scalar(1), kept]), g.scalar(LOWEST)]);
    },

    normalize(g, config, x, name) {
        return g.node('LayerNormalization', [x, ...g.norm(name)], { axis: -1, epsilon: { float: config.layer_norm_eps } });
    },

    attention(g, config, x, mask, name) {
        const heads = config.num_attention_heads, width = config.hidden_size / heads;
        const split = (part, perm) =>
            g.node('Transpose', [g.node('Reshape', [g.linear(x, `${name}.self.${part}`), g.integers([0, 0, heads, width])])], { perm });
        const q = split('query', [0, 2, 1, 3]), k = split('key', [0, 2, 3, 1]), v = split('value', [0, 2, 1, 3]);
        const scores = g.node('Add', [g.node('Div', [g.node('MatMul', [q, k]), g.scalar(Math.sqrt(width))]), mask]);
        const mixed = g.node('Transpose', [g.node('MatMul', [g.node('Softmax', [scores], { axis: -1 }), v])], { perm: [0, 2, 1, 3] });
        return g.node('Reshape', [mixed, g.integers([0, 0, config.hidden_size])]);
    },

    addAndNormalize(g, config, x, before, name) {
        return this.normalize(g, config, g.node('Add', [g.linear(x, `${name}.dense`), before]), `${name}.LayerNorm`);
    },

    gelu(g, x, name) {
        const y = g.linear(x, name);
        const erf = g.node('Erf', [g.node('Div', [y, g.scalar(Math.SQRT2)])]);
        return g.node('Mul', [g.node('Mul', [y, g.node('Add', [erf, g.scalar(1)])]), g.scalar(0.5)]);
    },
};

/** The operations of ONNX Runtime for transformers. */
const fused = {
    embeddings(g, config) {
        const ids = g.node('Cast', ['input_ids'], { to: INT32 }), types = g.node('Cast', ['token_type_ids'], { to: INT32 });
        const tables = ['word', 'position', 'token_type'].map((t) => g.parameter(embedding(t)));
        const inputs = [ids, types, ...tables, ...g.norm('bert.embeddings.LayerNorm')];
        const attributes = { epsilon: { float: config.layer_norm_eps } };
        return g.node('EmbedLayerNormalization', inputs, attributes, 'com.microsoft', ['mask_index']);
    },

    mask: (g) => g.node('Cast', ['attention_mask'], { to: INT32 }),

    attention(g, config, x, mask, name) {
        const parts = ['query', 'key', 'value'].map((p) => `${name}.self.${p}`);
        const biases = parts.map((p) => g.weights[`${p}.bias`].data);
        const bias = new Float32Array(3 * config.hidden_size);
        biases.forEach((b, i) => bias.set(b, i * config.hidden_size));
        const joined = g.add(`${name} bias`, FLOAT, [bias.length], bytesOf(bias));
        const names = parts.map((p) => `${p}.weight`), attributes = { num_heads: config.num_attention_heads };
        if (!g.inInt8(name)) return g.contrib('Attention', [x, g.transposed(names), joined, mask], attributes);
        const { weight, scale } = g.transposedInt8(names), [numbers, xScale, zero] = g.quantize(x);
        return g.contrib('QAttention', [numbers, weight, joined, xScale, scale, mask, zero], attributes);
    },

    addAndNormalize(g, config, x, before, name) {
        const inputs = [g.fusedProduct(x, `${name}.dense`), before, ...g.norm(`${name}.LayerNorm`), g.parameter(`${name}.dense.bias`)];
        return g.contrib('SkipLayerNormalization', inputs, { epsilon: { float: config.layer_norm_eps } });
    },

    gelu: (g, x, name) => g.contrib('BiasGelu', [g.fusedProduct(x, name), g.parameter(`${name}.bias`)]),
};

/**
 * config: of config.json; weights: name -> {shape, data}; style: 'plain' or 'fused'; most: the largest magnitude of an s8 weight, or 0 for f32.
 * Inputs and the output are named as Hugging Face does.
 */
function makeModel(config, weights, style, most) {
    const g = new Graph(weights, most), make = { plain, fused }[style];
    let x = make.embeddings(g, config);
    const mask = make.mask(g);
    for (let i = 0; i < config.num_hidden_layers; i++) {
        const layer = `bert.encoder.layer.${i}`;
        const mixed = make.attention(g, config, x, mask, `${layer}.attention`);
        const y = make.addAndNormalize(g, config, mixed, x, `${layer}.attention.output`);
        x = make.addAndNormalize(g, config, make.gelu(g, y, `${layer}.intermediate.dense`), y, `${layer}.output`);
    }
    const first = g.node('Gather', [x, g.add('zero', INT64, [], bytesOf(BigInt64Array.of(0n)))], { axis: 1 });
    const logits = g.linear(g.node('Tanh', [g.linear(first, 'bert.pooler.dense')]), 'classifier');
    g.nodes.push([...text(1, logits), ...text(2, 'logits'), ...text(3, 'output'), ...text(4, 'Identity')]);
    const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((n) => valueInfo(n, INT64, ['B', 'S']));
    return g.model(inputs, [valueInfo('logits', FLOAT, ['B', weights['classifier.bias'].shape[0]])]);
}

module.exports = { makeModel };
