import { randomBytes } from 'node:crypto';
import { type FileHandle, lstat, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InputError, shownPath } from './io.ts';

/** The most bytes read or written in one call: an interrupt is noticed between two. */
const CHUNK = 64 * 1024 * 1024;

/**
 * A whole file. Files over 2 GiB too, which one read call cannot give.
 *
 * @throws {InputError} if it is missing, unreadable, not a regular file, or does not fit in memory.
 */
export async function readWhole(path: string, signal: AbortSignal): Promise<Uint8Array> {
  const unreadable = (error: unknown): never => fail('read', path, error);
  const info = await stat(path).catch(unreadable);
  if (!info.isFile()) throw new InputError(`cannot read ${shownPath(path)}: not a regular file`); // Opening a pipe could wait for ever.
  const file = await open(path).catch(unreadable);
  try {
    const bytes = allocate(path, info.size);
    let length = 0;
    while (length < bytes.length) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(bytes, length, Math.min(CHUNK, bytes.length - length), length).catch(unreadable);
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
 * @throws {InputError} if its folder is missing, or it exists and is not a regular file that may be written.
 */
export async function outputTarget(path: string): Promise<string> {
  const folder = await stat(dirname(path)).catch((error) => fail('write', path, error, 'no such folder'));
  if (!folder.isDirectory()) throw new InputError(`cannot write ${shownPath(path)}: ${shownPath(dirname(path))} is not a folder`);
  const existing = await stat(path).catch((error) => (codeOf(error) === 'ENOENT' ? undefined : fail('write', path, error)));
  if (existing === undefined && (await isLink(path)))
    throw new InputError(`cannot write ${shownPath(path)}: a link to a file that is not there`);
  if (existing?.isFile() === false) throw new InputError(`cannot write ${shownPath(path)}: not a regular file`);
  const target = existing === undefined ? path : await realpath(path).catch((error) => fail('write', path, error));
  if (!existing) return target;
  // Renaming asks the folder alone, so a file that is closed to writing would be replaced all the same; and root may do anything.
  if (!(existing.mode & ANYONE_WRITES)) throw new InputError(`cannot write ${shownPath(path)}: it is read-only`);
  await (await open(target, 'r+').catch((error) => fail('write', path, error))).close();
  return target;
}

/** Permission to write, of the owner, the group or all. */
const ANYONE_WRITES = 0o222;
/** Permissions of a mode. */
const PERMISSIONS = 0o7777;

const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (info) => info.isSymbolicLink(),
    () => false,
  );

/**
 * Writes a file whole or not at all: into a temporary file beside it, which then takes its name, its permissions and its owner. An interrupt
 * or a failure leaves neither a part of it nor the temporary file, and leaves a file that was there as it was. The temporary file is new, under a
 * name that nobody can foresee: a link planted there is never followed.
 */
export async function writeWhole(path: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const temporary = join(dirname(path), `.relpos-${randomBytes(12).toString('hex')}.tmp`);
  const unwritable = (error: unknown): never => fail('write', path, error);
  const existing = await stat(path).catch(() => undefined);
  // Until it has the permissions of the file that it replaces, nobody else may read it.
  const file = await open(temporary, 'wx', existing ? 0o600 : 0o666).catch(unwritable);
  try {
    try {
      for (let offset = 0; offset < bytes.length; ) {
        signal.throwIfAborted();
        const { bytesWritten } = await file.write(bytes, offset, Math.min(CHUNK, bytes.length - offset), offset).catch(unwritable);
        offset += bytesWritten;
      }
      if (existing) await likeBefore(file, existing).catch(unwritable);
    } finally {
      await file.close();
    }
    signal.throwIfAborted();
    await rename(temporary, path).catch(unwritable);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

/** Gives a file the owner, where this process may, and the permissions of another. */
async function likeBefore(file: FileHandle, { uid, gid, mode }: { uid: number; gid: number; mode: number }): Promise<void> {
  const now = await file.stat();
  // Before the permissions: a change of owner takes some of them away.
  if (now.uid !== uid || now.gid !== gid) await file.chown(uid, gid).catch(() => {});
  if ((now.mode & PERMISSIONS) !== (mode & PERMISSIONS)) await file.chmod(mode & PERMISSIONS);
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

function fail(what: 'read' | 'write', path: string, cause: unknown, missing?: string): never {
  throw new InputError(`cannot ${what} ${shownPath(path)}: ${reason(cause, missing)}`, { cause });
}

/** What went wrong with a file, in words, for the codes that a user meets. */
export function reason(error: unknown, missing = 'no such file'): string {
  const denied = permissionWanted(error);
  if (denied !== undefined) return denied;
  const code = codeOf(error);
  if (code === 'ENOENT') return missing;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'permission denied';
  if (code === 'EISDIR') return 'not a regular file';
  if (code === 'ENOTDIR') return 'a part of the path is not a folder';
  if (code === 'ENAMETOOLONG') return 'the name is too long';
  if (code === 'ELOOP') return 'links that lead in a circle';
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'no space left';
  return code ?? String(error);
}

/** What Deno asks for where it denies something; undefined for any other error. */
export function permissionWanted(error: unknown): string | undefined {
  if (!(error instanceof Error) || !/^(NotCapable|PermissionDenied)$/.test(error.name)) return undefined;
  const flag = /--allow-[a-z]+/.exec(error.message)?.[0];
  return flag === undefined ? undefined : `Deno wants ${flag} for that (deno run -A gives all that relpos asks for)`;
}
