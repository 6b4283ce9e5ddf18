/** A host that does not say when a thread has ended, as browsers do not: what a lost worker may write is lost until it has left by itself. */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { jobOf } from '../../src/threads/job.ts';
import { workerSource } from '../../src/wasm/generated/worker-source.ts';
import { compileKernels } from './kernels.ts';
import { createRig } from './rig.ts';

const module = await WebAssembly.compile(await compileKernels());

/** A worker with the interface of a page's, which goes on whatever `terminate` is told. */
class PageWorker extends EventTarget {
  readonly thread: Worker = new Worker(workerSource, { eval: true });

  constructor() {
    super();
    this.thread.on('message', (data) => this.dispatchEvent(new MessageEvent('message', { data })));
    this.thread.unref();
  }

  postMessage(message: unknown): void {
    this.thread.postMessage(message);
  }

  terminate(): void {}
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const within = async (ms: number, holds: () => boolean): Promise<boolean> => {
  for (let left = ms; left > 0 && !holds(); left -= 10) await sleep(10);
  return holds();
};

test('its outputs are lost and its memory in quarantine until it leaves', { timeout: 60_000 }, async () => {
  const workers: PageWorker[] = [];
  const worker = (): PageWorker => {
    workers.push(new PageWorker());
    return workers.at(-1) as PageWorker;
  };
  const rig = await createRig(module, 2, { worker });
  expect(rig.pool.threads).toBe(2);
  const losses: Promise<void>[] = [];
  const outputs = [{ lose: (over: Promise<void>) => void losses.push(over) }];
  const stage = { ...rig.stage({ kernel: 'holdOnWorker', tiles: 2 }), outputs };
  const job = jobOf([stage, { ...rig.stage({ kernel: 'count', tiles: 3, slot: 2 }), outputs }]);
  const flag = new Int32Array(rig.memory.buffer, stage.job + 24, 1);
  const controller = new AbortController();
  const call = rig.pool.run(job, { signal: controller.signal });
  expect(await within(20_000, () => flag[0] === 1)).toBe(true);
  controller.abort('enough');
  await expect(call).rejects.toBe('enough');

  expect(losses.length).toBe(1);
  expect(rig.reserve.quarantines.length).toBe(1);
  let over = 0;
  for (const promise of [...losses, ...rig.reserve.quarantines]) void promise.then(() => over++);
  await sleep(100);
  expect(over).toBe(0);
  expect(rig.pool.threads).toBe(1);
  expect(rig.pool.reason).toMatch(/may still run/);
  // The next call runs on one thread, and what it writes is not lost.
  await rig.pool.run(jobOf([{ ...rig.stage({ kernel: 'count', tiles: 20, slot: 1 }), outputs }]));
  rig.assertOnce(20, 1);
  expect(losses.length).toBe(1);

  Atomics.store(flag, 0, 2);
  expect(await within(20_000, () => over === 2)).toBe(true);
  expect(rig.pool.threads).toBe(2);
  await rig.pool.run(rig.job({ kernel: 'count', tiles: 20, slot: 1 }));
  rig.assertOnce(20, 1);
  rig.pool.dispose();
  for (const { thread } of workers) await thread.terminate();
});
