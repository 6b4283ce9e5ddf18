// Rotation on its own: from a user's call to a job.

import { finite, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { copyNumbers } from '../arguments/lists.ts';
import { lengthOf, type PositionList, placed } from '../arguments/positions.ts';
import { choice, flag, type Readers, readRecord } from '../arguments/record.ts';
import type { Layout } from '../memory/layout.ts';
import { checkApart, checkOut, placeOperand, readOperand, writeTensor } from '../memory/operands.ts';
import { Scope } from '../memory/scope.ts';
import { layOut } from '../memory/scratch.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Call, Context } from '../plan/context.ts';
import { isEncoding, lowerEncoding } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import { axesOf, explicitTable, isOwn, standardPositions } from '../plan/rotary-table.ts';
import { SMALL_TRAFFIC, threadsFor } from '../plan/work.ts';
import * as field from '../wasm/generated/job.ts';
import { checkRotation } from './lower.ts';
import { outputTensor } from './options.ts';

/** Options of `rotate`. */
export interface RotateOptions {
  /**
   * Position of each row, [L] or [B][L] in one array, [axes][L] or [axes][B][L] for an encoding of several axes; default `offset` …
   * `offset + L − 1`. The encoding's own offset is added.
   */
  readonly positions?: PositionList;
  /** Position of the first row, instead of `positions`; default 0. The encoding's own offset is added. */
  readonly offset?: number;
  /** True turns back: the inverse of the same call without it. */
  readonly inverse?: boolean;
  /** Whether `x` turns as queries (default) or as keys; most schemes treat them alike. */
  readonly role?: 'query' | 'key';
  /** `'bhld'` (default) or `'blhd'`. */
  readonly layout?: 'bhld' | 'blhd';
  /** Written instead of a new tensor. May be `x` itself, else may not overlap it. */
  readonly out?: Tensor;
}

/** Numbers that a tile turns, about: rows of one head, or of all heads where these lie beside one another. */
const TILE_SIZE = 16_384;

/** Options of a call, checked without its shapes. */
export interface CheckedRotation {
  readonly positions?: Float64Array;
  readonly offset?: number;
  readonly inverse?: boolean;
  readonly role?: 'query' | 'key';
  readonly layout?: Layout;
  readonly out?: Tensor;
}

const READERS: Readers<CheckedRotation> = {
  positions: copyNumbers,
  offset: (where, name, value) => finite(where, name, value),
  inverse: flag,
  role: /* @__PURE__ */ choice('query', 'key'),
  layout: /* @__PURE__ */ choice('bhld', 'blhd'),
  out: outputTensor,
};

/** The options as a record of their own. @throws TypeError, RangeError that names the option */
export function checkRotateOptions(where: string, given: unknown): CheckedRotation {
  return readRecord(where, given, READERS);
}

/** Checks a call of `rotate` and gets everything ready for it. */
export function prepareRotation(context: Context, where: string, given: unknown, encoding: Encoding, options: CheckedRotation): Call {
  context.alive();
  const { positions: list, offset = 0, inverse = false, role = 'query', layout = 'bhld' } = options;
  const operand = readOperand(where, 'x', given, context);
  if (operand.shape.length !== 4) throw wrongValue(where, 'x', 'shape [B, H, L, D]', shapeText(operand.shape));
  const [B, second, third, D] = operand.shape as [number, number, number, number];
  const [H, L] = layout === 'bhld' ? [second, third] : [third, second];
  if (!isEncoding(encoding)) throw wrongType(where, 'encoding', 'an encoding that rotates', encoding);
  if (list && options.offset !== undefined) throw wrongType(where, 'offset', 'none beside "positions"', offset);
  const length = list ? lengthOf(list) : L + offset;
  const named = `encoding (${encoding.name})`;
  const asked = { shape: { B, H, G: H, L, S: L, D, E: D }, math: context.math, length, role };
  const { rotation } = lowerEncoding(where, named, encoding, asked, context.arena.memory);
  if (!rotation) throw wrongValue(where, 'encoding', 'an encoding that rotates', encoding.name);
  const { heads = H } = rotation;
  if (H % heads) throw wrongValue(where, 'x', `a multiple of ${heads} heads, which have frequencies of their own`, H);
  checkRotation(where, named, rotation, { D, G: heads });
  if (inverse && rotation.second) throw wrongValue(where, 'inverse', 'false', 'true', 'the channels of a pair turn by two angles');
  const axes = axesOf(rotation);
  const positions = list && placed(where, 'positions', list, { axes, rows: L, batch: B, shift: rotation.offset ?? 0 });
  const out = options.out === undefined ? undefined : checkOut(where, options.out, operand.shape, context);
  if (out && out !== operand) checkApart(where, out, [['x', operand]]);

  const scope = new Scope(context.arena);
  let target: Tensor | undefined;
  try {
    const x = placeOperand(where, operand, context, scope);
    target = out ?? makeTensor(context, where, x.shape);
    const shifted = { ...rotation, offset: (rotation.offset ?? 0) + offset };
    const turn = { rotation: shifted, inverse, keys: role === 'key' };
    const chosen =
      positions ??
      (role === 'query' ? rotation.queryPositions : rotation.keyPositions) ??
      (isOwn(rotation) && axes === 1 ? standardPositions(shifted.offset, L) : undefined);
    const table = chosen
      ? explicitTable(turn, chosen, L, B, scope)
      : context.tables.positions(turn, { first: 0, count: Math.max(1, L) }, scope);
    const { layout: one, layoutOut: other = one } = rotation;
    const [from, to] = inverse ? [other, one] : [one, other];
    const together = layout === 'blhd' ? Math.max(1, H) : 1;
    const rows = Math.max(1, Math.floor(TILE_SIZE / (together * Math.max(1, D))));
    const tiles = B * (H / together) * Math.ceil(L / rows);
    const threads = threadsFor(x.size, SMALL_TRAFFIC, tiles, context.threads);
    const { bytes: scratch } = layOut([8 * D]);
    const job = scope.block(field.JOB_SIZE);
    scope.defer(x.pin());
    if (out) scope.defer(out.pin());
    const writer = scope.writer(job);
    writeTensor(writer, field.Q, x, layout);
    writeTensor(writer, field.OUT, target, layout);
    writer
      .int(field.DIM_H, H)
      .int(field.DIM_G, heads)
      .int(field.DIM_L, L)
      .int(field.DIM_D, D)
      .int(field.QUERIES, rows)
      .int(field.ROTATE_TOGETHER, together)
      .int(field.ROTATE_Q, table.at)
      .int(field.ROTATE_Q_BATCH, table.batch ?? 0)
      .int(field.ROTATE_Q_HEAD, table.head ?? 0)
      .int(field.ROTATE_Q_SECOND, table.second ?? 0)
      .int(field.ROTATE_DIM, rotation.dim)
      .int(field.ROTATE_START, rotation.start ?? 0)
      .int(field.ROTATE_PAIRS_IN, from === 'pairs' ? 1 : 0)
      .int(field.ROTATE_PAIRS_OUT, to === 'pairs' ? 1 : 0)
      .int(field.ROTATE_BLOCKS, rotation.blocks ?? 1);
    const result = target;
    return {
      preparations: table.jobs,
      job: { kernel: 'rotate', job, tiles, scratch, threads, outputs: [target] },
      finish() {
        table.done();
        return { out: result };
      },
      release(failed) {
        scope.release();
        if (failed && result !== out) result.dispose();
      },
    };
  } catch (error) {
    scope.release();
    if (target !== out) target?.dispose();
    throw error;
  }
}
