// Rotary positions, by way of what is known of Hugging Face's configs.

import type { Position } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { rotationChange, rotationOf } from './facts.ts';
import { fixed } from './parts.ts';

/** The rotation of a layer as its config says; layers of one `kind` share it. */
export function rotations(config: Config): (layer: number, kind?: string) => Position {
  const made = new Map<string, Position>();
  return (layer, kind = '') => {
    const known = made.get(kind);
    if (known) return known;
    const rotation = fixed('rotaryFromConfig', { layer }, rotationOf(config, layer));
    const until = rotationChange(config, layer);
    const found = until === undefined ? rotation : { ...rotation, until };
    made.set(kind, found);
    return found;
  };
}
