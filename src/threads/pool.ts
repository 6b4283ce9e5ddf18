import type { WorkerFactory } from '../platform/handle.ts';
import { cores } from '../platform/host.ts';
import { canShareMemory, isShared } from '../platform/sharing.ts';
import type { WasmMemory, WasmModule } from '../platform/types.ts';
import { MAX_WORKERS } from './gate.ts';
import { TilePool } from './tile-pool.ts';
import type { Logger, Pool, Reserve, TileKernel } from './types.ts';

/** What a pool is made from. */
export interface PoolOptions {
  /** Shared memory, for a pool of more than one thread. */
  readonly memory: WasmMemory;
  readonly module: WasmModule;
  /** Where scratch comes from. */
  readonly reserve: Reserve;
  /** Byte offset of `CONTROL_BYTES` reserved bytes, 64-byte aligned. */
  readonly control: number;
  /** Threads wanted, the caller's included. */
  readonly threads: number;
  /** Exports of the caller's own instance of `module`. */
  readonly kernels: Readonly<Record<string, unknown>>;
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
  const { memory, threads, worker, module, control, reserve } = options;
  const workers = Math.min(threads - 1, MAX_WORKERS);
  if (workers < 1) return createSoloPool(options.kernels, reserve);
  const sharing = canShareMemory();
  const obstacle = sharing.ok ? (isShared(memory) ? undefined : 'the memory is not shared') : sharing.reason;
  if (obstacle !== undefined) return createSoloPool(options.kernels, reserve, obstacle);
  const kernels = kernelsOf(options.kernels);
  // Spinning pays only while every thread has a core of its own.
  const spins = workers < cores() ? WORKER_SPINS : 0;
  const start = { memory, module, control, kernels: [...kernels.keys()], spins };
  const { deadlineMs = 5000, logger } = options;
  const pool = new TilePool(kernels, reserve, { plan: { size: workers, start, factory: worker, deadlineMs }, logger });
  await pool.start();
  return pool;
}

/** A pool of the calling thread alone, and why it is. */
export function createSoloPool(kernels: Readonly<Record<string, unknown>>, reserve: Reserve, reason?: string): Pool {
  return new TilePool(kernelsOf(kernels), reserve, { reason });
}

function kernelsOf(exports: Readonly<Record<string, unknown>>): Map<string, TileKernel> {
  return new Map(Object.entries(exports).filter((entry): entry is [string, TileKernel] => typeof entry[1] === 'function'));
}
