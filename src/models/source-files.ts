// Files at hand: those that a page's folder input gives, and bytes or blobs by name.

import { describe, wrongType, wrongValue } from '../arguments/check.ts';
import { bytesOf } from '../arguments/numbers.ts';
import { broken, reasonOf, unreadable } from './fault.ts';
import type { Loading, Missing, RangeReader, Source, SourceFile } from './source.ts';

/** What is used of a Blob. */
export interface BlobLike {
  readonly size: number;
  slice(begin: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** What is used of a File. */
export interface FileLike extends BlobLike {
  readonly name: string;
  /** The path from the chosen folder on; empty if files were chosen one by one. */
  readonly webkitRelativePath?: string;
}

/** Files by name, or as a folder input lists them. */
export type GivenFiles =
  | ArrayLike<FileLike>
  | { readonly [name: string]: BlobLike | ArrayBuffer | ArrayBufferView }
  | ReadonlyMap<string, BlobLike | ArrayBuffer | ArrayBufferView>;

/** Bytes of a blob that are in memory at a time. */
const PART = 1 << 20;

const isBlob = (value: unknown): value is BlobLike =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as BlobLike).size === 'number' &&
  typeof (value as BlobLike).slice === 'function' &&
  typeof (value as { arrayBuffer?: unknown }).arrayBuffer === 'function';

/** Files with names of their own. The checkpoint is the folder of the config.json that lies least deep. */
export function listSource(loading: Loading, name: string, given: ArrayLike<unknown>): Source {
  const { where } = loading;
  const paths = new Map<string, BlobLike>();
  for (let n = 0; n < given.length; n++) {
    const file = given[n];
    if (!isBlob(file) || typeof (file as FileLike).name !== 'string') throw wrongType(where, `${name}[${n}]`, 'a File', file);
    const { name: own, webkitRelativePath } = file as FileLike;
    const path = webkitRelativePath || own;
    if (paths.has(path)) throw wrongValue(where, name, 'files of different names', `two of "${path}"`);
    paths.set(path, file);
  }
  const root = rootOf(where, name, [...paths.keys()]);
  const inside = [...paths].filter(([path]) => path.startsWith(root)).map(([path, file]) => [path.slice(root.length), file] as const);
  return new Files(loading, root === '' ? 'the files given' : root, new Map(inside));
}

/** The folder, with a `/` at its end, of the config.json that lies least deep. */
function rootOf(where: string, name: string, paths: readonly string[]): string {
  const roots = paths.filter((path) => /(^|\/)config\.json$/.test(path)).map((path) => path.slice(0, -'config.json'.length));
  const depth = (root: string): number => root.split('/').length;
  roots.sort((a, b) => depth(a) - depth(b));
  const [first, second] = roots;
  // A GGUF file says itself what it is.
  if (first === undefined && paths.some((path) => /^[^/]+\.gguf$/i.test(path))) return '';
  if (first === undefined) throw wrongValue(where, name, 'files among which is a config.json', `${paths.length} without one`);
  if (second !== undefined && depth(second) === depth(first)) {
    throw wrongValue(where, name, 'one checkpoint', `several: "${first}config.json", "${second}config.json"`);
  }
  return first;
}

/** Bytes and blobs by name. */
export function filesSource(loading: Loading, name: string, given: ReadonlyMap<unknown, unknown>): Source {
  const files = new Map<string, BlobLike | Uint8Array>();
  for (const [key, value] of given) {
    const own = isBlob(value) ? value : bytesOf(value);
    if (typeof key !== 'string') throw wrongType(loading.where, name, 'files by name', key);
    if (own === undefined) throw wrongType(loading.where, `${name}[${describe(key)}]`, 'bytes, a Blob or a File', value);
    files.set(key, own);
  }
  return new Files(loading, 'the files given', files);
}

class Files implements Source {
  readonly name: string;
  readonly #loading: Loading;
  readonly #files: ReadonlyMap<string, BlobLike | Uint8Array>;

  constructor(loading: Loading, name: string, files: ReadonlyMap<string, BlobLike | Uint8Array>) {
    this.name = name;
    this.#loading = loading;
    this.#files = files;
  }

  async whole(name: string, most: number): Promise<Uint8Array | Missing> {
    const file = await this.open(name);
    if ('missing' in file) return file;
    const size = file.size as number;
    if (size > most) throw broken(this.#loading.where, name, `expected at most ${most} bytes, got ${size}`);
    const bytes = new Uint8Array(size);
    await file.reader(0, size).fill(bytes);
    return bytes;
  }

  async open(name: string): Promise<SourceFile | Missing> {
    const file = this.#files.get(name);
    if (file === undefined) return { missing: `not among ${this.name}` };
    const size = file instanceof Uint8Array ? file.length : file.size;
    return { size, reader: (begin) => this.#reader(name, file, begin), close: async () => {} };
  }

  async list(): Promise<readonly string[]> {
    return [...this.#files.keys()];
  }

  #reader(name: string, file: BlobLike | Uint8Array, begin: number): RangeReader {
    const { where, signal } = this.#loading;
    let at = begin;
    const fill = async (target: Uint8Array): Promise<void> => {
      for (let filled = 0; filled < target.length; ) {
        if (signal?.aborted) throw signal.reason;
        const wanted = Math.min(PART, target.length - filled);
        const bytes = file instanceof Uint8Array ? file.subarray(at, at + wanted) : await part(where, name, file, at, at + wanted);
        // A file may have been cut short on disk since it was chosen, and an array detached.
        if (bytes.length < wanted) throw broken(where, name, `ends at byte ${at + bytes.length}, and ${at + wanted} were expected`);
        target.set(bytes, filled);
        filled += wanted;
        at += wanted;
      }
    };
    return { fill, close() {} };
  }
}

async function part(where: string, name: string, blob: BlobLike, begin: number, end: number): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.slice(begin, end).arrayBuffer());
  } catch (cause) {
    throw unreadable(where, name, reasonOf(cause), cause);
  }
}
