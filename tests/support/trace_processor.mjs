// Perfetto's trace processor as a process: requests come in on standard input, answers go out on standard output,
// both in the stream of its RPC (protos/perfetto/trace_processor/trace_processor.proto).
// node trace_processor.mjs FOLDER, where FOLDER has trace_processor.wasm and engine_bundle.node.js.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';

const folder = process.argv[2];
const port = { postMessage: (answer) => process.stdout.write(answer) };
const initialized = new Promise((resolve) => { globalThis.onInitialized = () => setTimeout(resolve); });
globalThis.wasmBinary = readFileSync(join(folder, 'trace_processor.wasm'));
globalThis.self = globalThis;
globalThis.location = { href: '' };
globalThis.WorkerGlobalScope = class {};
console.log = () => {};  // standard output is for answers

// The bundle is made for a browser's worker, which fetches the file, and the 64-bit one where it can.
const replaced = [
  ['this.useMemory64 = hasMemory64Support();', 'this.useMemory64 = false;'],
  ['locateFile: (s) => s,', 'wasmBinary: globalThis.wasmBinary, postRun: [globalThis.onInitialized],'],
];
let source = readFileSync(join(folder, 'engine_bundle.node.js'), 'utf8');
for (const [there, then] of replaced) {
  if (!source.includes(there)) throw new Error(`another bundle than expected, without ${there}`);
  source = source.replace(there, then);
}
runInThisContext(source, { filename: 'engine_bundle.node.js' });
self.onmessage({ data: port });
await initialized;
process.stdin.on('data', (request) => port.onmessage({ data: new Uint8Array(request) }));
