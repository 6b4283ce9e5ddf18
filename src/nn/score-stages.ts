// What becomes of scores, row by row: probabilities, and the largest of them. Blocks and pointers are those of row-stages.ts.

import type { Scope } from '../memory/scope.ts';
import type { Context } from '../plan/context.ts';
import type { Stage } from '../threads/types.ts';
import * as field from '../wasm/generated/layers.ts';
import { RowStage, type Writes } from './row-stage.ts';

export interface SoftmaxRows extends Writes {
  readonly rows: number;
  readonly x: number;
  readonly xRow: number;
  /** May be `x`. */
  readonly out: number;
  readonly outRow: number;
  /** Temperature; default 1. */
  readonly divisor?: number;
}

/** out = softmax(x/divisor), or its logarithm. */
export class SoftmaxStage extends RowStage {
  readonly #width: number;

  constructor(context: Context, scope: Scope, { width, log = false }: { readonly width: number; readonly log?: boolean }) {
    super(context, scope, field.SOFTMAX_SIZE);
    this.#width = width;
    this.writer.int(field.SOFTMAX_WIDTH, width).int(field.SOFTMAX_LOG, log ? 1 : 0);
  }

  stage({ rows, x, xRow, out, outRow, divisor = 1, outputs }: SoftmaxRows): Stage {
    this.writer
      .int(field.SOFTMAX_X, x)
      .int(field.SOFTMAX_X_ROW, xRow)
      .int(field.SOFTMAX_OUT, out)
      .int(field.SOFTMAX_OUT_ROW, outRow)
      .f32(field.SOFTMAX_DIVISOR, divisor);
    return this.whole('softmax', 4 * rows * this.#width, rows, 0, outputs);
  }
}

export interface TopRows extends Writes {
  readonly rows: number;
  readonly count: number;
  readonly x: number;
  readonly xRow: number;
  /** f32 [rows, count] and i32 [rows, count], one after another. */
  readonly values: number;
  readonly indices: number;
}

/** The `count` largest of each row in descending order, of equal ones the first in the row first; NaN counts as the largest. */
export class TopStage extends RowStage {
  readonly #width: number;

  constructor(context: Context, scope: Scope, width: number) {
    super(context, scope, field.TOP_SIZE);
    this.#width = width;
    this.writer.int(field.TOP_WIDTH, width);
  }

  stage({ rows, count, x, xRow, values, indices, outputs }: TopRows): Stage {
    this.writer
      .int(field.TOP_COUNT, count)
      .int(field.TOP_X, x)
      .int(field.TOP_X_ROW, xRow)
      .int(field.TOP_VALUES, values)
      .int(field.TOP_INDICES, indices);
    return this.whole('top', rows * this.#width, rows, 0, outputs);
  }
}
