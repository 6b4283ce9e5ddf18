/** The package: every public name. Importing does nothing: no memory, no worker, no compilation. */
export { createEngine, createEngineSync } from './entries/inlined.ts';
export * from './entries/names.ts';
