// The rotation and the normalisation of a plan in memory.

import type { Writer } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import type { Context } from '../plan/context.ts';
import type { Normalization, Place, Positions, Rotation, Shape } from '../plan/plan.ts';
import { axesOf, type TableUse } from '../plan/table-cache.ts';
import * as field from '../wasm/generated/job.ts';

/** The tables of a rotation for queries and keys. */
export function rotationTables(
  rotation: Rotation,
  { B, L, S }: Shape,
  place: Place,
  context: Context,
  scope: Scope,
): { q: TableUse; k: TableUse } {
  const { tables } = context;
  const { offset = 0, growth } = rotation;
  const { keyOffset, queryOffset } = place;
  let { queryPositions, keyPositions } = rotation;
  // Tables that calls share are of one head, and of whole rotations.
  if (isOwn(rotation) && axesOf(rotation) === 1) {
    queryPositions ??= standardPositions(queryOffset + offset, L);
    keyPositions ??= standardPositions(keyOffset + offset, S);
  }
  // One table serves queries and keys unless they stand apart, as a far shard's do: then it would span the gap.
  const apart = queryOffset + L < keyOffset || keyOffset + S < queryOffset;
  if (apart && !queryPositions && !keyPositions) {
    queryPositions = standardPositions(queryOffset + offset, L);
  }
  const first = Math.min(queryPositions ? keyOffset : queryOffset, keyPositions ? queryOffset : keyOffset);
  const end = Math.max(queryPositions ? 0 : queryOffset + L, keyPositions ? 0 : keyOffset + S);
  const standard = (keys: boolean): TableUse => tables.positions(rotation, false, first, Math.max(1, end - first), scope, keys);
  const from = (table: TableUse, position: number): TableUse => ({ ...table, at: table.at + (position - first) * 4 * rotation.dim });
  const queries = queryPositions ? undefined : standard(false);
  const q = queryPositions ? tables.explicit(rotation, false, queryPositions, L, B, scope) : from(queries as TableUse, queryOffset);
  if (keyPositions) return { q, k: tables.explicit(rotation, false, keyPositions, S, B, scope, true) };
  // Without growth the queries' table is the keys' too, and their jobs fill it.
  return { q, k: from(queries && !growth ? { ...queries, jobs: [] } : standard(true), keyOffset) };
}

/** True if heads or the two channels of a pair have frequencies of their own. */
export const isOwn = ({ heads = 1, second }: Rotation): boolean => heads > 1 || second !== undefined;

/** The positions first … first + count − 1. */
export const standardPositions = (first: number, count: number): Positions => ({
  values: Float64Array.from({ length: count }, (_, n) => first + n),
  batched: false,
});

/** Where the weights of a normalisation lie; their fields. */
export function normalizationFields({ kind, queryWeight, keyWeight }: Normalization, { D }: Shape, scope: Scope): [number, number][] {
  const stride = (weight: Float32Array | undefined): number => (weight && weight.length > D ? 4 * D : 0);
  return [
    [field.NORM, kind === 'l2' ? field.NORM_L2 : field.NORM_RMS],
    [field.NORM_Q, queryWeight ? scope.upload(queryWeight) : 0],
    [field.NORM_Q_HEAD, stride(queryWeight)],
    [field.NORM_K, keyWeight ? scope.upload(keyWeight) : 0],
    [field.NORM_K_HEAD, stride(keyWeight)],
  ];
}

/** The fields of a rotation; no table for keys that are stored rotated. */
export function writeRotation(writer: Writer, rotation: Rotation, q: TableUse, k: TableUse | undefined): void {
  const { dim, start = 0, layout, layoutOut = layout } = rotation;
  writer
    .int(field.ROTATE_Q, q.at)
    .int(field.ROTATE_Q_BATCH, q.batch ?? 0)
    .int(field.ROTATE_Q_HEAD, q.head ?? 0)
    .int(field.ROTATE_Q_SECOND, q.second ?? 0)
    .int(field.ROTATE_K, k?.at ?? 0)
    .int(field.ROTATE_K_BATCH, k?.batch ?? 0)
    .int(field.ROTATE_K_HEAD, k?.head ?? 0)
    .int(field.ROTATE_K_SECOND, k?.second ?? 0)
    .int(field.ROTATE_DIM, dim)
    .int(field.ROTATE_START, start)
    .int(field.ROTATE_PAIRS_IN, layout === 'pairs' ? 1 : 0)
    .int(field.ROTATE_PAIRS_OUT, layoutOut === 'pairs' ? 1 : 0);
}
