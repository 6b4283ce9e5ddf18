/** `relpos/nn` where workerd forbids compiling bytes, and compiled Modules have to be imported. */
import type { Engine } from '../engine.ts';
import nn from '../wasm/nn.wasm';
import nnRelaxed from '../wasm/nn-relaxed.wasm';
import { layerContext } from './context.ts';
import { Layers } from './layers.ts';

export * from './names.ts';

/** The layers of an engine. @throws as `createLayers` elsewhere */
export async function createLayers(engine: Engine): Promise<Layers> {
  return new Layers(await layerContext('createLayers', engine, { baseline: async () => nn, relaxed: async () => nnRelaxed }));
}
