/**
 * Decoding from nothing, as programs do it: one token at a time and in odd chunks, every scheme and every kind of cache, on engines that
 * have no tables yet. The bits are those of the whole pass, and memory in use does not grow with the steps.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { registry } from '../../src/encodings/registry.ts';
import * as relpos from '../../src/index.ts';
import {
  type AttentionOptions,
  createEngineSync,
  type Encoding,
  type Engine,
  type KVCache,
  type KVCacheOptions,
  type Tensor,
} from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { ones, rowsOf, type Sequence, sequence } from './support.ts';

const sizes = { B: 1, H: 2, G: 1, T: 600, D: 8, E: 8 };
const { B, H, G, T, D, E } = sizes;
/** Odd steps that add up to T. */
const ODD = [1, 7, 31, 2, 64, 65, 3, 127, 1, 1, 129, 15, 33, 63, 58];
/** The last of every row's keys that a window shows beside the first. */
const [LEFT, SINKS] = [40, 3];

const engines: Engine[] = [];
const fresh = (): Engine => {
  const engine = createEngineSync();
  engines.push(engine);
  return engine;
};
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});

const table = (seed: number, ...shape: number[]): Float32Array =>
  numbers(
    shape.reduce((a, n) => a * n, 1),
    3000 + seed,
  );
const segments = Int32Array.from({ length: T }, (_, n) => Math.floor(n / 50) % 4);
const boxes = Int32Array.from({ length: 4 * T }, (_, n) => (n * 37) % 1000);
const gates = table(1, H, T).map((x) => -Math.abs(x));
const dense = table(2, T, T);
const input = table(3, T, H * D);
const xlTable = table(4, 2 * T, H, D);

/** The scheme for the queries from … to − 1 over the keys 0 … to − 1; tensors that it needs go with the step. */
type Make = (tensor: Engine['tensor'], from: number, to: number) => Encoding;
const same =
  (encoding: Encoding): Make =>
  () =>
    encoding;
/** [heads, T] cut to its first n columns. */
const firstColumns = (list: Float32Array, n: number): Float32Array =>
  Float32Array.from({ length: H * n }, (_, i) => list[Math.floor(i / n) * T + (i % n)] as number);

/** By name: how a scheme decodes. */
const DECODES: Readonly<Record<string, Make>> = {
  rotary: same(relpos.rotary({ dim: 6, theta: 10000, layout: 'halves', offset: 3 })),
  rotaryFromConfig: same(
    relpos.rotaryFromConfig({
      model_type: 'llama',
      head_dim: D,
      hidden_size: H * D,
      num_attention_heads: H,
      rope_theta: 10000,
      max_position_embeddings: T,
    }),
  ),
  mrope: same(relpos.mrope({ dim: D, theta: 10000, layout: 'halves', sections: [2, 1, 1] })),
  xpos: same(relpos.xpos({ dim: D, theta: 10000, layout: 'pairs', scaleBase: 512, center: 300 })),
  alibi: same(relpos.alibi({ heads: H })),
  t5: same(relpos.t5({ heads: H, buckets: 32, maxDistance: 128, bidirectional: false, table: table(5, 32, H) })),
  mpnet: same(relpos.mpnet({ heads: H, table: table(6, 32, H) })),
  kerple: same(relpos.kerple({ heads: H, kind: 'log', biasP: [1.2, 0.4], biasA: [0.5, 0.9] })),
  sandwich: same(relpos.sandwich({ heads: H, width: 16 })),
  fire: same(
    relpos.fire({ weight1: table(7, 8), bias1: table(8, 8), weight2: table(9, H, 8), bias2: table(10, H), c: 0.1, threshold: 100 }),
  ),
  shaw: same(relpos.shaw({ left: 9, right: 5, keys: table(11, 15, D), queries: table(12, 15, D), values: table(13, 15, E) })),
  musicTransformer: same(relpos.musicTransformer({ table: table(14, T, D) })),
  transformerXL: same(relpos.transformerXL({ u: table(15, H, D), v: table(16, H, D), r: table(17, T, H, D) })),
  conformer: same(relpos.conformer({ posBiasU: table(18, H, D), posBiasV: table(19, H, D), r: table(20, 2 * T - 1, H, D) })),
  deberta: same(
    relpos.deberta({
      maxRelativePositions: 64,
      positionBuckets: 16,
      posAttType: ['c2p', 'p2c'],
      posKey: table(21, 32, H, D),
      posQuery: table(22, 32, H, D),
    }),
  ),
  distance: same(relpos.distance({ window: 32, weight: table(23, D, 2), bias: table(24, D) })),
  sinusoidal: same(relpos.sinusoidal({ maxDistance: 64 })),
  queryScale: same(relpos.queryScale({ kind: 'steps', interval: 50, factor: 0.4, start: 1 })),
  dynamicPositionBias: same(
    relpos.dynamicPositionBias({
      heads: H,
      layers: [
        { weight: table(36, 4), bias: table(37, 4) },
        { weight: table(38, H, 4), bias: table(39, H) },
      ],
    }),
  ),
  cope: same(relpos.cope({ maxPositions: 16, table: table(25, 16, D) })),
  // Schemes that are given a number for every key, and so anew in each step.
  bias: (tensor, from, to) => {
    const rows = Float32Array.from({ length: (to - from) * to }, (_, n) => dense[(from + Math.floor(n / to)) * T + (n % to)] as number);
    return relpos.bias(tensor([1, 1, to - from, to], rows));
  },
  cpmAnt: (_, __, to) =>
    relpos.cpmAnt({
      heads: H,
      positionBiasNumBuckets: 24,
      positionBiasMaxDistance: 40,
      segmentTypes: 4,
      table: table(26, 40, H),
      segments: segments.subarray(0, to),
    }),
  layoutLMv3: (_, __, to) =>
    relpos.layoutLMv3({
      heads: H,
      relPosBins: 32,
      maxRelPos: 128,
      rel2dPosBins: 64,
      maxRel2dPos: 256,
      relPosBias: table(27, 32, H),
      relPosXBias: table(28, 64, H),
      relPosYBias: table(29, 64, H),
      bbox: boxes.subarray(0, 4 * to),
    }),
  forgetting: (_, __, to) => relpos.forgetting({ heads: H, logGates: firstColumns(gates, to) }),
  wavlm: (_, from, to) =>
    relpos.wavlm({
      heads: H,
      numBuckets: 32,
      maxDistance: 80,
      table: table(30, 32, H),
      input: input.subarray(from * H * D, to * H * D),
      gateWeight: table(31, 8, D),
      gateBias: table(32, 8),
      gateConst: table(33, H),
    }),
  // Row x of a call with L queries and S keys is distance S − x.
  xlnet: (_, from, to) =>
    relpos.xlnet({
      attnType: 'bi',
      rWBias: table(34, H, D),
      rRBias: table(35, H, D),
      r: xlTable.subarray((T - to) * H * D, (T + to - from) * H * D),
    }),
};

/** Why the others do not. */
const GRID = 'a window of fixed size: all its tokens are there at once';
const OTHERS: Readonly<Record<string, string>> = {
  axialRotary: GRID,
  beit: GRID,
  decomposed: GRID,
  levit: GRID,
  maxvit: GRID,
  relPosMlp: GRID,
  swin: GRID,
  swinV2: GRID,
  direction: 'its rows have √S cells: with every key the scheme is another one',
};

test('every scheme of the registry decodes, or it is said why not', () => {
  expect([...Object.keys(DECODES), ...Object.keys(OTHERS)].sort()).toEqual(registry.map(({ name }) => name).sort());
});

interface Kind {
  readonly cache?: Partial<KVCacheOptions>;
  readonly steps: readonly number[];
  /** The cache is replaced by its fork now and then. */
  readonly forks?: boolean;
}

const window = { left: LEFT };
const KINDS: Readonly<Record<string, Kind>> = {
  'f32, one at a time': { steps: ones(T) },
  'f32, odd chunks': { steps: ODD },
  'f16, pages of 8': { steps: ODD, cache: { dtype: 'f16', pageSize: 8 } },
  'bf16, pages of 256': { steps: ODD, cache: { dtype: 'bf16', pageSize: 256 } },
  'i16, pages of 32': { steps: ODD, cache: { dtype: 'i16', pageSize: 32 } },
  'i8, forks': { steps: ODD, cache: { dtype: 'i8', pageSize: 16 }, forks: true },
  'a window, one at a time': { steps: ones(T), cache: { window, pageSize: 8 } },
  'a window with sinks, odd chunks': { steps: ODD, cache: { window: { left: LEFT, sinks: SINKS }, pageSize: 8 } },
};

/** Runs the steps; `after` hears of each. */
function decode(
  engine: Engine,
  make: Make,
  { cache: given, steps, forks }: Kind,
  after: (from: number, to: number, out: Float32Array) => void,
) {
  const { q, k, v } = sequence(engine, sizes, 11);
  let cache: KVCache = engine.kvCache({ batch: B, heads: G, headDim: D, valueDim: E, capacity: T, ...given });
  let from = 0;
  for (const n of steps) {
    const to = from + n;
    const parts = [q, k, v].map((x) => x.slice(null, null, [from, to])) as [typeof q, typeof k, typeof v];
    const made: Tensor[] = [];
    const tensor: Engine['tensor'] = (...args: Parameters<Engine['tensor']>) => {
      const one = engine.tensor(...args);
      made.push(one);
      return one;
    };
    const options: AttentionOptions = { cache, causal: true, encoding: make(tensor, from, to) };
    const out = engine.attentionSync(...parts, options);
    const values = out.toArray();
    for (const each of [...parts, out, ...made]) each.dispose();
    if (forks && n % 2) {
      const fork = cache.fork();
      cache.dispose();
      cache = fork;
    }
    after(from, to, values);
    from = to;
  }
  cache.dispose();
}

describe.each(Object.entries(DECODES))('%s', (_, make) => {
  test.each(Object.entries(KINDS))('%s', (__, kind) => {
    const reference = fresh();
    const { q, k, v }: Sequence = sequence(reference, sizes, 11);
    using cache = reference.kvCache({ batch: B, heads: G, headDim: D, valueDim: E, capacity: T, ...kind.cache });
    const empty = reference.memoryUsage().used;
    const encoding = make((...args) => reference.tensor(...args), 0, T);
    using whole = reference.attentionSync(q, k, v, { cache, causal: true, encoding });
    const once = reference.memoryUsage().used - empty;
    const engine = fresh();
    let most = 0;
    let start = 0;
    const lately = new Set<number>();
    decode(engine, make, kind, (from, to, out) => {
      expectSameBits(out, rowsOf(whole, from, to));
      const { used } = engine.memoryUsage();
      if (from === 0) start = used;
      most = Math.max(most, used - start);
      if (from > T / 2) lately.add(used);
    });
    // What one pass leaves behind, rounded up, and a page that a fork holds.
    expect(most).toBeLessThanOrEqual(1.5 * once + 8192);
    if (kind.cache?.window && kind.steps.length === T) expect(lately.size).toBe(1);
  });
});

test('a cache without its scheme decodes as without a cache', () => {
  const engine = fresh();
  const operands = sequence(engine, sizes, 11);
  const { rotary, alibi } = DECODES as Record<'rotary' | 'alibi', Make>;
  for (const make of [rotary, alibi]) {
    using whole = engine.attentionSync(operands.q, operands.k, operands.v, {
      causal: true,
      encoding: make((...args) => engine.tensor(...args), 0, T),
    });
    decode(fresh(), make, { steps: ODD }, (from, to, out) => expectSameBits(out, rowsOf(whole, from, to)));
  }
});
