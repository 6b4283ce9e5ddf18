/**
 * Layers of neural networks beside attention, on the memory and the threads of an engine.
 *
 * Their kernels are a WebAssembly module of its own, which nothing else of the package loads.
 */
import type { Engine } from '../engine.ts';
import { layerContext } from './context.ts';
import { Layers } from './layers.ts';
import { OWN_LAYERS } from './own.ts';

export * from './names.ts';

/**
 * The layers of an engine. Their kernels are loaded for the first of them; an engine with threads starts its workers anew, once.
 *
 * @throws TypeError if it is no engine
 * @throws RelposError `disposed`, `bad-wasm`, `unsupported-runtime`
 * @example
 * ```ts
 * import { createLayers } from 'relpos/nn';
 *
 * const engine = await createEngine({ threads: 1 });
 * const nn = await createLayers(engine);
 * const layer = nn.linear({ weight: engine.tensor([2, 3], [1, 2, 3, 4, 5, 6]) });
 * layer.runSync(engine.tensor([1, 3], [1, 1, 1])).toArray(); // [6, 15]
 * engine.dispose();
 * ```
 */
export async function createLayers(engine: Engine): Promise<Layers> {
  return new Layers(await layerContext('createLayers', engine, OWN_LAYERS));
}
