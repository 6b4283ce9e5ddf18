// Which kind of place was given.

import { isPlain, wrongType, wrongValue } from '../arguments/check.ts';
import type { Url } from '../platform/types.ts';
import type { Loading, Source } from './source.ts';
import { filesSource, type GivenFiles, isFileList, listSource } from './source-files.ts';
import { folderSource, hasFolders } from './source-folder.ts';
import { httpSource } from './source-http.ts';
import { type ObjectStore, storeSource } from './source-store.ts';

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
export function sourceOf(loading: Loading, name: string, given: unknown): Promise<Source> | Source {
  const { where } = loading;
  if (typeof given === 'string') return placeSource(loading, name, given);
  if (typeof given !== 'object' || given === null) throw wrongType(where, name, EXPECTED, given);
  if (isUrl(given)) return placeSource(loading, name, given.href);
  if (isFileList(given)) return listSource(loading, name, given);
  if (isMap(given)) return filesSource(loading, name, given);
  if (typeof (given as Partial<ObjectStore>).get === 'function') return storeSource(loading, given as ObjectStore);
  if (isPlain(given)) return filesSource(loading, name, new Map(Object.entries(given)));
  throw wrongType(where, name, EXPECTED, given);
}

const tag = (value: object): string => Object.prototype.toString.call(value);
const isMap = (value: object): value is ReadonlyMap<string, unknown> => tag(value) === '[object Map]';
const isUrl = (value: object): value is { readonly href: string } =>
  tag(value) === '[object URL]' && typeof (value as { href?: unknown }).href === 'string';

/** A folder or an address. */
function placeSource(loading: Loading, name: string, given: string): Promise<Source> | Source {
  const { where } = loading;
  if (given === '') throw wrongValue(where, name, 'a folder or a URL', '""');
  const scheme = /^([a-z][a-z\d+.-]+):/i.exec(given)?.[1]?.toLowerCase();
  if (scheme === 'http' || scheme === 'https') return httpSource(loading, new URL(given));
  if (scheme === undefined || scheme === 'file') {
    if (hasFolders()) return folderSource(loading, name, given, scheme === 'file');
    const page = (globalThis as { location?: { href: string } }).location?.href;
    if (scheme === undefined && page !== undefined) return httpSource(loading, new URL(given, page));
  }
  throw wrongValue(
    where,
    name,
    `an http: or https: URL${hasFolders() ? ', or a folder' : ' (this host has no folders)'}`,
    JSON.stringify(given),
  );
}
