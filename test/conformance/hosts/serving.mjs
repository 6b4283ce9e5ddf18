// What hosts that answer requests share: the rows, and what must hold of one engine that many requests use at once.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

/** Requests whose answers are compared, and how many of them are under way at any time. */
const REQUESTS = 1000;
const AT_ONCE = 8;
/** Each of so many requests has a neighbour that its client breaks off. */
const BROKEN_OFF = 8;
/** Milliseconds after which a request counts as never answered: long calls run one after another. */
const PATIENCE_MS = 60_000;
/** A server that gave so many wrong answers is asked no more. */
const ENOUGH = 16;

const KINDS = ['plain', 'waits', 'together', 'signal', 'plain', 'progress', 'decode', 'memo', 'wrong', 'left'];

/** The calls of a run, in order: kinds in turn, two long ones in the midst of the others. */
function plan() {
  const requests = Array.from({ length: REQUESTS }, (_, n) => ({ kind: KINDS[n % KINDS.length], seed: n % 37 }));
  requests[100] = requests[600] = { kind: 'long', seed: 1 };
  return requests;
}

/** What the calls give on an engine of this process, by kind and seed. */
async function expectations(project) {
  const load = (name) => import(pathToFileURL(join(project.folder, name)).href);
  const relpos = await load('node_modules/relpos/dist/index.js');
  const { calls } = await load('calls.mjs');
  const engine = await relpos.createEngine({ threads: 1 });
  const known = new Map([['left', 'left']]);
  return async ({ kind, seed }) => {
    const key = kind === 'left' ? kind : `${kind} ${seed}`;
    if (!known.has(key)) known.set(key, await calls[kind]({ relpos, engine, seed, pause }));
    return known.get(key);
  };
}

/**
 * A connection for each request: a server that was busy for longer than it keeps an idle one would close it in the moment of its next use.
 */
const headers = { connection: 'close' };

async function ask(address, path) {
  const response = await fetch(`${address}${path}`, { signal: AbortSignal.timeout(PATIENCE_MS), headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return text;
}

/** Breaks off a request: its client goes away `ms` milliseconds after it began, or in the middle of its body. */
async function breakOff(address, n) {
  const controller = new AbortController();
  const { signal } = controller;
  const kind = KINDS[(n / BROKEN_OFF) % KINDS.length];
  const path = `/call?kind=${n % 400 === 0 ? 'long' : kind}&seed=${n % 37}`;
  const endless = new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode('never the end')) });
  const body = n % 3 === 0 ? { method: 'POST', body: endless, duplex: 'half' } : {};
  const answered = fetch(`${address}${path}${n % 3 === 0 ? '&wait=1' : ''}`, { signal, headers, ...body }).catch(() => {});
  await pause(n % 5);
  controller.abort();
  await answered;
}

/** Runs all requests, `AT_ONCE` at a time; what went wrong, in words, and how long it took. */
async function storm(address, expected) {
  const requests = plan();
  const wrong = [];
  let next = 0;
  const broken = [];
  const client = async () => {
    for (let n = next++; n < requests.length && wrong.length < ENOUGH; n = next++) {
      const { kind, seed } = requests[n];
      if (n % BROKEN_OFF === 0) broken.push(breakOff(address, n));
      try {
        const found = await ask(address, `/call?kind=${kind}&seed=${seed}`);
        if (found !== expected[n]) wrong.push(`request ${n}, ${kind}: ${found}, not ${expected[n]}`);
      } catch (error) {
        wrong.push(`request ${n}, ${kind}: ${error.message} ${error.cause ?? ''}`);
      }
    }
  };
  const began = performance.now();
  // The engine is made by a request that is over, or gone, before another one uses it.
  await Promise.all([breakOff(address, AT_ONCE), ask(address, '/call?kind=left&seed=0')]);
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  await Promise.all(broken);
  return { wrong, broken: broken.length, seconds: (performance.now() - began) / 1000 };
}

/** The calls that no request waited for: those that have not ended, or not well. */
async function checkLeft(address, expect) {
  const { begun, hashes } = JSON.parse(await ask(address, '/left'));
  const ended = Object.entries(hashes);
  if (!begun || ended.length !== begun) return `${ended.length} of ${begun} calls ended that nobody waited for`;
  for (const [key, hash] of ended) {
    const expected = await expect({ kind: 'plain', seed: Number(key.split(' ')[0]) });
    if (hash !== expected) return `a call that nobody waited for gave ${hash}, not ${expected}`;
  }
  return undefined;
}

/** All that a server at `address` must show: the row of the conformance cases, and one engine that 1,000 requests use, 8 at a time. */
export async function tryServer(address, project, row) {
  const name = `${row.host}, ${row.context}`;
  const expect = await expectations(project);
  const expected = [];
  for (const request of plan()) expected.push(await expect(request));
  const { wrong, broken, seconds } = await storm(address, expected);
  const left = await checkLeft(address, expect);
  const began = performance.now();
  const found = JSON.parse(await ask(address, `/conform?threads=${row.asked}`));
  const of = `${REQUESTS} requests, ${AT_ONCE} at a time`;
  const checks = [
    { name: `${name}: ${of}, on one engine`, ...(wrong.length && { error: `${wrong.length} went wrong:\n${wrong.join('\n')}` }) },
    { name: `${name}: calls that their requests leave alone end well`, ...(left && { error: left }) },
  ];
  const notes = [`${name}: ${of}, ${wrong.length} wrong, ${broken} more broken off by their clients, ${seconds.toFixed(1)} s`];
  // The clock of such a host may stand still while it computes.
  return { rows: [{ ...found, ...row, ms: performance.now() - began }], checks, notes };
}

/**
 * Starts a server as a process of its own; `listening(line)` gives the address that a line of its output tells. Runs
 * `use` with it, then sends the signal `end`.
 */
export async function withServer({ program, args, listening, end = 'SIGKILL' }, use) {
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  const exited = new Promise((resolve) => server.once('exit', (code) => resolve(`it ended with code ${code}`)));
  try {
    const address = new Promise((resolve) => {
      for (const stream of [server.stdout, server.stderr]) {
        stream.setEncoding('utf8').on('data', (text) => {
          printed = `${printed}${text}`.slice(-4000);
          const found = listening(printed);
          if (found) resolve(found);
        });
      }
    });
    const first = await Promise.race([address, exited.then((why) => ({ why })), pause(60_000, { why: 'it did not start in a minute' })]);
    if (first.why) throw new Error(`${program}: ${first.why}\n${printed}`);
    return await use(first);
  } catch (error) {
    throw new Error(`${error.message}\nIt printed: ${printed}`, { cause: error });
  } finally {
    server.kill(end);
    const late = setTimeout(() => server.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(late);
  }
}

/** The reason that such a host gives for its one thread. */
export const ONE_THREAD = /edge runtimes have one thread/;

/** The address that the programs of `servers` print. */
export const listening = (printed) => /^listening: (\S+)$/m.exec(printed)?.[1];
