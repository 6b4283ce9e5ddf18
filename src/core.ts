// What stands behind an engine: memory, kernels and threads, and their end. Calls are the engine's; a part of the package that makes calls of
// its own does without an engine, whose calls are much to load.

import { ended } from './arguments/errors.ts';
import type { Arena } from './memory/arena.ts';
import { keepParts } from './parts.ts';
import type { Context } from './plan/context.ts';
import type { Arithmetic } from './plan/plan.ts';
import { Tables } from './plan/table-cache.ts';
import type { Pool } from './threads/types.ts';
import type { Kernels } from './wasm/kernels.ts';
import type { Precision } from './wasm/variants.ts';

/** What the host gives. */
export interface Capabilities {
  readonly runtime: string;
  readonly version: string;
  readonly simd: boolean;
  /** True if the engine runs the relaxed-SIMD kernels, and this host fuses. */
  readonly relaxedSimd: boolean;
  /** Threads at work, the caller's included. */
  readonly threads: number;
  readonly requestedThreads: number;
  /** Why there are fewer threads than requested, or why `precision: 'relaxed'` runs the reproducible kernels. */
  readonly reason?: string;
}

/** What an engine is made of. */
export interface Made {
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly pool: Pool;
  /** What of the capabilities never changes; `reason` of these. */
  readonly host: Omit<Capabilities, 'threads'>;
  readonly precision: Precision;
}

/** What calls need, as long as the engine lives. */
export function contextOf({ arena, kernels, pool }: Made, alive: () => void): Context {
  const live = (): Kernels => {
    alive();
    return context.kernels;
  };
  const math: Arithmetic = {
    exp: (x) => live().exp(x),
    log: (x) => live().log(x),
    pow: (x, y) => live().pow(x, y),
    sin: (x) => live().sin(x),
    cos: (x) => live().cos(x),
    tanh: (x) => live().tanh(x),
  };
  const context = {
    arena,
    kernels,
    alive,
    math,
    tables: undefined as unknown as Tables,
    get threads() {
      return pool.threads;
    },
  };
  context.tables = new Tables(context);
  return context;
}

/** Ends the workers and drops the memory. */
export function endCore(context: Context, pool: Pool): void {
  pool.dispose();
  // Tensors and caches that somebody keeps hold the context: it must not hold the memory, nor the kernels, which do.
  context.arena.dispose();
  (context as { kernels: Kernels | undefined }).kernels = undefined;
}

/** An engine without calls, for who runs jobs on its parts. */
export function bareEngine(made: Made): { dispose(): void } {
  const { pool, precision } = made;
  let disposed = false;
  const context = contextOf(made, () => {
    if (disposed) throw ended();
  });
  const engine = {
    dispose: () => {
      if (disposed) return;
      disposed = true;
      endCore(context, pool);
    },
  };
  keepParts(engine, { context, pool, precision });
  return engine;
}
