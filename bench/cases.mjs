// The developers' cases: more shapes, types and masks than `relpos bench` has, made by the same makers (src/bench).
import { alibi, attention, cachedStep, causal, rotated, rotatedCausal, rotation, t5, windowed } from '../build/bench-kit.mjs';

const squares = (label, more) => [128, 512, 1024].map((L) => attention(`${label} ${L}×12×64`, { L, ...more }));

const decode = [511, 2047, 4095].map((past) => attention(`decode 1 of ${past + 1}, 32/8×64`, { H: 32, G: 8, S: past + 1 }));

const step = (past, dtype) => cachedStep(`step ${dtype} cache, 1 of ${past + 1}, 32/8×64`, { H: 32, G: 8, D: 64, past, dtype });

export const OPS = [
  ...squares('none', {}),
  attention('none 2048×8×128', { L: 2048, H: 8, D: 128 }),
  ...squares('causal', { make: causal }),
  attention('causal 2048×8×128', { L: 2048, H: 8, D: 128, make: causal }),
  ...squares('window 256', { make: windowed }).slice(1),
  ...squares('t5', { make: t5 }),
  ...squares('alibi', { make: alibi }),
  ...squares('rotary', { make: rotated }),
  attention('rotary causal 512×32/8×64', { L: 512, H: 32, G: 8, make: rotatedCausal }),
  attention('none f16 512×12×64', { L: 512, dtype: 'f16' }),
  attention('none bf16 512×12×64', { L: 512, dtype: 'bf16' }),
  ...decode,
  ...[511, 2047, 4095].map((past) => step(past, 'f32')),
  step(4095, 'f16'),
  attention('decode 1 of 4096 f16, 32/8×64', { H: 32, G: 8, S: 4096, dtype: 'f16' }),
  rotation('rotate 512×32×64', { L: 512, H: 32, D: 64 }),
  rotation('rotate 2048×32×128', { L: 2048, H: 32, D: 128 }),
];

/** One tile each, called synchronously on one thread: the kernel without the pool. */
export const KERNELS = [
  attention('attend 128 queries, 96 keys, D 64', { H: 1, L: 128, S: 96 }),
  attention('attend 128 queries, 960 keys, D 64', { H: 1, L: 128, S: 960 }),
  attention('attend 128 queries, 960 keys, D 128', { H: 1, L: 128, S: 960, D: 128 }),
  attention('attend 128 queries, 960 keys, D 64, f16', { H: 1, L: 128, S: 960, dtype: 'f16' }),
  rotation('rotate 64 rows of 64', { H: 1, L: 64, D: 64 }),
  rotation('rotate 64 rows of 128', { H: 1, L: 64, D: 128 }),
];

export const THREADS = OPS.filter(({ id }) =>
  ['none 512×12×64', 'none 1024×12×64', 'causal 1024×12×64', 'none 2048×8×128', 'causal 2048×8×128', 'rotate 2048×32×128'].includes(id),
);
