// A Redis of the benchmark's own, processes, and what they take.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '../dist/redis.js';

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

export async function startRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'relpos-redis-'));
  const port = await freePort();
  const words = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes'];
  const child = spawn('redis-server', words, { stdio: 'ignore' });
  const url = `redis://127.0.0.1:${port}`;
  const redis = connect({ url });
  while (!(await Promise.race([redis.ping().then(() => true), sleep(100, false)])));
  redis.disconnect();
  return {
    url,
    pid: child.pid,
    stop() {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A command of the package; `ready` is what it prints once it works. */
export async function start(program, words, ready) {
  const main = fileURLToPath(new URL(`../dist/cli/${program}.js`, import.meta.url));
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    printed += text;
  });
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
  const early = ended.then((code) => ({ code }));
  while (ready && !ready.test(printed)) {
    const found = await Promise.race([early, sleep(50)]);
    if (found) throw new Error(`${program} ${words.join(' ')} ended with ${found.code}: ${printed}`);
  }
  return { child, pid: child.pid, ended, printed: () => printed };
}

/** Resident memory of a process, in MB. */
export function residentMb(pid) {
  try {
    return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);
  } catch {
    return undefined;
  }
}

/** Samples the memory of processes until `until` is there: [first third's most, last third's most] of each. */
export async function watchMemory(pids, until) {
  const samples = Object.keys(pids).map(() => []);
  let over = false;
  until.finally(() => {
    over = true;
  });
  while (!over) {
    for (const [n, pid] of Object.values(pids).entries()) {
      const size = residentMb(pid);
      if (size) samples[n].push(size);
    }
    await Promise.race([until, sleep(250)]);
  }
  const part = (list, from, to) => Math.max(0, ...list.slice(Math.floor(from * list.length), Math.ceil(to * list.length)));
  return Object.fromEntries(Object.keys(pids).map((name, n) => [name, [part(samples[n], 0.15, 0.4), part(samples[n], 0.75, 1)]]));
}

/** What a result is of; called at the start, for the load. */
export const machine = () => ({
  date: new Date().toISOString(),
  node: process.versions.node,
  cpu: cpus()[0]?.model,
  cpus: cpus().length,
  load: loadavg()[0],
});
