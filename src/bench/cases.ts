/** The cases of `relpos bench`. Ids of the same work are those of bench/peers, so that one report can hold both. */
import { alibi, causal, causalPart, deberta, rotatedCausal, swin, t5 } from './formulas.ts';
import { attention, type Case, cachedStep, rotation } from './making.ts';

/** A case, and whether the quick run has it too. */
export interface Listed extends Case {
  readonly quick: boolean;
}

const shapes = [
  { L: 128, H: 12, D: 64 },
  { L: 512, H: 12, D: 64 },
  { L: 1024, H: 8, D: 64 },
  { L: 2048, H: 8, D: 128 },
];

const named = ({ L, H, D }: { L: number; H: number; D: number }): string => `${L}x${H}x${D}`;
const quick = (one: Case): Listed => ({ ...one, quick: true });
const full = (one: Case): Listed => ({ ...one, quick: false });
const medium = { L: 512, H: 12, D: 64 };

/** All cases, in the order of the table. */
export const cases: readonly Listed[] = [
  ...shapes.map((shape) => (shape.L === 512 ? quick : full)(attention(`attention/${named(shape)}`, shape))),
  ...shapes.map((shape) =>
    (shape.L === 1024 ? quick : full)(attention(`causal/${named(shape)}`, { ...shape, make: causal, part: causalPart(shape.L) })),
  ),
  quick(attention('prefill/512xH32G8x64', { L: 512, H: 32, G: 8, make: rotatedCausal, part: causalPart(512) })),
  full(cachedStep('decode/511xH32G8x64', { H: 32, G: 8, D: 64, past: 511 })),
  quick(cachedStep('decode/2047xH32G8x64', { H: 32, G: 8, D: 64, past: 2047 })),
  full(cachedStep('decode/4095xH32G8x128', { H: 32, G: 8, D: 128, past: 4095 })),
  quick(rotation('rotary/512x32x64', { L: 512, H: 32, D: 64 })),
  full(rotation('rotary/2048x32x128', { L: 2048, H: 32, D: 128 })),
  quick(attention('t5-bias/512x12x64', { ...medium, make: t5 })),
  quick(attention('alibi/512x12x64', { ...medium, make: alibi })),
  quick(attention('deberta/512x12x64', { ...medium, make: deberta })),
  quick(attention('swin/64x7x7x12x32', { B: 64, H: 12, L: 49, D: 32, make: swin(7) })),
];
