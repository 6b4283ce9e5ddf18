// What is done row by row between linear layers, as stages of a job: norms, rows of tables, sums.

import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import { activationCode } from '../nn/activations.ts';
import type { LayerContext } from '../nn/context.ts';
import { type Panels, panelBytes, weightCode } from '../nn/weights.ts';
import { SMALL_TRAFFIC, threadsFor } from '../plan/work.ts';
import type { Stage } from '../threads/types.ts';
import { F32 } from '../wasm/generated/job.ts';
import * as field from '../wasm/generated/layers.ts';
import type { Activation, Norm } from './blueprint.ts';
import type { Vector } from './packing.ts';

/** Rows of f32: where the first is, and bytes from row to row. */
export interface Rows {
  readonly at: number;
  readonly stride: number;
}

/** Numbers of a tile: some 50 µs of work. */
const TILE = 32768;

/** A kernel that takes rows, `TILE` numbers in a tile. */
function rowStage(
  kernel: string,
  job: number,
  rows: number,
  width: number,
  scratch: number,
  { context }: LayerContext,
): Stage & { tile: number } {
  const tile = Math.max(1, Math.ceil(TILE / width));
  const tiles = Math.ceil(rows / tile);
  return { kernel, job, tiles, tile, scratch, threads: threadsFor(rows * width, SMALL_TRAFFIC, tiles, context.threads) };
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

/** out ← norm(x). Its block is the scope's, and its own until the job has run. */
export class NormStage {
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #packed: PackedNorm;
  readonly #block: number;

  constructor(layers: LayerContext, scope: Scope, packed: PackedNorm) {
    const { norm, weight, bias, width, heads = 1 } = packed;
    this.#layers = layers;
    this.#scope = scope;
    this.#packed = packed;
    this.#block = scope.block(field.NORM_SIZE);
    scope
      .writer(this.#block)
      .int(field.NORM_KIND, norm.kind === 'layer' ? field.NORM_LAYER : field.NORM_RMS)
      .int(field.NORM_HEADS, heads)
      .int(field.NORM_WIDTH, width)
      .int(field.NORM_X_HEAD, 4 * width)
      .int(field.NORM_OUT_HEAD, 4 * width)
      .int(field.NORM_WEIGHT, weight?.pointer ?? 0)
      .int(field.NORM_BIAS, bias?.pointer ?? 0)
      .f32(field.NORM_OFFSET, norm.offset ?? 0)
      .f64(field.NORM_EPSILON, norm.epsilon);
  }

  stage(rows: number, x: Rows, out: Rows): Stage {
    const { width, heads = 1 } = this.#packed;
    const { tile, ...stage } = rowStage('norm', this.#block, rows, width * heads, 0, this.#layers);
    this.#scope
      .writer(this.#block)
      .int(field.NORM_ROWS, rows)
      .int(field.NORM_TILE, tile)
      .int(field.NORM_X, x.at)
      .int(field.NORM_X_ROW, x.stride)
      .int(field.NORM_OUT, out.at)
      .int(field.NORM_OUT_ROW, out.stride);
    return stage;
  }
}

/** What `MapStage` does: out ← factor·act(a/divisor), and + b if there is a b. */
export interface MapParts {
  readonly activation?: Activation;
  readonly factor?: number;
  readonly divisor?: number;
}

export class MapStage {
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #width: number;
  readonly #block: number;

  constructor(layers: LayerContext, scope: Scope, width: number, { activation, factor = 1, divisor = 1 }: MapParts) {
    this.#layers = layers;
    this.#scope = scope;
    this.#width = width;
    this.#block = scope.block(field.MAP_SIZE);
    scope
      .writer(this.#block)
      .int(field.MAP_WIDTH, width)
      .f32(field.MAP_DIVISOR, divisor)
      .int(field.MAP_ACTIVATION, activationCode(activation))
      .f32(field.MAP_FACTOR, factor)
      .int(field.MAP_ADD, 1);
  }

  stage(rows: number, a: Rows, out: Rows, b?: Rows): Stage {
    const { tile, ...stage } = rowStage('map', this.#block, rows, this.#width, 4 * field.MAP_PIECE, this.#layers);
    this.#scope
      .writer(this.#block)
      .int(field.MAP_ROWS, rows)
      .int(field.MAP_TILE, tile)
      .int(field.MAP_A, a.at)
      .int(field.MAP_A_ROW, a.stride)
      .int(field.MAP_B, b?.at ?? 0)
      .int(field.MAP_B_ROW, b?.stride ?? 0)
      .int(field.MAP_OUT, out.at)
      .int(field.MAP_OUT_ROW, out.stride);
    return stage;
  }
}

/** A table of which rows are taken: panels of a linear layer, or rows of f32. */
export type Source = { readonly panels: Panels } | { readonly table: Vector };

/** out ← scale·row of the first table + rows of the others. */
export class EmbedStage {
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #width: number;
  readonly #block: number;
  readonly #list: number;
  readonly #count: number;

  constructor(layers: LayerContext, scope: Scope, width: number, scale: number, sources: readonly Source[]) {
    this.#layers = layers;
    this.#scope = scope;
    this.#width = width;
    this.#block = scope.block(field.EMBED_SIZE);
    this.#list = scope.block(field.SOURCE_SIZE * sources.length);
    this.#count = sources.length;
    sources.forEach((source, n) => {
      const writer = scope.writer(this.#list + n * field.SOURCE_SIZE);
      if ('panels' in source) {
        const { type, inputs, pointer } = source.panels;
        writer
          .int(field.SOURCE_TABLE, pointer)
          .int(field.SOURCE_TYPE, weightCode(type))
          .int(field.SOURCE_PANELS, 1)
          .int(field.SOURCE_ROW, panelBytes(type, inputs));
      } else {
        writer
          .int(field.SOURCE_TABLE, source.table.pointer)
          .int(field.SOURCE_TYPE, F32)
          .int(field.SOURCE_ROW, 4 * width);
      }
    });
    scope
      .writer(this.#block)
      .int(field.EMBED_WIDTH, width)
      .f32(field.EMBED_SCALE, scale)
      .int(field.EMBED_SOURCES, sources.length)
      .int(field.EMBED_LIST, this.#list);
  }

  /** @param ids of each table where its rows' numbers lie, i32 [rows] */
  stage(rows: number, ids: readonly number[], out: Rows): Stage {
    const { tile, ...stage } = rowStage('embed', this.#block, rows, this.#width * this.#count, roundUp(4 * this.#width, 16), this.#layers);
    ids.forEach((at, n) => void this.#scope.writer(this.#list + n * field.SOURCE_SIZE).int(field.SOURCE_IDS, at));
    this.#scope
      .writer(this.#block)
      .int(field.EMBED_ROWS, rows)
      .int(field.EMBED_TILE, tile)
      .int(field.EMBED_OUT, out.at)
      .int(field.EMBED_OUT_ROW, out.stride);
    return stage;
  }
}
