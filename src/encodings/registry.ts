// All schemes, for `relpos encodings`, the documentation and data-driven tests.

import { found } from './generated/registry.ts';
import type { Scheme } from './scheme.ts';

/** Those that most readers look for come first. */
const FIRST = ['rotary', 'rotaryFromConfig', 'alibi', 't5', 'bias'];

function rank({ name }: Scheme): number {
  const at = FIRST.indexOf(name);
  return at < 0 ? FIRST.length : at;
}

/** The schemes, in the order of their files but for the first few. */
export const registry: readonly Scheme[] = [...found].sort((a, b) => rank(a) - rank(b));

export type { Scheme };
