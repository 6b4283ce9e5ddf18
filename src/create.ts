// Makes engines of what they are made of.

import { assemble, assembleSync, type EngineOptions, type Extension, type OwnKernels } from './assemble.ts';
import { Engine } from './engine.ts';

/** `createEngine` of an entry that has these kernels of its own, or none, and starts its workers with the kernels of `extensions` too. */
export async function makeEngine(options?: EngineOptions, own?: OwnKernels, extensions?: readonly Extension[]): Promise<Engine> {
  return new Engine(await assemble(options, own, extensions));
}

/** `createEngineSync` of an entry that has these kernels of its own, or none. */
export function makeEngineSync(options?: EngineOptions, own?: OwnKernels): Engine {
  return new Engine(assembleSync(options, own));
}
