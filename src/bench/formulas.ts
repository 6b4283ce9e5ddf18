/** Options of a call beside the same thing as a formula, for the f64 evaluation; the formulas share nothing with the encodings. */
import type { AttentionOptions } from '../attention/options.ts';
import { alibi as alibiOf } from '../encodings/alibi.ts';
import { deberta as debertaOf } from '../encodings/deberta.ts';
import { rotary as rotaryOf } from '../encodings/rotary.ts';
import { swin as swinOf } from '../encodings/swin.ts';
import { t5 as t5Of } from '../encodings/t5.ts';
import { THETA } from './making.ts';
import { numbers } from './numbers.ts';
import { dot, type Formula, type Sizes, t5Bucket } from './reference.ts';

/** A call and its meaning. */
export interface Meant {
  readonly options: AttentionOptions;
  readonly formula: Formula;
}

/** Small tables, as trained ones are: scores stay of order 1. */
const table = (count: number, seed: number): Float32Array<ArrayBuffer> => numbers(count, seed).map((x) => 0.3 * x);

export const causal = ({ L, S }: Sizes): Meant => ({
  options: { causal: true },
  formula: { visible: ({ i, j }) => j <= i + S - L },
});

/** Part of the pairs of a square that are visible under a causal mask. */
export const causalPart = (L: number): number => (L + 1) / (2 * L);

/** Causal, and the last 256 keys alone. */
export const windowed = ({ L, S }: Sizes): Meant => ({
  options: { causal: true, window: { left: 255 } },
  formula: { visible: ({ i, j }) => j <= i + S - L && j >= i + S - L - 255 },
});

export const rotated = ({ D }: Sizes): Meant => ({
  options: { encoding: rotaryOf({ dim: D, theta: THETA, layout: 'halves' }) },
  formula: { theta: THETA },
});

export const rotatedCausal = (sizes: Sizes): Meant => {
  const [turn, mask] = [rotated(sizes), causal(sizes)];
  return { options: { ...turn.options, ...mask.options }, formula: { ...turn.formula, ...mask.formula } };
};

/** Slopes of a power of two of heads, then every other one of twice as many. */
function slope(h: number, H: number): number {
  const power = 2 ** Math.floor(Math.log2(H));
  return h < power ? 2 ** ((-8 * (h + 1)) / power) : 2 ** ((-4 * (2 * (h - power) + 1)) / power);
}

export const alibi = ({ H, L, S }: Sizes): Meant => ({
  options: { encoding: alibiOf({ heads: H }) },
  formula: { bias: ({ h, i, j }) => -Math.abs(j - i - (S - L)) * slope(h, H) },
});

export function t5({ H, L, S }: Sizes): Meant {
  const [buckets, maxDistance] = [32, 128];
  const values = table(buckets * H, 4);
  return {
    options: { encoding: t5Of({ heads: H, buckets, maxDistance, bidirectional: true, table: values }) },
    formula: { bias: ({ h, i, j }) => values[t5Bucket(j - i - (S - L), buckets, maxDistance) * H + h] as number },
  };
}

/** Both terms of DeBERTa v2, with log buckets. */
export function deberta({ H, D }: Sizes): Meant {
  const [buckets, limit] = [256, 512];
  const [posKey, posQuery] = [table(2 * buckets * H * D, 4), table(2 * buckets * H * D, 5)];
  const middle = buckets / 2;
  const bucket = (distance: number): number => {
    const size = Math.abs(distance);
    if (size <= middle) return distance;
    const log = Math.ceil((Math.log(size / middle) / Math.log((limit - 1) / middle)) * (middle - 1)) + middle;
    return Math.sign(distance) * log;
  };
  const rowOf = (values: Float32Array, h: number, i: number, j: number): Float32Array => {
    const row = Math.max(0, Math.min(2 * buckets - 1, bucket(i - j) + buckets));
    return values.subarray((row * H + h) * D, (row * H + h + 1) * D);
  };
  const scale = 1 / Math.sqrt(3 * D);
  return {
    options: {
      encoding: debertaOf({ maxRelativePositions: limit, positionBuckets: buckets, posAttType: ['c2p', 'p2c'], posKey, posQuery }),
      scale,
    },
    formula: {
      scale,
      term: ({ h, i, j }, query, key) => dot(query, rowOf(posKey, h, i, j)) + dot(key, rowOf(posQuery, h, i, j)),
    },
  };
}

/** Windows of `side` by `side` cells. */
export const swin =
  (side: number) =>
  ({ H }: Sizes): Meant => {
    const across = 2 * side - 1;
    const values = table(across * across * H, 4);
    const difference = (i: number, j: number): number =>
      (Math.floor(i / side) - Math.floor(j / side) + side - 1) * across + (i % side) - (j % side) + side - 1;
    return {
      options: { encoding: swinOf({ windowSize: side, table: values }) },
      formula: { bias: ({ h, i, j }) => values[difference(i, j) * H + h] as number },
    };
  };
