/**
 * The error of precision `'int16'` against f64, beside what f16 and bf16 lose when inputs and weights are rounded to them and all else is
 * exact. As parts of the output's root mean square; docs/numerics.md has the table, line by line.
 */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, bias } from '../../src/index.ts';
import { engineOf } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engine = engineOf('int16');
afterAll(() => engine.dispose());

/** To so many bits after the first, ties to even; exponents as they are, below 2^−14 as f16 has them. */
function rounder(bits: number, least: number): (x: number) => number {
  return (x) => {
    if (x === 0) return 0;
    const unit = 2 ** (Math.max(least, Math.floor(Math.log2(Math.abs(x)))) - bits);
    const n = Math.abs(x) / unit;
    const low = Math.floor(n);
    const rounded = n - low === 0.5 ? low + (low & 1) : Math.round(n);
    return Math.sign(x) * rounded * unit;
  };
}
const f16 = rounder(10, -14);
const bf16 = rounder(7, -126);

/** Nearly normal numbers, made of sums. */
function normal(count: number, seed: number): Float32Array {
  const uniform = numbers(12 * count, seed);
  return Float32Array.from({ length: count }, (_, n) => uniform.subarray(12 * n, 12 * n + 12).reduce((a, b) => a + b, 0) / 2);
}

type Inputs = Record<'q' | 'k' | 'v', Float32Array>;

/** Attention of one head in f64; the inputs and the weights, exp(s − max), rounded. */
function attend(
  { q, k, v }: Inputs,
  L: number,
  S: number,
  D: number,
  round = (x: number): number => x,
  bias = (_: number): number => 0,
): Float64Array {
  const [a, b, c] = [q, k, v].map((x) => Float64Array.from(x, round)) as [Float64Array, Float64Array, Float64Array];
  const out = new Float64Array(L * D);
  const s = new Float64Array(S);
  for (let i = 0; i < L; i++) {
    for (let j = 0; j < S; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += (a[i * D + d] as number) * (b[j * D + d] as number);
      s[j] = dot / Math.sqrt(D) + bias(j);
    }
    const most = s.reduce((x, y) => Math.max(x, y));
    let sum = 0;
    for (let j = 0; j < S; j++) {
      const p = Math.exp((s[j] as number) - most);
      sum += p;
      const w = round(p);
      for (let d = 0; d < D; d++) out[i * D + d] = (out[i * D + d] as number) + w * (c[j * D + d] as number);
    }
    for (let d = 0; d < D; d++) out[i * D + d] = (out[i * D + d] as number) / sum;
  }
  return out;
}

/** Root mean square of the difference over that of the truth, in the channels that count. */
function lost(out: ArrayLike<number>, truth: Float64Array, counts = (_: number): boolean => true): number {
  let [error, size] = [0, 0];
  truth.forEach((x, n) => {
    if (!counts(n)) return;
    error += ((out[n] as number) - x) ** 2;
    size += x * x;
  });
  return Math.sqrt(error / size);
}

const L = 24;
/** What becomes of normal numbers: x of q, k, v in channel d of row j. */
const KINDS: Record<string, (name: 'q' | 'k' | 'v', x: number, j: number, d: number) => number> = {
  normal: (_, x) => x,
  peaked: (name, x) => (name === 'q' ? 4 * x : x),
  'heavy tails': (_, x) => x * Math.abs(x),
  'outlier channels': (name, x, _, d) => (name === 'k' && d % 32 === 5 ? 15 * x : x),
};

function inputsOf(kind: string, S: number, D: number): Inputs {
  const make = KINDS[kind] as (typeof KINDS)[string];
  const rows = (name: 'q' | 'k' | 'v', count: number, seed: number): Float32Array =>
    normal(count * D, seed).map((x, n) => make(name, x, Math.floor(n / D), n % D));
  return { q: rows('q', L, 1), k: rows('k', S, 2), v: rows('v', S, 3) };
}

function outputOfInt16({ q, k, v }: Inputs, S: number, D: number, options: AttentionOptions = {}): Float32Array {
  const tensors = [engine.tensor([1, 1, L, D], q), engine.tensor([1, 1, S, D], k), engine.tensor([1, 1, S, D], v)] as const;
  const out = engine.attentionSync(...tensors, options);
  for (const tensor of tensors) tensor.dispose();
  return out.toArray();
}

const documented = readFileSync(new URL('../../docs/numerics.md', import.meta.url), 'utf8');

/** The table has this line. */
function expectDocumented(kind: string, D: number, S: number, ...errors: readonly number[]): void {
  expect(documented).toContain(`| ${[kind, D, S, ...errors.map((x) => x.toExponential(1))].join(' | ')} |`);
}

describe.each(Object.keys(KINDS))('%s', (kind) => {
  test.each([
    [64, 256],
    [64, 1024],
    [64, 4096],
    [128, 1024],
    [128, 4096],
  ])('D %d, %d keys: less than f16 loses', (D, S) => {
    const inputs = inputsOf(kind, S, D);
    const truth = attend(inputs, L, S, D);
    const own = lost(outputOfInt16(inputs, S, D), truth);
    const [half, brain] = [f16, bf16].map((round) => lost(attend(inputs, L, S, D, round), truth)) as [number, number];
    expectDocumented(kind, D, S, own, half, brain);
    expect(own).toBeLessThanOrEqual(half);
    expect(half).toBeLessThan(brain);
  });
});

/** Values that share too coarse a step, or whose sum is small beside them: f16 loses less. */
const WORSE: Record<string, (inputs: Inputs, D: number) => (n: number) => boolean> = {
  'a channel of v 300 higher, the others': ({ v }, D) => {
    for (let n = 0; n < v.length; n += D) v[n] = (v[n] as number) + 300;
    return (n) => n % D !== 0;
  },
  'v and −v at like keys, and 1 % more': ({ k, v }, D) => {
    const more = normal(v.length, 4);
    for (let n = 0; n < v.length; n++) {
      if (Math.floor(n / D) % 2 === 0) continue;
      k[n] = k[n - D] as number;
      v[n] = (more[n] as number) / 100 - (v[n - D] as number);
    }
    return () => true;
  },
};

describe.each(Object.entries(WORSE))('%s', (kind, change) => {
  test.each([
    [64, 1024],
    [128, 1024],
  ])('D %d, %d keys: more than f16 loses', (D, S) => {
    const inputs = inputsOf('normal', S, D);
    const counts = change(inputs, D);
    const truth = attend(inputs, L, S, D);
    const own = lost(outputOfInt16(inputs, S, D), truth, counts);
    const [half, brain] = [f16, bf16].map((round) => lost(attend(inputs, L, S, D, round), truth, counts)) as [number, number];
    expectDocumented(kind, D, S, own, half, brain);
    expect(own).toBeGreaterThan(half);
  });
});

/**
 * The key of a sink holds all but a hundredth of the weight, and next to nothing as its value: what is lost of the others is lost of the output.
 * It is 12 above the rest by a bias, and its key is 0: an error of that one score would be one of all the others' share.
 */
test.each([64, 128])('a sink 12 above the rest, D %d: under 1e-5', (D) => {
  const S = 768;
  const { q, k, v } = inputsOf('normal', S, D);
  k.fill(0, 0, D);
  v.forEach((x, n) => {
    v[n] = n < D ? 0.01 * x : 1 + x / 2;
  });
  const sink = (j: number): number => (j === 0 ? 12 : 0);
  const truth = attend({ q, k, v }, L, S, D, undefined, sink);
  const encoding = bias(
    engine.tensor(
      [1, 1, 1, S],
      Float32Array.from({ length: S }, (_, j) => sink(j)),
    ),
  );
  expect(lost(outputOfInt16({ q, k, v }, S, D, { encoding }), truth)).toBeLessThan(1e-5);
});
