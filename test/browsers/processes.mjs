// Programs that a browser needs: each leads a process group of its own, so that whatever it starts ends with it, also when this process does.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

/** The Debian packages of which none of the programs is here. */
export function missingPackages(programs) {
  return Object.keys(programs).filter((name) => !programs[name].some((path) => existsSync(path)));
}

/** What must not outlive this process. */
const left = new Set();

function clearUp() {
  for (const undo of left) undo();
}

/** Has `undo` called once: by the function that is returned, or when this process ends. */
export function atEnd(undo) {
  if (left.size === 0) {
    process.on('exit', clearUp);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, ended);
  }
  left.add(once);
  return once;

  function once() {
    if (!left.delete(once)) return;
    undo();
    if (left.size > 0) return;
    process.off('exit', clearUp);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, ended);
  }
}

function ended(signal) {
  clearUp();
  process.kill(process.pid, signal);
}

/** A folder of its own for one run of a browser, and what removes it. */
export function temporaryFolder(name) {
  const path = mkdtempSync(join(tmpdir(), `relpos-${name}-`));
  // A process that was killed may be about to write its last file.
  return { path, remove: atEnd(() => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })) };
}

/** Kills a process and all of its group. */
export function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * Starts a program whose words are read from the pipe `line` if it is given. What it says on standard error is kept for `said`.
 * `kill` ends it and all that it started.
 */
export function start(program, args, { env = process.env, line } = {}) {
  const child = spawn(program, args, { env, detached: true, stdio: ['ignore', 'ignore', 'pipe', line === undefined ? 'ignore' : 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said = `${said}${text}`.slice(-2000);
  });
  const failed = new Promise((_, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => reject(new Error(`${program} ended with ${signal ?? code}: ${said.trim() || 'it said nothing'}`)));
  });
  failed.catch(() => {});
  const kill = atEnd(() => child.pid && killGroup(child.pid));
  return { child, failed, kill };
}

/** `promise`, or an error once `ms` milliseconds have passed. */
export async function within(ms, what, promise) {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).then(() => {
    throw new Error(`${what} took more than ${ms / 1000} seconds`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}

/** Runs `attempt` up to three times: the start of a browser on a loaded machine fails now and then. */
export async function tries(attempt) {
  for (let left = 2; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}
