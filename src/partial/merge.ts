// Merging partial states: from a user's call to a job.

import { reading, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import { copyLogits, type Logits, type Numbers } from '../arguments/lists.ts';
import { readList } from '../arguments/numbers.ts';
import { choice, type Readers, readRecord } from '../arguments/record.ts';
import { logitsOf } from '../attention/operands.ts';
import { outputTensor } from '../attention/options.ts';
import { axes, type Layout } from '../memory/layout.ts';
import { checkApart, checkOut, type Operand, placeOperand, type Read, readOperand, writeTensor } from '../memory/operands.ts';
import { roundUp } from '../memory/round.ts';
import { Scope } from '../memory/scope.ts';
import { layOut } from '../memory/scratch.ts';
import { makeTensor, type Tensor, type TensorLike } from '../memory/tensor.ts';
import type { Call, Context } from '../plan/context.ts';
import { SMALL_TRAFFIC, threadsFor } from '../plan/work.ts';
import * as field from '../wasm/generated/job.ts';

/** What attention over some of the keys leaves of each query: enough to merge it with attention over the others. */
export interface PartialState {
  /** [B, H, L, E], or [B, L, H, E] with `layout: 'blhd'`. */
  readonly out: Tensor;
  /** Log-sum-exp of each row's scores, natural log: f32 [B, H, L]; −Infinity for a row that sees no key. */
  readonly lse: Tensor;
}

/** A state as `mergeStates` takes it: also as it was read from a safetensors file. */
export interface GivenState {
  readonly out: TensorLike;
  readonly lse: TensorLike;
}

interface CheckedState {
  readonly out: Operand;
  readonly lse: Operand;
}

/** Options of `mergeStates`. */
export interface MergeOptions {
  /** Of every state's `out` and of the result's; default `'bhld'`. */
  readonly layout?: Layout;
  /** One extra logit per query head in the denominator, [H], counted once, after the states. */
  readonly sinks?: Numbers;
  /** Written instead of a new tensor: f32, f16 or bf16. May be the `out` of a state, else may not overlap one. */
  readonly out?: Tensor;
}

/** Rows of one (batch, head) that a tile merges. */
const TILE_ROWS = 64;
/** States that one call merges at most. */
const MOST_STATES = 65536;

/** The states of a call, after checking that they are of one shape. */
function checkStates(where: string, given: unknown, layout: Layout, context: Context): CheckedState[] {
  if (!Array.isArray(given)) throw wrongType(where, 'states', 'an array of { out, lse }', given);
  const count = reading(where, 'states', () => given.length);
  if (!count || count > MOST_STATES) throw wrongValue(where, 'states', `1 … ${MOST_STATES} states`, `${count}`);
  let shape: readonly number[] = [];
  return readList(where, 'states', given, (state, n): CheckedState => {
    if (typeof state !== 'object' || state === null) throw wrongType(where, `states[${n}]`, 'an object { out, lse }', state);
    const pair = reading(where, `states[${n}]`, () => ({ out: (state as GivenState).out, lse: (state as GivenState).lse }));
    const out = readOperand(where, `states[${n}].out`, pair.out, context);
    const lse = readOperand(where, `states[${n}].lse`, pair.lse, context);
    if (n === 0) {
      const { head } = axes(layout);
      const [H = 0, E = 0] = [out.shape[head], out.shape[3]];
      if (out.shape.length !== 4 || H < 1 || E < 1 || E > WIDEST_HEAD) {
        const letters = layout === 'bhld' ? ['B', 'H ≥ 1', 'L'] : ['B', 'L', 'H ≥ 1'];
        throw wrongValue(where, 'states[0].out', `shape ${shapeText([...letters, `1 ≤ E ≤ ${WIDEST_HEAD}`])}`, shapeText(out.shape));
      }
      shape = out.shape;
    }
    const [B, second, third] = shape;
    const expected = [B, ...(layout === 'bhld' ? [second, third] : [third, second])];
    if (out.shape.length !== 4 || out.shape.some((size, axis) => size !== shape[axis])) {
      throw wrongValue(where, `states[${n}].out`, `shape ${shapeText(shape)}`, shapeText(out.shape));
    }
    if (lse.dtype !== 'f32') throw wrongType(where, `states[${n}].lse`, 'a tensor of f32', lse.dtype);
    if (lse.shape.length !== 3 || lse.shape.some((size, axis) => size !== expected[axis])) {
      throw wrongValue(where, `states[${n}].lse`, `shape ${shapeText(expected)}`, shapeText(lse.shape));
    }
    return { out, lse };
  });
}

/** Offsets of one thread's scratch. */
function scratchLayout(states: readonly PartialState[], E: number): { fields: [number, number][]; bytes: number } {
  const row = 4 * roundUp(E, 8);
  const lines = states.filter(({ out }) => out.dtype !== 'f32' || out.strides[3] !== 1).length;
  const sizes: [number, number][] = [
    [field.M_WEIGHTS, 8 * states.length],
    [field.M_ROWS, 4 * states.length],
    [field.M_RESULT, row],
    [field.M_LINES, row * lines],
  ];
  const { at, bytes } = layOut(sizes.map(([, size]) => size));
  return { fields: sizes.map(([name], n) => [name, at[n] as number]), bytes };
}

/** Options of a call, checked without its shapes. */
export interface CheckedMerge {
  readonly layout?: Layout;
  readonly sinks?: Logits;
  readonly out?: Tensor;
}

const READERS: Readers<CheckedMerge> = { layout: /* @__PURE__ */ choice('bhld', 'blhd'), sinks: copyLogits, out: outputTensor };

/** The options as a record of their own. @throws TypeError, RangeError that names the option */
export function checkMergeOptions(where: string, given: unknown): CheckedMerge {
  return readRecord(where, given, READERS);
}

/** Checks a call of `mergeStates` and gets everything ready for it. */
export function prepareMerge(context: Context, where: string, given: unknown, options: CheckedMerge): Call {
  context.alive();
  const { layout = 'bhld' } = options;
  const checked = checkStates(where, given, layout, context);
  const { out: like, lse: likeLse } = checked[0] as CheckedState;
  const [B, H, L] = likeLse.shape as [number, number, number];
  const E = like.shape[3] as number;
  const sinks = logitsOf(where, 'sinks', options.sinks, H);
  const out = options.out === undefined ? undefined : checkOut(where, options.out, like.shape, context);
  const reads = checked.flatMap((state, n): Read[] => [
    ...(state.out === out ? [] : [[`states[${n}].out`, state.out] as Read]),
    [`states[${n}].lse`, state.lse],
  ]);
  if (options.sinks?.tensor) reads.push(['sinks', options.sinks.tensor]);
  if (out) checkApart(where, out, reads);

  const scope = new Scope(context.arena);
  let target: Tensor | undefined;
  let lse: Tensor | undefined;
  try {
    const placed = (operand: Operand): Tensor => placeOperand(where, operand, context, scope);
    const states = checked.map((state) => ({ out: placed(state.out), lse: placed(state.lse) }));
    target = out ?? makeTensor(context, where, like.shape);
    lse = makeTensor(context, where, [B, H, L]);
    const tiles = B * H * Math.ceil(L / TILE_ROWS);
    const threads = threadsFor(states.length * target.size, SMALL_TRAFFIC, tiles, context.threads);
    const scratch = scratchLayout(states, E);
    const sinksAt = sinks ? scope.upload(sinks) : 0;
    const statesAt = scope.block(field.M_STATE * states.length);
    const job = scope.block(field.M_SIZE);
    for (const state of states) for (const tensor of [state.out, state.lse]) scope.defer(tensor.pin());
    if (out) scope.defer(out.pin());

    const writer = scope.writer(statesAt);
    states.forEach((state, n) => {
      writeTensor(writer, n * field.M_STATE + field.M_STATE_OUT, state.out, layout);
      const [batch, head, row] = state.lse.strides as [number, number, number];
      writer
        .int(n * field.M_STATE + field.M_STATE_LSE + field.T_PTR, state.lse.pointer)
        .int(n * field.M_STATE + field.M_STATE_LSE + field.T_BATCH, 4 * batch)
        .int(n * field.M_STATE + field.M_STATE_LSE + field.T_HEAD, 4 * head)
        .int(n * field.M_STATE + field.M_STATE_LSE + field.T_ROW, 4 * row);
    });
    const block = scope.writer(job);
    writeTensor(block, field.M_OUT, target, layout);
    block
      .int(field.M_LSE, lse.pointer)
      .int(field.M_COUNT, states.length)
      .int(field.M_STATES, statesAt)
      .int(field.M_SINKS, sinksAt)
      .int(field.M_H, H)
      .int(field.M_L, L)
      .int(field.M_E, E)
      .int(field.M_TILE, TILE_ROWS);
    for (const [name, at] of scratch.fields) block.int(name, at);

    const result = { out: target, lse };
    return {
      preparations: [],
      job: { kernel: 'merge', job, tiles, scratch: scratch.bytes, threads, outputs: [target, lse] },
      finish: () => result,
      release(failed) {
        scope.release();
        if (!failed) return;
        if (result.out !== out) result.out.dispose();
        result.lse.dispose();
      },
    };
  } catch (error) {
    scope.release();
    if (target !== out) target?.dispose();
    lse?.dispose();
    throw error;
  }
}
