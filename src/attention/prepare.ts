// From a checked call to a job: place what it reads in memory, write its plan into a parameter block.

import { type Operand, type Operands, placeOperand } from '../memory/operands.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Call, Context } from '../plan/context.ts';
import { SMALL_WORK } from '../plan/work.ts';
import { mayBlock } from '../platform/host.ts';
import type { Stage } from '../threads/types.ts';
import { type CheckedCall, checkCall, readOperands } from './check-call.ts';
import { runsOf, writeJob } from './job-block.ts';
import type { CheckedOptions } from './options.ts';
import { tiling } from './tiling.ts';

/** The tensor that the kernels write: `out` itself, or one of the call's own that replaces its contents at the end. */
function resultTensor(context: Context, where: string, shape: readonly number[], out: Tensor | undefined, staged: boolean): Tensor {
  if (out && !staged) return out;
  return makeTensor(context, where, shape, undefined, out?.dtype ?? 'f32');
}

/** The tensor of log-sum-exp, if there is to be one: that which is given, or a new one. */
export function stateTensor(context: Context, where: string, shape: readonly number[], wanted: boolean | Tensor): Tensor | undefined {
  return wanted === true ? makeTensor(context, where, shape) : wanted || undefined;
}

/** What a call that is part of another has from it: its scope, its part of the output, and a place that hears of the scratch a thread needs. */
export interface Sharing {
  readonly scope: Scope;
  readonly out: Tensor;
  borrow(bytes: number): void;
}

/** Gets everything ready for a call. @throws RelposError `out-of-memory`, having given back what it took */
export function prepareChecked(
  context: Context,
  checked: CheckedCall,
  given: Operands<Operand>,
  withLse: boolean | Tensor,
  sharing?: Sharing,
): Call {
  const { where, shape, layout, cached, scale, softcap, sinks, lengths, placed, outShape, staged } = checked;
  const { B, H, L, S, D, E } = shape;
  const out = sharing ? sharing.out : checked.out;
  const scope = sharing?.scope ?? new Scope(context.arena);
  scope.defer(() => cached?.end());
  let target: Tensor | undefined;
  let lse: Tensor | undefined;
  try {
    const operands = placeAll(where, given, context, scope);
    target = resultTensor(context, where, outShape, out, staged);
    lse = stateTensor(context, where, [B, H, L], withLse);
    const storing = cached?.begin(where, operands, scope) ?? [];
    const cachedFields = cached?.fields(scope) ?? [];
    const work = 4 * B * H * L * S * Math.max(D, E);
    const threads = work < SMALL_WORK ? 1 : context.threads;
    const relative = placed.some(({ plan }) => Boolean(plan.terms?.length || plan.valueTable || plan.contextTable));
    const { queries, tiles } = tiling(shape, { threads, relative, patient: mayBlock() });
    const lengthsAt = lengths?.some((length) => length !== S) ? scope.upload(lengths) : 0;
    const sinksAt = sinks ? scope.upload(sinks) : 0;
    const ready = { shape, layout, operands, cached, cachedFields, scale, softcap, queries, lengthsAt, sinksAt, target, lse };
    const jobs = placed.map((one) => writeJob(ready, one, context, scope));
    const scratch = Math.max(...jobs.map((one) => one.scratch));
    sharing?.borrow(scratch);
    const running = { tiles, threads: sharing ? 1 : threads, scratch, outputs: lse ? [target, lse] : [target] };
    const before = runsOf(jobs, shape, running, scope);
    const last = before.pop() as Stage;
    for (const tensor of [operands.q, operands.k, operands.v, out]) if (tensor) scope.defer(tensor.pin());

    const tables = jobs.flatMap((one) => one.tables);
    const result = target;
    return {
      preparations: [...storing, ...tables.flatMap((table) => table.jobs), ...before],
      job: last,
      tables,
      moving: jobs.flatMap((one) => one.moving),
      finish() {
        for (const table of tables) table.done();
        if (out && result !== out) {
          out.set(result.view());
          result.dispose();
        }
        cached?.commit();
        return { out: out ?? result, ...(lse && { lse }) };
      },
      release(failed) {
        scope.release();
        if (!failed) return;
        if (result !== out) result.dispose();
        if (lse !== withLse) lse?.dispose();
      },
    };
  } catch (error) {
    scope.release();
    if (target !== out) target?.dispose();
    if (lse !== withLse) lse?.dispose();
    throw error;
  }
}

/** The operands in the engine's memory. */
export function placeAll(where: string, { q, k, v }: Operands<Operand>, context: Context, scope: Scope): Operands {
  const query = placeOperand(where, q, context, scope);
  if (!k || !v) return { q: query };
  return { q: query, k: placeOperand(where, k, context, scope), v: placeOperand(where, v, context, scope) };
}

/** Checks a call and gets everything ready for it. @throws before anything is changed */
export function prepareOne(
  context: Context,
  where: string,
  q: unknown,
  k: unknown,
  v: unknown,
  given: CheckedOptions,
  withLse: boolean | Tensor,
): Call {
  context.alive();
  const operands = readOperands(where, q, k, v, given.cache, context);
  return prepareChecked(context, checkCall(context, where, operands, given), operands, withLse);
}
