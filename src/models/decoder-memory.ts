// What a decoder's text finds before it begins: keys and values of the encoder's rows for cross-attention, and of rows of zeros.

import type { KVCache } from '../kvcache/kvcache.ts';
import type { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import { jobOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import type { Attention } from './blueprint.ts';
import type { DecoderProgram } from './decoder.ts';
import type { LayerProgram } from './layer-program.ts';
import { writing } from './workspace.ts';

/** Keys and values of the encoder's rows, of one layer. */
export interface Memory {
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly all: Tensor;
}

/** Room for k and v of an encoder's rows. */
export function memoryFor(
  { layers, where }: DecoderProgram,
  { keyHeads: G, headWidth: D, valueWidth: E }: Attention,
  rows: Tensor,
  scope: Scope,
): Memory {
  const S = rows.shape[0] as number;
  const width = G * (D + E);
  const all = scope.own(makeTensor(layers.context, where, [S, width]));
  const keys = scope.own(all.restride([1, S, G, D], [S * width, width, D, 1]));
  const values = scope.own(all.restride([1, S, G, E], [S * width, width, E, 1], G * D));
  return { keys, values, all };
}

/** The stages that fill these from the encoder's rows. */
export function remembering({ program }: DecoderProgram, memories: readonly (Memory | undefined)[], rows: Tensor): Stage[] {
  const from = { at: rows.pointer, stride: 4 * (rows.strides[0] as number) };
  return memories.flatMap((memory, n) => {
    if (!memory) return [];
    const { all } = memory;
    const to = { at: all.pointer, stride: 4 * (all.shape[1] as number) };
    return program.layers[n]?.cross?.remember(rows.shape[0] as number, from, to) ?? [];
  });
}

/** Keys and values of rows of zeros, which every layer takes for its own input: they are all the same. */
export async function rememberNothing(decoder: DecoderProgram, caches: readonly KVCache[], count: number, signal?: Signal): Promise<void> {
  const { program, workspace, layers, stack } = decoder;
  for (const [n, { attention }] of stack.layers.entries()) {
    const { heads: H, keyHeads: G, headWidth: D, valueWidth: E } = attention;
    (workspace.tensor('x').view() as Float32Array).fill(0);
    const stages = (program.layers[n] as LayerProgram).attention.enter(1, workspace.buffers);
    await layers.pool.run(jobOf(writing(stages, workspace.outputs)), { signal });
    const qkv = workspace.tensor('qkv');
    const k = qkv.restride([1, count, G, D], [0, 0, D, 1], H * D);
    const v = qkv.restride([1, count, G, E], [0, 0, E, 1], (H + G) * D);
    try {
      (caches[n] as KVCache).append(k, v);
    } finally {
      k.dispose();
      v.dispose();
    }
  }
}
