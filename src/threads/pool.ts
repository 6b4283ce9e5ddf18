import type { WorkerFactory } from '../platform/handle.ts';
import { cores } from '../platform/host.ts';
import { canShareMemory, isShared } from '../platform/sharing.ts';
import { MAX_WORKERS } from './gate.ts';
import { TilePool } from './tile-pool.ts';
import type { Logger, Pool, TileKernel } from './types.ts';

/** What a pool is made from. */
export interface PoolOptions {
  /** Shared memory, for a pool of more than one thread. */
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  /** Byte offset of `CONTROL_BYTES` reserved bytes, 64-byte aligned. */
  readonly control: number;
  /** Threads wanted, the caller's included. */
  readonly threads: number;
  /** Exports of the caller's own instance of `module`. */
  readonly kernels: WebAssembly.Exports;
  /** Starts the workers where the page's policies forbid others. */
  readonly worker?: WorkerFactory | undefined;
  /** Milliseconds within which all workers must have started; 5000 unless given, since a loaded machine is slow to start threads. */
  readonly deadlineMs?: number | undefined;
  /** Milliseconds without a finished tile after which a worker is taken for dead; 30000 unless given. */
  readonly stallMs?: number | undefined;
  readonly logger?: Logger | undefined;
}

/** Turns that a worker spins for the next job before it sleeps: some tens of microseconds. */
const WORKER_SPINS = 8192;

/**
 * Starts the workers and resolves when all have answered. If they cannot be had, resolves to a pool of the caller's thread alone with the
 * reason in words; never rejects.
 */
export async function createPool(options: PoolOptions): Promise<{ pool: Pool; reason?: string }> {
  const { memory, threads, worker, module, control } = options;
  const workers = Math.min(threads - 1, MAX_WORKERS);
  if (workers < 1) return { pool: createSoloPool(options.kernels) };
  const sharing = canShareMemory();
  const obstacle = sharing.ok ? (isShared(memory) ? undefined : 'the memory is not shared') : sharing.reason;
  if (obstacle !== undefined) return { pool: createSoloPool(options.kernels), reason: obstacle };
  const kernels = kernelsOf(options.kernels);
  // Spinning pays only while every thread has a core of its own.
  const spins = workers < cores() ? WORKER_SPINS : 0;
  const start = { memory, module, control, kernels: [...kernels.keys()], spins };
  const { deadlineMs = 5000, stallMs = 30_000, logger } = options;
  const pool = new TilePool(kernels, { size: workers, start, factory: worker, deadlineMs, stallMs }, logger);
  const reason = await pool.start();
  return reason === undefined ? { pool } : { pool, reason };
}

/** A pool of the calling thread alone. */
export function createSoloPool(kernels: WebAssembly.Exports): Pool {
  return new TilePool(kernelsOf(kernels));
}

function kernelsOf(exports: WebAssembly.Exports): Map<string, TileKernel> {
  return new Map(Object.entries(exports).filter((entry): entry is [string, TileKernel] => typeof entry[1] === 'function'));
}
