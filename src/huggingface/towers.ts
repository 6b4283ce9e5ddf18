// Vision towers and other encoders that deal out frequencies as no other does.

import { finite, wrongType, wrongValue } from '../arguments/check.ts';
import { type PositionList, positionList } from '../arguments/positions.ts';
import { axialRotary } from '../encodings/axial-rotary.ts';
import { withHandlers } from '../plan/handlers.ts';
import { once } from '../plan/once.ts';
import type { Arithmetic, Encoding, LowerContext } from '../plan/plan.ts';
import { plainFrequencies } from '../rope/rope-scaling.ts';
import { count, type HfConfig, number } from './config.ts';
import type { Facts } from './fact-lines.ts';

/** Where the tokens of an image are. */
export interface Rows {
  readonly grid?: readonly number[];
  readonly positions?: PositionList;
  readonly queryPositions?: PositionList;
}

/** Copies of lists: the encoding is made later. */
const own = (where: string, { grid, positions, queryPositions }: Rows): Rows => ({
  ...(grid && { grid: [...grid] }),
  ...(positions !== undefined && { positions: positionList(where, 'positions', positions) as Float64Array }),
  ...(queryPositions !== undefined && { queryPositions: positionList(where, 'queryPositions', queryPositions) as Float64Array }),
});

/** An encoding whose frequencies need the engine's arithmetic. */
function late(name: string, make: (math: Arithmetic) => Encoding): Encoding {
  const made = once(make);
  return withHandlers({ name, lower: (context: LowerContext) => made(context.math).lower(context) });
}

/**
 * EfficientLoFTR turns the channels of all heads as those of one: rows and columns, counted from 1, have its pairs by turns, and a head has
 * the frequencies of its place.
 */
export function spread(where: string, heads: number, D: number, theta: number, part: number, given: Rows): Encoding {
  const width = Math.floor(D * part);
  if (2 * width !== heads * D || width % 2 || D % 2) {
    throw wrongValue(where, 'partial_rotary_factor', `${heads / 2}, half the heads, and heads of an even width`, `${part}, width ${D}`);
  }
  const rows = own(where, given);
  return late(where, (math) => {
    const plain = plainFrequencies(width, theta, math);
    const all = (heads * D) / 2;
    const frequencies = new Float64Array(2 * all);
    for (let pair = 0; pair < all; pair++) frequencies[(pair % 2) * all + pair] = plain[pair >> 1] as number;
    return axialRotary({ dim: D, layout: 'pairs', frequencies, axisOrder: [0, 1], ...(rows.grid && { gridOffset: 1 }), ...rows });
  });
}

/**
 * V-JEPA 2: frames, rows and columns turn a third of the channels each, in pairs of neighbours, but the list of frequencies is repeated whole
 * where pairs want each frequency twice, so that the two channels of a pair turn by two angles.
 */
export function twofold(where: string, D: number, theta: number, given: Rows): Encoding {
  const half = Math.floor(Math.floor(D / 3) / 2);
  if (half < 1) throw wrongValue(where, 'hidden_size', 'heads of at least 6 channels', `${D}`);
  const rows = own(where, given);
  const matrix = (math: Arithmetic, odd: number): Float64Array => {
    const plain = plainFrequencies(2 * half, theta, math);
    const out = new Float64Array(9 * half);
    for (let axis = 0; axis < 3; axis++) {
      for (let i = 0; i < half; i++) out[axis * 3 * half + axis * half + i] = plain[(2 * i + odd) % half] as number;
    }
    return out;
  };
  return late(where, (math) => {
    const { lower } = axialRotary({ dim: 6 * half, layout: 'pairs', frequencies: matrix(math, 0), axisOrder: [0, 1, 2], ...rows });
    const second = matrix(math, 1);
    return {
      name: where,
      lower(context) {
        const { rotation } = lower(context);
        return rotation ? { rotation: { ...rotation, second } } : {};
      },
    };
  });
}

/** ESMFold2's atoms: pairs for x, y and z, then for the number of the residue; what is left of the head passes. */
export function atoms(where: string, config: HfConfig, facts: Facts, D: number, given: Rows): Encoding {
  if (given.positions === undefined || given.grid !== undefined) {
    throw wrongType(where, 'positions', 'x, y and z of every atom and the number of its residue, [4][S], and no grid', given.positions);
  }
  const [perAxis, spatialBase] = pairsAndBase(where, config, facts.spatial);
  const [more, residueBase] = pairsAndBase(where, config, facts.residue);
  const pairs = D >> 1;
  if (D % 2 || 3 * perAxis + more > pairs)
    throw wrongValue(where, 'num_uid_rope_pairs', `${pairs} pairs in all`, `3·${perAxis} + ${more} in a head of ${D}`);
  const rows = own(where, given);
  return late(where, (math) => {
    const frequencies = new Float64Array(4 * pairs);
    const put = (axis: number, n: number, base: number): void => {
      frequencies.set(plainFrequencies(2 * n, base, math), axis * pairs + axis * perAxis);
    };
    for (let axis = 0; axis < 3; axis++) if (perAxis) put(axis, perAxis, spatialBase);
    if (more) put(3, more, residueBase);
    return axialRotary({ dim: D, layout: 'halves', frequencies, axisOrder: [0, 1, 2, 3], ...rows });
  });
}

/** `PAIRS:DEFAULT,BASE:DEFAULT` */
function pairsAndBase(where: string, config: HfConfig, said = ''): [number, number] {
  const [pairs, base] = said.split(',').map((one) => one.split(':') as [string, string]);
  const [[pairsKey, defaultPairs], [baseKey, defaultBase]] = [pairs as [string, string], base as [string, string]];
  const given = number(where, config, baseKey) ?? Number(defaultBase);
  return [config[pairsKey] === 0 ? 0 : (count(where, config, pairsKey) ?? Number(defaultPairs)), finite(where, baseKey, given, 0)];
}

/** Llama 4: rows and columns from 1 on, then the class token at 0, [2][rows·columns + 1]. */
export function counted([rows, columns]: readonly [number, number]): Float64Array {
  const cells = rows * columns;
  const out = new Float64Array(2 * (cells + 1));
  for (let n = 0; n < cells; n++) {
    out[n] = Math.floor(n / columns) + 1;
    out[cells + 1 + n] = (n % columns) + 1;
  }
  return out;
}
