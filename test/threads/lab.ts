/** What the cases of the suite work with: plain functions that throw. */
import { RelposError } from '../../src/arguments/errors.ts';
import type { WorkerLike } from '../../src/platform/handle.ts';
import type { Rig } from './rig.ts';

/** What a case gets to work with. */
export interface Lab {
  readonly module: WebAssembly.Module;
  /** A second one, with the kernels of a chain of stages. */
  readonly chain: WebAssembly.Module;
  /** Jobs per stress case. */
  readonly jobs: number;
  /** Whether this thread may block, so that synchronous calls use workers. */
  readonly blocks: boolean;
  /** Whether the host interrupts a worker in the middle of a tile, and says so. */
  readonly interrupts: boolean;
  /** Whether the host says when the thread of a worker has ended: a pool that lost one can start others. */
  readonly confirms: boolean;
  /** Whether a blocked thread can ask the host if a worker was ended. */
  readonly tellsBlocked: boolean;
  /** Starts a worker as a user's own factory would, after some code of the user's. */
  readonly spawn: (prelude: string) => WorkerLike;
}

export const LOOPS = 400_000; // A tenth of a millisecond or so.

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert(false, 'expected a rejection'),
    (error: unknown) => error,
  );
}

export function thrown(call: () => void): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('expected an error');
}

export function assertTrap(error: unknown, ...parts: string[]): void {
  assert(error instanceof RelposError && error.code === 'kernel-trap', `expected a kernel trap, got ${String(error)}`);
  for (const part of parts) assert(error.message.includes(part), `"${error.message}" does not say "${part}"`);
}

/** Runs a job that must go well, and checks it. */
export async function good(rig: Rig, tiles = 50): Promise<void> {
  await rig.pool.run(rig.job({ kernel: 'count', tiles, loops: 1000 }));
  rig.assertOnce(tiles);
}

/** A small generator: the same tests on every runtime. */
export function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function settled(promise: Promise<unknown>): Promise<boolean> {
  const no = {};
  return (
    (await Promise.race([
      promise.then(
        () => 0,
        () => 0,
      ),
      sleep(0).then(() => no),
    ])) !== no
  );
}

/** A user's factory whose workers the test can end behind the pool's back. */
export function factory(spawn: (prelude: string) => WorkerLike, prelude = ''): { workers: WorkerLike[]; worker: () => WorkerLike } {
  const workers: WorkerLike[] = [];
  const worker = (): WorkerLike => {
    workers.push(spawn(prelude));
    return workers.at(-1) as WorkerLike;
  };
  return { workers, worker };
}

export function assertThreads({ pool }: Rig, threads: number): void {
  assert(pool.threads === threads, `${pool.threads} threads for ${threads}: ${pool.reason}`);
}

export function assertNothingTaken({ reserve }: Rig): void {
  assert(reserve.taken === 0, `${reserve.taken} scratches are taken`);
}

/** (module (import "a" "a" (func))): a worker that does start cannot instantiate it. */
export const unlinkable = (): WebAssembly.Module =>
  new WebAssembly.Module(Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 0x61, 1, 0x61, 0, 0]));
