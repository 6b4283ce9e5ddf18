// The names of the activations.

import * as field from '../wasm/generated/layers.ts';

/**
 * `'gelu'`: x·Φ(x); `'gelu_new'`: by tanh, as GPT-2 has it; `'quick_gelu'`: x·σ(1.702·x); `'silu'`: x·σ(x); `'relu'`; `'relu2'`: its square;
 * `'tanh'`; `'sigmoid'`.
 */
export type Activation = 'gelu' | 'gelu_new' | 'quick_gelu' | 'silu' | 'relu' | 'relu2' | 'tanh' | 'sigmoid';

const CODES: Readonly<Record<Activation, number>> = {
  gelu: field.ACT_GELU,
  gelu_new: field.ACT_GELU_NEW,
  quick_gelu: field.ACT_QUICK_GELU,
  silu: field.ACT_SILU,
  relu: field.ACT_RELU,
  relu2: field.ACT_RELU2,
  tanh: field.ACT_TANH,
  sigmoid: field.ACT_SIGMOID,
};

export const ACTIVATIONS = /* @__PURE__ */ Object.keys(CODES) as readonly Activation[];

/** The kernels' number of an activation, or of none. */
export const activationCode = (activation: Activation | undefined): number =>
  activation === undefined ? field.ACT_NONE : CODES[activation];
