/**
 * The fixed cases whose output bits every runtime must give, apart from the schemes (schemes.ts). Most are large enough for all threads to
 * take part.
 */
import type * as Relpos from '../../src/index.ts';
import { attention, type Case, encoded, inputs, type Package, type Tensor } from './call.ts';
import { numbers } from './numbers.ts';

const rotaryHalves = (relpos: Package): Relpos.Encoding => relpos.rotary({ dim: 40, theta: 10000, layout: 'halves' });

/** A case of `rotate`. */
const rotated =
  (options: Relpos.RotateOptions, layout: 'halves' | 'pairs' = 'halves', dtype: Relpos.DType = 'f32'): Case =>
  async (relpos, engine) => {
    const x = engine.tensor([2, 4, 150, 64], numbers(2 * 4 * 150 * 64, 4), dtype);
    return [await engine.rotate(x, relpos.rotary({ dim: 48, theta: 500000, layout }), options)];
  };

/** A case of one f64 function of the kernels at 2000 points of [from, to). */
const elementary =
  (from: number, to: number, compute: (math: Relpos.Arithmetic, x: number) => number): Case =>
  async (relpos, engine) => {
    const values = new Float64Array(2000);
    const encoding = relpos.defineEncoding({
      name: 'probe',
      lower({ math }) {
        for (let n = 0; n < values.length; n++) values[n] = compute(math, from + ((to - from) * n) / values.length);
        return {};
      },
    });
    const tiny = engine.tensor([1, 1, 1, 1]);
    await engine.attention(tiny, tiny, tiny, { encoding });
    return [values];
  };

const t5 = (bidirectional: boolean) => (relpos: Package) =>
  relpos.t5({ heads: 4, buckets: 32, maxDistance: 128, bidirectional, table: numbers(32 * 4, 5) });

export const cases: Readonly<Record<string, Case>> = {
  plain: attention({}),
  causal: attention({}, { causal: true }),
  'causal, more keys than queries': attention({ L: 97, S: 385 }, { causal: true }),
  'causal, rows without keys': attention({ L: 385, S: 97 }, { causal: true }),
  'causal offset': attention({}, { causal: { offset: 20 } }),
  window: attention({ S: 300 }, { window: { left: 33, right: 7 } }),
  'causal window': attention({ L: 385, S: 385 }, { causal: true, window: { left: 100 } }),
  scale: attention({}, { scale: 1 }),
  softcap: attention({}, { softcap: 0.7, scale: 2 }),
  sinks: attention({}, { sinks: [0.5, -1, 3, Number.NEGATIVE_INFINITY], causal: true }),
  'key lengths': attention({ B: 3, L: 130 }, { keyLengths: [193, 50, 0] }),
  'grouped heads': attention({ H: 8, G: 1, L: 100 }),
  'batch of three': attention({ B: 3, L: 65, S: 131 }),
  blhd: attention({ layout: 'blhd' }, { causal: true }),
  f16: attention({ dtype: 'f16' }),
  bf16: attention({ dtype: 'bf16' }),
  'D 1, E 3': attention({ D: 1, E: 3, L: 700, S: 700 }),
  'D 512, E 512': attention({ D: 512, E: 512, L: 65, S: 65 }),
  'D 65, E 20': attention({ D: 65, E: 20 }),
  'one query of many keys': attention({ B: 2, L: 1, S: 4100, D: 64, E: 64 }),
  'no keys': attention({ S: 0 }),
  'NaN and infinities': async (_, engine) => {
    const [q, k, v] = inputs(engine);
    const spoilt = k.toArray();
    for (const [at, x] of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].entries()) spoilt[4000 + 900 * at] = x;
    return [await engine.attention(q, k.set(spoilt), v, { causal: true })];
  },
  'log-sum-exp': async (_, engine) => {
    const { out, lse } = await engine.attentionPartial(...inputs(engine, { L: 385, S: 100 }), { causal: true, sinks: [0, 1, 2, 3] });
    return [out, lse];
  },
  'shards, merged': async (_, engine) => {
    const [q, k, v] = inputs(engine, { S: 400 });
    const shard = (from: number, to: number): ReturnType<typeof engine.attentionPartial> => {
      const rows = (x: Tensor): Tensor => x.slice(null, null, [from, to]);
      return engine.attentionPartial(q, rows(k), rows(v), { causal: true, keyOffset: from, totalKeys: 400 });
    };
    const { out, lse } = await engine.mergeStates([await shard(0, 150), await shard(150, 390), await shard(390, 400)], {
      sinks: [0, 1, 2, 3],
    });
    return [out, lse];
  },
  'out of f16': attention({}, (_, engine) => ({ out: engine.tensor([1, 4, 193, 40], undefined, 'f16') })),
  synchronous: (_, engine) => [engine.attentionSync(...inputs(engine, { L: 65, S: 65 }), { causal: true })],
  'rotary, halves': encoded({}, rotaryHalves),
  'rotary, pairs, partial, far': encoded({}, ({ rotary }) => rotary({ dim: 10, theta: 500000, layout: 'pairs', offset: 1e6 })),
  'rotary, odd halves': encoded({}, ({ rotary }) => rotary({ dim: 22, theta: 10000, layout: 'halves' })),
  'rotary, more queries than keys': encoded({ L: 385, S: 97 }, rotaryHalves),
  alibi: encoded({ H: 12, G: 12, L: 100, S: 150 }, ({ alibi }) => alibi({ heads: 12 })),
  't5, decoder': encoded({}, t5(false)),
  't5, encoder': attention({}, (relpos) => ({ encoding: t5(true)(relpos), scale: 1 })),
  'dense bias': encoded({}, ({ bias }, engine) => bias(engine.tensor([1, 4, 193, 193], numbers(4 * 193 * 193, 6)))),
  'shared dense bias': encoded({}, ({ bias }, engine) => bias(engine.tensor([1, 1, 1, 193], numbers(193, 7)))),
  everything: attention({ B: 2, L: 150, dtype: 'f16', layout: 'blhd' }, (relpos) => ({
    encoding: [rotaryHalves(relpos), relpos.alibi({ heads: 4 }), t5(true)(relpos)],
    causal: true,
    window: { left: 90 },
    softcap: 30,
    sinks: [0, 1, 2, 3],
    keyLengths: [193, 140],
    scale: 0.3,
  })),
  'rotate, halves': rotated({}),
  'rotate, pairs': rotated({}, 'pairs'),
  'rotate, inverse': rotated({ inverse: true, offset: 1000 }),
  'rotate, far': rotated({ offset: 1e6 }),
  'rotate, positions': rotated({ positions: Array.from({ length: 300 }, (_, n) => (n * n) % 9973) }),
  'rotate, bf16': rotated({ offset: 5 }, 'pairs', 'bf16'),
  exp: elementary(-750, 712, (math, x) => math.exp(x)),
  log: elementary(1e-3, 50, (math, x) => math.log(x)),
  pow: elementary(-3, 3, (math, x) => math.pow(10000, x)),
  sin: elementary(-1e6, 1e6, (math, x) => math.sin(x)),
  cos: elementary(-1e6, 1e6, (math, x) => math.cos(x)),
  tanh: elementary(-20, 20, (math, x) => math.tanh(x)),
};
