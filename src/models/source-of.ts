// Which kind of place was given. The code of a page's own kind, an address, is at hand; that of the others comes when it is needed.

import { isPlain, wrongType, wrongValue } from '../arguments/check.ts';
import { builtinModule } from '../platform/host.ts';
import type { Url } from '../platform/types.ts';
import type { Loading, Source } from './source.ts';
import type { GivenFiles } from './source-files.ts';
import { httpSource } from './source-http.ts';
import type { ObjectStore } from './source-store.ts';

/**
 * Where the files of a checkpoint lie:
 *
 * - a folder: its path, or a `file:` URL (Node, Deno and Bun)
 * - an `http:` or `https:` address, to which the files' names are added; in a page also relative to the page
 * - the files that a folder input gives (`<input type="file" webkitdirectory>`): a FileList or an array of files
 * - `{ 'config.json': bytes, 'model.safetensors': blob, … }`, or a Map of that
 * - an object store: `{ get(name, { offset, length }?) }`
 */
export type CheckpointSource = string | Url | GivenFiles | ObjectStore;

const EXPECTED = 'a folder, a URL, files or an object with "get"';

/** The source that was given as `name` of the call. @throws TypeError, RangeError if it is none */
export async function sourceOf(loading: Loading, name: string, given: unknown): Promise<Source> {
  const { where } = loading;
  if (typeof given === 'string') return placeSource(loading, name, given);
  if (typeof given !== 'object' || given === null) throw wrongType(where, name, EXPECTED, given);
  if (isUrl(given)) return placeSource(loading, name, given.href);
  if (isFileList(given)) return (await import('./source-files.ts')).listSource(loading, name, given);
  if (isMap(given)) return (await import('./source-files.ts')).filesSource(loading, name, given);
  if (typeof (given as Partial<ObjectStore>).get === 'function') {
    return (await import('./source-store.ts')).storeSource(loading, given as ObjectStore);
  }
  if (isPlain(given)) return (await import('./source-files.ts')).filesSource(loading, name, new Map(Object.entries(given)));
  throw wrongType(where, name, EXPECTED, given);
}

const tag = (value: object): string => Object.prototype.toString.call(value);
/** A FileList, or an array. */
const isFileList = (given: object): given is ArrayLike<unknown> => Array.isArray(given) || tag(given) === '[object FileList]';
const isMap = (value: object): value is ReadonlyMap<string, unknown> => tag(value) === '[object Map]';
const isUrl = (value: object): value is { readonly href: string } =>
  tag(value) === '[object URL]' && typeof (value as { href?: unknown }).href === 'string';

/** Whether this host has folders to read. */
const hasFolders = (): boolean => builtinModule<{ readonly promises?: unknown }>('node:fs')?.promises !== undefined;

/** A folder or an address. */
async function placeSource(loading: Loading, name: string, given: string): Promise<Source> {
  const { where } = loading;
  if (given === '') throw wrongValue(where, name, 'a folder or a URL', '""');
  const scheme = /^([a-z][a-z\d+.-]+):/i.exec(given)?.[1]?.toLowerCase();
  if (scheme === 'http' || scheme === 'https') return httpSource(loading, address(where, name, given));
  if (scheme === undefined || scheme === 'file') {
    if (hasFolders()) return (await import('./source-folder.ts')).folderSource(loading, name, given, scheme === 'file');
    const page = (globalThis as { location?: { href: string } }).location?.href;
    if (scheme === undefined && page !== undefined) return httpSource(loading, address(where, name, given, page));
  }
  throw wrongValue(
    where,
    name,
    `an http: or https: URL${hasFolders() ? ', or a folder' : ' (this host has no folders)'}`,
    JSON.stringify(given),
  );
}

/** @throws RangeError if it is none, such as one with a port that there is not */
function address(where: string, name: string, given: string, base?: string): URL {
  try {
    return new URL(given, base);
  } catch {
    throw wrongValue(where, name, 'a URL', JSON.stringify(given));
  }
}
