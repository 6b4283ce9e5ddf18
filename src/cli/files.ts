import { open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { InputError, shownPath } from './io.ts';

/** The most bytes read or written in one call: an interrupt is noticed between two. */
const CHUNK = 64 * 1024 * 1024;

/**
 * A whole file. Files over 2 GiB too, which one read call cannot give.
 *
 * @throws {InputError} if it is missing, unreadable, not a regular file, or does not fit in memory.
 */
export async function readWhole(path: string, signal: AbortSignal): Promise<Uint8Array> {
  const unreadable = (error: unknown): never => {
    throw new InputError(`cannot read ${shownPath(path)}: ${reason(error)}`, { cause: error });
  };
  const info = await stat(path).catch(unreadable);
  if (!info.isFile()) throw new InputError(`cannot read ${shownPath(path)}: not a regular file`); // Opening a pipe could wait for ever.
  const file = await open(path).catch(unreadable);
  try {
    const bytes = allocate(path, info.size);
    let length = 0;
    while (length < bytes.length) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(bytes, length, Math.min(CHUNK, bytes.length - length), length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

function allocate(path: string, size: number): Uint8Array {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new InputError(`cannot read ${shownPath(path)}: ${size} bytes do not fit in memory`, { cause });
  }
}

/**
 * Where an output goes: the path with links followed. Checked before any work is done.
 *
 * @throws {InputError} if its folder is missing or it exists and is not a regular file.
 */
export async function outputTarget(path: string): Promise<string> {
  const folder = await stat(dirname(path)).catch((error) => {
    throw new InputError(`cannot write ${shownPath(path)}: ${reason(error, 'no such folder')}`, { cause: error });
  });
  if (!folder.isDirectory()) throw new InputError(`cannot write ${shownPath(path)}: ${shownPath(dirname(path))} is not a folder`);
  const existing = await stat(path).catch(() => undefined);
  if (existing === undefined) return path;
  if (!existing.isFile()) throw new InputError(`cannot write ${shownPath(path)}: not a regular file`);
  return realpath(path);
}

/**
 * Writes a file whole or not at all: into a temporary file beside it, which then takes its name. An interrupt or a failure leaves
 * neither a part of it nor the temporary file, and leaves a file that was there as it was.
 */
export async function writeWhole(path: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    const file = await open(temporary, 'w').catch((error) => {
      throw new InputError(`cannot write ${shownPath(path)}: ${reason(error)}`, { cause: error });
    });
    try {
      for (let offset = 0; offset < bytes.length; ) {
        signal.throwIfAborted();
        offset += (await file.write(bytes, offset, Math.min(CHUNK, bytes.length - offset), offset)).bytesWritten;
      }
    } finally {
      await file.close();
    }
    signal.throwIfAborted();
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

/** What went wrong with a file, in words, for the codes that a user meets. */
function reason(error: unknown, missing = 'no such file'): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOENT') return missing;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'permission denied';
  if (code === 'EISDIR') return 'not a regular file';
  if (code === 'ENOTDIR') return 'a part of the path is not a folder';
  return code ?? String(error);
}
