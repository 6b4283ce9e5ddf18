// Which kernels there are, which of them a precision wants, and how kernels that say what they are get refused or taken.

import { RelposError } from '../arguments/errors.ts';
import { BASELINE, INT16, RELAXED } from './generated/job.ts';
import type { Kernels } from './kernels.ts';

/**
 * `'reproducible'`: products in f32, the same bits everywhere. `'int16'`: products of 16-bit integers, with errors below those of f16 unless one
 * channel of the values dwarfs the others or large values cancel, and the same bits everywhere: 1.3 to 1.6 times as fast for many queries at
 * once, 1.3 to 2 times in decoding over a cache of `'i16'` or `'i8'`; over other caches or plain tensors a step rounds every key anew and takes
 * about twice the time of `'reproducible'`. `'relaxed'`: fused multiply-add where the host has it; faster, bits vary by host.
 */
export type Precision = 'reproducible' | 'int16' | 'relaxed';

/** A set of kernels; the name is that of its file under relpos/wasm/. */
export type Variant = 'baseline' | 'int16' | 'relaxed';

/** The name of what `variant()` returns. */
function nameOf(variant: number): Variant | undefined {
  return variant === BASELINE ? 'baseline' : variant === INT16 ? 'int16' : variant === RELAXED ? 'relaxed' : undefined;
}

/** What to pass as "wasm". */
export const SOURCES: Readonly<Record<Variant, string>> = {
  baseline: 'relpos/wasm/baseline.wasm',
  int16: 'int16Kernels() of relpos/int16, or relpos/wasm/int16.wasm',
  relaxed: 'relaxedKernels() of relpos/relaxed, or relpos/wasm/relaxed.wasm',
};

/** The kernels that give a precision on a host that fuses multiply and add, or does not. */
export function variantFor(precision: Precision, fused: boolean): Variant {
  if (precision === 'int16') return precision;
  return precision === 'relaxed' && fused ? 'relaxed' : 'baseline';
}

/**
 * The kernels' own word of what they are. Where the host fuses, or the precision is another, there is one set to run; where it does not,
 * `'relaxed'` runs either to the reproducible bits.
 *
 * @throws RelposError `bad-wasm` if they are not those of the precision
 */
export function checkVariant(kernels: Kernels, precision: Precision, wanted: Variant): Variant {
  const found = nameOf(kernels.variant());
  if (found === wanted || (found === 'relaxed' && precision === 'relaxed')) return found;
  throw new RelposError(
    'bad-wasm',
    `these are the ${found ?? 'unknown'} kernels, and precision '${precision}' needs the ${wanted} ones here: pass ${SOURCES[wanted]}`,
  );
}
