/** What the cases are made of. */
import type * as Relpos from '../../src/index.ts';
import { numbers } from './numbers.ts';

export type Package = typeof Relpos;
export type Engine = Relpos.Engine;
export type Tensor = Relpos.Tensor;
export type Outputs = readonly (Tensor | Float32Array | Float64Array)[];

/** A case: what comes out, in f32 or f64. */
export type Case = (relpos: Package, engine: Engine) => Promise<Outputs> | Outputs;

export interface Sizes {
  B: number;
  H: number;
  G: number;
  L: number;
  S: number;
  D: number;
  E: number;
  dtype: Relpos.DType;
  layout: Relpos.Layout;
}

const SIZES: Sizes = { B: 1, H: 4, G: 2, L: 193, S: 193, D: 40, E: 40, dtype: 'f32', layout: 'bhld' };

/** q, k and v of the given sizes, in the engine's memory. */
export function inputs(engine: Engine, given: Partial<Sizes> = {}): [Tensor, Tensor, Tensor] {
  const { B, H, G, L, S, D, E, dtype, layout } = { ...SIZES, ...given };
  const tensor = (heads: number, rows: number, width: number, seed: number): Tensor => {
    const shape = layout === 'bhld' ? [B, heads, rows, width] : [B, rows, heads, width];
    return engine.tensor(shape, numbers(B * heads * rows * width, seed), dtype);
  };
  return [tensor(H, L, D, 1), tensor(G, S, D, 2), tensor(G, S, E, 3)];
}

export type Options = Relpos.AttentionOptions;

/** A case of `attention` with the options that `make` gives. */
export const attention =
  (sizes: Partial<Sizes>, make: Options | ((relpos: Package, engine: Engine) => Options) = {}): Case =>
  async (relpos, engine) => {
    const { layout = 'bhld' } = sizes;
    const options = typeof make === 'function' ? make(relpos, engine) : make;
    return [await engine.attention(...inputs(engine, sizes), { layout, ...options })];
  };

/** A case of `attention` with one encoding. */
export const encoded = (sizes: Partial<Sizes>, encoding: (relpos: Package, engine: Engine) => Relpos.Encoding | Relpos.Encoding[]): Case =>
  attention(sizes, (relpos, engine) => ({ causal: true, encoding: encoding(relpos, engine) }));
