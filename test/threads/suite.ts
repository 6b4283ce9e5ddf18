/** What must hold of a pool on every runtime: plain functions that throw, so that any runner and any page can call them. */
import { RelposError } from '../../src/arguments/errors.ts';
import type { WorkerLike } from '../../src/platform/handle.ts';
import {
  assert,
  assertNothingTaken,
  assertThreads,
  assertTrap,
  factory,
  good,
  type Lab,
  LOOPS,
  random,
  rejection,
  settled,
  sleep,
  thrown,
  unlinkable,
} from './lab.ts';
import { createRig } from './rig.ts';
import { stageCases } from './stages.ts';

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
    assertTrap(await rejection(call), '"trap"', 'tile 30');
    await behind;
    rig.assertOnce(5, 1);
    assertTrap(
      thrown(() => rig.pool.runSync(rig.job(ask))),
      'tile 30',
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

/** Nobody is taken for dead because a tile takes long; who has no more patience aborts, and the rest goes on. */
async function hang({ module, interrupts }: Lab): Promise<void> {
  const rig = await createRig(module, 2);
  const controller = new AbortController();
  const call = rig.pool.run(rig.job({ kernel: 'hangOnWorker', tiles: 2 }), { signal: controller.signal });
  const behind = rig.pool.run(rig.job({ kernel: 'count', tiles: 40, slot: 1 }));
  const failure = rejection(call);
  await sleep(1500);
  assert(!(await settled(failure)) && rig.reserve.quarantines.length === 0, 'a worker that works was given up');
  controller.abort('enough');
  assert((await failure) === 'enough', 'the reason of the abort');
  await behind;
  rig.assertOnce(40, 1);
  assertNothingTaken(rig);
  const { quarantines } = rig.reserve;
  assert([1].includes(quarantines.length), `${quarantines.length} quarantines`);
  // Chromium gives a worker two seconds before it interrupts it.
  if (interrupts) await Promise.race([quarantines[0], sleep(10_000)]);
  assert((await settled(quarantines[0] as Promise<void>)) === interrupts, 'whether the worker is over');
  await good(rig);
  assert(rig.pool.threads === (interrupts ? 2 : 1), `${rig.pool.threads} threads`);
  assert(interrupts || /may still run/.test(rig.reason ?? ''), `reason ${rig.reason}`);
  rig.pool.dispose();
}

/** A worker ended in the middle of a job costs that job alone; one ended between jobs costs nothing. Both are replaced. */
async function killed({ module, spawn, confirms, interrupts }: Lab): Promise<void> {
  const { workers, worker } = factory(spawn);
  const rig = await createRig(module, 2, { worker });
  await good(rig);
  const kernel = interrupts ? 'hangOnWorker' : 'slowOnWorker';
  // Nearly all that 32 bits hold: the worker is still at it when its memory is looked at, on fast machines too.
  const call = rejection(rig.pool.run(rig.job({ kernel, tiles: 2, loops: LOOPS * 10_000 })));
  const behind = rig.pool.run(rig.job({ kernel: 'count', tiles: 40, slot: 1 }));
  setTimeout(() => workers[0]?.terminate(), 50);
  assertTrap(await call, 'it ');
  await behind;
  rig.assertOnce(40, 1);
  if (!confirms) {
    assert(rig.reserve.quarantines.length === 1 && !(await settled(rig.reserve.quarantines[0] as Promise<void>)), 'memory is handed out');
    assert(rig.pool.threads === 1, `${rig.pool.threads} threads`);
    await good(rig);
    rig.pool.dispose();
    return;
  }
  for (const over of rig.reserve.quarantines) assert(await settled(over), 'the worker is over');
  assertThreads(rig, 2);
  assert(workers.length === 2, `${workers.length} workers were made`);
  workers.at(-1)?.terminate();
  await good(rig);
  // A browser takes its time to end a thread that sleeps.
  for (let left = 100; left > 0 && [2].includes(workers.length); left--) {
    await sleep(100);
    await good(rig);
  }
  assertThreads(rig, 2);
  assert([3].includes(workers.length), `${workers.length} workers were made`);
  rig.pool.dispose();
}

/** A worker told to end that leaves first: a browser drops what it says in leaving, and the job is done all the same. */
async function leavesLast({ module, spawn }: Lab): Promise<void> {
  const { workers, worker } = factory(spawn);
  const rig = await createRig(module, 2, { worker });
  assertThreads(rig, 2);
  const job = rig.job({ kernel: 'slowOnWorker', tiles: 2, loops: LOOPS * 100 });
  const call = rig.pool.run(job).catch((error: unknown) => assertTrap(error, 'it '));
  setTimeout(() => workers[0]?.terminate(), 1);
  await call;
  await good(rig);
  rig.pool.dispose();
}

/** A worker that ends itself in the middle of a job: `process.exit` when it draws its second tile while word 60 is set. */
async function suicide({ module, spawn, confirms, tellsBlocked }: Lab): Promise<void> {
  const prelude = `{
    const { add } = Atomics;
    let draws = 0;
    Atomics.add = (words, index, value) => {
      if (index === 16 && words[60] && ++draws === 2) process.exit(7);
      return add.call(Atomics, words, index, value);
    };
  }`;
  const { worker } = factory(spawn, prelude);
  const rig = await createRig(module, 2, { worker });
  assert(rig.pool.threads === 2, `${rig.reason}`);
  const arm = (on: number): void => {
    new Int32Array(rig.memory.buffer)[64 / 4 + 60] = on;
  };
  const alone = async (): Promise<void> => {
    await rig.pool.run(rig.job({ kernel: 'count', tiles: 20, threads: 1 }));
    rig.assertOnce(20);
  };
  const ask = { kernel: 'untilWorker', tiles: 50, loops: LOOPS };
  arm(1);
  assertTrap(await rejection(rig.pool.run(rig.job(ask))), 'exited with code 7');
  arm(0);
  await alone();
  assertNothingTaken(rig);
  if (confirms) await Promise.all(rig.reserve.quarantines);
  else assert([1].includes(rig.pool.threads) && rig.reserve.quarantines.length === 1, 'memory is handed out');
  if (tellsBlocked) {
    // Replaced, then lost while this thread is blocked.
    await good(rig);
    arm(1);
    assertTrap(
      thrown(() => rig.pool.runSync(rig.job(ask))),
      'it was ended',
    );
    assert(rig.reserve.quarantines.length >= 1, 'nothing in quarantine while the thread may run');
    arm(0);
    await rig.reserve.quarantines.at(-1);
    await good(rig);
    assert(rig.pool.threads === 2, 'the worker was not replaced');
  }
  rig.pool.dispose();
}

/** Scratch is taken when a job runs; if there is none then, that call alone fails. */
async function scratch({ module }: Lab): Promise<void> {
  const rig = await createRig(module, 2);
  const oops = new Error('no memory');
  const calls = [0, 1, 2].map((slot) => rig.pool.run(rig.job({ kernel: 'count', tiles: 20, slot, loops: LOOPS })));
  assertNothingTaken(rig);
  await calls[0];
  assert(rig.reserve.taken <= 1, `${rig.reserve.taken} scratches are taken`);
  await Promise.all(calls);
  rig.reserve.error = oops;
  const failing = rejection(rig.pool.run(rig.job({ kernel: 'count', tiles: 20 })));
  assert((await failing) === oops, 'no scratch');
  assert(thrown(() => rig.pool.runSync(rig.job({ kernel: 'count', tiles: 20 }))) === oops, 'no scratch for a synchronous call');
  assert(
    rig.cells(20).counts.every((count) => count === 0),
    'a tile ran without scratch',
  );
  rig.reserve.error = undefined;
  await good(rig);
  assertNothingTaken(rig);
  rig.pool.dispose();
}

/** A tile in steps: the caller pauses and hears of an abort between two of them, in the middle of a tile. */
async function steps({ module }: Lab): Promise<void> {
  for (const threads of [1, 3]) {
    const rig = await createRig(module, threads);
    const ask = { kernel: 'countSteps', tiles: 4, steps: 12, loops: LOOPS * 4 };
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await rig.pool.run(rig.job(ask));
    assert(
      rig.cells(4).counts.every((count) => count === 12),
      `steps ${rig.cells(4).counts}`,
    );
    assert(turns >= 2, `${turns} turns of the event loop`);
    clearInterval(timer);
    rig.pool.runSync(rig.job(ask));
    assert(
      rig.cells(4).counts.every((count) => count === 12),
      `steps ${rig.cells(4).counts}`,
    );
    const controller = new AbortController();
    const call = rejection(rig.pool.run(rig.job({ ...ask, tiles: threads, steps: 4000 }), { signal: controller.signal }));
    setTimeout(() => controller.abort('now'), 20);
    assert((await call) === 'now', 'aborted in the middle of a tile');
    assert(
      rig.cells(threads).counts.every((count) => count < 4000),
      'an aborted tile ran to its end',
    );
    const before = rig.cells(threads).counts.join();
    await sleep(20);
    assert(rig.cells(threads).counts.join() === before, 'a step ran after the rejection');
    await good(rig);
    rig.pool.dispose();
  }
}

/** Whatever a user's callbacks and the host do, every call settles. */
async function contained({ module, spawn }: Lab): Promise<void> {
  const rig = await createRig(module, 2);
  const oops = new Error('oops');
  const throwing = (name: string): AbortSignal => {
    const signal = { aborted: false, reason: undefined, addEventListener() {}, removeEventListener() {} };
    Object.defineProperty(signal, name, {
      get() {
        throw oops;
      },
    });
    return signal as unknown as AbortSignal;
  };
  for (const name of ['aborted', 'addEventListener']) {
    const error = await (async () => rig.pool.run(rig.job({ kernel: 'count', tiles: 5 }), { signal: throwing(name) }))().catch((e) => e);
    assert(error === oops, `${name}: ${error}`);
  }
  await rig.pool.run(rig.job({ kernel: 'count', tiles: 5 }), { signal: throwing('removeEventListener') });
  rig.assertOnce(5);
  await good(rig);
  const { setImmediate } = globalThis;
  if (setImmediate) {
    globalThis.setImmediate = (() => {
      throw new Error('not here');
    }) as unknown as typeof setImmediate;
    try {
      await rig.pool.run(rig.job({ kernel: 'count', tiles: 400, loops: LOOPS }));
      rig.assertOnce(400);
    } finally {
      globalThis.setImmediate = setImmediate;
    }
  }
  rig.pool.dispose();
  // The workers cannot be replaced, and the logger that is to say so throws.
  const { workers, worker } = factory(spawn);
  const logger = {
    warn() {
      throw oops;
    },
  };
  let allowed = true;
  const once = (): WorkerLike => {
    if (!allowed) throw new Error('no more workers');
    allowed = false;
    return worker();
  };
  const loud = await createRig(module, 2, { worker: once, logger });
  await good(loud);
  workers[0]?.terminate();
  await sleep(50);
  await good(loud);
  loud.pool.dispose();
}

/** The pool is of as many workers as start. */
async function fewer({ module, spawn }: Lab): Promise<void> {
  const silent = { postMessage() {}, terminate() {}, addEventListener() {} };
  let made = 0;
  const worker = (): WorkerLike => (++made % 2 ? spawn('') : silent);
  const rig = await createRig(module, 6, { worker, deadlineMs: 3000 });
  assert(rig.pool.threads === 4, `${rig.pool.threads} threads: ${rig.reason}`);
  assert(rig.reason === '2 of 5 workers were not ready within 3000 ms', `reason ${rig.reason}`);
  await good(rig, 200);
  rig.pool.dispose();
  made = 0;
  const limited = (): WorkerLike => {
    if (++made > 2) throw new Error('the host starts no more');
    return spawn('');
  };
  const small = await createRig(module, 9, { worker: limited });
  assert(small.pool.threads === 3, `${small.pool.threads} threads: ${small.reason}`);
  assert(/the host starts no more/.test(small.reason ?? ''), `reason ${small.reason}`);
  await good(small, 200);
  small.pool.dispose();
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
    const { at } = rig.reserve;
    rig.reserve.at = 400_000;
    rig.pool.runSync(rig.job({ kernel: 'count', tiles: 30, slot: 1 }));
    rig.reserve.at = at;
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
    rig.reserve.at = far;
    const job = rig.job({ kernel: 'count', tiles: 30, loops: 1000 });
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
  // Once at its end, and before that where the machine is slow.
  assert(/^0,0(,0,0)*$/.test(seen.join()), `progress ${seen}`);
  rig.pool.runSync(rig.job({ kernel: 'count', tiles: 0 }));
  await good(rig, 1);
  rig.pool.dispose();
}

/** Workers that cannot start leave a pool of one thread, and a reason. */
async function noWorkers({ module }: Lab): Promise<void> {
  const silent = { postMessage() {}, terminate() {}, addEventListener() {} };
  const late = await createRig(module, 2, { deadlineMs: 1, worker: () => silent, given: unlinkable() });
  assert(late.pool.threads === 1 && /not ready within 1 ms/.test(late.reason ?? ''), `${late.pool.threads} threads: ${late.reason}`);
  await good(late);
  const unlinked = await createRig(module, 3, { given: unlinkable() });
  assert(unlinked.pool.threads === 1 && /worker \d/.test(unlinked.reason ?? ''), `${unlinked.reason}`);
  await good(unlinked);
}

/** All cases by name. */
export const cases: Readonly<Record<string, (lab: Lab) => Promise<void>>> = {
  ...Object.fromEntries([1, 2, 3, 5, 16].map((threads) => [`every tile once on ${threads} threads`, (lab: Lab) => stress(lab, threads)])),
  'queued calls end in call order': order,
  'abort before, in the middle and in the queue': abort,
  'progress, and progress that throws': progress,
  'a trap rejects its own call alone': traps,
  'a worker that hangs': hang,
  'a worker that is killed': killed,
  'a worker that is told to end and leaves': leavesLast,
  'a worker that ends itself': suicide,
  'scratch is taken by who runs': scratch,
  'a tile in steps': steps,
  'callbacks that throw': contained,
  'as many workers as start': fewer,
  'dispose with calls pending': dispose,
  'synchronous calls during an asynchronous one': mixed,
  'memory that grows between jobs': growth,
  'jobs of no tile and of one': trifles,
  'workers that do not start': noWorkers,
  ...stageCases,
};
