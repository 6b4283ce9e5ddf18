// A blueprint by the family of a config.

import type { Blueprint } from '../blueprint.ts';
import { Config } from '../config.ts';
import type { TensorIndex } from '../tensors.ts';
import type { Family } from './parts.ts';

/** The blueprint by the first of the families that fits; undefined if none does. */
export function blueprintBy(
  families: readonly Family[],
  config: Readonly<Record<string, unknown>>,
  index: TensorIndex,
): Blueprint | undefined {
  const read = new Config(config);
  read.only('quantization_config');
  const { model_type: type } = config;
  const family = families.find(({ types, fits }) => types.includes(type as string) && (fits?.(read) ?? true));
  if (!family) return undefined;
  const made = family.read(read, index);
  // What a decoder's rows see is what its cache holds.
  if (made.kind === 'decoder') read.only('is_causal', true);
  const parts = Object.fromEntries(Object.entries(made).filter(([, part]) => part !== undefined));
  return frozen({ family: family.name, modelType: type, ...parts } as unknown as Blueprint);
}

/** Freezes plain objects and arrays all the way down; encodings are frozen already. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
