// What the tests of the schemes share: golden files as cases, and attention in f64 from a bias of its own.

import { readFileSync } from 'node:fs';
import type { AttentionOptions } from '../../src/attention.ts';
import { resolveTensors } from '../../src/cli/case.ts';
import { readSafetensors } from '../../src/cli/safetensors.ts';
import { createEngineSync, type Engine } from '../../src/engine.ts';
import type { Arithmetic, Encoding } from '../../src/plan.ts';
import type { Tensor } from '../../src/tensor.ts';

/** Elementary functions for what is tested outside an engine. */
export const MATH: Arithmetic = Math;

/** One thread: the tests of the schemes are not about threads. */
export const testEngine = (): Engine => createEngineSync();

/** Numbers in [−1, 1), the same for the same seed. */
export function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

type Typed = Float32Array | Int32Array;

/** A golden file: its tensors, and the case that gives `expected`. */
export interface Golden {
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Typed }>;
  readonly encodings: readonly { readonly name: string; readonly options: unknown }[];
  readonly attention: Record<string, unknown>;
  readonly naiveError: number;
}

export function golden(name: string): Golden {
  const file = readSafetensors(readFileSync(new URL(`../golden/${name}.safetensors`, import.meta.url)));
  const tensors = new Map(
    [...file.tensors].map(([key, { dtype, shape, data }]) => {
      const bytes = Uint8Array.from(data).buffer;
      return [key, { shape, data: dtype === 'I32' ? new Int32Array(bytes) : new Float32Array(bytes) }];
    }),
  );
  const { encoding, attention } = JSON.parse(file.metadata.case as string);
  return { tensors, encodings: [encoding].flat(), attention, naiveError: Number(file.metadata.naive_error) };
}

/** How the tensors that a case names reach a constructor. */
export type Delivery = 'tensor' | 'array';

/** Runs a golden file; returns the largest difference from `expected`. */
export function runGolden(
  engine: Engine,
  { tensors, encodings, attention }: Golden,
  // biome-ignore lint/suspicious/noExplicitAny: constructors of many option types, fed from a file.
  make: Record<string, (options: any) => Encoding>,
  delivery: Delivery,
): number {
  const part = (name: string): { shape: readonly number[]; data: Typed } => {
    const found = tensors.get(name);
    if (!found) throw new Error(`no tensor ${name}`);
    return found;
  };
  const tensor = (name: string): Tensor => {
    const { shape, data } = part(name);
    return data instanceof Int32Array ? engine.tensor(shape, data, 'i32') : engine.tensor(shape, data);
  };
  const look = (name: string): unknown => (delivery === 'tensor' || name === 'bias' || name === 'mask' ? tensor(name) : part(name).data);
  const encoding = encodings.map(({ name, options }) => (make[name] as (options: unknown) => Encoding)(resolveTensors(options, look)));
  const options = resolveTensors(attention, (name) => part(name).data) as AttentionOptions;
  const out = engine.attentionSync(tensor('q'), tensor('k'), tensor('v'), { ...options, encoding }).toArray();
  return largestDifference(out, part('expected').data);
}

export function largestDifference(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length) return Infinity;
  let most = 0;
  for (let n = 0; n < got.length; n++) {
    const apart = Math.abs((got[n] as number) - (expected[n] as number));
    if (!(apart <= most)) most = apart;
  }
  return most;
}

/** Sizes of a call with as many key heads as query heads and E = D. */
export interface Sizes {
  readonly B: number;
  readonly H: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
}

/** Inputs of a call. */
export function inputs({ B, H, L, S, D }: Sizes, seed = 1): { q: Float32Array; k: Float32Array; v: Float32Array } {
  return { q: noise(B * H * L * D, seed), k: noise(B * H * S * D, seed + 1), v: noise(B * H * S * D, seed + 2) };
}

/** Attention in f64: bias(b, h, i, j) is added to scale·q·k; −Infinity hides the key. */
export function reference(
  sizes: Sizes,
  { q, k, v }: { q: Float32Array; k: Float32Array; v: Float32Array },
  bias: (b: number, h: number, i: number, j: number) => number,
  scale: number = 1 / Math.sqrt(sizes.D),
): Float64Array {
  const { B, H, L, S, D } = sizes;
  const out = new Float64Array(B * H * L * D);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let i = 0; i < L; i++) {
        const head = b * H + h;
        const scores = Array.from({ length: S }, (_, j): number => {
          let dot = 0;
          for (let d = 0; d < D; d++) dot += (q[(head * L + i) * D + d] as number) * (k[(head * S + j) * D + d] as number);
          return scale * dot + bias(b, h, i, j);
        });
        const top = Math.max(...scores);
        const weights = scores.map((s) => Math.exp(s - top));
        const sum = weights.reduce((total, w) => total + w, 0);
        for (let d = 0; d < D; d++) {
          out[(head * L + i) * D + d] = weights.reduce((total, w, j) => total + (w / sum) * (v[(head * S + j) * D + d] as number), 0);
        }
      }
    }
  }
  return out;
}

/** What the engine gives for the same. */
export function attend(engine: Engine, sizes: Sizes, given: ReturnType<typeof inputs>, options: AttentionOptions): Float32Array {
  const { B, H, L, S, D } = sizes;
  const q = engine.tensor([B, H, L, D], given.q);
  const k = engine.tensor([B, H, S, D], given.k);
  const v = engine.tensor([B, H, S, D], given.v);
  return engine.attentionSync(q, k, v, options).toArray();
}
