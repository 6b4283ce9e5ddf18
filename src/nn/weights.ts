// Weights in panels: how many bytes they take, and the stage that brings rows of a matrix into them.

import type { FloatDType } from '../memory/dtypes.ts';
import { DTYPES } from '../memory/dtypes.ts';
import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import { SMALL_TRAFFIC, threadsFor } from '../plan/work.ts';
import type { Stage } from '../threads/types.ts';
import * as field from '../wasm/generated/layers.ts';

/**
 * How weights are stored. `'f32'`, `'f16'` and `'bf16'` are what they are, with sums in f32. `'i8'`: integers with a scale for each output channel.
 * `'i4'`: integers in blocks of 32 with a scale for each. With integers, x is rounded to integers too, row by row, and products are exact.
 */
export type WeightType = FloatDType | 'i8' | 'i4';

/** What the kernels call a type of weights, and what K is rounded up to. */
const TYPES: Readonly<Record<WeightType, { readonly code: number; readonly unit: number }>> = {
  f32: { code: DTYPES.f32.code, unit: 1 },
  f16: { code: DTYPES.f16.code, unit: 1 },
  bf16: { code: DTYPES.bf16.code, unit: 1 },
  i8: { code: field.WEIGHTS_I8, unit: 4 },
  i4: { code: field.WEIGHTS_I4, unit: field.BLOCK },
};

export const WEIGHT_TYPES = /* @__PURE__ */ Object.keys(TYPES) as readonly WeightType[];

/** The kernels' number of a type. */
export const weightCode = (type: WeightType): number => TYPES[type].code;

/** K as a type has it. */
export const paddedInputs = (type: WeightType, inputs: number): number => roundUp(inputs, TYPES[type].unit);

/** Bytes of a panel of 8 output channels. */
export function panelBytes(type: WeightType, inputs: number): number {
  const padded = paddedInputs(type, inputs);
  if (type === 'i8') return field.PANEL_HEADER + field.PANEL * padded;
  if (type === 'i4') return (padded / field.BLOCK) * field.BLOCK_BYTES;
  return field.PANEL * DTYPES[type].bytes * padded;
}

/** A matrix of weights in panels: y has `outputs` channels, x has `inputs`. With a gate, panels of the gate and of what is gated take turns. */
export interface Panels {
  readonly type: WeightType;
  readonly outputs: number;
  readonly inputs: number;
  readonly gated: boolean;
  /** Where panel 0 is: panelCount · panelBytes bytes, all of them 0 before the first row was packed. */
  readonly pointer: number;
}

/** How many panels there are. */
export const panelCount = ({ outputs, gated }: Pick<Panels, 'outputs' | 'gated'>): number =>
  Math.ceil(outputs / field.PANEL) * (gated ? 2 : 1);

/** Rows of a matrix somewhere in memory. */
export interface MatrixRows {
  readonly pointer: number;
  readonly dtype: FloatDType;
  /** Bytes from row to row and from number to number: of a matrix that is stored [inputs, outputs], the two are swapped. */
  readonly row: number;
  readonly column: number;
  /** These are the rows `first` … `first + count − 1` of the weights, or with a gate of the gate or of what is gated. */
  readonly first: number;
  readonly count: number;
  /** With a gate: whether the rows are those of what is gated. */
  readonly up?: boolean;
}

/**
 * The stage that packs some rows; they may come in pieces, of any numbers of rows, in any order, each row once. Two stages of one job may share a
 * panel, two tiles never do.
 */
export function packStage(scope: Scope, to: Panels, rows: MatrixRows, threads: number): Stage {
  const { type, inputs, gated } = to;
  const { first, count, up = false } = rows;
  const size = panelBytes(type, inputs);
  const job = scope.block(field.PACK_SIZE);
  scope
    .writer(job)
    .int(field.PACK_FROM, rows.pointer)
    .int(field.PACK_ROW, rows.row)
    .int(field.PACK_COLUMN, rows.column)
    .int(field.PACK_FROM_TYPE, DTYPES[rows.dtype].code)
    .int(field.PACK_TO, to.pointer + (up ? size : 0))
    .int(field.PACK_TYPE, weightCode(type))
    .int(field.PACK_STEP, gated ? 2 * size : size)
    .int(field.PACK_K, inputs)
    .int(field.PACK_FIRST, first)
    .int(field.PACK_END, first + count);
  const tiles = Math.ceil((first + count) / field.PANEL) - Math.floor(first / field.PANEL);
  return { kernel: 'pack', job, tiles, scratch: 4 * inputs, threads: threadsFor(count * inputs, SMALL_TRAFFIC, tiles, threads) };
}
