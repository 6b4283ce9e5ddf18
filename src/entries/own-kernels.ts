import type { OwnKernels } from '../assemble.ts';
import { loadWorkers } from '../threads/pool.ts';
import { baseline } from '../wasm/generated/baseline.ts';
import { unpack } from '../wasm/unpack.ts';

/** Inlined baseline kernels: whatever imports the package has them, without a file to find. The others are a file of their own. */
export const OWN_KERNELS: OwnKernels = {
  baseline: () => unpack(baseline),
  int16: async () => unpack((await import('../wasm/generated/int16.ts')).int16),
  relaxed: async () => unpack((await import('../wasm/generated/relaxed.ts')).relaxed),
  load: loadWorkers,
};
