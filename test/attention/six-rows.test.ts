/**
 * Where the host fuses, twelve rows that see much the same keys are two tiles of six. No sum is taken in another order, so that a call of
 * many rows has the bits of calls of eight rows each, which go by fours.
 */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

const dist = new URL('../../dist/index.js', import.meta.url).href;
const kernels = new URL('../../build/relaxed.wasm', import.meta.url).href;
const [major] = process.versions.node.split('.').map(Number) as [number];

const program = `
  const { alibi, createEngine } = await import('${dist}');
  const engine = await createEngine({ precision: 'relaxed', threads: 1, wasm: '${kernels}' });
  let seed = 5;
  const noise = (n) => Float32Array.from({ length: n }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  });
  const [B, H, D, E] = [2, 2, 41, 27];
  const cases = {
    'twelve rows': [12, 9, {}],
    'a whole band': [24, 192, {}],
    'bands, blocks and what is left': [67, 401, {}],
    causal: [67, 67, { causal: true }],
    'causal, at the end of its keys': [41, 403, { causal: true, queryOffset: 362 }],
    'a window': [67, 211, { window: { left: 9, right: 2 } }],
    'a wide window': [50, 401, { window: { left: 90, right: 40 } }],
    'batch rows of other lengths': [30, 210, { keyLengths: [197, 5] }],
    alibi: [37, 37, { causal: true, encoding: alibi({ heads: H }) }],
    'a NaN that is hidden': [40, 40, { causal: true }, 39],
  };
  const rows = {};
  for (const [name, [L, S, given, poisoned]] of Object.entries(cases)) {
    const options = { queryOffset: 0, ...given };
    const values = noise(B * H * S * E);
    if (poisoned) for (let at = poisoned * E; at < values.length; at += S * E) values[at] = NaN;
    const [q, k] = [L, S].map((n) => engine.tensor([B, H, n, D], noise(B * H * n * D)));
    const v = engine.tensor([B, H, S, E], values);
    const whole = engine.attentionSync(q, k, v, options).toArray();
    let differ = 0;
    let nan = 0;
    for (let first = 0; first < L; first += 8) {
      const last = Math.min(L, first + 8);
      const part = engine.attentionSync(q.slice(null, null, [first, last]), k, v, { ...options, queryOffset: options.queryOffset + first }).toArray();
      part.forEach((x, at) => {
        const e = at % E, i = Math.floor(at / E) % (last - first), bh = Math.floor(at / E / (last - first));
        const y = whole[(bh * L + first + i) * E + e];
        if (!Object.is(x, y)) differ++;
        if (Number.isNaN(x)) nan++;
      });
    }
    rows[name] = { compared: whole.length, differ, nan };
  }
  for (const pageSize of [8, 64]) {
    const [L, S] = [67, 401];
    const [q, k] = [L, S].map((n) => engine.tensor([B, H, n, D], noise(B * H * n * D)));
    const v = engine.tensor([B, H, S, E], noise(B * H * S * E));
    const cache = engine.kvCache({ batch: B, heads: H, headDim: D, valueDim: E, capacity: S, pageSize });
    cache.append(k, v);
    const options = { causal: true, window: { left: 100 } };
    const read = engine.attentionSync(q, null, null, { ...options, cache }).toArray();
    const plain = engine.attentionSync(q, k, v, { ...options, queryOffset: S - L }).toArray();
    const differ = read.filter((x, at) => !Object.is(x, plain[at])).length;
    rows['pages of ' + pageSize + ' keys'] = { compared: read.length, differ, nan: 0 };
  }
  console.log(JSON.stringify({ fuses: engine.capabilities.relaxedSimd, rows }));`;

test('relaxed: rows by six have the bits of rows by four', () => {
  const flags = major > 20 ? [] : ['--experimental-wasm-relaxed-simd'];
  const { fuses, rows } = JSON.parse(
    execFileSync(process.execPath, [...flags, '--input-type=module', '-e', program], { encoding: 'utf8' }),
  );
  expect(fuses).toBe(true);
  const same = (L: number, nan = 0) => ({ compared: 2 * 2 * L * 27, differ: 0, nan });
  expect(rows).toEqual({
    'twelve rows': same(12),
    'a whole band': same(24),
    'bands, blocks and what is left': same(67),
    causal: same(67),
    'causal, at the end of its keys': same(41),
    'a window': same(67),
    'a wide window': same(50),
    'batch rows of other lengths': same(30),
    alibi: same(37),
    // Of each head's rows the last one alone sees it, in one channel.
    'a NaN that is hidden': same(40, 4),
    'pages of 8 keys': same(67),
    'pages of 64 keys': same(67),
  });
});
