// A folder of the file system, in Node, Deno and Bun.

import { wrongValue } from '../arguments/check.ts';
import { builtinModule } from '../platform/host.ts';
import { broken, reasonOf, unreadable } from './fault.ts';
import type { Loading, Missing, RangeReader, Source, SourceFile } from './source.ts';

/** What is used of `node:fs`. */
interface FileSystem {
  readonly promises: {
    stat(path: string): Promise<Stat>;
    open(path: string): Promise<Handle>;
    readdir(path: string): Promise<string[]>;
  };
}
interface Stat {
  readonly size: number;
  isFile(): boolean;
  isDirectory(): boolean;
}
interface Handle {
  stat(): Promise<Stat>;
  read(into: Uint8Array, at: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

const fileSystem = (): FileSystem | undefined => builtinModule<FileSystem>('node:fs');

/** The files of a folder. @throws RangeError if there is no such folder */
export async function folderSource(loading: Loading, name: string, given: string, isUrl: boolean): Promise<Source> {
  const { where } = loading;
  const folder = isUrl ? pathOf(where, name, given) : given;
  const files = (fileSystem() as FileSystem).promises;
  const info = await files.stat(folder).catch((error: unknown) => {
    throw wrongValue(where, name, 'a folder', JSON.stringify(given), isAbsent(error) ? 'there is no such folder' : reasonOf(error));
  });
  if (!info.isDirectory()) {
    throw wrongValue(where, name, 'a folder', JSON.stringify(given), 'it is a file; give the folder that it lies in');
  }
  return new Folder(loading, folder, files);
}

/** The path of a `file:` URL. */
function pathOf(where: string, name: string, given: string): string {
  const url = builtinModule<{ fileURLToPath(url: string): string }>('node:url');
  try {
    return (url as NonNullable<typeof url>).fileURLToPath(given);
  } catch (cause) {
    throw wrongValue(where, name, 'a URL of a folder', JSON.stringify(given), reasonOf(cause));
  }
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;
const isAbsent = (error: unknown): boolean => codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';

class Folder implements Source {
  readonly name: string;
  readonly #loading: Loading;
  readonly #files: FileSystem['promises'];

  constructor(loading: Loading, path: string, files: FileSystem['promises']) {
    this.#loading = loading;
    this.name = path;
    this.#files = files;
  }

  async whole(name: string, most: number): Promise<Uint8Array | Missing> {
    const file = await this.open(name);
    if ('missing' in file) return file;
    try {
      const size = file.size as number;
      if (size > most) throw broken(this.#loading.where, name, `expected at most ${most} bytes, got ${size}`);
      const bytes = new Uint8Array(size);
      await file.reader(0, size).fill(bytes);
      return bytes;
    } finally {
      await file.close();
    }
  }

  list(): Promise<readonly string[]> {
    return this.#files.readdir(this.name);
  }

  async open(name: string): Promise<OpenFile | Missing> {
    const { where } = this.#loading;
    const path = `${this.name}/${name}`;
    const fail = (cause: unknown): never => {
      throw unreadable(where, name, reasonOf(cause), cause);
    };
    // Before it is opened: to open a pipe could wait for ever.
    const info = await this.#files.stat(path).catch((error: unknown) => (isAbsent(error) ? undefined : fail(error)));
    if (info === undefined) return { missing: `no such file in ${this.name}` };
    if (!info.isFile()) throw unreadable(where, name, 'it is not a regular file');
    const handle = await this.#files.open(path).catch(fail);
    return new OpenFile(this.#loading, name, handle, info.size);
  }
}

class OpenFile implements SourceFile {
  readonly size: number;
  readonly #loading: Loading;
  readonly #name: string;
  readonly #handle: Handle;

  constructor(loading: Loading, name: string, handle: Handle, size: number) {
    this.#loading = loading;
    this.#name = name;
    this.#handle = handle;
    this.size = size;
  }

  reader(begin: number, end: number): RangeReader {
    let at = begin;
    return {
      fill: async (target) => {
        for (let filled = 0; filled < target.length; ) {
          const { signal, where } = this.#loading;
          if (signal?.aborted) throw signal.reason;
          const { bytesRead } = await this.#handle.read(target, filled, target.length - filled, at).catch((cause: unknown) => {
            throw unreadable(where, this.#name, reasonOf(cause), cause);
          });
          // It was as long as it should be when it was opened.
          if (bytesRead === 0) throw broken(where, this.#name, `ends at byte ${at}, and ${end} were expected`);
          filled += bytesRead;
          at += bytesRead;
        }
      },
      close() {},
    };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
