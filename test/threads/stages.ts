/** Jobs of many stages, and pools of many modules: cases of the suite, on every runtime. */
import { RelposError } from '../../src/arguments/errors.ts';
import { jobOf } from '../../src/threads/job.ts';
import type { Job } from '../../src/threads/types.ts';
import { chainOf, type Link } from './chain.ts';
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
  sleep,
  thrown,
  unlinkable,
} from './lab.ts';
import { createRig, kernelsOn, type Rig } from './rig.ts';

const flat = (numbers: readonly (readonly number[])[]): string => numbers.flat().join();

/** Stages of no tile, of one and of many, of quick tiles and slow ones, of one step and of several. */
function someLinks(next: (below: number) => number): Link[] {
  return Array.from({ length: 1 + next(12) }, () => ({
    tiles: [0, 1, 1, 2, 3, 5, 8, 1 + next(40)][next(8)] as number,
    steps: next(3) === 0 ? 1 + next(4) : 1,
    loops: next(3) === 0 ? next(4000) : 0,
  }));
}

/** Whoever runs a tile of a stage finds all that the stages before wrote. */
async function inOrder(lab: Lab, threads: number): Promise<void> {
  const rig = await createRig(lab.module, threads, { more: [lab.chain] });
  assertThreads(rig, threads);
  const next = random(31 * threads);
  for (let i = 0; i < Math.min(250, lab.jobs / 2); i++) {
    const chain = chainOf(rig, someLinks(next));
    const job = { ...chain.job, threads: Math.min(chain.job.threads, 1 + next(threads)) };
    if (next(2) === 0) rig.pool.runSync(job);
    else await rig.pool.run(job);
    chain.assertDone();
  }
  assertNothingTaken(rig);
  rig.pool.dispose();
}

/** As many stages as a model has, whose list lies beyond what the memory was when the workers started; the job runs again and again. */
async function hundreds({ module, chain: second }: Lab): Promise<void> {
  for (const threads of [1, 2, 3]) {
    const rig = await createRig(module, threads, { more: [second] });
    rig.reserve.at = rig.memory.grow(1) * 65536;
    const chain = chainOf(
      rig,
      Array.from({ length: 300 }, (_, n) => ({ tiles: 1 + (n % 5), loops: 100 * (n % 7) })),
    );
    for (let i = 0; i < 6; i++) {
      if (i % 2) rig.pool.runSync(chain.job);
      else await rig.pool.run(chain.job);
      chain.assertDone();
    }
    // Memory of the call's own is not taken again.
    await rig.pool.run({ ...chain.job, at: rig.memory.grow(1) * 65536 });
    chain.assertDone();
    assertNothingTaken(rig);
    rig.pool.dispose();
  }
}

async function progress({ module, chain: second }: Lab): Promise<void> {
  const rig = await createRig(module, 2, { more: [second] });
  const chain = chainOf(
    rig,
    [700, 0, 3, 900].map((tiles) => ({ tiles, loops: LOOPS })),
  );
  const seen: number[] = [];
  await rig.pool.run(chain.job, {
    onProgress(done, total) {
      assert(total === 1603 && done >= (seen.at(-1) ?? 0), `progress ${done} of ${total}`);
      seen.push(done);
    },
  });
  chain.assertDone();
  assert(seen.at(-1) === 1603 && seen.length > 2, `progress ${seen}`);
  rig.pool.dispose();
}

/** A trap in a stage names its kernel and its tile; no tile of a later stage has run, and the pool goes on. */
async function traps({ module, chain: second, blocks }: Lab): Promise<void> {
  for (const threads of [1, 2, 3, 5]) {
    const rig = await createRig(module, threads, { more: [second] });
    const failing = (job: Job): Promise<unknown> => rejection(rig.pool.run(job));
    for (const trapTile of [0, 5, 11]) {
      const links = [{ tiles: 6 }, { tiles: 12, trapTile, loops: 3000 }, { tiles: 12 }, { tiles: 1 }];
      for (const fails of [failing, async (job: Job) => thrown(() => rig.pool.runSync(job))]) {
        const chain = chainOf(rig, links);
        const behind = chainOf(rig, [{ tiles: 3 }, { tiles: 3 }]);
        const call = fails(chain.job);
        const next = rig.pool.run(behind.job);
        assertTrap(await call, 'kernel "chain"', `tile ${trapTile} `);
        await next;
        behind.assertDone();
        const [first, , ...later] = chain.wrote();
        assert(first?.every((x) => x > 0) === true, 'the stage before was not done');
        assert(
          later.flat().every((x) => x === 0),
          'a later stage ran',
        );
      }
    }
    if (threads > 1) {
      const stages = [
        { kernel: 'count', tiles: 9 },
        { kernel: 'trapOnWorker', tiles: 40, slot: 1 },
        { kernel: 'count', tiles: 9, slot: 2 },
      ];
      assertTrap(await failing(rig.job(...stages)), '"trapOnWorker"', 'on worker', 'nreachable');
      assert(
        rig.cells(9, 2).counts.every((count) => count === 0),
        'a later stage ran',
      );
      if (blocks)
        assertTrap(
          thrown(() => rig.pool.runSync(rig.job(...stages))),
          '"trapOnWorker"',
          'on worker',
        );
    }
    assertThreads(rig, threads);
    await good(rig);
    assertNothingTaken(rig);
    rig.pool.dispose();
  }
}

/** An abort in the middle of a stage: the call rejects when nobody works on it any more, and later stages have not begun. */
async function abort({ module, chain: second }: Lab): Promise<void> {
  for (const threads of [1, 2, 4]) {
    const rig = await createRig(module, threads, { more: [second] });
    const chain = chainOf(rig, [{ tiles: 20 }, { tiles: 3000, loops: LOOPS }, { tiles: 20 }]);
    const controller = new AbortController();
    const call = rejection(rig.pool.run(chain.job, { signal: controller.signal }));
    setTimeout(() => controller.abort('late'), 20);
    assert((await call) === 'late', 'aborted in the middle');
    const wrote = chain.wrote();
    assert(wrote[0]?.every((x) => x > 0) === true && wrote[2]?.every((x) => x === 0) === true, 'stages before and after');
    await sleep(10);
    assert(flat(chain.wrote()) === flat(wrote), 'a tile ran after the rejection');
    await good(rig);
    rig.pool.dispose();
  }
}

/** Who waits for a stage that takes long lets the event loop have its turn, and hears of an abort. */
async function patience({ module, interrupts }: Lab): Promise<void> {
  const rig = await createRig(module, 3);
  const stages = (kernel: string, loops: number) => [
    { kernel, tiles: 2, loops },
    { kernel: 'count', tiles: 9, slot: 1 },
  ];
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await rig.pool.run(rig.job(...stages('slowOnWorker', LOOPS * 500)));
  clearInterval(timer);
  assert(turns >= 2, `${turns} turns of the event loop`);
  rig.assertOnce(9, 1);
  if (!interrupts) return rig.pool.dispose();
  const controller = new AbortController();
  const call = rejection(rig.pool.run(rig.job(...stages('hangOnWorker', 0)), { signal: controller.signal }));
  await sleep(300);
  controller.abort('enough');
  assert((await call) === 'enough', 'the reason of the abort');
  assert(
    rig.cells(9, 1).counts.every((count) => count === 0),
    'a stage ran before the one before was done',
  );
  await Promise.race([rig.reserve.quarantines[0], sleep(10_000)]);
  await good(rig);
  assertThreads(rig, 3);
  rig.pool.dispose();
}

/**
 * Calls that are shorter than a slice, each made when the last one has resolved, let the event loop have its turn. A clock of the test's own goes
 * on by a millisecond at each look, so that no call is longer by chance.
 */
async function shortCalls({ module }: Lab): Promise<void> {
  const rig = await createRig(module, 1);
  await good(rig);
  let time = performance.now();
  const own = Object.getOwnPropertyDescriptor(performance, 'now');
  Object.defineProperty(performance, 'now', { value: () => ++time, configurable: true });
  let turned = false;
  setTimeout(() => {
    turned = true;
  }, 0);
  try {
    for (let n = 0; n < 5000 && !turned; n++) await rig.pool.run(rig.job({ kernel: 'count', tiles: 2, loops: 1000 }));
  } finally {
    if (own) Object.defineProperty(performance, 'now', own);
    else Reflect.deleteProperty(performance, 'now');
  }
  assert(turned, 'no timer had its turn');
  rig.pool.dispose();
}

/** A worker that ends in the middle of a stage, while the others wait for it: the call is lost, and they are not. */
async function lost({ module, spawn, interrupts, confirms }: Lab): Promise<void> {
  const { workers, worker } = factory(spawn);
  const rig = await createRig(module, 4, { worker });
  assertThreads(rig, 4);
  const kernel = interrupts ? 'hangOnWorker' : 'slowOnWorker';
  const stages = [
    { kernel: 'count', tiles: 5 },
    { kernel, tiles: 2, slot: 1, loops: LOOPS * 5000 },
    { kernel: 'count', tiles: 30, slot: 2 },
  ];
  const call = rejection(rig.pool.run(rig.job(...stages)));
  const behind = rig.pool.run(rig.job({ kernel: 'count', tiles: 40, slot: 3 }));
  // Which of them has the tile nobody knows: the others sleep.
  setTimeout(() => {
    for (const one of workers) one.terminate();
  }, 50);
  assertTrap(await call, `kernel "${kernel}"`);
  await behind;
  rig.assertOnce(40, 3);
  assert(
    rig.cells(30, 2).counts.every((count) => count === 0),
    'a later stage ran',
  );
  assertNothingTaken(rig);
  if (confirms) {
    await Promise.all(rig.reserve.quarantines);
    await good(rig);
    assertThreads(rig, 4);
  }
  rig.pool.dispose();
}

/** The same on a blocked caller, which asks the host while it waits for the stage. */
async function lostWhileBlocked({ module, spawn, tellsBlocked }: Lab): Promise<void> {
  if (!tellsBlocked) return;
  // A worker ends itself when it rings for the end of a stage while word 60 is set: it drew its tile, which nobody will ever do.
  const prelude = `{
    const { add } = Atomics;
    Atomics.add = (words, index, value) => {
      if (index === 17 && words[60]) process.exit(7);
      return add.call(Atomics, words, index, value);
    };
  }`;
  const { worker } = factory(spawn, prelude);
  const rig = await createRig(module, 3, { worker });
  assertThreads(rig, 3);
  const words = new Int32Array(rig.memory.buffer);
  words[64 / 4 + 60] = 1;
  const stages = [
    { kernel: 'untilWorker', tiles: 50 },
    { kernel: 'count', tiles: 9, slot: 1 },
  ];
  assertTrap(
    thrown(() => rig.pool.runSync(rig.job(...stages))),
    '"untilWorker"',
    'it was ended',
  );
  words[64 / 4 + 60] = 0;
  assert(
    rig.cells(9, 1).counts.every((count) => count === 0),
    'a later stage ran',
  );
  await Promise.all(rig.reserve.quarantines);
  await good(rig);
  assertThreads(rig, 3);
  rig.pool.dispose();
}

async function disposed({ module, chain: second }: Lab): Promise<void> {
  for (const threads of [1, 3]) {
    const rig = await createRig(module, threads, { more: [second] });
    const chain = chainOf(rig, [{ tiles: 20 }, { tiles: 3000, loops: LOOPS }, { tiles: 20 }]);
    const call = rejection(rig.pool.run(chain.job));
    await sleep(20);
    rig.pool.dispose();
    const error = await call;
    assert(error instanceof RelposError && error.code === 'disposed', `expected disposed, got ${String(error)}`);
    assert(chain.wrote()[2]?.every((x) => x === 0) === true, 'a later stage ran');
  }
}

async function unknown({ module }: Lab): Promise<void> {
  const rig = await createRig(module, 2);
  const job = rig.job({ kernel: 'count', tiles: 9 }, { kernel: 'chain', tiles: 9, slot: 1 });
  for (const error of [await rejection(rig.pool.run(job)), thrown(() => rig.pool.runSync(job))])
    assert(/no kernel is called "chain"/.test(String(error)), String(error));
  assert(
    rig.cells(9).counts.every((count) => count === 0),
    'an earlier stage ran',
  );
  assertNothingTaken(rig);
  rig.pool.dispose();
}

const extended = (rig: Rig, module: WebAssembly.Module): Promise<void> => rig.pool.extend(kernelsOn(rig.memory, module));

/** The caller's and the workers' instances of a second module: one thread waits for another one to come. */
const onWorkers = [{ tiles: 7 }, { tiles: 40, kernel: 'chainOnWorker' }] as const;

/** A pool takes the kernels of a second module, whose workers are others. */
async function extension({ module, chain: second, spawn, blocks }: Lab): Promise<void> {
  for (const threads of [1, 2, 3, 5]) {
    const { workers, worker } = factory(spawn);
    const rig = await createRig(module, threads, { worker });
    await good(rig);
    const extending = extended(rig, second);
    const alone = chainOf(rig, [{ tiles: 7 }, { tiles: 40, loops: LOOPS * 2 }]);
    rig.pool.runSync(alone.job);
    alone.assertDone();
    await extending;
    assertThreads(rig, threads);
    assert(workers.length === 2 * (threads - 1), `${workers.length} workers were made`);
    for (let i = 0; i < 3; i++) {
      const chain = chainOf(rig, threads > 1 ? onWorkers : [{ tiles: 7 }, { tiles: 40 }]);
      if (i === 2 && blocks) rig.pool.runSync(chain.job);
      else await rig.pool.run(chain.job);
      chain.assertDone();
    }
    await good(rig);
    const clash = await rejection(extended(rig, second));
    assert(/two kernels are called "chain/.test(String(clash)), String(clash));
    await good(rig);
    assert(workers.length === 2 * (threads - 1), `${workers.length} workers were made`);
    assert(rig.reserve.quarantines.length === 0 || (await Promise.all(rig.reserve.quarantines)).length > 0, 'memory stays in quarantine');
    rig.pool.dispose();
  }
}

/** Calls before, meanwhile and after run in turn and give what they always give; synchronous ones do their tiles alone. */
async function extensionUnderLoad({ module, chain: second }: Lab): Promise<void> {
  const rig = await createRig(module, 3);
  const ended: string[] = [];
  const counted = (slot: number, tiles = 60): Promise<void> =>
    rig.pool.run(rig.job({ kernel: 'count', tiles, slot, loops: LOOPS })).then(() => {
      rig.assertOnce(tiles, slot, slot + 1);
      ended.push(`${slot}`);
    });
  const calls: Promise<unknown>[] = [counted(0, 300), counted(1)];
  await sleep(5);
  calls.push(extended(rig, second).then(() => ended.push('extended')));
  calls.push(counted(2));
  const chains = [0, 1].map(() => chainOf(rig, onWorkers));
  for (const { job, assertDone } of chains) calls.push(rig.pool.run(job).then(assertDone));
  const at = rig.reserve.at;
  for (let running = true; running; await sleep(1)) {
    rig.reserve.at = 400_000;
    rig.pool.runSync(rig.job({ kernel: 'count', tiles: 30, slot: 5 }));
    rig.reserve.at = at;
    rig.assertOnce(30, 5);
    running = ended.length < 4;
  }
  await Promise.all(calls);
  assert(ended.join() === '0,1,extended,2', `ended in the order ${ended}`);
  assertThreads(rig, 3);
  await good(rig);
  rig.pool.dispose();
}

/** Modules one after another, at once, and from the beginning. */
async function extensions({ module, chain: second, spawn }: Lab): Promise<void> {
  const renamed = (rig: Rig, name: string) => {
    const { module: bytes, kernels } = kernelsOn(rig.memory, second);
    return { module: bytes, kernels: { [name]: kernels[name], constant: 7 } };
  };
  const { workers, worker } = factory(spawn);
  const rig = await createRig(module, 3, { worker });
  await Promise.all([rig.pool.extend(renamed(rig, 'chain')), rig.pool.extend(renamed(rig, 'chainOnWorker'))]);
  assert([4].includes(workers.length), `${workers.length} workers were made`);
  const chain = chainOf(rig, onWorkers);
  await rig.pool.run(chain.job);
  chain.assertDone();
  await good(rig);
  rig.pool.dispose();
  const whole = factory(spawn);
  const both = await createRig(module, 3, { worker: whole.worker, more: [second] });
  const other = chainOf(both, onWorkers);
  await both.pool.run(other.job);
  other.assertDone();
  assert(whole.workers.length === 2, `${whole.workers.length} workers were made`);
  both.pool.dispose();
}

/** A pool that is disposed while it is given a module, one that was, and one whose workers cannot be had again. */
async function extensionFails({ module, chain: second }: Lab): Promise<void> {
  for (const wait of [0, 5]) {
    const rig = await createRig(module, 3);
    const call = rejection(extended(rig, second));
    if (wait) await sleep(wait);
    else await undefined;
    rig.pool.dispose();
    for (const error of [await call, await rejection(extended(rig, second))])
      assert(error instanceof RelposError && error.code === 'disposed', `expected disposed, got ${String(error)}`);
  }
  const warnings: string[] = [];
  const rig = await createRig(module, 3, { logger: { warn: (text) => warnings.push(text) } });
  assertThreads(rig, 3);
  await rig.pool.extend(kernelsOn(rig.memory, second, unlinkable()));
  assertThreads(rig, 1);
  assert(warnings.length === 1 && /one thread from here on: .*worker \d/.test(warnings[0] ?? ''), `${warnings}`);
  const chain = chainOf(rig, [{ tiles: 7 }, { tiles: 9 }]);
  await rig.pool.run(chain.job);
  chain.assertDone();
  rig.pool.dispose();
}

/** Nothing to do is done, alone or among others. */
async function trifles({ module }: Lab): Promise<void> {
  const rig = await createRig(module, 2);
  for (const job of [jobOf([]), rig.job({ kernel: 'count', tiles: 0 }, { kernel: 'count', tiles: 0, slot: 1 })]) {
    const seen: number[] = [];
    await rig.pool.run(job, { onProgress: (done, total) => seen.push(done, total) });
    // Once at its end, and before that where the machine is slow.
    assert(/^0,0(,0,0)*$/.test(seen.join()), `progress ${seen}`);
    rig.pool.runSync(job);
  }
  await good(rig);
  assertNothingTaken(rig);
  rig.pool.dispose();
}

export const stageCases: Readonly<Record<string, (lab: Lab) => Promise<void>>> = {
  ...Object.fromEntries([1, 2, 3, 5].map((threads) => [`stages in order on ${threads} threads`, (lab: Lab) => inOrder(lab, threads)])),
  'hundreds of stages': hundreds,
  'progress through stages': progress,
  'a trap in the middle of the stages': traps,
  'an abort in the middle of the stages': abort,
  'a stage that takes long': patience,
  'short calls, one after another': shortCalls,
  'a worker lost in the middle of the stages': lost,
  'a worker lost in a stage that a blocked caller waits for': lostWhileBlocked,
  'dispose in the middle of the stages': disposed,
  'a stage of an unknown kernel': unknown,
  'stages of no tile': trifles,
  'a second module': extension,
  'a second module under load': extensionUnderLoad,
  'modules one after another and at once': extensions,
  'a second module that comes too late': extensionFails,
};
