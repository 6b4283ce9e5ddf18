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
import { Decoder, type DecoderParts, Seq2Seq } from './decoder-model.ts';
import { RunnerDriver } from './driver.ts';
import { Encoder } from './encoder-model.ts';
import { estimateModel, type ModelEstimate } from './estimate.ts';
import { findBlueprint } from './families/find.ts';
import { reasonOf } from './fault.ts';
import type { PackedWeights } from './packed-weights.ts';
import { PACKED } from './packing.ts';
import { Runner } from './runner.ts';
import { readSentenceSettings, type SentenceSettings } from './sentence-files.ts';
import { type Fetch, GGUF, type Loading } from './source.ts';
import type { TensorIndex } from './tensors.ts';
import { TextReader } from './text-reader.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';
import type { LoadProgress, Weights } from './weights.ts';

/** What is common to loading and to estimating. */
export interface OpenOptions {
  /**
   * How weights are held: `'f32'`, `'f16'` or `'bf16'` give the numbers of the checkpoint; `'i8'` is a quarter of f32 and faster; `'i4'` an eighth.
   * Default as the checkpoint stores them.
   */
  readonly weights?: WeightType;
  /** Tokens of a text at most, its continuation included. Default what the model takes, of a decoder at most 2048. */
  readonly context?: number;
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
  /** As for `createEngine`. */
  readonly threads?: number | 'auto';
  /** As for `createEngine`. */
  readonly precision?: 'reproducible' | 'int16' | 'relaxed';
  /** Most bytes of the engine's memory. A model that needs more is refused before its weights are fetched. */
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

const OPEN: Readers<OpenOptions> = {
  weights: (where, name, value) => oneOf(where, name, value, WEIGHT_TYPES),
  context: (where, name, value) => integer(where, name, value, 1),
  signal: readSignal,
  fetch: checkFunction as never,
};
const LOAD: Readers<LoadOptions> = {
  ...OPEN,
  onProgress: checkFunction as never,
  engine: (where, name, value) => {
    if (typeof value !== 'object' || value === null) throw wrongType(where, name, 'an engine of createEngine', value);
    return value as Engine;
  },
  threads: (where, name, value) => (value === 'auto' ? value : integer(where, name, value, 1, 256)),
  precision: (where, name, value) => oneOf(where, name, value, ['reproducible', 'int16', 'relaxed']),
  maxMemory: (where, name, value) => finite(where, name, value, 65535),
  jinja: (where, name, value) => {
    if (typeof (value as Partial<Jinja> | null)?.Template !== 'function')
      throw wrongType(where, name, 'the package @huggingface/jinja', value);
    return value as Jinja;
  },
};

/** An opened checkpoint, of which the headers were read. */
export interface Opened {
  readonly checkpoint: Checkpoint;
  readonly weights: Weights;
  /** What they are if they were packed. */
  readonly packed: PackedWeights | undefined;
  readonly blueprint: Blueprint;
  /** What sentence-transformers says of an encoder. */
  readonly sentences: SentenceSettings | undefined;
  readonly type: WeightType;
  /** Tokens of a text. */
  readonly longest: number;
}

/** What belongs to encoders alone: what is bundled of `loadDecoder` is without it. */
interface Reading {
  readonly reader: typeof TextReader;
  readonly settings?: typeof readSentenceSettings;
}

/**
 * Opens a checkpoint and finds out what it is; its weights are to be closed.
 *
 * @param settings reads what sentence-transformers says of an encoder
 */
export async function openModel(
  where: string,
  given: unknown,
  { weights: type, context, signal, fetch }: OpenOptions,
  settings?: typeof readSentenceSettings,
): Promise<Opened> {
  const loading: Loading = { where, signal, fetch };
  const checkpoint = await openCheckpoint(loading, 'model', given);
  const weights = await checkpoint.weights();
  try {
    const isPacked = weights.metadata.format === PACKED;
    const packed = isPacked ? new (await import('./packed-weights.ts')).PackedWeights(where, weights, type) : undefined;
    const model = await describeModel(where, checkpoint, packed?.index ?? indexOf(weights));
    const sentences = model.kind === 'encoder' ? await settings?.(checkpoint) : undefined;
    const { dense } = sentences ?? {};
    const blueprint = dense
      ? await (await import('./sentence-dense.ts')).withDense(checkpoint, model, dense, weights, packed?.index)
      : model;
    packed?.check(blueprint);
    const held = packed?.type ?? type ?? storedType(weights);
    return { checkpoint, weights, packed, blueprint, sentences, type: held, longest: longestOf(blueprint, context) };
  } catch (error) {
    await weights.close();
    throw error;
  }
}

const indexOf = (weights: Weights): TensorIndex => new Map(weights.names.map((name) => [name, weights.info(name)]));

async function describeModel(where: string, { config }: Checkpoint, index: TensorIndex): Promise<Blueprint> {
  try {
    return await findBlueprint(config, index);
  } catch (cause) {
    if (cause instanceof RelposError) throw cause;
    throw new RelposError('bad-checkpoint', `${where}: ${reasonOf(cause)}`, { cause });
  }
}

/** Bytes that are fetched: of a GGUF file as it says, since they are not the bytes that are made of it. */
const storedBytes = (weights: Weights): number => (weights.metadata.format === GGUF ? Number(weights.metadata.bytes) : weights.bytesOf());

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

function longestOf({ kind, longest = Infinity }: Blueprint, context: number | undefined): number {
  const usual = kind === 'encoder' ? (longest < Infinity ? longest : UNLIMITED) : CONTEXT;
  return Math.min(longest, context ?? usual);
}

/** How much memory a model takes, from its headers: `estimate` of the entries. */
export async function estimateCheckpoint(given: unknown, options: OpenOptions = {}): Promise<CheckpointEstimate> {
  const where = 'estimate';
  const read = readRecord<OpenOptions>(where, options, OPEN);
  const { weights, blueprint, type, longest } = await openModel(where, given, read, readSentenceSettings);
  try {
    return { ...(await estimateModel(blueprint, type, longest)), stored: storedBytes(weights) };
  } finally {
    await weights.close();
  }
}

/** What a checkpoint is, from its headers, and what each type of weights would take. */
export async function inspectCheckpoint(
  given: unknown,
  options: OpenOptions = {},
): Promise<{
  readonly blueprint: Blueprint;
  readonly stored: number;
  readonly tensors: number;
  readonly storedAs: WeightType;
  /** Whether it was packed: it is loaded in the type that it is stored in. */
  readonly packed: boolean;
  readonly context: number;
  readonly memory: Readonly<Partial<Record<WeightType, ModelEstimate>>>;
}> {
  const where = 'inspect';
  const read = readRecord<OpenOptions>(where, options, OPEN);
  const { weights, packed, blueprint, type, longest } = await openModel(where, given, read, readSentenceSettings);
  try {
    const types = packed ? [type] : WEIGHT_TYPES;
    const estimates = types.map(async (each) => [each, await estimateModel(blueprint, each, longest)] as const);
    const memory = Object.fromEntries(await Promise.all(estimates));
    const { length: tensors } = weights.names;
    return { blueprint, stored: storedBytes(weights), tensors, storedAs: type, packed: packed !== undefined, context: longest, memory };
  } finally {
    await weights.close();
  }
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
} as const;

async function load(
  where: string,
  given: unknown,
  options: LoadOptions,
  kind: Blueprint['kind'],
  own: Own,
  { reader, settings }: Partial<Reading> = {},
): Promise<Loaded> {
  if (options.engine) {
    for (const name of ['threads', 'precision', 'maxMemory'] as const) {
      if (options[name] !== undefined) throw new TypeError(`${where}: "${name}" is the engine's own, and "engine" is given`);
    }
  }
  const opened = await openModel(where, given, options, settings);
  const { checkpoint, weights, blueprint, sentences } = opened;
  try {
    if (blueprint.kind !== kind) {
      const [found, call] = KINDS[blueprint.kind];
      throw wrongValue(where, 'model', KINDS[kind][0], `${blueprint.modelType}, ${found}`, `use ${call}`);
    }
    await checkMemory(where, opened, options.maxMemory);
    const { engine: shared, threads, precision, maxMemory } = options;
    const made = { ...(threads && { threads }), ...(precision && { precision }), ...(maxMemory && { maxMemory }) };
    const ours = shared ? undefined : bareEngine(await assemble(made, own.engine, [layersFrom(own.layers)]));
    const tokenizer = loadTokenizer(checkpoint);
    // It may fail while nobody waits for it yet.
    const settled = tokenizer.catch(() => {});
    try {
      const driver = await run(where, ours ?? shared, opened, options, own, reader);
      return { checkpoint, sentences, driver, tokenizer, ...(ours && { end: ours.dispose }) };
    } catch (error) {
      ours?.dispose();
      // Nothing is asked of the source once the call has failed.
      await settled;
      throw error;
    }
  } finally {
    await weights.close();
  }
}

async function run(
  where: string,
  engine: unknown,
  opened: Opened,
  { context, signal, onProgress }: LoadOptions,
  own: Own,
  reader: typeof TextReader | undefined,
): Promise<RunnerDriver> {
  const { blueprint, weights, packed, type, longest } = opened;
  const layers = await layerContext(where, engine, own.layers);
  if (signal?.aborted) throw signal.reason;
  const length = blueprint.kind !== 'encoder' || context !== undefined ? { longest } : {};
  const runner = await Runner.load(layers, blueprint, packed ?? weights, {
    where,
    weights: type,
    ...length,
    ...(onProgress && { onProgress }),
    ...(reader && { reader }),
  });
  return new RunnerDriver(runner, layers, longest);
}

async function checkMemory(where: string, { blueprint, type, longest }: Opened, limit = Infinity): Promise<void> {
  if (limit === Infinity) return;
  const { total } = await estimateModel(blueprint, type, longest);
  if (total <= limit) return;
  const how = 'smaller "weights" or "context" need less';
  const message = `${where}: the model takes ${total} bytes in ${describe(type)} with ${longest} tokens, and "maxMemory" is ${limit}: ${how}`;
  throw new RelposError('out-of-memory', message, { asked: total, limit });
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
