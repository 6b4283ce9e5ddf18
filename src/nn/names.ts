// What every entry of relpos/nn exports besides `createLayers`.

export type { Activation } from './activations.ts';
export type { Layers } from './layers.ts';
export type { Linear, LinearOptions, LinearRunOptions } from './linear.ts';
export type { WeightType } from './weights.ts';
