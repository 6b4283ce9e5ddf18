// One line per scheme, for `relpos encodings`, the documentation and data-driven tests.

import type { Encoding } from '../plan.ts';
import { alibi } from './alibi.ts';
import { bias } from './bias.ts';
import { rotary } from './rotary.ts';
import { t5 } from './t5.ts';

/** What there is to say of a scheme. */
export interface EncodingEntry {
  readonly name: string;
  readonly formula: string;
  readonly options: string;
  readonly models: string;
  // biome-ignore lint/suspicious/noExplicitAny: options come from files and flags here; each constructor checks its own.
  readonly make: (options: any, ...rest: any[]) => Encoding;
}

export const registry: readonly EncodingEntry[] = [
  {
    name: 'rotary',
    formula: 'q, k turned by position · theta^(−2i/dim) in pair i',
    options: 'dim, theta, layout, offset, positions, queryPositions',
    models: 'LLaMA, Mistral, Qwen, Gemma, Phi, GPT-NeoX (halves); GPT-J, CodeGen, Cohere (pairs)',
    make: rotary,
  },
  {
    name: 'alibi',
    formula: 'b = −m_h · |i − j|',
    options: 'heads',
    models: 'BLOOM, MPT, Falcon',
    make: alibi,
  },
  {
    name: 't5',
    formula: 'b = table[bucket(j − i), h]',
    options: 'heads, buckets, maxDistance, bidirectional, table',
    models: 'T5, mT5, Switch, Pop2Piano, Pix2Struct',
    make: t5,
  },
  {
    name: 'bias',
    formula: 'b = tensor[b, h, i, j]',
    options: 'tensor [B|1, H|1, L|1, S]',
    models: 'anything that comes as a matrix',
    make: bias,
  },
];
