// One process at a folder at a time.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** Says which process is at the folder. */
const LOCK = '.lock';

/** Whether a process of this machine is another one, and lives. */
const isOther = (pid: number): boolean => {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Two processes at one folder would take one another's jobs away. One that was killed on this machine left its lock behind, which counts no more. */
export async function lock(folder: string): Promise<string> {
  const path = join(folder, LOCK);
  const mine = `${hostname()} ${process.pid}`;
  for (;;) {
    try {
      await writeFile(path, mine, { flag: 'wx' });
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [host, pid] = (await readFile(path, 'utf8').catch(() => '')).split(' ');
    if (host && (host !== hostname() || isOther(Number(pid)))) {
      throw new Error(`out: process ${pid} of ${host} is at ${folder}; if it is not, remove ${path}`);
    }
    await rm(path, { force: true });
  }
}
