// The developers' cases: more shapes, types and masks than `relpos bench` has, made by the same makers (src/bench).
import { alibi, attention, cachedStep, causal, causalPart, rotated, rotatedCausal, rotation, t5, windowed } from '../build/bench-kit.mjs';

/** Part of the pairs within the last 256 keys. */
const windowPart = (L) => (256 * L - (256 * 255) / 2) / L ** 2;

const squares = (label, more) =>
  [128, 512, 1024].map((L) => attention(`${label} ${L}×12×64`, { L, ...more, ...(more.make === causal && { part: causalPart(L) }) }));

const decode = [511, 2047, 4095].map((past) => attention(`decode 1 of ${past + 1}, 32/8×64`, { H: 32, G: 8, S: past + 1 }));

const step = (past, dtype) => cachedStep(`step ${dtype} cache, 1 of ${past + 1}, 32/8×64`, { H: 32, G: 8, D: 64, past, dtype });

export const OPS = [
  ...squares('none', {}),
  attention('none 2048×8×128', { L: 2048, H: 8, D: 128 }),
  ...squares('causal', { make: causal }),
  attention('causal 2048×8×128', { L: 2048, H: 8, D: 128, make: causal, part: causalPart(2048) }),
  ...[512, 1024].map((L) => attention(`window 256 ${L}×12×64`, { L, make: windowed, part: windowPart(L) })),
  ...squares('t5', { make: t5 }),
  ...squares('alibi', { make: alibi }),
  ...squares('rotary', { make: rotated }),
  attention('rotary causal 512×32/8×64', { L: 512, H: 32, G: 8, make: rotatedCausal, part: causalPart(512) }),
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

/** From calls that one thread keeps to itself to those that keep all busy; causal ones in triangles. */
export const THREADS = [
  ...[16, 32, 64, 128, 256, 512, 1024].map((L) => attention(`none ${L}×12×64`, { L })),
  ...[128, 256, 512, 1024].map((L) => attention(`causal ${L}×12×64`, { L, make: causal, part: causalPart(L) })),
  ...OPS.filter(({ id }) =>
    ['none 2048×8×128', 'causal 2048×8×128', 'rotate 2048×32×128', 'step f32 cache, 1 of 4096, 32/8×64'].includes(id),
  ),
];
