// A checkpoint packed: its panels and vectors are made as for a model that is to run, then written as they lie in memory, with the files that a
// model has beside them.

import { checkFunction, finite, integer, oneOf, wrongValue } from '../arguments/check.ts';
import { flag, type Readers, readRecord } from '../arguments/record.ts';
import { assemble } from '../assemble.ts';
import { bareEngine } from '../core.ts';
import { type LayerContext, layerContext } from '../nn/context.ts';
import { layersFrom } from '../nn/module.ts';
import { WEIGHT_TYPES, type WeightType } from '../nn/weights.ts';
import type { OwnBytes, Signal } from '../platform/types.ts';
import { isObject } from '../safetensors/header.ts';
import { writeHeader } from '../safetensors/write-header.ts';
import type { Declared } from './declared.ts';
import { type Opened, type OpenOptions, type Own, openModel, readSignal } from './load.ts';
import { type PackTarget, targetOf } from './pack-target.ts';
import { type PackedTensor, packedTensors, VERSION } from './packed-format.ts';
import { loadPackings, PACKED } from './packing.ts';
import { readSentenceSettings } from './sentence-files.ts';
import { nameParts } from './source.ts';
import { declareAny } from './vision-declared.ts';
import type { LoadProgress, Weights } from './weights.ts';

/** How a checkpoint is packed. */
export interface PackOptions extends Omit<OpenOptions, 'context' | 'precision'> {
  /** Told while tensors are read and while files are written: `total` is the bytes of both. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** As for `createEngine`; the packed model has to fit. */
  readonly maxMemory?: number;
  /** Bytes of tensors of a file at most; what is more goes into files with an index. A larger tensor has a file of its own. Default 2³¹. */
  readonly shardSize?: number;
  /** Whether a model that is in the folder is replaced; what else is there stays, unless it has the name of a new file. Default false. */
  readonly force?: boolean;
}

/** A packed model. */
export interface Packed {
  readonly weights: WeightType;
  /** Bytes of all files. */
  readonly bytes: number;
  /** In the order in which they were written. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

const where = 'pack';
const CONFIG = 'config.json';
const MODULES = 'modules.json';
/** What a model may have beside its weights, where they lie. */
const BESIDE: readonly string[] = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'preprocessor_config.json',
  'config_sentence_transformers.json',
  'sentence_bert_config.json',
  MODULES,
  'README.md',
  'LICENSE',
  'LICENSE.txt',
  'LICENSE.md',
  'NOTICE',
];
/** What a module of sentence-transformers may have in its folder, beside weights: those are among the model's. */
const MODULE: readonly string[] = ['sentence_bert_config.json', CONFIG];
/** Bytes that are written at once. */
const PIECE = 1 << 22;
const SHARD = 2 ** 31;

const READERS: Readers<PackOptions> = {
  weights: (call, name, value) => oneOf(call, name, value, WEIGHT_TYPES),
  signal: readSignal,
  fetch: checkFunction as never,
  onProgress: checkFunction as never,
  threads: (call, name, value) => (value === 'auto' ? value : integer(call, name, value, 1, 256)),
  maxMemory: (call, name, value) => finite(call, name, value, 65535),
  shardSize: (call, name, value) => integer(call, name, value, 1, Number.MAX_SAFE_INTEGER),
  force: flag,
};

/** `pack` of the entries. */
export async function packModel(model: unknown, to: unknown, options: PackOptions, own: Own): Promise<Packed> {
  const read = readRecord<PackOptions>(where, options, READERS);
  const { weights, signal, fetch, force = false } = read;
  const target = await targetOf(where, to, { force, model });
  try {
    const open = { ...(weights && { weights }), ...(signal && { signal }), ...(fetch && { fetch }) };
    const opened = await openModel(where, model, open, readSentenceSettings);
    try {
      if (opened.packed) throw wrongValue(where, 'model', 'a checkpoint', `one that is packed as ${opened.type} already`);
      const packed = await write(opened, target, read, own);
      await target.finish();
      return packed;
    } finally {
      await opened.weights.close();
    }
  } catch (error) {
    await target.drop();
    throw error;
  }
}

async function write(opened: Opened, target: PackTarget, options: PackOptions, own: Own): Promise<Packed> {
  const { threads, maxMemory, signal, onProgress, shardSize = SHARD } = options;
  const beside = await filesBeside(opened);
  const declared = declareAny(opened.blueprint, opened.type);
  const tensors = packedTensors(declared);
  const size = tensors.reduce((sum, { place }) => sum + place.bytes, 0);
  const progress = new Steps([opened.weights.bytesOf(namesOf(declared)), size], onProgress);
  const made = { ...(threads && { threads }), ...(maxMemory && { maxMemory }) };
  const engine = bareEngine(await assemble(made, own.engine, [layersFrom(own.layers)]));
  try {
    const layers = await layerContext(where, engine, own.layers);
    const { packing, scratch } = declared;
    for (const each of [packing, scratch]) each.reserve(layers);
    await loadPackings(where, layers, [packing, scratch], opened.weights, ({ loaded, file }) => progress.at(0, loaded, file));
    const writer = new Writer(target, signal);
    const metadata = { format: PACKED, version: VERSION, weights: opened.type, tensors: shapesOf(opened.weights) };
    await writeTensors(writer, layers, sharded(tensors, shardSize), metadata, progress);
    for (const [name, bytes] of beside) await writer.whole(name, bytes);
    const { files } = writer;
    return { weights: opened.type, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), files };
  } finally {
    engine.dispose();
  }
}

const namesOf = ({ packing, scratch }: Pick<Declared, 'packing' | 'scratch'>): readonly string[] => [
  ...new Set([...packing.names, ...scratch.names]),
];

/** The checkpoint's own tensors, as JSON. */
const shapesOf = (weights: Weights): string =>
  JSON.stringify(Object.fromEntries(weights.names.map((name) => [name, weights.info(name).shape])));

/** The files beside the weights, the configuration last: without it a folder is no model. */
async function filesBeside({ checkpoint }: Opened): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  const names = [...BESIDE, ...moduleFiles(await checkpoint.json(MODULES)), CONFIG];
  for (const name of names) {
    const bytes = await checkpoint.bytes(name);
    if (bytes) found.set(name, bytes);
  }
  return found;
}

/** Files of the modules that a list names: the first one lies in the folder itself. */
function moduleFiles(modules: unknown): string[] {
  const paths = (Array.isArray(modules) ? modules : []).map((one) => (isObject(one) ? one.path : undefined));
  return paths.filter((path) => nameParts(path)).flatMap((path) => MODULE.map((name) => `${path}/${name}`));
}

/** Tensors of one file. */
interface Shard {
  readonly name: string;
  readonly tensors: readonly PackedTensor[];
}

function sharded(tensors: readonly PackedTensor[], most: number): Shard[] {
  const groups: PackedTensor[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const last = groups.at(-1);
    room -= tensor.place.bytes;
    if (last && room >= 0) last.push(tensor);
    else {
      groups.push([tensor]);
      room = most - tensor.place.bytes;
    }
  }
  const number = (n: number): string => `${n}`.padStart(5, '0');
  const name = (n: number): string => (groups.length === 1 ? 'model' : `model-${number(n + 1)}-of-${number(groups.length)}`);
  return groups.map((group, n) => ({ name: `${name(n)}.safetensors`, tensors: group }));
}

async function writeTensors(
  writer: Writer,
  layers: LayerContext,
  shards: readonly Shard[],
  metadata: Readonly<Record<string, string>>,
  progress: Steps,
): Promise<void> {
  for (const { name: file, tensors } of shards) {
    const head = writeHeader(
      tensors.map(({ name, dtype, shape, place }) => ({ name, dtype, shape, bytes: place.bytes })),
      metadata,
    );
    const size = tensors.reduce((sum, { place }) => sum + place.bytes, head.length);
    await writer.write(
      file,
      size,
      pieces(head, tensors, layers, (bytes) => progress.add(1, bytes, file)),
    );
  }
  if (shards.length === 1) return;
  const entries = shards.flatMap(({ name: file, tensors }) => tensors.map(({ name }) => [name, file] as const));
  const index = { metadata: { total_size: progress.totals[1] }, weight_map: Object.fromEntries(entries) };
  await writer.whole('model.safetensors.index.json', new TextEncoder().encode(`${JSON.stringify(index, undefined, 2)}\n`));
}

/** A header, and tensors as they lie in memory, in copies. */
async function* pieces(
  head: Uint8Array,
  tensors: readonly PackedTensor[],
  { context: { arena } }: LayerContext,
  written: (bytes: number) => void,
): AsyncGenerator<OwnBytes, void, void> {
  yield new Uint8Array(head);
  for (const { place } of tensors) {
    for (let at = 0; at < place.bytes; at += PIECE) {
      const length = Math.min(PIECE, place.bytes - at);
      yield new Uint8Array(new Uint8Array(arena.memory.buffer, place.to.pointer + at, length));
      written(length);
    }
  }
}

/** Hands files over until a signal ends it. */
class Writer {
  readonly #target: PackTarget;
  readonly #signal: Signal | undefined;
  readonly files: { readonly name: string; readonly bytes: number }[] = [];

  constructor(target: PackTarget, signal: Signal | undefined) {
    this.#target = target;
    this.#signal = signal;
  }

  async write(name: string, bytes: number, given: AsyncIterable<OwnBytes>): Promise<void> {
    await this.#target.write(name, bytes, this.#watched(given));
    if (this.#signal?.aborted) throw this.#signal.reason;
    this.files.push({ name, bytes });
  }

  whole(name: string, bytes: Uint8Array): Promise<void> {
    return this.write(
      name,
      bytes.length,
      (async function* () {
        yield new Uint8Array(bytes);
      })(),
    );
  }

  async *#watched(given: AsyncIterable<OwnBytes>): AsyncGenerator<OwnBytes, void, void> {
    for await (const piece of given) {
      if (this.#signal?.aborted) throw this.#signal.reason;
      yield piece;
    }
  }
}

/** Progress of steps one after another, as one. */
class Steps {
  readonly totals: readonly number[];
  readonly #done: number[];
  readonly #tell: ((progress: LoadProgress) => void) | undefined;

  constructor(totals: readonly number[], tell: ((progress: LoadProgress) => void) | undefined) {
    this.totals = totals;
    this.#done = totals.map(() => 0);
    this.#tell = tell;
  }

  /** A step has come so far. */
  at(step: number, done: number, file: string): void {
    this.#done[step] = done;
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    this.#tell?.({ loaded: sum(this.#done), total: sum(this.totals), file });
  }

  add(step: number, bytes: number, file: string): void {
    this.at(step, (this.#done[step] as number) + bytes, file);
  }
}
