import { boolean, finite, integer, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { copyNumbers, copySizes, holdsNumbers, type Numbers, placeOf } from '../arguments/lists.ts';
import { expectShape } from '../arguments/numbers.ts';
import { explicitPositions, type PositionList, part, positionList } from '../arguments/positions.ts';
import { withHandlers } from '../plan/handlers.ts';
import { once } from '../plan/once.ts';
import type { Arithmetic, Encoding, LowerContext, Positions } from '../plan/plan.ts';
import { checkDim, checkLayout, type RotaryLayout, startOf } from '../rope/rope.ts';
import { checkBase, plainFrequencies } from '../rope/rope-scaling.ts';
import { type Recipes, squareOf } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `axialRotary`. n is the number of axes. */
export interface AxialRotaryOptions {
  /** Channels that turn, R: a multiple of 2n, at most D. */
  readonly dim: number;
  readonly layout: RotaryLayout;
  /** Base of the frequencies; needed for `'shared'` and `'split'`. */
  readonly theta?: number;
  /**
   * - `'shared'`, the default: every axis has the frequencies b^(−2k/(R/n)), k = 0 … R/(2n) − 1.
   * - `'split'`: axis a has every n-th of the frequencies b^(−2i/R), from the a-th on (Pixtral).
   * - `{ maxResolution, linear? }`: every axis has π·2^t, t from 0 to log2(maxResolution) − 1 in equal steps, or, `linear`, π times equal
   *   steps from 1 to maxResolution/2 (timm's pixel bands).
   * - numbers [n][R/2]: the angle is Σ_axis position · frequency (learned frequencies of LightGlue);
   * - numbers [n][G][R/2]: the same, of each head by itself (timm's `RotaryEmbeddingMixed`: `rope.freqs[:, layer]`, whose axes are columns,
   *   then rows: `axisOrder: [1, 0]`).
   */
  readonly frequencies?: 'shared' | 'split' | { readonly maxResolution: number; readonly linear?: boolean } | Numbers;
  /** Multiplies every frequency; default 1. DINOv3: 2π. */
  readonly scale?: number;
  /**
   * - `'blocks'`, the default: first all pairs of axis 0, then all of axis 1 …
   * - `'alternating'`: pair i belongs to axis i mod n.
   * - `'apart'`: as `'blocks'`, but the R/n channels of an axis turn by themselves, so that `'halves'` are the pairs (i, i + R/(2n)) within
   *   them (Gemma 4's vision tower).
   */
  readonly arrangement?: 'blocks' | 'alternating' | 'apart';
  /** The coordinate that each place of the arrangement, or each line of given frequencies, reads; default 0, 1, 2 … */
  readonly axisOrder?: readonly number[];
  /** Sizes of the grid of tokens, outermost first, such as [rows, columns] or [frames, rows, columns]; else give `positions`. */
  readonly grid?: readonly number[];
  /** Coordinates of the n cells along an axis: `'index'` i, the default; `'centers'` 2(i + ½)/n − 1; `'ends'` 2i/(n − 1) − 1. */
  readonly coordinates?: 'index' | 'centers' | 'ends';
  /** Sizes of the grid that the model was trained on: coordinates are multiplied by its size over the grid's. */
  readonly referenceGrid?: readonly number[];
  /** Added to every coordinate before `referenceGrid` counts; default 0. */
  readonly gridOffset?: number;
  /** Tokens before the grid that do not turn (CLS, registers); default 0. */
  readonly prefix?: number;
  /** Keys at the end that do not turn; default 0. */
  readonly exclude?: number;
  /** True: the keys may be the grid several times over (SAM 2's memory). */
  readonly repeatKeys?: boolean;
  /** Positions of the keys, [n][S] or [n][B][S] in one array; the queries take the last L, or `queryPositions`. */
  readonly positions?: PositionList;
  readonly queryPositions?: PositionList;
  readonly start?: number | 'end';
  readonly layoutOut?: RotaryLayout;
}

const OPTIONS = [
  ...['dim', 'layout', 'theta', 'frequencies', 'scale', 'arrangement', 'axisOrder', 'grid', 'coordinates', 'referenceGrid', 'gridOffset'],
  ...['prefix', 'exclude', 'repeatKeys', 'positions', 'queryPositions', 'start', 'layoutOut'],
];

/**
 * Rotary embedding on a grid of two or more axes: the pairs are dealt out to the axes, and each turns by coordinate · frequency.
 *
 * Qwen2-VL, GLM-4V and other vision towers (`'shared'`, halves); SAM 2 (`'shared'`, pairs, `repeatKeys`, `exclude`); Pixtral (`'split'`,
 * halves); RoPE-ViT and EVA of timm with `rope_type='mixed'` (learned frequencies by head, pairs; Heo et al. 2024, arXiv 2403.13298);
 * DINOv3 (`theta: 100`, `coordinates: 'centers'`, `scale: 2 * Math.PI`, `prefix`); EVA and timm (`referenceGrid`, pixel bands);
 * video with a grid of three axes. Config keys: `rope_theta`; `rotaryFromConfig` knows the models.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = axialRotary({ dim: 64, theta: 10000, layout: 'halves', grid: [16, 24] });
 * const dino = axialRotary({
 *   dim: 64, theta: 100, layout: 'halves', grid: [14, 14], coordinates: 'centers', scale: 2 * Math.PI, prefix: 5,
 * });
 * ```
 */
export function axialRotary(given: AxialRotaryOptions): Encoding {
  const where = 'axialRotary';
  given = options(where, given, OPTIONS);
  const dim = checkDim(where, given.dim);
  const { layout, layoutOut, start } = checkLayout(where, given);
  const grid = given.grid === undefined ? undefined : sizes(where, 'grid', given.grid);
  const keys = positionList(where, 'positions', given.positions);
  const queries = positionList(where, 'queryPositions', given.queryPositions);
  if ((grid === undefined) === (keys === undefined)) {
    throw wrongType(where, 'grid', 'either a grid or positions', grid && keys ? 'both' : undefined);
  }
  const order = given.axisOrder === undefined ? undefined : sizes(where, 'axisOrder', given.axisOrder, 0);
  const axes = grid?.length ?? order?.length ?? 2;
  const arrangement = oneOf(where, 'arrangement', given.arrangement ?? 'blocks', ['blocks', 'alternating', 'apart']);
  const blocks = arrangement === 'apart' ? axes : 1;
  if (dim % (2 * blocks)) throw wrongValue(where, 'dim', `a multiple of ${2 * blocks} for ${axes} axes apart`, dim);
  const { heads, matrix } = frequencyMatrix(where, given, dim, axes, order ?? Array.from({ length: axes }, (_, a) => a));
  const place = grid && gridPlacer(where, given, grid);
  return withHandlers({
    name: where,
    lower(context) {
      const positions = place ? place(context) : explicitPositions({ where, axes, offset: 0, keys, queries }, context);
      const first = startOf(where, start, dim, context.shape.D);
      const frequencies = matrix(context.math);
      return { rotation: { dim, start: first, layout, ...(layoutOut && { layoutOut }), blocks, frequencies, heads, ...positions } };
    },
  });
}

const sizes = (where: string, name: string, given: unknown, least = 1): number[] => copySizes(where, name, given, least, 2 ** 20);

/** The frequencies [heads][axes][R/2], to be computed when the arithmetic is there. */
interface FrequencyMatrix {
  readonly heads: number;
  matrix(math: Arithmetic): Float64Array;
}

function frequencyMatrix(where: string, given: AxialRotaryOptions, dim: number, axes: number, order: readonly number[]): FrequencyMatrix {
  const { frequencies = 'shared' } = given;
  const pairs = dim / 2;
  const scale = finite(where, 'scale', given.scale ?? 1);
  if (order.length !== axes || order.some((axis) => axis >= axes)) {
    throw wrongValue(where, 'axisOrder', `${axes} of the axes 0 … ${axes - 1}`, order);
  }
  if (holdsNumbers(frequencies)) return givenFrequencies(where, frequencies, pairs, order, scale);
  if (dim % (2 * axes)) throw wrongValue(where, 'dim', `a multiple of ${2 * axes} for ${axes} axes`, dim);
  const bands = bandsOf(where, frequencies, given.theta, dim, axes);
  const matrix = once((math: Arithmetic) => {
    const of = bands(math);
    const matrix = new Float64Array(axes * pairs);
    for (let pair = 0; pair < pairs; pair++) {
      const each = pairs / axes;
      const [place, k] =
        given.arrangement === 'alternating' ? [pair % axes, Math.floor(pair / axes)] : [Math.floor(pair / each), pair % each];
      matrix[(order[place] as number) * pairs + pair] = scale * of(place, k);
    }
    return matrix;
  });
  return { heads: 1, matrix };
}

/** Frequencies that are given, [axes][R/2] or [axes][heads][R/2], each line at the axis that it reads. */
function givenFrequencies(where: string, given: unknown, pairs: number, order: readonly number[], scale: number): FrequencyMatrix {
  const list = copyNumbers(where, 'frequencies', given);
  const axes = order.length;
  const heads = list.length / (axes * pairs);
  if (!Number.isInteger(heads) || heads < 1) {
    throw wrongValue(where, 'frequencies', `[${axes}, ${pairs}] numbers`, `${list.length}`, `by head [${axes}, heads, ${pairs}]`);
  }
  if (heads > 1) expectShape(where, 'frequencies', list, [axes, heads, pairs]);
  else expectShape(where, 'frequencies', list, [axes, pairs]);
  const matrix = new Float64Array(list.length);
  list.forEach((f, n) => {
    const [line, h, pair] = [Math.floor(n / (heads * pairs)), Math.floor(n / pairs) % heads, n % pairs];
    // Two lines may read one axis.
    const to = (h * axes + (order[line] as number)) * pairs + pair;
    matrix[to] = (matrix[to] as number) + scale * f;
  });
  return { heads, matrix: () => matrix };
}

/** The k-th frequency of the axis in each place. */
function bandsOf(
  where: string,
  kind: unknown,
  theta: unknown,
  dim: number,
  axes: number,
): (math: Arithmetic) => (place: number, k: number) => number {
  const each = dim / 2 / axes;
  if (typeof kind === 'object' && kind !== null) {
    const { maxResolution, linear = false } = options(where, kind, ['maxResolution', 'linear'], 'frequencies');
    const most = finite(where, 'frequencies.maxResolution', maxResolution, 0);
    const straight = boolean(where, 'frequencies.linear', linear);
    return (math) => {
      const octaves = math.log(most) / math.log(2) - 1;
      const along = (k: number): number => (each === 1 ? 0 : k / (each - 1));
      return (_, k) => Math.PI * (straight ? 1 + along(k) * (most / 2 - 1) : math.pow(2, along(k) * octaves));
    };
  }
  const split = oneOf(where, 'frequencies', kind, ['shared', 'split']) === 'split';
  const base = checkBase(where, theta);
  return (math) => {
    const plain = plainFrequencies(split ? dim : dim / axes, base, math);
    return (place, k) => plain[split ? k * axes + place : k] as number;
  };
}

/** Positions of queries and keys that are the cells of a grid. */
function gridPlacer(where: string, given: AxialRotaryOptions, grid: readonly number[]) {
  const prefix = integer(where, 'prefix', given.prefix ?? 0, 0);
  const exclude = integer(where, 'exclude', given.exclude ?? 0, 0);
  const repeat = boolean(where, 'repeatKeys', given.repeatKeys ?? false);
  const cells = gridCoordinates(where, given, grid);
  const count = grid.reduce((product, n) => product * n, 1);
  const lines = (name: string, rows: number, skipped: number, many: boolean): Positions => {
    const times = (rows - prefix - skipped) / count;
    const parts = `${prefix ? `${prefix} + ` : ''}${many ? 'n·' : ''}${count}${skipped ? ` + ${skipped}` : ''}`;
    if (!Number.isInteger(times) || times < 1 || (times > 1 && !many)) throw wrongValue(where, 'grid', `${parts} ${name}`, `${rows}`);
    const values = new Float64Array(grid.length * rows);
    cells.forEach((line, axis) => {
      for (let n = 0; n < times; n++) values.set(line, axis * rows + prefix + n * count);
    });
    return { values, batched: false };
  };
  return (context: LowerContext): { keyPositions?: Positions; queryPositions?: Positions } => {
    const { shape, role } = context;
    const { totalKeys, keyOffset } = placeOf(context);
    const keys = (): Positions => part(lines('keys', totalKeys, exclude, repeat), totalKeys, keyOffset, shape.S);
    return {
      ...(role !== 'key' && { queryPositions: lines('queries', shape.L, 0, false) }),
      ...(role !== 'query' && { keyPositions: keys() }),
    };
  };
}

/** For each axis the coordinate of every cell, the last axis fastest. */
function gridCoordinates(where: string, given: AxialRotaryOptions, grid: readonly number[]): Float64Array[] {
  const kind = oneOf(where, 'coordinates', given.coordinates ?? 'index', ['index', 'centers', 'ends']);
  const shift = finite(where, 'gridOffset', given.gridOffset ?? 0);
  const reference = given.referenceGrid === undefined ? undefined : sizes(where, 'referenceGrid', given.referenceGrid);
  if (reference && reference.length !== grid.length) throw wrongValue(where, 'referenceGrid', `${grid.length} sizes`, reference);
  const count = grid.reduce((product, n) => product * n, 1);
  let inner = count;
  return grid.map((n, axis) => {
    inner /= n;
    const step = inner;
    return Float64Array.from({ length: count }, (_, cell) => {
      const i = Math.floor(cell / step) % n;
      const at = kind === 'index' ? i : kind === 'centers' ? (2 * (i + 0.5)) / n - 1 : n === 1 ? -1 : (2 * i) / (n - 1) - 1;
      return reference ? ((at + shift) / n) * (reference[axis] as number) : at + shift;
    });
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'axialRotary',
    formula: 'q, k turned by the sum over axes of coordinate · frequency',
    options:
      'dim, layout, theta, frequencies, scale, arrangement, axisOrder, grid, coordinates, referenceGrid, gridOffset, prefix, exclude, repeatKeys, positions, queryPositions, start, layoutOut',
    models: 'Qwen2-VL vision, Pixtral, DINOv3, SAM 2, EVA, RoPE-ViT',
    make: axialRotary,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  axialRotary: { kind: 'rotation', form: 'square', options: ({ L, D }) => ({ dim: D, theta: 100, layout: 'halves', grid: squareOf(L) }) },
};
