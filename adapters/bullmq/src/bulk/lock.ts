// One process at a folder at a time.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Says which process is at the folder. */
const LOCK = '.lock';

/** Whether a process of this machine goes on. One that ended may keep its number until its parent has heard of it; Linux says so. */
async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return !/^State:\s+[ZX]/m.test(status);
}

/** Locks of this process. */
const held = new Set<string>();

/** Whether who holds a lock is gone: a process of this machine that ended. Of another machine nobody here knows. */
async function isGone(text: string, path: string): Promise<boolean> {
  if (text === '') return true;
  const [host, pid] = text.split(' ');
  if (host !== hostname()) return false;
  return Number(pid) === process.pid ? !held.has(path) : !(await isAlive(Number(pid)));
}

/** Takes a lock away that nobody holds any more. One that was taken meanwhile is put back. */
async function breakLock(path: string, text: string): Promise<void> {
  const aside = `${path}.${process.pid}.old`;
  try {
    await rename(path, aside);
    const taken = await readFile(aside, 'utf8');
    if (taken !== text) await writeFile(path, taken, { flag: 'wx' });
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/** The text of a lock; undefined if there is none any more. One that stays without text was left by a process that ended before it wrote. */
async function readLock(path: string): Promise<string | undefined> {
  for (let waits = 0; ; waits++) {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return undefined;
    });
    if (text !== '' || waits === 10) return text;
    await sleep(50);
  }
}

/** Two processes at one folder would take one another's jobs away. One that was killed on this machine left its lock behind, which counts no more. */
export async function lock(folder: string): Promise<string> {
  const path = resolve(folder, LOCK);
  for (;;) {
    try {
      await writeFile(path, `${hostname()} ${process.pid}`, { flag: 'wx' });
      held.add(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const text = await readLock(path);
    if (text === undefined) continue;
    if (!(await isGone(text, path))) {
      const [host, pid] = text.split(' ');
      throw new Error(`out: process ${pid} of ${host} is at ${folder}; if it is not, remove ${path}`);
    }
    await breakLock(path, text);
  }
}

export async function unlock(path: string): Promise<void> {
  held.delete(path);
  await rm(path, { force: true });
}
