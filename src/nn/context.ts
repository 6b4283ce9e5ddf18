// What layers need of their engine, and how a call of one runs.

import { wrongType } from '../arguments/check.ts';
import type { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import { type EngineParts, partsOf } from '../parts.ts';
import type { Signal } from '../platform/types.ts';
import { jobOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import { type OwnLayers, readyModule } from './module.ts';

/** What layers need of their engine. */
export interface LayerContext extends EngineParts {
  /** Products and sums of f32 are fused: the engine's precision is `'relaxed'`, and the kernels know how. */
  readonly fused: boolean;
}

/** The context of an engine's layers, whose kernels are there from then on. @throws TypeError, RelposError */
export async function layerContext(where: string, engine: unknown, own: OwnLayers): Promise<LayerContext> {
  const parts = typeof engine === 'object' && engine !== null ? partsOf(engine) : undefined;
  if (!parts) throw wrongType(where, 'engine', 'an engine of createEngine', engine);
  parts.context.alive();
  const { relaxed } = await readyModule(parts.context.arena.memory, own, parts.pool);
  parts.context.alive();
  return { ...parts, fused: relaxed && parts.precision === 'relaxed' };
}

/** A call of a layer that is ready to run. */
export interface LayerCall {
  readonly stages: readonly Stage[];
  readonly out: Tensor;
  /** `out` was made for the call. */
  readonly fresh: boolean;
  /** Holds what the call needs until it is over. */
  readonly scope: Scope;
}

/** How a call of a layer is stopped. */
export interface LayerRun {
  readonly signal?: Signal | undefined;
}

/** Gives back what a call held; after a failure also a result that nobody has seen. */
function finish({ out, fresh, scope }: LayerCall, failed: boolean): void {
  scope.release();
  if (failed && fresh) out.dispose();
}

/** Runs a call without blocking. @throws RelposError; the signal's reason if it is aborted */
export async function runLayer({ pool }: LayerContext, call: LayerCall, { signal }: LayerRun): Promise<Tensor> {
  try {
    if (call.stages.length) await pool.run(jobOf(call.stages), { signal });
  } catch (error) {
    finish(call, true);
    throw error;
  }
  finish(call, false);
  return call.out;
}

/** Runs a call before returning. @throws RelposError */
export function runLayerSync({ pool }: LayerContext, call: LayerCall): Tensor {
  try {
    if (call.stages.length) pool.runSync(jobOf(call.stages));
  } catch (error) {
    finish(call, true);
    throw error;
  }
  finish(call, false);
  return call.out;
}
