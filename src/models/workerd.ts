/** `relpos/models` where workerd forbids compiling bytes, and compiled Modules have to be imported. */

import type { Url } from '../platform/types.ts';
import baseline from '../wasm/baseline.wasm';
import nn from '../wasm/nn.wasm';
import nnRelaxed from '../wasm/nn-relaxed.wasm';
import type { Decoder } from './decoder-model.ts';
import type { Encoder } from './encoder-model.ts';
import type { ImageClassifier, ImageLoadOptions } from './image-classifier.ts';
import { type CheckpointEstimate, decoderOf, encoderOf, type LoadOptions, type OpenOptions, type Own, seq2seqOf } from './load.ts';
import type { Packed, PackOptions } from './pack.ts';
import type { PackTarget } from './pack-target.ts';
import type { Seq2Seq } from './seq2seq-model.ts';
import type { CheckpointSource } from './source-of.ts';

export * from './names.ts';

const OWN: Own = {
  engine: { baseline: () => baseline, int16: async () => (await import('../wasm/int16.wasm')).default },
  layers: { baseline: async () => nn, relaxed: async () => nnRelaxed },
};

/** Loads a model that reads a text as a whole. @throws as `loadEncoder` elsewhere */
export function loadEncoder(model: CheckpointSource, options: LoadOptions = {}): Promise<Encoder> {
  return encoderOf(model, options, OWN);
}

/** Loads a model that continues text. @throws as `loadEncoder` */
export function loadDecoder(model: CheckpointSource, options: LoadOptions = {}): Promise<Decoder> {
  return decoderOf(model, options, OWN);
}

/** Loads a model that reads one text and writes another. @throws as `loadEncoder` */
export function loadSeq2Seq(model: CheckpointSource, options: LoadOptions = {}): Promise<Seq2Seq> {
  return seq2seqOf(model, options, OWN);
}

/** Loads a model that gives labels to images. @throws as `loadEncoder` */
export async function loadImageClassifier(model: CheckpointSource, options: ImageLoadOptions = {}): Promise<ImageClassifier> {
  return (await import('./load-image.ts')).imageClassifierOf(model, options, OWN);
}

/** How much of an engine's memory a model would take. @throws as `loadEncoder` */
export async function estimate(model: CheckpointSource, options: OpenOptions = {}): Promise<CheckpointEstimate> {
  return (await import('./inspect.ts')).estimateCheckpoint(model, options);
}

/** Packs a checkpoint into files that load by reading alone. @throws as `loadEncoder` */
export async function pack(model: CheckpointSource, to: string | Url | PackTarget, options: PackOptions = {}): Promise<Packed> {
  return (await import('./pack.ts')).packModel(model, to, options, OWN);
}
