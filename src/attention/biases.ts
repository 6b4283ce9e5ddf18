// The biases and mask tensors of a plan as entries in memory.

import type { WrittenMasks } from '../masks/option.ts';
import { FileTensor, placeOperand, readOperand } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import { makeTensor } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import { uploadLookup } from '../plan/pair-index.ts';
import type { Bias, CurveBias, DenseBias, IndexBias, OffsetBias, OffsetFactor, Place, Plan, Shape, SumBias } from '../plan/plan.ts';
import { offsetsOf, type Reach, type Reaches } from '../plan/reach.ts';
import type { Key } from '../plan/relative-terms.ts';
import * as field from '../wasm/generated/job.ts';

/** Where a bias lies: fields of its entry. */
type BiasEntry = readonly [number, number][];

function denseEntry(bias: DenseBias, { S }: Shape, { keyOffset }: Place, context: Context, scope: Scope): BiasEntry {
  const operand = readOperand('bias', 'tensor', bias.tensor, context);
  // What is read from a file becomes what the kernels read of a bias at once.
  const tensor = placeOperand('bias', operand instanceof FileTensor ? new FileTensor(operand.file, 'f32') : operand, context, scope);
  // A bias over the keys of the whole is read where the shard's keys stand.
  const part = tensor.slice(null, null, null, tensor.shape[3] === S ? null : [keyOffset, keyOffset + S]);
  scope.defer(() => part.dispose());
  let source = part;
  if (part.dtype !== 'f32' || (part.strides[3] !== 1 && part.shape[3] !== 1)) {
    source = makeTensor(context, 'bias', part.shape, part.toArray());
    scope.defer(() => source.dispose());
  }
  const stride = (axis: number): number => (source.shape[axis] === 1 ? 0 : (source.strides[axis] as number) * 4);
  return [
    [field.A_PTR, source.pointer],
    [field.A_BATCH, stride(0)],
    [field.A_HEAD, stride(1)],
    [field.A_ROW, stride(2)],
    [field.A_HIDE, field.HIDE_INFINITE],
  ];
}

/** What an entry says if numbers of −Infinity in its table hide their keys. */
const hiding = (infinite: boolean | undefined): BiasEntry => (infinite ? [[field.A_HIDE, field.HIDE_INFINITE]] : []);

function indexEntry({ table, heads, index }: IndexBias, shape: Shape, scope: Scope): BiasEntry {
  const lookup = uploadLookup(index, shape, scope);
  return [
    [field.A_PTR, scope.upload(table)],
    [field.A_HEAD, heads > 1 ? (table.length / heads) * 4 : 0],
    [field.A_INDEX, lookup.index],
    [field.A_INDEX_ROW, lookup.indexRow],
    [field.A_INDEX_BATCH, lookup.indexBatch],
    [field.A_ROWS, lookup.rows],
    [field.A_ROWS_BATCH, lookup.rowsBatch],
    [field.A_MAP, lookup.map],
    ...hiding(table.includes(-Infinity)),
  ];
}

function curveEntry({ heads, factors, units, weights }: CurveBias, scope: Scope): BiasEntry {
  const U = units.length / 2;
  const triples = Float32Array.from({ length: 3 * heads * U }, (_, n) => {
    const unit = Math.floor(n / 3);
    return (n % 3 === 2 ? weights[unit] : units[2 * (unit % U) + (n % 3)]) as number;
  });
  return [
    [field.A_CURVE, scope.upload(triples)],
    [field.A_CURVE_HEAD, heads > 1 ? 12 * U : 0],
    [field.A_UNITS, U],
    [field.A_FACTORS, scope.upload(factors)],
  ];
}

/** Numbers in two parts each: as f32, and what that leaves of it. */
function inTwo(numbers: Float64Array): { whole: Float32Array; rest: Float32Array } {
  const whole = Float32Array.from(numbers);
  return { whole, rest: Float32Array.from(numbers, (x, n) => x - (whole[n] as number)) };
}

function sumEntry({ batch, heads, rows, columns }: SumBias, { L, S }: Shape, scope: Scope): BiasEntry {
  const own = inTwo(rows);
  const keys = inTwo(columns);
  const pairs = Float32Array.from({ length: 2 * rows.length }, (_, n) => (n % 2 ? own.rest : own.whole)[n >> 1] as number);
  const stride = (count: number, bytes: number): number => (count > 1 ? bytes : 0);
  return [
    [field.A_PTR, scope.upload(keys.whole)],
    [field.A_REST, scope.upload(keys.rest)],
    [field.A_BATCH, stride(batch, 4 * heads * S)],
    [field.A_HEAD, stride(heads, 4 * S)],
    [field.A_OWN, scope.upload(pairs)],
    [field.A_OWN_BATCH, stride(batch, 8 * heads * L)],
    [field.A_OWN_HEAD, stride(heads, 8 * L)],
  ];
}

/** The bias entries of a call in memory. */
interface WrittenBiases {
  readonly at: number;
  readonly count: number;
  /** Those of the early keys, if these have some of their own. */
  readonly early?: number;
  /** True if one of them may be −Infinity. */
  readonly marks: boolean;
}

/** What entries are made from. */
interface Making {
  readonly keys: Map<unknown, Key>;
  readonly shape: Shape;
  readonly place: Place;
  readonly reaches: Reaches;
  readonly context: Context;
  readonly scope: Scope;
}

/** An entry, and whether it may be −Infinity. */
interface Made {
  readonly entry: BiasEntry;
  /** What is different for the early keys. */
  readonly early?: BiasEntry;
  readonly marks: boolean;
}

/** Rows of numbers by the offset, one for each head, as far as a reach goes. */
function offsetRows(
  part: OffsetBias | OffsetFactor | CurveBias,
  heads: number,
  reach: Reach,
  { keys, shape, place, context, scope }: Making,
): { entry: BiasEntry; infinite: boolean } {
  // Query i stands `base` + i after the call's first key: column j of row i is offset j − i − base.
  const base = place.queryOffset - place.keyOffset;
  const [first, count] = offsetsOf(shape, place, reach);
  const fill = (from: number, n: number): Float32Array => {
    const out = new Float32Array(heads * n);
    part.fill(out, from, n);
    return out;
  };
  const key = keys.get(part);
  const wanted = { first, count, slides: reach.slides, heads, width: 4, fill };
  const found = context.tables.columns({ ...wanted, key: key && `${key} ${heads}` }, scope);
  const at = found.at - 4 * found.first - 4 * base;
  const entry: BiasEntry = [
    [field.A_PTR, at],
    [field.A_HEAD, heads > 1 ? 4 * found.count : 0],
    [field.A_ROW, -4],
  ];
  return { entry, infinite: found.infinite };
}

/** The entry of such rows; numbers of −Infinity hide their keys if `hides`. */
function offsetEntry(part: OffsetBias | OffsetFactor | CurveBias, heads: number, hides: boolean, making: Making): Made {
  const { reach, early } = making.reaches;
  const rows = offsetRows(part, heads, reach, making);
  const before = early && offsetRows(part, heads, early, making);
  const infinite = rows.infinite || (before?.infinite ?? false);
  const hidden = hides ? hiding(infinite) : [];
  return { entry: [...rows.entry, ...hidden], ...(before && { early: before.entry }), marks: infinite };
}

/** The queries that have the bias. */
const queriesOf = ([first, end]: readonly [number, number]): BiasEntry => [
  [field.A_FIRST, first],
  [field.A_LAST, end - 1],
];

function biasEntry(bias: Bias, making: Making): Made {
  const { shape, place, context, scope } = making;
  if (bias.kind === 'dense') return { entry: denseEntry(bias, shape, place, context, scope), marks: true };
  const gate: BiasEntry = bias.gate ? [[field.A_GATE, scope.upload(bias.gate)]] : [];
  if (bias.kind === 'index') return { entry: [...indexEntry(bias, shape, scope), ...gate], marks: bias.table.includes(-Infinity) };
  if (bias.kind === 'sum') return { entry: [...sumEntry(bias, shape, scope), ...gate], marks: false };
  const queries = bias.queries ? queriesOf(bias.queries) : [];
  // The row of a curve are the numbers that it is a function of, not the bias.
  const curve = bias.kind === 'curve' ? curveEntry(bias, scope) : [];
  const { entry, ...rest } = offsetEntry(bias, bias.kind === 'curve' ? 1 : bias.heads, bias.kind === 'offset', making);
  return { entry: [...entry, ...curve, ...gate, ...queries], ...rest };
}

/** Fills in the factors and biases of the plan and those of the mask tensors, in the order in which they apply. */
export function writeBiases(
  plan: Plan,
  keys: Map<unknown, Key>,
  masks: WrittenMasks['entries'],
  shape: Shape,
  place: Place,
  reaches: Reaches,
  context: Context,
  scope: Scope,
): WrittenBiases {
  const making = { keys, shape, place, reaches, context, scope };
  const factors = (plan.factors ?? []).map((factor): Made => {
    const { entry, ...rest } = offsetEntry(factor, factor.heads, false, making);
    return { ...rest, entry: [...entry, [field.A_MULTIPLY, 1]] };
  });
  const biases = plan.biases ?? [];
  const made = biases.map((bias) => biasEntry(bias, making));
  const entries: readonly Pick<Made, 'entry' | 'early'>[] = [...factors, ...made, ...masks.map((entry) => ({ entry }))];
  if (!entries.length) return { at: 0, count: 0, marks: false };
  const write = (which: (made: Pick<Made, 'entry' | 'early'>) => BiasEntry): number => {
    const block = scope.block(entries.length * field.A_SIZE);
    const writer = scope.writer(block);
    entries.forEach((one, n) => {
      const at = n * field.A_SIZE;
      for (const [name, value] of [...queriesOf([0, 2 ** 31]), ...which(one)]) writer.int(at + name, value);
      const bias = biases[n - factors.length];
      const coefficient = bias && bias.kind !== 'dense' ? bias.coefficient : undefined;
      writer.f32(at + field.A_COEFFICIENT, coefficient ?? 1);
    });
    return block;
  };
  return {
    at: write(({ entry }) => entry),
    count: entries.length,
    ...(entries.some(({ early }) => early) && { early: write(({ entry, early = [] }) => [...entry, ...early]) }),
    marks: made.some(({ marks }) => marks),
  };
}
