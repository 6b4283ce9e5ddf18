/** Makers of cases: each makes its inputs, says how to run and how to check it, and how much work one run is. */
import type { AttentionOptions } from '../attention/options.ts';
import { rotary } from '../encodings/rotary.ts';
import type { Engine } from '../engine.ts';
import type { FloatDType } from '../memory/dtypes.ts';
import type { Tensor } from '../memory/tensor.ts';
import { numbers } from './numbers.ts';
import { attentionError, type Deviation, type Formula, type Inputs, rotationError, type Sizes } from './reference.ts';

/** Inputs in an engine's memory, ready to run as often as one likes. */
export interface Prepared {
  run(): Promise<unknown>;
  /** The same at once, where there is such a call. */
  runSync?(): unknown;
  /** The same as a prepared call, where there is one. */
  prepareSync?(): Promise<() => unknown>;
  /** Of the last run, from the f64 evaluation. */
  error(): Deviation;
  /** Of the last run: a copy of the output. */
  output(): Float32Array;
  dispose(): void;
}

/** One case of the benchmark. */
export interface Case {
  readonly id: string;
  /** What one run counts as, in operations or bytes: 4·B·H·L·S·D whatever the mask, the keys and values read, or one read and one write. */
  readonly work: number;
  readonly unit: 'GFLOP/s' | 'GB/s';
  /** The part of `work` that has to be done: visible pairs. */
  readonly part: number;
  /** What bytes are for: reading alone, or one read and one write. */
  readonly traffic?: 'read' | 'copy';
  prepare(engine: Engine): Promise<Prepared>;
}

/** What a maker of attention takes. */
export interface AttentionCase {
  readonly B?: number;
  readonly H?: number;
  readonly G?: number;
  readonly L?: number;
  readonly S?: number;
  readonly D?: number;
  readonly dtype?: FloatDType;
  /** Options of the call and what they mean, made when the case is prepared: tables are of a size. */
  readonly make?: (sizes: Sizes) => { readonly options?: AttentionOptions; readonly formula?: Formula };
  /** Part of the pairs that are visible; default all. */
  readonly part?: number;
}

/** The nearest values that a type has: what the engine stores, read back. */
function storedAs(engine: Engine, data: Float32Array, dtype: FloatDType): Float32Array {
  if (dtype === 'f32') return data;
  const tensor = engine.tensor([data.length], data, dtype);
  const read = tensor.toArray();
  tensor.dispose();
  return read as Float32Array;
}

const disposeAll = (all: readonly { dispose(): void }[]) => (): void => {
  for (const one of all) one.dispose();
};

/** A case of attention; a single query counts the keys and values that it has to read. */
export function attention(id: string, given: AttentionCase): Case {
  const { B = 1, H = 12, G = H, L = 1, S = L, D = 64, dtype = 'f32', make, part = 1 } = given;
  const sizes = { B, H, G, L, S, D };
  const decode = L === 1;
  return {
    id,
    work: decode ? 2 * B * S * G * D * (dtype === 'f32' ? 4 : 2) : 4 * B * H * L * S * D,
    unit: decode ? 'GB/s' : 'GFLOP/s',
    part,
    ...(decode && { traffic: 'read' as const }),
    async prepare(engine) {
      const given = { q: numbers(B * H * L * D, 1), k: numbers(B * G * S * D, 2), v: numbers(B * G * S * D, 3) };
      const q = engine.tensor([B, H, L, D], given.q, dtype);
      const [k, v] = [given.k, given.v].map((data) => engine.tensor([B, G, S, D], data, dtype)) as [Tensor, Tensor];
      const out = engine.tensor([B, H, L, D]);
      const { options = {}, formula = {} } = make?.(sizes) ?? {};
      const call = { ...options, out };
      const stored: Inputs = {
        q: storedAs(engine, given.q, dtype),
        k: storedAs(engine, given.k, dtype),
        v: storedAs(engine, given.v, dtype),
      };
      const output = (): Float32Array => out.toArray() as Float32Array;
      return {
        run: () => engine.attention(q, k, v, call),
        runSync: () => engine.attentionSync(q, k, v, call),
        prepareSync: async () => {
          const step = await engine.prepare(q, k, v, call);
          return () => step.runSync();
        },
        error: () => attentionError(sizes, formula, stored, output()),
        output,
        dispose: disposeAll([q, k, v, out]),
      };
    },
  };
}

/** One step with a cache: append a token, attend, take it back. */
export function cachedStep(
  id: string,
  { H, G, D, past, dtype = 'f32' }: { H: number; G: number; D: number; past: number; dtype?: 'f32' | 'f16' },
): Case {
  const S = past + 1;
  return {
    id,
    work: 2 * S * G * D * (dtype === 'f32' ? 4 : 2),
    unit: 'GB/s',
    traffic: 'read',
    part: 1,
    async prepare(engine) {
      const given = { q: numbers(H * D, 1), k: numbers(G * S * D, 2), v: numbers(G * S * D, 3) };
      const q = engine.tensor([1, H, 1, D], given.q);
      const [k, v] = [given.k, given.v].map((data) => engine.tensor([1, G, S, D], data)) as [Tensor, Tensor];
      const rows = (x: Tensor, from: number, to: number): Tensor => x.slice(null, null, [from, to]);
      const cache = engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: S, dtype });
      const held = [rows(k, 0, past), rows(v, 0, past)] as [Tensor, Tensor];
      await cache.append(...held);
      const newest = [rows(k, past, S), rows(v, past, S)] as [Tensor, Tensor];
      const out = engine.tensor([1, H, 1, D]);
      const stored = { q: given.q, k: storedAs(engine, given.k, dtype), v: storedAs(engine, given.v, dtype) };
      const output = (): Float32Array => out.toArray() as Float32Array;
      return {
        run: async () => {
          await engine.attention(q, ...newest, { cache, out });
          cache.truncate(past);
        },
        error: () => attentionError({ B: 1, H, G, L: 1, S, D }, {}, stored, output()),
        output,
        dispose: disposeAll([cache, q, ...held, ...newest, k, v, out]),
      };
    },
  };
}

/** Base of all rotations here. */
export const THETA = 10000;

/** A rotation of x [1, H, L, D]. */
export function rotation(id: string, { H, L, D }: { H: number; L: number; D: number }): Case {
  return {
    id,
    work: 2 * L * H * D * 4,
    unit: 'GB/s',
    traffic: 'copy',
    part: 1,
    async prepare(engine) {
      const data = numbers(H * L * D, 1);
      const x = engine.tensor([1, H, L, D], data);
      const out = engine.tensor([1, H, L, D]);
      const encoding = rotary({ dim: D, theta: THETA, layout: 'halves' });
      const output = (): Float32Array => out.toArray() as Float32Array;
      return {
        run: () => engine.rotate(x, encoding, { out }),
        runSync: () => engine.rotateSync(x, encoding, { out }),
        error: () => rotationError({ H, L, D }, THETA, data, output()),
        output,
        dispose: disposeAll([x, out]),
      };
    },
  };
}
