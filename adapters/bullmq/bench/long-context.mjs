// A causal prefill over keys that no process here may hold: chunks with several hosts, queries a block after another. Some blocks are computed again by this
// process, chunk by chunk, and must have the same bits; one host is killed on the way.
//   node bench/long-context.mjs [keys] [--hosts 4] [--memory 64] [--block 4096] [--every 1] [--precision int16] [--json <file>]
import { Buffer } from 'node:buffer';
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { createEngine, rotary } from 'relpos';
import { redisStore, ShardedAttention } from '../dist/index.js';
import { machine, start, startRedis, watchMemory } from './kit.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    hosts: { type: 'string', default: '4' },
    memory: { type: 'string', default: '64' },
    block: { type: 'string', default: '4096' },
    every: { type: 'string', default: '1' },
    precision: { type: 'string', default: 'int16' },
    json: { type: 'string' },
  },
});
const S = Number(positionals[0] ?? 262_144);
const [hosts, memory, block, every] = [values.hosts, values.memory, values.block, values.every].map(Number);
const [B, H, G, D] = [1, 1, 1, 64];
const options = { causal: true, encoding: { name: 'rotary', options: { dim: D, theta: 500_000, layout: 'halves' } } };

/** Rows that hang on their place alone. */
function rows(first, count, seed) {
  const data = new Float32Array(count * D);
  for (let row = 0; row < count; row++) {
    let state = Math.imul(first + row + 1, 2654435761) ^ Math.imul(seed, 40503);
    for (let c = 0; c < D; c++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      data[row * D + c] = state / 2 ** 31;
    }
  }
  return data;
}

const about = machine();
const redis = await startRedis();
const began = performance.now();
const sharded = await ShardedAttention.publish({
  redis: { url: redis.url },
  store: redisStore,
  batch: B,
  keyHeads: G,
  headDim: D,
  totalKeys: S,
  hosts,
  keys: (first, count) => ({ k: rows(first, count, 1), v: rows(first, count, 2) }),
});
const { id } = sharded.context;
const words = (host) => [
  'hold',
  '--context',
  id,
  '--host',
  String(host),
  '--redis',
  redis.url,
  '--lock',
  '5',
  '--max-memory',
  String(memory),
  '--precision',
  values.precision,
];
const holders = await Promise.all(Array.from({ length: hosts }, (_, host) => start('shards', words(host), /^holding:/m)));
const merger = await start(
  'shards',
  ['merge', '--context', id, '--redis', redis.url, '--lock', '5', '--max-memory', String(memory)],
  /^merging:/m,
);
const whole = (2 * S * D * 4) / 2 ** 20;
console.log(
  `${S} keys with ${hosts} hosts of ${memory} MiB each (the whole: ${whole.toFixed(0)} MiB), published and held in ${((performance.now() - began) / 1000).toFixed(1)} s`,
);

const starts = Array.from({ length: Math.ceil(S / block) }, (_, n) => n * block).filter((_, n) => n % every === 0);
const ask = (at) => sharded.attend(rows(at, Math.min(block, S - at), 3), { start: at, heads: H, ...options });
const results = new Map();
const asked = performance.now();
const run = async () => {
  let next = 0;
  const one = async () => {
    for (let n = next++; n < starts.length; n = next++) {
      results.set(starts[n], await ask(starts[n]));
      if (results.size === Math.floor(starts.length / 2)) {
        holders[0].child.kill('SIGKILL');
        holders[0] = await start('shards', words(0), /^holding:/m);
      }
    }
  };
  // As many blocks under way as keep all hosts busy.
  await Promise.all(Array.from({ length: 2 * hosts }, one));
};
const running = run();
const memories = await watchMemory(
  Object.fromEntries([...holders.map(({ pid }, n) => [`host ${n}`, pid]).slice(1), ['merger', merger.pid]]),
  running,
);
await running;
const seconds = (performance.now() - asked) / 1000;

/** The same chunks in this process, one after another. */
async function alone(at) {
  const engine = await createEngine({ threads: 1, precision: values.precision });
  const count = Math.min(block, S - at);
  const q = engine.tensor([B, H, count, D], rows(at, count, 3));
  const states = [];
  for (const { first, keys } of sharded.context.chunks) {
    if (first >= at + count) continue;
    const [k, v] = [1, 2].map((seed) => engine.tensor([B, G, keys, D], rows(first, keys, seed)));
    const encoding = rotary(options.encoding.options);
    states.push(await engine.attentionPartial(q, k, v, { causal: true, encoding, keyOffset: first, totalKeys: S, queryOffset: at }));
    k.dispose();
    v.dispose();
  }
  const { out } = await engine.mergeStates(states);
  const bytes = Buffer.from(out.toArray().buffer);
  engine.dispose();
  return bytes;
}
const checked = [starts[0], starts[starts.length >> 1], starts.at(-1)];
let same = true;
for (const at of checked) same &&= Buffer.from(results.get(at).out.buffer).equals(await alone(at));

const queries = starts.reduce((sum, at) => sum + Math.min(block, S - at), 0);
const flop = starts.reduce((sum, at) => sum + 4 * D * H * Math.min(block, S - at) * (at + block / 2), 0);
const states = starts.reduce(
  (sum, at) => sum + sharded.context.chunks.filter(({ first }) => first < at + block).length * H * (D + 1) * 4 * block,
  0,
);
console.log(
  `${queries} queries in ${seconds.toFixed(1)} s, ${(flop / seconds / 1e9).toFixed(0)} GFLOP/s on all cores; states ${(states / 1e6).toFixed(0)} MB, queries to hosts ${((queries * H * D * 4 * hosts) / 1e6).toFixed(0)} MB at most`,
);
console.log(
  `a host was killed on the way; blocks at ${checked.join(', ')} ${same ? 'have the bits of one machine' : 'HAVE OTHER BITS'}; MB resident early and late: ${Object.entries(
    memories,
  )
    .map(([who, sizes]) => `${who} ${sizes.join(' ')}`)
    .join(', ')}`,
);
if (values.json) {
  const command = `node bench/long-context.mjs ${process.argv
    .slice(2)
    .filter((word, n, all) => word !== '--json' && all[n - 1] !== '--json')
    .join(' ')}`.trim();
  writeFileSync(
    values.json,
    `${JSON.stringify({ ...about, command, keys: S, hosts, memoryMiB: memory, wholeMiB: whole, block, queries, precision: values.precision, seconds, flop, stateBytes: states, memory: memories, same }, undefined, 1)}\n`,
  );
}
for (const { child } of [...holders, merger]) child.kill('SIGKILL');
await sharded.close();
redis.stop();
process.exit(same ? 0 : 1);
