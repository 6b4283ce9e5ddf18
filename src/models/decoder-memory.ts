// What a decoder's text finds before it begins: keys and values of the encoder's rows for cross-attention, and of rows of zeros. Loaded with the first
// text that finds any.

import type { CheckedOptions } from '../attention/options.ts';
import { prepareOne } from '../attention/prepare.ts';
import type { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Call } from '../plan/context.ts';
import type { Signal } from '../platform/types.ts';
import { KIT } from '../prepared/kit.ts';
import type { Program } from '../prepared/program.ts';
import { Repeat } from '../prepared/repeat.ts';
import { jobOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import type { Attention } from './blueprint.ts';
import type { DecoderProgram } from './decoder.ts';
import type { LayerProgram } from './layer-program.ts';
import type { TextCache } from './text-cache.ts';
import { writing } from './workspace.ts';

/** q, k, v and the result of some rows. */
export type Views = Readonly<Record<'q' | 'k' | 'v' | 'out', Tensor>>;

/** Keys and values of the encoder's rows, of one layer, and the attention over them. */
export class Memory {
  readonly #attention: Attention;
  /** Keys and values side by side. */
  readonly all: Tensor;
  readonly #keys: Tensor;
  readonly #values: Tensor;

  constructor(attention: Attention, all: Tensor, scope: Scope) {
    const { keyHeads: G, headWidth: D, valueWidth: E } = attention;
    const [S, width] = all.shape as [number, number];
    this.#attention = attention;
    this.all = scope.own(all);
    this.#keys = scope.own(all.restride([1, S, G, D], [S * width, width, D, 1]));
    this.#values = scope.own(all.restride([1, S, G, E], [S * width, width, E, 1], G * D));
  }

  /** The same memory, which lives as long as any that has it. */
  view(scope: Scope): Memory {
    return new Memory(this.#attention, this.all.restride(this.all.shape, this.all.strides), scope);
  }

  #options({ schemes, where }: DecoderProgram, out: Tensor): CheckedOptions {
    const encodings = this.#attention.positions.map((position) => schemes.encoding(position));
    return schemes.options(where, this.#attention, encodings, { out, layout: 'blhd' });
  }

  /** A call of these queries, made again and again. */
  program(decoder: DecoderProgram, { q, out }: Views): Program {
    const { context } = decoder.layers;
    const operands = { q, k: this.#keys, v: this.#values };
    return new Repeat(decoder.where, { kit: KIT, context, operands, given: this.#options(decoder, out) }, false);
  }

  /** A call of these queries. */
  call(decoder: DecoderProgram, { q, out }: Views): Call {
    return prepareOne(decoder.layers.context, decoder.where, q, this.#keys, this.#values, this.#options(decoder, out), false);
  }
}

/** Room for keys and values of S rows of an encoder, of each layer that has cross-attention. @throws RelposError `out-of-memory` */
export function memoriesFor({ layers, where, stack }: DecoderProgram, S: number, scope: Scope): (Memory | undefined)[] {
  return stack.layers.map(({ cross }) => {
    if (!cross) return undefined;
    const { keyHeads: G, headWidth: D, valueWidth: E } = cross;
    return new Memory(cross, makeTensor(layers.context, where, [S, G * (D + E)]), scope);
  });
}

/** Keys and values of an encoder's rows. */
export async function rememberRows(
  { layers, program }: DecoderProgram,
  memories: readonly (Memory | undefined)[],
  rows: Tensor,
  signal: Signal | undefined,
): Promise<void> {
  const S = rows.shape[0] as number;
  const from = { at: rows.pointer, stride: 4 * (rows.strides[0] as number) };
  const stages = memories.flatMap((memory, n): Stage[] => {
    if (!memory) return [];
    const to = { at: memory.all.pointer, stride: 4 * (memory.all.shape[1] as number) };
    return program.layers[n]?.cross?.remember(S, from, to) ?? [];
  });
  const outputs = memories.flatMap((memory) => (memory ? [memory.all] : []));
  await layers.pool.run(jobOf(writing(stages, outputs)), { signal });
}

/** Keys and values of rows of zeros, which every layer takes for its own input: they are all the same. */
export async function rememberNothing(
  decoder: DecoderProgram,
  caches: readonly TextCache[],
  count: number,
  signal?: Signal,
): Promise<void> {
  const { program, workspace, layers, stack, where } = decoder;
  for (const [n, { attention }] of stack.layers.entries()) {
    const { heads: H, keyHeads: G, headWidth: D, valueWidth: E } = attention;
    const { pointer, size } = workspace.tensor('x');
    layers.context.arena.words.fill(0, pointer / 4, pointer / 4 + size);
    const stages = (program.layers[n] as LayerProgram).attention.enter(1, workspace.buffers);
    await layers.pool.run(jobOf(writing(stages, workspace.outputs)), { signal });
    const qkv = workspace.tensor('qkv');
    const k = qkv.restride([1, count, G, D], [0, 0, D, 1], H * D);
    const v = qkv.restride([1, count, G, E], [0, 0, E, 1], (H + G) * D);
    try {
      (caches[n] as TextCache).append(where, k, v);
    } finally {
      k.dispose();
      v.dispose();
    }
  }
}
