// The layers' kernels as text in the package: whatever imports it has them, without a file to find.

import { unpack } from '../wasm/unpack.ts';
import type { OwnLayers } from './module.ts';

export const OWN_LAYERS: OwnLayers = {
  baseline: async () => unpack((await import('../wasm/generated/nn.ts')).nn),
  relaxed: async () => unpack((await import('../wasm/generated/nn-relaxed.ts')).nnRelaxed),
};
