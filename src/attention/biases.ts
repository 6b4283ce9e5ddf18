// The biases and mask tensors of a plan as entries in memory.

import type { WrittenMasks } from '../masks/option.ts';
import type { Scope } from '../memory/scope.ts';
import { makeTensor } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import { uploadLookup } from '../plan/pair-index.ts';
import type { CurveBias, DenseBias, IndexBias, Place, Plan, Shape } from '../plan/plan.ts';
import * as field from '../wasm/generated/job.ts';

/** Where a bias lies: fields of its entry. */
type BiasEntry = readonly [number, number][];

function denseEntry({ tensor }: DenseBias, { S }: Shape, { keyOffset }: Place, context: Context, scope: Scope): BiasEntry {
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

/** The bias entries of a call in memory. */
interface WrittenBiases {
  readonly at: number;
  readonly count: number;
  /** True if one of them may be −Infinity. */
  readonly marks: boolean;
}

/** Fills in the bias entries of the plan and of the mask tensors. */
export function writeBiases(
  plan: Plan,
  keys: Map<unknown, string>,
  masks: WrittenMasks['entries'],
  shape: Shape,
  place: Place,
  context: Context,
  scope: Scope,
): WrittenBiases {
  const biases = plan.biases ?? [];
  const total = biases.length + masks.length;
  if (!total) return { at: 0, count: 0, marks: false };
  let marks = false;
  const { L, S } = shape;
  const base = place.queryOffset - place.keyOffset;
  const entries = biases.map((bias): BiasEntry => {
    const gate: BiasEntry = bias.kind !== 'dense' && bias.gate ? [[field.A_GATE, scope.upload(bias.gate)]] : [];
    if (bias.kind === 'dense' || (bias.kind === 'index' && bias.table.includes(-Infinity))) marks = true;
    if (bias.kind === 'dense') return denseEntry(bias, shape, place, context, scope);
    if (bias.kind === 'index') return [...indexEntry(bias, shape, scope), ...gate];
    // Query i stands `base` + i after the call's first key: column j of row i is offset j − i − base.
    const heads = bias.kind === 'curve' ? 1 : bias.heads;
    const entry = context.tables.columns(
      keys.get(bias) as string,
      1 - L - base,
      Math.max(1, S + L - 1),
      4 * heads,
      scope,
      (first, count) => {
        const out = new Float32Array(heads * count);
        bias.fill(out, first, count);
        return out;
      },
    );
    if (entry.infinite) marks = true;
    const at = entry.at - 4 * entry.first;
    const headStride = heads > 1 ? 4 * entry.count : 0;
    const curve = bias.kind === 'curve' ? curveEntry(bias, scope) : [];
    // A curve's row are the numbers that it is a function of, not the bias.
    const hide = hiding(bias.kind === 'offset' && entry.infinite);
    return [[field.A_PTR, at - 4 * base], [field.A_HEAD, headStride], [field.A_ROW, -4], ...hide, ...curve, ...gate];
  });
  const block = scope.block(total * field.A_SIZE);
  const writer = scope.writer(block);
  [...entries, ...masks].forEach((entry, n) => {
    for (const [name, value] of entry) writer.int(n * field.A_SIZE + name, value);
    const bias = biases[n];
    const coefficient = bias && bias.kind !== 'dense' ? bias.coefficient : undefined;
    writer.f32(n * field.A_SIZE + field.A_COEFFICIENT, coefficient ?? 1);
  });
  return { at: block, count: total, marks };
}
