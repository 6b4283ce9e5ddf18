/** What a model is in memory once it is loaded, and what it writes, for tests that compare two ways of coming to it. */
import type { Engine } from '../../src/index.ts';
import { openModel } from '../../src/models/load.ts';
import { loadPackings } from '../../src/models/packing.ts';
import { declareAny } from '../../src/models/vision-declared.ts';
import type { LoadProgress } from '../../src/models/weights.ts';
import { layerContext } from '../../src/nn/context.ts';
import { OWN_LAYERS } from '../../src/nn/own.ts';
import type { WeightType } from '../../src/nn/weights.ts';

/**
 * All panels and vectors of a model as they lie in memory, each with the name of the tensor that is the first in it.
 *
 * @param alone whether packed files are read straight into memory
 */
export async function memoryOf(
  engine: Engine,
  given: unknown,
  weights?: WeightType,
  { alone = false, onProgress }: { readonly alone?: boolean; readonly onProgress?: (progress: LoadProgress) => void } = {},
): Promise<[string, Uint8Array][]> {
  const layers = await layerContext('test', engine, OWN_LAYERS);
  const opened = await openModel('test', given, weights ? { weights } : {});
  if (opened.packed) opened.packed.alone = alone;
  const { packing, scratch } = declareAny(opened.blueprint, opened.type);
  try {
    for (const each of [packing, scratch]) each.reserve(layers);
    await loadPackings('test', layers, [packing, scratch], opened.packed ?? opened.weights, onProgress);
    const { memory } = layers.context.arena;
    return [...packing.places, ...scratch.places].map(({ to, bytes, of }) => [
      (of.parts[0] as { tensor: string }).tensor,
      new Uint8Array(memory.buffer, to.pointer, bytes).slice(),
    ]);
  } finally {
    for (const each of [packing, scratch]) each.dispose();
    await opened.weights.close();
  }
}

/** All pieces of a text as one. */
export async function all(pieces: AsyncIterable<string>): Promise<string> {
  let whole = '';
  for await (const piece of pieces) whole += piece;
  return whole;
}
