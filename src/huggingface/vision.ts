// Vision towers: rows and columns of a grid, in the order in which the tower's tokens come.

import { integer, wrongType, wrongValue } from '../arguments/check.ts';
import type { PositionList } from '../arguments/positions.ts';
import { axialRotary } from '../encodings/axial-rotary.ts';
import type { Encoding } from '../plan/plan.ts';
import { count, type HfConfig, headDim, isRecord, number } from './config.ts';
import type { Facts } from './facts.ts';

/** What the options of `rotaryFromConfig` say of an image. */
interface Image {
  readonly grid?: readonly number[];
  readonly positions?: PositionList;
  readonly queryPositions?: PositionList;
  readonly exclude?: number;
}

/**
 * The rotation of a vision tower. `axes` in the table: `blocks` (all pairs of the rows, then all of the columns), `split` (Pixtral),
 * `swapped` (Kimi: columns and rows in turn), `columns` (SAM 3: as `blocks`, columns first), `three` (frames, rows, columns), `memory` (SAM 2,
 * columns first), `centers` (DINOv3).
 */
export function vision(where: string, config: HfConfig, facts: Facts, given: Image): Encoding {
  const { grid, positions, queryPositions, exclude } = given;
  if ((grid === undefined) === (positions === undefined)) {
    throw wrongType(where, 'grid', 'the rows and columns of the image, or positions', grid && positions ? 'both' : undefined);
  }
  const kind = facts.axes as string;
  const theta = thetaOf(where, config, facts);
  const head = visionWidth(where, config, facts);
  const axes = kind === 'three' ? 3 : 2;
  // Three axes need not fill the head: the rest passes.
  const dim = axes === 3 ? 6 * Math.floor(Math.floor(head / 3) / 2) : head;
  if (grid !== undefined && (!Array.isArray(grid) || grid.length !== axes)) throw wrongValue(where, 'grid', `${axes} sizes`, grid);
  const sizes = grid?.map((n, i) => integer(where, `grid[${i}]`, n, 1, 2 ** 20));
  const merge = facts.merge === undefined ? 1 : (count(where, config, 'spatial_merge_size') ?? Number(facts.merge));
  const rows = {
    ...(sizes && (merge > 1 ? { positions: mergeOrder(where, sizes, merge) } : { grid: sizes })),
    ...(positions !== undefined && { positions }),
    ...(queryPositions !== undefined && { queryPositions }),
  };
  const named = (encoding: Encoding): Encoding => ({ ...encoding, name: where });
  if (kind === 'centers') {
    if (!grid) throw wrongType(where, 'grid', 'the rows and columns of the image', grid);
    const registers = number(where, config, 'num_register_tokens') ?? Number(facts.registers ?? 0);
    return named(axialRotary({ dim, theta, layout: 'halves', coordinates: 'centers', scale: 2 * Math.PI, prefix: 1 + registers, ...rows }));
  }
  return named(
    axialRotary({
      dim,
      theta,
      layout: facts.layout as 'halves' | 'pairs',
      frequencies: kind === 'split' ? 'split' : 'shared',
      ...(kind === 'swapped' && { arrangement: 'alternating', axisOrder: [1, 0] }),
      ...((kind === 'memory' || kind === 'columns') && { axisOrder: [1, 0] }),
      ...(kind === 'three' && { axisOrder: [0, 1, 2] }),
      ...rows,
      ...(kind === 'memory' && grid && { repeatKeys: true, exclude: exclude ?? 0 }),
    }),
  );
}

function thetaOf(where: string, config: HfConfig, facts: Facts): number {
  const given = [config.rope_scaling, config.rope_parameters].find(isRecord) ?? {};
  const key = facts.thetaKey ?? 'rope_theta';
  return number(where, given, 'rope_theta') ?? number(where, config, key) ?? Number(facts.theta ?? 10000);
}

/** Coordinates [axes][tokens] of a grid whose tokens come in squares of merge × merge, one square after the other. */
function mergeOrder(where: string, grid: readonly number[], merge: number): Float64Array {
  const [rows, columns] = grid.slice(-2) as [number, number];
  for (const n of [rows, columns]) {
    if (n % merge) throw wrongValue(where, 'grid', `rows and columns that are multiples of spatial_merge_size=${merge}`, grid);
  }
  const frames = grid.length === 3 ? (grid[0] as number) : 1;
  const each = rows * columns;
  const tokens = frames * each;
  const out = new Float64Array(grid.length * tokens);
  const spatial = out.subarray((grid.length - 2) * tokens);
  for (let token = 0; token < tokens; token++) {
    const square = Math.floor((token % each) / (merge * merge));
    const within = token % (merge * merge);
    const across = columns / merge;
    spatial[token] = Math.floor(square / across) * merge + Math.floor(within / merge);
    spatial[tokens + token] = (square % across) * merge + (within % merge);
    if (grid.length === 3) out[token] = Math.floor(token / each);
  }
  return out;
}

function visionWidth(where: string, config: HfConfig, facts: Facts): number {
  if (facts.axes !== 'memory') return headDim(where, config, facts);
  const memory = count(where, config, 'memory_attention_hidden_size') ?? 256;
  const rate = count(where, config, 'memory_attention_downsample_rate') ?? 1;
  return Math.floor(memory / (rate * (count(where, config, 'memory_attention_num_attention_heads') ?? 1)));
}
