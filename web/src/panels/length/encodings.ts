import { alibi, type Encoding, rotary, shaw, t5 } from 'relpos';
import type { SafeTensor } from 'relpos/safetensors';
import { type SchemeName, TRAINED } from './schemes.ts';

/** A weight of the model's file, by its name. */
export type Weights = (name: string) => SafeTensor;

export const HEADS = 4;
/** Queries of a head have 16 channels, and all of them turn. */
const turning = { dim: 16, theta: 10000, layout: 'halves' } as const;

/** What the attention of a layer is given for windows of so many bytes; undefined where positions come with the input, or not at all. */
export function encodingOf(scheme: SchemeName, weights: Weights, layer: number, window: number): Encoding | undefined {
  const factor = window / TRAINED;
  switch (scheme) {
    case 'none':
    case 'sinusoidal':
      return undefined;
    case 'shaw':
      return shaw({ left: 16, right: 16, keys: weights(`${layer}.attention.relative`) });
    case 't5':
      return t5({ heads: HEADS, buckets: 32, maxDistance: 64, bidirectional: false, table: weights('bias') });
    case 'alibi':
      return alibi({ heads: HEADS });
    case 'rotary':
      return rotary(turning);
    case 'rotary-linear':
      return rotary({ ...turning, scaling: { type: 'linear', factor } });
    case 'rotary-ntk': // With a factor of 1 the base becomes θ·(window/64)^(16/14).
      return rotary({ ...turning, scaling: { type: 'dynamic', factor: 1, maxPositionEmbeddings: TRAINED } });
    case 'rotary-yarn':
      return rotary({ ...turning, scaling: { type: 'yarn', factor, originalMaxPositionEmbeddings: TRAINED } });
  }
}
