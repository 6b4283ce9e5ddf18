// From the files of a checkpoint to a model that runs: options, headers, blueprint, engine, tokenizer, weights, in this order, so that what is
// wrong shows before anything large is fetched; and nothing is held after a failure.

import { checkFunction, checkSignal, describe, finite, integer, oneOf, wrongType, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { type Reader, type Readers, readRecord } from '../arguments/record.ts';
import { assemble, type OwnKernels } from '../assemble.ts';
import { bareEngine } from '../core.ts';
import type { Engine } from '../engine.ts';
import { DTYPES, FLOAT_DTYPES, type FloatDType } from '../memory/dtypes.ts';
import { layerContext } from '../nn/context.ts';
import { layersFrom, type OwnLayers } from '../nn/module.ts';
import { WEIGHT_TYPES, type WeightType } from '../nn/weights.ts';
import type { Signal } from '../platform/types.ts';
import type { Blueprint } from './blueprint.ts';
import { type Jinja, loadChatTemplates } from './chat.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { Decoder } from './decoder-model.ts';
import { RunnerDriver } from './driver.ts';
import { Encoder } from './encoder-model.ts';
import type { ModelEstimate } from './estimate.ts';
import { findBlueprint } from './families/find.ts';
import { headless, reasonOf } from './fault.ts';
import type { PackedWeights } from './packed-weights.ts';
import { PACKED } from './packing.ts';
import { Runner } from './runner.ts';
import { readSentenceSettings, type SentenceSettings } from './sentence-files.ts';
import { Seq2Seq } from './seq2seq-model.ts';
import { type Fetch, GGUF, type Loading } from './source.ts';
import type { TensorIndex } from './tensors.ts';
import { TextReader } from './text-reader.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';
import type { AnyBlueprint } from './vision.ts';
import type { LoadProgress, Weights } from './weights.ts';
import type { DecoderParts } from './writer.ts';

/** What is common to loading and to estimating. */
export interface OpenOptions {
  /**
   * How weights are held: `'f32'`, `'f16'` or `'bf16'` give the numbers of the checkpoint; `'i8'` is a quarter of f32 and faster; `'i4'` an eighth.
   * Default as the checkpoint stores them.
   */
  readonly weights?: WeightType;
  /**
   * Tokens of a text at most, its continuation included; no more than the model takes. Default that (512 if an encoder takes any number), of what writes
   * text at most 2048.
   */
  readonly context?: number;
  /** As for `createEngine`: each thread takes memory of its own while it runs. */
  readonly threads?: number | 'auto';
  /** As for `createEngine`. */
  readonly precision?: 'reproducible' | 'int16' | 'relaxed';
  /** Ends the loading; its reason is thrown. */
  readonly signal?: Signal;
  /** Used in place of the host's own `fetch`: to add headers, or to keep what was fetched. */
  readonly fetch?: Fetch;
}

/** How a model is loaded. */
export interface LoadOptions extends OpenOptions {
  /** Told while the weights come, in bytes. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** An engine that several models share; it is not ended with the model. Default one of its own, of the next options. */
  readonly engine?: Engine;
  /** Most bytes of the engine's memory. A model whose `estimate` is more is refused before its weights are fetched. */
  readonly maxMemory?: number;
  /** The package `@huggingface/jinja`, where chat templates are used and it cannot be found by its name, as in a bundle. */
  readonly jinja?: Jinja;
}

/** What a checkpoint would take. */
export interface CheckpointEstimate extends ModelEstimate {
  /** Bytes that are fetched. */
  readonly stored: number;
}

/** The kernels that an entry of the package brings. */
export interface Own {
  readonly engine: OwnKernels;
  readonly layers: OwnLayers;
}

/** Tokens of a decoder's text unless more are asked for: keys and values of all of them are reserved. */
const CONTEXT = 2048;
/** Tokens of a text of an encoder that would take any number. */
const UNLIMITED = 512;

export const readSignal: Reader<Signal> = (where, name, value) => checkSignal(where, value, name) as Signal;

export const OPEN: Readers<OpenOptions> = {
  weights: (where, name, value) => oneOf(where, name, value, WEIGHT_TYPES),
  context: (where, name, value) => integer(where, name, value, 1),
  threads: (where, name, value) => (value === 'auto' ? value : integer(where, name, value, 1, 256)),
  precision: (where, name, value) => oneOf(where, name, value, ['reproducible', 'int16', 'relaxed']),
  signal: readSignal,
  fetch: checkFunction as never,
};
export const LOAD: Readers<LoadOptions> = {
  ...OPEN,
  onProgress: checkFunction as never,
  engine: (where, name, value) => {
    if (typeof value !== 'object' || value === null) throw wrongType(where, name, 'an engine of createEngine', value);
    return value as Engine;
  },
  maxMemory: (where, name, value) => finite(where, name, value, 65535),
  jinja: (where, name, value) => {
    if (typeof (value as Partial<Jinja> | null)?.Template !== 'function')
      throw wrongType(where, name, 'the package @huggingface/jinja', value);
    return value as Jinja;
  },
};

/** An opened checkpoint, of which the headers were read. */
export interface Opened<B extends AnyBlueprint = AnyBlueprint> {
  readonly checkpoint: Checkpoint;
  readonly weights: Weights;
  /** What they are if they were packed. */
  readonly packed: PackedWeights | undefined;
  readonly blueprint: B;
  /** What sentence-transformers says of an encoder. */
  readonly sentences: SentenceSettings | undefined;
  readonly type: WeightType;
  /** Tokens of a text; 0 of images. */
  readonly longest: number;
  /** The same where tables of positions are drawn for it; those of an encoder end sooner if nothing is said. */
  readonly reach: number | undefined;
}

/** What belongs to encoders alone: what is bundled of `loadDecoder` is without it. */
interface Reading {
  readonly reader: typeof TextReader;
  readonly settings?: typeof readSentenceSettings;
}

/**
 * Opens a checkpoint and finds out what it is; its weights are to be closed.
 *
 * @param settings reads what sentence-transformers says of a model: one that has such files is an encoder, whatever else it may be
 * @param find says what the model computes
 */
export async function openModel(
  where: string,
  given: unknown,
  { weights: type, context, signal, fetch }: OpenOptions,
  settings?: typeof readSentenceSettings,
  find: typeof findBlueprint = findBlueprint,
): Promise<Opened> {
  const loading: Loading = { where, signal, fetch };
  const checkpoint = await openCheckpoint(loading, 'model', given);
  const weights = await checkpoint.weights();
  try {
    const isPacked = weights.metadata.format === PACKED;
    const packed = isPacked ? new (await import('./packed-weights.ts')).PackedWeights(where, weights, type) : undefined;
    const found = await describeModel(where, checkpoint, packed?.index ?? indexOf(weights), find);
    const sentences = found.kind === 'encoder' || found.kind === 'decoder' ? await settings?.(checkpoint) : undefined;
    const model = sentences && found.kind === 'decoder' ? (await import('./embedder.ts')).embedderOf(found) : found;
    const { dense } = sentences ?? {};
    const blueprint = dense
      ? await (await import('./sentence-dense.ts')).withDense(checkpoint, model as Blueprint, dense, weights, packed?.index)
      : model;
    packed?.check(blueprint);
    const held = packed?.type ?? type ?? storedType(weights);
    const longest = longestOf(blueprint, context);
    const reach = blueprint.kind !== 'encoder' || context ? longest : undefined;
    return { checkpoint, weights, packed, blueprint, sentences, type: held, longest, reach };
  } catch (error) {
    await weights.close();
    throw error;
  }
}

const indexOf = (weights: Weights): TensorIndex => new Map(weights.names.map((name) => [name, weights.info(name)]));

async function describeModel(where: string, checkpoint: Checkpoint, index: TensorIndex, find: typeof findBlueprint): Promise<AnyBlueprint> {
  try {
    return await find(checkpoint.config, index);
  } catch (cause) {
    if (cause instanceof RelposError) throw cause;
    throw new RelposError('bad-checkpoint', `${where}: ${checkpoint.restate(reasonOf(cause))}`, { cause });
  }
}

/** The type that most bytes are stored in, or what a GGUF file's blocks are nearest to. */
function storedType(weights: Weights): WeightType {
  const { format, weights: nearest } = weights.metadata;
  const known = format === GGUF && WEIGHT_TYPES.find((type) => type === nearest);
  if (known) return known;
  const bytes = (type: FloatDType): number => {
    const infos = weights.names.map((name) => weights.info(name));
    return infos.reduce((sum, { dtype, bytes: own }) => (dtype === DTYPES[type].safetensors ? sum + own : sum), 0);
  };
  return FLOAT_DTYPES.reduce((most, type) => (bytes(type) > bytes(most) ? type : most));
}

function longestOf(blueprint: AnyBlueprint, context: number | undefined): number {
  if (blueprint.kind === 'images') return 0;
  const { kind, longest = Infinity } = blueprint;
  const usual = kind === 'encoder' ? (longest < Infinity ? longest : UNLIMITED) : CONTEXT;
  return Math.min(longest, context ?? usual);
}

/** A model that runs, and what ends it. */
interface Loaded {
  readonly checkpoint: Checkpoint;
  readonly sentences: SentenceSettings | undefined;
  readonly driver: RunnerDriver;
  /** Comes while the weights do: reading them leaves the thread idle. */
  readonly tokenizer: Promise<Tokenizer>;
  readonly end?: () => void;
}

/** What a kind of model is called, and how it is loaded. */
const KINDS = {
  encoder: ['an encoder', 'loadEncoder'],
  decoder: ['a decoder', 'loadDecoder'],
  seq2seq: ['an encoder-decoder', 'loadSeq2Seq'],
  images: ['a model of images', 'loadImageClassifier'],
} as const;

/** @throws TypeError if something is asked of an engine that is given */
export function checkEngineOptions(where: string, options: LoadOptions): void {
  for (const name of options.engine ? (['threads', 'precision', 'maxMemory'] as const) : []) {
    if (options[name] !== undefined) throw new TypeError(`${where}: "${name}" is the engine's own, and "engine" is given`);
  }
}

/** @throws RangeError that says what the model is, and what loads it */
export function expectKind(where: string, { blueprint }: Opened, kind: AnyBlueprint['kind']): void {
  if (blueprint.kind === kind) return;
  const [found, call] = KINDS[blueprint.kind];
  throw wrongValue(where, 'model', KINDS[kind][0], `${blueprint.modelType}, ${found}`, `use ${call}`);
}

/** @throws RelposError `out-of-memory` if a model takes more than it may */
export function expectRoom(where: string, asked: number, limit: number, how: string, less: string): void {
  if (asked <= limit) return;
  const message = `${where}: the model takes ${asked} bytes in ${how}, and "maxMemory" is ${limit}: ${less}`;
  throw new RelposError('out-of-memory', message, { asked, limit });
}

/** Makes something on the engine that is given, or on one of its own, which ends if that fails. @param make is told what ends it */
export async function onEngine<T>(
  { engine, threads, precision, maxMemory }: LoadOptions,
  own: Own,
  make: (engine: unknown, end: (() => void) | undefined) => Promise<T>,
): Promise<T> {
  const made = { ...(threads && { threads }), ...(precision && { precision }), ...(maxMemory && { maxMemory }) };
  const ours = engine ? undefined : bareEngine(await assemble(made, own.engine, [layersFrom(own.layers)]));
  try {
    return await make(ours ?? engine, ours?.dispose);
  } catch (error) {
    ours?.dispose();
    throw error;
  }
}

async function load(
  where: string,
  given: unknown,
  options: LoadOptions,
  kind: Blueprint['kind'],
  own: Own,
  { reader, settings }: Partial<Reading> = {},
): Promise<Loaded> {
  checkEngineOptions(where, options);
  const any = await openModel(where, given, options, settings);
  try {
    expectKind(where, any, kind);
    const opened = any as Opened<Blueprint>;
    if (kind !== 'encoder' && !opened.blueprint.logits) throw headless(where, opened.blueprint);
    const { checkpoint, sentences } = opened;
    await checkMemory(where, opened, options, reader);
    return await onEngine(options, own, async (engine, end) => {
      const tokenizer = loadTokenizer(checkpoint);
      // It may fail while nobody waits for it yet.
      const settled = tokenizer.catch(() => {});
      try {
        const driver = await run(where, engine, opened, options, own, reader);
        return { checkpoint, sentences, driver, tokenizer, ...(end && { end }) };
      } catch (error) {
        // Nothing is asked of the source once the call has failed.
        await settled;
        throw error;
      }
    });
  } finally {
    await any.weights.close();
  }
}

async function run(
  where: string,
  engine: unknown,
  opened: Opened<Blueprint>,
  { signal, onProgress, engine: shared }: LoadOptions,
  own: Own,
  reader: typeof TextReader | undefined,
): Promise<RunnerDriver> {
  const { blueprint, weights, packed, type, longest, reach } = opened;
  const layers = await layerContext(where, engine, own.layers);
  if (signal?.aborted) throw signal.reason;
  if (packed) packed.alone = !shared;
  const runner = await Runner.load(layers, blueprint, packed ?? weights, {
    where,
    weights: type,
    ...(reach && { longest: reach }),
    ...(onProgress && { onProgress }),
    ...(reader && { reader }),
  });
  return new RunnerDriver(runner, layers, longest);
}

/** @throws RelposError `out-of-memory` if the model takes more than it may */
async function checkMemory(where: string, opened: Opened<Blueprint>, options: LoadOptions, reader?: typeof TextReader): Promise<void> {
  const { maxMemory } = options;
  if (!maxMemory) return;
  const { estimateModel, settingOf } = await import('./estimate.ts');
  const { total } = await estimateModel(opened.blueprint, settingOf(opened, options, reader));
  const how = `${describe(opened.type)} with ${opened.longest} tokens`;
  expectRoom(where, total, maxMemory, how, 'smaller "weights" or "context" need less');
}

/** What follows once a model runs; if that fails, it is ended. */
async function completed<T>({ driver, end }: Loaded, complete: () => Promise<T>): Promise<T> {
  try {
    return await complete();
  } catch (error) {
    driver.dispose(end);
    throw error;
  }
}

export async function encoderOf(given: unknown, options: LoadOptions, own: Own): Promise<Encoder> {
  const where = 'loadEncoder';
  const read = readRecord<LoadOptions>(where, options, LOAD);
  const loaded = await load(where, given, read, 'encoder', own, { reader: TextReader, settings: readSentenceSettings });
  const { checkpoint, sentences, driver, end } = loaded;
  return completed(loaded, async () => {
    const tokenizer = await loaded.tokenizer;
    return new Encoder({ driver, tokenizer, config: checkpoint.config, sentences, ...(end && { end }) });
  });
}

async function writerParts(
  where: string,
  given: unknown,
  options: LoadOptions,
  kind: 'decoder' | 'seq2seq',
  own: Own,
  reading?: Reading,
): Promise<DecoderParts> {
  const read = readRecord<LoadOptions>(where, options, LOAD);
  const loaded = await load(where, given, read, kind, own, reading);
  const { checkpoint, driver, end } = loaded;
  return completed(loaded, async () => {
    const [tokenizer, generation] = await Promise.all([loaded.tokenizer, checkpoint.object('generation_config.json')]);
    const templates = await loadChatTemplates(checkpoint, tokenizer, read.jinja);
    return { driver, tokenizer, templates, generation, ...(end && { end }) };
  });
}

export async function decoderOf(given: unknown, options: LoadOptions, own: Own): Promise<Decoder> {
  return new Decoder(await writerParts('loadDecoder', given, options, 'decoder', own));
}

export async function seq2seqOf(given: unknown, options: LoadOptions, own: Own): Promise<Seq2Seq> {
  return new Seq2Seq(await writerParts('loadSeq2Seq', given, options, 'seq2seq', own, { reader: TextReader }));
}
