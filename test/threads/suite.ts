/** What must hold of a pool on every runtime: plain functions that throw, so that any runner and any page can call them. */
import { RelposError } from '../../src/arguments/errors.ts';
import type { WorkerLike } from '../../src/platform/handle.ts';
import { createRig, type Rig } from './rig.ts';

/** What a case gets to work with. */
export interface Lab {
  readonly module: WebAssembly.Module;
  /** Jobs per stress case. */
  readonly jobs: number;
  /** Whether this thread may block, so that synchronous calls use workers. */
  readonly blocks: boolean;
  /** Whether the host interrupts a worker in the middle of a tile, and says so; a pool that lost one there can start others. */
  readonly interrupts: boolean;
  /** Starts a worker as a user's own factory would. */
  readonly spawn: () => WorkerLike;
}

const LOOPS = 400_000; // A tenth of a millisecond or so.

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert(false, 'expected a rejection'),
    (error: unknown) => error,
  );
}

function thrown(call: () => void): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('expected an error');
}

function assertTrap(error: unknown, ...parts: string[]): void {
  assert(error instanceof RelposError && error.code === 'kernel-trap', `expected a kernel trap, got ${String(error)}`);
  for (const part of parts) assert(error.message.includes(part), `"${error.message}" does not say "${part}"`);
}

/** Runs a job that must go well, and checks it. */
async function good(rig: Rig, tiles = 50): Promise<void> {
  await rig.pool.run(rig.job({ kernel: 'count', tiles, loops: 1000 }));
  rig.assertOnce(tiles);
}

/** A small generator: the same tests on every runtime. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Every tile runs exactly once, with its own job's parameters, on a scratch of its own. */
async function stress(lab: Lab, threads: number): Promise<void> {
  const rig = await createRig(lab.module, threads);
  assert(rig.pool.threads === threads, `${rig.pool.threads} threads: ${rig.reason}`);
  const next = random(threads);
  for (let i = 0; i < lab.jobs; i++) {
    const tiles = 1 + next(next(8) === 0 ? 400 : 12);
    const job = rig.job({ kernel: 'count', tiles, threads: 1 + next(threads), loops: next(4) === 0 ? next(2000) : 0 });
    if (next(2) === 0) rig.pool.runSync(job);
    else await rig.pool.run(job);
    rig.assertOnce(tiles);
  }
  rig.pool.dispose();
}

async function order({ module }: Lab): Promise<void> {
  const rig = await createRig(module, 3);
  const ended: number[] = [];
  const calls = [40, 1, 20, 1, 5, 2, 1, 9].map((tiles, slot) => {
    const job = rig.job({ kernel: 'count', tiles, slot, loops: LOOPS });
    return rig.pool.run(job).then(() => {
      rig.assertOnce(tiles, slot, slot + 1);
      ended.push(slot);
    });
  });
  await Promise.all(calls);
  assert(ended.join() === '0,1,2,3,4,5,6,7', `calls ended in the order ${ended}`);
  rig.pool.dispose();
}

async function abort({ module }: Lab): Promise<void> {
  for (const threads of [1, 2, 4]) {
    const rig = await createRig(module, threads);
    const tiles = 3000;
    const early = AbortSignal.abort('early');
    assert((await rejection(rig.pool.run(rig.job({ kernel: 'count', tiles }), { signal: early }))) === 'early', 'already aborted');
    assert(
      rig.cells(tiles).counts.every((count) => count === 0),
      'a job ran that was aborted before',
    );
    const controller = new AbortController();
    const { signal } = controller;
    const call = rejection(rig.pool.run(rig.job({ kernel: 'count', tiles, loops: LOOPS }), { signal }));
    const behind = rejection(rig.pool.run(rig.job({ kernel: 'count', tiles: 10, slot: 1 }), { signal }));
    setTimeout(() => controller.abort('late'), 20);
    const began = performance.now();
    assert((await call) === 'late', 'aborted in the middle');
    assert((await behind) === 'late', 'aborted in the queue');
    const before = rig.cells(tiles).counts.join();
    const ran = rig.cells(tiles).counts.filter((count) => count === 1).length;
    assert(ran > 0 && ran < tiles, `${ran} tiles ran in ${performance.now() - began} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert(rig.cells(tiles).counts.join() === before, 'a tile ran after the rejection');
    assert(
      rig.cells(10, 1).counts.every((count) => count === 0),
      'an aborted call in the queue ran',
    );
    await good(rig);
    rig.pool.dispose();
  }
}

async function progress({ module }: Lab): Promise<void> {
  for (const threads of [1, 3]) {
    const rig = await createRig(module, threads);
    const seen: number[] = [];
    let settled = false;
    const tiles = 2500;
    const onProgress = (done: number, total: number): void => {
      assert(!settled && total === tiles && done >= (seen.at(-1) ?? 0), `progress ${done} of ${total}`);
      seen.push(done);
    };
    const call = rig.pool.run(rig.job({ kernel: 'count', tiles, loops: LOOPS }), { onProgress });
    assert(seen.length === 0, 'progress before run() returned');
    const began = performance.now();
    await call;
    settled = true;
    assert(seen.at(-1) === tiles && seen.length > 1, `progress ${seen}`);
    assert(seen.length <= 2 + (performance.now() - began) / 40, `${seen.length} reports`);
    const oops = new Error('oops');
    const stop = (): void => {
      throw oops;
    };
    assert(
      (await rejection(rig.pool.run(rig.job({ kernel: 'count', tiles, loops: LOOPS }), { onProgress: stop }))) === oops,
      'progress threw',
    );
    assert(rig.cells(tiles).counts.includes(0), 'a throwing onProgress did not stop the job');
    assert((await rejection(rig.pool.run(rig.job({ kernel: 'count', tiles: 1 }), { onProgress: stop }))) === oops, 'last progress threw');
    await good(rig);
    rig.pool.dispose();
  }
}

async function traps({ module, blocks }: Lab): Promise<void> {
  for (const threads of [1, 2, 5]) {
    const rig = await createRig(module, threads);
    const ask = { kernel: 'trap', tiles: 60, trapTile: 30, loops: 5000 };
    const call = rig.pool.run(rig.job(ask));
    const behind = rig.pool.run(rig.job({ kernel: 'count', tiles: 5, slot: 1 }));
    const both = await Promise.all([rejection(call), rejection(behind)]);
    for (const error of both) assertTrap(error, '"trap"', 'tile 30');
    assertTrap(
      thrown(() => rig.pool.runSync(rig.job(ask))),
      'tile 30',
      "caller's thread",
    );
    rig.pool.runSync(rig.job({ kernel: 'count', tiles: 20 }));
    rig.assertOnce(20);
    await good(rig);
    assert(rig.pool.threads === threads, 'the pool shrank');
    if (threads > 1) assertTrap(await rejection(rig.pool.run(rig.job({ kernel: 'trapOnWorker', tiles: 40 }))), 'on worker', 'nreachable');
    await good(rig);
    if (threads > 1 && blocks)
      assertTrap(
        thrown(() => rig.pool.runSync(rig.job({ kernel: 'trapOnWorker', tiles: 40 }))),
        'on worker',
      );
    await good(rig);
    rig.pool.dispose();
  }
}

/** A worker that finishes nothing is taken for dead; nobody waits for it for ever. */
async function stall({ module, interrupts }: Lab): Promise<void> {
  const rig = await createRig(module, 2, { stallMs: 150 });
  assertTrap(await rejection(rig.pool.run(rig.job({ kernel: 'hangOnWorker', tiles: 2 }))), 'no tile was finished in 150 ms');
  await good(rig);
  assert(rig.pool.threads === (interrupts ? 2 : 1), `${rig.pool.threads} threads`);
  if (interrupts)
    assertTrap(
      thrown(() => rig.pool.runSync(rig.job({ kernel: 'hangOnWorker', tiles: 2 }))),
      'no tile was finished',
    );
  await good(rig);
  rig.pool.dispose();
}

/** Workers of the user's making; one ended behind the pool's back, in the middle of a job, between jobs, is missed and replaced. */
async function killed({ module, spawn, interrupts }: Lab): Promise<void> {
  const workers: WorkerLike[] = [];
  const worker = (): WorkerLike => {
    workers.push(spawn());
    return workers.at(-1) as WorkerLike;
  };
  const rig = await createRig(module, 2, { stallMs: 400, worker });
  await good(rig);
  const call = rejection(rig.pool.run(rig.job({ kernel: 'hangOnWorker', tiles: 2 })));
  setTimeout(() => workers[0]?.terminate(), 50);
  assertTrap(await call);
  await good(rig);
  assert(workers.length === (interrupts ? 2 : 1), `${workers.length} workers were made`);
  assert(rig.pool.threads === workers.length, `${rig.pool.threads} threads`);
  workers.at(-1)?.terminate();
  await good(rig);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await good(rig);
  rig.pool.dispose();
}

async function dispose({ module }: Lab): Promise<void> {
  for (const [threads, kernel] of [
    [1, 'count'],
    [3, 'count'],
    [2, 'hangOnWorker'],
  ] as const) {
    const rig = await createRig(module, threads);
    const calls = [rig.job({ kernel, tiles: 3000, loops: LOOPS }), rig.job({ kernel: 'count', tiles: 3, slot: 1 })].map((job) =>
      rig.pool.run(job),
    );
    const errors = Promise.all(calls.map(rejection));
    await new Promise((resolve) => setTimeout(resolve, 30));
    rig.pool.dispose();
    rig.pool.dispose();
    const later = rejection(rig.pool.run(rig.job({ kernel: 'count', tiles: 3, slot: 2 })));
    for (const error of [...(await errors), await later, thrown(() => rig.pool.runSync(rig.job({ kernel: 'count', tiles: 1, slot: 3 })))])
      assert(error instanceof RelposError && error.code === 'disposed', `expected disposed, got ${String(error)}`);
  }
}

/** Synchronous calls while an asynchronous one runs, from its callbacks and between its slices; both do all their tiles. */
async function mixed({ module }: Lab): Promise<void> {
  const rig = await createRig(module, 3);
  let inner = 0;
  const onProgress = (): void => {
    rig.pool.runSync({ ...rig.job({ kernel: 'count', tiles: 30, slot: 1 }), scratch: 400_000 });
    rig.assertOnce(30, 1);
    inner++;
  };
  const job = rig.job({ kernel: 'count', tiles: 1500, loops: LOOPS });
  let settled = false;
  const call = rig.pool.run(job, { onProgress }).finally(() => {
    settled = true;
  });
  while (!settled) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    onProgress();
  }
  await call;
  rig.assertOnce(1500, 0, 1);
  assert(inner > 2, `${inner} synchronous calls`);
  await rig.pool.run(rig.job({ kernel: 'count', tiles: 10 }));
  rig.pool.runSync(rig.job({ kernel: 'count', tiles: 10 }));
  rig.assertOnce(10);
  rig.pool.dispose();
}

async function growth({ module }: Lab): Promise<void> {
  const rig = await createRig(module, 2);
  for (let i = 0; i < 60; i++) {
    const far = rig.memory.grow(1) * 65536;
    const job = { ...rig.job({ kernel: 'count', tiles: 30, loops: 1000 }), scratch: far };
    if (i % 2) rig.pool.runSync(job);
    else await rig.pool.run(job);
    rig.assertOnce(30);
  }
  rig.pool.dispose();
}

/** Nothing is let through to a job of no tiles, and one thread is enough for one tile. */
async function trifles({ module }: Lab): Promise<void> {
  const rig = await createRig(module, 2);
  const seen: number[] = [];
  await rig.pool.run(rig.job({ kernel: 'count', tiles: 0 }), { onProgress: (done, total) => seen.push(done, total) });
  assert(seen.join() === '0,0', `progress ${seen}`);
  rig.pool.runSync(rig.job({ kernel: 'count', tiles: 0 }));
  await good(rig, 1);
  rig.pool.dispose();
}

/** Workers that cannot start leave a pool of one thread, and a reason. */
async function noWorkers({ module }: Lab): Promise<void> {
  const silent = { postMessage() {}, terminate() {}, addEventListener() {} };
  const late = await createRig(module, 2, { deadlineMs: 1, worker: () => silent });
  assert(late.pool.threads === 1 && /not ready within 1 ms/.test(late.reason ?? ''), `${late.pool.threads} threads: ${late.reason}`);
  await good(late);
  // (module (import "a" "a" (func)))
  const bytes = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 0x61, 1, 0x61, 0, 0];
  const unlinked = await createRig(module, 3, { module: new WebAssembly.Module(Uint8Array.from(bytes)) });
  assert(unlinked.pool.threads === 1 && /worker \d/.test(unlinked.reason ?? ''), `${unlinked.reason}`);
  await good(unlinked);
}

/** All cases by name. */
export const cases: Readonly<Record<string, (lab: Lab) => Promise<void>>> = {
  ...Object.fromEntries([1, 2, 3, 5, 16].map((threads) => [`every tile once on ${threads} threads`, (lab: Lab) => stress(lab, threads)])),
  'queued calls end in call order': order,
  'abort before, in the middle and in the queue': abort,
  'progress, and progress that throws': progress,
  'traps reject what is pending and the next call works': traps,
  'a worker that hangs': stall,
  'a worker that is killed': killed,
  'dispose with calls pending': dispose,
  'synchronous calls during an asynchronous one': mixed,
  'memory that grows between jobs': growth,
  'jobs of no tile and of one': trifles,
  'workers that do not start': noWorkers,
};
