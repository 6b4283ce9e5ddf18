// How much memory a model will take, from its headers alone.

import type { WeightType } from '../nn/weights.ts';
import type { Blueprint, Stack } from './blueprint.ts';
import { declareModel } from './declared.ts';
import { blockKeys, widthsOf } from './packed-stack.ts';
import { CHUNK } from './tokens.ts';
import type { AnyBlueprint } from './vision.ts';

/** Bytes of the engine's memory. */
export interface ModelEstimate {
  /** Packed weights, which stay. */
  readonly weights: number;
  /** Keys and values of one text of `context` tokens; 0 for encoders. */
  readonly cache: number;
  /** What the rows of a run pass from layer to layer. */
  readonly rows: number;
  /** The sum. Attention takes a little more for the length of a run. */
  readonly total: number;
}

/** @param context tokens of a text */
export async function estimateModel(blueprint: Blueprint, type: WeightType, context: number): Promise<ModelEstimate> {
  const { width, encoder, decoder } = blueprint;
  const cache = decoder ? await cacheOf(decoder, context) : 0;
  const rows = (encoder ? rowsOf(encoder, width, context) : 0) + (decoder ? rowsOf(decoder, width, CHUNK) : 0);
  // What is declared is added up; nothing is reserved, so no memory is needed.
  const weights = declareModel(blueprint, type).packing.bytes;
  return { weights, cache, rows, total: weights + cache + rows };
}

/** The same of a model of either. */
export async function estimateAny(blueprint: AnyBlueprint, type: WeightType, context: number): Promise<ModelEstimate> {
  if (blueprint.kind !== 'images') return estimateModel(blueprint, type, context);
  return (await import('./vision-estimate.ts')).estimateVision(blueprint, type);
}

/** Rows of zeros before a text have a place too. */
async function cacheOf({ layers, memory = 0 }: Stack, context: number): Promise<number> {
  const { cacheBytes } = await import('./decoding.ts');
  const options = { capacity: context + memory, dtype: 'f32' } as const;
  return layers.reduce((sum, { attention }) => sum + cacheBytes('estimate', attention, options), 0);
}

function rowsOf(stack: Stack, width: number, rows: number): number {
  const { stream, projected, attended, inner, kept } = widthsOf(stack, width);
  return 4 * (rows + blockKeys(stack, rows)) * (3 * stream + projected + attended + inner + kept);
}
