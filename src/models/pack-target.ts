// Where a packed model goes: whoever takes its files one by one, or a folder that gets all of them or none.

import { wrongType, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { quote } from '../cli/text.ts';
import { builtinModule } from '../platform/host.ts';
import type { Url } from '../platform/types.ts';
import { reasonOf } from './fault.ts';

/** Takes the files of a packed model one by one; `config.json` comes last, and without it there is no model. */
export interface PackTarget {
  /**
   * Takes a file.
   *
   * @param name as in a Hugging Face folder, with `/` between the parts
   * @param size its bytes
   * @param pieces all of them, in order; each piece is memory of its own
   */
  write(name: string, size: number, pieces: AsyncIterable<Uint8Array>): Promise<void>;
}

/** The same, with an end. */
export interface OpenTarget extends PackTarget {
  /** Once all files are there. */
  finish(): Promise<void>;
  /** When something failed before that. */
  drop(): Promise<void>;
}

/** What is used of `node:fs` and its like. */
interface Files {
  stat(path: string): Promise<{ isDirectory(): boolean }>;
  lstat(path: string): Promise<unknown>;
  realpath(path: string): Promise<string>;
  readdir(path: string): Promise<string[]>;
  mkdir(path: string, options?: { recursive: boolean }): Promise<unknown>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { recursive: boolean; force: boolean }): Promise<void>;
  open(path: string, flags: string): Promise<Handle>;
}
interface Handle {
  write(bytes: Uint8Array, at: number, length: number): Promise<{ readonly bytesWritten: number }>;
  close(): Promise<void>;
}
interface Paths {
  dirname(path: string): string;
  join(...parts: string[]): string;
  resolve(path: string): string;
}

/** What a folder is asked for beside its files. */
export interface FolderOptions {
  /** Whether the files of another model may be replaced. */
  readonly force: boolean;
  /** The model that is packed: another folder than this. */
  readonly model: unknown;
}

/** Weights as a folder may have them: those of another model would be taken for this one's. */
const WEIGHTS = /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/;
const CONFIG = 'config.json';

/** What was given as `to` of the call. @throws TypeError, RangeError if nothing can be written to it */
export async function targetOf(where: string, given: unknown, options: FolderOptions): Promise<OpenTarget> {
  if (typeof given === 'object' && given !== null && typeof (given as Partial<PackTarget>).write === 'function') {
    const target = given as PackTarget;
    return { write: (...file) => target.write(...file), finish: async () => {}, drop: async () => {} };
  }
  const path = pathOf(given);
  const files = builtinModule<{ promises: Files }>('node:fs')?.promises;
  const expected = files ? 'a folder or an object with "write"' : 'an object with "write" (this host has no folders)';
  if (path === undefined || !files) throw wrongType(where, 'to', expected, given);
  return folderTarget(where, path, files, options);
}

/** A path, or that of a `file:` URL; undefined if it is neither. */
function pathOf(given: unknown): string | undefined {
  const text = typeof given === 'string' ? given : (given as Partial<Url> | null)?.href;
  if (typeof text !== 'string' || text === '') return undefined;
  if (!/^[a-z][a-z\d+.-]+:/i.test(text)) return text;
  try {
    return builtinModule<{ fileURLToPath(url: string): string }>('node:url')?.fileURLToPath(text);
  } catch {
    return undefined;
  }
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;

/** Checks a folder, and begins one for the files: within it if it is there, else beside it. */
async function folderTarget(where: string, given: string, files: Files, { force, model }: FolderOptions): Promise<OpenTarget> {
  const paths = builtinModule<Paths>('node:path') as Paths;
  const path = await files.realpath(given).catch(() => paths.resolve(given));
  const bad = (why: string): never => {
    throw wrongValue(where, 'to', 'a folder that is new or empty', JSON.stringify(given), why);
  };
  const info = await files.stat(path).catch((error: unknown) => (codeOf(error) === 'ENOENT' ? undefined : bad(reasonOf(error))));
  const own = pathOf(model);
  if (own !== undefined && (await files.realpath(own).catch(() => '')) === path) bad('it is the folder of the model itself');
  if (info && !info.isDirectory()) bad('it is a file');
  if (!info) {
    if (await files.lstat(path).catch(() => undefined)) bad('it is a link to nothing');
    const above = await files.stat(paths.dirname(path)).catch(() => undefined);
    if (!above?.isDirectory()) bad(`there is no folder ${quote(paths.dirname(path))}`);
  }
  const [there] = info ? await files.readdir(path) : [];
  if (there !== undefined && !force) bad(`it has ${quote(there)} in it; with "force" the model there is replaced`);
  const folder = new Folder(where, path, info !== undefined, files, paths);
  await folder.begin();
  return folder;
}

class Folder implements OpenTarget {
  readonly #where: string;
  readonly #path: string;
  readonly #there: boolean;
  readonly #files: Files;
  readonly #paths: Paths;
  /** Under a name that nobody can foresee. */
  readonly #temporary: string;
  readonly #written: string[] = [];
  /** The old model is gone, and the new one is not whole yet: what is left of it in the temporary folder is all there is. */
  #between = false;

  constructor(where: string, path: string, there: boolean, files: Files, paths: Paths) {
    this.#where = where;
    this.#path = path;
    this.#there = there;
    this.#files = files;
    this.#paths = paths;
    const random = builtinModule<{ randomUUID(): string }>('node:crypto')?.randomUUID();
    this.#temporary = paths.join(there ? path : paths.dirname(path), `.relpos-${random}.tmp`);
  }

  #fail(name: string): (cause: unknown) => never {
    return (cause) => {
      const rest = this.#between ? `; the rest of the model is in ${quote(this.#temporary)}` : '';
      throw new RelposError('unwritable', `${this.#where}: ${quote(name)} cannot be written: ${reasonOf(cause)}${rest}`, { cause });
    };
  }

  async begin(): Promise<void> {
    await this.#files.mkdir(this.#temporary).catch(this.#fail(this.#path));
  }

  async write(name: string, _size: number, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const fail = this.#fail(name);
    const path = this.#paths.join(this.#temporary, name);
    await this.#files.mkdir(this.#paths.dirname(path), { recursive: true }).catch(fail);
    const file = await this.#files.open(path, 'wx').catch(fail);
    try {
      for await (const piece of pieces) {
        for (let at = 0; at < piece.length; ) at += (await file.write(piece, at, piece.length - at).catch(fail)).bytesWritten;
      }
    } finally {
      await file.close();
    }
    this.#written.push(name);
  }

  /** A new folder takes its name. One that is there gets the files one after another, once it has lost those of another model. */
  async finish(): Promise<void> {
    if (!this.#there) return this.#files.rename(this.#temporary, this.#path).catch(this.#fail(this.#path));
    const old = (await this.#files.readdir(this.#path).catch(this.#fail(this.#path))).filter(
      (name) => name === CONFIG || WEIGHTS.test(name),
    );
    for (const name of new Set([...old, ...this.#written])) {
      const there = await this.#files.stat(this.#paths.join(this.#path, name)).catch(() => undefined);
      if (there?.isDirectory()) this.#fail(name)('a folder has that name');
    }
    this.#between = true;
    // From here on until it has a configuration again, the folder is no model.
    for (const name of old.sort()) {
      await this.#files.rm(this.#paths.join(this.#path, name), { recursive: false, force: true }).catch(this.#fail(name));
    }
    for (const name of this.#written) {
      const to = this.#paths.join(this.#path, name);
      await this.#files.mkdir(this.#paths.dirname(to), { recursive: true }).catch(this.#fail(name));
      await this.#files.rename(this.#paths.join(this.#temporary, name), to).catch(this.#fail(name));
    }
    this.#between = false;
    await this.drop();
  }

  async drop(): Promise<void> {
    if (this.#between) return;
    await this.#files.rm(this.#temporary, { recursive: true, force: true }).catch(() => {});
  }
}
