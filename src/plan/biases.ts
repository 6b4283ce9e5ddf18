// The biases and mask tensors of a plan as entries in memory.

import { FileTensor, placeOperand, readOperand } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import { makeTensor } from '../memory/tensor.ts';
import * as field from '../wasm/generated/job.ts';
import { type BiasEntry, type Columns, type MadeEntry, queriesOf, type WrittenBiases, writeEntries } from './bias-entries.ts';
import { columnsOf, type Held } from './columns.ts';
import type { Context } from './context.ts';
import type { BiasCall } from './handlers.ts';
import { uploadLookup } from './pair-index.ts';
import type { Bias, CurveBias, DenseBias, IndexBias, OffsetBias, OffsetFactor, Place, Plan, Shape, SumBias } from './plan.ts';
import { leastOffset, offsetsOf, type Reach } from './reach.ts';

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

/** An entry, and whether it may be −Infinity. */
interface Made extends MadeEntry {
  readonly marks: boolean;
}

/** Rows of numbers by the offset, one for each head, as far as a reach goes. */
function offsetRows(
  part: OffsetBias | OffsetFactor | CurveBias,
  heads: number,
  reach: Reach,
  { keys, shape, place, context, scope }: BiasCall,
): { entry: BiasEntry; infinite: boolean; columns: Columns } {
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
  const found = columnsOf(context.tables, { ...wanted, key: key && `${key} ${heads}` }, scope);
  const at = found.at - 4 * found.first - 4 * base;
  const entry: BiasEntry = [
    [field.A_PTR, at],
    [field.A_HEAD, heads > 1 ? 4 * found.count : 0],
    [field.A_ROW, -4],
  ];
  const infinite = found.infinite && hasInfinite(context, found, first, count, heads);
  // A step that follows may meet columns that this call does not, and −Infinity there: it is planned, unless its columns are the same.
  return { entry, infinite, columns: { first: found.infinite ? first : found.first, least: leastOffset(reach) - base } };
}

/** Whether one of the columns that a call meets is −Infinity; what others asked for, or no call, must not tell. */
function hasInfinite({ arena }: Context, { at, first: start, count: width }: Held, first: number, count: number, heads: number): boolean {
  const floats = new Float32Array(arena.memory.buffer);
  for (let h = 0; h < heads; h++) {
    const row = at / 4 + h * width + first - start;
    if (floats.subarray(row, row + count).includes(-Infinity)) return true;
  }
  return false;
}

/** The entry of such rows; numbers of −Infinity hide their keys if `hides`. */
function offsetEntry(part: OffsetBias | OffsetFactor | CurveBias, heads: number, hides: boolean, making: BiasCall): Made {
  const { reach, early } = making.reaches;
  const rows = offsetRows(part, heads, reach, making);
  const before = early && offsetRows(part, heads, early, making);
  const infinite = rows.infinite || (before?.infinite ?? false);
  const hidden = hides ? hiding(infinite) : [];
  const { columns } = rows;
  return { entry: [...rows.entry, ...hidden], columns, ...(before && { early: before.entry }), marks: infinite };
}

function biasEntry(bias: Bias, making: BiasCall): Made {
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
export function writeBiases({ factors = [], biases = [] }: Plan, masks: readonly BiasEntry[], call: BiasCall): WrittenBiases {
  const multiplied = factors.map((factor): Made => {
    const { entry, ...rest } = offsetEntry(factor, factor.heads, false, call);
    return { ...rest, entry: [...entry, [field.A_MULTIPLY, 1]] };
  });
  const added = biases.map((bias) => ({ ...biasEntry(bias, call), coefficient: bias.kind === 'dense' ? undefined : bias.coefficient }));
  const entries = [...multiplied, ...added, ...masks.map((entry) => ({ entry }))];
  return writeEntries(
    entries,
    added.some(({ marks }) => marks),
    call.scope,
  );
}
