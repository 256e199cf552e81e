// Hugging Face's tokenizers (the library in Rust, through its binding for Node) on the lines of a file, one thread: MB/s
// of processor time, the median and the best of several rounds.
// Encodings stay in the library's memory; only their number of tokens is asked for.
//
//   node peer_tokenizers.js TOKENIZERS_PACKAGE TOKENIZER_JSON FILE [ROUNDS]
"use strict";
process.env.RAYON_NUM_THREADS = "1";
process.env.TOKENIZERS_PARALLELISM = "false";
const fs = require("fs");
const path = require("path");
const [, , place, definition, file, rounds = "9"] = process.argv;
const { Tokenizer } = require(path.resolve(place));

async function main() {
    const tokenizer = Tokenizer.fromFile(definition);
    tokenizer.disablePadding();
    tokenizer.disableTruncation();
    const text = fs.readFileSync(file);
    const lines = text.toString("utf8").split("\n");
    if (lines[lines.length - 1] === "") lines.pop();
    const times = [];
    let tokens = 0;
    for (let round = 0; round < Number(rounds); round++) {
        tokens = 0;
        const begin = process.cpuUsage();
        for (let i = 0; i < lines.length; i += 1000) {
            const encodings = await tokenizer.encodeBatch(lines.slice(i, i + 1000), { addSpecialTokens: false });
            for (const e of encodings) tokens += e.getLength();
        }
        const used = process.cpuUsage(begin);
        times.push((used.user + used.system) * 1e-6);
    }
    times.sort((a, b) => a - b);
    const mb = text.length / 1e6;
    console.log(`${mb.toFixed(1)} MB, ${tokens} tokens: ${(mb / times[times.length >> 1]).toFixed(1)} MB/s (best ${(mb / times[0]).toFixed(1)})`);
}
main().catch((e) => {
    console.error(`error: ${e}`);
    process.exit(1);
});
