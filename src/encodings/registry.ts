// One line per scheme, for `relpos encodings`, the documentation and data-driven tests.

import type { Encoding } from '../plan.ts';
import { alibi } from './alibi.ts';
import { bias } from './bias.ts';
import { conformer, transformerXL, xlnet } from './transformer-xl.ts';
import { musicTransformer, shaw } from './shaw.ts';
import { decomposed } from './decomposed.ts';
import { deberta } from './deberta.ts';
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
  {
    name: 'shaw',
    formula: 's = scale · q·(k + aK[clip(j − i)]), o = Σ p·(v + aV[clip(j − i)])',
    options: 'left, right, keys, queries, values',
    models: 'Shaw et al. 2018, Wav2Vec2-BERT, SeamlessM4T v2, BERT relative_key and relative_key_query',
    make: shaw,
  },
  {
    name: 'musicTransformer',
    formula: 's = scale · (q·k + q·Er[rows − 1 + j − i])',
    options: 'table, heads',
    models: 'Music Transformer',
    make: musicTransformer,
  },
  {
    name: 'transformerXL',
    formula: 's = scale · ((q + u)·k + (q + v)·r(i − j))',
    options: 'u, v, r',
    models: 'Transformer-XL',
    make: transformerXL,
  },
  {
    name: 'xlnet',
    formula: 's = scale · ((q + r_w)·k + (q + r_r)·r(i − j) + (q + r_s)·seg)',
    options: 'rWBias, rRBias, r, attnType, rSBias, segEmbed, segments',
    models: 'XLNet',
    make: xlnet,
  },
  {
    name: 'conformer',
    formula: 's = scale · ((q + u)·k + (q + v)·r(i − j))',
    options: 'posBiasU, posBiasV, r',
    models: 'Wav2Vec2-Conformer, Parakeet, FastSpeech2-Conformer',
    make: conformer,
  },
  {
    name: 'deberta',
    formula: 's = scale · (q·k + q·Kr[δ(i − j)] + k·Qr[δ(i − j)])',
    options: 'maxRelativePositions, positionBuckets, posAttType, posKey, posQuery',
    models: 'DeBERTa v1, v2, v3',
    make: deberta,
  },
  {
    name: 'decomposed',
    formula: 's = scale · q·k + q·Rh[y_q − y_k] + q·Rw[x_q − x_k]',
    options: 'querySize, keySize, relPosH, relPosW',
    models: 'SAM, ViTDet, MViTv2',
    make: decomposed,
  },
];
