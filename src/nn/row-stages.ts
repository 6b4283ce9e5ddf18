// What goes row by row as stages of a job: each has a parameter block, which is written once, and what of it is new in each call. Blocks belong to
// the scope; from `stage` until the job has run a block is its own, so an operation that occurs twice in a job has two. Pointers are byte addresses,
// strides bytes, rows f32 side by side; a pointer of 0 means that there is none.

import type { DType } from '../memory/dtypes.ts';
import { DTYPES } from '../memory/dtypes.ts';
import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import type { Context } from '../plan/context.ts';
import type { Stage } from '../threads/types.ts';
import * as field from '../wasm/generated/layers.ts';
import { type Activation, activationCode } from './activations.ts';
import { cut, RowStage, type Writes } from './row-stage.ts';
import { panelBytes, type WeightType, weightCode } from './weights.ts';

/** `'layer'`: (x − mean)/√(var + ε); `'rms'`: x/√(mean x² + ε); `'unit'`: x/max(‖x‖, ε). */
export type NormKind = 'layer' | 'rms' | 'unit';

const NORMS: Readonly<Record<NormKind, number>> = { layer: field.NORM_LAYER, rms: field.NORM_RMS, unit: field.NORM_UNIT };

export interface NormParts {
  readonly kind: NormKind;
  readonly width: number;
  /** Parts of a row that are normalised each by itself; default 1. */
  readonly heads?: number;
  readonly epsilon: number;
  /** f32 [width]. */
  readonly weight?: number;
  readonly bias?: number;
  /** Added to the weights; default 0. */
  readonly offset?: number;
}

export interface NormRows extends Writes {
  readonly rows: number;
  readonly x: number;
  readonly xRow: number;
  /** From part to part of a row; default one after another. */
  readonly xHead?: number;
  /** May be `x`. */
  readonly out: number;
  readonly outRow: number;
  readonly outHead?: number;
  /** Added to x first, with one head. */
  readonly residual?: number;
  readonly residualRow?: number;
  /** Where that sum goes: may be `x` or `residual`. */
  readonly sum?: number;
  readonly sumRow?: number;
}

/** out = norm(x + residual)·(weight + offset) + bias; sum = x + residual. */
export class NormStage extends RowStage {
  readonly #width: number;
  readonly #heads: number;

  constructor(context: Context, scope: Scope, { kind, width, heads = 1, epsilon, weight = 0, bias = 0, offset = 0 }: NormParts) {
    super(context, scope, field.NORM_SIZE);
    this.#width = width;
    this.#heads = heads;
    this.writer
      .int(field.NORM_KIND, NORMS[kind])
      .int(field.NORM_HEADS, heads)
      .int(field.NORM_WIDTH, width)
      .int(field.NORM_WEIGHT, weight)
      .int(field.NORM_BIAS, bias)
      .f32(field.NORM_OFFSET, offset)
      .f64(field.NORM_EPSILON, epsilon);
  }

  stage(given: NormRows): Stage {
    const { rows, residual = 0, residualRow = 0, sum = 0, sumRow = 0, outputs } = given;
    const side = 4 * this.#width;
    const width = this.#width * this.#heads;
    const { tile, tiles } = cut(rows, width, this.context.threads);
    this.writer
      .int(field.NORM_ROWS, rows)
      .int(field.NORM_TILE, tile)
      .int(field.NORM_X, given.x)
      .int(field.NORM_X_ROW, given.xRow)
      .int(field.NORM_X_HEAD, given.xHead ?? side)
      .int(field.NORM_OUT, given.out)
      .int(field.NORM_OUT_ROW, given.outRow)
      .int(field.NORM_OUT_HEAD, given.outHead ?? side)
      .int(field.NORM_RESIDUAL, residual)
      .int(field.NORM_RESIDUAL_ROW, residualRow)
      .int(field.NORM_SUM, sum)
      .int(field.NORM_SUM_ROW, sumRow);
    return this.whole('norm', rows * width, tiles, residual && !sum ? side : 0, outputs);
  }
}

/** A table of rows that are looked up. */
export interface EmbedTable {
  readonly pointer: number;
  /** Its element type; of panels, that of the weights. */
  readonly type: DType | WeightType;
  /** The table lies in the panels of a linear layer with `width` inputs, whose output channels are its rows. */
  readonly panels?: boolean;
  /** Bytes from row to row; of panels nothing. */
  readonly row?: number;
  /** f32, one for each row, of i8 that is not in panels. */
  readonly scales?: number;
}

export interface EmbedParts {
  readonly width: number;
  /** Multiplies the rows of the first table; default 1. */
  readonly scale?: number;
  /** At least one; the rows of the others are added in their order. */
  readonly tables: readonly EmbedTable[];
}

export interface EmbedRows extends Writes {
  readonly rows: number;
  readonly out: number;
  readonly outRow: number;
  /** For each table which of its rows are meant: i32 [rows] at an address, or `first`, `first + 1` … They are not checked here. */
  readonly ids: readonly (number | { readonly first: number })[];
}

/** out[r] = scale·table[ids[r]] + other[otherIds[r]] + … */
export class EmbedStage extends RowStage {
  readonly #parts: EmbedParts;
  readonly #list: () => ReturnType<Scope['writer']>;

  constructor(context: Context, scope: Scope, parts: EmbedParts) {
    super(context, scope, field.EMBED_SIZE);
    const { width, scale = 1, tables } = parts;
    this.#parts = parts;
    const at = scope.block(field.SOURCE_SIZE * tables.length);
    this.#list = () => scope.writer(at);
    const list = this.#list();
    tables.forEach(({ pointer, type, panels = false, row = 0, scales = 0 }, n) => {
      const source = n * field.SOURCE_SIZE;
      list
        .int(source + field.SOURCE_TABLE, pointer)
        .int(source + field.SOURCE_TYPE, panels ? weightCode(type as WeightType) : DTYPES[type as DType].code)
        .int(source + field.SOURCE_PANELS, panels ? 1 : 0)
        .int(source + field.SOURCE_ROW, panels ? panelBytes(type as WeightType, width) : row)
        .int(source + field.SOURCE_SCALES, scales);
    });
    this.writer
      .int(field.EMBED_WIDTH, width)
      .f32(field.EMBED_SCALE, scale)
      .int(field.EMBED_SOURCES, tables.length)
      .int(field.EMBED_LIST, at);
  }

  stage({ rows, out, outRow, ids, outputs }: EmbedRows): Stage {
    const { width, tables } = this.#parts;
    const { tile, tiles } = cut(rows, width * tables.length, this.context.threads);
    const list = this.#list();
    ids.forEach((id, n) => {
      const source = n * field.SOURCE_SIZE;
      list
        .int(source + field.SOURCE_IDS, typeof id === 'number' ? id : 0)
        .int(source + field.SOURCE_FIRST, typeof id === 'number' ? 0 : id.first);
    });
    this.writer.int(field.EMBED_ROWS, rows).int(field.EMBED_TILE, tile).int(field.EMBED_OUT, out).int(field.EMBED_OUT_ROW, outRow);
    return this.whole('embed', rows * width * tables.length, tiles, 4 * roundUp(width, field.BLOCK), outputs);
  }
}

/**
 * `'cls'`: the first row of a text; `'last'`; `'sum'`; `'mean'`; `'max'`: of each channel; `'mean_sqrt_len'`: the sum by √n; `'weightedmean'`: row i counts
 * i + 1 times. As sentence-transformers calls them, but for `'last'`, its `lasttoken`.
 */
export type Pooling = 'cls' | 'last' | 'sum' | 'mean' | 'max' | 'mean_sqrt_len' | 'weightedmean';

const POOLINGS: Readonly<Record<Pooling, number>> = {
  cls: field.POOL_FIRST,
  last: field.POOL_LAST,
  sum: field.POOL_SUM,
  mean: field.POOL_MEAN,
  max: field.POOL_MAX,
  mean_sqrt_len: field.POOL_MEAN_ROOT,
  weightedmean: field.POOL_WEIGHTED,
};

export const POOLING_NAMES = /* @__PURE__ */ Object.keys(POOLINGS) as readonly Pooling[];

export interface PoolRows extends Writes {
  /** Texts, and rows of all of them. */
  readonly texts: number;
  readonly rows: number;
  readonly x: number;
  readonly xRow: number;
  /** i32 [texts + 1]: where each text begins, and the end of the last. */
  readonly starts: number;
  readonly out: number;
  readonly outRow: number;
}

/** out[t] = the rows of text t as one; 0 if it has none. */
export class PoolStage extends RowStage {
  readonly #width: number;

  constructor(context: Context, scope: Scope, { kind, width }: { readonly kind: Pooling; readonly width: number }) {
    super(context, scope, field.POOL_SIZE);
    this.#width = width;
    this.writer.int(field.POOL_KIND, POOLINGS[kind]).int(field.POOL_WIDTH, width);
  }

  stage({ texts, rows, x, xRow, starts, out, outRow, outputs }: PoolRows): Stage {
    const { tile, tiles } = cut(texts, (this.#width * rows) / texts, this.context.threads);
    this.writer
      .int(field.POOL_TEXTS, texts)
      .int(field.POOL_TILE, tile)
      .int(field.POOL_X, x)
      .int(field.POOL_X_ROW, xRow)
      .int(field.POOL_STARTS, starts)
      .int(field.POOL_OUT, out)
      .int(field.POOL_OUT_ROW, outRow);
    return this.whole('pool', rows * this.#width, tiles, 0, outputs);
  }
}

export interface MapParts {
  readonly width: number;
  readonly activation?: Activation | undefined;
  /** Both default to 1. */
  readonly factor?: number;
  readonly divisor?: number;
  /** What comes of that is at most so large, with either sign; default of any size. */
  readonly limit?: number;
  /** What b does, if there is one: default `'add'`. */
  readonly with?: 'add' | 'multiply';
}

export interface MapRows extends Writes {
  readonly rows: number;
  readonly a: number;
  readonly aRow: number;
  readonly b?: number;
  readonly bRow?: number;
  /** May be `a` or `b`. */
  readonly out: number;
  readonly outRow: number;
}

/** out = factor·act(a/divisor), held within ± limit, and that + b or ·b. The soft cap c of logits is activation `'tanh'` with divisor and factor c. */
export class MapStage extends RowStage {
  readonly #width: number;

  constructor(context: Context, scope: Scope, { width, activation, factor = 1, divisor = 1, limit = 0, with: what = 'add' }: MapParts) {
    super(context, scope, field.MAP_SIZE);
    this.#width = width;
    this.writer
      .int(field.MAP_WIDTH, width)
      .int(field.MAP_ACTIVATION, activationCode(activation))
      .f32(field.MAP_FACTOR, factor)
      .f32(field.MAP_DIVISOR, divisor)
      .f32(field.MAP_LIMIT, limit)
      .int(field.MAP_ADD, what === 'add' ? 1 : 0);
  }

  stage({ rows, a, aRow, b = 0, bRow = 0, out, outRow, outputs }: MapRows): Stage {
    const { tile, tiles } = cut(rows, this.#width, this.context.threads);
    this.writer
      .int(field.MAP_ROWS, rows)
      .int(field.MAP_TILE, tile)
      .int(field.MAP_A, a)
      .int(field.MAP_A_ROW, aRow)
      .int(field.MAP_B, b)
      .int(field.MAP_B_ROW, bRow)
      .int(field.MAP_OUT, out)
      .int(field.MAP_OUT_ROW, outRow);
    return this.whole('map', rows * this.#width, tiles, 4 * field.MAP_PIECE, outputs);
  }
}
