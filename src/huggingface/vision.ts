// Vision towers: rows and columns of a grid, in the order in which the tower's tokens come.

import { describe, finite, integer, wrongType, wrongValue } from '../arguments/check.ts';
import type { PositionList } from '../arguments/positions.ts';
import { axialRotary } from '../encodings/axial-rotary.ts';
import { handlersOf, withHandlers } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import { count, type HfConfig, headDim, isRecord, named, number } from './config.ts';
import type { Facts } from './fact-lines.ts';
import { atoms, counted, spread, twofold } from './towers.ts';

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
 * columns first), `centers` (DINOv3), `apart` (Gemma 4: the channels of columns by themselves, then those of rows), `counted` (Llama 4: columns
 * first, from 1 on, and a class token at the end); `spread`, `twofold` and `atoms`: see towers.ts.
 */
export function vision(where: string, config: HfConfig, facts: Facts, given: Image): Encoding {
  const { grid, positions, queryPositions, exclude } = given;
  const kind = facts.axes as string;
  if (exclude !== undefined && !(kind === 'memory' && grid)) {
    throw wrongValue(where, 'exclude', 'none: only the memory of SAM 2 has keys that do not turn', exclude);
  }
  if (kind === 'atoms') return atoms(where, config, facts, headDim(where, config, facts), given);
  if ((grid === undefined) === (positions === undefined)) {
    throw wrongType(where, 'grid', 'the rows and columns of the image, or positions', grid && positions ? 'both' : undefined);
  }
  const theta = thetaOf(where, config, facts);
  const head = headDim(where, config, facts);
  const axes = kind === 'three' || kind === 'twofold' ? 3 : 2;
  // Three axes need not fill the head: the rest passes.
  const dim = kind === 'three' ? 6 * Math.floor(Math.floor(head / 3) / 2) : head;
  if (grid !== undefined && (!Array.isArray(grid) || grid.length !== axes)) throw wrongValue(where, 'grid', `${axes} sizes`, grid);
  const sizes = grid?.map((n, i) => integer(where, `grid[${i}]`, n, 1, 2 ** 20));
  if (sizes) expectSquare(where, config, facts, sizes);
  const merge = facts.merge === undefined ? 1 : (count(where, config, 'spatial_merge_size') ?? Number(facts.merge));
  const rows = {
    ...(sizes && placesOf(where, kind, sizes, merge)),
    ...(positions !== undefined && { positions }),
    ...(queryPositions !== undefined && { queryPositions }),
  };
  const ours = (encoding: Encoding): Encoding => withHandlers({ ...encoding, name: where }, handlersOf(encoding));
  if (kind === 'spread') return spread(where, named(where, config, facts.heads) as number, head, theta, partOf(where, config, facts), rows);
  if (kind === 'twofold') return twofold(where, head, theta, rows);
  if (kind === 'centers') {
    if (!grid) throw wrongType(where, 'grid', 'the rows and columns of the image', grid);
    const registers = number(where, config, 'num_register_tokens') ?? Number(facts.registers ?? 0);
    return ours(axialRotary({ dim, theta, layout: 'halves', coordinates: 'centers', scale: 2 * Math.PI, prefix: 1 + registers, ...rows }));
  }
  return ours(
    axialRotary({
      dim,
      theta,
      layout: facts.layout as 'halves' | 'pairs',
      frequencies: kind === 'split' ? 'split' : 'shared',
      ...(kind === 'swapped' && { arrangement: 'alternating', axisOrder: [1, 0] }),
      ...(kind === 'apart' && { arrangement: 'apart' }),
      ...(COLUMNS_FIRST.has(kind) && { axisOrder: [1, 0] }),
      ...(kind === 'three' && { axisOrder: [0, 1, 2] }),
      ...rows,
      ...(kind === 'memory' && grid && { repeatKeys: true, exclude: exclude ?? 0 }),
    }),
  );
}

const COLUMNS_FIRST: ReadonlySet<string> = new Set(['memory', 'columns', 'apart', 'counted']);

/** The rope parameters. @throws RangeError, TypeError if they would change more than towers know */
function parametersOf(where: string, config: HfConfig): HfConfig {
  const given = [config.rope_scaling, config.rope_parameters].find(isRecord) ?? {};
  const type = given.rope_type ?? given.type ?? 'default';
  if (type !== 'default' && type !== 'axial')
    throw wrongValue(where, 'rope_type', '"axial" or "default" in a vision tower', describe(type));
  const known = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor', 'max_position_embeddings', 'original_max_position_embeddings'];
  const other = Object.keys(given).find((key) => !known.includes(key));
  if (other !== undefined) {
    throw new TypeError(`${where}: "rope_parameters.${other}" is unknown, and might change the rotation; leave it out if it does not`);
  }
  return given;
}

function thetaOf(where: string, config: HfConfig, facts: Facts): number {
  const given = parametersOf(where, config);
  const key = facts.thetaKey ?? 'rope_theta';
  const theta = key ? (number(where, given, 'rope_theta') ?? number(where, config, key)) : undefined;
  return finite(where, key, theta ?? Number(facts.theta ?? 10000), 0);
}

const partOf = (where: string, config: HfConfig, facts: Facts): number => {
  const key = 'partial_rotary_factor';
  return number(where, parametersOf(where, config), key) ?? number(where, config, key) ?? Number(facts.part);
};

/** Some models count rows and columns by the image size of their config, whatever image they are given. */
function expectSquare(where: string, config: HfConfig, facts: Facts, grid: readonly number[]): void {
  if (facts.square === undefined) return;
  const [image = 0, patch = 0] = facts.square.split(',').map((said) => named(where, config, said));
  const side = Math.floor(image / patch);
  if (grid.slice(-2).some((n) => n !== side)) {
    const keys = facts.square.split(',').map((said) => said.split(':')[0]);
    throw wrongValue(where, 'grid', `${side} rows and columns, ${keys.join(' / ')}`, grid);
  }
}

/** The tokens of a grid in the model's order. */
function placesOf(
  where: string,
  kind: string,
  sizes: readonly number[],
  merge: number,
): { positions: Float64Array } | { grid: readonly number[] } {
  if (kind === 'counted') return { positions: counted(sizes as [number, number]) };
  return merge > 1 ? { positions: mergeOrder(where, sizes, merge) } : { grid: sizes };
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
