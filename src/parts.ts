// The door between an engine and the other entries of the package, which run kernels of their own on its memory and its threads.

import type { Context } from './plan/context.ts';
import type { Pool } from './threads/types.ts';
import type { Precision } from './wasm/variants.ts';

/** What an engine is made of. */
export interface EngineParts {
  /** Memory, tables, arithmetic and the engine's own kernels; `alive()` throws once the engine was disposed. */
  readonly context: Context;
  /** Runs jobs; `extend` adds the kernels of another module. */
  readonly pool: Pool;
  readonly precision: Precision;
}

/** The engine keeps its parts, which keep no memory once it is disposed. */
const PARTS: WeakMap<object, EngineParts> = new WeakMap();

/** Says what an engine is made of; its constructor does. */
export function keepParts(engine: object, parts: EngineParts): void {
  PARTS.set(engine, parts);
}

/** The parts of an engine; undefined of what is none of this copy of the package. */
export function partsOf(engine: object): EngineParts | undefined {
  return PARTS.get(engine);
}
