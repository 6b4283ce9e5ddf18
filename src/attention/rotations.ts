// The rotation and the normalisation of a plan in memory.

import type { Writer } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import type { Context } from '../plan/context.ts';
import type { Normalization, Place, Positions, Rotation, Shape } from '../plan/plan.ts';
import { keysOf, type Reaches } from '../plan/reach.ts';
import { axesOf, explicitTable, isOwn, standardPositions, type TableUse, type Turn } from '../plan/rotary-table.ts';
import type { Wanted } from '../plan/table-cache.ts';
import * as field from '../wasm/generated/job.ts';

/** Tables of a rotation: pointers to the rows of query 0 and key 0. */
export interface RotationTables {
  readonly q: TableUse;
  readonly k?: TableUse;
  /** Of the early keys, if these have one of their own. */
  readonly early?: TableUse;
}

/** The tables of a rotation for queries and, unless they are stored rotated, keys. */
export function rotationTables(
  rotation: Rotation,
  shape: Shape,
  { queryOffset, keyOffset }: Place,
  { reach, early, keys }: Reaches & { readonly keys: boolean },
  { tables }: Context,
  scope: Scope,
): RotationTables {
  const { B, L, S } = shape;
  const { growth, offset = 0 } = rotation;
  let { queryPositions, keyPositions } = rotation;
  // Tables that calls share are of one head, and of whole rotations.
  if (isOwn(rotation) && axesOf(rotation) === 1) {
    queryPositions ??= standardPositions(queryOffset + offset, L);
    keyPositions ??= standardPositions(keyOffset + offset, S);
  }
  const row = 4 * rotation.dim;
  const ofQueries = { rotation, inverse: false, keys: false };
  const ofKeys = { rotation, inverse: false, keys: true };
  const { slides } = reach;
  const queryRange = { first: queryOffset, count: Math.max(1, L), slides };
  const [low, end] = keysOf(shape, reach);
  const keyRange = { first: keyOffset + low, count: Math.max(1, end - low), slides };
  const ask = (turn: Turn, range: Wanted): TableUse => tables.positions(turn, range, scope);
  const explicit = (turn: Turn, positions: Positions, rows: number): TableUse => explicitTable(turn, positions, rows, B, scope);

  const keysAt = (range: Wanted): TableUse => {
    const table = ask(ofKeys, range);
    return { ...table, at: table.at - (range.first - keyOffset) * row };
  };
  const ofEarly = (): { early?: TableUse } => {
    return early ? { early: keysAt({ first: keyOffset, count: Math.max(1, keysOf(shape, early)[1]), slides }) } : {};
  };

  if (!queryPositions && !keyPositions && keys && !growth) {
    const first = Math.min(queryRange.first, keyRange.first);
    const count = Math.max(queryRange.first + queryRange.count, keyRange.first + keyRange.count) - first;
    // One table serves both unless they stand apart, as a far shard's do: then it would span the gap.
    if (count <= queryRange.count + keyRange.count) {
      const table = ask(ofQueries, { first, count, slides });
      const at = (position: number): number => table.at + (position - first) * row;
      return { q: { ...table, at: at(queryOffset) }, k: { ...table, jobs: [], at: at(keyOffset) }, ...ofEarly() };
    }
  }
  const q = queryPositions ? explicit(ofQueries, queryPositions, L) : ask(ofQueries, queryRange);
  if (!keys) return { q };
  return keyPositions ? { q, k: explicit(ofKeys, keyPositions, S) } : { q, k: keysAt(keyRange), ...ofEarly() };
}

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
  const { dim, start = 0, layout, layoutOut = layout, blocks = 1 } = rotation;
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
    .int(field.ROTATE_PAIRS_OUT, layoutOut === 'pairs' ? 1 : 0)
    .int(field.ROTATE_BLOCKS, blocks);
}
