/** What the developers' benchmark (bench/, without TypeScript) shares with this one; no part of the package. */
export { watch } from './clock.ts';
export { alibi, causal, causalPart, rotated, rotatedCausal, t5, windowed } from './formulas.ts';
export { attention, cachedStep, rotation } from './making.ts';
export { numbers } from './numbers.ts';
export { Peak } from './peak.ts';
export { wrongness } from './reference.ts';
