// Rows of f32 in memory, and the stages that take and give them.

import type { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import { LinearStage } from '../nn/linear-stage.ts';
import { EmbedStage, type MapParts, MapStage, NormStage } from '../nn/row-stages.ts';
import type { Panels } from '../nn/weights.ts';
import type { Stage } from '../threads/types.ts';
import type { Activation, Norm } from './blueprint.ts';
import type { PackedLinear, Vector } from './packing.ts';

/** Where the first is, and bytes from row to row. */
export interface Rows {
  readonly at: number;
  readonly stride: number;
}

/** A norm whose weights are in memory. */
export interface PackedNorm {
  readonly norm: Norm;
  readonly weight: Vector | undefined;
  readonly bias: Vector | undefined;
  readonly width: number;
  /** Parts of a row that are normed each by itself. Default 1. */
  readonly heads?: number;
}

/** A table of which rows are taken: panels of a linear layer, or rows of f32. */
export type Source = { readonly panels: Panels } | { readonly table: Vector };

/** Part of every row, from a channel on. */
export const column = ({ at, stride }: Rows, channel: number): Rows => ({ at: at + 4 * channel, stride });

export const makeLinear = (layers: LayerContext, scope: Scope, { panels, bias }: PackedLinear, activation?: Activation): LinearStage =>
  new LinearStage(layers.context, scope, panels, { bias: bias?.pointer ?? 0, activation, fused: layers.fused });

/** out ← linear(x) + residual. */
export const through = (linear: LinearStage, rows: number, x: Rows, out: Rows, residual?: Rows): Stage =>
  linear.stage({
    rows,
    x: x.at,
    xRow: x.stride,
    out: out.at,
    outRow: out.stride,
    ...(residual && { residual: residual.at, residualRow: residual.stride }),
  });

export const makeNorm = ({ context }: LayerContext, scope: Scope, { norm, weight, bias, width, heads = 1 }: PackedNorm): NormStage =>
  new NormStage(context, scope, {
    kind: norm.kind,
    width,
    heads,
    epsilon: norm.epsilon,
    weight: weight?.pointer ?? 0,
    bias: bias?.pointer ?? 0,
    offset: norm.offset ?? 0,
  });

/** out ← norm(x); out may be x. */
export const normed = (norm: NormStage, rows: number, x: Rows, out: Rows): Stage =>
  norm.stage({ rows, x: x.at, xRow: x.stride, out: out.at, outRow: out.stride });

/** out ← map(a), and + b; out may be either. */
export const mapped = (map: MapStage, rows: number, a: Rows, out: Rows, b?: Rows): Stage =>
  map.stage({ rows, a: a.at, aRow: a.stride, out: out.at, outRow: out.stride, ...(b && { b: b.at, bRow: b.stride }) });

export const makeMap = ({ context }: LayerContext, scope: Scope, width: number, parts: Omit<MapParts, 'width'>): MapStage =>
  new MapStage(context, scope, { width, ...parts });

/** The sum of rows of several tables, those of the first multiplied. */
export const makeEmbed = ({ context }: LayerContext, scope: Scope, width: number, scale: number, sources: readonly Source[]): EmbedStage =>
  new EmbedStage(context, scope, {
    width,
    scale,
    tables: sources.map((source) =>
      'panels' in source
        ? { pointer: source.panels.pointer, type: source.panels.type, panels: true }
        : { pointer: source.table.pointer, type: 'f32', row: 4 * width },
    ),
  });
