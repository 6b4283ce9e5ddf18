import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { OverError, ownerOf, type Store } from './store.ts';

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
    const { message, code } = error as NodeJS.ErrnoException;
    throw Object.assign(new Error(`${path} cannot be written: ${message}`), { code });
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Bytes in a folder that the machines share, a folder in it for each owner. */
export function folderStore(folder: string): Store {
  const place = (name: string): string => join(folder, ownerOf(name));
  return {
    async begin(owner) {
      await mkdir(join(folder, owner), { recursive: true });
    },
    async put(name, bytes) {
      try {
        await writeWhole(join(place(name), name), bytes);
      } catch (error) {
        throw isMissing(error) ? new OverError(name) : error;
      }
    },
    async get(name, most) {
      try {
        const { size } = await stat(join(place(name), name));
        if (size > most) throw new RangeError(`${name} expected ${most} bytes at most, got ${size}`);
        return await readFile(join(place(name), name));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async delete(name) {
      await rm(join(place(name), name), { force: true });
    },
    async sweep(owner) {
      await rm(join(folder, owner), { recursive: true, force: true, maxRetries: 3 });
    },
    async close() {},
  };
}
