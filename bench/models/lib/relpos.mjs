/** Models of relpos, as an application loads them. */
import { readFileSync } from 'node:fs';
import { loadDecoder, loadEncoder, loadSeq2Seq } from '../../../dist/models/index.js';

export const version = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')).version;

/** What is measured of relpos: each type of weights in every precision that serves it. The products of i8 and i4 are the same in all. */
export const VARIANTS = [
  { weights: 'i8', precision: 'reproducible' },
  { weights: 'i8', precision: 'int16' },
  { weights: 'f32', precision: 'reproducible' },
  { weights: 'f32', precision: 'relaxed' },
  { weights: 'f32', precision: 'int16' },
  { weights: 'i4', precision: 'reproducible' },
  { weights: 'i4', precision: 'int16' },
];

const LOADERS = { encoder: loadEncoder, decoder: loadDecoder, seq2seq: loadSeq2Seq };

/** An entry's common part: name, model, and what ends it. */
export async function relposModel(model, folder, { weights, precision, threads = 1, ...options }) {
  const loaded = await LOADERS[model.kind](folder, { weights, precision, threads, ...options });
  return { peer: 'relpos', version, weights, threads, variant: `${weights}, ${precision}`, model: loaded, dispose: () => loaded.dispose() };
}
