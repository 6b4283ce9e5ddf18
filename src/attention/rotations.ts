// The rotation and the normalisation of a plan in memory.

import type { Lease } from '../block.ts';
import type { Normalization, Place, Rotation, Shape } from '../plan.ts';
import type { TableUse } from '../tables.ts';
import * as field from '../wasm/generated/job.ts';
import type { Office } from './call.ts';
import type { Writer } from './operands.ts';

/** The tables of a rotation for queries and keys. */
export function rotationTables(
  rotation: Rotation,
  { B, L, S }: Shape,
  place: Place,
  office: Office,
  lease: Lease,
): { q: TableUse; k: TableUse } {
  const { tables } = office;
  const { keyPositions, offset = 0, growth } = rotation;
  const { keyOffset, queryOffset } = place;
  let { queryPositions } = rotation;
  // One table serves queries and keys unless they stand apart, as a far shard's do: then it would span the gap.
  const apart = queryOffset + L < keyOffset || keyOffset + S < queryOffset;
  if (apart && !queryPositions && !keyPositions) {
    queryPositions = { values: Float64Array.from({ length: L }, (_, i) => queryOffset + i + offset), batched: false };
  }
  const first = Math.min(queryPositions ? keyOffset : queryOffset, keyPositions ? queryOffset : keyOffset);
  const end = Math.max(queryPositions ? 0 : queryOffset + L, keyPositions ? 0 : keyOffset + S);
  const standard = (keys: boolean): TableUse => tables.positions(rotation, false, first, Math.max(1, end - first), lease, keys);
  const from = (table: TableUse, position: number): TableUse => ({ ...table, at: table.at + (position - first) * 4 * rotation.dim });
  const queries = queryPositions ? undefined : standard(false);
  const q = queryPositions ? tables.explicit(rotation, false, queryPositions, L, B, lease) : from(queries as TableUse, queryOffset);
  if (keyPositions) return { q, k: tables.explicit(rotation, false, keyPositions, S, B, lease, true) };
  // Without growth the queries' table is the keys' too, and their jobs fill it.
  return { q, k: from(queries && !growth ? { ...queries, jobs: [] } : standard(true), keyOffset) };
}

/** Where the weights of a normalisation lie; their fields. */
export function normalizationFields({ kind, queryWeight, keyWeight }: Normalization, { D }: Shape, lease: Lease): [number, number][] {
  const stride = (weight: Float32Array | undefined): number => (weight && weight.length > D ? 4 * D : 0);
  return [
    [field.NORM, kind === 'l2' ? field.NORM_L2 : field.NORM_RMS],
    [field.NORM_Q, queryWeight ? lease.upload(queryWeight) : 0],
    [field.NORM_Q_HEAD, stride(queryWeight)],
    [field.NORM_K, keyWeight ? lease.upload(keyWeight) : 0],
    [field.NORM_K_HEAD, stride(keyWeight)],
  ];
}

export function writeRotation(writer: Writer, rotation: Rotation, q: number, k: number, { L, S }: Shape): void {
  const { dim, start = 0, layout, layoutOut = layout, queryPositions, keyPositions } = rotation;
  writer
    .int(field.ROTATE_Q, q)
    .int(field.ROTATE_Q_BATCH, queryPositions?.batched ? L * dim * 4 : 0)
    .int(field.ROTATE_K, k)
    .int(field.ROTATE_K_BATCH, keyPositions?.batched ? S * dim * 4 : 0)
    .int(field.ROTATE_DIM, dim)
    .int(field.ROTATE_START, start)
    .int(field.ROTATE_PAIRS_IN, layout === 'pairs' ? 1 : 0)
    .int(field.ROTATE_PAIRS_OUT, layoutOut === 'pairs' ? 1 : 0);
}
