// A checkpoint as Hugging Face lays it out: the small files as JSON and text, and the tensors of one file or of several with an index.

import { quote } from '../cli/text.ts';
import type { Url } from '../platform/types.ts';
import { isObject, show, structureFault } from '../safetensors/header.ts';
import { broken, unreadable } from './fault.ts';
import { type JsonObject, type Loading, type Missing, nameParts, type Source } from './source.ts';

export type { JsonObject } from './source.ts';

import { sourceOf } from './source-of.ts';
import { openWeightsFile, Weights, type WeightsFile } from './weights.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** Bytes of other files at most, of texts (the largest vocabularies have 40 million), and of settings. */
const LARGEST = 1 << 28;
const LARGEST_TEXT = 1 << 26;
const LARGEST_CONFIG = 1 << 24;
/** Files of an index at most. */
const MOST_FILES = 2000;
/** What holds weights in ways that are not read, for the message. */
const OTHERS: readonly (readonly [string, string])[] = [
  ['pytorch_model.bin', 'a pickle, which could run code'],
  ['pytorch_model.bin.index.json', 'pickles, which could run code'],
  ['tf_model.h5', 'weights of TensorFlow'],
  ['flax_model.msgpack', 'weights of Flax'],
  ['adapter_model.safetensors', 'an adapter; merge it into its model first'],
];

/** A checkpoint whose config.json was read. */
export class Checkpoint {
  readonly #loading: Loading;
  readonly #source: Source;
  /** `config.json`. */
  readonly config: JsonObject;

  constructor(loading: Loading, source: Source, config: JsonObject) {
    this.#loading = loading;
    this.#source = source;
    this.config = config;
  }

  /** The call that loads it, as errors name it. */
  get where(): string {
    return this.#loading.where;
  }

  /** What errors call it. */
  get name(): string {
    return this.#source.name;
  }

  /** What is wrong with config.json and the tensors, in the words of the file that says so. */
  restate(what: string): string {
    return this.#source.restate?.(what) ?? what;
  }

  /** A text file; undefined if there is none of this name. @throws RelposError if it is no UTF-8, or leads out of the checkpoint */
  text(name: string): Promise<string | undefined> {
    return readText(this.#loading, this.#source, name);
  }

  /** A JSON file that holds an object, or a list; undefined if there is none of this name. */
  json(name: string): Promise<unknown> {
    return readJson(this.#loading, this.#source, name);
  }

  /** A JSON file that holds an object; undefined if there is none of this name. */
  async object(name: string): Promise<JsonObject | undefined> {
    const value = await this.json(name);
    return value === undefined ? undefined : expectObject(this.where, name, value);
  }

  /** The object that the text of a JSON file is. */
  parse(name: string, text: string): JsonObject {
    return expectObject(this.where, name, parseJson(this.where, name, text));
  }

  /** A file as it is; undefined if there is none of this name. */
  async bytes(name: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#source.whole(checkedName(this.where, name, name), LARGEST);
    return 'missing' in bytes ? undefined : bytes;
  }

  /** Whether there is a file of this name. */
  async has(name: string): Promise<boolean> {
    const file = await this.#source.open(checkedName(this.where, name, name));
    if ('missing' in file) return false;
    await file.close();
    return true;
  }

  /** Reads the headers of the files that hold the tensors, and nothing more. */
  async weights(): Promise<Weights> {
    const { weights: made } = this.#source;
    const single = await openWeightsFile(this.#loading, this.#source, SINGLE, made);
    if (!('missing' in single)) return new Weights(this.#loading, [single]);
    const index = await this.object(INDEX);
    if (index === undefined) throw await this.#noWeights(single.missing);
    return this.#indexed(index);
  }

  /** Takes the tensors of a module that the checkpoint has in a folder of its own to the others. */
  async addModule(weights: Weights, folder: string): Promise<void> {
    const name = `${folder}/${SINGLE}`;
    const file = await openWeightsFile(this.#loading, this.#source, checkedName(this.where, name, name));
    if ('missing' in file) throw broken(this.where, name, file.missing);
    weights.add(file, folder);
  }

  async #noWeights(missing: string): Promise<Error> {
    for (const [name, what] of OTHERS) {
      if (!(await this.has(name))) continue;
      return broken(this.where, SINGLE, `${missing}; there is ${name} (${what}): save the model as safetensors`);
    }
    return (/^HTTP 403/.test(missing) ? unreadable : broken)(this.where, SINGLE, `${missing}, and no ${INDEX}`);
  }

  async #indexed(index: JsonObject): Promise<Weights> {
    const { where } = this;
    const fileOf = readIndex(where, index);
    const files: WeightsFile[] = [];
    try {
      for (const name of new Set(fileOf.values())) {
        const file = await openWeightsFile(this.#loading, this.#source, name);
        if ('missing' in file) throw broken(where, INDEX, `it names the file ${quote(name)}: ${file.missing}`);
        files.push(file);
      }
      for (const file of files) expectTensors(where, file, fileOf);
      return new Weights(this.#loading, files, fileOf);
    } catch (error) {
      for (const { file } of files) await file.close();
      throw error;
    }
  }
}

/** Which file has which tensor. */
function readIndex(where: string, index: JsonObject): Map<string, string> {
  const { weight_map: map } = index;
  if (!isObject(map)) throw broken(where, INDEX, `"weight_map" expected an object, got ${show(map)}`);
  const fileOf = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    const name = checkedName(where, INDEX, file);
    if (!name.endsWith('.safetensors')) throw broken(where, INDEX, `${quote(tensor)} expected a .safetensors file, got ${quote(name)}`);
    fileOf.set(tensor, name);
  }
  const files = new Set(fileOf.values()).size;
  if (files === 0 || files > MOST_FILES) throw broken(where, INDEX, `"weight_map" expected 1 to ${MOST_FILES} files, got ${files}`);
  return fileOf;
}

/** @throws RelposError if the file lacks a tensor that the index says it has */
function expectTensors(where: string, { name, entries }: WeightsFile, fileOf: ReadonlyMap<string, string>): void {
  const own = new Set(entries.map((entry) => entry.name));
  for (const [tensor, file] of fileOf) {
    if (file === name && !own.has(tensor)) throw broken(where, name, `has no tensor ${quote(tensor)}, which ${INDEX} says it has`);
  }
}

/** The name of a file within the checkpoint. @throws RelposError if it leads out of it */
function checkedName(where: string, said: string, name: unknown): string {
  if (nameParts(name) === undefined) throw broken(where, said, `expected the name of a file within the checkpoint, got ${show(name)}`);
  return name as string;
}

async function readText(loading: Loading, source: Source, name: string): Promise<string | undefined> {
  const most = name.endsWith('config.json') ? LARGEST_CONFIG : LARGEST_TEXT;
  const bytes = await source.whole(checkedName(loading.where, name, name), most);
  if ('missing' in bytes) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw broken(loading.where, name, 'it is not valid UTF-8', cause);
  }
}

async function readJson(loading: Loading, source: Source, name: string): Promise<unknown> {
  const text = await readText(loading, source, name);
  return text === undefined ? undefined : parseJson(loading.where, name, text);
}

function parseJson(where: string, name: string, text: string): unknown {
  const fault = structureFault(text, false);
  if (fault) throw broken(where, name, `it ${fault}`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const pointer = text.startsWith('version https://git-lfs') ? ' (a pointer of Git LFS: fetch the file itself, git lfs pull)' : '';
    throw broken(where, name, `it is not valid JSON: it begins with ${quote(text.slice(0, 24))}${pointer}`, cause);
  }
}

function expectObject(where: string, name: string, value: unknown): JsonObject {
  if (!isObject(value)) throw broken(where, name, `expected an object, got ${show(value)}`);
  return value;
}

/**
 * Opens the checkpoint that was given as argument `name` of the call, and reads its config.json.
 *
 * @throws TypeError, RangeError if the argument is no source of files
 * @throws RelposError `bad-checkpoint`, `unreadable`; the signal's reason if it is aborted
 */
export async function openCheckpoint(loading: Loading, name: string, given: unknown): Promise<Checkpoint> {
  if (loading.signal?.aborted) throw loading.signal.reason;
  const [, folder, file, query] = /^(.*[/\\])?([^/\\?#]+\.gguf)([?#].*)?$/i.exec(addressOf(given)) ?? [];
  let source = await sourceOf(loading, name, file === undefined ? given : `${folder ?? './'}${query ?? ''}`);
  let config = file === undefined ? await readJson(loading, source, 'config.json') : undefined;
  const gguf = config === undefined ? (file ?? (await source.list?.())?.find((one) => /\.gguf$/i.test(one))) : undefined;
  if (gguf !== undefined) {
    source = await (await import('./gguf-source.ts')).ggufSource(loading, source, gguf);
    config = await readJson(loading, source, 'config.json');
  }
  if (config === undefined) throw await noConfig(loading.where, source);
  return new Checkpoint(loading, source, expectObject(loading.where, 'config.json', config));
}

/** Asked for again to hear why: a page in its place is something else than nothing. */
async function noConfig(where: string, source: Source): Promise<Error> {
  const { missing = '' } = (await source.whole('config.json', LARGEST_CONFIG)) as Partial<Missing>;
  const why = /page|403/.test(missing) ? ` (${missing})` : '';
  return unreadable(where, 'config.json', `there is none at ${quote(source.name)}${why}${hint(source.name)}`);
}

const addressOf = (given: unknown): string => (typeof given === 'string' ? given : String((given as Partial<Url> | null)?.href ?? ''));

/** The address of a page about a model is not that of its files. */
const hint = (name: string): string =>
  /^https:\/\/huggingface\.co\/[^/]+\/[^/]+\/$/.test(name) ? `; its files are below ${quote(`${name}resolve/main/`)}` : '';
