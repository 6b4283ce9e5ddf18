import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { Store } from './store.ts';

let count = 0;

/** Writes a file whole or not at all: under another name first, to the disk, then renamed. What fails leaves nothing. */
export async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${process.pid}.${count++}.part`;
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Bytes in a folder that the machines share. */
export function folderStore(folder: string): Store {
  const path = (name: string): string => join(folder, name);
  return {
    async put(name, bytes) {
      await mkdir(folder, { recursive: true });
      await writeWhole(path(name), bytes);
    },
    async get(name, most) {
      try {
        const { size } = await stat(path(name));
        if (size > most) throw new RangeError(`${name} expected ${most} bytes at most, got ${size}`);
        return await readFile(path(name));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async delete(name) {
      await rm(path(name), { force: true });
    },
    async sweep(owner) {
      for (const name of await readdir(folder).catch(() => [])) if (name.endsWith(`-${owner}`)) await rm(path(name), { force: true });
    },
    async close() {},
  };
}
