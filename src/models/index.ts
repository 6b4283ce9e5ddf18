/**
 * Whole models from their checkpoints: vectors, labels and text, with the same bits on every host.
 *
 * The files are those of a Hugging Face folder (config.json, tokenizer.json, model.safetensors), from wherever they lie.
 */
import { OWN_KERNELS } from '../entries/own-kernels.ts';
import { OWN_LAYERS } from '../nn/own.ts';
import type { Url } from '../platform/types.ts';
import type { Decoder } from './decoder-model.ts';
import type { Encoder } from './encoder-model.ts';
import type { ImageClassifier, ImageLoadOptions } from './image-classifier.ts';
import { type CheckpointEstimate, decoderOf, encoderOf, type LoadOptions, type OpenOptions, type Own, seq2seqOf } from './load.ts';
import type { Packed, PackOptions } from './pack.ts';
import type { PackTarget } from './pack-target.ts';
import type { Seq2Seq } from './seq2seq-model.ts';
import type { CheckpointSource } from './source-of.ts';

export * from './names.ts';

const OWN: Own = { engine: OWN_KERNELS, layers: OWN_LAYERS };

/**
 * Loads a model that reads a text as a whole: BERT and its like, or a decoder whose folder has sentence-transformers' files. Its weights go from the source straight into the engine's memory.
 *
 * @throws TypeError, RangeError if an argument is wrong
 * @throws RelposError `bad-checkpoint`, `unreadable`, `missing-package`, `out-of-memory`, `unsupported-runtime`; the signal's reason
 * @example
 * ```ts
 * import { loadEncoder } from 'relpos/models';
 *
 * const encoder = await loadEncoder('models/minilm', { weights: 'i8' });
 * const [question, other] = await encoder.embed(['How old are you?', 'What is your age?']);
 * encoder.dispose();
 * ```
 */
export function loadEncoder(model: CheckpointSource, options: LoadOptions = {}): Promise<Encoder> {
  return encoderOf(model, options, OWN);
}

/**
 * Loads a model that continues text: LLaMA and its like.
 *
 * @throws as `loadEncoder`
 * @example
 * ```ts
 * import { loadDecoder } from 'relpos/models';
 *
 * const decoder = await loadDecoder('examples/models/story-llama', { weights: 'i8' });
 * for await (const piece of decoder.generate('In the beginning', { maxTokens: 32 })) console.log(piece);
 * decoder.dispose();
 * ```
 */
export function loadDecoder(model: CheckpointSource, options: LoadOptions = {}): Promise<Decoder> {
  return decoderOf(model, options, OWN);
}

/**
 * Loads a model that reads one text and writes another: T5 and its like.
 *
 * @throws as `loadEncoder`
 * @example
 * ```ts
 * import { loadSeq2Seq } from 'relpos/models';
 *
 * const model = await loadSeq2Seq('examples/models/fix-t5');
 * for await (const piece of model.generate('nd h sd, Wh rt th?')) console.log(piece);
 * model.dispose();
 * ```
 */
export function loadSeq2Seq(model: CheckpointSource, options: LoadOptions = {}): Promise<Seq2Seq> {
  return seq2seqOf(model, options, OWN);
}

/**
 * Loads a model that gives labels to images: Swin and Swin v2 with a classifier. Its code is fetched with the first call.
 *
 * @param options as for `loadEncoder`, but for those of texts
 * @throws as `loadEncoder`
 * @example
 * ```ts
 * import { loadImageClassifier } from 'relpos/models';
 *
 * const classifier = await loadImageClassifier('models/swin');
 * const data = new Uint8Array(640 * 480 * 3); // rows of red, green, blue
 * const [{ label, score }] = await classifier.classify({ data, width: 640, height: 480 }, { topK: 5 });
 * classifier.dispose();
 * ```
 */
export async function loadImageClassifier(model: CheckpointSource, options: ImageLoadOptions = {}): Promise<ImageClassifier> {
  return (await import('./load-image.ts')).imageClassifierOf(model, options, OWN);
}

/**
 * How much of an engine's memory a model would take: only the headers of its files are read.
 *
 * @throws as `loadEncoder`
 * @example
 * ```ts
 * import { estimate } from 'relpos/models';
 *
 * const { total, stored } = await estimate('models/minilm', { weights: 'i8' });
 * ```
 */
export async function estimate(model: CheckpointSource, options: OpenOptions = {}): Promise<CheckpointEstimate> {
  return (await import('./inspect.ts')).estimateCheckpoint(model, options);
}

/**
 * Packs a checkpoint: writes it with its weights in panels, as they lie in memory, so that loading is reading. The packed model takes the place of
 * the checkpoint in all calls, gives the same bits as that does with the same `weights`, and is the same on every host.
 *
 * @param to a folder that is new or empty (Node, Deno and Bun), which is made when all is written; or whatever takes the files one by one
 * @param options `weights` is as the checkpoint stores them if it is left out
 * @throws as `loadEncoder`; RelposError `unwritable`. Nothing is left in the folder then
 * @example
 * ```ts
 * import { loadEncoder, pack } from 'relpos/models';
 *
 * const { bytes } = await pack('models/minilm', 'models/minilm-i8', { weights: 'i8' });
 * const encoder = await loadEncoder('models/minilm-i8');
 * ```
 */
export async function pack(model: CheckpointSource, to: string | Url | PackTarget, options: PackOptions = {}): Promise<Packed> {
  return (await import('./pack.ts')).packModel(model, to, options, OWN);
}
