// The probabilities themselves, for pictures and debugging: attention whose values are the columns of the identity, by the same kernels.

import { shapeText, wrongValue } from '../arguments/check.ts';
import { copySizes } from '../arguments/lists.ts';
import { type Reader, type Readers, readRecord } from '../arguments/record.ts';
import type { Mask } from '../masks/mask.ts';
import { NONE } from '../masks/runs.ts';
import { type Operand, placeOperand, readOperand, type Shaped } from '../memory/operands.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Call, Context } from '../plan/context.ts';
import { handlersOf, withHandlers } from '../plan/handlers.ts';
import type { Encoding, LowerContext, Plan } from '../plan/plan.ts';
import { checkCall } from './check-call.ts';
import { type AttentionOptions, type CheckedOptions, forbidAsync, OPTIONS, withoutAsync } from './options.ts';
import { prepareChecked } from './prepare.ts';

/** Options of `attentionWeights`: those of `attention` without `out`, and the window wanted. */
export interface WeightsOptions extends Omit<AttentionOptions, 'out' | 'onProgress' | 'queryOffsets' | 'keyOffsets' | 'cache'> {
  /** Queries [start, end) whose rows are wanted; default all. */
  readonly queries?: readonly [number, number];
  /** Keys [start, end) whose columns are wanted; default all. They are cut from whole rows: a window's rows do not sum to 1. */
  readonly keys?: readonly [number, number];
}

/** Most probabilities of one call. */
const MOST = 0x1000000;
/** Columns at a time: the widest value head. */
const WIDEST = 512;

/** Runs as many calls as it takes, one after another: yields a call, is sent its result. */
export type Steps<T> = Generator<Call, T, { out: Tensor; lse?: Tensor }>;

/** Options of `attentionWeights`, checked without its shapes. */
export interface CheckedWeights extends Omit<CheckedOptions, 'out' | 'onProgress' | 'queryOffsets' | 'keyOffsets' | 'cache'> {
  readonly queries?: readonly number[];
  readonly keys?: readonly number[];
}

const range: Reader<readonly number[]> = (where, name, value) => {
  return copySizes(where, name, value, 0, 2 ** 31 - 1, ['start', 'end']);
};

const READERS: Readers<CheckedWeights> = /* @__PURE__ */ readers();

function readers(): Readers<CheckedWeights> {
  const { out, onProgress, queryOffsets, keyOffsets, cache, ...shared } = OPTIONS;
  return { ...shared, queries: range, keys: range };
}

/** The options as a record of their own. @throws TypeError, RangeError that names the option */
export function checkWeightsOptions(where: string, given: unknown): CheckedWeights {
  return readRecord(where, given, READERS);
}

/** The same for a call that returns its result itself. */
export function checkWeightsSyncOptions(where: string, given: unknown): CheckedWeights {
  const checked = readRecord(where, given, withoutAsync(READERS));
  forbidAsync(where, checked);
  return checked;
}

function windowOf(where: string, name: string, given: readonly number[] | undefined, n: number): readonly [number, number] {
  const [start = 0, end = n] = given ?? [];
  if (start > end || end > n) throw wrongValue(where, name, `[start, end] with 0 ≤ start ≤ end ≤ ${n}`, given);
  return [start, end];
}

/** No key for the queries outside the window: they cost nothing then. */
const onlyQueries = ([start, end]: readonly [number, number]): Mask => ({
  name: 'queries',
  rows: ({ keys }) => ({ batched: false, runs: ({ index }) => (start <= index && index < end && keys ? [0, keys] : NONE) }),
});

const plain: WeakMap<Encoding, Encoding> = new WeakMap();

/** The encoding without what it adds to v; its width is then of no matter. */
function withoutValues(encoding: Encoding): Encoding {
  let found = plain.get(encoding);
  if (!found) {
    const lower = (context: LowerContext): Plan => {
      const whole = encoding.lower({ ...context, shape: { ...context.shape, E: context.shape.D } });
      // What is no plan is left to the check that follows.
      if (typeof whole !== 'object' || whole === null || !('valueTable' in whole)) return whole;
      const { valueTable: _, ...plan } = whole;
      return plan;
    };
    found = withHandlers({ ...encoding, lower }, handlersOf(encoding));
    plain.set(encoding, found);
  }
  return found;
}

/** v[j, e] = 1 where j = first + e: rows of one line that holds a single 1, each a place to the left of the one before. */
function identity(line: Tensor, [B, G, S, E]: readonly [number, number, number, number], blhd: boolean, first: number): Tensor {
  line.set(Float32Array.from({ length: line.size }, (_, n) => (n === S - 1 - first ? 1 : 0)));
  return blhd ? line.restride([B, S, G, E], [0, -1, 0, 1], S - 1) : line.restride([B, G, S, E], [0, 0, -1, 1], S - 1);
}

/** Checks the call and takes it slice by slice of the keys. */
export function* weightsSteps(context: Context, where: string, q: unknown, k: unknown, given: CheckedWeights): Steps<Tensor> {
  context.alive();
  const { queries: wantedQueries, keys: wantedKeys, ...options } = given;
  const keys = readOperand(where, 'k', k, context);
  const queries = readOperand(where, 'q', q, context);
  const blhd = options.layout === 'blhd';
  const [head, row] = blhd ? [2, 1] : [1, 2];
  for (const [name, tensor] of Object.entries({ q: queries, k: keys })) {
    if (tensor.shape.length !== 4) throw wrongValue(where, name, 'a shape of 4 dimensions', shapeText(tensor.shape));
  }
  const size = (tensor: Operand, axis: number): number => tensor.shape[axis] as number;
  const [B, H, L, G, S] = [size(queries, 0), size(queries, head), size(queries, row), size(keys, head), size(keys, row)];
  const rows = windowOf(where, 'queries', wantedQueries, L);
  const columns = windowOf(where, 'keys', wantedKeys, S);
  const wanted = [B, H, rows[1] - rows[0], columns[1] - columns[0]];
  const total = wanted.reduce((a, n) => a * n, 1);
  if (total > MOST) {
    throw wrongValue(where, 'queries, keys', `a window of at most 2^24 = ${MOST} probabilities`, `${shapeText(wanted)}, ${total} of them`);
  }
  const most = Math.min(WIDEST, columns[1] - columns[0], Math.floor(MOST / Math.max(1, B * H * L)));
  const width = Math.max(1, most);
  const { mask = [], encoding = [] } = options;
  const call: CheckedOptions = {
    ...options,
    mask: [...mask, { name: 'queries', value: onlyQueries(rows) }],
    encoding: encoding.map(({ name, value }) => ({ name, value: withoutValues(value) })),
  };
  const values: Shaped = { dtype: 'f32', shape: blhd ? [B, S, G, width] : [B, G, S, width] };
  const checked = checkCall(context, where, { q: queries, k: keys, v: values }, call);
  // What the call holds for a while, and for one slice of the keys.
  const whole = new Scope(context.arena);
  let result: Tensor | undefined;
  let done = false;
  try {
    const operands = { q: placeOperand(where, queries, context, whole), k: placeOperand(where, keys, context, whole) };
    result = makeTensor(context, where, wanted);
    const line = whole.own(makeTensor(context, where, [S + width]));
    // A first call even if there is nothing to do: a signal that is aborted stops that too.
    for (let first = columns[0]; first < columns[1] || first === columns[0]; first += width) {
      const slice = new Scope(context.arena);
      try {
        const v = slice.own(identity(line, [B, G, S, width], blhd, first));
        const { out } = yield prepareChecked(context, checked, { ...operands, v }, false);
        slice.own(out);
        const count = Math.min(width, columns[1] - first);
        const order = blhd ? slice.own(out.permute(0, 2, 1, 3)) : out;
        const part = slice.own(order.slice(null, null, [rows[0], rows[1]], [0, count]));
        const to = slice.own(result.slice(null, null, null, [first - columns[0], first - columns[0] + count]));
        to.set(part.toArray());
      } finally {
        slice.release();
      }
    }
    done = true;
    return result;
  } finally {
    whole.release();
    if (!done) result?.dispose();
  }
}
