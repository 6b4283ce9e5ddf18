import type { WorkerFactory } from '../platform/handle.ts';
import { cores } from '../platform/host.ts';
import { canShareMemory, isShared } from '../platform/sharing.ts';
import type { WasmMemory } from '../platform/types.ts';
import { MAX_WORKERS } from './gate.ts';
import { TilePool } from './tile-pool.ts';
import type { KernelModule, Logger, Pool, Reserve } from './types.ts';

/** What starts workers: a page or a function that has one thread does without, and an entry for hosts that have no others does not name it. */
export const loadWorkers = (): Promise<typeof import('./worker-group.ts')> => import('./worker-group.ts');

/** What a pool is made from. */
export interface PoolOptions {
  /** Shared memory, for a pool of more than one thread. */
  readonly memory: WasmMemory;
  readonly modules: readonly KernelModule[];
  /** Where scratch comes from. */
  readonly reserve: Reserve;
  /** Byte offset of `CONTROL_BYTES` reserved bytes, 64-byte aligned. */
  readonly control: number;
  /** Loads what starts workers. */
  readonly load: typeof loadWorkers;
  /** Threads wanted, the caller's included. */
  readonly threads: number;
  /** Starts the workers where the page's policies forbid others. */
  readonly worker?: WorkerFactory | undefined;
  /** Milliseconds that workers have to start, after which the pool is of those that have; 5000 unless given: a loaded machine is slow. */
  readonly deadlineMs?: number | undefined;
  readonly logger?: Logger | undefined;
}

/** Turns that a worker spins for the next job before it sleeps: some tens of microseconds. */
const WORKER_SPINS = 8192;

/**
 * Starts the workers and resolves when all have answered. If some or all of them cannot be had, resolves to a pool of fewer threads, at
 * least the caller's, which says why; never rejects.
 */
export async function createPool(options: PoolOptions): Promise<Pool> {
  const { memory, threads, worker, modules, control, reserve, load } = options;
  const workers = Math.min(threads - 1, MAX_WORKERS);
  if (workers < 1) return createSoloPool(modules, reserve);
  const sharing = canShareMemory();
  const obstacle = sharing.ok ? (isShared(memory) ? undefined : 'the memory is not shared') : sharing.reason;
  if (obstacle !== undefined) return createSoloPool(modules, reserve, obstacle);
  // Spinning pays only while every thread has a core of its own.
  const spins = workers < cores() ? WORKER_SPINS : 0;
  const start = { memory, modules: [], control, spins };
  const { deadlineMs = 5000, logger } = options;
  const plan = { size: workers, start, factory: worker, deadlineMs, load };
  const pool = new TilePool(modules, reserve, { plan, logger });
  await pool.start();
  return pool;
}

/** A pool of the calling thread alone, and why it is. */
export function createSoloPool(modules: readonly KernelModule[], reserve: Reserve, reason?: string): Pool {
  return new TilePool(modules, reserve, { reason });
}
