/**
 * A process of its own in which a worker is lost in the middle of a real call: it loses its engine nothing, and nobody else's memory. The
 * first argument says how: `terminate`, by its maker; `exit`, by its own hand. Prints what was seen; an error ends it with code 1.
 */
import { createEngine, RelposError, type Tensor } from '../../src/index.ts';
import type { WorkerLike } from '../../src/platform/handle.ts';
import { builtinModule, runtime } from '../../src/platform/host.ts';
import { workerSource } from '../../src/wasm/generated/worker-source.ts';

type NodeWorker = new (source: string, options: { eval: true }) => WorkerLike;

const mode = process.argv[2];
/** Ends the worker when it draws its third tile while word 60 of the control block is set. */
const prelude = `{
  const { add } = Atomics;
  let draws = 0;
  Atomics.add = (words, index, value) => {
    if (index === 16 && words[60] && ++draws === 3) process.exit(7);
    return add.call(Atomics, words, index, value);
  };
}`;

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const code = (call: () => unknown): string => {
  try {
    call();
    return 'none';
  } catch (error) {
    return error instanceof RelposError ? error.code : String(error);
  }
};

const { Worker } = builtinModule<{ Worker: NodeWorker }>('node:worker_threads') as { Worker: NodeWorker };
const workers: WorkerLike[] = [];
const engine = await createEngine({
  threads: 2,
  worker() {
    workers.push(new Worker(`${mode === 'exit' && !workers.length ? prelude : ''}\n${workerSource}`, { eval: true }));
    return workers.at(-1) as WorkerLike;
  },
});
assert(engine.capabilities.threads === 2, `${engine.capabilities.reason}`);

const L = 4096;
const shape = [1, 4, L, 64];
const numbers = (seed: number): Float32Array => {
  let state = seed;
  return Float32Array.from({ length: 4 * L * 64 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
};
const [q, k, v] = [1, 2, 3].map((seed) => engine.tensor(shape, numbers(seed))) as [Tensor, Tensor, Tensor];
const right = (await engine.attention(q, k, v)).toArray();
const before = engine.memoryUsage().used;

const out = engine.tensor(shape);
const call = engine.attention(q, k, v, { out }).then(
  () => 'resolved',
  (error: RelposError) => error.code,
);
const behind = engine.attention(q, k, v);
if (mode === 'exit') new Int32Array(q.view().buffer as ArrayBuffer, 1024, 64)[60] = 1;
else setTimeout(() => workers[0]?.terminate(), 60);
assert((await call) === 'kernel-trap', `the call ended with ${await call}`);

// Whoever gets memory now has it alone: much more than the lost call used, all of ones, at once and until the queued call is done.
const { name } = runtime();
const confirms = name === 'node' || name === 'bun';
const lost = code(() => out.view());
out.dispose();
const usage = engine.memoryUsage();
const ones = Array.from({ length: 6 }, () => engine.tensor(shape, new Float32Array(4 * L * 64).fill(1)));
const whole = (): boolean => ones.every((tensor) => tensor.toArray().every((x) => x === 1));
assert(lost === (usage.quarantined > 0 ? 'lost' : 'none'), `${lost}, ${usage.quarantined}`);
if (confirms) assert(usage.quarantined === 0, `${usage.quarantined} bytes in quarantine though the thread has ended`);
for (let i = 0; i < 4; i++) {
  assert(whole(), 'memory was handed out that a lost worker writes to');
  await sleep(50);
}
const result = await behind;
assert(
  result.toArray().every((x, i) => x === right[i]),
  'the queued call is wrong',
);
assert(whole(), 'memory was handed out that a lost worker writes to');
for (const tensor of [...ones, result]) tensor.dispose();
const { used, quarantined } = engine.memoryUsage();
assert(used === before + quarantined, `${used} bytes for ${before}, ${quarantined} in quarantine`);
// A synchronous call, on what workers there are.
const sync = engine.attentionSync(q, k, v);
assert(
  sync.toArray().every((x, i) => x === right[i]),
  'the call after is wrong',
);
console.log(quarantined ? `in quarantine, ${engine.capabilities.threads} thread` : `replaced, ${engine.capabilities.threads} threads`);
engine.dispose();
process.exit(0);
