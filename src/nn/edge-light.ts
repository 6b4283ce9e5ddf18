/** `relpos/nn` where an edge runtime in the manner of Vercel forbids compiling bytes, and compiled Modules have to be imported. */
import type { Engine } from '../engine.ts';
import nn from '../wasm/nn.wasm?module';
import { layerContext } from './context.ts';
import { Layers } from './layers.ts';

export * from './names.ts';

/**
 * The layers of an engine, with kernels of the baseline alone: such hosts compile all modules of a function before it runs, and one without
 * relaxed SIMD would run none of it. @throws as `createLayers` elsewhere
 */
export async function createLayers(engine: Engine): Promise<Layers> {
  return new Layers(await layerContext('createLayers', engine, { baseline: async () => nn }));
}
